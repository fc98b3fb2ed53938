//! A code works once, for one buyer, until it is revoked or its time is over.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

use handover_tests::{Person, RelayProc, Scratch, Tree, data, wait};

struct Scene {
    scratch: Scratch,
    relay: RelayProc,
    seller: Person,
    buyer: Person,
    source: PathBuf,
}

fn scene() -> Scene {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("customers");
    data::write(source.join("customers.csv"), &scratch.dice("customers").table(100_000));
    Scene { scratch, relay, seller, buyer, source }
}

#[test] // [S13.5] [S13.6]
fn a_second_buyer_is_refused_and_the_seller_sees_it() {
    let scene = scene();
    data::write_random(scene.source.join("big.bin"), 48 * 1024 * 1024, &mut scene.scratch.dice("big"));
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let out = scene.scratch.join("out");
    let first = scene.buyer.pull(&code, &out).limit(wait::LONG).start();
    wait::until("the first buyer's data", wait::USUAL, || (data::folder_bytes(&out) > 4 * 1024 * 1024).then_some(()));
    first.freeze();
    let before = scene.seller.run(["status", "1"]).exits(0).out();

    let stranger = Person::new(&scene.scratch, "stranger");
    let into = scene.scratch.join("stolen");
    let refused = stranger.pull(&code, &into).run().exits(7);
    assert!(refused.stdout.is_empty(), "nothing on standard output\n{refused}");
    assert!(!into.exists() || std::fs::read_dir(&into).unwrap().next().is_none(), "nothing was written");
    // The same person on another machine is a stranger as well.
    Person::new(&scene.scratch, "laptop").pull(&code, scene.scratch.join("laptop")).run().exits(7);

    let after = scene.seller.run(["status", "1"]).exits(0).out();
    assert_ne!(before, after, "the attempts show in the status");
    first.thaw();
    first.end().exits(0);
    Tree::of(&scene.source).must_equal(&Tree::of(out.join("customers")));
    let told = scene.seller.run(["status", "1", "--json"]).exits(0);
    let refused = told.events().iter().find_map(|event| event["refused_claims"].as_u64());
    assert_eq!(refused, Some(2), "the attempts are told to scripts\n{told}");
}

#[test] // [S13.6]
fn a_stranger_after_the_receipt_is_refused_and_the_seller_sees_it() {
    let scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    scene.buyer.pull(&code, scene.scratch.join("out")).run().exits(0);
    scene.seller.run(["wait", "1"]).exits(0);
    let before = scene.seller.run(["status", "1"]).exits(0).out();
    Person::new(&scene.scratch, "stranger").pull(&code, scene.scratch.join("stolen")).run().exits(7);
    let after = scene.seller.run(["status", "1"]).exits(0).out();
    assert_ne!(before, after, "the attempt shows in the status");
}

#[test] // [S13.7]
fn a_code_is_spent_after_the_receipt_also_for_its_buyer_elsewhere() {
    let scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let out = scene.scratch.join("out");
    scene.buyer.pull(&code, &out).run().exits(0);
    // The same machine, the same folder: everything is there, nothing is asked.
    scene.buyer.pull(&code, &out).run().exits(0);
    // The data is gone from the relay, so another folder cannot be filled.
    scene.buyer.pull(&code, scene.scratch.join("elsewhere")).run().exits(7);
    Tree::of(&scene.source).must_equal(&Tree::of(out.join("customers")));
}

#[test]
fn a_revoked_code_opens_nothing() {
    let scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    scene.seller.run(["revoke", "1"]).exits(0);
    scene.buyer.pull(&code, scene.scratch.join("out")).run().exits(7);
    assert!(!scene.scratch.join("out/customers").exists());
    scene.seller.run(["wait", "1"]).exits(7);
    // Burning twice is burning once.
    scene.seller.run(["revoke", "1"]).exits(0);
}

#[test] // [S13.8]
fn an_expired_code_opens_nothing() {
    let scene = scene();
    let hasty = RelayProc::start_with(&scene.scratch, "hasty-relay", &["--default-expiry", "5s"]);
    let code = scene.seller.pushed(&hasty, [&scene.source]);
    wait::until("the expiry", wait::USUAL, || {
        scene.buyer.run(["pull", &code, "--list"]).code.filter(|code| *code == 7)
    });
    scene.buyer.pull(&code, scene.scratch.join("out")).run().exits(7);
    assert!(!scene.scratch.join("out/customers").exists());
}

#[test]
fn another_valid_code_is_wrong_here() {
    let scene = scene();
    let elsewhere = RelayProc::start_with(&scene.scratch, "other-relay", &[]);
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let other = Person::new(&scene.scratch, "other-seller").pushed(&elsewhere, [&scene.source]);
    let (other_code, _) = other.split_once('@').unwrap();
    let (_, address) = code.split_once('@').unwrap();
    scene.buyer.pull(&format!("{other_code}@{address}"), scene.scratch.join("out")).run().exits(7);
    // The right one still works: a wrong guess burns nothing.
    scene.buyer.pull(&code, scene.scratch.join("out")).run().exits(0);
}

#[test] // [S5.4]
fn a_mistyped_code_is_caught_without_any_network() {
    let scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let (right, _) = code.split_once('@').unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let mut dice = scene.scratch.dice("typos");
    for _ in 0..8 {
        let at = 3 + dice.below(right.len() as u64 - 3) as usize;
        let mut typed = right.as_bytes().to_vec();
        typed[at] = if typed[at] == b'q' { b'p' } else { b'q' };
        let typed = format!("{}@{}", String::from_utf8(typed).unwrap(), silent.local_addr().unwrap());
        let ended = scene.buyer.pull(&typed, scene.scratch.join("out")).run().exits(7);
        assert!(!ended.err().contains(right), "the code is not repeated\n{ended}");
    }
    let mut packet = [0; 64];
    let heard = silent.recv(&mut packet);
    assert!(heard.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "a packet was sent");
    // Looking at the address of a code that is right does send one: the check above can fail.
    let knocking =
        scene.buyer.pull(&format!("{right}@{}", silent.local_addr().unwrap()), scene.scratch.join("out")).start();
    wait::until("a packet", Duration::from_secs(20), || silent.recv(&mut packet).ok());
    drop(knocking);
}

#[test] // [S5.2] [S5.3]
fn every_form_of_a_code_is_accepted() {
    let scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let (token, address) = code.split_once('@').unwrap();
    let form = |option: &str| scene.seller.run(["code", "1", option]).exits(0).out().trim().to_owned();
    let (words, chinese) = (form("--words"), form("--chinese"));
    assert_eq!(words.split('@').next().unwrap().split_whitespace().count(), 15, "{words}");
    assert_eq!(scene.seller.run(["code", "1"]).exits(0).out().trim(), code);
    let (head, tail) = token.split_at(20);
    let forms = [
        token.to_uppercase(),
        format!("  {head} - {tail}"),
        token.chars().map(full_width).collect(),
        words.split('@').next().unwrap().trim().to_owned(),
        words.split('@').next().unwrap().trim().to_uppercase(),
        chinese.split('@').next().unwrap().trim().to_owned(),
        chinese.split('@').next().unwrap().split_whitespace().collect::<String>(),
    ];
    for form in &forms {
        let with_address = format!("{form}@{address}");
        let looked = scene.buyer.run(["pull", &with_address, "--list"]);
        assert!(looked.code == Some(0), "as {form}\n{looked}");
    }
    // Several words of the command line are one code, and the relay can be named apart from it.
    let split: Vec<&str> = words.split('@').next().unwrap().split_whitespace().collect();
    scene.buyer.run(["pull", "--list", "--relay", address].into_iter().chain(split)).exits(0);
    // Looking burns nothing.
    scene.buyer.pull(&code, scene.scratch.join("out")).run().exits(0);
}

fn full_width(c: char) -> char {
    char::from_u32(c as u32 + 0xfee0).unwrap()
}

#[test]
fn a_code_comes_from_a_file_the_environment_or_standard_input() {
    let scene = scene();
    let list = |launch: handover_tests::Launch| launch.args(["pull", "--list", "--no-input"]).run();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let file = scene.scratch.join("code.txt");
    data::write(&file, format!("{code}\n").as_bytes());
    let none: [&str; 0] = [];
    list(scene.buyer.handover(none)).exits(3);
    list(scene.buyer.handover(none).env("HANDOVER_CODE", &code)).exits(0);
    let ended = scene.buyer.run([Path::new("pull"), Path::new("--list"), Path::new("--code-file"), &file]);
    ended.exits(0);
    let written = scene.scratch.join("written.txt");
    let arguments = [Path::new("--new"), Path::new("--code-file"), &written, &scene.source];
    let ended = scene.seller.push(&scene.relay, arguments).run().exits(0);
    let kept = std::fs::read_to_string(&written).unwrap();
    assert!(kept.starts_with("ho1") && kept.trim() != code, "--new makes another code\n{ended}");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(&written).unwrap().mode() & 0o777, 0o600, "the code is a secret");
}
