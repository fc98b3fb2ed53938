//! What is left of a transfer is destroyed, nothing else is, and the certificate says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use handover_tests::{Ended, Input, Language, Launch, Person, RelayProc, Scratch, data, programs, wait};

struct Scene {
    scratch: Scratch,
    seller: Person,
    buyer: Person,
    source: PathBuf,
    out: PathBuf,
    _relay: RelayProc,
}

impl Scene {
    fn new() -> Self {
        let scratch = Scratch::new();
        let relay = RelayProc::start(&scratch);
        let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
        let source = scratch.join("customers");
        data::write(source.join("customers.csv"), &scratch.dice("customers").table(300_000));
        data::write(source.join("订单/2026.csv"), b"orders of 2026");
        data::write(source.join("订单/2025.csv"), b"orders of 2025");
        symlink("customers.csv", source.join("latest")).unwrap();
        let code = seller.pushed(&relay, [&source]);
        let out = scratch.join("out");
        buyer.pull(&code, &out).run().exits(0);
        seller.run(["wait", "1"]).exits(0);
        Self { scratch, seller, buyer, source, out, _relay: relay }
    }
}

/// Every file of the transfer on this machine.
fn kept(person: &Person) -> Vec<String> {
    let names = fs::read_dir(person.home().join("transfers/1")).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn certificate(ended: &Ended) -> serde_json::Value {
    ended.event("destruction")
}

#[test] // [S21.1] [S21.2] [S21.3]
fn what_is_left_goes_and_the_record_stays() {
    let scene = Scene::new();
    for (person, files) in [(&scene.buyer, &scene.out), (&scene.seller, &scene.source)] {
        let before = data::folder_bytes(files);
        let receipt = person.run(["receipt", "show", "1"]).exits(0).out();
        // Nobody is there to be asked, and nobody has said yes.
        assert_eq!(person.run(["destroy", "1", "--json"]).exits(3).event("error")["code"], "answer-needed");
        assert!(kept(person).contains(&"manifest.key".to_owned()));
        let dir = scene.scratch.join(format!("certificate-{}", files.file_name().unwrap().display()));
        let ended = person
            .handover(["destroy", "1", "--yes", "--json", "--reason", "合同第七条", "--certificate"])
            .arg(&dir)
            .run()
            .exits(0);
        assert!(ended.events().iter().any(|event| event["event"] == "held"), "{ended}");
        let said = certificate(&ended);
        assert_eq!((&said["verdict"], &said["remaining"]), (&"pass".into(), &0.into()), "{said}");
        assert_eq!(said["reason"], "合同第七条");
        assert_eq!(data::folder_bytes(files), before, "the files are not what was asked for");
        for gone in ["secrets", "plan", "records", "marks", "manifest", "manifest.key", "list", "announced"] {
            assert!(!kept(person).contains(&gone.to_owned()), "{gone}\n{:?}", kept(person));
        }
        assert_eq!(person.run(["receipt", "show", "1"]).exits(0).out(), receipt, "the receipt stays");
        person.run(["status", "1"]).exits(0);
        // What a check would need is gone, and that is said.
        assert_eq!(person.run(["verify", "1", "--json"]).exits(1).event("error")["code"], "not-whole");

        assert_ssh_keygen(&dir, "destruction", "allowed_signers", "destroyer", "handover-destruction-v1", true);
        let check = |file: &Path| person.handover(["destroy", "verify", "--json"]).arg(file).run();
        let file = dir.join("destruction.json");
        assert_eq!(certificate(&check(&file).exits(0)), said);
        let good = fs::read_to_string(&file).unwrap();
        for (from, to) in [("pass", "failed"), ("\"items\": \"", "\"items\": \"1"), ("合", "x"), ("seller", "buyer")] {
            let altered = good.replacen(from, to, 1);
            if altered != good {
                fs::write(&file, altered).unwrap();
                assert_eq!(check(&file).exits(8).event("error")["code"], "certificate-invalid");
                assert_ssh_keygen(
                    &dir,
                    "destruction",
                    "allowed_signers",
                    "destroyer",
                    "handover-destruction-v1",
                    false,
                );
            }
        }
        fs::write(&file, good).unwrap();
        // Once more: nothing is left, and the certificate is the same.
        let again = person.run(["destroy", "1", "--yes", "--json"]).exits(0);
        assert_eq!(certificate(&again), said);
    }
}

/// `ssh-keygen -Y verify` on an exported statement.
fn assert_ssh_keygen(folder: &Path, name: &str, signers: &str, principal: &str, namespace: &str, accepts: bool) {
    let Some(ssh_keygen) = programs::on_path("ssh-keygen") else {
        eprintln!("skipped: ssh-keygen is not installed");
        return;
    };
    let ended = Launch::new(ssh_keygen, folder)
        .args(["-Y", "verify", "-f", signers, "-I", principal, "-n", namespace, "-s", &format!("{name}.json.sig")])
        .input(Input::File(folder.join(format!("{name}.json"))))
        .run();
    assert_eq!(ended.code == Some(0), accepts, "{ended}");
}

#[test] // [S21.1] [S21.2]
fn sent_files_go_only_when_it_is_typed_and_only_what_was_sent() {
    let scene = Scene::new();
    let at = |name: &str| scene.source.join(name);
    // One byte, with the old time and size; something that was never sent; and another name for a sent file.
    let meta = fs::metadata(at("订单/2025.csv")).unwrap();
    fs::write(at("订单/2025.csv"), b"orders of 2O25").unwrap();
    fs::File::options().write(true).open(at("订单/2025.csv")).unwrap().set_modified(meta.modified().unwrap()).unwrap();
    data::write(at("订单/new.csv"), b"not sent");
    let destroy = |more: &[&str]| scene.seller.handover(["destroy", "1", "--source", "--json"]).args(more).run();
    destroy(&["--yes"]).exits(3);
    assert_eq!(destroy(&["--confirm", "yes"]).exits(2).event("error")["code"], "confirm");
    assert!(at("customers.csv").exists() && at("订单/2026.csv").exists());
    // The bytes are gone, not only the name: whoever has the file open sees zeros.
    let mut open = fs::File::open(at("订单/2026.csv")).unwrap();
    let ended = destroy(&["--confirm", "销毁原件 1"]).exits(0);
    let said = certificate(&ended);
    assert_eq!(said["verdict"], "pass", "{ended}");
    assert_eq!((&said["source_files"], &said["source_kept"]), (&2.into(), &1.into()), "{ended}");
    if said["technique"] != "unlink, sync" {
        let mut left = Vec::new();
        std::io::Read::read_to_end(&mut open, &mut left).unwrap();
        assert_eq!(left, vec![0; 14]);
    }
    assert!(!at("customers.csv").exists() && !at("订单/2026.csv").exists() && !at("latest").exists());
    assert_eq!(fs::read(at("订单/2025.csv")).unwrap(), b"orders of 2O25", "it is not what was sent");
    assert_eq!(fs::read(at("订单/new.csv")).unwrap(), b"not sent");
    // The buyer's side has no sources, and received files are never touched.
    let ended = scene.buyer.run(["destroy", "1", "--source", "--confirm", "destroy source 1", "--json"]).exits(1);
    assert_eq!(ended.event("error")["code"], "no-plan");
    assert!(scene.out.join("customers/customers.csv").exists());
}

#[test] // [S21.2]
fn another_name_of_a_sent_file_makes_the_verdict_unknown() {
    let scene = Scene::new();
    fs::hard_link(scene.source.join("订单/2026.csv"), scene.scratch.join("another name")).unwrap();
    let ended = scene.seller.run(["destroy", "1", "--source", "--confirm", "destroy source 1", "--json"]).exits(4);
    assert_eq!(certificate(&ended)["verdict"], "unknown", "{ended}");
    assert_eq!(fs::read(scene.scratch.join("another name")).unwrap(), b"orders of 2026");
    assert!(!scene.source.exists());
}

#[test] // [S21.1]
fn what_the_other_side_still_needs_is_not_destroyed() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let (source, out) = (scratch.join("customers"), scratch.join("out"));
    data::write_random(source.join("big.bin"), 24 * 1024 * 1024, &mut scratch.dice("big"));
    let code = seller.pushed(&relay, [&source]);
    for (language, sentence) in [(Language::English, "is not over"), (Language::Chinese, "尚未结束")] {
        let refused = seller.speaking(language).run(["destroy", "1", "--yes"]).exits(1);
        assert!(refused.err().contains(sentence) && refused.err().contains("handover revoke 1"), "{refused}");
    }
    // A pull that was killed leaves partial data and keys; giving it up removes both.
    let pull = buyer.pull(&code, &out).limit(wait::LONG).start();
    wait::until("the first bytes", wait::USUAL, || (data::folder_bytes(&out) > 1024 * 1024).then_some(()));
    pull.kill();
    assert!(out.join(".handover").exists());
    let ended = buyer.run(["destroy", "1", "--yes", "--json"]).exits(0);
    let partial = ended.events().into_iter().find(|event| event["kind"] == "partial").unwrap();
    assert!(partial["bytes"].as_u64() > Some(1024 * 1024), "{ended}");
    assert_eq!(certificate(&ended)["verdict"], "pass", "{ended}");
    assert!(!out.join(".handover").exists());
    assert_eq!(buyer.run(["status", "1", "--json"]).exits(0).event("transfer")["state"], "failed");
    assert_ne!(buyer.pull(&code, &out).run().code, Some(0), "the keys are gone");
    // The seller revokes; then its side goes too.
    seller.run(["revoke", "1"]).exits(0);
    seller.run(["destroy", "1", "--yes"]).exits(0);
}

#[test] // [S21.2]
fn a_run_that_is_killed_is_gone_on_with_and_counted_once() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("many");
    let count = 3_000;
    for number in 0..count {
        data::write(source.join(format!("{number:05}")), format!("customer {number}").as_bytes());
    }
    let code = seller.pushed(&relay, [&source]);
    buyer.pull(&code, scratch.join("out")).run().exits(0);
    seller.run(["wait", "1"]).exits(0);
    let words = ["destroy", "1", "--source", "--confirm", "destroy source 1", "--json"];
    let left = || fs::read_dir(&source).map_or(0, Iterator::count);
    let running = seller.handover(words).limit(wait::LONG).start();
    wait::until("the first files to go", wait::USUAL, || (left() < count - 100).then_some(()));
    running.kill();
    let between = left();
    assert!(between > 0, "it was killed in the middle");
    // Interrupted politely it is gone on with as well.
    let running = seller.handover(words).limit(wait::LONG).start();
    wait::until("more files to go", wait::USUAL, || (left() < between || left() == 0).then_some(()));
    running.interrupt();
    let ended = running.end();
    let ended = if ended.code == Some(130) { seller.run(words).exits(0) } else { ended.exits(0) };
    let said = certificate(&ended);
    assert_eq!((&said["verdict"], &said["source_files"]), (&"pass".into(), &count.into()), "{ended}");
    assert!(!source.exists() && !kept(&seller).contains(&"destruction.run".to_owned()));
}

#[test] // [S21.4]
fn a_witness_co_signs_and_nobody_is_their_own() {
    let scene = Scene::new();
    let dir = scene.scratch.join("certificate");
    scene.seller.handover(["destroy", "1", "--yes", "--certificate"]).arg(&dir).run().exits(0);
    let file = dir.join("destruction.json");
    let lawyer = Person::new(&scene.scratch, "lawyer");
    lawyer.run(["identity", "create", "--name", "李律师"]).exits(0);
    let sign = |person: &Person| person.handover(["witness", "--json", "--present"]).arg(&file).run();
    assert_eq!(sign(&scene.seller).exits(8).event("error")["code"], "certificate-invalid");
    let said = certificate(&sign(&lawyer).exits(0));
    assert_eq!(said["witness"], "李律师");
    // One witness, and one that belongs to this very certificate.
    sign(&scene.buyer).exits(8);
    assert_ssh_keygen(&dir, "witness", "allowed_signers_witness", "witness", "handover-witness-v1", true);
    for (language, word) in [(Language::English, "was present"), (Language::Chinese, "在场监销")] {
        let shown = scene.buyer.speaking(language).handover(["destroy", "verify"]).arg(&file).run().exits(0);
        assert!(shown.out().contains(word) && shown.out().contains("李律师"), "{shown}");
    }
    let good = fs::read_to_string(dir.join("witness.json")).unwrap();
    fs::write(dir.join("witness.json"), good.replace("\"destruction\"", "\"certificate\"")).unwrap();
    scene.buyer.handover(["destroy", "verify"]).arg(&file).run().exits(8);
    assert_ssh_keygen(&dir, "witness", "allowed_signers_witness", "witness", "handover-witness-v1", false);
    fs::write(dir.join("witness.json"), good).unwrap();
    let other = scene.scratch.join("other");
    scene.buyer.handover(["destroy", "1", "--yes", "--certificate"]).arg(&other).run().exits(0);
    for name in ["witness.json", "witness.json.sig"] {
        fs::copy(dir.join(name), other.join(name)).unwrap();
    }
    scene.buyer.handover(["destroy", "verify"]).arg(other.join("destruction.json")).run().exits(8);
}
