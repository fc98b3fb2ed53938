//! Holds every object that is written against the schema that is promised, with a validator of just the keywords the
//! schema uses.

use std::sync::Arc;

use handover_shared::ids::Millis;
use handover_shared::keys::Secret;
use handover_shared::keys::code::{Code, Ticket};
use handover_shared::proof::time;
use serde_json::Value;

use super::*;
use crate::cli::golden::Captured;
use crate::cli::problem::{self, Exit};
use crate::cli::report::{Asked, Report};
use crate::cli::screen::{Mode, Screen};
use crate::cli::status;
use crate::cli::style::Style;
use crate::error::Error;
use crate::event::{Observer, Progress};
use crate::home::parties::Acquaintance;
use crate::home::transfers::Role;
use crate::link::network::Transport;
use crate::private::Private;
use crate::words::Language;

const SCHEMA: &str = include_str!("../events.schema.json");
const KEY: &str = "SHA256:xqC22gVeMJaTgauqkq+afh79H60yYGH4XMQDkUahQk0";
const AT: Millis = Millis(1_796_580_120_000);

#[test]
fn every_event_fits_the_schema() {
    let lines = emitted();
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for line in &lines {
        assert!(line.ends_with('\n') && !line.trim_end().contains('\n'), "{line}");
        let value: Value = serde_json::from_str(line).unwrap();
        check(&schema, &value, "event").unwrap_or_else(|fault| panic!("{line}{fault}"));
    }
    let said = |name: &str| lines.iter().any(|line| line.starts_with(&format!("{{\"event\":\"{name}\"")));
    for event in schema["oneOf"].as_array().unwrap() {
        // Made by commands from what the library gives them.
        let elsewhere = ["agreed", "verified", "revoked", "identity", "relay", "record"];
        let name = event["title"].as_str().unwrap();
        assert!(said(name) || elsewhere.contains(&name), "no sample of {name}");
    }
}

#[test]
fn the_validator_refuses_what_does_not_fit() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for wrong in [
        r#"{"event":"unknown"}"#,
        r#"{"event":"resumed","bytes":1}"#,
        r#"{"event":"resumed","bytes":-1,"files":1}"#,
        r#"{"event":"resumed","bytes":"1","files":1}"#,
        r#"{"event":"resumed","bytes":1,"files":1,"more":1}"#,
        r#"{"event":"claimed","accepted":true,"key":"SHA256:short","time":"2026-12-06T18:02:00Z"}"#,
        r#"{"event":"claimed","accepted":true,"key":"SHA256:xqC22gVeMJaTgauqkq+afh79H60yYGH4XMQDkUahQk0","time":"now"}"#,
        r#"{"event":"stalled","attempt":0,"cause":"lost"}"#,
        r#"{"event":"error","code":"Bad Code","message":"m","hint":"h","exit":1}"#,
    ] {
        assert!(check(&schema, &serde_json::from_str(wrong).unwrap(), "event").is_err(), "{wrong}");
    }
}

/// What a run with every event writes, and every other object.
fn emitted() -> Vec<String> {
    let out = Captured::default();
    let style = Style::plain(Language::English);
    let screen = Screen::captured(style.clone(), Mode::Json, Box::new(out.clone()), Box::new(std::io::sink()));
    let report = Report::new(Arc::new(screen), Asked::default());
    report.object(started("push", AT));
    for event in events() {
        report.event(event);
    }
    report.object(status::object(&crate::cli::golden::facts(Role::Seller), status::Freshness::Asked));
    report.object(status::object(&crate::cli::golden::facts(Role::Buyer), status::Freshness::NotReached));
    let other = Acquaintance::OtherKey { known: KEY.into(), since: AT };
    for known in [Acquaintance::New, Acquaintance::Known { since: AT, transfers: 2 }, other] {
        report.object(crate::cli::keys::party("seller", KEY, &known));
    }
    report.object(crate::cli::certificates::item_object(&crate::cli::golden::item()));
    for certificate in crate::cli::golden::certificates() {
        report.object(crate::cli::certificates::object(&certificate));
    }
    for found in crate::cli::golden::verifications() {
        report.object(crate::cli::commands::verify::verification(&found, 3));
    }
    for difference in crate::cli::golden::differences() {
        report.object(crate::cli::commands::verify::object(&difference));
    }
    report.object(crate::cli::commands::audit::object(&crate::audit::sample()).with("id", 7));
    report.object(error(&problem::of(&Error::NothingToSend, None, &style)));
    for fact in crate::cli::diagnosis::tests::samples() {
        report.object(crate::cli::diagnosis::told(&style, &fact).object());
    }
    report.object(crate::cli::diagnosis::terminal(&style, Some(80), None).object());
    report.object(crate::cli::diagnosis::not_done(&style).object());
    report.object(done("push", Exit::Done.number()).with("id", 7));
    out.text().split_inclusive('\n').map(str::to_owned).collect()
}

fn events() -> Vec<Event> {
    let name = || Private::new("客户\u{202e}.csv".to_owned());
    let mut events = vec![
        Event::Stage(Stage::Scanning),
        Event::Scanning { files: 1, bytes: 2 },
        Event::Scanned(Scanned { files: 3, bytes: None, biggest: vec![(name(), 1, 1)], ..Scanned::default() }),
        Event::RelayReached {
            address: "relay.example".into(),
            fingerprint: KEY.into(),
            embedded: false,
            transport: Transport::Quic,
        },
        Event::CodeReady {
            id: 7,
            ticket: Ticket {
                code: Code::of_secret(Secret::new(zeroize::Zeroizing::new([0; 20]))),
                relay: Some("relay.example".parse().unwrap()),
            },
            expires: AT,
            continued: false,
            spent: false,
        },
        Event::Progress(Progress { bytes_done: 1, bytes_total: Some(2), current: Some(name()), ..Progress::default() }),
        Event::Moving,
        Event::Resumed { bytes: 1, files: 1 },
        Event::ReadAgain { path: Private::new(b"a".to_vec()), attempt: 2 },
        Event::Safe { id: 7, bytes: 1, wire_bytes: 2 },
        Event::Claimed { buyer_fingerprint: KEY.into(), time: AT },
        Event::ClaimRefused { by: KEY.into(), time: AT },
        Event::Receipt(crate::cli::golden::receipt_facts()),
        Event::Deleted(crate::cli::golden::deletion_facts()),
        Event::Placed { files: 1 },
        Event::Document { name: name(), bytes: 1, digest: "00".repeat(32) },
        Event::Signed(crate::cli::golden::agreement_facts()),
        Event::RefusedAgreement(crate::cli::golden::refusal_facts()),
    ];
    let stages = [
        Stage::Connecting,
        Stage::Sending,
        Stage::Finishing,
        Stage::Waiting,
        Stage::Receiving,
        Stage::Placing,
        Stage::Signing,
        Stage::Checking,
        Stage::Destroying,
    ];
    events.extend(stages.map(Event::Stage));
    let causes = [StallCause::Unreachable, StallCause::Lost, StallCause::Busy, StallCause::Silent];
    events.extend(causes.map(|cause| Event::Stalled { attempt: 1, cause }));
    events.extend(
        crate::cli::golden::EXCEPTION_REASONS
            .map(|reason| Event::Exception { path: Private::new(b"a\x1b".to_vec()), reason }),
    );
    events
}

/// Checks a value against the keywords the schema uses; any other keyword fails the test.
fn check(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    for (keyword, wanted) in schema.as_object().unwrap() {
        let fits = match keyword.as_str() {
            "$schema" | "title" | "description" => true,
            "oneOf" => {
                let options = wanted.as_array().unwrap();
                let fitting = options.iter().filter(|option| check(option, value, place).is_ok()).count();
                if fitting != 1 {
                    let name = value.get("event").unwrap_or(&Value::Null);
                    let why = options.iter().filter(|option| option["properties"]["event"]["const"] == *name);
                    let faults: Vec<_> = why.filter_map(|option| check(option, value, place).err()).collect();
                    return Err(format!("{fitting} of the options fit: {faults:?}"));
                }
                true
            }
            "type" => match wanted {
                Value::String(name) => is_type(name, value),
                names => names.as_array().unwrap().iter().any(|name| is_type(name.as_str().unwrap(), value)),
            },
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_i64().is_none_or(|number| number >= wanted.as_i64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= wanted.as_u64().unwrap()),
            "format" => value.as_str().is_none_or(|text| time::parse(text).is_some()),
            "pattern" => value.as_str().is_none_or(|text| fits_pattern(wanted.as_str().unwrap(), text)),
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| check(wanted, item, place)).is_ok(),
            "required" => wanted.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => {
                for (name, inner) in wanted.as_object().unwrap() {
                    if let Some(found) = value.get(name) {
                        check(inner, found, name)?;
                    }
                }
                true
            }
            "additionalProperties" => {
                value.as_object().unwrap().keys().all(|name| schema["properties"].get(name).is_some())
            }
            other => panic!("the validator does not know {other}"),
        };
        if !fits {
            return Err(format!("{place}: {value} does not fit {keyword} {wanted}"));
        }
    }
    Ok(())
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the validator does not know the type {other}"),
    }
}

fn fits_pattern(pattern: &str, text: &str) -> bool {
    let is_base64 = |char: char| char.is_ascii_alphanumeric() || char == '+' || char == '/';
    match pattern {
        "^SHA256:[A-Za-z0-9+/]{43}$" => {
            text.strip_prefix("SHA256:").is_some_and(|rest| rest.len() == 43 && rest.chars().all(is_base64))
        }
        "^[0-9a-f]+$" => !text.is_empty() && text.chars().all(|char| matches!(char, '0'..='9' | 'a'..='f')),
        "^[a-z]+(-[a-z]+)*$" => {
            text.split('-').all(|word| !word.is_empty() && word.chars().all(|char| char.is_ascii_lowercase()))
        }
        other => panic!("the validator does not know the pattern {other}"),
    }
}
