//! Certificates of destruction and their witnesses: every line counts, nobody signs for somebody else, and what
//! contradicts itself is no certificate.
#![cfg(feature = "endpoint")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{OTHER_TID, World, destruction, fingerprint, witness};
use handover_shared::ids::{Digest, Millis, Root};
use handover_shared::proof::destruction::{
    DestructionText, NotCovered, Outcome, Saw, Scope, Side, Technique, Verification, WitnessText, check_destruction,
    check_witness,
};
use handover_shared::proof::{self, Identity, Kind, ProofFault, Written};

fn signed(text: &DestructionText, by: &Identity) -> (String, String) {
    let text = text.to_text();
    let signature = proof::sign(Kind::Destruction, &text, by).unwrap();
    (text, signature)
}

fn wording(text: &str) -> Written {
    Written::new("text", text, 255).unwrap()
}

#[test] // [S21.3]
fn a_certificate_in_full() {
    let world = World::new();
    let it = destruction(&world);
    let expected = format!(
        r#"{{
  "statement": "handover-destruction/v1",
  "transfer": "a00102030405060708090a0b0c0d0e0f",
  "side": "seller",
  "offer": "{}",
  "receipt": "{}",
  "root": "{}",
  "destroyer-key": "{}",
  "destroyer": "%E7%8E%8B%E5%B0%8F%E6%98%8E",
  "organisation": "Wang Appliances",
  "reason": "contract, clause 7: %22destroyed 100 %25%22",
  "host": "shop-1",
  "folder": "/srv/%E5%AE%A2%E6%88%B7",
  "media": "ext, rotating drive",
  "tool": "handover 0.1.0",
  "method": "clear",
  "technique": "overwrite-zeros-once, unlink, sync",
  "scope": "program-data, source-files",
  "items": "7",
  "bytes": "1200000",
  "source-files": "3",
  "source-bytes": "123456789",
  "source-kept": "1",
  "overwritten": "9",
  "remaining": "0",
  "started": "2026-11-22T09:30:00Z",
  "finished": "2026-11-22T09:31:00Z",
  "verification": "names-gone-after-reopening",
  "verdict": "pass",
  "not-covered": "snapshots, backups, flash-blocks, other-side",
  "relay-deletion": "none"
}}
"#,
        proof::text_id(&world.offer.to_text()).to_hex(),
        proof::text_id(&world.receipt.to_text()).to_hex(),
        world.seal.root.to_hex(),
        world.seller.public().fingerprint(),
    );
    assert_eq!(it.to_text(), expected);
    assert_eq!(DestructionText::parse(&expected), Ok(it.clone()));
    let (text, signature) = signed(&it, &world.seller);
    let verified = check_destruction(&text, &signature).unwrap();
    assert_eq!((verified.text(), verified.by()), (&it, &world.seller.public()));
}

#[test] // [S21.4]
fn a_witness_in_full() {
    let world = World::new();
    let it = witness(&world);
    let keys: Vec<_> = it.to_text().lines().filter_map(|line| line.split('"').nth(1).map(str::to_owned)).collect();
    assert_eq!(
        keys.join(" "),
        "statement transfer certificate verdict destroyer-key witness-key witness organisation saw time"
    );
    assert_eq!(WitnessText::parse(&it.to_text()), Ok(it));
}

/// A change of one line.
type Change<T> = fn(&mut T);

#[test] // [S21.3]
fn every_line_of_a_certificate_is_signed() {
    let world = World::new();
    let good = destruction(&world);
    let (text, signature) = signed(&good, &world.seller);
    let changes: [Change<DestructionText>; 28] = [
        |it| it.transfer = OTHER_TID,
        |it| it.side = Side::Buyer,
        |it| it.offer = Digest([9; 32]),
        |it| it.receipt = None,
        |it| it.root = Some(Root([9; 32])),
        |it| it.destroyer_key = fingerprint(&Identity::of_seed(&[77; 32])),
        |it| it.destroyer = wording("somebody else"),
        |it| it.organisation = None,
        |it| it.reason = None,
        |it| it.host = wording("another"),
        |it| it.folder = None,
        |it| it.media = wording("paper"),
        |it| it.tool = wording("another"),
        |it| {
            it.technique = Technique::Unlink;
            it.overwritten = 0;
        },
        |it| {
            it.scope = Scope::Machine;
            (it.source_files, it.source_bytes, it.source_kept) = (0, 0, 0);
            it.overwritten = 7;
        },
        |it| it.items = 8,
        |it| it.bytes = 1,
        |it| it.source_files = 4,
        |it| it.source_bytes = 1,
        |it| it.source_kept = 0,
        |it| it.overwritten = 8,
        |it| {
            it.remaining = 1;
            it.verdict = Outcome::Failed;
        },
        |it| it.started = Millis(1000).into(),
        |it| it.finished = Millis(u64::from(u32::MAX) * 1000).into(),
        |it| it.verdict = Outcome::Unknown,
        |it| it.relay_deletion = Some(Digest([8; 32])),
        |it| it.receipt = Some(Digest([8; 32])),
        |it| it.root = None,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut it = good.clone();
        change(&mut it);
        let altered = it.to_text();
        assert_ne!(altered, text, "{number}");
        assert_eq!(check_destruction(&altered, &signature), Err(ProofFault::Forged), "{number}");
    }
    // What has one word only cannot even be said otherwise.
    for (line, word) in [
        ("method", "clear"),
        ("verification", Verification::NamesGone.word()),
        ("not-covered", NotCovered::Usual.word()),
        ("statement", "handover-destruction/v1"),
    ] {
        let altered = text.replacen(&format!("\"{line}\": \"{word}\""), &format!("\"{line}\": \"x\""), 1);
        assert_ne!(altered, text, "{line}");
        assert!(matches!(check_destruction(&altered, &signature), Err(ProofFault::Statement(_))), "{line}");
    }
}

#[test] // [S21.3]
fn what_contradicts_itself_is_no_certificate_whoever_signs_it() {
    let world = World::new();
    let table: [(&str, Change<DestructionText>); 8] = [
        ("verdict", |it| it.remaining = 1),
        ("verdict", |it| it.verdict = Outcome::Failed),
        ("verdict", |it| {
            it.verdict = Outcome::Unknown;
            it.remaining = 3;
        }),
        ("scope", |it| it.scope = Scope::Machine),
        ("overwritten", |it| it.overwritten = 11),
        ("technique", |it| it.technique = Technique::Unlink),
        ("finished", |it| it.started = Millis(it.finished.millis().0 + 1000).into()),
        ("overwritten", |it| it.overwritten = u64::MAX),
    ];
    for (line, change) in table {
        let mut it = destruction(&world);
        change(&mut it);
        let (text, signature) = signed(&it, &world.seller);
        assert_eq!(check_destruction(&text, &signature), Err(ProofFault::Mismatch(line)));
    }
}

#[test] // [S21.3] [S21.4]
fn nobody_signs_for_somebody_else_or_for_another_purpose() {
    let world = World::new();
    let (text, signature) = signed(&destruction(&world), &world.seller);
    let certificate = check_destruction(&text, &signature).unwrap();
    let (_, by_other) = signed(&destruction(&world), &world.buyer);
    assert_eq!(check_destruction(&text, &by_other), Err(ProofFault::OtherSigner));
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Destruction) {
        let signature = proof::sign(kind, &text, &world.seller).unwrap();
        assert_eq!(check_destruction(&text, &signature), Err(ProofFault::Namespace), "{kind:?}");
    }
    let co_text = witness(&world).to_text();
    let co_signature = proof::sign(Kind::Witness, &co_text, &world.buyer).unwrap();
    let verified = check_witness(&certificate, &co_text, &co_signature).unwrap();
    assert_eq!(verified.by(), &world.buyer.public());
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Witness) {
        let signature = proof::sign(kind, &co_text, &world.buyer).unwrap();
        assert_eq!(check_witness(&certificate, &co_text, &signature), Err(ProofFault::Namespace), "{kind:?}");
    }
    // The two statements are not each other.
    assert!(matches!(check_destruction(&co_text, &co_signature), Err(ProofFault::Statement(_))));
    assert!(matches!(check_witness(&certificate, &text, &signature), Err(ProofFault::Statement(_))));
    // The destroyer signs as witness, under the witness's key or under its own.
    let by_destroyer = proof::sign(Kind::Witness, &co_text, &world.seller).unwrap();
    assert_eq!(check_witness(&certificate, &co_text, &by_destroyer), Err(ProofFault::OtherSigner));
    let own = WitnessText { witness_key: fingerprint(&world.seller), ..witness(&world) }.to_text();
    let own_signature = proof::sign(Kind::Witness, &own, &world.seller).unwrap();
    assert_eq!(check_witness(&certificate, &own, &own_signature), Err(ProofFault::Mismatch("witness-key")));
}

#[test] // [S21.4]
fn every_line_of_a_witness_counts() {
    let world = World::new();
    let (text, signature) = signed(&destruction(&world), &world.seller);
    let certificate = check_destruction(&text, &signature).unwrap();
    let good = witness(&world);
    let co_signature = proof::sign(Kind::Witness, &good.to_text(), &world.buyer).unwrap();
    let table: [(Option<&'static str>, Change<WitnessText>); 9] = [
        (Some("transfer"), |it| it.transfer = OTHER_TID),
        (Some("certificate"), |it| it.certificate = Digest([1; 32])),
        (Some("verdict"), |it| it.verdict = Outcome::Unknown),
        (Some("destroyer-key"), |it| it.destroyer_key = fingerprint(&Identity::of_seed(&[77; 32]))),
        (None, |it| it.witness_key = fingerprint(&Identity::of_seed(&[77; 32]))),
        (None, |it| it.witness = wording("somebody else")),
        (None, |it| it.organisation = Some(wording("a firm"))),
        (None, |it| it.saw = Saw::Certificate),
        (None, |it| it.time = Millis(1000).into()),
    ];
    for (line, change) in table {
        let mut it = good.clone();
        change(&mut it);
        let text = it.to_text();
        let fault = check_witness(&certificate, &text, &co_signature).unwrap_err();
        assert_eq!(fault, line.map_or(ProofFault::Forged, ProofFault::Mismatch), "{line:?}");
        // A good signature does not help what is said of another certificate.
        if let Some(line) = line {
            let signature = proof::sign(Kind::Witness, &text, &world.buyer).unwrap();
            assert_eq!(check_witness(&certificate, &text, &signature), Err(ProofFault::Mismatch(line)));
        }
    }
    // Nor what belongs to a certificate of the same transfer that says something else.
    let other = DestructionText { items: 6, ..destruction(&world) };
    let (text, signature) = signed(&other, &world.seller);
    let other = check_destruction(&text, &signature).unwrap();
    let fault = check_witness(&other, &good.to_text(), &co_signature);
    assert_eq!(fault, Err(ProofFault::Mismatch("certificate")));
}
