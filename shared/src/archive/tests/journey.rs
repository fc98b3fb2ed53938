//! Whole archives from seller to buyer: any tree, any crash on either side, any damage.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The same things for the buyer as in the seller's plan, under the same root, and a catalogue of the same records.
fn assert_same(seller: &Seller, buyer: &Buyer, whole: &Whole, root: Root, counts: Counts) {
    let planned: BTreeMap<_, _> = seller.plan.iter().map(|it| (it.path.clone(), it.thing.clone())).collect();
    assert!(buyer.placed == planned, "the same tree");
    assert_eq!((whole.root(), whole.counts()), (root, counts));
    assert!(buyer.listed == seller.list);
    assert!(buyer.records.iter().eq(seller.list.iter().map(|line| &line.record)));
    for Listed { record, place } in &seller.list {
        let (_, raw) = seller.raw_frames.iter().find(|(location, _)| *location == place.frame).unwrap();
        let found = crate::archive::item::items(raw).map(Result::unwrap).find(|found| found.offset == place.item);
        let path = match found.unwrap().item {
            crate::archive::item::ItemRef::Entry(entry) => entry.path,
            crate::archive::item::ItemRef::Exception(exception) => exception.path,
            other => panic!("{other:?}"),
        };
        assert!(path == record.path, "the catalogue leads to the entry");
    }
}

fn round_trip(seller: &mut Seller) {
    let (root, counts) = seller.run(Until::End).unwrap();
    let mut buyer = Buyer::default();
    let whole = buyer.run(&seller.sealed(), seller.size).unwrap().unwrap();
    assert_same(seller, &buyer, &whole, root, counts);
}

#[test] // [S9.3] [S9.5]
fn an_archive_without_records_has_one_empty_page() {
    let mut seller = Seller::new(Vec::new());
    round_trip(&mut seller);
    assert_eq!(seller.payloads.len(), 2);
    assert_eq!(seller.raw_frames, [(Location { block: BlockIndex(0), offset: 0 }, vec![5, 0, 0, 0, 3, 0x82, 0, 0x80])]);
}

#[test] // [S6.3] [S6.4] [S6.5]
fn sizes_around_a_piece_voids_and_exceptions() {
    let mut plan = vec![folder("a"), file("a/0", [])];
    for (name, bytes) in
        ["1", "2", "3", "4", "5"].iter().zip([1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES])
    {
        plan.push(Planned { size: SizeIs::Unknown, ..file(&format!("a/{name}"), noise(3, bytes)) });
    }
    plan.push(Planned { voids: 2, ..file("a/voided", noise(4, 2 * PIECE_BYTES + 9)) });
    plan.push(Planned { voids: 3, ..Planned::new("a/w", Thing::Exception(Reason::KeptChanging)) });
    plan.push(link("b", "a/voided"));
    for level in [Level::STORED, Level::DEFAULT] {
        round_trip(&mut Seller { level, ..Seller::new(plan.clone()) });
    }
}

#[test] // [S8.1]
fn large_blocks_carry_the_same() {
    let plan = vec![file("noise", noise(1, 5 * PIECE_BYTES + 7)), file("table", table(1, 3 * PIECE_BYTES))];
    round_trip(&mut Seller { size: BlockSize::Large, level: Level::DEFAULT, ..Seller::new(plan) });
}

#[test] // [S9.3]
fn many_entries_make_many_pages_and_small_states() {
    let mut plan = vec![folder("d")];
    plan.extend((0..9000).map(|i| file(&format!("d/{i:05}-{}", "n".repeat(80)), [])));
    let mut seller = Seller::new(plan);
    round_trip(&mut seller);
    assert!(seller.raw_frames.len() >= 4);
}

#[test] // [S6.5]
fn a_name_too_long_can_be_listed() {
    let mut writer = Writer::new(&MANIFEST_KEY);
    let path = EntryPath::parse_listed(&[b'n'; 700]).unwrap();
    writer.exception(Exception { path: path.clone(), reason: Reason::NameLimit }).unwrap();
    let fault = writer.exception(Exception { path, reason: Reason::Vanished });
    assert_eq!(fault, Err(ArchiveFault::PathLimit));
    let raw = writer.flush().unwrap().bytes;
    let mut reader = Reader::new(&MANIFEST_KEY);
    let events: Vec<_> = reader.frame(Location { block: BlockIndex(0), offset: 0 }, &raw).collect();
    assert!(matches!(events.as_slice(), [Ok(Event::Exception(_))]));
}

#[test] // [S8.4] [S8.6] [S14.4]
fn a_crash_after_every_block_changes_nothing() {
    let plan = vec![
        folder("a"),
        Planned { voids: 1, ..file("a/b", noise(1, PIECE_BYTES + 100)) },
        file("a/c", table(5, 2 * PIECE_BYTES)),
        folder("z"),
    ];
    let mut untouched = Seller { flush_every: 3, ..Seller::new(plan.clone()) };
    let (root, counts) = untouched.run(Until::End).unwrap();
    let mut seller = Seller { flush_every: 3, ..Seller::new(plan) };
    for durable in 0..60 {
        seller.run(Until::Blocks(durable + 20));
        seller.crash(durable.min(seller.payloads.len()));
    }
    assert_eq!(seller.run(Until::End), Some((root, counts)));
    let mut buyer = Buyer::default();
    let whole = buyer.run(&seller.sealed(), seller.size).unwrap().unwrap();
    assert_same(&seller, &buyer, &whole, root, counts);
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![
        4 => 0..2000_usize,
        2 => 60_000..200_000_usize,
        1 => prop::sample::select(vec![PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, PIECE_BYTES * 3 / 2]),
    ];
    (size, any::<u64>(), any::<bool>())
        .prop_map(|(size, seed, is_noise)| if is_noise { noise(seed, size) } else { table(seed % 1_000_000, size) })
}

/// Any tree of up to three levels: names of any bytes, in canonical order.
fn plans() -> impl Strategy<Value = Vec<Planned>> {
    let name = prop_oneof![
        "[a-c]{1,2}".prop_map(String::into_bytes),
        vec(any::<u8>(), 1..6).prop_filter("a name", |it| EntryPath::parse(it).is_ok() && !it.contains(&b'/')),
    ];
    let leaf = prop_oneof![
        4 => content().prop_map(Thing::File),
        1 => Just(Thing::Link(b"./x".to_vec())),
        1 => prop::sample::select(Reason::ALL.to_vec()).prop_map(Thing::Exception),
    ];
    let node = (leaf, any::<bool>(), 0..3_u32);
    let folders = btree_map(vec(name.clone(), 0..3), btree_map(name, node, 0..4), 1..5);
    folders.prop_map(|folders| {
        let mut plan = BTreeMap::<EntryPath, Planned>::new();
        let mut add = |path: Vec<u8>, thing, size, voids| {
            let key = EntryPath::parse(&path).unwrap();
            plan.entry(key).or_insert(Planned { path, thing, size, voids });
        };
        for above in folders.keys() {
            for depth in 1..=above.len() {
                add(above[..depth].join(&b'/'), Thing::Folder, SizeIs::Known, 0);
            }
        }
        for (above, leaves) in folders {
            for (name, (thing, is_known, voids)) in leaves {
                let path = above.iter().chain([&name]).cloned().collect::<Vec<_>>().join(&b'/');
                let size = if is_known { SizeIs::Known } else { SizeIs::Unknown };
                let voids = if matches!(thing, Thing::File(_) | Thing::Exception(_)) { voids } else { 0 };
                add(path, thing, size, voids);
            }
        }
        plan.into_values().collect()
    })
}

proptest! {
    #![proptest_config(config(24))]

    #[test] // [S6.2] [S6.7] [S7.2] [S8.4] [S9.1]
    fn any_tree_arrives_whatever_crashes(
        plan in plans(),
        is_packed in any::<bool>(),
        flush_every in 1..40_usize,
        crashes in vec((0..60_usize, 0..20_usize), 0..5),
        checkpoints in vec(0..60_usize, 0..6),
    ) {
        let level = if is_packed { Level::DEFAULT } else { Level::STORED };
        let mut seller = Seller { level, flush_every, ..Seller::new(plan) };
        for (durable, ahead) in crashes {
            // What is durable stays so.
            let durable = durable.max(seller.payloads.len());
            seller.run(Until::Blocks(durable + ahead));
            seller.crash(durable.min(seller.payloads.len()));
        }
        let (root, counts) = seller.run(Until::End).unwrap();
        let sealed = seller.sealed();
        let mut buyer = Buyer::default();
        for blocks in checkpoints {
            let blocks = &sealed[..blocks.min(sealed.len() - 1)];
            prop_assert_eq!(buyer.run(blocks, seller.size).unwrap(), None);
        }
        let whole = buyer.run(&sealed, seller.size).unwrap().unwrap();
        assert_same(&seller, &buyer, &whole, root, counts);
    }

    #[test] // [S9.5]
    fn a_hostile_stream_never_passes_for_another(
        plan in plans(),
        hits in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..4),
        is_frame in any::<bool>(),
    ) {
        let mut seller = Seller { level: Level::DEFAULT, flush_every: 5, ..Seller::new(plan) };
        seller.run(Until::End).unwrap();
        let honest = read(&seller.payloads, seller.size).unwrap();
        if is_frame {
            // Raw items are altered and packed again, under the same tail.
            let tail = seller.payloads.last().unwrap().clone();
            for (frame, at, byte) in hits {
                let (_, raw) = &mut seller.raw_frames[frame.index(usize::MAX) % honest.2];
                let at = at.index(raw.len());
                raw[at] = byte;
            }
            seller.payloads = repack(&seller.raw_frames, seller.size);
            seller.payloads.push(tail);
        } else {
            for (block, at, byte) in hits {
                let payload = block.get(&seller.payloads).len();
                let block = block.index(seller.payloads.len());
                seller.payloads[block][at.index(payload)] = byte;
            }
        }
        if let Ok(got) = read(&seller.payloads, seller.size) {
            prop_assert!((got.0, got.1) == (honest.0, honest.1));
        }
    }
}

type Read = (Root, BTreeMap<Vec<u8>, Thing>, usize);

fn read(payloads: &[Vec<u8>], size: BlockSize) -> Result<Read, ArchiveFault> {
    let mut buyer = Buyer::default();
    let mut frames = FrameReader::new();
    let mut reader = Reader::new(&MANIFEST_KEY);
    let mut unpacker = Unpacker::new()?;
    let mut found = Vec::new();
    let mut count = 0;
    for (index, payload) in payloads.iter().enumerate() {
        let payload = crate::archive::block::Payload::parse(payload, size)?;
        let taken = frames.push(BlockIndex(index as u64), &payload, &mut found)?;
        for frame in found.drain(..) {
            count += 1;
            let raw = unpacker.unpack(frame.frame)?;
            for event in reader.frame(frame.location, &raw) {
                let event = event?;
                if matches!(event, Event::FileBegin(_)) {
                    buyer.current.clear();
                }
                buyer.place(event);
            }
        }
        if let Taken::Tail(tail) = taken {
            let whole = reader.finish(&Tail::parse(tail)?, frames.stream_blocks().unwrap_or(0))?;
            return Ok((whole.root(), buyer.placed, count));
        }
    }
    Err(ArchiveFault::Unfinished)
}

fn repack(raw_frames: &[(Location, Vec<u8>)], size: BlockSize) -> Vec<Vec<u8>> {
    let mut packer = Packer::new(Level::DEFAULT).unwrap();
    let mut cutter = Cutter::start(size, BlockIndex(0));
    let mut cuts = Vec::new();
    for (_, raw) in raw_frames {
        cutter.frame(&packer.pack(raw.clone()).unwrap(), &mut cuts).unwrap();
    }
    cuts.extend(cutter.flush().unwrap());
    let stream_blocks = cuts.len() as u64;
    let mut payloads: Vec<_> = cuts.into_iter().map(|cut| cut.payload).collect();
    let ending = Ending::of(stream_blocks).unwrap();
    payloads.extend((ending.padding().0..ending.tail().0).map(|_| padding_payload(size)));
    payloads
}
