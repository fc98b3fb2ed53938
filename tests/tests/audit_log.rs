//! The log against whoever runs the relay: nothing of it can be removed, changed, put in another order, cut off, told
//! differently to two sides, or signed by somebody else, without somebody who holds a head of it finding out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use handover_shared::ids::{Digest, LinkKey, Millis, TransferId};
use handover_shared::proof::log::{
    Followed, History, LogEntry, LogFault, Subject, VerifiedHead, check_deletion, check_head,
};
use handover_shared::proof::{DeletionText, Kind, LogHeadText, ProofFault};
use handover_shared::protocol::message::{Event, EventKind, Included, Log, Logged, Signed};
use handover_tests::faults_table::record;
use handover_tests::log_book::LogBook;
use handover_tests::sim::Rng;

const NOW: Millis = Millis(1_800_000_000_000);
const TRANSFERS: u8 = 7;

/// What is done to a log behind the back of whoever holds a head of it.
type Alteration = fn(&mut LogBook, &mut Rng, &Party);

/// Somebody who holds a head and the entries of one transfer.
#[derive(Clone)]
struct Party {
    subject: Subject,
    history: History,
}

impl Party {
    /// Asks for the first time.
    fn new(book: &mut LogBook, transfer: TransferId) -> Self {
        let subject = Subject { relay: book.relay(), transfer };
        let history = ask(book, &subject, None).expect("an honest log");
        Self { subject, history }
    }

    /// Asks once more, as a client does.
    fn asks(&self, book: &mut LogBook) -> Result<History, LogFault> {
        ask(book, &self.subject, Some(&self.history))
    }
}

/// Asks for all pages.
fn ask(book: &mut LogBook, subject: &Subject, held: Option<&History>) -> Result<History, LogFault> {
    let held_size = held.map_or(0, |held| held.head().text().size);
    let mut request = Log { transfer: subject.transfer, held_size, size: None, from_sequence: 0 };
    let mut followed = Followed::begin(subject, held.map(History::head), &book.answer(&request, NOW))?;
    while let Some((size, from_sequence)) = followed.wants() {
        request = Log { size: Some(size), from_sequence, ..request };
        followed.add(&book.answer(&request, NOW))?;
    }
    followed.finish(held.map_or(&[], History::entries))
}

fn transfer(seed: u8) -> TransferId {
    TransferId([seed; 16])
}

fn event(sequence: u64, kind: EventKind, salt: u64) -> Event {
    let by = (kind != EventKind::Deleted).then_some(LinkKey([salt as u8; 32]));
    let body = (!salt.is_multiple_of(3)).then_some(Digest([salt as u8; 32]));
    Event { sequence, time: Millis(NOW.0 - 1_000_000 + salt), kind, by, body }
}

/// Lets so many things happen to any of the transfers.
fn happen(book: &mut LogBook, rng: &mut Rng, count: u64) {
    for _ in 0..count {
        let id = transfer(1 + rng.below(u64::from(TRANSFERS)) as u8);
        let sequence = book.entries().iter().filter(|entry| entry.transfer == id).count() as u64;
        let kind = match sequence {
            0 => EventKind::Created,
            _ => rng.pick(&[EventKind::FirstBlock, EventKind::Claimed, EventKind::ClaimRefused, EventKind::Completed]),
        };
        let salt = book.size();
        book.push(id, &event(sequence, kind, salt));
    }
}

/// An honest log in which every transfer has begun, and somebody who has asked about one of them.
fn world(rng: &mut Rng) -> (LogBook, Party) {
    let mut book = LogBook::new([1; 32]);
    (1..=TRANSFERS).for_each(|seed| book.push(transfer(seed), &event(0, EventKind::Created, u64::from(seed))));
    let count = rng.below(60);
    happen(&mut book, rng, count);
    let id = transfer(1 + rng.below(u64::from(TRANSFERS)) as u8);
    let party = Party::new(&mut book, id);
    (book, party)
}

#[test] // [S16.2] [S16.6] [S16.7]
fn each_of_a_thousand_alterations_is_found() {
    let kinds: [(&str, Alteration); 9] = [
        ("an entry removed", |book, rng, _| {
            let at = rng.below(book.size());
            book.rewrite(|entries| {
                entries.remove(at as usize);
            });
        }),
        ("an entry changed", |book, rng, _| {
            let at = rng.below(book.size()) as usize;
            let what = rng.below(5);
            book.rewrite(|entries| change(&mut entries[at], what));
        }),
        ("two entries swapped", |book, rng, _| {
            let at = rng.below(book.size() - 1) as usize;
            let other = at + 1 + rng.below(book.size() - 1 - at as u64) as usize;
            book.rewrite(|entries| entries.swap(at, other));
        }),
        ("an entry inserted", |book, rng, _| {
            let at = rng.below(book.size()) as usize;
            let entry = LogEntry { transfer: transfer(99), ..book.entries()[at].clone() };
            book.rewrite(|entries| entries.insert(at, entry));
        }),
        ("an entry twice", |book, rng, _| {
            // The very last one twice would be a log that went on.
            let at = rng.below(book.size() - 1) as usize;
            book.rewrite(|entries| entries.insert(at, entries[at].clone()));
        }),
        ("cut off", |book, rng, _| {
            let left = rng.below(book.size()) as usize;
            book.rewrite(|entries| entries.truncate(left));
        }),
        ("cut off and continued in another way", |book, rng, _| {
            let (left, size) = (rng.below(book.size()) as usize, book.size());
            book.rewrite(|entries| entries.truncate(left));
            // The first of what comes instead differs in any case.
            book.push(transfer(99), &event(0, EventKind::Created, 200));
            let more = size - left as u64 + rng.below(20);
            happen(book, rng, more);
        }),
        ("signed by another key", |book, rng, _| {
            let more = rng.below(3);
            happen(book, rng, more);
            book.sign_with([2; 32]);
        }),
        ("the transfer's own entries left out", |book, _, party| {
            let id = party.subject.transfer;
            book.rewrite(|entries| {
                let last = entries.iter().rposition(|entry| entry.transfer == id).unwrap();
                entries.remove(last);
            });
        }),
    ];
    let mut tried = 0;
    for (at, (name, alter)) in kinds.iter().enumerate() {
        let count = 1000_u64.div_ceil(kinds.len() as u64) + 1;
        for seed in 0..count {
            let mut rng = Rng::new(1 + seed * 100 + at as u64);
            let (book, party) = world(&mut rng);
            let mut altered = book.fork();
            alter(&mut altered, &mut rng, &party);
            // The relay goes on as if nothing had been.
            if rng.below(2) == 0 {
                let more = 1 + rng.below(40);
                happen(&mut altered, &mut rng, more);
            }
            // What was rewritten may be asked about when there is nothing left of the transfer.
            let found = party.asks(&mut altered);
            assert!(found.is_err(), "{name}, seed {seed}: not found");
            tried += 1;
            // And an honest relay that goes on is not accused.
            let mut honest = book;
            let more = rng.below(40);
            happen(&mut honest, &mut rng, more);
            assert!(party.asks(&mut honest).is_ok(), "{name}, seed {seed}: an honest log is accused");
        }
        record("audit", name, count, "found by whoever holds a head");
    }
    assert!(tried >= 1000);
}

fn change(entry: &mut LogEntry, what: u64) {
    match what {
        0 => entry.time = Millis(entry.time.0 + 1),
        1 => entry.by = Some(handover_shared::proof::Fingerprint::of_link_key(&LinkKey([0xee; 32]))),
        2 => entry.body = Some(Digest([0xee; 32])),
        3 => entry.event = EventKind::Revoked,
        _ => entry.transfer = transfer(77),
    }
}

#[test] // [S16.7]
fn a_fork_is_found_by_two_sides_side_by_side() {
    let mut found = 0;
    for seed in 0..200 {
        let mut rng = Rng::new(seed + 1);
        let (mut book, party) = world(&mut rng);
        let mut fork = book.fork();
        let id = party.subject.transfer;
        let sequence = party.history.entries().len() as u64;
        // One side is told of the receipt, the other one of a revocation, or of nothing.
        book.push(id, &event(sequence, EventKind::Receipted, 100));
        match rng.below(3) {
            0 => fork.push(id, &event(sequence, EventKind::Revoked, 100)),
            1 => happen(&mut fork, &mut rng, 0),
            _ => fork.push(transfer(99), &event(0, EventKind::Created, 100)),
        }
        let more = rng.below(3);
        if fork.size() < book.size() + more {
            (0..book.size() + more - fork.size())
                .for_each(|salt| fork.push(transfer(99), &event(salt, EventKind::Created, 101)));
        }
        let (seller, buyer) = (party.asks(&mut book).unwrap(), party.asks(&mut fork).unwrap());

        let fault = seller.compare(&buyer).unwrap_err();

        assert!(fault.is_fork(), "seed {seed}: {fault}");
        assert_eq!(buyer.compare(&seller).map_err(|fault| fault.is_fork()), Err(true), "seed {seed}");
        assert_eq!(seller.compare(&seller), Ok(()));
        assert_eq!((seller.compare(&party.history), party.history.compare(&buyer)), (Ok(()), Ok(())));
        found += 1;
    }
    record("audit", "two sides shown two logs", found, "found side by side");
}

#[test] // [S16.6]
fn an_answer_is_taken_only_as_a_whole() {
    let mut rng = Rng::new(5);
    let (mut book, _) = world(&mut rng);
    let id = transfer(1);
    for salt in 0..45 {
        let sequence = book.entries().iter().filter(|entry| entry.transfer == id).count() as u64;
        book.push(id, &event(sequence, EventKind::ClaimRefused, 1000 + salt));
    }
    let subject = Subject { relay: book.relay(), transfer: id };
    let first = Log { transfer: id, held_size: 0, size: None, from_sequence: 0 };
    let page = book.answer(&first, NOW);
    let followed = Followed::begin(&subject, None, &page).unwrap();
    let (size, from_sequence) = followed.wants().expect("there is a second page");
    let second = Log { size: Some(size), from_sequence, ..first };

    // The log grows between the pages: the second is under the head of the first.
    happen(&mut book, &mut rng, 9);
    let later = book.answer(&Log { size: None, ..second }, NOW);
    assert_eq!(followed.clone().add(&later), Err(LogFault::TwoHeads));
    let none = Logged { entries: Vec::new(), ..book.answer(&second, NOW) };
    assert_eq!(followed.clone().add(&none), Err(LogFault::TwoHeads));
    let mut whole = followed.clone();
    whole.add(&book.answer(&second, NOW)).unwrap();

    // Any entry twice, missing, of another transfer, or with another's way to the root.
    let of = |change: &dyn Fn(&mut Logged)| {
        let mut altered = page.clone();
        change(&mut altered);
        Followed::begin(&subject, None, &altered).map(|_| ()).unwrap_err()
    };
    assert_eq!(of(&|page| drop(page.entries.remove(3))), LogFault::Order { sequence: 3 });
    assert_eq!(of(&|page| page.entries.swap(3, 4)), LogFault::Order { sequence: 3 });
    assert_eq!(of(&|page| page.entries[3].path.swap(0, 1)), LogFault::NotIncluded { sequence: 3 });
    assert_eq!(of(&|page| page.entries[3].path = page.entries[4].path.clone()), LogFault::NotIncluded { sequence: 3 });
    assert_eq!(of(&|page| page.entries[3].path.truncate(1)), LogFault::NotIncluded { sequence: 3 });
    let other = Subject { transfer: transfer(2), ..subject };
    let fault = Followed::begin(&other, None, &page).map(|_| ()).unwrap_err();
    assert_eq!(fault, LogFault::Proof(ProofFault::Mismatch("transfer")));
    for place in 0..page.entries[3].text.len() {
        let fault = of(&|page| {
            let mut bytes = page.entries[3].text.clone().into_bytes();
            bytes[place] ^= 1;
            page.entries[3].text = String::from_utf8(bytes).unwrap();
        });
        assert!(matches!(fault, LogFault::Proof(_) | LogFault::NotIncluded { .. } | LogFault::Order { .. }), "{fault}");
    }
}

#[test] // [S16.4]
fn every_line_of_a_head_counts() {
    let mut rng = Rng::new(6);
    let (mut book, party) = world(&mut rng);
    happen(&mut book, &mut rng, 3);
    let head = book.sign(NOW);
    let verified = check_head(&book.relay(), &head).unwrap();
    let check = |text: LogHeadText| {
        let forged = Signed { text: text.to_text(), ..head.clone() };
        check_head(&book.relay(), &forged)
    };
    let good = verified.text().clone();
    let forged = LogFault::Proof(ProofFault::Forged);
    for other in [
        LogHeadText { size: good.size + 1, ..good.clone() },
        LogHeadText { root: Digest([0; 32]), ..good.clone() },
        LogHeadText { previous: None, ..good.clone() },
        LogHeadText { time: Millis(0).into(), ..good.clone() },
    ] {
        assert_eq!(check(other), Err(forged.clone()));
    }
    let mut stranger = LogBook::new([9; 32]);
    let foreign = stranger.sign(NOW);
    assert_eq!(check_head(&book.relay(), &foreign), Err(LogFault::Proof(ProofFault::Mismatch("relay-key"))));
    let by_stranger = stranger.signed(Kind::LogHead, head.text.clone());
    assert_eq!(check_head(&book.relay(), &by_stranger), Err(LogFault::Proof(ProofFault::OtherSigner)));
    let for_else = book.signed(Kind::Deletion, head.text.clone());
    assert_eq!(check_head(&book.relay(), &for_else), Err(LogFault::Proof(ProofFault::Namespace)));
    // Signed by the relay, and still not what it was.
    let older = LogHeadText { time: Millis(0).into(), ..good.clone() };
    let older = check_head(&book.relay(), &book.signed(Kind::LogHead, older.to_text())).unwrap();
    let held: &VerifiedHead = &verified;
    assert_eq!(held.check_extended_by(&older, &[]), Err(LogFault::Older));
    assert_eq!(held.check_extended_by(party.history.head(), &[]).map_err(|fault| fault.is_fork()), Err(true));
    assert_eq!(held.check_extended_by(held, &[]), Ok(()));
}

#[test] // [S16.5]
fn every_line_of_a_deletion_counts() {
    let mut book = LogBook::new([1; 32]);
    let id = transfer(1);
    let at = |sequence, kind, ms| Event { sequence, time: Millis(NOW.0 + ms), kind, by: None, body: None };
    book.push(id, &at(0, EventKind::Created, 0));
    book.push(id, &at(1, EventKind::Receipted, 5_000));
    book.push(transfer(2), &at(0, EventKind::Created, 6_000));
    let early = Party::new(&mut book, id);
    book.push(id, &at(2, EventKind::Deleted, 9_000));
    let party = Party::new(&mut book, id);
    let good = DeletionText {
        transfer: id,
        blocks: 3,
        bytes: 3 << 20,
        reason: handover_shared::proof::EndReason::Receipt,
        share_erased: Millis(NOW.0 + 7_000).into(),
        blocks_deleted: Millis(NOW.0 + 9_000).into(),
        method: handover_shared::proof::Method::Files,
        relay_key: book.relay(),
        log_entry: book.entries()[3].leaf(),
    };
    let check = |text: &DeletionText| {
        check_deletion(&party.subject, &party.history, &book.signed(Kind::Deletion, text.to_text()))
    };

    assert_eq!(check(&good), Ok(good.clone()));

    let time = |ms: u64| Millis(NOW.0 + ms).into();
    let wrong = [
        ("transfer", DeletionText { transfer: transfer(2), ..good.clone() }),
        ("relay-key", DeletionText { relay_key: LogBook::new([9; 32]).relay(), ..good.clone() }),
        ("log-entry", DeletionText { log_entry: book.entries()[1].leaf(), ..good.clone() }),
        ("blocks-deleted", DeletionText { blocks_deleted: time(8_000), ..good.clone() }),
        ("share-erased", DeletionText { share_erased: time(4_000), ..good.clone() }),
        ("share-erased", DeletionText { share_erased: time(10_000), ..good.clone() }),
        ("reason", DeletionText { reason: handover_shared::proof::EndReason::Expiry, ..good.clone() }),
    ];
    for (line, text) in wrong {
        assert_eq!(check(&text), Err(LogFault::Deletion(line)));
    }
    let signed = book.signed(Kind::Deletion, good.to_text());
    for text in [DeletionText { blocks: 4, ..good.clone() }, DeletionText { bytes: 4, ..good.clone() }] {
        let forged = Signed { text: text.to_text(), ..signed.clone() };
        let fault = check_deletion(&party.subject, &party.history, &forged);
        assert_eq!(fault, Err(LogFault::Proof(ProofFault::Forged)));
    }
    // A log without the entry knows of no deletion.
    let fault = check_deletion(&early.subject, &early.history, &signed);
    assert_eq!(fault, Err(LogFault::Deletion("log-entry")));
    let by_other = LogBook::new([9; 32]).signed(Kind::Deletion, good.to_text());
    let fault = check_deletion(&party.subject, &party.history, &by_other);
    assert_eq!(fault, Err(LogFault::Proof(ProofFault::OtherSigner)));
}

#[test] // [S16.6]
fn what_was_kept_is_checked_when_it_is_read_again() {
    let mut rng = Rng::new(8);
    let (mut book, party) = world(&mut rng);
    happen(&mut book, &mut rng, 5);
    let head = book.sign(NOW);
    let page = book.answer(&Log { transfer: party.subject.transfer, held_size: 0, size: None, from_sequence: 0 }, NOW);
    assert!(page.entries_in_all <= 20, "one page");
    let kept: Vec<Included> = page.entries;
    assert_eq!(History::reopen(&party.subject, &head, &kept).unwrap(), party.asks(&mut book).unwrap());
    for at in 0..kept.len() {
        let mut altered = kept.clone();
        altered[at].path[0].0[0] ^= 1;
        assert!(History::reopen(&party.subject, &head, &altered).is_err());
    }
    assert!(History::reopen(&party.subject, &Signed { signature: String::new(), ..head }, &kept).is_err());
}
