//! Values as columns of the built-in database, and back.

use std::sync::Arc;

use handover_shared::codec;
use handover_shared::ids::{BlockCount, BlockSize, ClaimKey, Digest, LinkKey, Locator, Millis, TransferId};
use handover_shared::protocol::message::{Event, EventKind, Phase, Signed};
use handover_shared::protocol::relay::{Share, Storage, Terms, Transfer};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::LedgerError;
use super::rows::{InviteRow, LogRow, Seller};

/// The columns that [`read_transfer`] wants, in its order.
macro_rules! transfer_columns {
    () => {
        "id, seller, locator, claim_key, offer_digest, content, block_bytes, blocks_max, expires, created, phase, \
         completed, ended, durable, blocks, fetched, share_erased, blocks_deleted, agreement"
    };
}
pub(super) use transfer_columns;

pub(super) fn read_transfer(row: &Row<'_>) -> rusqlite::Result<Transfer> {
    let count = |index| row.get::<_, Uint>(index).map(|number| BlockCount(number.0));
    let maybe = |index| row.get::<_, Option<Uint>>(index).map(|number| number.map(|number| number.0));
    Ok(Transfer {
        terms: Terms {
            id: fixed(row, 0, TransferId::from_slice)?,
            seller: fixed(row, 1, LinkKey::from_slice)?,
            locator: fixed(row, 2, Locator::from_slice)?,
            claim_key: fixed(row, 3, ClaimKey::from_slice)?,
            offer_digest: fixed(row, 4, Digest::from_slice)?,
            content: fixed(row, 5, Digest::from_slice)?,
            block_size: row.get::<_, Coded<BlockSize>>(6)?.0,
            blocks_max: count(7)?,
            expires: Millis(row.get::<_, Uint>(8)?.0),
            agreement: optional(row, 18, Digest::from_slice)?,
        },
        created: Millis(row.get::<_, Uint>(9)?.0),
        phase: row.get::<_, Coded<Phase>>(10)?.0,
        completed: maybe(11)?.map(Millis),
        ended: maybe(12)?.map(Millis),
        durable: count(13)?,
        blocks: maybe(14)?.map(BlockCount),
        fetched: count(15)?,
        claim: None,
        sealed_receipt: None,
        papers: Vec::new(),
        refusal: None,
        share: if row.get::<_, Option<Uint>>(16)?.is_some() { Share::Erased } else { Share::Kept },
        share_erased: maybe(16)?.map(Millis),
        storage: if row.get(17)? { Storage::Deleted } else { Storage::Kept },
        events: Vec::new(),
    })
}

pub(super) fn read_seller(row: &Row<'_>) -> rusqlite::Result<Seller> {
    Ok(Seller {
        key: fixed(row, 0, LinkKey::from_slice)?,
        enrolled: Millis(row.get::<_, Uint>(1)?.0),
        invite: row.get(2)?,
        revoked: row.get::<_, Option<Uint>>(3)?.map(|time| Millis(time.0)),
    })
}

pub(super) fn read_invite(row: &Row<'_>) -> rusqlite::Result<InviteRow> {
    Ok(InviteRow {
        id: row.get(0)?,
        digest: fixed(row, 1, Digest::from_slice)?,
        created: Millis(row.get::<_, Uint>(2)?.0),
        uses_left: row.get::<_, Option<Uint>>(3)?.map(|uses| uses.0),
        revoked: row.get::<_, Option<Uint>>(4)?.map(|time| Millis(time.0)),
    })
}

/// The columns that [`read_log_row`] wants, in its order.
macro_rules! log_columns {
    () => {
        "number, transfer, sequence, time, kind, by_key, body, leaf"
    };
}
pub(super) use log_columns;

pub(super) fn read_log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    Ok(LogRow {
        number: row.get::<_, Uint>(0)?.0,
        transfer: fixed(row, 1, TransferId::from_slice)?,
        event: Event {
            sequence: row.get::<_, Uint>(2)?.0,
            time: Millis(row.get::<_, Uint>(3)?.0),
            kind: row.get::<_, Coded<EventKind>>(4)?.0,
            by: optional(row, 5, LinkKey::from_slice)?,
            body: optional(row, 6, Digest::from_slice)?,
        },
        leaf: fixed(row, 7, Digest::from_slice)?,
    })
}

pub(super) fn read_head(row: &Row<'_>) -> rusqlite::Result<(u64, Signed)> {
    Ok((row.get::<_, Uint>(0)?.0, Signed { text: row.get(1)?, signature: row.get(2)? }))
}

pub(super) fn tried(tried: &'static str) -> impl FnOnce(rusqlite::Error) -> LedgerError {
    move |source| LedgerError::Sqlite { tried, source: Arc::new(source) }
}

pub(super) fn fixed<T>(row: &Row<'_>, index: usize, read: impl FnOnce(&[u8]) -> Option<T>) -> rusqlite::Result<T> {
    optional(row, index, read)?.ok_or_else(|| invalid(row, index))
}

pub(super) fn optional<T>(
    row: &Row<'_>,
    index: usize,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(index)? {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(bytes) => read(bytes).map(Some).ok_or_else(|| invalid(row, index)),
        _ => Err(invalid(row, index)),
    }
}

fn invalid(row: &Row<'_>, index: usize) -> rusqlite::Error {
    let kind = row.get_ref(index).map_or(rusqlite::types::Type::Null, |value| value.data_type());
    rusqlite::Error::InvalidColumnType(index, "fixed bytes".into(), kind)
}

/// An unsigned number in SQLite's signed column; what does not fit is an error, never another number.
pub(super) struct Uint(pub u64);

impl rusqlite::ToSql for Uint {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        let number = i64::try_from(self.0).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(number.into())
    }
}

impl rusqlite::types::FromSql for Uint {
    fn column_result(value: ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Self).or(Err(rusqlite::types::FromSqlError::OutOfRange(number)))
    }
}

/// A value of a fixed set, stored as the number it has on the wire.
pub(super) struct Coded<T>(pub T);

impl<T: minicbor::Encode<()>> rusqlite::ToSql for Coded<T> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        let number = minicbor::decode::<i64>(&codec::encode(&self.0))
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(number.into())
    }
}

impl<T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()>> rusqlite::types::FromSql for Coded<T> {
    fn column_result(value: ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        let number = value.as_i64()?;
        codec::decode(&codec::encode(&number)).map(Self).or(Err(rusqlite::types::FromSqlError::OutOfRange(number)))
    }
}
