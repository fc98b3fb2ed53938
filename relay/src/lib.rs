//! The relay: stores sealed blocks and hands them on, and can open none of them.
//!
//! A program starts one with [`Relay::start`]; everything else hangs on that.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | what a relay can be told |
//! | [`serve`] | starting, sweeping, draining |
//! | `reception` | whoever comes: admitted, shaken hands with, answered |
//! | [`link`] | QUIC and TLS on TCP: the only sockets |
//! | [`admit`] | connections and failures per address |
//! | [`operation`] | one file per operation of the protocol |
//! | [`live`] | who waits for what right now |
//! | [`cleanup`] | erasing shares, deleting blocks, recovering after a crash |
//! | [`ledger`] | what is remembered |
//! | [`store`] | where sealed blocks and shares are |
//! | [`home`] | the data folder |
//! | [`invite`] | making invites |
//!
//! # Source
//! SPEC S11, S12, S13.

pub mod admit;
pub mod cleanup;
pub mod config;
pub mod home;
pub mod invite;
pub mod ledger;
pub mod link;
pub mod live;
pub mod operation;
mod reception;
pub mod serve;
pub mod store;
mod tasks;

pub use config::{Advertise, Config, Limits};
pub use ledger::operations::Enrolment;
pub use serve::{Relay, Running, StartError};

/// The relay's program and version, as it tells clients.
pub const VERSION: &str = concat!("handover-relay/", env!("CARGO_PKG_VERSION"));
