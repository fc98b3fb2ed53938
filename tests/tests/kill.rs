//! Whoever of the three is killed, frozen or ended, at whatever moment, alone or with others: the same commands go on,
//! the tree arrives as it was, nothing acknowledged is lost, and no more than the window is sent again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;

use handover_tests::blows::{Blow, How, Story, Who, World};
use handover_tests::data::Dice;
use handover_tests::faults_table;

/// What a seller keeps unacknowledged at most, and what its machinery may have made beyond that.
const WINDOW_BYTES: u64 = 40 << 20;
const AHEAD_BYTES: u64 = 8 << 20;
/// Blows of one handover.
const BLOWS: usize = 5;
const SEED: u64 = 20_261_122;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs handovers of consecutive seeds, each with some blows, until so many have met somebody at work.
fn rounds(purpose: &str, kills: u64, hit: Option<Who>) {
    let kills = number("HANDOVER_KILLS").unwrap_or(kills);
    let mebibytes = number("HANDOVER_KILL_MIB").unwrap_or(12);
    let first = number("HANDOVER_TEST_SEED").unwrap_or(SEED);
    let mut sum = Story::default();
    for seed in first.. {
        let mut dice = Dice::new(seed, purpose);
        let blows = Blow::throw(&mut dice, BLOWS, hit);
        let _replay = OnFailure(replay(purpose, seed, &blows));
        let story = World::new(purpose, mebibytes).run(&blows);
        assert!(
            story.again_sent_max <= WINDOW_BYTES + AHEAD_BYTES,
            "{} bytes were sent again after one death",
            story.again_sent_max
        );
        add(&mut sum, story);
        if sum.met.values().sum::<u64>() >= kills {
            break;
        }
    }
    tell(purpose, &sum);
}

fn replay(purpose: &str, seed: u64, blows: &[Blow]) -> String {
    let plan: Vec<String> = blows.iter().map(ToString::to_string).collect();
    format!(
        "again: HANDOVER_TEST_SEED={seed} HANDOVER_KILLS=1 cargo test -p handover-tests --test kill -- --exact \
         {purpose} --nocapture\n  {}",
        plan.join("\n  ")
    )
}

/// Says how to repeat a failure.
struct OnFailure(String);

impl Drop for OnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

fn add(sum: &mut Story, story: Story) {
    for (key, count) in story.met {
        *sum.met.entry(key).or_default() += count;
    }
    sum.missed += story.missed;
    sum.again_sent_max = sum.again_sent_max.max(story.again_sent_max);
    sum.again_sent += story.again_sent;
    sum.again_fetched += story.again_fetched;
    sum.bytes += story.bytes;
}

fn tell(purpose: &str, sum: &Story) {
    let mut by_how: BTreeMap<(Who, How), u64> = BTreeMap::new();
    for ((who, how, step), count) in &sum.met {
        println!("{who:?} {how:?} at {step}: {count}");
        *by_how.entry((*who, *how)).or_default() += count;
    }
    for ((who, how), count) in by_how {
        let fault = format!("{how:?} of the {who:?}, {purpose}").to_lowercase();
        faults_table::record("kill", &fault, count, "the same command finished, the tree is identical");
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{purpose}: {} blows met somebody, {} came too late; of {:.0} MiB handed over, sellers sent again at most {:.1} \
         MiB (after one death at most {:.1}, the window is {:.0}), buyers fetched again {:.1} MiB",
        sum.met.values().sum::<u64>(),
        sum.missed,
        mib(sum.bytes),
        mib(sum.again_sent),
        mib(sum.again_sent_max),
        mib(WINDOW_BYTES),
        mib(sum.again_fetched),
    );
}

#[test] // [S14.2] [S14.3] [S14.4]
fn the_seller_is_hit() {
    rounds("the_seller_is_hit", 8, Some(Who::Seller));
}

#[test] // [S13.3] [S13.9]
fn the_relay_is_hit() {
    rounds("the_relay_is_hit", 8, Some(Who::Relay));
}

#[test] // [S15.1] [S15.3] [S15.4]
fn the_buyer_is_hit() {
    rounds("the_buyer_is_hit", 8, Some(Who::Buyer));
}

#[test]
fn anybody_is_hit_alone_or_with_others() {
    rounds("anybody_is_hit_alone_or_with_others", 14, None);
}

#[test] // [S13.3] [S14.2] [S15.3] [S15.4]
fn the_power_is_cut() {
    let cuts = number("HANDOVER_KILLS").unwrap_or(8);
    let first = number("HANDOVER_TEST_SEED").unwrap_or(SEED);
    let mut sum = Story::default();
    for seed in first.. {
        let mut dice = Dice::new(seed, "the_power_is_cut");
        let blows = Blow::power_cuts(&mut dice, 4);
        let Some(world) = World::with_disks("the_power_is_cut", 12) else { return };
        let _replay = OnFailure(replay("the_power_is_cut", seed, &blows));
        add(&mut sum, world.run(&blows));
        if sum.met.values().sum::<u64>() >= cuts {
            break;
        }
    }
    tell("the_power_is_cut", &sum);
}
