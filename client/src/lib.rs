//! The two ends of a transfer: the seller's [`push`] and the buyer's [`pull`], as a library. The program `handover` is
//! [`cli`] on top of it, and `cli` alone prints.
//!
//! | module | what it holds |
//! |---|---|
//! | [`push`] | the path of the data from the seller's files to the relay |
//! | [`pull`] | the path of the data from the relay to the buyer's files |
//! | [`watch`] | what the relay tells either side about a transfer; receipts coming in |
//! | [`verify`] | whether a folder still matches what was received or sent |
//! | [`agreement`] | the document that the buyer must sign first, and what it says to it |
//! | [`destroy`] | what is left of a transfer destroyed, with a certificate |
//! | [`receipts`] | receipts kept, checked, exported |
//! | [`record`] | the handover record: made, and checked |
//! | [`bandwidth`] | how fast a run may go |
//! | [`link`] | connections to a relay; the only place with sockets |
//! | [`home`] | this machine's keys, relays and transfers; the only place with the client's own files |
//! | [`doctor`] | why it does not work here |
//! | [`embedded`] | the one seam to the relay's library, for a push without a relay |
//! | [`event`] | what a run tells while it works |
//! | [`audit`] | what the relay's log says of a transfer |
//! | [`error`] | why a run ended |
//! | [`stop`] | the request to stop, seen by every part of a run |

pub mod agreement;
pub mod audit;
pub mod bandwidth;
pub mod cli;
pub mod destroy;
pub mod doctor;
pub mod embedded;
pub mod error;
pub mod event;
pub mod home;
pub mod link;
pub mod private;
pub mod pull;
pub mod push;
pub mod receipts;
pub mod record;
pub mod stop;
pub mod verify;
pub mod watch;
pub mod words;
