//! What a seller does at the relay, step by step: reach it, announce the transfer, send blocks, say that they are all
//! there, follow what happens; and begin again wherever a connection breaks.
//!
//! [`Seller`] knows numbers of blocks and nothing of their content: whoever drives it keeps the sealed blocks from
//! [`Output::Send`] until [`Output::Release`]. It has no clock; time comes in with every input.
//!
//! # Shape
//! ```text
//! Connect -> Connected -> Create -> Created -> Append -> Appending -> Begin, Send..., Finish -> Complete -> Safe -> Watch
//!    ^                                                                                             |
//!    +---- PauseOver <- Pause <- Lost, Refused for a passing reason, or nothing moved too long ----+
//! ```
//!
//! # Source
//! SPEC [S12.2] [S12.4] [S14.3] [S14.4] [S14.6].

use std::collections::VecDeque;

use crate::fault::Fault;
use crate::ids::{BlockCount, BlockIndex, Millis};
use crate::protocol::message::{Created, Phase, Refused};

/// How long nothing may move while an answer is due before the connection is given up.
pub const SILENCE_MS_MAX: u64 = 20_000;

/// How far a transfer is at the relay, as its journal knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The relay has not been heard to accept it.
    Nothing,
    /// The relay has accepted it.
    Created,
    /// The relay has all blocks and has said so.
    Completed,
}

/// What comes when everything is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// Nothing: the seller may leave.
    Leave,
    /// The receipt is waited for.
    Watch,
}

/// What is known of a transfer when a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// How far it is.
    pub reached: Reached,
    /// Blocks the relay is known to have acknowledged; it may have acknowledged more.
    pub acknowledged: BlockCount,
    /// Blocks the journal knows to have been made; the relay can have no more [S14.6].
    pub journaled: BlockCount,
    /// What comes at the end.
    pub afterwards: Afterwards,
    /// Blocks that may be sealed and not acknowledged at the same time; at least 1.
    pub window: BlockCount,
}

/// Why nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The relay cannot be reached.
    Unreachable,
    /// The connection broke.
    Lost,
    /// The relay asked to come back later.
    Busy,
    /// The connection stands, but nothing has moved for [`SILENCE_MS_MAX`].
    Silent,
}

/// What has happened. After [`Output::Disconnect`] nothing of the old connection may be handed in any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The relay has welcomed this seller.
    Connected,
    /// There is no connection: it could not be made, or it broke.
    Lost(Trouble),
    /// The pause is over.
    PauseOver,
    /// The relay accepted the transfer.
    Created(Created),
    /// The relay takes blocks behind so many.
    Appending(BlockCount),
    /// So many blocks are durable.
    Durable(BlockCount),
    /// The relay finished its side of the append stream.
    AppendOver,
    /// The relay has all blocks.
    Completed(Millis),
    /// The relay told how the transfer is.
    Told {
        /// How far it is.
        phase: Phase,
        /// The sequence after the last event told.
        next_event: u64,
    },
    /// The relay refused what was asked last.
    Refused(Refused),
    /// One more block is sealed and its marks are durable [S14.2]; blocks come in order.
    Sealed(BlockIndex),
    /// There will be exactly so many blocks.
    Last(BlockCount),
    /// The transport carried something of this seller's and the relay's machine confirmed it.
    Moved,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Reach the relay.
    Connect,
    /// Wait a while, then hand in [`Input::PauseOver`].
    Pause {
        /// Which attempt comes then, from 1 since something last moved.
        attempt: u32,
        /// Why.
        trouble: Trouble,
    },
    /// Drop the connection with everything on it.
    Disconnect,
    /// Announce the transfer.
    Create,
    /// The relay has accepted it: the code may be shown [S14.3].
    Accepted(Created),
    /// Ask to append.
    Append,
    /// Begin to pack, with this block as the first.
    Begin(BlockIndex),
    /// Send this block.
    Send(BlockIndex),
    /// Finish the sending half of the append stream.
    Finish,
    /// Blocks below are durable and need not be kept.
    Release(BlockCount),
    /// Say that all blocks are there.
    Complete(BlockCount),
    /// Everything is durable at the relay, which knows it.
    Safe(Millis),
    /// Follow what happens.
    Watch {
        /// The sequence of the first event wanted.
        from_event: u64,
    },
    /// It moves again after trouble.
    Moving,
    /// Nothing more comes from this machine.
    Ended(Ending),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is safe, and nothing else was wanted.
    Safe,
    /// The relay has the buyer's receipt.
    Receipted,
    /// The relay refused for good.
    Refused(Refused),
    /// The relay has blocks that this seller does not remember [S14.6].
    JournalBehind {
        /// Blocks at the relay.
        relay: BlockCount,
        /// Blocks this seller remembers.
        journal: BlockCount,
    },
    /// The relay has lost blocks that it had acknowledged.
    BlocksLost {
        /// Blocks it had acknowledged.
        acknowledged: BlockCount,
        /// Blocks it has.
        durable: BlockCount,
    },
    /// The relay said what makes no sense.
    Misbehaved(&'static str),
}

/// The seller's side of the conversation.
#[derive(Debug)]
pub struct Seller {
    start: Start,
    link: Link,
    reached: Reached,
    /// The first block of this run, once the relay has said where to go on.
    begun: Option<BlockIndex>,
    acknowledged: BlockCount,
    sealed: BlockCount,
    /// The end of what was ever sent in this run.
    sent: BlockCount,
    total: Option<BlockCount>,
    next_event: u64,
    /// Attempts since something last moved; more than 0 means trouble.
    attempts: u32,
    moved: Millis,
    outputs: VecDeque<Output>,
}

/// What is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Nothing has been asked for yet.
    New,
    Connecting,
    Pausing,
    Creating,
    /// Append was asked, not answered.
    AppendAsked,
    /// Blocks flow; this one comes next.
    Sending {
        next: BlockIndex,
        half: Half,
    },
    Completing,
    Watching,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Open,
    Finished,
}

impl Seller {
    /// Begins a run; the first output is [`Output::Connect`].
    pub fn new(start: Start, now: Millis) -> Self {
        let mut seller = Self {
            link: Link::New,
            reached: start.reached,
            begun: None,
            acknowledged: start.acknowledged,
            sealed: start.acknowledged,
            sent: BlockCount(0),
            total: None,
            next_event: 0,
            attempts: 0,
            moved: now,
            outputs: VecDeque::new(),
            start,
        };
        seller.connect(now);
        seller
    }

    /// What is to be done next; drain it after every [`Seller::handle`].
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How many more sealed blocks are welcome now.
    pub fn room(&self) -> u64 {
        let outstanding = self.sealed.0.saturating_sub(self.acknowledged.0);
        match self.begun {
            Some(_) if self.link != Link::Over => self.start.window.0.max(1).saturating_sub(outstanding),
            _ => 0,
        }
    }

    /// When [`Input::Tick`] is wanted at the latest, if nothing else happens.
    pub fn wake_at(&self) -> Option<Millis> {
        self.is_answer_due().then(|| self.moved.plus(SILENCE_MS_MAX))
    }

    /// Takes what has happened.
    pub fn handle(&mut self, now: Millis, input: Input) {
        if self.link == Link::Over {
            return;
        }
        match (self.link, input) {
            (_, Input::Sealed(index)) => self.on_sealed(now, index),
            (_, Input::Last(total)) => self.on_last(now, total),
            (_, Input::Moved) => self.moved = now,
            (_, Input::Tick) => self.on_tick(now),
            (Link::Pausing, Input::PauseOver) => self.connect(now),
            (Link::New | Link::Pausing, _) | (_, Input::PauseOver) => {}
            (_, Input::Lost(trouble)) => self.trouble(trouble),
            (_, Input::Refused(refused)) => self.on_refused(now, refused),
            (Link::Connecting, Input::Connected) => self.next_operation(now),
            (Link::Creating, Input::Created(created)) => self.on_created(now, created),
            (Link::AppendAsked, Input::Appending(durable)) => self.on_appending(now, durable),
            (Link::Sending { next, .. }, Input::Durable(durable)) => self.on_durable(now, next, durable),
            // The last word of the append stream may come after Complete was asked.
            (Link::Completing | Link::Watching, Input::Durable(durable)) if Some(durable) == self.total => {}
            (Link::Completing | Link::Watching, Input::AppendOver) => {}
            (Link::Sending { .. } | Link::AppendAsked, Input::AppendOver) => self.trouble(Trouble::Lost),
            (Link::Completing, Input::Completed(time)) => self.on_completed(now, time),
            (Link::Watching, Input::Told { phase, next_event }) => self.on_told(now, phase, next_event),
            _ => self.end(Ending::Misbehaved("answered another question")),
        }
    }

    fn connect(&mut self, now: Millis) {
        self.moved = now;
        self.link = Link::Connecting;
        self.outputs.push_back(Output::Connect);
    }

    fn next_operation(&mut self, now: Millis) {
        self.moved = now;
        let (link, output) = match (self.reached, self.total) {
            (Reached::Nothing, _) => (Link::Creating, Output::Create),
            (Reached::Created, Some(total)) if total == self.acknowledged => {
                (Link::Completing, Output::Complete(total))
            }
            (Reached::Created, _) => (Link::AppendAsked, Output::Append),
            (Reached::Completed, _) => match self.start.afterwards {
                Afterwards::Watch => (Link::Watching, Output::Watch { from_event: self.next_event }),
                Afterwards::Leave => return self.end(Ending::Safe),
            },
        };
        self.link = link;
        self.outputs.push_back(output);
    }

    fn on_created(&mut self, now: Millis, created: Created) {
        self.reached = Reached::Created;
        self.outputs.push_back(Output::Accepted(created)); // [S14.3]
        self.next_operation(now);
    }

    fn on_appending(&mut self, now: Millis, durable: BlockCount) {
        if durable < self.acknowledged {
            return self.end(Ending::BlocksLost { acknowledged: self.acknowledged, durable });
        }
        // [S14.6]
        let remembered = match self.begun {
            None => self.start.journaled,
            Some(_) => self.sent.max(self.acknowledged),
        };
        if durable > remembered {
            return self.end(Ending::JournalBehind { relay: durable, journal: remembered });
        }
        if self.begun.is_none() {
            self.begun = Some(durable.end());
            self.sealed = durable;
            self.outputs.push_back(Output::Begin(durable.end()));
        }
        // What is sealed and not acknowledged goes out again as it is. [S14.4]
        self.link = Link::Sending { next: durable.end(), half: Half::Open };
        self.moved = now;
        self.acknowledge(durable);
        self.send(now);
    }

    fn on_sealed(&mut self, now: Millis, index: BlockIndex) {
        if self.begun.is_none() || index != self.sealed.end() || self.total.is_some() {
            return self.end(Ending::Misbehaved("sealed blocks out of order"));
        }
        self.sealed = BlockCount(index.next().0);
        self.send(now);
    }

    fn on_last(&mut self, now: Millis, total: BlockCount) {
        if self.begun.is_none() || total != self.sealed {
            return self.end(Ending::Misbehaved("the last block is not the last one sealed"));
        }
        self.total = Some(total);
        self.send(now);
    }

    /// Sends whatever is sealed, and goes on when everything is durable. [S12.2]
    fn send(&mut self, now: Millis) {
        let Link::Sending { mut next, mut half } = self.link else { return };
        if next.0 == self.acknowledged.0 && next.0 < self.sealed.0 {
            // The watchdog runs only while something is outstanding; it begins here.
            self.moved = now;
        }
        while next.0 < self.sealed.0 {
            self.outputs.push_back(Output::Send(next));
            next = next.next();
        }
        self.sent = self.sent.max(BlockCount(next.0));
        if self.total == Some(BlockCount(next.0)) && half == Half::Open {
            half = Half::Finished;
            self.outputs.push_back(Output::Finish);
        }
        self.link = Link::Sending { next, half };
        if self.total == Some(self.acknowledged) {
            self.next_operation(now);
        }
    }

    fn on_durable(&mut self, now: Millis, next: BlockIndex, durable: BlockCount) {
        if durable < self.acknowledged {
            return self.end(Ending::BlocksLost { acknowledged: self.acknowledged, durable });
        }
        if durable.0 > next.0 {
            return self.end(Ending::Misbehaved("acknowledged blocks that were not sent"));
        }
        if durable > self.acknowledged {
            self.moved = now;
            self.acknowledge(durable);
            self.calm();
            self.send(now);
        }
    }

    fn acknowledge(&mut self, durable: BlockCount) {
        if durable > self.acknowledged {
            self.acknowledged = durable;
            self.outputs.push_back(Output::Release(durable));
        }
    }

    fn on_completed(&mut self, now: Millis, time: Millis) {
        self.reached = Reached::Completed;
        self.calm();
        self.outputs.push_back(Output::Safe(time));
        self.next_operation(now);
    }

    fn on_told(&mut self, now: Millis, phase: Phase, next_event: u64) {
        self.moved = now;
        self.next_event = self.next_event.max(next_event);
        self.calm();
        match phase {
            Phase::Open | Phase::Complete => {}
            Phase::Receipted => self.end(Ending::Receipted),
            Phase::Revoked => self.end(Ending::Refused(Fault::Revoked.into())),
            Phase::Expired => self.end(Ending::Refused(Fault::Expired.into())),
            Phase::Refused => self.end(Ending::Refused(Fault::RefusedByBuyer.into())),
            Phase::TakenDown => self.end(Ending::Refused(Fault::TakenDown.into())),
        }
    }

    fn on_refused(&mut self, now: Millis, refused: Refused) {
        match refused.known() {
            // Nothing is promised yet: whoever asks should hear at once that there is no room.
            Some(Fault::StorageFull) if self.link == Link::Creating => self.end(Ending::Refused(refused)),
            Some(fault) if fault.is_passing() => self.trouble(Trouble::Busy),
            // The relay forgets nothing that it had acknowledged, unless it lost it.
            Some(Fault::NotComplete) if self.link == Link::Completing => {
                let durable = BlockCount(refused.number.unwrap_or(0));
                self.end(Ending::BlocksLost { acknowledged: self.acknowledged, durable });
            }
            // Somebody has the whole of it, and the receipt itself is still to be seen.
            Some(Fault::Receipted) if self.start.afterwards == Afterwards::Watch && self.link != Link::Watching => {
                self.reached = Reached::Completed;
                self.next_operation(now);
            }
            // A watcher is shown the receipt and not told of it.
            Some(Fault::Receipted) if self.link == Link::Watching => {
                self.end(Ending::Misbehaved("has a receipt and does not show it"));
            }
            Some(Fault::Receipted) => self.end(Ending::Receipted),
            _ => self.end(Ending::Refused(refused)),
        }
    }

    fn on_tick(&mut self, now: Millis) {
        if self.is_answer_due() && now.since(self.moved) >= SILENCE_MS_MAX {
            self.trouble(Trouble::Silent);
        }
    }

    /// Whether the relay owes something that should not take long.
    fn is_answer_due(&self) -> bool {
        match self.link {
            Link::Sending { next, .. } => next.0 > self.acknowledged.0,
            Link::AppendAsked => true,
            // One question and one answer: whoever asks has its own patience.
            Link::Creating | Link::Completing | Link::Connecting => false,
            Link::New | Link::Pausing | Link::Watching | Link::Over => false,
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.attempts = self.attempts.saturating_add(1);
        self.link = Link::Pausing;
        self.outputs.push_back(Output::Disconnect);
        self.outputs.push_back(Output::Pause { attempt: self.attempts, trouble });
    }

    fn calm(&mut self) {
        if self.attempts > 0 {
            self.attempts = 0;
            self.outputs.push_back(Output::Moving);
        }
    }

    fn end(&mut self, ending: Ending) {
        self.link = Link::Over;
        self.outputs.push_back(Output::Disconnect);
        self.outputs.push_back(Output::Ended(ending));
    }
}

#[cfg(test)]
mod tests;
