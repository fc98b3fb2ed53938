//! What is said of a destruction: the certificate of whoever did it, and the co-signature of whoever saw it.
//!
//! The fields follow the certificate of sanitization of NIST SP 800-88 (what, where, media, method, tool, verification,
//! person) and the Chinese destruction register (销毁清册: what, how much, why, by whom 销毁人, supervised by whom 监销人,
//! when). They hold counts and places, nothing of the contents.
//!
//! # Source
//! SPEC [S21.3] [S21.4].

use crate::ids::{Digest, Root, TransferId};

use super::fault::ProofFault;
use super::identity::{Fingerprint, PublicIdentity};
use super::line::{Field, Reader, StatementFault, Writer};
use super::signature::verify;
use super::statement::{Kind, statement};
use super::text_id;
use super::time::Stamp;
use super::written::Written;

/// Declares values that are one word of a few.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$word),*];

            /// The word.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)*
                }
            }
        }

        impl Field for $name {
            fn write(&self) -> String {
                self.word().to_owned()
            }

            fn read(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word() == text)
            }
        }
    )*};
}

words! {
    /// On which side of the transfer.
    Side {
        /// It sent.
        Seller = "seller",
        /// It received.
        Buyer = "buyer",
    }

    /// How, in the words of NIST SP 800-88.
    Method {
        /// Overwritten and removed by ordinary means of the system.
        Clear = "clear",
    }

    /// How exactly.
    Technique {
        /// Each file overwritten once with zeros where the file system writes in place, synced, and its name removed.
        OverwriteAndUnlink = "overwrite-zeros-once, unlink, sync",
        /// Each name removed: the file system does not write in place.
        Unlink = "unlink, sync",
    }

    /// What was to be destroyed.
    Scope {
        /// What the program keeps: journals, plans, keys, partial data.
        Machine = "program-data",
        /// And the files that were sent.
        MachineAndSource = "program-data, source-files",
    }

    /// How it was verified.
    Verification {
        /// Every folder was opened again, and the name looked for.
        NamesGone = "names-gone-after-reopening",
    }

    /// What nobody can say who has done this.
    NotCovered {
        /// Snapshots, backups, blocks that a flash drive keeps, and what the other side has.
        Usual = "snapshots, backups, flash-blocks, other-side",
    }

    /// What came of it.
    Outcome {
        /// Everything that was to go is gone.
        Pass = "pass",
        /// Something is still there.
        Failed = "failed",
        /// It cannot be told.
        Unknown = "unknown",
    }

    /// What a witness has seen.
    Saw {
        /// The certificate, and its signature.
        Certificate = "certificate",
        /// The destruction itself.
        Destruction = "destruction",
    }
}

statement! {
    /// The certificate of a destruction.
    ///
    /// # Source
    /// SPEC [S21.3].
    DestructionText, Kind::Destruction, {
        /// Which transfer.
        transfer: TransferId = "transfer",
        /// Which side of it.
        side: Side = "side",
        /// The id of the offer statement.
        offer: Digest = "offer",
        /// The id of the receipt, if there is one.
        receipt: Option<Digest> = "receipt",
        /// The signed root, if the transfer was sealed: what was handed over.
        root: Option<Root> = "root",
        /// The identity of whoever did it, which signs this.
        destroyer_key: Fingerprint = "destroyer-key",
        /// Whoever did it.
        destroyer: Written = "destroyer",
        /// For whom.
        organisation: Option<Written> = "organisation",
        /// Why.
        reason: Option<Written> = "reason",
        /// On which machine.
        host: Written = "host",
        /// In which folder, beside the program's own.
        folder: Option<Written> = "folder",
        /// On what: file system and kind of drive, as far as the system tells.
        media: Written = "media",
        /// With which tool.
        tool: Written = "tool",
        /// How.
        method: Method = "method",
        /// How exactly.
        technique: Technique = "technique",
        /// What was to be destroyed.
        scope: Scope = "scope",
        /// Files of the program that are gone.
        items: u64 = "items",
        /// Their bytes.
        bytes: u64 = "bytes",
        /// Sent files that are gone.
        source_files: u64 = "source-files",
        /// Their bytes.
        source_bytes: u64 = "source-bytes",
        /// Sent files that were left, because they are not what was sent any more or could not be read.
        source_kept: u64 = "source-kept",
        /// Files whose bytes were overwritten before they were removed.
        overwritten: u64 = "overwritten",
        /// Names that should be gone and are not.
        remaining: u64 = "remaining",
        /// When it began, by this machine's clock.
        started: Stamp = "started",
        /// When it was verified.
        finished: Stamp = "finished",
        /// How it was verified.
        verification: Verification = "verification",
        /// What came of it.
        verdict: Outcome = "verdict",
        /// What this says nothing about.
        not_covered: NotCovered = "not-covered",
        /// The id of the relay's own statement that it has deleted its blocks, if there is one.
        relay_deletion: Option<Digest> = "relay-deletion",
    }
}

statement! {
    /// The co-signature of a witness (监销人) under a certificate.
    ///
    /// # Source
    /// SPEC [S21.4].
    WitnessText, Kind::Witness, {
        /// Which transfer.
        transfer: TransferId = "transfer",
        /// The id of the certificate.
        certificate: Digest = "certificate",
        /// What the certificate says came of it.
        verdict: Outcome = "verdict",
        /// Whose certificate it is.
        destroyer_key: Fingerprint = "destroyer-key",
        /// The witness's identity, which signs this.
        witness_key: Fingerprint = "witness-key",
        /// The witness.
        witness: Written = "witness",
        /// For whom.
        organisation: Option<Written> = "organisation",
        /// What the witness has seen.
        saw: Saw = "saw",
        /// When, by the witness's clock.
        time: Stamp = "time",
    }
}

/// A certificate that is signed by the key it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedDestruction {
    text: DestructionText,
    id: Digest,
    by: PublicIdentity,
}

impl VerifiedDestruction {
    /// What it says.
    pub fn text(&self) -> &DestructionText {
        &self.text
    }

    /// The hash of its text.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// Whose it is.
    pub fn by(&self) -> &PublicIdentity {
        &self.by
    }
}

/// Checks a certificate.
///
/// # Errors
/// [`ProofFault`]; `Mismatch` for one whose verdict is not what its numbers say.
pub fn check_destruction(text: &str, signature: &str) -> Result<VerifiedDestruction, ProofFault> {
    let parsed = DestructionText::parse(text)?;
    // [S21.3]
    let is_passed = parsed.verdict == Outcome::Pass;
    let source_is_asked = parsed.scope == Scope::MachineAndSource;
    let source_is_said = parsed.source_files | parsed.source_bytes | parsed.source_kept != 0;
    let lines = [
        (
            "verdict",
            !(is_passed && parsed.remaining > 0) && (parsed.verdict == Outcome::Failed) == (parsed.remaining > 0),
        ),
        ("scope", source_is_asked || !source_is_said),
        ("overwritten", parsed.overwritten <= parsed.items.saturating_add(parsed.source_files)),
        ("technique", parsed.technique == Technique::OverwriteAndUnlink || parsed.overwritten == 0),
        ("finished", parsed.started <= parsed.finished),
    ];
    if let Some((line, _)) = lines.into_iter().find(|(_, fits)| !fits) {
        return Err(ProofFault::Mismatch(line));
    }
    let by = verify(Kind::Destruction, text, signature)?;
    if Fingerprint::of(&by) != parsed.destroyer_key {
        return Err(ProofFault::OtherSigner);
    }
    Ok(VerifiedDestruction { id: text_id(text), text: parsed, by })
}

/// A co-signature that belongs to a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedWitness {
    text: WitnessText,
    by: PublicIdentity,
}

impl VerifiedWitness {
    /// What it says.
    pub fn text(&self) -> &WitnessText {
        &self.text
    }

    /// Whose it is.
    pub fn by(&self) -> &PublicIdentity {
        &self.by
    }
}

/// Checks a witness's co-signature under a certificate. Nobody is a witness of what they did themselves.
///
/// # Errors
/// [`ProofFault`].
pub fn check_witness(
    certificate: &VerifiedDestruction,
    text: &str,
    signature: &str,
) -> Result<VerifiedWitness, ProofFault> {
    let parsed = WitnessText::parse(text)?;
    // [S21.4]
    let lines = [
        ("transfer", parsed.transfer == certificate.text.transfer),
        ("certificate", parsed.certificate == certificate.id),
        ("verdict", parsed.verdict == certificate.text.verdict),
        ("destroyer-key", parsed.destroyer_key == certificate.text.destroyer_key),
        ("witness-key", parsed.witness_key != certificate.text.destroyer_key),
    ];
    if let Some((line, _)) = lines.into_iter().find(|(_, fits)| !fits) {
        return Err(ProofFault::Mismatch(line));
    }
    let by = verify(Kind::Witness, text, signature)?;
    if Fingerprint::of(&by) != parsed.witness_key {
        return Err(ProofFault::OtherSigner);
    }
    Ok(VerifiedWitness { text: parsed, by })
}
