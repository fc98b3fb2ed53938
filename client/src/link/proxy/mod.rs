//! Proxies that TCP goes through: which one, if any, and how it is asked.
//!
//! One that was asked for by name is used for every relay but the one inside this process. Those of the environment are
//! `HTTPS_PROXY` and `ALL_PROXY`, in small letters first, unless `NO_PROXY` names the relay; a relay on this machine is
//! never reached through them. A proxy resolves the relay's name itself.
//!
//! # Source
//! RFC 9110 section 9.3.6 (CONNECT), RFC 7617 (Basic), RFC 1928 and 1929 (SOCKS5).

mod ask;
mod exempt;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use handover_shared::keys::code::RelayAddress;
use zeroize::Zeroizing;

pub(super) use ask::connect;
use exempt::Exempt;

/// A written proxy.
const TEXT_BYTES_MAX: usize = 2048;
/// What SOCKS5 has room for.
const CREDENTIAL_BYTES_MAX: usize = 255;

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    kind: Kind,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Socks5,
}

#[derive(PartialEq, Eq)]
struct Credentials {
    user: Zeroizing<String>,
    password: Zeroizing<String>,
}

/// Why a text names no proxy. It holds nothing of the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProxy {
    /// It is no address.
    #[error("not the address of a proxy")]
    NotUnderstood,
    /// It is one of a kind that is not spoken here.
    #[error("a kind of proxy that is not supported")]
    Unsupported,
}

/// Why a proxy does not lead to the relay.
#[derive(Debug, thiserror::Error)]
pub enum ProxyFault {
    /// The variable of the environment is not understood.
    #[error("{variable}: {fault}")]
    Variable {
        /// Which.
        variable: &'static str,
        /// Why.
        fault: BadProxy,
    },
    /// It cannot be reached.
    #[error("it cannot be reached")]
    Unreachable(#[source] io::Error),
    /// It wants a name and a password, or others.
    #[error("it wants other credentials")]
    Credentials,
    /// It answered with this HTTP status.
    #[error("it answered with status {0}")]
    Status(u16),
    /// It answered with this SOCKS reply.
    #[error("it answered with reply {0}")]
    Reply(u8),
    /// What it answered is not the protocol.
    #[error("its answer makes no sense")]
    Garbled,
}

/// The proxies there are.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    asked: Asked,
    /// Of the environment, and the variable it stands in.
    ambient: Option<(&'static str, Result<Proxy, BadProxy>)>,
    exempt: Exempt,
}

/// What was asked for by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Nothing.
    #[default]
    Nothing,
    /// That there be none.
    NoProxy,
    /// This one.
    Proxy(Proxy),
}

impl Proxies {
    /// Those of the environment, unless something was asked for by name.
    pub fn new(asked: Asked, variable: impl Fn(&str) -> Option<String>) -> Self {
        // In the order in which they count.
        let names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
        let set = |name: &&str| variable(name).filter(|text| !text.is_empty());
        let ambient = names.into_iter().find_map(|name| Some((name, set(&name)?.parse())));
        let exempt = ["no_proxy", "NO_PROXY"].iter().find_map(set).map(|text| Exempt::of(&text)).unwrap_or_default();
        Self { asked, ambient, exempt }
    }

    /// The one that leads to a relay, if one is to be used.
    ///
    /// # Errors
    /// [`ProxyFault::Variable`] when one would be and is not understood: going without it is not what was meant.
    pub(super) fn towards(&self, relay: &RelayAddress) -> Result<Option<Proxy>, ProxyFault> {
        match (&self.asked, &self.ambient) {
            (Asked::Proxy(proxy), _) => Ok(Some(proxy.clone())),
            (Asked::NoProxy, _) | (Asked::Nothing, None) => Ok(None),
            (Asked::Nothing, Some(_)) if is_this_machine(&relay.host) || self.exempt.names(relay) => Ok(None),
            (Asked::Nothing, Some((variable, proxy))) => match proxy {
                Ok(proxy) => Ok(Some(proxy.clone())),
                Err(fault) => Err(ProxyFault::Variable { variable, fault: *fault }),
            },
        }
    }

    /// Whether one was asked for by name.
    pub(super) fn is_asked_for(&self) -> bool {
        matches!(self.asked, Asked::Proxy(_))
    }
}

impl ProxyFault {
    /// Whether trying again later, with nothing changed, may succeed.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            // Bad gateway, unavailable, gateway timed out.
            Self::Status(status) => matches!(status, 502..=504),
            // General failure, network or host unreachable, refused, expired.
            Self::Reply(reply) => matches!(reply, 1 | 3..=6),
            Self::Variable { .. } | Self::Credentials | Self::Garbled => false,
        }
    }
}

impl Proxy {
    /// Whether it holds a name and a password.
    pub fn has_credentials(&self) -> bool {
        self.0.credentials.is_some()
    }
}

/// Without the credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.0.kind {
            Kind::Http => "http",
            Kind::Socks5 => "socks5",
        };
        let Inner { host, port, .. } = &*self.0;
        match host.parse::<Ipv6Addr>() {
            Ok(address) => write!(f, "{scheme}://[{address}]:{port}"),
            Err(_name) => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Proxy {
    type Err = BadProxy;

    fn from_str(text: &str) -> Result<Self, BadProxy> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(BadProxy::NotUnderstood);
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (kind, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, 80),
            // The proxy resolves names in either case: where UDP is blocked, this machine's own names may be too.
            "socks5" | "socks5h" | "socks" => (Kind::Socks5, 1080),
            "https" | "socks4" | "socks4a" => return Err(BadProxy::Unsupported),
            _ => return Err(BadProxy::NotUnderstood),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((credentials, place)) => (Some(Credentials::parse(credentials)?), place),
            None => (None, rest),
        };
        let (host, port) = split_port(place, default_port)?;
        Ok(Self(Arc::new(Inner { kind, host: host.to_owned(), port, credentials })))
    }
}

fn split_port(place: &str, default_port: u16) -> Result<(&str, u16), BadProxy> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(BadProxy::NotUnderstood)?;
            host.parse::<Ipv6Addr>().or(Err(BadProxy::NotUnderstood))?;
            (host, after.strip_prefix(':').or(after.is_empty().then_some("")).ok_or(BadProxy::NotUnderstood)?)
        }
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || host.len() > 253 || !host.chars().all(is_name) {
        return Err(BadProxy::NotUnderstood);
    }
    match port {
        "" => Ok((host, default_port)),
        port => Ok((host, port.parse().or(Err(BadProxy::NotUnderstood))?)),
    }
}

impl Credentials {
    fn parse(text: &str) -> Result<Self, BadProxy> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        Ok(Self { user: percent_decoded(user)?, password: percent_decoded(password)? })
    }
}

fn percent_decoded(text: &str) -> Result<Zeroizing<String>, BadProxy> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return Err(BadProxy::NotUnderstood) };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(BadProxy::NotUnderstood) };
        bytes.push(high << 4 | low);
        rest = tail;
    }
    if bytes.len() > CREDENTIAL_BYTES_MAX || bytes.iter().any(u8::is_ascii_control) {
        return Err(BadProxy::NotUnderstood);
    }
    let text = std::str::from_utf8(&bytes).or(Err(BadProxy::NotUnderstood))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn is_this_machine(host: &str) -> bool {
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    is_loopback || host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_written_in_these_ways() {
        let table = [
            ("proxy.example", Ok("http://proxy.example:80")),
            ("proxy.example:3128", Ok("http://proxy.example:3128")),
            ("http://proxy.example:3128/", Ok("http://proxy.example:3128")),
            ("HTTP://192.0.2.7", Ok("http://192.0.2.7:80")),
            ("socks5://proxy.example", Ok("socks5://proxy.example:1080")),
            ("socks5h://[2001:db8::1]:9050", Ok("socks5://[2001:db8::1]:9050")),
            ("http://wang:s%3Acret%40@proxy.example:3128", Ok("http://proxy.example:3128")),
            ("https://proxy.example", Err(BadProxy::Unsupported)),
            ("socks4://proxy.example", Err(BadProxy::Unsupported)),
            ("ftp://proxy.example", Err(BadProxy::NotUnderstood)),
            ("http://", Err(BadProxy::NotUnderstood)),
            ("http://proxy.example:port", Err(BadProxy::NotUnderstood)),
            ("http://proxy.example:70000", Err(BadProxy::NotUnderstood)),
            ("http://a b", Err(BadProxy::NotUnderstood)),
            ("http://wang:%zz@proxy.example", Err(BadProxy::NotUnderstood)),
            ("http://wang:%0d%0aX@proxy.example", Err(BadProxy::NotUnderstood)),
            ("http://proxy.example/path", Err(BadProxy::NotUnderstood)),
            ("http://[2001:db8::1", Err(BadProxy::NotUnderstood)),
        ];
        for (text, expected) in table {
            let parsed = text.parse::<Proxy>().map(|proxy| proxy.to_string());
            assert_eq!(parsed.as_deref(), expected.as_ref().map(|shown| *shown), "{text}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let proxy: Proxy = "http://wang:s%3Acret%40@proxy.example:3128".parse().unwrap();
        let credentials = proxy.0.credentials.as_ref().unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("wang", "s:cret@"));
        for shown in [format!("{proxy}"), format!("{proxy:?}"), format!("{:?}", Asked::Proxy(proxy.clone()))] {
            assert!(!shown.contains("wang") && !shown.contains("cret"), "{shown}");
        }
    }

    #[test]
    fn the_environment_says_which_proxy_leads_where() {
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, Option<&'a str>);
        let table: [Row; 12] = [
            (&[], "relay.example", None),
            (&[("HTTPS_PROXY", "http://p:1")], "relay.example", Some("http://p:1")),
            (&[("https_proxy", "http://q:2"), ("HTTPS_PROXY", "http://p:1")], "relay.example", Some("http://q:2")),
            (&[("ALL_PROXY", "socks5://s:3")], "relay.example", Some("socks5://s:3")),
            (&[("ALL_PROXY", "socks5://s:3"), ("https_proxy", "p:1")], "relay.example", Some("http://p:1")),
            (&[("https_proxy", ""), ("ALL_PROXY", "socks5://s:3")], "relay.example", Some("socks5://s:3")),
            (&[("HTTP_PROXY", "http://p:1")], "relay.example", None),
            (&[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "other.example,.relay.example")], "relay.example", None),
            (&[("HTTPS_PROXY", "p:1"), ("no_proxy", "*")], "relay.example", None),
            (&[("HTTPS_PROXY", "p:1")], "localhost", None),
            (&[("HTTPS_PROXY", "p:1")], "127.0.0.1:5000", None),
            (&[("HTTPS_PROXY", "p:1")], "[::1]", None),
        ];
        for (variables, relay, expected) in table {
            let variable =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            let towards = Proxies::new(Asked::Nothing, variable).towards(&relay.parse().unwrap()).unwrap();
            assert_eq!(towards.map(|proxy| proxy.to_string()).as_deref(), expected, "{variables:?} {relay}");
            assert_eq!(Proxies::new(Asked::NoProxy, variable).towards(&relay.parse().unwrap()).unwrap(), None);
            let named: Proxy = "socks5://named".parse().unwrap();
            let towards = Proxies::new(Asked::Proxy(named.clone()), variable).towards(&relay.parse().unwrap());
            assert_eq!(towards.unwrap(), Some(named), "what is asked for by name is used for all");
        }
    }

    #[test]
    fn a_variable_that_is_not_understood_is_not_taken_for_none() {
        let proxies = Proxies::new(Asked::Nothing, |name| (name == "ALL_PROXY").then(|| "gopher://p".into()));
        let fault = proxies.towards(&"relay.example".parse().unwrap()).unwrap_err();
        assert!(matches!(fault, ProxyFault::Variable { variable: "ALL_PROXY", fault: BadProxy::NotUnderstood }));
        assert!(!fault.is_passing());
        assert!(proxies.towards(&"localhost".parse().unwrap()).unwrap().is_none(), "it is not needed there");
    }
}
