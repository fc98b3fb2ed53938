//! `handover verify`.

use std::sync::Arc;

use super::super::args::VerifyArgs;
use super::super::json::{self, Json};
use super::super::problem::{Exit, shown_path};
use super::super::screen::Mode;
use super::super::style::Tone;
use super::super::verdicts;
use super::super::{Context, Failure};
use crate::event::Observer;
use crate::home::transfers::Role;
use crate::private::escaped;
use crate::t;
use crate::verify::{self, Difference, Kind, Verification, VerifyOptions};

/// Differences that are shown unless all are wanted.
const SHOWN_MAX: usize = 20;

pub(super) async fn run(args: VerifyArgs, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let number = args.folder.to_str().and_then(|text| text.parse::<u64>().ok()).filter(|_| !args.folder.exists());
    let options = match (number, args.id) {
        (Some(id), None) => VerifyOptions { folder: None, id: Some(id) },
        (_, id) => VerifyOptions { folder: Some(args.folder), id },
    };
    let observer: Arc<dyn Observer> = context.report.clone();
    let mut shown = Shown { context, all: args.all, first: Vec::new(), left: 0 };
    let working = context.signals.working();
    let checking = || verify::verify(&home, &options, &observer, &context.stop, &mut |one| shown.take(one));
    let found = tokio::task::block_in_place(checking);
    drop(working);
    let found = found?;
    context.report.rest();
    report(&found, &shown, context)
}

/// What is shown of the differences: the first of them, or all as they come.
struct Shown<'a> {
    context: &'a Context,
    all: bool,
    first: Vec<Difference>,
    left: u64,
}

impl Shown<'_> {
    fn take(&mut self, difference: &Difference) {
        // Times differ whenever something was copied; they are named to whoever wants everything.
        if difference.kind == Kind::OtherTime && !self.all {
            return;
        }
        match (self.context.screen.mode, self.all) {
            (Mode::Json, _) if self.all || self.first.len() < SHOWN_MAX => {
                self.context.report.object(object(difference));
                self.first.push(difference.clone());
                self.first.truncate(SHOWN_MAX);
            }
            (Mode::People | Mode::Quiet, true) => {
                let line = verdicts::difference(self.context.style(), difference);
                self.context.screen.aside(|| {
                    // A pipe that was closed is found when the verdict is written.
                    if super::print(&line, self.context).is_err() {
                        tracing::debug!("standard output is closed");
                    }
                });
            }
            _ if self.first.len() < SHOWN_MAX => self.first.push(difference.clone()),
            _ => self.left += 1,
        }
    }
}

/// One difference, for programs.
pub(in crate::cli) fn object(difference: &Difference) -> Json {
    Json::event("difference")
        .with("kind", verdicts::kind_word(difference.kind))
        .with("path", escaped(difference.path.reveal()))
}

fn report(found: &Verification, shown: &Shown<'_>, context: &Context) -> Result<Exit, Failure> {
    let exit = if found.matches() { Exit::Done } else { Exit::Altered };
    if context.screen.mode == Mode::Json {
        context.report.object(verification(found, shown.left));
        context.report.object(json::done("verify", exit.number()).with("id", found.id));
        return Ok(exit);
    }
    let style = context.style();
    let mut text = verdicts::head(style, found);
    text.push_str(&verdicts::lines(style, found));
    if !shown.first.is_empty() {
        text.push_str(&format!("\n  {}\n", t!(style.words, "differences-head")));
        for difference in &shown.first {
            text.push_str(&verdicts::difference(style, difference));
        }
        if shown.left > 0 {
            let more = t!(style.words, "differences-more", count = shown.left);
            text.push_str(&format!("    {}\n", style.tone(Tone::Dim, &more)));
        }
        text.push('\n');
    }
    text.push_str(&verdicts::end(style, found));
    super::print(&text, context)?;
    Ok(exit)
}

/// What was found, for programs.
pub(in crate::cli) fn verification(found: &Verification, untold: u64) -> Json {
    let tally = &found.tally;
    let verdict = |verdict| verdicts::verdict_word(verdict);
    Json::event("verification")
        .with("id", found.id)
        .with("transfer", found.transfer.to_hex())
        .with("role", if found.role == Role::Seller { "seller" } else { "buyer" })
        .with("folder", shown_path(&found.folder))
        .with("matches", found.matches())
        .with("authenticity", verdict(found.authenticity()))
        .with("completeness", verdict(found.completeness()))
        .with("usability", verdict(found.usability()))
        .with("safety", verdict(found.safety()))
        .with("root", found.root.to_hex())
        .with("root_fits", found.root_fits)
        .with("manifest_fits", found.manifest_fits)
        .with("bad_papers", found.bad_papers.clone())
        .with("seller_key", found.seller.clone())
        .with("buyer_key", found.buyer.clone())
        .with("files", tally.files)
        .with("folders", tally.folders)
        .with("links", tally.links)
        .with("bytes", tally.bytes)
        .with("missing", tally.missing)
        .with("changed", tally.changed)
        .with("shortened", tally.shortened)
        .with("unreadable", tally.unreadable)
        .with("added", tally.added)
        .with("other_kind", tally.other_kind)
        .with("other_mode", tally.other_mode)
        .with("other_time", tally.other_time)
        .with("exposed", tally.exposed)
        .with("exposed_as_sent", tally.exposed_as_sent)
        .with("privileged", tally.privileged)
        .with("leads_out", tally.leads_out)
        .with("beside", tally.beside)
        .with("left_out", tally.left_out)
        .with("listed", tally.listed)
        .with("own_remains", found.own_remains)
        .with("other_remains", found.other_remains)
        .with("untold", untold)
}
