//! The relay of a run: one of the book, one of an invite, or one inside this process.

use std::sync::Arc;

use handover_shared::ids::LinkKey;
use handover_shared::keys::code::RelayAddress;

use super::session::Target;
use super::words::Place;
use crate::embedded::{EmbeddedError, EmbeddedRelay};
use crate::error::Error;
use crate::home::Home;
use crate::home::transfers::Facts;
use crate::link::network::Network;

/// The relay of a run: how to reach it, and the relay itself if it is in here.
pub struct Reachable {
    /// How this run reaches it.
    pub target: Target,
    /// How buyers reach it.
    pub shown: RelayAddress,
    /// It, if it is in here.
    pub embedded: Option<EmbeddedRelay>,
}

impl Reachable {
    /// Where the relay is, and the relay itself if it is in here.
    ///
    /// # Errors
    /// [`Error::Held`] if another push runs the relay of this machine; else what [`EmbeddedRelay::start`] fails with.
    pub async fn open(home: &Home, place: &Place, before: Option<&Facts>) -> Result<Self, Error> {
        let own = Arc::new(home.link_secret()?);
        let elsewhere = |address: &RelayAddress, key: LinkKey| Self {
            target: Target { address: address.clone(), key, own: own.clone(), network: home.network().clone() },
            shown: address.clone(),
            embedded: None,
        };
        match place {
            Place::Known(known) => Ok(elsewhere(&known.address, known.key)),
            Place::Invited(invite) => Ok(elsewhere(&invite.address, invite.relay_key)),
            Place::Embedded => {
                let port = before.map(Facts::relay_address).transpose()?.map(|address| address.port);
                let embedded = match EmbeddedRelay::start(home, port).await {
                    Err(EmbeddedError::Held(error)) => return Err(embedding(home)?.unwrap_or(error)),
                    other => other?,
                };
                let network = Network::default();
                let target = Target { address: embedded.loopback(), key: embedded.key(), own, network };
                Ok(Self { target, shown: embedded.address().clone(), embedded: Some(embedded) })
            }
        }
    }

    /// Lets go of it; a relay in here makes durable what it has received.
    pub async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.shutdown().await;
        }
    }
}

/// The transfer whose push runs the relay of this machine just now.
fn embedding(home: &Home) -> Result<Option<Error>, Error> {
    for folder in home.transfers()? {
        if folder.facts()?.embedded
            && let Err(error @ Error::Held { .. }) = folder.hold()
        {
            return Ok(Some(error));
        }
    }
    Ok(None)
}
