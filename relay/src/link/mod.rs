//! The relay's sockets, and who is at the other end of a connection.
//!
//! # Source
//! SPEC [S11.1] [S11.7].

mod quic;
mod tcp;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use handover_link::tcp::Connection as TcpConnection;
use handover_shared::ids::LinkKey;
use handover_shared::proof::Fingerprint;
use handover_shared::tls::LinkSecret;
use quinn::{Connection as QuicConnection, Endpoint};

pub use tcp::{Incoming, Listener};

/// How often a free port is looked for that is free for both transports.
const PORTS_TRIED_MAX: u32 = 64;

/// Connections so far.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Where the relay listens: one port number, UDP and TCP.
pub struct Listening {
    /// For QUIC.
    pub quic: Endpoint,
    /// For TLS on TCP.
    pub tcp: Listener,
    /// The address of both.
    pub address: SocketAddr,
}

/// Who is at the other end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// The key it proved to hold.
    pub key: LinkKey,
    /// Which connection it is, counted over all peers: a later one has a greater number.
    pub number: u64,
    /// Where its packets came from when it connected.
    pub address: SocketAddr,
    connection: Connection,
}

/// A connection, whichever transport it has.
#[derive(Clone)]
enum Connection {
    Quic(QuicConnection),
    Tcp(Arc<TcpConnection>),
}

/// A transport, for whoever is told about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// QUIC on UDP.
    Udp,
    /// TLS on TCP.
    Tcp,
}

/// Why the link could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} ({transport})")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// For what.
        transport: Transport,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system does not say where it listens.
    #[error("cannot ask where it listens")]
    Address(#[source] io::Error),
    /// The crypto library refuses the settings.
    #[error("the TLS settings are refused")]
    Tls(#[from] rustls::Error),
    /// The QUIC library refuses the cipher suites.
    #[error("no cipher suite for the first packets")]
    Suites(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
    /// The QUIC library refuses a number.
    #[error("a transport setting is refused")]
    Transport(#[from] quinn::ConfigError),
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// Opens the relay's sockets.
///
/// # Errors
/// [`LinkError::Listen`] when the address is taken or not this machine's.
pub fn listen(address: SocketAddr, key: &LinkSecret) -> Result<Listening, LinkError> {
    let mut tries_left = if address.port() == 0 { PORTS_TRIED_MAX } else { 1 };
    loop {
        tries_left -= 1;
        let failed = |transport| move |source| LinkError::Listen { address, transport, source };
        let udp = quic::bind(address).map_err(failed(Transport::Udp))?;
        let bound = udp.local_addr().map_err(LinkError::Address)?;
        match tcp::bind(SocketAddr::new(address.ip(), bound.port())) {
            Ok(listener) => {
                let (quic, tcp) = (quic::endpoint(udp, key)?, Listener::new(listener, key)?);
                return Ok(Listening { quic, tcp, address: bound });
            }
            // The port that is free for UDP is taken for TCP: another one may be free for both.
            Err(error) if tries_left > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(failed(Transport::Tcp)(error)),
        }
    }
}

impl Peer {
    /// Reads who is at the other end of an established QUIC connection.
    pub fn of_quic(connection: &QuicConnection) -> Option<Self> {
        let key = quic::peer_of(connection)?;
        Some(Self::new(key, connection.remote_address(), Connection::Quic(connection.clone())))
    }

    /// Says who is at the other end of an established TCP connection.
    pub fn of_tcp(connection: &Arc<TcpConnection>, address: SocketAddr) -> Self {
        Self::new(connection.peer, address, Connection::Tcp(connection.clone()))
    }

    fn new(key: LinkKey, address: SocketAddr, connection: Connection) -> Self {
        Self { key, number: CONNECTIONS.fetch_add(1, Ordering::Relaxed), address, connection }
    }

    /// Its key as people compare it, for logs.
    pub fn shown(&self) -> impl fmt::Display + use<> {
        Fingerprint::of_link_key(&self.key)
    }

    /// The value that binds a claim to this connection [S10.5].
    pub fn channel(&self) -> Option<[u8; 32]> {
        match &self.connection {
            Connection::Quic(connection) => quic::channel_of(connection),
            Connection::Tcp(connection) => Some(connection.channel),
        }
    }

    /// Gives a seller that appends the room for it.
    pub fn widen(&self) {
        match &self.connection {
            Connection::Quic(connection) => quic::widen(connection),
            Connection::Tcp(connection) => connection.widen(tcp::APPEND_ROOM_BYTES),
        }
    }
}

/// Whether a machine without IPv6 refused to listen everywhere; it listens on what it has.
fn has_no_ipv6(address: SocketAddr, error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    address.is_ipv6()
        && address.ip().is_unspecified()
        && matches!(code, Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL))
}
