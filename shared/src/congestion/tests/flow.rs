//! A sender with endless data: window, pacing and loss detection as QUIC's (RFC 9002; the pacer of the transport in use).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::Steady;

/// What a flow asks of its controller.
pub(super) trait Control {
    fn sent(&mut self, now: Instant);
    fn acknowledged(&mut self, now: Instant, sent: Instant, bytes: u64);
    fn batch_ended(&mut self, now: Instant, in_flight: u64);
    fn lost(&mut self, now: Instant, sent: Instant, bytes: u64);
    fn window(&self) -> u64;
}

impl Control for Steady {
    fn sent(&mut self, now: Instant) {
        Steady::sent(self, now);
    }

    fn acknowledged(&mut self, now: Instant, sent: Instant, bytes: u64) {
        Steady::acknowledged(self, now, sent, bytes, false);
    }

    fn batch_ended(&mut self, now: Instant, in_flight: u64) {
        Steady::batch_ended(self, now, in_flight, false);
    }

    fn lost(&mut self, now: Instant, sent: Instant, bytes: u64) {
        Steady::lost(self, now, sent, bytes, false);
    }

    fn window(&self) -> u64 {
        self.window
    }
}

type Make = fn(Instant) -> Box<dyn Control>;

pub(super) struct Flow {
    make: Make,
    control: Option<Box<dyn Control>>,
    bytes: u64,
    delay: Duration,
    next: u64,
    in_flight: BTreeMap<u64, Instant>,
    largest: u64,
    srtt: Option<Duration>,
    latest: Duration,
    delivered: u64,
    lost: u64,
    tokens: f64,
    paced_at: Option<Instant>,
    woken_for: Option<Instant>,
}

impl Flow {
    pub(super) fn new(make: Make, mtu: u16) -> Self {
        Self {
            make,
            control: None,
            bytes: u64::from(mtu),
            delay: Duration::ZERO,
            next: 1,
            in_flight: BTreeMap::new(),
            largest: 0,
            srtt: None,
            latest: Duration::ZERO,
            delivered: 0,
            lost: 0,
            tokens: 0.0,
            paced_at: None,
            woken_for: None,
        }
    }

    /// The same, some seconds later.
    pub(super) fn late(mut self, seconds: u64) -> Self {
        self.delay = Duration::from_secs(seconds);
        self
    }

    pub(super) fn start(&mut self, epoch: Instant) -> Duration {
        self.control = Some((self.make)(epoch + self.delay));
        self.delay
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn sent(&self) -> u64 {
        (self.next - 1) * self.bytes
    }

    fn control(&mut self) -> &mut dyn Control {
        self.control.as_deref_mut().unwrap()
    }

    fn flying(&self) -> u64 {
        self.in_flight.len() as u64 * self.bytes
    }

    /// A packet, if the window and the pacer let one go.
    pub(super) fn send(&mut self, now: Instant) -> Option<(u64, u64)> {
        let (bytes, window) = (self.bytes, self.control().window());
        if self.flying() + bytes >= window {
            return None;
        }
        if let Some(srtt) = self.srtt {
            // The transport's pacer: 1.25 windows per round trip, in bursts of 2 ms, 10 to 256 packets.
            let capacity =
                (window as f64 * 0.002 / srtt.as_secs_f64()).clamp(10.0 * bytes as f64, 256.0 * bytes as f64);
            let since = now.saturating_duration_since(self.paced_at.unwrap_or(now)).as_secs_f64();
            self.paced_at = Some(now);
            self.tokens = (self.tokens + window as f64 * 1.25 * since / srtt.as_secs_f64()).min(capacity);
            if self.tokens < bytes as f64 {
                return None;
            }
            self.tokens -= bytes as f64;
        }
        let packet = self.next;
        self.next += 1;
        self.in_flight.insert(packet, now);
        self.control().sent(now);
        Some((packet, bytes))
    }

    /// When there is something to do without an acknowledgement: the pacer has saved up a burst, or a loss is certain.
    pub(super) fn wake_at(&mut self, now: Instant) -> Option<Instant> {
        let (window, srtt) = (self.control().window(), self.srtt?);
        let pacer = (self.flying() + self.bytes < window).then(|| {
            let burst =
                (window as f64 * 0.002 / srtt.as_secs_f64()).clamp(10.0 * self.bytes as f64, 256.0 * self.bytes as f64);
            let missing = (burst - self.tokens).max(0.0);
            now + srtt.mul_f64(missing / (window as f64 * 1.25))
        });
        let oldest = self.in_flight.values().next().map(|sent| *sent + 3 * srtt.max(self.latest));
        let wake = match (pacer, oldest) {
            (Some(pacer), Some(oldest)) => pacer.min(oldest),
            (pacer, oldest) => pacer.or(oldest)?,
        };
        if self.woken_for.is_some_and(|already| already > now && already <= wake) {
            return None;
        }
        self.woken_for = Some(wake);
        Some(wake)
    }

    /// Time has passed: what is three round trips old is lost, whether or not anything came after it.
    pub(super) fn woken(&mut self, now: Instant) {
        let Some(srtt) = self.srtt else { return };
        let limit = 3 * srtt.max(self.latest);
        let old: Vec<(u64, Instant)> = (self.in_flight.iter())
            .take_while(|(_, sent)| now.saturating_duration_since(**sent) >= limit)
            .map(|(packet, sent)| (*packet, *sent))
            .collect();
        self.give_up(now, &old);
    }

    pub(super) fn acknowledged(&mut self, now: Instant, packet: u64) {
        let Some(sent) = self.in_flight.remove(&packet) else { return };
        let bytes = self.bytes;
        self.delivered += bytes;
        self.latest = now.saturating_duration_since(sent);
        self.srtt = Some(self.srtt.map_or(self.latest, |srtt| (7 * srtt + self.latest) / 8));
        self.largest = self.largest.max(packet);
        let flying = self.flying();
        self.control().acknowledged(now, sent, bytes);
        self.control().batch_ended(now, flying);
        let old: Vec<(u64, Instant)> = (self.in_flight.range(..self.largest))
            .take_while(|(packet, _)| **packet + 3 <= self.largest)
            .map(|(packet, sent)| (*packet, *sent))
            .collect();
        self.give_up(now, &old);
    }

    fn give_up(&mut self, now: Instant, old: &[(u64, Instant)]) {
        let Some((_, newest)) = old.last() else { return };
        for (packet, _) in old {
            self.in_flight.remove(packet);
        }
        let bytes = old.len() as u64 * self.bytes;
        self.lost += bytes;
        self.control().lost(now, *newest, bytes);
    }
}
