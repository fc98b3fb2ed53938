//! The buyer of one transfer: what to do next at the relay, and what to do when it cannot be done.
//!
//! [`Buyer`] is told what happened with [`Buyer::handle`] and says what is to be done with [`Buyer::poll`]; drain it
//! after every `handle`. At most one operation is under way at the relay at any time, and it is always the one that was
//! asked for last. The archive itself is not seen here: opening, checking and placing tell this machine only how far
//! they are.
//!
//! # Source
//! SPEC [S10.8] S12 S15.

use std::collections::VecDeque;

use super::message::Fetching;
use crate::fault::Fault;
use crate::ids::{BlockCount, BlockIndex, Millis};
use crate::limits;

/// Blocks are due and not a byte has come for so long: the connection is given up, whatever the transport says of it.
///
/// # Source
/// SPEC [S15.8].
pub const SILENCE_MS_MAX: u64 = 20_000;
/// Nothing is due, because the seller has not sent it: how often the relay is asked again all the same.
pub const RECHECK_MS: u64 = 60_000;
/// The relay finished a stream of blocks and the tail has not been seen: when it is asked again.
pub const FINISHED_RECHECK_MS: u64 = 2_000;

/// Where a run begins, by what an earlier run left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing is known but the code.
    Look,
    /// The person agreed and the keys are durable; whether the claim arrived is not known.
    Claim,
    /// The content key is here, and everything before this block.
    Fetch(BlockIndex),
    /// All blocks are here; the receipt is not signed.
    Finish,
    /// The receipt is kept; the relay has not confirmed it.
    Deliver,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The connection stands.
    Connected,
    /// The connection could not be made, or is gone.
    LinkLost,
    /// The pause is over.
    Waited,
    /// The relay refused the operation under way.
    Refused(Fault),
    /// `Peek` was answered, and the offer opens, is signed, and names this very relay.
    Offered,
    /// The person agreed, and the keys that a claim needs are durable.
    Accepted,
    /// `Claim` was answered, and the content key is open and durable.
    Released,
    /// `Fetch` was answered.
    Fetching(Fetching),
    /// All blocks before this one have arrived.
    Arrived(BlockIndex),
    /// No whole block has come, but bytes of one have, or those that came wait for this machine's own work.
    Alive,
    /// All blocks before this one have been opened, and the tail is not among them.
    Opened(BlockIndex),
    /// This block does not open.
    Damaged(BlockIndex),
    /// The relay finished the stream of blocks.
    Finished,
    /// The tail is here and closes the archive.
    TailSeen,
    /// Everything is verified, placed and synced; the receipt is signed and kept.
    Signed,
    /// `Receive` was answered.
    Received,
    /// Nothing but time.
    Tick,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make a connection.
    Connect,
    /// Drop the connection, whatever is under way on it.
    Disconnect,
    /// Pause before the next attempt.
    Wait {
        /// Which attempt comes after the pause, from 1.
        attempt: u32,
        /// Why.
        cause: Pause,
    },
    /// Look the transfer up.
    Peek,
    /// Show the offer and ask the person.
    Ask,
    /// Spend the code.
    Claim,
    /// Get blocks from this one on; a stream of blocks that is open is dropped.
    Fetch(BlockIndex),
    /// Drop the stream of blocks.
    StopFetch,
    /// Check the archive as a whole, place what is left, sync, sign.
    Finish,
    /// Hand over the receipt.
    Deliver,
    /// Everything is done.
    Done,
    /// It cannot go on.
    End(End),
}

/// Why nothing moves for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// No connection.
    Lost,
    /// The relay asked to come back later.
    Busy,
    /// The connection stands, blocks are due, and none comes.
    Silent,
}

/// Why it cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The relay refused for good.
    Refused(Fault),
    /// The same block came damaged each time.
    Altered(BlockIndex),
    /// The relay has fewer blocks than it has served or said.
    Shrunk,
    /// Everything that the relay calls the whole transfer is here, and the tail is not.
    NoTail,
}

/// The machine.
#[derive(Debug)]
pub struct Buyer {
    step: Step,
    link: Link,
    pausing: Pausing,
    /// Attempts that failed since something moved.
    failed: u32,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Look,
    Asking,
    Claim,
    Fetch(Fetch),
    Finish,
    Deliver,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fetch {
    /// The first block that has not arrived.
    next: BlockIndex,
    /// What the relay said it has.
    durable: BlockCount,
    /// How many there are, once the relay has said so.
    blocks: Option<BlockCount>,
    /// Since when nothing has come.
    quiet_since: Millis,
    stream: Stream,
    /// The block that came damaged last, and how often in a row.
    damaged: Option<(BlockIndex, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Asked,
    Open,
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    Connecting,
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pausing {
    No,
    Yes,
}

impl Fetch {
    fn from(next: BlockIndex, now: Millis) -> Self {
        Self { next, durable: BlockCount(0), blocks: None, quiet_since: now, stream: Stream::Asked, damaged: None }
    }

    fn is_complete(&self) -> bool {
        self.blocks.is_some_and(|blocks| !blocks.contains(self.next))
    }
}

impl Buyer {
    /// Begins, or continues where an earlier run left off.
    pub fn new(start: Start, now: Millis) -> Self {
        let step = match start {
            Start::Look => Step::Look,
            Start::Claim => Step::Claim,
            Start::Fetch(from) => Step::Fetch(Fetch::from(from, now)),
            Start::Finish => Step::Finish,
            Start::Deliver => Step::Deliver,
        };
        let mut buyer = Self { step, link: Link::Down, pausing: Pausing::No, failed: 0, outputs: VecDeque::new() };
        match start {
            Start::Finish => buyer.say(Output::Finish),
            _ => buyer.begin(now),
        }
        buyer
    }

    /// What is to be done next; `None` when everything has been said.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes what happened. An input that does not belong to the present step is late, and changes nothing.
    pub fn handle(&mut self, now: Millis, input: Input) {
        if self.step == Step::Over {
            return;
        }
        match input {
            Input::Connected => {
                self.link = Link::Up;
                self.begin(now);
            }
            Input::LinkLost => self.lost(),
            Input::Waited => {
                self.pausing = Pausing::No;
                self.begin(now);
            }
            Input::Refused(fault) => self.refused(fault),
            Input::Offered => self.advance(Step::Look, Step::Asking, now),
            Input::Accepted => self.advance(Step::Asking, Step::Claim, now),
            // [S15.1] The caller has made the content key durable.
            Input::Released => self.advance(Step::Claim, Step::Fetch(Fetch::from(BlockIndex(0), now)), now),
            Input::Signed => self.advance(Step::Finish, Step::Deliver, now),
            Input::Received => self.received(),
            Input::TailSeen => self.tail_seen(),
            Input::Damaged(block) => self.damaged(now, block),
            Input::Fetching(_)
            | Input::Arrived(_)
            | Input::Opened(_)
            | Input::Alive
            | Input::Finished
            | Input::Tick => {
                self.fetch_goes_on(now, input);
            }
        }
    }

    fn say(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn end(&mut self, end: End) {
        self.step = Step::Over;
        self.say(Output::End(end));
    }

    /// Begins the operation of the present step, or makes the connection that it needs.
    fn begin(&mut self, now: Millis) {
        let operation = match &mut self.step {
            Step::Look => Output::Peek,
            Step::Claim => Output::Claim,
            Step::Fetch(fetch) => {
                fetch.stream = Stream::Asked;
                fetch.quiet_since = now;
                Output::Fetch(fetch.next)
            }
            Step::Deliver => Output::Deliver,
            // The relay is not needed at the moment.
            Step::Asking | Step::Finish | Step::Over => return,
        };
        match (self.pausing, self.link) {
            (Pausing::Yes, _) | (_, Link::Connecting) => {}
            (Pausing::No, Link::Up) => self.say(operation),
            (Pausing::No, Link::Down) => {
                self.link = Link::Connecting;
                self.say(Output::Connect);
            }
        }
    }

    fn advance(&mut self, from: Step, to: Step, now: Millis) {
        if self.step != from {
            return;
        }
        self.step = to;
        self.failed = 0;
        match to {
            Step::Asking => self.say(Output::Ask),
            _ => self.begin(now),
        }
    }

    fn lost(&mut self) {
        if self.link == Link::Down {
            return;
        }
        self.link = Link::Down;
        match self.step {
            Step::Asking | Step::Finish => {}
            _ => self.pause(Pause::Lost),
        }
    }

    fn pause(&mut self, cause: Pause) {
        if self.pausing == Pausing::No {
            self.pausing = Pausing::Yes;
            self.failed = self.failed.saturating_add(1);
            self.say(Output::Wait { attempt: self.failed, cause });
        }
    }

    fn refused(&mut self, fault: Fault) {
        // The tail is durable before the seller can say that it was the last block [S13.4]. It will say so.
        let is_early = self.step == Step::Deliver && fault == Fault::NotComplete;
        if !fault.is_passing() && !is_early {
            return self.end(End::Refused(fault));
        }
        // A relay that is leaving, or that refuses whoever comes: the next attempt needs another connection.
        if fault == Fault::Draining && self.link == Link::Up || self.link == Link::Connecting {
            self.link = Link::Down;
            self.say(Output::Disconnect);
        }
        self.pause(Pause::Busy);
    }

    fn received(&mut self) {
        if self.step == Step::Deliver {
            self.step = Step::Over;
            self.say(Output::Done);
        }
    }

    fn tail_seen(&mut self) {
        if let Step::Fetch(_) = self.step {
            self.step = Step::Finish;
            self.pausing = Pausing::No;
            self.failed = 0;
            self.say(Output::StopFetch);
            self.say(Output::Finish);
        }
    }

    fn damaged(&mut self, now: Millis, block: BlockIndex) {
        let Step::Fetch(fetch) = &mut self.step else { return };
        let times = match fetch.damaged {
            Some((last, times)) if last == block => times + 1,
            _ => 1,
        };
        // [S15.7] It has been fetched as often as it came damaged; the first time was no repetition.
        if times > limits::BLOCK_REPEATS_MAX {
            return self.end(End::Altered(block));
        }
        fetch.damaged = Some((block, times));
        fetch.next = block;
        if self.link == Link::Up {
            self.begin(now);
        }
    }

    fn fetch_goes_on(&mut self, now: Millis, input: Input) {
        let Step::Fetch(fetch) = &mut self.step else { return };
        match input {
            Input::Fetching(answer) => {
                let shrunk = answer.durable.0 < fetch.next.0
                    || answer.durable.0 < fetch.durable.0
                    || fetch.blocks.is_some_and(|blocks| answer.blocks != Some(blocks));
                if shrunk {
                    return self.end(End::Shrunk); // [S12.3]
                }
                (fetch.durable, fetch.blocks) = (answer.durable, answer.blocks);
                fetch.stream = Stream::Open;
                fetch.quiet_since = now;
            }
            Input::Arrived(next) if next > fetch.next => {
                fetch.next = next;
                fetch.quiet_since = now;
                self.failed = 0;
            }
            // [S15.7]
            Input::Opened(next) if fetch.blocks.is_some_and(|blocks| !blocks.contains(next)) => {
                self.end(End::NoTail);
            }
            Input::Alive => fetch.quiet_since = now,
            Input::Finished => {
                fetch.stream = Stream::Finished;
                fetch.quiet_since = now;
            }
            Input::Tick => self.tick(now),
            _ => {}
        }
    }

    fn tick(&mut self, now: Millis) {
        let (Step::Fetch(fetch), Link::Up, Pausing::No) = (&self.step, self.link, self.pausing) else { return };
        let quiet_ms = now.since(fetch.quiet_since);
        match fetch.stream {
            // Everything is here; what is still being opened will tell.
            Stream::Finished if fetch.is_complete() => {}
            // [S15.8] Nothing more comes, and more is due.
            Stream::Finished if quiet_ms >= FINISHED_RECHECK_MS && fetch.durable.contains(fetch.next) => self.silent(),
            Stream::Finished if quiet_ms >= FINISHED_RECHECK_MS => self.begin(now),
            // The seller has not sent more; the relay is asked now and then whether that is still so.
            Stream::Open if !fetch.durable.contains(fetch.next) && quiet_ms < RECHECK_MS => {}
            Stream::Open if !fetch.durable.contains(fetch.next) => self.begin(now),
            // [S15.8]
            Stream::Asked | Stream::Open if quiet_ms >= SILENCE_MS_MAX => self.silent(),
            _ => {}
        }
    }

    fn silent(&mut self) {
        self.link = Link::Down;
        self.say(Output::Disconnect);
        self.pause(Pause::Silent);
    }
}

#[cfg(test)]
mod tests;
