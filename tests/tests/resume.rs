//! Any process may be killed at any moment: the same words continue, nothing is asked twice, nothing finished is read,
//! sent or written twice.
//!
//! Moments are bytes on a disk, thrown by seeded dice, never times.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use handover_tests::data::{self, Dice, Stamp};
use handover_tests::{Ended, Launch, Person, Pushing, RelayProc, Running, Scratch, Tree, wait};

const MIB: u64 = 1024 * 1024;
const FILES: u64 = 14;
const FILE_BYTES: u64 = 4 * MIB;
/// What a continued run may seal once more: the frame that was not whole.
const AGAIN: u64 = 3 * MIB;

struct Scene {
    scratch: Scratch,
    relay: RelayProc,
    seller: Person,
    buyer: Person,
    source: PathBuf,
    wanted: Tree,
    total: u64,
    dice: Dice,
}

impl Scene {
    fn new(purpose: &str, files: u64) -> Self {
        let scratch = Scratch::new();
        let relay = RelayProc::start(&scratch);
        let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
        let source = scratch.join("archive");
        let mut dice = scratch.dice(purpose);
        for number in 0..files {
            data::write_random(source.join(format!("scan {number:02}.tif")), FILE_BYTES, &mut dice);
        }
        for number in 0..200 {
            data::write(source.join(format!("small/{number}")), &dice.table(3000));
        }
        let wanted = Tree::of(&source);
        let total = wanted.bytes();
        Self { scratch, relay, seller, buyer, source, wanted, total, dice }
    }

    fn push(&self) -> Launch {
        self.seller.push(&self.relay, [Path::new("--json"), &self.source]).limit(wait::LONG)
    }

    /// The pull of the first run; later runs must need no answer.
    fn pull(&self, code: &str) -> Launch {
        self.buyer.pull(code, self.out()).arg("--json").limit(wait::LONG)
    }

    fn pull_again(&self, code: &str) -> Launch {
        self.buyer.handover(["pull", code, "--no-input", "--json", "--out"]).arg(self.out()).limit(wait::LONG)
    }

    fn out(&self) -> PathBuf {
        self.scratch.join("out")
    }

    fn received(&self) -> u64 {
        data::folder_bytes(&self.out())
    }

    fn is_whole(&self) {
        self.wanted.must_equal(&Tree::of(self.out().join("archive")));
        assert!(!self.out().join(".handover").exists(), "no partial data is left behind");
    }

    /// Rising moments, as shares of the whole.
    fn moments(&mut self, count: u64) -> Vec<u64> {
        let step = self.total / (count + 1);
        (1..=count).map(|turn| turn * step - self.dice.below(step / 2)).collect()
    }
}

/// Kills a process when a measure has reached a moment.
fn kill_at(running: Running, what: &str, moment: u64, measure: impl Fn() -> u64) -> Ended {
    wait::until(what, wait::LONG, || (measure() >= moment).then_some(()));
    let ended = running.kill();
    assert!(ended.signal == Some(9), "it was over before the kill at {moment} bytes\n{ended}");
    ended
}

fn resumed_bytes(ended: &Ended) -> u64 {
    ended.event("resumed")["bytes"].as_u64().unwrap()
}

/// Sealed bytes that travelled in a run, as far as it told.
fn wire_bytes(ended: &Ended) -> u64 {
    ended.events().iter().filter_map(|event| event["wire_bytes"].as_u64()).max().unwrap()
}

#[test] // [S14.2] [S14.3] [S14.4]
fn the_seller_is_killed() {
    let mut scene = Scene::new("seller", FILES);
    let moments = scene.moments(3);
    let empty = scene.relay.data_bytes();
    let mut codes = Vec::new();
    for moment in moments {
        let push = Pushing::of(scene.push().start());
        codes.push(push.code);
        kill_at(push.running, "bytes at the relay", empty + moment, || scene.relay.data_bytes());
    }
    // What is finished is not even looked at: a first file that has become another one goes through as it was.
    let first = scene.source.join("scan 00.tif");
    let stamp = std::fs::metadata(&first).unwrap();
    data::write_random(&first, FILE_BYTES, &mut scene.dice);
    data::set_mtime(&first, Stamp { seconds: stamp.mtime(), nanoseconds: stamp.mtime_nsec() });

    let ended = scene.push().run().exits(0);
    codes.push(ended.event("code")["code"].as_str().unwrap().to_owned());
    codes.dedup();
    assert_eq!(codes.len(), 1, "the same code every time");
    let kept = resumed_bytes(&ended);
    assert!(kept >= 2 * FILE_BYTES, "{kept} bytes need not travel again");
    // The relay keeps every block that was ever sent, so its count tells what travelled twice. An eighth is padding.
    let sealed = scene.relay.durable_bytes();
    let needed = scene.total + 3 * AGAIN;
    assert!(sealed <= needed + needed / 8, "{sealed} bytes were sealed for {}", scene.total);

    scene.pull(&codes[0]).run().exits(0);
    // The folder's time is that of the last run; nothing was created or removed in it.
    scene.is_whole();
}

#[test] // [S15.1] [S15.2] [S15.3]
fn the_buyer_is_killed() {
    let mut scene = Scene::new("buyer", 2 * FILES);
    let code = scene.push().run().exits(0).event("code")["code"].as_str().unwrap().to_owned();
    let moments = scene.moments(3);
    let mut first = true;
    for moment in moments {
        let launch = if first { scene.pull(&code) } else { scene.pull_again(&code) };
        first = false;
        kill_at(launch.start(), "bytes at the buyer", moment, || scene.received());
    }
    // From here on a checkpoint is kept; the last run goes on from there.
    let checkpoint = scene.buyer.home().join("transfers/1/checkpoint");
    let pull = scene.pull_again(&code).start();
    wait::until("a checkpoint", wait::LONG, || checkpoint.exists().then_some(()));
    assert_eq!(pull.kill().signal, Some(9), "it was over before the kill");
    // Whatever has its final name is whole, and stays the very same file.
    let finished: Vec<(PathBuf, u64)> = (0..2 * FILES)
        .map(|number| scene.out().join(format!("archive/scan {number:02}.tif")))
        .filter_map(|path| Some((path.clone(), std::fs::metadata(path).ok()?.ino())))
        .collect();
    assert!(!finished.is_empty(), "some files are finished after the last kill");
    for (path, _) in &finished {
        let there = Tree::of(path);
        let sent = Tree::of(scene.source.join(path.file_name().unwrap()));
        assert_eq!(there.bytes(), sent.bytes(), "{}", path.display());
    }
    let ended = scene.pull_again(&code).run().exits(0);
    for (path, number) in &finished {
        assert_eq!(std::fs::metadata(path).unwrap().ino(), *number, "{} was written again", path.display());
    }
    let kept = resumed_bytes(&ended);
    assert!(kept >= FILE_BYTES, "{kept} bytes need not travel again");
    let wire = wire_bytes(&ended);
    let sealed = scene.total + scene.total / 8 + AGAIN;
    assert!(wire <= sealed - kept, "{wire} bytes travelled although {kept} were there\n{ended}");
    scene.is_whole();
    scene.seller.run(["wait", "1"]).exits(0);
}

#[test] // [S13.3] [S13.9]
fn the_relay_is_killed() {
    let mut scene = Scene::new("relay", FILES);
    let moments = scene.moments(2);
    let empty = scene.relay.data_bytes();
    let push = Pushing::of(scene.push().start());
    for moment in &moments {
        wait::until("bytes at the relay", wait::LONG, || (scene.relay.data_bytes() >= empty + moment).then_some(()));
        scene.relay.kill();
        scene.relay.restart();
    }
    push.running.end().exits(0);

    let pull = scene.pull(&push.code).start();
    for moment in &moments {
        wait::until("bytes at the buyer", wait::LONG, || (scene.received() >= *moment).then_some(()));
        scene.relay.kill();
        scene.relay.restart();
    }
    pull.end().exits(0);
    scene.is_whole();
    // The receipt survives the relay as well.
    scene.relay.kill();
    scene.relay.restart();
    scene.seller.run(["wait", "1"]).exits(0);
}

#[test]
fn all_three_are_killed() {
    let mut scene = Scene::new("all", FILES);
    let moments = scene.moments(2);
    let Pushing { running: mut push, code } = Pushing::of(scene.push().start());
    let mut pull = scene.pull(&code).start();
    for moment in moments {
        wait::until("bytes at the buyer", wait::LONG, || (scene.received() >= moment).then_some(()));
        scene.relay.kill();
        push.kill();
        pull.kill();
        scene.relay.restart();
        // The code is spent, so the seller prints none any more.
        push = scene.push().start();
        pull = scene.pull_again(&code).start();
    }
    push.end().exits(0);
    pull.end().exits(0);
    scene.is_whole();
    scene.seller.run(["wait", "1"]).exits(0);
}

#[test]
fn a_kill_right_after_the_code_loses_nothing() {
    let scene = Scene::new("early", FILES);
    let push = Pushing::of(scene.push().start());
    push.running.kill();
    let again = Pushing::of(scene.push().start());
    assert_eq!(again.code, push.code);
    again.running.kill();
    // The buyer may come before the seller goes on; a code that is spent by then is not printed again.
    let pull = scene.pull(&push.code).start();
    let ended = scene.push().run().exits(0);
    for printed in codes(&ended.out()) {
        assert_eq!(printed, push.code);
    }
    pull.end().exits(0);
    scene.is_whole();
}

/// The codes among the events of a push.
fn codes(events: &str) -> Vec<String> {
    let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let codes = events.filter(|event| event["event"] == "code");
    codes.map(|event| event["code"].as_str().unwrap().to_owned()).collect()
}

#[test] // [S11.5]
fn a_relay_that_dies_without_a_word_is_missed_and_told() {
    let mut scene = Scene::new("missed", FILES);
    let moments = scene.moments(2);
    let empty = scene.relay.data_bytes();
    let Pushing { running: mut push, code } = Pushing::of(scene.push().start());
    wait::until("bytes at the relay", wait::LONG, || (scene.relay.data_bytes() >= empty + moments[0]).then_some(()));
    scene.relay.kill();
    push.event("stalled", |event| event["attempt"].as_u64());
    scene.relay.restart();
    push.end().exits(0);

    let mut pull = scene.pull(&code).start();
    wait::until("bytes at the buyer", wait::LONG, || (scene.received() >= moments[0]).then_some(()));
    scene.relay.kill();
    pull.event("stalled", |event| event["attempt"].as_u64());
    scene.relay.restart();
    pull.end().exits(0);
    scene.is_whole();
}

#[test]
fn ctrl_c_keeps_everything_and_says_how_to_go_on() {
    let mut scene = Scene::new("interrupt", FILES);
    let empty = scene.relay.data_bytes();
    let moment = scene.moments(2)[0];
    let launch = scene.seller.push(&scene.relay, [&scene.source]).limit(wait::LONG);
    let push = Pushing::of(launch.start());
    wait::until("bytes at the relay", wait::LONG, || (scene.relay.data_bytes() >= empty + moment).then_some(()));
    push.running.interrupt();
    let ended = push.running.end().exits(130);
    assert!(ended.err().contains("handover resume 1"), "how to go on\n{ended}");
    scene.seller.handover(["resume", "1"]).limit(wait::LONG).run().exits(0);

    let pull = scene.buyer.pull(&push.code, scene.out()).limit(wait::LONG).start();
    wait::until("bytes at the buyer", wait::LONG, || (scene.received() >= moment).then_some(()));
    pull.interrupt();
    pull.end().exits(130).says("continue");
    scene.buyer.handover(["resume", "1"]).limit(wait::LONG).run().exits(0);
    scene.is_whole();
}

#[test] // [S14.1]
fn what_appears_after_the_first_run_is_not_added() {
    let mut scene = Scene::new("plan", FILES);
    let empty = scene.relay.data_bytes();
    let moment = scene.moments(2)[0];
    let push = Pushing::of(scene.push().start());
    kill_at(push.running, "bytes at the relay", empty + moment, || scene.relay.data_bytes());
    let folder = std::fs::metadata(&scene.source).unwrap();
    data::write(scene.source.join("zz-new.csv"), b"written after the seller said what is sent");
    data::set_mtime(&scene.source, Stamp { seconds: folder.mtime(), nanoseconds: folder.mtime_nsec() });
    scene.push().run().exits(0);
    scene.pull(&push.code).run().exits(0);
    scene.is_whole();
}
