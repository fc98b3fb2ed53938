//! The offer, the claim and the share: other ones than the seller's, for other eyes, under another key.

use std::sync::Arc;

use handover_shared::fault::Fault;
use handover_shared::ids::BlockCount;
use handover_shared::invite::Invite;
use handover_shared::proof::ClaimText;
use handover_shared::protocol::message::{At, Claim, Fetching, Peeked, Released, Reply, Request};
use handover_tests::double::{Held, Say, Visit};
use handover_tests::{Person, Tree};

use crate::scene::{ALTERED, BLOCK, MISBEHAVED, Scene, Told};

const OTHER_KEY: Told = Told { exit: 8, code: "relay-key", says: "another machine than expected" };

/// Answers a Peek with what `change` makes of the honest answer.
fn peeked(visit: &mut Visit<'_>, change: impl FnOnce(&mut Peeked)) -> Option<Vec<Say>> {
    let Request::Peek(_) = visit.request else { return None };
    let mut script = visit.honestly();
    if let Some(Say::Reply(reply)) = script.first_mut()
        && let Reply::Peeked(peeked) = &mut **reply
    {
        change(peeked);
    }
    Some(script)
}

/// Answers a Claim, which the relay remembers, with what `change` makes of the honest answer.
fn released(visit: &mut Visit<'_>, change: impl FnOnce(&mut Released, &Held, &Claim)) -> Option<Vec<Say>> {
    let request = visit.request;
    let Request::Claim(claim) = request else { return None };
    let mut script = visit.honestly();
    if let Some(Say::Reply(reply)) = script.first_mut()
        && let Reply::Released(released) = &mut **reply
    {
        change(released, visit.held(), claim);
    }
    Some(script)
}

#[test] // [S10.7] [S10.8]
fn evil_relay_offer_swap() {
    let scene = Scene::new();
    let code = scene.pushed();
    scene.pushed_other(&scene.seller);
    let (id, offer) = scene.relay.with(|store| {
        let other = store.newest();
        (other.create.transfer, other.create.sealed_offer.clone())
    });
    let swapped = offer.clone();
    scene.relay.does(move |visit| peeked(visit, |peeked| peeked.sealed_offer.clone_from(&swapped)));
    scene.found_out(ALTERED, "the offer of another transfer", &scene.pull(&code));
    scene.relay.does(move |visit| {
        peeked(visit, |peeked| {
            peeked.transfer = id;
            peeked.sealed_offer.clone_from(&offer);
        })
    });
    scene.found_out(ALTERED, "another transfer in the place of this one", &scene.pull(&code));
    scene.relay.does(move |visit| peeked(visit, |peeked| peeked.transfer = id));
    scene.found_out(ALTERED, "the number of another transfer", &scene.pull(&code));
    assert_eq!(scene.relay.asked("Claim"), 0, "nothing was claimed");
    scene.nothing_is_placed("another offer");
    scene.finishes(&code);
    scene.record("the offer swapped", "found before the claim, exit 8, the code is not spent");
}

#[test] // [S4.2] [S10.7]
fn evil_relay_offer_forge() {
    let scene = Scene::new();
    let code = scene.pushed();
    type Forgery = fn(&mut Vec<u8>);
    let forgeries: [(&str, Forgery); 8] = [
        ("a bit of the salt", |offer| offer[3] ^= 1),
        ("a bit of the commitment", |offer| offer[40] ^= 8),
        ("a bit of the text", |offer| offer[300] ^= 2),
        ("the last bit", |offer| *offer.last_mut().unwrap() ^= 1),
        ("cut short", |offer| offer.truncate(offer.len() - 1)),
        ("nothing", Vec::clear),
        ("zeros", |offer| offer.fill(0)),
        ("the greatest there can be", |offer| offer.resize(256 * 1024, 0x5a)),
    ];
    for (what, forge) in forgeries {
        scene.relay.does(move |visit| peeked(visit, |peeked| forge(&mut peeked.sealed_offer)));
        scene.found_out(ALTERED, what, &scene.pull(&code));
        assert_eq!(scene.relay.asked("Claim"), 0, "{what}: nothing was claimed");
    }
    scene.finishes(&code);
    scene.record("the offer forged", "found before the claim, exit 8, the code is not spent");
}

#[test] // [S10.8] [S11.2]
fn mitm_relay() {
    let scene = Scene::new();
    let code = scene.pushed();
    let elsewhere = scene.relay.under_another_key();
    let (token, _) = code.split_once('@').unwrap();
    scene.relay.repents();
    scene.found_out(OTHER_KEY, "the buyer at another relay", &scene.pull(&format!("{token}@{elsewhere}")));
    assert_eq!((scene.relay.asked("Peek"), scene.relay.asked("Claim")), (1, 0), "it was looked at and not claimed");
    // The seller knows the key from the invite, and says nothing at all to another.
    let mut invite = Invite::parse(scene.relay.invite()).unwrap();
    invite.address = elsewhere.parse().unwrap();
    let push = scene.seller.handover(["push", "--json", "--new", "--relay", &invite.to_text()]).arg(&scene.source);
    scene.relay.repents();
    scene.found_out(OTHER_KEY, "the seller at another relay", &push);
    for operation in ["Hello", "Enrol", "Create"] {
        assert_eq!(scene.relay.asked(operation), 0, "{operation}");
    }
    scene.finishes(&code);
    scene.record("another relay in the middle", "found before the claim, exit 8");
}

#[test] // [S4.5] [S4.6] [S4.7]
fn evil_relay_bad_share() {
    let scene = Scene::new();
    let code = scene.pushed();
    scene.pushed_other(&scene.seller);
    let other = scene.relay.with(|store| store.newest().create.envelope.clone());
    type Change = Box<dyn Fn(&mut Released, &Held, &Claim) + Send + Sync>;
    let changes: Vec<(&str, Change)> = vec![
        (
            "another share, well sealed",
            Box::new(|released, held, claim| {
                let mut share = *held.create.share;
                share[0] ^= 1;
                let by = held.transfer.claim.as_ref().unwrap().link_key;
                *released = held.release_share(by, claim, released.claimed, share);
            }),
        ),
        ("a bit of the sealed share", Box::new(|released, _, _| released.sealed_share[7] ^= 1)),
        ("a bit of the encapsulated key", Box::new(|released, _, _| released.encapsulated[500] ^= 1)),
        ("an encapsulated key of small order", Box::new(|released, _, _| released.encapsulated[1088..].fill(0))),
        ("an encapsulated key cut short", Box::new(|released, _, _| released.encapsulated.truncate(1119))),
        ("no share", Box::new(|released, _, _| released.sealed_share.clear())),
        ("a bit of the envelope", Box::new(|released, _, _| released.envelope[60] ^= 1)),
        ("a bit of the envelope's commitment", Box::new(|released, _, _| released.envelope[30] ^= 1)),
        ("the envelope of another transfer", Box::new(move |released, _, _| released.envelope.clone_from(&other))),
        ("an envelope of 60 KiB", Box::new(|released, _, _| released.envelope.resize(60 * 1024, 0))),
    ];
    for (what, change) in changes {
        scene.relay.does(move |visit| released(visit, &change));
        scene.found_out(ALTERED, what, &scene.pull(&code));
        assert_eq!(scene.relay.asked("Fetch"), 0, "{what}: no data is touched");
        scene.nothing_is_placed(what);
    }
    scene.finishes(&code);
    scene.record("a wrong share or envelope", "found, exit 8, nothing fetched; finishes when honest");
}

/// Says that it has the receipt, and does nothing about it.
fn received(visit: &mut Visit<'_>) -> Vec<Say> {
    let time = visit.held().transfer.created;
    vec![Say::reply(Reply::Received(At { time }))]
}

/// Releases the share to whoever claims, and serves whoever asks.
fn serves_everybody(visit: &mut Visit<'_>) -> Option<Vec<Say>> {
    let request = visit.request;
    match request {
        Request::Peek(_) | Request::Watch(_) => {
            // Whoever looks is told that nobody came before.
            let claims: Vec<_> = visit.store.transfers.values_mut().map(|held| held.transfer.claim.take()).collect();
            let script = if let Request::Peek(_) = request { visit.honestly() } else { visit.snapshot(|_| ()) };
            for (held, claim) in visit.store.transfers.values_mut().zip(claims) {
                held.transfer.claim = claim;
            }
            Some(script)
        }
        Request::Claim(claim) => {
            let by = visit.by;
            let first = visit.honestly();
            let held = visit.held();
            let is_first = held.transfer.claim.as_ref().is_some_and(|first| first.link_key == by);
            let claimed = held.transfer.created;
            Some(if is_first { first } else { vec![Say::reply(Reply::Released(held.release(by, claim, claimed)))] })
        }
        Request::Fetch(_) => {
            let blocks = visit.blocks();
            Some(visit.serve(&blocks))
        }
        _ => None,
    }
}

#[test] // [S13.5]
fn evil_relay_double_release() {
    // The limit of a code that works while the seller is away: a relay that helps somebody who has the code too.
    let scene = Scene::new();
    let code = scene.pushed();
    scene.relay.does(|visit| match visit.request {
        Request::Fetch(_) => Some(vec![Say::refuse(Fault::NotFound)]),
        _ => None,
    });
    scene.pull(&code).run().exits(7);
    let second = Person::new(&scene.scratch, "second");
    let into = scene.scratch.join("second-out");
    scene.relay.does(|visit| match visit.request {
        Request::Receive(_) => Some(received(visit)),
        _ => serves_everybody(visit),
    });
    second.pull(&code, &into).run().exits(0);
    Tree::of(&scene.source).must_equal(&Tree::of(into.join("customers")));
    // The seller's view is of the first one only.
    let first = scene.relay.with(|store| store.newest().transfer.claim.clone()).unwrap();
    scene.finishes(&code);
    let shown = scene.seller.run(["status", "1", "--json"]).exits(0).out();
    let buyer = ClaimText::parse(&first.text).unwrap().buyer_key.to_string();
    assert!(shown.contains("collected") && shown.contains(&buyer), "{shown}");
    scene.record_count("the share released again", 1, "documented limit: needs somebody who has the code");
}

#[test] // [S8.2] [S13.5]
fn evil_relay_two_buyers_see_different_data() {
    let scene = Scene::new();
    let code = scene.pushed();
    scene.relay.does(|visit| match visit.request {
        Request::Receive(_) => Some(received(visit)),
        Request::Fetch(_) => {
            let by = visit.by;
            let is_first = visit.held().transfer.claim.as_ref().is_some_and(|claim| claim.link_key == by);
            let mut blocks = visit.blocks();
            if !is_first {
                blocks[1][BLOCK / 3] ^= 1;
            }
            Some(visit.serve(&blocks))
        }
        _ => serves_everybody(visit),
    });
    // That its receipt is not in the log is found as well, when everything is in its place.
    scene.pull(&code).run().exits(8);
    scene.is_whole();
    let second = Person::new(&scene.scratch, "second");
    let into = scene.scratch.join("second-out");
    let ended = second.pull(&code, &into).arg("--json").run();
    scene.tells(ALTERED, "the second buyer's data differ", &ended);
    for entry in std::fs::read_dir(into.join("customers")).into_iter().flatten().map(Result::unwrap) {
        let sent = std::fs::read(scene.source.join(entry.file_name())).unwrap();
        assert!(std::fs::read(entry.path()).unwrap() == sent, "{:?} is wrong", entry.file_name());
    }
    scene.record("two buyers served different data", "whoever gets altered data finds out, exit 8");
}

#[test] // [S12.7]
fn evil_relay_withhold() {
    let scene = Scene::new();
    let code = scene.pushed();
    let lies = [
        (Fault::NotFound, "code-unknown", "knows no transfer"),
        (Fault::Expired, "expired", "expired"),
        (Fault::Revoked, "revoked", "took this transfer back"),
        (Fault::Receipted, "receipted", "receipted"),
        (Fault::AlreadyClaimed, "code-used", "already been used"),
    ];
    for operation in ["Peek", "Claim"] {
        for (fault, word, says) in lies {
            scene.relay.does(move |visit| (visit.request.name() == operation).then(|| vec![Say::refuse(fault)]));
            let told = Told { exit: 7, code: word, says };
            scene.found_out(told, &format!("{fault:?} to {operation}"), &scene.pull(&code));
            scene.nothing_is_placed("a lie");
        }
    }
    // The seller's view differs, which is how people find out.
    let status = scene.seller.run(["status", "1", "--json"]).exits(0);
    assert!(status.out().contains("\"waiting\"") && !status.out().contains("claimed_by\":\""), "{status}");
    // In the middle as well: what is kept here stays.
    scene.relay.does(|visit| match visit.request {
        Request::Fetch(_) => Some(vec![Say::refuse(Fault::NotFound)]),
        _ => None,
    });
    let told = Told { exit: 7, code: "code-unknown", says: "knows no transfer" };
    scene.found_out(told, "NotFound to Fetch", &scene.pull(&code));
    scene.finishes(&code);
    scene.record("lies: not found, expired, revoked, receipted, used", "exit 7, code not spent; finishes when honest");
}

#[test] // [S12.5] [S13.1]
fn evil_relay_ends_it() {
    // A relay can always end a transfer, by deleting it if by nothing else: its word for it is believed and final.
    for (fault, word, says) in
        [(Fault::Expired, "expired", "expired"), (Fault::Revoked, "revoked", "took this transfer back")]
    {
        let scene = Scene::new();
        let code = scene.pushed();
        scene.relay.does(move |visit| match visit.request {
            Request::Fetch(fetch) if fetch.from.0 == 0 && visit.turn == 0 => {
                let mut blocks = visit.blocks();
                blocks.truncate(4);
                let mut script = visit.serve(&blocks);
                script.push(Say::Reset(fault.number().into()));
                Some(script)
            }
            _ => None,
        });
        let told = Told { exit: 7, code: word, says };
        scene.found_out(told, "ended in the middle", &scene.pull(&code));
        scene.relay.repents();
        scene.found_out(told, "it stays ended", &scene.pull(&code));
        scene.record(&format!("called {fault:?} in the middle"), "exit 7, final; nothing wrong is placed");
    }
}

#[test] // [S10.8] [S10.10]
fn evil_relay_rollback() {
    let scene = Scene::new();
    let old_code = scene.pushed();
    scene.pull(&old_code).run().exits(0);
    scene.seller.run(["wait", "1"]).exits(0);
    // The same folder in its present state, the earlier one still in the hands of the relay.
    let old = scene.relay.with(|store| {
        let held = store.newest();
        (held.create.clone(), held.transfer.snapshot(0))
    });
    let old = Arc::new(old);
    std::fs::remove_dir_all(&scene.out).unwrap();
    std::fs::write(scene.source.join("00.jpg"), b"the newest prices").unwrap();
    let push = scene.seller.handover(["push", "--new", "--relay", scene.relay.invite()]).arg(&scene.source);
    let code = crate::scene::code_of(&push.run().exits(0));

    let offered = old.clone();
    scene.relay.does(move |visit| {
        peeked(visit, |peeked| {
            peeked.transfer = offered.0.transfer;
            peeked.sealed_offer.clone_from(&offered.0.sealed_offer);
        })
    });
    scene.found_out(ALTERED, "the older offer", &scene.pull(&code));
    let enveloped = old.clone();
    scene
        .relay
        .does(move |visit| released(visit, |released, _, _| released.envelope.clone_from(&enveloped.0.envelope)));
    scene.found_out(ALTERED, "the older envelope", &scene.pull(&code));
    let told = old.clone();
    scene.relay.does(move |visit| match visit.request {
        Request::Watch(_) => Some(vec![Say::reply(Reply::Snapshot(told.1.clone())), Say::Silence]),
        _ => None,
    });
    let claim = Told { exit: 8, code: "claim-invalid", says: "nobody with the code" };
    scene.found_out(claim, "the older claim and receipt", &scene.seller.handover(["wait", "2", "--json"]));
    scene.relay.repents();
    scene.pull(&code).run().exits(0);
    scene.is_whole();
    scene.seller.run(["wait", "2"]).exits(0);
    scene.record("an older transfer of the same seller played again", "found, exit 8; finishes when honest");
}

#[test] // [S12.3]
fn evil_relay_shrinks() {
    let scene = Scene::new();
    let code = scene.pushed();
    // It has served three blocks, and then says that it has two.
    scene.relay.does(|visit| {
        let Request::Fetch(_) = visit.request else { return None };
        let mut blocks = visit.blocks();
        if visit.turn == 0 {
            let mut script = visit.serve(&blocks);
            if let Some(Say::Bytes(bytes)) = script.last_mut() {
                bytes.truncate(3 * BLOCK);
            }
            return Some(script);
        }
        blocks.truncate(2);
        let held = BlockCount(2);
        let fetching = Fetching { durable: held, blocks: Some(held) };
        Some(vec![Say::reply(Reply::Fetching(fetching)), Say::Silence])
    });
    scene.found_out(MISBEHAVED, "fewer blocks than before", &scene.pull(&code));
    scene.finishes(&code);
    scene.record("fewer blocks than it has served", "exit 1, said; finishes when honest");
}
