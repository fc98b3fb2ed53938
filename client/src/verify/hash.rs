//! Reads files to their end, several at a time.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use handover_shared::archive::item::Mtime;
use handover_shared::ids::ContentHash;

use crate::error::Error;
use crate::pull::disk::{Dir, Found};

const BUFFER_BYTES: usize = 1024 * 1024;
const THREADS_MAX: usize = 8;

/// What was found under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing, or not even the folder above.
    Nothing,
    /// Something of another kind.
    Other,
    /// Something that cannot be opened or read to its end.
    Closed,
    /// A file.
    File(SeenFile),
    /// A folder with these permission bits.
    Folder(u32),
    /// A link with this target and time.
    Link(Vec<u8>, Mtime),
    /// It was not looked at.
    Skipped,
}

/// A file that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeenFile {
    /// Permission bits and those above them.
    pub mode: u32,
    /// When it was last changed.
    pub mtime: Mtime,
    /// Bytes that were read.
    pub bytes: u64,
    /// Of these bytes.
    pub hash: ContentHash,
}

/// A file to read.
pub(super) struct Job {
    pub ordinal: u64,
    pub dir: Arc<Dir>,
    pub name: Vec<u8>,
}

/// Threads that read files. Dropping it ends them.
pub(super) struct Pool {
    jobs: Option<Sender<Job>>,
    done: Receiver<(u64, Seen)>,
    threads: Vec<JoinHandle<()>>,
    halted: Arc<AtomicBool>,
    /// Bytes read so far, by all of them.
    pub bytes: Arc<AtomicU64>,
}

impl Pool {
    /// Starts them.
    pub fn start() -> Result<Self, Error> {
        let count = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, THREADS_MAX);
        let (jobs, taken) = channel::<Job>();
        let (give, done) = channel();
        let taken = Arc::new(Mutex::new(taken));
        let (halted, bytes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut threads = Vec::with_capacity(count);
        for _ in 0..count {
            let (taken, give) = (taken.clone(), give.clone());
            let counting = Counting { halted: halted.clone(), bytes: bytes.clone() };
            let run = move || work(&taken, &give, &counting);
            let thread = std::thread::Builder::new().name("verify".into()).spawn(run);
            threads.push(thread.map_err(|error| Error::Internal(error.to_string()))?);
        }
        Ok(Self { jobs: Some(jobs), done, threads, halted, bytes })
    }

    /// Gives a file to read.
    pub fn give(&self, job: Job) -> Result<(), Error> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { Err(Error::Internal("the readers have ended".into())) }
    }

    /// The next file that was read, whichever that is.
    pub fn take(&self, patience: std::time::Duration) -> Option<(u64, Seen)> {
        self.done.recv_timeout(patience).ok()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.halted.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader has panicked");
            }
        }
    }
}

struct Counting {
    halted: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
}

fn work(jobs: &Mutex<Receiver<Job>>, give: &Sender<(u64, Seen)>, counting: &Counting) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { ordinal, dir, name }) = job else { return };
        let Some(seen) = look_at_file(&dir, &name, &mut buffer, counting) else { return };
        if give.send((ordinal, seen)).is_err() {
            return;
        }
    }
}

/// `None` when nobody wants to know any more.
fn look_at_file(dir: &Dir, name: &[u8], buffer: &mut [u8], counting: &Counting) -> Option<Seen> {
    let file = match dir.read(name) {
        Ok(Some(file)) => file,
        Ok(None) => return Some(if dir.look(name).is_ok_and(is_something) { Seen::Other } else { Seen::Nothing }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Seen::Nothing),
        Err(_) if dir.look(name).is_ok_and(|found| is_something(found) && !matches!(found, Found::File(_))) => {
            return Some(Seen::Other);
        }
        Err(_) => return Some(Seen::Closed),
    };
    match read(file, buffer, counting) {
        Ok(seen) => seen.map(Seen::File),
        Err(_) => Some(Seen::Closed),
    }
}

fn is_something(found: Found) -> bool {
    found != Found::Nothing
}

fn read(mut file: File, buffer: &mut [u8], counting: &Counting) -> io::Result<Option<SeenFile>> {
    let meta = file.metadata()?;
    let mut hasher = blake3::Hasher::new();
    let mut bytes = 0;
    loop {
        if counting.halted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
                counting.bytes.fetch_add(read as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(SeenFile {
        mode: meta.mode() & 0o7777,
        mtime: Mtime { seconds: meta.mtime(), nanos: u32::try_from(meta.mtime_nsec()).unwrap_or(0) },
        bytes,
        hash: ContentHash(*hasher.finalize().as_bytes()),
    }))
}
