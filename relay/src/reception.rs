//! Whoever comes: admitted, shaken hands with, and answered, stream by stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use handover_link::tcp::{Connection as TcpConnection, Settled};
use handover_link::{RecvStream, SendStream};
use handover_shared::fault::Fault;
use handover_shared::limits;
use quinn::{Connection, Endpoint, Incoming as QuicIncoming, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::admit::{Admitted, Handshake, Proven};
use crate::link::{Incoming as TcpIncoming, Listener, Peer};
use crate::operation;
use crate::serve::Relay;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes going on at once above which an address must first show that it is real. On TCP it has.
const UNPROVEN_HANDSHAKES_MAX: usize = 64;
/// The pause after the system gave no connection although there was one, as when files have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a client may still send on a TCP stream that is answered, and how long that may take.
const SETTLE_BYTES_MAX: usize = limits::OFFER_MESSAGE_BYTES_MAX + 16 * 1024 * 1024;
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes QUIC connections for as long as new work is taken.
pub(crate) async fn accept_quic(relay: Arc<Relay>, endpoint: Endpoint) {
    let handshakes = Arc::new(Semaphore::new(UNPROVEN_HANDSHAKES_MAX));
    loop {
        let incoming = tokio::select! {
            () = relay.draining() => return,
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => incoming,
                None => return,
            },
        };
        let from = incoming.remote_address().ip();
        let proven = if incoming.remote_address_validated() { Proven::Yes } else { Proven::No };
        match relay.admit.handshake(from, proven, Instant::now()) {
            Handshake::Go => {}
            Handshake::Prove => {
                if incoming.may_retry() && incoming.retry().is_err() {
                    tracing::debug!("an address could not be asked to prove itself");
                }
                continue;
            }
            Handshake::Refuse => {
                incoming.refuse();
                continue;
            }
        }
        let Some(admitted) = relay.admit.connect(incoming.remote_address().ip(), Instant::now()) else {
            incoming.refuse();
            continue;
        };
        match handshakes.clone().try_acquire_owned() {
            Ok(turn) => relay.tasks.spawn(converse_quic(relay.clone(), incoming, admitted, Some(turn))),
            Err(_) if incoming.remote_address_validated() => {
                relay.tasks.spawn(converse_quic(relay.clone(), incoming, admitted, None));
            }
            Err(_) => {
                if incoming.may_retry() && incoming.retry().is_err() {
                    tracing::debug!("an address could not be asked to prove itself");
                }
            }
        }
    }
}

/// Takes TCP connections for as long as new work is taken.
pub(crate) async fn accept_tcp(relay: Arc<Relay>, listener: Listener) {
    loop {
        let accepted = tokio::select! {
            () = relay.draining() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            // Whoever is not admitted is dropped, which closes the connection.
            Ok((incoming, address)) => {
                // A TCP connection shows that its address is real.
                let is_in_time = relay.admit.handshake(address.ip(), Proven::Yes, Instant::now()) == Handshake::Go;
                if is_in_time && let Some(admitted) = relay.admit.connect(address.ip(), Instant::now()) {
                    relay.tasks.spawn(converse_tcp(relay.clone(), incoming, address, admitted));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the system gives no connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One QUIC connection from its handshake to its end; streams are answered side by side.
async fn converse_quic(
    relay: Arc<Relay>,
    incoming: QuicIncoming,
    admitted: Admitted,
    turn: Option<OwnedSemaphorePermit>,
) {
    let Some((connection, peer)) = shake_hands(incoming).await else { return };
    drop(turn);
    tracing::debug!(peer = %peer.shown(), address = %peer.address, "connected");
    let mut streams = JoinSet::new();
    let idle = Duration::from_millis(relay.limits.idle_ms_max);
    let code = loop {
        // [S13.13] The time begins anew whenever a stream begins or ends.
        let is_idle = streams.is_empty();
        tokio::select! {
            () = tokio::time::sleep(idle), if is_idle => {
                tracing::debug!(peer = %peer.shown(), "nothing went on");
                break 0;
            }
            () = relay.draining() => break Fault::Draining.number().into(),
            Some(_) = streams.join_next() => {}
            opened = connection.accept_bi() => match opened {
                Ok((send, recv)) => {
                    let (send, recv) = (SendStream::Quic(send), RecvStream::Quic(recv));
                    streams.spawn(operation::answer(relay.clone(), peer.clone(), send, recv));
                }
                Err(error) => {
                    tracing::debug!(peer = %peer.shown(), %error, "disconnected");
                    break 0;
                }
            },
        }
    };
    while streams.join_next().await.is_some() {}
    connection.close(VarInt::from_u32(code), b"");
    drop(admitted);
}

async fn shake_hands(incoming: QuicIncoming) -> Option<(Connection, Peer)> {
    let address = incoming.remote_address();
    let connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(error) => {
            tracing::debug!(%address, %error, "no handshake");
            return None;
        }
    };
    match timeout(HANDSHAKE_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => {
            let peer = Peer::of_quic(&connection);
            if peer.is_none() {
                connection.close(VarInt::from_u32(Fault::NotAllowed.number().into()), b"");
            }
            peer.map(|peer| (connection, peer))
        }
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "no handshake");
            None
        }
        Err(_) => {
            tracing::debug!(%address, "the handshake took too long");
            None
        }
    }
}

/// One TCP connection from its handshake to its end; streams are answered one after the other.
async fn converse_tcp(relay: Arc<Relay>, incoming: TcpIncoming, address: SocketAddr, admitted: Admitted) {
    let connection = match timeout(HANDSHAKE_TIMEOUT, incoming.shake_hands()).await {
        Ok(Ok(connection)) => Arc::new(connection),
        Ok(Err(error)) => return tracing::debug!(%address, %error, "no handshake"),
        Err(_) => return tracing::debug!(%address, "the handshake took too long"),
    };
    let peer = Peer::of_tcp(&connection, address);
    tracing::debug!(peer = %peer.shown(), %address, "connected over TCP");
    let reason = answer_in_turn(&relay, &connection, &peer).await;
    if timeout(SETTLE_TIMEOUT, connection.close(reason)).await.is_err() {
        tracing::debug!(peer = %peer.shown(), "the end was not taken in time");
    }
    drop(admitted);
}

/// Answers streams until there are no more; why, if the relay has a reason.
async fn answer_in_turn(relay: &Arc<Relay>, connection: &Arc<TcpConnection>, peer: &Peer) -> Option<Fault> {
    let idle = Duration::from_millis(relay.limits.idle_ms_max);
    loop {
        let begun = tokio::select! {
            () = tokio::time::sleep(idle) => {
                tracing::debug!(peer = %peer.shown(), "nothing went on");
                return None;
            }
            () = relay.draining() => return Some(Fault::Draining),
            begun = connection.next() => begun,
        };
        let (send, recv) = match begun {
            Ok((send, recv)) => (SendStream::Tcp(send), RecvStream::Tcp(recv)),
            Err(ended) => {
                tracing::debug!(peer = %peer.shown(), %ended, "disconnected");
                return None;
            }
        };
        operation::answer(relay.clone(), peer.clone(), send, recv).await;
        // What is closed while something comes takes back what was said last: so that is taken first.
        if timeout(SETTLE_TIMEOUT, connection.settle(SETTLE_BYTES_MAX)).await != Ok(Settled::ForTheNext) {
            return None;
        }
    }
}
