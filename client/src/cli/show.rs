//! The blocks of text around a transfer: what is sent, the code, what is offered, how it ended. Pure: facts in, text
//! out, every line with its end.

use handover_shared::ids::Millis;

use super::style::{Style, Tone, columns, padded};
use super::time::moment;
use super::units::size;
use crate::audit::DeletionFacts;
use crate::event::{AgreementFacts, ExceptionReason, ReceiptFacts, RefusalFacts, Scanned};
use crate::home::parties::Acquaintance;
use crate::private::escaped;
use crate::t;

/// The columns before the text of a row: two spaces, the label, a space.
const LABEL_COLUMNS: usize = 12;
/// The biggest entries that are named.
const BIGGEST_SHOWN: usize = 3;
/// Exceptions that are listed one by one.
pub(crate) const EXCEPTIONS_SHOWN: usize = 20;

/// A labelled row.
pub(crate) fn row(style: &Style, label: &str, text: &str) -> String {
    let label = if columns(label) < LABEL_COLUMNS { padded(label, LABEL_COLUMNS) } else { label.to_owned() };
    format!("  {} {text}\n", style.tone(Tone::Dim, &label))
}

/// A row that goes on below another.
pub(crate) fn more(style: &Style, text: &str) -> String {
    row(style, "", text)
}

/// Counts of files and bytes: `1 204 files, 3.2 GB`.
pub(crate) fn amount(style: &Style, files: u64, bytes: Option<u64>) -> String {
    let count = t!(style.words, "count-files", count = files);
    match bytes {
        Some(bytes) => t!(style.words, "amount", files = count, size = size(bytes)),
        None => t!(style.words, "amount-unknown", files = count),
    }
}

/// What a scan found.
pub(crate) fn scanned(style: &Style, found: &Scanned) -> String {
    let words = &style.words;
    let mut text = row(style, &t!(words, "label-scanning"), &amount(style, found.files, found.bytes));
    if found.excluded > 0 {
        text.push_str(&row(style, &t!(words, "label-left-out"), &t!(words, "left-out", count = found.excluded)));
    }
    if found.exceptions > 0 {
        text.push_str(&row(style, &t!(words, "label-not-sent"), &t!(words, "not-sent", count = found.exceptions)));
    }
    text
}

/// The relay, and how long it keeps the data.
pub(crate) fn relay(style: &Style, address: &str, embedded: Embedded, expires: Millis) -> String {
    let words = &style.words;
    let until = moment(style, expires);
    let text = match embedded {
        Embedded::No => t!(words, "relay-keeps", relay = address.to_owned(), until = until),
        Embedded::Yes => t!(words, "relay-embedded", relay = address.to_owned(), until = until),
    };
    row(style, &t!(words, "label-relay"), &text)
}

/// Whether the relay runs inside this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Embedded {
    No,
    Yes,
}

/// Whether a run goes on with an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continued {
    No,
    Yes,
}

/// What comes before the code.
pub(crate) fn code_lead(style: &Style, continued: Continued) -> String {
    match continued {
        Continued::No => format!("\n  {}\n\n", t!(style.words, "code-lead")),
        Continued::Yes => format!("\n  {}\n\n", t!(style.words, "code-lead-continued")),
    }
}

/// What the buyer types before the code; the code follows on the same line.
pub(crate) fn code_command() -> &'static str {
    "      handover pull "
}

/// What comes after the code.
pub(crate) fn code_tail(style: &Style, id: u64) -> String {
    format!("\n  {}\n", style.tone(Tone::Dim, &t!(style.words, "code-aloud", id = id.to_string())))
}

/// Everything is durable at the relay.
pub(crate) fn safe(style: &Style, id: u64, embedded: Embedded) -> String {
    let words = &style.words;
    match embedded {
        Embedded::No => {
            let commands = [
                (format!("handover status {id}"), t!(words, "next-status")),
                (format!("handover wait {id}"), t!(words, "next-wait")),
            ];
            format!("{}{}", good(style, &t!(words, "safe")), next(style, &commands))
        }
        Embedded::Yes => good(style, &t!(words, "safe-embedded")),
    }
}

/// The receipt is here.
pub(crate) fn receipt(style: &Style, receipt: &ReceiptFacts) -> String {
    let words = &style.words;
    let mut text = good(
        style,
        &t!(
            words,
            "collected",
            who = who(receipt.organisation.as_ref().unwrap_or(&receipt.buyer_name).reveal()),
            key = receipt.buyer_fingerprint.clone(),
            when = moment(style, receipt.received),
            amount = amount(style, receipt.files, Some(receipt.bytes)),
        ),
    );
    text.push_str(&receipt_kept(style, receipt));
    let commands = [
        (format!("handover receipt show {}", receipt.id), t!(words, "next-receipt")),
        (format!("handover record {}", receipt.id), t!(words, "next-record")),
    ];
    text.push_str(&next(style, &commands));
    text
}

/// What is kept of a receipt, and what the relay has done with the data.
pub(crate) fn receipt_kept(style: &Style, receipt: &ReceiptFacts) -> String {
    let words = &style.words;
    let short = receipt.short.clone();
    let kept = match receipt.deleted {
        Some(at) => t!(words, "receipt-kept-deleted", short = short, when = moment(style, at)),
        None => t!(words, "receipt-kept", short = short),
    };
    format!("    {kept}\n")
}

/// That the relay has signed for the deletion.
pub(crate) fn deleted(style: &Style, facts: &DeletionFacts) -> String {
    let words = &style.words;
    let mut text = good(style, &t!(words, "deletion-signed"));
    let entries =
        t!(words, "deletion-logged", blocks = facts.blocks, size = size(facts.bytes), entries = facts.entries);
    text.push_str(&format!("    {entries}\n"));
    text.push_str(&next(style, &[(format!("handover audit show {}", facts.id), t!(words, "next-audit"))]));
    text
}

/// The document that the buyer must sign.
pub(crate) fn document(style: &Style, name: &str, bytes: u64) -> String {
    let words = &style.words;
    let text = t!(words, "agreement-first-seller", name = who(name), size = size(bytes));
    row(style, &t!(words, "label-agreement"), &text)
}

/// Somebody has signed it.
pub(crate) fn signed(style: &Style, facts: &AgreementFacts) -> String {
    let words = &style.words;
    let (name, document) = (who(facts.name.reveal()), who(facts.document.reveal()));
    let (key, when) = (facts.buyer_fingerprint.clone(), moment(style, facts.time));
    match &facts.organisation {
        None => t!(words, "signed", name = name, document = document, key = key, when = when),
        Some(organisation) => {
            let organisation = who(organisation.reveal());
            t!(
                words,
                "signed-for",
                name = name,
                organisation = organisation,
                document = document,
                key = key,
                when = when
            )
        }
    }
}

/// Somebody has refused it.
pub(crate) fn refused(style: &Style, facts: &RefusalFacts) -> String {
    let words = &style.words;
    let name = who(facts.organisation.as_ref().unwrap_or(&facts.buyer_name).reveal());
    let (key, when) = (facts.buyer_fingerprint.clone(), moment(style, facts.time));
    let mut text = t!(words, "refused-by", who = name, key = key, when = when);
    if let Some(reason) = &facts.reason {
        text.push_str(&format!("\n    {}", t!(words, "refusal-reason", reason = who(reason.reveal()))));
    }
    text
}

/// What the buyer sees before agreeing.
pub(crate) struct OfferView<'a> {
    pub(crate) seller_name: &'a str,
    pub(crate) organisation: Option<&'a str>,
    pub(crate) fingerprint: &'a str,
    pub(crate) known: &'a Acquaintance,
    pub(crate) sealed: Millis,
    pub(crate) expires: Millis,
    pub(crate) label: &'a str,
    pub(crate) files: u64,
    pub(crate) folders: u64,
    pub(crate) links: u64,
    pub(crate) bytes: Option<u64>,
    pub(crate) hidden: u64,
    pub(crate) executable: u64,
    /// Name, bytes, files.
    pub(crate) biggest: Vec<(&'a str, u64, u64)>,
    /// Name, bytes and SHA-256 of the document that must be signed first.
    pub(crate) agreement: Option<(&'a str, u64, String)>,
    pub(crate) destination: Destination<'a>,
    pub(crate) needed_bytes: u64,
    pub(crate) free_bytes: Option<u64>,
}

/// Where a pull puts what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination<'a> {
    Folder(&'a std::path::Path),
    Stdout,
}

/// The offer.
pub(crate) fn offer(style: &Style, offer: &OfferView<'_>) -> String {
    let words = &style.words;
    let name = who(offer.organisation.unwrap_or(offer.seller_name));
    let sealed = t!(words, "offer-sealed", who = name, when = moment(style, offer.sealed));
    let mut text = row(style, &t!(words, "label-from"), &sealed);
    if let Some(organisation) = offer.organisation
        && organisation != offer.seller_name
    {
        text.push_str(&more(style, &who(offer.seller_name)));
    }
    let known = super::keys::acquaintance(style, offer.known);
    text.push_str(&row(style, &t!(words, "label-key"), offer.fingerprint));
    text.push_str(&more(style, &known));
    if !offer.label.is_empty() {
        text.push_str(&row(style, &t!(words, "label-label"), &escaped(offer.label.as_bytes())));
    }
    text.push_str(&contents(style, offer));
    if let Some((name, bytes, digest)) = &offer.agreement {
        let first = t!(words, "agreement-first", name = who(name), size = size(*bytes));
        text.push_str(&row(style, &t!(words, "label-agreement"), &style.tone(Tone::Notable, &first)));
        text.push_str(&more(style, &style.tone(Tone::Dim, &format!("SHA-256 {digest}"))));
    }
    text.push_str(&row(style, &t!(words, "label-until"), &moment(style, offer.expires)));
    text.push_str(&into(style, offer));
    text
}

fn contents(style: &Style, offer: &OfferView<'_>) -> String {
    let words = &style.words;
    let mut first = amount(style, offer.files, offer.bytes);
    let biggest: Vec<String> = offer
        .biggest
        .iter()
        .take(BIGGEST_SHOWN)
        .map(|(name, bytes, _)| format!("{} {}", escaped(name.as_bytes()), size(*bytes)))
        .collect();
    if !biggest.is_empty() {
        first.push_str(&format!("   {}", biggest.join(" · ")));
    }
    let mut text = row(style, &t!(words, "label-contents"), &first);
    let mut others = Vec::new();
    if offer.folders > 0 {
        others.push(t!(words, "count-folders", count = offer.folders));
    }
    if offer.links > 0 {
        others.push(t!(words, "count-links", count = offer.links));
    }
    others.push(t!(words, "count-hidden", count = offer.hidden));
    others.push(t!(words, "count-executable", count = offer.executable));
    let notable = if offer.hidden + offer.executable > 0 { Tone::Notable } else { Tone::Dim };
    text.push_str(&more(style, &style.tone(notable, &others.join(" · "))));
    text
}

fn into(style: &Style, offer: &OfferView<'_>) -> String {
    let words = &style.words;
    let label = t!(words, "label-into");
    let Destination::Folder(path) = offer.destination else {
        return row(style, &label, &t!(words, "into-stdout"));
    };
    let path = super::problem::shown_path(path);
    let needed = size(offer.needed_bytes);
    match offer.free_bytes {
        Some(free) if free < offer.needed_bytes => {
            let text = t!(words, "into-too-small", path = path, needed = needed, free = size(free));
            row(style, &label, &style.tone(Tone::Bad, &text))
        }
        Some(free) => row(style, &label, &t!(words, "into", path = path, needed = needed, free = size(free))),
        None => row(style, &label, &t!(words, "into-unknown", path = path, needed = needed)),
    }
}

/// How a pull ended.
pub(crate) struct TakenView<'a> {
    pub(crate) id: u64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) unchanged: u64,
    pub(crate) kept_existing: u64,
    pub(crate) renamed: u64,
    pub(crate) exceptions: u64,
    pub(crate) receipt_short: &'a str,
    pub(crate) delivered: Delivered,
    pub(crate) destination: Destination<'a>,
}

/// Whether the relay has taken the receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    Yes,
    NotYet,
}

/// Everything is placed.
pub(crate) fn taken(style: &Style, taken: &TakenView<'_>) -> String {
    let words = &style.words;
    let amount = amount(style, taken.files, Some(taken.bytes));
    let short = taken.receipt_short.to_owned();
    let mut text = match taken.delivered {
        Delivered::Yes => good(style, &t!(words, "taken", amount = amount, short = short)),
        Delivered::NotYet => {
            let id = taken.id.to_string();
            good(style, &t!(words, "taken-not-delivered", amount = amount, short = short, id = id))
        }
    };
    if let Destination::Folder(path) = taken.destination {
        text.push_str(&format!("    {}\n", super::problem::shown_path(path)));
    }
    for (count, line) in [
        (taken.unchanged, t!(words, "taken-unchanged", count = taken.unchanged)),
        (taken.kept_existing, t!(words, "taken-kept", count = taken.kept_existing)),
        (taken.renamed, t!(words, "taken-renamed", count = taken.renamed)),
        (taken.exceptions, t!(words, "taken-exceptions", count = taken.exceptions)),
    ] {
        if count > 0 {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

/// One thing that was not handed over as it is.
pub(crate) fn exception(style: &Style, path: &[u8], why: ExceptionReason) -> String {
    format!("    {}  {}\n", escaped(path), style.tone(Tone::Dim, &exception_reason(style, why)))
}

/// Why something was not handed over as it is.
pub(crate) fn exception_reason(style: &Style, why: ExceptionReason) -> String {
    let words = &style.words;
    match why {
        ExceptionReason::Unreadable => t!(words, "exception-unreadable"),
        ExceptionReason::Vanished => t!(words, "exception-vanished"),
        ExceptionReason::KeptChanging => t!(words, "exception-kept-changing"),
        ExceptionReason::Special => t!(words, "exception-special"),
        ExceptionReason::LinkLeaves => t!(words, "exception-link-leaves"),
        ExceptionReason::ReadError => t!(words, "exception-read-error"),
        ExceptionReason::NameTooLong => t!(words, "exception-name-too-long"),
        ExceptionReason::NameMapped => t!(words, "exception-name-mapped"),
        ExceptionReason::ModeNotSet => t!(words, "exception-mode"),
        ExceptionReason::TimeNotSet => t!(words, "exception-time"),
        ExceptionReason::KeptExisting => t!(words, "exception-kept-existing"),
    }
}

/// A line that says that something went well.
pub(crate) fn good(style: &Style, text: &str) -> String {
    format!("  {} {text}\n", style.tone(Tone::Good, "✔"))
}

/// Commands to go on with, each with what it is for.
pub(crate) fn next(style: &Style, commands: &[(String, String)]) -> String {
    commands
        .iter()
        .map(|(command, why)| format!("    {} {}\n", padded(command, 24), style.tone(Tone::Dim, why)))
        .collect()
}

/// A name of the other side, safe to show; a bare dash for none.
pub(crate) fn who(name: &str) -> String {
    if name.trim().is_empty() { "–".to_owned() } else { escaped(name.as_bytes()) }
}
