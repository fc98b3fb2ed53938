//! Makes chosen system calls of a process fail, with `strace`, without any change to the program.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::process::Launch;
use crate::programs;

/// Which call fails, and how. `strace` counts the calls of each thread on its own.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The names of the calls, with commas between them.
    pub calls: &'static str,
    /// `error=EIO`, `signal=KILL`, …
    pub what: &'static str,
    /// `3` is the third call alone, `3+` the third and all after it.
    pub when: String,
    /// Calls on these paths alone; on any if there is none.
    pub paths: Vec<PathBuf>,
}

impl Fault {
    /// A fault of the calls on any path.
    pub fn new(calls: &'static str, what: &'static str, when: impl Into<String>) -> Self {
        Self { calls, what, when: when.into(), paths: Vec::new() }
    }

    /// A fault of the calls on one path.
    pub fn on(path: impl Into<PathBuf>, calls: &'static str, what: &'static str, when: impl Into<String>) -> Self {
        Self { paths: vec![path.into()], ..Self::new(calls, what, when) }
    }

    /// The command with this fault; `log` gets the calls that were looked at.
    ///
    /// # Panics
    /// When [`available`] is not.
    pub fn inject(&self, launch: &Launch, log: &Path) -> Launch {
        let program = program().expect("looked for before");
        let mut arguments = vec!["-f".into(), "--seccomp-bpf".into(), "-qq".into(), "-o".into()];
        arguments.push(log.as_os_str().to_owned());
        arguments.extend(["-e".into(), format!("trace={}", self.calls).into()]);
        arguments.extend(["-e".into(), format!("inject={}:{}:when={}", self.calls, self.what, self.when).into()]);
        for path in &self.paths {
            arguments.extend(["-P".into(), path.as_os_str().to_owned()]);
        }
        launch.under(program, arguments)
    }
}

/// How many calls were made to fail, by the log of a process that has ended.
pub fn injected(log: &Path) -> u64 {
    let text = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter(|line| line.contains("INJECTED")).count() as u64
}

/// How many of the calls that are looked at were made, by the log of a process that may be at work.
pub fn calls(log: &Path) -> u64 {
    let text = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter(|line| line.contains(" = ")).count() as u64
}

/// Whether there is a `strace` that may trace; says so when there is none.
pub fn available() -> bool {
    program().is_some()
}

fn program() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let path = programs::on_path("strace")?;
        let may = std::process::Command::new(&path)
            .args([
                "-f",
                "--seccomp-bpf",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "trace=fsync",
                "-e",
                "inject=fsync:error=EIO:when=9",
                "true",
            ])
            .status();
        may.is_ok_and(|status| status.success()).then_some(path)
    });
    if found.is_none() {
        eprintln!("skipped: there is no strace here that may trace");
    }
    found.as_deref()
}
