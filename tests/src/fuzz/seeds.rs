//! Where fuzzing begins: an input for every choice a target has, most of them out of the vectors of the SPEC.

use std::fs;

use handover_shared::archive::frame::{Level, Packer};
use handover_shared::archive::item::{self, Entry, EntryEnd, EntryKind, Exception, Mtime, Reason};
use handover_shared::archive::path::{EntryPath, Target};
use handover_shared::codec;
use handover_shared::ids::{ContentHash, unhex};
use handover_shared::protocol::message::HEADER_BYTES;

use super::samples;
use super::take::Take;
use crate::data::Dice;
use crate::programs;

/// The inputs of one target, by name.
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    match target {
        "messages" => messages(),
        "statements" => statements(),
        "archive" => archive(),
        "display" => display(),
        "machines" => chance(3, 24, 300),
        _ => chance(8, 24, 600),
    }
}

/// Bytes of a seed behind each choice.
fn chance(choices: u8, each: u64, length: usize) -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for choice in 0..choices {
        for number in 0..each {
            let mut dice = Dice::new(number, "fuzz");
            let mut input = vec![choice];
            input.extend((0..length).map(|_| dice.below(256) as u8));
            seeds.push((format!("chance-{choice}-{number}"), input));
        }
    }
    seeds
}

fn messages() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |name: String, bytes: &[u8]| {
        seeds.push((format!("{name}-body"), [&[0, bytes[4]], &bytes[HEADER_BYTES..]].concat()));
        seeds.push((format!("{name}-frame"), [&[1], bytes].concat()));
    };
    for (name, bytes) in all_messages(1) {
        add(name, &bytes);
    }
    seeds.extend(chance(3, 4, 400).split_off(8));
    seeds
}

/// One message of every kind, whole, made of the dice of a seed.
pub fn all_messages(seed: u64) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for kind in 0..samples::REQUESTS.max(samples::REPLIES) as u8 {
        let mut dice = Dice::new(seed, "messages");
        let mut bytes = vec![kind];
        bytes.extend((0..1500).map(|_| dice.below(256) as u8));
        if u64::from(kind) < samples::REQUESTS {
            let request = samples::request(&mut Take::new(&bytes));
            all.push((request.name().to_lowercase(), request.to_bytes()));
        }
        if u64::from(kind) < samples::REPLIES {
            let reply = samples::reply(&mut Take::new(&bytes));
            all.push((reply.name().to_lowercase(), reply.to_bytes()));
        }
    }
    all
}

/// The fields of all vectors, each as whatever it may be.
fn statements() -> Vec<(String, Vec<u8>)> {
    const BY_TEXT: [u8; 6] = [0, 2, 3, 4, 5, 10];
    const BY_BYTES: [u8; 4] = [6, 7, 8, 9];
    let mut seeds = Vec::new();
    for (vector, fields) in vectors() {
        let text = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice());
        if let (Some(text), Some(signature)) = (text("text"), text("signature")) {
            seeds.push((format!("{vector}-signed"), [&[1], text, b"\n\n", signature].concat()));
        }
        for (name, value) in &fields {
            if value.len() > 2000 || name == "operation" || name == "expect" {
                continue;
            }
            let choices = if value.is_ascii() { &BY_TEXT[..] } else { &BY_BYTES[..] };
            // One choice for each, in turn, keeps the number of seeds small; the fuzzer tries the others.
            let choice = choices[seeds.len() % choices.len()];
            seeds.push((format!("{vector}-{name}"), [&[choice], value.as_slice()].concat()));
        }
    }
    for (number, line) in ["127.0.0.1:4433", "[::1]:9", "relay.shop.example", "2026-11-22T09:30:00Z"].iter().enumerate()
    {
        seeds.push((format!("small-{number}"), [&[5], line.as_bytes()].concat()));
    }
    for vector in ["statement-claim", "statement-offer", "statement-receipt", "statement-seal"] {
        let found = vectors().into_iter().find(|(name, _)| name == vector);
        let text = found.and_then(|(_, fields)| fields.into_iter().find(|(key, _)| key == "text"));
        if let Some((_, text)) = text {
            seeds.push((format!("{vector}-whole"), [&[0], text.as_slice()].concat()));
            seeds.push((format!("{vector}-as-claim"), [&[10], text.as_slice()].concat()));
        }
    }
    seeds.push(("summary".into(), [&[8], summary().as_slice()].concat()));
    seeds.extend(chance(12, 3, 400).split_off(33));
    seeds
}

fn summary() -> Vec<u8> {
    codec::encode(&handover_shared::proof::Summary {
        label: "customers".into(),
        seller_name: "Wang".into(),
        organisation: Some("Wang Appliances".into()),
        files: 3,
        folders: 1,
        links: 0,
        bytes: Some(1 << 40),
        hidden: 0,
        document: None,
        executable: 0,
        biggest: vec![handover_shared::proof::Biggest { name: "orders".into(), bytes: 1, files: 1 }],
    })
}

type Fields = Vec<(String, Vec<u8>)>;

/// The vector files and their fields, bytes and texts alike.
fn vectors() -> Vec<(String, Fields)> {
    let folder = programs::source_tree().join("shared/tests/vectors");
    let mut vectors = Vec::new();
    for entry in fs::read_dir(folder).expect("the vectors are there").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|end| end != "txt") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a vector is text");
        let body = text.split_once("\n\n").map_or("", |(_, body)| body);
        let fields = body.lines().filter_map(|line| match line.split_once(" = ") {
            Some((name, value)) => Some((name.to_owned(), value.as_bytes().to_vec())),
            None => line.split_once(':').and_then(|(name, hex)| Some((name.to_owned(), unhex(hex.trim())?))),
        });
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
        vectors.push((name.unwrap_or_default(), fields.collect()));
    }
    vectors.sort();
    vectors
}

fn archive() -> Vec<(String, Vec<u8>)> {
    let raw = raw_items();
    let mut seeds = vec![("items".to_owned(), [&[1], raw.as_slice()].concat())];
    for (name, level) in [("stored", Level::STORED), ("packed", Level::DEFAULT)] {
        let raw = [raw.clone(), data_item(&b"a row of customers\n".repeat(40))].concat();
        let frame = Packer::new(level).and_then(|mut packer| packer.pack(raw)).expect("it can be packed");
        let wire = [&frame.head().to_bytes()[..], frame.body()].concat();
        seeds.push((format!("frame-{name}"), [&[2], wire.as_slice()].concat()));
        seeds.push((format!("head-{name}"), [&[3], wire.as_slice()].concat()));
        let used = (wire.len() as u32).to_be_bytes();
        seeds.push((format!("block-{name}"), [&[8, 0, 1, 0, 0], &used[..], wire.as_slice()].concat()));
    }
    let paths: [&[u8]; 8] = [
        b"a/b\xffa/c\xff../x",
        b"../a\xff/a\xff/etc/passwd",
        b"a//b\xffa/./b\xffb/../../x",
        b"a\xffa/b\xff..",
        b"a/b/c\xffa b\xff../../x",
        b"C:\\windows\xff..\\..\xff\\\\host",
        b"a\0b\xff.\xff.",
        "客户/资料.csv\u{0}".as_bytes(),
    ];
    seeds.extend(paths.iter().enumerate().map(|(at, path)| (format!("path-{at}"), [&[0], *path].concat())));
    for found in item::items(&raw).flatten() {
        let head = found.offset as usize + item::ITEM_HEAD_BYTES;
        let length = raw[head - 1] as usize;
        seeds.push((format!("record-{}", found.offset), [&[6], &raw[head..head + length]].concat()));
    }
    let chosen = |choice: u8| chance(9, 8, 400).into_iter().filter(move |(_, input)| input[0] == choice);
    seeds.extend([4, 5, 7].into_iter().flat_map(chosen));
    seeds
}

fn raw_items() -> Vec<u8> {
    let path = |text: &str| EntryPath::parse(text.as_bytes()).expect("a path");
    let mtime = Mtime { seconds: 1_700_000_000, nanos: 5 };
    let entry = |text: &str, kind, size| Entry { path: path(text), kind, mode: 0o755, mtime, size, target: None };
    let mut raw = Vec::new();
    item::write_entry(&entry("a", EntryKind::Folder, Some(0)), &mut raw);
    item::write_entry(&entry("a/f", EntryKind::File, Some(3)), &mut raw);
    item::write_data(b"abc", &mut raw);
    item::write_end(&EntryEnd::Whole { size: 3, hash: ContentHash(blake3::hash(b"abc").into()) }, &mut raw);
    let target = Target::parse(b"../x", &path("a/l")).ok();
    item::write_entry(&Entry { target, ..entry("a/l", EntryKind::Link, Some(0)) }, &mut raw);
    item::write_exception(&Exception { path: path("a/m"), reason: Reason::Vanished }, &mut raw);
    item::write_entry(&entry("b", EntryKind::File, None), &mut raw);
    item::write_end(&EntryEnd::Void, &mut raw);
    item::write_exception(&Exception { path: path("b"), reason: Reason::KeptChanging }, &mut raw);
    raw
}

fn data_item(bytes: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    item::write_data(bytes, &mut raw);
    raw
}

fn display() -> Vec<(String, Vec<u8>)> {
    let names: [&[u8]; 8] = [
        "客户 عميل 😀.csv".as_bytes(),
        b"a\x1b[2Jb",
        "a\u{202e}txt.exe".as_bytes(),
        "line\nbreak\u{9b}\u{2028}".as_bytes(),
        b"caf\xe9 \xf0\x9f\x98",
        "\u{feff}bom\u{e0041}\u{fe0f}".as_bytes(),
        "e\u{301}\u{34f}\u{200d}".as_bytes(),
        "葛\u{e0100}\u{1d173}\u{17b4}".as_bytes(),
    ];
    names.iter().enumerate().map(|(at, name)| (format!("name-{at}"), name.to_vec())).collect()
}
