//! The relay's end of TLS on TCP.
//!
//! # Source
//! SPEC [S11.7].

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use handover_link::tcp::{Connection, HandshakeError, Terms, settle};
use handover_shared::tls::{LinkSecret, relay_config};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{LinkError, has_no_ipv6};

/// Connections that the system holds until the relay takes them.
const BACKLOG: u32 = 1024;
/// What a connection may have in flight towards the relay before it appends: a Create comes in pieces.
const REQUEST_ROOM_BYTES: usize = 256 * 1024;
/// What one that appends may have in flight besides.
pub(super) const APPEND_ROOM_BYTES: usize = 4 * 1024 * 1024;

/// Where the relay listens for TCP, and how it shakes hands there.
pub struct Listener {
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

impl Listener {
    pub(super) fn new(listener: TcpListener, key: &LinkSecret) -> Result<Self, LinkError> {
        Ok(Self { listener, config: Arc::new(relay_config(key)?) })
    }

    /// The next connection, before its handshake.
    ///
    /// # Errors
    /// When the system gives none; the next attempt may succeed.
    pub async fn accept(&self) -> io::Result<(Incoming, SocketAddr)> {
        let (socket, address) = self.listener.accept().await?;
        Ok((Incoming { socket, config: self.config.clone() }, address))
    }
}

/// A connection before its handshake; dropped, it is closed.
pub struct Incoming {
    socket: TcpStream,
    config: Arc<ServerConfig>,
}

impl Incoming {
    /// Shakes hands.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub async fn shake_hands(self) -> Result<Connection, HandshakeError> {
        settle(&self.socket);
        Connection::accept(self.socket, self.config, Terms::new(REQUEST_ROOM_BYTES)).await
    }
}

/// A TCP socket that listens at an address.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match listen(address) {
        Err(error) if has_no_ipv6(address, &error) => listen((Ipv4Addr::UNSPECIFIED, address.port()).into()),
        outcome => outcome,
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    // A relay that was just stopped leaves connections behind that are ending.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
