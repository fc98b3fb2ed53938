//! Transfers, from the operator's side: listed, shown, taken down.

use std::path::Path;
use std::time::{Duration, Instant};

use handover_relay::home::{self, Home, HomeError};
use handover_relay::ledger::{self, Sqlite, log, operations};
use handover_relay::store::Segments;
use handover_relay::store::files::Files;
use handover_relay::store::shares::Shares;
use handover_shared::fault::Fault;
use handover_shared::ids::TransferId;
use handover_shared::limits::TAKEDOWN_REASON_CHARS_MAX;
use handover_shared::proof::{event_word, fingerprint_of_link_key, time};
use handover_shared::protocol::message::EventKind;
use handover_shared::protocol::relay::{Effect, Share, Storage, Transfer};

use crate::problem::{Exit, Problem};
use crate::run::{change, look, now, print};
use crate::words::Word;

/// Transfers listed at most.
const LISTED_MAX: usize = 10_000;
/// How long a running relay may take to erase and delete.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub fn list(data: &Path) -> Result<(), Problem> {
    for transfer in look(data, |rows| rows.transfers(LISTED_MAX))? {
        print(&line_of(&transfer))?;
    }
    Ok(())
}

/// Everything that the relay knows of one.
pub fn show(data: &Path, id: &str) -> Result<(), Problem> {
    let id = parse(id)?;
    let signer = log::Signer::new(&home::existing_key(data)?);
    let found = look(data, |rows| {
        let Some(transfer) = operations::load(rows, id)? else { return Ok(None) };
        let entries = rows.log_of(id, 0, u64::MAX >> 1, usize::MAX >> 1)?;
        let deletion = match rows.log_find(id, EventKind::Deleted)? {
            Some(row) => log::deletion(&transfer, &row, &signer)?,
            None => None,
        };
        Ok(Some((transfer, entries, deletion, rows.takedown(id)?)))
    })?;
    let Some((transfer, entries, deletion, reason)) = found else { return Err(unknown(id)) };
    print(&line_of(&transfer))?;
    let share = match (transfer.share, transfer.share_erased) {
        (Share::Erased, Some(at)) => format!("erased {}", time::to_text(at)),
        _ => "kept".to_owned(),
    };
    print(&format!("share\t{share}"))?;
    let claim = transfer.claim.as_ref();
    let claimant = claim.map_or_else(|| "none".to_owned(), |claim| fingerprint_of_link_key(&claim.link_key));
    print(&format!("claimed-by\t{claimant}"))?;
    let receipt = transfer.sealed_receipt.as_ref().map_or(0, Vec::len);
    print(&format!("receipt\tsealed bytes {receipt}\tfetched blocks {}", transfer.fetched.0))?;
    if let Some(reason) = reason {
        print(&format!("reason\t{}", reason.escape_debug()))?;
    }
    for row in entries {
        let by = row.event.by.as_ref().map_or_else(|| "none".to_owned(), fingerprint_of_link_key);
        let (when, what) = (time::to_text(row.event.time), event_word(row.event.kind));
        print(&format!("entry\t{}\t{when}\t{what}\tby {by}", row.number))?;
    }
    if let Some(deletion) = deletion {
        print(deletion.text.trim_end())?;
    }
    Ok(())
}

/// Takes one down: durable first, then the share, then the blocks [S13.16]. A running relay carries it out and tells
/// both sides; if none runs, it is carried out here.
pub fn purge(data: &Path, id: &str, reason: &str) -> Result<(), Problem> {
    let id = parse(id)?;
    match change(data, |rows, now| operations::take_down(rows, now, id, reason))? {
        Ok(at) => print(&format!("{id}\ttaken-down {}", time::to_text(at)))?,
        Err(refused) => return Err(not_taken(id, refused.known())),
    }
    match Home::open(data) {
        Ok(home) => carry_out(&home, id)?,
        Err(HomeError::Held { .. }) => wait_for_relay(data, id)?,
        Err(error) => return Err(error.into()),
    }
    let transfer = look(data, |rows| operations::load(rows, id))?.ok_or_else(|| unknown(id))?;
    if let Some(at) = transfer.share_erased {
        print(&format!("{id}\tshare-erased {}", time::to_text(at)))?;
    }
    let gone = transfer.events.iter().find(|event| event.kind == EventKind::Deleted);
    gone.map_or(Ok(()), |event| print(&format!("{id}\tblocks-deleted {}", time::to_text(event.time))))
}

fn not_taken(id: TransferId, fault: Option<Fault>) -> Problem {
    let over = |how: &str| Problem {
        message: format!("transfer {id} {how}: its share is erased already"),
        hint: Some(Word::HintTransferShow),
        exit: Exit::Failed,
    };
    match fault {
        Some(Fault::NotFound) => unknown(id),
        Some(Fault::TooLarge) => {
            Problem::usage(format!("the reason is too long, the limit is {TAKEDOWN_REASON_CHARS_MAX} characters"))
        }
        Some(Fault::Receipted) => over("was received"),
        Some(Fault::Revoked) => over("was revoked"),
        Some(Fault::Expired) => over("has expired"),
        _ => over("is over"),
    }
}

fn carry_out(home: &Home, id: TransferId) -> Result<(), Problem> {
    let io = |error: std::io::Error| Problem {
        message: format!("cannot erase or delete what transfer {id} has: {error}"),
        hint: Some(Word::HintDisk),
        exit: Exit::Disk,
    };
    let shares = Shares::open(home.shares()).map_err(io)?;
    let segments = Files::open(home.segments()).map_err(io)?;
    let mut rows = Sqlite::open(&home.ledger())?;
    let mut next = ledger::once(&mut rows, now(), |rows, now| operations::settle(rows, id, now))?;
    while let Some(effect) = next {
        match effect {
            Effect::EraseShare => shares.erase(id).map_err(io)?,
            Effect::DeleteBlocks => segments.delete(id).map_err(io)?,
        }
        next = ledger::once(&mut rows, now(), |rows, now| operations::done(rows, now, id, effect))?;
    }
    Ok(())
}

fn wait_for_relay(data: &Path, id: TransferId) -> Result<(), Problem> {
    let since = Instant::now();
    loop {
        let transfer = look(data, |rows| operations::load(rows, id))?;
        if transfer.is_some_and(|transfer| transfer.storage == Storage::Deleted) {
            return Ok(());
        }
        if since.elapsed() > PATIENCE {
            let message =
                format!("the running relay has not deleted transfer {id} yet; it is recorded and will be done");
            return Err(Problem { message, hint: Some(Word::HintTransferShow), exit: Exit::Failed });
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn parse(id: &str) -> Result<TransferId, Problem> {
    TransferId::from_hex(id)
        .ok_or_else(|| Problem::usage(format!("{} is not a transfer's number: 32 hex digits", id.escape_debug())))
}

fn unknown(id: TransferId) -> Problem {
    Problem::not_found(format!("no transfer has the number {id}"), Word::HintTransferList)
}

fn line_of(transfer: &Transfer) -> String {
    let terms = &transfer.terms;
    let block_bytes = terms.block_size.sealed_bytes() as u64;
    let blocks = transfer.blocks.map_or_else(|| "?".to_owned(), |blocks| blocks.0.to_string());
    let claimed = transfer.claim.as_ref().map_or_else(|| "no".to_owned(), |claim| time::to_text(claim.time));
    format!(
        "{}\t{}\tblocks {}/{blocks}\tbytes {}\tcreated {}\texpires {}\tclaimed {claimed}\tseller {}",
        terms.id,
        format!("{:?}", transfer.phase).to_lowercase(),
        transfer.durable.0,
        transfer.durable.0.saturating_mul(block_bytes),
        time::to_text(transfer.created),
        time::to_text(terms.expires),
        fingerprint_of_link_key(&terms.seller),
    )
}
