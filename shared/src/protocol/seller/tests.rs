use super::*;

const WINDOW: u64 = 4;

fn start(reached: Reached, afterwards: Afterwards) -> Start {
    Start { reached, acknowledged: BlockCount(0), journaled: BlockCount(0), afterwards, window: BlockCount(WINDOW) }
}

/// A machine, the outputs it gave, and a clock that moves when the test moves it.
struct Bench {
    seller: Seller,
    now: Millis,
    outputs: Vec<Output>,
}

impl Bench {
    fn new(start: Start) -> Self {
        let mut bench = Self { seller: Seller::new(start, Millis(0)), now: Millis(0), outputs: Vec::new() };
        bench.drain();
        bench
    }

    /// A machine that is about to send blocks from `durable` on.
    fn sending(durable: u64, start: Start) -> Self {
        let mut bench = Self::new(start);
        bench.say(Input::Connected);
        bench.say(Input::Appending(BlockCount(durable)));
        bench
    }

    fn say(&mut self, input: Input) -> &[Output] {
        self.outputs.clear();
        self.seller.handle(self.now, input);
        self.drain();
        &self.outputs
    }

    fn after(&mut self, ms: u64, input: Input) -> &[Output] {
        self.now = self.now.plus(ms);
        self.say(input)
    }

    fn drain(&mut self) {
        while let Some(output) = self.seller.poll() {
            self.outputs.push(output);
        }
    }

    fn seal(&mut self, blocks: std::ops::Range<u64>) -> Vec<Output> {
        let mut outputs = Vec::new();
        for block in blocks {
            outputs.extend_from_slice(self.say(Input::Sealed(BlockIndex(block))));
        }
        outputs
    }
}

fn created() -> Created {
    Created { created: Millis(1), expires: Millis(9) }
}

fn ended(ending: Ending) -> Vec<Output> {
    vec![Output::Disconnect, Output::Ended(ending)]
}

fn paused(attempt: u32, trouble: Trouble) -> Vec<Output> {
    vec![Output::Disconnect, Output::Pause { attempt, trouble }]
}

#[test] // [S12.2] [S14.3]
fn a_whole_run_says_and_does_everything_in_order() {
    let mut bench = Bench::new(start(Reached::Nothing, Afterwards::Watch));
    assert_eq!(bench.outputs, [Output::Connect]);
    assert_eq!(bench.say(Input::Connected), [Output::Create]);
    assert_eq!(bench.say(Input::Created(created())), [Output::Accepted(created()), Output::Append]);
    assert_eq!(bench.say(Input::Appending(BlockCount(0))), [Output::Begin(BlockIndex(0))]);
    assert_eq!(bench.seal(0..2), [Output::Send(BlockIndex(0)), Output::Send(BlockIndex(1))]);
    assert_eq!(bench.say(Input::Durable(BlockCount(1))), [Output::Release(BlockCount(1))]);
    assert_eq!(bench.say(Input::Last(BlockCount(2))), [Output::Finish]);
    assert_eq!(
        bench.say(Input::Durable(BlockCount(2))),
        [Output::Release(BlockCount(2)), Output::Complete(BlockCount(2))]
    );
    assert_eq!(bench.say(Input::AppendOver), []);
    assert_eq!(bench.say(Input::Completed(Millis(5))), [Output::Safe(Millis(5)), Output::Watch { from_event: 0 }]);
    assert_eq!(bench.say(Input::Told { phase: Phase::Complete, next_event: 3 }), []);
    assert_eq!(bench.say(Input::Told { phase: Phase::Receipted, next_event: 5 }), ended(Ending::Receipted));
    assert_eq!(bench.say(Input::Connected), [], "nothing comes after the end");
}

#[test]
fn a_seller_who_need_not_wait_leaves_when_everything_is_safe() {
    let mut bench = Bench::sending(0, start(Reached::Created, Afterwards::Leave));
    bench.seal(0..1);
    bench.say(Input::Last(BlockCount(1)));
    bench.say(Input::Durable(BlockCount(1)));
    assert_eq!(bench.say(Input::Completed(Millis(5)))[..1], [Output::Safe(Millis(5))]);
    assert_eq!(bench.outputs[1..], ended(Ending::Safe));
}

#[test] // [S14.4]
fn what_is_not_acknowledged_is_sent_again_as_it_is() {
    let mut bench = Bench::sending(0, start(Reached::Created, Afterwards::Leave));
    bench.seal(0..4);
    bench.say(Input::Durable(BlockCount(1)));
    assert_eq!(bench.say(Input::Lost(Trouble::Lost)), paused(1, Trouble::Lost));
    assert_eq!(bench.seal(4..5), [], "sealing goes on, sending does not");
    assert_eq!(bench.say(Input::PauseOver), [Output::Connect]);
    assert_eq!(bench.say(Input::Connected), [Output::Append]);
    // The relay has made one more durable than it could say.
    let sends = [2, 3, 4].map(|block| Output::Send(BlockIndex(block)));
    let outputs = bench.say(Input::Appending(BlockCount(2)));
    assert_eq!(outputs[0], Output::Release(BlockCount(2)));
    assert_eq!(outputs[1..], sends, "nothing is packed again");
    assert_eq!(bench.say(Input::Durable(BlockCount(3)))[1], Output::Moving);
}

/// A relay that does what it should, driven by whatever the machine puts out.
#[derive(Default)]
struct Model {
    created: u64,
    blocks: Vec<u64>,
    completed: Option<u64>,
    watching: u64,
}

/// Runs to the end; the connection breaks before input number `lose`, if there is one, and half of what was sent then is
/// durable.
fn run_to_the_end(total: u64, lose: Option<usize>) -> (Model, usize, Vec<Output>) {
    let mut model = Model::default();
    let mut bench = Bench::new(start(Reached::Nothing, Afterwards::Watch));
    let mut all = Vec::new();
    let mut made = 0;
    let mut inputs = 0;
    let mut queue: VecDeque<Input> = VecDeque::new();
    let mut outputs = bench.outputs.clone();
    loop {
        for output in outputs {
            all.push(output);
            match output {
                Output::Connect => queue.push_back(Input::Connected),
                Output::Pause { .. } => queue.push_back(Input::PauseOver),
                Output::Disconnect => queue.clear(),
                Output::Create => {
                    model.created += 1;
                    queue.push_back(Input::Created(created()));
                }
                Output::Append => queue.push_back(Input::Appending(BlockCount(model.blocks.len() as u64))),
                Output::Begin(at) => made = at.0,
                Output::Send(block) => {
                    assert_eq!(block.0, model.blocks.len() as u64, "blocks come one after the other");
                    model.blocks.push(block.0);
                    queue.push_back(Input::Durable(BlockCount(model.blocks.len() as u64)));
                }
                Output::Finish => queue.push_back(Input::AppendOver),
                Output::Complete(blocks) => {
                    assert_eq!(blocks.0, model.blocks.len() as u64);
                    model.completed = Some(blocks.0);
                    queue.push_back(Input::Completed(Millis(7)));
                }
                Output::Watch { .. } => {
                    model.watching += 1;
                    queue.push_back(Input::Told { phase: Phase::Receipted, next_event: 4 });
                }
                Output::Ended(_) => return (model, inputs, all),
                Output::Accepted(_) | Output::Release(_) | Output::Safe(_) | Output::Moving => {}
            }
        }
        let has_begun = all.iter().any(|output| matches!(output, Output::Begin(_)));
        let input = if has_begun && made < total && bench.seller.room() > 0 {
            made += 1;
            Input::Sealed(BlockIndex(made - 1))
        } else if has_begun && made == total && !queue.contains(&Input::Last(BlockCount(total))) {
            made += 1;
            Input::Last(BlockCount(total))
        } else {
            queue.pop_front().unwrap_or(Input::Tick)
        };
        // What breaks is the connection, not what is made here.
        let breaks = lose == Some(inputs) && !matches!(input, Input::Sealed(_) | Input::Last(_) | Input::PauseOver);
        inputs += 1;
        outputs = bench.say(if breaks { Input::Lost(Trouble::Lost) } else { input }).to_vec();
        assert!(inputs < 1000, "it comes to an end");
    }
}

#[test] // [S14.4] [S12.5]
fn a_loss_at_every_step_changes_nothing_in_the_end() {
    let (_, steps, undisturbed) = run_to_the_end(9, None);
    assert!(!undisturbed.iter().any(|output| matches!(output, Output::Pause { .. })));
    for lose in 0..steps {
        let (model, _, outputs) = run_to_the_end(9, Some(lose));
        assert_eq!(model.blocks, (0..9).collect::<Vec<_>>(), "lost at {lose}");
        assert_eq!(model.completed, Some(9), "lost at {lose}");
        assert_eq!(outputs.last(), Some(&Output::Ended(Ending::Receipted)), "lost at {lose}");
        let begins = outputs.iter().filter(|output| matches!(output, Output::Begin(_))).count();
        assert_eq!(begins, 1, "packing begins once, lost at {lose}");
    }
}

#[test]
fn no_more_is_taken_than_the_window_holds() {
    let mut bench = Bench::new(start(Reached::Created, Afterwards::Leave));
    assert_eq!(bench.seller.room(), 0, "nothing is known yet");
    bench.say(Input::Connected);
    bench.say(Input::Appending(BlockCount(0)));
    for left in (0..WINDOW).rev() {
        let block = WINDOW - 1 - left;
        bench.seal(block..block + 1);
        assert_eq!(bench.seller.room(), left);
    }
    bench.say(Input::Durable(BlockCount(3)));
    assert_eq!(bench.seller.room(), 3);
    bench.say(Input::Durable(BlockCount(3)));
    assert_eq!(bench.seller.room(), 3, "said twice counts once");

    bench.say(Input::Refused(Fault::Revoked.into()));
    assert_eq!(bench.seller.room(), 0, "nothing is welcome when it is over");
}

#[test] // [S12.2]
fn a_repeated_durable_changes_nothing() {
    let mut bench = Bench::sending(0, start(Reached::Created, Afterwards::Leave));
    bench.seal(0..2);
    bench.say(Input::Durable(BlockCount(1)));
    assert_eq!(bench.say(Input::Durable(BlockCount(1))), []);
}

#[test] // [S14.6]
fn a_relay_with_more_than_the_journal_knows_is_not_believed() {
    let known = Start { journaled: BlockCount(5), ..start(Reached::Created, Afterwards::Leave) };
    let mut bench = Bench::sending(6, known);
    let (relay, journal) = (BlockCount(6), BlockCount(5));
    assert_eq!(bench.outputs, ended(Ending::JournalBehind { relay, journal }));
    bench = Bench::sending(5, known);
    assert_eq!(bench.outputs, [Output::Begin(BlockIndex(5)), Output::Release(BlockCount(5))]);
    // Within a run the bound is what was sent.
    bench.seal(5..7);
    bench.say(Input::Lost(Trouble::Lost));
    bench.seal(7..8);
    bench.say(Input::PauseOver);
    bench.say(Input::Connected);
    let (relay, journal) = (BlockCount(8), BlockCount(7));
    assert_eq!(bench.say(Input::Appending(BlockCount(8))), ended(Ending::JournalBehind { relay, journal }));
}

#[test] // [S8.6]
fn a_relay_that_lost_what_it_acknowledged_is_told_apart() {
    let lost = |acknowledged, durable| {
        ended(Ending::BlocksLost { acknowledged: BlockCount(acknowledged), durable: BlockCount(durable) })
    };
    let known =
        Start { acknowledged: BlockCount(3), journaled: BlockCount(5), ..start(Reached::Created, Afterwards::Leave) };
    assert_eq!(Bench::sending(2, known).outputs, lost(3, 2), "after a crash");

    let mut bench = Bench::sending(0, start(Reached::Created, Afterwards::Leave));
    bench.seal(0..2);
    bench.say(Input::Durable(BlockCount(2)));
    bench.say(Input::Lost(Trouble::Lost));
    bench.say(Input::PauseOver);
    bench.say(Input::Connected);
    assert_eq!(bench.say(Input::Appending(BlockCount(1))), lost(2, 1), "after a reconnection");

    let mut bench = Bench::sending(0, start(Reached::Created, Afterwards::Leave));
    bench.seal(0..2);
    bench.say(Input::Durable(BlockCount(2)));
    assert_eq!(bench.say(Input::Durable(BlockCount(1))), lost(2, 1), "in one breath");

    let mut bench = Bench::sending(0, start(Reached::Created, Afterwards::Leave));
    bench.seal(0..1);
    bench.say(Input::Last(BlockCount(1)));
    bench.say(Input::Durable(BlockCount(1)));
    let refused = Refused::of(Fault::NotComplete).with_number(0);
    assert_eq!(bench.say(Input::Refused(refused)), lost(1, 0), "at the end");
}

#[test]
fn faults_end_it_or_pass() {
    let at_each: [(&str, &[Input]); 3] = [
        ("creating", &[Input::Connected]),
        ("appending", &[Input::Connected, Input::Created(Created { created: Millis(1), expires: Millis(9) })]),
        (
            "sending",
            &[
                Input::Connected,
                Input::Created(Created { created: Millis(1), expires: Millis(9) }),
                Input::Appending(BlockCount(0)),
            ],
        ),
    ];
    for (place, inputs) in at_each {
        for fault in Fault::ALL {
            let mut bench = Bench::new(start(Reached::Nothing, Afterwards::Leave));
            inputs.iter().for_each(|input| drop(bench.say(*input).to_vec()));
            let outputs = bench.say(Input::Refused(fault.into())).to_vec();
            let expected = match fault {
                Fault::StorageFull if place == "creating" => ended(Ending::Refused(fault.into())),
                Fault::Busy | Fault::Internal | Fault::Draining | Fault::StorageFull => paused(1, Trouble::Busy),
                Fault::Receipted => ended(Ending::Receipted),
                other => ended(Ending::Refused(other.into())),
            };
            assert_eq!(outputs, expected, "{fault:?} while {place}");
        }
    }
    for (phase, fault) in [(Phase::Revoked, Fault::Revoked), (Phase::Expired, Fault::Expired)] {
        let mut bench = Bench::new(start(Reached::Completed, Afterwards::Watch));
        bench.say(Input::Connected);
        assert_eq!(bench.say(Input::Told { phase, next_event: 1 }), ended(Ending::Refused(fault.into())));
    }
}

#[test] // [S10.10]
fn a_seller_who_waits_for_the_receipt_sees_it_however_it_learns_of_it() {
    for reached in [Reached::Nothing, Reached::Created] {
        let mut bench = Bench::new(start(reached, Afterwards::Watch));
        bench.say(Input::Connected);
        assert_eq!(bench.say(Input::Refused(Fault::Receipted.into())), [Output::Watch { from_event: 0 }]);
        assert_eq!(bench.say(Input::Lost(Trouble::Lost)), paused(1, Trouble::Lost));
        bench.say(Input::PauseOver);
        assert_eq!(bench.say(Input::Connected), [Output::Watch { from_event: 0 }]);
        assert_eq!(bench.say(Input::Told { phase: Phase::Receipted, next_event: 5 })[1..], ended(Ending::Receipted));
    }
    // The word alone is no receipt.
    let mut bench = Bench::new(start(Reached::Completed, Afterwards::Watch));
    bench.say(Input::Connected);
    let told = bench.say(Input::Refused(Fault::Receipted.into())).to_vec();
    assert_eq!(told, ended(Ending::Misbehaved("has a receipt and does not show it")));
}

#[test]
fn silence_is_noticed_only_while_an_answer_is_due() {
    let mut bench = Bench::sending(0, start(Reached::Created, Afterwards::Leave));
    assert_eq!(bench.seller.wake_at(), None, "nothing is outstanding");
    assert_eq!(bench.after(10 * SILENCE_MS_MAX, Input::Tick), []);
    bench.seal(0..1);
    assert_eq!(bench.seller.wake_at(), Some(bench.now.plus(SILENCE_MS_MAX)));
    assert_eq!(bench.after(SILENCE_MS_MAX - 1, Input::Tick), []);
    // A slow line that carries something is not silent.
    bench.say(Input::Moved);
    assert_eq!(bench.after(SILENCE_MS_MAX - 1, Input::Tick), []);
    assert_eq!(bench.after(1, Input::Tick), paused(1, Trouble::Silent));
    assert_eq!(bench.seller.wake_at(), None);
    bench.say(Input::PauseOver);
    bench.say(Input::Connected);
    assert_eq!(bench.after(SILENCE_MS_MAX, Input::Tick), paused(2, Trouble::Silent), "no answer to Append");
}

#[test]
fn attempts_are_counted_until_something_moves() {
    let mut bench = Bench::sending(0, start(Reached::Created, Afterwards::Leave));
    bench.seal(0..1);
    assert_eq!(bench.say(Input::Lost(Trouble::Lost)), paused(1, Trouble::Lost));
    bench.say(Input::PauseOver);
    assert_eq!(bench.say(Input::Lost(Trouble::Unreachable)), paused(2, Trouble::Unreachable));
    bench.say(Input::PauseOver);
    bench.say(Input::Connected);
    bench.say(Input::Appending(BlockCount(0)));
    assert_eq!(bench.say(Input::AppendOver), paused(3, Trouble::Lost), "a relay that finishes early");
    bench.say(Input::PauseOver);
    bench.say(Input::Connected);
    bench.say(Input::Appending(BlockCount(0)));
    assert_eq!(bench.say(Input::Durable(BlockCount(1))), [Output::Release(BlockCount(1)), Output::Moving]);
    assert_eq!(bench.say(Input::Lost(Trouble::Lost)), paused(1, Trouble::Lost));
}

#[test] // [S12.5]
fn a_continued_run_with_nothing_left_only_completes() {
    let known = Start { journaled: BlockCount(3), ..start(Reached::Created, Afterwards::Leave) };
    let mut bench = Bench::sending(3, known);
    assert_eq!(bench.say(Input::Last(BlockCount(3))), [Output::Finish, Output::Complete(BlockCount(3))]);
}

#[test]
fn an_answer_to_another_question_ends_it() {
    for input in [Input::Completed(Millis(1)), Input::Durable(BlockCount(1)), Input::Created(created())] {
        let mut bench = Bench::sending(0, start(Reached::Created, Afterwards::Leave));
        let outputs = bench.say(input);
        assert!(matches!(outputs[1], Output::Ended(Ending::Misbehaved(_))), "{input:?}");
    }
}
