//! What every ledger must do. A new backend adds a [`Place`], not tests.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, ClaimKey, Digest, LinkKey, Locator, TransferId};
use handover_shared::protocol::message::{ClaimRecord, Event, EventKind, PaperRecord, Phase, RefusalRecord, Signed};
use handover_shared::protocol::papers::PaperKind;
use handover_shared::protocol::relay::{Effect, Share, Storage, Terms, Transfer};

use super::rows::{InviteRow, LogRow, Offer, PaperPlace, Reserved, Segment, Seller};
use super::*;

/// Somewhere to open the same rows more than once.
trait Place {
    type Rows: Backend;
    fn open(&self) -> Self::Rows;
}

struct InFile(tempfile::TempDir);

impl InFile {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("ledger.sqlite")
    }
}

impl Place for InFile {
    type Rows = Sqlite;

    fn open(&self) -> Sqlite {
        Sqlite::open(&self.path()).unwrap()
    }
}

macro_rules! contract {
    ($place:ident: $($name:ident)*) => {
        mod sqlite {
            use super::*;
            $(#[test] fn $name() { super::$name(&$place::new()); })*
        }
    };
}

contract! { InFile:
    a_transfer_comes_back_as_it_was_stored
    what_becomes_final_loses_its_offer
    papers_are_found_and_documents_go_with_the_blocks
    segments_are_found_from_any_block
    what_is_over_is_found_until_it_is_cleaned_up
    reservations_add_up
    sellers_and_invites_come_back
    a_locator_leads_to_one_transfer
    time_only_grows
    a_number_too_large_is_an_error
    what_was_not_committed_is_gone
    a_failed_operation_leaves_no_trace_and_spares_the_others
    waiting_operations_share_a_commit
}

// [S13.1] [S12.6]
fn a_transfer_comes_back_as_it_was_stored(place: &impl Place) {
    let mut rows = place.open();
    let mut transfer = sample(1);
    rows.insert(&transfer, &offer()).unwrap();
    let changes: [fn(&mut Transfer); 8] = [
        |transfer| transfer.durable = BlockCount(1),
        |transfer| {
            transfer.phase = Phase::Complete;
            transfer.completed = Some(Millis(20));
            transfer.blocks = Some(BlockCount(1 << 32));
        },
        |transfer| transfer.claim = Some(claim()),
        |transfer| transfer.papers = vec![paper(PaperKind::Release), paper(PaperKind::Delivery)],
        |transfer| {
            transfer.refusal =
                Some(RefusalRecord { link_key: LinkKey([6; 32]), sealed_refusal: vec![8; 300], time: Millis(16) });
            transfer.papers.push(paper(PaperKind::Agreement));
        },
        |transfer| transfer.fetched = BlockCount(7),
        |transfer| {
            transfer.phase = Phase::Receipted;
            transfer.ended = Some(Millis(30));
            transfer.sealed_receipt = Some(vec![4; 100]);
        },
        |transfer| {
            transfer.share = Share::Erased;
            transfer.share_erased = Some(Millis(40));
            transfer.storage = Storage::Deleted;
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert_eq!(place.open().transfer(transfer.terms.id).unwrap(), Some(transfer.clone()), "before change {index}");
        let before = transfer.clone();
        change(&mut transfer);
        for kind in [EventKind::Claimed, EventKind::Deleted] {
            let by = (kind == EventKind::Claimed).then_some(LinkKey([6; 32]));
            let body = by.map(|_| Digest([8; 32]));
            transfer.events.push(Event { sequence: transfer.events.len() as u64, time: Millis(9), kind, by, body });
        }
        rows.update(&before, &transfer).unwrap();
    }
    assert_eq!(place.open().transfer(transfer.terms.id).unwrap(), Some(transfer.clone()));
    assert_eq!(rows.transfers(9).unwrap(), [transfer]);
    assert_eq!(rows.transfer(TransferId([0; 16])).unwrap(), None);
}

// [S13.7]
fn what_becomes_final_loses_its_offer(place: &impl Place) {
    for phase in [Phase::Receipted, Phase::Revoked, Phase::Expired, Phase::Refused] {
        let mut rows = place.open();
        let before = sample(phase as u8);
        let id = before.terms.id;
        rows.insert(&before, &offer()).unwrap();
        rows.update(&before, &Transfer { durable: BlockCount(1), ..before.clone() }).unwrap();
        assert_eq!(rows.offer(id).unwrap(), Some(offer()));
        rows.update(&before, &Transfer { phase, ..before.clone() }).unwrap();
        assert_eq!(rows.offer(id).unwrap(), None, "{phase:?}");
    }
}

// [S13.14]
fn papers_are_found_and_documents_go_with_the_blocks(place: &impl Place) {
    let mut rows = place.open();
    let before = sample(1);
    let id = before.terms.id;
    rows.insert(&before, &offer()).unwrap();
    let papers = vec![paper(PaperKind::Agreement), paper(PaperKind::Acceptance)];
    rows.update(&before, &Transfer { papers, ..before.clone() }).unwrap();
    let (document, words) = (PaperPlace::Stored("a.seg".into()), PaperPlace::Here(vec![5; 64 * 1024]));
    rows.add_paper(id, PaperKind::Agreement, &document).unwrap();
    rows.add_paper(id, PaperKind::Acceptance, &words).unwrap();
    assert!(rows.add_paper(id, PaperKind::Acceptance, &document).is_err());
    assert!(rows.add_paper(id, PaperKind::Release, &document).is_err(), "of a paper that the transfer has not");
    assert_eq!(rows.paper(id, PaperKind::Agreement).unwrap(), Some(document));
    assert_eq!(rows.paper(id, PaperKind::Acceptance).unwrap(), Some(words.clone()));
    assert_eq!(rows.paper(id, PaperKind::Release).unwrap(), None);

    rows.remove_segments(id).unwrap();

    assert_eq!(place.open().paper(id, PaperKind::Agreement).unwrap(), None);
    assert_eq!(rows.paper(id, PaperKind::Acceptance).unwrap(), Some(words));
    assert_eq!(rows.transfer(id).unwrap().unwrap().papers.len(), 2);
}

// [S12.3]
fn segments_are_found_from_any_block(place: &impl Place) {
    let mut rows = place.open();
    let (transfer, other) = (sample(1), sample(2));
    let id = transfer.terms.id;
    rows.insert(&transfer, &offer()).unwrap();
    rows.insert(&other, &offer()).unwrap();
    assert_eq!(rows.segments(id, BlockIndex(0), 9).unwrap(), []);
    let segments = [segment(0, 3), segment(3, 1), segment(4, 10)];
    for segment in &segments {
        rows.add_segment(id, segment).unwrap();
    }
    rows.add_segment(other.terms.id, &segment(0, 99)).unwrap();

    for (from, limit, expected) in [
        (0, 9, &segments[..]),
        (2, 9, &segments[..]),
        (3, 9, &segments[1..]),
        (13, 9, &segments[2..]),
        (0, 2, &segments[..2]),
    ] {
        assert_eq!(rows.segments(id, BlockIndex(from), limit).unwrap(), expected, "from {from}");
    }
    assert!(rows.add_segment(id, &segment(3, 1)).is_err());
    rows.remove_segments(id).unwrap();
    assert_eq!(rows.segments(id, BlockIndex(0), 9).unwrap(), []);
    assert_eq!(rows.segments(other.terms.id, BlockIndex(50), 9).unwrap().len(), 1);
}

// [S13.8] [S13.9]
fn what_is_over_is_found_until_it_is_cleaned_up(place: &impl Place) {
    let mut rows = place.open();
    let mut transfer = sample(1);
    let id = transfer.terms.id;
    rows.insert(&transfer, &offer()).unwrap();
    let just_before = Millis(transfer.terms.expires.0 - 1);
    assert_eq!(rows.unsettled(just_before, 9).unwrap(), []);
    assert_eq!(rows.unsettled(transfer.terms.expires, 9).unwrap(), [id]);
    let mut to = |rows: &mut dyn Write, change: fn(&mut Transfer)| {
        let before = transfer.clone();
        change(&mut transfer);
        rows.update(&before, &transfer).unwrap();
    };
    to(&mut rows, |transfer| transfer.phase = Phase::Revoked);
    assert_eq!(rows.unsettled(just_before, 9).unwrap(), [id]);
    assert_eq!(rows.unsettled(just_before, 0).unwrap(), []);
    to(&mut rows, |transfer| transfer.share = Share::Erased);
    assert_eq!(rows.unsettled(just_before, 9).unwrap(), [id]);
    to(&mut rows, |transfer| transfer.storage = Storage::Deleted);
    assert_eq!(rows.unsettled(Millis(u64::MAX >> 1), 9).unwrap(), []);
}

fn reservations_add_up(place: &impl Place) {
    let mut rows = place.open();
    assert_eq!(rows.reserved_bytes().unwrap(), 0);
    let first = sample(1);
    rows.insert(&first, &offer()).unwrap();
    rows.insert(&sample(2), &offer()).unwrap();
    assert_eq!(rows.reserved_bytes().unwrap(), 2 * 10 * (1 << 20));
    let both = Reserved { bytes: 2 * 10 * (1 << 20), transfers: 2 };
    assert_eq!(rows.reserved_by(first.terms.seller).unwrap(), both);
    assert_eq!(rows.reserved_by(LinkKey([0xee; 32])).unwrap(), Reserved::default());
    let complete = Transfer { phase: Phase::Complete, durable: BlockCount(3), ..first.clone() };
    rows.update(&first, &complete).unwrap();
    assert_eq!(rows.reserved_bytes().unwrap(), 13 * (1 << 20));
    rows.update(&complete, &Transfer { storage: Storage::Deleted, ..complete.clone() }).unwrap();
    assert_eq!(rows.reserved_bytes().unwrap(), 10 * (1 << 20));
    assert_eq!(rows.reserved_by(first.terms.seller).unwrap(), Reserved { bytes: 10 * (1 << 20), transfers: 1 });
}

fn sellers_and_invites_come_back(place: &impl Place) {
    let mut rows = place.open();
    let first = rows.add_invite(Digest([1; 32]), Millis(1), None).unwrap();
    let second = rows.add_invite(Digest([2; 32]), Millis(2), Some(5)).unwrap();
    assert!(rows.add_invite(Digest([2; 32]), Millis(3), None).is_err());
    let known = rows.invite(Digest([2; 32])).unwrap().unwrap();
    let expected =
        InviteRow { id: second, digest: Digest([2; 32]), created: Millis(2), uses_left: Some(5), revoked: None };
    assert_eq!(known, expected);
    let used = InviteRow { uses_left: Some(0), revoked: Some(Millis(9)), ..known };
    rows.put_invite(&used).unwrap();
    let ids: Vec<i64> = place.open().invites().unwrap().iter().map(|invite| invite.id).collect();
    assert_eq!((ids, rows.invite(Digest([2; 32])).unwrap()), (vec![first, second], Some(used)));

    let seller = Seller { key: LinkKey([3; 32]), enrolled: Millis(4), invite: first, revoked: None };
    rows.put_seller(&seller).unwrap();
    let revoked = Seller { revoked: Some(Millis(5)), ..seller };
    rows.put_seller(&revoked).unwrap();
    assert_eq!(place.open().sellers().unwrap(), std::slice::from_ref(&revoked));
    assert_eq!(rows.seller(revoked.key).unwrap(), Some(revoked));
    assert_eq!(rows.seller(LinkKey([4; 32])).unwrap(), None);
}

fn a_locator_leads_to_one_transfer(place: &impl Place) {
    let mut rows = place.open();
    let transfer = sample(1);
    rows.insert(&transfer, &offer()).unwrap();
    assert_eq!(rows.find(transfer.terms.locator).unwrap(), Some(transfer.terms.id));
    assert_eq!(rows.find(Locator([0; 16])).unwrap(), None);
    let mut other = sample(2);
    other.terms.locator = transfer.terms.locator;
    assert!(rows.insert(&other, &offer()).is_err());
    assert!(rows.insert(&transfer, &offer()).is_err());
}

// [S13.8]
fn time_only_grows(place: &impl Place) {
    let mut rows = place.open();
    for (seen, stored) in [(5, 5), (3, 5), (9, 9)] {
        rows.set_time(Millis(seen)).unwrap();
        assert_eq!(place.open().time().unwrap(), Millis(stored));
    }
    let clock = Arc::new(AtomicU64::new(7));
    let hand = clock.clone();
    let clock: Clock = Arc::new(move || Millis(clock.load(Ordering::SeqCst)));
    let ledger = Ledger::over(place.open(), place.open(), clock.clone()).unwrap();
    assert_eq!(ledger.now(), Millis(9));
    hand.store(20, Ordering::SeqCst);
    assert_eq!(ledger.now(), Millis(20));
    hand.store(1, Ordering::SeqCst);
    let runtime = runtime();
    let at = runtime.block_on(ledger.write(|rows, now| {
        rows.add_invite(Digest([1; 32]), now, None)?;
        Ok(now)
    }));
    assert_eq!(at.unwrap(), Millis(20));
    drop(ledger);
    assert_eq!(Ledger::over(place.open(), place.open(), clock).unwrap().now(), Millis(20));
}

fn a_number_too_large_is_an_error(place: &impl Place) {
    let mut rows = place.open();
    let mut transfer = sample(1);
    transfer.terms.expires = Millis(u64::MAX);
    assert!(rows.insert(&transfer, &offer()).is_err());
}

fn what_was_not_committed_is_gone(place: &impl Place) {
    let mut rows = place.open();
    rows.begin(Access::Write).unwrap();
    rows.insert(&sample(1), &offer()).unwrap();
    assert_eq!(place.open().transfer(sample(1).terms.id).unwrap(), None);
    rows.rollback().unwrap();
    assert_eq!(rows.transfer(sample(1).terms.id).unwrap(), None);
    rows.rollback().unwrap();
}

// [S12.5]
fn a_failed_operation_leaves_no_trace_and_spares_the_others(place: &impl Place) {
    let ledger = ledger(place.open(), place.open());
    runtime().block_on(async {
        let gate = hold(&ledger);
        let good = ledger.write(|rows, _| rows.insert(&sample(1), &offer()));
        let bad = ledger.write(|rows, _| {
            rows.insert(&sample(2), &offer())?;
            Err::<(), _>(LedgerError::Corrupt { what: "test" })
        });
        let also_good = ledger.write(|rows, now| operations::done(rows, now, sample(1).terms.id, Effect::EraseShare));
        let (good, bad, also_good, ()) = tokio::join!(good, bad, also_good, async { drop(gate) });
        assert!(good.is_ok() && matches!(bad, Err(LedgerError::Corrupt { what: "test" })));
        assert_eq!(also_good.unwrap(), None);
        let found = ledger.read(|rows, _| rows.transfers(9)).await.unwrap();
        assert_eq!(found.len(), 1);
    });
}

fn waiting_operations_share_a_commit(place: &impl Place) {
    let commits = Arc::new(AtomicUsize::new(0));
    let ledger = ledger(Counting { rows: place.open(), commits: commits.clone() }, place.open());
    runtime().block_on(async {
        let gate = hold(&ledger);
        let waiting: Vec<_> =
            (1..=50).map(|seed| ledger.write(move |rows, _| rows.insert(&sample(seed), &offer()))).collect();
        let mut waiting: Vec<_> = waiting.into_iter().map(Box::pin).collect();
        // Each is queued by its first poll.
        for one in &mut waiting {
            let queued =
                std::future::poll_fn(|context| std::task::Poll::Ready(one.as_mut().poll(context).is_pending()));
            assert!(queued.await);
        }
        drop(gate);
        for one in waiting {
            one.await.unwrap();
        }
        assert_eq!(ledger.read(|rows, _| rows.transfers(99)).await.unwrap().len(), 50);
    });
    assert_eq!(commits.load(Ordering::SeqCst), 2);
}

/// Keeps the writing thread busy until the gate is dropped.
fn hold(ledger: &Ledger) -> mpsc::Sender<()> {
    let (gate, wait) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel::<()>();
    let job: WriteJob = Box::new(move |_, _| {
        drop(started);
        assert!(wait.recv().is_err());
        (Verdict::Keep, Box::new(|_| {}))
    });
    ledger.order(Order::Run(job)).unwrap();
    assert!(has_started.recv().is_err());
    gate
}

fn ledger(writer: impl Backend, reader: impl Backend) -> Ledger {
    Ledger::over(writer, reader, Arc::new(|| Millis(1))).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn sample(seed: u8) -> Transfer {
    let terms = Terms {
        id: TransferId([seed; 16]),
        seller: LinkKey([1; 32]),
        locator: Locator([seed; 16]),
        claim_key: ClaimKey([3; 32]),
        offer_digest: Digest([4; 32]),
        content: Digest([5; 32]),
        block_size: BlockSize::Large,
        blocks_max: BlockCount(10),
        expires: Millis(1000),
        agreement: Some(Digest([seed; 32])),
    };
    Transfer::create(terms, Millis(10)).unwrap()
}

fn offer() -> Offer {
    Offer { sealed_offer: vec![1; 5000], envelope: vec![2; 104] }
}

fn segment(first: u64, count: u64) -> Segment {
    Segment { first: BlockIndex(first), count: BlockCount(count), name: format!("{first}.seg") }
}

fn claim() -> ClaimRecord {
    ClaimRecord {
        link_key: LinkKey([6; 32]),
        hybrid_key: vec![7; 1216],
        text: "text\n".into(),
        identity_signature: "identity".into(),
        claim_signature: "claim".into(),
        time: Millis(15),
        sealed_agreement: Some(vec![3; 900]),
    }
}

fn paper(kind: PaperKind) -> PaperRecord {
    PaperRecord { kind: kind.number(), time: Millis(17), bytes: 5000, digest: Digest([kind.number(); 32]) }
}

/// Counts commits.
struct Counting<B> {
    rows: B,
    commits: Arc<AtomicUsize>,
}

/// Hands every call on.
macro_rules! hand_on {
    ($($name:ident(&self $(, $arg:ident: $type:ty)*) -> $out:ty;)*) => {
        $(fn $name(&self $(, $arg: $type)*) -> Result<$out, LedgerError> { self.rows.$name($($arg),*) })*
    };
    ($($name:ident(&mut self $(, $arg:ident: $type:ty)*) -> $out:ty;)*) => {
        $(fn $name(&mut self $(, $arg: $type)*) -> Result<$out, LedgerError> { self.rows.$name($($arg),*) })*
    };
}

impl<B: Backend> Read for Counting<B> {
    hand_on! {
        time(&self) -> Millis;
        transfer(&self, id: TransferId) -> Option<Transfer>;
        transfers(&self, limit: usize) -> Vec<Transfer>;
        find(&self, locator: Locator) -> Option<TransferId>;
        offer(&self, id: TransferId) -> Option<Offer>;
        paper(&self, id: TransferId, kind: PaperKind) -> Option<PaperPlace>;
        segments(&self, id: TransferId, from: BlockIndex, limit: usize) -> Vec<Segment>;
        unsettled(&self, now: Millis, limit: usize) -> Vec<TransferId>;
        reserved_bytes(&self) -> u64;
        reserved_by(&self, seller: LinkKey) -> Reserved;
        seller(&self, key: LinkKey) -> Option<Seller>;
        sellers(&self) -> Vec<Seller>;
        invite(&self, digest: Digest) -> Option<InviteRow>;
        invites(&self) -> Vec<InviteRow>;
        log_last(&self) -> Option<(u64, Digest)>;
        log_leaf(&self, number: u64) -> Option<Digest>;
        log_rows(&self, from: u64, limit: u64) -> Vec<LogRow>;
        log_of(&self, id: TransferId, from: u64, below: u64, limit: usize) -> Vec<LogRow>;
        log_count(&self, id: TransferId, below: u64) -> u64;
        log_find(&self, id: TransferId, kind: EventKind) -> Option<LogRow>;
        log_node(&self, level: u32, place: u64) -> Option<Digest>;
        head(&self, size: Option<u64>) -> Option<(u64, Signed)>;
        heads(&self, above: u64, limit: u64) -> Vec<(u64, Signed)>;
        log_counts(&self) -> (u64, u64);
        taken_down(&self, limit: usize) -> Vec<TransferId>;
        takedown(&self, id: TransferId) -> Option<String>;
    }
}

impl<B: Backend> Write for Counting<B> {
    hand_on! {
        set_time(&mut self, now: Millis) -> ();
        insert(&mut self, transfer: &Transfer, offer: &Offer) -> ();
        update(&mut self, before: &Transfer, after: &Transfer) -> ();
        add_segment(&mut self, id: TransferId, segment: &Segment) -> ();
        add_paper(&mut self, id: TransferId, kind: PaperKind, place: &PaperPlace) -> ();
        remove_segments(&mut self, id: TransferId) -> ();
        put_seller(&mut self, seller: &Seller) -> ();
        add_invite(&mut self, digest: Digest, created: Millis, uses: Option<u64>) -> i64;
        put_invite(&mut self, invite: &InviteRow) -> ();
        add_log_row(&mut self, row: &LogRow) -> ();
        add_log_node(&mut self, level: u32, place: u64, hash: Digest) -> ();
        add_head(&mut self, size: u64, head: &Signed) -> ();
        put_takedown(&mut self, id: TransferId, reason: &str) -> ();
    }
}

impl<B: Backend> Backend for Counting<B> {
    hand_on! {
        begin(&mut self, access: Access) -> ();
        savepoint(&mut self) -> ();
        keep(&mut self) -> ();
        undo(&mut self) -> ();
        rollback(&mut self) -> ();
        tidy(&mut self) -> ();
    }

    fn commit(&mut self) -> Result<(), LedgerError> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.rows.commit()
    }

    fn changes(&self) -> u64 {
        self.rows.changes()
    }
}
