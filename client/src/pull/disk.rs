//! Files and folders beneath a held folder: the only place of `pull` that touches the buyer's disk by name.
//!
//! # Security
//! Every name is one component, looked up in a folder that is held open, and no link is ever followed; where the system
//! can be told so (`openat2`), it also refuses whatever would lead out of that folder. Whoever swaps a folder for a link
//! between two calls changes nothing: the next call works in the folder that was opened, not in what has its name by
//! then. Modes and times are set through the open file, never through a name.
//!
//! # Source
//! SPEC [S15.5].

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use handover_shared::archive::item::Mtime;
use handover_shared::ids::Millis;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps};
use rustix::io::Errno;

/// Permission bits of a folder while it is worked in.
pub(crate) const WORKING_MODE: u32 = 0o700;

/// A folder that is held open.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// A regular file of so many bytes.
    File(u64),
    /// A folder.
    Folder,
    /// A link, wherever it points.
    Link,
    /// A device, socket or fifo.
    Other,
}

/// What came of giving something a name that must be free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// It has the name.
    Done,
    /// Something else has it.
    Taken,
    /// There can be no such name here.
    Impossible,
}

/// Mode and times of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// Permission bits, and those above them.
    pub mode: u32,
    /// When its content was last changed, as anybody may set it.
    pub mtime: Mtime,
    /// When anything of it was last changed, by the file system's clock.
    pub changed: Millis,
}

/// Which thing a held folder is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inode {
    device: u64,
    number: u64,
}

const FOLDER_FLAGS: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Dir {
    /// Opens a folder by a path that the person of this machine gave; links in it are followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    /// Opens a folder in this one. Fails for a link, wherever it points.
    pub fn enter(&self, name: &[u8]) -> io::Result<Self> {
        match open_beneath(&self.0, name, FOLDER_FLAGS, Mode::empty()) {
            // Names in a folder that may not be listed can be used all the same.
            Err(Errno::ACCESS) => Ok(Self(open_beneath(&self.0, name, FOLDER_FLAGS | OFlags::PATH, Mode::empty())?)),
            opened => Ok(Self(opened?)),
        }
    }

    /// Makes a folder.
    pub fn make(&self, name: &[u8], mode: u32) -> io::Result<Naming> {
        named(rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(mode)))
    }

    /// Makes a folder that belongs to nobody else, or opens the one that was made before.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] if what has the name belongs to another user.
    pub fn make_own(&self, name: &[u8]) -> io::Result<Self> {
        if self.make(name, WORKING_MODE)? == Naming::Impossible {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let dir = self.enter(name)?;
        let stat = rustix::fs::fstat(&dir.0)?;
        // Also when it has just been made: by now another one can have its name.
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder belongs to another user"));
        }
        if stat.st_mode & 0o777 != WORKING_MODE {
            dir.set_mode(WORKING_MODE)?;
        }
        Ok(dir)
    }

    /// Creates a file; fails if anything has the name.
    pub fn create(&self, name: &[u8], mode: u32) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(open_beneath(&self.0, name, flags, Mode::from_raw_mode(mode))?))
    }

    /// Opens a file to go on writing or reading it; `None` unless it is a regular file with no other name.
    pub fn reopen(&self, name: &[u8]) -> io::Result<Option<File>> {
        let Some(file) = self.regular(name, OFlags::RDWR)? else { return Ok(None) };
        Ok((rustix::fs::fstat(&file)?.st_nlink == 1).then_some(file))
    }

    /// Opens a regular file to append to it, making it if it is not there.
    pub fn append(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::APPEND | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(open_beneath(&self.0, name, flags, Mode::from_raw_mode(0o600))?))
    }

    /// Opens a regular file to read it; `None` if there is none of that name.
    pub fn read(&self, name: &[u8]) -> io::Result<Option<File>> {
        self.regular(name, OFlags::RDONLY)
    }

    fn regular(&self, name: &[u8], access: OFlags) -> io::Result<Option<File>> {
        // Opening a fifo would wait for its other end.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match open_beneath(&self.0, name, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Ok(None),
            opened => File::from(opened?),
        };
        let stat = rustix::fs::fstat(&file)?;
        Ok((FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some(file))
    }

    /// What has this name.
    pub fn look(&self, name: &[u8]) -> io::Result<Found> {
        let stat = match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            // A name that cannot be has nothing; giving it will say so.
            Err(Errno::ILSEQ | Errno::INVAL | Errno::NAMETOOLONG) => return Ok(Found::Nothing),
            stat => stat?,
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Found::File(u64::try_from(stat.st_size).unwrap_or(0)),
            FileType::Directory => Found::Folder,
            FileType::Symlink => Found::Link,
            _ => Found::Other,
        })
    }

    /// Mode and times of what has this name.
    pub fn times(&self, name: &[u8]) -> io::Result<Option<Times>> {
        let stat = match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            stat => stat?,
        };
        let seconds = u64::try_from(stat.st_ctime).unwrap_or(0);
        Ok(Some(Times {
            mode: stat.st_mode & 0o7777,
            mtime: Mtime { seconds: stat.st_mtime, nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0) },
            changed: Millis(seconds.saturating_mul(1000).saturating_add(stat.st_ctime_nsec / 1_000_000)),
        }))
    }

    /// Where a link points.
    pub fn link_target(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.0, name, Vec::new())?.into_bytes())
    }

    /// Makes a link with its time. It is for folders that nobody else can change: the time is set by name.
    pub fn make_link(&self, target: &[u8], name: &[u8], mtime: Mtime) -> io::Result<TimeSet> {
        rustix::fs::symlinkat(target, &self.0, name)?;
        time_set(rustix::fs::utimensat(&self.0, name, &timestamps(mtime), AtFlags::SYMLINK_NOFOLLOW))
    }

    /// Moves something to a name that must be free.
    pub fn move_new(&self, name: &[u8], to: &Dir, to_name: &[u8]) -> io::Result<Naming> {
        match rustix::fs::renameat_with(&self.0, name, &to.0, to_name, RenameFlags::NOREPLACE) {
            // The file system does not know the flag, or the name cannot be: the slower way tells.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.move_new_slowly(name, to, to_name),
            moved => named(moved),
        }
    }

    /// Moves something to a name that the same thing has already.
    pub fn move_over(&self, name: &[u8], to: &Dir, to_name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, name, &to.0, to_name)?)
    }

    /// For file systems that cannot move without replacing: a second name is made, which must be free, and the first
    /// one removed. What can have no second name is moved after looking, the best there is.
    fn move_new_slowly(&self, name: &[u8], to: &Dir, to_name: &[u8]) -> io::Result<Naming> {
        match rustix::fs::linkat(&self.0, name, &to.0, to_name, AtFlags::empty()) {
            Ok(()) => {
                rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?;
                Ok(Naming::Done)
            }
            Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::MLINK | Errno::ACCESS) => match to.look(to_name)? {
                Found::Nothing => named(rustix::fs::renameat(&self.0, name, &to.0, to_name)),
                _ => Ok(Naming::Taken),
            },
            Err(error) => named(Err(error)),
        }
    }

    /// Removes a file or link; nothing to do if there is none.
    pub fn remove(&self, name: &[u8]) -> io::Result<()> {
        gone(rustix::fs::unlinkat(&self.0, name, AtFlags::empty()))
    }

    /// Removes an empty folder; leaves one that is not empty.
    pub fn remove_if_empty(&self, name: &[u8]) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            removed => gone(removed),
        }
    }

    /// Removes whatever has this name, with everything in it.
    pub fn remove_all(&self, name: &[u8]) -> io::Result<()> {
        match self.look(name)? {
            Found::Nothing => Ok(()),
            Found::Folder => {
                let dir = self.enter(name)?;
                dir.set_mode(WORKING_MODE)?;
                for inner in dir.names()? {
                    dir.remove_all(&inner)?;
                }
                gone(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR))
            }
            _ => self.remove(name),
        }
    }

    /// The names in this folder.
    pub fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        self.each_name(|name| names.push(name.to_vec()))?;
        Ok(names)
    }

    /// The names in this folder, one after the other.
    pub fn each_name(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                each(name);
            }
        }
        Ok(())
    }

    /// Sets permission bits.
    pub fn set_mode(&self, mode: u32) -> io::Result<ModeSet> {
        mode_set(rustix::fs::fchmod(&self.0, Mode::from_raw_mode(mode & 0o777)))
    }

    /// Sets the time of last change.
    pub fn set_time(&self, mtime: Mtime) -> io::Result<TimeSet> {
        time_set(rustix::fs::futimens(&self.0, &timestamps(mtime)))
    }

    /// Whether a name is that of a file that is held open.
    pub fn is(&self, name: &[u8], file: &File) -> io::Result<bool> {
        let (named, held) = (rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW), rustix::fs::fstat(file)?);
        match named {
            Err(Errno::NOENT) => Ok(false),
            named => {
                let named = named?;
                Ok((named.st_dev, named.st_ino) == (held.st_dev, held.st_ino))
            }
        }
    }

    /// Permission bits, and those above them.
    pub fn mode(&self) -> io::Result<u32> {
        Ok(rustix::fs::fstat(&self.0)?.st_mode & 0o7777)
    }

    /// Which folder it is.
    pub fn inode(&self) -> io::Result<Inode> {
        let stat = rustix::fs::fstat(&self.0)?;
        Ok(Inode { device: stat.st_dev, number: stat.st_ino })
    }

    /// Bytes that this user may still write on this file system.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.0)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// A second handle of the same folder.
    pub fn duplicate(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Makes the names in this folder survive a loss of power.
    pub fn sync_names(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Makes everything that was written on this file system survive a loss of power.
    pub fn sync_file_system(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(&self.0)?;
        // Elsewhere every file is synced before it gets its name, so that the folders are what is left.
        #[cfg(not(target_os = "linux"))]
        rustix::fs::fsync(&self.0)?;
        Ok(())
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether a time could be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeSet {
    /// It is as it was with the seller.
    Exact,
    /// The file system has no such time.
    No,
}

/// Whether permission bits could be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModeSet {
    /// They are as they were with the seller.
    Exact,
    /// The file system has none.
    No,
}

/// Sets the permission bits of an open file.
pub(crate) fn set_file_mode(file: &File, mode: u32) -> io::Result<ModeSet> {
    mode_set(rustix::fs::fchmod(file, Mode::from_raw_mode(mode & 0o777)))
}

/// Sets the time of last change of an open file.
pub(crate) fn set_file_time(file: &File, mtime: Mtime) -> io::Result<TimeSet> {
    time_set(rustix::fs::futimens(file, &timestamps(mtime)))
}

/// The permission bits that a file really gets when it is created with all of them.
pub(crate) fn creation_mask(dir: &Dir) -> io::Result<u32> {
    const PROBE: &[u8] = b"probe";
    dir.remove(PROBE)?;
    let file = dir.create(PROBE, 0o777)?;
    let mode = rustix::fs::fstat(&file)?.st_mode & 0o777;
    dir.remove(PROBE)?;
    Ok(mode)
}

/// Opens what has one name in a folder, and nothing that this name could lead to elsewhere.
///
/// # Source
/// SPEC [S15.5].
fn open_beneath(dir: &OwnedFd, name: &[u8], flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(dir, name, flags, mode, resolve) {
            // Before Linux 5.6, and where a sandbox does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {}
            opened => return opened,
        }
    }
    // One component that is no link leads nowhere else.
    if name.contains(&b'/') || name == b".." {
        return Err(Errno::XDEV);
    }
    rustix::fs::openat(dir, name, flags, mode)
}

fn named(result: rustix::io::Result<()>) -> io::Result<Naming> {
    match result {
        Ok(()) => Ok(Naming::Done),
        Err(Errno::EXIST | Errno::NOTEMPTY | Errno::ISDIR | Errno::NOTDIR) => Ok(Naming::Taken),
        Err(Errno::ILSEQ | Errno::INVAL | Errno::NAMETOOLONG) => Ok(Naming::Impossible),
        Err(error) => Err(error.into()),
    }
}

fn gone(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        result => Ok(result?),
    }
}

fn mode_set(result: rustix::io::Result<()>) -> io::Result<ModeSet> {
    match result {
        Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS) => Ok(ModeSet::No),
        set => Ok(set.map(|()| ModeSet::Exact)?),
    }
}

fn time_set(result: rustix::io::Result<()>) -> io::Result<TimeSet> {
    match result {
        Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::INVAL | Errno::OVERFLOW) => Ok(TimeSet::No),
        set => Ok(set.map(|()| TimeSet::Exact)?),
    }
}

/// The time of last access is left as it is.
fn timestamps(mtime: Mtime) -> Timestamps {
    let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    Timestamps { last_access: omit, last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() } }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn scratch() -> (tempfile::TempDir, Dir) {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open(scratch.path()).unwrap();
        (scratch, dir)
    }

    #[test] // [S15.5]
    fn no_link_is_followed() {
        let (scratch, dir) = scratch();
        std::fs::create_dir(scratch.path().join("real")).unwrap();
        std::fs::write(scratch.path().join("file"), "x").unwrap();
        symlink("real", scratch.path().join("folder-link")).unwrap();
        symlink("file", scratch.path().join("file-link")).unwrap();
        assert!(dir.enter(b"folder-link").is_err());
        assert!(dir.make_own(b"folder-link").is_err());
        assert!(dir.create(b"file-link", 0o600).is_err());
        assert!(dir.read(b"file-link").unwrap().is_none());
        assert!(dir.reopen(b"file-link").unwrap().is_none());
        assert!(dir.append(b"file-link").is_err());
        assert_eq!(dir.look(b"folder-link").unwrap(), Found::Link);
        assert_eq!(dir.link_target(b"folder-link").unwrap(), b"real");
    }

    #[test] // [S15.5]
    fn no_name_leads_out_of_its_folder() {
        let (scratch, dir) = scratch();
        std::fs::create_dir(scratch.path().join("in")).unwrap();
        std::fs::write(scratch.path().join("above"), "x").unwrap();
        let inner = dir.enter(b"in").unwrap();
        for name in [&b".."[..], b"../above", b"/etc", b"../in"] {
            assert!(inner.enter(name).is_err(), "{name:?}");
            assert!(inner.create(name, 0o600).is_err(), "{name:?}");
            assert!(inner.append(name).is_err(), "{name:?}");
            assert!(!matches!(inner.read(name), Ok(Some(_))), "{name:?}");
        }
    }

    #[test]
    fn a_folder_stays_the_one_that_was_opened() {
        let (scratch, dir) = scratch();
        dir.make(b"in", 0o700).unwrap();
        let inner = dir.enter(b"in").unwrap();
        std::fs::rename(scratch.path().join("in"), scratch.path().join("moved")).unwrap();
        symlink("/", scratch.path().join("in")).unwrap();
        inner.create(b"new", 0o600).unwrap();
        assert!(scratch.path().join("moved/new").exists());
    }

    #[test] // [S15.6]
    fn moving_never_replaces() {
        let (scratch, dir) = scratch();
        let path = |name: &str| scratch.path().join(name);
        for way in [Dir::move_new, Dir::move_new_slowly] {
            std::fs::write(path("a"), "new").unwrap();
            std::fs::write(path("b"), "old").unwrap();
            assert_eq!(way(&dir, b"a", &dir, b"b").unwrap(), Naming::Taken);
            assert_eq!(std::fs::read(path("b")).unwrap(), b"old");
            assert_eq!(way(&dir, b"a", &dir, b"c").unwrap(), Naming::Done);
            assert_eq!(std::fs::read(path("c")).unwrap(), b"new");
            assert!(!path("a").exists());
            symlink("nowhere", path("d")).unwrap();
            assert_eq!(way(&dir, b"c", &dir, b"d").unwrap(), Naming::Taken, "a dangling link is something");
            assert_eq!(way(&dir, b"c", &dir, &[b'n'; 256]).unwrap(), Naming::Impossible);
            std::fs::create_dir(path("e")).unwrap();
            assert_eq!(way(&dir, b"e", &dir, b"b").unwrap(), Naming::Taken, "a folder onto a file");
            assert_eq!(way(&dir, b"e", &dir, b"f").unwrap(), Naming::Done);
            for name in ["b", "c", "d"] {
                std::fs::remove_file(path(name)).unwrap();
            }
            std::fs::remove_dir(path("f")).unwrap();
        }
    }

    #[test]
    fn what_a_name_is() {
        let (scratch, dir) = scratch();
        std::fs::write(scratch.path().join("file"), "abc").unwrap();
        std::fs::create_dir(scratch.path().join("folder")).unwrap();
        rustix::fs::mknodat(&dir, "fifo", FileType::Fifo, Mode::RWXU, 0).unwrap();
        let cases: [(&[u8], Found); 5] = [
            (b"none", Found::Nothing),
            (b"file", Found::File(3)),
            (b"folder", Found::Folder),
            (b"fifo", Found::Other),
            (&[b'n'; 300], Found::Nothing),
        ];
        for (name, found) in cases {
            assert_eq!(dir.look(name).unwrap(), found);
        }
        assert!(dir.read(b"fifo").unwrap().is_none(), "does not wait for a writer");
        assert!(dir.read(b"folder").unwrap().is_none());
        let mut text = String::new();
        dir.read(b"file").unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
    }

    #[test] // [S6.2]
    fn modes_and_times_are_set_exactly_and_masked() {
        let (scratch, dir) = scratch();
        let file = dir.create(b"file", 0o600).unwrap();
        assert_eq!(set_file_mode(&file, 0o6751).unwrap(), ModeSet::Exact);
        let mtime = Mtime { seconds: -5, nanos: 123_456_789 };
        assert_eq!(set_file_time(&file, mtime).unwrap(), TimeSet::Exact);
        let meta = std::fs::metadata(scratch.path().join("file")).unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, 0o751);
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (-5, 123_456_789));
        dir.make_link(b"to/nothing", b"link", mtime).unwrap();
        let meta = std::fs::symlink_metadata(scratch.path().join("link")).unwrap();
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (-5, 123_456_789));
        let mask = creation_mask(&dir).unwrap();
        assert_eq!(mask & 0o700, 0o700);
    }

    #[test]
    fn a_whole_tree_is_removed_and_links_in_it_are_not_followed() {
        let (scratch, dir) = scratch();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("keep"), "x").unwrap();
        std::fs::create_dir_all(scratch.path().join("tree/a/b")).unwrap();
        std::fs::write(scratch.path().join("tree/a/b/file"), "x").unwrap();
        symlink(outside.path(), scratch.path().join("tree/a/link")).unwrap();
        std::fs::set_permissions(scratch.path().join("tree/a/b"), PermissionsExt::from_mode(0o500)).unwrap();
        dir.remove_all(b"tree").unwrap();
        dir.remove_all(b"tree").unwrap();
        assert!(dir.names().unwrap().is_empty());
        assert!(outside.path().join("keep").exists());
    }

    #[test]
    fn an_own_folder_is_private_and_made_once() {
        let (scratch, dir) = scratch();
        std::fs::create_dir(scratch.path().join("own")).unwrap();
        std::fs::set_permissions(scratch.path().join("own"), PermissionsExt::from_mode(0o755)).unwrap();
        let own = dir.make_own(b"own").unwrap();
        own.append(b"log").unwrap().write_all(b"1").unwrap();
        dir.make_own(b"own").unwrap().append(b"log").unwrap().write_all(b"2").unwrap();
        assert_eq!(std::fs::read(scratch.path().join("own/log")).unwrap(), b"12");
        let mode = std::fs::metadata(scratch.path().join("own")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        dir.remove_if_empty(b"own").unwrap();
        assert!(scratch.path().join("own").exists());
        own.remove(b"log").unwrap();
        dir.remove_if_empty(b"own").unwrap();
        assert!(!scratch.path().join("own").exists());
        assert_eq!(dir.inode().unwrap(), dir.duplicate().unwrap().inode().unwrap());
    }
}
