//! Messages made of choices, one of every kind.

use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, ClaimKey, Digest, LinkKey, Locator, Millis, TransferId};
use handover_shared::protocol::message::*;

use super::take::Take;

/// How many kinds of requests there are.
pub const REQUESTS: u64 = 15;
/// How many kinds of answers there are.
pub const REPLIES: u64 = 17;

/// A request of the kind that is chosen first.
pub fn request(take: &mut Take<'_>) -> Request {
    let kind = take.below(REQUESTS);
    let transfer = TransferId(take.any());
    match kind {
        0 => Request::Hello(Hello { version: take.text(40) }),
        1 => Request::Enrol(Enrol { secret: take.any::<[u8; 16]>().into() }),
        2 => Request::Create(Create {
            transfer,
            locator: Locator(take.any()),
            claim_key: ClaimKey(take.any()),
            share: take.any::<[u8; 32]>().into(),
            envelope: take.bytes(120).to_vec(),
            sealed_offer: take.bytes(300).to_vec(),
            block_size: take.pick(&[BlockSize::Small, BlockSize::Large]),
            blocks_max: BlockCount(take.any()),
            expires: Millis(take.any()),
            agreement: take.any::<Option<[u8; 32]>>().map(Digest),
        }),
        3 => Request::Append(Named { transfer }),
        4 => Request::Complete(Complete { transfer, blocks: BlockCount(take.any()) }),
        5 => Request::Peek(Peek { locator: Locator(take.any()) }),
        6 => Request::Claim(Claim {
            transfer,
            hybrid_key: take.bytes(300).to_vec(),
            text: take.text(200),
            identity_signature: take.text(100),
            claim_signature: take.text(100),
            sealed_agreement: take.any::<bool>().then(|| take.bytes(300).to_vec()),
        }),
        7 => Request::Fetch(Fetch {
            transfer,
            from: BlockIndex(take.any()),
            pace: std::num::NonZeroU64::new(take.any()),
        }),
        8 => Request::Receive(Receive { transfer, sealed_receipt: take.bytes(300).to_vec() }),
        9 => Request::Watch(Watch { transfer, from_event: take.any() }),
        10 => Request::Revoke(Named { transfer }),
        11 => Request::Deposit(Deposit { transfer, kind: take.any(), bytes: take.any() }),
        12 => Request::Collect(Collect { transfer, kind: take.any() }),
        13 => Request::Refuse(Refuse {
            transfer,
            sealed_refusal: take.bytes(300).to_vec(),
            proof: take.bytes(70).to_vec(),
        }),
        _ => {
            let (held_size, size, from_sequence) = (take.any(), take.any(), take.any());
            Request::Log(Log { transfer, held_size, size, from_sequence })
        }
    }
}

/// An answer of the kind that is chosen first.
pub fn reply(take: &mut Take<'_>) -> Reply {
    let time = |take: &mut Take<'_>| Millis(take.any());
    match take.below(REPLIES) {
        0 => Reply::Welcome(Welcome {
            version: take.text(40),
            time: time(take),
            enrolled: take.any(),
            transfer_bytes_max: take.any(),
            expiry_ms_max: take.any(),
            expiry_ms_default: take.any(),
        }),
        1 => Reply::Enrolled(Enrolled {}),
        2 => Reply::Created(Created { created: time(take), expires: time(take) }),
        3 => Reply::Appending(Durable { durable: BlockCount(take.any()) }),
        4 => Reply::Durable(Durable { durable: BlockCount(take.any()) }),
        5 => Reply::Completed(At { time: time(take) }),
        6 => Reply::Peeked(Peeked {
            transfer: TransferId(take.any()),
            sealed_offer: take.bytes(300).to_vec(),
            phase: phase(take),
            durable: BlockCount(take.any()),
            blocks: take.any::<Option<u64>>().map(BlockCount),
            claimed: take.any::<Option<u64>>().map(Millis),
            expires: take.any::<Option<u64>>().map(Millis),
        }),
        7 => Reply::Released(Released {
            encapsulated: take.bytes(300).to_vec(),
            sealed_share: take.bytes(60).to_vec(),
            envelope: take.bytes(120).to_vec(),
            claimed: time(take),
        }),
        8 => Reply::Fetching(Fetching {
            durable: BlockCount(take.any()),
            blocks: take.any::<Option<u64>>().map(BlockCount),
        }),
        9 => Reply::Received(At { time: time(take) }),
        10 => Reply::Snapshot(snapshot(take)),
        11 => Reply::Revoked(At { time: time(take) }),
        12 => Reply::Deposited(At { time: time(take) }),
        13 => Reply::Collected(Collected { bytes: take.any(), time: time(take) }),
        14 => Reply::RefusalTaken(At { time: time(take) }),
        15 => Reply::Logged(logged(take)),
        _ => Reply::Refused(Refused {
            fault: take.any(),
            number: take.any(),
            time: take.any::<Option<u64>>().map(Millis),
        }),
    }
}

fn logged(take: &mut Take<'_>) -> Logged {
    let signed = |take: &mut Take<'_>| Signed { text: take.text(200), signature: take.text(100) };
    let hashes = |take: &mut Take<'_>| (0..take.below(5)).map(|_| Digest(take.any())).collect::<Vec<_>>();
    Logged {
        head: signed(take),
        consistency: hashes(take),
        entries: (0..take.below(4)).map(|_| Included { text: take.text(200), path: hashes(take) }).collect(),
        entries_in_all: take.any(),
        deletion: take.any::<bool>().then(|| signed(take)),
        reason: take.any::<bool>().then(|| take.text(50)),
    }
}

fn snapshot(take: &mut Take<'_>) -> Snapshot {
    let claim = take.any::<bool>().then(|| ClaimRecord {
        link_key: LinkKey(take.any()),
        hybrid_key: take.bytes(300).to_vec(),
        text: take.text(200),
        identity_signature: take.text(100),
        claim_signature: take.text(100),
        time: Millis(take.any()),
        sealed_agreement: take.any::<bool>().then(|| take.bytes(300).to_vec()),
    });
    let papers = (0..take.below(7)).map(|_| paper(take)).collect();
    let refusal = take.any::<bool>().then(|| RefusalRecord {
        link_key: LinkKey(take.any()),
        sealed_refusal: take.bytes(300).to_vec(),
        time: Millis(take.any()),
    });
    let events = (0..take.below(6)).map(|_| event(take)).collect();
    Snapshot {
        phase: phase(take),
        durable: BlockCount(take.any()),
        blocks: take.any::<Option<u64>>().map(BlockCount),
        fetched: BlockCount(take.any()),
        expires: Millis(take.any()),
        claim,
        sealed_receipt: take.any::<bool>().then(|| take.bytes(200).to_vec()),
        events,
        papers,
        refusal,
    }
}

fn paper(take: &mut Take<'_>) -> PaperRecord {
    PaperRecord { kind: take.any(), time: Millis(take.any()), bytes: take.any(), digest: Digest(take.any()) }
}

fn event(take: &mut Take<'_>) -> Event {
    use EventKind::*;
    Event {
        sequence: take.any(),
        time: Millis(take.any()),
        kind: take.pick(&[
            Created,
            FirstBlock,
            Completed,
            Claimed,
            ClaimRefused,
            Receipted,
            Deleted,
            Expired,
            Revoked,
            RefusedByBuyer,
            PaperDeposited,
            TakenDown,
        ]),
        by: take.any::<Option<[u8; 32]>>().map(LinkKey),
        body: take.any::<Option<[u8; 32]>>().map(Digest),
    }
}

fn phase(take: &mut Take<'_>) -> Phase {
    take.pick(&[
        Phase::Open,
        Phase::Complete,
        Phase::Receipted,
        Phase::Revoked,
        Phase::Expired,
        Phase::Refused,
        Phase::TakenDown,
    ])
}
