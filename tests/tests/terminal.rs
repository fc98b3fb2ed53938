//! At a terminal: what the other side named cannot steer the screen, and somebody at the keyboard is asked once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::ffi::OsStr;
use std::path::Path;

use handover_tests::{Input, Launch, Person, RelayProc, Running, Scratch, data, programs};

/// The command under a pseudo-terminal of `script`; its screen is standard output.
fn at_terminal(person: &Person, command: &[&str], input: Input) -> Option<Launch> {
    let Some(script) = programs::on_path("script") else {
        eprintln!("skipped: script (util-linux) is not installed");
        return None;
    };
    let quoted = |word: &&str| format!("'{}'", word.replace('\'', r"'\''"));
    let program = programs::handover().display().to_string();
    let line: Vec<String> = std::iter::once(&program.as_str()).chain(command).map(quoted).collect();
    Some(
        Launch::new(script, person.desk())
            .env("HOME", person.desk())
            .env("HANDOVER_HOME", person.home())
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .args(["--quiet", "--return", "--flush", "--command", &line.join(" "), "/dev/null"])
            .input(input),
    )
}

#[test]
fn names_of_the_other_side_cannot_steer_the_screen() {
    const HOSTILE: [&[u8]; 5] = [
        b"\x1b]0;planted-title\x07.csv",
        b"\x1b[2J\x1b[Hplanted-clear.csv",
        "\u{202e}vsc.planted-backwards".as_bytes(),
        b"planted\rreturn\x08\x08",
        "\u{9b}31mplanted-c1".as_bytes(),
    ];
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("hostile");
    let mut dice = scratch.dice("hostile");
    for name in HOSTILE {
        data::write(data::below(&source, name), &dice.bytes(100_000));
    }
    // The whole folder, and each name at the top, where it is shown among the biggest.
    let each = HOSTILE.map(|name| data::below(&source, name));
    let code = seller.pushed(&relay, each.iter().map(|path| path.as_os_str()).chain([OsStr::new("--new")]));
    let out = scratch.join("out");
    let pull = ["pull", code.as_str(), "--yes", "--out", out.to_str().unwrap()];
    let Some(launch) = at_terminal(&buyer, &pull, Input::Nothing) else { return };
    let ended = launch.run().exits(0);
    assert!(ended.out().contains("planted"), "the names are shown\n{ended}");
    for sequence in [&b"\x1b]0;"[..], b"\x1b[2J", b"\x1b[H", b"\rreturn"] {
        let reached = ended.stdout.windows(sequence.len()).any(|seen| seen == sequence);
        assert!(!reached, "{:?} reached the screen\n{ended}", String::from_utf8_lossy(sequence));
    }
    for control in ["\u{202e}", "\u{9b}", "\x07", "\x08"] {
        assert!(!ended.out().contains(control), "{control:?} reached the screen\n{ended}");
    }
}

#[test]
fn the_buyer_is_asked_once_and_no_costs_nothing() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("customers.csv");
    data::write(&source, b"customers");
    let code = seller.pushed(&relay, [&source]);
    let out = scratch.join("out");
    let pull = ["pull", code.as_str(), "--out", out.to_str().unwrap()];
    let Some(launch) = at_terminal(&buyer, &pull, Input::Pipe) else { return };
    let answer = |mut running: Running, answer: &[u8]| {
        handover_tests::wait::until("the question", handover_tests::wait::USUAL, || {
            String::from_utf8_lossy(&running.out_so_far()).contains("/n").then_some(())
        });
        running.feed(answer);
        running.end()
    };
    let ended = answer(launch.start(), b"n\n");
    assert!(ended.out().contains("Nothing was claimed"), "{ended}");
    assert!(!out.exists() || !Path::new(&out).join("customers.csv").exists());
    // Declining has burned nothing.
    let ended = answer(launch.start(), b"y\n").exits(0);
    assert_eq!(ended.out().matches("/n").count(), 1, "asked once\n{ended}");
    assert_eq!(std::fs::read(out.join("customers.csv")).unwrap(), b"customers");
}

#[test]
fn a_code_is_asked_for_when_none_was_given() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("customers.csv");
    data::write(&source, b"customers");
    let code = seller.pushed(&relay, [&source]);
    let out = scratch.join("out");
    let pull = ["pull", "--yes", "--out", out.to_str().unwrap()];
    let Some(launch) = at_terminal(&buyer, &pull, Input::Pipe) else { return };
    let mut running = launch.start();
    handover_tests::wait::until("the prompt", handover_tests::wait::USUAL, || {
        (!running.out_so_far().is_empty()).then_some(())
    });
    running.feed(format!("{code}\n").as_bytes());
    running.end().exits(0);
    assert_eq!(std::fs::read(out.join("customers.csv")).unwrap(), b"customers");
}
