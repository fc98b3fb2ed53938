//! One connection to the relay at a time, and what is said over it. What comes back is put into one queue; whatever an
//! old connection still says is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use handover_link::SendStream;
use handover_shared::ids::{BlockCount, LinkKey, TransferId};
use handover_shared::keys::code::RelayAddress;
use handover_shared::protocol::message::{Complete, Create, Named, Reply, Request, Snapshot, Watch};
use handover_shared::protocol::papers::PaperKind;
use handover_shared::protocol::seller::Input;
use handover_shared::tls::{ExpectedRelay, LinkSecret};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::bandwidth::{Bandwidth, Brake};
use crate::error::Error;
use crate::link::network::Network;
use crate::link::{Relay, Replies, Traffic, unexpected};

/// Replies of streams that wait to be heard. While there are so many, no more are read: a relay that says much has to
/// wait, and takes no memory meanwhile.
const WAITING_MAX: usize = 16;

/// Where the relay is, whom to expect there, and as whom.
#[derive(Clone)]
pub struct Target {
    /// Where to go.
    pub address: RelayAddress,
    /// Whom to expect.
    pub key: LinkKey,
    /// As whom.
    pub own: Arc<LinkSecret>,
    /// By which ways.
    pub network: Network,
}

impl Target {
    /// Goes there.
    ///
    /// # Errors
    /// As [`Relay::connect`].
    pub async fn connect(&self) -> Result<Relay, Error> {
        Relay::connect(&self.network, &self.address, ExpectedRelay::Key(self.key), &self.own).await
    }
}

/// What comes back.
pub enum Heard {
    /// The relay has welcomed this seller.
    Connected(Arc<Relay>),
    /// Something for the machine.
    Input(Input),
    /// How the transfer is.
    Snapshot(Box<Snapshot>),
    /// It did not work.
    Failed(Error),
}

/// The connection of a run, whichever it is just now.
pub struct Session {
    target: Target,
    transfer: TransferId,
    generation: u64,
    relay: Option<Arc<Relay>>,
    blocks: Option<mpsc::UnboundedSender<Bytes>>,
    tasks: JoinSet<()>,
    heard: mpsc::UnboundedSender<Said>,
    inbox: mpsc::UnboundedReceiver<Said>,
    room: Arc<Semaphore>,
    bandwidth: Arc<Bandwidth>,
    /// Sealed bytes handed to a connection so far.
    sent_bytes: Arc<AtomicU64>,
}

/// What came back over which connection, and the room it takes while it waits.
struct Said {
    generation: u64,
    heard: Heard,
    _room: Option<OwnedSemaphorePermit>,
}

impl Session {
    /// Without a connection yet, or with one that stands already.
    pub fn new(target: Target, transfer: TransferId, standing: Option<Relay>) -> Self {
        let (heard, inbox) = mpsc::unbounded_channel();
        Self {
            target,
            transfer,
            generation: 0,
            relay: standing.map(Arc::new),
            blocks: None,
            tasks: JoinSet::new(),
            heard,
            inbox,
            room: Arc::new(Semaphore::new(WAITING_MAX)),
            bandwidth: Arc::default(),
            sent_bytes: Arc::default(),
        }
    }

    /// Sends no faster than this says.
    pub fn limited(self, bandwidth: Arc<Bandwidth>) -> Self {
        Self { bandwidth, ..self }
    }

    /// Sealed bytes handed to a connection so far; what was sent twice counts twice.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// The next thing that came back over the connection of now.
    pub async fn next(&mut self) -> Heard {
        loop {
            match self.inbox.recv().await {
                Some(Said { generation, heard, .. }) if generation == self.generation => {
                    if let Heard::Connected(relay) = &heard {
                        self.relay = Some(relay.clone());
                    }
                    return heard;
                }
                Some(_old) => {}
                // This session itself holds a sender.
                None => std::future::pending().await,
            }
        }
    }

    /// Reaches the relay, unless a connection stands that nothing was asked over.
    pub fn connect(&mut self) {
        let voice = self.voice();
        if let Some(relay) = &self.relay {
            voice.say(Heard::Connected(relay.clone()));
            return;
        }
        let target = self.target.clone();
        self.tasks.spawn(async move {
            match target.connect().await {
                Ok(relay) => voice.say(Heard::Connected(Arc::new(relay))),
                Err(error) => voice.say(Heard::Failed(error)),
            }
        });
    }

    /// Announces the transfer.
    /// What must be there before anybody has the code is deposited before that counts as done. [S14.3]
    pub fn create(&mut self, create: Create, document: Option<Vec<u8>>) {
        let (voice, Some(relay)) = (self.voice(), self.relay.clone()) else { return };
        let transfer = self.transfer;
        self.tasks.spawn(async move {
            let created = async {
                let created = match relay.ask(&Request::Create(create)).await? {
                    Reply::Created(created) => created,
                    other => return Err(unexpected(other)),
                };
                if let Some(document) = document {
                    relay.deposit(transfer, PaperKind::Agreement, &document).await?;
                }
                Ok(created)
            };
            match created.await {
                Ok(created) => voice.say(Heard::Input(Input::Created(created))),
                Err(error) => voice.say(Heard::Failed(error)),
            }
        });
    }

    /// Says that all blocks are there.
    pub fn complete(&mut self, blocks: BlockCount) {
        let complete = Complete { transfer: self.transfer, blocks };
        self.ask(Request::Complete(complete), |reply| match reply {
            Reply::Completed(at) => Ok(Input::Completed(at.time)),
            other => Err(unexpected(other)),
        });
    }

    /// Asks to append; blocks go out with [`Session::send`] then.
    pub fn append(&mut self) {
        let (voice, Some(relay)) = (self.voice(), self.relay.clone()) else { return };
        let (blocks, outgoing) = mpsc::unbounded_channel();
        self.blocks = Some(blocks);
        let request = Request::Append(Named { transfer: self.transfer });
        let (brake, sent_bytes) = (self.bandwidth.brake(), self.sent_bytes.clone());
        self.tasks.spawn(async move {
            let (send, replies) = match relay.open(&request).await {
                Ok(halves) => halves,
                Err(error) => return voice.say(Heard::Failed(error)),
            };
            // A stream that broke while sending tells why on its other half.
            tokio::join!(write_blocks(send, outgoing, brake, &sent_bytes), hear_durable(replies, &voice));
        });
    }

    /// Sends a block. How many may be on their way is the machine's business.
    pub fn send(&mut self, block: Bytes) {
        if let Some(blocks) = &self.blocks
            && blocks.send(block).is_err()
        {
            tracing::debug!("the append stream is over already");
        }
    }

    /// Finishes the sending half.
    pub fn finish(&mut self) {
        self.blocks = None;
    }

    /// Follows what happens.
    pub fn watch(&mut self, from_event: u64) {
        let (voice, Some(relay)) = (self.voice(), self.relay.clone()) else { return };
        let request = Request::Watch(Watch { transfer: self.transfer, from_event });
        self.tasks.spawn(async move {
            let outcome = async {
                // The sending half stays open for as long as snapshots are wanted.
                let (_send, mut replies) = relay.open(&request).await?;
                while let Some(reply) = replies.next().await? {
                    match reply {
                        Reply::Snapshot(snapshot) => voice.say_in_turn(Heard::Snapshot(Box::new(snapshot))).await,
                        other => return Err(unexpected(other)),
                    }
                }
                Err(Error::Lost { address: relay.address().to_string(), cause: "the relay finished".into() })
            };
            if let Err::<(), Error>(error) = outcome.await {
                voice.say(Heard::Failed(error));
            }
        });
    }

    /// Drops the connection with everything on it.
    pub fn disconnect(&mut self) {
        self.generation += 1;
        self.blocks = None;
        self.relay = None;
        self.tasks.abort_all();
    }

    /// Counters of the connection of now.
    pub fn traffic(&self) -> Option<Traffic> {
        self.relay.as_ref().map(|relay| relay.traffic())
    }

    fn ask(&mut self, request: Request, read: fn(Reply) -> Result<Input, Error>) {
        let (voice, Some(relay)) = (self.voice(), self.relay.clone()) else { return };
        self.tasks.spawn(async move {
            match relay.ask(&request).await.and_then(read) {
                Ok(input) => voice.say(Heard::Input(input)),
                Err(error) => voice.say(Heard::Failed(error)),
            }
        });
    }

    fn voice(&self) -> Voice {
        Voice { generation: self.generation, heard: self.heard.clone(), room: self.room.clone() }
    }
}

/// Says what came back, and over which connection.
#[derive(Clone)]
struct Voice {
    generation: u64,
    heard: mpsc::UnboundedSender<Said>,
    room: Arc<Semaphore>,
}

impl Voice {
    /// The one thing that comes of an operation.
    fn say(&self, heard: Heard) {
        self.send(heard, None);
    }

    /// One of many things that a stream tells, when there is room for it.
    async fn say_in_turn(&self, heard: Heard) {
        match self.room.clone().acquire_owned().await {
            Ok(room) => self.send(heard, Some(room)),
            Err(closed) => tracing::debug!(%closed, "nobody listens any more"),
        }
    }

    fn send(&self, heard: Heard, room: Option<OwnedSemaphorePermit>) {
        if self.heard.send(Said { generation: self.generation, heard, _room: room }).is_err() {
            tracing::debug!("nobody listens any more");
        }
    }
}

async fn write_blocks(
    mut send: SendStream,
    mut outgoing: mpsc::UnboundedReceiver<Bytes>,
    mut brake: Brake,
    sent_bytes: &AtomicU64,
) {
    while let Some(mut block) = outgoing.recv().await {
        while !block.is_empty() {
            let piece = brake.piece(&mut block).await;
            let piece_bytes = piece.len() as u64;
            if let Err(error) = send.write_chunk(piece).await {
                tracing::debug!(%error, "a block could not be sent");
                return;
            }
            sent_bytes.fetch_add(piece_bytes, Ordering::Relaxed);
        }
    }
    send.finish();
}

async fn hear_durable(mut replies: Replies, voice: &Voice) {
    loop {
        let heard = match replies.next().await {
            Ok(Some(Reply::Appending(durable))) => Heard::Input(Input::Appending(durable.durable)),
            Ok(Some(Reply::Durable(durable))) => Heard::Input(Input::Durable(durable.durable)),
            Ok(Some(other)) => Heard::Failed(unexpected(other)),
            Ok(None) => return voice.say(Heard::Input(Input::AppendOver)),
            Err(error) => Heard::Failed(error),
        };
        let is_over = matches!(heard, Heard::Failed(_));
        voice.say_in_turn(heard).await;
        if is_over {
            return;
        }
    }
}
