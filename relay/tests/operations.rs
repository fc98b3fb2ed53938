//! Every operation of one question and one answer: what it grants, what it refuses, what it answers a second time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail like that")]

mod kit;

use handover_relay::home::ledger_path;
use handover_relay::ledger::{Sqlite, once, operations};
use handover_relay::{Config, Limits, invite};
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, Millis};
use handover_shared::keys::hybrid::{accept_share, bundle};
use handover_shared::protocol::message::*;
use kit::*;
use zeroize::Zeroizing;

#[tokio::test] // [S12.1] [S11.2]
async fn hello_tells_time_and_limits() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let limits = Limits { transfer_bytes_max: 5 << 20, free_bytes_min: 0, ..Limits::default() };
    let running = start_with(Config { limits, ..config(folder.path()) }, &hand).await;
    let stranger = Client::connect(&running, 1).await;

    let Reply::Welcome(welcome) = stranger.ask(&Request::Hello(Hello { version: "test".into() })).await else {
        panic!("no Welcome")
    };

    assert_eq!((welcome.time, welcome.enrolled), (Millis(START), false));
    assert_eq!((welcome.transfer_bytes_max, welcome.expiry_ms_default), (5 << 20, 14 * DAY));
    assert_eq!(welcome.expiry_ms_max, 90 * DAY);
    let seller = Client::seller(&running, 1).await;
    let Reply::Welcome(welcome) = seller.ask(&Request::Hello(Hello { version: String::new() })).await else {
        panic!("no Welcome")
    };
    assert!(welcome.enrolled);
}

#[tokio::test] // [S13.12]
async fn an_invite_enrols_as_many_as_it_says_and_each_once() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let secret = Zeroizing::new([7; 16]);
    let mut rows = Sqlite::open(&ledger_path(folder.path())).unwrap();
    let digest = invite::digest_of(&secret);
    let number = once(&mut rows, Millis(START), |rows, now| operations::invite(rows, now, digest, Some(1))).unwrap();
    let enrol = Request::Enrol(Enrol { secret });
    let (first, second) = (Client::connect(&running, 1).await, Client::connect(&running, 2).await);

    assert!(matches!(first.ask(&enrol).await, Reply::Enrolled(_)));
    assert!(matches!(first.ask(&enrol).await, Reply::Enrolled(_)));

    assert_eq!(second.fault(&enrol).await, Fault::InviteRefused);
    let unknown = Request::Enrol(Enrol { secret: Zeroizing::new([8; 16]) });
    assert_eq!(second.fault(&unknown).await, Fault::InviteRefused);
    let first_invite = Request::Enrol(Enrol { secret: running.first_invite.secret.clone() });
    once(&mut rows, Millis(START), |rows, now| operations::revoke_invite(rows, now, number)).unwrap().unwrap();
    assert_eq!(first.fault(&enrol).await, Fault::InviteRefused);
    assert!(matches!(second.ask(&first_invite).await, Reply::Enrolled(_)));
    once(&mut rows, Millis(START), |rows, now| operations::revoke_seller(rows, now, second.key)).unwrap().unwrap();
    assert_eq!(second.fault(&first_invite).await, Fault::NotAllowed);
    assert_eq!(second.fault(&Request::Create(Parcel::new(1).create())).await, Fault::NotEnrolled);
}

#[tokio::test] // [S13.2] [S12.5]
async fn create_is_for_enrolled_sellers_and_idempotent() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let parcel = Parcel::new(1);
    let create = Request::Create(parcel.create());
    assert_eq!(Client::connect(&running, 1).await.fault(&create).await, Fault::NotEnrolled);
    let seller = Client::seller(&running, 2).await;

    let Reply::Created(created) = seller.ask(&create).await else { panic!("not created") };
    hand.set(START + 5);
    let Reply::Created(again) = seller.ask(&create).await else { panic!("not created") };

    assert_eq!(created, Created { created: Millis(START), expires: Millis(START + DAY) });
    assert_eq!(again, created);
    let other = [
        Create { share: Zeroizing::new([0; 32]), ..parcel.create() },
        Create { envelope: vec![0; 104], ..parcel.create() },
        Create { sealed_offer: vec![9; 4096], ..parcel.create() },
        Create { blocks_max: BlockCount(999), ..parcel.create() },
        Create { expires: Millis(START + DAY + 1), ..parcel.create() },
        Create { transfer: Parcel::new(2).id, ..parcel.create() },
    ];
    for (index, create) in other.into_iter().enumerate() {
        assert_eq!(seller.fault(&Request::Create(create)).await, Fault::Conflict, "case {index}");
    }
    assert_eq!(Client::seller(&running, 3).await.fault(&create).await, Fault::Conflict);
}

#[tokio::test] // [S13.2] [S11.4]
async fn create_fits_the_limits_and_says_which() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let limits = Limits {
        transfer_bytes_max: 10 * 65_536,
        total_bytes_max: 15 * 65_536,
        free_bytes_min: 0,
        ..Limits::default()
    };
    let running = start_with(Config { limits, ..config(folder.path()) }, &hand).await;
    let seller = Client::seller(&running, 1).await;
    let refusal = async |parcel: &Parcel| seller.refusal(&Request::Create(parcel.create())).await;

    let refused = refusal(&Parcel { blocks_max: 11, ..Parcel::new(1) }).await;
    assert_eq!((refused.known(), refused.number), (Some(Fault::QuotaExceeded), Some(10 * 65_536)));
    let refused = refusal(&Parcel { blocks_max: 1, expires: START + 91 * DAY, ..Parcel::new(1) }).await;
    assert_eq!((refused.known(), refused.time), (Some(Fault::QuotaExceeded), Some(Millis(START + 90 * DAY))));
    let refused = refusal(&Parcel { blocks_max: 1, expires: START, ..Parcel::new(1) }).await;
    assert_eq!((refused.known(), refused.time), (Some(Fault::ClockRefused), Some(Millis(START))));
    assert_eq!(refusal(&Parcel { blocks_max: 0, ..Parcel::new(1) }).await.known(), Some(Fault::BadMessage));
    let create = Create { envelope: vec![0; 103], ..Parcel::new(1).create() };
    assert_eq!(seller.fault(&Request::Create(create)).await, Fault::BadMessage);
    let create = Create { sealed_offer: vec![0; 256 * 1024 + 1], ..Parcel::new(1).create() };
    assert_eq!(seller.fault(&Request::Create(create)).await, Fault::TooLarge);
    Parcel { blocks_max: 10, ..Parcel::new(1) }.create_by(&seller).await;
    let refused = refusal(&Parcel { blocks_max: 6, ..Parcel::new(2) }).await;
    assert_eq!((refused.known(), refused.number), (Some(Fault::QuotaExceeded), Some(5 * 65_536)));
    Parcel { blocks_max: 5, ..Parcel::new(2) }.create_by(&seller).await;
}

#[tokio::test] // [S13.6]
async fn peek_shows_the_offer_until_somebody_else_has_claimed() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    let (first, second) = (Client::connect(&running, 2).await, Client::connect(&running, 3).await);
    assert_eq!(first.fault(&parcel.peek()).await, Fault::NotFound);
    parcel.create_by(&seller).await;

    let Reply::Peeked(peeked) = first.ask(&parcel.peek()).await else { panic!("no offer") };

    assert_eq!((peeked.transfer, &peeked.sealed_offer), (parcel.id, &parcel.sealed_offer));
    assert_eq!((peeked.phase, peeked.durable, peeked.blocks), (Phase::Open, BlockCount(0), None));
    assert_eq!((peeked.claimed, peeked.expires), (None, Some(Millis(START + DAY))));
    hand.set(START + 1);
    Buyer::new(1).claimed(&parcel, &first).await;
    hand.set(START + 2);
    for _ in 0..3 {
        let refused = second.refusal(&parcel.peek()).await;
        assert_eq!((refused.known(), refused.time), (Some(Fault::AlreadyClaimed), Some(Millis(START + 1))));
    }
    let Reply::Peeked(peeked) = first.ask(&parcel.peek()).await else { panic!("no offer") };
    assert_eq!(peeked.claimed, Some(Millis(START + 1)));
    let events = seller.watch_until(&parcel, |_| true).await;
    let told: Vec<_> = events.iter().map(|event| (event.kind, event.time.0 - START, event.by)).collect();
    let expected = [
        (EventKind::Created, 0, Some(seller.key)),
        (EventKind::Claimed, 1, Some(first.key)),
        (EventKind::ClaimRefused, 2, Some(second.key)),
    ];
    assert_eq!(told, expected);
}

#[tokio::test] // [S13.5] [S4.7] [S12.5]
async fn the_first_claim_gets_the_share_and_gets_it_again() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let (client, buyer) = (Client::connect(&running, 2).await, Buyer::new(1));

    let released = buyer.claimed(&parcel, &client).await;

    let link = bundle(&client.key, &buyer.hybrid.public());
    let open = |released: &Released| {
        accept_share(&buyer.hybrid, &parcel.id, &link, &released.encapsulated, &released.sealed_share).unwrap()
    };
    assert_eq!((open(&released).expose(), &released.envelope), (&parcel.share, &vec![0xee; 104]));
    // The same machine over another connection: another channel, so another text.
    hand.set(START + 9);
    let client = Client::connect(&running, 2).await;
    let again = buyer.claimed(&parcel, &client).await;
    assert_eq!((open(&again).expose(), again.claimed), (&parcel.share, Millis(START)));
    assert_ne!(again.encapsulated, released.encapsulated);
    let other_hybrid = Buyer::new(1);
    assert_eq!(client.fault(&other_hybrid.claim(&parcel, &client)).await, Fault::Conflict);
    let other_identity = Buyer { identity: Buyer::new(9).identity, hybrid: buyer.hybrid };
    assert_eq!(client.fault(&other_identity.claim(&parcel, &client)).await, Fault::Conflict);
    let rival = Client::connect(&running, 3).await;
    let refused = rival.refusal(&Buyer::new(2).claim(&parcel, &rival)).await;
    assert_eq!((refused.known(), refused.time), (Some(Fault::AlreadyClaimed), Some(Millis(START))));
}

#[tokio::test] // [S13.5]
async fn a_claim_that_does_not_hold_is_refused_and_leaves_no_trace() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    let (client, other) = (Client::connect(&running, 2).await, Client::connect(&running, 3).await);
    let buyer = Buyer::new(1);
    let good = buyer.claim_of(&buyer.claim_text(&parcel, &client), &parcel);
    let with = |change: &dyn Fn(&mut handover_shared::proof::ClaimText)| {
        let mut text = buyer.claim_text(&parcel, &client);
        change(&mut text);
        buyer.claim_of(&text, &parcel)
    };

    let cases = [
        ("other offer", with(&|text| text.offer = handover_shared::proof::digest(b"other"))),
        ("other channel", buyer.claim_of(&buyer.claim_text(&parcel, &other), &parcel)),
        ("other transfer", with(&|text| text.transfer = Parcel::new(2).id)),
        ("other hybrid key", Claim { hybrid_key: Buyer::new(1).hybrid.public().as_bytes().to_vec(), ..good.clone() }),
        ("no code", Claim { claim_signature: good.identity_signature.clone(), ..good.clone() }),
        ("no identity", Claim { identity_signature: good.claim_signature.clone(), ..good.clone() }),
        ("altered text", Claim { text: good.text.replace("\"none\"", "\"nonE\""), ..good.clone() }),
        ("no signature", Claim { claim_signature: String::new(), ..good.clone() }),
    ];
    for (name, claim) in cases {
        assert_eq!(client.fault(&Request::Claim(claim)).await, Fault::ClaimRefused, "{name}");
    }
    assert_eq!(other.fault(&Request::Claim(good.clone())).await, Fault::ClaimRefused);
    let short = Claim { hybrid_key: vec![1; 1215], ..good.clone() };
    assert_eq!(client.fault(&Request::Claim(short)).await, Fault::BadMessage);
    let unknown = Claim { transfer: Parcel::new(2).id, ..good.clone() };
    assert_eq!(client.fault(&Request::Claim(unknown)).await, Fault::NotFound);

    let events = seller.watch_until(&parcel, |_| true).await;
    assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Created]);
    assert!(matches!(client.ask(&Request::Claim(good)).await, Reply::Released(_)));
}

#[tokio::test] // [S13.4]
async fn complete_wants_exactly_what_is_durable() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    assert_eq!(seller.fault(&parcel.complete(1)).await, Fault::NotFound);
    parcel.create_by(&seller).await;
    assert_eq!(seller.fault(&parcel.complete(0)).await, Fault::Conflict);
    seller.append(&parcel, 0..3).await;

    let refused = seller.refusal(&parcel.complete(4)).await;
    assert_eq!((refused.known(), refused.number), (Some(Fault::NotComplete), Some(3)));
    assert_eq!(seller.fault(&parcel.complete(2)).await, Fault::Conflict);
    assert_eq!(Client::seller(&running, 2).await.fault(&parcel.complete(3)).await, Fault::NotAllowed);
    let Reply::Completed(at) = seller.ask(&parcel.complete(3)).await else { panic!("not complete") };
    hand.set(START + 7);
    let Reply::Completed(again) = seller.ask(&parcel.complete(3)).await else { panic!("not complete") };
    assert_eq!((at, again), (At { time: Millis(START) }, at));
    assert_eq!(seller.fault(&parcel.complete(4)).await, Fault::Conflict);
}

#[tokio::test] // [S13.7]
async fn the_receipt_ends_everything_but_the_tombstone() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.create_by(&seller).await;
    seller.append(&parcel, 0..2).await;
    let (client, buyer) = (Client::connect(&running, 2).await, Buyer::new(1));
    assert_eq!(client.fault(&parcel.receive(b"receipt")).await, Fault::NotAllowed);
    buyer.claimed(&parcel, &client).await;
    assert_eq!(client.fault(&parcel.receive(b"receipt")).await, Fault::NotComplete);
    seller.ask(&parcel.complete(2)).await;
    assert_eq!(client.fault(&parcel.receive(b"")).await, Fault::BadMessage);
    assert_eq!(client.fault(&parcel.receive(&[0; 16 * 1024 + 1])).await, Fault::TooLarge);
    assert_eq!(seller.fault(&parcel.receive(b"receipt")).await, Fault::NotAllowed);
    hand.set(START + 3);

    let Reply::Received(at) = client.ask(&parcel.receive(b"receipt")).await else { panic!("not received") };

    assert_eq!(at.time, Millis(START + 3));
    assert!(!folder.path().join("shares").join(parcel.id.to_hex()).exists());
    let events = seller.watch_until_deleted(&parcel).await;
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    use EventKind::*;
    assert_eq!(kinds, [Created, FirstBlock, Claimed, Completed, Receipted, Deleted]);
    assert!(!folder.path().join("segments").join(parcel.id.to_hex()).exists());
    hand.set(START + 4);
    assert_eq!(client.ask(&parcel.receive(b"receipt")).await, Reply::Received(at));
    assert_eq!(client.fault(&parcel.receive(b"other")).await, Fault::Conflict);
    assert!(matches!(seller.ask(&parcel.complete(2)).await, Reply::Completed(_)));
    for request in [parcel.peek(), parcel.fetch(0), buyer.claim(&parcel, &client)] {
        let refused = client.refusal(&request).await;
        assert_eq!((refused.known(), refused.time), (Some(Fault::Receipted), Some(at.time)), "{request:?}");
    }
    for request in [parcel.append(), parcel.revoke(), Request::Create(parcel.create())] {
        assert_eq!(seller.fault(&request).await, Fault::Receipted, "{request:?}");
    }
    let watch = Request::Watch(Watch { transfer: parcel.id, from_event: 4 });
    let Reply::Snapshot(tombstone) = seller.ask(&watch).await else { panic!("no tombstone") };
    assert_eq!((tombstone.phase, tombstone.sealed_receipt), (Phase::Receipted, Some(b"receipt".to_vec())));
    assert_eq!(tombstone.claim.unwrap().link_key, client.key);
    assert_eq!(tombstone.events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [4, 5]);
}

#[tokio::test] // [S13.8]
async fn revocation_erases_before_it_is_answered() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.send_by(&seller, 2).await;
    let client = Client::connect(&running, 2).await;
    assert_eq!(client.fault(&parcel.revoke()).await, Fault::NotAllowed);
    let share = folder.path().join("shares").join(parcel.id.to_hex());
    assert!(share.exists());

    let Reply::Revoked(at) = seller.ask(&parcel.revoke()).await else { panic!("not revoked") };

    assert!(!share.exists());
    seller.watch_until_deleted(&parcel).await;
    hand.set(START + 1);
    assert_eq!(seller.ask(&parcel.revoke()).await, Reply::Revoked(at));
    let refused = client.refusal(&parcel.peek()).await;
    assert_eq!((refused.known(), refused.time), (Some(Fault::Revoked), Some(at.time)));
    assert_eq!(client.fault(&Buyer::new(1).claim(&parcel, &client)).await, Fault::Revoked);
}

#[tokio::test] // [S13.8] [S13.1]
async fn expiry_ends_it_and_time_never_runs_backwards() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let (seller, parcel) = (Client::seller(&running, 1).await, Parcel::new(1));
    parcel.send_by(&seller, 2).await;
    let client = Client::connect(&running, 2).await;
    hand.set(START + DAY - 1);
    assert!(matches!(client.ask(&parcel.peek()).await, Reply::Peeked(_)));

    hand.set(START + DAY);
    assert_eq!(client.fault(&parcel.peek()).await, Fault::Expired);
    hand.set(START);

    let refused = client.refusal(&parcel.peek()).await;
    assert_eq!((refused.known(), refused.time), (Some(Fault::Expired), Some(Millis(START + DAY))));
    running.sweep().await.unwrap();
    let events = seller.watch_until_deleted(&parcel).await;
    let ends: Vec<_> = events.iter().map(|event| (event.kind, event.time.0 - START)).skip(3).collect();
    assert_eq!(ends, [(EventKind::Expired, DAY), (EventKind::Deleted, DAY)]);
    assert!(!folder.path().join("shares").join(parcel.id.to_hex()).exists());
    assert!(!folder.path().join("segments").join(parcel.id.to_hex()).exists());
    running.kill().await;
    let running = start(folder.path(), &hand).await;
    let Reply::Welcome(welcome) =
        Client::connect(&running, 3).await.ask(&Request::Hello(Hello { version: String::new() })).await
    else {
        panic!("no Welcome")
    };
    assert_eq!(welcome.time, Millis(START + DAY));
}

#[tokio::test] // [S2.2] [S3.1] [S11.3]
async fn what_is_not_a_request_is_refused() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let running = start(folder.path(), &hand).await;
    let client = Client::connect(&running, 1).await;
    let cases: [(&[u8], Fault); 6] = [
        (&[0, 1, 0, 1, 0], Fault::TooLarge),
        (&[0xff, 0xff, 0xff, 0xff, 4], Fault::TooLarge),
        (&[0, 0, 0, 0, 0], Fault::BadMessage),
        (&[0, 0, 0, 2, 1, 0x80], Fault::BadMessage),
        (&[0, 0, 0, 3, 6, 0x81, 0x40], Fault::BadMessage),
        (&[0, 0, 0, 9, 6, 0x81], Fault::BadMessage),
    ];
    for (bytes, fault) in cases {
        let (mut send, recv) = client.connection.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        send.finish().unwrap();
        let Reply::Refused(refused) = Answers(recv).next().await.unwrap() else { panic!("{bytes:?} accepted") };
        assert_eq!(refused.known(), Some(fault), "{bytes:?}");
    }
}

#[tokio::test]
async fn too_many_failures_from_one_address_have_to_wait() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let limits = Limits { failures_per_minute_max: 3, free_bytes_min: 0, ..Limits::default() };
    let running = start_with(Config { limits, ..config(folder.path()) }, &hand).await;
    let client = Client::connect(&running, 1).await;
    for _ in 0..3 {
        assert_eq!(client.fault(&Parcel::new(1).peek()).await, Fault::NotFound);
    }
    assert_eq!(client.fault(&Parcel::new(1).peek()).await, Fault::Busy);
    let hello = Request::Hello(Hello { version: String::new() });
    assert!(matches!(client.ask(&hello).await, Reply::Welcome(_)));
}
