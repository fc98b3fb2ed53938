//! What happened when, by the clock of whoever says so and by the relay's, side by side.

use handover_shared::ids::Millis;
use handover_shared::proof::time;

use super::check::{Check, Checks};
use super::evidence::{Evidence, ToldEvent, What};
use super::model::Role;
use super::rules::{Signer, line};

/// Clocks that differ by no more than this agree: statements say whole seconds, and a message takes its time.
const AGREEMENT_MS: u64 = 5_000;

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What happened.
    pub what: Happening,
    /// When, by the clock of the side that signed it.
    pub signed: Option<(Role, Millis)>,
    /// When, by the relay's clock, as a statement says.
    pub relay_signed: Option<Millis>,
    /// When, by the relay's clock, as the maker of the record was told.
    pub relay_told: Option<Millis>,
    /// The fingerprint of whoever came.
    pub by: Option<String>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A statement was signed.
    Signed(&'static str),
    /// The relay told of something of which there is no statement.
    Told(What),
}

/// How two clocks compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// There is only one time.
    One,
    /// They agree.
    Agree,
    /// It came to the relay so many milliseconds later, by its clock.
    Later(u64),
    /// By the relay's clock it came so many milliseconds before it was signed: one of them is wrong.
    Earlier(u64),
}

impl Moment {
    /// How the clocks compare.
    pub fn clocks(&self) -> Clocks {
        let (Some((_, own)), Some(relay)) = (self.signed, self.relay_told) else { return Clocks::One };
        match (relay.0.checked_sub(own.0), own.0.abs_diff(relay.0)) {
            (_, apart) if apart <= AGREEMENT_MS => Clocks::Agree,
            (Some(later), _) => Clocks::Later(later),
            (None, apart) => Clocks::Earlier(apart),
        }
    }

    fn sort_key(&self) -> Millis {
        self.relay_told.or(self.relay_signed).or(self.signed.map(|(_, time)| time)).unwrap_or(Millis(0))
    }
}

/// Everything that is known to have happened, in order.
pub(super) fn timeline(evidence: &Evidence, checks: &Checks<'_>) -> Vec<Moment> {
    let mut told: Vec<&ToldEvent> = evidence.told.iter().collect();
    let mut moments = Vec::new();
    for checked in checks.statements.iter().filter(|checked| checked.check == Check::Valid) {
        let Some(given) = checked.given else { continue };
        let said = line(&given.text, checked.rule.time).and_then(time::parse);
        let event = checked.rule.event.and_then(|what| told.iter().position(|told| told.what == what));
        let event = event.map(|at| told.remove(at));
        let (signed, relay_signed) = match checked.rule.clock {
            Signer::Relay => (None, said),
            party => (said.map(|time| (party.role(), time)), None),
        };
        moments.push(Moment {
            what: Happening::Signed(checked.rule.word),
            signed,
            relay_signed,
            relay_told: event.map(|event| Millis(event.at_ms)),
            by: None,
        });
    }
    moments.extend(told.into_iter().map(|event| Moment {
        what: Happening::Told(event.what),
        signed: None,
        relay_signed: None,
        relay_told: Some(Millis(event.at_ms)),
        by: event.by.clone().filter(|_| event.what == What::ClaimRefused),
    }));
    moments.sort_by_key(Moment::sort_key);
    moments
}
