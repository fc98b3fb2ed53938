//! Blocks on their way from the relay into the pipeline.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use handover_shared::ids::{BlockIndex, BlockSize, TransferId};
use handover_shared::protocol::buyer::SILENCE_MS_MAX;
use handover_shared::protocol::message::{Fetch, Fetching, Reply, Request};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::pipeline::{Feedback, Pipeline};
use crate::bandwidth::{Bandwidth, Direction};
use crate::error::Error;
use crate::link::{Relay, Replies, unexpected};

/// A pipeline and the stream of blocks that feeds it.
pub(super) struct Flow {
    pub pipeline: Pipeline,
    seen: Arc<Seen>,
    /// Raw bytes of the stream that is open, and how many of them were looked at last.
    meter: Arc<AtomicU64>,
    metered: u64,
    /// Raw bytes of the streams before it.
    moved_before: u64,
    bandwidth: Arc<Bandwidth>,
    /// What the relay was asked for with the stream that is open.
    pace: Option<NonZeroU64>,
    receiver: Option<JoinHandle<Result<(), Error>>>,
}

/// What the receiving task tells.
#[derive(Debug, Default)]
struct Seen {
    /// The first block that has not been handed to the pipeline.
    next: AtomicU64,
    /// Sealed bytes that travelled.
    wire_bytes: AtomicU64,
    /// A block waits for the pipeline.
    is_saturated: AtomicBool,
}

/// What happens to a flow.
pub(super) enum Happening {
    /// The relay finished the stream.
    Finished,
    /// The stream broke, or the relay refused.
    Broke(Error),
    /// The pipeline says something.
    Said(Feedback),
}

impl Flow {
    /// A flow without a stream.
    pub fn new(pipeline: Pipeline, bandwidth: Arc<Bandwidth>) -> Self {
        Self {
            pipeline,
            seen: Arc::default(),
            meter: Arc::default(),
            metered: 0,
            moved_before: 0,
            bandwidth,
            pace: None,
            receiver: None,
        }
    }

    /// Asks for blocks from this one on; what was under way before is dropped.
    ///
    /// # Errors
    /// What the relay says, and [`Error::Lost`] if it says nothing.
    pub async fn fetch(
        &mut self,
        relay: &Relay,
        transfer: TransferId,
        from: BlockIndex,
        size: BlockSize,
    ) -> Result<Fetching, Error> {
        self.stop().await;
        self.pace = self.bandwidth.rate(Direction::Down);
        let request = Request::Fetch(Fetch { transfer, from, pace: self.pace });
        let asking = async {
            let (mut send, mut replies) = relay.open(&request).await?;
            send.finish();
            match replies.next().await? {
                Some(Reply::Fetching(fetching)) => Ok((fetching, replies)),
                Some(other) => Err(unexpected(other)),
                None => Err(Error::RelayMisbehaved("finished without an answer")),
            }
        };
        let silence = Duration::from_millis(SILENCE_MS_MAX);
        let (fetching, replies) = tokio::time::timeout(silence, asking).await.map_err(|_elapsed| Error::Lost {
            address: relay.address().to_string(),
            cause: "no answer in time".into(),
        })??;
        self.seen.next.store(from.0, Ordering::Relaxed);
        self.moved_before = self.moved_bytes();
        (self.meter, self.metered) = (replies.meter(), 0);
        let receiving = receive(replies, size, from, self.pipeline.blocks.clone(), self.seen.clone());
        self.receiver = Some(tokio::spawn(receiving));
        Ok(fetching)
    }

    /// Drops the stream of blocks; what has arrived whole stays in the pipeline.
    pub async fn stop(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.abort();
            if let Ok(Err(error)) = receiver.await {
                tracing::debug!(%error, "the stream was over already");
            }
        }
        self.seen.is_saturated.store(false, Ordering::Relaxed);
    }

    /// Waits until something happens. It may be dropped and called again.
    pub async fn happening(&mut self) -> Happening {
        let Self { pipeline, receiver, .. } = self;
        let ended = async {
            match receiver {
                Some(receiver) => receiver.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What the pipeline says comes first: the end of the stream matters less.
            biased;
            said = pipeline.feedback.recv() => {
                let silent = || Feedback::Failed(Error::Internal("the pipeline ended without a word".into()));
                Happening::Said(said.unwrap_or_else(silent))
            }
            ended = ended => {
                *receiver = None;
                match ended {
                    Ok(Ok(())) => Happening::Finished,
                    Ok(Err(error)) => Happening::Broke(error),
                    Err(panicked) => Happening::Broke(Error::Internal(panicked.to_string())),
                }
            }
        }
    }

    /// The first block that has not arrived.
    pub fn next(&self) -> BlockIndex {
        BlockIndex(self.seen.next.load(Ordering::Relaxed))
    }

    /// The first block that has not been opened, unless it is behind the tail.
    pub fn opened(&self) -> BlockIndex {
        BlockIndex(self.pipeline.gauge.opened.load(Ordering::Relaxed))
    }

    /// Whether bytes have come since this was asked last, or a block waits because this machine is the slower one.
    pub fn is_alive(&mut self) -> bool {
        let before = std::mem::replace(&mut self.metered, self.meter.load(Ordering::Relaxed));
        self.metered != before || self.seen.is_saturated.load(Ordering::Relaxed)
    }

    /// Whether the stream that is open was asked for at another pace than holds now. Another stream costs what has come
    /// of one block.
    pub fn has_other_pace(&self) -> bool {
        let wanted = self.bandwidth.rate(Direction::Down);
        self.receiver.is_some() && wanted != self.pace
    }

    /// Raw bytes that came, those of unfinished blocks included.
    pub fn moved_bytes(&self) -> u64 {
        self.moved_before.saturating_add(self.meter.load(Ordering::Relaxed))
    }

    /// Sealed bytes that travelled.
    pub fn wire_bytes(&self) -> u64 {
        self.seen.wire_bytes.load(Ordering::Relaxed)
    }
}

async fn receive(
    mut replies: Replies,
    size: BlockSize,
    from: BlockIndex,
    blocks: mpsc::Sender<(BlockIndex, BytesMut)>,
    seen: Arc<Seen>,
) -> Result<(), Error> {
    let mut index = from;
    while let Some(block) = replies.block(size.sealed_bytes()).await? {
        seen.wire_bytes.fetch_add(block.len() as u64, Ordering::Relaxed);
        seen.is_saturated.store(true, Ordering::Relaxed);
        if blocks.send((index, block)).await.is_err() {
            // The pipeline is over, and has said why.
            return Ok(());
        }
        seen.is_saturated.store(false, Ordering::Relaxed);
        index = index.next();
        seen.next.store(index.0, Ordering::Relaxed);
    }
    Ok(())
}
