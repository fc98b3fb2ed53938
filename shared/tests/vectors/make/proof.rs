//! Signatures, offers, claims, seals and receipts.

use handover_shared::codec;
use handover_shared::ids::{Digest, LinkKey, Root, TransferId};
use handover_shared::keys::hybrid::HybridSecret;
use handover_shared::keys::{labels, seal};
use handover_shared::proof::{self, ClaimText, Identity, Kind, OfferText, ReceiptBundle, ReceiptText, Summary};

use super::super::common::{
    CHANNEL, LINK, NOW, OTHER_TID, RELAY, TID, World, counted, destruction, fingerprint, secret, witness,
};
use super::super::file::Vector;
use super::Files;

pub fn signatures(world: &World, files: &mut Files) {
    let text = world.receipt.to_text();
    let good = proof::sign(Kind::Receipt, &text, &world.buyer).unwrap();
    let as_seal = proof::sign(Kind::Seal, &text, &world.buyer).unwrap();
    let sha256 = ssh_key::PrivateKey::from_openssh(world.buyer.to_openssh().as_str())
        .and_then(|key| key.sign(Kind::Receipt.namespace(), ssh_key::HashAlg::Sha256, text.as_bytes()))
        .and_then(|signature| signature.to_pem(ssh_key::LineEnding::LF))
        .unwrap();
    let altered = text.replacen("\"entries\": \"6\"", "\"entries\": \"7\"", 1);
    let form = "signature of another form";
    let cases = [
        ("ok", "The signature fits text, kind and key.", "ok".to_owned(), text.clone(), good.clone()),
        (
            "altered-text",
            "One digit of the text was altered.",
            "signature does not fit the text".into(),
            altered,
            good.clone(),
        ),
        (
            "other-namespace",
            "It was made as the signature of a seal.",
            "signature for another purpose".into(),
            text.clone(),
            as_seal,
        ),
        ("sha256", "The hash is sha512.", format!("{form}: version, reserved bytes or hash"), text.clone(), sha256),
        (
            "crlf-armour",
            "A signature has one armour.",
            format!("{form}: another armour of the same signature"),
            text.clone(),
            good.replace('\n', "\r\n"),
        ),
        ("truncated", "The armour was cut off.", "malformed signature".into(), text.clone(), good[..150].to_owned()),
        (
            "small-order",
            "By a key of small order every text would be signed.",
            format!("{form}: key of small order"),
            text,
            anybodys(),
        ),
    ];
    for (name, head, expect, text, signature) in cases {
        let vector = Vector::new(&format!("{head} [S10.1]"), "verify", &expect).with_text("kind", "receipt");
        files.add(&format!("signature-{name}"), vector.with("text", text).with("signature", signature));
    }
}

/// Certificates of destruction and witnesses.
pub fn destructions(world: &World, files: &mut Files) {
    let (certificate, witness) = (destruction(world).to_text(), witness(world).to_text());
    for (name, kind, text, by) in [
        ("destruction", Kind::Destruction, &certificate, &world.seller),
        ("witness", Kind::Witness, &witness, &world.buyer),
    ] {
        let head = "Every value is ASCII, other scripts are escaped. [S21.3] [S21.4]";
        let vector = Vector::new(head, "read-statement", "ok");
        files.add(&format!("statement-{name}"), vector.with_text("kind", name).with("text", text.clone()));
        let signature = proof::sign(kind, text, by).unwrap();
        let vector = Vector::new("The signature fits text, kind and key. [S10.1]", "verify", "ok");
        let vector = vector.with_text("kind", name).with("text", text.clone()).with("signature", signature);
        files.add(&format!("signature-{name}"), vector);
    }
}

/// A signature that fits every text: the neutral element as key and as R, and s = 0.
fn anybodys() -> String {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let signature = ssh_key::Signature::new(ssh_key::Algorithm::Ed25519, [neutral, [0; 32]].concat()).unwrap();
    let key = ssh_key::public::KeyData::Ed25519(ssh_key::public::Ed25519PublicKey(neutral));
    ssh_key::SshSig::new(key, Kind::Receipt.namespace(), ssh_key::HashAlg::Sha512, signature)
        .and_then(|signature| signature.to_pem(ssh_key::LineEnding::LF))
        .unwrap()
}

/// What is sealed in an offer.
#[derive(minicbor::Encode)]
#[cbor(array)]
struct Parts {
    #[n(0)]
    transfer: TransferId,
    #[n(1)]
    text: String,
    #[n(2)]
    signature: String,
    #[cbor(n(3), with = "minicbor::bytes")]
    summary: Vec<u8>,
}

impl Parts {
    fn new(offer: &OfferText, by: &Identity, summary: &Summary) -> Self {
        let text = offer.to_text();
        let signature = proof::sign(Kind::Offer, &text, by).unwrap();
        Self { transfer: TID, text, signature, summary: summary.to_bytes() }
    }

    fn sealed(&self, world: &World, padded_bytes: usize, fill: u8) -> Vec<u8> {
        let parts = codec::encode(self);
        let mut padded = (parts.len() as u32).to_be_bytes().to_vec();
        padded.extend(parts);
        padded.resize(padded_bytes, fill);
        let context = labels::context(labels::OFFER_CONTEXT, &[]);
        seal::seal(world.keys.offer.expose(), &context, counted(0x10), &padded)
    }
}

pub fn offers(world: &World, files: &mut Files) {
    let good = || Parts::new(&world.offer, &world.seller, &world.summary);
    assert_eq!(good().sealed(world, 4096, 0), world.sealed_offer);
    let other_text = OfferText { transfer: OTHER_TID, ..world.offer.clone() };
    let other_text = Parts::new(&other_text, &world.seller, &world.summary).sealed(world, 4096, 0);
    let other_inside = Parts { transfer: OTHER_TID, ..good() }.sealed(world, 4096, 0);
    let other_signer = Parts::new(&world.offer, &world.buyer, &world.summary).sealed(world, 4096, 0);
    let mut summary = world.summary.clone();
    summary.files += 1;
    let other_summary = Parts::new(&world.offer, &world.seller, &summary).sealed(world, 4096, 0);
    summary.label = "x".repeat(121);
    let long_label = OfferText { summary: summary.digest(), ..world.offer.clone() };
    let long_label = Parts::new(&long_label, &world.seller, &summary).sealed(world, 4096, 0);
    let sealed = world.sealed_offer.clone();
    let (now, late) = (NOW.0, world.offer.expires.millis().0);
    let cut = sealed[..sealed.len() - 1].to_vec();
    let mut altered = sealed.clone();
    altered[100] ^= 1;
    let code = *world.code.expose();
    let cases = [
        ("ok", "The offer opens for who has the code.", "ok", code, RELAY, now, sealed.clone()),
        (
            "other-code",
            "Another code does not open it.",
            "sealed under another key or for another purpose",
            [1; 20],
            RELAY,
            now,
            sealed.clone(),
        ),
        ("truncated", "A byte was cut off.", "sealed bytes were altered", code, RELAY, now, cut),
        ("altered", "A bit was altered.", "sealed bytes were altered", code, RELAY, now, altered),
        (
            "other-transfer",
            "The statement is about another transfer.",
            "line transfer does not fit",
            code,
            RELAY,
            now,
            other_text,
        ),
        (
            "other-transfer-inside",
            "It was sealed for another transfer.",
            "line transfer does not fit",
            code,
            RELAY,
            now,
            other_inside,
        ),
        (
            "other-signer",
            "The signer is not the seller it names.",
            "signed by another key",
            code,
            RELAY,
            now,
            other_signer,
        ),
        (
            "other-summary",
            "The summary is not the one it names.",
            "line summary does not fit",
            code,
            RELAY,
            now,
            other_summary,
        ),
        ("long-label", "The label has 121 characters.", "label is too long", code, RELAY, now, long_label),
        (
            "padding",
            "What follows the content is zeros.",
            "malformed content",
            code,
            RELAY,
            now,
            good().sealed(world, 4096, 1),
        ),
        (
            "wide-padding",
            "The padding is the smallest that fits.",
            "malformed content",
            code,
            RELAY,
            now,
            good().sealed(world, 16_384, 0),
        ),
        (
            "odd-padding",
            "There are four lengths.",
            "malformed content",
            code,
            RELAY,
            now,
            good().sealed(world, 4095, 0),
        ),
        (
            "other-relay",
            "The relay at the other end is another one.",
            "offer for another relay",
            code,
            LINK,
            now,
            sealed.clone(),
        ),
        ("expired", "Its time is over.", "offer expired", code, RELAY, late, sealed),
    ];
    for (name, head, expect, code, relay, now, sealed) in cases {
        let vector = Vector::new(&format!("{head} [S10.7] [S10.8]"), "open-offer", expect)
            .with("code", code)
            .with("transfer", TID.0)
            .with("relay-key", relay.0)
            .with_text("now", &now.to_string())
            .with("sealed", sealed);
        files.add(&format!("offer-{name}"), vector);
    }
}

pub fn claims(world: &World, files: &mut Files) {
    let own = |claim: &ClaimText| world.signed_claim(claim);
    let (text, by_identity, by_claim_key) = own(&world.claim);
    let good = (text.clone(), by_identity.clone(), by_claim_key.clone());
    let other_link = own(&ClaimText { link_key: LinkKey([0; 32]), ..world.claim.clone() });
    let other_offer = own(&ClaimText { offer: Digest([0; 32]), ..world.claim.clone() });
    let one_key = ClaimText { buyer_key: fingerprint(world.keys.claim.identity()), ..world.claim.clone() };
    let (one_text, _, one_signature) = own(&one_key);
    let one_key = (one_text, one_signature.clone(), one_signature);
    let swapped = (text.clone(), by_claim_key.clone(), by_identity.clone());
    let altered = (text.replacen("\"none\"", "\"nonE\"", 1), by_identity.clone(), by_claim_key.clone());
    let as_receipt = proof::sign(Kind::Receipt, &text, &world.buyer).unwrap();
    let other_namespace = (text, as_receipt, by_claim_key);
    let hybrid = world.hybrid.public().as_bytes().to_vec();
    let other_hybrid = HybridSecret::of_seed(secret(1)).public().as_bytes().to_vec();
    let cases = [
        ("ok", "A claim fits connection, offer and code.", "ok", CHANNEL, hybrid.clone(), good.clone()),
        (
            "other-channel",
            "It was made for another connection.",
            "line channel does not fit",
            [0; 32],
            hybrid.clone(),
            good.clone(),
        ),
        (
            "other-hybrid",
            "The share would be sealed to another key.",
            "line bundle does not fit",
            CHANNEL,
            other_hybrid,
            good,
        ),
        ("other-link", "It names another link key.", "line link-key does not fit", CHANNEL, hybrid.clone(), other_link),
        (
            "other-offer",
            "It names another sealed offer.",
            "line offer does not fit",
            CHANNEL,
            hybrid.clone(),
            other_offer,
        ),
        (
            "swapped",
            "The two signatures are in each other's place.",
            "signed by another key",
            CHANNEL,
            hybrid.clone(),
            swapped,
        ),
        (
            "one-key",
            "The claim key cannot be the buyer's identity.",
            "signed by another key",
            CHANNEL,
            hybrid.clone(),
            one_key,
        ),
        ("altered", "A value is not one of this version.", "line 8: wrong value", CHANNEL, hybrid.clone(), altered),
        (
            "other-namespace",
            "A receipt's signature is no claim's.",
            "signature for another purpose",
            CHANNEL,
            hybrid,
            other_namespace,
        ),
    ];
    for (name, head, expect, channel, hybrid, (text, by_identity, by_claim_key)) in cases {
        let vector = Vector::new(&format!("{head} [S10.5] [S13.5]"), "check-claim", expect)
            .with("transfer", TID.0)
            .with("offer-digest", world.offer_digest().0)
            .with("claim-key", world.claim_key().0)
            .with("link-key", LINK.0)
            .with("hybrid-key", hybrid)
            .with("channel", channel)
            .with("text", text)
            .with("identity-signature", by_identity)
            .with("claim-signature", by_claim_key);
        files.add(&format!("claim-{name}"), vector);
    }
}

pub fn seals(world: &World, files: &mut Files) {
    let offer = world.offer.to_text();
    let text = world.seal.to_text();
    let mut elsewhere = world.seal.clone();
    elsewhere.offer = Digest([0; 32]);
    let elsewhere = elsewhere.to_text();
    let cases = [
        ("ok", "The seal is by the seller of the offer.", "ok", &text, &world.seller),
        ("other-signer", "Somebody else signed it.", "signed by another key", &text, &world.buyer),
        ("other-offer", "It belongs to another offer.", "line offer does not fit", &elsewhere, &world.seller),
    ];
    for (name, head, expect, text, by) in cases {
        let vector = Vector::new(&format!("{head} [S9.5] [S10.4]"), "check-seal", expect)
            .with("seller-key", world.seller.public().as_bytes())
            .with("offer", &offer)
            .with("text", text)
            .with("signature", proof::sign(Kind::Seal, text, by).unwrap());
        files.add(&format!("archive-seal-{name}"), vector);
    }
}

pub fn receipts(world: &World, files: &mut Files) {
    let (claim, by_identity, by_claim_key) = world.signed_claim(&world.claim);
    let good = &world.receipt;
    let other_root = ReceiptText { root: Root([0; 32]), ..good.clone() };
    let fewer = ReceiptText { files: good.files - 1, ..good.clone() };
    let other_seal = ReceiptText { seal: Digest([0; 32]), ..good.clone() };
    let (content, other) = (*world.content.expose(), [9; 32]);
    let cases = [
        ("ok", "The receipt says what the seller sealed.", "ok", content, good, &world.buyer),
        (
            "other-key",
            "Without the content key it does not open.",
            "sealed under another key or for another purpose",
            other,
            good,
            &world.buyer,
        ),
        (
            "other-signer",
            "The seller cannot sign for the buyer.",
            "signed by another key",
            content,
            good,
            &world.seller,
        ),
        (
            "other-root",
            "The buyer computed another root.",
            "line root does not fit",
            content,
            &other_root,
            &world.buyer,
        ),
        ("fewer-files", "The buyer counted fewer files.", "line files does not fit", content, &fewer, &world.buyer),
        ("other-seal", "It is about another seal.", "line seal does not fit", content, &other_seal, &world.buyer),
    ];
    for (name, head, expect, content, receipt, by) in cases {
        let text = receipt.to_text();
        let signature = proof::sign(Kind::Receipt, &text, by).unwrap();
        let bundle = ReceiptBundle { text, signature, ..world.receipt_bundle() };
        let sealed = proof::seal_receipt(&world.content.receipt_key(&TID), &TID, &bundle, counted(0x20)).unwrap();
        let vector = Vector::new(&format!("{head} [S10.9] [S10.10]"), "check-receipt", expect)
            .with("transfer", TID.0)
            .with("content-key", content)
            .with("offer", world.offer.to_text())
            .with("seal", world.seal.to_text())
            .with("offer-digest", world.offer_digest().0)
            .with("claim-key", world.claim_key().0)
            .with("link-key", LINK.0)
            .with("hybrid-key", world.hybrid.public().as_bytes())
            .with("claim", &claim)
            .with("identity-signature", &by_identity)
            .with("claim-signature", &by_claim_key)
            .with("sealed", sealed);
        files.add(&format!("receipt-{name}"), vector);
    }
}
