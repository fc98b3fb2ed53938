//! What would be destroyed, and the certificate of what was. Pure: facts in, text out.

use handover_shared::proof::destruction::{DestructionText, Outcome, Saw, Scope, Side, Technique};

use super::json::Json;
use super::problem::shown_path;
use super::show::{amount, more, row, who};
use super::style::{Style, Tone, padded};
use super::time::moment;
use super::units::size;
use crate::destroy::{Certificate, Item, ItemKind, Survey};
use crate::home::transfers::Role;
use crate::private::escaped;
use crate::t;

const KIND_COLUMNS: usize = 24;

/// What is still held.
pub(crate) fn list(style: &Style, survey: &Survey) -> String {
    let words = &style.words;
    let id = survey.id().to_string();
    let mut text = match survey.role() {
        Role::Seller => format!("  {}\n", t!(words, "destroy-head-seller", id = id)),
        Role::Buyer => format!("  {}\n", t!(words, "destroy-head-buyer", id = id)),
    };
    for item in &survey.items {
        text.push_str(&item_line(style, item));
    }
    if survey.with_source() {
        let (files, bytes) = survey.source;
        let kind = padded(&t!(words, "item-source"), KIND_COLUMNS);
        let amount = amount(style, files, Some(bytes));
        text.push_str(&format!("    {} {amount}\n", style.tone(Tone::Bad, &kind)));
    }
    let notes = [
        (survey.source_changed, t!(words, "destroy-changed", count = survey.source_changed)),
        (survey.source_elsewhere, t!(words, "destroy-elsewhere", count = survey.source_elsewhere)),
        (survey.strangers.len() as u64, t!(words, "destroy-strangers", count = survey.strangers.len() as u64)),
        (u64::from(survey.destination_gone), t!(words, "destroy-destination-gone")),
        (u64::from(survey.gives_up()), t!(words, "destroy-gives-up")),
        (u64::from(survey.is_continued), t!(words, "destroy-continues")),
    ];
    for (_, note) in notes.iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!("  {}\n", style.tone(Tone::Notable, note)));
    }
    text.push_str(&format!("  {}\n", style.tone(Tone::Dim, &t!(words, "destroy-stays"))));
    text
}

fn item_line(style: &Style, item: &Item) -> String {
    let kind = padded(&kind_name(style, item.kind), KIND_COLUMNS);
    let path = style.tone(Tone::Dim, &shown_path(item.path.reveal()));
    format!("    {kind} {}  {path}\n", amount(style, item.files, Some(item.bytes)))
}

fn kind_name(style: &Style, kind: ItemKind) -> String {
    let words = &style.words;
    match kind {
        ItemKind::Secrets => t!(words, "item-secrets"),
        ItemKind::Journal => t!(words, "item-journal"),
        ItemKind::Manifest => t!(words, "item-manifest"),
        ItemKind::Partial => t!(words, "item-partial"),
    }
}

/// The word of a kind, for programs.
fn kind_word(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Secrets => "secrets",
        ItemKind::Journal => "journal",
        ItemKind::Manifest => "manifest",
        ItemKind::Partial => "partial",
    }
}

/// One thing that is held, for programs.
pub(crate) fn item_object(item: &Item) -> Json {
    Json::event("held")
        .with("kind", kind_word(item.kind))
        .with("path", shown_path(item.path.reveal()))
        .with("files", item.files)
        .with("bytes", item.bytes)
}

/// The certificate, as a page that can be printed.
pub(crate) fn page(style: &Style, certificate: &Certificate) -> String {
    let words = &style.words;
    let it = certificate.statement();
    let mut text = format!("  {}\n", style.tone(Tone::Strong, &t!(words, "certificate-title")));
    let verdict = match it.verdict {
        Outcome::Pass => style.tone(Tone::Good, &t!(words, "outcome-pass")),
        Outcome::Failed => style.tone(Tone::Bad, &t!(words, "outcome-failed", count = it.remaining)),
        Outcome::Unknown => style.tone(Tone::Notable, &t!(words, "outcome-unknown")),
    };
    text.push_str(&row(style, &t!(words, "label-verdict"), &verdict));
    what(style, it, &mut text);
    text.push_str(&row(style, &t!(words, "label-host"), &who(it.host.as_str())));
    if let Some(folder) = &it.folder {
        text.push_str(&row(style, &t!(words, "label-folder"), &escaped(folder.as_str().as_bytes())));
    }
    text.push_str(&row(style, &t!(words, "label-media"), &who(it.media.as_str())));
    let method = match it.technique {
        Technique::OverwriteAndUnlink => t!(words, "method-overwrite", count = it.overwritten),
        Technique::Unlink => t!(words, "method-unlink"),
    };
    text.push_str(&row(style, &t!(words, "label-method"), &method));
    text.push_str(&row(style, &t!(words, "label-tool"), &who(it.tool.as_str())));
    let times = t!(
        words,
        "certificate-times",
        started = moment(style, it.started.millis()),
        finished = moment(style, it.finished.millis())
    );
    text.push_str(&row(style, &t!(words, "label-time"), &times));
    text.push_str(&row(style, &t!(words, "label-checked"), &t!(words, "checked-names")));
    let destroyer = match &it.organisation {
        Some(organisation) => format!("{}, {}", who(it.destroyer.as_str()), who(organisation.as_str())),
        None => who(it.destroyer.as_str()),
    };
    text.push_str(&row(style, &t!(words, "label-destroyer"), &destroyer));
    text.push_str(&more(style, &it.destroyer_key.to_string()));
    if let Some(reason) = &it.reason {
        text.push_str(&row(style, &t!(words, "label-reason"), &escaped(reason.as_str().as_bytes())));
    }
    witness(style, certificate, &mut text);
    text.push_str(&row(style, &t!(words, "label-not-covered"), &t!(words, "not-covered")));
    text.push_str(&row(style, &t!(words, "label-number"), &it.transfer.to_hex()));
    text.push_str(&row(style, &t!(words, "label-certificate"), &certificate.verified.id().to_hex()));
    text
}

fn what(style: &Style, it: &DestructionText, text: &mut String) {
    let words = &style.words;
    let side = match it.side {
        Side::Seller => t!(words, "certificate-seller"),
        Side::Buyer => t!(words, "certificate-buyer"),
    };
    text.push_str(&row(style, &t!(words, "label-what"), &side));
    let program = t!(words, "certificate-program", amount = amount(style, it.items, Some(it.bytes)));
    text.push_str(&more(style, &program));
    if it.scope == Scope::MachineAndSource {
        let source = amount(style, it.source_files, Some(it.source_bytes));
        text.push_str(&more(style, &t!(words, "certificate-source", amount = source)));
        if it.source_kept > 0 {
            text.push_str(&more(style, &t!(words, "certificate-kept", count = it.source_kept)));
        }
    }
}

fn witness(style: &Style, certificate: &Certificate, text: &mut String) {
    let words = &style.words;
    let label = t!(words, "label-witness");
    let Some(witness) = &certificate.witness else {
        text.push_str(&row(style, &label, &t!(words, "no-witness")));
        return;
    };
    let it = &witness.statement;
    let name = match &it.organisation {
        Some(organisation) => format!("{}, {}", who(it.witness.as_str()), who(organisation.as_str())),
        None => who(it.witness.as_str()),
    };
    let when = moment(style, it.time.millis());
    let saw = match it.saw {
        Saw::Certificate => t!(words, "saw-certificate", who = name, when = when),
        Saw::Destruction => t!(words, "saw-destruction", who = name, when = when),
    };
    text.push_str(&row(style, &label, &saw));
    text.push_str(&more(style, &it.witness_key.to_string()));
}

/// The certificate, for programs.
pub(crate) fn object(certificate: &Certificate) -> Json {
    let it = certificate.statement();
    let safe = |text: &str| escaped(text.as_bytes());
    Json::event("destruction")
        .with("certificate", certificate.verified.id().to_hex())
        .with("transfer", it.transfer.to_hex())
        .with("side", it.side.word())
        .with("verdict", it.verdict.word())
        .with("scope", it.scope.word())
        .with("items", it.items)
        .with("bytes", it.bytes)
        .with("source_files", it.source_files)
        .with("source_bytes", it.source_bytes)
        .with("source_kept", it.source_kept)
        .with("overwritten", it.overwritten)
        .with("remaining", it.remaining)
        .with("host", safe(it.host.as_str()))
        .with("folder", it.folder.as_ref().map(|folder| safe(folder.as_str())))
        .with("media", safe(it.media.as_str()))
        .with("tool", safe(it.tool.as_str()))
        .with("method", it.method.word())
        .with("technique", it.technique.word())
        .with("verification", it.verification.word())
        .with("not_covered", it.not_covered.word())
        .at("started", Some(it.started.millis()))
        .at("finished", Some(it.finished.millis()))
        .with("destroyer", safe(it.destroyer.as_str()))
        .with("destroyer_key", it.destroyer_key.to_string())
        .with("reason", it.reason.as_ref().map(|reason| safe(reason.as_str())))
        .with("witness", certificate.witness.as_ref().map(|witness| safe(witness.statement.witness.as_str())))
        .with("witness_key", certificate.witness.as_ref().map(|witness| witness.by.fingerprint()))
}

/// How much would go, for the question.
pub(crate) fn total(style: &Style, survey: &Survey) -> String {
    let (files, bytes) = survey.total();
    t!(style.words, "amount", files = t!(style.words, "count-files", count = files), size = size(bytes))
}
