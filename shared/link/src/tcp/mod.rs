//! A connection over TLS on TCP. It carries one stream after the other: each half is cut into records, and when both
//! halves have ended the next stream may begin.
//!
//! Two tasks serve a connection. `pump::read` takes records apart and hands on what they hold, as far as there is room;
//! `pump::write` makes records and says that it is there when there is nothing else to say. So a half can be dropped in
//! the middle of a read or write without tearing a record, and that the other end is gone is noticed although nobody
//! reads.
//!
//! # Source
//! SPEC [S11.7] [S11.8] [S11.5].

mod halves;
mod pump;
mod socket;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use handover_shared::fault::Fault;
use handover_shared::ids::LinkKey;
use handover_shared::limits;
use handover_shared::protocol::message::{ALPN, CHANNEL_LABEL};
use handover_shared::tls;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use halves::{Inbox, Outbox, Rest};
pub use halves::{RecvHalf, SendHalf};
use socket::Buffered;
pub use socket::settle;

/// A connection.
pub struct Connection {
    /// The key that the other end proved to hold.
    pub peer: LinkKey,
    /// The value that binds a claim to this connection [S10.5].
    pub channel: [u8; 32],
    inbox: Arc<Mutex<Inbox>>,
    outbox: Arc<Mutex<Outbox>>,
    room: Arc<Semaphore>,
    is_wide: AtomicBool,
    life: Arc<Life>,
}

/// How an end keeps a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Bytes that are taken from the other end before somebody reads them.
    pub room_bytes: usize,
    /// After this silence this end says that it is there.
    pub keep_alive: Duration,
    /// After this silence of the other end the connection is over.
    pub idle: Duration,
}

impl Terms {
    /// With so much room, and the times of [S11.5].
    pub fn new(room_bytes: usize) -> Self {
        let idle = Duration::from_millis(limits::IDLE_MS_MAX.into());
        Self { room_bytes, keep_alive: Duration::from_millis(limits::KEEP_ALIVE_MS), idle }
    }
}

/// How a connection ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Ended {
    /// The other end closed it.
    #[error("the other end closed the connection")]
    Closed,
    /// This end closed it.
    #[error("the connection was closed")]
    Dropped,
    /// Nothing came for too long.
    #[error("timed out")]
    Silent,
    /// The other end closed it and said why, by the number of a fault.
    #[error("closed with {0}")]
    Told(u16),
    /// What came is no record.
    #[error("what came is no record: {0}")]
    Malformed(Fault),
    /// The system or TLS says so.
    #[error("{0}")]
    Io(Arc<io::Error>),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The system or TLS says so.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other end presented no raw public key.
    #[error("the other end presented no raw public key")]
    NoKey,
    /// The ends have not agreed on this protocol: one that names none is refused by name, not taken for any.
    #[error("the other end does not speak this protocol")]
    OtherProtocol,
    /// TLS gives no value to bind to.
    #[error("TLS gives no channel value")]
    NoChannel(#[source] rustls::Error),
}

/// What is known of a connection while it lives, and how it ended.
#[derive(Debug, Default)]
struct Life {
    ended: watch::Sender<Option<Ended>>,
    bytes_sent: AtomicU64,
    arrivals: AtomicU64,
}

impl Connection {
    /// Shakes hands as the client.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub async fn connect<S: Socket>(
        socket: S,
        config: Arc<ClientConfig>,
        terms: Terms,
    ) -> Result<Self, HandshakeError> {
        // The name is in no certificate and is not sent.
        let name = ServerName::try_from("relay.handover").map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, Buffered::new(socket)).await?;
        Self::begin(stream.into(), terms)
    }

    /// Shakes hands as the relay.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub async fn accept<S: Socket>(socket: S, config: Arc<ServerConfig>, terms: Terms) -> Result<Self, HandshakeError> {
        let stream = TlsAcceptor::from(config).accept(Buffered::new(socket)).await?;
        Self::begin(stream.into(), terms)
    }

    fn begin<S: Socket>(mut stream: TlsStream<Buffered<S>>, terms: Terms) -> Result<Self, HandshakeError> {
        let mut channel = [0; 32];
        let (export, session): (Result<_, rustls::Error>, &rustls::CommonState) = match &mut stream {
            TlsStream::Client(client) => {
                let session = client.get_mut().1;
                session.set_buffer_limit(Some(pump::TLS_BUFFER_BYTES));
                (session.export_keying_material(&mut channel, CHANNEL_LABEL, Some(b"")), session)
            }
            TlsStream::Server(server) => {
                let session = server.get_mut().1;
                session.set_buffer_limit(Some(pump::TLS_BUFFER_BYTES));
                (session.export_keying_material(&mut channel, CHANNEL_LABEL, Some(b"")), session)
            }
        };
        export.map(drop).map_err(HandshakeError::NoChannel)?;
        // TLS itself lets somebody through who names no protocol at all [S11.7].
        if session.alpn_protocol() != Some(ALPN) {
            return Err(HandshakeError::OtherProtocol);
        }
        let presented: Vec<CertificateDer<'static>> =
            session.peer_certificates().map(<[_]>::to_vec).unwrap_or_default();
        let peer = tls::peer_key(&presented).ok_or(HandshakeError::NoKey)?;
        let life = Arc::new(Life::default());
        // Less than one read would never have room.
        let room = Arc::new(Semaphore::new(terms.room_bytes.max(pump::READ_BYTES_MAX)));
        let (reading, writing) = tokio::io::split(stream);
        let (inbox, taking) = Inbox::new(life.clone(), room.clone());
        let (outbox, giving) = Outbox::new(life.clone());
        tokio::spawn(pump::read(reading, taking, life.clone(), terms.idle));
        tokio::spawn(pump::write(writing, giving, life.clone(), terms.keep_alive));
        let (inbox, outbox) = (Arc::new(Mutex::new(inbox)), Arc::new(Mutex::new(outbox)));
        Ok(Self { peer, channel, inbox, outbox, room, is_wide: AtomicBool::new(false), life })
    }

    /// Begins a stream, if none is under way and the connection stands.
    pub fn try_open(&self) -> Option<(SendHalf, RecvHalf)> {
        let inbox = self.inbox.clone().try_lock_owned().ok()?;
        let outbox = self.outbox.clone().try_lock_owned().ok()?;
        (inbox.is_between() && outbox.is_between() && self.reason().is_none())
            .then(|| (SendHalf::begin(outbox), RecvHalf::begin(inbox, Rest::Abandoned)))
    }

    /// Waits until the other end begins a stream, or the connection ends.
    ///
    /// # Errors
    /// How it ended.
    pub async fn next(&self) -> Result<(SendHalf, RecvHalf), Ended> {
        let mut inbox = self.inbox.clone().lock_owned().await;
        let outbox = self.outbox.clone().lock_owned().await;
        if !inbox.is_between() || !outbox.is_between() {
            return Err(Ended::Dropped);
        }
        inbox.begun().await?;
        Ok((SendHalf::begin(outbox), RecvHalf::begin(inbox, Rest::Settled)))
    }

    /// Takes what the other end still sends on a stream that is answered, and forgets it, so that the next may begin.
    /// `false` if it does not end its half in so many bytes.
    pub async fn settle(&self, bytes_max: usize) -> Settled {
        let mut inbox = self.inbox.clone().lock_owned().await;
        let is_over = inbox.forget(bytes_max).await;
        let is_between = self.outbox.lock().await.is_between();
        if is_over && is_between { Settled::ForTheNext } else { Settled::ForGood }
    }

    /// Lets what was written leave, with the number of a fault behind it if there is a reason, and closes.
    pub async fn close(&self, reason: Option<Fault>) {
        let mut outbox = self.outbox.lock().await;
        if let Some(fault) = reason {
            outbox.tell(fault.number());
        }
        outbox.flushed().await;
        outbox.shut();
    }

    /// How it ended, if it has.
    pub fn reason(&self) -> Option<Ended> {
        self.life.ended.borrow().clone()
    }

    /// Bytes that the system has taken to be sent, and times that something came; both grow while anything gets through.
    pub fn traffic(&self) -> (u64, u64) {
        (self.life.bytes_sent.load(Ordering::Relaxed), self.life.arrivals.load(Ordering::Relaxed))
    }

    /// Takes so much more from the other end before somebody reads it; once.
    pub fn widen(&self, more_bytes: usize) {
        if !self.is_wide.swap(true, Ordering::Relaxed) {
            self.room.add_permits(more_bytes);
        }
    }
}

/// Whether another stream may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It may.
    ForTheNext,
    /// The connection is of no more use.
    ForGood,
}

/// What TLS runs over: a TCP socket, or one that a proxy made.
pub trait Socket: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static {}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static> Socket for S {}

impl Life {
    /// It has ended; the first to say so says how.
    fn end(&self, how: Ended) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            if is_first {
                *ended = Some(how);
            }
            is_first
        });
    }

    /// How it ended; only to be asked when it has.
    fn how(&self) -> Ended {
        self.ended.borrow().clone().unwrap_or(Ended::Dropped)
    }

    /// Waits for the end.
    fn over(&self) -> impl Future<Output = Ended> + Send + use<> {
        let mut ended = self.ended.subscribe();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(how) => how.clone().unwrap_or(Ended::Dropped),
                Err(_gone) => Ended::Dropped,
            }
        }
    }
}
