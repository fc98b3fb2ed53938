//! The honest core: an in-memory store around the relay's machine of `handover_shared`, one answer a request.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use handover_shared::codec;
use handover_shared::fault::Fault;
use handover_shared::ids::{LinkKey, Millis, TransferId};
use handover_shared::keys::hybrid::{HybridPublic, bundle, release_share};
use handover_shared::keys::{OsEntropy, Secret};
use handover_shared::proof::{ClaimCheck, RefusalCheck, check_claim, check_refusal_proof, digest};
use handover_shared::protocol::message::{
    At, Claim, Collected, Create, Deposit, Durable, Enrolled, INVITE_SECRET_BYTES, Log, Logged, Peeked, Refused,
    Released, Reply, Request, Welcome,
};
use handover_shared::protocol::papers::CheckedRefusal;
use handover_shared::protocol::relay::{CheckedClaim, Terms, Transfer};
use zeroize::Zeroizing;

use super::relay_script::Say;
use crate::log_book::LogBook;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What a relay holds of one transfer.
pub struct Held {
    /// How it is.
    pub transfer: Transfer,
    /// What announced it.
    pub create: Create,
    /// Its sealed blocks, in order.
    pub blocks: Vec<Vec<u8>>,
    /// Its sealed papers, by kind.
    pub papers: BTreeMap<u8, Vec<u8>>,
}

/// What a relay holds.
pub struct Store {
    /// Every transfer.
    pub transfers: BTreeMap<TransferId, Held>,
    enrolled: BTreeSet<LinkKey>,
    invite_secret: [u8; INVITE_SECRET_BYTES],
    /// Its log, as far as it was asked for.
    pub log: LogBook,
}

/// The time by this machine's clock.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is after 1970");
    Millis(since.as_millis() as u64)
}

impl Store {
    pub(super) fn new(invite_secret: [u8; INVITE_SECRET_BYTES], key_seed: [u8; 32]) -> Self {
        let log = LogBook::new(key_seed);
        Self { transfers: BTreeMap::new(), enrolled: BTreeSet::new(), invite_secret, log }
    }

    /// Writes into the log what has happened, and answers from it.
    pub fn logged(&mut self, ask: &Log) -> Logged {
        for held in self.transfers.values() {
            self.log.follow(&held.transfer);
        }
        let mut logged = self.log.answer(ask, now());
        logged.deletion = self.transfers.get(&ask.transfer).and_then(|held| self.log.deletion(&held.transfer));
        logged
    }

    /// A transfer that is held.
    ///
    /// # Panics
    /// When it is not.
    pub fn held(&mut self, id: TransferId) -> &mut Held {
        self.transfers.get_mut(&id).expect("the transfer is held")
    }

    /// The transfer that was created last.
    ///
    /// # Panics
    /// When there is none.
    pub fn newest(&mut self) -> &mut Held {
        self.transfers.values_mut().max_by_key(|held| held.transfer.created).expect("a transfer is held")
    }

    /// Does what is asked, and tells what to do on the stream.
    pub(super) fn answer(&mut self, by: LinkKey, channel: [u8; 32], request: &Request) -> Vec<Say> {
        match self.act(by, channel, request) {
            Ok(script) => script,
            Err(refused) => vec![Say::reply(Reply::Refused(refused))],
        }
    }

    fn act(&mut self, by: LinkKey, channel: [u8; 32], request: &Request) -> Result<Vec<Say>, Refused> {
        let reply = match request {
            Request::Hello(_) => self.welcome(by),
            Request::Enrol(enrol) if *enrol.secret == self.invite_secret => {
                self.enrolled.insert(by);
                Reply::Enrolled(Enrolled {})
            }
            Request::Enrol(_) => return Err(Fault::InviteRefused.into()),
            Request::Create(create) => self.create(by, create)?,
            Request::Append(named) => {
                let durable = self.find(named.transfer)?.transfer.append(by, now())?;
                return Ok(vec![Say::reply(Reply::Appending(Durable { durable })), Say::Take(named.transfer)]);
            }
            Request::Complete(it) => {
                Reply::Completed(At { time: self.find(it.transfer)?.transfer.complete(by, it.blocks, now())? })
            }
            Request::Peek(peek) => {
                let mut all = self.transfers.values_mut();
                let held = all.find(|held| held.transfer.terms.locator == peek.locator).ok_or(Fault::NotFound)?;
                held.peek(by)?
            }
            Request::Claim(claim) => self.find(claim.transfer)?.claim(by, channel, claim)?,
            Request::Fetch(it) => {
                let fetching = self.find(it.transfer)?.transfer.fetch(by, it.from, now())?;
                return Ok(vec![Say::reply(Reply::Fetching(fetching)), Say::Serve(it.transfer, it.from)]);
            }
            Request::Receive(it) => {
                let held = self.find(it.transfer)?;
                let time = held.transfer.receive(by, &it.sealed_receipt, now())?;
                held.settle();
                Reply::Received(At { time })
            }
            Request::Watch(it) => {
                self.find(it.transfer)?.transfer.watch(by)?;
                return Ok(vec![Say::Follow(it.transfer, it.from_event)]);
            }
            Request::Deposit(it) => {
                self.find(it.transfer)?.transfer.may_deposit(by, it.kind, it.bytes, now())?;
                return Ok(vec![Say::TakePaper(*it)]);
            }
            Request::Collect(it) => {
                let held = self.find(it.transfer)?;
                let record = held.transfer.collect(by, it.kind, now())?;
                let sealed = held.papers.get(&it.kind).cloned().unwrap_or_default();
                let reply = Reply::Collected(Collected { bytes: record.bytes, time: record.time });
                return Ok(vec![Say::reply(reply), Say::Bytes(sealed)]);
            }
            Request::Refuse(it) => {
                let held = self.find(it.transfer)?;
                let claim_key = held.create.claim_key;
                let check = RefusalCheck { transfer: it.transfer, claim_key, link_key: by, channel: &channel };
                let proof = check_refusal_proof(&check, &it.sealed_refusal, &it.proof);
                let proof = proof.or(Err(Refused::of(Fault::ClaimRefused)))?;
                let time = held.transfer.refuse(CheckedRefusal::new(proof, it.sealed_refusal.clone())?, now())?;
                held.settle();
                Reply::RefusalTaken(At { time })
            }
            Request::Log(ask) => {
                self.find(ask.transfer)?.transfer.watch(by)?;
                Reply::Logged(self.logged(ask))
            }
            Request::Revoke(named) => {
                let held = self.find(named.transfer)?;
                let time = held.transfer.revoke(by, now())?;
                held.settle();
                Reply::Revoked(At { time })
            }
        };
        Ok(vec![Say::reply(reply)])
    }

    fn find(&mut self, id: TransferId) -> Result<&mut Held, Refused> {
        self.transfers.get_mut(&id).ok_or(Fault::NotFound.into())
    }

    fn welcome(&self, by: LinkKey) -> Reply {
        Reply::Welcome(Welcome {
            version: "double/1".into(),
            time: now(),
            enrolled: self.enrolled.contains(&by),
            transfer_bytes_max: 1 << 40,
            expiry_ms_max: 90 * DAY_MS,
            expiry_ms_default: 14 * DAY_MS,
        })
    }

    fn create(&mut self, by: LinkKey, create: &Create) -> Result<Reply, Refused> {
        if !self.enrolled.contains(&by) {
            return Err(Fault::NotEnrolled.into());
        }
        let terms = terms(create, by);
        if let Some(held) = self.transfers.get_mut(&create.transfer) {
            return held.transfer.create_again(&terms, now()).map(Reply::Created);
        }
        let transfer = Transfer::create(terms, now())?;
        let created = transfer.created();
        self.transfers.insert(
            create.transfer,
            Held { transfer, create: create.clone(), blocks: Vec::new(), papers: BTreeMap::new() },
        );
        Ok(Reply::Created(created))
    }
}

impl Held {
    /// Keeps a paper that came.
    pub(super) fn deposit(&mut self, by: LinkKey, asked: Deposit, sealed: Vec<u8>) -> Reply {
        let digest = digest(&sealed);
        match self.transfer.deposit(by, asked.kind, asked.bytes, digest, now()) {
            Ok(time) => {
                self.papers.insert(asked.kind, sealed);
                Reply::Deposited(At { time })
            }
            Err(refused) => Reply::Refused(refused),
        }
    }

    fn peek(&mut self, by: LinkKey) -> Result<Reply, Refused> {
        let peeking = self.transfer.peek(by, now())?;
        Ok(Reply::Peeked(Peeked {
            transfer: self.create.transfer,
            sealed_offer: self.create.sealed_offer.clone(),
            phase: peeking.phase,
            durable: peeking.durable,
            blocks: peeking.blocks,
            claimed: peeking.claimed,
            expires: Some(peeking.expires),
        }))
    }

    fn claim(&mut self, by: LinkKey, channel: [u8; 32], claim: &Claim) -> Result<Reply, Refused> {
        let checked = self.check(by, channel, claim)?;
        let claimed = self.transfer.claim(checked, now())?;
        Ok(Reply::Released(self.release(by, claim, claimed)))
    }

    fn check(&self, by: LinkKey, channel: [u8; 32], claim: &Claim) -> Result<CheckedClaim, Refused> {
        let hybrid = HybridPublic::of_bytes(&claim.hybrid_key)?;
        let check = ClaimCheck {
            transfer: self.create.transfer,
            offer_digest: self.transfer.terms.offer_digest,
            claim_key: self.create.claim_key,
            link_key: by,
            hybrid: &hybrid,
            channel: Some(&channel),
        };
        let verified = check_claim(&check, &claim.text, &claim.identity_signature, &claim.claim_signature);
        let verified = verified.or(Err(Refused::of(Fault::ClaimRefused)))?;
        Ok(CheckedClaim::new(
            verified,
            claim.hybrid_key.clone(),
            claim.text.clone(),
            claim.identity_signature.clone(),
            claim.claim_signature.clone(),
        )
        .with_agreement(claim.sealed_agreement.clone()))
    }

    /// What the claim of anybody earns, whoever came before.
    ///
    /// # Panics
    /// When the claim's hybrid key is not one.
    pub fn release(&self, by: LinkKey, claim: &Claim, claimed: Millis) -> Released {
        self.release_share(by, claim, claimed, *self.create.share)
    }

    /// The same with another share.
    ///
    /// # Panics
    /// As [`Held::release`].
    pub fn release_share(&self, by: LinkKey, claim: &Claim, claimed: Millis, share: [u8; 32]) -> Released {
        let hybrid = HybridPublic::of_bytes(&claim.hybrid_key).expect("a hybrid key");
        let share = Secret::new(Zeroizing::new(share));
        let bundle = bundle(&by, &hybrid);
        let sealed = release_share(&hybrid, &self.create.transfer, &bundle, &share, &mut OsEntropy);
        let sealed = sealed.expect("a share can be sealed");
        Released {
            encapsulated: sealed.encapsulated,
            sealed_share: sealed.sealed,
            envelope: self.create.envelope.clone(),
            claimed,
        }
    }

    /// Does what is due at the end of a transfer.
    fn settle(&mut self) {
        while let Some(effect) = self.transfer.next_effect() {
            self.transfer.done(effect, now());
        }
        self.blocks.clear();
    }
}

fn terms(create: &Create, seller: LinkKey) -> Terms {
    let content = codec::encode(&(
        (create.transfer, create.locator, create.claim_key, create.block_size),
        (create.blocks_max, create.expires, digest(&create.envelope), digest(&create.sealed_offer)),
        create.agreement,
    ));
    Terms {
        id: create.transfer,
        seller,
        locator: create.locator,
        claim_key: create.claim_key,
        offer_digest: digest(&create.sealed_offer),
        content: digest(&content),
        block_size: create.block_size,
        blocks_max: create.blocks_max,
        expires: create.expires,
        agreement: create.agreement,
    }
}
