//! Strangers and sellers who want too much of a relay: handshakes never ended, connections never used, requests never
//! finished, disks to be filled, bytes that are no protocol. A good transfer beside them ends well, and the relay's
//! memory and disk stay bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockSize, Locator, Millis, TransferId};
use handover_shared::protocol::message::{Create, Hello, Named, Peek, Reply, Request, Watch};
use handover_tests::double::seller::{HostileSeller, Pretence};
use handover_tests::double::seller_wire::{Client, Heard, address, endpoint, listen, new_key, runtime, settings};
use handover_tests::{Input, Person, RelayProc, Scratch, Tree, data, faults_table, process, programs, wait};

/// A relay may hold this much under any attack of this file.
const RELAY_KIB_MAX: u64 = 220 * 1024;
const MIB: u64 = 1024 * 1024;

struct Scene {
    scratch: Scratch,
    relay: RelayProc,
    source: std::path::PathBuf,
}

fn scene(options: &[&str]) -> Scene {
    let scratch = Scratch::new();
    let relay = RelayProc::start_with(&scratch, "relay", options);
    let source = scratch.join("customers");
    for number in 0..20 {
        data::write(source.join(format!("{number}.csv")), &scratch.dice("customers").table(500_000));
    }
    Scene { scratch, relay, source }
}

impl Scene {
    /// Somebody else, from another address, sends and receives meanwhile.
    fn a_good_transfer_ends_well(&self, name: &str) {
        let (seller, buyer) = (
            Person::new(&self.scratch, &format!("{name}-seller")),
            Person::new(&self.scratch, &format!("{name}-buyer")),
        );
        let out = self.scratch.join(format!("{name}-out"));
        let code = seller.pushed(&self.relay, [&self.source]);
        buyer.pull(&code, &out).limit(wait::LONG).run().exits(0);
        Tree::of(&self.source).must_equal(&Tree::of(out.join("customers")));
    }

    fn relay_is_small(&mut self, what: &str) {
        let usage = process::usage(self.relay.process().id());
        assert!(usage.peak_kib > 0 && usage.peak_kib < RELAY_KIB_MAX, "{what}: the relay held {} KiB", usage.peak_kib);
    }
}

fn loopback(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, number).into()
}

/// Passes packets on to the relay and loses every answer, so that no handshake through it ever ends.
fn one_way(relay: SocketAddr, from: IpAddr, stop: Arc<AtomicBool>, passed: Arc<AtomicU64>) -> SocketAddr {
    let inner = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let outer = UdpSocket::bind(SocketAddr::new(from, 0)).unwrap();
    inner.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    let address = inner.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            if let Ok((bytes, _)) = inner.recv_from(&mut packet) {
                drop(outer.send_to(&packet[..bytes], relay));
                passed.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    address
}

#[test] // [S13.13]
fn handshakes_that_never_end_hold_nobody_up() {
    const ADDRESSES: u8 = 10;
    const EACH: usize = 200;
    let mut scene = scene(&[]);
    let relay = address(scene.relay.address());
    let (stop, passed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let key = new_key();
    let mut half_open = Vec::new();
    let endpoint = endpoint(Ipv4Addr::LOCALHOST.into());
    for number in 0..ADDRESSES {
        let towards = one_way(relay, loopback(number + 1), stop.clone(), passed.clone());
        for _ in 0..EACH {
            let _inside = runtime().enter();
            half_open.push(endpoint.connect_with(settings(&key), towards, "relay.handover").unwrap());
        }
    }
    let wanted = u64::from(ADDRESSES) * EACH as u64;
    wait::until("the first packets of all", wait::USUAL, || (passed.load(Ordering::Relaxed) >= wanted).then_some(()));
    // From here on nothing comes through either way: not even that they are given up.
    stop.store(true, Ordering::Relaxed);
    scene.a_good_transfer_ends_well("handshakes");
    scene.relay_is_small("half-open handshakes");
    drop(half_open);
    faults_table::record("stranger", "handshakes that never end", wanted, "a transfer beside them ends well");
}

#[test] // [S13.13] [S3.1]
fn connections_and_streams_that_do_nothing_hold_nobody_up() {
    const ADDRESSES: u8 = 4;
    const ALLOWED: usize = 128;
    let mut scene = scene(&[]);
    let relay = scene.relay.address().to_owned();
    let mut held = Vec::new();
    for number in 0..ADDRESSES {
        let key = new_key();
        let own = runtime().block_on(async {
            let endpoint = endpoint(loopback(100 + number));
            let mut connected = Vec::new();
            for _ in 0..ALLOWED {
                let connecting = endpoint.connect_with(settings(&key), address(&relay), "relay.handover").unwrap();
                connected.push(connecting.await.expect("as many as are allowed"));
            }
            let one_more = endpoint.connect_with(settings(&key), address(&relay), "relay.handover").unwrap().await;
            assert!(one_more.is_err(), "one more than is allowed from one address");
            connected
        });
        held.push(own);
    }
    // Some of them begin requests and never finish them: bytes of a header, headers of long messages, one byte a stream.
    let beginnings: [&[u8]; 4] =
        [&[0], &[0, 7, 0xff, 0xff, 4], &[0, 0, 0xff, 0xff, 14], &[0, 0, 0, 30, 12, 0x81, 0x50]];
    let mut streams = Vec::new();
    runtime().block_on(async {
        for own in &held {
            for connection in own.iter().take(8) {
                for number in 0..16 {
                    let (mut send, recv) = connection.open_bi().await.unwrap();
                    send.write_all(beginnings[number % beginnings.len()]).await.unwrap();
                    streams.push((send, recv));
                }
            }
        }
    });
    scene.a_good_transfer_ends_well("idle");
    scene.relay_is_small("idle connections and slow streams");
    let count = held.iter().map(Vec::len).sum::<usize>();
    faults_table::record(
        "stranger",
        "connections on which nothing goes on",
        count as u64,
        "as many as one address may have; a transfer beside them ends well",
    );
    faults_table::record(
        "stranger",
        "requests that are never finished",
        streams.len() as u64,
        "a transfer beside them ends well",
    );
}

#[test] // [S13.13]
fn a_connection_on_which_nothing_goes_on_is_closed() {
    let scene = scene(&["--idle", "1s"]);
    let seller = HostileSeller::enrol(&scene.relay);
    let deal = seller.deal(BlockSize::Small);
    seller.send(&deal, &Pretence::default(), |archive| archive.file("a", b"one"), |_| {});
    let (idle, busy) = (Client::connect(scene.relay.address(), &new_key()), seller);
    // Somebody who watches is not idle, however little happens.
    let watch = Request::Watch(Watch { transfer: deal.transfer, from_event: 0 }).to_bytes();
    let (_send, mut recv) = runtime().block_on(busy.client.begin(&watch)).unwrap();
    let first = runtime().block_on(listen(&mut recv));
    assert!(matches!(first, Heard::Said(Reply::Snapshot(_))), "{first:?}");
    let closed = runtime().block_on(async { tokio::time::timeout(wait::USUAL, idle.connection().closed()).await });
    assert!(matches!(closed, Ok(quinn::ConnectionError::ApplicationClosed(_))), "{closed:?}");
    assert!(busy.client.connection().close_reason().is_none(), "who watches stays");
    assert!(matches!(busy.revoke(deal.transfer), Heard::Said(Reply::Revoked(_))));
}

#[test] // [S13.13] [S13.2]
fn strangers_get_no_room_for_large_requests() {
    let mut scene = scene(&[]);
    let stranger = Client::try_connect(scene.relay.address(), &new_key(), loopback(200)).unwrap();
    // A header that announces the longest message there is; its body is never sent.
    let header = [0, 7, 0xff, 0xff, 4];
    let mut open = Vec::new();
    for _ in 0..16 {
        let (send, mut recv) = runtime().block_on(stranger.begin(&header)).unwrap();
        let heard = runtime().block_on(listen(&mut recv));
        assert_eq!(heard.fault(), Some(Fault::NotEnrolled), "before a byte of the body: {heard:?}");
        open.push((send, recv));
    }
    // Enrolled, but greedy: some get room, the rest of one address waits for no one.
    let greedy = HostileSeller::enrol(&scene.relay);
    let mut arriving = Vec::new();
    for _ in 0..12 {
        let (send, recv) = runtime().block_on(greedy.client.begin(&header)).unwrap();
        arriving.push((send, recv));
    }
    // Eight of one address have room and wait for their bytes; the others are told to come later.
    let told = runtime().block_on(async {
        let mut listening = tokio::task::JoinSet::new();
        for (send, mut recv) in arriving {
            listening.spawn(async move { (listen(&mut recv).await, send) });
        }
        for _ in 0..4 {
            let heard = tokio::time::timeout(wait::USUAL, listening.join_next()).await;
            let (heard, _send) = heard.expect("an answer in time").unwrap().unwrap();
            assert_eq!(heard.fault(), Some(Fault::Busy), "{heard:?}");
        }
        listening
    });
    assert_eq!(told.len(), 8);
    // The same address may still do everything that is small.
    scene.a_good_transfer_ends_well("greedy");
    scene.relay_is_small("large requests");
    faults_table::record(
        "stranger",
        "large requests that never arrive",
        28,
        "strangers get no room, sellers a share of it",
    );
}

#[test] // [S13.2] [S13.10] [S12.2]
fn a_seller_cannot_fill_the_disk() {
    let scene = scene(&["--max-per-seller", "1MiB", "--transfers-per-seller", "3", "--max-transfer", "700KiB"]);
    let (evil, good) = (HostileSeller::enrol(&scene.relay), HostileSeller::enrol(&scene.relay));
    let block = BlockSize::Small.sealed_bytes() as u64;
    let refusal = |create: Create, who: &HostileSeller| match who.create(create) {
        Ok(()) => panic!("accepted"),
        Err(Heard::Said(Reply::Refused(refused))) => (refused.known().unwrap(), refused.number),
        Err(other) => panic!("{other:?}"),
    };
    let announced = |who: &HostileSeller, blocks: u64| {
        let deal = who.deal(BlockSize::Small);
        (who.announcement(&deal, blocks, &Pretence::default()).0, deal)
    };
    // Sizes that no disk has, and numbers that overflow.
    for blocks in [u64::MAX, (1 << 32) + 1, 1 << 32, u64::MAX / block + 1, 12] {
        let (fault, _) = refusal(announced(&evil, blocks).0, &evil);
        assert!(matches!(fault, Fault::QuotaExceeded | Fault::BadMessage), "{blocks} blocks: {fault:?}");
    }
    assert_eq!(refusal(announced(&evil, 0).0, &evil).0, Fault::BadMessage);
    for expires in [0, 1, u64::MAX] {
        let (create, _) = announced(&evil, 1);
        let (fault, _) = refusal(Create { expires: Millis(expires), ..create }, &evil);
        assert!(matches!(fault, Fault::ClockRefused | Fault::QuotaExceeded | Fault::BadMessage), "{fault:?}");
    }
    for length in [0, 1, 103, 105, 4096] {
        let (create, _) = announced(&evil, 1);
        assert_eq!(refusal(Create { envelope: vec![0; length], ..create }, &evil).0, Fault::BadMessage);
    }
    // One transfer, then what is left, then nothing: in bytes and in number.
    let (create, first) = announced(&evil, 10);
    evil.create(create).unwrap();
    let (fault, left) = refusal(announced(&evil, 7).0, &evil);
    assert_eq!((fault, left), (Fault::QuotaExceeded, Some(MIB - 10 * block)));
    evil.create(announced(&evil, 1).0).unwrap();
    evil.create(announced(&evil, 1).0).unwrap();
    assert_eq!(refusal(announced(&evil, 1).0, &evil), (Fault::QuotaExceeded, Some(0)));
    let Heard::Said(Reply::Welcome(welcome)) = evil.client.ask(&Request::Hello(Hello { version: String::new() }))
    else {
        panic!("no welcome")
    };
    assert_eq!(welcome.transfer_bytes_max, 0, "limits are told before");
    // Nor does it help to send more than was announced.
    let blocks = vec![vec![7; BlockSize::Small.sealed_bytes()]; 40];
    let heard = evil.client.append(first.transfer, &blocks).unwrap_err();
    assert_eq!(heard.fault(), Some(Fault::QuotaExceeded), "{heard:?}");
    assert!(scene.relay.data_bytes() < 6 * MIB, "{} bytes", scene.relay.data_bytes());
    // Another seller has its own share, and revoking gives room back.
    good.create(announced(&good, 10).0).unwrap();
    assert!(matches!(evil.revoke(first.transfer), Heard::Said(Reply::Revoked(_))));
    wait::until("the room to be given back", wait::USUAL, || {
        matches!(evil.create(announced(&evil, 1).0), Ok(())).then_some(())
    });
    // Who is not enrolled has no share at all.
    let key = new_key();
    let nobody = HostileSeller::over(Client::connect(scene.relay.address(), &key), key, scene.relay.address());
    assert_eq!(refusal(announced(&nobody, 1).0, &nobody).0, Fault::NotEnrolled);
    let named = Request::Append(Named { transfer: first.transfer });
    assert_eq!(nobody.client.ask(&named).fault(), Some(Fault::NotEnrolled));
    faults_table::record("stranger", "creates and appends beyond a quota", 19, "refused, with what is left");
}

#[test] // [S2.2] [S3.1] [S11.3]
fn bytes_that_are_no_protocol() {
    let mut scene = scene(&["--failures-per-minute", "1000000"]);
    let seller = HostileSeller::enrol(&scene.relay);
    let client = &seller.client;
    let deal = seller.deal(BlockSize::Small);
    let (create, _) = seller.announcement(&deal, 4, &Pretence::default());
    let valid = [
        Request::Hello(Hello { version: "x".into() }),
        Request::Create(create),
        Request::Peek(Peek { locator: Locator([1; 16]) }),
        Request::Append(Named { transfer: TransferId([1; 16]) }),
        Request::Watch(Watch { transfer: TransferId([1; 16]), from_event: 3 }),
    ];
    let mut dice = scene.scratch.dice("mutations");
    let mut tried = 0;
    let mut hear = |bytes: &[u8]| {
        let heard = client.say(bytes);
        let is_sane = matches!(heard, Heard::Said(_) | Heard::Reset(_) | Heard::Ended);
        assert!(is_sane, "{} made it {heard:?}", bytes[..bytes.len().min(60)].escape_ascii());
        tried += 1;
        heard
    };
    for number in 0..=255 {
        let heard = hear(&[0, 0, 0, 2, number, 0x80]);
        assert!(heard.fault().is_some(), "an empty message of type {number}: {heard:?}");
        let heard = hear(&[0xff, 0xff, 0xff, 0xff, number]);
        assert!(
            matches!(heard.fault(), Some(Fault::TooLarge | Fault::NotEnrolled)),
            "4 GiB of type {number}: {heard:?}"
        );
    }
    // Lengths inside: arrays, strings and integers of 2^64.
    for hostile in [
        &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
        &[0x81, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x81, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x9f],
        &[0x81; 60],
        &[0xd8; 60],
    ] {
        for number in [0, 2, 4, 6, 10, 12, 14, 16, 18, 20, 22] {
            let length = (hostile.len() + 1) as u32;
            let heard = hear(&[&length.to_be_bytes()[..], &[number], hostile].concat());
            assert_eq!(heard.fault(), Some(Fault::BadMessage), "{number} {hostile:?}: {heard:?}");
        }
    }
    for request in &valid {
        let bytes = request.to_bytes();
        for _ in 0..60 {
            let mut mutated = bytes.clone();
            match dice.below(4) {
                0 => mutated.truncate(dice.below(bytes.len() as u64) as usize),
                1 => mutated.extend_from_slice(&dice.bytes(5)),
                _ => {
                    for _ in 0..=dice.below(3) {
                        let at = dice.below(bytes.len() as u64) as usize;
                        mutated[at] ^= 1 << dice.below(8);
                    }
                }
            }
            hear(&mutated);
        }
    }
    let tried = tried;
    assert!(matches!(client.ask(&valid[0]), Heard::Said(Reply::Welcome(_))), "it still answers");
    scene.a_good_transfer_ends_well("malformed");
    scene.relay_is_small("malformed requests");
    faults_table::record("stranger", "malformed requests and absurd lengths", tried, "refused; the relay goes on");
}

#[test] // [S13.13]
fn a_buyer_who_thinks_longer_than_the_relay_waits_goes_on() {
    let Some(script) = programs::on_path("script") else {
        eprintln!("skipped: script (util-linux) is not installed");
        return;
    };
    let mut scene = scene(&["--log", "debug", "--idle", "1s"]);
    let (seller, buyer) = (Person::new(&scene.scratch, "seller"), Person::new(&scene.scratch, "buyer"));
    let code = seller.pushed(&scene.relay, [&scene.source]);
    let out = scene.scratch.join("out");
    let command = format!("'{}' pull '{code}' --out '{}'", programs::handover().display(), out.display());
    let mut running = handover_tests::Launch::new(script, buyer.desk())
        .env("HOME", buyer.desk())
        .env("HANDOVER_HOME", buyer.home())
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .args(["--quiet", "--return", "--flush", "--command", &command, "/dev/null"])
        .input(Input::Pipe)
        .start();
    wait::until("the question", wait::USUAL, || {
        String::from_utf8_lossy(&running.out_so_far()).contains("/n").then_some(())
    });
    scene
        .relay
        .process()
        .err_line("that the relay closes the connection", |line| line.contains("nothing went on").then_some(()));
    running.feed(b"y\n");
    running.end().exits(0);
    Tree::of(&scene.source).must_equal(&Tree::of(out.join("customers")));
}
