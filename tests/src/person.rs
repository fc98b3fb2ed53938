//! A machine with a home of its own, at which somebody pushes or pulls.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::process::{Ended, Launch, Running};
use crate::programs;
use crate::relay::RelayProc;
use crate::scratch::Scratch;

/// The languages of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// Both.
    pub const ALL: [Language; 2] = [Language::English, Language::Chinese];

    /// The word of `--lang`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }
}

/// Somebody with a machine.
pub struct Person {
    home: PathBuf,
    desk: PathBuf,
    language: Language,
    transport: Option<&'static str>,
}

impl Person {
    /// Somebody new. Nothing of the real user's environment reaches the programs that this person starts.
    pub fn new(scratch: &Scratch, name: &str) -> Self {
        let desk = scratch.folder(format!("{name}-desk"));
        Self { home: scratch.join(format!("{name}-home")), desk, language: Language::English, transport: None }
    }

    /// The same machine in another language.
    #[must_use]
    pub fn speaking(&self, language: Language) -> Self {
        Self { home: self.home.clone(), desk: self.desk.clone(), language, transport: self.transport }
    }

    /// The same machine, reaching relays over this transport alone: a word of `--transport`.
    #[must_use]
    pub fn over(&self, transport: &'static str) -> Self {
        let (home, desk) = (self.home.clone(), self.desk.clone());
        Self { home, desk, language: self.language, transport: Some(transport) }
    }

    /// The state folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The working folder.
    pub fn desk(&self) -> &Path {
        &self.desk
    }

    /// `handover` with these arguments, not started.
    pub fn handover(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Launch {
        let launch = Launch::new(programs::handover(), &self.desk)
            .env("HOME", &self.desk)
            .env("HANDOVER_HOME", &self.home)
            .args(["--lang", self.language.tag()]);
        match self.transport {
            Some(transport) => launch.env("HANDOVER_TRANSPORT", transport),
            None => launch,
        }
        .args(arguments)
    }

    /// Runs `handover` to its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
        self.handover(arguments).run()
    }

    /// `handover push` to a relay, not started.
    pub fn push(&self, relay: &RelayProc, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Launch {
        self.handover(["push", "--relay", relay.invite()]).args(arguments)
    }

    /// Starts a push and waits for its code.
    ///
    /// # Panics
    /// When no code comes.
    pub fn pushing(&self, relay: &RelayProc, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Pushing {
        Pushing::of(self.push(relay, arguments).start())
    }

    /// Pushes to the end and returns the code.
    ///
    /// # Panics
    /// When the push does not exit with 0, or prints anything but the code.
    #[track_caller]
    pub fn pushed(&self, relay: &RelayProc, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let ended = self.push(relay, arguments).run().exits(0);
        let out = ended.out();
        let code = out.strip_suffix('\n').unwrap_or_else(|| panic!("no code\n{ended}"));
        assert!(code.starts_with("ho1") && !code.contains('\n'), "expected one line, the code\n{ended}");
        code.to_owned()
    }

    /// `handover pull` of a code into a folder, nothing asked, not started.
    pub fn pull(&self, code: &str, into: impl AsRef<Path>) -> Launch {
        self.handover(["pull", code, "--yes", "--no-input", "--out"]).arg(into.as_ref())
    }
}

/// A push that has printed its code.
pub struct Pushing {
    /// The process.
    pub running: Running,
    /// The whole code, with the relay's address.
    pub code: String,
}

impl Pushing {
    /// Waits for the code: a line of its own, or the event `code` under `--json`.
    ///
    /// # Panics
    /// When it does not come.
    pub fn of(mut running: Running) -> Self {
        let code = running.out_line("the code", |line| {
            if line.starts_with("ho1") {
                return Some(line.to_owned());
            }
            let event: serde_json::Value = serde_json::from_str(line).ok()?;
            if event["event"] == "code" { event["code"].as_str().map(str::to_owned) } else { None }
        });
        Self { running, code }
    }
}
