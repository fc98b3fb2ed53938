//! Screens as text files, in both languages, from fixed facts. Run the tests with `UPDATE_GOLDEN=1` to write them anew,
//! and read what changed.

mod destroying;
mod verifying;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use handover_shared::ids::{Millis, TransferId};
use handover_shared::keys::Secret;
use handover_shared::keys::code::{Code, Ticket};
use jiff::tz::{Offset, TimeZone};

use super::report::{Asked, Report};
use super::screen::{Mode, Screen};
use super::show::{self, Delivered, Destination, OfferView, TakenView};
use super::status;
use super::style::Style;
use crate::audit::DeletionFacts;
use crate::event::{
    AgreementFacts, Event, ExceptionReason, Observer, Progress, ReceiptFacts, RefusalFacts, Scanned, Stage, StallCause,
};
use crate::home::parties::Acquaintance;
use crate::home::transfers::{Facts, KeptPath, Role, State};
use crate::link::network::Transport;
use crate::private::Private;
use crate::words::Language;

pub(super) use destroying::{certificates, item};
pub(super) use verifying::{differences, verifications};

const AT: Millis = Millis(1_796_580_120_000);
const KEY: &str = "SHA256:xqC22gVeMJaTgauqkq+afh79H60yYGH4XMQDkUahQk0";

/// Every reason there is.
pub(super) const EXCEPTION_REASONS: [ExceptionReason; 11] = [
    ExceptionReason::Unreadable,
    ExceptionReason::Vanished,
    ExceptionReason::KeptChanging,
    ExceptionReason::Special,
    ExceptionReason::LinkLeaves,
    ExceptionReason::ReadError,
    ExceptionReason::NameTooLong,
    ExceptionReason::NameMapped,
    ExceptionReason::ModeNotSet,
    ExceptionReason::TimeNotSet,
    ExceptionReason::KeptExisting,
];

#[test]
fn push() {
    golden("push", |style| told(style, Mode::People, push_events(false)).1);
}

#[test]
fn agreements() {
    golden("push-agreement", |style| {
        let mut events = push_events(false);
        let name = Private::new("保密协议.pdf".to_owned());
        events.insert(3, Event::Document { name, bytes: 82_000, digest: "ab".repeat(32) });
        events.insert(events.len() - 2, Event::Signed(agreement_facts()));
        events.insert(events.len() - 1, Event::RefusedAgreement(refusal_facts()));
        told(style, Mode::People, events).1
    });
}

#[test]
fn push_with_the_relay_inside() {
    golden("push-embedded", |style| told(style, Mode::People, push_events(true)).1);
}

#[test]
fn push_through_trouble() {
    golden("push-trouble", |style| {
        let path = || Private::new(b"orders/\xff\x1b[2J.csv".to_vec());
        let mut events = vec![
            Event::Stage(Stage::Sending),
            Event::Resumed { bytes: 2_000_000_000, files: 700 },
            Event::Stalled { attempt: 1, cause: StallCause::Lost },
            Event::Stalled { attempt: 2, cause: StallCause::Unreachable },
            Event::Moving,
            Event::ReadAgain { path: path(), attempt: 2 },
            Event::ClaimRefused { by: KEY.into(), time: AT },
        ];
        let exception = |reason| Event::Exception { path: path(), reason };
        events.extend(EXCEPTION_REASONS.map(exception));
        events.extend((0..30).map(|_| exception(ExceptionReason::Special)));
        told(style, Mode::People, events).1
    });
}

#[test]
fn standard_output_is_the_code_and_nothing_else() {
    for mode in [Mode::People, Mode::Quiet] {
        let (out, err) = told(Style::plain(Language::English), mode, push_events(false));
        assert_eq!(out, "ho1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqka0l97@relay.shop.example\n");
        assert!(!err.contains("ho1q"), "the code is in what may be a log: {err}");
        assert_eq!(err.is_empty(), mode == Mode::Quiet);
    }
}

#[test]
fn offers() {
    golden("offer", |style| show::offer(&style, &offer()));
    golden("offer-notable", |style| {
        let notable = OfferView {
            seller_name: "evil\u{202e}\x1b]0;x\x07",
            organisation: None,
            known: &Acquaintance::Known { since: AT, transfers: 2 },
            hidden: 2,
            executable: 1,
            bytes: None,
            links: 3,
            free_bytes: Some(1_000),
            ..offer()
        };
        let other = Acquaintance::OtherKey { known: KEY.into(), since: AT };
        show::offer(&style, &notable) + &show::offer(&style, &OfferView { known: &other, ..offer() })
    });
    golden("offer-agreement", |style| {
        let agreement = Some(("保密协议 \u{202e}.pdf", 82_000, "ab".repeat(32)));
        show::offer(&style, &OfferView { agreement, ..offer() })
    });
    golden("offer-stdout", |style| show::offer(&style, &OfferView { destination: Destination::Stdout, ..offer() }));
}

#[test]
fn endings_of_a_pull() {
    let view = |delivered| TakenView {
        id: 3,
        files: 1204,
        bytes: 3_200_000_000,
        unchanged: 12,
        kept_existing: 1,
        renamed: 2,
        exceptions: 1,
        receipt_short: "7f3a91c0",
        delivered,
        destination: Destination::Folder(Path::new("/home/li/客户")),
    };
    golden("taken", |style| {
        format!("{}\n{}", show::taken(&style, &view(Delivered::Yes)), show::taken(&style, &view(Delivered::NotYet)))
    });
}

#[test]
fn transfers() {
    let other = Facts {
        id: 12,
        state: State::Delivered,
        label: "长江批发客户资料与历年订单以及合同扫描件全集二零二六".into(),
        bytes: None,
        ..facts(Role::Buyer)
    };
    golden("status", |style| status::table(&style, &[facts(Role::Seller), other.clone()]));
    golden("status-seller", |style| status::details(&style, &facts(Role::Seller), ""));
    golden("status-buyer", |style| status::details(&style, &facts(Role::Buyer), ""));
}

#[test]
fn help() {
    use clap::CommandFactory;
    for path in [&[][..], &["push"], &["pull"], &["receipt", "verify"], &["record"], &["record", "verify"]] {
        let name = format!("help-{}", if path.is_empty() { "handover".to_owned() } else { path.join("-") });
        golden(&name, |style| {
            let mut command = super::help::localized(super::args::Cli::command(), &style.words).term_width(style.width);
            command.build();
            let found = path.iter().fold(&mut command, |at, name| at.find_subcommand_mut(name).unwrap());
            found.render_help().to_string()
        });
    }
}

/// A transfer with everything that can be known.
pub(super) fn facts(role: Role) -> Facts {
    let is_seller = role == Role::Seller;
    Facts {
        version: 1,
        id: 7,
        role,
        transfer: TransferId([9; 16]).to_hex(),
        state: if is_seller { State::Waiting } else { State::Receiving },
        created_ms: AT.0 - 3_600_000,
        expires_ms: AT.0 + 86_400_000,
        relay: "relay.shop.example".into(),
        relay_key: "00".repeat(32),
        embedded: false,
        label: "customers".into(),
        files: 1204,
        folders: 12,
        links: 0,
        bytes: Some(3_200_000_000),
        exceptions: 1,
        sources: if is_seller { vec![KeptPath::of(Path::new("/srv/customers"))] } else { Vec::new() },
        options: String::new(),
        destination: (!is_seller).then(|| KeptPath::of(Path::new("/home/li/in"))),
        peer_name: Some("li@desk".into()),
        peer_organisation: Some("Li Trading 李氏贸易".into()),
        peer_fingerprint: Some(KEY.into()),
        claimed_ms: Some(AT.0),
        refused_claims: 2,
        receipted_ms: is_seller.then_some(AT.0 + 60_000),
        deleted_ms: is_seller.then_some(AT.0 + 61_000),
        failure: None,
    }
}

pub(super) fn deletion_facts() -> DeletionFacts {
    DeletionFacts {
        id: 7,
        relay: KEY.into(),
        blocks: 812,
        bytes: 812 << 20,
        reason: "receipt",
        share_erased: AT,
        blocks_deleted: AT,
        entries: 7,
    }
}

pub(super) fn receipt_facts() -> ReceiptFacts {
    ReceiptFacts {
        id: 7,
        short: "7f3a91c0".into(),
        buyer_name: Private::new("li@desk".into()),
        organisation: Some(Private::new("Li Trading".into())),
        buyer_fingerprint: KEY.into(),
        received: AT,
        files: 1204,
        bytes: 3_200_000_000,
        deleted: Some(AT),
    }
}

pub(super) fn agreement_facts() -> AgreementFacts {
    AgreementFacts {
        id: 7,
        name: Private::new("李伟 \u{202e}".into()),
        organisation: Some(Private::new("Li Trading 李氏贸易".into())),
        document: Private::new("保密协议.pdf".into()),
        document_bytes: 82_000,
        agreement: "ab".repeat(32),
        buyer_fingerprint: KEY.into(),
        time: AT,
    }
}

pub(super) fn refusal_facts() -> RefusalFacts {
    RefusalFacts {
        id: 7,
        buyer_name: Private::new("li@desk".into()),
        organisation: None,
        reason: Some(Private::new("clause 4\x1b[2J".into())),
        agreement: "ab".repeat(32),
        buyer_fingerprint: KEY.into(),
        time: AT,
    }
}

fn offer() -> OfferView<'static> {
    OfferView {
        seller_name: "wang@shop",
        organisation: Some("Wang Appliances"),
        fingerprint: KEY,
        known: &Acquaintance::New,
        sealed: AT,
        expires: Millis(AT.0 + 1_209_600_000),
        label: "客户资料 2026",
        files: 1204,
        folders: 12,
        links: 0,
        bytes: Some(3_200_000_000),
        hidden: 0,
        executable: 0,
        biggest: vec![
            ("orders/", 2_600_000_000, 1_100),
            ("customers.csv", 412_000_000, 1),
            ("合同/", 210_000_000, 80),
            ("more", 1, 1),
        ],
        agreement: None,
        destination: Destination::Folder(Path::new("/home/li/in")),
        needed_bytes: 3_200_000_000,
        free_bytes: Some(96_000_000_000),
    }
}

fn push_events(embedded: bool) -> Vec<Event> {
    let scanned = Scanned {
        files: 1204,
        folders: 12,
        bytes: Some(3_200_000_000),
        excluded: 3,
        exceptions: 1,
        ..Scanned::default()
    };
    let relay = "relay.shop.example";
    vec![
        Event::Stage(Stage::Scanning),
        Event::Scanning { files: 600, bytes: 1 },
        Event::Scanned(scanned),
        Event::Stage(Stage::Connecting),
        Event::RelayReached { address: relay.into(), fingerprint: KEY.into(), embedded, transport: Transport::Quic },
        Event::CodeReady {
            id: 7,
            ticket: Ticket {
                code: Code::of_secret(Secret::new(zeroize::Zeroizing::new([0; 20]))),
                relay: Some(relay.parse().unwrap()),
            },
            expires: AT,
            continued: embedded,
            spent: false,
        },
        Event::Stage(Stage::Sending),
        Event::Progress(Progress { bytes_done: 1, bytes_total: Some(2), ..Progress::default() }),
        Event::Stage(Stage::Finishing),
        Event::Safe { id: 7, bytes: 3_200_000_000, wire_bytes: 800_000_000 },
        Event::Stage(Stage::Waiting),
        Event::Claimed { buyer_fingerprint: KEY.into(), time: AT },
        Event::Receipt(receipt_facts()),
        Event::Deleted(deletion_facts()),
    ]
}

#[test]
fn the_table_fits_a_narrow_screen() {
    for language in Language::ALL {
        for width in [48, 60, 80] {
            let mut style = Style::plain(language);
            style.width = width;
            let all = [facts(Role::Seller), facts(Role::Buyer)];
            let table = status::table(&style, &all);
            assert!(table.lines().all(|line| super::style::columns(line) <= width), "{width}\n{table}");
        }
    }
}

#[test]
fn the_doctor() {
    golden("doctor", |style| super::diagnosis::tests::screen(&style));
}

/// What a run with these events writes to standard output and standard error.
fn told(style: Style, mode: Mode, events: Vec<Event>) -> (String, String) {
    let (out, err) = (Captured::default(), Captured::default());
    let screen = Screen::captured(style, mode, Box::new(out.clone()), Box::new(err.clone()));
    let report = Report::new(Arc::new(screen), Asked::default());
    for event in events {
        report.event(event);
    }
    report.finish();
    (out.text(), err.text())
}

/// Compares a screen in both languages with its files.
fn golden(name: &str, render: impl Fn(Style) -> String) {
    for language in Language::ALL {
        let mut style = Style::plain(language);
        style.zone = TimeZone::fixed(Offset::constant(8));
        let seen = render(style);
        let path = folder().join(format!("{name}.{}.txt", language.tag()));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &seen).unwrap();
        }
        let wanted = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(seen, wanted, "{} differs:\n{seen}", path.display());
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/golden")
}

/// Keeps what is written.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
