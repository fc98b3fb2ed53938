//! What a user touches besides push and pull: help, completions, identity, the status, and where files are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use handover_tests::{Language, Launch, Person, RelayProc, Scratch, data, programs};

#[test]
fn help_speaks_both_languages_and_names_every_command() {
    let scratch = Scratch::new();
    let somebody = Person::new(&scratch, "somebody");
    for language in Language::ALL {
        let help = somebody.speaking(language).run(["--help"]).exits(0).out();
        for command in
            ["push", "pull", "status", "wait", "resume", "revoke", "code", "receipt", "identity", "relay", "demo"]
        {
            assert!(help.contains(command), "{command}\n{help}");
            let of_command = somebody.speaking(language).run([command, "--help"]).exits(0).out();
            assert!(of_command.contains(command), "{of_command}");
            let chinese = of_command.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            assert_eq!(chinese, language == Language::Chinese, "{command} --help\n{of_command}");
        }
    }
    let version = somebody.run(["--version"]).exits(0).out();
    assert!(version.starts_with("handover 0."), "{version}");
    assert!(!somebody.home().exists(), "asking for help writes nothing");
}

#[test]
fn completions_exist_for_every_shell() {
    let scratch = Scratch::new();
    let somebody = Person::new(&scratch, "somebody");
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = somebody.run(["completions", shell]).exits(0).out();
        assert!(script.contains("handover") && script.contains("code-file"), "{shell}: {script}");
        assert!(!script.contains("relay-for-demo"), "{shell} offers what is hidden");
    }
}

#[test]
fn the_language_comes_from_the_locale_unless_it_is_named() {
    let scratch = Scratch::new();
    let folder = scratch.folder("desk");
    let base = Launch::new(programs::handover(), &folder).env("HOME", &folder).args(["push", "not-there"]);
    let has_chinese = |launch: Launch| {
        let err = launch.run().exits(2).err();
        err.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
    };
    assert!(!has_chinese(base.clone().env("LC_ALL", "en_US.UTF-8")));
    assert!(has_chinese(base.clone().env("LC_ALL", "zh_CN.UTF-8")));
    assert!(!has_chinese(base.clone().env("LC_ALL", "de_DE.UTF-8")));
    assert!(has_chinese(base.clone().env("HANDOVER_LANG", "zh-CN")));
    assert!(!has_chinese(base.env("LC_ALL", "zh_CN.UTF-8").args(["--lang", "en"])));
}

#[test]
fn an_existing_ssh_key_can_be_the_identity() {
    let scratch = Scratch::new();
    let somebody = Person::new(&scratch, "somebody");
    let Some(ssh_keygen) = programs::on_path("ssh-keygen") else {
        eprintln!("skipped: ssh-keygen is not installed");
        return;
    };
    let key = scratch.join("id_ed25519");
    Launch::new(&ssh_keygen, scratch.path())
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "wang@shop.example", "-f"])
        .arg(&key)
        .run()
        .exits(0);
    let fingerprint = Launch::new(&ssh_keygen, scratch.path()).args(["-l", "-f"]).arg(&key).run().exits(0).out();
    let fingerprint = fingerprint.split_whitespace().find(|word| word.starts_with("SHA256:")).unwrap();
    somebody.handover(["identity", "import"]).arg(&key).run().exits(0);
    let shown = somebody.run(["identity", "show"]).exits(0);
    assert!(shown.out().contains(fingerprint), "{shown}");
    // An identity is not replaced by accident.
    let again = somebody.run(["identity", "create"]);
    assert!(again.code != Some(0), "{again}");
    assert!(somebody.run(["identity", "show"]).exits(0).out().contains(fingerprint));
}

#[test]
fn files_of_the_machine_are_private() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("customers.csv");
    data::write(&source, b"customers");
    let code = seller.pushed(&relay, [&source]);
    buyer.pull(&code, scratch.join("out")).run().exits(0);
    for top in [seller.home(), buyer.home(), relay.data()] {
        is_private(top);
    }
}

fn is_private(path: &Path) {
    let facts = std::fs::symlink_metadata(path).unwrap();
    assert_eq!(facts.mode() & 0o077, 0, "{} has mode {:o}", path.display(), facts.mode() & 0o7777);
    if facts.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            is_private(&entry.unwrap().path());
        }
    }
}

#[test]
fn the_status_tells_both_roles_what_they_need() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("customers.csv");
    data::write(&source, b"customers");
    let none = seller.run(["status"]).exits(0);
    assert!(none.code == Some(0));
    let code = seller.pushed(&relay, ["--label".as_ref(), "Wang to Li".as_ref(), source.as_os_str()]);
    let waiting = seller.run(["status"]).exits(0);
    assert!(waiting.out().contains("Wang to Li") || waiting.out().contains("customers.csv"), "{waiting}");
    let token = code.split_once('@').unwrap().0;
    assert!(!waiting.out().contains(token) && !waiting.err().contains(token), "the code is a secret\n{waiting}");
    buyer.pull(&code, scratch.join("out")).run().exits(0);
    let events = seller.run(["status", "1", "--json"]).exits(0).events();
    assert!(!events.is_empty(), "one object a line");
    let of_buyer = buyer.run(["status", "1"]).exits(0);
    assert!(of_buyer.out().contains("out"), "where it is\n{of_buyer}");
}
