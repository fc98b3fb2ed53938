//! A piece of network between clients and a relay: it can be cut without a word, it can lose all datagrams, and it can
//! change the address behind which a client is, as a telephone does that goes from one network to another.

mod streams;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::sockopt;

/// How often a thread looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);
const BUFFER_BYTES: usize = 8 << 20;

/// A proxy; dropping it ends it.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    front: UdpSocket,
    relay: Mutex<SocketAddr>,
    is_cut: AtomicBool,
    loses_datagrams: AtomicBool,
    is_over: AtomicBool,
    lost: AtomicU64,
    passed_bytes: AtomicU64,
    streams: AtomicU64,
    passed_tcp_bytes: AtomicU64,
    turns: AtomicU64,
    is_clients_turn: AtomicBool,
    /// Of each client, what it is to the relay.
    behind: Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>,
}

impl Proxy {
    /// Begins to pass on what comes to a loopback port that is free for UDP and TCP.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start(relay_port: u16) -> Self {
        let (front, listener) = fronts();
        let address = front.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            front,
            relay: Mutex::new((Ipv4Addr::LOCALHOST, relay_port).into()),
            is_cut: AtomicBool::new(false),
            loses_datagrams: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            passed_bytes: AtomicU64::new(0),
            streams: AtomicU64::new(0),
            passed_tcp_bytes: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            is_clients_turn: AtomicBool::new(false),
            behind: Mutex::default(),
        });
        let own = shared.clone();
        std::thread::spawn(move || own.pass_in());
        let own = shared.clone();
        std::thread::spawn(move || own.accept(&listener));
        Self { address, shared }
    }

    /// Host and port at which it stands for the relay.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Drops everything from now on, in both directions, without a word.
    pub fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
    }

    /// Passes everything on again.
    pub fn mend(&self) {
        self.shared.is_cut.store(false, Ordering::SeqCst);
    }

    /// Loses every datagram from now on; TCP gets through.
    pub fn block_udp(&self) {
        self.shared.loses_datagrams.store(true, Ordering::SeqCst);
    }

    /// Passes datagrams on again.
    pub fn allow_udp(&self) {
        self.shared.loses_datagrams.store(false, Ordering::SeqCst);
    }

    /// TCP connections that were passed on.
    pub fn streams(&self) -> u64 {
        self.shared.streams.load(Ordering::SeqCst)
    }

    /// How often a client has spoken over TCP after it had heard something, all connections together: the round trips
    /// that a run takes on a path so long that nothing else counts.
    pub fn turns(&self) -> u64 {
        self.shared.turns.load(Ordering::SeqCst)
    }

    /// Bytes of TCP connections that were passed on, both ways.
    pub fn passed_tcp_bytes(&self) -> u64 {
        self.shared.passed_tcp_bytes.load(Ordering::SeqCst)
    }

    /// Puts every client behind another port; the relay sees it at another address in the middle of its connection.
    pub fn change_addresses(&self) {
        self.shared.behind.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Datagrams that were dropped.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::SeqCst)
    }

    /// Bytes of datagrams that were passed on, both ways.
    pub fn passed_bytes(&self) -> u64 {
        self.shared.passed_bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn pass_in(self: Arc<Self>) {
        let mut datagram = vec![0; 1 << 16];
        while !self.is_over.load(Ordering::SeqCst) {
            let Ok((count, client)) = self.front.recv_from(&mut datagram) else { continue };
            if self.passes(count) {
                let behind = self.behind(client);
                let relay = *self.relay.lock().unwrap_or_else(PoisonError::into_inner);
                // A relay that is away refuses; datagrams are lost then as they are anywhere.
                drop(behind.send_to(&datagram[..count], relay));
            }
        }
    }

    fn passes(&self, count: usize) -> bool {
        let passes = !self.is_cut.load(Ordering::SeqCst) && !self.loses_datagrams.load(Ordering::SeqCst);
        if passes {
            self.passed_bytes.fetch_add(count as u64, Ordering::SeqCst);
        } else {
            self.lost.fetch_add(1, Ordering::SeqCst);
        }
        passes
    }

    fn behind(self: &Arc<Self>, client: SocketAddr) -> Arc<UdpSocket> {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        let known = behind.entry(client).or_insert_with(|| {
            let back = Arc::new(socket());
            let (own, from) = (self.clone(), back.clone());
            std::thread::spawn(move || own.pass_back(client, &from));
            back
        });
        known.clone()
    }

    fn pass_back(&self, client: SocketAddr, back: &Arc<UdpSocket>) {
        let mut datagram = vec![0; 1 << 16];
        while !self.is_over.load(Ordering::SeqCst) {
            let Ok((count, _)) = back.recv_from(&mut datagram) else { continue };
            // What comes for an address that a client has left is lost.
            let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
            let is_current = behind.get(&client).is_some_and(|current| Arc::ptr_eq(current, back));
            drop(behind);
            if !is_current {
                return;
            }
            if self.passes(count) {
                drop(self.front.send_to(&datagram[..count], client));
            }
        }
    }
}

/// One port, for datagrams and for connections.
fn fronts() -> (UdpSocket, TcpListener) {
    loop {
        let front = socket();
        let address = front.local_addr().expect("a bound socket has an address");
        if let Ok(listener) = TcpListener::bind(address) {
            return (front, listener);
        }
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    socket.set_read_timeout(Some(LOOK)).expect("a timeout can be set");
    for set in [sockopt::set_socket_recv_buffer_size, sockopt::set_socket_send_buffer_size] {
        set(&socket, BUFFER_BYTES).expect("a buffer can be asked for");
    }
    socket
}
