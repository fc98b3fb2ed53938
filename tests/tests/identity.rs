//! Keys: with a passphrase, with an ssh-agent; and whose key the other side's is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use handover_tests::{Language, Launch, Person, RelayProc, Scratch, data, programs};

/// A key made by OpenSSH; nothing where it is not installed.
fn ssh_key(scratch: &Scratch, name: &str, passphrase: &str) -> Option<PathBuf> {
    let Some(ssh_keygen) = programs::on_path("ssh-keygen") else {
        eprintln!("skipped: ssh-keygen is not installed");
        return None;
    };
    let path = scratch.join(name);
    Launch::new(ssh_keygen, scratch.path())
        .args(["-q", "-t", "ed25519", "-C", "wang@shop.example", "-N", passphrase, "-f"])
        .arg(&path)
        .run()
        .exits(0);
    Some(path)
}

fn fingerprint(person: &Person) -> String {
    person.run(["identity", "show", "--json"]).exits(0).event("identity")["key"].as_str().unwrap().to_owned()
}

fn fingerprint_of(scratch: &Scratch, key: &Path) -> String {
    let shown = Launch::new(programs::on_path("ssh-keygen").unwrap(), scratch.path()).args(["-l", "-f"]).arg(key).run();
    shown.exits(0).out().split_whitespace().find(|word| word.starts_with("SHA256:")).unwrap().to_owned()
}

#[test] // [S20.1] [S20.2]
fn a_key_with_a_passphrase_signs_when_it_is_given() {
    let scratch = Scratch::new();
    let Some(key) = ssh_key(&scratch, "id", "correct horse") else { return };
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let file = |name: &str, text: &str| {
        let path = scratch.join(name);
        data::write(&path, text.as_bytes());
        path
    };
    let (good, wrong, new) = (file("good", "correct horse\n"), file("wrong", "battery"), file("new", "staple"));
    let import = |passphrase: &Path| {
        buyer.handover(["identity", "import", "--json", "--passphrase-file"]).arg(passphrase).arg(&key).run()
    };
    assert_eq!(import(&wrong).exits(1).event("error")["code"], "wrong-passphrase");
    // Nobody is there to be asked.
    let nobody = buyer.handover(["identity", "import", "--json"]).arg(&key).run().exits(3);
    assert_eq!(nobody.event("error")["code"], "answer-needed");
    import(&good).exits(0);
    assert_eq!(fingerprint(&buyer), fingerprint_of(&scratch, &key));
    let kept = fs::read_to_string(buyer.home().join("identity")).unwrap();
    assert_eq!(kept, fs::read_to_string(&key).unwrap(), "it is as well protected here");

    let source = scratch.join("customers.csv");
    data::write(&source, b"customers");
    let code = seller.pushed(&relay, [&source]);
    let out = scratch.join("out");
    // Without the passphrase nothing is taken, and the code is not used up.
    for (language, sentence) in [(Language::English, "passphrase"), (Language::Chinese, "--passphrase-file")] {
        let refused = buyer.speaking(language).pull(&code, &out).run().exits(3);
        assert!(refused.err().contains(sentence), "{refused}");
    }
    buyer.pull(&code, &out).args(["--passphrase-file"]).arg(&wrong).run().exits(1);
    buyer.pull(&code, &out).env("HANDOVER_PASSPHRASE_FILE", &good).run().exits(0);
    let receipt = seller.run(["wait", "1", "--json"]).exits(0).event("receipt");
    assert_eq!(receipt["buyer_key"], fingerprint(&buyer).as_str());

    // Another passphrase, then none.
    let change = |old: &Path, more: &[&str]| {
        buyer.handover(["identity", "passphrase", "--passphrase-file"]).arg(old).args(more).run()
    };
    let new_path = new.to_str().unwrap();
    change(&wrong, &["--new-passphrase-file", new_path]).exits(1);
    change(&good, &["--new-passphrase-file", new_path]).exits(0);
    change(&good, &["--remove"]).exits(1);
    Launch::new(programs::on_path("ssh-keygen").unwrap(), scratch.path())
        .args(["-y", "-P", "staple", "-f"])
        .arg(buyer.home().join("identity"))
        .run()
        .exits(0);
    change(&new, &["--remove"]).exits(0);
    assert_eq!(buyer.run(["identity", "show", "--json"]).exits(0).event("identity")["place"], "file");
}

/// An agent of OpenSSH; killed when dropped.
struct SshAgent {
    running: Option<handover_tests::Running>,
    socket: PathBuf,
}

impl SshAgent {
    fn start(scratch: &Scratch, keys: &[&Path]) -> Option<Self> {
        let (Some(agent), Some(add)) = (programs::on_path("ssh-agent"), programs::on_path("ssh-add")) else {
            eprintln!("skipped: ssh-agent is not installed");
            return None;
        };
        let socket = scratch.join("agent.socket");
        let running = Launch::new(agent, scratch.path()).args(["-D", "-a"]).arg(&socket).start();
        handover_tests::wait::until("the agent", handover_tests::wait::USUAL, || socket.exists().then_some(()));
        for key in keys {
            let added = Launch::new(&add, scratch.path()).env("SSH_AUTH_SOCK", &socket).arg("-q").arg(key).run();
            added.exits(0);
        }
        Some(Self { running: Some(running), socket })
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }
}

#[test] // [S20.1] [S20.3]
fn a_key_of_an_ssh_agent_signs_and_never_comes_here() {
    let scratch = Scratch::new();
    let (Some(key), Some(other)) = (ssh_key(&scratch, "id", ""), ssh_key(&scratch, "other", "")) else { return };
    let Some(agent) = SshAgent::start(&scratch, &[&key, &other]) else { return };
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let wanted = fingerprint_of(&scratch, &key);
    let import = |more: &[&str]| {
        seller.handover(["identity", "import", "--json"]).env("SSH_AUTH_SOCK", &agent.socket).args(more).run()
    };
    let without = seller.handover(["identity", "import", "--json", "--agent"]).run().exits(1);
    assert_eq!(without.event("error")["code"], "agent-unreachable");
    // It holds two: which one is not for the program to say.
    let several = import(&["--agent"]).exits(3);
    assert!(several.event("error")["message"].as_str().unwrap().contains(&wanted), "{several}");
    let unknown = import(&["--agent", "SHA256:xqC22gVeMJaTgauqkq+afh79H60yYGH4XMQDkUahQk0"]).exits(1);
    assert_eq!(unknown.event("error")["code"], "agent-without-key");
    import(&["--agent", &wanted]).exits(0);
    assert_eq!(fingerprint(&seller), wanted);
    assert!(!seller.home().join("identity").exists());

    let source = scratch.join("customers.csv");
    data::write(&source, b"customers");
    let push = || {
        let code_file = scratch.join("code");
        let relay_option = relay.invite();
        seller
            .handover(["push", "--json", "--no-qr", "--relay", relay_option, "--code-file"])
            .arg(&code_file)
            .arg(&source)
    };
    let away = push().run().exits(1);
    assert_eq!(away.event("error")["code"], "agent-unreachable", "{away}");
    push().env("SSH_AUTH_SOCK", &agent.socket).run().exits(0);
    let code = fs::read_to_string(scratch.join("code")).unwrap();
    buyer.pull(code.trim(), scratch.join("out")).args(["--expect-seller", &wanted]).run().exits(0);
    // What needs no signature needs no agent.
    seller.run(["wait", "1"]).exits(0);
    seller.run(["verify", "1"]).exits(0);
    // Taken out of the agent, it signs no more.
    Launch::new(programs::on_path("ssh-add").unwrap(), scratch.path())
        .env("SSH_AUTH_SOCK", &agent.socket)
        .args(["-q", "-d"])
        .arg(&key)
        .run()
        .exits(0);
    let gone = push().arg("--new").env("SSH_AUTH_SOCK", &agent.socket).run().exits(1);
    assert_eq!(gone.event("error")["code"], "agent-without-key", "{gone}");
}

#[test] // [S20.5]
fn another_seller_than_the_expected_one_is_refused_and_nothing_is_burnt() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let (source, out) = (scratch.join("customers.csv"), scratch.join("out"));
    data::write(&source, b"customers");
    let code = seller.pushed(&relay, [&source]);
    let other = "SHA256:xqC22gVeMJaTgauqkq+afh79H60yYGH4XMQDkUahQk0";
    for (language, sentence) in [(Language::English, "you expected"), (Language::Chinese, "与您指定的")] {
        let person = buyer.speaking(language);
        let refused = person.pull(&code, &out).args(["--expect-seller", other]).run().exits(8);
        assert!(refused.err().contains(sentence) && refused.err().contains(other), "{refused}");
    }
    assert!(!out.join("customers.csv").exists());
    assert!(buyer.run(["status", "--json"]).exits(0).events().iter().all(|event| event["event"] != "transfer"));
    buyer.pull(&code, &out).args(["--expect-seller", "SHA256:short"]).run().exits(2);
    // The real one, by its public key this time; the code still works.
    let shown = seller.run(["identity", "show", "--json"]).exits(0);
    let key = shown.event("identity")["public_key"].as_str().unwrap().to_owned();
    buyer.pull(&code, &out).args(["--expect-seller", &key]).run().exits(0);
}

#[test] // [S20.5]
fn another_buyer_than_the_expected_one_gets_no_receipt_accepted() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let stranger = Person::new(&scratch, "stranger");
    for person in [&buyer, &stranger] {
        person.run(["identity", "create"]).exits(0);
    }
    let source = scratch.join("customers.csv");
    data::write(&source, b"customers");
    let expected = fingerprint(&buyer);
    let code = seller.pushed(&relay, ["--expect-buyer".as_ref(), expected.as_ref(), source.as_os_str()]);
    stranger.pull(&code, scratch.join("stolen")).run().exits(0);
    for (language, sentence) in [(Language::English, "you expected"), (Language::Chinese, "与您指定的")] {
        let refused = seller.speaking(language).run(["wait", "1"]).exits(8);
        assert!(refused.err().contains(sentence) && refused.err().contains(&fingerprint(&stranger)), "{refused}");
    }
    // It is no receipt of this seller's.
    assert_ne!(seller.run(["receipt", "show", "1"]).code, Some(0));

    let code =
        seller.pushed(&relay, ["--new".as_ref(), "--expect-buyer".as_ref(), expected.as_ref(), source.as_os_str()]);
    buyer.pull(&code, scratch.join("out")).run().exits(0);
    seller.run(["wait", "2"]).exits(0);
}

#[test] // [S20.4]
fn keys_are_new_then_known_and_another_one_under_the_same_name_is_noticed() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let impostor = Person::new(&scratch, "impostor");
    for person in [&seller, &impostor] {
        person.run(["identity", "create", "--name", "wang", "--organisation", "Wang Appliances"]).exits(0);
    }
    let source = scratch.join("customers.csv");
    let mut round = 0;
    let mut handover = |from: &Person| {
        round += 1;
        data::write(&source, format!("customers {round}").as_bytes());
        let code = from.pushed(&relay, [&source]);
        // Looking alone makes no acquaintance.
        for _ in 0..2 {
            let looked =
                buyer.pull(&code, scratch.join(format!("out-{round}"))).args(["--list", "--json"]).run().exits(0);
            let party = looked.event("party");
            if party["known"] != "known" {
                assert_eq!(party["transfers"], 0, "{looked}");
            }
        }
        let pulled = buyer.pull(&code, scratch.join(format!("out-{round}"))).arg("--json").run().exits(0);
        let waited = from
            .run([
                "wait",
                &from
                    .run(["status", "--json"])
                    .events()
                    .iter()
                    .filter(|event| event["event"] == "transfer")
                    .count()
                    .to_string(),
                "--json",
            ])
            .exits(0);
        (pulled.event("party"), waited.event("party"))
    };
    let (of_seller, of_buyer) = handover(&seller);
    assert_eq!((&of_seller["known"], &of_buyer["known"]), (&"new".into(), &"new".into()));
    let (of_seller, of_buyer) = handover(&seller);
    assert_eq!((&of_seller["known"], &of_seller["transfers"]), (&"known".into(), &1.into()));
    assert_eq!((&of_buyer["known"], &of_buyer["transfers"]), (&"known".into(), &1.into()));
    let (of_impostor, _) = handover(&impostor);
    assert_eq!(of_impostor["known"], "other-key");
    assert_eq!(of_impostor["other_key"], fingerprint(&seller).as_str());

    // People are told, in their language.
    data::write(&source, b"once more");
    let code = seller.pushed(&relay, [&source]);
    for (language, sentence) in [(Language::English, "2 transfers"), (Language::Chinese, "往来 2 次")] {
        let looked = buyer.speaking(language).pull(&code, scratch.join("last")).arg("--list").run().exits(0);
        assert!(looked.err().contains(sentence), "{looked}");
    }
}
