//! The relay's transfer beside a model that remembers what was promised.

use std::sync::OnceLock;

use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, ClaimKey, Digest, LinkKey, Locator, Millis, TransferId};
use handover_shared::keys::Secret;
use handover_shared::keys::hybrid::{self, HybridPublic, HybridSecret};
use handover_shared::proof::{self, Agreement, Channel, ClaimCheck, ClaimText, Fingerprint, Identity, Kind};
use handover_shared::protocol::message::{EventKind, Phase, Refused};
use handover_shared::protocol::relay::{CheckedClaim, Effect, Share, Storage, Terms, Transfer};

use crate::fuzz::take::Take;

const TRANSFER: TransferId = TransferId([7; 16]);
const SELLER: LinkKey = LinkKey([1; 32]);
const STRANGER: LinkKey = LinkKey([9; 32]);
const BUYERS: [LinkKey; 2] = [LinkKey([2; 32]), LinkKey([3; 32])];
const EXPIRES: Millis = Millis(1000);
const BLOCKS_MAX: u64 = 6;
const STEPS_MAX: u32 = 200;
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
    ended: Option<Phase>,
    is_erased: bool,
    is_deleted: bool,
    events: usize,
}

/// Any operations of anybody, in any order, with clocks that jump.
pub fn relay(take: &mut Take<'_>) {
    let mut transfer = Transfer::create(terms(), Millis(1)).expect("terms that are allowed");
    let mut promised = Promised::default();
    let mut now = Millis(1);
    let mut claims = 0;
    for _ in 0..STEPS_MAX {
        if take.is_over() {
            break;
        }
        let by = take.pick(&[SELLER, SELLER, BUYERS[0], BUYERS[0], BUYERS[1], STRANGER]);
        let before = transfer.clone();
        let is_allowed = match take.below(13) {
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
            _ => {
                let mut terms = terms();
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
    let answer = transfer.claim(checked(by, hybrid as usize, identity as usize), now);
    if answer.is_ok() {
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
        assert!(after.phase != Phase::Complete || self.blocks.is_some());
        // Nothing is erased or deleted while it is wanted, the share goes first, and nothing comes back.
        let (is_erased, is_deleted) = (after.share == Share::Erased, after.storage == Storage::Deleted);
        assert!(is_erased || !self.is_erased);
        assert!(is_deleted || !self.is_deleted);
        assert!(!is_erased || after.phase.is_final());
        assert!(!is_deleted || is_erased);
        (self.is_erased, self.is_deleted) = (is_erased, is_deleted);
        assert_eq!(after.next_effect().is_none(), !after.phase.is_final() || is_deleted);
        assert_eq!(after.reserved_bytes() == 0, is_deleted || (after.phase != Phase::Open && self.durable == 0));
        if now >= EXPIRES && is_allowed && !before.phase.is_final() && before != after {
            assert!(after.phase.is_final() || after.fetched != before.fetched, "its time was over");
        }
        assert!(after.is_sound());
        self.check_events(before, after);
    }

    fn check_events(&mut self, before: &Transfer, after: &Transfer) {
        assert!(after.events.starts_with(&before.events), "what happened is not rewritten");
        assert!(after.events.iter().enumerate().all(|(at, event)| event.sequence == at as u64));
        let count = |kind: EventKind| after.events.iter().filter(|event| event.kind == kind).count();
        for kind in [EventKind::Created, EventKind::FirstBlock, EventKind::Completed, EventKind::Claimed] {
            assert!(count(kind) <= 1, "{kind:?} twice");
        }
        let ends = count(EventKind::Receipted) + count(EventKind::Revoked) + count(EventKind::Expired);
        assert_eq!(ends, usize::from(after.phase.is_final()));
        assert_eq!(count(EventKind::Deleted), usize::from(self.is_deleted));
        let snapshot = after.snapshot(self.events as u64);
        assert_eq!(snapshot.events, after.events[self.events..]);
        self.events = after.events.len();
    }
}

fn terms() -> Terms {
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
    }
}

fn hybrids() -> &'static [HybridPublic; 2] {
    static HYBRIDS: OnceLock<[HybridPublic; 2]> = OnceLock::new();
    let key = |byte: u8| HybridSecret::of_seed(Secret::from_slice(&[byte; 32]).expect("32 bytes")).public();
    HYBRIDS.get_or_init(|| [key(10), key(11)])
}

/// A claim that was checked; the signatures are made once.
fn checked(by: LinkKey, hybrid: usize, identity: usize) -> CheckedClaim {
    type Signed = (String, String, String);
    static SIGNED: OnceLock<Vec<Signed>> = OnceLock::new();
    let all = SIGNED.get_or_init(|| {
        let each = |index: usize| sign(BUYERS[index >> 2], index >> 1 & 1, index & 1);
        (0..8).map(each).collect()
    });
    let at = usize::from(by == BUYERS[1]) << 2 | hybrid << 1 | identity;
    let (text, identity_signature, claim_signature) = all[at].clone();
    let key = &hybrids()[hybrid];
    let terms = terms();
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

fn sign(by: LinkKey, hybrid: usize, identity: usize) -> (String, String, String) {
    let identity = Identity::of_seed(&[20 + identity as u8; 32]);
    let text = ClaimText {
        transfer: TRANSFER,
        offer: terms().offer_digest,
        buyer_key: Fingerprint::of(&identity.public()),
        link_key: by,
        bundle: hybrid::bundle(&by, &hybrids()[hybrid]),
        agreement: Agreement::None,
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
