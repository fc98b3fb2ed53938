//! Relays that are restarted as another, move, or stand still.

use handover_shared::invite::Invite;
use handover_tests::{Language, Launch, Pushing, RelayProc, data, programs, wait};

use super::{Scene, says, tried};

fn another(scene: &Scene, port: u16) -> RelayProc {
    let folder = scene.scratch.folder("other-machine");
    let launch = Launch::new(programs::relay(), &folder).env("HOME", &folder);
    RelayProc::start_from(launch, scene.scratch.join("other-relay"), port, &[])
}

#[test] // [S11.2] [S10.8]
fn the_key_is_another_in_the_middle() {
    let mut scene = Scene::new(24);
    let push = Pushing::of(scene.push().start());
    wait::until("the first blocks", wait::USUAL, || (data::folder_bytes(&scene.segments()) > 0).then_some(()));
    let port = scene.relay.port();
    scene.relay.kill();
    let usurper = another(&scene, port);
    let ended = push.running.end();
    says(&ended, 8, Language::English, "another machine than expected", "");
    for language in Language::ALL {
        let ended = scene.seller.speaking(language).handover(["resume", "1"]).run();
        says(&ended, 8, language, "another machine than expected", "不是预期的机器");
    }
    drop(usurper);
    scene.relay.restart();
    scene.push().run().exits(0);

    let pull = scene.pull(&push.code).start();
    wait::until("the first bytes", wait::USUAL, || (data::folder_bytes(&scene.out()) > 1 << 20).then_some(()));
    scene.relay.kill();
    let usurper = another(&scene, port);
    let ended = pull.end();
    says(&ended, 8, Language::English, "another machine than expected", "");
    for language in Language::ALL {
        let ended = scene.buyer.speaking(language).pull(&push.code, scene.out()).run();
        says(&ended, 8, language, "another machine than expected", "不是预期的机器");
    }
    drop(usurper);
    scene.relay.restart();
    scene.pull(&push.code).run().exits(0);
    scene.is_whole();
    tried("the relay's key is another in the middle", 6, "exit 8 in both languages; continued with the right one");
}

#[test]
fn the_relay_moves_to_another_address() {
    let mut scene = Scene::new(24);
    let push = Pushing::of(scene.push().start());
    wait::until("the first blocks", wait::USUAL, || (data::folder_bytes(&scene.segments()) > 0).then_some(()));
    let before = scene.relay.address().to_owned();
    scene.relay.kill();
    push.running.kill();
    // The same data folder on another port: the same relay at another address.
    let folder = scene.scratch.folder("relay-machine");
    let launch = Launch::new(programs::relay(), &folder).env("HOME", &folder);
    let relay = RelayProc::start_from(launch, scene.relay.data().to_owned(), 0, &[]);
    assert_ne!(relay.address(), before);
    let keys = [scene.relay.invite(), relay.invite()].map(|invite| Invite::parse(invite).unwrap().relay_key);
    assert_eq!(keys[0], keys[1]);
    scene.relay = relay;

    // The seller is told where it is, and goes on.
    scene.seller.run(["relay", "add", scene.relay.invite()]).exits(0);
    scene.seller.handover(["resume", "1"]).limit(wait::LONG).run().exits(0);
    // The buyer has the code, and is told the new address.
    let (token, _) = push.code.split_once('@').unwrap();
    let there = format!("{token}@{}", scene.relay.address());
    scene.pull(&there).run().exits(0);
    scene.seller.run(["wait", "1"]).exits(0);
    scene.is_whole();
    tried("the relay moves to another address", 1, "relay add, then resume goes on; the code works there");
}
