//! A log in a folder of its own, for anybody: the signed head, every entry as the text whose hash is in the tree, the
//! ways to the root, the deletion, and who signs.
//!
//! ```text
//! ssh-keygen -Y verify -f relay_signers -I relay -n handover-log-head-v1 -s log-head.json.sig < log-head.json
//! ssh-keygen -Y verify -f relay_signers -I relay -n handover-deletion-v1 -s deletion.json.sig < deletion.json
//! (printf '\0'; cat log-entry-0.json) | sha256sum        # the leaf of an entry
//! ```

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use handover_shared::ids::Digest;
use handover_shared::limits::{SIGNATURE_BYTES_MAX, STATEMENT_BYTES_MAX};
use handover_shared::proof::log::{LogFault, Subject};
use handover_shared::proof::{self, Kind, LogEntry, LogHeadText, ProofFault};
use handover_shared::protocol::message::{Included, Signed};
use serde::{Deserialize, Serialize};

use super::keep::{Evidence, KeptLog};
use super::{Audit, checked};
use crate::error::Error;
use crate::home::Home;
use crate::receipts::write_new;

/// Who signs, in the list of signers.
pub const PRINCIPAL: &str = "relay";
const HEAD: &str = "log-head.json";
const PROOFS: &str = "log-proofs.json";
const DELETION: &str = "deletion.json";
const SIGNERS: &str = "relay_signers";
const REASON: &str = "reason.txt";
const PROOFS_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Entries that one transfer can have.
const ENTRIES_MAX: usize = 10_000;

/// Where every entry is in the tree.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proofs {
    /// The transfer.
    transfer: String,
    /// Sizes of the earlier heads, in order.
    earlier: Vec<u64>,
    /// Every entry about the transfer, in order.
    entries: Vec<Path1>,
    /// What was given as the proof that the head shown extends the one held, where that is the evidence of a fork.
    fork: Option<Vec<String>>,
    /// The entries that were shown under that head.
    fork_entries: Vec<Path1>,
}

/// One entry's way to the root.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Path1 {
    /// The number of the entry in the log.
    entry: u64,
    /// The hashes, from the leaf upwards.
    path: Vec<String>,
}

/// Writes what is kept of the log about a transfer; gives the files written. Nothing that differs is replaced.
///
/// # Errors
/// [`Error::NoSuchTransfer`], [`Error::NoLog`]; [`Error::Disk`], [`Error::State`].
pub fn write(home: &Home, id: u64, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let transfer = home.transfer(id)?;
    let kept = KeptLog::read(&transfer)?.ok_or(Error::NoLog { id })?;
    let facts = transfer.facts()?;
    let signer = proof::PublicIdentity::of_bytes(facts.relay_key()?.0).map_err(|fault| Error::State {
        what: "a transfer's file is damaged",
        path: transfer.file("facts.json"),
        source: Some(fault.into()),
    })?;
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut signed = |name: String, it: &Signed| {
        files.push((name.clone(), it.text.clone().into_bytes()));
        files.push((format!("{name}.sig"), it.signature.clone().into_bytes()));
    };
    signed(HEAD.into(), &kept.head);
    let mut earlier = Vec::new();
    for head in &kept.earlier {
        let size = size_of(head)?;
        signed(format!("log-head-{size}.json"), head);
        earlier.push(size);
    }
    if let Some(deletion) = &kept.deletion {
        signed(DELETION.into(), deletion);
    }
    if let Some(evidence) = &kept.evidence {
        signed("fork-held.json".into(), &evidence.held);
        signed("fork-shown.json".into(), &evidence.shown);
    }
    let proofs = Proofs {
        transfer: facts.transfer.clone(),
        earlier,
        entries: entries(&kept.entries, "log-entry", &mut files)?,
        fork: kept.evidence.as_ref().map(|evidence| evidence.consistency.iter().map(Digest::to_hex).collect()),
        fork_entries: match &kept.evidence {
            Some(evidence) => entries(&evidence.entries, "fork-entry", &mut files)?,
            None => Vec::new(),
        },
    };
    let mut text = serde_json::to_vec_pretty(&proofs).map_err(|error| Error::Internal(error.to_string()))?;
    text.push(b'\n');
    files.push((PROOFS.into(), text));
    if let Some(reason) = kept.reason {
        files.push((REASON.into(), reason.into_bytes()));
    }
    let namespaces = format!("{},{}", Kind::LogHead.namespace(), Kind::Deletion.namespace());
    let line = format!("{PRINCIPAL} namespaces=\"{namespaces}\" {}\n", signer.to_openssh("").trim_end());
    files.push((SIGNERS.into(), line.into_bytes()));
    fs::create_dir_all(folder).map_err(|source| Error::disk("making the folder", folder, source))?;
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        write_new(&path, &bytes).map_err(|source| Error::disk("writing the log", &path, source))?;
        written.push(path);
    }
    Ok(written)
}

/// Reads such a folder and checks everything in it. Whose log it is, its own signatures say; that this is the relay one
/// means is for the reader to compare.
///
/// # Errors
/// [`Error::Log`] for what is no log at all; [`Error::Disk`].
pub fn read(folder: &Path) -> Result<Audit, Error> {
    let proofs = text(folder, PROOFS, PROOFS_BYTES_MAX)?;
    let malformed = |what| Error::Log { fault: ProofFault::Mismatch(what).into() };
    let proofs: Proofs = serde_json::from_str(&proofs).or(Err(malformed(PROOFS)))?;
    if proofs.entries.len() > ENTRIES_MAX
        || proofs.fork_entries.len() > ENTRIES_MAX
        || proofs.earlier.len() > ENTRIES_MAX
    {
        return Err(malformed(PROOFS));
    }
    let head = signed(folder, HEAD)?;
    let relay = LogHeadText::parse(&head.text).map_err(|fault| Error::Log { fault: fault.into() })?.relay_key;
    let signer = proof::verify(Kind::LogHead, &head.text, &head.signature)
        .map_err(|fault| Error::Log { fault: fault.into() })?;
    let transfer = handover_shared::ids::TransferId::from_hex(&proofs.transfer).ok_or(malformed("transfer"))?;
    if folder.join(SIGNERS).exists() {
        let line = text(folder, SIGNERS, STATEMENT_BYTES_MAX as u64)?;
        if !line.contains(signer.to_openssh("").trim_end()) {
            return Err(malformed(SIGNERS));
        }
    }
    let evidence = match &proofs.fork {
        None => None,
        Some(hashes) => Some(Evidence {
            held: signed(folder, "fork-held.json")?,
            shown: signed(folder, "fork-shown.json")?,
            entries: included(folder, "fork-entry", &proofs.fork_entries)?,
            consistency: digests(hashes).ok_or(malformed(PROOFS))?,
        }),
    };
    let kept = KeptLog {
        entries: included(folder, "log-entry", &proofs.entries)?,
        deletion: if folder.join(DELETION).exists() { Some(signed(folder, DELETION)?) } else { None },
        reason: if folder.join(REASON).exists() {
            Some(text(folder, REASON, STATEMENT_BYTES_MAX as u64)?)
        } else {
            None
        },
        earlier: proofs
            .earlier
            .iter()
            .map(|size| signed(folder, &format!("log-head-{size}.json")))
            .collect::<Result<_, _>>()?,
        head,
        evidence,
    };
    checked(&Subject { relay, transfer }, kept, None)
}

fn entries(all: &[Included], prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> Result<Vec<Path1>, Error> {
    let mut paths = Vec::new();
    for it in all {
        let entry = LogEntry::parse(&it.text).map_err(|fault| Error::Log { fault: fault.into() })?.number;
        files.push((format!("{prefix}-{entry}.json"), it.text.clone().into_bytes()));
        paths.push(Path1 { entry, path: it.path.iter().map(Digest::to_hex).collect() });
    }
    Ok(paths)
}

fn included(folder: &Path, prefix: &str, all: &[Path1]) -> Result<Vec<Included>, Error> {
    let malformed = || Error::Log { fault: ProofFault::Mismatch(PROOFS).into() };
    all.iter()
        .map(|it| {
            let text = text(folder, &format!("{prefix}-{}.json", it.entry), STATEMENT_BYTES_MAX as u64)?;
            Ok(Included { text, path: digests(&it.path).ok_or_else(malformed)? })
        })
        .collect()
}

fn digests(hashes: &[String]) -> Option<Vec<Digest>> {
    hashes.iter().map(|hash| Digest::from_hex(hash)).collect()
}

fn size_of(head: &Signed) -> Result<u64, Error> {
    let text = LogHeadText::parse(&head.text).map_err(|fault| Error::Log { fault: LogFault::from(fault) })?;
    Ok(text.size)
}

fn signed(folder: &Path, name: &str) -> Result<Signed, Error> {
    let text_of = text(folder, name, STATEMENT_BYTES_MAX as u64)?;
    Ok(Signed { text: text_of, signature: text(folder, &format!("{name}.sig"), SIGNATURE_BYTES_MAX as u64)? })
}

fn text(folder: &Path, name: &str, bytes_max: u64) -> Result<String, Error> {
    let path = folder.join(name);
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes));
    read.map_err(|source| Error::disk("reading", &path, source))?;
    let malformed = || Error::Log { fault: ProofFault::Mismatch("file").into() };
    if bytes.len() as u64 > bytes_max {
        return Err(malformed());
    }
    String::from_utf8(bytes).or(Err(malformed()))
}
