//! What all parties share: the clock, the queue of what will happen, the network, the model, chance.

use std::collections::BTreeMap;
use std::sync::Arc;

use handover_shared::ids::{BlockIndex, LinkKey, Millis};

use super::faults::{Faults, Mutant};
use super::model::Model;
use super::rng::Rng;
use super::source::Source;

/// When the world begins.
pub const BEGIN_MS: u64 = 1_700_000_000_000;

/// Somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    Relay,
    Seller,
    Buyer(usize),
}

impl Party {
    /// The place in a table of relay, seller, buyer.
    pub fn role(self) -> usize {
        match self {
            Self::Relay => 0,
            Self::Seller => 1,
            Self::Buyer(_) => 2,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Which way a packet goes, or which end of a connection is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Client,
    Relay,
}

/// What travels on a stream, in order.
#[derive(Clone, Debug)]
pub enum Packet {
    /// A control message: length, type, body.
    Message(Vec<u8>),
    Block(Arc<[u8]>),
    /// Nothing more comes this way.
    Over,
}

/// Work of a party that is done one step after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What the machine asked for.
    Main,
    /// The seller packs, the buyer places.
    Data,
    /// The seller's journal.
    Journal,
}

#[derive(Clone, Copy, Debug)]
pub enum Timer {
    Tick,
    PauseOver,
    /// An answer is due by now.
    Patience(ConnId, u32),
    /// The person has decided.
    Decided,
    Revoke,
}

/// What will happen.
#[derive(Debug)]
pub enum Happening {
    Arrives { conn: ConnId, stream: u32, to: End, packet: Packet },
    Dialed { party: Party, epoch: u32, dial: u64 },
    Breaks { conn: ConnId, end: End },
    Step { party: Party, epoch: u32, lane: Lane },
    Task { epoch: u32, task: u64 },
    Timer { party: Party, epoch: u32, timer: Timer },
    Starts(Party),
    Sweep { epoch: u32 },
    Cut,
    Outage,
    OutageOver,
    Disturb,
    FaultsStop,
}

#[derive(Debug)]
pub struct Conn {
    pub client: Party,
    pub client_epoch: u32,
    pub key: LinkKey,
    /// What both ends, and nobody else, can compute.
    pub channel: [u8; 32],
    pub client_open: bool,
    pub relay_open: bool,
    cut: bool,
    /// What arrives later does not arrive.
    client_until: u64,
    relay_until: u64,
    streams: u32,
    last: BTreeMap<(u32, End), u64>,
}

pub struct Ctx {
    pub now: u64,
    pub rng: Rng,
    pub faults: Faults,
    pub mutant: Option<Mutant>,
    pub model: Model,
    /// The seller's files.
    pub source: Source,
    pub conns: BTreeMap<ConnId, Conn>,
    /// The block that last left the relay with a bit wrong.
    pub flipped: Option<BlockIndex>,
    /// Nobody reaches anybody.
    pub is_outage: bool,
    pub faults_over: bool,
    /// Who was told to stop; done once the present step is over.
    pub stops: Vec<Party>,
    /// What happened how often.
    pub counts: BTreeMap<&'static str, u64>,
    violation: Option<String>,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    trace: Option<Vec<String>>,
}

impl Ctx {
    pub fn new(mut rng: Rng, faults: Faults, mutant: Option<Mutant>, source: Source, is_traced: bool) -> Self {
        Self {
            now: BEGIN_MS,
            rng: rng.fork(),
            faults,
            mutant,
            model: Model::default(),
            source,
            conns: BTreeMap::new(),
            flipped: None,
            is_outage: false,
            faults_over: false,
            stops: Vec::new(),
            counts: BTreeMap::new(),
            violation: None,
            queue: BTreeMap::new(),
            sequence: 0,
            trace: is_traced.then(Vec::new),
        }
    }

    pub fn time(&self) -> Millis {
        Millis(self.now)
    }

    pub fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Something that must never happen has happened.
    pub fn fail(&mut self, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let what = what();
            self.trace(|| format!("VIOLATION {what}"));
            self.violation = Some(what);
        }
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_insert(0) += 1;
    }

    pub fn check(&mut self, outcome: Result<(), String>) {
        if let Err(what) = outcome {
            self.fail(|| what);
        }
    }

    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    pub fn trace(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let ms = self.now - BEGIN_MS;
            trace.push(format!("{:>5}.{:03} {}", ms / 1000, ms % 1000, line()));
        }
    }

    pub fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    pub fn after(&mut self, ms: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((self.now + ms, self.sequence), happening);
    }

    pub fn next(&mut self) -> Option<Happening> {
        let ((time, _), happening) = self.queue.pop_first()?;
        self.now = time;
        Some(happening)
    }

    /// The pause before a party's next step; it may be its last one.
    pub fn step(&mut self, party: Party) -> u64 {
        let role = party.role();
        if !self.faults_over && self.rng.millionth(self.faults.stop_millionths[role]) {
            self.stops.push(party);
        }
        let most = if self.faults_over { 2 } else { self.faults.step_ms[role] };
        self.rng.below(most + 1)
    }

    /// Somebody works with the seller's files.
    pub fn disturb(&mut self) {
        if let Some(what) = self.source.disturb(&mut self.rng, self.now) {
            self.trace(|| what);
        }
        self.count("changes of the seller's files");
    }

    pub fn timer(&mut self, party: Party, epoch: u32, ms: u64, timer: Timer) {
        self.after(ms, Happening::Timer { party, epoch, timer });
    }

    fn latency(&mut self) -> u64 {
        let most = if self.faults_over { 5 } else { self.faults.latency_ms };
        self.rng.within(1..=most.max(1))
    }

    // ---- connections ----

    pub fn dial(&mut self, party: Party, epoch: u32, dial: u64) {
        let ms = self.latency() * 2;
        self.after(ms, Happening::Dialed { party, epoch, dial });
    }

    /// Whether a connection that was dialed can be made now.
    pub fn is_reachable(&mut self) -> bool {
        let fails = self.is_outage || (!self.faults_over && self.rng.percent(self.faults.dial_fails_percent));
        if fails {
            self.count("connections not made");
        }
        !fails
    }

    pub fn connect(&mut self, client: Party, client_epoch: u32, key: LinkKey) -> ConnId {
        let id = ConnId(self.conns.len() as u64);
        let mut channel = [0; 32];
        handover_shared::keys::Entropy::fill(&mut self.rng, &mut channel);
        let conn = Conn {
            client,
            client_epoch,
            key,
            channel,
            client_open: true,
            relay_open: true,
            cut: false,
            client_until: u64::MAX,
            relay_until: u64::MAX,
            streams: 0,
            last: BTreeMap::new(),
        };
        self.conns.insert(id, conn);
        id
    }

    pub fn open_stream(&mut self, conn: ConnId) -> u32 {
        match self.conns.get_mut(&conn) {
            Some(conn) => {
                conn.streams += 1;
                conn.streams
            }
            None => 0,
        }
    }

    pub fn send(&mut self, conn: ConnId, stream: u32, to: End, packet: Packet) {
        let mut ms = self.latency();
        if !self.faults_over && self.rng.millionth(self.faults.stall_millionths) {
            ms += self.rng.within(1_000..=60_000);
            self.count("streams that stood still");
            self.trace(|| format!("{conn:?} stream {stream} stands still for {ms} ms"));
        }
        let now = self.now;
        let Some(it) = self.conns.get_mut(&conn) else { return };
        let is_open = if to == End::Relay { it.client_open } else { it.relay_open };
        if !is_open || it.cut {
            return;
        }
        let last = it.last.entry((stream, to)).or_insert(0);
        let time = (now + ms).max(*last);
        *last = time;
        self.after(time - now, Happening::Arrives { conn, stream, to, packet });
    }

    /// Whether a packet that was sent arrives.
    pub fn arrives(&self, conn: ConnId, to: End) -> bool {
        self.conns.get(&conn).is_some_and(|conn| match to {
            End::Relay => conn.relay_open && self.now <= conn.relay_until,
            End::Client => conn.client_open && self.now <= conn.client_until,
        })
    }

    /// The network between the two ends breaks; both find out later.
    pub fn cut(&mut self, conn: ConnId) {
        let (now, late, is_over) = (self.now, self.faults.late, self.faults_over);
        let to_relay = if late { self.rng.below(60_000) } else { 0 };
        let to_client = self.rng.below(500);
        let patience = if is_over { 10 } else { 25_000 };
        let noticed = [self.rng.below(patience), self.rng.below(patience)];
        let Some(it) = self.conns.get_mut(&conn) else { return };
        if it.cut || !(it.client_open && it.relay_open) {
            return;
        }
        it.cut = true;
        (it.relay_until, it.client_until) = (now + to_relay, now + to_client);
        self.trace(|| format!("{conn:?} is cut"));
        self.count("connections cut");
        self.after(to_relay + noticed[0], Happening::Breaks { conn, end: End::Relay });
        self.after(to_client + noticed[1], Happening::Breaks { conn, end: End::Client });
    }

    /// A client leaves; what it has sent may still arrive for a while.
    pub fn leave(&mut self, conn: ConnId) {
        let late = if self.faults.late { self.rng.below(60_000) } else { self.rng.below(100) };
        let noticed = self.rng.below(20_000);
        let now = self.now;
        let Some(it) = self.conns.get_mut(&conn) else { return };
        if !it.client_open {
            return;
        }
        it.client_open = false;
        it.relay_until = it.relay_until.min(now + late);
        self.after(late + noticed, Happening::Breaks { conn, end: End::Relay });
    }

    /// The relay stops; its clients find out later.
    pub fn abandon_all(&mut self) {
        let open: Vec<ConnId> = self.conns.iter().filter(|(_, conn)| conn.relay_open).map(|(id, _)| *id).collect();
        for conn in open {
            let (noticed, until) = (self.rng.below(25_000), self.now + self.rng.below(200));
            if let Some(it) = self.conns.get_mut(&conn) {
                it.relay_open = false;
                it.client_until = it.client_until.min(until);
            }
            self.after(noticed, Happening::Breaks { conn, end: End::Client });
        }
    }

    pub fn open_conns(&self) -> Vec<ConnId> {
        self.conns.iter().filter(|(_, conn)| conn.client_open && conn.relay_open).map(|(id, _)| *id).collect()
    }
}
