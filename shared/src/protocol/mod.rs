//! What travels between client and relay, and what each of the three must do about it.
//!
//! [`message`] is the wire; [`relay`], [`seller`] and [`buyer`] are the three state machines, and [`papers`] says who may
//! lay what beside the blocks. A machine is a struct with
//! `handle(now, input)` and `poll() -> Option<Output>`; after every `handle`, drain `poll` until it is empty. Machines
//! do nothing themselves: they say what is to be done, and are told what came of it.

#[cfg(feature = "endpoint")]
pub mod buyer;
pub mod message;
pub mod papers;
pub mod record;
pub mod relay;
#[cfg(feature = "endpoint")]
pub mod seller;
