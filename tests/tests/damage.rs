//! A relay that alters what it holds is found out: nothing wrong is ever placed, and what was right goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use handover_tests::{Person, RelayProc, Scratch, Tree, data};

/// Sealed bytes of a block of a small transfer.
const BLOCK: usize = 65_536;

/// What is done to the blocks; the first one is left alone, so that every run comes as far as the second.
type Damage = fn(&mut [u8], &[u8]);

const DAMAGES: [(&str, Damage); 7] = [
    ("a bit of the salt", |blocks, _| blocks[BLOCK] ^= 1),
    ("a bit of the key commitment", |blocks, _| blocks[BLOCK + 30] ^= 0x80),
    ("a bit in the middle", |blocks, _| blocks[BLOCK + BLOCK / 2] ^= 4),
    ("the last bit", |blocks, _| blocks[2 * BLOCK - 1] ^= 1),
    ("a block of zeros", |blocks, _| blocks[BLOCK..2 * BLOCK].fill(0)),
    ("two blocks swapped", |blocks, _| {
        let (one, two) = blocks[BLOCK..3 * BLOCK].split_at_mut(BLOCK);
        one.swap_with_slice(two);
    }),
    ("the same block of another transfer", |blocks, other| {
        blocks[BLOCK..2 * BLOCK].copy_from_slice(&other[BLOCK..2 * BLOCK]);
    }),
];

#[test] // [S8.2] [S9.5] [S15.2]
fn altered_blocks_are_found_and_nothing_wrong_is_placed() {
    let scratch = Scratch::new();
    let mut relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let (source, other) = (scratch.join("customers"), scratch.join("others"));
    let mut dice = scratch.dice("customers");
    for number in 0..40 {
        data::write(source.join(format!("{number:02}.jpg")), &dice.bytes(50_000));
        data::write(other.join(format!("{number:02}.jpg")), &dice.bytes(50_000));
    }
    let wanted = Tree::of(&source);
    let code = seller.pushed(&relay, [&source]);
    let segments = segments(relay.data());
    seller.pushed(&relay, [&other]);
    relay.kill();
    let others: Vec<PathBuf> =
        self::segments(relay.data()).into_iter().filter(|path| !segments.contains(path)).collect();
    let (right, of_other) = (joined(&segments), joined(&others));
    assert!(right.len() % BLOCK == 0 && right.len() > 20 * BLOCK, "{} sealed bytes", right.len());

    let out = scratch.join("out");
    for (name, damage) in DAMAGES {
        let mut altered = right.clone();
        damage(&mut altered, &of_other);
        spread(&segments, &altered);
        relay.restart();
        let ended = buyer.pull(&code, &out).run();
        assert!(ended.code == Some(8), "{name} must be found\n{ended}");
        assert!(ended.stdout.is_empty(), "{ended}");
        for path in fs::read_dir(out.join("customers")).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let sent = fs::read(source.join(path.file_name().unwrap())).unwrap();
            assert!(fs::read(&path).unwrap() == sent, "{name}: {} is wrong", path.display());
        }
        assert!(!out.join("customers/39.jpg").exists(), "{name}: nothing behind the damage is placed");
        relay.kill();
    }
    spread(&segments, &right);
    relay.restart();
    buyer.pull(&code, &out).run().exits(0);
    wanted.must_equal(&Tree::of(out.join("customers")));
    seller.run(["wait", "1"]).exits(0);
}

/// The files that hold sealed blocks, in order.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(segments(&path));
        } else if path.components().any(|part| part.as_os_str() == "segments") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn joined(files: &[PathBuf]) -> Vec<u8> {
    files.iter().flat_map(|path| fs::read(path).unwrap()).collect()
}

/// Writes bytes over files, each keeping its length.
fn spread(files: &[PathBuf], mut bytes: &[u8]) {
    for path in files {
        let (own, rest) = bytes.split_at(fs::metadata(path).unwrap().len() as usize);
        fs::write(path, own).unwrap();
        bytes = rest;
    }
    assert!(bytes.is_empty());
}
