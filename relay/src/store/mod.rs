//! Where sealed blocks are kept: immutable segments of consecutive blocks, written once, synced, read in ranges,
//! deleted together. The ledger alone says which segments count; a segment that no row names is an orphan.
//!
//! [`Segments`] is the seam for other storage; [`files`] is what is built in; [`shares`] keeps the relay shares.

pub mod files;
pub mod shares;

use std::io;

use bytes::Bytes;
use handover_shared::ids::{BlockIndex, TransferId};

/// Bytes of one read.
pub const READ_BYTES: usize = 1024 * 1024;

/// A store of segments; every call may block.
pub trait Segments: Send + Sync + 'static {
    /// Begins a segment under a name that was never used.
    ///
    /// # Errors
    /// What the storage says; so for every method.
    fn create(&self, id: TransferId, first: BlockIndex) -> io::Result<Box<dyn SegmentWriter>>;
    /// Opens a finished segment.
    ///
    /// # Errors
    /// `NotFound` after it was deleted.
    fn open(&self, id: TransferId, name: &str) -> io::Result<Box<dyn SegmentReader>>;
    /// Removes every segment of a transfer, durably; none being there is success.
    ///
    /// # Errors
    /// What the storage says.
    fn delete(&self, id: TransferId) -> io::Result<()>;
    /// Removes one segment; its not being there is success.
    ///
    /// # Errors
    /// What the storage says.
    fn remove(&self, id: TransferId, name: &str) -> io::Result<()>;
    /// Transfers that have anything here.
    ///
    /// # Errors
    /// What the storage says.
    fn transfers(&self) -> io::Result<Vec<TransferId>>;
    /// Names of a transfer's segments, unfinished ones included.
    ///
    /// # Errors
    /// What the storage says.
    fn names(&self, id: TransferId) -> io::Result<Vec<String>>;
    /// Bytes there is room for.
    ///
    /// # Errors
    /// What the storage says.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// A segment being written; dropped unfinished, it is removed.
pub trait SegmentWriter: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// What the storage says; the segment is then useless.
    fn write(&mut self, pieces: &[Bytes]) -> io::Result<()>;
    /// Makes it durable, and tells its name.
    ///
    /// # Errors
    /// What the storage says; the segment is then removed, since a failed sync cannot be repeated.
    fn finish(self: Box<Self>) -> io::Result<String>;
}

/// A finished segment.
pub trait SegmentReader: Send {
    /// Reads exactly so many bytes from a place.
    ///
    /// # Errors
    /// `UnexpectedEof` when the segment is shorter.
    fn read(&mut self, offset: u64, length: usize) -> io::Result<Bytes>;
}

#[cfg(test)]
mod contract;
