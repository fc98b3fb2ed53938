//! Requests and replies, one structure each, and their framing.
//!
//! # Shape
//! `u32 length ‖ u8 type ‖ CBOR array`, big-endian; the length counts type and CBOR. One request opens a stream; what
//! follows is said at the operation in SPEC S12. Blocks travel raw, without any framing.
//!
//! # Source
//! SPEC [S11.3] [S11.4], section S12.

use std::num::NonZeroU64;

use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::codec;
use crate::fault::Fault;
use crate::ids::{BlockCount, BlockIndex, BlockSize, ClaimKey, Digest, LinkKey, Locator, Millis, TransferId};
use crate::limits;

/// The protocol's name in the TLS handshake.
pub const ALPN: &[u8] = b"handover/1";

/// The label of the TLS exporter value that a claim is bound to.
pub const CHANNEL_LABEL: &[u8] = b"handover/v1/claim";

/// How far a transfer has come; whether it is claimed is a separate matter.
///
/// # Source
/// SPEC [S13.1].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Phase {
    /// Blocks are being appended.
    #[n(0)]
    Open,
    /// All blocks are durable.
    #[n(1)]
    Complete,
    /// The buyer has given the receipt.
    #[n(2)]
    Receipted,
    /// The seller has revoked it.
    #[n(3)]
    Revoked,
    /// Its time is over.
    #[n(4)]
    Expired,
    /// The buyer has refused the agreement.
    #[n(5)]
    Refused,
    /// The relay's operator has taken it down.
    #[n(7)]
    TakenDown,
}

impl Phase {
    /// Whether nothing can change it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Phase::Receipted | Phase::Revoked | Phase::Expired | Phase::Refused | Phase::TakenDown)
    }
}

/// What happened to a transfer.
///
/// # Source
/// SPEC [S12.6].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum EventKind {
    /// The relay accepted the transfer.
    #[n(0)]
    Created,
    /// The first block became durable.
    #[n(1)]
    FirstBlock,
    /// All blocks are durable.
    #[n(2)]
    Completed,
    /// The code was spent.
    #[n(3)]
    Claimed,
    /// Somebody else came with the code after it was spent.
    #[n(4)]
    ClaimRefused,
    /// The receipt arrived.
    #[n(5)]
    Receipted,
    /// The blocks are gone.
    #[n(6)]
    Deleted,
    /// The time is over.
    #[n(7)]
    Expired,
    /// The seller revoked it.
    #[n(8)]
    Revoked,
    /// The buyer refused the agreement.
    #[n(9)]
    RefusedByBuyer,
    /// A paper was laid beside the blocks.
    #[n(10)]
    PaperDeposited,
    /// The relay's operator took it down.
    #[n(13)]
    TakenDown,
}

/// One line of a transfer's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Event {
    /// Position in the history, from 0.
    #[n(0)]
    pub sequence: u64,
    /// When, by the relay's clock.
    #[n(1)]
    pub time: Millis,
    /// What.
    #[n(2)]
    pub kind: EventKind,
    /// By whom, where somebody did it.
    #[n(3)]
    pub by: Option<LinkKey>,
    /// SHA-256 of what came with it, where something did [S16.3].
    #[n(4)]
    pub body: Option<Digest>,
}

/// Asks for the relay's versions and limits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Hello {
    /// The client's program and version, for the relay's operator.
    #[n(0)]
    pub version: String,
}

/// What a relay is and allows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Welcome {
    /// The relay's program and version.
    #[n(0)]
    pub version: String,
    /// The relay's clock.
    #[n(1)]
    pub time: Millis,
    /// Whether this link key may create transfers.
    #[n(2)]
    pub enrolled: bool,
    /// Sealed bytes a transfer may have.
    #[n(3)]
    pub transfer_bytes_max: u64,
    /// Milliseconds a transfer may be kept.
    #[n(4)]
    pub expiry_ms_max: u64,
    /// Milliseconds a transfer is kept if nothing is said.
    #[n(5)]
    pub expiry_ms_default: u64,
}

/// Sixteen secret bytes of an invite.
pub const INVITE_SECRET_BYTES: usize = 16;

/// Enrols this connection's link key.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Enrol {
    /// From the invite.
    #[cbor(n(0), with = "secret16")]
    pub secret: Zeroizing<[u8; INVITE_SECRET_BYTES]>,
}

/// Announces a transfer.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Create {
    /// Chosen by the seller.
    #[n(0)]
    pub transfer: TransferId,
    /// From the code.
    #[n(1)]
    pub locator: Locator,
    /// From the code.
    #[n(2)]
    pub claim_key: ClaimKey,
    /// The relay share.
    #[cbor(n(3), with = "secret32")]
    pub share: Zeroizing<[u8; 32]>,
    /// The content key under code and share, 104 bytes.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub envelope: Vec<u8>,
    /// What the buyer sees first.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub sealed_offer: Vec<u8>,
    /// The size of every block.
    #[n(6)]
    pub block_size: BlockSize,
    /// At most so many blocks will come; reserved against the quota.
    #[n(7)]
    pub blocks_max: BlockCount,
    /// When it ends, by the relay's clock.
    #[n(8)]
    pub expires: Millis,
    /// The commitment to the agreement that the buyer must sign before it gets the share, if there is one.
    #[n(9)]
    pub agreement: Option<Digest>,
}

/// The relay has accepted a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Created {
    /// When, by the relay's clock.
    #[n(0)]
    pub created: Millis,
    /// When it ends.
    #[n(1)]
    pub expires: Millis,
}

/// A request that names a transfer and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Named {
    /// Which.
    #[n(0)]
    pub transfer: TransferId,
}

/// How many blocks are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Durable {
    /// Counted from the first.
    #[n(0)]
    pub durable: BlockCount,
}

/// Says that all blocks have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Complete {
    /// Which.
    #[n(0)]
    pub transfer: TransferId,
    /// How many there are.
    #[n(1)]
    pub blocks: BlockCount,
}

/// When something was done, by the relay's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct At {
    /// The time.
    #[n(0)]
    pub time: Millis,
}

/// Looks a transfer up; claims nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Peek {
    /// From the code.
    #[n(0)]
    pub locator: Locator,
}

/// What lies under a locator.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Peeked {
    /// Which.
    #[n(0)]
    pub transfer: TransferId,
    /// To be opened with the code.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub sealed_offer: Vec<u8>,
    /// How far it is.
    #[n(2)]
    pub phase: Phase,
    /// Blocks that can be fetched.
    #[n(3)]
    pub durable: BlockCount,
    /// How many there are, once that is known.
    #[n(4)]
    pub blocks: Option<BlockCount>,
    /// When it was claimed by this very link key, if it was.
    #[n(5)]
    pub claimed: Option<Millis>,
    /// When it ends.
    #[n(6)]
    pub expires: Option<Millis>,
}

/// Spends the code.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Claim {
    /// Which.
    #[n(0)]
    pub transfer: TransferId,
    /// The buyer's X-Wing public key, 1216 bytes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub hybrid_key: Vec<u8>,
    /// The claim statement.
    #[n(2)]
    pub text: String,
    /// By the buyer's identity.
    #[n(3)]
    pub identity_signature: String,
    /// By the key derived from the code.
    #[n(4)]
    pub claim_signature: String,
    /// The agreement with the buyer's signature, for the seller's eyes; where there is an agreement.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub sealed_agreement: Option<Vec<u8>>,
}

/// What a claim earns.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Released {
    /// Encapsulated to the hybrid key, 1120 bytes.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub encapsulated: Vec<u8>,
    /// The relay share, 48 bytes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub sealed_share: Vec<u8>,
    /// The content key under code and share, 104 bytes.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub envelope: Vec<u8>,
    /// When the claim was accepted.
    #[n(3)]
    pub claimed: Millis,
}

/// Asks for blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Fetch {
    /// Which transfer.
    #[n(0)]
    pub transfer: TransferId,
    /// The first block wanted.
    #[n(1)]
    pub from: BlockIndex,
    /// Bytes a second that the relay is not to exceed; as fast as it goes if nothing is said. [S12.8]
    #[n(2)]
    pub pace: Option<NonZeroU64>,
}

/// Blocks follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Fetching {
    /// Blocks that can be fetched by now.
    #[n(0)]
    pub durable: BlockCount,
    /// How many there are, once that is known.
    #[n(1)]
    pub blocks: Option<BlockCount>,
}

/// Hands over the receipt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Receive {
    /// Which.
    #[n(0)]
    pub transfer: TransferId,
    /// For the seller's eyes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub sealed_receipt: Vec<u8>,
}

/// Asks to be told whatever changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Watch {
    /// Which.
    #[n(0)]
    pub transfer: TransferId,
    /// Events from this sequence on are wanted.
    #[n(1)]
    pub from_event: u64,
}

/// The claim as the seller may check it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ClaimRecord {
    /// Whose connection it was.
    #[n(0)]
    pub link_key: LinkKey,
    /// What the share was sealed to.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub hybrid_key: Vec<u8>,
    /// The claim statement.
    #[n(2)]
    pub text: String,
    /// By the buyer's identity.
    #[n(3)]
    pub identity_signature: String,
    /// By the key derived from the code.
    #[n(4)]
    pub claim_signature: String,
    /// When, by the relay's clock.
    #[n(5)]
    pub time: Millis,
    /// The agreement with the buyer's signature, for the seller's eyes; where there is an agreement.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub sealed_agreement: Option<Vec<u8>>,
}

/// Lays a paper beside the blocks; its sealed bytes follow raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Deposit {
    /// Which transfer.
    #[n(0)]
    pub transfer: TransferId,
    /// The number of a [`PaperKind`](super::papers::PaperKind); unknown ones survive as numbers.
    #[n(1)]
    pub kind: u8,
    /// How many bytes follow.
    #[n(2)]
    pub bytes: u64,
}

/// Asks for a paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Collect {
    /// Which transfer.
    #[n(0)]
    pub transfer: TransferId,
    /// The number of a [`PaperKind`](super::papers::PaperKind); unknown ones survive as numbers.
    #[n(1)]
    pub kind: u8,
}

/// A paper's sealed bytes follow raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Collected {
    /// How many.
    #[n(0)]
    pub bytes: u64,
    /// When it was deposited, by the relay's clock.
    #[n(1)]
    pub time: Millis,
}

/// What is known of a paper without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PaperRecord {
    /// The number of a [`PaperKind`](super::papers::PaperKind).
    #[n(0)]
    pub kind: u8,
    /// When it was deposited, by the relay's clock.
    #[n(1)]
    pub time: Millis,
    /// How many sealed bytes it has.
    #[n(2)]
    pub bytes: u64,
    /// SHA-256 of them.
    #[n(3)]
    pub digest: Digest,
}

/// Refuses the agreement, which ends the transfer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Refuse {
    /// Which.
    #[n(0)]
    pub transfer: TransferId,
    /// The refusal with the buyer's signatures, for the seller's eyes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub sealed_refusal: Vec<u8>,
    /// By the key derived from the code, over this connection and what is sealed: 64 bytes.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub proof: Vec<u8>,
}

/// A refusal as the relay keeps it for the seller.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RefusalRecord {
    /// Whose connection it was.
    #[n(0)]
    pub link_key: LinkKey,
    /// The refusal with the buyer's signatures, for the seller's eyes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub sealed_refusal: Vec<u8>,
    /// When, by the relay's clock.
    #[n(2)]
    pub time: Millis,
}

/// Everything either side may know of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Snapshot {
    /// How far it is.
    #[n(0)]
    pub phase: Phase,
    /// Blocks that are durable.
    #[n(1)]
    pub durable: BlockCount,
    /// How many there are, once that is known.
    #[n(2)]
    pub blocks: Option<BlockCount>,
    /// Blocks that the buyer has been sent at least once, as far as the relay remembers.
    #[n(3)]
    pub fetched: BlockCount,
    /// When it ends.
    #[n(4)]
    pub expires: Millis,
    /// Who holds the claim.
    #[n(5)]
    pub claim: Option<ClaimRecord>,
    /// For the seller's eyes.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub sealed_receipt: Option<Vec<u8>>,
    /// The events asked for, at most [`limits::EVENTS_MAX`].
    #[n(7)]
    pub events: Vec<Event>,
    /// The papers there are, in the order in which they came.
    #[n(8)]
    pub papers: Vec<PaperRecord>,
    /// Who refused the agreement.
    #[n(9)]
    pub refusal: Option<RefusalRecord>,
}

/// Asks what the relay's log says of a transfer.
///
/// # Source
/// SPEC [S16.6].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Log {
    /// Which transfer.
    #[n(0)]
    pub transfer: TransferId,
    /// The size of the head that the asker holds of this relay; 0 for none.
    #[n(1)]
    pub held_size: u64,
    /// The size of the head that everything is to be proven under; the newest if absent.
    #[n(2)]
    pub size: Option<u64>,
    /// Entries of the transfer from this sequence on.
    #[n(3)]
    pub from_sequence: u64,
}

/// A statement and its signature.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Signed {
    /// The statement.
    #[n(0)]
    pub text: String,
    /// The armoured signature over it.
    #[n(1)]
    pub signature: String,
}

/// An entry of the log, and its way to the root.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Included {
    /// The entry's text.
    #[n(0)]
    pub text: String,
    /// The inclusion path of RFC 9162, from the leaf upwards.
    #[n(1)]
    pub path: Vec<Digest>,
}

/// What the log says of a transfer.
///
/// # Source
/// SPEC [S16.6].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Logged {
    /// The head under which everything here is proven.
    #[n(0)]
    pub head: Signed,
    /// That the head extends the one held: the consistency proof of RFC 9162.
    #[n(1)]
    pub consistency: Vec<Digest>,
    /// The transfer's entries from the wanted sequence on, at most [`limits::LOG_ENTRIES_MAX`].
    #[n(2)]
    pub entries: Vec<Included>,
    /// How many entries the transfer has under this head.
    #[n(3)]
    pub entries_in_all: u64,
    /// The relay's statement that share and blocks are gone, once they are.
    #[n(4)]
    pub deletion: Option<Signed>,
    /// Why the operator took the transfer down, if that happened.
    #[n(5)]
    pub reason: Option<String>,
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Refused {
    /// [`Fault`] number; unknown ones survive as numbers.
    #[n(0)]
    pub fault: u16,
    /// The limit that was passed, where there is one.
    #[n(1)]
    pub number: Option<u64>,
    /// When the thing that stands in the way happened.
    #[n(2)]
    pub time: Option<Millis>,
}

impl Refused {
    /// A refusal without particulars.
    pub fn of(fault: Fault) -> Self {
        Self { fault: fault.number(), number: None, time: None }
    }

    /// With the limit that was passed.
    pub fn with_number(self, number: u64) -> Self {
        Self { number: Some(number), ..self }
    }

    /// With the time of what stands in the way.
    pub fn with_time(self, time: Millis) -> Self {
        Self { time: Some(time), ..self }
    }

    /// The fault, if this version knows its number.
    pub fn known(&self) -> Option<Fault> {
        Fault::of_number(self.fault)
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::of(fault)
    }
}

/// Declares an enum of messages with their type numbers, and reads and writes them.
macro_rules! messages {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident($body:ty) = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        #[allow(clippy::large_enum_variant, reason = "a message is read, used and gone; boxes would save nothing")]
        pub enum $name {
            $($(#[$vdoc])* $variant($body),)*
        }

        impl $name {
            /// The whole message: length, type, CBOR.
            pub fn to_bytes(&self) -> Vec<u8> {
                let (number, body): (u8, Vec<u8>) = match self {
                    $(Self::$variant(body) => ($number, codec::encode(body)),)*
                };
                let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
                bytes.extend_from_slice(&((body.len() + 1) as u32).to_be_bytes());
                bytes.push(number);
                bytes.extend_from_slice(&body);
                bytes
            }

            /// Reads a body of the type that its header announced.
            ///
            /// # Errors
            /// [`Fault::BadMessage`] for unknown types and anything [`codec::decode`] refuses.
            pub fn of_body(number: u8, body: &[u8]) -> Result<Self, Fault> {
                match number {
                    $($number => codec::decode::<$body>(body).map(Self::$variant),)*
                    _ => Err(Fault::BadMessage),
                }
            }

            /// The name of the operation, for logs.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($variant),)* }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

messages! {
    /// What a client asks; prints its name only.
    Request {
        /// Versions and limits.
        Hello(Hello) = 0,
        /// Enrol with an invite.
        Enrol(Enrol) = 2,
        /// Announce a transfer.
        Create(Create) = 4,
        /// Send blocks.
        Append(Named) = 6,
        /// All blocks are there.
        Complete(Complete) = 10,
        /// Look at the offer.
        Peek(Peek) = 12,
        /// Spend the code.
        Claim(Claim) = 14,
        /// Get blocks.
        Fetch(Fetch) = 16,
        /// Hand over the receipt.
        Receive(Receive) = 18,
        /// Follow what happens.
        Watch(Watch) = 20,
        /// Burn the code, delete the data.
        Revoke(Named) = 22,
        /// Lay a paper beside the blocks.
        Deposit(Deposit) = 24,
        /// Get a paper.
        Collect(Collect) = 26,
        /// Refuse the agreement.
        Refuse(Refuse) = 28,
        /// Show what the log says of a transfer, and prove it.
        Log(Log) = 32,
    }
}

messages! {
    /// What a relay answers; prints its name only.
    Reply {
        /// To Hello.
        Welcome(Welcome) = 1,
        /// To Enrol.
        Enrolled(Enrolled) = 3,
        /// To Create.
        Created(Created) = 5,
        /// To Append, first.
        Appending(Durable) = 7,
        /// To Append, whenever more is durable.
        Durable(Durable) = 9,
        /// To Complete.
        Completed(At) = 11,
        /// To Peek.
        Peeked(Peeked) = 13,
        /// To Claim.
        Released(Released) = 15,
        /// To Fetch; raw blocks follow.
        Fetching(Fetching) = 17,
        /// To Receive.
        Received(At) = 19,
        /// To Watch, again and again.
        Snapshot(Snapshot) = 21,
        /// To Revoke.
        Revoked(At) = 23,
        /// To Deposit, when the paper is durable.
        Deposited(At) = 25,
        /// To Collect; raw bytes follow.
        Collected(Collected) = 27,
        /// To Refuse.
        RefusalTaken(At) = 29,
        /// To Log.
        Logged(Logged) = 33,
        /// To anything.
        Refused(Refused) = 255,
    }
}

/// Nothing to say but yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Enrolled {}

/// Length and type.
pub const HEADER_BYTES: usize = 5;

/// A message's header: its type, and how many bytes of CBOR follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Type number; not yet known to be one we have.
    pub number: u8,
    /// Bytes that follow; within the limit of the type.
    pub body_bytes: usize,
}

impl Header {
    /// Reads a header and compares the length with the limit of its type.
    ///
    /// # Errors
    /// [`Fault::BadMessage`] for a length of zero, [`Fault::TooLarge`] above the limit.
    pub fn of_bytes(bytes: [u8; HEADER_BYTES]) -> Result<Self, Fault> {
        let [a, b, c, d, number] = bytes;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let limit = match number {
            4 | 13 => limits::OFFER_MESSAGE_BYTES_MAX,
            _ => limits::MESSAGE_BYTES_MAX,
        };
        match length {
            0 => Err(Fault::BadMessage),
            length if length > limit => Err(Fault::TooLarge),
            length => Ok(Self { number, body_bytes: length - 1 }),
        }
    }
}

/// Secrets of 16 bytes as CBOR byte strings.
mod secret16 {
    use super::*;

    pub fn encode<C, W: minicbor::encode::Write>(
        value: &Zeroizing<[u8; 16]>,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&value[..])?.ok()
    }

    pub fn decode<C>(d: &mut minicbor::Decoder<'_>, _: &mut C) -> Result<Zeroizing<[u8; 16]>, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        let array = bytes.try_into().or(Err(minicbor::decode::Error::message("not 16 bytes")))?;
        Ok(Zeroizing::new(array))
    }
}

/// Secrets of 32 bytes as CBOR byte strings.
mod secret32 {
    use super::*;

    pub fn encode<C, W: minicbor::encode::Write>(
        value: &Zeroizing<[u8; 32]>,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&value[..])?.ok()
    }

    pub fn decode<C>(d: &mut minicbor::Decoder<'_>, _: &mut C) -> Result<Zeroizing<[u8; 32]>, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        let array = bytes.try_into().or(Err(minicbor::decode::Error::message("not 32 bytes")))?;
        Ok(Zeroizing::new(array))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: &[u8]) -> (u8, &[u8]) {
        let header = Header::of_bytes(bytes[..HEADER_BYTES].try_into().unwrap()).unwrap();
        assert_eq!(header.body_bytes, bytes.len() - HEADER_BYTES);
        (header.number, &bytes[HEADER_BYTES..])
    }

    #[test] // [S11.3] [S12.1]
    fn exact_bytes_of_requests() {
        let transfer = TransferId([7; 16]);
        let cases: Vec<(Request, Vec<u8>)> = vec![
            (Request::Hello(Hello { version: "h/1".into() }), vec![0, 0, 0, 6, 0, 0x81, 0x63, b'h', b'/', b'1']),
            (Request::Append(Named { transfer }), [&[0, 0, 0, 19, 6, 0x81, 0x50][..], &[7; 16]].concat()),
            (
                Request::Fetch(Fetch { transfer, from: BlockIndex(300), pace: None }),
                [&[0, 0, 0, 22, 16, 0x82, 0x50][..], &[7; 16], &[0x19, 1, 44]].concat(),
            ),
            (
                Request::Fetch(Fetch { transfer, from: BlockIndex(0), pace: NonZeroU64::new(10_240) }),
                [&[0, 0, 0, 23, 16, 0x83, 0x50][..], &[7; 16], &[0, 0x19, 0x28, 0]].concat(),
            ),
            (
                Request::Complete(Complete { transfer, blocks: BlockCount(2) }),
                [&[0, 0, 0, 20, 10, 0x82, 0x50][..], &[7; 16], &[2]].concat(),
            ),
        ];
        for (message, bytes) in cases {
            assert_eq!(message.to_bytes(), bytes, "{message:?}");
            let (number, cbor) = body(&bytes);
            assert!(Request::of_body(number, cbor) == Ok(message));
        }
    }

    #[test] // [S11.4] [S12.1]
    fn exact_bytes_of_replies() {
        let cases: Vec<(Reply, Vec<u8>)> = vec![
            (Reply::Enrolled(Enrolled {}), vec![0, 0, 0, 2, 3, 0x80]),
            (Reply::Refused(Refused::of(Fault::NotFound)), vec![0, 0, 0, 3, 255, 0x81, 6]),
            (
                Reply::Refused(Refused::of(Fault::AlreadyClaimed).with_time(Millis(9))),
                vec![0, 0, 0, 5, 255, 0x83, 7, 0xf6, 9],
            ),
            (Reply::Appending(Durable { durable: BlockCount(0) }), vec![0, 0, 0, 3, 7, 0x81, 0]),
        ];
        for (message, bytes) in cases {
            assert_eq!(message.to_bytes(), bytes, "{message:?}");
            let (number, cbor) = body(&bytes);
            assert!(Reply::of_body(number, cbor) == Ok(message));
        }
    }

    #[test] // [S3.1]
    fn lengths_are_refused_before_anything_is_read() {
        let header = |length: u32, number: u8| {
            let [a, b, c, d] = length.to_be_bytes();
            Header::of_bytes([a, b, c, d, number])
        };
        assert_eq!(header(0, 0), Err(Fault::BadMessage));
        assert!(header(limits::MESSAGE_BYTES_MAX as u32, 0).is_ok());
        assert_eq!(header(limits::MESSAGE_BYTES_MAX as u32 + 1, 0), Err(Fault::TooLarge));
        assert!(header(limits::OFFER_MESSAGE_BYTES_MAX as u32, 4).is_ok());
        assert_eq!(header(limits::OFFER_MESSAGE_BYTES_MAX as u32 + 1, 4), Err(Fault::TooLarge));
        assert_eq!(header(u32::MAX, 255), Err(Fault::TooLarge));
    }

    #[test] // [S2.2]
    fn unknown_types_are_refused() {
        assert!(Request::of_body(1, &[0x80]) == Err(Fault::BadMessage));
        assert!(Reply::of_body(2, &[0x80]) == Err(Fault::BadMessage));
    }
}
