//! A seller who means no good: enrolled, with a real offer under a real code, and an archive written by hand, validly
//! sealed and signed. Everything it does can be done by whoever got an invite.

use handover_shared::archive::block::{Ending, padding_payload, seal_block};
use handover_shared::archive::inventory::InventoryBuilder;
use handover_shared::codec;
use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, LinkKey, Millis, TransferId};
use handover_shared::invite::Invite;
use handover_shared::keys::code::Code;
use handover_shared::keys::schedule::{CodeKeys, ContentKey, seal_envelope};
use handover_shared::keys::{Entropy, OsEntropy, Secret, labels, seal};
use handover_shared::proof::{self, Agreement, Fingerprint, Identity, Kind, Mode, OfferText, SealText, Summary};
use handover_shared::protocol::message::{Complete, Create, Enrol, Hello, Named, Reply, Request};
use handover_shared::tls::LinkSecret;
use zeroize::Zeroizing;

use super::seller_archive::{Archive, Closing, tail};
use super::seller_wire::{Client, Heard, new_key};
use crate::relay::RelayProc;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// A seller at a relay.
pub struct HostileSeller {
    /// Its connection.
    pub client: Client,
    /// Its link key, for another connection.
    pub link: LinkSecret,
    identity: Identity,
    address: String,
    relay_key: LinkKey,
    now: Millis,
}

/// The secrets and numbers of one transfer.
pub struct Deal {
    /// Its number.
    pub transfer: TransferId,
    /// Seals the blocks.
    pub key: ContentKey,
    /// The other half of the envelope's key.
    pub share: Secret<32>,
    /// Everything of the code.
    pub keys: CodeKeys,
    /// The code as the buyer gets it.
    pub code: String,
    /// Of every block.
    pub size: BlockSize,
}

/// What the buyer is told before, where it differs from what is sealed.
#[derive(Default)]
pub struct Pretence {
    /// The summary's bytes, well-formed or not.
    pub summary: Option<Vec<u8>>,
    /// The content key that the offer commits to.
    pub committed: Option<ContentKey>,
    /// The content key in the envelope.
    pub enveloped: Option<ContentKey>,
    /// Who signs the offer instead.
    pub offer_signer: Option<Identity>,
    /// Who signs the seal instead.
    pub seal_signer: Option<Identity>,
}

impl HostileSeller {
    /// Enrols at a relay.
    ///
    /// # Panics
    /// When the relay does not take the invite.
    pub fn enrol(relay: &RelayProc) -> Self {
        let link = new_key();
        let client = Client::connect(relay.address(), &link);
        let invite = Invite::parse(relay.invite()).expect("the relay prints an invite");
        let enrolled = client.ask(&Request::Enrol(Enrol { secret: invite.secret.clone() }));
        assert!(matches!(enrolled, Heard::Said(Reply::Enrolled(_))), "{enrolled:?}");
        Self::over(client, link, relay.address())
    }

    /// Somebody with a connection, enrolled or not.
    ///
    /// # Panics
    /// When the relay does not say welcome.
    pub fn over(client: Client, link: LinkSecret, address: &str) -> Self {
        let Heard::Said(Reply::Welcome(welcome)) = client.ask(&Request::Hello(Hello { version: "evil/1".into() }))
        else {
            panic!("no welcome");
        };
        let relay_key = client.relay_key();
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let identity = Identity::generate(entropy, "seller");
        Self { client, link, identity, address: address.to_owned(), relay_key, now: welcome.time }
    }

    /// The relay's time at the beginning.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Makes code and keys.
    pub fn deal(&self, size: BlockSize) -> Deal {
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let (transfer, code, key) =
            (TransferId(entropy.array()), Code::generate(entropy), ContentKey::generate(entropy));
        let share = Secret::from_entropy(entropy);
        let text = format!("{}@{}", *code.to_text(), self.address);
        Deal { transfer, key, share, keys: CodeKeys::of(&code), code: text, size }
    }

    /// The offer, and the `Create` that announces it.
    ///
    /// # Panics
    /// When the offer cannot be signed.
    pub fn announcement(&self, deal: &Deal, blocks_max: u64, pretence: &Pretence) -> (Create, String) {
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let summary = pretence.summary.clone().unwrap_or_else(|| summary("customers", 1, 1).to_bytes());
        let committed = pretence.committed.as_ref().unwrap_or(&deal.key);
        let text = OfferText {
            transfer: deal.transfer,
            mode: Mode::Detached,
            seller_key: Fingerprint::of(&self.identity.public()),
            relay_key: Fingerprint::of_link_key(&self.relay_key),
            commit: committed.commit(&deal.transfer),
            summary: proof::digest(&summary),
            agreement: Agreement::None,
            block_bytes: deal.size,
            created: self.now.into(),
            expires: self.now.plus(HOUR_MS).into(),
        }
        .to_text();
        let signer = pretence.offer_signer.as_ref().unwrap_or(&self.identity);
        let signature = proof::sign(Kind::Offer, &text, signer).expect("an offer can be signed");
        let sealed_offer = seal_offer(deal, &text, &signature, &summary);
        let enveloped = pretence.enveloped.as_ref().unwrap_or(&deal.key);
        let digest = proof::digest(&sealed_offer);
        let envelope = seal_envelope(&deal.keys.psk, &deal.share, &deal.transfer, &digest, enveloped, entropy.array());
        let create = Create {
            transfer: deal.transfer,
            locator: deal.keys.locator,
            claim_key: deal.keys.claim.public(),
            share: Zeroizing::new(*deal.share.expose()),
            envelope,
            sealed_offer,
            block_size: deal.size,
            blocks_max: BlockCount(blocks_max),
            expires: self.now.plus(HOUR_MS),
            agreement: None,
        };
        (create, text)
    }

    /// Seals and uploads an archive; the code.
    ///
    /// # Panics
    /// When the relay does not take it.
    pub fn upload(&self, write: impl FnOnce(&mut Archive)) -> String {
        self.upload_as(&Pretence::default(), BlockSize::Small, write, |_| {})
    }

    /// Seals and uploads an archive with an offer and a tail that say what they say; the code.
    ///
    /// # Panics
    /// When the relay does not take it.
    pub fn upload_as(
        &self,
        pretence: &Pretence,
        size: BlockSize,
        write: impl FnOnce(&mut Archive),
        close: impl FnOnce(&mut Closing),
    ) -> String {
        let deal = self.deal(size);
        self.send(&deal, pretence, write, close);
        deal.code
    }

    /// The same with secrets made before.
    ///
    /// # Panics
    /// When the relay does not take it.
    pub fn send(
        &self,
        deal: &Deal,
        pretence: &Pretence,
        write: impl FnOnce(&mut Archive),
        close: impl FnOnce(&mut Closing),
    ) {
        let mut archive = Archive::new(deal.size, *deal.key.manifest_key(&deal.transfer).expose());
        write(&mut archive);
        let mut written = archive.close();
        let ending = Ending::of(written.closing.stream_blocks).expect("the archive has blocks");
        let (create, offer) = self.announcement(deal, ending.blocks().0, pretence);
        close(&mut written.closing);
        let tail = self.tail(deal, &offer, &written.closing, pretence);

        let mut payloads: Vec<Vec<u8>> = Vec::new();
        for (index, used) in written.stream.iter().enumerate() {
            payloads.push(payload(deal.size, 0, u8::from(index == 0), used));
        }
        payloads.resize(ending.tail().0 as usize, padding_payload(deal.size));
        payloads.push(payload(deal.size, 2, 0, &tail));
        self.create(create).expect("the relay takes the transfer");
        let blocks = seal_all(deal, &payloads);
        let durable = self.client.append(deal.transfer, &blocks).expect("the relay takes the blocks");
        assert_eq!(durable.0 as usize, blocks.len());
        let done = Request::Complete(Complete { transfer: deal.transfer, blocks: durable });
        let done = self.client.ask(&done);
        assert!(matches!(done, Heard::Said(Reply::Completed(_))), "{done:?}");
    }

    /// Announces.
    ///
    /// # Errors
    /// What the relay says instead of yes.
    #[allow(clippy::result_large_err, reason = "answers are few and short-lived here")]
    pub fn create(&self, create: Create) -> Result<(), Heard> {
        match self.client.ask(&Request::Create(create)) {
            Heard::Said(Reply::Created(_)) => Ok(()),
            other => Err(other),
        }
    }

    /// Burns a transfer.
    pub fn revoke(&self, transfer: TransferId) -> Heard {
        self.client.ask(&Request::Revoke(Named { transfer }))
    }

    fn tail(&self, deal: &Deal, offer: &str, closing: &Closing, pretence: &Pretence) -> Vec<u8> {
        let [files, folders, links, exceptions] = closing.counts;
        // What cannot be a record is refused before anybody looks at the inventory.
        let mut inventory = InventoryBuilder::new(deal.transfer, deal.key.inventory_salt(&deal.transfer));
        for record in closing.records.iter().filter_map(|record| codec::decode(record).ok()) {
            inventory.add(&record);
        }
        let text = SealText {
            transfer: deal.transfer,
            offer: proof::text_id(offer),
            root: handover_shared::ids::Root(closing.root),
            inventory: proof::text_id(&inventory.finish()),
            entries: closing.entries,
            files,
            folders,
            links,
            exceptions,
            bytes: closing.bytes,
            stream_blocks: closing.stream_blocks,
            sealed: self.now.into(),
        }
        .to_text();
        let signer = pretence.seal_signer.as_ref().unwrap_or(&self.identity);
        let signature = proof::sign(Kind::Seal, &text, signer).expect("a seal can be signed");
        tail(closing, &text, &signature)
    }
}

/// Somebody else's identity.
pub fn other_identity() -> Identity {
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    Identity::generate(entropy, "other")
}

/// A summary of so many files and bytes.
pub fn summary(label: &str, files: u64, bytes: u64) -> Summary {
    Summary {
        label: label.into(),
        seller_name: "Wang Appliances".into(),
        organisation: None,
        files,
        folders: 0,
        links: 0,
        bytes: Some(bytes),
        hidden: 0,
        document: None,
        executable: 0,
        biggest: Vec::new(),
    }
}

/// A block's plain content, its head as it is told.
pub fn payload(size: BlockSize, kind: u8, flags: u8, used: &[u8]) -> Vec<u8> {
    let mut payload = vec![kind, flags, 0, 0];
    payload.extend_from_slice(&(used.len() as u32).to_be_bytes());
    payload.extend_from_slice(used);
    payload.resize(size.payload_bytes(), 0);
    payload
}

/// Seals payloads, each for its place.
pub fn seal_all(deal: &Deal, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    let key = deal.key.block_key(&deal.transfer);
    let mut blocks = Vec::new();
    for (index, payload) in payloads.iter().enumerate() {
        let mut block = Vec::with_capacity(deal.size.sealed_bytes());
        seal_block(key.expose(), &deal.transfer, BlockIndex(index as u64), entropy.array(), payload, &mut block);
        blocks.push(block);
    }
    blocks
}

#[derive(minicbor::Encode)]
#[cbor(array)]
struct Parts<'a> {
    #[n(0)]
    transfer: TransferId,
    #[n(1)]
    text: &'a str,
    #[n(2)]
    signature: &'a str,
    #[cbor(n(3), with = "minicbor::bytes")]
    summary: &'a [u8],
}

/// SPEC [S10.7], with a summary that may be anything.
fn seal_offer(deal: &Deal, text: &str, signature: &str, summary: &[u8]) -> Vec<u8> {
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    let parts = codec::encode(&Parts { transfer: deal.transfer, text, signature, summary });
    let mut padded = (parts.len() as u32).to_be_bytes().to_vec();
    padded.extend_from_slice(&parts);
    let lengths = handover_shared::limits::OFFER_PADDED_BYTES;
    let length = lengths.into_iter().find(|length| *length >= padded.len()).unwrap_or(padded.len());
    padded.resize(length, 0);
    let context = labels::context(labels::OFFER_CONTEXT, &[]);
    seal::seal(deal.keys.offer.expose(), &context, entropy.array(), &padded)
}
