//! The seller's files, which change when they like.

use std::collections::BTreeMap;
use std::sync::Arc;

use handover_shared::archive::item::{Entry, EntryKind, Mtime, Reason};
use handover_shared::archive::path::{EntryPath, Target};
use handover_shared::codec;

use super::rng::{Rng, noise, table};

/// What must not change while a file is read [S14.5].
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Signature {
    #[n(0)]
    pub size: u64,
    #[n(1)]
    pub mtime: u64,
    /// Rises with every change, whatever else stays.
    #[n(2)]
    pub ctime: u64,
}

#[derive(Clone, Debug)]
pub struct SourceFile {
    pub bytes: Arc<Vec<u8>>,
    pub signature: Signature,
}

/// A line of the plan.
#[derive(Clone, Debug)]
pub enum Planned {
    Entry(Entry),
    Exception(EntryPath, Reason),
}

#[derive(Debug, Default)]
pub struct Source {
    files: BTreeMap<Vec<u8>, SourceFile>,
    plan: Vec<Planned>,
    /// Every content that a file ever had.
    versions: BTreeMap<Vec<u8>, Vec<Arc<Vec<u8>>>>,
}

const NAMES: [&str; 8] = ["customers.csv", "orders.db", "客户.xlsx", "a", "b.txt", "c", "photos", "z"];

impl Source {
    /// A small tree.
    pub fn generate(rng: &mut Rng) -> Self {
        let mut source = Self::default();
        let mut lines: BTreeMap<EntryPath, Planned> = BTreeMap::new();
        let mut folders: Vec<String> = vec![String::new()];
        for _ in 0..rng.within(0..=12) {
            let folder = folders[rng.below(folders.len() as u64) as usize].clone();
            let text = format!("{folder}{}{}", rng.pick(&NAMES), rng.below(3));
            let path = EntryPath::parse(text.as_bytes()).expect("a plain name");
            if lines.contains_key(&path) {
                continue;
            }
            let line = match rng.below(12) {
                0 | 1 => {
                    folders.push(format!("{text}/"));
                    Planned::Entry(entry(path.clone(), EntryKind::Folder, None))
                }
                2 => {
                    let target = Target::parse(b"customers.csv0", &path).expect("it stays inside");
                    Planned::Entry(entry(path.clone(), EntryKind::Link, Some(target)))
                }
                3 => Planned::Exception(path.clone(), rng.pick(&[Reason::NotAFile, Reason::LinkLeaves])),
                _ => {
                    source.put(path.as_bytes(), content(rng), 1);
                    Planned::Entry(entry(path.clone(), EntryKind::File, None))
                }
            };
            lines.insert(path, line);
        }
        source.plan = lines.into_values().collect();
        source
    }

    /// What a scan finds.
    pub fn plan(&self) -> &[Planned] {
        &self.plan
    }

    pub fn file(&self, path: &EntryPath) -> Option<&SourceFile> {
        self.files.get(path.as_bytes())
    }

    /// Whether a file ever had exactly this content.
    pub fn had(&self, path: &[u8], bytes: &[u8]) -> bool {
        self.versions.get(path).is_some_and(|versions| versions.iter().any(|it| it[..] == *bytes))
    }

    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.signature.size).sum()
    }

    /// Somebody works with a file; tells which.
    pub fn disturb(&mut self, rng: &mut Rng, now: u64) -> Option<String> {
        let paths: Vec<Vec<u8>> = self.versions.keys().cloned().collect();
        let path = paths.get(rng.below(paths.len() as u64) as usize)?.clone();
        let name = String::from_utf8_lossy(&path).into_owned();
        let Some(file) = self.files.get(&path).cloned() else {
            self.put(&path, content(rng), now);
            return Some(format!("{name} is there again"));
        };
        let mut bytes = file.bytes.to_vec();
        let what = match rng.below(6) {
            0 => {
                self.files.remove(&path);
                return Some(format!("{name} is deleted"));
            }
            1 => {
                bytes.extend(noise(rng.word(), rng.within(1..=500) as usize));
                "grows"
            }
            2 => {
                bytes.truncate(bytes.len() / 2);
                "is cut"
            }
            3 => {
                bytes = content(rng);
                "is replaced"
            }
            _ => {
                bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
                "is changed all over"
            }
        };
        // Some programs set the time of change back.
        let mtime = if rng.percent(30) { file.signature.mtime } else { now };
        self.put(&path, bytes, now);
        if let Some(file) = self.files.get_mut(&path) {
            file.signature.mtime = mtime;
        }
        Some(format!("{name} {what}"))
    }

    fn put(&mut self, path: &[u8], bytes: Vec<u8>, now: u64) {
        let bytes = Arc::new(bytes);
        let ctime = self.versions.values().map(Vec::len).sum::<usize>() as u64;
        let signature = Signature { size: bytes.len() as u64, mtime: now, ctime };
        self.versions.entry(path.to_vec()).or_default().push(bytes.clone());
        self.files.insert(path.to_vec(), SourceFile { bytes, signature });
    }
}

fn content(rng: &mut Rng) -> Vec<u8> {
    let length = match rng.below(100) {
        0..10 => 0,
        10..45 => rng.within(1..=3000),
        45..98 => rng.within(3_000..=120_000),
        _ => rng.within(1_000_000..=2_300_000),
    } as usize;
    if rng.percent(70) { noise(rng.word(), length) } else { table(rng.word(), length) }
}

fn entry(path: EntryPath, kind: EntryKind, target: Option<Target>) -> Entry {
    Entry { path, kind, mode: 0o640, mtime: Mtime { seconds: 1_700_000_000, nanos: 5 }, size: Some(0), target }
}

/// The plan as a file.
pub fn plan_to_bytes(plan: &[Planned]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in plan {
        let (tag, body) = match line {
            Planned::Entry(entry) => (255, codec::encode(entry)),
            Planned::Exception(path, reason) => (reason.number(), path.as_bytes().to_vec()),
        };
        bytes.push(tag);
        bytes.extend((body.len() as u32).to_be_bytes());
        bytes.extend(body);
    }
    bytes
}

/// Reads what [`plan_to_bytes`] wrote.
pub fn plan_of_bytes(mut bytes: &[u8]) -> Vec<Planned> {
    let mut plan = Vec::new();
    while let Some((&[tag, a, b, c, d], rest)) = bytes.split_first_chunk() {
        let (body, rest) = rest.split_at(u32::from_be_bytes([a, b, c, d]) as usize);
        plan.push(match Reason::of_number(tag) {
            None => Planned::Entry(codec::decode(body).expect("an entry")),
            Some(reason) => Planned::Exception(EntryPath::parse(body).expect("a path"), reason),
        });
        bytes = rest;
    }
    plan
}
