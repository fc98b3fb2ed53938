//! The inventory, read. It comes from the seller: nothing of it is believed before the seal's hash fits, and nothing but
//! its one form is taken.
//!
//! # Source
//! SPEC [S9.6].

use handover_shared::ids::unhex;
use handover_shared::limits::{
    INVENTORY_BYTES_MAX, INVENTORY_EXCEPTIONS_MAX, INVENTORY_LINES_MAX, INVENTORY_TYPES_MAX,
};
use serde::Deserialize;

use crate::private::escaped;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    inventory: String,
    pub transfer: String,
    pub salt: String,
    pub records: u64,
    pub files: u64,
    pub folders: u64,
    pub links: u64,
    pub exceptions: u64,
    pub bytes: u64,
    pub detail: Detail,
    pub depth: u64,
    pub list: String,
}

/// What is named one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Detail {
    Entries,
    Folders,
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Safe to show; empty for files that belong to no other line.
    pub path: String,
    pub kind: LineKind,
    pub files: u64,
    pub bytes: u64,
    /// The oldest and the newest time, seconds since 1970.
    pub times: Option<(i64, i64)>,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LineKind {
    File,
    Folder,
    Link,
    /// Files that belong to no other line.
    Files,
}

/// How much there is of one ending of names; `*` for all others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Type {
    #[serde(rename = "type")]
    pub ending: String,
    pub files: u64,
    pub bytes: u64,
}

/// Something that is listed and was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// Safe to show.
    pub path: String,
    pub reason: Reason,
}

/// Why it was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reason {
    NotReadable,
    Vanished,
    KeptChanging,
    NotAFile,
    LinkLeaves,
    ReadError,
    NameLimit,
}

impl Reason {
    /// As the inventory says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotReadable => "not-readable",
            Self::Vanished => "vanished",
            Self::KeptChanging => "kept-changing",
            Self::NotAFile => "not-a-file",
            Self::LinkLeaves => "link-leaves",
            Self::ReadError => "read-error",
            Self::NameLimit => "name-limit",
        }
    }
}

/// What both sides can name of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inventory {
    pub head: Head,
    pub lines: Vec<Line>,
    pub types: Vec<Type>,
    pub missing: Vec<Missing>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryWire {
    path: Option<String>,
    #[serde(rename = "path-hex")]
    path_hex: Option<String>,
    kind: LineKind,
    files: Option<u64>,
    bytes: Option<u64>,
    first: Option<i64>,
    last: Option<i64>,
    modified: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MissingWire {
    exception: Option<String>,
    #[serde(rename = "exception-hex")]
    exception_hex: Option<String>,
    reason: Reason,
}

impl Inventory {
    /// Reads it; nothing unless every line is one of those there may be, and no more of them than there may be.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > INVENTORY_BYTES_MAX {
            return None;
        }
        let mut all = text.lines();
        let head: Head = serde_json::from_str(all.next()?).ok()?;
        if head.inventory != "handover-inventory/v1" {
            return None;
        }
        let (mut lines, mut types, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for text in all {
            if text.starts_with("{\"path") {
                lines.push(entry(text)?);
            } else if text.starts_with("{\"type") {
                types.push(serde_json::from_str(text).ok()?);
            } else {
                missing.push(exception(text)?);
            }
            // The line of files that belong to no other, and that of all other endings.
            let is_within = lines.len() <= INVENTORY_LINES_MAX + 1
                && types.len() <= INVENTORY_TYPES_MAX + 1
                && missing.len() <= INVENTORY_EXCEPTIONS_MAX;
            if !is_within {
                return None;
            }
        }
        Some(Self { head, lines, types, missing })
    }
}

fn entry(text: &str) -> Option<Line> {
    let wire: EntryWire = serde_json::from_str(text).ok()?;
    let path = bytes(wire.path, wire.path_hex)?;
    let single = wire.modified.map(|time| (time, time));
    let times = single.or(wire.first.zip(wire.last));
    let files = wire.files.unwrap_or(u64::from(wire.kind == LineKind::File));
    Some(Line { path: escaped(&path), kind: wire.kind, files, bytes: wire.bytes.unwrap_or(0), times })
}

fn exception(text: &str) -> Option<Missing> {
    let wire: MissingWire = serde_json::from_str(text).ok()?;
    Some(Missing { path: escaped(&bytes(wire.exception, wire.exception_hex)?), reason: wire.reason })
}

fn bytes(text: Option<String>, hex: Option<String>) -> Option<Vec<u8>> {
    match (text, hex) {
        (Some(text), None) => Some(text.into_bytes()),
        (None, Some(hex)) => unhex(&hex),
        _ => None,
    }
}
