//! What is kept of every entry, and the hash over all of it.
//!
//! # Source
//! SPEC [S9.1] [S9.2]; tree shape of RFC 9162 section 2.1.1.

use minicbor::bytes::{ByteArray, ByteSlice};

use super::fault::{ArchiveFault, decode_error};
use super::item::{Entry, EntryKind, Exception, Mtime, Reason};
use super::path::{EntryPath, Target, slice};
use crate::codec;
use crate::ids::{ContentHash, Root};

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A file, whole.
    File,
    /// A folder.
    Folder,
    /// A link.
    Link,
    /// Something that is listed and not in the archive.
    Exception,
}

impl RecordKind {
    fn number(self) -> u8 {
        match self {
            Self::File => 0,
            Self::Folder => 1,
            Self::Link => 2,
            Self::Exception => 3,
        }
    }
}

/// What is kept about one finished entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its path.
    pub path: EntryPath,
    /// What it is.
    pub kind: RecordKind,
    /// Permission bits, at most 0o777; 0 for an exception.
    pub mode: u32,
    /// When it was last changed; 0 for an exception.
    pub mtime: Mtime,
    /// Bytes; 0 for everything but a file.
    pub size: u64,
    /// Of a file.
    pub hash: Option<ContentHash>,
    /// Of a link.
    pub target: Option<Target>,
    /// Of an exception.
    pub reason: Option<Reason>,
}

impl Record {
    /// The record of a whole file.
    pub fn of_file(entry: Entry, size: u64, hash: ContentHash) -> Self {
        Self { size, hash: Some(hash), ..Self::of_entry(entry) }
    }

    /// The record of an entry that is one item alone.
    pub fn of_entry(entry: Entry) -> Self {
        let kind = match entry.kind {
            EntryKind::File => RecordKind::File,
            EntryKind::Folder => RecordKind::Folder,
            EntryKind::Link => RecordKind::Link,
        };
        let Entry { path, mode, mtime, target, .. } = entry;
        Self { path, kind, mode, mtime, size: 0, hash: None, target, reason: None }
    }

    /// The record of an exception.
    pub fn of_exception(exception: Exception) -> Self {
        Self {
            path: exception.path,
            kind: RecordKind::Exception,
            mode: 0,
            mtime: Mtime { seconds: 0, nanos: 0 },
            size: 0,
            hash: None,
            target: None,
            reason: Some(exception.reason),
        }
    }

    pub(super) fn wire(&self) -> RecordWire<'_> {
        RecordWire {
            path: slice(self.path.as_bytes()),
            kind: self.kind.number(),
            mode: self.mode,
            seconds: self.mtime.seconds,
            nanos: self.mtime.nanos,
            size: self.size,
            hash: self.hash,
            target: self.target.as_ref().map(|target| slice(target.as_bytes())),
            reason: self.reason.map(Reason::number),
        }
    }

    pub(super) fn of_wire(wire: &RecordWire<'_>) -> Result<Self, ArchiveFault> {
        // [S9.1]
        let mtime = Mtime { seconds: wire.seconds, nanos: wire.nanos };
        let entry = |kind: EntryKind, size: Option<u64>| {
            let path = EntryPath::parse(wire.path)?;
            let target = wire.target.map(|target| Target::parse(target, &path)).transpose()?;
            let entry = Entry { path, kind, mode: wire.mode, mtime, size, target };
            entry.check().map(|()| entry)
        };
        let record = match (wire.kind, wire.hash, wire.reason) {
            (0, Some(hash), None) => Self::of_file(entry(EntryKind::File, Some(wire.size))?, wire.size, hash),
            (1, None, None) => Self::of_entry(entry(EntryKind::Folder, Some(wire.size))?),
            (2, None, None) => Self::of_entry(entry(EntryKind::Link, Some(wire.size))?),
            (3, None, Some(reason)) => Self::of_exception(Exception::parse(wire.path, reason)?),
            _ => return Err(ArchiveFault::EntryField),
        };
        // An exception's other fields are fixed; whatever they were on the wire, they are so in the record.
        if record.wire() == *wire { Ok(record) } else { Err(ArchiveFault::EntryField) }
    }
}

/// The fields of a record as they travel.
#[derive(Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub(super) struct RecordWire<'b> {
    #[b(0)]
    path: &'b ByteSlice,
    #[n(1)]
    kind: u8,
    #[n(2)]
    mode: u32,
    #[n(3)]
    seconds: i64,
    #[n(4)]
    nanos: u32,
    #[n(5)]
    size: u64,
    #[n(6)]
    hash: Option<ContentHash>,
    #[b(7)]
    target: Option<&'b ByteSlice>,
    #[n(8)]
    reason: Option<u8>,
}

impl<C> minicbor::Encode<C> for Record {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.wire().encode(e, ctx)
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Record {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::of_wire(&RecordWire::decode(d, ctx)?).map_err(decode_error)
    }
}

/// How much there is of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Counts {
    /// Files that are whole.
    #[n(0)]
    pub files: u64,
    /// Folders.
    #[n(1)]
    pub folders: u64,
    /// Links.
    #[n(2)]
    pub links: u64,
    /// What is listed and not in the archive.
    #[n(3)]
    pub exceptions: u64,
    /// Bytes of the files.
    #[n(4)]
    pub bytes: u64,
}

impl Counts {
    /// Files, folders and links.
    pub fn entries(&self) -> u64 {
        self.files.saturating_add(self.folders).saturating_add(self.links)
    }

    /// Entries and exceptions.
    pub fn records(&self) -> u64 {
        self.entries().saturating_add(self.exceptions)
    }

    /// Counts one more.
    pub(super) fn add(&mut self, record: &Record) {
        let count = match record.kind {
            RecordKind::File => &mut self.files,
            RecordKind::Folder => &mut self.folders,
            RecordKind::Link => &mut self.links,
            RecordKind::Exception => &mut self.exceptions,
        };
        *count = count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(record.size);
    }
}

/// A node of the tree over the records: a leaf or the join of two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node([u8; 32]);

impl Node {
    /// The value.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The leaf of a record.
pub fn leaf(manifest_key: &[u8; 32], record: &Record) -> Node {
    keyed(manifest_key, 0x00, &[&codec::encode(record)]) // [S9.2]
}

fn join(manifest_key: &[u8; 32], left: &Node, right: &Node) -> Node {
    keyed(manifest_key, 0x01, &[&left.0, &right.0])
}

fn keyed(manifest_key: &[u8; 32], purpose: u8, parts: &[&[u8]]) -> Node {
    let mut hasher = blake3::Hasher::new_keyed(manifest_key);
    hasher.update(&[purpose]);
    for part in parts {
        hasher.update(part);
    }
    Node(hasher.finalize().into())
}

/// Computes the root while records come.
///
/// # Shape
/// It keeps one node for every bit set in the number of leaves; it travels as CBOR `[leaves, [node…]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootBuilder {
    leaves: u64,
    /// Heads of complete trees of falling size.
    nodes: Vec<Node>,
}

impl RootBuilder {
    /// Begins with no records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next leaf.
    pub fn push(&mut self, manifest_key: &[u8; 32], leaf: Node) {
        // As many joins as there are trailing ones: each closes a complete tree. [S9.2]
        let mut node = leaf;
        for _ in 0..self.leaves.trailing_ones() {
            let Some(left) = self.nodes.pop() else { break };
            node = join(manifest_key, &left, &node);
        }
        self.nodes.push(node);
        self.leaves += 1;
    }

    /// How many leaves there are.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The root over everything taken so far.
    pub fn root(&self, manifest_key: &[u8; 32]) -> Root {
        let head = self
            .nodes
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| join(manifest_key, &left, &right))
            .unwrap_or_else(|| keyed(manifest_key, 0x02, &[]));
        Root(keyed(manifest_key, 0x03, &[&self.leaves.to_be_bytes(), &head.0]).0)
    }
}

impl<C> minicbor::Encode<C> for RootBuilder {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.u64(self.leaves)?.array(self.nodes.len() as u64)?;
        for node in &self.nodes {
            e.bytes(&node.0)?;
        }
        e.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for RootBuilder {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(2) {
            return Err(decode_error(ArchiveFault::State));
        }
        let leaves = d.u64()?;
        let count = leaves.count_ones();
        // Far more than blocks can hold, and far enough from the end that counting on cannot overflow.
        if d.array()? != Some(u64::from(count)) || leaves >> 48 != 0 {
            return Err(decode_error(ArchiveFault::State));
        }
        let nodes = (0..count).map(|_| Ok(Node(ByteArray::decode(d, ctx)?.into()))).collect::<Result<_, _>>()?;
        Ok(Self { leaves, nodes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [1; 32];

    fn record(number: u64) -> Record {
        let path = EntryPath::parse(format!("{number:04}").as_bytes()).unwrap();
        Record::of_exception(Exception { path, reason: Reason::Vanished })
    }

    /// The tree head by the words of RFC 9162: split at the largest power of two below the number of leaves.
    fn tree_head(leaves: &[[u8; 32]]) -> [u8; 32] {
        let hash = |parts: &[&[u8]]| *blake3::keyed_hash(&KEY, &parts.concat()).as_bytes();
        match leaves {
            [] => hash(&[&[2]]),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                hash(&[&[1], &tree_head(left), &tree_head(right)])
            }
        }
    }

    #[test] // [S9.2]
    fn the_root_is_that_of_the_slow_definition_whenever_it_is_asked() {
        let mut builder = RootBuilder::new();
        let mut leaves = Vec::new();
        for number in 0..70 {
            let root = blake3::keyed_hash(&KEY, &[&[3][..], &u64::to_be_bytes(number), &tree_head(&leaves)].concat());
            assert_eq!(builder.root(&KEY).0, *root.as_bytes(), "{number} records");

            let bytes = [&[0][..], &codec::encode(&record(number))].concat();
            leaves.push(*blake3::keyed_hash(&KEY, &bytes).as_bytes());
            builder.push(&KEY, leaf(&KEY, &record(number)));
            assert_eq!(builder.leaves(), number + 1);
            builder = codec::decode(&codec::encode(&builder)).unwrap();
        }
    }

    #[test] // [S9.2]
    fn the_root_depends_on_key_order_and_number() {
        let root = |key: &[u8; 32], numbers: &[u64]| {
            let mut builder = RootBuilder::new();
            numbers.iter().for_each(|&number| builder.push(key, leaf(key, &record(number))));
            builder.root(key)
        };
        let roots = [
            root(&KEY, &[]),
            root(&KEY, &[1]),
            root(&KEY, &[1, 2]),
            root(&KEY, &[2, 1]),
            root(&KEY, &[1, 2, 2]),
            root(&[2; 32], &[1, 2]),
        ];
        for (index, root) in roots.iter().enumerate() {
            assert!(!roots[..index].contains(root), "{index}");
        }
    }

    #[test]
    fn damaged_states_are_refused() {
        let two_nodes = [&[0x82, 3, 0x81, 0x58, 32][..], &[0; 32]].concat();
        let too_many = [&[0x82, 0x1b, 0xff, 0, 0, 0, 0, 0, 0, 0, 0x88][..], &[0; 8]].concat();
        for bytes in [&two_nodes[..], &too_many, &[0x81, 0]] {
            assert!(codec::decode::<RootBuilder>(bytes).is_err());
        }
    }

    #[test]
    fn counts_are_of_what_was_recorded() {
        let mut counts = Counts::default();
        counts.add(&record(1));
        assert_eq!((counts.exceptions, counts.entries(), counts.records()), (1, 0, 1));
        let file = Record { kind: RecordKind::File, size: 9, ..record(2) };
        counts.add(&file);
        assert_eq!((counts.files, counts.bytes, counts.entries(), counts.records()), (1, 9, 1, 2));
    }
}
