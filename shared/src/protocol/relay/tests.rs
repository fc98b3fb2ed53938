//! Every transition of a transfer, allowed and refused, as tables.

use super::*;
use crate::keys::Secret;
use crate::keys::hybrid::{HybridPublic, HybridSecret, bundle};
use crate::proof::{
    Agreement, Channel, ClaimCheck, ClaimText, Fingerprint, Identity, Kind, RefusalCheck, check_claim,
    check_refusal_proof, digest, prove_refusal, sign,
};
use crate::protocol::papers::CheckedRefusal;
use zeroize::Zeroizing;

mod papers;

pub(super) const SELLER: LinkKey = LinkKey([1; 32]);
pub(super) const BUYERS: [LinkKey; 2] = [LinkKey([2; 32]), LinkKey([3; 32])];
pub(super) const EXPIRES: Millis = Millis(1000);
const STRANGER: LinkKey = LinkKey([9; 32]);
const NOW: Millis = Millis(10);
const LATER: Millis = Millis(20);

pub(super) fn terms() -> Terms {
    Terms {
        id: TransferId([7; 16]),
        seller: SELLER,
        locator: Locator([8; 16]),
        claim_key: ClaimKey(*claim_identity().public().as_bytes()),
        offer_digest: digest(b"sealed offer"),
        content: digest(b"content"),
        block_size: BlockSize::Small,
        blocks_max: BlockCount(5),
        expires: EXPIRES,
        agreement: None,
    }
}

pub(super) const AGREEMENT: Digest = Digest([13; 32]);

pub(super) fn with_agreement() -> Terms {
    Terms { agreement: Some(AGREEMENT), ..terms() }
}

/// A refusal that was checked.
pub(super) fn refusal_of(by: LinkKey) -> CheckedRefusal {
    refusal(terms().id, by, b"refusal")
}

pub(super) fn refusal(id: TransferId, by: LinkKey, sealed: &[u8]) -> CheckedRefusal {
    let check = RefusalCheck { transfer: id, claim_key: terms().claim_key, link_key: by, channel: &[0; 32] };
    let proof = prove_refusal(&check, sealed, &claim_identity());
    CheckedRefusal::new(check_refusal_proof(&check, sealed, &proof).unwrap(), sealed.to_vec()).unwrap()
}

fn claim_identity() -> Identity {
    Identity::of_seed(&[5; 32])
}

/// A claim that can be checked as often as needed.
pub(super) struct Prepared {
    id: TransferId,
    by: LinkKey,
    hybrid: HybridPublic,
    text: String,
    identity_signature: String,
    claim_signature: String,
}

impl Prepared {
    pub(super) fn new(id: TransferId, by: LinkKey, hybrid_seed: u8, identity_seed: u8, time: u64) -> Self {
        Self::agreeing(id, by, hybrid_seed, identity_seed, time, Agreement::None)
    }

    pub(super) fn agreeing(
        id: TransferId,
        by: LinkKey,
        hybrid_seed: u8,
        identity_seed: u8,
        time: u64,
        agreement: Agreement,
    ) -> Self {
        let hybrid = HybridSecret::of_seed(Secret::new(Zeroizing::new([hybrid_seed; 32]))).public();
        let identity = Identity::of_seed(&[identity_seed; 32]);
        let text = ClaimText {
            transfer: id,
            offer: terms().offer_digest,
            buyer_key: Fingerprint::of(&identity.public()),
            link_key: by,
            bundle: bundle(&by, &hybrid),
            agreement,
            channel: Channel([time as u8; 32]),
            time: Millis(time).into(),
        }
        .to_text();
        let identity_signature = sign(Kind::Claim, &text, &identity).unwrap();
        let claim_signature = sign(Kind::Claim, &text, &claim_identity()).unwrap();
        Self { id, by, hybrid, text, identity_signature, claim_signature }
    }

    pub(super) fn checked(&self) -> CheckedClaim {
        let check = ClaimCheck {
            transfer: self.id,
            offer_digest: terms().offer_digest,
            claim_key: terms().claim_key,
            link_key: self.by,
            hybrid: &self.hybrid,
            channel: None,
        };
        let verified = check_claim(&check, &self.text, &self.identity_signature, &self.claim_signature).unwrap();
        let hybrid_key = self.hybrid.as_bytes().to_vec();
        let (identity, claim) = (self.identity_signature.clone(), self.claim_signature.clone());
        CheckedClaim::new(verified, hybrid_key, self.text.clone(), identity, claim)
    }
}

/// A claim with the signed agreement.
pub(super) fn signed_claim(by: LinkKey, hybrid_seed: u8, identity_seed: u8) -> CheckedClaim {
    let agreement = Agreement::Of(AGREEMENT);
    let prepared = Prepared::agreeing(terms().id, by, hybrid_seed, identity_seed, 1, agreement);
    prepared.checked().with_agreement(Some(b"signed".to_vec()))
}

fn claim_of(buyer: usize) -> CheckedClaim {
    Prepared::new(terms().id, BUYERS[buyer], buyer as u8, buyer as u8 + 20, 1).checked()
}

fn open(blocks: u64) -> Transfer {
    let mut transfer = Transfer::create(terms(), NOW).unwrap();
    if blocks > 0 {
        transfer.stored(SELLER, BlockIndex(0), BlockCount(blocks), NOW).unwrap();
    }
    transfer
}

fn complete() -> Transfer {
    let mut transfer = open(3);
    transfer.complete(SELLER, BlockCount(3), NOW).unwrap();
    transfer
}

fn claimed(mut transfer: Transfer) -> Transfer {
    transfer.claim(claim_of(0), NOW).unwrap();
    transfer
}

fn receipted() -> Transfer {
    let mut transfer = claimed(complete());
    transfer.receive(BUYERS[0], b"receipt", NOW).unwrap();
    transfer
}

fn revoked() -> Transfer {
    let mut transfer = claimed(complete());
    transfer.revoke(SELLER, NOW).unwrap();
    transfer
}

fn expired() -> Transfer {
    let mut transfer = claimed(complete());
    transfer.expire(EXPIRES);
    transfer
}

/// One row of a table: what it is, the state before, what comes of one operation.
type Row<T> = (&'static str, Transfer, Result<T, Refused>);

fn check<T: PartialEq + std::fmt::Debug>(rows: Vec<Row<T>>, operate: impl Fn(&mut Transfer) -> Result<T, Refused>) {
    for (name, before, expected) in rows {
        let mut after = before.clone();
        let answer = operate(&mut after);
        assert_eq!(answer, expected, "{name}");
        if answer.is_ok() {
            let mut again = after.clone();
            assert_eq!(operate(&mut again), answer, "{name}, repeated"); // [S12.5]
            assert_eq!(again, after, "{name}, repeated");
        } else if after.phase == before.phase {
            assert_eq!(after.durable, before.durable, "{name}");
            assert_eq!(after.claim, before.claim, "{name}");
        }
    }
}

fn no<T>(fault: Fault) -> Result<T, Refused> {
    Err(fault.into())
}

fn over<T>(fault: Fault, ended: Millis) -> Result<T, Refused> {
    Err(Refused::of(fault).with_time(ended))
}

#[test] // [S13.2]
fn creation() {
    let with = |change: &dyn Fn(&mut Terms)| {
        let mut terms = terms();
        change(&mut terms);
        Transfer::create(terms, NOW).map(|transfer| transfer.created())
    };
    assert_eq!(with(&|_| {}), Ok(Created { created: NOW, expires: EXPIRES }));
    assert_eq!(with(&|terms| terms.blocks_max = BlockCount(0)), no(Fault::BadMessage));
    assert_eq!(with(&|terms| terms.blocks_max = BlockCount(limits::BLOCKS_MAX)).map(drop), Ok(()));
    assert_eq!(with(&|terms| terms.blocks_max = BlockCount(limits::BLOCKS_MAX + 1)), no(Fault::BadMessage));
    assert_eq!(with(&|terms| terms.expires = NOW), over(Fault::ClockRefused, NOW));
    let created = Ok(Created { created: NOW, expires: EXPIRES });
    let rows = vec![
        ("open", open(0), created),
        ("complete", complete(), created),
        ("receipted", receipted(), over(Fault::Receipted, NOW)),
        ("revoked", revoked(), over(Fault::Revoked, NOW)),
        ("expired", expired(), over(Fault::Expired, EXPIRES)),
    ];
    check(rows, |transfer| transfer.create_again(&terms(), LATER));
    let other = Terms { content: digest(b"other"), ..terms() };
    check(vec![("other content", open(0), no(Fault::Conflict))], |transfer| transfer.create_again(&other, LATER));
}

#[test] // [S12.2] [S13.3]
fn appending() {
    let rows = vec![
        ("open", open(2), Ok(BlockCount(2))),
        ("complete", complete(), Ok(BlockCount(3))),
        ("receipted", receipted(), over(Fault::Receipted, NOW)),
        ("revoked", revoked(), over(Fault::Revoked, NOW)),
        ("expired", expired(), over(Fault::Expired, EXPIRES)),
    ];
    check(rows, |transfer| transfer.append(SELLER, LATER));
    let refused = |fault, durable| Err(Refused::of(fault).with_number(durable));
    for (name, mut transfer, first, count, expected) in [
        ("the next", open(2), 2, 2, Ok(BlockCount(4))),
        ("up to the last allowed", open(2), 2, 3, Ok(BlockCount(5))),
        ("too many", open(2), 2, 4, refused(Fault::QuotaExceeded, 5)),
        ("endlessly many", open(2), 2, u64::MAX, refused(Fault::QuotaExceeded, 5)),
        ("none", open(2), 2, 0, refused(Fault::Conflict, 2)),
        ("a gap", open(2), 3, 1, refused(Fault::Conflict, 2)),
        ("stored by another run", open(2), 1, 2, refused(Fault::Superseded, 2)),
        ("after the end", complete(), 3, 1, refused(Fault::Conflict, 3)),
        ("revoked", revoked(), 3, 1, over(Fault::Revoked, NOW)),
    ] {
        let answer = transfer.stored(SELLER, BlockIndex(first), BlockCount(count), LATER);
        assert_eq!(answer, expected, "{name}");
    }
}

#[test] // [S13.4]
fn completing() {
    let number = |fault, number| Err(Refused::of(fault).with_number(number));
    let rows = vec![
        ("exactly", open(3), Ok(LATER)),
        ("repeated", complete(), Ok(NOW)),
        ("repeated after the receipt", receipted(), Ok(NOW)),
        ("too few", open(2), number(Fault::NotComplete, 2)),
        ("too many", open(4), number(Fault::Conflict, 4)),
        ("revoked", revoked(), over(Fault::Revoked, NOW)),
        ("expired", expired(), over(Fault::Expired, EXPIRES)),
    ];
    check(rows, |transfer| transfer.complete(SELLER, BlockCount(3), LATER));
    let rows = vec![("none", open(0), number(Fault::Conflict, 0)), ("other", complete(), number(Fault::Conflict, 3))];
    check(rows, |transfer| transfer.complete(SELLER, BlockCount(0), LATER));
}

#[test] // [S13.6]
fn peeking() {
    let peeking = |claimed| Peeking {
        phase: Phase::Complete,
        durable: BlockCount(3),
        blocks: Some(BlockCount(3)),
        claimed,
        expires: EXPIRES,
    };
    let rows = vec![
        ("unclaimed", complete(), Ok(peeking(None))),
        ("claimed by the same", claimed(complete()), Ok(peeking(Some(NOW)))),
        ("receipted", receipted(), over(Fault::Receipted, NOW)),
        ("revoked", revoked(), over(Fault::Revoked, NOW)),
        ("expired", expired(), over(Fault::Expired, EXPIRES)),
    ];
    check(rows, |transfer| transfer.peek(BUYERS[0], LATER));
    let rows = vec![("claimed by another", claimed(complete()), over(Fault::AlreadyClaimed, NOW))];
    check(rows, |transfer| transfer.peek(BUYERS[1], LATER));
}

#[test] // [S13.6]
fn who_comes_too_late_is_recorded_once_and_not_without_end() {
    let mut transfer = claimed(open(1));
    for round in 0..2 {
        for byte in 0..=255 {
            let by = LinkKey([byte; 32]);
            if by != BUYERS[0] {
                assert_eq!(transfer.peek(by, LATER), over(Fault::AlreadyClaimed, NOW), "{round} {byte}");
            }
        }
    }
    let late: Vec<_> = transfer.events.iter().filter(|event| event.kind == EventKind::ClaimRefused).collect();
    assert_eq!(late.len(), limits::REFUSED_CLAIMS_MAX);
    let mut keys: Vec<_> = late.iter().map(|event| event.by.unwrap()).collect();
    keys.dedup();
    assert_eq!(keys.len(), limits::REFUSED_CLAIMS_MAX);
    assert!(transfer.events.len() <= limits::EVENTS_MAX);
}

#[test] // [S13.5]
fn claiming() {
    let id = terms().id;
    let first = |transfer: &mut Transfer| transfer.claim(claim_of(0), LATER);
    let rows = vec![
        ("open", open(0), Ok(LATER)),
        ("complete", complete(), Ok(LATER)),
        ("again", claimed(open(1)), Ok(NOW)),
        ("receipted", receipted(), over(Fault::Receipted, NOW)),
        ("revoked", revoked(), over(Fault::Revoked, NOW)),
        ("expired", expired(), over(Fault::Expired, EXPIRES)),
    ];
    check(rows, first);
    let cases = [
        ("over another connection", Prepared::new(id, BUYERS[0], 0, 20, 2), Ok(NOW)),
        ("with another hybrid key", Prepared::new(id, BUYERS[0], 7, 20, 1), over(Fault::Conflict, NOW)),
        ("by another identity", Prepared::new(id, BUYERS[0], 0, 21, 1), over(Fault::Conflict, NOW)),
        ("by another key", Prepared::new(id, BUYERS[1], 1, 21, 1), over(Fault::AlreadyClaimed, NOW)),
        ("checked elsewhere", Prepared::new(TransferId([6; 16]), BUYERS[0], 0, 20, 1), no(Fault::ClaimRefused)),
    ];
    for (name, prepared, expected) in cases {
        let mut transfer = claimed(open(1));
        assert_eq!(transfer.claim(prepared.checked(), LATER), expected, "{name}");
        assert_eq!(transfer.claim.unwrap().link_key, BUYERS[0], "{name}");
    }
}

#[test] // [S12.3]
fn fetching() {
    let fetching = |blocks| Ok(Fetching { durable: BlockCount(3), blocks });
    let rows = vec![
        ("open", claimed(open(3)), fetching(None)),
        ("complete", claimed(complete()), fetching(Some(BlockCount(3)))),
        ("behind the tail", claimed(open(2)), Err(Refused::of(Fault::Conflict).with_number(2))),
        ("not claimed", complete(), no(Fault::NotAllowed)),
        ("receipted", receipted(), over(Fault::Receipted, NOW)),
        ("revoked", revoked(), over(Fault::Revoked, NOW)),
        ("expired", expired(), over(Fault::Expired, EXPIRES)),
    ];
    check(rows, |transfer| transfer.fetch(BUYERS[0], BlockIndex(3), LATER));
    let mut transfer = claimed(open(3));
    for (up_to, fetched) in [(2, 2), (1, 2), (9, 3)] {
        transfer.fetched(BlockCount(up_to));
        assert_eq!(transfer.fetched, BlockCount(fetched));
    }
}

#[test] // [S13.7]
fn receiving() {
    let rows = vec![
        ("complete", claimed(complete()), Ok(LATER)),
        ("again", receipted(), Ok(NOW)),
        ("open", claimed(open(3)), Err(Refused::of(Fault::NotComplete).with_number(3))),
        ("not claimed", complete(), no(Fault::NotAllowed)),
        ("revoked", revoked(), over(Fault::Revoked, NOW)),
        ("expired", expired(), over(Fault::Expired, EXPIRES)),
    ];
    check(rows, |transfer| transfer.receive(BUYERS[0], b"receipt", LATER));
    let rows = vec![("another receipt", receipted(), over(Fault::Conflict, NOW))];
    check(rows, |transfer| transfer.receive(BUYERS[0], b"other", LATER));
    let rows = vec![("nothing", claimed(complete()), no(Fault::BadMessage))];
    check(rows, |transfer| transfer.receive(BUYERS[0], b"", LATER));
    let long = vec![0; limits::SEALED_RECEIPT_BYTES_MAX + 1];
    let rows = vec![("too long", claimed(complete()), no(Fault::TooLarge))];
    check(rows, |transfer| transfer.receive(BUYERS[0], &long, LATER));
}

#[test] // [S13.8]
fn revoking_and_expiring() {
    let rows = vec![
        ("open", open(0), Ok(LATER)),
        ("claimed", claimed(complete()), Ok(LATER)),
        ("again", revoked(), Ok(NOW)),
        ("receipted", receipted(), over(Fault::Receipted, NOW)),
        ("expired", expired(), over(Fault::Expired, EXPIRES)),
    ];
    check(rows, |transfer| transfer.revoke(SELLER, LATER));
    for (name, mut transfer, phase) in [
        ("open", open(1), Phase::Expired),
        ("complete", complete(), Phase::Expired),
        ("receipted", receipted(), Phase::Receipted),
        ("revoked", revoked(), Phase::Revoked),
    ] {
        let before = transfer.clone();
        transfer.expire(Millis(EXPIRES.0 - 1));
        assert_eq!(transfer, before, "{name}");
        transfer.expire(EXPIRES);
        assert_eq!(transfer.phase, phase, "{name}");
    }
}

#[test] // [S13.8]
fn every_operation_finds_that_the_time_is_over() {
    type IsRefused = fn(&mut Transfer) -> bool;
    let operations: [(&str, IsRefused); 9] = [
        ("create", |transfer| transfer.create_again(&terms(), EXPIRES).is_err()),
        ("append", |transfer| transfer.append(SELLER, EXPIRES).is_err()),
        ("stored", |transfer| transfer.stored(SELLER, BlockIndex(3), BlockCount(1), EXPIRES).is_err()),
        ("complete", |transfer| transfer.complete(SELLER, BlockCount(3), EXPIRES).is_err()),
        ("peek", |transfer| transfer.peek(BUYERS[0], EXPIRES).is_err()),
        ("claim", |transfer| transfer.claim(claim_of(0), EXPIRES).is_err()),
        ("fetch", |transfer| transfer.fetch(BUYERS[0], BlockIndex(0), EXPIRES).is_err()),
        ("receive", |transfer| transfer.receive(BUYERS[0], b"receipt", EXPIRES).is_err()),
        ("revoke", |transfer| transfer.revoke(SELLER, EXPIRES).is_err()),
    ];
    for (name, is_refused) in operations {
        let mut transfer = claimed(complete());
        assert!(is_refused(&mut transfer), "{name}");
        assert_eq!((transfer.phase, transfer.ended), (Phase::Expired, Some(EXPIRES)), "{name}");
        assert_eq!(transfer.next_effect(), Some(Effect::EraseShare), "{name}");
    }
}

#[test]
fn nobody_does_what_is_somebody_elses() {
    for by in [STRANGER, BUYERS[0], BUYERS[1]] {
        let mut transfer = claimed(complete());
        assert_eq!(transfer.append(by, NOW), no(Fault::NotAllowed));
        assert_eq!(transfer.stored(by, BlockIndex(3), BlockCount(1), NOW), no(Fault::NotAllowed));
        assert_eq!(transfer.complete(by, BlockCount(3), NOW), no(Fault::NotAllowed));
        assert_eq!(transfer.revoke(by, NOW), no(Fault::NotAllowed));
    }
    for by in [STRANGER, SELLER, BUYERS[1]] {
        let mut transfer = claimed(complete());
        assert_eq!(transfer.fetch(by, BlockIndex(0), NOW), no(Fault::NotAllowed));
        assert_eq!(transfer.receive(by, b"receipt", NOW), no(Fault::NotAllowed));
    }
    for (by, expected) in [(SELLER, Ok(())), (BUYERS[0], Ok(())), (BUYERS[1], no(Fault::NotAllowed))] {
        assert_eq!(claimed(complete()).watch(by), expected); // [S12.4]
    }
}

#[test] // [S13.7] [S13.8]
fn effects_come_in_order_and_once() {
    for (name, mut transfer) in [("receipted", receipted()), ("revoked", revoked()), ("expired", expired())] {
        transfer.done(Effect::DeleteBlocks, LATER);
        assert_eq!(transfer.next_effect(), Some(Effect::EraseShare), "{name}");
        transfer.done(Effect::EraseShare, LATER);
        transfer.done(Effect::EraseShare, LATER);
        assert_eq!(transfer.next_effect(), Some(Effect::DeleteBlocks), "{name}");
        assert!(transfer.reserved_bytes() > 0, "{name}");
        transfer.done(Effect::DeleteBlocks, LATER);
        assert_eq!((transfer.next_effect(), transfer.reserved_bytes()), (None, 0), "{name}");
        let before = transfer.clone();
        transfer.done(Effect::DeleteBlocks, Millis(99));
        assert_eq!(transfer, before, "{name}");
        assert_eq!(transfer.events.last().unwrap().kind, EventKind::Deleted, "{name}");
    }
    assert_eq!(claimed(complete()).next_effect(), None);
    assert_eq!(open(1).reserved_bytes(), 5 * 65_536);
    assert_eq!(complete().reserved_bytes(), 3 * 65_536);
}

#[test] // [S12.4] [S12.6]
fn a_snapshot_holds_the_events_asked_for() {
    let transfer = receipted();
    let all = transfer.snapshot(0);
    let kinds: Vec<_> = all.events.iter().map(|event| event.kind).collect();
    use EventKind::*;
    assert_eq!(kinds, [Created, FirstBlock, Completed, Claimed, Receipted]);
    assert!(all.events.iter().enumerate().all(|(index, event)| event.sequence == index as u64));
    assert_eq!(transfer.snapshot(4).events, all.events[4..]);
    assert_eq!(transfer.snapshot(99).events, []);
    assert_eq!((all.phase, all.sealed_receipt.as_deref()), (Phase::Receipted, Some(&b"receipt"[..])));
}
