//! The inventory: what both sides can still name of an archive when the data is gone. A text of bounded length, made from
//! all records in order in constant memory; the seal names it by its hash, so that both sides have signed it.
//!
//! # Shape
//! Lines of JSON, LF after each; the order of the keys is fixed, and there is one text for one archive and one salt.
//!
//! | line | keys |
//! |---|---|
//! | the first | `inventory`, `transfer`, `salt`, `records`, `files`, `folders`, `links`, `exceptions`, `bytes`, `detail`, `depth`, `list` |
//! | a folder | `path`, `kind`, `files`, `bytes`, `first`, `last`: of all files below it |
//! | a file, a link | `path`, `kind`, and of a file `bytes`, `modified` |
//! | the files that belong to no line | `path` (empty), `kind` (`files`), and as a folder |
//! | an ending of names | `type`, `files`, `bytes` |
//! | an exception | `exception`, `reason` |
//!
//! `list` is the hash of the [full list](list_head): a line for every record. Contents and their hashes stand in neither.
//!
//! # Source
//! SPEC [S9.6] [S9.7].

use std::collections::BTreeMap;

use super::item::Reason;
use super::manifest::{Record, RecordKind};
use crate::ids::{TransferId, hex};
use crate::limits::{INVENTORY_DEPTH_MAX, INVENTORY_EXCEPTIONS_MAX, INVENTORY_LINES_MAX, INVENTORY_TYPES_MAX};
use crate::proof::Digester;
use crate::shown::is_hidden;

/// Makes what is hashed depend on the content key, so that nobody who has only the hash can try names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InventorySalt(pub [u8; 16]);

/// What an inventory lists one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    /// Everything down to its depth.
    Entries,
    /// Folders only, each with what is below it.
    Folders,
}

impl Detail {
    fn word(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Folders => "folders",
        }
    }
}

/// How much there is below something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    files: u64,
    bytes: u64,
    /// The oldest and the newest time of a file, seconds since 1970.
    times: Option<(i64, i64)>,
}

impl Totals {
    fn add(&mut self, record: &Record) {
        if record.kind != RecordKind::File {
            return;
        }
        let time = record.mtime.seconds;
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(record.size);
        self.times = Some(self.times.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
    }

    fn text(&self) -> String {
        let time = |time: Option<i64>| time.map_or_else(|| "null".to_owned(), |time| time.to_string());
        let (first, last) = (time(self.times.map(|times| times.0)), time(self.times.map(|times| times.1)));
        format!("\"files\":{},\"bytes\":{},\"first\":{first},\"last\":{last}", self.files, self.bytes)
    }
}

/// One way to list the archive, as long as it is short enough.
struct Candidate {
    detail: Detail,
    depth: usize,
    /// Nothing once there were too many.
    lines: Option<Vec<Line>>,
}

enum Line {
    /// A line that is finished.
    Done(String),
    /// A folder, whose totals come later.
    Folder { path: Box<[u8]>, totals: Totals },
}

/// A folder that later records may lie in.
struct Open {
    path: Box<[u8]>,
    totals: Totals,
    /// Its line in each candidate.
    lines: Vec<Option<usize>>,
}

/// Makes an inventory.
pub struct InventoryBuilder {
    transfer: TransferId,
    salt: InventorySalt,
    list: Digester,
    records: u64,
    counts: [u64; 4],
    bytes: u64,
    all: Totals,
    top_files: Totals,
    open: Vec<Open>,
    candidates: Vec<Candidate>,
    types: BTreeMap<String, (u64, u64)>,
    other_types: (u64, u64),
    exceptions: Vec<String>,
}

impl InventoryBuilder {
    /// Begins with no records.
    pub fn new(transfer: TransferId, salt: InventorySalt) -> Self {
        let mut list = Digester::default();
        list.update(list_head(&transfer, salt).as_bytes());
        let of = |depth| {
            [Detail::Entries, Detail::Folders].map(|detail| Candidate { detail, depth, lines: Some(Vec::new()) })
        };
        Self {
            transfer,
            salt,
            list,
            records: 0,
            counts: [0; 4],
            bytes: 0,
            all: Totals::default(),
            top_files: Totals::default(),
            open: Vec::new(),
            candidates: (1..=INVENTORY_DEPTH_MAX).flat_map(of).collect(),
            types: BTreeMap::new(),
            other_types: (0, 0),
            exceptions: Vec::new(),
        }
    }

    /// Takes the next record, in the order of the archive.
    pub fn add(&mut self, record: &Record) {
        self.list.update(list_line(record).as_bytes()); // [S9.7]
        self.records += 1;
        self.counts[match record.kind {
            RecordKind::File => 0,
            RecordKind::Folder => 1,
            RecordKind::Link => 2,
            RecordKind::Exception => 3,
        }] += 1;
        let path = record.path.as_bytes();
        self.leave(path);
        if record.kind == RecordKind::Exception {
            if self.exceptions.len() < INVENTORY_EXCEPTIONS_MAX {
                self.exceptions.push(exception_line(record));
            }
            return;
        }
        self.bytes = self.bytes.saturating_add(record.size);
        self.all.add(record);
        for open in &mut self.open {
            open.totals.add(record);
        }
        let depth = 1 + path.iter().filter(|byte| **byte == b'/').count();
        if depth == 1 {
            self.top_files.add(record);
        }
        if record.kind == RecordKind::File {
            self.count_type(record);
        }
        let lines = self.candidates.iter_mut().map(|candidate| candidate.add(record, depth)).collect();
        if record.kind == RecordKind::Folder && depth <= INVENTORY_DEPTH_MAX {
            self.open.push(Open { path: path.into(), totals: Totals::default(), lines });
        }
    }

    /// Closes the folders that this path does not lie in.
    fn leave(&mut self, path: &[u8]) {
        let lies_in = |folder: &[u8]| path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'));
        while self.open.last().is_some_and(|open| !lies_in(&open.path)) {
            self.close_one();
        }
    }

    fn close_one(&mut self) {
        let Some(Open { totals, lines, .. }) = self.open.pop() else { return };
        for (candidate, line) in self.candidates.iter_mut().zip(lines) {
            if let (Some(all), Some(at)) = (&mut candidate.lines, line)
                && let Some(Line::Folder { totals: into, .. }) = all.get_mut(at)
            {
                *into = totals;
            }
        }
    }

    fn count_type(&mut self, record: &Record) {
        let kind = type_of(record.path.name());
        let is_known = self.types.contains_key(&kind);
        let count = if is_known || self.types.len() < INVENTORY_TYPES_MAX {
            self.types.entry(kind).or_default()
        } else {
            &mut self.other_types
        };
        count.0 += 1;
        count.1 = count.1.saturating_add(record.size);
    }

    /// The text. [S9.6]
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close_one();
        }
        let best = self.candidates.iter().filter_map(|it| Some((it.lines.as_ref()?, it))).reduce(|best, next| {
            // The shorter of two that say as much comes first.
            if next.0.len() > best.0.len() { next } else { best }
        });
        let (detail, depth) = best.map_or((Detail::Folders, 0), |(_, it)| (it.detail, it.depth));
        let [files, folders, links, exceptions] = self.counts;
        let mut text = format!(
            "{{\"inventory\":\"handover-inventory/v1\",\"transfer\":\"{}\",\"salt\":\"{}\",\"records\":{},\"files\":{files},\
             \"folders\":{folders},\"links\":{links},\"exceptions\":{exceptions},\"bytes\":{},\"detail\":\"{}\",\
             \"depth\":{depth},\"list\":\"{}\"}}\n",
            self.transfer.to_hex(),
            hex(&self.salt.0),
            self.records,
            self.bytes,
            detail.word(),
            self.list.finish().to_hex(),
        );
        let rest = if depth == 0 { self.all } else { self.top_files };
        if detail == Detail::Folders && rest.files > 0 {
            text.push_str(&format!("{{\"path\":\"\",\"kind\":\"files\",{}}}\n", rest.text()));
        }
        for line in best.map(|(lines, _)| lines).into_iter().flatten() {
            match line {
                Line::Done(line) => text.push_str(line),
                Line::Folder { path, totals } => {
                    text.push_str(&format!("{{{},\"kind\":\"folder\",{}}}\n", path_field("path", path), totals.text()));
                }
            }
        }
        let mut types: Vec<(String, (u64, u64))> = self.types.into_iter().collect();
        types.sort_by(|(_, one), (_, two)| two.1.cmp(&one.1).then(two.0.cmp(&one.0)));
        if self.other_types.0 > 0 {
            types.push(("*".into(), self.other_types));
        }
        for (kind, (files, bytes)) in types {
            text.push_str(&format!("{{\"type\":\"{kind}\",\"files\":{files},\"bytes\":{bytes}}}\n"));
        }
        text.extend(self.exceptions);
        text
    }
}

impl Candidate {
    /// Adds the line of a record, if it has one here; says where the line of a folder is.
    fn add(&mut self, record: &Record, depth: usize) -> Option<usize> {
        let is_folder = record.kind == RecordKind::Folder;
        let lines = self.lines.as_mut()?;
        if depth > self.depth || (self.detail == Detail::Folders && !is_folder) {
            return None;
        }
        if lines.len() == INVENTORY_LINES_MAX {
            self.lines = None;
            return None;
        }
        let path = record.path.as_bytes();
        lines.push(if is_folder {
            Line::Folder { path: path.into(), totals: Totals::default() }
        } else {
            Line::Done(list_line(record))
        });
        Some(lines.len() - 1)
    }
}

/// What ends a name, in lower case, if it is a few letters and digits; nothing else says anything.
fn type_of(name: &[u8]) -> String {
    const LETTERS_MAX: usize = 8;
    let ending = match name.iter().rposition(|byte| *byte == b'.') {
        Some(at) if at > 0 => &name[at + 1..],
        _ => &[],
    };
    let is_plain = ending.len() <= LETTERS_MAX && ending.iter().all(u8::is_ascii_alphanumeric);
    let ending = if is_plain { ending } else { &[] };
    ending.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

/// The first line of the full list.
pub fn list_head(transfer: &TransferId, salt: InventorySalt) -> String {
    let salt = hex(&salt.0);
    format!("{{\"list\":\"handover-list/v1\",\"transfer\":\"{}\",\"salt\":\"{salt}\"}}\n", transfer.to_hex())
}

/// The line of a record in the full list. [S9.7]
pub fn list_line(record: &Record) -> String {
    let path = path_field("path", record.path.as_bytes());
    match record.kind {
        RecordKind::File => {
            let (bytes, modified) = (record.size, record.mtime.seconds);
            format!("{{{path},\"kind\":\"file\",\"bytes\":{bytes},\"modified\":{modified}}}\n")
        }
        RecordKind::Folder => format!("{{{path},\"kind\":\"folder\"}}\n"),
        RecordKind::Link => format!("{{{path},\"kind\":\"link\"}}\n"),
        RecordKind::Exception => exception_line(record),
    }
}

fn exception_line(record: &Record) -> String {
    let reason = record.reason.map_or("", reason_word);
    format!("{{{},\"reason\":\"{reason}\"}}\n", path_field("exception", record.path.as_bytes()))
}

/// A reason as a word.
pub fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::NotReadable => "not-readable",
        Reason::Vanished => "vanished",
        Reason::KeptChanging => "kept-changing",
        Reason::NotAFile => "not-a-file",
        Reason::LinkLeaves => "link-leaves",
        Reason::ReadError => "read-error",
        Reason::NameLimit => "name-limit",
    }
}

/// A path as a field of JSON: as text, or in hex under the key's name with `-hex` where it is not UTF-8. Whatever does
/// not show as itself is escaped.
fn path_field(key: &str, path: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(path) else { return format!("\"{key}-hex\":\"{}\"", hex(path)) };
    let mut field = format!("\"{key}\":\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => field.extend(['\\', char]),
            char if is_hidden(char) => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    field.push_str(&format!("\\u{unit:04x}"));
                }
            }
            char => field.push(char),
        }
    }
    field.push('"');
    field
}

#[cfg(test)]
mod tests {
    use super::super::item::{Entry, EntryKind, Exception, Mtime};
    use super::super::path::EntryPath;
    use super::*;
    use crate::ids::ContentHash;
    use crate::proof::digest;

    const TRANSFER: TransferId = TransferId([7; 16]);
    const SALT: InventorySalt = InventorySalt([9; 16]);

    fn entry(path: &str, kind: EntryKind, seconds: i64) -> Entry {
        let path = EntryPath::parse(path.as_bytes()).unwrap();
        let target = None;
        Entry { path, kind, mode: 0o600, mtime: Mtime { seconds, nanos: 5 }, size: None, target }
    }

    fn file(path: &str, bytes: u64, seconds: i64) -> Record {
        Record::of_file(entry(path, EntryKind::File, seconds), bytes, ContentHash([3; 32]))
    }

    fn folder(path: &str) -> Record {
        Record::of_entry(entry(path, EntryKind::Folder, 1))
    }

    fn missing(path: &str, reason: Reason) -> Record {
        Record::of_exception(Exception { path: EntryPath::parse_listed(path.as_bytes()).unwrap(), reason })
    }

    fn inventory(records: &[Record]) -> String {
        let mut builder = InventoryBuilder::new(TRANSFER, SALT);
        records.iter().for_each(|record| builder.add(record));
        builder.finish()
    }

    /// The lines behind the first, without what every line repeats.
    fn lines(text: &str) -> Vec<&str> {
        text.lines().skip(1).collect()
    }

    fn list(records: &[Record]) -> String {
        list_head(&TRANSFER, SALT) + &records.iter().map(list_line).collect::<String>()
    }

    #[test] // [S9.6] [S9.7]
    fn every_byte_of_a_small_inventory() {
        let records = [
            folder("shop"),
            file("shop/a.CSV", 10, 100),
            folder("shop/orders"),
            file("shop/orders/\u{202e}\"x\u{e0001}.csv", 5, -7),
            missing("shop/pipe", Reason::NotAFile),
            file("z", 1, 50),
        ];
        let list = concat!(
            "{\"list\":\"handover-list/v1\",\"transfer\":\"07070707070707070707070707070707\",",
            "\"salt\":\"09090909090909090909090909090909\"}\n",
            "{\"path\":\"shop\",\"kind\":\"folder\"}\n",
            "{\"path\":\"shop/a.CSV\",\"kind\":\"file\",\"bytes\":10,\"modified\":100}\n",
            "{\"path\":\"shop/orders\",\"kind\":\"folder\"}\n",
            "{\"path\":\"shop/orders/\\u202e\\\"x\\udb40\\udc01.csv\",\"kind\":\"file\",\"bytes\":5,\"modified\":-7}\n",
            "{\"exception\":\"shop/pipe\",\"reason\":\"not-a-file\"}\n",
            "{\"path\":\"z\",\"kind\":\"file\",\"bytes\":1,\"modified\":50}\n",
        );
        assert_eq!(self::list(&records), list);
        let wanted = format!(
            concat!(
                "{{\"inventory\":\"handover-inventory/v1\",\"transfer\":\"07070707070707070707070707070707\",",
                "\"salt\":\"09090909090909090909090909090909\",\"records\":6,\"files\":3,\"folders\":2,\"links\":0,",
                "\"exceptions\":1,\"bytes\":16,\"detail\":\"entries\",\"depth\":3,\"list\":\"{}\"}}\n",
                "{{\"path\":\"shop\",\"kind\":\"folder\",\"files\":2,\"bytes\":15,\"first\":-7,\"last\":100}}\n",
                "{{\"path\":\"shop/a.CSV\",\"kind\":\"file\",\"bytes\":10,\"modified\":100}}\n",
                "{{\"path\":\"shop/orders\",\"kind\":\"folder\",\"files\":1,\"bytes\":5,\"first\":-7,\"last\":-7}}\n",
                "{{\"path\":\"shop/orders/\\u202e\\\"x\\udb40\\udc01.csv\",\"kind\":\"file\",\"bytes\":5,\"modified\":-7}}\n",
                "{{\"path\":\"z\",\"kind\":\"file\",\"bytes\":1,\"modified\":50}}\n",
                "{{\"type\":\"csv\",\"files\":2,\"bytes\":15}}\n",
                "{{\"type\":\"\",\"files\":1,\"bytes\":1}}\n",
                "{{\"exception\":\"shop/pipe\",\"reason\":\"not-a-file\"}}\n",
            ),
            digest(list.as_bytes()).to_hex()
        );
        assert_eq!(inventory(&records), wanted);
        assert!(!wanted.contains("030303"), "a hash of a content");
    }

    #[test] // [S9.6]
    fn many_files_of_one_folder_are_one_line() {
        let mut records = vec![folder("a")];
        records.extend((0..5_000).map(|number| file(&format!("a/{number:05}.csv"), 2, number)));
        records.push(folder("b"));
        records.push(file("b/only", 1, 0));
        let text = inventory(&records);
        let wanted = [
            "{\"path\":\"a\",\"kind\":\"folder\",\"files\":5000,\"bytes\":10000,\"first\":0,\"last\":4999}",
            "{\"path\":\"b\",\"kind\":\"folder\",\"files\":1,\"bytes\":1,\"first\":0,\"last\":0}",
            "{\"type\":\"csv\",\"files\":5000,\"bytes\":10000}",
            "{\"type\":\"\",\"files\":1,\"bytes\":1}",
        ];
        assert_eq!(lines(&text), wanted);
        assert!(text.contains("\"detail\":\"entries\",\"depth\":1,"), "{text}");
    }

    #[test] // [S9.6]
    fn folders_are_named_as_deep_as_there_is_room() {
        let mut records = vec![folder("top"), folder("top/a")];
        records.extend((0..INVENTORY_LINES_MAX).map(|number| file(&format!("top/a/{number:05}"), 2, 0)));
        for letter in ["b", "c"] {
            records.push(folder(&format!("top/{letter}")));
            records.push(file(&format!("top/{letter}/x"), 1, 0));
        }
        let text = inventory(&records);
        assert!(text.contains("\"detail\":\"entries\",\"depth\":2,"), "{text}");
        assert_eq!(lines(&text).len(), 4 + 1, "{text}");
    }

    #[test] // [S9.6]
    fn a_crowd_at_the_top_is_one_line() {
        let mut records: Vec<Record> = (0..300).map(|number| file(&format!("{number:05}"), 2, number)).collect();
        records.push(folder("x"));
        records.push(file("x/y", 1, 0));
        let text = inventory(&records);
        let wanted = [
            "{\"path\":\"\",\"kind\":\"files\",\"files\":300,\"bytes\":600,\"first\":0,\"last\":299}",
            "{\"path\":\"x\",\"kind\":\"folder\",\"files\":1,\"bytes\":1,\"first\":0,\"last\":0}",
            "{\"type\":\"\",\"files\":301,\"bytes\":601}",
        ];
        assert_eq!(lines(&text), wanted);

        let folders: Vec<Record> = (0..300).map(|number| folder(&format!("{number:05}"))).collect();
        assert_eq!(lines(&inventory(&folders)).len(), 0);
        let mut both = Vec::new();
        for number in 0..300 {
            both.push(folder(&format!("{number:05}")));
            both.push(file(&format!("{number:05}/f"), 1, 8));
        }
        let all = "{\"path\":\"\",\"kind\":\"files\",\"files\":300,\"bytes\":300,\"first\":8,\"last\":8}";
        assert_eq!(lines(&inventory(&both))[0], all);
    }

    #[test] // [S9.6]
    fn kinds_and_exceptions_are_counted_to_the_end_and_named_up_to_a_limit() {
        let mut records = vec![folder("f")];
        records.extend((0..200).map(|number| file(&format!("f/{number:05}.t{number}"), 1, 0)));
        records.extend((0..200).map(|number| missing(&format!("g{number:05}"), Reason::Vanished)));
        let text = inventory(&records);
        let types = text.lines().filter(|line| line.contains("\"type\"")).count();
        assert_eq!(types, INVENTORY_TYPES_MAX + 1);
        let rest = 200 - INVENTORY_TYPES_MAX;
        assert!(text.contains(&format!("{{\"type\":\"*\",\"files\":{rest},\"bytes\":{rest}}}")), "{text}");
        let named = text.lines().filter(|line| line.contains("\"exception\"")).count();
        assert_eq!(named, INVENTORY_EXCEPTIONS_MAX);
        assert!(text.contains("\"exceptions\":200,"), "{text}");
    }

    #[test] // [S9.6] [S9.7]
    fn whatever_a_record_says_but_its_content_is_in_the_hash() {
        let base = [folder("a"), file("a/b", 1, 2)];
        let others = [
            vec![folder("a"), file("a/c", 1, 2)],
            vec![folder("a"), file("a/b", 2, 2)],
            vec![folder("a"), file("a/b", 1, 3)],
            vec![folder("a"), missing("a/b", Reason::Vanished)],
            vec![folder("a")],
        ];
        for other in others {
            assert_ne!(inventory(&base), inventory(&other));
            assert_ne!(list(&base), list(&other));
        }
        let salted = |salt| {
            let mut builder = InventoryBuilder::new(TRANSFER, InventorySalt([salt; 16]));
            base.iter().for_each(|record| builder.add(record));
            builder.finish()
        };
        assert_ne!(salted(1), salted(2));
    }

    #[test]
    fn endings_of_names() {
        let table = [
            ("a.csv", "csv"),
            ("a.tar.GZ", "gz"),
            (".hidden", ""),
            ("a", ""),
            ("a.", ""),
            ("a.客户", ""),
            ("a.b c", ""),
        ];
        for (name, wanted) in table {
            assert_eq!(type_of(name.as_bytes()), wanted, "{name}");
        }
        assert_eq!(type_of(b"a.123456789"), "");
    }

    #[test] // [S9.7]
    fn names_that_are_no_text_are_in_hex() {
        assert_eq!(path_field("path", b"a\xff"), "\"path-hex\":\"61ff\"");
    }
}
