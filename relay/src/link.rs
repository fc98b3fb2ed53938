//! The relay's end of QUIC: socket, transport settings, who is at the other end.
//!
//! # Source
//! SPEC [S11.1]; the figures were measured: packets cost more than everything else together, so they are made as large
//! as ten of them fit one send of the system, and windows are large only for whoever appends.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use handover_shared::congestion::SteadyConfig;
use handover_shared::ids::LinkKey;
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::limits;
use handover_shared::proof::Fingerprint;
use handover_shared::protocol::message::CHANNEL_LABEL;
use handover_shared::tls::{LinkSecret, peer_key, relay_config};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig,
    ServerConfig, TransportConfig, VarInt,
};
use rustix::net::sockopt;
use rustls::pki_types::CertificateDer;

/// The largest packet tried; ten of them are one send of 64 KiB.
const PACKET_BYTES_MAX: u16 = 6500;
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// What a connection may have in flight towards the relay before it appends: a Create and some small requests.
const REQUEST_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// What one that appends may have in flight.
const APPEND_WINDOW_BYTES: u32 = 32 * 1024 * 1024;
const STREAM_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// What the relay keeps for sending again, per connection.
const SEND_WINDOW_BYTES: u64 = 16 * 1024 * 1024;
/// Handshakes not yet accepted, and what they may send meanwhile.
const INCOMING_MAX: usize = 256;
const INCOMING_BYTES_MAX: u64 = 64 * 1024;
const INCOMING_TOTAL_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Connections so far.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The key it proved to hold.
    pub key: LinkKey,
    /// Which connection it is, counted over all peers: a later one has a greater number.
    pub number: u64,
    /// Where its packets came from when it connected.
    pub address: SocketAddr,
    connection: Connection,
}

/// Why the link could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
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

/// Opens the relay's endpoint.
///
/// # Errors
/// [`LinkError::Listen`] when the address is taken or not this machine's.
pub fn listen(address: SocketAddr, key: &LinkSecret) -> Result<Endpoint, LinkError> {
    let failed = |source| LinkError::Listen { address, source };
    let tls = QuicServerConfig::try_from(relay_config(key)?)?;
    let mut server = ServerConfig::with_crypto(Arc::new(tls));
    server
        .transport_config(Arc::new(transport()))
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(INCOMING_TOTAL_BYTES_MAX);
    let mut endpoint = EndpointConfig::new(Arc::new(reset_key(key)));
    endpoint.max_udp_payload_size(PACKET_BYTES_MAX)?;
    endpoint.cid_generator(|| Box::new(RandomIds));
    let socket = bind(address).map_err(failed)?;
    Endpoint::new(endpoint, Some(server), socket, Arc::new(quinn::TokioRuntime)).map_err(failed)
}

/// Random connection ids. Unlike quinn's own they are not keyed by the process, so that a packet for a connection of an
/// earlier start is answered and not dropped in silence.
struct RandomIds;

const CONNECTION_ID_BYTES: usize = 8;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CONNECTION_ID_BYTES];
        OsEntropy.fill(&mut id);
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// With the same key at every start, the relay can tell clients of an earlier start that their connection is gone
/// (RFC 9000, section 10.3); they would wait for their idle timeout otherwise.
fn reset_key(relay: &LinkSecret) -> hmac::Key {
    let of_relay = hmac::Key::new(hmac::HMAC_SHA256, relay.seed());
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&of_relay, b"handover/relay/stateless reset").as_ref())
}

impl Peer {
    /// Reads who is at the other end of an established connection.
    pub fn of(connection: &Connection) -> Option<Self> {
        let presented = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let key = peer_key(&presented)?;
        let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        Some(Self { key, number, address: connection.remote_address(), connection: connection.clone() })
    }

    /// Its key as people compare it, for logs.
    pub fn shown(&self) -> impl fmt::Display + use<> {
        Fingerprint::of_link_key(&self.key)
    }

    /// The value that binds a claim to this connection [S10.5].
    pub fn channel(&self) -> Option<[u8; 32]> {
        let mut value = [0; 32];
        self.connection.export_keying_material(&mut value, CHANNEL_LABEL, b"").ok()?;
        Some(value)
    }

    /// Gives a seller that appends the room for it.
    pub fn widen(&self) {
        self.connection.set_receive_window(VarInt::from_u32(APPEND_WINDOW_BYTES));
    }
}

fn transport() -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(PACKET_BYTES_MAX);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits::STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(REQUEST_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .congestion_controller_factory(Arc::new(SteadyConfig))
        .mtu_discovery_config(Some(mtu))
        .keep_alive_interval(Some(Duration::from_millis(limits::KEEP_ALIVE_MS)))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(limits::IDLE_MS_MAX))));
    transport
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match UdpSocket::bind(address) {
        // A machine without IPv6 listens on what it has.
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && is_no_ipv6(&error) => {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, address.port()))?
        }
        outcome => outcome?,
    };
    widen_buffers(&socket);
    Ok(socket)
}

fn is_no_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL))
}

/// Larger buffers are a matter of speed only; the system may give less.
fn widen_buffers(socket: &UdpSocket) {
    let received = sockopt::set_socket_recv_buffer_size_force(socket, SOCKET_BUFFER_BYTES)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, SOCKET_BUFFER_BYTES));
    let sent = sockopt::set_socket_send_buffer_size(socket, SOCKET_BUFFER_BYTES);
    if let Err(error) = received.and(sent) {
        tracing::debug!(%error, "socket buffers stay as they are");
    }
}
