//! The path of the data: sealed blocks in, entries in their places out.
//!
//! ```text
//! blocks -> [opener: open, join to frames] -> [unpackers] -> [placer: check, write, checkpoint] -> destination
//! ```
//!
//! Every arrow is a queue with a bound, so that memory does not depend on the size of anything, and a slow disk slows
//! the sender down. Frames are unpacked by several threads and placed in their order.
//!
//! # Source
//! SPEC [S7] [S8] [S9.5] [S15.3].

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use handover_shared::archive::ArchiveFault;
use handover_shared::archive::block::open_block;
use handover_shared::archive::catalogue::{Location, Tail};
use handover_shared::archive::frame::{Codec, Packed, Unpacker};
use handover_shared::archive::reader::{Event as ReaderEvent, Reader, ReaderState};
use handover_shared::archive::stream::{FrameReader, LocatedFrame, Position, Taken};
use handover_shared::ids::{BlockIndex, BlockSize, TransferId};
use handover_shared::keys::schedule::ContentKey;
use handover_shared::proof::Summary;
use tokio::sync::mpsc;

use super::checkpoint::{Checkpoint, Keeper, Offered, Stage};
use super::place::{Placer, Trouble};
use super::stdout::Pour;
use crate::error::Error;
use crate::home::{checked, write_private};

/// Sealed blocks that wait to be opened.
const BLOCKS_QUEUED: usize = 4;
/// Frames that are being unpacked or wait to be placed.
const FRAMES_QUEUED: usize = 4;
const UNPACKERS_MAX: usize = 4;
const CHECKPOINT_BYTES: u64 = 64 * 1024 * 1024;
const CHECKPOINT_AFTER: Duration = Duration::from_secs(2);

/// What a pipeline works on.
pub(super) struct Job {
    /// Which transfer.
    pub transfer: TransferId,
    /// The size of its blocks.
    pub block_size: BlockSize,
    /// What opens it.
    pub key: ContentKey,
    /// From where on.
    pub from: Position,
    /// What is known of what came before.
    pub reader: Option<ReaderState>,
    /// How much may come.
    pub bounds: Bounds,
}

/// How much may come: what the seller announced, and room for what grew or appeared while it was read.
///
/// A few sealed blocks can unpack to more than any disk holds, so what the buyer agreed to is the measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    bytes_max: u64,
    records_max: u64,
}

/// Room beyond twice what was announced.
const SPARE_BYTES: u64 = 256 * 1024 * 1024;
const SPARE_RECORDS: u64 = 100_000;

impl Bounds {
    /// Of what an offer announces. Without a number of bytes, as from standard input, they are not bounded.
    pub fn of(summary: &Summary) -> Self {
        let entries = summary.files.saturating_add(summary.folders).saturating_add(summary.links);
        let bytes_max = match summary.bytes {
            None => u64::MAX,
            Some(bytes) => bytes.saturating_mul(2).saturating_add(SPARE_BYTES),
        };
        Self { bytes_max, records_max: entries.saturating_mul(2).saturating_add(SPARE_RECORDS) }
    }

    fn hold(&self, state: &ReaderState) -> bool {
        bytes_of(state) <= self.bytes_max && state.counts().records() <= self.records_max
    }
}

/// Where entries go.
pub(super) enum Sink {
    /// Into the destination, with checkpoints.
    Disk {
        /// Places.
        placer: Box<Placer>,
        /// Writes checkpoints.
        keeper: Keeper,
    },
    /// To standard output.
    Stdout {
        /// The stream.
        pour: Box<Pour>,
        /// Where is kept what can be named of it later.
        inventory: PathBuf,
    },
}

/// What a pipeline says while it works.
#[derive(Debug)]
pub(super) enum Feedback {
    /// This block does not open; nothing after it is looked at until it comes again.
    Damaged(BlockIndex),
    /// The archive is whole; this is its tail record.
    Whole(Vec<u8>),
    /// It cannot go on.
    Failed(Error),
    /// The partial data does not fit the checkpoint: everything has to begin anew.
    Restart,
}

/// How far a pipeline is, to be looked at from elsewhere.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// Content bytes that came and are authentic.
    pub bytes: AtomicU64,
    /// Blocks that were opened, counted from the first of the transfer; never the tail.
    pub opened: AtomicU64,
    /// Files with their final name.
    pub files: AtomicU64,
    /// The file under way.
    pub current: Mutex<Option<Vec<u8>>>,
}

impl Gauge {
    fn tell(&self, state: &ReaderState) {
        self.bytes.store(bytes_of(state), Ordering::Relaxed);
        self.files.store(state.counts().files, Ordering::Relaxed);
    }
}

/// Content bytes that came, those of the file under way included.
pub(super) fn bytes_of(state: &ReaderState) -> u64 {
    state.counts().bytes.saturating_add(state.open().map_or(0, |open| open.bytes()))
}

/// Threads at work.
pub(super) struct Pipeline {
    /// Takes sealed blocks, in order. Dropping it ends the pipeline behind what it has taken.
    pub blocks: mpsc::Sender<(BlockIndex, BytesMut)>,
    /// Tells what happens.
    pub feedback: mpsc::UnboundedReceiver<Feedback>,
    /// Tells how far it is.
    pub gauge: Arc<Gauge>,
    threads: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system gives no thread.
    pub fn start(job: Job, sink: Sink) -> Result<Self, Error> {
        let (blocks, blocks_in) = mpsc::channel(BLOCKS_QUEUED);
        let (feedback_out, feedback) = mpsc::unbounded_channel();
        let (steps, steps_in) = sync_channel(FRAMES_QUEUED);
        let (packed, packed_in) = sync_channel::<Unpack>(FRAMES_QUEUED);
        let gauge = Arc::new(Gauge::default());
        if let Some(state) = &job.reader {
            gauge.tell(state);
        }
        gauge.opened.store(job.from.block().0, Ordering::Relaxed);

        let manifest_key = job.key.manifest_key(&job.transfer);
        let reader = match job.reader {
            Some(state) => Reader::resume(manifest_key.expose(), state),
            None => Reader::new(manifest_key.expose()),
        };
        let opener = Opener {
            transfer: job.transfer,
            size: job.block_size,
            key: job.key,
            frames: FrameReader::resume(job.from),
            next: job.from.block(),
            gauge: gauge.clone(),
            steps,
            packed,
            feedback: feedback_out.clone(),
        };
        let (bounds, after) = (job.bounds, job.from);
        let end = End { reader, sink, gauge: gauge.clone(), bounds, after, since: 0, last: Instant::now() };

        let mut threads = vec![spawn("open", move || opener.run(blocks_in))?];
        let packed_in = Arc::new(Mutex::new(packed_in));
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(UNPACKERS_MAX);
        for _ in 0..count {
            let packed_in = packed_in.clone();
            threads.push(spawn("unpack", move || unpack(&packed_in))?);
        }
        threads.push(spawn("place", move || end.run(&steps_in, &feedback_out))?);
        Ok(Self { blocks, feedback, gauge, threads })
    }

    /// Lets everything that was taken be placed, and waits until the last checkpoint is written. What it still said is
    /// in the result. It blocks.
    pub fn finish(self) -> Vec<Feedback> {
        let Self { blocks, mut feedback, threads, gauge: _ } = self;
        drop(blocks);
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the pipeline panicked");
            }
        }
        std::iter::from_fn(|| feedback.try_recv().ok()).collect()
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(|error| Error::Internal(error.to_string()))
}

/// What the placer is given, in order.
enum Step {
    Frame { location: Location, after: Position, raw: Receiver<Result<Vec<u8>, ArchiveFault>> },
    Tail { record: Vec<u8>, stream_blocks: u64, block: BlockIndex },
}

/// A frame on its way through an unpacker.
struct Unpack {
    frame: Packed,
    raw: SyncSender<Result<Vec<u8>, ArchiveFault>>,
}

/// Opens blocks and joins them to frames.
struct Opener {
    transfer: TransferId,
    size: BlockSize,
    key: ContentKey,
    frames: FrameReader,
    next: BlockIndex,
    gauge: Arc<Gauge>,
    steps: SyncSender<Step>,
    packed: SyncSender<Unpack>,
    feedback: mpsc::UnboundedSender<Feedback>,
}

/// Nobody takes what comes out any more; whoever stopped has said why.
struct Gone;

impl Opener {
    fn run(mut self, mut blocks: mpsc::Receiver<(BlockIndex, BytesMut)>) {
        let block_key = self.key.block_key(&self.transfer);
        let mut frames = Vec::new();
        while let Some((index, mut sealed)) = blocks.blocking_recv() {
            // Others were on their way when one came damaged.
            if index != self.next {
                continue;
            }
            // [S8.2]
            let opened = open_block(block_key.expose(), &self.transfer, index, self.size, &mut sealed);
            let taken = match opened {
                Ok(payload) => self.frames.push(index, &payload, &mut frames),
                Err(ArchiveFault::BlockSealed) => {
                    self.say(Feedback::Damaged(index));
                    continue;
                }
                Err(fault) => Err(fault),
            };
            self.next = index.next();
            let passed = frames.drain(..).try_for_each(|frame| pass_on(frame, &self.steps, &self.packed));
            let tail = match (taken, passed) {
                (_, Err(Gone)) => return,
                (Err(fault), _) => return self.say(Feedback::Failed(altered(fault, index))),
                (Ok(Taken::Tail(record)), _) => record.to_vec(),
                (Ok(_), _) => {
                    self.gauge.opened.store(self.next.0, Ordering::Relaxed);
                    continue;
                }
            };
            let stream_blocks = self.frames.stream_blocks().unwrap_or(0);
            if self.steps.send(Step::Tail { record: tail, stream_blocks, block: index }).is_err() {
                tracing::debug!("the placer was gone before the tail");
            }
            return;
        }
    }

    fn say(&self, feedback: Feedback) {
        if self.feedback.send(feedback).is_err() {
            tracing::debug!("nobody hears the pipeline any more");
        }
    }
}

/// Gives a frame to an unpacker, and its place in the order to the placer. What is stored is unpacked already.
fn pass_on(located: LocatedFrame, steps: &SyncSender<Step>, packed: &SyncSender<Unpack>) -> Result<(), Gone> {
    let LocatedFrame { location, frame, after } = located;
    let (raw_out, raw) = sync_channel(1);
    let unpack = Unpack { frame, raw: raw_out };
    match unpack.frame.head().codec() {
        Codec::Stored => {
            let Unpack { frame, raw } = unpack;
            raw.send(Ok(frame.into_buffer())).or(Err(Gone))?;
        }
        Codec::Zstd => packed.send(unpack).or(Err(Gone))?,
    }
    steps.send(Step::Frame { location, after, raw }).or(Err(Gone))
}

fn unpack(frames: &Mutex<Receiver<Unpack>>) {
    let mut unpacker = match Unpacker::new() {
        Ok(unpacker) => unpacker,
        Err(fault) => return tracing::error!(%fault, "no decompressor"),
    };
    loop {
        let next = frames.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Unpack { frame, raw }) = next else { return };
        if raw.send(unpacker.unpack(frame)).is_err() {
            return;
        }
    }
}

/// The end of the pipeline: checks, places, keeps checkpoints.
struct End {
    reader: Reader,
    sink: Sink,
    gauge: Arc<Gauge>,
    bounds: Bounds,
    /// Behind the last frame.
    after: Position,
    /// Raw bytes since the last checkpoint.
    since: u64,
    last: Instant,
}

impl End {
    fn run(mut self, steps: &Receiver<Step>, feedback: &mpsc::UnboundedSender<Feedback>) {
        let ended = self.take_all(steps);
        let (said, last) = match ended {
            Ok(Some(tail)) => (Some(Feedback::Whole(tail.clone())), Some(Stage::Whole(tail))),
            Ok(None) => (None, Some(Stage::Stream(self.after, Box::new(self.reader.state().clone())))),
            Err(Trouble::Failed(error)) => (Some(Feedback::Failed(error)), None),
            Err(Trouble::Restart) => (Some(Feedback::Restart), None),
        };
        let said = match (self.finish(last), said) {
            (Err(error), None | Some(Feedback::Whole(_))) => Some(Feedback::Failed(error)),
            (_, said) => said,
        };
        if let Some(said) = said
            && feedback.send(said).is_err()
        {
            tracing::debug!("nobody hears the pipeline any more");
        }
    }

    /// Writes the last checkpoint. The archive counts as here only when that is done.
    fn finish(self, last: Option<Stage>) -> Result<(), Error> {
        match self.sink {
            Sink::Stdout { pour, inventory } => {
                let text = pour.finish()?;
                write_private(&inventory, &checked::file(text.as_bytes())) // [S9.6]
            }
            Sink::Disk { mut placer, keeper } => {
                let last = match last {
                    Some(stage) => Some(Checkpoint::new(stage, placer.state()?)),
                    None => None,
                };
                keeper.finish(last)
            }
        }
    }

    fn take_all(&mut self, steps: &Receiver<Step>) -> Result<Option<Vec<u8>>, Trouble> {
        while let Ok(step) = steps.recv() {
            match step {
                Step::Frame { location, after, raw } => {
                    let raw = raw.recv().map_err(|RecvError| Error::Internal("a frame was lost".into()))?;
                    let raw = raw.map_err(|fault| altered(fault, location.block))?;
                    self.frame(location, &raw)?;
                    self.after = after;
                    self.since += raw.len() as u64;
                    if self.checkpoint()?.is_break() {
                        return Ok(None);
                    }
                }
                Step::Tail { record, stream_blocks, block } => {
                    return self.tail(record, stream_blocks, block).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn frame(&mut self, location: Location, raw: &[u8]) -> Result<(), Trouble> {
        let mut current = None;
        for event in self.reader.frame(location, raw) {
            let event = event.map_err(|fault| altered(fault, location.block))?;
            if let ReaderEvent::FileBegin(entry) = &event {
                current = Some(entry.path.clone());
            }
            self.sink.take(event)?;
        }
        // [S15.9]
        if !self.bounds.hold(self.reader.state()) {
            return Err(Error::Altered { what: "S15.9", block: Some(location.block.0) }.into());
        }
        self.gauge.tell(self.reader.state());
        if let Some(path) = current {
            *self.gauge.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.as_bytes().to_vec());
        }
        Ok(())
    }

    /// Breaks when checkpoints cannot be written any more; ending the keeper tells why.
    fn checkpoint(&mut self) -> Result<ControlFlow<()>, Trouble> {
        let on = ControlFlow::Continue(());
        let Sink::Disk { placer, keeper } = &mut self.sink else { return Ok(on) };
        if let Some(refused) = placer.refused() {
            return self.stop_at(refused).map(|()| on);
        }
        if self.since < CHECKPOINT_BYTES && self.last.elapsed() < CHECKPOINT_AFTER {
            return Ok(on);
        }
        let stage = Stage::Stream(self.after, Box::new(self.reader.state().clone()));
        match keeper.offer(Checkpoint::new(stage, placer.state()?)) {
            Offered::Taken => {
                self.since = 0;
                self.last = Instant::now();
                Ok(on)
            }
            Offered::Busy => Ok(on),
            Offered::Stopped => Ok(ControlFlow::Break(())),
        }
    }

    /// Keeps what was done so far, and stops for a reason of the buyer's.
    fn stop_at(&mut self, reason: Error) -> Result<(), Trouble> {
        let Sink::Disk { placer, keeper } = &mut self.sink else { return Err(reason.into()) };
        let stage = Stage::Stream(self.after, Box::new(self.reader.state().clone()));
        let checkpoint = Checkpoint::new(stage, placer.state()?);
        keeper.insist(checkpoint);
        Err(reason.into())
    }

    fn tail(&mut self, record: Vec<u8>, stream_blocks: u64, block: BlockIndex) -> Result<Vec<u8>, Trouble> {
        // [S9.4] [S9.5]
        let fault = |fault| altered(fault, block);
        let tail = Tail::parse(&record).map_err(fault)?;
        let whole = self.reader.finish(&tail, stream_blocks).map_err(fault)?;
        tracing::debug!(root = %whole.root(), "the archive is whole");
        Ok(record)
    }
}

impl Sink {
    fn take(&mut self, event: ReaderEvent<'_>) -> Result<(), Trouble> {
        let placer = match self {
            Self::Disk { placer, .. } => placer,
            Self::Stdout { pour, .. } => return pour.take(event).map_err(Trouble::Failed),
        };
        match event {
            ReaderEvent::FileBegin(entry) => placer.file_begin(entry),
            ReaderEvent::Data { bytes, .. } => placer.data(bytes),
            ReaderEvent::FileEnd(record) => placer.file_end(record),
            ReaderEvent::FileVoid(_) => placer.file_void(),
            ReaderEvent::Folder(record) => placer.folder(record),
            ReaderEvent::Link(record) => placer.link(record),
            ReaderEvent::Exception(record) => placer.exception(record),
            ReaderEvent::Page(_) => Ok(()),
        }
    }
}

/// What came is not what the rules allow.
pub(super) fn altered(fault: ArchiveFault, block: BlockIndex) -> Error {
    tracing::warn!(%fault, rule = fault.rule(), block = block.0, "the archive breaks a rule");
    Error::Altered { what: fault.rule(), block: Some(block.0) }
}
