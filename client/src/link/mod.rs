//! Connections to a relay. The only place of the client with sockets.
//!
//! [`Relay::connect`] makes one QUIC connection; [`Relay::ask`] is one question and one answer; [`Relay::open`] begins
//! an operation that goes on. Nothing here tries again: [`retry`] says when and how long to wait.
//!
//! # Source
//! SPEC \[S11\] \[S12\].

mod papers;
pub mod retry;
mod transport;
mod wire;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use handover_shared::fault::Fault;
use handover_shared::ids::LinkKey;
use handover_shared::keys::code::RelayAddress;
use handover_shared::proof;
use handover_shared::protocol::message::{CHANNEL_LABEL, Hello, Refused, Reply, Request, Welcome};
use handover_shared::tls::{self, ExpectedRelay, LinkSecret};

use crate::error::Error;

pub use papers::SealedPaper;
pub use wire::{Replies, read_exact_chunks};

/// Counters of a connection's transport; they grow while anything of a stream gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Pieces of streams that were put on the wire.
    pub pieces_sent: u64,
    /// Confirmations that came back.
    pub confirmations: u64,
}

/// How long one attempt to reach one address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// How long the relay may take to answer a single question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The head start of one address before the next is tried as well.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// A connection to a relay that has said welcome.
pub struct Relay {
    endpoint: quinn::Endpoint,
    connection: quinn::Connection,
    address: RelayAddress,
    key: LinkKey,
    welcome: Welcome,
}

impl Relay {
    /// Reaches a relay and greets it.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Version`], [`Error::RelayKey`], [`Error::Lost`], [`Error::Refused`].
    pub async fn connect(address: &RelayAddress, expected: ExpectedRelay, own: &LinkSecret) -> Result<Self, Error> {
        let targets = resolve(address).await?;
        let config = transport::client_config(own, expected)?;
        let (endpoint, connection) = race(address, expected, &config, &targets).await?;
        let key = connection
            .peer_identity()
            .and_then(|any| any.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok())
            .and_then(|presented| tls::peer_key(&presented))
            .ok_or(Error::RelayMisbehaved("presented no raw public key"))?;
        let hello = Request::Hello(Hello { version: concat!("handover/", env!("CARGO_PKG_VERSION")).into() });
        let welcome = match ask_on(&connection, address, &hello).await? {
            Reply::Welcome(welcome) => welcome,
            other => return Err(unexpected(other)),
        };
        Ok(Self { endpoint, connection, address: address.clone(), key, welcome })
    }

    /// The relay's key, as proven in the handshake.
    pub fn key(&self) -> LinkKey {
        self.key
    }

    /// The fingerprint of the relay's key.
    pub fn fingerprint(&self) -> String {
        proof::fingerprint_of_link_key(&self.key)
    }

    /// What the relay said of itself and its limits.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Where it is, as typed.
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// The value that binds a claim to this connection.
    ///
    /// # Errors
    /// [`Error::Internal`] if the handshake were not over, which it is.
    pub fn channel(&self) -> Result<[u8; 32], Error> {
        let mut channel = [0u8; 32];
        self.connection
            .export_keying_material(&mut channel, CHANNEL_LABEL, b"")
            .map_err(|error| Error::Internal(format!("{error:?}")))?;
        Ok(channel)
    }

    /// One question, one answer. A refusal is an error.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Lost`], [`Error::RelayMisbehaved`].
    pub async fn ask(&self, request: &Request) -> Result<Reply, Error> {
        ask_on(&self.connection, &self.address, request).await
    }

    /// Begins an operation that goes on: the sending half, and the replies.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub async fn open(&self, request: &Request) -> Result<(quinn::SendStream, Replies), Error> {
        open_on(&self.connection, &self.address, request).await
    }

    /// What the transport has done so far.
    pub fn traffic(&self) -> Traffic {
        let stats = self.connection.stats();
        Traffic { pieces_sent: stats.frame_tx.stream, confirmations: stats.frame_rx.acks }
    }

    /// Says goodbye and waits until it is on the wire.
    pub async fn close(self) {
        self.connection.close(0u32.into(), b"");
        if tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await.is_err() {
            tracing::debug!("the goodbye was not acknowledged in time");
        }
    }

    /// Completes when the connection is gone, with the reason.
    pub async fn closed(&self) -> Error {
        lost(&self.address, &self.connection.closed().await)
    }
}

/// Anything but the reply that belongs to the request.
pub fn unexpected(reply: Reply) -> Error {
    match reply {
        Reply::Refused(refused) => refusal(refused),
        _ => Error::RelayMisbehaved("answered another question"),
    }
}

/// A refusal as an error; a fault that this version does not know counts as internal to the relay.
pub fn refusal(refused: Refused) -> Error {
    let fault = refused.known().unwrap_or(Fault::Internal);
    Error::Refused { fault, number: refused.number, time: refused.time }
}

async fn ask_on(connection: &quinn::Connection, address: &RelayAddress, request: &Request) -> Result<Reply, Error> {
    let asking = async {
        let (mut send, mut replies) = open_on(connection, address, request).await?;
        // The stream may have been stopped by a relay that has answered already; the answer is what counts.
        if send.finish().is_err() {
            tracing::debug!("the relay closed its reading half early");
        }
        match replies.next().await? {
            Some(Reply::Refused(refused)) => Err(refusal(refused)),
            Some(reply) => Ok(reply),
            None => Err(Error::RelayMisbehaved("finished without an answer")),
        }
    };
    match tokio::time::timeout(ANSWER_TIMEOUT, asking).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(Error::Lost { address: address.to_string(), cause: "no answer in time".into() }),
    }
}

async fn open_on(
    connection: &quinn::Connection,
    address: &RelayAddress,
    request: &Request,
) -> Result<(quinn::SendStream, Replies), Error> {
    let (mut send, receive) = connection.open_bi().await.map_err(|error| lost(address, &error))?;
    let replies = Replies::new(receive, address.to_string());
    match send.write_all(&request.to_bytes()).await {
        Ok(()) | Err(quinn::WriteError::Stopped(_)) => Ok((send, replies)),
        Err(quinn::WriteError::ConnectionLost(error)) => Err(lost(address, &error)),
        Err(error) => Err(Error::Lost { address: address.to_string(), cause: error.to_string() }),
    }
}

/// A broken connection as an error.
pub(crate) fn lost(address: &RelayAddress, error: &quinn::ConnectionError) -> Error {
    match error {
        quinn::ConnectionError::VersionMismatch => Error::Version { address: address.to_string() },
        quinn::ConnectionError::ApplicationClosed(close) => {
            match u16::try_from(close.error_code.into_inner()).ok().and_then(Fault::of_number) {
                Some(fault) => Error::Refused { fault, number: None, time: None },
                None => Error::Lost { address: address.to_string(), cause: error.to_string() },
            }
        }
        _ => Error::Lost { address: address.to_string(), cause: error.to_string() },
    }
}

/// Resolves a relay's name, IPv6 first.
async fn resolve(address: &RelayAddress) -> Result<Vec<SocketAddr>, Error> {
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

/// Tries the addresses one after the other, each with a head start, and takes the first that stands.
async fn race(
    address: &RelayAddress,
    expected: ExpectedRelay,
    config: &quinn::ClientConfig,
    targets: &[SocketAddr],
) -> Result<(quinn::Endpoint, quinn::Connection), Error> {
    let mut attempts = tokio::task::JoinSet::new();
    for (turn, target) in targets.iter().copied().enumerate() {
        let config = config.clone();
        let address = address.clone();
        attempts.spawn(async move {
            tokio::time::sleep(NEXT_ADDRESS_AFTER * turn as u32).await;
            dial(&address, expected, config, target).await
        });
    }
    let mut failure = None;
    while let Some(joined) = attempts.join_next().await {
        match joined {
            Ok(Ok(connected)) => return Ok(connected),
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

async fn dial(
    address: &RelayAddress,
    expected: ExpectedRelay,
    config: quinn::ClientConfig,
    target: SocketAddr,
) -> Result<(quinn::Endpoint, quinn::Connection), Error> {
    let unreachable = |source| Error::Unreachable { address: address.to_string(), source };
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let endpoint = transport::endpoint(SocketAddr::new(any, 0)).map_err(unreachable)?;
    let connecting = endpoint
        .connect_with(config, target, "relay.handover")
        .map_err(|error| unreachable(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => Ok((endpoint, connection)),
        Ok(Err(error)) => Err(handshake_failure(address, expected, error)),
        Err(_elapsed) => Err(unreachable(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))),
    }
}

/// Tells a wrong key and a wrong version from mere silence.
fn handshake_failure(address: &RelayAddress, expected: ExpectedRelay, error: quinn::ConnectionError) -> Error {
    /// TLS alert `no_application_protocol` inside a QUIC transport error (RFC 9001, section 4.8).
    const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;
    let refused_key = matches!(&error, quinn::ConnectionError::TransportError(inner)
        if inner.reason.contains("ApplicationVerificationFailure"));
    let code = match &error {
        quinn::ConnectionError::TransportError(inner) => Some(u64::from(inner.code)),
        quinn::ConnectionError::ConnectionClosed(close) => Some(u64::from(close.error_code)),
        _ => None,
    };
    match (expected, code) {
        (ExpectedRelay::Key(key), _) if refused_key => Error::RelayKey {
            address: address.to_string(),
            expected: proof::fingerprint_of_link_key(&key),
            seen: "?".into(),
        },
        (_, Some(NO_APPLICATION_PROTOCOL)) => Error::Version { address: address.to_string() },
        _ => match error {
            quinn::ConnectionError::VersionMismatch => Error::Version { address: address.to_string() },
            quinn::ConnectionError::ApplicationClosed(_) => lost(address, &error),
            error => Error::Unreachable { address: address.to_string(), source: io::Error::other(error) },
        },
    }
}

/// The address of this machine that another machine would reach it under: the source address of a route to the
/// outside. Nothing is sent.
///
/// # Errors
/// When the machine has no route at all.
pub fn own_address() -> io::Result<IpAddr> {
    // TEST-NET-3 and the documentation prefix (RFC 5737, RFC 3849): never a real peer.
    for (bind, probe) in [("0.0.0.0:0", "203.0.113.1:9"), ("[::]:0", "[2001:db8::1]:9")] {
        let found = std::net::UdpSocket::bind(bind).and_then(|socket| {
            socket.connect(probe)?;
            socket.local_addr()
        });
        if let Ok(address) = found
            && !address.ip().is_unspecified()
        {
            return Ok(address.ip());
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "this machine has no network address"))
}

/// Shares one client key among the connections of a run.
pub type SharedLinkSecret = Arc<LinkSecret>;
