//! Tables: what a buyer does about everything that can happen.

use super::*;

const NOW: Millis = Millis(1_000);

fn drained(buyer: &mut Buyer) -> Vec<Output> {
    std::iter::from_fn(|| buyer.poll()).collect()
}

fn after(buyer: &mut Buyer, now: Millis, input: Input) -> Vec<Output> {
    buyer.handle(now, input);
    drained(buyer)
}

fn fetching(durable: u64, blocks: Option<u64>) -> Input {
    Input::Fetching(Fetching { durable: BlockCount(durable), blocks: blocks.map(BlockCount) })
}

/// A transfer of three blocks, from the code to the end: every input, and what must come of it.
fn whole_run() -> Vec<(Input, Vec<Output>)> {
    vec![
        (Input::Connected, vec![Output::Peek]),
        (Input::Offered, vec![Output::Ask]),
        (Input::Accepted, vec![Output::Claim]),
        (Input::Released, vec![Output::Fetch(BlockIndex(0))]),
        (fetching(1, None), vec![]),
        (Input::Arrived(BlockIndex(1)), vec![]),
        (Input::Arrived(BlockIndex(3)), vec![]),
        (Input::Finished, vec![]),
        (Input::TailSeen, vec![Output::StopFetch, Output::Finish]),
        (Input::Signed, vec![Output::Deliver]),
        (Input::Received, vec![Output::Done]),
    ]
}

#[test] // [S15.1] [S15.4] [S12.3]
fn a_whole_run() {
    let mut buyer = Buyer::new(Start::Look, NOW);
    assert_eq!(drained(&mut buyer), [Output::Connect]);
    for (input, outputs) in whole_run() {
        assert_eq!(after(&mut buyer, NOW, input), outputs, "{input:?}");
    }
}

#[test] // [S12.5]
fn a_loss_at_every_step_repeats_the_operation_of_that_step() {
    // What is asked of the relay once the connection is back, by how many inputs came before the loss.
    let repeated = [
        (1, Some(Output::Peek)),
        (2, None),
        (3, Some(Output::Claim)),
        (4, Some(Output::Fetch(BlockIndex(0)))),
        (5, Some(Output::Fetch(BlockIndex(0)))),
        (6, Some(Output::Fetch(BlockIndex(1)))),
        (7, Some(Output::Fetch(BlockIndex(3)))),
        (8, Some(Output::Fetch(BlockIndex(3)))),
        (9, None),
        (10, Some(Output::Deliver)),
    ];
    for (inputs, operation) in repeated {
        let mut buyer = Buyer::new(Start::Look, NOW);
        let run = whole_run();
        for (input, _) in &run[..inputs] {
            buyer.handle(NOW, *input);
        }
        drained(&mut buyer);

        let lost = after(&mut buyer, NOW, Input::LinkLost);
        match operation {
            Some(operation) => {
                assert_eq!(lost, [Output::Wait { attempt: 1, cause: Pause::Lost }], "after {inputs}");
                assert_eq!(after(&mut buyer, NOW, Input::Waited), [Output::Connect], "after {inputs}");
                let second = after(&mut buyer, NOW, Input::LinkLost);
                assert_eq!(second, [Output::Wait { attempt: 2, cause: Pause::Lost }], "after {inputs}");
                assert_eq!(after(&mut buyer, NOW, Input::Waited), [Output::Connect], "after {inputs}");
                assert_eq!(after(&mut buyer, NOW, Input::Connected), [operation], "after {inputs}");
            }
            // Nothing is wanted from the relay now; the next step makes the connection.
            None => {
                assert_eq!(lost, [], "after {inputs}");
                assert_eq!(after(&mut buyer, NOW, run[inputs].0), [Output::Connect], "after {inputs}");
                assert_eq!(after(&mut buyer, NOW, Input::Connected), run[inputs].1, "after {inputs}");
            }
        }
    }
}

#[test]
fn a_later_run_begins_where_the_earlier_one_left_off() {
    let cases = [
        (Start::Claim, Output::Claim),
        (Start::Fetch(BlockIndex(7)), Output::Fetch(BlockIndex(7))),
        (Start::Deliver, Output::Deliver),
    ];
    for (start, operation) in cases {
        let mut buyer = Buyer::new(start, NOW);
        assert_eq!(drained(&mut buyer), [Output::Connect], "{start:?}");
        assert_eq!(after(&mut buyer, NOW, Input::Connected), [operation], "{start:?}");
    }
    let mut buyer = Buyer::new(Start::Finish, NOW);
    assert_eq!(drained(&mut buyer), [Output::Finish]);
    assert_eq!(after(&mut buyer, NOW, Input::Signed), [Output::Connect]);
}

#[test] // [S12.7]
fn every_fault_ends_it_or_passes() {
    for step in [3, 4, 5, 10] {
        for fault in Fault::ALL {
            let mut buyer = Buyer::new(Start::Look, NOW);
            for (input, _) in &whole_run()[..step] {
                buyer.handle(NOW, *input);
            }
            drained(&mut buyer);
            let outputs = after(&mut buyer, NOW, Input::Refused(fault));
            let wait = Output::Wait { attempt: 1, cause: Pause::Busy };
            let expected = match fault {
                Fault::Draining => vec![Output::Disconnect, wait],
                Fault::Busy | Fault::Internal | Fault::StorageFull => vec![wait],
                Fault::NotComplete if step == 10 => vec![wait],
                _ => vec![Output::End(End::Refused(fault))],
            };
            assert_eq!(outputs, expected, "{fault:?} after {step}");
        }
    }
}

#[test]
fn a_relay_that_is_busy_is_asked_again_on_the_same_connection() {
    let mut buyer = Buyer::new(Start::Fetch(BlockIndex(2)), NOW);
    after(&mut buyer, NOW, Input::Connected);
    after(&mut buyer, NOW, Input::Refused(Fault::Busy));
    assert_eq!(after(&mut buyer, NOW, Input::Waited), [Output::Fetch(BlockIndex(2))]);
    after(&mut buyer, NOW, Input::Refused(Fault::Draining));
    assert_eq!(after(&mut buyer, NOW, Input::Waited), [Output::Connect]);
    assert_eq!(after(&mut buyer, NOW, Input::Connected), [Output::Fetch(BlockIndex(2))]);
}

#[test] // [S12.7]
fn a_relay_that_refuses_the_greeting_is_reached_again() {
    for fault in [Fault::Busy, Fault::Internal, Fault::Draining, Fault::StorageFull] {
        let mut buyer = Buyer::new(Start::Claim, NOW);
        assert_eq!(drained(&mut buyer), [Output::Connect]);
        let refused = after(&mut buyer, NOW, Input::Refused(fault));
        assert_eq!(refused, [Output::Disconnect, Output::Wait { attempt: 1, cause: Pause::Busy }], "{fault:?}");
        assert_eq!(after(&mut buyer, NOW, Input::Waited), [Output::Connect], "{fault:?}");
        assert_eq!(after(&mut buyer, NOW, Input::Connected), [Output::Claim], "{fault:?}");
    }
}

#[test] // [S15.7]
fn a_damaged_block_is_fetched_again_three_times() {
    let mut buyer = Buyer::new(Start::Fetch(BlockIndex(0)), NOW);
    after(&mut buyer, NOW, Input::Connected);
    after(&mut buyer, NOW, fetching(9, Some(9)));
    after(&mut buyer, NOW, Input::Arrived(BlockIndex(9)));
    for _ in 0..3 {
        assert_eq!(after(&mut buyer, NOW, Input::Damaged(BlockIndex(4))), [Output::Fetch(BlockIndex(4))]);
        after(&mut buyer, NOW, fetching(9, Some(9)));
    }
    assert_eq!(after(&mut buyer, NOW, Input::Damaged(BlockIndex(4))), [Output::End(End::Altered(BlockIndex(4)))]);
    assert_eq!(after(&mut buyer, NOW, Input::TailSeen), []);

    let mut buyer = Buyer::new(Start::Fetch(BlockIndex(0)), NOW);
    after(&mut buyer, NOW, Input::Connected);
    for block in 0..20 {
        let block = BlockIndex(block);
        assert_eq!(after(&mut buyer, NOW, Input::Damaged(block)), [Output::Fetch(block)], "each block has its turns");
    }
}

#[test]
fn damage_seen_while_the_connection_is_gone_moves_the_next_block_back() {
    let mut buyer = Buyer::new(Start::Fetch(BlockIndex(0)), NOW);
    after(&mut buyer, NOW, Input::Connected);
    after(&mut buyer, NOW, Input::Arrived(BlockIndex(6)));
    after(&mut buyer, NOW, Input::LinkLost);
    assert_eq!(after(&mut buyer, NOW, Input::Damaged(BlockIndex(5))), []);
    after(&mut buyer, NOW, Input::Waited);
    assert_eq!(after(&mut buyer, NOW, Input::Connected), [Output::Fetch(BlockIndex(5))]);
}

#[test] // [S15.8]
fn silence_counts_only_while_blocks_are_due() {
    let mut buyer = Buyer::new(Start::Fetch(BlockIndex(0)), NOW);
    after(&mut buyer, NOW, Input::Connected);
    after(&mut buyer, NOW, fetching(3, None));
    after(&mut buyer, NOW.plus(10_000), Input::Arrived(BlockIndex(1)));
    assert_eq!(after(&mut buyer, NOW.plus(10_000 + SILENCE_MS_MAX - 1), Input::Tick), []);
    let silent = vec![Output::Disconnect, Output::Wait { attempt: 1, cause: Pause::Silent }];
    assert_eq!(after(&mut buyer, NOW.plus(10_000 + SILENCE_MS_MAX), Input::Tick), silent);
    assert_eq!(after(&mut buyer, NOW, Input::Waited), [Output::Connect]);
    assert_eq!(after(&mut buyer, NOW, Input::Connected), [Output::Fetch(BlockIndex(1))]);

    // An answer that never comes is a silence as well.
    assert_eq!(after(&mut buyer, NOW.plus(SILENCE_MS_MAX), Input::Tick)[0], Output::Disconnect);
}

#[test] // [S15.8]
fn slow_paths_own_slowness_and_a_slow_seller_are_no_silence() {
    let mut buyer = Buyer::new(Start::Fetch(BlockIndex(0)), NOW);
    after(&mut buyer, NOW, Input::Connected);
    after(&mut buyer, NOW, fetching(3, None));
    let later = NOW.plus(SILENCE_MS_MAX);
    after(&mut buyer, later, Input::Alive);
    assert_eq!(after(&mut buyer, later.plus(1), Input::Tick), []);

    after(&mut buyer, later, Input::Arrived(BlockIndex(3)));
    assert_eq!(after(&mut buyer, later.plus(RECHECK_MS - 1), Input::Tick), []);
    assert_eq!(after(&mut buyer, later.plus(RECHECK_MS), Input::Tick), [Output::Fetch(BlockIndex(3))]);
}

#[test] // [S12.3]
fn a_finished_stream_without_the_tail_is_asked_for_again() {
    let mut buyer = Buyer::new(Start::Fetch(BlockIndex(0)), NOW);
    after(&mut buyer, NOW, Input::Connected);
    after(&mut buyer, NOW, fetching(2, None));
    after(&mut buyer, NOW, Input::Arrived(BlockIndex(4)));
    after(&mut buyer, NOW, Input::Finished);
    assert_eq!(after(&mut buyer, NOW.plus(FINISHED_RECHECK_MS - 1), Input::Tick), []);
    let again = after(&mut buyer, NOW.plus(FINISHED_RECHECK_MS), Input::Tick);
    assert_eq!(again, [Output::Fetch(BlockIndex(4))]);

    // Everything there is has arrived; opening it takes its time.
    after(&mut buyer, NOW, fetching(4, Some(4)));
    after(&mut buyer, NOW, Input::Finished);
    assert_eq!(after(&mut buyer, NOW.plus(10 * SILENCE_MS_MAX), Input::Tick), []);
}

#[test] // [S15.8]
fn a_stream_that_is_finished_before_what_is_due_is_silence() {
    let mut buyer = Buyer::new(Start::Fetch(BlockIndex(0)), NOW);
    after(&mut buyer, NOW, Input::Connected);
    after(&mut buyer, NOW, fetching(3, Some(3)));
    after(&mut buyer, NOW, Input::Arrived(BlockIndex(2)));
    after(&mut buyer, NOW, Input::Finished);
    assert_eq!(after(&mut buyer, NOW.plus(FINISHED_RECHECK_MS - 1), Input::Tick), []);
    let silent = [Output::Disconnect, Output::Wait { attempt: 1, cause: Pause::Silent }];
    assert_eq!(after(&mut buyer, NOW.plus(FINISHED_RECHECK_MS), Input::Tick), silent);
}

#[test] // [S9.5] [S15.7]
fn a_transfer_that_is_called_complete_without_its_tail_is_cut_short() {
    for blocks in [0, 3] {
        let mut buyer = Buyer::new(Start::Fetch(BlockIndex(0)), NOW);
        after(&mut buyer, NOW, Input::Connected);
        after(&mut buyer, NOW, fetching(blocks, Some(blocks)));
        for opened in 0..blocks {
            after(&mut buyer, NOW, Input::Arrived(BlockIndex(opened + 1)));
            assert_eq!(after(&mut buyer, NOW, Input::Opened(BlockIndex(opened))), [], "more is to be opened");
        }
        assert_eq!(after(&mut buyer, NOW, Input::Opened(BlockIndex(blocks))), [Output::End(End::NoTail)]);
    }
    // While the number of blocks is open, there may be more.
    let mut buyer = Buyer::new(Start::Fetch(BlockIndex(0)), NOW);
    after(&mut buyer, NOW, Input::Connected);
    after(&mut buyer, NOW, fetching(3, None));
    after(&mut buyer, NOW, Input::Arrived(BlockIndex(3)));
    assert_eq!(after(&mut buyer, NOW, Input::Opened(BlockIndex(3))), []);
}

#[test] // [S12.3]
fn a_relay_that_forgets_blocks_is_not_believed() {
    let cases = [
        (vec![fetching(5, None), fetching(4, None)], "fewer than it said"),
        (vec![fetching(5, Some(5)), fetching(6, Some(6))], "more than the last"),
        (vec![fetching(5, Some(5)), fetching(5, None)], "complete no more"),
        (vec![fetching(5, None), Input::Arrived(BlockIndex(6)), fetching(5, None)], "fewer than it served"),
    ];
    for (inputs, why) in cases {
        let mut buyer = Buyer::new(Start::Fetch(BlockIndex(0)), NOW);
        after(&mut buyer, NOW, Input::Connected);
        let outputs: Vec<Output> = inputs.into_iter().flat_map(|input| after(&mut buyer, NOW, input)).collect();
        assert_eq!(outputs, [Output::End(End::Shrunk)], "{why}");
    }
}

#[test]
fn late_inputs_change_nothing() {
    let late = [
        Input::Offered,
        Input::Released,
        fetching(0, None),
        Input::Arrived(BlockIndex(99)),
        Input::Opened(BlockIndex(99)),
        Input::Damaged(BlockIndex(1)),
        Input::TailSeen,
        Input::Finished,
        Input::Tick,
        Input::Alive,
    ];
    let mut buyer = Buyer::new(Start::Deliver, NOW);
    after(&mut buyer, NOW, Input::Connected);
    for input in late {
        assert_eq!(after(&mut buyer, NOW, input), [], "{input:?}");
    }
    assert_eq!(after(&mut buyer, NOW, Input::Received), [Output::Done]);
    for input in late.into_iter().chain([Input::Connected, Input::LinkLost, Input::Received]) {
        assert_eq!(after(&mut buyer, NOW, input), [], "{input:?}");
    }
}
