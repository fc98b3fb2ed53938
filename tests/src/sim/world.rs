//! One world from its seed: parties, faults, time, and the end that it must come to.

use std::collections::BTreeMap;
use std::fmt;

use handover_shared::fault::Fault;
use handover_shared::ids::LinkKey;
use handover_shared::keys::Entropy;
use handover_shared::protocol::buyer::End as BuyerEnd;
use handover_shared::protocol::message::Phase;
use handover_shared::protocol::seller::Ending;

use super::buyer::{BuyerShell, Ended};
use super::ctx::{BEGIN_MS, Ctx, End, Happening, Packet, Party};
use super::disk::Stop;
use super::faults::{Faults, Mutant};
use super::papers::Papers;
use super::relay::Relay;
use super::rng::Rng;
use super::seller::SellerShell;
use super::source::Source;

/// Once faults have stopped, everything ends within so long, and so many happenings.
const CALM_MS_MAX: u64 = 20 * 60_000;
const CALM_HAPPENINGS_MAX: u64 = 60_000;
const HAPPENINGS_MAX: u64 = 400_000;

/// What happened in a world, or in many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// How often that happened.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Adds another world's.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_insert(0) += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, count)| writeln!(f, "{count:>10}  {what}"))
    }
}

pub struct World {
    ctx: Ctx,
    relay: Relay,
    seller: SellerShell,
    buyers: Vec<BuyerShell>,
    happenings: u64,
    calm_since: Option<(u64, u64)>,
}

impl World {
    pub fn new(seed: u64, mutant: Option<Mutant>, is_traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let mut faults = Faults::draw(&mut rng);
        if let Some(mutant) = mutant {
            faults.harshen(&mut rng, mutant);
        }
        let source = Source::generate(&mut rng);
        let mut ctx = Ctx::new(rng, faults, mutant, source, is_traced);
        ctx.trace(|| "a world begins".into());
        let faults = format!("{:?}", ctx.faults);
        ctx.trace(|| faults);
        let relay_key = LinkKey((&mut ctx.rng as &mut dyn Entropy).array());
        let relay = Relay::new();
        let window = ctx.rng.within(1..=8);
        let papers = Papers::new(&mut ctx, relay_key);
        let seller = SellerShell::new(papers, window);
        let buyers = (0..ctx.faults.buyers as usize).map(|n| BuyerShell::new(&mut ctx, n, relay_key)).collect();
        Self { ctx, relay, seller, buyers, happenings: 0, calm_since: None }
    }

    /// Lets the world run to its end.
    pub fn run(&mut self) -> Result<Tally, String> {
        self.schedule();
        loop {
            let Some(happening) = self.ctx.next() else { return Err("nothing happens any more".into()) };
            self.happenings += 1;
            self.happens(happening);
            self.stop_parties();
            self.hand_over_codes();
            if let Some(what) = self.ctx.violation() {
                return Err(what.to_owned());
            }
            if self.happenings > HAPPENINGS_MAX {
                return Err(format!("too much happens\n{}", self.state()));
            }
            let Some((calm_ms, calm_happenings)) = self.calm_since else { continue };
            if self.is_over() {
                self.judge();
                return match self.ctx.violation() {
                    Some(what) => Err(what.to_owned()),
                    None => Ok(self.tally()),
                };
            }
            let is_late = self.ctx.now > calm_ms + CALM_MS_MAX;
            if is_late || self.happenings > calm_happenings + CALM_HAPPENINGS_MAX {
                return Err(format!("it does not come to an end\n{}", self.state()));
            }
        }
    }

    /// What happened, line by line.
    pub fn trace(&mut self) -> Vec<String> {
        self.ctx.take_trace()
    }

    fn schedule(&mut self) {
        let ctx = &mut self.ctx;
        ctx.after(0, Happening::Starts(Party::Relay));
        ctx.after(5, Happening::Starts(Party::Seller));
        let until = ctx.faults.until_ms;
        ctx.after(until, Happening::FaultsStop);
        if ctx.faults.outage_ms > 0 {
            let at = ctx.rng.below(until);
            ctx.after(at, Happening::Outage);
        }
        self.schedule_cut();
        self.schedule_disturbance();
    }

    fn schedule_cut(&mut self) {
        let every = self.ctx.faults.cut_every_ms;
        if every > 0 && !self.ctx.faults_over {
            let pause = self.ctx.rng.below(2 * every);
            self.ctx.after(pause, Happening::Cut);
        }
    }

    fn schedule_disturbance(&mut self) {
        let every = self.ctx.faults.disturb_every_ms;
        if every > 0 && !self.ctx.faults_over {
            let pause = self.ctx.rng.below(2 * every);
            self.ctx.after(pause, Happening::Disturb);
        }
    }

    fn happens(&mut self, happening: Happening) {
        let ctx = &mut self.ctx;
        match happening {
            Happening::Arrives { conn, stream, to, packet } => self.arrives(conn, stream, to, packet),
            Happening::Dialed { party, epoch, dial } => {
                let reached = ctx.is_reachable() && self.relay.is_serving();
                match party {
                    Party::Seller if epoch == self.seller.epoch => self.seller.dialed(ctx, dial, reached),
                    Party::Buyer(n) if epoch == self.buyers[n].epoch => self.buyers[n].dialed(ctx, dial, reached),
                    _ => {}
                }
            }
            Happening::Breaks { conn, end } => self.breaks(conn, end),
            Happening::Step { party, epoch, lane } => match party {
                Party::Seller if epoch == self.seller.epoch => self.seller.step(ctx, lane),
                Party::Buyer(n) if epoch == self.buyers[n].epoch => self.buyers[n].step(ctx, lane),
                _ => {}
            },
            Happening::Task { epoch, task } if epoch == self.relay.epoch => self.relay.step(ctx, task),
            Happening::Sweep { epoch } if epoch == self.relay.epoch => self.relay.sweep(ctx),
            Happening::Task { .. } | Happening::Sweep { .. } => {}
            Happening::Timer { party, epoch, timer } => match party {
                Party::Seller if epoch == self.seller.epoch => self.seller.timer(ctx, timer),
                Party::Buyer(n) if epoch == self.buyers[n].epoch => self.buyers[n].timer(ctx, timer),
                _ => {}
            },
            Happening::Starts(party) => match party {
                Party::Relay => self.relay.start(ctx),
                Party::Seller => self.seller.start(ctx),
                Party::Buyer(n) => self.buyers[n].start(ctx),
            },
            Happening::Cut => {
                let open = ctx.open_conns();
                if !open.is_empty() {
                    let conn = ctx.rng.pick(&open);
                    ctx.cut(conn);
                }
                self.schedule_cut();
            }
            Happening::Outage => {
                ctx.trace(|| "the network is gone".into());
                ctx.is_outage = true;
                ctx.open_conns().into_iter().for_each(|conn| ctx.cut(conn));
                let ms = ctx.faults.outage_ms;
                ctx.after(ms, Happening::OutageOver);
            }
            Happening::OutageOver => ctx.is_outage = false,
            Happening::Disturb => {
                ctx.disturb();
                self.schedule_disturbance();
            }
            Happening::FaultsStop => {
                ctx.trace(|| "faults stop".into());
                ctx.faults_over = true;
                ctx.is_outage = false;
                self.calm_since = Some((ctx.now, self.happenings));
            }
        }
    }

    fn arrives(&mut self, conn: super::ctx::ConnId, stream: u32, to: End, packet: Packet) {
        let ctx = &mut self.ctx;
        if !ctx.arrives(conn, to) {
            return;
        }
        let Some((client, epoch)) = ctx.conns.get(&conn).map(|it| (it.client, it.client_epoch)) else { return };
        match (to, client) {
            (End::Relay, _) => {
                let is_block = matches!(packet, Packet::Block(_));
                self.relay.arrives(ctx, conn, stream, packet);
                if is_block && epoch == self.seller.epoch && ctx.arrives(conn, End::Client) {
                    self.seller.moved(ctx, conn);
                }
            }
            (End::Client, Party::Seller) if epoch == self.seller.epoch => {
                self.seller.arrives(ctx, conn, stream, packet);
            }
            (End::Client, Party::Buyer(n)) if epoch == self.buyers[n].epoch => {
                self.buyers[n].arrives(ctx, conn, stream, packet);
            }
            _ => {}
        }
    }

    fn breaks(&mut self, conn: super::ctx::ConnId, end: End) {
        let ctx = &mut self.ctx;
        let Some(it) = ctx.conns.get_mut(&conn) else { return };
        let (client, epoch) = (it.client, it.client_epoch);
        if end == End::Relay {
            if it.relay_open {
                it.relay_open = false;
                self.relay.breaks(ctx, conn);
            }
            return;
        }
        if !it.client_open {
            return;
        }
        match client {
            Party::Seller if epoch == self.seller.epoch => self.seller.breaks(ctx, conn),
            Party::Buyer(n) if epoch == self.buyers[n].epoch => self.buyers[n].breaks(ctx, conn),
            _ => {}
        }
        if let Some(it) = ctx.conns.get_mut(&conn) {
            it.client_open = false;
        }
    }

    /// Who was told to stop stops between two steps.
    fn stop_parties(&mut self) {
        for party in std::mem::take(&mut self.ctx.stops) {
            let ctx = &mut self.ctx;
            let stop = if ctx.rng.percent(ctx.faults.power_percent) { Stop::Power } else { Stop::Kill };
            match party {
                Party::Relay if !self.relay.is_down() => self.relay.stop(ctx, stop),
                Party::Seller if self.seller.is_up && self.seller.ended.is_none() => self.seller.stop(ctx, stop),
                Party::Buyer(n) if self.buyers[n].is_up && self.buyers[n].ended.is_none() => {
                    self.buyers[n].stop(ctx, stop);
                }
                _ => continue,
            }
            self.ctx.count(match (party, stop) {
                (Party::Relay, Stop::Kill) => "relays killed",
                (Party::Relay, Stop::Power) => "relays without power",
                (Party::Seller, Stop::Kill) => "sellers killed",
                (Party::Seller, Stop::Power) => "sellers without power",
                (Party::Buyer(_), Stop::Kill) => "buyers killed",
                (Party::Buyer(_), Stop::Power) => "buyers without power",
            });
        }
    }

    /// The seller tells its buyers the code, outside of everything.
    fn hand_over_codes(&mut self) {
        let Some(code) = self.seller.shown else { return };
        for (number, buyer) in self.buyers.iter_mut().enumerate() {
            if buyer.code.is_none() {
                buyer.code = Some(code);
                let ms = self.ctx.rng.within(1..=self.ctx.faults.people_ms);
                self.ctx.after(ms, Happening::Starts(Party::Buyer(number)));
            }
        }
    }

    // ---- the end ----

    fn is_over(&self) -> bool {
        let has_ended = self.seller.ended.is_some();
        let buyers_ended = self.buyers.iter().all(|buyer| buyer.ended.is_some() || buyer.code.is_none());
        has_ended && buyers_ended && self.relay.is_serving() && self.relay.is_clean().is_ok()
    }

    fn state(&self) -> String {
        let mut lines = vec![self.seller.state()];
        lines.extend(self.buyers.iter().map(BuyerShell::state));
        let clean = self.relay.is_clean();
        lines.push(format!("relay: serving {}, {:?}, {clean:?}", self.relay.is_serving(), self.relay.phase()));
        lines.join("\n")
    }

    fn judge(&mut self) {
        self.relay.check(&mut self.ctx);
        self.judge_seller();
        let done: Vec<usize> = (0..self.buyers.len()).filter(|n| self.buyers[*n].ended == Some(Ended::Done)).collect();
        let is_receipted = self.relay.phase() == Some(Phase::Receipted);
        let ctx = &mut self.ctx;
        if is_receipted != (done.len() == 1) || (!is_receipted && !ctx.faults.may_end_early()) {
            let phase = self.relay.phase();
            ctx.fail(|| format!("{} buyers have everything, and the relay says {phase:?}", done.len()));
        }
        for number in done {
            self.buyers[number].check_placed(ctx);
        }
        for buyer in &self.buyers {
            let is_fine = match buyer.ended {
                Some(Ended::Refused(BuyerEnd::Refused(fault))) => is_fair(ctx, &self.relay, fault),
                Some(Ended::Refused(_)) => false,
                _ => true,
            };
            if !is_fine {
                ctx.fail(|| buyer.state());
            }
        }
    }

    fn tally(&mut self) -> Tally {
        let ctx = &mut self.ctx;
        ctx.counts.insert("happenings", self.happenings);
        ctx.count(match self.relay.phase() {
            Some(Phase::Receipted) => "worlds that end with a receipt",
            Some(Phase::Revoked) => "worlds that end revoked",
            Some(Phase::Expired) => "worlds that end expired",
            _ => "worlds that end before they began",
        });
        for buyer in &self.buyers {
            if buyer.ended == Some(Ended::Refused(BuyerEnd::Refused(Fault::AlreadyClaimed))) {
                ctx.count("buyers who came too late");
            }
        }
        let (vanished, changing) = ctx.model.exceptions();
        ctx.counts.insert("files listed as vanished", vanished);
        ctx.counts.insert("files listed as changing", changing);
        Tally(std::mem::take(&mut ctx.counts))
    }

    fn judge_seller(&mut self) {
        let ctx = &mut self.ctx;
        let is_fine = match self.seller.ended {
            // [S10.10]
            Some(Ending::Receipted) => self.seller.disk.read("receipt").is_some(),
            Some(Ending::Refused(refused)) => refused.known().is_some_and(|fault| is_fair(ctx, &self.relay, fault)),
            _ => false,
        };
        if !is_fine {
            let has_receipt = self.seller.disk.read("receipt").is_some();
            let ended = self.seller.ended;
            ctx.fail(|| format!("the seller ended with {ended:?}, receipt kept: {has_receipt}"));
        }
    }
}

/// Whether somebody may be refused for good with this fault in this world.
fn is_fair(ctx: &Ctx, relay: &Relay, fault: Fault) -> bool {
    match fault {
        Fault::AlreadyClaimed | Fault::Receipted => relay.claimant().is_some(),
        Fault::Revoked => ctx.faults.revoke_at_ms.is_some(),
        Fault::Expired => ctx.faults.expires_ms.is_some_and(|ms| ctx.now >= BEGIN_MS + ms),
        Fault::ClockRefused => ctx.faults.expires_ms.is_some_and(|ms| ctx.now >= BEGIN_MS + ms),
        _ => false,
    }
}
