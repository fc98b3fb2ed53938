//! `doctor` and `relay test` find what is wrong, say what to do in both languages, and end in time with the exit code
//! that fits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use handover_shared::ids::Millis;
use handover_shared::protocol::message::Reply;
use handover_tests::disk::Disk;
use handover_tests::double::{EvilRelay, Say};
use handover_tests::proxy::Proxy;
use handover_tests::{Ended, Language, Person, RelayProc, Scratch, data};

/// What is promised for all checks together.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs checks in both languages and as objects, each in time, and gives the objects.
#[track_caller]
fn examined(person: &Person, words: &[&str], exit: i32, says: [&str; 2]) -> Ended {
    for (language, word) in Language::ALL.into_iter().zip(says) {
        let ended = in_time(|| person.speaking(language).run(words)).exits(exit);
        assert!(is_said(ended.out(), word), "expected {word:?}\n{ended}");
        assert!(!ended.err().contains("panicked"), "{ended}");
        let quiet = person.speaking(language).handover(words).arg("-q").run().exits(exit);
        assert_eq!(is_said(quiet.out(), word), exit != 0 || ended.out().contains('!'), "{quiet}");
    }
    in_time(|| person.handover(words).arg("--json").run()).exits(exit)
}

/// Whether a text says something, wherever its lines are broken.
fn is_said(text: impl AsRef<str>, word: &str) -> bool {
    let lines: Vec<&str> = text.as_ref().lines().map(str::trim).collect();
    lines.join(" ").contains(word) || lines.concat().contains(word)
}

fn in_time(run: impl FnOnce() -> Ended) -> Ended {
    let began = Instant::now();
    let ended = run();
    assert!(began.elapsed() < PATIENCE, "it took {:?}\n{ended}", began.elapsed());
    ended
}

/// What an object says about one of the things that were looked at.
#[track_caller]
fn verdict(ended: &Ended, check: &str) -> String {
    let events = ended.events();
    let found = events.iter().find(|event| event["event"] == "check" && event["check"] == check);
    let found = found.unwrap_or_else(|| panic!("{check} was not looked at\n{ended}"));
    assert_eq!(found["advice"].is_string(), found["verdict"] != "ok", "{ended}");
    found["verdict"].as_str().unwrap().to_owned()
}

#[test]
fn all_is_well() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let person = Person::new(&scratch, "seller");
    person.run(["relay", "add", relay.invite()]).exits(0);
    let ended = examined(&person, &["doctor"], 0, ["may send through it", "可以通过它发送"]);
    for check in ["name", "udp", "tcp", "path", "key", "clock", "relay", "disk", "rights", "identity", "transfers"] {
        assert_eq!(verdict(&ended, check), "ok", "{check}\n{ended}");
    }
    let (_before, secret) = relay.invite().split_once("hr1").unwrap();
    assert!(!ended.out().contains(&secret[..20]), "an invite is not repeated");

    // Nothing is left behind, and a stranger's machine is not told who asks.
    assert_eq!(fs::read_dir(person.desk()).unwrap().count(), 0);
    let buyer = Person::new(&scratch, "buyer");
    let ended = examined(&buyer, &["relay", "test", relay.address()], 0, ["never seen before", "首次见到"]);
    assert_eq!(verdict(&ended, "relay"), "ok");
    buyer.run(["relay", "test"]).exits(2);
}

#[test]
fn datagrams_are_dropped() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let proxy = Proxy::start(relay.port());
    proxy.cut();
    let person = Person::new(&scratch, "buyer");
    let address = proxy.address();
    let ended = examined(&person, &["doctor", "--relay", &address], 5, ["firewall drops UDP", "防火墙拦截"]);
    assert_eq!(verdict(&ended, "udp"), "failed");
    assert_eq!(verdict(&ended, "disk"), "ok", "the rest is looked at all the same\n{ended}");

    proxy.mend();
    let ended = person.run(["relay", "test", &address, "--json"]).exits(0);
    assert_eq!(verdict(&ended, "udp"), "ok");
}

#[test]
fn nobody_listens_and_names_that_nobody_has() {
    let scratch = Scratch::new();
    let person = Person::new(&scratch, "buyer");
    let mut relay = RelayProc::start(&scratch);
    let address = relay.address().to_owned();
    relay.kill();
    let ended = examined(&person, &["relay", "test", &address], 5, ["Is the relay running?", "中继是否在运行"]);
    assert_eq!(verdict(&ended, "udp"), "failed");
    let ended = examined(&person, &["relay", "test", "no.such.name.invalid"], 5, ["name server", "域名服务器"]);
    assert_eq!(verdict(&ended, "name"), "failed");
}

#[test]
fn another_machine_answers() {
    let scratch = Scratch::new();
    let mut relay = RelayProc::start(&scratch);
    let person = Person::new(&scratch, "seller");
    person.run(["relay", "add", relay.invite()]).exits(0);
    let port = relay.port();
    relay.kill();
    let folder = scratch.folder("impostor-machine");
    let launch = handover_tests::Launch::new(handover_tests::programs::relay(), &folder).env("HOME", &folder);
    let _impostor = RelayProc::start_from(launch, scratch.join("impostor"), port, &[]);
    let ended = examined(&person, &["doctor"], 8, ["instead of", "应为"]);
    assert_eq!(verdict(&ended, "key"), "failed");
    assert_eq!(verdict(&ended, "udp"), "ok");
}

#[test]
fn the_seller_was_thrown_out() {
    let scratch = Scratch::new();
    let relay = EvilRelay::start();
    let person = Person::new(&scratch, "seller");
    person.run(["relay", "add", relay.invite()]).exits(0);
    relay.does(|visit| {
        let said = visit.honestly();
        let change = |say: Say| match say {
            Say::Reply(reply) => match *reply {
                Reply::Welcome(mut welcome) => {
                    welcome.enrolled = false;
                    Say::reply(Reply::Welcome(welcome))
                }
                other => Say::reply(other),
            },
            other => other,
        };
        Some(said.into_iter().map(change).collect())
    });
    let ended = examined(&person, &["relay", "test"], 6, ["no longer send", "不能再通过它发送"]);
    assert_eq!(verdict(&ended, "relay"), "failed");
}

#[test]
fn clocks_disagree() {
    let scratch = Scratch::new();
    let relay = EvilRelay::start();
    let person = Person::new(&scratch, "buyer");
    let address = relay.invite().rsplit_once('@').unwrap().1.to_owned();
    for (shift_ms, says) in [(400_000, ["6 min", "6 分"]), (-7_300_000, ["2 h 1 min ahead", "快 2 小时 1 分"])] {
        relay.does(move |visit| {
            let said = visit.honestly();
            let change = move |say: Say| match say {
                Say::Reply(reply) => match *reply {
                    Reply::Welcome(mut welcome) => {
                        welcome.time = Millis(welcome.time.0.saturating_add_signed(shift_ms));
                        Say::reply(Reply::Welcome(welcome))
                    }
                    other => Say::reply(other),
                },
                other => other,
            };
            Some(said.into_iter().map(change).collect())
        });
        let ended = examined(&person, &["relay", "test", &address], 0, says);
        assert_eq!(verdict(&ended, "clock"), "warning");
    }
}

#[test]
fn a_relay_that_answers_nothing_is_given_up_in_time() {
    let scratch = Scratch::new();
    let relay = EvilRelay::start();
    let address = relay.invite().rsplit_once('@').unwrap().1.to_owned();
    relay.does(|_| Some(vec![Say::Silence]));
    let person = Person::new(&scratch, "buyer");
    let ended = examined(&person, &["relay", "test", &address], 5, ["no answer", "没有应答"]);
    assert_eq!(verdict(&ended, "udp"), "failed");
}

#[test]
fn disks_are_full_or_closed() {
    let scratch = Scratch::new();
    let person = Person::new(&scratch, "buyer");
    let Some(_disk) = Disk::mount(&scratch.join("small"), 16) else { return };
    let small = scratch.join("small").display().to_string();
    let ended = examined(&person, &["doctor", "--out", &small], 0, ["little room", "空间不多"]);
    assert_eq!(verdict(&ended, "disk"), "warning");

    let mut filler = fs::File::create(scratch.join("small/filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    let ended = examined(&person, &["doctor", "--out", &small], 9, ["the disk is full", "已满"]);
    assert_eq!(verdict(&ended, "disk"), "failed");
    assert!(ended.events().iter().any(|event| event["check"] == "terminal"), "the rest is looked at all the same");
    assert_eq!(fs::read_dir(&small).unwrap().flatten().filter(|it| it.file_name() != "lost+found").count(), 1);
}

#[test]
fn what_was_interrupted_is_found() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let person = Person::new(&scratch, "seller");
    let source = scratch.join("noise.bin");
    data::write_random(&source, 4 << 20, &mut scratch.dice("noise"));
    let pushing = person.pushing(&relay, ["--bwlimit".as_ref(), "10k".as_ref(), source.as_os_str()]);
    pushing.running.interrupt();
    pushing.running.end().exits(130);
    let ended = examined(&person, &["doctor"], 0, ["handover resume", "handover resume"]);
    assert_eq!(verdict(&ended, "transfers"), "warning");
}
