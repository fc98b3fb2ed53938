//! The built-in database.

use std::path::Path;
use std::time::Duration;

use handover_shared::codec;
use handover_shared::ids::{BlockCount, BlockIndex, Digest, LinkKey, Locator, Millis, TransferId};
use handover_shared::protocol::message::{ClaimRecord, EventKind, PaperRecord, RefusalRecord, Signed};
use handover_shared::protocol::papers::PaperKind;
use handover_shared::protocol::relay::{Storage, Transfer};
use rusqlite::{Connection, OptionalExtension, Params, Row, TransactionBehavior, params};

use super::LedgerError;
use super::columns::{
    Coded, Uint, fixed, log_columns, read_head, read_invite, read_log_row, read_seller, read_transfer,
    transfer_columns, tried,
};
use super::log;
use super::rows::{Access, Backend, InviteRow, LogRow, Offer, PaperPlace, Read, Reserved, Segment, Seller, Write};

/// The newest schema this program knows.
pub const SCHEMA_VERSION: i64 = 1;

/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
CREATE TABLE meta (only INTEGER PRIMARY KEY CHECK (only = 1), schema INTEGER NOT NULL, time INTEGER NOT NULL) STRICT;
CREATE TABLE invites (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, created INTEGER NOT NULL,
    uses_left INTEGER, revoked INTEGER
) STRICT;
CREATE TABLE sellers (
    key BLOB PRIMARY KEY, enrolled INTEGER NOT NULL, invite INTEGER NOT NULL REFERENCES invites (id), revoked INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE transfers (
    id BLOB PRIMARY KEY, seller BLOB NOT NULL, locator BLOB NOT NULL UNIQUE, claim_key BLOB NOT NULL,
    offer_digest BLOB NOT NULL, content BLOB NOT NULL, block_bytes INTEGER NOT NULL, blocks_max INTEGER NOT NULL,
    expires INTEGER NOT NULL, created INTEGER NOT NULL, phase INTEGER NOT NULL, completed INTEGER, ended INTEGER,
    durable INTEGER NOT NULL, blocks INTEGER, fetched INTEGER NOT NULL, share_erased INTEGER,
    blocks_deleted INTEGER NOT NULL, reserved_bytes INTEGER NOT NULL, agreement BLOB
) STRICT;
CREATE INDEX transfers_unsettled ON transfers (expires) WHERE blocks_deleted = 0;
CREATE TABLE offers (
    transfer BLOB PRIMARY KEY REFERENCES transfers (id), sealed_offer BLOB NOT NULL, envelope BLOB NOT NULL
) STRICT;
CREATE TABLE claims (transfer BLOB PRIMARY KEY REFERENCES transfers (id), record BLOB NOT NULL) STRICT;
CREATE TABLE receipts (transfer BLOB PRIMARY KEY REFERENCES transfers (id), sealed BLOB NOT NULL) STRICT;
CREATE TABLE events (
    number INTEGER PRIMARY KEY, transfer BLOB NOT NULL REFERENCES transfers (id), sequence INTEGER NOT NULL,
    time INTEGER NOT NULL, kind INTEGER NOT NULL, by_key BLOB, body BLOB, leaf BLOB NOT NULL,
    UNIQUE (transfer, sequence)
) STRICT;
CREATE TABLE log_nodes (
    level INTEGER NOT NULL, place INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE log_heads (size INTEGER PRIMARY KEY, text TEXT NOT NULL, signature TEXT NOT NULL) STRICT;
CREATE TABLE takedowns (transfer BLOB PRIMARY KEY REFERENCES transfers (id), reason TEXT NOT NULL) STRICT;
CREATE TABLE segments (
    transfer BLOB NOT NULL REFERENCES transfers (id), first INTEGER NOT NULL, count INTEGER NOT NULL,
    name TEXT NOT NULL, PRIMARY KEY (transfer, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE papers (
    transfer BLOB NOT NULL REFERENCES transfers (id), kind INTEGER NOT NULL, place INTEGER NOT NULL,
    time INTEGER NOT NULL, bytes INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (transfer, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE paper_places (
    transfer BLOB NOT NULL, kind INTEGER NOT NULL, sealed BLOB, name TEXT, PRIMARY KEY (transfer, kind),
    FOREIGN KEY (transfer, kind) REFERENCES papers (transfer, kind), CHECK ((sealed IS NULL) <> (name IS NULL))
) STRICT;
CREATE TABLE refusals (transfer BLOB PRIMARY KEY REFERENCES transfers (id), record BLOB NOT NULL) STRICT;
INSERT INTO meta (only, schema, time) VALUES (1, 1, 0);
";

/// A connection to the ledger's file.
pub struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// Opens the file and makes the tables if it is new.
    ///
    /// # Errors
    /// [`LedgerError::NewerSchema`] for a file of a newer program.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let mut connection = Connection::open(path).map_err(tried("open the file"))?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(tried("set the busy timeout"))?;
        // What was deleted must not be readable in the file; what was answered must survive the loss of power.
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
                 PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;",
            )
            .map_err(tried("set its modes"))?;
        create_schema(&mut connection)?;
        Ok(Self { connection })
    }

    fn run(&self, tried_to: &'static str, sql: &str, params: impl Params) -> Result<(), LedgerError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(tried(tried_to))?;
        statement.execute(params).map_err(tried(tried_to))?;
        Ok(())
    }

    fn one<T>(
        &self,
        tried_to: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, LedgerError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(tried(tried_to))?;
        statement.query_row(params, read).optional().map_err(tried(tried_to))
    }

    fn all<T>(
        &self,
        tried_to: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LedgerError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(tried(tried_to))?;
        let rows = statement.query_map(params, read).map_err(tried(tried_to))?;
        rows.collect::<Result<_, _>>().map_err(tried(tried_to))
    }

    /// Reads what hangs on a transfer's row.
    fn complete(&self, mut transfer: Transfer) -> Result<Transfer, LedgerError> {
        let id = &transfer.terms.id.0[..];
        let record = self.one("read a claim", "SELECT record FROM claims WHERE transfer = ?1", [id], |row| {
            row.get::<_, Vec<u8>>(0)
        })?;
        if let Some(bytes) = record {
            let claim = codec::decode::<ClaimRecord>(&bytes).or(Err(LedgerError::Corrupt { what: "claim" }))?;
            transfer.claim = Some(claim);
        }
        transfer.sealed_receipt =
            self.one("read a receipt", "SELECT sealed FROM receipts WHERE transfer = ?1", [id], |row| row.get(0))?;
        let record = self.one("read a refusal", "SELECT record FROM refusals WHERE transfer = ?1", [id], |row| {
            row.get::<_, Vec<u8>>(0)
        })?;
        if let Some(bytes) = record {
            let refusal = codec::decode::<RefusalRecord>(&bytes).or(Err(LedgerError::Corrupt { what: "refusal" }))?;
            transfer.refusal = Some(refusal);
        }
        let sql = "SELECT kind, time, bytes, digest FROM papers WHERE transfer = ?1 ORDER BY place";
        transfer.papers = self.all("read papers", sql, [id], |row| {
            Ok(PaperRecord {
                kind: row.get(0)?,
                time: Millis(row.get::<_, Uint>(1)?.0),
                bytes: row.get::<_, Uint>(2)?.0,
                digest: fixed(row, 3, Digest::from_slice)?,
            })
        })?;
        let sql = concat!("SELECT ", log_columns!(), " FROM events WHERE transfer = ?1 ORDER BY sequence");
        transfer.events = self.all("read events", sql, [id], |row| read_log_row(row).map(|row| row.event))?;
        Ok(transfer)
    }

    fn put_papers(&mut self, transfer: &Transfer, known: usize) -> Result<(), LedgerError> {
        for (place, paper) in transfer.papers.iter().enumerate().skip(known) {
            self.run(
                "store a paper",
                "INSERT INTO papers (transfer, kind, place, time, bytes, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    &transfer.terms.id.0[..],
                    paper.kind,
                    Uint(place as u64),
                    Uint(paper.time.0),
                    Uint(paper.bytes),
                    &paper.digest.0[..]
                ],
            )?;
        }
        Ok(())
    }
}

impl Read for Sqlite {
    fn time(&self) -> Result<Millis, LedgerError> {
        let time = self.one("read its time", "SELECT time FROM meta", [], |row| row.get::<_, Uint>(0))?;
        time.map(|time| Millis(time.0)).ok_or(LedgerError::Corrupt { what: "meta" })
    }

    fn transfer(&self, id: TransferId) -> Result<Option<Transfer>, LedgerError> {
        let sql = concat!("SELECT ", transfer_columns!(), " FROM transfers WHERE id = ?1");
        let bare = self.one("read a transfer", sql, [&id.0[..]], read_transfer)?;
        bare.map(|transfer| self.complete(transfer)).transpose()
    }

    fn transfers(&self, limit: usize) -> Result<Vec<Transfer>, LedgerError> {
        let sql = concat!("SELECT ", transfer_columns!(), " FROM transfers ORDER BY created DESC, id LIMIT ?1");
        let bare = self.all("list transfers", sql, [Uint(limit as u64)], read_transfer)?;
        bare.into_iter().map(|transfer| self.complete(transfer)).collect()
    }

    fn find(&self, locator: Locator) -> Result<Option<TransferId>, LedgerError> {
        self.one("find a locator", "SELECT id FROM transfers WHERE locator = ?1", [&locator.0[..]], |row| {
            fixed(row, 0, TransferId::from_slice)
        })
    }

    fn offer(&self, id: TransferId) -> Result<Option<Offer>, LedgerError> {
        let sql = "SELECT sealed_offer, envelope FROM offers WHERE transfer = ?1";
        self.one("read an offer", sql, [&id.0[..]], |row| {
            Ok(Offer { sealed_offer: row.get(0)?, envelope: row.get(1)? })
        })
    }

    fn segments(&self, id: TransferId, from: BlockIndex, limit: usize) -> Result<Vec<Segment>, LedgerError> {
        let sql = "SELECT first, count, name FROM segments WHERE transfer = ?1 AND first >= ifnull(
                (SELECT max(first) FROM segments WHERE transfer = ?1 AND first <= ?2), 0)
            ORDER BY first LIMIT ?3";
        self.all("read segments", sql, params![&id.0[..], Uint(from.0), Uint(limit as u64)], |row| {
            Ok(Segment {
                first: BlockIndex(row.get::<_, Uint>(0)?.0),
                count: BlockCount(row.get::<_, Uint>(1)?.0),
                name: row.get(2)?,
            })
        })
    }

    fn paper(&self, id: TransferId, kind: PaperKind) -> Result<Option<PaperPlace>, LedgerError> {
        let sql = "SELECT sealed, name FROM paper_places WHERE transfer = ?1 AND kind = ?2";
        let row = self.one("read a paper", sql, params![&id.0[..], kind.number()], |row| {
            Ok((row.get::<_, Option<Vec<u8>>>(0)?, row.get::<_, Option<String>>(1)?))
        })?;
        match row {
            None => Ok(None),
            Some((Some(sealed), None)) => Ok(Some(PaperPlace::Here(sealed))),
            Some((None, Some(name))) => Ok(Some(PaperPlace::Stored(name))),
            Some(_) => Err(LedgerError::Corrupt { what: "paper" }),
        }
    }

    fn unsettled(&self, now: Millis, limit: usize) -> Result<Vec<TransferId>, LedgerError> {
        // These phases are final; their blocks wait for deletion.
        let sql = "SELECT id FROM transfers WHERE blocks_deleted = 0 AND (expires <= ?1 OR phase IN (2, 3, 4, 5, 7)) LIMIT ?2";
        self.all("find what is over", sql, [Uint(now.0), Uint(limit as u64)], |row| {
            fixed(row, 0, TransferId::from_slice)
        })
    }

    fn reserved_bytes(&self) -> Result<u64, LedgerError> {
        let sql = "SELECT ifnull(sum(reserved_bytes), 0) FROM transfers WHERE blocks_deleted = 0";
        let sum = self.one("sum the reservations", sql, [], |row| row.get::<_, Uint>(0))?;
        Ok(sum.map_or(0, |sum| sum.0))
    }

    fn reserved_by(&self, seller: LinkKey) -> Result<Reserved, LedgerError> {
        let sql = "SELECT ifnull(sum(reserved_bytes), 0), count(*) FROM transfers
            WHERE blocks_deleted = 0 AND seller = ?1";
        let read =
            |row: &Row<'_>| Ok(Reserved { bytes: row.get::<_, Uint>(0)?.0, transfers: row.get::<_, Uint>(1)?.0 });
        Ok(self.one("sum a seller's reservations", sql, [&seller.0[..]], read)?.unwrap_or_default())
    }

    fn seller(&self, key: LinkKey) -> Result<Option<Seller>, LedgerError> {
        let sql = "SELECT key, enrolled, invite, revoked FROM sellers WHERE key = ?1";
        self.one("read a seller", sql, [&key.0[..]], read_seller)
    }

    fn sellers(&self) -> Result<Vec<Seller>, LedgerError> {
        let sql = "SELECT key, enrolled, invite, revoked FROM sellers ORDER BY enrolled, key";
        self.all("list sellers", sql, [], read_seller)
    }

    fn invite(&self, digest: Digest) -> Result<Option<InviteRow>, LedgerError> {
        let sql = "SELECT id, digest, created, uses_left, revoked FROM invites WHERE digest = ?1";
        self.one("read an invite", sql, [&digest.0[..]], read_invite)
    }

    fn invites(&self) -> Result<Vec<InviteRow>, LedgerError> {
        let sql = "SELECT id, digest, created, uses_left, revoked FROM invites ORDER BY id";
        self.all("list invites", sql, [], read_invite)
    }

    fn log_last(&self) -> Result<Option<(u64, Digest)>, LedgerError> {
        let sql = "SELECT number, leaf FROM events ORDER BY number DESC LIMIT 1";
        self.one("find the log's end", sql, [], |row| {
            Ok((row.get::<_, Uint>(0)?.0, fixed(row, 1, Digest::from_slice)?))
        })
    }

    fn log_leaf(&self, number: u64) -> Result<Option<Digest>, LedgerError> {
        let sql = "SELECT leaf FROM events WHERE number = ?1";
        self.one("read a leaf of the log", sql, [Uint(number)], |row| fixed(row, 0, Digest::from_slice))
    }

    fn log_rows(&self, from: u64, limit: u64) -> Result<Vec<LogRow>, LedgerError> {
        let sql = concat!("SELECT ", log_columns!(), " FROM events WHERE number >= ?1 ORDER BY number LIMIT ?2");
        self.all("read the log", sql, params![Uint(from), Uint(limit)], read_log_row)
    }

    fn log_of(&self, id: TransferId, from: u64, below: u64, limit: usize) -> Result<Vec<LogRow>, LedgerError> {
        let sql = concat!(
            "SELECT ",
            log_columns!(),
            " FROM events WHERE transfer = ?1 AND sequence >= ?2 AND number < ?3 ORDER BY sequence LIMIT ?4"
        );
        let params = params![&id.0[..], Uint(from), Uint(below), Uint(limit as u64)];
        self.all("read what the log has of a transfer", sql, params, read_log_row)
    }

    fn log_count(&self, id: TransferId, below: u64) -> Result<u64, LedgerError> {
        let sql = "SELECT count(*) FROM events WHERE transfer = ?1 AND number < ?2";
        let count =
            self.one("count what the log has", sql, params![&id.0[..], Uint(below)], |row| row.get::<_, Uint>(0));
        Ok(count?.map_or(0, |count| count.0))
    }

    fn log_find(&self, id: TransferId, kind: EventKind) -> Result<Option<LogRow>, LedgerError> {
        let sql = concat!(
            "SELECT ",
            log_columns!(),
            " FROM events WHERE transfer = ?1 AND kind = ?2 ORDER BY sequence LIMIT 1"
        );
        self.one("find an entry of the log", sql, params![&id.0[..], Coded(kind)], read_log_row)
    }

    fn log_node(&self, level: u32, place: u64) -> Result<Option<Digest>, LedgerError> {
        let sql = "SELECT hash FROM log_nodes WHERE level = ?1 AND place = ?2";
        self.one("read a node of the log", sql, params![level, Uint(place)], |row| fixed(row, 0, Digest::from_slice))
    }

    fn head(&self, size: Option<u64>) -> Result<Option<(u64, Signed)>, LedgerError> {
        let sql =
            "SELECT size, text, signature FROM log_heads WHERE size = ifnull(?1, (SELECT max(size) FROM log_heads))";
        self.one("read a head of the log", sql, params![size.map(Uint)], read_head)
    }

    fn heads(&self, above: u64, limit: u64) -> Result<Vec<(u64, Signed)>, LedgerError> {
        let sql = "SELECT size, text, signature FROM log_heads WHERE size > ?1 ORDER BY size LIMIT ?2";
        self.all("read heads of the log", sql, params![Uint(above), Uint(limit)], read_head)
    }

    fn log_counts(&self) -> Result<(u64, u64), LedgerError> {
        let sql = "SELECT (SELECT count(*) FROM log_nodes), (SELECT count(*) FROM transfers)";
        let read = |row: &Row<'_>| Ok((row.get::<_, Uint>(0)?.0, row.get::<_, Uint>(1)?.0));
        Ok(self.one("count the log's rows", sql, [], read)?.unwrap_or_default())
    }

    fn taken_down(&self, limit: usize) -> Result<Vec<TransferId>, LedgerError> {
        let sql = "SELECT transfer FROM takedowns JOIN transfers ON id = transfer WHERE blocks_deleted = 0 LIMIT ?1";
        self.all("find what was taken down", sql, [Uint(limit as u64)], |row| fixed(row, 0, TransferId::from_slice))
    }

    fn takedown(&self, id: TransferId) -> Result<Option<String>, LedgerError> {
        let sql = "SELECT reason FROM takedowns WHERE transfer = ?1";
        self.one("read why a transfer was taken down", sql, [&id.0[..]], |row| row.get(0))
    }
}

impl Write for Sqlite {
    fn set_time(&mut self, now: Millis) -> Result<(), LedgerError> {
        self.run("store its time", "UPDATE meta SET time = max(time, ?1)", [Uint(now.0)])
    }

    fn insert(&mut self, transfer: &Transfer, offer: &Offer) -> Result<(), LedgerError> {
        let terms = &transfer.terms;
        self.run(
            "store a transfer",
            "INSERT INTO transfers (id, seller, locator, claim_key, offer_digest, content, block_bytes, blocks_max,
                expires, created, phase, durable, fetched, blocks_deleted, reserved_bytes, agreement)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 0, ?14, ?15)",
            params![
                &terms.id.0[..],
                &terms.seller.0[..],
                &terms.locator.0[..],
                &terms.claim_key.0[..],
                &terms.offer_digest.0[..],
                &terms.content.0[..],
                Uint(terms.block_size.sealed_bytes() as u64),
                Uint(terms.blocks_max.0),
                Uint(terms.expires.0),
                Uint(transfer.created.0),
                Coded(transfer.phase),
                Uint(transfer.durable.0),
                Uint(transfer.fetched.0),
                Uint(transfer.reserved_bytes()),
                terms.agreement.as_ref().map(|digest| &digest.0[..]),
            ],
        )?;
        self.run(
            "store an offer",
            "INSERT INTO offers (transfer, sealed_offer, envelope) VALUES (?1, ?2, ?3)",
            params![&terms.id.0[..], offer.sealed_offer, offer.envelope],
        )?;
        log::append(self, transfer, 0)
    }

    fn update(&mut self, before: &Transfer, after: &Transfer) -> Result<(), LedgerError> {
        let id = &after.terms.id.0[..];
        self.run(
            "store what changed of a transfer",
            "UPDATE transfers SET phase = ?2, completed = ?3, ended = ?4, durable = ?5, blocks = ?6, fetched = ?7,
                share_erased = ?8, blocks_deleted = ?9, reserved_bytes = ?10 WHERE id = ?1",
            params![
                id,
                Coded(after.phase),
                after.completed.map(|time| Uint(time.0)),
                after.ended.map(|time| Uint(time.0)),
                Uint(after.durable.0),
                after.blocks.map(|blocks| Uint(blocks.0)),
                Uint(after.fetched.0),
                after.share_erased.map(|time| Uint(time.0)),
                after.storage == Storage::Deleted,
                Uint(after.reserved_bytes()),
            ],
        )?;
        if let (None, Some(claim)) = (&before.claim, &after.claim) {
            let sql = "INSERT INTO claims (transfer, record) VALUES (?1, ?2)";
            self.run("store a claim", sql, params![id, codec::encode(claim)])?;
        }
        if let (None, Some(sealed)) = (&before.sealed_receipt, &after.sealed_receipt) {
            let sql = "INSERT INTO receipts (transfer, sealed) VALUES (?1, ?2)";
            self.run("store a receipt", sql, params![id, sealed])?;
        }
        if let (None, Some(refusal)) = (&before.refusal, &after.refusal) {
            let sql = "INSERT INTO refusals (transfer, record) VALUES (?1, ?2)";
            self.run("store a refusal", sql, params![id, codec::encode(refusal)])?;
        }
        self.put_papers(after, before.papers.len())?;
        if after.phase.is_final() && !before.phase.is_final() {
            self.run("remove an offer", "DELETE FROM offers WHERE transfer = ?1", [id])?;
        }
        log::append(self, after, before.events.len())
    }

    fn add_segment(&mut self, id: TransferId, segment: &Segment) -> Result<(), LedgerError> {
        self.run(
            "store a segment",
            "INSERT INTO segments (transfer, first, count, name) VALUES (?1, ?2, ?3, ?4)",
            params![&id.0[..], Uint(segment.first.0), Uint(segment.count.0), segment.name],
        )
    }

    fn add_paper(&mut self, id: TransferId, kind: PaperKind, place: &PaperPlace) -> Result<(), LedgerError> {
        let (sealed, name) = match place {
            PaperPlace::Here(sealed) => (Some(sealed), None),
            PaperPlace::Stored(name) => (None, Some(name)),
        };
        self.run(
            "store where a paper is",
            "INSERT INTO paper_places (transfer, kind, sealed, name) VALUES (?1, ?2, ?3, ?4)",
            params![&id.0[..], kind.number(), sealed, name],
        )
    }

    fn remove_segments(&mut self, id: TransferId) -> Result<(), LedgerError> {
        let sql = "DELETE FROM paper_places WHERE transfer = ?1 AND name IS NOT NULL";
        self.run("forget stored papers", sql, [&id.0[..]])?;
        self.run("forget segments", "DELETE FROM segments WHERE transfer = ?1", [&id.0[..]])
    }

    fn put_seller(&mut self, seller: &Seller) -> Result<(), LedgerError> {
        self.run(
            "store a seller",
            "INSERT INTO sellers (key, enrolled, invite, revoked) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (key) DO UPDATE SET enrolled = ?2, invite = ?3, revoked = ?4",
            params![&seller.key.0[..], Uint(seller.enrolled.0), seller.invite, seller.revoked.map(|time| Uint(time.0))],
        )
    }

    fn add_invite(&mut self, digest: Digest, created: Millis, uses: Option<u64>) -> Result<i64, LedgerError> {
        self.run(
            "store an invite",
            "INSERT INTO invites (digest, created, uses_left) VALUES (?1, ?2, ?3)",
            params![&digest.0[..], Uint(created.0), uses.map(Uint)],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    fn put_invite(&mut self, invite: &InviteRow) -> Result<(), LedgerError> {
        self.run(
            "store an invite",
            "UPDATE invites SET uses_left = ?2, revoked = ?3 WHERE id = ?1",
            params![invite.id, invite.uses_left.map(Uint), invite.revoked.map(|time| Uint(time.0))],
        )
    }

    fn add_log_row(&mut self, row: &LogRow) -> Result<(), LedgerError> {
        let event = &row.event;
        self.run(
            "write the log",
            "INSERT INTO events (number, transfer, sequence, time, kind, by_key, body, leaf)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                Uint(row.number),
                &row.transfer.0[..],
                Uint(event.sequence),
                Uint(event.time.0),
                Coded(event.kind),
                event.by.as_ref().map(|key| &key.0[..]),
                event.body.as_ref().map(|body| &body.0[..]),
                &row.leaf.0[..],
            ],
        )
    }

    fn add_log_node(&mut self, level: u32, place: u64, hash: Digest) -> Result<(), LedgerError> {
        let sql = "INSERT INTO log_nodes (level, place, hash) VALUES (?1, ?2, ?3)";
        self.run("write a node of the log", sql, params![level, Uint(place), &hash.0[..]])
    }

    fn add_head(&mut self, size: u64, head: &Signed) -> Result<(), LedgerError> {
        let sql = "INSERT INTO log_heads (size, text, signature) VALUES (?1, ?2, ?3)";
        self.run("store a head of the log", sql, params![Uint(size), head.text, head.signature])
    }

    fn put_takedown(&mut self, id: TransferId, reason: &str) -> Result<(), LedgerError> {
        let sql = "INSERT INTO takedowns (transfer, reason) VALUES (?1, ?2) ON CONFLICT (transfer) DO NOTHING";
        self.run("store why a transfer is taken down", sql, params![&id.0[..], reason])
    }
}

impl Backend for Sqlite {
    fn begin(&mut self, access: Access) -> Result<(), LedgerError> {
        let sql = match access {
            Access::Read => "BEGIN DEFERRED",
            Access::Write => "BEGIN IMMEDIATE",
        };
        self.run("begin a transaction", sql, [])
    }

    fn savepoint(&mut self) -> Result<(), LedgerError> {
        self.run("set a savepoint", "SAVEPOINT operation", [])
    }

    fn keep(&mut self) -> Result<(), LedgerError> {
        self.run("release a savepoint", "RELEASE operation", [])
    }

    fn undo(&mut self) -> Result<(), LedgerError> {
        self.run("go back to a savepoint", "ROLLBACK TO operation", [])?;
        self.keep()
    }

    fn commit(&mut self) -> Result<(), LedgerError> {
        self.run("commit", "COMMIT", [])
    }

    fn rollback(&mut self) -> Result<(), LedgerError> {
        if self.connection.is_autocommit() { Ok(()) } else { self.run("roll back", "ROLLBACK", []) }
    }

    /// Writes the log back into the file and empties it.
    fn tidy(&mut self) -> Result<(), LedgerError> {
        self.one("write its log back", "PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map(drop)
    }

    fn changes(&self) -> u64 {
        self.connection.total_changes()
    }
}

fn create_schema(connection: &mut Connection) -> Result<(), LedgerError> {
    // Who finds the tables takes no lock: another process may be writing.
    if !has_tables(connection)? {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(tried("begin a transaction"))?;
        // Another process may have come first.
        if !has_tables(&transaction)? {
            transaction.execute_batch(SCHEMA).map_err(tried("make its tables"))?;
        }
        transaction.commit().map_err(tried("commit its tables"))?;
    }
    let seen = connection
        .query_row("SELECT schema FROM meta", [], |row| row.get::<_, i64>(0))
        .map_err(tried("read its version"))?;
    if seen > SCHEMA_VERSION { Err(LedgerError::NewerSchema { seen, known: SCHEMA_VERSION }) } else { Ok(()) }
}

fn has_tables(connection: &Connection) -> Result<bool, LedgerError> {
    connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'", [], |row| row.get(0))
        .map_err(tried("look for its tables"))
}
