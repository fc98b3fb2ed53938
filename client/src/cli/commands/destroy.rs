//! `handover destroy`, `destroy verify`, `witness`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use handover_shared::proof::Kind;
use handover_shared::proof::destruction::{Outcome, Saw};

use super::super::args::{DestroyArgs, DestroyCommand};
use super::super::ask::{Answer, DECLINED};
use super::super::certificates;
use super::super::json;
use super::super::problem::{Exit, Problem, shown_path};
use super::super::screen::Mode;
use super::super::{Context, Failure, show};
use crate::destroy::{self, Certificate, Sources, Survey};
use crate::event::Observer;
use crate::home::Home;
use crate::t;

pub(super) async fn run(args: DestroyArgs, context: &Context) -> Result<Exit, Failure> {
    if let Some(DestroyCommand::Verify { file }) = &args.command {
        let certificate = destroy::verify_file(file)?;
        report(&certificate, context)?;
        let words = &context.style().words;
        context.screen.say(&show::good(context.style(), &t!(words, "certificate-valid")));
        return Ok(done("destroy", Exit::Done, context));
    }
    let Some(id) = args.id else {
        let words = &context.style().words;
        let message = t!(words, "usage-missing", argument = "ID");
        return Err(Problem::new("usage", Exit::Usage, message, t!(words, "hint-help")).into());
    };
    let home = context.home()?;
    context.report.set_id(id);
    let sources = if args.source { Sources::Destroyed } else { Sources::Kept };
    let kept = destroy::read(&home, id)?;
    let observer: Arc<dyn Observer> = context.report.clone();
    let working = context.signals.working();
    let survey = tokio::task::block_in_place(|| destroy::survey(&home, id, sources, &observer, &context.stop));
    drop(working);
    let survey = match (survey, kept) {
        // It has been done before, the plan with it, and there is a certificate of it.
        (Err(crate::error::Error::NoPlan { .. }), Some(kept)) if kept.statement().source_files > 0 => {
            return again(&kept, args.certificate.as_deref(), context);
        }
        (Ok(survey), Some(kept)) if survey.is_empty() && kept.statement().verdict == Outcome::Pass => {
            return again(&kept, args.certificate.as_deref(), context);
        }
        (survey, _) => survey?,
    };
    context.report.rest();
    tell(&survey, context);
    if let Answer::No = consent(&survey, &args, context)? {
        context.screen.say(&format!("  {}\n", t!(context.style().words, "destroy-declined")));
        context.report.object(json::done("destroy", DECLINED.number()).with("id", id).with("declined", true));
        return Ok(DECLINED);
    }
    act(&home, survey, &args, context)
}

fn act(home: &Home, survey: Survey, args: &DestroyArgs, context: &Context) -> Result<Exit, Failure> {
    // The certificate is signed at the end: what that needs is asked for before anything is gone.
    home.unlock()?;
    let id = survey.id();
    let observer: Arc<dyn Observer> = context.report.clone();
    let working = context.signals.working();
    let certificate = tokio::task::block_in_place(|| survey.destroy(args.reason.as_deref(), &observer, &context.stop));
    drop(working);
    let certificate = certificate?;
    context.report.rest();
    report(&certificate, context)?;
    let exit = exit(&certificate);
    write(&certificate, args.certificate.as_deref(), context)?;
    if args.certificate.is_none() {
        let words = &context.style().words;
        let next = [(format!("handover destroy {id} --certificate DIR"), t!(words, "next-certificate"))];
        context.screen.say(&show::next(context.style(), &next));
    }
    context.report.object(json::done("destroy", exit.number()).with("id", id));
    Ok(exit)
}

/// What a certificate of an earlier run says.
fn again(kept: &Certificate, folder: Option<&Path>, context: &Context) -> Result<Exit, Failure> {
    context.report.rest();
    context.screen.say(&format!("  {}\n", t!(context.style().words, "destroy-nothing-left")));
    report(kept, context)?;
    write(kept, folder, context)?;
    Ok(done("destroy", exit(kept), context))
}

fn exit(certificate: &Certificate) -> Exit {
    match certificate.statement().verdict {
        Outcome::Pass => Exit::Done,
        Outcome::Unknown => Exit::Exceptions,
        Outcome::Failed => Exit::Failed,
    }
}

fn done(command: &str, exit: Exit, context: &Context) -> Exit {
    context.report.object(json::done(command, exit.number()));
    exit
}

fn tell(survey: &Survey, context: &Context) {
    context.screen.say(&certificates::list(context.style(), survey));
    for item in &survey.items {
        context.report.object(certificates::item_object(item));
    }
}

/// Asks once; sent files go only if it is typed out.
fn consent(survey: &Survey, args: &DestroyArgs, context: &Context) -> Result<Answer, Failure> {
    let words = &context.style().words;
    let total = certificates::total(context.style(), survey);
    if !survey.with_source() {
        return match args.yes {
            true => Ok(Answer::Yes),
            false => Ok(context.asker.undoable(&t!(words, "ask-destroy", total = total))?),
        };
    }
    let id = survey.id();
    let phrases = [format!("destroy source {id}"), format!("销毁原件 {id}")];
    match &args.confirm {
        Some(typed) if phrases.contains(typed) => Ok(Answer::Yes),
        Some(_) => {
            let message = t!(words, "destroy-confirm-wrong");
            let hint = t!(words, "hint-destroy-confirm", id = id.to_string());
            Err(Problem::new("confirm", Exit::Usage, message, hint).into())
        }
        None => {
            let question = t!(words, "ask-destroy-source", total = total, id = id.to_string());
            Ok(context.asker.typed(&question, &phrases)?)
        }
    }
}

/// The certificate to standard output.
fn report(certificate: &Certificate, context: &Context) -> Result<(), Failure> {
    if context.screen.mode == Mode::Json {
        context.report.object(certificates::object(certificate));
        return Ok(());
    }
    super::print(&certificates::page(context.style(), certificate), context)?;
    Ok(())
}

/// Everything that is needed to check it elsewhere, and a page to print.
fn write(certificate: &Certificate, folder: Option<&Path>, context: &Context) -> Result<(), Failure> {
    let Some(folder) = folder else { return Ok(()) };
    let page = certificates::page(&context.style().unpainted(), certificate);
    let name = format!("certificate.{}.txt", context.style().words.language().tag());
    let files = destroy::export(certificate, folder, (&name, &page))?;
    told_files(&files, folder, context);
    Ok(())
}

fn told_files(files: &[PathBuf], folder: &Path, context: &Context) {
    let style = context.style();
    let words = &style.words;
    let mut text = show::good(style, &t!(words, "certificate-exported", folder = shown_path(folder)));
    for file in files {
        text.push_str(&format!("    {}\n", shown_path(file)));
    }
    text.push_str(&format!("  {}\n", t!(words, "receipt-check-elsewhere")));
    text.push_str(&format!("    cd {}\n    {}\n", shown_path(folder), check_command()));
    context.screen.say(&text);
}

/// The line with which OpenSSH checks an exported certificate.
fn check_command() -> String {
    let (namespace, principal) = (Kind::Destruction.namespace(), destroy::DESTROYER);
    format!(
        "ssh-keygen -Y verify -f allowed_signers -I {principal} -n {namespace} -s destruction.json.sig < destruction.json"
    )
}

pub(super) fn witness(file: &Path, present: bool, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    home.unlock()?;
    let saw = if present { Saw::Destruction } else { Saw::Certificate };
    let (certificate, files) = destroy::witness(&home, file, saw)?;
    report(&certificate, context)?;
    let words = &context.style().words;
    let mut text = show::good(context.style(), &t!(words, "witness-signed"));
    files.iter().for_each(|file| text.push_str(&format!("    {}\n", shown_path(file))));
    context.screen.say(&text);
    Ok(done("witness", Exit::Done, context))
}
