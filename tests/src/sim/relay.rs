//! The relay's shell: disk, ledger and tasks around the machine of each transfer. One task serves one stream; a crash can
//! come between any two of its acts.

mod acts;
mod requests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, LinkKey, Millis, TransferId};
use handover_shared::protocol::message::{Claim, Create, Durable, Phase, Reply, Request, Snapshot};
use handover_shared::protocol::relay::{Effect, Share, Storage, Transfer};

use super::ctx::{ConnId, Ctx, End, Happening, Packet, Party};
use super::disk::{SimDisk, Stop};
use super::ledger::{Ledger, Row, Segment};
use super::link::request_of;
use super::packing::SIZE;

const SWEEP_MS: u64 = 5_000;

pub struct Relay {
    disk: SimDisk,
    ledger: Ledger,
    pub epoch: u32,
    state: State,
    tasks: BTreeMap<u64, Task>,
    streams: BTreeMap<(ConnId, u32), u64>,
    locks: BTreeMap<(Lock, TransferId), u64>,
    /// The newest connection on which a transfer was appended to.
    newest_run: BTreeMap<TransferId, ConnId>,
    next: u64,
    /// How far its clock is behind.
    behind_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down,
    Recovering,
    Serving,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// Held while the share is written, released or erased.
    Share,
    /// Held by the only one who appends.
    Appender,
    Settling,
}

/// What a task does next.
#[derive(Clone)]
pub enum Act {
    Take(Lock),
    /// Refuses to append on an older connection than the last one [S12.2].
    CheckRun,
    /// Asks whoever appends to stop, and waits for it [S12.2].
    TakeOver,
    Unlock(Lock),
    PutShare(Vec<u8>),
    SyncShare,
    EraseShare,
    SyncNames,
    Tx(Tx),
    Commit,
    Answer,
    /// Reads the share and gives it away.
    Release,
    Receive,
    SyncSegment(String),
    TellDurable,
    TellOver,
    Serve(BlockIndex),
    Watch(u64),
    /// Makes the task erase the share, if that is due.
    SettleShare,
    SettleBlocks,
    DeleteBlocks,
    Believe,
    Recover,
    Open,
}

/// A transaction of the ledger.
#[derive(Clone)]
pub enum Tx {
    Create(Box<Create>),
    Append,
    Stored(Segment),
    Complete(BlockCount),
    Peek,
    Claim(Box<Claim>),
    Fetch(BlockIndex),
    Fetched(BlockCount),
    Receive(Vec<u8>),
    Revoke,
    Expire,
    Done(Effect),
}

/// Who sends blocks, and what of it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Open,
    Over,
    Broken,
}

pub struct Task {
    pub id: u64,
    pub peer: Option<(ConnId, u32)>,
    pub by: LinkKey,
    pub channel: [u8; 32],
    pub transfer: TransferId,
    pub acts: VecDeque<Act>,
    pub answer: Option<Reply>,
    /// What the code earns, once the claim is accepted.
    pub released: Option<(Box<Claim>, Vec<u8>, Millis)>,
    pub incoming: VecDeque<Arc<[u8]>>,
    pub input: Input,
    pub is_superseded: bool,
    pub told: Option<Snapshot>,
    is_parked: bool,
}

/// How a task goes on.
pub enum Flow {
    Next,
    /// The same once more, a little later.
    Again(Act),
    /// The same once more, when something has happened.
    Park(Act),
}

impl Relay {
    pub fn new() -> Self {
        Self {
            disk: SimDisk::default(),
            ledger: Ledger::default(),
            epoch: 0,
            state: State::Down,
            tasks: BTreeMap::new(),
            streams: BTreeMap::new(),
            locks: BTreeMap::new(),
            newest_run: BTreeMap::new(),
            next: 0,
            behind_ms: 0,
        }
    }

    pub fn is_serving(&self) -> bool {
        self.state == State::Serving
    }

    pub fn is_down(&self) -> bool {
        self.state == State::Down
    }

    fn now(&mut self, ctx: &Ctx) -> Millis {
        Millis(self.ledger.time(ctx.now - self.behind_ms))
    }

    pub fn start(&mut self, ctx: &mut Ctx) {
        ctx.trace(|| "relay starts".into());
        self.epoch += 1;
        self.state = State::Recovering;
        let clock_back = if ctx.faults_over { 0 } else { ctx.faults.clock_back_ms };
        self.behind_ms = ctx.rng.below(clock_back + 1);
        let acts = [Act::Believe, Act::Recover, Act::SyncNames, Act::Open];
        self.spawn(ctx, TransferId([0; 16]), None, acts.into());
        ctx.after(SWEEP_MS, Happening::Sweep { epoch: self.epoch });
    }

    fn open(&mut self) {
        self.state = State::Serving;
    }

    pub fn stop(&mut self, ctx: &mut Ctx, stop: Stop) {
        ctx.trace(|| format!("relay stops: {stop:?}"));
        self.state = State::Down;
        self.epoch += 1;
        ctx.abandon_all();
        self.tasks.clear();
        self.streams.clear();
        self.locks.clear();
        self.newest_run.clear();
        self.disk.crash(stop, &mut ctx.rng);
        self.ledger.crash(stop, &mut ctx.rng);
        self.check(ctx);
        let pause = ctx.rng.within(100..=30_000);
        ctx.after(pause, Happening::Starts(Party::Relay));
    }

    /// Holds the relay to what it has said.
    pub fn check(&mut self, ctx: &mut Ctx) {
        let Some(id) = ctx.model.announced.keys().next().copied() else { return };
        let share = self.disk.read(&share_name(id));
        let block = |row: &Row, index| self.block(row, BlockIndex(index));
        let outcome = ctx.model.check_relay(self.ledger.row(id), share, block);
        ctx.check(outcome);
    }

    /// Whether nothing is left of any transfer but its tombstone.
    pub fn is_clean(&self) -> Result<(), String> {
        for id in self.ledger.ids() {
            let transfer = &self.ledger.row(id).expect("a row").transfer;
            if !transfer.phase.is_final() || transfer.next_effect().is_some() {
                return Err(format!("the relay has not settled: {:?}", transfer.phase));
            }
        }
        match self.disk.names("").first() {
            None => Ok(()),
            Some(name) => Err(format!("[S13.9] {name} is left")),
        }
    }

    pub fn phase(&self) -> Option<Phase> {
        self.only().map(|transfer| transfer.phase)
    }

    pub fn claimant(&self) -> Option<LinkKey> {
        self.only()?.claim.as_ref().map(|claim| claim.link_key)
    }

    /// The transfer of this world.
    fn only(&self) -> Option<&Transfer> {
        self.ledger.ids().first().and_then(|id| self.ledger.row(*id)).map(|row| &row.transfer)
    }

    fn block(&self, row: &Row, index: BlockIndex) -> Option<Vec<u8>> {
        let segment = row
            .segments
            .iter()
            .find(|segment| (segment.first.0..segment.first.0 + segment.count.0).contains(&index.0))?;
        let size = SIZE.sealed_bytes();
        let at = (index.0 - segment.first.0) as usize * size;
        self.disk.read(&segment.name)?.get(at..at + size).map(<[u8]>::to_vec)
    }

    // ---- the network ----

    pub fn arrives(&mut self, ctx: &mut Ctx, conn: ConnId, stream: u32, packet: Packet) {
        if ctx.conns.get(&conn).is_some_and(|conn| !conn.client_open) {
            ctx.count("packets of clients that had left");
        }
        let known = self.streams.get(&(conn, stream)).copied();
        match (packet, known.and_then(|task| self.tasks.get_mut(&task))) {
            (Packet::Message(bytes), None) if known.is_none() => self.asked(ctx, conn, stream, request_of(&bytes)),
            (Packet::Block(block), Some(task)) => task.incoming.push_back(block),
            (Packet::Over, Some(task)) => task.input = Input::Over,
            _ => {}
        }
        if let Some(task) = known {
            self.wake(ctx, task);
        }
    }

    /// A connection is gone.
    pub fn breaks(&mut self, ctx: &mut Ctx, conn: ConnId) {
        let tasks: Vec<u64> = self.streams.range((conn, 0)..=(conn, u32::MAX)).map(|(_, task)| *task).collect();
        for id in tasks {
            if let Some(task) = self.tasks.get_mut(&id) {
                task.input = if task.input == Input::Open { Input::Broken } else { task.input };
                if matches!(task.acts.front(), Some(Act::Serve(_) | Act::Watch(_))) {
                    self.tasks.remove(&id);
                } else {
                    self.wake(ctx, id);
                }
            }
        }
    }

    fn asked(&mut self, ctx: &mut Ctx, conn: ConnId, stream: u32, request: Request) {
        let (transfer, acts, answer) = self.program(ctx, request);
        let id = self.spawn(ctx, transfer, Some((conn, stream)), acts);
        if let Some(task) = self.tasks.get_mut(&id) {
            task.answer = answer;
        }
        self.streams.insert((conn, stream), id);
    }

    // ---- tasks ----

    fn spawn(&mut self, ctx: &mut Ctx, transfer: TransferId, peer: Option<(ConnId, u32)>, acts: Vec<Act>) -> u64 {
        self.next += 1;
        let conn = peer.and_then(|(conn, _)| ctx.conns.get(&conn));
        let task = Task {
            id: self.next,
            peer,
            by: conn.map_or(LinkKey([0; 32]), |conn| conn.key),
            channel: conn.map_or([0; 32], |conn| conn.channel),
            transfer,
            acts: acts.into(),
            answer: None,
            released: None,
            incoming: VecDeque::new(),
            input: Input::Open,
            is_superseded: false,
            told: None,
            is_parked: false,
        };
        self.tasks.insert(self.next, task);
        let ms = ctx.step(Party::Relay);
        ctx.after(ms, Happening::Task { epoch: self.epoch, task: self.next });
        self.next
    }

    /// Does the next act of a task.
    pub fn step(&mut self, ctx: &mut Ctx, id: u64) {
        let Some(mut task) = self.tasks.remove(&id) else { return };
        let Some(act) = task.acts.pop_front() else {
            self.locks.retain(|_, holder| *holder != id);
            return;
        };
        let ms = match self.act(ctx, &mut task, act) {
            Flow::Next => ctx.step(Party::Relay),
            Flow::Again(act) => {
                task.acts.push_front(act);
                10 + ctx.step(Party::Relay)
            }
            Flow::Park(act) => {
                task.acts.push_front(act);
                task.is_parked = true;
                self.tasks.insert(id, task);
                return;
            }
        };
        self.tasks.insert(id, task);
        ctx.after(ms, Happening::Task { epoch: self.epoch, task: id });
    }

    fn wake(&mut self, ctx: &mut Ctx, id: u64) {
        if let Some(task) = self.tasks.get_mut(&id)
            && task.is_parked
        {
            task.is_parked = false;
            ctx.after(0, Happening::Task { epoch: self.epoch, task: id });
        }
    }

    /// Something became durable.
    fn wake_all(&mut self, ctx: &mut Ctx) {
        let ids: Vec<u64> = self.tasks.keys().copied().collect();
        ids.into_iter().for_each(|id| self.wake(ctx, id));
    }

    pub fn sweep(&mut self, ctx: &mut Ctx) {
        let now = self.now(ctx);
        for id in self.ledger.ids() {
            let Some(row) = self.ledger.row(id) else { continue };
            let is_due = !row.transfer.phase.is_final() && now >= row.transfer.terms.expires;
            let is_busy = self.locks.contains_key(&(Lock::Settling, id));
            if (is_due || row.transfer.next_effect().is_some()) && !is_busy && self.is_serving() {
                let acts = vec![
                    Act::Take(Lock::Settling),
                    Act::Tx(Tx::Expire),
                    Act::Commit,
                    Act::SettleShare,
                    Act::SettleBlocks,
                ];
                self.spawn(ctx, id, None, acts);
            }
        }
        ctx.after(SWEEP_MS, Happening::Sweep { epoch: self.epoch });
    }

    /// Says something to a client, and lets the model know.
    fn say(&mut self, ctx: &mut Ctx, task: &Task, reply: &Reply) {
        let Some((conn, stream)) = task.peer else { return };
        ctx.trace(|| format!("relay says {} on {conn:?} stream {stream}", shown(reply)));
        let outcome = match reply {
            Reply::Created(_) => {
                ctx.model.told_created(task.transfer);
                Ok(())
            }
            Reply::Appending(Durable { durable }) | Reply::Durable(Durable { durable }) => {
                let row = self.ledger.row(task.transfer);
                let block = |index| row.and_then(|row| self.block(row, BlockIndex(index)));
                ctx.model.told_durable(durable.0, block)
            }
            Reply::Completed(_) => {
                let blocks = self.ledger.row(task.transfer).and_then(|row| row.transfer.blocks);
                ctx.model.told_completed(blocks.map_or(0, |blocks| blocks.0))
            }
            Reply::Released(_) => ctx.model.released(task.by),
            Reply::Received(_) => ctx.model.told_ended(Phase::Receipted),
            Reply::Revoked(_) => ctx.model.told_ended(Phase::Revoked),
            Reply::Snapshot(snapshot) if snapshot.phase.is_final() => ctx.model.told_ended(snapshot.phase),
            Reply::Refused(refused) => match refused.known() {
                Some(Fault::Receipted) => ctx.model.told_ended(Phase::Receipted),
                Some(Fault::Revoked) => ctx.model.told_ended(Phase::Revoked),
                Some(Fault::Expired) => ctx.model.told_ended(Phase::Expired),
                _ => Ok(()),
            },
            _ => Ok(()),
        };
        ctx.check(outcome);
        ctx.send(conn, stream, End::Client, Packet::Message(reply.to_bytes()));
    }

    /// Removes what no row names [S13.9].
    fn remove_orphans(&mut self) {
        for name in self.disk.names("") {
            let rows = self.ledger.ids().into_iter().filter_map(|id| self.ledger.row(id));
            let is_named = rows.into_iter().any(|row| {
                let transfer = &row.transfer;
                (name == share_name(transfer.terms.id) && transfer.share == Share::Kept)
                    || (transfer.storage == Storage::Kept && row.segments.iter().any(|segment| segment.name == name))
            });
            if !is_named {
                self.disk.remove(&name);
            }
        }
    }

    fn new_segment(&mut self, transfer: TransferId) -> String {
        self.next += 1;
        format!("blocks/{transfer}/{}-{}", self.epoch, self.next)
    }
}

fn share_name(id: TransferId) -> String {
    format!("share/{id}")
}

fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Appending(it) | Reply::Durable(it) => format!("{} {}", reply.name(), it.durable.0),
        Reply::Refused(it) => format!("Refused {:?} {:?}", it.known(), it.number),
        Reply::Snapshot(it) => format!("Snapshot {:?} {} {:?}", it.phase, it.durable.0, it.blocks),
        Reply::Fetching(it) => format!("Fetching {} {:?}", it.durable.0, it.blocks),
        _ => reply.name().to_owned(),
    }
}
