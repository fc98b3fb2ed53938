//! Somebody who claims, by hand: a buyer who means no good, or a stranger without the code.

use handover_shared::archive::block::open_block;
use handover_shared::archive::catalogue::Tail;
use handover_shared::ids::{BlockIndex, Digest, Locator, TransferId};
use handover_shared::keys::code::Ticket;
use handover_shared::keys::hybrid::{HybridSecret, accept_share, bundle};
use handover_shared::keys::schedule::{CodeKeys, ContentKey, open_envelope};
use handover_shared::keys::{Entropy, OsEntropy, Secret};
use handover_shared::proof::{
    self, Agreement, Channel, ClaimText, Fingerprint, Identity, Kind, OpenedOffer, ReceiptBundle, ReceiptText, Verified,
};
use handover_shared::protocol::message::{Claim, Peek, Peeked, Receive, Released, Reply, Request};
use handover_shared::tls::LinkSecret;

use super::seller_wire::{Client, Heard, new_key};

/// Who claims.
pub struct Stranger {
    /// Its connection.
    pub client: Client,
    /// Its link key.
    pub link: LinkSecret,
    /// What signs its statements.
    pub identity: Identity,
    /// What the share is sealed to.
    pub hybrid: HybridSecret,
}

/// What a code opens.
pub struct Opened {
    /// The keys of the code.
    pub keys: CodeKeys,
    /// What the relay shows.
    pub peeked: Peeked,
    /// The offer.
    pub offer: OpenedOffer,
}

impl Stranger {
    /// Somebody new, connected.
    ///
    /// # Panics
    /// When the relay does not take the connection.
    pub fn at(relay: &str) -> Self {
        let link = new_key();
        Self::over(Client::connect(relay, &link), link)
    }

    /// Somebody new with a connection of theirs.
    pub fn over(client: Client, link: LinkSecret) -> Self {
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let identity = Identity::generate(entropy, "stranger");
        Self { client, link, identity, hybrid: HybridSecret::generate(entropy) }
    }

    /// The same person on a new connection.
    #[must_use]
    pub fn again(self, relay: &str) -> Self {
        Self { client: Client::connect(relay, &self.link), ..self }
    }

    /// Looks.
    pub fn peek(&self, locator: Locator) -> Heard {
        self.client.ask(&Request::Peek(Peek { locator }))
    }

    /// Looks with a code.
    ///
    /// # Panics
    /// When the code opens nothing.
    pub fn open(&self, code: &str) -> Opened {
        let keys = CodeKeys::of(&Ticket::parse(code).expect("the code is right").code);
        let Heard::Said(Reply::Peeked(peeked)) = self.peek(keys.locator) else { panic!("the code opens nothing") };
        let offer = proof::open_offer(&keys, &peeked.sealed_offer, &peeked.transfer).expect("the offer opens");
        Opened { keys, peeked, offer }
    }

    /// What a claim says that is right for this connection.
    pub fn text(&self, transfer: TransferId, offer: Digest) -> ClaimText {
        ClaimText {
            transfer,
            offer,
            buyer_key: Fingerprint::of(&self.identity.public()),
            link_key: self.client.key(),
            bundle: bundle(&self.client.key(), &self.hybrid.public()),
            agreement: Agreement::None,
            channel: Channel(self.client.channel()),
            time: handover_shared::ids::Millis(1_800_000_000_000).into(),
        }
    }

    /// A claim of this text, signed by the identity and by whatever is taken for the claim key.
    ///
    /// # Panics
    /// When it cannot be signed.
    pub fn claim(&self, transfer: TransferId, text: &str, claim_key: &Identity) -> Claim {
        Claim {
            transfer,
            hybrid_key: self.hybrid.public().as_bytes().to_vec(),
            text: text.to_owned(),
            identity_signature: proof::sign(Kind::Claim, text, &self.identity).expect("a claim can be signed"),
            claim_signature: proof::sign(Kind::Claim, text, claim_key).expect("a claim can be signed"),
            sealed_agreement: None,
        }
    }

    /// A claim that is right.
    pub fn right_claim(&self, opened: &Opened) -> Claim {
        let transfer = opened.peeked.transfer;
        let text = self.text(transfer, opened.offer.sealed_digest).to_text();
        self.claim(transfer, &text, opened.keys.claim.identity())
    }

    /// The content key of what was released.
    ///
    /// # Panics
    /// When it does not open.
    pub fn key(&self, opened: &Opened, released: &Released) -> ContentKey {
        let transfer = opened.peeked.transfer;
        let bound = bundle(&self.client.key(), &self.hybrid.public());
        let share: Secret<32> =
            accept_share(&self.hybrid, &transfer, &bound, &released.encapsulated, &released.sealed_share)
                .expect("the share is sealed to us");
        let offer = &opened.offer;
        open_envelope(&opened.keys.psk, &share, &transfer, &offer.sealed_digest, &released.envelope, &offer.text.commit)
            .expect("the envelope opens")
    }

    /// Claims and fetches, like an honest buyer: the content key and the archive's tail.
    ///
    /// # Panics
    /// When the relay refuses.
    pub fn take(&self, opened: &Opened) -> (ContentKey, Tail) {
        let claimed = self.client.ask(&Request::Claim(self.right_claim(opened)));
        let Heard::Said(Reply::Released(released)) = claimed else { panic!("refused: {claimed:?}") };
        let key = self.key(opened, &released);
        let (transfer, size) = (opened.peeked.transfer, opened.offer.text.block_bytes);
        let (_, mut bytes) = self.client.fetch(transfer, BlockIndex(0)).expect("the relay serves who claimed");
        let blocks = bytes.len() / size.sealed_bytes();
        let last = &mut bytes[(blocks - 1) * size.sealed_bytes()..];
        let block_key = key.block_key(&transfer);
        let payload = open_block(block_key.expose(), &transfer, BlockIndex(blocks as u64 - 1), size, last)
            .expect("the last block opens");
        let tail = Tail::parse(payload.used()).expect("the last block is the tail");
        (key, tail)
    }

    /// The receipt that would be right.
    pub fn receipt(&self, opened: &Opened, tail: &Tail) -> ReceiptText {
        let (offer, counts) = (&opened.offer, tail.counts);
        ReceiptText {
            transfer: opened.peeked.transfer,
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
            received: handover_shared::ids::Millis(1_800_000_000_000).into(),
            verified: Verified::All,
        }
    }

    /// A sealed receipt, signed by anybody and with any name.
    ///
    /// # Panics
    /// When it cannot be sealed.
    pub fn seal(&self, transfer: TransferId, key: &ContentKey, text: &str, by: &Identity, name: &str) -> Vec<u8> {
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let signature = proof::sign(Kind::Receipt, text, by).expect("a receipt can be signed");
        let (text, buyer_name) = (text.to_owned(), name.to_owned());
        let bundle = ReceiptBundle { text, signature, buyer_name, organisation: Some(name.to_owned()) };
        proof::seal_receipt(&key.receipt_key(&transfer), &transfer, &bundle, entropy.array())
            .expect("a receipt can be sealed")
    }

    /// Hands a sealed receipt over.
    pub fn deliver(&self, transfer: TransferId, sealed_receipt: Vec<u8>) -> Heard {
        self.client.ask(&Request::Receive(Receive { transfer, sealed_receipt }))
    }
}
