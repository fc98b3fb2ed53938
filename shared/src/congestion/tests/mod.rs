//! The controller on simulated links: seeded, no sockets, no waiting.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

mod flow;
mod link;
mod rivals;

use std::time::Duration;

use super::Steady;
use flow::Flow;
use link::{Link, Path};

const MTU: u16 = 1452;
const MBIT: f64 = 1e6 / 8.0;

/// Shares of the link that flows had in the last part of a run, and the mean delay in queue as a share of the round trip.
struct Outcome {
    shares: Vec<f64>,
    queue: Duration,
}

impl Outcome {
    fn total(&self) -> f64 {
        self.shares.iter().sum()
    }
}

/// Runs flows over one link; what is measured begins after a third of the time.
fn run(path: Path, mut flows: Vec<Flow>, seconds: u64) -> Outcome {
    let rate = path.bytes_per_second;
    let mut link = Link::new(path);
    let (from, until) = (Duration::from_secs(seconds) / 3, Duration::from_secs(seconds));
    link.run(&mut flows, from);
    let before: Vec<u64> = flows.iter().map(|flow| flow.delivered()).collect();
    link.forget_queue();
    link.run(&mut flows, until);
    let span = (until - from).as_secs_f64();
    let shares = flows.iter().zip(before).map(|(flow, before)| (flow.delivered() - before) as f64 / span / rate);
    Outcome { shares: shares.collect(), queue: link.mean_queue() }
}

fn path(mbit: f64, rtt_ms: u64, loss: f64) -> Path {
    let bytes_per_second = mbit * MBIT;
    let rtt = Duration::from_millis(rtt_ms);
    Path { bytes_per_second, rtt, loss, queue_bytes: (bytes_per_second * rtt.as_secs_f64()) as u64, seed: 1 }
}

fn steady() -> Flow {
    Flow::new(|now| Box::new(Steady::new(now, MTU)), MTU)
}

fn cubic() -> Flow {
    Flow::new(|_| Box::new(rivals::Cubic::new(MTU)), MTU)
}

fn bbr() -> Flow {
    Flow::new(|now| Box::new(rivals::Bbr::new(now, MTU)), MTU)
}

#[test]
fn a_lossy_long_link_is_held() {
    for (mbit, rtt, loss, least) in [
        (100.0, 20, 0.0, 0.95),
        (100.0, 100, 0.001, 0.94),
        (100.0, 100, 0.01, 0.92),
        (100.0, 250, 0.02, 0.87),
        (500.0, 50, 0.0, 0.93),
        (20.0, 300, 0.05, 0.80),
    ] {
        for seed in 1..=3 {
            let outcome = run(Path { seed, ..path(mbit, rtt, loss) }, vec![steady()], 30);
            assert!(outcome.total() >= least, "{mbit} Mbit/s, {rtt} ms, {loss}, seed {seed}: {:.3}", outcome.total());
        }
    }
}

#[test]
fn the_rivals_are_as_their_papers_say() {
    let share = |flow: Flow, loss| run(path(100.0, 100, loss), vec![flow], 30).total();
    assert!(share(cubic(), 0.0) > 0.9, "cubic fills an empty link");
    assert!(share(cubic(), 0.01) < 0.1, "cubic gives up under loss");
    assert!(share(bbr(), 0.0) > 0.9 && share(bbr(), 0.01) > 0.8, "bbr minds neither");
}

#[test]
fn a_deep_queue_is_not_filled() {
    let deep = Path { queue_bytes: 20_000_000, ..path(100.0, 40, 0.0) };
    let outcome = run(deep, vec![steady()], 30);
    assert!(outcome.total() > 0.94, "{:.3}", outcome.total());
    assert!(outcome.queue < Duration::from_millis(16), "mean wait in the queue: {:?}", outcome.queue);
    let outcome = run(deep, vec![cubic()], 30);
    assert!(outcome.queue > Duration::from_millis(200), "the rival does fill it: {:?}", outcome.queue);
}

#[test]
fn a_shallow_queue_is_not_flooded() {
    for packets in [20, 60] {
        let shallow = Path { queue_bytes: packets * u64::from(MTU), ..path(100.0, 40, 0.0) };
        let mut flows = vec![steady()];
        let mut link = Link::new(shallow);
        link.run(&mut flows, Duration::from_secs(30));
        let lost = flows[0].lost() as f64 / flows[0].sent() as f64;
        let share = flows[0].delivered() as f64 / 30.0 / shallow.bytes_per_second;
        assert!(lost < 0.06, "{packets} packets: {lost:.3} of what was sent was lost");
        assert!(share > 0.8, "{packets} packets: {share:.3}");
    }
}

#[test]
fn it_shares_with_itself() {
    fair("itself", &[0.5, 1.0, 2.0, 4.0], || vec![steady(), steady().late(5)]);
}

#[test] // [S11.6]
fn it_shares_with_cubic() {
    fair("cubic", &[0.5, 1.0, 2.0, 4.0], || vec![steady(), cubic()]);
    fair("cubic, who was there first", &[0.5, 1.0, 2.0, 4.0], || vec![steady().late(10), cubic()]);
}

#[test]
fn it_shares_with_bbr() {
    // It does not mind loss, so a shorter queue belongs to it.
    fair("bbr", &[1.0, 2.0, 4.0], || vec![steady(), bbr()]);
    fair("bbr, who was there first", &[1.0, 2.0, 4.0], || vec![steady().late(10), bbr()]);
}

/// Neither of two flows has more than twice what the other has, whatever the queue, and they use the link.
fn fair(with: &str, queues: &[f64], flows: impl Fn() -> Vec<Flow>) {
    let mut unfair = Vec::new();
    for rtt in [20, 50, 150] {
        for queue in queues {
            let whole = path(100.0, rtt, 0.0);
            let path = Path { queue_bytes: (whole.queue_bytes as f64 * queue) as u64, ..whole };
            let outcome = run(path, flows(), 90);
            let (one, other) = (outcome.shares[0], outcome.shares[1]);
            let line = format!(
                "{with}, {rtt} ms, queue of {queue} products: {one:.3} and {other:.3}, wait {:?}",
                outcome.queue
            );
            println!("{line}");
            if one > 2.0 * other || other > 2.0 * one || outcome.total() < 0.9 {
                unfair.push(line);
            }
        }
    }
    assert!(unfair.is_empty(), "{}", unfair.join("\n"));
}

#[test]
fn what_becomes_free_is_found_soon() {
    let mut flows = vec![steady()];
    let mut link = Link::new(path(20.0, 50, 0.0));
    link.run(&mut flows, Duration::from_secs(10));
    link.set_rate(100.0 * MBIT);
    link.run(&mut flows, Duration::from_secs(15));
    let before = flows[0].delivered();
    link.run(&mut flows, Duration::from_secs(20));
    let share = (flows[0].delivered() - before) as f64 / 5.0 / (100.0 * MBIT);
    assert!(share > 0.9, "five seconds after it became free: {share:.3}");
}

#[test]
fn what_is_taken_away_is_noticed() {
    let mut flows = vec![steady()];
    let mut link = Link::new(path(100.0, 50, 0.0));
    link.run(&mut flows, Duration::from_secs(10));
    link.set_rate(20.0 * MBIT);
    link.run(&mut flows, Duration::from_secs(13));
    link.forget_queue();
    let before = flows[0].delivered();
    link.run(&mut flows, Duration::from_secs(23));
    let share = (flows[0].delivered() - before) as f64 / 10.0 / (20.0 * MBIT);
    assert!(share > 0.9, "{share:.3}");
    assert!(link.mean_queue() < Duration::from_millis(60), "{:?}", link.mean_queue());
}

#[test]
fn memory_is_bounded() {
    let now = std::time::Instant::now();
    let mut steady = Steady::new(now, MTU);
    for micros in 0..200_000 {
        steady.sent(now + Duration::from_micros(micros));
    }
    assert!(steady.sampler.records() <= 65_536);
    for round in 0..1000 {
        steady.ledger.begin(now + Duration::from_secs(round), super::Phase::Cruise, 1);
    }
    assert!(format!("{:?}", steady.ledger).matches("Entry {").count() <= 64);
}
