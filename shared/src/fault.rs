//! Numbered reasons for refusing. A fault carries no text from a peer and no secret; words for people are made where
//! there is a person.

/// Why something was refused; the number is what travels.
///
/// # Source
/// SPEC [S12.7].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u16)]
pub enum Fault {
    /// The bytes are not a message this side can accept here.
    #[error("bad message")]
    BadMessage = 1,
    /// A length is above its limit.
    #[error("too large")]
    TooLarge = 2,
    /// No common protocol version.
    #[error("no common protocol version")]
    Version = 3,
    /// This link key may not create transfers here.
    #[error("not enrolled at this relay")]
    NotEnrolled = 4,
    /// The invite is unknown, used up or revoked.
    #[error("invite refused")]
    InviteRefused = 5,
    /// No such transfer.
    #[error("no such transfer")]
    NotFound = 6,
    /// Another link key holds the claim.
    #[error("already claimed")]
    AlreadyClaimed = 7,
    /// The seller revoked the transfer.
    #[error("revoked")]
    Revoked = 8,
    /// The transfer's time is over.
    #[error("expired")]
    Expired = 9,
    /// A size, count or time is above what this relay allows this seller.
    #[error("above the relay's limit")]
    QuotaExceeded = 10,
    /// The relay's storage is at its floor.
    #[error("the relay's storage is full")]
    StorageFull = 11,
    /// A newer run of the same transfer took over.
    #[error("superseded by a newer run")]
    Superseded = 12,
    /// Other content for something that is fixed.
    #[error("conflicts with what is fixed")]
    Conflict = 13,
    /// The transfer is not complete yet.
    #[error("not complete")]
    NotComplete = 14,
    /// A claim's signature or lines do not fit.
    #[error("claim refused")]
    ClaimRefused = 15,
    /// Too much at once; the same request may succeed later.
    #[error("busy")]
    Busy = 16,
    /// The relay failed for a reason of its own.
    #[error("internal failure")]
    Internal = 17,
    /// The relay is shutting down.
    #[error("draining")]
    Draining = 18,
    /// The receipt has been given; the data is gone.
    #[error("already receipted")]
    Receipted = 19,
    /// A time is not plausible.
    #[error("time refused")]
    ClockRefused = 20,
    /// This link key may not do that.
    #[error("not allowed")]
    NotAllowed = 21,
    /// The share goes out only against the signed agreement.
    #[error("the agreement must be signed first")]
    AgreementRequired = 22,
    /// The buyer refused the agreement; the data is gone.
    #[error("refused by the buyer")]
    RefusedByBuyer = 23,
    /// The relay's operator has taken the transfer down.
    #[error("taken down by the relay's operator")]
    TakenDown = 24,
}

impl Fault {
    /// Every fault, in the order of its number.
    pub const ALL: [Fault; 24] = [
        Fault::BadMessage,
        Fault::TooLarge,
        Fault::Version,
        Fault::NotEnrolled,
        Fault::InviteRefused,
        Fault::NotFound,
        Fault::AlreadyClaimed,
        Fault::Revoked,
        Fault::Expired,
        Fault::QuotaExceeded,
        Fault::StorageFull,
        Fault::Superseded,
        Fault::Conflict,
        Fault::NotComplete,
        Fault::ClaimRefused,
        Fault::Busy,
        Fault::Internal,
        Fault::Draining,
        Fault::Receipted,
        Fault::ClockRefused,
        Fault::NotAllowed,
        Fault::AgreementRequired,
        Fault::RefusedByBuyer,
        Fault::TakenDown,
    ];

    /// The number that travels.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The fault of a number, if this version knows it.
    pub fn of_number(number: u16) -> Option<Fault> {
        Self::ALL.into_iter().find(|fault| fault.number() == number)
    }

    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_passing(self) -> bool {
        matches!(self, Fault::Busy | Fault::Internal | Fault::Draining | Fault::StorageFull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S12.7]
    fn numbers_rise_and_lead_back() {
        assert!(Fault::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
        for fault in Fault::ALL {
            assert_eq!(Fault::of_number(fault.number()), Some(fault));
        }
        assert_eq!(Fault::of_number(0), None);
        assert_eq!(Fault::of_number(u16::MAX), None);
    }
}
