//! Secrets, what is derived from them, and the three ways of sealing: under a key, under a code, to a buyer.
//!
//! | module | what it holds |
//! |---|---|
//! | [`entropy`] | where random bytes come from |
//! | [`secret`] | bytes that are wiped, never printed, never copied by accident |
//! | [`labels`] | every label that separates one use of a key from another |
//! | [`seal`] | the one symmetric sealing |
//! | [`hybrid`] | sealing the relay share to the buyer |
//! | [`address`] | how a relay's address is written |
//! | `code` | the one-time code as text and as words (only with `endpoint`) |
//! | `schedule` | everything derived from code and content key (only with `endpoint`) |
//!
//! # Source
//! SPEC sections S4 and S5.

pub mod address;
#[cfg(feature = "endpoint")]
pub mod code;
pub mod entropy;
mod expand;
pub mod hybrid;
pub mod labels;
#[cfg(feature = "endpoint")]
pub mod schedule;
pub mod seal;
pub mod secret;
#[cfg(feature = "endpoint")]
mod words;

pub use entropy::{Entropy, OsEntropy};
pub use secret::Secret;
