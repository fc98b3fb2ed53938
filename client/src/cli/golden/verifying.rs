//! Screens of `verify`.

use handover_shared::ids::{Root, TransferId};

use super::{KEY, golden};
use crate::cli::verdicts;
use crate::home::transfers::Role;
use crate::private::Private;
use crate::verify::{Difference, Kind, Tally, Verification};

#[test]
fn verdicts() {
    let [good, copied, bad, seller] = verifications();
    golden("verify-good", |style| {
        let shown = [&good, &copied, &seller].map(|found| {
            format!(
                "{}{}{}",
                verdicts::head(&style, found),
                verdicts::lines(&style, found),
                verdicts::end(&style, found)
            )
        });
        shown.join("\n")
    });
    golden("verify-bad", |style| {
        let mut text = verdicts::lines(&style, &bad);
        text.extend(differences().iter().map(|difference| verdicts::difference(&style, difference)));
        text + &verdicts::end(&style, &bad)
    });
}

/// What checks find: nothing, little, everything there is, and what a seller sees before the receipt.
pub(in crate::cli) fn verifications() -> [Verification; 4] {
    let good = Verification {
        id: 3,
        transfer: TransferId([9; 16]),
        role: Role::Buyer,
        folder: "/home/li/客户".into(),
        peer: Some(Private::new("Wang Appliances".into())),
        seller: KEY.into(),
        buyer: Some(KEY.into()),
        root: Root([7; 32]),
        bad_papers: Vec::new(),
        manifest_fits: true,
        root_fits: true,
        tally: Tally { files: 1204, folders: 12, links: 1, bytes: 3_200_000_000, ..Tally::default() },
        files: 1204,
        bytes: 3_200_000_000,
        own_remains: false,
        other_remains: false,
    };
    let noted = Tally { other_time: 1204, exposed_as_sent: 2, beside: 4, left_out: 1, listed: 1, ..good.tally };
    let copied = Verification { tally: noted, other_remains: true, ..good.clone() };
    let tally = Tally {
        missing: 1,
        changed: 2,
        shortened: 1,
        unreadable: 2,
        added: 1,
        other_kind: 1,
        other_mode: 3,
        exposed: 1,
        privileged: 1,
        leads_out: 1,
        ..good.tally
    };
    let bad = Verification {
        tally,
        bad_papers: vec!["seal", "receipt"],
        manifest_fits: false,
        root_fits: false,
        own_remains: true,
        buyer: None,
        ..good.clone()
    };
    let seller = Verification { role: Role::Seller, buyer: None, peer: None, ..good.clone() };
    [good, copied, bad, seller]
}

/// One of every kind.
pub(in crate::cli) fn differences() -> Vec<Difference> {
    let kinds = [
        Kind::Missing,
        Kind::Changed,
        Kind::Shortened,
        Kind::Unreadable,
        Kind::Added,
        Kind::OtherKind,
        Kind::OtherMode,
        Kind::OtherTime,
        Kind::Exposed,
        Kind::Privileged,
        Kind::LeadsOut,
    ];
    let path = || Private::new("订单/a\u{202e}b.csv".as_bytes().to_vec());
    kinds.into_iter().map(|kind| Difference { path: path(), kind }).collect()
}
