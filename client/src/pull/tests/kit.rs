//! A seller in memory: an archive of given entries as sealed blocks, with a real offer and seal.

use std::path::Path;
use std::sync::{Arc, Mutex};

use handover_shared::archive::block::{Ending, padding_payload, seal_block, tail_payload};
use handover_shared::archive::catalogue::{Listed, Places, Tail};
use handover_shared::archive::frame::{Level, Packer};
use handover_shared::archive::inventory::InventoryBuilder;
use handover_shared::archive::item::{Entry, EntryKind, Exception, Mtime, Reason};
use handover_shared::archive::path::{EntryPath, Target};
use handover_shared::archive::stream::{Cut, Cutter};
use handover_shared::archive::writer::{RawFrame, Writer};
use handover_shared::ids::{BlockIndex, BlockSize, LinkKey, Millis, TransferId};
use handover_shared::keys::code::{Code, RelayAddress, Ticket};
use handover_shared::keys::schedule::{CodeKeys, ContentKey, seal_envelope};
use handover_shared::keys::{Entropy, OsEntropy, Secret};
use handover_shared::limits::PIECE_BYTES;
use handover_shared::proof::{
    self, Agreement, Fingerprint, Identity, Kind, Mode, OfferText, OpenedOffer, SealText, Summary,
};

use crate::event::{Event, ExceptionReason, Observer};
use crate::pull::{Conflict, ConflictPolicy, Decide};

/// An entry to be sent.
#[derive(Clone, Debug)]
pub struct Thing {
    path: Vec<u8>,
    kind: What,
    mode: u32,
    mtime: Mtime,
}

#[derive(Clone, Debug)]
enum What {
    File(Vec<u8>),
    /// A file that ends void once, with these bytes, before it comes whole.
    Voided(Vec<u8>, Vec<u8>),
    Folder,
    Link(Vec<u8>),
    Missing(Reason),
}

const MTIME: Mtime = Mtime { seconds: 1_700_000_000, nanos: 123_456_789 };

pub fn file(path: &str, bytes: impl Into<Vec<u8>>) -> Thing {
    Thing { path: path.into(), kind: What::File(bytes.into()), mode: 0o644, mtime: MTIME }
}

pub fn voided(path: &str, first: impl Into<Vec<u8>>, then: impl Into<Vec<u8>>) -> Thing {
    Thing { kind: What::Voided(first.into(), then.into()), ..file(path, "") }
}

pub fn folder(path: &str) -> Thing {
    Thing { path: path.into(), kind: What::Folder, mode: 0o755, mtime: MTIME }
}

pub fn link(path: &str, target: &str) -> Thing {
    Thing { path: path.into(), kind: What::Link(target.into()), mode: 0o777, mtime: MTIME }
}

pub fn missing(path: &str, reason: Reason) -> Thing {
    Thing { path: path.into(), kind: What::Missing(reason), mode: 0, mtime: MTIME }
}

impl Thing {
    pub fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    pub fn named(self, path: &[u8]) -> Self {
        Self { path: path.into(), ..self }
    }

    fn entry(&self) -> Entry {
        let path = EntryPath::parse(&self.path).unwrap();
        let (kind, size, target) = match &self.kind {
            What::File(bytes) | What::Voided(bytes, _) => (EntryKind::File, Some(bytes.len() as u64), None),
            What::Link(target) => (EntryKind::Link, Some(0), Some(Target::parse(target, &path).unwrap())),
            What::Folder | What::Missing(_) => (EntryKind::Folder, Some(0), None),
        };
        Entry { path, kind, mode: self.mode, mtime: self.mtime, size, target }
    }
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_be_bytes());
    hasher.finalize_xof().fill(&mut out);
    out
}

/// Everything a seller has.
pub struct Seller {
    pub identity: Identity,
    pub code: Code,
    pub key: ContentKey,
    pub share: Secret<32>,
    pub transfer: TransferId,
    pub size: BlockSize,
    pub offer: OpenedOffer,
    pub sealed_offer: Vec<u8>,
    pub envelope: Vec<u8>,
}

impl Seller {
    /// For a relay of this key.
    pub fn new(relay: &LinkKey, size: BlockSize, things: &[Thing]) -> Self {
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let identity = Identity::generate(entropy, "seller");
        let (code, key, share) =
            (Code::generate(entropy), ContentKey::generate(entropy), Secret::from_entropy(entropy));
        let transfer = TransferId(entropy.array());
        let keys = CodeKeys::of(&code);
        let summary = summary_of(things);
        let created = crate::pull::now();
        let text = OfferText {
            transfer,
            mode: Mode::Detached,
            seller_key: Fingerprint::of(&identity.public()),
            relay_key: Fingerprint::of_link_key(relay),
            commit: key.commit(&transfer),
            summary: summary.digest(),
            agreement: Agreement::None,
            block_bytes: size,
            created: created.into(),
            expires: created.plus(24 * 3600 * 1000).into(),
        };
        let sealed_offer = proof::seal_offer(&keys, &text, &summary, &identity, entropy.array()).unwrap();
        let offer = proof::open_offer(&keys, &sealed_offer, &transfer).unwrap();
        let envelope = seal_envelope(&keys.psk, &share, &transfer, &offer.sealed_digest, &key, entropy.array());
        Self { identity, code, key, share, transfer, size, offer, sealed_offer, envelope }
    }

    /// The offer, opened by somebody else.
    pub fn reopened(&self) -> OpenedOffer {
        proof::open_offer(&CodeKeys::of(&self.code), &self.sealed_offer, &self.transfer).unwrap()
    }

    /// The code with an address.
    pub fn ticket(&self, relay: Option<RelayAddress>) -> Ticket {
        Ticket { code: self.code.duplicate(), relay }
    }

    /// The archive as sealed blocks.
    pub fn archive(&self, things: &[Thing]) -> Vec<Vec<u8>> {
        let manifest_key = self.key.manifest_key(&self.transfer);
        let mut writer = Writer::new(manifest_key.expose());
        let mut cutting = Cutting::new(self.size);
        for thing in things {
            put(thing, &mut writer, &mut cutting);
        }
        let counts = writer.state().counts();
        let root = writer.root();
        cutting.take(writer.close_entries().unwrap());
        let mut inventory = InventoryBuilder::new(self.transfer, self.key.inventory_salt(&self.transfer));
        for line in std::mem::take(&mut cutting.listed) {
            inventory.add(&line.record);
            let frame = writer.list(&line).unwrap();
            cutting.take(frame);
        }
        for frame in writer.finish().unwrap() {
            cutting.take(Some(frame));
        }
        let rest = cutting.cutter.flush().unwrap();
        cutting.cuts.extend(rest);
        let stream_blocks = cutting.cuts.len() as u64;
        let seal = SealText {
            transfer: self.transfer,
            offer: self.offer.text_id,
            root,
            inventory: proof::text_id(&inventory.finish()),
            entries: counts.entries(),
            files: counts.files,
            folders: counts.folders,
            links: counts.links,
            exceptions: counts.exceptions,
            bytes: counts.bytes,
            stream_blocks,
            sealed: Millis(1_700_000_000_000).into(),
        };
        let seal_text = seal.to_text();
        let seal_signature = proof::sign(Kind::Seal, &seal_text, &self.identity).unwrap();
        let catalogue = cutting.places.catalogue().unwrap();
        let tail = Tail { stream_blocks, counts, root, catalogue, seal_text, seal_signature };
        let ending = Ending::of(stream_blocks).unwrap();
        let mut payloads: Vec<Vec<u8>> = cutting.cuts.into_iter().map(|cut| cut.payload).collect();
        payloads.resize_with(ending.tail().0 as usize, || padding_payload(self.size));
        payloads.push(tail_payload(self.size, &tail).unwrap());
        let block_key = self.key.block_key(&self.transfer);
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let seal = |(index, payload): (usize, Vec<u8>)| {
            let mut sealed = Vec::new();
            let index = BlockIndex(index as u64);
            seal_block(block_key.expose(), &self.transfer, index, entropy.array(), &payload, &mut sealed);
            sealed
        };
        payloads.into_iter().enumerate().map(seal).collect()
    }
}

fn summary_of(things: &[Thing]) -> Summary {
    let mut bytes_in_all = 0;
    let mut summary = Summary {
        label: "客户".into(),
        seller_name: "Wang".into(),
        organisation: None,
        files: 0,
        folders: 0,
        links: 0,
        bytes: None,
        hidden: 0,
        document: None,
        executable: 0,
        biggest: Vec::new(),
    };
    for thing in things {
        match &thing.kind {
            What::File(bytes) | What::Voided(_, bytes) => {
                summary.files += 1;
                bytes_in_all += bytes.len() as u64;
            }
            What::Folder => summary.folders += 1,
            What::Link(_) => summary.links += 1,
            What::Missing(_) => {}
        }
    }
    summary.bytes = Some(bytes_in_all);
    summary
}

fn put(thing: &Thing, writer: &mut Writer, cutting: &mut Cutting) {
    let whole = |bytes: &[u8], writer: &mut Writer, cutting: &mut Cutting| {
        cutting.take(writer.begin(Entry { size: Some(bytes.len() as u64), ..thing.entry() }).unwrap());
        for piece in bytes.chunks(PIECE_BYTES) {
            cutting.take(writer.data(piece).unwrap());
        }
    };
    match &thing.kind {
        What::File(bytes) => {
            whole(bytes, writer, cutting);
            cutting.take(writer.end().unwrap());
        }
        What::Voided(first, then) => {
            whole(first, writer, cutting);
            cutting.take(writer.void().unwrap());
            whole(then, writer, cutting);
            cutting.take(writer.end().unwrap());
        }
        What::Folder | What::Link(_) => cutting.take(writer.begin(thing.entry()).unwrap()),
        What::Missing(reason) => {
            let path = EntryPath::parse(&thing.path).unwrap();
            cutting.take(writer.exception(Exception { path, reason: *reason }).unwrap());
        }
    }
}

struct Cutting {
    packer: Packer,
    cutter: Cutter,
    places: Places,
    cuts: Vec<Cut>,
    listed: Vec<Listed>,
}

impl Cutting {
    fn new(size: BlockSize) -> Self {
        Self {
            packer: Packer::new(Level::DEFAULT).unwrap(),
            cutter: Cutter::start(size, BlockIndex(0)),
            places: Places::new(),
            cuts: Vec::new(),
            listed: Vec::new(),
        }
    }

    fn take(&mut self, frame: Option<RawFrame>) {
        let Some(RawFrame { bytes, notes }) = frame else { return };
        let packed = self.packer.pack(bytes).unwrap();
        let location = self.cutter.frame(&packed, &mut self.cuts).unwrap();
        self.listed.extend(self.places.frame(notes, location).unwrap());
    }
}

/// What is on disk, as text to compare: names, kinds, modes, times, contents.
pub fn tree(root: &Path) -> Vec<String> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    let mut lines = Vec::new();
    let mut names: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let path = root.join(&name);
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let name = name.as_bytes().escape_ascii().to_string();
        let about = format!("{:03o} {}.{:09}", meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec());
        if meta.is_dir() {
            lines.push(format!("{name}/ {about}"));
            lines.extend(tree(&path).into_iter().map(|line| format!("{name}/{line}")));
        } else if meta.is_symlink() {
            let target = std::fs::read_link(&path).unwrap();
            lines.push(format!("{name} -> {} {}.{:09}", target.display(), meta.mtime(), meta.mtime_nsec()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            lines.push(format!("{name} {about} {} {}", bytes.len(), blake3::hash(&bytes).to_hex()));
        }
    }
    lines
}

/// What [`tree`] must show of these entries.
pub fn expected(things: &[Thing]) -> Vec<String> {
    let line = |thing: &Thing| {
        let name = thing.path.split(|&byte| byte == b'/').map(|part| part.escape_ascii().to_string());
        let name = name.collect::<Vec<_>>().join("/");
        let time = format!("{}.{:09}", thing.mtime.seconds, thing.mtime.nanos);
        let about = format!("{:03o} {time}", thing.mode);
        match &thing.kind {
            What::File(bytes) | What::Voided(_, bytes) => {
                Some(format!("{name} {about} {} {}", bytes.len(), blake3::hash(bytes).to_hex()))
            }
            What::Folder => Some(format!("{name}/ {about}")),
            What::Link(target) => Some(format!("{name} -> {} {time}", String::from_utf8_lossy(target))),
            What::Missing(_) => None,
        }
    };
    things.iter().filter_map(line).collect()
}

/// Remembers exceptions.
#[derive(Default)]
pub struct Watcher {
    pub exceptions: Mutex<Vec<(Vec<u8>, ExceptionReason)>>,
    pub stalls: Mutex<u32>,
    pub resumed: Mutex<Option<u64>>,
}

impl Watcher {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn exceptions(&self) -> Vec<(String, ExceptionReason)> {
        let seen = self.exceptions.lock().unwrap();
        seen.iter().map(|(path, reason)| (String::from_utf8_lossy(path).into_owned(), *reason)).collect()
    }
}

impl Observer for Watcher {
    fn event(&self, event: Event) {
        match event {
            Event::Exception { path, reason } => self.exceptions.lock().unwrap().push((path.into_inner(), reason)),
            Event::Stalled { .. } => *self.stalls.lock().unwrap() += 1,
            Event::Resumed { bytes, .. } => *self.resumed.lock().unwrap() = Some(bytes),
            _ => {}
        }
    }
}

/// Answers with one policy, or not at all, and remembers what it was asked.
pub struct Answer {
    pub policy: Option<ConflictPolicy>,
    pub asked: Mutex<Vec<(u64, Vec<Conflict>)>>,
}

impl Answer {
    pub fn with(policy: Option<ConflictPolicy>) -> Arc<Self> {
        Arc::new(Self { policy, asked: Mutex::default() })
    }
}

impl Decide for Answer {
    fn conflicts(&self, count: u64, first: &[Conflict]) -> Option<ConflictPolicy> {
        self.asked.lock().unwrap().push((count, first.to_vec()));
        self.policy
    }
}
