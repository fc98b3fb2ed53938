//! Asking a proxy to lead to a relay.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use handover_link::tcp::settle;
use handover_shared::keys::code::RelayAddress;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::{Credentials, Inner, Kind, Proxy, ProxyFault};

/// The longest answer to CONNECT.
const ANSWER_BYTES_MAX: usize = 8 * 1024;
/// The head start of one address of the proxy before the next is tried as well.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

const SOCKS_VERSION: u8 = 5;
const SOCKS_OPEN: u8 = 0;
const SOCKS_PASSWORD: u8 = 2;
const SOCKS_CONNECT: u8 = 1;
const SOCKS_IPV4: u8 = 1;
const SOCKS_NAME: u8 = 3;
const SOCKS_IPV6: u8 = 4;

/// Reaches a relay through a proxy.
///
/// # Errors
/// [`ProxyFault`].
pub(in crate::link) async fn connect(proxy: &Proxy, relay: &RelayAddress) -> Result<TcpStream, ProxyFault> {
    let Inner { kind, host, port, credentials } = &*proxy.0;
    let mut stream = reach(host, *port).await.map_err(ProxyFault::Unreachable)?;
    settle(&stream);
    match kind {
        Kind::Http => http(&mut stream, relay, credentials.as_ref()).await?,
        Kind::Socks5 => socks(&mut stream, relay, credentials.as_ref()).await?,
    }
    Ok(stream)
}

/// Reaches the proxy, IPv6 first.
async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut targets: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_name) => tokio::net::lookup_host((host, port)).await?.collect(),
    };
    targets.sort_by_key(SocketAddr::is_ipv4);
    let mut attempts = JoinSet::new();
    for (turn, target) in (0..).zip(targets) {
        attempts.spawn(async move {
            tokio::time::sleep(NEXT_ADDRESS_AFTER * turn).await;
            TcpStream::connect(target).await
        });
    }
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(joined) = attempts.join_next().await {
        match joined {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(panicked) => failure = io::Error::other(panicked),
        }
    }
    Err(failure)
}

/// RFC 9110 section 9.3.6.
async fn http(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    relay: &RelayAddress,
    credentials: Option<&Credentials>,
) -> Result<(), ProxyFault> {
    let host = match relay.host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => relay.host.clone(),
    };
    let target = format!("{host}:{}", relay.port);
    let mut request = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
    if let Some(Credentials { user, password }) = credentials {
        let pair = Zeroizing::new(format!("{}:{}", user.as_str(), password.as_str()));
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&base64(pair.as_bytes()));
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(ProxyFault::Unreachable)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        // One at a time: what follows belongs to TLS.
        let byte = stream.read_u8().await.map_err(cut_short)?;
        answer.push(byte);
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(ProxyFault::Garbled);
        }
    }
    match status(&answer).ok_or(ProxyFault::Garbled)? {
        200..=299 => Ok(()),
        407 => Err(ProxyFault::Credentials),
        other => Err(ProxyFault::Status(other)),
    }
}

/// The status of `HTTP/1.1 200 …`.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let rest = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    let digits = rest.get(1..)?.strip_prefix(' ')?.get(..3)?;
    digits.parse().ok().filter(|status| (100..600).contains(status))
}

/// RFC 1928 and 1929.
async fn socks(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    relay: &RelayAddress,
    credentials: Option<&Credentials>,
) -> Result<(), ProxyFault> {
    let methods: &[u8] = match credentials {
        Some(_) => &[SOCKS_VERSION, 2, SOCKS_OPEN, SOCKS_PASSWORD],
        None => &[SOCKS_VERSION, 1, SOCKS_OPEN],
    };
    stream.write_all(methods).await.map_err(ProxyFault::Unreachable)?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await.map_err(cut_short)?;
    match (chosen, credentials) {
        ([SOCKS_VERSION, SOCKS_OPEN], _) => {}
        ([SOCKS_VERSION, SOCKS_PASSWORD], Some(credentials)) => sign_in(stream, credentials).await?,
        ([SOCKS_VERSION, SOCKS_PASSWORD | 0xff], _) => return Err(ProxyFault::Credentials),
        _ => return Err(ProxyFault::Garbled),
    }
    let mut request = vec![SOCKS_VERSION, SOCKS_CONNECT, 0];
    match relay.host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            request.push(SOCKS_IPV4);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(SOCKS_IPV6);
            request.extend(address.octets());
        }
        Err(_name) => {
            request.push(SOCKS_NAME);
            // A name that can be resolved has at most 253 bytes.
            request.push(u8::try_from(relay.host.len()).map_err(|_long| ProxyFault::Reply(4))?);
            request.extend(relay.host.as_bytes());
        }
    }
    request.extend(relay.port.to_be_bytes());
    stream.write_all(&request).await.map_err(ProxyFault::Unreachable)?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await.map_err(cut_short)?;
    let [SOCKS_VERSION, outcome, _, kind] = reply else { return Err(ProxyFault::Garbled) };
    if outcome != 0 {
        return Err(ProxyFault::Reply(outcome));
    }
    let address_bytes = match kind {
        SOCKS_IPV4 => 4,
        SOCKS_IPV6 => 16,
        SOCKS_NAME => usize::from(stream.read_u8().await.map_err(cut_short)?),
        _ => return Err(ProxyFault::Garbled),
    };
    // Where the proxy sits is of no use here.
    let mut bound = vec![0; address_bytes + 2];
    stream.read_exact(&mut bound).await.map_err(cut_short)?;
    Ok(())
}

async fn sign_in(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    Credentials { user, password }: &Credentials,
) -> Result<(), ProxyFault> {
    const VERSION: u8 = 1;
    let mut request = Zeroizing::new(vec![VERSION]);
    for part in [user, password] {
        // Longer ones were refused when they were read.
        request.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        request.extend(part.as_bytes());
    }
    stream.write_all(&request).await.map_err(ProxyFault::Unreachable)?;
    let mut outcome = [0; 2];
    stream.read_exact(&mut outcome).await.map_err(cut_short)?;
    if outcome == [VERSION, 0] { Ok(()) } else { Err(ProxyFault::Credentials) }
}

/// A proxy that hangs up in the middle has not answered.
fn cut_short(error: io::Error) -> ProxyFault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ProxyFault::Garbled,
        _ => ProxyFault::Unreachable(error),
    }
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4));
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks a proxy that answers with these bytes; what it was told, and what came of it.
    async fn asked(proxy: &str, relay: &str, answers: &[&[u8]]) -> (Vec<u8>, Result<(), ProxyFault>) {
        let proxy: Proxy = proxy.parse().unwrap();
        let relay = relay.parse().unwrap();
        let (mut own, mut other) = tokio::io::duplex(64 * 1024);
        for answer in answers {
            other.write_all(answer).await.unwrap();
        }
        other.shutdown().await.unwrap();
        let Inner { kind, credentials, .. } = &*proxy.0;
        let outcome = match kind {
            Kind::Http => http(&mut own, &relay, credentials.as_ref()).await,
            Kind::Socks5 => socks(&mut own, &relay, credentials.as_ref()).await,
        };
        drop(own);
        let mut told = Vec::new();
        other.read_to_end(&mut told).await.unwrap();
        (told, outcome)
    }

    #[tokio::test]
    async fn connect_says_where_to_and_who() {
        let (told, outcome) = asked("http://p", "relay.example", &[b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n"]).await;
        outcome.unwrap();
        assert_eq!(told, b"CONNECT relay.example:4433 HTTP/1.1\r\nHost: relay.example:4433\r\n\r\n");
        let (told, outcome) = asked("http://wang:geheim@p", "[2001:db8::1]:99", &[b"HTTP/1.0 200 \r\n\r\n"]).await;
        outcome.unwrap();
        let expected = "CONNECT [2001:db8::1]:99 HTTP/1.1\r\nHost: [2001:db8::1]:99\r\n\
                        Proxy-Authorization: Basic d2FuZzpnZWhlaW0=\r\n\r\n";
        assert_eq!(String::from_utf8(told).unwrap(), expected);
    }

    #[tokio::test]
    async fn what_an_http_proxy_may_answer() {
        let endless = [b'x'; ANSWER_BYTES_MAX + 10];
        let table: [(&[u8], &str); 7] = [
            (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it wants other credentials"),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", "it answered with status 403"),
            (b"HTTP/1.1 503 \r\n\r\n", "it answered with status 503"),
            (b"HTTP/1.1 twohundred\r\n\r\n", "its answer makes no sense"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "its answer makes no sense"),
            (b"", "its answer makes no sense"),
            (&endless, "its answer makes no sense"),
        ];
        for (answer, expected) in table {
            let (_, outcome) = asked("http://p", "relay.example", &[answer]).await;
            assert_eq!(outcome.unwrap_err().to_string(), expected);
        }
    }

    #[tokio::test]
    async fn socks_names_the_relay_and_signs_in_if_asked_to() {
        let bound = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let (told, outcome) = asked("socks5://p", "relay.example", &[&[5, 0], &bound]).await;
        outcome.unwrap();
        assert_eq!(told, [&[5, 1, 0, 5, 1, 0, 3, 13][..], b"relay.example", &[0x11, 0x51]].concat());
        let (told, outcome) =
            asked("socks5://wang:geheim@p", "192.0.2.7:80", &[&[5, 2], &[1, 0], &[5, 0, 0, 3, 1, b'x', 0, 1]]).await;
        outcome.unwrap();
        let expected = [&[5, 2, 0, 2, 1, 4][..], b"wang", &[6], b"geheim", &[5, 1, 0, 1, 192, 0, 2, 7, 0, 80]];
        assert_eq!(told, expected.concat());
        let (told, outcome) = asked("socks5://p", "[::2]:1", &[&[5, 0], &bound]).await;
        outcome.unwrap();
        assert_eq!(told[3..8], [5, 1, 0, 4, 0]);
    }

    #[tokio::test]
    async fn what_a_socks_proxy_may_answer() {
        let table: [(&str, &[u8], &str); 7] = [
            ("socks5://p", &[5, 0xff], "it wants other credentials"),
            ("socks5://p", &[5, 2], "it wants other credentials"),
            ("socks5://a:b@p", &[5, 2, 1, 1], "it wants other credentials"),
            ("socks5://p", &[5, 0, 5, 5, 0, 1], "it answered with reply 5"),
            ("socks5://p", &[4, 0], "its answer makes no sense"),
            ("socks5://p", &[5, 0, 5, 0, 0, 9], "its answer makes no sense"),
            ("socks5://p", b"", "its answer makes no sense"),
        ];
        for (proxy, answer, expected) in table {
            let (_, outcome) = asked(proxy, "relay.example", &[answer]).await;
            assert_eq!(outcome.unwrap_err().to_string(), expected, "{answer:?}");
        }
    }

    #[test]
    fn base64_as_in_the_rfc() {
        let table =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in table {
            assert_eq!(base64(bytes.as_bytes()).as_str(), text);
        }
    }
}
