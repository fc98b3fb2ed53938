//! Which loss is the path's own, and which is congestion.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Phase;

/// Entries kept; the oldest is dropped.
const ENTRIES_MAX: usize = 64;
/// The path's own loss is never taken to be more.
const BASE_MAX: f64 = 0.15;
/// Loss beyond the path's own that is congestion.
const EXCESS: f64 = 0.02;
/// The same while a queue stands, when it is far more likely.
const EXCESS_QUEUED: f64 = 0.005;
/// Weight of what a round tells of the path while a queue stands.
const DOUBTFUL: f64 = 0.1;
/// Loss that ends a startup.
const STARTUP_LOSS: f64 = 0.06;
/// Packets an entry must hold to say anything, and packets lost to be more than chance.
const PACKETS_LEAST: u64 = 10;
const STARTUP_LOST_LEAST: u64 = 8;
const EXCESS_LOST_LEAST: u64 = 4;
const EXCESS_QUEUED_LOST_LEAST: u64 = 2;

/// What was sent in one round of one phase, and became of it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    since: Instant,
    phase: Phase,
    window: u64,
    acknowledged: u64,
    lost: u64,
    /// Whether a packet came through without waiting in anybody's queue.
    was_free: bool,
}

/// What a settled entry means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The startup goes too far.
    StartupLoss,
    /// There is congestion.
    Excess,
}

/// The books.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    entries: VecDeque<Entry>,
    base: Option<f64>,
    ceiling: f64,
    has_losses: bool,
}

impl Ledger {
    pub(super) fn new(now: Instant, window: u64) -> Self {
        let first = entry(now, Phase::Startup, window);
        Self { entries: VecDeque::from([first]), base: None, ceiling: f64::INFINITY, has_losses: false }
    }

    /// The phase that the last entry is of.
    pub(super) fn phase(&self) -> Phase {
        self.entries.back().map_or(Phase::Startup, |last| last.phase)
    }

    /// Bytes that the window is not to pass.
    pub(super) fn ceiling(&self) -> f64 {
        self.ceiling
    }

    /// Whether congestion holds the window down.
    pub(super) fn is_capped(&self) -> bool {
        self.ceiling.is_finite()
    }

    pub(super) fn begin(&mut self, now: Instant, phase: Phase, window: u64) {
        self.entries.push_back(entry(now, phase, window));
        if self.entries.len() > ENTRIES_MAX {
            self.entries.pop_front();
        }
    }

    pub(super) fn acknowledged(&mut self, sent: Instant, bytes: u64) {
        if let Some(entry) = self.of(sent) {
            entry.acknowledged += bytes;
        }
    }

    /// Whether anything was lost since [`Ledger::forget_losses`].
    pub(super) fn has_losses(&self) -> bool {
        self.has_losses
    }

    pub(super) fn forget_losses(&mut self) {
        self.has_losses = false;
    }

    pub(super) fn lost(&mut self, sent: Instant, bytes: u64) {
        self.has_losses |= bytes > 0;
        if let Some(entry) = self.of(sent) {
            entry.lost += bytes;
        }
    }

    /// The least round trip of the round that has passed, beside the least of all.
    pub(super) fn see(&mut self, round: Option<Duration>, least: Option<Duration>) {
        if !super::is_queued(round, least)
            && let Some(answered) = self.entries.iter_mut().rev().nth(1)
        {
            answered.was_free = true;
        }
    }

    /// Closes the entries of which every packet has been accounted for: two later ones have begun to be answered.
    pub(super) fn settle(&mut self, sent: Instant, product: f64, packet_bytes: u64) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        while self.entries.get(2).is_some_and(|later| later.since < sent)
            && let Some(entry) = self.entries.pop_front()
        {
            verdicts.extend(self.judge(entry, product, packet_bytes));
        }
        verdicts
    }

    fn judge(&mut self, entry: Entry, product: f64, packet_bytes: u64) -> Option<Verdict> {
        let total = entry.acknowledged + entry.lost;
        if total < PACKETS_LEAST * packet_bytes {
            return None;
        }
        let share = entry.lost as f64 / total as f64;
        match entry.phase {
            Phase::Startup => (share > STARTUP_LOSS && entry.lost >= STARTUP_LOST_LEAST * packet_bytes)
                .then_some(Verdict::StartupLoss),
            Phase::Drain | Phase::Yield | Phase::Settle => {
                let base = self.base.unwrap_or(share);
                // Less loss than thought is good news from any round; more is doubtful where somebody's queue stood.
                let weight = if entry.was_free || share < base { 0.25 } else { DOUBTFUL };
                self.base = Some((base + weight * (share - base)).min(BASE_MAX));
                None
            }
            Phase::Cruise | Phase::Probe => {
                let base = self.base.unwrap_or(0.0);
                let chance = 3.0 * (base * packet_bytes as f64 / total as f64).sqrt();
                let (excess, least) = if entry.was_free {
                    (EXCESS, EXCESS_LOST_LEAST)
                } else {
                    (EXCESS_QUEUED, EXCESS_QUEUED_LOST_LEAST)
                };
                if share > base + excess.max(chance) && entry.lost >= least * packet_bytes {
                    self.ceiling = (0.9 * entry.window as f64).max(0.7 * product);
                    return Some(Verdict::Excess);
                }
                if self.is_capped() {
                    self.ceiling *= if entry.phase == Phase::Probe { 1.2 } else { 1.02 };
                    if self.ceiling > 2.5 * product {
                        self.ceiling = f64::INFINITY;
                    }
                }
                None
            }
        }
    }

    /// The entry of what was sent then.
    fn of(&mut self, sent: Instant) -> Option<&mut Entry> {
        let at = self.entries.partition_point(|entry| entry.since <= sent).saturating_sub(1);
        self.entries.get_mut(at)
    }
}

fn entry(since: Instant, phase: Phase, window: u64) -> Entry {
    Entry { since, phase, window, acknowledged: 0, lost: 0, was_free: false }
}
