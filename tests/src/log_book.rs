//! A relay's log in memory, made from the text of the SPEC: every entry, every node, every head that was signed. It can
//! be altered in every way in which a relay's operator could alter one.

use std::collections::HashMap;
use std::convert::Infallible;

use handover_shared::ids::{Digest, LinkKey, Millis, TransferId};
use handover_shared::limits;
use handover_shared::proof::log::tree::{self, Nodes};
use handover_shared::proof::log::{DeletionText, EndReason, LogEntry, LogHeadText, Method};
use handover_shared::proof::{self, Fingerprint, Identity, Kind};
use handover_shared::protocol::message::{Event, EventKind, Included, Log, Logged, Signed};
use handover_shared::protocol::relay::Transfer;

/// A log, and the key of the relay whose it is.
pub struct LogBook {
    seed: [u8; 32],
    entries: Vec<LogEntry>,
    nodes: HashMap<(u32, u64), Digest>,
    heads: Vec<(u64, Signed)>,
}

impl Nodes for LogBook {
    type Error = Infallible;

    fn node(&self, level: u32, place: u64) -> Result<Digest, Infallible> {
        Ok(self.nodes[&(level, place)])
    }
}

impl LogBook {
    /// An empty one of the relay with the key of this seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, entries: Vec::new(), nodes: HashMap::new(), heads: Vec::new() }
    }

    /// The same log, to be continued in another way.
    pub fn fork(&self) -> Self {
        let (entries, nodes) = (self.entries.clone(), self.nodes.clone());
        Self { seed: self.seed, entries, nodes, heads: self.heads.clone() }
    }

    /// Whose it is.
    pub fn relay(&self) -> Fingerprint {
        Fingerprint::of(&self.identity().public())
    }

    /// The key of whose it is, as one connects to it.
    pub fn relay_key(&self) -> LinkKey {
        LinkKey(*self.identity().public().as_bytes())
    }

    /// From now on it is signed by another key.
    pub fn sign_with(&mut self, seed: [u8; 32]) {
        self.seed = seed;
        self.heads.clear();
    }

    /// Everything in it.
    pub fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// Adds an event.
    pub fn push(&mut self, transfer: TransferId, event: &Event) {
        let previous = self.entries.last().map(LogEntry::leaf);
        self.add(LogEntry::of(self.size(), previous, transfer, event));
    }

    /// Adds the events of a transfer that are not in it.
    pub fn follow(&mut self, transfer: &Transfer) {
        let id = transfer.terms.id;
        let known = self.entries.iter().filter(|entry| entry.transfer == id).count();
        for event in transfer.events.iter().skip(known) {
            self.push(id, event);
        }
    }

    /// Makes all of it anew from what `change` leaves of the entries: numbers, chain, tree; the heads are forgotten.
    pub fn rewrite(&mut self, change: impl FnOnce(&mut Vec<LogEntry>)) {
        let mut entries = std::mem::take(&mut self.entries);
        change(&mut entries);
        self.nodes.clear();
        self.heads.clear();
        for entry in entries {
            let previous = self.entries.last().map(LogEntry::leaf);
            self.add(LogEntry { number: self.size(), previous, ..entry });
        }
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Signs a head of all of it, unless there is one.
    pub fn sign(&mut self, now: Millis) -> Signed {
        let size = self.size();
        if let Some((_, head)) = self.heads.iter().find(|(signed, _)| *signed == size) {
            return head.clone();
        }
        let head = LogHeadText {
            relay_key: self.relay(),
            size,
            root: self.root(size),
            previous: self.heads.last().map(|(_, head)| proof::text_id(&head.text)),
            time: now.into(),
        };
        let head = self.signed(Kind::LogHead, head.to_text());
        self.heads.push((size, head.clone()));
        head
    }

    /// Answers as a relay does. [S16.6]
    pub fn answer(&mut self, ask: &Log, now: Millis) -> Logged {
        let newest = self.sign(now);
        let (size, head) = match ask.size {
            None => (self.size(), newest),
            Some(size) => self.heads.iter().find(|(signed, _)| *signed == size).expect("a head of that size").clone(),
        };
        let of_transfer = |entry: &&LogEntry| entry.transfer == ask.transfer && entry.number < size;
        let all: Vec<&LogEntry> = self.entries.iter().filter(of_transfer).collect();
        let entries = all
            .iter()
            .skip(ask.from_sequence as usize)
            .take(limits::LOG_ENTRIES_MAX)
            .map(|entry| Included { text: entry.to_text(), path: self.path(entry.number, size) })
            .collect();
        let Ok(consistency) = tree::consistency(self, ask.held_size, size);
        Logged { head, consistency, entries, entries_in_all: all.len() as u64, deletion: None, reason: None }
    }

    /// The relay's word that a transfer's data is gone; nothing before it is. [S16.5]
    pub fn deletion(&self, transfer: &Transfer) -> Option<Signed> {
        let of_it = |entry: &&LogEntry| entry.transfer == transfer.terms.id && entry.event == EventKind::Deleted;
        let entry = self.entries.iter().find(of_it)?;
        let text = DeletionText {
            transfer: transfer.terms.id,
            blocks: transfer.durable.0,
            bytes: transfer.durable.0 * transfer.terms.block_size.sealed_bytes() as u64,
            reason: EndReason::of_phase(transfer.phase)?,
            share_erased: transfer.share_erased?.into(),
            blocks_deleted: entry.time.into(),
            method: Method::Files,
            relay_key: self.relay(),
            log_entry: entry.leaf(),
        };
        Some(self.signed(Kind::Deletion, text.to_text()))
    }

    /// Signs any text as the relay.
    pub fn signed(&self, kind: Kind, text: String) -> Signed {
        let signature = proof::sign(kind, &text, &self.identity()).expect("a key of 32 bytes signs");
        Signed { text, signature }
    }

    /// The way of an entry to the root.
    pub fn path(&self, number: u64, size: u64) -> Vec<Digest> {
        let Ok(path) = tree::inclusion(self, number, size);
        path
    }

    fn root(&self, size: u64) -> Digest {
        let Ok(root) = tree::root(self, size);
        root
    }

    fn identity(&self) -> Identity {
        Identity::of_seed(&self.seed)
    }

    fn add(&mut self, entry: LogEntry) {
        let (number, leaf) = (entry.number, entry.leaf());
        let Ok(whole) = tree::completed(self, number, leaf);
        self.nodes.insert((0, number), leaf);
        self.nodes.extend(whole.into_iter().map(|node| ((node.level, node.place), node.hash)));
        self.entries.push(entry);
    }
}
