//! `handover record`: makes the handover record of a transfer, and checks one from anybody.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use handover_shared::ids::Millis;

use super::super::args::{RecordArgs, RecordCommand};
use super::super::json::{self, Json};
use super::super::problem::{Exit, shown_path};
use super::super::screen::{End, Mode};
use super::super::show::{self, row};
use super::super::style::Tone;
use super::super::{Context, Failure, time};
use crate::error::Error;
use crate::home::{private_options, write_private};
use crate::record::{self, Check, Evidence, Model, Pins, Verdict};
use crate::t;

pub(super) fn run(args: RecordArgs, context: &Context) -> Result<Exit, Failure> {
    match (args.command, args.id) {
        (Some(RecordCommand::Verify { file, seller, buyer }), _) => verify(&file, &Pins { seller, buyer }, context),
        (None, Some(id)) => make(id, args.out.as_deref(), args.annex.as_deref(), context),
        // The command line asks for one of them.
        (None, None) => Err(Error::NoSuchTransfer { asked: String::new() }.into()),
    }
}

fn make(id: u64, out: Option<&Path>, annex: Option<&Path>, context: &Context) -> Result<Exit, Failure> {
    let style = context.style();
    let words = &style.words;
    let home = context.home()?;
    let now = time::now();
    let evidence = record::gather(&home, id, now, offset_minutes(context, now))?;
    let model = Model::of(&evidence);
    let is_json = context.screen.mode == Mode::Json;
    let beside = PathBuf::from(format!("handover-record-{id}.html"));
    // A page is of no use on a terminal.
    let out = out.or_else(|| (!is_json && context.screen.stdout == End::Terminal).then_some(beside.as_path()));
    let text = match is_json {
        true => format!("{:#}\n", record::document(&evidence)),
        false => record::page(&evidence, words.language()),
    };
    match out {
        Some(path) => {
            write(path, &text, &evidence)?;
            context.screen.say(&show::good(style, &t!(words, "record-written", path = shown_path(path))));
        }
        None if is_json => {
            context.report.object(Json::event("record").with("id", id).with("record", record::document(&evidence)));
        }
        None => {
            super::print(&text, context)?;
        }
    }
    if let Some(path) = annex {
        let count = write_annex(&home, id, path)?;
        context
            .screen
            .say(&show::good(style, &t!(words, "record-annex-written", path = shown_path(path), count = count)));
    }
    context.screen.say(&verdict(&model, context));
    let exit = exit_of(&model);
    context.report.object(json::done("record", exit.number()).with("id", id));
    Ok(exit)
}

fn exit_of(model: &Model) -> Exit {
    if model.verdict == Verdict::Faulty { Exit::Altered } else { Exit::Done }
}

/// How far this machine's clock is ahead of UTC just now.
fn offset_minutes(context: &Context, now: Millis) -> i32 {
    let stamp = i64::try_from(now.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    stamp.map_or(0, |stamp| context.style().zone.to_offset(stamp).seconds() / 60)
}

/// Writes a record. An earlier record of the same transfer is replaced; anything else that is there stays.
fn write(path: &Path, text: &str, evidence: &Evidence) -> Result<(), Failure> {
    let writing = |source| Error::disk("writing the record", path, source);
    let path = &std::path::absolute(path).map_err(writing)?;
    match private_options().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(writing)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !is_earlier(path, evidence).map_err(writing)? {
                return Err(writing(error).into());
            }
            write_private(path, text.as_bytes())?;
        }
        Err(error) => return Err(writing(error).into()),
    }
    Ok(())
}

/// Whether a file is an earlier record of the transfer, page or document.
fn is_earlier(path: &Path, evidence: &Evidence) -> io::Result<bool> {
    let mut bytes = Vec::new();
    File::open(path)?.take(record::RECORD_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let is_record = text.contains("<meta name=\"handover-record\"") || text.contains("\"handover_record\"");
    Ok(is_record && text.contains(&evidence.transfer))
}

fn write_annex(home: &crate::home::Home, id: u64, path: &Path) -> Result<u64, Failure> {
    let writing = |source| Error::disk("writing the full list", path, source);
    let file = private_options().write(true).create_new(true).open(path).map_err(writing)?;
    let mut out = BufWriter::new(file);
    let count = record::full_list(home, id, &mut out, path)?;
    out.into_inner().map_err(|error| writing(error.into_error()))?.sync_all().map_err(writing)?;
    Ok(count)
}

fn verify(file: &Path, pins: &Pins, context: &Context) -> Result<Exit, Failure> {
    let verified = record::verify(file, pins)?;
    let model = &verified.model;
    let exit = exit_of(model);
    if context.screen.mode == Mode::Json {
        let key = |role| model.parties.iter().find(|party| party.role == role).and_then(|party| party.key.clone());
        context.report.object(
            Json::event("verified")
                .with("transfer", model.transfer.clone())
                .with("verdict", record::verdict_word(model.verdict))
                .with("seller_key", key(record::model::Role::Seller))
                .with("buyer_key", key(record::model::Role::Buyer)),
        );
        context.report.object(json::done("record", exit.number()));
        return Ok(exit);
    }
    super::print(&findings(model, context), context)?;
    Ok(exit)
}

fn verdict(model: &Model, context: &Context) -> String {
    let style = context.style();
    let (tone, sign, word, means) = record::verdict_words(model.verdict, &style.words);
    let tone = match tone {
        "good" => Tone::Good,
        "bad" => Tone::Bad,
        _ => Tone::Notable,
    };
    format!("  {} {word}\n    {means}\n", style.tone(tone, sign))
}

/// What a record proves and what it does not, in words.
fn findings(model: &Model, context: &Context) -> String {
    let style = context.style();
    let words = &style.words;
    let mut text = show::good(style, &t!(words, "record-unaltered"));
    text.push_str(&verdict(model, context));
    text.push('\n');
    text.push_str(&row(style, &t!(words, "label-number"), &model.transfer));
    for party in &model.parties {
        let names = [party.organisation.as_deref(), party.name.as_deref()];
        let names: Vec<&str> = names.into_iter().flatten().collect();
        let label = record::role_word(party.role, words);
        text.push_str(&row(style, &label, &names.join(" · ")));
        if let Some(key) = &party.key {
            text.push_str(&show::more(style, key));
        }
    }
    for (title, findings) in
        [(t!(words, "record-proven"), &model.proven), (t!(words, "record-not-proven"), &model.open)]
    {
        text.push_str(&format!("\n  {title}\n"));
        for finding in findings {
            text.push_str(&format!("    • {}\n", record::finding_words(*finding, words)));
        }
    }
    let faults = model.statements.iter().filter_map(|statement| match statement.check {
        Check::NotValid(why) => Some((statement.word, why)),
        _ => None,
    });
    for (word, why) in faults {
        let line = record::fault_words(word, why, words);
        text.push_str(&format!("  {} {line}\n", style.tone(Tone::Bad, "✘")));
    }
    text
}
