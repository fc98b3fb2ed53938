//! Each of a thousand alterations of a ledger's log is found by whoever goes through all of it, and an honest one is not
//! accused: rows removed, changed, reordered, doubled and cut off, nodes and heads altered, all of it made anew, and
//! signed by another key.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail like that")]

use std::path::Path;

use handover_relay::ledger::log::{self, Signer};
use handover_relay::ledger::operations::{self, Allowance, Enrolment};
use handover_relay::ledger::rows::{Offer, Segment};
use handover_relay::ledger::verify::{Damage, verify};
use handover_relay::ledger::{Sqlite, once};
use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, ClaimKey, Digest, LinkKey, Locator, Millis, TransferId};
use handover_shared::protocol::relay::Terms;
use handover_shared::tls::LinkSecret;
use rusqlite::{Connection, params};
use zeroize::Zeroizing;

const START: u64 = 1_800_000_000_000;
const TRANSFERS: u8 = 12;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((z ^ (z >> 31)) % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

fn signer(seed: u8) -> Signer {
    Signer::new(&LinkSecret::of_seed(Zeroizing::new([seed; 32])).unwrap())
}

/// Some transfers in every state, with heads signed in between and at the end.
fn ledger(path: &Path) {
    let mut rows = Sqlite::open(path).unwrap();
    let allowance = Allowance {
        enrolment: Enrolment::Open,
        transfer_bytes_max: u64::MAX,
        total_bytes_max: u64::MAX,
        seller_bytes_max: u64::MAX,
        seller_transfers_max: u64::MAX,
        expiry_ms_max: u64::MAX >> 2,
        free_bytes: u64::MAX,
    };
    let seller = LinkKey([1; 32]);
    for step in 0..4_u64 {
        for seed in 1..=TRANSFERS {
            let (id, now) = (TransferId([seed; 16]), Millis(START + step * 1000 + u64::from(seed)));
            let terms = Terms {
                id,
                seller,
                locator: Locator([seed; 16]),
                claim_key: ClaimKey([3; 32]),
                offer_digest: Digest([seed; 32]),
                content: Digest([5; 32]),
                block_size: BlockSize::Small,
                blocks_max: BlockCount(10),
                expires: Millis(START + 1_000_000),
                agreement: None,
            };
            let offer = Offer { sealed_offer: vec![1; 50], envelope: vec![2; 104] };
            let segment = Segment { first: BlockIndex(0), count: BlockCount(2), name: format!("{seed}.seg") };
            once(&mut rows, now, |rows, now| {
                match step {
                    0 => drop(operations::create(rows, now, &terms, &offer, &allowance)?.unwrap()),
                    1 if seed % 4 != 0 => {
                        assert!(operations::stored(rows, now, id, seller, Enrolment::Open, &segment)?.is_ok());
                    }
                    2 if seed % 4 != 0 => {
                        assert!(operations::complete(rows, now, id, seller, BlockCount(2))?.is_ok());
                    }
                    3 if seed % 3 == 0 => drop(operations::revoke(rows, now, id, seller)?.unwrap()),
                    3 if seed % 3 == 1 => drop(operations::take_down(rows, now, id, "reason")?.unwrap()),
                    _ => {}
                }
                if step == 3 {
                    while let Some(effect) = operations::settle(rows, id, now)? {
                        operations::done(rows, now, id, effect)?;
                    }
                }
                if seed % 5 == 0 { log::sign_head(rows, now, &signer(7)) } else { Ok(()) }
            })
            .unwrap();
        }
    }
    once(&mut rows, Millis(START + 9_000), |rows, now| log::sign_head(rows, now, &signer(7))).unwrap();
}

/// Alters something; nothing if the dice chose what cannot be.
fn alter(rows: &Connection, dice: &mut Dice) -> Option<String> {
    let count: i64 = rows.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    let (one, other) = (dice.below(count), dice.below(count));
    let run = |sql: &str| {
        let changed = rows.execute(sql, []).unwrap_or(0);
        (changed > 0).then(|| sql.to_owned())
    };
    let flip = |table: &str, column: &str, place: &str, bit: i64| {
        let sql = format!("SELECT {column} FROM {table} WHERE {place}");
        let mut bytes: Vec<u8> = rows.query_row(&sql, [], |row| row.get(0)).ok()?;
        let at = usize::try_from(bit).unwrap() % bytes.len();
        bytes[at] ^= 1 << (bit % 8);
        let sql = format!("UPDATE {table} SET {column} = ?1 WHERE {place}");
        (rows.execute(&sql, params![bytes]).unwrap_or(0) > 0).then_some(sql)
    };
    let at = format!("number = {one}");
    match dice.below(18) {
        0 => run(&format!("DELETE FROM events WHERE {at}")),
        1 => run(&format!("DELETE FROM events WHERE number >= {one}")),
        2 => run(&format!("UPDATE events SET time = time + 1 + {other} WHERE {at}")),
        3 => run(&format!("UPDATE events SET time = time - 1 - {other} WHERE {at}")),
        4 => run(&format!("UPDATE events SET kind = (kind + 1 + {other} % 7) % 9 WHERE {at}")),
        5 => run(&format!("UPDATE events SET by_key = NULL WHERE {at} AND by_key IS NOT NULL")),
        6 => run(&format!("UPDATE events SET body = NULL WHERE {at} AND body IS NOT NULL")),
        7 => run(&format!("UPDATE events SET body = zeroblob(32) WHERE {at} AND body IS NULL")),
        8 => run(&format!("UPDATE events SET sequence = sequence + 50 WHERE {at}")),
        9 => flip(
            "events",
            ["leaf", "by_key", "transfer", "body"][usize::try_from(other % 4).unwrap()],
            &at,
            dice.below(256),
        ),
        10 if one != other => {
            let sql = format!(
                "UPDATE events SET number = -1 WHERE number = {one}; UPDATE events SET number = {one} WHERE number = {other};
                 UPDATE events SET number = {other} WHERE number = -1;"
            );
            rows.execute_batch(&sql).ok().map(|()| sql)
        }
        11 => run(&format!(
            "INSERT INTO events SELECT {count}, transfer, sequence + 50, time, kind, by_key, body, leaf FROM events WHERE {at}"
        )),
        12 => flip("log_nodes", "hash", &format!("level = 1 + {one} % 3 AND place = {other} / 8"), dice.below(256)),
        13 => run(&format!("DELETE FROM log_nodes WHERE level = 1 + {one} % 3 AND place = {other} / 8")),
        14 => run(&format!("INSERT INTO log_nodes (level, place, hash) VALUES (1, {count} + {one}, zeroblob(32))")),
        15 => {
            let heads: i64 = rows.query_row("SELECT count(*) FROM log_heads", [], |row| row.get(0)).unwrap();
            let which = format!("(SELECT size FROM log_heads ORDER BY size LIMIT 1 OFFSET {})", one % (heads - 1));
            match other % 3 {
                // The last one is not missed: a log may have been signed less often.
                0 => run(&format!("DELETE FROM log_heads WHERE size = {which}")),
                1 => run(&format!("UPDATE log_heads SET size = size + 1 WHERE size = {which}")),
                _ => run(&format!(
                    "UPDATE log_heads SET text = replace(text, '\"size\": \"', '\"size\": \"1') WHERE size = {which}"
                )),
            }
        }
        16 => run(&format!("UPDATE transfers SET phase = (phase + 1) % 3 WHERE rowid = 1 + {one} % {TRANSFERS}")),
        _ => run(&format!("DELETE FROM transfers WHERE rowid = 1 + {one} % {TRANSFERS}")),
    }
}

#[test] // [S16.8]
fn each_of_a_thousand_alterations_of_a_ledger_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
    ledger(&good);
    // Nothing is left in the journal beside the file.
    Connection::open(&good).unwrap().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let relay = signer(7).fingerprint();
    let honest = verify(&Sqlite::open(&good).unwrap(), relay).unwrap();
    assert!(honest.entries > 40 && honest.heads > 4, "{honest:?}");
    let whole = std::fs::read(&good).unwrap();
    let (mut found, mut seed) = (0, 0);
    while found < 1000 {
        seed += 1;
        let mut dice = Dice(seed);
        std::fs::write(&bad, &whole).unwrap();
        let connection = Connection::open(&bad).unwrap();
        connection.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF;").unwrap();
        let Some(what) = alter(&connection, &mut dice) else { continue };
        connection.close().unwrap();

        let damage = verify(&Sqlite::open(&bad).unwrap(), relay);

        assert!(damage.is_err(), "seed {seed} is not found: {what}");
        found += 1;
    }
    assert!(seed < 3000, "the dice choose what can be");
    // All of it by another relay's key is another relay's.
    let other = verify(&Sqlite::open(&good).unwrap(), signer(8).fingerprint());
    assert!(matches!(other, Err(Damage::Signature { .. })));
}
