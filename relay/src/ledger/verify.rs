//! Looking at all of the log: every row rebuilt, chained and put into the tree once more, every head compared and its
//! signature checked, every transfer held against its entries. Memory grows with the logarithm of the log.
//!
//! # Source
//! SPEC [S16.8].

use handover_shared::ids::{Digest, TransferId};
use handover_shared::proof::log::tree::{Node, node_hash};
use handover_shared::proof::log::{LogEntry, LogFault, check_head};
use handover_shared::proof::{Fingerprint, Stamp, digest, text_id};
use handover_shared::protocol::message::{EventKind, Signed};

use super::LedgerError;
use super::log::PAGE;
use super::operations::load;
use super::rows::{LogRow, Read};

/// What a whole log turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries.
    pub entries: u64,
    /// The root over all of them.
    pub root: Digest,
    /// Heads that were signed.
    pub heads: u64,
}

/// Why a log does not hang together.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// An entry.
    #[error("entry {number} {what}")]
    Entry {
        /// Its place in the log.
        number: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A head.
    #[error("the head of {size} entries {what}")]
    Head {
        /// How many entries it is of.
        size: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A head's text or signature.
    #[error("the head of {size} entries does not check: {fault}")]
    Signature {
        /// How many entries it is of.
        size: u64,
        /// Why.
        #[source]
        fault: LogFault,
    },
    /// A transfer whose row does not fit its entries.
    #[error("transfer {id} does not fit its entries")]
    Transfer {
        /// Which.
        id: TransferId,
    },
    /// Rows that belong to no entry.
    #[error("there are {what} that belong to no entry")]
    Strays {
        /// Of which kind.
        what: &'static str,
    },
}

/// The tree while it grows: the roots of its whole parts, the largest first.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    parts: Vec<Node>,
    size: u64,
}

impl Frontier {
    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; gives the nodes above it that become whole.
    pub fn push(&mut self, leaf: Digest) -> Vec<Node> {
        let mut whole = Vec::new();
        let mut node = Node { level: 0, place: self.size, hash: leaf };
        while let Some(left) = self.parts.pop_if(|part| part.level == node.level) {
            node = Node { level: node.level + 1, place: node.place >> 1, hash: node_hash(&left.hash, &node.hash) };
            whole.push(node);
        }
        self.parts.push(node);
        self.size += 1;
        whole
    }

    /// The root over all leaves.
    pub fn root(&self) -> Digest {
        let mut parts = self.parts.iter().rev().map(|part| part.hash);
        match parts.next() {
            None => digest(b""),
            Some(last) => parts.fold(last, |right, left| node_hash(&left, &right)),
        }
    }
}

/// The heads, in order, while the log is gone through.
pub struct HeadsChecked {
    relay: Fingerprint,
    before: Option<(Digest, Stamp)>,
    count: u64,
}

impl HeadsChecked {
    /// Of this relay.
    pub fn new(relay: Fingerprint) -> Self {
        Self { relay, before: None, count: 0 }
    }

    /// How many were checked.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Checks the next head against the entries so far.
    ///
    /// # Errors
    /// [`Damage::Head`], [`Damage::Signature`].
    pub fn check(&mut self, size: u64, head: &Signed, so_far: &Frontier) -> Result<(), Damage> {
        let wrong = |what| Damage::Head { size, what };
        let verified = check_head(&self.relay, head).map_err(|fault| Damage::Signature { size, fault })?;
        let text = verified.text();
        if text.size != size || so_far.size() != size {
            return Err(wrong("is not of so many entries"));
        }
        if text.root != so_far.root() {
            return Err(wrong("has another root than the log"));
        }
        if text.previous != self.before.map(|(id, _)| id) {
            return Err(wrong("does not name the head before it"));
        }
        if self.before.is_some_and(|(_, time)| text.time < time) {
            return Err(wrong("is older than the head before it"));
        }
        self.before = Some((text_id(&head.text), text.time));
        self.count += 1;
        Ok(())
    }
}

/// Goes through all of a ledger's log.
///
/// # Errors
/// [`Damage`]: the first thing that does not fit.
pub fn verify(rows: &(impl Read + ?Sized), relay: Fingerprint) -> Result<Verified, Damage> {
    let mut frontier = Frontier::default();
    let mut heads = HeadsChecked::new(relay);
    let mut waiting = rows.heads(0, 1)?.into_iter().next();
    let mut previous = None;
    let mut transfers = 0;
    loop {
        let page = rows.log_rows(frontier.size(), PAGE)?;
        if page.is_empty() {
            break;
        }
        for row in page {
            let leaf = check_row(rows, &row, frontier.size(), previous)?;
            transfers += u64::from(row.event.sequence == 0);
            for node in frontier.push(leaf) {
                if rows.log_node(node.level, node.place)? != Some(node.hash) {
                    return Err(Damage::Entry { number: row.number, what: "has a wrong node of the tree above it" });
                }
            }
            previous = Some(leaf);
            if let Some((size, head)) = waiting.take_if(|(size, _)| *size <= frontier.size()) {
                heads.check(size, &head, &frontier)?;
                waiting = rows.heads(size, 1)?.into_iter().next();
            }
        }
    }
    if let Some((size, _)) = waiting {
        return Err(Damage::Head { size, what: "is of more entries than there are" });
    }
    let entries = frontier.size();
    let (nodes, rows_of_transfers) = rows.log_counts()?;
    if nodes != entries - u64::from(entries.count_ones()) {
        return Err(Damage::Strays { what: "nodes of the tree" });
    }
    if rows_of_transfers != transfers {
        return Err(Damage::Strays { what: "transfers" });
    }
    Ok(Verified { entries, root: frontier.root(), heads: heads.count() })
}

fn check_row(
    rows: &(impl Read + ?Sized),
    row: &LogRow,
    number: u64,
    previous: Option<Digest>,
) -> Result<Digest, Damage> {
    let wrong = |what| Damage::Entry { number, what };
    if row.number != number {
        return Err(wrong("is missing"));
    }
    let leaf = LogEntry::of(number, previous, row.transfer, &row.event).leaf();
    if leaf != row.leaf {
        return Err(wrong("says something else than what was chained"));
    }
    match row.event.sequence.checked_sub(1) {
        None if row.event.kind != EventKind::Created => {
            return Err(wrong("is the first of its transfer and no beginning"));
        }
        None => match load(rows, row.transfer) {
            Ok(Some(_)) => {}
            Ok(None) | Err(LedgerError::Corrupt { .. }) => return Err(Damage::Transfer { id: row.transfer }),
            Err(error) => return Err(error.into()),
        },
        Some(before) => {
            let found = rows.log_of(row.transfer, before, number, 1)?;
            let follows =
                found.first().is_some_and(|found| found.event.sequence == before && found.event.time <= row.event.time);
            if !follows {
                return Err(wrong("does not follow the one before it in its transfer"));
            }
        }
    }
    Ok(leaf)
}
