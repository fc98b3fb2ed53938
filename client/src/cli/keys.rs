//! What keys are to people: whom they belong to, how they are read aloud, and what goes wrong with them.

use handover_shared::keys::code::WordList;
use handover_shared::proof::{Fingerprint, IdentityFault, SignerFault};

use super::json::Json;
use super::problem::{Exit, Problem};
use super::style::{Style, Tone};
use super::time::moment;
use crate::error::Error;
use crate::home::parties::Acquaintance;
use crate::home::signing::KeyPlace;
use crate::t;
use crate::words::Language;

/// Whether the key has been met before.
pub(crate) fn acquaintance(style: &Style, known: &Acquaintance) -> String {
    let words = &style.words;
    match known {
        Acquaintance::New => style.tone(Tone::Notable, &t!(words, "key-new")),
        Acquaintance::Known { since, transfers } => {
            t!(words, "key-known", when = moment(style, *since), count = *transfers)
        }
        Acquaintance::OtherKey { known, since } => {
            let text = t!(words, "key-other", key = known.clone(), when = moment(style, *since));
            style.tone(Tone::Bad, &text)
        }
    }
}

/// The same for programs.
pub(crate) fn party(side: &'static str, key: &str, known: &Acquaintance) -> Json {
    let (word, since, transfers, other) = match known {
        Acquaintance::New => ("new", None, 0, None),
        Acquaintance::Known { since, transfers } => ("known", Some(*since), *transfers, None),
        Acquaintance::OtherKey { known, since } => ("other-key", Some(*since), 0, Some(known.clone())),
    };
    Json::event("party")
        .with("side", side)
        .with("key", key)
        .with("known", word)
        .at("since", since)
        .with("transfers", transfers)
        .with("other_key", other)
}

/// A fingerprint to be read aloud, in the person's language.
pub(crate) fn aloud(style: &Style, fingerprint: &Fingerprint) -> String {
    let list = match style.words.language() {
        Language::English => WordList::English,
        Language::Chinese => WordList::Chinese,
    };
    fingerprint.to_words(list).join(" ")
}

/// Where the key of this machine is.
pub(crate) fn place(style: &Style, place: KeyPlace) -> String {
    let words = &style.words;
    match place {
        KeyPlace::File => t!(words, "key-in-file"),
        KeyPlace::ProtectedFile => t!(words, "key-in-protected-file"),
        KeyPlace::Agent => t!(words, "key-in-agent"),
    }
}

/// The word of a place, for programs.
pub(crate) fn place_word(place: KeyPlace) -> &'static str {
    match place {
        KeyPlace::File => "file",
        KeyPlace::ProtectedFile => "protected-file",
        KeyPlace::Agent => "agent",
    }
}

/// What goes wrong with keys.
pub(crate) fn problem(error: &Error, style: &Style) -> Problem {
    let words = &style.words;
    let (code, exit, message, hint) = match error {
        Error::Signing(fault) => return signing(*fault, style),
        Error::BadKey(fault) => return bad_key(fault, style),
        Error::OtherSeller { expected, seen } => (
            "other-seller",
            Exit::Altered,
            t!(words, "problem-other-seller", expected = expected.clone(), seen = seen.clone()),
            t!(words, "hint-other-seller"),
        ),
        Error::OtherBuyer { id, expected, seen } => (
            "other-buyer",
            Exit::Altered,
            t!(words, "problem-other-buyer", expected = expected.clone(), seen = seen.clone()),
            t!(words, "hint-other-buyer", id = id.to_string()),
        ),
        other => {
            let message = t!(words, "problem-internal", detail = other.to_string());
            ("internal", Exit::Failed, message, t!(words, "hint-internal"))
        }
    };
    Problem::new(code, exit, message, hint)
}

fn signing(fault: SignerFault, style: &Style) -> Problem {
    let words = &style.words;
    let (code, exit, message, hint) = match fault {
        SignerFault::Locked => {
            ("key-locked", Exit::AnswerNeeded, t!(words, "problem-key-locked"), t!(words, "hint-key-locked"))
        }
        SignerFault::WrongPassphrase => (
            "wrong-passphrase",
            Exit::Failed,
            t!(words, "problem-wrong-passphrase"),
            t!(words, "hint-wrong-passphrase"),
        ),
        SignerFault::Unreachable => (
            "agent-unreachable",
            Exit::Failed,
            t!(words, "problem-agent-unreachable"),
            t!(words, "hint-agent-unreachable"),
        ),
        SignerFault::Absent => {
            ("agent-without-key", Exit::Failed, t!(words, "problem-agent-absent"), t!(words, "hint-agent-absent"))
        }
        SignerFault::Refused => {
            ("agent-refused", Exit::Failed, t!(words, "problem-agent-refused"), t!(words, "hint-agent-refused"))
        }
        SignerFault::Misbehaved | SignerFault::Unusable => {
            ("agent-misbehaved", Exit::Failed, t!(words, "problem-agent-misbehaved"), t!(words, "hint-agent-refused"))
        }
    };
    Problem::new(code, exit, message, hint)
}

fn bad_key(fault: &IdentityFault, style: &Style) -> Problem {
    let words = &style.words;
    let why = match fault {
        IdentityFault::TooLong { .. } | IdentityFault::Malformed(_) => t!(words, "bad-key-malformed"),
        IdentityFault::Encrypted | IdentityFault::Passphrase => t!(words, "problem-wrong-passphrase"),
        IdentityFault::TooMuchWork { seen, limit } => t!(words, "bad-key-work", seen = *seen, limit = *limit),
        IdentityFault::NotEd25519 => t!(words, "bad-key-kind"),
        IdentityFault::SmallOrder => t!(words, "bad-key-order"),
    };
    Problem::new("bad-key", Exit::Failed, t!(words, "problem-bad-key", why = why), t!(words, "hint-bad-key"))
}
