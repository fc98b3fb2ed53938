//! The rules that the items of an archive follow one after the other, kept by the writer and enforced by the reader with
//! the same code.
//!
//! # Source
//! SPEC [S6.3] [S6.4] [S6.7] [S9.1].

use super::content::PieceHasher;
use super::fault::ArchiveFault;
use super::item::{Entry, EntryEnd, EntryKind, Exception};
use super::manifest::{Counts, Node as Leaf, Record, RootBuilder, leaf};
use super::path::{EntryPath, Node, Tree};
use crate::ids::Root;

/// A file whose entry has come and whose end has not.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct OpenFile {
    #[n(0)]
    entry: Entry,
    #[n(1)]
    hasher: PieceHasher,
    #[n(2)]
    voids: u32,
}

impl OpenFile {
    /// How it began.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Bytes of it that have come.
    pub fn bytes(&self) -> u64 {
        self.hasher.bytes()
    }

    /// How often it was begun before, and ended void.
    pub fn voids(&self) -> u32 {
        self.voids
    }
}

/// A file that ended void and must come again.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Voided {
    #[n(0)]
    path: EntryPath,
    #[n(1)]
    voids: u32,
}

impl Voided {
    /// Its path.
    pub fn path(&self) -> &EntryPath {
        &self.path
    }

    /// How often it ended void.
    pub fn voids(&self) -> u32 {
        self.voids
    }
}

/// Everything that has to be known of the items so far to judge the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub(super) struct Sequence {
    #[n(0)]
    tree: Tree,
    #[n(1)]
    counts: Counts,
    #[n(2)]
    root: RootBuilder,
    #[n(3)]
    open: Option<OpenFile>,
    #[n(4)]
    voided: Option<Voided>,
}

impl Sequence {
    pub fn open(&self) -> Option<&OpenFile> {
        self.open.as_ref()
    }

    pub fn voided(&self) -> Option<&Voided> {
        self.voided.as_ref()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn root(&self) -> &RootBuilder {
        &self.root
    }

    pub fn root_hash(&self, manifest_key: &[u8; 32]) -> Root {
        self.root.root(manifest_key)
    }

    /// Whether nothing has begun that has not ended.
    pub fn is_settled(&self) -> bool {
        self.open.is_none() && self.voided.is_none()
    }

    /// Takes an entry; gives the record of a folder or link.
    pub fn begin(&mut self, manifest_key: &[u8; 32], entry: Entry) -> Result<Option<(Record, Leaf)>, ArchiveFault> {
        entry.check()?;
        self.check_nothing_open()?;
        let voids = match &self.voided {
            // [S6.4]
            Some(voided) if voided.path == entry.path && entry.kind == EntryKind::File => voided.voids,
            Some(_) => return Err(ArchiveFault::AfterVoid),
            None => {
                let node = if entry.kind == EntryKind::Folder { Node::Folder } else { Node::Leaf };
                self.tree.admit(&entry.path, node)?; // [S6.7]
                0
            }
        };
        if entry.kind == EntryKind::File {
            self.voided = None;
            self.open = Some(OpenFile { entry, hasher: PieceHasher::new(), voids });
            return Ok(None);
        }
        Ok(Some(self.finish(manifest_key, Record::of_entry(entry))))
    }

    /// Whether a piece of this length may come.
    pub fn check_piece(&self, bytes: usize) -> Result<(), ArchiveFault> {
        // [S6.3]
        let open = self.open.as_ref().ok_or(ArchiveFault::ItemPlace)?;
        if bytes == 0 || bytes > crate::limits::PIECE_BYTES || !open.hasher.is_open() {
            return Err(ArchiveFault::DataLength);
        }
        let total = open.bytes().checked_add(bytes as u64);
        match (total, open.entry.size) {
            (Some(total), Some(size)) if total > size => Err(ArchiveFault::DataBeyondSize),
            (None, _) => Err(ArchiveFault::DataLength),
            _ => Ok(()),
        }
    }

    /// Takes a piece of the open file; gives where in the file it belongs.
    pub fn piece(&mut self, piece: &[u8]) -> Result<u64, ArchiveFault> {
        self.check_piece(piece.len())?;
        let open = self.open.as_mut().ok_or(ArchiveFault::ItemPlace)?;
        let offset = open.bytes();
        open.hasher.piece(piece)?;
        Ok(offset)
    }

    /// How the open file ends if it ends here and is whole.
    pub fn whole(&self) -> Result<EntryEnd, ArchiveFault> {
        let open = self.open.as_ref().ok_or(ArchiveFault::ItemPlace)?;
        let size = open.bytes();
        if open.entry.size.is_some_and(|announced| announced != size) {
            return Err(ArchiveFault::EndSize);
        }
        Ok(EntryEnd::Whole { size, hash: open.hasher.finish() })
    }

    /// Takes the end of the open file; gives its record, or nothing if it is void.
    pub fn end(&mut self, manifest_key: &[u8; 32], end: EntryEnd) -> Result<Option<(Record, Leaf)>, ArchiveFault> {
        // [S6.4]
        let EntryEnd::Whole { size, hash } = end else {
            let OpenFile { entry, voids, .. } = self.open.take().ok_or(ArchiveFault::ItemPlace)?;
            self.voided = Some(Voided { path: entry.path, voids: voids.saturating_add(1) });
            return Ok(None);
        };
        if self.open.as_ref().is_some_and(|open| open.bytes() != size) {
            return Err(ArchiveFault::EndSize);
        }
        if self.whole()? != end {
            return Err(ArchiveFault::EndHash);
        }
        let OpenFile { entry, .. } = self.open.take().ok_or(ArchiveFault::ItemPlace)?;
        Ok(Some(self.finish(manifest_key, Record::of_file(entry, size, hash))))
    }

    /// Takes an exception.
    pub fn exception(&mut self, manifest_key: &[u8; 32], exception: Exception) -> Result<(Record, Leaf), ArchiveFault> {
        exception.check()?;
        self.check_nothing_open()?;
        match &self.voided {
            Some(voided) if voided.path != exception.path => return Err(ArchiveFault::AfterVoid),
            Some(_) => self.voided = None,
            None => self.tree.admit(&exception.path, Node::Leaf)?,
        }
        Ok(self.finish(manifest_key, Record::of_exception(exception)))
    }

    fn check_nothing_open(&self) -> Result<(), ArchiveFault> {
        if self.open.is_some() { Err(ArchiveFault::ItemPlace) } else { Ok(()) }
    }

    fn finish(&mut self, manifest_key: &[u8; 32], record: Record) -> (Record, Leaf) {
        let leaf = leaf(manifest_key, &record);
        self.root.push(manifest_key, leaf);
        self.counts.add(&record);
        (record, leaf)
    }
}
