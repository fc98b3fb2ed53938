use std::time::Duration;

use bytes::Bytes;
use handover_shared::fault::Fault;
use handover_shared::limits;
use handover_shared::tls::{ExpectedRelay, LinkSecret, client_config, relay_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use zeroize::Zeroizing;

use super::*;
use crate::stream::{ReadError, ReadExactError};

const WIRE_BYTES: usize = 64 * 1024;
const ROOM_BYTES: usize = 256 * 1024;

fn secret(byte: u8) -> LinkSecret {
    LinkSecret::of_seed(Zeroizing::new([byte; 32])).unwrap()
}

async fn over(client: impl Socket, relay: impl Socket, terms: Terms) -> (Connection, Connection) {
    let (own, other) = (secret(1), secret(2));
    let client_config = client_config(&own, ExpectedRelay::Key(other.public())).unwrap();
    let connecting = Connection::connect(client, Arc::new(client_config), terms);
    let accepting = Connection::accept(relay, Arc::new(relay_config(&other).unwrap()), terms);
    let (client, relay) = tokio::join!(connecting, accepting);
    (client.unwrap(), relay.unwrap())
}

async fn pair() -> (Connection, Connection) {
    let (client, relay) = duplex(WIRE_BYTES);
    over(client, relay, Terms::new(ROOM_BYTES)).await
}

async fn all(half: &mut RecvHalf) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    while let Some(piece) = half.read_chunk(usize::MAX).await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[tokio::test] // [S11.7] [S10.5]
async fn both_ends_know_the_other_key_and_one_channel() {
    let (client, relay) = pair().await;
    assert_eq!((client.peer, relay.peer), (secret(2).public(), secret(1).public()));
    assert_eq!(client.channel, relay.channel);
    assert_ne!(client.channel, pair().await.0.channel);
}

#[tokio::test] // [S11.7]
async fn who_names_no_protocol_is_let_through_by_tls_and_not_by_this() {
    let (client, relay) = duplex(WIRE_BYTES);
    let (own, other) = (secret(1), secret(2));
    let mut config = client_config(&own, ExpectedRelay::ToldByOffer).unwrap();
    config.alpn_protocols.clear();
    let connecting = Connection::connect(client, Arc::new(config), Terms::new(ROOM_BYTES));
    let accepting = Connection::accept(relay, Arc::new(relay_config(&other).unwrap()), Terms::new(ROOM_BYTES));
    let (client, relay) = tokio::join!(connecting, accepting);
    assert!(matches!(client.err(), Some(HandshakeError::OtherProtocol)));
    assert!(matches!(relay.err(), Some(HandshakeError::OtherProtocol)));
}

#[tokio::test] // [S11.7] [S11.8]
async fn one_stream_follows_the_other() {
    let (client, relay) = pair().await;
    for round in 0..3_u8 {
        let (mut send, mut recv) = client.try_open().unwrap();
        assert!(client.try_open().is_none(), "one at a time");
        let question = vec![round; 300_000];
        let asking = async {
            send.write_chunk(Bytes::from(question.clone())).await.unwrap();
            send.finish();
            all(&mut recv).await.unwrap()
        };
        let answering = async {
            let (mut send, mut recv) = relay.next().await.unwrap();
            let heard = all(&mut recv).await.unwrap();
            send.write_chunk(Bytes::from(heard.clone())).await.unwrap();
            send.finish();
            heard
        };
        let (answer, heard) = tokio::join!(asking, answering);
        assert!(answer == question && heard == question, "round {round}");
        assert_eq!(relay.settle(0).await, Settled::ForTheNext);
    }
}

#[tokio::test] // [S11.8] [S11.4]
async fn a_reset_comes_behind_what_was_written() {
    let (client, relay) = pair().await;
    let (mut send, mut recv) = client.try_open().unwrap();
    send.write_chunk(Bytes::from_static(b"question")).await.unwrap();
    let (mut answer, question) = relay.next().await.unwrap();
    answer.write_chunk(Bytes::from_static(b"some")).await.unwrap();
    answer.reset(12);
    drop((answer, question));
    let mut some = [0; 4];
    recv.read_exact(&mut some).await.unwrap();
    assert_eq!(&some, b"some");
    assert!(matches!(recv.read_chunk(1).await, Err(ReadError::Reset(12))));
    drop((send, recv));
    assert!(client.try_open().is_none(), "nothing follows a reset");
}

#[tokio::test] // [S11.8]
async fn a_half_that_is_dropped_is_not_a_half_that_has_ended() {
    let (client, relay) = pair().await;
    let (mut send, recv) = client.try_open().unwrap();
    send.write_chunk(Bytes::from_static(b"half a blo")).await.unwrap();
    drop(send);
    let (_answer, mut question) = relay.next().await.unwrap();
    let mut block = [0; 20];
    let outcome = question.read_exact(&mut block).await;
    assert!(matches!(outcome, Err(ReadExactError::Read(ReadError::Lost(_)))), "{outcome:?}");
    drop(recv);
}

#[tokio::test] // [S11.8]
async fn what_nobody_wants_any_more_stops() {
    let (client, relay) = pair().await;
    let (mut send, recv) = client.try_open().unwrap();
    send.write_chunk(Bytes::from_static(b"fetch")).await.unwrap();
    send.finish();
    let (mut answer, _question) = relay.next().await.unwrap();
    drop(recv);
    let endless = async { while answer.write_chunk(Bytes::from(vec![1; 100_000])).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), endless).await.expect("it stops");
    answer.ended().await;
}

#[tokio::test] // [S13.13]
async fn a_reader_that_does_not_read_is_sent_no_more_than_it_has_room_for() {
    let (client, relay) = pair().await;
    let (mut send, _recv) = client.try_open().unwrap();
    let mut written = 0;
    let pushing = async {
        loop {
            send.write_chunk(Bytes::from(vec![0; 100_000])).await.unwrap();
            written += 100_000;
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(300), pushing).await.is_err());
    let bound = ROOM_BYTES + 2 * limits::RECORD_BYTES_MAX + 4 * WIRE_BYTES + 2 * 256 * 1024;
    assert!(written < bound, "{written} bytes of at most {bound}");
    drop(relay);
}

/// Passes bytes on until it is told not to.
async fn passing(mut one: DuplexStream, mut other: DuplexStream, mut cut: tokio::sync::oneshot::Receiver<()>) {
    let passed = tokio::select! {
        passed = tokio::io::copy_bidirectional(&mut one, &mut other) => passed.is_ok(),
        _ = &mut cut => false,
    };
    if !passed {
        // Neither end hears that nothing is passed any more.
        std::future::pending::<()>().await;
    }
}

#[tokio::test] // [S11.5]
async fn silence_ends_a_connection_and_keep_alives_do_not_let_it_be_silent() {
    let terms = Terms { keep_alive: Duration::from_millis(50), idle: Duration::from_secs(2), ..Terms::new(ROOM_BYTES) };
    let ((client, outer), (inner, relay)) = (duplex(WIRE_BYTES), duplex(WIRE_BYTES));
    let (cut, is_cut) = tokio::sync::oneshot::channel();
    tokio::spawn(passing(outer, inner, is_cut));
    let (client, relay) = over(client, relay, terms).await;
    let waiting = tokio::time::timeout(2 * terms.idle, relay.next()).await;
    assert!(waiting.is_err(), "two of these times without a word are no silence");
    cut.send(()).unwrap();
    let (send, _recv) = client.try_open().unwrap();
    let ended = send.ended().await;
    assert!(matches!(ended, Ended::Silent), "{ended:?}");
    assert!(matches!(relay.next().await, Err(Ended::Silent)));
}

#[tokio::test] // [S11.8] [S3.1]
async fn what_is_no_record_ends_the_connection() {
    for header in [[0, 0, 0, 0], [0, 0xff, 0xff, 0xff], [9, 0, 0, 0]] {
        let (client, relay) = duplex(WIRE_BYTES);
        let (own, other) = (secret(1), secret(2));
        let name = ServerName::try_from("relay").unwrap();
        let config = client_config(&own, ExpectedRelay::ToldByOffer).unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, client);
        let accepting = Connection::accept(relay, Arc::new(relay_config(&other).unwrap()), Terms::new(ROOM_BYTES));
        let (client, relay) = tokio::join!(connecting, accepting);
        let (mut client, relay) = (client.unwrap(), relay.unwrap());
        client.write_all(&header).await.unwrap();
        client.flush().await.unwrap();
        let ended = relay.next().await;
        assert!(matches!(ended, Err(Ended::Malformed(_))), "{header:?}");
        drop(relay);
        let mut rest = Vec::new();
        drop(client.read_to_end(&mut rest).await);
        assert!(rest.is_empty());
    }
}

#[tokio::test] // [S11.8]
async fn whoever_closes_for_a_reason_says_it() {
    let (client, relay) = pair().await;
    let (mut send, mut recv) = client.try_open().unwrap();
    send.write_chunk(Bytes::from_static(b"hello")).await.unwrap();
    relay.close(Some(Fault::Draining)).await;
    let told = recv.read_chunk(1).await;
    assert!(matches!(told, Err(ReadError::Reset(number)) if number == u64::from(Fault::Draining.number())), "{told:?}");
}
