//! The buyer's side against archives made in memory, and against a real relay.

mod conflicts;
mod hostile;
pub mod kit;
mod placing;
mod relay;

use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use handover_shared::archive::stream::Position;
use handover_shared::ids::{BlockIndex, BlockSize, LinkKey, Millis};
use tempfile::TempDir;

use self::kit::{Answer, Seller, Thing, Watcher};
use super::ConflictPolicy;
use super::checkpoint::{Checkpoint, Stage};
use super::finish::Tally;
use super::pipeline::{Bounds, Feedback};
use super::settle::{Ending, Site, clean_up};
use super::work::Destination;
use super::{kept, now};
use crate::error::Error;
use crate::home::Home;
use crate::home::transfers::Held;

/// A buyer's machine, and a seller whose blocks are given to it by hand.
struct Bench {
    scratch: TempDir,
    home: Home,
    held: Held,
    seller: Seller,
    blocks: Vec<Vec<u8>>,
    watcher: Arc<Watcher>,
    policy: ConflictPolicy,
    since: Millis,
}

impl Bench {
    fn new(things: &[Thing]) -> Self {
        Self::sized(things, BlockSize::Small)
    }

    fn sized(things: &[Thing], size: BlockSize) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::open(Some(&scratch.path().join("home"))).unwrap();
        let (held, since) = (home.new_transfer().unwrap(), now());
        let seller = Seller::new(&LinkKey([1; 32]), size, things);
        let blocks = seller.archive(things);
        std::fs::create_dir(scratch.path().join("to")).unwrap();
        Self { scratch, home, held, seller, blocks, watcher: Watcher::new(), policy: ConflictPolicy::Ask, since }
    }

    fn to(&self) -> std::path::PathBuf {
        self.scratch.path().join("to")
    }

    fn place(&self) -> Destination {
        Destination::open(&self.to()).unwrap()
    }

    fn site(&self) -> Site {
        Site {
            folder: (*self.held).clone(),
            transfer: self.seller.transfer,
            key: self.seller.key.duplicate(),
            block_size: self.seller.size,
            destination: Some(self.place()),
            bounds: Bounds::of(&self.seller.reopened().summary),
            since: self.since,
            policy: self.policy,
            observer: self.watcher.clone(),
        }
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        Checkpoint::read(&kept::checkpoint_file(&self.held)).unwrap()
    }

    /// Goes on from the checkpoint, up to this block at most; what the pipeline says in the end.
    fn run_to(&self, end: usize) -> Vec<Feedback> {
        let checkpoint = self.checkpoint();
        let from = match &checkpoint {
            Some(Checkpoint { stage: Stage::Stream(position, _), .. }) => *position,
            Some(Checkpoint { stage: Stage::Whole(_), .. }) => return Vec::new(),
            None => Position::START,
        };
        let pipeline = self.site().start(checkpoint).unwrap();
        for index in from.block().0 as usize..end.min(self.blocks.len()) {
            let block = BytesMut::from(&self.blocks[index][..]);
            if pipeline.blocks.blocking_send((BlockIndex(index as u64), block)).is_err() {
                break;
            }
        }
        pipeline.finish()
    }

    fn receive(&self) {
        let said = self.run_to(usize::MAX);
        assert!(matches!(said.as_slice(), [] | [Feedback::Whole(_)]), "{said:?}");
    }

    fn end(&self, answer: &Arc<Answer>) -> Result<Tally, Error> {
        let Some(Checkpoint { stage: Stage::Whole(tail), .. }) = self.checkpoint() else { panic!("not whole") };
        let ending = Ending {
            site: self.site(),
            home: self.home.clone(),
            offer: Arc::new(self.seller.reopened()),
            tail,
            decide: answer.clone(),
        };
        ending.run()
    }

    /// Everything, with an answer to what is asked.
    fn whole(&self, answer: Option<ConflictPolicy>) -> Tally {
        self.receive();
        let tally = self.end(&Answer::with(answer)).unwrap();
        clean_up(&self.held, &self.seller.transfer, Some(&self.place())).unwrap();
        tally
    }

    fn tree(&self) -> Vec<String> {
        kit::tree(&self.to())
    }

    fn write(&self, path: &str, bytes: &str) {
        let path = self.to().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.to().join(path)).unwrap()
    }

    fn has(&self, path: impl AsRef<Path>) -> bool {
        std::fs::symlink_metadata(self.to().join(path)).is_ok()
    }
}
