//! The words of a push: where it goes, and what makes two pushes the same.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use handover_shared::codec;
use handover_shared::ids::LinkKey;
use handover_shared::invite::Invite;
use handover_shared::keys::code::RelayAddress;
use minicbor::bytes::ByteVec;

use super::plan::Top;
use super::{PushOptions, RelayChoice};
use crate::agreement::Document;
use crate::error::Error;
use crate::home::Home;
use crate::home::relays::KnownRelay;
use crate::home::transfers::{Facts, KeptPath};

/// Where to push to, as far as that is known before anything is asked.
pub enum Place {
    /// One that is in the book.
    Known(KnownRelay),
    /// One to enrol at first.
    Invited(Invite),
    /// One inside this process.
    Embedded,
}

impl Place {
    /// Finds the relay that is meant.
    ///
    /// # Errors
    /// [`Error::NoRelay`] for one that is not in the book; [`Error::Disk`], [`Error::State`].
    pub fn choose(home: &Home, choice: RelayChoice) -> Result<Self, Error> {
        let book = home.relays()?;
        let known = |address: &RelayAddress| book.iter().find(|known| known.address == *address).cloned();
        match choice {
            RelayChoice::Default => Ok(book.first().cloned().map_or(Self::Embedded, Self::Known)),
            RelayChoice::Known(address) => known(&address).map(Self::Known).ok_or(Error::NoRelay),
            RelayChoice::Invite(invite) => Ok(Self::Invited(invite)),
            RelayChoice::Embedded => Ok(Self::Embedded),
        }
    }

    /// Whether a transfer goes there. A relay is known by its key: an invite with another address says that it moved.
    pub fn is_of(&self, facts: &Facts) -> bool {
        let is_with = |key: &LinkKey| !facts.embedded && facts.relay_key == key.to_hex();
        match self {
            Self::Known(known) => is_with(&known.key) && facts.relay == known.address.to_string(),
            Self::Invited(invite) => is_with(&invite.relay_key),
            Self::Embedded => facts.embedded,
        }
    }
}

/// What makes two pushes the same.
pub struct Words {
    /// What was asked for, by its real path.
    pub sources: Vec<KeptPath>,
    /// A hash of everything that shapes the archive.
    pub options: String,
}

impl Words {
    /// Of a push for these paths.
    pub fn of(tops: &[Top], options: &PushOptions, document: Option<&Document>) -> Self {
        let path = |path: &PathBuf| ByteVec::from(path.as_os_str().as_bytes().to_vec());
        let names: Vec<_> = tops.iter().map(|top| ByteVec::from(top.name.clone())).collect();
        let lists: Vec<_> = options.filters.exclude_from.iter().map(path).collect();
        let shape = (names, &options.filters.include, &options.filters.exclude, lists, options.follow);
        let agreement = document.map(|document| (document.name.as_str(), document.digest()));
        let source = |top: &Top| KeptPath::of(top.source.as_deref().unwrap_or("-".as_ref()));
        Self {
            sources: tops.iter().map(source).collect(),
            options: blake3::hash(&codec::encode(&(shape, agreement))).to_hex().to_string(),
        }
    }
}
