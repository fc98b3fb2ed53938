//! A relay inside this process, for a push that knows of none: the one place where the client uses the relay's library.
//!
//! It keeps its data below the state folder, so that a push that was interrupted finds it again, and listens on the same
//! port as before, so that the code that was printed stays right.

use std::net::{Ipv6Addr, SocketAddr};

use handover_relay::home::HomeError;
use handover_relay::{Advertise, Config, Relay, Running, StartError};
use handover_shared::ids::LinkKey;
use handover_shared::invite::Invite;
use handover_shared::keys::code::RelayAddress;

use crate::error::Error;
use crate::home::Home;
use crate::link;

/// A relay that runs for as long as this lives.
pub struct EmbeddedRelay {
    running: Running,
    address: RelayAddress,
}

/// Why it does not start.
pub enum EmbeddedError {
    /// Another push of this machine runs it.
    Held(Error),
    /// Another reason.
    Other(Error),
}

impl From<EmbeddedError> for Error {
    fn from(error: EmbeddedError) -> Self {
        match error {
            EmbeddedError::Held(error) | EmbeddedError::Other(error) => error,
        }
    }
}

impl EmbeddedRelay {
    /// Starts it, on the port of before if that is free, else on any.
    ///
    /// # Errors
    /// [`EmbeddedError::Held`] when another push of this machine runs it; else [`Error::State`], and
    /// [`Error::Unreachable`] when this machine has no address.
    pub async fn start(home: &Home, port: Option<u16>) -> Result<Self, EmbeddedError> {
        let host = link::own_address()
            .map_err(|source| EmbeddedError::Other(Error::Unreachable { address: "this machine".into(), source }))?;
        let host = host.to_string();
        let running = match Relay::start(config(home, &host, port.unwrap_or(0))).await {
            Err(StartError::Link(taken)) if port.is_some() => {
                tracing::debug!(%taken, "the port of before is taken");
                Relay::start(config(home, &host, 0)).await
            }
            other => other,
        };
        let running = running.map_err(|error| {
            let is_held = matches!(error, StartError::Home(HomeError::Held { .. }));
            let error = Error::State {
                what: "the relay inside this process does not start",
                path: home.embedded_relay_folder(),
                source: Some(error.into()),
            };
            if is_held { EmbeddedError::Held(error) } else { EmbeddedError::Other(error) }
        })?;
        let address = RelayAddress { host, port: running.address.port() };
        Ok(Self { running, address })
    }

    /// Where other machines reach it.
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// Where this machine reaches it.
    pub fn loopback(&self) -> RelayAddress {
        RelayAddress { host: "127.0.0.1".into(), port: self.address.port }
    }

    /// Its key.
    pub fn key(&self) -> LinkKey {
        self.running.key
    }

    /// What enrols this seller at it.
    pub fn invite(&self) -> &Invite {
        &self.running.first_invite
    }

    /// Ends it when what was received is durable.
    pub async fn shutdown(self) {
        self.running.shutdown().await;
    }
}

fn config(home: &Home, host: &str, port: u16) -> Config {
    Config {
        listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        advertise: Advertise { host: Some(host.into()), port: None },
        ..Config::new(home.embedded_relay_folder())
    }
}
