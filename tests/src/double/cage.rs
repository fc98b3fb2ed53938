//! A destination with something beside it that must stay as it is.

use std::path::{Path, PathBuf};

use crate::process::Ended;
use crate::{Person, RelayProc, Scratch, Tree};

use super::seller::HostileSeller;

/// A buyer in a process may hold this much; it does not depend on what comes.
pub const BUYER_KIB_MAX: u64 = 160 * 1024;

/// A hostile seller at a real relay, and a buyer whose destinations stand beside a folder that nobody may touch.
pub struct Cage {
    /// The folder of the test.
    pub scratch: Scratch,
    /// The relay.
    pub relay: RelayProc,
    /// Who means no good.
    pub evil: HostileSeller,
    /// Who does not know.
    pub buyer: Person,
    outside: Tree,
    outs: std::cell::Cell<u32>,
}

impl Default for Cage {
    fn default() -> Self {
        Self::new()
    }
}

impl Cage {
    /// Sets everything up.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// Sets everything up, with more in the folder that nobody may touch.
    ///
    /// # Panics
    /// When the relay does not come up.
    pub fn with(fill: impl FnOnce(&Path)) -> Self {
        let scratch = Scratch::new();
        let relay = RelayProc::start(&scratch);
        let evil = HostileSeller::enrol(&relay);
        let buyer = Person::new(&scratch, "buyer");
        crate::data::write(scratch.join("cage/outside/canary"), b"untouched");
        crate::data::write(scratch.join("cage/outside/customers/list.csv"), b"also untouched");
        fill(&scratch.join("cage/outside"));
        let outside = Tree::of(scratch.join("cage/outside"));
        Self { scratch, relay, evil, buyer, outside, outs: std::cell::Cell::new(0) }
    }

    /// The folder beside every destination.
    pub fn outside(&self) -> PathBuf {
        self.scratch.join("cage/outside")
    }

    /// A destination that does not exist yet.
    pub fn new_out(&self) -> PathBuf {
        self.outs.set(self.outs.get() + 1);
        self.scratch.join(format!("cage/out-{}", self.outs.get()))
    }

    /// Pulls into a new destination and checks that nothing beside it changed and that memory stayed bounded.
    ///
    /// # Panics
    /// When something did.
    #[track_caller]
    pub fn pull(&self, what: &str, code: &str) -> (Ended, PathBuf) {
        let out = self.new_out();
        let ended = self.buyer.pull(code, &out).limit(crate::wait::LONG).run();
        self.check(what, &ended);
        (ended, out)
    }

    /// Checks that nothing beside the destinations changed, and that the buyer's memory stayed bounded.
    ///
    /// # Panics
    /// When something did.
    #[track_caller]
    pub fn check(&self, what: &str, ended: &Ended) {
        self.check_outside(what);
        assert!(ended.peak_kib < BUYER_KIB_MAX, "{what}: the buyer held {} KiB\n{ended}", ended.peak_kib);
        assert!(ended.signal.is_none() && ended.code != Some(101), "{what}: it crashed\n{ended}");
    }

    /// Checks that nothing beside the destinations changed.
    ///
    /// # Panics
    /// When something did.
    #[track_caller]
    pub fn check_outside(&self, what: &str) {
        let differences = self.outside.differences(&Tree::of(self.outside()));
        assert!(differences.is_empty(), "{what}: outside the destination: {differences:?}");
        for entry in std::fs::read_dir(self.scratch.join("cage")).expect("the cage can be listed") {
            let name = entry.expect("the cage can be listed").file_name();
            let name = name.to_string_lossy();
            assert!(name == "outside" || name.starts_with("out-"), "{what}: {name} appeared beside the destination");
        }
    }

    /// Pulls what must be found out: exit 8, and nothing has a name in the destination but what is allowed.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn refused(&self, what: &str, code: &str, allowed: &[&str]) -> Ended {
        let (ended, out) = self.pull(what, code);
        assert!(ended.code == Some(8), "{what}: expected exit code 8\n{ended}");
        assert!(ended.stdout.is_empty(), "{what}: something on standard output\n{ended}");
        let placed = placed(&out);
        assert!(placed.iter().all(|name| allowed.contains(&name.as_str())), "{what}: placed {placed:?}");
        ended
    }

    /// Uploads an archive by hand and expects [`Cage::refused`].
    #[track_caller]
    pub fn refuses(&self, what: &str, write: impl FnOnce(&mut super::seller_archive::Archive)) -> Ended {
        let code = self.evil.upload(write);
        self.refused(what, &code, &[])
    }
}

/// The names at the top of a destination, without the work folder.
pub fn placed(out: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(out) else { return Vec::new() };
    let names = entries.map(|entry| entry.expect("the destination can be listed").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name != ".handover").collect()
}
