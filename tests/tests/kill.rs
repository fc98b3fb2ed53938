//! Whoever of the three is killed, frozen or ended, at whatever moment, alone or with others: the same commands go on,
//! the tree arrives as it was, nothing acknowledged is lost, and no more than the window is sent again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;

use handover::home::Home;
use handover_tests::blows::{Blow, How, Story, Who, World};
use handover_tests::data::{self, Dice};
use handover_tests::strace::{self, Fault};
use handover_tests::{Launch, Person, RelayProc, Scratch, Tree, faults_table, wait};

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

/// A file gets its name at the moments that matter: what was to be durable is, and what comes next has not begun.
#[test] // [S14.1] [S14.2] [S15.1] [S15.4]
fn whoever_names_a_file_dies() {
    if !strace::available() {
        return;
    }
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let source = scratch.join("customers");
    data::write(source.join("orders/1.csv"), &scratch.dice("names").table(3000));
    data::write_random(source.join("photos.zip"), 3 << 20, &mut scratch.dice("names"));
    let wanted = Tree::of(&source);
    let mut died = [0u64; 2];
    for number in 1.. {
        let dies = |launch: &Launch, name: &str| {
            // Every process stands still for a moment behind each name it has given.
            let fault = Fault::new("rename,renameat2", "delay_exit=25000", "1+");
            let log = scratch.join(format!("{name}-{number}.log"));
            let mut running = fault.inject(launch, &log).start();
            let is_met = wait::until("the name", wait::USUAL, || match strace::calls(&log) >= number {
                true => Some(true),
                false => (!running.is_running()).then_some(false),
            });
            let ended = if is_met { running.kill() } else { running.end() };
            assert!(matches!((ended.code, ended.signal), (Some(0), _) | (_, Some(9))), "{number}\n{ended}");
            ended
        };
        let (seller, buyer) =
            (Person::new(&scratch, &format!("s{number}")), Person::new(&scratch, &format!("b{number}")));
        let push = seller.push(&relay, [&source]);
        let first = dies(&push, "push");
        // A run that has said all of it is over, and the same words mean another transfer.
        let is_over = first.code == Some(0) || seller.home().join("transfers/1/told").exists();
        let again = push.run().exits(0);
        assert!(first.stdout.is_empty() || is_over || first.stdout == again.stdout, "{first}\n{again}");
        let code = if is_over { first.out() } else { again.out() };

        let out = scratch.join(format!("out-{number}"));
        let pull = buyer.pull(code.trim(), &out);
        let pulled = dies(&pull, "pull");
        pull.run().exits(0);
        wanted.must_equal(&Tree::of(out.join("customers")));
        assert!(!out.join(".handover").exists(), "partial data is left behind after {number}\n{pulled}");
        // A run that died before its transfer meant anything leaves a folder without facts, which is swept later.
        for transfer in std::fs::read_dir(buyer.home().join("transfers")).unwrap() {
            let transfer = transfer.unwrap().path();
            // What papers need, and nothing else.
            let number: u64 = transfer.file_name().unwrap().to_str().unwrap().parse().unwrap();
            let is_wiped = !transfer.join("facts.json").exists() || {
                let home = Home::open(Some(buyer.home())).unwrap();
                let secrets = home.transfer(number).unwrap().secrets().unwrap();
                secrets.code.is_none() && secrets.content_key.is_none() && secrets.hybrid_seed.is_none()
            };
            assert!(is_wiped, "keys are left behind after {number}\n{pulled}");
        }
        died[0] += u64::from(first.signal.is_some());
        died[1] += u64::from(pulled.signal.is_some());
        if first.signal.is_none() && pulled.signal.is_none() {
            break;
        }
    }
    assert!(died.iter().all(|died| *died > 4), "{died:?}");
    println!("the seller died at {} names, the buyer at {}", died[0], died[1]);
    for (who, count) in ["seller", "buyer"].into_iter().zip(died) {
        let outcome = "the same command finished, nothing was left behind";
        faults_table::record("kill", &format!("kill of the {who} when it names its n-th file"), count, outcome);
    }
}
