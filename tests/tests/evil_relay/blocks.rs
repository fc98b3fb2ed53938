//! Blocks that are not what the seller sealed, or not where it sealed them.

use std::sync::Arc;

use handover_shared::protocol::message::Request;
use handover_tests::double::{EvilRelay, Say};

use crate::scene::{ALTERED, BLOCK, Scene};

type Blocks = Vec<Vec<u8>>;

/// The relay serves what `change` makes of the blocks, as if that were the transfer.
fn serves(relay: &EvilRelay, change: impl Fn(&mut Blocks) + Send + Sync + 'static) {
    relay.does(move |visit| {
        let Request::Fetch(_) = visit.request else { return None };
        let mut blocks = visit.blocks();
        change(&mut blocks);
        Some(visit.serve(&blocks))
    });
}

#[test] // [S4.2] [S8.2] [S15.7]
fn evil_relay_flip() {
    let scene = Scene::new();
    let code = scene.pushed();
    // 24 bytes of salt, 32 of commitment, chunks of 16 384 and a tag of 16 each.
    let places = [
        ("salt", 0),
        ("salt, last byte", 23),
        ("commitment", 24),
        ("commitment, last byte", 55),
        ("first chunk", 56),
        ("tag of the first chunk", 56 + 16_384),
        ("middle chunk", BLOCK / 2),
        ("last chunk", BLOCK - 17),
        ("tag of the last chunk", BLOCK - 1),
    ];
    for (block, (what, at)) in [1, 0, 4].into_iter().cycle().zip(places) {
        serves(&scene.relay, move |blocks| blocks[block][at] ^= 1 << (at % 8));
        let ended = scene.found_out(ALTERED, what, &scene.pull(&code));
        let message = ended.event("error")["message"].as_str().unwrap().to_owned();
        assert!(message.contains(&format!("block {block} ")), "{what}: the block is named\n{ended}");
        assert_eq!(scene.relay.asked("Fetch"), 4, "{what}: fetched once, and again three times");
    }
    scene.finishes(&code);
    scene.record("one bit of a block flipped", "found, fetched again 3 times, exit 8; finishes when honest");
}

#[test] // [S8.2]
fn evil_relay_reorder() {
    let scene = Scene::new();
    let code = scene.pushed();
    type Change = fn(&mut Blocks);
    let orders: [(&str, Change); 4] = [
        ("two neighbours", |blocks| blocks.swap(1, 2)),
        ("first and last", |blocks| {
            let last = blocks.len() - 1;
            blocks.swap(0, last);
        }),
        ("backwards", |blocks| blocks.reverse()),
        ("moved by one", |blocks| blocks.rotate_left(1)),
    ];
    for (what, change) in orders {
        serves(&scene.relay, change);
        scene.found_out(ALTERED, what, &scene.pull(&code));
    }
    scene.finishes(&code);
    scene.record("blocks in another order", "found, exit 8; finishes when honest");
}

#[test] // [S8.2]
fn evil_relay_duplicate() {
    let scene = Scene::new();
    let code = scene.pushed();
    type Change = fn(&mut Blocks);
    let doubles: [(&str, Change); 3] = [
        ("a block twice", |blocks| blocks.insert(2, blocks[1].clone())),
        ("a block in the place of the next", |blocks| blocks[3] = blocks[2].clone()),
        ("the first block for every block", |blocks| {
            let first = blocks[0].clone();
            blocks.iter_mut().for_each(|block| block.clone_from(&first));
        }),
    ];
    for (what, change) in doubles {
        serves(&scene.relay, change);
        scene.found_out(ALTERED, what, &scene.pull(&code));
    }
    scene.finishes(&code);
    scene.record("blocks repeated", "found, exit 8; finishes when honest");
}

#[test] // [S8.2]
fn evil_relay_splice() {
    let scene = Scene::new();
    let code = scene.pushed();
    scene.pushed_other(&scene.seller);
    let same_seller = scene.relay.with(|store| store.newest().blocks.clone());
    scene.pushed_other(&handover_tests::Person::new(&scene.scratch, "stranger"));
    let other_seller = scene.relay.with(|store| store.newest().blocks.clone());
    for (what, other) in [("of the same seller", same_seller), ("of another seller", other_seller)] {
        let other = Arc::new(other);
        let spliced = other.clone();
        serves(&scene.relay, move |blocks| blocks[2] = spliced[2].clone());
        scene.found_out(ALTERED, &format!("a block {what}"), &scene.pull(&code));
        serves(&scene.relay, move |blocks| blocks.clone_from(&other));
        scene.found_out(ALTERED, &format!("all blocks {what}"), &scene.pull(&code));
    }
    scene.finishes(&code);
    scene.record("blocks of another transfer", "found, exit 8; finishes when honest");
}

#[test] // [S9.5]
fn evil_relay_truncate() {
    let scene = Scene::new();
    let code = scene.pushed();
    let whole = scene.relay.with(|store| store.newest().blocks.len());
    for left in [0, whole / 2, whole - 1] {
        serves(&scene.relay, move |blocks| blocks.truncate(left));
        scene.found_out(ALTERED, &format!("{left} of {whole} blocks, said to be all"), &scene.pull(&code));
    }
    // The tail behind a gap.
    serves(&scene.relay, |blocks| {
        let last = blocks.len() - 2;
        blocks.remove(last);
    });
    scene.found_out(ALTERED, "the last but one left out", &scene.pull(&code));
    scene.finishes(&code);
    scene.record("the end cut off and called complete", "found, exit 8, nothing signed; finishes when honest");
}

#[test] // [S9.5]
fn evil_relay_extend() {
    type Change = fn(&mut Blocks);
    let behind: [(&str, Change); 2] = [
        ("the tail twice", |blocks| blocks.push(blocks[blocks.len() - 1].clone())),
        ("a thousand blocks of nothing", |blocks| blocks.extend(vec![vec![0; BLOCK]; 1000])),
    ];
    for (what, change) in behind {
        let scene = Scene::new();
        let code = scene.pushed();
        serves(&scene.relay, change);
        // What comes behind the tail is not looked at: the archive is whole, and it is the seller's.
        let ended = scene.pull(&code).run().exits(0);
        scene.stays_calm(what, &ended);
        scene.is_whole();
        scene.relay.repents();
        scene.seller.run(["wait", "1"]).exits(0);
    }
    let scene = Scene::new();
    let code = scene.pushed();
    serves(&scene.relay, |blocks| {
        let last = blocks.len() - 1;
        blocks.insert(last, vec![0; BLOCK]);
    });
    scene.found_out(ALTERED, "a block before the tail", &scene.pull(&code));
    scene.finishes(&code);
    scene.record_count("blocks added", 3, "before the tail: exit 8; behind it: never read, what is placed is right");
}

#[test] // [S8.2] [S12.3]
fn evil_relay_stall() {
    let scene = Scene::new();
    let code = scene.pushed();
    // Other wrong bytes at every repetition: none of them is ever taken.
    scene.relay.does(|visit| {
        let Request::Fetch(_) = visit.request else { return None };
        let (turn, mut blocks) = (visit.turn, visit.blocks());
        blocks[3][100 + turn as usize] ^= 1;
        Some(visit.serve(&blocks))
    });
    scene.found_out(ALTERED, "other bytes at every repetition", &scene.pull(&code));
    // All but the last bytes, then the connection is cut, again and again: it goes on each time, and says so.
    scene.relay.does(|visit| {
        let Request::Fetch(fetch) = visit.request else { return None };
        let from = fetch.from.0 as usize;
        let mut blocks = visit.blocks();
        let held = blocks.len();
        if visit.turn >= 3 || from + 1 >= held {
            return None;
        }
        blocks.truncate(from + 2);
        let mut script = visit.serve(&blocks);
        if let Some(Say::Bytes(bytes)) = script.last_mut() {
            bytes.truncate(BLOCK + BLOCK / 2);
        }
        script.push(Say::Close(0));
        Some(script)
    });
    let ended = scene.pull(&code).run().exits(0);
    scene.stays_calm("cut at every block", &ended);
    let stalled = ended.events().iter().filter(|event| event["event"] == "stalled").count();
    assert!(stalled >= 3, "{stalled} times\n{ended}");
    scene.is_whole();
    scene.record_count("stalls near the end, other bytes at each retry", 4, "nothing partial is placed; goes on");
}
