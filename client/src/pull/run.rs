//! One run of a pull: carries out what the buyer's machine asks for, and tells it what came of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockIndex, LinkKey, Millis, TransferId};
use handover_shared::keys::Secret;
use handover_shared::keys::code::RelayAddress;
use handover_shared::keys::schedule::ContentKey;
use handover_shared::proof::{Agreement, OpenedOffer};
use handover_shared::protocol::buyer::{Buyer, End, Input, Output, Start};
use handover_shared::protocol::message::{EventKind, Receive, Reply, Request};
use handover_shared::tls::LinkSecret;
use zeroize::Zeroizing;

use super::begin::{self, Begun};
use super::checkpoint::{Checkpoint, Stage as Kept};
use super::claim::Claiming;
use super::flow::{Flow, Happening};
use super::look::{Look, Origin};
use super::pipeline::{Bounds, Feedback, bytes_of};
use super::place::Trouble;
use super::precheck::{InTheWay, Precheck};
use super::settle::{self, Ending, Site};
use super::work::Destination;
use super::{ConflictPolicy, Decide, TakeOptions, Taken, kept, now, shown_bytes};
use crate::agreement;
use crate::audit::{self, Patience};
use crate::bandwidth::{Bandwidth, Direction};
use crate::error::Error;
use crate::event::{Event, Observer, Progress, Stage};
use crate::home::Home;
use crate::home::told::{self, Told};
use crate::home::transfers::{Facts, Held, Secrets, State};
use crate::link::retry::Backoff;
use crate::link::{Relay, unexpected};
use crate::private::{Private, escaped};
use crate::stop::Stop;
use crate::watch::{self, Lock};

/// How often the machine is told that time passes, and the person how far it is.
const TICK: Duration = Duration::from_millis(250);

/// Takes what was looked at.
pub(super) async fn take(
    look: Look,
    options: TakeOptions,
    decide: Arc<dyn Decide>,
    observer: Arc<dyn Observer>,
    stop: Stop,
) -> Result<Taken, Error> {
    if let Origin::Continued(continued) = &look.origin
        && continued.facts.state == State::Delivered
    {
        // The run that delivered it may have died before it wiped what has done its work.
        continued.held.wipe_secrets(&continued.facts.transfer_id()?)?;
        return settle::taken(&continued.held, &continued.facts, look.destination.clone());
    }
    look.check_space()?;
    let mut run = Run::begin(look, options, decide, observer, stop)?;
    let result = Box::pin(run.drive()).await;
    run.wind_down(result).await
}

/// A run.
pub(super) struct Run {
    pub(super) home: Home,
    held: Held,
    facts: Facts,
    secrets: Secrets,
    offer: Arc<OpenedOffer>,
    transfer: TransferId,
    pub(super) address: RelayAddress,
    pub(super) relay_key: LinkKey,
    pub(super) link: LinkSecret,
    destination: PathBuf,
    /// The destination, held open; nothing for standard output.
    place: Option<Destination>,
    policy: ConflictPolicy,
    bandwidth: Arc<Bandwidth>,
    decide: Arc<dyn Decide>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) stop: Stop,
    machine: Buyer,
    pub(super) backoff: Backoff,
    pub(super) relay: Option<Relay>,
    pub(super) flow: Option<Flow>,
    checkpoint: Option<Checkpoint>,
    /// The tail of an archive that came whole.
    tail: Option<Vec<u8>>,
    /// What the relay refused last, and what broke last.
    pub(super) refusal: Option<Error>,
    pub(super) reached: Reached,
    restarts: u32,
}

/// How it goes with the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// The last attempt found nobody.
    Nobody,
    /// There was, or is, a connection; something went wrong with it.
    Stalled,
    /// Everything moves.
    Moving,
}

enum Next {
    Input(Input),
    Nothing,
    Done(Taken),
}

impl Run {
    fn begin(
        look: Look,
        options: TakeOptions,
        decide: Arc<dyn Decide>,
        observer: Arc<dyn Observer>,
        stop: Stop,
    ) -> Result<Self, Error> {
        let Look { home, offer, origin, destination, to_stdout, consent, .. } = look;
        if !to_stdout {
            std::fs::create_dir_all(&destination)
                .map_err(|source| Error::disk("making the destination", &destination, source))?;
        }
        let place = if to_stdout { None } else { Some(Destination::open(&destination)?) };
        let site = place.as_ref().map(Destination::path);
        let begun = match origin {
            Origin::Fresh(fresh) => begin::fresh(&home, &offer, *fresh, site, consent)?,
            Origin::Continued(continued) => begin::continued(*continued, site)?,
        };
        let Begun { held, facts, secrets, link, machine, relay, checkpoint } = begun;
        // Nothing is asked twice.
        let policy = match options.conflict {
            ConflictPolicy::Ask => kept::read_answer(&held)?.unwrap_or(ConflictPolicy::Ask),
            other => other,
        };
        let tail = match &checkpoint {
            Some(Checkpoint { stage: Kept::Whole(tail), .. }) => Some(tail.clone()),
            _ => None,
        };
        Ok(Self {
            transfer: offer.text.transfer,
            address: facts.relay_address()?,
            relay_key: facts.relay_key()?,
            policy,
            bandwidth: options.bandwidth,
            backoff: Backoff::default(),
            flow: None,
            refusal: None,
            reached: Reached::Moving,
            restarts: 0,
            offer: Arc::new(offer),
            home,
            held,
            facts,
            secrets,
            link,
            destination,
            place,
            decide,
            observer,
            stop,
            machine,
            relay,
            checkpoint,
            tail,
        })
    }

    async fn drive(&mut self) -> Result<Taken, Error> {
        self.tell_resumed();
        loop {
            if self.stop.is_asked() {
                return Err(Error::Interrupted);
            }
            let Some(output) = self.machine.poll() else {
                self.happen().await?;
                continue;
            };
            match self.perform(output).await? {
                Next::Input(input) => self.machine.handle(now(), input),
                Next::Nothing => {}
                Next::Done(taken) => return Ok(taken),
            }
        }
    }

    async fn perform(&mut self, output: Output) -> Result<Next, Error> {
        match output {
            Output::Connect => self.connect().await.map(Next::Input),
            Output::Disconnect => {
                self.drop_link().await;
                Ok(Next::Nothing)
            }
            Output::Wait { attempt, cause } => self.wait(attempt, cause).await.map(Next::Input),
            Output::Claim => self.claim().await.map(Next::Input),
            Output::Fetch(from) => self.fetch(from).await,
            Output::StopFetch => {
                if let Some(flow) = &mut self.flow {
                    flow.stop().await;
                }
                Ok(Next::Nothing)
            }
            Output::Finish => self.finish().await.map(|()| Next::Input(Input::Signed)),
            Output::Deliver => self.deliver().await.map(Next::Input),
            Output::Done => self.done().await.map(Next::Done),
            Output::End(end) => Err(self.ended(end)),
            Output::Peek | Output::Ask => Err(Error::Internal("the offer was accepted already".into())),
        }
    }

    async fn claim(&mut self) -> Result<Input, Error> {
        let Some(relay) = &self.relay else { return Ok(Input::LinkLost) };
        let claiming = Claiming::of(&self.home, &self.secrets, self.offer.clone(), self.link.public())?;
        let sealed = match self.offer.commitment() {
            Agreement::None => None,
            Agreement::Of(_) => Some(agreement::read_sealed_agreement(&self.held)?),
        };
        // A claim holds on the connection that it is made for, and on no other [S10.5].
        let begun = tokio::select! {
            () = self.stop.asked() => return Err(Error::Interrupted),
            begun = relay.begin() => begun,
        };
        let begun = match begun {
            Ok(begun) => begun,
            Err(error) => return self.failed(error).await,
        };
        let (claim, text, signature) = claiming.claim(begun.channel, now(), sealed)?;
        kept::write_statement(&self.held, kept::Kept::Claim, &text, &signature)?;
        let claim = Request::Claim(claim);
        let answer = tokio::select! {
            () = self.stop.asked() => return Err(Error::Interrupted),
            answer = begun.ask(&claim) => answer,
        };
        match answer {
            Ok(Reply::Released(released)) => {
                let key = claiming.open(&released)?;
                // [S15.1] The key is durable before success is reported; the code has done its work.
                self.secrets.content_key = Some(*key.expose());
                self.secrets.code = None;
                self.secrets.hybrid_seed = None;
                self.held.store_secrets(&self.secrets)?;
                self.facts.state = State::Receiving;
                self.facts.claimed_ms = Some(released.claimed.0);
                self.held.store_facts(&self.facts)?;
                self.told(EventKind::Claimed, released.claimed)?;
                self.moved();
                Ok(Input::Released)
            }
            Ok(other) => self.failed(unexpected(other)).await,
            Err(error) => self.failed(error).await,
        }
    }

    /// Keeps what the relay says that it has done for us, and when.
    fn told(&self, kind: EventKind, time: Millis) -> Result<(), Error> {
        told::add(&self.held, [Told { sequence: None, time, kind, by: Some(self.link.public()) }])
    }

    fn content_key(&self) -> Result<ContentKey, Error> {
        let bytes = self.secrets.content_key.as_ref().map(|key| Zeroizing::new(*key));
        let bytes = bytes.ok_or_else(|| Error::Internal("the content key is not here".into()))?;
        Ok(ContentKey::of_secret(Secret::new(bytes)))
    }

    fn site(&self) -> Result<Site, Error> {
        Ok(Site {
            folder: (*self.held).clone(),
            transfer: self.transfer,
            key: self.content_key()?,
            block_size: self.offer.text.block_bytes,
            destination: self.place.clone(),
            bounds: Bounds::of(&self.offer.summary),
            since: Millis(self.facts.created_ms),
            policy: self.policy,
            observer: self.observer.clone(),
        })
    }

    /// Finds what stands in the way before anything is fetched, and asks about it once.
    async fn precheck(&mut self) -> Result<(), Error> {
        let is_asking = matches!(self.policy, ConflictPolicy::Ask | ConflictPolicy::Fail);
        let is_beginning = self.flow.is_none() && self.checkpoint.is_none();
        let Some(place) = self.place.as_ref().filter(|_| is_asking && is_beginning) else { return Ok(()) };
        if place.is_bare()? {
            return Ok(());
        }
        let Some(relay) = &self.relay else { return Ok(()) };
        self.observer.event(Event::Stage(Stage::Scanning));
        let block_key = self.content_key()?.block_key(&self.transfer);
        let precheck = Precheck {
            relay,
            transfer: self.transfer,
            size: self.offer.text.block_bytes,
            block_key,
            pace: self.bandwidth.rate(Direction::Down),
        };
        let found = tokio::select! {
            () = self.stop.asked() => return Err(Error::Interrupted),
            found = precheck.run(place) => found?,
        };
        let Some(InTheWay { count, first }) = found.filter(|found| found.count > 0) else { return Ok(()) };
        let shown = first.first().map_or_else(PathBuf::new, |it| shown_bytes(&self.destination, it.path.reveal()));
        let (decide, policy) = (self.decide.clone(), self.policy);
        let ask = move || Ok(if policy == ConflictPolicy::Ask { decide.conflicts(count, &first) } else { None });
        match blocking(ask).await? {
            Some(answer @ (ConflictPolicy::Skip | ConflictPolicy::Rename | ConflictPolicy::Overwrite)) => {
                kept::write_answer(&self.held, answer)?;
                self.policy = answer;
                Ok(())
            }
            _ => Err(Error::Conflicts { count, first: Private::new(shown) }),
        }
    }

    async fn fetch(&mut self, from: BlockIndex) -> Result<Next, Error> {
        if let Err(error) = Box::pin(self.precheck()).await {
            return self.failed(error).await.map(Next::Input);
        }
        if self.flow.is_none() {
            self.observer.event(Event::Stage(Stage::Receiving));
            let (site, checkpoint) = (self.site()?, self.checkpoint.clone());
            match blocking(move || Ok(site.start(checkpoint))).await? {
                Ok(pipeline) => self.flow = Some(Flow::new(pipeline, self.bandwidth.clone())),
                Err(Trouble::Failed(error)) => return Err(error),
                Err(Trouble::Restart) => return self.restart().await.map(|()| Next::Nothing),
            }
        }
        let (Some(flow), Some(relay)) = (&mut self.flow, &self.relay) else { return Ok(Next::Input(Input::LinkLost)) };
        let size = self.offer.text.block_bytes;
        let fetched = tokio::select! {
            () = self.stop.asked() => return Err(Error::Interrupted),
            fetched = flow.fetch(relay, self.transfer, from, size) => fetched,
        };
        match fetched {
            Ok(fetching) => {
                self.moved();
                Ok(Next::Input(Input::Fetching(fetching)))
            }
            Err(error) => self.failed(error).await.map(Next::Input),
        }
    }

    /// Waits until something happens to the flow, or some time has passed, and tells the machine.
    async fn happen(&mut self) -> Result<(), Error> {
        let Some(flow) = &mut self.flow else {
            return Err(Error::Internal("the buyer's machine waits for nothing".into()));
        };
        let happening = tokio::select! {
            () = self.stop.asked() => return Err(Error::Interrupted),
            happening = flow.happening() => Some(happening),
            () = tokio::time::sleep(TICK) => None,
        };
        // [S12.8]
        if let (None, Some(relay), true) = (&happening, &self.relay, flow.has_other_pace()) {
            let (from, size) = (flow.next(), self.offer.text.block_bytes);
            let fetched = tokio::select! {
                () = self.stop.asked() => return Err(Error::Interrupted),
                fetched = flow.fetch(relay, self.transfer, from, size) => fetched,
            };
            if let Err(error) = fetched {
                let input = self.failed(error).await?;
                self.machine.handle(now(), input);
                return Ok(());
            }
        }
        let (next, opened, is_alive) = (flow.next(), flow.opened(), flow.is_alive());
        self.machine.handle(now(), Input::Arrived(next));
        self.machine.handle(now(), Input::Opened(opened));
        if is_alive {
            self.machine.handle(now(), Input::Alive);
        }
        let input = match happening {
            None => {
                self.tell_progress();
                Input::Tick
            }
            Some(Happening::Finished) => Input::Finished,
            Some(Happening::Broke(error)) => self.failed(error).await?,
            Some(Happening::Said(Feedback::Damaged(block))) => {
                tracing::warn!(block = block.0, "a block does not open");
                Input::Damaged(block)
            }
            Some(Happening::Said(Feedback::Whole(tail))) => {
                self.tail = Some(tail);
                Input::TailSeen
            }
            Some(Happening::Said(Feedback::Failed(error))) => return Err(error),
            Some(Happening::Said(Feedback::Restart)) => return self.restart().await,
        };
        self.machine.handle(now(), input);
        Ok(())
    }

    /// Begins anew: what is placed will be found, what was under way is lost.
    async fn restart(&mut self) -> Result<(), Error> {
        self.restarts += 1;
        if self.restarts > 1 {
            return Err(Error::Internal("the partial data does not fit twice in a row".into()));
        }
        tracing::warn!("the partial data does not fit the checkpoint; beginning anew");
        self.drop_link().await;
        self.end_flow().await;
        Checkpoint::remove(&kept::checkpoint_file(&self.held))?;
        self.checkpoint = None;
        self.machine = Buyer::new(Start::Fetch(BlockIndex(0)), now());
        Ok(())
    }

    /// Ends the pipeline behind what it has taken, and its last checkpoint with it.
    async fn end_flow(&mut self) -> Vec<Feedback> {
        let Some(mut flow) = self.flow.take() else { return Vec::new() };
        flow.stop().await;
        let ended = tokio::task::spawn_blocking(move || flow.pipeline.finish()).await;
        ended.unwrap_or_else(|panicked| vec![Feedback::Failed(Error::Internal(panicked.to_string()))])
    }

    async fn finish(&mut self) -> Result<(), Error> {
        self.tell_progress();
        self.end_flow().await;
        self.observer.event(Event::Stage(Stage::Placing));
        let tail = self.tail.clone().ok_or_else(|| Error::Internal("the tail is not here".into()))?;
        let ending = Ending {
            site: self.site()?,
            home: self.home.clone(),
            offer: self.offer.clone(),
            tail,
            decide: self.decide.clone(),
        };
        let tally = blocking(move || ending.run()).await?;
        self.facts.state = State::Received;
        self.facts.exceptions = tally.exceptions;
        self.facts.receipted_ms = Some(now().0);
        self.held.store_facts(&self.facts)
    }

    async fn deliver(&mut self) -> Result<Input, Error> {
        let sealed_receipt =
            kept::read_sealed_receipt(&self.held)?.ok_or_else(|| Error::Internal("the receipt is not here".into()))?;
        let digested = sealed_receipt.clone();
        let receive = Request::Receive(Receive { transfer: self.transfer, sealed_receipt });
        match self.ask(&receive).await {
            Ok(Reply::Received(received)) => {
                self.told(EventKind::Receipted, received.time)?;
                audit::keep_receipt_digest(&self.held, &digested)?;
                self.moved();
                Ok(Input::Received)
            }
            Ok(other) => self.failed(unexpected(other)).await,
            Err(error) => self.failed(error).await,
        }
    }

    async fn done(&mut self) -> Result<Taken, Error> {
        let (folder, transfer) = ((*self.held).clone(), self.transfer);
        let place = self.place.clone();
        let logged = self.gather().await;
        blocking(move || settle::clean_up(&folder, &transfer, place.as_ref())).await?;
        // Last, so that a run that dies before this delivers and cleans up once more.
        self.facts.state = State::Delivered;
        self.held.store_facts(&self.facts)?;
        self.secrets = self.secrets.for_papers(&self.transfer);
        self.held.wipe_secrets(&self.transfer)?;
        logged?;
        settle::taken(&self.held, &self.facts, self.destination.clone())
    }

    /// Asks the relay, which has the receipt or has ended the transfer, what its log says. [S16.7]
    async fn gather(&mut self) -> Result<(), Error> {
        let Some(relay) = &self.relay else { return Ok(()) };
        let lock = Lock::Held(&self.held);
        audit::gather(&self.home, lock, relay, Patience::UntilDeleted, &*self.observer).await?;
        self.facts.deleted_ms = self.held.facts()?.deleted_ms;
        Ok(())
    }

    fn ended(&mut self, end: End) -> Error {
        match end {
            End::Refused(fault) => match self.refusal.take() {
                Some(Error::Refused { fault: refused, number, time }) if refused == fault => {
                    Error::Refused { fault, number, time }
                }
                _ => Error::Refused { fault, number: None, time: None },
            },
            End::Altered(block) => Error::Altered { what: "S8.2", block: Some(block.0) },
            End::Shrunk => Error::RelayMisbehaved("has fewer blocks than it has served"),
            End::NoTail => Error::Altered { what: "S9.5", block: None },
        }
    }

    /// Ends what is under way and keeps what was done, whatever the result.
    async fn wind_down(mut self, result: Result<Taken, Error>) -> Result<Taken, Error> {
        let mut result = result;
        for said in self.end_flow().await {
            // The pipeline knows better than an interruption what went wrong, but not better than another error.
            if let (Feedback::Failed(error), Err(Error::Interrupted)) = (said, &result) {
                result = Err(error);
            }
        }
        if matches!(&result, Err(error) if watch::has_ended(error)) && self.facts.state != State::Claiming {
            self.gather().await?;
        }
        if let Some(relay) = self.relay.take() {
            relay.close().await;
        }
        if let Err(Error::Refused { fault, .. }) = &result {
            self.refused_for_good(*fault)?;
        }
        result
    }

    /// A refusal that no later run can change.
    fn refused_for_good(self, fault: Fault) -> Result<(), Error> {
        let Self { held, mut facts, secrets, .. } = self;
        let is_over = matches!(
            fault,
            Fault::NotFound
                | Fault::AlreadyClaimed
                | Fault::Revoked
                | Fault::Expired
                | Fault::Receipted
                | Fault::RefusedByBuyer
                | Fault::TakenDown
        );
        let state = match fault {
            // Nothing was received: there is nothing to keep.
            _ if is_over && facts.state == State::Claiming => return held.discard(),
            Fault::Revoked => State::Revoked,
            Fault::Expired => State::Expired,
            Fault::RefusedByBuyer => State::Refused,
            Fault::TakenDown => State::TakenDown,
            _ => return Ok(()),
        };
        facts.state = state;
        held.store_facts(&facts)?;
        held.store_secrets(&secrets.for_papers(&facts.transfer_id()?))
    }

    fn tell_resumed(&self) {
        if let Some(Checkpoint { stage: Kept::Stream(_, reader), .. }) = &self.checkpoint {
            self.observer.event(Event::Resumed { bytes: bytes_of(reader), files: reader.counts().files });
        }
    }

    fn tell_progress(&self) {
        let Some(flow) = &self.flow else { return };
        let gauge = &flow.pipeline.gauge;
        let current = gauge.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let files_done = gauge.files.load(Ordering::Relaxed);
        let summary = &self.offer.summary;
        self.observer.event(Event::Progress(Progress {
            bytes_done: gauge.bytes.load(Ordering::Relaxed),
            bytes_total: summary.bytes,
            files_done,
            files_total: Some(summary.files),
            wire_bytes: flow.wire_bytes(),
            moved_bytes: flow.moved_bytes(),
            current: current.map(|path| Private::new(escaped(&path))),
        }));
        self.observer.event(Event::Placed { files: files_done });
    }
}

/// Runs what blocks away from the tasks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|panicked| Error::Internal(panicked.to_string()))?
}
