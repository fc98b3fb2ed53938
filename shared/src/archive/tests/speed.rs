//! What one core does of each step; run with `--release -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

const TOTAL_BYTES: usize = 512 * PIECE_BYTES;

#[test]
#[ignore = "measures, and asserts nothing"]
fn steps_on_one_core() {
    for (name, piece, level) in [
        ("noise, stored", noise(1, PIECE_BYTES), Level::STORED),
        ("noise, zstd 1", noise(1, PIECE_BYTES), Level::DEFAULT),
        ("table, zstd 1", table(1, PIECE_BYTES), Level::DEFAULT),
    ] {
        println!("{name}");
        journey(&piece, level);
    }
    small_files();
}

fn report<T>(step: &str, bytes: usize, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = run();
    let seconds = start.elapsed().as_secs_f64();
    println!("  {step:<10} {:6.2} GiB/s of raw bytes", bytes as f64 / seconds / f64::from(1 << 30));
    done
}

fn journey(piece: &[u8], level: Level) {
    let mut writer = Writer::new(&MANIFEST_KEY);
    writer.begin(Planned { size: SizeIs::Unknown, ..file("file", []) }.entry()).unwrap();
    // A few buffers go round, as in a pipeline.
    let mut packer = Packer::new(level).unwrap();
    let mut cutter = Cutter::start(BlockSize::Large, BlockIndex(0));
    let (mut cuts, mut blocks) = (Vec::new(), Vec::new());
    let mut spent = [0.0; 4];
    let mut time = |step: usize, start: Instant| spent[step] += start.elapsed().as_secs_f64();
    for _ in 0..TOTAL_BYTES / PIECE_BYTES {
        let start = Instant::now();
        let frame = writer.make_room(PIECE_BYTES).unwrap();
        writer.room().copy_from_slice(piece);
        writer.commit(PIECE_BYTES).unwrap();
        time(0, start);
        let Some(frame) = frame else { continue };
        let start = Instant::now();
        let packed = packer.pack(frame.bytes).unwrap();
        time(1, start);
        let start = Instant::now();
        cutter.frame(&packed, &mut cuts).unwrap();
        time(2, start);
        writer.recycle(packed.into_buffer());
        for cut in cuts.drain(..) {
            let start = Instant::now();
            let mut sealed = Vec::with_capacity(BlockSize::Large.sealed_bytes());
            seal_block(&BLOCK_KEY, &TRANSFER, cut.block, [1; SALT_BYTES], &cut.payload, &mut sealed);
            time(3, start);
            cutter.recycle(cut.payload);
            blocks.push(sealed);
        }
    }
    for (step, seconds) in ["write", "pack", "cut", "seal"].iter().zip(spent) {
        println!("  {step:<10} {:6.2} GiB/s of raw bytes", TOTAL_BYTES as f64 / seconds / f64::from(1 << 30));
    }
    let opened = report("open", TOTAL_BYTES, || {
        let open = |(index, sealed)| {
            OpenedBlock::open(&BLOCK_KEY, &TRANSFER, BlockIndex(index), BlockSize::Large, sealed).unwrap()
        };
        (0..).zip(blocks).map(open).collect::<Vec<_>>()
    });
    let frames = report("join", TOTAL_BYTES, || {
        let (mut frames, mut found) = (FrameReader::new(), Vec::new());
        for block in opened {
            frames.push(block.block(), &block.payload(), &mut found).unwrap();
        }
        found
    });
    let mut unpacker = Unpacker::new().unwrap();
    let mut reader = Reader::new(&MANIFEST_KEY);
    let mut spent = [0.0; 2];
    for frame in frames {
        let start = Instant::now();
        let raw = unpacker.unpack(frame.frame).unwrap();
        spent[0] += start.elapsed().as_secs_f64();
        let start = Instant::now();
        assert!(reader.frame(frame.location, &raw).all(|event| event.is_ok()));
        spent[1] += start.elapsed().as_secs_f64();
        unpacker.recycle(raw);
    }
    for (step, seconds) in ["unpack", "read"].iter().zip(spent) {
        println!("  {step:<10} {:6.2} GiB/s of raw bytes", TOTAL_BYTES as f64 / seconds / f64::from(1 << 30));
    }
}

fn small_files() {
    const FILES: u64 = 100_000;
    let content = table(1, 4096);
    let mut writer = Writer::new(&MANIFEST_KEY);
    let mut frames = Vec::new();
    let start = Instant::now();
    for number in 0..FILES {
        let entry = Planned::new(&format!("file {number:08}"), Thing::File(content.clone())).entry();
        frames.extend(writer.begin(entry).unwrap());
        frames.extend(writer.data(&content).unwrap());
        frames.extend(writer.end().unwrap());
    }
    println!("100 000 files of 4 KiB\n  write      {:6.2} s", start.elapsed().as_secs_f64());
    let mut reader = Reader::new(&MANIFEST_KEY);
    let start = Instant::now();
    let location = Location { block: BlockIndex(0), offset: 0 };
    for frame in &frames {
        assert!(reader.frame(location, &frame.bytes).all(|event| event.is_ok()));
    }
    println!("  read       {:6.2} s", start.elapsed().as_secs_f64());
}
