//! When to try again. A transfer is tried for as long as it is valid; only the pauses have a bound.

use std::time::Duration;

/// The pauses between attempts: a quarter of a second, doubling, at most ten seconds, each shortened by up to a third
/// at random so that many clients do not come back at once.
#[derive(Debug, Default)]
pub struct Backoff {
    attempt: u32,
}

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

impl Backoff {
    /// The number of the attempt that comes next, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt + 1
    }

    /// The pause before the next attempt, given a random value.
    pub fn pause(&mut self, random: u32) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1u32 << self.attempt.min(8)).min(PAUSE_MAX);
        self.attempt = self.attempt.saturating_add(1);
        pause - pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 3.0)
    }

    /// Something moved: the next trouble begins with the first pause.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_start_over() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..8).map(|_| backoff.pause(0).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(backoff.attempt(), 9);
        backoff.reset();
        assert_eq!(backoff.attempt(), 1);
        assert!(backoff.pause(u32::MAX) >= Duration::from_millis(166));
    }
}
