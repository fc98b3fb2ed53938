//! The transfers of this machine: one numbered folder each.
//!
//! | file | what | who writes it |
//! |---|---|---|
//! | `facts.json` | [`Facts`]: what a person may ask about | both |
//! | `secrets` | [`Secrets`], CBOR behind a check; values are dropped as soon as they are of no more use | both |
//! | `lock` | held by the run that works on it | both |
//! | `told` | that the run which ended it has said so to the end | `push`, `wait` |
//! | `history` | what the relay told, and when | both |
//! | `inventory` | what can be named of it when the data is gone, behind a check | both |
//! | `plan`, `records`, `marks-*` | the seller's journal | `push` |
//! | `offer.*`, `seal.*`, `claim.*`, `receipt.*` | statements and their signatures | both |
//!
//! The buyer's partial data is not here but inside the destination, in `.handover/`.

mod all;
mod path;

use std::fs::{self, File};
use std::path::PathBuf;

use handover_shared::codec;
use handover_shared::ids::{LinkKey, TransferId};
use handover_shared::keys::Secret;
use handover_shared::keys::code::RelayAddress;
use handover_shared::keys::schedule::ContentKey;
use handover_shared::limits::INVENTORY_BYTES_MAX;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use path::KeptPath;

use super::{checked, private_options, read_private, sync_folder, write_private};
use crate::error::Error;

const TOLD: &str = "told";
/// The file with the inventory, behind a check.
pub(crate) const INVENTORY: &str = "inventory";
const FACTS_BYTES_MAX: u64 = 16 * 1024 * 1024;
const SECRETS_BYTES_MAX: u64 = 4096;

/// The inventory of a transfer, if it is known yet.
///
/// # Errors
/// [`Error::Disk`], [`Error::State`] when the file is damaged.
pub(crate) fn read_inventory(folder: &Folder) -> Result<Option<String>, Error> {
    let path = folder.file(INVENTORY);
    let Some(bytes) = read_private(&path, INVENTORY_BYTES_MAX as u64)? else { return Ok(None) };
    let text = checked::body(&bytes).and_then(|body| String::from_utf8(body.to_vec()).ok());
    text.map(Some).ok_or(Error::State { what: "the kept inventory is damaged", path, source: None })
}

/// Which side of a transfer this machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It pushed.
    Seller,
    /// It pulls.
    Buyer,
}

/// How far a transfer is, as this machine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Seller: being prepared; the relay has not accepted it yet.
    Preparing,
    /// Seller: accepted, not everything is durable.
    Sending,
    /// Seller: everything is durable; the receipt is awaited.
    Waiting,
    /// Seller: the receipt is here and checked.
    Collected,
    /// Buyer: keys are made and the claim may have been sent.
    Claiming,
    /// Buyer: the code is spent for this machine; data is coming in.
    Receiving,
    /// Buyer: everything is placed and the receipt signed; the relay has not taken it yet.
    Received,
    /// Buyer: the relay has the receipt.
    Delivered,
    /// The seller revoked it.
    Revoked,
    /// Its time was over.
    Expired,
    /// The buyer refused the agreement.
    Refused,
    /// The relay's operator took it down.
    #[serde(rename = "taken-down")]
    TakenDown,
    /// It cannot go on; the text of `failure` says why.
    Failed,
}

impl State {
    /// Whether a later run could still do something for it.
    pub fn is_open(self) -> bool {
        !matches!(
            self,
            State::Collected
                | State::Delivered
                | State::Revoked
                | State::Expired
                | State::Refused
                | State::TakenDown
                | State::Failed
        )
    }
}

/// What a person may ask about a transfer. Holds names, so it stays on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Layout of this file.
    pub version: u32,
    /// The number of the transfer on this machine.
    pub id: u64,
    /// Which side this machine is.
    pub role: Role,
    /// The transfer's public name, hex.
    pub transfer: String,
    /// How far it is.
    pub state: State,
    /// When it began, milliseconds since 1970.
    pub created_ms: u64,
    /// When it ends at the relay, milliseconds since 1970; 0 while unknown.
    pub expires_ms: u64,
    /// Where the relay is, as typed.
    pub relay: String,
    /// Whom we expect there, hex.
    pub relay_key: String,
    /// Whether the relay runs inside the push.
    pub embedded: bool,
    /// What the transfer is called.
    pub label: String,
    /// Files, as scanned by the seller.
    pub files: u64,
    /// Folders, as scanned by the seller.
    pub folders: u64,
    /// Links, as scanned by the seller.
    pub links: u64,
    /// Bytes, as scanned by the seller; `None` for standard input.
    pub bytes: Option<u64>,
    /// Entries that were listed but not handed over as they are.
    pub exceptions: u64,
    /// The seller: what was asked for, so that the same words continue it.
    pub sources: Vec<KeptPath>,
    /// The seller: a hash of the options that shape the archive.
    pub options: String,
    /// The buyer: where the sent names appear.
    pub destination: Option<KeptPath>,
    /// The other side's own name for itself, once known.
    pub peer_name: Option<String>,
    /// The other side's organisation.
    pub peer_organisation: Option<String>,
    /// `SHA256:…` of the other side's identity, once verified.
    pub peer_fingerprint: Option<String>,
    /// When the code was spent, by the relay's clock.
    pub claimed_ms: Option<u64>,
    /// How often somebody else came with the code after that.
    pub refused_claims: u64,
    /// When the receipt was signed, by the buyer's clock.
    pub receipted_ms: Option<u64>,
    /// When the relay deleted the blocks, as it says.
    pub deleted_ms: Option<u64>,
    /// Why it cannot go on: a key of `words/`.
    pub failure: Option<String>,
}

impl Facts {
    /// The transfer's public name.
    ///
    /// # Errors
    /// [`Error::State`] if the file is damaged.
    pub fn transfer_id(&self) -> Result<TransferId, Error> {
        TransferId::from_hex(&self.transfer).ok_or_else(|| damaged("facts.json"))
    }

    /// Where the relay is.
    ///
    /// # Errors
    /// [`Error::State`] if the file is damaged.
    pub fn relay_address(&self) -> Result<RelayAddress, Error> {
        self.relay.parse().map_err(|_error| damaged("facts.json"))
    }

    /// Whom we expect there.
    ///
    /// # Errors
    /// [`Error::State`] if the file is damaged.
    pub fn relay_key(&self) -> Result<LinkKey, Error> {
        LinkKey::from_hex(&self.relay_key).ok_or_else(|| damaged("facts.json"))
    }
}

fn damaged(file: &str) -> Error {
    Error::State { what: "a transfer's file is damaged", path: PathBuf::from(file), source: None }
}

/// The secrets of a transfer. Each is dropped, and the file rewritten, when it is of no more use.
#[derive(Zeroize, ZeroizeOnDrop, minicbor::Encode, minicbor::Decode, Default)]
#[cbor(array)]
pub struct Secrets {
    /// The code; until the claim is known (seller), until the share is here (buyer).
    #[cbor(n(0), with = "minicbor::bytes")]
    pub code: Option<[u8; 20]>,
    /// The content key; until the receipt is checked (seller) or delivered (buyer).
    #[cbor(n(1), with = "minicbor::bytes")]
    pub content_key: Option<[u8; 32]>,
    /// The relay share; until the relay has accepted the transfer (seller only).
    #[cbor(n(2), with = "minicbor::bytes")]
    pub share: Option<[u8; 32]>,
    /// The seed of the link key of this transfer (buyer only).
    #[cbor(n(3), with = "minicbor::bytes")]
    pub link_seed: Option<[u8; 32]>,
    /// The seed of the hybrid key (buyer only); until the share is here.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub hybrid_seed: Option<[u8; 32]>,
    /// What papers are sealed under; from when the content key is dropped.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub papers_key: Option<[u8; 32]>,
}

impl Secrets {
    /// Drops the content key, and keeps what opens the papers of the transfer and nothing else.
    pub fn drop_content_key(&mut self, transfer: &TransferId) {
        if let Some(key) = self.papers_key(transfer) {
            self.papers_key = Some(*key.expose());
        }
        self.content_key.zeroize();
        self.content_key = None;
    }

    /// What is kept of the secrets when a transfer is over: what a buyer needs to lay down and open its papers.
    #[must_use]
    pub fn for_papers(&self, transfer: &TransferId) -> Self {
        let papers_key = self.papers_key(transfer).map(|key| *key.expose());
        Self { papers_key, link_seed: self.link_seed, ..Self::default() }
    }

    /// What papers of the transfer are sealed under, while or after the content key is here.
    pub fn papers_key(&self, transfer: &TransferId) -> Option<Secret<32>> {
        let kept = self.papers_key.map(|key| Secret::new(Zeroizing::new(key)));
        let content_key = || self.content_key.map(|key| ContentKey::of_secret(Secret::new(Zeroizing::new(key))));
        kept.or_else(|| content_key().map(|key| key.papers_key(transfer)))
    }
}

/// A transfer's folder, not locked: for looking.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    id: u64,
}

impl Folder {
    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A file of the transfer.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What a person may ask.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`] when the file is missing or damaged.
    pub fn facts(&self) -> Result<Facts, Error> {
        let path = self.file("facts.json");
        let bytes = read_private(&path, FACTS_BYTES_MAX)?.ok_or_else(|| Error::State {
            what: "a transfer has no facts",
            path: path.clone(),
            source: None,
        })?;
        serde_json::from_slice(&bytes).map_err(|error| Error::State {
            what: "a transfer's facts are damaged",
            path,
            source: Some(error.into()),
        })
    }

    /// Its secrets.
    ///
    /// # Errors
    /// As [`Folder::facts`].
    pub fn secrets(&self) -> Result<Secrets, Error> {
        let path = self.file("secrets");
        match read_private(&path, SECRETS_BYTES_MAX)?.map(Zeroizing::new) {
            None => Ok(Secrets::default()),
            Some(bytes) => {
                let damaged = |source| Error::State { what: "a transfer's secrets are damaged", path, source };
                match checked::body(&bytes).map(codec::decode) {
                    Some(decoded) => decoded.map_err(|fault| damaged(Some(fault.into()))),
                    None => Err(damaged(None)),
                }
            }
        }
    }

    /// Whether this machine's person has been told how it ended.
    pub fn is_told(&self) -> bool {
        self.file(TOLD).exists()
    }

    /// Notes that this machine's person has been told how it ended: the same words mean another transfer from here on.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn set_told(&self) -> Result<(), Error> {
        if self.is_told() { Ok(()) } else { write_private(&self.file(TOLD), b"") }
    }

    /// Takes the lock: from here on only this run works on the transfer.
    ///
    /// # Errors
    /// [`Error::Held`] if another run has it.
    pub fn hold(&self) -> Result<Held, Error> {
        let path = self.file("lock");
        let lock = private_options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| Error::disk("opening the lock", &path, source))?;
        match lock.try_lock() {
            Ok(()) => {
                self.sync_names()?;
                Ok(Held { folder: self.clone(), _lock: lock })
            }
            Err(fs::TryLockError::WouldBlock) => Err(Error::Held { id: self.id }),
            Err(fs::TryLockError::Error(source)) => Err(Error::disk("taking the lock", &path, source)),
        }
    }
}

impl Folder {
    /// Makes durable what an earlier run has named and died before it was synced: files here, this folder, and the keys
    /// of this machine. What is in the files was synced before they got their names.
    fn sync_names(&self) -> Result<(), Error> {
        for folder in self.path.ancestors().take(3) {
            sync_folder(folder).map_err(|source| Error::disk("opening the state folder", folder, source))?;
        }
        Ok(())
    }
}

/// A transfer's folder, locked: for working.
#[derive(Debug)]
pub struct Held {
    folder: Folder,
    _lock: File,
}

impl std::ops::Deref for Held {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

impl Held {
    /// Replaces the facts.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn store_facts(&self, facts: &Facts) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(facts).map_err(|error| Error::Internal(error.to_string()))?;
        write_private(&self.file("facts.json"), &text)
    }

    /// Notes that the relay of this transfer has another address.
    ///
    /// # Errors
    /// As [`Folder::facts`].
    pub fn move_relay(&self, address: &RelayAddress) -> Result<(), Error> {
        let facts = self.facts()?;
        let relay = address.to_string();
        if facts.relay == relay { Ok(()) } else { self.store_facts(&Facts { relay, ..facts }) }
    }

    /// Replaces the secrets; the old file's bytes are overwritten first, as far as the file system honours it.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn store_secrets(&self, secrets: &Secrets) -> Result<(), Error> {
        let path = self.file("secrets");
        let body = Zeroizing::new(codec::encode(secrets));
        let bytes = Zeroizing::new(checked::file(&body));
        super::replace_secret(&path, &bytes)
    }

    /// Wipes all secrets, if there still are any, but what papers need: their key, and the buyer's link key.
    ///
    /// # Errors
    /// As [`Folder::facts`].
    pub fn wipe_secrets(&self, transfer: &TransferId) -> Result<(), Error> {
        let secrets = self.secrets()?;
        let kept = secrets.for_papers(transfer);
        if *Zeroizing::new(codec::encode(&secrets)) == *Zeroizing::new(codec::encode(&kept)) {
            return Ok(());
        }
        self.store_secrets(&kept)
    }

    /// Removes the folder of a transfer that came to nothing.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn discard(self) -> Result<(), Error> {
        self.store_secrets(&Secrets::default())?;
        let path = &self.folder.path;
        fs::remove_dir_all(path).map_err(|source| Error::disk("removing", path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::all::DEAD_AFTER;
    use super::*;
    use crate::home::Home;

    fn facts(id: u64) -> Facts {
        Facts {
            version: 1,
            id,
            role: Role::Seller,
            transfer: TransferId([9; 16]).to_hex(),
            state: State::Preparing,
            created_ms: 1,
            expires_ms: 2,
            relay: "relay.example".into(),
            relay_key: LinkKey([1; 32]).to_hex(),
            embedded: false,
            label: "客户".into(),
            files: 1,
            folders: 2,
            links: 0,
            bytes: None,
            exceptions: 0,
            sources: vec![KeptPath::of(std::path::Path::new("客户"))],
            options: String::new(),
            destination: None,
            peer_name: None,
            peer_organisation: None,
            peer_fingerprint: None,
            claimed_ms: None,
            refused_claims: 0,
            receipted_ms: None,
            deleted_ms: None,
            failure: None,
        }
    }

    #[test]
    fn a_transfer_is_kept_and_held_by_one_run() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::open(Some(scratch.path())).unwrap();
        let held = home.new_transfer().unwrap();
        assert!(home.transfers().unwrap().is_empty(), "no facts yet");
        held.store_facts(&facts(held.id())).unwrap();
        assert!(matches!(home.transfer(1).unwrap().hold(), Err(Error::Held { id: 1 })));
        drop(held);
        let held = home.transfer(1).unwrap().hold().unwrap();
        assert_eq!(held.facts().unwrap().label, "客户");
        assert_eq!(home.new_transfer().unwrap().id(), 2);
        assert!(matches!(home.transfer(7), Err(Error::NoSuchTransfer { .. })));
    }

    #[test]
    fn what_died_before_it_meant_anything_is_swept_away() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::open(Some(scratch.path())).unwrap();
        let age = |held: &Held| {
            let old = std::time::SystemTime::now() - DEAD_AFTER * 2;
            File::open(held.file(".")).unwrap().set_modified(old).unwrap();
        };
        let (dead, held, meant, young) = (
            home.new_transfer().unwrap(),
            home.new_transfer().unwrap(),
            home.new_transfer().unwrap(),
            home.new_transfer().unwrap(),
        );
        meant.store_facts(&facts(meant.id())).unwrap();
        [&dead, &held, &meant].into_iter().for_each(age);
        drop((dead, meant, young));
        home.sweep_transfers().unwrap();
        let mut left: Vec<_> = fs::read_dir(scratch.path().join("transfers"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["2", "3", "4"]);
    }

    #[test]
    fn secrets_are_kept_and_dropped() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::open(Some(scratch.path())).unwrap();
        let held = home.new_transfer().unwrap();
        assert!(held.secrets().unwrap().code.is_none());
        let mut secrets = Secrets { code: Some([7; 20]), content_key: Some([8; 32]), ..Secrets::default() };
        held.store_secrets(&secrets).unwrap();
        assert_eq!(held.secrets().unwrap().code, Some([7; 20]));
        secrets.code = None;
        held.store_secrets(&secrets).unwrap();
        assert_eq!(held.secrets().unwrap().code, None);
        assert_eq!(held.secrets().unwrap().content_key, Some([8; 32]));
        let path = held.file("secrets");
        held.store_facts(&facts(1)).unwrap();
        held.discard().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn transfers_that_are_not_over_move_with_their_relay() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::open(Some(scratch.path())).unwrap();
        for (id, key, state) in [(1, 1, State::Sending), (2, 1, State::Collected), (3, 2, State::Sending)] {
            let held = home.new_transfer().unwrap();
            let relay_key = LinkKey([key; 32]).to_hex();
            held.store_facts(&Facts { relay: "old.example".into(), relay_key, state, ..facts(id) }).unwrap();
        }
        home.move_relay(&LinkKey([1; 32]), &"new.example:5000".parse().unwrap()).unwrap();
        let relays: Vec<String> = home.transfers().unwrap().iter().map(|it| it.facts().unwrap().relay).collect();
        assert_eq!(relays, ["new.example:5000", "old.example", "old.example"]);
    }

    #[test] // [S4.9]
    fn what_was_told_is_noted_and_secrets_are_wiped_once() {
        let scratch = tempfile::tempdir().unwrap();
        let held = Home::open(Some(scratch.path())).unwrap().new_transfer().unwrap();
        assert!(!held.is_told());
        held.set_told().unwrap();
        held.set_told().unwrap();
        assert!(held.is_told());
        held.store_secrets(&Secrets { content_key: Some([7; 32]), ..Secrets::default() }).unwrap();
        let transfer = TransferId([1; 16]);
        held.wipe_secrets(&transfer).unwrap();
        held.wipe_secrets(&transfer).unwrap();
        let left = held.secrets().unwrap();
        assert!(left.content_key.is_none());
        let papers_key = ContentKey::of_secret(Secret::new(Zeroizing::new([7; 32]))).papers_key(&transfer);
        assert!(left.papers_key.as_ref() == Some(papers_key.expose()));
    }
}
