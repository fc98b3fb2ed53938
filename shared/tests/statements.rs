//! Who may sign which statement, and what every line of one has to fit.
#![cfg(feature = "endpoint")]

mod common;

use common::{CHANNEL, Counting, LINK, NOW, OTHER_TID, RELAY, TID, World, counted, fingerprint, secret};
use handover_shared::ids::{Bundle, ClaimKey, Commit, Digest, LinkKey, Millis, Root};
use handover_shared::keys::code::Code;
use handover_shared::keys::hybrid::HybridSecret;
use handover_shared::keys::schedule::{CodeKeys, open_envelope, seal_envelope};
use handover_shared::keys::seal::SealFault;
use handover_shared::proof::{
    self, Channel, ClaimCheck, ClaimText, Fingerprint, Identity, IdentityFault, Kind, OfferText, ProofFault,
    PublicIdentity, ReceiptText, SealCheck, SealText, Summary,
};

#[test] // [S10.1]
fn a_signature_is_for_one_text_kind_and_key() {
    let world = World::new();
    let text = world.offer.to_text();
    let signature = proof::sign(Kind::Offer, &text, &world.seller).unwrap();
    assert_eq!(proof::verify(Kind::Offer, &text, &signature), Ok(world.seller.public()));
    assert_eq!(proof::sign(Kind::Offer, &text, &world.seller).unwrap(), signature, "signing is deterministic");

    for place in 0..text.len() {
        let mut altered = text.clone().into_bytes();
        altered[place] ^= 1;
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(proof::verify(Kind::Offer, &altered, &signature), Err(ProofFault::Forged));
    }
    for kind in [Kind::Seal, Kind::Claim, Kind::Receipt] {
        assert_eq!(proof::verify(kind, &text, &signature), Err(ProofFault::Namespace));
    }
    for altered in [
        signature.trim_end().to_owned(),
        signature.replace('\n', "\r\n"),
        format!("{signature}\n"),
        format!("\n{signature}"),
        signature.replacen("SIGNATURE", "SIGNATUR3", 1),
        signature.replacen("U1NIU0lH", "U1NIU0lI", 1),
        signature[..100].to_owned(),
        "x".repeat(5000),
        String::new(),
    ] {
        let fault = proof::verify(Kind::Offer, &text, &altered).unwrap_err();
        assert!(matches!(fault, ProofFault::SignatureForm(_) | ProofFault::SignatureUse(_)), "{altered:?}: {fault}");
    }
}

#[test] // [S10.1]
fn every_bit_of_a_signature_counts() {
    let world = World::new();
    let text = world.receipt.to_text();
    let signature = proof::sign(Kind::Receipt, &text, &world.buyer).unwrap();
    let mut seen = 0;
    for (place, char) in signature.char_indices().filter(|(_, char)| char.is_ascii_alphanumeric()) {
        let other = if char == 'B' { 'C' } else { 'B' };
        let mut altered = signature.clone();
        altered.replace_range(place..=place, &other.to_string());
        match proof::verify(Kind::Receipt, &text, &altered) {
            // The key inside is another one then, and the signature does not fit it.
            Ok(signer) => panic!("place {place} may be altered, signer {signer:?}"),
            Err(_) => seen += 1,
        }
    }
    assert!(seen > 250, "{seen}");
}

#[test] // [S10.1]
fn keys_of_small_order_sign_nothing() {
    let small = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for text in small {
        let bytes = handover_shared::ids::unhex(text).unwrap().try_into().unwrap();
        assert_eq!(PublicIdentity::of_bytes(bytes), Err(IdentityFault::SmallOrder), "{text}");
    }
    // The neutral element as key and as R, with s = 0: it verifies over whatever text there is.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let anybodys = ssh_key::Signature::new(ssh_key::Algorithm::Ed25519, [neutral, [0; 32]].concat()).unwrap();
    let key = ssh_key::public::KeyData::Ed25519(ssh_key::public::Ed25519PublicKey(neutral));
    let signature = ssh_key::SshSig::new(key, Kind::Offer.namespace(), ssh_key::HashAlg::Sha512, anybodys)
        .and_then(|signature| signature.to_pem(ssh_key::LineEnding::LF))
        .unwrap();
    let text = World::new().offer.to_text();
    let fault = proof::verify(Kind::Offer, &text, &signature).unwrap_err();
    assert_eq!(fault, ProofFault::SignatureUse("key of small order"));
}

#[test] // [S10.2]
fn identities_are_kept_as_openssh_keys() {
    let identity = Identity::generate(&mut Counting(5), "ada@example\nssh-rsa");
    let file = identity.to_openssh();
    let again = Identity::of_openssh(&file).unwrap();
    assert_eq!((again.public(), again.comment()), (identity.public(), "ada@example ssh-rsa"));
    let line = identity.public().to_openssh("ada\u{7}@example");
    assert!(line.starts_with("ssh-ed25519 AAAA") && line.ends_with(" ada @example"), "{line}");
    assert_eq!(PublicIdentity::of_openssh(&line), Ok(identity.public()));
    assert_eq!(PublicIdentity::of_openssh(&format!("{line}\n")), Ok(identity.public()));
    assert_eq!(PublicIdentity::of_bytes(*identity.public().as_bytes()), Ok(identity.public()));
    assert!(!format!("{identity:?}").contains(&file[60..80]));

    assert!(matches!(Identity::of_openssh("hello"), Err(IdentityFault::Malformed(_))));
    assert!(matches!(Identity::of_openssh(&file[..200]), Err(IdentityFault::Malformed(_))));
    assert!(matches!(Identity::of_openssh(&"x".repeat(20_000)), Err(IdentityFault::TooLong { .. })));
    assert!(matches!(PublicIdentity::of_openssh(&"x".repeat(20_000)), Err(IdentityFault::TooLong { .. })));
}

#[test]
fn a_key_file_whose_halves_do_not_fit_is_refused_when_it_is_read() {
    let file = Identity::generate(&mut Counting(5), "ada@example").to_openssh();
    let (mut tried, mut read) = (0, 0);
    for (at, char) in file.char_indices().filter(|(_, char)| char.is_ascii_alphanumeric()) {
        let mut altered = file.to_string();
        altered.replace_range(at..=at, if char == 'A' { "B" } else { "A" });
        tried += 1;
        let Ok(identity) = Identity::of_openssh(&altered) else { continue };
        read += 1;
        let signature = proof::sign(Kind::Offer, "text", &identity).expect("whoever is read can sign");
        assert_eq!(proof::verify(Kind::Offer, "text", &signature), Ok(identity.public()));
    }
    // What can be altered is the comment, and the file's check number if both copies of it were.
    assert!(tried > 300 && read < 40, "{read} of {tried}");
}

#[test] // [S4.3] [S4.4]
fn derivations_differ_from_each_other() {
    let world = World::new();
    let mut seen = vec![
        world.keys.locator.0.to_vec(),
        world.keys.claim.public().0.to_vec(),
        world.keys.offer.expose().to_vec(),
        world.keys.psk.expose().to_vec(),
        world.commit().0.to_vec(),
    ];
    for key in [world.content.block_key(&TID), world.content.manifest_key(&TID), world.content.receipt_key(&TID)] {
        seen.push(key.expose().to_vec());
    }
    seen.push(world.content.block_key(&OTHER_TID).expose().to_vec());
    for (index, value) in seen.iter().enumerate() {
        assert!(!seen[..index].contains(value), "{index}");
    }
}

#[test] // [S4.5]
fn an_envelope_needs_code_share_transfer_and_offer() {
    let world = World::new();
    let (psk, share, digest, commit) = (&world.keys.psk, &world.share, world.offer_digest(), world.commit());
    let envelope = seal_envelope(psk, share, &TID, &digest, &world.content, counted(3));
    assert_eq!(envelope.len(), 104);
    let opened = open_envelope(psk, share, &TID, &digest, &envelope, &commit).unwrap();
    assert_eq!(opened.expose(), world.content.expose());

    let other = secret(9);
    assert!(open_envelope(&other, share, &TID, &digest, &envelope, &commit).is_err());
    assert!(open_envelope(psk, &other, &TID, &digest, &envelope, &commit).is_err());
    assert!(open_envelope(psk, share, &OTHER_TID, &digest, &envelope, &commit).is_err());
    assert!(open_envelope(psk, share, &TID, &Digest([0; 32]), &envelope, &commit).is_err());
    assert!(open_envelope(psk, share, &TID, &digest, &envelope[..103], &commit).is_err());
    assert!(open_envelope(psk, share, &TID, &digest, &envelope, &Commit([0; 32])).is_err());
}

#[test] // [S10.7] [S10.8]
fn a_sealed_offer_opens_for_who_has_the_code() {
    let world = World::new();
    assert_eq!(world.sealed_offer.len(), 4096 + 72);
    let opened = proof::open_offer(&world.keys, &world.sealed_offer, &TID).unwrap();
    assert_eq!((&opened.text, &opened.summary), (&world.offer, &world.summary));
    assert_eq!(opened.seller, world.seller.public());
    assert_eq!(opened.text_id, proof::text_id(&world.offer.to_text()));
    assert_eq!(opened.sealed_digest, world.offer_digest());
    assert_eq!(opened.statement, world.offer.to_text());

    let expires = world.offer.expires.millis();
    assert_eq!(opened.check_live(&RELAY, NOW), Ok(()));
    assert_eq!(opened.check_live(&LINK, NOW), Err(ProofFault::OtherRelay));
    assert_eq!(opened.check_live(&RELAY, expires), Err(ProofFault::Expired));
    assert_eq!(opened.check_live(&RELAY, Millis(expires.0 - 1)), Ok(()));

    let other = CodeKeys::of(&Code::of_secret(secret(1)));
    let fault = proof::open_offer(&other, &world.sealed_offer, &TID).unwrap_err();
    assert_eq!(fault, ProofFault::Sealed(SealFault::Commitment));
    let fault = proof::open_offer(&world.keys, &world.sealed_offer, &OTHER_TID).unwrap_err();
    assert_eq!(fault, ProofFault::Mismatch("transfer"));
    assert!(proof::open_offer(&world.keys, &vec![0; 300_000], &TID).is_err());
}

#[test] // [S2.3]
fn a_summary_is_hashed_as_it_came_and_not_as_it_would_be_written() {
    let world = World::new();
    let (statement, summary) = (world.offer.to_text(), world.summary.to_bytes());
    let kept = |summary: Vec<u8>| {
        let signature = proof::sign(Kind::Offer, &statement, &world.seller).unwrap();
        proof::KeptOffer { statement: statement.clone(), signature, summary, sealed_digest: Digest([0; 32]) }
    };
    assert!(proof::reopen_offer(kept(summary.clone()), &TID).is_ok());
    // The same array with its length in two bytes: a second encoding of one value.
    let mut other = vec![0x98, summary[0] & 0x1f];
    other.extend_from_slice(&summary[1..]);
    assert_eq!(proof::reopen_offer(kept(other), &TID).unwrap_err(), ProofFault::Mismatch("summary"));
}

#[test] // [S10.7]
fn an_offer_is_made_only_of_what_fits_together() {
    let world = World::new();
    let seal = |offer: &OfferText, summary: &Summary, by: &Identity| {
        proof::seal_offer(&world.keys, offer, summary, by, counted(1)).map(|_| ())
    };
    assert_eq!(seal(&world.offer, &world.summary, &world.seller), Ok(()));
    assert_eq!(seal(&world.offer, &world.summary, &world.buyer), Err(ProofFault::Mismatch("seller-key")));
    let mut summary = world.summary.clone();
    summary.files += 1;
    assert_eq!(seal(&world.offer, &summary, &world.seller), Err(ProofFault::Mismatch("summary")));

    let too_long = "客".repeat(121);
    let mut cases = vec![world.summary.clone(); 5];
    cases[0].label = too_long.clone();
    cases[1].seller_name = too_long.clone();
    cases[2].organisation = Some(too_long);
    cases[3].biggest = vec![world.summary.biggest[0].clone(); 9];
    cases[4].biggest[0].name = "x".repeat(256);
    for summary in cases {
        let mut offer = world.offer.clone();
        offer.summary = summary.digest();
        assert!(matches!(seal(&offer, &summary, &world.seller), Err(ProofFault::Name(_))));
    }
    let mut widest = world.summary.clone();
    widest.label = "\u{1f600}".repeat(120);
    widest.seller_name.clear();
    widest.biggest = vec![widest.biggest[0].clone(); 8];
    widest.biggest[0].name = "\u{1f600}".repeat(255);
    let mut offer = world.offer.clone();
    offer.summary = widest.digest();
    let sealed = proof::seal_offer(&world.keys, &offer, &widest, &world.seller, counted(1)).unwrap();
    assert_eq!(proof::open_offer(&world.keys, &sealed, &TID).unwrap().summary, widest);
}

#[test] // [S10.5] [S13.5]
fn a_claim_fits_connection_code_and_offer() {
    let world = World::new();
    let hybrid = world.hybrid.public();
    let other_hybrid = HybridSecret::of_seed(secret(1)).public();
    let good = ClaimCheck {
        transfer: TID,
        offer_digest: world.offer_digest(),
        claim_key: world.claim_key(),
        link_key: LINK,
        hybrid: &hybrid,
        channel: Some(&CHANNEL),
    };
    let (text, by_identity, by_claim_key) = world.signed_claim(&world.claim);
    let check = |check: &ClaimCheck<'_>| {
        proof::check_claim(check, &text, &by_identity, &by_claim_key).map(|claim| {
            assert_eq!((claim.text(), claim.buyer()), (&world.claim, &world.buyer.public()));
        })
    };
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&ClaimCheck { channel: None, ..good }), Ok(()));
    let mismatch = |line| Err(ProofFault::Mismatch(line));
    assert_eq!(check(&ClaimCheck { transfer: OTHER_TID, ..good }), mismatch("transfer"));
    assert_eq!(check(&ClaimCheck { offer_digest: Digest([0; 32]), ..good }), mismatch("offer"));
    assert_eq!(check(&ClaimCheck { link_key: LinkKey([0; 32]), ..good }), mismatch("link-key"));
    assert_eq!(check(&ClaimCheck { hybrid: &other_hybrid, ..good }), mismatch("bundle"));
    assert_eq!(check(&ClaimCheck { channel: Some(&[0; 32]), ..good }), mismatch("channel"));
    assert_eq!(check(&ClaimCheck { claim_key: ClaimKey([0; 32]), ..good }), Err(ProofFault::OtherSigner));

    // Signatures in each other's place, or one key for both.
    let swapped = proof::check_claim(&good, &text, &by_claim_key, &by_identity).map(|_| ());
    assert_eq!(swapped, Err(ProofFault::OtherSigner));
    let twice = proof::check_claim(&good, &text, &by_identity, &by_identity).map(|_| ());
    assert_eq!(twice, Err(ProofFault::OtherSigner));
    let mut own = world.claim.clone();
    own.buyer_key = fingerprint(world.keys.claim.identity());
    let (text, _, by_claim_key) = world.signed_claim(&own);
    let own = proof::check_claim(&good, &text, &by_claim_key, &by_claim_key).map(|_| ());
    assert_eq!(own, Err(ProofFault::OtherSigner));

    // Each line that the relay compares, altered by the buyer, who signs that.
    let alter: [fn(&mut ClaimText); 5] = [
        |claim| claim.transfer = OTHER_TID,
        |claim| claim.offer = Digest([0; 32]),
        |claim| claim.link_key = LinkKey([0; 32]),
        |claim| claim.bundle = Bundle([0; 32]),
        |claim| claim.channel = Channel([0; 32]),
    ];
    for alter in alter {
        let mut claim = world.claim.clone();
        alter(&mut claim);
        let (text, by_identity, by_claim_key) = world.signed_claim(&claim);
        let fault = proof::check_claim(&good, &text, &by_identity, &by_claim_key).unwrap_err();
        assert!(matches!(fault, ProofFault::Mismatch(_)), "{fault}");
    }
}

#[test] // [S9.5] [S10.4]
fn a_seal_is_the_sellers_word_on_its_own_offer() {
    let world = World::new();
    let offer = world.offer.to_text();
    let (seller, buyer) = (world.seller.public(), world.buyer.public());
    let check = |seal: &SealText, by: &Identity, seller: &PublicIdentity| {
        let text = seal.to_text();
        let signature = proof::sign(Kind::Seal, &text, by).unwrap();
        proof::check_seal(&SealCheck { offer: &offer, seller }, &text, &signature).map(|verified| {
            assert_eq!((verified.text(), verified.id()), (seal, proof::text_id(&text)));
        })
    };
    assert_eq!(check(&world.seal, &world.seller, &seller), Ok(()));
    assert_eq!(check(&world.seal, &world.buyer, &seller), Err(ProofFault::OtherSigner));
    assert_eq!(check(&world.seal, &world.buyer, &buyer), Err(ProofFault::Mismatch("seller-key")));
    let mut altered = world.seal.clone();
    altered.transfer = OTHER_TID;
    assert_eq!(check(&altered, &world.seller, &seller), Err(ProofFault::Mismatch("transfer")));
    let mut altered = world.seal.clone();
    altered.offer = Digest([0; 32]);
    assert_eq!(check(&altered, &world.seller, &seller), Err(ProofFault::Mismatch("offer")));
}

#[test] // [S10.6] [S10.10]
fn every_line_of_a_receipt_counts() {
    let world = World::new();
    assert_eq!(world.check_receipt(&world.receipt), Ok(()));
    type Alter = fn(&mut ReceiptText);
    let alterations: [(&str, Alter); 14] = [
        ("transfer", |receipt| receipt.transfer = OTHER_TID),
        ("offer", |receipt| receipt.offer = Digest([0; 32])),
        ("seal", |receipt| receipt.seal = Digest([0; 32])),
        ("root", |receipt| receipt.root = Root([0; 32])),
        ("entries", |receipt| receipt.entries += 1),
        ("files", |receipt| receipt.files -= 1),
        ("folders", |receipt| receipt.folders = 0),
        ("links", |receipt| receipt.links += 1),
        ("exceptions", |receipt| receipt.exceptions += 1),
        ("bytes", |receipt| receipt.bytes -= 1),
        ("kept-existing", |receipt| receipt.kept_existing = 4),
        ("seller-key", |receipt| receipt.seller_key = receipt.buyer_key),
        ("buyer-key", |receipt| receipt.buyer_key = receipt.seller_key),
        ("relay-key", |receipt| receipt.relay_key = Fingerprint::of_link_key(&LINK)),
    ];
    for (line, alter) in alterations {
        let mut receipt = world.receipt.clone();
        alter(&mut receipt);
        assert_eq!(world.check_receipt(&receipt), Err(ProofFault::Mismatch(line)));
    }
    let text = world.receipt.to_text();
    let by_seller = proof::sign(Kind::Receipt, &text, &world.seller).unwrap();
    assert_eq!(world.check_signed_receipt(&text, &by_seller), Err(ProofFault::OtherSigner));
    let as_claim = proof::sign(Kind::Claim, &text, &world.buyer).unwrap();
    assert_eq!(world.check_signed_receipt(&text, &as_claim), Err(ProofFault::Namespace));
}

#[test] // [S10.9]
fn a_sealed_receipt_opens_for_who_has_the_content_key() {
    let world = World::new();
    let key = world.content.receipt_key(&TID);
    let mut bundle = world.receipt_bundle();
    let sealed = proof::seal_receipt(&key, &TID, &bundle, counted(1)).unwrap();
    assert_eq!(proof::open_receipt(&key, &TID, &sealed), Ok(bundle.clone()));
    let commitment = Err(ProofFault::Sealed(SealFault::Commitment));
    assert_eq!(proof::open_receipt(&secret(1), &TID, &sealed), commitment);
    assert_eq!(proof::open_receipt(&key, &OTHER_TID, &sealed), commitment);
    assert_eq!(proof::open_receipt(&key, &TID, &sealed[..50]), Err(ProofFault::Sealed(SealFault::Length)));
    assert!(proof::open_receipt(&key, &TID, &vec![0; 20_000]).is_err());
    bundle.organisation = Some("x".repeat(121));
    assert_eq!(proof::seal_receipt(&key, &TID, &bundle, counted(1)), Err(ProofFault::Name("organisation")));
}
