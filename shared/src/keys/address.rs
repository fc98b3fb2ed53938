//! How a relay's address is written.
//!
//! # Source
//! SPEC [S5.1].

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The UDP port of a relay when none is written.
pub const DEFAULT_PORT: u16 = 4433;

const HOST_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;

/// Where a relay listens. Written `host`, `host:port` or `[::1]:port`; the port 4433 is left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayAddress {
    /// A DNS name in lower case, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// UDP port, not 0.
    pub port: u16,
}

/// Not an address of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address of the form host, host:port or [ipv6]:port")]
pub struct AddressFault;

impl FromStr for RelayAddress {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, AddressFault> {
        let (host, rest) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let (literal, rest) = bracketed.split_once(']').ok_or(AddressFault)?;
                (literal.parse::<Ipv6Addr>().or(Err(AddressFault))?.to_string(), rest)
            }
            None => {
                let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
                (host_name(name).ok_or(AddressFault)?, rest)
            }
        };
        let port = match rest.strip_prefix(':') {
            Some(digits) => port_number(digits).ok_or(AddressFault)?,
            None if rest.is_empty() => DEFAULT_PORT,
            None => return Err(AddressFault),
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if self.port == DEFAULT_PORT { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

fn host_name(text: &str) -> Option<String> {
    let label = |label: &str| {
        (1..=LABEL_CHARS_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > HOST_CHARS_MAX || !text.split('.').all(label) {
        return None;
    }
    // What ends in a number is an IPv4 address or a mistake.
    let last = text.rsplit('.').next()?;
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<Ipv4Addr>().ok().map(|address| address.to_string());
    }
    Some(text.to_ascii_lowercase())
}

fn port_number(digits: &str) -> Option<u16> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S5.1]
    fn written_and_read_the_same_way() {
        let table = [
            ("relay.example", "relay.example", 4433, "relay.example"),
            ("Relay.Example:4433", "relay.example", 4433, "relay.example"),
            ("relay.example:443", "relay.example", 443, "relay.example:443"),
            ("localhost:1", "localhost", 1, "localhost:1"),
            ("relay_1", "relay_1", 4433, "relay_1"),
            ("127.0.0.1:65535", "127.0.0.1", 65535, "127.0.0.1:65535"),
            ("[::1]", "::1", 4433, "[::1]"),
            ("[0:0::1]:4434", "::1", 4434, "[::1]:4434"),
        ];
        for (text, host, port, shown) in table {
            let address: RelayAddress = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test] // [S5.1]
    fn everything_else_is_refused() {
        let long = "a".repeat(64);
        for text in [
            "",
            ":",
            ":4433",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "host:1:2",
            "a..b",
            ".a",
            "a.",
            "-a",
            "a-",
            "a b",
            "a/b",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[1.2.3.4]",
            "[fe80::1%eth0]",
            "1.2.3",
            "1.2.3.256",
            "пример",
            "a@b",
            &long,
        ] {
            assert_eq!(text.parse::<RelayAddress>(), Err(AddressFault), "{text:?}");
        }
    }
}
