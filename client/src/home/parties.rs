//! Whom this machine knows: the keys of the other sides, from the transfers that it has had with them. A key is remembered
//! by the first transfer that was really begun with it; one that was only looked at leaves no trace.
//!
//! # Source
//! SPEC [S20.4].

use handover_shared::ids::Millis;

use super::Home;
use super::transfers::{Facts, Role};
use crate::error::Error;

/// What is known of the other side's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// Nobody with this key, and nobody of this name, has been met.
    New,
    /// The key has been met.
    Known {
        /// First, by this machine's clock.
        since: Millis,
        /// In so many transfers.
        transfers: u64,
    },
    /// The key is new, and somebody of this name has been met with another one.
    OtherKey {
        /// `SHA256:…` of the key that was met last under this name.
        known: String,
        /// When that was first met.
        since: Millis,
    },
}

impl Home {
    /// What is known of a key that goes by this name; transfer `except` does not count.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`].
    pub fn acquaintance(
        &self,
        role: Role,
        fingerprint: &str,
        name: &str,
        except: Option<u64>,
    ) -> Result<Acquaintance, Error> {
        let mut met = Vec::new();
        for folder in self.transfers()? {
            let facts = folder.facts()?;
            if facts.role == role && Some(facts.id) != except {
                met.push(facts);
            }
        }
        Ok(of(&met, fingerprint, name))
    }
}

/// The same from the facts of transfers, the oldest first.
fn of(met: &[Facts], fingerprint: &str, name: &str) -> Acquaintance {
    // [S20.4]
    let first = |fingerprint: &str| {
        let same = met.iter().filter(|facts| facts.peer_fingerprint.as_deref() == Some(fingerprint));
        same.map(|facts| facts.created_ms).min()
    };
    if let Some(since) = first(fingerprint) {
        let transfers = met.iter().filter(|facts| facts.peer_fingerprint.as_deref() == Some(fingerprint)).count();
        return Acquaintance::Known { since: Millis(since), transfers: transfers as u64 };
    }
    let wanted = folded(name);
    let of_name = |facts: &&Facts| {
        let names = [&facts.peer_name, &facts.peer_organisation];
        names.into_iter().flatten().any(|known| !wanted.is_empty() && folded(known) == wanted)
    };
    let namesake = met.iter().rev().filter(of_name).find_map(|facts| facts.peer_fingerprint.clone());
    match namesake {
        Some(known) => {
            let since = Millis(first(&known).unwrap_or_default());
            Acquaintance::OtherKey { known, since }
        }
        None => Acquaintance::New,
    }
}

/// Names that people take for the same.
fn folded(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::golden_facts;

    fn met(key: &str, name: &str, at: u64) -> Facts {
        Facts {
            peer_fingerprint: Some(key.into()),
            peer_name: Some(name.into()),
            peer_organisation: None,
            created_ms: at,
            ..golden_facts(Role::Buyer)
        }
    }

    #[test] // [S20.4]
    fn a_key_is_new_known_or_another_than_the_one_of_this_name() {
        let known = [met("A", "Wang  Appliances", 5), met("B", "Li", 7), met("A", "Wang", 9)];
        let table = [
            ("A", "anybody", Acquaintance::Known { since: Millis(5), transfers: 2 }),
            ("B", "Wang", Acquaintance::Known { since: Millis(7), transfers: 1 }),
            ("C", "Zhao", Acquaintance::New),
            ("C", "", Acquaintance::New),
            ("C", "wang appliances", Acquaintance::OtherKey { known: "A".into(), since: Millis(5) }),
            ("C", "LI", Acquaintance::OtherKey { known: "B".into(), since: Millis(7) }),
        ];
        for (key, name, expected) in table {
            assert_eq!(of(&known, key, name), expected, "{key} {name}");
        }
        assert_eq!(of(&[], "A", "Wang"), Acquaintance::New);
    }
}
