//! How relays are to be reached: what was asked for, and what worked the last time.
//!
//! The memory is `reached.toml` below the state folder: the relays that were last reached over TCP, sellers' and buyers'
//! alike, by their addresses. It saves a second and decides nothing else, so that losing it costs nothing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use handover_shared::keys::code::RelayAddress;
use serde::{Deserialize, Serialize};

use super::proxy::{Proxies, Proxy};
use crate::error::Error;
use crate::home::{read_private, write_private};

const MEMORY_BYTES_MAX: u64 = 256 * 1024;
/// Addresses that are remembered; the oldest are forgotten.
const REMEMBERED_MAX: usize = 64;

/// What carries the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// QUIC on UDP.
    Quic,
    /// TLS 1.3 on TCP.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quic => "quic",
            Self::Tcp => "tcp",
        })
    }
}

/// Which transports may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportChoice {
    /// Whichever stands first; QUIC has a head start.
    #[default]
    Auto,
    /// QUIC alone.
    Quic,
    /// TCP alone.
    Tcp,
}

/// How relays are to be reached.
#[derive(Clone, Debug, Default)]
pub struct Network(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    choice: TransportChoice,
    proxies: Proxies,
    memory: Option<PathBuf>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Memory {
    /// Relays that were last reached over TCP, the newest first.
    #[serde(default)]
    tcp: Vec<String>,
}

impl Network {
    /// With these transports and proxies, remembering in a file what worked.
    pub fn new(choice: TransportChoice, proxies: Proxies, memory: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { choice, proxies, memory }))
    }

    /// The proxy that leads to a relay, if one is to be used. QUIC goes through none, so that whoever asks for QUIC by
    /// name does without those of the environment.
    pub(super) fn proxy(&self, address: &RelayAddress) -> Result<Option<Proxy>, Error> {
        if self.0.choice == TransportChoice::Quic && !self.0.proxies.is_asked_for() {
            return Ok(None);
        }
        let towards = self.0.proxies.towards(address);
        towards.map_err(|fault| Error::Proxy { proxy: String::new(), relay: address.to_string(), fault })
    }

    /// Which transports may be used.
    pub(super) fn choice(&self) -> TransportChoice {
        self.0.choice
    }

    /// What a relay was reached over the last time.
    pub(super) fn last(&self, address: &RelayAddress) -> Option<Transport> {
        let (address, memory) = (address.to_string(), self.read());
        memory.tcp.contains(&address).then_some(Transport::Tcp)
    }

    /// Remembers what a relay was reached over. What was asked for by name says nothing about the next time.
    pub(super) fn remember(&self, address: &RelayAddress, transport: Transport) {
        if self.0.choice != TransportChoice::Auto {
            return;
        }
        if let Err(error) = self.store(&address.to_string(), transport) {
            tracing::debug!(%error, "what worked is not remembered");
        }
    }

    fn store(&self, address: &str, transport: Transport) -> Result<(), Error> {
        let Some(path) = &self.0.memory else { return Ok(()) };
        let mut memory = self.read();
        let before = memory.tcp.clone();
        memory.tcp.retain(|known| known != address);
        if transport == Transport::Tcp {
            memory.tcp.insert(0, address.to_owned());
            memory.tcp.truncate(REMEMBERED_MAX);
        }
        if memory.tcp == before {
            return Ok(());
        }
        let text = toml::to_string(&memory).map_err(|error| Error::Internal(error.to_string()))?;
        write_private(path, text.as_bytes())
    }

    /// What is remembered; nothing where that cannot be read.
    fn read(&self) -> Memory {
        let bytes = self.0.memory.as_ref().and_then(|path| read_private(path, MEMORY_BYTES_MAX).ok().flatten());
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let memory = text.as_ref().map(|text| toml::from_str::<Memory>(text));
        memory.and_then(Result::ok).unwrap_or_else(|| {
            tracing::trace!("nothing is remembered");
            Memory::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S11.9]
    fn a_relay_is_remembered_for_as_long_as_tcp_is_what_works() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("reached.toml");
        let network = Network::new(TransportChoice::Auto, Proxies::default(), Some(path.clone()));
        let (one, two) = ("one.example".parse().unwrap(), "[2001:db8::1]:5000".parse().unwrap());
        network.remember(&one, Transport::Quic);
        assert!(!path.exists(), "what is usual is not written down");
        network.remember(&one, Transport::Tcp);
        network.remember(&two, Transport::Tcp);
        assert_eq!((network.last(&one), network.last(&two)), (Some(Transport::Tcp), Some(Transport::Tcp)));
        network.remember(&one, Transport::Quic);
        assert_eq!((network.last(&one), network.last(&two)), (None, Some(Transport::Tcp)));
        Network::new(TransportChoice::Tcp, Proxies::default(), Some(path.clone())).remember(&one, Transport::Tcp);
        assert_eq!(network.last(&one), None, "what was asked for is not what was found out");
    }

    #[test]
    fn a_damaged_memory_is_none() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("reached.toml");
        std::fs::write(&path, b"tcp = 7\n\xff").unwrap();
        let network = Network::new(TransportChoice::Auto, Proxies::default(), Some(path));
        let relay = "one.example".parse().unwrap();
        assert_eq!(network.last(&relay), None);
        network.remember(&relay, Transport::Tcp);
        assert_eq!(network.last(&relay), Some(Transport::Tcp));
    }

    #[test]
    fn the_memory_is_bounded() {
        let scratch = tempfile::tempdir().unwrap();
        let network =
            Network::new(TransportChoice::Auto, Proxies::default(), Some(scratch.path().join("reached.toml")));
        let relay = |number: usize| format!("relay-{number}.example").parse().unwrap();
        for number in 0..=REMEMBERED_MAX {
            network.remember(&relay(number), Transport::Tcp);
        }
        assert_eq!(network.last(&relay(0)), None);
        assert_eq!(network.last(&relay(1)), Some(Transport::Tcp));
    }
}
