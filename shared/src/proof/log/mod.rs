//! The relay's log: what it says, how it hangs together, and how whoever holds a part of it checks that part.
//!
//! | module | what it holds |
//! |---|---|
//! | [`entry`](mod@entry) | one entry: the text that is a leaf |
//! | [`tree`] | the Merkle tree over all entries, its proofs, and checking them |
//! | [`statements`] | what the relay signs: heads of the log, and that a transfer's data is gone |
//! | [`follow`] | checking what a relay shows against what it showed before |
//!
//! # Source
//! SPEC section S16, RFC 9162.

pub mod entry;
pub mod follow;
pub mod statements;
pub mod tree;

pub use entry::{LogEntry, event_word};
pub use follow::{Followed, History, LogFault, Subject, VerifiedHead, check_deletion, check_head};
pub use statements::{DeletionText, EndReason, LogHeadText, Method};
