//! A small client that says exactly what a test wants, and a transfer to say it about.
#![allow(dead_code, reason = "every test file uses its own part of the kit")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail like that")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use handover_relay::ledger::Clock;
use handover_relay::{Config, Limits, Relay, Running};
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, ClaimKey, Digest, LinkKey, Locator, Millis, TransferId};
use handover_shared::keys::OsEntropy;
use handover_shared::keys::hybrid::{HybridSecret, bundle};
use handover_shared::proof::{Agreement, Channel, ClaimText, Fingerprint, Identity, Kind, digest, sign};
use handover_shared::protocol::message::*;
use handover_shared::tls::{ExpectedRelay, LinkSecret, client_config};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, ReadExactError, RecvStream, SendStream, TransportConfig};
use zeroize::Zeroizing;

/// The relay's time at the start of a test with its own clock.
pub const START: u64 = 1_800_000_000_000;
pub const DAY: u64 = 86_400_000;

/// A clock that moves when the test moves it.
#[derive(Clone)]
pub struct Hand(pub Arc<AtomicU64>);

impl Hand {
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(START)))
    }

    pub fn clock(&self) -> Clock {
        let time = self.0.clone();
        Arc::new(move || Millis(time.load(Ordering::SeqCst)))
    }

    pub fn set(&self, time: u64) {
        self.0.store(time, Ordering::SeqCst);
    }
}

pub fn config(data: &Path) -> Config {
    Config {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        limits: Limits { free_bytes_min: 0, ..Limits::default() },
        ..Config::new(data.to_owned())
    }
}

/// A relay in a folder, by its own clock.
pub async fn start(data: &Path, hand: &Hand) -> Running {
    start_with(config(data), hand).await
}

pub async fn start_with(config: Config, hand: &Hand) -> Running {
    Relay::start_at(config, hand.clock()).await.expect("the relay starts")
}

/// One connection with its own link key.
pub struct Client {
    pub connection: Connection,
    pub key: LinkKey,
    _endpoint: Endpoint,
}

impl Client {
    pub async fn connect(running: &Running, seed: u8) -> Self {
        Self::connect_to(running.address, running.key, seed).await
    }

    pub async fn connect_to(address: SocketAddr, relay: LinkKey, seed: u8) -> Self {
        Self::connect_with(address, relay, seed, TransportConfig::default()).await
    }

    /// Somebody who can be sent only so many bytes on a stream.
    pub async fn connect_deaf(running: &Running, seed: u8, stream_bytes: u32) -> Self {
        let mut transport = TransportConfig::default();
        transport.stream_receive_window(stream_bytes.into());
        Self::connect_with(running.address, running.key, seed, transport).await
    }

    async fn connect_with(address: SocketAddr, relay: LinkKey, seed: u8, transport: TransportConfig) -> Self {
        let secret = LinkSecret::of_seed(Zeroizing::new([seed; 32])).unwrap();
        let tls = client_config(&secret, ExpectedRelay::Key(relay)).unwrap();
        let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        config.transport_config(Arc::new(transport));
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        endpoint.set_default_client_config(config);
        let connection = endpoint.connect(address, "relay").unwrap().await.expect("connects");
        Self { connection, key: secret.public(), _endpoint: endpoint }
    }

    /// A seller who has used the first invite.
    pub async fn seller(running: &Running, seed: u8) -> Self {
        let client = Self::connect(running, seed).await;
        let enrol = Request::Enrol(Enrol { secret: running.first_invite.secret.clone() });
        assert!(matches!(client.ask(&enrol).await, Reply::Enrolled(_)));
        client
    }

    /// Opens a stream with a request and leaves both halves open.
    pub async fn open(&self, request: &Request) -> (SendStream, Answers) {
        let (mut send, recv) = self.connection.open_bi().await.expect("a stream");
        send.write_all(&request.to_bytes()).await.expect("sends");
        (send, Answers(recv))
    }

    /// One question, one answer, and nothing behind it.
    pub async fn ask(&self, request: &Request) -> Reply {
        let (mut send, mut answers) = self.open(request).await;
        send.finish().unwrap();
        let reply = answers.next().await.expect("an answer");
        assert_eq!(answers.rest().await, Ok(vec![]));
        reply
    }

    pub async fn refusal(&self, request: &Request) -> Refused {
        match self.ask(request).await {
            Reply::Refused(refused) => refused,
            other => panic!("{other:?} where a refusal was expected"),
        }
    }

    pub async fn fault(&self, request: &Request) -> Fault {
        self.refusal(request).await.known().unwrap()
    }

    /// Appends blocks and waits until they are durable.
    pub async fn append(&self, parcel: &Parcel, blocks: std::ops::Range<u64>) -> u64 {
        let (mut send, mut answers) = self.open(&parcel.append()).await;
        let Reply::Appending(appending) = answers.next().await.unwrap() else { panic!("no Appending") };
        assert_eq!(appending.durable, BlockCount(blocks.start));
        for index in blocks {
            send.write_all(&parcel.block(index)).await.unwrap();
        }
        send.finish().unwrap();
        answers.last_durable().await
    }

    /// Everything a finished Fetch gives.
    pub async fn fetch(&self, parcel: &Parcel, from: u64) -> Vec<u8> {
        let (_send, mut answers) = self.open(&parcel.fetch(from)).await;
        assert!(matches!(answers.next().await.unwrap(), Reply::Fetching(_)));
        answers.rest().await.unwrap()
    }

    /// Watches until a snapshot is as wanted.
    pub async fn watch_until(&self, parcel: &Parcel, wanted: impl Fn(&Snapshot) -> bool) -> Vec<Event> {
        let watch = Request::Watch(Watch { transfer: parcel.id, from_event: 0 });
        let (_send, mut answers) = self.open(&watch).await;
        let mut events = Vec::new();
        loop {
            match answers.next().await.expect("a snapshot") {
                Reply::Snapshot(snapshot) => {
                    events.extend(&snapshot.events);
                    if wanted(&snapshot) {
                        return events;
                    }
                }
                other => panic!("{other:?} where a snapshot was expected"),
            }
        }
    }

    /// The first snapshot that is told.
    pub async fn snapshot(&self, parcel: &Parcel) -> Snapshot {
        let watch = Request::Watch(Watch { transfer: parcel.id, from_event: 0 });
        let (_send, mut answers) = self.open(&watch).await;
        match answers.next().await.expect("a snapshot") {
            Reply::Snapshot(snapshot) => snapshot,
            other => panic!("{other:?} where a snapshot was expected"),
        }
    }

    pub async fn watch_until_deleted(&self, parcel: &Parcel) -> Vec<Event> {
        self.watch_until(parcel, |snapshot| snapshot.events.iter().any(|event| event.kind == EventKind::Deleted)).await
    }

    pub fn channel(&self) -> [u8; 32] {
        let mut channel = [0; 32];
        self.connection.export_keying_material(&mut channel, CHANNEL_LABEL, b"").unwrap();
        channel
    }
}

/// What comes back on a stream.
pub struct Answers(pub RecvStream);

impl Answers {
    /// The next message, or the number with which the stream was cut short.
    pub async fn next(&mut self) -> Result<Reply, u64> {
        let mut header = [0; HEADER_BYTES];
        self.0.read_exact(&mut header).await.map_err(code)?;
        let header = Header::of_bytes(header).unwrap();
        let mut body = vec![0; header.body_bytes];
        self.0.read_exact(&mut body).await.map_err(code)?;
        Ok(Reply::of_body(header.number, &body).unwrap())
    }

    /// Raw bytes of exactly this length.
    pub async fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// Everything up to the end.
    pub async fn rest(&mut self) -> Result<Vec<u8>, u64> {
        self.0.read_to_end(1 << 30).await.map_err(|error| match error {
            quinn::ReadToEndError::Read(quinn::ReadError::Reset(code)) => code.into_inner(),
            other => panic!("{other}"),
        })
    }

    /// Reads Durable messages up to the end of the stream.
    pub async fn last_durable(&mut self) -> u64 {
        let mut last = None;
        loop {
            match self.next().await {
                Ok(Reply::Durable(durable)) => last = Some(durable.durable.0),
                Ok(other) => panic!("{other:?} where Durable was expected"),
                Err(END) => return last.expect("at least one Durable"),
                Err(code) => panic!("cut short with {code}"),
            }
        }
    }

    /// Reads Durable messages until the stream is cut short.
    pub async fn until_reset(&mut self) -> Fault {
        loop {
            match self.next().await {
                Ok(Reply::Durable(_)) => {}
                Ok(other) => panic!("{other:?} where Durable was expected"),
                Err(code) => return Fault::of_number(u16::try_from(code).unwrap()).unwrap(),
            }
        }
    }
}

/// What [`Answers::next`] says of a stream that was finished.
pub const END: u64 = u64::MAX;

fn code(error: ReadExactError) -> u64 {
    match error {
        ReadExactError::FinishedEarly(_) => END,
        ReadExactError::ReadError(quinn::ReadError::Reset(code)) => code.into_inner(),
        ReadExactError::ReadError(quinn::ReadError::ConnectionLost(quinn::ConnectionError::ApplicationClosed(
            close,
        ))) => close.error_code.into_inner(),
        ReadExactError::ReadError(other) => panic!("{other}"),
    }
}

/// One transfer and everything its seller and buyer have for it.
pub struct Parcel {
    pub id: TransferId,
    pub locator: Locator,
    pub claim_identity: Identity,
    pub share: [u8; 32],
    pub sealed_offer: Vec<u8>,
    pub size: BlockSize,
    pub blocks_max: u64,
    pub expires: u64,
    /// The commitment to an agreement.
    pub agreement: Option<Digest>,
}

impl Parcel {
    pub fn new(seed: u8) -> Self {
        Self {
            id: TransferId([seed; 16]),
            locator: Locator([seed ^ 0x80; 16]),
            claim_identity: Identity::of_seed(&[seed; 32]),
            share: [seed ^ 0x40; 32],
            sealed_offer: vec![seed ^ 0x10; 4096],
            size: BlockSize::Small,
            blocks_max: 1000,
            expires: START + DAY,
            agreement: None,
        }
    }

    pub fn large(seed: u8) -> Self {
        Self { size: BlockSize::Large, ..Self::new(seed) }
    }

    pub fn create(&self) -> Create {
        Create {
            transfer: self.id,
            locator: self.locator,
            claim_key: ClaimKey(*self.claim_identity.public().as_bytes()),
            share: Zeroizing::new(self.share),
            envelope: vec![0xee; 104],
            sealed_offer: self.sealed_offer.clone(),
            block_size: self.size,
            blocks_max: BlockCount(self.blocks_max),
            expires: Millis(self.expires),
            agreement: self.agreement,
        }
    }

    pub async fn create_by(&self, seller: &Client) -> &Self {
        assert!(matches!(seller.ask(&Request::Create(self.create())).await, Reply::Created(_)));
        self
    }

    /// Created, appended, complete.
    pub async fn send_by(&self, seller: &Client, blocks: u64) -> &Self {
        self.create_by(seller).await;
        assert_eq!(seller.append(self, 0..blocks).await, blocks);
        assert!(matches!(seller.ask(&self.complete(blocks)).await, Reply::Completed(_)));
        self
    }

    pub fn append(&self) -> Request {
        Request::Append(Named { transfer: self.id })
    }

    pub fn complete(&self, blocks: u64) -> Request {
        Request::Complete(Complete { transfer: self.id, blocks: BlockCount(blocks) })
    }

    pub fn revoke(&self) -> Request {
        Request::Revoke(Named { transfer: self.id })
    }

    pub fn peek(&self) -> Request {
        Request::Peek(Peek { locator: self.locator })
    }

    pub fn fetch(&self, from: u64) -> Request {
        Request::Fetch(Fetch { transfer: self.id, from: BlockIndex(from), pace: None })
    }

    pub fn receive(&self, sealed_receipt: &[u8]) -> Request {
        Request::Receive(Receive { transfer: self.id, sealed_receipt: sealed_receipt.to_vec() })
    }

    /// A block that tells its place in every part.
    pub fn block(&self, index: u64) -> Vec<u8> {
        let mut block = vec![u8::try_from(index % 251).unwrap(); self.size.sealed_bytes()];
        for place in (0..block.len()).step_by(4096) {
            block[place..place + 8].copy_from_slice(&index.to_be_bytes());
        }
        block
    }

    pub fn blocks(&self, range: std::ops::Range<u64>) -> Vec<u8> {
        range.flat_map(|index| self.block(index)).collect()
    }

    pub fn offer_digest(&self) -> Digest {
        digest(&self.sealed_offer)
    }
}

/// A would-be buyer: an identity and a hybrid key.
pub struct Buyer {
    pub identity: Identity,
    pub hybrid: HybridSecret,
}

impl Buyer {
    pub fn new(seed: u8) -> Self {
        Self { identity: Identity::of_seed(&[seed ^ 0x20; 32]), hybrid: HybridSecret::generate(&mut OsEntropy) }
    }

    pub fn claim_text(&self, parcel: &Parcel, client: &Client) -> ClaimText {
        ClaimText {
            transfer: parcel.id,
            offer: parcel.offer_digest(),
            buyer_key: Fingerprint::of(&self.identity.public()),
            link_key: client.key,
            bundle: bundle(&client.key, &self.hybrid.public()),
            agreement: parcel.agreement.map_or(Agreement::None, Agreement::Of),
            channel: Channel(client.channel()),
            time: Millis(START).into(),
        }
    }

    pub fn claim_of(&self, text: &ClaimText, parcel: &Parcel) -> Claim {
        let text = text.to_text();
        Claim {
            transfer: parcel.id,
            hybrid_key: self.hybrid.public().as_bytes().to_vec(),
            identity_signature: sign(Kind::Claim, &text, &self.identity).unwrap(),
            claim_signature: sign(Kind::Claim, &text, &parcel.claim_identity).unwrap(),
            text,
            sealed_agreement: parcel.agreement.map(|_| b"signed agreement".to_vec()),
        }
    }

    pub fn claim(&self, parcel: &Parcel, client: &Client) -> Request {
        Request::Claim(self.claim_of(&self.claim_text(parcel, client), parcel))
    }

    pub async fn claimed(&self, parcel: &Parcel, client: &Client) -> Released {
        match client.ask(&self.claim(parcel, client)).await {
            Reply::Released(released) => released,
            Reply::Refused(refused) => panic!("refused with {}", refused.fault),
            other => panic!("{other:?}"),
        }
    }
}
