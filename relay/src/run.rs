//! What each verb does.

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use handover_relay::ledger::rows::{Access, Backend, Read};
use handover_relay::ledger::{self, Sqlite, operations};
use handover_relay::{Relay, Running, home, invite};
use handover_shared::ids::{LinkKey, Millis};
use handover_shared::invite::Invite;
use handover_shared::keys::address::{DEFAULT_PORT, RelayAddress};
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::proof::{fingerprint_of_link_key, time};
use zeroize::Zeroizing;

use crate::audit;
use crate::cli::{self, AuditVerb, SellerVerb, TransfersVerb, Verb};
use crate::log;
use crate::options::{Options, data_folder, parse_advertise};
use crate::problem::{Exit, Problem};
use crate::transfers;
use crate::words::{Language, Word};

/// What the log tells if nothing is said.
const LOG: &str = "info";

/// Does what the command line says.
pub fn run(language: Language) -> Result<(), Problem> {
    let Some(cli) = cli::parse(language)? else { return Ok(()) };
    let language = cli.lang.as_deref().map_or(language, Language::of_tag);
    match cli.verb {
        Verb::Serve { config, options } => {
            let options = match config {
                Some(path) => options.or_file(&path)?,
                None => *options,
            };
            serve(&options, language)
        }
        Verb::Invite { data, list: true, .. } => list_invites(&data_folder(data)?),
        Verb::Invite { data, revoke: Some(number), .. } => revoke_invite(&data_folder(data)?, number),
        Verb::Invite { data, uses, advertise, .. } => make_invite(&data_folder(data)?, uses, advertise.as_deref()),
        Verb::Seller { data, verb: SellerVerb::List } => list_sellers(&data_folder(data)?),
        Verb::Seller { data, verb: SellerVerb::Revoke { key } } => revoke_seller(&data_folder(data)?, &key),
        Verb::Transfers { data, verb: TransfersVerb::List } => transfers::list(&data_folder(data)?),
        Verb::Transfers { data, verb: TransfersVerb::Show { id } } => transfers::show(&data_folder(data)?, &id),
        Verb::Transfers { data, verb: TransfersVerb::Purge { id, reason } } => {
            transfers::purge(&data_folder(data)?, &id, &reason)
        }
        Verb::Audit { verb: AuditVerb::Verify { export: Some(folder), .. }, .. } => audit::verify_export(&folder),
        Verb::Audit { data, verb: AuditVerb::Verify { head, .. } } => {
            audit::verify(&data_folder(data)?, head.as_deref())
        }
        Verb::Audit { data, verb: AuditVerb::Export { folder } } => audit::export(&data_folder(data)?, &folder),
        Verb::Version => print(handover_relay::VERSION),
    }
}

fn serve(options: &Options, language: Language) -> Result<(), Problem> {
    let config = options.config()?;
    let filter = options.log.as_deref().unwrap_or(LOG);
    log::start(options.log_format.unwrap_or_default(), filter)
        .map_err(|error| Problem::usage(format!("--log {filter}: {error}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| Problem::failed(&e))?;
    runtime.block_on(async {
        let data = config.data.clone();
        let ended = signals().map_err(|error| Problem::failed(&error))?;
        let running = Relay::start(config).await?;
        welcome(&running, &data, language);
        print(&running.first_invite.to_text())?;
        ended.await;
        running.shutdown().await;
        Ok(())
    })
}

/// What a person reads after the start.
fn welcome(running: &Running, data: &Path, language: Language) {
    let address = &running.first_invite.address;
    let port = running.address.port();
    let lines = [
        (Word::Address, format!("{address}  ({} {})", Word::ListeningOn.text(language), running.address)),
        (Word::Key, fingerprint_of_link_key(&running.key)),
        (Word::DataFolder, data.display().to_string()),
        (Word::OpenPort, format!("UDP {port}, TCP {port}  {}", Word::OpenPortWhere.text(language))),
        (Word::SellersType, "handover relay add INVITE".to_owned()),
    ];
    eprintln!("{} {}", handover_relay::VERSION, Word::Runs.text(language));
    for (word, text) in lines {
        eprintln!("  {:<14} {text}", word.text(language));
    }
    eprintln!("  {}", Word::InviteIsSecret.text(language));
}

/// Waits for the request to stop; a second one stops at once.
#[cfg(unix)]
fn signals() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            std::process::exit(130);
        });
    })
}

#[cfg(not(unix))]
fn signals() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "cannot wait for Ctrl-C");
        }
    })
}

fn make_invite(data: &Path, uses: Option<u64>, advertise: Option<&str>) -> Result<(), Problem> {
    let relay_key = home::existing_key(data)?.public();
    let known = home::advertised(data)?;
    let address = match (advertise.map(parse_advertise).transpose()?, known) {
        (Some(said), known) => RelayAddress {
            host: said.host.unwrap_or_default(),
            port: said.port.or(known.map(|known| known.port)).unwrap_or(DEFAULT_PORT),
        },
        (None, Some(known)) => known,
        (None, None) => return Err(Problem::usage("this relay never ran: name its address with --advertise")),
    };
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    let secret = Zeroizing::new(entropy.array());
    let digest = invite::digest_of(&secret);
    change(data, |rows, now| operations::invite(rows, now, digest, uses))?;
    print(&Invite { relay_key, secret, address }.to_text())
}

fn list_invites(data: &Path) -> Result<(), Problem> {
    for invite in look(data, |rows| rows.invites())? {
        let uses = invite.uses_left.map_or_else(|| "any".to_owned(), |uses| uses.to_string());
        let state = state(invite.revoked);
        print(&format!("{}\tuses-left {uses}\t{}\t{state}", invite.id, time::to_text(invite.created)))?;
    }
    Ok(())
}

fn revoke_invite(data: &Path, number: i64) -> Result<(), Problem> {
    match change(data, |rows, now| operations::revoke_invite(rows, now, number))? {
        Ok(time) => print(&format!("{number}\trevoked {}", time::to_text(time))),
        Err(_) => Err(Problem::not_found(format!("no invite has the number {number}"), Word::HintInviteList)),
    }
}

fn list_sellers(data: &Path) -> Result<(), Problem> {
    for seller in look(data, |rows| rows.sellers())? {
        print(&format!(
            "{}\tenrolled {}\tinvite {}\t{}",
            fingerprint_of_link_key(&seller.key),
            time::to_text(seller.enrolled),
            seller.invite,
            state(seller.revoked)
        ))?;
    }
    Ok(())
}

/// Takes a key as it is listed, or in hex.
fn revoke_seller(data: &Path, key: &str) -> Result<(), Problem> {
    let sellers = look(data, |rows| rows.sellers())?;
    let hex = LinkKey::from_hex(key);
    let found = sellers.iter().find(|seller| hex == Some(seller.key) || fingerprint_of_link_key(&seller.key) == key);
    let unknown = || Problem::not_found(format!("no seller has the key {key}"), Word::HintSellerList);
    let seller = found.ok_or_else(unknown)?.key;
    match change(data, |rows, now| operations::revoke_seller(rows, now, seller))? {
        Ok(time) => print(&format!("{}\trevoked {}", fingerprint_of_link_key(&seller), time::to_text(time))),
        Err(_) => Err(unknown()),
    }
}

fn state(revoked: Option<Millis>) -> String {
    revoked.map_or_else(|| "active".to_owned(), |time| format!("revoked {}", time::to_text(time)))
}

/// Changes the ledger beside a relay that may be running.
pub(crate) fn change<T>(
    data: &Path,
    operation: impl FnOnce(&mut dyn ledger::rows::Write, Millis) -> Result<T, ledger::LedgerError>,
) -> Result<T, Problem> {
    home::existing_key(data)?;
    let mut rows = Sqlite::open(&home::ledger_path(data))?;
    Ok(ledger::once(&mut rows, now(), operation)?)
}

/// The system's time.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Looks into the ledger beside a relay that may be running.
pub(crate) fn look<T>(
    data: &Path,
    operation: impl FnOnce(&dyn Read) -> Result<T, ledger::LedgerError>,
) -> Result<T, Problem> {
    home::existing_key(data)?;
    let mut rows = Sqlite::open(&home::ledger_path(data))?;
    rows.begin(Access::Read)?;
    let found = operation(&rows)?;
    rows.commit()?;
    Ok(found)
}

/// One line of the result, at once.
pub(crate) fn print(line: &str) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    written.map_err(|error| Problem {
        message: format!("cannot write the result: {error}"),
        hint: None,
        exit: Exit::Failed,
    })
}
