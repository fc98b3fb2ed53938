//! Every message of the protocol, out of bytes and into bytes.

use handover_shared::fault::Fault;
use handover_shared::protocol::message::{HEADER_BYTES, Header, Reply, Request};

use super::cbor;
use super::samples;
use super::take::Take;

/// Reads what a peer may send. The first byte chooses: one body after its type, a run of framed messages, or messages
/// that are made and must come back as they were.
pub fn messages(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    match choice % 3 {
        0 => {
            if let Some((number, body)) = rest.split_first() {
                body_of(*number, body);
            }
        }
        1 => run_of_frames(rest),
        _ => made(&mut Take::new(rest)),
    }
}

/// Reads one body as whichever message it may be. [S2.2]
pub fn body_of(number: u8, body: &[u8]) {
    let request = Request::of_body(number, body);
    let reply = Reply::of_body(number, body);
    assert!(request.is_err() || reply.is_err(), "type {number} is a request and a reply");
    if let Ok(request) = &request {
        assert_eq!(number % 2, 0, "requests are even");
        assert_eq!(format!("{request:?}"), request.name(), "a message prints its name only");
        accepted(number, body, &request.to_bytes());
    }
    if let Ok(reply) = &reply {
        assert_eq!(number % 2, 1, "answers are odd");
        assert_eq!(format!("{reply:?}"), reply.name(), "a message prints its name only");
        if let Reply::Refused(refused) = reply {
            assert_eq!(refused.known().is_some(), (1..=23).contains(&refused.fault));
        }
        accepted(number, body, &reply.to_bytes());
    }
    for refused in [request.map(drop), reply.map(drop)] {
        assert!(matches!(refused, Ok(()) | Err(Fault::BadMessage)));
    }
}

/// What was accepted has one encoding, and nothing shorter or longer than it is accepted.
fn accepted(number: u8, body: &[u8], again: &[u8]) {
    assert!(cbor::is_deterministic(body), "accepted, and not deterministic");
    let length = (body.len() as u32 + 1).to_be_bytes();
    assert!(again == [&length[..], &[number], body].concat(), "encoding what was decoded gives other bytes");
    let longer = [body, &[0]].concat();
    let shorter = &body[..body.len() - 1];
    for other in [&longer[..], shorter] {
        assert!(Request::of_body(number, other).is_err() && Reply::of_body(number, other).is_err());
    }
}

/// Reads frame after frame, as a stream would be read.
fn run_of_frames(mut rest: &[u8]) {
    while let Some((head, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
        let header = Header::of_bytes(*head);
        assert_eq!(header.map(|header| header.body_bytes), allowed(head), "{head:?}"); // [S3.1]
        let Ok(header) = header else { return };
        let Some((body, after)) = after.split_at_checked(header.body_bytes) else { return };
        body_of(header.number, body);
        rest = after;
    }
}

/// The limits as SPEC has them: how many bytes may follow such a head.
fn allowed(head: &[u8; HEADER_BYTES]) -> Result<usize, Fault> {
    let length = u64::from(head[0]) << 24 | u64::from(head[1]) << 16 | u64::from(head[2]) << 8 | u64::from(head[3]);
    let kib = if head[4] == 4 || head[4] == 13 { 512 } else { 64 };
    match length {
        0 => Err(Fault::BadMessage),
        length if length > kib * 1024 => Err(Fault::TooLarge),
        length => Ok(length as usize - 1),
    }
}

/// Makes a request and an answer, and reads them again.
fn made(take: &mut Take<'_>) {
    let request = samples::request(take);
    let bytes = request.to_bytes();
    let again = Request::of_body(bytes[4], &bytes[HEADER_BYTES..]);
    assert!(again.as_ref() == Ok(&request), "{request:?} comes back as another");
    body_of(bytes[4], &bytes[HEADER_BYTES..]);
    let reply = samples::reply(take);
    let bytes = reply.to_bytes();
    let again = Reply::of_body(bytes[4], &bytes[HEADER_BYTES..]);
    assert!(again.as_ref() == Ok(&reply), "{reply:?} comes back as another");
    body_of(bytes[4], &bytes[HEADER_BYTES..]);
}
