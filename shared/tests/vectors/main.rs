//! Replays every vector file beside this one.
//!
//! # Shape
//! A file is a head, which says what must happen and why, an empty line, and fields. `name: hex` is bytes,
//! `name = text` is text on one line. `operation` and `expect` are always there; `expect = ok` asks for the fields
//! whose names begin with `gives-`, anything else is the fault that must come out.
//!
//! After a deliberate change of format: `cargo test -p handover-shared --features endpoint --test vectors -- --ignored`
//! writes the files anew. `check.py` computes what it can of them once more, with nothing but Python's own library.
#![cfg(feature = "endpoint")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
mod file;
mod make;
mod replay;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

#[test] // [S4.2] [S4.3] [S4.4] [S4.5] [S4.6] [S4.7] [S5.1] [S5.2] [S5.3] [S10.1] [S10.7] [S10.9] [S10.10]
fn replay_all() {
    let files = on_disk();
    assert!(files.len() >= 40, "{} files", files.len());
    for (name, text) in files {
        let vector = file::Vector::parse(&text).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let outcome = replay::replay(&vector);
        assert_eq!(outcome.expect, vector.text("expect"), "{name}: {}", vector.head);
        for (field, bytes) in outcome.gives {
            assert_eq!(
                handover_shared::ids::hex(&bytes),
                handover_shared::ids::hex(&vector.bytes(&field)),
                "{name}: {field}"
            );
        }
    }
}

#[test] // [S4.1]
fn the_files_are_what_the_generator_makes() {
    let made: BTreeMap<String, String> = make::all().into_iter().collect();
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    let kept = on_disk();
    assert_eq!(names(&kept), names(&made));
    for (name, text) in made {
        assert_eq!(kept[&name], text, "{name}");
    }
}

#[test]
#[ignore = "writes the vector files anew"]
fn make_vectors() {
    for name in on_disk().keys() {
        fs::remove_file(folder().join(name)).unwrap();
    }
    for (name, text) in make::all() {
        fs::write(folder().join(name), text).unwrap();
    }
}

fn on_disk() -> BTreeMap<String, String> {
    fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".txt"))
        .map(|name| {
            let text = fs::read_to_string(folder().join(&name)).unwrap();
            (name, text)
        })
        .collect()
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "vectors"].iter().collect()
}
