//! All transfers of this machine: found, begun, swept, and moved with their relay.

use std::fs;
use std::time::Duration;

use handover_shared::ids::LinkKey;
use handover_shared::keys::code::RelayAddress;

use super::{Folder, Held};
use crate::error::Error;
use crate::home::{Home, make_private_folder, sync_folder};

/// A folder without facts is dead when it is this old and nobody holds it.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(600);

impl Home {
    /// All transfers, oldest first.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn transfers(&self) -> Result<Vec<Folder>, Error> {
        let root = self.state_folder().join("transfers");
        let reading = |source| Error::disk("reading", &root, source);
        let mut found = Vec::new();
        for entry in fs::read_dir(&root).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let id = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            // A folder without facts is one whose first run died before it meant anything.
            if let Some(id) = id
                && entry.path().join("facts.json").exists()
            {
                found.push(Folder { path: entry.path(), id });
            }
        }
        found.sort_by_key(Folder::id);
        Ok(found)
    }

    /// One transfer by its number.
    ///
    /// # Errors
    /// [`Error::NoSuchTransfer`], [`Error::Disk`].
    pub fn transfer(&self, id: u64) -> Result<Folder, Error> {
        let found = self.transfers()?.into_iter().find(|folder| folder.id == id);
        found.ok_or_else(|| Error::NoSuchTransfer { asked: id.to_string() })
    }

    /// Notes for every transfer that is not over that the relay with this key has another address. One at which a run
    /// is working stays as it is.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`].
    pub fn move_relay(&self, key: &LinkKey, address: &RelayAddress) -> Result<(), Error> {
        for folder in self.transfers()? {
            let facts = folder.facts()?;
            if facts.embedded || !facts.state.is_open() || facts.relay_key != key.to_hex() {
                continue;
            }
            match folder.hold() {
                Ok(held) => held.move_relay(address)?,
                Err(Error::Held { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes what is left of runs that died before their transfer meant anything: folders without facts that nobody
    /// holds and that were not made just now.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn sweep_transfers(&self) -> Result<(), Error> {
        let root = self.state_folder().join("transfers");
        let reading = |source| Error::disk("reading", &root, source);
        for entry in fs::read_dir(&root).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let path = entry.path();
            let id = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            // A run that has just made its folder may not hold it yet.
            let is_old = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > DEAD_AFTER));
            if let Some(id) = id
                && is_old
                && !path.join("facts.json").exists()
                && let Ok(held) = (Folder { path, id }).hold()
            {
                held.discard()?;
            }
        }
        Ok(())
    }

    /// Makes the folder of a new transfer, with the next free number, and takes its lock.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn new_transfer(&self) -> Result<Held, Error> {
        let root = self.state_folder().join("transfers");
        make_private_folder(&root)?;
        let mut id = 1 + fs::read_dir(&root)
            .map_err(|source| Error::disk("reading", &root, source))?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok())
            .max()
            .unwrap_or(0);
        loop {
            let path = root.join(id.to_string());
            let mut builder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            match builder.create(&path) {
                Ok(()) => {
                    sync_folder(&root).map_err(|source| Error::disk("making a folder", &path, source))?;
                    return Folder { path, id }.hold();
                }
                // Another run was quicker.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => id += 1,
                Err(source) => return Err(Error::disk("making a folder", &path, source)),
            }
        }
    }
}
