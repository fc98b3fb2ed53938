//! One QUIC connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use handover_link::{RecvStream, SendStream};
use handover_shared::congestion::SteadyConfig;
use handover_shared::ids::LinkKey;
use handover_shared::keys::code::RelayAddress;
use handover_shared::limits;
use handover_shared::proof;
use handover_shared::protocol::message::CHANNEL_LABEL;
use handover_shared::tls::{self, ExpectedRelay, LinkSecret};

use super::race::CONNECT_TIMEOUT;
use super::{Traffic, lost};
use crate::error::Error;

/// What may be on its way in one direction of one stream, unacknowledged by the transport.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// UDP socket buffers asked for; the kernel may give less.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// The largest datagram worth looking for: ten of them still fit one segmented send of 64 KiB.
const MTU_UPPER_BOUND: u16 = 6500;

/// A connection that stands.
pub(super) struct Link {
    endpoint: quinn::Endpoint,
    connection: quinn::Connection,
}

impl Link {
    /// The key that the relay proved to hold.
    pub(super) fn key(&self) -> Option<LinkKey> {
        let any = self.connection.peer_identity()?;
        let presented = any.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok()?;
        tls::peer_key(&presented)
    }

    pub(super) async fn begin(&self, address: &RelayAddress) -> Result<([u8; 32], SendStream, RecvStream), Error> {
        let mut channel = [0u8; 32];
        self.connection
            .export_keying_material(&mut channel, CHANNEL_LABEL, b"")
            .map_err(|error| Error::Internal(format!("{error:?}")))?;
        let (send, recv) = self.connection.open_bi().await.map_err(|error| lost(address, &error.into()))?;
        Ok((channel, SendStream::Quic(send), RecvStream::Quic(recv)))
    }

    pub(super) fn traffic(&self) -> Traffic {
        let stats = self.connection.stats();
        Traffic { pieces_sent: stats.frame_tx.stream, confirmations: stats.frame_rx.acks }
    }

    /// How long the way there and back is, and the largest datagram that has got through by now.
    pub(super) fn way(&self) -> (Duration, u16) {
        (self.connection.rtt(), self.connection.stats().path.current_mtu)
    }

    pub(super) async fn close(self) {
        self.connection.close(0u32.into(), b"");
        if tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await.is_err() {
            tracing::debug!("the goodbye was not acknowledged in time");
        }
    }
}

/// Reaches one address.
pub(super) async fn dial(
    address: &RelayAddress,
    expected: ExpectedRelay,
    config: quinn::ClientConfig,
    target: SocketAddr,
) -> Result<Link, Error> {
    let unreachable = |source| Error::Unreachable { address: address.to_string(), source };
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let endpoint = endpoint(SocketAddr::new(any, 0)).map_err(unreachable)?;
    let connecting = endpoint
        .connect_with(config, target, "relay.handover")
        .map_err(|error| unreachable(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => Ok(Link { endpoint, connection }),
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
            quinn::ConnectionError::ApplicationClosed(_) => lost(address, &error.into()),
            error => Error::Unreachable { address: address.to_string(), source: io::Error::other(error) },
        },
    }
}

/// The settings of a connection.
pub(super) fn client_config(own: &LinkSecret, expected: ExpectedRelay) -> Result<quinn::ClientConfig, Error> {
    let tls = tls::client_config(own, expected).map_err(|error| Error::Internal(error.to_string()))?;
    let crypto =
        quinn::crypto::rustls::QuicClientConfig::try_from(tls).map_err(|error| Error::Internal(error.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

fn endpoint(local: SocketAddr) -> io::Result<quinn::Endpoint> {
    let socket = std::net::UdpSocket::bind(local)?;
    // A smaller buffer than asked for is slower, not wrong.
    if let Err(error) = rustix::net::sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER_BYTES)
        .and_then(|()| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES))
    {
        tracing::debug!(%error, "socket buffers stay as they are");
    }
    let runtime = Arc::new(quinn::TokioRuntime);
    quinn::Endpoint::new(endpoint_config(), None, socket, runtime)
}

fn endpoint_config() -> quinn::EndpointConfig {
    let mut config = quinn::EndpointConfig::default();
    // Within the bound that quinn accepts by construction; a refusal would leave the default.
    if config.max_udp_payload_size(MTU_UPPER_BOUND.max(1500)).is_err() {
        tracing::debug!("datagram size stays at its default");
    }
    config
}

fn transport() -> quinn::TransportConfig {
    let mut discovery = quinn::MtuDiscoveryConfig::default();
    discovery.upper_bound(MTU_UPPER_BOUND);
    let mut transport = quinn::TransportConfig::default();
    transport
        .stream_receive_window(WINDOW_BYTES.into())
        .receive_window((2 * WINDOW_BYTES).into())
        .send_window(u64::from(2 * WINDOW_BYTES))
        .max_concurrent_bidi_streams(0u32.into())
        .max_concurrent_uni_streams(0u32.into())
        .congestion_controller_factory(Arc::new(SteadyConfig))
        .mtu_discovery_config(Some(discovery))
        .keep_alive_interval(Some(Duration::from_millis(limits::KEEP_ALIVE_MS)))
        .max_idle_timeout(Some(quinn::VarInt::from_u32(limits::IDLE_MS_MAX).into()));
    transport
}
