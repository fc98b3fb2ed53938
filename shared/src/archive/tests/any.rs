//! Any tree, any cut: names of every script, links, empty files, sizes around every limit; the seller and the buyer stopped
//! anywhere and any number of times, the stream handed over in reads of any length. It arrives byte for byte, and with
//! any byte altered it does not arrive.
//!
//! `PROPTEST_CASES` asks for more cases, `PROPTEST_RNG_SEED` for the same ones again.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::block::PAYLOAD_HEAD_BYTES;
use super::super::frame::FRAME_HEAD_BYTES;
use super::super::item::ITEM_HEAD_BYTES;
use super::*;
use crate::limits::{COMPONENT_BYTES_MAX, FRAME_RAW_BYTES_MAX, PATH_BYTES_MAX, PATH_COMPONENTS_MAX};

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Names as customers have them, and as nobody should.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let written = [
        "a",
        "b",
        "a b",
        "a.b",
        "A",
        ".profile",
        "客户资料",
        "顧客リスト.xlsx",
        "고객.csv",
        "عملاء",
        "לקוחות",
        "ลูกค้า",
        "ग्राहक",
        "Клиенты",
        "Kundenübersicht",
        "Kundenu\u{308}bersicht",
        "😀👩‍👩‍👧",
        "\u{202e}txt.exe",
        "line\nbreak",
        "\u{1}",
        "CON",
        "a:b*?\"<>|",
        "back\\slash",
        "trailing. ",
        "...",
        "-rf",
        "~",
        "\u{feff}",
    ];
    prop_oneof![
        6 => select(written.to_vec()).prop_map(|name| name.as_bytes().to_vec()),
        2 => "[a-c]{1,2}".prop_map(String::into_bytes),
        2 => vec(1..=255_u8, 1..8),
        1 => "\\PC{1,20}".prop_map(String::into_bytes),
        1 => (1..=COMPONENT_BYTES_MAX, 1..=255_u8).prop_map(|(bytes, byte)| vec![byte; bytes]),
        1 => Just(vec![b'n'; COMPONENT_BYTES_MAX]),
    ]
    .prop_filter("a name", |name| EntryPath::parse(name).is_ok_and(|path| path.depth() == 1))
}

/// Lengths around everything that is counted.
fn length() -> impl Strategy<Value = usize> {
    let block = BlockSize::Small.payload_bytes() - PAYLOAD_HEAD_BYTES;
    let around = [
        block - FRAME_HEAD_BYTES - ITEM_HEAD_BYTES,
        block,
        2 * block,
        PIECE_BYTES / 2,
        PIECE_BYTES,
        FRAME_RAW_BYTES_MAX - ITEM_HEAD_BYTES,
        2 * PIECE_BYTES,
    ];
    let near = |at: &[usize]| (select(at.to_vec()), 0..5_usize).prop_map(|(at, more)| at + more - 2);
    prop_oneof![
        40 => 0..4_usize,
        40 => 0..3000_usize,
        6 => near(&around[..3]),
        2 => 60_000..140_000_usize,
        3 => near(&around[3..]),
    ]
}

fn thing() -> impl Strategy<Value = Thing> {
    let target = select(vec!["x", "./a/b", "../x", "../../客户/x", "a//b/", "..", "../..", "\u{202e}"]);
    prop_oneof![
        5 => (length(), any::<u64>(), any::<bool>()).prop_map(|(length, seed, is_noise)| {
            Thing::File(if is_noise { noise(seed, length) } else { table(seed % 1_000_000, length) })
        }),
        2 => Just(Thing::Folder),
        2 => target.prop_map(|target| Thing::Link(target.as_bytes().to_vec())),
        1 => select(Reason::ALL.to_vec()).prop_map(Thing::Exception),
    ]
}

/// A path as deep, and a path as long, as can be.
fn extremes() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let deepest = vec![b"d".to_vec(); PATH_COMPONENTS_MAX];
    let longest = vec![vec![b'l'; COMPONENT_BYTES_MAX]; (PATH_BYTES_MAX + 1) / (COMPONENT_BYTES_MAX + 1)];
    prop_oneof![8 => Just(Vec::new()), 1 => Just(deepest), 1 => Just(longest)]
}

/// Any tree, in the order of an archive.
fn tree() -> impl Strategy<Value = Vec<Planned>> {
    let node = (vec(name(), 1..4), thing(), any::<bool>(), 0..3_u32);
    (vec(node, 0..10), extremes(), thing()).prop_map(|(mut nodes, extreme, thing)| {
        if !extreme.is_empty() {
            nodes.push((extreme, thing, true, 0));
        }
        let mut plan = BTreeMap::<EntryPath, Planned>::new();
        for (names, thing, is_known, voids) in nodes {
            plant(&mut plan, &names, thing, is_known, voids);
        }
        plan.into_values().collect()
    })
}

/// Puts something into the tree, unless a file is in its way.
fn plant(plan: &mut BTreeMap<EntryPath, Planned>, names: &[Vec<u8>], thing: Thing, is_known: bool, voids: u32) {
    let is_file = matches!(thing, Thing::File(_) | Thing::Exception(_));
    for depth in 1..names.len() {
        let path = names[..depth].join(&b'/');
        let above = Planned { path: path.clone(), thing: Thing::Folder, size: SizeIs::Known, voids: 0 };
        let found = plan.entry(EntryPath::parse(&path).unwrap()).or_insert(above);
        if found.thing != Thing::Folder {
            return;
        }
    }
    let path = names.join(&b'/');
    let entry = EntryPath::parse(&path).unwrap();
    let thing = match thing {
        Thing::Link(target) if Target::parse(&target, &entry).is_err() => Thing::Link(b"./x".to_vec()),
        thing => thing,
    };
    let size = if is_known { SizeIs::Known } else { SizeIs::Unknown };
    plan.entry(entry).or_insert(Planned { path, thing, size, voids: if is_file { voids } else { 0 } });
}

/// The blocks that are whole, out of a stream that came in reads of these lengths, over and over.
fn blocks_of(stream: &[u8], reads: &[usize], size: BlockSize) -> Vec<Vec<u8>> {
    let (mut blocks, mut block, mut at) = (Vec::new(), Vec::new(), 0);
    for read in reads.iter().cycle() {
        if at == stream.len() {
            break;
        }
        let mut bytes = &stream[at..stream.len().min(at + read)];
        at += bytes.len();
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(size.sealed_bytes() - block.len()));
            block.extend_from_slice(now);
            bytes = later;
            if block.len() == size.sealed_bytes() {
                blocks.push(std::mem::take(&mut block));
            }
        }
    }
    blocks
}

proptest! {
    #![proptest_config(config())]

    #[test] // [S6.2] [S6.7] [S6.8] [S7.2] [S8.4] [S8.6] [S9.5] [S14.4] [S15.3]
    fn any_tree_arrives_after_any_cut(
        plan in tree(),
        is_large in (0..8_u8).prop_map(|it| it == 0),
        level in select(vec![Level::STORED, Level::DEFAULT]),
        flush_every in prop_oneof![1..6_usize, Just(usize::MAX)],
        crashes in vec((0..12_usize, 0..8_usize), 0..5),
        stops in vec(any::<Index>(), 0..6),
        reads in vec(prop_oneof![Just(1_200_usize), 1..100_000_usize, Just(65_536)], 1..6),
    ) {
        let planned: BTreeMap<_, _> = plan.iter().map(|it| (it.path.clone(), it.thing.clone())).collect();
        let size = if is_large { BlockSize::Large } else { BlockSize::Small };
        let mut seller = Seller { level, flush_every, size, ..Seller::new(plan) };
        for (ahead, lost) in crashes {
            let durable = seller.payloads.len();
            seller.run(Until::Blocks(durable + ahead));
            // What is durable stays so; of what was made since, the relay has some.
            seller.crash(seller.payloads.len().saturating_sub(lost).max(durable));
        }
        let (root, counts) = seller.run(Until::End).unwrap();
        let stream = seller.sealed().concat();

        let mut buyer = Buyer::default();
        for stop in stops {
            let come = blocks_of(&stream[..stop.index(stream.len())], &reads, size);
            prop_assert_eq!(buyer.run(&come, size).unwrap(), None);
        }
        let whole = buyer.run(&blocks_of(&stream, &reads, size), size).unwrap().unwrap();

        prop_assert!(buyer.placed == planned, "the same tree");
        prop_assert_eq!((whole.root(), whole.counts()), (root, counts));
        prop_assert!(buyer.listed == seller.list);
    }

    #[test] // [S8.2] [S9.5]
    fn no_altered_byte_is_taken(
        plan in tree(),
        place in any::<Index>(),
        bits in 1..=255_u8,
        how in 0..5_u8,
        from in any::<Index>(),
    ) {
        let mut seller = Seller { level: Level::DEFAULT, flush_every: 4, ..Seller::new(plan) };
        seller.run(Until::End).unwrap();
        let mut blocks = seller.sealed();
        let count = blocks.len();
        let (at, other) = (place.index(count), from.index(count));
        match how {
            // A byte of what is sealed.
            0 | 1 => {
                let byte = from.index(seller.size.sealed_bytes());
                blocks[at][byte] ^= bits;
            }
            // A block in another's place.
            2 if at != other => blocks.swap(at, other),
            2 => drop(blocks[at].pop()),
            // One left out, or twice.
            3 if at + 1 < count => drop(blocks.remove(at)),
            3 => blocks[at].push(0),
            _ => {
                let twice = blocks[at].clone();
                blocks.insert(at, twice);
            }
        }
        let mut buyer = Buyer::default();
        let came = buyer.run(&blocks, seller.size);
        // Twice the last block: everything had come before it.
        let is_behind = how == 4 && at + 1 == count;
        prop_assert!(came.is_err() || is_behind, "{:?}", came);
        let planned: BTreeMap<_, _> = seller.plan.iter().map(|it| (&it.path, &it.thing)).collect();
        for (path, thing) in &buyer.placed {
            prop_assert!(planned.get(path) == Some(&thing), "what was placed before is what was sent");
        }
    }
}
