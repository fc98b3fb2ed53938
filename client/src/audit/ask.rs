//! Asking the relay what its log says, and keeping the answer. A relay that cannot be reached, or does not answer, has
//! shown nothing, and that is no trouble; one that shows something which contradicts what it has shown is.

use std::time::Duration;

use handover_shared::ids::TransferId;
use handover_shared::proof::Fingerprint;
use handover_shared::proof::log::{Followed, History, LogFault, Subject, VerifiedHead, check_deletion, check_head};
use handover_shared::protocol::message::{EventKind, Log, Logged, Reply, Request, Signed, Watch};

use super::keep::{Evidence, KeptLog};
use super::{DeletionFacts, Told};
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::home::Home;
use crate::home::transfers::Folder;
use crate::link::{Relay, unexpected};
use crate::push::watching::Target;
use crate::watch::Lock;

/// How long a relay may take to delete, when the deletion is waited for.
const DELETION_PATIENCE: Duration = Duration::from_secs(5);

/// How long a relay may take to show its log: nobody waits for it longer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// Whether to wait for the deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// What there is.
    None,
    /// The transfer is over: until the relay says that it has deleted, for a bounded time.
    UntilDeleted,
}

/// Asks, checks, keeps, and tells of a deletion that is new.
///
/// # Errors
/// [`Error::Log`] when what the relay shows does not hold; [`Error::Disk`], [`Error::State`].
pub(crate) async fn gather(
    home: &Home,
    lock: Lock<'_>,
    relay: &Relay,
    patience: Patience,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let folder = lock.folder();
    let transfer = folder.facts()?.transfer_id()?;
    let subject = Subject { relay: Fingerprint::of_link_key(&relay.key()), transfer };
    if patience == Patience::UntilDeleted
        && tokio::time::timeout(DELETION_PATIENCE, until_deleted(relay, transfer)).await.is_err()
    {
        tracing::debug!("the relay has not deleted yet");
    }
    let before = KeptLog::read(folder)?;
    let held = newest_held(home, &subject, folder.id())?;
    let asking = answered(relay, &subject, held.as_ref().map(|(_, head)| head), before.as_ref());
    let (pages, outcome) = match tokio::time::timeout(ANSWER_PATIENCE, asking).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the relay has not shown its log");
            return Ok(());
        }
        Err(_elapsed) => {
            tracing::debug!("the relay has not shown its log in time");
            return Ok(());
        }
    };
    let outcome = outcome.and_then(|history| {
        Told::of(folder).map(|told| told.check(&history)).unwrap_or(Ok(()))?;
        Ok(history)
    });
    match outcome {
        Ok(history) => keep(lock, &subject, before, history, pages, observer),
        Err(fault) => {
            tracing::warn!(%fault, "the relay's log does not hold");
            if fault.is_fork() {
                keep_evidence(lock, before, held.map(|(signed, _)| signed), pages)?;
            }
            Err(Error::Log { fault })
        }
    }
}

/// Reaches the relay once more when a transfer is over, unless everything is here.
///
/// # Errors
/// As [`gather`]; a relay that cannot be reached is none.
pub(crate) async fn settle(home: &Home, lock: Lock<'_>, target: &Target, observer: &dyn Observer) -> Result<(), Error> {
    if is_settled(lock.folder())? {
        return Ok(());
    }
    match target.connect().await {
        Ok(relay) => {
            let gathered = gather(home, lock, &relay, Patience::UntilDeleted, observer).await;
            relay.close().await;
            gathered
        }
        Err(error) => {
            tracing::debug!(%error, "the relay was not reached for its log");
            Ok(())
        }
    }
}

/// Watches until the relay says that it has deleted.
async fn until_deleted(relay: &Relay, transfer: TransferId) -> Result<(), Error> {
    let (_send, mut replies) = relay.open(&Request::Watch(Watch { transfer, from_event: 0 })).await?;
    while let Some(reply) = replies.next().await? {
        match reply {
            Reply::Snapshot(snapshot) if snapshot.events.iter().any(|event| event.kind == EventKind::Deleted) => {
                return Ok(());
            }
            Reply::Snapshot(_) => {}
            other => return Err(unexpected(other)),
        }
    }
    Ok(())
}

/// The greatest head of this relay that this machine holds, of whichever transfer.
fn newest_held(home: &Home, subject: &Subject, own: u64) -> Result<Option<(Signed, VerifiedHead)>, Error> {
    let mut newest: Option<(Signed, VerifiedHead)> = None;
    for folder in home.transfers()? {
        let kept = match KeptLog::read(&folder) {
            Ok(kept) => kept,
            // Another transfer's damage is told when that one is asked about.
            Err(_) if folder.id() != own => None,
            Err(error) => return Err(error),
        };
        let Some(kept) = kept else { continue };
        if let Ok(head) = check_head(&subject.relay, &kept.head)
            && newest.as_ref().is_none_or(|(_, known)| known.text().size < head.text().size)
        {
            newest = Some((kept.head, head));
        }
    }
    Ok(newest)
}

/// All pages of an answer, and what checking them gave.
async fn answered(
    relay: &Relay,
    subject: &Subject,
    held: Option<&VerifiedHead>,
    before: Option<&KeptLog>,
) -> Result<(Vec<Logged>, Result<History, LogFault>), Error> {
    let held_size = held.map_or(0, |head| head.text().size);
    let mut request = Log { transfer: subject.transfer, held_size, size: None, from_sequence: 0 };
    let first = page(relay, request).await?;
    let begun = Followed::begin(subject, held, &first);
    let mut pages = vec![first];
    let mut followed = match begun {
        Ok(followed) => followed,
        Err(fault) => return Ok((pages, Err(fault))),
    };
    while let Some((size, from_sequence)) = followed.wants() {
        request = Log { size: Some(size), from_sequence, ..request };
        let next = page(relay, request).await?;
        let added = followed.add(&next);
        pages.push(next);
        if let Err(fault) = added {
            return Ok((pages, Err(fault)));
        }
    }
    let known = before.map(|kept| History::reopen(subject, &kept.head, &kept.entries)).transpose();
    let history = known.and_then(|known| followed.finish(known.as_ref().map_or(&[], History::entries)));
    Ok((pages, history))
}

async fn page(relay: &Relay, request: Log) -> Result<Logged, Error> {
    match relay.ask(&Request::Log(request)).await? {
        Reply::Logged(logged) => Ok(logged),
        other => Err(unexpected(other)),
    }
}

fn keep(
    lock: Lock<'_>,
    subject: &Subject,
    before: Option<KeptLog>,
    history: History,
    pages: Vec<Logged>,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let entries = pages.iter().flat_map(|page| page.entries.iter().cloned()).collect();
    let Some(first) = pages.into_iter().next() else { return Ok(()) };
    let deletion = match &first.deletion {
        None => None,
        Some(signed) => Some(check_deletion(subject, &history, signed).map_err(|fault| Error::Log { fault })?),
    };
    let was_known = before.as_ref().is_some_and(|before| before.deletion.is_some());
    let next = KeptLog {
        head: first.head,
        entries,
        deletion: first.deletion,
        reason: first.reason,
        earlier: Vec::new(),
        evidence: None,
    };
    let next = match before {
        Some(before) => before.followed_by(next),
        None => next,
    };
    let kept = lock.with(|held| {
        next.write(held)?;
        let mut facts = held.facts()?;
        if let (Some(deletion), None) = (&deletion, facts.deleted_ms) {
            facts.deleted_ms = Some(deletion.blocks_deleted.millis().0);
            held.store_facts(&facts)?;
        }
        Ok(())
    })?;
    if let (Some(()), Some(deletion), false) = (kept, deletion, was_known) {
        observer.event(Event::Deleted(DeletionFacts {
            id: lock.folder().id(),
            relay: deletion.relay_key.to_string(),
            blocks: deletion.blocks,
            bytes: deletion.bytes,
            reason: deletion.reason.word(),
            share_erased: deletion.share_erased.millis(),
            blocks_deleted: deletion.blocks_deleted.millis(),
            entries: history.entries().len() as u64,
        }));
    }
    Ok(())
}

/// Keeps both heads. What was kept stays as it was: it is one half of the proof.
fn keep_evidence(
    lock: Lock<'_>,
    before: Option<KeptLog>,
    held: Option<Signed>,
    pages: Vec<Logged>,
) -> Result<(), Error> {
    let entries = pages.iter().flat_map(|page| page.entries.iter().cloned()).collect();
    let Some(first) = pages.into_iter().next() else { return Ok(()) };
    let held = held.unwrap_or_else(|| first.head.clone());
    let (shown, consistency) = (first.head, first.consistency);
    let evidence = Evidence { held, shown, entries, consistency };
    let kept = match before {
        Some(before) if before.evidence.is_some() => return Ok(()),
        Some(before) => KeptLog { evidence: Some(evidence), ..before },
        // Nothing of this transfer was shown before: the held head is another transfer's.
        None => KeptLog {
            head: evidence.shown.clone(),
            entries: evidence.entries.clone(),
            deletion: None,
            reason: None,
            earlier: Vec::new(),
            evidence: Some(evidence),
        },
    };
    lock.with(|held| kept.write(held)).map(drop)
}

/// Whether nothing more can come: the deletion is here.
pub(crate) fn is_settled(folder: &Folder) -> Result<bool, Error> {
    Ok(KeptLog::read(folder)?.is_some_and(|kept| kept.deletion.is_some() || kept.evidence.is_some()))
}
