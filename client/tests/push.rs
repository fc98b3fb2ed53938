//! Pushes real files through a real relay in the same process.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bench;

use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bench::buyer::{self, Buyer};
use bench::{Bench, Seen, random_bytes};
use handover::error::Error;
use handover::event::Event;
use handover::home::relays::KnownRelay;
use handover::home::transfers::State;
use handover::push::{self, Filters, PushOptions, RelayChoice, Source};
use handover::stop;
use handover::watch::{self, Lock, Watcher};
use handover_shared::archive::item::Reason;
use handover_shared::fault::Fault;
use handover_shared::ids::Millis;
use handover_shared::protocol::message::Snapshot;

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_small_folder_arrives_as_it_is() {
    let bench = Bench::new().await;
    let root = bench.small_tree();
    std::fs::set_permissions(root.join("orders/none"), std::fs::Permissions::from_mode(0o4750)).unwrap();
    let seen = Seen::new();

    let pushed = bench.push(bench.options(&["shop"]), &seen).await.unwrap();

    assert_eq!((pushed.id, pushed.files, pushed.exceptions), (1, 3, 0), "{:?}", seen.lines());
    let facts = bench.facts(1);
    assert_eq!(facts.state, State::Waiting);
    assert_eq!((facts.folders, facts.links, facts.label.as_str()), (4, 1, "shop"));
    let secrets = bench.home().transfer(1).unwrap().secrets().unwrap();
    assert!(secrets.share.is_none() && secrets.code.is_some() && secrets.content_key.is_some());
    assert_eq!(bench.home().relays().unwrap().len(), 1, "enrolled and in the book");

    let buyer = Buyer::claim(&seen.code()).await;
    let got = buyer.fetch().await;
    let summary = &buyer.offer().summary;
    assert_eq!((summary.label.as_str(), summary.files, summary.links), ("shop", 3, 1));
    assert_eq!(summary.biggest[0].name, "客户.csv");
    assert_eq!(got.folders, ["shop", "shop/empty", "shop/orders", "shop/orders/2025"]);
    assert_eq!(got.links["shop/link"], "orders/none");
    assert_eq!(got.files["shop/客户.csv"], std::fs::read(root.join("客户.csv")).unwrap());
    assert_eq!(got.files["shop/orders/none"], b"");
    assert_eq!(got.modes["shop/orders/none"], 0o750, "no setuid bit");
    assert_eq!(pushed.wire_bytes, got.blocks * 65_536, "small transfers have small blocks");
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_stranger_and_receipt_come_back() {
    let bench = Bench::new().await;
    bench.small_tree();
    let seen = Seen::new();
    bench.push(bench.options(&["shop"]), &seen).await.unwrap();
    let code = seen.code();
    let home = bench.home();

    let buyer = Buyer::claim(&code).await;
    let stranger = buyer::look_again(&code).await.unwrap_err();
    assert!(matches!(stranger, Error::Refused { fault: Fault::AlreadyClaimed, .. }), "{stranger:?}");
    let looked = Seen::new();
    let facts = watch::refresh(&home, 1, &*looked).await.unwrap();
    let fingerprint = buyer.identity.public().fingerprint();
    assert_eq!(facts.peer_fingerprint.as_deref(), Some(fingerprint.as_str()));
    assert_eq!((facts.refused_claims, facts.claimed_ms.is_some()), (1, true));
    assert!(looked.has("Claimed") && looked.has("ClaimRefused"), "{:?}", looked.lines());
    assert!(home.transfer(1).unwrap().secrets().unwrap().code.is_none(), "a spent code is forgotten");

    let again = Seen::new();
    watch::refresh(&home, 1, &*again).await.unwrap();
    assert!(!again.has("Claimed") && !again.has("ClaimRefused"), "told once: {:?}", again.lines());

    let waiting = Seen::new();
    let (observer, stop, own) = (waiting.clone(), waiting.stop(), home.clone());
    let wait = tokio::spawn(async move { watch::wait(&own, 1, observer, stop).await });
    let got = buyer.fetch().await;
    buyer.receive(&got).await;
    let receipt = wait.await.unwrap().unwrap();
    assert_eq!((receipt.files, receipt.buyer_fingerprint), (3, fingerprint));
    assert_eq!(receipt.buyer_name.reveal(), "李");
    assert!(receipt.deleted.is_some(), "the relay says that it has deleted the blocks");
    let facts = bench.facts(1);
    assert_eq!((facts.state, facts.peer_name.as_deref()), (State::Collected, Some("李")));
    let secrets = home.transfer(1).unwrap().secrets().unwrap();
    assert!(secrets.content_key.is_none(), "nothing opens it any more");
    for kept in ["claim.txt", "claim.sig", "receipt.txt", "receipt.sig", "seal.txt", "offer.txt"] {
        assert!(home.transfer(1).unwrap().file(kept).exists(), "{kept}");
    }
    // Known already: nobody needs to be asked.
    let known = watch::wait(&home, 1, Seen::new(), stop::pair().1).await.unwrap();
    assert_eq!(known.short, receipt.short);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_push_goes_on_with_the_same_words_and_the_same_code() {
    let bench = Bench::new().await;
    let (first, contents) = interrupted_in_the_middle(&bench).await;
    assert_eq!(bench.facts(1).state, State::Sending);
    // What is finished is not read again, so it need not even be there.
    std::fs::remove_file(bench.path("big/a.bin")).unwrap();

    let second = Seen::new();
    let pushed = bench.push(bench.options(&["big"]), &second).await.unwrap();

    assert_eq!((pushed.id, pushed.files, pushed.exceptions), (1, 4, 1));
    assert_eq!(first.code(), second.code());
    assert!(second.has("Resumed"), "{:?}", second.lines());
    assert!(second.has("CodeReady { id: 1") && !second.has("Scanned"), "{:?}", second.lines());
    let got = Buyer::claim(&second.code()).await.fetch().await;
    for (name, bytes) in &contents {
        assert!(got.files[name] == *bytes, "{name}");
    }
    assert_eq!(got.exceptions, [("big/middle".into(), Reason::NotAFile)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_stopped_at_any_stage_goes_on() {
    for event in
        ["Stage(Scanning)", "Scanned", "RelayReached", "CodeReady", "Stage(Sending)", "Stage(Finishing)", "Safe"]
    {
        let bench = Bench::new().await;
        let root = bench.small_tree();
        let first = Seen::stopping_at(event);
        let outcome = bench.push(bench.options(&["shop"]), &first).await;
        let is_safe = bench.home().transfer(1).is_ok_and(|it| it.facts().unwrap().state == State::Waiting);
        assert_eq!(outcome.is_ok(), is_safe, "{event}: {outcome:?}");

        let second = Seen::new();
        let pushed = bench.push(bench.options(&["shop"]), &second).await.unwrap();

        assert_eq!(pushed.files, 3, "{event}");
        assert!(second.has("Safe"), "{event}: {:?}", second.lines());
        if first.codes() == 1 && !is_safe {
            assert_eq!(first.code(), second.code(), "{event}");
        }
        let got = Buyer::claim(&second.code()).await.fetch().await;
        assert_eq!(got.files["shop/客户.csv"], std::fs::read(root.join("客户.csv")).unwrap(), "{event}");
        let unfinished = bench.home().transfers().unwrap().len() - usize::from(is_safe);
        assert_eq!(unfinished, 1, "{event}: nothing is left lying about");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_words_or_new_begin_a_new_transfer() {
    let bench = Bench::new().await;
    bench.small_tree();
    let stopped = |at| Seen::stopping_at(at);
    bench.push(bench.options(&["shop"]), &stopped("CodeReady")).await.unwrap_err();
    let other = PushOptions { follow: true, ..bench.options(&["shop"]) };
    assert_eq!(bench.push(other, &Seen::new()).await.unwrap().id, 2);
    let fresh = PushOptions { fresh: true, ..bench.options(&["shop"]) };
    assert_eq!(bench.push(fresh, &Seen::new()).await.unwrap().id, 3);
    assert_eq!(bench.push(bench.options(&["shop"]), &Seen::new()).await.unwrap().id, 1, "continued at last");
    assert_eq!(bench.push(bench.options(&["shop"]), &Seen::new()).await.unwrap().id, 4, "nothing to continue");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_not_told_is_told_by_the_same_words() {
    let bench = Bench::new().await;
    bench.small_tree();
    let first = Seen::new();
    bench.push_untold(bench.options(&["shop"]), &first).await.unwrap();
    let again = Seen::new();
    let pushed = bench.push_untold(bench.options(&["shop"]), &again).await.unwrap();
    assert_eq!((pushed.id, pushed.files), (1, 3));
    assert_eq!(first.code(), again.code());
    assert!(again.has("Safe"), "{:?}", again.lines());

    let buyer = Buyer::claim(&first.code()).await;
    buyer.receive(&buyer.fetch().await).await;
    watch::wait(&bench.home(), 1, Seen::new(), stop::pair().1).await.unwrap();
    assert_eq!(bench.facts(1).state, State::Collected);
    // Now it is told.
    let pushed = bench.push(bench.options(&["shop"]), &Seen::new()).await.unwrap();
    assert!(pushed.id == 1 && pushed.receipt.is_some());
    assert_eq!(bench.push(bench.options(&["shop"]), &Seen::new()).await.unwrap().id, 2, "nothing to continue");
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_by_number_goes_on_and_a_run_at_work_is_not_disturbed() {
    let bench = Bench::new().await;
    bench.small_tree();
    bench.push(bench.options(&["shop"]), &Seen::stopping_at("CodeReady")).await.unwrap_err();
    let held = bench.home().transfer(1).unwrap().hold().unwrap();
    let outcome = push::resume(&bench.home(), 1, Arc::default(), Seen::new(), stop::pair().1).await;
    assert!(matches!(outcome, Err(Error::Held { id: 1 })), "{outcome:?}");
    let outcome = bench.push(bench.options(&["shop"]), &Seen::new()).await;
    assert!(matches!(outcome, Err(Error::Held { id: 1 })), "{outcome:?}");
    drop(held);
    let pushed = push::resume(&bench.home(), 1, Arc::default(), Seen::new(), stop::pair().1).await.unwrap();
    assert_eq!((pushed.id, pushed.files), (1, 3));
    let outcome = push::resume(&bench.home(), 9, Arc::default(), Seen::new(), stop::pair().1).await;
    assert!(matches!(outcome, Err(Error::NoSuchTransfer { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_dies_is_come_back_to() {
    let mut bench = Bench::new().await;
    let bytes = random_bytes("big/one.bin", 24 * MIB);
    bench.random_file("big/one.bin", bytes.len());
    make_fifo(&bench, "big/two");
    bench.random_file("big/zzz.bin", 3 * MIB);
    // Reading is held up at the end, so that the push cannot be over before the relay dies.
    let (tell, told) = channel::<()>();
    let (go, held) = channel::<()>();
    let held = Mutex::new(held);
    let tell = Mutex::new(tell);
    let seen = Seen::acting(move |event| match event {
        Event::Exception { .. } => drop(held.lock().unwrap().recv()),
        Event::Progress(progress) if progress.bytes_done > 0 => drop(tell.lock().unwrap().send(())),
        _ => {}
    });
    let (home, options, observer) = (bench.home(), bench.options(&["big"]), seen.clone());
    let run = tokio::spawn(async move { push::push(&home, options, observer.clone(), observer.stop()).await });
    tokio::task::spawn_blocking(move || told.recv().unwrap()).await.unwrap();

    let port = bench.kill_relay().await;
    go.send(()).unwrap();
    while !seen.has("Stalled") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.restart_relay(port).await;

    let pushed = run.await.unwrap().unwrap();
    assert_eq!(pushed.files, 2);
    assert!(seen.has("Moving"), "{:?}", seen.lines());
    let got = Buyer::claim(&seen.code()).await.fetch().await;
    assert!(got.files["big/one.bin"] == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vanishes_after_the_scan_is_listed() {
    let bench = Bench::new().await;
    let root = bench.small_tree();
    let doomed = root.join("orders/2025/a.json");
    let seen = Seen::acting(move |event| {
        if matches!(event, Event::CodeReady { .. }) {
            std::fs::remove_file(&doomed).unwrap();
        }
    });
    let pushed = bench.push(bench.options(&["shop"]), &seen).await.unwrap();
    assert_eq!((pushed.files, pushed.exceptions), (2, 1));
    let got = Buyer::claim(&seen.code()).await.fetch().await;
    assert_eq!(got.exceptions, [("shop/orders/2025/a.json".into(), Reason::Vanished)]);
    assert_eq!(bench.facts(1).exceptions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_one_file_and_flows_while_it_is_written() {
    let bench = Bench::new().await;
    let (reader, mut writer) = std::io::pipe().unwrap();
    let options = PushOptions { sources: vec![Source::Stdin { name: "dump.sql".into() }], ..bench.options(&[]) };
    let seen = Seen::new();
    let (home, observer) = (bench.home(), seen.clone());
    let run = tokio::spawn(async move {
        push::push_from(&home, options, Box::new(reader), observer.clone(), observer.stop()).await
    });
    let bytes = random_bytes("dump", 3 * MIB + 5);
    std::io::Write::write_all(&mut writer, &bytes[..2 * MIB]).unwrap();
    // Two whole pieces are durable although the writer has paused.
    while !seen.lines().iter().any(|line| line.contains("bytes_done: 2097152")) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::io::Write::write_all(&mut writer, &bytes[2 * MIB..]).unwrap();
    drop(writer);
    let pushed = run.await.unwrap().unwrap();
    assert_eq!((pushed.files, pushed.bytes), (1, bytes.len() as u64));
    assert_eq!(bench.facts(1).bytes, Some(bytes.len() as u64));
    let got = Buyer::claim(&seen.code()).await.fetch().await;
    assert!(got.files["dump.sql"] == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_cannot_be_continued() {
    let bench = Bench::new().await;
    let options = || PushOptions { sources: vec![Source::Stdin { name: "x".into() }], ..bench.options(&[]) };
    let push = async |options, seen: &Arc<Seen>| {
        let stdin = Box::new(std::io::Cursor::new(vec![1; 100]));
        push::push_from(&bench.home(), options, stdin, seen.clone(), seen.stop()).await
    };
    push(options(), &Seen::stopping_at("CodeReady")).await.unwrap_err();
    let outcome = push(options(), &Seen::new()).await;
    assert!(matches!(outcome, Err(Error::StdinNotResumable)), "{outcome:?}");
    let outcome = push::resume(&bench.home(), 1, Arc::default(), Seen::new(), stop::pair().1).await;
    assert!(matches!(outcome, Err(Error::StdinNotResumable)), "{outcome:?}");
    let fresh = PushOptions { fresh: true, ..options() };
    assert_eq!(push(fresh, &Seen::new()).await.unwrap().bytes, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_relay_the_push_is_one_until_the_receipt() {
    let bench = Bench::new().await;
    bench.small_tree();
    let options = || PushOptions { relay: RelayChoice::Default, ..bench.options(&["shop"]) };
    let first = Seen::stopping_at("Safe");
    let outcome = bench.push(options(), &first).await;
    assert!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
    assert!(bench.facts(1).embedded);

    let second = Seen::new();
    let (home, again, observer) = (bench.home(), options(), second.clone());
    let run = tokio::spawn(async move { push::push(&home, again, observer.clone(), observer.stop()).await });
    while second.codes() == 0 && !run.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(first.code(), second.code(), "same port, same code");
    let buyer = Buyer::claim(&second.code()).await;
    let got = buyer.fetch().await;
    buyer.receive(&got).await;
    let pushed = run.await.unwrap().unwrap();
    let receipt = pushed.receipt.unwrap();
    assert_eq!((pushed.id, receipt.files), (1, 3));
    assert!(second.has("Receipt"), "{:?}", second.lines());
    assert_eq!(bench.facts(1).state, State::Collected);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_relay_inside_a_push_at_a_time() {
    let bench = Bench::new().await;
    bench.small_tree();
    bench.random_file("other/file", 10);
    let embedded = |name| PushOptions { relay: RelayChoice::Embedded, ..bench.options(&[name]) };
    let first = Seen::new();
    let (home, options, observer) = (bench.home(), embedded("shop"), first.clone());
    let run = tokio::spawn(async move { push::push(&home, options, observer.clone(), observer.stop()).await });
    while !first.has("Safe") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let outcome = bench.push(embedded("other"), &Seen::new()).await;
    assert!(matches!(outcome, Err(Error::Held { id: 1 })), "{outcome:?}");
    let looked = watch::refresh(&bench.home(), 1, &*Seen::new()).await.unwrap();
    assert_eq!(looked.state, State::Waiting, "it can be looked at from beside");
    first.stopper().stop();
    assert!(matches!(run.await.unwrap(), Err(Error::Interrupted)));
    let looked = watch::refresh(&bench.home(), 1, &*Seen::new()).await.unwrap();
    assert_eq!(looked.state, State::Waiting, "the relay is away, so nobody is asked");
    let revoked = watch::revoke(&bench.home(), 1, &*Seen::new()).await.unwrap();
    assert!(revoked.durable > 0 && revoked.claimed.is_none());
    assert_eq!(bench.facts(1).state, State::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_while_another_run_holds_the_transfer_is_kept_afterwards() {
    let bench = Bench::new().await;
    bench.small_tree();
    let seen = Seen::new();
    bench.push(bench.options(&["shop"]), &seen).await.unwrap();
    let held = bench.home().transfer(1).unwrap().hold().unwrap();
    let waiting = Seen::new();
    let (home, observer) = (bench.home(), waiting.clone());
    let wait = tokio::spawn(async move { watch::wait(&home, 1, observer.clone(), observer.stop()).await });
    let buyer = Buyer::claim(&seen.code()).await;
    let got = buyer.fetch().await;
    buyer.receive(&got).await;
    while !waiting.has("Stage(Waiting)") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(bench.facts(1).claimed_ms, None, "nobody writes under a foreign lock");
    drop(held);
    assert_eq!(wait.await.unwrap().unwrap().files, 3);
    assert_eq!(bench.facts(1).state, State::Collected);
}

#[tokio::test(flavor = "multi_thread")] // [S10.10]
async fn a_relay_that_forges_claim_or_receipt_is_found_out() {
    let bench = Bench::new().await;
    bench.small_tree();
    let seen = Seen::new();
    bench.push(bench.options(&["shop"]), &seen).await.unwrap();
    let buyer = Buyer::claim(&seen.code()).await;
    let got = buyer.fetch().await;
    buyer.receive(&got).await;
    let told = bench.snapshot(1).await;
    type Forge = fn(&mut Snapshot);
    let forgeries: [(&str, Forge); 7] = [
        ("another link key", |it| it.claim.as_mut().unwrap().link_key.0[0] ^= 1),
        ("another hybrid key", |it| it.claim.as_mut().unwrap().hybrid_key[0] ^= 1),
        ("another text", |it| {
            let claim = it.claim.as_mut().unwrap();
            claim.text = claim.text.replace("20", "21");
        }),
        ("signatures exchanged", |it| {
            let claim = it.claim.as_mut().unwrap();
            std::mem::swap(&mut claim.identity_signature, &mut claim.claim_signature);
        }),
        ("another receipt", |it| *it.sealed_receipt.as_mut().unwrap().last_mut().unwrap() ^= 1),
        ("no receipt", |it| it.sealed_receipt = None),
        ("no claim", |it| it.claim = None),
    ];
    let folder = bench.home().transfer(1).unwrap();
    for (name, forge) in forgeries {
        let mut forged = told.clone();
        forge(&mut forged);
        let mut watcher = Watcher::new(Lock::Whenever(&folder)).unwrap();
        let outcome = watcher.take(forged, &*Seen::new());
        assert!(matches!(outcome, Err(Error::BadClaim | Error::BadReceipt(_))), "{name}: {outcome:?}");
        assert_ne!(bench.facts(1).state, State::Collected, "{name}");
        assert!(folder.secrets().unwrap().content_key.is_some(), "{name}");
    }
    let mut watcher = Watcher::new(Lock::Whenever(&folder)).unwrap();
    watcher.take(told, &*Seen::new()).unwrap();
    assert_eq!(bench.facts(1).state, State::Collected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_waits_ends_with_the_receipt() {
    let bench = Bench::new().await;
    bench.small_tree();
    let seen = Seen::new();
    let options = PushOptions { wait: true, ..bench.options(&["shop"]) };
    let (home, observer) = (bench.home(), seen.clone());
    let run = tokio::spawn(async move { push::push(&home, options, observer.clone(), observer.stop()).await });
    while seen.codes() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let buyer = Buyer::claim(&seen.code()).await;
    let got = buyer.fetch().await;
    buyer.receive(&got).await;
    assert_eq!(run.await.unwrap().unwrap().receipt.unwrap().bytes, bench.facts(1).bytes.unwrap());
    for event in ["Safe", "Stage(Waiting)", "Claimed", "Receipt"] {
        assert!(seen.has(event), "{event}: {:?}", seen.lines());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_transfer_is_over_for_everybody() {
    let bench = Bench::new().await;
    bench.small_tree();
    let seen = Seen::stopping_at("CodeReady");
    bench.push(bench.options(&["shop"]), &seen).await.unwrap_err();
    let revoked = watch::revoke(&bench.home(), 1, &*Seen::new()).await.unwrap();
    assert_eq!((revoked.claimed, revoked.fetched_blocks), (None, 0));
    assert_eq!(bench.facts(1).state, State::Revoked);
    assert!(bench.home().transfer(1).unwrap().secrets().unwrap().code.is_none());
    let outcome = watch::wait(&bench.home(), 1, Seen::new(), stop::pair().1).await;
    assert!(matches!(outcome, Err(Error::Refused { fault: Fault::Revoked, .. })), "{outcome:?}");
    let outcome = push::resume(&bench.home(), 1, Arc::default(), Seen::new(), stop::pair().1).await;
    assert!(matches!(outcome, Err(Error::Refused { fault: Fault::Revoked, .. })), "{outcome:?}");
    assert_eq!(bench.push(bench.options(&["shop"]), &Seen::new()).await.unwrap().id, 2, "the same words begin anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_forgot_is_noticed() {
    let bench = Bench::new().await;
    interrupted_in_the_middle(&bench).await;
    std::fs::remove_file(bench.home().transfer(1).unwrap().file("marks")).unwrap();
    let outcome = bench.push(bench.options(&["big"]), &Seen::new()).await;
    assert!(matches!(outcome, Err(Error::JournalBehind { journal: 0, .. })), "{outcome:?}"); // [S14.6]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_relay_does_not_allow_is_said_before_there_is_a_code() {
    let bench = Bench::with_limits(|limits| limits.transfer_bytes_max = 256 * 1024).await;
    bench.random_file("big/file", MIB);
    let seen = Seen::new();
    let outcome = bench.push(bench.options(&["big"]), &seen).await;
    assert!(
        matches!(outcome, Err(Error::Refused { fault: Fault::QuotaExceeded, number: Some(262_144), .. })),
        "{outcome:?}"
    );
    let long = PushOptions { expires_ms: Some(u64::MAX), ..bench.options(&["big"]) };
    let outcome = bench.push(long, &seen).await;
    assert!(matches!(outcome, Err(Error::Refused { fault: Fault::QuotaExceeded, .. })), "{outcome:?}");
    assert_eq!(seen.codes(), 0);
    assert!(bench.home().transfers().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(bench.path("home/transfers")).unwrap().count(), 0, "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_does_not_know_the_seller_or_is_not_there() {
    let mut bench = Bench::new().await;
    bench.small_tree();
    let invite = bench.invite();
    let known = KnownRelay { address: invite.address.clone(), key: invite.relay_key, added: Millis(1) };
    let options = || PushOptions { relay: RelayChoice::Known(invite.address.clone()), ..bench.options(&["shop"]) };
    let outcome = bench.push(options(), &Seen::new()).await;
    assert!(matches!(outcome, Err(Error::NoRelay)), "{outcome:?}");
    bench.home().add_relay(known).unwrap();
    let outcome = bench.push(options(), &Seen::new()).await;
    assert!(matches!(outcome, Err(Error::Refused { fault: Fault::NotEnrolled, .. })), "{outcome:?}");
    watch::add_relay(&bench.home(), &invite).await.unwrap();
    assert_eq!(bench.push(options(), &Seen::new()).await.unwrap().files, 3);
    let options = PushOptions { fresh: true, ..options() };
    bench.kill_relay().await;
    let outcome = bench.push(options, &Seen::new()).await;
    assert!(matches!(outcome, Err(Error::Unreachable { .. })), "{outcome:?}");
    assert_eq!(bench.home().transfers().unwrap().len(), 1, "what was not announced leaves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_are_not_there_or_have_one_name() {
    let bench = Bench::new().await;
    bench.small_tree();
    std::fs::create_dir_all(bench.path("other/shop")).unwrap();
    let outcome = bench.push(bench.options(&["nowhere"]), &Seen::new()).await;
    assert!(matches!(outcome, Err(Error::SourceMissing { .. })), "{outcome:?}");
    let outcome = bench.push(bench.options(&["shop", "other/shop"]), &Seen::new()).await;
    assert!(matches!(outcome, Err(Error::SameName { .. })), "{outcome:?}");
    let nothing = PushOptions {
        filters: Filters { exclude: vec!["*".into()], ..Filters::default() },
        ..bench.options(&["shop"])
    };
    let outcome = bench.push(nothing, &Seen::new()).await;
    assert!(matches!(outcome, Err(Error::NothingToSend)), "{outcome:?}");
}

/// Four files and a fifo, pushed until the first file is durable and before the third is read.
async fn interrupted_in_the_middle(bench: &Bench) -> (Arc<Seen>, Vec<(String, Vec<u8>)>) {
    let contents: Vec<(String, Vec<u8>)> = ["a", "b", "y", "z"]
        .map(|name| (format!("big/{name}.bin"), random_bytes(&format!("big/{name}.bin"), 10 * MIB)))
        .to_vec();
    for (name, bytes) in &contents {
        bench.random_file(name, bytes.len());
    }
    make_fifo(bench, "big/middle");
    let (go, held) = channel::<()>();
    let (go, held) = (Mutex::new(Some(go)), Mutex::new(held));
    let holder = Arc::new(Mutex::new(None::<handover::stop::Stopper>));
    let stopper = holder.clone();
    let seen = Seen::acting(move |event| match event {
        // Reading is held up here.
        Event::Exception { .. } => drop(held.lock().unwrap().recv()),
        Event::Progress(progress) if progress.files_done >= 1 => {
            stopper.lock().unwrap().as_ref().unwrap().stop();
            go.lock().unwrap().take();
        }
        _ => {}
    });
    *holder.lock().unwrap() = Some(seen.stopper());
    let outcome = bench.push(bench.options(&["big"]), &seen).await;
    assert!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
    (seen, contents)
}

fn make_fifo(bench: &Bench, name: &str) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, bench.path(name), mode).unwrap();
}
