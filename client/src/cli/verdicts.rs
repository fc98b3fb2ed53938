//! What a check of a folder found, as four lines and a list. Pure: facts in, text out.

use super::show::{row, who};
use super::style::{Style, Tone, padded};
use super::units::size;
use crate::home::transfers::Role;
use crate::private::escaped;
use crate::t;
use crate::verify::{Difference, Kind, Verdict, Verification};

/// Columns of the name of a question.
const NAME_COLUMNS: usize = 13;
/// Columns of a kind of difference.
const KIND_COLUMNS: usize = 12;

/// What was checked.
pub(crate) fn head(style: &Style, found: &Verification) -> String {
    let words = &style.words;
    let mut text = row(style, &t!(words, "label-folder"), &super::problem::shown_path(&found.folder));
    let id = found.id.to_string();
    let peer = found.peer.as_ref().map(|name| who(name.reveal()));
    let what = match (found.role, peer) {
        (Role::Buyer, Some(peer)) => t!(words, "verify-received", id = id, who = peer),
        (Role::Buyer, None) => t!(words, "verify-received-only", id = id),
        (Role::Seller, Some(peer)) => t!(words, "verify-sent", id = id, who = peer),
        (Role::Seller, None) => t!(words, "verify-sent-only", id = id),
    };
    text.push_str(&row(style, &t!(words, "label-transfer"), &what));
    text.push_str(&row(style, &t!(words, "label-seller"), &found.seller));
    if let Some(buyer) = &found.buyer {
        text.push_str(&row(style, &t!(words, "label-buyer"), buyer));
    }
    text
}

/// The four lines.
pub(crate) fn lines(style: &Style, found: &Verification) -> String {
    let words = &style.words;
    let four = [
        (t!(words, "verdict-authenticity"), found.authenticity(), authenticity(style, found)),
        (t!(words, "verdict-completeness"), found.completeness(), completeness(style, found)),
        (t!(words, "verdict-usability"), found.usability(), usability(style, found)),
        (t!(words, "verdict-safety"), found.safety(), safety(style, found)),
    ];
    let mut text: String = four.iter().map(|(name, verdict, reasons)| line(style, name, *verdict, reasons)).collect();
    if found.tally.other_time > 0 {
        let note = t!(words, "verify-times", count = found.tally.other_time);
        text.push_str(&format!("    {}\n", style.tone(Tone::Dim, &note)));
    }
    text
}

/// The last word.
pub(crate) fn end(style: &Style, found: &Verification) -> String {
    let words = &style.words;
    match (found.matches(), found.role) {
        (true, Role::Buyer) => super::show::good(style, &t!(words, "verify-matches-received")),
        (true, Role::Seller) => super::show::good(style, &t!(words, "verify-matches-sent")),
        (false, Role::Buyer) => bad(style, &t!(words, "verify-differs-received")),
        (false, Role::Seller) => bad(style, &t!(words, "verify-differs-sent")),
    }
}

/// One difference.
pub(crate) fn difference(style: &Style, difference: &Difference) -> String {
    let kind = padded(&kind_name(style, difference.kind), KIND_COLUMNS);
    let tone = if difference.kind == Kind::OtherTime { Tone::Dim } else { Tone::Notable };
    format!("    {} {}\n", style.tone(tone, &kind), escaped(difference.path.reveal()))
}

/// The word of a verdict, for programs.
pub(crate) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "pass",
        Verdict::Attention => "attention",
        Verdict::Bad => "fail",
    }
}

/// The word of a kind of difference, for programs.
pub(crate) fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Missing => "missing",
        Kind::Changed => "changed",
        Kind::Shortened => "shortened",
        Kind::Unreadable => "unreadable",
        Kind::Added => "added",
        Kind::OtherKind => "other-kind",
        Kind::OtherMode => "other-mode",
        Kind::OtherTime => "other-time",
        Kind::Exposed => "exposed",
        Kind::Privileged => "privileged",
        Kind::LeadsOut => "leads-out",
    }
}

fn kind_name(style: &Style, kind: Kind) -> String {
    let words = &style.words;
    match kind {
        Kind::Missing => t!(words, "difference-missing"),
        Kind::Changed => t!(words, "difference-changed"),
        Kind::Shortened => t!(words, "difference-shortened"),
        Kind::Unreadable => t!(words, "difference-unreadable"),
        Kind::Added => t!(words, "difference-added"),
        Kind::OtherKind => t!(words, "difference-other-kind"),
        Kind::OtherMode => t!(words, "difference-other-mode"),
        Kind::OtherTime => t!(words, "difference-other-time"),
        Kind::Exposed => t!(words, "difference-exposed"),
        Kind::Privileged => t!(words, "difference-privileged"),
        Kind::LeadsOut => t!(words, "difference-leads-out"),
    }
}

fn bad(style: &Style, text: &str) -> String {
    format!("  {} {text}\n", style.tone(Tone::Bad, "✘"))
}

fn line(style: &Style, name: &str, verdict: Verdict, reasons: &[String]) -> String {
    let sign = match verdict {
        Verdict::Good => style.tone(Tone::Good, "✔"),
        Verdict::Attention => style.tone(Tone::Notable, "!"),
        Verdict::Bad => style.tone(Tone::Bad, "✘"),
    };
    let name = padded(name, NAME_COLUMNS);
    let mut text = format!("  {sign} {name} {}\n", reasons.first().map_or("", String::as_str));
    for more in reasons.iter().skip(1) {
        text.push_str(&format!("    {} {more}\n", padded("", NAME_COLUMNS)));
    }
    text
}

/// The sentences whose count is not zero.
fn counted(all: impl IntoIterator<Item = (u64, String)>) -> Vec<String> {
    all.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect()
}

fn authenticity(style: &Style, found: &Verification) -> Vec<String> {
    let words = &style.words;
    let tally = &found.tally;
    let changed = tally.changed + tally.shortened;
    let is_bad = |paper: &str| u64::from(found.bad_papers.contains(&paper));
    let mut reasons = counted([
        (is_bad("seal"), t!(words, "authentic-seal-bad")),
        (is_bad("receipt"), t!(words, "authentic-receipt-bad")),
        (u64::from(!found.manifest_fits), t!(words, "authentic-manifest-bad")),
        (changed, t!(words, "authentic-changed", count = changed)),
        (tally.other_kind, t!(words, "authentic-other-kind", count = tally.other_kind)),
        (tally.other_mode, t!(words, "authentic-other-mode", count = tally.other_mode)),
        (tally.added, t!(words, "authentic-added", count = tally.added)),
    ]);
    if reasons.is_empty() {
        reasons.push(match (&found.buyer, found.root_fits) {
            (Some(_), true) => t!(words, "authentic-good"),
            (None, true) => t!(words, "authentic-good-sealed"),
            (_, false) => t!(words, "authentic-partly"),
        });
    }
    reasons.extend(counted([
        (u64::from(found.buyer.is_none() && is_bad("receipt") == 0), t!(words, "authentic-no-receipt")),
        (tally.beside, t!(words, "authentic-beside", count = tally.beside)),
    ]));
    reasons
}

fn completeness(style: &Style, found: &Verification) -> Vec<String> {
    let words = &style.words;
    let tally = &found.tally;
    let mut reasons = counted([(tally.missing, t!(words, "complete-missing", count = tally.missing))]);
    if reasons.is_empty() {
        let mut parts = vec![t!(words, "count-files", count = tally.files)];
        parts.extend(counted([
            (tally.folders, t!(words, "count-folders", count = tally.folders)),
            (tally.links, t!(words, "count-links", count = tally.links)),
        ]));
        let all = parts.join(&t!(words, "list-comma"));
        reasons.push(t!(words, "complete-good", all = all));
    }
    reasons.extend(counted([
        (tally.left_out, t!(words, "complete-left-out", count = tally.left_out)),
        (tally.listed, t!(words, "complete-listed", count = tally.listed)),
    ]));
    reasons
}

fn usability(style: &Style, found: &Verification) -> Vec<String> {
    let words = &style.words;
    let tally = &found.tally;
    let reasons = counted([
        (tally.unreadable, t!(words, "usable-unreadable", count = tally.unreadable)),
        (tally.shortened, t!(words, "usable-shortened", count = tally.shortened)),
    ]);
    if reasons.is_empty() { vec![t!(words, "usable-good", size = size(tally.bytes))] } else { reasons }
}

fn safety(style: &Style, found: &Verification) -> Vec<String> {
    let words = &style.words;
    let tally = &found.tally;
    let id = found.id.to_string();
    let reasons = counted([
        (tally.exposed, t!(words, "safety-exposed", count = tally.exposed)),
        (tally.privileged, t!(words, "safety-privileged", count = tally.privileged)),
        (tally.leads_out, t!(words, "safety-leads-out", count = tally.leads_out)),
        (u64::from(found.own_remains), t!(words, "safety-own-remains", id = id)),
        (tally.exposed_as_sent, t!(words, "safety-exposed-as-sent", count = tally.exposed_as_sent)),
        (u64::from(found.other_remains), t!(words, "safety-other-remains")),
    ]);
    if reasons.is_empty() { vec![t!(words, "safety-good")] } else { reasons }
}
