//! Who steals the relay's disk. After the end (receipt, revocation, expiry, refusal) code and disk together open nothing;
//! before it, the disk without the code opens nothing. Every run of bytes on the disk is tried as the missing secret with
//! the real keys, and the same search finds the secret where it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use handover_shared::keys::Secret;
use handover_shared::keys::code::Code;
use handover_shared::keys::schedule::{CodeKeys, ENVELOPE_BYTES, open_envelope};
use handover_tests::double::stranger::{Opened, Stranger};
use handover_tests::{Person, RelayProc, Scratch, data, wait};
use zeroize::Zeroizing;

/// Every file of a folder, in one heap of bytes.
fn heap(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.extend(fs::read(&path).unwrap());
                all.extend([0; 64]);
            }
        }
    }
    all
}

/// Runs of so many bytes that could be a secret, each once: a secret has no long run of one byte.
fn runs<const N: usize>(heap: &[u8]) -> HashSet<[u8; N]> {
    let is_possible = |run: &&[u8]| run.iter().collect::<HashSet<_>>().len() > N / 4;
    heap.windows(N).filter(is_possible).map(|run| run.try_into().unwrap()).collect()
}

/// Whether some run of the heap is the relay share that opens the envelope.
fn opens_with_code(heap: &[u8], opened: &Opened, envelope: &[u8]) -> bool {
    runs::<32>(heap).into_iter().any(|share| {
        let share = Secret::new(Zeroizing::new(share));
        let (transfer, offer) = (&opened.peeked.transfer, &opened.offer);
        let sealed = &offer.sealed_digest;
        open_envelope(&opened.keys.psk, &share, transfer, sealed, envelope, &offer.text.commit).is_ok()
    })
}

/// Whether some run of the heap is the code.
fn holds_the_code(heap: &[u8], opened: &Opened) -> bool {
    runs::<20>(heap).into_iter().any(|code| {
        let keys = CodeKeys::of(&Code::of_secret(Secret::new(Zeroizing::new(code))));
        keys.locator == opened.keys.locator
    })
}

struct Scene {
    scratch: Scratch,
    relay: RelayProc,
    seller: Person,
    buyer: Person,
    code: String,
    opened: Opened,
    envelope: Vec<u8>,
}

impl Scene {
    fn new(options: &[&str], arguments: &[&Path]) -> Self {
        let scratch = Scratch::new();
        let relay = RelayProc::start_with(&scratch, "relay", options);
        let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
        let source = scratch.join("c");
        data::write(&source, b"customers");
        let code = seller.pushed(&relay, arguments.iter().copied().chain([source.as_path()]));
        let opened = Stranger::at(relay.address()).open(&code);
        // The thief is given the envelope too, wherever it may be: it is on the seller's disk.
        let before = heap(relay.data());
        let announced = fs::read(seller.home().join("transfers/1/announced")).unwrap();
        let share = fs::read_dir(relay.data().join("shares")).unwrap().next().unwrap().unwrap().path();
        let share: [u8; 32] = fs::read(share).unwrap()[..32].try_into().unwrap();
        let opens = |envelope: &&[u8]| opens_with_code(&share, &opened, envelope);
        let envelope =
            announced.windows(ENVELOPE_BYTES).find(opens).expect("share and code open the envelope").to_vec();
        // The control: the search finds the share on the disk of a live relay, and the envelope beside it.
        assert!(opens_with_code(&before, &opened, &envelope), "the share is on the disk, and the search finds it");
        assert!(before.windows(ENVELOPE_BYTES).any(|run| run == envelope));
        // Without the code the same disk opens nothing: no run of it is the code, planted it would be found.
        assert!(!holds_the_code(&before, &opened), "the code is on the relay's disk");
        let secrets = fs::read(seller.home().join("transfers/1/secrets")).unwrap();
        assert!(holds_the_code(&secrets, &opened), "the search finds a code");
        Self { scratch, relay, seller, buyer, code, opened, envelope }
    }

    /// The disk is copied when everything is deleted; with the code and the envelope it opens nothing. Pages that the
    /// database has freed may hold the envelope for a while: it is given to the thief in any case.
    fn is_shut(&self, how: &str) {
        let left = || fs::read_dir(self.relay.data().join("segments")).unwrap().count();
        wait::until("the deletion", wait::USUAL, || (left() == 0).then_some(()));
        let after = heap(self.relay.data());
        assert!(after.len() > 10_000, "the disk was read");
        assert!(!opens_with_code(&after, &self.opened, &self.envelope), "{how}: code and disk open it");
    }
}

#[test] // [S13.7] [S4.5]
fn code_and_disk_open_nothing_after_the_receipt() {
    let scene = Scene::new(&[], &[]);
    scene.buyer.pull(&scene.code, scene.scratch.join("out")).run().exits(0);
    scene.is_shut("receipt");
}

#[test] // [S13.8]
fn code_and_disk_open_nothing_after_the_revocation() {
    let scene = Scene::new(&[], &[]);
    scene.seller.run(["revoke", "1"]).exits(0);
    scene.is_shut("revocation");
}

#[test] // [S13.8]
fn code_and_disk_open_nothing_after_the_expiry() {
    let scene = Scene::new(&["--default-expiry", "20s"], &[]);
    wait::until("the expiry", wait::LONG, || {
        scene.buyer.run(["pull", &scene.code, "--list"]).code.filter(|code| *code == 7)
    });
    scene.is_shut("expiry");
}

#[test] // [S13.15]
fn code_and_disk_open_nothing_after_the_refusal() {
    let document = tempfile::NamedTempFile::new().unwrap();
    fs::write(document.path(), "to be signed").unwrap();
    let scene = Scene::new(&[], &[Path::new("--agreement"), document.path()]);
    scene.buyer.run(["pull", &scene.code, "--no-input", "--refuse-agreement"]).exits(0);
    scene.is_shut("refusal");
}
