//! One file of the seller: opened without following, waiting or changing anything, and looked at before and after.
//!
//! # Source
//! SPEC [S14.5].

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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

/// An open file.
pub struct SourceFile {
    file: File,
    signature: Signature,
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
        let meta = file.metadata().map_err(|error| reason_of(&error))?;
        if !meta.is_file() {
            return Err(Reason::NotAFile);
        }
        Ok(Self { mode: meta.mode() & 0o777, mtime: mtime_of(&meta), signature: signature_of(&meta), file })
    }

    /// How it was when it was opened.
    pub fn signature(&self) -> Signature {
        self.signature
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
            // The clock of some file systems ticks only every few milliseconds; wait until it has moved on.
            let stamp = |path: &Path| std::fs::metadata(path).unwrap().ctime_nsec();
            let probe = scratch.path().join("probe");
            std::fs::write(&probe, b"").unwrap();
            while stamp(&probe) == file.signature().ctime.1 {
                std::fs::write(&probe, b"").unwrap();
            }
            change(&path);
            assert!(!file.is_unchanged().unwrap(), "{name}");
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
