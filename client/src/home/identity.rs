//! Who this machine signs as, and the key its connections carry.

use std::path::PathBuf;

use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::limits::LABEL_CHARS_MAX;
use handover_shared::proof::{Identity, Protection, PublicIdentity};
use handover_shared::tls::LinkSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::signing::{self, SigningKey, Unlock};
use super::{Home, read_private, write_private};
use crate::error::Error;

const KEY_BYTES_MAX: u64 = 16 * 1024;

/// A signing key and how its owner wants to be called.
pub struct Owner {
    /// Signs statements.
    pub identity: SigningKey,
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

    /// Instead of the key file: the public half of a key that an ssh-agent holds.
    fn agent_file(&self) -> PathBuf {
        self.state_folder().join("identity.agent")
    }

    fn named_file(&self) -> PathBuf {
        self.state_folder().join("identity.toml")
    }

    /// The identity of this machine, if it has one. A protected key is opened when it signs, or by
    /// [`SigningKey::unlock`].
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`] when the files are damaged.
    pub fn identity(&self) -> Result<Option<Owner>, Error> {
        let Some(identity) = self.signing_key()? else { return Ok(None) };
        let path = self.named_file();
        let damaged = |source| damaged(path.clone(), source);
        let named = match read_private(&path, KEY_BYTES_MAX)? {
            None => Named { name: default_name(), organisation: None },
            Some(bytes) => {
                let text = String::from_utf8(bytes).map_err(|error| damaged(error.into()))?;
                toml::from_str(&text).map_err(|error| damaged(error.into()))?
            }
        };
        Ok(Some(Owner { identity, name: named.name, organisation: named.organisation, is_new: false }))
    }

    fn signing_key(&self) -> Result<Option<SigningKey>, Error> {
        let (path, agent_path) = (self.identity_file(), self.agent_file());
        if let Some(pem) = read_private(&path, KEY_BYTES_MAX)?.map(Zeroizing::new) {
            let text = std::str::from_utf8(&pem).map_err(|error| damaged(path.clone(), error.into()))?;
            let (public, protection) = Identity::peek(text).map_err(|fault| damaged(path.clone(), fault.into()))?;
            return Ok(Some(match protection {
                Protection::Passphrase => {
                    SigningKey::protected(public, Zeroizing::new(text.to_owned()), self.lock().clone())
                }
                Protection::None => {
                    SigningKey::open(Identity::of_openssh(text).map_err(|fault| damaged(path, fault.into()))?)
                }
            }));
        }
        let Some(line) = read_private(&agent_path, KEY_BYTES_MAX)? else { return Ok(None) };
        let text = String::from_utf8(line).map_err(|error| damaged(agent_path.clone(), error.into()))?;
        let public = PublicIdentity::of_openssh(&text).map_err(|fault| damaged(agent_path, fault.into()))?;
        Ok(Some(SigningKey::with_agent(public)))
    }

    /// Makes sure that the identity can sign, if there is one: what it needs is asked for now, and once.
    ///
    /// # Errors
    /// As [`SigningKey::unlock`] and [`Home::identity`].
    pub fn unlock(&self) -> Result<(), Error> {
        self.identity()?.map_or(Ok(()), |owner| owner.identity.unlock())
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
        self.refuse_second()?;
        let comment = name.map_or_else(default_name, cut);
        let identity = Identity::generate(&mut OsEntropy, &comment);
        self.store_named(name, organisation)?;
        write_private(&self.identity_file(), identity.to_openssh().as_bytes())?;
        self.new_owner()
    }

    /// Takes an existing OpenSSH Ed25519 key as the identity. One that needs a passphrase goes on needing it, and is
    /// opened once here.
    ///
    /// # Errors
    /// [`Error::BadKey`] if the key cannot be used, [`Error::Signing`] if the passphrase does not fit, [`Error::State`] if
    /// there is an identity already, [`Error::Disk`].
    pub fn import_identity(
        &self,
        pem: &str,
        unlock: &dyn Unlock,
        name: Option<&str>,
        organisation: Option<&str>,
    ) -> Result<Owner, Error> {
        self.refuse_second()?;
        let (_, protection) = Identity::peek(pem).map_err(Error::BadKey)?;
        if protection == Protection::Passphrase {
            signing::ask(unlock, |passphrase| Identity::of_protected(pem, passphrase.as_bytes()))?;
        } else {
            Identity::of_openssh(pem).map_err(Error::BadKey)?;
        }
        self.store_named(name, organisation)?;
        write_private(&self.identity_file(), pem.as_bytes())?;
        self.new_owner()
    }

    /// Takes a key that an ssh-agent holds as the identity.
    ///
    /// # Errors
    /// [`Error::State`] if there is an identity already, [`Error::Disk`].
    pub fn adopt_identity(
        &self,
        key: &PublicIdentity,
        name: Option<&str>,
        organisation: Option<&str>,
    ) -> Result<Owner, Error> {
        self.refuse_second()?;
        self.store_named(name, organisation)?;
        write_private(&self.agent_file(), key.to_openssh("").as_bytes())?;
        self.new_owner()
    }

    /// Protects the key file with another passphrase, or with none. What was in it is overwritten, as far as the file
    /// system honours it.
    ///
    /// # Errors
    /// [`Error::State`] if the key is not the one of the file; [`Error::BadKey`]; [`Error::Disk`].
    pub fn protect_identity(&self, key: &Identity, new: Option<&str>) -> Result<(), Error> {
        let path = self.identity_file();
        if self.signing_key()?.map(|kept| kept.public()) != Some(key.public()) || !path.exists() {
            return Err(Error::State { what: "there is no key file", path, source: None });
        }
        let written = match new {
            Some(passphrase) => key.to_protected(passphrase.as_bytes(), &mut OsEntropy).map_err(Error::BadKey)?,
            None => key.to_openssh(),
        };
        super::replace_secret(&path, written.as_bytes())
    }

    fn refuse_second(&self) -> Result<(), Error> {
        match [self.identity_file(), self.agent_file()].into_iter().find(|path| path.exists()) {
            Some(path) => Err(Error::State { what: "there is an identity already", path, source: None }),
            None => Ok(()),
        }
    }

    fn store_named(&self, name: Option<&str>, organisation: Option<&str>) -> Result<(), Error> {
        let named = Named { name: name.map_or_else(default_name, cut), organisation: organisation.map(cut) };
        let text = toml::to_string(&named).map_err(|error| Error::Internal(error.to_string()))?;
        write_private(&self.named_file(), text.as_bytes())
    }

    fn new_owner(&self) -> Result<Owner, Error> {
        let owner = self.identity()?.ok_or_else(|| Error::Internal("the identity was not kept".into()))?;
        Ok(Owner { is_new: true, ..owner })
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

fn damaged(path: PathBuf, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::State { what: "the identity cannot be read", path, source: Some(source) }
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
