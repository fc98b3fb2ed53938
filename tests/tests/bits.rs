//! Every bit of every message of the protocol, flipped one at a time: never a panic, and whatever is still taken is
//! another message in its one encoding.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use handover_shared::protocol::message::{HEADER_BYTES, Header};
use handover_tests::fuzz::{body_of, seeds};

/// The part of a message that is flipped bit by bit.
const BYTES_MAX: usize = 4096;

#[test] // [S2.2] [S11.3] [S12.1]
fn an_altered_message_is_refused_or_another() {
    let (mut messages, mut bits) = (0, 0);
    for seed in 1..9 {
        for (name, bytes) in seeds::all_messages(seed) {
            messages += 1;
            body_of(bytes[4], &bytes[HEADER_BYTES..]);
            let header = Header::of_bytes(*bytes.first_chunk().unwrap()).unwrap();
            assert_eq!(header.body_bytes, bytes.len() - HEADER_BYTES, "{name}");
            for bit in 0..bytes.len().min(BYTES_MAX) * 8 {
                let mut altered = bytes.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                bits += 1;
                // It checks that whatever is taken is encoded to these very bytes, which are others than before.
                body_of(altered[4], &altered[HEADER_BYTES..]);
                let read = Header::of_bytes(*altered.first_chunk().unwrap());
                assert!(bit >= HEADER_BYTES * 8 || read != Ok(header), "{name}, bit {bit}");
            }
        }
    }
    assert!(messages >= 8 * 24 && bits > 100_000, "{messages} messages, {bits} bits");
}
