//! The simulated world: ten thousand of them, each from its seed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail like that")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use handover_tests::sim::{self, Mutant, Tally};

/// The first seed of all; the worlds of one version are always the same.
const FIRST_SEED: u64 = 1;
const WORLDS: u64 = 10_000;
/// Within so many worlds every broken rule is noticed.
const MUTANT_WORLDS: u64 = 5_000;

/// What must happen, again and again, in worlds that are worth something.
const FAULTS: [&str; 20] = [
    "blocks served with a bit wrong",
    "relays killed",
    "relays without power",
    "sellers killed",
    "sellers without power",
    "buyers killed",
    "buyers without power",
    "connections cut",
    "connections not made",
    "streams that stood still",
    "packets of clients that had left",
    "refusals that pass",
    "runs superseded",
    "blocks sent again",
    "changes of the seller's files",
    "files listed as vanished",
    "files listed as changing",
    "buyers who came too late",
    "worlds that end revoked",
    "worlds that end expired",
];

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.trim().parse().expect("a number"))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs worlds on all cores until one fails; gives the smallest seed that failed.
fn first_failure(first: u64, worlds: u64, mutant: Option<Mutant>) -> (Option<(u64, String)>, Tally) {
    let next = AtomicU64::new(first);
    let failure: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                let mut own = Tally::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let is_enough = failure.lock().unwrap().as_ref().is_some_and(|(failed, _)| *failed < seed);
                    if seed >= first + worlds || is_enough {
                        break;
                    }
                    match sim::run(seed, mutant) {
                        Ok(tally) => own.add(&tally),
                        Err(what) => {
                            let mut failure = failure.lock().unwrap();
                            if failure.as_ref().is_none_or(|(failed, _)| seed < *failed) {
                                *failure = Some((seed, what));
                            }
                        }
                    }
                }
                total.lock().unwrap().add(&own);
            });
        }
    });
    (failure.into_inner().unwrap(), total.into_inner().unwrap())
}

fn command(seed: u64) -> String {
    format!("HANDOVER_SIM_SEED={seed} cargo test -p handover-tests --test sim -- replay --nocapture")
}

#[test] // [S13.3] [S13.5] [S13.7] [S13.8] [S13.9] [S14.2] [S14.4] [S15.1] [S15.2] [S15.3] [S15.4]
fn every_world_ends_well() {
    let worlds = number_of("HANDOVER_SIM_WORLDS").unwrap_or(WORLDS);
    let first = number_of("HANDOVER_SIM_FIRST").unwrap_or(FIRST_SEED);
    let begun = std::time::Instant::now();
    let (failure, tally) = first_failure(first, worlds, None);
    if let Some((seed, what)) = failure {
        let (_, trace) = sim::replay(seed, None);
        let tail = trace.len().saturating_sub(60);
        panic!("world {seed}: {what}\n\nits last lines:\n{}\n\nreplay: {}", trace[tail..].join("\n"), command(seed));
    }
    println!("{worlds} worlds in {:.1} s\n{tally}", begun.elapsed().as_secs_f64());
    // A fault that never happens proves nothing.
    for fault in FAULTS.iter().filter(|_| worlds >= WORLDS) {
        assert!(tally.of(fault) > 50, "{fault}: {}", tally.of(fault));
    }
    assert!(tally.of("worlds that end with a receipt") * 100 > worlds * 70);
}

#[test] // [S13.3]
fn every_broken_rule_is_noticed() {
    let mut missed = Vec::new();
    for mutant in Mutant::ALL {
        match first_failure(FIRST_SEED, MUTANT_WORLDS, Some(mutant)).0 {
            Some((seed, what)) => println!("{mutant:?}: world {seed}: {}", what.lines().next().unwrap_or_default()),
            None => missed.push(mutant),
        }
    }
    assert!(missed.is_empty(), "not noticed in {MUTANT_WORLDS} worlds: {missed:?}");
}

#[test]
fn a_world_is_the_same_every_time() {
    for seed in 1..20 {
        let (once, twice) = (sim::replay(seed, None).1, sim::replay(seed, None).1);
        assert!(once == twice, "world {seed}");
    }
}

/// Shows one world: set `HANDOVER_SIM_SEED`.
#[test]
fn replay() {
    let Some(seed) = number_of("HANDOVER_SIM_SEED") else { return };
    let mutant = std::env::var("HANDOVER_SIM_MUTANT").ok();
    let mutant = mutant.map(|name| Mutant::ALL.into_iter().find(|it| format!("{it:?}") == name).expect("a mutant"));
    let (outcome, trace) = sim::replay(seed, mutant);
    println!("{}", trace.join("\n"));
    match outcome {
        Ok(tally) => println!("world {seed} ends well\n{tally}"),
        Err(what) => panic!("world {seed}: {what}"),
    }
}
