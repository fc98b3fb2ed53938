//! A relay that lies, alters, withholds and floods: the real programs find it out, place nothing wrong, keep what is
//! theirs within bounded memory, and go on where that can be once the relay is honest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

mod absent;
mod blocks;
mod frames;
mod log;
mod offer;
mod scene;
mod told;
