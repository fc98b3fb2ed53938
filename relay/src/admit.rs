//! Who may knock how often: connections and failed attempts, counted per address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Limits;

/// Addresses remembered before those that did nothing lately are forgotten.
const SWEEP_ABOVE: usize = 1024;
/// Large requests that may be arriving from one address at once.
const LARGE_PER_ADDRESS_MAX: u32 = 8;
/// Addresses remembered at most because of packets that anybody may have written.
const NETWORKS_MAX: usize = 16_384;
/// Handshakes that may come at once, in seconds of their rate.
const BURST_SECONDS: f64 = 4.0;
const MINUTE: Duration = Duration::from_secs(60);

/// Counts per address.
pub struct Admit {
    limits: Limits,
    visitors: Mutex<Visitors>,
}

/// What is done about somebody who begins a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// It goes on.
    Go,
    /// The address must first show that it is real: packets of others may bear it.
    Prove,
    /// It is refused.
    Refuse,
}

/// Whether an address has shown that it is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    /// It has.
    Yes,
    /// Anybody may have written it.
    No,
}

/// One admitted connection; dropped when it ends.
pub struct Admitted {
    admit: Arc<Admit>,
    network: IpAddr,
}

/// One large request that is arriving; dropped when it has.
pub struct Large {
    admit: Arc<Admit>,
    network: IpAddr,
}

#[derive(Default)]
struct Visitors {
    connections: u32,
    by_network: HashMap<IpAddr, Visitor>,
}

struct Visitor {
    connections: u32,
    /// Large requests that are arriving.
    large: u32,
    /// Failures that still count at `at`; they wear off steadily.
    failures: f64,
    at: Instant,
    /// Handshakes of whoever may be anybody, and of whoever is there.
    unproven: Bucket,
    proven: Bucket,
}

/// Turns that come back steadily.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    /// Takes a turn, if there is one.
    fn take(&mut self, now: Instant, per_second: f64) -> bool {
        let back = now.saturating_duration_since(self.at).as_secs_f64() * per_second;
        self.left = (self.left + back).min(per_second * BURST_SECONDS);
        self.at = now;
        let is_there = self.left >= 1.0;
        if is_there {
            self.left -= 1.0;
        }
        is_there
    }
}

impl Admit {
    /// Begins with nobody.
    pub fn new(limits: Limits) -> Self {
        Self { limits, visitors: Mutex::default() }
    }

    /// Takes one more connection, if there is room for it.
    pub fn connect(self: &Arc<Self>, from: IpAddr, now: Instant) -> Option<Admitted> {
        let network = network(from);
        let per_second = f64::from(self.limits.handshakes_per_second_max);
        let mut visitors = self.lock();
        if visitors.connections >= self.limits.connections_max {
            return None;
        }
        let visitor = visitors.of(network, now, per_second);
        if visitor.connections >= self.limits.connections_per_address_max {
            return None;
        }
        visitor.connections += 1;
        visitors.connections += 1;
        Some(Admitted { admit: self.clone(), network })
    }

    /// Whether a handshake may go on [S13.13]. Nobody can use up the turns of others by writing their address: whoever
    /// proves its own has turns apart.
    pub fn handshake(&self, from: IpAddr, proven: Proven, now: Instant) -> Handshake {
        let per_second = f64::from(self.limits.handshakes_per_second_max);
        let network = network(from);
        let mut visitors = self.lock();
        let is_full = visitors.by_network.len() >= NETWORKS_MAX && !visitors.by_network.contains_key(&network);
        if is_full && proven == Proven::No {
            return Handshake::Prove;
        }
        let visitor = visitors.of(network, now, per_second);
        match proven {
            Proven::No if visitor.unproven.take(now, per_second) => Handshake::Go,
            Proven::No => Handshake::Prove,
            Proven::Yes if visitor.proven.take(now, per_second) => Handshake::Go,
            Proven::Yes => Handshake::Refuse,
        }
    }

    /// Takes one more large request from an address, if there are not too many already.
    pub fn large(self: &Arc<Self>, from: IpAddr, now: Instant) -> Option<Large> {
        let network = network(from);
        let per_second = f64::from(self.limits.handshakes_per_second_max);
        let mut visitors = self.lock();
        let visitor = visitors.of(network, now, per_second);
        if visitor.large >= LARGE_PER_ADDRESS_MAX {
            return None;
        }
        visitor.large += 1;
        Some(Large { admit: self.clone(), network })
    }

    /// Whether an address has not failed too often lately.
    pub fn may_try(&self, from: IpAddr, now: Instant) -> bool {
        let allowed = f64::from(self.limits.failures_per_minute_max);
        let room_for_one = |visitor: &Visitor| visitor.failures_at(now, allowed) <= allowed - 1.0;
        self.lock().by_network.get(&network(from)).is_none_or(room_for_one)
    }

    /// Counts a failure.
    pub fn failed(&self, from: IpAddr, now: Instant) {
        let allowed = f64::from(self.limits.failures_per_minute_max);
        let per_second = f64::from(self.limits.handshakes_per_second_max);
        let mut visitors = self.lock();
        let visitor = visitors.of(network(from), now, per_second);
        visitor.failures = visitor.failures_at(now, allowed) + 1.0;
        visitor.at = now;
    }

    fn lock(&self) -> MutexGuard<'_, Visitors> {
        // Counters stay usable whatever panicked beside them.
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitors {
    fn of(&mut self, network: IpAddr, now: Instant, per_second: f64) -> &mut Visitor {
        if self.by_network.len() > SWEEP_ABOVE {
            self.by_network.retain(|_, visitor| {
                let last = visitor.at.max(visitor.unproven.at).max(visitor.proven.at);
                visitor.connections > 0 || visitor.large > 0 || now.duration_since(last) < MINUTE
            });
        }
        let full = Bucket { left: per_second * BURST_SECONDS, at: now };
        let fresh = Visitor { connections: 0, large: 0, failures: 0.0, at: now, unproven: full, proven: full };
        self.by_network.entry(network).or_insert(fresh)
    }
}

impl Visitor {
    fn failures_at(&self, now: Instant, allowed_per_minute: f64) -> f64 {
        let minutes = now.saturating_duration_since(self.at).as_secs_f64() / MINUTE.as_secs_f64();
        (self.failures - minutes * allowed_per_minute).max(0.0)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut visitors = self.admit.lock();
        visitors.connections = visitors.connections.saturating_sub(1);
        if let Some(visitor) = visitors.by_network.get_mut(&self.network) {
            visitor.connections = visitor.connections.saturating_sub(1);
        }
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        if let Some(visitor) = self.admit.lock().by_network.get_mut(&self.network) {
            visitor.large = visitor.large.saturating_sub(1);
        }
    }
}

/// One IPv4 address, or the network that one IPv6 customer usually has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit() -> Arc<Admit> {
        let limits = Limits {
            connections_max: 3,
            connections_per_address_max: 2,
            failures_per_minute_max: 2,
            ..Limits::default()
        };
        Arc::new(Admit::new(limits))
    }

    #[test]
    fn connections_are_bounded_per_network_and_in_all() {
        let (admit, now) = (admit(), Instant::now());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = admit.connect(address("2001:db8::1"), now).unwrap();
        let _second = admit.connect(address("2001:db8::2"), now).unwrap();
        assert!(admit.connect(address("2001:db8::3"), now).is_none());
        let _third = admit.connect(address("192.0.2.1"), now).unwrap();
        assert!(admit.connect(address("192.0.2.2"), now).is_none());

        drop(first);

        assert!(admit.connect(address("::ffff:192.0.2.1"), now).is_some());
    }

    #[test] // [S13.13]
    fn large_requests_are_bounded_per_network() {
        let (admit, now) = (admit(), Instant::now());
        let address = "192.0.2.1".parse().unwrap();
        let mut held: Vec<Large> = (0..LARGE_PER_ADDRESS_MAX).filter_map(|_| admit.large(address, now)).collect();
        assert_eq!(held.len(), LARGE_PER_ADDRESS_MAX as usize);
        assert!(admit.large(address, now).is_none());
        assert!(admit.large("192.0.2.2".parse().unwrap(), now).is_some());
        held.pop();
        assert!(admit.large(address, now).is_some());
    }

    #[test] // [S13.13]
    fn handshakes_have_a_rate_for_each_network() {
        let (admit, now) = (admit(), Instant::now());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let go = |from: &str, proven, now| admit.handshake(address(from), proven, now);
        for turn in 0..200 {
            // One customer's network is one address.
            assert_eq!(go(&format!("2001:db8::{turn:x}"), Proven::No, now), Handshake::Go, "{turn}");
        }
        assert_eq!(go("2001:db8::ffff", Proven::No, now), Handshake::Prove);
        assert_eq!(go("2001:db8:0:1::1", Proven::No, now), Handshake::Go);
        // Who proves its address has turns of its own, and they end too.
        for _ in 0..200 {
            assert_eq!(go("2001:db8::1", Proven::Yes, now), Handshake::Go);
        }
        assert_eq!(go("2001:db8::1", Proven::Yes, now), Handshake::Refuse);
        let later = now + Duration::from_millis(500);
        let turns = (0..100).take_while(|_| go("2001:db8::1", Proven::Yes, later) == Handshake::Go).count();
        assert_eq!(turns, 25);
        // Addresses that anybody may write do not fill the memory.
        for number in 0..(NETWORKS_MAX as u32 + 10) {
            let from = IpAddr::from(number.to_be_bytes());
            admit.handshake(from, Proven::No, now);
        }
        assert!(admit.lock().by_network.len() <= NETWORKS_MAX);
        assert_eq!(go("203.0.113.9", Proven::No, now), Handshake::Prove);
        assert_eq!(go("203.0.113.9", Proven::Yes, now), Handshake::Go);
    }

    #[test]
    fn failures_wear_off() {
        let (admit, now) = (admit(), Instant::now());
        let address = "192.0.2.1".parse().unwrap();
        assert!(admit.may_try(address, now));
        admit.failed(address, now);
        assert!(admit.may_try(address, now));
        admit.failed(address, now);
        assert!(!admit.may_try(address, now));
        assert!(admit.may_try("192.0.2.2".parse().unwrap(), now));
        assert!(!admit.may_try(address, now + Duration::from_secs(29)));
        assert!(admit.may_try(address, now + MINUTE / 2));
    }
}
