//! Delivering: does what the seller's machine says, and tells it what came of it, until the transfer is where it shall be.
//!
//! # Source
//! SPEC [S12.2] [S14.3] [S14.4].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use handover_shared::archive::manifest::Counts;
use handover_shared::ids::{BlockCount, BlockIndex, Millis};
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::protocol::message::{Phase, Refused, Snapshot};
use handover_shared::protocol::seller::{Ending, Input, Output, Seller, Trouble};
use tokio::time::{Instant, MissedTickBehavior};

use super::pipeline::{Done, Made, Pipeline};
use super::session::{Heard, Session};
use crate::error::Error;
use crate::event::{Event, Observer, Progress, ReceiptFacts, Stage, StallCause};
use crate::link::Traffic;
use crate::link::retry::Backoff;
use crate::stop::Stop;
use crate::watch::Watcher;

/// Progress is told this often, and silence is looked for.
const TICK: Duration = Duration::from_millis(250);
/// Bytes made ahead of what is durable, before and while it is known how fast that goes: what is made late can be packed
/// harder, and less is made again after a crash.
const AHEAD_BYTES_FIRST: u64 = 12 * 1024 * 1024;
const AHEAD_BYTES_MIN: u64 = 6 * 1024 * 1024;
const AHEAD_SECONDS: u64 = 2;
/// How long the relay may take to say that it has deleted the blocks, after it has the receipt.
const DELETION_PATIENCE: Duration = Duration::from_secs(3);

/// What the delivery needs from the transfer it delivers. Each of these is durable when it returns.
pub trait Transfer {
    /// What is said to announce it.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`].
    fn create(&self) -> Result<handover_shared::protocol::message::Create, Error>;
    /// The sealed document that the buyer must sign first, if there is one.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`].
    fn document(&self) -> Result<Option<Vec<u8>>, Error>;
    /// The relay has accepted it.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`].
    fn accepted(&mut self, expires: Millis) -> Result<(), Error>;
    /// Starts to pack from this block on.
    ///
    /// # Errors
    /// As [`Journal::resume`](super::journal::Journal::resume) and [`Pipeline::start`].
    fn begin(&mut self, at: BlockIndex) -> impl Future<Output = Result<Begun, Error>> + Send;
    /// Everything is durable at the relay.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`].
    fn safe(&mut self, blocks: BlockCount, counts: Counts) -> Result<(), Error>;
}

/// What beginning to pack gives.
pub struct Begun {
    /// What was done by earlier runs.
    pub done: Done,
    /// What makes the rest.
    pub rest: Making,
}

/// What makes the rest.
pub enum Making {
    /// The pipeline.
    Pipeline(Pipeline),
    /// There is no rest: so many blocks were made, of so much.
    Nothing(BlockCount, Counts),
}

/// A transfer that is only followed.
pub struct NothingToSend;

impl Transfer for NothingToSend {
    fn create(&self) -> Result<handover_shared::protocol::message::Create, Error> {
        Err(only_followed())
    }

    fn document(&self) -> Result<Option<Vec<u8>>, Error> {
        Err(only_followed())
    }

    fn accepted(&mut self, _: Millis) -> Result<(), Error> {
        Err(only_followed())
    }

    async fn begin(&mut self, _: BlockIndex) -> Result<Begun, Error> {
        Err(only_followed())
    }

    fn safe(&mut self, _: BlockCount, _: Counts) -> Result<(), Error> {
        Err(only_followed())
    }
}

/// The machine never asks for this of a transfer that it was told to be complete.
fn only_followed() -> Error {
    Error::Internal("this transfer is only followed".into())
}

/// A delivery.
pub struct Delivery<'a, T> {
    pub machine: Seller,
    pub session: Session,
    pub transfer: T,
    pub watcher: Watcher<'a>,
    pub observer: Arc<dyn Observer>,
    pub stop: Stop,
    /// What is known beforehand of the whole.
    pub whole: Progress,
    pub block_bytes: u64,
}

/// What is kept until it is durable. [S14.4]
struct Kept {
    bytes: Bytes,
    done: Done,
}

/// A delivery under way.
struct Run<'a, T> {
    it: Delivery<'a, T>,
    epoch: Instant,
    pipeline: Option<Pipeline>,
    counts: Option<(BlockCount, Counts)>,
    /// The first kept block.
    first: BlockIndex,
    kept: VecDeque<Kept>,
    done: Done,
    /// Blocks that became durable in this run.
    delivered: u64,
    ahead: Ahead,
    pause: Option<Instant>,
    backoff: Backoff,
    traffic: Option<Traffic>,
    told: Option<Progress>,
    receipt: Option<ReceiptFacts>,
    receipted: Option<Instant>,
    next_event: u64,
    stage: Option<Stage>,
}

/// How far packing runs ahead.
struct Ahead {
    bytes_max: u64,
    since: Instant,
    delivered: u64,
}

impl Ahead {
    fn new(now: Instant) -> Self {
        Self { bytes_max: AHEAD_BYTES_FIRST, since: now, delivered: 0 }
    }

    /// So many bytes are durable by now.
    fn measure(&mut self, now: Instant, delivered: u64) {
        let span_ms = u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        let moved = delivered.saturating_sub(self.delivered);
        // Blocks become durable in heaps; nothing for a moment says nothing.
        if moved == 0 || span_ms == 0 {
            return;
        }
        (self.since, self.delivered) = (now, delivered);
        let seconds_of_it = moved.saturating_mul(1000 * AHEAD_SECONDS) / span_ms;
        // Half of the old, so that one slow sync does not stop everything.
        self.bytes_max = seconds_of_it.max(self.bytes_max / 2).max(AHEAD_BYTES_MIN);
    }
}

/// How a delivery ended well.
#[derive(Debug)]
pub struct Delivered {
    /// The receipt, if it is here.
    pub receipt: Option<ReceiptFacts>,
}

impl<T: Transfer> Delivery<'_, T> {
    /// Delivers.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when asked to stop, with everything kept; what the relay refused for good; what reading
    /// and keeping failed with.
    pub async fn run(self) -> Result<Delivered, Error> {
        let run = Run {
            epoch: Instant::now(),
            pipeline: None,
            counts: None,
            first: BlockIndex(0),
            kept: VecDeque::new(),
            done: Done::default(),
            delivered: 0,
            ahead: Ahead::new(Instant::now()),
            pause: None,
            backoff: Backoff::default(),
            traffic: None,
            told: None,
            receipt: None,
            receipted: None,
            next_event: 0,
            stage: None,
            it: self,
        };
        run.run().await
    }
}

impl<T: Transfer> Run<'_, T> {
    async fn run(mut self) -> Result<Delivered, Error> {
        let outcome = self.drive().await;
        self.it.session.disconnect();
        if let Some(pipeline) = self.pipeline.take() {
            pipeline.stop().await;
        }
        outcome
    }

    async fn drive(&mut self) -> Result<Delivered, Error> {
        let mut stop = self.it.stop.clone();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some(output) = self.it.machine.poll() {
                if let Some(delivered) = self.act(output).await? {
                    return Ok(delivered);
                }
            }
            let ahead_bytes = self.kept.len() as u64 * self.it.block_bytes;
            let takes_blocks =
                self.counts.is_none() && self.it.machine.room() > 0 && ahead_bytes < self.ahead.bytes_max;
            tokio::select! {
                biased;
                () = stop.asked() => return Err(Error::Interrupted),
                heard = self.it.session.next() => self.hear(heard)?,
                made = next_made(self.pipeline.as_mut()), if takes_blocks && self.pipeline.is_some() => self.take(made)?,
                () = until(self.pause), if self.pause.is_some() => {
                    self.pause = None;
                    self.tell_machine(Input::PauseOver);
                }
                _instant = ticks.tick() => self.tick()?,
            }
        }
    }

    /// Does what the machine wants; gives something when it is over.
    async fn act(&mut self, output: Output) -> Result<Option<Delivered>, Error> {
        match output {
            Output::Connect => {
                self.traffic = None;
                self.it.session.connect();
            }
            Output::Disconnect => self.it.session.disconnect(),
            Output::Pause { attempt, trouble } => self.on_pause(attempt, trouble),
            Output::Moving => {
                self.backoff.reset();
                self.event(Event::Moving);
            }
            Output::Create => {
                let create = self.it.transfer.create()?;
                let document = self.it.transfer.document()?;
                self.it.session.create(create, document);
            }
            Output::Accepted(created) => self.it.transfer.accepted(created.expires)?, // [S14.3]
            Output::Append => self.it.session.append(),
            Output::Begin(at) => self.on_begin(at).await?,
            Output::Send(index) => self.on_send(index),
            Output::Finish => self.it.session.finish(),
            Output::Release(durable) => self.on_release(durable),
            Output::Complete(blocks) => {
                self.stage(Stage::Finishing);
                self.it.session.complete(blocks);
            }
            Output::Safe(_) => self.on_safe()?,
            Output::Watch { from_event } => {
                self.stage(Stage::Waiting);
                self.it.session.watch(from_event);
            }
            Output::Ended(ending) => return self.on_ended(ending).map(Some),
        }
        Ok(None)
    }

    fn on_pause(&mut self, attempt: u32, trouble: Trouble) {
        let mut random = [0; 4];
        OsEntropy.fill(&mut random);
        self.pause = Some(Instant::now() + self.backoff.pause(u32::from_be_bytes(random)));
        let cause = match trouble {
            Trouble::Unreachable => StallCause::Unreachable,
            Trouble::Lost => StallCause::Lost,
            Trouble::Busy => StallCause::Busy,
            Trouble::Silent => StallCause::Silent,
        };
        tracing::debug!(attempt, ?trouble, "tries again");
        self.event(Event::Stalled { attempt, cause });
    }

    async fn on_begin(&mut self, at: BlockIndex) -> Result<(), Error> {
        self.stage(Stage::Sending);
        let begun = self.it.transfer.begin(at).await?;
        self.first = at;
        self.done = begun.done;
        if at.0 > 0 {
            self.event(Event::Resumed { bytes: begun.done.bytes, files: begun.done.files });
        }
        match begun.rest {
            Making::Pipeline(pipeline) => self.pipeline = Some(pipeline),
            Making::Nothing(blocks, counts) => {
                self.counts = Some((blocks, counts));
                self.tell_machine(Input::Last(blocks));
            }
        }
        Ok(())
    }

    fn on_send(&mut self, index: BlockIndex) {
        let at = index.0.checked_sub(self.first.0).and_then(|at| usize::try_from(at).ok());
        if let Some(kept) = at.and_then(|at| self.kept.get(at)) {
            self.it.session.send(kept.bytes.clone());
        }
    }

    fn on_release(&mut self, durable: BlockCount) {
        while self.first.0 < durable.0
            && let Some(kept) = self.kept.pop_front()
        {
            self.first = self.first.next();
            self.done = kept.done;
            self.delivered += 1;
        }
        if let Some(pipeline) = &self.pipeline {
            pipeline.acknowledge(durable);
        }
    }

    fn on_safe(&mut self) -> Result<(), Error> {
        let (blocks, counts) = self.counts.ok_or(Error::RelayMisbehaved("completed what was not complete"))?;
        self.done = Done { bytes: counts.bytes, files: counts.files };
        self.progress(Tell::Always);
        self.it.transfer.safe(blocks, counts)
    }

    fn on_ended(&mut self, ending: Ending) -> Result<Delivered, Error> {
        match ending {
            Ending::Safe | Ending::Receipted => Ok(Delivered { receipt: self.receipt.take() }),
            Ending::Refused(refused) => Err(crate::link::refusal(refused)),
            Ending::JournalBehind { relay, journal } => {
                Err(Error::JournalBehind { relay: relay.0, journal: journal.0 })
            }
            Ending::BlocksLost { .. } => Err(Error::RelayMisbehaved("has lost blocks that it had acknowledged")),
            Ending::Misbehaved(how) => Err(Error::RelayMisbehaved(how)),
        }
    }

    fn hear(&mut self, heard: Heard) -> Result<(), Error> {
        match heard {
            Heard::Connected(relay) => {
                self.it.watcher.reached(&relay, &*self.it.observer);
                self.tell_machine(Input::Connected);
            }
            Heard::Input(input) => self.tell_machine(input),
            Heard::Snapshot(snapshot) => self.on_snapshot(*snapshot)?,
            Heard::Failed(Error::Unreachable { .. }) => self.tell_machine(Input::Lost(Trouble::Unreachable)),
            Heard::Failed(Error::Proxy { fault, .. }) if fault.is_passing() => {
                self.tell_machine(Input::Lost(Trouble::Unreachable));
            }
            Heard::Failed(Error::Lost { .. }) => self.tell_machine(Input::Lost(Trouble::Lost)),
            Heard::Failed(Error::Refused { fault, number, time }) => {
                let refused = Refused { number, time, ..fault.into() };
                self.tell_machine(Input::Refused(refused));
            }
            Heard::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn on_snapshot(&mut self, snapshot: Snapshot) -> Result<(), Error> {
        let phase = snapshot.phase;
        if let Some(last) = snapshot.events.last() {
            self.next_event = self.next_event.max(last.sequence.saturating_add(1));
        }
        self.it.watcher.take(snapshot, &*self.it.observer)?;
        match phase {
            // The end of it is told when the receipt has been checked and kept.
            Phase::Receipted => {
                self.receipted.get_or_insert_with(Instant::now);
                self.look_for_receipt()
            }
            phase => {
                self.tell_machine(Input::Told { phase, next_event: self.next_event });
                Ok(())
            }
        }
    }

    fn look_for_receipt(&mut self) -> Result<(), Error> {
        let Some(since) = self.receipted else { return Ok(()) };
        self.it.watcher.settle(&*self.it.observer)?;
        let patient = since.elapsed() < DELETION_PATIENCE;
        if let Some(receipt) = self.it.watcher.receipt()
            && (receipt.deleted.is_some() || !patient)
        {
            if self.receipt.is_none() {
                self.receipt = Some(receipt.clone());
                self.event(Event::Receipt(receipt));
            }
            self.tell_machine(Input::Told { phase: Phase::Receipted, next_event: self.next_event });
        }
        Ok(())
    }

    fn take(&mut self, made: Option<Result<Made, Error>>) -> Result<(), Error> {
        match made {
            Some(Ok(Made::Block { index, bytes, done })) => {
                self.kept.push_back(Kept { bytes, done });
                self.tell_machine(Input::Sealed(index));
            }
            Some(Ok(Made::Last { total, counts })) => {
                self.counts = Some((total, counts));
                self.tell_machine(Input::Last(total));
            }
            Some(Err(error)) => return Err(error),
            None => return Err(Error::Internal("packing ended before its end".into())),
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Error> {
        match (self.it.session.traffic(), self.traffic) {
            (Some(now), Some(before))
                if now.pieces_sent > before.pieces_sent && now.confirmations > before.confirmations =>
            {
                self.tell_machine(Input::Moved);
                self.traffic = Some(now);
            }
            // One may come long after the other.
            (Some(_), Some(_)) => {}
            (traffic, _) => self.traffic = traffic,
        }
        self.ahead.measure(Instant::now(), self.delivered.saturating_mul(self.it.block_bytes));
        self.tell_machine(Input::Tick);
        self.progress(Tell::Changes);
        self.look_for_receipt()
    }

    fn progress(&mut self, tell: Tell) {
        if self.pipeline.is_none() && tell == Tell::Changes {
            return;
        }
        let progress = Progress {
            bytes_done: self.done.bytes,
            files_done: self.done.files,
            wire_bytes: self.delivered.saturating_mul(self.it.block_bytes),
            moved_bytes: self.it.session.sent_bytes(),
            current: self.pipeline.as_ref().and_then(Pipeline::current),
            ..self.it.whole.clone()
        };
        if tell == Tell::Always || self.told.as_ref() != Some(&progress) {
            self.told = Some(progress.clone());
            self.event(Event::Progress(progress));
        }
    }

    fn tell_machine(&mut self, input: Input) {
        let now = Millis(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.it.machine.handle(now, input);
    }

    fn stage(&mut self, stage: Stage) {
        if self.stage.replace(stage) != Some(stage) {
            self.event(Event::Stage(stage));
        }
    }

    fn event(&self, event: Event) {
        self.it.observer.event(event);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tell {
    Changes,
    Always,
}

async fn next_made(pipeline: Option<&mut Pipeline>) -> Option<Result<Made, Error>> {
    match pipeline {
        Some(pipeline) => pipeline.next().await,
        None => std::future::pending().await,
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
