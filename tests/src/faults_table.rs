//! The table of faults tried: one line of JSON for each, in `target/faults/AREA.jsonl`.

use std::io::Write;

use crate::programs;

/// Appends a line: what was done how often in which area, and what came of it.
///
/// # Panics
/// When the file cannot be written.
pub fn record(area: &str, fault: &str, count: u64, outcome: &str) {
    let folder = programs::source_tree().join("target").join("faults");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let path = folder.join(format!("{area}.jsonl"));
    let mut file = std::fs::File::options().create(true).append(true).open(path).expect("the table can be opened");
    let line = serde_json::json!({ "area": area, "fault": fault, "count": count, "outcome": outcome });
    file.write_all(format!("{line}\n").as_bytes()).expect("the table can be written");
}
