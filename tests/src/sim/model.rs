//! What must be true, kept apart from the machines and as slow and obvious as possible.
//!
//! The model hears what leaves a party, and from then on holds the party to it: whatever crashes, what was said stays
//! said.

use std::collections::{BTreeMap, BTreeSet};

use handover_shared::archive::catalogue::Listed;
use handover_shared::archive::item::Reason;
use handover_shared::archive::manifest::{Record, RecordKind};
use handover_shared::ids::{Digest, LinkKey, TransferId};
use handover_shared::protocol::message::Phase;
use handover_shared::protocol::relay::{Share, Storage};

use super::ledger::Row;
use super::source::Source;

/// The hash of a block, by which the model remembers it.
pub type BlockHash = [u8; 32];

#[derive(Debug, Default)]
pub struct Model {
    /// What the seller announced, with the share. More than one transfer for one push is one too many.
    pub announced: BTreeMap<TransferId, [u8; 32]>,
    created: BTreeSet<TransferId>,
    /// Blocks that the seller was told are durable.
    acknowledged: Vec<BlockHash>,
    /// Blocks that a buyer was given.
    served: BTreeMap<u64, BlockHash>,
    completed: Option<u64>,
    released: BTreeSet<LinkKey>,
    is_share_erased: bool,
    ended: Option<Phase>,
    /// What the seller sealed, by the id of the statement; a crash before the tail was durable leaves several.
    sealed: BTreeMap<Digest, Vec<Listed>>,
    /// Receipts that left a buyer.
    pub receipts: BTreeSet<Vec<u8>>,
}

/// What is at a path of the buyer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    File(Vec<u8>),
    Folder,
    Link(Vec<u8>),
}

pub fn block_hash(bytes: &[u8]) -> BlockHash {
    *blake3::hash(bytes).as_bytes()
}

impl Model {
    pub fn announces(&mut self, transfer: TransferId, share: [u8; 32]) -> Result<(), String> {
        self.announced.insert(transfer, share);
        let count = self.announced.len();
        if count == 1 { Ok(()) } else { Err(format!("[S14.2] one push announced {count} transfers")) }
    }

    pub fn told_created(&mut self, transfer: TransferId) {
        self.created.insert(transfer);
    }

    pub fn is_created(&self) -> bool {
        !self.created.is_empty()
    }

    /// So many blocks are said to be durable; `block` reads the relay's.
    pub fn told_durable(&mut self, durable: u64, block: impl Fn(u64) -> Option<Vec<u8>>) -> Result<(), String> {
        for index in self.acknowledged.len() as u64..durable {
            let bytes = block(index).ok_or_else(|| format!("[S13.3] block {index} is acknowledged and not there"))?;
            self.acknowledged.push(block_hash(&bytes));
        }
        Ok(())
    }

    pub fn told_completed(&mut self, blocks: u64) -> Result<(), String> {
        match self.completed.replace(blocks) {
            Some(before) if before != blocks => Err(format!("[S13.4] complete with {before} and with {blocks}")),
            _ => Ok(()),
        }
    }

    pub fn told_ended(&mut self, phase: Phase) -> Result<(), String> {
        match self.ended.replace(phase) {
            Some(before) if before != phase => Err(format!("[S13.1] it ended as {before:?} and then as {phase:?}")),
            _ => Ok(()),
        }
    }

    pub fn released(&mut self, to: LinkKey) -> Result<(), String> {
        if self.is_share_erased {
            return Err("[S13.7] the share left after it was erased".into());
        }
        self.released.insert(to);
        if self.released.len() == 1 { Ok(()) } else { Err("[S13.5] the share left to two keys".into()) }
    }

    pub fn share_is_erased(&mut self) {
        self.is_share_erased = true;
    }

    pub fn served(&mut self, index: u64, bytes: &[u8]) -> Result<(), String> {
        let hash = block_hash(bytes);
        let before = *self.served.entry(index).or_insert(hash);
        if before == hash { Ok(()) } else { Err(format!("[S12.3] block {index} was served with two contents")) }
    }

    pub fn seals(&mut self, id: Digest, listed: Vec<Listed>) {
        self.sealed.insert(id, listed);
    }

    /// Files that vanished and files that kept changing, in what was sealed.
    pub fn exceptions(&self) -> (u64, u64) {
        let records = || self.sealed.values().flatten().map(|line| line.record.reason);
        let count = |reason| records().filter(|it| *it == Some(reason)).count() as u64;
        (count(Reason::Vanished), count(Reason::KeptChanging))
    }

    /// What the relay has after a crash, or at the end. `block` reads a block, `share` is the file.
    pub fn check_relay(
        &mut self,
        row: Option<&Row>,
        share: Option<&[u8]>,
        block: impl Fn(&Row, u64) -> Option<Vec<u8>>,
    ) -> Result<(), String> {
        let Some(row) = row else {
            return if self.created.is_empty() {
                Ok(())
            } else {
                Err("[S13.2] a transfer that was accepted is gone".into())
            };
        };
        let transfer = &row.transfer;
        if let Some(phase) = self.ended
            && phase != transfer.phase
        {
            return Err(format!("[S13.1] what ended as {phase:?} came back as {:?}", transfer.phase));
        }
        if let Some(blocks) = self.completed
            && transfer.blocks.map(|it| it.0) != Some(blocks)
        {
            return Err(format!("[S13.4] complete with {blocks} blocks, and then {:?}", transfer.blocks));
        }
        if let Some(to) = self.released.first()
            && transfer.claim.as_ref().map(|claim| claim.link_key) != Some(*to)
        {
            return Err("[S13.5] the share left, and its claim is forgotten".into());
        }
        self.is_share_erased |= transfer.share == Share::Erased;
        if transfer.phase.is_final() {
            return Ok(());
        }
        if transfer.share != Share::Kept || transfer.storage != Storage::Kept {
            return Err("[S13.8] a live transfer has lost its share or its blocks".into());
        }
        if share != self.announced.get(&transfer.terms.id).map(|share| &share[..]) {
            return Err("[S13.2] the share of a live transfer is gone or damaged".into());
        }
        if transfer.durable.0 < self.acknowledged.len() as u64 {
            let had = self.acknowledged.len();
            return Err(format!("[S13.3] {had} blocks were acknowledged, {} are left", transfer.durable.0));
        }
        for index in 0..transfer.durable.0 {
            let Some(bytes) = block(row, index) else {
                return Err(format!("[S13.3] block {index} of {} is not there", transfer.durable.0));
            };
            let hash = block_hash(&bytes);
            let said = [self.acknowledged.get(index as usize), self.served.get(&index)];
            if said.into_iter().flatten().any(|said| *said != hash) {
                return Err(format!("[S8.6] block {index} has changed"));
            }
        }
        Ok(())
    }

    /// What the buyer has placed must be what the seller sealed.
    pub fn check_placed(
        &self,
        seal: Digest,
        placed: &BTreeMap<Vec<u8>, Placed>,
        source: &Source,
    ) -> Result<(), String> {
        let Some(listed) = self.sealed.get(&seal) else { return Err("[S9.5] nobody sealed that".into()) };
        let mut expected = 0;
        for record in listed.iter().map(|line| &line.record) {
            let path = record.path.as_bytes();
            let name = String::from_utf8_lossy(path);
            if record.kind == RecordKind::Exception {
                continue;
            }
            expected += 1;
            let Some(thing) = placed.get(path) else { return Err(format!("[S15.4] {name} is not there for certain")) };
            if !is_as_recorded(record, thing) {
                return Err(format!("[S15.2] {name} is not what was sealed"));
            }
            if let Placed::File(bytes) = thing
                && !source.had(path, bytes)
            {
                return Err(format!("[S14.5] {name} is what the seller's file never was"));
            }
        }
        if placed.len() == expected { Ok(()) } else { Err(format!("{} things for {expected}", placed.len())) }
    }
}

fn is_as_recorded(record: &Record, thing: &Placed) -> bool {
    match (record.kind, thing) {
        (RecordKind::Folder, Placed::Folder) => true,
        (RecordKind::Link, Placed::Link(target)) => record.target.as_ref().is_some_and(|it| it.as_bytes() == target),
        (RecordKind::File, Placed::File(bytes)) => {
            let is_same = record.hash.is_some_and(|hash| hash.0 == *blake3::hash(bytes).as_bytes());
            is_same && record.size == bytes.len() as u64
        }
        _ => false,
    }
}
