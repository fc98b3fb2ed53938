//! The machines of seller, buyer and relay under any inputs in any order: never a panic, and never a promise broken.

mod buyer;
mod relay;
mod seller;

use super::take::Take;

/// Drives one machine. The first byte chooses which.
pub fn machines(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let take = &mut Take::new(rest);
    match choice % 3 {
        0 => relay::relay(take),
        1 => seller::seller(take),
        _ => buyer::buyer(take),
    }
}
