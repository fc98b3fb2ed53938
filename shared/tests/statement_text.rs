//! The text of statements: JSON of one fixed shape, and nothing that differs from it.
#![cfg(feature = "endpoint")]

mod common;

use common::World;
use handover_shared::ids::{Digest, Millis, Root, TransferId};
use handover_shared::proof::{
    self, ClaimText, Kind, LineProblem, OfferText, ProofFault, ReceiptText, SealText, Stamp, StatementFault,
};
use proptest::prelude::*;
use serde_json::json;

#[test] // [S10.1] [S10.2] [S10.3]
fn an_offer_in_full() {
    let world = World::new();
    let expected = format!(
        r#"{{
  "statement": "handover-offer/v1",
  "transfer": "a00102030405060708090a0b0c0d0e0f",
  "mode": "detached",
  "seller-key": "{}",
  "relay-key": "{}",
  "commit": "{}",
  "summary": "{}",
  "agreement": "none",
  "block-bytes": "1048576",
  "created": "2026-11-22T09:30:00Z",
  "expires": "2026-11-29T09:30:00Z"
}}
"#,
        world.seller.public().fingerprint(),
        proof::fingerprint_of_link_key(&common::RELAY),
        world.commit(),
        world.summary.digest(),
    );
    assert_eq!(world.offer.to_text(), expected);
    assert_eq!(OfferText::parse(&expected), Ok(world.offer));
}

#[test] // [S10.4] [S10.5] [S10.6]
fn the_keys_of_the_other_statements() {
    let world = World::new();
    let keys = |text: String| text.lines().filter_map(|line| line.split('"').nth(1)).collect::<Vec<_>>().join(" ");
    assert_eq!(
        keys(world.seal.to_text()),
        "statement transfer offer root entries files folders links exceptions bytes stream-blocks inventory sealed"
    );
    assert_eq!(
        keys(world.claim.to_text()),
        "statement transfer offer buyer-key link-key bundle agreement channel time"
    );
    assert_eq!(
        keys(world.receipt.to_text()),
        "statement transfer offer seal root entries files folders links exceptions bytes kept-existing seller-key \
         buyer-key relay-key agreement received verified"
    );
    assert_eq!(SealText::parse(&world.seal.to_text()), Ok(world.seal));
    assert_eq!(ClaimText::parse(&world.claim.to_text()), Ok(world.claim));
    assert_eq!(ReceiptText::parse(&world.receipt.to_text()), Ok(world.receipt));
    for kind in Kind::ALL {
        assert_eq!(kind.namespace().replace("-v1", "/v1"), kind.header());
    }
}

#[test] // [S10.1] [S10.2]
fn any_json_reader_understands_a_statement() {
    let world = World::new();
    let (seller, buyer) = (world.seller.public().fingerprint(), world.buyer.public().fingerprint());
    let relay = proof::fingerprint_of_link_key(&common::RELAY);
    let offer_id = proof::text_id(&world.offer.to_text()).to_hex();
    let transfer = "a00102030405060708090a0b0c0d0e0f";
    let offer = json!({
        "statement": "handover-offer/v1", "transfer": transfer, "mode": "detached", "seller-key": seller,
        "relay-key": relay, "commit": world.commit().to_hex(), "summary": world.summary.digest().to_hex(),
        "agreement": "none", "block-bytes": "1048576", "created": "2026-11-22T09:30:00Z",
        "expires": "2026-11-29T09:30:00Z",
    });
    let seal = json!({
        "statement": "handover-seal/v1", "transfer": transfer, "offer": offer_id, "root": "44".repeat(32),
        "entries": "6", "files": "3", "folders": "2", "links": "1", "exceptions": "0", "bytes": "123456789",
        "stream-blocks": "119", "inventory": "55".repeat(32), "sealed": "2026-11-22T09:31:00Z",
    });
    let claim = json!({
        "statement": "handover-claim/v1", "transfer": transfer, "offer": world.offer_digest().to_hex(),
        "buyer-key": buyer, "link-key": "22".repeat(32), "bundle": world.bundle().to_hex(), "agreement": "none",
        "channel": "33".repeat(32), "time": "2026-11-22T09:32:00Z",
    });
    let receipt = json!({
        "statement": "handover-receipt/v1", "transfer": transfer, "offer": offer_id,
        "seal": proof::text_id(&world.seal.to_text()).to_hex(), "root": "44".repeat(32), "entries": "6",
        "files": "3", "folders": "2", "links": "1", "exceptions": "0", "bytes": "123456789", "kept-existing": "1",
        "seller-key": seller, "buyer-key": buyer, "relay-key": relay, "agreement": "none",
        "received": "2026-11-22T09:33:00Z", "verified": "all",
    });
    let statements = [
        (world.offer.to_text(), offer),
        (world.seal.to_text(), seal),
        (world.claim.to_text(), claim),
        (world.receipt.to_text(), receipt),
    ];
    for (text, expected) in statements {
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, expected);
        // No key twice: a line for every value, and one for each brace.
        assert_eq!(text.lines().count(), read.as_object().unwrap().len() + 2);
    }
}

#[test] // [S10.1]
fn a_statement_has_one_opening_and_one_end() {
    let text = World::new().seal.to_text();
    let lines: Vec<&str> = text.lines().collect();
    let cases = [
        (String::new(), 1, LineProblem::Unfinished),
        ("\n".into(), 1, LineProblem::Header),
        ("{".into(), 1, LineProblem::Unfinished),
        ("{}\n".into(), 1, LineProblem::Header),
        ("{\n}\n".into(), 2, LineProblem::Missing),
        (format!("\n{text}"), 1, LineProblem::Header),
        (format!(" {text}"), 1, LineProblem::Header),
        (text.replacen("{\n  ", "{ ", 1), 1, LineProblem::Header),
        (format!("[{}]\n", text.trim_end()), 1, LineProblem::Header),
        (text.replace(['\n', ' '], ""), 1, LineProblem::Unfinished),
        (format!("\u{feff}{text}"), 1, LineProblem::Byte),
        (text.replace('\n', "\r\n"), 1, LineProblem::Byte),
        (text.replace('\n', "\r"), 1, LineProblem::Byte),
        (World::new().offer.to_text(), 2, LineProblem::Header),
        (text.replacen("seal/v1", "seal/v2", 1), 2, LineProblem::Header),
        (text.replacen("\"statement\"", "\"Statement\"", 1), 2, LineProblem::Key),
        (text.replacen(&format!("{}\n", lines[1]), "", 1), 2, LineProblem::Key),
        (text.replacen("seal/v1\",", "seal/v1\"", 1), 2, LineProblem::End),
        (text[..200].to_owned(), 5, LineProblem::Unfinished),
        (lines[..6].join("\n") + "\n", 7, LineProblem::Unfinished),
        (lines[..14].join("\n"), 14, LineProblem::Unfinished),
        (lines[..14].join("\n") + "\n", 15, LineProblem::Unfinished),
        (lines[..14].join("\n") + ",\n", 15, LineProblem::Unfinished),
        (text.trim_end().to_owned(), 15, LineProblem::Unfinished),
        (format!("{text}\n"), 16, LineProblem::Extra),
        (format!("{text}{{}}\n"), 16, LineProblem::Extra),
        (format!("{text}{text}"), 16, LineProblem::Extra),
        (format!("{text}x"), 16, LineProblem::Extra),
        (text.replacen("}\n", "} \n", 1), 15, LineProblem::Extra),
        (text.replacen("}\n", "}}\n", 1), 15, LineProblem::Extra),
        (text.replacen("}\n", "},\n", 1), 15, LineProblem::Extra),
        (text.replacen("Z\"\n", "Z\",\n  \"note\": \"hello\"\n", 1), 15, LineProblem::Extra),
        (text.replacen("Z\"\n", "Z\",\n  \"sealed\": \"2026-11-22T09:31:00Z\"\n", 1), 15, LineProblem::Extra),
        // The last line is not the last there, and so misses its comma.
        (text.replacen("Z\"\n", "Z\"\n\n", 1), 14, LineProblem::End),
        (text.replacen("\n}\n", "\n }\n", 1), 14, LineProblem::End),
        (text.replacen("\n}\n", "\n]\n", 1), 14, LineProblem::End),
        ("a".repeat(4096), 1, LineProblem::Unfinished),
        ("a".repeat(4097), 1, LineProblem::TooLong),
    ];
    for (altered, line, problem) in cases {
        assert_ne!(altered, text);
        assert_eq!(SealText::parse(&altered), Err(StatementFault { line, problem }), "{altered:?}");
    }
}

#[test] // [S10.1]
fn a_statement_has_4_kib_at_most() {
    let world = World::new();
    let longest = |bytes: usize| world.seal.to_text() + &"\n".repeat(bytes - world.seal.to_text().len());
    assert_eq!(SealText::parse(&longest(4096)), Err(StatementFault { line: 16, problem: LineProblem::Extra }));
    let too_long = StatementFault { line: 1, problem: LineProblem::TooLong };
    assert_eq!(SealText::parse(&longest(4097)), Err(too_long));
    let signature = proof::sign(Kind::Seal, &longest(4097), &world.seller).unwrap();
    let verified = proof::verify(Kind::Seal, &longest(4097), &signature);
    assert_eq!(verified, Err(ProofFault::Statement(too_long)));
}

#[test] // [S10.1]
fn a_line_has_one_form() {
    let text = World::new().seal.to_text();
    let whole = "  \"files\": \"3\",\n";
    let next = "  \"folders\": \"2\",\n";
    let cases = [
        // Lines missing, twice, swapped, joined, empty
        ("", LineProblem::Key),
        ("  \"files\": \"3\",\n  \"files\": \"3\",\n", LineProblem::Key),
        ("  \"folders\": \"2\",\n  \"files\": \"3\",\n", LineProblem::Key),
        ("  \"note\": \"hello\",\n  \"files\": \"3\",\n", LineProblem::Key),
        ("\n  \"files\": \"3\",\n", LineProblem::Key),
        ("  \"files\": \"3\", \"folders\": \"2\",\n", LineProblem::End),
        // Keys
        ("  \"Files\": \"3\",\n", LineProblem::Key),
        ("  \"file\": \"3\",\n", LineProblem::Key),
        ("  \"files \": \"3\",\n", LineProblem::Key),
        ("  \"\\u0066iles\": \"3\",\n", LineProblem::Key),
        ("  'files': \"3\",\n", LineProblem::Key),
        ("  files: \"3\",\n", LineProblem::Key),
        // White space
        ("\"files\": \"3\",\n", LineProblem::Key),
        (" \"files\": \"3\",\n", LineProblem::Key),
        ("    \"files\": \"3\",\n", LineProblem::Key),
        ("\t\"files\": \"3\",\n", LineProblem::Byte),
        ("  \"files\":\"3\",\n", LineProblem::Key),
        ("  \"files\" : \"3\",\n", LineProblem::Key),
        ("  \"files\":\t\"3\",\n", LineProblem::Byte),
        ("  \"files\":  \"3\",\n", LineProblem::Value),
        ("  \"files\":\n\"3\",\n", LineProblem::Key),
        ("  \"files\": \"3\" ,\n", LineProblem::End),
        ("  \"files\": \"3\", \n", LineProblem::End),
        ("  \"files\": \"3\"\n,\n", LineProblem::End),
        ("  \"files\": \"3\",\r\n", LineProblem::Byte),
        // Commas
        ("  \"files\": \"3\"\n", LineProblem::End),
        ("  \"files\": \"3\",,\n", LineProblem::End),
        ("  \"files\": \"3\";\n", LineProblem::End),
        ("  \"files\": \"3\", // three\n", LineProblem::End),
        ("  ,\"files\": \"3\",\n", LineProblem::Key),
        // Other values of JSON
        ("  \"files\": 3,\n", LineProblem::Value),
        ("  \"files\": null,\n", LineProblem::Value),
        ("  \"files\": {\"files\": \"3\"},\n", LineProblem::Value),
        ("  \"files\": [\"3\"],\n", LineProblem::Value),
        ("  \"files\": {\n  },\n", LineProblem::Value),
        ("  \"files\": ,\n", LineProblem::Value),
        ("  \"files\": \"3,\n", LineProblem::Value),
        ("  \"files\": 3\",\n", LineProblem::Value),
        ("  \"files\": '3',\n", LineProblem::Value),
        ("  },\n", LineProblem::Key),
    ];
    for (other, problem) in cases {
        assert_ne!(other, whole);
        let altered = text.replacen(whole, other, 1);
        let line = if other.starts_with(whole) { 8 } else { 7 };
        assert_eq!(SealText::parse(&altered), Err(StatementFault { line, problem }), "{other:?}");
    }
    let swapped = text.replacen(&[whole, next].concat(), &[next, whole].concat(), 1);
    assert_eq!(SealText::parse(&swapped), Err(StatementFault { line: 7, problem: LineProblem::Key }));
    let trailing = text.replacen("Z\"\n", "Z\",\n", 1);
    assert_eq!(SealText::parse(&trailing), Err(StatementFault { line: 14, problem: LineProblem::End }));
    let early = text.replacen(whole, "}\n", 1);
    assert_eq!(SealText::parse(&early), Err(StatementFault { line: 6, problem: LineProblem::End }));
    let closed = text.replacen("\",\n  \"sealed\"", "\"\n}\n  \"sealed\"", 1);
    assert_eq!(SealText::parse(&closed), Err(StatementFault { line: 14, problem: LineProblem::Missing }));
    let without_last = [text[..text.find(",\n  \"sealed\"").unwrap()].to_owned(), "\n}\n".into()].concat();
    assert_eq!(SealText::parse(&without_last), Err(StatementFault { line: 14, problem: LineProblem::Missing }));
}

#[test] // [S10.2]
fn a_value_has_one_form() {
    let world = World::new();
    let seal = world.seal.to_text();
    let offer = world.offer.to_text();
    let numbers = [
        "03",
        "+3",
        "-3",
        "-0",
        " 3",
        "3 ",
        "",
        "3.0",
        "3e0",
        "0x3",
        "3,0",
        "18446744073709551616",
        "\\u0033",
        "\\3",
        "3\\",
        "\\\"3",
        "3\\n",
        "none",
    ];
    for number in numbers {
        let altered = seal.replacen("\"files\": \"3\"", &format!("\"files\": \"{number}\""), 1);
        let fault = StatementFault { line: 7, problem: LineProblem::Value };
        assert_eq!(SealText::parse(&altered), Err(fault), "{number:?}");
    }
    // A quote ends the value; what is left of it is no end of a line.
    for (number, problem) in [("\"3", LineProblem::Value), ("3\"", LineProblem::End), ("3\"3", LineProblem::End)] {
        let altered = seal.replacen("\"files\": \"3\"", &format!("\"files\": \"{number}\""), 1);
        assert_eq!(SealText::parse(&altered), Err(StatementFault { line: 7, problem }), "{number:?}");
    }
    for wide in ["３", "3\u{7f}", "3\0", "3\t"] {
        let altered = seal.replacen("\"files\": \"3\"", &format!("\"files\": \"{wide}\""), 1);
        let fault = StatementFault { line: 7, problem: LineProblem::Byte };
        assert_eq!(SealText::parse(&altered), Err(fault), "{wide:?}");
    }
    for (from, to, line) in [
        ("\"handover-seal", "\"\\u0068andover-seal", 2),
        ("seal/v1", "seal\\/v1", 2),
        ("\"transfer\": \"a0", "\"transfer\": \"A0", 3),
        ("\"transfer\": \"a0", "\"transfer\": \"\\u00610", 3),
        ("\"root\": \"44", "\"root\": \"4", 5),
        ("\"root\": \"44", "\"root\": \"4444", 5),
        ("-22T", "-22 ", 14),
        ("Z\"", "+00:00\"", 14),
    ] {
        let altered = seal.replacen(from, to, 1);
        assert_ne!(altered, seal);
        let problem = if line == 2 { LineProblem::Header } else { LineProblem::Value };
        assert_eq!(SealText::parse(&altered), Err(StatementFault { line, problem }), "{to}");
    }
    // The last character of a fingerprint holds two bits that mean nothing; only zeros are the one form.
    let key = world.seller.public().fingerprint();
    let bits = key[..49].to_owned() + &char::from(key.as_bytes()[49] + 1).to_string();
    for (from, to, line) in [
        ("detached", "attended", 4),
        ("detached", "Detached", 4),
        ("\"agreement\": \"none\"", "\"agreement\": \"\"", 9),
        ("\"1048576\"", "\"1048577\"", 10),
        ("\"seller-key\": \"SHA256:", "\"seller-key\": \"SHA512:", 5),
        ("\"seller-key\": \"SHA256:", "\"seller-key\": \"sha256:", 5),
        (&key, &bits, 5),
        (&key, &format!("{key}="), 5),
    ] {
        let altered = offer.replacen(from, to, 1);
        assert_ne!(altered, offer);
        let fault = StatementFault { line, problem: LineProblem::Value };
        assert_eq!(OfferText::parse(&altered), Err(fault), "{to}");
    }
}

#[test] // [S10.1]
fn an_escaped_slash_is_another_text() {
    // Not every fingerprint holds a slash, hence many.
    let mut seen = 0;
    for byte in 0..64 {
        let offer = OfferText {
            relay_key: proof::Fingerprint::of_link_key(&handover_shared::ids::LinkKey([byte; 32])),
            ..World::new().offer
        };
        let key = offer.relay_key.to_string();
        let altered = offer.to_text().replacen(&key, &key.replace('/', "\\/"), 1);
        if key.contains('/') {
            seen += 1;
            let fault = StatementFault { line: 6, problem: LineProblem::Value };
            assert_eq!(OfferText::parse(&altered), Err(fault), "{key}");
            let read: serde_json::Value = serde_json::from_str(&altered).unwrap();
            assert_eq!(read["relay-key"], key, "the same for a JSON reader");
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test] // [S10.1]
fn lines_stand_once_and_in_order() {
    let text = World::new().seal.to_text();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let refused = |lines: &[&str]| {
        let altered = lines.concat();
        assert!(SealText::parse(&altered).is_err(), "{altered}");
    };
    for from in 0..lines.len() {
        let mut fewer = lines.clone();
        let taken = fewer.remove(from);
        refused(&fewer);
        for to in 0..lines.len() {
            let mut moved = fewer.clone();
            moved.insert(to, taken);
            let mut more = lines.clone();
            more.insert(to, taken);
            refused(&more);
            if to != from {
                refused(&moved);
            }
        }
    }
}

#[test] // [S10.1]
fn every_byte_of_a_statement_counts() {
    let text = World::new().claim.to_text();
    for place in 0..text.len() {
        for byte in (0..0x80).filter(|byte| *byte != text.as_bytes()[place]) {
            let mut altered = text.clone().into_bytes();
            altered[place] = byte;
            let altered = String::from_utf8(altered).unwrap();
            if let Ok(read) = ClaimText::parse(&altered) {
                assert_eq!(read.to_text(), altered);
                assert!(byte.is_ascii_alphanumeric() || b"+/".contains(&byte), "{altered}");
            }
        }
        let shorter = [&text[..place], &text[place + 1..]].concat();
        assert!(ClaimText::parse(&shorter).is_err(), "{shorter}");
    }
}

/// Any seal there may be.
fn any_seal() -> impl Strategy<Value = SealText> {
    (any::<[u8; 16]>(), any::<[u8; 32]>(), any::<[u64; 8]>()).prop_map(|(transfer, hash, numbers)| SealText {
        transfer: TransferId(transfer),
        offer: Digest(hash),
        root: Root(hash),
        inventory: Digest(hash),
        entries: numbers[0],
        files: numbers[1],
        folders: numbers[2],
        links: numbers[3],
        exceptions: numbers[4],
        bytes: numbers[5],
        stream_blocks: numbers[6],
        sealed: Stamp::from(Millis(numbers[7] % 253_402_300_800_000)),
    })
}

proptest! {
    #[test] // [S10.1]
    fn what_is_written_is_read(seal in any_seal()) {
        let text = seal.to_text();
        let as_json: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&as_json["bytes"], &json!(seal.bytes.to_string()));
        prop_assert_eq!(SealText::parse(&text), Ok(seal));
    }

    #[test] // [S10.1]
    fn what_is_read_is_written(
        seal in any_seal(),
        place: prop::sample::Index,
        removed in 0usize..3,
        added in "[ -~\n]{0,2}|[\",{}\\\\ \n0-9]{0,4}",
    ) {
        let mut text = seal.to_text();
        let from = place.index(text.len());
        text.replace_range(from..(from + removed).min(text.len()), &added);
        if let Ok(read) = SealText::parse(&text) {
            prop_assert_eq!(read.to_text(), text);
        }
    }
}
