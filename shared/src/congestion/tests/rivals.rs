//! What others run, as simply as shows how they share: Cubic (RFC 9438) and BBR (ACM Queue 14(5)).

use std::time::{Duration, Instant};

use super::super::filter::MaxOfRounds;
use super::super::rate::Sampler;
use super::flow::Control;

/// Cubic, with its friendliness to Reno.
pub(super) struct Cubic {
    packet: f64,
    window: f64,
    threshold: f64,
    most: f64,
    reno: f64,
    epoch: Option<Instant>,
    reduced_at: Option<Instant>,
    rtt: Duration,
}

const BETA: f64 = 0.7;
const SCALE: f64 = 0.4;

impl Cubic {
    pub(super) fn new(mtu: u16) -> Self {
        let packet = f64::from(mtu);
        Self {
            packet,
            window: 10.0 * packet,
            threshold: f64::INFINITY,
            most: 0.0,
            reno: 0.0,
            epoch: None,
            reduced_at: None,
            rtt: Duration::ZERO,
        }
    }
}

impl Control for Cubic {
    fn sent(&mut self, _: Instant) {}

    fn acknowledged(&mut self, now: Instant, sent: Instant, bytes: u64) {
        self.rtt = now.saturating_duration_since(sent);
        if self.window < self.threshold {
            self.window += bytes as f64;
            return;
        }
        let epoch = *self.epoch.get_or_insert_with(|| {
            self.reno = self.window;
            now
        });
        let packets = self.most.max(self.window) / self.packet;
        let k = (packets * (1.0 - BETA) / SCALE).cbrt();
        let t = (now.saturating_duration_since(epoch) + self.rtt).as_secs_f64();
        let goal = (SCALE * (t - k).powi(3) + packets).min(1.5 * self.window / self.packet) * self.packet;
        let alpha = 3.0 * (1.0 - BETA) / (1.0 + BETA);
        self.reno += alpha * self.packet * bytes as f64 / self.window;
        if goal > self.window {
            self.window += (goal - self.window) / self.window * bytes as f64;
        }
        self.window = self.window.max(self.reno);
    }

    fn batch_ended(&mut self, _: Instant, _: u64) {}

    fn lost(&mut self, now: Instant, sent: Instant, _: u64) {
        // Once per round trip.
        if self.reduced_at.is_some_and(|at| sent <= at) {
            return;
        }
        self.reduced_at = Some(now);
        self.most = if self.window < self.most { self.window * (1.0 + BETA) / 2.0 } else { self.window };
        self.window = (self.window * BETA).max(2.0 * self.packet);
        self.threshold = self.window;
        self.epoch = None;
    }

    fn window(&self) -> u64 {
        self.window as u64
    }
}

/// BBR, first version, acting through the window alone: gains of eight phases, 2 products in flight at most.
pub(super) struct Bbr {
    packet: f64,
    window: f64,
    sampler: Sampler,
    bandwidth: MaxOfRounds,
    round: u64,
    round_ends: u64,
    rtt: Duration,
    rtt_at: Instant,
    is_full: bool,
    full: f64,
    flat: u32,
    resting: Option<Instant>,
}

impl Bbr {
    pub(super) fn new(now: Instant, mtu: u16) -> Self {
        let packet = f64::from(mtu);
        Self {
            packet,
            window: 32.0 * packet,
            sampler: Sampler::new(now),
            bandwidth: MaxOfRounds::default(),
            round: 0,
            round_ends: 0,
            rtt: Duration::MAX,
            rtt_at: now,
            is_full: false,
            full: 0.0,
            flat: 0,
            resting: None,
        }
    }
}

impl Control for Bbr {
    fn sent(&mut self, now: Instant) {
        self.sampler.sent(now);
    }

    fn acknowledged(&mut self, now: Instant, sent: Instant, bytes: u64) {
        self.sampler.acknowledged(now, sent, bytes);
        let rtt = now.saturating_duration_since(sent);
        let is_old = now.saturating_duration_since(self.rtt_at) > Duration::from_secs(10);
        if is_old && self.resting.is_none() {
            self.resting = Some(now);
        }
        if rtt <= self.rtt || is_old {
            (self.rtt, self.rtt_at) = (rtt, now);
        }
    }

    fn batch_ended(&mut self, now: Instant, in_flight: u64) {
        let Some(sample) = self.sampler.sample(now, in_flight) else { return };
        if sample.interval >= self.rtt / 2 {
            self.bandwidth.push(self.round, sample.bandwidth());
        }
        if sample.delivered_before >= self.round_ends {
            self.round_ends = self.sampler.delivered();
            self.round += 1;
            if self.bandwidth.get() >= 1.25 * self.full {
                (self.full, self.flat) = (self.bandwidth.get(), 0);
            } else {
                self.flat += 1;
                self.is_full |= self.flat >= 3;
            }
        }
        if self.resting.is_some_and(|since| now.saturating_duration_since(since) > Duration::from_millis(200)) {
            self.resting = None;
        }
        let product = self.bandwidth.get() * self.rtt.as_secs_f64();
        self.window = match (self.resting, self.is_full) {
            (Some(_), _) => 4.0 * self.packet,
            (None, false) => (2.89 * product).max(self.window),
            (None, true) => {
                let gain = match self.round % 8 {
                    0 => 2.0,
                    1 => 1.0,
                    _ => 1.5,
                };
                (gain * product).max(4.0 * self.packet)
            }
        };
    }

    fn lost(&mut self, _: Instant, _: Instant, _: u64) {}

    fn window(&self) -> u64 {
        self.window as u64
    }
}
