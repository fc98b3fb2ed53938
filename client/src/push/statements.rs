//! What the seller says and signs: the offer before anything is sent, the seal when everything has been packed.
//!
//! | file of the transfer | what |
//! |---|---|
//! | `announced` | everything `Create` says but the relay share, so that it can be said again in the same words |
//! | `offer.txt`, `offer.sig` | the offer statement and its signature |
//! | `offer.summary` | the summary that the offer names |
//! | `document`, `document.sealed` | the document that the buyer must sign first, and as it goes to the relay |
//! | `seal.txt`, `seal.sig` | the seal statement and its signature |
//! | `inventory` | what the seal names by its hash |
//!
//! # Source
//! SPEC [S4.5] [S10.3] [S10.4] [S10.7] [S12.5] [S14.2].

use std::path::PathBuf;

use handover_shared::archive::manifest::Counts;
use handover_shared::codec;
use handover_shared::ids::{BlockCount, BlockSize, ClaimKey, Digest, Locator, Millis, Root, TransferId};
use handover_shared::keys::code::Code;
use handover_shared::keys::schedule::{CodeKeys, ContentKey, seal_envelope};
use handover_shared::keys::{Entropy, OsEntropy, Secret};
use handover_shared::limits;
use handover_shared::proof::identity::Fingerprint;
use handover_shared::proof::{self, Agreement, Biggest, DocumentTerms, Kind, Mode, OfferText, SealText, Summary};
use handover_shared::protocol::message::Create;
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::agreement::{self, Document};
use crate::error::Error;
use crate::event::Scanned;
use crate::home::identity::Owner;
use crate::home::signing::{SigningKey, unsigned};
use crate::home::transfers::{Folder, INVENTORY, Secrets};
use crate::home::{checked, read_private, write_private};
use crate::link::Relay;
use crate::verify::manifest;

const ANNOUNCED_BYTES_MAX: u64 = 512 * 1024;
const TEXT_BYTES_MAX: u64 = limits::STATEMENT_BYTES_MAX as u64;

/// Everything `Create` says but the relay share.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Announced {
    /// The transfer.
    #[n(0)]
    pub transfer: TransferId,
    /// From the code.
    #[n(1)]
    pub locator: Locator,
    /// From the code.
    #[n(2)]
    pub claim_key: ClaimKey,
    /// The content key under code and share.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub envelope: Vec<u8>,
    /// What the buyer sees first.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub sealed_offer: Vec<u8>,
    /// The size of every block.
    #[n(5)]
    pub block_size: BlockSize,
    /// At most so many blocks will come.
    #[n(6)]
    pub blocks_max: BlockCount,
    /// When it ends, by the relay's clock.
    #[n(7)]
    pub expires: Millis,
    /// The commitment to the document that the buyer must sign first.
    #[n(8)]
    pub agreement: Option<Digest>,
}

impl Announced {
    /// Reads it from a transfer's folder.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`].
    pub fn read(folder: &Folder) -> Result<Self, Error> {
        let path = folder.file("announced");
        let damaged = |path| Error::State { what: "what was announced is missing or damaged", path, source: None };
        let bytes = read_private(&path, ANNOUNCED_BYTES_MAX)?.ok_or_else(|| damaged(path.clone()))?;
        let body = checked::body(&bytes).ok_or_else(|| damaged(path.clone()))?;
        codec::decode(body).map_err(|_fault| damaged(path))
    }

    /// The request, with the share.
    pub fn create(&self, share: Zeroizing<[u8; 32]>) -> Create {
        Create {
            transfer: self.transfer,
            locator: self.locator,
            claim_key: self.claim_key,
            share,
            envelope: self.envelope.clone(),
            sealed_offer: self.sealed_offer.clone(),
            block_size: self.block_size,
            blocks_max: self.blocks_max,
            expires: self.expires,
            agreement: self.agreement,
        }
    }

    /// What a claim names the offer by.
    pub fn offer_digest(&self) -> Digest {
        proof::digest(&self.sealed_offer)
    }
}

/// What is offered, and to whom it is announced.
pub struct Terms<'a> {
    /// What it is called.
    pub label: &'a str,
    /// What was found.
    pub scanned: &'a Scanned,
    /// The size of its blocks.
    pub block_size: BlockSize,
    /// At most so many blocks will come.
    pub blocks_max: BlockCount,
    /// When it is made, by the relay's clock.
    pub created: Millis,
    /// When it ends, by the same clock.
    pub expires: Millis,
    /// What the buyer must sign first.
    pub document: Option<&'a Document>,
}

/// Makes code, content key and share, and everything that is said of them; all of it is durable when this returns.
///
/// # Errors
/// [`Error::Disk`]; [`Error::Internal`] if the statements do not hold.
pub fn announce(
    folder: &Folder,
    owner: &Owner,
    relay: &Relay,
    terms: &Terms<'_>,
) -> Result<(Announced, Secrets), Error> {
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    let transfer = TransferId(entropy.array());
    let (code, key) = (Code::generate(entropy), ContentKey::generate(entropy));
    let share = Secret::from_entropy(entropy);
    let keys = CodeKeys::of(&code);
    let salt = Secret::<32>::from_entropy(entropy);
    let document = terms.document.map(|document| DocumentTerms {
        name: document.name.clone(),
        bytes: document.bytes.len() as u64,
        salt: *salt.expose(),
    });
    let summary = summary(owner, terms, document);
    let text = OfferText {
        transfer,
        mode: Mode::Detached,
        seller_key: Fingerprint::of(&owner.identity.public()),
        relay_key: Fingerprint::of_link_key(&relay.key()),
        commit: key.commit(&transfer),
        summary: summary.digest(),
        agreement: terms.document.map_or(Agreement::None, |document| Agreement::Of(document.digest())),
        block_bytes: terms.block_size,
        created: terms.created.into(),
        expires: terms.expires.into(),
    };
    let internal = |fault: proof::ProofFault| Error::Internal(fault.to_string());
    let sealed_offer = proof::seal_offer(&keys, &text, &summary, &owner.identity, entropy.array()).map_err(unsigned)?;
    // What the buyer will see is what is kept.
    let opened = proof::open_offer(&keys, &sealed_offer, &transfer).map_err(internal)?;
    let envelope = seal_envelope(&keys.psk, &share, &transfer, &proof::digest(&sealed_offer), &key, entropy.array());
    let announced = Announced {
        transfer,
        locator: keys.locator,
        claim_key: keys.claim.public(),
        envelope,
        sealed_offer,
        block_size: terms.block_size,
        blocks_max: terms.blocks_max,
        expires: terms.expires,
        agreement: match opened.commitment() {
            Agreement::None => None,
            Agreement::Of(commitment) => Some(commitment),
        },
    };
    // [S14.2]
    write_private(&folder.file("offer.summary"), &summary.to_bytes())?;
    if let Some(document) = terms.document {
        let sealed = proof::seal_document(&keys.agreement, &transfer, &document.bytes, entropy.array());
        agreement::write_document(folder, &document.bytes)?;
        agreement::write_sealed_document(folder, &sealed.map_err(internal)?)?;
    }
    write_private(&folder.file("offer.txt"), opened.statement.as_bytes())?;
    write_private(&folder.file("offer.sig"), opened.signature.as_bytes())?;
    manifest::keep_key(folder, &key.manifest_key(&transfer))?;
    write_private(&folder.file("announced"), &checked::file(&codec::encode(&announced)))?;
    let secrets = Secrets {
        code: Some(*code.expose()),
        content_key: Some(*key.expose()),
        share: Some(*share.expose()),
        ..Secrets::default()
    };
    Ok((announced, secrets))
}

fn summary(owner: &Owner, terms: &Terms<'_>, document: Option<DocumentTerms>) -> Summary {
    let scanned = terms.scanned;
    let biggest = scanned.biggest.iter().take(limits::BIGGEST_MAX).map(|(name, bytes, files)| Biggest {
        name: name.reveal().chars().take(limits::BIGGEST_NAME_CHARS_MAX).collect(),
        bytes: *bytes,
        files: *files,
    });
    Summary {
        label: terms.label.chars().take(limits::LABEL_CHARS_MAX).collect(),
        seller_name: owner.name.clone(),
        organisation: owner.organisation.clone(),
        files: scanned.files,
        folders: scanned.folders,
        links: scanned.links,
        bytes: scanned.bytes,
        hidden: scanned.hidden,
        executable: scanned.executable,
        biggest: biggest.collect(),
        document,
    }
}

/// Signs the seal, once everything is packed.
pub struct Sealer {
    identity: SigningKey,
    transfer: TransferId,
    offer: Digest,
    text_path: PathBuf,
    signature_path: PathBuf,
    inventory_path: PathBuf,
}

impl Sealer {
    /// For a transfer whose offer has been made.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`] if the offer is missing.
    pub fn new(folder: &Folder, transfer: TransferId, identity: &SigningKey) -> Result<Self, Error> {
        Ok(Self {
            identity: identity.duplicate(),
            transfer,
            offer: proof::text_id(&read_text(folder, "offer.txt")?),
            text_path: folder.file("seal.txt"),
            signature_path: folder.file("seal.sig"),
            inventory_path: folder.file(INVENTORY),
        })
    }

    /// Text and signature; both are kept before they are given away. [S14.2]
    ///
    /// # Errors
    /// [`Error::Disk`]; [`Error::Internal`] if it cannot be signed.
    pub fn seal(
        &self,
        counts: Counts,
        root: Root,
        stream_blocks: u64,
        inventory: &str,
    ) -> Result<(String, String), Error> {
        write_private(&self.inventory_path, &checked::file(inventory.as_bytes()))?; // [S9.6]
        let text = SealText {
            transfer: self.transfer,
            offer: self.offer,
            root,
            inventory: proof::text_id(inventory),
            entries: counts.entries(),
            files: counts.files,
            folders: counts.folders,
            links: counts.links,
            exceptions: counts.exceptions,
            bytes: counts.bytes,
            stream_blocks,
            sealed: super::now().into(),
        }
        .to_text();
        let signature = proof::sign(Kind::Seal, &text, &self.identity).map_err(unsigned)?;
        write_private(&self.text_path, text.as_bytes())?;
        write_private(&self.signature_path, signature.as_bytes())?;
        Ok((text, signature))
    }
}

/// Reads a statement of a transfer.
///
/// # Errors
/// [`Error::Disk`], [`Error::State`] if it is missing or no text.
pub fn read_text(folder: &Folder, name: &str) -> Result<String, Error> {
    let path = folder.file(name);
    let damaged = |path| Error::State { what: "a statement is missing or damaged", path, source: None };
    let bytes = read_private(&path, TEXT_BYTES_MAX)?.ok_or_else(|| damaged(path.clone()))?;
    String::from_utf8(bytes).map_err(|_error| damaged(path))
}
