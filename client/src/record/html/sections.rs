//! The sections of a page, in their order.

use super::super::check::Check;
use super::super::inventory::{Detail, Inventory, Line, LineKind};
use super::super::model::{Finding, Model, Party, Role, Scope, Source, Statement};
use super::super::timeline::{Clocks, Moment};
use super::say::Say;
use super::write::Page;
use crate::t;

/// Everything before the appendix.
pub(super) fn all(page: &mut Page, model: &Model, say: &Say<'_>) {
    let mut number = 0;
    let mut section = |page: &mut Page, id: &str, title: String, body: &dyn Fn(&mut Page)| {
        number += 1;
        page.raw("<section aria-labelledby=\"").raw(id).raw("\">\n<h2 id=\"").raw(id).raw("\"><span class=\"no\">");
        page.text(&number.to_string()).raw("</span>").text(&title).raw("</h2>\n");
        body(page);
        page.raw("</section>\n");
    };
    let words = say.words;
    section(page, "parties", t!(words, "record-parties"), &|page| parties(page, model, say));
    section(page, "agreement", t!(words, "record-agreement"), &|page| agreement(page, model, say));
    section(page, "scope", t!(words, "record-scope"), &|page| scope(page, model, say));
    section(page, "exceptions", t!(words, "record-exceptions"), &|page| exceptions(page, model, say));
    section(page, "timeline", t!(words, "record-timeline"), &|page| timeline(page, model, say));
    section(page, "statements", t!(words, "record-statements"), &|page| statements(page, model, say));
    section(page, "findings", t!(words, "record-findings"), &|page| findings(page, model, say));
    section(page, "signing", t!(words, "record-signing"), &|page| signing(page, say));
}

/// Begins a table: its caption, and the titles of its columns with their classes.
fn table(page: &mut Page, caption: &str, columns: &[(&str, String)]) {
    table_of(page, "<table>", caption, columns);
}

fn table_of(page: &mut Page, tag: &str, caption: &str, columns: &[(&str, String)]) {
    page.raw(tag).raw("\n").element("caption", caption).raw("\n<thead><tr>");
    for (class, title) in columns {
        let tag = if class.is_empty() {
            "th scope=\"col\"".to_owned()
        } else {
            format!("th scope=\"col\" class=\"{class}\"")
        };
        page.element(&tag, title);
    }
    page.raw("</tr></thead>\n<tbody>\n");
}

/// A sign and words that say what came of a check.
fn mark(page: &mut Page, check: Check, say: &Say<'_>) {
    let (class, sign, words) = say.check(check);
    sign_and_words(page, class, sign, &words);
}

fn sign_and_words(page: &mut Page, class: &str, sign: &str, words: &str) {
    page.raw("<span class=\"mark ").raw(class).raw("\"><b aria-hidden=\"true\">").text(sign).raw("</b> ");
    page.text(words).raw("</span>");
}

fn parties(page: &mut Page, model: &Model, say: &Say<'_>) {
    let words = say.words;
    let columns = [("role", t!(words, "record-role")), ("", t!(words, "record-who")), ("key", t!(words, "record-key"))];
    table(page, &t!(words, "record-parties-caption"), &columns);
    for party in &model.parties {
        page.raw("<tr>").element("th scope=\"row\" class=\"nowrap\"", &say.role(party.role)).raw("<td>");
        who(page, party);
        let source = match (party.names, party.role) {
            (Source::Signed, _) => t!(words, "record-name-signed"),
            (Source::Told, Role::Relay) => t!(words, "record-address-told"),
            (Source::Told, _) => t!(words, "record-name-told"),
        };
        page.raw("<br>").element("span class=\"note\"", &source).raw("</td>");
        page.cell("mono", party.key.as_deref().unwrap_or("–")).raw("</tr>\n");
    }
    page.raw("</tbody>\n</table>\n");
    page.element("p class=\"note\"", &t!(words, "record-keys-note")).raw("\n");
}

fn who(page: &mut Page, party: &Party) {
    match (&party.organisation, &party.name) {
        (Some(organisation), Some(name)) if organisation != name => {
            page.name(organisation).raw("<br>").name(name);
        }
        (Some(only), _) | (None, Some(only)) => {
            page.name(only);
        }
        (None, None) => {
            page.text("–");
        }
    }
}

fn agreement(page: &mut Page, model: &Model, say: &Say<'_>) {
    let words = say.words;
    let text = match model.agreement.as_deref() {
        Some("none") => t!(words, "record-no-agreement"),
        Some(digest) => t!(words, "record-agreement-hash", hash = digest.to_owned()),
        None => t!(words, "record-agreement-unknown"),
    };
    page.element("p", &text).raw("\n");
}

fn scope(page: &mut Page, model: &Model, say: &Say<'_>) {
    let words = say.words;
    let Some(scope) = &model.scope else {
        page.element("p", &t!(words, "record-no-scope")).raw("\n");
        return;
    };
    page.raw("<dl class=\"facts\">\n");
    let mut fact = |label: String, value: String| {
        page.element("dt", &label).element("dd", &value).raw("\n");
    };
    fact(t!(words, "record-files"), say.number(scope.files));
    fact(t!(words, "record-bytes"), say.number(scope.bytes));
    fact(t!(words, "record-folders"), say.number(scope.folders));
    if scope.links > 0 {
        fact(t!(words, "record-links"), say.number(scope.links));
    }
    fact(t!(words, "record-not-sent"), say.number(scope.exceptions));
    page.element("dt", &t!(words, "label-root")).element("dd class=\"mono\"", &scope.root).raw("\n</dl>\n");
    page.element("h3", &t!(words, "record-list")).raw("\n");
    match &model.list {
        Some(list) => inventory(page, list, scope, say),
        None => {
            page.element("p", &t!(words, "record-finding-no-list")).raw("\n");
        }
    }
}

fn inventory(page: &mut Page, list: &Inventory, scope: &Scope, say: &Say<'_>) {
    let words = say.words;
    let caption = match list.head.detail {
        Detail::Entries if list.head.records == list.lines.len() as u64 + list.head.exceptions => {
            t!(words, "record-list-everything")
        }
        Detail::Entries => t!(words, "record-list-entries", depth = list.head.depth.to_string()),
        Detail::Folders => t!(words, "record-list-folders"),
    };
    let columns = [
        ("seq num", t!(words, "record-column-number")),
        ("", t!(words, "record-column-name")),
        ("", t!(words, "record-column-kind")),
        ("num", t!(words, "record-column-files")),
        ("num", t!(words, "record-column-bytes")),
        ("dates", t!(words, "record-column-dates")),
    ];
    table(page, &caption, &columns);
    for (at, line) in list.lines.iter().enumerate() {
        page.raw("<tr>").cell("seq num", &(at + 1).to_string());
        page.raw("<td>");
        path(page, line, say);
        page.raw("</td>");
        page.cell("nowrap", &say.line_kind(line.kind)).cell("num", &say.number(line.files));
        page.cell("num", &say.number(line.bytes)).cell("dates", &dates(line, say)).raw("</tr>\n");
    }
    page.raw("</tbody>\n<tfoot><tr>").element("th scope=\"row\" colspan=\"3\"", &t!(words, "record-total"));
    page.cell("num", &say.number(scope.files))
        .cell("num", &say.number(scope.bytes))
        .raw("<td></td></tr></tfoot>\n</table>\n");
    if !list.types.is_empty() {
        types(page, list, say);
    }
    page.element("p class=\"note\"", &t!(words, "record-list-note", hash = list.head.list.clone())).raw("\n");
}

/// The folders above, and the name.
fn path(page: &mut Page, line: &Line, say: &Say<'_>) {
    if line.path.is_empty() {
        page.text(&t!(say.words, "record-line-rest"));
        return;
    }
    let (above, name) = line.path.rsplit_once('/').map_or(("", line.path.as_str()), |(above, name)| (above, name));
    page.raw("<bdi>");
    if !above.is_empty() {
        page.element("span class=\"above\"", &format!("{above}/"));
    }
    page.text(name).raw(if line.kind == LineKind::Folder { "/</bdi>" } else { "</bdi>" });
}

fn dates(line: &Line, say: &Say<'_>) -> String {
    match line.times.map(|(first, last)| (say.day(first), say.day(last))) {
        None => "–".into(),
        Some((first, last)) if first == last => first,
        Some((first, last)) => t!(say.words, "record-dates", first = first, last = last),
    }
}

fn types(page: &mut Page, list: &Inventory, say: &Say<'_>) {
    let words = say.words;
    let columns = [
        ("", t!(words, "record-column-type")),
        ("num", t!(words, "record-column-files")),
        ("num", t!(words, "record-column-bytes")),
    ];
    table_of(page, "<table class=\"narrow\">", &t!(words, "record-types"), &columns);
    for kind in &list.types {
        let ending = match kind.ending.as_str() {
            "" => t!(words, "record-type-none"),
            "*" => t!(words, "record-type-other"),
            ending => format!(".{}", crate::private::escaped(ending.as_bytes())),
        };
        page.raw("<tr>").element("th scope=\"row\"", &ending).cell("num", &say.number(kind.files));
        page.cell("num", &say.number(kind.bytes)).raw("</tr>\n");
    }
    page.raw("</tbody>\n</table>\n");
}

fn exceptions(page: &mut Page, model: &Model, say: &Say<'_>) {
    let words = say.words;
    let missing = model.list.as_ref().map(|list| list.missing.as_slice()).unwrap_or_default();
    let count = model.scope.as_ref().map_or(0, |scope| scope.exceptions);
    if count == 0 {
        page.element("p", &t!(words, "record-no-exceptions")).raw("\n");
    } else {
        let columns = [("", t!(words, "record-column-name")), ("", t!(words, "record-column-reason"))];
        table(page, &t!(words, "record-exceptions-caption"), &columns);
        for it in missing {
            page.raw("<tr><td>").name(&it.path).raw("</td>").cell("", &say.reason(it.reason)).raw("</tr>\n");
        }
        page.raw("</tbody>\n</table>\n");
        let more = count.saturating_sub(missing.len() as u64);
        if more > 0 {
            page.element("p", &t!(words, "exceptions-more", count = more)).raw("\n");
        }
    }
    if let Some(kept) = model.kept_existing.filter(|kept| *kept > 0) {
        page.element("p", &t!(words, "record-kept-existing", count = kept)).raw("\n");
    }
    let Some(outcome) = &model.outcome else { return };
    page.element("h3", &t!(words, "record-outcome")).raw("\n<dl class=\"facts\">\n");
    let mut fact = |label: String, value: u64| {
        page.element("dt", &label).element("dd", &say.number(value)).raw("\n");
    };
    fact(t!(words, "record-outcome-unchanged"), outcome.unchanged);
    fact(t!(words, "record-outcome-kept"), outcome.kept_existing);
    fact(t!(words, "record-outcome-renamed"), outcome.renamed);
    fact(t!(words, "record-outcome-exceptions"), outcome.exceptions);
    page.raw("</dl>\n").element("p class=\"note\"", &t!(words, "record-outcome-note")).raw("\n");
}

fn timeline(page: &mut Page, model: &Model, say: &Say<'_>) {
    let words = say.words;
    let columns = [
        ("event", t!(words, "record-column-event")),
        ("", t!(words, "record-column-signed")),
        ("", t!(words, "record-column-relay")),
        ("", t!(words, "record-column-clocks")),
    ];
    table(page, &t!(words, "record-timeline-caption", zone = say.zone()), &columns);
    for moment in &model.timeline {
        page.raw("<tr>");
        event(page, moment, say);
        match moment.signed {
            Some((party, at)) => {
                page.raw("<td>").element("span class=\"nowrap\"", &say.moment(at)).raw("<br>");
                page.element("span class=\"note\"", &t!(words, "record-clock-of", side = say.role(party))).raw("</td>");
            }
            None => {
                page.cell("", "–");
            }
        }
        relay_time(page, moment, say);
        clocks(page, moment.clocks(), say);
        page.raw("</tr>\n");
    }
    page.raw("</tbody>\n</table>\n").element("p class=\"note\"", &t!(words, "record-timeline-note")).raw("\n");
}

/// Who came where they should not, below what happened.
fn event(page: &mut Page, moment: &Moment, say: &Say<'_>) {
    page.raw("<th scope=\"row\">").text(&say.happening(moment.what));
    if let Some(key) = &moment.by {
        page.raw("<br>").element("span class=\"note\"", &t!(say.words, "record-event-by")).raw(" ");
        page.element("span class=\"note mono\"", key);
    }
    page.raw("</th>");
}

fn relay_time(page: &mut Page, moment: &Moment, say: &Say<'_>) {
    let words = say.words;
    page.raw("<td>");
    match (moment.relay_signed, moment.relay_told) {
        (None, None) => {
            page.text("–");
        }
        (Some(signed), _) => {
            page.element("span class=\"nowrap\"", &say.moment(signed)).raw("<br>");
            page.element("span class=\"note\"", &t!(words, "record-relay-signed"));
        }
        (None, Some(told)) => {
            page.element("span class=\"nowrap\"", &say.moment(told)).raw("<br>");
            page.element("span class=\"note\"", &t!(words, "record-relay-told"));
        }
    }
    page.raw("</td>");
}

fn clocks(page: &mut Page, clocks: Clocks, say: &Say<'_>) {
    let words = say.words;
    page.raw("<td>");
    match clocks {
        Clocks::One => {
            page.text("–");
        }
        Clocks::Agree => {
            page.text(&t!(words, "record-clocks-agree"));
        }
        Clocks::Later(ms) => {
            page.text(&t!(words, "record-clocks-later", span = say.span(ms)));
        }
        Clocks::Earlier(ms) => {
            sign_and_words(page, "bad long", "!", &t!(words, "record-clocks-disagree", span = say.span(ms)));
        }
    }
    page.raw("</td>");
}

fn statements(page: &mut Page, model: &Model, say: &Say<'_>) {
    let words = say.words;
    let columns = [
        ("", t!(words, "record-column-statement")),
        ("", t!(words, "record-column-by")),
        ("", t!(words, "record-column-when")),
        ("", t!(words, "record-column-check")),
    ];
    table(page, &t!(words, "record-statements-caption"), &columns);
    for statement in &model.statements {
        statement_row(page, statement, say);
    }
    for (title, check) in
        [(t!(words, "record-part-summary"), model.summary), (t!(words, "record-part-list"), model.inventory)]
    {
        page.raw("<tr>").element("th scope=\"row\"", &title).cell("", &say.role(Role::Seller));
        page.cell("", "–").raw("<td>");
        mark(page, check, say);
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody>\n</table>\n");
}

fn statement_row(page: &mut Page, statement: &Statement, say: &Say<'_>) {
    page.raw("<tr>").element("th scope=\"row\"", &say.kind(statement.word)).cell("", &say.role(statement.by));
    page.cell("nowrap", &statement.time.map_or_else(|| "–".into(), |at| say.moment(at))).raw("<td>");
    mark(page, statement.check, say);
    if statement.second != Check::Absent {
        page.raw("<br>").element("span class=\"note\"", &t!(say.words, "record-second")).raw(" ");
        mark(page, statement.second, say);
    }
    if statement.misses_document {
        page.raw("<br>");
        sign_and_words(page, "wait", "○", &t!(say.words, "record-document-missing"));
    }
    page.raw("</td></tr>\n");
    for (line, text) in &statement.notes {
        page.raw("<tr class=\"note\"><td></td>").cell("", &say.note(statement.word, line));
        page.raw("<td colspan=\"2\">").name(text).raw("</td></tr>\n");
    }
}

fn findings(page: &mut Page, model: &Model, say: &Say<'_>) {
    let words = say.words;
    page.element("h3", &t!(words, "record-proven")).raw("\n");
    if model.proven.is_empty() {
        page.element("p", &t!(words, "record-proven-nothing")).raw("\n");
    } else {
        list(page, &model.proven, say);
    }
    page.element("h3", &t!(words, "record-not-proven")).raw("\n");
    list(page, &model.open, say);
}

fn list(page: &mut Page, findings: &[Finding], say: &Say<'_>) {
    let words = say.words;
    page.raw("<ul class=\"findings\">\n");
    for finding in findings {
        let (class, sign, word) = match finding {
            Finding::Statement(_) | Finding::List => ("good", "✔", t!(words, "record-mark-proven")),
            Finding::DoesNotHold(_) => ("bad", "✘", t!(words, "record-mark-bad")),
            Finding::Missing(_) | Finding::NoList => ("wait", "○", t!(words, "record-mark-missing")),
            _ => ("wait", "–", t!(words, "record-mark-open")),
        };
        page.raw("<li>");
        sign_and_words(page, class, sign, &word);
        page.element("span", &say.finding(*finding)).raw("</li>\n");
    }
    page.raw("</ul>\n");
}

/// Room for hands and seals, for those who file it on paper.
fn signing(page: &mut Page, say: &Say<'_>) {
    let words = say.words;
    page.element("p class=\"note\"", &t!(words, "record-signing-note")).raw("\n<div class=\"signing\">");
    page.element("div", &t!(words, "record-signing-seller"))
        .element("div", &t!(words, "record-signing-buyer"))
        .raw("</div>\n");
}
