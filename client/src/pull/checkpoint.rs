//! Checkpoints: from where the next run goes on, written only after everything before it is synced.
//!
//! # Source
//! SPEC [S15.3].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use handover_shared::archive::reader::ReaderState;
use handover_shared::archive::stream::Position;
use handover_shared::codec;
use minicbor::{Decode, Encode};

use super::disk::Dir;
use super::place::PlacerState;
use crate::error::Error;
use crate::home::{checked, read_private, write_private};

const VERSION: u32 = 2;
const CHECKPOINT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How far a pull is.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Checkpoint {
    /// Layout of this structure.
    #[n(0)]
    version: u32,
    /// How far.
    #[n(1)]
    pub stage: Stage,
    /// The placer behind it.
    #[n(2)]
    pub placer: PlacerState,
}

/// What has been done.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) enum Stage {
    /// Everything before this place of the stream is placed.
    #[n(0)]
    Stream(#[n(0)] Position, #[n(1)] Box<ReaderState>),
    /// The archive came whole; this is its tail record.
    #[n(1)]
    Whole(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
}

impl Checkpoint {
    /// A checkpoint of this layout.
    pub fn new(stage: Stage, placer: PlacerState) -> Self {
        Self { version: VERSION, stage, placer }
    }

    /// Reads the checkpoint of the run before; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Disk`]. One that cannot be understood counts as none: what is placed will be found again.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let Some(bytes) = read_private(path, CHECKPOINT_BYTES_MAX)? else { return Ok(None) };
        let checkpoint: Option<Self> = checked::body(&bytes).and_then(|body| codec::decode(body).ok());
        if checkpoint.is_none() {
            tracing::warn!("the checkpoint cannot be read; beginning anew");
        }
        Ok(checkpoint.filter(|checkpoint| checkpoint.version == VERSION))
    }

    /// Replaces the checkpoint; everything before it has been synced.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        write_private(path, &checked::file(&codec::encode(self)))
    }

    /// Removes the checkpoint.
    pub fn remove(path: &Path) -> Result<(), Error> {
        match std::fs::remove_file(path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::disk("removing the checkpoint", path, source))
            }
            _ => Ok(()),
        }
    }
}

/// Syncs and writes checkpoints on a thread of its own, one at a time.
pub(super) struct Keeper {
    save: SyncSender<Box<Checkpoint>>,
    thread: JoinHandle<Result<(), Error>>,
}

impl Keeper {
    /// Begins. `destination` and `list` are what is synced before each checkpoint.
    pub fn start(path: PathBuf, destination: Dir, list: File) -> Result<Self, Error> {
        let (save, saves) = sync_channel(0);
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || keep(&path, &destination, &list, &saves))
            .map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Self { save, thread })
    }

    /// Takes a checkpoint if the one before it is written.
    pub fn offer(&self, checkpoint: Checkpoint) -> Offered {
        match self.save.try_send(Box::new(checkpoint)) {
            Ok(()) => Offered::Taken,
            Err(TrySendError::Full(_)) => Offered::Busy,
            Err(TrySendError::Disconnected(_)) => Offered::Stopped,
        }
    }

    /// Hands a checkpoint over, however long the one before it takes.
    pub fn insist(&self, checkpoint: Checkpoint) {
        if self.save.send(Box::new(checkpoint)).is_err() {
            tracing::debug!("the keeper of checkpoints has stopped; it will say why");
        }
    }

    /// Writes a last checkpoint, if there is one, and ends.
    pub fn finish(self, last: Option<Checkpoint>) -> Result<(), Error> {
        if let Some(last) = last {
            self.insist(last);
        }
        drop(self.save);
        self.thread.join().unwrap_or_else(|_panic| Err(Error::Internal("the keeper of checkpoints panicked".into())))
    }
}

/// What came of offering a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// It will be written.
    Taken,
    /// The one before it is still being written.
    Busy,
    /// Writing failed; [`Keeper::finish`] says why.
    Stopped,
}

/// Whether what earlier runs placed behind their last checkpoint may have been lost by a sync that failed: the system
/// shows such files whole and does not write them any more, so that syncing them once more proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Every sync succeeded, or nobody got to it.
    Kept,
    /// A sync failed.
    Lost,
}

impl Trust {
    /// What earlier runs noted beside this checkpoint.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let noted = read_private(&doubt_file(path), 1024)?;
        Ok(if noted.is_some() { Self::Lost } else { Self::Kept })
    }
}

/// Where it is noted that a sync failed, by where the checkpoint is.
pub(super) fn doubt_file(checkpoint: &Path) -> PathBuf {
    checkpoint.with_file_name("doubt")
}

fn keep(path: &Path, destination: &Dir, list: &File, saves: &Receiver<Box<Checkpoint>>) -> Result<(), Error> {
    for checkpoint in saves {
        // [S15.3]
        if let Err(source) = destination.sync_file_system() {
            write_private(&doubt_file(path), b"a sync failed\n")?;
            return Err(Error::disk("syncing what was received", path, source));
        }
        list.sync_data().map_err(|source| Error::disk("syncing the list", path, source))?;
        checkpoint.write(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(ordinal: u64) -> Checkpoint {
        let placer = PlacerState { ordinal, ..PlacerState::default() };
        Checkpoint::new(Stage::Whole(vec![1, 2, 3]), placer)
    }

    #[test] // [S15.3]
    fn the_last_checkpoint_is_the_one_that_counts() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("checkpoint");
        assert!(Checkpoint::read(&path).unwrap().is_none());
        let list = File::create(scratch.path().join("list")).unwrap();
        let keeper = Keeper::start(path.clone(), Dir::open(scratch.path()).unwrap(), list).unwrap();
        let mut taken = 0;
        for ordinal in 0..50 {
            if keeper.offer(checkpoint(ordinal)) == Offered::Taken {
                taken += 1;
            }
            std::thread::yield_now();
        }
        assert!(taken <= 50);
        keeper.finish(Some(checkpoint(99))).unwrap();
        assert_eq!(Checkpoint::read(&path).unwrap(), Some(checkpoint(99)));
        Checkpoint::remove(&path).unwrap();
        Checkpoint::remove(&path).unwrap();
        assert!(Checkpoint::read(&path).unwrap().is_none());
    }

    #[test]
    fn a_damaged_checkpoint_counts_as_none() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("checkpoint");
        let mut altered = checked::file(&codec::encode(&checkpoint(1)));
        altered[12] ^= 1;
        let other = checked::file(&codec::encode(&Checkpoint { version: 9, ..checkpoint(1) }));
        for bytes in [&b""[..], b"nonsense", &altered, &other] {
            std::fs::write(&path, bytes).unwrap();
            assert!(Checkpoint::read(&path).unwrap().is_none());
        }
    }
}
