//! Blocks in every order that is refused, and what a fresh block does.

use super::*;
use crate::archive::block::Payload;
use crate::archive::stream::LocatedFrame;
use crate::limits;

use ArchiveFault as F;

/// Payloads, each with the place it is given as.
type Blocks = Vec<(u64, Vec<u8>)>;

const FRESH: u8 = 1;
const NEXT: u8 = 0;

fn stream_block(flags: u8, used: &[u8]) -> Vec<u8> {
    let mut payload = [&[0, flags, 0, 0][..], &(used.len() as u32).to_be_bytes(), used].concat();
    payload.resize(BlockSize::Small.payload_bytes(), 0);
    payload
}

fn tail_block() -> Vec<u8> {
    let mut payload = vec![2, 0, 0, 0, 0, 0, 0, 1, 0xaa];
    payload.resize(BlockSize::Small.payload_bytes(), 0);
    payload
}

fn push_all(reader: &mut FrameReader, blocks: &[(u64, Vec<u8>)]) -> Result<Vec<LocatedFrame>, F> {
    let mut frames = Vec::new();
    for (block, payload) in blocks {
        let payload = Payload::parse(payload, BlockSize::Small).unwrap();
        reader.push(BlockIndex(*block), &payload, &mut frames)?;
    }
    Ok(frames)
}

#[test] // [S8.4] [S8.5]
fn blocks_in_a_row() {
    let frame = [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0xaa, 0xbb];
    let pad = || padding_payload(BlockSize::Small);
    let whole = || stream_block(FRESH, &frame);
    let half = || stream_block(FRESH, &frame[..13]);
    // With nine stream blocks there are ten blocks, with ten there are twelve.
    let nine = || (0..9).map(|n| (n, whole())).collect::<Vec<_>>();
    let ten = || (0..10).map(|n| (n, whole())).collect::<Vec<_>>();
    let with = |mut blocks: Blocks, more: Blocks| {
        blocks.extend(more);
        blocks
    };
    let refused: Vec<(Blocks, F)> = vec![
        (vec![(0, stream_block(NEXT, &frame))], F::BlockOrder),
        (vec![(0, pad())], F::BlockOrder),
        (vec![(0, tail_block())], F::BlockOrder),
        (vec![(1, whole())], F::BlockOrder),
        (vec![(0, whole()), (0, whole())], F::BlockOrder),
        (vec![(0, whole()), (2, whole())], F::BlockOrder),
        (vec![(0, whole()), (1, tail_block()), (2, whole())], F::BlockOrder),
        (vec![(0, whole()), (1, pad())], F::BlockOrder),
        (with(nine(), vec![(9, pad())]), F::BlockOrder),
        (with(ten(), vec![(10, tail_block())]), F::BlockOrder),
        (with(ten(), vec![(10, pad()), (11, whole())]), F::BlockOrder),
        (with(ten(), vec![(10, pad()), (11, pad())]), F::BlockOrder),
        (vec![(0, half()), (1, tail_block())], F::StreamEnd),
        (vec![(0, half()), (1, pad())], F::StreamEnd),
        (vec![(0, stream_block(FRESH, &[9; 12]))], F::FrameHead),
        (vec![(0, half()), (1, stream_block(NEXT, &[&frame[13..], &[9; 12]].concat()))], F::FrameHead),
    ];
    for (number, (blocks, fault)) in refused.into_iter().enumerate() {
        let (before, last) = blocks.split_at(blocks.len() - 1);
        let mut reader = FrameReader::new();
        assert!(push_all(&mut reader, before).is_ok(), "row {number}");
        assert_eq!(push_all(&mut reader, last), Err(fault), "row {number}");
    }
    assert!(push_all(&mut FrameReader::new(), &with(ten(), vec![(10, pad()), (11, tail_block())])).is_ok());

    let last = limits::BLOCKS_MAX;
    let position: Position = codec::decode(&[0x82, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0, 0]).unwrap();
    let beyond = push_all(&mut FrameReader::resume(position), &[(last, whole())]);
    assert_eq!(beyond, Err(F::BlockLimit));
    let mut cutter = Cutter::start(BlockSize::Small, BlockIndex(last - 1));
    let mut cuts = Vec::new();
    let packed = Packer::new(Level::STORED).unwrap().pack(noise(1, 70_000)).unwrap();
    assert_eq!(cutter.frame(&packed, &mut cuts), Err(F::BlockLimit));
}

#[test] // [S8.4]
fn a_fresh_block_drops_what_is_unfinished_and_positions_lead_behind_frames() {
    let frame = [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0xaa, 0xbb];
    let mut reader = FrameReader::new();
    let first = [&frame[..], &frame[..5]].concat();
    let blocks = [(0, stream_block(FRESH, &first)), (1, stream_block(NEXT, &frame[5..9]))];
    let frames = push_all(&mut reader, &blocks).unwrap();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].after, reader.position());
    assert_eq!(codec::encode(&reader.position()), [0x82, 0, 14]);

    let fresh = [(2, stream_block(FRESH, &[frame, frame].concat()))];
    let frames = push_all(&mut reader, &fresh).unwrap();
    let locations: Vec<_> = frames.iter().map(|it| (it.location.block.0, it.location.offset)).collect();
    assert_eq!(locations, [(2, 0), (2, 14)]);
    assert_eq!(codec::encode(&frames[0].after), [0x82, 2, 14]);
    assert_eq!(codec::encode(&frames[1].after), [0x82, 3, 0]);

    let again = push_all(&mut FrameReader::resume(frames[0].after), &fresh).unwrap();
    assert_eq!(again, frames[1..]);
    let beyond = [(2, stream_block(FRESH, &frame[..13]))];
    let beyond = push_all(&mut FrameReader::resume(frames[0].after), &beyond);
    assert_eq!(beyond, Err(F::BlockOrder), "a place that the block does not have");
}
