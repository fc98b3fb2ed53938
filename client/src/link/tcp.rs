//! Connections over TLS on TCP: one for each stream that is under way, used again when it is over.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use handover_link::tcp::{Connection, HandshakeError, Terms, settle};
use handover_link::{RecvStream, SendStream};
use handover_shared::ids::LinkKey;
use handover_shared::keys::code::RelayAddress;
use handover_shared::proof;
use handover_shared::tls::{self, ExpectedRelay, LinkSecret};
use rustls::CertificateError;
use tokio::net::TcpStream;

use super::Traffic;
use super::proxy::{self, Proxy};
use super::race::CONNECT_TIMEOUT;
use crate::error::Error;

/// What may wait in this process, unread, of one stream.
const ROOM_BYTES: usize = 4 * 1024 * 1024;
/// How long the goodbye of all connections may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Where a connection leads through.
pub(super) enum Way {
    /// One of the relay's own addresses.
    Direct(SocketAddr),
    /// A proxy.
    Through(Proxy),
}

/// What a connection is made with.
pub(super) struct Dialer {
    way: Way,
    expected: ExpectedRelay,
    config: Arc<rustls::ClientConfig>,
}

/// The connections to one relay.
pub(super) struct Pool {
    dialer: Dialer,
    key: LinkKey,
    connections: Mutex<Vec<Connection>>,
}

impl Dialer {
    /// By one way.
    ///
    /// # Errors
    /// [`Error::Internal`] when the key is refused, which it is not.
    pub(super) fn new(way: Way, expected: ExpectedRelay, own: &LinkSecret) -> Result<Self, Error> {
        let config = tls::client_config(own, expected).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Self { way, expected, config: Arc::new(config) })
    }

    /// Reaches the relay.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Proxy`], [`Error::RelayKey`], [`Error::Version`].
    async fn dial(&self, address: &RelayAddress) -> Result<Connection, Error> {
        let unreachable = |source| Error::Unreachable { address: address.to_string(), source };
        let dialing = async {
            let socket = match &self.way {
                Way::Direct(target) => {
                    let socket = TcpStream::connect(target).await.map_err(unreachable)?;
                    settle(&socket);
                    socket
                }
                Way::Through(proxy) => proxy::connect(proxy, address).await.map_err(|fault| Error::Proxy {
                    proxy: proxy.to_string(),
                    relay: address.to_string(),
                    fault,
                })?,
            };
            let shaken = Connection::connect(socket, self.config.clone(), Terms::new(ROOM_BYTES)).await;
            shaken.map_err(|error| handshake_failure(address, self.expected, error))
        };
        let dialed = tokio::time::timeout(CONNECT_TIMEOUT, dialing).await;
        dialed.unwrap_or_else(|_elapsed| Err(unreachable(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))))
    }
}

impl Pool {
    /// Makes the first connection.
    ///
    /// # Errors
    /// As [`Dialer::dial`].
    pub(super) async fn open(dialer: Dialer, address: &RelayAddress) -> Result<Self, Error> {
        let first = dialer.dial(address).await?;
        Ok(Self { dialer, key: first.peer, connections: Mutex::new(vec![first]) })
    }

    /// Whether a proxy leads to the relay.
    pub(super) fn is_through_proxy(&self) -> bool {
        matches!(self.dialer.way, Way::Through(_))
    }

    /// The key that the relay proved to hold.
    pub(super) fn key(&self) -> LinkKey {
        self.key
    }

    /// Begins a stream on a connection that has none, the newest first: the relay takes what comes on an older one for
    /// what was late on its way [S12.2].
    pub(super) async fn begin(&self, address: &RelayAddress) -> Result<([u8; 32], SendStream, RecvStream), Error> {
        if let Some(begun) = self.begin_on_standing() {
            return Ok(begun);
        }
        let connection = self.dialer.dial(address).await?;
        // Whoever was expected at first, all connections lead to the same relay.
        if connection.peer != self.key {
            return Err(Error::RelayKey {
                address: address.to_string(),
                expected: proof::fingerprint_of_link_key(&self.key),
                seen: proof::fingerprint_of_link_key(&connection.peer),
            });
        }
        let over = || Error::Lost { address: address.to_string(), cause: "the connection ended at once".into() };
        let begun = begin_on(&connection).ok_or_else(over)?;
        self.lock().push(connection);
        Ok(begun)
    }

    fn begin_on_standing(&self) -> Option<([u8; 32], SendStream, RecvStream)> {
        let mut connections = self.lock();
        connections.retain(|connection| connection.reason().is_none());
        connections.iter().rev().find_map(begin_on)
    }

    pub(super) fn traffic(&self) -> Traffic {
        let both = self.lock().iter().map(Connection::traffic).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Traffic { pieces_sent: both.0, confirmations: both.1 }
    }

    pub(super) async fn close(self) {
        let connections = self.connections.into_inner().unwrap_or_else(PoisonError::into_inner);
        let closing = async {
            for connection in &connections {
                connection.close(None).await;
            }
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::debug!("the goodbye did not leave in time");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A list of connections stays usable whatever panicked beside it.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begin_on(connection: &Connection) -> Option<([u8; 32], SendStream, RecvStream)> {
    let (send, recv) = connection.try_open()?;
    Some((connection.channel, SendStream::Tcp(send), RecvStream::Tcp(recv)))
}

/// Tells a wrong key and a wrong version from mere silence.
fn handshake_failure(address: &RelayAddress, expected: ExpectedRelay, error: HandshakeError) -> Error {
    let address = address.to_string();
    let source = match error {
        HandshakeError::Io(source) => source,
        HandshakeError::OtherProtocol => return Error::Version { address },
        HandshakeError::NoKey => return Error::RelayMisbehaved("presented no raw public key"),
        HandshakeError::NoChannel(error) => return Error::Internal(error.to_string()),
    };
    let of_tls = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (expected, of_tls) {
        (
            ExpectedRelay::Key(key),
            Some(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        ) => Error::RelayKey { address, expected: proof::fingerprint_of_link_key(&key), seen: "?".into() },
        (_, Some(rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol))) => {
            Error::Version { address }
        }
        _ => Error::Unreachable { address, source },
    }
}
