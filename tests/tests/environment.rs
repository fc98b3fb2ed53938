//! An environment that fails: disks, networks, clocks, relays, and people who change what is being read. Each ends well,
//! or with the promised exit code in both languages, and goes on later with the same command.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

#[path = "environment/disks.rs"]
mod disks;
#[path = "environment/networks.rs"]
mod networks;
#[path = "environment/relays.rs"]
mod relays;
#[path = "environment/sources.rs"]
mod sources;

use std::path::{Path, PathBuf};

use handover_tests::{Ended, Language, Launch, Person, RelayProc, Scratch, Tree, data, faults_table, wait};

/// A seller, a relay and a buyer, and something to hand over.
struct Scene {
    scratch: Scratch,
    relay: RelayProc,
    seller: Person,
    buyer: Person,
    source: PathBuf,
}

impl Scene {
    /// Some small files and one of so many MiB.
    fn new(mebibytes: u64) -> Self {
        let scratch = Scratch::new();
        let relay = RelayProc::start(&scratch);
        let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
        let source = scratch.join("customers");
        let mut dice = scratch.dice("environment");
        for number in 0..6 {
            data::write(source.join(format!("orders/{number}.csv")), &dice.table(3000));
        }
        data::write_random(source.join("photos.zip"), mebibytes << 20, &mut dice);
        data::write(source.join("合同.pdf"), b"contract");
        Self { scratch, relay, seller, buyer, source }
    }

    fn out(&self) -> PathBuf {
        self.scratch.join("out")
    }

    fn push(&self) -> Launch {
        self.seller.push(&self.relay, [&self.source]).limit(wait::LONG)
    }

    fn pull(&self, code: &str) -> Launch {
        self.buyer.pull(code, self.out()).limit(wait::LONG)
    }

    fn segments(&self) -> PathBuf {
        self.relay.data().join("segments")
    }

    fn is_whole(&self) {
        Tree::of(&self.source).must_equal(&Tree::of(self.out().join("customers")));
        assert!(!self.out().join(".handover").exists(), "no partial data is left behind");
    }
}

/// The code that a push printed.
fn code_of(ended: &Ended) -> String {
    let out = ended.out();
    let code = out.lines().find(|line| line.starts_with("ho1"));
    code.unwrap_or_else(|| panic!("no code\n{ended}")).to_owned()
}

/// Checks what was said when it ended with this code.
#[track_caller]
fn says(ended: &Ended, exit: i32, language: Language, english: &str, chinese: &str) {
    assert!(ended.code == Some(exit), "expected exit code {exit}\n{ended}");
    let err = ended.err();
    let word = if language == Language::Chinese { chinese } else { english };
    assert!(err.contains(word), "expected {word:?}\n{ended}");
    assert!(!err.contains("panicked"), "{ended}");
}

/// Adds to the table of faults.
fn tried(fault: &str, count: u64, outcome: &str) {
    faults_table::record("environment", fault, count, outcome);
}

/// A small file system in memory; unmounted when dropped.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// `None`, and said so, where this may not be done.
    fn mount(at: &Path, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { at: at.into() }),
            other => {
                eprintln!("skipped: no small file system can be mounted here: {other:?}");
                None
            }
        }
    }

    /// Fills it but for so many bytes, with a file of this name.
    fn fill(&self, leave_bytes: u64) -> PathBuf {
        let room = rustix::fs::statvfs(&self.at).unwrap();
        let bytes = (room.f_bavail * room.f_frsize).saturating_sub(leave_bytes);
        let path = self.at.join("filler");
        // Whoever else writes there meanwhile takes some of the room.
        let mut file = std::fs::File::create(&path).unwrap();
        for piece in vec![1; bytes as usize].chunks(4096) {
            if std::io::Write::write_all(&mut file, piece).is_err() {
                break;
            }
        }
        path
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(std::process::Command::new("mount").args(["-o", &options]).arg(&self.at).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = std::process::Command::new("umount").arg("--lazy").arg(&self.at).status() {
            eprintln!("could not unmount {}: {error}", self.at.display());
        }
    }
}
