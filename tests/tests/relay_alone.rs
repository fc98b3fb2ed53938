//! The relay cannot name a content key: nothing that opens archives is compiled into it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::process::Command;

use handover_tests::programs;

/// `cargo tree` of one package, as text.
fn tree(package: &str) -> String {
    let output = Command::new(programs::cargo())
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--edges", "normal,features", "--package", package])
        .current_dir(programs::source_tree())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_relay_is_built_without_what_opens_archives() {
    const ENDPOINT: &str = "handover-shared feature \"endpoint\"";
    let relay = tree("handover-relay");
    assert!(relay.contains("handover-shared v"), "{relay}");
    for unwanted in [ENDPOINT, "blake3 v", "zstd v", "handover v"] {
        assert!(!relay.contains(unwanted), "the relay has {unwanted}\n{relay}");
    }
    // The same look finds it where it must be.
    assert!(tree("handover").contains(ENDPOINT));
}
