//! Receipts: kept by both sides, shown, exported, and checked by anybody.
//!
//! An exported receipt needs no handover to be checked:
//!
//! ```text
//! ssh-keygen -Y verify -f allowed_signers -I buyer -n handover-receipt-v1 -s receipt.json.sig < receipt.json
//! ```
//!
//! # Source
//! SPEC [S10.1] [S10.6].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use handover_shared::ids::Millis;
use handover_shared::limits::{SIGNATURE_BYTES_MAX, STATEMENT_BYTES_MAX};
use handover_shared::proof::{self, Agreement, Kind, ProofFault, PublicIdentity, ReceiptText};

use crate::agreement::{self, KeptAgreement};
use crate::error::Error;
use crate::event::ReceiptFacts;
use crate::home::Home;
use crate::home::transfers::Role;
use crate::private::{Private, escaped};
use crate::pull::kept::{Kept, read_statement};
use crate::watch::receipt_short;

/// Who signs, in an exported list of signers.
pub const PRINCIPAL: &str = "buyer";
const ALLOWED_SIGNERS_BYTES_MAX: usize = 256 * 1024;

/// A receipt that is kept on this machine.
#[derive(Clone, Debug)]
pub struct KeptReceipt {
    /// Who gave it, and for what.
    pub facts: ReceiptFacts,
    /// The statement.
    pub text: String,
    /// The buyer's signature over it, armoured.
    pub signature: String,
    /// What the statement says.
    pub statement: ReceiptText,
    signer: PublicIdentity,
    /// The agreement that its buyer had signed, if there was one.
    pub agreement: Option<KeptAgreement>,
}

/// The receipt of a transfer of this machine, on either side; its signature is checked again.
///
/// # Errors
/// [`Error::NoSuchTransfer`], [`Error::NoReceipt`], [`Error::BadReceipt`] when the files were altered.
pub fn read(home: &Home, id: u64) -> Result<KeptReceipt, Error> {
    let folder = home.transfer(id)?;
    let facts = folder.facts()?;
    let (text, signature) = read_statement(&folder, Kept::Receipt)?.ok_or(Error::NoReceipt { id })?;
    let (statement, signer) = check(&text, &signature)?;
    let (buyer_name, organisation) = match facts.role {
        Role::Seller => (facts.peer_name.unwrap_or_default(), facts.peer_organisation),
        Role::Buyer => home.identity()?.map(|owner| (owner.name, owner.organisation)).unwrap_or_default(),
    };
    Ok(KeptReceipt {
        facts: ReceiptFacts {
            id,
            short: receipt_short(&text),
            buyer_name: Private::new(buyer_name),
            organisation: organisation.map(Private::new),
            buyer_fingerprint: signer.fingerprint(),
            received: statement.received.millis(),
            files: statement.files,
            bytes: statement.bytes,
            deleted: facts.deleted_ms.map(Millis),
        },
        text,
        signature,
        agreement: matching(agreement::kept(&folder)?, &statement)?,
        statement,
        signer,
    })
}

/// The kept agreement is the one that the receipt names.
fn matching(kept: Option<KeptAgreement>, receipt: &ReceiptText) -> Result<Option<KeptAgreement>, Error> {
    let named = kept.as_ref().map_or(Agreement::None, |kept| Agreement::Of(kept.statement.agreement));
    let is_same_buyer = kept.as_ref().is_none_or(|kept| kept.statement.buyer_key == receipt.buyer_key);
    if named == receipt.agreement && is_same_buyer { Ok(kept) } else { Err(Error::BadReceipt("agreement")) }
}

/// Writes a receipt with everything that is needed to check it without handover; gives the files written. What is there
/// and is the same stays; what is there and is not is not replaced.
///
/// # Errors
/// [`Error::Disk`].
pub fn export(receipt: &KeptReceipt, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(folder).map_err(|source| Error::disk("making the folder", folder, source))?;
    let namespaces = match receipt.agreement {
        None => Kind::Receipt.namespace().to_owned(),
        Some(_) => format!("{},{}", Kind::Receipt.namespace(), Kind::Agreement.namespace()),
    };
    let key = receipt.signer.to_openssh("");
    let signers = format!("{PRINCIPAL} namespaces=\"{namespaces}\" {}\n", key.trim_end());
    let agreement = receipt.agreement.as_ref().map(|kept| {
        // As `sha256sum` writes it; the name is the other side's and cannot end the line.
        let name = escaped(kept.statement.document.as_str().as_bytes());
        (kept, format!("{}  {name}\n", kept.statement.agreement.to_hex()))
    });
    let mut files = vec![
        ("receipt.json", receipt.text.as_bytes()),
        ("receipt.json.sig", receipt.signature.as_bytes()),
        ("allowed_signers", signers.as_bytes()),
    ];
    if let Some((kept, sum)) = &agreement {
        files.push(("agreement.json", kept.text.as_bytes()));
        files.push(("agreement.json.sig", kept.signature.as_bytes()));
        files.push(("agreement.sha256", sum.as_bytes()));
    }
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        write_new(&path, bytes).map_err(|source| Error::disk("writing the receipt", &path, source))?;
        written.push(path);
    }
    Ok(written)
}

pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(bytes)?;
            file.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut there = Vec::new();
            File::open(path)?.take(bytes.len() as u64 + 1).read_to_end(&mut there)?;
            if there == bytes { Ok(()) } else { Err(error) }
        }
        Err(error) => Err(error),
    }
}

/// A receipt from a file, whose signature fits.
#[derive(Clone, Debug)]
pub struct VerifiedFile {
    /// What it says.
    pub statement: ReceiptText,
    /// `SHA256:…` of the key that signed it.
    pub fingerprint: String,
    /// The first characters of its hash.
    pub short: String,
    /// Under which name the list of signers has that key; nothing if no list was given.
    pub principal: Option<String>,
}

/// Checks a receipt from anybody, offline. The signature is beside the receipt, `.sig`, unless said otherwise; with a
/// list of signers the key must stand in it.
///
/// # Errors
/// [`Error::BadReceipt`], [`Error::Disk`].
pub fn verify_file(
    receipt: &Path,
    signature: Option<&Path>,
    allowed_signers: Option<&Path>,
) -> Result<VerifiedFile, Error> {
    let beside = {
        let mut name = receipt.as_os_str().to_owned();
        name.push(".sig");
        PathBuf::from(name)
    };
    let text = read_text(receipt, STATEMENT_BYTES_MAX)?;
    let armour = read_text(signature.unwrap_or(&beside), SIGNATURE_BYTES_MAX)?;
    let (statement, signer) = check(&text, &armour)?;
    let principal = match allowed_signers {
        None => None,
        Some(path) => {
            let list = read_text(path, ALLOWED_SIGNERS_BYTES_MAX)?;
            let found = list.lines().find_map(|line| principal_of(line, &signer));
            Some(found.ok_or(Error::BadReceipt("the key that signed it is not in the list of signers"))?)
        }
    };
    Ok(VerifiedFile { statement, fingerprint: signer.fingerprint(), short: receipt_short(&text), principal })
}

pub(crate) fn read_text(path: &Path, bytes_max: usize) -> Result<String, Error> {
    let reading = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes: Vec<u8> = reading().map_err(|source| Error::disk("reading", path, source))?;
    if bytes.len() > bytes_max {
        return Err(Error::BadReceipt("a file is longer than it can be"));
    }
    String::from_utf8(bytes).map_err(|_bytes| Error::BadReceipt("it is not text"))
}

/// Parses a receipt and checks that the key it names has signed it.
fn check(text: &str, signature: &str) -> Result<(ReceiptText, PublicIdentity), Error> {
    let statement = ReceiptText::parse(text).map_err(|fault| bad(&fault.into()))?;
    let signer = proof::verify(Kind::Receipt, text, signature).map_err(|fault| bad(&fault))?;
    if signer.fingerprint() != statement.buyer_key.to_string() {
        return Err(Error::BadReceipt("it is signed by another key than it names"));
    }
    Ok((statement, signer))
}

fn bad(fault: &ProofFault) -> Error {
    tracing::debug!(%fault, "a receipt does not check");
    Error::BadReceipt(match fault {
        ProofFault::Statement(_) => "it is malformed",
        ProofFault::Namespace => "its signature is for another purpose",
        ProofFault::Forged => "its signature does not fit",
        _ => "its signature is malformed",
    })
}

/// The principals of a line of `allowed_signers`, if the line allows this key to sign receipts.
///
/// # Security
/// A line with an option that is not understood allows nothing: it may be one that forbids.
fn principal_of(line: &str, signer: &PublicIdentity) -> Option<String> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (principals, rest) = line.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let key = match rest.strip_prefix("namespaces=\"") {
        None => rest,
        Some(rest) => {
            let (namespaces, rest) = rest.split_once('"')?;
            if !namespaces.split(',').any(|namespace| namespace == Kind::Receipt.namespace()) {
                return None;
            }
            rest.strip_prefix(char::is_whitespace)?.trim_start()
        }
    };
    let mut words = key.split_whitespace();
    let (kind, base64) = (words.next()?, words.next()?);
    let own = signer.to_openssh("");
    let mut own = own.split_whitespace();
    (own.next() == Some(kind) && own.next() == Some(base64)).then(|| principals.to_string())
}

#[cfg(test)]
mod tests {
    use handover_shared::proof::Identity;

    use super::*;

    #[test] // [S10.1]
    fn a_line_of_signers_allows_only_what_it_says() {
        let signer = Identity::of_seed(&[7; 32]).public();
        let key = signer.to_openssh("");
        let key = key.trim();
        let other = Identity::of_seed(&[8; 32]).public().to_openssh("");
        let cases = [
            (format!("buyer {key}"), Some("buyer")),
            (format!("  li@trading,buyer   {key} a comment"), Some("li@trading,buyer")),
            (format!("buyer namespaces=\"handover-receipt-v1\" {key}"), Some("buyer")),
            (format!("buyer namespaces=\"git,handover-receipt-v1\" {key}"), Some("buyer")),
            (format!("buyer namespaces=\"git\" {key}"), None),
            (format!("buyer namespaces=\"handover-receipt-v1\"{key}"), None),
            (format!("buyer namespaces=\"handover-receipt-v1 {key}"), None),
            (format!("buyer cert-authority {key}"), None),
            (format!("buyer valid-before=\"20200101\" {key}"), None),
            (format!("buyer {}", other.trim()), None),
            (format!("# buyer {key}"), None),
            (format!("buyer ssh-rsa {}", key.split(' ').nth(1).unwrap()), None),
            ("buyer".into(), None),
            (String::new(), None),
        ];
        for (line, principal) in cases {
            assert_eq!(principal_of(&line, &signer).as_deref(), principal, "{line}");
        }
    }

    #[test]
    fn an_export_replaces_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        write_new(&path, b"one").unwrap();
        write_new(&path, b"one").unwrap();
        for other in [&b"two"[..], b"one more", b"on"] {
            assert_eq!(write_new(&path, other).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn what_is_no_receipt_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("receipt.json");
        let cases: [&[u8]; 4] = [b"", b"handover-receipt/v1\n", b"\xff\xfe", &[b'a'; STATEMENT_BYTES_MAX + 1]];
        fs::write(scratch.path().join("receipt.json.sig"), "x").unwrap();
        for bytes in cases {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(verify_file(&path, None, None), Err(Error::BadReceipt(_))));
        }
        assert!(matches!(verify_file(&scratch.path().join("none"), None, None), Err(Error::Disk { .. })));
    }
}
