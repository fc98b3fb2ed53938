//! Strangers on the relay's TCP port: bytes that are no TLS, handshakes that never end, records that cannot be, streams
//! that never stop. A good transfer beside them ends well, and the relay stays small.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockIndex, BlockSize, Locator};
use handover_shared::protocol::message::{Fetch, Hello, Named, Peek, Request, Watch};
use handover_shared::protocol::record::Record;
use handover_tests::double::seller::{HostileSeller, Pretence};
use handover_tests::double::seller_wire::{Heard, new_key, runtime};
use handover_tests::double::tcp_wire::{connect, data as record, session, until_closed};
use handover_tests::{Person, RelayProc, Scratch, Tree, data, faults_table, process, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A relay may hold this much under any attack of this file.
const RELAY_KIB_MAX: u64 = 220 * 1024;
/// As many connections as one address may have.
const ALLOWED: usize = 128;

struct Scene {
    scratch: Scratch,
    relay: RelayProc,
    source: PathBuf,
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
    /// Somebody else, from another address, sends and receives over TCP meanwhile.
    fn a_good_transfer_ends_well(&self, name: &str) {
        let person = |role: &str| Person::new(&self.scratch, &format!("{name}-{role}")).over("tcp");
        let (seller, buyer) = (person("seller"), person("buyer"));
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
    Ipv4Addr::new(127, 0, 2, number).into()
}

#[test] // [S13.13] [S11.7]
fn bytes_that_are_no_tls() {
    let mut scene = scene(&[]);
    let relay = scene.relay.address().to_owned();
    let mut dice = scene.scratch.dice("garbage");
    let mut spoken = vec![
        b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
        vec![0; 70_000],
        vec![0xff; 70_000],
        // Records of TLS: absurd lengths, a hello of 16 MiB that never comes, alerts, fragments of one byte.
        [&[0x16, 3, 1, 0xff, 0xff][..], &[1; 66_000]].concat(),
        [&[0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[3; 16_380]].concat(),
        [0x15, 3, 3, 0, 2, 1, 0].repeat(3000),
        [0x16, 3, 3, 0, 0].repeat(3000),
        [0x14, 3, 3, 0, 1, 1].repeat(3000),
    ];
    spoken.extend((0..50).map(|_| dice.bytes(2000)));
    let tried = spoken.len() as u64;
    runtime().block_on(async {
        for bytes in &spoken {
            let mut socket = connect(&relay, loopback(1)).await.unwrap();
            // The relay may have heard enough before the end.
            drop(socket.write_all(bytes).await);
            drop(socket.shutdown().await);
            let mut heard = Vec::new();
            let closed = tokio::time::timeout(wait::USUAL, socket.read_to_end(&mut heard)).await;
            drop(closed.expect("closed in time"));
            assert!(heard.len() < 16, "{} made it say {}", bytes[..20].escape_ascii(), heard.escape_ascii());
        }
    });
    scene.a_good_transfer_ends_well("garbage");
    scene.relay_is_small("garbage");
    faults_table::record("stranger", "bytes that are no TLS on the TCP port", tried, "closed; the relay goes on");
}

#[test] // [S13.13]
fn tcp_handshakes_that_never_end_hold_nobody_up() {
    const ADDRESSES: u8 = 10;
    const EACH: usize = 200;
    let mut scene = scene(&[]);
    let relay = scene.relay.address().to_owned();
    // Some say nothing; some begin a record and leave it at that.
    let beginnings: [&[u8]; 4] = [&[], &[0x16], &[0x16, 3, 1, 0x40, 0], &[0x16, 3, 1, 2, 0, 1, 0, 1]];
    let mut held = runtime().block_on(async {
        let mut held = Vec::new();
        for number in 0..ADDRESSES {
            for turn in 0..EACH {
                let mut socket = connect(&relay, loopback(10 + number)).await.unwrap();
                // One that was not admitted may be closed already.
                drop(socket.write_all(beginnings[turn % beginnings.len()]).await);
                held.push(socket);
            }
        }
        held
    });
    scene.a_good_transfer_ends_well("half-open");
    scene.relay_is_small("half-open handshakes");
    // None of them stays: those beyond what one address may have were closed at once, the others have their time.
    runtime().block_on(async {
        for socket in &mut held {
            let mut byte = [0; 16];
            let read = tokio::time::timeout(wait::USUAL, socket.read(&mut byte)).await;
            assert!(!matches!(read.expect("closed in time"), Ok(1..)), "it was answered");
        }
    });
    faults_table::record(
        "stranger",
        "TCP handshakes that never end",
        held.len() as u64,
        "closed in time; a transfer beside them ends well",
    );
}

#[test] // [S13.13]
fn one_address_has_no_more_connections_over_both_transports_than_over_one() {
    let mut scene = scene(&[]);
    let relay = scene.relay.address().to_owned();
    let key = new_key();
    let mut held = runtime().block_on(async {
        let mut held = Vec::new();
        for _ in 0..ALLOWED {
            held.push(session(&relay, &key, loopback(40)).await.expect("as many as are allowed"));
        }
        assert!(session(&relay, &key, loopback(40)).await.is_err(), "one more than is allowed from one address");
        held
    });
    let over_quic = handover_tests::double::seller_wire::Client::try_connect(&relay, &key, loopback(40));
    assert!(over_quic.is_err(), "over QUIC neither");
    scene.a_good_transfer_ends_well("idle");
    scene.relay_is_small("idle connections");
    held.pop();
    wait::until("room again", wait::USUAL, || {
        runtime().block_on(session(&relay, &key, loopback(40))).is_ok().then_some(())
    });
}

#[test] // [S11.8] [S3.1]
fn records_that_cannot_be() {
    let mut scene = scene(&[]);
    let relay = scene.relay.address().to_owned();
    let hello = Request::Hello(Hello { version: "x".into() }).to_bytes();
    let cases: [&[u8]; 8] = [
        &[0, 0, 0, 0],
        &[0, 0x10, 0, 1],
        &[0, 0xff, 0xff, 0xff],
        &[1, 0, 0, 1],
        &[2, 0xff, 0xff, 0xff],
        &[3, 1, 0, 0],
        &[4, 0, 0, 0],
        &[0xff; 4],
    ];
    runtime().block_on(async {
        for bytes in cases {
            for before in [&[][..], &record(&hello)[..5]] {
                let mut stream = session(&relay, &new_key(), loopback(50)).await.unwrap();
                stream.write_all(&[before, bytes].concat()).await.unwrap();
                drop(stream.flush().await);
                // Within a record these bytes are data, and the record is never finished.
                if !before.is_empty() {
                    drop(stream.shutdown().await);
                }
                // A request that is none is refused in a few bytes.
                let heard = until_closed(&mut stream).await;
                assert!(heard.len() < if before.is_empty() { 1 } else { 32 }, "{bytes:?}: {heard:?}");
            }
        }
        // What ends before it begins, and what is cut short by its own sender.
        for record in [Record::End, Record::Reset(12), Record::Reset(0)] {
            let mut stream = session(&relay, &new_key(), loopback(50)).await.unwrap();
            stream.write_all(&record.header()).await.unwrap();
            drop(stream.flush().await);
            assert!(until_closed(&mut stream).await.is_empty(), "{record:?}");
        }
    });
    scene.a_good_transfer_ends_well("records");
    scene.relay_is_small("impossible records");
    faults_table::record("stranger", "records that cannot be", 19, "the connection is closed");
}

#[test] // [S13.13] [S11.8]
fn streams_that_never_end() {
    let mut scene = scene(&["--failures-per-minute", "1000000"]);
    let relay = scene.relay.address().to_owned();
    let seller = HostileSeller::enrol(&scene.relay);
    let deal = seller.deal(BlockSize::Small);
    seller.send(&deal, &Pretence::default(), |archive| archive.file("a", b"one"), |_| {});
    let transfer = deal.transfer;
    let begun = [
        Request::Hello(Hello { version: "x".into() }),
        Request::Peek(Peek { locator: Locator([1; 16]) }),
        Request::Watch(Watch { transfer, from_event: 0 }),
        Request::Fetch(Fetch { transfer, from: BlockIndex(0), pace: None }),
        Request::Append(Named { transfer }),
    ];
    let flood = record(&vec![7; 1 << 20]);
    runtime().block_on(async {
        let mut flooding = tokio::task::JoinSet::new();
        for request in begun {
            for _ in 0..4 {
                let (relay, bytes, flood) = (relay.clone(), record(&request.to_bytes()), flood.clone());
                flooding.spawn(async move {
                    let stream = session(&relay, &new_key(), loopback(60)).await.unwrap();
                    let (mut hear, mut say) = tokio::io::split(stream);
                    say.write_all(&bytes).await.unwrap();
                    let heard = tokio::spawn(async move {
                        let mut heard = Vec::new();
                        drop(hear.read_to_end(&mut heard).await);
                        heard.len()
                    });
                    let mut sent = 0;
                    while sent < 200 && say.write_all(&flood).await.is_ok() {
                        sent += 1;
                    }
                    drop(say);
                    (sent, heard.await.unwrap())
                });
            }
        }
        while let Some(flooded) = tokio::time::timeout(wait::LONG, flooding.join_next()).await.expect("it ends") {
            let (sent, heard) = flooded.unwrap();
            assert!(sent < 200, "the relay took {sent} MiB of it");
            assert!(heard < 64 * 1024, "the relay said {heard} bytes");
        }
    });
    scene.a_good_transfer_ends_well("endless");
    scene.relay_is_small("streams that never end");
    assert!(matches!(seller.revoke(transfer), Heard::Said(_)));
    faults_table::record("stranger", "TCP streams that never end", 20, "closed after a bounded part");
}

#[test] // [S13.13]
fn a_tcp_connection_on_which_nothing_goes_on_is_closed() {
    let scene = scene(&["--idle", "1s"]);
    let closed = runtime().block_on(async {
        let mut stream = session(scene.relay.address(), &new_key(), loopback(70)).await.unwrap();
        // It says that it is there, and nothing else.
        stream.write_all(&Record::KeepAlive.header()).await.unwrap();
        until_closed(&mut stream).await
    });
    assert!(closed.is_empty(), "{closed:?}");
}

#[test] // [S13.13] [S11.4]
fn strangers_get_no_room_for_large_requests_over_tcp() {
    let mut scene = scene(&[]);
    let relay = scene.relay.address().to_owned();
    // A header that announces the longest message there is; its body is never sent.
    let header = record(&[0, 7, 0xff, 0xff, 4]);
    let heard = runtime().block_on(async {
        let mut stream = session(&relay, &new_key(), loopback(80)).await.unwrap();
        stream.write_all(&header).await.unwrap();
        stream.flush().await.unwrap();
        let mut heard = [0; 64];
        let count = tokio::time::timeout(wait::USUAL, stream.read(&mut heard)).await.expect("an answer").unwrap();
        heard[..count].to_vec()
    });
    // A data record, and in it a refusal: length, type, an array of the fault, and nothing.
    let number = u8::try_from(Fault::NotEnrolled.number()).unwrap();
    assert_eq!(heard[4..], [&[0, 0, 0, 3, 255, 0x81, number][..], &Record::End.header()].concat(), "{heard:?}");
    scene.relay_is_small("large requests");
}
