//! The relay's end of QUIC: socket and transport settings.
//!
//! # Source
//! SPEC [S11.1]; the figures were measured: packets cost more than everything else together, so they are made as large
//! as ten of them fit one send of the system, and windows are large only for whoever appends.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use handover_shared::congestion::SteadyConfig;
use handover_shared::ids::LinkKey;
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::limits;
use handover_shared::protocol::message::CHANNEL_LABEL;
use handover_shared::tls::{LinkSecret, peer_key, relay_config};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig,
    ServerConfig, TransportConfig, VarInt,
};
use rustix::net::sockopt;
use rustls::pki_types::CertificateDer;

use super::{LinkError, Transport, has_no_ipv6};

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

/// Opens the relay's endpoint on a socket.
pub(super) fn endpoint(socket: UdpSocket, key: &LinkSecret) -> Result<Endpoint, LinkError> {
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
    let address = socket.local_addr().map_err(LinkError::Address)?;
    Endpoint::new(endpoint, Some(server), socket, Arc::new(quinn::TokioRuntime)).map_err(|source| LinkError::Listen {
        address,
        transport: Transport::Udp,
        source,
    })
}

/// The key that the other end of an established connection proved to hold.
pub(super) fn peer_of(connection: &Connection) -> Option<LinkKey> {
    let presented = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    peer_key(&presented)
}

/// The value that binds a claim to this connection [S10.5].
pub(super) fn channel_of(connection: &Connection) -> Option<[u8; 32]> {
    let mut value = [0; 32];
    connection.export_keying_material(&mut value, CHANNEL_LABEL, b"").ok()?;
    Some(value)
}

/// Gives a seller that appends the room for it.
pub(super) fn widen(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(APPEND_WINDOW_BYTES));
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

/// A UDP socket at an address.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match UdpSocket::bind(address) {
        Err(error) if has_no_ipv6(address, &error) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, address.port()))?,
        outcome => outcome?,
    };
    widen_buffers(&socket);
    Ok(socket)
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
