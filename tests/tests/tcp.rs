//! Where UDP does not get through, everything goes over TLS on TCP: found by itself, with the same result.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::path::PathBuf;

use handover_shared::invite::Invite;
use handover_tests::proxy::Proxy;
use handover_tests::{Ended, Person, Pushing, RelayProc, Scratch, Tree, data, wait};

const MIB: u64 = 1 << 20;

struct Scene {
    scratch: Scratch,
    relay: RelayProc,
    proxy: Proxy,
    seller: Person,
    buyer: Person,
    source: PathBuf,
}

impl Scene {
    /// So many files of a mebibyte each, behind a piece of network.
    fn new(files: usize) -> Self {
        let scratch = Scratch::new();
        let relay = RelayProc::start(&scratch);
        let proxy = Proxy::start(relay.port());
        let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
        let source = scratch.join("customers");
        let mut dice = scratch.dice("customers");
        for number in 0..files {
            data::write(source.join(format!("scan-{number}.jpg")), &dice.bytes(1 << 20));
        }
        Self { scratch, relay, proxy, seller, buyer, source }
    }

    /// The invite of the relay, at the address of the piece of network.
    fn invite(&self) -> String {
        let mut invite = Invite::parse(self.relay.invite()).unwrap();
        invite.address = self.proxy.address().parse().unwrap();
        invite.to_text().as_str().to_owned()
    }

    fn push(&self, seller: &Person) -> handover_tests::Launch {
        let push = seller.handover(["push", "-v", "--json", "--relay", &self.invite()]);
        push.arg(&self.source).limit(wait::LONG)
    }

    fn pull(&self, buyer: &Person, code: &str) -> handover_tests::Launch {
        buyer.pull(code, self.out()).args(["-v", "--json"]).limit(wait::LONG)
    }

    fn out(&self) -> PathBuf {
        self.scratch.join("out")
    }

    fn is_whole(&self) {
        Tree::of(&self.source).must_equal(&Tree::of(self.out().join("customers")));
    }
}

/// The transports that a run said it used, in order and each once in a row.
fn transports(ended: &Ended) -> Vec<String> {
    let mut used: Vec<String> =
        ended.events().iter().filter_map(|event| Some(event["transport"].as_str()?.to_owned())).collect();
    used.dedup();
    used
}

fn code_of(ended: &Ended) -> String {
    let events = ended.events();
    let code = events.iter().find(|event| event["event"] == "code").expect("a code");
    code["code"].as_str().unwrap().to_owned()
}

#[test] // [S11.7] [S11.8]
fn over_tcp_everything_is_the_same() {
    let scene = Scene::new(20);
    scene.proxy.block_udp();
    let (seller, buyer) = (scene.seller.over("tcp"), scene.buyer.over("tcp"));
    let pushed = scene.push(&seller).run().exits(0);
    assert_eq!(transports(&pushed), ["tcp"], "{pushed}");
    let pulled = scene.pull(&buyer, &code_of(&pushed)).run().exits(0);
    assert_eq!(transports(&pulled), ["tcp"], "{pulled}");
    scene.is_whole();
    seller.run(["wait", "1"]).exits(0).says("Collected and verified");
    seller.run(["status", "1"]).exits(0);
    assert!(scene.proxy.passed_tcp_bytes() > 40 * MIB, "the data went over TCP, twice");
    let code = code_of(&scene.push(&seller).arg("--new").run().exits(0));
    seller.run(["revoke", "2"]).exits(0);
    scene.pull(&buyer, &code).run().exits(7);
}

#[test] // [S11.9]
fn where_udp_is_lost_tcp_is_found_and_remembered() {
    let scene = Scene::new(2);
    scene.proxy.block_udp();
    let pushed = scene.push(&scene.seller).run().exits(0);
    assert_eq!(transports(&pushed), ["tcp"], "{pushed}");
    assert!(scene.proxy.lost() > 0, "QUIC was tried first");
    assert!(pushed.err().contains("QUIC did not answer in time"), "-v says why\n{pushed}");
    assert!(after_ms(&pushed) < 3000, "chosen within three seconds\n{pushed}");
    let again = scene.push(&scene.seller).arg("--new").run().exits(0);
    assert!(again.err().contains("TCP was used the last time"), "{again}");
    assert!(after_ms(&again) < 1000, "without waiting for QUIC\n{again}");
    let pulled = scene.pull(&scene.buyer, &code_of(&again)).run().exits(0);
    assert_eq!(transports(&pulled), ["tcp"], "{pulled}");
    scene.is_whole();
    // What is remembered is not held on to.
    scene.proxy.allow_udp();
    let healed = scene.push(&scene.seller).arg("--new").run().exits(0);
    assert!(healed.err().contains("QUIC answers again") || transports(&healed) == ["tcp"], "{healed}");
}

/// How long reaching the relay took, as the log says.
fn after_ms(ended: &Ended) -> u64 {
    let err = ended.err();
    let text = err.split("after_ms=").nth(1).expect("the log says how long it took");
    text.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test] // [S11.9] [S12.2]
fn udp_that_is_lost_in_the_middle_of_a_push_and_of_a_pull() {
    let scene = Scene::new(48);
    let mut push = Pushing::of(scene.push(&scene.seller).start());
    wait::until("bytes at the relay", wait::LONG, || (scene.relay.data_bytes() >= 8 * MIB).then_some(()));
    scene.proxy.block_udp();
    push.running.event("stalled", |event| event["attempt"].as_u64());
    let pushed = push.running.end().exits(0);
    assert_eq!(transports(&pushed).last().map(String::as_str), Some("tcp"), "{pushed}");

    scene.proxy.allow_udp();
    let mut pull = scene.pull(&scene.buyer, &push.code).start();
    wait::until("bytes at the buyer", wait::LONG, || (data::folder_bytes(&scene.out()) >= 8 * MIB).then_some(()));
    scene.proxy.block_udp();
    pull.event("stalled", |event| event["attempt"].as_u64());
    let pulled = pull.end().exits(0);
    assert_eq!(transports(&pulled).last().map(String::as_str), Some("tcp"), "{pulled}");
    scene.is_whole();
}

#[test] // [S11.9]
fn one_transport_asked_for_is_the_only_one_tried() {
    let scene = Scene::new(1);
    scene.proxy.block_udp();
    scene.push(&scene.seller.over("quic")).run().exits(5);
    assert_eq!(scene.proxy.streams(), 0, "no TCP");
    scene.push(&scene.seller.over("tcp")).run().exits(0);
    let ended = scene.seller.over("smoke-signals").run(["status"]);
    assert_eq!(ended.code, Some(2), "{ended}");
}

#[test] // [S12.2] [S14.4] [S15.3]
fn a_run_over_one_transport_goes_on_over_the_other() {
    let scene = Scene::new(48);
    let mut push = Pushing::of(scene.push(&scene.seller.over("tcp")).start());
    wait::until("bytes at the relay", wait::LONG, || (scene.relay.data_bytes() >= 8 * MIB).then_some(()));
    push.running.kill();
    push = Pushing::of(scene.push(&scene.seller.over("quic")).start());
    let half = scene.relay.data_bytes() + 8 * MIB;
    wait::until("more bytes at the relay", wait::LONG, || (scene.relay.data_bytes() >= half).then_some(()));
    push.running.kill();
    scene.push(&scene.seller.over("tcp")).run().exits(0);
    let pull = scene.pull(&scene.buyer.over("quic"), &push.code).start();
    wait::until("bytes at the buyer", wait::LONG, || (data::folder_bytes(&scene.out()) >= 8 * MIB).then_some(()));
    pull.kill();
    scene.pull(&scene.buyer.over("tcp"), &push.code).run().exits(0);
    scene.is_whole();
}

#[test] // [S12.3]
fn a_buyer_follows_the_seller_over_tcp() {
    let scene = Scene::new(32);
    let (seller, buyer) = (scene.seller.over("tcp"), scene.buyer.over("tcp"));
    let push = Pushing::of(scene.push(&seller).start());
    let pull = scene.pull(&buyer, &push.code).start();
    push.running.end().exits(0);
    pull.end().exits(0);
    scene.is_whole();
    seller.run(["wait", "1"]).exits(0);
}

#[test] // [S11.5]
fn a_relay_that_falls_silent_is_missed_over_tcp_too() {
    let scene = Scene::new(32);
    let mut push = Pushing::of(scene.push(&scene.seller.over("tcp")).start());
    wait::until("bytes at the relay", wait::LONG, || (scene.relay.data_bytes() >= 4 * MIB).then_some(()));
    scene.proxy.cut();
    push.running.event("stalled", |event| event["attempt"].as_u64());
    scene.proxy.mend();
    push.running.end().exits(0);
    scene.pull(&scene.buyer.over("tcp"), &push.code).run().exits(0);
    scene.is_whole();
}

#[test] // [S11.7]
fn a_small_transfer_takes_few_round_trips() {
    let scene = Scene::new(0);
    data::write(scene.source.join("hello.txt"), b"hello");
    let (seller, buyer) = (scene.seller.over("tcp"), scene.buyer.over("tcp"));
    // The first push enrols; the second is what every later one is.
    scene.push(&seller).run().exits(0);
    let before = scene.proxy.turns();
    let pushed = scene.push(&seller).arg("--new").run().exits(0);
    let push = scene.proxy.turns() - before;
    scene.pull(&buyer, &code_of(&pushed)).run().exits(0);
    let pull = scene.proxy.turns() - before - push;
    scene.is_whole();
    // Two for the handshake, then: limits; create; append, and its blocks; complete; goodbye.
    // That is seven; without any distance between the ends, confirmations fall between blocks and look like more.
    assert!((5..=10).contains(&push), "a push takes {push} round trips");
    // Two for the handshake, the second with the question what the code is for, then: claim; fetch; receipt; what the
    // relay signs of it in its log, which may take a few; goodbye.
    assert!((5..=14).contains(&pull), "a pull takes {pull} round trips");
}
