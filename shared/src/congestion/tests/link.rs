//! One bottleneck with a queue, and what flows over it. Events in the order of their time; seeded.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::flow::Flow;

/// How a link is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) bytes_per_second: f64,
    pub(super) rtt: Duration,
    /// Probability that a packet is lost whatever the queue.
    pub(super) loss: f64,
    /// Bytes that wait at most; what comes on top is dropped.
    pub(super) queue_bytes: u64,
    pub(super) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A packet of a flow is acknowledged.
    Acknowledged(usize, u64),
    /// A flow may send.
    Wake(usize),
}

/// A link under way.
pub(super) struct Link {
    path: Path,
    epoch: Instant,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    turn: u64,
    /// The queue is empty from here on.
    busy_until: Duration,
    dice: u64,
    waits: (Duration, u32),
}

impl Link {
    pub(super) fn new(path: Path) -> Self {
        Self {
            path,
            epoch: Instant::now(),
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            turn: 0,
            busy_until: Duration::ZERO,
            dice: path.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            waits: (Duration::ZERO, 0),
        }
    }

    pub(super) fn set_rate(&mut self, bytes_per_second: f64) {
        self.path.bytes_per_second = bytes_per_second;
    }

    pub(super) fn forget_queue(&mut self) {
        self.waits = (Duration::ZERO, 0);
    }

    /// The mean wait of a packet in the queue.
    pub(super) fn mean_queue(&self) -> Duration {
        self.waits.0 / self.waits.1.max(1)
    }

    /// Runs until a time since the beginning.
    pub(super) fn run(&mut self, flows: &mut [Flow], until: Duration) {
        if self.turn == 0 {
            for (which, flow) in flows.iter_mut().enumerate() {
                let start = flow.start(self.epoch);
                self.at(start, Event::Wake(which));
            }
        }
        while let Some(Reverse((when, _, event))) = self.events.peek().copied()
            && when <= until
        {
            self.events.pop();
            self.now = when;
            let instant = self.epoch + when;
            let which = match event {
                Event::Acknowledged(which, packet) => {
                    flows[which].acknowledged(instant, packet);
                    which
                }
                Event::Wake(which) => {
                    flows[which].woken(instant);
                    which
                }
            };
            self.let_send(which, &mut flows[which]);
        }
        self.now = until;
    }

    fn let_send(&mut self, which: usize, flow: &mut Flow) {
        let instant = self.epoch + self.now;
        while let Some((packet, bytes)) = flow.send(instant) {
            let wait = self.busy_until.saturating_sub(self.now);
            let queued = wait.as_secs_f64() * self.path.bytes_per_second;
            if queued + bytes as f64 > self.path.queue_bytes as f64 {
                continue;
            }
            self.waits = (self.waits.0 + wait, self.waits.1 + 1);
            let takes = Duration::from_secs_f64(bytes as f64 / self.path.bytes_per_second);
            self.busy_until = self.busy_until.max(self.now) + takes;
            if self.throw() < self.path.loss {
                continue;
            }
            self.at(self.busy_until + self.path.rtt, Event::Acknowledged(which, packet));
        }
        if let Some(wake) = flow.wake_at(instant) {
            self.at(
                wake.saturating_duration_since(self.epoch).max(self.now + Duration::from_micros(1)),
                Event::Wake(which),
            );
        }
    }

    fn at(&mut self, when: Duration, event: Event) {
        self.turn += 1;
        self.events.push(Reverse((when, self.turn, event)));
    }

    /// Between 0 and 1 (xorshift64*).
    fn throw(&mut self) -> f64 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        (self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}
