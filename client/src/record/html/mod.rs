//! The record as one page: no script, nothing from elsewhere, printable on A4, readable without colours.
//!
//! # Source
//! SPEC [S19.1] [S19.4].

mod appendix;
mod say;
mod sections;
mod write;

use base64ct::{Base64, Encoding};
use handover_shared::proof;

use super::check::{Check, Why};
use super::evidence::Evidence;
use super::model::{Finding, Model, Role, Verdict};
use crate::t;
use crate::words::{Language, Words};

pub(super) use appendix::{DATA, INVENTORY, SUMMARY, signers};
use say::Say;
use write::Page;
pub(super) use write::unescape;

const STYLE: &str = include_str!("style.css");

/// Makes the page of a record in a language.
pub fn page(evidence: &Evidence, language: Language) -> String {
    let model = Model::of(evidence);
    let words = Words::new(language);
    let say = Say { words: &words, offset_minutes: model.offset_minutes };
    let mut page = Page::default();
    head(&mut page, &model, &say);
    sections::all(&mut page, &model, &say);
    appendix::all(&mut page, evidence, &model, &say);
    foot(&mut page, &model, &say);
    page.finish()
}

fn head(page: &mut Page, model: &Model, say: &Say<'_>) {
    let words = say.words;
    let style = format!("{STYLE}{}", running(model, say));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        Base64::encode_string(&proof::digest(style.as_bytes()).0)
    );
    let title = t!(words, "record-title");
    let subject = model.label.clone().unwrap_or_default();
    page.raw("<!DOCTYPE html>\n<html lang=\"")
        .raw(words.language().tag())
        .raw("\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"").text(&policy).raw("\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta name=\"handover-record\" content=\"").text(&super::FORM.to_string()).raw("\">\n<title>");
    page.text(&title).text(" · ").text(&model.transfer).raw("</title>\n<style>").raw(&style).raw("</style>\n</head>\n");
    page.raw("<body>\n<header>\n<p class=\"kicker\">handover</p>\n");
    page.element("h1", &title).raw("\n");
    if !subject.is_empty() {
        page.raw("<p class=\"subject\">").name(&subject).raw("</p>\n");
    }
    page.raw("<dl class=\"facts\">\n");
    let mut fact = |label: &str, class: &str, value: &str| {
        page.element("dt", label);
        page.element(if class.is_empty() { "dd" } else { "dd class=\"mono\"" }, value).raw("\n");
    };
    fact(&t!(words, "record-number"), "mono", &model.transfer);
    fact(
        &t!(words, "record-made"),
        "",
        &t!(words, "record-made-by", when = say.moment(model.made), side = say.side(model.made_by)),
    );
    fact(&t!(words, "record-times"), "", &t!(words, "record-times-are", zone = say.zone()));
    page.raw("</dl>\n");
    let (class, sign, word, sentence) = verdict_words(model.verdict, say.words);
    page.raw("<div class=\"verdict ").raw(class).raw("\"><strong>").text(sign).text(" ").text(&word).raw("</strong>");
    page.element("p", &sentence).raw("</div>\n</header>\n<main>\n");
}

/// What stands at the edges of every printed sheet.
fn running(model: &Model, say: &Say<'_>) -> String {
    let words = say.words;
    let head = t!(words, "record-running", number = model.transfer.clone());
    // Digits, letters and words of ours: nothing that would end the string.
    let text = |text: &str| text.replace(['"', '\\', '<', '\n'], "");
    format!(
        "@page{{size:A4;margin:22mm 18mm 20mm;@top-left{{content:\"{}\";{EDGE}}}@bottom-left{{content:\"{}\";{EDGE}}}\
         @bottom-right{{content:\"{}\" counter(page) \"{}\" counter(pages) \"{}\";{EDGE}}}}}\n",
        text(&head),
        text(&t!(words, "record-running-foot")),
        text(&t!(words, "record-page-before")),
        text(&t!(words, "record-page-between")),
        text(&t!(words, "record-page-after")),
    )
}

const EDGE: &str = "font:8pt \"Liberation Serif\",\"Noto Serif CJK SC\",SimSun,serif;color:#4a5563";

/// A verdict for people: its class, its sign, its word, what it means.
pub fn verdict_words(verdict: Verdict, words: &Words) -> (&'static str, &'static str, String, String) {
    match verdict {
        Verdict::Complete => ("good", "✔", t!(words, "record-complete"), t!(words, "record-complete-means")),
        Verdict::Waiting => ("wait", "◷", t!(words, "record-waiting"), t!(words, "record-waiting-means")),
        Verdict::Revoked => ("wait", "⊘", t!(words, "record-revoked"), t!(words, "record-revoked-means")),
        Verdict::Expired => ("wait", "⊘", t!(words, "record-expired"), t!(words, "record-expired-means")),
        Verdict::Refused => ("wait", "⊘", t!(words, "record-refused"), t!(words, "record-refused-means")),
        Verdict::TakenDown => ("wait", "⊘", t!(words, "record-taken-down"), t!(words, "record-taken-down-means")),
        Verdict::Failed => ("wait", "⊘", t!(words, "record-failed"), t!(words, "record-failed-means")),
        Verdict::Faulty => ("bad", "✘", t!(words, "record-faulty"), t!(words, "record-faulty-means")),
    }
}

/// What a role is called.
pub fn role_word(role: Role, words: &Words) -> String {
    Say { words, offset_minutes: 0 }.role(role)
}

/// A finding in words.
pub fn finding_words(finding: Finding, words: &Words) -> String {
    Say { words, offset_minutes: 0 }.finding(finding)
}

/// Why a statement does not hold, in words.
pub fn fault_words(word: &str, why: Why, words: &Words) -> String {
    let say = Say { words, offset_minutes: 0 };
    format!("{}: {}", say.kind(word), say.check(Check::NotValid(why)).2)
}

fn foot(page: &mut Page, model: &Model, say: &Say<'_>) {
    let program = t!(say.words, "record-program", version = model.program.clone(), form = super::FORM.to_string());
    page.raw("</main>\n<footer>").element("p", &program).raw("\n<p>").text(&t!(say.words, "record-checksum")).raw(" ");
    page.element("span class=\"mono\"", &model.checksum).raw("</p>").raw("</footer>\n</body>\n</html>\n");
}
