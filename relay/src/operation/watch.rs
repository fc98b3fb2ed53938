//! Watch: a snapshot at once, and again whenever something of it changes, for as long as the client has not finished its
//! half [S12.4].

use std::sync::Arc;
use std::time::Duration;

use handover_shared::fault::Fault;
use handover_shared::protocol::message::{Reply, Snapshot, Watch};
use handover_shared::protocol::relay::Storage;

use super::{Exchange, Trouble};
use crate::ledger::operations;
use crate::serve::Relay;

/// The least time between two snapshots; changes meanwhile travel together.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn watch(relay: &Arc<Relay>, exchange: &mut Exchange, watch: Watch) -> Result<(), Trouble> {
    let (id, by) = (watch.transfer, exchange.peer.key);
    let entry = relay.live.entry(id);
    let mut changes = entry.subscribe();
    let mut from_event = watch.from_event;
    let mut last: Option<Snapshot> = None;
    let unwanted = exchange.send.unwanted();
    tokio::pin!(unwanted);
    loop {
        changes.mark_unchanged();
        let row = relay.ledger.read(move |rows, _| operations::load(rows, id)).await?;
        let transfer = row.ok_or(Fault::NotFound)?;
        transfer.watch(by)?;
        let snapshot = transfer.snapshot(from_event);
        if last.as_ref().is_none_or(|last| differs(last, &snapshot)) {
            from_event = snapshot.events.last().map_or(from_event, |event| event.sequence + 1);
            exchange.reply(&Reply::Snapshot(snapshot.clone())).await?;
            last = Some(snapshot);
        }
        if transfer.storage == Storage::Deleted {
            return Ok(());
        }
        let pause = last.as_ref().map_or(Duration::ZERO, |_| PAUSE);
        tokio::select! {
            changed = async { tokio::time::sleep(pause).await; changes.changed().await } => {
                changed.or(Err(Trouble::Internal("a live transfer lost its entry")))?;
            }
            more = exchange.recv.read_chunk(1) => match more {
                Ok(None) => return Ok(()),
                Ok(Some(_)) => return Err(Fault::BadMessage.into()),
                Err(_) => return Err(Trouble::Gone),
            },
            () = &mut unwanted => return Err(Trouble::Gone),
            () = relay.draining() => return Err(Fault::Draining.into()),
        }
    }
}

/// Whether there is something to tell: new events, or another state.
fn differs(last: &Snapshot, next: &Snapshot) -> bool {
    let state = |of: &Snapshot| Snapshot { events: Vec::new(), ..of.clone() };
    !next.events.is_empty() || state(last) != state(next)
}
