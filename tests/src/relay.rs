//! A relay on a loopback port, with a data folder that outlives its process.

use std::path::{Path, PathBuf};

use crate::process::{Ended, Launch, Running};
use crate::scratch::Scratch;
use crate::{data, programs, wait};

/// A relay; dropping it kills it.
pub struct RelayProc {
    launch: Launch,
    running: Option<Running>,
    data: PathBuf,
    invite: String,
    address: String,
}

impl RelayProc {
    /// Starts a relay with nothing but a data folder and a free loopback port.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(scratch: &Scratch) -> Self {
        Self::start_with(scratch, "relay", &[])
    }

    /// Starts a relay with options of `serve`, its data in a folder of that name.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_with(scratch: &Scratch, name: &str, options: &[&str]) -> Self {
        let folder = scratch.folder(format!("{name}-machine"));
        Self::start_from(Launch::new(programs::relay(), &folder).env("HOME", &folder), scratch.join(name), 0, options)
    }

    /// Starts a relay on a port, with an environment of its own.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_from(base: Launch, data: PathBuf, port: u16, options: &[&str]) -> Self {
        let launch = base.arg("serve").arg("--data").arg(&data).args(options);
        let mut relay = Self { launch, running: None, data, invite: String::new(), address: String::new() };
        relay.come_up(port);
        relay
    }

    fn come_up(&mut self, port: u16) {
        let mut running = self.launch.clone().arg("--listen").arg(format!("127.0.0.1:{port}")).start();
        let invite = running.out_line("the invite", |line| (!line.is_empty()).then(|| line.to_owned()));
        let address = invite.rsplit_once('@').expect("an invite names an address").1.to_owned();
        assert!(address.starts_with("127.0.0.1:"), "the invite names the address it listens on: {address}");
        (self.invite, self.address) = (invite, address);
        self.running = Some(running);
    }

    /// Changes how the process is started from the next start on.
    pub fn relaunch(&mut self, change: impl FnOnce(&Launch) -> Launch) {
        self.launch = change(&self.launch);
    }

    /// What enrols a seller.
    pub fn invite(&self) -> &str {
        &self.invite
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The port.
    ///
    /// # Panics
    /// Never: the address has one.
    pub fn port(&self) -> u16 {
        let (_host, port) = self.address.rsplit_once(':').expect("the address has a port");
        port.parse().expect("a port is a number")
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// How many bytes the data folder holds.
    pub fn data_bytes(&self) -> u64 {
        data::folder_bytes(&self.data)
    }

    /// What the relay's own list says of its transfers: a line each.
    ///
    /// # Panics
    /// When the relay's program fails.
    pub fn transfers(&self) -> Vec<String> {
        let list = Launch::new(programs::relay(), "/").args(["transfers", "list", "--data"]).arg(&self.data);
        list.run().exits(0).out().lines().map(str::to_owned).collect()
    }

    /// Sealed bytes that are durable of the first transfer listed.
    ///
    /// # Panics
    /// When there is none.
    pub fn durable_bytes(&self) -> u64 {
        let lines = self.transfers();
        let line = lines.first().expect("a transfer is listed");
        let field = line.split('\t').find_map(|field| field.strip_prefix("bytes "));
        field.and_then(|bytes| bytes.parse().ok()).unwrap_or_else(|| panic!("no bytes in {line:?}"))
    }

    /// The process.
    ///
    /// # Panics
    /// When it has been killed.
    pub fn process(&mut self) -> &mut Running {
        self.running.as_mut().expect("the relay runs")
    }

    /// Whether it was started and not taken or killed since.
    pub fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// Hands the process over, to be ended otherwise than by [`RelayProc::kill`].
    ///
    /// # Panics
    /// When it has been killed.
    pub fn take(&mut self) -> Running {
        self.running.take().expect("the relay runs")
    }

    /// Kills it at once (SIGKILL).
    ///
    /// # Panics
    /// When it has been killed before.
    pub fn kill(&mut self) -> Ended {
        self.running.take().expect("the relay runs").kill()
    }

    /// Starts it again on the same port; `false` when it ends before it serves.
    pub fn try_restart(&mut self) -> bool {
        let mut running = self.launch.clone().args(["--listen", &self.address]).start();
        let is_up = wait::until("the relay to serve or to end", wait::USUAL, || {
            match (running.out_so_far().is_empty(), running.is_running()) {
                (false, _) => Some(true),
                (true, false) => Some(false),
                (true, true) => None,
            }
        });
        self.running = is_up.then_some(running);
        is_up
    }

    /// Starts it again on the same port with the same data; the invite must be the same.
    ///
    /// # Panics
    /// When it does not come up, or as another relay.
    pub fn restart(&mut self) {
        let (port, before) = (self.port(), self.invite.clone());
        self.come_up(port);
        assert_eq!(self.invite, before, "the first invite is printed again at every start");
    }
}
