//! The handover record: one page that shows what was handed over, by whom, under which agreement, that it arrived, and what
//! became of it; with everything that is needed to check it years later, without this program.
//!
//! | module | what it holds |
//! |---|---|
//! | [`evidence`] | what is known of a transfer, as it travels in a record |
//! | `gather` | the evidence of a transfer of this machine |
//! | `rules` | the table of statements: who signs, which line must say what |
//! | `check` | every statement against the table |
//! | `inventory` | the hand-over list, read |
//! | `timeline` | what happened when, by whose clock |
//! | [`model`] | all of it together: what a record says |
//! | `html`, `json` | the model as a page and for programs |
//! | [`mod@verify`] | a record from anybody, checked |
//!
//! A record is a function of its evidence and its language. Whoever checks one takes the evidence out, checks every
//! statement, makes the record again, and compares: what was changed by hand is found, wherever it stands.
//!
//! # Source
//! SPEC \[S19\].

mod check;
pub mod evidence;
mod gather;
mod html;
mod inventory;
mod json;
pub mod model;
mod rules;
#[cfg(test)]
mod tests;
mod timeline;
pub mod verify;

pub use check::{Check, Why};
pub use evidence::Evidence;
pub use gather::{full_list, gather};
pub use html::{fault_words, finding_words, page, role_word, verdict_words};
pub use json::{document, verdict_word};
pub use model::{Model, Verdict};
pub use verify::{Pins, Verified, verify};

/// The number of the form of a page. Whatever changes what a page looks like changes it: a page is compared byte for byte
/// with what its evidence gives. [S19.4]
pub const FORM: u32 = 1;
/// A record is no longer than this.
pub const RECORD_BYTES_MAX: usize = 32 * 1024 * 1024;
