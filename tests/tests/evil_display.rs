//! What a hostile seller calls things: nothing of it drives a terminal, a log, a receipt or a script.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use handover_shared::fault::Fault;
use handover_shared::ids::BlockSize;
use handover_shared::proof::{Biggest, Summary};
use handover_tests::double::cage::Cage;
use handover_tests::double::seller::{Pretence, summary};
use handover_tests::{Ended, Language, Launch, Person, faults_table, programs};

/// Whatever drives a terminal, hides text or turns its direction; each stands in every place where a seller can put it.
const HOSTILE: [&str; 16] = [
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1b]52;c;cGxhbnRlZA==\x07",
    "\u{9b}31m",
    "\u{9d}0;title\u{9c}",
    "\u{90}q\u{9c}",
    "\u{202e}fdp.exe",
    "\u{2066}\u{2069}\u{200f}\u{61c}",
    "a\rb",
    "a\nb",
    "a\x08\x08b",
    "a\tb\x0b\x0c",
    "\x7f\x00\x01",
    "a\u{2028}b\u{2029}c\u{85}d",
    "\u{feff}\u{200b}\u{ad}",
    "\u{e0041}\u{e007f}",
];

fn summary_of_horrors() -> Summary {
    let all: String = HOSTILE.concat().chars().take(120).collect();
    let biggest = HOSTILE.iter().take(8).map(|name| Biggest { name: (*name).to_owned(), bytes: 1, files: 1 });
    Summary {
        label: all.clone(),
        seller_name: all.chars().rev().collect(),
        organisation: Some(all),
        biggest: biggest.collect(),
        ..summary("", 40, 4096)
    }
}

/// Whether a text may be shown as it is.
#[track_caller]
fn must_be_tame(what: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    for (at, c) in text.char_indices() {
        let is_wild = (c.is_control() && c != '\n')
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
        assert!(!is_wild, "{what}: {c:?} at {at} in\n{}", text.escape_debug());
    }
}

#[track_caller]
fn both_tame(what: &str, ended: &Ended) {
    must_be_tame(&format!("{what}, standard output"), &ended.stdout);
    must_be_tame(&format!("{what}, standard error"), &ended.stderr);
}

/// The same command on a pseudo-terminal; what its screen got beside the program's own moving lines.
fn on_terminal(person: &Person, words: &[&str]) -> Option<Ended> {
    let Some(script) = programs::on_path("script") else {
        eprintln!("skipped: script (util-linux) is not installed");
        return None;
    };
    let quoted = |word: &&str| format!("'{}'", word.replace('\'', r"'\''"));
    let program = programs::handover().display().to_string();
    let line: Vec<String> = std::iter::once(&program.as_str()).chain(words).map(quoted).collect();
    let mut ended = Launch::new(script, person.desk())
        .env("HOME", person.desk())
        .env("HANDOVER_HOME", person.home())
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .args(["--quiet", "--return", "--flush", "--command", &line.join(" "), "/dev/null"])
        .run();
    // What the program itself does with its progress lines: to the beginning and clear, one line up. No hostile name
    // holds these, so nothing of a name is taken away.
    const OWN: [&str; 3] = ["\r\x1b[2K", "\x1b[1A", "\x1b[2A"];
    assert!(HOSTILE.iter().all(|name| OWN.iter().all(|own| !name.contains(own))));
    let screen = String::from_utf8(ended.stdout).unwrap().replace("\r\n", "\n");
    ended.stdout = OWN.iter().fold(screen, |screen, own| screen.replace(own, "")).into_bytes();
    Some(ended)
}

#[test] // [S10.7] [S6.7]
fn nothing_that_a_seller_writes_drives_a_screen() {
    let cage = Cage::new();
    let pretence = Pretence { summary: Some(summary_of_horrors().to_bytes()), ..Pretence::default() };
    let mut names: Vec<Vec<u8>> =
        HOSTILE.iter().filter(|name| !name.contains('\0')).map(|n| n.as_bytes().to_vec()).collect();
    names.extend([b"\xff\xfe\x9b31m".to_vec(), b"\xc2".to_vec()]);
    names.sort();
    let upload = || {
        cage.evil.upload_as(
            &pretence,
            BlockSize::Small,
            |archive| {
                archive.folder("a");
                for name in &names {
                    archive.exception([&b"a/"[..], name].concat(), 1);
                }
                archive.folder("b");
                for name in &names {
                    archive.file([&b"b/"[..], name].concat(), b"x");
                }
            },
            |_| {},
        )
    };
    let code = upload();
    for language in Language::ALL {
        let buyer = cage.buyer.speaking(language);
        both_tame("list", &buyer.run(["pull", &code, "--list"]).exits(0));
        both_tame("list --json", &buyer.run(["pull", &code, "--list", "--json"]).exits(0));
        let words = ["--lang", language.tag(), "--color", "never", "pull", &code, "--list"];
        let Some(ended) = on_terminal(&buyer, &words) else { continue };
        must_be_tame("list on a terminal", &ended.exits(0).stdout);
    }
    for options in [&["-vv"][..], &["--json", "-vv"]] {
        let (code, out) = (upload(), cage.new_out());
        let ended = cage.buyer.pull(&code, &out).args(options).run().exits(4);
        both_tame(&format!("pull {options:?}"), &ended);
        let again = cage.buyer.pull(&code, &out).args(options).run();
        both_tame("again", &again);
    }
    let (code, out) = (upload(), cage.new_out());
    let words = ["--color", "never", "pull", &code, "--yes", "-q", "--out", out.to_str().unwrap()];
    if let Some(ended) = on_terminal(&cage.buyer, &words) {
        must_be_tame("pull -q on a terminal", &ended.exits(4).stdout);
    }
    // Names stand in the way of names: what is asked or refused names them.
    let code = upload();
    let ended = cage.buyer.handover(["pull", &code, "--yes", "--no-input", "--conflict", "fail", "--out"]);
    both_tame("nothing in the way", &ended.arg(&out).run());
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["status", "1"],
        &["status", "1", "--json"],
        &["receipt", "show", "1"],
        &["receipt", "show", "1", "--json"],
    ] {
        both_tame(&format!("{words:?}"), &cage.buyer.run(words));
    }
    let exported = cage.scratch.join("exported");
    cage.buyer.run(["receipt", "export", "1", exported.to_str().unwrap()]).exits(0);
    for entry in std::fs::read_dir(&exported).unwrap() {
        let path = entry.unwrap().path();
        must_be_tame(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
    faults_table::record(
        "seller",
        "control, bidi and C1 characters in names and labels",
        HOSTILE.len() as u64,
        "escaped on terminal, log, JSON, receipt",
    );
}

#[test] // [S3.1] [S10.7] [S2.2]
fn a_label_is_short() {
    let cage = Cage::new();
    let offers = [
        ("121 characters", Summary { label: "x".repeat(121), ..summary("", 1, 1) }),
        ("121 wide characters", Summary { seller_name: "客".repeat(121), ..summary("", 1, 1) }),
        ("200 KiB", Summary { label: "x".repeat(200 * 1024), ..summary("", 1, 1) }),
        ("a long organisation", Summary { organisation: Some("x".repeat(121)), ..summary("", 1, 1) }),
        (
            "nine biggest",
            Summary {
                biggest: (0..9).map(|_| Biggest { name: "x".into(), bytes: 1, files: 1 }).collect(),
                ..summary("", 1, 1)
            },
        ),
        (
            "a long name among the biggest",
            Summary { biggest: vec![Biggest { name: "x".repeat(256), bytes: 1, files: 1 }], ..summary("", 1, 1) },
        ),
    ];
    let mut lies: Vec<(&str, Vec<u8>)> = offers.iter().map(|(what, offer)| (*what, offer.to_bytes())).collect();
    lies.extend([
        ("no summary", Vec::new()),
        (
            "2^32 biggest and none there",
            [&summary("", 1, 1).to_bytes()[..11], &[0x9b, 0, 0, 0, 1, 0, 0, 0, 0]].concat(),
        ),
        ("no CBOR", b"label".to_vec()),
    ]);
    for (what, lie) in &lies {
        let pretence = Pretence { summary: Some(lie.clone()), ..Pretence::default() };
        let code = cage.evil.upload_as(&pretence, BlockSize::Small, |archive| archive.file("a", b"one"), |_| {});
        cage.refused(what, &code, &[]);
        let listed = cage.buyer.run(["pull", &code, "--list"]).exits(8);
        cage.check(what, &listed);
    }
    // A megabyte does not pass the relay.
    let deal = cage.evil.deal(BlockSize::Small);
    let label = Summary { label: "x".repeat(1 << 20), ..summary("", 1, 1) }.to_bytes();
    let (create, _) = cage.evil.announcement(&deal, 2, &Pretence { summary: Some(label), ..Pretence::default() });
    assert_eq!(cage.evil.create(create).unwrap_err().fault(), Some(Fault::TooLarge));
    // A million terabytes do not fit, and looking at them costs nothing.
    let pretence = Pretence { summary: Some(summary("", 1, 1 << 63).to_bytes()), ..Pretence::default() };
    let code = cage.evil.upload_as(&pretence, BlockSize::Small, |archive| archive.file("a", b"one"), |_| {});
    let (ended, _) = cage.pull("8 EiB offered", &code);
    ended.exits(9);
    cage.buyer.run(["pull", &code, "--list"]).exits(0);
    faults_table::record(
        "seller",
        "labels and summaries above their limits",
        lies.len() as u64 + 2,
        "refused, exit 8; a megabyte by the relay",
    );
}
