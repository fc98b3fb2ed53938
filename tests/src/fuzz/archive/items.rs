//! Items that a hostile seller with the right keys puts together: the reader takes them exactly when a second, obvious
//! reading of the rules does.

use std::collections::BTreeSet;

use handover_shared::archive::catalogue::{Listed, Location, Page, Place, Tail};
use handover_shared::archive::item::{self, Entry, EntryEnd, EntryKind, Exception, Mtime, Reason};
use handover_shared::archive::manifest::{Counts, Record};
use handover_shared::archive::path::{EntryPath, Target};
use handover_shared::archive::reader::{Event, Reader};
use handover_shared::ids::{BlockIndex, ContentHash, Root};
use handover_shared::limits::PIECE_BYTES;

use super::paths::{self, Model};
use crate::fuzz::take::Take;

const KEY: [u8; 32] = [7; 32];
const ITEMS_MAX: usize = 40;

/// What the rules remember of the items so far.
#[derive(Default)]
struct Rules {
    last: Option<Vec<u8>>,
    folders: BTreeSet<Vec<u8>>,
    open: Option<Open>,
    voided: Option<Vec<u8>>,
    is_listing: bool,
}

struct Open {
    path: Vec<u8>,
    size: Option<u64>,
    bytes: Vec<u8>,
}

/// Feeds made-up items to a reader, and then a catalogue and a tail that may be wrong.
pub fn items(take: &mut Take<'_>) {
    let mut reader = Reader::new(&KEY);
    let (mut rules, mut tree) = (Rules::default(), Model::default());
    let mut listed: Vec<Listed> = Vec::new();
    let mut began = None;
    let mut frame = 0;
    while !take.is_over() && frame < ITEMS_MAX {
        let (raw, may_be) = rules.next(take);
        let location = Location { block: BlockIndex(frame as u64 / 3), offset: frame as u32 };
        frame += 1;
        let place = Place { frame: location, item: 0 };
        let mut events = reader.frame(location, &raw);
        let event = events.next().expect("one item, one event");
        assert_eq!(event.is_ok(), may_be, "{event:?}");
        let Ok(event) = event else { return stays_refused(&mut reader) };
        assert!(events.next().is_none());
        tree.take(&event);
        match event {
            Event::FileBegin(_) => began = Some(place),
            Event::FileEnd(record) => {
                listed.push(Listed { record, place: began.take().expect("an end has a beginning") });
            }
            Event::Folder(record) | Event::Link(record) | Event::Exception(record) => {
                listed.push(Listed { record, place });
            }
            _ => {}
        }
    }
    tree.assert_no_escape();
    if rules.open.is_none() && rules.voided.is_none() {
        close(take, reader, listed, frame);
    }
}

/// The first fault stays.
fn stays_refused(reader: &mut Reader) {
    let mut raw = Vec::new();
    item::write_page(&Page { first: 0, listed: Vec::new() }, &mut raw);
    let location = Location { block: BlockIndex(99), offset: 0 };
    assert!(reader.frame(location, &raw).all(|event| event.is_err()));
    let counts = reader.state().counts();
    let tail = tail_of(counts, Root([0; 32]), location);
    assert!(reader.finish(&tail, 1).is_err());
}

impl Rules {
    /// An item of some kind as raw bytes, and whether it may come here.
    fn next(&mut self, take: &mut Take<'_>) -> (Vec<u8>, bool) {
        let mut raw = Vec::new();
        let may_be = match take.below(8) {
            0..=2 => {
                let entry = entry(take);
                item::write_entry(&entry, &mut raw);
                self.entry(&entry)
            }
            3 | 4 => {
                let data = data(take);
                item::write_data(&data, &mut raw);
                self.data(&data)
            }
            5 | 6 => {
                let end = self.end_of(take);
                item::write_end(&end, &mut raw);
                self.end(&end)
            }
            _ => {
                let reason = take.pick(&Reason::ALL);
                let exception = Exception { path: path(take), reason };
                item::write_exception(&exception, &mut raw);
                self.exception(&exception)
            }
        };
        (raw, may_be)
    }

    fn entry(&mut self, entry: &Entry) -> bool {
        let path = entry.path.as_bytes();
        let size_fits = match entry.kind {
            EntryKind::File => entry.size != Some(u64::MAX),
            _ => entry.size == Some(0),
        };
        let fits = paths::is_path(path)
            && entry.mode <= 0o777
            && entry.mtime.nanos < 1_000_000_000
            && entry.target.is_some() == (entry.kind == EntryKind::Link)
            && (size_fits || (entry.kind == EntryKind::File && entry.size == Some(u64::MAX)));
        if !fits || self.open.is_some() || self.is_listing {
            return false;
        }
        match self.voided.take() {
            Some(voided) if voided == path && entry.kind == EntryKind::File => {}
            Some(_) => return false,
            None if !self.is_next(path) => return false,
            None => self.last = Some(path.to_vec()),
        }
        match entry.kind {
            EntryKind::File => {
                // The greatest number stands for a size that is not known.
                let size = entry.size.filter(|size| *size != u64::MAX);
                self.open = Some(Open { path: path.to_vec(), size, bytes: Vec::new() });
            }
            EntryKind::Folder => drop(self.folders.insert(path.to_vec())),
            EntryKind::Link => {}
        }
        true
    }

    fn is_next(&self, path: &[u8]) -> bool {
        let rises = self.last.as_ref().is_none_or(|last| paths::order(last, path).is_lt());
        let parts = paths::components(path);
        let above = parts[..parts.len() - 1].join(&b'/');
        rises && (above.is_empty() || self.folders.contains(&above))
    }

    fn data(&mut self, data: &[u8]) -> bool {
        let Some(open) = &mut self.open else { return false };
        let total = (open.bytes.len() + data.len()) as u64;
        let fits = (1..=PIECE_BYTES).contains(&data.len())
            && open.bytes.len().is_multiple_of(PIECE_BYTES)
            && open.size.is_none_or(|size| total <= size);
        if fits {
            open.bytes.extend_from_slice(data);
        }
        fits
    }

    /// An end that fits what is open, or does not.
    fn end_of(&self, take: &mut Take<'_>) -> EntryEnd {
        let bytes = self.open.as_ref().map_or(&[][..], |open| &open.bytes);
        let (size, hash) = (bytes.len() as u64, ContentHash(blake3::hash(bytes).into()));
        match take.below(8) {
            0 => EntryEnd::Whole { size: take.any(), hash },
            1 => EntryEnd::Whole { size, hash: ContentHash(take.any()) },
            2 | 3 => EntryEnd::Void,
            _ => EntryEnd::Whole { size, hash },
        }
    }

    fn end(&mut self, end: &EntryEnd) -> bool {
        let Some(open) = self.open.take() else { return false };
        match end {
            EntryEnd::Void => {
                self.voided = Some(open.path);
                true
            }
            EntryEnd::Whole { size, hash } => {
                open.bytes.len() as u64 == *size
                    && open.size.is_none_or(|announced| announced == *size)
                    && hash.0 == *blake3::hash(&open.bytes).as_bytes()
            }
        }
    }

    fn exception(&mut self, exception: &Exception) -> bool {
        let path = exception.path.as_bytes();
        let fits = paths::is_path(path) || (exception.reason == Reason::NameLimit && paths::is_listed_path(path));
        if !fits || self.open.is_some() || self.is_listing {
            return false;
        }
        match self.voided.take() {
            Some(voided) => voided == path,
            None if !self.is_next(path) => false,
            None => {
                self.last = Some(path.to_vec());
                true
            }
        }
    }
}

/// A path of few components out of few names, so that parents and repetitions are common.
fn path(take: &mut Take<'_>) -> EntryPath {
    const NAMES: [&[u8]; 8] = [b"a", b"b", b"c", b"a b", b"a.b", b"\xe5\xae\xa2", b"z\xff", b".handover"];
    let depth = 1 + take.below(3) as usize;
    let parts: Vec<&[u8]> = (0..depth).map(|_| take.pick(&NAMES)).collect();
    let long = if take.one_in(40) { [b'n'; 300].as_slice() } else { b"" };
    let bytes = [parts.join(&b'/').as_slice(), long].concat();
    EntryPath::parse_listed(&bytes).expect("names that are allowed")
}

fn entry(take: &mut Take<'_>) -> Entry {
    let path = path(take);
    let kind = take.pick(&[EntryKind::File, EntryKind::File, EntryKind::Folder, EntryKind::Folder, EntryKind::Link]);
    let targets: [&[u8]; 5] = [b"x", b"../x", b"../../x", b"./a/b", b"a b"];
    let wanted = take.pick(&targets);
    let target = Target::parse(wanted, &path).ok().filter(|_| kind == EntryKind::Link || take.one_in(30));
    let size = match kind {
        EntryKind::File => take.pick(&[None, Some(0), Some(1), Some(5), Some(PIECE_BYTES as u64), Some(u64::MAX)]),
        _ if take.one_in(30) => take.any(),
        _ => Some(0),
    };
    let mode = if take.one_in(30) { take.any() } else { 0o644 };
    let nanos = if take.one_in(30) { take.any() } else { 999_999_999 };
    Entry { path, kind, mode, mtime: Mtime { seconds: take.any(), nanos }, size, target }
}

fn data(take: &mut Take<'_>) -> Vec<u8> {
    match take.below(16) {
        0 => vec![take.any(); PIECE_BYTES],
        1 => vec![take.any(); PIECE_BYTES + 1],
        2 => Vec::new(),
        _ => take.bytes(6).to_vec(),
    }
}

/// A catalogue and a tail; the archive is whole only if they say what came. [S9.3] [S9.4] [S9.5]
fn close(take: &mut Take<'_>, mut reader: Reader, mut listed: Vec<Listed>, frame: usize) {
    let counts = reader.state().counts();
    let mut is_right = true;
    if take.one_in(4) {
        is_right = !alter(take, &mut listed);
    }
    let location = Location { block: BlockIndex(frame as u64), offset: 0 };
    let split = take.below(listed.len() as u64 + 1) as usize;
    let mut pages = vec![Page { first: 0, listed: listed[..split].to_vec() }];
    if split == 0 {
        pages.clear();
    }
    if split < listed.len() || pages.is_empty() {
        pages.push(Page { first: split as u64, listed: listed[split..].to_vec() });
    }
    if take.one_in(10) {
        let page = take.pick(&pages);
        pages.push(page);
        is_right = false;
    }
    let mut raw = Vec::new();
    pages.iter().for_each(|page| item::write_page(page, &mut raw));
    let is_listed = reader.frame(location, &raw).all(|event| event.is_ok());
    assert!(is_listed || !is_right, "the right catalogue is taken");
    let root = root_of(&listed);
    let mut tail = tail_of(counts, root, location);
    if take.one_in(4) {
        is_right = false;
        match take.below(5) {
            0 => tail.counts.files += 1,
            1 => tail.counts.bytes += 1,
            2 => tail.root.0[take.below(32) as usize] ^= 1,
            3 => tail.catalogue.offset += 1,
            _ => tail.stream_blocks += 1,
        }
    }
    let bytes = tail.to_bytes().expect("within its limits");
    let tail = Tail::parse(&bytes).expect("what was written can be read");
    assert_eq!(tail.to_bytes().as_deref(), Ok(&bytes[..]));
    match reader.finish(&tail, 5) {
        Ok(whole) => {
            assert!(is_right, "a wrong catalogue or tail was taken");
            assert!(whole.counts() == counts && whole.root() == root && whole.stream_blocks() == 5);
        }
        Err(fault) => assert!(!is_right, "refused: {fault:?}"),
    }
}

/// Changes the catalogue; says whether it did.
fn alter(take: &mut Take<'_>, listed: &mut Vec<Listed>) -> bool {
    let at = take.below(listed.len() as u64) as usize;
    let kind = take.below(4);
    let Some(line) = listed.get_mut(at) else { return false };
    match kind {
        0 => line.place.item += 1,
        1 => line.place.frame.block.0 += 1,
        2 => line.place.frame.offset += 1,
        _ => drop(listed.remove(at)),
    }
    true
}

/// The root by the definition of RFC 9162: split at the greatest power of two below the number of leaves. [S9.2]
fn root_of(listed: &[Listed]) -> Root {
    let keyed = |parts: &[&[u8]]| -> [u8; 32] { blake3::keyed_hash(&KEY, &parts.concat()).into() };
    let records: Vec<&Record> = listed.iter().map(|line| &line.record).collect();
    let leaves: Vec<[u8; 32]> =
        records.iter().map(|record| keyed(&[&[0], &handover_shared::codec::encode(*record)])).collect();
    fn head(leaves: &[[u8; 32]], keyed: &dyn Fn(&[&[u8]]) -> [u8; 32]) -> [u8; 32] {
        match leaves {
            [] => keyed(&[&[2]]),
            [one] => *one,
            many => {
                let half = many.len().next_power_of_two() / 2;
                keyed(&[&[1], &head(&many[..half], keyed), &head(&many[half..], keyed)])
            }
        }
    }
    let head = head(&leaves, &keyed);
    Root(keyed(&[&[3], &(leaves.len() as u64).to_be_bytes(), &head]))
}

fn tail_of(counts: Counts, root: Root, catalogue: Location) -> Tail {
    Tail { stream_blocks: 5, counts, root, catalogue, seal_text: "seal".into(), seal_signature: "signature".into() }
}
