//! The table of faults tried: a line of JSON each in `target/faults/AREA.jsonl`, written by the tests themselves.

use std::fs::{self, OpenOptions};
use std::io::Write;

use crate::programs;

/// Adds a line: so often this fault was tried, and this came of it.
///
/// # Panics
/// When it cannot be written.
pub fn record(area: &str, fault: &str, count: u64, outcome: &str) {
    let folder = programs::source_tree().join("target/faults");
    fs::create_dir_all(&folder).expect("the folder of the table can be made");
    let line = serde_json::json!({"area": area, "fault": fault, "count": count, "outcome": outcome});
    let file = OpenOptions::new().create(true).append(true).open(folder.join(format!("{area}.jsonl")));
    // One write, so that tests that run at once do not tear each other's lines.
    let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    written.expect("the table can be written");
}
