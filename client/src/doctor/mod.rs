//! Finds out why it does not work here: the way to a relay, the disks, and what is kept on this machine.
//!
//! Each check tells [`Fact`]s, in order, as soon as it knows them; a fact knows whether it is good news. What to say and
//! what to advise is the business of `cli`. Nothing secret is in a fact. Every check has its time, and all of them
//! together end within 15 seconds.
//!
//! | module | what it looks at |
//! |---|---|
//! | [`network`] | name, ways, key, clock and limits of a relay |
//! | [`disk`] | room and speed of a folder |
//! | [`machine`] | rights, identity, what was interrupted, what was left behind |

pub mod disk;
pub mod machine;
pub mod network;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use handover_shared::fault::Fault;

/// Clocks that differ by more than this deserve a word.
pub const CLOCK_MS_MAX: u64 = 60_000;
/// A disk that writes fewer bytes a second is slower than most lines.
const SLOW_BYTES_A_SECOND: f64 = 10_000_000.0;
/// Less room than this is little for anything.
const ROOM_BYTES_MIN: u64 = 1_000_000_000;

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The relay's name.
    Name,
    /// Proxies that the environment names.
    Proxy,
    /// The way by UDP.
    Udp,
    /// The way by TCP.
    Tcp,
    /// How long and how wide the way is.
    Path,
    /// The relay's key.
    Key,
    /// The clocks.
    Clock,
    /// What the relay is and allows.
    Relay,
    /// A folder's disk.
    Disk,
    /// Who may read this machine's own files.
    Rights,
    /// Who this machine signs as.
    Identity,
    /// What was interrupted.
    Transfers,
    /// What was left behind.
    Leftovers,
}

/// Whether it is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Fine,
    /// It works, and something should be looked at.
    Warning,
    /// It does not work.
    Failed(Blame),
}

/// What does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The network; trying again may help.
    Network,
    /// The relay says no.
    Refused,
    /// Somebody else answers.
    Key,
    /// This machine's disk.
    Disk,
}

/// Which folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where files would appear.
    Destination,
    /// Where this machine keeps its own files.
    State,
}

/// What a check found out.
#[derive(Debug)]
pub enum Fact {
    /// No relay was named and none is in the book.
    NoRelay,
    /// The relay's address is a number already.
    NameNotNeeded(IpAddr),
    /// The name has these addresses.
    NameFound {
        /// The name.
        host: String,
        /// IPv6 first.
        addresses: Vec<IpAddr>,
    },
    /// The name has no address.
    NameUnknown {
        /// The name.
        host: String,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody has said in time whether the name has an address.
    NameSilent {
        /// The name.
        host: String,
    },
    /// No proxy is named.
    NoProxy,
    /// The environment names proxies: variable, and where it leads, without user and password.
    Proxies(Vec<(String, String)>),
    /// The relay answers by UDP.
    Udp {
        /// At these addresses.
        answering: Vec<SocketAddr>,
        /// Not at these.
        silent: Vec<SocketAddr>,
    },
    /// The relay does not answer by UDP.
    UdpSilent {
        /// What was tried.
        silent: Vec<SocketAddr>,
        /// Why not, at the first of them.
        source: io::Error,
        /// Whether TCP works.
        is_tcp_open: bool,
    },
    /// The relay answers by TCP.
    Tcp {
        /// At these addresses.
        answering: Vec<SocketAddr>,
    },
    /// The relay does not answer by TCP.
    TcpSilent {
        /// What was tried.
        silent: Vec<SocketAddr>,
        /// Why not, at the first of them.
        source: io::Error,
    },
    /// Something speaks at the address that is no relay of this version.
    OtherVersion {
        /// Where.
        address: String,
    },
    /// The relay has cut it short.
    Refused(Fault),
    /// What goes wrong otherwise.
    Broken {
        /// Why.
        error: crate::error::Error,
    },
    /// How the way is.
    Path {
        /// There and back.
        round_trip: Duration,
        /// The largest datagram that gets through.
        datagram_bytes: u16,
    },
    /// The key is the one in the book.
    KeyKnown {
        /// `SHA256:…`
        fingerprint: String,
    },
    /// The key is another than the one in the book.
    KeyOther {
        /// `SHA256:…`
        seen: String,
        /// `SHA256:…`
        expected: String,
    },
    /// There is nothing to compare the key with.
    KeyNew {
        /// `SHA256:…`
        fingerprint: String,
    },
    /// This machine's clock, less the relay's.
    Clock {
        /// Positive when this machine is ahead.
        ahead_ms: i64,
    },
    /// What the relay says of itself.
    Relay {
        /// Its program and version.
        version: String,
        /// Sealed bytes a transfer may have.
        transfer_bytes_max: u64,
        /// Milliseconds a transfer may be kept.
        expiry_ms_max: u64,
        /// Milliseconds a transfer is kept if nothing is said.
        expiry_ms_default: u64,
        /// Whether this machine may send through it.
        enrolled: Enrolled,
    },
    /// A folder can be written to.
    Disk {
        /// Which.
        place: Place,
        /// Where.
        path: PathBuf,
        /// Room that is left, if the system tells.
        free_bytes: Option<u64>,
        /// Bytes a second, durable.
        bytes_a_second: f64,
    },
    /// A folder cannot be written to.
    DiskFailed {
        /// Which.
        place: Place,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// This machine's own files are for their owner only.
    RightsFine {
        /// The folder.
        path: PathBuf,
    },
    /// Others can read something of them.
    RightsOpen {
        /// What.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// This machine's own files cannot be used.
    HomeFailed {
        /// Why, as the library says it.
        error: crate::error::Error,
    },
    /// This machine has a key to sign with.
    Identity {
        /// `SHA256:…`
        fingerprint: String,
    },
    /// It has none yet.
    NoIdentity,
    /// Nothing is interrupted.
    NothingInterrupted,
    /// Transfers that could go on.
    Interrupted {
        /// Their numbers, ascending.
        ids: Vec<u64>,
    },
    /// Partial data lies in the destination that belongs to no transfer that could go on.
    Leftovers {
        /// The work folder.
        path: PathBuf,
        /// How many transfers left something.
        count: u64,
    },
}

/// Whether this machine may send through a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// It may.
    Yes,
    /// It should be able to, and is not.
    NoMore,
    /// It has never asked to.
    Never,
}

impl Fact {
    /// What was looked at.
    pub fn check(&self) -> Check {
        match self {
            Self::NameNotNeeded(_) | Self::NameFound { .. } | Self::NameUnknown { .. } | Self::NameSilent { .. } => {
                Check::Name
            }
            Self::NoProxy | Self::Proxies(_) => Check::Proxy,
            Self::Udp { .. } | Self::UdpSilent { .. } => Check::Udp,
            Self::Tcp { .. } | Self::TcpSilent { .. } => Check::Tcp,
            Self::NoRelay | Self::OtherVersion { .. } | Self::Refused(_) | Self::Broken { .. } | Self::Relay { .. } => {
                Check::Relay
            }
            Self::Path { .. } => Check::Path,
            Self::KeyKnown { .. } | Self::KeyOther { .. } | Self::KeyNew { .. } => Check::Key,
            Self::Clock { .. } => Check::Clock,
            Self::Disk { .. } | Self::DiskFailed { .. } => Check::Disk,
            Self::RightsFine { .. } | Self::RightsOpen { .. } | Self::HomeFailed { .. } => Check::Rights,
            Self::Identity { .. } | Self::NoIdentity => Check::Identity,
            Self::NothingInterrupted | Self::Interrupted { .. } => Check::Transfers,
            Self::Leftovers { .. } => Check::Leftovers,
        }
    }

    /// Whether it is good news.
    pub fn verdict(&self) -> Verdict {
        let warning = |is_one: bool| if is_one { Verdict::Warning } else { Verdict::Fine };
        match self {
            Self::NameUnknown { .. } | Self::NameSilent { .. } | Self::Broken { .. } => Verdict::Failed(Blame::Network),
            Self::UdpSilent { is_tcp_open: true, .. } => Verdict::Warning,
            Self::UdpSilent { is_tcp_open: false, .. } => Verdict::Failed(Blame::Network),
            Self::Udp { silent, .. } => warning(!silent.is_empty()),
            Self::OtherVersion { .. } | Self::Refused(_) | Self::Relay { enrolled: Enrolled::NoMore, .. } => {
                Verdict::Failed(Blame::Refused)
            }
            Self::KeyOther { .. } => Verdict::Failed(Blame::Key),
            Self::Clock { ahead_ms } => warning(ahead_ms.unsigned_abs() > CLOCK_MS_MAX),
            Self::Disk { free_bytes, bytes_a_second, .. } => {
                let is_small = free_bytes.is_some_and(|free| free < ROOM_BYTES_MIN);
                warning(is_small || *bytes_a_second < SLOW_BYTES_A_SECOND)
            }
            Self::DiskFailed { .. } | Self::HomeFailed { .. } => Verdict::Failed(Blame::Disk),
            Self::TcpSilent { .. } | Self::RightsOpen { .. } | Self::Interrupted { .. } | Self::Leftovers { .. } => {
                Verdict::Warning
            }
            _ => Verdict::Fine,
        }
    }
}

/// Is told what was found.
pub trait Listener {
    /// One fact.
    fn hear(&mut self, fact: Fact);
}

impl<F: FnMut(Fact)> Listener for F {
    fn hear(&mut self, fact: Fact) {
        self(fact);
    }
}
