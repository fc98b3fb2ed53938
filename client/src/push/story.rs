//! A push in order: what is to be sent, to whom it is announced, delivering it, waiting where that is wanted. The same
//! words continue what was interrupted.
//!
//! # Source
//! SPEC \[S14\]; PRODUCT section 3, rules 1 to 4.

use std::sync::Arc;

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockSize, Millis};
use handover_shared::keys::Secret;
use handover_shared::keys::code::{Code, Ticket};
use handover_shared::protocol::message::{Phase, Welcome};
use handover_shared::protocol::seller::{Afterwards, Reached, Seller, Start};
use zeroize::Zeroizing;

use super::deliver::Delivery;
use super::journal::Journal;
use super::plan::{PlanHead, PlanWriter, Top};
use super::reach::Reachable;
use super::sending::{Sending, blocking};
use super::session::Session;
use super::size::blocks_needed;
use super::statements::{Announced, Terms, announce};
use super::words::{Place, Words};
use super::{Compression, PushOptions, Pushed, Source, StdinSource, now, scan};
use crate::agreement::Document;
use crate::audit;
use crate::bandwidth::Bandwidth;
use crate::error::Error;
use crate::event::{Event, Observer, Progress, ReceiptFacts, Scanned, Stage};
use crate::home::Home;
use crate::home::identity::Owner;
use crate::home::relays::KnownRelay;
use crate::home::transfers::{Facts, Folder, Held, Role, State};
use crate::link::Relay;
use crate::private::Private;
use crate::stop::Stop;
use crate::watch::{self, Lock, Watcher, expect_buyer};

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
    let document = options.agreement.take().map(|path| Document::read(&path)).transpose()?;
    let words = Words::of(&tops, &options, document.as_ref());
    let run = Run { home, owner: home.identity_or_new()?, bandwidth: options.bandwidth.clone(), observer, stop };
    if !options.fresh
        && let Some(held) = run.find_unfinished(&words, &place, &options)?
    {
        if tops.iter().any(|top| top.source.is_none()) {
            return Err(Error::StdinNotResumable);
        }
        if let Some(expected) = &options.expect_buyer {
            expect_buyer(&held, expected)?;
        }
        if let Place::Invited(invite) = &place {
            held.move_relay(&invite.address)?;
        }
        match Box::pin(run.go_on(&held, Wait::of(options.wait))).await? {
            Gone::On(pushed) => return Ok(pushed),
            // What is over cannot be gone on with; the same words begin anew then.
            Gone::Over(fault) => tracing::debug!(%fault, "begins anew"),
        }
    }
    Box::pin(run.begin(tops, (words, document), place, options, stdin)).await
}

/// Goes on with a transfer of this seller.
///
/// # Errors
/// As [`push`]; [`Error::NoSuchTransfer`]; [`Error::StdinNotResumable`] if not all of standard input was read.
pub async fn resume(
    home: &Home,
    id: u64,
    bandwidth: Arc<Bandwidth>,
    observer: Arc<dyn Observer>,
    stop: Stop,
) -> Result<Pushed, Error> {
    let folder = home.transfer(id)?;
    if folder.facts()?.role != Role::Seller {
        return Err(Error::NoSuchTransfer { asked: id.to_string() });
    }
    let held = folder.hold()?;
    let run = Run { home, owner: home.identity_or_new()?, bandwidth, observer, stop };
    match Box::pin(run.go_on(&held, Wait::ForSafety)).await? {
        Gone::On(pushed) => Ok(pushed),
        Gone::Over(fault) => Err(Error::Refused { fault, number: None, time: None }),
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

/// What came of going on with a transfer.
enum Gone {
    /// It went on to its end.
    On(Pushed),
    /// It was over already, and nothing was said of it yet.
    Over(Fault),
}

/// What every part of a push needs.
struct Run<'a> {
    home: &'a Home,
    owner: Owner,
    bandwidth: Arc<Bandwidth>,
    observer: Arc<dyn Observer>,
    stop: Stop,
}

/// What a look at a transfer found.
enum Looked {
    /// It goes on; over this connection, if the relay was reached.
    Live(Option<Relay>),
    Receipted(ReceiptFacts),
    Over(Fault),
}

impl Run<'_> {
    /// The newest transfer of the same words that is not over.
    fn find_unfinished(&self, words: &Words, place: &Place, options: &PushOptions) -> Result<Option<Held>, Error> {
        for folder in self.home.transfers()?.into_iter().rev() {
            let facts = folder.facts()?;
            let is_unfinished = match facts.state {
                State::Preparing | State::Sending => true,
                State::Waiting => facts.embedded || options.wait || !folder.is_told(),
                // A run may die between the end and saying so.
                State::Collected => !folder.is_told(),
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
        (words, document): (Words, Option<Document>),
        place: Place,
        options: PushOptions,
        stdin: StdinSource,
    ) -> Result<Pushed, Error> {
        let wait = Wait::of(options.wait);
        let reachable = Reachable::open(self.home, &place, None).await?;
        self.home.sweep_transfers()?;
        let held = self.home.new_transfer()?;
        if let Some(expected) = &options.expect_buyer {
            expect_buyer(&held, expected)?;
        }
        let prepared = self.prepare(&held, tops, (words, document), &place, &reachable, options).await;
        let relay = match prepared {
            Ok(relay) => relay,
            Err(error) => {
                // The relay has heard nothing of it, so nothing is lost.
                reachable.close().await;
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
        (words, document): (Words, Option<Document>),
        place: &Place,
        reachable: &Reachable,
        options: PushOptions,
    ) -> Result<Relay, Error> {
        let label = options.label.clone().map_or_else(|| default_label(&options.sources), Ok)?;
        let expires_ms = options.expires_ms;
        let scanned = self.plan(held, tops, options).await?;
        self.observer.event(Event::Scanned(scanned.clone()));
        if let Some(document) = &document {
            let (name, bytes) = (Private::new(document.name.clone()), document.bytes.len() as u64);
            self.observer.event(Event::Document { name, bytes, digest: document.digest().to_hex() });
        }
        self.observer.event(Event::Stage(Stage::Connecting));
        let relay = self.stoppable(reachable.target.connect()).await?;
        self.stoppable(async { relay.welcome().await.map(drop) }).await?;
        let address = reachable.shown.to_string();
        let embedded = reachable.embedded.is_some();
        self.observer.event(Event::RelayReached {
            address,
            fingerprint: relay.fingerprint(),
            embedded,
            transport: relay.transport(),
        });
        self.enrol(&relay, place, reachable).await?;
        let block_size = BlockSize::for_total(scanned.bytes);
        let welcome = relay.welcome().await?;
        let blocks_max = blocks_needed(&scanned, block_size, welcome.transfer_bytes_max)?;
        let (created, expires) = (welcome.time, expiry(welcome, expires_ms)?);
        let document = document.as_ref();
        let terms = Terms { label: &label, scanned: &scanned, block_size, blocks_max, created, expires, document };
        let (announced, secrets) = announce(held, &self.owner, &relay, &terms)?;
        held.store_secrets(&secrets)?;
        tracing::debug!(transfer = %announced.transfer, ?block_size, "announces");
        held.store_facts(&first_facts(held, reachable, &announced, &terms, words))?;
        Ok(relay)
    }

    /// Walks the sources and writes the plan, on a thread that may wait for the disk. [S14.1]
    async fn plan(&self, held: &Held, tops: Vec<Top>, options: PushOptions) -> Result<Scanned, Error> {
        self.observer.event(Event::Stage(Stage::Scanning));
        let (path, observer, stop) = (held.file("plan"), self.observer.clone(), self.stop.clone());
        let work = move || {
            let head = PlanHead::new(level_of(options.compression), &tops);
            let mut writer = PlanWriter::create(&path, &head)?;
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
            None if relay.welcome().await?.enrolled => {}
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
    async fn go_on(&self, held: &Held, wait: Wait) -> Result<Gone, Error> {
        let facts = held.facts()?;
        if facts.state == State::Collected {
            let receipt = watch::kept_receipt(held, &facts)?;
            return Ok(Gone::On(pushed(&facts, wire_bytes(held)?, Some(receipt))));
        }
        let place = match facts.embedded {
            true => Place::Embedded,
            false => Place::Known(KnownRelay {
                address: facts.relay_address()?,
                key: facts.relay_key()?,
                added: Millis(facts.created_ms),
            }),
        };
        let reachable = Reachable::open(self.home, &place, Some(&facts)).await?;
        let shown = reachable.shown.to_string();
        if facts.relay != shown {
            held.store_facts(&Facts { relay: shown, ..facts.clone() })?;
        }
        let relay = match facts.state {
            State::Preparing => None,
            _ => match self.look(held, &reachable).await {
                Ok(Looked::Live(relay)) => relay,
                Ok(Looked::Receipted(receipt)) => {
                    reachable.close().await;
                    return Ok(Gone::On(pushed(&held.facts()?, wire_bytes(held)?, Some(receipt))));
                }
                Ok(Looked::Over(fault)) => {
                    reachable.close().await;
                    return Ok(Gone::Over(fault));
                }
                Err(error) => {
                    reachable.close().await;
                    return Err(error);
                }
            },
        };
        self.deliver(held, reachable, relay, None, wait).await.map(Gone::On)
    }

    /// Looks how a transfer is before anything is said of it, and prints its code again. [S14.3]
    async fn look(&self, held: &Held, reachable: &Reachable) -> Result<Looked, Error> {
        self.observer.event(Event::Stage(Stage::Connecting));
        let looked = watch::look(Lock::Held(held), &reachable.target, &*self.observer);
        let relay = match self.stoppable(looked).await {
            Ok(looked) => match looked.phase {
                Phase::Receipted => {
                    let receipt = looked.receipt.ok_or(Error::BadReceipt("the relay does not show it"))?;
                    self.observer.event(Event::Receipt(receipt.clone()));
                    return Ok(Looked::Receipted(receipt));
                }
                Phase::Revoked => return Ok(Looked::Over(Fault::Revoked)),
                Phase::Expired => return Ok(Looked::Over(Fault::Expired)),
                Phase::Refused => return Ok(Looked::Over(Fault::RefusedByBuyer)),
                Phase::TakenDown => return Ok(Looked::Over(Fault::TakenDown)),
                Phase::Complete => {
                    self.tell_safe(held)?;
                    Some(looked.relay)
                }
                Phase::Open => Some(looked.relay),
            },
            // It is tried for as long as the transfer is valid.
            Err(error) if error.is_passing() => None,
            Err(Error::Refused { fault: Fault::NotFound, .. }) => {
                held.store_facts(&Facts { state: State::Failed, ..held.facts()? })?;
                return Ok(Looked::Over(Fault::NotFound));
            }
            Err(error) => return Err(error),
        };
        self.tell_code(held, reachable)?;
        Ok(Looked::Live(relay))
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
        let watcher = match &relay {
            Some(relay) => watcher.reached_before(relay.transport()),
            None => watcher,
        };
        let delivery = Delivery {
            machine: Seller::new(start, Millis(0)),
            session: Session::new(reachable.target.clone(), announced.transfer, relay).limited(self.bandwidth.clone()),
            transfer: Sending {
                held,
                owner: &self.owner,
                announced,
                shown: reachable.shown.clone(),
                observer: self.observer.clone(),
                continued: stdin.is_none(),
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
        outcome: Result<Option<ReceiptFacts>, Error>,
    ) -> Result<Pushed, Error> {
        let facts = held.facts()?;
        let receipt = match outcome {
            Ok(receipt) => receipt,
            Err(error) => {
                let logged = match watch::has_ended(&error) {
                    true => audit::settle(self.home, Lock::Held(held), &reachable.target, &*self.observer).await,
                    false => Ok(()),
                };
                reachable.close().await;
                logged?;
                if let Error::Refused { fault, .. } = &error {
                    self.note_refusal(held, facts, *fault)?;
                }
                return Err(error);
            }
        };
        // The relay may have said that it is over before anything was watched.
        let receipt = match receipt {
            None if matches!(facts.state, State::Preparing | State::Sending) => {
                let looked = watch::look(Lock::Held(held), &reachable.target, &*self.observer).await?;
                Some(looked.receipt.ok_or(Error::RelayMisbehaved("has a receipt and does not show it"))?)
            }
            other => other,
        };
        let logged = match &receipt {
            Some(_) => audit::settle(self.home, Lock::Held(held), &reachable.target, &*self.observer).await,
            None => Ok(()),
        };
        reachable.close().await;
        logged?;
        Ok(pushed(&held.facts()?, wire_bytes(held)?, receipt))
    }

    /// Keeps why it cannot go on.
    fn note_refusal(&self, held: &Held, facts: Facts, fault: Fault) -> Result<(), Error> {
        let state = match fault {
            Fault::Revoked => State::Revoked,
            Fault::Expired => State::Expired,
            Fault::RefusedByBuyer => State::Refused,
            Fault::TakenDown => State::TakenDown,
            // The relay has never taken it and never will: nothing is left to go on with.
            _ if facts.state == State::Preparing => State::Failed,
            _ => return Ok(()),
        };
        held.store_facts(&Facts { state, ..facts })
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

/// What a person may ask about a transfer that the relay has not heard of yet.
fn first_facts(held: &Held, reachable: &Reachable, announced: &Announced, terms: &Terms<'_>, words: Words) -> Facts {
    let scanned = terms.scanned;
    Facts {
        version: FACTS_VERSION,
        id: held.id(),
        role: Role::Seller,
        transfer: announced.transfer.to_hex(),
        state: State::Preparing,
        created_ms: now().0,
        expires_ms: terms.expires.0,
        relay: reachable.shown.to_string(),
        relay_key: reachable.target.key.to_hex(),
        embedded: reachable.embedded.is_some(),
        label: terms.label.into(),
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
    }
}

/// Sealed bytes of the whole transfer, once all of it is made.
fn wire_bytes(folder: &Folder) -> Result<u64, Error> {
    let journal = Journal::open(folder.file("marks"), folder.file("records"))?;
    let block_bytes = Announced::read(folder)?.block_size.sealed_bytes() as u64;
    Ok(journal.total().map_or(0, |total| total.0.saturating_mul(block_bytes)))
}

fn pushed(facts: &Facts, wire_bytes: u64, receipt: Option<ReceiptFacts>) -> Pushed {
    Pushed {
        id: facts.id,
        exceptions: facts.exceptions,
        bytes: facts.bytes.unwrap_or(0),
        files: facts.files,
        wire_bytes,
        receipt,
    }
}

fn level_of(compression: Compression) -> Option<i32> {
    match compression {
        Compression::Auto => None,
        Compression::Level(level) => Some(level),
    }
}

/// The name of what was asked for first.
fn default_label(sources: &[Source]) -> Result<String, Error> {
    let first = scan::tops(sources.get(..1).unwrap_or_default())?;
    Ok(first.first().map(|top| String::from_utf8_lossy(&top.name).into_owned()).unwrap_or_default())
}

/// When it ends, by the relay's clock, within what the relay allows.
fn expiry(welcome: &Welcome, wanted_ms: Option<u64>) -> Result<Millis, Error> {
    let ms = wanted_ms.unwrap_or(welcome.expiry_ms_default);
    if ms > welcome.expiry_ms_max {
        let latest = welcome.time.plus(welcome.expiry_ms_max);
        return Err(Error::Refused { fault: Fault::QuotaExceeded, number: None, time: Some(latest) });
    }
    Ok(welcome.time.plus(ms))
}
