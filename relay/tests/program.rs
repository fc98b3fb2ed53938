//! The program itself: what it prints, how it ends, and that a kill at any moment takes nothing that was acknowledged.
#![cfg(feature = "program")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail like that")]

mod kit;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use handover_shared::fault::Fault;
use handover_shared::invite::Invite;
use handover_shared::keys::address::RelayAddress;
use handover_shared::protocol::message::*;
use kit::*;

const PROGRAM: &str = env!("CARGO_BIN_EXE_handover-relay");

/// A running program and the line it printed.
struct Serving {
    child: Child,
    invite: Invite,
    out: BufReader<std::process::ChildStdout>,
}

fn program(words: &[&str], data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(words).env("HANDOVER_RELAY_DATA", data).env("LC_ALL", "C").env_remove("HANDOVER_LANG");
    command
}

fn serve(data: &Path, more: &[&str]) -> Serving {
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--min-free", "0"], data);
    let mut child = command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    Serving { invite: Invite::parse(&line).unwrap(), child, out }
}

impl Serving {
    async fn client(&self, seed: u8) -> Client {
        let RelayAddress { host, port } = &self.invite.address;
        Client::connect_to((host.parse::<std::net::IpAddr>().unwrap(), *port).into(), self.invite.relay_key, seed).await
    }

    async fn seller(&self, seed: u8) -> Client {
        let client = self.client(seed).await;
        let enrol = Request::Enrol(Enrol { secret: self.invite.secret.clone() });
        assert!(matches!(client.ask(&enrol).await, Reply::Enrolled(_)));
        client
    }

    /// Asks it to stop; gives its exit code, what else was on standard output, and standard error.
    async fn terminate(self) -> (Option<i32>, String, String) {
        // Away from the clients' thread, so that they hear the goodbye.
        tokio::task::spawn_blocking(|| self.terminate_and_wait()).await.unwrap()
    }

    fn terminate_and_wait(mut self) -> (Option<i32>, String, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(words: &[&str], data: &Path) -> Output {
    program(words, data).output().unwrap()
}

/// A parcel that lives by the system's clock.
fn parcel(seed: u8) -> Parcel {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Parcel { expires: u64::try_from(now.as_millis()).unwrap() + DAY, ..Parcel::new(seed) }
}

#[tokio::test]
async fn the_first_start_prints_one_line_and_a_text_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let serving = serve(&folder.path().join("new/relay"), &[]);
    let port = serving.invite.address.port;
    assert_ne!(port, 0);
    serving.seller(1).await;

    let (code, more, err) = serving.terminate().await;

    assert_eq!((code, more.as_str()), (Some(0), ""));
    for part in
        ["is running", "SHA256:", &format!("UDP {port}, TCP {port}"), "handover relay add INVITE", "Data folder"]
    {
        assert!(err.contains(part), "{part} is missing in:\n{err}");
    }
    assert!(!err.contains("hr1"), "{err}");
}

#[tokio::test]
async fn the_text_is_chinese_where_the_locale_is() {
    let folder = tempfile::tempdir().unwrap();
    let serving = serve(folder.path(), &["--lang", "zh-CN", "--advertise", "relay.example"]);
    let address = &serving.invite.address;
    assert_eq!(address.host, "relay.example");
    assert_ne!(address.port, 4433);

    let (code, _, err) = serving.terminate().await;

    assert_eq!(code, Some(0));
    assert!(err.contains("已启动") && err.contains("卖方执行"), "{err}");
}

#[tokio::test(flavor = "multi_thread")] // [S13.3]
async fn a_kill_at_any_moment_takes_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let parcel = parcel(1);
    let mut serving = serve(folder.path(), &[]);
    parcel.create_by(&serving.seller(1).await).await;
    let (buyer, mut acknowledged) = (Buyer::new(1), 0);
    buyer.claimed(&parcel, &serving.client(2).await).await;

    // Each round is killed right after an acknowledgement, with more on the way.
    for round in 0..6 {
        let seller = serving.client(1).await;
        let (mut send, mut answers) = seller.open(&parcel.append()).await;
        let Ok(Reply::Appending(appending)) = answers.next().await else { panic!("no Appending") };
        let durable = appending.durable.0;
        assert!(durable >= acknowledged, "round {round}: {durable} of {acknowledged} are left");
        send.write_all(&parcel.blocks(durable..durable + 1)).await.unwrap();
        let Ok(Reply::Durable(reply)) = answers.next().await else { panic!("no Durable") };
        acknowledged = reply.durable.0;
        send.write_all(&parcel.blocks(acknowledged..acknowledged + 2)).await.unwrap();
        serving.kill();
        serving = serve(folder.path(), &[]);
    }

    let (seller, client) = (serving.client(1).await, serving.client(2).await);
    let (mut send, mut answers) = seller.open(&parcel.append()).await;
    let Ok(Reply::Appending(appending)) = answers.next().await else { panic!("no Appending") };
    let total = appending.durable.0 + 1;
    send.write_all(&parcel.block(total - 1)).await.unwrap();
    send.finish().unwrap();
    assert_eq!(answers.last_durable().await, total);
    seller.ask(&parcel.complete(total)).await;
    buyer.claimed(&parcel, &client).await;
    assert!(client.fetch(&parcel, 0).await == parcel.blocks(0..total));
    assert_eq!(serving.terminate().await.0, Some(0));
}

#[tokio::test]
async fn the_operator_sees_and_revokes_beside_the_running_relay() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let serving = serve(data, &[]);
    let narrow = run(&["invite", "--uses", "1"], data);
    let narrow = Invite::parse(&text(&narrow.stdout)).unwrap();
    assert_eq!((narrow.relay_key, &narrow.address), (serving.invite.relay_key, &serving.invite.address));
    let seller = serving.client(1).await;
    let enrol = Request::Enrol(Enrol { secret: narrow.secret.clone() });
    assert!(matches!(seller.ask(&enrol).await, Reply::Enrolled(_)));
    assert_eq!(serving.client(2).await.fault(&enrol).await, Fault::InviteRefused);
    let parcel = parcel(1);
    parcel.create_by(&seller).await;

    let transfers = text(&run(&["transfers", "list"], data).stdout);
    assert!(transfers.starts_with(&format!("{}\topen\tblocks 0/?", parcel.id)), "{transfers}");
    let sellers = text(&run(&["seller", "list"], data).stdout);
    let key = sellers.split('\t').next().unwrap().to_owned();
    assert!(key.starts_with("SHA256:") && sellers.trim_end().ends_with("active"), "{sellers}");
    assert!(run(&["seller", "revoke", &key], data).status.success());

    assert_eq!(seller.fault(&parcel.append()).await, Fault::NotEnrolled);
    assert!(text(&run(&["seller", "list"], data).stdout).contains("revoked"));
    let unknown = run(&["seller", "revoke", "SHA256:none"], data);
    assert_eq!(unknown.status.code(), Some(10));
    let invites = text(&run(&["invite", "--list"], data).stdout);
    assert_eq!(invites.lines().count(), 2, "{invites}");
    assert!(run(&["invite", "--revoke", "1"], data).status.success());
    let late = Request::Enrol(Enrol { secret: serving.invite.secret.clone() });
    assert_eq!(serving.client(3).await.fault(&late).await, Fault::InviteRefused);
    serving.kill();
}

#[test]
fn exit_codes_tell_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    let code = |words: &[&str]| run(words, &data).status.code();
    assert_eq!(code(&["serve", "--listen", "nowhere"]), Some(2));
    assert_eq!(code(&["serve", "--max-transfer", "lots"]), Some(2));
    assert_eq!(code(&["serve", "--config", "/nonexistent/relay.toml"]), Some(2));
    assert_eq!(code(&["frobnicate"]), Some(2));
    assert_eq!(code(&["seller", "list"]), Some(10));
    assert_eq!(code(&["version"]), Some(0));
    std::fs::write(&data, b"a file where the folder should be").unwrap();
    assert_eq!(code(&["serve", "--listen", "127.0.0.1:0"]), Some(9));
    std::fs::remove_file(&data).unwrap();

    let serving = serve(&data, &[]);
    let second = run(&["serve", "--listen", "127.0.0.1:0"], &data);
    assert_eq!(second.status.code(), Some(11));
    assert!(text(&second.stderr).contains("another relay uses the data folder"), "{}", text(&second.stderr));
    let taken = serving.invite.address.port.to_string();
    let other = folder.path().join("other");
    let busy = run(&["serve", "--listen", &format!("127.0.0.1:{taken}")], &other);
    assert_eq!(busy.status.code(), Some(1));
    assert!(text(&busy.stderr).contains("cannot listen on"), "{}", text(&busy.stderr));
    serving.kill();
}

#[tokio::test] // [S13.11]
async fn the_fullest_log_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let serving = serve(folder.path(), &["--log", "trace,quinn=off,quinn_proto=off", "--log-format", "json"]);
    let invite = serving.invite.secret.clone();
    let parcel = parcel(0x5a);
    let seller = serving.seller(1).await;
    parcel.send_by(&seller, 2).await;
    let client = serving.client(2).await;
    client.ask(&parcel.peek()).await;
    Buyer::new(1).claimed(&parcel, &client).await;
    client.fetch(&parcel, 0).await;
    client.ask(&parcel.receive(b"sealed receipt")).await;
    seller.watch_until_deleted(&parcel).await;
    assert_eq!(client.fault(&parcel.peek()).await, Fault::Receipted);

    let (_, _, log) = serving.terminate().await;

    let log = log.to_lowercase();
    let hex = |bytes: &[u8]| handover_shared::ids::hex(bytes);
    let decimal = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let secrets: [&[u8]; 5] = [&invite[..], &parcel.share, &parcel.locator.0, &parcel.sealed_offer[..16], &[0xee; 16]];
    for secret in secrets {
        assert!(!log.contains(&hex(secret)) && !log.contains(&decimal(secret)));
    }
    assert!(!log.contains("hr1") && !log.contains("sealed receipt"));
    assert!(log.contains(&parcel.id.to_hex()) && log.contains("\"level\":\"debug\""));
}
