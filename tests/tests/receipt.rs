//! The receipt: what the buyer signed reaches the seller, and anybody can check it without handover.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::path::Path;

use handover_tests::{Input, Launch, Person, RelayProc, Scratch, data, programs, wait};

#[test] // [S10.6] [S10.10]
fn the_seller_gets_a_receipt_that_anybody_can_check() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("customers");
    data::write(source.join("customers.csv"), &scratch.dice("customers").table(100_000));
    data::write(source.join("orders.csv"), b"orders");
    let code = seller.pushed(&relay, [&source]);

    // The seller waits before the buyer comes.
    let waiting = seller.handover(["wait", "1", "--json"]).limit(wait::LONG).start();
    buyer.pull(&code, scratch.join("out")).run().exits(0);
    let receipt = waiting.end().exits(0).event("receipt");
    assert_eq!(receipt["files"], 2, "{receipt}");
    assert_eq!(receipt["bytes"], 100_006, "{receipt}");

    // The buyer's fingerprint, as ssh-keygen would say it.
    let shown = buyer.run(["identity", "show", "--json"]).exits(0);
    assert!(shown.out().contains("SHA256:"), "{shown}");
    let fingerprint = word_with(&shown.out(), "SHA256:");
    let waited = seller.run(["wait", "1"]).exits(0);
    assert!(waited.err().contains(&fingerprint) || waited.out().contains(&fingerprint), "who signed\n{waited}");

    for (person, role) in [(&seller, "seller"), (&buyer, "buyer")] {
        let folder = scratch.join(format!("evidence-{role}"));
        person.handover(["receipt", "export", "1"]).arg(&folder).run().exits(0);
        let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["allowed_signers", "receipt.json", "receipt.json.sig"]);
        let text = fs::read_to_string(folder.join("receipt.json")).unwrap();
        let fields: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(text.contains(&fingerprint), "{fields}");
        let own = person.run(["receipt", "show", "1"]).exits(0);
        assert!(own.out().contains(&fingerprint), "{own}");

        // From anybody's machine, without state and without network.
        let anybody = Person::new(&scratch, &format!("anybody-{role}"));
        let verify = |file: &Path| anybody.run([Path::new("receipt"), Path::new("verify"), file]);
        verify(&folder.join("receipt.json")).exits(0);
        assert_ssh_keygen(&folder, "accepts");

        for place in [20, text.len() / 2, text.len() - 3] {
            let mut changed = text.clone().into_bytes();
            changed[place] = if changed[place] == b'7' { b'8' } else { b'7' };
            fs::write(folder.join("receipt.json"), &changed).unwrap();
            verify(&folder.join("receipt.json")).exits(8);
            assert_ssh_keygen(&folder, "refuses");
        }
        fs::write(folder.join("receipt.json"), &text).unwrap();
        verify(&folder.join("receipt.json")).exits(0);
        let signature = fs::read_to_string(folder.join("receipt.json.sig")).unwrap();
        let middle = signature.len() / 2;
        let other = if &signature[middle..=middle] == "A" { "B" } else { "A" };
        fs::write(
            folder.join("receipt.json.sig"),
            format!("{}{other}{}", &signature[..middle], &signature[middle + 1..]),
        )
        .unwrap();
        verify(&folder.join("receipt.json")).exits(8);
    }
    // Seller and buyer hold the same receipt.
    let read = |role: &str| fs::read(scratch.join(format!("evidence-{role}/receipt.json"))).unwrap();
    assert_eq!(read("seller"), read("buyer"));
}

/// `ssh-keygen -Y verify` on an exported folder.
fn assert_ssh_keygen(folder: &Path, wanted: &str) {
    let Some(ssh_keygen) = programs::on_path("ssh-keygen") else {
        eprintln!("skipped: ssh-keygen is not installed");
        return;
    };
    let signers = fs::read_to_string(folder.join("allowed_signers")).unwrap();
    let principal = signers.split_whitespace().next().unwrap();
    let ended = Launch::new(ssh_keygen, folder)
        .args(["-Y", "verify", "-f", "allowed_signers", "-I", principal])
        .args(["-n", "handover-receipt-v1", "-s", "receipt.json.sig"])
        .input(Input::File(folder.join("receipt.json")))
        .run();
    assert_eq!(ended.code == Some(0), wanted == "accepts", "ssh-keygen must say that it {wanted}\n{ended}");
}

fn word_with(text: &str, start: &str) -> String {
    let at = text.find(start).unwrap();
    text[at..].chars().take_while(|c| !c.is_whitespace() && *c != '"' && *c != ',').collect()
}

#[test] // [S15.4]
fn a_receipt_is_delivered_later_when_the_relay_was_away() {
    let scratch = Scratch::new();
    let mut relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("customers");
    data::write_random(source.join("big.bin"), 24 * 1024 * 1024, &mut scratch.dice("big"));
    let code = seller.pushed(&relay, [&source]);
    let out = scratch.join("out");
    let pull = buyer.pull(&code, &out).limit(wait::LONG).start();
    wait::until("the first bytes", wait::USUAL, || (data::folder_bytes(&out) > 1024 * 1024).then_some(()));
    relay.kill();
    relay.restart();
    pull.end().exits(0);
    seller.run(["wait", "1"]).exits(0);
}

#[test]
fn there_is_no_receipt_before_there_is_one() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let seller = Person::new(&scratch, "seller");
    let source = scratch.join("customers.csv");
    data::write(&source, b"customers");
    seller.pushed(&relay, [&source]);
    for action in ["show", "export"] {
        let ended = seller.run(["receipt", action, "1"]);
        assert!(ended.code != Some(0) && ended.stdout.is_empty(), "{ended}");
    }
    let mut waiting = seller.handover(["wait", "1", "--json"]).start();
    waiting.event("progress", |event| (event["phase"] == "waiting").then_some(()));
    waiting.interrupt();
    waiting.end().exits(130);
}
