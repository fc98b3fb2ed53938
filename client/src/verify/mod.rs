//! Whether a folder still matches what was received or sent.
//!
//! | module | what it does |
//! |---|---|
//! | `find` | which transfer a folder belongs to |
//! | `papers` | the signatures of seal and receipt |
//! | `manifest`, `lines` | what is kept of every entry, and where it should be |
//! | `walk`, `hash` | the disk against it, several files at a time |
//!
//! # Source
//! SPEC \[S18\].

mod find;
mod hash;
pub(crate) mod lines;
pub(crate) mod manifest;
pub(crate) mod papers;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use handover_shared::ids::{Root, TransferId};

use crate::error::Error;
use crate::event::{Event, Observer, Stage};
use crate::home::Home;
use crate::home::transfers::Role;
use crate::private::Private;
use crate::stop::Stop;

use papers::{Papers, ReceiptCheck};

/// What to check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// The folder; where the transfer's things were placed or taken from, if nothing is said.
    pub folder: Option<PathBuf>,
    /// The transfer; the newest that the folder belongs to, if nothing is said.
    pub id: Option<u64>,
}

/// How one of the four questions is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Yes.
    Good,
    /// Yes, and there is something to know.
    Attention,
    /// No.
    Bad,
}

/// How something differs from what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It is not there.
    Missing,
    /// Its content, or where a link points, is another.
    Changed,
    /// It is a file that has fewer bytes than it had.
    Shortened,
    /// It cannot be opened or read to its end.
    Unreadable,
    /// It is there and was not sent.
    Added,
    /// It is something else: a folder instead of a file, a link instead of a folder.
    OtherKind,
    /// Its permission bits are others.
    OtherMode,
    /// Its time is another; this counts against nothing.
    OtherTime,
    /// Everybody may write to it.
    Exposed,
    /// It runs with the rights of its owner or group.
    Privileged,
    /// It is a link that leads out of the folder.
    LeadsOut,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path in the transfer.
    pub path: Private<Vec<u8>>,
    /// What is different.
    pub kind: Kind,
}

/// How much was found of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files that are there.
    pub files: u64,
    /// Folders that are there.
    pub folders: u64,
    /// Links that are there.
    pub links: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// [`Kind::Missing`].
    pub missing: u64,
    /// [`Kind::Changed`].
    pub changed: u64,
    /// [`Kind::Shortened`].
    pub shortened: u64,
    /// [`Kind::Unreadable`].
    pub unreadable: u64,
    /// [`Kind::Added`].
    pub added: u64,
    /// [`Kind::OtherKind`].
    pub other_kind: u64,
    /// [`Kind::OtherMode`].
    pub other_mode: u64,
    /// [`Kind::OtherTime`].
    pub other_time: u64,
    /// [`Kind::Exposed`], which the seller did not sign so.
    pub exposed: u64,
    /// Everybody may write to it, and it was sent so.
    pub exposed_as_sent: u64,
    /// [`Kind::Privileged`].
    pub privileged: u64,
    /// [`Kind::LeadsOut`].
    pub leads_out: u64,
    /// Things beside it that nobody can say of whether they were added: in folders that were there before, or that the
    /// seller did not send.
    pub beside: u64,
    /// Entries that the buyer chose not to have.
    pub left_out: u64,
    /// Exceptions of the seller.
    pub listed: u64,
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The number of the transfer on this machine.
    pub id: u64,
    /// Which.
    pub transfer: TransferId,
    /// Whether this machine received or sent it.
    pub role: Role,
    /// Where was looked; for a seller's own sources the first of them.
    pub folder: PathBuf,
    /// The other side's name for itself, if known.
    pub peer: Option<Private<String>>,
    /// `SHA256:…` of the seller.
    pub seller: String,
    /// `SHA256:…` of the buyer, if there is a receipt.
    pub buyer: Option<String>,
    /// The root that the seller signed.
    pub root: Root,
    /// What of the papers does not check: a word for each.
    pub bad_papers: Vec<&'static str>,
    /// Whether the manifest that is kept is the signed one.
    pub manifest_fits: bool,
    /// Whether the root computed from what is on the disk is the signed one.
    pub root_fits: bool,
    /// Numbers.
    pub tally: Tally,
    /// Files as signed.
    pub files: u64,
    /// Bytes as signed.
    pub bytes: u64,
    /// Whether a work folder of this transfer is left in the destination.
    pub own_remains: bool,
    /// Whether a work folder of another transfer is there.
    pub other_remains: bool,
}

impl Verification {
    /// 真实性: it is what the seller signed, and nothing else.
    pub fn authenticity(&self) -> Verdict {
        let tally = &self.tally;
        let differs = tally.changed + tally.shortened + tally.other_kind + tally.other_mode + tally.added > 0;
        match () {
            () if !self.bad_papers.is_empty() || !self.manifest_fits || differs => Verdict::Bad,
            // Nothing that could be looked at differs; what is not there or cannot be read is judged below.
            () if self.buyer.is_none() || !self.root_fits || tally.beside > 0 => Verdict::Attention,
            () => Verdict::Good,
        }
    }

    /// 完整性: every entry is there.
    pub fn completeness(&self) -> Verdict {
        match () {
            () if self.tally.missing > 0 => Verdict::Bad,
            () if self.tally.left_out + self.tally.listed > 0 => Verdict::Attention,
            () => Verdict::Good,
        }
    }

    /// 可用性: every file opens, reads to its end, and is as long as it was.
    pub fn usability(&self) -> Verdict {
        if self.tally.unreadable + self.tally.shortened > 0 { Verdict::Bad } else { Verdict::Good }
    }

    /// 安全性: nobody else can change it, nothing of it leads elsewhere, no copy is left.
    pub fn safety(&self) -> Verdict {
        let tally = &self.tally;
        match () {
            () if tally.exposed + tally.privileged + tally.leads_out > 0 || self.own_remains => Verdict::Bad,
            () if tally.exposed_as_sent > 0 || self.other_remains => Verdict::Attention,
            () => Verdict::Good,
        }
    }

    /// Whether it matches.
    pub fn matches(&self) -> bool {
        let all = [self.authenticity(), self.completeness(), self.usability(), self.safety()];
        !all.contains(&Verdict::Bad)
    }
}

/// Checks a folder. `each` hears of every difference as it is found.
///
/// # Errors
/// [`Error::NoSuchTransfer`] when the folder belongs to none; [`Error::NotWhole`] for a transfer that did not get to its
/// end here; [`Error::Disk`], [`Error::State`]; [`Error::Interrupted`].
pub fn verify(
    home: &Home,
    options: &VerifyOptions,
    observer: &Arc<dyn Observer>,
    stop: &Stop,
    each: &mut dyn FnMut(&Difference),
) -> Result<Verification, Error> {
    let found = find::find(home, options)?;
    let facts = &found.facts;
    let not_whole = || Error::NotWhole { id: facts.id };
    let papers = Papers::read(&found.folder)?.ok_or_else(not_whole)?;
    let key = manifest::read_key(&found.folder)?.ok_or_else(not_whole)?;
    let lines = lines::Lines::open(&found)?.ok_or_else(not_whole)?;
    observer.event(Event::Stage(Stage::Checking));
    let walk = walk::Walk::new(&found, lines, &key, papers.totals(), observer, stop)?;
    let walked = walk.run(each)?;
    let (own_remains, other_remains) = found.remains()?;
    Ok(Verification {
        id: facts.id,
        transfer: facts.transfer_id()?,
        role: facts.role,
        folder: found.shown().to_path_buf(),
        peer: facts.peer_organisation.clone().or_else(|| facts.peer_name.clone()).map(Private::new),
        seller: papers.seller.clone(),
        buyer: match &papers.receipt {
            ReceiptCheck::Good(fingerprint) => Some(fingerprint.clone()),
            ReceiptCheck::None | ReceiptCheck::Bad => None,
        },
        root: papers.root,
        manifest_fits: walked.kept_root == papers.root,
        root_fits: walked.disk_root == papers.root,
        files: papers.files,
        bytes: papers.bytes,
        bad_papers: papers.bad,
        tally: walked.tally,
        own_remains,
        other_remains,
    })
}

/// A path of this machine without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    std::fs::canonicalize(&absolute).unwrap_or(absolute)
}
