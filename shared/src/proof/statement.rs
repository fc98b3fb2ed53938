//! The statements of seller and buyer, as typed values and as the text that is signed.
//!
//! # Source
//! SPEC [S10.1] to [S10.6], [S10.13].

use crate::ids::{BlockSize, Bundle, Commit, Digest, LinkKey, Root, TransferId};

use super::identity::Fingerprint;
use super::line::{Reader, StatementFault, Writer};
use super::time::Stamp;
use super::written::Written;

/// What a statement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The seller says what the buyer will get.
    Offer,
    /// The seller says what the archive turned out to be.
    Seal,
    /// The buyer asks for it.
    Claim,
    /// The buyer says what it got.
    Receipt,
    /// The relay says what its log is.
    LogHead,
    /// The relay says that a transfer's share and blocks are gone.
    Deletion,
    /// The buyer agrees to a document.
    Agreement,
    /// The buyer does not agree to it.
    Refusal,
    /// Somebody says what was destroyed.
    Destruction,
    /// Somebody else has seen it.
    Witness,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 10] = [
        Kind::Offer,
        Kind::Seal,
        Kind::Claim,
        Kind::Receipt,
        Kind::LogHead,
        Kind::Deletion,
        Kind::Agreement,
        Kind::Refusal,
        Kind::Destruction,
        Kind::Witness,
    ];

    /// The namespace of its signature.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Offer => "handover-offer-v1",
            Self::Seal => "handover-seal-v1",
            Self::Claim => "handover-claim-v1",
            Self::Receipt => "handover-receipt-v1",
            Self::LogHead => "handover-log-head-v1",
            Self::Deletion => "handover-deletion-v1",
            Self::Agreement => "handover-agreement-v1",
            Self::Refusal => "handover-refusal-v1",
            Self::Destruction => "handover-destruction-v1",
            Self::Witness => "handover-witness-v1",
        }
    }

    /// The value of its first key, `statement`.
    pub fn header(self) -> &'static str {
        match self {
            Self::Offer => "handover-offer/v1",
            Self::Seal => "handover-seal/v1",
            Self::Claim => "handover-claim/v1",
            Self::Receipt => "handover-receipt/v1",
            Self::LogHead => "handover-log-head/v1",
            Self::Deletion => "handover-deletion/v1",
            Self::Agreement => "handover-agreement/v1",
            Self::Refusal => "handover-refusal/v1",
            Self::Destruction => "handover-destruction/v1",
            Self::Witness => "handover-witness/v1",
        }
    }
}

/// How the content key reaches the buyer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Sealed under a code that the seller gave to the buyer outside handover.
    Detached,
}

/// What the parties agreed on beside the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agreement {
    /// Nothing.
    None,
    /// A document: its SHA-256, and in a claim, which the relay sees, the commitment to it.
    Of(Digest),
}

/// How much of an archive the buyer has checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verified {
    /// Every byte.
    All,
}

/// What the buyer says to a document it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agreed {
    /// It agrees.
    Yes,
}

/// What the buyer says to a document it does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disagreed {
    /// It does not agree.
    No,
}

/// What both ends of one TLS connection, and nobody else, can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Channel(pub [u8; 32]);

/// Declares a statement: its fields, in the order of its lines.
macro_rules! statement {
    ($(#[$doc:meta])* $name:ident, $kind:expr, { $($(#[$field_doc:meta])* $field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            /// Which statement it is.
            pub const KIND: Kind = $kind;

            /// Writes its one text.
            pub fn to_text(&self) -> String {
                let mut writer = Writer::begin($kind.header());
                $(writer.line($key, &self.$field);)*
                writer.finish()
            }

            /// Reads its one text.
            ///
            /// # Errors
            /// [`StatementFault`] for every text that [`to_text`](Self::to_text) does not make.
            pub fn parse(text: &str) -> Result<Self, StatementFault> {
                let mut reader = Reader::begin($kind.header(), text)?;
                let statement = Self { $($field: reader.line($key)?,)* };
                reader.finish()?;
                Ok(statement)
            }
        }
    };
}

pub(super) use statement;

statement! {
    /// What the seller says the buyer will get.
    ///
    /// # Source
    /// SPEC [S10.3].
    OfferText, Kind::Offer, {
        /// Which transfer.
        transfer: TransferId = "transfer",
        /// How the content key gets there.
        mode: Mode = "mode",
        /// The seller's identity, which signs this.
        seller_key: Fingerprint = "seller-key",
        /// The relay that holds the transfer.
        relay_key: Fingerprint = "relay-key",
        /// The commitment to the content key.
        commit: Commit = "commit",
        /// SHA-256 of the summary's bytes.
        summary: Digest = "summary",
        /// What was agreed on beside the data.
        agreement: Agreement = "agreement",
        /// The size of every sealed block.
        block_bytes: BlockSize = "block-bytes",
        /// When it was made.
        created: Stamp = "created",
        /// When it ends.
        expires: Stamp = "expires",
    }
}

statement! {
    /// What the seller says the archive turned out to be.
    ///
    /// # Source
    /// SPEC [S10.4].
    SealText, Kind::Seal, {
        /// Which transfer.
        transfer: TransferId = "transfer",
        /// The id of the offer statement.
        offer: Digest = "offer",
        /// The hash over the manifest.
        root: Root = "root",
        /// Entries: files, folders and links.
        entries: u64 = "entries",
        /// Whole files.
        files: u64 = "files",
        /// Folders.
        folders: u64 = "folders",
        /// Links.
        links: u64 = "links",
        /// What is listed and not in the archive.
        exceptions: u64 = "exceptions",
        /// Bytes of all files.
        bytes: u64 = "bytes",
        /// Blocks of the stream, before padding and tail.
        stream_blocks: u64 = "stream-blocks",
        /// The hash of the inventory.
        inventory: Digest = "inventory",
        /// When the archive was closed.
        sealed: Stamp = "sealed",
    }
}

statement! {
    /// What the buyer signs to spend the code, with its identity and with the claim key.
    ///
    /// # Source
    /// SPEC [S10.5].
    ClaimText, Kind::Claim, {
        /// Which transfer.
        transfer: TransferId = "transfer",
        /// SHA-256 of the sealed offer.
        offer: Digest = "offer",
        /// The buyer's identity.
        buyer_key: Fingerprint = "buyer-key",
        /// The buyer's link key.
        link_key: LinkKey = "link-key",
        /// Binds link key and hybrid key.
        bundle: Bundle = "bundle",
        /// What was agreed on beside the data.
        agreement: Agreement = "agreement",
        /// The connection it is made for.
        channel: Channel = "channel",
        /// When, by the buyer's clock.
        time: Stamp = "time",
    }
}

statement! {
    /// What the buyer says it got.
    ///
    /// # Source
    /// SPEC [S10.6].
    ReceiptText, Kind::Receipt, {
        /// Which transfer.
        transfer: TransferId = "transfer",
        /// The id of the offer statement.
        offer: Digest = "offer",
        /// The id of the seal statement.
        seal: Digest = "seal",
        /// The root, computed from what was written.
        root: Root = "root",
        /// Entries: files, folders and links.
        entries: u64 = "entries",
        /// Whole files.
        files: u64 = "files",
        /// Folders.
        folders: u64 = "folders",
        /// Links.
        links: u64 = "links",
        /// What is listed and not in the archive.
        exceptions: u64 = "exceptions",
        /// Bytes of all files.
        bytes: u64 = "bytes",
        /// Files left as they were because the buyer chose so.
        kept_existing: u64 = "kept-existing",
        /// The seller's identity.
        seller_key: Fingerprint = "seller-key",
        /// The buyer's identity, which signs this.
        buyer_key: Fingerprint = "buyer-key",
        /// The relay it came through.
        relay_key: Fingerprint = "relay-key",
        /// What was agreed on beside the data.
        agreement: Agreement = "agreement",
        /// When, by the buyer's clock.
        received: Stamp = "received",
        /// How much was checked.
        verified: Verified = "verified",
    }
}

statement! {
    /// The buyer's agreement to a document, before the data opens.
    ///
    /// # Source
    /// SPEC [S10.13].
    AgreementText, Kind::Agreement, {
        /// Which transfer.
        transfer: TransferId = "transfer",
        /// The id of the offer statement.
        offer: Digest = "offer",
        /// SHA-256 of the document.
        agreement: Digest = "agreement",
        /// The name of its file.
        document: Written = "document",
        /// Its length.
        document_bytes: u64 = "document-bytes",
        /// The seller's identity.
        seller_key: Fingerprint = "seller-key",
        /// The buyer's identity, which signs this.
        buyer_key: Fingerprint = "buyer-key",
        /// The full name of who signs.
        name: Written = "name",
        /// The organisation it signs for.
        organisation: Option<Written> = "organisation",
        /// When, by the buyer's clock.
        time: Stamp = "time",
        /// That it agrees.
        agrees: Agreed = "agrees",
    }
}

statement! {
    /// The buyer's refusal of a document, which ends the transfer.
    ///
    /// # Source
    /// SPEC [S10.13].
    RefusalText, Kind::Refusal, {
        /// Which transfer.
        transfer: TransferId = "transfer",
        /// The id of the offer statement.
        offer: Digest = "offer",
        /// SHA-256 of the document.
        agreement: Digest = "agreement",
        /// The seller's identity.
        seller_key: Fingerprint = "seller-key",
        /// The buyer's identity, which signs this together with the claim key.
        buyer_key: Fingerprint = "buyer-key",
        /// Why, if the buyer says so.
        reason: Option<Written> = "reason",
        /// When, by the buyer's clock.
        time: Stamp = "time",
        /// That it does not agree.
        agrees: Disagreed = "agrees",
    }
}
