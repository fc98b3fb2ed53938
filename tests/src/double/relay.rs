//! A relay that may be dishonest: the real QUIC, TLS, codec and messages, an enrolment invite, and a store in memory. It
//! is honest until [`EvilRelay::does`] gives it a mischief: a function that sees each request before it is answered and
//! may say what is done instead.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, LinkKey, TransferId};
use handover_shared::invite::Invite;
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::protocol::message::{
    CHANNEL_LABEL, Deposit, Durable, HEADER_BYTES, Header, Phase, Refused, Reply, Request, Snapshot,
};
use handover_shared::protocol::relay::Storage;
use handover_shared::tls::{LinkSecret, peer_key, relay_config};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::relay_honest::{Store, now};
use super::relay_script::{Mischief, Say, Visit, honesty};

/// Between two drops of [`Say::Drops`], so that each travels alone.
const DROP_EVERY: Duration = Duration::from_millis(2);

/// A relay on a loopback port, inside the test. Dropping it ends it.
pub struct EvilRelay {
    core: Arc<Core>,
    runtime: Option<Runtime>,
    invite: String,
}

/// What all streams share.
struct Core {
    store: Mutex<Store>,
    ways: Mutex<Ways>,
    /// Counts changes of the store.
    changes: watch::Sender<u64>,
}

/// How the relay behaves just now.
struct Ways {
    mischief: Arc<Mischief>,
    asked: BTreeMap<&'static str, u64>,
    dropped: u64,
    flooded: u64,
    /// Streams of its own that a client let it open.
    opened_other: u64,
}

impl Ways {
    fn new(mischief: Arc<Mischief>) -> Self {
        Self { mischief, asked: BTreeMap::new(), dropped: 0, flooded: 0, opened_other: 0 }
    }
}

/// The stream is over, whatever was still to be said.
struct Gone;

impl EvilRelay {
    /// Starts an honest one.
    ///
    /// # Panics
    /// When the loopback has no port.
    pub fn start() -> Self {
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let secret = entropy.array();
        let key = new_key();
        let core = Arc::new(Core {
            store: Mutex::new(Store::new(secret, *key.seed())),
            ways: Mutex::new(Ways::new(honesty())),
            changes: watch::Sender::new(0),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("the system gives a thread");
        let address = listen(&runtime, &core, &key);
        let invite = Invite {
            relay_key: key.public(),
            secret: Zeroizing::new(secret),
            address: address.to_string().parse().expect("an address"),
        };
        Self { core, runtime: Some(runtime), invite: invite.to_text().to_string() }
    }

    /// What enrols a seller.
    pub fn invite(&self) -> &str {
        &self.invite
    }

    /// Opens another port, at which the same relay answers with another key, and returns its address.
    ///
    /// # Panics
    /// As [`EvilRelay::start`].
    pub fn under_another_key(&self) -> String {
        let runtime = self.runtime.as_ref().expect("the relay runs");
        listen(runtime, &self.core, &new_key()).to_string()
    }

    /// From now on, what is asked first goes to `mischief`; what it says nothing to is done honestly.
    pub fn does(&self, mischief: impl Fn(&mut Visit<'_>) -> Option<Vec<Say>> + Send + Sync + 'static) {
        self.behave(Arc::new(mischief));
    }

    /// From now on it is honest.
    pub fn repents(&self) {
        self.behave(honesty());
    }

    fn behave(&self, mischief: Arc<Mischief>) {
        *self.core.ways() = Ways::new(mischief);
    }

    /// How often an operation was asked since the behaviour changed.
    pub fn asked(&self, operation: &str) -> u64 {
        self.core.ways().asked.get(operation).copied().unwrap_or(0)
    }

    /// How many single bytes left with [`Say::Drops`] since the behaviour changed.
    pub fn dropped(&self) -> u64 {
        self.core.ways().dropped
    }

    /// How many bytes the transport took of [`Say::Endless`] since the behaviour changed.
    pub fn flooded(&self) -> u64 {
        self.core.ways().flooded
    }

    /// How many of [`Say::OtherStreams`] a client let it open since the behaviour changed.
    pub fn opened_other(&self) -> u64 {
        self.core.ways().opened_other
    }

    /// Looks at what it holds, or changes it.
    pub fn with<T>(&self, act: impl FnOnce(&mut Store) -> T) -> T {
        let outcome = act(&mut self.core.store());
        self.core.changed();
        outcome
    }
}

impl Drop for EvilRelay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn new_key() -> LinkSecret {
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    LinkSecret::of_seed(Zeroizing::new(entropy.array())).expect("a seed of 32 bytes is a key")
}

fn listen(runtime: &Runtime, core: &Arc<Core>, key: &LinkSecret) -> SocketAddr {
    let tls = QuicServerConfig::try_from(relay_config(key).expect("TLS settings")).expect("cipher suites");
    let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    let _inside = runtime.enter();
    let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().expect("an address")).expect("a loopback port");
    let address = endpoint.local_addr().expect("a bound socket has an address");
    let core = core.clone();
    runtime.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let core = core.clone();
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    core.serve(connection).await;
                }
            });
        }
    });
    address
}

impl Core {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no holder panics")
    }

    fn ways(&self) -> MutexGuard<'_, Ways> {
        self.ways.lock().expect("no holder panics")
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    async fn serve(self: Arc<Self>, connection: Connection) {
        let presented = connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
        let Some(by) = presented.and_then(|presented| peer_key(&presented)) else { return };
        while let Ok((send, recv)) = connection.accept_bi().await {
            let stream = Stream { core: self.clone(), connection: connection.clone(), by, send, recv };
            tokio::spawn(stream.answer());
        }
    }

    /// What is done about a request.
    fn script(&self, by: LinkKey, channel: [u8; 32], request: &Request) -> Vec<Say> {
        let (mischief, turn) = {
            let mut ways = self.ways();
            let asked = ways.asked.entry(request.name()).or_insert(0);
            *asked += 1;
            let turn = *asked - 1;
            (ways.mischief.clone(), turn)
        };
        let mut store = self.store();
        let mut visit = Visit { request, by, turn, store: &mut store, channel };
        let script = mischief(&mut visit).unwrap_or_else(|| visit.honestly());
        drop(store);
        self.changed();
        script
    }
}

/// One stream, one operation.
struct Stream {
    core: Arc<Core>,
    connection: Connection,
    by: LinkKey,
    send: SendStream,
    recv: RecvStream,
}

impl Stream {
    async fn answer(mut self) {
        let Some(request) = self.request().await else { return };
        let mut channel = [0; 32];
        if self.connection.export_keying_material(&mut channel, CHANNEL_LABEL, b"").is_err() {
            return;
        }
        for say in self.core.script(self.by, channel, &request) {
            if let Err(Gone) = self.say(say).await {
                return;
            }
        }
        // Whoever stopped the stream has what it wanted.
        let finished = self.send.finish();
        if finished.is_ok() {
            let _code = self.send.stopped().await;
        }
    }

    async fn request(&mut self) -> Option<Request> {
        let mut header = [0; HEADER_BYTES];
        self.recv.read_exact(&mut header).await.ok()?;
        let header = Header::of_bytes(header).ok()?;
        let mut body = vec![0; header.body_bytes];
        self.recv.read_exact(&mut body).await.ok()?;
        Request::of_body(header.number, &body).ok()
    }

    async fn say(&mut self, say: Say) -> Result<(), Gone> {
        match say {
            Say::Reply(reply) => self.write(&reply.to_bytes()).await,
            Say::Bytes(bytes) => self.write(&bytes).await,
            Say::Drops(bytes) => self.drip(&bytes).await,
            Say::Endless(bytes) => loop {
                self.write(&bytes).await?;
                self.core.ways().flooded += bytes.len() as u64;
            },
            Say::Silence => {
                let _code = self.send.stopped().await;
                // Whoever lost patience with the stream may still wait for the connection.
                self.connection.closed().await;
                Err(Gone)
            }
            Say::Reset(code) => {
                self.send.reset(VarInt::from_u32(code)).or(Err(Gone))?;
                Err(Gone)
            }
            Say::Close(code) => {
                self.connection.close(VarInt::from_u32(code), b"");
                Err(Gone)
            }
            Say::OtherStreams => {
                self.other_streams();
                Ok(())
            }
            Say::Serve(id, from) => self.serve(id, from).await,
            Say::Follow(id, from_event) => self.follow(id, from_event).await,
            Say::Take(id) => self.take(id, u64::MAX, Keeping::Kept).await,
            Say::TakeSome(id, count) => self.take(id, count, Keeping::Kept).await,
            Say::TakePaper(asked) => self.take_paper(asked).await,
            Say::TakeAndLose(id) => self.take(id, u64::MAX, Keeping::Lost).await,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.send.write_all(bytes).await.or(Err(Gone))
    }

    async fn take_paper(&mut self, asked: Deposit) -> Result<(), Gone> {
        let mut sealed = vec![0; usize::try_from(asked.bytes).or(Err(Gone))?];
        self.recv.read_exact(&mut sealed).await.or(Err(Gone))?;
        let reply = self.core.store().held(asked.transfer).deposit(self.by, asked, sealed);
        self.core.changes.send_modify(|_| {});
        self.write(&reply.to_bytes()).await
    }

    async fn drip(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let mut pace = tokio::time::interval(DROP_EVERY);
        loop {
            for byte in bytes {
                pace.tick().await;
                self.write(&[*byte]).await?;
                self.core.ways().dropped += 1;
            }
        }
    }

    fn other_streams(&self) {
        let (connection, core) = (self.connection.clone(), self.core.clone());
        tokio::spawn(async move {
            let datagram = vec![7; 1000];
            for _ in 0..10_000 {
                if connection.send_datagram(datagram.clone().into()).is_err() {
                    break;
                }
            }
            // A client allows no streams of the relay's: neither of these is ever opened.
            let opened = tokio::select! {
                opened = connection.open_uni() => opened.is_ok(),
                opened = connection.open_bi() => opened.is_ok(),
            };
            core.ways().opened_other += u64::from(opened);
        });
    }

    async fn serve(&mut self, id: TransferId, from: BlockIndex) -> Result<(), Gone> {
        let mut changes = self.core.changes.subscribe();
        let mut next = from;
        loop {
            changes.mark_unchanged();
            let (blocks, phase, is_last) = {
                let mut store = self.core.store();
                let held = store.held(id);
                let blocks: Vec<Vec<u8>> = held.blocks.iter().skip(next.0 as usize).cloned().collect();
                next = BlockIndex(next.0 + blocks.len() as u64);
                held.transfer.fetched(BlockCount(next.0));
                (blocks, held.transfer.phase, held.transfer.blocks == Some(BlockCount(next.0)))
            };
            for block in blocks {
                self.write(&block).await?;
            }
            if phase.is_final() {
                return Box::pin(self.say(Say::Reset(ended(phase).into()))).await;
            }
            if is_last {
                return Ok(());
            }
            self.changed(&mut changes).await?;
        }
    }

    async fn follow(&mut self, id: TransferId, mut from_event: u64) -> Result<(), Gone> {
        let mut changes = self.core.changes.subscribe();
        let mut told: Option<Snapshot> = None;
        loop {
            changes.mark_unchanged();
            let (snapshot, storage) = {
                let mut store = self.core.store();
                let transfer = &store.held(id).transfer;
                (transfer.snapshot(from_event), transfer.storage)
            };
            let quiet = |snapshot: &Snapshot| Snapshot { events: Vec::new(), ..snapshot.clone() };
            if !snapshot.events.is_empty() || told.as_ref() != Some(&quiet(&snapshot)) {
                from_event = snapshot.events.last().map_or(from_event, |event| event.sequence + 1);
                told = Some(quiet(&snapshot));
                self.write(&Reply::Snapshot(snapshot).to_bytes()).await?;
            }
            if storage == Storage::Deleted {
                return Ok(());
            }
            self.changed(&mut changes).await?;
        }
    }

    async fn changed(&mut self, changes: &mut watch::Receiver<u64>) -> Result<(), Gone> {
        tokio::select! {
            changed = changes.changed() => changed.or(Err(Gone)),
            _code = self.send.stopped() => Err(Gone),
        }
    }

    async fn take(&mut self, id: TransferId, count: u64, keeping: Keeping) -> Result<(), Gone> {
        let (block_bytes, mut next) = {
            let mut store = self.core.store();
            let held = store.held(id);
            (held.create.block_size.sealed_bytes(), held.transfer.durable.end())
        };
        for _ in 0..count {
            let mut block = vec![0; block_bytes];
            match self.recv.read_exact(&mut block).await {
                Ok(()) => {}
                Err(quinn::ReadExactError::FinishedEarly(0)) => return Ok(()),
                Err(quinn::ReadExactError::FinishedEarly(_)) => return self.cut(Fault::BadMessage.into()).await,
                Err(quinn::ReadExactError::ReadError(_)) => return Err(Gone),
            }
            let stored = match keeping {
                Keeping::Lost => Ok(BlockCount(next.next().0)),
                Keeping::Kept => {
                    let mut store = self.core.store();
                    let held = store.held(id);
                    let stored = held.transfer.stored(self.by, next, BlockCount(1), now());
                    if stored.is_ok() {
                        held.blocks.push(block);
                    }
                    stored
                }
            };
            let durable = match stored {
                Ok(durable) => durable,
                Err(refused) => return self.cut(refused).await,
            };
            next = durable.end();
            self.core.changed();
            self.write(&Reply::Durable(Durable { durable }).to_bytes()).await?;
        }
        Ok(())
    }

    async fn cut(&mut self, refused: Refused) -> Result<(), Gone> {
        Box::pin(self.say(Say::Reset(refused.fault.into()))).await
    }
}

/// What becomes of blocks that are taken.
#[derive(Clone, Copy)]
enum Keeping {
    Kept,
    Lost,
}

fn ended(phase: Phase) -> u16 {
    match phase {
        Phase::Receipted => Fault::Receipted.number(),
        Phase::Revoked => Fault::Revoked.number(),
        Phase::Refused => Fault::RefusedByBuyer.number(),
        Phase::TakenDown => Fault::TakenDown.number(),
        _ => Fault::Expired.number(),
    }
}
