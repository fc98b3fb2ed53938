//! The buyer's machine, with a relay that says anything at any time.

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, Millis};
use handover_shared::limits::BLOCK_REPEATS_MAX;
use handover_shared::protocol::buyer::{Buyer, End, Input, Output, Start};
use handover_shared::protocol::message::Fetching;

use crate::fuzz::take::Take;

const STEPS_MAX: u32 = 300;
const BLOCKS: u64 = 12;

/// What has happened, as whoever drives the machine knows it.
struct Known {
    is_asked: bool,
    is_accepted: bool,
    is_released: bool,
    is_tail_seen: bool,
    is_signed: bool,
    is_over: bool,
    arrived: u64,
    damaged: u32,
}

/// Any inputs in any order.
pub fn buyer(take: &mut Take<'_>) {
    let from = take.below(BLOCKS);
    let start = match take.below(5) {
        0 | 1 => Start::Look,
        2 => Start::Claim,
        3 => Start::Fetch(BlockIndex(from)),
        _ => take.pick(&[Start::Finish, Start::Deliver]),
    };
    let mut known = Known::at(start);
    let mut now = Millis(1);
    let mut machine = Buyer::new(start, now);
    known.drain(&mut machine);
    for _ in 0..STEPS_MAX {
        if take.is_over() {
            break;
        }
        let input = known.input(take, &mut now);
        let was_over = known.is_over;
        machine.handle(now, input);
        let outputs = known.drain(&mut machine);
        assert!(!was_over || outputs == 0, "it had ended");
    }
}

impl Known {
    fn at(start: Start) -> Self {
        let step = match start {
            Start::Look => 0,
            Start::Claim => 1,
            Start::Fetch(_) => 2,
            Start::Finish => 3,
            Start::Deliver => 4,
        };
        let arrived = if let Start::Fetch(from) = start { from.0 } else { 0 };
        Self {
            is_asked: step >= 1,
            is_accepted: step >= 1,
            is_released: step >= 2,
            is_tail_seen: step >= 3,
            is_signed: step >= 4,
            is_over: false,
            arrived,
            damaged: 0,
        }
    }

    /// What is handed in; what only the machine's own side can say comes when the machine asked for it.
    fn input(&mut self, take: &mut Take<'_>, now: &mut Millis) -> Input {
        match take.below(18) {
            0 => Input::Connected,
            1 => Input::LinkLost,
            2 => Input::Waited,
            3 => Input::Refused(fault(take)),
            4 => Input::Offered,
            5 if self.is_asked => {
                self.is_accepted = true;
                Input::Accepted
            }
            6 if self.is_accepted => {
                self.is_released = true;
                Input::Released
            }
            7 | 8 => {
                let durable = BlockCount((self.arrived + take.below(5)).saturating_sub(1));
                Input::Fetching(Fetching { durable, blocks: take.any::<bool>().then_some(durable) })
            }
            9 | 10 if self.is_released => {
                self.arrived = (self.arrived + take.below(3)).saturating_sub(u64::from(take.one_in(6)));
                Input::Arrived(BlockIndex(self.arrived))
            }
            11 => Input::Alive,
            12 if self.is_released => {
                self.damaged += 1;
                Input::Damaged(BlockIndex(self.arrived))
            }
            13 => Input::Finished,
            14 if self.is_released => {
                self.is_tail_seen = true;
                Input::TailSeen
            }
            15 if self.is_tail_seen => {
                self.is_signed = true;
                Input::Signed
            }
            16 => Input::Received,
            _ => {
                *now = now.plus(take.pick(&[1, 1999, 2000, 19_999, 20_000, 60_000]));
                Input::Tick
            }
        }
    }

    fn drain(&mut self, machine: &mut Buyer) -> usize {
        let mut count = 0;
        while let Some(output) = machine.poll() {
            count += 1;
            assert!(count < 100, "it talks without end");
            assert!(!self.is_over, "{output:?} after the end");
            match output {
                Output::Ask => self.is_asked = true,
                Output::Claim => assert!(self.is_accepted, "the code is spent only after the person agreed"),
                Output::Fetch(_) => assert!(self.is_released, "blocks are asked for with the key in hand"),
                Output::Finish => assert!(self.is_tail_seen),
                Output::Deliver => assert!(self.is_signed, "no receipt before everything is signed [S15.4]"),
                Output::Done => {
                    assert!(self.is_signed);
                    self.is_over = true;
                }
                Output::End(end) => {
                    self.is_over = true;
                    if let End::Altered(_) = end {
                        assert!(self.damaged > BLOCK_REPEATS_MAX, "a block is fetched again first [S15.7]");
                    }
                }
                Output::Wait { attempt, .. } => assert!(attempt > 0),
                Output::Connect | Output::Disconnect | Output::Peek | Output::StopFetch => {}
            }
        }
        count
    }
}

fn fault(take: &mut Take<'_>) -> Fault {
    Fault::of_number(1 + take.below(21) as u16).expect("faults are numbered without gaps")
}
