//! A bare client: it says any bytes on the real link, in any order, and tells what it hears.

// What was heard is looked at by hand in tests; a box around it would be in the way of every pattern.
#![allow(clippy::large_enum_variant, clippy::result_large_err, reason = "answers are few and short-lived here")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, LinkKey, TransferId};
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::protocol::message::{
    CHANNEL_LABEL, Durable, Fetch, Fetching, HEADER_BYTES, Header, Named, Reply, Request,
};
use handover_shared::tls::{ExpectedRelay, LinkSecret, client_config};
use quinn::{Connection, Endpoint, RecvStream, SendStream, VarInt};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use crate::wait;

/// How long an answer may take before the test fails.
const PATIENCE: Duration = wait::USUAL;

/// What came back on a stream.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Said(Reply),
    /// The stream was reset with this number.
    Reset(u64),
    /// The stream ended without a message.
    Ended,
    /// The connection is gone.
    Lost(String),
}

impl Heard {
    /// The fault, if it is a refusal in whatever form.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Said(Reply::Refused(refused)) => refused.known(),
            Self::Reset(number) => u16::try_from(*number).ok().and_then(Fault::of_number),
            _ => None,
        }
    }

    /// The message.
    ///
    /// # Panics
    /// When something else came.
    #[track_caller]
    pub fn said(self) -> Reply {
        match self {
            Self::Said(reply) => reply,
            other => panic!("expected an answer, heard {other:?}"),
        }
    }
}

/// The tasks of all clients of a test process.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
    })
}

/// A fresh link key.
pub fn new_key() -> LinkSecret {
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    LinkSecret::of_seed(Zeroizing::new(entropy.array())).expect("every seed is a key")
}

/// One connection.
pub struct Client {
    endpoint: Endpoint,
    connection: Connection,
    key: LinkKey,
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// When the relay does not take the connection.
    pub fn connect(relay: &str, key: &LinkSecret) -> Self {
        Self::try_connect(relay, key, Ipv4Addr::LOCALHOST.into()).expect("the relay takes a connection")
    }

    /// Connects from one of this machine's addresses.
    ///
    /// # Errors
    /// What became of the handshake.
    pub fn try_connect(relay: &str, key: &LinkSecret, from: IpAddr) -> Result<Self, String> {
        runtime().block_on(Self::reach(relay, key, from))
    }

    /// The same inside a task.
    ///
    /// # Errors
    /// See [`Client::try_connect`].
    pub async fn reach(relay: &str, key: &LinkSecret, from: IpAddr) -> Result<Self, String> {
        let endpoint = endpoint(from);
        let connecting = endpoint.connect_with(settings(key), address(relay), "relay.handover");
        let connecting = connecting.map_err(|error| error.to_string())?;
        let connection = tokio::time::timeout(PATIENCE, connecting).await;
        let connection = connection.map_err(|elapsed| elapsed.to_string())?.map_err(|error| error.to_string())?;
        Ok(Self { endpoint, connection, key: key.public() })
    }

    /// Its link key.
    pub fn key(&self) -> LinkKey {
        self.key
    }

    /// The connection itself.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What binds a claim to this connection.
    ///
    /// # Panics
    /// Never: the handshake is over.
    pub fn channel(&self) -> [u8; 32] {
        let mut channel = [0; 32];
        self.connection.export_keying_material(&mut channel, CHANNEL_LABEL, b"").expect("the handshake is over");
        channel
    }

    /// The key that the relay proved to hold.
    ///
    /// # Panics
    /// When it presented none.
    pub fn relay_key(&self) -> LinkKey {
        let any = self.connection.peer_identity().expect("the handshake is over");
        let presented = any.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().expect("raw public keys");
        handover_shared::tls::peer_key(&presented).expect("one raw public key")
    }

    /// One question, one answer.
    ///
    /// # Panics
    /// When there is none in time.
    pub fn ask(&self, request: &Request) -> Heard {
        runtime().block_on(self.asked(request))
    }

    /// The same inside a task.
    pub async fn asked(&self, request: &Request) -> Heard {
        self.told(&request.to_bytes()).await
    }

    /// Says any bytes on a new stream, finishes it, and takes what comes first.
    pub fn say(&self, bytes: &[u8]) -> Heard {
        runtime().block_on(self.told(bytes))
    }

    async fn told(&self, bytes: &[u8]) -> Heard {
        let talking = async {
            let (mut send, mut recv) = match self.connection.open_bi().await {
                Ok(halves) => halves,
                Err(error) => return Heard::Lost(error.to_string()),
            };
            // A relay that has heard enough stops reading; what it answers is what counts.
            let sent = send.write_all(bytes).await.is_ok() && send.finish().is_ok();
            match listen(&mut recv).await {
                Heard::Ended if !sent => Heard::Lost("it stopped reading and said nothing".into()),
                heard => heard,
            }
        };
        tokio::time::timeout(PATIENCE, talking).await.expect("an answer in time")
    }

    /// Opens a stream and says any bytes; the stream stays open.
    ///
    /// # Errors
    /// What became of the connection.
    pub async fn begin(&self, bytes: &[u8]) -> Result<(SendStream, RecvStream), String> {
        let (mut send, recv) = self.connection.open_bi().await.map_err(|error| error.to_string())?;
        send.write_all(bytes).await.map_err(|error| error.to_string())?;
        Ok((send, recv))
    }

    /// Sends blocks raw, from the first that is not durable; how many are durable at the end.
    ///
    /// # Errors
    /// What came instead.
    pub fn append(&self, transfer: TransferId, blocks: &[Vec<u8>]) -> Result<BlockCount, Heard> {
        let request = Request::Append(Named { transfer }).to_bytes();
        runtime().block_on(async {
            let (mut send, mut recv) = self.begin(&request).await.map_err(Heard::Lost)?;
            let mut durable = match listen(&mut recv).await {
                Heard::Said(Reply::Appending(Durable { durable })) => durable,
                other => return Err(other),
            };
            let from = usize::try_from(durable.0).unwrap_or(usize::MAX);
            for block in blocks.get(from..).unwrap_or_default() {
                if send.write_all(block).await.is_err() {
                    break;
                }
            }
            drop(send.finish());
            loop {
                match tokio::time::timeout(PATIENCE, listen(&mut recv)).await.expect("an answer in time") {
                    Heard::Said(Reply::Durable(news)) => durable = news.durable,
                    Heard::Ended => return Ok(durable),
                    other => return Err(other),
                }
            }
        })
    }

    /// Fetches: the answer, and the raw bytes that followed.
    ///
    /// # Errors
    /// What came instead of the answer.
    pub fn fetch(&self, transfer: TransferId, from: BlockIndex) -> Result<(Fetching, Vec<u8>), Heard> {
        let request = Request::Fetch(Fetch { transfer, from, pace: None }).to_bytes();
        runtime().block_on(async {
            let (mut send, mut recv) = self.begin(&request).await.map_err(Heard::Lost)?;
            drop(send.finish());
            let fetching = match listen(&mut recv).await {
                Heard::Said(Reply::Fetching(fetching)) => fetching,
                other => return Err(other),
            };
            let mut bytes = Vec::new();
            while let Ok(Some(chunk)) = recv.read_chunk(1 << 20, true).await {
                bytes.extend_from_slice(&chunk.bytes);
            }
            Ok((fetching, bytes))
        })
    }

    /// Says goodbye.
    pub fn close(self) {
        self.connection.close(VarInt::from_u32(0), b"");
        runtime().block_on(async {
            drop(tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await);
        });
    }
}

/// What comes next on a stream.
pub async fn listen(recv: &mut RecvStream) -> Heard {
    let mut header = [0; HEADER_BYTES];
    match recv.read_exact(&mut header).await {
        Ok(()) => {}
        Err(quinn::ReadExactError::FinishedEarly(0)) => return Heard::Ended,
        Err(error) => return broken(&error),
    }
    let header = Header::of_bytes(header).expect("the relay announces what it may");
    let mut body = vec![0; header.body_bytes];
    if let Err(error) = recv.read_exact(&mut body).await {
        return broken(&error);
    }
    Heard::Said(Reply::of_body(header.number, &body).expect("the relay says what it may"))
}

fn broken(error: &quinn::ReadExactError) -> Heard {
    match error {
        quinn::ReadExactError::ReadError(quinn::ReadError::Reset(code)) => Heard::Reset(code.into_inner()),
        other => Heard::Lost(other.to_string()),
    }
}

/// Host and port of the loopback.
///
/// # Panics
/// When it is no address.
pub fn address(relay: &str) -> SocketAddr {
    relay.parse().expect("a relay of the tests has a numeric address")
}

/// A UDP endpoint on one of this machine's addresses.
///
/// # Panics
/// When it cannot be had.
pub fn endpoint(from: IpAddr) -> Endpoint {
    let socket = UdpSocket::bind(SocketAddr::new(from, 0)).expect("the loopback has free ports");
    let _inside = runtime().enter();
    Endpoint::new(quinn::EndpointConfig::default(), None, socket, Arc::new(quinn::TokioRuntime))
        .expect("an endpoint can be made")
}

/// The settings of a client with this key that talks to any relay.
///
/// # Panics
/// Never: the settings are those of the real client.
pub fn settings(key: &LinkSecret) -> quinn::ClientConfig {
    let tls = client_config(key, ExpectedRelay::ToldByOffer).expect("the settings are right");
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("the cipher suites are right");
    quinn::ClientConfig::new(Arc::new(crypto))
}
