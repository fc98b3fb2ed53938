//! What goes wrong in a world, and the rules that a world can be told to break.

use super::rng::Rng;

/// One broken rule; every one of them must be found by the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// `Durable` leaves before the segment is synced [S13.3].
    AcknowledgeBeforeSegment,
    /// `Durable` leaves before the ledger's row is synced [S13.3].
    AcknowledgeBeforeLedger,
    /// The ledger's row is synced before the segment it names [S13.3].
    LedgerBeforeSegment,
    /// `Created` leaves before the ledger's row is synced [S13.2].
    CreatedBeforeLedger,
    /// `Created` leaves before the share is synced [S13.2].
    CreatedBeforeShare,
    /// `Completed` leaves before the ledger's row is synced [S13.4].
    CompletedBeforeLedger,
    /// The share leaves before the claim is durable [S13.5].
    ReleaseBeforeClaim,
    /// The share is given to whoever has the code [S13.5].
    ReleaseToAnybody,
    /// Blocks are served that are not durable [S12.3].
    ServeBeforeDurable,
    /// A newer run begins while an older one still stores blocks [S12.2].
    TwoAppenders,
    /// An older connection pushes the run of a newer one aside [S12.2].
    OldestRunWins,
    /// `Received` leaves before the receipt is durable [S13.7].
    ReceivedBeforeLedger,
    /// Blocks are deleted before the receipt is durable [S13.7].
    DeleteBeforeReceipt,
    /// The share is erased before the end is durable [S13.7] [S13.8].
    EraseBeforeEnd,
    /// `Revoked` leaves before it is durable [S13.8].
    RevokedBeforeLedger,
    /// Nothing is cleaned up at a start [S13.9].
    NoRecovery,
    /// What a start finds is believed without being synced [S13.9].
    NoSyncAtStart,
    /// `Create` is sent before everything in it is durable [S14.2].
    CreateBeforeJournal,
    /// Blocks are sent before records and marks are durable [S14.2].
    SendBeforeJournal,
    /// The tail is sent before its seal is kept [S14.2].
    SealNotKept,
    /// The marks of blocks that are made again are not forgotten [S14.4].
    OldMarksKept,
    /// The code is shown before `Created` came [S14.3].
    CodeBeforeCreated,
    /// The transfer is taken for complete when `Complete` is sent [S14.4].
    CompleteEarly,
    /// A run goes on behind what it made, not behind what is durable [S14.4].
    ResumeBehindMade,
    /// A file is not looked at again after it was read [S14.5].
    NoSecondLook,
    /// `Claim` is sent before the keys are durable [S15.1].
    ClaimBeforeKeys,
    /// A file has its final name before it is verified [S15.2].
    NameBeforeVerified,
    /// A file has its final name before its bytes are synced [S15.2].
    NameBeforeSync,
    /// A checkpoint is written before what it speaks of is synced [S15.3].
    CheckpointBeforeSync,
    /// The receipt is signed before everything is synced [S15.4].
    ReceiptBeforeSync,
    /// The receipt is sent before it is kept [S15.4].
    ReceiptNotKept,
}

impl Mutant {
    /// Who breaks the rule, as a place in a table of relay, seller, buyer.
    fn role(self) -> usize {
        match self {
            Self::TwoAppenders | Self::OldestRunWins => 1,
            it if it < Self::CreateBeforeJournal => 0,
            it if it < Self::ClaimBeforeKeys => 1,
            _ => 2,
        }
    }

    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::AcknowledgeBeforeSegment,
        Self::AcknowledgeBeforeLedger,
        Self::LedgerBeforeSegment,
        Self::CreatedBeforeLedger,
        Self::CreatedBeforeShare,
        Self::CompletedBeforeLedger,
        Self::ReleaseBeforeClaim,
        Self::ReleaseToAnybody,
        Self::ServeBeforeDurable,
        Self::TwoAppenders,
        Self::OldestRunWins,
        Self::ReceivedBeforeLedger,
        Self::DeleteBeforeReceipt,
        Self::EraseBeforeEnd,
        Self::RevokedBeforeLedger,
        Self::NoRecovery,
        Self::NoSyncAtStart,
        Self::CreateBeforeJournal,
        Self::SendBeforeJournal,
        Self::SealNotKept,
        Self::OldMarksKept,
        Self::CodeBeforeCreated,
        Self::CompleteEarly,
        Self::ResumeBehindMade,
        Self::NoSecondLook,
        Self::ClaimBeforeKeys,
        Self::NameBeforeVerified,
        Self::NameBeforeSync,
        Self::CheckpointBeforeSync,
        Self::ReceiptBeforeSync,
        Self::ReceiptNotKept,
    ];
}

/// Which faults a world has, and how often: every seed has some of them.
#[derive(Clone, Debug)]
pub struct Faults {
    /// A stop after one step of a party, in millionths: relay, seller, buyer.
    pub stop_millionths: [u64; 3],
    /// How many of the stops are a loss of power.
    pub power_percent: u64,
    /// The pause between two cuts of a connection; 0 for none.
    pub cut_every_ms: u64,
    /// How many connections cannot be made.
    pub dial_fails_percent: u64,
    /// The end of the network for everybody, for so long; 0 for none.
    pub outage_ms: u64,
    /// A stream that stands still while its connection lives, in millionths of all packets.
    pub stall_millionths: u64,
    /// Whether packets of a connection that its client gave up still arrive.
    pub late: bool,
    pub latency_ms: u64,
    /// Time between two steps of relay, seller, buyer, at most.
    pub step_ms: [u64; 3],
    /// How long people take at most, to pass a code on and to decide.
    pub people_ms: u64,
    /// Refusals that pass, in millionths of all operations.
    pub refuse_millionths: u64,
    /// Blocks that leave the relay with one bit wrong, in millionths.
    pub flip_millionths: u64,
    /// The pause between two changes of the seller's files; 0 for none.
    pub disturb_every_ms: u64,
    /// How many steps of packing meet somebody who works with the files.
    pub meddle_percent: u64,
    /// The relay's clock goes back by up to so much when it starts.
    pub clock_back_ms: u64,
    /// When the faults stop.
    pub until_ms: u64,
    /// Buyers with the same code.
    pub buyers: u64,
    /// When the seller revokes, if it does.
    pub revoke_at_ms: Option<u64>,
    /// How long the transfer lives, if that is short.
    pub expires_ms: Option<u64>,
}

impl Faults {
    pub fn draw(rng: &mut Rng) -> Self {
        let mut sometimes = |percent: u64, range: std::ops::RangeInclusive<u64>| {
            let value = rng.within(range);
            if rng.percent(percent) { value } else { 0 }
        };
        let stop_millionths = [sometimes(60, 500..=25_000), sometimes(60, 500..=25_000), sometimes(60, 500..=25_000)];
        let faults = Self {
            stop_millionths,
            power_percent: sometimes(80, 20..=100),
            cut_every_ms: sometimes(50, 2_000..=60_000),
            dial_fails_percent: sometimes(30, 5..=60),
            outage_ms: sometimes(20, 1_000..=120_000),
            stall_millionths: sometimes(30, 1_000..=60_000),
            late: sometimes(60, 1..=1) == 1,
            latency_ms: 1 + sometimes(70, 1..=400),
            step_ms: [1 + sometimes(40, 1..=300), 1 + sometimes(40, 1..=300), 1 + sometimes(40, 1..=300)],
            people_ms: [10, 10, 2_000, 30_000][sometimes(100, 0..=3) as usize],
            refuse_millionths: sometimes(30, 5_000..=100_000),
            flip_millionths: sometimes(20, 5_000..=100_000),
            disturb_every_ms: sometimes(30, 200..=5_000),
            meddle_percent: sometimes(25, 5..=60),
            clock_back_ms: sometimes(20, 1_000..=600_000),
            until_ms: 10_000 + sometimes(90, 0..=240_000),
            buyers: 1 + sometimes(50, 1..=2),
            revoke_at_ms: None,
            expires_ms: None,
        };
        let end = rng.below(100);
        let at = rng.within(1..=faults.until_ms);
        match end {
            0..8 => Self { revoke_at_ms: Some(at), ..faults },
            8..16 => Self { expires_ms: Some(at + 5_000), ..faults },
            _ => faults,
        }
    }

    /// More of what hurts whoever breaks this rule: it shows only in a crash at the right moment.
    pub fn harshen(&mut self, rng: &mut Rng, mutant: Mutant) {
        for (role, stop) in self.stop_millionths.iter_mut().enumerate() {
            let most = if mutant.role() == role { 80_000 } else { 10_000 };
            *stop = (*stop).max(rng.within(1_000..=most));
        }
        self.power_percent = rng.within(40..=100);
        self.late = true;
        self.latency_ms = self.latency_ms.max(50);
        self.stall_millionths = self.stall_millionths.max(rng.below(80_000));
        self.until_ms = self.until_ms.max(120_000);
        if mutant == Mutant::RevokedBeforeLedger {
            self.revoke_at_ms = Some(rng.within(1..=60_000));
        }
    }

    /// Whether the transfer may end without a receipt.
    pub fn may_end_early(&self) -> bool {
        self.revoke_at_ms.is_some() || self.expires_ms.is_some()
    }
}
