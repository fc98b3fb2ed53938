//! Packing frames on several cores, in order.
//!
//! Every frame is a job for whichever worker is free, and a ticket in the queue of the step that follows. The ticket is
//! redeemed when its turn has come, so that what comes out is in the order of what went in.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use handover_shared::archive::ArchiveFault;
use handover_shared::archive::frame::{Packed, Packer};
use handover_shared::archive::manifest::Counts;
use handover_shared::archive::writer::{FrameNotes, RawFrame};
use handover_shared::ids::Root;
use tokio::sync::mpsc;

use super::level::LevelChoice;
use super::pipeline::{Made, Stopped, spawn};
use super::source::Signature;
use crate::error::Error;

const WORKERS_MAX: usize = 8;
/// Frames in the queues beyond those that workers have.
const QUEUE_FRAMES: usize = 2;

/// As many as there are cores, within reason.
pub fn worker_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX)
}

struct Job {
    raw: Vec<u8>,
    done: SyncSender<Result<Packed, ArchiveFault>>,
}

/// What the reading step hands to the cutting step, in order.
pub enum Fed {
    /// A frame that is being packed.
    Frame {
        /// Redeemed for it.
        packed: Receiver<Result<Packed, ArchiveFault>>,
        /// What goes with it.
        notes: Box<FrameNotes>,
        /// Of the file that is open behind it.
        signature: Option<Signature>,
    },
    /// What there is shall leave, although it fills no block.
    Flush,
    /// All entries were given; answered with the length of the list of records when the last has its place.
    EntriesOver(SyncSender<u64>),
    /// Everything was given.
    Over {
        /// How much there is of what.
        counts: Counts,
        /// Over all of it.
        root: Root,
    },
}

/// Takes raw frames.
pub struct Feed {
    jobs: SyncSender<Job>,
    order: SyncSender<Fed>,
}

impl Feed {
    /// Has a frame packed.
    pub(super) fn frame(&self, frame: RawFrame, signature: Option<Signature>) -> Result<(), Stopped> {
        let (done, packed) = sync_channel(1);
        let job = Job { raw: frame.bytes, done };
        self.jobs.send(job).or(Err(Stopped::Unwanted))?;
        self.put(Fed::Frame { packed, notes: Box::new(frame.notes), signature })
    }

    /// Hands something over behind all frames so far.
    pub(super) fn put(&self, fed: Fed) -> Result<(), Stopped> {
        self.order.send(fed).or(Err(Stopped::Unwanted))
    }
}

/// The workers, not yet at work.
pub struct Workers {
    choice: LevelChoice,
    packers: Vec<Packer>,
    jobs: Receiver<Job>,
}

impl Workers {
    /// Sets workers up: where frames go in, where they come out, and who packs them.
    ///
    /// # Errors
    /// [`Error::Internal`] if there is no compressor.
    pub fn new(choice: LevelChoice, count: usize) -> Result<(Feed, Receiver<Fed>, Self), Error> {
        let packers = (0..count).map(|_| Packer::new(choice.level())).collect::<Result<Vec<_>, _>>();
        let packers = packers.map_err(|fault| Error::Internal(fault.to_string()))?;
        let (send_jobs, jobs) = sync_channel(1);
        let (order, fed) = sync_channel(count + QUEUE_FRAMES);
        Ok((Feed { jobs: send_jobs, order }, fed, Self { choice, packers, jobs }))
    }

    /// Sets them to work; they end when nobody gives frames any more.
    ///
    /// # Errors
    /// [`Error::Disk`] if a thread cannot be started.
    pub fn spawn(self, made: &mpsc::Sender<Result<Made, Error>>) -> Result<(), Error> {
        let (jobs, choice) = (Arc::new(Mutex::new(self.jobs)), Arc::new(self.choice));
        choice.begin();
        for mut packer in self.packers {
            let (jobs, choice) = (jobs.clone(), choice.clone());
            spawn("push-pack", made, move || {
                loop {
                    let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(Job { raw, done }) = job else { return Ok(()) };
                    if done.send(choice.pack(&mut packer, raw)).is_err() {
                        return Err(Stopped::Unwanted);
                    }
                }
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use handover_shared::archive::frame::Unpacker;
    use handover_shared::archive::writer::WriterState;

    use super::*;

    #[test]
    fn frames_come_out_in_order_whoever_is_quicker() {
        let (made, _held) = mpsc::channel(1);
        let (feed, fed, workers) = Workers::new(LevelChoice::new(None, 4), 4).unwrap();
        workers.spawn(&made).unwrap();
        let given = std::thread::spawn(move || {
            for ordinal in 0..200u64 {
                // Every third is large, so that its worker is overtaken.
                let bytes = vec![ordinal as u8; if ordinal % 3 == 0 { 1 << 20 } else { 10 }];
                let notes = FrameNotes { ordinal, finished: Vec::new(), after: WriterState::default() };
                assert!(feed.frame(RawFrame { bytes, notes }, None).is_ok());
            }
        });
        let mut unpacker = Unpacker::new().unwrap();
        for expected in 0..200u64 {
            let Ok(Fed::Frame { packed, notes, .. }) = fed.recv() else { panic!("no frame {expected}") };
            assert_eq!(notes.ordinal, expected);
            let raw = unpacker.unpack(packed.recv().unwrap().unwrap()).unwrap();
            assert!(raw.iter().all(|&byte| byte == expected as u8));
        }
        assert!(fed.recv().is_err());
        given.join().unwrap();
    }
}
