//! The archive: entries become items, items frames, frames blocks; and back. Pure steps, each beside its inverse.
//!
//! | module | seller | buyer |
//! |---|---|---|
//! | [`path`] | names that cannot lead out of their folder | the same |
//! | [`item`] | writes items | reads items |
//! | [`content`], [`manifest`] | hash of a file, root over all records | the same |
//! | [`writer`], [`reader`] | entries and bytes to raw frames | items to what is to be placed, every rule enforced |
//! | [`catalogue`] | list of records, pages, tail | the same |
//! | [`inventory`] | what can be named when the data is gone | the same |
//! | [`frame`] | packs | unpacks |
//! | [`stream`] | cuts frames into payloads | joins payloads to frames |
//! | [`block`] | seals | opens |
//!
//! # What is copied where
//! Seller: bytes are read into the raw frame ([`writer::Writer::room`]), a stored frame keeps that buffer
//! ([`frame::Packer::pack`]), [`stream::Cutter`] copies it into the payload, and sealing writes the block. Buyer: a block
//! is opened in its own buffer ([`block::OpenedBlock`]), [`stream::FrameReader`] copies its bytes into the frame, a
//! stored frame gives its buffer away ([`frame::Unpacker::unpack`]), and [`reader::Event`] borrows from that.
//!
//! # Crashes
//! Seller: for every frame, [`writer::WriterState`] and [`catalogue::Places`] are kept with the block in which the frame
//! ends; after a crash, those of the last frame that ends within the durable blocks, and [`stream::Cutter::start`] at
//! the first block that is not durable, go on. Buyer: [`reader::ReaderState`] and [`stream::Position`] behind a frame.
//!
//! # Security
//! Every parser takes bytes of a seller who may be hostile: nothing is allocated beyond the limits, nothing panics, and
//! a fault says which rule was broken and nothing else.
//!
//! # Source
//! SPEC [S6.1] to [S9.5].

pub mod block;
pub mod catalogue;
pub mod content;
pub mod fault;
pub mod frame;
pub mod inventory;
pub mod item;
pub mod manifest;
pub mod path;
pub mod reader;
mod sequence;
pub mod stream;
pub mod writer;

pub use fault::ArchiveFault;
pub use sequence::{OpenFile, Voided};

#[cfg(test)]
mod tests;
