//! Connections to a relay. The only place of the client with sockets.
//!
//! [`Relay::connect`] reaches a relay over QUIC or over TLS on TCP, whichever stands first; [`Relay::ask`] is one question
//! and one answer; [`Relay::open`] begins an operation that goes on. Nothing here tries again: [`retry`] says when and
//! how long to wait.
//!
//! | module | what it holds |
//! |---|---|
//! | [`network`] | what was asked for, and what worked before |
//! | `race` | both transports and all addresses, against one another |
//! | [`proxy`] | proxies that TCP goes through |
//! | `quic`, `tcp` | one connection over the one, or some over the other |
//! | `wire` | messages and raw blocks on a stream |
//!
//! # Source
//! SPEC \[S11\] \[S12\].

pub mod network;
mod papers;
pub mod proxy;
mod quic;
mod race;
pub mod retry;
mod tcp;
mod wire;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use handover_link::{Lost, RecvStream, SendStream, WriteError};
use handover_shared::fault::Fault;
use handover_shared::ids::LinkKey;
use handover_shared::keys::code::RelayAddress;
use handover_shared::proof;
use handover_shared::protocol::message::{Hello, Refused, Reply, Request, Welcome};
use handover_shared::tls::{ExpectedRelay, LinkSecret};
use tokio::sync::OnceCell;

use crate::error::Error;
use network::{Network, Transport};

pub use papers::SealedPaper;
pub use race::resolve;
pub use wire::{Replies, read_exact_chunks};

/// Counters of a connection's transport; they grow while anything of a stream gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Pieces of streams that were put on the wire.
    pub pieces_sent: u64,
    /// Signs that came back.
    pub confirmations: u64,
}

/// How long the relay may take to answer a single question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A relay that has been reached.
pub struct Relay {
    connection: Connection,
    address: RelayAddress,
    key: LinkKey,
    welcome: OnceCell<Welcome>,
}

/// What stands between this machine and the relay.
enum Connection {
    Quic(quic::Link),
    Tcp(tcp::Pool),
}

/// A stream on which nothing has been said yet.
pub struct Opened {
    /// The value that binds a claim to the connection of this stream [S10.5].
    pub channel: [u8; 32],
    send: SendStream,
    recv: RecvStream,
    address: RelayAddress,
}

impl Relay {
    /// Reaches a relay. Nothing is said to it yet: on a long path every question counts.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Version`], [`Error::RelayKey`], [`Error::Lost`], [`Error::Refused`].
    pub async fn connect(
        network: &Network,
        address: &RelayAddress,
        expected: ExpectedRelay,
        own: &LinkSecret,
    ) -> Result<Self, Error> {
        let (connection, key) = race::run(network, address, expected, own).await?;
        if !connection.is_through_proxy() {
            network.remember(address, connection.transport());
        }
        Ok(Self { connection, address: address.clone(), key, welcome: OnceCell::new() })
    }

    /// Reaches a relay over one transport at one of its addresses.
    ///
    /// # Errors
    /// As [`Relay::connect`].
    pub async fn connect_by(
        transport: Transport,
        address: &RelayAddress,
        target: SocketAddr,
        expected: ExpectedRelay,
        own: &LinkSecret,
    ) -> Result<Self, Error> {
        let connection = match transport {
            Transport::Quic => {
                let config = quic::client_config(own, expected)?;
                Connection::Quic(quic::dial(address, expected, config, target).await?)
            }
            Transport::Tcp => {
                let dialer = tcp::Dialer::new(tcp::Way::Direct(target), expected, own)?;
                Connection::Tcp(tcp::Pool::open(dialer, address).await?)
            }
        };
        let key = connection.key().ok_or(Error::RelayMisbehaved("presented no raw public key"))?;
        Ok(Self { connection, address: address.clone(), key, welcome: OnceCell::new() })
    }

    /// The relay's key, as proven in the handshake.
    pub fn key(&self) -> LinkKey {
        self.key
    }

    /// The fingerprint of the relay's key.
    pub fn fingerprint(&self) -> String {
        proof::fingerprint_of_link_key(&self.key)
    }

    /// What the relay says of itself and its limits; asked once.
    ///
    /// # Errors
    /// As [`Relay::ask`].
    pub async fn welcome(&self) -> Result<&Welcome, Error> {
        let greeting = async {
            let hello = Request::Hello(Hello { version: concat!("handover/", env!("CARGO_PKG_VERSION")).into() });
            match self.ask(&hello).await? {
                Reply::Welcome(welcome) => Ok(welcome),
                other => Err(unexpected(other)),
            }
        };
        self.welcome.get_or_try_init(|| greeting).await
    }

    /// Where it is, as typed.
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// What it was reached over.
    pub fn transport(&self) -> Transport {
        self.connection.transport()
    }

    /// One question, one answer. A refusal is an error.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Lost`], [`Error::RelayMisbehaved`].
    pub async fn ask(&self, request: &Request) -> Result<Reply, Error> {
        self.begin().await?.ask(request).await
    }

    /// Begins an operation that goes on: the sending half, and the replies.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub async fn open(&self, request: &Request) -> Result<(SendStream, Replies), Error> {
        self.begin().await?.say(request).await
    }

    /// Begins a stream, to say something on it that is bound to its connection.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Unreachable`].
    pub async fn begin(&self) -> Result<Opened, Error> {
        self.connection.begin(&self.address).await
    }

    /// What the transport has done so far.
    pub fn traffic(&self) -> Traffic {
        match &self.connection {
            Connection::Quic(link) => link.traffic(),
            Connection::Tcp(pool) => pool.traffic(),
        }
    }

    /// How long the way there and back is, and the largest datagram that has got through by now; of QUIC.
    pub fn way(&self) -> Option<(Duration, u16)> {
        match &self.connection {
            Connection::Quic(link) => Some(link.way()),
            Connection::Tcp(_) => None,
        }
    }

    /// Says goodbye and waits until it is on the wire.
    pub async fn close(self) {
        match self.connection {
            Connection::Quic(link) => link.close().await,
            Connection::Tcp(pool) => pool.close().await,
        }
    }
}

impl Connection {
    fn transport(&self) -> Transport {
        match self {
            Self::Quic(_) => Transport::Quic,
            Self::Tcp(_) => Transport::Tcp,
        }
    }

    /// The key that the relay proved to hold.
    fn key(&self) -> Option<LinkKey> {
        match self {
            Self::Quic(link) => link.key(),
            Self::Tcp(pool) => Some(pool.key()),
        }
    }

    fn is_through_proxy(&self) -> bool {
        matches!(self, Self::Tcp(pool) if pool.is_through_proxy())
    }

    async fn begin(&self, address: &RelayAddress) -> Result<Opened, Error> {
        let (channel, send, recv) = match self {
            Self::Quic(link) => link.begin(address).await?,
            Self::Tcp(pool) => pool.begin(address).await?,
        };
        Ok(Opened { channel, send, recv, address: address.clone() })
    }
}

impl Opened {
    /// One question, one answer. A refusal is an error.
    ///
    /// # Errors
    /// As [`Relay::ask`].
    pub async fn ask(self, request: &Request) -> Result<Reply, Error> {
        let address = self.address.clone();
        let asking = async {
            let (mut send, mut replies) = self.say(request).await?;
            send.finish();
            let reply = match replies.next().await? {
                Some(Reply::Refused(refused)) => return Err(refusal(refused)),
                Some(reply) => reply,
                None => return Err(Error::RelayMisbehaved("finished without an answer")),
            };
            replies.end().await;
            Ok(reply)
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, asking).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(Error::Lost { address: address.to_string(), cause: "no answer in time".into() }),
        }
    }

    /// Says what the operation is.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub async fn say(self, request: &Request) -> Result<(SendStream, Replies), Error> {
        let Self { mut send, recv, address, .. } = self;
        let replies = Replies::new(recv, address.to_string());
        match send.write_all(&request.to_bytes()).await {
            // A relay that has heard enough stops reading; what it answers is what counts.
            Ok(()) | Err(WriteError::Stopped) => Ok((send, replies)),
            Err(WriteError::Lost(how)) => Err(lost(&address, &how)),
        }
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

/// A broken connection as an error.
fn lost(address: &RelayAddress, how: &Lost) -> Error {
    match (how, how.fault()) {
        (_, Some(fault)) => Error::Refused { fault, number: None, time: None },
        (Lost::Quic(quinn::ConnectionError::VersionMismatch), _) => Error::Version { address: address.to_string() },
        _ => Error::Lost { address: address.to_string(), cause: how.to_string() },
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
