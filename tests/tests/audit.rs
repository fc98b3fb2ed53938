//! The relay's log, as both sides hold it: real processes, real relay, and OpenSSH as the judge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use handover_shared::proof::log::tree::leaf_hash;
use handover_tests::{Ended, Input, Language, Launch, Person, RelayProc, Scratch, data, programs};

fn source(scratch: &Scratch) -> PathBuf {
    let source = scratch.join("customers");
    data::write(source.join("customers.csv"), &scratch.dice("customers").table(100_000));
    source
}

/// The words of the entries that `audit show --json` has.
fn events(person: &Person, id: &str) -> Vec<String> {
    let audit = person.run(["audit", "show", id, "--json"]).exits(0).event("audit");
    assert_eq!(audit["check"], "holds", "{audit}");
    let entries = audit["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["what"].as_str().unwrap().to_owned()).collect()
}

fn verify(person: &Person, folders: &[&Path]) -> Ended {
    person.handover(["audit", "verify"]).args(folders).run()
}

/// Whether OpenSSH takes a signature of the relay's.
fn ssh_keygen(folder: &Path, file: &str, namespace: &str) -> bool {
    let program = programs::on_path("ssh-keygen").expect("ssh-keygen is installed");
    let arguments = ["-Y", "verify", "-f", "relay_signers", "-I", "relay", "-n", namespace, "-s"];
    let launch = Launch::new(program, folder).args(arguments).arg(format!("{file}.sig"));
    launch.input(Input::File(folder.join(file))).run().code == Some(0)
}

#[test] // [S16.4] [S16.5] [S16.6] [S16.7]
fn both_sides_hold_the_log_and_the_signed_deletion() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let code = seller.pushed(&relay, [source(&scratch)]);
    let took = buyer.pull(&code, scratch.join("out")).run().exits(0);
    assert!(took.err().contains("The relay has deleted the data and signed for it"), "{took}");
    // Who comes too late stands in the log, by its key.
    let late = Person::new(&scratch, "late");
    late.pull(&code, scratch.join("late-out")).run().exits(7);

    let waited = seller.run(["wait", "1"]).exits(0);

    assert!(waited.err().contains("The relay has deleted the data and signed for it"), "{waited}");
    let all = ["created", "first-block", "completed", "claimed", "receipted", "deleted"];
    assert_eq!(events(&seller, "1"), all);
    assert_eq!(events(&buyer, "1"), all);
    let status = seller.run(["status", "1"]).exits(0);
    assert!(status.out().contains("signed for it"), "{status}");
    let chinese = seller.speaking(Language::Chinese).run(["audit", "show", "1"]).exits(0);
    assert!(chinese.out().contains("中继签名确认") && chinese.out().contains("代码已使用"), "{chinese}");

    // Both export; anybody checks, with and without the program.
    let anybody = Person::new(&scratch, "anybody");
    let folders = [(&seller, scratch.join("of-seller")), (&buyer, scratch.join("of-buyer"))];
    for (person, folder) in &folders {
        person.handover(["audit", "export", "1"]).arg(folder).run().exits(0);
        verify(&anybody, &[folder.as_path()]).exits(0);
        assert!(ssh_keygen(folder, "log-head.json", "handover-log-head-v1"));
        assert!(ssh_keygen(folder, "deletion.json", "handover-deletion-v1"));
        assert!(!ssh_keygen(folder, "deletion.json", "handover-receipt-v1"));
    }
    let (one, other) = (folders[0].1.as_path(), folders[1].1.as_path());
    let same = verify(&anybody, &[one, other]).exits(0);
    assert!(same.err().contains("same log"), "{same}");

    // The leaf of the last entry stands in the deletion.
    let proofs: serde_json::Value = serde_json::from_slice(&fs::read(one.join("log-proofs.json")).unwrap()).unwrap();
    let number = proofs["entries"].as_array().unwrap().last().unwrap()["entry"].as_u64().unwrap();
    let text = fs::read(one.join(format!("log-entry-{number}.json"))).unwrap();
    let leaf = leaf_hash(&text).to_hex();
    assert!(fs::read_to_string(one.join("deletion.json")).unwrap().contains(&leaf));

    // Anything altered is found, and said in both languages.
    for name in fs::read_dir(one).unwrap().map(|entry| entry.unwrap().file_name()) {
        let path = one.join(&name);
        let whole = fs::read(&path).unwrap();
        let mut altered = whole.clone();
        let place = altered.iter().rposition(u8::is_ascii_alphanumeric).unwrap();
        altered[place] = if altered[place] == b'7' { b'8' } else { b'7' };
        fs::write(&path, &altered).unwrap();
        let found = verify(&anybody, &[one]).exits(8);
        assert!(found.err().contains("the relay's log is not valid"), "{name:?}\n{found}");
        let chinese = verify(&anybody.speaking(Language::Chinese), &[one]).exits(8);
        assert!(chinese.err().contains("中继的日志无效"), "{name:?}\n{chinese}");
        fs::write(&path, &whole).unwrap();
    }
    fs::remove_file(one.join(format!("log-entry-{number}.json"))).unwrap();
    verify(&anybody, &[one]).exits(9);
}

#[test] // [S13.6] [S16.3]
fn refused_claims_are_in_the_log() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let code = seller.pushed(&relay, [source(&scratch)]);
    // Claimed, and stopped before anything is taken: something is in the way.
    let out = scratch.join("out");
    data::write(out.join("customers/customers.csv"), b"in the way");
    let stopped = buyer.pull(&code, &out).args(["--conflict", "fail"]).run();
    assert_ne!(stopped.code, Some(0), "{stopped}");
    Person::new(&scratch, "late").pull(&code, scratch.join("late-out")).run().exits(7);

    seller.run(["status", "1"]).exits(0);

    assert_eq!(events(&seller, "1"), ["created", "first-block", "completed", "claimed", "claim-refused"]);
    let shown = seller.speaking(Language::Chinese).run(["audit", "show", "1"]).exits(0);
    assert!(shown.out().contains("代码被拒"), "{shown}");
}

#[test] // [S16.6] [S16.7]
fn a_relay_that_goes_back_to_an_older_ledger_is_found_out() {
    let scratch = Scratch::new();
    let mut relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let first = seller.pushed(&relay, [source(&scratch)]);
    seller.run(["status", "1"]).exits(0);
    relay.kill();
    let ledger = relay.data().join("ledger.sqlite");
    let names = ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", ledger.display())));
    let older: Vec<Option<Vec<u8>>> = names.iter().map(|name| fs::read(name).ok()).collect();
    relay.restart();
    // A second transfer begins and ends; both are in the log that the seller holds.
    let code = seller.pushed(&relay, [scratch.join("customers/customers.csv")]);
    assert_ne!(code, first);
    buyer.pull(&code, scratch.join("out")).run().exits(0);
    seller.run(["wait", "2"]).exits(0);
    assert_eq!(events(&seller, "2").len(), 6);
    relay.kill();
    for (name, bytes) in names.iter().zip(older) {
        match bytes {
            Some(bytes) => fs::write(name, bytes).unwrap(),
            None => drop(fs::remove_file(name)),
        }
    }
    relay.restart();

    let status = seller.run(["status", "1"]).exits(0);

    // What the relay shows of the first transfer is under a head that is shorter than the one held of the second.
    assert!(status.out().contains("two logs that cannot both be true"), "{status}");
    let found = seller.run(["audit", "verify", "1"]).exits(8);
    assert!(found.err().contains("two logs that cannot both be true"), "{found}");
    let evidence = scratch.join("evidence");
    seller.handover(["audit", "export", "1"]).arg(&evidence).run().exits(0);
    for half in ["fork-held.json", "fork-shown.json"] {
        assert!(ssh_keygen(&evidence, half, "handover-log-head-v1"), "{half}");
    }
    verify(&Person::new(&scratch, "anybody"), &[evidence.as_path()]).exits(8);
}

#[test] // [S16.5]
fn a_revocation_ends_with_a_signed_deletion() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let seller = Person::new(&scratch, "seller");
    seller.pushed(&relay, [source(&scratch)]);
    let none = seller.run(["audit", "show", "1"]);
    assert!(none.code == Some(1), "{none}");

    let revoked = seller.run(["revoke", "1"]).exits(0);

    assert!(revoked.err().contains("signed for it"), "{revoked}");
    assert_eq!(events(&seller, "1"), ["created", "first-block", "completed", "revoked", "deleted"]);
}
