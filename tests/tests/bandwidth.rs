//! `--bwlimit` as its users meet it: the wire carries no more than it may, for seconds and for moments; a slow line is
//! not taken for a dead one; what holds changes while a run goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use handover_tests::proxy::Proxy;
use handover_tests::{Person, Pushing, RelayProc, Running, Scratch, data, wait};

const KIB: f64 = 1024.0;
/// Around the data there are handshakes, headers of packets, and confirmations.
const AROUND: f64 = 1.25;
const AROUND_BYTES: f64 = 60.0 * KIB;

struct Scene {
    scratch: Scratch,
    proxy: Proxy,
    relay: RelayProc,
    seller: Person,
    buyer: Person,
    source: PathBuf,
}

/// Everything between clients and the relay goes through a piece of network that counts.
fn scene(bytes: usize) -> Scene {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let proxy = Proxy::start(relay.port());
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("noise.bin");
    data::write(&source, &scratch.dice("noise").bytes(bytes));
    Scene { scratch, proxy, relay, seller, buyer, source }
}

impl Scene {
    fn invite(&self) -> String {
        let (before, _address) = self.relay.invite().rsplit_once('@').unwrap();
        format!("{before}@{}", self.proxy.address())
    }

    fn push(&self, limit: &str) -> Running {
        let options = ["push", "--json", "--relay", &self.invite(), "--bwlimit", limit];
        self.seller.handover(options).arg(&self.source).start()
    }

    fn pull(&self, code: &str, limit: &str) -> Running {
        self.buyer.pull(code, self.scratch.join("into")).args(["--json", "--bwlimit", limit]).start()
    }

    /// Follows what passes until the process ends, and holds it to a rate: over all, and over each half a second.
    fn measured(&self, mut running: Running, bytes: f64, rate: f64) -> f64 {
        let before = self.proxy.passed_bytes();
        let (began, mut seen) = (Instant::now(), Vec::new());
        wait::until("the run to end", wait::USUAL, || {
            seen.push((began.elapsed().as_secs_f64(), (self.proxy.passed_bytes() - before) as f64));
            (!running.is_running()).then_some(())
        });
        let seconds = began.elapsed().as_secs_f64();
        running.end().exits(0);
        assert!(seconds > 0.95 * (bytes / rate - 0.1), "{bytes} bytes at {rate} a second took only {seconds} s");
        for (at, passed) in &seen {
            let earlier = seen.iter().rev().find(|(time, _)| *time <= at - 0.5).unwrap_or(&(0.0, 0.0));
            let allowed = (at - earlier.0 + 0.15) * rate * AROUND + AROUND_BYTES;
            let moved = passed - earlier.1;
            assert!(moved <= allowed, "{moved} bytes between {:.2} s and {at:.2} s, {allowed} are allowed", earlier.0);
        }
        seconds
    }
}

#[test] // [S12.8]
fn the_wire_carries_no_more_than_it_may_both_ways() {
    let bytes = 1 << 20;
    let scene = scene(bytes);
    let mut pushing = scene.push("256k:off");
    let code = pushing.event("code", |event| event["code"].as_str().map(str::to_owned));
    let seconds = scene.measured(pushing, bytes as f64, 256.0 * KIB);
    assert!(seconds < 12.0, "four seconds at full rate took {seconds}");

    let pulling = scene.pull(&code, "off:320");
    let seconds = scene.measured(pulling, bytes as f64, 320.0 * KIB);
    assert!(seconds < 12.0, "three seconds at full rate took {seconds}");
    assert_eq!(fs::read(scene.scratch.join("into/noise.bin")).unwrap(), fs::read(&scene.source).unwrap());
}

#[test]
fn a_slow_line_is_not_taken_for_a_dead_one_and_a_signal_lifts_the_limit() {
    // A block takes longer than either machine waits on a line that says nothing.
    let scene = scene(400_000);
    let pushing = scene.push("2k");
    follow(pushing, 26);
    let code = scene.seller.run(["code", "1"]).exits(0).out().trim().to_owned();
    follow(scene.pull(&code, "2k"), 26);
    assert_eq!(fs::read(scene.scratch.join("into/noise.bin")).unwrap(), fs::read(&scene.source).unwrap());
}

/// Lets a slow run be for so long, lifts its limit, and lets it end.
fn follow(mut running: Running, seconds: u64) {
    running.event("progress", |event| event["bytes_per_second_max"].as_u64());
    let began = Instant::now();
    wait::until("some time to pass", wait::USUAL, || {
        assert!(running.is_running(), "it was too fast");
        (began.elapsed() > Duration::from_secs(seconds)).then_some(())
    });
    running.toggle_limit();
    let ended = running.end().exits(0);
    let events = ended.events();
    assert!(events.iter().all(|event| event["event"] != "stalled"), "{ended}");
    let limited = events.iter().filter(|event| event["bytes_per_second_max"] == 2048).count();
    assert!(limited >= 10, "progress tells the limit\n{ended}");
    let last = events.iter().rfind(|event| event["event"] == "progress" && event["phase"] != "safe").unwrap();
    assert!(last["bytes_per_second_max"].is_null(), "and that it is lifted\n{ended}");
}

#[test]
fn environment_and_file_say_it_too() {
    let scene = scene(300_000);
    let began = Instant::now();
    let push = scene.seller.handover(["push", "--relay", &scene.invite()]).arg(&scene.source);
    let code = Pushing::of(push.env("HANDOVER_BWLIMIT", "100k").start()).running.end().exits(0);
    assert!(began.elapsed() > Duration::from_millis(2700), "{:?}", began.elapsed());

    fs::create_dir_all(scene.buyer.home()).unwrap();
    fs::write(scene.buyer.home().join("config.toml"), "[pull]\nbwlimit = \"off:100k\"\n").unwrap();
    let began = Instant::now();
    scene.buyer.pull(code.out().trim(), scene.scratch.join("into")).run().exits(0);
    assert!(began.elapsed() > Duration::from_millis(2700), "{:?}", began.elapsed());
}
