//! What the relay shows of its log: forks, rewritten and dropped entries, other keys, and nothing at all.

use handover_shared::fault::Fault;
use handover_shared::ids::{Millis, TransferId};
use handover_shared::protocol::message::{EventKind, Logged, Reply, Request};
use handover_tests::Launch;
use handover_tests::double::Say;
use handover_tests::log_book::LogBook;

use crate::scene::{Scene, Told};

const FORKED: Told = Told { exit: 8, code: "log-forked", says: "two logs that cannot both be true" };
const INVALID: Told = Told { exit: 8, code: "log-invalid", says: "log is not valid" };

/// Answers what is asked of the log with what `change` makes of an honest answer.
fn shows(scene: &Scene, change: impl Fn(&mut Logged) + Send + Sync + 'static) {
    scene.relay.does(move |visit| {
        let Request::Log(ask) = visit.request else { return None };
        let mut logged = visit.store.logged(ask);
        change(&mut logged);
        Some(vec![Say::reply(Reply::Logged(logged))])
    });
}

fn wait(scene: &Scene) -> Launch {
    scene.seller.handover(["wait", "1", "--json"])
}

/// A transfer of which the seller holds a head, and which is claimed and received.
fn received() -> Scene {
    let scene = Scene::new();
    let code = scene.pushed();
    scene.seller.run(["status", "1"]).exits(0);
    assert_eq!(scene.relay.asked("Log"), 1, "a look at the transfer looks at the log");
    scene.pull(&code).run().exits(0);
    scene
}

#[test] // [S16.7]
fn evil_relay_rewrites_the_log() {
    type Rewriting = fn(&mut LogBook);
    let ways: [(&str, Rewriting); 4] = [
        ("another time in the first entry", |log| {
            log.rewrite(|entries| entries[0].time = Millis(entries[0].time.0 + 1));
        }),
        ("the first block was never there", |log| {
            log.rewrite(|entries| entries.retain(|entry| entry.event != EventKind::FirstBlock));
        }),
        ("two entries in another order", |log| log.rewrite(|entries| entries.swap(1, 2))),
        ("somebody else's entry in the middle", |log| {
            log.rewrite(|entries| {
                let mut other = entries[0].clone();
                other.transfer = TransferId([7; 16]);
                entries.insert(1, other);
            });
        }),
    ];
    for (what, rewrite) in ways {
        let scene = received();
        scene.relay.with(|store| rewrite(&mut store.log));
        let ended = scene.found_out(FORKED, what, &wait(&scene));
        assert!(ended.out().contains("\"receipt\""), "the receipt is told and kept all the same\n{ended}");
        scene.seller.run(["receipt", "show", "1"]).exits(0);
        let shown = scene.seller.run(["audit", "verify", "1", "--json"]).exits(8);
        assert_eq!(shown.event("audit")["check"], "forked", "{shown}");
        scene.record(what, "found by the seller, exit 8; both signed heads kept");
    }
}

#[test] // [S16.7]
fn evil_relay_shows_each_side_a_log_of_its_own() {
    let scene = Scene::new();
    let code = scene.pushed();
    scene.pull(&code).run().exits(0);
    // The buyer was shown the truth; the seller is shown a log without the buyer's receipt and with other entries.
    let fork = std::sync::Mutex::new(None::<LogBook>);
    scene.relay.does(move |visit| {
        let Request::Log(ask) = visit.request else { return None };
        let mut fork = fork.lock().unwrap();
        let log = fork.get_or_insert_with(|| {
            let mut log = visit.store.log.fork();
            log.rewrite(|entries| {
                let late = entries.iter().rposition(|entry| entry.event == EventKind::Deleted).unwrap();
                entries[late].time = Millis(entries[late].time.0 + 1000);
            });
            log
        });
        let answer = log.answer(ask, Millis(1_900_000_000_000));
        Some(vec![Say::reply(Reply::Logged(answer))])
    });
    scene.seller.run(["wait", "1"]).exits(0);
    let (one, other) = (scene.scratch.join("one"), scene.scratch.join("other"));
    scene.seller.handover(["audit", "export", "1"]).arg(&one).run().exits(0);
    scene.buyer.handover(["audit", "export", "1"]).arg(&other).run().exits(0);

    // Each holds by itself; side by side they do not.
    for folder in [&one, &other] {
        scene.seller.handover(["audit", "verify"]).arg(folder).run().exits(0);
    }
    let both = scene.seller.handover(["audit", "verify", "--json"]).arg(&one).arg(&other);
    scene.found_out(FORKED, "two logs", &both);
    scene.record("each side is shown a log of its own", "found side by side, exit 8");
}

#[test] // [S16.6]
fn evil_relay_shows_a_log_that_is_none() {
    type Lie = fn(&mut Logged);
    let lies: [(&str, Lie); 5] = [
        ("the head of another relay", |logged| logged.head = LogBook::new([9; 32]).sign(Millis(1))),
        ("a signature that does not fit", |logged| {
            logged.head.text = logged.head.text.replacen("\"size\": \"", "\"size\": \"1", 1)
        }),
        ("an entry is left out", |logged| drop(logged.entries.remove(1))),
        ("an entry without its way to the root", |logged| logged.entries[1].path.clear()),
        ("a deletion that nobody signed", |logged| {
            if let Some(deletion) = &mut logged.deletion {
                deletion.text = deletion.text.replacen("\"blocks\": \"", "\"blocks\": \"1", 1);
            }
        }),
    ];
    for (what, lie) in lies {
        let scene = Scene::new();
        let code = scene.pushed();
        scene.pull(&code).run().exits(0);
        shows(&scene, lie);
        scene.found_out(INVALID, what, &wait(&scene));
        scene.relay.repents();
        scene.seller.run(["wait", "1"]).exits(0);
        scene.seller.run(["status", "1"]).exits(0);
        scene.record(what, "found by the seller, exit 8");
    }
}

#[test] // [S16.7]
fn evil_relay_shows_no_log() {
    let scene = Scene::new();
    let code = scene.pushed();
    scene.pull(&code).run().exits(0);
    scene.relay.does(|visit| match visit.request {
        Request::Log(_) => Some(vec![Say::refuse(Fault::Internal)]),
        _ => None,
    });
    let ended = wait(&scene).run().exits(0);
    assert!(!ended.out().contains("\"deleted\","), "{ended}");
    assert_eq!(scene.seller.run(["audit", "show", "1"]).code, Some(1));
    scene.record_count("the log is withheld", 1, "seen: nothing is called signed that is not");
}
