//! How fast packets arrive at the other end.
//!
//! A sample is what was delivered between the sending of a packet and its acknowledgement, over the longer of two times:
//! how long the packets took to leave, and how long their acknowledgements took to come. The longer one, because bunched
//! acknowledgements would otherwise look like a faster path.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Moments of sending that are remembered; older ones give no samples.
const RECORDS_MAX: usize = 65_536;

/// How things were when something was sent.
#[derive(Clone, Copy, Debug)]
struct Record {
    sent: Instant,
    delivered: u64,
    delivered_at: Instant,
    first_sent: Instant,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// When the newest acknowledged packet was sent.
    pub(super) sent: Instant,
    /// Bytes delivered when it was sent.
    pub(super) delivered_before: u64,
    /// Bytes delivered since.
    pub(super) bytes: u64,
    pub(super) interval: Duration,
}

impl Sample {
    /// Bytes per second.
    pub(super) fn bandwidth(&self) -> f64 {
        let seconds = self.interval.as_secs_f64();
        if seconds > 0.0 { self.bytes as f64 / seconds } else { 0.0 }
    }
}

/// Takes the samples.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    delivered: u64,
    delivered_at: Instant,
    first_sent: Instant,
    records: VecDeque<Record>,
    newest: Option<Record>,
    is_idle: bool,
}

impl Sampler {
    pub(super) fn new(now: Instant) -> Self {
        Self { delivered: 0, delivered_at: now, first_sent: now, records: VecDeque::new(), newest: None, is_idle: true }
    }

    /// Bytes delivered so far.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn sent(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_idle) {
            // Nothing was on its way: the clock starts here.
            (self.first_sent, self.delivered_at) = (now, now);
        }
        if self.records.back().is_none_or(|last| last.sent != now) {
            let Self { delivered, delivered_at, first_sent, .. } = *self;
            self.records.push_back(Record { sent: now, delivered, delivered_at, first_sent });
        }
        if self.records.len() > RECORDS_MAX {
            self.records.pop_front();
        }
    }

    pub(super) fn acknowledged(&mut self, now: Instant, sent: Instant, bytes: u64) {
        self.delivered += bytes;
        self.delivered_at = now;
        let at = self.records.partition_point(|record| record.sent < sent);
        if let Some(record) = self.records.get(at)
            && self.newest.is_none_or(|newest| newest.sent < record.sent)
        {
            self.newest = Some(*record);
        }
    }

    /// What the newest packet of a batch tells.
    pub(super) fn sample(&mut self, now: Instant, in_flight: u64) -> Option<Sample> {
        self.is_idle = in_flight == 0;
        let newest = self.newest.take()?;
        self.first_sent = newest.sent;
        while self.records.front().is_some_and(|record| record.sent < newest.sent) {
            self.records.pop_front();
        }
        let leaving = newest.sent.saturating_duration_since(newest.first_sent);
        let coming = now.saturating_duration_since(newest.delivered_at);
        Some(Sample {
            sent: newest.sent,
            delivered_before: newest.delivered,
            bytes: self.delivered - newest.delivered,
            interval: leaving.max(coming),
        })
    }
}

impl Sampler {
    #[cfg(test)]
    pub(super) fn records(&self) -> usize {
        self.records.len()
    }
}
