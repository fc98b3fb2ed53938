//! The buyer's shell: its machine, its keys, its pipeline. Every effect is a step, and a crash can come between any two.

mod papers;

use std::collections::VecDeque;
use std::sync::Arc;

use handover_shared::archive::ArchiveFault;
use handover_shared::archive::catalogue::Tail;
use handover_shared::codec;
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockIndex, LinkKey, Millis, TransferId};
use handover_shared::keys::code::CODE_BYTES;
use handover_shared::keys::hybrid::HybridSecret;
use handover_shared::keys::schedule::ContentKey;
use handover_shared::keys::{Entropy, Secret};
use handover_shared::proof::{self, Identity};
use handover_shared::protocol::buyer::{Buyer, End, Input, Output, Start};
use handover_shared::protocol::message::{Fetch, Peek, Peeked, Receive, Released, Reply, Request};

use super::ctx::{ConnId, Ctx, Happening, Lane, Packet, Party, Timer};
use super::disk::{DiskOp, SimDisk, Stop, replace};
use super::faults::Mutant;
use super::link::{ClientLink, Op, reply_of};
use super::model::Placed;
use super::placing::{Checkpoint, Look, Outcome, Placing, checkpoint_of, placed};

const TICK_MS: u64 = 2_000;

enum Step {
    Disk(DiskOp),
    Begin,
    Feed(Input),
    Sign,
}

/// How it ended for a buyer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Done,
    Declined,
    Refused(End),
}

/// What a claim needs, and what it was made for.
struct Keys {
    link_seed: [u8; 32],
    hybrid: HybridSecret,
    transfer: TransferId,
    sealed_offer: Vec<u8>,
}

pub struct BuyerShell {
    party: Party,
    pub disk: SimDisk,
    pub epoch: u32,
    pub is_up: bool,
    pub ended: Option<Ended>,
    pub code: Option<[u8; CODE_BYTES]>,
    identity: Identity,
    relay_key: LinkKey,
    /// Looks, and does not want it.
    pub declines: bool,
    checkpoint_percent: u64,
    machine: Option<Buyer>,
    link: ClientLink,
    keys: Option<Keys>,
    key: Option<ContentKey>,
    receipt: Option<Vec<u8>>,
    main: VecDeque<Step>,
    busy: [bool; 2],
    placing: Option<Placing>,
    inbox: VecDeque<(BlockIndex, Arc<[u8]>)>,
    next: BlockIndex,
}

impl BuyerShell {
    pub fn new(ctx: &mut Ctx, number: usize, relay_key: LinkKey) -> Self {
        let party = Party::Buyer(number);
        let identity = Identity::of_seed(&(&mut ctx.rng as &mut dyn Entropy).array());
        Self {
            party,
            disk: SimDisk::default(),
            epoch: 0,
            is_up: false,
            ended: None,
            code: None,
            identity,
            relay_key,
            declines: number > 0 && ctx.rng.percent(20),
            checkpoint_percent: ctx.rng.pick(&[0, 20, 60, 100]),
            machine: None,
            link: ClientLink::new(party, 0, LinkKey([0; 32]), 0),
            keys: None,
            key: None,
            receipt: None,
            main: VecDeque::new(),
            busy: [false; 2],
            placing: None,
            inbox: VecDeque::new(),
            next: BlockIndex(0),
        }
    }

    /// Where things stand, for whoever reads a failure.
    pub fn state(&self) -> String {
        let (up, ended, waiting) = (self.is_up, self.ended, self.inbox.len());
        format!("{:?}: up {up}, ended {ended:?}, {waiting} blocks wait, machine {:?}", self.party, self.machine)
    }

    /// The same command with the same code once more.
    pub fn start(&mut self, ctx: &mut Ctx) {
        if self.code.is_none() || self.ended.is_some() {
            return;
        }
        ctx.trace(|| format!("{:?} starts", self.party));
        self.is_up = true;
        if !ctx.is(Mutant::NoSyncAtStart) {
            self.main.push_back(Step::Disk(DiskOp::SyncAll));
        }
        self.main.push_back(Step::Begin);
        self.kick(ctx, Lane::Main);
    }

    pub fn stop(&mut self, ctx: &mut Ctx, stop: Stop) {
        ctx.trace(|| format!("{:?} stops: {stop:?}", self.party));
        self.is_up = false;
        self.epoch += 1;
        self.link.leave(ctx);
        (self.machine, self.keys, self.key, self.receipt, self.placing) = (None, None, None, None, None);
        self.main.clear();
        self.inbox.clear();
        self.busy = [false; 2];
        self.disk.crash(stop, &mut ctx.rng);
        self.check_names(ctx);
        let pause = ctx.rng.within(10..=30_000);
        ctx.after(pause, Happening::Starts(self.party));
    }

    /// A file with its final name is a whole file. [S15.2]
    fn check_names(&self, ctx: &mut Ctx) {
        for (path, thing) in placed(&self.disk, Look::Now) {
            if let Placed::File(bytes) = thing
                && !ctx.source.had(&path, &bytes)
            {
                ctx.fail(|| format!("[S15.2] {} has its name and is not whole", String::from_utf8_lossy(&path)));
            }
        }
    }

    /// Compares what is there for certain with what was sealed.
    pub fn check_placed(&self, ctx: &mut Ctx) {
        let Some(Checkpoint::Whole(tail)) = self.disk.read("checkpoint").map(checkpoint_of) else {
            return ctx.fail(|| "a receipt without a tail".into());
        };
        let seal = proof::text_id(&Tail::parse(&tail).expect("it was checked").seal_text);
        let outcome = ctx.model.check_placed(seal, &placed(&self.disk, Look::Surely), &ctx.source);
        ctx.check(outcome);
    }

    fn begin(&mut self, ctx: &mut Ctx) {
        self.keys = self.disk.read("keys").map(Keys::of_bytes);
        self.key = self.disk.read("key").and_then(Secret::from_slice).map(ContentKey::of_secret);
        self.receipt = self.disk.read("receipt").map(<[u8]>::to_vec);
        if self.disk.read("delivered").is_some() {
            self.ended = Some(Ended::Done);
            return;
        }
        let checkpoint = self.disk.read("checkpoint").map(checkpoint_of);
        let start = match (&self.keys, &self.key, &self.receipt, &checkpoint) {
            (Some(_), Some(_), Some(_), _) => Start::Deliver,
            (Some(_), Some(_), None, Some(Checkpoint::Whole(_))) => Start::Finish,
            (Some(_), Some(_), None, Some(Checkpoint::Stream(position, _))) => Start::Fetch(position.block()),
            (Some(_), Some(_), None, None) => Start::Fetch(BlockIndex(0)),
            (Some(_), None, _, _) => Start::Claim,
            (None, _, _, _) => Start::Look,
        };
        let link_seed = match &self.keys {
            Some(keys) => keys.link_seed,
            None => (&mut ctx.rng as &mut dyn Entropy).array(),
        };
        if self.keys.is_none() {
            let hybrid = HybridSecret::of_seed(Secret::from_entropy(&mut ctx.rng));
            self.keys = Some(Keys { link_seed, hybrid, transfer: TransferId([0; 16]), sealed_offer: Vec::new() });
        }
        self.link = ClientLink::new(self.party, self.epoch, link_key(&link_seed), 0);
        ctx.trace(|| format!("{:?} begins: {start:?} as {}", self.party, &self.link.key.to_hex()[..6]));
        if let Start::Fetch(_) = start {
            self.place_from(ctx, checkpoint);
        }
        self.machine = Some(Buyer::new(start, ctx.time()));
        ctx.timer(self.party, self.epoch, TICK_MS, Timer::Tick);
        self.drain(ctx);
    }

    fn place_from(&mut self, ctx: &Ctx, checkpoint: Option<Checkpoint>) {
        if let (Some(keys), Some(key)) = (&self.keys, &self.key) {
            let mut placing = Placing::start(keys.transfer, key.duplicate(), checkpoint, &mut self.disk);
            placing.breaks(ctx.mutant);
            self.placing = Some(placing);
        }
    }

    // ---- what comes in ----

    pub fn dialed(&mut self, ctx: &mut Ctx, dial: u64, reached: bool) {
        if !self.link.is_dialing(dial) {
            return;
        }
        if reached {
            self.link.connected(ctx);
        } else {
            self.feed(ctx, Input::LinkLost);
        }
    }

    pub fn breaks(&mut self, ctx: &mut Ctx, conn: ConnId) {
        if self.link.conn == Some(conn) {
            self.link.leave(ctx);
            self.feed(ctx, Input::LinkLost);
        }
    }

    pub fn timer(&mut self, ctx: &mut Ctx, timer: Timer) {
        match timer {
            Timer::Tick => {
                if !self.inbox.is_empty() || self.placing.as_ref().is_some_and(Placing::is_busy) {
                    self.feed(ctx, Input::Alive);
                }
                self.feed(ctx, Input::Tick);
                if self.ended.is_none() {
                    ctx.timer(self.party, self.epoch, TICK_MS, Timer::Tick);
                }
            }
            Timer::PauseOver => self.feed(ctx, Input::Waited),
            Timer::Patience(conn, stream) => {
                if self.link.is_waiting(conn, stream) {
                    self.breaks(ctx, conn);
                }
            }
            Timer::Decided => self.decided(ctx),
            Timer::Revoke => {}
        }
    }

    pub fn arrives(&mut self, ctx: &mut Ctx, conn: ConnId, stream: u32, packet: Packet) {
        let Some(op) = self.link.op(conn, stream) else { return };
        let bytes = match packet {
            Packet::Message(bytes) => bytes,
            Packet::Block(block) => {
                self.inbox.push_back((self.next, block));
                self.next = self.next.next();
                self.feed(ctx, Input::Arrived(self.next));
                return self.kick(ctx, Lane::Data);
            }
            Packet::Over => {
                self.link.answered(stream);
                return self.feed(ctx, Input::Finished);
            }
        };
        let reply = reply_of(&bytes);
        if op != Op::Fetch {
            self.link.answered(stream);
        }
        match reply {
            Reply::Welcome(_) => self.feed(ctx, Input::Connected),
            Reply::Peeked(peeked) => self.peeked(ctx, peeked),
            Reply::Released(released) => self.released(ctx, &released),
            Reply::Fetching(fetching) => self.feed(ctx, Input::Fetching(fetching)),
            Reply::Received(_) => self.feed(ctx, Input::Received),
            Reply::Refused(refused) => {
                self.link.answered(stream);
                if self.link.is_current(stream) {
                    self.feed(ctx, Input::Refused(refused.known().unwrap_or(Fault::Internal)));
                }
            }
            other => ctx.fail(|| format!("a buyer was answered {other:?}")),
        }
    }

    fn peeked(&mut self, ctx: &mut Ctx, peeked: Peeked) {
        let Some(keys) = &mut self.keys else { return };
        (keys.transfer, keys.sealed_offer) = (peeked.transfer, peeked.sealed_offer);
        match self.offer() {
            Err(fault) => ctx.fail(|| format!("[S10.8] the offer does not open: {fault}")),
            Ok(offer) => match offer.check_live(&self.relay_key, ctx.time()) {
                Ok(()) => self.feed(ctx, Input::Offered),
                // The relay's clock is behind.
                Err(_) => self.ended = Some(Ended::Refused(End::Refused(Fault::Expired))),
            },
        }
    }

    fn released(&mut self, ctx: &mut Ctx, released: &Released) {
        match self.open_release(released) {
            Err(fault) => ctx.fail(|| format!("[S4.7] the share does not open: {fault}")),
            Ok(key) => {
                let keep = replace("key", key.expose().to_vec()); // [S15.1]
                self.main.extend(keep.into_iter().map(Step::Disk));
                self.main.push_back(Step::Feed(Input::Released));
                self.key = Some(key);
                self.kick(ctx, Lane::Main);
            }
        }
    }

    /// The person has looked at the offer.
    fn decided(&mut self, ctx: &mut Ctx) {
        let Some(keys) = &self.keys else { return };
        if self.declines {
            self.link.leave(ctx);
            self.ended = Some(Ended::Declined);
            return;
        }
        // [S15.1]
        let mut steps: Vec<Step> = replace("keys", keys.to_bytes()).into_iter().map(Step::Disk).collect();
        let at = if ctx.is(Mutant::ClaimBeforeKeys) { 0 } else { steps.len() };
        steps.insert(at, Step::Feed(Input::Accepted));
        self.main.extend(steps);
        self.kick(ctx, Lane::Main);
    }

    fn feed(&mut self, ctx: &mut Ctx, input: Input) {
        if let Some(machine) = &mut self.machine
            && self.ended.is_none()
        {
            if input != Input::Tick {
                ctx.trace(|| format!("{:?} hears {input:?}", self.party));
            }
            machine.handle(Millis(ctx.now), input);
            self.drain(ctx);
        }
    }

    // ---- what the machine wants ----

    fn drain(&mut self, ctx: &mut Ctx) {
        while let Some(output) = self.machine.as_mut().and_then(Buyer::poll) {
            ctx.trace(|| format!("{:?}: {output:?}", self.party));
            self.obey(ctx, output);
        }
        self.kick(ctx, Lane::Main);
    }

    fn obey(&mut self, ctx: &mut Ctx, output: Output) {
        match output {
            Output::Connect => self.link.dial(ctx),
            Output::Disconnect => self.link.leave(ctx),
            Output::Wait { attempt, .. } => {
                let most = if ctx.faults_over { 2_000 } else { 1_000 << attempt.min(5) };
                let pause = 100 + ctx.rng.below(most);
                ctx.timer(self.party, self.epoch, pause, Timer::PauseOver);
            }
            Output::Peek => match self.code_keys() {
                Ok(keys) => self.ask(ctx, Op::Peek, &Request::Peek(Peek { locator: keys.locator })),
                Err(what) => ctx.fail(|| what),
            },
            Output::Ask => {
                let pause = ctx.rng.below(ctx.faults.people_ms);
                ctx.timer(self.party, self.epoch, pause, Timer::Decided);
            }
            Output::Claim => match self.claim(ctx) {
                Ok(claim) => self.ask(ctx, Op::Claim, &Request::Claim(claim)),
                Err(what) => ctx.fail(|| what),
            },
            Output::Fetch(from) => {
                if self.placing.is_none() {
                    self.place_from(ctx, None);
                }
                self.link.forget(Op::Fetch);
                self.inbox.retain(|(index, _)| *index < from);
                self.next = from;
                let transfer = self.transfer();
                self.ask(ctx, Op::Fetch, &Request::Fetch(Fetch { transfer, from, pace: None }));
            }
            Output::StopFetch => self.link.forget(Op::Fetch),
            Output::Finish => {
                // [S15.4]
                if !ctx.is(Mutant::ReceiptBeforeSync) {
                    self.main.push_back(Step::Disk(DiskOp::SyncAll));
                }
                self.main.push_back(Step::Sign);
            }
            Output::Deliver => {
                let Some(sealed_receipt) = self.receipt.clone() else { return ctx.fail(|| "no receipt".into()) };
                self.check_placed(ctx);
                ctx.model.receipts.insert(sealed_receipt.clone());
                let transfer = self.transfer();
                self.ask(ctx, Op::Receive, &Request::Receive(Receive { transfer, sealed_receipt }));
            }
            Output::Done => {
                self.main.extend(replace("delivered", Vec::new()).into_iter().map(Step::Disk));
                self.ended = Some(Ended::Done);
            }
            Output::End(end) => {
                if !matches!(end, End::Refused(_)) {
                    ctx.fail(|| format!("{:?} ended with {end:?}", self.party));
                }
                self.ended = Some(Ended::Refused(end));
            }
        }
    }

    fn ask(&mut self, ctx: &mut Ctx, op: Op, request: &Request) {
        self.link.ask(ctx, op, request);
    }

    fn transfer(&self) -> TransferId {
        self.keys.as_ref().map_or(TransferId([0; 16]), |keys| keys.transfer)
    }

    // ---- steps ----

    fn kick(&mut self, ctx: &mut Ctx, lane: Lane) {
        let has_work = match lane {
            Lane::Data => !self.inbox.is_empty() || self.placing.as_ref().is_some_and(Placing::is_busy),
            _ => !self.main.is_empty(),
        };
        let busy = &mut self.busy[lane as usize];
        if has_work && !*busy {
            *busy = true;
            let ms = ctx.step(self.party);
            ctx.after(ms, Happening::Step { party: self.party, epoch: self.epoch, lane });
        }
    }

    pub fn step(&mut self, ctx: &mut Ctx, lane: Lane) {
        self.busy[lane as usize] = false;
        match lane {
            Lane::Data => self.place(ctx),
            _ => match self.main.pop_front() {
                Some(Step::Disk(op)) => self.disk.apply(&op),
                Some(Step::Begin) => self.begin(ctx),
                Some(Step::Feed(input)) => self.feed(ctx, input),
                Some(Step::Sign) => self.sign(ctx),
                None => {}
            },
        }
        [Lane::Main, Lane::Data].into_iter().for_each(|lane| self.kick(ctx, lane));
    }

    fn place(&mut self, ctx: &mut Ctx) {
        let Some(placing) = &mut self.placing else { return };
        if !placing.is_busy() {
            let Some((index, sealed)) = self.inbox.pop_front() else { return };
            // [S15.7]
            let opened = placing.open(index, &sealed);
            if opened == Err(ArchiveFault::BlockSealed) && ctx.faults.flip_millionths > 0 {
                self.feed(ctx, Input::Damaged(index));
            } else if let Err(fault) = opened {
                ctx.fail(|| format!("[{}] block {} breaks a rule: {fault}", fault.rule(), index.0));
            }
            return;
        }
        match placing.step(&mut self.disk) {
            Err(what) => ctx.fail(|| what),
            Ok(Outcome::Nothing) => {}
            Ok(Outcome::Frame(checkpoint)) => {
                if ctx.rng.percent(self.checkpoint_percent) {
                    self.keep(ctx, &checkpoint);
                }
            }
            Ok(Outcome::Whole(tail)) => {
                self.check_seal(ctx, &tail);
                self.keep(ctx, &Checkpoint::Whole(tail));
                self.main.push_back(Step::Feed(Input::TailSeen));
            }
        }
    }

    /// Everything before a checkpoint is synced before it is written. [S15.3]
    fn keep(&mut self, ctx: &Ctx, checkpoint: &Checkpoint) {
        if !ctx.is(Mutant::CheckpointBeforeSync) && !ctx.is(Mutant::ReceiptBeforeSync) {
            self.main.push_back(Step::Disk(DiskOp::SyncAll));
        }
        let steps = replace("checkpoint", codec::encode(checkpoint));
        self.main.extend(steps.into_iter().map(Step::Disk));
        if ctx.is(Mutant::CheckpointBeforeSync) {
            self.main.push_back(Step::Disk(DiskOp::SyncAll));
        }
    }

    /// The receipt is kept before it is sent. [S15.4]
    fn sign(&mut self, ctx: &mut Ctx) {
        match self.make_receipt(ctx) {
            Err(what) => ctx.fail(|| what),
            Ok(sealed) => {
                let mut steps: Vec<Step> = replace("receipt", sealed.clone()).into_iter().map(Step::Disk).collect();
                let at = if ctx.is(Mutant::ReceiptNotKept) { 0 } else { steps.len() };
                steps.insert(at, Step::Feed(Input::Signed));
                self.main.extend(steps);
                self.receipt = Some(sealed);
            }
        }
    }
}

/// In this world a link key proves itself.
fn link_key(seed: &[u8; 32]) -> LinkKey {
    LinkKey(proof::digest(seed).0)
}
