//! `NO_PROXY`: relays that are reached without a proxy of the environment.

use std::net::IpAddr;

use handover_shared::keys::code::RelayAddress;

/// What is not reached through a proxy.
#[derive(Clone, Debug, Default)]
pub(super) struct Exempt(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    All,
    /// An address with so many leading bits.
    Network(IpAddr, u32),
    /// A name and everything below it, at one port or at every.
    Name(String, Option<u16>),
}

impl Exempt {
    /// Reads the variable: what stands between commas; what is not understood names nothing.
    pub(super) fn of(text: &str) -> Self {
        Self(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(rule).collect())
    }

    pub(super) fn names(&self, relay: &RelayAddress) -> bool {
        let address = relay.host.parse::<IpAddr>().ok();
        let host = relay.host.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|rule| match rule {
            Rule::All => true,
            Rule::Network(network, bits) => address.is_some_and(|address| is_within(address, *network, *bits)),
            Rule::Name(name, port) => {
                let is_below =
                    host.strip_suffix(name.as_str()).is_some_and(|head| head.is_empty() || head.ends_with('.'));
                is_below && port.is_none_or(|port| port == relay.port)
            }
        })
    }
}

fn rule(text: &str) -> Rule {
    if text == "*" {
        return Rule::All;
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Rule::Network(address, 128);
    }
    if let Some((address, bits)) = text.split_once('/')
        && let (Ok(address), Ok(bits)) = (address.parse(), bits.parse())
    {
        return Rule::Network(address, bits);
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => (name, port.parse().ok()),
        _ => (text, None),
    };
    let name = name.trim_start_matches('*').trim_start_matches('.').trim_end_matches('.');
    Rule::Name(name.to_ascii_lowercase(), port)
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address.to_canonical(), network.to_canonical()) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
            u32::from(address) & mask == u32::from(network) & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
            u128::from(address) & mask == u128::from(network) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_what_they_say() {
        let table = [
            ("example.com", "example.com", true),
            ("example.com", "relay.EXAMPLE.com", true),
            ("example.com", "notexample.com", false),
            (".example.com", "relay.example.com", true),
            ("*.example.com", "relay.example.com", true),
            ("example.com:5000", "example.com:5000", true),
            ("example.com:5000", "example.com", false),
            ("a, b ,example.com", "example.com", true),
            ("*", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.0/24", "192.0.2.200", true),
            ("192.0.2.0/24", "192.0.3.1", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("2001:db8::/32", "[2001:db8:1::1]", true),
            ("2001:db8::/32", "[2001:db9::1]", false),
            ("[2001:db8::1]", "[2001:db8::1]", true),
            ("192.0.2.0/99", "192.0.2.0", true),
            ("", "example.com", false),
            (",,", "example.com", false),
        ];
        for (text, relay, expected) in table {
            assert_eq!(Exempt::of(text).names(&relay.parse().unwrap()), expected, "{text} {relay}");
        }
    }
}
