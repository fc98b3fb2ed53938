//! The act: what is noted before it begins, the order, and the verification.
//!
//! # Source
//! SPEC [S21.1] [S21.2] [S21.3].

use std::path::Path;
use std::sync::Arc;

use handover_shared::codec;
use handover_shared::ids::Digest;
use handover_shared::proof::destruction::{
    DestructionText, Method, NotCovered, Outcome, Scope, Side, Technique, Verification,
};
use handover_shared::proof::{self, Fingerprint};
use minicbor::{Decode, Encode};

use super::items::{self, GO};
use super::media::{self, Medium, Overwrite};
use super::{Certificate, Sources, Survey, certificate, now, source, wipe};
use crate::error::Error;
use crate::event::{Event, Observer, Stage};
use crate::home::transfers::{Facts, Folder, Role, State};
use crate::home::{checked, read_private, write_private};
use crate::pull::disk::{Dir, Found};
use crate::pull::kept::{Kept, read_statement};
use crate::pull::names::WORK_FOLDER;
use crate::stop::Stop;
use crate::verify::papers::Papers;

const NOTED: &str = "destruction.run";
const NOTED_BYTES_MAX: u64 = 16 * 1024;
const VERSION: u32 = 1;

/// What a run has to know of the runs before it that died.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Noted {
    #[n(0)]
    version: u32,
    #[n(1)]
    started_ms: u64,
    /// What was asked for.
    #[n(2)]
    pub with_source: bool,
    #[n(3)]
    reason: Option<String>,
    /// Files of the program that were there.
    #[n(4)]
    items: u64,
    #[n(5)]
    bytes: u64,
    /// Sent files that were there, and looked as they did.
    #[n(6)]
    source_files: u64,
    #[n(7)]
    source_bytes: u64,
    #[n(8)]
    source_kept: u64,
    #[n(9)]
    overwritten: u64,
    /// Whether nothing more is to be done about the sent files.
    #[n(10)]
    pub source_done: bool,
    /// Whether a file of them has another name somewhere.
    #[n(11)]
    other_names: bool,
}

/// What an earlier run noted that died on the way.
pub(super) fn noted(folder: &Folder) -> Result<Option<Noted>, Error> {
    let path = folder.file(NOTED);
    let Some(bytes) = read_private(&path, NOTED_BYTES_MAX)? else { return Ok(None) };
    let noted = checked::body(&bytes).map(codec::decode::<Noted>);
    match noted {
        Some(Ok(noted)) if noted.version == VERSION => Ok(Some(noted)),
        // It only says how much there was before: what is left is destroyed all the same.
        _ => {
            tracing::warn!("what an earlier run noted is damaged");
            Ok(None)
        }
    }
}

impl Noted {
    fn begin(survey: &Survey, reason: Option<&str>) -> Self {
        Self {
            version: VERSION,
            started_ms: now().0,
            with_source: survey.sources == Sources::Destroyed,
            reason: reason.map(str::to_owned),
            items: survey.items.iter().map(|item| item.files).sum(),
            bytes: survey.items.iter().map(|item| item.bytes).sum(),
            source_files: survey.source.0,
            source_bytes: survey.source.1,
            source_kept: 0,
            overwritten: 0,
            source_done: false,
            other_names: false,
        }
    }

    /// What was there before all runs, and what this one was asked for.
    fn go_on(self, survey: &Survey, reason: Option<&str>) -> Self {
        let fresh = Self::begin(survey, reason);
        let is_source_new = fresh.with_source && !self.with_source;
        Self {
            with_source: self.with_source || fresh.with_source,
            reason: fresh.reason.or(self.reason),
            source_files: if is_source_new { fresh.source_files } else { self.source_files },
            source_bytes: if is_source_new { fresh.source_bytes } else { self.source_bytes },
            ..self
        }
    }

    fn store(&self, folder: &Folder) -> Result<(), Error> {
        write_private(&folder.file(NOTED), &checked::file(&codec::encode(self)))
    }
}

/// Destroys, verifies and signs.
pub(super) fn run(
    survey: Survey,
    reason: Option<&str>,
    observer: &Arc<dyn Observer>,
    stop: &Stop,
) -> Result<Certificate, Error> {
    let owner = survey.home.identity_or_new()?;
    let held = &survey.held;
    let mut noted = match noted(held)? {
        Some(earlier) => earlier.go_on(&survey, reason),
        None => Noted::begin(&survey, reason),
    };
    // [S21.2] What there was is durable before any of it goes.
    noted.store(held)?;
    let papers = Papers::read(held)?;
    let medium = media::of(held.file(".").parent().unwrap_or(Path::new(".")));
    let mut remaining = 0;
    if noted.with_source && !noted.source_done {
        remaining += sources(&survey, &mut noted, observer, stop)?;
    }
    observer.event(Event::Stage(Stage::Destroying));
    let act = Act { survey: &survey, medium: &medium, stop };
    act.partial(&mut noted)?;
    give_up(&survey)?;
    act.own(&mut noted, remaining > 0)?;
    observer.event(Event::Stage(Stage::Checking));
    remaining += act.verify()?;
    let outcome = match () {
        () if remaining > 0 => Outcome::Failed,
        () if !survey.strangers.is_empty() || survey.destination_gone || noted.other_names => Outcome::Unknown,
        () => Outcome::Pass,
    };
    let text = certificate_text(&survey, &noted, &medium, remaining, outcome, &owner, papers.as_ref())?;
    let certificate = certificate::keep(held, &text, &owner.identity)?;
    let path = held.file(NOTED);
    std::fs::remove_file(&path).map_err(|source| Error::disk("removing", &path, source))?;
    Ok(certificate)
}

/// The sent files; gives how many are left that should be gone.
fn sources(survey: &Survey, noted: &mut Noted, observer: &Arc<dyn Observer>, stop: &Stop) -> Result<u64, Error> {
    let (held, facts) = (&survey.held, &survey.facts);
    let first = facts.sources.first().and_then(|kept| kept.to_path());
    let how = first.map_or(Overwrite::InPlace, |path| media::of(path.parent().unwrap_or(&path)).overwrite);
    let done = {
        let mut note = |overwritten| {
            noted.overwritten += overwritten;
            noted.store(held)
        };
        source::destroy(held, facts, how, &mut note, observer, stop)?
    };
    let left = source::check(held, facts)?;
    let present = left.files + left.changed;
    let remaining = present.saturating_sub(done.kept);
    // What was listed and is gone; what looked right and turned out to be something else is not.
    noted.source_files = noted.source_files.saturating_sub(left.files);
    noted.source_bytes = noted.source_bytes.saturating_sub(left.bytes);
    noted.source_kept = done.kept;
    noted.other_names = done.other_names > 0;
    noted.source_done = remaining == 0;
    noted.store(held)?;
    Ok(remaining)
}

/// A pull that was not finished ends here; its facts say so before its keys go.
fn give_up(survey: &Survey) -> Result<(), Error> {
    if !survey.facts.state.is_open() {
        return Ok(());
    }
    let facts = Facts { state: State::Failed, failure: Some(super::FAILURE.into()), ..survey.facts.clone() };
    survey.held.store_facts(&facts)
}

struct Act<'a> {
    survey: &'a Survey,
    medium: &'a Medium,
    stop: &'a Stop,
}

impl Act<'_> {
    /// Partial data in the destination.
    fn partial(&self, noted: &mut Noted) -> Result<(), Error> {
        let Some(path) = items::destination(&self.survey.facts) else { return Ok(()) };
        let transfer = self.survey.facts.transfer.as_bytes();
        let wiping = || {
            let root = Dir::open(&path)?;
            if root.look(WORK_FOLDER)? != Found::Folder {
                return Ok(0);
            }
            let above = root.enter(WORK_FOLDER)?;
            let overwritten = wipe::wipe(&above, transfer, media::of(&path).overwrite, self.stop)?;
            above.sync_names()?;
            root.remove_if_empty(WORK_FOLDER)?;
            root.sync_names()?;
            Ok(overwritten)
        };
        match wiping() {
            Ok(overwritten) => noted.overwritten += overwritten,
            // It is not there; the verification looks again.
            Err(wipe::Halt::Disk(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(halt) => return Err(halt.error(&path)),
        }
        noted.store(&self.survey.held)
    }

    /// The program's own files. What says which the sent files were stays as long as one of them does.
    fn own(&self, noted: &mut Noted, keeps_plan: bool) -> Result<(), Error> {
        let path = self.survey.held.file(".");
        let folder = items::own_folder(&self.survey.held)?;
        for (name, _) in GO {
            if keeps_plan && matches!(name, "plan" | "records") {
                continue;
            }
            let wiped = wipe::wipe(&folder, name.as_bytes(), self.medium.overwrite, self.stop);
            noted.overwritten += wiped.map_err(|halt| halt.error(&path))?;
        }
        folder.sync_names().map_err(|source| Error::disk("destroying", &path, source))?;
        noted.store(&self.survey.held)
    }

    /// Opens every folder again and looks for the names; gives how many are there.
    fn verify(&self) -> Result<u64, Error> {
        // [S21.2]
        let path = self.survey.held.file(".");
        let folder = items::own_folder(&self.survey.held)?;
        let mut remaining = 0;
        for (name, _) in GO {
            let found = folder.look(name.as_bytes());
            let found = found.map_err(|source| Error::disk("looking at what is there", &path, source))?;
            remaining += u64::from(found != Found::Nothing);
        }
        if let Some(path) = items::destination(&self.survey.facts)
            && let Ok(Some(_)) = items::work_folder(&path, &self.survey.facts.transfer)
        {
            remaining += 1;
        }
        // The relay inside a push deletes by itself; what it has not deleted is still here.
        let segments = self.survey.home.embedded_relay_folder().join("segments").join(&self.survey.facts.transfer);
        if self.survey.facts.embedded && std::fs::read_dir(segments).is_ok_and(|mut names| names.next().is_some()) {
            remaining += 1;
        }
        Ok(remaining)
    }
}

/// The relay's own statement that it has deleted its copy, if it has signed one and its log holds.
fn relay_deletion(survey: &Survey) -> Result<Option<Digest>, Error> {
    let audit = crate::audit::of(&survey.home, survey.id())?.filter(|audit| audit.check == crate::audit::Check::Holds);
    Ok(audit.and_then(|audit| audit.signed_deletion).map(|signed| proof::text_id(&signed.text)))
}

fn certificate_text(
    survey: &Survey,
    noted: &Noted,
    medium: &Medium,
    remaining: u64,
    verdict: Outcome,
    owner: &crate::home::identity::Owner,
    papers: Option<&Papers>,
) -> Result<DestructionText, Error> {
    let facts = &survey.facts;
    let statement = |kept| Ok::<_, Error>(read_statement(&survey.held, kept)?.map(|(text, _)| proof::text_id(&text)));
    let missing = || Error::State {
        what: "a statement is missing or damaged",
        path: survey.held.file(Kept::Offer.files().0),
        source: None,
    };
    let folder = match facts.role {
        Role::Buyer => items::destination(facts),
        Role::Seller => facts.sources.first().and_then(|kept| kept.to_path()),
    };
    let overwritten = noted.overwritten.min(noted.items.saturating_add(noted.source_files));
    Ok(DestructionText {
        transfer: facts.transfer_id()?,
        side: if facts.role == Role::Seller { Side::Seller } else { Side::Buyer },
        offer: statement(Kept::Offer)?.ok_or_else(missing)?,
        receipt: statement(Kept::Receipt)?,
        root: papers.map(|papers| papers.root),
        destroyer_key: Fingerprint::of(&owner.identity.public()),
        destroyer: certificate::name(&owner.name),
        organisation: owner.organisation.as_deref().filter(|name| !name.is_empty()).map(certificate::name),
        reason: noted.reason.as_deref().filter(|reason| !reason.is_empty()).map(certificate::reason),
        host: certificate::name(&rustix::system::uname().nodename().to_string_lossy()),
        folder: folder.map(|path| certificate::place(&path)),
        media: certificate::name(&medium.text),
        tool: certificate::name(&format!("handover {}", env!("CARGO_PKG_VERSION"))),
        method: Method::Clear,
        technique: if overwritten > 0 { Technique::OverwriteAndUnlink } else { Technique::Unlink },
        scope: if noted.with_source { Scope::MachineAndSource } else { Scope::Machine },
        items: noted.items,
        bytes: noted.bytes,
        source_files: noted.source_files,
        source_bytes: noted.source_bytes,
        source_kept: noted.source_kept,
        overwritten,
        remaining,
        started: handover_shared::ids::Millis(noted.started_ms).into(),
        finished: now().into(),
        verification: Verification::NamesGone,
        verdict,
        not_covered: NotCovered::Usual,
        relay_deletion: relay_deletion(survey)?,
    })
}
