//! One file of the seller: opened without following, waiting or changing anything, and looked at before and after.
//!
//! # Source
//! SPEC [S14.5].

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use handover_shared::archive::item::{Mtime, Reason};
use rustix::fs::{Mode, OFlags};

use super::scan::{mtime_of, reason_of};

/// What must not change while a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Signature {
    #[n(0)]
    inode: u64,
    #[n(1)]
    size: u64,
    #[n(2)]
    mtime: (i64, i64),
    #[n(3)]
    ctime: (i64, i64),
}

impl Signature {
    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Clocks of file systems tick this seldom at worst, within reason: a change less than this ago could hide another.
const TICK: Duration = Duration::from_millis(20);
/// Times a file that was changed just now is looked at again before it counts as changing.
const SETTLE_LOOKS: u32 = 3;

/// Whether a change from here on would show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It would.
    Settled,
    /// It changes all the time.
    Changing,
}

/// An open file.
pub struct SourceFile {
    file: File,
    signature: Signature,
    rest: Rest,
    mode: u32,
    mtime: Mtime,
}

impl SourceFile {
    /// Opens a file. A fifo that nobody writes to does not hold this up; a link in its place is not followed.
    ///
    /// # Errors
    /// The reason for the exception it becomes; [`Reason::KeptChanging`] if it turned into something else.
    pub fn open(path: &Path) -> Result<Self, Reason> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(descriptor) => File::from(descriptor),
            Err(rustix::io::Errno::LOOP) => return Err(Reason::KeptChanging),
            Err(rustix::io::Errno::NXIO | rustix::io::Errno::NODEV) => return Err(Reason::NotAFile),
            Err(errno) => return Err(reason_of(&errno.into())),
        };
        let mut meta = file.metadata().map_err(|error| reason_of(&error))?;
        if !meta.is_file() {
            return Err(Reason::NotAFile);
        }
        let mut looks = 0;
        while changed_just_now(&meta) && looks < SETTLE_LOOKS {
            std::thread::sleep(TICK);
            meta = file.metadata().map_err(|error| reason_of(&error))?;
            looks += 1;
        }
        let rest = if changed_just_now(&meta) { Rest::Changing } else { Rest::Settled };
        Ok(Self { mode: meta.mode() & 0o777, mtime: mtime_of(&meta), signature: signature_of(&meta), rest, file })
    }

    /// How it was when it was opened.
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// Whether a change from here on would show.
    pub fn rest(&self) -> Rest {
        self.rest
    }

    /// Permission bits.
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// When it was last changed.
    pub fn mtime(&self) -> Mtime {
        self.mtime
    }

    /// Goes on at this byte.
    ///
    /// # Errors
    /// What the system says.
    pub fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset)).map(drop)
    }

    /// Fills the buffer; gives less only at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    pub fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Whether it is as it was when it was opened. [S14.5]
    ///
    /// # Errors
    /// What the system says.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        Ok(signature_of(&self.file.metadata()?) == self.signature)
    }
}

/// Whether the time of the last change is so near that the next change could have the same.
fn changed_just_now(meta: &std::fs::Metadata) -> bool {
    let since = Duration::new(meta.ctime().unsigned_abs(), u32::try_from(meta.ctime_nsec()).unwrap_or(0));
    SystemTime::now().duration_since(UNIX_EPOCH + since).is_ok_and(|age| age < TICK)
}

fn signature_of(meta: &std::fs::Metadata) -> Signature {
    Signature {
        inode: meta.ino(),
        size: meta.len(),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        ctime: (meta.ctime(), meta.ctime_nsec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S14.5]
    fn every_change_is_noticed() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 5] = [
            ("grown", |path| std::fs::write(path, b"longer than before").unwrap()),
            ("same size", |path| std::fs::write(path, b"BEFORE").unwrap()),
            ("mode", |path| {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(path, mode).unwrap();
            }),
            ("renamed over", |path| {
                let other = path.with_extension("other");
                std::fs::write(&other, b"before").unwrap();
                std::fs::rename(&other, path).unwrap();
            }),
            ("removed", |path| std::fs::remove_file(path).unwrap()),
        ];
        for (name, change) in changes {
            let scratch = tempfile::tempdir().unwrap();
            let path = scratch.path().join("file");
            std::fs::write(&path, b"before").unwrap();
            let file = SourceFile::open(&path).unwrap();
            assert!(file.is_unchanged().unwrap());
            change(&path);
            assert!(!file.is_unchanged().unwrap(), "{name}");
        }
    }

    #[test] // [S14.5]
    fn a_change_that_would_not_show_is_waited_out() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        for round in 0..20 {
            std::fs::write(&path, [round; 6]).unwrap();
            let file = SourceFile::open(&path).unwrap();
            assert_eq!(file.rest(), Rest::Settled);
            std::fs::write(&path, [round + 1; 6]).unwrap();
            assert!(!file.is_unchanged().unwrap(), "round {round}");
        }
    }

    #[test] // [S6.5]
    fn what_is_no_file_is_told_apart_and_never_waited_for() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), Mode::from_raw_mode(0o600)).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("fifo", at("link")).unwrap();
        for (path, reason) in [
            (at("fifo"), Reason::NotAFile),
            (at("socket"), Reason::NotAFile),
            (at("link"), Reason::KeptChanging),
            (at("nothing"), Reason::Vanished),
            (at("fifo/below"), Reason::Vanished),
            (scratch.path().to_path_buf(), Reason::NotAFile),
        ] {
            assert_eq!(SourceFile::open(&path).err(), Some(reason), "{path:?}");
        }
    }
}
