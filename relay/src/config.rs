//! What a relay can be told.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use handover_shared::keys::address::DEFAULT_PORT;

use crate::ledger::operations::Enrolment;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const GIB: u64 = 1024 * 1024 * 1024;

/// Everything a relay is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// Host and port that others reach it by; without a port, the one it listens on. Without a host, this machine's
    /// primary address.
    pub advertise: Advertise,
    /// Bounds on what others may do.
    pub limits: Limits,
}

/// The address in invites, as far as it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advertise {
    /// A name or an address, IPv6 without brackets.
    pub host: Option<String>,
    /// The port, if it differs from the one listened on.
    pub port: Option<u16>,
}

/// Bounds on what others may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Who may create transfers.
    pub enrolment: Enrolment,
    /// Sealed bytes of one transfer.
    pub transfer_bytes_max: u64,
    /// Sealed bytes of all transfers together.
    pub total_bytes_max: u64,
    /// Sealed bytes of all live transfers of one seller.
    pub seller_bytes_max: u64,
    /// Live transfers of one seller.
    pub seller_transfers_max: u64,
    /// Free bytes of the disk below which nothing more is taken.
    pub free_bytes_min: u64,
    /// Milliseconds a transfer may be kept.
    pub expiry_ms_max: u64,
    /// Milliseconds a transfer is kept if its seller says nothing.
    pub expiry_ms_default: u64,
    /// Connections at once.
    pub connections_max: u32,
    /// Connections at once from one IPv4 address or one IPv6 network of 64 bits.
    pub connections_per_address_max: u32,
    /// Milliseconds a connection may be open without anything going on.
    pub idle_ms_max: u64,
    /// Handshakes a second from one IPv4 address or one IPv6 network of 64 bits, of addresses that have proven to be real
    /// and of those that have not, each.
    pub handshakes_per_second_max: u32,
    /// Failed lookups, claims and enrolments a minute from one address.
    pub failures_per_minute_max: u32,
}

impl Config {
    /// Listens on every address at the default port.
    pub fn new(data: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT)),
            data,
            advertise: Advertise::default(),
            limits: Limits::default(),
        }
    }
}

/// The data folder when nothing is said: the platform's place for a program's data.
pub fn default_data_folder() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "handover-relay").map(|folders| folders.data_dir().to_owned())
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enrolment: Enrolment::Required,
            transfer_bytes_max: 1024 * GIB,
            total_bytes_max: u64::MAX,
            seller_bytes_max: u64::MAX,
            seller_transfers_max: 1000,
            free_bytes_min: GIB,
            expiry_ms_max: 90 * DAY_MS,
            expiry_ms_default: 14 * DAY_MS,
            connections_max: 4096,
            connections_per_address_max: 128,
            idle_ms_max: 2 * 60 * 1000,
            handshakes_per_second_max: 50,
            failures_per_minute_max: 30,
        }
    }
}
