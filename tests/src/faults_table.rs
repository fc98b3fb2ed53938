//! What was tried against the programs and what came of it, written down by the tests that tried.
//!
//! Each area has a file `faults/AREA.jsonl` in the target folder, one JSON object a line with the fields `area`, `fault`,
//! `count` and `outcome`. Lines are only ever added; for one fault of one area the last line counts, so that a test that
//! is run again replaces what it said before. `cargo run -p handover-tests --example faults` prints all of them as a table.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::programs;

/// Something that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Against what, or by whom.
    pub area: String,
    /// What.
    pub fault: String,
    /// How often.
    pub count: u64,
    /// What came of it.
    pub outcome: String,
}

/// Writes down what was tried. Only a test that has seen the outcome calls this.
///
/// # Panics
/// When the target folder cannot be written to, or the area is no name of a file.
pub fn record(area: &str, fault: &str, count: u64, outcome: &str) {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    assert!(!area.is_empty() && area.chars().all(is_name), "{area:?} cannot name a file");
    let folder = folder();
    fs::create_dir_all(&folder).expect("the folder of faults can be made");
    let mut line = json!({ "area": area, "fault": fault, "count": count, "outcome": outcome }).to_string();
    line.push('\n');
    let path = folder.join(format!("{area}.jsonl"));
    let mut file = OpenOptions::new().append(true).create(true).open(&path).expect("the file of faults can be opened");
    // One write of a file opened to append: lines of tests that run at the same time do not mix.
    file.write_all(line.as_bytes()).expect("the file of faults can be written");
}

/// Everything that was written down, by area and in the order of the faults' names.
///
/// # Errors
/// What reading gives; [`io::ErrorKind::InvalidData`] for a line that is not one of ours.
pub fn all() -> io::Result<Vec<Fault>> {
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(folder()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            for line in fs::read_to_string(&path)?.lines() {
                let fault = parse(line)
                    .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {line}", path.display())))?;
                found.insert((fault.area.clone(), fault.fault.clone()), fault);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// A table in Markdown.
pub fn table(faults: &[Fault]) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace(['\n', '\r'], " ");
    let mut text = String::from("| area | fault | tried | outcome |\n|---|---|--:|---|\n");
    for Fault { area, fault, count, outcome } in faults {
        text.push_str(&format!("| {} | {} | {count} | {} |\n", cell(area), cell(fault), cell(outcome)));
    }
    let tried: u64 = faults.iter().map(|fault| fault.count).sum();
    text.push_str(&format!("\n{} faults, tried {tried} times\n", faults.len()));
    text
}

fn parse(line: &str) -> Option<Fault> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |field: &str| value[field].as_str().map(str::to_owned);
    Some(Fault {
        area: text("area")?,
        fault: text("fault")?,
        count: value["count"].as_u64()?,
        outcome: text("outcome")?,
    })
}

fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    // A relative folder is meant from where cargo was started, which tests are not told; the top of the tree is usual.
    let top = programs::source_tree();
    target.map_or_else(|| top.join("target"), |target| top.join(target)).join("faults")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_down_is_found_and_the_last_line_counts() {
        record("faults-table", "a test | of its own", 1, "first");
        record("faults-table", "a test | of its own", 3, "second");

        let all = all().unwrap();

        let own: Vec<&Fault> = all.iter().filter(|fault| fault.area == "faults-table").collect();
        assert_eq!(own.len(), 1, "{own:?}");
        assert_eq!((own[0].count, own[0].outcome.as_str()), (3, "second"));
        assert!(table(&all).contains("| faults-table | a test \\| of its own | 3 | second |\n"));
        assert_eq!(parse("{\"area\":\"a\",\"fault\":\"b\",\"count\":-1,\"outcome\":\"c\"}"), None);
        fs::remove_file(folder().join("faults-table.jsonl")).unwrap();
    }
}
