//! The seller's journal in the simulated world: the same rules as the program's, in as few lines as possible.

use handover_shared::archive::catalogue::{Listed, Places};
use handover_shared::archive::writer::WriterState;
use handover_shared::codec;
use handover_shared::ids::BlockCount;

use super::source::Signature;

/// A place between two frames from which a run can go on.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Point {
    #[n(0)]
    pub state: WriterState,
    #[n(1)]
    pub places: Places,
    /// Bytes of the records up to there.
    #[n(2)]
    pub records_bytes: u64,
    /// Of the file that is open there, when it was opened.
    #[n(3)]
    pub signature: Option<Signature>,
}

/// One line for every block that was made.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Mark {
    #[n(0)]
    pub blocks: BlockCount,
    /// Behind the last frame that ends in the last of them.
    #[n(1)]
    pub point: Option<Box<Point>>,
    /// How many there are altogether, once the last is made.
    #[n(2)]
    pub total: Option<BlockCount>,
}

/// From where a run goes on.
#[derive(Debug)]
pub struct Resumption {
    pub durable: BlockCount,
    pub point: Option<Point>,
    /// Blocks up to the end of the frame before the point.
    pub point_blocks: Option<BlockCount>,
    pub list: Vec<Listed>,
}

const CHECK_BYTES: usize = 8;

impl Mark {
    /// A line of the journal: length, checksum, content.
    pub fn line(&self) -> Vec<u8> {
        let body = codec::encode(self);
        let mut line = (body.len() as u32).to_be_bytes().to_vec();
        line.extend_from_slice(&blake3::hash(&body).as_bytes()[..CHECK_BYTES]);
        line.extend_from_slice(&body);
        line
    }
}

/// Every line that was written to its end.
pub fn marks(mut bytes: &[u8]) -> Vec<Mark> {
    let mut marks = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let Some((sum, rest)) = rest.split_first_chunk::<CHECK_BYTES>() else { break };
        let Some((body, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
        if blake3::hash(body).as_bytes()[..CHECK_BYTES] != *sum {
            break;
        }
        marks.push(codec::decode(body).expect("what was written"));
        bytes = rest;
    }
    marks
}

/// Blocks that were ever made, as far as is known [S14.6].
pub fn made(marks: &[Mark]) -> BlockCount {
    marks.last().map_or(BlockCount(0), |mark| mark.blocks)
}

/// How many blocks there are, if the last was made.
pub fn total(marks: &[Mark]) -> Option<BlockCount> {
    marks.last().and_then(|mark| mark.total)
}

/// The marks that stay true when so many blocks are durable, and where to go on. [S14.4]
pub fn resume(mut marks: Vec<Mark>, records: &[u8], durable: BlockCount) -> (Vec<Mark>, Resumption) {
    marks.retain(|mark| mark.blocks <= durable);
    let last = marks.iter().rev().find_map(|mark| mark.point.as_ref().map(|point| (mark.blocks, point)));
    let resumption = Resumption {
        durable,
        point_blocks: last.map(|(blocks, _)| blocks),
        point: last.map(|(_, point)| (**point).clone()),
        list: last.map_or_else(Vec::new, |(_, point)| listed(records, point.records_bytes)),
    };
    (marks, resumption)
}

fn listed(records: &[u8], bytes: u64) -> Vec<Listed> {
    let mut rest = &records[..usize::try_from(bytes).expect("a short list")];
    let mut listed = Vec::new();
    while let Some((length, body)) = rest.split_first_chunk::<4>() {
        let (line, after) = body.split_at(u32::from_be_bytes(*length) as usize);
        listed.push(codec::decode(line).expect("what was written"));
        rest = after;
    }
    listed
}
