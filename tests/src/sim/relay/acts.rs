//! What the relay's tasks do, act by act.

use std::sync::Arc;

use handover_shared::codec;
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, LinkKey, Millis};
use handover_shared::keys::Secret;
use handover_shared::keys::hybrid::{HybridPublic, bundle, release_share};
use handover_shared::proof::{ClaimCheck, check_claim, digest};
use handover_shared::protocol::message::{At, Claim, Create, Durable, Peeked, Refused, Released, Reply};
use handover_shared::protocol::relay::{CheckedClaim, Effect, Share, Terms, Transfer};

use super::super::ctx::{Ctx, End, Packet};
use super::super::faults::Mutant;
use super::super::ledger::{Row, Segment};
use super::requests::swapped;
use super::{Act, Flow, Input, Lock, Relay, Task, Tx, share_name};

impl Relay {
    pub(super) fn act(&mut self, ctx: &mut Ctx, task: &mut Task, act: Act) -> Flow {
        let id = task.transfer;
        match act {
            Act::Take(lock) => {
                let holder = *self.locks.entry((lock, id)).or_insert(task.id);
                if holder != task.id {
                    return Flow::Again(act);
                }
            }
            Act::CheckRun => {
                if self.is_stale(task) && !ctx.is(Mutant::OldestRunWins) {
                    ctx.count("runs that came too late");
                    task.answer = Some(Reply::Refused(Refused::of(Fault::Superseded)));
                    task.acts = [Act::Answer].into();
                }
            }
            Act::TakeOver => return self.take_over(ctx, task),
            Act::Unlock(lock) => self.unlock(lock, task),
            Act::Tx(tx) => {
                self.transact(ctx, task, tx);
                if ctx.is(Mutant::ServeBeforeDurable) {
                    self.wake_all(ctx);
                }
            }
            Act::Commit => {
                self.ledger.commit();
                if self.ledger.durable_row(id).is_some_and(|row| row.transfer.share == Share::Erased) {
                    ctx.model.share_is_erased();
                }
                self.wake_all(ctx);
            }
            Act::Answer => {
                if let Some(reply) = task.answer.take() {
                    self.say(ctx, task, &reply);
                }
            }
            Act::Release => self.release(ctx, task),
            Act::Receive => return self.receive(ctx, task),
            Act::TellDurable => {
                let durable = self.ledger.row(id).map_or(BlockCount(0), |row| row.transfer.durable);
                self.say(ctx, task, &Reply::Durable(Durable { durable }));
            }
            Act::TellOver => {
                if let Some((conn, stream)) = task.peer {
                    ctx.send(conn, stream, End::Client, Packet::Over);
                }
            }
            Act::Serve(next) => return self.serve(ctx, task, next),
            Act::Watch(from) => return self.watch(ctx, task, from),
            Act::SettleShare => self.settle_share(task),
            Act::SettleBlocks => self.settle_blocks(task),
            Act::Believe => {
                if !ctx.is(Mutant::NoSyncAtStart) {
                    self.disk.sync_all();
                    self.ledger.sync();
                }
            }
            Act::Recover => {
                if !ctx.is(Mutant::NoRecovery) {
                    self.remove_orphans();
                }
            }
            Act::Open => self.open(),
            on_disk => self.store(task, on_disk),
        }
        Flow::Next
    }

    /// What only the disk sees.
    fn store(&mut self, task: &Task, act: Act) {
        let id = task.transfer;
        match act {
            // A repetition finds it there [S12.5].
            Act::PutShare(_) if self.ledger.row(id).is_some() => {}
            Act::PutShare(share) => self.disk.write(&share_name(id), &share),
            Act::SyncShare => self.disk.sync(&share_name(id)),
            Act::EraseShare => self.disk.remove(&share_name(id)),
            Act::SyncNames => self.disk.sync_names(),
            Act::SyncSegment(name) => self.disk.sync(&name),
            Act::DeleteBlocks => {
                // What no row names is the business of the next start [S13.9].
                let segments = self.ledger.row(id).map(|row| row.segments.clone()).unwrap_or_default();
                segments.iter().for_each(|segment| self.disk.remove(&segment.name));
            }
            _ => panic!("an act that is not done"),
        }
    }

    fn unlock(&mut self, lock: Lock, task: &Task) {
        if self.locks.get(&(lock, task.transfer)) == Some(&task.id) {
            self.locks.remove(&(lock, task.transfer));
        }
    }

    /// Whether a newer connection has appended: what comes on an older one was on its way for long [S12.2].
    fn is_stale(&mut self, task: &Task) -> bool {
        let Some((conn, _)) = task.peer else { return false };
        let newest = self.newest_run.entry(task.transfer).or_insert(conn);
        *newest = conn.max(*newest);
        *newest > conn
    }

    /// Whoever appends must be out before another one begins [S12.2].
    fn take_over(&mut self, ctx: &mut Ctx, task: &Task) -> Flow {
        let lock = (Lock::Appender, task.transfer);
        let holder = *self.locks.entry(lock).or_insert(task.id);
        if holder == task.id {
            return Flow::Next;
        }
        match self.tasks.get_mut(&holder) {
            Some(other) => other.is_superseded = true,
            None => drop(self.locks.remove(&lock)),
        }
        self.wake(ctx, holder);
        Flow::Again(Act::TakeOver)
    }

    fn transact(&mut self, ctx: &mut Ctx, task: &mut Task, tx: Tx) {
        match self.decide(ctx, task, tx) {
            Ok(Some(reply)) => task.answer = Some(reply),
            Ok(None) => {}
            Err(refused) => {
                task.answer = Some(Reply::Refused(refused));
                // What it changed is durable before it is answered; then the end of the transfer is seen to.
                task.acts = [
                    Act::Commit,
                    Act::Unlock(Lock::Share),
                    Act::Unlock(Lock::Appender),
                    Act::SettleShare,
                    Act::Answer,
                    Act::SettleBlocks,
                ]
                .into();
            }
        }
    }

    fn decide(&mut self, ctx: &mut Ctx, task: &mut Task, tx: Tx) -> Result<Option<Reply>, Refused> {
        let now = self.now(ctx);
        let (id, by) = (task.transfer, task.by);
        if let Tx::Create(create) = tx {
            return self.create(ctx, by, &create).map(Some);
        }
        if let (Tx::Fetch(from), false) = (&tx, ctx.is(Mutant::ServeBeforeDurable)) {
            // Only what is durable is ever served [S12.3].
            let row = self.ledger.durable_row(id).ok_or(Fault::NotFound)?;
            if let Ok(fetching) = row.transfer.clone().fetch(by, *from, now) {
                return Ok(Some(Reply::Fetching(fetching)));
            }
        }
        let mut row = self.ledger.row(id).ok_or(Fault::NotFound)?.clone();
        let before = row.transfer.clone();
        let outcome = decide_row(ctx, task, tx.clone(), &mut row, now);
        if row.transfer != before {
            self.ledger.put(row);
        }
        if let (Err(_), Tx::Stored(segment)) = (&outcome, &tx) {
            self.disk.remove(&segment.name);
        }
        outcome
    }

    fn create(&mut self, ctx: &Ctx, by: LinkKey, create: &Create) -> Result<Reply, Refused> {
        let now = self.now(ctx);
        let terms = terms(create, by);
        let known = self.ledger.row(create.transfer).cloned();
        let created = match known {
            Some(mut row) => {
                let before = row.transfer.clone();
                let created = row.transfer.create_again(&terms, now);
                if row.transfer != before {
                    self.ledger.put(row);
                }
                created?
            }
            None => {
                let transfer = Transfer::create(terms, now).inspect_err(|_| {
                    self.disk.remove(&share_name(create.transfer));
                })?;
                let created = transfer.created();
                let offer = Some(Arc::new((create.sealed_offer.clone(), create.envelope.clone())));
                self.ledger.put(Row { transfer, offer, segments: Vec::new() });
                created
            }
        };
        Ok(Reply::Created(created))
    }

    fn release(&mut self, ctx: &mut Ctx, task: &mut Task) {
        let Some((claim, envelope, claimed)) = task.released.take() else { return };
        let id = task.transfer;
        let Some(share) = self.disk.read(&share_name(id)).and_then(Secret::from_slice) else {
            return ctx.fail(|| "[S13.5] a claim was accepted, and there is no share".into());
        };
        let hybrid = HybridPublic::of_bytes(&claim.hybrid_key).expect("it was checked");
        let released = release_share(&hybrid, &id, &bundle(&task.by, &hybrid), &share, &mut ctx.rng).expect("a share");
        let reply = Reply::Released(Released {
            encapsulated: released.encapsulated,
            sealed_share: released.sealed,
            envelope,
            claimed,
        });
        self.say(ctx, task, &reply);
    }

    /// Takes what has come, and makes it durable before it says so [S13.3].
    fn receive(&mut self, ctx: &mut Ctx, task: &mut Task) -> Flow {
        if task.incoming.is_empty() {
            if task.is_superseded {
                ctx.count("runs superseded");
                let refused = Act::Answer;
                task.answer = Some(Reply::Refused(Refused::of(Fault::Superseded)));
                task.acts = [Act::Unlock(Lock::Appender), refused].into();
                // Whoever ends a transfer makes its run stop; then that is what the seller should hear.
                if self.ledger.row(task.transfer).is_some_and(|row| row.transfer.phase.is_final()) {
                    task.acts.insert(1, Act::Tx(Tx::Append));
                }
                return Flow::Next;
            }
            task.acts = match task.input {
                Input::Open => return Flow::Park(Act::Receive),
                Input::Over => [Act::TellDurable, Act::TellOver, Act::Unlock(Lock::Appender)].into(),
                Input::Broken => [Act::Unlock(Lock::Appender)].into(),
            };
            return Flow::Next;
        }
        let count = ctx.rng.within(1..=task.incoming.len() as u64);
        let name = self.new_segment(task.transfer);
        for block in task.incoming.drain(..count as usize) {
            self.disk.append(&name, &block);
        }
        let first = task.told_durable(self);
        let segment = Segment { first, count: BlockCount(count), name: name.clone() };
        let stored = Act::Tx(Tx::Stored(segment));
        let acts = vec![Act::SyncSegment(name), Act::SyncNames, stored, Act::Commit, Act::TellDurable];
        let acts = swapped(ctx, Mutant::AcknowledgeBeforeLedger, acts, 3);
        let mut acts = acts;
        if ctx.is(Mutant::AcknowledgeBeforeSegment) {
            acts.rotate_left(2);
        }
        if ctx.is(Mutant::LedgerBeforeSegment) {
            acts[..4].rotate_left(2);
        }
        acts.push(Act::Receive);
        task.acts = acts.into();
        Flow::Next
    }

    fn serve(&mut self, ctx: &mut Ctx, task: &mut Task, next: BlockIndex) -> Flow {
        let now = self.now(ctx);
        let row = if ctx.is(Mutant::ServeBeforeDurable) {
            self.ledger.row(task.transfer)
        } else {
            self.ledger.durable_row(task.transfer)
        };
        let Some(row) = row.cloned() else { return Flow::Next };
        let mut transfer = row.transfer.clone();
        let fetching = match transfer.fetch(task.by, next, now) {
            Ok(fetching) => fetching,
            Err(_) => {
                // Said by the ledger, so that it is durable before it is heard.
                task.acts = [Act::Tx(Tx::Fetch(next)), Act::Answer].into();
                return Flow::Next;
            }
        };
        let Some((conn, stream)) = task.peer else { return Flow::Next };
        if fetching.durable.contains(next) {
            let Some(mut bytes) = self.block(&row, next) else {
                ctx.fail(|| format!("[S12.3] block {} is durable and cannot be read", next.0));
                return Flow::Next;
            };
            let outcome = ctx.model.served(next.0, &bytes);
            ctx.check(outcome);
            // Not the same block twice in a row: a buyer may call it altered then.
            let flips = !ctx.faults_over && ctx.rng.millionth(ctx.faults.flip_millionths);
            if flips && ctx.flipped.replace(next) != Some(next) {
                ctx.count("blocks served with a bit wrong");
                let at = ctx.rng.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << ctx.rng.below(8);
            }
            ctx.send(conn, stream, End::Client, Packet::Block(bytes.into()));
            task.acts.push_front(Act::Serve(next.next()));
            return Flow::Next;
        }
        if fetching.blocks.is_some_and(|blocks| blocks.end() == next) {
            task.acts = [Act::Tx(Tx::Fetched(BlockCount(next.0))), Act::Commit, Act::TellOver].into();
            return Flow::Next;
        }
        Flow::Park(Act::Serve(next))
    }

    fn watch(&mut self, ctx: &mut Ctx, task: &mut Task, from: u64) -> Flow {
        let Some(row) = self.ledger.durable_row(task.transfer) else {
            self.say(ctx, task, &Reply::Refused(Refused::of(Fault::NotFound)));
            return Flow::Next;
        };
        if let Err(refused) = row.transfer.watch(task.by) {
            self.say(ctx, task, &Reply::Refused(refused));
            return Flow::Next;
        }
        let snapshot = row.transfer.snapshot(from);
        let next = snapshot.events.last().map_or(from, |event| event.sequence + 1);
        let is_news = task.told.as_ref().is_none_or(|told| {
            !snapshot.events.is_empty() || (told.durable, told.fetched) != (snapshot.durable, snapshot.fetched)
        });
        if is_news {
            self.say(ctx, task, &Reply::Snapshot(snapshot.clone()));
            task.told = Some(snapshot);
        }
        Flow::Park(Act::Watch(next))
    }

    fn settle_share(&mut self, task: &mut Task) {
        let effect = self.ledger.row(task.transfer).and_then(|row| row.transfer.next_effect());
        if effect == Some(Effect::EraseShare) {
            let acts = [
                Act::Take(Lock::Share),
                Act::EraseShare,
                Act::SyncNames,
                Act::Tx(Tx::Done(Effect::EraseShare)),
                Act::Commit,
                Act::Unlock(Lock::Share),
            ];
            acts.into_iter().rev().for_each(|act| task.acts.push_front(act));
        }
    }

    fn settle_blocks(&mut self, task: &mut Task) {
        let effect = self.ledger.row(task.transfer).and_then(|row| row.transfer.next_effect());
        if effect == Some(Effect::DeleteBlocks) {
            let acts = [
                Act::TakeOver,
                Act::DeleteBlocks,
                Act::SyncNames,
                Act::Tx(Tx::Done(Effect::DeleteBlocks)),
                Act::Commit,
                Act::Unlock(Lock::Appender),
            ];
            acts.into_iter().rev().for_each(|act| task.acts.push_front(act));
        }
    }
}

impl Task {
    /// Where the next segment begins: behind what this run has stored.
    fn told_durable(&self, relay: &Relay) -> BlockIndex {
        relay.ledger.row(self.transfer).map_or(BlockIndex(0), |row| row.transfer.durable.end())
    }
}

/// Lets the machine decide; the row it leaves is what is stored.
fn decide_row(ctx: &Ctx, task: &mut Task, tx: Tx, row: &mut Row, now: Millis) -> Result<Option<Reply>, Refused> {
    let by = task.by;
    let transfer = &mut row.transfer;
    Ok(match tx {
        Tx::Create(_) => None,
        Tx::Append => Some(Reply::Appending(Durable { durable: transfer.append(by, now)? })),
        Tx::Stored(segment) => {
            transfer.stored(by, segment.first, segment.count, now)?;
            row.segments.push(segment);
            None
        }
        Tx::Complete(blocks) => Some(Reply::Completed(At { time: transfer.complete(by, blocks, now)? })),
        Tx::Peek => {
            let peeking = transfer.peek(by, now)?;
            let offer = row.offer.as_ref().ok_or(Fault::Internal)?;
            Some(Reply::Peeked(Peeked {
                transfer: row.transfer.terms.id,
                sealed_offer: offer.0.clone(),
                phase: peeking.phase,
                durable: peeking.durable,
                blocks: peeking.blocks,
                claimed: peeking.claimed,
                expires: Some(peeking.expires),
            }))
        }
        Tx::Claim(claim) => {
            let checked = check(task, &transfer.terms, &claim)?;
            let claimed = match transfer.claim(checked, now) {
                Err(Refused { fault: 7, time: Some(first), .. }) if ctx.is(Mutant::ReleaseToAnybody) => first,
                outcome => outcome?,
            };
            let offer = row.offer.as_ref().ok_or(Fault::Internal)?;
            task.released = Some((claim, offer.1.clone(), claimed));
            None
        }
        Tx::Fetch(from) => Some(Reply::Fetching(transfer.fetch(by, from, now)?)),
        Tx::Fetched(up_to) => {
            transfer.fetched(up_to);
            None
        }
        Tx::Receive(sealed) => Some(Reply::Received(At { time: transfer.receive(by, &sealed, now)? })),
        Tx::Revoke => Some(Reply::Revoked(At { time: transfer.revoke(by, now)? })),
        Tx::Expire => {
            transfer.expire(now);
            None
        }
        Tx::Done(effect) => {
            transfer.done(effect, now);
            match effect {
                Effect::EraseShare => row.offer = None,
                Effect::DeleteBlocks => row.segments.clear(),
            }
            None
        }
    })
}

fn check(task: &Task, terms: &Terms, claim: &Claim) -> Result<CheckedClaim, Refused> {
    let hybrid = HybridPublic::of_bytes(&claim.hybrid_key)?;
    let check = ClaimCheck {
        transfer: terms.id,
        offer_digest: terms.offer_digest,
        claim_key: terms.claim_key,
        link_key: task.by,
        hybrid: &hybrid,
        channel: Some(&task.channel),
    };
    let verified = check_claim(&check, &claim.text, &claim.identity_signature, &claim.claim_signature)
        .or(Err(Refused::of(Fault::ClaimRefused)))?;
    Ok(CheckedClaim::new(
        verified,
        claim.hybrid_key.clone(),
        claim.text.clone(),
        claim.identity_signature.clone(),
        claim.claim_signature.clone(),
    )
    .with_agreement(claim.sealed_agreement.clone()))
}

fn terms(create: &Create, seller: LinkKey) -> Terms {
    let content = codec::encode(&(
        (create.transfer, create.locator, create.claim_key, create.block_size),
        (create.blocks_max, create.expires, digest(&create.envelope), digest(&create.sealed_offer)),
        create.agreement,
    ));
    Terms {
        id: create.transfer,
        seller,
        locator: create.locator,
        claim_key: create.claim_key,
        offer_digest: digest(&create.sealed_offer),
        content: digest(&content),
        block_size: create.block_size,
        blocks_max: create.blocks_max,
        expires: create.expires,
        agreement: create.agreement,
    }
}
