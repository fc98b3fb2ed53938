//! Messages and raw blocks on a stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use handover_link::{ReadError, ReadExactError, RecvStream};
use handover_shared::fault::Fault;
use handover_shared::protocol::message::{HEADER_BYTES, Header, Reply};

use crate::error::Error;

/// How long the end of an answer may take to follow it.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// The receiving half of an operation: replies first, raw blocks where the operation has them.
pub struct Replies {
    receive: RecvStream,
    address: String,
    /// Raw bytes of blocks that came, those of an unfinished one included.
    meter: Arc<AtomicU64>,
}

impl Replies {
    pub(super) fn new(receive: RecvStream, address: String) -> Self {
        Self { receive, address, meter: Arc::default() }
    }

    /// The next reply; `None` when the relay has finished.
    ///
    /// # Errors
    /// [`Error::Refused`] when the stream was reset with a fault, [`Error::Lost`], [`Error::RelayMisbehaved`].
    pub async fn next(&mut self) -> Result<Option<Reply>, Error> {
        let mut header = [0u8; HEADER_BYTES];
        match self.receive.read_exact(&mut header).await {
            Ok(()) => {}
            Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
            Err(error) => return Err(self.broken(error)),
        }
        let header = Header::of_bytes(header).map_err(|_fault| Error::RelayMisbehaved("sent an impossible length"))?;
        let mut body = vec![0u8; header.body_bytes];
        self.receive.read_exact(&mut body).await.map_err(|error| self.broken(error))?;
        let reply = Reply::of_body(header.number, &body);
        reply.map(Some).map_err(|_fault| Error::RelayMisbehaved("sent a malformed reply"))
    }

    /// The next block of exactly so many bytes; `None` when the relay has finished after a whole block.
    ///
    /// # Errors
    /// As [`Replies::next`]; a stream that finishes inside a block counts as lost.
    pub async fn block(&mut self, bytes: usize) -> Result<Option<BytesMut>, Error> {
        let mut block = BytesMut::with_capacity(bytes);
        while block.len() < bytes {
            match self.receive.read_chunk(bytes - block.len()).await {
                Ok(Some(chunk)) => {
                    self.meter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                    block.extend_from_slice(&chunk);
                }
                Ok(None) if block.is_empty() => return Ok(None),
                Ok(None) => return Err(self.lost("the stream ended inside a block")),
                Err(error) => return Err(self.read_error(&error)),
            }
        }
        Ok(Some(block))
    }

    /// Counts the raw bytes of blocks as they come, so that a slow path can be told from a silent one.
    pub fn meter(&self) -> Arc<AtomicU64> {
        self.meter.clone()
    }

    /// Like [`Replies::block`], for a block that is known to be there: gives up when no byte of it comes for so long.
    ///
    /// # Errors
    /// As [`Replies::block`], and [`Error::Lost`].
    pub async fn block_in_time(&mut self, bytes: usize, silence: Duration) -> Result<Option<BytesMut>, Error> {
        let meter = self.meter();
        let watching = async {
            let mut seen = meter.load(Ordering::Relaxed);
            loop {
                tokio::time::sleep(silence).await;
                let now = meter.load(Ordering::Relaxed);
                if now == seen {
                    return;
                }
                seen = now;
            }
        };
        let block = tokio::select! {
            block = self.block(bytes) => Some(block),
            () = watching => None,
        };
        block.unwrap_or_else(|| Err(self.lost("no byte came in time")))
    }

    /// Tells the relay that nothing more is wanted.
    pub fn stop(&mut self) {
        self.receive.stop(0);
    }

    /// Takes the end of a stream whose last answer has come, so that its connection can carry another where it carries
    /// one at a time. It comes together with the answer, or is not worth waiting for.
    pub(super) async fn end(&mut self) {
        if let RecvStream::Tcp(half) = &mut self.receive
            && tokio::time::timeout(END_TIMEOUT, half.read_chunk(1)).await.is_err()
        {
            tracing::debug!("an answer came without its end");
        }
    }

    fn broken(&self, error: ReadExactError) -> Error {
        match error {
            ReadExactError::FinishedEarly(_) => self.lost("the stream ended inside a message"),
            ReadExactError::Read(error) => self.read_error(&error),
        }
    }

    fn read_error(&self, error: &ReadError) -> Error {
        let fault = match error {
            ReadError::Reset(code) => u16::try_from(*code).ok().and_then(Fault::of_number),
            ReadError::Lost(how) => how.fault(),
        };
        match fault {
            Some(fault) => Error::Refused { fault, number: None, time: None },
            None => self.lost(&error.to_string()),
        }
    }

    fn lost(&self, cause: &str) -> Error {
        Error::Lost { address: self.address.clone(), cause: cause.into() }
    }
}

/// Splits what arrives into pieces of an exact size, without copying where a piece arrives whole.
pub fn read_exact_chunks(buffer: &mut BytesMut, bytes: usize) -> Option<Bytes> {
    (buffer.len() >= bytes).then(|| buffer.split_to(bytes).freeze())
}
