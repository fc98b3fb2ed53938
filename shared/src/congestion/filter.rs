//! The greatest of the last rounds.

use std::collections::VecDeque;

/// Rounds that count.
const ROUNDS: u64 = 10;

/// The greatest value of the last ten rounds. What is smaller than a later value is forgotten at once, so few are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct MaxOfRounds {
    falling: VecDeque<(u64, f64)>,
}

impl MaxOfRounds {
    pub(super) fn push(&mut self, round: u64, value: f64) {
        while self.falling.back().is_some_and(|(_, last)| *last <= value) {
            self.falling.pop_back();
        }
        self.falling.push_back((round, value));
        while self.falling.front().is_some_and(|(then, _)| then + ROUNDS < round) {
            self.falling.pop_front();
        }
    }

    /// Zero before anything was pushed.
    pub(super) fn get(&self) -> f64 {
        self.falling.front().map_or(0.0, |(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_is_forgotten_after_ten_rounds() {
        let mut filter = MaxOfRounds::default();
        assert_eq!(filter.get(), 0.0);
        filter.push(1, 5.0);
        for round in 2..=11 {
            filter.push(round, 2.0);
            assert_eq!(filter.get(), 5.0);
        }
        filter.push(12, 1.0);
        assert_eq!(filter.get(), 2.0);
        filter.push(12, 9.0);
        assert_eq!(filter.get(), 9.0);
    }
}
