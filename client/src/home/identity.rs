//! Who this machine signs as, and the key its connections carry.

use std::path::PathBuf;

use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::limits::LABEL_CHARS_MAX;
use handover_shared::proof::Identity;
use handover_shared::tls::LinkSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Home, read_private, write_private};
use crate::error::Error;

const KEY_BYTES_MAX: u64 = 16 * 1024;

/// A signing key and how its owner wants to be called.
pub struct Owner {
    /// Signs statements.
    pub identity: Identity,
    /// Shown to the other side.
    pub name: String,
    /// Shown to the other side.
    pub organisation: Option<String>,
    /// Whether it was made just now, at first use.
    pub is_new: bool,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organisation: Option<String>,
}

impl Home {
    fn identity_file(&self) -> PathBuf {
        self.state_folder().join("identity")
    }

    fn named_file(&self) -> PathBuf {
        self.state_folder().join("identity.toml")
    }

    /// The identity of this machine, if it has one.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`] when the files are damaged.
    pub fn identity(&self) -> Result<Option<Owner>, Error> {
        let path = self.identity_file();
        let Some(pem) = read_private(&path, KEY_BYTES_MAX)?.map(Zeroizing::new) else { return Ok(None) };
        let damaged = |source: Box<dyn std::error::Error + Send + Sync>| Error::State {
            what: "the identity cannot be read",
            path: path.clone(),
            source: Some(source),
        };
        let text = std::str::from_utf8(&pem).map_err(|error| damaged(error.into()))?;
        let identity = Identity::of_openssh(text).map_err(|error| damaged(error.into()))?;
        let named = match read_private(&self.named_file(), KEY_BYTES_MAX)? {
            None => Named { name: default_name(), organisation: None },
            Some(bytes) => {
                let text = String::from_utf8(bytes).map_err(|error| damaged(error.into()))?;
                toml::from_str(&text).map_err(|error| damaged(error.into()))?
            }
        };
        Ok(Some(Owner { identity, name: named.name, organisation: named.organisation, is_new: false }))
    }

    /// The identity of this machine; made, with a name taken from the system, if there is none yet.
    ///
    /// # Errors
    /// As [`Home::identity`].
    pub fn identity_or_new(&self) -> Result<Owner, Error> {
        match self.identity()? {
            Some(owner) => Ok(owner),
            None => self.create_identity(None, None),
        }
    }

    /// Makes a new identity.
    ///
    /// # Errors
    /// [`Error::Disk`]; [`Error::State`] if there is one already.
    pub fn create_identity(&self, name: Option<&str>, organisation: Option<&str>) -> Result<Owner, Error> {
        let name = name.map_or_else(default_name, cut);
        let identity = Identity::generate(&mut OsEntropy, &name);
        self.store_identity(identity, name, organisation.map(cut))
    }

    /// Takes an existing OpenSSH Ed25519 key as the identity.
    ///
    /// # Errors
    /// [`Error::State`] if the key cannot be used or there is an identity already, [`Error::Disk`].
    pub fn import_identity(&self, pem: &str, name: Option<&str>, organisation: Option<&str>) -> Result<Owner, Error> {
        let identity = Identity::of_openssh(pem).map_err(|error| Error::State {
            what: "the key cannot be imported",
            path: self.identity_file(),
            source: Some(error.into()),
        })?;
        self.store_identity(identity, name.map_or_else(default_name, cut), organisation.map(cut))
    }

    fn store_identity(&self, identity: Identity, name: String, organisation: Option<String>) -> Result<Owner, Error> {
        let path = self.identity_file();
        if path.exists() {
            return Err(Error::State { what: "there is an identity already", path, source: None });
        }
        let pem = identity.to_openssh();
        let named = toml::to_string(&Named { name: name.clone(), organisation: organisation.clone() })
            .map_err(|error| Error::Internal(error.to_string()))?;
        write_private(&self.named_file(), named.as_bytes())?;
        write_private(&path, pem.as_bytes())?;
        Ok(Owner { identity, name, organisation, is_new: true })
    }

    /// The key this machine's connections carry when it is a seller; made at first use.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`] when the file is damaged.
    pub fn link_secret(&self) -> Result<LinkSecret, Error> {
        let path = self.state_folder().join("link.key");
        let seed = match read_private(&path, 64)?.map(Zeroizing::new) {
            Some(bytes) => {
                let seed: [u8; 32] = bytes.as_slice().try_into().map_err(|error: std::array::TryFromSliceError| {
                    Error::State { what: "the link key is damaged", path: path.clone(), source: Some(error.into()) }
                })?;
                Zeroizing::new(seed)
            }
            None => {
                let mut seed = Zeroizing::new([0u8; 32]);
                OsEntropy.fill(&mut seed[..]);
                write_private(&path, &seed[..])?;
                seed
            }
        };
        LinkSecret::of_seed(seed).map_err(|error| Error::Internal(error.to_string()))
    }
}

fn cut(text: &str) -> String {
    text.trim().chars().take(LABEL_CHARS_MAX).collect()
}

/// The name of the person at this machine as the system knows it, else of the machine.
fn default_name() -> String {
    let user = ["USER", "USERNAME", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    match user.filter(|user| !user.is_empty()) {
        Some(user) => cut(&format!("{user}@{host}")),
        None => cut(&host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once_and_kept() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::open(Some(scratch.path())).unwrap();
        assert!(home.identity().unwrap().is_none());
        let first = home.create_identity(Some(" 王家电 "), Some("Wang Appliances")).unwrap();
        assert!(first.is_new);
        let again = home.identity_or_new().unwrap();
        assert!(!again.is_new);
        assert_eq!(again.name, "王家电");
        assert_eq!(again.organisation.as_deref(), Some("Wang Appliances"));
        assert_eq!(again.identity.public().fingerprint(), first.identity.public().fingerprint());
        assert!(home.create_identity(None, None).is_err());
        assert_eq!(home.link_secret().unwrap().public(), home.link_secret().unwrap().public());
    }
}
