//! Every way a run can end has a message, a hint and the promised exit code, in both languages.

use std::io;

use handover_shared::fault::Fault;
use handover_shared::proof::ProofFault;
use handover_shared::proof::log::LogFault;

use super::*;
use crate::private::Private;
use crate::words::Language;

const TIME: Option<Millis> = Some(Millis(1_796_580_120_000));

fn path(text: &str) -> crate::error::PrivatePath {
    Private::new(text.into())
}

fn io_error(kind: io::ErrorKind) -> io::Error {
    io::Error::from(kind)
}

fn refused(fault: Fault) -> Error {
    Error::Refused { fault, number: Some(5_000_000), time: TIME }
}

/// Every variant once; a new variant fails to compile in `of` and has to be added here.
fn every_error() -> Vec<(Error, Option<Role>, Exit, &'static str)> {
    let seller = Some(Role::Seller);
    let buyer = Some(Role::Buyer);
    let mut all = vec![
        (Error::SourceMissing { path: path("客户") }, seller, Exit::Usage, "source-missing"),
        (
            Error::SourceUnreadable { path: path("x"), source: io_error(io::ErrorKind::PermissionDenied) },
            seller,
            Exit::Disk,
            "source-unreadable",
        ),
        (Error::SameName { first: path("a/x"), second: path("b/x") }, seller, Exit::Usage, "same-name"),
        (Error::BadPattern { pattern: Private::new("[".into()) }, seller, Exit::Usage, "bad-pattern"),
        (Error::NothingToSend, seller, Exit::Usage, "nothing-to-send"),
        (Error::StdinNotResumable, seller, Exit::Failed, "stdin-not-resumable"),
        (Error::NoRelay, buyer, Exit::Usage, "no-relay"),
        (Error::NoRelay, seller, Exit::Usage, "not-enrolled"),
        (Error::NoSuchTransfer { asked: "9".into() }, None, Exit::NoSuchTransfer, "no-such-transfer"),
        (Error::NoReceipt { id: 9 }, None, Exit::Failed, "no-receipt"),
        (Error::NoLog { id: 9 }, None, Exit::Failed, "no-log"),
        (Error::Log { fault: LogFault::Proof(ProofFault::Forged) }, None, Exit::Altered, "log-invalid"),
        (Error::Log { fault: LogFault::TwoHeads }, None, Exit::Altered, "log-invalid"),
        (Error::Log { fault: LogFault::NotIncluded { sequence: 2 } }, None, Exit::Altered, "log-invalid"),
        (Error::Log { fault: LogFault::Order { sequence: 2 } }, None, Exit::Altered, "log-invalid"),
        (Error::Log { fault: LogFault::Deletion("reason") }, None, Exit::Altered, "log-invalid"),
        (Error::Log { fault: LogFault::Shorter { held: 9, seen: 8 } }, None, Exit::Altered, "log-forked"),
        (Error::Log { fault: LogFault::Forked { size: 9 } }, None, Exit::Altered, "log-forked"),
        (Error::Log { fault: LogFault::NotExtending { held: 8, seen: 9 } }, None, Exit::Altered, "log-forked"),
        (Error::Log { fault: LogFault::Older }, None, Exit::Altered, "log-forked"),
        (Error::Log { fault: LogFault::Rewritten { sequence: 2 } }, None, Exit::Altered, "log-forked"),
        (Error::Log { fault: LogFault::Missing { sequence: 2 } }, None, Exit::Altered, "log-forked"),
        (Error::Log { fault: LogFault::Contradicts("claimed") }, None, Exit::Altered, "log-forked"),
        (Error::Held { id: 9 }, None, Exit::Held, "held"),
        (
            Error::Unreachable { address: "relay".into(), source: io_error(io::ErrorKind::TimedOut) },
            buyer,
            Exit::Network,
            "relay-unreachable",
        ),
        (Error::Version { address: "relay".into() }, buyer, Exit::RelayRefused, "relay-version"),
        (
            Error::RelayKey { address: "relay".into(), expected: "SHA256:a".into(), seen: "?".into() },
            seller,
            Exit::Altered,
            "relay-key",
        ),
        (
            Error::RelayKey { address: "relay".into(), expected: "SHA256:a".into(), seen: "SHA256:b".into() },
            seller,
            Exit::Altered,
            "relay-key",
        ),
        (Error::Lost { address: "relay".into(), cause: "closed".into() }, buyer, Exit::Network, "connection-lost"),
        (Error::BadDocument { path: path("nda"), bytes: 0, limit: 9 }, seller, Exit::Usage, "bad-document"),
        (Error::BadName { limit: 64 }, buyer, Exit::Usage, "bad-name"),
        (Error::BadAgreement("it is malformed"), seller, Exit::Altered, "agreement-invalid"),
        (Error::RelayMisbehaved("answered another question"), buyer, Exit::Failed, "relay-misbehaved"),
        (Error::Altered { what: "S8.2", block: Some(812) }, buyer, Exit::Altered, "altered"),
        (Error::Altered { what: "S9.5", block: None }, buyer, Exit::Altered, "altered"),
        (Error::BadClaim, seller, Exit::Altered, "claim-invalid"),
        (Error::BadReceipt("nobody has claimed"), seller, Exit::Altered, "receipt-invalid"),
        (Error::disk("writing", "x", io_error(io::ErrorKind::PermissionDenied)), buyer, Exit::Disk, "disk"),
        (Error::disk("writing", "x", io_error(io::ErrorKind::StorageFull)), buyer, Exit::Disk, "disk-full"),
        (Error::Space { path: path("x"), needed: 2_000_000, free: 1_000_000 }, buyer, Exit::Disk, "no-space"),
        (Error::Conflicts { count: 2, first: path("a") }, buyer, Exit::AnswerNeeded, "conflicts"),
        (Error::NotOneFile, buyer, Exit::Usage, "not-one-file"),
        (Error::CannotTakeBack, buyer, Exit::Failed, "changed-while-sent"),
        (Error::AnswerNeeded { option: "--yes" }, buyer, Exit::AnswerNeeded, "answer-needed"),
        (Error::Declined, buyer, Exit::Done, "declined"),
        (Error::EndedByOther, buyer, Exit::OtherRefused, "ended-by-other"),
        (Error::Interrupted, buyer, Exit::Interrupted, "interrupted"),
        (
            Error::State { what: "the relay book cannot be read", path: "relays.toml".into(), source: None },
            None,
            Exit::Failed,
            "state",
        ),
        (Error::JournalBehind { relay: 9, journal: 8 }, seller, Exit::Failed, "journal-behind"),
        (Error::Internal("x".into()), None, Exit::Failed, "internal"),
    ];
    for fault in [
        CodeError::Empty,
        CodeError::NotACode,
        CodeError::Typo { position: Some(7) },
        CodeError::Typo { position: None },
        CodeError::UnknownWord { position: 3 },
        CodeError::WrongLength { seen: 40, wanted: 41 },
        CodeError::BadAddress,
    ] {
        let code = match fault {
            CodeError::Empty => "code-missing",
            CodeError::NotACode => "code-wrong",
            _ => "code-mistyped",
        };
        all.push((Error::Code(fault), buyer, Exit::Code, code));
    }
    all.extend(Fault::ALL.map(|fault| {
        let (exit, code) = expected_of_fault(fault);
        (refused(fault), buyer, exit, code)
    }));
    all.push((refused(Fault::NotFound), seller, Exit::NoSuchTransfer, "gone-at-relay"));
    all.push((refused(Fault::Revoked), seller, Exit::Code, "revoked"));
    all.push((refused(Fault::RefusedByBuyer), seller, Exit::OtherRefused, "refused-by-buyer"));
    all.push((refused(Fault::Expired), seller, Exit::Code, "expired"));
    let bare = |fault, number, time| (Error::Refused { fault, number, time }, seller, Exit::RelayRefused);
    for (error, side, exit) in [bare(Fault::QuotaExceeded, None, TIME), bare(Fault::QuotaExceeded, None, None)] {
        all.push((error, side, exit, "quota"));
    }
    let (error, side, exit) = bare(Fault::StorageFull, None, None);
    all.push((error, side, exit, "relay-full"));
    all
}

fn expected_of_fault(fault: Fault) -> (Exit, &'static str) {
    match fault {
        Fault::BadMessage => (Exit::Failed, "bad-message"),
        Fault::TooLarge => (Exit::RelayRefused, "too-large"),
        Fault::Version => (Exit::RelayRefused, "relay-version"),
        Fault::NotEnrolled => (Exit::RelayRefused, "not-enrolled"),
        Fault::InviteRefused => (Exit::RelayRefused, "invite-refused"),
        Fault::NotFound => (Exit::Code, "code-unknown"),
        Fault::AlreadyClaimed => (Exit::Code, "code-used"),
        Fault::Revoked => (Exit::Code, "revoked"),
        Fault::Expired => (Exit::Code, "expired"),
        Fault::QuotaExceeded => (Exit::RelayRefused, "quota"),
        Fault::StorageFull => (Exit::RelayRefused, "relay-full"),
        Fault::Superseded => (Exit::Held, "superseded"),
        Fault::Conflict => (Exit::Failed, "conflict"),
        Fault::NotComplete => (Exit::Network, "not-complete"),
        Fault::ClaimRefused => (Exit::Code, "claim-refused"),
        Fault::Busy => (Exit::Network, "relay-busy"),
        Fault::Internal => (Exit::Network, "relay-failed"),
        Fault::Draining => (Exit::Network, "relay-draining"),
        Fault::Receipted => (Exit::Code, "receipted"),
        Fault::ClockRefused => (Exit::RelayRefused, "clock"),
        Fault::NotAllowed => (Exit::RelayRefused, "not-allowed"),
        Fault::AgreementRequired => (Exit::Code, "agreement-required"),
        Fault::RefusedByBuyer => (Exit::OtherRefused, "refused-by-buyer"),
        Fault::TakenDown => (Exit::RelayRefused, "taken-down"),
    }
}

#[test]
fn every_error_has_message_hint_and_exit_in_both_languages() {
    let english = Style::plain(Language::English);
    let chinese = Style::plain(Language::Chinese);
    for (error, side, exit, code) in every_error() {
        let en = of(&error, side, &english);
        let zh = of(&error, side, &chinese);
        assert_eq!((en.exit, en.code), (exit, code), "{error:?}");
        assert_eq!((zh.exit, zh.code), (exit, code), "{error:?}");
        for problem in [&en, &zh] {
            assert!(!problem.message.is_empty() && !problem.hint.is_empty(), "{error:?}");
            assert!(!problem.message.contains("[problem") && !problem.message.contains("{ $"), "{}", problem.message);
        }
        let is_chinese = |text: &str| text.chars().any(|char| ('\u{4e00}'..='\u{9fff}').contains(&char));
        assert!(is_chinese(&zh.message) && is_chinese(&zh.hint), "{} / {}", zh.message, zh.hint);
        assert!(!en.message.ends_with('.') || exit == Exit::Done, "{}", en.message);
    }
}

#[test]
fn a_used_code_says_when_and_that_there_is_no_second_time() {
    let english = of(&refused(Fault::AlreadyClaimed), Some(Role::Buyer), &Style::plain(Language::English));
    assert!(english.message.contains("on 6 Dec 2026 18:02 UTC"), "{}", english.message);
    assert!(english.message.contains("only once"), "{}", english.message);
    let chinese = of(&refused(Fault::AlreadyClaimed), Some(Role::Buyer), &Style::plain(Language::Chinese));
    assert!(chinese.message.contains("2026年12月6日 18:02"), "{}", chinese.message);
    assert!(chinese.message.contains("只能使用一次"), "{}", chinese.message);
}

#[test]
fn names_from_outside_do_not_reach_the_terminal_raw() {
    let style = Style::plain(Language::English);
    let evil = "a\x1b[2J\u{202e}\nb";
    for error in [
        Error::SourceMissing { path: path(evil) },
        Error::SameName { first: path(evil), second: path(evil) },
        Error::Conflicts { count: 1, first: path(evil) },
        Error::disk("writing", evil, io::Error::other(evil)),
        Error::NoSuchTransfer { asked: evil.into() },
        Error::Lost { address: "relay".into(), cause: evil.into() },
        Error::Internal(evil.into()),
    ] {
        let problem = of(&error, None, &style);
        let hidden = |char: char| char.is_control() || char == '\u{202e}';
        assert!(!problem.message.contains(hidden), "{:?}", problem.message);
    }
}

#[test]
fn details_are_said_in_the_language() {
    let chinese = Style::plain(Language::Chinese);
    let problem = of(&Error::RelayMisbehaved("answered another question"), None, &chinese);
    assert!(problem.message.contains("答非所问"), "{}", problem.message);
    let problem = of(&Error::Altered { what: "S8.2", block: Some(812) }, None, &chinese);
    assert!(problem.message.contains("第 812 块") && problem.message.contains("S8.2"), "{}", problem.message);
}
