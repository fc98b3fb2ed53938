//! What a relay's refusal means to a person.

use handover_shared::fault::Fault;
use handover_shared::ids::Millis;

use super::problem::{Exit, Problem, on};
use super::style::Style;
use super::units::size;
use crate::home::transfers::Role;
use crate::t;

/// Makes a problem of a fault. `number` is the limit that was passed, `time` when what stands in the way happened.
pub(crate) fn of(
    fault: Fault,
    number: Option<u64>,
    time: Option<Millis>,
    side: Option<Role>,
    style: &Style,
) -> Problem {
    match fault {
        Fault::NotFound
        | Fault::AlreadyClaimed
        | Fault::Revoked
        | Fault::Expired
        | Fault::Receipted
        | Fault::RefusedByBuyer
        | Fault::AgreementRequired
        | Fault::ClaimRefused => of_code(fault, time, side, style),
        Fault::NotEnrolled
        | Fault::InviteRefused
        | Fault::QuotaExceeded
        | Fault::StorageFull
        | Fault::NotAllowed
        | Fault::TakenDown
        | Fault::ClockRefused => of_policy(fault, number, time, style),
        Fault::BadMessage
        | Fault::TooLarge
        | Fault::Version
        | Fault::Superseded
        | Fault::Conflict
        | Fault::NotComplete
        | Fault::Busy
        | Fault::Internal
        | Fault::Draining => of_service(fault, style),
    }
}

fn of_code(fault: Fault, time: Option<Millis>, side: Option<Role>, style: &Style) -> Problem {
    let words = &style.words;
    let when = on(time, style);
    let (code, exit, message, hint) = match (fault, side) {
        (Fault::NotFound, Some(Role::Seller)) => (
            "gone-at-relay",
            Exit::NoSuchTransfer,
            t!(words, "refusal-not-found-seller"),
            t!(words, "hint-not-found-seller"),
        ),
        (Fault::NotFound, _) => {
            ("code-unknown", Exit::Code, t!(words, "refusal-not-found"), t!(words, "hint-not-found"))
        }
        (Fault::AlreadyClaimed, _) => {
            ("code-used", Exit::Code, t!(words, "refusal-used", when = when), t!(words, "hint-used"))
        }
        (Fault::Revoked, Some(Role::Seller)) => {
            ("revoked", Exit::Code, t!(words, "refusal-revoked-seller", when = when), t!(words, "hint-push-again"))
        }
        (Fault::Revoked, _) => {
            ("revoked", Exit::Code, t!(words, "refusal-revoked", when = when), t!(words, "hint-ask-seller"))
        }
        (Fault::Expired, Some(Role::Seller)) => {
            ("expired", Exit::Code, t!(words, "refusal-expired-seller", when = when), t!(words, "hint-push-again"))
        }
        (Fault::Expired, _) => {
            ("expired", Exit::Code, t!(words, "refusal-expired", when = when), t!(words, "hint-ask-seller"))
        }
        (Fault::RefusedByBuyer, Some(Role::Seller)) => (
            "refused-by-buyer",
            Exit::OtherRefused,
            t!(words, "refusal-by-buyer-seller", when = when),
            t!(words, "hint-by-buyer-seller"),
        ),
        (Fault::RefusedByBuyer, _) => (
            "refused-by-buyer",
            Exit::OtherRefused,
            t!(words, "refusal-by-buyer", when = when),
            t!(words, "hint-ask-seller"),
        ),
        (Fault::AgreementRequired, _) => {
            ("agreement-required", Exit::Code, t!(words, "refusal-agreement"), t!(words, "hint-agreement"))
        }
        (Fault::Receipted, _) => {
            ("receipted", Exit::Code, t!(words, "refusal-receipted", when = when), t!(words, "hint-receipted"))
        }
        _ => ("claim-refused", Exit::Code, t!(words, "refusal-claim"), t!(words, "hint-claim")),
    };
    Problem::new(code, exit, message, hint)
}

fn of_policy(fault: Fault, number: Option<u64>, time: Option<Millis>, style: &Style) -> Problem {
    let words = &style.words;
    let (code, message, hint) = match fault {
        Fault::NotEnrolled => ("not-enrolled", t!(words, "refusal-not-enrolled"), t!(words, "hint-not-enrolled")),
        Fault::InviteRefused => ("invite-refused", t!(words, "refusal-invite"), t!(words, "hint-invite")),
        Fault::QuotaExceeded => {
            let message = match (number, time) {
                (Some(limit), _) => t!(words, "refusal-quota-size", limit = size(limit)),
                (None, Some(latest)) => t!(words, "refusal-quota-time", when = on(Some(latest), style)),
                (None, None) => t!(words, "refusal-quota"),
            };
            ("quota", message, t!(words, "hint-quota"))
        }
        Fault::StorageFull => {
            let message = match number {
                Some(room) => t!(words, "refusal-full-room", room = size(room)),
                None => t!(words, "refusal-full"),
            };
            ("relay-full", message, t!(words, "hint-full"))
        }
        Fault::TakenDown => {
            ("taken-down", t!(words, "refusal-taken-down", when = on(time, style)), t!(words, "hint-taken-down"))
        }
        Fault::ClockRefused => ("clock", t!(words, "refusal-clock"), t!(words, "hint-clock")),
        _ => ("not-allowed", t!(words, "refusal-not-allowed"), t!(words, "hint-not-allowed")),
    };
    Problem::new(code, Exit::RelayRefused, message, hint)
}

fn of_service(fault: Fault, style: &Style) -> Problem {
    let words = &style.words;
    let again = t!(words, "hint-lost");
    let (code, exit, message, hint) = match fault {
        Fault::Version => {
            ("relay-version", Exit::RelayRefused, t!(words, "refusal-version"), t!(words, "hint-version"))
        }
        Fault::TooLarge => {
            ("too-large", Exit::RelayRefused, t!(words, "refusal-too-large"), t!(words, "hint-too-large"))
        }
        Fault::BadMessage => {
            ("bad-message", Exit::Failed, t!(words, "refusal-bad-message"), t!(words, "hint-misbehaved"))
        }
        Fault::Superseded => ("superseded", Exit::Held, t!(words, "refusal-superseded"), t!(words, "hint-superseded")),
        Fault::Conflict => ("conflict", Exit::Failed, t!(words, "refusal-conflict"), t!(words, "hint-conflict")),
        Fault::NotComplete => ("not-complete", Exit::Network, t!(words, "refusal-not-complete"), again),
        Fault::Busy => ("relay-busy", Exit::Network, t!(words, "refusal-busy"), again),
        Fault::Draining => ("relay-draining", Exit::Network, t!(words, "refusal-draining"), again),
        _ => ("relay-failed", Exit::Network, t!(words, "refusal-internal"), again),
    };
    Problem::new(code, exit, message, hint)
}
