//! The buyer against a relay that is real, and against relays that are not what they should be.

use handover_relay::{Advertise, Config, Limits, Relay as RealRelay, Running};
use handover_shared::ids::BlockCount;
use handover_shared::keys::code::RelayAddress;
use handover_shared::protocol::message::{Complete, Create, Enrol, Named, Reply, Request};
use handover_shared::tls::{ExpectedRelay, LinkSecret};
use zeroize::Zeroizing;

use super::kit::{file, folder, noise};
use super::*;
use crate::home::transfers::State;
use crate::link::Relay;
use crate::link::network::Network;
use crate::pull::claim::Claiming;
use crate::pull::look::Origin;
use crate::pull::{Look, LookOptions, TakeOptions, Taken, begin, look};
use crate::stop;

struct World {
    scratch: TempDir,
    relay: Running,
}

impl World {
    async fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let relay = RealRelay::start(Self::config(&scratch)).await.unwrap();
        Self { scratch, relay }
    }

    fn config(scratch: &TempDir) -> Config {
        Config {
            listen: ([127, 0, 0, 1], 0).into(),
            advertise: Advertise { host: Some("127.0.0.1".into()), port: None },
            limits: Limits { free_bytes_min: 0, ..Limits::default() },
            ..Config::new(scratch.path().join("relay"))
        }
    }

    fn address(&self) -> RelayAddress {
        self.relay.first_invite.address.clone()
    }

    async fn upload(&self, seller: &Seller, blocks: &[Vec<u8>]) {
        let link = LinkSecret::of_seed(Zeroizing::new([5; 32])).unwrap();
        let relay = Relay::connect(&Network::default(), &self.address(), ExpectedRelay::Key(self.relay.key), &link)
            .await
            .unwrap();
        let secret = self.relay.first_invite.secret.clone();
        relay.ask(&Request::Enrol(Enrol { secret })).await.unwrap();
        let keys = handover_shared::keys::schedule::CodeKeys::of(&seller.code);
        let create = Create {
            transfer: seller.transfer,
            locator: keys.locator,
            claim_key: keys.claim.public(),
            share: Zeroizing::new(*seller.share.expose()),
            envelope: seller.envelope.clone(),
            sealed_offer: seller.sealed_offer.clone(),
            block_size: seller.size,
            blocks_max: BlockCount(blocks.len() as u64),
            expires: seller.offer.text.expires.millis(),
            agreement: None,
        };
        relay.ask(&Request::Create(create)).await.unwrap();
        let transfer = seller.transfer;
        let (mut send, mut replies) = relay.open(&Request::Append(Named { transfer })).await.unwrap();
        assert!(matches!(replies.next().await, Ok(Some(Reply::Appending(_)))));
        for block in blocks {
            send.write_all(block).await.unwrap();
        }
        send.finish();
        while replies.next().await.unwrap().is_some() {}
        relay.ask(&Request::Complete(Complete { transfer, blocks: BlockCount(blocks.len() as u64) })).await.unwrap();
        relay.close().await;
    }

    fn home(&self) -> Home {
        Home::open(Some(&self.scratch.path().join("home"))).unwrap()
    }

    async fn look(&self, seller: &Seller, watcher: &Arc<Watcher>) -> Result<Look, Error> {
        let options = LookOptions {
            ticket: seller.ticket(Some(self.address())),
            relay: None,
            out: Some(self.scratch.path().join("to")),
            to_stdout: false,
        };
        look(&self.home(), options, watcher.clone(), stop::pair().1).await
    }

    async fn pull(&self, seller: &Seller, watcher: &Arc<Watcher>) -> Result<Taken, Error> {
        let (_stopper, stop) = stop::pair();
        let look = self.look(seller, watcher).await?;
        look.take(TakeOptions::new(ConflictPolicy::Ask), Answer::with(None), watcher.clone(), stop).await
    }
}

fn things() -> Vec<Thing> {
    vec![folder("a"), file("a/big", noise(7, 3 << 20)), file("b", "x")]
}

#[tokio::test(flavor = "multi_thread")] // [S10.8] [S11.2]
async fn an_offer_for_another_relay_is_refused_before_anything_is_claimed() {
    let world = World::new().await;
    let seller = Seller::new(&LinkKey([3; 32]), BlockSize::Small, &things());
    world.upload(&seller, &seller.archive(&things())).await;
    let refused = world.pull(&seller, &Watcher::new()).await;
    assert!(matches!(refused, Err(Error::RelayKey { .. })), "{refused:?}");
    assert!(world.home().transfers().unwrap().is_empty());

    // The code is as good as before.
    let honest = Seller::new(&world.relay.key, BlockSize::Small, &things());
    world.upload(&honest, &honest.archive(&things())).await;
    assert!(world.pull(&honest, &Watcher::new()).await.unwrap().delivered);
}

#[tokio::test(flavor = "multi_thread")] // [S8.2]
async fn a_relay_that_alters_a_block_is_found_out() {
    let world = World::new().await;
    let seller = Seller::new(&world.relay.key, BlockSize::Small, &things());
    let mut blocks = seller.archive(&things());
    blocks[20][777] ^= 1;
    world.upload(&seller, &blocks).await;
    let altered = world.pull(&seller, &Watcher::new()).await;
    assert!(matches!(altered, Err(Error::Altered { block: Some(20), .. })), "{altered:?}");
    assert!(!world.scratch.path().join("to/a/big").exists());
    let again = world.pull(&seller, &Watcher::new()).await;
    assert!(matches!(again, Err(Error::Altered { block: Some(20), .. })), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")] // [S9.5] [S15.7]
async fn a_relay_that_leaves_the_end_out_gets_no_receipt() {
    let world = World::new().await;
    let seller = Seller::new(&world.relay.key, BlockSize::Small, &things());
    let blocks = seller.archive(&things());
    world.upload(&seller, &blocks[..blocks.len() - 1]).await;
    let ended = world.pull(&seller, &Watcher::new()).await;
    assert!(matches!(ended, Err(Error::Altered { what: "S9.5", block: None })), "{ended:?}");
    let folder = world.home().transfer(1).unwrap();
    assert!(kept::read_sealed_receipt(&folder).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")] // [S4.5]
async fn an_envelope_of_another_key_is_refused() {
    let world = World::new().await;
    let mut seller = Seller::new(&world.relay.key, BlockSize::Small, &things());
    let other = Seller::new(&world.relay.key, BlockSize::Small, &things());
    seller.envelope = other.envelope;
    world.upload(&seller, &seller.archive(&things())).await;
    let refused = world.pull(&seller, &Watcher::new()).await;
    assert!(matches!(refused, Err(Error::Altered { what: "S4.5", .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")] // [S15.1] [S13.5]
async fn a_claim_whose_answer_was_lost_is_made_again_with_the_same_keys() {
    let world = World::new().await;
    let seller = Seller::new(&world.relay.key, BlockSize::Small, &things());
    world.upload(&seller, &seller.archive(&things())).await;

    // A run that dies between the relay's answer and its own disk: everything before the claim is durable.
    let Look { home, offer, origin, destination, .. } = world.look(&seller, &Watcher::new()).await.unwrap();
    let Origin::Fresh(fresh) = origin else { panic!("nothing was begun") };
    let begun = begin::fresh(&home, &offer, *fresh, Some(&destination), None).unwrap();
    let relay = begun.relay.unwrap();
    let offer = Arc::new(offer);
    let claiming = Claiming::of(&home, &begun.secrets, offer, begun.link.public()).unwrap();
    let stream = relay.begin().await.unwrap();
    let (claim, _, _) = claiming.claim(stream.channel, now(), None).unwrap();
    let Ok(Reply::Released(released)) = stream.ask(&Request::Claim(claim)).await else { panic!("not released") };
    assert_eq!(claiming.open(&released).unwrap().expose(), seller.key.expose());
    assert_eq!(begun.held.facts().unwrap().state, State::Claiming);
    drop((relay, begun.held));

    let taken = world.pull(&seller, &Watcher::new()).await.unwrap();
    assert!(taken.delivered && taken.id == 1);
    let facts = world.home().transfer(1).unwrap().facts().unwrap();
    assert_eq!(facts.claimed_ms, Some(released.claimed.0), "the first claim counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_do_not_work_on_one_transfer() {
    let world = World::new().await;
    let seller = Seller::new(&world.relay.key, BlockSize::Small, &things());
    world.upload(&seller, &seller.archive(&things())).await;
    let first = world.look(&seller, &Watcher::new()).await.unwrap();
    let Look { home, offer, origin: Origin::Fresh(fresh), .. } = first else { panic!("nothing was begun") };
    let begun = begin::fresh(&home, &offer, *fresh, Some(&world.scratch.path().join("to")), None).unwrap();
    let second = world.look(&seller, &Watcher::new()).await.err();
    assert!(matches!(second, Some(Error::Held { id: 1 })), "{second:?}");
    drop(begun);
    let again = world.look(&seller, &Watcher::new()).await.unwrap();
    assert!(again.is_continued() && again.id() == Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_room_is_said_before_the_code_is_spent() {
    let world = World::new().await;
    let seller = Seller::new(&world.relay.key, BlockSize::Small, &things());
    world.upload(&seller, &seller.archive(&things())).await;
    let mut look = world.look(&seller, &Watcher::new()).await.unwrap();
    look.needed_bytes = u64::MAX;
    let options = TakeOptions::new(ConflictPolicy::Ask);
    let refused = look.take(options, Answer::with(None), Watcher::new(), stop::pair().1).await;
    assert!(matches!(refused, Err(Error::Space { needed: u64::MAX, .. })), "{refused:?}");
    assert!(world.home().transfers().unwrap().is_empty());
    assert!(world.pull(&seller, &Watcher::new()).await.unwrap().delivered, "the code is as good as before");
}
