//! A folder, its plan, a journal, and pipelines over them; and a reader that decodes what they made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use handover_shared::archive::block::OpenedBlock;
use handover_shared::archive::catalogue::Tail;
use handover_shared::archive::frame::{Level, Unpacker};
use handover_shared::archive::inventory::InventorySalt;
use handover_shared::archive::item::Reason;
use handover_shared::archive::reader::{self, Reader};
use handover_shared::archive::stream::{FrameReader, Taken};
use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, TransferId};
use handover_shared::keys::Secret;
use handover_shared::proof::Identity;
use zeroize::Zeroizing;

use crate::event::{Event, Observer};
use crate::home::Home;
use crate::home::signing::SigningKey;
use crate::home::transfers::Held;
use crate::push::journal::{Journal, Rest};
use crate::push::pipeline::{Made, Pipeline, Setup};
use crate::push::plan::{PlanHead, PlanWriter};
use crate::push::statements::Sealer;
use crate::push::{Filters, Links, Source, scan};
use crate::stop;

const TRANSFER: TransferId = TransferId([7; 16]);

pub fn random(seed: &str, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut content);
    content
}

/// What was told.
#[derive(Default)]
pub struct Told(Mutex<Vec<u32>>);

impl Told {
    pub fn again(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Told {
    fn event(&self, event: Event) {
        if let Event::ReadAgain { attempt, .. } = event {
            self.0.lock().unwrap().push(attempt);
        }
    }
}

pub struct World {
    scratch: tempfile::TempDir,
    held: Held,
    size: BlockSize,
}

pub struct Ran {
    pub blocks: Vec<Bytes>,
    pub total: Option<u64>,
    pub told: Arc<Told>,
}

impl World {
    pub fn new(size: BlockSize) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("top")).unwrap();
        let held = Home::open(Some(&scratch.path().join("home"))).unwrap().new_transfer().unwrap();
        std::fs::write(held.file("offer.txt"), "an offer").unwrap();
        Self { scratch, held, size }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join("top").join(name)
    }

    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn folder(&self, name: &str) {
        std::fs::create_dir_all(self.at(name)).unwrap();
    }

    pub fn plan(&self) {
        let tops = scan::tops(&[Source::Path(self.scratch.path().join("top"))]).unwrap();
        let mut writer = PlanWriter::create(&self.held.file("plan"), &PlanHead::new(None, &tops)).unwrap();
        let (_stopper, stop) = stop::pair();
        scan::walk(&tops, &Filters::default(), Links::Kept, &Told::default(), &stop, &mut |it| writer.add(it)).unwrap();
        writer.finish().unwrap();
    }

    fn journal(&self) -> Journal {
        Journal::open(self.held.file("marks"), self.held.file("records")).unwrap()
    }

    pub fn made(&self) -> u64 {
        self.journal().made().0
    }

    /// Everything an earlier run left.
    pub fn forget(&self) {
        for name in ["marks", "records"] {
            std::fs::remove_file(self.held.file(name)).unwrap();
        }
    }

    pub fn rest(&self, durable: u64) -> &'static str {
        match self.journal().resume(BlockCount(durable)).unwrap().0.rest {
            Rest::Blocks => "blocks",
            Rest::Nothing => "nothing",
        }
    }

    fn start(&self, durable: u64, told: Arc<Told>) -> Pipeline {
        let (resumption, journal) = self.journal().resume(BlockCount(durable)).unwrap();
        let secret = |byte| Secret::new(Zeroizing::new([byte; 32]));
        Pipeline::start(Setup {
            plan: self.held.file("plan"),
            resumption,
            journal,
            transfer: TRANSFER,
            block_size: self.size,
            block_key: secret(1),
            manifest_key: secret(2),
            inventory_salt: InventorySalt([3; 16]),
            level: Some(Level::DEFAULT),
            sealer: Sealer::new(&self.held, TRANSFER, &SigningKey::open(Identity::of_seed(&[3; 32]))).unwrap(),
            stdin: None,
            observer: told,
        })
        .unwrap()
    }

    /// Goes on behind so many blocks, and takes at most so many more.
    pub async fn run(&self, durable: u64, most: u64) -> Ran {
        let told = Arc::<Told>::default();
        let mut pipeline = self.start(durable, told.clone());
        let ran = self.take(&mut pipeline, durable, most, told, |_| ()).await;
        pipeline.stop().await;
        ran
    }

    /// Takes some blocks, and forgets about the rest.
    pub async fn run_and_drop(&self, most: u64) {
        let mut pipeline = self.start(0, Arc::default());
        self.take(&mut pipeline, 0, most, Arc::default(), |_| ()).await;
        assert!(self.open_records() > 0);
    }

    /// As a run that goes on, but with a copy of the journal, so that the next one begins like this one.
    pub async fn run_again(&self, durable: u64) -> Ran {
        let copies: Vec<(PathBuf, Vec<u8>)> = ["marks", "records"]
            .map(|name| (self.held.file(name), std::fs::read(self.held.file(name)).unwrap()))
            .to_vec();
        let ran = self.run(durable, u64::MAX).await;
        copies.into_iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
        ran
    }

    /// Takes some blocks, lets something happen, and takes the others.
    pub async fn run_with(&self, told: Told, durable: u64, before: u64, happen: impl FnOnce()) -> Ran {
        let told = Arc::new(told);
        let mut pipeline = self.start(durable, told.clone());
        let first = self.take(&mut pipeline, durable, before, told.clone(), |_| ()).await;
        happen();
        let mut rest = self.take(&mut pipeline, durable + before, u64::MAX, told, |_| ()).await;
        rest.blocks = [first.blocks, rest.blocks].concat();
        rest
    }

    /// Runs to the end, and does something after every block.
    pub async fn run_checking(&self, told: Arc<Told>, check: impl Fn(&Self, u64)) -> Ran {
        let mut pipeline = self.start(0, told.clone());
        let ran = self.take(&mut pipeline, 0, u64::MAX, told, |index| check(self, index)).await;
        assert!(ran.total.is_some());
        ran
    }

    async fn take(
        &self,
        pipeline: &mut Pipeline,
        durable: u64,
        most: u64,
        told: Arc<Told>,
        check: impl Fn(u64),
    ) -> Ran {
        let mut ran = Ran { blocks: Vec::new(), total: None, told };
        while (ran.blocks.len() as u64) < most
            && let Some(made) = pipeline.next().await
        {
            match made.unwrap() {
                Made::Block { index, bytes, .. } => {
                    assert_eq!(index.0, durable + ran.blocks.len() as u64);
                    check(index.0);
                    ran.blocks.push(bytes);
                }
                Made::Last { total, .. } => {
                    ran.total = Some(total.0);
                    break;
                }
            }
        }
        ran
    }

    /// How often this process has the list of records open.
    pub fn open_records(&self) -> usize {
        let own = self.held.file("records");
        let fds = std::fs::read_dir("/proc/self/fd").unwrap();
        fds.filter(|fd| std::fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|path| path == own)).count()
    }

    /// Opens, joins, unpacks and checks everything.
    pub fn decode(&self, blocks: &[Bytes]) -> Got {
        let mut frames = FrameReader::new();
        let mut reader = Reader::new(&[2; 32]);
        let mut unpacker = Unpacker::new().unwrap();
        let mut got = Got::default();
        for (index, sealed) in blocks.iter().enumerate() {
            let index = BlockIndex(index as u64);
            let opened = OpenedBlock::open(&[1; 32], &TRANSFER, index, self.size, sealed.to_vec()).unwrap();
            let mut ended = Vec::new();
            let payload = opened.payload();
            if format!("{:?}", payload.kind()).contains("Fresh") {
                got.sections += 1;
            }
            match frames.push(index, &payload, &mut ended).unwrap() {
                Taken::Tail(tail) => {
                    let tail = Tail::parse(tail).unwrap();
                    reader.finish(&tail, frames.stream_blocks().unwrap()).unwrap();
                    got.stream_blocks = tail.stream_blocks;
                    got.is_whole = true;
                }
                Taken::Stream | Taken::Padding => {}
            }
            for frame in ended {
                let raw = unpacker.unpack(frame.frame).unwrap();
                reader.frame(frame.location, &raw).for_each(|event| got.take(event.unwrap()));
            }
        }
        assert!(got.is_whole, "the archive has an end");
        got
    }
}

#[derive(Default)]
pub struct Got {
    pub files: BTreeMap<String, Vec<u8>>,
    pub folders: Vec<String>,
    pub exceptions: Vec<(String, Reason)>,
    pub voids: usize,
    pub sections: usize,
    pub stream_blocks: u64,
    is_whole: bool,
    current: String,
}

/// What arrives is the same, however often it was interrupted.
impl PartialEq for Got {
    fn eq(&self, other: &Self) -> bool {
        (&self.files, &self.folders, &self.exceptions) == (&other.files, &other.folders, &other.exceptions)
    }
}

impl Got {
    fn take(&mut self, event: reader::Event<'_>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match event {
            reader::Event::FileBegin(entry) => {
                self.current = text(entry.path.as_bytes());
                self.files.insert(self.current.clone(), Vec::new());
            }
            reader::Event::Data { bytes, .. } => {
                self.files.get_mut(&self.current).unwrap().extend_from_slice(bytes);
            }
            reader::Event::FileVoid(_) => {
                self.voids += 1;
                self.files.remove(&self.current);
            }
            reader::Event::Folder(record) => self.folders.push(text(record.path.as_bytes())),
            reader::Event::Exception(record) => {
                self.exceptions.push((text(record.path.as_bytes()), record.reason.unwrap()));
            }
            reader::Event::FileEnd(_) | reader::Event::Link(_) | reader::Event::Page(_) => {}
        }
    }
}
