//! Messages and raw blocks on a stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use handover_shared::fault::Fault;
use handover_shared::protocol::message::{HEADER_BYTES, Header, Reply};

use crate::error::Error;

/// The receiving half of an operation: replies first, raw blocks where the operation has them.
pub struct Replies {
    receive: quinn::RecvStream,
    address: String,
    /// Raw bytes of blocks that came, those of an unfinished one included.
    meter: Arc<AtomicU64>,
}

impl Replies {
    pub(super) fn new(receive: quinn::RecvStream, address: String) -> Self {
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
            Err(quinn::ReadExactError::FinishedEarly(0)) => return Ok(None),
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
            match self.receive.read_chunk(bytes - block.len(), true).await {
                Ok(Some(chunk)) => {
                    self.meter.fetch_add(chunk.bytes.len() as u64, Ordering::Relaxed);
                    block.extend_from_slice(&chunk.bytes);
                }
                Ok(None) if block.is_empty() => return Ok(None),
                Ok(None) => return Err(self.lost("the stream ended inside a block")),
                Err(error) => return Err(self.read_error(error)),
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
        if self.receive.stop(0u32.into()).is_err() {
            tracing::debug!("the stream was over already");
        }
    }

    fn broken(&self, error: quinn::ReadExactError) -> Error {
        match error {
            quinn::ReadExactError::FinishedEarly(_) => self.lost("the stream ended inside a message"),
            quinn::ReadExactError::ReadError(error) => self.read_error(error),
        }
    }

    fn read_error(&self, error: quinn::ReadError) -> Error {
        match error {
            quinn::ReadError::Reset(code) => match u16::try_from(code.into_inner()).ok().and_then(Fault::of_number) {
                Some(fault) => Error::Refused { fault, number: None, time: None },
                None => self.lost("the stream was reset"),
            },
            other => self.lost(&other.to_string()),
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
