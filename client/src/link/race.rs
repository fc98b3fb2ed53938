//! Which transport and which address a relay is reached over: all of them are tried, one a little after the other, and
//! what stands first is used.
//!
//! # Source
//! SPEC [S11.9].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use handover_shared::ids::LinkKey;
use handover_shared::keys::code::RelayAddress;
use handover_shared::tls::{ExpectedRelay, LinkSecret};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::network::{Network, Transport, TransportChoice};
use super::tcp::Way;
use super::{Connection, quic, tcp};
use crate::error::Error;

/// How long one attempt to reach one address may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// The head start of one address before the next is tried as well.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// The head start of QUIC before TCP is tried as well, where nothing says that it will not get through.
const TCP_AFTER: Duration = Duration::from_secs(1);

/// When each transport is tried; `None` for never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    quic: Option<Duration>,
    tcp: Option<Duration>,
}

impl Plan {
    /// [S11.9]
    fn of(choice: TransportChoice, last: Option<Transport>) -> Self {
        let now = Some(Duration::ZERO);
        match (choice, last) {
            (TransportChoice::Quic, _) => Self { quic: now, tcp: None },
            (TransportChoice::Tcp, _) => Self { quic: None, tcp: now },
            (TransportChoice::Auto, Some(Transport::Tcp)) => Self { quic: now, tcp: now },
            (TransportChoice::Auto, _) => Self { quic: now, tcp: Some(TCP_AFTER) },
        }
    }
}

/// Reaches a relay, and says which key it proved to hold.
pub(super) async fn run(
    network: &Network,
    address: &RelayAddress,
    expected: ExpectedRelay,
    own: &LinkSecret,
) -> Result<(Connection, LinkKey), Error> {
    let begun = Instant::now();
    let last = network.last(address);
    let plan = Plan::of(network.choice(), last);
    let connection = match network.proxy(address)? {
        Some(proxy) => {
            tracing::debug!(relay = %address, %proxy, "reaches through a proxy");
            let dialer = tcp::Dialer::new(Way::Through(proxy), expected, own)?;
            Connection::Tcp(tcp::Pool::open(dialer, address).await?)
        }
        None => {
            let targets = resolve(address).await?;
            tracing::debug!(relay = %address, ?plan, ?last, addresses = targets.len(), "reaches");
            race(plan, address, expected, own, &targets).await?
        }
    };
    let key = connection.key().ok_or(Error::RelayMisbehaved("presented no raw public key"))?;
    tracing::debug!(
        relay = %address,
        transport = %connection.transport(),
        after_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        why = why(plan, last, &connection),
        "reached"
    );
    Ok((connection, key))
}

/// Why it is this transport, for whoever reads the log.
fn why(plan: Plan, last: Option<Transport>, connection: &Connection) -> &'static str {
    match (plan, last, connection.transport()) {
        _ if connection.is_through_proxy() => "a proxy leads to the relay",
        (Plan { tcp: None, .. } | Plan { quic: None, .. }, ..) => "no other was to be tried",
        (_, Some(Transport::Tcp), Transport::Tcp) => "TCP was used the last time, and stood before QUIC",
        (.., Transport::Tcp) => "QUIC did not answer in time; UDP may be blocked",
        (_, Some(Transport::Tcp), Transport::Quic) => "QUIC answers again",
        (.., Transport::Quic) => "QUIC answered",
    }
}

/// Tries transports and addresses one after the other, each with a head start, and takes the first that stands.
async fn race(
    plan: Plan,
    address: &RelayAddress,
    expected: ExpectedRelay,
    own: &LinkSecret,
    targets: &[SocketAddr],
) -> Result<Connection, Error> {
    let mut attempts: JoinSet<Result<Connection, Error>> = JoinSet::new();
    let turn = |start: Duration, turn: usize| start + NEXT_ADDRESS_AFTER * u32::try_from(turn).unwrap_or(u32::MAX);
    // TCP does not wait out its time when QUIC has failed already.
    let (quic_runs, quic_over) = watch::channel(());
    let quic_runs = plan.quic.map(|start| (start, std::sync::Arc::new(quic_runs)));
    if let Some((start, runs)) = quic_runs {
        let config = quic::client_config(own, expected)?;
        for (place, target) in targets.iter().copied().enumerate() {
            let (config, address, runs) = (config.clone(), address.clone(), runs.clone());
            attempts.spawn(async move {
                tokio::time::sleep(turn(start, place)).await;
                let dialed = quic::dial(&address, expected, config, target).await;
                drop(runs);
                dialed.map(Connection::Quic)
            });
        }
    }
    if let Some(start) = plan.tcp {
        for (place, target) in targets.iter().copied().enumerate() {
            let dialer = tcp::Dialer::new(Way::Direct(target), expected, own)?;
            let address = address.clone();
            let mut quic_over = quic_over.clone();
            attempts.spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep(start) => {}
                    // Nothing is ever sent: this ends when every attempt has.
                    _ = quic_over.changed() => {}
                }
                tokio::time::sleep(turn(Duration::ZERO, place)).await;
                tcp::Pool::open(dialer, &address).await.map(Connection::Tcp)
            });
        }
    }
    let mut failure = None;
    while let Some(joined) = attempts.join_next().await {
        match joined {
            Ok(Ok(connection)) => return Ok(connection),
            // A clear answer says more than a silence does.
            Ok(Err(error)) => match (&failure, &error) {
                (Some(_), Error::Unreachable { .. }) => {}
                _ => failure = Some(error),
            },
            Err(panicked) => failure = Some(Error::Internal(panicked.to_string())),
        }
    }
    Err(failure.unwrap_or(Error::RelayMisbehaved("has no address")))
}

/// Resolves a relay's name, IPv6 first.
///
/// # Errors
/// [`Error::Unreachable`] when the name has no address.
pub async fn resolve(address: &RelayAddress) -> Result<Vec<SocketAddr>, Error> {
    let unreachable = |source| Error::Unreachable { address: address.to_string(), source };
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port)]);
    }
    let mut found: Vec<SocketAddr> =
        tokio::net::lookup_host((address.host.as_str(), address.port)).await.map_err(unreachable)?.collect();
    found.sort_by_key(|addr| addr.is_ipv4());
    found.dedup();
    if found.is_empty() {
        return Err(unreachable(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S11.9]
    fn tcp_waits_for_quic_unless_it_was_the_one_that_worked() {
        let (now, later) = (Some(Duration::ZERO), Some(TCP_AFTER));
        let table = [
            (TransportChoice::Auto, None, Plan { quic: now, tcp: later }),
            (TransportChoice::Auto, Some(Transport::Quic), Plan { quic: now, tcp: later }),
            (TransportChoice::Auto, Some(Transport::Tcp), Plan { quic: now, tcp: now }),
            (TransportChoice::Quic, Some(Transport::Tcp), Plan { quic: now, tcp: None }),
            (TransportChoice::Tcp, Some(Transport::Quic), Plan { quic: None, tcp: now }),
        ];
        for (choice, last, plan) in table {
            assert_eq!(Plan::of(choice, last), plan, "{choice:?} after {last:?}");
        }
    }
}
