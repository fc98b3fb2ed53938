//! The way to a relay, step by step: its name, the ways there, its key, its clock, what it allows.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use handover_shared::ids::{LinkKey, Millis};
use handover_shared::keys::code::RelayAddress;
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::proof::fingerprint_of_link_key;
use handover_shared::protocol::message::Welcome;
use handover_shared::tls::{ExpectedRelay, LinkSecret};
use zeroize::Zeroizing;

use super::{Enrolled, Fact, Listener};
use crate::error::Error;
use crate::link::network::{Network, Transport};
use crate::link::{self, Relay};

/// How long a name may take to be found.
const NAME_PATIENCE: Duration = Duration::from_secs(3);
/// How long one address may take to answer.
const REACH_PATIENCE: Duration = Duration::from_secs(3);
/// How long a relay may take to greet this machine by its own key.
const GREET_PATIENCE: Duration = Duration::from_secs(3);
/// Addresses that are tried.
const ADDRESSES_MAX: usize = 4;
/// Datagrams grow while they get through; after so many looks without growth they have their size.
const WIDTH_LOOKS: u32 = 10;
const WIDTH_LOOK: Duration = Duration::from_millis(100);
const WIDTH_STEADY: u32 = 4;

/// Variables of the environment that name proxies.
pub const PROXY_VARIABLES: [&str; 8] =
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"];

/// Which relay is looked at, and what is known of it.
pub struct Wanted {
    /// Where it is.
    pub address: RelayAddress,
    /// Its key, if this machine knows it.
    pub key: Option<LinkKey>,
    /// As whom this machine sends, if it has sent through it.
    pub own: Option<LinkSecret>,
    /// How it is to be reached.
    pub network: Network,
}

/// Looks at the way to a relay. `proxies` are the variables of [`PROXY_VARIABLES`] that are set.
pub async fn examine(wanted: &Wanted, proxies: Vec<(String, String)>, tell: &mut impl Listener) {
    let Some(targets) = names(&wanted.address, tell).await else { return };
    let proxies: Vec<_> = proxies.into_iter().map(|(name, value)| (name, without_password(&value))).collect();
    tell.hear(if proxies.is_empty() { Fact::NoProxy } else { Fact::Proxies(proxies) });
    let Some((relay, at)) = ways(&wanted.address, targets, tell).await else { return };
    let round_trip = way(&relay, tell).await;
    let is_other = key(wanted.key, relay.key(), tell);
    let welcome = match relay.welcome().await {
        Ok(welcome) => welcome.clone(),
        Err(error) => return tell.hear(broken(error)),
    };
    tell.hear(Fact::Clock { ahead_ms: ahead_ms(&welcome, at, round_trip) });
    relay.close().await;
    // Who this machine is, is nobody's business but the true relay's.
    let own = wanted.own.as_ref().filter(|_| !is_other);
    match enrolled(wanted, own).await {
        Ok(enrolled) => tell.hear(Fact::Relay {
            version: welcome.version,
            transfer_bytes_max: welcome.transfer_bytes_max,
            expiry_ms_max: welcome.expiry_ms_max,
            expiry_ms_default: welcome.expiry_ms_default,
            enrolled,
        }),
        Err(error) => tell.hear(broken(error)),
    }
}

async fn names(address: &RelayAddress, tell: &mut impl Listener) -> Option<Vec<SocketAddr>> {
    let host = address.host.clone();
    let found = match tokio::time::timeout(NAME_PATIENCE, link::resolve(address)).await {
        Err(_elapsed) => {
            tell.hear(Fact::NameSilent { host });
            return None;
        }
        Ok(Err(Error::Unreachable { source, .. })) => {
            tell.hear(Fact::NameUnknown { host, source });
            return None;
        }
        Ok(Err(error)) => {
            tell.hear(broken(error));
            return None;
        }
        Ok(Ok(found)) => found,
    };
    tell.hear(match host.parse::<IpAddr>() {
        Ok(ip) => Fact::NameNotNeeded(ip),
        Err(_name) => Fact::NameFound { host, addresses: found.iter().map(SocketAddr::ip).collect() },
    });
    Some(some_of_each(found))
}

/// At most so many addresses, both families among them.
fn some_of_each(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (six, four): (Vec<_>, Vec<_>) = found.into_iter().partition(SocketAddr::is_ipv6);
    let of_six = ADDRESSES_MAX.saturating_sub(four.len().min(ADDRESSES_MAX / 2));
    let chosen: Vec<_> = six.into_iter().take(of_six).collect();
    let of_four = ADDRESSES_MAX - chosen.len();
    chosen.into_iter().chain(four.into_iter().take(of_four)).collect()
}

/// A relay that has greeted this machine, and when, by this machine's clock.
type Greeted = (Relay, Millis);

/// Tries both transports at every address at once, as a stranger, and takes the first of the list that answers.
async fn ways(address: &RelayAddress, targets: Vec<SocketAddr>, tell: &mut impl Listener) -> Option<Greeted> {
    let (quic, tcp) = tokio::join!(reach(Transport::Quic, address, &targets), reach(Transport::Tcp, address, &targets));
    let (answering, silent) = (quic.answering(), quic.silent.clone());
    let is_tcp_open = !tcp.greeted.is_empty();
    match quic.why {
        Some(source) if answering.is_empty() => tell.hear(Fact::UdpSilent { silent, source, is_tcp_open }),
        _ => tell.hear(Fact::Udp { answering, silent }),
    }
    match tcp.why {
        Some(source) if !is_tcp_open => tell.hear(Fact::TcpSilent { silent: tcp.silent.clone(), source }),
        _ => tell.hear(Fact::Tcp { answering: tcp.answering() }),
    }
    if let Some(error) = quic.refusal.or(tcp.refusal) {
        tell.hear(broken(error));
        return None;
    }
    let mut all = quic.greeted.into_iter().chain(tcp.greeted).map(|(_, greeted)| greeted);
    let first = all.next();
    for (other, _at) in all {
        other.close().await;
    }
    first
}

/// What came of trying one transport.
#[derive(Default)]
struct Reached {
    greeted: Vec<(SocketAddr, Greeted)>,
    /// Something answers there, and says why it will not do.
    refusing: Vec<SocketAddr>,
    refusal: Option<Error>,
    silent: Vec<SocketAddr>,
    why: Option<io::Error>,
}

impl Reached {
    fn answering(&self) -> Vec<SocketAddr> {
        self.greeted.iter().map(|(target, _)| *target).chain(self.refusing.iter().copied()).collect()
    }
}

async fn reach(transport: Transport, address: &RelayAddress, targets: &[SocketAddr]) -> Reached {
    let mut trying = tokio::task::JoinSet::new();
    for target in targets.iter().copied() {
        let address = address.clone();
        trying.spawn(async move {
            let greeting = async {
                let expected = ExpectedRelay::ToldByOffer;
                let relay = Relay::connect_by(transport, &address, target, expected, &stranger()?).await?;
                relay.welcome().await?;
                Ok((relay, crate::push::now()))
            };
            let greeted = tokio::time::timeout(REACH_PATIENCE, greeting).await;
            let silent = || Error::Unreachable { address: address.to_string(), source: io::ErrorKind::TimedOut.into() };
            (target, greeted.unwrap_or_else(|_elapsed| Err(silent())))
        });
    }
    let mut outcomes = Vec::new();
    while let Some(joined) = trying.join_next().await {
        match joined {
            Ok(outcome) => outcomes.push(outcome),
            Err(panicked) => tracing::debug!(%panicked, "an attempt failed"),
        }
    }
    outcomes.sort_by_key(|(target, _)| targets.iter().position(|other| other == target));
    let mut reached = Reached::default();
    for (target, outcome) in outcomes {
        match outcome {
            Ok(greeted) => reached.greeted.push((target, greeted)),
            Err(Error::Unreachable { source, .. }) => {
                reached.silent.push(target);
                reached.why.get_or_insert(source);
            }
            Err(error) => {
                reached.refusing.push(target);
                reached.refusal.get_or_insert(error);
            }
        }
    }
    reached
}

/// A key that tells nothing of this machine.
fn stranger() -> Result<LinkSecret, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    OsEntropy.fill(&mut seed[..]);
    LinkSecret::of_seed(seed).map_err(|error| Error::Internal(error.to_string()))
}

/// Tells round trip and width, once the width has stopped to grow; gives the round trip. Of TCP neither is known.
async fn way(relay: &Relay, tell: &mut impl Listener) -> Duration {
    let (mut widest, mut steady) = (0, 0);
    for _ in 0..WIDTH_LOOKS {
        let Some((_, datagram_bytes)) = relay.way() else { return Duration::ZERO };
        steady = if datagram_bytes > widest { 0 } else { steady + 1 };
        widest = widest.max(datagram_bytes);
        if steady >= WIDTH_STEADY {
            break;
        }
        tokio::time::sleep(WIDTH_LOOK).await;
    }
    let Some((round_trip, datagram_bytes)) = relay.way() else { return Duration::ZERO };
    tell.hear(Fact::Path { round_trip, datagram_bytes });
    round_trip
}

/// Tells whose key it is; true if it is not the one that is known.
fn key(known: Option<LinkKey>, seen: LinkKey, tell: &mut impl Listener) -> bool {
    let fingerprint = fingerprint_of_link_key(&seen);
    let is_other = known.is_some_and(|known| known != seen);
    tell.hear(match known {
        None => Fact::KeyNew { fingerprint },
        Some(known) if is_other => Fact::KeyOther { seen: fingerprint, expected: fingerprint_of_link_key(&known) },
        Some(_) => Fact::KeyKnown { fingerprint },
    });
    is_other
}

/// This machine's clock when the relay looked at its own, less that.
fn ahead_ms(welcome: &Welcome, at: Millis, round_trip: Duration) -> i64 {
    let half = u64::try_from(round_trip.as_millis() / 2).unwrap_or(0);
    let own = i64::try_from(at.0.saturating_sub(half)).unwrap_or(i64::MAX);
    own.saturating_sub(i64::try_from(welcome.time.0).unwrap_or(i64::MAX))
}

/// Asks the relay, by this machine's own key, whether it may send.
async fn enrolled(wanted: &Wanted, own: Option<&LinkSecret>) -> Result<Enrolled, Error> {
    let (Some(own), Some(key)) = (own, wanted.key) else { return Ok(Enrolled::Never) };
    let greeting = async {
        let relay = Relay::connect(&wanted.network, &wanted.address, ExpectedRelay::Key(key), own).await?;
        let enrolled = if relay.welcome().await?.enrolled { Enrolled::Yes } else { Enrolled::NoMore };
        relay.close().await;
        Ok(enrolled)
    };
    let silent = || Error::Lost { address: wanted.address.to_string(), cause: "no answer in time".into() };
    tokio::time::timeout(GREET_PATIENCE, greeting).await.unwrap_or_else(|_elapsed| Err(silent()))
}

fn broken(error: Error) -> Fact {
    match error {
        Error::Version { address } => Fact::OtherVersion { address },
        Error::Refused { fault, .. } => Fact::Refused(fault),
        Error::RelayKey { expected, seen, .. } => Fact::KeyOther { seen, expected },
        error => Fact::Broken { error },
    }
}

/// A proxy's address without what stands before `@`.
fn without_password(value: &str) -> String {
    let (scheme, rest) = value.split_once("://").map_or(("", value), |(scheme, rest)| (scheme, rest));
    let place = rest.rsplit_once('@').map_or(rest, |(_secret, place)| place);
    if scheme.is_empty() { place.to_owned() } else { format!("{scheme}://{place}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Blame, Verdict};

    #[test]
    fn passwords_of_proxies_are_not_repeated() {
        let table = [
            ("http://proxy.example:8080", "http://proxy.example:8080"),
            ("http://user:secret@proxy.example:8080", "http://proxy.example:8080"),
            ("socks5h://user:se@cret@proxy:1080/", "socks5h://proxy:1080/"),
            ("user:secret@proxy:3128", "proxy:3128"),
            ("localhost,.example", "localhost,.example"),
        ];
        for (value, shown) in table {
            assert_eq!(without_password(value), shown);
        }
    }

    #[test]
    fn both_families_are_tried() {
        let addresses = |six: u16, four: u16| -> Vec<SocketAddr> {
            let six = (0..six).map(|n| SocketAddr::new([0, 0, 0, 0, 0, 0, 0, n].into(), 1));
            six.chain((0..four).map(|n| SocketAddr::new([10, 0, 0, n as u8].into(), 1))).collect()
        };
        for (six, four, expected) in [(9, 9, (2, 2)), (9, 1, (3, 1)), (9, 0, (4, 0)), (0, 9, (0, 4)), (1, 9, (1, 3))] {
            let chosen = some_of_each(addresses(six, four));
            let of_six = chosen.iter().filter(|it| it.is_ipv6()).count();
            assert_eq!((of_six, chosen.len() - of_six), expected, "{six} {four}");
        }
    }

    #[test]
    fn the_clock_is_compared_at_half_the_way() {
        let welcome = |ms| Welcome {
            version: String::new(),
            time: Millis(ms),
            enrolled: false,
            transfer_bytes_max: 0,
            expiry_ms_max: 0,
            expiry_ms_default: 0,
        };
        let ahead = |ms| ahead_ms(&welcome(ms), Millis(1_000_000), Duration::from_millis(400));
        assert_eq!((ahead(999_800), ahead(1_299_800)), (0, -300_000));
        assert_eq!(ahead(u64::MAX), 999_800 - i64::MAX);
        let verdict = |ahead_ms| Fact::Clock { ahead_ms }.verdict();
        assert_eq!(verdict(60_000), Verdict::Fine);
        assert_eq!((verdict(60_001), verdict(-60_001)), (Verdict::Warning, Verdict::Warning));
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_is_the_end_of_it() {
        let wanted = Wanted {
            address: "no.such.name.invalid:4433".parse().unwrap(),
            key: None,
            own: None,
            network: Network::default(),
        };
        let mut facts = Vec::new();
        examine(&wanted, Vec::new(), &mut |fact| facts.push(fact)).await;
        let [Fact::NameUnknown { .. } | Fact::NameSilent { .. }] = facts.as_slice() else { panic!("{facts:?}") };
        assert_eq!(facts[0].verdict(), Verdict::Failed(Blame::Network));
    }
}
