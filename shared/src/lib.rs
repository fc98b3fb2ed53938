//! What seller, buyer and relay agree on. Pure arithmetic: bytes, times and random seeds come in as arguments,
//! values come out; no file, socket, clock, environment, terminal or task. `SPEC.md` beside this crate is its law,
//! and rules are cited as `[S4.2]`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`limits`] | every bound on bytes from outside |
//! | [`ids`] | the small values everything is named by |
//! | [`fault`] | numbered reasons for refusing |
//! | [`invite`] | what enrols a seller at a relay |
//! | [`codec`] | deterministic CBOR and length-framed messages |
//! | [`congestion`] | how fast to send: the controller of congestion |
//! | [`keys`] | code, key schedule, sealing, hybrid key |
//! | [`archive`] | items, frames, blocks, manifest: each a step and its inverse (only with `endpoint`) |
//! | [`proof`] | signed statements |
//! | [`pace`] | when the next piece of a stream may go |
//! | [`protocol`] | messages, and the state machines of seller, buyer and relay |
//! | [`shown`] | characters that do not show as themselves |
//! | [`tls`] | the TLS settings both ends share |

#[cfg(feature = "endpoint")]
pub mod archive;
pub mod codec;
pub mod congestion;
pub mod fault;
pub mod ids;
pub mod invite;
pub mod keys;
pub mod limits;
pub mod pace;
pub mod proof;
pub mod protocol;
pub mod shown;
pub mod tls;
