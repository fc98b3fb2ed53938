//! One refusal for every rule, by bytes and items that a hostile seller can make.

use super::*;
use crate::archive::block::Payload;
use crate::archive::catalogue::{Page, Place};
use crate::archive::frame::FrameHead;
use crate::archive::item::{EntryEnd, ItemRef, items};
use crate::ids::ContentHash;
use crate::limits;

use ArchiveFault as F;

fn item(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(body.len() as u32).to_be_bytes(), body].concat()
}

fn entry(path: &[u8], rest: &[u8]) -> Vec<u8> {
    let fields = if rest.len() > 5 { 0x87 } else { 0x86 };
    let length = match path.len() {
        0..24 => vec![0x40 | path.len() as u8],
        24..256 => vec![0x58, path.len() as u8],
        _ => vec![0x59, (path.len() >> 8) as u8, path.len() as u8],
    };
    item(1, &[&[fields][..], &length, path, rest].concat())
}

#[test] // [S2.2] [S3.1] [S6.1] [S6.2] [S6.3] [S6.5] [S6.7] [S6.8] [S9.1]
fn items_alone() {
    let link = |target: &[u8]| {
        let rest = [&[2, 7, 0, 0, 0, 0x40 | target.len() as u8][..], target].concat();
        entry(b"d/l", &rest)
    };
    let long_target = {
        let rest = [&[2, 7, 0, 0, 0, 0x59, 0x10, 0x01][..], &[b't'; 4097]].concat();
        entry(b"d/l", &rest)
    };
    let deep = [b"a/".repeat(64), b"a".to_vec()].concat();
    let listed = |name: &[u8], reason: u8| {
        item(4, &[&[0x82, 0x59, (name.len() >> 8) as u8, name.len() as u8][..], name, &[reason]].concat())
    };
    let page = |record: &[u8]| item(5, &[&[0x82, 0, 0x81, 0x84][..], record, &[0, 0, 0]].concat());
    let refused: Vec<(Vec<u8>, F)> = vec![
        (item(0, b""), F::ItemTag),
        (item(6, b""), F::ItemTag),
        (vec![1, 0, 0, 0], F::ItemLength),
        (vec![2, 0, 0, 0, 2, 1], F::ItemLength),
        (vec![2, 0xff, 0xff, 0xff, 0xff, 1], F::ItemLength),
        (item(2, &vec![0; PIECE_BYTES + 1]), F::ItemLength),
        (item(1, &vec![0; 9000]), F::ItemLength),
        (item(3, &[0; 65]), F::ItemLength),
        (item(4, &[0; 6000]), F::ItemLength),
        (item(5, &vec![0; limits::PAGE_BYTES_MAX + 1]), F::ItemLength),
        (item(2, b""), F::DataLength),
        (entry(b"a", &[0, 0x18, 7, 0, 0, 0]), F::ItemEncoding),
        (entry(b"a", &[0, 7, 0, 0, 0, 0xf6]), F::ItemEncoding),
        (item(1, &[entry(b"a", &[0, 7, 0, 0, 0])[5..].to_vec(), vec![0]].concat()), F::ItemEncoding),
        (item(3, &[0x81, 0]), F::ItemEncoding),
        (item(3, &[0x81, 2]), F::ItemEncoding),
        (item(4, &[0x82, 0x61, b'a', 0]), F::ItemEncoding),
        (item(5, &[0x82, 0, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), F::ItemEncoding),
        (item(4, &[0x82, 0x41, b'a', 7]), F::EntryField),
        (entry(b"a", &[3, 7, 0, 0, 0]), F::EntryField),
        (entry(b"a", &[0, 0x19, 0x02, 0x00, 0, 0, 0]), F::ItemEncoding), // seven fields said, six there
        (item(1, &[0x86, 0x41, b'a', 0, 0x19, 0x02, 0x00, 0, 0, 0]), F::EntryField), // a mode above 0777
        (item(1, &[0x86, 0x41, b'a', 0, 7, 0, 0x1a, 0x3b, 0x9a, 0xca, 0x00, 0]), F::EntryField), // 10^9 ns
        (entry(b"a", &[1, 7, 0, 0, 1]), F::EntryField),                  // a folder with a size
        (entry(b"a", &[2, 7, 0, 0, 0]), F::EntryField),                  // a link without a target
        (entry(b"a", &[0, 7, 0, 0, 0, 0x41, b't']), F::EntryField),      // a file with a target
        (entry(b"", &[0, 7, 0, 0, 0]), F::Path),
        (entry(b"/a", &[0, 7, 0, 0, 0]), F::Path),
        (entry(b"a/", &[0, 7, 0, 0, 0]), F::Path),
        (entry(b"a//b", &[0, 7, 0, 0, 0]), F::Path),
        (entry(b"a/./b", &[0, 7, 0, 0, 0]), F::Path),
        (entry(b"..", &[0, 7, 0, 0, 0]), F::Path),
        (entry(b"a/../b", &[0, 7, 0, 0, 0]), F::Path),
        (entry(b"a\0", &[0, 7, 0, 0, 0]), F::Path),
        (entry(&[b'a'; 256], &[0, 7, 0, 0, 0]), F::PathLimit),
        (entry(&deep, &[0, 7, 0, 0, 0]), F::PathLimit),
        (entry(&[&[b'a'; 255][..], b"/"].concat().repeat(16), &[0, 7, 0, 0, 0]), F::Path),
        (entry(&[&[b'a'; 255][..], b"/"].concat().repeat(17), &[0, 7, 0, 0, 0]), F::PathLimit),
        (listed(&[b'a'; 256], 0), F::PathLimit),
        (listed(&[b'a'; 1025], 6), F::PathLimit),
        (listed(&[&[b'a'; 256][..], b"/b"].concat(), 6), F::PathLimit),
        (listed(&[&[b'a'; 256][..], b"/.."].concat(), 6), F::PathLimit),
        (listed(&[&[b'a'; 252][..], b"/../b"].concat(), 6), F::Path),
        (link(b""), F::Target),
        (link(b"/etc"), F::Target),
        (link(b"a\0"), F::Target),
        (link(b"../.."), F::Target),
        (link(b"a/.."), F::Target),
        (link(b".//../x/../y"), F::Target),
        (long_target, F::Target),
        (page(&[0x86, 0x41, b'a', 0, 7, 0, 0, 0]), F::EntryField), // a file without a hash
        (page(&[0x86, 0x41, b'a', 1, 7, 0, 0, 1]), F::EntryField), // a folder with a size
        (page(&[0x89, 0x41, b'a', 3, 7, 0, 0, 0, 0xf6, 0xf6, 0]), F::EntryField), // an exception with a mode
        (page(&[0x86, 0x41, b'a', 3, 0, 0, 0, 0]), F::EntryField), // an exception without a reason
        (page(&[0x89, 0x41, b'a', 1, 0, 0, 0, 0, 0xf6, 0xf6, 0]), F::EntryField), // a folder with a reason
        (page(&[0x86, 0x42, b'.', b'.', 1, 7, 0, 0, 0]), F::Path),
    ];
    for (bytes, fault) in refused {
        let got: Vec<_> = items(&bytes).collect();
        assert_eq!(got, [Err(fault)], "{:02x?}", &bytes[..bytes.len().min(40)]);
    }
    for target in [&b".."[..], b"../x", b"x", b"x/y/", ".//../客户".as_bytes()] {
        assert!(matches!(items(&link(target)).next(), Some(Ok(_))), "{target:?}");
    }
    for (name, reason) in [(&[b'a'; 1024][..], 6), (deep.as_slice(), 6), (&[b'a'; 255][..], 0)] {
        let bytes = match name.len() {
            ..256 => item(4, &[&[0x82, 0x58, name.len() as u8][..], name, &[reason]].concat()),
            _ => listed(name, reason),
        };
        assert!(matches!(items(&bytes).next(), Some(Ok(_))));
    }
}

fn path(text: &str) -> EntryPath {
    EntryPath::parse(text.as_bytes()).unwrap()
}

fn at(path_text: &str, kind: EntryKind, size: Option<u64>) -> ItemRef<'static> {
    let mtime = Mtime { seconds: 0, nanos: 0 };
    ItemRef::Entry(Entry { path: path(path_text), kind, mode: 0, mtime, size, target: None })
}

fn begin(path_text: &str, size: u64) -> ItemRef<'static> {
    at(path_text, EntryKind::File, Some(size))
}

fn stream(path_text: &str) -> ItemRef<'static> {
    at(path_text, EntryKind::File, None)
}

fn dir(path_text: &str) -> ItemRef<'static> {
    at(path_text, EntryKind::Folder, Some(0))
}

fn end(bytes: &[u8]) -> ItemRef<'static> {
    ItemRef::End(EntryEnd::Whole { size: bytes.len() as u64, hash: ContentHash(blake3::hash(bytes).into()) })
}

fn void() -> ItemRef<'static> {
    ItemRef::End(EntryEnd::Void)
}

fn lost(path_text: &str) -> ItemRef<'static> {
    ItemRef::Exception(Exception { path: path(path_text), reason: Reason::Vanished })
}

const SOMEWHERE: Place = Place { frame: Location { block: BlockIndex(0), offset: 0 }, item: 0 };

/// A line of the catalogue for the exception [`lost`].
fn line(path_text: &str, place: Place) -> Listed {
    Listed { record: Record::of_exception(Exception { path: path(path_text), reason: Reason::Vanished }), place }
}

fn page(first: u64, listed: Vec<Listed>) -> ItemRef<'static> {
    ItemRef::Page(Page { first, listed })
}

#[test] // [S6.3] [S6.4] [S6.7] [S9.3] [S9.4]
fn items_in_a_row() {
    let piece = vec![0; PIECE_BYTES];
    let d = |bytes| ItemRef::Data(bytes);
    let a = || line("a", SOMEWHERE);
    let refused: Vec<(Vec<ItemRef<'_>>, F)> = vec![
        (vec![d(b"x")], F::ItemPlace),
        (vec![end(b"")], F::ItemPlace),
        (vec![void()], F::ItemPlace),
        (vec![dir("a"), d(b"x")], F::ItemPlace),
        (vec![begin("a", 1), begin("b", 1)], F::ItemPlace),
        (vec![begin("a", 1), lost("b")], F::ItemPlace),
        (vec![begin("a", 1), page(0, vec![])], F::Unfinished),
        (vec![stream("a"), d(b"x"), d(b"y")], F::DataLength),
        (vec![stream("a"), d(&piece), d(b"x"), d(&piece)], F::DataLength),
        (vec![begin("a", 1), d(b"xy")], F::DataBeyondSize),
        (vec![begin("a", 0), d(b"x")], F::DataBeyondSize),
        (vec![begin("a", 2), d(b"x"), end(b"x")], F::EndSize),
        (vec![stream("a"), d(b"x"), end(b"xy")], F::EndSize),
        (vec![stream("a"), d(b"x"), end(b"y")], F::EndHash),
        (vec![begin("a", 2), void(), begin("b", 2)], F::AfterVoid),
        (vec![begin("a", 2), void(), dir("a")], F::AfterVoid),
        (vec![begin("a", 2), void(), lost("b")], F::AfterVoid),
        (vec![begin("a", 2), void(), page(0, vec![])], F::Unfinished),
        (vec![begin("a", 2), void(), lost("a"), lost("a")], F::PathOrder),
        (vec![lost("a"), lost("a")], F::PathOrder),
        (vec![lost("b"), lost("a")], F::PathOrder),
        (vec![dir("a"), lost("a-"), lost("a/b")], F::PathOrder),
        (vec![lost("a/b")], F::PathParent),
        (vec![begin("a", 0), end(b""), lost("a/b")], F::PathParent),
        (vec![lost("a"), lost("a/b")], F::PathParent),
        (vec![dir("a"), lost("ab/c")], F::PathParent),
        (vec![dir("a"), dir("a/b"), lost("a/bc/d")], F::PathParent),
        (vec![dir("a"), dir("a/b"), lost("a/c"), lost("a/c/d")], F::PathParent),
        (vec![lost("a"), page(0, vec![a()]), lost("b")], F::PagePlace),
        (vec![lost("a"), page(0, vec![])], F::PageOrder),
        (vec![lost("a"), page(1, vec![a()])], F::PageOrder),
        (vec![page(0, vec![]), page(0, vec![])], F::PageOrder),
        (vec![page(0, vec![a()])], F::PageOrder),
        (vec![lost("a"), page(0, vec![a()]), page(0, vec![a()])], F::PageOrder),
        (vec![lost("a"), page(0, vec![a()]), page(1, vec![a()])], F::Catalogue),
    ];
    for (number, (row, fault)) in refused.into_iter().enumerate() {
        let mut reader = Reader::new(&MANIFEST_KEY);
        let (last, before) = row.split_last().unwrap();
        for item in before {
            assert!(reader.item(SOMEWHERE, item.clone()).is_ok(), "row {number}");
        }
        assert_eq!(reader.item(SOMEWHERE, last.clone()), Err(fault), "row {number}");
        assert_eq!(reader.item(SOMEWHERE, dir("zz")), Err(fault), "the fault stays, row {number}");
    }
    let mut reader = Reader::new(&MANIFEST_KEY);
    reader.item(SOMEWHERE, lost("a")).unwrap();
    let behind = Place { item: 9, ..SOMEWHERE };
    assert_eq!(reader.item(behind, page(0, vec![a()])), Err(F::PagePlace), "a page begins its frame");
}

#[test] // [S9.3] [S9.4] [S9.5]
fn endings() {
    let tail = |change: &dyn Fn(&mut Tail)| {
        let mut reader = Reader::new(&MANIFEST_KEY);
        reader.item(SOMEWHERE, lost("a")).unwrap();
        let root = reader.state().sequence_root(&MANIFEST_KEY);
        let counts = Counts { exceptions: 1, ..Counts::default() };
        let (seal_text, seal_signature) = (String::new(), String::new());
        let mut tail = Tail { stream_blocks: 1, counts, root, catalogue: SOMEWHERE.frame, seal_text, seal_signature };
        change(&mut tail);
        tail
    };
    let finish = |listed: Option<Listed>, change: &dyn Fn(&mut Tail)| {
        let mut reader = Reader::new(&MANIFEST_KEY);
        reader.item(SOMEWHERE, lost("a")).unwrap();
        if let Some(listed) = listed {
            reader.item(SOMEWHERE, page(0, vec![listed])).unwrap();
        }
        reader.finish(&tail(change), 1).map(|whole| whole.counts().records())
    };
    let a = || Some(line("a", SOMEWHERE));
    assert_eq!(finish(a(), &|_| {}), Ok(1));
    assert_eq!(finish(None, &|_| {}), Err(F::Unfinished));
    assert_eq!(finish(Some(line("b", SOMEWHERE)), &|_| {}), Err(F::Catalogue));
    assert_eq!(finish(Some(line("a", Place { item: 1, ..SOMEWHERE })), &|_| {}), Err(F::Catalogue));
    let elsewhere = Location { block: BlockIndex(0), offset: 1 };
    assert_eq!(finish(Some(line("a", Place { frame: elsewhere, item: 0 })), &|_| {}), Err(F::Catalogue));
    assert_eq!(finish(a(), &|tail| tail.stream_blocks = 2), Err(F::TailNumbers));
    assert_eq!(finish(a(), &|tail| tail.catalogue = elsewhere), Err(F::TailNumbers));
    assert_eq!(finish(a(), &|tail| tail.counts.files = 1), Err(F::TailNumbers));
    assert_eq!(finish(a(), &|tail| tail.counts.bytes = 1), Err(F::TailNumbers));
    assert_eq!(finish(a(), &|tail| tail.root.0[0] ^= 1), Err(F::TailRoot));

    let good = tail(&|_| {}).to_bytes().unwrap();
    let mut wrong_sum = good.clone();
    wrong_sum[2] = 1;
    assert_eq!(Tail::parse(&wrong_sum), Err(F::TailNumbers));
    assert_eq!(Tail::parse(&[&good[..], &[0]].concat()), Err(F::TailEncoding));
    assert_eq!(Tail::parse(&vec![0; limits::TAIL_BYTES_MAX + 1]), Err(F::TailEncoding));
    let long = tail(&|tail| tail.seal_text = "x".repeat(limits::STATEMENT_BYTES_MAX + 1));
    assert_eq!(long.to_bytes(), Err(F::TailEncoding));
    let unknown = Reader::new(&MANIFEST_KEY).finish(&tail(&|_| {}), 1);
    assert_eq!(unknown, Err(F::Unfinished));
}

#[test] // [S7.1] [S7.3]
fn frames() {
    let head = |codec, zero, raw: u32, stored: u32| {
        let [a, b, c, d] = raw.to_be_bytes();
        let [e, f, g, h] = stored.to_be_bytes();
        FrameHead::parse(&[codec, 0, zero, 0, a, b, c, d, e, f, g, h]).map(|head| head.stored_bytes())
    };
    let max = limits::FRAME_RAW_BYTES_MAX as u32;
    assert_eq!(head(0, 0, max, max), Ok(max as usize));
    assert_eq!(head(1, 0, max, max - 1), Ok(max as usize - 1));
    for (codec, zero, raw, stored) in [
        (2, 0, 5, 5),
        (0, 1, 5, 5),
        (0, 0, 0, 0),
        (0, 0, 5, 4),
        (1, 0, 5, 5),
        (1, 0, 5, 0),
        (0, 0, max + 1, max + 1),
        (1, 0, u32::MAX, 9),
    ] {
        assert_eq!(head(codec, zero, raw, stored), Err(F::FrameHead), "{codec} {zero} {raw} {stored}");
    }

    let packed = zstd::bulk::compress(&[7; 1000], 1).unwrap();
    let unpack = |raw: u32, body: Vec<u8>| {
        let mut head = [0; 12];
        head[0] = 1;
        head[4..8].copy_from_slice(&raw.to_be_bytes());
        head[8..].copy_from_slice(&(body.len() as u32).to_be_bytes());
        let frame = crate::archive::frame::Packed::new(FrameHead::parse(&head).unwrap(), body).unwrap();
        let mut unpacker = Unpacker::new().unwrap();
        // Room left over from a larger frame is no room for this one.
        unpacker.recycle(vec![0; 4000]);
        unpacker.unpack(frame).map(|raw| raw.len())
    };
    assert_eq!(unpack(1000, packed.clone()), Ok(1000));
    assert_eq!(unpack(999, packed.clone()), Err(F::FrameContent), "more than said");
    assert_eq!(unpack(1001, packed.clone()), Err(F::FrameContent), "less than said");
    assert_eq!(unpack(1000, packed[..packed.len() - 1].to_vec()), Err(F::FrameContent));
    assert_eq!(unpack(1000, vec![0xaa; 30]), Err(F::FrameContent));
    let mut packer = Packer::new(Level::DEFAULT).unwrap();
    assert_eq!(packer.pack(Vec::new()).err(), Some(F::FrameHead));
    assert_eq!(packer.pack(vec![0; limits::FRAME_RAW_BYTES_MAX + 1]).err(), Some(F::FrameHead));
}

#[test] // [S8.3]
fn payloads() {
    let size = BlockSize::Small;
    let good = |head: [u8; 8]| {
        let mut payload = head.to_vec();
        payload.resize(size.payload_bytes(), 0);
        payload
    };
    for head in [
        [3, 0, 0, 0, 0, 0, 0, 1],
        [0, 2, 0, 0, 0, 0, 0, 1],
        [0, 3, 0, 0, 0, 0, 0, 1],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [2, 1, 0, 0, 0, 0, 0, 1],
        [0, 1, 1, 0, 0, 0, 0, 1],
        [0, 1, 0, 1, 0, 0, 0, 1],
        [0, 1, 0, 0, 0, 0, 0, 0],
        [2, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 1],
        [0, 1, 0, 0, 0, 0, 0xff, 0x81],
        [0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(Payload::parse(&good(head), size), Err(F::BlockPayload), "{head:?}");
    }
    let payload = good([0, 1, 0, 0, 0, 0, 0, 4]);
    assert!(Payload::parse(&payload, size).is_ok());
    assert_eq!(Payload::parse(&payload, BlockSize::Large), Err(F::BlockPayload));
    assert_eq!(Payload::parse(&payload[1..], size), Err(F::BlockPayload));
    assert_eq!(Payload::parse(&[], size), Err(F::BlockPayload));
    for at in [12, 100, size.payload_bytes() - 1] {
        let mut payload = payload.clone();
        payload[at] = 1;
        assert_eq!(Payload::parse(&payload, size), Err(F::BlockPayload), "a set zero at {at}");
    }
}

#[test]
fn every_fault_names_its_rule() {
    assert_eq!((F::ItemTag.number(), F::ItemTag.rule()), (1, "S6.1"));
    assert_eq!((F::Compressor.number(), F::TailRoot.rule()), (31, "S9.5"));
}

#[test] // [S6.3] [S6.4] [S6.7]
fn a_writer_refuses_what_a_reader_would() {
    let begin = |writer: &mut Writer, path_text: &str, size: Option<u64>| {
        let ItemRef::Entry(entry) = at(path_text, EntryKind::File, size) else { unreachable!() };
        writer.begin(entry)
    };
    let mut writer = Writer::new(&MANIFEST_KEY);
    assert_eq!(writer.data(b"x"), Err(F::ItemPlace));
    assert_eq!(writer.make_room(1), Err(F::ItemPlace));
    assert_eq!(writer.end(), Err(F::ItemPlace));
    assert_eq!(writer.void(), Err(F::ItemPlace));
    assert_eq!(begin(&mut writer, "a/b", None), Err(F::PathParent));
    begin(&mut writer, "b", Some(2)).unwrap();
    assert_eq!(begin(&mut writer, "c", None), Err(F::ItemPlace));
    assert_eq!(writer.close_entries(), Err(F::Unfinished));
    assert_eq!(writer.make_room(0), Err(F::DataLength));
    assert_eq!(writer.make_room(PIECE_BYTES + 1), Err(F::DataLength));
    assert_eq!(writer.commit(1), Err(F::DataLength));
    assert_eq!(writer.data(b"xyz"), Err(F::DataBeyondSize));
    writer.make_room(9).unwrap();
    assert_eq!(writer.commit(3), Err(F::DataBeyondSize));
    assert!(writer.room().is_empty());
    writer.data(b"x").unwrap();
    assert_eq!(writer.data(b"y"), Err(F::DataLength));
    assert_eq!(writer.end(), Err(F::EndSize));
    writer.void().unwrap();
    assert_eq!(writer.close_entries(), Err(F::Unfinished));
    assert_eq!(begin(&mut writer, "c", None), Err(F::AfterVoid));
    writer.exception(Exception { path: path("b"), reason: Reason::KeptChanging }).unwrap();
    assert_eq!(begin(&mut writer, "a", None), Err(F::PathOrder));
    assert_eq!(writer.list(&line("b", SOMEWHERE)), Err(F::PagePlace));

    let frame = writer.close_entries().unwrap().unwrap();
    assert_eq!(begin(&mut writer, "d", None), Err(F::PagePlace));
    assert_eq!(frame.notes.finished.len(), 1);
    writer.list(&line("b", SOMEWHERE)).unwrap();
    assert_eq!(writer.finish().err(), Some(F::Catalogue), "another reason than the one recorded");
    assert_eq!(Writer::new(&MANIFEST_KEY).finish().err(), Some(F::PagePlace));
}

#[test] // [S6.3]
fn room_is_where_data_goes() {
    let run = |writer: &mut Writer| {
        let ItemRef::Entry(entry) = stream("a") else { unreachable!() };
        writer.begin(entry).unwrap();
    };
    let (mut copied, mut filled) = (Writer::new(&MANIFEST_KEY), Writer::new(&MANIFEST_KEY));
    run(&mut copied);
    run(&mut filled);
    copied.data(b"hello").unwrap();
    filled.make_room(PIECE_BYTES).unwrap();
    assert_eq!(filled.room().len(), PIECE_BYTES);
    filled.room()[..5].copy_from_slice(b"hello");
    filled.commit(5).unwrap();
    copied.end().unwrap();
    filled.end().unwrap();
    assert_eq!(copied.flush(), filled.flush());
}
