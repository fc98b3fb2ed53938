//! The operations that carry blocks or go on: Append, Fetch, Watch; alone, together, and cut short.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail like that")]

mod kit;

use handover_relay::home::ledger_path;
use handover_relay::ledger::rows::Read;
use handover_relay::ledger::{Sqlite, once, operations};
use handover_relay::{Config, Limits};
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, Millis};
use handover_shared::protocol::message::*;
use kit::*;
use quinn::{SendStream, VarInt};

/// Opens an Append and reads how much is durable.
async fn appending(seller: &Client, parcel: &Parcel) -> (SendStream, Answers, u64) {
    let (send, mut answers) = seller.open(&parcel.append()).await;
    match answers.next().await.unwrap() {
        Reply::Appending(appending) => (send, answers, appending.durable.0),
        other => panic!("{other:?}"),
    }
}

/// Opens a Fetch and reads its first answer.
async fn fetching(buyer: &Client, parcel: &Parcel, from: u64) -> (SendStream, Answers) {
    let (send, mut answers) = buyer.open(&parcel.fetch(from)).await;
    assert!(matches!(answers.next().await.unwrap(), Reply::Fetching(_)));
    (send, answers)
}

async fn wait_durable(answers: &mut Answers, blocks: u64) {
    loop {
        match answers.next().await.unwrap() {
            Reply::Durable(durable) if durable.durable.0 == blocks => return,
            Reply::Durable(durable) => assert!(durable.durable.0 < blocks),
            other => panic!("{other:?}"),
        }
    }
}

fn segments(folder: &std::path::Path, parcel: &Parcel) -> Vec<(u64, u64)> {
    let rows = Sqlite::open(&ledger_path(folder)).unwrap();
    let found = rows.segments(parcel.id, BlockIndex(0), 1000).unwrap();
    found.iter().map(|segment| (segment.first.0, segment.count.0)).collect()
}

#[tokio::test] // [S12.2] [S12.3] [S13.3]
async fn what_was_appended_is_fetched() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.send_by(&seller, 5).await;
    let client = Client::connect(&running, 2).await;
    Buyer::new(1).claimed(&parcel, &client).await;

    assert_eq!(client.fetch(&parcel, 0).await, parcel.blocks(0..5));
    assert_eq!(client.fetch(&parcel, 3).await, parcel.blocks(3..5));
    assert_eq!(client.fetch(&parcel, 5).await, b"");
    let refused = client.refusal(&parcel.fetch(6)).await;
    assert_eq!((refused.known(), refused.number), (Some(Fault::Conflict), Some(5)));
    assert_eq!(seller.fault(&parcel.fetch(0)).await, Fault::NotAllowed);
    assert_eq!(client.fault(&Parcel::new(9).fetch(0)).await, Fault::NotFound);
    seller.watch_until(&parcel, |snapshot| snapshot.fetched == BlockCount(5)).await;
}

#[tokio::test(flavor = "multi_thread")] // [S12.2] [S12.3]
async fn a_large_transfer_lies_in_segments_and_comes_back_whole() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::large(1));
    parcel.send_by(&seller, 40).await;
    let client = Client::connect(&running, 2).await;
    Buyer::new(1).claimed(&parcel, &client).await;

    let fetched = client.fetch(&parcel, 0).await;

    assert!(fetched == parcel.blocks(0..40));
    assert!(client.fetch(&parcel, 17).await == parcel.blocks(17..40));
    let segments = segments(folder.path(), &parcel);
    assert!(segments.len() >= 3 && segments.iter().all(|(_, count)| *count <= 16), "{segments:?}");
    let ends: Vec<u64> = segments.iter().map(|(first, count)| first + count).collect();
    assert_eq!(segments.iter().skip(1).map(|(first, _)| *first).collect::<Vec<_>>(), ends[..ends.len() - 1]);
    let files = std::fs::read_dir(folder.path().join("segments").join(parcel.id.to_hex())).unwrap();
    assert_eq!(files.count(), segments.len());
}

#[tokio::test] // [S12.2] [S13.3]
async fn a_silent_stream_is_made_durable_without_being_finished() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let (mut send, mut answers, durable) = appending(&seller, &parcel).await;
    assert_eq!(durable, 0);

    // One block and a half: the half waits for its rest.
    send.write_all(&parcel.block(0)).await.unwrap();
    send.write_all(&parcel.block(1)[..1000]).await.unwrap();

    assert!(matches!(answers.next().await, Ok(Reply::Durable(durable)) if durable.durable == BlockCount(1)));
    send.write_all(&parcel.block(1)[1000..]).await.unwrap();
    assert!(matches!(answers.next().await, Ok(Reply::Durable(durable)) if durable.durable == BlockCount(2)));
    send.finish().unwrap();
    assert_eq!(answers.last_durable().await, 2);
}

#[tokio::test] // [S12.3]
async fn the_tail_is_followed_up_to_the_last_block() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let client = Client::connect(&running, 2).await;
    Buyer::new(1).claimed(&parcel, &client).await;
    let (_fetch, mut blocks) = fetching(&client, &parcel, 0).await;
    let (mut send, mut answers, _) = appending(&seller, &parcel).await;

    for index in 0..4 {
        send.write_all(&parcel.block(index)).await.unwrap();
        assert!(blocks.exactly(65_536).await == parcel.block(index), "block {index}");
        wait_durable(&mut answers, index + 1).await;
    }

    send.finish().unwrap();
    answers.last_durable().await;
    assert!(matches!(seller.ask(&parcel.complete(4)).await, Reply::Completed(_)));
    assert_eq!(blocks.rest().await, Ok(vec![]));
}

#[tokio::test] // [S12.2]
async fn a_newer_run_takes_over_and_goes_on_behind_what_is_durable() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let (mut old, mut old_answers, _) = appending(&seller, &parcel).await;
    old.write_all(&parcel.blocks(0..2)).await.unwrap();
    wait_durable(&mut old_answers, 2).await;
    old.write_all(&parcel.block(2)[..100]).await.unwrap();
    let again = Client::connect(&running, 1).await;

    let (mut new, mut new_answers, durable) = appending(&again, &parcel).await;

    assert_eq!(durable, 2);
    assert_eq!(old_answers.until_reset().await, Fault::Superseded);
    assert_eq!(old.stopped().await.unwrap(), Some(VarInt::from_u32(12)));
    new.write_all(&parcel.blocks(2..4)).await.unwrap();
    new.finish().unwrap();
    assert_eq!(new_answers.last_durable().await, 4);
    // Somebody who may not append cannot push a run aside.
    let (mut last, mut last_answers, _) = appending(&again, &parcel).await;
    assert_eq!(Client::seller(&running, 3).await.fault(&parcel.append()).await, Fault::NotAllowed);
    last.write_all(&parcel.block(4)).await.unwrap();
    last.finish().unwrap();
    assert_eq!(last_answers.last_durable().await, 5);
}

#[tokio::test] // [S12.2]
async fn what_an_abandoned_connection_still_brings_pushes_nobody_aside() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (old, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&old).await;
    let new = Client::connect(&running, 1).await;
    let (mut send, mut answers, _) = appending(&new, &parcel).await;

    assert_eq!(old.fault(&parcel.append()).await, Fault::Superseded);

    send.write_all(&parcel.blocks(0..2)).await.unwrap();
    send.finish().unwrap();
    assert_eq!(answers.last_durable().await, 2);
}

#[tokio::test] // [S12.2]
async fn a_stream_that_ends_within_a_block_keeps_the_whole_ones() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let (mut send, mut answers, _) = appending(&seller, &parcel).await;

    send.write_all(&parcel.blocks(0..2)).await.unwrap();
    send.write_all(&[1]).await.unwrap();
    send.finish().unwrap();

    assert_eq!(answers.until_reset().await, Fault::BadMessage);
    assert_eq!(appending(&seller, &parcel).await.2, 2);
}

#[tokio::test] // [S12.2]
async fn a_lost_connection_keeps_the_whole_blocks() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let (mut send, mut answers, _) = appending(&seller, &parcel).await;
    send.write_all(&parcel.blocks(0..3)).await.unwrap();
    wait_durable(&mut answers, 3).await;
    send.write_all(&parcel.block(3)[..9]).await.unwrap();

    seller.connection.close(VarInt::from_u32(0), b"");

    let again = Client::connect(&running, 1).await;
    assert_eq!(again.append(&parcel, 3..5).await, 5);
    again.ask(&parcel.complete(5)).await;
    let client = Client::connect(&running, 2).await;
    Buyer::new(1).claimed(&parcel, &client).await;
    assert!(client.fetch(&parcel, 0).await == parcel.blocks(0..5));
}

#[tokio::test] // [S13.2]
async fn blocks_above_what_was_announced_are_refused() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel { blocks_max: 2, ..Parcel::new(1) });
    parcel.create_by(&seller).await;
    let (mut send, mut answers, _) = appending(&seller, &parcel).await;

    send.write_all(&parcel.blocks(0..3)).await.unwrap();

    assert_eq!(answers.until_reset().await, Fault::QuotaExceeded);
}

#[tokio::test] // [S13.4] [S8.6]
async fn a_complete_transfer_takes_no_more_blocks() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.send_by(&seller, 2).await;
    let (mut send, mut answers, durable) = appending(&seller, &parcel).await;
    assert_eq!(durable, 2);

    send.write_all(&parcel.block(2)).await.unwrap();

    assert_eq!(answers.until_reset().await, Fault::Conflict);
    assert_eq!(segments(folder.path(), &parcel).iter().map(|(_, count)| count).sum::<u64>(), 2);
}

#[tokio::test] // [S13.8] [S11.4]
async fn revocation_cuts_every_stream_short() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let client = Client::connect(&running, 2).await;
    Buyer::new(1).claimed(&parcel, &client).await;
    let (mut send, mut answers, _) = appending(&seller, &parcel).await;
    send.write_all(&parcel.block(0)).await.unwrap();
    wait_durable(&mut answers, 1).await;
    let (_fetch, mut blocks) = fetching(&client, &parcel, 0).await;
    blocks.exactly(65_536).await;

    assert!(matches!(seller.ask(&parcel.revoke()).await, Reply::Revoked(_)));

    assert_eq!(answers.until_reset().await, Fault::Revoked);
    assert_eq!(blocks.rest().await, Err(8));
    seller.watch_until_deleted(&parcel).await;
    assert!(!folder.path().join("segments").join(parcel.id.to_hex()).exists());
}

#[tokio::test] // [S13.12]
async fn a_seller_whom_the_operator_revokes_stops_at_the_next_segment() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let (mut send, mut answers, _) = appending(&seller, &parcel).await;
    send.write_all(&parcel.block(0)).await.unwrap();
    wait_durable(&mut answers, 1).await;
    let mut rows = Sqlite::open(&ledger_path(folder.path())).unwrap();
    once(&mut rows, Millis(START), |rows, now| operations::revoke_seller(rows, now, seller.key)).unwrap().unwrap();

    send.write_all(&parcel.block(1)).await.unwrap();

    assert_eq!(answers.until_reset().await, Fault::NotEnrolled);
    assert_eq!(seller.fault(&parcel.append()).await, Fault::NotEnrolled);
    assert!(matches!(seller.ask(&parcel.revoke()).await, Reply::Revoked(_)));
}

#[tokio::test] // [S13.10]
async fn nothing_more_is_taken_below_the_floor() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    seller.append(&parcel, 0..1).await;
    running.shutdown().await;
    let limits = Limits { free_bytes_min: u64::MAX, ..Limits::default() };
    let running = start_with(Config { limits, ..config(folder.path()) }, &hand).await;
    let seller = Client::connect(&running, 1).await;
    let (mut send, mut answers, durable) = appending(&seller, &parcel).await;
    assert_eq!(durable, 1);

    send.write_all(&parcel.block(1)).await.unwrap();

    assert_eq!(answers.until_reset().await, Fault::StorageFull);
    let refused = seller.refusal(&Request::Create(Parcel::new(2).create())).await;
    assert_eq!((refused.known(), refused.number), (Some(Fault::StorageFull), Some(0)));
}

#[tokio::test] // [S12.4] [S12.6]
async fn a_watcher_is_told_what_changes_and_nothing_twice() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    let watch = Request::Watch(Watch { transfer: parcel.id, from_event: 0 });
    assert_eq!(seller.fault(&watch).await, Fault::NotFound);
    parcel.create_by(&seller).await;
    let client = Client::connect(&running, 2).await;
    assert_eq!(client.fault(&watch).await, Fault::NotAllowed);
    let (_send, mut answers) = seller.open(&watch).await;
    let mut next = async || match answers.next().await {
        Ok(Reply::Snapshot(snapshot)) => snapshot,
        other => panic!("{other:?}"),
    };
    let first = next().await;
    assert_eq!((first.phase, first.durable, first.events.len()), (Phase::Open, BlockCount(0), 1));

    Buyer::new(1).claimed(&parcel, &client).await;
    let claimed = next().await;
    seller.append(&parcel, 0..1).await;
    let appended = next().await;
    seller.ask(&parcel.complete(1)).await;
    let complete = next().await;
    client.ask(&parcel.receive(b"receipt")).await;

    let claim = claimed.claim.unwrap();
    assert_eq!((claim.link_key, claim.time), (client.key, Millis(START)));
    let kinds = |events: &[Event]| events.iter().map(|event| event.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&claimed.events), [EventKind::Claimed]);
    assert_eq!((appended.durable, kinds(&appended.events)), (BlockCount(1), vec![EventKind::FirstBlock]));
    assert_eq!((complete.blocks, kinds(&complete.events)), (Some(BlockCount(1)), vec![EventKind::Completed]));
    let mut last = Vec::new();
    while let Ok(Reply::Snapshot(snapshot)) = answers.next().await {
        assert_eq!(snapshot.sealed_receipt.as_deref(), Some(&b"receipt"[..]));
        last.extend(kinds(&snapshot.events));
    }
    assert_eq!(last, [EventKind::Receipted, EventKind::Deleted]);
    assert!(!client.watch_until_deleted(&parcel).await.is_empty());
}

#[tokio::test] // [S12.7]
async fn a_drain_keeps_whole_blocks_and_says_goodbye() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let (mut send, mut answers, _) = appending(&seller, &parcel).await;
    send.write_all(&parcel.blocks(0..2)).await.unwrap();
    wait_durable(&mut answers, 2).await;
    send.write_all(&parcel.block(2)[..5]).await.unwrap();

    running.shutdown().await;

    assert_eq!(answers.until_reset().await, Fault::Draining);
    let running = start(folder.path(), &hand).await;
    assert_eq!(appending(&Client::connect(&running, 1).await, &parcel).await.2, 2);
}

#[tokio::test] // [S12.2]
async fn a_seller_that_does_not_listen_holds_nothing_up() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let appending_bytes = u32::try_from(Reply::Appending(Durable { durable: BlockCount(0) }).to_bytes().len()).unwrap();
    let deaf = Client::connect_deaf(&running, 1, appending_bytes).await;
    let (mut send, deaf_answers) = deaf.open(&parcel.append()).await;
    for index in 0..3 {
        send.write_all(&parcel.block(index)).await.unwrap();
        seller.watch_until(&parcel, |snapshot| snapshot.durable == BlockCount(index + 1)).await;
    }

    // What it has finished is not acknowledged to it, and still the next run is not kept waiting.
    send.finish().unwrap();
    let next = Client::connect(&running, 1).await;
    assert_eq!(next.append(&parcel, 3..5).await, 5);
    drop(deaf_answers);
}

#[tokio::test]
async fn a_buyer_fetches_only_so_often_at_once() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let client = Client::connect(&running, 2).await;
    Buyer::new(1).claimed(&parcel, &client).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(fetching(&client, &parcel, 0).await);
    }
    assert_eq!(client.fault(&parcel.fetch(0)).await, Fault::Busy);

    assert_eq!(seller.append(&parcel, 0..1).await, 1);
    seller.ask(&parcel.complete(1)).await;

    for (_, mut answers) in open {
        assert!(answers.rest().await == Ok(parcel.block(0)));
    }
}
