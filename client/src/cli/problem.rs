//! Why a run ended, for the person: what happened, on what, why, and what to do next; and the exit code that says the
//! same to a script. The only place that makes a sentence of an [`Error`].

use std::io;
use std::path::Path;

use handover_shared::ids::Millis;
use handover_shared::keys::code::CodeError;

use super::style::Style;
use super::time::moment;
use super::units::size;
use crate::error::Error;
use crate::home::transfers::Role;
use crate::link::proxy::{BadProxy, ProxyFault};
use crate::private::escaped;
use crate::t;

/// The exit codes, a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    AnswerNeeded = 3,
    Exceptions = 4,
    Network = 5,
    RelayRefused = 6,
    Code = 7,
    Altered = 8,
    Disk = 9,
    NoSuchTransfer = 10,
    Held = 11,
    OtherRefused = 12,
    Interrupted = 130,
}

impl Exit {
    /// The number the shell sees.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }
}

/// Why a run ended, in the person's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// A stable word for scripts.
    pub(crate) code: &'static str,
    pub(crate) exit: Exit,
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: String,
}

impl Problem {
    pub(crate) fn new(code: &'static str, exit: Exit, message: String, hint: String) -> Self {
        Self { code, exit, message, hint }
    }
}

/// A path or name for a message.
pub(crate) fn shown_path(path: &Path) -> String {
    escaped(path.as_os_str().as_encoded_bytes())
}

/// Makes a problem of an error. `side` is which side of a transfer was being worked on, if any.
pub(crate) fn of(error: &Error, side: Option<Role>, style: &Style) -> Problem {
    match error {
        Error::Code(fault) => of_code(*fault, style),
        Error::Refused { fault, number, time } => super::refusal::of(*fault, *number, *time, side, style),
        Error::SourceMissing { .. }
        | Error::SourceUnreadable { .. }
        | Error::SameName { .. }
        | Error::BadPattern { .. }
        | Error::NothingToSend
        | Error::BadDocument { .. }
        | Error::BadName { .. }
        | Error::StdinNotResumable => of_source(error, style),
        Error::NoRelay
        | Error::Unreachable { .. }
        | Error::Proxy { .. }
        | Error::Version { .. }
        | Error::RelayKey { .. }
        | Error::Lost { .. }
        | Error::RelayMisbehaved(_) => of_relay(error, side, style),
        Error::Altered { .. }
        | Error::BadClaim
        | Error::BadReceipt(_)
        | Error::Log { .. }
        | Error::NoLog { .. }
        | Error::BadRecord { .. }
        | Error::RecordForm { .. }
        | Error::BadAgreement(_)
        | Error::BadCertificate(_)
        | Error::Disk { .. }
        | Error::Space { .. }
        | Error::Conflicts { .. }
        | Error::NotOneFile
        | Error::CannotTakeBack
        | Error::State { .. }
        | Error::JournalBehind { .. }
        | Error::Internal(_) => of_local(error, style),
        Error::Signing(_) | Error::BadKey(_) | Error::OtherSeller { .. } | Error::OtherBuyer { .. } => {
            super::keys::problem(error, style)
        }
        Error::NoSuchTransfer { .. }
        | Error::NotWhole { .. }
        | Error::NoFolder { .. }
        | Error::NotOurs { .. }
        | Error::StillOpen { .. }
        | Error::NoPlan { .. }
        | Error::NoReceipt { .. }
        | Error::Held { .. }
        | Error::AnswerNeeded { .. }
        | Error::Declined
        | Error::EndedByOther
        | Error::Interrupted => of_run(error, style),
    }
}

fn of_code(fault: CodeError, style: &Style) -> Problem {
    let words = &style.words;
    let again = t!(words, "hint-code-again");
    let (code, message, hint) = match fault {
        CodeError::Empty => ("code-missing", t!(words, "problem-code-empty"), t!(words, "hint-code-give")),
        CodeError::NotACode => ("code-wrong", t!(words, "problem-code-not"), t!(words, "hint-code-form")),
        CodeError::Typo { position: Some(at) } => {
            ("code-mistyped", t!(words, "problem-code-typo-at", position = at), again)
        }
        CodeError::Typo { position: None } => ("code-mistyped", t!(words, "problem-code-typo"), again),
        CodeError::UnknownWord { position } => {
            ("code-mistyped", t!(words, "problem-code-word", position = position), again)
        }
        CodeError::WrongLength { seen, wanted } => {
            ("code-mistyped", t!(words, "problem-code-length", seen = seen, wanted = wanted), again)
        }
        CodeError::BadAddress => ("code-mistyped", t!(words, "problem-code-address"), t!(words, "hint-code-form")),
    };
    Problem::new(code, Exit::Code, message, hint)
}

fn of_source(error: &Error, style: &Style) -> Problem {
    let words = &style.words;
    let (code, exit, message, hint) = match error {
        Error::SourceMissing { path } => (
            "source-missing",
            Exit::Usage,
            t!(words, "problem-source-missing", path = shown_path(path.reveal())),
            t!(words, "hint-source-missing"),
        ),
        Error::SourceUnreadable { path, source } => (
            "source-unreadable",
            Exit::Disk,
            t!(words, "problem-source-unreadable", path = shown_path(path.reveal()), reason = reason(source, style)),
            t!(words, "hint-source-unreadable"),
        ),
        Error::SameName { first, second } => (
            "same-name",
            Exit::Usage,
            t!(words, "problem-same-name", first = shown_path(first.reveal()), second = shown_path(second.reveal())),
            t!(words, "hint-same-name"),
        ),
        Error::BadPattern { pattern } => (
            "bad-pattern",
            Exit::Usage,
            t!(words, "problem-bad-pattern", pattern = escaped(pattern.reveal().as_bytes())),
            t!(words, "hint-bad-pattern"),
        ),
        Error::BadDocument { path, bytes, limit } => (
            "bad-document",
            Exit::Usage,
            t!(
                words,
                "problem-bad-document",
                path = shown_path(path.reveal()),
                bytes = bytes.to_string(),
                limit = limit.to_string()
            ),
            t!(words, "hint-bad-document"),
        ),
        Error::BadName { limit } => {
            ("bad-name", Exit::Usage, t!(words, "problem-bad-name", limit = *limit), t!(words, "hint-bad-name"))
        }
        Error::NothingToSend => {
            ("nothing-to-send", Exit::Usage, t!(words, "problem-nothing-to-send"), t!(words, "hint-nothing-to-send"))
        }
        _ => ("stdin-not-resumable", Exit::Failed, t!(words, "problem-stdin"), t!(words, "hint-stdin")),
    };
    Problem::new(code, exit, message, hint)
}

fn of_relay(error: &Error, side: Option<Role>, style: &Style) -> Problem {
    let words = &style.words;
    let (code, exit, message, hint) = match error {
        Error::NoRelay if side == Some(Role::Seller) => {
            ("not-enrolled", Exit::Usage, t!(words, "problem-no-relay-seller"), t!(words, "hint-not-enrolled"))
        }
        Error::NoRelay => ("no-relay", Exit::Usage, t!(words, "problem-no-relay"), t!(words, "hint-no-relay")),
        Error::Unreachable { address, source } => (
            "relay-unreachable",
            Exit::Network,
            t!(words, "problem-unreachable", relay = address.clone(), reason = reason(source, style)),
            t!(words, "hint-unreachable"),
        ),
        Error::Proxy { proxy, relay, fault } => of_proxy(proxy, relay, fault, style),
        // Nothing failed here and trying again changes nothing: the relay does not serve this version.
        Error::Version { address } => (
            "relay-version",
            Exit::RelayRefused,
            t!(words, "problem-version", relay = address.clone(), own = env!("CARGO_PKG_VERSION")),
            t!(words, "hint-version"),
        ),
        Error::RelayKey { address, expected, seen } => {
            let message = if seen == "?" {
                t!(words, "problem-relay-key", relay = address.clone(), expected = expected.clone())
            } else {
                t!(
                    words,
                    "problem-relay-key-seen",
                    relay = address.clone(),
                    expected = expected.clone(),
                    seen = seen.clone()
                )
            };
            ("relay-key", Exit::Altered, message, t!(words, "hint-relay-key"))
        }
        Error::Lost { address, cause } => (
            "connection-lost",
            Exit::Network,
            t!(words, "problem-lost", relay = address.clone(), cause = escaped(cause.as_bytes())),
            t!(words, "hint-lost"),
        ),
        _ => (
            "relay-misbehaved",
            Exit::Failed,
            t!(words, "problem-misbehaved", detail = detail(error, style)),
            t!(words, "hint-misbehaved"),
        ),
    };
    Problem::new(code, exit, message, hint)
}

fn of_proxy(proxy: &str, relay: &str, fault: &ProxyFault, style: &Style) -> (&'static str, Exit, String, String) {
    let words = &style.words;
    let why = match fault {
        ProxyFault::Variable { variable, fault } => {
            let message = match fault {
                BadProxy::NotUnderstood => t!(words, "problem-proxy-variable", variable = *variable),
                BadProxy::Unsupported => t!(words, "problem-proxy-kind", variable = *variable),
            };
            return ("proxy", Exit::Usage, message, t!(words, "expects-proxy"));
        }
        ProxyFault::Unreachable(source) => reason(source, style),
        ProxyFault::Credentials => t!(words, "proxy-credentials"),
        ProxyFault::Status(status) => t!(words, "proxy-status", status = status.to_string()),
        ProxyFault::Reply(reply) => t!(words, "proxy-reply", reply = reply.to_string()),
        ProxyFault::Garbled => t!(words, "proxy-garbled"),
    };
    let hint = match fault {
        ProxyFault::Credentials => t!(words, "hint-proxy-credentials"),
        _ => t!(words, "hint-proxy"),
    };
    let message = t!(words, "problem-proxy", proxy = proxy.to_owned(), relay = relay.to_owned(), reason = why);
    ("proxy", Exit::Network, message, hint)
}

fn of_local(error: &Error, style: &Style) -> Problem {
    let words = &style.words;
    let (code, exit, message, hint) = match error {
        Error::Altered { block, .. } => {
            let detail = detail(error, style);
            let message = match block {
                Some(block) => t!(words, "problem-altered-block", block = *block, detail = detail),
                None => t!(words, "problem-altered", detail = detail),
            };
            ("altered", Exit::Altered, message, t!(words, "hint-altered"))
        }
        Error::BadClaim => {
            ("claim-invalid", Exit::Altered, t!(words, "problem-bad-claim"), t!(words, "hint-bad-claim"))
        }
        Error::Log { fault } => return super::commands::audit::problem(fault, style),
        Error::NoLog { id } => {
            let hint = t!(words, "hint-no-log", id = id.to_string());
            ("no-log", Exit::Failed, t!(words, "problem-no-log", id = id.to_string()), hint)
        }
        Error::BadReceipt(_) => (
            "receipt-invalid",
            Exit::Altered,
            t!(words, "problem-bad-receipt", detail = detail(error, style)),
            t!(words, "hint-bad-receipt"),
        ),
        Error::BadRecord { line, .. } => {
            let detail = detail(error, style);
            let message = match line {
                Some(line) => t!(words, "problem-bad-record-line", line = line.to_string(), detail = detail),
                None => t!(words, "problem-bad-record", detail = detail),
            };
            ("record-altered", Exit::Altered, message, t!(words, "hint-bad-record"))
        }
        Error::RecordForm { seen, own } => (
            "record-form",
            Exit::Failed,
            t!(words, "problem-record-form", seen = seen.to_string(), own = own.to_string()),
            t!(words, "hint-record-form"),
        ),
        Error::BadAgreement(_) => (
            "agreement-invalid",
            Exit::Altered,
            t!(words, "problem-bad-agreement", detail = detail(error, style)),
            t!(words, "hint-bad-agreement"),
        ),
        Error::BadCertificate(_) => (
            "certificate-invalid",
            Exit::Altered,
            t!(words, "problem-bad-certificate", detail = detail(error, style)),
            t!(words, "hint-bad-certificate"),
        ),
        Error::Disk { path, source, .. } => {
            let full = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            let (code, hint) = match full {
                true => ("disk-full", t!(words, "hint-disk-full")),
                false => ("disk", t!(words, "hint-disk")),
            };
            let path = shown_path(path.reveal());
            let message =
                t!(words, "problem-disk", path = path, reason = reason(source, style), doing = detail(error, style));
            (code, Exit::Disk, message, hint)
        }
        Error::Space { path, needed, free } => (
            "no-space",
            Exit::Disk,
            t!(words, "problem-space", path = shown_path(path.reveal()), needed = size(*needed), free = size(*free)),
            t!(words, "hint-space"),
        ),
        Error::Conflicts { count, first } => (
            "conflicts",
            Exit::AnswerNeeded,
            t!(words, "problem-conflicts", count = *count, first = shown_path(first.reveal())),
            t!(words, "hint-conflicts"),
        ),
        Error::NotOneFile => {
            ("not-one-file", Exit::Usage, t!(words, "problem-not-one-file"), t!(words, "hint-not-one-file"))
        }
        Error::CannotTakeBack => (
            "changed-while-sent",
            Exit::Failed,
            t!(words, "problem-cannot-take-back"),
            t!(words, "hint-cannot-take-back"),
        ),
        Error::State { path, .. } => (
            "state",
            Exit::Failed,
            t!(words, "problem-state", path = shown_path(path), detail = detail(error, style)),
            t!(words, "hint-state"),
        ),
        Error::JournalBehind { relay, journal } => (
            "journal-behind",
            Exit::Failed,
            t!(words, "problem-journal", relay = *relay, journal = *journal),
            t!(words, "hint-journal"),
        ),
        _ => (
            "internal",
            Exit::Failed,
            t!(words, "problem-internal", detail = detail(error, style)),
            t!(words, "hint-internal"),
        ),
    };
    Problem::new(code, exit, message, hint)
}

fn of_run(error: &Error, style: &Style) -> Problem {
    let words = &style.words;
    let (code, exit, message, hint) = match error {
        Error::NoSuchTransfer { asked } => (
            "no-such-transfer",
            Exit::NoSuchTransfer,
            t!(words, "problem-no-transfer", asked = super::secretive::shown(asked)),
            t!(words, "hint-no-transfer"),
        ),
        Error::NotOurs { path } => (
            "not-ours",
            Exit::NoSuchTransfer,
            t!(words, "problem-not-ours", path = shown_path(path.reveal())),
            t!(words, "hint-not-ours"),
        ),
        Error::StillOpen { id } => (
            "still-open",
            Exit::Failed,
            t!(words, "problem-still-open", id = id.to_string()),
            t!(words, "hint-still-open", id = id.to_string()),
        ),
        Error::NoPlan { id } => {
            ("no-plan", Exit::Failed, t!(words, "problem-no-plan", id = id.to_string()), t!(words, "hint-no-plan"))
        }
        Error::NotWhole { id } => (
            "not-whole",
            Exit::Failed,
            t!(words, "problem-not-whole", id = id.to_string()),
            t!(words, "hint-not-whole", id = id.to_string()),
        ),
        Error::NoFolder { id } => (
            "no-folder",
            Exit::Failed,
            t!(words, "problem-no-folder", id = id.to_string()),
            t!(words, "hint-no-folder", id = id.to_string()),
        ),
        Error::NoReceipt { id } => (
            "no-receipt",
            Exit::Failed,
            t!(words, "problem-no-receipt", id = id.to_string()),
            t!(words, "hint-no-receipt", id = id.to_string()),
        ),
        Error::Held { id } => (
            "held",
            Exit::Held,
            t!(words, "problem-held", id = id.to_string()),
            t!(words, "hint-held", id = id.to_string()),
        ),
        Error::AnswerNeeded { option } => (
            "answer-needed",
            Exit::AnswerNeeded,
            t!(words, "problem-answer"),
            t!(words, "hint-answer", option = *option),
        ),
        Error::Declined => ("declined", Exit::Done, t!(words, "problem-declined"), t!(words, "hint-declined")),
        Error::EndedByOther => {
            ("ended-by-other", Exit::OtherRefused, t!(words, "problem-ended"), t!(words, "hint-ended"))
        }
        _ => ("interrupted", Exit::Interrupted, t!(words, "problem-interrupted"), t!(words, "hint-interrupted")),
    };
    Problem::new(code, exit, message, hint)
}

/// What exactly went wrong; it names a rule or a step, never anything of the customer's.
fn detail(error: &Error, style: &Style) -> String {
    match error {
        Error::Altered { what, .. }
        | Error::RelayMisbehaved(what)
        | Error::BadReceipt(what)
        | Error::BadAgreement(what)
        | Error::BadCertificate(what)
        | Error::BadRecord { what, .. } => said(what, style),
        Error::Disk { doing, .. } => said(doing, style),
        Error::State { what, source: None, .. } => said(what, style),
        Error::State { what, source: Some(source), .. } => {
            format!("{} ({})", said(what, style), escaped(source.to_string().as_bytes()))
        }
        Error::Internal(text) => escaped(text.as_bytes()),
        other => other.to_string(),
    }
}

/// A text of the library in the person's language. What has no sentence is a name: of a rule, of a line.
fn said(text: &str, style: &Style) -> String {
    let key = detail_key(text);
    if style.words.has(&key) { style.words.say(&key, &[]) } else { text.to_owned() }
}

/// The key of a text of the library.
pub(crate) fn detail_key(text: &str) -> String {
    let is_word = |char: char| char.is_ascii_alphanumeric();
    let parts: Vec<String> =
        text.split(|char| !is_word(char)).filter(|part| !part.is_empty()).map(str::to_ascii_lowercase).collect();
    format!("detail-{}", parts.join("-"))
}

/// Why the system refused.
pub(crate) fn reason(error: &io::Error, style: &Style) -> String {
    let words = &style.words;
    match error.kind() {
        io::ErrorKind::NotFound => t!(words, "reason-not-found"),
        io::ErrorKind::PermissionDenied => t!(words, "reason-permission"),
        io::ErrorKind::ReadOnlyFilesystem => t!(words, "reason-read-only"),
        io::ErrorKind::StorageFull => t!(words, "reason-full"),
        io::ErrorKind::QuotaExceeded => t!(words, "reason-quota"),
        io::ErrorKind::FileTooLarge => t!(words, "reason-too-large"),
        io::ErrorKind::AlreadyExists => t!(words, "reason-exists"),
        io::ErrorKind::NotADirectory => t!(words, "reason-not-a-folder"),
        io::ErrorKind::IsADirectory => t!(words, "reason-is-a-folder"),
        io::ErrorKind::TimedOut => t!(words, "reason-timed-out"),
        io::ErrorKind::ConnectionRefused => t!(words, "reason-refused"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => t!(words, "reason-no-route"),
        io::ErrorKind::BrokenPipe => t!(words, "reason-pipe"),
        _ => escaped(error.to_string().as_bytes()),
    }
}

/// "on 22 Nov 2026 18:02", or nothing where the time is not known.
pub(crate) fn on(time: Option<Millis>, style: &Style) -> String {
    time.map(|at| t!(style.words, "on-moment", moment = moment(style, at))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
