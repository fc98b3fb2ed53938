//! Why a run ended without doing what it was asked to: what was tried, on what, and the cause.
//!
//! A variant exists where somebody acts differently on it: another exit code, another hint. Sentences for people are in
//! `words/`; the texts here are for logs and for developers and hold no customer data.

use std::io;
use std::path::PathBuf;

use handover_shared::fault::Fault;
use handover_shared::ids::Millis;
use handover_shared::keys::code::CodeError;
use handover_shared::proof::log::LogFault;
use handover_shared::proof::{IdentityFault, SignerFault};

use crate::link::proxy::ProxyFault;
use crate::private::Private;

/// A path, as it is shown to the person who named it.
pub type PrivatePath = Private<PathBuf>;

/// Why a run ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path to push is not there.
    #[error("a path to push is not there")]
    SourceMissing {
        /// Which.
        path: PrivatePath,
    },
    /// A path to push cannot be read at all.
    #[error("a path to push cannot be read")]
    SourceUnreadable {
        /// Which.
        path: PrivatePath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Two paths would have the same name in the transfer.
    #[error("two paths have the same name")]
    SameName {
        /// One.
        first: PrivatePath,
        /// The other.
        second: PrivatePath,
    },
    /// A pattern to include or exclude is not one.
    #[error("a pattern is malformed")]
    BadPattern {
        /// Which.
        pattern: Private<String>,
    },
    /// Nothing is left to send after the filters.
    #[error("nothing to send")]
    NothingToSend,
    /// Standard input was consumed by an earlier run and cannot be read again.
    #[error("standard input cannot be continued")]
    StdinNotResumable,
    /// The code is not one.
    #[error("code: {0}")]
    Code(#[from] CodeError),
    /// The code has no relay, and none is configured.
    #[error("no relay is known for this code")]
    NoRelay,
    /// A name or number stands for no transfer of this machine.
    #[error("no such transfer")]
    NoSuchTransfer {
        /// What was asked for.
        asked: String,
    },
    /// Another run of this machine is working on the same transfer.
    #[error("another run holds the transfer")]
    Held {
        /// The transfer's number here.
        id: u64,
    },
    /// The relay's name has no address, or nothing answers there.
    #[error("the relay at {address} cannot be reached")]
    Unreachable {
        /// As typed.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The proxy does not lead to the relay.
    #[error("the proxy {proxy} does not lead to {relay}")]
    Proxy {
        /// Without credentials; nothing where it is not even known.
        proxy: String,
        /// As typed.
        relay: String,
        /// Why.
        #[source]
        fault: ProxyFault,
    },
    /// The relay speaks another version of the protocol.
    #[error("the relay at {address} speaks another version")]
    Version {
        /// As typed.
        address: String,
    },
    /// Another machine answers at the relay's address, or its key was replaced.
    #[error("the relay at {address} has key {seen}, expected {expected}")]
    RelayKey {
        /// As typed.
        address: String,
        /// Fingerprint expected.
        expected: String,
        /// Fingerprint seen, or `?` when the handshake stopped before it could be told.
        seen: String,
    },
    /// The connection broke and is not to be tried again.
    #[error("the connection to {address} broke: {cause}")]
    Lost {
        /// As typed.
        address: String,
        /// The transport's reason.
        cause: String,
    },
    /// The relay refused.
    #[error("the relay refused: {fault}")]
    Refused {
        /// Why.
        fault: Fault,
        /// The limit that was passed.
        number: Option<u64>,
        /// When the thing that stands in the way happened.
        time: Option<Millis>,
    },
    /// The relay said what makes no sense.
    #[error("the relay's answer makes no sense: {0}")]
    RelayMisbehaved(&'static str),
    /// What came is not what was sealed.
    #[error("verification failed: {what}")]
    Altered {
        /// The rule that failed.
        what: &'static str,
        /// The block at which it failed, where there is one.
        block: Option<u64>,
    },
    /// Whoever holds the key of this machine does not sign.
    #[error("cannot sign: {0}")]
    Signing(SignerFault),
    /// A key that was given is of no use.
    #[error("a key is of no use: {0}")]
    BadKey(#[source] IdentityFault),
    /// The offer is by another seller than the one that was expected.
    #[error("the offer is by {seen}, expected {expected}")]
    OtherSeller {
        /// Fingerprint expected.
        expected: String,
        /// Fingerprint seen.
        seen: String,
    },
    /// The code was used by another buyer than the one that was expected.
    #[error("claimed by {seen}, expected {expected}")]
    OtherBuyer {
        /// The transfer's number here.
        id: u64,
        /// Fingerprint expected.
        expected: String,
        /// Fingerprint seen.
        seen: String,
    },
    /// The claim that the relay shows does not check.
    #[error("the claim does not check")]
    BadClaim,
    /// The receipt does not check.
    #[error("the receipt does not check: {0}")]
    BadReceipt(&'static str),
    /// What the relay shows of its log does not hold.
    #[error("the relay's log does not hold")]
    Log {
        /// Why.
        #[source]
        fault: LogFault,
    },
    /// Nothing of the relay's log is kept about the transfer.
    #[error("transfer {id} has no log")]
    NoLog {
        /// The transfer's number here.
        id: u64,
    },
    /// A handover record does not check.
    #[error("the record does not check: {what}")]
    BadRecord {
        /// Why.
        what: &'static str,
        /// The line of the file in which it shows.
        line: Option<usize>,
    },
    /// A handover record in a form that this version does not make.
    #[error("a record of form {seen}, this version knows form {own}")]
    RecordForm {
        /// Its form.
        seen: u32,
        /// The form that is known.
        own: u32,
    },
    /// A document to be signed is empty or too long.
    #[error("a document of {bytes} bytes cannot be an agreement, the limit is {limit}")]
    BadDocument {
        /// Which.
        path: PrivatePath,
        /// Its length, or one more than the limit.
        bytes: u64,
        /// The most it may have.
        limit: u64,
    },
    /// A full name or reason is empty or too long.
    #[error("a name or reason is empty or longer than {limit} characters")]
    BadName {
        /// The most characters it may have.
        limit: u64,
    },
    /// The agreement or refusal that the relay shows does not check.
    #[error("the agreement does not check: {0}")]
    BadAgreement(&'static str),
    /// The transfer has no receipt yet.
    #[error("transfer {id} has no receipt")]
    NoReceipt {
        /// The transfer's number here.
        id: u64,
    },
    /// The transfer did not get to its end here: there is nothing to check a folder against.
    #[error("transfer {id} is not whole")]
    NotWhole {
        /// The transfer's number here.
        id: u64,
    },
    /// The transfer has no folder: it came from standard input or went to standard output.
    #[error("transfer {id} has no folder")]
    NoFolder {
        /// The transfer's number here.
        id: u64,
    },
    /// A transfer is still of use to the other side: it is ended first.
    #[error("transfer {id} is not over")]
    StillOpen {
        /// The transfer's number here.
        id: u64,
    },
    /// This machine does not know which files were sent: it received them, they came from standard input, or the plan is
    /// gone.
    #[error("transfer {id} has no plan")]
    NoPlan {
        /// The transfer's number here.
        id: u64,
    },
    /// A certificate of destruction does not check.
    #[error("the certificate does not check: {0}")]
    BadCertificate(&'static str),
    /// A folder belongs to no transfer of this machine.
    #[error("a folder belongs to no transfer")]
    NotOurs {
        /// Which.
        path: PrivatePath,
    },
    /// The disk said no.
    #[error("local disk: {doing}")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// On what.
        path: PrivatePath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not enough room.
    #[error("not enough space: {needed} needed, {free} free")]
    Space {
        /// Where.
        path: PrivatePath,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// Existing files stand in the way and nobody said what to do.
    #[error("{count} existing files stand in the way")]
    Conflicts {
        /// How many.
        count: u64,
        /// The first of them.
        first: PrivatePath,
    },
    /// Only a transfer of a single file can go to standard output.
    #[error("more than one file cannot go to standard output")]
    NotOneFile,
    /// A file changed while it was sent, and what went to standard output cannot be taken back.
    #[error("the file changed while it was sent; standard output cannot be taken back")]
    CannotTakeBack,
    /// A question has no one to answer it; the option that answers it.
    #[error("an answer is needed: {option}")]
    AnswerNeeded {
        /// The option.
        option: &'static str,
    },
    /// The person said no.
    #[error("declined")]
    Declined,
    /// The other side refused or revoked while this side was at it.
    #[error("the other side ended it")]
    EndedByOther,
    /// Stopped by a signal; the state is kept.
    #[error("interrupted")]
    Interrupted,
    /// This machine's own files are not as they were left.
    #[error("state of this machine: {what}")]
    State {
        /// What is wrong.
        what: &'static str,
        /// In which file.
        path: PathBuf,
        /// Why, where there is a cause below.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The relay holds more of this transfer than this machine remembers having sent.
    #[error("the relay holds {relay} blocks, the journal knows {journal}")]
    JournalBehind {
        /// Blocks at the relay.
        relay: u64,
        /// Blocks in the journal.
        journal: u64,
    },
    /// A library refused something it never refuses.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// Wraps a disk error.
    pub fn disk(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Disk { doing, path: Private::new(path.into()), source }
    }

    /// Whether trying again later, with nothing changed, may succeed.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Proxy { fault, .. } => fault.is_passing(),
            Self::Refused { fault, .. } => fault.is_passing(),
            _ => false,
        }
    }
}
