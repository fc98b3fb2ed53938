//! The bodies of the fuzz targets. A target of cargo-fuzz calls one of them with its bytes; a test calls them with every
//! kept input. A body that finds something panics.
//!
//! | target | what it reads |
//! |---|---|
//! | [`messages()`] | every message of the protocol |
//! | [`statements()`] | statements, signatures, keys, codes, invites, addresses, offers, receipts |
//! | [`archive()`] | items, frames, blocks, paths, catalogue, tail, and whole hostile archives |
//! | [`machines()`] | any order of inputs to the machines of seller, buyer and relay |
//! | [`journals()`] | whatever may be found on the disk of client and relay |
//! | [`display()`] | names from the other side, as they are shown |

mod archive;
mod cbor;
mod display;
mod journals;
mod machines;
mod messages;
pub mod samples;
pub mod seeds;
mod statements;
pub mod take;

pub use archive::archive;
pub use display::display;
pub use journals::journals;
pub use machines::machines;
pub use messages::{body_of, messages};
pub use statements::{statement, statements};
