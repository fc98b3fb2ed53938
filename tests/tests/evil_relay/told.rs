//! What the relay tells the seller: claims, receipts, blocks it has or has lost.

use std::sync::Arc;

use handover_shared::fault::Fault;
use handover_shared::ids::BlockCount;
use handover_shared::protocol::message::{At, ClaimRecord, Durable, Phase, Refused, Reply, Request, Snapshot};
use handover_tests::double::{EvilRelay, Say};
use handover_tests::{Launch, Person};

use crate::scene::{MISBEHAVED, Scene, Told, code_of};

const BAD_CLAIM: Told = Told { exit: 8, code: "claim-invalid", says: "nobody with the code" };
const BAD_RECEIPT: Told = Told { exit: 8, code: "receipt-invalid", says: "receipt is not valid" };

/// The relay tells whoever watches what `change` makes of the truth.
fn tells(relay: &EvilRelay, change: impl Fn(&mut Snapshot) + Send + Sync + 'static) {
    relay.does(move |visit| match visit.request {
        Request::Watch(_) => Some(visit.snapshot(&change)),
        _ => None,
    });
}

fn wait(scene: &Scene) -> Launch {
    scene.seller.handover(["wait", "1", "--json"])
}

/// The claim of another transfer, made by another buyer.
fn other_claim(scene: &Scene) -> ClaimRecord {
    other_end(scene).claim.unwrap()
}

/// How another transfer ended.
fn other_end(scene: &Scene) -> Snapshot {
    let other = Person::new(&scene.scratch, "other-buyer");
    let code = scene.pushed_other(&scene.seller);
    other.pull(&code, scene.scratch.join("other-out")).run().exits(0);
    scene.relay.with(|store| store.newest().transfer.snapshot(0))
}

#[test] // [S10.5] [S10.10]
fn evil_relay_phantom_claim() {
    let scene = Scene::new();
    let code = scene.pushed();
    let phantom = other_claim(&scene);
    let lines = phantom.clone();
    tells(&scene.relay, move |snapshot| snapshot.claim = Some(lines.clone()));
    scene.found_out(BAD_CLAIM, "the claim of another transfer", &wait(&scene));
    type Forgery = fn(&mut ClaimRecord);
    let forgeries: [(&str, Forgery); 4] = [
        ("no hybrid key", |claim| claim.hybrid_key.clear()),
        ("no text", |claim| claim.text.clear()),
        ("no signature", |claim| claim.claim_signature.clear()),
        ("60 000 letters", |claim| claim.text = "a".repeat(60_000)),
    ];
    for (what, forge) in forgeries {
        let mut forged = phantom.clone();
        forge(&mut forged);
        tells(&scene.relay, move |snapshot| snapshot.claim = Some(forged.clone()));
        scene.found_out(BAD_CLAIM, what, &wait(&scene));
    }
    // The seller still has the code and everything else; the true buyer comes.
    let shown = scene.seller.run(["code", "1"]).exits(0);
    assert_eq!(shown.out().trim(), code);
    scene.relay.repents();
    scene.pull(&code).run().exits(0);
    // The true claim, altered.
    let alterations: [(&str, Forgery); 4] = [
        ("another link key", |claim| claim.link_key.0[0] ^= 1),
        ("another hybrid key", |claim| claim.hybrid_key[3] ^= 1),
        ("another line", |claim| claim.text = claim.text.replace("\"none\"", "\"null\"")),
        ("signatures exchanged", |claim| std::mem::swap(&mut claim.identity_signature, &mut claim.claim_signature)),
    ];
    for (what, alter) in alterations {
        tells(&scene.relay, move |snapshot| alter(snapshot.claim.as_mut().unwrap()));
        scene.found_out(BAD_CLAIM, what, &wait(&scene));
    }
    scene.finishes(&code);
    scene.record("a phantom claim told to the seller", "found, exit 8, the code is kept; finishes when honest");
}

#[test] // [S10.9] [S10.10]
fn evil_relay_forged_receipt() {
    let scene = Scene::new();
    let code = scene.pushed();
    // Nobody has come at all.
    tells(&scene.relay, |snapshot| {
        snapshot.phase = Phase::Receipted;
        snapshot.sealed_receipt = Some(vec![0x5a; 900]);
    });
    scene.found_out(BAD_RECEIPT, "a receipt without a claim", &wait(&scene));
    tells(&scene.relay, |snapshot| snapshot.phase = Phase::Receipted);
    scene.found_out(BAD_RECEIPT, "a receipt that is not shown", &wait(&scene));
    scene.relay.repents();
    scene.pull(&code).run().exits(0);
    type Forgery = fn(&mut Snapshot);
    let forgeries: [(&str, Forgery); 5] = [
        ("a bit of the receipt", |told| told.sealed_receipt.as_mut().unwrap()[80] ^= 1),
        ("the receipt cut short", |told| told.sealed_receipt.as_mut().unwrap().truncate(100)),
        ("an empty receipt", |told| told.sealed_receipt.as_mut().unwrap().clear()),
        ("bytes in its place", |told| told.sealed_receipt.as_mut().unwrap().fill(7)),
        ("the claim left out", |told| told.claim = None),
    ];
    for (what, forge) in forgeries {
        tells(&scene.relay, forge);
        scene.found_out(BAD_RECEIPT, what, &wait(&scene));
        scene.seller.run(["receipt", "show", "1"]).exits(1);
    }
    scene.finishes(&code);
    scene.record("a forged receipt told to the seller", "found, exit 8, not kept; the true one is accepted later");
}

#[test] // [S10.9] [S10.10]
fn evil_relay_receipt_replay() {
    let scene = Scene::new();
    let code = scene.pushed();
    let other = Arc::new(other_end(&scene));
    scene.pull(&code).run().exits(0);
    let receipt = other.clone();
    tells(&scene.relay, move |told| told.sealed_receipt.clone_from(&receipt.sealed_receipt));
    scene.found_out(BAD_RECEIPT, "the receipt of another transfer", &wait(&scene));
    tells(&scene.relay, move |told| {
        let (claim, receipt) = (other.claim.clone(), other.sealed_receipt.clone());
        (told.claim, told.sealed_receipt) = (claim, receipt);
    });
    scene.found_out(BAD_CLAIM, "claim and receipt of another transfer", &wait(&scene));
    scene.finishes(&code);
    scene.record("the receipt of another transfer", "found, exit 8; the true one is accepted later");
}

#[test] // [S10.10] [S12.5]
fn evil_relay_says_receipted_to_a_seller_who_still_sends() {
    // "The receipt is here already" would end a push; without the receipt it is no more than a word.
    for operation in ["Create", "Append", "Complete"] {
        let scene = Scene::new();
        scene.relay.does(move |visit| (visit.request.name() == operation).then(|| vec![Say::refuse(Fault::Receipted)]));
        let ended = scene.push().arg("--json").run();
        assert!(matches!(ended.code, Some(1 | 10)), "{operation}: the push has not succeeded\n{ended}");
        assert!(!ended.out().contains("\"done\""), "{operation}\n{ended}");
        // Create is answered by a relay that does not know the transfer at all.
        if operation != "Create" {
            scene.tells(MISBEHAVED, operation, &ended);
        }
        scene.relay.repents();
        let code = code_of(&scene.push().run().exits(0));
        scene.pull(&code).run().exits(0);
        scene.is_whole();
        scene.record_count(&format!("{operation} refused as receipted"), 1, "not believed; finishes when honest");
    }
    // The same to whoever waits.
    let scene = Scene::new();
    let code = scene.pushed();
    scene.relay.does(|visit| match visit.request {
        Request::Watch(_) => Some(vec![Say::refuse(Fault::Receipted)]),
        _ => None,
    });
    scene.found_out(MISBEHAVED, "Watch", &wait(&scene));
    scene.relay.repents();
    scene.pull(&code).run().exits(0);
    scene.finishes(&code);
    scene.record("Watch refused as receipted", "not believed; finishes when honest");
}

#[test] // [S12.6] [S13.5]
fn evil_relay_equivocate() {
    // Two histories of one transfer: the claim of one buyer first, of another later. Both have the code.
    let scene = Scene::new();
    let code = scene.pushed();
    let second = Person::new(&scene.scratch, "second");
    let cut = |visit: &mut handover_tests::double::Visit<'_>| match visit.request {
        Request::Fetch(_) => Some(vec![Say::refuse(Fault::NotFound)]),
        _ => None,
    };
    scene.relay.does(cut);
    scene.pull(&code).run().exits(7);
    let first = scene.relay.with(|store| store.newest().transfer.claim.take()).unwrap();
    second.pull(&code, scene.scratch.join("second-out")).run().exits(7);
    let other = scene.relay.with(|store| store.newest().transfer.claim.replace(first.clone())).unwrap();
    assert_ne!(first.link_key, other.link_key);
    scene.relay.does(move |visit| match visit.request {
        Request::Watch(_) => {
            let mut script = visit.snapshot(|told| told.claim = Some(first.clone()));
            script.pop();
            script.extend(visit.snapshot(|told| told.claim = Some(other.clone())));
            Some(script)
        }
        _ => None,
    });
    scene.found_out(MISBEHAVED, "another claim than before", &wait(&scene));
    scene.finishes(&code);
    scene.record("two claims told to the seller one after the other", "said, exit 1; the first one stays");
}

#[test] // [S12.2] [S14.4]
fn relay_restored_from_old_backup() {
    let scene = Scene::new();
    // Three blocks are acknowledged, then the relay finishes the stream, and then it has one.
    scene.relay.does(|visit| match visit.request {
        Request::Append(_) if visit.turn == 0 => {
            let start = Reply::Appending(Durable { durable: BlockCount(0) });
            Some(vec![Say::reply(start), Say::TakeSome(visit.held().create.transfer, 3)])
        }
        Request::Append(_) => {
            let held = visit.held();
            held.blocks.truncate(1);
            held.transfer.durable = BlockCount(1);
            None
        }
        _ => None,
    });
    let ended = scene.found_out(MISBEHAVED, "fewer blocks than acknowledged", &scene.push().arg("--json"));
    assert!(ended.out().contains("has lost blocks that it had acknowledged"), "{ended}");
    scene.record("fewer blocks than it had acknowledged", "said, exit 1; never called safe");
}

#[test] // [S12.2] [S13.3] [S13.4]
fn evil_relay_fake_ack() {
    // More than was sent is acknowledged.
    let scene = Scene::new();
    scene.relay.does(|visit| match visit.request {
        Request::Append(_) => Some(vec![
            Say::reply(Reply::Appending(Durable { durable: BlockCount(0) })),
            Say::reply(Reply::Durable(Durable { durable: BlockCount(u64::MAX) })),
            Say::Silence,
        ]),
        _ => None,
    });
    scene.found_out(MISBEHAVED, "blocks that were not sent", &scene.push().arg("--json"));
    // Everything is acknowledged and nothing kept; it shows when the whole is to be called complete.
    scene.relay.does(|visit| match visit.request {
        Request::Append(named) => Some(vec![
            Say::reply(Reply::Appending(Durable { durable: BlockCount(0) })),
            Say::TakeAndLose(named.transfer),
        ]),
        _ => None,
    });
    let ended = scene.push().arg("--json").run();
    scene.tells(MISBEHAVED, "acknowledged and lost", &ended);
    assert!(!ended.out().contains("\"safe\""), "{ended}");
    scene.record("acknowledged without keeping", "an honest Complete finds it: exit 1, never called safe");

    // A relay that lies there too is found out by whoever collects: it has nothing to give.
    let scene = Scene::new();
    scene.relay.does(|visit| match visit.request {
        Request::Append(named) => Some(vec![
            Say::reply(Reply::Appending(Durable { durable: BlockCount(0) })),
            Say::TakeAndLose(named.transfer),
        ]),
        Request::Complete(_) => Some(vec![Say::reply(Reply::Completed(At { time: visit.held().transfer.created }))]),
        _ => None,
    });
    let code = scene.pushed();
    scene.relay.does(|visit| match visit.request {
        Request::Fetch(_) => Some(vec![Say::reply(Reply::Refused(Refused::of(Fault::Conflict).with_number(0)))]),
        _ => None,
    });
    let conflict = Told { exit: 1, code: "conflict", says: "" };
    scene.found_out(conflict, "nothing to give", &scene.pull(&code));
    scene.nothing_is_placed("nothing to give");
    scene.record("acknowledged, called complete, and lost", "the buyer gets nothing and is told; no receipt");
}
