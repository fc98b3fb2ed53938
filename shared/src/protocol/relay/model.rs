//! Every state that a transfer and the disk beside it can reach, explored without exception: answers are lost,
//! requests are repeated, the relay is killed between any two steps. The decisions are those of [`Transfer`]; the order
//! of the steps around them is the order of the relay's shell.

use std::collections::{HashMap, VecDeque};

use super::tests::{BUYERS, EXPIRES, SELLER, refusal_of, signed_claim, with_agreement};
use super::*;

/// Blocks of the explored transfer.
const BLOCKS: u64 = 2;
const CRASHES: u8 = 2;
const START: Millis = Millis(1);

/// The ledger, the disk, what is only in memory, and what others have been told.
#[derive(Clone, PartialEq, Eq)]
struct World {
    /// The ledger; durable.
    row: Option<Transfer>,
    /// Whether the share's file is there; durable.
    share_file: bool,
    /// Blocks in synced segments, acknowledged or not; durable.
    synced: u64,
    /// Whether the document's file is synced, named by a row or not; durable.
    document: bool,
    /// Buyer whose claim is durable and whose answer is being made; in memory, under the share's lock.
    releasing: Option<usize>,
    now: Millis,
    crashes_left: u8,
    is_up: bool,
    /// The most the seller has been told is durable.
    told_durable: u64,
    /// Buyers whom the share has left the relay for.
    released: [bool; 2],
    /// Whether the seller was told that it is revoked.
    told_revoked: bool,
    /// Whether the buyer was told that the receipt arrived.
    told_received: bool,
    /// Whether the buyer was told that the refusal arrived.
    told_refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    WriteShare,
    InsertRow,
    SyncSegment,
    CommitSegment,
    /// The same, and the answer arrives.
    CommitAndTell,
    Complete,
    Peek(usize),
    Claim(usize),
    /// The answer to a claim leaves the relay.
    Release,
    /// The connection is lost before it does.
    DropRelease,
    Receive(usize),
    SyncDocument,
    DepositDocument,
    Refuse(usize),
    Revoke,
    TimePasses,
    EraseShareFile,
    NoteShareErased,
    DeleteFiles,
    NoteBlocksDeleted,
    AnswerRevoked,
    AnswerReceived,
    AnswerRefused,
    Kill,
    Start,
}

const STEPS: [Step; 29] = [
    Step::WriteShare,
    Step::InsertRow,
    Step::SyncSegment,
    Step::CommitSegment,
    Step::CommitAndTell,
    Step::Complete,
    Step::Peek(0),
    Step::Peek(1),
    Step::Claim(0),
    Step::Claim(1),
    Step::Release,
    Step::DropRelease,
    Step::Receive(0),
    Step::Receive(1),
    Step::SyncDocument,
    Step::DepositDocument,
    Step::Refuse(0),
    Step::Refuse(1),
    Step::Revoke,
    Step::TimePasses,
    Step::EraseShareFile,
    Step::NoteShareErased,
    Step::DeleteFiles,
    Step::NoteBlocksDeleted,
    Step::AnswerRevoked,
    Step::AnswerReceived,
    Step::AnswerRefused,
    Step::Kill,
    Step::Start,
];

#[test] // [S12.5] [S13.3] [S13.5] [S13.7] [S13.8] [S13.9]
fn no_order_of_steps_losses_and_kills_breaks_a_promise() {
    let claims = BUYERS.map(|by| signed_claim(by, by.0[0], by.0[0] + 20));
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut worlds = vec![World::new()];
    let mut leads_to: Vec<Vec<usize>> = vec![Vec::new()];
    let mut queue = VecDeque::from([0]);
    known.insert(worlds[0].fingerprint(), 0);
    while let Some(from) = queue.pop_front() {
        for step in STEPS {
            let before = worlds[from].clone();
            let Some(after) = before.clone().take(step, &claims) else { continue };
            after.check(&before, step);
            let next = *known.entry(after.fingerprint()).or_insert_with(|| {
                worlds.push(after);
                leads_to.push(Vec::new());
                queue.push_back(worlds.len() - 1);
                worlds.len() - 1
            });
            leads_to[from].push(next);
        }
    }
    assert!(worlds.len() > 1000, "only {} states were explored", worlds.len());
    assert!(worlds.iter().any(|world| world.told_received) && worlds.iter().any(|world| world.told_revoked));
    assert!(worlds.iter().any(|world| world.told_refused));
    assert_eq!(stuck(&worlds, &leads_to), 0, "states from which a transfer can neither be received nor ended");
}

impl World {
    fn new() -> Self {
        Self {
            row: None,
            share_file: false,
            synced: 0,
            document: false,
            releasing: None,
            now: START,
            crashes_left: CRASHES,
            is_up: true,
            told_durable: 0,
            released: [false; 2],
            told_revoked: false,
            told_received: false,
            told_refused: false,
        }
    }

    /// The world after a step; `None` where the step cannot be.
    fn take(mut self, step: Step, claims: &[CheckedClaim; 2]) -> Option<Self> {
        let now = self.now;
        match step {
            Step::Start if !self.is_up => self.recover(),
            _ if !self.is_up => return None,
            Step::Start => return None,
            Step::Kill => {
                self.crashes_left = self.crashes_left.checked_sub(1)?;
                self.releasing = None;
                self.is_up = false;
            }
            Step::TimePasses if now < EXPIRES => self.now = EXPIRES,
            Step::TimePasses => return None,
            Step::WriteShare if self.row.is_none() && !self.share_file => self.share_file = true,
            Step::WriteShare => return None,
            Step::InsertRow => {
                if self.row.is_some() || !self.share_file {
                    return None;
                }
                self.row = Some(Transfer::create(with_agreement(), now).ok()?);
            }
            Step::SyncSegment => {
                let durable = self.row.as_ref().filter(|row| !row.phase.is_final())?.durable.0;
                if self.synced > durable || self.synced == BLOCKS {
                    return None;
                }
                self.synced += 1;
            }
            Step::CommitSegment | Step::CommitAndTell => {
                let first = self.synced.checked_sub(1)?;
                let stored = self.operate(|row| row.stored(SELLER, BlockIndex(first), BlockCount(1), now))?;
                match stored {
                    Ok(durable) if step == Step::CommitAndTell => self.told_durable = durable.0,
                    Ok(_) => {}
                    // A segment that is refused is removed; one that was stored before is not offered again.
                    Err(refused) if refused.known() == Some(Fault::Superseded) => return None,
                    Err(_) if self.row.as_ref()?.durable.0 < self.synced => self.synced -= 1,
                    Err(_) => {}
                }
            }
            Step::Complete => drop(self.twice(|row| row.complete(SELLER, BlockCount(BLOCKS), now))?),
            Step::Peek(buyer) => drop(self.twice(|row| row.peek(BUYERS[buyer], now).map(|_| now))?),
            Step::Claim(buyer) => {
                if self.releasing.is_some() {
                    return None;
                }
                if self.twice(|row| row.claim(claims[buyer].clone(), now))?.is_ok() {
                    self.releasing = Some(buyer);
                }
            }
            Step::Release => {
                let buyer = self.releasing.take()?;
                assert!(self.share_file, "a durable claim finds no share");
                self.released[buyer] = true;
            }
            Step::DropRelease => drop(self.releasing.take()?),
            Step::Receive(buyer) => drop(self.twice(|row| row.receive(BUYERS[buyer], b"receipt", now))?),
            Step::SyncDocument => {
                let row = self.row.as_ref().filter(|row| !row.phase.is_final() && row.papers.is_empty())?;
                if self.document || row.storage == Storage::Deleted {
                    return None;
                }
                self.document = true;
            }
            Step::DepositDocument => {
                if !self.document {
                    return None;
                }
                let digest = crate::proof::digest(b"document");
                if self.twice(|row| row.deposit(SELLER, 0, 99, digest, now))?.is_err() {
                    // A document that is refused is removed; one that a row names is not offered again.
                    self.document = self.row.as_ref().is_some_and(|row| !row.papers.is_empty());
                }
            }
            Step::Refuse(buyer) => drop(self.twice(|row| row.refuse(refusal_of(BUYERS[buyer]), now))?),
            Step::Revoke => drop(self.twice(|row| row.revoke(SELLER, now))?),
            // The share's lock: a release that is under way keeps the file.
            Step::EraseShareFile if self.is_next(Effect::EraseShare) && self.share_file && self.releasing.is_none() => {
                self.share_file = false;
            }
            Step::NoteShareErased if self.is_next(Effect::EraseShare) && !self.share_file => {
                self.row.as_mut()?.done(Effect::EraseShare, now);
            }
            Step::DeleteFiles if self.is_next(Effect::DeleteBlocks) && (self.synced > 0 || self.document) => {
                (self.synced, self.document) = (0, false);
            }
            Step::NoteBlocksDeleted if self.is_next(Effect::DeleteBlocks) && self.synced == 0 && !self.document => {
                self.row.as_mut()?.done(Effect::DeleteBlocks, now);
            }
            Step::AnswerRevoked if self.ended_as(Phase::Revoked) && !self.told_revoked => self.told_revoked = true,
            Step::AnswerReceived if self.ended_as(Phase::Receipted) && !self.told_received => self.told_received = true,
            Step::AnswerRefused if self.ended_as(Phase::Refused) && !self.told_refused => self.told_refused = true,
            _ => return None,
        }
        Some(self)
    }

    /// What the relay does before it serves.
    fn recover(&mut self) {
        self.is_up = true;
        let Some(row) = &mut self.row else {
            (self.share_file, self.synced, self.document) = (false, 0, false);
            return;
        };
        row.expire(self.now);
        while let Some(effect) = row.next_effect() {
            match effect {
                Effect::EraseShare => self.share_file = false,
                Effect::DeleteBlocks => (self.synced, self.document) = (0, false),
            }
            row.done(effect, self.now);
        }
        if row.storage == Storage::Kept {
            self.synced = row.durable.0;
            self.document &= !row.papers.is_empty();
        }
    }

    /// An operation on the row in one transaction.
    fn operate<T>(&mut self, decide: impl Fn(&mut Transfer) -> Result<T, Refused>) -> Option<Result<T, Refused>> {
        Some(decide(self.row.as_mut()?))
    }

    /// The same, and its repetition, which must answer the same and change nothing.
    fn twice(&mut self, decide: impl Fn(&mut Transfer) -> Result<Millis, Refused>) -> Option<Result<Millis, Refused>> {
        let row = self.row.as_mut()?;
        let answer = decide(row);
        let mut again = row.clone();
        assert!(decide(&mut again) == answer && again == *row, "a repetition differs");
        Some(answer)
    }

    fn is_next(&self, effect: Effect) -> bool {
        self.row.as_ref().and_then(Transfer::next_effect) == Some(effect)
    }

    /// Ended like that, with the share gone: then the answer may leave.
    fn ended_as(&self, phase: Phase) -> bool {
        self.row.as_ref().is_some_and(|row| row.phase == phase && row.share == Share::Erased)
    }

    /// The promises.
    fn check(&self, before: &Self, step: Step) {
        if let Some(row) = &self.row {
            if !row.phase.is_final() {
                assert!(self.told_durable <= row.durable.0, "{step:?}: an acknowledged block is unknown");
                assert!(row.durable.0 <= self.synced, "{step:?}: a durable block is not on disk");
                assert!(self.share_file, "{step:?}: a live transfer has no share");
                assert!(row.papers.is_empty() || self.document, "{step:?}: a document is not on disk");
            }
            if row.storage == Storage::Deleted {
                assert!(
                    row.share == Share::Erased && !self.share_file && self.synced == 0 && !self.document,
                    "{step:?}: something is left"
                );
            }
            let is_receipted = row.phase == Phase::Receipted;
            assert_eq!(row.sealed_receipt.is_some(), is_receipted, "{step:?}");
            assert!(!is_receipted || row.blocks == Some(row.durable), "{step:?}: a receipt for less than all");
            assert!(row.events.iter().enumerate().all(|(index, event)| event.sequence == index as u64));
            assert_eq!(row.refusal.is_some(), row.phase == Phase::Refused, "{step:?}");
            assert!(row.refusal.is_none() || row.claim.is_none(), "{step:?}: signed and refused");
            assert!(row.claim.as_ref().is_none_or(|claim| claim.sealed_agreement.is_some()), "{step:?}: not signed");
            assert!(row.is_sound(), "{step:?}");
            let ends = row.events.iter().filter(|event| {
                use EventKind::*;
                matches!(event.kind, Receipted | Revoked | Expired | RefusedByBuyer)
            });
            assert_eq!(ends.count(), usize::from(row.phase.is_final()), "{step:?}");
        }
        if let (Some(row), Some(was)) = (&self.row, &before.row) {
            if was.phase.is_final() {
                assert_eq!((row.phase, row.ended), (was.phase, was.ended), "{step:?}: a final transfer came back");
            }
            assert!(row.events.starts_with(&was.events), "{step:?}: history was rewritten");
            assert!(was.claim.is_none() || row.claim == was.claim, "{step:?}: the claim changed hands");
        }
        assert!(self.row.is_some() || before.row.is_none(), "{step:?}: a transfer vanished");
        assert_ne!(self.released, [true; 2], "{step:?}: the share was released to a second key");
        for (buyer, key) in BUYERS.into_iter().enumerate() {
            if self.released[buyer] && !before.released[buyer] {
                let row = self.row.as_ref().expect("a release without a row");
                assert_eq!(row.claim.as_ref().map(|claim| claim.link_key), Some(key), "released to a stranger");
                assert_eq!(row.share, Share::Kept, "released after it was erased");
                assert!(!self.told_revoked, "released after the seller was told that it is revoked");
                assert!(!self.told_refused, "released after the buyer was told that its refusal arrived");
            }
        }
    }

    /// Everything that decides what can come next. Times and the order of events decide nothing.
    fn fingerprint(&self) -> String {
        let row = self.row.as_ref().map(|row| {
            let claim = row.claim.as_ref().map(|claim| claim.link_key.0[0]);
            let late = BUYERS
                .map(|by| row.events.iter().any(|event| event.kind == EventKind::ClaimRefused && event.by == Some(by)));
            (row.phase, row.share, row.storage, row.durable, row.blocks, claim, late, row.papers.len())
        });
        let told = (self.told_durable, self.released, self.told_revoked, self.told_received, self.told_refused);
        let disk = (self.share_file, self.synced, self.document, self.releasing);
        format!("{row:?} {told:?} {disk:?} {:?} {} {}", self.now, self.crashes_left, self.is_up)
    }
}

/// Counts worlds from which no received, revoked or expired transfer can be reached.
fn stuck(worlds: &[World], leads_to: &[Vec<usize>]) -> usize {
    let mut comes_from: Vec<Vec<usize>> = vec![Vec::new(); worlds.len()];
    for (from, next) in leads_to.iter().enumerate() {
        next.iter().for_each(|next| comes_from[*next].push(from));
    }
    let is_goal = |world: &World| {
        let is_over = world.now == EXPIRES;
        let is_done = world.row.as_ref().map_or(is_over, |row| row.storage == Storage::Deleted);
        is_done && (world.told_received || world.told_revoked || world.told_refused || is_over)
    };
    let mut reaches: Vec<bool> = worlds.iter().map(is_goal).collect();
    let mut queue: Vec<usize> = (0..worlds.len()).filter(|world| reaches[*world]).collect();
    while let Some(next) = queue.pop() {
        for from in &comes_from[next] {
            if !reaches[*from] {
                reaches[*from] = true;
                queue.push(*from);
            }
        }
    }
    reaches.iter().filter(|reaches| !**reaches).count()
}
