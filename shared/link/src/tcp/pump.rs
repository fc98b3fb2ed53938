//! The two tasks of a connection: records into pieces, orders into records.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use handover_shared::protocol::record::{RECORD_HEADER_BYTES, Record};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::halves::{Giving, Order, Piece, Taking};
use super::{Ended, Life};

/// What is taken at once, at first and at most.
const READ_BYTES_FIRST: usize = 4 * 1024;
pub(super) const READ_BYTES_MAX: usize = 256 * 1024;
/// What even the smallest piece counts as.
const PIECE_BYTES_MIN: usize = 512;
/// Up to this length bytes are copied behind the header before them, so that both leave together.
const COPIED_BYTES_MAX: usize = 16 * 1024;
/// What TLS seals before it is written.
pub(super) const TLS_BUFFER_BYTES: usize = 256 * 1024;
/// How long the last bytes may take to leave when this end has dropped the connection.
const LINGER: Duration = Duration::from_secs(3);

/// Takes records apart until the connection ends, or nobody wants what they hold.
pub(super) async fn read(mut stream: impl AsyncRead + Unpin, taking: Taking, life: Arc<Life>, idle: Duration) {
    let ended = tokio::select! {
        ended = take(&mut stream, &taking, &life, idle) => ended,
        () = taking.pieces.closed() => Ended::Dropped,
    };
    life.end(ended);
}

async fn take(stream: &mut (impl AsyncRead + Unpin), taking: &Taking, life: &Life, idle: Duration) -> Ended {
    let mut buffer = BytesMut::new();
    let mut read_bytes = READ_BYTES_FIRST;
    // Bytes of the data record under way that have not come.
    let mut data = 0;
    loop {
        loop {
            let piece = if data > 0 {
                if buffer.is_empty() {
                    break;
                }
                let bytes = buffer.split_to(buffer.len().min(data)).freeze();
                data -= bytes.len();
                let weight = bytes.len().clamp(PIECE_BYTES_MIN, READ_BYTES_MAX);
                let weight = u32::try_from(weight).unwrap_or(u32::MAX);
                let Ok(room) = taking.room.clone().acquire_many_owned(weight).await else { return Ended::Dropped };
                Piece::Data(bytes, room)
            } else {
                let Some(header) = buffer.first_chunk::<RECORD_HEADER_BYTES>() else { break };
                let record = Record::of_header(*header);
                buffer.advance(RECORD_HEADER_BYTES);
                match record {
                    Ok(Record::Data(length)) => {
                        data = length;
                        continue;
                    }
                    Ok(Record::KeepAlive) => continue,
                    Ok(Record::End) => Piece::End,
                    Ok(Record::Reset(number)) => Piece::Reset(number),
                    Err(fault) => return Ended::Malformed(fault),
                }
            };
            if taking.pieces.send(piece).is_err() {
                return Ended::Dropped;
            }
        }
        match fill(stream, &mut buffer, read_bytes, idle).await {
            Ok(Filled::Some) => {}
            Ok(Filled::All) => read_bytes = (read_bytes * 4).min(READ_BYTES_MAX),
            Err(ended) => return ended,
        }
        life.arrivals.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether there was more than fitted.
enum Filled {
    Some,
    All,
}

/// Waits for bytes and takes what is there, up to about so many.
async fn fill(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    read_bytes: usize,
    idle: Duration,
) -> Result<Filled, Ended> {
    let wanted = buffer.len() + read_bytes;
    buffer.reserve(read_bytes);
    // [S11.5]
    match timeout(idle, stream.read_buf(buffer)).await {
        Ok(Ok(0)) => return Err(Ended::Closed),
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(of_io(error)),
        Err(_elapsed) => return Err(Ended::Silent),
    }
    while buffer.len() < wanted {
        let read = tokio::select! {
            biased;
            read = stream.read_buf(buffer) => read,
            () = std::future::ready(()) => return Ok(Filled::Some),
        };
        match read {
            // The end is met again by the next read, when what came before it has been handed on.
            Ok(0) | Err(_) => return Ok(Filled::Some),
            Ok(_) => {}
        }
    }
    Ok(Filled::All)
}

fn of_io(error: io::Error) -> Ended {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Ended::Closed,
        _ => Ended::Io(Arc::new(error)),
    }
}

/// Makes records of orders until there are no more, or the connection ends.
pub(super) async fn write(
    mut stream: impl AsyncWrite + Unpin,
    mut giving: Giving,
    life: Arc<Life>,
    keep_alive: Duration,
) {
    let over = async {
        // What this end has dropped may still have something on its way out.
        if matches!(life.over().await, Ended::Dropped) {
            tokio::time::sleep(LINGER).await;
        }
    };
    let written = tokio::select! {
        written = give(&mut stream, &mut giving, &life, keep_alive) => written,
        () = over => Ok(()),
    };
    giving.room.close();
    giving.orders.close();
    match written {
        Ok(()) => match timeout(LINGER, stream.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::trace!(%error, "the end could not be told"),
            Err(_elapsed) => tracing::trace!("the end was not taken in time"),
        },
        Err(error) => life.end(of_io(error)),
    }
}

async fn give(
    stream: &mut (impl AsyncWrite + Unpin),
    giving: &mut Giving,
    life: &Life,
    keep_alive: Duration,
) -> io::Result<()> {
    let mut batch = BytesMut::new();
    let mut waiting = Vec::new();
    loop {
        let order = match timeout(keep_alive, giving.orders.recv()).await {
            Ok(Some(order)) => order,
            Ok(None) => return stream.flush().await,
            Err(_elapsed) => Order::Bare(Record::KeepAlive),
        };
        let mut next = Some(order);
        while let Some(order) = next {
            match order {
                Order::Data(bytes, _room) if bytes.len() <= COPIED_BYTES_MAX => {
                    batch.extend_from_slice(&Record::Data(bytes.len()).header());
                    batch.extend_from_slice(&bytes);
                }
                Order::Data(bytes, _room) => {
                    batch.extend_from_slice(&Record::Data(bytes.len()).header());
                    put(stream, batch.split().freeze().chain(bytes), life).await?;
                }
                Order::Bare(record) => batch.extend_from_slice(&record.header()),
                Order::Tell(tell) => waiting.push(tell),
            }
            next = if batch.len() < TLS_BUFFER_BYTES { giving.orders.try_recv().ok() } else { None };
        }
        put(stream, batch.split(), life).await?;
        stream.flush().await?;
        for tell in waiting.drain(..) {
            if tell.send(()).is_err() {
                tracing::trace!("nobody waits for it any more");
            }
        }
    }
}

async fn put(stream: &mut (impl AsyncWrite + Unpin), mut bytes: impl Buf, life: &Life) -> io::Result<()> {
    while bytes.has_remaining() {
        let written = stream.write_buf(&mut bytes).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        life.bytes_sent.fetch_add(written as u64, Ordering::Relaxed);
    }
    Ok(())
}
