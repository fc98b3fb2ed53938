//! The appendix: everything that was signed, byte for byte, and what it takes to check it elsewhere.

use super::super::evidence::Evidence;
use super::super::json::safe;
use super::super::model::{Model, Statement};
use super::super::rules::RULES;
use super::say::Say;
use super::write::Page;
use crate::t;

/// The parts of a page beside statements.
pub(in crate::record) const SUMMARY: &str = "summary";
pub(in crate::record) const INVENTORY: &str = "inventory";
pub(in crate::record) const SIGNERS: &str = "allowed-signers";
pub(in crate::record) const DATA: &str = "data";

pub(super) fn all(page: &mut Page, evidence: &Evidence, model: &Model, say: &Say<'_>) {
    let words = say.words;
    page.raw(
        "<section class=\"appendix\" aria-labelledby=\"appendix\">\n<h2 id=\"appendix\"><span class=\"no\">A</span>",
    );
    page.text(&t!(words, "record-appendix")).raw("</h2>\n");
    page.element("p", &t!(words, "record-appendix-how")).raw("\n");
    page.raw("<pre>").text(&commands()).raw("</pre>\n");
    for statement in &model.statements {
        statement_parts(page, statement, say);
    }
    details(
        page,
        &t!(words, "record-part-signers"),
        &[(t!(words, "record-signers-note"), SIGNERS, &signers(evidence))],
    );
    if let Some(summary) = &evidence.summary {
        details(
            page,
            &t!(words, "record-part-summary"),
            &[(t!(words, "record-summary-note"), SUMMARY, &wrapped(summary))],
        );
    }
    if let Some(inventory) = &evidence.inventory {
        details(page, &t!(words, "record-part-list"), &[(t!(words, "record-inventory-note"), INVENTORY, inventory)]);
    }
    let data = safe(&serde_json::to_string_pretty(evidence).unwrap_or_default());
    details(page, &t!(words, "record-part-data"), &[(t!(words, "record-data-note"), DATA, &data)]);
    page.raw("</section>\n");
}

fn statement_parts(page: &mut Page, statement: &Statement, say: &Say<'_>) {
    let Some(parts) = &statement.parts else { return };
    let words = say.words;
    let (text_id, signature_id) = (format!("{}-text", statement.word), format!("{}-signature", statement.word));
    let mut all = vec![
        (t!(words, "record-text", id = statement.id.clone().unwrap_or_default()), text_id.as_str(), &parts.text),
        (t!(words, "record-signature", side = say.role(statement.by)), signature_id.as_str(), &parts.signature),
    ];
    if let Some((id, second)) = &parts.second {
        all.push((t!(words, "record-second-signature"), id, second));
    }
    let title = super::super::rules::rule(statement.word).and_then(|rule| rule.document.as_ref()).map(|it| it.title);
    if let (Some((id, document)), Some(title)) = (&parts.document, title) {
        all.push((title(words), id, document));
    }
    details(page, &say.kind(statement.word), &all);
}

fn details(page: &mut Page, title: &str, parts: &[(String, &str, &String)]) {
    page.raw("<details open>\n").element("summary", title).raw("\n");
    for (note, id, text) in parts {
        page.element("h3 class=\"part\"", note).raw("\n").part(id, text);
    }
    page.raw("</details>\n");
}

/// Lines for `ssh-keygen -Y verify`: each party's key, and what it may have signed.
pub(in crate::record) fn signers(evidence: &Evidence) -> String {
    let checks = super::super::check::check(evidence);
    let mut text = String::new();
    for signer in super::super::rules::Signer::ALL {
        let Some(key) = checks.key(signer) else { continue };
        let own = RULES.iter().filter(|rule| rule.signer == signer);
        let namespaces: Vec<&str> = own.map(|rule| rule.kind.namespace()).collect();
        let key = key.to_openssh("");
        text.push_str(&format!("{} namespaces=\"{}\" {}\n", signer.principal(), namespaces.join(","), key.trim_end()));
    }
    text
}

/// Lines of 76 characters.
fn wrapped(base64: &str) -> String {
    let mut text = String::with_capacity(base64.len() * 77 / 76 + 1);
    for (place, char) in base64.chars().enumerate() {
        if place > 0 && place.is_multiple_of(76) {
            text.push('\n');
        }
        text.push(char);
    }
    text.push('\n');
    text
}

/// How a part is taken out of the page and a statement checked, with nothing of ours.
fn commands() -> String {
    "part() { sed -n \"/^<pre id=\\\"$1\\\">$/,/^<\\/pre>$/{//!p;}\" record.html |\n  \
     sed \"s/&lt;/</g;s/&gt;/>/g;s/&quot;/\\\"/g;s/&#39;/'/g;s/&amp;/\\&/g\"; }\n\
     part allowed-signers > allowed_signers\n\
     part receipt-text > receipt.json; part receipt-signature > receipt.json.sig\n\
     ssh-keygen -Y verify -f allowed_signers -I buyer -n handover-receipt-v1 \\\n  \
     -s receipt.json.sig < receipt.json\n"
        .into()
}
