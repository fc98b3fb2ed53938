//! The agreement's gate on the buyer's side: the document before anything else, the signature, the refusal.
//!
//! # Source
//! SPEC [S10.12] [S10.13] [S13.15].

use handover_shared::ids::{Digest, Millis, TransferId};
use handover_shared::keys::schedule::CodeKeys;
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::limits::{FULL_NAME_CHARS_MAX, LABEL_CHARS_MAX, REASON_CHARS_MAX};
use handover_shared::proof::{
    self, DocumentTerms, OpenedOffer, ProofFault, RefusalCheck, Signatory, SignedRefusal, SignedText, Written,
};
use handover_shared::protocol::message::{Refuse, Reply, Request};
use handover_shared::protocol::papers::PaperKind;
use handover_shared::tls::ExpectedRelay;

use super::kept::{self, Kept};
use super::look::{Fresh, Look, Origin};
use super::{begin, now};
use crate::agreement::{self, REFUSAL_CODE_SIGNATURE};
use crate::error::Error;
use crate::event::RefusalFacts;
use crate::home::Home;
use crate::home::transfers::{Folder, Secrets, State};
use crate::home::write_private;
use crate::link::network::Network;
use crate::link::{Relay, SealedPaper, unexpected};

/// What the person has agreed to.
pub(super) struct Consent {
    pub signatory: Signatory,
    pub document: Vec<u8>,
}

/// What is signed, and as it goes to the seller.
pub(super) struct Signed {
    pub signed: SignedText,
    pub sealed: Vec<u8>,
}

impl Look {
    /// The document that must be signed before anything is taken, and its hash; nothing where there is none or it has
    /// been signed.
    pub fn unsigned(&self) -> Option<(&DocumentTerms, Digest)> {
        match &self.origin {
            Origin::Fresh(_) => self.offer.document(),
            Origin::Continued(_) => None,
        }
    }

    /// Gets the document and checks that it is the offer's.
    ///
    /// # Errors
    /// [`Error::Altered`] for another document or none; what asking the relay gives.
    pub async fn document(&mut self) -> Result<&[u8], Error> {
        let Origin::Fresh(fresh) = &mut self.origin else {
            return Err(Error::Internal("the document has been signed".into()));
        };
        if self.document.is_none() {
            let altered = || Error::Altered { what: "S10.12", block: None };
            let transfer = self.offer.text.transfer;
            let found = match fresh.relay.collect(transfer, PaperKind::Agreement).await {
                Err(Error::Lost { .. }) => {
                    fresh.reconnect(self.home.network()).await?;
                    fresh.relay.collect(transfer, PaperKind::Agreement).await?
                }
                found => found?,
            };
            let SealedPaper { sealed, .. } = found.ok_or_else(altered)?;
            let keys = CodeKeys::of(&fresh.code);
            let document = proof::open_document(&keys.agreement, &self.offer, &sealed).map_err(|fault| {
                tracing::warn!(%fault, "the document does not check");
                altered()
            })?;
            self.document = Some(document.to_vec());
        }
        Ok(self.document.as_deref().unwrap_or_default())
    }

    /// Notes that a person agrees to the document, which must have been got; it is signed when the transfer is taken.
    ///
    /// # Errors
    /// [`Error::BadName`] for a name that is empty or too long.
    pub fn agree(&mut self, full_name: &str) -> Result<(), Error> {
        let bad = |_fault: ProofFault| Error::BadName { limit: FULL_NAME_CHARS_MAX as u64 };
        let name = Written::new("name", full_name, FULL_NAME_CHARS_MAX).map_err(bad)?;
        let organisation = self.home.identity_or_new()?.organisation;
        let organisation = organisation.map(|text| Written::new("organisation", &text, LABEL_CHARS_MAX));
        let organisation = organisation.transpose().map_err(|fault| Error::Internal(fault.to_string()))?;
        let document = self.document.take();
        let document = document.ok_or_else(|| Error::Internal("the document was not got".into()))?;
        self.consent = Some(Consent { signatory: Signatory { name, organisation }, document });
        Ok(())
    }

    /// The full name that will be signed, once a person has agreed.
    pub fn signing_as(&self) -> Option<&str> {
        self.consent.as_ref().map(|consent| consent.signatory.name.as_str())
    }

    /// Refuses the document, which ends the transfer for good.
    ///
    /// # Errors
    /// [`Error::BadName`] for a reason that is too long; what asking the relay gives.
    pub async fn refuse(self, reason: Option<&str>) -> Result<RefusalFacts, Error> {
        let Self { home, offer, origin, .. } = self;
        let Origin::Fresh(mut fresh) = origin else {
            return Err(Error::Internal("the document has been signed".into()));
        };
        let bad = |_fault: ProofFault| Error::BadName { limit: REASON_CHARS_MAX as u64 };
        let reason = reason.filter(|reason| !reason.trim().is_empty());
        let reason = reason.map(|text| Written::new("reason", text, REASON_CHARS_MAX)).transpose().map_err(bad)?;
        let owner = home.identity_or_new()?;
        let keys = CodeKeys::of(&fresh.code);
        let internal = |fault: ProofFault| Error::Internal(fault.to_string());
        let refusal = proof::sign_refusal(&offer, reason, now().into(), &owner.identity, keys.claim.identity());
        let refusal = refusal.map_err(internal)?;
        let refusal = SignedRefusal { buyer_name: owner.name, organisation: owner.organisation, ..refusal };
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let transfer = offer.text.transfer;
        let sealed = proof::seal_refusal(&keys.agreement, &transfer, &refusal, entropy.array()).map_err(internal)?;
        let taken = match fresh.say_refusal(&keys, &transfer, &sealed).await {
            Err(Error::Lost { .. }) => {
                fresh.reconnect(home.network()).await?;
                fresh.say_refusal(&keys, &transfer, &sealed).await?
            }
            taken => taken?,
        };
        tracing::debug!(at = taken.0, "the refusal is at the relay");
        // Only now: a refusal that did not arrive leaves nothing here, and the code stays good.
        let Fresh { code, relay, peeked, .. } = *fresh;
        let held = home.new_transfer()?;
        kept::write_offer(&held, &offer, &super::claim::locator_of(&code))?;
        keep_refusal(&held, &refusal)?;
        let mut facts = begin::facts(held.id(), &offer, &relay, &peeked, None);
        facts.state = State::Refused;
        held.store_secrets(&Secrets::default())?;
        held.store_facts(&facts)?;
        relay.close().await;
        let told = agreement::told_refusal(&home, &held, &facts)?;
        told.ok_or_else(|| Error::Internal("the refusal was not kept".into()))
    }
}

/// Keeps a refusal and its signatures.
pub(crate) fn keep_refusal(folder: &Folder, refusal: &SignedRefusal) -> Result<(), Error> {
    write_private(&folder.file(REFUSAL_CODE_SIGNATURE), refusal.claim_signature.as_bytes())?;
    kept::write_statement(folder, Kept::Refusal, &refusal.text, &refusal.signature)
}

impl Fresh {
    /// Connects once more, with the same key: a person may read for longer than a relay keeps a silent connection.
    async fn reconnect(&mut self, network: &Network) -> Result<(), Error> {
        let (address, key) = (self.relay.address().clone(), self.relay.key());
        self.relay = Relay::connect(network, &address, ExpectedRelay::Key(key), &self.link).await?;
        Ok(())
    }

    async fn say_refusal(&self, keys: &CodeKeys, transfer: &TransferId, sealed: &[u8]) -> Result<Millis, Error> {
        let begun = self.relay.begin().await?;
        let channel = begun.channel;
        let check = RefusalCheck {
            transfer: *transfer,
            claim_key: keys.claim.public(),
            link_key: self.link.public(),
            channel: &channel,
        };
        let proof = proof::prove_refusal(&check, sealed, keys.claim.identity());
        let refuse = Refuse { transfer: *transfer, sealed_refusal: sealed.to_vec(), proof };
        match begun.ask(&Request::Refuse(refuse)).await? {
            Reply::RefusalTaken(at) => Ok(at.time),
            other => Err(unexpected(other)),
        }
    }
}

/// Signs what the person has agreed to, and seals it to the seller.
pub(super) fn sign(home: &Home, offer: &OpenedOffer, signatory: Signatory, keys: &CodeKeys) -> Result<Signed, Error> {
    let internal = |fault: ProofFault| Error::Internal(fault.to_string());
    let owner = home.identity_or_new()?;
    let signed = proof::sign_agreement(offer, signatory, now().into(), &owner.identity).map_err(internal)?;
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    let sealed = proof::seal_agreement(&keys.agreement, &offer.text.transfer, &signed, entropy.array());
    Ok(Signed { signed, sealed: sealed.map_err(internal)? })
}
