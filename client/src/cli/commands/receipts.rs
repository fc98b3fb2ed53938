//! `handover receipt show`, `verify`, `export`.

use std::path::{Path, PathBuf};

use handover_shared::proof::{Kind, ReceiptText};

use super::super::args::ReceiptCommand;
use super::super::json::{self, Json};
use super::super::problem::{Exit, shown_path};
use super::super::screen::Mode;
use super::super::show::{self, row};
use super::super::time::moment;
use super::super::{Context, Failure};
use crate::receipts::{self, PRINCIPAL};
use crate::t;

pub(super) fn run(command: ReceiptCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        ReceiptCommand::Show { id } => show_one(id, context),
        ReceiptCommand::Verify { file, signature, allowed_signers } => {
            verify(&file, signature.as_deref(), allowed_signers.as_deref(), context)
        }
        ReceiptCommand::Export { id, folder } => export(id, &folder, context),
    }
}

fn show_one(id: u64, context: &Context) -> Result<Exit, Failure> {
    let receipt = receipts::read(&context.home()?, id)?;
    if context.screen.mode == Mode::Json {
        context.report.object(json::receipt(&receipt.facts).with("text", receipt.text.clone()));
        context.report.object(json::done("receipt", Exit::Done.number()).with("id", id));
        return Ok(Exit::Done);
    }
    super::print(&receipt.text, context)?;
    context.screen.say("\n");
    context.screen.say(&show::receipt_kept(context.style(), &receipt.facts));
    Ok(Exit::Done)
}

/// Checks a file from anyone, or the receipt of a transfer of this machine by its number.
fn verify(file: &Path, signature: Option<&Path>, signers: Option<&Path>, context: &Context) -> Result<Exit, Failure> {
    let id = file.to_str().and_then(|text| text.parse::<u64>().ok()).filter(|_| !file.exists());
    let (statement, signer) = match id {
        None => {
            let verified = receipts::verify_file(file, signature, signers)?;
            (verified.statement, verified.fingerprint)
        }
        Some(id) => {
            let receipt = receipts::read(&context.home()?, id)?;
            (receipt.statement, receipt.facts.buyer_fingerprint)
        }
    };
    report(&statement, &signer, context)
}

fn report(text: &ReceiptText, signer: &str, context: &Context) -> Result<Exit, Failure> {
    let style = context.style();
    let words = &style.words;
    if context.screen.mode == Mode::Json {
        context.report.object(
            Json::event("verified")
                .with("transfer", text.transfer.to_hex())
                .with("root", text.root.to_hex())
                .with("files", text.files)
                .with("bytes", text.bytes)
                .with("buyer_key", signer)
                .with("seller_key", text.seller_key.to_string())
                .at("received", Some(text.received.millis())),
        );
        context.report.object(json::done("receipt", Exit::Done.number()));
        return Ok(Exit::Done);
    }
    let mut out = show::good(style, &t!(words, "receipt-valid"));
    let mut line = |label: String, value: String| out.push_str(&row(style, &label, &value));
    line(t!(words, "label-buyer"), signer.to_owned());
    line(t!(words, "label-seller"), text.seller_key.to_string());
    line(t!(words, "label-contents"), show::amount(style, text.files, Some(text.bytes)));
    line(t!(words, "label-received"), moment(style, text.received.millis()));
    line(t!(words, "label-number"), text.transfer.to_hex());
    line(t!(words, "label-root"), text.root.to_hex());
    super::print(&out, context)?;
    context.screen.say(&format!("  {}\n", t!(words, "receipt-valid-note")));
    Ok(Exit::Done)
}

fn export(id: u64, folder: &Path, context: &Context) -> Result<Exit, Failure> {
    let receipt = receipts::read(&context.home()?, id)?;
    let files: Vec<PathBuf> = receipts::export(&receipt, folder)?;
    let style = context.style();
    let words = &style.words;
    let mut text = show::good(style, &t!(words, "receipt-exported", folder = shown_path(folder)));
    for file in &files {
        text.push_str(&format!("    {}\n", shown_path(file)));
    }
    text.push_str(&format!("  {}\n", t!(words, "receipt-check-elsewhere")));
    text.push_str(&format!("    cd {}\n    {}\n", shown_path(folder), check_command()));
    context.screen.say(&text);
    let paths: Vec<serde_json::Value> = files.iter().map(|file| shown_path(file).into()).collect();
    context.report.object(json::done("receipt", Exit::Done.number()).with("id", id).with("written", paths));
    Ok(Exit::Done)
}

/// The line with which OpenSSH checks an exported receipt.
pub(in crate::cli) fn check_command() -> String {
    let namespace = Kind::Receipt.namespace();
    format!("ssh-keygen -Y verify -f allowed_signers -I {PRINCIPAL} -n {namespace} -s receipt.json.sig < receipt.json")
}
