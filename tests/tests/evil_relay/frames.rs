//! What is no message, or one that nobody asked for: lengths, types, order, numbers, streams without end.

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, Millis};
use handover_shared::protocol::message::{
    Created, Durable, Enrolled, Event, EventKind, Fetching, Phase, Refused, Reply, Request, Snapshot,
};
use handover_tests::double::{EvilRelay, Say, Visit};
use handover_tests::{Ended, Launch, Running, process, wait};
use serde_json::Value;

use crate::scene::{BLOCK, MEMORY_KIB_MAX, MISBEHAVED, Scene, code_of};

/// A message that is framed by hand.
fn framed(length: u32, kind: u8, body: &[u8]) -> Vec<u8> {
    [&length.to_be_bytes()[..], &[kind], body].concat()
}

/// Bytes that are no reply, whatever was asked.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a length of nothing", framed(0, 1, &[])),
        ("a length of four gigabytes", framed(u32::MAX, 1, &[0; 4096])),
        ("a length just above the limit", framed(64 * 1024 + 1, 1, &[0; 4096])),
        ("an offer's length just above its limit", framed(512 * 1024 + 1, 13, &[0; 4096])),
        ("an unknown type", framed(2, 77, &[0x80])),
        ("the type of a request", framed(2, 12, &[0x80])),
        ("no CBOR", framed(4, 13, &[0xff, 0xff, 0xff])),
        ("CBOR that ends early", framed(3, 13, &[0x87, 0x50])),
        ("bytes behind the CBOR", framed(3, 3, &[0x80, 0])),
        ("an array of four thousand million", framed(6, 13, &[0x9a, 0xff, 0xff, 0xff, 0xff])),
        ("bytes as long as memory", framed(11, 13, &[0x87, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("arrays in arrays", framed(4001, 13, &[0x81; 4000])),
        ("nothing at all", Vec::new()),
    ]
}

/// Answers one operation with a script.
fn answers(relay: &EvilRelay, operation: &'static str, script: Vec<Say>) {
    relay.does(move |visit| (visit.request.name() == operation).then(|| script.clone()));
}

#[test] // [S2.2] [S3.1] [S11.3]
fn evil_relay_frames() {
    let scene = Scene::new();
    let code = scene.pushed();
    let mut tried = 0;
    // In the order in which they are asked: a transfer that has been claimed is not looked at again.
    for operation in ["Peek", "Claim"] {
        for (what, bytes) in malformed() {
            answers(&scene.relay, operation, vec![Say::Bytes(bytes.clone())]);
            scene.found_out(MISBEHAVED, &format!("{what} to {operation}"), &scene.pull(&code));
            tried += 1;
        }
    }
    scene.nothing_is_placed("malformed frames");
    // The seller, on another transfer of the same folder.
    let push = scene.seller.handover(["push", "--json", "--new", "--relay", scene.relay.invite()]).arg(&scene.source);
    for (number, (what, bytes)) in malformed().into_iter().enumerate() {
        // An append stream may be finished at any time; that is no malformed reply but a loss.
        let operation = ["Create", "Complete", "Append"][if bytes.is_empty() { 0 } else { number % 3 }];
        answers(&scene.relay, operation, vec![Say::Bytes(bytes)]);
        scene.found_out(MISBEHAVED, &format!("{what} to {operation}"), &push);
        tried += 1;
    }
    scene.finishes(&code);
    scene.record_count("malformed frames", tried, "said, exit 1, memory bounded; finishes when honest");
}

#[test] // [S11.3] [S12.1]
fn evil_relay_out_of_order() {
    let scene = Scene::new();
    let code = scene.pushed();
    let enrolled = || Say::reply(Reply::Enrolled(Enrolled {}));
    let durable = |count| Say::reply(Reply::Durable(Durable { durable: BlockCount(count) }));
    let fetching = |count| Fetching { durable: BlockCount(count), blocks: Some(BlockCount(count)) };
    for operation in ["Peek", "Claim", "Fetch", "Receive"] {
        answers(&scene.relay, operation, vec![enrolled()]);
        let told =
            scene.found_out(MISBEHAVED, &format!("an answer to another question, to {operation}"), &scene.pull(&code));
        assert!(told.out().contains("answered another question"), "{told}");
    }
    scene.finishes(&code);
    scene.record("answers to another question, to the buyer", "said, exit 1; finishes when honest");
    // The answer to Fetch twice: the second is taken for bytes of a block, and does not open.
    let scene = Scene::new();
    let code = scene.pushed();
    answers(
        &scene.relay,
        "Fetch",
        vec![
            Say::reply(Reply::Fetching(fetching(11))),
            Say::reply(Reply::Fetching(fetching(11))),
            Say::Bytes(vec![0; 2 * BLOCK]),
        ],
    );
    scene.found_out(crate::scene::ALTERED, "Fetching twice", &scene.pull(&code));
    scene.finishes(&code);
    let push = scene.seller.handover(["push", "--json", "--new", "--relay", scene.relay.invite()]).arg(&scene.source);
    let appending = |count| Say::reply(Reply::Appending(Durable { durable: BlockCount(count) }));
    let cases: [(&str, &'static str, Vec<Say>); 5] = [
        ("Durable before Appending", "Append", vec![durable(1), appending(0), Say::Silence]),
        ("Appending twice", "Append", vec![appending(0), appending(0), Say::Silence]),
        ("Enrolled to Create", "Create", vec![enrolled()]),
        ("Enrolled to Complete", "Complete", vec![enrolled()]),
        ("Enrolled while appending", "Append", vec![appending(0), enrolled(), Say::Silence]),
    ];
    for (what, operation, script) in cases {
        answers(&scene.relay, operation, script);
        scene.found_out(MISBEHAVED, what, &push);
    }
    scene.relay.repents();
    push.run().exits(0);
    scene.record("messages out of order, repeated or early", "said, exit 1 or 8; finishes when honest");
}

/// The snapshot of a transfer about which everything is as large as it can be.
fn absurd(told: &mut Snapshot) {
    told.durable = BlockCount(u64::MAX);
    told.blocks = Some(BlockCount(u64::MAX));
    told.fetched = BlockCount(u64::MAX);
    told.expires = Millis(u64::MAX);
    let event =
        |sequence| Event { sequence, time: Millis(u64::MAX), kind: EventKind::ClaimRefused, by: None, body: None };
    told.events = (0..200).map(event).collect();
    told.events.push(event(u64::MAX));
}

#[test] // [S3.1] [S12.7]
fn evil_relay_absurd_numbers() {
    let scene = Scene::new();
    let code = scene.pushed();
    let end = |ended: &Ended, what: &str, codes: &[i32]| ends_calmly(&scene, ended, what, codes);
    let mut tried = 0;
    for operation in ["Peek", "Claim"] {
        for fault in [Fault::AlreadyClaimed, Fault::Expired, Fault::QuotaExceeded]
            .map(Fault::number)
            .into_iter()
            .chain([22, 65_535])
        {
            let refused = Refused { fault, number: Some(u64::MAX), time: Some(Millis(u64::MAX)) };
            answers(&scene.relay, operation, vec![Say::reply(Reply::Refused(refused))]);
            // An unknown number is an internal failure of the relay, which passes: a claim is tried again.
            let running = scene.pull(&code).start();
            let ended = ends_or_stalls(running);
            end(&ended, &format!("{operation} refused with {fault}"), &[5, 6, 7, 130]);
            tried += 1;
        }
    }
    for (durable, blocks) in [(u64::MAX, Some(u64::MAX)), (11, Some(u64::MAX)), (u64::MAX, Some(1)), (0, Some(0))] {
        let fetching = Fetching { durable: BlockCount(durable), blocks: blocks.map(BlockCount) };
        answers(&scene.relay, "Fetch", vec![Say::reply(Reply::Fetching(fetching))]);
        let ended = ends_or_stalls(scene.pull(&code).start());
        end(&ended, &format!("Fetching {durable} of {blocks:?}"), &[1, 8, 130]);
        tried += 1;
    }
    scene.finishes(&code);
    scene.record_count("absurd numbers, to the buyer", tried, "no panic, nothing placed; finishes when honest");
}

#[test] // [S3.1] [S12.7]
fn evil_relay_absurd_numbers_for_the_seller() {
    let scene = Scene::new();
    let code = scene.pushed();
    let end = |ended: &Ended, what: &str, codes: &[i32]| ends_calmly(&scene, ended, what, codes);
    let mut tried = 0;
    scene.relay.does(|visit| match visit.request {
        Request::Watch(_) => Some(visit.snapshot(absurd)),
        _ => None,
    });
    for arguments in [&["status", "1"][..], &["status"], &["status", "1", "--json"], &["revoke", "99"]] {
        end(&scene.seller.run(arguments), "an absurd snapshot", &[0, 10]);
        tried += 1;
    }
    answers(
        &scene.relay,
        "Create",
        vec![Say::reply(Reply::Created(Created { created: Millis(u64::MAX), expires: Millis(u64::MAX) }))],
    );
    let push = scene.seller.handover(["push", "--new", "--relay", scene.relay.invite()]).arg(&scene.source);
    let ended = ends_or_stalls(push.start());
    end(&ended, "an absurd Created", &[0, 1, 5, 6, 10]);
    for (bytes, max, default, time) in [(0, 1, 1, 0), (u64::MAX, u64::MAX, u64::MAX, u64::MAX), (1, 0, u64::MAX, 0)] {
        scene.relay.does(move |visit| {
            let Request::Hello(_) = visit.request else { return None };
            let mut script = visit.honestly();
            if let Some(Say::Reply(reply)) = script.first_mut()
                && let Reply::Welcome(welcome) = &mut **reply
            {
                (welcome.transfer_bytes_max, welcome.expiry_ms_max) = (bytes, max);
                (welcome.expiry_ms_default, welcome.time) = (default, Millis(time));
                welcome.version = "\u{1b}[31m\u{202e}".repeat(4000);
            }
            Some(script)
        });
        let ended = ends_or_stalls(push.start());
        end(&ended, "an absurd Welcome", &[0, 1, 6]);
        assert!(!ended.err().contains('\u{1b}') && !ended.err().contains('\u{202e}'), "escaped\n{ended}");
        tried += 2;
    }
    scene.finishes(&code);
    scene.record_count("absurd numbers, to the seller", tried, "no panic, nothing escapes; finishes when honest");
}

/// With one of these exit codes, no panic, and nothing wrong in its place.
#[track_caller]
fn ends_calmly(scene: &Scene, ended: &Ended, what: &str, codes: &[i32]) {
    assert!(ended.code.is_some_and(|code| codes.contains(&code)), "{what}\n{ended}");
    scene.stays_calm(what, ended);
    scene.nothing_wrong_is_placed(what);
}

/// Waits for the end, or for the first stall, at which it is interrupted.
fn ends_or_stalls(mut running: Running) -> Ended {
    wait::until("an end or a stall", wait::USUAL, || {
        let stalled = running.events().iter().any(|event| event["event"] == "stalled");
        (stalled || !running.is_running()).then_some(())
    });
    if running.is_running() {
        running.interrupt();
    }
    running.end()
}

/// Lets a relay flood a process until so much was sent, looks at its memory, and stops it.
fn survives_flood(relay: &EvilRelay, what: &str, launch: &Launch, is_enough: impl Fn(&Running) -> bool) {
    let mut running = launch.start();
    let mut kib = 0;
    wait::until(what, wait::USUAL, || {
        kib = process::usage(running.id()).peak_kib.max(kib);
        (is_enough(&running) || !running.is_running()).then_some(())
    });
    assert!(kib > 0 && kib < MEMORY_KIB_MAX, "{what}: {kib} KiB");
    assert!(relay.flooded() + relay.dropped() > 0, "{what}: the relay did nothing");
    if running.is_running() {
        running.interrupt();
    }
    let ended = running.end();
    assert!(ended.code.is_some_and(|code| [0, 1, 5, 8, 130].contains(&code)), "{what}\n{ended}");
    assert!(ended.peak_kib < MEMORY_KIB_MAX, "{what}: {} KiB\n{ended}", ended.peak_kib);
}

/// Bytes of a flood that would be noticed if they were kept.
const FLOOD: u64 = 64 * 1024 * 1024;

#[test] // [S12.4]
fn evil_relay_endless_snapshots() {
    let scene = Scene::new();
    let code = scene.pushed();
    // Snapshots without end to whoever waits for a receipt; and to whoever may not even write them down meanwhile.
    let snapshots = |visit: &mut Visit<'_>| {
        let Request::Watch(_) = visit.request else { return None };
        let event = Event { sequence: 3, time: Millis(7), kind: EventKind::FirstBlock, by: Some(visit.by), body: None };
        let script = visit.snapshot(|told| {
            told.events = vec![event; 200];
            told.sealed_receipt = Some(vec![7; 50_000]);
        });
        let Some(Say::Reply(reply)) = script.first() else { return None };
        Some(vec![Say::Endless(reply.to_bytes().repeat(8))])
    };
    scene.relay.does(snapshots);
    let waiting = scene.seller.handover(["wait", "1", "--json"]);
    survives_flood(&scene.relay, "snapshots without end", &waiting, |_| scene.relay.flooded() > FLOOD);
    scene.relay.repents();
    let holder = scene.push().args(["--wait", "--json"]).start();
    wait::until("a run that holds the transfer", wait::USUAL, || (scene.relay.asked("Watch") > 1).then_some(()));
    scene.relay.does(snapshots);
    survives_flood(&scene.relay, "snapshots without end, beside another run", &waiting, |_| {
        scene.relay.flooded() > 3 * 1024 * MEMORY_KIB_MAX / 2
    });
    drop(holder);
    scene.relay.repents();
    scene.pull(&code).run().exits(0);
    scene.finishes(&code);
    scene.record_count("snapshots without end", 2, "memory bounded, ends when asked to; finishes when honest");
}

#[test] // [S2.2] [S12.3]
fn evil_relay_endless_blocks() {
    let scene = Scene::new();
    let code = scene.pushed();
    // An answer without end behind the answer.
    scene.relay.does(|visit: &mut Visit<'_>| {
        let Request::Peek(_) = visit.request else { return None };
        let mut script = visit.honestly();
        script.push(Say::Endless(vec![0; BLOCK]));
        Some(script)
    });
    scene.buyer.run(["pull", &code, "--list"]).exits(0);
    // Blocks without end, none of which opens.
    scene.relay.does(|visit| {
        let Request::Fetch(_) = visit.request else { return None };
        let count = BlockCount(u64::MAX);
        let fetching = Fetching { durable: count, blocks: Some(count) };
        Some(vec![Say::reply(Reply::Fetching(fetching)), Say::Endless(vec![0x5a; 16 * BLOCK])])
    });
    survives_flood(&scene.relay, "blocks without end", &scene.pull(&code), |_| scene.relay.flooded() > FLOOD);
    scene.nothing_is_placed("blocks without end");
    scene.finishes(&code);
    scene.record_count("blocks and answers without end", 2, "memory bounded; finishes when honest");
}

#[test] // [S12.2]
fn evil_relay_endless_acknowledgements() {
    let scene = Scene::new();
    // Acknowledgements without end, each of nothing: time still passes, and what is sent gets through.
    scene.relay.does(|visit| match visit.request {
        Request::Append(_) => {
            let none = Reply::Durable(Durable { durable: BlockCount(0) }).to_bytes();
            let start = Reply::Appending(Durable { durable: BlockCount(0) });
            Some(vec![Say::reply(start), Say::Endless(none.repeat(1000))])
        }
        _ => None,
    });
    let push = scene.push().arg("--json");
    let sends = |running: &Running| {
        let is_sending = |event: &Value| event["event"] == "progress" && event["phase"] == "sending";
        running.events().iter().any(is_sending)
    };
    survives_flood(&scene.relay, "acknowledgements without end", &push, |running| {
        scene.relay.flooded() > FLOOD / 32 && sends(running)
    });
    scene.relay.repents();
    let code = code_of(&scene.push().run().exits(0));
    scene.pull(&code).run().exits(0);
    scene.finishes(&code);
    scene.record_count("acknowledgements without end", 1, "memory bounded, time passes; finishes when honest");
}

#[test] // [S11.1]
fn evil_relay_wrong_streams() {
    let scene = Scene::new();
    scene.relay.does(|visit| {
        let mut script = visit.honestly();
        script.insert(0, Say::OtherStreams);
        Some(script)
    });
    let ended = scene.push().run().exits(0);
    scene.stays_calm("streams of the relay's own, to the seller", &ended);
    let code = code_of(&ended);
    let ended = scene.pull(&code).run().exits(0);
    scene.stays_calm("streams of the relay's own, to the buyer", &ended);
    scene.is_whole();
    scene.seller.run(["wait", "1"]).exits(0);
    assert_eq!(scene.relay.opened_other(), 0, "no client lets a relay open a stream");
    scene.record_count("streams and datagrams of the relay's own", 2, "never opened, never read; all goes on");
}

#[test] // [S12.3] [S15.8]
fn evil_relay_slow_loris() {
    let scene = Scene::new();
    let code = scene.pushed();
    let drips = |_: &Running| scene.relay.dropped() > 300;
    // A message that never ends, to each of the first questions of each side.
    for operation in ["Peek", "Claim"] {
        answers(&scene.relay, operation, vec![Say::Bytes(framed(60_000, 13, &[0x87])), Say::Drops(vec![0; 60_000])]);
        survives_flood(&scene.relay, operation, &scene.pull(&code), drips);
    }
    // Blocks one byte at a time: slow is not silent; it goes on as long as the person lets it.
    scene.relay.does(|visit| {
        let Request::Fetch(_) = visit.request else { return None };
        let blocks = visit.blocks();
        let mut script = visit.serve(&blocks);
        if let Some(Say::Bytes(bytes)) = script.pop() {
            script.push(Say::Drops(bytes));
        }
        Some(script)
    });
    survives_flood(&scene.relay, "blocks byte by byte", &scene.pull(&code), drips);
    scene.nothing_is_placed("slow blocks");
    let push = scene.seller.handover(["push", "--json", "--new", "--relay", scene.relay.invite()]).arg(&scene.source);
    for operation in ["Create", "Append"] {
        answers(&scene.relay, operation, vec![Say::Bytes(framed(60_000, 5, &[0x82])), Say::Drops(vec![0; 60_000])]);
        survives_flood(&scene.relay, operation, &push, drips);
    }
    answers(&scene.relay, "Watch", vec![Say::Bytes(framed(60_000, 21, &[0x88])), Say::Drops(vec![0; 60_000])]);
    survives_flood(&scene.relay, "Watch", &scene.seller.handover(["wait", "1"]), drips);
    scene.finishes(&code);
    scene.record_count("one byte at a time", 7, "memory bounded, ends when asked to; finishes when honest");
}

#[test] // [S12.1]
fn evil_relay_phase_of_a_peek() {
    let scene = Scene::new();
    let code = scene.pushed();
    for phase in [Phase::Receipted, Phase::Revoked, Phase::Expired] {
        scene.relay.does(move |visit| {
            let Request::Peek(_) = visit.request else { return None };
            let mut script = visit.honestly();
            if let Some(Say::Reply(reply)) = script.first_mut()
                && let Reply::Peeked(peeked) = &mut **reply
            {
                peeked.phase = phase;
            }
            Some(script)
        });
        let ended = scene.pull(&code).run().exits(7);
        scene.stays_calm("a phase", &ended);
        assert_eq!(scene.relay.asked("Claim"), 0);
    }
    scene.finishes(&code);
    scene.record_count("a final phase in the answer to a look", 3, "exit 7, code not spent; finishes when honest");
}
