//! Segments as files: `segments/<transfer>/<first block>-<random>.seg`.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::{Buf, Bytes};
use handover_shared::ids::{BlockIndex, TransferId, hex};

use super::{SegmentReader, SegmentWriter, Segments};
use crate::home::{create_folder, private_file, random, sync_folder};

/// Pieces given to one write; more would be refused by the system.
const PIECES_PER_WRITE: usize = 512;

/// Segments in a folder.
pub struct Files {
    folder: PathBuf,
    /// Transfers whose folder this process has made durable.
    known: Mutex<HashSet<TransferId>>,
}

impl Files {
    /// Uses a folder, which is made if missing.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        create_folder(&folder)?;
        Ok(Self { folder, known: Mutex::default() })
    }

    /// Makes the folder of a transfer; one whose name could not be synced is not known, and tried again.
    fn make(&self, id: TransferId) -> io::Result<PathBuf> {
        let folder = self.of(id);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&id) || !folder.is_dir() {
            create_folder(&folder)?;
            known.insert(id);
        }
        Ok(folder)
    }

    fn of(&self, id: TransferId) -> PathBuf {
        self.folder.join(id.to_hex())
    }
}

impl Segments for Files {
    fn create(&self, id: TransferId, first: BlockIndex) -> io::Result<Box<dyn SegmentWriter>> {
        let folder = self.make(id)?;
        let name = format!("{:010}-{}.seg", first.0, hex(&random::<8>()?));
        let path = folder.join(&name);
        let file = private_file(OpenOptions::new().write(true).create_new(true)).open(&path)?;
        Ok(Box::new(Writer { file, folder, name, state: State::Unfinished }))
    }

    fn open(&self, id: TransferId, name: &str) -> io::Result<Box<dyn SegmentReader>> {
        Ok(Box::new(Reader(File::open(self.of(id).join(name))?)))
    }

    fn delete(&self, id: TransferId) -> io::Result<()> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        match fs::remove_dir_all(self.of(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.and_then(|()| sync_folder(&self.folder)),
        }
    }

    fn remove(&self, id: TransferId, name: &str) -> io::Result<()> {
        remove_if_there(&self.of(id).join(name))
    }

    fn transfers(&self) -> io::Result<Vec<TransferId>> {
        let names = names_in(&self.folder)?;
        Ok(names.iter().filter_map(|name| TransferId::from_hex(name)).collect())
    }

    fn names(&self, id: TransferId) -> io::Result<Vec<String>> {
        names_in(&self.of(id))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let room = rustix::fs::statvfs(&self.folder)?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }
}

enum State {
    Unfinished,
    Durable,
}

struct Writer {
    file: File,
    folder: PathBuf,
    name: String,
    state: State,
}

impl SegmentWriter for Writer {
    fn write(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        for some in pieces.chunks(PIECES_PER_WRITE) {
            write_all(&mut self.file, some)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<String> {
        self.file.sync_data()?;
        sync_folder(&self.folder)?;
        self.state = State::Durable;
        Ok(self.name.clone())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let State::Unfinished = self.state {
            // Whatever stays is an orphan and goes at the next start [S13.9].
            if let Err(error) = fs::remove_file(self.folder.join(&self.name)) {
                tracing::debug!(%error, "an unfinished segment was not removed");
            }
        }
    }
}

struct Reader(File);

impl SegmentReader for Reader {
    fn read(&mut self, offset: u64, length: usize) -> io::Result<Bytes> {
        self.0.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(length);
        (&mut self.0).take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes.into())
    }
}

fn write_all(file: &mut File, pieces: &[Bytes]) -> io::Result<()> {
    let mut rest: Vec<&[u8]> = pieces.iter().map(Bytes::chunk).filter(|piece| !piece.is_empty()).collect();
    let mut from = 0;
    while from < rest.len() {
        let slices: Vec<IoSlice<'_>> = rest[from..].iter().map(|piece| IoSlice::new(piece)).collect();
        let mut written = match file.write_vectored(&slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        while from < rest.len() && written >= rest[from].len() {
            written -= rest[from].len();
            from += 1;
        }
        if written > 0 {
            rest[from] = &rest[from][written..];
        }
    }
    Ok(())
}

/// Removes a file; its not being there is success.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// The names in a folder that can be written as text; an absent folder has none.
pub(crate) fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        outcome => outcome?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect()
}
