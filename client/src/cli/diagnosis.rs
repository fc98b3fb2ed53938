//! What the doctor found, as lines: a mark and a word, what was looked at, what was found, and what to do about it. Pure.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::json::Json;
use super::problem::{Exit, reason, shown_path};
use super::refusal;
use super::style::{Style, Tone, padded, wrapped};
use super::units::{size, span, speed};
use crate::doctor::{Blame, CLOCK_MS_MAX, Check, Enrolled, Fact, Place, Verdict};
use crate::private::escaped;
use crate::t;

const WORD_COLUMNS: usize = 7;
const LABEL_COLUMNS: usize = 12;

/// What was found, in words.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) verdict: Verdict,
    pub(crate) check: &'static str,
    label: String,
    found: String,
    advice: Option<String>,
}

/// Puts a fact into words.
pub(crate) fn told(style: &Style, fact: &Fact) -> Told {
    let found = found(style, fact);
    Told {
        verdict: fact.verdict(),
        check: word(fact.check()),
        label: label(style, fact.check()),
        found,
        advice: (fact.verdict() != Verdict::Fine).then(|| advice(style, fact)).flatten(),
    }
}

/// The terminal and its locale: whether every name can be shown.
pub(crate) fn terminal(style: &Style, columns: Option<usize>, locale: Option<&str>) -> Told {
    let words = &style.words;
    let spells = |name: &str| name.to_ascii_lowercase().replace('-', "").contains("utf8");
    let is_fine = locale.is_none_or(spells);
    let shown = locale.map_or_else(|| t!(words, "doctor-no-locale"), |name| escaped(name.as_bytes()));
    Told {
        verdict: if is_fine { Verdict::Fine } else { Verdict::Warning },
        check: "terminal",
        label: t!(words, "label-terminal"),
        found: match columns {
            Some(columns) => t!(words, "doctor-terminal", columns = columns as u64, locale = shown),
            None => t!(words, "doctor-no-terminal", locale = shown),
        },
        advice: (!is_fine).then(|| t!(words, "doctor-terminal-advice")),
    }
}

/// The time was over.
pub(crate) fn not_done(style: &Style) -> Told {
    let words = &style.words;
    Told {
        verdict: Verdict::Failed(Blame::Network),
        check: "time",
        label: t!(words, "label-clock"),
        found: t!(words, "doctor-not-done"),
        advice: Some(t!(words, "doctor-not-done-advice")),
    }
}

impl Told {
    /// As lines for a person.
    pub(crate) fn lines(&self, style: &Style) -> String {
        let words = &style.words;
        let (mark, word, tone) = match self.verdict {
            Verdict::Fine => ("✔", t!(words, "verdict-fine"), Tone::Good),
            Verdict::Warning => ("!", t!(words, "verdict-warning"), Tone::Notable),
            Verdict::Failed(_) => ("✘", t!(words, "verdict-failed"), Tone::Bad),
        };
        let head = style.tone(tone, &format!("{mark} {}", padded(&word, WORD_COLUMNS)));
        let label = style.tone(Tone::Dim, &padded(&self.label, LABEL_COLUMNS));
        let indent = 2 + 2 + WORD_COLUMNS + 1 + LABEL_COLUMNS + 1;
        let mut text = String::new();
        for (number, line) in wrapped(&self.found, style.width.saturating_sub(indent)).iter().enumerate() {
            match number {
                0 => text.push_str(&format!("  {head} {label} {line}\n")),
                _ => text.push_str(&format!("{}{line}\n", " ".repeat(indent))),
            }
        }
        for line in self.advice.iter().flat_map(|advice| wrapped(advice, style.width.saturating_sub(12))) {
            text.push_str(&format!("{}{line}\n", " ".repeat(12)));
        }
        text
    }

    /// As an object for a program.
    pub(crate) fn object(&self) -> Json {
        let verdict = match self.verdict {
            Verdict::Fine => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed(_) => "failed",
        };
        Json::event("check")
            .with("check", self.check)
            .with("verdict", verdict)
            .with("found", self.found.clone())
            .with("advice", self.advice.clone())
    }
}

/// The exit code that fits: that of the first check that failed.
pub(crate) fn exit(all: &[Told]) -> Exit {
    let blame = all.iter().find_map(|told| match told.verdict {
        Verdict::Failed(blame) => Some(blame),
        _ => None,
    });
    match blame {
        None => Exit::Done,
        Some(Blame::Network) => Exit::Network,
        Some(Blame::Refused) => Exit::RelayRefused,
        Some(Blame::Key) => Exit::Altered,
        Some(Blame::Disk) => Exit::Disk,
    }
}

/// The last line: how it is on the whole.
pub(crate) fn summary(style: &Style, all: &[Told]) -> String {
    let words = &style.words;
    let count = |is_it: fn(&Verdict) -> bool| all.iter().filter(|told| is_it(&told.verdict)).count() as u64;
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    let warnings = count(|verdict| *verdict == Verdict::Warning);
    match (failed, warnings) {
        (0, 0) => style.tone(Tone::Good, &t!(words, "doctor-end-fine")),
        (0, count) => style.tone(Tone::Notable, &t!(words, "doctor-end-warnings", count = count)),
        (count, _) => style.tone(Tone::Bad, &t!(words, "doctor-end-failed", count = count)),
    }
}

fn word(check: Check) -> &'static str {
    match check {
        Check::Name => "name",
        Check::Proxy => "proxy",
        Check::Udp => "udp",
        Check::Tcp => "tcp",
        Check::Path => "path",
        Check::Key => "key",
        Check::Clock => "clock",
        Check::Relay => "relay",
        Check::Disk => "disk",
        Check::Rights => "rights",
        Check::Identity => "identity",
        Check::Transfers => "transfers",
        Check::Leftovers => "leftovers",
    }
}

fn label(style: &Style, check: Check) -> String {
    let words = &style.words;
    match check {
        Check::Name => t!(words, "label-name-check"),
        Check::Proxy => t!(words, "label-proxy"),
        Check::Udp => "UDP".to_owned(),
        Check::Tcp => "TCP".to_owned(),
        Check::Path => t!(words, "label-way"),
        Check::Key => t!(words, "label-key"),
        Check::Clock => t!(words, "label-clock"),
        Check::Relay => t!(words, "label-relay"),
        Check::Disk => t!(words, "label-disk"),
        Check::Rights => t!(words, "label-rights"),
        Check::Identity => t!(words, "label-identity"),
        Check::Transfers => t!(words, "label-transfers"),
        Check::Leftovers => t!(words, "label-left-behind"),
    }
}

fn found(style: &Style, fact: &Fact) -> String {
    let words = &style.words;
    match fact {
        Fact::NoRelay => t!(words, "doctor-no-relay"),
        Fact::NameNotNeeded(ip) => t!(words, "doctor-name-not-needed", address = ip.to_string()),
        Fact::NameFound { host, addresses } => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            t!(words, "doctor-name", host = host.clone(), addresses = addresses.join(", "))
        }
        Fact::NameUnknown { host, source } => {
            t!(words, "doctor-name-unknown", host = host.clone(), reason = lookup_reason(style, source))
        }
        Fact::NameSilent { host } => t!(words, "doctor-name-silent", host = host.clone()),
        Fact::NoProxy => t!(words, "doctor-no-proxy"),
        Fact::Proxies(all) => {
            let shown: Vec<String> =
                all.iter().map(|(name, place)| format!("{name}={}", escaped(place.as_bytes()))).collect();
            shown.join(", ")
        }
        Fact::Udp { answering, silent } if silent.is_empty() => t!(words, "doctor-udp", answering = joined(answering)),
        Fact::Udp { answering, silent } => {
            t!(words, "doctor-udp-some", answering = joined(answering), silent = joined(silent))
        }
        Fact::UdpSilent { silent, source, .. } => {
            t!(words, "doctor-udp-silent", silent = joined(silent), reason = reason(source, style))
        }
        Fact::Tcp { answering } => t!(words, "doctor-udp", answering = joined(answering)),
        Fact::TcpSilent { silent, source } => {
            t!(words, "doctor-udp-silent", silent = joined(silent), reason = reason(source, style))
        }
        Fact::OtherVersion { address } => {
            t!(words, "doctor-other-version", relay = address.clone(), own = env!("CARGO_PKG_VERSION"))
        }
        Fact::Refused(fault) => {
            t!(words, "doctor-refused", reason = refusal::of(*fault, None, None, None, style).message)
        }
        Fact::Broken { error } => super::problem::of(error, None, style).message,
        Fact::Path { round_trip, datagram_bytes } => {
            t!(words, "doctor-path", ms = milliseconds(*round_trip), bytes = u64::from(*datagram_bytes))
        }
        Fact::KeyKnown { fingerprint } => t!(words, "doctor-key-known", key = fingerprint.clone()),
        Fact::KeyOther { seen, expected } => {
            t!(words, "doctor-key-other", seen = seen.clone(), expected = expected.clone())
        }
        Fact::KeyNew { fingerprint } => t!(words, "doctor-key-new", key = fingerprint.clone()),
        Fact::Clock { ahead_ms } => clock(style, *ahead_ms),
        Fact::Relay { version, transfer_bytes_max, expiry_ms_max, expiry_ms_default, enrolled } => {
            let relay = t!(
                words,
                "doctor-relay",
                version = escaped(version.as_bytes()),
                size = size(*transfer_bytes_max),
                usual = span(style, expiry_ms_default / 1000),
                most = span(style, expiry_ms_max / 1000),
            );
            let enrolled = match enrolled {
                Enrolled::Yes => t!(words, "doctor-enrolled"),
                Enrolled::Never => t!(words, "doctor-not-enrolled"),
                Enrolled::NoMore => t!(words, "doctor-no-more-enrolled"),
            };
            format!("{relay}; {enrolled}")
        }
        _ => found_here(style, fact),
    }
}

fn found_here(style: &Style, fact: &Fact) -> String {
    let words = &style.words;
    match fact {
        Fact::Disk { path, free_bytes: Some(free), bytes_a_second, .. } => {
            t!(words, "doctor-disk", path = shown_path(path), free = size(*free), speed = speed(*bytes_a_second))
        }
        Fact::Disk { path, bytes_a_second, .. } => {
            t!(words, "doctor-disk-unknown", path = shown_path(path), speed = speed(*bytes_a_second))
        }
        Fact::DiskFailed { path, source, .. } => {
            t!(words, "doctor-disk-failed", path = shown_path(path), reason = reason(source, style))
        }
        Fact::RightsFine { path } => t!(words, "doctor-rights", path = shown_path(path)),
        Fact::RightsOpen { path, mode } => {
            t!(words, "doctor-rights-open", path = shown_path(path), mode = format!("{mode:03o}"))
        }
        Fact::HomeFailed { error } => super::problem::of(error, None, style).message,
        Fact::Identity { fingerprint } => t!(words, "doctor-identity", key = fingerprint.clone()),
        Fact::NoIdentity => t!(words, "doctor-no-identity"),
        Fact::NothingInterrupted => t!(words, "doctor-nothing-interrupted"),
        Fact::Interrupted { ids } => {
            let shown: Vec<String> = ids.iter().map(ToString::to_string).collect();
            t!(words, "doctor-interrupted", count = ids.len() as u64, ids = shown.join(", "))
        }
        Fact::Leftovers { path, count } => t!(words, "doctor-left-behind", path = shown_path(path), count = *count),
        _ => String::new(),
    }
}

/// What to do about a fact that is no good news.
fn advice(style: &Style, fact: &Fact) -> Option<String> {
    let words = &style.words;
    Some(match fact {
        Fact::NameUnknown { .. } => t!(words, "doctor-name-unknown-advice"),
        Fact::NameSilent { .. } => t!(words, "doctor-name-silent-advice"),
        Fact::Udp { .. } => t!(words, "doctor-udp-some-advice"),
        Fact::UdpSilent { silent, is_tcp_open, .. } => {
            let port = silent.first().map_or_else(String::new, |first| first.port().to_string());
            match is_tcp_open {
                true => t!(words, "doctor-udp-blocked-advice", port = port),
                false => t!(words, "doctor-udp-silent-advice", port = port),
            }
        }
        Fact::TcpSilent { silent, .. } => {
            let port = silent.first().map_or_else(String::new, |first| first.port().to_string());
            t!(words, "doctor-tcp-silent-advice", port = port)
        }
        Fact::OtherVersion { .. } => t!(words, "hint-version"),
        Fact::Refused(fault) => refusal::of(*fault, None, None, None, style).hint,
        Fact::Broken { .. } => t!(words, "doctor-broken-advice"),
        Fact::KeyOther { .. } => t!(words, "doctor-key-other-advice"),
        Fact::Clock { .. } => t!(words, "doctor-clock-advice"),
        Fact::Relay { .. } => t!(words, "hint-not-enrolled"),
        Fact::Disk { place: Place::Destination, .. } => t!(words, "doctor-disk-advice"),
        Fact::Disk { place: Place::State, .. } => t!(words, "doctor-state-failed-advice"),
        Fact::DiskFailed { place: Place::Destination, .. } => t!(words, "doctor-disk-failed-advice"),
        Fact::DiskFailed { place: Place::State, .. } => t!(words, "doctor-state-failed-advice"),
        Fact::RightsOpen { path, .. } => t!(words, "doctor-rights-open-advice", path = shown_path(path)),
        Fact::HomeFailed { error } => super::problem::of(error, None, style).hint,
        Fact::Interrupted { .. } => t!(words, "doctor-interrupted-advice"),
        Fact::Leftovers { .. } => t!(words, "doctor-left-behind-advice"),
        _ => return None,
    })
}

fn clock(style: &Style, ahead_ms: i64) -> String {
    let words = &style.words;
    let apart_ms = ahead_ms.unsigned_abs();
    if apart_ms <= CLOCK_MS_MAX {
        return t!(words, "doctor-clock-fine", seconds = apart_ms.div_ceil(1000).max(1));
    }
    let span = span(style, apart_ms / 1000);
    if ahead_ms > 0 {
        t!(words, "doctor-clock-ahead", span = span)
    } else {
        t!(words, "doctor-clock-behind", span = span)
    }
}

/// Why a name was not found. What the system says of it has no number and helps nobody.
fn lookup_reason(style: &Style, source: &io::Error) -> String {
    match source.raw_os_error() {
        Some(_) => reason(source, style),
        None => t!(style.words, "reason-not-found"),
    }
}

fn joined(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn milliseconds(span: Duration) -> String {
    let ms = span.as_secs_f64() * 1000.0;
    if ms < 9.95 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

#[cfg(test)]
pub(crate) mod tests;
