//! A client's end of its connection to the relay: which question is on which stream, and how long an answer may take.

use std::collections::BTreeMap;

use handover_shared::ids::LinkKey;
use handover_shared::protocol::message::{HEADER_BYTES, Header, Hello, Reply, Request};

use super::ctx::{ConnId, Ctx, End, Packet, Party, Timer};

/// How long a question with one answer is waited for.
const PATIENCE_MS: u64 = 20_000;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Hello,
    Create,
    Append,
    Complete,
    Peek,
    Claim,
    Fetch,
    Receive,
    Watch,
    Revoke,
}

#[derive(Debug)]
pub struct ClientLink {
    party: Party,
    epoch: u32,
    pub key: LinkKey,
    pub conn: Option<ConnId>,
    dial: u64,
    ops: BTreeMap<u32, Op>,
    /// What was asked last.
    current: Option<u32>,
}

impl ClientLink {
    /// `first_dial` tells the links of one party apart.
    pub fn new(party: Party, epoch: u32, key: LinkKey, first_dial: u64) -> Self {
        Self { party, epoch, key, conn: None, dial: first_dial, ops: BTreeMap::new(), current: None }
    }

    pub fn dial(&mut self, ctx: &mut Ctx) {
        self.dial += 1;
        ctx.dial(self.party, self.epoch, self.dial);
    }

    pub fn is_dialing(&self, dial: u64) -> bool {
        self.dial == dial && self.conn.is_none()
    }

    /// The connection stands; the relay is greeted.
    pub fn connected(&mut self, ctx: &mut Ctx) {
        self.conn = Some(ctx.connect(self.party, self.epoch, self.key));
        let hello = Request::Hello(Hello { version: "simulated".into() });
        self.ask(ctx, Op::Hello, &hello);
    }

    /// Drops the connection with everything on it.
    pub fn leave(&mut self, ctx: &mut Ctx) {
        self.dial += 1;
        self.ops.clear();
        self.current = None;
        if let Some(conn) = self.conn.take() {
            ctx.leave(conn);
        }
    }

    /// Opens a stream with a question on it.
    pub fn ask(&mut self, ctx: &mut Ctx, op: Op, request: &Request) -> u32 {
        let Some(conn) = self.conn else { return 0 };
        let stream = self.open(ctx, op);
        self.put(ctx, conn, stream, op, request);
        stream
    }

    /// Opens a stream; what goes onto it comes later.
    pub fn open(&mut self, ctx: &mut Ctx, op: Op) -> u32 {
        let Some(conn) = self.conn else { return 0 };
        let stream = ctx.open_stream(conn);
        self.ops.insert(stream, op);
        self.current = Some(stream);
        stream
    }

    /// Puts a question onto a stream.
    pub fn put(&self, ctx: &mut Ctx, conn: ConnId, stream: u32, op: Op, request: &Request) {
        ctx.trace(|| format!("{:?} asks {} on {conn:?} stream {stream}", self.party, request.name()));
        ctx.send(conn, stream, End::Relay, Packet::Message(request.to_bytes()));
        if !matches!(op, Op::Append | Op::Fetch | Op::Watch) {
            ctx.timer(self.party, self.epoch, PATIENCE_MS, Timer::Patience(conn, stream));
        }
    }

    /// Drops a stream.
    pub fn forget(&mut self, op: Op) {
        self.ops.retain(|_, it| *it != op);
    }

    /// What a stream of the present connection is for.
    pub fn op(&self, conn: ConnId, stream: u32) -> Option<Op> {
        if self.conn == Some(conn) { self.ops.get(&stream).copied() } else { None }
    }

    /// Whether a refusal on this stream is one of what was asked last.
    pub fn is_current(&self, stream: u32) -> bool {
        self.current == Some(stream)
    }

    /// Whether an answer on this stream is still missing.
    pub fn is_waiting(&self, conn: ConnId, stream: u32) -> bool {
        self.op(conn, stream).is_some()
    }

    /// A question has its one answer.
    pub fn answered(&mut self, stream: u32) {
        self.ops.remove(&stream);
    }
}

/// Reads a reply as a client does.
pub fn reply_of(bytes: &[u8]) -> Reply {
    let (head, body) = bytes.split_first_chunk::<HEADER_BYTES>().expect("a header");
    let header = Header::of_bytes(*head).expect("a message within its limit");
    assert_eq!(header.body_bytes, body.len(), "one message");
    Reply::of_body(header.number, body).expect("a reply")
}

/// Reads a request as a relay does.
pub fn request_of(bytes: &[u8]) -> Request {
    let (head, body) = bytes.split_first_chunk::<HEADER_BYTES>().expect("a header");
    let header = Header::of_bytes(*head).expect("a message within its limit");
    assert_eq!(header.body_bytes, body.len(), "one message");
    Request::of_body(header.number, body).expect("a request")
}
