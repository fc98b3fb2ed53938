//! What the seller says and signs, and what it checks at the end.

use handover_shared::archive::frame::Level;
use handover_shared::codec;
use handover_shared::ids::{BlockCount, LinkKey, Millis, TransferId};
use handover_shared::keys::code::{CODE_BYTES, Code};
use handover_shared::keys::hybrid::HybridPublic;
use handover_shared::keys::schedule::{CodeKeys, ContentKey, seal_envelope};
use handover_shared::keys::{Entropy, Secret};
use handover_shared::proof::{
    self, Agreement, ClaimCheck, Fingerprint, Identity, Mode, OfferText, ReceiptCheck, Summary,
};
use handover_shared::protocol::message::{Create, Snapshot};

use super::ctx::{BEGIN_MS, Ctx};
use super::packing::{SIZE, Terms};

const BLOCKS_MAX: u64 = 4096;
const LONG_MS: u64 = 90 * 24 * 3_600_000;

pub struct Papers {
    pub identity: Identity,
    pub link_key: LinkKey,
    relay_key: LinkKey,
    pub create: Option<Create>,
    pub code: Option<[u8; CODE_BYTES]>,
    key: Option<ContentKey>,
    offer: String,
    level: Level,
    flush_percent: u64,
}

impl Papers {
    pub fn new(ctx: &mut Ctx, relay_key: LinkKey) -> Self {
        let entropy: &mut dyn Entropy = &mut ctx.rng;
        let (identity, link_key) = (Identity::of_seed(&entropy.array()), LinkKey(entropy.array()));
        let level = ctx.rng.pick(&[Level::STORED, Level::DEFAULT]);
        let flush_percent = ctx.rng.pick(&[0, 0, 5, 20]);
        Self {
            identity,
            link_key,
            relay_key,
            create: None,
            code: None,
            key: None,
            offer: String::new(),
            level,
            flush_percent,
        }
    }

    pub fn transfer(&self) -> Option<TransferId> {
        self.create.as_ref().map(|create| create.transfer)
    }

    /// A crash: what is not on disk is gone.
    pub fn forget(&mut self) {
        (self.create, self.code, self.key) = (None, None, None);
    }

    /// Keeps an announcement in memory alone.
    pub fn remember(&mut self, create: Create) {
        self.create = Some(create);
    }

    /// Reads what an earlier run announced.
    pub fn read(&mut self, announced: &[u8], secrets: &[u8]) {
        self.create = Some(codec::decode(announced).expect("what was written"));
        let (code, rest) = secrets.split_at(CODE_BYTES);
        let (key, offer) = rest.split_at(32);
        self.code = code.try_into().ok();
        self.key = Secret::from_slice(key).map(ContentKey::of_secret);
        self.offer = String::from_utf8_lossy(offer).into_owned();
    }

    /// Makes everything that `Create` holds; gives it, and the secrets that go with it, to be made durable.
    pub fn announce(&mut self, ctx: &mut Ctx, bytes: u64) -> (Create, Vec<u8>) {
        let expires = match ctx.faults.expires_ms {
            Some(ms) => Millis(BEGIN_MS + ms),
            None => Millis(BEGIN_MS + LONG_MS),
        };
        let now = ctx.time();
        let entropy: &mut dyn Entropy = &mut ctx.rng;
        let transfer = TransferId(entropy.array());
        let (code, key) = (Code::generate(entropy), ContentKey::generate(entropy));
        let share = Secret::<32>::from_entropy(entropy);
        let keys = CodeKeys::of(&code);
        let summary = Summary {
            label: "customers".into(),
            seller_name: "Wang".into(),
            organisation: None,
            files: 0,
            folders: 0,
            links: 0,
            bytes: Some(bytes),
            hidden: 0,
            document: None,
            executable: 0,
            biggest: Vec::new(),
        };
        let text = OfferText {
            transfer,
            mode: Mode::Detached,
            seller_key: Fingerprint::of(&self.identity.public()),
            relay_key: Fingerprint::of_link_key(&self.relay_key),
            commit: key.commit(&transfer),
            summary: summary.digest(),
            agreement: Agreement::None,
            block_bytes: SIZE,
            created: now.into(),
            expires: expires.into(),
        };
        let sealed_offer =
            proof::seal_offer(&keys, &text, &summary, &self.identity, entropy.array()).expect("an offer");
        let envelope =
            seal_envelope(&keys.psk, &share, &transfer, &proof::digest(&sealed_offer), &key, entropy.array());
        let secrets = [&code.expose()[..], key.expose(), text.to_text().as_bytes()].concat();
        (self.code, self.key, self.offer) = (Some(*code.expose()), Some(key), text.to_text());
        let create = Create {
            transfer,
            locator: keys.locator,
            claim_key: keys.claim.public(),
            share: (*share.expose()).into(),
            envelope,
            sealed_offer,
            block_size: SIZE,
            blocks_max: BlockCount(BLOCKS_MAX),
            expires,
            agreement: None,
        };
        (create, secrets)
    }

    pub fn packing_terms(&self, ctx: &Ctx) -> Terms {
        Terms {
            transfer: self.transfer().expect("an announced transfer"),
            offer: proof::text_id(&self.offer),
            key: self.key.as_ref().expect("a content key").duplicate(),
            identity: self.identity.duplicate(),
            level: self.level,
            flush_percent: self.flush_percent,
            mutant: ctx.mutant,
        }
    }

    /// Everything a seller checks of a receipt [S10.10]; gives its text.
    pub fn check_receipt(&self, snapshot: &Snapshot, seal: Option<&[u8]>) -> Result<String, String> {
        let create = self.create.as_ref().ok_or("no transfer")?;
        let claim = snapshot.claim.as_ref().ok_or("no claim")?;
        let sealed = snapshot.sealed_receipt.as_ref().ok_or("no receipt")?;
        let seal = std::str::from_utf8(seal.ok_or("no seal")?).map_err(|error| error.to_string())?;
        let hybrid = HybridPublic::of_bytes(&claim.hybrid_key).map_err(|fault| fault.to_string())?;
        let check = ClaimCheck {
            transfer: create.transfer,
            offer_digest: proof::digest(&create.sealed_offer),
            claim_key: create.claim_key,
            link_key: claim.link_key,
            hybrid: &hybrid,
            channel: None,
        };
        let verified = proof::check_claim(&check, &claim.text, &claim.identity_signature, &claim.claim_signature)
            .map_err(|fault| fault.to_string())?;
        let key = self.key.as_ref().ok_or("no key")?.receipt_key(&create.transfer);
        let bundle = proof::open_receipt(&key, &create.transfer, sealed).map_err(|fault| fault.to_string())?;
        let check = ReceiptCheck { offer: &self.offer, seal, claim: &verified };
        proof::check_receipt(&check, &bundle.text, &bundle.signature).map_err(|fault| fault.to_string())?;
        Ok(bundle.text)
    }
}
