//! What stands in the way, and every answer to it.

use std::os::unix::fs::symlink;

use super::kit::{expected, file, folder, link, noise};
use super::*;

/// Things to send, each of which meets something else of its name in [`obstructed`].
fn sent() -> Vec<Thing> {
    vec![
        folder("folder on file"),
        file("folder on file/inside", "new"),
        folder("merged"),
        file("merged/changed.txt", "new"),
        file("merged/fresh", "new"),
        file("merged/same", "same"),
        file("on folder", "new"),
        link("on link", "merged"),
        link("same link", "merged/same"),
    ]
}

fn obstructed(policy: ConflictPolicy) -> Bench {
    let mut bench = Bench::new(&sent());
    bench.policy = policy;
    bench.write("folder on file", "old");
    bench.write("merged/changed.txt", "old!");
    bench.write("merged/same", "same");
    bench.write("on folder/precious", "old");
    symlink("elsewhere", bench.to().join("on link")).unwrap();
    symlink("merged/same", bench.to().join("same link")).unwrap();
    bench
}

/// What must be there afterwards, whether the policy was known from the start or asked for at the end.
fn check(bench: &Bench, policy: ConflictPolicy, tally: Tally) {
    assert_eq!(bench.read("merged/fresh"), "new");
    assert_eq!(bench.read("merged/same"), "same");
    assert_eq!(bench.read("on folder/precious"), "old", "a folder is never removed");
    let target = std::fs::read_link(bench.to().join("on link")).unwrap();
    match policy {
        ConflictPolicy::Skip => {
            assert_eq!(bench.read("folder on file"), "old");
            assert_eq!(bench.read("merged/changed.txt"), "old!");
            assert_eq!(target, Path::new("elsewhere"));
            assert!(!bench.has("on folder (1)"));
            assert_eq!((tally.kept_existing, tally.renamed, tally.unchanged), (3, 0, 1));
        }
        ConflictPolicy::Rename => {
            assert_eq!(bench.read("folder on file"), "old");
            assert_eq!(bench.read("folder on file (1)/inside"), "new");
            assert_eq!(bench.read("merged/changed.txt"), "old!");
            assert_eq!(bench.read("merged/changed (1).txt"), "new");
            assert_eq!(bench.read("on folder (1)"), "new");
            assert_eq!(target, Path::new("elsewhere"));
            assert_eq!(std::fs::read_link(bench.to().join("on link (1)")).unwrap(), Path::new("merged"));
            assert_eq!((tally.kept_existing, tally.renamed, tally.unchanged), (0, 4, 1));
        }
        ConflictPolicy::Overwrite => {
            assert_eq!(bench.read("folder on file/inside"), "new");
            assert_eq!(bench.read("merged/changed.txt"), "new");
            assert_eq!(bench.read("on folder (1)"), "new");
            assert_eq!(target, Path::new("merged"));
            assert_eq!((tally.kept_existing, tally.renamed, tally.unchanged), (0, 1, 1));
        }
        ConflictPolicy::Ask | ConflictPolicy::Fail => panic!("no answer"),
    }
    assert!(!bench.has(".handover"));
}

const ANSWERS: [ConflictPolicy; 3] = [ConflictPolicy::Skip, ConflictPolicy::Rename, ConflictPolicy::Overwrite];

#[test] // [S15.6]
fn a_policy_known_from_the_start() {
    for policy in ANSWERS {
        let bench = obstructed(policy);
        let tally = bench.whole(None);
        check(&bench, policy, tally);
    }
}

#[test] // [S15.6]
fn a_policy_asked_for_at_the_end() {
    for policy in ANSWERS {
        let bench = obstructed(ConflictPolicy::Ask);
        bench.receive();
        let answer = Answer::with(Some(policy));
        let tally = bench.end(&answer).unwrap();
        clean_up(&bench.held, &bench.seller.transfer, Some(&bench.place())).unwrap();
        check(&bench, policy, tally);
        let asked = answer.asked.lock().unwrap();
        let [(4, shown)] = asked.as_slice() else { panic!("asked once, for four: {asked:?}") };
        let shown: Vec<_> =
            shown.iter().map(|it| (it.path.reveal().escape_ascii().to_string(), it.existing_bytes)).collect();
        let expected = [("folder on file", 3), ("merged/changed.txt", 4), ("on folder", 0), ("on link", 0)];
        assert_eq!(shown, expected.map(|(path, bytes)| (path.to_string(), bytes)));
    }
}

#[test] // [S15.6]
fn nobody_to_answer_keeps_everything_for_the_next_run() {
    let mut bench = obstructed(ConflictPolicy::Ask);
    bench.receive();
    for _ in 0..2 {
        let ended = bench.end(&Answer::with(None));
        assert!(matches!(ended, Err(Error::Conflicts { count: 4, .. })), "{ended:?}");
        assert_eq!(bench.read("merged/changed.txt"), "old!");
    }
    bench.policy = ConflictPolicy::Overwrite;
    let tally = bench.whole(None);
    check(&bench, ConflictPolicy::Overwrite, tally);
}

#[test]
fn failing_stops_early_and_the_next_run_continues() {
    let mut things = sent();
    things.push(file("zz big", noise(1, 4 * 1024 * 1024)));
    let mut bench = obstructed(ConflictPolicy::Fail);
    bench.blocks = bench.seller.archive(&things);
    let said = bench.run_to(usize::MAX);
    assert!(matches!(said.as_slice(), [Feedback::Failed(Error::Conflicts { .. })]), "{said:?}");
    assert!(matches!(bench.checkpoint().unwrap().stage, Stage::Stream(..)));
    bench.policy = ConflictPolicy::Rename;
    let tally = bench.whole(None);
    check(&bench, ConflictPolicy::Rename, tally);
}

#[test] // [S15.3] [S15.6]
fn a_killed_run_does_not_rename_twice_or_lose_what_it_replaced() {
    for policy in ANSWERS {
        let bench = obstructed(policy);
        bench.run_to(0);
        let path = kept::checkpoint_file(&bench.held);
        let old = std::fs::read(&path).unwrap();
        bench.receive();
        std::fs::write(&path, old).unwrap();
        // What the killed run had placed is found and counts as placed. That another name was needed for what took the
        // place of its own only then is all that is forgotten.
        let tally = bench.whole(None);
        assert_eq!(tally.unchanged, 1, "{policy:?}");
        check(&bench, policy, Tally { renamed: renamed(policy), ..tally });
        for name in ["merged/changed (2).txt", "folder on file (2)", "on folder (2)", "on link (2)"] {
            assert!(!bench.has(name), "{policy:?} made {name}");
        }
    }
}

/// How many entries get another name.
fn renamed(policy: ConflictPolicy) -> u64 {
    match policy {
        ConflictPolicy::Rename => 4,
        ConflictPolicy::Overwrite => 1,
        _ => 0,
    }
}

#[test] // [S15.6]
fn decisions_that_were_half_carried_out_are_finished() {
    for policy in ANSWERS {
        let bench = obstructed(ConflictPolicy::Ask);
        bench.receive();
        bench.end(&Answer::with(Some(policy))).unwrap();
        // As after a crash just before the receipt: everything is done again, with nobody to ask.
        std::fs::remove_file(bench.held.file("receipt.sealed")).unwrap();
        let tally = bench.end(&Answer::with(None)).unwrap();
        // One that was damaged since is not delivered either, but made again.
        let mut damaged = std::fs::read(bench.held.file("receipt.sealed")).unwrap();
        damaged[30] ^= 1;
        std::fs::write(bench.held.file("receipt.sealed"), damaged).unwrap();
        assert_eq!(kept::read_sealed_receipt(&bench.held).unwrap(), None);
        assert_eq!(bench.end(&Answer::with(None)).unwrap(), tally);
        assert!(kept::read_sealed_receipt(&bench.held).unwrap().is_some());
        clean_up(&bench.held, &bench.seller.transfer, Some(&bench.place())).unwrap();
        check(&bench, policy, tally);
    }
}

#[test] // [S15.6]
fn all_the_same_is_all_unchanged() {
    let things = [folder("a"), file("a/1", "one"), file("a/2", noise(1, 300_000)), link("a/3", "1")];
    let first = Bench::new(&things);
    first.whole(None);
    let mut again = Bench::new(&things);
    std::fs::rename(first.to(), again.scratch.path().join("to2")).unwrap();
    std::fs::remove_dir(again.to()).unwrap();
    std::fs::rename(again.scratch.path().join("to2"), again.to()).unwrap();
    again.policy = ConflictPolicy::Fail;
    let tally = again.whole(None);
    assert_eq!(tally, Tally { unchanged: 2, ..Tally::default() });
    assert_eq!(again.tree(), expected(&things));
}
