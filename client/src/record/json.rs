//! The record for programs: what it says, and everything it is made from.

use serde_json::{Map, Value, json};

use super::check::{Check, Why};
use super::evidence::{Evidence, Given};
use super::html::signers;
use super::inventory::Inventory;
use super::model::{Finding, Model, Party, Role, Source, Statement, Verdict};
use super::timeline::{Clocks, Happening, Moment};
use handover_shared::ids::Millis;
use handover_shared::proof::time;
use handover_shared::shown::is_hidden;

/// The document. Names are escaped as on a screen; `evidence`, texts and signatures are as they are.
pub fn document(evidence: &Evidence) -> Value {
    let model = Model::of(evidence);
    json!({
        "handover_record": super::FORM,
        "checksum": model.checksum,
        "transfer": model.transfer,
        "label": model.label,
        "verdict": verdict_word(model.verdict),
        "parties": model.parties.iter().map(party).collect::<Vec<_>>(),
        "agreement": model.agreement,
        "scope": model.scope.as_ref().map(|scope| json!({
            "files": scope.files, "folders": scope.folders, "links": scope.links,
            "exceptions": scope.exceptions, "bytes": scope.bytes, "root": scope.root,
        })),
        "list": model.list.as_ref().map(list),
        "kept_existing": model.kept_existing,
        "outcome": model.outcome,
        "timeline": model.timeline.iter().map(moment).collect::<Vec<_>>(),
        "statements": model.statements.iter().map(statement).collect::<Vec<_>>(),
        "summary": { "check": check(model.summary), "base64": evidence.summary },
        "inventory": { "check": check(model.inventory), "text": evidence.inventory },
        "allowed_signers": signers(evidence),
        "proven": model.proven.iter().map(|finding| self::finding(*finding)).collect::<Vec<_>>(),
        "not_proven": model.open.iter().map(|finding| self::finding(*finding)).collect::<Vec<_>>(),
        "evidence": evidence,
    })
}

/// The evidence of a document; nothing if it is no record.
pub(super) fn evidence(document: &Value) -> Option<Evidence> {
    let mut evidence: Evidence = serde_json::from_value(document.get("evidence")?.clone()).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    evidence.summary = document.get("summary").and_then(|it| text(it.get("base64")?));
    evidence.inventory = document.get("inventory").and_then(|it| text(it.get("text")?));
    for statement in document.get("statements")?.as_array()? {
        let Some(given) = text(statement.get("text")?) else { continue };
        evidence.statements.push(Given {
            kind: text(statement.get("kind")?)?,
            text: given,
            signature: text(statement.get("signature")?)?,
            second: text(statement.get("second_signature")?),
            document: text(statement.get("document")?),
        });
    }
    Some(evidence)
}

/// JSON in which everything that does not show as itself is escaped. Such characters stand in strings only.
pub(super) fn safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for char in json.chars() {
        if is_hidden(char) && char != '\n' {
            for unit in char.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(char);
        }
    }
    safe
}

/// A verdict as a stable word.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Complete => "complete",
        Verdict::Waiting => "waiting",
        Verdict::Revoked => "revoked",
        Verdict::Expired => "expired",
        Verdict::Refused => "refused",
        Verdict::TakenDown => "taken-down",
        Verdict::Failed => "failed",
        Verdict::Faulty => "faulty",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Seller => "seller",
        Role::Buyer => "buyer",
        Role::Relay => "relay",
    }
}

fn party(party: &Party) -> Value {
    let names = match party.names {
        Source::Signed => "signed",
        Source::Told => "told",
    };
    json!({ "role": role(party.role), "organisation": party.organisation, "name": party.name, "key": party.key, "names": names })
}

fn list(list: &Inventory) -> Value {
    let entry = |line: &super::inventory::Line| {
        json!({
            "path": line.path, "kind": format!("{:?}", line.kind).to_lowercase(), "files": line.files,
            "bytes": line.bytes, "first": line.times.map(|times| times.0), "last": line.times.map(|times| times.1),
        })
    };
    json!({
        "full_list": list.head.list,
        "entries": list.lines.iter().map(entry).collect::<Vec<_>>(),
        "types": list.types.iter()
            .map(|it| json!({ "type": it.ending, "files": it.files, "bytes": it.bytes })).collect::<Vec<_>>(),
        "exceptions": list.missing.iter().map(|it| json!({ "path": it.path, "reason": it.reason.word() })).collect::<Vec<_>>(),
    })
}

fn rfc3339(at: Option<Millis>) -> Option<String> {
    at.map(time::to_text)
}

fn moment(moment: &Moment) -> Value {
    let what = match moment.what {
        Happening::Signed(word) => word.into(),
        Happening::Told(what) => json!(what),
    };
    let clocks = match moment.clocks() {
        Clocks::One => Value::Null,
        Clocks::Agree => json!("agree"),
        Clocks::Later(ms) => json!({ "relay_later_ms": ms }),
        Clocks::Earlier(ms) => json!({ "disagree_ms": ms }),
    };
    json!({
        "what": what,
        "signed": rfc3339(moment.signed.map(|(_, at)| at)),
        "signed_by": moment.signed.map(|(party, _)| role(party)),
        "relay_signed": rfc3339(moment.relay_signed),
        "relay_told": rfc3339(moment.relay_told),
        "clocks": clocks,
        "by": moment.by,
    })
}

fn statement(statement: &Statement) -> Value {
    let parts = statement.parts.as_ref();
    json!({
        "kind": statement.word,
        "by": role(statement.by),
        "check": check(statement.check),
        "time": rfc3339(statement.time),
        "id": statement.id,
        "text": parts.map(|parts| parts.text.as_str()),
        "signature": parts.map(|parts| parts.signature.as_str()),
        "second_signature": parts.and_then(|parts| parts.second.as_ref()).map(|(_, text)| text.as_str()),
        "second_check": check(statement.second),
        "notes": statement.notes.iter().map(|(name, text)| json!({ "line": name, "text": text })).collect::<Vec<_>>(),
        "document": parts.and_then(|parts| parts.document.as_ref()).map(|(_, text)| text.as_str()),
        "document_missing": statement.misses_document,
    })
}

fn check(check: Check) -> Value {
    match check {
        Check::Valid => json!("valid"),
        Check::Absent => json!("absent"),
        Check::NotValid(why) => {
            let mut object = Map::new();
            object.insert("not_valid".into(), json!(why_word(why)));
            if let Why::Line(detail) | Why::RestsOn(detail) = why {
                object.insert("detail".into(), json!(detail));
            }
            Value::Object(object)
        }
    }
}

fn why_word(why: Why) -> &'static str {
    match why {
        Why::Malformed => "malformed",
        Why::SignatureForm => "signature-form",
        Why::Purpose => "purpose",
        Why::Forged => "forged",
        Why::Signer => "signer",
        Why::Line(_) => "line",
        Why::RestsOn(_) => "rests-on",
        Why::Hash => "hash",
        Why::Numbers => "numbers",
    }
}

fn finding(finding: Finding) -> Value {
    match finding {
        Finding::Statement(word) => json!(word),
        Finding::Missing(word) => json!({ "missing": word }),
        Finding::DoesNotHold(word) => json!({ "does_not_hold": word }),
        Finding::List => json!("list"),
        Finding::NoList => json!({ "missing": "list" }),
        Finding::Holders => json!("holders-of-keys"),
        Finding::Clocks => json!("clocks"),
        Finding::Contents => json!("contents"),
        Finding::Told => json!("told"),
        Finding::Deletion => json!("deletion"),
    }
}
