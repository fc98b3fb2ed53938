//! TCP through the piece of network: connections are passed on, and stand still while it is cut.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{LOOK, Shared};

/// Whose bytes are passed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Client,
    Relay,
}

impl Shared {
    /// Takes connections until the network is gone.
    pub(super) fn accept(self: Arc<Self>, front: &TcpListener) {
        front.set_nonblocking(true).expect("a listener can be asked without waiting");
        while !self.is_over.load(Ordering::SeqCst) {
            let Ok((client, _)) = front.accept() else {
                std::thread::park_timeout(LOOK);
                continue;
            };
            client.set_nonblocking(false).expect("a connection can be waited for");
            let own = self.clone();
            std::thread::spawn(move || own.pass_stream(client));
        }
    }

    fn pass_stream(self: Arc<Self>, client: TcpStream) {
        // Nobody answers where the network is cut.
        while !self.passes_tcp() {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            std::thread::park_timeout(LOOK);
        }
        let relay = *self.relay.lock().expect("no holder panics");
        let Ok(server) = TcpStream::connect(relay) else { return };
        self.streams.fetch_add(1, Ordering::SeqCst);
        let (Ok(back_from), Ok(back_to)) = (server.try_clone(), client.try_clone()) else { return };
        let own = self.clone();
        std::thread::spawn(move || own.pass_bytes(back_from, back_to, Speaker::Relay));
        self.pass_bytes(client, server, Speaker::Client);
    }

    fn pass_bytes(&self, mut from: TcpStream, mut to: TcpStream, speaker: Speaker) {
        from.set_read_timeout(Some(LOOK)).expect("a timeout can be set");
        let mut piece = vec![0; 256 * 1024];
        while !self.is_over.load(Ordering::SeqCst) {
            if !self.passes_tcp() {
                std::thread::park_timeout(LOOK);
                continue;
            }
            match from.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    self.passed_tcp_bytes.fetch_add(count as u64, Ordering::SeqCst);
                    let is_client = speaker == Speaker::Client;
                    if self.is_clients_turn.swap(is_client, Ordering::SeqCst) != is_client && is_client {
                        self.turns.fetch_add(1, Ordering::SeqCst);
                    }
                    if to.write_all(&piece[..count]).is_err() {
                        break;
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => break,
            }
        }
        // Either end may be gone already.
        drop(to.shutdown(Shutdown::Write));
    }

    fn passes_tcp(&self) -> bool {
        !self.is_cut.load(Ordering::SeqCst)
    }
}
