//! This machine's own files: who it is, which relays it knows, what it has sent and received.
//!
//! | file below the state folder | what |
//! |---|---|
//! | `identity` | the long-term signing key, OpenSSH format; with or without a passphrase |
//! | `identity.agent` | instead of it: the public half of a key that an ssh-agent holds |
//! | `identity.toml` | name and organisation shown with it |
//! | `link.key` | the seed of the key that authenticates connections of this machine as a seller |
//! | `relays.toml` | the relay book |
//! | `reached.toml` | which relays were last reached over TCP |
//! | `transfers/N/` | everything about transfer N: [`transfers`] |
//! | `relay/` | the data folder of the relay inside a push without a relay |
//!
//! Folders are 0700, files 0600, and a file is replaced whole: written beside, synced, renamed.

pub mod agent;
pub(crate) mod checked;
pub mod identity;
pub mod parties;
pub mod relays;
pub mod signing;
pub(crate) mod told;
pub mod transfers;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::link::network::{Network, TransportChoice};
use crate::link::proxy::Proxies;

use signing::{Lock, Unlock};

/// The environment variable that puts state and configuration into one folder.
pub const HOME_VARIABLE: &str = "HANDOVER_HOME";

/// Where this machine's files are.
#[derive(Clone, Debug)]
pub struct Home {
    state: PathBuf,
    config: PathBuf,
    network: Network,
    lock: Lock,
}

impl Home {
    /// Opens the files of this machine, making the folders at first use. `explicit` puts everything into one folder.
    ///
    /// # Errors
    /// [`Error::Disk`] when a folder cannot be made, [`Error::State`] when the platform names no home folder.
    pub fn open(explicit: Option<&Path>) -> Result<Self, Error> {
        let (state, config) = match explicit {
            Some(folder) => (folder.to_path_buf(), folder.to_path_buf()),
            None => platform_folders()?,
        };
        make_private_folder(&state)?;
        make_private_folder(&state.join("transfers"))?;
        // Absolute, so that a later change of the working folder does not matter.
        let state =
            fs::canonicalize(&state).map_err(|source| Error::disk("opening the state folder", &state, source))?;
        let network = Network::new(TransportChoice::Auto, Proxies::default(), Some(state.join("reached.toml")));
        Ok(Self { state, config, network, lock: Lock::default() })
    }

    /// The same files, with relays reached over these transports and through these proxies.
    #[must_use]
    pub fn reaching(self, choice: TransportChoice, proxies: Proxies) -> Self {
        let network = Network::new(choice, proxies, Some(self.state.join("reached.toml")));
        Self { network, ..self }
    }

    /// How relays are reached.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Asks this one for the passphrase when a protected key has to sign.
    #[must_use]
    pub fn unlocked_by(self, unlock: std::sync::Arc<dyn Unlock>) -> Self {
        Self { lock: Lock::new(unlock), ..self }
    }

    fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The folder of everything that must survive.
    pub fn state_folder(&self) -> &Path {
        &self.state
    }

    /// Where the configuration file would be, without making anything; `None` when the platform names no home folder.
    pub fn config_path(explicit: Option<&Path>) -> Option<PathBuf> {
        let folder = match explicit {
            Some(folder) => folder.to_path_buf(),
            None => platform_folders().ok()?.1,
        };
        Some(folder.join("config.toml"))
    }

    /// The configuration file; it need not exist.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The data folder of the relay inside a push without a relay.
    pub fn embedded_relay_folder(&self) -> PathBuf {
        self.state.join("relay")
    }
}

fn platform_folders() -> Result<(PathBuf, PathBuf), Error> {
    let Some(folders) = directories::ProjectDirs::from("", "", "handover") else {
        return Err(Error::State { what: "no home folder is known", path: PathBuf::from("~"), source: None });
    };
    let state = folders.state_dir().unwrap_or_else(|| folders.data_local_dir()).to_path_buf();
    Ok((state, folders.config_dir().to_path_buf()))
}

/// Makes a folder that only its owner can enter; an existing one is left as it is.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| Error::disk("making a folder", path, source))
}

/// Opens a new or existing file that only its owner can read.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Replaces a file whole: when this returns, either the old or the new content survives a loss of power.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let beside = path.with_extension("new");
    let written = (|| -> io::Result<()> {
        let mut file = private_options().write(true).create(true).truncate(true).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))
    })();
    written.map_err(|source| Error::disk("writing", path, source))
}

/// Replaces a file that holds a secret; the old file's bytes are overwritten, as far as the file system honours it.
pub(crate) fn replace_secret(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    // The old inode is opened before the rename takes its name away, and overwritten after the new one is safe.
    let old = private_options().write(true).open(path).ok();
    write_private(path, bytes)?;
    let Some(mut old) = old else { return Ok(()) };
    let wiped = old.metadata().and_then(|meta| {
        old.write_all(&vec![0u8; meta.len() as usize])?;
        old.sync_all()
    });
    wiped.map_err(|source| Error::disk("wiping the old secrets", path, source))
}

/// Reads a whole file of this machine; `None` if it is not there. Refuses one that is absurdly large.
pub(crate) fn read_private(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
    let reading = || -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() > bytes_max {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is larger than it can be"));
        }
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, bytes_max), &mut bytes)?;
        Ok(Some(bytes))
    };
    reading().map_err(|source| Error::disk("reading", path, source))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_files_are_for_the_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("home");
        let home = Home::open(Some(&folder)).unwrap();
        let file = home.state_folder().join("x");
        write_private(&file, b"one").unwrap();
        write_private(&file, b"two").unwrap();
        assert_eq!(read_private(&file, 10).unwrap().unwrap(), b"two");
        assert!(read_private(&file, 2).is_err());
        assert!(read_private(&folder.join("none"), 2).unwrap().is_none());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("transfers")), 0o700);
        assert_eq!(mode(&file), 0o600);
    }
}
