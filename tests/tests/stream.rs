//! The buyer does not wait for the seller: what has been sent is there, finished, while the rest is still on its way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::path::Path;

use handover_tests::{Input, Person, Pushing, RelayProc, Scratch, Tree, data, wait};

const FILES: u64 = 96;
const FILE_BYTES: u64 = 1024 * 1024;

#[test] // [S12.3]
fn the_first_file_is_complete_before_the_last_one_is_sent() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("photos");
    let mut dice = scratch.dice("photos");
    for number in 0..FILES {
        data::write_random(source.join(format!("{number:03}.jpg")), FILE_BYTES, &mut dice);
    }
    let wanted = Tree::of(&source);

    // The seller is stopped as soon as it has printed the code, and then let go in short steps until something of the
    // archive has reached the relay's disk.
    let push = seller.pushing(&relay, [Path::new("--json"), &source]);
    push.running.freeze();
    let empty = relay.data_bytes();
    while relay.data_bytes() < empty + 8 * FILE_BYTES {
        push.running.thaw();
        let before = relay.data_bytes();
        wait::until("the relay to take more", wait::USUAL, || (relay.data_bytes() > before).then_some(()));
        push.running.freeze();
    }
    let sent = relay.data_bytes() - empty;
    assert!(sent < FILES * FILE_BYTES, "the seller was not held back: {sent} bytes are at the relay");

    let out = scratch.join("out");
    let pull = buyer.pull(&push.code, &out).limit(wait::LONG).start();
    let first = out.join("photos/000.jpg");
    wait::until("the first file", wait::USUAL, || first.exists().then_some(()));
    assert_eq!(Tree::of(&first), Tree::of(source.join("000.jpg")));
    assert!(!out.join(format!("photos/{:03}.jpg", FILES - 1)).exists(), "the last file cannot be there");
    let events = push.running.events();
    assert!(events.iter().all(|event| event["event"] != "done"), "the seller is not done: {events:?}");

    push.running.thaw();
    push.running.end().exits(0);
    pull.end().exits(0);
    wanted.must_equal(&Tree::of(out.join("photos")));
}

#[test]
fn a_path_is_complete_while_standard_input_is_still_being_fed() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let mut dice = scratch.dice("feed");
    let first = scratch.join("a-first.csv");
    data::write(&first, &dice.table(400_000));
    let fed = dice.bytes(6_000_000);
    let (head, rest) = fed.split_at(4_000_000);

    let launch = seller.push(&relay, [Path::new("--as"), Path::new("z-dump.sql"), &first, Path::new("-")]);
    let mut push = Pushing::of(launch.input(Input::Pipe).start());
    push.running.feed(head);
    let out = scratch.join("out");
    let pull = buyer.pull(&push.code, &out).start();
    wait::until("the first file", wait::USUAL, || out.join("a-first.csv").exists().then_some(()));
    assert_eq!(Tree::of(&first), Tree::of(out.join("a-first.csv")));
    assert!(push.running.is_running(), "the seller is still being fed");
    assert!(!out.join("z-dump.sql").exists(), "nothing has its final name before it is whole");

    push.running.feed(rest);
    push.running.close_input();
    push.running.end().exits(0);
    pull.end().exits(0);
    assert!(std::fs::read(out.join("z-dump.sql")).unwrap() == fed);
}
