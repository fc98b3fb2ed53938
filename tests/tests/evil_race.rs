//! Somebody with rights in the target folder swaps folders for links between any two system calls of a pull: nothing
//! beside the destination is written, and no mode or time of it changes, whatever becomes of the pull.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use handover_shared::ids::BlockSize;
use handover_tests::double::cage::Cage;
use handover_tests::double::seller::{Pretence, summary};
use handover_tests::double::seller_archive::Fields;
use handover_tests::{data, faults_table, wait};
use rustix::fs::{CWD, RenameFlags, renameat_with};

const FOLDERS: usize = 24;
const FILES_EACH: usize = 60;
const FILES_EACH_LONG: usize = 2_000;
const LONG_VARIABLE: &str = "HANDOVER_TEST_LONG";

/// What is swapped for links to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prey {
    /// The folders of the archive.
    Folders,
    /// The top folder of the archive.
    Top,
    /// The work folder and what is in it.
    WorkFolder,
    /// The destination itself.
    Destination,
}

/// A thread that swaps until it is told to stop.
struct Attacker {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Attacker {
    fn start(prey: Prey, out: PathBuf, outside: PathBuf) -> Self {
        let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (stop.clone(), swaps.clone());
        let thread = std::thread::spawn(move || {
            // The destination is what the buyer named until it has been opened.
            while !out.join(".handover").exists() && !stopped.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            while !stopped.load(Ordering::Relaxed) {
                for victim in victims(prey, &out) {
                    counted.fetch_add(swap(&victim, &outside), Ordering::Relaxed);
                }
            }
        });
        Self { stop, swaps, thread }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.swaps.load(Ordering::Relaxed)
    }
}

/// The folders to be swapped, as they stand.
fn victims(prey: Prey, out: &Path) -> Vec<PathBuf> {
    match prey {
        Prey::Top => vec![out.join("customers")],
        Prey::Folders => (0..FOLDERS).map(|number| out.join(format!("customers/{number:02}"))).collect(),
        Prey::Destination => vec![out.to_path_buf()],
        Prey::WorkFolder => {
            let own = out.join(".handover");
            let inner = std::fs::read_dir(&own).into_iter().flatten().flatten().map(|entry| entry.path());
            let inner = inner.filter(|path| !path.to_string_lossy().ends_with(".trap"));
            inner.chain([own.clone()]).collect()
        }
    }
}

/// Swaps a folder for a link of the same kind of name beside it, there and back again; how often that worked.
fn swap(victim: &Path, outside: &Path) -> u64 {
    let trap = PathBuf::from(format!("{}.trap", victim.display()));
    if symlink(outside, &trap).is_err() && !trap.is_symlink() && !victim.is_symlink() {
        return 0;
    }
    let exchange = || u64::from(renameat_with(CWD, victim, CWD, &trap, RenameFlags::EXCHANGE).is_ok());
    let first = exchange();
    // For as long as the other side needs for some calls.
    for _ in 0..2_000 {
        std::hint::spin_loop();
    }
    first + exchange()
}

#[test] // [S15.5] [S6.8]
fn swapping_folders_for_links_moves_nothing_outside() {
    let is_long = std::env::var_os(LONG_VARIABLE).is_some();
    let files_each = if is_long { FILES_EACH_LONG } else { FILES_EACH };
    let mut total = 0;
    let mut ends = Vec::new();
    for prey in [Prey::Folders, Prey::Top, Prey::WorkFolder, Prey::Destination] {
        let cage = prepared();
        let files = (FOLDERS * files_each) as u64;
        let told =
            Pretence { summary: Some(summary("customers", files, files * 20).to_bytes()), ..Pretence::default() };
        let code = cage.evil.upload_as(
            &told,
            BlockSize::Small,
            |archive| {
                archive.folder("customers");
                for folder in 0..FOLDERS {
                    archive.folder_as(&Fields::folder(format!("customers/{folder:02}")).mode(0o700));
                    for file in 0..files_each {
                        archive.file(format!("customers/{folder:02}/{file:04}.csv"), b"planted by the pull");
                    }
                }
            },
            |_| {},
        );
        let out = cage.new_out();
        let attacker = Attacker::start(prey, out.clone(), cage.outside());
        let ended = cage.buyer.pull(&code, &out).limit(wait::LONG).run();
        let swaps = attacker.stop();
        let what = format!("{prey:?} swapped {swaps} times, exit {:?}", ended.code);
        cage.check(&what, &ended);
        // Without the swaps the test proves nothing.
        assert!(swaps > 20, "{what}\n{ended}");
        // A folder that is a link just then may also be a thing in the way, which nobody is there to decide about.
        assert!(matches!(ended.code, Some(0 | 3 | 4 | 8 | 9)), "{what}\n{ended}");
        total += swaps;
        ends.push(what);
    }
    faults_table::record(
        "seller",
        "folders swapped for links while files are placed",
        total,
        &format!("nothing outside was touched ({})", ends.join("; ")),
    );
}

#[test] // [S15.5]
fn a_destination_that_becomes_a_link_is_still_the_one_that_was_opened() {
    let cage = prepared();
    let code = cage.evil.upload_as(
        &Pretence { summary: Some(summary("customers", 200, 200 << 20).to_bytes()), ..Pretence::default() },
        BlockSize::Large,
        |archive| {
            archive.folder("customers");
            for number in 0..24 {
                archive.folder_as(&Fields::folder(format!("customers/{number:02}")).mode(0o700));
                archive.file(format!("customers/{number:02}/x"), &cage.scratch.dice("x").bytes(1 << 20));
            }
        },
        |_| {},
    );
    let (out, moved) = (cage.new_out(), cage.new_out());
    let running = cage.buyer.pull(&code, &out).limit(wait::LONG).start();
    // Everything from here on is by the old handle: the folders get their modes and times only at the end.
    wait::until("the first file", wait::USUAL, || out.join("customers/00/x").exists().then_some(()));
    running.freeze();
    std::fs::rename(&out, &moved).unwrap();
    symlink(cage.outside(), &out).unwrap();
    running.thaw();
    let ended = running.end();
    cage.check("the destination became a link", &ended);
    let ended = ended.exits(0);
    for number in 0..24 {
        assert!(moved.join(format!("customers/{number:02}/x")).exists(), "file {number}\n{ended}");
    }
    assert!(!moved.join(".handover").exists());
}

/// Outside stand folders and files of the very names that are sent, so that whatever gets there finds its place.
fn prepared() -> Cage {
    Cage::with(|outside| {
        for folder in 0..FOLDERS {
            data::write(outside.join(format!("customers/{folder:02}/0000.csv")), b"untouched");
            data::write(outside.join(format!("{folder:02}/0000.csv")), b"untouched");
        }
        std::fs::create_dir_all(outside.join(".handover")).unwrap();
    })
}
