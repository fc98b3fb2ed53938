//! The relay's transfer beside a model that remembers what was promised.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, ClaimKey, Digest, LinkKey, Locator, Millis, TransferId};
use handover_shared::keys::Secret;
use handover_shared::keys::hybrid::{self, HybridPublic, HybridSecret};
use handover_shared::proof::{
    self, Agreement, Channel, ClaimCheck, ClaimText, Fingerprint, Identity, Kind, RefusalCheck,
};
use handover_shared::protocol::message::{EventKind, Phase, Refused};
use handover_shared::protocol::papers::CheckedRefusal;
use handover_shared::protocol::relay::{CheckedClaim, Effect, Share, Storage, Terms, Transfer};

use crate::fuzz::take::Take;

const TRANSFER: TransferId = TransferId([7; 16]);
const SELLER: LinkKey = LinkKey([1; 32]);
const STRANGER: LinkKey = LinkKey([9; 32]);
const BUYERS: [LinkKey; 2] = [LinkKey([2; 32]), LinkKey([3; 32])];
const EXPIRES: Millis = Millis(1000);
const BLOCKS_MAX: u64 = 6;
const STEPS_MAX: u32 = 200;
/// What the buyer must sign, in transfers that have an agreement.
const AGREEMENT: Digest = Digest([13; 32]);
/// Checking a claim takes two signatures; an input may ask for so many.
const CLAIMS_MAX: u32 = 6;

/// What the relay has promised, and to whom.
#[derive(Default)]
struct Promised {
    durable: u64,
    blocks: Option<u64>,
    /// Whom the share was released to.
    released: Option<LinkKey>,
    receipt: Option<Vec<u8>>,
    /// Papers, whose they are and what they say.
    papers: BTreeMap<u8, (LinkKey, Digest)>,
    refusal: Option<Vec<u8>>,
    ended: Option<Phase>,
    is_erased: bool,
    is_deleted: bool,
    events: usize,
}

/// Any operations of anybody, in any order, with clocks that jump.
pub fn relay(take: &mut Take<'_>) {
    let agreement = take.one_in(2).then_some(AGREEMENT);
    let terms = terms(agreement);
    let mut transfer = Transfer::create(terms.clone(), Millis(1)).expect("terms that are allowed");
    let mut promised = Promised::default();
    let mut now = Millis(1);
    let mut claims = 0;
    for _ in 0..STEPS_MAX {
        if take.is_over() {
            break;
        }
        let by = take.pick(&[SELLER, SELLER, BUYERS[0], BUYERS[0], BUYERS[1], STRANGER]);
        let before = transfer.clone();
        let is_allowed = match take.below(16) {
            0 => {
                // The shell never lets the time go back [S13.8].
                now = now.plus(take.pick(&[0, 1, 10, 400, 2000]));
                true
            }
            1 => {
                let (first, count) = (take.below(8), take.below(5));
                let answer = transfer.stored(by, BlockIndex(first), BlockCount(count), now);
                if let Ok(durable) = answer {
                    assert!(by == SELLER && first == promised.durable && count > 0 && promised.blocks.is_none());
                    assert!(durable.0 == first + count && durable.0 <= BLOCKS_MAX);
                    promised.durable = durable.0;
                }
                answer.is_ok()
            }
            2 => same(&transfer.append(by, now), by == SELLER, |durable| durable.0 == promised.durable),
            3 => {
                let any = take.below(8);
                let blocks = take.pick(&[promised.durable, promised.durable, any]);
                let answer = transfer.complete(by, BlockCount(blocks), now);
                if answer.is_ok() {
                    assert!(by == SELLER && blocks == promised.durable && blocks > 0);
                    promised.blocks.get_or_insert(blocks);
                }
                answer.is_ok()
            }
            4 => {
                let answer = transfer.peek(by, now);
                if let Ok(peeking) = &answer {
                    assert!(promised.released.is_none_or(|holder| holder == by), "a code is spent for one");
                    assert_eq!(peeking.durable.0, promised.durable);
                }
                answer.is_ok()
            }
            5 if claims < CLAIMS_MAX => {
                claims += 1;
                claim(&mut transfer, take, now, &mut promised)
            }
            6 => {
                let from = take.below(9);
                let answer = transfer.fetch(by, BlockIndex(from), now);
                same(&answer, promised.released == Some(by), |fetching| {
                    from <= promised.durable && fetching.durable.0 == promised.durable
                })
            }
            7 => {
                transfer.fetched(BlockCount(take.any()));
                assert!(transfer.fetched >= before.fetched && transfer.fetched <= transfer.durable);
                true
            }
            8 => {
                let receipt = take.bytes(3).to_vec();
                let answer = transfer.receive(by, &receipt, now);
                if answer.is_ok() {
                    assert!(promised.released == Some(by) && promised.blocks.is_some() && !receipt.is_empty());
                    assert_eq!(*promised.receipt.get_or_insert(receipt.clone()), receipt, "one transfer, one receipt");
                }
                answer.is_ok()
            }
            9 => same(&transfer.revoke(by, now), by == SELLER, |_| promised.receipt.is_none()),
            10 => {
                transfer.expire(now);
                true
            }
            11 => {
                let effect = take.pick(&[Effect::EraseShare, Effect::DeleteBlocks]);
                transfer.done(effect, now);
                true
            }
            12 => {
                let kind = take.below(7) as u8;
                let (bytes, digest) = (take.pick(&[0, 1, 64 * 1024, 64 * 1024 + 1, 1 << 24]), Digest([take.any(); 32]));
                let answer = transfer.deposit(by, kind, bytes, digest, now);
                if answer.is_ok() {
                    let first = *promised.papers.entry(kind).or_insert((by, digest));
                    assert_eq!(first, (by, digest), "one paper of a kind");
                    assert!(bytes > 0 && bytes <= if kind == 0 { 1 << 24 } else { 64 * 1024 });
                    let is_seller = matches!(kind, 0 | 2 | 4);
                    assert!(if is_seller { by == SELLER } else { promised.released == Some(by) });
                    assert!(kind != 0 || agreement.is_some());
                }
                answer.is_ok()
            }
            13 => {
                let kind = take.below(7) as u8;
                let answer = transfer.collect(by, kind, now);
                let may_be =
                    promised.papers.contains_key(&kind) && (kind == 0 || by == SELLER || promised.released == Some(by));
                same(&answer, may_be, |paper| promised.papers.get(&kind).is_some_and(|known| known.1 == paper.digest))
            }
            14 => {
                let buyer = take.pick(&BUYERS);
                let sealed = take.bytes(3).to_vec();
                let answer = transfer.refuse(refusal(buyer, &sealed), now);
                if answer.is_ok() {
                    assert!(agreement.is_some() && promised.released.is_none() && !sealed.is_empty());
                    assert_eq!(*promised.refusal.get_or_insert(sealed.clone()), sealed, "one refusal");
                }
                answer.is_ok()
            }
            _ => {
                let mut terms = terms.clone();
                terms.blocks_max.0 += u64::from(take.one_in(4));
                let is_same = terms == before.terms;
                same(&transfer.create_again(&terms, now), is_same, |created| created.created == Millis(1))
            }
        };
        promised.check(&before, &transfer, now, is_allowed);
    }
}

/// Whether it was answered; if so, it had to be.
fn same<T>(answer: &Result<T, Refused>, may_be: bool, fits: impl FnOnce(&T) -> bool) -> bool {
    match answer {
        Ok(value) => {
            assert!(may_be && fits(value), "answered what had to be refused");
            true
        }
        Err(refused) => {
            assert!(refused.known().is_some());
            false
        }
    }
}

fn claim(transfer: &mut Transfer, take: &mut Take<'_>, now: Millis, promised: &mut Promised) -> bool {
    let (buyer, hybrid, identity) = (take.below(2), take.below(2), take.below(2));
    let by = BUYERS[buyer as usize];
    let signed = take.one_in(2);
    let sealed = take.one_in(2).then(|| b"signed".to_vec());
    let is_signed = match transfer.terms.agreement {
        Some(_) => signed && sealed.is_some(),
        None => !signed && sealed.is_none(),
    };
    let is_first = transfer.claim.is_none();
    let checked = checked(by, hybrid as usize, identity as usize, signed).with_agreement(sealed);
    let answer = transfer.claim(checked, now);
    if answer.is_ok() {
        assert!(is_signed || !is_first, "the share goes out against the signed agreement only");
        assert_eq!(*promised.released.get_or_insert(by), by, "the share goes to one key");
        assert!(!promised.is_erased, "what is erased is not released");
        let record = transfer.claim.as_ref().expect("a claim is remembered before the share leaves");
        assert_eq!(record.link_key, by);
        assert!(record.hybrid_key == hybrids()[hybrid as usize].as_bytes(), "sealed to the key of the first claim");
    }
    answer.is_ok()
}

impl Promised {
    fn check(&mut self, before: &Transfer, after: &Transfer, now: Millis, is_allowed: bool) {
        assert!(after.terms == before.terms && after.created == before.created);
        // An acknowledged block is never lost, and what is fixed stays.
        assert_eq!((after.durable.0, after.blocks.map(|blocks| blocks.0)), (self.durable, self.blocks));
        assert_eq!(after.claim.as_ref().map(|claim| claim.link_key), self.released);
        assert_eq!(after.sealed_receipt, self.receipt);
        // What ended does not come back.
        if let Some(ended) = self.ended {
            assert_eq!((after.phase, after.ended), (ended, before.ended));
        }
        if after.phase.is_final() {
            self.ended = Some(after.phase);
            assert!(after.ended.is_some_and(|ended| ended <= now));
        }
        assert_eq!(after.phase == Phase::Receipted, self.receipt.is_some());
        assert_eq!(after.phase == Phase::Refused, self.refusal.is_some());
        assert_eq!(after.refusal.as_ref().map(|refusal| &refusal.sealed_refusal), self.refusal.as_ref());
        let papers = after.papers.iter().map(|paper| (paper.kind, paper.digest));
        assert!(papers.eq(self.order(after)));
        assert!(after.phase != Phase::Complete || self.blocks.is_some());
        // Nothing is erased or deleted while it is wanted, the share goes first, and nothing comes back.
        let (is_erased, is_deleted) = (after.share == Share::Erased, after.storage == Storage::Deleted);
        assert!(is_erased || !self.is_erased);
        assert!(is_deleted || !self.is_deleted);
        assert!(!is_erased || after.phase.is_final());
        assert!(!is_deleted || is_erased);
        (self.is_erased, self.is_deleted) = (is_erased, is_deleted);
        assert_eq!(after.next_effect().is_none(), !after.phase.is_final() || is_deleted);
        let is_nothing = self.durable == 0 && !self.papers.contains_key(&0);
        assert_eq!(after.reserved_bytes() == 0, is_deleted || (after.phase != Phase::Open && is_nothing));
        if now >= EXPIRES && is_allowed && !before.phase.is_final() && before != after {
            assert!(after.phase.is_final() || after.fetched != before.fetched, "its time was over");
        }
        assert!(after.is_sound());
        self.check_events(before, after);
    }

    /// The papers that were promised, in the order in which the transfer has them.
    fn order<'a>(&'a self, after: &'a Transfer) -> impl Iterator<Item = (u8, Digest)> + 'a {
        assert_eq!(after.papers.len(), self.papers.len());
        after.papers.iter().filter_map(|paper| self.papers.get(&paper.kind).map(|known| (paper.kind, known.1)))
    }

    fn check_events(&mut self, before: &Transfer, after: &Transfer) {
        assert!(after.events.starts_with(&before.events), "what happened is not rewritten");
        assert!(after.events.iter().enumerate().all(|(at, event)| event.sequence == at as u64));
        let count = |kind: EventKind| after.events.iter().filter(|event| event.kind == kind).count();
        for kind in [EventKind::Created, EventKind::FirstBlock, EventKind::Completed, EventKind::Claimed] {
            assert!(count(kind) <= 1, "{kind:?} twice");
        }
        let ends = [EventKind::Receipted, EventKind::Revoked, EventKind::Expired, EventKind::RefusedByBuyer];
        let ends = ends.into_iter().map(count).sum::<usize>();
        assert_eq!(count(EventKind::PaperDeposited), self.papers.len());
        assert_eq!(ends, usize::from(after.phase.is_final()));
        assert_eq!(count(EventKind::Deleted), usize::from(self.is_deleted));
        let snapshot = after.snapshot(self.events as u64);
        assert_eq!(snapshot.events, after.events[self.events..]);
        self.events = after.events.len();
    }
}

fn terms(agreement: Option<Digest>) -> Terms {
    Terms {
        id: TRANSFER,
        seller: SELLER,
        locator: Locator([4; 16]),
        claim_key: ClaimKey(*Identity::of_seed(&[5; 32]).public().as_bytes()),
        offer_digest: Digest([6; 32]),
        content: Digest([8; 32]),
        block_size: BlockSize::Small,
        blocks_max: BlockCount(BLOCKS_MAX),
        expires: EXPIRES,
        agreement,
    }
}

fn hybrids() -> &'static [HybridPublic; 2] {
    static HYBRIDS: OnceLock<[HybridPublic; 2]> = OnceLock::new();
    let key = |byte: u8| HybridSecret::of_seed(Secret::from_slice(&[byte; 32]).expect("32 bytes")).public();
    HYBRIDS.get_or_init(|| [key(10), key(11)])
}

/// A claim that was checked; the signatures are made once.
fn checked(by: LinkKey, hybrid: usize, identity: usize, signed: bool) -> CheckedClaim {
    type Signed = (String, String, String);
    static SIGNED: OnceLock<Vec<Signed>> = OnceLock::new();
    let all = SIGNED.get_or_init(|| {
        let each = |index: usize| sign(BUYERS[index >> 2 & 1], index >> 1 & 1, index & 1, index >> 3 == 1);
        (0..16).map(each).collect()
    });
    let at = usize::from(signed) << 3 | usize::from(by == BUYERS[1]) << 2 | hybrid << 1 | identity;
    let (text, identity_signature, claim_signature) = all[at].clone();
    let key = &hybrids()[hybrid];
    let terms = terms(None);
    let check = ClaimCheck {
        transfer: TRANSFER,
        offer_digest: terms.offer_digest,
        claim_key: terms.claim_key,
        link_key: by,
        hybrid: key,
        channel: Some(&[0; 32]),
    };
    let verified = proof::check_claim(&check, &text, &identity_signature, &claim_signature).expect("a good claim");
    CheckedClaim::new(verified, key.as_bytes().to_vec(), text, identity_signature, claim_signature)
}

/// A refusal that was checked.
fn refusal(by: LinkKey, sealed: &[u8]) -> CheckedRefusal {
    let claim_key = terms(None).claim_key;
    let check = RefusalCheck { transfer: TRANSFER, claim_key, link_key: by, channel: &[0; 32] };
    let proof = proof::prove_refusal(&check, sealed, &Identity::of_seed(&[5; 32]));
    let proof = proof::check_refusal_proof(&check, sealed, &proof).expect("a good proof");
    CheckedRefusal::new(proof, sealed.to_vec()).expect("the bytes of the proof")
}

fn sign(by: LinkKey, hybrid: usize, identity: usize, signed: bool) -> (String, String, String) {
    let identity = Identity::of_seed(&[20 + identity as u8; 32]);
    let text = ClaimText {
        transfer: TRANSFER,
        offer: terms(None).offer_digest,
        buyer_key: Fingerprint::of(&identity.public()),
        link_key: by,
        bundle: hybrid::bundle(&by, &hybrids()[hybrid]),
        agreement: if signed { Agreement::Of(AGREEMENT) } else { Agreement::None },
        channel: Channel([0; 32]),
        time: Millis(1).into(),
    }
    .to_text();
    let sign = |by: &Identity| proof::sign(Kind::Claim, &text, by).expect("a text can be signed");
    (text.clone(), sign(&identity), sign(&Identity::of_seed(&[5; 32])))
}

#[cfg(test)]
#[test]
fn a_used_up_input_ends() {
    relay(&mut Take::new(&[]));
    relay(&mut Take::new(&[0; 4000]));
}
