//! The data folder: who may be in it, and the relay's own two secrets.
//!
//! | name | what | mode |
//! |---|---|---|
//! | `lock` | held while a relay runs here | 0600 |
//! | `relay.key` | the seed of the relay key, 32 bytes | 0600 |
//! | `first-invite` | the secret of the first invite, 16 bytes | 0600 |
//! | `address` | what invites say, for the program's other verbs | 0600 |
//! | `ledger.sqlite` and its `-wal`, `-shm` | the ledger | 0600 |
//! | `segments/` | sealed blocks and agreements' sealed documents | 0700 |
//! | `shares/` | relay shares; must not be backed up | 0700 |

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use handover_shared::keys::address::RelayAddress;
use handover_shared::tls::LinkSecret;
use zeroize::Zeroizing;

use crate::store::files::remove_if_there;

const ADDRESS: &str = "address";

/// An opened data folder; nobody else can open it for a relay while this lives.
pub struct Home {
    folder: PathBuf,
    _lock: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another relay runs in it.
    #[error("another relay uses the data folder {folder}")]
    Held {
        /// Which folder.
        folder: PathBuf,
    },
    /// No relay has ever run in it.
    #[error("no relay has run in {folder} yet")]
    Empty {
        /// Which folder.
        folder: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {tried} {path}")]
    Io {
        /// What was tried.
        tried: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A secret's file was not written by this program.
    #[error("{path} is {seen} bytes long, it must have {wanted}")]
    WrongLength {
        /// Which file.
        path: PathBuf,
        /// Its length in bytes.
        seen: usize,
        /// What it should be.
        wanted: usize,
    },
    /// The key is refused.
    #[error("the relay key is refused")]
    Key(#[source] rustls::Error),
}

impl Home {
    /// Opens a folder for a relay, making it if missing.
    ///
    /// # Errors
    /// [`HomeError::Held`] while another relay runs in it.
    pub fn open(folder: &Path) -> Result<Self, HomeError> {
        let failed = |tried, path: &Path| {
            let path = path.to_owned();
            move |source| HomeError::Io { tried, path, source }
        };
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(failed("make the folder", parent))?;
        }
        create_folder(folder).map_err(failed("make the folder", folder))?;
        let path = folder.join("lock");
        let lock = private_file(OpenOptions::new().write(true).create(true).truncate(false))
            .open(&path)
            .map_err(failed("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {
                // Secrets whose names an earlier process did not get to sync [S13.9].
                sync_folder(folder).map_err(failed("sync the folder", folder))?;
                Ok(Self { folder: folder.to_owned(), _lock: lock })
            }
            Err(fs::TryLockError::WouldBlock) => Err(HomeError::Held { folder: folder.to_owned() }),
            Err(fs::TryLockError::Error(source)) => Err(HomeError::Io { tried: "lock", path, source }),
        }
    }

    /// The relay key, made at the first start.
    ///
    /// # Errors
    /// What the file system says, or a file of another length.
    pub fn relay_key(&self) -> Result<LinkSecret, HomeError> {
        let seed = self.secret::<32>("relay.key", Missing::Make)?;
        LinkSecret::of_seed(seed).map_err(HomeError::Key)
    }

    /// The secret of the first invite; a new one replaces it when asked for.
    ///
    /// # Errors
    /// What the file system says, or a file of another length.
    pub fn first_invite<const N: usize>(&self, missing: Missing) -> Result<Zeroizing<[u8; N]>, HomeError> {
        self.secret("first-invite", missing)
    }

    /// Keeps the address for whoever makes invites beside the running relay.
    ///
    /// # Errors
    /// What the file system says.
    pub fn set_advertised(&self, address: &RelayAddress) -> Result<(), HomeError> {
        let failed = |source| HomeError::Io { tried: "write", path: self.folder.join(ADDRESS), source };
        write_secret(&self.folder, ADDRESS, format!("{address}\n").as_bytes()).map_err(failed)
    }

    /// Where the ledger is.
    pub fn ledger(&self) -> PathBuf {
        ledger_path(&self.folder)
    }

    /// Where the segments are.
    pub fn segments(&self) -> PathBuf {
        self.folder.join("segments")
    }

    /// Where the shares are.
    pub fn shares(&self) -> PathBuf {
        self.folder.join("shares")
    }

    fn secret<const N: usize>(&self, name: &str, missing: Missing) -> Result<Zeroizing<[u8; N]>, HomeError> {
        let path = self.folder.join(name);
        let failed = |tried| {
            let path = path.clone();
            move |source| HomeError::Io { tried, path, source }
        };
        if let Missing::Make = missing {
            let there = exact(&path, read_secret(&path).map_err(failed("read"))?)?;
            if let Some(secret) = there {
                return Ok(secret);
            }
        }
        let secret = Zeroizing::new(random::<N>().map_err(failed("find randomness for"))?);
        write_secret(&self.folder, name, &secret[..]).map_err(failed("write"))?;
        Ok(secret)
    }
}

/// What to do about a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Read it, or make it if it is missing.
    Make,
    /// Make another one in any case.
    Replace,
}

/// Where the ledger of a data folder is.
pub fn ledger_path(folder: &Path) -> PathBuf {
    folder.join("ledger.sqlite")
}

/// The relay key of a data folder in which a relay has run.
///
/// # Errors
/// [`HomeError::Empty`] if none has.
pub fn existing_key(folder: &Path) -> Result<LinkSecret, HomeError> {
    let path = folder.join("relay.key");
    let read = read_secret(&path);
    let bytes = read.map_err(|source| HomeError::Io { tried: "read", path: path.clone(), source })?;
    let seed = exact(&path, bytes)?.ok_or_else(|| HomeError::Empty { folder: folder.to_owned() })?;
    LinkSecret::of_seed(seed).map_err(HomeError::Key)
}

/// The address that the relay of a data folder last told others, if it ever ran.
///
/// # Errors
/// What the file system says; a text that is no address counts as none.
pub fn advertised(folder: &Path) -> Result<Option<RelayAddress>, HomeError> {
    let path = folder.join(ADDRESS);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(HomeError::Io { tried: "read", path, source }),
    }
}

/// Makes a folder for its owner alone, durably; its being there is success. Whoever made it may have died before its
/// name was synced, so that is done in any case [S13.9].
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        outcome => outcome?,
    }
    folder.parent().map_or(Ok(()), sync_folder)
}

/// Files made with these options are for their owner alone.
pub(crate) fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()
    }
    #[cfg(not(unix))]
    {
        // The other systems keep names with the files.
        let _ = folder;
        Ok(())
    }
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|error| io::Error::other(format!("no randomness: {error}")))?;
    Ok(bytes)
}

fn exact<const N: usize>(
    path: &Path,
    bytes: Option<Zeroizing<Vec<u8>>>,
) -> Result<Option<Zeroizing<[u8; N]>>, HomeError> {
    let Some(bytes) = bytes else { return Ok(None) };
    if bytes.len() != N {
        return Err(HomeError::WrongLength { path: path.to_owned(), seen: bytes.len(), wanted: N });
    }
    let mut secret = Zeroizing::new([0; N]);
    secret.copy_from_slice(&bytes);
    Ok(Some(secret))
}

fn read_secret(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        outcome => outcome?,
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    file.take(64).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes beside and renames, so that a crash leaves the old secret or the new one.
fn write_secret(folder: &Path, name: &str, secret: &[u8]) -> io::Result<()> {
    let beside = folder.join(format!("{name}.new"));
    remove_if_there(&beside)?;
    let mut file = private_file(OpenOptions::new().write(true).create_new(true)).open(&beside)?;
    file.write_all(secret)?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(name))?;
    sync_folder(folder)
}
