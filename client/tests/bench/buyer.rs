//! A buyer in memory: spends a code, fetches everything, checks every rule, gives a receipt.

use std::collections::BTreeMap;

use handover::link::Relay;
use handover::link::network::Network;
use handover_shared::archive::block::OpenedBlock;
use handover_shared::archive::catalogue::Tail;
use handover_shared::archive::frame::Unpacker;
use handover_shared::archive::item::Reason;
use handover_shared::archive::reader::{Event, Reader};
use handover_shared::archive::stream::{FrameReader, Taken};
use handover_shared::ids::{BlockIndex, LinkKey, Millis};
use handover_shared::keys::code::Ticket;
use handover_shared::keys::hybrid::{self, HybridSecret};
use handover_shared::keys::schedule::{CodeKeys, ContentKey, open_envelope};
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::proof::identity::Fingerprint;
use handover_shared::proof::{
    self, Agreement, Channel, ClaimText, Identity, Kind, OpenedOffer, ReceiptBundle, ReceiptText, SealCheck, Verified,
};
use handover_shared::protocol::message::{Claim, Fetch, Peek, Receive, Reply, Request};
use handover_shared::tls::{ExpectedRelay, LinkSecret};
use zeroize::Zeroizing;

pub struct Buyer {
    pub identity: Identity,
    relay: Relay,
    offer: OpenedOffer,
    key: ContentKey,
    link_key: LinkKey,
}

/// What came.
#[derive(Default)]
pub struct Got {
    pub files: BTreeMap<String, Vec<u8>>,
    pub folders: Vec<String>,
    pub links: BTreeMap<String, String>,
    pub modes: BTreeMap<String, u32>,
    pub exceptions: Vec<(String, Reason)>,
    pub voids: usize,
    pub blocks: u64,
    pub tail: Option<Tail>,
    current: String,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn link_secret() -> LinkSecret {
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    LinkSecret::of_seed(Zeroizing::new(entropy.array())).unwrap()
}

/// Asks with a code that somebody else has spent.
pub async fn look_again(code: &str) -> Result<(), handover::error::Error> {
    let ticket = Ticket::parse(code).unwrap();
    let keys = CodeKeys::of(&ticket.code);
    let relay =
        Relay::connect(&Network::default(), &ticket.relay.unwrap(), ExpectedRelay::ToldByOffer, &link_secret()).await?;
    relay.ask(&Request::Peek(Peek { locator: keys.locator })).await.map(drop)
}

impl Buyer {
    /// Spends a code.
    pub async fn claim(code: &str) -> Self {
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let ticket = Ticket::parse(code).unwrap();
        let keys = CodeKeys::of(&ticket.code);
        let own = link_secret();
        let relay = Relay::connect(&Network::default(), &ticket.relay.unwrap(), ExpectedRelay::ToldByOffer, &own)
            .await
            .unwrap();
        let Reply::Peeked(peeked) = relay.ask(&Request::Peek(Peek { locator: keys.locator })).await.unwrap() else {
            panic!("no offer")
        };
        let offer = proof::open_offer(&keys, &peeked.sealed_offer, &peeked.transfer).unwrap();
        offer.check_live(&relay.key(), relay.welcome().await.unwrap().time).unwrap();
        let identity = Identity::generate(entropy, "buyer");
        let hybrid = HybridSecret::generate(entropy);
        let public = hybrid.public();
        let bundle = hybrid::bundle(&own.public(), &public);
        let stream = relay.begin().await.unwrap();
        let claim = ClaimText {
            transfer: peeked.transfer,
            offer: offer.sealed_digest,
            buyer_key: Fingerprint::of(&identity.public()),
            link_key: own.public(),
            bundle,
            agreement: Agreement::None,
            channel: Channel(stream.channel),
            time: Millis(1_800_000_000_000).into(),
        }
        .to_text();
        let request = Claim {
            transfer: peeked.transfer,
            hybrid_key: public.as_bytes().to_vec(),
            identity_signature: proof::sign(Kind::Claim, &claim, &identity).unwrap(),
            claim_signature: proof::sign(Kind::Claim, &claim, keys.claim.identity()).unwrap(),
            text: claim,
            sealed_agreement: None,
        };
        let Reply::Released(released) = stream.ask(&Request::Claim(request)).await.unwrap() else { panic!("no share") };
        let share =
            hybrid::accept_share(&hybrid, &peeked.transfer, &bundle, &released.encapsulated, &released.sealed_share)
                .unwrap();
        let commit = offer.text.commit;
        let key = open_envelope(&keys.psk, &share, &peeked.transfer, &offer.sealed_digest, &released.envelope, &commit)
            .unwrap();
        Self { identity, relay, offer, key, link_key: own.public() }
    }

    pub fn offer(&self) -> &OpenedOffer {
        &self.offer
    }

    pub fn link_key(&self) -> LinkKey {
        self.link_key
    }

    /// Fetches and checks everything.
    pub async fn fetch(&self) -> Got {
        let (transfer, size) = (self.offer.text.transfer, self.offer.text.block_bytes);
        let block_key = self.key.block_key(&transfer);
        let manifest_key = self.key.manifest_key(&transfer);
        let request = Request::Fetch(Fetch { transfer, from: BlockIndex(0), pace: None });
        let (_send, mut replies) = self.relay.open(&request).await.unwrap();
        let Some(Reply::Fetching(_)) = replies.next().await.unwrap() else { panic!("no blocks") };
        let mut frames = FrameReader::new();
        let mut reader = Reader::new(manifest_key.expose());
        let mut unpacker = Unpacker::new().unwrap();
        let mut got = Got::default();
        while let Some(sealed) = replies.block(size.sealed_bytes()).await.unwrap() {
            let index = BlockIndex(got.blocks);
            let opened = OpenedBlock::open(block_key.expose(), &transfer, index, size, sealed.into()).unwrap();
            got.blocks += 1;
            let mut ended = Vec::new();
            if let Taken::Tail(tail) = frames.push(index, &opened.payload(), &mut ended).unwrap() {
                let tail = Tail::parse(tail).unwrap();
                reader.finish(&tail, frames.stream_blocks().unwrap()).unwrap();
                let check = SealCheck { offer: &self.offer.statement, seller: &self.offer.seller };
                let seal = proof::check_seal(&check, &tail.seal_text, &tail.seal_signature).unwrap();
                assert_eq!(seal.text().root, tail.root);
                got.tail = Some(tail);
            }
            for frame in ended {
                let raw = unpacker.unpack(frame.frame).unwrap();
                for event in reader.frame(frame.location, &raw) {
                    got.take(event.unwrap());
                }
            }
        }
        assert!(got.tail.is_some(), "the archive has an end");
        got
    }

    /// Signs and delivers a receipt over what came.
    pub async fn receive(&self, got: &Got) {
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let tail = got.tail.as_ref().unwrap();
        let transfer = self.offer.text.transfer;
        let receipt = ReceiptText {
            transfer,
            offer: self.offer.text_id,
            seal: proof::text_id(&tail.seal_text),
            root: tail.root,
            entries: tail.counts.entries(),
            files: tail.counts.files,
            folders: tail.counts.folders,
            links: tail.counts.links,
            exceptions: tail.counts.exceptions,
            bytes: tail.counts.bytes,
            kept_existing: 0,
            seller_key: self.offer.text.seller_key,
            buyer_key: Fingerprint::of(&self.identity.public()),
            relay_key: self.offer.text.relay_key,
            agreement: Agreement::None,
            received: Millis(1_800_000_100_000).into(),
            verified: Verified::All,
        }
        .to_text();
        let bundle = ReceiptBundle {
            signature: proof::sign(Kind::Receipt, &receipt, &self.identity).unwrap(),
            text: receipt,
            buyer_name: "李".into(),
            organisation: Some("Li Trading".into()),
        };
        let receipt_key = self.key.receipt_key(&transfer);
        let sealed_receipt = proof::seal_receipt(&receipt_key, &transfer, &bundle, entropy.array()).unwrap();
        let reply = self.relay.ask(&Request::Receive(Receive { transfer, sealed_receipt })).await.unwrap();
        assert!(matches!(reply, Reply::Received(_)));
    }
}

impl Got {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::FileBegin(entry) => {
                self.current = text(entry.path.as_bytes());
                self.modes.insert(self.current.clone(), entry.mode);
                self.files.insert(self.current.clone(), Vec::new());
            }
            Event::Data { bytes, .. } => {
                self.files.get_mut(&self.current).unwrap().extend_from_slice(bytes);
            }
            Event::FileEnd(_) => {}
            Event::FileVoid(_) => {
                self.voids += 1;
                self.files.remove(&self.current);
            }
            Event::Folder(record) => self.folders.push(text(record.path.as_bytes())),
            Event::Link(record) => {
                let target = text(record.target.as_ref().unwrap().as_bytes());
                self.links.insert(text(record.path.as_bytes()), target);
            }
            Event::Exception(record) => {
                self.exceptions.push((text(record.path.as_bytes()), record.reason.unwrap()));
            }
            Event::Page(_) => {}
        }
    }
}
