//! Records from fixed evidence: what they look like, and that whatever is changed in one is found.

use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use handover_shared::archive::inventory::{InventoryBuilder, InventorySalt};
use handover_shared::archive::item::{Entry, EntryKind, Exception, Mtime, Reason};
use handover_shared::archive::manifest::Record;
use handover_shared::archive::path::EntryPath;
use handover_shared::ids::{BlockSize, Bundle, Commit, ContentHash, Digest, LinkKey, Millis, Root, TransferId};
use handover_shared::proof::{
    self, Agreement, Channel, ClaimText, DeletionText, EndReason, Fingerprint, Identity, Kind, LogHeadText, Method,
    Mode, OfferText, ReceiptText, SealText, Summary, Verified,
};

use super::evidence::{Evidence, Given, Named, Outcome, Side, Standing, ToldEvent, What};
use super::*;
use crate::error::Error;
use crate::words::Language;

const TRANSFER: TransferId = TransferId([0x3f; 16]);
/// 2026-12-06T18:02:00Z.
const AT: Millis = Millis(1_796_580_120_000);

fn seller() -> Identity {
    Identity::of_seed(&[1; 32])
}

fn buyer() -> Identity {
    Identity::of_seed(&[2; 32])
}

fn relay() -> Identity {
    Identity::of_seed(&[9; 32])
}

fn fingerprint(identity: &Identity) -> Fingerprint {
    Fingerprint::of(&identity.public())
}

fn given(kind: Kind, word: &str, text: String, by: &Identity) -> Given {
    let signature = proof::sign(kind, &text, by).unwrap();
    Given { kind: word.into(), text, signature, second: None, document: None }
}

fn records(files: u64) -> Vec<Record> {
    let entry = |path: &str, kind| Entry {
        path: EntryPath::parse(path.as_bytes()).unwrap(),
        kind,
        mode: 0o600,
        mtime: Mtime { seconds: 1_760_000_000, nanos: 0 },
        size: None,
        target: None,
    };
    let mut records = vec![Record::of_entry(entry("customers", EntryKind::Folder))];
    for number in 0..files {
        let path = format!("customers/{number:05} 客户.csv");
        records.push(Record::of_file(entry(&path, EntryKind::File), 1_000 + number, ContentHash([number as u8; 32])));
    }
    let path = EntryPath::parse(b"customers/<b>pipe</b>").unwrap();
    records.push(Record::of_exception(Exception { path, reason: Reason::NotAFile }));
    records
}

fn inventory(records: &[Record]) -> String {
    let mut builder = InventoryBuilder::new(TRANSFER, InventorySalt([7; 16]));
    records.iter().for_each(|record| builder.add(record));
    builder.finish()
}

/// Texts of a handover of so many files.
struct Texts {
    offer: OfferText,
    seal: SealText,
    claim: ClaimText,
    receipt: ReceiptText,
    deletion: DeletionText,
    head: LogHeadText,
    summary: Summary,
    inventory: String,
}

fn texts(files: u64) -> Texts {
    let records = records(files);
    let bytes = records.iter().map(|record| record.size).sum();
    let relay_key = fingerprint(&relay());
    let summary = Summary {
        label: "Customers <2026> 客户资料".into(),
        seller_name: "wang@shop".into(),
        organisation: Some("Wang Appliances & Sons".into()),
        files,
        folders: 1,
        links: 0,
        bytes: Some(bytes),
        hidden: 0,
        executable: 0,
        biggest: Vec::new(),
        document: None,
    };
    let offer = OfferText {
        transfer: TRANSFER,
        mode: Mode::Detached,
        seller_key: fingerprint(&seller()),
        relay_key,
        commit: Commit([4; 32]),
        summary: summary.digest(),
        agreement: Agreement::None,
        block_bytes: BlockSize::Small,
        created: AT.into(),
        expires: AT.plus(86_400_000).into(),
    };
    let inventory = inventory(&records);
    let seal = SealText {
        transfer: TRANSFER,
        offer: proof::text_id(&offer.to_text()),
        root: Root([5; 32]),
        inventory: proof::text_id(&inventory),
        entries: files + 1,
        files,
        folders: 1,
        links: 0,
        exceptions: 1,
        bytes,
        stream_blocks: 3,
        sealed: AT.plus(60_000).into(),
    };
    let claim = ClaimText {
        transfer: TRANSFER,
        offer: Digest([6; 32]),
        buyer_key: fingerprint(&buyer()),
        link_key: LinkKey([8; 32]),
        bundle: Bundle([9; 32]),
        agreement: Agreement::None,
        channel: Channel([1; 32]),
        time: AT.plus(7_200_000).into(),
    };
    let receipt = ReceiptText {
        transfer: TRANSFER,
        offer: proof::text_id(&offer.to_text()),
        seal: proof::text_id(&seal.to_text()),
        root: seal.root,
        entries: seal.entries,
        files: seal.files,
        folders: seal.folders,
        links: seal.links,
        exceptions: seal.exceptions,
        bytes: seal.bytes,
        kept_existing: 0,
        seller_key: offer.seller_key,
        buyer_key: claim.buyer_key,
        relay_key,
        agreement: Agreement::None,
        received: AT.plus(7_260_000).into(),
        verified: Verified::All,
    };
    let deletion = DeletionText {
        transfer: TRANSFER,
        blocks: 4,
        bytes: 262_144,
        reason: EndReason::Receipt,
        share_erased: AT.plus(10_860_000).into(),
        blocks_deleted: AT.plus(10_861_000).into(),
        method: Method::Files,
        relay_key,
        log_entry: Digest([7; 32]),
    };
    let head =
        LogHeadText { relay_key, size: 7, root: Digest([8; 32]), previous: None, time: AT.plus(10_862_000).into() };
    Texts { offer, seal, claim, receipt, deletion, head, summary, inventory }
}

/// The evidence of texts, each signed by whom it must be.
fn signed(texts: &Texts) -> Evidence {
    let told = |after, what, by: Option<&str>| ToldEvent { at_ms: AT.0 + after, what, by: by.map(Into::into) };
    let stranger = Fingerprint::of_link_key(&LinkKey([3; 32])).to_string();
    Evidence {
        form: FORM,
        program: "0.1.0".into(),
        transfer: TRANSFER.to_hex(),
        made_by: Side::Seller,
        made: "2026-12-07T08:00:00Z".into(),
        offset_minutes: 480,
        relay: "relay.shop.example".into(),
        buyer: Some(Named { name: "li@desk".into(), organisation: Some("李氏贸易 \u{202e}Li".into()) }),
        standing: Standing::Ended,
        told: vec![
            told(300, What::Created, None),
            told(1_000, What::FirstBlock, None),
            told(61_000, What::Completed, None),
            // The buyer's clock is two minutes ahead.
            told(7_080_000, What::Claimed, None),
            told(7_100_000, What::ClaimRefused, Some(&stranger)),
            told(10_860_000, What::Receipted, None),
            told(10_861_000, What::Deleted, None),
        ],
        outcome: Some(Outcome { unchanged: 1, kept_existing: 0, renamed: 2, exceptions: 1 }),
        summary: Some(Base64::encode_string(&texts.summary.to_bytes())),
        inventory: Some(texts.inventory.clone()),
        statements: vec![
            given(Kind::Offer, "offer", texts.offer.to_text(), &seller()),
            given(Kind::Seal, "seal", texts.seal.to_text(), &seller()),
            given(Kind::Claim, "claim", texts.claim.to_text(), &buyer()),
            given(Kind::Receipt, "receipt", texts.receipt.to_text(), &buyer()),
            given(Kind::Deletion, "deletion", texts.deletion.to_text(), &relay()),
            given(Kind::LogHead, "log-head", texts.head.to_text(), &relay()),
        ],
    }
}

fn evidence(files: u64) -> Evidence {
    signed(&texts(files))
}

fn checks_of(evidence: &Evidence) -> Vec<Check> {
    let model = Model::of(evidence);
    model.statements.iter().map(|statement| statement.check).chain([model.summary, model.inventory]).collect()
}

fn write(scratch: &Path, text: &str) -> PathBuf {
    let path = scratch.join("record");
    std::fs::write(&path, text).unwrap();
    path
}

#[test] // [S19.1]
fn pages_look_as_they_should() {
    for language in Language::ALL {
        let seen = page(&evidence(3), language);
        let name = format!("src/record/golden/record.{}.html", language.tag());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &seen).unwrap();
        }
        let wanted = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            seen,
            wanted,
            "{} differs: what changes it changes FORM once a version was released",
            path.display()
        );
        assert_eq!(page(&evidence(3), language), seen, "the same evidence, the same page");
    }
}

#[test] // [S19.2]
fn what_belongs_together_holds() {
    let evidence = evidence(3);
    assert!(checks_of(&evidence).iter().all(|check| *check == Check::Valid));
    assert_eq!(Model::of(&evidence).verdict, Verdict::Complete);
    let document = document(&evidence);
    assert_eq!(document["verdict"], "complete");
    assert_eq!(document["parties"][1]["key"], fingerprint(&buyer()).to_string());
}

/// Evidence with one thing wrong, the kind that it is wrong with, and why.
type Forged = (&'static str, Evidence, &'static str, Why);

fn forged() -> Vec<Forged> {
    let mut all: Vec<Forged> = Vec::new();
    let other = || TransferId([0xee; 16]);
    let mut seal = |name, change: &dyn Fn(&mut SealText), why| {
        let mut texts = texts(3);
        change(&mut texts.seal);
        all.push((name, signed(&texts), "seal", why));
    };
    seal("seal of another transfer", &|seal| seal.transfer = other(), Why::Line("transfer"));
    seal("seal of another offer", &|seal| seal.offer = Digest([1; 32]), Why::Line("offer"));
    type Change<'a> = (&'static str, &'a dyn Fn(&mut ReceiptText), Why);
    let changes: [Change; 14] = [
        ("transfer", &|it| it.transfer = other(), Why::Line("transfer")),
        ("offer", &|it| it.offer = Digest([1; 32]), Why::Line("offer")),
        ("seal", &|it| it.seal = Digest([1; 32]), Why::Line("seal")),
        ("root", &|it| it.root = Root([1; 32]), Why::Line("root")),
        ("entries", &|it| it.entries += 1, Why::Line("entries")),
        ("files", &|it| it.files -= 1, Why::Line("files")),
        ("folders", &|it| it.folders += 1, Why::Line("folders")),
        ("links", &|it| it.links += 1, Why::Line("links")),
        ("exceptions", &|it| it.exceptions += 1, Why::Line("exceptions")),
        ("bytes", &|it| it.bytes += 1, Why::Line("bytes")),
        ("seller", &|it| it.seller_key = fingerprint(&buyer()), Why::Line("seller-key")),
        ("buyer", &|it| it.buyer_key = fingerprint(&seller()), Why::Signer),
        ("relay", &|it| it.relay_key = fingerprint(&seller()), Why::Line("relay-key")),
        ("offer and seal", &|it| (it.offer, it.seal) = (it.seal, it.offer), Why::Line("offer")),
    ];
    for (name, change, why) in changes {
        let mut texts = texts(3);
        change(&mut texts.receipt);
        all.push((name, signed(&texts), "receipt", why));
    }
    all
}

#[test] // [S19.2] [S19.3]
fn every_line_that_speaks_of_another_is_compared() {
    for (name, evidence, kind, why) in forged() {
        let model = Model::of(&evidence);
        let statement = model.statements.iter().find(|it| it.word == kind).unwrap();
        assert_eq!(statement.check, Check::NotValid(why), "{name}");
        assert_eq!(model.verdict, Verdict::Faulty, "{name}");
        assert!(model.open.contains(&model::Finding::DoesNotHold(kind)), "{name}");
    }
}

#[test] // [S19.2]
fn signatures_are_by_whom_and_for_what_they_must_be() {
    let wrong = |at: usize, change: &dyn Fn(&mut Given)| {
        let mut evidence = evidence(3);
        change(&mut evidence.statements[at]);
        checks_of(&evidence)
    };
    let by_other = |kind: Kind, by: fn() -> Identity| {
        move |it: &mut Given| it.signature = proof::sign(kind, &it.text, &by()).unwrap()
    };
    assert_eq!(wrong(0, &by_other(Kind::Offer, buyer))[0], Check::NotValid(Why::Signer));
    assert_eq!(wrong(1, &by_other(Kind::Seal, buyer))[1], Check::NotValid(Why::Signer));
    assert_eq!(wrong(2, &by_other(Kind::Claim, seller))[2], Check::NotValid(Why::Signer));
    assert_eq!(wrong(3, &by_other(Kind::Receipt, seller))[3], Check::NotValid(Why::Signer));
    assert_eq!(wrong(3, &by_other(Kind::Claim, buyer))[3], Check::NotValid(Why::Purpose));
    assert_eq!(wrong(3, &|it| it.signature = "none".into())[3], Check::NotValid(Why::SignatureForm));
    assert_eq!(wrong(3, &|it| it.text.push(' '))[3], Check::NotValid(Why::Malformed));
    assert_eq!(wrong(4, &by_other(Kind::Deletion, seller))[4], Check::NotValid(Why::Signer));
    assert_eq!(wrong(5, &by_other(Kind::Deletion, relay))[5], Check::NotValid(Why::Purpose));
    // What rests on what does not hold does not hold.
    let checks = wrong(0, &|it| it.text = it.text.replace("detached", "attached"));
    assert_eq!(checks[0], Check::NotValid(Why::Malformed));
    assert_eq!(checks[1], Check::NotValid(Why::RestsOn("offer")));
    assert_eq!(checks[3], Check::NotValid(Why::RestsOn("offer")));
    assert_eq!(checks[4], Check::NotValid(Why::RestsOn("offer")));
    assert_eq!(checks[6..], [Check::NotValid(Why::RestsOn("offer")), Check::NotValid(Why::RestsOn("seal"))]);
    // The second signature of a claim is by another key than the first.
    let second = |by: fn() -> Identity| {
        let mut evidence = evidence(3);
        let text = evidence.statements[2].text.clone();
        evidence.statements[2].second = Some(proof::sign(Kind::Claim, &text, &by()).unwrap());
        Model::of(&evidence).statements[2].second
    };
    assert_eq!(second(|| Identity::of_seed(&[5; 32])), Check::Valid);
    assert_eq!(second(buyer), Check::NotValid(Why::Signer));
}

#[test] // [S9.6] [S19.2]
fn summary_and_list_are_those_that_were_signed() {
    let mut other = evidence(3);
    other.summary = Some(Base64::encode_string(&Summary { files: 9, ..texts(3).summary }.to_bytes()));
    assert_eq!(checks_of(&other)[0], Check::NotValid(Why::Line("summary")));
    let mut other = evidence(3);
    other.inventory = Some(texts(4).inventory);
    assert_eq!(checks_of(&other)[7], Check::NotValid(Why::Hash));
    // Signed by the seller, and not of this seal's numbers, or no inventory at all.
    for (inventory, why) in [(texts(4).inventory, Why::Numbers), ("{}\n".to_owned(), Why::Malformed)] {
        let mut texts = texts(3);
        texts.seal.inventory = proof::text_id(&inventory);
        texts.inventory = inventory;
        texts.receipt.seal = proof::text_id(&texts.seal.to_text());
        assert_eq!(checks_of(&signed(&texts))[7], Check::NotValid(why));
    }
    let mut without = evidence(3);
    (without.summary, without.inventory) = (None, None);
    let model = Model::of(&without);
    assert_eq!((model.summary, model.inventory), (Check::Absent, Check::Absent));
    assert!(model.open.contains(&model::Finding::NoList) && model.label.is_none());
}

#[test] // [S19.4]
fn whatever_is_changed_in_a_page_is_found() {
    let scratch = tempfile::tempdir().unwrap();
    let whole = page(&evidence(3), Language::English);
    verify(&write(scratch.path(), &whole), &Pins::default()).unwrap();
    // One character in every text between two pieces of markup, in every attribute, and in every line of every part.
    let mut places: Vec<usize> = whole.match_indices(['>', '"', '\n']).map(|(at, _)| at + 1).collect();
    places.retain(|at| whole.as_bytes().get(*at).is_some_and(u8::is_ascii_graphic));
    assert!(places.len() > 900, "{}", places.len());
    // Each is changed in one of the rounds; a whole round costs a minute.
    let step = if std::env::var_os("HANDOVER_TEST_LONG").is_some() { 1 } else { 7 };
    for at in places.into_iter().step_by(step) {
        let mut changed = whole.clone().into_bytes();
        changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
        let changed = String::from_utf8(changed).unwrap();
        let seen = verify(&write(scratch.path(), &changed), &Pins::default());
        let line = changed[..at].matches('\n').count() + 1;
        assert!(
            matches!(seen, Err(Error::BadRecord { .. } | Error::RecordForm { .. })),
            "line {line}: {}",
            changed.lines().nth(line - 1).unwrap_or_default()
        );
    }
    for changed in [
        whole[..whole.len() - 1].to_owned(),
        format!("{whole}\n"),
        whole.replacen("<main>", "<main hidden>", 1),
        whole.replacen("</main>", "<p>paid in full</p></main>", 1),
        whole.replacen("lang=\"en\"", "lang=\"zh-CN\"", 1),
        whole.replace('\n', "\r\n"),
    ] {
        assert!(verify(&write(scratch.path(), &changed), &Pins::default()).is_err());
    }
}

#[test] // [S19.4]
fn whatever_is_changed_in_a_document_is_found() {
    let scratch = tempfile::tempdir().unwrap();
    let whole = document(&evidence(3));
    verify(&write(scratch.path(), &whole.to_string()), &Pins::default()).unwrap();
    let mut paths = Vec::new();
    leaves(&whole, String::new(), &mut paths);
    assert!(paths.len() > 150, "{}", paths.len());
    for path in &paths {
        let mut changed = whole.clone();
        let leaf = changed.pointer_mut(path).unwrap();
        *leaf = match &*leaf {
            serde_json::Value::String(text) => format!("{text}x").into(),
            serde_json::Value::Null => "x".into(),
            serde_json::Value::Number(number) => (number.as_i64().unwrap() + 1).into(),
            serde_json::Value::Bool(value) => (!value).into(),
            _ => continue,
        };
        let seen = verify(&write(scratch.path(), &changed.to_string()), &Pins::default());
        assert!(seen.is_err(), "{path}");
    }
}

fn leaves(value: &serde_json::Value, path: String, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.iter().for_each(|(name, inner)| leaves(inner, format!("{path}/{name}"), found));
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, inner)| leaves(inner, format!("{path}/{at}"), found));
        }
        _ => found.push(path),
    }
}

#[test]
fn pins_are_compared() {
    let scratch = tempfile::tempdir().unwrap();
    let path = write(scratch.path(), &page(&evidence(3), Language::Chinese));
    let (seller, buyer) = (fingerprint(&seller()).to_string(), fingerprint(&buyer()).to_string());
    let with = |seller: &str, buyer: &str| {
        let pins = Pins { seller: Some(seller.into()), buyer: Some(buyer.into()) };
        verify(&path, &pins).map(|verified| verified.model.verdict)
    };
    assert!(matches!(with(&seller, &buyer), Ok(Verdict::Complete)));
    assert!(matches!(with(&buyer, &buyer), Err(Error::BadRecord { .. })));
    assert!(matches!(with(&seller, &seller), Err(Error::BadRecord { .. })));
}

#[test] // [S19.3]
fn a_record_of_what_is_not_over_says_what_is_missing() {
    let mut evidence = evidence(3);
    evidence.statements.truncate(2);
    for (standing, verdict) in [
        (Standing::Open, Verdict::Waiting),
        (Standing::Revoked, Verdict::Revoked),
        (Standing::Expired, Verdict::Expired),
        (Standing::Refused, Verdict::Refused),
        (Standing::TakenDown, Verdict::TakenDown),
        (Standing::Failed, Verdict::Failed),
    ] {
        evidence.standing = standing;
        let model = Model::of(&evidence);
        assert_eq!(model.verdict, verdict);
        assert!(model.open.contains(&model::Finding::Missing("receipt")));
        assert_eq!(model.parties[1].key, None);
        for language in Language::ALL {
            let scratch = tempfile::tempdir().unwrap();
            verify(&write(scratch.path(), &page(&evidence, language)), &Pins::default()).unwrap();
        }
    }
}

#[test] // [S19.1]
fn a_page_of_five_thousand_files_is_short_and_whole() {
    let evidence = evidence(5_000);
    let html = page(&evidence, Language::English);
    assert!(html.len() < 64 * 1024, "{}", html.len());
    let scratch = tempfile::tempdir().unwrap();
    verify(&write(scratch.path(), &html), &Pins::default()).unwrap();
}

#[test] // [S19.1]
fn pages_can_be_read_by_everybody() {
    for language in Language::ALL {
        let html = page(&evidence(3), language);
        let attributes = html.match_indices("=\"").map(|(at, _)| html[..at].rsplit(' ').next().unwrap_or_default());
        assert!(attributes.clone().count() > 100 && !html.contains("<script"), "something runs");
        for attribute in attributes {
            assert!(!attribute.starts_with("on") && attribute != "style", "{attribute}");
        }
        for elsewhere in ["http:", "https:", "src=", "href=", "url(", "@import"] {
            assert!(!html.contains(elsewhere), "{elsewhere}");
        }
        assert!(html.contains("default-src &#39;none&#39;"));
        // Headings rise by one at most.
        let levels: Vec<u8> = html.match_indices("<h").filter_map(|(at, _)| html[at + 2..].bytes().next()).collect();
        let levels: Vec<u8> = levels.into_iter().filter(u8::is_ascii_digit).collect();
        assert_eq!(levels.iter().filter(|level| **level == b'1').count(), 1);
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
        // Every table says what it is about, and every head which way it points.
        let tables = html.matches("<table").count();
        assert_eq!(html.matches("<caption>").count(), tables);
        assert!(tables > 4);
        let heads = html.match_indices("<th").filter(|(at, _)| !html[*at..].starts_with("<thead"));
        for (at, _) in heads {
            assert!(html[at..].starts_with("<th scope=\""), "{}", &html[at..at + 40]);
        }
    }
}

#[test]
fn colours_are_far_enough_apart() {
    let css = include_str!("html/style.css");
    let colour = |name: &str| {
        let value = css.split_once(&format!("--{name}:#")).unwrap().1;
        let hex: String = value.chars().take_while(char::is_ascii_hexdigit).collect();
        let hex = if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex };
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
    };
    for ink in ["ink", "soft", "good", "bad", "wait", "accent"] {
        for paper in ["paper", "wash"] {
            let (dark, light) = (colour(ink), colour(paper));
            let contrast = (light + 0.05) / (dark + 0.05);
            assert!(contrast >= 4.5, "{ink} on {paper}: {contrast:.2}");
        }
    }
}
