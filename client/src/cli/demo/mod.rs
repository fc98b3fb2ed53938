//! `handover demo`: a seller, a relay and a buyer as three processes on this machine, with made-up customer data, over
//! the real network stack. Shows what each of them sees, compares what came out with what went in, and cleans up.

mod compare;
mod data;
mod image;
mod party;
mod random;

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use handover_relay::{Advertise, Config, Limits, Relay};
use handover_shared::proof::Kind;

use super::args::DemoArgs;
use super::problem::{Exit, Problem, shown_path};
use super::style::{Tone, padded_left};
use super::units::{size, speed};
use super::{Context, Failure, json, show};
use crate::error::Error;
use crate::private::Private;
use crate::receipts::PRINCIPAL;
use crate::t;
use party::{Ended, Keep, Party, Running, Scratch};

const SIZE_DEFAULT: u64 = 64_000_000;
const FILES_DEFAULT: u64 = 300;
/// The made-up data has at least these files.
const FILES_MIN: u64 = 24;
/// Source, relay and destination, and something for the rest.
const ROOM_FACTOR: u64 = 4;
/// The relay of the demo goes on although little is free.
const RELAY_FREE_BYTES_MIN: u64 = 16_000_000;
/// Files of the relay that are listed.
const LISTED_MAX: usize = 12;

pub(super) async fn run(args: DemoArgs, context: &Context) -> Result<Exit, Failure> {
    let working = context.signals.working();
    let keep = if args.keep { Keep::Yes } else { Keep::No };
    let scratch = Scratch::create(keep).map_err(disk(&std::env::temp_dir()))?;
    let demo = Demo { context, scratch };
    let told = demo.tell(args.size.unwrap_or(SIZE_DEFAULT), args.files.unwrap_or(FILES_DEFAULT)).await;
    drop(working);
    let words = &context.style().words;
    if keep == Keep::Yes {
        let line = t!(words, "demo-kept", folder = shown_path(&demo.scratch.path));
        context.screen.say(&format!("\n  {line}\n"));
    }
    let (files, bytes) = told?;
    if keep == Keep::No {
        context.screen.say(&format!("\n  {}\n", t!(words, "demo-cleaned")));
    }
    context.report.object(json::done("demo", Exit::Done.number()).with("files", files).with("bytes", bytes));
    Ok(Exit::Done)
}

fn disk(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::disk("running the demo", path, source)
}

/// What is seen and done, in order.
struct Demo<'a> {
    context: &'a Context,
    scratch: Scratch,
}

impl Demo<'_> {
    async fn tell(&self, bytes: u64, files: u64) -> Result<(u64, u64), Failure> {
        let (style, words) = (self.context.style(), &self.context.style().words);
        self.say(&format!("{}\n", style.tone(Tone::Strong, &t!(words, "demo-title"))));
        self.check_room(bytes)?;
        let folder = |name: &str| self.scratch.folder(name).map_err(disk(&self.scratch.path));

        self.heading(&t!(words, "demo-data"));
        let seller_work = folder("seller")?;
        let source = tokio::task::block_in_place(|| data::write(&seller_work, files.max(FILES_MIN), bytes));
        let source = source.map_err(disk(&seller_work))?;
        let before = compare::tree(&source).map_err(disk(&source))?;
        self.list_data(&before);

        self.heading(&t!(words, "demo-relay"));
        let relay_data = folder("relay")?;
        let relay = self.party(&t!(words, "demo-name-relay"), "relay-home", &self.scratch.path);
        self.command("handover-relay serve");
        let mut running = relay.start([Path::new("relay-for-demo"), &relay_data]).map_err(disk(&relay_data))?;
        let invite = tokio::task::block_in_place(|| running.first_line()).map_err(disk(&relay_data))?;
        self.say(&format!("  {}\n", t!(words, "demo-invite")));

        self.heading(&t!(words, "demo-seller"));
        let seller = self.party(&t!(words, "role-seller"), "seller-home", &seller_work);
        self.introduce(&seller, "Wang Jianguo 王建国", "Wang Appliances 王氏家电").await?;
        self.command(&format!("handover push \"{}\" --relay hr1…", data::FOLDER));
        let began = Instant::now();
        let pushed = self.run(&seller, ["push", data::FOLDER, "--relay", &invite]).await?;
        let push_time = began.elapsed();
        let code = pushed.stdout;

        self.heading(&t!(words, "demo-relay-sees"));
        self.list_relay(&relay_data)?;

        self.heading(&t!(words, "demo-buyer"));
        let buyer_work = folder("buyer")?;
        let buyer = self.party(&t!(words, "role-buyer"), "buyer-home", &buyer_work);
        self.introduce(&buyer, "Li Fang 李芳", "Li Trading 李氏贸易").await?;
        self.command("handover pull ho1… --yes");
        let began = Instant::now();
        self.run(&buyer, ["pull", &code, "--yes"]).await?;
        let pull_time = began.elapsed();

        self.heading(&t!(words, "demo-stranger"));
        self.refuse_stranger(&code, &folder("stranger")?).await?;

        self.heading(&t!(words, "demo-receipt"));
        self.command("handover wait 1");
        self.run(&seller, ["wait", "1"]).await?;
        let receipts = self.scratch.path.join("receipt");
        self.command("handover receipt export 1 receipt");
        self.run(&seller, ["receipt", "export", "1", &receipts.to_string_lossy(), "--quiet"]).await?;
        self.check_receipt(&receipts);

        self.heading(&t!(words, "demo-compare"));
        let after = buyer_work.join(data::FOLDER);
        let (files, bytes) = self.compare(&before, &after)?;
        self.list_emptied(&relay_data)?;
        self.end_relay(running)?;
        self.timing(bytes, push_time, pull_time);
        self.by_hand();
        Ok((files, bytes))
    }

    fn say(&self, text: &str) {
        self.context.screen.say(text);
    }

    fn heading(&self, text: &str) {
        self.say(&format!("\n{}\n", self.context.style().tone(Tone::Strong, text)));
    }

    fn command(&self, line: &str) {
        self.say(&format!("  $ {line}\n"));
    }

    fn good(&self, text: &str) {
        self.say(&show::good(self.context.style(), text));
    }

    fn party(&self, name: &str, home: &str, work: &Path) -> Party {
        Party {
            name: name.to_owned(),
            home: self.scratch.path.join(home),
            work: work.to_path_buf(),
            screen: self.context.screen.clone(),
        }
    }

    /// Gives a party a name.
    async fn introduce(&self, party: &Party, name: &str, organisation: &str) -> Result<(), Failure> {
        self.command(&format!("handover identity create --name \"{name}\" --organisation \"{organisation}\""));
        let args = ["identity", "create", "--name", name, "--organisation", organisation, "--quiet"];
        self.run(party, args).await.map(drop)
    }

    /// Runs a party's command, which has to end well.
    async fn run(&self, party: &Party, args: impl IntoIterator<Item = &str>) -> Result<Ended, Failure> {
        let ended = self.run_to_any_end(party, args).await?;
        if ended.status.success() {
            return Ok(ended);
        }
        Err(self.failed(&party.name).into())
    }

    async fn run_to_any_end(&self, party: &Party, args: impl IntoIterator<Item = &str>) -> Result<Ended, Failure> {
        let ended = party.run(args, &self.context.stop).await.map_err(disk(&self.scratch.path))?;
        // The terminal tells every process of an interruption.
        let is_interrupted = |ended: &Ended| ended.status.code() == Some(i32::from(Exit::Interrupted.number()));
        ended.filter(|ended| !is_interrupted(ended)).ok_or(Failure::Error(Error::Interrupted, None))
    }

    fn failed(&self, who: &str) -> Problem {
        let words = &self.context.style().words;
        let message = t!(words, "demo-failed", who = who.to_owned());
        Problem::new("demo", Exit::Failed, message, t!(words, "hint-demo-failed"))
    }

    fn check_room(&self, bytes: u64) -> Result<(), Error> {
        let needed = bytes.saturating_mul(ROOM_FACTOR);
        let path = Private::new(self.scratch.path.clone());
        match party::lacks_room(&self.scratch.path, needed) {
            Some(free) => Err(Error::Space { path, needed, free }),
            None => Ok(()),
        }
    }

    fn list_data(&self, tree: &compare::Tree) {
        let style = self.context.style();
        self.say(&format!("  {}\n", show::amount(style, tree.files(), Some(tree.bytes()))));
        let mut biggest: Vec<(&Path, u64)> = tree
            .entries()
            .filter_map(|(path, bytes)| Some((path, bytes?)))
            .filter(|(_, bytes)| *bytes > 20_000)
            .collect();
        biggest.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        for (path, bytes) in biggest.into_iter().take(8) {
            self.say(&format!("    {}  {}\n", padded_left(&size(bytes), 8), shown_path(path)));
        }
        self.say(&format!("    {}\n", style.tone(Tone::Dim, &t!(style.words, "demo-data-more"))));
    }

    /// Everything the relay has on its disk, and a search of it.
    fn list_relay(&self, folder: &Path) -> Result<(), Failure> {
        let words = &self.context.style().words;
        let tree = compare::tree(folder).map_err(disk(folder))?;
        let files: Vec<(&Path, u64)> = tree.entries().filter_map(|(path, bytes)| Some((path, bytes?))).collect();
        for (path, bytes) in files.iter().take(LISTED_MAX) {
            self.say(&format!("    {}  {}\n", padded_left(&size(*bytes), 8), shown_path(path)));
        }
        let rest = files.len().saturating_sub(LISTED_MAX) as u64;
        if rest > 0 {
            self.say(&format!("    {}\n", t!(words, "exceptions-more", count = rest)));
        }
        let found = tokio::task::block_in_place(|| compare::occurrences(folder, &data::PLANTED));
        if found.map_err(disk(folder))? > 0 {
            return Err(self.failed(&t!(words, "demo-name-relay")).into());
        }
        self.good(&t!(words, "demo-blind", names = data::PLANTED.join(", ")));
        Ok(())
    }

    fn list_emptied(&self, folder: &Path) -> Result<(), Failure> {
        let tree = compare::tree(folder).map_err(disk(folder))?;
        self.good(&t!(self.context.style().words, "demo-emptied", size = size(tree.bytes())));
        Ok(())
    }

    /// A second buyer with the same code gets nothing.
    async fn refuse_stranger(&self, code: &str, work: &Path) -> Result<(), Failure> {
        let words = &self.context.style().words;
        let stranger = self.party(&t!(words, "demo-name-stranger"), "stranger-home", work);
        self.command("handover pull ho1… --yes");
        let ended = self.run_to_any_end(&stranger, ["pull", code, "--yes"]).await?;
        if ended.status.code() != Some(i32::from(Exit::Code.number())) {
            return Err(self.failed(&stranger.name).into());
        }
        Ok(())
    }

    /// Has OpenSSH check the exported receipt, if it is here.
    fn check_receipt(&self, folder: &Path) {
        let words = &self.context.style().words;
        self.command(&super::commands::receipts::check_command());
        let checked = std::fs::File::open(folder.join("receipt.json")).and_then(|text| {
            Command::new("ssh-keygen")
                .args(["-Y", "verify", "-f", "allowed_signers", "-I", PRINCIPAL])
                .args(["-n", Kind::Receipt.namespace(), "-s", "receipt.json.sig"])
                .current_dir(folder)
                .stdin(text)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
        });
        match checked {
            Ok(status) if status.success() => self.good(&t!(words, "demo-openssh")),
            Ok(_) | Err(_) => self.say(&format!("  {}\n", t!(words, "demo-no-openssh"))),
        }
    }

    fn compare(&self, before: &compare::Tree, after: &Path) -> Result<(u64, u64), Failure> {
        let words = &self.context.style().words;
        let after = compare::tree(after).map_err(disk(after))?;
        let unlike = tokio::task::block_in_place(|| compare::difference(before, &after));
        if let Some(path) = unlike.map_err(disk(&self.scratch.path))? {
            let message = t!(words, "demo-unlike", path = shown_path(&path));
            return Err(Problem::new("demo", Exit::Altered, message, t!(words, "hint-demo-failed")).into());
        }
        let amount = show::amount(self.context.style(), after.files(), Some(after.bytes()));
        self.good(&t!(words, "demo-same", amount = amount));
        Ok((after.files(), after.bytes()))
    }

    fn end_relay(&self, running: Running) -> Result<(), Failure> {
        let ended = tokio::task::block_in_place(|| running.finish()).map_err(disk(&self.scratch.path))?;
        if ended.success() {
            Ok(())
        } else {
            Err(self.failed(&t!(self.context.style().words, "demo-name-relay")).into())
        }
    }

    fn timing(&self, bytes: u64, push: Duration, pull: Duration) {
        let words = &self.context.style().words;
        let line = |time: Duration| {
            let seconds = time.as_secs_f64().max(0.001);
            t!(words, "demo-time", seconds = format!("{seconds:.1}"), speed = speed(bytes as f64 / seconds))
        };
        self.heading(&t!(words, "demo-timing"));
        self.say(&show::row(self.context.style(), "push", &line(push)));
        self.say(&show::row(self.context.style(), "pull", &line(pull)));
    }

    /// The same without the demo.
    fn by_hand(&self) {
        let (style, words) = (self.context.style(), &self.context.style().words);
        self.heading(&t!(words, "demo-by-hand"));
        for (who, command) in [
            (t!(words, "demo-name-relay"), "handover-relay serve"),
            (t!(words, "role-seller"), "handover relay add INVITE"),
            (t!(words, "role-seller"), "handover push FOLDER"),
            (t!(words, "role-buyer"), "handover pull CODE"),
            (t!(words, "role-seller"), "handover wait 1"),
        ] {
            self.say(&show::row(style, &who, command));
        }
    }
}

/// The relay of the demo: serves until its standard input ends.
pub(super) async fn relay(data: PathBuf, context: &Context) -> Result<Exit, Failure> {
    let _working = context.signals.working();
    let config = Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        advertise: Advertise { host: Some(Ipv4Addr::LOCALHOST.to_string()), port: None },
        limits: Limits { free_bytes_min: RELAY_FREE_BYTES_MIN, ..Limits::default() },
        ..Config::new(data.clone())
    };
    let running = Relay::start(config).await.map_err(|error| Error::State {
        what: "the relay inside this process does not start",
        path: data,
        source: Some(error.into()),
    })?;
    super::commands::print(&format!("{}\n", *running.first_invite.to_text()), context)?;
    let (ended, mut end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let read = std::io::stdin().lock().read_to_end(&mut Vec::new());
        if ended.send(read.is_ok()).is_err() {
            tracing::debug!("the relay ended first");
        }
    });
    let mut stop = context.stop.clone();
    tokio::select! {
        _ = &mut end => {}
        () = stop.asked() => {}
    }
    running.shutdown().await;
    Ok(Exit::Done)
}
