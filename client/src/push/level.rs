//! How hard to compress: as hard as costs no time.
//!
//! Workers say how long packing took. Where they are busy all the time, packing is what everybody waits for, and the
//! next frames are packed less; where they are idle, the disk, the network or the relay is, and harder packing is free
//! and saves bytes. Looked at a few times a second; what proved too slow is not tried again for a while.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use handover_shared::archive::ArchiveFault;
use handover_shared::archive::frame::{Codec, Level, Packed, Packer};

/// A level, and the seconds of a core that a gibibyte of customer tables takes at it.
struct Rung {
    level: Option<i32>,
    seconds_per_gib: f64,
}

/// From not at all to hard. The costs were measured on one machine; only their ratios count.
const LADDER: [Rung; 6] = [
    Rung { level: None, seconds_per_gib: 0.13 },
    Rung { level: Some(-5), seconds_per_gib: 2.6 },
    Rung { level: Some(1), seconds_per_gib: 3.3 },
    Rung { level: Some(3), seconds_per_gib: 6.1 },
    Rung { level: Some(6), seconds_per_gib: 12.0 },
    Rung { level: Some(9), seconds_per_gib: 22.0 },
];
/// The sound default for tables and text.
const FIRST: usize = 2;
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// From here on packing is what everybody waits for.
const BUSY: f64 = 0.9;
/// A harder level is taken where it would leave this much idle.
const ROOM: f64 = 0.7;
/// Looks before a level that was too slow is tried again.
const GRUDGE_LOOKS: u64 = 64;

/// Chooses the level for all workers.
pub struct LevelChoice {
    fixed: Option<Level>,
    workers: usize,
    rung: AtomicUsize,
    spent_ns: AtomicU64,
    packed_bytes: AtomicU64,
    look: Mutex<Look>,
}

struct Look {
    since: Instant,
    ladder: Ladder,
}

/// The choice itself, without clocks.
#[derive(Clone, Debug, Default)]
struct Ladder {
    looks: u64,
    /// The hardest level not yet too slow, and when to forget that.
    ceiling: Option<(usize, u64)>,
}

impl LevelChoice {
    /// A fixed level, or one that is chosen while it runs.
    pub fn new(fixed: Option<Level>, workers: usize) -> Self {
        Self {
            fixed,
            workers,
            rung: AtomicUsize::new(FIRST),
            spent_ns: AtomicU64::new(0),
            packed_bytes: AtomicU64::new(0),
            look: Mutex::new(Look { since: Instant::now(), ladder: Ladder::default() }),
        }
    }

    /// The level for the next frame.
    pub fn level(&self) -> Level {
        let rung = self.rung.load(Ordering::Relaxed);
        self.fixed.unwrap_or_else(|| level_of(rung))
    }

    /// Packs a frame at the level of now.
    ///
    /// # Errors
    /// As [`Packer::pack`].
    pub fn pack(&self, packer: &mut Packer, raw: Vec<u8>) -> Result<Packed, ArchiveFault> {
        packer.set_level(self.level())?;
        let (raw_bytes, begun) = (raw.len() as u64, Instant::now());
        let packed = packer.pack(raw)?;
        if self.fixed.is_none() {
            let spent = begun.elapsed();
            // What does not shrink costs nearly nothing and says nothing.
            if packed.head().codec() == Codec::Zstd || self.rung.load(Ordering::Relaxed) == 0 {
                self.spent_ns.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
                self.packed_bytes.fetch_add(raw_bytes, Ordering::Relaxed);
            }
            self.look();
        }
        Ok(packed)
    }

    fn look(&self) {
        // Whoever finds the lock taken knows that another worker is looking.
        let Ok(mut look) = self.look.try_lock() else { return };
        let wall = look.since.elapsed();
        if wall < LOOK_EVERY {
            return;
        }
        look.since = Instant::now();
        let spent = Duration::from_nanos(self.spent_ns.swap(0, Ordering::Relaxed));
        let packed_bytes = self.packed_bytes.swap(0, Ordering::Relaxed);
        if packed_bytes == 0 {
            return;
        }
        let room = wall.as_secs_f64() * self.workers as f64;
        let rung = self.rung.load(Ordering::Relaxed);
        let next = look.ladder.next(rung, spent.as_secs_f64() / room, packed_bytes as f64 / room);
        if next != rung {
            tracing::debug!(from = ?LADDER[rung].level, to = ?LADDER[next].level, "another level of compression");
            self.rung.store(next, Ordering::Relaxed);
        }
    }

    /// Starts the clock: what came before was no packing.
    pub fn begin(&self) {
        self.look.lock().unwrap_or_else(PoisonError::into_inner).since = Instant::now();
    }
}

impl Ladder {
    /// The rung to go on with, where workers were busy for so much of their time and each took so many bytes per second.
    fn next(&mut self, rung: usize, busy: f64, bytes_per_second: f64) -> usize {
        self.looks += 1;
        if self.ceiling.is_some_and(|(_, until)| self.looks >= until) {
            self.ceiling = None;
        }
        if busy >= BUSY {
            let next = rung.saturating_sub(1);
            self.ceiling = Some((next, self.looks + GRUDGE_LOOKS));
            return next;
        }
        let highest = self.ceiling.map_or(LADDER.len() - 1, |(rung, _)| rung);
        let harder = rung + 1;
        if harder > highest {
            return rung;
        }
        // Not packing at all tells nothing of this machine's speed at packing.
        let expected = match rung {
            0 => bytes_per_second / GIB * LADDER[harder].seconds_per_gib,
            _ => busy * LADDER[harder].seconds_per_gib / LADDER[rung].seconds_per_gib,
        };
        if expected <= ROOM { harder } else { rung }
    }
}

const GIB: f64 = 1_073_741_824.0;

fn level_of(rung: usize) -> Level {
    LADDER[rung].level.and_then(Level::zstd).unwrap_or(Level::STORED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a ladder against a demand of bytes per second and worker, on a machine as fast as the one measured.
    fn settle(demand: f64, looks: usize) -> Vec<usize> {
        let (mut ladder, mut rung) = (Ladder::default(), FIRST);
        let mut seen = Vec::new();
        for _ in 0..looks {
            let needed = demand / GIB * LADDER[rung].seconds_per_gib;
            let busy = needed.min(1.0);
            rung = ladder.next(rung, busy, demand * busy / needed);
            seen.push(rung);
        }
        seen
    }

    #[test]
    fn every_rung_is_a_level() {
        for (rung, it) in LADDER.iter().enumerate().skip(1) {
            assert_eq!(Some(level_of(rung)), it.level.and_then(Level::zstd));
        }
        assert_eq!(level_of(0), Level::STORED);
        assert_eq!(level_of(FIRST), Level::DEFAULT);
    }

    #[test]
    fn a_slow_link_is_packed_for_hard() {
        assert_eq!(settle(1e6, 10).last(), Some(&5));
        assert_eq!(settle(100e6, 10).last(), Some(&3));
    }

    #[test]
    fn a_fast_link_is_not_waited_for() {
        assert_eq!(settle(2e9, 10).last(), Some(&0));
        assert_eq!(settle(300e6, 10).last(), Some(&1));
    }

    #[test]
    fn what_was_too_slow_is_not_tried_all_the_time() {
        let seen = settle(300e6, 1000);
        let changes = seen.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes <= 2 * 1000 / GRUDGE_LOOKS as usize, "{changes} changes");
    }

    #[test]
    fn a_fixed_level_stays() {
        let choice = LevelChoice::new(Level::zstd(7), 1);
        let mut packer = Packer::new(choice.level()).unwrap();
        for _ in 0..10 {
            choice.pack(&mut packer, vec![7; 100_000]).unwrap();
        }
        assert_eq!(Some(choice.level()), Level::zstd(7));
    }
}
