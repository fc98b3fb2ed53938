//! Looking for what stands in the way before anything is fetched: the archive's own catalogue against the destination.
//!
//! It is possible once the seller is done; before that, and for what appears later, conflicts are found while placing.
//! The blocks are authentic; that the catalogue is true is checked when everything is there.
//!
//! # Source
//! SPEC [S9.3] [S9.4] [S15.6].

use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

use handover_shared::archive::block::{PayloadKind, open_block};
use handover_shared::archive::catalogue::Tail;
use handover_shared::archive::frame::Unpacker;
use handover_shared::archive::item::{self, ItemRef};
use handover_shared::archive::manifest::{Record, RecordKind};
use handover_shared::archive::path::{Node, Tree as PathTree};
use handover_shared::archive::stream::{FrameReader, LocatedFrame, Position};
use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, TransferId};
use handover_shared::keys::Secret;
use handover_shared::protocol::buyer::SILENCE_MS_MAX;
use handover_shared::protocol::message::{Fetch, Reply, Request, Watch};
use tokio::sync::mpsc;

use super::Conflict;
use super::disk::{Dir, Found};
use super::names;
use super::pipeline::altered;
use super::place::is_same;
use super::tree::Stack;
use super::work::Destination;
use crate::error::Error;
use crate::link::{Relay, Replies, unexpected};
use crate::private::Private;

/// Conflicts that are shown to the person.
const SHOWN_MAX: usize = 20;
/// Pages of records that wait to be compared.
const PAGES_QUEUED: usize = 4;

const SILENCE: Duration = Duration::from_millis(SILENCE_MS_MAX);

/// What stands in the way.
#[derive(Debug, Default)]
pub(super) struct InTheWay {
    /// How much.
    pub count: u64,
    /// The first of it.
    pub first: Vec<Conflict>,
}

/// Whose catalogue is read, and with what.
pub(super) struct Precheck<'a> {
    pub relay: &'a Relay,
    pub transfer: TransferId,
    pub size: BlockSize,
    pub block_key: Secret<32>,
    /// How fast the catalogue may come.
    pub pace: Option<NonZeroU64>,
}

impl Precheck<'_> {
    /// Compares the catalogue with the destination; `None` while the seller is not done.
    ///
    /// # Errors
    /// What the relay says, [`Error::Lost`], [`Error::Altered`], [`Error::Disk`].
    pub async fn run(&self, destination: &Destination) -> Result<Option<InTheWay>, Error> {
        let Some(blocks) = self.blocks().await? else { return Ok(None) };
        let tail = self.tail(blocks).await?;
        let (records, records_in) = mpsc::channel(PAGES_QUEUED);
        let root = destination.root()?;
        let comparing = tokio::task::spawn_blocking(move || compare(root, records_in));
        let read = self.catalogue(&tail, records).await;
        let compared = comparing.await.map_err(|panicked| Error::Internal(panicked.to_string()))?;
        let compared =
            compared.map_err(|source| Error::disk("looking at what is there", destination.path(), source))?;
        read.map(|()| Some(compared))
    }

    async fn in_time<T>(&self, asking: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let answer = tokio::time::timeout(SILENCE, asking).await;
        answer.unwrap_or_else(|_elapsed| {
            Err(Error::Lost { address: self.relay.address().to_string(), cause: "no answer in time".into() })
        })
    }

    async fn open(&self, request: &Request) -> Result<(Reply, Replies), Error> {
        let asking = async {
            let (mut send, mut replies) = self.relay.open(request).await?;
            send.finish();
            let reply = replies.next().await?.ok_or(Error::RelayMisbehaved("finished without an answer"))?;
            Ok((reply, replies))
        };
        self.in_time(asking).await
    }

    /// How many blocks there are, if that is known.
    async fn blocks(&self) -> Result<Option<BlockCount>, Error> {
        let watch = Request::Watch(Watch { transfer: self.transfer, from_event: u64::MAX });
        match self.open(&watch).await? {
            (Reply::Snapshot(snapshot), mut replies) => {
                replies.stop();
                Ok(snapshot.blocks.filter(|blocks| blocks.0 > 0))
            }
            (other, _) => Err(unexpected(other)),
        }
    }

    async fn fetch(&self, from: BlockIndex) -> Result<Replies, Error> {
        match self.open(&Request::Fetch(Fetch { transfer: self.transfer, from, pace: self.pace })).await? {
            (Reply::Fetching(_), replies) => Ok(replies),
            (other, _) => Err(unexpected(other)),
        }
    }

    async fn tail(&self, blocks: BlockCount) -> Result<Tail, Error> {
        let index = BlockIndex(blocks.0 - 1);
        let mut replies = self.fetch(index).await?;
        let mut sealed = self.block(&mut replies).await?;
        let payload = open_block(self.block_key.expose(), &self.transfer, index, self.size, &mut sealed)
            .map_err(|fault| altered(fault, index))?;
        if payload.kind() != PayloadKind::Tail {
            return Err(Error::Altered { what: "S8.5", block: Some(index.0) });
        }
        let tail = Tail::parse(payload.used()).map_err(|fault| altered(fault, index))?;
        // What is asked of the relay next must be there.
        if tail.catalogue.block.0 >= tail.stream_blocks || tail.stream_blocks >= blocks.0 {
            return Err(Error::Altered { what: "S9.4", block: Some(index.0) });
        }
        Ok(tail)
    }

    async fn block(&self, replies: &mut Replies) -> Result<bytes::BytesMut, Error> {
        let block = replies.block_in_time(self.size.sealed_bytes(), SILENCE).await?;
        block.ok_or(Error::RelayMisbehaved("finished before the last block"))
    }

    async fn catalogue(&self, tail: &Tail, records: mpsc::Sender<Vec<Record>>) -> Result<(), Error> {
        let mut reader = FrameReader::resume(Position::at(tail.catalogue));
        let mut unpacker = Unpacker::new().map_err(|fault| Error::Internal(fault.to_string()))?;
        let mut frames = Vec::new();
        // A name is compared once, however often a hostile catalogue lists it. [S6.7]
        let mut order = PathTree::default();
        let mut replies = self.fetch(tail.catalogue.block).await?;
        for index in tail.catalogue.block.0..tail.stream_blocks {
            let index = BlockIndex(index);
            let mut sealed = self.block(&mut replies).await?;
            let payload = open_block(self.block_key.expose(), &self.transfer, index, self.size, &mut sealed);
            let taken = payload.and_then(|payload| reader.push(index, &payload, &mut frames).map(|_| ()));
            taken.map_err(|fault| altered(fault, index))?;
            for LocatedFrame { frame, .. } in frames.drain(..) {
                let raw = unpacker.unpack(frame).map_err(|fault| altered(fault, index))?;
                for found in item::items(&raw) {
                    let ItemRef::Page(page) = found.map_err(|fault| altered(fault, index))?.item else {
                        return Err(Error::Altered { what: "S9.4", block: Some(index.0) });
                    };
                    let page: Vec<Record> = page.listed.into_iter().map(|line| line.record).collect();
                    for record in &page {
                        let node = if record.kind == RecordKind::Folder { Node::Folder } else { Node::Leaf };
                        order.admit(&record.path, node).map_err(|fault| altered(fault, index))?;
                    }
                    if records.send(page).await.is_err() {
                        // The comparison has failed, and says why.
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

/// What is known of a folder of the archive.
enum Known {
    /// It is there.
    Here(Dir),
    /// It is not, so that nothing stands in the way of what is in it; or something stands in its own way.
    Absent,
}

fn compare(root: Dir, mut records: mpsc::Receiver<Vec<Record>>) -> io::Result<InTheWay> {
    let mut stack: Stack<Known> = Stack::default();
    let mut found = InTheWay::default();
    while let Some(page) = records.blocking_recv() {
        for record in page {
            stack.leave(&record.path);
            let depth = stack.depth();
            let above = match stack.innermost() {
                None => Some(&root),
                Some(Known::Here(dir)) => Some(dir),
                Some(Known::Absent) => None,
            };
            let met = match above {
                Some(above) if depth > 0 || !names::is_reserved(record.path.name()) => meet(above, &record)?,
                _ => Met::Nothing,
            };
            if let Met::Other(existing_bytes) = met {
                found.count += 1;
                if found.first.len() < SHOWN_MAX {
                    let path = Private::new(record.path.as_bytes().to_vec());
                    found.first.push(Conflict { path, existing_bytes, new_bytes: record.size });
                }
            }
            if record.kind == RecordKind::Folder {
                let known = if let Met::Folder(dir) = met { Known::Here(dir) } else { Known::Absent };
                stack.enter(record.path.name(), known);
            }
        }
    }
    Ok(found)
}

/// What an entry would meet.
enum Met {
    /// Nothing that matters.
    Nothing,
    /// The folder it is.
    Folder(Dir),
    /// Something else; with its bytes, if it is a file.
    Other(u64),
}

fn meet(above: &Dir, record: &Record) -> io::Result<Met> {
    let name = record.path.name();
    let existing = above.look(name)?;
    Ok(match (record.kind, existing) {
        (RecordKind::Exception, _) | (_, Found::Nothing) => Met::Nothing,
        (RecordKind::Folder, Found::Folder) => Met::Folder(above.enter(name)?),
        (RecordKind::File | RecordKind::Link, _) if is_same(above, name, record)? => Met::Nothing,
        (_, Found::File(bytes)) => Met::Other(bytes),
        _ => Met::Other(0),
    })
}
