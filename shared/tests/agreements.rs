//! Agreement and refusal: every line altered, signatures swapped between transfers, roles and purposes. All of it is
//! refused, and by name.
#![cfg(feature = "endpoint")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use handover_shared::ids::{BlockSize, ClaimKey, Commit, Digest, Millis, TransferId};
use handover_shared::keys::Secret;
use handover_shared::keys::code::Code;
use handover_shared::keys::schedule::CodeKeys;
use handover_shared::limits;
use handover_shared::proof::*;
use zeroize::Zeroizing;

const DOCUMENT: &[u8] = "保密协议\n".as_bytes();

struct Deal {
    keys: CodeKeys,
    offer: OpenedOffer,
}

fn seller() -> Identity {
    Identity::of_seed(&[1; 32])
}

fn buyer() -> Identity {
    Identity::of_seed(&[2; 32])
}

fn keys(seed: u8) -> CodeKeys {
    CodeKeys::of(&Code::of_secret(Secret::new(Zeroizing::new([seed; 20]))))
}

fn deal(seed: u8) -> Deal {
    let (keys, transfer) = (keys(seed), TransferId([seed; 16]));
    let document = DocumentTerms { name: "保密协议.pdf".into(), bytes: DOCUMENT.len() as u64, salt: [seed; 32] };
    let summary = Summary {
        label: "label".into(),
        seller_name: "seller".into(),
        organisation: None,
        files: 1,
        folders: 0,
        links: 0,
        bytes: Some(9),
        hidden: 0,
        executable: 0,
        biggest: Vec::new(),
        document: Some(document),
    };
    let text = OfferText {
        transfer,
        mode: Mode::Detached,
        seller_key: Fingerprint::of(&seller().public()),
        relay_key: Fingerprint::of(&Identity::of_seed(&[3; 32]).public()),
        commit: Commit([4; 32]),
        summary: summary.digest(),
        agreement: Agreement::Of(digest(DOCUMENT)),
        block_bytes: BlockSize::Small,
        created: Millis(1_000_000).into(),
        expires: Millis(2_000_000).into(),
    };
    let sealed = seal_offer(&keys, &text, &summary, &seller(), [seed; 24]).unwrap();
    let offer = open_offer(&keys, &sealed, &transfer).unwrap();
    Deal { keys, offer }
}

fn signatory() -> Signatory {
    Signatory {
        name: Written::new("name", "李伟", limits::FULL_NAME_CHARS_MAX).unwrap(),
        organisation: Some(Written::new("organisation", "none", 9).unwrap()),
    }
}

impl Deal {
    fn signed(&self) -> SignedText {
        sign_agreement(&self.offer, signatory(), Millis(1_500_000).into(), &buyer()).unwrap()
    }

    fn check(&self, signed: &SignedText) -> Result<AgreementText, ProofFault> {
        let (document, _) = self.offer.document().unwrap();
        let buyer = buyer().public();
        check_agreement(&AgreementCheck { offer: &self.offer.statement, document, buyer: &buyer }, signed)
    }

    fn refused(&self) -> SignedRefusal {
        let reason = Written::new("reason", "第四条", limits::REASON_CHARS_MAX).unwrap();
        let time = Millis(1_500_000).into();
        sign_refusal(&self.offer, Some(reason), time, &buyer(), self.keys.claim.identity()).unwrap()
    }

    fn check_refusal(&self, refusal: &SignedRefusal) -> Result<RefusalText, ProofFault> {
        let check = RefusalTextCheck { offer: &self.offer.statement, claim_key: self.keys.claim.public() };
        check_refusal(&check, refusal)
    }
}

#[test] // [S10.13]
fn an_agreement_has_this_text_and_holds() {
    let deal = deal(7);
    let signed = deal.signed();
    let text = deal.check(&signed).unwrap();
    assert_eq!(text.name.as_str(), "李伟");
    let offer = deal.offer.text_id.to_hex();
    let (seller, buyer) = (Fingerprint::of(&seller().public()), Fingerprint::of(&buyer().public()));
    let document = digest(DOCUMENT).to_hex();
    let lines = [
        "{".to_owned(),
        "  \"statement\": \"handover-agreement/v1\",".into(),
        format!("  \"transfer\": \"{}\",", "07".repeat(16)),
        format!("  \"offer\": \"{offer}\","),
        format!("  \"agreement\": \"{document}\","),
        "  \"document\": \"%E4%BF%9D%E5%AF%86%E5%8D%8F%E8%AE%AE.pdf\",".into(),
        "  \"document-bytes\": \"13\",".into(),
        format!("  \"seller-key\": \"{seller}\","),
        format!("  \"buyer-key\": \"{buyer}\","),
        "  \"name\": \"%E6%9D%8E%E4%BC%9F\",".into(),
        "  \"organisation\": \"%6Eone\",".into(),
        "  \"time\": \"1970-01-01T00:25:00Z\",".into(),
        "  \"agrees\": \"yes\"".into(),
        "}\n".into(),
    ];
    assert_eq!(signed.text, lines.join("\n"));
    let refusal = deal.refused();
    assert!(refusal.text.contains("\"reason\": \"%E7%AC%AC%E5%9B%9B%E6%9D%A1\""), "{}", refusal.text);
    assert!(refusal.text.ends_with("  \"agrees\": \"no\"\n}\n"));
    deal.check_refusal(&refusal).unwrap();
}

#[test] // [S10.13] [S3.1]
fn the_longest_names_fit_a_statement() {
    let mut deal = deal(7);
    let wide = |count: usize| "😀".repeat(count);
    let document = deal.offer.summary.document.as_mut().unwrap();
    document.name = wide(limits::DOCUMENT_NAME_CHARS_MAX);
    let signatory = Signatory {
        name: Written::new("name", &wide(limits::FULL_NAME_CHARS_MAX), limits::FULL_NAME_CHARS_MAX).unwrap(),
        organisation: Some(Written::new("organisation", &wide(120), limits::LABEL_CHARS_MAX).unwrap()),
    };
    let signed = sign_agreement(&deal.offer, signatory, Millis(1_500_000).into(), &buyer()).unwrap();
    assert!(signed.text.len() <= limits::STATEMENT_BYTES_MAX, "{}", signed.text.len());
    deal.check(&signed).unwrap();
    let reason = Written::new("reason", &wide(limits::REASON_CHARS_MAX), limits::REASON_CHARS_MAX).unwrap();
    let time = Millis(1_500_000).into();
    let refusal = sign_refusal(&deal.offer, Some(reason), time, &buyer(), deal.keys.claim.identity()).unwrap();
    deal.check_refusal(&refusal).unwrap();
}

/// Every line of a text, with another value that this line may have.
fn alterations(text: &str) -> Vec<(String, String)> {
    let other = |key: &str, value: &str| match key {
        "document-bytes" => "14".to_owned(),
        "seller-key" | "buyer-key" => Fingerprint::of(&Identity::of_seed(&[9; 32]).public()).to_string(),
        "time" => "1970-01-01T00:25:01Z".into(),
        "document" | "name" | "organisation" | "reason" => "Somebody else".into(),
        _ => value.replace(value.chars().next().unwrap(), if value.starts_with('f') { "e" } else { "f" }),
    };
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.contains("\": \"") && !line.contains("statement")) {
        let (key, value) = line.trim().trim_end_matches(',').split_once(": ").unwrap();
        let (key, value) = (key.trim_matches('"'), value.trim_matches('"'));
        if key != "agrees" {
            let altered = line.replace(&format!("\"{value}\""), &format!("\"{}\"", other(key, value)));
            found.push((key.to_owned(), text.replace(line, &altered)));
        }
    }
    found
}

#[test] // [S10.13]
fn every_altered_line_is_refused_by_name() {
    let deal = deal(7);
    let signed = deal.signed();
    let forger = Identity::of_seed(&[8; 32]);
    let altered = alterations(&signed.text);
    assert_eq!(altered.len(), 10);
    for (line, text) in altered {
        assert_ne!(text, signed.text, "{line}");
        // What the buyer alone may say is held by the signature, everything else by the offer as well.
        let is_free = ["name", "organisation", "time"].contains(&line.as_str());
        let kept = SignedText { text: text.clone(), signature: signed.signature.clone() };
        let forged = SignedText { signature: sign(Kind::Agreement, &text, &forger).unwrap(), text };
        match (deal.check(&kept).unwrap_err(), deal.check(&forged).unwrap_err()) {
            (ProofFault::Forged, ProofFault::OtherSigner) if is_free => {}
            (ProofFault::Mismatch(one), ProofFault::Mismatch(two)) if one == line && two == line && !is_free => {}
            other => panic!("{line}: {other:?}"),
        }
    }
    for wrong in ["no", "YES", "", "yes "] {
        let text = signed.text.replace("\"agrees\": \"yes\"", &format!("\"agrees\": \"{wrong}\""));
        let signature = sign(Kind::Agreement, &text, &buyer()).unwrap();
        assert!(matches!(deal.check(&SignedText { text, signature }), Err(ProofFault::Statement(_))), "{wrong}");
    }

    let refusal = deal.refused();
    let altered = alterations(&refusal.text);
    assert_eq!(altered.len(), 7);
    for (line, text) in altered {
        let is_free = ["reason", "time", "buyer-key"].contains(&line.as_str());
        let kept = SignedRefusal { text: text.clone(), ..refusal.clone() };
        match deal.check_refusal(&kept).unwrap_err() {
            ProofFault::Forged if is_free => {}
            ProofFault::Mismatch(fault) if fault == line => {}
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test] // [S10.13]
fn signatures_of_other_transfers_roles_and_purposes_are_refused() {
    let (one, two) = (deal(7), deal(8));
    let (signed, refusal) = (one.signed(), one.refused());
    assert_eq!(two.check(&signed).unwrap_err(), ProofFault::Mismatch("transfer"));
    assert_eq!(two.check_refusal(&refusal).unwrap_err(), ProofFault::Mismatch("transfer"));
    let swapped = SignedText { signature: two.signed().signature, ..signed.clone() };
    assert_eq!(one.check(&swapped).unwrap_err(), ProofFault::Forged);
    // The seller signs for the buyer, and the key of the code for the identity.
    let claim = one.keys.claim.identity();
    for other in [&seller(), claim] {
        let signature = sign(Kind::Agreement, &signed.text, other).unwrap();
        let forged = SignedText { signature, ..signed.clone() };
        assert_eq!(one.check(&forged).unwrap_err(), ProofFault::OtherSigner);
        let signature = sign(Kind::Refusal, &refusal.text, other).unwrap();
        let forged = SignedRefusal { signature, ..refusal.clone() };
        assert_eq!(one.check_refusal(&forged).unwrap_err(), ProofFault::OtherSigner);
    }
    let by_identity_twice = SignedRefusal { claim_signature: refusal.signature.clone(), ..refusal.clone() };
    assert_eq!(one.check_refusal(&by_identity_twice).unwrap_err(), ProofFault::OtherSigner);
    let other_code = SignedRefusal {
        claim_signature: sign(Kind::Refusal, &refusal.text, two.keys.claim.identity()).unwrap(),
        ..refusal.clone()
    };
    assert_eq!(one.check_refusal(&other_code).unwrap_err(), ProofFault::OtherSigner);
    for kind in Kind::ALL {
        let signature = sign(kind, &signed.text, &buyer()).unwrap();
        let outcome = one.check(&SignedText { signature, ..signed.clone() });
        assert_eq!(outcome.is_ok(), kind == Kind::Agreement, "{kind:?}");
        let signature = sign(kind, &refusal.text, &buyer()).unwrap();
        let outcome = one.check_refusal(&SignedRefusal { signature, ..refusal.clone() });
        assert_eq!(outcome.is_ok(), kind == Kind::Refusal, "{kind:?}");
    }
    // A refusal is no agreement, and the other way round.
    let as_agreement = SignedText { text: refusal.text.clone(), signature: refusal.signature.clone() };
    assert!(matches!(one.check(&as_agreement), Err(ProofFault::Statement(_))));
}

#[test] // [S10.12]
fn a_document_opens_as_what_the_offer_says_or_not_at_all() {
    let (one, two) = (deal(7), deal(8));
    let transfer = one.offer.text.transfer;
    let seal = |keys: &CodeKeys, tid: &TransferId, bytes: &[u8]| seal_document(&keys.agreement, tid, bytes, [5; 24]);
    let sealed = seal(&one.keys, &transfer, DOCUMENT).unwrap();
    let open = |sealed: &[u8]| open_document(&one.keys.agreement, &one.offer, sealed).map(|bytes| bytes.to_vec());
    assert_eq!(open(&sealed).unwrap(), DOCUMENT);
    let other = seal(&one.keys, &transfer, b"another text.").unwrap();
    assert_eq!(open(&other).unwrap_err(), ProofFault::Mismatch("agreement"));
    assert!(matches!(open(&seal(&two.keys, &transfer, DOCUMENT).unwrap()), Err(ProofFault::Sealed(_))));
    assert!(matches!(open(&seal(&one.keys, &TransferId([9; 16]), DOCUMENT).unwrap()), Err(ProofFault::Sealed(_))));
    assert!(seal(&one.keys, &transfer, b"").is_err());
    let most = vec![1; DOCUMENT_BYTES_MAX];
    assert!(seal(&one.keys, &transfer, &most).unwrap().len() as u64 <= limits::SEALED_DOCUMENT_BYTES_MAX);
    assert!(seal(&one.keys, &transfer, &[&most[..], b"x"].concat()).is_err());

    // The commitment says nothing without the salt, and another salt is another commitment.
    let commitment = |deal: &Deal| deal.offer.commitment();
    assert_ne!(commitment(&one), commitment(&two));
    assert_ne!(commitment(&one), Agreement::Of(digest(DOCUMENT)));
}

#[test] // [S10.13]
fn what_is_sealed_opens_for_its_purpose_only() {
    let deal = deal(7);
    let (key, transfer) = (&deal.keys.agreement, deal.offer.text.transfer);
    let (signed, refusal) = (deal.signed(), deal.refused());
    let agreement = seal_agreement(key, &transfer, &signed, [5; 24]).unwrap();
    let refused = seal_refusal(key, &transfer, &refusal, [5; 24]).unwrap();
    assert_eq!(open_agreement(key, &transfer, &agreement).unwrap(), signed);
    assert_eq!(open_refusal(key, &transfer, &refused).unwrap(), refusal);
    assert!(open_agreement(key, &transfer, &refused).is_err() && open_refusal(key, &transfer, &agreement).is_err());
    assert!(open_agreement(key, &TransferId([9; 16]), &agreement).is_err());
    assert!(open_agreement(&keys(9).agreement, &transfer, &agreement).is_err());
    let long = SignedRefusal { buyer_name: "x".repeat(121), ..refusal };
    assert!(seal_refusal(key, &transfer, &long, [5; 24]).is_err());
}

#[test] // [S10.12]
fn an_offer_names_a_document_in_both_places_or_in_none() {
    let deal = deal(7);
    let check = |agreement: Agreement, summary: Summary| {
        let text = OfferText { agreement, summary: summary.digest(), ..deal.offer.text.clone() };
        let sealed = seal_offer(&deal.keys, &text, &summary, &seller(), [1; 24])?;
        open_offer(&deal.keys, &sealed, &text.transfer).map(drop)
    };
    let summary = deal.offer.summary.clone();
    let bare = Summary { document: None, ..summary.clone() };
    assert!(check(Agreement::Of(Digest([1; 32])), summary.clone()).is_ok());
    assert_eq!(check(Agreement::None, summary.clone()), Err(ProofFault::Mismatch("agreement")));
    assert_eq!(check(Agreement::Of(Digest([1; 32])), bare.clone()), Err(ProofFault::Mismatch("agreement")));
    assert!(check(Agreement::None, bare).is_ok());
    for (name, bytes) in [("", 9), (" ", 9), ("nda.pdf", 0), ("nda.pdf", DOCUMENT_BYTES_MAX as u64 + 1)] {
        let terms = DocumentTerms { name: name.into(), bytes, salt: [0; 32] };
        let summary = Summary { document: Some(terms), ..summary.clone() };
        assert!(check(Agreement::Of(Digest([1; 32])), summary).is_err(), "{name} {bytes}");
    }
    assert_eq!(ClaimKey(*seller().public().as_bytes()).0.len(), 32);
}
