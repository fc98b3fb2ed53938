//! What programs read: one JSON object a line on standard output. `../events.schema.json` is the promise.

#[cfg(test)]
mod tests;

use handover_shared::ids::Millis;
use serde_json::Value;

use super::problem::Problem;
use super::progress::View;
use super::time::rfc3339;
use crate::event::{AgreementFacts, Event, ExceptionReason, ReceiptFacts, RefusalFacts, Scanned, Stage, StallCause};
use crate::private::escaped;

/// One object, its fields in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Json(Vec<(&'static str, Value)>);

impl Json {
    /// Begins an object of an event.
    pub(crate) fn event(name: &'static str) -> Self {
        Self(vec![("event", name.into())])
    }

    /// Adds a field.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds a moment, or null.
    #[must_use]
    pub(crate) fn at(self, name: &'static str, at: Option<Millis>) -> Self {
        self.with(name, at.map(rfc3339))
    }

    /// The line, with its end.
    pub(crate) fn line(&self) -> String {
        let fields: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name))).collect();
        format!("{{{}}}\n", fields.join(","))
    }
}

/// A run begins.
pub(crate) fn started(command: &str, at: Millis) -> Json {
    Json::event("started").with("command", command).with("version", env!("CARGO_PKG_VERSION")).at("time", Some(at))
}

/// A run ended well, or with listed exceptions. Details come with the command.
pub(crate) fn done(command: &str, exit: u8) -> Json {
    Json::event("done").with("command", command).with("exit", exit)
}

/// A run ended for a reason.
pub(crate) fn error(problem: &Problem) -> Json {
    Json::event("error")
        .with("code", problem.code)
        .with("message", problem.message.clone())
        .with("hint", problem.hint.clone())
        .with("exit", problem.exit.number())
}

/// The object of an event of the library; `None` for what programs are not told.
pub(crate) fn of_event(event: &Event) -> Option<Json> {
    Some(match event {
        Event::Scanned(found) => scanned(found),
        Event::CodeReady { id, ticket, expires, continued, spent } => Json::event("code")
            .with("id", *id)
            .with("code", ticket.to_text().as_str())
            .with("relay", ticket.relay.as_ref().map(ToString::to_string))
            .at("expires", Some(*expires))
            .with("continued", *continued)
            .with("spent", *spent),
        Event::Stalled { attempt, cause } => {
            Json::event("stalled").with("attempt", *attempt).with("cause", cause_word(*cause))
        }
        Event::Resumed { bytes, files } => Json::event("resumed").with("bytes", *bytes).with("files", *files),
        Event::Exception { path, reason } => {
            Json::event("exception").with("path", escaped(path.reveal())).with("reason", reason_word(*reason))
        }
        Event::Safe { id, bytes, wire_bytes } => Json::event("progress")
            .with("phase", "safe")
            .with("id", *id)
            .with("bytes_done", *bytes)
            .with("wire_bytes", *wire_bytes),
        Event::Claimed { buyer_fingerprint, time } => {
            Json::event("claimed").with("accepted", true).with("key", buyer_fingerprint.clone()).at("time", Some(*time))
        }
        Event::ClaimRefused { by, time } => {
            Json::event("claimed").with("accepted", false).with("key", by.clone()).at("time", Some(*time))
        }
        Event::Document { name, bytes, digest } => Json::event("document")
            .with("name", escaped(name.reveal().as_bytes()))
            .with("bytes", *bytes)
            .with("sha256", digest.clone()),
        Event::Signed(facts) => signed(facts),
        Event::RefusedAgreement(facts) => refused(facts),
        Event::Receipt(facts) => receipt(facts),
        Event::Deleted(facts) => Json::event("deleted")
            .with("id", facts.id)
            .with("relay_key", facts.relay.clone())
            .with("blocks", facts.blocks)
            .with("bytes", facts.bytes)
            .with("reason", facts.reason)
            .at("share_erased", Some(facts.share_erased))
            .at("blocks_deleted", Some(facts.blocks_deleted))
            .with("entries", facts.entries),
        Event::Stage(_)
        | Event::Scanning { .. }
        | Event::RelayReached { .. }
        | Event::Progress(_)
        | Event::Moving
        | Event::ReadAgain { .. }
        | Event::Placed { .. } => return None,
    })
}

fn scanned(found: &Scanned) -> Json {
    let biggest: Vec<Value> =
        found.biggest.iter().map(|(name, bytes, files)| big(name.reveal(), *bytes, *files)).collect();
    Json::event("scanned")
        .with("files", found.files)
        .with("folders", found.folders)
        .with("links", found.links)
        .with("bytes", found.bytes)
        .with("hidden", found.hidden)
        .with("executable", found.executable)
        .with("biggest", biggest)
        .with("excluded", found.excluded)
        .with("exceptions", found.exceptions)
}

/// One of the biggest entries.
pub(crate) fn big(name: &str, bytes: u64, files: u64) -> Value {
    serde_json::json!({"name": escaped(name.as_bytes()), "bytes": bytes, "files": files})
}

/// A signed agreement.
pub(crate) fn signed(facts: &AgreementFacts) -> Json {
    Json::event("signed")
        .with("id", facts.id)
        .with("name", escaped(facts.name.reveal().as_bytes()))
        .with("organisation", facts.organisation.as_ref().map(|name| escaped(name.reveal().as_bytes())))
        .with("document", escaped(facts.document.reveal().as_bytes()))
        .with("agreement", facts.agreement.clone())
        .with("buyer_key", facts.buyer_fingerprint.clone())
        .at("time", Some(facts.time))
}

/// A refused agreement.
pub(crate) fn refused(facts: &RefusalFacts) -> Json {
    Json::event("refused")
        .with("id", facts.id)
        .with("buyer_name", escaped(facts.buyer_name.reveal().as_bytes()))
        .with("organisation", facts.organisation.as_ref().map(|name| escaped(name.reveal().as_bytes())))
        .with("reason", facts.reason.as_ref().map(|reason| escaped(reason.reveal().as_bytes())))
        .with("agreement", facts.agreement.clone())
        .with("buyer_key", facts.buyer_fingerprint.clone())
        .at("time", Some(facts.time))
}

/// A receipt.
pub(crate) fn receipt(facts: &ReceiptFacts) -> Json {
    Json::event("receipt")
        .with("id", facts.id)
        .with("receipt", facts.short.clone())
        .with("buyer_name", escaped(facts.buyer_name.reveal().as_bytes()))
        .with("organisation", facts.organisation.as_ref().map(|name| escaped(name.reveal().as_bytes())))
        .with("buyer_key", facts.buyer_fingerprint.clone())
        .at("received", Some(facts.received))
        .with("files", facts.files)
        .with("bytes", facts.bytes)
        .at("deleted", facts.deleted)
}

/// How far a run is; `None` before its first stage.
pub(crate) fn progress(view: &View) -> Option<Json> {
    let stage = view.stage?;
    let progress = &view.progress;
    let (files_done, bytes_done) = match stage {
        Stage::Scanning => view.scanning,
        _ => (progress.files_done, progress.bytes_done),
    };
    Some(
        Json::event("progress")
            .with("phase", stage_word(stage))
            .with("bytes_done", bytes_done)
            .with("bytes_total", progress.bytes_total)
            .with("files_done", files_done)
            .with("files_total", progress.files_total)
            .with("wire_bytes", progress.wire_bytes)
            .with("transport", view.transport.map(|transport| transport.to_string()))
            .with("bytes_per_second", view.speed.map(|speed| speed as u64))
            .with("bytes_per_second_max", view.limit)
            .with("eta_seconds", view.eta_seconds),
    )
}

fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Scanning => "scanning",
        Stage::Connecting => "connecting",
        Stage::Sending => "sending",
        Stage::Finishing => "finishing",
        Stage::Waiting => "waiting",
        Stage::Receiving => "receiving",
        Stage::Placing => "placing",
        Stage::Signing => "signing",
        Stage::Checking => "checking",
        Stage::Destroying => "destroying",
    }
}

fn cause_word(cause: StallCause) -> &'static str {
    match cause {
        StallCause::Unreachable => "unreachable",
        StallCause::Lost => "lost",
        StallCause::Busy => "busy",
        StallCause::Silent => "silent",
    }
}

fn reason_word(reason: ExceptionReason) -> &'static str {
    match reason {
        ExceptionReason::Unreadable => "unreadable",
        ExceptionReason::Vanished => "vanished",
        ExceptionReason::KeptChanging => "kept-changing",
        ExceptionReason::Special => "special",
        ExceptionReason::LinkLeaves => "link-leaves",
        ExceptionReason::ReadError => "read-error",
        ExceptionReason::NameTooLong => "name-too-long",
        ExceptionReason::NameMapped => "name-mapped",
        ExceptionReason::ModeNotSet => "mode-not-set",
        ExceptionReason::TimeNotSet => "time-not-set",
        ExceptionReason::KeptExisting => "kept-existing",
    }
}
