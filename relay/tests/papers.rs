//! Papers over real connections: kept, given, deleted; and a refusal that ends a transfer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail like that")]

mod kit;

use std::path::Path;

use handover_relay::{Config, Limits};
use handover_shared::fault::Fault;
use handover_shared::ids::Digest;
use handover_shared::proof::{RefusalCheck, digest, prove_refusal};
use handover_shared::protocol::message::*;
use handover_shared::protocol::papers::PaperKind;
use kit::*;

const AGREEMENT: Digest = Digest([13; 32]);

fn parcel(seed: u8) -> Parcel {
    Parcel { agreement: Some(AGREEMENT), ..Parcel::new(seed) }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

async fn deposit(client: &Client, parcel: &Parcel, kind: PaperKind, sealed: &[u8]) -> Reply {
    deposit_as(client, parcel, kind, sealed.len() as u64, sealed).await
}

/// Announces so many bytes, and sends these.
async fn deposit_as(client: &Client, parcel: &Parcel, kind: PaperKind, announced: u64, sealed: &[u8]) -> Reply {
    let request = Request::Deposit(Deposit { transfer: parcel.id, kind: kind.number(), bytes: announced });
    let (mut send, mut answers) = client.open(&request).await;
    // A relay that refuses reads nothing more.
    if send.write_all(sealed).await.is_ok() {
        send.finish().unwrap();
    }
    answers.next().await.unwrap()
}

async fn collect(client: &Client, parcel: &Parcel, kind: PaperKind) -> Result<Vec<u8>, Fault> {
    let request = Request::Collect(Collect { transfer: parcel.id, kind: kind.number() });
    let (mut send, mut answers) = client.open(&request).await;
    send.finish().unwrap();
    match answers.next().await.unwrap() {
        Reply::Collected(collected) => {
            let sealed = answers.rest().await.unwrap();
            assert_eq!(sealed.len() as u64, collected.bytes);
            Ok(sealed)
        }
        Reply::Refused(refused) => Err(refused.known().unwrap()),
        other => panic!("{other:?}"),
    }
}

fn refuse(parcel: &Parcel, client: &Client, sealed: &[u8]) -> Request {
    let channel = client.channel();
    let claim_key = parcel.create().claim_key;
    let check = RefusalCheck { transfer: parcel.id, claim_key, link_key: client.key, channel: &channel };
    let proof = prove_refusal(&check, sealed, &parcel.claim_identity);
    Request::Refuse(Refuse { transfer: parcel.id, sealed_refusal: sealed.to_vec(), proof })
}

fn files(folder: &Path, parcel: &Parcel) -> usize {
    std::fs::read_dir(folder.join("segments").join(parcel.id.to_hex())).map_or(0, Iterator::count)
}

#[tokio::test] // [S13.14] [S13.9]
async fn a_document_survives_a_restart_and_goes_with_the_blocks() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let (parcel, document) = (parcel(1), bytes(16 << 20));
    let running = start(folder.path(), &hand).await;
    let seller = Client::seller(&running, 1).await;
    parcel.send_by(&seller, 2).await;

    let Reply::Deposited(at) = deposit(&seller, &parcel, PaperKind::Agreement, &document).await else { panic!() };
    let again = deposit(&seller, &parcel, PaperKind::Agreement, &document).await;

    assert!(matches!(again, Reply::Deposited(again) if again == at));
    assert_eq!(files(folder.path(), &parcel), 2, "one segment, one document");
    running.kill().await;
    std::fs::write(folder.path().join("segments").join(parcel.id.to_hex()).join("orphan.seg"), b"left").unwrap();
    let running = start(folder.path(), &hand).await;
    let (seller, buyer) = (Client::seller(&running, 1).await, Client::connect(&running, 2).await);
    assert_eq!(files(folder.path(), &parcel), 2, "the orphan is gone");
    assert!(collect(&buyer, &parcel, PaperKind::Agreement).await == Ok(document.clone()), "before any claim");
    Buyer::new(1).claimed(&parcel, &buyer).await;
    assert!(collect(&buyer, &parcel, PaperKind::Agreement).await == Ok(document));
    let late = Client::connect(&running, 3).await;
    assert_eq!(collect(&late, &parcel, PaperKind::Agreement).await, Err(Fault::AlreadyClaimed));
    let [paper] = seller.snapshot(&parcel).await.papers[..] else { panic!("not one paper") };
    assert_eq!((paper.kind, paper.bytes, paper.time), (0, 16 << 20, at.time));

    seller.ask(&parcel.revoke()).await;
    seller.watch_until_deleted(&parcel).await;

    assert_eq!(collect(&seller, &parcel, PaperKind::Agreement).await, Err(Fault::Revoked));
    assert_eq!(files(folder.path(), &parcel), 0);
}

#[tokio::test] // [S13.14]
async fn small_papers_stay_with_the_tombstone() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let parcel = parcel(1);
    let running = start(folder.path(), &hand).await;
    let (seller, buyer) = (Client::seller(&running, 1).await, Client::connect(&running, 2).await);
    parcel.send_by(&seller, 1).await;
    Buyer::new(1).claimed(&parcel, &buyer).await;
    assert!(matches!(buyer.ask(&parcel.receive(b"receipt")).await, Reply::Received(_)));
    seller.watch_until_deleted(&parcel).await;
    let (accepted, destroyed) = (bytes(64 << 10), bytes(1));

    assert!(matches!(deposit(&buyer, &parcel, PaperKind::Acceptance, &accepted).await, Reply::Deposited(_)));
    assert!(matches!(deposit(&buyer, &parcel, PaperKind::Destruction, &destroyed).await, Reply::Deposited(_)));

    running.kill().await;
    hand.set(START + 1000 * DAY);
    let running = start(folder.path(), &hand).await;
    let (seller, buyer) = (Client::seller(&running, 1).await, Client::connect(&running, 2).await);
    for client in [&seller, &buyer] {
        assert!(collect(client, &parcel, PaperKind::Acceptance).await == Ok(accepted.clone()));
        assert!(collect(client, &parcel, PaperKind::Destruction).await == Ok(destroyed.clone()));
        assert_eq!(collect(client, &parcel, PaperKind::Revocation).await, Err(Fault::NotFound));
    }
    assert_eq!(
        collect(&Client::connect(&running, 3).await, &parcel, PaperKind::Acceptance).await,
        Err(Fault::NotAllowed)
    );
    let other = deposit(&buyer, &parcel, PaperKind::Destruction, b"x").await;
    assert!(matches!(other, Reply::Refused(refused) if refused.known() == Some(Fault::Conflict)));
}

#[tokio::test] // [S13.14]
async fn what_is_not_what_was_announced_leaves_nothing() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let parcel = parcel(1);
    let running = start(folder.path(), &hand).await;
    let seller = Client::seller(&running, 1).await;
    parcel.create_by(&seller).await;
    let fault = |reply: Reply| match reply {
        Reply::Refused(refused) => refused.known().unwrap(),
        other => panic!("{other:?}"),
    };

    for (announced, sent) in [(100, 99), (100, 101), (200_000, 100_000)] {
        let reply = deposit_as(&seller, &parcel, PaperKind::Agreement, announced, &bytes(sent)).await;
        assert_eq!(fault(reply), Fault::BadMessage, "{announced} {sent}");
    }
    let long = deposit_as(&seller, &parcel, PaperKind::Agreement, (16 << 20) + 1, b"").await;
    assert_eq!(fault(long), Fault::TooLarge);
    let unknown = Request::Deposit(Deposit { transfer: parcel.id, kind: 77, bytes: 1 });
    assert_eq!(seller.fault(&unknown).await, Fault::BadMessage);
    let nowhere = deposit(&seller, &Parcel::new(9), PaperKind::Agreement, b"x").await;
    assert_eq!(fault(nowhere), Fault::NotFound);
    let stranger = Client::seller(&running, 5).await;
    assert_eq!(fault(deposit(&stranger, &parcel, PaperKind::Agreement, b"x").await), Fault::NotAllowed);

    assert_eq!(files(folder.path(), &parcel), 0);
    assert_eq!(seller.snapshot(&parcel).await.papers, []);
}

#[tokio::test] // [S13.14]
async fn a_document_counts_against_the_quota() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let limits = Limits { seller_bytes_max: 66 << 20, free_bytes_min: 0, ..Limits::default() };
    let running = start_with(Config { limits, ..config(folder.path()) }, &hand).await;
    let seller = Client::seller(&running, 1).await;
    let parcel = Parcel { blocks_max: 1024, ..parcel(1) };
    parcel.create_by(&seller).await;
    let Reply::Refused(refused) = deposit(&seller, &parcel, PaperKind::Agreement, &bytes(3 << 20)).await else {
        panic!("more than there is room for")
    };
    assert_eq!((refused.known(), refused.number), (Some(Fault::QuotaExceeded), Some(2 << 20)));
    assert!(matches!(deposit(&seller, &parcel, PaperKind::Agreement, &bytes(2 << 20)).await, Reply::Deposited(_)));
}

#[tokio::test] // [S13.5] [S13.14]
async fn no_share_without_the_signed_agreement() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, buyer) = (Client::seller(&running, 1).await, Client::connect(&running, 2).await);
    let parcel = parcel(1);
    parcel.send_by(&seller, 1).await;
    let own = Buyer::new(1);
    let claim = own.claim_of(&own.claim_text(&parcel, &buyer), &parcel);
    let other = Parcel { agreement: Some(Digest([14; 32])), ..self::parcel(1) };
    let wrong = own.claim_of(&own.claim_text(&other, &buyer), &other);
    let none = own.claim_of(&own.claim_text(&Parcel::new(1), &buyer), &Parcel::new(1));
    let unsigned = Claim { sealed_agreement: None, ..claim.clone() };
    for claim in [unsigned, wrong, none] {
        assert_eq!(buyer.fault(&Request::Claim(claim)).await, Fault::AgreementRequired);
    }
    assert!(seller.snapshot(&parcel).await.claim.is_none());

    let Reply::Released(_) = buyer.ask(&Request::Claim(claim.clone())).await else { panic!("refused") };

    let shown = seller.snapshot(&parcel).await.claim.unwrap();
    assert_eq!(shown.sealed_agreement, claim.sealed_agreement);
}

#[tokio::test] // [S13.15] [S13.8]
async fn a_refusal_ends_the_transfer() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, buyer) = (Client::seller(&running, 1).await, Client::connect(&running, 2).await);
    let parcel = parcel(1);
    parcel.send_by(&seller, 1).await;
    assert!(matches!(deposit(&seller, &parcel, PaperKind::Agreement, b"document").await, Reply::Deposited(_)));
    let forged = match refuse(&parcel, &buyer, b"no") {
        Request::Refuse(refuse) => Request::Refuse(Refuse { sealed_refusal: b"yes".to_vec(), ..refuse }),
        _ => panic!(),
    };
    assert_eq!(buyer.fault(&forged).await, Fault::ClaimRefused);
    let of_another_connection = refuse(&parcel, &Client::connect(&running, 3).await, b"no");
    assert_eq!(buyer.fault(&of_another_connection).await, Fault::ClaimRefused);

    let Reply::RefusalTaken(at) = buyer.ask(&refuse(&parcel, &buyer, b"no")).await else { panic!("refused") };

    assert!(matches!(buyer.ask(&refuse(&parcel, &buyer, b"no")).await, Reply::RefusalTaken(again) if again == at));
    assert_eq!(buyer.fault(&refuse(&parcel, &buyer, b"other")).await, Fault::Conflict);
    seller.watch_until_deleted(&parcel).await;
    let tombstone = seller.snapshot(&parcel).await;
    assert_eq!(tombstone.phase, Phase::Refused);
    let refusal = tombstone.refusal.unwrap();
    assert_eq!((refusal.link_key, refusal.time, digest(&refusal.sealed_refusal)), (buyer.key, at.time, digest(b"no")));
    assert_eq!(buyer.fault(&parcel.peek()).await, Fault::RefusedByBuyer);
    assert_eq!(buyer.fault(&Buyer::new(1).claim(&parcel, &buyer)).await, Fault::RefusedByBuyer);
    assert_eq!(seller.fault(&parcel.append()).await, Fault::RefusedByBuyer);
    assert_eq!(files(folder.path(), &parcel), 0);
    assert!(!folder.path().join("shares").join(parcel.id.to_hex()).exists());
}
