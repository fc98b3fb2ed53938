//! What others do to a destination while it is written to, and how much a seller may send.

use super::*;
use crate::pull::tests::kit::{file, folder, noise};

#[test] // [S15.5]
fn the_destination_stays_the_folder_that_was_opened() {
    let things = [folder("a").mode(0o750), file("a/x", "x"), folder("b"), file("b/y", "y")];
    let bench = Bench::new(&things);
    let site = bench.site();
    bench.receive();
    let (outside, moved) = (bench.scratch.path().join("outside"), bench.scratch.path().join("moved"));
    std::fs::create_dir_all(outside.join("a")).unwrap();
    std::fs::create_dir_all(outside.join("b")).unwrap();
    let before = kit::tree(&outside);
    std::fs::rename(bench.to(), &moved).unwrap();
    std::os::unix::fs::symlink(&outside, bench.to()).unwrap();
    let Some(Checkpoint { stage: Stage::Whole(tail), .. }) = bench.checkpoint() else { panic!("not whole") };
    let place = site.destination.clone();
    let (home, offer) = (bench.home.clone(), Arc::new(bench.seller.reopened()));

    Ending { site, home, offer, tail, decide: Answer::with(None) }.run().unwrap();
    clean_up(&bench.held, &bench.seller.transfer, place.as_ref()).unwrap();

    assert_eq!(kit::tree(&outside), before, "what has its name by then is left alone");
    assert_eq!(kit::tree(&moved), kit::expected(&things));
}

#[test] // [S15.9]
fn what_was_announced_is_the_measure() {
    let bench = Bench::new(&[file("x", noise(1, 100_000))]);
    let summary = bench.seller.reopened().summary;
    let with = |bytes, files| Bounds::of(&handover_shared::proof::Summary { bytes, files, ..summary.clone() });
    assert_ne!(with(Some(1), 1), with(Some(2), 1));
    assert_ne!(with(Some(1), 1), with(Some(1), 2));
    // Numbers that overflow bound nothing away, and standard input has no number.
    assert_eq!(with(Some(u64::MAX), u64::MAX), with(Some(u64::MAX - 1), u64::MAX));
    assert_eq!(with(None, u64::MAX), with(Some(u64::MAX), u64::MAX));
    bench.whole(None);
}
