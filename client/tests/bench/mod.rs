//! A relay, a seller's home and folders to push, in one process.
#![allow(dead_code, reason = "every test uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

pub mod buyer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use handover::error::Error;
use handover::event::{Event, Observer, Scanned};
use handover::home::Home;
use handover::home::transfers::Facts;
use handover::push::{self, PushOptions, Pushed, RelayChoice, Source};
use handover::stop::{self, Stop, Stopper};
use handover_relay::{Advertise, Config, Limits, Relay, Running};
use handover_shared::invite::Invite;
use handover_shared::protocol::message::{Reply, Request, Snapshot, Watch};
use handover_shared::tls::ExpectedRelay;

pub struct Bench {
    scratch: tempfile::TempDir,
    relay: Option<Running>,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with_limits(|_| {}).await
    }

    pub async fn with_limits(change: impl FnOnce(&mut Limits)) -> Self {
        let mut bench = Self { scratch: tempfile::tempdir().unwrap(), relay: None };
        bench.start_relay(0, change).await;
        bench
    }

    async fn start_relay(&mut self, port: u16, change: impl FnOnce(&mut Limits)) {
        let mut limits = Limits { free_bytes_min: 0, ..Limits::default() };
        change(&mut limits);
        let config = Config {
            listen: ([127, 0, 0, 1], port).into(),
            advertise: Advertise { host: Some("127.0.0.1".into()), port: None },
            limits,
            ..Config::new(self.scratch.path().join("relay"))
        };
        self.relay = Some(Relay::start(config).await.unwrap());
    }

    /// Kills the relay as a crash would; gives the port to start it at again.
    pub async fn kill_relay(&mut self) -> u16 {
        let relay = self.relay.take().unwrap();
        let port = relay.address.port();
        relay.kill().await;
        port
    }

    pub async fn restart_relay(&mut self, port: u16) {
        self.start_relay(port, |_| {}).await;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub fn home(&self) -> Home {
        Home::open(Some(&self.path("home"))).unwrap()
    }

    pub fn facts(&self, id: u64) -> Facts {
        self.home().transfer(id).unwrap().facts().unwrap()
    }

    pub fn invite(&self) -> Invite {
        let invite = &self.relay.as_ref().unwrap().first_invite;
        Invite { relay_key: invite.relay_key, secret: invite.secret.clone(), address: invite.address.clone() }
    }

    pub fn options(&self, sources: &[&str]) -> PushOptions {
        PushOptions {
            sources: sources.iter().map(|name| Source::Path(self.path(name))).collect(),
            relay: RelayChoice::Invite(self.invite()),
            ..PushOptions::default()
        }
    }

    pub async fn push(&self, options: PushOptions, observer: &Arc<Seen>) -> Result<Pushed, Error> {
        let pushed = self.push_untold(options, observer).await?;
        self.home().transfer(pushed.id)?.set_told()?;
        Ok(pushed)
    }

    /// The same, and dies before it has said how that ended.
    pub async fn push_untold(&self, options: PushOptions, observer: &Arc<Seen>) -> Result<Pushed, Error> {
        push::push(&self.home(), options, observer.clone(), observer.stop()).await
    }

    /// What the relay tells the seller just now.
    pub async fn snapshot(&self, id: u64) -> Snapshot {
        let facts = self.facts(id);
        let own = self.home().link_secret().unwrap();
        let expected = ExpectedRelay::Key(facts.relay_key().unwrap());
        let relay =
            handover::link::Relay::connect(&Default::default(), &facts.relay_address().unwrap(), expected, &own)
                .await
                .unwrap();
        let watch = Request::Watch(Watch { transfer: facts.transfer_id().unwrap(), from_event: 0 });
        match relay.ask(&watch).await.unwrap() {
            Reply::Snapshot(snapshot) => snapshot,
            other => panic!("{other:?}"),
        }
    }

    /// A small folder with everything in it that is kept.
    pub fn small_tree(&self) -> PathBuf {
        let root = self.path("shop");
        for folder in ["orders/2025", "empty"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::write(root.join("客户.csv"), "姓名,电话\n王,1\n".repeat(1000)).unwrap();
        std::fs::write(root.join("orders/2025/a.json"), b"{}").unwrap();
        std::fs::write(root.join("orders/none"), b"").unwrap();
        std::os::unix::fs::symlink("orders/none", root.join("link")).unwrap();
        root
    }

    /// A file of bytes that do not shrink, different in every place.
    pub fn random_file(&self, name: &str, bytes: usize) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, random_bytes(name, bytes)).unwrap();
        path
    }
}

pub fn random_bytes(seed: &str, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut content);
    content
}

type Act = Box<dyn Fn(&Event) + Send + Sync>;

/// Remembers what was told, and does something at events if asked to.
pub struct Seen {
    lines: Mutex<Vec<String>>,
    codes: Mutex<Vec<String>>,
    scanned: Mutex<Option<Scanned>>,
    stop_at: Option<&'static str>,
    act: Option<Act>,
    stopper: Stopper,
    stop: Stop,
}

impl Seen {
    pub fn new() -> Arc<Self> {
        Self::make(None, None)
    }

    /// Stops the run at the first event that begins like this.
    pub fn stopping_at(event: &'static str) -> Arc<Self> {
        Self::make(Some(event), None)
    }

    /// Does something at every event.
    pub fn acting(act: impl Fn(&Event) + Send + Sync + 'static) -> Arc<Self> {
        Self::make(None, Some(Box::new(act)))
    }

    fn make(stop_at: Option<&'static str>, act: Option<Act>) -> Arc<Self> {
        let (stopper, stop) = stop::pair();
        let (lines, codes, scanned) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { lines, codes, scanned, stop_at, act, stopper, stop })
    }

    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn has(&self, start: &str) -> bool {
        self.lines().iter().any(|line| line.starts_with(start))
    }

    pub fn scanned(&self) -> Scanned {
        self.scanned.lock().unwrap().clone().unwrap()
    }

    pub fn code(&self) -> String {
        let codes = self.codes.lock().unwrap();
        assert_eq!(codes.len(), 1, "one code is printed");
        codes[0].clone()
    }

    pub fn codes(&self) -> usize {
        self.codes.lock().unwrap().len()
    }
}

impl Observer for Seen {
    fn event(&self, event: Event) {
        if let Some(act) = &self.act {
            act(&event);
        }
        let line = format!("{event:?}");
        if self.stop_at.is_some_and(|at| line.starts_with(at)) {
            self.stopper.stop();
        }
        self.lines.lock().unwrap().push(line);
        match event {
            Event::CodeReady { ticket, .. } => self.codes.lock().unwrap().push(ticket.to_text().to_string()),
            Event::Scanned(scanned) => *self.scanned.lock().unwrap() = Some(scanned),
            _ => {}
        }
    }
}
