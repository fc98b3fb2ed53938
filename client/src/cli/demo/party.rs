//! The demo's three parties: this program, started again, each with a home of its own.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::screen::Screen;
use super::super::style::{Tone, padded};
use crate::private::escaped;
use crate::stop::Stop;

/// How often a party is looked at while it works.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One party: what it is called here, and where its files are.
pub(super) struct Party {
    pub(super) name: String,
    pub(super) home: PathBuf,
    pub(super) work: PathBuf,
    pub(super) screen: Arc<Screen>,
}

/// How a party's command ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
}

/// A party that is stopped when it is dropped.
pub(super) struct Running {
    child: Child,
    told: Vec<JoinHandle<()>>,
}

impl Party {
    /// Starts a command of this program as this party; what it tells appears with the party's name before it.
    pub(super) fn start<I>(&self, args: I) -> io::Result<Running>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let language = self.screen.style.words.language().tag();
        let mut command = Command::new(std::env::current_exe()?);
        for (name, _) in std::env::vars_os() {
            // What the person has set is for the person's own transfers.
            if name.to_string_lossy().starts_with("HANDOVER_") {
                command.env_remove(name);
            }
        }
        command.args(args).arg("--home").arg(&self.home).args(["--lang", language, "--color", "never"]);
        command.current_dir(&self.work).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let told = child.stderr.take().map(|stderr| {
            let (screen, name) = (self.screen.clone(), self.name.clone());
            std::thread::spawn(move || relate(BufReader::new(stderr), &name, &screen))
        });
        Ok(Running { child, told: told.into_iter().collect() })
    }

    /// Runs a command to its end. `None` if this program was asked to stop meanwhile.
    pub(super) async fn run<I>(&self, args: I, stop: &Stop) -> io::Result<Option<Ended>>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let mut running = self.start(args)?;
        // A party that asks is not answered.
        drop(running.child.stdin.take());
        let stdout = running.child.stdout.take();
        let reading = std::thread::spawn(move || stdout.map(io::read_to_string).transpose());
        let status = loop {
            if let Some(status) = running.child.try_wait()? {
                break status;
            }
            if stop.is_asked() {
                return Ok(None);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        for told in running.told.drain(..) {
            join(told);
        }
        let read = reading.join().unwrap_or_else(|_panicked| Ok(None))?;
        Ok(Some(Ended { status, stdout: read.unwrap_or_default().trim_end().to_owned() }))
    }
}

impl Running {
    /// The first line a party writes to standard output.
    pub(super) fn first_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if let Some(stdout) = self.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim_end() {
            "" => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended without a word")),
            line => Ok(line.to_owned()),
        }
    }

    /// Ends a party by closing its standard input, and waits for it.
    pub(super) fn finish(mut self) -> io::Result<ExitStatus> {
        drop(self.child.stdin.take());
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
                tracing::debug!("a party of the demo could not be stopped: {error}");
            }
        }
        for told in self.told.drain(..) {
            join(told);
        }
    }
}

fn join(told: JoinHandle<()>) {
    if told.join().is_err() {
        tracing::debug!("what a party told was lost");
    }
}

/// Shows each line of a party with its name before it.
fn relate(lines: impl BufRead, name: &str, screen: &Screen) {
    let head = screen.style.tone(Tone::Dim, &format!("  {} │", padded(name, 8)));
    for line in lines.lines() {
        let Ok(line) = line else { return };
        if !line.trim().is_empty() {
            screen.say(&format!("{head} {}\n", escaped(line.trim_end().as_bytes())));
        }
    }
}

/// A folder that is gone when it is dropped, unless it is to be kept.
pub(super) struct Scratch {
    pub(super) path: PathBuf,
    pub(super) keep: Keep,
}

/// Whether the demo's files stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Yes,
    No,
}

impl Scratch {
    /// Makes a folder that only its owner can enter, below the system's folder for such things.
    pub(super) fn create(keep: Keep) -> io::Result<Self> {
        let below = std::env::temp_dir();
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        for attempt in 0..100 {
            let path = below.join(format!("handover-demo-{}-{attempt}", std::process::id()));
            match builder.create(&path) {
                Ok(()) => return Ok(Self { path, keep }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, below.display().to_string()))
    }

    /// Makes a folder inside.
    pub(super) fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::create_dir(&path)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep == Keep::No
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!("the demo's folder could not be removed: {error}");
        }
    }
}

/// Whether a folder has room for so many bytes; the bytes it has if not.
pub(super) fn lacks_room(path: &Path, bytes: u64) -> Option<u64> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(path).ok()?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        (free < bytes).then_some(free)
    }
    #[cfg(not(unix))]
    {
        let _ = (path, bytes);
        None
    }
}
