//! `handover push`.

use std::path::Path;

use handover_shared::invite::Invite;

use super::super::args::PushArgs;
use super::super::json;
use super::super::problem::{Exit, Problem};
use super::super::screen::Mode;
use super::super::show;
use super::super::style::{Style, Tone};
use super::super::units::size;
use super::super::values::{Level, RelayWord};
use super::super::{Context, Failure};
use crate::event::{Event, Observer};
use crate::home::transfers::Role;
use crate::private::escaped;
use crate::push::{self, Compression, Filters, PushOptions, Pushed, RelayChoice, Source};
use crate::t;

/// The name of what comes from standard input, unless another is given.
const STDIN_NAME: &str = "stdin";

pub(super) async fn push(args: PushArgs, context: &Context) -> Result<Exit, Failure> {
    let is_dry_run = args.dry_run;
    let options = PushOptions { bandwidth: context.report.bandwidth(), ..options(args, context.style())? };
    if is_dry_run {
        return dry_run(&options, context);
    }
    let home = context.home()?;
    // What is sealed at the end is signed then, when nobody may be there to be asked.
    home.unlock()?;
    let working = context.signals.working();
    let pushed = push::push(&home, options, context.report.clone(), context.stop.clone()).await;
    drop(working);
    finish(pushed.map_err(|error| Failure::Error(error, Some(Role::Seller)))?, "push", context)
}

/// Tells how a push or the resuming of one ended.
pub(super) fn finish(pushed: Pushed, command: &str, context: &Context) -> Result<Exit, Failure> {
    context.report.set_id(pushed.id);
    if let Some(receipt) = pushed.receipt {
        super::transfers::met(&context.home()?, &receipt, context)?;
        context.report.receipt_once(receipt);
    }
    let exit = if pushed.exceptions > 0 { Exit::Exceptions } else { Exit::Done };
    context.report.finish();
    context.report.object(
        json::done(command, exit.number())
            .with("id", pushed.id)
            .with("files", pushed.files)
            .with("bytes", pushed.bytes)
            .with("wire_bytes", pushed.wire_bytes)
            .with("exceptions", pushed.exceptions),
    );
    context.home()?.transfer(pushed.id)?.set_told()?;
    Ok(exit)
}

fn options(args: PushArgs, style: &Style) -> Result<PushOptions, Problem> {
    let words = &style.words;
    let usage = |message, hint| Problem::new("usage", Exit::Usage, message, hint);
    let is_stdin = |path: &Path| path == Path::new("-");
    let from_stdin = args.paths.iter().filter(|path| is_stdin(path)).count();
    if from_stdin > 1 {
        return Err(usage(t!(words, "usage-stdin-twice"), t!(words, "hint-help-command", command = "push")));
    }
    if args.name.is_some() && from_stdin == 0 {
        return Err(usage(t!(words, "usage-as"), t!(words, "hint-as")));
    }
    let name = args.name.unwrap_or_else(|| STDIN_NAME.to_owned());
    let sources = args.paths.into_iter().map(|path| match is_stdin(&path) {
        true => Source::Stdin { name: name.clone() },
        false => Source::Path(path),
    });
    let relay = match args.relay {
        None => RelayChoice::Default,
        Some(RelayWord::Embedded) => RelayChoice::Embedded,
        Some(RelayWord::Address(address)) => RelayChoice::Known(address),
        Some(RelayWord::Invite(text)) => match Invite::parse(&text) {
            Ok(invite) => RelayChoice::Invite(invite),
            Err(_checked) => return Err(usage(t!(words, "invite-wrong"), t!(words, "hint-invite-wrong"))),
        },
    };
    Ok(PushOptions {
        sources: sources.collect(),
        relay,
        expires_ms: args.expires,
        label: args.label,
        agreement: args.agreement,
        filters: Filters { include: args.include, exclude: args.exclude, exclude_from: args.exclude_from },
        follow: args.follow,
        compression: match args.level {
            None | Some(Level::Auto) => Compression::Auto,
            Some(Level::Fixed(level)) => Compression::Level(level),
        },
        fresh: args.new,
        wait: args.wait,
        expect_buyer: args.expect_buyer,
        ..PushOptions::default()
    })
}

fn dry_run(options: &PushOptions, context: &Context) -> Result<Exit, Failure> {
    let report = &context.report;
    let scan = tokio::task::block_in_place(|| push::scan(options, report.as_ref()))
        .map_err(|error| Failure::Error(error, Some(Role::Seller)))?;
    context.screen.clear();
    let exit = if scan.exceptions.is_empty() { Exit::Done } else { Exit::Exceptions };
    if context.screen.mode == Mode::Json {
        report.event(Event::Scanned(scan.scanned.clone()));
    } else {
        let style = context.style();
        let words = &style.words;
        let mut text = show::scanned(style, &scan.scanned);
        for (name, bytes, files) in &scan.scanned.biggest {
            let count = t!(words, "count-files", count = *files);
            let line = format!("{}  {}  {count}", escaped(name.reveal().as_bytes()), size(*bytes));
            text.push_str(&show::more(style, &style.tone(Tone::Dim, &line)));
        }
        text.push_str(&show::more(style, &t!(words, "count-hidden", count = scan.scanned.hidden)));
        text.push_str(&show::more(style, &t!(words, "count-executable", count = scan.scanned.executable)));
        context.screen.say(&text);
    }
    for (path, reason) in &scan.exceptions {
        report.event(Event::Exception { path: path.clone(), reason: *reason });
    }
    report.finish();
    context.screen.say(&format!("  {}\n", t!(context.style().words, "dry-run-end")));
    report.object(json::done("push", exit.number()).with("dry_run", true));
    Ok(exit)
}
