//! What the relay does about a request, act by act; and in which order, when a world breaks that rule.

use handover_shared::fault::Fault;
use handover_shared::ids::TransferId;
use handover_shared::protocol::message::{Create, Refused, Reply, Request, Welcome};

use super::super::ctx::Ctx;
use super::super::faults::Mutant;
use super::{Act, Lock, Relay, Tx};

impl Relay {
    /// What is done about a request, in order.
    pub(super) fn program(&mut self, ctx: &mut Ctx, request: Request) -> (TransferId, Vec<Act>, Option<Reply>) {
        let none = TransferId([0; 16]);
        if !ctx.faults_over && ctx.rng.millionth(ctx.faults.refuse_millionths) {
            // Who cannot even begin because the storage is full is told so, and does not wait.
            let count = if matches!(request, Request::Create(_)) { 3 } else { 4 };
            ctx.count("refusals that pass");
            let fault = ctx.rng.pick(&[Fault::Busy, Fault::Internal, Fault::Draining, Fault::StorageFull][..count]);
            return (none, vec![Act::Answer], Some(Reply::Refused(Refused::of(fault))));
        }
        let (transfer, acts) = match request {
            Request::Hello(_) => {
                let welcome = Welcome {
                    version: "simulated".into(),
                    time: self.now(ctx),
                    enrolled: true,
                    transfer_bytes_max: u64::MAX,
                    expiry_ms_max: u64::MAX,
                    expiry_ms_default: 0,
                };
                return (none, vec![Act::Answer], Some(Reply::Welcome(welcome)));
            }
            // Papers are explored beside the machine, and by the fuzzer; no seller or buyer here has any.
            Request::Deposit(_) | Request::Collect(_) | Request::Refuse(_) => (none, vec![]),
            // Enrolment is an invite's business, not a transfer's; the log is nothing that a machine asks for.
            Request::Enrol(_) | Request::Log(_) => (none, vec![]),
            Request::Create(create) => (create.transfer, create_acts(ctx, create)),
            Request::Append(named) => {
                let mut acts = vec![Act::CheckRun];
                acts.extend((!ctx.is(Mutant::TwoAppenders)).then_some(Act::TakeOver));
                acts.extend([Act::Tx(Tx::Append), Act::Commit, Act::Answer, Act::Receive]);
                (named.transfer, acts)
            }
            Request::Complete(it) => {
                let acts = vec![Act::Tx(Tx::Complete(it.blocks)), Act::Commit, Act::Answer];
                (it.transfer, swapped(ctx, Mutant::CompletedBeforeLedger, acts, 1))
            }
            Request::Peek(peek) => {
                let id = self.ledger.find(peek.locator).unwrap_or(none);
                (id, vec![Act::Tx(Tx::Peek), Act::Commit, Act::Answer])
            }
            Request::Claim(claim) => {
                let id = claim.transfer;
                let acts = vec![Act::Take(Lock::Share), Act::Tx(Tx::Claim(Box::new(claim))), Act::Commit, Act::Release];
                let mut acts = swapped(ctx, Mutant::ReleaseBeforeClaim, acts, 2);
                acts.push(Act::Unlock(Lock::Share));
                (id, acts)
            }
            Request::Fetch(fetch) => {
                (fetch.transfer, vec![Act::Tx(Tx::Fetch(fetch.from)), Act::Answer, Act::Serve(fetch.from)])
            }
            Request::Receive(it) => (it.transfer, ending_acts(ctx, Tx::Receive(it.sealed_receipt))),
            Request::Watch(watch) => (watch.transfer, vec![Act::Watch(watch.from_event)]),
            Request::Revoke(named) => (named.transfer, ending_acts(ctx, Tx::Revoke)),
        };
        (transfer, acts, None)
    }
}

fn create_acts(ctx: &Ctx, create: Create) -> Vec<Act> {
    // [S13.2]
    let put = Act::PutShare(create.share.to_vec());
    let mut acts = vec![Act::Take(Lock::Share), put];
    if !ctx.is(Mutant::CreatedBeforeShare) {
        acts.extend([Act::SyncShare, Act::SyncNames]);
    }
    acts.extend([Act::Tx(Tx::Create(Box::new(create))), Act::Commit, Act::Answer]);
    let last = acts.len() - 2;
    acts = swapped(ctx, Mutant::CreatedBeforeLedger, acts, last);
    acts.push(Act::Unlock(Lock::Share));
    acts
}

/// What ends a transfer, and what follows from that [S13.7] [S13.8].
fn ending_acts(ctx: &Ctx, tx: Tx) -> Vec<Act> {
    let mut acts = vec![Act::Tx(tx.clone()), Act::Commit, Act::SettleShare, Act::Answer, Act::SettleBlocks];
    let answers_early = match tx {
        Tx::Receive(_) => ctx.is(Mutant::ReceivedBeforeLedger),
        _ => ctx.is(Mutant::RevokedBeforeLedger),
    };
    if answers_early {
        acts.swap(1, 3);
    }
    if ctx.is(Mutant::DeleteBeforeReceipt) && matches!(tx, Tx::Receive(_)) {
        acts.insert(0, Act::DeleteBlocks);
        acts.insert(1, Act::SyncNames);
    }
    if ctx.is(Mutant::EraseBeforeEnd) {
        acts.insert(0, Act::EraseShare);
        acts.insert(1, Act::SyncNames);
    }
    acts
}

/// The acts, with two of them swapped in a world that breaks this rule.
pub(super) fn swapped(ctx: &Ctx, mutant: Mutant, mut acts: Vec<Act>, at: usize) -> Vec<Act> {
    if ctx.is(mutant) {
        acts.swap(at, at + 1);
    }
    acts
}
