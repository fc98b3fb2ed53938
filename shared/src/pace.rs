//! Pacing: when the next piece of a stream may go, so that a stream is not faster than it may be.
//!
//! A rate is bytes a second. A stream is cut into pieces of a twentieth of a second ([`piece_bytes`]), and [`Pacer`] says
//! how long to wait before each. What a late timer lost is caught up with, up to another twentieth of a second: over
//! seconds the rate is met, and no tenth of a second carries more than two of them should.
//!
//! # Source
//! SPEC [S12.8].

use std::num::NonZeroU64;
use std::time::Duration;

/// So much of a second may be caught up with after a pause.
const CATCH_UP: Duration = Duration::from_millis(50);
/// Pieces a second, where they are not too small to be worth a packet or too large for a buffer.
const PIECES_A_SECOND: u64 = 20;
/// A smaller piece costs more around it than it carries.
const PIECE_BYTES_MIN: u64 = 1200;
/// A larger piece gains nothing.
const PIECE_BYTES_MAX: u64 = 64 * 1024;
/// The shortest time between two pieces that is worth it, when pieces of [`PIECE_BYTES_MIN`] come seldom: half a second.
const SLOW_PIECES_A_SECOND: u64 = 2;

/// How many bytes to send at once at this rate, from 1.
///
/// # Shape
/// A twentieth of a second's bytes; at slow rates a packet, unless that is more than half a second's.
pub fn piece_bytes(rate: NonZeroU64) -> usize {
    let rate = rate.get();
    let small = PIECE_BYTES_MIN.min(rate / SLOW_PIECES_A_SECOND).max(1);
    let bytes = (rate / PIECES_A_SECOND).clamp(small, PIECE_BYTES_MAX);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Says when the next piece may go. The clock is an argument; where it begins does not matter.
#[derive(Debug, Default)]
pub struct Pacer {
    /// When everything that was let go will have gone at its rate.
    due: Duration,
}

impl Pacer {
    /// Lets a piece go, and says how long to wait before it does.
    pub fn take(&mut self, now: Duration, rate: NonZeroU64, bytes: usize) -> Duration {
        let begin = self.due.max(now.saturating_sub(CATCH_UP));
        // Within u128: a second's nanoseconds times any count of bytes.
        let nanoseconds = bytes as u128 * 1_000_000_000 / u128::from(rate.get());
        let spent = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        self.due = begin.saturating_add(spent);
        begin.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn rate(bytes: u64) -> NonZeroU64 {
        NonZeroU64::new(bytes).unwrap()
    }

    #[test]
    fn pieces_are_a_twentieth_of_a_second_within_reason() {
        let table = [
            (1, 1),
            (2, 1),
            (100, 50),
            (10 * 1024, 1200),
            (24_000, 1200),
            (100_000, 5_000),
            (1 << 20, 52_428),
            (10 << 20, 65_536),
            (u64::MAX, 65_536),
        ];
        for (bytes, expected) in table {
            assert_eq!(piece_bytes(rate(bytes)), expected, "{bytes}");
        }
    }

    /// Sends for so long with a timer that is late by as much as `late` says, and gives the moments and sizes.
    fn sent(rate: NonZeroU64, span: Duration, late: impl Fn(u32) -> Duration) -> Vec<(Duration, usize)> {
        let (mut pacer, mut now, mut sent, mut turn) = (Pacer::default(), Duration::from_secs(7), Vec::new(), 0);
        let end = now + span;
        loop {
            let bytes = piece_bytes(rate);
            let wait = pacer.take(now, rate, bytes);
            if !wait.is_zero() {
                now += wait + late(turn);
                turn += 1;
            }
            if now >= end {
                return sent;
            }
            sent.push((now, bytes));
        }
    }

    #[test] // [S12.8]
    fn the_rate_is_met_over_seconds_and_never_passed_by_much() {
        for bytes in [10 * 1024, 300_000, 1 << 20, 50 << 20] {
            for late_ms in [0, 1, 7, 20] {
                let span = Duration::from_secs(20);
                let sent = sent(rate(bytes), span, |turn| MILLISECOND * (turn % (late_ms + 1)));
                let total: usize = sent.iter().map(|(_, bytes)| bytes).sum();
                let share = total as f64 / (bytes as f64 * span.as_secs_f64());
                assert!((0.985..1.015).contains(&share), "{bytes} late by {late_ms}: {share}");
                let piece = piece_bytes(rate(bytes)) as f64;
                let within = |from: Duration| {
                    let to = from + MILLISECOND * 100;
                    sent.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, bytes)| *bytes as f64).sum::<f64>()
                };
                let most = (70..260).map(|tenth| within(MILLISECOND * 100 * tenth)).fold(0.0, f64::max);
                assert!(most <= bytes as f64 * 0.151 + 2.0 * piece, "{bytes} late by {late_ms}: {most}");
            }
        }
    }

    #[test]
    fn a_long_pause_is_not_caught_up_with() {
        let (mut pacer, rate) = (Pacer::default(), rate(1_000_000));
        assert_eq!(pacer.take(Duration::from_secs(100), rate, 50_000), Duration::ZERO);
        assert_eq!(pacer.take(Duration::from_secs(100), rate, 50_000), Duration::ZERO);
        assert_eq!(pacer.take(Duration::from_secs(100), rate, 50_000), MILLISECOND * 50);
    }

    #[test]
    fn another_rate_counts_from_the_next_piece_on() {
        let (mut pacer, now) = (Pacer::default(), Duration::from_secs(1));
        pacer.take(now, rate(1_000), 100);
        assert_eq!(pacer.take(now, rate(1_000), 1_000), MILLISECOND * 50);
        assert_eq!(pacer.take(now + MILLISECOND * 1050, rate(1_000_000), 1_000), Duration::ZERO);
        assert_eq!(pacer.take(now + MILLISECOND * 1051, rate(u64::MAX), usize::MAX), Duration::ZERO);
        assert_eq!(pacer.take(now + MILLISECOND * 1051, rate(1), 1), MILLISECOND * 1000);
    }
}
