//! Placing whole archives, cut short anywhere, into empty and hostile destinations.

use std::os::unix::fs::{PermissionsExt, symlink};

use bytes::BytesMut;
use handover_shared::archive::item::Reason;
use handover_shared::ids::BlockIndex;

use super::kit::{expected, file, folder, link, missing, noise, voided};
use super::*;
use crate::event::ExceptionReason;

fn assorted() -> Vec<Thing> {
    vec![
        folder("a").mode(0o500),
        file("a/empty", ""),
        folder("a/empty folder").mode(0o000),
        file("a/exactly one piece", noise(1, 1024 * 1024)).mode(0o400),
        file("a/three pieces", noise(2, 3 * 1024 * 1024 + 5)).mode(0o755),
        folder("a/z"),
        folder("a/z/deep").mode(0o711),
        file("a/z/deep/read only", "x").mode(0o444),
        link("a/z/deep/up", "../../empty"),
        link("dangling", "nowhere/at/all"),
        missing("gone", Reason::Vanished),
        voided("log", noise(3, 2 * 1024 * 1024), noise(4, 1_500_000)),
        file("nobody may", "secret").mode(0o000),
        folder("客户"),
        file("客户/عميل 😀 \u{202e}.csv", "名,姓\r\n".repeat(5000)),
        file("客户/caf", "not UTF-8").named(b"\xe5\xae\xa2\xe6\x88\xb7/\xff\xfe"),
    ]
}

#[test] // [S6.3] [S6.4] [S15.2]
fn everything_comes_as_it_was() {
    let bench = Bench::new(&assorted());
    let tally = bench.whole(None);
    assert_eq!(bench.tree(), expected(&assorted()));
    assert_eq!(tally, Tally { exceptions: 1, ..Tally::default() });
    assert_eq!(bench.watcher.exceptions(), [("gone".into(), ExceptionReason::Vanished)]);
    assert!(!bench.has(".handover"));
}

#[test]
fn an_archive_of_nothing_and_an_archive_of_one_empty_file() {
    for things in [vec![], vec![file("empty", "")]] {
        let bench = Bench::new(&things);
        bench.whole(None);
        assert_eq!(bench.tree(), expected(&things));
    }
}

#[test] // [S15.3]
fn a_run_that_stops_behind_any_block_continues() {
    let things = assorted();
    let blocks = Bench::new(&things).blocks.len();
    for end in (0..blocks).step_by(5) {
        let bench = Bench::new(&things);
        assert!(bench.run_to(end).is_empty());
        bench.whole(None);
        assert_eq!(bench.tree(), expected(&things), "stopped behind {end} blocks");
    }
}

#[test] // [S15.3]
fn a_run_that_is_killed_continues_from_an_older_checkpoint() {
    let things = assorted();
    let blocks = Bench::new(&things).blocks.len();
    for (checkpoint, end) in [(0, 9), (0, blocks), (7, 30), (10, 61), (20, blocks - 3), (33, blocks), (60, 80)] {
        let bench = Bench::new(&things);
        bench.run_to(checkpoint);
        let path = kept::checkpoint_file(&bench.held);
        let old = (checkpoint > 0).then(|| std::fs::read(&path).unwrap());
        bench.run_to(end);
        match old {
            Some(old) => std::fs::write(&path, old).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let tally = bench.whole(None);
        assert_eq!(bench.tree(), expected(&things), "checkpoint {checkpoint}, killed at {end}");
        assert_eq!((tally.kept_existing, tally.renamed), (0, 0));
    }
}

#[test] // [S15.3]
fn partial_data_that_is_gone_begins_anew_and_finds_what_is_there() {
    let things = assorted();
    let bench = Bench::new(&things);
    bench.run_to(45);
    let work = bench.to().join(".handover").join(bench.seller.transfer.to_hex());
    let part = std::fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().path());
    let part = part.into_iter().find(|path| path.to_string_lossy().contains("/part-")).expect("a file is under way");
    std::fs::remove_file(part).unwrap();
    let said = bench.run_to(usize::MAX);
    assert!(matches!(said.as_slice(), [Feedback::Restart]), "{said:?}");
    Checkpoint::remove(&kept::checkpoint_file(&bench.held)).unwrap();
    bench.whole(None);
    assert_eq!(bench.tree(), expected(&things));
}

#[test] // [S8.2]
fn a_damaged_block_is_named_and_taken_when_it_comes_again() {
    let things = assorted();
    let bench = Bench::new(&things);
    let mut pipeline = bench.site().start(None).unwrap();
    let send = |pipeline: &crate::pull::pipeline::Pipeline, index: usize, block: &[u8]| {
        pipeline.blocks.blocking_send((BlockIndex(index as u64), BytesMut::from(block))).unwrap();
    };
    for index in 0..8 {
        let mut block = bench.blocks[index].clone();
        if index == 3 {
            block[5000] ^= 1;
        }
        send(&pipeline, index, &block);
    }
    let said = pipeline.feedback.blocking_recv().unwrap();
    assert!(matches!(said, Feedback::Damaged(BlockIndex(3))), "{said:?}");
    for (index, block) in bench.blocks.iter().enumerate().skip(3) {
        send(&pipeline, index, block);
    }
    let said = pipeline.finish();
    assert!(matches!(said.as_slice(), [Feedback::Whole(_)]), "{said:?}");
    bench.whole(None);
    assert_eq!(bench.tree(), expected(&things));
}

#[test] // [S8.2]
fn a_block_in_the_place_of_another_does_not_open() {
    let mut bench = Bench::new(&assorted());
    bench.blocks.swap(4, 5);
    let said = bench.run_to(usize::MAX);
    assert!(said.iter().all(|said| matches!(said, Feedback::Damaged(BlockIndex(4)))) && !said.is_empty(), "{said:?}");
    assert!(matches!(bench.checkpoint().unwrap().stage, Stage::Stream(..)));
}

#[test] // [S15.5]
fn a_link_in_the_place_of_a_folder_is_not_followed() {
    let bench = Bench::new(&[folder("a"), file("a/b", "new"), folder("a/c"), file("a/c/d", "new")]);
    let outside = bench.scratch.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, bench.to().join("a")).unwrap();
    let tally = bench.whole(Some(ConflictPolicy::Skip));
    assert_eq!(tally.kept_existing, 2);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);

    let bench = Bench::new(&[folder("a"), folder("a/c"), file("a/c/d", "new")]);
    std::fs::create_dir(bench.to().join("a")).unwrap();
    symlink(&outside, bench.to().join("a/c")).unwrap();
    let tally = bench.whole(Some(ConflictPolicy::Overwrite));
    assert_eq!(bench.read("a/c/d"), "new");
    assert_eq!(tally.kept_existing, 0);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test] // [S15.5]
fn a_link_of_the_archive_is_never_written_through() {
    // The link comes first, then a file whose place another link of the buyer's points away from.
    let bench = Bench::new(&[file("file", "new"), link("link", "file")]);
    let outside = bench.scratch.path().join("outside");
    std::fs::write(&outside, "old").unwrap();
    symlink(&outside, bench.to().join("file")).unwrap();
    bench.whole(Some(ConflictPolicy::Overwrite));
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "old");
    assert_eq!(bench.read("file"), "new");
}

#[test]
fn the_work_folder_cannot_be_sent() {
    let id = "0".repeat(32);
    let things =
        [folder(".handover"), folder(&format!(".handover/{id}")), file(&format!(".handover/{id}/part-1"), "x")];
    let bench = Bench::new(&things);
    let tally = bench.whole(None);
    assert_eq!(bench.read(&format!("%2Ehandover/{id}/part-1")), "x");
    assert_eq!(bench.watcher.exceptions(), [(".handover".into(), ExceptionReason::NameMapped)]);
    assert_eq!(tally.exceptions, 1);
}

#[test]
fn a_work_folder_that_is_a_link_is_refused() {
    let bench = Bench::new(&[file("a", "x")]);
    let outside = bench.scratch.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, bench.to().join(".handover")).unwrap();
    assert!(bench.site().start(None).is_err());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn folders_of_the_buyer_keep_their_mode_and_time() {
    let bench = Bench::new(&[folder("mine").mode(0o700), file("mine/new", "x")]);
    bench.write("mine/old", "old");
    std::fs::set_permissions(bench.to().join("mine"), PermissionsExt::from_mode(0o751)).unwrap();
    let tally = bench.whole(None);
    let mode = std::fs::metadata(bench.to().join("mine")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o751);
    assert_eq!((bench.read("mine/old"), bench.read("mine/new")), ("old".into(), "x".into()));
    assert_eq!(tally, Tally::default());
}

#[test] // [S9.5]
fn a_seal_that_is_not_the_sellers_gives_no_receipt() {
    let bench = Bench::new(&[file("a", "x")]);
    bench.receive();
    let other = Seller::new(&LinkKey([1; 32]), BlockSize::Small, &[]);
    let Some(Checkpoint { stage: Stage::Whole(tail), .. }) = bench.checkpoint() else { panic!("not whole") };
    let ending = Ending {
        site: bench.site(),
        home: bench.home.clone(),
        offer: Arc::new(other.reopened()),
        tail,
        decide: Answer::with(None),
    };
    assert!(matches!(ending.run(), Err(Error::Altered { what: "S9.5", .. })));
    assert!(kept::read_sealed_receipt(&bench.held).unwrap().is_none());
}

#[test] // [S15.2]
fn nothing_has_its_name_before_it_is_verified() {
    let bench = Bench::new(&[file("big", noise(1, 3 * 1024 * 1024))]);
    bench.run_to(20);
    assert!(!bench.has("big"));
    assert!(bench.has(".handover"));
    bench.whole(None);
    assert!(bench.has("big"));
}

#[test] // [S15.5]
fn a_folder_that_is_swapped_for_a_link_all_the_time_leads_nowhere() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let outside = tempfile::tempdir().unwrap();
    let mut things = vec![folder("a")];
    for number in 0..40 {
        things.push(folder(&format!("a/{number:02}")));
        things.push(file(&format!("a/{number:02}/in"), "x"));
    }
    for _ in 0..10 {
        let bench = Bench::new(&things);
        let (a, aside, done) = (bench.to().join("a"), bench.scratch.path().join("aside"), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let is_swapped = std::fs::rename(&a, &aside).is_ok() && symlink(outside.path(), &a).is_ok();
                    std::thread::yield_now();
                    if is_swapped {
                        std::fs::remove_file(&a).unwrap();
                        std::fs::rename(&aside, &a).unwrap();
                    }
                }
            });
            let said = bench.run_to(usize::MAX);
            done.store(true, Ordering::Relaxed);
            assert!(matches!(said.as_slice(), [Feedback::Whole(_) | Feedback::Failed(Error::Disk { .. })]), "{said:?}");
        });
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
