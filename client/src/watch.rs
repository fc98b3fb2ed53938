//! What the relay tells the seller about a transfer, checked and kept: the claim, attempts after it, the receipt, the end.
//!
//! | file of the transfer | what |
//! |---|---|
//! | `claim.txt`, `claim.sig`, `claim.code.sig` | the claim statement, signed by the buyer's identity and by the code's key |
//! | `receipt.txt`, `receipt.sig` | the receipt statement and the buyer's signature |
//!
//! # Source
//! SPEC [S10.5] [S10.10] [S12.4] [S12.6].

use std::sync::Arc;

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, Millis};
use handover_shared::invite::Invite;
use handover_shared::keys::Secret;
use handover_shared::keys::hybrid::HybridPublic;
use handover_shared::keys::schedule::ContentKey;
use handover_shared::proof::{
    self, ClaimCheck, ProofFault, ReceiptBundle, ReceiptCheck, ReceiptText, SealText, VerifiedClaim,
    fingerprint_of_link_key,
};
use handover_shared::protocol::message::{
    ClaimRecord, Enrol, EventKind, Named, Phase, Reply, Request, Snapshot, Watch,
};
use handover_shared::protocol::seller::{Afterwards, Reached, Seller, Start};
use handover_shared::tls::ExpectedRelay;
use zeroize::Zeroizing;

use crate::embedded::EmbeddedRelay;
use crate::error::Error;
use crate::event::{Event, Observer, Progress, ReceiptFacts};
use crate::home::relays::KnownRelay;
use crate::home::transfers::{Facts, Folder, Held, Role, State};
use crate::home::{Home, write_private};
use crate::link::{Relay, unexpected};
use crate::private::Private;
use crate::push::statements::{Announced, read_text};
use crate::push::watching::{Delivery, NothingToSend, Session, Target};
use crate::stop::Stop;

/// Characters of a receipt's hash that it is called by.
const SHORT_CHARS: usize = 8;

/// What a receipt is called by: the first characters of the hash of its text.
pub fn receipt_short(text: &str) -> String {
    let mut short = proof::text_id(text).to_hex();
    short.truncate(SHORT_CHARS);
    short
}

/// Who may write to a transfer's folder while it is watched.
#[derive(Clone, Copy)]
pub enum Lock<'a> {
    /// This run holds it.
    Held(&'a Held),
    /// It is taken whenever there is something to write and nobody else holds it.
    Whenever(&'a Folder),
}

impl<'a> Lock<'a> {
    fn folder(self) -> &'a Folder {
        match self {
            Self::Held(held) => held,
            Self::Whenever(folder) => folder,
        }
    }

    /// Does something under the lock; `None` if another run has it just now.
    fn with<R>(self, act: impl FnOnce(&Held) -> Result<R, Error>) -> Result<Option<R>, Error> {
        match self {
            Self::Held(held) => act(held).map(Some),
            Self::Whenever(folder) => match folder.hold() {
                Ok(held) => act(&held).map(Some),
                Err(Error::Held { .. }) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}

/// Checks and keeps what snapshots say.
pub struct Watcher<'a> {
    lock: Lock<'a>,
    embedded: bool,
    announced: Announced,
    /// Told by the relay and not kept yet, because another run holds the lock.
    waiting: Vec<Snapshot>,
    refused_seen: u64,
    deleted: Option<Millis>,
    receipt: Option<ReceiptFacts>,
    reached: bool,
}

impl<'a> Watcher<'a> {
    /// Of one transfer.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`].
    pub fn new(lock: Lock<'a>) -> Result<Self, Error> {
        let folder = lock.folder();
        Ok(Self {
            announced: Announced::read(folder)?,
            embedded: folder.facts()?.embedded,
            lock,
            waiting: Vec::new(),
            refused_seen: 0,
            deleted: None,
            receipt: None,
            reached: false,
        })
    }

    /// Takes note that the relay's arrival was told already.
    pub fn reached_before(mut self) -> Self {
        self.reached = true;
        self
    }

    /// Tells, once, that the relay was reached.
    pub fn reached(&mut self, relay: &Relay, observer: &dyn Observer) {
        if !std::mem::replace(&mut self.reached, true) {
            let (address, fingerprint) = (relay.address().to_string(), relay.fingerprint());
            observer.event(Event::RelayReached { address, fingerprint, embedded: self.embedded });
        }
    }

    /// The receipt, once it is checked and kept.
    pub fn receipt(&self) -> Option<ReceiptFacts> {
        self.receipt.clone()
    }

    /// Takes what the relay tells.
    ///
    /// # Errors
    /// [`Error::Altered`] for a claim that does not hold, [`Error::BadReceipt`]; [`Error::Disk`], [`Error::State`].
    pub fn take(&mut self, snapshot: Snapshot, observer: &dyn Observer) -> Result<(), Error> {
        for event in &snapshot.events {
            if event.kind == EventKind::Deleted {
                self.deleted = Some(event.time);
            }
        }
        self.waiting.push(snapshot);
        self.settle(observer)
    }

    /// Keeps what could not be kept so far.
    ///
    /// # Errors
    /// As [`Watcher::take`].
    pub fn settle(&mut self, observer: &dyn Observer) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (lock, waiting) = (self.lock, std::mem::take(&mut self.waiting));
        let kept = lock.with(|held| waiting.iter().try_for_each(|snapshot| self.keep(held, snapshot, observer)))?;
        if kept.is_none() {
            self.waiting = waiting;
        }
        Ok(())
    }

    fn keep(&mut self, held: &Held, snapshot: &Snapshot, observer: &dyn Observer) -> Result<(), Error> {
        let mut facts = held.facts()?;
        let before = facts.clone();
        facts.expires_ms = snapshot.expires.0;
        let claim = match &snapshot.claim {
            Some(record) => Some(self.keep_claim(held, &mut facts, record, observer)?),
            None => None,
        };
        self.count_refused(&mut facts, snapshot, observer);
        match snapshot.phase {
            Phase::Complete if facts.state == State::Sending => {
                facts.state = State::Waiting;
                take_sealed_counts(held, &mut facts)?;
            }
            Phase::Open | Phase::Complete => {}
            Phase::Receipted => self.keep_receipt(held, &mut facts, snapshot, claim)?,
            Phase::Revoked => facts.state = State::Revoked,
            Phase::Expired => facts.state = State::Expired,
        }
        if facts != before {
            held.store_facts(&facts)?;
        }
        if matches!(facts.state, State::Revoked | State::Expired) {
            drop_secrets(held)?;
        }
        Ok(())
    }

    /// Checks the claim once more, keeps it, and forgets the code, which is spent. [S10.10]
    fn keep_claim(
        &self,
        held: &Held,
        facts: &mut Facts,
        record: &ClaimRecord,
        observer: &dyn Observer,
    ) -> Result<VerifiedClaim, Error> {
        let altered = Error::Altered { what: "claim", block: None };
        let Ok(hybrid) = HybridPublic::of_bytes(&record.hybrid_key) else { return Err(altered) };
        let check = ClaimCheck {
            transfer: self.announced.transfer,
            offer_digest: self.announced.offer_digest(),
            claim_key: self.announced.claim_key,
            link_key: record.link_key,
            hybrid: &hybrid,
            channel: None,
        };
        let claim = proof::check_claim(&check, &record.text, &record.identity_signature, &record.claim_signature);
        let claim = match claim {
            Ok(claim) => claim,
            Err(fault) => {
                tracing::warn!(%fault, "the relay shows a claim that does not hold");
                return Err(altered);
            }
        };
        let fingerprint = claim.buyer().fingerprint();
        if facts.claimed_ms.is_none() {
            write_private(&held.file("claim.txt"), record.text.as_bytes())?;
            write_private(&held.file("claim.sig"), record.identity_signature.as_bytes())?;
            write_private(&held.file("claim.code.sig"), record.claim_signature.as_bytes())?;
            facts.claimed_ms = Some(record.time.0);
            facts.peer_fingerprint = Some(fingerprint.clone());
            observer.event(Event::Claimed { buyer_fingerprint: fingerprint, time: record.time });
        } else if facts.peer_fingerprint.as_ref() != Some(&fingerprint) {
            return Err(Error::RelayMisbehaved("shows another claim than before"));
        }
        let mut secrets = held.secrets()?;
        if secrets.code.is_some() {
            secrets.code = None;
            held.store_secrets(&secrets)?;
        }
        Ok(claim)
    }

    fn count_refused(&mut self, facts: &mut Facts, snapshot: &Snapshot, observer: &dyn Observer) {
        for event in snapshot.events.iter().filter(|event| event.kind == EventKind::ClaimRefused) {
            self.refused_seen += 1;
            if self.refused_seen > facts.refused_claims {
                facts.refused_claims = self.refused_seen;
                let by = event.by.as_ref().map(fingerprint_of_link_key).unwrap_or_default();
                observer.event(Event::ClaimRefused { by, time: event.time });
            }
        }
    }

    /// Checks the receipt, keeps it, and forgets the content key. [S10.10]
    fn keep_receipt(
        &mut self,
        held: &Held,
        facts: &mut Facts,
        snapshot: &Snapshot,
        claim: Option<VerifiedClaim>,
    ) -> Result<(), Error> {
        if facts.state == State::Collected {
            facts.deleted_ms = facts.deleted_ms.or(self.deleted.map(|time| time.0));
            self.receipt = Some(kept_receipt(held, facts)?);
            return Ok(());
        }
        let sealed = snapshot.sealed_receipt.as_ref().ok_or(Error::BadReceipt("the relay does not show it"))?;
        let claim = claim.ok_or(Error::BadReceipt("nobody has claimed"))?;
        let mut secrets = held.secrets()?;
        let key = secrets.content_key.as_ref().map(|key| Secret::new(Zeroizing::new(*key)));
        let key = key.ok_or(Error::BadReceipt("the key to open it is gone"))?;
        let receipt_key = ContentKey::of_secret(key).receipt_key(&self.announced.transfer);
        let bundle = proof::open_receipt(&receipt_key, &self.announced.transfer, sealed).map_err(bad_receipt)?;
        let (offer, seal) = (read_text(held, "offer.txt")?, read_text(held, "seal.txt")?);
        let check = ReceiptCheck { offer: &offer, seal: &seal, claim: &claim };
        let verified = proof::check_receipt(&check, &bundle.text, &bundle.signature).map_err(bad_receipt)?;
        let ReceiptBundle { text, signature, buyer_name, organisation } = bundle;
        write_private(&held.file("receipt.txt"), text.as_bytes())?;
        write_private(&held.file("receipt.sig"), signature.as_bytes())?;
        facts.state = State::Collected;
        take_sealed_counts(held, facts)?;
        facts.peer_name = Some(buyer_name);
        facts.peer_organisation = organisation;
        facts.receipted_ms = Some(verified.text().received.millis().0);
        facts.deleted_ms = self.deleted.map(|time| time.0);
        held.store_facts(facts)?;
        self.receipt = Some(kept_receipt(held, facts)?);
        // Only now: the receipt is safe, and nothing else needs the key.
        secrets.content_key = None;
        secrets.code = None;
        held.store_secrets(&secrets)
    }
}

fn bad_receipt(fault: ProofFault) -> Error {
    tracing::warn!(%fault, "a receipt does not hold");
    Error::BadReceipt(match fault {
        ProofFault::Mismatch(line) => line,
        ProofFault::OtherSigner => "it is signed by another key",
        ProofFault::Sealed(_) => "it cannot be opened",
        _ => "it is malformed",
    })
}

/// What a transfer turned out to hold, as its seal says.
fn take_sealed_counts(folder: &Folder, facts: &mut Facts) -> Result<(), Error> {
    let seal = SealText::parse(&read_text(folder, "seal.txt")?).map_err(|fault| Error::State {
        what: "the kept seal is damaged",
        path: folder.file("seal.txt"),
        source: Some(fault.into()),
    })?;
    (facts.files, facts.folders, facts.links) = (seal.files, seal.folders, seal.links);
    (facts.exceptions, facts.bytes) = (seal.exceptions, Some(seal.bytes));
    Ok(())
}

/// The receipt of a collected transfer, from what was kept.
fn kept_receipt(folder: &Folder, facts: &Facts) -> Result<ReceiptFacts, Error> {
    let text = read_text(folder, "receipt.txt")?;
    let receipt = ReceiptText::parse(&text).map_err(|fault| Error::State {
        what: "the kept receipt is damaged",
        path: folder.file("receipt.txt"),
        source: Some(fault.into()),
    })?;
    Ok(ReceiptFacts {
        id: facts.id,
        short: receipt_short(&text),
        buyer_name: Private::new(facts.peer_name.clone().unwrap_or_default()),
        organisation: facts.peer_organisation.clone().map(Private::new),
        buyer_fingerprint: receipt.buyer_key.to_string(),
        received: receipt.received.millis(),
        files: receipt.files,
        bytes: receipt.bytes,
        deleted: facts.deleted_ms.map(Millis),
    })
}

/// Forgets everything secret about a transfer that is over.
fn drop_secrets(held: &Held) -> Result<(), Error> {
    let mut secrets = held.secrets()?;
    if secrets.code.is_none() && secrets.content_key.is_none() && secrets.share.is_none() {
        return Ok(());
    }
    secrets.code = None;
    secrets.content_key = None;
    secrets.share = None;
    held.store_secrets(&secrets)
}

fn seller_folder(home: &Home, id: u64) -> Result<(Folder, Facts), Error> {
    let folder = home.transfer(id)?;
    let facts = folder.facts()?;
    match facts.role {
        Role::Seller => Ok((folder, facts)),
        Role::Buyer => Err(Error::NoSuchTransfer { asked: id.to_string() }),
    }
}

/// Why a transfer that is over cannot have a receipt any more.
fn over(state: State) -> Option<Error> {
    let fault = match state {
        State::Revoked => Fault::Revoked,
        State::Expired => Fault::Expired,
        _ => return None,
    };
    Some(Error::Refused { fault, number: None, time: None })
}

/// Looks at the relay once, and keeps what it tells. A transfer that is over, or is the buyer's, is left as it is.
///
/// # Errors
/// [`Error::NoSuchTransfer`]; what reaching the relay fails with; what [`Watcher::take`] fails with.
pub async fn refresh(home: &Home, id: u64, observer: &dyn Observer) -> Result<Facts, Error> {
    let folder = home.transfer(id)?;
    let facts = folder.facts()?;
    let is_settled = facts.state == State::Collected && facts.deleted_ms.is_some();
    let is_over = matches!(facts.state, State::Revoked | State::Expired | State::Failed | State::Preparing);
    if facts.role == Role::Buyer || is_settled || is_over {
        return Ok(facts);
    }
    let target =
        Target { address: facts.relay_address()?, key: facts.relay_key()?, own: Arc::new(home.link_secret()?) };
    look(Lock::Whenever(&folder), &target, observer).await?;
    folder.facts()
}

/// Looks once, and keeps what is told.
pub(crate) async fn look(lock: Lock<'_>, target: &Target, observer: &dyn Observer) -> Result<Looked, Error> {
    let mut watcher = Watcher::new(lock)?;
    let relay = target.connect().await?;
    let snapshot = snapshot(&relay, &watcher.announced).await;
    let phase = match snapshot {
        Ok(snapshot) => {
            let phase = snapshot.phase;
            watcher.take(snapshot, observer)?;
            phase
        }
        Err(error) => {
            relay.close().await;
            return Err(error);
        }
    };
    Ok(Looked { phase, receipt: watcher.receipt(), relay })
}

/// What one look found.
pub(crate) struct Looked {
    /// How far it is.
    pub phase: Phase,
    /// The receipt, if it is there.
    pub receipt: Option<ReceiptFacts>,
    /// The connection, for use again.
    pub relay: Relay,
}

async fn snapshot(relay: &Relay, announced: &Announced) -> Result<Snapshot, Error> {
    let request = Request::Watch(Watch { transfer: announced.transfer, from_event: 0 });
    let (mut send, mut replies) = relay.open(&request).await?;
    let reply = replies.next().await?;
    replies.stop();
    if send.finish().is_err() {
        tracing::debug!("the relay closed its reading half early");
    }
    match reply {
        Some(Reply::Snapshot(snapshot)) => Ok(snapshot),
        Some(other) => Err(unexpected(other)),
        None => Err(Error::RelayMisbehaved("finished without an answer")),
    }
}

/// Waits for the receipt, through every trouble.
///
/// # Errors
/// [`Error::Refused`] with `Expired` or `Revoked` when it cannot come any more; [`Error::Interrupted`];
/// [`Error::NoSuchTransfer`]; what [`Watcher::take`] fails with.
pub async fn wait(home: &Home, id: u64, observer: Arc<dyn Observer>, stop: Stop) -> Result<ReceiptFacts, Error> {
    let (folder, facts) = seller_folder(home, id)?;
    if facts.state == State::Collected {
        return kept_receipt(&folder, &facts);
    }
    if let Some(error) = over(facts.state) {
        return Err(error);
    }
    let target =
        Target { address: facts.relay_address()?, key: facts.relay_key()?, own: Arc::new(home.link_secret()?) };
    let watcher = Watcher::new(Lock::Whenever(&folder))?;
    let start = Start {
        reached: Reached::Completed,
        acknowledged: BlockCount(0),
        journaled: BlockCount(0),
        afterwards: Afterwards::Watch,
        window: BlockCount(1),
    };
    let delivery = Delivery {
        machine: Seller::new(start, Millis(0)),
        session: Session::new(target, watcher.announced.transfer, None),
        transfer: NothingToSend,
        watcher,
        observer,
        stop,
        whole: Progress::default(),
        block_bytes: 0,
    };
    let delivered = Box::pin(delivery.run()).await?;
    delivered.receipt.ok_or(Error::RelayMisbehaved("has a receipt and does not show it"))
}

/// What a revocation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Who had claimed before, `SHA256:…`, and when.
    pub claimed: Option<(String, Millis)>,
    /// Blocks that the buyer may have.
    pub fetched_blocks: u64,
    /// Blocks that were at the relay.
    pub durable: u64,
}

/// Burns the code and has the relay delete the data.
///
/// # Errors
/// [`Error::NoSuchTransfer`]; [`Error::Refused`] if it is over already; what reaching the relay fails with.
pub async fn revoke(home: &Home, id: u64) -> Result<Revoked, Error> {
    let (folder, facts) = seller_folder(home, id)?;
    let announced = Announced::read(&folder)?;
    let own = Arc::new(home.link_secret()?);
    let mut target = Target { address: facts.relay_address()?, key: facts.relay_key()?, own };
    let mut embedded = None;
    // A relay inside a push is there only while that push runs; else it is started for this.
    if facts.embedded && folder.hold().is_ok() {
        let relay = EmbeddedRelay::start(home, Some(target.address.port)).await?;
        target.address = relay.loopback();
        embedded = Some(relay);
    }
    let relay = target.connect().await?;
    let snapshot = snapshot(&relay, &announced).await?;
    match relay.ask(&Request::Revoke(Named { transfer: announced.transfer })).await? {
        Reply::Revoked(_) => {}
        other => return Err(unexpected(other)),
    }
    relay.close().await;
    if let Some(embedded) = embedded {
        embedded.shutdown().await;
    }
    let claimed = snapshot.claim.as_ref().map(|claim| (claim_fingerprint(claim), claim.time));
    // A push that is at it learns of the end from the relay.
    let kept = Lock::Whenever(&folder).with(|held| {
        let mut facts = held.facts()?;
        facts.state = State::Revoked;
        held.store_facts(&facts)?;
        drop_secrets(held)
    })?;
    if kept.is_none() {
        tracing::debug!("another run keeps what the relay says");
    }
    Ok(Revoked { claimed, fetched_blocks: snapshot.fetched.0, durable: snapshot.durable.0 })
}

/// Who claimed, as the claim says; `?` if it says nothing.
fn claim_fingerprint(record: &ClaimRecord) -> String {
    let text = proof::ClaimText::parse(&record.text);
    text.map_or_else(|_fault| "?".into(), |text| text.buyer_key.to_string())
}

/// Enrols at a relay and puts it into the book.
///
/// # Errors
/// What reaching it fails with; [`Error::Refused`] if the invite is not accepted; [`Error::Disk`], [`Error::State`].
pub async fn add_relay(home: &Home, invite: &Invite) -> Result<KnownRelay, Error> {
    let own = home.link_secret()?;
    let relay = Relay::connect(&invite.address, ExpectedRelay::Key(invite.relay_key), &own).await?;
    enrol(&relay, invite).await?;
    relay.close().await;
    let known = KnownRelay { address: invite.address.clone(), key: invite.relay_key, added: crate::push::now() };
    home.add_relay(known.clone())?;
    Ok(known)
}

/// Enrols over a connection that stands, unless that has been done.
pub(crate) async fn enrol(relay: &Relay, invite: &Invite) -> Result<(), Error> {
    if relay.welcome().enrolled {
        return Ok(());
    }
    match relay.ask(&Request::Enrol(Enrol { secret: invite.secret.clone() })).await? {
        Reply::Enrolled(_) => Ok(()),
        other => Err(unexpected(other)),
    }
}
