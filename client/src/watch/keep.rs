//! Checking and keeping what the relay tells: a claim, attempts after it, a receipt, an end.
//!
//! # Source
//! SPEC [S10.10] [S12.6].

use handover_shared::ids::{Millis, TransferId};
use handover_shared::keys::Secret;
use handover_shared::keys::code::Code;
use handover_shared::keys::hybrid::HybridPublic;
use handover_shared::keys::schedule::{CodeKeys, ContentKey};
use handover_shared::limits;
use handover_shared::proof::{
    self, Agreement, AgreementCheck, ClaimCheck, ProofFault, ReceiptBundle, ReceiptCheck, ReceiptText,
    RefusalTextCheck, SealText, VerifiedClaim, fingerprint_of_link_key,
};
use handover_shared::protocol::message::{self, ClaimRecord, EventKind, Phase, Snapshot};
use zeroize::Zeroizing;

use crate::agreement;
use crate::audit;
use crate::error::Error;
use crate::event::{Event, Observer, ReceiptFacts};
use crate::home::told::{self, Told};
use crate::home::transfers::{Facts, Folder, Held, State};
use crate::home::{read_private, write_private};
use crate::link::Relay;
use crate::link::network::Transport;
use crate::private::Private;
use crate::pull;
use crate::pull::kept::{self, Kept};
use crate::push::statements::{Announced, read_text};

/// Characters of a receipt's hash that it is called by.
const SHORT_CHARS: usize = 8;
const EXPECTED_BUYER: &str = "expected-buyer";

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
    pub(crate) fn folder(self) -> &'a Folder {
        match self {
            Self::Held(held) => held,
            Self::Whenever(folder) => folder,
        }
    }

    /// Does something under the lock; `None` if another run has it just now.
    pub(crate) fn with<R>(self, act: impl FnOnce(&Held) -> Result<R, Error>) -> Result<Option<R>, Error> {
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
    pub(super) announced: Announced,
    /// Told by the relay and not kept yet, because another run holds the lock.
    waiting: Option<Snapshot>,
    refused_seen: u64,
    deleted: Option<Millis>,
    receipt: Option<ReceiptFacts>,
    /// What the relay was last told to be reached over.
    reached: Option<Transport>,
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
            waiting: None,
            refused_seen: 0,
            deleted: None,
            receipt: None,
            reached: None,
        })
    }

    /// Takes note that the relay's arrival was told already.
    pub fn reached_before(mut self, transport: Transport) -> Self {
        self.reached = Some(transport);
        self
    }

    /// Tells that the relay was reached, unless it was over this transport before.
    pub fn reached(&mut self, relay: &Relay, observer: &dyn Observer) {
        let transport = relay.transport();
        if self.reached.replace(transport) != Some(transport) {
            let (address, fingerprint) = (relay.address().to_string(), relay.fingerprint());
            observer.event(Event::RelayReached { address, fingerprint, embedded: self.embedded, transport });
        }
    }

    /// The receipt, once it is checked and kept.
    pub fn receipt(&self) -> Option<ReceiptFacts> {
        self.receipt.clone()
    }

    /// Takes what the relay tells.
    ///
    /// # Errors
    /// [`Error::BadClaim`], [`Error::BadReceipt`]; [`Error::Disk`], [`Error::State`].
    pub fn take(&mut self, snapshot: Snapshot, observer: &dyn Observer) -> Result<(), Error> {
        for event in &snapshot.events {
            if event.kind == EventKind::Deleted {
                self.deleted = Some(event.time);
            }
        }
        self.waiting = Some(match self.waiting.take() {
            Some(earlier) => joined(earlier, snapshot)?,
            None => snapshot,
        });
        self.settle(observer)
    }

    /// Keeps what could not be kept so far.
    ///
    /// # Errors
    /// As [`Watcher::take`].
    pub fn settle(&mut self, observer: &dyn Observer) -> Result<(), Error> {
        let (lock, Some(waiting)) = (self.lock, self.waiting.take()) else { return Ok(()) };
        let kept = lock.with(|held| self.keep(held, &waiting, observer))?;
        if kept.is_none() {
            self.waiting = Some(waiting);
        }
        Ok(())
    }

    fn keep(&mut self, held: &Held, snapshot: &Snapshot, observer: &dyn Observer) -> Result<(), Error> {
        told::add(held, snapshot.events.iter().map(told_of))?;
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
            Phase::Refused => self.keep_refusal(held, &mut facts, snapshot, observer)?,
            Phase::TakenDown => facts.state = State::TakenDown,
        }
        if facts != before {
            held.store_facts(&facts)?;
        }
        if matches!(facts.state, State::Revoked | State::Expired | State::Refused | State::TakenDown) {
            drop_secrets(held, &self.announced.transfer)?;
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
        let Ok(hybrid) = HybridPublic::of_bytes(&record.hybrid_key) else { return Err(Error::BadClaim) };
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
                return Err(Error::BadClaim);
            }
        };
        let fingerprint = claim.buyer().fingerprint();
        let expected = expected_buyer(held)?.filter(|expected| *expected != fingerprint);
        if facts.claimed_ms.is_none() {
            self.keep_agreement(held, &claim, record, observer)?;
            write_private(&held.file("claim.txt"), record.text.as_bytes())?;
            write_private(&held.file("claim.sig"), record.identity_signature.as_bytes())?;
            write_private(&held.file("claim.code.sig"), record.claim_signature.as_bytes())?;
            facts.claimed_ms = Some(record.time.0);
            facts.peer_fingerprint = Some(fingerprint.clone());
            observer.event(Event::Claimed { buyer_fingerprint: fingerprint.clone(), time: record.time });
        } else if facts.peer_fingerprint.as_ref() != Some(&fingerprint) {
            return Err(Error::RelayMisbehaved("shows another claim than before"));
        }
        let mut secrets = held.secrets()?;
        if secrets.code.is_some() {
            secrets.code = None;
            held.store_secrets(&secrets)?;
        }
        // [S20.5] What has been taken is taken; no more is sent, and no receipt is accepted.
        if let Some(expected) = expected {
            held.store_facts(facts)?;
            return Err(Error::OtherBuyer { id: facts.id, expected, seen: fingerprint });
        }
        Ok(claim)
    }

    /// Checks the agreement that came with a claim, and keeps it. [S10.13]
    fn keep_agreement(
        &self,
        held: &Held,
        claim: &VerifiedClaim,
        record: &ClaimRecord,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let sealed = match (self.announced.agreement, claim.text().agreement, &record.sealed_agreement) {
            (None, Agreement::None, None) => return Ok(()),
            (Some(wanted), Agreement::Of(named), Some(sealed)) if wanted == named => sealed,
            _ => return Err(Error::BadAgreement("agreement")),
        };
        if agreement::kept(held)?.is_none() {
            let keys = code_keys(held)?.ok_or(Error::BadAgreement("the key to open it is gone"))?;
            let transfer = &self.announced.transfer;
            let offer = proof::open_offer(&keys, &self.announced.sealed_offer, transfer).map_err(bad_agreement)?;
            let (document, _) = offer.document().ok_or(Error::BadAgreement("agreement"))?;
            let signed = proof::open_agreement(&keys.agreement, transfer, sealed).map_err(bad_agreement)?;
            let check = AgreementCheck { offer: &offer.statement, document, buyer: claim.buyer() };
            proof::check_agreement(&check, &signed).map_err(bad_agreement)?;
            kept::write_statement(held, Kept::Agreement, &signed.text, &signed.signature)?;
        }
        let kept = agreement::kept(held)?.ok_or(Error::BadAgreement("agreement"))?;
        observer.event(Event::Signed(agreement::agreement_facts(held.id(), &kept.statement)));
        Ok(())
    }

    /// Checks the refusal with which a transfer ended, and keeps it. [S10.13] [S13.15]
    fn keep_refusal(
        &self,
        held: &Held,
        facts: &mut Facts,
        snapshot: &Snapshot,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        if facts.state == State::Refused {
            return Ok(());
        }
        let record = snapshot.refusal.as_ref().ok_or(Error::BadAgreement("the relay does not show it"))?;
        let keys = code_keys(held)?.ok_or(Error::BadAgreement("the key to open it is gone"))?;
        let transfer = &self.announced.transfer;
        let refusal = proof::open_refusal(&keys.agreement, transfer, &record.sealed_refusal).map_err(bad_agreement)?;
        let offer = read_text(held, "offer.txt")?;
        let check = RefusalTextCheck { offer: &offer, claim_key: self.announced.claim_key };
        let text = proof::check_refusal(&check, &refusal).map_err(bad_agreement)?;
        pull::keep_refusal(held, &refusal)?;
        facts.state = State::Refused;
        facts.peer_name = Some(refusal.buyer_name);
        facts.peer_organisation = refusal.organisation;
        facts.peer_fingerprint = Some(text.buyer_key.to_string());
        observer.event(Event::RefusedAgreement(agreement::refusal_facts(None, facts, &text)));
        Ok(())
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
        audit::keep_receipt_digest(held, sealed)?;
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
        secrets.drop_content_key(&self.announced.transfer);
        secrets.code = None;
        held.store_secrets(&secrets)
    }
}

fn told_of(event: &message::Event) -> Told {
    Told { sequence: Some(event.sequence), time: event.time, kind: event.kind, by: event.by }
}

/// The one buyer whose claim is accepted, if somebody was named.
fn expected_buyer(folder: &Folder) -> Result<Option<String>, Error> {
    let path = folder.file(EXPECTED_BUYER);
    let Some(bytes) = read_private(&path, 128)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|error| Error::State {
        what: "a file of the transfer is damaged",
        path,
        source: Some(error.into()),
    })
}

/// Names the one buyer whose claim is accepted.
pub(crate) fn expect_buyer(held: &Held, fingerprint: &str) -> Result<(), Error> {
    write_private(&held.file(EXPECTED_BUYER), fingerprint.as_bytes())
}

/// What was told one after the other, as if it had been told at once: there is never more to keep than one snapshot,
/// however much a relay tells.
fn joined(earlier: Snapshot, mut later: Snapshot) -> Result<Snapshot, Error> {
    if earlier.claim.is_some() && earlier.claim != later.claim {
        return Err(Error::RelayMisbehaved("shows another claim than before"));
    }
    let mut events = earlier.events;
    events.append(&mut later.events);
    // There are fewer in the history of any transfer.
    events.truncate(limits::EVENTS_MAX);
    Ok(Snapshot { events, ..later })
}

/// The keys of the code, while it is here.
fn code_keys(held: &Held) -> Result<Option<CodeKeys>, Error> {
    let secrets = held.secrets()?;
    let code = secrets.code.map(|code| Code::of_secret(Secret::new(Zeroizing::new(code))));
    Ok(code.map(|code| CodeKeys::of(&code)))
}

fn bad_agreement(fault: ProofFault) -> Error {
    tracing::warn!(%fault, "an agreement or refusal does not hold");
    Error::BadAgreement(match fault {
        ProofFault::Mismatch(line) => line,
        ProofFault::OtherSigner => "it is signed by another key",
        ProofFault::Sealed(_) => "it cannot be opened",
        _ => "it is malformed",
    })
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
pub(crate) fn kept_receipt(folder: &Folder, facts: &Facts) -> Result<ReceiptFacts, Error> {
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

/// Forgets everything secret about a transfer that is over, but what opens its papers.
pub(super) fn drop_secrets(held: &Held, transfer: &TransferId) -> Result<(), Error> {
    let mut secrets = held.secrets()?;
    if secrets.code.is_none() && secrets.content_key.is_none() && secrets.share.is_none() {
        return Ok(());
    }
    secrets.code = None;
    secrets.drop_content_key(transfer);
    secrets.share = None;
    held.store_secrets(&secrets)
}
