//! One file: overwritten, synced, its name removed.
//!
//! # Source
//! SPEC [S21.2].

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use super::media::Overwrite;
use crate::error::Error;
use crate::pull::disk::{Dir, Found};
use crate::stop::Stop;

static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];
const DEPTH_MAX: usize = 64;

/// Whether the bytes of a file were overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wiped {
    /// They were.
    Overwritten,
    /// Its name was removed, and nothing else.
    Unlinked,
}

/// Why nothing more is wiped.
#[derive(Debug)]
pub(super) enum Halt {
    Asked,
    Disk(io::Error),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl Halt {
    pub fn error(self, path: &std::path::Path) -> Error {
        match self {
            Self::Asked => Error::Interrupted,
            Self::Disk(source) => Error::disk("destroying", path, source),
        }
    }
}

/// Overwrites a whole file with zeros, once, and syncs it. Its length stays: a shorter one would leave blocks behind.
pub(super) fn overwrite(file: &mut File, stop: &Stop) -> Result<(), Halt> {
    let mut left = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    while left > 0 {
        if stop.is_asked() {
            return Err(Halt::Asked);
        }
        let part = left.min(ZEROS.len() as u64) as usize;
        file.write_all(&ZEROS[..part])?;
        left -= part as u64;
    }
    file.sync_all()?;
    Ok(())
}

/// Wipes what has a name in a folder that is held open: a file, a link, or a folder with everything in it. Counts files
/// that were overwritten.
pub(super) fn wipe(dir: &Dir, name: &[u8], how: Overwrite, stop: &Stop) -> Result<u64, Halt> {
    wipe_below(dir, name, how, stop, DEPTH_MAX)
}

fn wipe_below(dir: &Dir, name: &[u8], how: Overwrite, stop: &Stop, depth: usize) -> Result<u64, Halt> {
    if stop.is_asked() {
        return Err(Halt::Asked);
    }
    match dir.look(name)? {
        Found::Nothing => Ok(0),
        Found::Folder if depth > 0 => {
            let inner = dir.enter(name)?;
            inner.set_mode(0o700)?;
            let mut overwritten = 0;
            for name in inner.names()? {
                overwritten += wipe_below(&inner, &name, how, stop, depth - 1)?;
            }
            inner.sync_names()?;
            dir.remove_if_empty(name)?;
            Ok(overwritten)
        }
        Found::File(_) => Ok(u64::from(wipe_file(dir, name, how, stop)? == Wiped::Overwritten)),
        _ => {
            dir.remove(name)?;
            Ok(0)
        }
    }
}

fn wipe_file(dir: &Dir, name: &[u8], how: Overwrite, stop: &Stop) -> Result<Wiped, Halt> {
    let mut wiped = Wiped::Unlinked;
    if how == Overwrite::InPlace
        // Bytes that have another name too are not this name's alone; a file that may not be written only loses its name.
        && let Ok(Some(mut file)) = dir.reopen(name)
    {
        overwrite(&mut file, stop)?;
        wiped = Wiped::Overwritten;
    }
    dir.remove(name)?;
    Ok(wiped)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test] // [S21.2]
    fn the_bytes_go_before_the_name() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::create_dir_all(at("part/held")).unwrap();
        fs::write(at("part/held/1"), vec![7; 700_000]).unwrap();
        fs::write(at("part/2"), b"secret").unwrap();
        fs::hard_link(at("part/2"), at("other name")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", at("part/link")).unwrap();
        let watched = File::open(at("part/held/1")).unwrap();
        let dir = Dir::open(scratch.path()).unwrap();
        let (_stopper, stop) = crate::stop::pair();

        let overwritten = wipe(&dir, b"part", Overwrite::InPlace, &stop).unwrap();

        assert_eq!(overwritten, 1, "what has another name is not overwritten");
        assert!(!at("part").exists());
        assert_eq!(fs::read(at("other name")).unwrap(), b"secret");
        let mut left = Vec::new();
        io::Read::read_to_end(&mut &watched, &mut left).unwrap();
        assert_eq!(left, vec![0; 700_000], "the bytes are zeros, and as many");
        fs::write(at("cow"), b"secret").unwrap();
        let watched = File::open(at("cow")).unwrap();
        assert_eq!(wipe(&dir, b"cow", Overwrite::Elsewhere, &stop).unwrap(), 0);
        assert!(!at("cow").exists());
        assert_eq!(watched.metadata().unwrap().len(), 6);
        assert_eq!(wipe(&dir, b"nothing", Overwrite::InPlace, &stop).unwrap(), 0);
    }

    #[test]
    fn it_stops_when_asked() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("a"), b"x").unwrap();
        let dir = Dir::open(scratch.path()).unwrap();
        let (stopper, stop) = crate::stop::pair();
        stopper.stop();
        assert!(matches!(wipe(&dir, b"a", Overwrite::InPlace, &stop), Err(Halt::Asked)));
        assert!(scratch.path().join("a").exists());
    }
}
