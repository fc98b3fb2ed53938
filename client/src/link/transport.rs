//! QUIC settings of the client.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use handover_shared::congestion::SteadyConfig;
use handover_shared::limits;
use handover_shared::tls::{self, ExpectedRelay, LinkSecret};

use crate::error::Error;

/// What may be on its way in one direction of one stream, unacknowledged by the transport.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// UDP socket buffers asked for; the kernel may give less.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// The largest datagram worth looking for: ten of them still fit one segmented send of 64 KiB.
const MTU_UPPER_BOUND: u16 = 6500;

pub(super) fn client_config(own: &LinkSecret, expected: ExpectedRelay) -> Result<quinn::ClientConfig, Error> {
    let tls = tls::client_config(own, expected).map_err(|error| Error::Internal(error.to_string()))?;
    let crypto =
        quinn::crypto::rustls::QuicClientConfig::try_from(tls).map_err(|error| Error::Internal(error.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

pub(super) fn endpoint(local: SocketAddr) -> io::Result<quinn::Endpoint> {
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
