//! What the events must tell, and the end that nobody but the relay's operator brings.

use super::Storage;
use super::Transfer;
use crate::ids::Millis;
use crate::proof::{digest, text_id};
use crate::protocol::message::{EventKind, Phase, Refused};

impl Transfer {
    /// Ends it because the relay's operator says so [S13.16].
    ///
    /// # Errors
    /// Why it was over before.
    pub fn take_down(&mut self, reason: &str, now: Millis) -> Result<Millis, Refused> {
        if let (Phase::TakenDown, Some(ended)) = (self.phase, self.ended) {
            return Ok(ended);
        }
        self.live(now)?;
        self.end_with(Phase::TakenDown, EventKind::TakenDown, None, Some(text_id(reason)), now);
        Ok(now)
    }

    /// Whether the events tell of the end, and of what came with them [S16.3].
    pub(super) fn is_told(&self) -> bool {
        let of = |kind: EventKind| self.events.iter().find(|event| event.kind == kind);
        let body = |kind: EventKind| of(kind).and_then(|event| event.body);
        let end = match self.phase {
            Phase::Open | Phase::Complete => None,
            Phase::Receipted => Some(EventKind::Receipted),
            Phase::Revoked => Some(EventKind::Revoked),
            Phase::Expired => Some(EventKind::Expired),
            Phase::Refused => Some(EventKind::RefusedByBuyer),
            Phase::TakenDown => Some(EventKind::TakenDown),
        };
        end.is_none_or(|kind| of(kind).map(|event| event.time) == self.ended)
            && (self.durable.0 > 0) == of(EventKind::FirstBlock).is_some()
            && self.completed == of(EventKind::Completed).map(|event| event.time)
            && (self.storage == Storage::Deleted) == of(EventKind::Deleted).is_some()
            && body(EventKind::Created) == Some(self.terms.offer_digest)
            && body(EventKind::Claimed) == self.claim.as_ref().map(|claim| text_id(&claim.text))
            && body(EventKind::RefusedByBuyer) == self.refusal.as_ref().map(|refusal| digest(&refusal.sealed_refusal))
            && self
                .events
                .iter()
                .filter(|event| event.kind == EventKind::PaperDeposited)
                .map(|event| event.body)
                .eq(self.papers.iter().map(|paper| Some(paper.digest)))
            && body(EventKind::Receipted) == self.sealed_receipt.as_deref().map(digest)
    }
}
