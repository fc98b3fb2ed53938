//! The relay book: which relays this machine may push through, and under which key it knows them.

use handover_shared::ids::{LinkKey, Millis};
use handover_shared::keys::code::RelayAddress;
use serde::{Deserialize, Serialize};

use super::{Home, read_private, write_private};
use crate::error::Error;

const BOOK_BYTES_MAX: u64 = 1024 * 1024;

/// A relay this machine is enrolled at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRelay {
    /// Where it is.
    pub address: RelayAddress,
    /// Whom we expect there.
    pub key: LinkKey,
    /// When it was added.
    pub added: Millis,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Book {
    #[serde(default, rename = "relay")]
    relays: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    address: String,
    key: String,
    added: u64,
}

impl Home {
    fn book_file(&self) -> std::path::PathBuf {
        self.state_folder().join("relays.toml")
    }

    /// All known relays; the first is the one a push uses unless told otherwise.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`] when the book is damaged.
    pub fn relays(&self) -> Result<Vec<KnownRelay>, Error> {
        let path = self.book_file();
        let damaged = |source: Option<Box<dyn std::error::Error + Send + Sync>>| Error::State {
            what: "the relay book cannot be read",
            path: path.clone(),
            source,
        };
        let Some(bytes) = read_private(&path, BOOK_BYTES_MAX)? else { return Ok(Vec::new()) };
        let text = String::from_utf8(bytes).map_err(|error| damaged(Some(error.into())))?;
        let book: Book = toml::from_str(&text).map_err(|error| damaged(Some(error.into())))?;
        book.relays
            .into_iter()
            .map(|line| {
                let address = line.address.parse().map_err(|_error| damaged(None))?;
                let key = LinkKey::from_hex(&line.key).ok_or_else(|| damaged(None))?;
                Ok(KnownRelay { address, key, added: Millis(line.added) })
            })
            .collect()
    }

    /// Adds a relay, or replaces the one at the same address; the newest comes first.
    ///
    /// # Errors
    /// As [`Home::relays`].
    pub fn add_relay(&self, relay: KnownRelay) -> Result<(), Error> {
        let mut relays = self.relays()?;
        relays.retain(|known| known.address != relay.address);
        relays.insert(0, relay);
        self.store_relays(&relays)
    }

    /// Forgets a relay; tells whether it was known.
    ///
    /// # Errors
    /// As [`Home::relays`].
    pub fn remove_relay(&self, address: &RelayAddress) -> Result<bool, Error> {
        let mut relays = self.relays()?;
        let before = relays.len();
        relays.retain(|known| &known.address != address);
        self.store_relays(&relays)?;
        Ok(relays.len() < before)
    }

    fn store_relays(&self, relays: &[KnownRelay]) -> Result<(), Error> {
        let relays = relays
            .iter()
            .map(|relay| Line { address: relay.address.to_string(), key: relay.key.to_hex(), added: relay.added.0 })
            .collect();
        let text = toml::to_string(&Book { relays }).map_err(|error| Error::Internal(error.to_string()))?;
        write_private(&self.book_file(), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_relay_comes_first_and_an_address_stands_once() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::open(Some(scratch.path())).unwrap();
        let relay = |address: &str, key: u8| KnownRelay {
            address: address.parse().unwrap(),
            key: LinkKey([key; 32]),
            added: Millis(1),
        };
        home.add_relay(relay("one.example", 1)).unwrap();
        home.add_relay(relay("two.example:5000", 2)).unwrap();
        home.add_relay(relay("one.example", 3)).unwrap();
        assert_eq!(home.relays().unwrap(), [relay("one.example", 3), relay("two.example:5000", 2)]);
        assert!(home.remove_relay(&"one.example".parse().unwrap()).unwrap());
        assert!(!home.remove_relay(&"one.example".parse().unwrap()).unwrap());
        assert_eq!(home.relays().unwrap(), [relay("two.example:5000", 2)]);
    }
}
