//! Tests.

// A failure in the kit is a failed test: it must be loud, and it has nobody to return an error to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the kit runs inside tests only")]

pub mod sim;
