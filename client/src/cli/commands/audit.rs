//! `handover audit show`, `verify`, `export`.

use std::path::{Path, PathBuf};

use handover_shared::proof::log::LogFault;
use handover_shared::proof::{DeletionText, LogEntry, event_word};
use serde_json::{Value, json};

use super::super::args::AuditCommand;
use super::super::json::{self, Json};
use super::super::problem::{Exit, Problem, shown_path};
use super::super::screen::Mode;
use super::super::show::{self, row};
use super::super::style::{Style, Tone, padded};
use super::super::time::moment;
use super::super::units::size;
use super::super::{Context, Failure};
use crate::audit::{self, Audit, Check, exported};
use crate::error::Error;
use crate::home::Home;
use crate::private::escaped;
use crate::t;

pub(super) fn run(command: AuditCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        AuditCommand::Show { id } => show_one(id, context),
        AuditCommand::Verify { what, other } => verify(&what, other.as_deref(), context),
        AuditCommand::Export { id, folder } => export(id, &folder, context),
    }
}

fn show_one(id: u64, context: &Context) -> Result<Exit, Failure> {
    let audit = audit::of(&context.home()?, id)?.ok_or(Error::NoLog { id })?;
    if context.screen.mode == Mode::Json {
        context.report.object(object(&audit).with("id", id));
    } else {
        super::print(&text(context.style(), &audit), context)?;
    }
    judge(&audit)?;
    context.report.object(json::done("audit", Exit::Done.number()).with("id", id));
    Ok(Exit::Done)
}

/// What there is to say of the log beside a transfer's state: that the deletion is signed, or that it does not hold.
pub(super) fn tell(home: &Home, id: u64, context: &Context) -> Result<(), Failure> {
    let Some(audit) = audit::of(home, id)? else { return Ok(()) };
    let style = context.style();
    match &audit.check {
        Check::Holds if audit.deletion.is_some() => {
            super::print(&show::good(style, &t!(style.words, "deletion-signed")), context)?;
        }
        Check::Holds => {}
        Check::Forked(fault) | Check::Broken(fault) => {
            let problem = problem(fault, style);
            super::print(&format!("  {}\n", style.tone(Tone::Bad, &problem.message)), context)?;
        }
    }
    Ok(())
}

/// The log of a transfer of this machine, or of a folder that anybody exported.
fn open(what: &Path, context: &Context) -> Result<Audit, Failure> {
    match what.to_str().and_then(|text| text.parse::<u64>().ok()).filter(|_| !what.exists()) {
        Some(id) => Ok(audit::of(&context.home()?, id)?.ok_or(Error::NoLog { id })?),
        None => Ok(exported::read(what)?),
    }
}

fn verify(what: &Path, other: Option<&Path>, context: &Context) -> Result<Exit, Failure> {
    let style = context.style();
    let words = &style.words;
    let first = open(what, context)?;
    let all: Vec<Audit> = match other {
        None => vec![first],
        Some(other) => vec![first, open(other, context)?],
    };
    for audit in &all {
        if context.screen.mode == Mode::Json {
            context.report.object(object(audit));
        } else {
            super::print(&text(style, audit), context)?;
        }
        judge(audit)?;
    }
    let mut out = show::good(style, &t!(words, "audit-holds"));
    if let [one, another] = all.as_slice() {
        one.compare(another).map_err(|fault| Error::Log { fault })?;
        out.push_str(&show::good(style, &t!(words, "audit-same")));
    }
    context.screen.say(&out);
    context.screen.say(&format!("  {}\n", t!(words, "audit-note")));
    context.report.object(json::done("audit", Exit::Done.number()));
    Ok(Exit::Done)
}

/// What does not hold is an error.
fn judge(audit: &Audit) -> Result<(), Failure> {
    match &audit.check {
        Check::Holds => Ok(()),
        Check::Forked(fault) | Check::Broken(fault) => Err(Error::Log { fault: fault.clone() }.into()),
    }
}

fn export(id: u64, folder: &Path, context: &Context) -> Result<Exit, Failure> {
    let files: Vec<PathBuf> = exported::write(&context.home()?, id, folder)?;
    let style = context.style();
    let words = &style.words;
    let mut text = show::good(style, &t!(words, "audit-exported", folder = shown_path(folder)));
    text.push_str(&format!("  {}\n", t!(words, "audit-check-elsewhere")));
    let namespace = handover_shared::proof::Kind::LogHead.namespace();
    text.push_str(&format!(
        "    cd {}\n    ssh-keygen -Y verify -f relay_signers -I {} -n {namespace} -s log-head.json.sig < log-head.json\n",
        shown_path(folder),
        exported::PRINCIPAL,
    ));
    context.screen.say(&text);
    let paths: Vec<Value> = files.iter().map(|file| shown_path(file).into()).collect();
    context.report.object(json::done("audit", Exit::Done.number()).with("id", id).with("written", paths));
    Ok(Exit::Done)
}

fn text(style: &Style, audit: &Audit) -> String {
    let words = &style.words;
    let mut out = String::new();
    let mut line = |label: String, value: String| out.push_str(&row(style, &label, &value));
    line(t!(words, "label-relay"), audit.relay.clone());
    line(t!(words, "label-number"), audit.transfer.clone());
    let head = t!(words, "audit-head", size = audit.head.size, when = moment(style, audit.head.time.millis()));
    line(t!(words, "label-log"), head);
    out.push_str(&format!("\n  {}\n", t!(words, "audit-entries")));
    for entry in &audit.entries {
        out.push_str(&entry_line(style, entry));
    }
    if let Some(reason) = &audit.reason {
        let reason = t!(words, "audit-reason", reason = escaped(reason.reveal().as_bytes()));
        out.push_str(&format!("  {}\n", style.tone(Tone::Notable, &reason)));
    }
    match &audit.deletion {
        Some(deletion) => {
            let said = deletion_text(style, deletion);
            out.push_str(&format!("\n{}", show::good(style, &said)));
        }
        None => out.push_str(&format!("\n  {}\n", t!(words, "audit-no-deletion"))),
    }
    out
}

fn deletion_text(style: &Style, deletion: &DeletionText) -> String {
    t!(
        style.words,
        "audit-deletion",
        blocks = deletion.blocks,
        size = size(deletion.bytes),
        share = moment(style, deletion.share_erased.millis()),
        when = moment(style, deletion.blocks_deleted.millis())
    )
}

fn entry_line(style: &Style, entry: &LogEntry) -> String {
    let what = event_text(style, entry);
    let by = entry.by.map_or_else(String::new, |by| format!("  {}", style.tone(Tone::Dim, &by.to_string())));
    let number = format!("{:>7}", entry.number);
    format!("  {}  {}  {}{by}\n", style.tone(Tone::Dim, &number), moment(style, entry.time), padded(&what, 24))
}

fn event_text(style: &Style, entry: &LogEntry) -> String {
    let key = format!("log-{}", event_word(entry.event));
    style.words.say(&key, &[])
}

pub(in crate::cli) fn object(audit: &Audit) -> Json {
    let entries: Vec<Value> = audit
        .entries
        .iter()
        .map(|entry| {
            json!({
                "entry": entry.number,
                "sequence": entry.sequence,
                "what": event_word(entry.event),
                "time": handover_shared::proof::time::to_text(entry.time),
                "by": entry.by.map(|by| by.to_string()),
                "body": entry.body.map(|body| body.to_hex()),
                "leaf": entry.leaf().to_hex(),
            })
        })
        .collect();
    let deletion = audit.deletion.as_ref();
    Json::event("audit")
        .with("transfer", audit.transfer.clone())
        .with("relay_key", audit.relay.clone())
        .with("size", audit.head.size)
        .with("root", audit.head.root.to_hex())
        .at("time", Some(audit.head.time.millis()))
        .with("entries", entries)
        .with("deletion", deletion.map(|it| it.to_text()))
        .at("deleted", deletion.map(|it| it.blocks_deleted.millis()))
        .with("reason", audit.reason.as_ref().map(|reason| escaped(reason.reveal().as_bytes())))
        .with(
            "check",
            match audit.check {
                Check::Holds => "holds",
                Check::Forked(_) => "forked",
                Check::Broken(_) => "broken",
            },
        )
}

/// What a log that does not hold means to a person.
pub(in crate::cli) fn problem(fault: &LogFault, style: &Style) -> Problem {
    let words = &style.words;
    let what = match fault {
        LogFault::Proof(_) => t!(words, "log-fault-proof"),
        LogFault::Shorter { held, seen } => t!(words, "log-fault-shorter", held = *held, seen = *seen),
        LogFault::Forked { size } => t!(words, "log-fault-forked", size = *size),
        LogFault::NotExtending { held, seen } => t!(words, "log-fault-not-extending", held = *held, seen = *seen),
        LogFault::Older => t!(words, "log-fault-older"),
        LogFault::TwoHeads => t!(words, "log-fault-two-heads"),
        LogFault::NotIncluded { sequence } => t!(words, "log-fault-not-included", entry = *sequence),
        LogFault::Order { sequence } => t!(words, "log-fault-order", entry = *sequence),
        LogFault::Rewritten { sequence } => t!(words, "log-fault-rewritten", entry = *sequence),
        LogFault::Missing { sequence } => t!(words, "log-fault-missing", entry = *sequence),
        LogFault::Contradicts(what) => t!(words, "log-fault-contradicts", what = (*what).to_owned()),
        LogFault::Deletion(line) => t!(words, "log-fault-deletion", line = (*line).to_owned()),
    };
    match fault.is_fork() {
        true => Problem::new(
            "log-forked",
            Exit::Altered,
            t!(words, "problem-log-forked", what = what),
            t!(words, "hint-log-forked"),
        ),
        false => {
            Problem::new("log-invalid", Exit::Altered, t!(words, "problem-log", what = what), t!(words, "hint-log"))
        }
    }
}
