//! The relay shares: a file each, kept out of the ledger so that erasing the file erases the only copy.
//!
//! # Shape
//! The share, 32 bytes, and the first 8 bytes of its SHA-256: a share with a wrong bit would be released once and open
//! nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use handover_shared::ids::TransferId;
use zeroize::Zeroizing;

use super::files::names_in;
use crate::home::{create_folder, private_file, sync_folder};

const SHARE_BYTES: u64 = 32;
const CHECK_BYTES: usize = 8;

/// The shares in a folder; every call may block.
pub struct Shares {
    folder: PathBuf,
}

impl Shares {
    /// Uses a folder, which is made if missing.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        create_folder(&folder)?;
        Ok(Self { folder })
    }

    /// Stores a share durably, in the place of one that a crash left behind.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put(&self, id: TransferId, share: &[u8; 32]) -> io::Result<()> {
        let mut file = private_file(OpenOptions::new().write(true).create(true).truncate(true)).open(self.path(id))?;
        file.write_all(share)?;
        file.write_all(&check(share))?;
        file.sync_all()?;
        sync_folder(&self.folder)
    }

    /// Reads a share, if it is there.
    ///
    /// # Errors
    /// `InvalidData` for a file that is damaged; else what the file system says.
    pub fn read(&self, id: TransferId) -> io::Result<Option<Zeroizing<[u8; 32]>>> {
        let mut file = match File::open(self.path(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            outcome => outcome?,
        };
        if file.metadata()?.len() != SHARE_BYTES + CHECK_BYTES as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut share = Zeroizing::new([0; 32]);
        file.read_exact(&mut share[..])?;
        let mut sum = [0; CHECK_BYTES];
        file.read_exact(&mut sum)?;
        if sum == check(&share) { Ok(Some(share)) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Overwrites, syncs, removes and syncs again; its not being there is success [S13.7].
    ///
    /// # Errors
    /// What the file system says.
    pub fn erase(&self, id: TransferId) -> io::Result<()> {
        let path = self.path(id);
        let mut file = match OpenOptions::new().write(true).open(&path) {
            // A crash may have come between the removal and its sync.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return sync_folder(&self.folder),
            outcome => outcome?,
        };
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(0))?;
        io::copy(&mut io::repeat(0).take(length), &mut file)?;
        file.sync_all()?;
        std::fs::remove_file(&path)?;
        sync_folder(&self.folder)
    }

    /// Transfers whose share is here.
    ///
    /// # Errors
    /// What the file system says.
    pub fn transfers(&self) -> io::Result<Vec<TransferId>> {
        Ok(names_in(&self.folder)?.iter().filter_map(|name| TransferId::from_hex(name)).collect())
    }

    fn path(&self, id: TransferId) -> PathBuf {
        self.folder.join(id.to_hex())
    }
}

fn check(share: &[u8; 32]) -> [u8; CHECK_BYTES] {
    let digest = handover_shared::proof::digest(share);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest.0[..CHECK_BYTES]);
    check
}
