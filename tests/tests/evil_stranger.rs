//! Buyers and strangers who mean no good, against a real relay: forged and replayed claims, receipts and requests, races
//! for one code, guessing, and one seller who touches what is another's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::sync::{Arc, Barrier};

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, Bundle, Digest, Locator, TransferId};
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::proof::{Channel, ClaimText, Fingerprint, ReceiptText};
use handover_shared::protocol::message::{Claim, Complete, Fetch, Named, Receive, Reply, Request, Watch};
use handover_tests::double::seller::{HostileSeller, Pretence, other_identity};
use handover_tests::double::seller_wire::{Client, Heard, new_key};
use handover_tests::double::stranger::Stranger;
use handover_tests::{Person, RelayProc, Scratch, Tree, data, faults_table, wait};

/// Claims that fail count as failed attempts of one address, and all tests have the same.
const PATIENT: [&str; 2] = ["--failures-per-minute", "100000"];

struct Scene {
    scratch: Scratch,
    relay: RelayProc,
    seller: Person,
    source: std::path::PathBuf,
}

fn scene() -> Scene {
    let scratch = Scratch::new();
    let relay = RelayProc::start_with(&scratch, "relay", &PATIENT);
    let seller = Person::new(&scratch, "seller");
    let source = scratch.join("customers");
    data::write(source.join("customers.csv"), &scratch.dice("customers").table(100_000));
    Scene { scratch, relay, seller, source }
}

impl Scene {
    fn stranger(&self) -> Stranger {
        Stranger::at(self.relay.address())
    }

    /// The real buyer still gets what it should.
    fn real_buyer_takes(&self, code: &str) {
        let (buyer, out) = (Person::new(&self.scratch, "buyer"), self.scratch.join("out"));
        buyer.pull(code, &out).run().exits(0);
        Tree::of(&self.source).must_equal(&Tree::of(out.join("customers")));
    }
}

#[test] // [S13.5] [S10.5]
fn forged_claims_open_nothing_and_burn_nothing() {
    let scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let other_code = scene.seller.pushed(&scene.relay, ["--new".as_ref(), scene.source.as_os_str()]);
    let (one, other) = (scene.stranger(), scene.stranger());
    let (opened, of_other) = (one.open(&code), one.open(&other_code));
    let (transfer, offer) = (opened.peeked.transfer, opened.offer.sealed_digest);
    let (right, by) = (one.text(transfer, offer), opened.keys.claim.identity());
    let signed = |text: &ClaimText| one.claim(transfer, &text.to_text(), by);
    let good = one.right_claim(&opened);
    let altered = |signature: &str| signature.replacen("\nU1NIU0lH", "\nU1NIU0lI", 1);
    let mut lies: Vec<(&str, Claim)> = vec![
        ("of another transfer", signed(&ClaimText { transfer: of_other.peeked.transfer, ..right.clone() })),
        ("of another offer", signed(&ClaimText { offer: of_other.offer.sealed_digest, ..right.clone() })),
        ("of an offer that is not", signed(&ClaimText { offer: Digest([0; 32]), ..right.clone() })),
        ("for another link key", signed(&ClaimText { link_key: other.client.key(), ..right.clone() })),
        ("for another connection", signed(&ClaimText { channel: Channel(other.client.channel()), ..right.clone() })),
        ("for another bundle", signed(&ClaimText { bundle: Bundle([0; 32]), ..right.clone() })),
        (
            "in another's name",
            signed(&ClaimText { buyer_key: Fingerprint::of(&other.identity.public()), ..right.clone() }),
        ),
        ("without the code", one.claim(transfer, &right.to_text(), &one.identity)),
        ("with the key of another code", one.claim(transfer, &right.to_text(), of_other.keys.claim.identity())),
        ("with another hybrid key", Claim { hybrid_key: other.hybrid.public().as_bytes().to_vec(), ..good.clone() }),
        ("with a hybrid key of zeros", Claim { hybrid_key: vec![0; 1216], ..good.clone() }),
        ("with no hybrid key", Claim { hybrid_key: Vec::new(), ..good.clone() }),
        ("with an altered signature", Claim { identity_signature: altered(&good.identity_signature), ..good.clone() }),
        ("with an altered claim signature", Claim { claim_signature: altered(&good.claim_signature), ..good.clone() }),
        (
            "with signatures that changed places",
            Claim {
                identity_signature: good.claim_signature.clone(),
                claim_signature: good.identity_signature.clone(),
                ..good.clone()
            },
        ),
        ("with another text", Claim { text: good.text.replace("2027", "2028"), ..good.clone() }),
        ("with a space more", Claim { text: good.text.replacen(": ", ":  ", 1), ..good.clone() }),
        ("with no text", Claim { text: String::new(), ..good.clone() }),
        ("with a text of 4 KiB and one", Claim { text: "x".repeat(4097), ..good.clone() }),
        ("of a transfer that is not", Claim { transfer: TransferId([9; 16]), ..good.clone() }),
    ];
    lies.push(("of this code for that transfer", Claim { transfer: of_other.peeked.transfer, ..good.clone() }));
    for (what, lie) in &lies {
        let heard = one.client.ask(&Request::Claim(lie.clone()));
        let fault = heard.fault();
        let is_refused =
            matches!(fault, Some(Fault::ClaimRefused | Fault::BadMessage | Fault::NotFound | Fault::TooLarge));
        assert!(is_refused, "a claim {what}: {heard:?}");
    }
    // What is right on one connection is wrong on every other, with the same key and with another.
    let key_of_one = handover_shared::tls::LinkSecret::of_seed(zeroize::Zeroizing::new(*one.link.seed())).unwrap();
    let same_key = Client::connect(scene.relay.address(), &key_of_one);
    for client in [&same_key, &other.client] {
        let heard = client.ask(&Request::Claim(good.clone()));
        assert_eq!(heard.fault(), Some(Fault::ClaimRefused), "replayed elsewhere: {heard:?}");
    }
    faults_table::record(
        "stranger",
        "forged and replayed claims",
        lies.len() as u64 + 2,
        "refused; the code stays good",
    );
    scene.real_buyer_takes(&code);
    // Replayed after all is over, on its own connection.
    assert_eq!(one.client.ask(&Request::Claim(good)).fault(), Some(Fault::Receipted));
}

#[test] // [S13.5] [S12.5]
fn a_recorded_claim_releases_nothing_to_anybody_else() {
    let scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let buyer = scene.stranger();
    let opened = buyer.open(&code);
    let claim = buyer.right_claim(&opened);
    let first = buyer.client.ask(&Request::Claim(claim.clone())).said();
    let Reply::Released(first) = first else { panic!("the right claim is refused") };
    let key = *buyer.key(&opened, &first).expose();
    // Its own repetition is no second claim.
    let Reply::Released(again) = buyer.client.ask(&Request::Claim(claim.clone())).said() else { panic!("refused") };
    assert_eq!(buyer.key(&opened, &again).expose(), &key);
    let thief = scene.stranger();
    assert_eq!(thief.client.ask(&Request::Claim(claim.clone())).fault(), Some(Fault::ClaimRefused));
    let own = thief.right_claim(&opened);
    assert_eq!(thief.client.ask(&Request::Claim(own)).fault(), Some(Fault::AlreadyClaimed));
    let buyer = buyer.again(scene.relay.address());
    let stale = buyer.client.ask(&Request::Claim(claim));
    assert_eq!(stale.fault(), Some(Fault::ClaimRefused), "replayed on a new connection of the same key");
    let fresh = buyer.right_claim(&opened);
    let Reply::Released(fresh) = buyer.client.ask(&Request::Claim(fresh)).said() else { panic!("refused") };
    assert_eq!(buyer.key(&opened, &fresh).expose(), &key);
    // The same link key with another identity or hybrid key is somebody else.
    let changed = Stranger::over(buyer.client, buyer.link);
    let heard = changed.client.ask(&Request::Claim(changed.right_claim(&opened)));
    assert_eq!(heard.fault(), Some(Fault::Conflict), "{heard:?}");
}

#[test] // [S10.9] [S10.10] [S13.7]
fn receipts_that_lie_are_found_out_by_the_seller() {
    const LIES: usize = 8;
    let scene = scene();
    let mut last = None;
    for number in 0..=LIES {
        let code = scene.seller.pushed(&scene.relay, ["--new".as_ref(), scene.source.as_os_str()]);
        let id = (number + 1).to_string();
        let buyer = scene.stranger();
        let opened = buyer.open(&code);
        let transfer = opened.peeked.transfer;
        let (key, tail) = buyer.take(&opened);
        let right = buyer.receipt(&opened, &tail);
        let text = match number {
            0 => ReceiptText { root: handover_shared::ids::Root([7; 32]), ..right.clone() },
            1 => ReceiptText { seal: Digest([7; 32]), ..right.clone() },
            2 => ReceiptText { files: right.files + 1, ..right.clone() },
            3 => ReceiptText { transfer: TransferId([7; 16]), ..right.clone() },
            4 => ReceiptText { bytes: 0, ..right.clone() },
            _ => right.clone(),
        }
        .to_text();
        let other = other_identity();
        let sealed = match number {
            // Signed by somebody who did not claim.
            5 => buyer.seal(transfer, &key, &text, &other, "x"),
            6 => vec![0; 500],
            // Of another transfer: replayed as it was.
            7 => last.clone().unwrap(),
            _ => buyer.seal(transfer, &key, &text, &buyer.identity, "\x1b[2J\u{202e}x\u{9b}31m"),
        };
        last = Some(sealed.clone());
        // The relay cannot see what is in it.
        let taken = buyer.deliver(transfer, sealed.clone());
        assert!(matches!(taken, Heard::Said(Reply::Received(_))), "{taken:?}");
        let again = buyer.deliver(transfer, vec![1; 100]);
        assert_eq!(again.fault(), Some(Fault::Conflict), "a second receipt: {again:?}");
        let waited = scene.seller.handover(["wait", &id, "--json"]).run();
        let shown = scene.seller.run(["receipt", "show", &id]);
        for text in [waited.out(), waited.err(), shown.out(), shown.err()] {
            assert!(!text.contains(['\x1b', '\u{202e}', '\u{9b}']), "the buyer's name reached the screen: {text:?}");
        }
        if number == LIES {
            waited.exits(0);
            shown.exits(0);
        } else {
            assert!(waited.code == Some(8), "lie {number}\n{waited}");
            assert!(shown.code != Some(0), "lie {number} is kept as a receipt\n{shown}");
        }
    }
    faults_table::record(
        "stranger",
        "receipts that lie, are replayed, or are somebody else's",
        LIES as u64,
        "the seller says so, exit 8",
    );
}

#[test] // [S12.3] [S12.4] [S12.5] [S13.7]
fn only_whom_it_concerns_may_touch_a_transfer() {
    let scene = scene();
    let (owner, rival) = (HostileSeller::enrol(&scene.relay), HostileSeller::enrol(&scene.relay));
    let deal = owner.deal(BlockSize::Small);
    owner.send(&deal, &Pretence::default(), |archive| archive.file("a", b"one"), |_| {});
    let open = owner.deal(BlockSize::Small);
    let (create, _) = owner.announcement(&open, 4, &Pretence::default());
    owner.create(create.clone()).unwrap();
    let stranger = scene.stranger();
    let buyer = scene.stranger();
    let mut tried = 0;
    for who in [&rival.client, &stranger.client, &buyer.client] {
        for transfer in [deal.transfer, open.transfer] {
            let requests = [
                Request::Fetch(Fetch { transfer, from: BlockIndex(0), pace: None }),
                Request::Watch(Watch { transfer, from_event: 0 }),
                Request::Append(Named { transfer }),
                Request::Complete(Complete { transfer, blocks: BlockCount(1) }),
                Request::Revoke(Named { transfer }),
                Request::Receive(Receive { transfer, sealed_receipt: vec![1; 100] }),
            ];
            for request in requests {
                let heard = who.ask(&request);
                let is_refused =
                    matches!(heard.fault(), Some(Fault::NotAllowed | Fault::NotEnrolled | Fault::NotFound));
                assert!(is_refused, "{request:?}: {heard:?}");
                tried += 1;
            }
        }
    }
    // The seller is no buyer of its own transfer, and its number and locator are taken.
    assert_eq!(owner.client.fetch(deal.transfer, BlockIndex(0)).unwrap_err().fault(), Some(Fault::NotAllowed));
    let fresh = rival.deal(BlockSize::Small);
    let (theirs, _) = rival.announcement(&fresh, 4, &Pretence::default());
    let mut squatted = theirs.clone();
    squatted.transfer = open.transfer;
    assert_eq!(rival.create(squatted).unwrap_err().fault(), Some(Fault::Conflict));
    let mut squatted = theirs;
    squatted.locator = open.keys.locator;
    assert_eq!(rival.create(squatted).unwrap_err().fault(), Some(Fault::Conflict));
    // Whoever claimed may fetch what is there and nothing beyond, and deliver once everything is.
    let (opened, of_open) = (buyer.open(&deal.code), buyer.open(&open.code));
    buyer.take(&opened);
    assert_eq!(buyer.client.fetch(deal.transfer, BlockIndex(99)).unwrap_err().fault(), Some(Fault::Conflict));
    let claimed = buyer.client.ask(&Request::Claim(buyer.right_claim(&of_open)));
    assert!(matches!(claimed, Heard::Said(Reply::Released(_))), "{claimed:?}");
    assert_eq!(buyer.deliver(open.transfer, vec![1; 100]).fault(), Some(Fault::NotComplete));
    assert_eq!(buyer.client.ask(&Request::Revoke(Named { transfer: deal.transfer })).fault(), Some(Fault::NotAllowed));
    let too_long = buyer.deliver(deal.transfer, vec![1; 16 * 1024 + 1]);
    assert!(too_long.fault().is_some(), "a receipt above the limit: {too_long:?}");
    faults_table::record("stranger", "operations on transfers of others", tried + 7, "refused");
    // And its owner can still do everything.
    assert!(matches!(owner.revoke(open.transfer), Heard::Said(Reply::Revoked(_))));
}

#[test] // [S13.5] [S13.6] [S12.6]
fn one_of_thirty_two_wins() {
    const BY_HAND: usize = 26;
    const REAL: usize = 6;
    let scene = scene();
    let code = scene.seller.pushed(&scene.relay, [&scene.source]);
    let start = Arc::new(Barrier::new(BY_HAND + REAL));
    let mut racers = Vec::new();
    for number in 0..BY_HAND {
        // Everybody has looked before anybody claims.
        let (racer, start) = (scene.stranger(), start.clone());
        let opened = racer.open(&code);
        racers.push(std::thread::spawn(move || {
            start.wait();
            match racer.client.ask(&Request::Claim(racer.right_claim(&opened))) {
                Heard::Said(Reply::Released(_)) => 1,
                heard => {
                    assert_eq!(heard.fault(), Some(Fault::AlreadyClaimed), "racer {number}");
                    0
                }
            }
        }));
    }
    for number in 0..REAL {
        let person = Person::new(&scene.scratch, &format!("racer-{number}"));
        let (launch, start) = (person.pull(&code, scene.scratch.join(format!("out-{number}"))), start.clone());
        racers.push(std::thread::spawn(move || {
            start.wait();
            let ended = launch.limit(wait::LONG).run();
            assert!(matches!(ended.code, Some(0 | 7)), "racer {number}\n{ended}");
            usize::from(ended.code == Some(0))
        }));
    }
    let won: usize = racers.into_iter().map(|racer| racer.join().unwrap()).sum();
    assert_eq!(won, 1, "the code was spent {won} times");
    let told = scene.seller.run(["status", "1", "--json"]).exits(0);
    let refused = told.events().iter().find_map(|event| event["refused_claims"].as_u64());
    assert_eq!(refused, Some((BY_HAND + REAL - 1) as u64), "{told}");
    faults_table::record(
        "stranger",
        "claims at once for one code",
        (BY_HAND + REAL) as u64,
        "one wins, the others are told and counted",
    );
}

#[test] // [S4.3] [S13.13]
fn guessing_tells_nothing_and_has_to_wait() {
    const ALLOWED: usize = 30;
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let seller = Person::new(&scratch, "seller");
    let source = scratch.join("customers.csv");
    data::write(&source, b"customers");
    let code = seller.pushed(&relay, [&source]);
    let honest = Stranger::at(relay.address());
    let opened = honest.open(&code);
    let elsewhere = "127.0.0.77".parse().unwrap();
    let guess = |key: &handover_shared::tls::LinkSecret| Client::try_connect(relay.address(), key, elsewhere).unwrap();
    let key = new_key();
    let client = guess(&key);
    let guesser = Stranger::over(client, key);
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    let mut answers = Vec::new();
    for _ in 0..ALLOWED + 10 {
        answers.push(format!("{:?}", guesser.peek(Locator(entropy.array())).fault()));
    }
    // Whatever is guessed, the answer is the same until there is none but the one to wait.
    answers.dedup();
    assert_eq!(answers, ["Some(NotFound)", "Some(Busy)"]);
    let guesser_again = Stranger::over(guess(&new_key()), new_key());
    assert_eq!(guesser_again.peek(opened.keys.locator).fault(), Some(Fault::Busy), "another key is the same address");
    // Who knows where the transfer lies and not its code can look at what is sealed, and no more.
    let knower = Stranger::at(relay.address());
    let Heard::Said(Reply::Peeked(peeked)) = knower.peek(opened.keys.locator) else { panic!("the locator finds it") };
    let wrong = handover_shared::keys::schedule::CodeKeys::of(&handover_shared::keys::code::Code::generate(entropy));
    assert!(handover_shared::proof::open_offer(&wrong, &peeked.sealed_offer, &peeked.transfer).is_err());
    let text = knower.text(peeked.transfer, handover_shared::proof::digest(&peeked.sealed_offer)).to_text();
    let claim = knower.claim(peeked.transfer, &text, wrong.claim.identity());
    assert_eq!(knower.client.ask(&Request::Claim(claim)).fault(), Some(Fault::ClaimRefused));
    // Everybody else is served meanwhile, and nothing was burned.
    Person::new(&scratch, "buyer").pull(&code, scratch.join("out")).run().exits(0);
    faults_table::record(
        "stranger",
        "guessed locators, and a known one without its code",
        (ALLOWED + 12) as u64,
        "one answer for all, then busy",
    );
}
