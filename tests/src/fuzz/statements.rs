//! What is signed, what is typed and pasted, and what is sealed for a person's eyes.

use handover_shared::codec;
use handover_shared::ids::{BlockSize, Digest, LinkKey, Millis, TransferId};
use handover_shared::invite::Invite;
use handover_shared::keys::code::{Code, CodeError, RelayAddress, Ticket, WordList};
use handover_shared::keys::hybrid::{self, HybridPublic, HybridSecret};
use handover_shared::keys::schedule::{self, CodeKeys, ContentKey};
use handover_shared::keys::{Secret, labels, seal};
use handover_shared::limits;
use handover_shared::proof::{
    self, Agreement, AgreementText, Biggest, ClaimCheck, ClaimText, Fingerprint, Identity, KeptOffer, Kind, Mode,
    OfferText, PublicIdentity, ReceiptBundle, ReceiptText, RefusalText, SealText, Summary,
};

use super::cbor;
use super::take::Take;

const TRANSFER: TransferId = TransferId([7; 16]);
const LINK: LinkKey = LinkKey([3; 32]);
const SALT: [u8; 24] = [5; 24];

/// Reads what people and the other side hand in. The first byte chooses what the rest is.
pub fn statements(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    match choice % 12 {
        0 => with_text(rest, statement),
        1 => with_text(rest, signature),
        2 => with_text(rest, identity),
        3 => with_text(rest, ticket),
        4 => with_text(rest, invite),
        5 => with_text(rest, small_texts),
        6 => sealed(rest),
        7 => offer_contents(rest),
        8 => summary_contents(rest),
        9 => receipt_contents(rest),
        10 => with_text(rest, claim),
        _ => offer_made(&mut Take::new(rest)),
    }
}

fn with_text(bytes: &[u8], read: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
}

/// A statement has one text, which any JSON reader understands, and is of one kind. [S10.1]
pub fn statement(text: &str) {
    let again = [
        OfferText::parse(text).ok().map(|it| it.to_text()),
        SealText::parse(text).ok().map(|it| it.to_text()),
        ClaimText::parse(text).ok().map(|it| it.to_text()),
        ReceiptText::parse(text).ok().map(|it| it.to_text()),
        AgreementText::parse(text).ok().map(|it| it.to_text()),
        RefusalText::parse(text).ok().map(|it| it.to_text()),
    ];
    let read: Vec<&String> = again.iter().flatten().collect();
    assert!(read.len() <= 1, "one text is two statements");
    let Some(again) = read.first() else { return };
    assert_eq!(again.as_str(), text, "a statement has a second text");
    assert!(text.len() <= limits::STATEMENT_BYTES_MAX && text.bytes().all(|b| b == b'\n' || (0x20..0x7f).contains(&b)));
    let json: serde_json::Value = serde_json::from_str(text).expect("a statement is JSON");
    let object = json.as_object().expect("a statement is one object");
    assert_eq!(object.len() + 2, text.lines().count(), "a line for every key");
    assert!(object.values().all(serde_json::Value::is_string));
}

/// Text and signature, with an empty line between them.
fn signature(both: &str) {
    let Some((text, signature)) = both.split_once("\n\n") else { return };
    let signers: Vec<Option<PublicIdentity>> =
        Kind::ALL.into_iter().map(|kind| proof::verify(kind, text, signature).ok()).collect();
    let Some(signer) = signers.iter().flatten().next() else { return };
    assert_eq!(signers.iter().flatten().count(), 1, "one signature for two purposes");
    assert!(PublicIdentity::of_bytes(*signer.as_bytes()).is_ok(), "a key of small order");
    for kind in Kind::ALL {
        assert!(proof::verify(kind, &format!("{text} "), signature).is_err(), "another text");
        assert!(proof::verify(kind, text, &format!("{signature}\n")).is_err(), "another armour");
    }
}

fn identity(text: &str) {
    if let Ok(identity) = Identity::of_openssh(text) {
        let again = Identity::of_openssh(&identity.to_openssh()).expect("what was written can be read");
        assert!(again.public() == identity.public() && again.comment() == identity.comment());
        assert!(!identity.comment().contains(['\n', '\r']));
        let signature = proof::sign(Kind::Offer, "text", &identity).expect("whoever is read can sign");
        assert!(proof::verify(Kind::Offer, "text", &signature).is_ok_and(|signer| signer == identity.public()));
        let secret = format!("{identity:?}");
        assert_eq!(
            secret,
            format!("Identity({})", identity.public().fingerprint()),
            "Debug shows the fingerprint only"
        );
    }
    if let Ok(public) = PublicIdentity::of_openssh(text) {
        let line = public.to_openssh("somebody\nelse");
        assert!(!line.contains('\n'));
        assert!(PublicIdentity::of_openssh(&line).expect("what was written can be read") == public);
    }
}

/// A code in any form leads to the same secret as its other forms. [S5.1] [S5.2] [S5.3]
fn ticket(text: &str) {
    let ticket = match Ticket::parse(text) {
        Ok(ticket) => ticket,
        Err(CodeError::Typo { position: Some(at) }) => return assert!((1..=41).contains(&at), "{at}"),
        Err(CodeError::UnknownWord { position }) => return assert!((1..=15).contains(&position), "{position}"),
        Err(CodeError::WrongLength { seen, wanted }) => return assert_ne!(seen, wanted),
        Err(_) => return,
    };
    assert!(text.len() <= limits::CODE_INPUT_BYTES_MAX);
    let written = ticket.to_text();
    for form in [
        written.to_string(),
        written.to_uppercase(),
        format!("handover:{}", *written),
        format!(" handover  pull\t{}", *written),
    ] {
        let again = Ticket::parse(&form).expect("what was written can be read");
        assert!(again.code.expose() == ticket.code.expose() && again.relay == ticket.relay);
    }
    for list in [WordList::English, WordList::Chinese] {
        let again = Ticket::parse(&ticket.code.to_words(list)).expect("words can be read");
        assert!(again.code.expose() == ticket.code.expose());
    }
}

fn invite(text: &str) {
    let Ok(invite) = Invite::parse(text) else { return };
    let written = invite.to_text();
    let again = Invite::parse(&written).expect("what was written can be read");
    assert!(again.relay_key == invite.relay_key && again.secret == invite.secret && again.address == invite.address);
    let (own, typed) = (written.split_once('@'), text.trim().split_once('@'));
    assert!(own.zip(typed).is_some_and(|(own, typed)| own.0.eq_ignore_ascii_case(typed.0)), "a second spelling");
}

fn small_texts(text: &str) {
    if let Ok(address) = text.parse::<RelayAddress>() {
        let again: RelayAddress = address.to_string().parse().expect("what was written can be read");
        assert_eq!(again, address);
        assert!(address.port != 0 && !address.host.contains(|c: char| !c.is_ascii_graphic() || c == '@' || c == '/'));
    }
    if let Some(time) = proof::time::parse(text) {
        assert_eq!(proof::time::to_text(time), text);
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string(), text);
    }
    if let Some(id) = TransferId::from_hex(text) {
        assert_eq!(id.to_hex(), text);
    }
}

/// Nothing that was not sealed opens.
fn sealed(bytes: &[u8]) {
    let keys = code_keys();
    assert!(proof::open_offer(&keys, bytes, &TRANSFER).is_err());
    let key = ContentKey::of_secret(secret(9));
    assert!(proof::open_receipt(&key.receipt_key(&TRANSFER), &TRANSFER, bytes).is_err());
    assert!(proof::open_agreement(&keys.agreement, &TRANSFER, bytes).is_err());
    assert!(proof::open_refusal(&keys.agreement, &TRANSFER, bytes).is_err());
    let commit = key.commit(&TRANSFER);
    let opened = schedule::open_envelope(&keys.psk, &secret(4), &TRANSFER, &Digest([1; 32]), bytes, &commit);
    assert!(opened.is_err());
    if let Some((salted, rest)) = bytes.split_first_chunk::<24>() {
        let whole = seal::seal(&[1; 32], b"context", *salted, rest);
        assert!(seal::open(&[1; 32], b"context", &whole).is_ok_and(|plain| plain[..] == *rest));
        assert!(seal::open(&[1; 32], b"contexu", &whole).is_err());
        assert!(seal::open(&[1; 32], b"context", &whole[..whole.len() - 1]).is_err());
    }
    if let Ok(public) = HybridPublic::of_bytes(bytes) {
        assert!(public.as_bytes() == bytes);
        let bundle = hybrid::bundle(&LINK, &public);
        assert!(bundle != hybrid::bundle(&LinkKey([4; 32]), &public));
    }
    if let Some((encapsulated, share)) = bytes.split_at_checked(hybrid::ENCAPSULATED_BYTES) {
        let buyer = HybridSecret::of_seed(secret(8));
        let bundle = hybrid::bundle(&LINK, &buyer.public());
        assert!(hybrid::accept_share(&buyer, &TRANSFER, &bundle, encapsulated, share).is_err());
    }
}

/// What a hostile seller may seal as an offer, under the right key.
fn offer_contents(parts: &[u8]) {
    let keys = code_keys();
    let mut padded = (parts.len() as u32).to_be_bytes().to_vec();
    padded.extend_from_slice(parts);
    let Some(whole) = limits::OFFER_PADDED_BYTES.into_iter().find(|len| padded.len() <= *len) else { return };
    padded.resize(whole, 0);
    let sealed = seal::seal(keys.offer.expose(), &labels::context(labels::OFFER_CONTEXT, &[]), SALT, &padded);
    let Ok(offer) = proof::open_offer(&keys, &sealed, &TRANSFER) else { return };
    assert!(cbor::is_deterministic(parts));
    assert_eq!(offer.text.to_text(), offer.statement);
    assert!(proof::verify(Kind::Offer, &offer.statement, &offer.signature).is_ok());
    within_limits(&offer.summary);
}

/// What a hostile seller may sign as a summary.
fn summary_contents(summary: &[u8]) {
    let seller = Identity::of_seed(&[1; 32]);
    let statement = OfferText { summary: proof::digest(summary), ..offer_text(&seller) }.to_text();
    let signature = proof::sign(Kind::Offer, &statement, &seller).expect("a statement can be signed");
    let kept = KeptOffer { statement, signature, summary: summary.to_vec(), sealed_digest: Digest([0; 32]) };
    let Ok(offer) = proof::reopen_offer(kept, &TRANSFER) else { return };
    assert!(cbor::is_deterministic(summary) && offer.summary.to_bytes() == summary);
    within_limits(&offer.summary);
}

fn within_limits(summary: &Summary) {
    let short = |text: &str, max: usize| text.chars().count() <= max;
    assert!(short(&summary.label, 120) && short(&summary.seller_name, 120));
    assert!(summary.organisation.as_ref().is_none_or(|name| short(name, 120)));
    assert!(summary.biggest.len() <= 8 && summary.biggest.iter().all(|entry| short(&entry.name, 255)));
}

/// What a hostile buyer may seal as a receipt, under the right key.
fn receipt_contents(plain: &[u8]) {
    let key = ContentKey::of_secret(secret(9)).receipt_key(&TRANSFER);
    let context = labels::context(labels::RECEIPT_CONTEXT, &[&TRANSFER.0]);
    let sealed = seal::seal(key.expose(), &context, SALT, plain);
    let Ok(bundle) = proof::open_receipt(&key, &TRANSFER, &sealed) else { return };
    assert!(cbor::is_deterministic(plain) && codec::encode(&bundle) == plain);
    assert!(bundle.buyer_name.chars().count() <= 120);
    let ReceiptBundle { text, signature, .. } = bundle;
    statement(&text);
    signature_of(&text, &signature);
}

fn signature_of(text: &str, armour: &str) {
    if proof::verify(Kind::Receipt, text, armour).is_ok() {
        assert!(proof::verify(Kind::Claim, text, armour).is_err());
    }
}

/// A claim that a stranger wrote, and that the right keys signed: every line must fit. [S10.5] [S13.5]
fn claim(text: &str) {
    let (buyer, keys) = (Identity::of_seed(&[2; 32]), code_keys());
    let hybrid = HybridSecret::of_seed(secret(8)).public();
    let sign = |by: &Identity| proof::sign(Kind::Claim, text, by).expect("a text can be signed");
    let check = ClaimCheck {
        transfer: TRANSFER,
        offer_digest: Digest([6; 32]),
        claim_key: keys.claim.public(),
        link_key: LINK,
        hybrid: &hybrid,
        channel: Some(&[4; 32]),
    };
    let Ok(verified) = proof::check_claim(&check, text, &sign(&buyer), &sign(keys.claim.identity())) else { return };
    let said = verified.text();
    assert!(said.transfer == TRANSFER && said.link_key == LINK && said.offer == Digest([6; 32]));
    assert!(said.channel.0 == [4; 32] && said.bundle == hybrid::bundle(&LINK, &hybrid));
    assert!(said.buyer_key == Fingerprint::of(&buyer.public()));
    assert_eq!(said.to_text(), text);
}

/// Whatever a seller can say in an offer arrives as it was said.
fn offer_made(take: &mut Take<'_>) {
    let seller = Identity::of_seed(&[1; 32]);
    let biggest =
        (0..take.below(10)).map(|_| Biggest { name: take.text(260), bytes: take.any(), files: take.any() }).collect();
    let summary = Summary {
        label: take.text(130),
        seller_name: take.text(130),
        organisation: take.any::<bool>().then(|| take.text(130)),
        files: take.any(),
        folders: take.any(),
        links: take.any(),
        bytes: take.any(),
        hidden: take.any(),
        executable: take.any(),
        document: None,
        biggest,
    };
    let text = OfferText {
        summary: summary.digest(),
        created: Millis(take.any()).into(),
        expires: Millis(take.any()).into(),
        ..offer_text(&seller)
    };
    let keys = code_keys();
    let sealed = match proof::seal_offer(&keys, &text, &summary, &seller, SALT) {
        Ok(sealed) => sealed,
        Err(_) => return assert!(summary.check().is_err(), "an offer within the limits can be sealed"),
    };
    within_limits(&summary);
    assert!(limits::OFFER_PADDED_BYTES.iter().any(|len| seal::sealed_len(*len) == sealed.len()));
    let opened = proof::open_offer(&keys, &sealed, &TRANSFER).expect("what was sealed opens");
    assert!(opened.summary == summary && opened.text == text && opened.seller == seller.public());
    assert_eq!(opened.check_live(&LINK, Millis(0)).is_ok(), text.expires.millis() > Millis(0));
    statement(&opened.statement);
}

fn offer_text(seller: &Identity) -> OfferText {
    OfferText {
        transfer: TRANSFER,
        mode: Mode::Detached,
        seller_key: Fingerprint::of(&seller.public()),
        relay_key: Fingerprint::of_link_key(&LINK),
        commit: ContentKey::of_secret(secret(9)).commit(&TRANSFER),
        summary: Digest([0; 32]),
        agreement: Agreement::None,
        block_bytes: BlockSize::Small,
        created: Millis(1_700_000_000_000).into(),
        expires: Millis(1_800_000_000_000).into(),
    }
}

fn code_keys() -> CodeKeys {
    CodeKeys::of(&Code::of_secret(Secret::from_slice(&[6; 20]).expect("20 bytes")))
}

fn secret(byte: u8) -> Secret<32> {
    Secret::from_slice(&[byte; 32]).expect("32 bytes")
}
