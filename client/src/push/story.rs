//! A push in order: what is to be sent, to whom it is announced, delivering it, waiting where that is wanted. The same
//! words continue what was interrupted.
//!
//! # Source
//! SPEC [S14]; PRODUCT section 3, rules 1 to 4.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use handover_shared::archive::frame::Level;
use handover_shared::archive::manifest::Counts;
use handover_shared::codec;
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, LinkKey, Millis};
use handover_shared::invite::Invite;
use handover_shared::keys::Secret;
use handover_shared::keys::code::{Code, RelayAddress, Ticket};
use handover_shared::keys::schedule::ContentKey;
use handover_shared::protocol::message::{Create, Phase};
use handover_shared::protocol::seller::{Afterwards, Reached, Seller, Start};
use zeroize::Zeroizing;

use super::deliver::{Begun, Delivery, Making, Transfer};
use super::journal::{Journal, Rest};
use super::pipeline::{Done, Pipeline, Setup};
use super::plan::{PlanHead, PlanReader, PlanWriter, Top};
use super::session::{Session, Target};
use super::size::blocks_needed;
use super::statements::{Announced, Sealer, Terms, announce};
use super::{Compression, PushOptions, Pushed, RelayChoice, Source, StdinSource, now, scan};
use crate::embedded::EmbeddedRelay;
use crate::error::Error;
use crate::event::{Event, Observer, Progress, Scanned, Stage};
use crate::home::Home;
use crate::home::identity::Owner;
use crate::home::relays::KnownRelay;
use crate::home::transfers::{Facts, Folder, Held, KeptPath, Role, State};
use crate::link::Relay;
use crate::private::Private;
use crate::stop::Stop;
use crate::watch::{self, Lock, Watcher};

/// Sealed bytes that may be on their way without being durable.
const WINDOW_BYTES: u64 = 40 * 1024 * 1024;
const FACTS_VERSION: u32 = 1;

/// Pushes; standard input is this process's own.
///
/// # Errors
/// [`Error`]; whatever is not passing once the relay has accepted the transfer, and everything before that.
pub async fn push(home: &Home, options: PushOptions, observer: Arc<dyn Observer>, stop: Stop) -> Result<Pushed, Error> {
    push_from(home, options, Box::new(std::io::stdin()), observer, stop).await
}

/// Pushes, with something else in the place of standard input.
///
/// # Errors
/// As [`push`].
pub async fn push_from(
    home: &Home,
    mut options: PushOptions,
    stdin: StdinSource,
    observer: Arc<dyn Observer>,
    stop: Stop,
) -> Result<Pushed, Error> {
    let tops = scan::tops(&options.sources)?;
    let place = Place::choose(home, std::mem::take(&mut options.relay))?;
    let words = Words::of(&tops, &options);
    let run = Run { home, owner: home.identity_or_new()?, observer, stop };
    if !options.fresh
        && let Some(held) = run.find_unfinished(&words, &place, &options)?
    {
        if tops.iter().any(|top| top.source.is_none()) {
            return Err(Error::StdinNotResumable);
        }
        let wait = Wait::of(options.wait);
        match Box::pin(run.go_on(&held, wait)).await {
            // What is over cannot be gone on with; the same words begin anew then.
            Err(Error::Refused { fault: Fault::Revoked | Fault::Expired | Fault::NotFound, .. }) => {}
            other => return other,
        }
    }
    Box::pin(run.begin(tops, words, place, options, stdin)).await
}

/// Goes on with a transfer of this seller.
///
/// # Errors
/// As [`push`]; [`Error::NoSuchTransfer`]; [`Error::StdinNotResumable`] if not all of standard input was read.
pub async fn resume(home: &Home, id: u64, observer: Arc<dyn Observer>, stop: Stop) -> Result<Pushed, Error> {
    let folder = home.transfer(id)?;
    if folder.facts()?.role != Role::Seller {
        return Err(Error::NoSuchTransfer { asked: id.to_string() });
    }
    let held = folder.hold()?;
    let run = Run { home, owner: home.identity_or_new()?, observer, stop };
    Box::pin(run.go_on(&held, Wait::ForSafety)).await
}

/// Where to push to, as far as that is known before anything is asked.
enum Place {
    Known(KnownRelay),
    Invited(Invite),
    Embedded,
}

impl Place {
    fn choose(home: &Home, choice: RelayChoice) -> Result<Self, Error> {
        let book = home.relays()?;
        let known = |address: &RelayAddress| book.iter().find(|known| known.address == *address).cloned();
        match choice {
            RelayChoice::Default => Ok(book.first().cloned().map_or(Self::Embedded, Self::Known)),
            RelayChoice::Known(address) => known(&address).map(Self::Known).ok_or(Error::NoRelay),
            RelayChoice::Invite(invite) => Ok(Self::Invited(invite)),
            RelayChoice::Embedded => Ok(Self::Embedded),
        }
    }

    fn is_of(&self, facts: &Facts) -> bool {
        let is_at = |address: &RelayAddress, key: &LinkKey| {
            !facts.embedded && facts.relay == address.to_string() && facts.relay_key == key.to_hex()
        };
        match self {
            Self::Known(known) => is_at(&known.address, &known.key),
            Self::Invited(invite) => is_at(&invite.address, &invite.relay_key),
            Self::Embedded => facts.embedded,
        }
    }
}

/// What makes two pushes the same.
struct Words {
    sources: Vec<KeptPath>,
    options: String,
}

impl Words {
    fn of(tops: &[Top], options: &PushOptions) -> Self {
        let path = |path: &PathBuf| minicbor::bytes::ByteVec::from(path.as_os_str().as_bytes().to_vec());
        let names: Vec<_> = tops.iter().map(|top| minicbor::bytes::ByteVec::from(top.name.clone())).collect();
        let lists: Vec<_> = options.filters.exclude_from.iter().map(path).collect();
        let shape = (names, &options.filters.include, &options.filters.exclude, lists, options.follow);
        let source = |top: &Top| KeptPath::of(top.source.as_deref().unwrap_or("-".as_ref()));
        Self {
            sources: tops.iter().map(source).collect(),
            options: blake3::hash(&codec::encode(&shape)).to_hex().to_string(),
        }
    }
}

/// How long a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    ForSafety,
    ForReceipt,
}

impl Wait {
    fn of(wait: bool) -> Self {
        if wait { Self::ForReceipt } else { Self::ForSafety }
    }
}

/// What every part of a push needs.
struct Run<'a> {
    home: &'a Home,
    owner: Owner,
    observer: Arc<dyn Observer>,
    stop: Stop,
}

/// The relay of a run: how to reach it, and the relay itself if it is in here.
struct Reachable {
    target: Target,
    shown: RelayAddress,
    embedded: Option<EmbeddedRelay>,
}

impl Run<'_> {
    /// The newest transfer of the same words that is not over.
    fn find_unfinished(&self, words: &Words, place: &Place, options: &PushOptions) -> Result<Option<Held>, Error> {
        for folder in self.home.transfers()?.into_iter().rev() {
            let facts = folder.facts()?;
            let is_unfinished = match facts.state {
                State::Preparing | State::Sending => true,
                State::Waiting => facts.embedded || options.wait,
                _ => false,
            };
            let is_same = facts.sources == words.sources && facts.options == words.options && place.is_of(&facts);
            if facts.role == Role::Seller && is_unfinished && is_same {
                return folder.hold().map(Some);
            }
        }
        Ok(None)
    }

    /// A new transfer.
    async fn begin(
        self,
        tops: Vec<Top>,
        words: Words,
        place: Place,
        options: PushOptions,
        stdin: StdinSource,
    ) -> Result<Pushed, Error> {
        let wait = Wait::of(options.wait);
        let reachable = self.reach(&place, None).await?;
        let held = self.home.new_transfer()?;
        let prepared = self.prepare(&held, tops, words, &place, &reachable, options).await;
        let relay = match prepared {
            Ok(relay) => relay,
            Err(error) => {
                // The relay has heard nothing of it, so nothing is lost.
                held.discard()?;
                return Err(error);
            }
        };
        let outcome = self.deliver(&held, reachable, Some(relay), Some(stdin), wait).await;
        // Refused before it was accepted, it came to nothing.
        if matches!(outcome, Err(Error::Refused { .. })) && held.facts()?.state == State::Failed {
            held.discard()?;
        }
        outcome
    }

    /// Everything up to the announcement, which is durable when this returns. [S14.1] [S14.2]
    async fn prepare(
        &self,
        held: &Held,
        tops: Vec<Top>,
        words: Words,
        place: &Place,
        reachable: &Reachable,
        options: PushOptions,
    ) -> Result<Relay, Error> {
        let label = options.label.clone().unwrap_or_else(|| default_label(&options.sources, &tops));
        let (expires_ms, level) = (options.expires_ms, level_of(options.compression));
        let scanned = self.plan(held, tops, options).await?;
        self.observer.event(Event::Scanned(scanned.clone()));
        self.observer.event(Event::Stage(Stage::Connecting));
        let relay = self.stoppable(reachable.target.connect()).await?;
        let address = reachable.shown.to_string();
        let embedded = reachable.embedded.is_some();
        self.observer.event(Event::RelayReached { address, fingerprint: relay.fingerprint(), embedded });
        self.enrol(&relay, place, reachable).await?;
        let block_size = BlockSize::for_total(scanned.bytes);
        let blocks_max = blocks_needed(&scanned, block_size, relay.welcome().transfer_bytes_max)?;
        let expires = expiry(&relay, expires_ms)?;
        let terms = Terms { label: &label, scanned: &scanned, block_size, blocks_max, expires };
        let (announced, secrets) = announce(held, &self.owner, &relay, &terms)?;
        held.store_secrets(&secrets)?;
        tracing::debug!(transfer = %announced.transfer, ?block_size, ?level, "announces");
        let facts = Facts {
            version: FACTS_VERSION,
            id: held.id(),
            role: Role::Seller,
            transfer: announced.transfer.to_hex(),
            state: State::Preparing,
            created_ms: now().0,
            expires_ms: expires.0,
            relay: reachable.shown.to_string(),
            relay_key: reachable.target.key.to_hex(),
            embedded,
            label,
            files: scanned.files,
            folders: scanned.folders,
            links: scanned.links,
            bytes: scanned.bytes,
            exceptions: scanned.exceptions,
            sources: words.sources,
            options: words.options,
            destination: None,
            peer_name: None,
            peer_organisation: None,
            peer_fingerprint: None,
            claimed_ms: None,
            refused_claims: 0,
            receipted_ms: None,
            deleted_ms: None,
            failure: None,
        };
        held.store_facts(&facts)?;
        Ok(relay)
    }

    /// Walks the sources and writes the plan, on a thread that may wait for the disk. [S14.1]
    async fn plan(&self, held: &Held, tops: Vec<Top>, options: PushOptions) -> Result<Scanned, Error> {
        self.observer.event(Event::Stage(Stage::Scanning));
        let (path, observer, stop) = (held.file("plan"), self.observer.clone(), self.stop.clone());
        let work = move || {
            let level = match options.compression {
                Compression::Auto => None,
                Compression::Level(level) => Some(level),
            };
            let mut writer = PlanWriter::create(&path, &PlanHead::new(level, &tops))?;
            let mut add = |planned: &super::Planned| writer.add(planned);
            let scanned = scan::walk(&tops, &options.filters, options.links(), &*observer, &stop, &mut add)?;
            writer.finish()?;
            Ok(scanned)
        };
        blocking(work).await
    }

    async fn enrol(&self, relay: &Relay, place: &Place, reachable: &Reachable) -> Result<(), Error> {
        let invite = match (place, &reachable.embedded) {
            (Place::Invited(invite), _) => Some(invite),
            (_, Some(embedded)) => Some(embedded.invite()),
            _ => None,
        };
        match invite {
            Some(invite) => watch::enrol(relay, invite).await?,
            None if relay.welcome().enrolled => {}
            None => return Err(Error::Refused { fault: Fault::NotEnrolled, number: None, time: None }),
        }
        if let Place::Invited(invite) = place {
            let is_known =
                self.home.relays()?.iter().any(|it| it.address == invite.address && it.key == invite.relay_key);
            if !is_known {
                let known = KnownRelay { address: invite.address.clone(), key: invite.relay_key, added: now() };
                self.home.add_relay(known)?;
            }
        }
        Ok(())
    }

    /// Goes on with a transfer, or finds that it is over.
    async fn go_on(&self, held: &Held, wait: Wait) -> Result<Pushed, Error> {
        let facts = held.facts()?;
        let place = match facts.embedded {
            true => Place::Embedded,
            false => {
                Place::Known(KnownRelay { address: facts.relay_address()?, key: facts.relay_key()?, added: Millis(0) })
            }
        };
        let reachable = self.reach(&place, Some(&facts)).await?;
        let shown = reachable.shown.to_string();
        if facts.relay != shown {
            held.store_facts(&Facts { relay: shown, ..facts.clone() })?;
        }
        if facts.state == State::Preparing {
            return self.deliver(held, reachable, None, None, wait).await;
        }
        self.observer.event(Event::Stage(Stage::Connecting));
        let looked = watch::look(Lock::Held(held), &reachable.target, &*self.observer);
        let relay = match self.stoppable(looked).await {
            Ok(looked) if looked.phase == Phase::Receipted => {
                let receipt = looked.receipt.ok_or(Error::BadReceipt("the relay does not show it"))?;
                self.observer.event(Event::Receipt(receipt.clone()));
                let facts = held.facts()?;
                end(reachable).await;
                return Ok(pushed(&facts, wire_bytes(held)?, Some(receipt)));
            }
            Ok(looked) if looked.phase.is_final() => {
                let fault = if looked.phase == Phase::Revoked { Fault::Revoked } else { Fault::Expired };
                end(reachable).await;
                return Err(Error::Refused { fault, number: None, time: None });
            }
            Ok(looked) => {
                if looked.phase == Phase::Complete {
                    self.tell_safe(held)?;
                }
                Some(looked.relay)
            }
            // It is tried for as long as the transfer is valid.
            Err(error) if error.is_passing() => None,
            Err(error) => {
                if let Error::Refused { fault: Fault::NotFound, .. } = error {
                    held.store_facts(&Facts { state: State::Failed, ..held.facts()? })?;
                }
                end(reachable).await;
                return Err(error);
            }
        };
        self.tell_code(held, &reachable)?;
        self.deliver(held, reachable, relay, None, wait).await
    }

    /// Prints the code again while nobody has spent it. [S14.3]
    fn tell_code(&self, held: &Held, reachable: &Reachable) -> Result<(), Error> {
        let facts = held.facts()?;
        if let Some(code) = held.secrets()?.code {
            let code = Code::of_secret(Secret::new(Zeroizing::new(code)));
            let ticket = Ticket { code, relay: Some(reachable.shown.clone()) };
            let (id, expires) = (held.id(), Millis(facts.expires_ms));
            self.observer.event(Event::CodeReady { id, ticket, expires, continued: true, spent: false });
        }
        Ok(())
    }

    /// Everything was safe already.
    fn tell_safe(&self, held: &Held) -> Result<(), Error> {
        let bytes = held.facts()?.bytes.unwrap_or(0);
        self.observer.event(Event::Safe { id: held.id(), bytes, wire_bytes: wire_bytes(held)? });
        Ok(())
    }

    /// Delivers, and waits for the receipt where that is wanted.
    async fn deliver(
        &self,
        held: &Held,
        reachable: Reachable,
        relay: Option<Relay>,
        stdin: Option<StdinSource>,
        wait: Wait,
    ) -> Result<Pushed, Error> {
        let facts = held.facts()?;
        let announced = Announced::read(held)?;
        let journal = Journal::open(held.file("marks"), held.file("records"))?;
        let block_bytes = announced.block_size.sealed_bytes() as u64;
        // A relay inside this process has to stay until the buyer has everything.
        let waits = wait == Wait::ForReceipt || reachable.embedded.is_some();
        let start = Start {
            reached: match facts.state {
                State::Preparing => Reached::Nothing,
                State::Waiting => Reached::Completed,
                _ => Reached::Created,
            },
            acknowledged: journal.acknowledged(),
            journaled: journal.made(),
            afterwards: if waits { Afterwards::Watch } else { Afterwards::Leave },
            window: BlockCount((WINDOW_BYTES / block_bytes).max(1)),
        };
        let watcher = Watcher::new(Lock::Held(held))?;
        let watcher = if relay.is_some() { watcher.reached_before() } else { watcher };
        let delivery = Delivery {
            machine: Seller::new(start, Millis(0)),
            session: Session::new(reachable.target.clone(), announced.transfer, relay),
            transfer: Sending {
                held,
                owner: &self.owner,
                announced,
                shown: reachable.shown.clone(),
                observer: self.observer.clone(),
                stdin,
            },
            watcher,
            observer: self.observer.clone(),
            stop: self.stop.clone(),
            whole: Progress { bytes_total: facts.bytes, files_total: Some(facts.files), ..Progress::default() },
            block_bytes,
        };
        let outcome = Box::pin(delivery.run()).await;
        self.conclude(held, reachable, outcome.map(|delivered| delivered.receipt)).await
    }

    async fn conclude(
        &self,
        held: &Held,
        reachable: Reachable,
        outcome: Result<Option<crate::event::ReceiptFacts>, Error>,
    ) -> Result<Pushed, Error> {
        let facts = held.facts()?;
        let receipt = match outcome {
            Ok(receipt) => receipt,
            Err(error) => {
                end(reachable).await;
                if let Error::Refused { fault, .. } = &error {
                    self.note_refusal(held, facts, *fault)?;
                }
                return Err(error);
            }
        };
        // The relay may have said that it is over before anything was watched.
        let receipt = match receipt {
            None if facts.state == State::Sending => {
                let looked = watch::look(Lock::Held(held), &reachable.target, &*self.observer).await?;
                looked.receipt
            }
            other => other,
        };
        end(reachable).await;
        Ok(pushed(&held.facts()?, wire_bytes(held)?, receipt))
    }

    /// Keeps why it cannot go on.
    fn note_refusal(&self, held: &Held, facts: Facts, fault: Fault) -> Result<(), Error> {
        let state = match fault {
            Fault::Revoked => State::Revoked,
            Fault::Expired => State::Expired,
            // The relay has never taken it and never will: nothing is left to go on with.
            _ if facts.state == State::Preparing => State::Failed,
            _ => return Ok(()),
        };
        held.store_facts(&Facts { state, ..facts })
    }

    /// Where the relay is, and the relay itself if it is in here.
    async fn reach(&self, place: &Place, before: Option<&Facts>) -> Result<Reachable, Error> {
        let own = Arc::new(self.home.link_secret()?);
        let elsewhere = |address: &RelayAddress, key: LinkKey| Reachable {
            target: Target { address: address.clone(), key, own: own.clone() },
            shown: address.clone(),
            embedded: None,
        };
        match place {
            Place::Known(known) => Ok(elsewhere(&known.address, known.key)),
            Place::Invited(invite) => Ok(elsewhere(&invite.address, invite.relay_key)),
            Place::Embedded => {
                let port = before.map(Facts::relay_address).transpose()?.map(|address| address.port);
                let embedded = EmbeddedRelay::start(self.home, port).await?;
                let target = Target { address: embedded.loopback(), key: embedded.key(), own };
                Ok(Reachable { target, shown: embedded.address().clone(), embedded: Some(embedded) })
            }
        }
    }

    async fn stoppable<R>(&self, work: impl Future<Output = Result<R, Error>>) -> Result<R, Error> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stop.asked() => Err(Error::Interrupted),
            outcome = work => outcome,
        }
    }
}

/// The transfer that is being delivered, and its folder.
struct Sending<'a> {
    held: &'a Held,
    owner: &'a Owner,
    announced: Announced,
    shown: RelayAddress,
    observer: Arc<dyn Observer>,
    stdin: Option<Box<dyn Read + Send>>,
}

impl Transfer for Sending<'_> {
    fn create(&self) -> Result<Create, Error> {
        let share = self.held.secrets()?.share;
        let share = share.ok_or_else(|| damaged(self.held, "secrets"))?;
        Ok(self.announced.create(Zeroizing::new(share)))
    }

    fn accepted(&mut self, expires: Millis) -> Result<(), Error> {
        let facts = Facts { state: State::Sending, expires_ms: expires.0, ..self.held.facts()? };
        self.held.store_facts(&facts)?;
        // The relay has its share; nobody else needs it.
        let mut secrets = self.held.secrets()?;
        secrets.share = None;
        self.held.store_secrets(&secrets)?;
        let code = secrets.code.ok_or_else(|| damaged(self.held, "secrets"))?;
        let code = Code::of_secret(Secret::new(Zeroizing::new(code)));
        let ticket = Ticket { code, relay: Some(self.shown.clone()) };
        let id = self.held.id();
        self.observer.event(Event::CodeReady { id, ticket, expires, continued: false, spent: false }); // [S14.3]
        Ok(())
    }

    async fn begin(&mut self, at: BlockIndex) -> Result<Begun, Error> {
        let key = self.held.secrets()?.content_key.ok_or_else(|| damaged(self.held, "secrets"))?;
        let key = ContentKey::of_secret(Secret::new(Zeroizing::new(key)));
        let (marks, records, plan) = (self.held.file("marks"), self.held.file("records"), self.held.file("plan"));
        let transfer = self.announced.transfer;
        let sealer = Sealer::new(self.held, transfer, &self.owner.identity)?;
        let (stdin, observer) = (self.stdin.take(), self.observer.clone());
        let block_size = self.announced.block_size;
        blocking(move || {
            let journal = Journal::open(marks, records)?;
            let total = journal.total();
            let (resumption, journal) = journal.resume(BlockCount(at.0))?;
            let counts = resumption.point.as_ref().map(|(_, point)| point.state.counts()).unwrap_or_default();
            let bytes = resumption.point.as_ref().map_or(0, |(_, point)| point.bytes());
            let done = Done { bytes, files: counts.files };
            if let (Rest::Nothing, Some(total)) = (resumption.rest, total) {
                return Ok(Begun { done, rest: Making::Nothing(total, counts) });
            }
            let head = PlanReader::open(&plan)?.head().clone();
            let has_read_all = resumption.point.as_ref().is_some_and(|(_, point)| point.state.is_listing());
            if head.has_stdin() && stdin.is_none() && !has_read_all {
                return Err(Error::StdinNotResumable);
            }
            let level = head.level.map_or(Some(Level::DEFAULT), Level::zstd).unwrap_or(Level::DEFAULT);
            let pipeline = Pipeline::start(Setup {
                plan,
                resumption,
                journal,
                transfer,
                block_size,
                block_key: key.block_key(&transfer),
                manifest_key: key.manifest_key(&transfer),
                level,
                sealer,
                stdin,
                observer,
            })?;
            Ok(Begun { done, rest: Making::Pipeline(pipeline) })
        })
        .await
    }

    fn safe(&mut self, blocks: BlockCount, counts: Counts) -> Result<(), Error> {
        let facts = Facts {
            state: State::Waiting,
            files: counts.files,
            folders: counts.folders,
            links: counts.links,
            bytes: Some(counts.bytes),
            exceptions: counts.exceptions,
            ..self.held.facts()?
        };
        self.held.store_facts(&facts)?;
        let wire_bytes = blocks.0.saturating_mul(self.announced.block_size.sealed_bytes() as u64);
        self.observer.event(Event::Safe { id: self.held.id(), bytes: counts.bytes, wire_bytes });
        Ok(())
    }
}

/// Does work that waits for the disk on a thread that may.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> Result<R, Error> + Send + 'static) -> Result<R, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Error::Internal(error.to_string())),
    }
}

async fn end(reachable: Reachable) {
    if let Some(embedded) = reachable.embedded {
        embedded.shutdown().await;
    }
}

/// Sealed bytes of the whole transfer, once all of it is made.
fn wire_bytes(folder: &Folder) -> Result<u64, Error> {
    let journal = Journal::open(folder.file("marks"), folder.file("records"))?;
    let block_bytes = Announced::read(folder)?.block_size.sealed_bytes() as u64;
    Ok(journal.total().map_or(0, |total| total.0.saturating_mul(block_bytes)))
}

fn pushed(facts: &Facts, wire_bytes: u64, receipt: Option<crate::event::ReceiptFacts>) -> Pushed {
    Pushed {
        id: facts.id,
        exceptions: facts.exceptions,
        bytes: facts.bytes.unwrap_or(0),
        files: facts.files,
        wire_bytes,
        receipt,
    }
}

fn damaged(held: &Held, file: &str) -> Error {
    Error::State { what: "a transfer's secrets are gone", path: held.file(file), source: None }
}

fn level_of(compression: Compression) -> Option<i32> {
    match compression {
        Compression::Auto => None,
        Compression::Level(level) => Some(level),
    }
}

/// The name of the first path.
fn default_label(sources: &[Source], tops: &[Top]) -> String {
    let first = match sources.first() {
        Some(Source::Stdin { name }) => Some(name.clone().into_bytes()),
        Some(Source::Path(path)) => {
            scan::tops(&[Source::Path(path.clone())]).ok().and_then(|tops| tops.into_iter().next().map(|top| top.name))
        }
        None => None,
    };
    let name = first.or_else(|| tops.first().map(|top| top.name.clone())).unwrap_or_default();
    Private::new(String::from_utf8_lossy(&name).into_owned()).into_inner()
}

/// When it ends, by the relay's clock, within what the relay allows.
fn expiry(relay: &Relay, wanted_ms: Option<u64>) -> Result<Millis, Error> {
    let welcome = relay.welcome();
    let ms = wanted_ms.unwrap_or(welcome.expiry_ms_default);
    if ms > welcome.expiry_ms_max {
        return Err(Error::Refused { fault: Fault::QuotaExceeded, number: Some(welcome.expiry_ms_max), time: None });
    }
    Ok(welcome.time.plus(ms))
}
