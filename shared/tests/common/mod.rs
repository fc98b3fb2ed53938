//! One transfer from code to receipt, made from counted bytes, so that it is the same every time.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use handover_shared::ids::{BlockSize, Bundle, ClaimKey, Commit, Digest, LinkKey, Millis, Root, TransferId};
use handover_shared::keys::code::Code;
use handover_shared::keys::hybrid::{self, HybridSecret};
use handover_shared::keys::schedule::{CodeKeys, ContentKey};
use handover_shared::keys::{Entropy, Secret};
use handover_shared::proof::destruction::{
    DestructionText, Method as Sanitization, NotCovered, Outcome, Saw, Scope, Side, Technique, Verification,
    WitnessText,
};
use handover_shared::proof::{
    self, Agreed, Agreement, AgreementText, Biggest, Channel, ClaimCheck, ClaimText, DeletionText, Disagreed,
    EndReason, Fingerprint, Identity, Kind, LogHeadText, Method, Mode, OfferText, ReceiptBundle, ReceiptCheck,
    ReceiptText, RefusalText, SealText, Stamp, Summary, Verified, VerifiedClaim, Written,
};

/// Counts upwards from its first byte.
pub struct Counting(pub u8);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
    }
}

/// An array that counts upwards from a byte.
pub fn counted<const N: usize>(from: u8) -> [u8; N] {
    let mut bytes = [0; N];
    Counting(from).fill(&mut bytes);
    bytes
}

/// A secret that counts upwards from a byte.
pub fn secret<const N: usize>(from: u8) -> Secret<N> {
    Secret::from_entropy(&mut Counting(from))
}

pub const TID: TransferId = TransferId([0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
pub const OTHER_TID: TransferId = TransferId([0xff; 16]);
pub const RELAY: LinkKey = LinkKey([0x11; 32]);
pub const LINK: LinkKey = LinkKey([0x22; 32]);
pub const CHANNEL: [u8; 32] = [0x33; 32];
/// 2026-11-22T09:30:00Z
pub const NOW: Millis = Millis(1_795_339_800_000);
const DAY_MS: u64 = 86_400_000;

pub struct World {
    pub code: Code,
    pub keys: CodeKeys,
    pub content: ContentKey,
    pub share: Secret<32>,
    pub seller: Identity,
    pub buyer: Identity,
    pub hybrid: HybridSecret,
    pub summary: Summary,
    pub offer: OfferText,
    pub sealed_offer: Vec<u8>,
    pub seal: SealText,
    pub claim: ClaimText,
    pub receipt: ReceiptText,
}

impl World {
    pub fn new() -> Self {
        let code = Code::of_secret(secret(0));
        let keys = CodeKeys::of(&code);
        let content = ContentKey::of_secret(secret(0x40));
        let seller = Identity::generate(&mut Counting(0x60), "seller@example");
        let buyer = Identity::generate(&mut Counting(0x80), "buyer@example");
        let hybrid = HybridSecret::of_seed(secret(0xc0));
        let summary = summary();
        let offer = offer(&content, &seller, &summary);
        let sealed_offer = proof::seal_offer(&keys, &offer, &summary, &seller, counted(0x10)).unwrap();
        let seal = seal(&offer);
        let claim = claim(&sealed_offer, &buyer, &hybrid);
        let receipt = receipt(&offer, &seal, &buyer);
        let share = secret(0xe0);
        Self { code, keys, content, share, seller, buyer, hybrid, summary, offer, sealed_offer, seal, claim, receipt }
    }

    pub fn offer_digest(&self) -> Digest {
        proof::digest(&self.sealed_offer)
    }

    pub fn claim_key(&self) -> ClaimKey {
        self.keys.claim.public()
    }

    /// Signs a claim with the buyer's identity and with the claim key.
    pub fn signed_claim(&self, claim: &ClaimText) -> (String, String, String) {
        let text = claim.to_text();
        let by_identity = proof::sign(Kind::Claim, &text, &self.buyer).unwrap();
        let by_claim_key = proof::sign(Kind::Claim, &text, self.keys.claim.identity()).unwrap();
        (text, by_identity, by_claim_key)
    }

    pub fn verified_claim(&self) -> VerifiedClaim {
        let (text, by_identity, by_claim_key) = self.signed_claim(&self.claim);
        let hybrid = self.hybrid.public();
        let check = ClaimCheck {
            transfer: TID,
            offer_digest: self.offer_digest(),
            claim_key: self.claim_key(),
            link_key: LINK,
            hybrid: &hybrid,
            channel: Some(&CHANNEL),
        };
        proof::check_claim(&check, &text, &by_identity, &by_claim_key).unwrap()
    }

    /// Checks a receipt by the buyer's identity against what the seller stated.
    pub fn check_receipt(&self, receipt: &ReceiptText) -> Result<(), proof::ProofFault> {
        let text = receipt.to_text();
        let signature = proof::sign(Kind::Receipt, &text, &self.buyer).unwrap();
        self.check_signed_receipt(&text, &signature)
    }

    pub fn check_signed_receipt(&self, text: &str, signature: &str) -> Result<(), proof::ProofFault> {
        let claim = self.verified_claim();
        let (offer, seal) = (self.offer.to_text(), self.seal.to_text());
        let check = ReceiptCheck { offer: &offer, seal: &seal, claim: &claim };
        proof::check_receipt(&check, text, signature).map(|verified| {
            assert_eq!(verified.text().to_text(), text);
            assert_eq!(*verified.buyer(), self.buyer.public());
        })
    }

    pub fn receipt_bundle(&self) -> ReceiptBundle {
        let text = self.receipt.to_text();
        let signature = proof::sign(Kind::Receipt, &text, &self.buyer).unwrap();
        ReceiptBundle { text, signature, buyer_name: "Bo 博".into(), organisation: None }
    }

    pub fn bundle(&self) -> Bundle {
        hybrid::bundle(&LINK, &self.hybrid.public())
    }

    pub fn commit(&self) -> Commit {
        self.content.commit(&TID)
    }
}

/// A certificate of destruction by the seller.
pub fn destruction(world: &World) -> DestructionText {
    let wording = |text| Written::new("text", text, 255).unwrap();
    DestructionText {
        transfer: TID,
        side: Side::Seller,
        offer: proof::text_id(&world.offer.to_text()),
        receipt: Some(proof::text_id(&world.receipt.to_text())),
        root: Some(world.seal.root),
        destroyer_key: fingerprint(&world.seller),
        destroyer: wording("王小明"),
        organisation: Some(wording("Wang Appliances")),
        reason: Some(wording("contract, clause 7: \"destroyed 100 %\"")),
        host: wording("shop-1"),
        folder: Some(wording("/srv/客户")),
        media: wording("ext, rotating drive"),
        tool: wording("handover 0.1.0"),
        method: Sanitization::Clear,
        technique: Technique::OverwriteAndUnlink,
        scope: Scope::MachineAndSource,
        items: 7,
        bytes: 1_200_000,
        source_files: 3,
        source_bytes: 123_456_789,
        source_kept: 1,
        overwritten: 9,
        remaining: 0,
        started: NOW.into(),
        finished: Millis(NOW.0 + 60_000).into(),
        verification: Verification::NamesGone,
        verdict: Outcome::Pass,
        not_covered: NotCovered::Usual,
        relay_deletion: None,
    }
}

/// A witness's statement about it, by the buyer.
pub fn witness(world: &World) -> WitnessText {
    let certificate = destruction(world);
    WitnessText {
        transfer: TID,
        certificate: proof::text_id(&certificate.to_text()),
        verdict: certificate.verdict,
        destroyer_key: certificate.destroyer_key,
        witness_key: fingerprint(&world.buyer),
        witness: Written::new("text", "李律师", 255).unwrap(),
        organisation: None,
        saw: Saw::Destruction,
        time: Millis(NOW.0 + 120_000).into(),
    }
}

pub fn fingerprint(identity: &Identity) -> Fingerprint {
    Fingerprint::of(&identity.public())
}

fn summary() -> Summary {
    Summary {
        label: "Customers 2026 客户".into(),
        seller_name: "Ada".into(),
        organisation: Some("Ada & Co".into()),
        files: 3,
        folders: 2,
        links: 1,
        bytes: Some(123_456_789),
        hidden: 1,
        document: None,
        executable: 0,
        biggest: vec![Biggest { name: "客户.csv".into(), bytes: 123_000_000, files: 1 }],
    }
}

fn offer(content: &ContentKey, seller: &Identity, summary: &Summary) -> OfferText {
    OfferText {
        transfer: TID,
        mode: Mode::Detached,
        seller_key: fingerprint(seller),
        relay_key: Fingerprint::of_link_key(&RELAY),
        commit: content.commit(&TID),
        summary: summary.digest(),
        agreement: Agreement::None,
        block_bytes: BlockSize::Large,
        created: Stamp::from(NOW),
        expires: Stamp::from(NOW.plus(7 * DAY_MS)),
    }
}

fn seal(offer: &OfferText) -> SealText {
    SealText {
        transfer: TID,
        offer: proof::text_id(&offer.to_text()),
        root: Root([0x44; 32]),
        inventory: Digest([0x55; 32]),
        entries: 6,
        files: 3,
        folders: 2,
        links: 1,
        exceptions: 0,
        bytes: 123_456_789,
        stream_blocks: 119,
        sealed: Stamp::from(NOW.plus(60_000)),
    }
}

fn claim(sealed_offer: &[u8], buyer: &Identity, hybrid: &HybridSecret) -> ClaimText {
    ClaimText {
        transfer: TID,
        offer: proof::digest(sealed_offer),
        buyer_key: fingerprint(buyer),
        link_key: LINK,
        bundle: hybrid::bundle(&LINK, &hybrid.public()),
        agreement: Agreement::None,
        channel: Channel(CHANNEL),
        time: Stamp::from(NOW.plus(120_000)),
    }
}

fn receipt(offer: &OfferText, seal: &SealText, buyer: &Identity) -> ReceiptText {
    ReceiptText {
        transfer: TID,
        offer: seal.offer,
        seal: proof::text_id(&seal.to_text()),
        root: seal.root,
        entries: seal.entries,
        files: seal.files,
        folders: seal.folders,
        links: seal.links,
        exceptions: seal.exceptions,
        bytes: seal.bytes,
        kept_existing: 1,
        seller_key: offer.seller_key,
        buyer_key: fingerprint(buyer),
        relay_key: offer.relay_key,
        agreement: Agreement::None,
        received: Stamp::from(NOW.plus(180_000)),
        verified: Verified::All,
    }
}

/// The key of a relay that signs.
pub fn relay_identity() -> Identity {
    Identity::of_seed(&[0x52; 32])
}

/// The buyer's word that it agrees.
pub fn agreement(world: &World) -> AgreementText {
    AgreementText {
        transfer: TID,
        offer: Digest([2; 32]),
        agreement: Digest([3; 32]),
        document: Written::new("document", "保密 nda.pdf", 255).unwrap(),
        document_bytes: 4711,
        seller_key: Fingerprint::of(&world.seller.public()),
        buyer_key: Fingerprint::of(&world.buyer.public()),
        name: Written::new("name", "李 Li", 120).unwrap(),
        organisation: None,
        time: NOW.into(),
        agrees: Agreed::Yes,
    }
}

/// The buyer's word that it does not.
pub fn refusal(world: &World) -> RefusalText {
    RefusalText {
        transfer: TID,
        offer: Digest([2; 32]),
        agreement: Digest([3; 32]),
        seller_key: Fingerprint::of(&world.seller.public()),
        buyer_key: Fingerprint::of(&world.buyer.public()),
        reason: Some(Written::new("reason", "100 %", 120).unwrap()),
        time: NOW.into(),
        agrees: Disagreed::No,
    }
}

/// A head of its log.
pub fn log_head() -> LogHeadText {
    let relay_key = Fingerprint::of(&relay_identity().public());
    LogHeadText { relay_key, size: 812, root: Digest([1; 32]), previous: None, time: NOW.into() }
}

/// Its word that data is gone.
pub fn deletion() -> DeletionText {
    DeletionText {
        transfer: TID,
        blocks: 9,
        bytes: 9 << 20,
        reason: EndReason::Receipt,
        share_erased: NOW.into(),
        blocks_deleted: NOW.into(),
        method: Method::Files,
        relay_key: Fingerprint::of(&relay_identity().public()),
        log_entry: Digest([2; 32]),
    }
}
