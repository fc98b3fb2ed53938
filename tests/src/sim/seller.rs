//! The seller's shell: its machine, its journal, its pipeline. Every effect is a step, and a crash can come between any
//! two.

mod steps;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, LinkKey, Millis};
use handover_shared::keys::code::CODE_BYTES;
use handover_shared::protocol::message::{Complete, Named, Phase, Reply, Request, Snapshot, Watch};
use handover_shared::protocol::seller::{Afterwards, Ending, Input, Output, Reached, Seller, Start, Trouble};

use super::ctx::{ConnId, Ctx, Happening, Lane, Packet, Party, Timer};
use super::disk::{DiskOp, SimDisk, Stop, replace};
use super::faults::Mutant;
use super::journal;
use super::link::{ClientLink, Op, reply_of};
use super::packing::Packing;
use super::papers::Papers;
use super::source::plan_to_bytes;

const REVOKE_DIALS: u64 = 1 << 32;
const REVOKE_PAUSE_MS: u64 = 3_000;

/// What is done next; a crash can come before each.
enum Step {
    Disk(DiskOp),
    Put(ConnId, u32, Packet),
    Ask(ConnId, u32, Op, Box<Request>),
    /// Everything that `Create` holds is on disk: the machine begins.
    Begin,
    Show,
    Feed(Input),
    /// Only if the connection it came over is still the present one.
    FeedOver(ConnId, Input),
    Pack(BlockIndex),
    Sealed(BlockIndex, Arc<[u8]>),
}

pub struct SellerShell {
    pub papers: Papers,
    pub disk: SimDisk,
    pub epoch: u32,
    pub is_up: bool,
    pub ended: Option<Ending>,
    /// What the seller has given to its buyers.
    pub shown: Option<[u8; CODE_BYTES]>,
    pub is_revoked: bool,
    machine: Option<Seller>,
    link: ClientLink,
    revoking: ClientLink,
    append: u32,
    main: VecDeque<Step>,
    journaling: VecDeque<Step>,
    busy: [bool; 3],
    packing: Option<Packing>,
    /// Sealed and not acknowledged.
    kept: BTreeMap<u64, Arc<[u8]>>,
    window: u64,
    /// The end of what any run has sent.
    sent: u64,
    ticking: Option<u64>,
}

impl SellerShell {
    pub fn new(papers: Papers, window: u64) -> Self {
        let key = papers.link_key;
        Self {
            papers,
            disk: SimDisk::default(),
            epoch: 0,
            is_up: false,
            ended: None,
            shown: None,
            is_revoked: false,
            machine: None,
            link: ClientLink::new(Party::Seller, 0, key, 0),
            revoking: ClientLink::new(Party::Seller, 0, key, REVOKE_DIALS),
            append: 0,
            main: VecDeque::new(),
            journaling: VecDeque::new(),
            busy: [false; 3],
            packing: None,
            kept: BTreeMap::new(),
            window,
            sent: 0,
            ticking: None,
        }
    }

    pub fn key(&self) -> LinkKey {
        self.papers.link_key
    }

    /// Where things stand, for whoever reads a failure.
    pub fn state(&self) -> String {
        format!("seller: up {}, ended {:?}, machine {:?}", self.is_up, self.ended, self.machine)
    }

    /// The same command once more.
    pub fn start(&mut self, ctx: &mut Ctx) {
        ctx.trace(|| "seller starts".into());
        self.is_up = true;
        if !ctx.is(Mutant::NoSyncAtStart) {
            self.main.push_back(Step::Disk(DiskOp::SyncAll));
        }
        if self.disk.read("announced").is_none() {
            // [S14.1] [S14.2]
            let bytes = ctx.source.bytes();
            let (create, secrets) = self.papers.announce(ctx, bytes);
            let announced = [
                replace("plan", plan_to_bytes(ctx.source.plan())),
                replace("secrets", secrets),
                replace("announced", handover_shared::codec::encode(&create)),
            ];
            let steps = announced.into_iter().flatten().map(Step::Disk);
            if ctx.is(Mutant::CreateBeforeJournal) {
                self.papers.remember(create);
                self.main.push_back(Step::Begin);
                self.journaling.extend(steps);
                self.kick(ctx, Lane::Journal);
                return self.kick(ctx, Lane::Main);
            }
            self.main.extend(steps);
        }
        self.main.push_back(Step::Begin);
        self.kick(ctx, Lane::Main);
    }

    pub fn stop(&mut self, ctx: &mut Ctx, stop: Stop) {
        ctx.trace(|| format!("seller stops: {stop:?}"));
        self.is_up = false;
        self.epoch += 1;
        self.link.leave(ctx);
        self.revoking.leave(ctx);
        self.link = ClientLink::new(Party::Seller, self.epoch, self.key(), 0);
        self.revoking = ClientLink::new(Party::Seller, self.epoch, self.key(), REVOKE_DIALS);
        self.machine = None;
        self.packing = None;
        self.kept.clear();
        self.main.clear();
        self.journaling.clear();
        self.busy = [false; 3];
        self.ticking = None;
        self.papers.forget();
        self.disk.crash(stop, &mut ctx.rng);
        let pause = ctx.rng.within(10..=30_000);
        ctx.after(pause, Happening::Starts(Party::Seller));
    }

    fn begin(&mut self, ctx: &mut Ctx) {
        let marks = journal::marks(self.disk.read("marks").unwrap_or_default());
        let reached = match self.disk.read("reached") {
            Some(b"completed") => Reached::Completed,
            Some(_) => Reached::Created,
            None => Reached::Nothing,
        };
        if let (Some(announced), Some(secrets)) = (self.disk.read("announced"), self.disk.read("secrets")) {
            self.papers.read(announced, secrets);
        }
        let start = Start {
            reached,
            acknowledged: BlockCount(0),
            journaled: journal::made(&marks),
            afterwards: Afterwards::Watch,
            window: BlockCount(self.window),
        };
        ctx.trace(|| format!("seller begins: {start:?}"));
        self.machine = Some(Seller::new(start, ctx.time()));
        self.drain(ctx);
        if reached != Reached::Nothing {
            self.show(ctx);
        }
    }

    // ---- what comes in ----

    pub fn dialed(&mut self, ctx: &mut Ctx, dial: u64, reached: bool) {
        if dial > REVOKE_DIALS {
            if self.revoking.is_dialing(dial) && reached {
                self.revoking.connected(ctx);
            } else {
                ctx.timer(Party::Seller, self.epoch, REVOKE_PAUSE_MS, Timer::Revoke);
            }
            return;
        }
        if !self.link.is_dialing(dial) {
            return;
        }
        if reached {
            self.link.connected(ctx);
        } else {
            self.feed(ctx, Input::Lost(Trouble::Unreachable));
        }
    }

    pub fn breaks(&mut self, ctx: &mut Ctx, conn: ConnId) {
        if self.link.conn == Some(conn) {
            self.lose(ctx, Trouble::Lost);
        } else if self.revoking.conn == Some(conn) {
            self.revoking.leave(ctx);
            ctx.timer(Party::Seller, self.epoch, REVOKE_PAUSE_MS, Timer::Revoke);
        }
    }

    fn lose(&mut self, ctx: &mut Ctx, trouble: Trouble) {
        self.link.leave(ctx);
        self.feed(ctx, Input::Lost(trouble));
    }

    pub fn timer(&mut self, ctx: &mut Ctx, timer: Timer) {
        match timer {
            Timer::Tick => {
                self.ticking = None;
                self.feed(ctx, Input::Tick);
            }
            Timer::PauseOver => self.feed(ctx, Input::PauseOver),
            Timer::Patience(conn, stream) => {
                if self.link.is_waiting(conn, stream) {
                    self.lose(ctx, Trouble::Lost);
                } else if self.revoking.is_waiting(conn, stream) {
                    self.breaks(ctx, conn);
                }
            }
            Timer::Revoke => self.revoke(ctx),
            Timer::Decided => {}
        }
    }

    /// The seller has changed its mind.
    pub fn revoke(&mut self, ctx: &mut Ctx) {
        if !self.is_revoked && self.is_up && self.papers.create.is_some() && self.revoking.conn.is_none() {
            self.revoking.dial(ctx);
        }
    }

    pub fn arrives(&mut self, ctx: &mut Ctx, conn: ConnId, stream: u32, packet: Packet) {
        if let Some(op) = self.revoking.op(conn, stream) {
            return self.revoke_answered(ctx, op, packet);
        }
        let Some(op) = self.link.op(conn, stream) else { return };
        let Packet::Message(bytes) = packet else {
            if op == Op::Append {
                self.link.answered(stream);
                self.feed(ctx, Input::AppendOver);
            }
            return;
        };
        let reply = reply_of(&bytes);
        if !matches!(op, Op::Append | Op::Watch) {
            self.link.answered(stream);
        }
        let input = match reply {
            Reply::Welcome(_) => Input::Connected,
            Reply::Created(created) => Input::Created(created),
            Reply::Appending(it) => Input::Appending(it.durable),
            Reply::Durable(it) => Input::Durable(it.durable),
            Reply::Completed(at) => Input::Completed(at.time),
            Reply::Refused(refused) => {
                self.link.answered(stream);
                if !self.link.is_current(stream) {
                    return;
                }
                Input::Refused(refused)
            }
            Reply::Snapshot(snapshot) => return self.told(ctx, conn, &snapshot),
            other => return ctx.fail(|| format!("the seller was answered {other:?}")),
        };
        self.feed(ctx, input);
    }

    /// The receipt is checked and kept before the machine hears of it. [S10.10]
    fn told(&mut self, ctx: &mut Ctx, conn: ConnId, snapshot: &Snapshot) {
        let next_event = snapshot.events.last().map_or(0, |event| event.sequence + 1);
        if snapshot.phase == Phase::Receipted {
            let seal = self.disk.read("seal").map(<[u8]>::to_vec);
            match self.papers.check_receipt(snapshot, seal.as_deref()) {
                Ok(text) => {
                    let keep = replace("receipt", text.into_bytes());
                    self.main.extend(keep.into_iter().map(Step::Disk));
                }
                Err(what) => return ctx.fail(|| format!("[S10.10] the receipt does not hold: {what}")),
            }
        }
        self.main.push_back(Step::FeedOver(conn, Input::Told { phase: snapshot.phase, next_event }));
        self.kick(ctx, Lane::Main);
    }

    fn revoke_answered(&mut self, ctx: &mut Ctx, op: Op, packet: Packet) {
        let Packet::Message(bytes) = packet else { return };
        let transfer = self.papers.create.as_ref().map(|create| create.transfer);
        match (op, reply_of(&bytes), transfer) {
            (Op::Hello, Reply::Welcome(_), Some(transfer)) => {
                self.revoking.forget(Op::Hello);
                self.revoking.ask(ctx, Op::Revoke, &Request::Revoke(Named { transfer }));
            }
            (Op::Revoke, Reply::Refused(refused), _)
                if refused.known().is_some_and(Fault::is_passing) || refused.known() == Some(Fault::NotFound) =>
            {
                self.revoking.leave(ctx);
                ctx.timer(Party::Seller, self.epoch, REVOKE_PAUSE_MS, Timer::Revoke);
            }
            (Op::Revoke, _, _) => {
                self.is_revoked = true;
                self.revoking.leave(ctx);
            }
            _ => {
                self.revoking.leave(ctx);
                ctx.timer(Party::Seller, self.epoch, REVOKE_PAUSE_MS, Timer::Revoke);
            }
        }
    }

    fn feed(&mut self, ctx: &mut Ctx, input: Input) {
        if let Some(machine) = &mut self.machine {
            if input != Input::Tick && input != Input::Moved {
                ctx.trace(|| format!("seller hears {input:?}"));
            }
            machine.handle(Millis(ctx.now), input);
            self.drain(ctx);
        }
    }

    /// The transport says that something of ours got through.
    pub fn moved(&mut self, ctx: &mut Ctx, conn: ConnId) {
        if self.link.conn == Some(conn) {
            self.feed(ctx, Input::Moved);
        }
    }

    // ---- what the machine wants ----

    fn drain(&mut self, ctx: &mut Ctx) {
        while let Some(output) = self.machine.as_mut().and_then(Seller::poll) {
            ctx.trace(|| format!("seller: {output:?}"));
            self.obey(ctx, output);
        }
        if let Some(wake) = self.machine.as_ref().and_then(Seller::wake_at)
            && self.ticking.is_none_or(|at| at > wake.0)
        {
            self.ticking = Some(wake.0);
            ctx.timer(Party::Seller, self.epoch, wake.0.saturating_sub(ctx.now), Timer::Tick);
        }
        self.kick(ctx, Lane::Main);
        self.kick(ctx, Lane::Data);
    }

    fn obey(&mut self, ctx: &mut Ctx, output: Output) {
        match output {
            Output::Connect => self.link.dial(ctx),
            Output::Pause { attempt, .. } => {
                let most = if ctx.faults_over { 2_000 } else { 1_000 << attempt.min(5) };
                let pause = 100 + ctx.rng.below(most);
                ctx.timer(Party::Seller, self.epoch, pause, Timer::PauseOver);
            }
            Output::Disconnect => self.link.leave(ctx),
            Output::Create => {
                let Some(create) = self.papers.create.clone() else { return };
                self.ask(ctx, Op::Create, Request::Create(create));
                if ctx.is(Mutant::CodeBeforeCreated) {
                    self.show(ctx);
                }
            }
            Output::Accepted(_) => {
                // [S14.3]
                self.main.extend(replace("reached", b"created".to_vec()).into_iter().map(Step::Disk));
                self.main.push_back(Step::Show);
            }
            Output::Append => {
                let Some(transfer) = self.papers.transfer() else { return };
                self.append = self.ask(ctx, Op::Append, Request::Append(Named { transfer }));
            }
            Output::Begin(block) => self.resume(ctx, block),
            Output::Send(index) => {
                let Some(conn) = self.link.conn else { return };
                let Some(block) = self.kept.get(&index.0) else {
                    return ctx.fail(|| format!("[S14.4] block {} is to be sent and was not kept", index.0));
                };
                if index.0 < self.sent {
                    ctx.count("blocks sent again");
                }
                ctx.count("blocks sent");
                self.sent = self.sent.max(index.0 + 1);
                self.main.push_back(Step::Put(conn, self.append, Packet::Block(block.clone())));
            }
            Output::Finish => {
                let Some(conn) = self.link.conn else { return };
                self.main.push_back(Step::Put(conn, self.append, Packet::Over));
            }
            Output::Release(durable) => self.kept.retain(|index, _| *index >= durable.0),
            Output::Complete(blocks) => {
                let Some(transfer) = self.papers.transfer() else { return };
                if ctx.is(Mutant::CompleteEarly) {
                    self.main.extend(replace("reached", b"completed".to_vec()).into_iter().map(Step::Disk));
                }
                self.ask(ctx, Op::Complete, Request::Complete(Complete { transfer, blocks }));
            }
            Output::Safe(_) => {
                self.main.extend(replace("reached", b"completed".to_vec()).into_iter().map(Step::Disk));
            }
            Output::Watch { from_event } => {
                let Some(transfer) = self.papers.transfer() else { return };
                self.ask(ctx, Op::Watch, Request::Watch(Watch { transfer, from_event }));
            }
            Output::Moving => {}
            Output::Ended(ending) => {
                if !matches!(ending, Ending::Receipted | Ending::Refused(_)) {
                    ctx.fail(|| format!("the seller ended with {ending:?}"));
                }
                self.ended = Some(ending);
            }
        }
    }

    fn ask(&mut self, ctx: &mut Ctx, op: Op, request: Request) -> u32 {
        let stream = self.link.open(ctx, op);
        if let Some(conn) = self.link.conn {
            self.main.push_back(Step::Ask(conn, stream, op, Box::new(request)));
        }
        stream
    }

    fn show(&mut self, ctx: &mut Ctx) {
        if !ctx.model.is_created() {
            ctx.fail(|| "[S14.3] a code is shown that opens nothing".into());
        }
        self.shown = self.papers.code;
        if let Some(at) = ctx.faults.revoke_at_ms {
            let due = (super::ctx::BEGIN_MS + at).saturating_sub(ctx.now);
            ctx.timer(Party::Seller, self.epoch, due, Timer::Revoke);
        }
    }
}
