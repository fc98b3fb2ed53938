//! Beginning a run: what must be durable before anything is asked of the relay.
//!
//! # Source
//! SPEC [S15.1].

use std::path::Path;

use handover_shared::ids::BlockIndex;
use handover_shared::keys::hybrid::HybridSecret;
use handover_shared::keys::schedule::CodeKeys;
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::proof::OpenedOffer;
use handover_shared::protocol::buyer::{Buyer, Input, Start};
use handover_shared::protocol::message::Peeked;
use handover_shared::tls::LinkSecret;
use zeroize::Zeroizing;

use super::checkpoint::{Checkpoint, Stage as Kept};
use super::gate::{Consent, Signed};
use super::kept::Kept as Statement;
use super::look::{Continued, Fresh};
use super::{claim, gate, kept, now};
use crate::agreement;
use crate::error::Error;
use crate::home::Home;
use crate::home::transfers::{Facts, Held, KeptPath, Role, Secrets, State};
use crate::link::Relay;

const FACTS_VERSION: u32 = 1;

/// What a run has when it begins.
pub(super) struct Begun {
    pub held: Held,
    pub facts: Facts,
    pub secrets: Secrets,
    pub link: LinkSecret,
    pub machine: Buyer,
    pub relay: Option<Relay>,
    pub checkpoint: Option<Checkpoint>,
}

/// Makes the transfer's folder at home, with everything a claim needs, before the claim is sent.
pub(super) fn fresh(
    home: &Home,
    offer: &OpenedOffer,
    fresh: Fresh,
    destination: Option<&Path>,
    consent: Option<Consent>,
) -> Result<Begun, Error> {
    let Fresh { code, link, relay, peeked, mut machine } = fresh;
    // [S13.14] Nothing is claimed before it is signed.
    let signed = match (offer.document(), consent) {
        (None, _) => None,
        (Some(_), None) => return Err(Error::AnswerNeeded { option: "--accept-agreement" }),
        (Some(_), Some(Consent { signatory, document })) => {
            Some((gate::sign(home, offer, signatory, &CodeKeys::of(&code))?, document))
        }
    };
    let held = home.new_transfer()?;
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    let hybrid = HybridSecret::generate(entropy);
    // [S15.1]
    let secrets = Secrets {
        code: Some(*code.expose()),
        link_seed: Some(*link.seed()),
        hybrid_seed: Some(*hybrid.seed().expose()),
        ..Secrets::default()
    };
    held.store_secrets(&secrets)?;
    kept::write_offer(&held, offer, &claim::locator_of(&code))?;
    if let Some((Signed { signed, sealed }, document)) = signed {
        agreement::write_document(&held, &document)?;
        agreement::write_sealed_agreement(&held, &sealed)?;
        kept::write_statement(&held, Statement::Agreement, &signed.text, &signed.signature)?;
    }
    let facts = facts(held.id(), offer, &relay, &peeked, destination);
    held.store_facts(&facts)?;
    machine.handle(now(), Input::Accepted);
    Ok(Begun { held, facts, secrets, link, machine, relay: Some(relay), checkpoint: None })
}

/// What a person may ask about a transfer that begins.
pub(super) fn facts(id: u64, offer: &OpenedOffer, relay: &Relay, peeked: &Peeked, destination: Option<&Path>) -> Facts {
    let summary = &offer.summary;
    Facts {
        version: FACTS_VERSION,
        id,
        role: Role::Buyer,
        transfer: offer.text.transfer.to_hex(),
        state: State::Claiming,
        created_ms: now().0,
        expires_ms: peeked.expires.unwrap_or_else(|| offer.text.expires.millis()).0,
        relay: relay.address().to_string(),
        relay_key: relay.key().to_hex(),
        embedded: false,
        label: summary.label.clone(),
        files: summary.files,
        folders: summary.folders,
        links: summary.links,
        bytes: summary.bytes,
        exceptions: 0,
        sources: Vec::new(),
        options: String::new(),
        destination: destination.map(KeptPath::of),
        peer_name: Some(summary.seller_name.clone()),
        peer_organisation: summary.organisation.clone(),
        peer_fingerprint: Some(offer.seller.fingerprint()),
        claimed_ms: None,
        refused_claims: 0,
        receipted_ms: None,
        deleted_ms: None,
        failure: None,
    }
}

/// Opens what an earlier run left, and tells the machine how far that was.
pub(super) fn continued(continued: Continued, destination: Option<&Path>) -> Result<Begun, Error> {
    let Continued { held, mut facts, checkpoint } = continued;
    let secrets = held.secrets()?;
    let lost =
        || Error::State { what: "a secret of the transfer is missing", path: held.file("secrets"), source: None };
    let seed = secrets.link_seed.as_ref().map(|seed| Zeroizing::new(*seed)).ok_or_else(lost)?;
    let link = LinkSecret::of_seed(seed).map_err(|error| Error::Internal(error.to_string()))?;
    let start = if kept::read_sealed_receipt(&held)?.is_some() {
        Start::Deliver
    } else if secrets.content_key.is_some() {
        match &checkpoint {
            Some(Checkpoint { stage: Kept::Whole(_), .. }) => Start::Finish,
            Some(Checkpoint { stage: Kept::Stream(position, _), .. }) => Start::Fetch(position.block()),
            None => Start::Fetch(BlockIndex(0)),
        }
    } else if secrets.code.is_some() {
        Start::Claim
    } else {
        return Err(lost());
    };
    if let (None, Some(destination)) = (&facts.destination, destination) {
        facts.destination = Some(KeptPath::of(destination));
        held.store_facts(&facts)?;
    }
    Ok(Begun { held, facts, secrets, link, machine: Buyer::new(start, now()), relay: None, checkpoint })
}
