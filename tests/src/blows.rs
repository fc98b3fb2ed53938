//! Blows: who of a handover is hit, how, and at which moment of it; and the world in which that happens.
//!
//! A moment is a step of the handover as it shows on disks, and a short span behind it that dice throw. After every blow
//! the same command is given again; a party that was only frozen or not hit goes on by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::data::{self, Dice};
use crate::disk::Disk;
use crate::{Ended, Launch, Person, RelayProc, Running, Scratch, Tree, wait};

const MIB: u64 = 1024 * 1024;
/// A block of the transfers of these worlds.
const BLOCK_BYTES: u64 = MIB;
/// How long after its moment a blow may come, in microseconds.
const LATE_MICROS: u64 = 20_000;
/// How often a client may find that the relay is just not there.
const UNREACHED_MAX: u32 = 8;

/// Who is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// `handover push --wait`.
    Seller,
    /// `handover-relay serve`.
    Relay,
    /// `handover pull`.
    Buyer,
}

impl Who {
    /// All three.
    pub const ALL: [Who; 3] = [Who::Seller, Who::Relay, Who::Buyer];
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT a little later.
    Freeze,
    /// SIGTERM.
    Terminate,
    /// SIGINT to the whole group, as Ctrl-C does.
    Interrupt,
    /// The power of its machine is cut; only for [`World::with_disks`].
    PowerCut,
}

/// At which step of the handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// The seller has just been started: it scans and announces.
    Scan,
    /// The first sealed bytes are at the relay.
    FirstBlock,
    /// So many thousandths of everything are at the relay.
    Sent(u64),
    /// Everything is at the relay.
    Completion,
    /// The buyer is about to claim.
    Claim,
    /// So many thousandths of everything are with the buyer.
    Placed(u64),
    /// The buyer is about to sign.
    Receipt,
    /// The relay is about to delete.
    Deletion,
}

impl When {
    /// The step without its number.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::FirstBlock => "first block",
            Self::Sent(_) => "mid-stream",
            Self::Completion => "completion",
            Self::Claim => "claim",
            Self::Placed(_) => "placing",
            Self::Receipt => "receipt",
            Self::Deletion => "deletion",
        }
    }
}

/// One blow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blow {
    /// Who is hit at the same time.
    pub who: Vec<Who>,
    /// How.
    pub how: How,
    /// At which step.
    pub when: When,
    /// How long after it, in microseconds.
    pub late_micros: u64,
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?} at {:?} + {} us", self.how, self.who, self.when, self.late_micros)
    }
}

impl Blow {
    /// Cuts of power for one handover, in the order of its steps.
    pub fn power_cuts(dice: &mut Dice, count: usize) -> Vec<Self> {
        Self::throw(dice, count, None).into_iter().map(|blow| Self { how: How::PowerCut, ..blow }).collect()
    }

    /// Blows for one handover, in the order of its steps. `hit` fixes who is hit; dice choose otherwise.
    pub fn throw(dice: &mut Dice, count: usize, hit: Option<Who>) -> Vec<Self> {
        const SETS: [&[Who]; 7] = [
            &[Who::Seller],
            &[Who::Relay],
            &[Who::Buyer],
            &[Who::Seller, Who::Relay],
            &[Who::Relay, Who::Buyer],
            &[Who::Buyer, Who::Seller],
            &[Who::Relay, Who::Seller, Who::Buyer],
        ];
        let mut blows: Vec<Self> = (0..count)
            .map(|_| {
                let who = hit.map_or_else(|| dice.one_of(&SETS).to_vec(), |one| vec![one]);
                let how = *dice.one_of(&[How::Kill, How::Kill, How::Kill, How::Freeze, How::Terminate, How::Interrupt]);
                Self { when: when(dice, &who), who, how, late_micros: dice.below(LATE_MICROS) }
            })
            .collect();
        blows.sort_by_key(|blow| (blow.when, blow.late_micros));
        blows
    }
}

/// A step in which at least one of those who are hit has something to do.
fn when(dice: &mut Dice, who: &[Who]) -> When {
    let share = dice.below(1000);
    let steps = match who {
        [Who::Seller] => vec![
            When::Scan,
            When::FirstBlock,
            When::Sent(share),
            When::Completion,
            When::Claim,
            When::Receipt,
            When::Deletion,
        ],
        [Who::Buyer] => vec![
            When::Claim,
            When::Claim,
            When::Placed(share),
            When::Placed(share / 2),
            When::Receipt,
            When::Receipt,
            When::Deletion,
        ],
        _ => vec![
            When::Scan,
            When::FirstBlock,
            When::Sent(share),
            When::Completion,
            When::Claim,
            When::Placed(share),
            When::Receipt,
            When::Deletion,
        ],
    };
    *dice.one_of(&steps)
}

/// What came of the blows of one handover.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// Blows that met somebody at work, by who, how and step.
    pub met: BTreeMap<(Who, How, &'static str), u64>,
    /// Blows whose moment had passed.
    pub missed: u64,
    /// The most that a seller had sealed and not acknowledged when it died, in bytes: the most it sent again.
    pub again_sent_max: u64,
    /// What sellers sent again altogether, at most.
    pub again_sent: u64,
    /// What buyers fetched more than once, as far as they told.
    pub again_fetched: u64,
    /// Content of the transfer.
    pub bytes: u64,
}

/// A seller, a relay and a buyer at work on one handover.
pub struct World {
    relay: RelayProc,
    seller: Person,
    buyer: Person,
    source: PathBuf,
    wanted: Tree,
    total: u64,
    code: Option<String>,
    /// The number of the transfer at the seller.
    id: u64,
    push: Party,
    pull: Party,
    story: Story,
    // What they stand on goes last.
    disks: Vec<(Who, Disk)>,
    scratch: Scratch,
}

/// One of the two clients.
#[derive(Default)]
struct Party {
    running: Option<Running>,
    ended: Option<Ended>,
    starts: u32,
    /// Runs that ended because the relay was not there.
    unreached: u32,
    fetched: u64,
}

impl Party {
    /// Takes a run that ended by itself.
    ///
    /// # Panics
    /// When it did not end well.
    fn look(&mut self) {
        if self.running.as_mut().is_some_and(|running| !running.is_running()) {
            let ended = self.running.take().expect("just seen").end();
            if ended.code == Some(5) && self.unreached < UNREACHED_MAX {
                // Before the first answer nothing is tried again: the same command is given once more.
                self.unreached += 1;
                self.count(&ended);
            } else {
                self.finish(ended.exits(0));
            }
        }
    }

    fn finish(&mut self, ended: Ended) {
        self.count(&ended);
        self.ended = Some(ended);
    }

    /// Adds up what travelled.
    fn count(&mut self, ended: &Ended) {
        let told = ended.events().iter().filter_map(|event| event["wire_bytes"].as_u64()).max();
        self.fetched += told.unwrap_or(0);
    }

    fn freeze(&self) {
        if let Some(running) = &self.running {
            running.freeze();
        }
    }

    fn is_at_work(&self) -> bool {
        self.running.is_some()
    }
}

impl World {
    /// Makes the machines and the data: so many MiB in files of all sizes.
    pub fn new(purpose: &str, mebibytes: u64) -> Self {
        Self::on(Scratch::new(), Vec::new(), purpose, mebibytes)
    }

    /// The same with a disk for each machine; `None` where there can be none.
    pub fn with_disks(purpose: &str, mebibytes: u64) -> Option<Self> {
        let scratch = Scratch::new();
        let disk = |who, name: &str, mebibytes| Disk::mount(&scratch.join(name), mebibytes).map(|disk| (who, disk));
        let disks = vec![
            disk(Who::Seller, "seller-home", 32)?,
            disk(Who::Relay, "relay", 64 + 2 * mebibytes)?,
            disk(Who::Buyer, "buyer-home", 32)?,
            disk(Who::Buyer, "out", 64 + 2 * mebibytes)?,
        ];
        Some(Self::on(scratch, disks, purpose, mebibytes))
    }

    fn on(scratch: Scratch, disks: Vec<(Who, Disk)>, purpose: &str, mebibytes: u64) -> Self {
        let options: &[&str] = if disks.is_empty() { &[] } else { &["--min-free", "1M"] };
        let relay = RelayProc::start_with(&scratch, "relay", options);
        let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
        let source = scratch.join("archive");
        let mut dice = scratch.dice(purpose);
        let big = (mebibytes / 3).max(1);
        for number in 0..3 {
            data::write_random(source.join(format!("big/{number}.tif")), big * MIB + dice.below(MIB), &mut dice);
        }
        for number in 0..60 {
            let (bytes, folder) = (dice.below(40_000) as usize, dice.below(5));
            let path = source.join(format!("orders/{folder}/{number}.csv"));
            data::write(&path, &dice.table(bytes));
            data::set_mode(&path, *dice.one_of(&[0o644, 0o600, 0o755, 0o444]));
            let (seconds, nanoseconds) = (dice.below(1_700_000_000) as i64, dice.below(1_000_000_000) as i64);
            data::set_mtime(&path, data::Stamp { seconds, nanoseconds });
        }
        std::fs::create_dir(source.join("empty")).expect("a folder can be made");
        std::os::unix::fs::symlink("big/0.tif", source.join("link")).expect("a link can be made");
        let wanted = Tree::of(&source);
        let total = wanted.bytes();
        let story = Story { bytes: total, ..Story::default() };
        let (push, pull) = (Party::default(), Party::default());
        Self { scratch, relay, seller, buyer, source, wanted, total, code: None, id: 0, push, pull, story, disks }
    }

    /// The folder in which everything is.
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Carries out the blows, lets the handover end, and checks that nothing is missing.
    ///
    /// # Panics
    /// When anything is not as promised.
    pub fn run(mut self, blows: &[Blow]) -> Story {
        for blow in blows {
            if self.reaches(blow) {
                wait::moment(Duration::from_micros(blow.late_micros));
                self.strike(blow);
            } else {
                self.story.missed += 1;
            }
        }
        wait::until("the end of the handover", wait::LONG, || {
            self.tend();
            (self.push.ended.is_some() && self.pull.ended.is_some()).then_some(())
        });
        self.is_whole();
        self.story.again_fetched = self.pull.fetched.saturating_sub(self.durable());
        self.story
    }

    fn out(&self) -> PathBuf {
        self.scratch.join("out")
    }

    /// Starts whoever should be at work and is not; takes whoever has ended by itself.
    fn tend(&mut self) {
        if !self.relay.is_up() {
            self.relay.restart();
        }
        self.push.look();
        self.pull.look();
        if !self.push.is_at_work() && self.push.ended.is_none() {
            let push = self.seller.push(&self.relay, [Path::new("--json"), Path::new("--wait"), &self.source]);
            self.push.running = Some(push.limit(wait::LONG).start());
            self.push.starts += 1;
        }
        self.learn_code();
        if let Some(code) = self.code.clone()
            && !self.pull.is_at_work()
            && self.pull.ended.is_none()
        {
            // Whoever pulls again is asked nothing any more.
            self.pull.running = Some(self.pull_again(&code).start());
            self.pull.starts += 1;
        }
    }

    fn pull_again(&self, code: &str) -> Launch {
        self.buyer.pull(code, self.out()).arg("--json").limit(wait::LONG)
    }

    fn learn_code(&mut self) {
        let Some(push) = &self.push.running else { return };
        let told = push.events().into_iter().filter(|event| event["event"] == "code");
        for event in told {
            let code = event["code"].as_str().expect("a code is text").to_owned();
            let known = self.code.get_or_insert_with(|| code.clone());
            assert_eq!(*known, code, "the same code every time");
            self.id = event["id"].as_u64().expect("a transfer has a number");
        }
    }

    /// Lets everybody work until the moment of a blow; `false` when it cannot come any more.
    fn reaches(&mut self, blow: &Blow) -> bool {
        wait::until(&format!("the moment of: {blow}"), wait::LONG, || {
            self.tend();
            let is_late = match blow.who[..] {
                [Who::Seller] => self.push.ended.is_some(),
                [Who::Buyer] => self.pull.ended.is_some(),
                _ => self.push.ended.is_some() && self.pull.ended.is_some(),
            };
            match (is_late, self.is_reached(blow.when)) {
                (true, _) => Some(false),
                (false, true) => Some(true),
                (false, false) => None,
            }
        })
    }

    fn is_reached(&self, when: When) -> bool {
        let segments = || data::folder_bytes(&self.relay.data().join("segments"));
        let buyer_has = |name: &str| {
            let transfers = std::fs::read_dir(self.buyer.home().join("transfers"));
            transfers.is_ok_and(|entries| entries.flatten().any(|entry| entry.path().join(name).exists()))
        };
        match when {
            When::Scan => self.push.starts > 0,
            When::FirstBlock => segments() > 0 || buyer_has("checkpoint"),
            When::Sent(share) => segments() >= self.total / 1000 * share || buyer_has("seal.txt"),
            When::Completion => segments() >= self.total || buyer_has("seal.txt"),
            When::Claim => buyer_has("claim.txt"),
            When::Placed(share) => data::folder_bytes(&self.out()) >= self.total / 1000 * share,
            When::Receipt => buyer_has("seal.txt"),
            When::Deletion => buyer_has("receipt.sealed"),
        }
    }

    /// Takes the disks as they are, with everybody standing still, and gives them back when all are dead.
    fn cut_power(&mut self, who: &[Who]) {
        for who in who {
            match who {
                Who::Relay => self.relay.process().freeze(),
                Who::Seller => self.push.freeze(),
                Who::Buyer => self.pull.freeze(),
            }
        }
        let cut = |disks: &mut Vec<(Who, Disk)>| -> Vec<Option<PathBuf>> {
            disks.iter().map(|(of, disk)| who.contains(of).then(|| disk.keep())).collect()
        };
        let kept = cut(&mut self.disks);
        for who in who {
            match who {
                Who::Relay => drop(self.relay.kill()),
                Who::Seller => drop(strike(&mut self.push, How::Kill)),
                Who::Buyer => drop(strike(&mut self.pull, How::Kill)),
            }
        }
        for ((_, disk), kept) in self.disks.iter_mut().zip(kept) {
            if let Some(kept) = kept {
                disk.cut(kept);
            }
        }
    }

    fn strike(&mut self, blow: &Blow) {
        let durable = self.durable();
        if blow.how == How::PowerCut {
            for who in &blow.who {
                *self.story.met.entry((*who, blow.how, blow.when.name())).or_default() += 1;
            }
            self.cut_power(&blow.who);
        } else {
            self.strike_processes(blow);
        }
        // What the ledger counted as durable is there after every death, unless all of it went for the receipt.
        let after = self.durable();
        let is_over = self.relay.transfers().iter().any(|line| !line.contains("open") && !line.contains("complete"));
        assert!(after >= durable || is_over, "{durable} bytes were durable, {after} are after {blow}");
    }

    fn strike_processes(&mut self, blow: &Blow) {
        for who in &blow.who {
            let is_met = match who {
                Who::Seller => self.strike_push(blow.how),
                Who::Buyer => strike(&mut self.pull, blow.how),
                Who::Relay => self.strike_relay(blow.how),
            };
            if is_met {
                *self.story.met.entry((*who, blow.how, blow.when.name())).or_default() += 1;
            } else {
                self.story.missed += 1;
            }
        }
    }

    /// Sealed bytes that the ledger names, all of which must be there.
    fn durable(&self) -> u64 {
        if self.relay.transfers().is_empty() { 0 } else { self.relay.durable_bytes() }
    }

    fn strike_push(&mut self, how: How) -> bool {
        let is_met = strike(&mut self.push, how);
        if is_met && how != How::Freeze && self.push.ended.is_none() {
            let made = blocks_made(&self.seller.home().join(format!("transfers/{}", self.id)));
            let again = (made * BLOCK_BYTES).saturating_sub(self.durable());
            self.story.again_sent += again;
            self.story.again_sent_max = self.story.again_sent_max.max(again);
        }
        is_met
    }

    fn strike_relay(&mut self, how: How) -> bool {
        match how {
            How::Freeze => {
                let relay = self.relay.process();
                relay.freeze();
                wait::moment(Duration::from_millis(30));
                relay.thaw();
            }
            How::Kill | How::PowerCut => drop(self.relay.kill()),
            How::Terminate | How::Interrupt => {
                let running = self.relay.take();
                if how == How::Terminate {
                    running.terminate()
                } else {
                    running.interrupt()
                }
                running.end().exits(0);
            }
        }
        true
    }

    fn is_whole(&self) {
        self.wanted.must_equal(&Tree::of(self.out().join("archive")));
        assert!(!self.out().join(".handover").exists(), "no partial data is left behind");
        let id = self.id.to_string();
        self.seller.run(["wait", &id]).exits(0);
        self.seller.run(["receipt", "show", &id]).exits(0);
        wait::until("the deletion", wait::USUAL, || {
            (data::folder_bytes(&self.relay.data().join("segments")) == 0).then_some(())
        });
    }
}

/// Hits a client; `false` when it had ended already.
fn strike(party: &mut Party, how: How) -> bool {
    party.look();
    let Some(mut running) = party.running.take() else { return false };
    match how {
        How::Freeze => {
            running.freeze();
            wait::moment(Duration::from_millis(30));
            running.thaw();
            party.running = Some(running);
            return true;
        }
        How::Kill | How::PowerCut => {}
        How::Terminate => running.terminate(),
        How::Interrupt => running.interrupt(),
    }
    let ended = if how == How::Kill && running.is_running() { running.kill() } else { running.end() };
    let is_done = ended.events().iter().any(|event| event["event"] == "done");
    match (ended.code, ended.signal) {
        // Whoever has said that it is done is not started again.
        _ if is_done => {
            party.finish(ended);
            true
        }
        (Some(0), _) => {
            party.finish(ended);
            false
        }
        // Before it listens for signals, the system ends it.
        (Some(130), _) | (None, Some(2 | 9 | 15)) => {
            party.count(&ended);
            true
        }
        _ => panic!("it ended in another way after {how:?}\n{ended}"),
    }
}

/// Blocks that a seller had ever made, by the last whole line of its journal.
fn blocks_made(transfer: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(transfer) else { return 0 };
    let marks = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("marks"));
    marks.filter_map(|entry| last_mark(&std::fs::read(entry.path()).ok()?)).max().unwrap_or(0)
}

/// `u32 length ‖ 8 bytes of a check ‖ CBOR`, of which the first field counts blocks.
fn last_mark(mut bytes: &[u8]) -> Option<u64> {
    let mut last = None;
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (_check, rest) = rest.split_at_checked(8)?;
        let Some((body, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
        let mut decoder = minicbor::Decoder::new(body);
        decoder.array().ok()?;
        last = Some(decoder.u64().ok()?);
        bytes = rest;
    }
    last
}
