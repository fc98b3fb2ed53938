//! Networks that go away, come back, and move.

use handover_shared::invite::Invite;
use handover_tests::proxy::Proxy;
use handover_tests::{Language, Pushing, data, wait};

use super::{Scene, says, tried};

/// The invite of the relay, at the address of the proxy.
fn through(scene: &Scene, proxy: &Proxy) -> String {
    let mut invite = Invite::parse(scene.relay.invite()).unwrap();
    invite.address = proxy.address().parse().unwrap();
    invite.to_text().as_str().to_owned()
}

#[test] // [S11.1]
fn the_address_changes_in_the_middle() {
    let scene = Scene::new(32);
    let proxy = Proxy::start(scene.relay.port());
    let push = scene.seller.handover(["push", "--relay", &through(&scene, &proxy)]).arg(&scene.source);
    let push = Pushing::of(push.limit(wait::LONG).start());
    for share in [1, 2] {
        let moment = share * (8 << 20);
        wait::until("bytes at the relay", wait::LONG, || {
            (data::folder_bytes(&scene.segments()) >= moment).then_some(())
        });
        proxy.change_addresses();
    }
    let ended = push.running.end().exits(0);
    assert!(!ended.err().contains("reconnecting"), "QUIC moves the connection\n{ended}");
    let pull = scene.pull(&push.code).start();
    wait::until("bytes at the buyer", wait::LONG, || (data::folder_bytes(&scene.out()) >= 8 << 20).then_some(()));
    proxy.change_addresses();
    pull.end().exits(0);
    scene.is_whole();
    tried("the client's address changes in the middle", 3, "the connection goes on");
}

#[test] // [S15.8]
fn the_network_is_gone_for_a_while() {
    let scene = Scene::new(32);
    let proxy = Proxy::start(scene.relay.port());
    let push = scene.seller.handover(["push", "--json", "--relay", &through(&scene, &proxy)]).arg(&scene.source);
    let mut push = Pushing::of(push.limit(wait::LONG).start());
    proxy.cut();
    // Until it is noticed and said; only then the network comes back.
    push.running.event("stalled", |event| Some(event["cause"].clone()));
    assert!(proxy.lost() > 0);
    proxy.mend();
    push.running.end().exits(0);
    scene.pull(&push.code).run().exits(0);
    scene.is_whole();
    tried("network gone until it is noticed", 1, "said as stalled; continued in the same run");
}

#[test]
fn datagrams_are_dropped_from_the_start() {
    let scene = Scene::new(1);
    let proxy = Proxy::start(scene.relay.port());
    let invite = through(&scene, &proxy);
    let push = scene.seller.handover(["push", "--relay", &invite]).arg(&scene.source).run().exits(0);
    let code = super::code_of(&push);
    proxy.cut();
    std::thread::scope(|scope| {
        for language in Language::ALL {
            let (scene, invite, code) = (&scene, &invite, &code);
            scope.spawn(move || {
                let seller = scene.seller.speaking(language);
                let ended = seller.handover(["push", "--new", "--relay", invite]).arg(&scene.source).run();
                says(&ended, 5, language, "cannot be reached", "无法连接");
            });
            scope.spawn(move || {
                let ended = scene.buyer.speaking(language).pull(code, scene.out()).run();
                says(&ended, 5, language, "cannot be reached", "无法连接");
            });
        }
    });
    proxy.mend();
    scene.pull(&code).run().exits(0);
    scene.is_whole();
    tried("UDP silently dropped", 4, "exit 5 in both languages; continued");
}
