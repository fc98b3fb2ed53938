//! Log: what the log says of a transfer, proven under a head that the relay has signed [S16.6].

use std::sync::Arc;

use handover_shared::fault::Fault;
use handover_shared::ids::LinkKey;
use handover_shared::protocol::message::{Log, Reply};

use super::Trouble;
use crate::ledger::{log, operations};
use crate::serve::Relay;

pub(super) async fn log(relay: &Arc<Relay>, by: LinkKey, ask: Log) -> Result<Reply, Trouble> {
    let is_signed = relay
        .ledger
        .read(move |rows, _| {
            let Some(transfer) = operations::load(rows, ask.transfer)? else {
                return Ok(Err(Fault::NotFound.into()));
            };
            if let Err(refused) = transfer.watch(by) {
                return Ok(Err(refused));
            }
            Ok(Ok(log::is_signed(rows)?))
        })
        .await??;
    let signer = relay.signer.clone();
    if ask.size.is_none() && !is_signed {
        relay.ledger.write(move |rows, now| log::sign_head(rows, now, &signer)).await?;
    }
    let signer = relay.signer.clone();
    let logged = relay.ledger.read(move |rows, _| log::answer(rows, by, &ask, &signer)).await??;
    Ok(Reply::Logged(logged))
}
