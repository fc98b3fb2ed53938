//! How fast to send: a congestion controller that holds a link under random loss and long delay without filling its
//! queue, and makes room for others.
//!
//! # The problem
//! A controller that takes every lost packet for congestion, as Reno and Cubic do, falls to `1.2 · packet / (rtt · √loss)`:
//! at 100 ms and 1 % that is about 1 Mbit/s, whatever the link could carry. A controller that never minds loss fills
//! every queue and starves everybody else. What matters is *why* packets are lost, and one connection can find out: the
//! loss that it sees while it sends less than the link carries, and no queue stands, is not its own doing.
//!
//! # The model
//! Two figures describe a path: `bandwidth`, the greatest rate of delivery in the last ten rounds, and `rtt`, the least
//! round trip of the last ten seconds. A round is the time until a packet sent at its beginning is acknowledged. Their product
//! is what the path holds without a queue; the window is a multiple of it, and nothing but the window acts: the
//! transport paces at 1.25 windows per round trip by itself.
//!
//! | phase | window | until |
//! |---|---|---|
//! | `Startup` | 2.89 · product, at most doubled per round | three rounds without 25 % more bandwidth; two with a standing queue; loss above 6 % |
//! | `Drain` | 0.9 · product | in flight is what the path holds, or three rounds |
//! | `Cruise` | 1.2 · product | six rounds, then `Probe`; ten seconds without a new least round trip, then `Settle` |
//! | `Probe` | 1.27 · product | two rounds, or loss in excess |
//! | `Yield` | 0.9 · product | two rounds, or, two times of three if nothing was lost since the last, what the path holds in flight; then `Startup` if the probe found a fifth more, else `Cruise` |
//! | `Settle` | 0.5 · product | 200 ms, or one round trip: what the least round trip is now |
//!
//! A round trip of less than 2 ms counts as 2 ms: on so short a path it is the scheduling of processes that takes time, and a
//! queue of 2 ms is nobody's trouble. To the multiple comes what acknowledgements arrive late in bunches (at most one product), so that links that
//! aggregate, such as Wi-Fi, do not run dry.
//!
//! # Loss
//! Every packet is accounted to the round and the phase in which it was sent. The share lost in `Drain`, `Yield` and `Settle`,
//! when the window was smaller than the product, is the path's own, above all where a round trip near the least was
//! seen in that round: while somebody else's queue stands, a loss says little about the path. A moving
//! average of it is the `base`, at most 15 %; rounds in which a queue stood count for less. Loss in `Cruise` or `Probe` in
//! excess of it is congestion: by more than 2 % where a packet came through without waiting, by 0.5 % where a queue stood,
//! and in both cases by more than chance explains. Then the window's `ceiling` falls to 0.9 of the window that saw it, but
//! not below 0.7 of the product, and a probe ends. Without excess the ceiling rises again, by a fifth per probe.
//!
//! # Sharing
//! On simulated links of 100 Mbit/s, 20 to 150 ms and queues of half a product to four, neither of two flows gets more than
//! twice what the other gets, against itself and against Cubic, and against the first BBR with queues of a product and more
//! (the tests beside this say it). In a queue of half a product the first BBR, which does not mind loss at all, leaves
//! little to anybody who does.
//!
//! # What it is not
//! It does not answer to marks (ECN) other than as to loss of nothing, and it knows nothing of other connections of this
//! process.
//!
//! # Source
//! Own; on the shoulders of *BBR: Congestion-Based Congestion Control* (Cardwell and others, ACM Queue 14(5), 2016) for the
//! model, draft-cheng-iccrg-delivery-rate-estimation for the samples, HyStart++ (RFC 9406) for the standing queue.

mod filter;
mod loss;
mod rate;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory};

use filter::MaxOfRounds;
use loss::{Ledger, Verdict};
use rate::Sampler;

/// Packets in the first window.
const INITIAL_PACKETS: u64 = 32;
/// The least window, in packets.
const LEAST_PACKETS: u64 = 4;
/// Packets on top of every target, so that small products do not starve the pacer.
const SPARE_PACKETS: f64 = 3.0;
/// Growth of bandwidth in a round that keeps the startup going.
const STILL_GROWING: f64 = 1.25;
const FLAT_ROUNDS: u32 = 3;
const QUEUED_ROUNDS: u32 = 2;
/// Rounds of cruising between two probes.
const CRUISE_ROUNDS: u64 = 6;
/// Rounds until what was sent in a phase has been answered.
const ANSWER_ROUNDS: u64 = 1;
/// One yield of so many is a long one in any case.
const LONG_YIELD_EVERY: u64 = 3;
const DRAIN_ROUNDS: u64 = 3;
/// What a probe must have found to start anew.
const WORTH_STARTING: f64 = 1.2;
/// What a shorter round trip counts as.
const RTT_LEAST: Duration = Duration::from_millis(2);
const RTT_AGE_MAX: Duration = Duration::from_secs(10);
const SETTLE_AT_LEAST: Duration = Duration::from_millis(200);
const SETTLE_AT_MOST: Duration = Duration::from_secs(1);

/// What the controller is about to find out or to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Startup,
    Drain,
    Cruise,
    Probe,
    Yield,
    Settle,
}

impl Phase {
    /// The window as a multiple of what the path holds.
    fn gain(self) -> f64 {
        match self {
            Self::Startup => 2.89,
            Self::Drain | Self::Yield => 0.9,
            Self::Cruise => 1.2,
            Self::Probe => 1.27,
            Self::Settle => 0.5,
        }
    }

    /// Whether its window is too small to make a queue.
    fn is_below(self) -> bool {
        self.gain() < 1.0
    }
}

/// Makes a controller for every path.
#[derive(Clone, Copy, Debug, Default)]
pub struct SteadyConfig;

impl ControllerFactory for SteadyConfig {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        Box::new(Steady::new(now, mtu))
    }
}

/// The controller of one path.
#[derive(Clone, Debug)]
pub struct Steady {
    packet_bytes: u64,
    window: u64,
    sampler: Sampler,
    ledger: Ledger,
    phase: Phase,
    phase_since: Instant,
    phase_round: u64,
    round: u64,
    /// The round is over when what is delivered by now reaches this.
    round_ends: u64,
    /// Bytes per second.
    bandwidth: MaxOfRounds,
    /// Bytes that were acknowledged at once beyond the bandwidth.
    bunched: MaxOfRounds,
    bunch_since: Instant,
    bunch_bytes: u64,
    batch_bytes: u64,
    is_app_limited: bool,
    rtt: Option<Duration>,
    rtt_at: Instant,
    rtt_latest: Duration,
    /// The least round trip of this round.
    rtt_round: Option<Duration>,
    startup: Startup,
    probed_from: f64,
    yields: u64,
}

/// What the startup has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Startup {
    bandwidth: f64,
    flat_rounds: u32,
    queued_rounds: u32,
    is_over: bool,
}

impl Steady {
    /// A path of which nothing is known.
    pub fn new(now: Instant, mtu: u16) -> Self {
        let packet_bytes = u64::from(mtu);
        let window = INITIAL_PACKETS * packet_bytes;
        Self {
            packet_bytes,
            window,
            sampler: Sampler::new(now),
            ledger: Ledger::new(now, window),
            phase: Phase::Startup,
            phase_since: now,
            phase_round: 0,
            round: 0,
            round_ends: 0,
            bandwidth: MaxOfRounds::default(),
            bunched: MaxOfRounds::default(),
            bunch_since: now,
            bunch_bytes: 0,
            batch_bytes: 0,
            is_app_limited: false,
            rtt: None,
            rtt_at: now,
            rtt_latest: Duration::ZERO,
            rtt_round: None,
            startup: Startup::default(),
            probed_from: 0.0,
            yields: 0,
        }
    }

    /// Something was sent.
    fn sent(&mut self, now: Instant) {
        self.sampler.sent(now);
    }

    /// A packet was acknowledged.
    fn acknowledged(&mut self, now: Instant, sent: Instant, bytes: u64, is_app_limited: bool) {
        self.sampler.acknowledged(now, sent, bytes);
        self.ledger.acknowledged(sent, bytes);
        self.batch_bytes += bytes;
        self.is_app_limited |= is_app_limited;
        let rtt = now.saturating_duration_since(sent);
        if rtt.is_zero() {
            return;
        }
        self.rtt_latest = rtt;
        self.rtt_round = Some(self.rtt_round.map_or(rtt, |least| least.min(rtt)));
        if self.rtt.is_none_or(|least| rtt <= least) {
            self.rtt = Some(rtt);
            self.rtt_at = now;
        }
    }

    /// All of a batch was acknowledged.
    fn batch_ended(&mut self, now: Instant, in_flight: u64, is_app_limited: bool) {
        let Some(sample) = self.sampler.sample(now, in_flight) else { return };
        let is_app_limited = is_app_limited | std::mem::take(&mut self.is_app_limited);
        let is_new_round = sample.delivered_before >= self.round_ends;
        if is_new_round {
            self.round_ends = self.sampler.delivered();
            self.round += 1;
        }
        // Samples over less than half a round trip measure bunches, not the path.
        if let Some(rtt) = self.rtt
            && sample.interval >= rtt / 2
            && (!is_app_limited || sample.bandwidth() >= self.bandwidth.get())
        {
            self.bandwidth.push(self.round, sample.bandwidth());
        }
        self.note_bunch(now);
        if is_new_round {
            self.round_passed(now, sample.sent, is_app_limited);
        }
        if is_new_round && std::env::var_os("STDBG").is_some() {
            eprintln!(
                "{:?} {:?} win {} infl {} bw {:.1}M prod {:.0} rtt {:?} latest {:?} bunched {:.0} ceil {:.0} app {} sample {:.1}M iv {:?}",
                now.saturating_duration_since(self.phase_since),
                self.phase,
                self.window,
                in_flight,
                self.bandwidth.get() * 8e-6,
                self.product(),
                self.rtt,
                self.rtt_latest,
                self.bunched.get(),
                self.ledger.ceiling(),
                is_app_limited,
                sample.bandwidth() * 8e-6,
                sample.interval
            );
        }
        self.move_on(now, in_flight, is_app_limited);
        self.window = self.target();
        if is_new_round || self.ledger.phase() != self.phase {
            self.ledger.begin(now, self.phase, self.window);
        }
    }

    /// How far acknowledgements run ahead of the bandwidth when they come in bunches.
    fn note_bunch(&mut self, now: Instant) {
        let due = |since: Instant, bandwidth: f64| bandwidth * now.saturating_duration_since(since).as_secs_f64();
        let bandwidth = self.bandwidth.get();
        if self.bunch_bytes as f64 <= due(self.bunch_since, bandwidth) {
            self.bunch_since = now;
            self.bunch_bytes = 0;
        }
        self.bunch_bytes += std::mem::take(&mut self.batch_bytes);
        let ahead = self.bunch_bytes as f64 - due(self.bunch_since, bandwidth);
        self.bunched.push(self.round, ahead.max(0.0));
    }

    fn round_passed(&mut self, now: Instant, sent: Instant, is_app_limited: bool) {
        let rtt_round = self.rtt_round.take();
        let product = self.product();
        let floor = LEAST_PACKETS * self.packet_bytes;
        self.ledger.see(rtt_round, self.rtt);
        for verdict in self.ledger.settle(sent, product, self.packet_bytes) {
            match verdict {
                Verdict::StartupLoss => self.startup.is_over = true,
                Verdict::Excess => {
                    if self.phase == Phase::Probe {
                        self.enter(Phase::Yield, now);
                    }
                }
            }
        }
        if self.phase == Phase::Startup && !is_app_limited {
            self.startup.round_passed(self.bandwidth.get(), is_queued(rtt_round, self.rtt) && self.window > 4 * floor);
        }
    }

    fn move_on(&mut self, now: Instant, in_flight: u64, is_app_limited: bool) {
        let rounds = self.round - self.phase_round;
        let next = match self.phase {
            Phase::Startup => self.startup.is_over.then_some(Phase::Drain),
            Phase::Drain => (in_flight as f64 <= self.product() || rounds > DRAIN_ROUNDS).then_some(Phase::Cruise),
            Phase::Cruise => {
                let is_old = now.saturating_duration_since(self.rtt_at) > RTT_AGE_MAX;
                match (is_old && !is_app_limited, rounds >= CRUISE_ROUNDS) {
                    (true, _) => Some(Phase::Settle),
                    (false, true) => Some(Phase::Probe),
                    (false, false) => None,
                }
            }
            Phase::Probe => (rounds > ANSWER_ROUNDS).then_some(Phase::Yield),
            Phase::Yield if self.has_yielded(in_flight, rounds) => {
                let is_more = self.bandwidth.get() >= WORTH_STARTING * self.probed_from && !self.ledger.is_capped();
                Some(if is_more { Phase::Startup } else { Phase::Cruise })
            }
            Phase::Yield => None,
            Phase::Settle => {
                let long = self.rtt.unwrap_or_default().clamp(SETTLE_AT_LEAST, SETTLE_AT_MOST);
                (now.saturating_duration_since(self.phase_since) > long).then(|| {
                    self.rtt = Some(self.rtt_latest);
                    self.rtt_at = now;
                    Phase::Cruise
                })
            }
        };
        if let Some(next) = next {
            self.enter(next, now);
        }
    }

    /// Where nothing was lost there is nothing to find out: most times it is enough that the own queue is gone. Now and
    /// then it takes longer, so that everybody's queue goes and all see the same round trip.
    fn has_yielded(&self, in_flight: u64, rounds: u64) -> bool {
        let may_be_short = !self.ledger.has_losses() && !self.yields.is_multiple_of(LONG_YIELD_EVERY);
        rounds > ANSWER_ROUNDS || (may_be_short && in_flight as f64 <= self.product())
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        if self.phase == Phase::Yield {
            self.ledger.forget_losses();
            self.yields += 1;
        }
        match phase {
            Phase::Probe => self.probed_from = self.bandwidth.get(),
            Phase::Startup => self.startup = Startup { bandwidth: self.bandwidth.get(), ..Startup::default() },
            _ => {}
        }
        self.phase = phase;
        self.phase_since = now;
        self.phase_round = self.round;
    }

    /// What the path holds without a queue, in bytes; 0 while nothing is known.
    fn product(&self) -> f64 {
        self.rtt.map_or(0.0, |rtt| self.bandwidth.get() * rtt.max(RTT_LEAST).as_secs_f64())
    }

    fn target(&self) -> u64 {
        let product = self.product();
        if product == 0.0 {
            return self.window;
        }
        let spare = SPARE_PACKETS * self.packet_bytes as f64;
        let bunched = if self.phase.is_below() { 0.0 } else { self.bunched.get().min(product) };
        let target = ((self.phase.gain() * product + bunched).min(self.ledger.ceiling()) + spare) as u64;
        let target = match self.phase {
            // A startup never takes back; it grows with what comes back.
            Phase::Startup => self.window.max(target.min(2 * self.window)),
            _ => target,
        };
        target.max(LEAST_PACKETS * self.packet_bytes)
    }

    /// Packets were found lost, the newest of them sent then.
    fn lost(&mut self, now: Instant, sent: Instant, bytes: u64, is_persistent: bool) {
        self.ledger.lost(sent, bytes);
        if is_persistent {
            // Nothing at all came through for a while: what was known of the path is worth nothing.
            let round = (self.round, self.round_ends);
            *self = Self { sampler: self.sampler.clone(), ..Self::new(now, self.packet_bytes as u16) };
            (self.round, self.round_ends) = round;
            self.phase_round = self.round;
        }
    }
}

impl Startup {
    fn round_passed(&mut self, bandwidth: f64, is_queued: bool) {
        if bandwidth >= STILL_GROWING * self.bandwidth {
            self.bandwidth = bandwidth;
            self.flat_rounds = 0;
        } else {
            self.flat_rounds += 1;
        }
        self.queued_rounds = if is_queued { self.queued_rounds + 1 } else { 0 };
        self.is_over |=
            self.flat_rounds >= FLAT_ROUNDS || (self.queued_rounds >= QUEUED_ROUNDS && self.flat_rounds > 0);
    }
}

/// Whether even the fastest packet of a round waited in a queue.
fn is_queued(round: Option<Duration>, least: Option<Duration>) -> bool {
    const LEAST: Duration = Duration::from_millis(4);
    const MOST: Duration = Duration::from_millis(16);
    match (round, least) {
        (Some(round), Some(least)) => round >= least + (least / 8).clamp(LEAST, MOST),
        _ => false,
    }
}

// [S11.6]
impl Controller for Steady {
    fn on_sent(&mut self, now: Instant, _bytes: u64, _last_packet_number: u64) {
        self.sent(now);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, _rtt: &RttEstimator) {
        self.acknowledged(now, sent, bytes, app_limited);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, _largest: Option<u64>) {
        self.batch_ended(now, in_flight, app_limited);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.lost(now, sent, lost_bytes, is_persistent);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.packet_bytes = u64::from(new_mtu);
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        INITIAL_PACKETS * self.packet_bytes
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
