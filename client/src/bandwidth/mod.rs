//! How fast a run may go: the timetable by the clock of this machine, the switch that lifts it, and the brake for what
//! leaves. What arrives is slowed down where it begins, at the relay: [`Fetch`](handover_shared::protocol::message::Fetch)
//! asks it for a pace.
//!
//! # Source
//! SPEC \[S12.8\].

mod timetable;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use handover_shared::pace::{Pacer, piece_bytes};
use jiff::Zoned;

pub use timetable::{Direction, NotATimetable, Rates, Timetable};

/// The limit of a run; shared by everything that sends or asks for blocks.
#[derive(Debug, Default)]
pub struct Bandwidth {
    timetable: Timetable,
    is_lifted: AtomicBool,
}

/// Whether the timetable counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// It does.
    InForce,
    /// It has been switched off for this run.
    Lifted,
}

impl Bandwidth {
    /// By a timetable.
    pub fn of(timetable: Timetable) -> Arc<Self> {
        Arc::new(Self { timetable, is_lifted: AtomicBool::new(false) })
    }

    /// Whether there is anything that could be lifted.
    pub fn is_limited(&self) -> bool {
        self.timetable != Timetable::default()
    }

    /// Lifts the limit, or puts it in force again.
    pub fn toggle(&self) -> Limit {
        if self.is_lifted.fetch_xor(true, Ordering::Relaxed) { Limit::InForce } else { Limit::Lifted }
    }

    /// What holds now, one way.
    pub fn rate(&self, direction: Direction) -> Option<NonZeroU64> {
        if !self.is_limited() || self.is_lifted.load(Ordering::Relaxed) {
            return None;
        }
        self.timetable.at(&Zoned::now()).of(direction)
    }

    /// At least how many seconds so many bytes take from now on.
    pub fn seconds_for(&self, direction: Direction, bytes: u64) -> u64 {
        if !self.is_limited() || self.is_lifted.load(Ordering::Relaxed) {
            return 0;
        }
        self.timetable.seconds_for(&Zoned::now(), direction, bytes)
    }

    /// The brake of one stream that leaves this machine.
    pub fn brake(self: &Arc<Self>) -> Brake {
        Brake { bandwidth: self.clone(), pacer: Pacer::default(), began: Instant::now() }
    }
}

/// Lets a stream go no faster than it may.
#[derive(Debug)]
pub struct Brake {
    bandwidth: Arc<Bandwidth>,
    pacer: Pacer,
    began: Instant,
}

impl Brake {
    /// Takes what may go now from the front of a block, when it may.
    pub async fn piece(&mut self, block: &mut Bytes) -> Bytes {
        let (wait, piece) = self.take(self.began.elapsed(), block);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        piece
    }

    /// A piece, and how long to wait before it may go.
    fn take(&mut self, now: Duration, block: &mut Bytes) -> (Duration, Bytes) {
        let Some(rate) = self.bandwidth.rate(Direction::Up) else { return (Duration::ZERO, std::mem::take(block)) };
        let piece = block.split_to(piece_bytes(rate).min(block.len()));
        (self.pacer.take(now, rate, piece.len()), piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a megabyte takes with timers that are on time, and in how many pieces.
    fn megabyte(bandwidth: &Arc<Bandwidth>) -> (f64, usize) {
        let (mut brake, mut now, mut pieces) = (bandwidth.brake(), Duration::from_secs(9), 0);
        let mut block = Bytes::from(vec![0; 1 << 20]);
        while !block.is_empty() {
            let (wait, piece) = brake.take(now, &mut block);
            assert!(!piece.is_empty());
            now += wait;
            pieces += 1;
        }
        (now.as_secs_f64() - 9.0, pieces)
    }

    #[test] // [S12.8]
    fn a_stream_takes_its_time_and_a_switch_lifts_it() {
        let bandwidth = Bandwidth::of("256k:off".parse().unwrap());
        let (seconds, pieces) = megabyte(&bandwidth);
        assert!((3.8..4.1).contains(&seconds), "{seconds}");
        assert_eq!(pieces, 81, "a twentieth of a second each");
        assert_eq!(bandwidth.rate(Direction::Down), None);

        assert_eq!(bandwidth.toggle(), Limit::Lifted);
        assert_eq!(megabyte(&bandwidth), (0.0, 1));
        assert_eq!(bandwidth.seconds_for(Direction::Up, 1 << 20), 0);

        assert_eq!(bandwidth.toggle(), Limit::InForce);
        assert_eq!(bandwidth.seconds_for(Direction::Up, 1 << 20), 4);
        assert_eq!(bandwidth.rate(Direction::Up), NonZeroU64::new(256 * 1024));
    }

    #[test]
    fn without_a_limit_nothing_is_cut() {
        let bandwidth = Arc::new(Bandwidth::default());
        assert!(!bandwidth.is_limited());
        assert_eq!(megabyte(&bandwidth), (0.0, 1));
    }
}
