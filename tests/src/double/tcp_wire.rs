//! TLS on TCP with a relay, on which any bytes are said.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use handover_shared::protocol::record::Record;
use handover_shared::tls::{ExpectedRelay, LinkSecret, client_config};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::seller_wire::address;
use crate::wait;

/// How long anything may take before the test fails.
const PATIENCE: Duration = wait::USUAL;

/// A TCP connection from one of this machine's addresses, before anything is said.
///
/// # Errors
/// What became of it.
pub async fn connect(relay: &str, from: IpAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(address(relay)).await
}

/// A handshake with these settings. A client of TLS 1.3 has done its part before it hears what the relay makes of it.
///
/// # Errors
/// What became of it.
pub async fn shake(relay: &str, config: ClientConfig, from: IpAddr) -> Result<TlsStream<TcpStream>, String> {
    let shaking = async {
        let socket = connect(relay, from).await.map_err(|error| error.to_string())?;
        let name = ServerName::try_from("relay.handover").map_err(|error| error.to_string())?;
        TlsConnector::from(Arc::new(config)).connect(name, socket).await.map_err(|error| error.to_string())
    };
    tokio::time::timeout(PATIENCE, shaking).await.map_err(|elapsed| elapsed.to_string())?
}

/// A session with a key of its own, as the real client has it.
///
/// # Errors
/// What became of it.
pub async fn session(relay: &str, key: &LinkSecret, from: IpAddr) -> Result<TlsStream<TcpStream>, String> {
    shake(relay, client_config(key, ExpectedRelay::ToldByOffer).expect("the settings are right"), from).await
}

/// Bytes of a stream as a record.
pub fn data(bytes: &[u8]) -> Vec<u8> {
    [&Record::Data(bytes.len()).header()[..], bytes].concat()
}

/// Everything the relay still says before it closes.
///
/// # Panics
/// When it does not close in time.
pub async fn until_closed(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut heard = Vec::new();
    // However it ends, it has ended.
    drop(tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("the relay closes in time"));
    heard
}
