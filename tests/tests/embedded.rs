//! Without any relay: a push that is its own relay, and the demonstration.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use handover_tests::{Person, Pushing, Scratch, Tree, data, wait};

#[test]
fn a_push_without_a_relay_serves_until_the_receipt_is_here() {
    let scratch = Scratch::new();
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("customers");
    data::write(source.join("customers.csv"), &scratch.dice("customers").table(2_000_000));
    let mut push = Pushing::of(seller.handover(["push"]).arg(&source).limit(wait::LONG).start());
    let (_, address) = push.code.split_once('@').unwrap();
    assert!(!address.starts_with("127."), "others could not reach {address}");
    push.running.err_line("that it must stay open", |line| line.contains("open").then_some(()));

    let out = scratch.join("out");
    buyer.pull(&push.code, &out).limit(wait::LONG).run().exits(0);
    push.running.end().exits(0);
    Tree::of(&source).must_equal(&Tree::of(out.join("customers")));
    seller.run(["receipt", "show", "1"]).exits(0);
}

#[test]
fn a_killed_push_without_a_relay_goes_on() {
    let scratch = Scratch::new();
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("customers");
    data::write_random(source.join("big.bin"), 24 << 20, &mut scratch.dice("big"));
    let launch = seller.handover(["push"]).arg(&source).limit(wait::LONG);
    let push = Pushing::of(launch.start());
    let out = scratch.join("out");
    let pull = buyer.pull(&push.code, &out).limit(wait::LONG).start();
    wait::until("the first bytes", wait::USUAL, || (data::folder_bytes(&out) > 1 << 20).then_some(()));
    push.running.kill();
    // The code is spent, so none is printed; the buyer finds the relay where it was.
    let again = launch.start();
    pull.end().exits(0);
    let ended = again.end().exits(0);
    assert!(ended.stdout.is_empty(), "{ended}");
    assert!(!ended.err().contains("switch this computer off"), "the relay is this computer\n{ended}");
    Tree::of(&source).must_equal(&Tree::of(out.join("customers")));
}

#[test]
fn the_demonstration_shows_a_whole_handover_and_cleans_up() {
    let scratch = Scratch::new();
    let somebody = Person::new(&scratch, "somebody");
    let temporary = scratch.folder("temporary");
    let launch = somebody.handover(["demo", "--size", "4M"]).env("TMPDIR", &temporary).limit(wait::LONG);
    let ended = launch.run().exits(0);
    let shown = format!("{}{}", ended.out(), ended.err());
    for word in ["handover push", "handover pull", "handover-relay serve"] {
        assert!(shown.contains(word), "how to do it by hand: {word}\n{ended}");
    }
    assert_eq!(data::folder_bytes(&temporary), 0, "nothing is left behind");
    assert!(!somebody.home().join("transfers/1").exists(), "the person's own transfers are left alone");
}
