//! The certificate of a destruction: signed, kept with the transfer, exported, co-signed by a witness, checked by anybody.
//!
//! | file of the transfer | what |
//! |---|---|
//! | `destruction.txt`, `destruction.sig` | the certificate and its signature |
//!
//! An exported certificate needs no handover to be checked:
//!
//! ```text
//! ssh-keygen -Y verify -f allowed_signers -I destroyer -n handover-destruction-v1 -s destruction.json.sig < destruction.json
//! ```
//!
//! # Source
//! SPEC [S21.3] [S21.4].

use std::fs;
use std::path::{Path, PathBuf};

use handover_shared::limits::{SIGNATURE_BYTES_MAX, STATEMENT_BYTES_MAX};
use handover_shared::proof::destruction::{
    DestructionText, Saw, VerifiedDestruction, WitnessText, check_destruction, check_witness,
};
use handover_shared::proof::written::WRITTEN_CHARS_MAX;
use handover_shared::proof::{self, Fingerprint, Kind, ProofFault, PublicIdentity, Signer, Written};

use crate::error::Error;
use crate::home::Home;
use crate::home::signing::unsigned;
use crate::home::transfers::Folder;
use crate::home::write_private;
use crate::private::escaped;
use crate::pull::kept::{Kept, read_statement};
use crate::receipts::{read_text, write_new};

/// Who signs a certificate, in an exported list of signers.
pub const DESTROYER: &str = "destroyer";
/// Who co-signs it.
pub const WITNESS: &str = "witness";
/// Bytes of a name in its writing; several must fit into one statement.
const NAME_BYTES_MAX: usize = 480;
const REASON_BYTES_MAX: usize = 512;
const PLACE_BYTES_MAX: usize = 640;

/// A certificate whose signature fits.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The statement.
    pub text: String,
    /// Its signature, armoured.
    pub signature: String,
    /// What it says, and whose it is.
    pub verified: VerifiedDestruction,
    /// The co-signature of a witness, if there is one.
    pub witness: Option<Witness>,
}

/// A witness's co-signature that fits a certificate.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The statement.
    pub text: String,
    /// Its signature, armoured.
    pub signature: String,
    /// What it says.
    pub statement: WitnessText,
    /// Whose it is.
    pub by: PublicIdentity,
}

impl Certificate {
    /// What it says.
    pub fn statement(&self) -> &DestructionText {
        self.verified.text()
    }

    /// The first characters of its hash, to talk about it.
    pub fn short(&self) -> String {
        crate::watch::receipt_short(&self.text)
    }

    fn of(text: String, signature: String) -> Result<Self, Error> {
        let verified = check_destruction(&text, &signature).map_err(|fault| bad(&fault))?;
        Ok(Self { text, signature, verified, witness: None })
    }
}

/// Signs and keeps a certificate.
pub(super) fn keep(folder: &Folder, text: &DestructionText, by: &dyn Signer) -> Result<Certificate, Error> {
    let text = text.to_text();
    let signature = proof::sign(Kind::Destruction, &text, by).map_err(unsigned)?;
    let certificate = Certificate::of(text, signature)?;
    let (text_file, signature_file) = Kept::Destruction.files();
    write_private(&folder.file(signature_file), certificate.signature.as_bytes())?;
    write_private(&folder.file(text_file), certificate.text.as_bytes())?;
    Ok(certificate)
}

/// The certificate of a transfer of this machine, checked again; `None` if there is none.
///
/// # Errors
/// [`Error::NoSuchTransfer`], [`Error::BadCertificate`] when the files were altered, [`Error::Disk`].
pub fn read(home: &Home, id: u64) -> Result<Option<Certificate>, Error> {
    let folder = home.transfer(id)?;
    let Some((text, signature)) = read_statement(&folder, Kept::Destruction)? else { return Ok(None) };
    Certificate::of(text, signature).map(Some)
}

/// Writes a certificate with everything that is needed to check it without handover; gives the files written. What is
/// there and is the same stays; what is there and is not is not replaced.
///
/// # Errors
/// [`Error::Disk`].
///
/// `page` is the certificate for people: a name and a text.
pub fn export(certificate: &Certificate, folder: &Path, page: (&str, &str)) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(folder).map_err(|source| Error::disk("making the folder", folder, source))?;
    let signers = signers(DESTROYER, Kind::Destruction, certificate.verified.by());
    let files = [
        ("destruction.json", certificate.text.as_bytes()),
        ("destruction.json.sig", certificate.signature.as_bytes()),
        ("allowed_signers", signers.as_bytes()),
        (page.0, page.1.as_bytes()),
    ];
    write_all(folder, &files)
}

fn write_all(folder: &Path, files: &[(&str, &[u8])]) -> Result<Vec<PathBuf>, Error> {
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        write_new(&path, bytes).map_err(|source| Error::disk("writing the certificate", &path, source))?;
        written.push(path);
    }
    Ok(written)
}

/// A line of an `allowed_signers` file.
fn signers(principal: &str, kind: Kind, key: &PublicIdentity) -> String {
    format!("{principal} namespaces=\"{}\" {}\n", kind.namespace(), key.to_openssh("").trim_end())
}

/// Checks a certificate from anybody, offline, with the signature beside it, and the witness's co-signature if there is
/// one: `witness.json` and `witness.json.sig` in the same folder.
///
/// # Errors
/// [`Error::BadCertificate`], [`Error::Disk`].
pub fn verify_file(file: &Path) -> Result<Certificate, Error> {
    let text = read_text(file, STATEMENT_BYTES_MAX)?;
    let mut certificate = Certificate::of(text, read_text(&beside(file), SIGNATURE_BYTES_MAX)?)?;
    let path = witness_file(file);
    if path.exists() {
        let text = read_text(&path, STATEMENT_BYTES_MAX)?;
        let signature = read_text(&beside(&path), SIGNATURE_BYTES_MAX)?;
        let verified = check_witness(&certificate.verified, &text, &signature).map_err(|fault| bad(&fault))?;
        let (statement, by) = (verified.text().clone(), *verified.by());
        certificate.witness = Some(Witness { text, signature, statement, by });
    }
    Ok(certificate)
}

/// Co-signs a certificate with this machine's identity, and writes that beside it; gives the files written.
///
/// # Errors
/// [`Error::BadCertificate`] for one that does not check, and for one's own; [`Error::Signing`]; [`Error::Disk`].
pub fn witness(home: &Home, file: &Path, saw: Saw) -> Result<(Certificate, Vec<PathBuf>), Error> {
    let certificate = verify_file(file)?;
    if let Some(witness) = &certificate.witness {
        tracing::debug!(by = witness.by.fingerprint(), "there is a witness already");
        return Err(Error::BadCertificate("somebody has co-signed it already"));
    }
    let owner = home.identity_or_new()?;
    let key = owner.identity.public();
    // [S21.4]
    if key == *certificate.verified.by() {
        return Err(Error::BadCertificate("it is this identity's own: a witness is somebody else"));
    }
    let text = WitnessText {
        transfer: certificate.statement().transfer,
        certificate: certificate.verified.id(),
        verdict: certificate.statement().verdict,
        destroyer_key: certificate.statement().destroyer_key,
        witness_key: Fingerprint::of(&key),
        witness: name(&owner.name),
        organisation: owner.organisation.as_deref().filter(|name| !name.is_empty()).map(name),
        saw,
        time: super::now().into(),
    }
    .to_text();
    let signature = proof::sign(Kind::Witness, &text, &owner.identity).map_err(unsigned)?;
    let signers = signers(WITNESS, Kind::Witness, &key);
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = [
        ("witness.json", text.as_bytes()),
        ("witness.json.sig", signature.as_bytes()),
        ("allowed_signers_witness", signers.as_bytes()),
    ];
    let written = write_all(folder, &files)?;
    Ok((verify_file(file)?, written))
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

fn witness_file(file: &Path) -> PathBuf {
    file.with_file_name("witness.json")
}

fn bad(fault: &ProofFault) -> Error {
    tracing::debug!(%fault, "a certificate does not check");
    Error::BadCertificate(match fault {
        ProofFault::Statement(_) => "it is malformed",
        ProofFault::Namespace => "its signature is for another purpose",
        ProofFault::Forged => "its signature does not fit",
        ProofFault::OtherSigner => "it is signed by another key than it names",
        ProofFault::Mismatch(_) => "its lines contradict each other",
        _ => "its signature is malformed",
    })
}

/// A name, cut where it would be too long.
pub(super) fn name(text: &str) -> Written {
    cut(text, NAME_BYTES_MAX, Keep::Start)
}

/// A reason, cut where it would be too long.
pub(super) fn reason(text: &str) -> Written {
    cut(text, REASON_BYTES_MAX, Keep::Start)
}

/// A path; of one that would be too long its end, which says more.
pub(super) fn place(path: &Path) -> Written {
    cut(&escaped(path.as_os_str().as_encoded_bytes()), PLACE_BYTES_MAX, Keep::End)
}

/// Which part of a text that is too long is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Start,
    End,
}

/// Three bytes of every character are written as nine at most.
fn cut(text: &str, bytes_max: usize, keep: Keep) -> Written {
    let text = if text.trim().is_empty() { "?" } else { text.trim() };
    let cost =
        |c: char| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { 1 } else { c.len_utf8() * 3 };
    let (mut used, mut chars) = (0, 0);
    let mut fits = |c: &char| {
        used += cost(*c);
        chars += 1;
        used <= bytes_max - 16 && chars < WRITTEN_CHARS_MAX - 1
    };
    let kept: String = match keep {
        Keep::Start => text.chars().take_while(&mut fits).collect(),
        Keep::End => text.chars().rev().take_while(&mut fits).collect::<Vec<_>>().into_iter().rev().collect(),
    };
    let whole = match (kept.len() == text.len(), keep) {
        (true, _) => kept,
        (false, Keep::Start) => format!("{kept}…"),
        (false, Keep::End) => format!("…{kept}"),
    };
    #[expect(clippy::expect_used, reason = "it is not empty, and was cut to less than a wording may have")]
    Written::new("text", &whole, WRITTEN_CHARS_MAX).expect("it fits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S21.3]
    fn names_and_places_are_cut_to_fit_one_statement() {
        let long = "客".repeat(500);
        assert_eq!(name("王家电").as_str(), "王家电");
        assert_eq!(name(" ").as_str(), "?");
        assert!(name(&long).as_str().ends_with('…'));
        let path = format!("/srv/{}/{}", "a".repeat(4000), "客户");
        let shown = place(Path::new(&path));
        assert!(shown.as_str().starts_with('…') && shown.as_str().ends_with("/客户"), "{shown:?}");
    }
}
