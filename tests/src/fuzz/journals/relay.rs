//! The data folder of a relay: a ledger, segments and shares that were whole, and then were not.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use handover_relay::ledger::operations::{self, Allowance, Enrolment};
use handover_relay::ledger::rows::PaperPlace;
use handover_relay::ledger::rows::{Backend, Offer, Read, Segment};
use handover_relay::ledger::{Sqlite, once};
use handover_relay::store::Segments;
use handover_relay::store::files::Files;
use handover_relay::store::shares::Shares;
use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, ClaimKey, Digest, LinkKey, Locator, Millis, TransferId};
use handover_shared::protocol::message::Deposit;
use handover_shared::protocol::papers::PaperKind;
use handover_shared::protocol::relay::{Effect, Terms};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::fuzz::take::Take;

const TRANSFERS: u8 = 3;
const SELLER: LinkKey = LinkKey([1; 32]);
const BUYER: LinkKey = LinkKey([2; 32]);
const NOW: Millis = Millis(1000);
const SHARE: [u8; 32] = [5; 32];

const COLUMNS: [(&str, &[&str]); 11] = [
    (
        "transfers",
        &[
            "id",
            "seller",
            "locator",
            "claim_key",
            "offer_digest",
            "content",
            "block_bytes",
            "blocks_max",
            "expires",
            "created",
            "phase",
            "completed",
            "ended",
            "durable",
            "blocks",
            "fetched",
            "share_erased",
            "blocks_deleted",
            "reserved_bytes",
            "agreement",
        ],
    ),
    ("segments", &["transfer", "first", "count", "name"]),
    ("events", &["transfer", "sequence", "time", "kind", "by_key"]),
    ("offers", &["transfer", "sealed_offer", "envelope"]),
    ("papers", &["transfer", "kind", "place", "time", "bytes", "digest"]),
    ("paper_places", &["transfer", "kind", "sealed", "name"]),
    ("refusals", &["transfer", "record"]),
    ("claims", &["transfer", "record"]),
    ("sellers", &["key", "enrolled", "invite", "revoked"]),
    ("invites", &["id", "digest", "created", "uses_left", "revoked"]),
    ("meta", &["schema", "time", "only"]),
];

/// Damages a data folder in some way; then everything is read and tried.
pub fn relay(folder: &Path, take: &mut Take<'_>) {
    for (path, bytes) in whole() {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder can be made");
        fs::write(path, bytes).expect("a file can be written");
    }
    let ledger = folder.join("ledger.sqlite");
    match take.below(4) {
        0 => overwrite(&ledger, take),
        1 | 2 => alter_rows(&ledger, take),
        _ => return damage_files(folder, take),
    }
    let Ok(mut rows) = Sqlite::open(&ledger) else { return };
    read_everything(&rows, take);
    operate(&mut rows, take);
    let _outcome = rows.tidy();
}

/// Bytes of the database's own file.
fn overwrite(ledger: &Path, take: &mut Take<'_>) {
    let mut bytes = fs::read(ledger).expect("a ledger");
    for _ in 0..=take.below(4) {
        let at = take.below(bytes.len() as u64) as usize;
        let over = take.bytes(16);
        bytes.iter_mut().skip(at).zip(over).for_each(|(byte, over)| *byte = *over);
    }
    if take.one_in(4) {
        bytes.truncate(take.below(bytes.len() as u64) as usize);
    }
    fs::write(ledger, bytes).expect("it can be written");
}

/// Values that this program never writes, in rows of the right form.
fn alter_rows(ledger: &Path, take: &mut Take<'_>) {
    let Ok(connection) = Connection::open(ledger) else { return };
    if connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF;").is_err() {
        return;
    }
    for _ in 0..=take.below(4) {
        let (table, columns) = take.pick(&COLUMNS);
        let column = take.pick(columns);
        let value = match take.below(6) {
            0 => Value::Integer(take.any()),
            1 | 2 => Value::Integer(take.below(8) as i64),
            3 => Value::Null,
            4 => Value::Text(take.text(20)),
            _ => Value::Blob(take.bytes(40).to_vec()),
        };
        let all = if take.any() { "" } else { " WHERE rowid = 1" };
        // A value that the table refuses cannot come to be there.
        let _refused = connection.execute(&format!("UPDATE {table} SET {column} = ?1{all}"), [value]);
    }
}

fn read_everything(rows: &impl Read, take: &mut Take<'_>) {
    let _all = (rows.time().is_ok(), rows.transfers(10).is_ok());
    let at = BlockIndex(take.any());
    for id in (0..TRANSFERS).map(id) {
        let _rows = (rows.offer(id).is_ok(), rows.find(Locator(id.0)).is_ok());
        for from in [BlockIndex(0), BlockIndex(1), at] {
            let Ok(segments) = rows.segments(id, from, 100) else { continue };
            assert!(segments.is_sorted_by_key(|segment| segment.first));
            segments.iter().for_each(|segment| assert!(segment.end() >= segment.first));
        }
    }
    let _rest = (rows.unsettled(NOW, 10).is_ok(), rows.reserved_bytes().is_ok(), rows.sellers().is_ok());
    let _more = (rows.invites().is_ok(), rows.seller(SELLER).is_ok(), rows.invite(Digest([3; 32])).is_ok());
}

/// Every operation of the domain, on whatever is there.
fn operate(rows: &mut Sqlite, take: &mut Take<'_>) {
    for _ in 0..6 {
        let (id, now) = (id(take.below(u64::from(TRANSFERS)) as u8), Millis(NOW.0 + take.below(3) * 5000));
        let by = take.pick(&[SELLER, BUYER]);
        let kind = take.below(9);
        let is_sound = rows.transfer(id).is_ok_and(|transfer| transfer.is_none_or(|transfer| transfer.is_sound()));
        let number = BlockCount(take.pick(&[0, 2, 3, u64::MAX]));
        let done = once(rows, now, |rows, now| {
            Ok(match kind {
                0 => operations::append(rows, now, id, by, Enrolment::Open)?.is_ok(),
                1 => {
                    let segment = Segment { first: BlockIndex(2), count: number, name: "a".into() };
                    operations::stored(rows, now, id, by, Enrolment::Open, &segment)?.is_ok()
                }
                2 => operations::complete(rows, now, id, by, number)?.is_ok(),
                3 => operations::peek(rows, now, Locator(id.0), by)?.is_ok(),
                4 => operations::fetch(rows, now, id, by, BlockIndex(number.0))?.is_ok(),
                5 => operations::fetched(rows, id, number)?.is_ok(),
                6 => operations::receive(rows, now, id, by, b"receipt")?.is_ok(),
                7 => operations::revoke(rows, now, id, by)?.is_ok(),
                _ => {
                    let next = operations::settle(rows, id, now)?;
                    let after = operations::done(rows, now, id, Effect::EraseShare)?;
                    next.is_none() || after.is_none() || after != Some(Effect::EraseShare)
                }
            })
        });
        // A refusal takes nothing.
        let is_taken = done.as_ref().is_ok_and(|taken| *taken);
        assert!(is_sound || kind == 3 || !is_taken, "damaged, and taken for whole");
        // Erasing goes before deleting, whatever is there.
        assert!(kind != 8 || done.as_ref().is_ok_and(|fits| *fits) || done.is_err());
        if done.is_err() {
            return;
        }
    }
}

/// Segments and shares: what is read is what was written, or it is refused.
fn damage_files(folder: &Path, take: &mut Take<'_>) {
    let segments = Files::open(folder.join("segments")).expect("a folder");
    let shares = Shares::open(folder.join("shares")).expect("a folder");
    let id = id(0);
    let share = folder.join("shares").join(id.to_hex());
    let mut bytes = fs::read(&share).expect("a share");
    let at = take.below(bytes.len() as u64) as usize;
    match take.below(3) {
        0 => bytes.truncate(at),
        1 => bytes.extend_from_slice(take.bytes(9)),
        _ => bytes[at] ^= take.any::<u8>(),
    }
    fs::write(&share, bytes).expect("it can be written");
    if let Ok(read) = shares.read(id) {
        assert!(read.is_some_and(|read| *read == SHARE), "another share than was stored");
    }
    shares.erase(id).expect("a share can be erased");
    let names = segments.names(id).expect("a folder");
    let name = names.first().expect("a segment");
    let path = folder.join("segments").join(id.to_hex()).join(name);
    let length = fs::metadata(&path).expect("a segment").len();
    let kept = take.below(length + 1);
    let file = fs::OpenOptions::new().write(true).open(&path).expect("a segment");
    file.set_len(kept).expect("it can be cut");
    let (offset, wanted) = (take.below(length + 10), take.below(length + 10) as usize);
    let read = segments.open(id, name).and_then(|mut reader| reader.read(offset, wanted));
    match read {
        Ok(bytes) => assert!(bytes.len() == wanted && offset + wanted as u64 <= kept.max(offset)),
        Err(_) => assert!(offset + wanted as u64 > kept),
    }
    for name in ["..", "a/b", ""] {
        assert!(segments.open(id, name).is_err() || name != "a/b");
    }
    segments.delete(id).expect("segments can be deleted");
    assert!(segments.names(id).is_ok_and(|names| names.is_empty()));
}

/// A data folder with three transfers, as files; made once.
fn whole() -> &'static [(PathBuf, Vec<u8>)] {
    static WHOLE: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        make(folder.path());
        let mut files = Vec::new();
        collect(folder.path(), folder.path(), &mut files);
        files
    })
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let below = path.strip_prefix(root).expect("it is below").to_owned();
            files.push((below, fs::read(&path).expect("a file")));
        }
    }
}

fn make(folder: &Path) {
    let mut rows = Sqlite::open(&folder.join("ledger.sqlite")).expect("a new ledger");
    let segments = Files::open(folder.join("segments")).expect("a folder");
    let shares = Shares::open(folder.join("shares")).expect("a folder");
    let allowance = Allowance {
        enrolment: Enrolment::Open,
        transfer_bytes_max: u64::MAX,
        total_bytes_max: u64::MAX,
        seller_bytes_max: u64::MAX,
        seller_transfers_max: u64::MAX,
        expiry_ms_max: u64::MAX,
        free_bytes: u64::MAX,
    };
    let mut run = |operation: &mut dyn FnMut(&mut dyn handover_relay::ledger::rows::Write)| {
        once(&mut rows, NOW, |rows, _| {
            operation(rows);
            Ok(())
        })
        .expect("a ledger that works");
    };
    run(&mut |rows| {
        operations::invite(rows, NOW, Digest([3; 32]), Some(2)).expect("an invite");
        operations::enrol(rows, NOW, Digest([3; 32]), SELLER).expect("a ledger").expect("enrolled");
    });
    for number in 0..TRANSFERS {
        let id = id(number);
        shares.put(id, &SHARE).expect("a share");
        let mut writer = segments.create(id, BlockIndex(0)).expect("a segment");
        writer.write(&[Bytes::from(vec![number; 300])]).expect("a segment");
        let name = writer.finish().expect("a segment");
        let mut writer = segments.create(id, BlockIndex(99)).expect("a document");
        writer.write(&[Bytes::from(vec![number; 200])]).expect("a document");
        let document = PaperPlace::Stored(writer.finish().expect("a document"));
        let offer = Offer { sealed_offer: vec![9; 40], envelope: vec![8; 104] };
        run(&mut |rows| {
            operations::create(rows, NOW, &terms(id), &offer, &allowance).expect("a ledger").expect("created");
            let segment = Segment { first: BlockIndex(0), count: BlockCount(2), name: name.clone() };
            operations::stored(rows, NOW, id, SELLER, Enrolment::Open, &segment).expect("a ledger").expect("stored");
            let asked = Deposit { transfer: id, kind: PaperKind::Agreement.number(), bytes: 200 };
            operations::deposit(rows, NOW, SELLER, asked, Digest([1; 32]), &document).expect("a ledger").expect("laid");
            if number > 0 {
                operations::complete(rows, NOW, id, SELLER, BlockCount(2)).expect("a ledger").expect("complete");
            }
            if number > 1 {
                operations::revoke(rows, NOW, id, SELLER).expect("a ledger").expect("revoked");
                let asked = Deposit { transfer: id, kind: PaperKind::Revocation.number(), bytes: 3 };
                let words = PaperPlace::Here(vec![1, 2, 3]);
                operations::deposit(rows, NOW, SELLER, asked, Digest([2; 32]), &words)
                    .expect("a ledger")
                    .expect("laid");
            }
        });
    }
}

fn id(number: u8) -> TransferId {
    TransferId([number; 16])
}

fn terms(id: TransferId) -> Terms {
    Terms {
        id,
        seller: SELLER,
        locator: Locator(id.0),
        claim_key: ClaimKey([4; 32]),
        offer_digest: Digest([6; 32]),
        content: Digest([7; 32]),
        block_size: BlockSize::Small,
        blocks_max: BlockCount(6),
        expires: Millis(9000),
        agreement: Some(Digest([8; 32])),
    }
}
