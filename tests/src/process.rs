//! One process: started in a group of its own, its output caught as it comes, ended by itself or by a deadline.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::wait;

/// What a process reads from standard input.
#[derive(Clone, Debug)]
pub enum Input {
    /// Nothing at all.
    Nothing,
    /// A file or a fifo.
    File(PathBuf),
    /// What the test feeds with [`Running::feed`].
    Pipe,
}

/// A process that has not been started.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    folder: PathBuf,
    input: Input,
    limit: Duration,
}

impl Launch {
    /// A program with an empty environment but for the search path and a neutral language.
    pub fn new(program: impl AsRef<Path>, folder: impl AsRef<Path>) -> Self {
        let mut environment = BTreeMap::new();
        environment.insert("PATH".into(), std::env::var_os("PATH").unwrap_or_default());
        environment.insert("LC_ALL".into(), "C.UTF-8".into());
        Self {
            program: program.as_ref().into(),
            arguments: Vec::new(),
            environment,
            folder: folder.as_ref().into(),
            input: Input::Nothing,
            limit: wait::USUAL,
        }
    }

    /// The same command, run by another program: `program arguments… -- command…`.
    #[must_use]
    pub fn under(&self, program: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut all: Vec<OsString> = arguments.into_iter().map(|argument| argument.as_ref().into()).collect();
        all.push("--".into());
        all.push(self.program.clone().into());
        all.extend(self.arguments.iter().cloned());
        Self { program: program.into(), arguments: all, ..self.clone() }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().into()));
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.into(), value.as_ref().into());
        self
    }

    /// Sets the working folder.
    #[must_use]
    pub fn inside(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = folder.as_ref().into();
        self
    }

    /// Sets standard input.
    #[must_use]
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// Sets how long [`Running::end`] waits before it kills.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&self) -> Running {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .current_dir(&self.folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        match &self.input {
            Input::Nothing => command.stdin(Stdio::null()),
            Input::Pipe => command.stdin(Stdio::piped()),
            Input::File(path) => command.stdin(std::fs::File::open(path).expect("the input can be opened")),
        };
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", self.shown()));
        let stdout = Caught::of(child.stdout.take().expect("standard output is piped"));
        let stderr = Caught::of(child.stderr.take().expect("standard error is piped"));
        let input = child.stdin.take();
        Running {
            child,
            input,
            stdout,
            stderr,
            shown: self.shown(),
            limit: self.limit,
            reaped: false,
            peak_kib: 0,
            cpu_ticks: 0,
        }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not end within its limit.
    pub fn run(&self) -> Ended {
        self.start().end()
    }

    /// The command as one would type it.
    fn shown(&self) -> String {
        let mut words = Vec::new();
        for (name, value) in &self.environment {
            if name != "PATH" {
                words.push(format!("{}={}", name.to_string_lossy(), quoted(value)));
            }
        }
        words.push(quoted(self.program.as_os_str()));
        words.extend(self.arguments.iter().map(|argument| quoted(argument)));
        format!("(cd {} && {})", quoted(self.folder.as_os_str()), words.join(" "))
    }
}

fn quoted(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Bytes that a thread gathers while the process writes them.
#[derive(Clone)]
struct Caught {
    state: Arc<Mutex<(Vec<u8>, Flow)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    Ended,
}

impl Caught {
    fn of(mut source: impl Read + Send + 'static) -> Self {
        let state = Arc::new(Mutex::new((Vec::new(), Flow::Open)));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            let mut piece = vec![0u8; 64 * 1024];
            loop {
                match source.read(&mut piece) {
                    Ok(0) => break,
                    Ok(count) => shared.lock().expect("no holder panics").0.extend_from_slice(&piece[..count]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            shared.lock().expect("no holder panics").1 = Flow::Ended;
        });
        Self { state }
    }

    fn bytes(&self) -> Vec<u8> {
        self.state.lock().expect("no holder panics").0.clone()
    }

    fn is_ended(&self) -> bool {
        self.state.lock().expect("no holder panics").1 == Flow::Ended
    }

    /// Whole lines only.
    fn lines(&self) -> Vec<String> {
        let bytes = self.bytes();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        String::from_utf8_lossy(&bytes[..whole]).lines().map(str::to_owned).collect()
    }
}

/// A process under way. Dropping it kills it.
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    stdout: Caught,
    stderr: Caught,
    shown: String,
    limit: Duration,
    reaped: bool,
    peak_kib: u64,
    cpu_ticks: u64,
}

impl Running {
    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of standard output from which `find` makes something.
    ///
    /// # Panics
    /// When it does not come, or the process ends before.
    pub fn out_line<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let stdout = self.stdout.clone();
        self.line_of(&stdout, what, find)
    }

    /// Waits for a line of standard error from which `find` makes something.
    ///
    /// # Panics
    /// As [`Running::out_line`].
    pub fn err_line<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let stderr = self.stderr.clone();
        self.line_of(&stderr, what, find)
    }

    /// Waits for an event of `--json` from which `find` makes something.
    ///
    /// # Panics
    /// As [`Running::out_line`].
    pub fn event<T>(&mut self, name: &str, find: impl Fn(&Value) -> Option<T>) -> T {
        self.out_line(&format!("the event {name}"), |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            if event["event"] == name { find(&event) } else { None }
        })
    }

    /// All events of `--json` so far.
    pub fn events(&self) -> Vec<Value> {
        self.stdout.lines().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Standard error so far.
    pub fn err_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stderr.bytes()).into_owned()
    }

    /// Standard output so far.
    pub fn out_so_far(&self) -> Vec<u8> {
        self.stdout.bytes()
    }

    fn line_of<T>(&mut self, caught: &Caught, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let limit = self.limit;
        let looked = wait::try_until(limit, || {
            let ended = caught.is_ended();
            match caught.lines().iter().find_map(|line| find(line)) {
                Some(found) => Some(Some(found)),
                None if ended => Some(None),
                None => None,
            }
        });
        match looked {
            Ok(Some(found)) => found,
            Ok(None) => self.give_up(&format!("ended without {what}")),
            Err(limit) => self.give_up(&format!("gave no {what} in {} s", limit.as_secs())),
        }
    }

    /// Writes to standard input.
    ///
    /// # Panics
    /// When it was not started with [`Input::Pipe`] or does not read any more.
    pub fn feed(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("started with a pipe that is still open");
        input.write_all(bytes).and_then(|()| input.flush()).expect("the process reads its standard input");
    }

    /// Ends standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Stops it where it is (SIGSTOP).
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        // The signal is delivered to a running thread at its next entry into the kernel; until then it still works.
        wait::until("the process to stop", self.limit, || {
            self.state_letters().is_some_and(|all| all.iter().all(|state| matches!(state, 'T' | 'Z'))).then_some(())
        });
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to stop, as Ctrl-C does (SIGINT).
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Lifts its limit of bandwidth, or puts it in force again (SIGUSR2).
    pub fn toggle_limit(&self) {
        self.signal(Signal::USR2);
    }

    /// Kills it with its whole group (SIGKILL) and waits until it is gone.
    pub fn kill(mut self) -> Ended {
        self.signal(Signal::KILL);
        self.reap()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        !self.reaped && self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end within its limit; it is killed then and both outputs are shown.
    pub fn end(mut self) -> Ended {
        self.input = None;
        let limit = self.limit;
        match wait::try_until(limit, || {
            self.sample();
            (!self.is_running()).then_some(())
        }) {
            Ok(()) => self.reap(),
            Err(limit) => self.give_up(&format!("did not end in {} s", limit.as_secs())),
        }
    }

    fn reap(&mut self) -> Ended {
        self.input = None;
        let status = self.child.wait().expect("a child can be waited for");
        self.reaped = true;
        // A grandchild that holds the pipes would keep them open for ever.
        let drained = wait::try_until(wait::USUAL, || (self.stdout.is_ended() && self.stderr.is_ended()).then_some(()));
        assert!(drained.is_ok(), "{} left a process behind that holds its output", self.shown);
        Ended {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.bytes(),
            stderr: self.stderr.bytes(),
            shown: self.shown.clone(),
            peak_kib: self.peak_kib,
            cpu_ticks: self.cpu_ticks,
        }
    }

    fn give_up(&mut self, why: &str) -> ! {
        self.signal(Signal::KILL);
        let ended = self.reap();
        panic!("it {why}\n{ended}");
    }

    fn signal(&self, signal: Signal) {
        if self.reaped {
            return;
        }
        let group = Pid::from_raw(self.child.id().cast_signed()).expect("a process has a number above zero");
        if let Err(error) = kill_process_group(group, signal) {
            assert!(error == rustix::io::Errno::SRCH, "cannot send a signal: {error}");
        }
    }

    /// The state of each thread, as the kernel shows it.
    fn state_letters(&self) -> Option<Vec<char>> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).ok()?;
        let letter = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            stat.rsplit_once(") ")?.1.chars().next()
        };
        Some(tasks.flatten().filter_map(letter).collect())
    }

    /// Remembers what the kernel tells of a process only while it lives: the greatest resident memory and the time it
    /// computed. Both only grow, so the last look misses little.
    fn sample(&mut self) {
        let usage = usage(self.id());
        self.peak_kib = self.peak_kib.max(usage.peak_kib);
        self.cpu_ticks = self.cpu_ticks.max(usage.cpu_ticks);
    }
}

/// What a process has used up so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// The greatest resident memory, in KiB.
    pub peak_kib: u64,
    /// Time on a processor, in hundredths of a second.
    pub cpu_ticks: u64,
}

/// Asks the kernel what a process has used up; zeros when it is gone.
pub fn usage(process: u32) -> Usage {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let kib = |line: &str| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok();
    let peak_kib = read("status").lines().find_map(kib).unwrap_or(0);
    // The fields after the name in parentheses begin with the third; 14 and 15 are user and system time.
    let stat = read("stat");
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split_whitespace();
    let cpu_ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Usage { peak_kib, cpu_ticks }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            if std::thread::panicking() {
                eprintln!("still running when the test failed: {}\n{}", self.shown, self.err_so_far());
            }
            self.signal(Signal::KILL);
            if let Err(error) = self.child.wait() {
                eprintln!("could not wait for {}: {error}", self.shown);
            }
        }
    }
}

/// A process that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The greatest resident memory seen while [`Running::end`] waited, in KiB.
    pub peak_kib: u64,
    /// The time it computed, as far as [`Running::end`] saw it, in hundredths of a second.
    pub cpu_ticks: u64,
    shown: String,
}

impl Ended {
    /// Checks its exit code.
    ///
    /// # Panics
    /// When it is another; command and both outputs are shown.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{self}");
        self
    }

    /// Checks that standard error holds a text.
    ///
    /// # Panics
    /// When it does not; command and both outputs are shown.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.err().contains(text), "expected the words {text:?}\n{self}");
        self
    }

    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// All events of `--json`.
    pub fn events(&self) -> Vec<Value> {
        self.out().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The last event of a name.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn event(&self, name: &str) -> Value {
        let found = self.events().into_iter().rfind(|event| event["event"] == name);
        found.unwrap_or_else(|| panic!("no event {name}\n{self}"))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN_BYTES_MAX: usize = 16 * 1024;
        let tail =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SHOWN_BYTES_MAX)..]).into_owned();
        writeln!(f, "command: {}", self.shown)?;
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(f, "exit code: {code}")?,
            (None, Some(signal)) => writeln!(f, "ended by signal {signal}")?,
            (None, None) => writeln!(f, "ended")?,
        }
        writeln!(f, "--- standard output\n{}", tail(&self.stdout))?;
        write!(f, "--- standard error\n{}", tail(&self.stderr))
    }
}
