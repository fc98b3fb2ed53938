//! Looking: what the code is for, before anything is taken.
//!
//! # Source
//! SPEC [S10.8].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use handover_shared::fault::Fault;
use handover_shared::ids::{LinkKey, Millis};
use handover_shared::keys::code::{Code, RelayAddress, Ticket};
use handover_shared::keys::schedule::CodeKeys;
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::proof::{self, OpenedOffer, ProofFault};
use handover_shared::protocol::buyer::{Buyer, Input, Output, Start};
use handover_shared::protocol::message::{Peek, Peeked, Phase, Reply, Request};
use handover_shared::tls::{ExpectedRelay, LinkSecret};
use zeroize::Zeroizing;

use super::checkpoint::{Checkpoint, Stage as Kept};
use super::disk::Dir;
use super::gate::Consent;
use super::kept;
use super::now;
use super::pipeline::bytes_of;
use super::run;
use super::{Decide, TakeOptions, Taken};
use crate::error::Error;
use crate::event::{Event, Observer, Stage};
use crate::home::Home;
use crate::home::parties::Acquaintance;
use crate::home::transfers::{Facts, Folder, Held, Role, State};
use crate::link::network::Network;
use crate::link::{Relay, unexpected};
use crate::private::Private;
use crate::stop::Stop;

/// Room for the work folder's own files.
const SPARE_BYTES: u64 = 4 * 1024 * 1024;

/// What to look at.
pub struct LookOptions {
    /// The code, and where it says to go.
    pub ticket: Ticket,
    /// Where to go instead.
    pub relay: Option<RelayAddress>,
    /// The folder in which the sent names appear; the current folder if nothing is said.
    pub out: Option<PathBuf>,
    /// Whether the one file of the transfer goes to standard output.
    pub to_stdout: bool,
}

/// What the code is for. Dropping it costs nothing and burns nothing.
pub struct Look {
    pub(super) home: Home,
    pub(super) offer: OpenedOffer,
    pub(super) origin: Origin,
    pub(super) destination: PathBuf,
    pub(super) to_stdout: bool,
    pub(super) needed_bytes: u64,
    acquaintance: Acquaintance,
    /// The document, once it was got.
    pub(super) document: Option<Vec<u8>>,
    /// What the person has agreed to.
    pub(super) consent: Option<Consent>,
}

/// Where a look comes from.
pub(super) enum Origin {
    /// The relay was asked; nothing of the transfer is on this machine.
    Fresh(Box<Fresh>),
    /// This machine has begun it.
    Continued(Box<Continued>),
}

pub(super) struct Fresh {
    pub code: Code,
    pub link: LinkSecret,
    pub relay: Relay,
    pub peeked: Peeked,
    pub machine: Buyer,
}

pub(super) struct Continued {
    pub held: Held,
    pub facts: Facts,
    pub checkpoint: Option<Checkpoint>,
}

/// Finds out what a code is for.
///
/// # Errors
/// [`Error::NoRelay`], [`Error::RelayKey`] when the offer is for another relay than the one that answers, and what
/// connecting and asking give. A transfer that this machine has begun is continued and gives [`Error::Held`] while
/// another run has it.
pub async fn look(
    home: &Home,
    options: LookOptions,
    observer: Arc<dyn Observer>,
    mut stop: Stop,
) -> Result<Look, Error> {
    let keys = CodeKeys::of(&options.ticket.code);
    if let Some(folder) = kept::find_by_code(home, &keys.locator)? {
        // The relay may have moved since; it is known by its key all the same.
        let address = options.relay.or(options.ticket.relay);
        return continued(home, &folder, address.as_ref(), options.out.as_deref(), options.to_stdout);
    }
    let destination = absolute(options.out.as_deref().unwrap_or(Path::new(".")))?;
    let address = match options.relay.or(options.ticket.relay) {
        Some(address) => address,
        None => home.relays()?.into_iter().next().ok_or(Error::NoRelay)?.address,
    };
    observer.event(Event::Stage(Stage::Connecting));
    let code = options.ticket.code;
    let (fresh, offer) = tokio::select! {
        () = stop.asked() => return Err(Error::Interrupted),
        asked = ask_relay(home.network(), &address, &keys, code) => asked?,
    };
    observer.event(Event::RelayReached {
        address: address.to_string(),
        fingerprint: fresh.relay.fingerprint(),
        embedded: false,
        transport: fresh.relay.transport(),
    });
    if options.to_stdout && (offer.summary.files != 1 || offer.summary.links != 0) {
        return Err(Error::NotOneFile);
    }
    Ok(Look {
        acquaintance: acquaintance(home, &offer, None)?,
        needed_bytes: offer.summary.bytes.unwrap_or(0).saturating_add(SPARE_BYTES),
        home: home.clone(),
        origin: Origin::Fresh(Box::new(fresh)),
        destination,
        to_stdout: options.to_stdout,
        offer,
        document: None,
        consent: None,
    })
}

/// Looks at a transfer that this machine has begun, by its number.
pub(super) fn look_by_number(home: &Home, id: u64) -> Result<Look, Error> {
    let folder = home.transfer(id)?;
    if folder.facts()?.role != Role::Buyer {
        return Err(Error::NoSuchTransfer { asked: id.to_string() });
    }
    continued(home, &folder, None, None, false)
}

fn continued(
    home: &Home,
    folder: &Folder,
    address: Option<&RelayAddress>,
    out: Option<&Path>,
    to_stdout: bool,
) -> Result<Look, Error> {
    let held = folder.hold()?;
    if let Some(address) = address {
        held.move_relay(address)?;
    }
    let facts = held.facts()?;
    if let Some(fault) = ended(facts.state) {
        let time = facts.receipted_ms.map(Millis);
        return Err(Error::Refused { fault, number: None, time });
    }
    let transfer = facts.transfer_id()?;
    let offer = kept::read_offer(&held, &transfer)?;
    let kept_destination = facts.destination.as_ref().and_then(|kept| kept.to_path());
    let is_delivered = facts.state == State::Delivered;
    let is_elsewhere = match (&kept_destination, out) {
        (Some(kept), Some(out)) => absolute(out)? != *kept,
        _ => to_stdout,
    };
    if is_delivered && is_elsewhere {
        // The relay has deleted the data: no other folder can be filled, and standard output is not written twice.
        return Err(Error::Refused { fault: Fault::Receipted, number: None, time: facts.receipted_ms.map(Millis) });
    }
    let destination = match (kept_destination, out) {
        (Some(kept), _) => kept,
        (None, Some(out)) => absolute(out)?,
        (None, None) if to_stdout || is_delivered => PathBuf::from("-"),
        (None, None) => return Err(Error::AnswerNeeded { option: "--out" }),
    };
    // What went to standard output is gone: there is nothing to continue.
    let checkpoint = if to_stdout { None } else { Checkpoint::read(&kept::checkpoint_file(&held))? };
    let done_bytes = match &checkpoint {
        None => 0,
        Some(Checkpoint { stage: Kept::Stream(_, reader), .. }) => bytes_of(reader),
        Some(Checkpoint { stage: Kept::Whole(_), .. }) => offer.summary.bytes.unwrap_or(0),
    };
    Ok(Look {
        acquaintance: acquaintance(home, &offer, Some(facts.id))?,
        needed_bytes: offer.summary.bytes.unwrap_or(0).saturating_sub(done_bytes).saturating_add(SPARE_BYTES),
        home: home.clone(),
        origin: Origin::Continued(Box::new(Continued { held, facts, checkpoint })),
        destination,
        to_stdout,
        offer,
        document: None,
        consent: None,
    })
}

/// Why a transfer of this state cannot go on.
fn ended(state: State) -> Option<Fault> {
    match state {
        State::Revoked => Some(Fault::Revoked),
        State::Expired => Some(Fault::Expired),
        State::Refused => Some(Fault::RefusedByBuyer),
        State::TakenDown => Some(Fault::TakenDown),
        State::Failed => Some(Fault::NotFound),
        _ => None,
    }
}

/// Connects, peeks, and checks the offer against the connection. Nothing is tried again: the person is waiting.
async fn ask_relay(
    network: &Network,
    address: &RelayAddress,
    keys: &CodeKeys,
    code: Code,
) -> Result<(Fresh, OpenedOffer), Error> {
    let mut machine = Buyer::new(Start::Look, now());
    let mut seed = Zeroizing::new([0; 32]);
    OsEntropy.fill(&mut seed[..]);
    let link = LinkSecret::of_seed(seed).map_err(|error| Error::Internal(error.to_string()))?;
    let mut connected = None;
    let mut found = None;
    while let Some(output) = machine.poll() {
        match (output, &connected) {
            (Output::Connect, _) => {
                connected = Some(Relay::connect(network, address, ExpectedRelay::ToldByOffer, &link).await?);
                machine.handle(now(), Input::Connected);
            }
            (Output::Peek, Some(relay)) => {
                found = Some(peek(relay, keys).await?);
                machine.handle(now(), Input::Offered);
            }
            // The person is asked by whoever called.
            _ => break,
        }
    }
    match (connected, found) {
        (Some(relay), Some((peeked, offer))) => Ok((Fresh { code, link, relay, peeked, machine }, offer)),
        _ => Err(Error::Internal("the buyer's machine did not look".into())),
    }
}

async fn peek(relay: &Relay, keys: &CodeKeys) -> Result<(Peeked, OpenedOffer), Error> {
    let peeked = match relay.ask(&Request::Peek(Peek { locator: keys.locator })).await? {
        Reply::Peeked(peeked) => peeked,
        other => return Err(unexpected(other)),
    };
    let refused = |fault, time| Err(Error::Refused { fault, number: None, time });
    match peeked.phase {
        Phase::Open | Phase::Complete => {}
        Phase::Receipted => return refused(Fault::Receipted, None),
        Phase::Revoked => return refused(Fault::Revoked, None),
        Phase::Expired => return refused(Fault::Expired, peeked.expires),
        Phase::Refused => return refused(Fault::RefusedByBuyer, None),
        Phase::TakenDown => return refused(Fault::TakenDown, None),
    }
    // [S10.8]
    let offer = proof::open_offer(keys, &peeked.sealed_offer, &peeked.transfer).map_err(|fault| {
        tracing::warn!(%fault, "the offer does not check");
        Error::Altered { what: "S10.8", block: None }
    })?;
    match offer.check_live(&relay.key(), now()) {
        Ok(()) => Ok((peeked, offer)),
        Err(ProofFault::Expired) => refused(Fault::Expired, Some(offer.text.expires.millis())),
        Err(_) => Err(other_relay(relay.address(), &relay.key(), &offer)),
    }
}

fn other_relay(address: &RelayAddress, seen: &LinkKey, offer: &OpenedOffer) -> Error {
    Error::RelayKey {
        address: address.to_string(),
        expected: offer.text.relay_key.to_string(),
        seen: proof::fingerprint_of_link_key(seen),
    }
}

/// What this machine knows of the seller's key.
fn acquaintance(home: &Home, offer: &OpenedOffer, except: Option<u64>) -> Result<Acquaintance, Error> {
    let summary = &offer.summary;
    let name = summary.organisation.as_deref().unwrap_or(&summary.seller_name);
    home.acquaintance(Role::Buyer, &offer.seller.fingerprint(), name, except)
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::disk("finding the destination", path, source))
}

/// Bytes that may be written below a path; of the nearest folder above it that exists.
fn free_below(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find_map(|above| Dir::open(above).ok())?;
    existing.free_bytes().ok()
}

impl Look {
    /// What the seller offers; nothing in it has been escaped.
    pub fn offer(&self) -> &OpenedOffer {
        &self.offer
    }

    /// The number of the transfer on this machine, if it has one already.
    pub fn id(&self) -> Option<u64> {
        match &self.origin {
            Origin::Fresh(_) => None,
            Origin::Continued(continued) => Some(continued.facts.id),
        }
    }

    /// Whether an earlier run is continued: the person has agreed already.
    pub fn is_continued(&self) -> bool {
        self.id().is_some()
    }

    /// The folder in which the sent names will appear.
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// Bytes that will still be written there.
    pub fn needed_bytes(&self) -> u64 {
        self.needed_bytes
    }

    /// Bytes that may be written there, if it can be told.
    pub fn free_bytes(&self) -> Option<u64> {
        if self.to_stdout { None } else { free_below(&self.destination) }
    }

    /// Whether this machine knows the seller's key from other transfers.
    pub fn acquaintance(&self) -> &Acquaintance {
        &self.acquaintance
    }

    /// Refuses every other seller than this one; nothing has been claimed yet. [S20.5]
    ///
    /// # Errors
    /// [`Error::OtherSeller`].
    pub fn expect_seller(&self, expected: &str) -> Result<(), Error> {
        let seen = self.offer.seller.fingerprint();
        if seen == expected {
            return Ok(());
        }
        Err(Error::OtherSeller { expected: expected.to_owned(), seen })
    }

    /// Whether everything was durable at the relay when it was last asked.
    pub fn complete(&self) -> bool {
        match &self.origin {
            Origin::Fresh(fresh) => fresh.peeked.phase == Phase::Complete,
            Origin::Continued(continued) => {
                continued.facts.state == State::Delivered
                    || matches!(&continued.checkpoint, Some(Checkpoint { stage: Kept::Whole(_), .. }))
            }
        }
    }

    /// Refuses a destination without room.
    pub(super) fn check_space(&self) -> Result<(), Error> {
        match self.free_bytes() {
            Some(free) if free < self.needed_bytes => {
                Err(Error::Space { path: Private::new(self.destination.clone()), needed: self.needed_bytes, free })
            }
            _ => Ok(()),
        }
    }

    /// Takes the transfer: claims it, receives, verifies and places everything, signs and delivers the receipt.
    ///
    /// # Errors
    /// As the parts say; after [`Error::Interrupted`], [`Error::Conflicts`] and everything that passes, the same
    /// command continues.
    pub async fn take(
        self,
        options: TakeOptions,
        decide: Arc<dyn Decide>,
        observer: Arc<dyn Observer>,
        stop: Stop,
    ) -> Result<Taken, Error> {
        run::take(self, options, decide, observer, stop).await
    }
}
