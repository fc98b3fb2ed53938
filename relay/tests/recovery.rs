//! What a crash leaves, and what the next start makes of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail like that")]

mod kit;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use handover_relay::cleanup::CleanupError;
use handover_relay::home::{HomeError, ledger_path};
use handover_relay::ledger::rows::Read;
use handover_relay::ledger::{LedgerError, SCHEMA_VERSION, Sqlite, once, operations};
use handover_relay::{Relay, StartError};
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockIndex, Millis};
use handover_shared::protocol::message::*;
use handover_shared::protocol::relay::{Effect, Share, Storage};
use kit::*;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test] // [S13.3] [S13.2]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (key, invite) = (running.key, running.first_invite.secret.clone());
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let client = Client::connect(&running, 2).await;
    let buyer = Buyer::new(1);
    let first = buyer.claimed(&parcel, &client).await;
    let (mut send, mut answers) = seller.open(&parcel.append()).await;
    assert!(matches!(answers.next().await, Ok(Reply::Appending(_))));
    send.write_all(&parcel.blocks(0..3)).await.unwrap();
    let mut acknowledged = 0;
    while acknowledged < 3 {
        let Ok(Reply::Durable(durable)) = answers.next().await else { panic!("no Durable") };
        acknowledged = durable.durable.0;
    }
    send.write_all(&parcel.block(3)).await.unwrap();

    running.kill().await;

    let running = start(folder.path(), &hand).await;
    assert_eq!((running.key, &running.first_invite.secret), (key, &invite));
    let (seller, client) = (Client::connect(&running, 1).await, Client::connect(&running, 2).await);
    assert_eq!(buyer.claimed(&parcel, &client).await.claimed, first.claimed);
    let (mut send, mut answers) = seller.open(&parcel.append()).await;
    let Ok(Reply::Appending(appending)) = answers.next().await else { panic!("no Appending") };
    let durable = appending.durable.0;
    assert!((3..=4).contains(&durable), "{durable}");
    send.write_all(&parcel.blocks(durable..5)).await.unwrap();
    send.finish().unwrap();
    assert_eq!(answers.last_durable().await, 5);
    seller.ask(&parcel.complete(5)).await;
    assert!(client.fetch(&parcel, 0).await == parcel.blocks(0..5));
}

#[tokio::test] // [S13.9]
async fn segments_and_shares_that_no_row_names_go_at_the_start() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    seller.append(&parcel, 0..2).await;
    running.kill().await;
    let (segments, shares) = (folder.path().join("segments"), folder.path().join("shares"));
    let own = segments.join(parcel.id.to_hex());
    let kept = names(&own);
    fs::write(own.join("0000000002-0011223344556677.seg"), b"not acknowledged").unwrap();
    let stranger = Parcel::new(9).id.to_hex();
    fs::create_dir(segments.join(&stranger)).unwrap();
    fs::write(segments.join(&stranger).join("0000000000-00.seg"), b"never created").unwrap();
    fs::write(shares.join(&stranger), [1; 32]).unwrap();

    let running = start(folder.path(), &hand).await;

    assert_eq!(names(&own), kept);
    assert_eq!(names(&segments), [parcel.id.to_hex()]);
    assert_eq!(names(&shares), [parcel.id.to_hex()]);
    assert_eq!(Client::connect(&running, 1).await.append(&parcel, 2..3).await, 3);
}

#[tokio::test] // [S13.3] [S13.9]
async fn a_damaged_ledger_deletes_nothing() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    seller.append(&parcel, 0..2).await;
    running.kill().await;
    let share = folder.path().join("shares").join(parcel.id.to_hex());
    let blocks = folder.path().join("segments").join(parcel.id.to_hex());
    let whole = fs::read(ledger_path(folder.path())).unwrap();
    for damage in [
        "UPDATE transfers SET blocks_deleted = 1",
        "UPDATE transfers SET share_erased = 1",
        "UPDATE transfers SET phase = 3",
        "UPDATE transfers SET phase = 2, ended = 1, share_erased = 1, blocks_deleted = 1",
        "UPDATE transfers SET durable = 1 << 40",
        "DELETE FROM events",
    ] {
        let connection = rusqlite::Connection::open(ledger_path(folder.path())).unwrap();
        assert!(connection.execute(damage, []).unwrap() > 0);
        connection.close().unwrap();

        let refused = Relay::start(config(folder.path())).await;

        let Err(StartError::Recovery(CleanupError::Ledger(error))) = refused else { panic!("started after {damage}") };
        assert!(matches!(error, LedgerError::Corrupt { .. }), "{damage}: {error}");
        assert!(share.exists() && blocks.exists(), "{damage}");
        fs::write(ledger_path(folder.path()), &whole).unwrap();
    }
    fs::write(ledger_path(folder.path()), b"").unwrap();
    let refused = Relay::start(config(folder.path())).await;
    assert!(matches!(refused, Err(StartError::Recovery(CleanupError::Ledger(LedgerError::Lost)))));
    assert!(share.exists() && blocks.exists());
    fs::write(ledger_path(folder.path()), &whole).unwrap();

    let running = start(folder.path(), &hand).await;
    assert_eq!(Client::connect(&running, 1).await.append(&parcel, 2..3).await, 3);
}

#[tokio::test] // [S13.9] [S13.7] [S13.8]
async fn a_deletion_goes_on_wherever_it_was_interrupted() {
    for interrupted_after in 0..4 {
        let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
        let running = start(folder.path(), &hand).await;
        let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
        parcel.send_by(&seller, 2).await;
        running.kill().await;
        let share = folder.path().join("shares").join(parcel.id.to_hex());
        let blocks = folder.path().join("segments").join(parcel.id.to_hex());
        let mut rows = Sqlite::open(&ledger_path(folder.path())).unwrap();
        let (id, by) = (parcel.id, seller.key);
        once(&mut rows, Millis(START), |rows, now| operations::revoke(rows, now, id, by)).unwrap().unwrap();
        if interrupted_after >= 1 {
            fs::remove_file(&share).unwrap();
        }
        if interrupted_after >= 2 {
            once(&mut rows, Millis(START), |rows, now| operations::done(rows, now, id, Effect::EraseShare)).unwrap();
        }
        if interrupted_after >= 3 {
            fs::remove_dir_all(&blocks).unwrap();
        }

        let running = start(folder.path(), &hand).await;

        assert!(!share.exists() && !blocks.exists(), "interrupted after {interrupted_after}");
        let transfer = rows.transfer(id).unwrap().unwrap();
        assert_eq!((transfer.share, transfer.storage), (Share::Erased, Storage::Deleted));
        assert_eq!(rows.segments(id, BlockIndex(0), 9).unwrap(), []);
        assert_eq!(rows.offer(id).unwrap(), None);
        let deleted = transfer.events.iter().filter(|event| event.kind == EventKind::Deleted).count();
        assert_eq!(deleted, 1, "interrupted after {interrupted_after}");
        let seller = Client::connect(&running, 1).await;
        assert_eq!(seller.fault(&parcel.append()).await, Fault::Revoked);
    }
}

#[tokio::test] // [S13.8] [S13.9]
async fn what_expired_meanwhile_ends_at_the_start() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.send_by(&seller, 2).await;
    running.kill().await;
    hand.set(START + DAY);

    let running = start(folder.path(), &hand).await;

    assert_eq!(names(&folder.path().join("shares")), [""; 0]);
    assert_eq!(names(&folder.path().join("segments")), [""; 0]);
    let client = Client::connect(&running, 2).await;
    assert_eq!(client.fault(&parcel.peek()).await, Fault::Expired);
}

#[tokio::test]
async fn two_relays_never_share_a_folder() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;

    let second = Relay::start_at(config(folder.path()), hand.clock()).await;

    assert!(matches!(second.err(), Some(StartError::Home(HomeError::Held { .. }))));
    running.kill().await;
    start(folder.path(), &hand).await.shutdown().await;
}

#[tokio::test]
async fn a_ledger_of_a_newer_program_is_left_alone() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    start(folder.path(), &hand).await.shutdown().await;
    let connection = rusqlite::Connection::open(ledger_path(folder.path())).unwrap();
    connection.execute("UPDATE meta SET schema = ?1", [SCHEMA_VERSION + 1]).unwrap();
    drop(connection);

    let outcome = Relay::start_at(config(folder.path()), hand.clock()).await;

    let seen = SCHEMA_VERSION + 1;
    let Some(StartError::Ledger(LedgerError::NewerSchema { seen: found, known })) = outcome.err() else {
        panic!("it started")
    };
    assert_eq!((found, known), (seen, SCHEMA_VERSION));
}

#[tokio::test]
async fn a_revoked_first_invite_is_replaced_at_the_next_start() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let old = Request::Enrol(Enrol { secret: running.first_invite.secret.clone() });
    running.shutdown().await;
    let mut rows = Sqlite::open(&ledger_path(folder.path())).unwrap();
    let number = rows.invites().unwrap()[0].id;
    once(&mut rows, Millis(START), |rows, now| operations::revoke_invite(rows, now, number)).unwrap().unwrap();

    let running = start(folder.path(), &hand).await;

    assert_eq!(Client::connect(&running, 1).await.fault(&old).await, Fault::InviteRefused);
    Client::seller(&running, 1).await;
}

#[tokio::test] // [S4.8]
async fn everything_in_the_folder_is_for_its_owner_alone() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let data = folder.path().join("relay");
    let running = start(&data, &hand).await;
    Parcel::new(1).send_by(&Client::seller(&running, 1).await, 1).await;

    let mut folders = vec![data.clone()];
    while let Some(folder) = folders.pop() {
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().contains("ledger.sqlite") {
                // The database library makes its files by the process's mask, inside the closed folder.
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
        }
    }
}

#[tokio::test] // [S13.7] [S13.11]
async fn neither_invites_nor_shares_are_in_the_ledger() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let secret = running.first_invite.secret.to_vec();
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.send_by(&seller, 1).await;
    let client = Client::connect(&running, 2).await;
    Buyer::new(1).claimed(&parcel, &client).await;
    let holds = |needle: &[u8]| {
        names(folder.path()).iter().filter(|name| name.starts_with("ledger")).any(|name| {
            fs::read(folder.path().join(name)).unwrap().windows(needle.len()).any(|window| window == needle)
        })
    };
    assert!(!holds(&secret) && !holds(&parcel.share));
    assert!(holds(&parcel.sealed_offer[..64]) && holds(&[0xee; 104]));

    client.ask(&parcel.receive(b"receipt")).await;
    seller.watch_until_deleted(&parcel).await;
    running.sweep().await.unwrap();

    assert!(!holds(&parcel.sealed_offer[..64]) && !holds(&[0xee; 104]));
}
