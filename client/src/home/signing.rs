//! The key this machine signs with, wherever it is: in a file, in a file that needs a passphrase, or with an ssh-agent.
//!
//! # Source
//! SPEC [S20.1] [S20.2] [S20.3].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use handover_shared::proof::{Identity, IdentityFault, ProofFault, PublicIdentity, Signer, SignerFault};
use zeroize::Zeroizing;

use super::agent::Agent;
use crate::error::Error;

/// Times a passphrase that does not fit is asked for again.
const ATTEMPTS_MAX: u32 = 3;

/// Gives the passphrase of a key.
pub trait Unlock: Send + Sync {
    /// The passphrase; `attempt` counts from 1.
    ///
    /// # Errors
    /// [`Error::AnswerNeeded`] when nobody can be asked; [`Error::Interrupted`]; [`Error::Disk`].
    fn passphrase(&self, attempt: u32) -> Result<Zeroizing<String>, Error>;

    /// Whether another one can be given when the first does not fit.
    fn can_try_again(&self) -> bool;
}

/// What opens protected keys, and the key that was opened.
#[derive(Clone, Default)]
pub struct Lock {
    unlock: Option<Arc<dyn Unlock>>,
    opened: Arc<Mutex<Option<Identity>>>,
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

impl Lock {
    /// Asks this one.
    pub fn new(unlock: Arc<dyn Unlock>) -> Self {
        Self { unlock: Some(unlock), opened: Arc::default() }
    }

    /// Opens a protected key; asks once, whatever is signed with it afterwards.
    fn open(&self, pem: &str, public: &PublicIdentity) -> Result<Identity, Error> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = opened.as_ref().filter(|identity| identity.public() == *public) {
            return Ok(identity.duplicate());
        }
        let unlock = self.unlock.as_ref().ok_or(Error::Signing(SignerFault::Locked))?;
        let identity = ask(unlock.as_ref(), |passphrase| Identity::of_protected(pem, passphrase.as_bytes()))?;
        *opened = Some(identity.duplicate());
        Ok(identity)
    }
}

/// Asks for a passphrase until it fits.
///
/// # Errors
/// [`Error::Signing`] when none fits, [`Error::BadKey`] when the key is of no use, and what asking gives.
pub fn ask<T>(unlock: &dyn Unlock, fits: impl Fn(&str) -> Result<T, IdentityFault>) -> Result<T, Error> {
    let mut attempt = 1;
    loop {
        let passphrase = unlock.passphrase(attempt)?;
        match fits(&passphrase) {
            Ok(found) => return Ok(found),
            Err(IdentityFault::Passphrase) if unlock.can_try_again() && attempt < ATTEMPTS_MAX => attempt += 1,
            Err(IdentityFault::Passphrase) => return Err(Error::Signing(SignerFault::WrongPassphrase)),
            Err(fault) => return Err(Error::BadKey(fault)),
        }
    }
}

/// Where a key is.
#[derive(Clone)]
enum Place {
    Open(Arc<Identity>),
    Protected { pem: Arc<Zeroizing<String>>, lock: Lock },
    Agent(Option<Agent>),
}

/// A key that signs.
#[derive(Clone)]
pub struct SigningKey {
    public: PublicIdentity,
    place: Place,
}

/// Where a key is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In a file of this machine.
    File,
    /// In a file of this machine, protected by a passphrase.
    ProtectedFile,
    /// With an ssh-agent.
    Agent,
}

impl SigningKey {
    /// A key in memory.
    pub fn open(identity: Identity) -> Self {
        Self { public: identity.public(), place: Place::Open(Arc::new(identity)) }
    }

    pub(super) fn protected(public: PublicIdentity, pem: Zeroizing<String>, lock: Lock) -> Self {
        Self { public, place: Place::Protected { pem: Arc::new(pem), lock } }
    }

    pub(super) fn with_agent(public: PublicIdentity) -> Self {
        Self { public, place: Place::Agent(Agent::of_session()) }
    }

    /// The public half.
    pub fn public(&self) -> PublicIdentity {
        self.public
    }

    /// A second handle of the same key.
    pub fn duplicate(&self) -> Self {
        self.clone()
    }

    /// Where it is.
    pub fn place(&self) -> KeyPlace {
        match &self.place {
            Place::Open(_) => KeyPlace::File,
            Place::Protected { .. } => KeyPlace::ProtectedFile,
            Place::Agent(_) => KeyPlace::Agent,
        }
    }

    /// The key itself, opened; not for one that an agent holds.
    ///
    /// # Errors
    /// [`Error::Signing`] and what asking gives.
    pub fn opened(&self) -> Result<Identity, Error> {
        match &self.place {
            Place::Open(identity) => Ok(identity.duplicate()),
            Place::Protected { pem, lock } => lock.open(pem, &self.public),
            Place::Agent(_) => Err(Error::Signing(SignerFault::Unusable)),
        }
    }

    /// Makes sure that it can sign: asks for the passphrase now rather than after hours of work.
    ///
    /// # Errors
    /// [`Error::Signing`] and what asking gives.
    pub fn unlock(&self) -> Result<(), Error> {
        match &self.place {
            Place::Open(_) => Ok(()),
            Place::Protected { pem, lock } => lock.open(pem, &self.public).map(drop),
            Place::Agent(agent) => {
                let agent = agent.as_ref().ok_or(Error::Signing(SignerFault::Unreachable))?;
                let held = agent.keys().map_err(Error::Signing)?;
                match held.iter().any(|held| held.key == self.public) {
                    true => Ok(()),
                    false => Err(Error::Signing(SignerFault::Absent)),
                }
            }
        }
    }
}

impl Signer for SigningKey {
    fn public(&self) -> PublicIdentity {
        self.public
    }

    fn sign_bytes(&self, bytes: &[u8]) -> Result<[u8; 64], SignerFault> {
        match &self.place {
            Place::Open(identity) => identity.sign_bytes(bytes),
            Place::Protected { pem, lock } => match lock.open(pem, &self.public) {
                Ok(identity) => identity.sign_bytes(bytes),
                Err(Error::Signing(fault)) => Err(fault),
                Err(error) => {
                    tracing::warn!(%error, "the key was not opened");
                    Err(SignerFault::Locked)
                }
            },
            Place::Agent(agent) => agent.as_ref().ok_or(SignerFault::Unreachable)?.sign(&self.public, bytes),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.fingerprint())
    }
}

/// Why a statement could not be made: whoever holds the key, or a fault of this program.
pub(crate) fn unsigned(fault: ProofFault) -> Error {
    match fault {
        ProofFault::Signer(fault) => Error::Signing(fault),
        other => Error::Internal(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use handover_shared::keys::OsEntropy;

    use super::*;

    struct Tells(Mutex<Vec<&'static str>>);

    impl Unlock for Tells {
        fn passphrase(&self, _attempt: u32) -> Result<Zeroizing<String>, Error> {
            let next = self.0.lock().unwrap().pop();
            next.map(|text| Zeroizing::new(text.to_owned())).ok_or(Error::Interrupted)
        }

        fn can_try_again(&self) -> bool {
            true
        }
    }

    #[test] // [S20.2]
    fn a_protected_key_is_opened_once_and_only_by_its_passphrase() {
        let identity = Identity::of_seed(&[5; 32]);
        let pem = identity.to_protected("长风 破浪".as_bytes(), &mut OsEntropy).unwrap();
        let key = |answers: &[&'static str]| {
            let unlock = Tells(Mutex::new(answers.iter().rev().copied().collect()));
            SigningKey::protected(identity.public(), pem.clone(), Lock::new(Arc::new(unlock)))
        };
        let good = key(&["wrong", "长风 破浪"]);
        assert_eq!(good.sign_bytes(b"x"), identity.sign_bytes(b"x"));
        // It was asked for twice, and is not asked for again.
        assert_eq!(good.sign_bytes(b"y"), identity.sign_bytes(b"y"));
        let wrong = key(&["a", "b", "c", "长风 破浪"]);
        assert!(matches!(wrong.unlock(), Err(Error::Signing(SignerFault::WrongPassphrase))));
        assert!(matches!(key(&[]).unlock(), Err(Error::Interrupted)));
        let nobody = SigningKey::protected(identity.public(), pem.clone(), Lock::default());
        assert_eq!(nobody.sign_bytes(b"x"), Err(SignerFault::Locked));
    }
}
