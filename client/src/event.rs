//! What a run tells while it works. Events are facts; how they look is the business of `cli`.

use handover_shared::ids::Millis;
use handover_shared::keys::code::Ticket;

use crate::audit::DeletionFacts;
use crate::link::network::Transport;
use crate::private::Private;

/// Takes the events of a run. Called from several threads; must return quickly.
pub trait Observer: Send + Sync {
    /// One event.
    fn event(&self, event: Event);
}

/// What a run is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Walking the source; for the buyer, looking at what is in the way.
    Scanning,
    /// Reaching the relay.
    Connecting,
    /// Reading, compressing, sealing, sending.
    Sending,
    /// Everything has been sent; the relay is making it durable.
    Finishing,
    /// Waiting for the buyer.
    Waiting,
    /// Taking blocks from the relay, opening, placing files.
    Receiving,
    /// Everything has been received; syncing and setting folder times.
    Placing,
    /// Signing and delivering the receipt.
    Signing,
    /// Reading what is there once more, to see whether it is as it was.
    Checking,
    /// Overwriting and removing.
    Destroying,
}

/// Why nothing moves, in a word that has a sentence in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallCause {
    /// The relay cannot be reached.
    Unreachable,
    /// The connection broke.
    Lost,
    /// The relay asked to come back later.
    Busy,
    /// The connection stands but nothing has moved for too long.
    Silent,
}

/// What a scan found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Scanned {
    /// Regular files.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links that will be kept.
    pub links: u64,
    /// Bytes of all files; `None` for standard input.
    pub bytes: Option<u64>,
    /// Files whose name, or a folder above them in the transfer, begins with a dot.
    pub hidden: u64,
    /// Files with an execute bit.
    pub executable: u64,
    /// What is left out by the filters.
    pub excluded: u64,
    /// What cannot be sent, with the reason.
    pub exceptions: u64,
    /// The biggest top-level or second-level entries: name, bytes, files.
    pub biggest: Vec<(Private<String>, u64, u64)>,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Progress {
    /// Content bytes done: read and durable for the seller, verified for the buyer.
    pub bytes_done: u64,
    /// Content bytes of the whole transfer, if known.
    pub bytes_total: Option<u64>,
    /// Files done.
    pub files_done: u64,
    /// Files of the whole transfer, if known.
    pub files_total: Option<u64>,
    /// Sealed bytes that travelled in this run.
    pub wire_bytes: u64,
    /// Sealed bytes that were on their way in this run, those of unfinished blocks included: tells slow from still.
    pub moved_bytes: u64,
    /// The file under way.
    pub current: Option<Private<String>>,
}

/// Who gave a receipt, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFacts {
    /// The number of the transfer on this machine.
    pub id: u64,
    /// The first characters of the receipt's hash, to talk about it.
    pub short: String,
    /// The buyer's own name for itself.
    pub buyer_name: Private<String>,
    /// The buyer's organisation.
    pub organisation: Option<Private<String>>,
    /// `SHA256:…`.
    pub buyer_fingerprint: String,
    /// When the buyer says it had received everything.
    pub received: Millis,
    /// Files, as signed.
    pub files: u64,
    /// Bytes, as signed.
    pub bytes: u64,
    /// When the relay deleted the blocks, as it says.
    pub deleted: Option<Millis>,
}

/// Who has signed an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementFacts {
    /// The number of the transfer on this machine.
    pub id: u64,
    /// The full name that was signed.
    pub name: Private<String>,
    /// The organisation that it was signed for.
    pub organisation: Option<Private<String>>,
    /// The name of the document's file.
    pub document: Private<String>,
    /// Its length.
    pub document_bytes: u64,
    /// SHA-256 of the document, hex.
    pub agreement: String,
    /// `SHA256:…` of the key that signed.
    pub buyer_fingerprint: String,
    /// When the buyer says it signed.
    pub time: Millis,
}

/// Who has refused an agreement, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalFacts {
    /// The number of the transfer on this machine.
    pub id: u64,
    /// The buyer's own name for itself.
    pub buyer_name: Private<String>,
    /// The buyer's organisation.
    pub organisation: Option<Private<String>>,
    /// Why, if the buyer says so.
    pub reason: Option<Private<String>>,
    /// SHA-256 of the document, hex.
    pub agreement: String,
    /// `SHA256:…` of the key that signed.
    pub buyer_fingerprint: String,
    /// When the buyer says it refused.
    pub time: Millis,
}

/// A fact of a run.
#[derive(Debug)]
pub enum Event {
    /// A new stage begins.
    Stage(Stage),
    /// How much has been found so far; the scan goes on.
    Scanning {
        /// Files so far.
        files: u64,
        /// Bytes so far.
        bytes: u64,
    },
    /// The scan is over.
    Scanned(Scanned),
    /// A document that the buyer must sign first.
    Document {
        /// The name of its file.
        name: Private<String>,
        /// Its length.
        bytes: u64,
        /// SHA-256 of it, hex.
        digest: String,
    },
    /// The buyer has signed the document.
    Signed(AgreementFacts),
    /// The buyer has refused the document.
    RefusedAgreement(RefusalFacts),
    /// The relay answered.
    RelayReached {
        /// As the user would type it.
        address: String,
        /// `SHA256:…` of its key.
        fingerprint: String,
        /// Whether it runs inside this very process.
        embedded: bool,
        /// What it was reached over.
        transport: Transport,
    },
    /// The relay has accepted the transfer: here is the code.
    CodeReady {
        /// The number of the transfer on this machine.
        id: u64,
        /// The code with the relay's address. A secret until claimed.
        ticket: Ticket,
        /// When it ends.
        expires: Millis,
        /// Whether an earlier run is being continued.
        continued: bool,
        /// Whether the code has been spent already, so that it is of no use to anybody else.
        spent: bool,
    },
    /// How far it is; at least twice a second while anything moves.
    Progress(Progress),
    /// Nothing moves; being tried again.
    Stalled {
        /// Which attempt comes next, from 1.
        attempt: u32,
        /// Why.
        cause: StallCause,
    },
    /// It moves again after a stall.
    Moving,
    /// An interrupted run is continued; so much was there already.
    Resumed {
        /// Content bytes that need not travel again.
        bytes: u64,
        /// Files that need not travel again.
        files: u64,
    },
    /// Something is listed but not handed over as it is.
    Exception {
        /// Its path in the transfer.
        path: Private<Vec<u8>>,
        /// A word of `shared::archive::item::Reason`, or of what could not be preserved.
        reason: ExceptionReason,
    },
    /// A file of the seller is being read again because it changed.
    ReadAgain {
        /// Its path.
        path: Private<Vec<u8>>,
        /// Which attempt comes next, from 2.
        attempt: u32,
    },
    /// Everything is durable at the relay.
    Safe {
        /// The number of the transfer on this machine.
        id: u64,
        /// Content bytes.
        bytes: u64,
        /// Sealed bytes.
        wire_bytes: u64,
    },
    /// The buyer has spent the code.
    Claimed {
        /// `SHA256:…` of the buyer's identity, from the verified claim.
        buyer_fingerprint: String,
        /// When, by the relay's clock.
        time: Millis,
    },
    /// Somebody else came with the code after it was spent.
    ClaimRefused {
        /// `SHA256:…` of the stranger's link key.
        by: String,
        /// When, by the relay's clock.
        time: Millis,
    },
    /// The buyer's receipt is here and checked.
    Receipt(ReceiptFacts),
    /// The relay has signed that share and blocks are gone, and its log fits.
    Deleted(DeletionFacts),
    /// One file of the buyer is verified and has its final name.
    Placed {
        /// Files so far.
        files: u64,
    },
}

/// Why something was not handed over as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExceptionReason {
    /// No right to read it.
    Unreadable,
    /// It was there at the scan and is gone.
    Vanished,
    /// It changed each time it was read.
    KeptChanging,
    /// A device, socket or fifo.
    Special,
    /// A link that leaves the root.
    LinkLeaves,
    /// Reading failed.
    ReadError,
    /// A name too long or too deep.
    NameTooLong,
    /// The name is not possible here; it was placed under another.
    NameMapped,
    /// The permission bits could not be set.
    ModeNotSet,
    /// The modification time could not be set.
    TimeNotSet,
    /// The buyer kept what was there.
    KeptExisting,
}
