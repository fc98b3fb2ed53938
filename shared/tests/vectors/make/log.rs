//! Entries, heads, the deletion, and proofs about a log of eleven entries.

use std::collections::HashMap;
use std::convert::Infallible;

use handover_shared::ids::{Digest, LinkKey, Millis};
use handover_shared::proof::log::tree::{self, Nodes};
use handover_shared::proof::{DeletionText, EndReason, Fingerprint, LogEntry, LogHeadText, Method};
use handover_shared::protocol::message::{Event, EventKind};

use super::super::common::{NOW, RELAY, TID};
use super::super::file::Vector;
use super::Files;

const ENTRIES: u64 = 11;

struct Kept(HashMap<(u32, u64), Digest>);

impl Nodes for Kept {
    type Error = Infallible;

    fn node(&self, level: u32, place: u64) -> Result<Digest, Infallible> {
        Ok(self.0[&(level, place)])
    }
}

pub fn log(files: &mut Files) {
    let (kept, texts) = eleven();
    let root = |size| tree::root(&kept, size).unwrap();
    let relay_key = Fingerprint::of_link_key(&RELAY);
    let head = LogHeadText {
        relay_key,
        size: ENTRIES,
        root: root(ENTRIES),
        previous: Some(Digest([0x66; 32])),
        time: NOW.into(),
    };
    let deletion = DeletionText {
        transfer: TID,
        blocks: 120,
        bytes: 120 << 20,
        reason: EndReason::Receipt,
        share_erased: NOW.into(),
        blocks_deleted: NOW.plus(1000).into(),
        method: Method::Files,
        relay_key,
        log_entry: kept.0[&(0, 10)],
    };
    for (kind, text) in
        [("log-entry", texts[4].clone()), ("log-head", head.to_text()), ("deletion", deletion.to_text())]
    {
        let vector = Vector::new(&format!("A text of the log. [S16.3] [S16.4] [S16.5] {kind}"), "read-statement", "ok");
        files.add(&format!("statement-{kind}"), vector.with_text("kind", kind).with("text", text));
    }
    for (name, text, expect) in [
        ("event", texts[4].replacen("\"claimed\"", "\"taken\"", 1), "line 7: wrong value"),
        ("time", texts[4].replacen(".004Z", "Z", 1), "line 8: wrong value"),
        ("previous", texts[4].replacen("previous", "before", 1), "line 4: wrong key"),
    ] {
        let vector = Vector::new("An entry has one text. [S16.3]", "read-statement", expect);
        files.add(&format!("log-entry-refuse-{name}"), vector.with_text("kind", "log-entry").with("text", text));
    }
    let path = |number, size| tree::inclusion(&kept, number, size).unwrap();
    for (name, expect, number, size, path) in [
        ("ok", "ok", 4, ENTRIES, path(4, ENTRIES)),
        ("last", "ok", 10, ENTRIES, path(10, ENTRIES)),
        ("alone", "ok", 0, 1, path(0, 1)),
        ("other-place", "not included", 5, ENTRIES, path(4, ENTRIES)),
        ("shorter", "not included", 4, ENTRIES, path(4, ENTRIES)[1..].to_vec()),
        ("outside", "not included", 11, ENTRIES, path(4, ENTRIES)),
    ] {
        let text = texts[number.min(10) as usize].clone();
        let text = if name == "other-place" { texts[4].clone() } else { text };
        let vector = Vector::new("An entry leads to the root by its path alone. [S16.2]", "log-inclusion", expect)
            .with("text", text)
            .with_text("number", &number.to_string())
            .with_text("size", &size.to_string())
            .with("path", joined(&path))
            .with("root", root(size).0);
        files.add(&format!("log-inclusion-{name}"), vector);
    }
    let proof = |earlier, later| tree::consistency(&kept, earlier, later).unwrap();
    let swapped = |mut proof: Vec<Digest>| {
        proof.swap(0, 1);
        proof
    };
    for (name, expect, earlier, later, earlier_root, proof) in [
        ("ok", "ok", 6, ENTRIES, root(6), proof(6, ENTRIES)),
        ("power-of-two", "ok", 8, ENTRIES, root(8), proof(8, ENTRIES)),
        ("same", "ok", ENTRIES, ENTRIES, root(ENTRIES), Vec::new()),
        ("from-none", "ok", 0, ENTRIES, root(0), Vec::new()),
        ("other-root", "not consistent", 6, ENTRIES, root(7), proof(6, ENTRIES)),
        ("swapped", "not consistent", 6, ENTRIES, root(6), swapped(proof(6, ENTRIES))),
        ("shorter", "not consistent", ENTRIES, 6, root(ENTRIES), proof(6, ENTRIES)),
    ] {
        let vector = Vector::new("A log only ever grows at its end. [S16.2]", "log-consistency", expect)
            .with_text("earlier", &earlier.to_string())
            .with("earlier-root", earlier_root.0)
            .with_text("later", &later.to_string())
            .with("later-root", root(later).0)
            .with("proof", joined(&proof));
        files.add(&format!("log-consistency-{name}"), vector);
    }
}

fn eleven() -> (Kept, Vec<String>) {
    let mut kept = Kept(HashMap::new());
    let mut texts = Vec::new();
    let mut previous = None;
    for number in 0..ENTRIES {
        let kind = match number {
            0 => EventKind::Created,
            10 => EventKind::Deleted,
            _ => EventKind::Claimed,
        };
        let by = (number < 10).then_some(LinkKey([number as u8; 32]));
        let body = (number % 2 == 0).then_some(Digest([number as u8; 32]));
        let event = Event { sequence: number, time: Millis(NOW.0 + number), kind, by, body };
        let entry = LogEntry::of(number, previous, TID, &event);
        let leaf = entry.leaf();
        let whole = tree::completed(&kept, number, leaf).unwrap();
        kept.0.insert((0, number), leaf);
        kept.0.extend(whole.into_iter().map(|node| ((node.level, node.place), node.hash)));
        texts.push(entry.to_text());
        previous = Some(leaf);
    }
    (kept, texts)
}

fn joined(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}
