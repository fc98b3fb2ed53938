//! Does what a vector says, with nothing but what stands in it.

use handover_shared::fault::Fault;
use handover_shared::ids::{Bundle, ClaimKey, Commit, Digest, LinkKey, Millis, TransferId};
use handover_shared::keys::Secret;
use handover_shared::keys::code::{Code, CodeError, Ticket, WordList};
use handover_shared::keys::hybrid::{self, HybridPublic, HybridSecret};
use handover_shared::keys::schedule::{self, CodeKeys, ContentKey};
use handover_shared::keys::seal;
use handover_shared::proof::destruction::{DestructionText, WitnessText};
use handover_shared::proof::log::tree;
use handover_shared::proof::{
    self, AgreementText, ClaimCheck, ClaimText, DeletionText, Kind, LogEntry, LogHeadText, OfferText, ProofFault,
    ReceiptCheck, ReceiptText, RefusalText, SealCheck, SealText, StatementFault,
};

use super::file::Vector;

/// What came out.
pub struct Outcome {
    pub expect: String,
    pub gives: Vec<(String, Vec<u8>)>,
}

type Gives = Vec<(&'static str, Vec<u8>)>;

pub fn replay(vector: &Vector) -> Outcome {
    let result = match vector.text("operation").as_str() {
        "derive-from-code" => Ok(derive_from_code(vector)),
        "derive-from-content-key" => Ok(derive_from_content_key(vector)),
        "write-code" => Ok(write_code(vector)),
        "read-code" => read_code(vector).map_err(|error| code_error(&error)),
        "seal" => Ok(seal_bytes(vector)),
        "open" => open_bytes(vector).map_err(|fault| fault.to_string()),
        "seal-envelope" => Ok(seal_envelope(vector)),
        "open-envelope" => open_envelope(vector).map_err(|fault| fault.to_string()),
        "bundle" => bundle(vector).map_err(|fault| fault.to_string()),
        "accept-share" => accept_share(vector).map_err(|fault| fault.to_string()),
        "read-statement" => read_statement(vector).map_err(|fault| fault.to_string()),
        "verify" => verify(vector).map_err(proof_fault),
        "open-offer" => open_offer(vector).map_err(proof_fault),
        "check-claim" => check_claim(vector).map_err(proof_fault),
        "check-seal" => check_seal(vector).map_err(proof_fault),
        "log-inclusion" => log_inclusion(vector).ok_or_else(|| "not included".to_owned()),
        "log-consistency" => log_consistency(vector).ok_or_else(|| "not consistent".to_owned()),
        "check-receipt" => check_receipt(vector).map_err(proof_fault),
        other => panic!("unknown operation {other}"),
    };
    match result {
        Ok(gives) => Outcome {
            expect: "ok".into(),
            gives: gives.into_iter().map(|(name, bytes)| (format!("gives-{name}"), bytes)).collect(),
        },
        Err(expect) => Outcome { expect, gives: Vec::new() },
    }
}

/// A fault's own words, and those of a statement's fault where that is the cause.
fn proof_fault(fault: ProofFault) -> String {
    match fault {
        ProofFault::Statement(cause) => cause.to_string(),
        ProofFault::Sealed(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

fn code_error(error: &CodeError) -> String {
    match error {
        CodeError::Typo { position: Some(position) } => format!("{error} at {position}"),
        other => other.to_string(),
    }
}

fn secret<const N: usize>(vector: &Vector, name: &str) -> Secret<N> {
    Secret::from_slice(&vector.array::<N>(name)).unwrap()
}

fn code_keys(vector: &Vector) -> CodeKeys {
    CodeKeys::of(&Code::of_secret(secret(vector, "code")))
}

fn tid(vector: &Vector) -> TransferId {
    TransferId(vector.array("transfer"))
}

fn derive_from_code(vector: &Vector) -> Gives {
    let keys = code_keys(vector);
    vec![
        ("locator", keys.locator.0.to_vec()),
        ("claim-key", keys.claim.public().0.to_vec()),
        ("offer-key", keys.offer.expose().to_vec()),
        ("psk", keys.psk.expose().to_vec()),
    ]
}

fn derive_from_content_key(vector: &Vector) -> Gives {
    let (key, tid) = (ContentKey::of_secret(secret(vector, "content-key")), tid(vector));
    vec![
        ("commit", key.commit(&tid).0.to_vec()),
        ("block-key", key.block_key(&tid).expose().to_vec()),
        ("manifest-key", key.manifest_key(&tid).expose().to_vec()),
        ("receipt-key", key.receipt_key(&tid).expose().to_vec()),
        ("inventory-salt", key.inventory_salt(&tid).0.to_vec()),
    ]
}

fn write_code(vector: &Vector) -> Gives {
    let code = Code::of_secret(secret(vector, "code"));
    vec![
        ("text", code.to_text().as_bytes().to_vec()),
        ("english", code.to_words(WordList::English).as_bytes().to_vec()),
        ("chinese", code.to_words(WordList::Chinese).as_bytes().to_vec()),
    ]
}

fn read_code(vector: &Vector) -> Result<Gives, CodeError> {
    let ticket = Ticket::parse(&vector.text("input"))?;
    let relay = ticket.relay.as_ref().map(|relay| relay.to_string().into_bytes()).unwrap_or_default();
    Ok(vec![("code", ticket.code.expose().to_vec()), ("relay", relay)])
}

fn seal_bytes(vector: &Vector) -> Gives {
    let (key, context) = (vector.array("key"), vector.bytes("context"));
    vec![("sealed", seal::seal(&key, &context, vector.array("salt"), &vector.bytes("plain")))]
}

fn open_bytes(vector: &Vector) -> Result<Gives, seal::SealFault> {
    let (key, context, mut sealed) = (vector.array("key"), vector.bytes("context"), vector.bytes("sealed"));
    let opened = seal::open(&key, &context, &sealed);
    assert_eq!(
        opened.clone().map(|plain| plain.to_vec()),
        seal::open_in_place(&key, &context, &mut sealed).map(|plain| plain.to_vec())
    );
    Ok(vec![("plain", opened?.to_vec())])
}

fn seal_envelope(vector: &Vector) -> Gives {
    let envelope = schedule::seal_envelope(
        &secret(vector, "psk"),
        &secret(vector, "share"),
        &tid(vector),
        &Digest(vector.array("offer-digest")),
        &ContentKey::of_secret(secret(vector, "content-key")),
        vector.array("salt"),
    );
    vec![("envelope", envelope)]
}

fn open_envelope(vector: &Vector) -> Result<Gives, Fault> {
    let key = schedule::open_envelope(
        &secret(vector, "psk"),
        &secret(vector, "share"),
        &tid(vector),
        &Digest(vector.array("offer-digest")),
        &vector.bytes("envelope"),
        &Commit(vector.array("commit")),
    )?;
    Ok(vec![("content-key", key.expose().to_vec())])
}

fn bundle(vector: &Vector) -> Result<Gives, Fault> {
    let public = HybridPublic::of_bytes(&vector.bytes("hybrid-key"))?;
    Ok(vec![("bundle", hybrid::bundle(&LinkKey(vector.array("link-key")), &public).0.to_vec())])
}

fn accept_share(vector: &Vector) -> Result<Gives, Fault> {
    let hybrid = HybridSecret::of_seed(secret(vector, "hybrid-seed"));
    let bundle = Bundle(vector.array("bundle"));
    let (encapsulated, sealed) = (vector.bytes("encapsulated"), vector.bytes("sealed"));
    let share = hybrid::accept_share(&hybrid, &tid(vector), &bundle, &encapsulated, &sealed)?;
    Ok(vec![("share", share.expose().to_vec()), ("hybrid-key", hybrid.public().as_bytes().to_vec())])
}

fn kind(vector: &Vector) -> Kind {
    let name = vector.text("kind");
    Kind::ALL.into_iter().find(|kind| kind.header() == format!("handover-{name}/v1")).unwrap()
}

fn read_statement(vector: &Vector) -> Result<Gives, StatementFault> {
    let text = vector.text("text");
    if vector.text("kind") == "log-entry" {
        let entry = LogEntry::parse(&text)?;
        assert_eq!(entry.to_text(), text);
        return Ok(vec![("id", proof::text_id(&text).0.to_vec()), ("leaf", entry.leaf().0.to_vec())]);
    }
    let written = match kind(vector) {
        Kind::Offer => OfferText::parse(&text)?.to_text(),
        Kind::Seal => SealText::parse(&text)?.to_text(),
        Kind::Claim => ClaimText::parse(&text)?.to_text(),
        Kind::Receipt => ReceiptText::parse(&text)?.to_text(),
        Kind::LogHead => LogHeadText::parse(&text)?.to_text(),
        Kind::Deletion => DeletionText::parse(&text)?.to_text(),
        Kind::Agreement => AgreementText::parse(&text)?.to_text(),
        Kind::Refusal => RefusalText::parse(&text)?.to_text(),
        Kind::Destruction => DestructionText::parse(&text)?.to_text(),
        Kind::Witness => WitnessText::parse(&text)?.to_text(),
    };
    assert_eq!(written, text);
    Ok(vec![("id", proof::text_id(&text).0.to_vec())])
}

fn hashes(vector: &Vector, name: &str) -> Vec<Digest> {
    vector.bytes(name).chunks(32).map(|hash| Digest(hash.try_into().unwrap())).collect()
}

fn number(vector: &Vector, name: &str) -> u64 {
    vector.text(name).parse().unwrap()
}

fn log_inclusion(vector: &Vector) -> Option<Gives> {
    let leaf = tree::leaf_hash(vector.text("text").as_bytes());
    let path = hashes(vector, "path");
    let root = tree::root_of_inclusion(leaf, number(vector, "number"), number(vector, "size"), &path)?;
    (root.0 == vector.array("root")).then(|| vec![("leaf", leaf.0.to_vec())])
}

fn log_consistency(vector: &Vector) -> Option<Gives> {
    let earlier = (number(vector, "earlier"), Digest(vector.array("earlier-root")));
    let later = (number(vector, "later"), Digest(vector.array("later-root")));
    tree::is_consistent(earlier, later, &hashes(vector, "proof")).then(Vec::new)
}

fn verify(vector: &Vector) -> Result<Gives, ProofFault> {
    let signer = proof::verify(kind(vector), &vector.text("text"), &vector.text("signature"))?;
    Ok(vec![("signer", signer.as_bytes().to_vec()), ("fingerprint", signer.fingerprint().into_bytes())])
}

fn open_offer(vector: &Vector) -> Result<Gives, ProofFault> {
    let opened = proof::open_offer(&code_keys(vector), &vector.bytes("sealed"), &tid(vector))?;
    let now: u64 = vector.text("now").parse().unwrap();
    opened.check_live(&LinkKey(vector.array("relay-key")), Millis(now))?;
    Ok(vec![
        ("id", opened.text_id.0.to_vec()),
        ("digest", opened.sealed_digest.0.to_vec()),
        ("seller-key", opened.seller.as_bytes().to_vec()),
        ("label", opened.summary.label.into_bytes()),
        ("text", opened.statement.into_bytes()),
    ])
}

fn check_claim(vector: &Vector) -> Result<Gives, ProofFault> {
    let hybrid = HybridPublic::of_bytes(&vector.bytes("hybrid-key")).unwrap();
    let channel = vector.array("channel");
    let check = ClaimCheck {
        transfer: tid(vector),
        offer_digest: Digest(vector.array("offer-digest")),
        claim_key: ClaimKey(vector.array("claim-key")),
        link_key: LinkKey(vector.array("link-key")),
        hybrid: &hybrid,
        channel: Some(&channel),
    };
    let claim = proof::check_claim(
        &check,
        &vector.text("text"),
        &vector.text("identity-signature"),
        &vector.text("claim-signature"),
    )?;
    Ok(vec![("buyer-key", claim.buyer().as_bytes().to_vec())])
}

fn check_seal(vector: &Vector) -> Result<Gives, ProofFault> {
    let seller = proof::PublicIdentity::of_bytes(vector.array("seller-key")).unwrap();
    let offer = vector.text("offer");
    let check = SealCheck { offer: &offer, seller: &seller };
    let seal = proof::check_seal(&check, &vector.text("text"), &vector.text("signature"))?;
    Ok(vec![("id", seal.id().0.to_vec())])
}

/// The whole way of a receipt back to the seller: opened, and checked against offer, seal and claim.
fn check_receipt(vector: &Vector) -> Result<Gives, ProofFault> {
    let tid = tid(vector);
    let key = ContentKey::of_secret(secret(vector, "content-key")).receipt_key(&tid);
    let bundle = proof::open_receipt(&key, &tid, &vector.bytes("sealed"))?;
    let hybrid = HybridPublic::of_bytes(&vector.bytes("hybrid-key")).unwrap();
    let claim = proof::check_claim(
        &ClaimCheck {
            transfer: tid,
            offer_digest: Digest(vector.array("offer-digest")),
            claim_key: ClaimKey(vector.array("claim-key")),
            link_key: LinkKey(vector.array("link-key")),
            hybrid: &hybrid,
            channel: None,
        },
        &vector.text("claim"),
        &vector.text("identity-signature"),
        &vector.text("claim-signature"),
    )?;
    let (offer, seal) = (vector.text("offer"), vector.text("seal"));
    let check = ReceiptCheck { offer: &offer, seal: &seal, claim: &claim };
    let receipt = proof::check_receipt(&check, &bundle.text, &bundle.signature)?;
    Ok(vec![
        ("root", receipt.text().root.0.to_vec()),
        ("buyer-name", bundle.buyer_name.into_bytes()),
        ("text", bundle.text.into_bytes()),
    ])
}
