//! Proxies as offices have them: HTTP CONNECT and SOCKS5, with or without a name and a password. They know one name, that
//! of the relay, which nobody else can resolve.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The name that the proxies of this kit resolve to the relay.
pub const RELAY_NAME: &str = "relay.behind.example";

const LOOK: Duration = Duration::from_millis(20);

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP CONNECT.
    Http,
    /// SOCKS5.
    Socks,
}

/// A proxy; dropping it ends it.
pub struct Gateway {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    spoken: Spoken,
    relay: SocketAddr,
    credentials: Option<(String, String)>,
    targets: Mutex<Vec<String>>,
    passed: AtomicU64,
    turned_away: AtomicU64,
    is_over: AtomicBool,
}

impl Gateway {
    /// Begins to lead to a relay on this machine.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start(spoken: Spoken, relay_port: u16, credentials: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            spoken,
            relay: (Ipv4Addr::LOCALHOST, relay_port).into(),
            credentials: credentials.map(|(user, password)| (user.to_owned(), password.to_owned())),
            targets: Mutex::default(),
            passed: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let own = shared.clone();
        std::thread::spawn(move || own.accept(&listener));
        Self { address, shared }
    }

    /// As a variable of the environment names it, with these credentials.
    pub fn url(&self, credentials: &str) -> String {
        let scheme = match self.shared.spoken {
            Spoken::Http => "http",
            Spoken::Socks => "socks5h",
        };
        format!("{scheme}://{credentials}{}", self.address)
    }

    /// Where it was asked to lead to, each time.
    ///
    /// # Panics
    /// Never: no holder panics.
    pub fn targets(&self) -> Vec<String> {
        self.shared.targets.lock().expect("no holder panics").clone()
    }

    /// Connections that were led on, and such that were not.
    pub fn counts(&self) -> (u64, u64) {
        (self.shared.passed.load(Ordering::SeqCst), self.shared.turned_away.load(Ordering::SeqCst))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        listener.set_nonblocking(true).expect("a listener can be asked without waiting");
        while !self.is_over.load(Ordering::SeqCst) {
            let Ok((client, _)) = listener.accept() else {
                std::thread::park_timeout(LOOK);
                continue;
            };
            client.set_nonblocking(false).expect("a connection can be waited for");
            let own = self.clone();
            std::thread::spawn(move || own.lead(client));
        }
    }

    fn lead(&self, mut client: TcpStream) {
        let outcome = match self.spoken {
            Spoken::Http => self.http(&mut client),
            Spoken::Socks => self.socks(&mut client),
        };
        let Ok(Some(server)) = outcome else {
            self.turned_away.fetch_add(1, Ordering::SeqCst);
            return;
        };
        self.passed.fetch_add(1, Ordering::SeqCst);
        let (Ok(mut back_from), Ok(mut back_to)) = (server.try_clone(), client.try_clone()) else { return };
        let mut server = server;
        std::thread::spawn(move || {
            drop(io::copy(&mut back_from, &mut back_to));
            drop(back_to.shutdown(Shutdown::Write));
        });
        drop(io::copy(&mut client, &mut server));
        drop(server.shutdown(Shutdown::Write));
    }

    /// Opens what is asked for, if it is the relay.
    fn open(&self, target: &str) -> Option<TcpStream> {
        self.targets.lock().expect("no holder panics").push(target.to_owned());
        let (host, port) = target.rsplit_once(':')?;
        let is_relay = host == RELAY_NAME || host == "127.0.0.1";
        (is_relay && port == self.relay.port().to_string()).then(|| TcpStream::connect(self.relay).ok()).flatten()
    }

    fn http(&self, client: &mut TcpStream) -> io::Result<Option<TcpStream>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        if let Some((user, password)) = &self.credentials {
            let wanted = format!("Proxy-Authorization: Basic {}", encoded(&format!("{user}:{password}")));
            if !head.lines().any(|line| line == wanted) {
                client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")?;
                return Ok(None);
            }
        }
        let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        match self.open(target) {
            Some(server) => {
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
                Ok(Some(server))
            }
            None => {
                client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n")?;
                Ok(None)
            }
        }
    }

    fn socks(&self, client: &mut TcpStream) -> io::Result<Option<TcpStream>> {
        let mut piece = [0; 256];
        let mut take = |client: &mut TcpStream, count: usize| -> io::Result<Vec<u8>> {
            client.read_exact(&mut piece[..count])?;
            Ok(piece[..count].to_vec())
        };
        let count = take(client, 2)?[1];
        let methods = take(client, count.into())?;
        match &self.credentials {
            Some((user, password)) if methods.contains(&2) => {
                client.write_all(&[5, 2])?;
                let length = take(client, 2)?[1];
                let got_user = take(client, length.into())?;
                let length = take(client, 1)?[0];
                let got_password = take(client, length.into())?;
                if got_user != user.as_bytes() || got_password != password.as_bytes() {
                    client.write_all(&[1, 1])?;
                    return Ok(None);
                }
                client.write_all(&[1, 0])?;
            }
            None if methods.contains(&0) => client.write_all(&[5, 0])?,
            _ => {
                client.write_all(&[5, 0xff])?;
                return Ok(None);
            }
        }
        let head = take(client, 4)?;
        let host = match head[3] {
            1 => {
                let octets = take(client, 4)?;
                Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).to_string()
            }
            3 => {
                let length = take(client, 1)?[0];
                String::from_utf8_lossy(&take(client, length.into())?).into_owned()
            }
            _ => return Ok(None),
        };
        let port = take(client, 2)?;
        let target = format!("{host}:{}", u16::from_be_bytes([port[0], port[1]]));
        match self.open(&target) {
            Some(server) => {
                client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])?;
                Ok(Some(server))
            }
            None => {
                client.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0])?;
                Ok(None)
            }
        }
    }
}

/// Base64, by the slow and obvious way: bit by bit.
fn encoded(text: &str) -> String {
    let digits: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let bits: Vec<u8> = text.bytes().flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1)).collect();
    let digit = |six: &[u8]| {
        let value = (0..6).fold(0, |value, place| value << 1 | usize::from(six.get(place).copied().unwrap_or(0)));
        digits[value]
    };
    let mut written: String = bits.chunks(6).map(digit).collect();
    while !written.len().is_multiple_of(4) {
        written.push('=');
    }
    written
}
