//! Starting a relay, sweeping, draining.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use handover_shared::fault::Fault;
use handover_shared::ids::{LinkKey, Millis};
use handover_shared::invite::Invite;
use handover_shared::keys::address::RelayAddress;
use handover_shared::proof::fingerprint_of_link_key;
use quinn::{Endpoint, VarInt};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::admit::Admit;
use crate::cleanup::CleanupError;
use crate::config::{Config, Limits};
use crate::home::{Home, HomeError};
use crate::invite::{self, Secret};
use crate::ledger::log::Signer;
use crate::ledger::{Causes, Clock, Ledger, LedgerError, Sqlite};
use crate::link::{self, LinkError};
use crate::live::Live;
use crate::reception;
use crate::store::Segments;
use crate::store::files::Files;
use crate::store::shares::Shares;
use crate::tasks::Tasks;

const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked for what the operator has taken down.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the last packets may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a drain waits for what is going on.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Received bytes on their way to the disk, all transfers together, in KiB.
const BUDGET_KIB: usize = 256 * 1024;
/// Large requests that are arriving, all connections together, in KiB.
const REQUESTS_KIB: usize = 32 * 1024;

/// A relay: everything its operations share.
pub struct Relay {
    pub(crate) limits: Limits,
    pub(crate) ledger: Ledger,
    pub(crate) segments: Arc<dyn Segments>,
    pub(crate) shares: Shares,
    pub(crate) signer: Arc<Signer>,
    pub(crate) live: Live,
    pub(crate) admit: Arc<Admit>,
    pub(crate) tasks: Tasks,
    /// KiB of memory for received blocks.
    pub(crate) budget: Arc<Semaphore>,
    /// KiB of memory for requests that arrive.
    pub(crate) requests: Semaphore,
    stopping: watch::Sender<Stopping>,
    // These come last: the folder is given up after everything in it is closed, and then whoever waits is told.
    home: Home,
    _gone: oneshot::Sender<()>,
}

/// Whether the relay still takes new work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stopping {
    #[default]
    No,
    Draining,
}

/// A relay that serves until it is shut down. Dropped, it stops as if it were killed: nothing is finished.
pub struct Running {
    /// Where it listens, with the real port.
    pub address: SocketAddr,
    /// Its key.
    pub key: LinkKey,
    /// Enrols sellers; prints no secret by itself.
    pub first_invite: Invite,
    work: Option<Work>,
}

/// What runs, and the sign that all of it is gone.
struct Work {
    relay: Arc<Relay>,
    endpoint: Endpoint,
    gone: oneshot::Receiver<()>,
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The network cannot be used.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// What was left from before cannot be finished.
    #[error("cannot finish what was left from before")]
    Recovery(#[from] CleanupError),
    /// The store or the shares cannot be opened.
    #[error("cannot open {what}")]
    Store {
        /// Which folder.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Relay {
    /// Starts a relay: makes what is missing, finishes what a crash left, listens.
    ///
    /// # Errors
    /// [`StartError`]; of these [`HomeError::Held`] means that another relay uses the folder.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        Self::start_at(config, Arc::new(system_time)).await
    }

    /// Like [`Self::start`], by another clock.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn start_at(config: Config, clock: Clock) -> Result<Running, StartError> {
        let home = Home::open(&config.data)?;
        let key = home.relay_key()?;
        let secret = first_invite(&home, &clock)?;
        let ledger = Ledger::open(&home.ledger(), clock)?;
        let store = |what| move |source| StartError::Store { what, source };
        let (tell_gone, gone) = oneshot::channel();
        let relay = Arc::new(Self {
            limits: config.limits,
            ledger,
            segments: Arc::new(Files::open(home.segments()).map_err(store("segments"))?),
            shares: Shares::open(home.shares()).map_err(store("shares"))?,
            signer: Arc::new(Signer::new(&key)),
            live: Live::default(),
            admit: Arc::new(Admit::new(config.limits)),
            tasks: Tasks::default(),
            budget: Arc::new(Semaphore::new(BUDGET_KIB)),
            requests: Semaphore::new(REQUESTS_KIB),
            stopping: watch::Sender::default(),
            home,
            _gone: tell_gone,
        });
        relay.recover().await?;
        let link::Listening { quic: endpoint, tcp, address } = link::listen(config.listen, &key)?;
        let first_invite = Invite {
            relay_key: key.public(),
            secret,
            address: RelayAddress {
                host: config.advertise.host.unwrap_or_else(|| primary_address(address).to_string()),
                port: config.advertise.port.unwrap_or(address.port()),
            },
        };
        relay.home.set_advertised(&first_invite.address)?;
        relay.tasks.spawn(reception::accept_quic(relay.clone(), endpoint.clone()));
        relay.tasks.spawn(reception::accept_tcp(relay.clone(), tcp));
        relay.tasks.spawn(sweep(relay.clone()));
        tracing::info!(%address, key = fingerprint_of_link_key(&key.public()), "serves");
        let work = Some(Work { relay, endpoint, gone });
        Ok(Running { address, key: key.public(), first_invite, work })
    }

    /// Whether no new work is taken.
    pub(crate) fn is_draining(&self) -> bool {
        *self.stopping.borrow() == Stopping::Draining
    }

    /// Waits until no new work is taken.
    pub(crate) async fn draining(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives in the relay that this borrows.
        drop(stopping.wait_for(|stopping| *stopping == Stopping::Draining).await);
    }
}

impl Running {
    /// Refuses new work, lets what was received become durable, closes every connection and the data folder.
    pub async fn shutdown(mut self) {
        let Some(work) = self.work.take() else { return };
        work.relay.stopping.send_replace(Stopping::Draining);
        if timeout(DRAIN_TIMEOUT, work.relay.tasks.ended()).await.is_err() {
            tracing::warn!("some operations did not end in time");
        }
        let code = VarInt::from_u32(Fault::Draining.number().into());
        work.end(code).await;
        tracing::info!("stopped");
    }

    /// Ends now what is over, instead of at the next minute.
    ///
    /// # Errors
    /// The first failure.
    pub async fn sweep(&self) -> Result<(), CleanupError> {
        match &self.work {
            Some(work) => work.relay.sweep().await,
            None => Ok(()),
        }
    }

    /// Stops at once and finishes nothing, as a crash would; returns when the data folder is free again.
    pub async fn kill(mut self) {
        if let Some(work) = self.work.take() {
            work.end(VarInt::from_u32(0)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            work.stop(VarInt::from_u32(0));
        }
    }
}

impl Work {
    fn stop(&self, code: VarInt) {
        self.relay.tasks.abort();
        self.endpoint.close(code, b"");
    }

    async fn end(self, code: VarInt) {
        self.stop(code);
        let Self { relay, endpoint, gone } = self;
        if timeout(CLOSE_TIMEOUT, endpoint.wait_idle()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        drop(relay);
        // The sender is only dropped, never used.
        if timeout(DRAIN_TIMEOUT, gone).await.is_err() {
            tracing::warn!("the data folder is still in use");
        }
    }
}

async fn sweep(relay: Arc<Relay>) {
    let mut ticks = interval(SWEEP_EVERY);
    let mut looks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = relay.draining() => return,
            _ = ticks.tick() => {}
            // [S13.16] The operator's other process takes down; this one tells and deletes.
            _ = looks.tick() => match relay.ledger.read(|rows, _| rows.taken_down(1)).await {
                Ok(found) if found.is_empty() => continue,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = %Causes(&error), "the ledger could not be looked at");
                    continue;
                }
            },
        }
        if let Err(error) = relay.sweep().await {
            tracing::error!(error = %Causes(&error), "will be tried again");
        }
    }
}

/// This machine's address towards the world, found without sending anything; the loopback if there is none.
fn primary_address(listening: SocketAddr) -> IpAddr {
    if !listening.ip().is_unspecified() {
        return listening.ip();
    }
    // Addresses for documentation: nobody is there, and nothing is sent to them.
    let towards = |own: SocketAddr, other: SocketAddr| {
        let socket = UdpSocket::bind(own).ok()?;
        socket.connect(other).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_unspecified() && !address.is_loopback()).then_some(address)
    };
    let v4 = towards((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into());
    let v6 = || {
        let documentation = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        towards((Ipv6Addr::UNSPECIFIED, 0).into(), (documentation, 9).into())
    };
    v4.or_else(v6).unwrap_or(Ipv4Addr::LOCALHOST.into())
}

/// The system's clock.
fn system_time() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn first_invite(home: &Home, clock: &Clock) -> Result<Secret, StartError> {
    let mut rows = Sqlite::open(&home.ledger())?;
    invite::first(home, &mut rows, clock())
}
