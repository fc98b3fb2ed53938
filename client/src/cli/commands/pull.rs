//! `handover pull`.

use std::path::{Path, PathBuf};

use handover_shared::ids::Millis;

use super::super::args::{ConflictWord, PullArgs};
use super::super::ask::{Answer, DECLINED};
use super::super::json::{self, Json};
use super::super::problem::{Exit, shown_path};
use super::super::show::{self, Delivered, Destination, OfferView, TakenView};
use super::super::units::size;
use super::super::values::RelayWord;
use super::super::{Context, Failure, code_input, keys};
use super::gate::{self, Passed};
use crate::error::Error;
use crate::home::parties::Acquaintance;
use crate::home::transfers::Role;
use crate::private::escaped;
use crate::pull::{self, ConflictPolicy, Look, LookOptions, TakeOptions, Taken};
use crate::t;

pub(super) async fn pull(args: PullArgs, context: &Context) -> Result<Exit, Failure> {
    let ticket = code_input::ticket(&args, &context.variables, &context.asker)?;
    let home = context.home()?;
    let to_stdout = args.out.as_deref() == Some(Path::new("-"));
    let options = LookOptions {
        ticket,
        relay: match args.relay.clone() {
            Some(RelayWord::Address(address)) => Some(address),
            // An invite is a seller's; its address is good for a buyer too. The relay in a push is no place to look.
            Some(RelayWord::Invite(text)) => super::relays::address_of_invite(&text),
            Some(RelayWord::Embedded) | None => None,
        },
        out: args.out.clone().filter(|_| !to_stdout),
        to_stdout,
    };
    let working = context.signals.working();
    let look = pull::look(&home, options, context.report.clone(), context.stop.clone()).await;
    drop(working);
    let look = look.map_err(buyers)?;
    if let Some(id) = look.id() {
        context.report.set_id(id);
    }
    if let Some(expected) = &args.expect_seller {
        look.expect_seller(expected)?;
    }
    show_offer(&look, to_stdout, context);
    if args.list {
        context.report.object(json::done("pull", Exit::Done.number()).with("listed", true));
        return Ok(Exit::Done);
    }
    let look = match Box::pin(gate::pass(look, &args, context)).await? {
        Passed::Agreed(look) => *look,
        Passed::NotNow => return Ok(declined(context)),
        Passed::Refused(refusal) => {
            context.report.set_id(refusal.id);
            context.screen.say(&gate::told(&refusal, context));
            context.report.object(json::refused(&refusal));
            context
                .report
                .object(json::done("pull", Exit::Done.number()).with("id", refusal.id).with("declined", true));
            return Ok(Exit::Done);
        }
    };
    // Whoever signs wants it.
    let is_signed = look.offer().document().is_some();
    if let Answer::No = consent(&look, args.yes || is_signed, context)? {
        return Ok(declined(context));
    }
    // The receipt is signed at the end, when nobody may be there to be asked.
    home.unlock()?;
    let options = TakeOptions { conflict: policy(args.conflict), bandwidth: context.report.bandwidth() };
    let working = context.signals.working();
    let taking = look.take(options, context.asker.clone(), context.report.clone(), context.stop.clone());
    let taken = Box::pin(taking).await;
    drop(working);
    finish(taken.map_err(buyers)?, to_stdout, "pull", context)
}

/// Nothing was signed and nothing taken.
fn declined(context: &Context) -> Exit {
    context.screen.say(&format!("  {}\n", t!(context.style().words, "problem-declined")));
    context.report.object(json::done("pull", DECLINED.number()).with("declined", true));
    DECLINED
}

pub(super) fn buyers(error: Error) -> Failure {
    Failure::Error(error, Some(Role::Buyer))
}

/// Asks once; what goes on with an earlier run has been answered.
fn consent(look: &Look, yes: bool, context: &Context) -> Result<Answer, Failure> {
    if look.is_continued() {
        return Ok(Answer::Yes);
    }
    let answer = if yes { Answer::Yes } else { context.asker.take()? };
    if answer == Answer::Yes {
        let offer = look.offer();
        context.report.object(
            Json::event("agreed")
                .with("offer", offer.text_id.to_hex())
                .with("seller_key", offer.seller.fingerprint())
                .with("agreement", offer.document().map(|(_, digest)| digest.to_hex()))
                .with("name", look.signing_as().map(|name| escaped(name.as_bytes()))),
        );
    }
    Ok(answer)
}

/// Tells how a pull or the resuming of one ended.
pub(super) fn finish(taken: Taken, to_stdout: bool, command: &str, context: &Context) -> Result<Exit, Failure> {
    context.report.set_id(taken.id);
    context.report.rest();
    let exit = if taken.exceptions > 0 { Exit::Exceptions } else { Exit::Done };
    let destination = destination(&taken.destination, to_stdout);
    let view = TakenView {
        id: taken.id,
        files: taken.files,
        bytes: taken.bytes,
        unchanged: taken.unchanged,
        kept_existing: taken.kept_existing,
        renamed: taken.renamed,
        exceptions: taken.exceptions,
        receipt_short: &taken.receipt_short,
        delivered: if taken.delivered { Delivered::Yes } else { Delivered::NotYet },
        destination,
    };
    context.screen.say(&show::taken(context.style(), &view));
    context.report.finish();
    let folder = (!to_stdout).then(|| shown_path(&taken.destination));
    context.report.object(
        Json::event("verified")
            .with("id", taken.id)
            .with("files", taken.files)
            .with("bytes", taken.bytes)
            .with("unchanged", taken.unchanged)
            .with("kept_existing", taken.kept_existing)
            .with("renamed", taken.renamed)
            .with("destination", folder),
    );
    context.report.object(
        json::done(command, exit.number())
            .with("id", taken.id)
            .with("files", taken.files)
            .with("bytes", taken.bytes)
            .with("exceptions", taken.exceptions)
            .with("receipt", taken.receipt_short.clone())
            .with("delivered", taken.delivered),
    );
    Ok(exit)
}

fn destination(path: &Path, to_stdout: bool) -> Destination<'_> {
    if to_stdout { Destination::Stdout } else { Destination::Folder(path) }
}

fn policy(word: Option<ConflictWord>) -> ConflictPolicy {
    match word {
        None | Some(ConflictWord::Ask) => ConflictPolicy::Ask,
        Some(ConflictWord::Skip) => ConflictPolicy::Skip,
        Some(ConflictWord::Rename) => ConflictPolicy::Rename,
        Some(ConflictWord::Overwrite) => ConflictPolicy::Overwrite,
        Some(ConflictWord::Fail) => ConflictPolicy::Fail,
    }
}

fn show_offer(look: &Look, to_stdout: bool, context: &Context) {
    let offer = look.offer();
    let summary = &offer.summary;
    let fingerprint = offer.seller.fingerprint();
    let path: PathBuf = look.destination().to_path_buf();
    let view = OfferView {
        seller_name: &summary.seller_name,
        organisation: summary.organisation.as_deref(),
        fingerprint: &fingerprint,
        known: look.acquaintance(),
        sealed: offer.text.created.millis(),
        expires: offer.text.expires.millis(),
        label: &summary.label,
        files: summary.files,
        folders: summary.folders,
        links: summary.links,
        bytes: summary.bytes,
        hidden: summary.hidden,
        executable: summary.executable,
        biggest: summary.biggest.iter().map(|big| (big.name.as_str(), big.bytes, big.files)).collect(),
        agreement: offer.document().map(|(terms, digest)| (terms.name.as_str(), terms.bytes, digest.to_hex())),
        destination: destination(&path, to_stdout),
        needed_bytes: look.needed_bytes(),
        free_bytes: look.free_bytes(),
    };
    context.report.rest();
    context.report.expect(view.files, view.bytes);
    context.screen.say(&show::offer(context.style(), &view));
    let words = &context.style().words;
    match (look.is_continued(), look.complete()) {
        (true, false) => {
            let left = t!(words, "pull-continues", size = size(look.needed_bytes()));
            context.screen.say(&show::row(context.style(), &t!(words, "label-continuing"), &left));
        }
        (false, false) => context.screen.say(&show::more(context.style(), &t!(words, "offer-incoming"))),
        (_, true) => {}
    }
    context.report.object(offer_object(&view));
    context.report.object(keys::party("seller", view.fingerprint, view.known));
}

fn known_since(known: &Acquaintance) -> Option<Millis> {
    match known {
        Acquaintance::Known { since, .. } => Some(*since),
        Acquaintance::New | Acquaintance::OtherKey { .. } => None,
    }
}

fn offer_object(offer: &OfferView<'_>) -> Json {
    let safe = |text: &str| escaped(text.as_bytes());
    let biggest: Vec<serde_json::Value> =
        offer.biggest.iter().map(|(name, bytes, files)| json::big(name, *bytes, *files)).collect();
    let path = match offer.destination {
        Destination::Folder(path) => Some(shown_path(path)),
        Destination::Stdout => None,
    };
    Json::event("scanned")
        .with("files", offer.files)
        .with("folders", offer.folders)
        .with("links", offer.links)
        .with("bytes", offer.bytes)
        .with("hidden", offer.hidden)
        .with("executable", offer.executable)
        .with("biggest", biggest)
        .with("seller_name", safe(offer.seller_name))
        .with("organisation", offer.organisation.map(safe))
        .with("seller_key", offer.fingerprint)
        .at("known_since", known_since(offer.known))
        .with("label", safe(offer.label))
        .at("sealed", Some(offer.sealed))
        .at("expires", Some(offer.expires))
        .with("agreement", offer.agreement.as_ref().map(|(_, _, digest)| digest.clone()))
        .with("agreement_name", offer.agreement.as_ref().map(|(name, ..)| safe(name)))
        .with("destination", path)
        .with("needed_bytes", offer.needed_bytes)
        .with("free_bytes", offer.free_bytes)
}
