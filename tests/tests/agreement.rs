//! The agreement's gate with real programs, in both languages: nothing opens before the document is signed, the seller
//! gets the signature or the refusal, and anybody can check both without handover.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockIndex, hex};
use handover_shared::proof;
use handover_shared::protocol::message::{Phase, Reply, Request};
use handover_tests::double::seller_wire::Heard;
use handover_tests::double::stranger::Stranger;
use handover_tests::needles::{self, Needle};
use handover_tests::{Input, Language, Launch, Person, RelayProc, Scratch, Tree, data, programs, wait};

const NAME: &str = "李伟 \"Wei\" Li";
const DOCUMENT: &str = "保密协议 planted clause: the buyer keeps all customers' data to itself\n";

struct Scene {
    scratch: Scratch,
    relay: RelayProc,
    seller: Person,
    buyer: Person,
    source: PathBuf,
    document: PathBuf,
    digest: String,
}

impl Scene {
    fn new(language: Language) -> Self {
        let scratch = Scratch::new();
        let relay = RelayProc::start(&scratch);
        let seller = Person::new(&scratch, "seller").speaking(language);
        let buyer = Person::new(&scratch, "buyer").speaking(language);
        buyer.run(["identity", "create", "--name", "li@desk", "--organisation", "李氏贸易"]).exits(0);
        let source = scratch.join("customers");
        data::write(source.join("customers.csv"), &scratch.dice("customers").table(100_000));
        let document = scratch.join("保密协议-planted-name.txt");
        data::write(&document, DOCUMENT.repeat(50).as_bytes());
        let digest = proof::digest(DOCUMENT.repeat(50).as_bytes()).to_hex();
        Self { scratch, relay, seller, buyer, source, document, digest }
    }

    fn pushed(&self) -> String {
        self.seller.pushed(&self.relay, [Path::new("--agreement"), &self.document, &self.source])
    }

    /// A pull that agrees.
    fn agreeing(&self, code: &str, out: &Path) -> Launch {
        self.buyer.pull(code, out).args(["--accept-agreement", &self.digest, "--as", NAME])
    }
}

#[test] // [S10.12] [S10.13] [S13.14]
fn nothing_is_taken_before_the_agreement_is_signed_and_both_sides_keep_it() {
    for language in Language::ALL {
        let scene = Scene::new(language);
        let code = scene.pushed();
        let out = scene.scratch.join("out");

        // Looking says what must be signed; a yes to everything is no agreement; another hash signs nothing.
        let listed = scene.buyer.run(["pull", &code, "--list"]).exits(0);
        assert!(listed.err().contains("保密协议-planted-name.txt") && listed.err().contains(&scene.digest), "{listed}");
        let asked = scene.buyer.pull(&code, &out).run().exits(3);
        assert!(asked.err().contains("--accept-agreement") && asked.err().contains("--as"), "{asked}");
        let other = scene.buyer.pull(&code, &out).args(["--accept-agreement", &"0".repeat(64), "--as", NAME]).run();
        let other = other.exits(2);
        assert!(other.err().contains(&scene.digest), "the right one is shown\n{other}");
        scene.buyer.pull(&code, &out).args(["--accept-agreement", &scene.digest]).run().exits(2);
        let nobody = scene.buyer.pull(&code, &out).args(["--accept-agreement", &scene.digest, "--as", " "]).run();
        nobody.exits(2);
        assert!(!out.join("customers").exists());
        assert!(scene.seller.run(["status", "1", "--json"]).exits(0).event("transfer")["claimed"].is_null());

        let waiting = scene.seller.handover(["wait", "1", "--json"]).limit(wait::LONG).start();
        let pulled = scene.agreeing(&code, &out).arg("--json").run().exits(0);
        let agreed = pulled.event("agreed");
        assert_eq!((agreed["agreement"].as_str(), agreed["name"].as_str()), (Some(&*scene.digest), Some(NAME)));
        Tree::of(&scene.source).must_equal(&Tree::of(out.join("customers")));

        let waited = waiting.end().exits(0);
        let signed = waited.event("signed");
        assert_eq!((signed["name"].as_str(), signed["organisation"].as_str()), (Some(NAME), Some("李氏贸易")));
        assert_eq!(signed["agreement"].as_str(), Some(&*scene.digest));
        assert_eq!(signed["document"].as_str(), Some("保密协议-planted-name.txt"));
        for person in [&scene.seller, &scene.buyer] {
            let status = person.run(["status", "1"]).exits(0);
            assert!(status.out().contains("李伟") && status.out().contains(&scene.digest), "{status}");
            let folder = person.home().join("evidence");
            person.handover(["receipt", "export", "1"]).arg(&folder).run().exits(0);
            assert_evidence(&folder, &scene);
        }
        // The same command once more asks nothing: it was signed.
        scene.buyer.pull(&code, &out).run().exits(0);
    }
}

fn assert_evidence(folder: &Path, scene: &Scene) {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let agreement: serde_json::Value = serde_json::from_str(&read("agreement.json")).unwrap();
    assert_eq!(agreement["agreement"].as_str(), Some(&*scene.digest));
    assert_eq!(agreement["agrees"], "yes");
    assert_eq!(agreement["name"], "%E6%9D%8E%E4%BC%9F %22Wei%22 Li");
    let receipt: serde_json::Value = serde_json::from_str(&read("receipt.json")).unwrap();
    assert_eq!((&receipt["agreement"], &receipt["buyer-key"]), (&agreement["agreement"], &agreement["buyer-key"]));
    assert_eq!(receipt["offer"], agreement["offer"]);
    assert!(read("agreement.sha256").starts_with(&format!("{}  ", scene.digest)));
    assert_ssh_keygen(folder, "agreement", "handover-agreement-v1", true);
    assert_ssh_keygen(folder, "receipt", "handover-receipt-v1", true);
    assert_ssh_keygen(folder, "agreement", "handover-receipt-v1", false);
    let altered = read("agreement.json").replace("\"agrees\": \"yes\"", "\"agrees\": \"no!\"");
    fs::write(folder.join("agreement.json"), altered).unwrap();
    assert_ssh_keygen(folder, "agreement", "handover-agreement-v1", false);
}

/// `ssh-keygen -Y verify` on an exported statement.
fn assert_ssh_keygen(folder: &Path, name: &str, namespace: &str, accepts: bool) {
    let Some(ssh_keygen) = programs::on_path("ssh-keygen") else {
        eprintln!("skipped: ssh-keygen is not installed");
        return;
    };
    let ended = Launch::new(ssh_keygen, folder)
        .args(["-Y", "verify", "-f", "allowed_signers", "-I", "buyer", "-n", namespace, "-s"])
        .arg(format!("{name}.json.sig"))
        .input(Input::File(folder.join(format!("{name}.json"))))
        .run();
    assert_eq!(ended.code == Some(0), accepts, "{name} in {namespace}\n{ended}");
}

#[test] // [S13.15] [S10.13]
fn a_refusal_ends_it_and_the_seller_hears_who_and_why() {
    for language in Language::ALL {
        let scene = Scene::new(language);
        let code = scene.pushed();
        let waiting = scene.seller.handover(["wait", "1", "--json"]).limit(wait::LONG).start();
        let reason = "第四条 is missing";
        let refusing = ["pull", &code, "--no-input", "--refuse-agreement", "--reason", reason];
        let refused = scene.buyer.run(refusing).exits(0);
        assert!(refused.stdout.is_empty(), "{refused}");

        let waited = waiting.end().exits(12);
        let told = waited.event("refused");
        assert_eq!((told["reason"].as_str(), told["organisation"].as_str()), (Some(reason), Some("李氏贸易")));
        assert_eq!(told["agreement"].as_str(), Some(&*scene.digest));
        let again = scene.seller.run(["wait", "1"]).exits(12);
        assert!(again.err().contains(reason) && again.err().contains("李氏贸易"), "{again}");
        for person in [&scene.seller, &scene.buyer] {
            let status = person.run(["status", "1"]).exits(0);
            assert!(status.out().contains(reason), "{status}");
            assert_eq!(person.run(["status", "1", "--json"]).exits(0).event("transfer")["state"], "refused");
        }
        // The code is worthless, for whoever refused and for others, and no share and no block is left.
        scene.agreeing(&code, &scene.scratch.join("out")).run().exits(12);
        Person::new(&scene.scratch, "other").pull(&code, scene.scratch.join("other")).run().exits(12);
        let left = |folder: &str| fs::read_dir(scene.relay.data().join(folder)).unwrap().count();
        wait::until("the deletion", wait::USUAL, || (left("shares") + left("segments") == 0).then_some(()));
        assert_refusal_by_ssh_keygen(&scene.seller.home().join("transfers/1"));
    }
}

fn assert_refusal_by_ssh_keygen(folder: &Path) {
    let Some(ssh_keygen) = programs::on_path("ssh-keygen") else {
        eprintln!("skipped: ssh-keygen is not installed");
        return;
    };
    let check = |signature: &str, namespace: &str| {
        Launch::new(&ssh_keygen, folder)
            .args(["-Y", "check-novalidate", "-n", namespace, "-s", signature])
            .input(Input::File(folder.join("refusal.txt")))
            .run()
            .code
    };
    for signature in ["refusal.sig", "refusal.code.sig"] {
        assert_eq!(check(signature, "handover-refusal-v1"), Some(0), "{signature}");
        assert_ne!(check(signature, "handover-agreement-v1"), Some(0), "{signature}");
    }
}

#[test] // [S13.5] [S13.14]
fn whoever_has_the_code_and_has_not_signed_gets_no_share_and_no_block() {
    let scene = Scene::new(Language::English);
    let code = scene.pushed();
    let out = scene.scratch.join("out");
    scene.buyer.pull(&code, &out).run().exits(3);

    // Nothing of the transfer is on the buyer's machine: neither keys nor data.
    let transfers = scene.buyer.home().join("transfers");
    assert!(fs::read_dir(&transfers).map_or(0, Iterator::count) == 0 && !out.join(".handover").exists());

    // A program of one's own gets the offer and the document, and nothing else.
    let own = Stranger::at(scene.relay.address());
    let opened = own.open(&code);
    assert_eq!(opened.peeked.phase, Phase::Complete);
    let commitment = opened.offer.commitment();
    let unsigned = own.right_claim(&opened);
    let mut named = own.text(opened.peeked.transfer, opened.offer.sealed_digest);
    named.agreement = commitment;
    let named = own.claim(opened.peeked.transfer, &named.to_text(), opened.keys.claim.identity());
    for claim in [unsigned, named.clone()] {
        let heard = own.client.ask(&Request::Claim(claim));
        let Heard::Said(Reply::Refused(refused)) = heard else { panic!("{heard:?}") };
        assert_eq!(refused.known(), Some(Fault::AgreementRequired));
    }
    assert!(own.client.fetch(opened.peeked.transfer, BlockIndex(0)).is_err(), "blocks without a claim");
    assert!(scene.seller.run(["status", "1", "--json"]).exits(0).event("transfer")["claimed"].is_null());

    // One who signs nonsense gets the share, but leaves what the seller refuses by name.
    let mut nonsense = named;
    nonsense.sealed_agreement = Some(vec![7; 500]);
    let heard = own.client.ask(&Request::Claim(nonsense));
    assert!(matches!(heard, Heard::Said(Reply::Released(_))), "{heard:?}");
    let status = scene.seller.handover(["wait", "1"]).run().exits(8);
    assert!(status.err().contains("agreement"), "{status}");
}

#[test] // [S10.12] [S13.11]
fn the_relay_cannot_tell_which_document_it_is() {
    let mut scene = Scene::new(Language::English);
    let code = scene.pushed();
    let needles: Vec<Needle> = [
        Needle::of_text("document", "planted clause"),
        Needle::of_text("name of the document", "planted-name"),
        Needle::of_text("hash", &scene.digest),
        Needle::of_text("full name", NAME),
    ]
    .into_iter()
    .flatten()
    .chain(Needle::of_bytes("hash", &proof::digest(DOCUMENT.repeat(50).as_bytes()).0))
    .collect();
    let mut search = |when: &str| {
        let mut findings = needles::in_folder(scene.relay.data(), &needles);
        let log = scene.relay.process().err_so_far();
        findings.join(needles::in_bytes("the relay's log", log.as_bytes(), &needles));
        assert!(findings.bytes > 50_000, "the sealed data was searched");
        assert_eq!(findings.found, [""; 0], "{when}");
    };
    search("after the push");
    let out = scene.scratch.join("out");
    scene.buyer.pull(&code, &out).args(["--accept-agreement", &scene.digest, "--as", NAME]).run().exits(0);
    search("after the receipt");
    let found = needles::in_folder(scene.seller.home(), &needles);
    assert!(found.found.len() >= 3, "the same search finds it at the seller's: {:?}", found.found);
    assert_eq!(hex(&[0xab]), "ab");
}

#[test]
fn what_cannot_be_an_agreement_is_refused_before_anything_is_sent() {
    let scene = Scene::new(Language::English);
    let push =
        |document: &Path| scene.seller.push(&scene.relay, [Path::new("--agreement"), document, &scene.source]).run();
    push(&scene.scratch.join("nowhere.pdf")).exits(2);
    let empty = scene.scratch.join("empty.pdf");
    data::write(&empty, b"");
    push(&empty).exits(2);
    let long = scene.scratch.join("long.pdf");
    data::write_random(&long, 16 << 20, &mut scene.scratch.dice("long"));
    push(&long).exits(2);
    push(&scene.source).exits(9);
    assert!(scene.relay.transfers().is_empty());
    // The longest there can be goes through, also when the relay dies meanwhile.
    let most = scene.scratch.join("most.pdf");
    data::write_random(&most, proof::DOCUMENT_BYTES_MAX as u64, &mut scene.scratch.dice("most"));
    let code = scene.seller.pushed(&scene.relay, [Path::new("--agreement"), &most, &scene.source]);
    let digest = proof::digest(&fs::read(&most).unwrap()).to_hex();
    let pull = scene.buyer.pull(&code, scene.scratch.join("out"));
    pull.args(["--accept-agreement", &digest, "--as", NAME]).limit(wait::LONG).run().exits(0);
    // Without one there is nothing to accept.
    let bare = scene.seller.pushed(&scene.relay, [Path::new("--new"), &scene.source]);
    let pull = scene.buyer.pull(&bare, scene.scratch.join("bare"));
    pull.args(["--accept-agreement", &digest, "--as", NAME]).run().exits(2);
}
