//! The relay sees nothing: not on its disk, not in its log, not in its memory, before and after the receipt.
//!
//! What would betray the customers is planted, then searched for. The same search must find what the test plants in the
//! relay on purpose, else it would prove nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::path::Path;

use handover_shared::codec;
use handover_tests::needles::{self, Findings, Needle};
use handover_tests::{Launch, Person, RelayProc, Scratch, data, programs, wait};

const FILE_NAME: &str = "王氏电器-客户名单-planted";
const FOLDER_NAME: &str = "planted-folder-of-wang-appliances";
const CONTENT: &str = "planted content: 李雷, 13800138000, li.lei@planted.example";
const LABEL: &str = "planted label: sale of Wang Appliances to Li Trading";
const SELLER: &str = "Planted Seller Wang";
const BUYER: &str = "Planted Buyer Li";

/// What the client keeps secret of a transfer, as far as this test needs it.
struct Secrets {
    code: Vec<u8>,
    content_key: Vec<u8>,
}

/// Reads the seller's secrets of its first transfer.
fn secrets(seller: &Person) -> Secrets {
    let bytes = std::fs::read(seller.home().join("transfers/1/secrets")).unwrap();
    // Eight bytes in front say whether the rest is as it was written.
    let fields: Vec<Option<minicbor::bytes::ByteVec>> = codec::decode(&bytes[8..]).unwrap();
    let field = |at: usize| fields[at].as_ref().unwrap().to_vec();
    let secrets = Secrets { code: field(0), content_key: field(1) };
    assert_eq!((secrets.code.len(), secrets.content_key.len()), (20, 32));
    secrets
}

fn search(relay: &mut RelayProc, needles: &[Needle]) -> Findings {
    let mut findings = needles::in_folder(relay.data(), needles);
    let id = relay.process().id();
    let log = relay.process().err_so_far();
    findings.join(needles::in_bytes("the relay's log", log.as_bytes(), needles));
    match needles::in_memory(id, needles) {
        Ok(found) => findings.join(found),
        Err(error) => eprintln!("skipped: the memory of the relay cannot be read here: {error}"),
    }
    findings
}

#[test] // [S13.11]
fn a_relay_holds_nothing_that_can_be_read() {
    let scratch = Scratch::new();
    let folder = scratch.folder("relay-machine");
    // Everything the relay can be made to say.
    let base = Launch::new(programs::relay(), &folder).env("HOME", &folder);
    let mut relay =
        RelayProc::start_from(base, scratch.join("planted-data-folder-of-the-relay"), 0, &["--log", "trace"]);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    seller.run(["identity", "create", "--name", SELLER]).exits(0);
    buyer.run(["identity", "create", "--name", BUYER]).exits(0);
    let source = scratch.join(FOLDER_NAME);
    data::write(source.join(FILE_NAME), CONTENT.repeat(40_000).as_bytes());
    let noise = scratch.dice("noise").bytes(9 * 1024 * 1024);
    data::write(source.join("noise.bin"), &noise);

    let push = [Path::new("--label"), Path::new(LABEL), &source];
    let code = seller.push(&relay, push).arg("-vv").limit(wait::LONG).run().exits(0).out().trim().to_owned();
    let (token, _) = code.split_once('@').unwrap();
    let words = seller.run(["code", "1", "--words"]).exits(0).out();
    let secrets = secrets(&seller);

    let mut planted = Vec::new();
    for (name, text) in [
        ("file name", FILE_NAME),
        ("folder name", FOLDER_NAME),
        ("content", CONTENT),
        ("label", LABEL),
        ("seller", SELLER),
        ("buyer", BUYER),
        ("code", token),
        ("code as words", words.split('@').next().unwrap().trim()),
    ] {
        planted.extend(Needle::of_text(name, text));
    }
    for (name, bytes) in
        [("code", &secrets.code[..]), ("content key", &secrets.content_key), ("noise", &noise[5_000_000..5_000_064])]
    {
        planted.extend(Needle::of_bytes(name, bytes));
    }
    // The control: the relay's own folder is in its arguments, hence in its memory.
    let control = [Needle::new("control", *b"planted-data-folder-of-the-relay")];

    let stored = search(&mut relay, &planted);
    assert!(stored.bytes > 9 * 1024 * 1024, "the sealed blocks were searched: {}", stored.bytes);
    assert_eq!(stored.found, [""; 0], "after the push");
    match needles::in_memory(relay.process().id(), &control) {
        Ok(found) => assert!(!found.found.is_empty(), "the search finds what is there"),
        Err(error) => eprintln!("skipped: the memory of the relay cannot be read here: {error}"),
    }
    // The same needles are found where they must be.
    let in_the_open = needles::in_folder(&source, &planted);
    for name in ["file name", "content", "noise"] {
        assert!(in_the_open.found.iter().any(|line| line.starts_with(name)), "{name} is found in the source");
    }

    buyer.pull(&code, scratch.join("out")).arg("-vv").limit(wait::LONG).run().exits(0);
    assert_eq!(search(&mut relay, &planted).found, [""; 0], "after the pull");
    seller.run(["wait", "1"]).exits(0);
    assert_eq!(search(&mut relay, &planted).found, [""; 0], "after the receipt");
    let log = relay.process().err_so_far();
    assert!(log.lines().count() > 3, "the relay did log\n{log}");
}

#[test] // [S4.8]
fn secrets_stay_out_of_arguments_environments_and_logs() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join(FOLDER_NAME);
    data::write(source.join(FILE_NAME), CONTENT.as_bytes());
    data::write_random(source.join("noise.bin"), 32 * 1024 * 1024, &mut scratch.dice("noise"));

    let push = seller.pushing(&relay, ["-vv".as_ref(), source.as_os_str()]);
    push.running.freeze();
    let (token, _) = push.code.split_once('@').unwrap();
    let invite = relay.invite().split_once('@').unwrap().0.to_owned();
    let secrets = secrets(&seller);
    let mut planted = Needle::of_text("code", token);
    planted.extend(Needle::of_bytes("code", &secrets.code));
    planted.extend(Needle::of_bytes("content key", &secrets.content_key));
    let mut exposed = planted.clone();
    exposed.extend(Needle::of_text("invite", &invite));
    assert_eq!(shown_to_others(push.running.id(), &planted), [""; 0], "the seller");
    push.running.thaw();

    let out = scratch.join("out");
    let pull = buyer.pull(&push.code, &out).arg("-vv").start();
    wait::until("the first bytes", wait::USUAL, || (data::folder_bytes(&out) > 0).then_some(()));
    pull.freeze();
    assert_eq!(shown_to_others(pull.id(), &planted), [""; 0], "the buyer");
    pull.thaw();

    let ended = push.running.end().exits(0);
    let names = [Needle::of_text("file name", FILE_NAME), Needle::of_text("folder name", FOLDER_NAME)].concat();
    let log = log_lines(&ended.err());
    assert!(!log.is_empty(), "-vv logs something\n{ended}");
    assert_eq!(needles::in_bytes("the seller's messages", &ended.stderr, &exposed).found, [""; 0]);
    assert_eq!(needles::in_bytes("the seller's log", log.as_bytes(), &names).found, [""; 0]);
    let ended = pull.end().exits(0);
    assert_eq!(needles::in_bytes("the buyer's messages", &ended.stderr, &planted).found, [""; 0]);
    assert_eq!(needles::in_bytes("the buyer's log", log_lines(&ended.err()).as_bytes(), &names).found, [""; 0]);
}

/// Lines of the log, as against sentences for the person, who may see names.
fn log_lines(err: &str) -> String {
    let is_log = |line: &&str| ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].iter().any(|level| line.contains(level));
    err.lines().filter(is_log).collect::<Vec<_>>().join("\n")
}

/// What any user of the machine can read of a process.
fn shown_to_others(process: u32, planted: &[Needle]) -> Vec<String> {
    let arguments = std::fs::read(format!("/proc/{process}/cmdline")).unwrap();
    assert!(!arguments.is_empty());
    let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap();
    let mut findings = needles::in_bytes("the arguments", &arguments, planted);
    findings.join(needles::in_bytes("the environment", &environment, planted));
    findings.found
}
