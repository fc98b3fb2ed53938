//! Laying papers beside a transfer's blocks, and getting them.
//!
//! # Source
//! SPEC [S13.14].

use std::time::Duration;

use handover_link::WriteError;
use handover_shared::fault::Fault;
use handover_shared::ids::{Millis, TransferId};
use handover_shared::protocol::message::{Collect, Deposit, Reply, Request};
use handover_shared::protocol::papers::PaperKind;

use super::{Relay, refusal, unexpected};
use crate::error::Error;

/// How long one piece may take to be taken or to come; a document of the longest kind takes many of them.
const PIECE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes handed to the network at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// How long the relay may take to make a paper durable.
const DURABLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A paper as it came from the relay; nobody has opened it.
pub struct SealedPaper {
    /// When it was deposited, by the relay's clock.
    pub time: Millis,
    /// Its sealed bytes.
    pub sealed: Vec<u8>,
}

impl Relay {
    /// Lays a sealed paper beside the blocks; answered when it is durable. The same bytes may be laid down again, other
    /// bytes are refused: keep them before.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Lost`], [`Error::RelayMisbehaved`].
    pub async fn deposit(&self, transfer: TransferId, kind: PaperKind, sealed: &[u8]) -> Result<Millis, Error> {
        let request = Request::Deposit(Deposit { transfer, kind: kind.number(), bytes: sealed.len() as u64 });
        let (mut send, mut replies) = self.open(&request).await?;
        for piece in sealed.chunks(PIECE_BYTES) {
            match tokio::time::timeout(PIECE_TIMEOUT, send.write_all(piece)).await {
                Ok(Ok(())) => {}
                // The relay has said why.
                Ok(Err(WriteError::Stopped)) => break,
                Ok(Err(error)) => return Err(self.lost(&error.to_string())),
                Err(_elapsed) => return Err(self.lost("the relay takes nothing")),
            }
        }
        send.finish();
        match tokio::time::timeout(DURABLE_TIMEOUT, replies.next()).await {
            Ok(reply) => match reply? {
                Some(Reply::Deposited(at)) => {
                    replies.end().await;
                    Ok(at.time)
                }
                Some(other) => Err(unexpected(other)),
                None => Err(Error::RelayMisbehaved("finished without an answer")),
            },
            Err(_elapsed) => Err(self.lost("no answer in time")),
        }
    }

    /// Gets a sealed paper; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Lost`], [`Error::RelayMisbehaved`].
    pub async fn collect(&self, transfer: TransferId, kind: PaperKind) -> Result<Option<SealedPaper>, Error> {
        let request = Request::Collect(Collect { transfer, kind: kind.number() });
        let (mut send, mut replies) = self.open(&request).await?;
        send.finish();
        let reply = tokio::time::timeout(PIECE_TIMEOUT, replies.next()).await;
        let reply = reply.unwrap_or_else(|_elapsed| Err(self.lost("no answer in time")))?;
        let collected = match reply {
            Some(Reply::Collected(collected)) => collected,
            Some(Reply::Refused(refused)) if refused.known() == Some(Fault::NotFound) => return Ok(None),
            Some(Reply::Refused(refused)) => return Err(refusal(refused)),
            Some(other) => return Err(unexpected(other)),
            None => return Err(Error::RelayMisbehaved("finished without an answer")),
        };
        if collected.bytes > kind.bytes_max() {
            return Err(Error::RelayMisbehaved("sends a paper that is too long"));
        }
        let bytes =
            usize::try_from(collected.bytes).or(Err(Error::RelayMisbehaved("sends a paper that is too long")))?;
        let sealed = replies.block_in_time(bytes, PIECE_TIMEOUT).await?;
        let sealed = sealed.map(|sealed| sealed.to_vec()).filter(|sealed| !sealed.is_empty());
        let sealed = sealed.ok_or(Error::RelayMisbehaved("sends an empty paper"))?;
        replies.end().await;
        Ok(Some(SealedPaper { time: collected.time, sealed }))
    }

    fn lost(&self, cause: &str) -> Error {
        Error::Lost { address: self.address().to_string(), cause: cause.into() }
    }
}
