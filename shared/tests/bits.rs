//! Every bit of every small thing that is signed, sealed or read as a head, flipped one at a time. Of what is signed or
//! sealed nothing altered is taken; of what is only encoded nothing altered has the meaning it had.
#![cfg(feature = "endpoint")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail like that")]

mod common;

use common::{CHANNEL, LINK, NOW, TID, World, counted, secret};
use handover_shared::archive::block::{OpenedBlock, Payload, seal_block};
use handover_shared::archive::catalogue::{Location, Tail};
use handover_shared::archive::frame::{FRAME_HEAD_BYTES, FrameHead, Level, Packer};
use handover_shared::archive::item::{self, Entry, EntryEnd, EntryKind, Exception, Mtime, Reason};
use handover_shared::archive::manifest::Counts;
use handover_shared::archive::path::EntryPath;
use handover_shared::ids::{BlockIndex, BlockSize, ContentHash, Root};
use handover_shared::invite::Invite;
use handover_shared::keys::code::{RelayAddress, Ticket, WordList};
use handover_shared::keys::hybrid;
use handover_shared::keys::schedule::{open_envelope, seal_envelope};
use handover_shared::proof::{self, ClaimCheck, ClaimText, KeptOffer, Kind, OfferText, ReceiptText, SealText};
use zeroize::Zeroizing;

/// The part of anything that is flipped bit by bit.
const BYTES_MAX: usize = 4096;

/// Everything once, with one bit flipped, and where.
fn flipped(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len().min(BYTES_MAX) * 8).map(|bit| {
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        (bit, altered)
    })
}

/// The same of a text, where the result is one.
fn flipped_text(text: &str) -> impl Iterator<Item = (usize, String)> {
    flipped(text.as_bytes()).filter_map(|(bit, bytes)| Some((bit, String::from_utf8(bytes).ok()?)))
}

/// How many alterations are taken.
fn taken<T>(altered: impl Iterator<Item = (usize, T)>, is_taken: impl Fn(&T) -> bool) -> Vec<usize> {
    let (mut tried, mut taken) = (0, Vec::new());
    for (bit, altered) in altered {
        tried += 1;
        if is_taken(&altered) {
            taken.push(bit);
        }
    }
    assert!(tried > 0, "nothing was tried");
    taken
}

const NONE: [usize; 0] = [];

#[test] // [S10.1] [S2.3]
fn no_altered_statement_has_the_meaning_it_had_or_its_signature() {
    let world = World::new();
    let relay = common::relay_identity();
    let texts = [
        (Kind::Offer, world.offer.to_text(), &world.seller),
        (Kind::Seal, world.seal.to_text(), &world.seller),
        (Kind::Claim, world.claim.to_text(), &world.buyer),
        (Kind::Receipt, world.receipt.to_text(), &world.buyer),
        (Kind::Agreement, common::agreement(&world).to_text(), &world.buyer),
        (Kind::Refusal, common::refusal(&world).to_text(), &world.buyer),
        (Kind::Destruction, common::destruction(&world).to_text(), &world.seller),
        (Kind::Witness, common::witness(&world).to_text(), &world.buyer),
        (Kind::LogHead, common::log_head().to_text(), &relay),
        (Kind::Deletion, common::deletion().to_text(), &relay),
    ];
    for (kind, text, by) in texts {
        let signature = proof::sign(kind, &text, by).unwrap();
        let means_the_same = |altered: &String| match kind {
            Kind::Offer => OfferText::parse(altered).is_ok_and(|it| it == world.offer),
            Kind::Seal => SealText::parse(altered).is_ok_and(|it| it == world.seal),
            Kind::Claim => ClaimText::parse(altered).is_ok_and(|it| it == world.claim),
            Kind::Receipt => ReceiptText::parse(altered).is_ok_and(|it| it == world.receipt),
            Kind::Agreement => proof::AgreementText::parse(altered).is_ok_and(|it| it == common::agreement(&world)),
            Kind::Refusal => proof::RefusalText::parse(altered).is_ok_and(|it| it == common::refusal(&world)),
            Kind::Destruction => {
                proof::destruction::DestructionText::parse(altered).is_ok_and(|it| it == common::destruction(&world))
            }
            Kind::Witness => {
                proof::destruction::WitnessText::parse(altered).is_ok_and(|it| it == common::witness(&world))
            }
            Kind::LogHead => proof::LogHeadText::parse(altered).is_ok_and(|it| it == common::log_head()),
            Kind::Deletion => proof::DeletionText::parse(altered).is_ok_and(|it| it == common::deletion()),
        };
        assert_eq!(taken(flipped_text(&text), means_the_same), NONE, "{kind:?}");
        let verifies = |altered: &String| proof::verify(kind, altered, &signature).is_ok();
        assert_eq!(taken(flipped_text(&text), verifies), NONE, "{kind:?}, text");
        let verifies = |altered: &String| proof::verify(kind, &text, altered).is_ok();
        assert_eq!(taken(flipped_text(&signature), verifies), NONE, "{kind:?}, signature");
    }
}

#[test] // [S10.7] [S10.8]
fn no_altered_offer_opens() {
    let world = World::new();
    let opens = |sealed: &Vec<u8>| proof::open_offer(&world.keys, sealed, &TID).is_ok();
    assert!(opens(&world.sealed_offer));
    assert_eq!(taken(flipped(&world.sealed_offer), opens), NONE);
    let (statement, summary) = (world.offer.to_text(), world.summary.to_bytes());
    let signature = proof::sign(Kind::Offer, &statement, &world.seller).unwrap();
    let kept = KeptOffer { statement, signature, summary, sealed_digest: world.offer_digest() };
    let opens = |summary: &Vec<u8>| proof::reopen_offer(KeptOffer { summary: summary.clone(), ..kept.clone() }, &TID);
    assert!(opens(&kept.summary).is_ok());
    assert_eq!(taken(flipped(&kept.summary), |summary| opens(summary).is_ok()), NONE);
}

#[test] // [S10.5] [S13.5]
fn no_altered_claim_is_accepted() {
    let world = World::new();
    let (text, by_identity, by_claim_key) = world.signed_claim(&world.claim);
    let public = world.hybrid.public();
    let check = ClaimCheck {
        transfer: TID,
        offer_digest: world.offer_digest(),
        claim_key: world.claim_key(),
        link_key: LINK,
        hybrid: &public,
        channel: Some(&CHANNEL),
    };
    let holds = |text: &str, one: &str, two: &str| proof::check_claim(&check, text, one, two).is_ok();
    assert!(holds(&text, &by_identity, &by_claim_key));
    assert_eq!(taken(flipped_text(&text), |text| holds(text, &by_identity, &by_claim_key)), NONE);
    assert_eq!(taken(flipped_text(&by_identity), |one| holds(&text, one, &by_claim_key)), NONE);
    assert_eq!(taken(flipped_text(&by_claim_key), |two| holds(&text, &by_identity, two)), NONE);
}

#[test] // [S10.9] [S10.10]
fn no_altered_receipt_is_taken() {
    let world = World::new();
    let key = world.content.receipt_key(&TID);
    let bundle = world.receipt_bundle();
    let sealed = proof::seal_receipt(&key, &TID, &bundle, counted(1)).unwrap();
    let opens = |sealed: &Vec<u8>| proof::open_receipt(&key, &TID, sealed).is_ok();
    assert!(opens(&sealed));
    assert_eq!(taken(flipped(&sealed), opens), NONE);
    let holds = |text: &String| world.check_signed_receipt(text, &bundle.signature).is_ok();
    assert!(holds(&bundle.text));
    // Every check makes a claim anew, so one bit of each byte has to do.
    let some = flipped_text(&bundle.text).filter(|(bit, _)| bit % 8 == (bit / 8) % 7);
    assert_eq!(taken(some, holds), NONE);
}

#[test] // [S4.5] [S4.7]
fn no_altered_envelope_or_share_opens() {
    let world = World::new();
    let digest = world.offer_digest();
    let envelope = seal_envelope(&world.keys.psk, &world.share, &TID, &digest, &world.content, counted(2));
    let opens = |envelope: &Vec<u8>| {
        open_envelope(&world.keys.psk, &world.share, &TID, &digest, envelope, &world.commit()).is_ok()
    };
    assert!(opens(&envelope));
    assert_eq!(taken(flipped(&envelope), opens), NONE);
    let bundle = world.bundle();
    let released =
        hybrid::release_share(&world.hybrid.public(), &TID, &bundle, &world.share, &mut common::Counting(9)).unwrap();
    let opens = |encapsulated: &[u8], sealed: &[u8]| {
        hybrid::accept_share(&world.hybrid, &TID, &bundle, encapsulated, sealed).is_ok()
    };
    assert!(opens(&released.encapsulated, &released.sealed));
    assert_eq!(taken(flipped(&released.sealed), |sealed| opens(&released.encapsulated, sealed)), NONE);
    // Decapsulation is slow: one bit of each byte, another one from byte to byte.
    let some = flipped(&released.encapsulated).filter(|(bit, _)| bit % 8 == (bit / 8) % 8);
    assert_eq!(taken(some, |encapsulated| opens(encapsulated, &released.sealed)), NONE);
}

#[test] // [S5.1] [S5.2] [S5.5]
fn an_altered_code_or_invite_is_never_another() {
    let world = World::new();
    let forms = [world.code.to_text().to_string(), world.code.to_words(WordList::English).to_string()];
    for form in &forms {
        let is_another = |text: &String| Ticket::parse(text).is_ok_and(|it| it.code.expose() != world.code.expose());
        let others = taken(flipped_text(form), is_another);
        // Words have five bits of check alone: a word that becomes another word can pass.
        assert!(others.is_empty() || form.contains(' ') && others.len() <= 1, "{others:?}");
    }
    let invite = Invite {
        relay_key: common::RELAY,
        secret: Zeroizing::new(counted(7)),
        address: RelayAddress { host: "relay.example".into(), port: 4433 },
    };
    let text = invite.to_text();
    let token = text.split_once('@').unwrap().0;
    let is_another = |token: &String| {
        let read = Invite::parse(&format!("{token}@relay.example"));
        read.is_ok_and(|read| read.relay_key != invite.relay_key || read.secret != invite.secret)
    };
    assert_eq!(taken(flipped_text(token), is_another), NONE);
}

#[test] // [S4.2] [S8.2]
fn no_altered_block_opens() {
    let (key, size) = (secret::<32>(3), BlockSize::Small);
    let mut payload = vec![0, 1, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5];
    payload.resize(size.payload_bytes(), 0);
    let mut sealed = Vec::new();
    seal_block(key.expose(), &TID, BlockIndex(1), counted(4), &payload, &mut sealed);
    let opens = |sealed: &Vec<u8>| OpenedBlock::open(key.expose(), &TID, BlockIndex(1), size, sealed.clone()).is_ok();
    assert!(opens(&sealed));
    // Salt and commitment in full; of the rest one bit here and there, to its end.
    let head = flipped(&sealed).take_while(|(bit, _)| *bit < 64 * 8);
    assert_eq!(taken(head, opens), NONE);
    for at in (64..sealed.len()).step_by(61).chain([sealed.len() - 1]) {
        let mut altered = sealed.clone();
        altered[at] ^= 1 << (at % 8);
        assert!(!opens(&altered), "byte {at}");
    }
}

#[test] // [S6.1] [S7.1] [S8.3] [S9.4]
fn no_altered_head_means_the_same() {
    let mut payload = vec![0, 1, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5];
    payload.resize(BlockSize::Small.payload_bytes(), 0);
    let parsed = Payload::parse(&payload, BlockSize::Small).unwrap();
    let is_same = |other: &Vec<u8>| Payload::parse(other, BlockSize::Small).is_ok_and(|other| other == parsed);
    assert_eq!(taken(flipped(&payload).take_while(|(bit, _)| *bit < 20 * 8), is_same), NONE);

    let frame = Packer::new(Level::DEFAULT).unwrap().pack(b"a row of customers\n".repeat(50)).unwrap();
    let head: [u8; FRAME_HEAD_BYTES] = frame.head().to_bytes();
    let is_same = |other: &Vec<u8>| FrameHead::parse(other.first_chunk().unwrap()).is_ok_and(|it| it == frame.head());
    assert_eq!(taken(flipped(&head), is_same), NONE);

    let counts = Counts { files: 1, folders: 2, links: 3, exceptions: 4, bytes: 5 };
    let (root, catalogue) = (Root([6; 32]), Location { block: BlockIndex(7), offset: 8 });
    let seal_signature = "signature".into();
    let tail = Tail { stream_blocks: 9, counts, root, catalogue, seal_text: "seal".into(), seal_signature };
    let bytes = tail.to_bytes().unwrap();
    assert_eq!(taken(flipped(&bytes), |other| Tail::parse(other).is_ok_and(|other| other == tail)), NONE);

    let raw = every_item();
    let found = |raw: &[u8]| item::items(raw).map(|found| found.map(|found| format!("{found:?}"))).collect::<Vec<_>>();
    let all: Vec<_> = item::items(&raw).collect();
    let is_same = |other: &Vec<u8>| item::items(other).collect::<Vec<_>>() == all;
    assert_eq!(taken(flipped(&raw), is_same), NONE, "{:?}", found(&raw));
}

fn every_item() -> Vec<u8> {
    let path = |text: &str| EntryPath::parse(text.as_bytes()).unwrap();
    let mtime = Mtime { seconds: NOW.0 as i64 / 1000, nanos: 999_999_999 };
    let mut raw = Vec::new();
    let entry = Entry { path: path("a/b"), kind: EntryKind::File, mode: 0o644, mtime, size: Some(3), target: None };
    item::write_entry(&entry, &mut raw);
    item::write_data(b"abc", &mut raw);
    item::write_end(&EntryEnd::Whole { size: 3, hash: ContentHash([1; 32]) }, &mut raw);
    item::write_end(&EntryEnd::Void, &mut raw);
    item::write_exception(&Exception { path: path("客户"), reason: Reason::Vanished }, &mut raw);
    raw
}
