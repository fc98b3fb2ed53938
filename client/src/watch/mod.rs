//! What the relay tells the seller about a transfer, checked and kept: the claim, attempts after it, the receipt, the end.
//!
//! | file of the transfer | what |
//! |---|---|
//! | `claim.txt`, `claim.sig`, `claim.code.sig` | the claim statement, signed by the buyer's identity and by the code's key |
//! | `agreement.txt`, `agreement.sig`, `refusal.*` | what the buyer says to the document, where there is one |
//! | `receipt.txt`, `receipt.sig` | the receipt statement and the buyer's signature |
//!
//! # Source
//! SPEC [S10.5] [S10.10] [S12.4] [S12.6].

mod keep;

use std::sync::Arc;

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, Millis};
use handover_shared::invite::Invite;
use handover_shared::proof;
use handover_shared::protocol::message::{ClaimRecord, Enrol, Named, Phase, Reply, Request, Snapshot, Watch};
use handover_shared::protocol::seller::{Afterwards, Reached, Seller, Start};
use handover_shared::tls::ExpectedRelay;

use crate::agreement;
use crate::audit::{self, Patience};
use crate::embedded::EmbeddedRelay;
use crate::error::Error;
use crate::event::{Event, Observer, Progress, ReceiptFacts};
use crate::home::Home;
use crate::home::relays::KnownRelay;
use crate::home::transfers::{Facts, Folder, Role, State};
use crate::link::network::Network;
use crate::link::{Relay, unexpected};
use crate::push::statements::Announced;
use crate::push::watching::{Delivery, NothingToSend, Session, Target};
use crate::stop::Stop;

use keep::drop_secrets;
pub use keep::{Lock, Watcher, receipt_short};
pub(crate) use keep::{expect_buyer, kept_receipt};

fn seller_folder(home: &Home, id: u64) -> Result<(Folder, Facts), Error> {
    let folder = home.transfer(id)?;
    let facts = folder.facts()?;
    match facts.role {
        Role::Seller => Ok((folder, facts)),
        Role::Buyer => Err(Error::NoSuchTransfer { asked: id.to_string() }),
    }
}

/// Where the relay of a transfer is.
fn target(home: &Home, facts: &Facts) -> Result<Target, Error> {
    Ok(Target {
        address: facts.relay_address()?,
        key: facts.relay_key()?,
        own: Arc::new(home.link_secret()?),
        network: home.network().clone(),
    })
}

/// Why a transfer that is over cannot have a receipt any more.
fn over(state: State) -> Option<Error> {
    let fault = match state {
        State::Revoked => Fault::Revoked,
        State::Expired => Fault::Expired,
        State::Refused => Fault::RefusedByBuyer,
        State::TakenDown => Fault::TakenDown,
        _ => return None,
    };
    Some(Error::Refused { fault, number: None, time: None })
}

/// Looks at the relay once, and keeps what it tells. A transfer that is over, or is the buyer's, is left as it is.
///
/// # Errors
/// [`Error::NoSuchTransfer`]; what reaching the relay fails with; what [`Watcher::take`] fails with.
pub async fn refresh(home: &Home, id: u64, observer: &dyn Observer) -> Result<Facts, Error> {
    let folder = home.transfer(id)?;
    let facts = folder.facts()?;
    let is_logged = audit::is_settled(&folder)?;
    let is_settled = facts.state == State::Collected && facts.deleted_ms.is_some() && is_logged;
    let has_ended = matches!(facts.state, State::Revoked | State::Expired | State::Refused | State::TakenDown);
    let is_over = matches!(facts.state, State::Failed | State::Preparing) || (has_ended && is_logged);
    // A relay inside a push is there only while that push runs.
    let is_away = facts.embedded && !matches!(folder.hold(), Err(Error::Held { .. }));
    if facts.role == Role::Buyer || is_settled || is_over || is_away {
        return Ok(facts);
    }
    let target = target(home, &facts)?;
    let looked = look(Lock::Whenever(&folder), &target, observer).await?;
    let gathered = audit::gather(home, Lock::Whenever(&folder), &looked.relay, Patience::None, observer).await;
    looked.relay.close().await;
    gathered?;
    folder.facts()
}

/// Looks once, and keeps what is told.
pub(crate) async fn look(lock: Lock<'_>, target: &Target, observer: &dyn Observer) -> Result<Looked, Error> {
    let mut watcher = Watcher::new(lock)?;
    let relay = target.connect().await?;
    watcher.reached(&relay, observer);
    let snapshot = snapshot(&relay, &watcher.announced).await;
    let phase = match snapshot {
        Ok(snapshot) => {
            let phase = snapshot.phase;
            watcher.take(snapshot, observer)?;
            phase
        }
        Err(error) => {
            relay.close().await;
            return Err(error);
        }
    };
    Ok(Looked { phase, receipt: watcher.receipt(), relay })
}

/// What one look found.
pub(crate) struct Looked {
    /// How far it is.
    pub phase: Phase,
    /// The receipt, if it is there.
    pub receipt: Option<ReceiptFacts>,
    /// The connection, for use again.
    pub relay: Relay,
}

async fn snapshot(relay: &Relay, announced: &Announced) -> Result<Snapshot, Error> {
    let request = Request::Watch(Watch { transfer: announced.transfer, from_event: 0 });
    match relay.ask(&request).await? {
        Reply::Snapshot(snapshot) => Ok(snapshot),
        other => Err(unexpected(other)),
    }
}

/// Waits for the receipt, through every trouble.
///
/// # Errors
/// [`Error::Refused`] with `Expired` or `Revoked` when it cannot come any more; [`Error::Interrupted`];
/// [`Error::NoSuchTransfer`]; what [`Watcher::take`] fails with.
pub async fn wait(home: &Home, id: u64, observer: Arc<dyn Observer>, stop: Stop) -> Result<ReceiptFacts, Error> {
    let (folder, facts) = seller_folder(home, id)?;
    if facts.state == State::Collected {
        return kept_receipt(&folder, &facts);
    }
    if let Some(error) = over(facts.state) {
        if let Some(refusal) = agreement::told_refusal(home, &folder, &facts)? {
            observer.event(Event::RefusedAgreement(refusal));
        }
        return Err(error);
    }
    let target = target(home, &facts)?;
    let own_target = target.clone();
    let watcher = Watcher::new(Lock::Whenever(&folder))?;
    let start = Start {
        reached: Reached::Completed,
        acknowledged: BlockCount(0),
        journaled: BlockCount(0),
        afterwards: Afterwards::Watch,
        window: BlockCount(1),
    };
    let delivery = Delivery {
        machine: Seller::new(start, Millis(0)),
        session: Session::new(target, watcher.announced.transfer, None),
        transfer: NothingToSend,
        watcher,
        observer: observer.clone(),
        stop,
        whole: Progress::default(),
        block_bytes: 0,
    };
    let outcome = Box::pin(delivery.run()).await;
    let is_over = !matches!(&outcome, Err(error) if !has_ended(error));
    if is_over && !facts.embedded {
        audit::settle(home, Lock::Whenever(&folder), &own_target, &*observer).await?;
    }
    outcome?.receipt.ok_or(Error::RelayMisbehaved("has a receipt and does not show it"))
}

/// Whether an error says that the transfer is over at the relay.
pub(crate) fn has_ended(error: &Error) -> bool {
    matches!(
        error,
        Error::Refused { fault: Fault::Revoked | Fault::Expired | Fault::RefusedByBuyer | Fault::TakenDown, .. }
    )
}

/// What a revocation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Who had claimed before, `SHA256:…`, and when.
    pub claimed: Option<(String, Millis)>,
    /// Blocks that the buyer may have.
    pub fetched_blocks: u64,
    /// Blocks that were at the relay.
    pub durable: u64,
}

/// Burns the code and has the relay delete the data.
///
/// # Errors
/// [`Error::NoSuchTransfer`]; [`Error::Refused`] if it is over already; what reaching the relay fails with.
pub async fn revoke(home: &Home, id: u64, observer: &dyn Observer) -> Result<Revoked, Error> {
    let (folder, facts) = seller_folder(home, id)?;
    let announced = Announced::read(&folder)?;
    let mut target = target(home, &facts)?;
    let mut embedded = None;
    // A relay inside a push is there only while that push runs; else it is started for this.
    if facts.embedded && folder.hold().is_ok() {
        let relay = EmbeddedRelay::start(home, Some(target.address.port)).await?;
        target = Target { address: relay.loopback(), network: Network::default(), ..target };
        embedded = Some(relay);
    }
    let relay = target.connect().await?;
    let snapshot = snapshot(&relay, &announced).await?;
    match relay.ask(&Request::Revoke(Named { transfer: announced.transfer })).await? {
        Reply::Revoked(_) => {}
        other => return Err(unexpected(other)),
    }
    let gathered = audit::gather(home, Lock::Whenever(&folder), &relay, Patience::UntilDeleted, observer).await;
    relay.close().await;
    if let Some(embedded) = embedded {
        embedded.shutdown().await;
    }
    let claimed = snapshot.claim.as_ref().map(|claim| (claim_fingerprint(claim), claim.time));
    // A push that is at it learns of the end from the relay.
    let kept = Lock::Whenever(&folder).with(|held| {
        let mut facts = held.facts()?;
        facts.state = State::Revoked;
        held.store_facts(&facts)?;
        drop_secrets(held, &announced.transfer)
    })?;
    if kept.is_none() {
        tracing::debug!("another run keeps what the relay says");
    }
    gathered?;
    Ok(Revoked { claimed, fetched_blocks: snapshot.fetched.0, durable: snapshot.durable.0 })
}

/// Who claimed, as the claim says; `?` if it says nothing.
fn claim_fingerprint(record: &ClaimRecord) -> String {
    let text = proof::ClaimText::parse(&record.text);
    text.map_or_else(|_fault| "?".into(), |text| text.buyer_key.to_string())
}

/// Enrols at a relay and puts it into the book. Transfers through the relay with this key go on at this address.
///
/// # Errors
/// What reaching it fails with; [`Error::Refused`] if the invite is not accepted; [`Error::Disk`], [`Error::State`].
pub async fn add_relay(home: &Home, invite: &Invite) -> Result<KnownRelay, Error> {
    let own = home.link_secret()?;
    let relay = Relay::connect(home.network(), &invite.address, ExpectedRelay::Key(invite.relay_key), &own).await?;
    enrol(&relay, invite).await?;
    relay.close().await;
    let known = KnownRelay { address: invite.address.clone(), key: invite.relay_key, added: crate::push::now() };
    home.add_relay(known.clone())?;
    home.move_relay(&known.key, &known.address)?;
    Ok(known)
}

/// Enrols over a connection that stands, unless that has been done.
pub(crate) async fn enrol(relay: &Relay, invite: &Invite) -> Result<(), Error> {
    if relay.welcome().await?.enrolled {
        return Ok(());
    }
    match relay.ask(&Request::Enrol(Enrol { secret: invite.secret.clone() })).await? {
        Reply::Enrolled(_) => Ok(()),
        other => Err(unexpected(other)),
    }
}
