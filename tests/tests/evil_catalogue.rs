//! A hostile seller's catalogue, tail, seal and offer: what they say is compared with what came, and no receipt is given
//! for a lie.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use handover_shared::ids::BlockSize;
use handover_shared::keys::OsEntropy;
use handover_shared::keys::schedule::ContentKey;
use handover_tests::double::cage::Cage;
use handover_tests::double::seller::{Pretence, other_identity};
use handover_tests::double::seller_archive::{Archive, Closing, Fields, page, record};
use handover_tests::{data, faults_table};

/// Writes an archive by hand.
type Write = Box<dyn Fn(&mut Archive)>;

#[test] // [S9.1] [S9.3] [S9.4] [S9.5]
fn a_catalogue_and_a_tail_that_lie() {
    let cage = Cage::new();
    let hash: [u8; 32] = blake3::hash(b"one").into();
    let base = |archive: &mut Archive| archive.file("a", b"one");
    let pages: [(&str, Vec<u8>); 6] = [
        ("a page that says 2^32 lines and has none", page(0, 1 << 32, &[])),
        ("a page that says 2^63 lines", page(0, 1 << 63, b"x")),
        ("a page that begins elsewhere", page(5, 0, &[])),
        ("an empty page", page(0, 0, &[])),
        ("a page that is no page", b"not a page".to_vec()),
        ("a page of a million lines", page(0, 1_000_000, &vec![0x80; 1_000_000])),
    ];
    for (what, body) in pages {
        let code = cage.evil.upload(|archive| {
            base(archive);
            archive.claim_page(body);
        });
        cage.refused(what, &code, &["a"]);
    }
    for (what, lie) in [
        ("another content", record(&Fields::file("a", 3), 3, Some(&[9; 32]))),
        ("another size", record(&Fields::file("a", 4), 4, Some(&hash))),
        ("another name", record(&Fields::file("b", 3), 3, Some(&hash))),
        ("another kind", record(&Fields::folder("a"), 0, None)),
    ] {
        let code = cage.evil.upload(|archive| {
            base(archive);
            archive.relist(lie);
        });
        cage.refused(&format!("a catalogue with {what}"), &code, &["a"]);
    }
    let code = cage.evil.upload(|archive| {
        base(archive);
        archive.claim_record(&record(&Fields::file("b", 3), 3, Some(&hash)));
    });
    cage.refused("a catalogue with an entry that never came", &code, &["a"]);
    for number in 0..11 {
        let code = cage.evil.upload_as(&Pretence::default(), BlockSize::Small, base, |closing| match number {
            0..=3 => closing.counts[number] += 1,
            4 => closing.entries += 1,
            5 => closing.bytes += 1,
            6 => closing.root[0] ^= 1,
            7 => closing.catalogue.0 += 1,
            8 => closing.catalogue.1 += 1,
            9 => closing.stream_blocks += 1,
            _ => closing.bytes = u64::MAX,
        });
        cage.refused(&format!("a tail with lie {number}"), &code, &["a"]);
    }
    let forged = Pretence { seal_signer: Some(other_identity()), ..Pretence::default() };
    let code = cage.evil.upload_as(&forged, BlockSize::Small, base, |_| {});
    cage.refused("a seal that somebody else signed", &code, &["a"]);
    faults_table::record("seller", "catalogues, tails and seals that lie", 23, "refused, exit 8; no receipt");
    let shown = cage.buyer.run(["receipt", "show", "1"]);
    assert!(shown.code != Some(0), "a receipt for a lie\n{shown}");
}

#[test] // [S9.3] [S9.4] [S15.6]
fn a_catalogue_read_in_advance_is_no_safer() {
    // Something is in the destination already, so the catalogue is read before anything else.
    let cage = Cage::new();
    let hash: [u8; 32] = blake3::hash(b"one").into();
    let listed = record(&Fields::file("a", 3), 3, Some(&hash));
    let cases: [(&str, Write, u64, u64); 4] = [
        (
            "one name ten thousand times",
            Box::new(move |a| {
                a.file("a", b"one");
                (0..10_000).for_each(|_| a.claim_record(&listed));
            }),
            0,
            0,
        ),
        ("a stream of 2^60 blocks", Box::new(|a| a.file("a", b"one")), 1 << 60, 0),
        ("a catalogue behind the end", Box::new(|a| a.file("a", b"one")), 0, 1 << 40),
        ("a page that says 2^32 lines", Box::new(|a| a.claim_page(page(0, 1 << 32, &[]))), 0, 0),
    ];
    for (what, write, blocks, catalogue) in &cases {
        let close = |closing: &mut Closing| {
            closing.stream_blocks += blocks;
            closing.catalogue.0 += catalogue;
        };
        let code = cage.evil.upload_as(&Pretence::default(), BlockSize::Small, write, close);
        let out = cage.new_out();
        data::write(out.join("a"), b"one");
        data::write(out.join("mine"), b"mine");
        let ended = cage.buyer.handover(["pull", &code, "--yes", "--no-input", "--conflict", "fail", "--out"]);
        let ended = ended.arg(&out).run();
        cage.check(what, &ended);
        assert!(ended.code == Some(8), "{what}\n{ended}");
        assert_eq!(std::fs::read(out.join("a")).unwrap(), b"one", "{what}");
    }
}

#[test] // [S4.5] [S10.8] [S8.2]
fn one_commitment_opens_one_key() {
    let cage = Cage::new();
    let key = || Some(ContentKey::generate(&mut OsEntropy));
    let write = |archive: &mut Archive| archive.file("a", b"one");
    let other = ContentKey::generate(&mut OsEntropy);
    let lies = [
        ("the offer commits to another key", Pretence { committed: key(), ..Pretence::default() }),
        ("the envelope holds another key", Pretence { enveloped: key(), ..Pretence::default() }),
        (
            "the blocks are sealed under another key",
            Pretence { committed: Some(other.duplicate()), enveloped: Some(other), ..Pretence::default() },
        ),
        ("somebody else signed the offer", Pretence { offer_signer: Some(other_identity()), ..Pretence::default() }),
    ];
    let count = lies.len() as u64;
    for (what, pretence) in lies {
        let code = cage.evil.upload_as(&pretence, BlockSize::Small, write, |_| {});
        cage.refused(what, &code, &[]);
    }
    faults_table::record("seller", "two keys for one commitment, a forged offer", count, "refused, exit 8");
}
