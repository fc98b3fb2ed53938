//! Where the way out is a proxy, the relay is reached through it; what its name and password are is nobody's business.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::path::PathBuf;

use handover_shared::invite::Invite;
use handover_tests::gateway::{Gateway, RELAY_NAME, Spoken};
use handover_tests::{Ended, Language, Launch, Person, RelayProc, Scratch, Tree, data};

const SECRET: &str = "kennwort-7f3a";
const CREDENTIALS: &str = "wang%40shop:kennwort-7f3a@";

struct Scene {
    scratch: Scratch,
    relay: RelayProc,
    seller: Person,
    buyer: Person,
    source: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let scratch = Scratch::new();
        let relay = RelayProc::start(&scratch);
        let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
        let source = scratch.join("customers");
        data::write(source.join("list.csv"), &scratch.dice("customers").table(300_000));
        Self { scratch, relay, seller, buyer, source }
    }

    /// The invite of the relay, by the name that only a proxy resolves.
    fn invite(&self) -> String {
        let mut invite = Invite::parse(self.relay.invite()).unwrap();
        invite.address = format!("{RELAY_NAME}:{}", self.relay.port()).parse().unwrap();
        invite.to_text().as_str().to_owned()
    }

    fn push(&self, words: &[&str]) -> Launch {
        self.seller.handover(["push", "--json", "-vv", "--relay", &self.invite()]).args(words).arg(&self.source)
    }

    fn is_whole(&self, out: &str) {
        Tree::of(&self.source).must_equal(&Tree::of(self.scratch.join(out).join("customers")));
    }
}

fn code_of(ended: &Ended) -> String {
    let events = ended.events();
    let code = events.iter().find(|event| event["event"] == "code").expect("a code");
    code["code"].as_str().unwrap().to_owned()
}

/// Neither on the screen nor in the log, however much is logged.
fn keeps_the_secret(ended: &Ended) {
    let said = format!("{}{}", ended.out(), ended.err());
    assert!(!said.contains(SECRET) && !said.contains("wang"), "{ended}");
}

#[test] // [S11.9]
fn every_usual_way_to_name_a_proxy_leads_to_the_relay() {
    let scene = Scene::new();
    let port = scene.relay.port();
    for spoken in [Spoken::Http, Spoken::Socks] {
        let (open, locked) =
            (Gateway::start(spoken, port, None), Gateway::start(spoken, port, Some(("wang@shop", SECRET))));
        let ways: [(&str, String); 5] = [
            ("HTTPS_PROXY", open.url("")),
            ("https_proxy", locked.url(CREDENTIALS)),
            ("ALL_PROXY", locked.url(CREDENTIALS)),
            ("all_proxy", open.url("")),
            ("HANDOVER_PROXY", locked.url(CREDENTIALS)),
        ];
        for (turn, (variable, url)) in ways.iter().enumerate() {
            let pushed = scene.push(&["--new"]).env(variable, url).run().exits(0);
            keeps_the_secret(&pushed);
            let out = format!("out-{spoken:?}-{turn}");
            let pull = scene.buyer.pull(&code_of(&pushed), scene.scratch.join(&out)).args(["--json", "-vv"]);
            keeps_the_secret(&pull.env(variable, url).run().exits(0));
            scene.is_whole(&out);
        }
        let by_option = scene.push(&["--new", "--proxy", &open.url("")]).run().exits(0);
        assert!(by_option.events().iter().any(|event| event["transport"] == "tcp"), "{by_option}");
        for gateway in [&open, &locked] {
            let wanted = format!("{RELAY_NAME}:{port}");
            assert!(gateway.targets().iter().all(|target| *target == wanted), "{:?}", gateway.targets());
            let (passed, turned_away) = gateway.counts();
            assert!(passed > 4 && turned_away == 0, "{spoken:?}: {passed} {turned_away}");
        }
    }
}

#[test]
fn what_goes_wrong_at_a_proxy_is_said_without_its_password() {
    let scene = Scene::new();
    let port = scene.relay.port();
    let cases = |gateway: &Gateway| {
        [
            (gateway.url("wang:kennwort-7f3a-falsch@"), "name and a password", "用户名和密码"),
            (gateway.url(""), "name and a password", "用户名和密码"),
        ]
    };
    for spoken in [Spoken::Http, Spoken::Socks] {
        let locked = Gateway::start(spoken, port, Some(("wang@shop", SECRET)));
        for (url, english, chinese) in cases(&locked) {
            for (language, words) in [(Language::English, english), (Language::Chinese, chinese)] {
                let seller = scene.seller.speaking(language);
                let push = seller.handover(["push", "-vv", "--relay", &scene.invite()]).arg(&scene.source);
                let ended = push.env("HTTPS_PROXY", &url).run();
                assert!(ended.code == Some(5) && ended.err().contains(words), "{ended}");
                keeps_the_secret(&ended);
            }
        }
        // One that leads elsewhere.
        let elsewhere = Gateway::start(spoken, 1, None);
        let ended = scene.push(&[]).env("HTTPS_PROXY", elsewhere.url("")).run();
        assert!(ended.code == Some(5) && ended.err().contains("does not lead to"), "{ended}");
    }
    // One that is not there, one of a kind that is not spoken, one that is no address.
    let gone = scene.push(&[]).env("ALL_PROXY", format!("socks5://{CREDENTIALS}127.0.0.1:9")).run();
    assert!(gone.code == Some(5) && gone.err().contains("socks5://127.0.0.1:9"), "{gone}");
    keeps_the_secret(&gone);
    for url in [format!("https://{CREDENTIALS}proxy.example"), format!("gopher://{CREDENTIALS}proxy.example")] {
        let ended = scene.push(&[]).env("HTTPS_PROXY", &url).run();
        assert!(ended.code == Some(2) && ended.err().contains("HTTPS_PROXY"), "{ended}");
        keeps_the_secret(&ended);
    }
    // Credentials on the command line are seen by everybody; they are refused, and not repeated.
    for url in [format!("http://{CREDENTIALS}127.0.0.1:9"), format!("gopher://{CREDENTIALS}127.0.0.1:9")] {
        let ended = scene.push(&["--proxy", &url]).run();
        assert!(ended.code == Some(2), "{ended}");
        let own = ended.err().replace(&url, "");
        assert!(!own.contains(SECRET), "{ended}");
    }
    scene.push(&["--proxy", "socks5://127.0.0.1:9", "--transport", "quic"]).run().exits(2);
}

#[test] // [S11.9]
fn a_relay_that_needs_no_proxy_is_reached_without() {
    let scene = Scene::new();
    let gateway = Gateway::start(Spoken::Http, scene.relay.port(), None);
    // A relay on this machine never goes through one of the environment.
    let push = scene.seller.push(&scene.relay, [&scene.source]).env("HTTPS_PROXY", gateway.url(""));
    push.run().exits(0);
    assert_eq!(gateway.counts(), (0, 0));
    // Nor one that is exempt, or if it is said so; its name leads nowhere then.
    for (variable, value) in [("NO_PROXY", "behind.example"), ("no_proxy", "*"), ("HANDOVER_PROXY", "none")] {
        let ended = scene.push(&[]).env("HTTPS_PROXY", gateway.url("")).env(variable, value).run();
        assert_eq!(ended.code, Some(5), "{ended}");
    }
    assert_eq!(gateway.counts(), (0, 0));
    // Without a relay at hand the one inside the push is reached as ever.
    let out = scene.scratch.join("own");
    let push = scene.seller.handover(["push", "--relay", "embedded", "--proxy", &gateway.url("")]).arg(&scene.source);
    let push = handover_tests::Pushing::of(push.start());
    let port = push.code.rsplit_once(':').unwrap().1.to_owned();
    let code = format!("{}@127.0.0.1:{port}", push.code.split('@').next().unwrap());
    scene.buyer.pull(&code, &out).run().exits(0);
    push.running.end().exits(0);
    scene.is_whole("own");
    assert_eq!(gateway.counts(), (0, 0));
}
