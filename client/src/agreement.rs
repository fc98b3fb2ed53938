//! The agreement of a transfer: the document, the buyer's signature under it or refusal of it, as both sides keep them.
//!
//! | file of the transfer | what | who |
//! |---|---|---|
//! | `document` | the document | both |
//! | `document.sealed` | as it goes to the relay | the seller |
//! | `agreement.txt`, `agreement.sig` | the agreement statement and the buyer's signature | both |
//! | `agreement.sealed` | as it goes to the seller | the buyer |
//! | `refusal.txt`, `refusal.sig`, `refusal.code.sig` | the refusal statement, signed by the buyer's identity and by the code's key | both |
//!
//! # Source
//! SPEC [S10.12] [S10.13].

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use handover_shared::ids::Digest;
use handover_shared::limits::{self, DOCUMENT_NAME_CHARS_MAX};
use handover_shared::proof::{self, AgreementText, DOCUMENT_BYTES_MAX, RefusalText};

use crate::error::Error;
use crate::event::{AgreementFacts, RefusalFacts};
use crate::home::transfers::{Facts, Folder, Role};
use crate::home::{Home, read_private, write_private};
use crate::private::Private;
use crate::pull::kept::{Kept, read_statement};

const DOCUMENT: &str = "document";
const SEALED_DOCUMENT: &str = "document.sealed";
const SEALED_AGREEMENT: &str = "agreement.sealed";
/// The file of a refusal's signature by the code's key.
pub(crate) const REFUSAL_CODE_SIGNATURE: &str = "refusal.code.sig";

/// A document that has to be signed.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// The name of its file, cut to what a statement holds.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Document {
    /// Reads a document that a seller names.
    ///
    /// # Errors
    /// [`Error::SourceMissing`], [`Error::SourceUnreadable`]; [`Error::BadDocument`] for one that is empty or too long.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let shown = || Private::new(path.to_owned());
        let reading = || {
            let file = File::open(path)?;
            if file.metadata()?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let mut bytes = Vec::new();
            file.take(DOCUMENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes: Vec<u8> = reading().map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => Error::SourceMissing { path: shown() },
            _ => Error::SourceUnreadable { path: shown(), source },
        })?;
        if bytes.is_empty() || bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(Error::BadDocument {
                path: shown(),
                bytes: bytes.len() as u64,
                limit: DOCUMENT_BYTES_MAX as u64,
            });
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name: shortened(&name), bytes })
    }

    /// SHA-256 of it.
    pub fn digest(&self) -> Digest {
        proof::digest(&self.bytes)
    }
}

/// A name within its limit, with its ending kept.
fn shortened(name: &str) -> String {
    let name = name.trim();
    let count = name.chars().count();
    if count <= DOCUMENT_NAME_CHARS_MAX {
        return if name.is_empty() { "?".to_owned() } else { name.to_owned() };
    }
    let ending: String = match name.rsplit_once('.') {
        Some((_, ending)) if ending.chars().count() <= 8 => format!(".{ending}"),
        _ => String::new(),
    };
    let room = DOCUMENT_NAME_CHARS_MAX - 1 - ending.chars().count();
    let head: String = name.chars().take(room).collect();
    format!("{head}…{ending}")
}

/// Keeps a document.
///
/// # Errors
/// [`Error::Disk`].
pub(crate) fn write_document(folder: &Folder, document: &[u8]) -> Result<(), Error> {
    write_private(&folder.file(DOCUMENT), document)
}

/// The document of a transfer, if one has to be, or was, signed.
///
/// # Errors
/// [`Error::Disk`], [`Error::State`].
pub fn read_document(folder: &Folder) -> Result<Option<Vec<u8>>, Error> {
    read_private(&folder.file(DOCUMENT), limits::SEALED_DOCUMENT_BYTES_MAX)
}

/// Keeps what goes to the relay, so that the same bytes can go again.
pub(crate) fn write_sealed_document(folder: &Folder, sealed: &[u8]) -> Result<(), Error> {
    write_private(&folder.file(SEALED_DOCUMENT), sealed)
}

/// What goes to the relay.
pub(crate) fn read_sealed_document(folder: &Folder) -> Result<Vec<u8>, Error> {
    let path = folder.file(SEALED_DOCUMENT);
    let sealed = read_private(&path, limits::SEALED_DOCUMENT_BYTES_MAX)?;
    sealed.ok_or(Error::State { what: "a file of the transfer is missing", path, source: None })
}

/// Keeps what goes to the seller with the claim.
pub(crate) fn write_sealed_agreement(folder: &Folder, sealed: &[u8]) -> Result<(), Error> {
    write_private(&folder.file(SEALED_AGREEMENT), sealed)
}

/// What goes to the seller with the claim.
pub(crate) fn read_sealed_agreement(folder: &Folder) -> Result<Vec<u8>, Error> {
    let path = folder.file(SEALED_AGREEMENT);
    let sealed = read_private(&path, limits::SEALED_AGREEMENT_BYTES_MAX as u64)?;
    sealed.ok_or(Error::State { what: "a file of the transfer is missing", path, source: None })
}

/// A signed agreement that is kept here.
#[derive(Clone, Debug)]
pub struct KeptAgreement {
    /// What it says.
    pub statement: AgreementText,
    /// The statement as it was signed.
    pub text: String,
    /// The buyer's signature.
    pub signature: String,
}

/// The signed agreement of a transfer; its signature is checked again.
///
/// # Errors
/// [`Error::Disk`]; [`Error::State`] when the files were altered.
pub fn kept(folder: &Folder) -> Result<Option<KeptAgreement>, Error> {
    let Some((text, signature)) = read_statement(folder, Kept::Agreement)? else { return Ok(None) };
    let altered = |fault: proof::ProofFault| Error::State {
        what: "the kept agreement does not check",
        path: folder.file("agreement.txt"),
        source: Some(fault.into()),
    };
    let statement = AgreementText::parse(&text).map_err(|fault| altered(fault.into()))?;
    let signer = proof::verify(proof::Kind::Agreement, &text, &signature).map_err(altered)?;
    if proof::Fingerprint::of(&signer) != statement.buyer_key {
        return Err(altered(proof::ProofFault::OtherSigner));
    }
    Ok(Some(KeptAgreement { statement, text, signature }))
}

/// The refusal of a transfer; its signature is checked again.
///
/// # Errors
/// [`Error::Disk`]; [`Error::State`] when the files were altered.
pub fn kept_refusal(folder: &Folder) -> Result<Option<RefusalText>, Error> {
    let Some((text, signature)) = read_statement(folder, Kept::Refusal)? else { return Ok(None) };
    let altered = |fault: proof::ProofFault| Error::State {
        what: "the kept refusal does not check",
        path: folder.file("refusal.txt"),
        source: Some(fault.into()),
    };
    let statement = RefusalText::parse(&text).map_err(|fault| altered(fault.into()))?;
    let signer = proof::verify(proof::Kind::Refusal, &text, &signature).map_err(altered)?;
    if proof::Fingerprint::of(&signer) != statement.buyer_key {
        return Err(altered(proof::ProofFault::OtherSigner));
    }
    Ok(Some(statement))
}

/// What a person is told of a signed agreement.
pub fn agreement_facts(id: u64, agreement: &AgreementText) -> AgreementFacts {
    let written = |text: &proof::Written| Private::new(text.as_str().to_owned());
    AgreementFacts {
        id,
        name: written(&agreement.name),
        organisation: agreement.organisation.as_ref().map(written),
        document: written(&agreement.document),
        document_bytes: agreement.document_bytes,
        agreement: agreement.agreement.to_hex(),
        buyer_fingerprint: agreement.buyer_key.to_string(),
        time: agreement.time.millis(),
    }
}

/// What a person is told of a refusal.
pub(crate) fn refusal_facts(home: Option<&Home>, facts: &Facts, refusal: &RefusalText) -> RefusalFacts {
    let own = home.filter(|_| facts.role == Role::Buyer).and_then(|home| home.identity().ok().flatten());
    let (name, organisation) = match own {
        Some(owner) => (owner.name, owner.organisation),
        None => (facts.peer_name.clone().unwrap_or_default(), facts.peer_organisation.clone()),
    };
    RefusalFacts {
        id: facts.id,
        buyer_name: Private::new(name),
        organisation: organisation.map(Private::new),
        reason: refusal.reason.as_ref().map(|reason| Private::new(reason.as_str().to_owned())),
        agreement: refusal.agreement.to_hex(),
        buyer_fingerprint: refusal.buyer_key.to_string(),
        time: refusal.time.millis(),
    }
}

/// The refusal of a transfer that is kept here, as a person is told of it.
///
/// # Errors
/// As [`kept_refusal`].
pub fn told_refusal(home: &Home, folder: &Folder, facts: &Facts) -> Result<Option<RefusalFacts>, Error> {
    Ok(kept_refusal(folder)?.map(|refusal| refusal_facts(Some(home), facts, &refusal)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_ending() {
        assert_eq!(shortened(" nda.pdf "), "nda.pdf");
        assert_eq!(shortened(""), "?");
        let long = shortened(&format!("{}.pdf", "保密协议".repeat(40)));
        assert_eq!(long.chars().count(), DOCUMENT_NAME_CHARS_MAX);
        assert!(long.ends_with("….pdf"), "{long}");
        assert_eq!(shortened(&"x".repeat(300)).chars().count(), DOCUMENT_NAME_CHARS_MAX);
    }

    #[test]
    fn a_document_is_not_empty_and_not_endless() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("nda.txt");
        assert!(matches!(Document::read(&path), Err(Error::SourceMissing { .. })));
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(Document::read(&path), Err(Error::BadDocument { bytes: 0, .. })));
        std::fs::write(&path, b"words").unwrap();
        assert_eq!(Document::read(&path).unwrap(), Document { name: "nda.txt".into(), bytes: b"words".to_vec() });
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(DOCUMENT_BYTES_MAX as u64).unwrap();
        assert_eq!(Document::read(&path).unwrap().bytes.len(), DOCUMENT_BYTES_MAX);
        file.set_len(DOCUMENT_BYTES_MAX as u64 + 1).unwrap();
        assert!(matches!(Document::read(&path), Err(Error::BadDocument { .. })));
        assert!(matches!(Document::read(scratch.path()), Err(Error::SourceUnreadable { .. })));
    }
}
