//! One stream between client and relay, over QUIC or over TLS on TCP.
//!
//! QUIC has streams; on TCP a connection carries one stream after the other, cut into records. What is said on a stream
//! is the same, and so both ends use [`SendStream`] and [`RecvStream`] and do not ask what is below.
//!
//! | module | what it holds |
//! |---|---|
//! | `stream` | the two halves of a stream, whatever carries them |
//! | [`tcp`] | a connection over TLS on TCP: handshake, records, keep-alives |
//!
//! # Source
//! SPEC \[S11\].

mod stream;
pub mod tcp;

pub use stream::{Lost, ReadError, ReadExactError, RecvStream, SendStream, WriteError};
