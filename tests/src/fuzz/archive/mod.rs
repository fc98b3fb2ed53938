//! Everything a buyer's machine reads of an archive before it knows whether to trust it.

mod items;
mod paths;

use handover_shared::archive::block::{Ending, OpenedBlock, Payload, PayloadKind, open_block, padme, seal_block};
use handover_shared::archive::catalogue::{Listed, Location, Places, Tail};
use handover_shared::archive::fault::ArchiveFault;
use handover_shared::archive::frame::{FRAME_HEAD_BYTES, FrameHead, Level, Packer, Unpacker};
use handover_shared::archive::item::{self, ItemRef};
use handover_shared::archive::manifest::Record;
use handover_shared::archive::reader::{Reader, ReaderState};
use handover_shared::archive::stream::{Cutter, FrameReader, LocatedFrame, Position, Taken};
use handover_shared::archive::writer::WriterState;
use handover_shared::codec;
use handover_shared::ids::{BlockIndex, BlockSize, TransferId};
use handover_shared::limits::FRAME_RAW_BYTES_MAX;

use super::cbor;
use super::take::Take;
use paths::Model;

const KEY: [u8; 32] = [7; 32];
const TRANSFER: TransferId = TransferId([9; 16]);
const SIZE: BlockSize = BlockSize::Small;
const HERE: Location = Location { block: BlockIndex(0), offset: 0 };

/// Reads archives of a hostile seller. The first byte chooses what the rest is.
pub fn archive(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    match choice % 9 {
        0 => paths::paths(rest),
        1 => raw_items(rest),
        2 => one_frame(rest),
        3 => frame_head(rest),
        4 => blocks(&mut Take::new(rest)),
        5 => items::items(&mut Take::new(rest)),
        6 => records(rest),
        7 => kept_state(&mut Take::new(rest)),
        _ => sealed_block(rest),
    }
}

/// Raw items: what is read is written again the same, and nothing that is let through leads out.
fn raw_items(raw: &[u8]) {
    let mut again = Vec::new();
    for found in item::items(raw) {
        let Ok(found) = found else { break };
        assert_eq!(found.offset as usize, again.len());
        let head = again.len() + item::ITEM_HEAD_BYTES;
        match &found.item {
            ItemRef::Entry(entry) => {
                item::write_entry(entry, &mut again);
                assert!(entry.check().is_ok() && paths::is_path(entry.path.as_bytes()));
            }
            ItemRef::Data(bytes) => item::write_data(bytes, &mut again),
            ItemRef::End(end) => item::write_end(end, &mut again),
            ItemRef::Exception(exception) => {
                item::write_exception(exception, &mut again);
                assert!(exception.check().is_ok() && paths::is_listed_path(exception.path.as_bytes()));
            }
            ItemRef::Page(page) => item::write_page(page, &mut again),
        }
        let is_cbor = !matches!(found.item, ItemRef::Data(_));
        assert!(!is_cbor || cbor::is_deterministic(&again[head..]), "not deterministic");
    }
    assert!(raw.starts_with(&again), "an item is written otherwise than it was read");
    read(Reader::new(&KEY), raw);
}

fn read(mut reader: Reader, raw: &[u8]) {
    let mut tree = Model::default();
    let mut fault = None;
    for event in reader.frame(HERE, raw) {
        assert_eq!(fault, None, "nothing comes after a fault");
        match event {
            Ok(event) => tree.take(&event),
            Err(found) => fault = Some(found),
        }
    }
    tree.assert_no_escape();
    let state = codec::encode(reader.state());
    let again: ReaderState = codec::decode(&state).expect("a state can be kept");
    assert!(again == *reader.state());
}

/// One frame in one block: its raw bytes are exactly as many as its head says, and never more than the limit.
fn one_frame(wire: &[u8]) {
    let mut unpacker = Unpacker::new().expect("a decompressor");
    let payload = payload_of(0, 1, &wire[..wire.len().min(SIZE.payload_bytes() - 8)]);
    let Ok(payload) = Payload::parse(&payload, SIZE) else { return };
    let mut frames = Vec::new();
    let taken = FrameReader::new().push(BlockIndex(0), &payload, &mut frames);
    let mut at = 0;
    for located in frames {
        assert_eq!((located.location.block.0, located.location.offset as usize), (0, at));
        at += located.frame.wire_bytes();
        let head = located.frame.head();
        assert!((1..=FRAME_RAW_BYTES_MAX).contains(&head.raw_bytes()) && head.stored_bytes() <= head.raw_bytes());
        match unpacker.unpack(located.frame) {
            Ok(raw) => {
                assert_eq!(raw.len(), head.raw_bytes());
                raw_items(&raw);
                repacked(raw, &mut unpacker);
            }
            Err(fault) => assert_eq!(fault, ArchiveFault::FrameContent),
        }
    }
    assert!(taken.is_err() || at <= wire.len());
}

/// Packing and unpacking gives the same.
fn repacked(raw: Vec<u8>, unpacker: &mut Unpacker) {
    for level in [Level::STORED, Level::DEFAULT] {
        let packed = Packer::new(level).and_then(|mut packer| packer.pack(raw.clone())).expect("it can be packed");
        assert!(unpacker.unpack(packed).is_ok_and(|again| again == raw));
    }
}

fn frame_head(bytes: &[u8]) {
    if let Some(head) = bytes.first_chunk::<FRAME_HEAD_BYTES>()
        && let Ok(parsed) = FrameHead::parse(head)
    {
        assert_eq!(parsed.to_bytes(), *head);
    }
    if let Some(number) = bytes.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)) {
        if let Some(padded) = padme(number) {
            // Padding costs at most 12 % and keeps as many leading bits as the number of bits has.
            assert!(padded >= number && padded - number <= number / 8 + 1, "{number} becomes {padded}");
            assert_eq!(padme(padded), Some(padded));
        }
        if let Some(ending) = Ending::of(number) {
            assert!(ending.tail().next().0 == ending.blocks().0 && ending.padding().0 == number);
            assert!(ending.blocks().0 <= 1 << 32 && ending.blocks().0 > number);
        }
    }
}

/// Blocks of any kind in any order; read at once and with a stop after every frame, they say the same.
fn blocks(take: &mut Take<'_>) {
    let mut stream = Vec::new();
    let mut packer = Packer::new(take.pick(&[Level::STORED, Level::DEFAULT])).expect("a compressor");
    let mut payloads = Vec::new();
    let mut cutter = Cutter::start(SIZE, BlockIndex(0));
    while !take.is_over() && payloads.len() < 12 {
        match take.below(6) {
            0 | 1 => {
                let raw = take.bytes(200).to_vec();
                if let Ok(frame) = packer.pack(raw) {
                    cutter.frame(&frame, &mut stream).expect("few blocks");
                }
            }
            2 => stream.extend(cutter.flush().expect("few blocks")),
            3 => {
                stream.extend(cutter.flush().expect("few blocks"));
                cutter = Cutter::start(SIZE, cutter.next_block());
            }
            4 => {
                let (kind, flags) = (take.below(4) as u8, take.below(3) as u8);
                payloads.push(payload_of(kind, flags, take.bytes(200)));
            }
            _ => payloads.push(payload_of(take.pick(&[1, 1, 2]), 0, b"")),
        }
        payloads.extend(stream.drain(..).map(|cut| cut.payload));
    }
    let whole = read_blocks(&payloads, Position::START);
    for (at, located) in whole.frames.iter().enumerate() {
        let kept: Position = codec::decode(&codec::encode(&located.after)).expect("a position can be kept");
        let rest = read_blocks(&payloads, kept);
        assert!(rest.frames == whole.frames[at + 1..] && rest.end == whole.end, "a stop changes what is read");
    }
}

/// What came of some blocks.
struct Came {
    frames: Vec<LocatedFrame>,
    end: CameTo,
}

#[derive(PartialEq, Eq)]
enum CameTo {
    Fault(ArchiveFault),
    Tail(Vec<u8>, Option<u64>),
    Nothing,
}

fn read_blocks(payloads: &[Vec<u8>], from: Position) -> Came {
    let mut came = Came { frames: Vec::new(), end: CameTo::Nothing };
    let mut reader = FrameReader::resume(from);
    for (index, bytes) in payloads.iter().enumerate().skip(from.block().0 as usize) {
        let taken = Payload::parse(bytes, SIZE)
            .and_then(|payload| reader.push(BlockIndex(index as u64), &payload, &mut came.frames));
        match taken {
            Ok(Taken::Tail(tail)) => came.end = CameTo::Tail(tail.to_vec(), reader.stream_blocks()),
            Ok(Taken::Stream | Taken::Padding) => continue,
            Err(fault) => came.end = CameTo::Fault(fault),
        }
        break;
    }
    came
}

fn payload_of(kind: u8, flags: u8, used: &[u8]) -> Vec<u8> {
    let mut payload = vec![kind, flags, 0, 0];
    payload.extend_from_slice(&(used.len() as u32).to_be_bytes());
    payload.extend_from_slice(used);
    payload.resize(SIZE.payload_bytes(), 0);
    payload
}

/// Records and tails have one encoding.
fn records(bytes: &[u8]) {
    let mut read = 0;
    if let Ok(record) = codec::decode::<Record>(bytes) {
        assert!(paths::is_listed_path(record.path.as_bytes()));
        read += 1;
    }
    if let Ok(listed) = codec::decode::<Listed>(bytes) {
        assert!(paths::is_listed_path(listed.record.path.as_bytes()));
        read += 1;
    }
    if let Ok(tail) = Tail::parse(bytes) {
        assert_eq!(tail.to_bytes().as_deref(), Ok(bytes));
        assert!(tail.seal_text.len() <= 4096 && tail.seal_signature.len() <= 4096);
        read += 1;
    }
    assert!(read <= 1 && (read == 0 || cbor::is_deterministic(bytes)));
}

/// A state that was kept and damaged: whatever it says, going on from it ends without a panic.
fn kept_state(take: &mut Take<'_>) {
    let state = take.bytes(600);
    let raw = take.bytes(400).to_vec();
    if let Ok(state) = codec::decode::<ReaderState>(state) {
        read(Reader::resume(&KEY, state), &raw);
    }
    if let Ok(state) = codec::decode::<WriterState>(state) {
        let mut writer = handover_shared::archive::writer::Writer::resume(&KEY, state);
        let outcomes = [writer.data(b"some data").is_ok(), writer.end().is_ok(), writer.close_entries().is_ok()];
        assert!(outcomes[2] || writer.state().open().is_some() || writer.state().voided().is_some());
        drop((writer.root(), writer.finish()));
    }
    if let Ok(places) = codec::decode::<Places>(state) {
        assert!(codec::encode(&places) == state);
        assert_eq!(places.catalogue(), places.clone().catalogue());
    }
    if let Ok(position) = codec::decode::<Position>(state) {
        let payload = payload_of(0, 1, &raw);
        if let Ok(payload) = Payload::parse(&payload, SIZE) {
            let mut reader = FrameReader::resume(position);
            if reader.push(position.block(), &payload, &mut Vec::new()).is_ok() {
                assert_eq!(reader.stream_blocks(), None, "a stream block says nothing of the end");
            }
        }
    }
}

/// A block opens for its place alone, and its payload is judged as it would be unsealed.
fn sealed_block(bytes: &[u8]) {
    let mut raw = bytes.to_vec();
    assert!(open_block(&KEY, &TRANSFER, BlockIndex(0), SIZE, &mut raw).is_err(), "what was not sealed opens");
    let mut payload = bytes[..bytes.len().min(SIZE.payload_bytes())].to_vec();
    payload.resize(SIZE.payload_bytes(), 0);
    let mut sealed = Vec::new();
    seal_block(&KEY, &TRANSFER, BlockIndex(3), [1; 24], &payload, &mut sealed);
    assert_eq!(sealed.len(), SIZE.sealed_bytes());
    let opened = OpenedBlock::open(&KEY, &TRANSFER, BlockIndex(3), SIZE, sealed.clone());
    match (opened, Payload::parse(&payload, SIZE)) {
        (Ok(opened), Ok(parsed)) => {
            assert!(opened.payload() == parsed && opened.block() == BlockIndex(3));
            assert_eq!(parsed.used().is_empty(), parsed.kind() == PayloadKind::Padding);
        }
        (opened, parsed) => assert_eq!(opened.err(), parsed.err()),
    }
    let elsewhere = OpenedBlock::open(&KEY, &TRANSFER, BlockIndex(4), SIZE, sealed.clone()).err();
    assert_eq!(elsewhere, Some(ArchiveFault::BlockSealed));
    if let Some(bit) = bytes.last().copied() {
        let at = usize::from(bit) * 257 % sealed.len();
        sealed[at] ^= 1 << (bit % 8);
        let altered = OpenedBlock::open(&KEY, &TRANSFER, BlockIndex(3), SIZE, sealed).err();
        assert_eq!(altered, Some(ArchiveFault::BlockSealed));
    }
}
