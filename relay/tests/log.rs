//! The log: every event is in it, whoever may ask can check what it says, and a ledger that does not fit it is damaged.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail like that")]

mod kit;

use std::path::Path;

use handover_relay::cleanup::CleanupError;
use handover_relay::home::ledger_path;
use handover_relay::ledger::{LedgerError, Sqlite, log, once, operations};
use handover_relay::{Relay, Running, StartError};
use handover_shared::fault::Fault;
use handover_shared::ids::Millis;
use handover_shared::proof::log::{Followed, History, Subject, check_deletion};
use handover_shared::proof::{EndReason, Fingerprint, digest, event_word, text_id};
use handover_shared::protocol::message::*;
use kit::*;

fn subject(running: &Running, parcel: &Parcel) -> Subject {
    Subject { relay: Fingerprint::of_link_key(&running.key), transfer: parcel.id }
}

async fn page(client: &Client, ask: Log) -> Logged {
    match client.ask(&Request::Log(ask)).await {
        Reply::Logged(logged) => logged,
        other => panic!("{other:?}"),
    }
}

/// Asks for everything, and checks it against what is held.
async fn ask(client: &Client, running: &Running, parcel: &Parcel, held: Option<&History>) -> (History, Logged) {
    let held_size = held.map_or(0, |held| held.head().text().size);
    let mut request = Log { transfer: parcel.id, held_size, size: None, from_sequence: 0 };
    let first = page(client, request).await;
    let mut followed = Followed::begin(&subject(running, parcel), held.map(History::head), &first).unwrap();
    while let Some((size, from_sequence)) = followed.wants() {
        request = Log { size: Some(size), from_sequence, ..request };
        followed.add(&page(client, request).await).unwrap();
    }
    (followed.finish(held.map_or(&[], History::entries)).unwrap(), first)
}

fn words(history: &History) -> Vec<&'static str> {
    history.entries().iter().map(|entry| event_word(entry.event)).collect()
}

#[tokio::test] // [S16.1] [S16.3] [S16.5] [S16.6]
async fn both_sides_can_check_what_the_log_says_of_them() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel, other) = (Client::seller(&running, 1).await, Parcel::new(1), Parcel::new(2));
    parcel.create_by(&seller).await;
    let (begun, _) = ask(&seller, &running, &parcel, None).await;
    assert_eq!(words(&begun), ["created"]);
    other.send_by(&seller, 1).await;
    assert_eq!(seller.append(&parcel, 0..2).await, 2);
    assert!(matches!(seller.ask(&parcel.complete(2)).await, Reply::Completed(_)));
    let (client, buyer) = (Client::connect(&running, 3).await, Buyer::new(3));
    let claim = buyer.claim_of(&buyer.claim_text(&parcel, &client), &parcel);
    assert!(matches!(client.ask(&Request::Claim(claim.clone())).await, Reply::Released(_)));
    // Nothing of it is for anybody else, and who comes too late stands in it.
    let late = Client::connect(&running, 4).await;
    let wanted = Log { transfer: parcel.id, held_size: 0, size: None, from_sequence: 0 };
    assert_eq!(late.fault(&Request::Log(wanted)).await, Fault::NotAllowed);
    assert_eq!(late.fault(&parcel.peek()).await, Fault::AlreadyClaimed);
    assert_eq!(late.fault(&Request::Log(Log { transfer: Parcel::new(9).id, ..wanted })).await, Fault::NotFound);
    hand.set(START + 5_000);
    assert!(matches!(client.ask(&parcel.receive(b"receipt")).await, Reply::Received(_)));
    client.watch_until_deleted(&parcel).await;

    let (whole, answer) = ask(&seller, &running, &parcel, Some(&begun)).await;
    let (of_buyer, _) = ask(&client, &running, &parcel, None).await;

    let expected = ["created", "first-block", "completed", "claimed", "claim-refused", "receipted", "deleted"];
    assert_eq!(words(&whole), expected);
    assert_eq!(whole.compare(&of_buyer), Ok(()));
    let by = |key| Some(Fingerprint::of_link_key(&key));
    let of = |kind| whole.entry(kind).unwrap().clone();
    assert_eq!((of(EventKind::Created).by, of(EventKind::Created).body), (by(seller.key), Some(parcel.offer_digest())));
    assert_eq!((of(EventKind::Claimed).by, of(EventKind::Claimed).body), (by(client.key), Some(text_id(&claim.text))));
    assert_eq!((of(EventKind::ClaimRefused).by, of(EventKind::ClaimRefused).body), (by(late.key), None));
    assert_eq!(
        (of(EventKind::Receipted).by, of(EventKind::Receipted).body),
        (by(client.key), Some(digest(b"receipt")))
    );
    let deletion = check_deletion(&subject(&running, &parcel), &whole, answer.deletion.as_ref().unwrap()).unwrap();
    assert_eq!((deletion.blocks, deletion.bytes, deletion.reason), (2, 2 * 65_536, EndReason::Receipt));
    assert_eq!(deletion.share_erased, Millis(START + 5_000).into());
    let again = page(&client, wanted).await;
    assert_eq!((again.deletion, again.reason), (answer.deletion, None));
    // A size of which no head was signed cannot be asked for.
    assert_eq!(client.fault(&Request::Log(Log { size: Some(2), ..wanted })).await, Fault::Conflict);
}

#[tokio::test] // [S16.4] [S16.6]
async fn more_than_a_page_and_many_heads() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let client = Client::connect(&running, 2).await;
    Buyer::new(2).claimed(&parcel, &client).await;
    let (mut held, mut heads) = (None, Vec::new());
    for seed in 3..50 {
        assert_eq!(Client::connect(&running, seed).await.fault(&parcel.peek()).await, Fault::AlreadyClaimed);
        let (history, answer) = ask(&seller, &running, &parcel, held.as_ref()).await;
        heads.push(text_id(&answer.head.text));
        held = Some(history);
    }
    let held = held.unwrap();
    assert_eq!(held.entries().len(), 2 + 47);
    assert_eq!(held.head().text().previous, heads.iter().rev().nth(1).copied());
    // Nothing has happened since: the same head again.
    let (_, answer) = ask(&seller, &running, &parcel, Some(&held)).await;
    assert_eq!(text_id(&answer.head.text), held.head().id());
    running.kill().await;

    let running = start(folder.path(), &hand).await;
    let seller = Client::connect(&running, 1).await;
    let (after, _) = ask(&seller, &running, &parcel, Some(&held)).await;
    assert_eq!(after, held);
}

#[tokio::test] // [S13.16]
async fn what_is_taken_down_loses_its_share_first_and_both_sides_are_told() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.send_by(&seller, 2).await;
    let client = Client::connect(&running, 2).await;
    Buyer::new(2).claimed(&parcel, &client).await;
    let mut rows = Sqlite::open(&ledger_path(folder.path())).unwrap();
    let (id, reason) = (parcel.id, "court order 7/2026: 法院命令");

    let taken = once(&mut rows, Millis(START), |rows, now| operations::take_down(rows, now, id, reason)).unwrap();

    assert_eq!(taken, Ok(Millis(START)));
    assert_eq!(once(&mut rows, Millis(START), |rows, now| operations::take_down(rows, now, id, "x")).unwrap(), taken);
    running.sweep().await.unwrap();
    assert!(!folder.path().join("shares").join(id.to_hex()).exists());
    for side in [&seller, &client] {
        let events = side.watch_until_deleted(&parcel).await;
        assert!(events.iter().any(|event| event.kind == EventKind::TakenDown));
        let (history, answer) = ask(side, &running, &parcel, None).await;
        assert_eq!(answer.reason.as_deref(), Some(reason));
        assert_eq!(history.entry(EventKind::TakenDown).unwrap().body, Some(text_id(reason)));
        let deletion = check_deletion(&subject(&running, &parcel), &history, &answer.deletion.unwrap()).unwrap();
        assert_eq!(deletion.reason, EndReason::TakenDown);
    }
    let over = Refused::of(Fault::TakenDown).with_time(Millis(START));
    assert_eq!(client.refusal(&parcel.fetch(0)).await, over);
    assert_eq!(seller.refusal(&parcel.append()).await, over);
    assert_eq!(seller.refusal(&parcel.revoke()).await, over);
    let long = "x".repeat(501);
    let refused = once(&mut rows, Millis(START), |rows, now| operations::take_down(rows, now, id, &long)).unwrap();
    assert_eq!(refused, Err(Fault::TooLarge.into()));
}

#[tokio::test] // [S16.8] [S13.9]
async fn a_ledger_that_does_not_fit_its_log_is_damaged() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.send_by(&seller, 2).await;
    let (held, _) = ask(&seller, &running, &parcel, None).await;
    running.kill().await;
    let path = ledger_path(folder.path());
    let whole = std::fs::read(&path).unwrap();
    for damage in [
        "UPDATE events SET time = time + 1 WHERE number = 1",
        "UPDATE events SET kind = 3 WHERE number = 1",
        "UPDATE events SET by_key = zeroblob(32) WHERE number = 1",
        "UPDATE events SET body = NULL WHERE number = 0",
        "UPDATE events SET leaf = zeroblob(32) WHERE number = 0",
        "UPDATE events SET leaf = zeroblob(32) WHERE number = 2",
        "UPDATE events SET number = number + 1 WHERE number = 2",
        "DELETE FROM events WHERE number = 1",
        "DELETE FROM events WHERE number = 2",
        "DELETE FROM log_nodes",
        "UPDATE log_nodes SET hash = zeroblob(32)",
        "UPDATE log_heads SET size = 2",
        "UPDATE log_heads SET text = '{}'",
    ] {
        execute(&path, damage);

        let refused = Relay::start(config(folder.path())).await;

        let Err(StartError::Recovery(CleanupError::Ledger(error))) = refused else { panic!("started after {damage}") };
        assert!(matches!(error, LedgerError::Corrupt { .. }), "{damage}: {error}");
        std::fs::write(&path, &whole).unwrap();
    }
    let running = start(folder.path(), &hand).await;
    let seller = Client::connect(&running, 1).await;
    assert_eq!(ask(&seller, &running, &parcel, Some(&held)).await.0, held);
    // What is altered while it runs is not told to anybody.
    execute(&path, "UPDATE events SET time = time + 1 WHERE number = 0");
    let wanted = Log { transfer: parcel.id, held_size: 0, size: None, from_sequence: 0 };
    assert_eq!(seller.fault(&Request::Log(wanted)).await, Fault::Internal);
}

fn execute(path: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
    connection.close().unwrap();
}

#[tokio::test] // [S16.1]
async fn the_log_of_many_transfers_hangs_together() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let seller = Client::seller(&running, 1).await;
    let mut held: Vec<(Parcel, History)> = Vec::new();
    for seed in 1..40 {
        let parcel = Parcel::new(seed);
        parcel.send_by(&seller, 1).await;
        if seed % 3 == 0 {
            assert!(matches!(seller.ask(&parcel.revoke()).await, Reply::Revoked(_)));
        }
        let (history, _) = ask(&seller, &running, &parcel, None).await;
        held.push((parcel, history));
    }
    for (parcel, before) in &held {
        let (after, _) = ask(&seller, &running, parcel, Some(before)).await;
        assert!(after.head().text().size >= before.head().text().size);
    }
    running.kill().await;
    let rows = Sqlite::open(&ledger_path(folder.path())).unwrap();
    log::check_end(&rows).unwrap();
    assert!(log::size(&rows).unwrap() >= 39 * 3 + 13);
}
