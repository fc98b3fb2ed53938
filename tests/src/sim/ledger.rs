//! The relay's ledger: transactions in order, of which a crash leaves a prefix that holds at least what was synced.

use std::collections::BTreeMap;
use std::sync::Arc;

use handover_shared::ids::{BlockCount, BlockIndex, Locator, TransferId};
use handover_shared::protocol::relay::Transfer;

use super::disk::Stop;
use super::rng::Rng;

/// A run of blocks in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub first: BlockIndex,
    pub count: BlockCount,
    pub name: String,
}

/// Everything the ledger has of a transfer.
#[derive(Clone, Debug)]
pub struct Row {
    pub transfer: Transfer,
    /// Sealed offer and envelope, while it is live.
    pub offer: Option<Arc<(Vec<u8>, Vec<u8>)>>,
    pub segments: Vec<Segment>,
}

#[derive(Debug, Default)]
pub struct Ledger {
    rows: BTreeMap<TransferId, Row>,
    durable: BTreeMap<TransferId, Row>,
    pending: Vec<(Row, u64)>,
    /// How many of the pending are of this process.
    own: usize,
    highest: u64,
    durable_highest: u64,
}

impl Ledger {
    /// With everything that has not been synced.
    pub fn row(&self, id: TransferId) -> Option<&Row> {
        self.rows.get(&id)
    }

    pub fn durable_row(&self, id: TransferId) -> Option<&Row> {
        self.durable.get(&id)
    }

    pub fn find(&self, locator: Locator) -> Option<TransferId> {
        self.rows.values().find(|row| row.transfer.terms.locator == locator).map(|row| row.transfer.terms.id)
    }

    pub fn ids(&self) -> Vec<TransferId> {
        self.rows.keys().copied().collect()
    }

    /// The greatest time seen is written with every row.
    pub fn put(&mut self, row: Row) {
        self.rows.insert(row.transfer.terms.id, row.clone());
        self.pending.push((row, self.highest));
        self.own += 1;
    }

    /// The greatest time seen, by a clock that may run backwards [S13.8].
    pub fn time(&mut self, clock: u64) -> u64 {
        self.highest = self.highest.max(clock);
        self.highest
    }

    /// Commits; whoever has changed nothing has nothing to sync.
    pub fn commit(&mut self) {
        if self.own > 0 {
            self.sync();
        }
    }

    /// Syncs whatever is there, whoever wrote it.
    pub fn sync(&mut self) {
        for (row, highest) in self.pending.drain(..) {
            self.durable.insert(row.transfer.terms.id, row);
            self.durable_highest = highest;
        }
        self.own = 0;
    }

    /// Of what was not synced a prefix survives, as synced as before.
    pub fn crash(&mut self, stop: Stop, rng: &mut Rng) {
        let kept = rng.below(self.pending.len() as u64 + 1) as usize;
        self.pending.truncate(kept);
        if stop == Stop::Power {
            self.sync();
        }
        self.own = 0;
        self.rows = self.durable.clone();
        self.highest = self.durable_highest;
        for (row, highest) in &self.pending {
            self.rows.insert(row.transfer.terms.id, row.clone());
            self.highest = *highest;
        }
    }
}
