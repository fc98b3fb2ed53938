//! What goes wrong is said clearly, in both languages, with the exit code that was promised, and loses nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use handover_shared::tls::{LinkSecret, relay_config};
use handover_tests::{Ended, Language, Launch, Person, Pushing, RelayProc, Scratch, Tree, data, wait};

struct Scene {
    scratch: Scratch,
    relay: RelayProc,
    seller: Person,
    buyer: Person,
    source: PathBuf,
}

fn scene() -> Scene {
    scene_with(&[])
}

fn scene_with(options: &[&str]) -> Scene {
    let scratch = Scratch::new();
    let relay = RelayProc::start_with(&scratch, "relay", options);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("customers");
    data::write(source.join("customers.csv"), &scratch.dice("customers").table(100_000));
    data::write(source.join("合同.pdf"), b"contract");
    Scene { scratch, relay, seller, buyer, source }
}

/// What a person and a script must be told.
struct Told {
    /// The stable word of the JSON event.
    code: &'static str,
    exit: i32,
    english: &'static str,
    chinese: &'static str,
}

/// Runs the same in English, in Chinese and for a script, and reads what is said. All of it must be repeatable.
#[track_caller]
fn tells(told: &Told, person: &Person, run: impl Fn(&Person) -> Launch) {
    for language in Language::ALL {
        let ended = run(&person.speaking(language)).run();
        reads(told, language, &ended);
    }
    let ended = run(person).arg("--json").run().exits(told.exit);
    let event = ended.event("error");
    assert_eq!(event["code"], told.code, "{ended}");
    assert_eq!(event["exit"], told.exit, "{ended}");
    for field in ["message", "hint"] {
        assert!(event[field].as_str().is_some_and(|text| text.len() > 8), "{field}\n{ended}");
    }
}

#[track_caller]
fn reads(told: &Told, language: Language, ended: &Ended) {
    assert!(ended.code == Some(told.exit), "expected exit code {}\n{ended}", told.exit);
    assert!(ended.stdout.is_empty(), "standard output carries the result only\n{ended}");
    let err = ended.err();
    let word = match language {
        Language::English => told.english,
        Language::Chinese => told.chinese,
    };
    assert!(err.contains(word), "expected {word:?}\n{ended}");
    assert!(!err.contains("panicked") && !err.contains("RUST_BACKTRACE"), "{ended}");
    if language == Language::Chinese {
        assert!(!err.contains(told.english), "English words in the Chinese message\n{ended}");
    }
}

const SOURCE_MISSING: Told = Told { code: "source-missing", exit: 2, english: "does not exist", chinese: "不存在" };
const SOURCE_UNREADABLE: Told =
    Told { code: "source-unreadable", exit: 9, english: "cannot be read", chinese: "无法读取" };
const SAME_NAME: Told = Told { code: "same-name", exit: 2, english: "same name", chinese: "重名" };
const UNREACHABLE: Told =
    Told { code: "relay-unreachable", exit: 5, english: "cannot be reached", chinese: "无法连接" };
const RELAY_KEY: Told =
    Told { code: "relay-key", exit: 8, english: "another machine than expected", chinese: "不是预期的机器" };
const RELAY_VERSION: Told =
    Told { code: "relay-version", exit: 6, english: "does not speak the protocol", chinese: "不支持" };
const NOT_ENROLLED: Told =
    Told {
        code: "not-enrolled", exit: 6, english: "may not send through this relay", chinese: "未在此中继登记"
    };
const INVITE: Told =
    Told { code: "invite-refused", exit: 6, english: "does not accept this invite", chinese: "不接受此邀请码" };
const QUOTA: Told = Told { code: "quota", exit: 6, english: "than the relay allows", chinese: "超出中继允许" };
const RELAY_FULL: Told = Told { code: "relay-full", exit: 6, english: "storage is full", chinese: "已满" };
const NO_SPACE: Told = Told { code: "no-space", exit: 9, english: "not enough space", chinese: "空间不足" };
const CONFLICTS: Told = Told { code: "conflicts", exit: 3, english: "in the way", chinese: "同名的其他文件" };
const ANSWER: Told = Told { code: "answer-needed", exit: 3, english: "an answer is needed", chinese: "需要回答" };
const NO_TRANSFER: Told =
    Told { code: "no-such-transfer", exit: 10, english: "there is no transfer", chinese: "本机没有移交" };
const HELD: Told =
    Told { code: "held", exit: 11, english: "another run is working", chinese: "另一个运行中的程序" };
const CODE_NOT: Told = Told { code: "code-wrong", exit: 7, english: "this is not a code", chinese: "这不是代码" };
const CODE_TYPO: Told = Told { code: "code-mistyped", exit: 7, english: "mistyped", chinese: "输入错误" };
const CODE_UNKNOWN: Told =
    Told { code: "code-unknown", exit: 7, english: "knows no transfer", chinese: "没有与此代码对应" };
const CODE_USED: Told = Told { code: "code-used", exit: 7, english: "already been used", chinese: "已被使用" };
const CODE_RECEIPTED: Told =
    Told { code: "receipted", exit: 7, english: "received and receipted", chinese: "签署回执" };
const CODE_EXPIRED: Told = Told { code: "expired", exit: 7, english: "the code expired", chinese: "已过期" };
const CODE_REVOKED: Told = Told { code: "revoked", exit: 7, english: "took this transfer back", chinese: "已撤销" };

fn words(first: &[&str], last: &Path) -> Vec<PathBuf> {
    first.iter().map(PathBuf::from).chain([last.to_owned()]).collect()
}

#[test]
fn sources_that_cannot_be_sent() {
    let scene = scene();
    let missing = scene.scratch.join("not/there");
    tells(&SOURCE_MISSING, &scene.seller, |seller| seller.push(&scene.relay, [&scene.source, &missing]));

    let other = scene.scratch.join("elsewhere/customers");
    data::write(other.join("x"), b"x");
    tells(&SAME_NAME, &scene.seller, |seller| seller.push(&scene.relay, [&scene.source, &other]));

    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root can read every file");
    } else {
        let locked = scene.scratch.join("locked.csv");
        data::write(&locked, b"x");
        data::set_mode(&locked, 0);
        tells(&SOURCE_UNREADABLE, &scene.seller, |seller| seller.push(&scene.relay, [&locked]));
        // Inside a folder it is an exception, and the rest goes through.
        let inside = scene.source.join("locked.csv");
        data::write(&inside, b"x");
        data::set_mode(&inside, 0);
        scene.seller.push(&scene.relay, [&scene.source]).run().exits(4).says("locked.csv");
    }
    // Nothing of all this has made a transfer.
    tells(&NO_TRANSFER, &scene.seller, |seller| seller.handover(["status", "1"]));
}

#[test]
fn options_that_make_no_sense() {
    let scene = scene();
    for arguments in [
        &["push"][..],
        &["push", "--expires", "soon", "x"],
        &["push", "--level", "99", "x"],
        &["push", "--relay", "not a relay", "x"],
        &["pull", "--conflict", "maybe"],
        &["frobnicate"],
        &["wait", "seven"],
    ] {
        let seen = Language::ALL.map(|language| scene.seller.speaking(language).run(arguments).exits(2));
        assert!(seen.iter().all(|ended| ended.stdout.is_empty()), "{}", seen[0]);
        assert!(seen.iter().all(|ended| !ended.stderr.is_empty()), "{}", seen[0]);
    }
    let invalid = scene.seller.run(["--lang", "tlh", "status"]);
    assert_eq!(invalid.code, Some(2), "{invalid}");
}

#[test]
fn a_relay_that_is_not_there() {
    let mut scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    scene.relay.kill();
    let into = scene.scratch.join("out");
    // All wait for an answer that does not come; they wait at the same time.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            tells(&UNREACHABLE, &scene.seller, |seller| seller.push(&scene.relay, words(&["--new"], &scene.source)))
        });
        scope.spawn(|| tells(&UNREACHABLE, &scene.buyer, |buyer| buyer.pull(&code, &into)));
    });
    scene.relay.restart();
    scene.buyer.pull(&code, &into).run().exits(0);
}

#[test] // [S11.2]
fn another_relay_at_the_same_address() {
    let mut scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let (port, address) = (scene.relay.port(), scene.relay.address().to_owned());
    scene.relay.kill();
    let folder = scene.scratch.folder("usurper-machine");
    let base = Launch::new(handover_tests::programs::relay(), &folder).env("HOME", &folder);
    let usurper = RelayProc::start_from(base, scene.scratch.join("usurper"), port, &[]);
    assert_ne!(usurper.invite(), scene.relay.invite());
    tells(&RELAY_KEY, &scene.seller, |seller| {
        seller.handover(["push", "--new", "--relay", &address]).arg(&scene.source)
    });
    // The buyer has only the code, which the usurper does not know.
    tells(&CODE_UNKNOWN, &scene.buyer, |buyer| buyer.pull(&code, scene.scratch.join("out")));
    drop(usurper);
    scene.relay.restart();
    scene.buyer.pull(&code, scene.scratch.join("out")).run().exits(0);
}

#[test] // [S11.1] [S13.2]
fn a_seller_who_is_not_enrolled() {
    let scene = scene();
    let elsewhere = RelayProc::start_with(&scene.scratch, "other-relay", &[]);
    scene.seller.run(["relay", "add", scene.relay.invite()]).exits(0);
    scene.seller.run(["relay", "add", elsewhere.invite()]).exits(0);
    let listed = scene.seller.run(["relay", "list"]).exits(0);
    for relay in [&scene.relay, &elsewhere] {
        assert!(listed.out().contains(relay.address()), "{listed}");
    }
    // The key of one relay with the secret of the other: reached, but refused.
    let (own, _) = scene.relay.invite().split_once('@').unwrap();
    let mixed = format!("{own}@{}", elsewhere.address());
    tells(&RELAY_KEY, &Person::new(&scene.scratch, "third"), |third| third.handover(["relay", "add", &mixed]));
    // A seller whose link key the relay has never seen, but who has the address and the key in the book.
    let book = scene.seller.home().join("relays.toml");
    let stranger = Person::new(&scene.scratch, "stranger");
    stranger.run(["identity", "create"]).exits(0);
    fs::copy(book, stranger.home().join("relays.toml")).unwrap();
    tells(&NOT_ENROLLED, &stranger, |stranger| stranger.handover(["push"]).arg(&scene.source));
    scene.seller.run(["relay", "remove", elsewhere.address()]).exits(0);
    assert!(!scene.seller.run(["relay", "list"]).exits(0).out().contains(elsewhere.address()));
    // The book's relay is used when none is named.
    scene.seller.handover(["push"]).arg(&scene.source).run().exits(0);
}

#[test]
fn an_invite_with_another_secret() {
    let scene = scene();
    let mut invite = handover_shared::invite::Invite::parse(scene.relay.invite()).unwrap();
    invite.secret[0] ^= 1;
    let wrong = invite.to_text();
    tells(&INVITE, &scene.seller, |seller| seller.handover(["relay", "add", &wrong]));
    tells(&INVITE, &scene.seller, |seller| seller.handover(["push", "--relay", &wrong]).arg(&scene.source));
}

#[test]
fn more_than_the_relay_takes() {
    let scene = scene_with(&["--max-transfer", "4M"]);
    data::write_random(scene.source.join("big.bin"), 9 * 1024 * 1024, &mut scene.scratch.dice("big"));
    tells(&QUOTA, &scene.seller, |seller| seller.push(&scene.relay, words(&["--new"], &scene.source)));
    tells(&QUOTA, &scene.seller, |seller| {
        seller.push(&scene.relay, words(&["--new", "--expires", "1000d"], &scene.source.join("合同.pdf")))
    });
    // What fits goes through.
    scene.seller.push(&scene.relay, [scene.source.join("customers.csv")]).run().exits(0);
}

#[test] // [S13.10]
fn a_relay_without_room() {
    let scene = scene_with(&["--min-free", "1000T"]);
    tells(&RELAY_FULL, &scene.seller, |seller| seller.push(&scene.relay, words(&["--new"], &scene.source)));
}

#[test]
fn a_buyer_without_room() {
    let scene = scene();
    data::write_random(scene.source.join("big.bin"), 24 * 1024 * 1024, &mut scene.scratch.dice("big"));
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let small = scene.scratch.folder("small-disk");
    let Some(disk) = SmallDisk::mount(&small, 8) else { return };
    tells(&NO_SPACE, &scene.buyer, |buyer| buyer.pull(&code, &small));
    assert!(!small.join("customers").exists());
    // Nothing is lost: with more room the same command succeeds.
    disk.grow(64);
    scene.buyer.pull(&code, &small).run().exits(0);
    Tree::of(&scene.source).must_equal(&Tree::of(small.join("customers")));
}

#[test]
fn a_disk_that_fills_up_on_the_way() {
    let scene = scene();
    let big = scene.scratch.join("dump.sql");
    data::write_random(&big, 24 * 1024 * 1024, &mut scene.scratch.dice("big"));
    // Of standard input nobody knows how much it will be, so the room cannot be compared before.
    let launch = scene.seller.push(&scene.relay, ["--as", "dump.sql", "-"]);
    let code = launch.input(handover_tests::Input::File(big.clone())).run().exits(0).out().trim().to_owned();
    let small = scene.scratch.folder("small-disk");
    let Some(disk) = SmallDisk::mount(&small, 16) else { return };
    let ended = scene.buyer.pull(&code, &small).run();
    assert!(ended.code == Some(9), "{ended}");
    assert!(!small.join("dump.sql").exists(), "nothing half has a final name");
    disk.grow(64);
    scene.buyer.pull(&code, &small).run().exits(0);
    assert_eq!(Tree::of(&big).bytes(), Tree::of(small.join("dump.sql")).bytes());
    assert!(fs::read(&big).unwrap() == fs::read(small.join("dump.sql")).unwrap());
}

/// A small file system in memory; unmounted when dropped.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    fn mount(at: &Path, mebibytes: u32) -> Option<Self> {
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { at: at.into() }),
            other => {
                eprintln!("skipped: no small file system can be mounted here: {other:?}");
                None
            }
        }
    }

    fn grow(&self, mebibytes: u32) {
        let size = format!("remount,size={mebibytes}m");
        assert!(Command::new("mount").args(["-o", &size]).arg(&self.at).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = Command::new("umount").arg("--lazy").arg(&self.at).status() {
            eprintln!("could not unmount {}: {error}", self.at.display());
        }
    }
}

#[test] // [S15.6]
fn existing_files_stand_in_the_way() {
    let scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let out = scene.scratch.join("out");
    let mine = out.join("customers/customers.csv");
    data::write(&mine, b"mine");
    // The same content is no conflict.
    data::write(out.join("customers/合同.pdf"), b"contract");
    tells(&CONFLICTS, &scene.buyer, |buyer| buyer.pull(&code, &out));
    scene.buyer.pull(&code, &out).run().exits(3).says("--conflict");
    let ended = scene.buyer.pull(&code, &out).args(["--conflict", "fail"]).run();
    assert!(!matches!(ended.code, Some(0 | 4)), "{ended}");
    assert_eq!(fs::read(&mine).unwrap(), b"mine");
    let error = ended.err().lines().find(|line| line.starts_with("error:")).unwrap().to_owned();
    assert!(error.contains("customers.csv") && !error.contains("pdf"), "{ended}");

    // Nobody has been asked for the data yet, so the code is still good; the same code then keeps mine.
    let ended = scene.buyer.pull(&code, &out).args(["--conflict", "skip"]).run();
    assert!(matches!(ended.code, Some(0 | 4)), "{ended}");
    assert_eq!(fs::read(&mine).unwrap(), b"mine");
    scene.seller.run(["wait", "1"]).exits(0);
}

#[test] // [S15.6]
fn existing_files_are_renamed_around_or_overwritten_when_the_buyer_says_so() {
    let scene = scene();
    let sent = fs::read(scene.source.join("customers.csv")).unwrap();
    for policy in ["rename", "overwrite"] {
        let code = scene.seller.pushed(&scene.relay, words(&["--new"], &scene.source));
        let out = scene.scratch.join(policy);
        let mine = out.join("customers/customers.csv");
        data::write(&mine, b"mine");
        scene.buyer.pull(&code, &out).args(["--conflict", policy]).run().exits(0);
        let mut contents: Vec<Vec<u8>> = Vec::new();
        for entry in fs::read_dir(out.join("customers")).unwrap() {
            contents.push(fs::read(entry.unwrap().path()).unwrap());
        }
        let has = |wanted: &[u8]| contents.iter().any(|content| content == wanted);
        match policy {
            "rename" => {
                assert_eq!(fs::read(&mine).unwrap(), b"mine", "what was there keeps its name");
                assert!(has(&sent) && contents.len() == 3, "what came has another");
            }
            _ => {
                assert!(fs::read(&mine).unwrap() == sent);
                assert!(!has(b"mine") && contents.len() == 2);
            }
        }
    }
}

#[test]
fn an_answer_is_needed_where_nobody_can_be_asked() {
    let scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let out = scene.scratch.join("out");
    tells(&ANSWER, &scene.buyer, |buyer| buyer.handover(["pull", &code, "--out"]).arg(&out));
    scene.buyer.handover(["pull", &code, "--out"]).arg(&out).run().exits(3).says("--yes");
    assert!(!out.join("customers").exists());
    scene.buyer.pull(&code, &out).run().exits(0);
}

#[test]
fn transfers_that_do_not_exist() {
    let scene = scene();
    let folder = scene.scratch.join("evidence").display().to_string();
    for arguments in [
        &["status", "99"][..],
        &["wait", "99"],
        &["resume", "99"],
        &["revoke", "99"],
        &["code", "99"],
        &["receipt", "show", "99"],
        &["receipt", "export", "99", &folder],
    ] {
        tells(&NO_TRANSFER, &scene.seller, |seller| seller.handover(arguments));
    }
}

#[test]
fn another_run_holds_the_transfer() {
    let scene = scene();
    data::write_random(scene.source.join("big.bin"), 48 * 1024 * 1024, &mut scene.scratch.dice("big"));
    let push = scene.seller.pushing(&scene.relay, [&scene.source]);
    push.running.freeze();
    tells(&HELD, &scene.seller, |seller| seller.handover(["resume", "1"]));
    tells(&HELD, &scene.seller, |seller| seller.push(&scene.relay, [&scene.source]));
    push.running.thaw();
    push.running.end().exits(0);

    let out = scene.scratch.join("out");
    let pull = scene.buyer.pull(&push.code, &out).limit(wait::LONG).start();
    wait::until("the first bytes", wait::USUAL, || (data::folder_bytes(&out) > 0).then_some(()));
    pull.freeze();
    tells(&HELD, &scene.buyer, |buyer| buyer.pull(&push.code, &out));
    pull.thaw();
    pull.end().exits(0);
}

#[test] // [S5.4]
fn codes_that_open_nothing() {
    let scene = scene();
    let out = scene.scratch.join("out");
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let (token, address) = code.split_once('@').unwrap();
    let last = if token.ends_with('q') { 'p' } else { 'q' };
    let mistyped = format!("{}{last}@{address}", &token[..token.len() - 1]);
    tells(&CODE_TYPO, &scene.buyer, |buyer| buyer.pull(&mistyped, &out));
    tells(&CODE_NOT, &scene.buyer, |buyer| buyer.pull("customers.zip", &out));

    let elsewhere = RelayProc::start_with(&scene.scratch, "other-relay", &[]);
    let wrong_place = format!("{token}@{}", elsewhere.address());
    tells(&CODE_UNKNOWN, &scene.buyer, |buyer| buyer.pull(&wrong_place, &out));

    // While the first buyer has it, and after that buyer's receipt.
    data::write_random(scene.source.join("big.bin"), 24 << 20, &mut scene.scratch.dice("big"));
    let big = scene.seller.pushed(&scene.relay, words(&["--new"], &scene.source));
    let first = scene.buyer.pull(&big, &out).limit(wait::LONG).start();
    wait::until("the first bytes", wait::USUAL, || (data::folder_bytes(&out) > 0).then_some(()));
    first.freeze();
    let stranger = Person::new(&scene.scratch, "stranger");
    tells(&CODE_USED, &stranger, |stranger| stranger.pull(&big, &out));
    first.thaw();
    first.end().exits(0);
    tells(&CODE_RECEIPTED, &stranger, |stranger| stranger.pull(&big, &out));

    let revoked = scene.seller.pushed(&scene.relay, words(&["--new"], &scene.source));
    scene.seller.run(["revoke", "3"]).exits(0);
    tells(&CODE_REVOKED, &stranger, |stranger| stranger.pull(&revoked, &out));

    let hasty = RelayProc::start_with(&scene.scratch, "hasty-relay", &["--default-expiry", "5s"]);
    let expired = scene.seller.pushed(&hasty, words(&["--new"], &scene.source));
    wait::until("the expiry", wait::USUAL, || {
        stranger.run(["pull", &expired, "--list"]).code.filter(|code| *code == 7)
    });
    tells(&CODE_EXPIRED, &stranger, |stranger| stranger.pull(&expired, &out));
}

#[test] // [S11.1]
fn a_relay_of_another_version() {
    let scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let (token, _) = code.split_once('@').unwrap();
    let other = OtherVersion::start();
    let there = format!("{token}@{}", other.address);
    tells(&RELAY_VERSION, &scene.buyer, |buyer| buyer.pull(&there, scene.scratch.join("out")));
    let mut invite = handover_shared::invite::Invite::parse(scene.relay.invite()).unwrap();
    invite.relay_key = other.key;
    let invite = invite.to_text();
    let (token, _) = invite.split_once('@').unwrap();
    let there = format!("{token}@{}", other.address);
    tells(&RELAY_VERSION, &scene.seller, |seller| {
        seller.handover(["push", "--new", "--relay", &there]).arg(&scene.source)
    });
}

/// Something that speaks QUIC and raw public keys, but the next version of the protocol.
struct OtherVersion {
    address: SocketAddr,
    key: handover_shared::ids::LinkKey,
    _runtime: tokio::runtime::Runtime,
}

impl OtherVersion {
    fn start() -> Self {
        let secret = LinkSecret::of_seed(zeroize::Zeroizing::new([7; 32])).unwrap();
        let mut tls = relay_config(&secret).unwrap();
        tls.alpn_protocols = vec![b"handover/2".to_vec()];
        let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _inside = runtime.enter();
        let endpoint = quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = endpoint.local_addr().unwrap();
        runtime.spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.await {
                        connection.closed().await;
                    }
                });
            }
        });
        Self { address, key: secret.public(), _runtime: runtime }
    }
}

#[test]
fn a_source_that_changes_or_vanishes_is_an_exception() {
    let scene = scene();
    for number in 0..32 {
        data::write_random(scene.source.join(format!("photos/{number:02}.jpg")), 1 << 20, &mut scene.scratch.dice("p"));
    }
    let push = Pushing::of(scene.seller.push(&scene.relay, [&scene.source]).start());
    push.running.freeze();
    fs::remove_file(scene.source.join("photos/31.jpg")).unwrap();
    push.running.thaw();
    let ended = push.running.end();
    // Whoever was faster: it is either whole or listed.
    let out = scene.scratch.join("out");
    let pulled = scene.buyer.pull(&push.code, &out).run();
    let arrived = out.join("customers/photos/31.jpg").exists();
    let code = if arrived { 0 } else { 4 };
    assert_eq!((ended.code, pulled.code), (Some(code), Some(code)), "{ended}\n{pulled}");
    if !arrived {
        assert!(ended.err().contains("31.jpg") && pulled.err().contains("31.jpg"), "{ended}\n{pulled}");
    }
}
