//! A seller, a buyer, and a relay that may be dishonest.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use handover_tests::double::EvilRelay;
use handover_tests::{Ended, Launch, Person, Scratch, Tree, data, faults_table};

/// The greatest resident memory of a client, in KiB, whatever the relay does: windows of the transport, and the program
/// itself, built without optimisation.
pub const MEMORY_KIB_MAX: u64 = 160 * 1024;
/// Sealed bytes of a block of a small transfer.
pub const BLOCK: usize = 65_536;

const FILES: usize = 12;
const FILE_BYTES: usize = 50_000;

pub struct Scene {
    pub scratch: Scratch,
    pub relay: EvilRelay,
    pub seller: Person,
    pub buyer: Person,
    pub source: PathBuf,
    pub out: PathBuf,
    tried: Cell<u64>,
}

/// How a run has to end.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub exit: i32,
    /// The stable word of the JSON event.
    pub code: &'static str,
    /// In the message or the hint for a person.
    pub says: &'static str,
}

pub const ALTERED: Told = Told { exit: 8, code: "altered", says: "not what was sealed" };
pub const MISBEHAVED: Told = Told { exit: 1, code: "relay-misbehaved", says: "makes no sense" };

impl Scene {
    pub fn new() -> Self {
        let scratch = Scratch::new();
        let source = scratch.join("customers");
        let mut dice = scratch.dice("customers");
        for number in 0..FILES {
            data::write(source.join(format!("{number:02}.jpg")), &dice.bytes(FILE_BYTES));
        }
        Self {
            relay: EvilRelay::start(),
            seller: Person::new(&scratch, "seller"),
            buyer: Person::new(&scratch, "buyer"),
            out: scratch.join("out"),
            tried: Cell::new(0),
            source,
            scratch,
        }
    }

    /// `handover push` of a folder to the relay, not started.
    pub fn push_of(&self, person: &Person, source: &Path) -> Launch {
        person.handover(["push", "--relay", self.relay.invite()]).arg(source)
    }

    /// `handover push` of the source, not started.
    pub fn push(&self) -> Launch {
        self.push_of(&self.seller, &self.source)
    }

    /// Pushes to an honest end and returns the code.
    #[track_caller]
    pub fn pushed(&self) -> String {
        code_of(&self.push().run().exits(0))
    }

    /// Other data of the same size, pushed by somebody.
    #[track_caller]
    pub fn pushed_other(&self, person: &Person) -> String {
        let source = self.scratch.join("others");
        let mut dice = self.scratch.dice("others");
        for number in 0..FILES {
            data::write(source.join(format!("{number:02}.jpg")), &dice.bytes(FILE_BYTES));
        }
        code_of(&self.push_of(person, &source).run().exits(0))
    }

    /// `handover pull --json` of a code, not started.
    pub fn pull(&self, code: &str) -> Launch {
        self.buyer.pull(code, &self.out).arg("--json")
    }

    /// Runs something against a relay that misbehaves, which must end as told, with nothing wrong in its place.
    #[track_caller]
    pub fn found_out(&self, told: Told, what: &str, launch: &Launch) -> Ended {
        let ended = launch.run();
        self.tells(told, what, &ended);
        ended
    }

    /// Looks at how something ended.
    #[track_caller]
    pub fn tells(&self, told: Told, what: &str, ended: &Ended) {
        self.tried.set(self.tried.get() + 1);
        assert!(ended.code == Some(told.exit), "{what}: expected exit code {}\n{ended}", told.exit);
        let event = ended.event("error");
        assert!(event["code"] == told.code && event["exit"] == told.exit, "{what}: expected {told:?}\n{ended}");
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let (message, hint) = (text("message"), text("hint"));
        assert!(message.contains(told.says), "{what}: expected {:?}\n{ended}", told.says);
        assert!(hint.len() > 8, "{what}: a person is told what to do\n{ended}");
        self.stays_calm(what, ended);
        self.nothing_wrong_is_placed(what);
    }

    /// Nothing panicked, and memory is bounded.
    #[track_caller]
    pub fn stays_calm(&self, what: &str, ended: &Ended) {
        assert!(!ended.err().contains("panicked") && !ended.out().contains("\"internal\""), "{what}\n{ended}");
        assert!(ended.peak_kib < MEMORY_KIB_MAX, "{what}: {} KiB\n{ended}", ended.peak_kib);
    }

    /// Every file that has a final name is one that was sent, whole.
    #[track_caller]
    pub fn nothing_wrong_is_placed(&self, what: &str) {
        let folder = self.out.join("customers");
        for path in fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let sent = fs::read(self.source.join(path.file_name().unwrap()));
            let is_right = sent.is_ok_and(|sent| fs::read(&path).unwrap() == sent);
            assert!(is_right, "{what}: {} is wrong", path.display());
        }
        for entry in fs::read_dir(&self.out).into_iter().flatten().map(Result::unwrap) {
            let name = entry.file_name();
            assert!(name == "customers" || name == ".handover", "{what}: {name:?} does not belong there");
        }
    }

    /// Nothing has a final name.
    #[track_caller]
    pub fn nothing_is_placed(&self, what: &str) {
        assert!(!self.out.join("customers").exists(), "{what}: something was placed");
    }

    /// The relay is honest from now on: the same command finishes, and the seller has the receipt.
    #[track_caller]
    pub fn finishes(&self, code: &str) {
        self.relay.repents();
        let ended = self.pull(code).run().exits(0);
        self.stays_calm("honest again", &ended);
        self.is_whole();
        self.seller.run(["wait", "1"]).exits(0);
    }

    /// Everything is there.
    #[track_caller]
    pub fn is_whole(&self) {
        Tree::of(&self.source).must_equal(&Tree::of(self.out.join("customers")));
        assert!(!self.out.join(".handover").exists(), "nothing is left of the work");
    }

    /// Writes down what was tried.
    pub fn record(&self, fault: &str, outcome: &str) {
        self.record_count(fault, self.tried.get(), outcome);
    }

    /// Writes down what was tried, with its own count.
    pub fn record_count(&self, fault: &str, count: u64, outcome: &str) {
        assert!(count > 0, "{fault}: nothing was tried");
        faults_table::record("evil-relay", fault, count, outcome);
    }
}

/// The code that a push has printed.
#[track_caller]
pub fn code_of(pushed: &Ended) -> String {
    let out = pushed.out();
    out.lines().find(|line| line.starts_with("ho1")).unwrap_or_else(|| panic!("no code\n{pushed}")).to_owned()
}
