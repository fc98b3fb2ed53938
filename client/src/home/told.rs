//! What the relay told of a transfer's history, kept for the handover record: the relay forgets, and says less when the
//! transfer is over.

use std::collections::BTreeMap;

use handover_shared::codec;
use handover_shared::ids::{LinkKey, Millis};
use handover_shared::limits::EVENTS_MAX;
use handover_shared::protocol::message::EventKind;
use minicbor::{Decode, Encode};

use super::transfers::{Folder, Held};
use super::{checked, read_private, write_private};
use crate::error::Error;

const FILE: &str = "history";
const BYTES_MAX: u64 = 64 * 1024;

/// One thing the relay told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Told {
    /// Its place in the relay's history; what only an answer told has none.
    #[n(0)]
    pub sequence: Option<u64>,
    /// When, by the relay's clock.
    #[n(1)]
    pub time: Millis,
    /// What.
    #[n(2)]
    pub kind: EventKind,
    /// The link key of whoever did it.
    #[n(3)]
    pub by: Option<LinkKey>,
}

/// Everything that was told, in its order.
///
/// # Errors
/// [`Error::Disk`], [`Error::State`] when the file is damaged.
pub(crate) fn read(folder: &Folder) -> Result<Vec<Told>, Error> {
    let path = folder.file(FILE);
    let Some(bytes) = read_private(&path, BYTES_MAX)? else { return Ok(Vec::new()) };
    let told = checked::body(&bytes).and_then(|body| codec::decode(body).ok());
    told.ok_or(Error::State { what: "the kept history is damaged", path, source: None })
}

/// Adds what is new. What was told before stays as it was told first.
///
/// # Errors
/// As [`read`].
pub(crate) fn add(held: &Held, more: impl IntoIterator<Item = Told>) -> Result<(), Error> {
    let before = read(held)?;
    let key = |told: &Told| match told.sequence {
        Some(sequence) => (0, sequence),
        None => (1, u64::from(told.kind as u8)),
    };
    let mut all: BTreeMap<(u8, u64), Told> = before.iter().map(|told| (key(told), *told)).collect();
    for told in more {
        if all.len() < EVENTS_MAX {
            all.entry(key(&told)).or_insert(told);
        }
    }
    if all.len() == before.len() {
        return Ok(());
    }
    let all: Vec<Told> = all.into_values().collect();
    write_private(&held.file(FILE), &checked::file(&codec::encode(&all)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Home;

    #[test]
    fn what_was_told_first_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::open(Some(scratch.path())).unwrap();
        let held = home.new_transfer().unwrap();
        let told = |sequence, time, kind| Told { sequence, time: Millis(time), kind, by: Some(LinkKey([1; 32])) };
        assert_eq!(read(&held).unwrap(), []);
        add(&held, [told(Some(1), 20, EventKind::FirstBlock), told(Some(0), 10, EventKind::Created)]).unwrap();
        add(&held, [told(Some(1), 99, EventKind::Revoked), told(None, 30, EventKind::Receipted)]).unwrap();
        add(&held, [told(None, 31, EventKind::Receipted)]).unwrap();
        let wanted = [
            told(Some(0), 10, EventKind::Created),
            told(Some(1), 20, EventKind::FirstBlock),
            told(None, 30, EventKind::Receipted),
        ];
        assert_eq!(read(&held).unwrap(), wanted);
        std::fs::write(held.file(FILE), b"damaged").unwrap();
        assert!(read(&held).is_err());
    }
}
