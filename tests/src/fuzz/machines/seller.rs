//! The seller's machine, with a relay that says anything at any time.

use handover_shared::ids::{BlockCount, BlockIndex, Millis};
use handover_shared::protocol::message::{Created, Phase, Refused};
use handover_shared::protocol::seller::{Afterwards, Ending, Input, Output, Reached, Seller, Start, Trouble};

use crate::fuzz::take::Take;

const STEPS_MAX: u32 = 300;
const BLOCKS: u64 = 12;

/// What was said so far.
struct Said {
    start: Start,
    begun: Option<u64>,
    sealed: u64,
    released: u64,
    is_connected: bool,
    is_over: bool,
    accepted: bool,
}

/// Any inputs in any order.
pub fn seller(take: &mut Take<'_>) {
    let acknowledged = take.below(BLOCKS);
    let start = Start {
        reached: take.pick(&[Reached::Nothing, Reached::Created, Reached::Completed]),
        acknowledged: BlockCount(acknowledged),
        journaled: BlockCount(acknowledged + take.below(4)),
        afterwards: take.pick(&[Afterwards::Leave, Afterwards::Watch]),
        window: BlockCount(take.below(5)),
    };
    let mut now = Millis(1);
    let mut machine = Seller::new(start, now);
    let mut said = Said {
        start,
        begun: None,
        sealed: 0,
        released: acknowledged,
        is_connected: false,
        is_over: false,
        accepted: start.reached != Reached::Nothing,
    };
    said.drain(&mut machine);
    for _ in 0..STEPS_MAX {
        if take.is_over() {
            break;
        }
        let input = said.input(take, &machine, &mut now);
        let was_over = said.is_over;
        machine.handle(now, input);
        let outputs = said.drain(&mut machine);
        assert!(!was_over || outputs == 0, "it had ended");
        assert!(machine.room() <= start.window.0.max(1));
        assert!(machine.wake_at().is_none_or(|at| at.0 > now.0 || at.since(now) == 0));
    }
}

impl Said {
    fn input(&mut self, take: &mut Take<'_>, machine: &Seller, now: &mut Millis) -> Input {
        let near = |take: &mut Take<'_>, at: u64| BlockCount((at + take.below(4)).saturating_sub(1));
        match take.below(16) {
            0 => Input::Connected,
            1 => Input::Lost(take.pick(&[Trouble::Unreachable, Trouble::Lost, Trouble::Busy, Trouble::Silent])),
            2 => Input::PauseOver,
            3 => Input::Created(Created { created: Millis(take.any()), expires: Millis(take.any()) }),
            4 => Input::Appending(near(take, self.released)),
            5 => Input::Durable(near(take, self.released)),
            6 => Input::Durable(near(take, self.sealed)),
            7 => Input::AppendOver,
            8 => Input::Completed(*now),
            9 => {
                use Phase::*;
                Input::Told {
                    phase: take.pick(&[Open, Complete, Receipted, Revoked, Expired, Refused]),
                    next_event: take.any(),
                }
            }
            10 => Input::Refused(Refused { fault: take.below(26) as u16, number: take.any(), time: None }),
            11 | 12 if machine.room() > 0 => {
                let next = self.sealed;
                self.sealed += 1;
                Input::Sealed(BlockIndex(next))
            }
            11 => Input::Sealed(BlockIndex(take.below(BLOCKS))),
            12 | 13 => {
                let any = take.below(BLOCKS);
                Input::Last(BlockCount(take.pick(&[self.sealed, any])))
            }
            14 => Input::Moved,
            _ => {
                *now = now.plus(take.pick(&[1, 1000, 19_999, 20_000, 100_000]));
                Input::Tick
            }
        }
    }

    fn drain(&mut self, machine: &mut Seller) -> usize {
        let mut count = 0;
        while let Some(output) = machine.poll() {
            count += 1;
            assert!(count < 200, "it talks without end");
            assert!(!self.is_over, "{output:?} after the end");
            match output {
                Output::Accepted(_) => self.accepted = true,
                Output::Append | Output::Complete(_) => assert!(self.accepted, "not announced yet"),
                Output::Begin(block) => {
                    assert_eq!(self.begun, None, "it begins once a run");
                    // It goes on behind what the relay has, and that is nothing it does not remember [S14.6].
                    assert!(block.0 <= self.start.journaled.0 && block.0 >= self.start.acknowledged.0);
                    (self.begun, self.sealed) = (Some(block.0), block.0);
                }
                Output::Send(block) => {
                    assert!(self.begun.is_some_and(|begun| block.0 >= begun), "blocks of this run only");
                    assert!(block.0 < self.sealed, "sent before it is sealed and journaled [S14.2]");
                    assert!(block.0 >= self.released, "sent although it was released");
                }
                Output::Release(blocks) => {
                    assert!(blocks.0 > self.released, "released twice");
                    assert!(blocks.0 <= self.sealed, "released what was never sealed");
                    self.released = blocks.0;
                }
                Output::Safe(_) => assert!(self.accepted),
                Output::Ended(ending) => {
                    self.is_over = true;
                    if ending == Ending::Safe {
                        assert_eq!(self.start.afterwards, Afterwards::Leave);
                    }
                }
                Output::Connect => self.is_connected = true,
                Output::Disconnect => self.is_connected = false,
                Output::Create => assert!(!self.accepted || self.start.reached == Reached::Nothing),
                Output::Pause { attempt, .. } => assert!(attempt > 0),
                Output::Finish | Output::Watch { .. } | Output::Moving => {}
            }
        }
        count
    }
}
