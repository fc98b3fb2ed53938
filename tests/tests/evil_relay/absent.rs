//! A relay that keeps silent. Every client has a patience of its own; all of them are waited for at the same time, and
//! first, so that the other tests run meanwhile: that is why this file has a name from the front of the alphabet.

use handover_shared::ids::BlockCount;
use handover_shared::protocol::message::{Fetching, Reply, Request};
use handover_tests::double::Say;
use handover_tests::{Launch, Running, faults_table};

use crate::scene::{Scene, Told, code_of};

const LOST: Told = Told { exit: 5, code: "connection-lost", says: "broke" };

/// A client of its own relay, which keeps silent to one operation.
struct Waiting {
    operation: &'static str,
    scene: Scene,
    code: Option<String>,
    running: Running,
}

fn silent(
    operation: &'static str,
    prepare: fn(&Scene) -> Option<String>,
    launch: fn(&Scene, &str) -> Launch,
) -> Waiting {
    let scene = Scene::new();
    let code = prepare(&scene);
    scene.relay.does(move |visit| (visit.request.name() == operation).then(|| vec![Say::Silence]));
    let running = launch(&scene, code.as_deref().unwrap_or_default()).start();
    Waiting { operation, scene, code, running }
}

fn nothing(_: &Scene) -> Option<String> {
    None
}

fn pushed(scene: &Scene) -> Option<String> {
    Some(scene.pushed())
}

fn pull(scene: &Scene, code: &str) -> Launch {
    scene.pull(code)
}

fn push(scene: &Scene, _: &str) -> Launch {
    scene.push().arg("--json")
}

fn revoke(scene: &Scene, _: &str) -> Launch {
    scene.seller.handover(["revoke", "1", "--json"])
}

#[test] // [S15.8] [S12.2]
fn evil_relay_silence() {
    // Whoever has only just come gives up and says so.
    let ends = [silent("Peek", pushed, pull), silent("Hello", nothing, push), silent("Watch", pushed, revoke)];
    // Whoever has begun says that it stalls, and tries again.
    let mut goes_on = [
        silent("Fetch", pushed, pull),
        silent("Append", nothing, push),
        silent("Claim", pushed, pull),
        silent("Receive", pushed, pull),
        silent("Create", nothing, push),
        silent("Complete", nothing, push),
    ];
    for Waiting { operation, scene, running, .. } in &mut goes_on {
        running.event("stalled", |_| Some(()));
        scene.nothing_wrong_is_placed(operation);
        scene.relay.repents();
    }
    let gave_up = ends.len() as u64;
    for Waiting { operation, scene, code, running } in ends {
        let ended = running.end();
        scene.tells(LOST, operation, &ended);
        scene.nothing_is_placed(operation);
        let code = code.unwrap_or_else(|| {
            scene.relay.repents();
            code_of(&scene.push().run().exits(0))
        });
        scene.finishes(&code);
    }
    for Waiting { operation, scene, code, running } in goes_on {
        let ended = running.end().exits(0);
        scene.stays_calm(operation, &ended);
        let code = code.unwrap_or_else(|| ended.event("code")["code"].as_str().unwrap().to_owned());
        scene.finishes(&code);
        scene.record_count(&format!("silence to {operation}"), 1, "said, tried again; goes on by itself when honest");
    }
    let outcome = "exit 5 after half a minute, nothing begun; finishes when honest";
    faults_table::record("evil-relay", "silence to Hello, Peek and a revocation", gave_up, outcome);
}

#[test] // [S15.8]
fn evil_relay_promises_blocks_and_gives_none() {
    let scene = Scene::new();
    let code = scene.pushed();
    scene.relay.does(|visit| {
        let Request::Fetch(_) = visit.request else { return None };
        let all = BlockCount(visit.held().blocks.len() as u64);
        Some(vec![Say::reply(Reply::Fetching(Fetching { durable: all, blocks: Some(all) }))])
    });
    let mut running = scene.pull(&code).start();
    running.event("stalled", |_| Some(()));
    scene.nothing_is_placed("no block");
    scene.relay.repents();
    running.end().exits(0);
    scene.is_whole();
    scene.finishes(&code);
    scene.record_count("blocks promised and not given", 1, "said, tried again; goes on by itself when honest");
}
