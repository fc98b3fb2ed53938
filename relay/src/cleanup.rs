//! Carrying out what a final transfer still needs: first the share, then the blocks [S13.7] [S13.8]; and finishing at
//! the start whatever a crash left [S13.9].

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use handover_shared::ids::{BlockIndex, TransferId};
use handover_shared::protocol::papers::PaperKind;
use handover_shared::protocol::relay::{Effect, Share, Storage};

use crate::ledger::rows::PaperPlace;
use crate::ledger::{Causes, LedgerError};
use crate::ledger::{log, operations};
use crate::live::Turn;
use crate::serve::Relay;

/// Transfers looked up at a time.
const PAGE: usize = 128;

/// Why something could not be cleaned up; it is tried again at the next sweep and at the next start.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The file system refused.
    #[error("cannot {tried}")]
    Io {
        /// What was tried.
        tried: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Relay {
    /// Does what a transfer that is over needs, up to and with erasing its share; the rest goes on by itself. Nothing
    /// is done for a live transfer.
    ///
    /// # Errors
    /// When the share could not be erased.
    pub(crate) async fn end(self: &Arc<Self>, id: TransferId) -> Result<(), CleanupError> {
        let next = self.ledger.write(move |rows, now| operations::settle(rows, id, now)).await?;
        if next.is_none() {
            return Ok(());
        }
        self.live.entry(id).ended();
        let next = match next {
            Some(Effect::EraseShare) => self.carry_out(id, Effect::EraseShare).await?,
            other => other,
        };
        if let Some(effect) = next {
            let relay = self.clone();
            self.tasks.spawn(async move {
                if let Err(error) = relay.carry_out(id, effect).await {
                    tracing::error!(transfer = %id, error = %Causes(&error), "deletion will be tried again");
                }
            });
        }
        Ok(())
    }

    /// Ends every transfer whose time is over, and finishes what was left of others.
    ///
    /// # Errors
    /// The first failure; the rest waits for the next sweep.
    pub(crate) async fn sweep(self: &Arc<Self>) -> Result<(), CleanupError> {
        loop {
            let found = self.ledger.read(|rows, now| rows.unsettled(now, PAGE)).await?;
            let is_last = found.len() < PAGE;
            for id in found {
                let mut next = self.ledger.write(move |rows, now| operations::settle(rows, id, now)).await?;
                if next.is_some() {
                    self.live.entry(id).ended();
                }
                while let Some(effect) = next {
                    next = self.carry_out(id, effect).await?;
                }
            }
            if is_last {
                // What was deleted since is made unreadable as well.
                return Ok(self.ledger.tidy().await?);
            }
        }
    }

    /// Removes what no row names, and finishes what was begun [S13.9]. Runs before anybody is served.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) async fn recover(self: &Arc<Self>) -> Result<(), CleanupError> {
        self.ledger.read(|rows, _| log::check_end(rows)).await?;
        self.sweep().await?;
        let stored = self.blocking("list segments", |relay| relay.segments.transfers()).await?;
        // Blocks come after their transfer's row, and rows are for ever: this is not what a crash leaves.
        if !stored.is_empty() && self.ledger.read(|rows, _| rows.transfers(1)).await?.is_empty() {
            return Err(LedgerError::Lost.into());
        }
        for id in stored {
            let row = self.ledger.read(move |rows, _| operations::load(rows, id)).await?;
            let is_kept = row.is_some_and(|transfer| transfer.storage == Storage::Kept);
            if is_kept {
                self.remove_orphans(id).await?;
            } else {
                self.blocking("delete orphans", move |relay| relay.segments.delete(id)).await?;
            }
        }
        for id in self.blocking("list shares", |relay| relay.shares.transfers()).await? {
            let row = self.ledger.read(move |rows, _| operations::load(rows, id)).await?;
            if !row.is_some_and(|transfer| transfer.share == Share::Kept) {
                self.blocking("erase a share", move |relay| relay.shares.erase(id)).await?;
            }
        }
        Ok(())
    }

    /// Runs something that blocks, away from the threads that serve.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        tried: &'static str,
        work: impl FnOnce(&Relay) -> io::Result<T> + Send + 'static,
    ) -> Result<T, CleanupError> {
        let relay = self.clone();
        let outcome = tokio::task::spawn_blocking(move || work(&relay)).await;
        outcome
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
            .map_err(|source| CleanupError::Io { tried, source })
    }

    async fn carry_out(self: &Arc<Self>, id: TransferId, effect: Effect) -> Result<Option<Effect>, CleanupError> {
        let entry = self.live.entry(id);
        match effect {
            Effect::EraseShare => {
                let _share = entry.share.lock().await;
                self.blocking("erase a share", move |relay| relay.shares.erase(id)).await?;
            }
            Effect::DeleteBlocks => {
                // Whoever appends must be out of the folder before it goes.
                let _run = entry.take_over(Turn::End).await;
                self.blocking("delete blocks", move |relay| relay.segments.delete(id)).await?;
            }
        }
        let next = self.ledger.write(move |rows, now| operations::done(rows, now, id, effect)).await?;
        tracing::info!(transfer = %id, ?effect, "carried out");
        entry.changed();
        Ok(next)
    }

    async fn remove_orphans(self: &Arc<Self>, id: TransferId) -> Result<(), CleanupError> {
        let (rows, document) = self
            .ledger
            .read(move |rows, _| {
                Ok((rows.segments(id, BlockIndex(0), usize::MAX >> 1)?, rows.paper(id, PaperKind::Agreement)?))
            })
            .await?;
        let mut named: HashSet<String> = rows.into_iter().map(|segment| segment.name).collect();
        if let Some(PaperPlace::Stored(name)) = document {
            named.insert(name);
        }
        let present = self.blocking("list segments", move |relay| relay.segments.names(id)).await?;
        for name in present.into_iter().filter(|name| !named.contains(name)) {
            tracing::info!(transfer = %id, "removes a segment that was never acknowledged");
            self.blocking("remove an orphan", move |relay| relay.segments.remove(id, &name)).await?;
        }
        Ok(())
    }
}
