//! Disks that are full, read-only, or fail in the middle of a call.

use std::os::unix::fs::MetadataExt;

use handover_tests::strace::{self, Fault};
use handover_tests::{Language, Launch, Person, Pushing, RelayProc, Scratch, Tree, data, programs, wait};

use super::{Scene, SmallDisk, code_of, says, tried};

const ERRORS: [&str; 4] = ["error=EIO", "error=ENOSPC", "error=EDQUOT", "error=EROFS"];

/// What a client may exit with when a call on its own disk has failed: it was not needed, or it is said.
const DISK: [i32; 2] = [0, 9];
/// And when the relay's disk has failed: the network's code, or the relay's refusal because it is full.
const RELAY_DISK: [i32; 3] = [0, 5, 6];

/// How far the sweep over the calls of a process goes.
fn last() -> u64 {
    std::env::var("HANDOVER_FAULTS").ok().and_then(|text| text.parse().ok()).unwrap_or(2)
}

fn sweep(calls: &[&'static str]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut turn = 0;
    for call in calls {
        for number in 1..=last() {
            turn += 1;
            faults.push(Fault::new(call, ERRORS[turn % ERRORS.len()], number.to_string()));
        }
    }
    faults
}

#[test] // [S14.2]
fn calls_of_the_seller_fail() {
    if !strace::available() {
        return;
    }
    let scene = Scene::new(2);
    let mut hit = 0;
    for (turn, fault) in sweep(&["fsync", "fdatasync", "rename", "mkdir"]).into_iter().enumerate() {
        let seller = Person::new(&scene.scratch, &format!("seller-{turn}"));
        let push = seller.push(&scene.relay, [&scene.source]);
        let log = scene.scratch.join(format!("push-{turn}.log"));
        let ended = fault.inject(&push, &log).run();
        let count = strace::injected(&log);
        hit += u64::from(count > 0);
        assert!(DISK.contains(&ended.code.unwrap_or(-1)), "{fault:?}, {count} times\n{ended}");
        assert!(!ended.err().contains("panicked"), "{fault:?}\n{ended}");
        // The same command goes on, and prints the same code if one was printed.
        if ended.code != Some(0) {
            let again = push.run().exits(0);
            let first = ended.out();
            assert!(first.is_empty() || first == again.out(), "{fault:?}\n{ended}\n{again}");
        }
    }
    assert!(hit > last(), "only {hit} faults met a call");
    tried("a call of the seller on its disk fails", hit, "exit 9 or not needed; the same command goes on");
}

#[test] // [S15.3] [S15.4]
fn calls_of_the_buyer_fail() {
    if !strace::available() {
        return;
    }
    let scene = Scene::new(2);
    let mut hit = 0;
    let faults = sweep(&["fsync", "syncfs", "rename", "renameat2", "mkdirat", "utimensat"]);
    for (turn, fault) in faults.into_iter().enumerate() {
        let code =
            code_of(&scene.seller.push(&scene.relay, ["--new".as_ref(), scene.source.as_os_str()]).run().exits(0));
        let buyer = Person::new(&scene.scratch, &format!("buyer-{turn}"));
        let out = scene.scratch.join(format!("out-{turn}"));
        let pull = buyer.pull(&code, &out);
        let log = scene.scratch.join(format!("pull-{turn}.log"));
        let ended = fault.inject(&pull, &log).run();
        let count = strace::injected(&log);
        hit += u64::from(count > 0);
        // Times that cannot be set are an exception.
        let is_listed = fault.calls == "utimensat" && ended.code == Some(4);
        assert!(is_listed || DISK.contains(&ended.code.unwrap_or(-1)), "{fault:?}, {count} times\n{ended}");
        assert!(!ended.err().contains("panicked"), "{fault:?}\n{ended}");
        if !is_listed {
            pull.run().exits(0);
            Tree::of(&scene.source).must_equal(&Tree::of(out.join("customers")));
            assert!(!out.join(".handover").exists(), "{fault:?}");
        }
    }
    assert!(hit > last(), "only {hit} faults met a call");
    tried("a call of the buyer on its disk fails", hit, "exit 9 or not needed; the same command goes on");
}

#[test] // [S13.2] [S13.3] [S13.7]
fn calls_of_the_relay_fail() {
    if !strace::available() {
        return;
    }
    let scratch = Scratch::new();
    let source = scratch.join("customers");
    data::write_random(source.join("photos.zip"), 3 << 20, &mut scratch.dice("relay"));
    data::write(source.join("a.csv"), b"1");
    let mut hit = 0;
    for (turn, fault) in sweep(&["fsync", "fdatasync", "pwrite64", "writev", "lseek", "unlink"]).into_iter().enumerate()
    {
        let mut relay = RelayProc::start_with(&scratch, &format!("relay-{turn}"), &[]);
        let people = ["seller", "buyer"].map(|name| Person::new(&scratch, &format!("{name}-{turn}")));
        let log = scratch.join(format!("relay-{turn}.log"));
        // The relay's own files are there; what fails is what it does for others.
        relay.kill();
        relay.relaunch(|launch| fault.inject(launch, &log));
        let plain = Launch::new(programs::relay(), scratch.path()).env("HOME", scratch.path());
        let is_up = relay.try_restart();
        let out = scratch.join(format!("out-{turn}"));
        let push = people[0].push(&relay, [&source]);
        let mut code = None;
        if is_up {
            let ended = push.run();
            assert!(RELAY_DISK.contains(&ended.code.unwrap_or(-1)), "{fault:?}\n{ended}");
            code = ended.out().lines().next().map(str::to_owned);
            if let Some(code) = &code {
                let ended = people[1].pull(code, &out).run();
                assert!(RELAY_DISK.contains(&ended.code.unwrap_or(-1)), "{fault:?}\n{ended}");
            }
            relay.kill();
        }
        hit += u64::from(strace::injected(&log) > 0);
        // On a disk that is well again, the same commands go on.
        let (data, port) = (relay.data().to_owned(), relay.port());
        drop(relay);
        let _relay = RelayProc::start_from(plain, data, port, &[]);
        let ended = push.run().exits(0);
        let code = code.unwrap_or_else(|| code_of(&ended));
        people[1].pull(&code, &out).run().exits(0);
        Tree::of(&source).must_equal(&Tree::of(out.join("customers")));
    }
    assert!(hit > last(), "only {hit} faults met a call");
    tried("a call of the relay on its disk fails", hit, "exit 5 or 6 or not needed; the same command goes on");
}

/// In the middle of the big file, and of the journal.
#[test] // [S14.2] [S15.2]
fn writing_fails_in_the_middle() {
    if !strace::available() {
        return;
    }
    let scene = Scene::new(4);
    let mut count = 0;
    for (turn, (file, error)) in
        [("records", "error=EIO"), ("records", "error=ENOSPC"), ("marks", "error=EDQUOT")].into_iter().enumerate()
    {
        let seller = Person::new(&scene.scratch, &format!("seller-{turn}"));
        let push = seller.push(&scene.relay, [&scene.source]);
        let log = scene.scratch.join(format!("push-{turn}.log"));
        let path = seller.home().join("transfers/1").join(file);
        let ended = Fault::on(path, "write", error, "1").inject(&push, &log).run().exits(9);
        assert!(strace::injected(&log) > 0 && !ended.err().contains("panicked"), "{ended}");
        assert_eq!(push.run().exits(0).out(), ended.out(), "the same code");
        count += 1;
    }
    let before = std::fs::read_dir(scene.segments()).unwrap().count();
    let code = code_of(&scene.push().run().exits(0));
    assert_eq!(std::fs::read_dir(scene.segments()).unwrap().count(), before + 1);
    let newest = std::fs::read_dir(scene.segments()).unwrap().map(|entry| entry.unwrap());
    let newest = newest.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap()).unwrap().file_name();
    let work = scene.out().join(".handover").join(newest);
    // Entry number 8 is the big one.
    let part = work.join("part-8");
    for (turn, (path, calls, error, when)) in [
        (&part, "write", "error=EIO", "1"),
        (&part, "write", "error=ENOSPC", "3"),
        (&part, "write", "error=EDQUOT", "2"),
        (&part, "write", "error=EROFS", "4"),
        (&work, "openat2", "error=EACCES", "6"),
    ]
    .into_iter()
    .enumerate()
    {
        let log = scene.scratch.join(format!("pull-{turn}.log"));
        let ended = Fault::on(path, calls, error, when).inject(&scene.pull(&code), &log).run().exits(9);
        assert!(strace::injected(&log) > 0 && !ended.err().contains("panicked"), "{ended}");
        assert!(!scene.out().join("customers/photos.zip").exists(), "nothing half has a final name\n{ended}");
        count += 1;
    }
    scene.pull(&code).run().exits(0);
    scene.is_whole();
    tried("a write fails in the middle of a file or of the journal", count, "exit 9; the same command goes on");
}

/// The system forgets what it could not write, and says so once; the next sync succeeds and proves nothing.
#[test] // [S15.3]
fn what_a_failed_sync_may_have_lost_is_written_again() {
    if !strace::available() {
        return;
    }
    let scene = Scene::new(1);
    let mut dice = scene.scratch.dice("sync");
    for number in 0..20 {
        data::write_random(scene.source.join(format!("scans/{number:02}.tif")), 4 << 20, &mut dice);
    }
    let code = code_of(&scene.push().run().exits(0));
    let (log, pull) = (scene.scratch.join("pull.log"), scene.pull(&code));
    let ended = Fault::new("syncfs", "error=EIO", "1+").inject(&pull, &log).run();
    assert!(strace::injected(&log) > 0, "nothing was synced\n{ended}");
    says(&ended, 9, Language::English, "syncing what was received", "");
    let placed = |number: u64| std::fs::metadata(scene.out().join(format!("customers/scans/{number:02}.tif"))).ok();
    let before: Vec<(u64, u64)> = (0..20).filter_map(|number| Some((number, placed(number)?.ino()))).collect();
    assert!(before.len() > 2, "some files were placed before the sync failed\n{ended}");

    pull.run().exits(0);

    for (number, inode) in before {
        assert_ne!(placed(number).unwrap().ino(), inode, "file {number} is the one that may be lost");
    }
    scene.is_whole();
    tried("a sync of the buyer fails", 1, "exit 9; what it may have lost is written again");
}

#[test] // [S13.3] [S13.9]
fn a_name_that_the_relay_could_not_sync_is_synced_before_it_counts() {
    if !strace::available() {
        return;
    }
    let mut scene = Scene::new(2);
    let log = scene.scratch.join("relay.log");
    let fault = Fault::on(scene.segments(), "fsync", "error=EIO", "1");
    scene.relay.kill();
    scene.relay.relaunch(|launch| fault.inject(launch, &log));
    // Made at the first start, so that a start has nothing to sync there but its parent.
    scene.relay.restart();
    let code = code_of(&scene.push().run().exits(0));
    scene.relay.kill();
    let text = std::fs::read_to_string(&log).unwrap();
    let syncs: Vec<&str> = text.lines().filter(|line| line.contains("fsync")).collect();
    assert!(syncs.iter().any(|line| line.contains("INJECTED")), "{text}");
    assert!(syncs.iter().any(|line| line.ends_with("= 0")), "the name of the folder was never synced\n{text}");
    scene.relay.relaunch(|_| {
        Launch::new(programs::relay(), scene.scratch.path()).env("HOME", scene.scratch.path()).args([
            "serve".as_ref(),
            "--data".as_ref(),
            scene.scratch.join("relay").as_os_str(),
        ])
    });
    scene.relay.restart();
    scene.pull(&code).run().exits(0);
    scene.is_whole();
    tried("the relay cannot sync the name of a transfer's folder", 1, "synced again before anything is acknowledged");
}

#[test] // [S15.2]
fn disks_are_full_at_each_side() {
    let scene = Scene::new(24);
    let Some(home) = SmallDisk::mount(scene.seller.home(), 4) else { return };
    let filler = home.fill(0);
    for language in Language::ALL {
        let ended = scene.seller.speaking(language).push(&scene.relay, [&scene.source]).run();
        says(&ended, 9, language, "the disk is full", "已满");
    }
    std::fs::remove_file(filler).unwrap();
    // In the middle: the plan fits, the journal does not.
    let push = Pushing::of(scene.push().start());
    push.running.freeze();
    let filler = home.fill(0);
    push.running.thaw();
    let ended = push.running.end();
    assert!(matches!(ended.code, Some(0 | 9)), "{ended}");
    std::fs::remove_file(filler).unwrap();
    scene.push().run().exits(0);

    let Some(away) = SmallDisk::mount(scene.buyer.home(), 4) else { return };
    let filler = away.fill(0);
    for language in Language::ALL {
        let ended = scene.buyer.speaking(language).pull(&push.code, scene.out()).run();
        says(&ended, 9, language, "the disk is full", "已满");
    }
    std::fs::remove_file(filler).unwrap();
    scene.pull(&push.code).run().exits(0);
    scene.is_whole();
    tried("disk full at the home of seller and buyer, before and in the middle", 5, "exit 9; continued with room");
}

#[test] // [S13.10]
fn the_disk_of_the_relay_is_full() {
    let scratch = Scratch::new();
    let Some(disk) = SmallDisk::mount(&scratch.join("relay-disk"), 64) else { return };
    let folder = scratch.folder("relay-machine");
    let launch = Launch::new(programs::relay(), &folder).env("HOME", &folder);
    let relay = RelayProc::start_from(launch, scratch.join("relay-disk/data"), 0, &["--min-free", "8M"]);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("dump.sql");
    data::write_random(&source, 24 << 20, &mut scratch.dice("full"));
    let mut push = Pushing::of(seller.push(&relay, [&source]).limit(wait::LONG).start());
    // Somebody else fills the disk, past the floor and to the last byte.
    push.running.freeze();
    let filler = disk.fill(0);
    push.running.thaw();
    // A transfer that was accepted waits for room, and says so.
    push.running.err_line("that it waits", |line| line.contains("stalled").then_some(()));
    for language in Language::ALL {
        let other = scratch.join("合同.pdf");
        data::write(&other, b"contract");
        let ended = seller.speaking(language).push(&relay, [&other]).run();
        says(&ended, 6, language, "storage is full", "已满");
    }
    std::fs::remove_file(filler).unwrap();
    push.running.end().exits(0);
    let out = scratch.join("out");
    buyer.pull(&push.code, &out).limit(wait::LONG).run().exits(0);
    assert!(std::fs::read(&source).unwrap() == std::fs::read(out.join("dump.sql")).unwrap());
    tried("disk full at the relay, in the middle and before", 3, "exit 6, or said and waited for; continued with room");
}

#[test]
fn the_target_is_read_only_or_becomes_so() {
    let scene = Scene::new(16);
    let code = code_of(&scene.push().run().exits(0));
    let Some(disk) = SmallDisk::mount(&scene.out(), 64) else { return };
    disk.remount("ro");
    for language in Language::ALL {
        let ended = scene.buyer.speaking(language).pull(&code, scene.out()).run();
        says(&ended, 9, language, "read-only", "只读");
    }
    disk.remount("rw");
    // The right is lost in the middle: a file system with open files cannot be made read-only, but filled.
    let pull = scene.pull(&code).start();
    wait::until("the first bytes", wait::USUAL, || (data::folder_bytes(&scene.out()) > 0).then_some(()));
    pull.freeze();
    let filler = disk.fill(0);
    pull.thaw();
    let ended = pull.end();
    assert!(matches!(ended.code, Some(0 | 9)), "{ended}");
    std::fs::remove_file(filler).unwrap();
    scene.pull(&code).run().exits(0);
    scene.is_whole();
    tried("read-only target, and a target that fills up", 3, "exit 9; continued");
}
