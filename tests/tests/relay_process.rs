//! The relay as its operator meets it: one line on standard output, one folder, signals, and a second relay that is
//! turned away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use handover_tests::{Launch, RelayProc, Scratch, programs};

fn operator(scratch: &Scratch) -> Launch {
    let folder = scratch.folder("operator");
    Launch::new(programs::relay(), &folder).env("HOME", &folder)
}

#[test]
fn the_first_start_makes_everything_and_every_start_prints_the_same_invite() {
    let scratch = Scratch::new();
    let mut relay = RelayProc::start(&scratch);
    let first = relay.process().err_so_far();
    assert!(first.contains("handover relay add"), "what to do next\n{first}");
    assert!(first.contains(&relay.port().to_string()), "which port to open\n{first}");
    assert!(!first.contains(relay.invite()), "the invite is a secret and stands on standard output alone\n{first}");
    let ended = relay.kill();
    assert_eq!(ended.out().lines().count(), 1, "one line on standard output\n{ended}");
    // The same invite is checked by the kit.
    relay.restart();
    relay.process().terminate();
    relay.process().err_line("its last word", |line| line.contains("stopped").then_some(()));
}

#[test]
fn a_second_relay_on_the_same_folder_or_port_is_turned_away() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let data = relay.data().to_owned();
    let serve = |data: &std::path::Path, listen: &str| {
        operator(&scratch).args(["serve", "--listen", listen, "--data"]).arg(data).run()
    };
    let same_folder = serve(&data, "127.0.0.1:0");
    assert_eq!(same_folder.code, Some(11), "{same_folder}");
    assert!(same_folder.stdout.is_empty() && !same_folder.stderr.is_empty(), "{same_folder}");
    let same_port = serve(&scratch.join("other"), relay.address());
    assert!(same_port.code.is_some_and(|code| code != 0), "{same_port}");
    assert!(same_port.stdout.is_empty() && same_port.err().contains(relay.address()), "{same_port}");
}

#[test]
fn invites_can_be_made_listed_and_revoked_beside_the_running_relay() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let verb = |words: &[&str]| operator(&scratch).args(words).arg("--data").arg(relay.data()).run();
    let made = verb(&["invite", "--uses", "1"]).exits(0).out();
    assert!(
        made.starts_with("hr1") && made.trim() != relay.invite() && made.trim().ends_with(relay.address()),
        "{made}"
    );
    let someone = |name: &str| handover_tests::Person::new(&scratch, name);
    someone("first").run(["relay", "add", made.trim()]).exits(0);
    // It was for one seller.
    someone("second").run(["relay", "add", made.trim()]).exits(6);
    assert_eq!(verb(&["seller", "list"]).exits(0).out().lines().count(), 1);
    let listed = verb(&["invite", "--list"]).exits(0).out();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    for line in listed.lines() {
        verb(&["invite", "--revoke", line.split('\t').next().unwrap()]).exits(0);
    }
    someone("third").run(["relay", "add", relay.invite()]).exits(6);
}

#[test]
fn clients_are_told_at_once_that_the_relay_was_restarted() {
    let scratch = Scratch::new();
    let base = operator(&scratch);
    let mut relay = RelayProc::start_from(base, scratch.join("relay"), 0, &["--log", "debug"]);
    let seller = handover_tests::Person::new(&scratch, "seller");
    let source = scratch.join("customers.csv");
    handover_tests::data::write(&source, b"customers");
    seller.pushed(&relay, [&source]);
    let waiting = seller.handover(["wait", "1"]).start();
    // One of the push, one of the wait.
    let connected = |line: &str| line.contains(" connected ");
    handover_tests::wait::until("the connection", handover_tests::wait::USUAL, || {
        (relay.process().err_so_far().lines().filter(|line| connected(line)).count() >= 2).then_some(())
    });
    relay.kill();
    relay.restart();
    relay.process().err_line("the old connection ended", |line| line.contains("stateless reset").then_some(()));
    relay.process().err_line("a new connection", |line| connected(line).then_some(()));
    drop(waiting);
}
