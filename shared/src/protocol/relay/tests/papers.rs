//! Papers, the agreement's gate and its refusal, as tables.

use super::*;
use crate::protocol::papers::PaperKind;

const DIGEST: Digest = Digest([21; 32]);

/// A live transfer with an agreement.
fn gated() -> Transfer {
    let mut transfer = Transfer::create(with_agreement(), NOW).unwrap();
    transfer.stored(SELLER, BlockIndex(0), BlockCount(3), NOW).unwrap();
    transfer.complete(SELLER, BlockCount(3), NOW).unwrap();
    transfer
}

fn signed() -> Transfer {
    let mut transfer = gated();
    transfer.claim(signed_claim(BUYERS[0], 0, 20), NOW).unwrap();
    transfer
}

fn refused_by_buyer() -> Transfer {
    let mut transfer = gated();
    transfer.refuse(refusal_of(BUYERS[0]), NOW).unwrap();
    transfer
}

fn ended(mut transfer: Transfer, phase: Phase) -> Transfer {
    match phase {
        Phase::Receipted => drop(transfer.receive(BUYERS[0], b"receipt", NOW).unwrap()),
        Phase::Revoked => drop(transfer.revoke(SELLER, NOW).unwrap()),
        _ => transfer.expire(EXPIRES),
    }
    transfer
}

fn with(mut transfer: Transfer, by: LinkKey, kind: PaperKind) -> Transfer {
    transfer.deposit(by, kind.number(), 9, DIGEST, NOW).unwrap();
    transfer
}

#[test] // [S13.14]
fn every_kind_has_its_depositor_and_its_time() {
    let number = |fault| Err(Refused::of(fault).with_number(3));
    let delivered = || with(signed(), BUYERS[0], PaperKind::Delivery);
    let cases = [
        (PaperKind::Agreement, SELLER, gated(), Ok(LATER)),
        (PaperKind::Agreement, SELLER, complete(), no(Fault::NotAllowed)),
        (PaperKind::Agreement, SELLER, signed(), over(Fault::Conflict, NOW)),
        (PaperKind::Agreement, SELLER, refused_by_buyer(), over(Fault::RefusedByBuyer, NOW)),
        (PaperKind::Agreement, BUYERS[0], signed(), no(Fault::NotAllowed)),
        (PaperKind::Delivery, BUYERS[0], signed(), Ok(LATER)),
        (PaperKind::Delivery, BUYERS[0], claimed(open(3)), number(Fault::NotComplete)),
        (PaperKind::Delivery, BUYERS[0], revoked(), over(Fault::Revoked, NOW)),
        (PaperKind::Delivery, SELLER, signed(), no(Fault::NotAllowed)),
        (PaperKind::Release, SELLER, delivered(), Ok(LATER)),
        (PaperKind::Release, SELLER, signed(), number(Fault::NotComplete)),
        (PaperKind::Release, BUYERS[0], delivered(), no(Fault::NotAllowed)),
        (PaperKind::Acceptance, BUYERS[0], receipted(), Ok(LATER)),
        (PaperKind::Acceptance, BUYERS[0], signed(), number(Fault::NotComplete)),
        (PaperKind::Acceptance, BUYERS[0], revoked(), over(Fault::Revoked, NOW)),
        (PaperKind::Acceptance, SELLER, receipted(), no(Fault::NotAllowed)),
        (PaperKind::Revocation, SELLER, revoked(), Ok(LATER)),
        (PaperKind::Revocation, SELLER, signed(), number(Fault::NotComplete)),
        (PaperKind::Revocation, SELLER, expired(), over(Fault::Expired, EXPIRES)),
        (PaperKind::Revocation, BUYERS[0], revoked(), no(Fault::NotAllowed)),
        (PaperKind::Destruction, BUYERS[0], signed(), Ok(LATER)),
        (PaperKind::Destruction, BUYERS[0], receipted(), Ok(LATER)),
        (PaperKind::Destruction, BUYERS[0], revoked(), Ok(LATER)),
        (PaperKind::Destruction, BUYERS[0], expired(), Ok(LATER)),
        (PaperKind::Destruction, BUYERS[0], complete(), no(Fault::NotAllowed)),
        (PaperKind::Destruction, BUYERS[1], receipted(), no(Fault::NotAllowed)),
        (PaperKind::Destruction, SELLER, receipted(), no(Fault::NotAllowed)),
    ];
    for (index, (kind, by, before, expected)) in cases.into_iter().enumerate() {
        let name = format!("case {index}, {kind:?}");
        let mut after = before.clone();
        assert_eq!(after.deposit(by, kind.number(), 9, DIGEST, LATER), expected, "{name}");
        if expected.is_ok() {
            // [S12.5]
            let once = after.clone();
            assert_eq!(after.deposit(by, kind.number(), 9, DIGEST, Millis(21)), expected, "{name}");
            assert_eq!(after, once, "{name}");
            for (bytes, digest) in [(9, digest(b"other")), (8, DIGEST)] {
                let answer = after.deposit(by, kind.number(), bytes, digest, Millis(21));
                assert_eq!(answer, over(Fault::Conflict, LATER), "{name}");
            }
            let record = PaperRecord { kind: kind.number(), time: LATER, bytes: 9, digest: DIGEST };
            assert_eq!(after.snapshot(0).papers.last(), Some(&record), "{name}");
            assert_eq!(after.events.last().unwrap().kind, EventKind::PaperDeposited, "{name}");
        } else {
            assert_eq!(after, before, "{name}");
        }
        assert!(after.is_sound(), "{name}");
    }
}

#[test] // [S13.14] [S3.1]
fn sizes_and_kinds_have_limits() {
    for (kind, most) in [(PaperKind::Agreement, 16 << 20), (PaperKind::Revocation, 64 << 10)] {
        let mut transfer = gated();
        if kind == PaperKind::Revocation {
            transfer.revoke(SELLER, NOW).unwrap();
        }
        let mut deposit = |bytes| transfer.deposit(SELLER, kind.number(), bytes, DIGEST, NOW);
        assert_eq!(deposit(0), no(Fault::BadMessage));
        assert_eq!(deposit(most + 1), Err(Refused::of(Fault::TooLarge).with_number(most)));
        assert_eq!(deposit(most), Ok(NOW));
    }
    for kind in [6, 255] {
        assert_eq!(gated().deposit(SELLER, kind, 9, DIGEST, NOW), no(Fault::BadMessage));
        assert_eq!(gated().collect(SELLER, kind, NOW), no(Fault::BadMessage));
    }
    let with_document = with(gated(), SELLER, PaperKind::Agreement);
    assert_eq!(with_document.reserved_bytes(), gated().reserved_bytes() + 9);
}

#[test] // [S13.14]
fn a_document_is_for_whoever_may_look_and_other_papers_for_the_two() {
    let document =
        |by, transfer: Transfer| with(transfer, SELLER, PaperKind::Agreement).collect(by, 0, LATER).map(drop);
    for by in [SELLER, BUYERS[0], BUYERS[1], STRANGER] {
        assert_eq!(document(by, gated()), Ok(()));
    }
    let mut taken = with(gated(), SELLER, PaperKind::Agreement);
    taken.claim(signed_claim(BUYERS[0], 0, 20), NOW).unwrap();
    for (by, expected) in [(SELLER, Ok(())), (BUYERS[0], Ok(())), (STRANGER, over(Fault::AlreadyClaimed, NOW))] {
        assert_eq!(taken.clone().collect(by, 0, LATER).map(drop), expected);
    }
    assert_eq!(gated().collect(STRANGER, 0, LATER).map(drop), no(Fault::NotFound));
    for (phase, fault, at) in [
        (Phase::Receipted, Fault::Receipted, NOW),
        (Phase::Revoked, Fault::Revoked, NOW),
        (Phase::Expired, Fault::Expired, EXPIRES),
    ] {
        assert_eq!(ended(taken.clone(), phase).collect(SELLER, 0, LATER).map(drop), over(fault, at));
    }
    let destroyed = with(receipted(), BUYERS[0], PaperKind::Destruction);
    for (by, expected) in [(SELLER, Ok(())), (BUYERS[0], Ok(())), (BUYERS[1], no(Fault::NotAllowed))] {
        assert_eq!(destroyed.clone().collect(by, 5, Millis(5000)).map(drop), expected);
    }
    assert_eq!(destroyed.clone().collect(SELLER, 3, LATER), no(Fault::NotFound));
}

#[test] // [S13.5] [S13.14]
fn the_share_goes_out_only_against_the_signed_agreement() {
    let claim = |agreement, sealed: Option<&[u8]>| {
        let prepared = Prepared::agreeing(terms().id, BUYERS[0], 0, 20, 1, agreement);
        prepared.checked().with_agreement(sealed.map(<[u8]>::to_vec))
    };
    let (right, other) = (Agreement::Of(AGREEMENT), Agreement::Of(Digest([14; 32])));
    let long = vec![0; limits::SEALED_AGREEMENT_BYTES_MAX + 1];
    for (name, agreement, sealed, expected) in [
        ("signed", right, Some(&b"signed"[..]), Ok(LATER)),
        ("as long as may be", right, Some(&long[1..]), Ok(LATER)),
        ("too long", right, Some(&long[..]), no(Fault::TooLarge)),
        ("empty", right, Some(&b""[..]), no(Fault::AgreementRequired)),
        ("named only", right, None, no(Fault::AgreementRequired)),
        ("another", other, Some(&b"signed"[..]), no(Fault::AgreementRequired)),
        ("none", Agreement::None, None, no(Fault::AgreementRequired)),
        ("not named", Agreement::None, Some(&b"signed"[..]), no(Fault::AgreementRequired)),
    ] {
        let mut transfer = gated();
        assert_eq!(transfer.claim(claim(agreement, sealed), LATER), expected, "{name}");
        assert_eq!(transfer.claim.is_some(), expected.is_ok(), "{name}");
        assert!(transfer.is_sound(), "{name}");
    }
    for (agreement, sealed) in [(right, None), (Agreement::None, Some(&b"signed"[..])), (right, Some(&b"signed"[..]))] {
        let mut transfer = complete();
        assert_eq!(
            transfer.claim(claim(agreement, sealed), LATER),
            no(Fault::ClaimRefused),
            "nothing was to be signed"
        );
    }
    let mut transfer = signed();
    assert_eq!(transfer.claim(claim(right, Some(b"sealed once more")), LATER), Ok(NOW), "repeated");
    assert_eq!(transfer.claim.unwrap().sealed_agreement.as_deref(), Some(&b"signed"[..]));
}

#[test] // [S13.15]
fn refusing() {
    let id = terms().id;
    let rows = vec![
        ("complete", gated(), Ok(LATER)),
        ("again", refused_by_buyer(), Ok(NOW)),
        ("no agreement", complete(), no(Fault::NotAllowed)),
        ("signed by this key", signed(), over(Fault::Conflict, NOW)),
        ("revoked", ended(gated(), Phase::Revoked), over(Fault::Revoked, NOW)),
        ("expired", ended(gated(), Phase::Expired), over(Fault::Expired, EXPIRES)),
    ];
    check(rows, |transfer| transfer.refuse(refusal_of(BUYERS[0]), LATER));
    for (name, mut transfer, refusal, expected) in [
        ("another refusal", refused_by_buyer(), refusal(id, BUYERS[0], b"other"), over(Fault::Conflict, NOW)),
        ("by another", refused_by_buyer(), refusal(id, BUYERS[1], b"refusal"), over(Fault::RefusedByBuyer, NOW)),
        ("signed by another", signed(), refusal(id, BUYERS[1], b"refusal"), over(Fault::AlreadyClaimed, NOW)),
        ("empty", gated(), refusal(id, BUYERS[0], b""), no(Fault::BadMessage)),
        ("long", gated(), refusal(id, BUYERS[0], &vec![0; 16 * 1024 + 1]), no(Fault::TooLarge)),
        ("elsewhere", gated(), refusal(TransferId([6; 16]), BUYERS[0], b"refusal"), no(Fault::ClaimRefused)),
    ] {
        assert_eq!(transfer.refuse(refusal, LATER), expected, "{name}");
    }
    let transfer = refused_by_buyer();
    assert_eq!((transfer.phase, transfer.ended), (Phase::Refused, Some(NOW)));
    assert_eq!(transfer.events.last().unwrap().kind, EventKind::RefusedByBuyer);
    assert_eq!(transfer.next_effect(), Some(Effect::EraseShare));
    assert_eq!(transfer.snapshot(0).refusal.unwrap().sealed_refusal, b"refusal");
    assert_eq!(refused_by_buyer().peek(BUYERS[1], LATER), over(Fault::RefusedByBuyer, NOW));
    assert_eq!(refused_by_buyer().claim(signed_claim(BUYERS[0], 0, 20), LATER), over(Fault::RefusedByBuyer, NOW));
}
