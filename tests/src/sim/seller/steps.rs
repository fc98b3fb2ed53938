//! What the seller's shell does, step by step: effects of the machine, packing, the journal.

use handover_shared::ids::{BlockCount, BlockIndex};
use handover_shared::proof;
use handover_shared::protocol::message::Request;
use handover_shared::protocol::seller::Input;

use super::super::ctx::{Ctx, End, Happening, Lane, Party};
use super::super::disk::{DiskOp, replace};
use super::super::faults::Mutant;
use super::super::journal;
use super::super::packing::Packing;
use super::super::source::plan_of_bytes;
use super::{SellerShell, Step};

impl SellerShell {
    /// Goes on behind what is durable; what the journal says of later blocks is forgotten first. [S14.4]
    pub(super) fn resume(&mut self, ctx: &mut Ctx, block: BlockIndex) {
        let again = self.sent.saturating_sub(block.0);
        if again > self.window {
            ctx.fail(|| format!("[S14.4] {again} blocks are sent again, the window is {}", self.window));
        }
        let marks = journal::marks(self.disk.read("marks").unwrap_or_default());
        let durable = if ctx.is(Mutant::ResumeBehindMade) { journal::made(&marks) } else { BlockCount(block.0) };
        let (marks, from) = journal::resume(marks, self.disk.read("records").unwrap_or_default(), durable);
        let records_bytes = from.point.as_ref().map_or(0, |point| point.records_bytes);
        let lines = marks.iter().flat_map(journal::Mark::line).collect();
        let ops =
            [DiskOp::Append("records".into(), Vec::new()), DiskOp::Truncate("records".into(), records_bytes as usize)];
        self.main.extend(ops.into_iter().map(Step::Disk));
        if !ctx.is(Mutant::OldMarksKept) || marks.is_empty() {
            self.main.extend(replace("marks", lines).into_iter().map(Step::Disk));
        }
        self.main.push_back(Step::Pack(block));
    }

    pub(super) fn pack(&mut self, ctx: &mut Ctx, block: BlockIndex) {
        let marks = journal::marks(self.disk.read("marks").unwrap_or_default());
        if journal::total(&marks) == Some(BlockCount(block.0)) {
            return self.feed(ctx, Input::Last(BlockCount(block.0)));
        }
        let end = if ctx.is(Mutant::ResumeBehindMade) { journal::made(&marks) } else { BlockCount(block.0) };
        let (_, mut from) = journal::resume(marks, self.disk.read("records").unwrap_or_default(), end);
        from.durable = BlockCount(block.0);
        let plan = plan_of_bytes(self.disk.read("plan").unwrap_or_default());
        self.packing = Some(Packing::start(self.papers.packing_terms(ctx), plan, from));
        self.kick(ctx, Lane::Data);
    }

    pub(super) fn kick(&mut self, ctx: &mut Ctx, lane: Lane) {
        let has_work = match lane {
            Lane::Main => !self.main.is_empty(),
            Lane::Journal => !self.journaling.is_empty(),
            Lane::Data => self.packing.as_ref().is_some_and(|it| !it.is_over()) && self.has_room(),
        };
        let busy = &mut self.busy[lane as usize];
        if has_work && !*busy {
            *busy = true;
            let ms = ctx.step(Party::Seller);
            ctx.after(ms, Happening::Step { party: Party::Seller, epoch: self.epoch, lane });
        }
    }

    fn has_room(&self) -> bool {
        let waiting = self.journaling.iter().filter(|step| matches!(step, Step::Sealed(..))).count() as u64;
        self.machine.as_ref().is_some_and(|machine| machine.room() > waiting)
    }

    pub fn step(&mut self, ctx: &mut Ctx, lane: Lane) {
        self.busy[lane as usize] = false;
        let step = match lane {
            Lane::Main => self.main.pop_front(),
            Lane::Journal => self.journaling.pop_front(),
            Lane::Data => {
                self.pack_a_little(ctx);
                None
            }
        };
        if let Some(step) = step {
            self.take(ctx, step);
        }
        [Lane::Main, Lane::Journal, Lane::Data].into_iter().for_each(|lane| self.kick(ctx, lane));
    }

    fn take(&mut self, ctx: &mut Ctx, step: Step) {
        match step {
            Step::Disk(op) => self.disk.apply(&op),
            Step::Put(conn, stream, packet) => ctx.send(conn, stream, End::Relay, packet),
            Step::Ask(conn, stream, op, request) => {
                if let Request::Create(create) = &*request {
                    let outcome = ctx.model.announces(create.transfer, *create.share);
                    ctx.check(outcome);
                }
                self.link.put(ctx, conn, stream, op, &request);
            }
            Step::Begin => self.begin(ctx),
            Step::Show => self.show(ctx),
            Step::Feed(input) => self.feed(ctx, input),
            Step::FeedOver(conn, input) => {
                if self.link.conn == Some(conn) {
                    self.feed(ctx, input);
                }
            }
            Step::Pack(block) => self.pack(ctx, block),
            Step::Sealed(index, block) => {
                self.kept.insert(index.0, block);
                if self.kept.len() as u64 > self.window {
                    ctx.fail(|| format!("{} blocks are under way, the window is {}", self.kept.len(), self.window));
                }
                self.feed(ctx, Input::Sealed(index));
            }
        }
    }

    /// Packs a little, or takes what was made through the journal. [S14.2]
    fn pack_a_little(&mut self, ctx: &mut Ctx) {
        let Some(packing) = &mut self.packing else { return };
        let Some(made) = packing.next() else {
            packing.step(&ctx.source, &mut ctx.rng, ctx.now);
            if !ctx.faults_over && ctx.rng.percent(ctx.faults.meddle_percent) {
                ctx.disturb();
            }
            return;
        };
        let mut disk =
            vec![DiskOp::Append("records".into(), made.records), DiskOp::Sync("records".into()), DiskOp::SyncNames];
        if let Some(seal) = made.seal {
            let id = proof::text_id(&seal.text);
            ctx.model.seals(id, seal.listed);
            let keep = replace("seal", seal.text.into_bytes());
            let count = if ctx.is(Mutant::SealNotKept) { 1 } else { keep.len() };
            disk.extend(keep.into_iter().take(count));
        }
        disk.extend([DiskOp::Append("marks".into(), made.mark.line()), DiskOp::Sync("marks".into())]);
        let mut steps: Vec<Step> = disk.into_iter().map(Step::Disk).collect();
        let sealed = Step::Sealed(made.index, made.sealed);
        let at = if ctx.is(Mutant::SendBeforeJournal) { 0 } else { steps.len() };
        steps.insert(at, sealed);
        if let Some(total) = packing.total_if_taken() {
            steps.push(Step::Feed(Input::Last(total)));
        }
        self.journaling.extend(steps);
    }
}
