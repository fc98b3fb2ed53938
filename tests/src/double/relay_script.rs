//! What a relay does on a stream: a list of simple acts. An attack is a function from a request to such a list.

use std::sync::Arc;

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, LinkKey, TransferId};
use handover_shared::protocol::message::{Deposit, Fetching, Refused, Reply, Request, Snapshot};

use super::relay_honest::{Held, Store};

/// One thing that a relay does on a stream. Behind the last one it finishes the stream.
#[derive(Clone, Debug)]
pub enum Say {
    /// A message.
    Reply(Box<Reply>),
    /// Bytes, whatever they are.
    Bytes(Vec<u8>),
    /// These bytes over and over, one at a time, until the other side leaves.
    Drops(Vec<u8>),
    /// These bytes over and over, as fast as they go, until the other side leaves.
    Endless(Vec<u8>),
    /// Nothing more, with the stream left open.
    Silence,
    /// Cuts the stream short with an application error code.
    Reset(u32),
    /// Closes the connection with an application error code.
    Close(u32),
    /// Opens streams of its own in both kinds and sends datagrams, none of which the protocol has.
    OtherStreams,
    /// The blocks of a transfer as they are held, following the seller.
    Serve(TransferId, BlockIndex),
    /// Snapshots of a transfer with the events from a sequence on.
    Follow(TransferId, u64),
    /// Takes blocks of a transfer, keeps them and acknowledges each.
    Take(TransferId),
    /// The same, of so many blocks.
    TakeSome(TransferId, u64),
    /// Takes a paper, keeps it and acknowledges it.
    TakePaper(Deposit),
    /// Takes blocks of a transfer, acknowledges each, and has lost it.
    TakeAndLose(TransferId),
}

/// A request, and who asks it.
pub struct Visit<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// By whom.
    pub by: LinkKey,
    /// How often this operation was asked since the relay began to do as it does, from 0.
    pub turn: u64,
    /// What the relay holds.
    pub store: &'a mut Store,
    pub(super) channel: [u8; 32],
}

/// What a relay does instead of what it should; nothing for what it does honestly.
pub(super) type Mischief = dyn Fn(&mut Visit<'_>) -> Option<Vec<Say>> + Send + Sync;

impl Say {
    /// A message.
    pub fn reply(reply: Reply) -> Self {
        Self::Reply(Box::new(reply))
    }

    /// A refusal without particulars.
    pub fn refuse(fault: Fault) -> Self {
        Self::reply(Reply::Refused(Refused::of(fault)))
    }
}

impl Visit<'_> {
    /// Does what was asked, as an honest relay does.
    pub fn honestly(&mut self) -> Vec<Say> {
        self.store.answer(self.by, self.channel, self.request)
    }

    /// The transfer that the request names.
    ///
    /// # Panics
    /// When there is none.
    pub fn held(&mut self) -> &mut Held {
        let id = named(self.request).expect("the request names a transfer");
        self.store.held(id)
    }

    /// Says that there are so many blocks and that it is complete, and sends these from the one that was asked for, as
    /// if they were the blocks of the transfer.
    ///
    /// # Panics
    /// When anything but blocks is asked for.
    pub fn serve(&self, blocks: &[Vec<u8>]) -> Vec<Say> {
        let Request::Fetch(fetch) = self.request else { panic!("blocks were not asked for") };
        let count = BlockCount(blocks.len() as u64);
        if fetch.from.0 > count.0 {
            return vec![Say::reply(Reply::Refused(Refused::of(Fault::Conflict).with_number(count.0)))];
        }
        let rest = blocks[fetch.from.0 as usize..].concat();
        vec![Say::reply(Reply::Fetching(Fetching { durable: count, blocks: Some(count) })), Say::Bytes(rest)]
    }

    /// The blocks of the transfer that is asked for.
    pub fn blocks(&mut self) -> Vec<Vec<u8>> {
        self.held().blocks.clone()
    }

    /// Answers a Watch with what `change` makes of an honest snapshot, then with silence.
    ///
    /// # Panics
    /// When anything else is asked for.
    pub fn snapshot(&mut self, change: impl FnOnce(&mut Snapshot)) -> Vec<Say> {
        let Request::Watch(watch) = self.request else { panic!("no snapshot was asked for") };
        let mut snapshot = self.store.held(watch.transfer).transfer.snapshot(watch.from_event);
        change(&mut snapshot);
        vec![Say::reply(Reply::Snapshot(snapshot)), Say::Silence]
    }
}

/// The transfer that a request names.
pub(super) fn named(request: &Request) -> Option<TransferId> {
    match request {
        Request::Create(it) => Some(it.transfer),
        Request::Append(it) | Request::Revoke(it) => Some(it.transfer),
        Request::Complete(it) => Some(it.transfer),
        Request::Claim(it) => Some(it.transfer),
        Request::Fetch(it) => Some(it.transfer),
        Request::Receive(it) => Some(it.transfer),
        Request::Watch(it) => Some(it.transfer),
        Request::Deposit(it) => Some(it.transfer),
        Request::Collect(it) => Some(it.transfer),
        Request::Refuse(it) => Some(it.transfer),
        Request::Log(it) => Some(it.transfer),
        Request::Hello(_) | Request::Enrol(_) | Request::Peek(_) => None,
    }
}

/// An honest relay.
pub(super) fn honesty() -> Arc<Mischief> {
    Arc::new(|_| None)
}
