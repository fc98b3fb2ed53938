//! What a buyer opens, checks and signs.

use handover_shared::archive::catalogue::Tail;
use handover_shared::ids::TransferId;
use handover_shared::keys::code::Code;
use handover_shared::keys::hybrid::{self, HybridSecret};
use handover_shared::keys::schedule::{CodeKeys, ContentKey, open_envelope};
use handover_shared::keys::{Entropy, Secret};
use handover_shared::proof::{
    self, Agreement, Channel, ClaimText, Fingerprint, Identity, Kind, OpenedOffer, ReceiptBundle, ReceiptText,
    SealCheck, Verified,
};
use handover_shared::protocol::message::{Claim, Released};

use super::super::ctx::Ctx;
use super::super::placing::{Checkpoint, checkpoint_of};
use super::{BuyerShell, Keys};

impl BuyerShell {
    pub(super) fn open_release(&self, released: &Released) -> Result<ContentKey, String> {
        let keys = self.keys.as_ref().ok_or("no keys")?;
        let offer = self.offer()?;
        let bundle = hybrid::bundle(&self.link.key, &keys.hybrid.public());
        let share =
            hybrid::accept_share(&keys.hybrid, &keys.transfer, &bundle, &released.encapsulated, &released.sealed_share);
        let share = share.map_err(|fault| fault.to_string())?;
        let psk = self.code_keys()?.psk;
        let digest = offer.sealed_digest;
        open_envelope(&psk, &share, &keys.transfer, &digest, &released.envelope, &offer.text.commit)
            .map_err(|fault| fault.to_string())
    }

    pub(super) fn code_keys(&self) -> Result<CodeKeys, String> {
        let code = self.code.as_ref().and_then(|code| Secret::from_slice(code)).ok_or("no code")?;
        Ok(CodeKeys::of(&Code::of_secret(code)))
    }

    pub(super) fn offer(&self) -> Result<OpenedOffer, String> {
        let keys = self.keys.as_ref().ok_or("no keys")?;
        proof::open_offer(&self.code_keys()?, &keys.sealed_offer, &keys.transfer).map_err(|fault| fault.to_string())
    }

    pub(super) fn claim(&self, ctx: &Ctx) -> Result<Claim, String> {
        let keys = self.keys.as_ref().ok_or("no keys")?;
        let conn = self.link.conn.and_then(|conn| ctx.conns.get(&conn)).ok_or("no connection")?;
        let public = keys.hybrid.public();
        let text = ClaimText {
            transfer: keys.transfer,
            offer: proof::digest(&keys.sealed_offer),
            buyer_key: Fingerprint::of(&self.identity.public()),
            link_key: self.link.key,
            bundle: hybrid::bundle(&self.link.key, &public),
            agreement: Agreement::None,
            channel: Channel(conn.channel),
            time: ctx.time().into(),
        }
        .to_text();
        let sign = |by: &Identity| proof::sign(Kind::Claim, &text, by).map_err(|fault| fault.to_string());
        let (identity_signature, claim_signature) = (sign(&self.identity)?, sign(self.code_keys()?.claim.identity())?);
        Ok(Claim {
            transfer: keys.transfer,
            hybrid_key: public.as_bytes().to_vec(),
            text,
            identity_signature,
            claim_signature,
            sealed_agreement: None,
        })
    }

    pub(super) fn check_seal(&self, ctx: &mut Ctx, tail: &[u8]) {
        let tail = Tail::parse(tail).expect("it was checked");
        let outcome = self.offer().and_then(|offer| {
            let check = SealCheck { offer: &offer.statement, seller: &offer.seller };
            let seal = proof::check_seal(&check, &tail.seal_text, &tail.seal_signature);
            let seal = seal.map_err(|fault| fault.to_string())?;
            let is_same = seal.text().root == tail.root && seal.text().bytes == tail.counts.bytes;
            if is_same { Ok(()) } else { Err("[S9.5] the seal is of another archive".into()) }
        });
        ctx.check(outcome);
    }

    pub(super) fn make_receipt(&self, ctx: &mut Ctx) -> Result<Vec<u8>, String> {
        let Some(Checkpoint::Whole(tail)) = self.disk.read("checkpoint").map(checkpoint_of) else {
            return Err("the tail is not kept".into());
        };
        let tail = Tail::parse(&tail).map_err(|fault| fault.to_string())?;
        let (offer, counts) = (self.offer()?, tail.counts);
        let text = ReceiptText {
            transfer: self.transfer(),
            offer: offer.text_id,
            seal: proof::text_id(&tail.seal_text),
            root: tail.root,
            entries: counts.entries(),
            files: counts.files,
            folders: counts.folders,
            links: counts.links,
            exceptions: counts.exceptions,
            bytes: counts.bytes,
            kept_existing: 0,
            seller_key: offer.text.seller_key,
            buyer_key: Fingerprint::of(&self.identity.public()),
            relay_key: offer.text.relay_key,
            agreement: Agreement::None,
            received: ctx.time().into(),
            verified: Verified::All,
        }
        .to_text();
        let signature = proof::sign(Kind::Receipt, &text, &self.identity).map_err(|fault| fault.to_string())?;
        let bundle = ReceiptBundle { text, signature, buyer_name: "Li".into(), organisation: None };
        let key = self.key.as_ref().ok_or("no key")?.receipt_key(&self.transfer());
        let salt = (&mut ctx.rng as &mut dyn Entropy).array();
        proof::seal_receipt(&key, &self.transfer(), &bundle, salt).map_err(|fault| fault.to_string())
    }
}

impl Keys {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [&self.link_seed[..], self.hybrid.seed().expose(), &self.transfer.0, &self.sealed_offer].concat()
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let (link_seed, rest) = bytes.split_first_chunk().expect("a link key");
        let (hybrid, rest) = rest.split_at(32);
        let (transfer, sealed_offer) = rest.split_first_chunk().expect("a transfer");
        Self {
            link_seed: *link_seed,
            hybrid: HybridSecret::of_seed(Secret::from_slice(hybrid).expect("32 bytes")),
            transfer: TransferId(*transfer),
            sealed_offer: sealed_offer.to_vec(),
        }
    }
}
