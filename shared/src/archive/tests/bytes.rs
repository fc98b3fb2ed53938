//! Every structure, byte by byte.

use super::*;
use crate::archive::block::{Payload, PayloadKind, Start, payload_head};
use crate::archive::catalogue::{Page, Place};
use crate::archive::frame::{Codec, FrameHead};
use crate::archive::item::{
    EntryEnd, Found, ItemRef, items, write_data, write_end, write_entry, write_exception, write_page,
};
use crate::archive::manifest::RootBuilder;
use crate::archive::path::{Node, Tree};
use crate::archive::writer::Began;
use crate::ids::ContentHash;

fn path(text: &str) -> EntryPath {
    EntryPath::parse(text.as_bytes()).unwrap()
}

fn a_file() -> Entry {
    let mtime = Mtime { seconds: 1, nanos: 2 };
    Entry { path: path("a/b"), kind: EntryKind::File, mode: 0o644, mtime, size: Some(3), target: None }
}

fn a_link() -> Entry {
    let target = Some(Target::parse(b"c", &path("a/b")).unwrap());
    Entry { kind: EntryKind::Link, size: Some(0), target, ..a_file() }
}

/// The item is written to these bytes and read from them.
fn assert_item(bytes: &[u8], item: ItemRef<'_>) {
    let mut written = Vec::new();
    match &item {
        ItemRef::Entry(entry) => write_entry(entry, &mut written),
        ItemRef::Data(data) => write_data(data, &mut written),
        ItemRef::End(end) => write_end(end, &mut written),
        ItemRef::Exception(exception) => write_exception(exception, &mut written),
        ItemRef::Page(page) => write_page(page, &mut written),
    }
    assert_eq!(written, bytes);
    assert_eq!(items(bytes).collect::<Vec<_>>(), [Ok(Found { offset: 0, item })]);
}

#[test] // [S6.1] [S6.2]
fn entries() {
    let file = [1, 0, 0, 0, 11, 0x86, 0x43, b'a', b'/', b'b', 0, 0x19, 0x01, 0xa4, 1, 2];
    assert_item(&[&file[..4], &[12], &file[5..], &[3]].concat(), ItemRef::Entry(a_file()));
    let unknown = Entry { size: None, ..a_file() };
    let bytes = [&file[..4], &[20], &file[5..], &[0x1b], &[0xff; 8]].concat();
    assert_item(&bytes, ItemRef::Entry(unknown));
    let old = Entry { mtime: Mtime { seconds: -2, nanos: 0 }, mode: 0o7, ..a_file() };
    assert_item(&[1, 0, 0, 0, 10, 0x86, 0x43, b'a', b'/', b'b', 0, 7, 0x21, 0, 3], ItemRef::Entry(old));
    let folder = Entry { kind: EntryKind::Folder, size: Some(0), mode: 0, ..a_file() };
    assert_item(&[1, 0, 0, 0, 10, 0x86, 0x43, b'a', b'/', b'b', 1, 0, 1, 2, 0], ItemRef::Entry(folder));
    let link = Entry { mode: 1, ..a_link() };
    let bytes = [1, 0, 0, 0, 12, 0x87, 0x43, b'a', b'/', b'b', 2, 1, 1, 2, 0, 0x41, b'c'];
    assert_item(&bytes, ItemRef::Entry(link));
}

#[test] // [S6.1] [S6.3] [S6.4] [S6.5]
fn data_ends_and_exceptions() {
    assert_item(&[2, 0, 0, 0, 2, 0xaa, 0xbb], ItemRef::Data(&[0xaa, 0xbb]));
    assert_item(&[3, 0, 0, 0, 2, 0x81, 1], ItemRef::End(EntryEnd::Void));
    let whole = EntryEnd::Whole { size: 24, hash: ContentHash([5; 32]) };
    let bytes = [&[3, 0, 0, 0, 38, 0x83, 0, 0x18, 24, 0x58, 32][..], &[5; 32]].concat();
    assert_item(&bytes, ItemRef::End(whole));
    for (number, reason) in (0..).zip(Reason::ALL) {
        let exception = Exception { path: path("a"), reason };
        assert_item(&[4, 0, 0, 0, 4, 0x82, 0x41, b'a', number], ItemRef::Exception(exception));
    }
}

#[test] // [S9.1] [S9.3]
fn records_and_pages() {
    let hash = ContentHash([6; 32]);
    let file = Record::of_file(a_file(), 3, hash);
    let file_bytes = [&[0x87, 0x43, b'a', b'/', b'b', 0, 0x19, 0x01, 0xa4, 1, 2, 3, 0x58, 32][..], &[6; 32]].concat();
    let folder = Record::of_entry(Entry { kind: EntryKind::Folder, size: Some(0), ..a_file() });
    let folder_bytes = vec![0x86, 0x43, b'a', b'/', b'b', 1, 0x19, 0x01, 0xa4, 1, 2, 0];
    let link = Record::of_entry(a_link());
    let link_bytes = vec![0x88, 0x43, b'a', b'/', b'b', 2, 0x19, 0x01, 0xa4, 1, 2, 0, 0xf6, 0x41, b'c'];
    let exception = Record::of_exception(Exception { path: path("x"), reason: Reason::Vanished });
    let exception_bytes = vec![0x89, 0x41, b'x', 3, 0, 0, 0, 0, 0xf6, 0xf6, 1];
    for (record, bytes) in
        [(&file, &file_bytes), (&folder, &folder_bytes), (&link, &link_bytes), (&exception, &exception_bytes)]
    {
        assert_eq!(codec::encode(record), *bytes);
        assert_eq!(codec::decode::<Record>(bytes).as_ref(), Ok(record));
    }

    let place = Place { frame: Location { block: BlockIndex(1), offset: 2 }, item: 3 };
    let page = Page { first: 4, listed: vec![Listed { record: exception, place }] };
    let line = [&[0x84][..], &exception_bytes, &[1, 2, 3]].concat();
    assert_item(&[&[5, 0, 0, 0, 18, 0x82, 4, 0x81][..], &line].concat(), ItemRef::Page(page.clone()));
    assert_eq!(codec::decode::<Listed>(&line).as_ref(), Ok(&page.listed[0]));
    assert_eq!(codec::encode(&page.listed[0]), line);
}

#[test] // [S9.4]
fn the_tail() {
    let counts = Counts { files: 1, folders: 2, links: 3, exceptions: 4, bytes: 5 };
    let tail = Tail {
        stream_blocks: 7,
        counts,
        root: Root([8; 32]),
        catalogue: Location { block: BlockIndex(9), offset: 10 },
        seal_text: "t".to_owned(),
        seal_signature: "s".to_owned(),
    };
    let bytes = [&[0x8c, 7, 6, 1, 2, 3, 4, 5, 0x58, 32][..], &[8; 32], &[9, 10, 0x61, b't', 0x61, b's']].concat();
    assert_eq!(tail.to_bytes().unwrap(), bytes);
    assert_eq!(Tail::parse(&bytes).unwrap(), tail);

    let payload = tail_payload(BlockSize::Small, &tail).unwrap();
    assert_eq!(payload.len(), 65_416);
    assert_eq!(payload[..8], [2, 0, 0, 0, 0, 0, 0, 48]);
    assert_eq!(payload[8..56], bytes);
}

#[test] // [S7.1]
fn frames() {
    let mut packer = Packer::new(Level::DEFAULT).unwrap();
    let stored = packer.pack(vec![1, 2, 3]).unwrap();
    assert_eq!(stored.head().to_bytes(), [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3]);
    assert_eq!(stored.body(), [1, 2, 3]);
    assert_eq!(stored.wire_bytes(), 15);
    let zeros = packer.pack(vec![0; 0x10_0001]).unwrap();
    let stored_bytes = u8::try_from(zeros.body().len()).unwrap();
    assert_eq!(zeros.head().to_bytes(), [1, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, stored_bytes]);
    assert_eq!(zeros.body()[..4], [0x28, 0xb5, 0x2f, 0xfd], "the magic number of zstd");
    let head = FrameHead::parse(&zeros.head().to_bytes()).unwrap();
    assert_eq!((head.codec(), head.raw_bytes()), (Codec::Zstd, 0x10_0001));
}

#[test] // [S8.3]
fn payloads() {
    let cases = [
        (PayloadKind::Stream(Start::Fresh), [0, 1, 0, 0, 0, 1, 2, 3]),
        (PayloadKind::Stream(Start::Continued), [0, 0, 0, 0, 0, 1, 2, 3]),
        (PayloadKind::Tail, [2, 0, 0, 0, 0, 1, 2, 3]),
    ];
    for (kind, head) in cases {
        assert_eq!(payload_head(kind, 0x0001_0203), head);
        let mut payload = head.to_vec();
        payload.resize(8 + 0x0001_0203, 0xee);
        payload.resize(BlockSize::Large.payload_bytes(), 0);
        let parsed = Payload::parse(&payload, BlockSize::Large).unwrap();
        assert_eq!((parsed.kind(), parsed.used()), (kind, &[0xee; 0x0001_0203][..]));
    }
    let padding = padding_payload(BlockSize::Small);
    assert_eq!(padding[..9], [1, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Payload::parse(&padding, BlockSize::Small).unwrap().kind(), PayloadKind::Padding);
}

#[test] // [S8.2]
fn a_block_is_sealed_for_its_place_in_its_transfer() {
    let payload = padding_payload(BlockSize::Small);
    let mut sealed = Vec::new();
    seal_block(&BLOCK_KEY, &TRANSFER, BlockIndex(0x0102), [3; SALT_BYTES], &payload, &mut sealed);
    assert_eq!(sealed.len(), 65_536);
    let context = [&b"handover/v1/block\0"[..], &[9; 16], &[0, 0, 0, 0, 0, 0, 1, 2]].concat();
    assert_eq!(*crate::keys::seal::open(&BLOCK_KEY, &context, &sealed).unwrap(), payload);

    let open = |key, transfer, block, size, sealed: &[u8]| {
        OpenedBlock::open(key, &transfer, BlockIndex(block), size, sealed.to_vec()).map(|it| it.payload().kind())
    };
    let small = BlockSize::Small;
    let other = TransferId([0; 16]);
    let mut altered = sealed.clone();
    altered[60_000] ^= 1;
    assert_eq!(open(&BLOCK_KEY, TRANSFER, 0x0102, small, &sealed), Ok(PayloadKind::Padding));
    let fault = Err(ArchiveFault::BlockSealed);
    assert_eq!(open(&MANIFEST_KEY, TRANSFER, 0x0102, small, &sealed), fault);
    assert_eq!(open(&BLOCK_KEY, other, 0x0102, small, &sealed), fault);
    assert_eq!(open(&BLOCK_KEY, TRANSFER, 0x0103, small, &sealed), fault);
    assert_eq!(open(&BLOCK_KEY, TRANSFER, 0x0102, BlockSize::Large, &sealed), fault);
    assert_eq!(open(&BLOCK_KEY, TRANSFER, 0x0102, small, &sealed[1..]), fault);
    assert_eq!(open(&BLOCK_KEY, TRANSFER, 0x0102, small, &altered), fault);
}

#[test]
fn kept_states() {
    let position = FrameReader::new().position();
    assert_eq!(codec::encode(&position), [0x82, 0, 0]);
    assert_eq!(codec::decode::<Position>(&[0x83, 5, 0, 4]).unwrap().block(), BlockIndex(5));
    assert_eq!(codec::encode(&Places::new()), [0x80]);
    assert_eq!(codec::encode(&Began { frame: 1, item: 2 }), [0x82, 1, 2]);
    assert_eq!(codec::encode(&RootBuilder::new()), [0x82, 0, 0x80]);
    let mut tree = Tree::default();
    assert_eq!(codec::encode(&tree), [0x80]);
    tree.admit(&path("a"), Node::Folder).unwrap();
    assert_eq!(codec::encode(&tree), [0x82, 0x41, b'a', 1]);
    let counts = [0x85, 0, 0, 0, 0, 0];
    let sequence = [&[0x83, 0x80][..], &counts, &[0x82, 0, 0x80]].concat();
    assert_eq!(codec::encode(&WriterState::default()), [&[0x82][..], &sequence, &[0]].concat());
    let reader = Reader::new(&MANIFEST_KEY);
    let bytes = [&[0x82][..], &sequence, &[0x58, 32], &[0; 32]].concat();
    assert_eq!(codec::encode(reader.state()), bytes);
}
