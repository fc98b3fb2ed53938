//! Every kept input of every fuzz target, and what the seeds of the corpora are made of.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail like that")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use handover_tests::fuzz::{self, seeds};
use handover_tests::programs;

/// A kept corpus stays small.
const FILES_MAX: usize = 300;
const BYTES_MAX: u64 = 1024 * 1024;

fn folder(target: &str) -> PathBuf {
    programs::source_tree().join("tests/fuzz/corpus").join(target)
}

fn replay(target: &str, body: fn(&[u8])) {
    for (name, input) in seeds::of(target) {
        let came = catch_unwind(AssertUnwindSafe(|| body(&input)));
        assert!(came.is_ok(), "the target {target} fails with the seed {name}");
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no input is kept for {target}");
    assert!(paths.len() <= FILES_MAX, "{target} keeps {} inputs, at most {FILES_MAX} are allowed", paths.len());
    let mut bytes = 0;
    for path in paths {
        let input = fs::read(&path).unwrap();
        bytes += input.len() as u64;
        let came = catch_unwind(AssertUnwindSafe(|| body(&input)));
        let shown = path.display();
        assert!(came.is_ok(), "fails again with: cargo fuzz run --fuzz-dir tests/fuzz {target} {shown}");
    }
    assert!(bytes <= BYTES_MAX, "{target} keeps {bytes} bytes, at most {BYTES_MAX} are allowed");
}

macro_rules! corpora {
    ($($target:ident)*) => {
        /// Every target there is.
        const TARGETS: &[&str] = &[$(stringify!($target)),*];
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), fuzz::$target);
            }
        )*
    };
}

corpora! { archive display journals machines messages statements }

#[test]
fn every_target_is_replayed() {
    let targets = fs::read_dir(programs::source_tree().join("tests/fuzz/fuzz_targets")).unwrap();
    let mut names: Vec<String> =
        targets.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, TARGETS);
}

/// Puts the seeds where fuzzing begins: `cargo test -p handover-tests --test corpora -- --ignored`.
#[test]
#[ignore = "it writes files into tests/fuzz/work"]
fn write_the_seeds() {
    for target in TARGETS {
        let folder = programs::source_tree().join("tests/fuzz/work").join(target);
        fs::create_dir_all(&folder).unwrap();
        for (name, input) in seeds::of(target) {
            fs::write(folder.join(name), input).unwrap();
        }
    }
}
