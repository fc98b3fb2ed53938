//! The program as people and scripts meet it: real processes, what they write, how they end, in both languages.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails has to stop")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_handover");

/// A machine: a home and a working folder.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder }
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HANDOVER_") {
                command.env_remove(name);
            }
        }
        command.env("HANDOVER_HOME", self.folder.path().join("home")).env("LC_ALL", "C").env("TZ", "UTC");
        command.current_dir(self.work()).args(args).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }
}

/// How a run ended.
#[derive(Debug)]
struct Ended {
    exit: i32,
    out: String,
    err: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            exit: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn expect(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "{self:?}");
        self
    }

    fn objects(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }
}

/// A relay that ends with its standard input.
struct Relay {
    child: Child,
    _stdin: ChildStdin,
    invite: String,
    _folder: tempfile::TempDir,
}

impl Relay {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("relay-for-demo").arg(folder.path().join("data")).arg("--home").arg(folder.path().join("home"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut invite = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut invite).unwrap();
        let stdin = child.stdin.take().unwrap();
        Self { child, _stdin: stdin, invite: invite.trim().to_owned(), _folder: folder }
    }

    /// A machine that is enrolled here.
    fn seller(&self) -> Machine {
        let seller = Machine::new();
        let mut adding = seller.command(&["relay", "add"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        adding.stdin.take().unwrap().write_all(self.invite.as_bytes()).unwrap();
        assert!(adding.wait().unwrap().success());
        seller
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_whole_handover() {
    let relay = Relay::start();
    let seller = relay.seller();
    seller.write("客户/customers.csv", "\u{feff}张伟\r\n".as_bytes());
    seller.write("客户/orders/1.json", b"{}");

    let pushed = seller.run(&["push", "客户", "--label", "Shop 店"]).expect(0);
    assert_eq!(pushed.out.lines().count(), 1, "{pushed:?}");
    let code = pushed.out.trim().to_owned();
    assert!(code.starts_with("ho1") && code.contains('@'), "{code}");
    assert!(!pushed.err.contains("ho1q") && !pushed.err.contains(&code), "the code is no business of a log");
    assert!(pushed.err.contains("You may switch this computer off"), "{}", pushed.err);
    assert_eq!(seller.run(&["code", "1"]).expect(0).out.trim(), code);
    let words = seller.run(&["code", "1", "--chinese"]).expect(0).out;

    let buyer = Machine::new();
    let listed = buyer.run(&["pull", &code, "--list"]).expect(0);
    assert!(listed.out.is_empty() && listed.err.contains("2 files") && listed.err.contains("Shop 店"), "{listed:?}");
    for (language, text) in [("en", "an answer is needed"), ("zh-CN", "需要回答")] {
        let unasked = buyer.run(&["pull", &code, "--lang", language]).expect(3);
        assert!(unasked.err.contains(text) && unasked.err.contains("--yes"), "{unasked:?}");
    }

    let pulled = buyer.run(&["pull", words.trim(), "-y", "-o", "in"]).expect(0);
    assert!(pulled.out.is_empty() && pulled.err.contains("2 files"), "{pulled:?}");
    let copy = std::fs::read(buyer.work().join("in/客户/customers.csv")).unwrap();
    assert_eq!(copy, "\u{feff}张伟\r\n".as_bytes());

    let stranger = Machine::new();
    for (language, once) in [("en", "only once"), ("zh-CN", "只能使用一次")] {
        let refused = stranger.run(&["pull", &code, "-y", "--lang", language]).expect(7);
        assert!(refused.err.contains(once), "{refused:?}");
    }

    let waited = seller.run(&["wait", "1"]).expect(0);
    assert!(waited.err.contains("Collected and verified by"), "{waited:?}");
    let gone = seller.run(&["code", "1"]).expect(7);
    assert!(gone.out.is_empty() && gone.err.contains("has been used on"), "{gone:?}");
    let exported = seller.run(&["receipt", "export", "1", "receipt"]).expect(0);
    assert!(exported.err.contains("ssh-keygen -Y verify"), "{exported:?}");
    let file = seller.work().join("receipt/receipt.json");
    let verified = stranger.run(&["receipt", "verify", file.to_str().unwrap()]).expect(0);
    assert!(verified.out.contains("SHA256:") && verified.out.contains("2 files"), "{verified:?}");
    seller.run(&["receipt", "verify", "1"]).expect(0);
    let status = seller.run(&["status", "1"]).expect(0);
    assert!(status.out.contains("collected") && status.out.contains("History"), "{status:?}");
}

#[test]
fn programs_read_one_object_a_line() {
    let relay = Relay::start();
    let seller = relay.seller();
    seller.write("x", b"1");
    let pushed = seller.run(&["push", "x", "--json"]).expect(0);
    let objects = pushed.objects();
    let names: Vec<&str> = objects.iter().map(|object| object["event"].as_str().unwrap()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"started"), Some(&"done")), "{names:?}");
    assert!(pushed.err.is_empty(), "{}", pushed.err);
    let code = objects.iter().find(|object| object["event"] == "code").unwrap()["code"].as_str().unwrap().to_owned();

    let buyer = Machine::new();
    let pulled = buyer.run(&["pull", &code, "-y", "--json"]).expect(0).objects();
    for event in ["scanned", "agreed", "verified", "done"] {
        assert!(pulled.iter().any(|object| object["event"] == event), "no {event}: {pulled:?}");
    }
    let listed = seller.run(&["status", "--json"]).expect(0).objects();
    assert_eq!((listed[1]["event"].as_str(), listed[1]["state"].as_str()), (Some("transfer"), Some("collected")));
    let failed = seller.run(&["status", "99", "--json"]).expect(10).objects();
    let error = failed.last().unwrap();
    assert_eq!((error["event"].as_str(), error["exit"].as_u64()), (Some("error"), Some(10)));
    let misspelt = seller.run(&["statsu", "--json"]).expect(2).objects();
    assert_eq!(misspelt[0]["code"], "usage");
}

#[test]
fn bad_input_gets_a_clear_error_in_both_languages() {
    let machine = Machine::new();
    machine.write("one/x", b"1");
    machine.write("two/x", b"2");
    machine.write("code.txt", b"ho1qqqq");
    let mistyped = "ho1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxg76n7@relay.example";
    let table: [(&[&str], i32, &str, &str); 16] = [
        (&["identity", "import", "code.txt"], 1, "the key is of no use", "此密钥无法使用"),
        (&["push", "missing"], 2, "missing does not exist", "missing 不存在"),
        (&["push", "one/x", "two/x"], 2, "would have the same name", "会重名"),
        (&["push", "one", "--exclude", "*"], 2, "nothing is left", "没有可发送"),
        (&["push", "one", "--relay", "127.0.0.1:1"], 2, "not in the relay book", "中继簿中没有此中继"),
        (&["push", "one", "--as", "n"], 2, "--as", "--as"),
        (&["push", "-", "-"], 2, "more than once", "不止一次"),
        (&["pull", mistyped, "-y"], 7, "mistyped", "输入错误"),
        (&["pull", "nonsense"], 7, "not a code", "不是代码"),
        (&["pull", "--code-file", "code.txt"], 7, "instead of 41", "应为 41"),
        (&["pull", "--code-file", "nowhere"], 9, "nowhere", "找不到"),
        (&["pull"], 3, "--code-file", "--code-file"),
        (&["wait", "9"], 10, "no transfer 9", "没有移交 9"),
        (&["receipt", "show", "9"], 10, "no transfer 9", "没有移交 9"),
        (&["relay", "add", "hr1oops"], 2, "not an invite", "不是邀请码"),
        (&["frobnicate"], 2, "no command frobnicate", "没有 frobnicate"),
    ];
    for (args, exit, english, chinese) in table {
        for (language, text) in [("en", english), ("zh-CN", chinese)] {
            let ended = machine.run(&[args, &["--lang", language]].concat()).expect(exit);
            assert!(ended.err.contains(text), "{args:?}: {}", ended.err);
            assert!(!ended.err.contains("ho1q") && !ended.out.contains("ho1q"), "{args:?} repeats the code");
        }
    }
}

#[test]
fn a_forgotten_verb_is_pointed_out_without_the_code() {
    let machine = Machine::new();
    machine.write("customers", b"1");
    let code = "ho1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxg76n6@relay.example";
    let ended = machine.run(&[code]).expect(2);
    assert!(ended.err.contains("handover pull") && !ended.err.contains("qqqs"), "{ended:?}");
    let ended = machine.run(&["customers"]).expect(2);
    assert!(ended.err.contains("handover push customers"), "{ended:?}");
}

#[test]
fn language_and_options_come_from_flag_environment_and_file() {
    let machine = Machine::new();
    let config = machine.folder.path().join("home/config.toml");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    std::fs::write(&config, "lang = \"zh-CN\"\n").unwrap();
    assert!(machine.run(&["status"]).expect(0).out.contains("还没有任何移交"));
    let english = machine.command(&["status"]).env("HANDOVER_LANG", "en").output().unwrap();
    assert!(Ended::of(english).expect(0).out.contains("No transfers yet"));
    let flag = machine.command(&["status", "--lang", "zh-CN"]).env("HANDOVER_LANG", "en").output().unwrap();
    assert!(Ended::of(flag).expect(0).out.contains("还没有任何移交"));

    std::fs::write(&config, "attended = \"yes\"\n").unwrap();
    let ended = machine.run(&["status"]).expect(2);
    assert!(ended.err.contains("attended"), "{ended:?}");
    std::fs::write(&config, "not toml").unwrap();
    machine.run(&["status"]).expect(2);
}

#[test]
fn help_and_completions() {
    let machine = Machine::new();
    assert!(machine.run(&["--help"]).expect(0).out.contains("push"));
    assert!(machine.run(&["help", "push", "--lang", "zh-CN"]).expect(0).out.contains("用法"));
    assert!(machine.run(&[]).expect(2).err.contains("Usage:"));
    assert!(machine.run(&["--version"]).expect(0).out.starts_with("handover "));
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = machine.run(&["completions", shell]).expect(0).out;
        assert!(script.contains("code-file"), "{shell}");
    }
}

#[test]
fn identities() {
    let machine = Machine::new();
    machine.run(&["identity", "show"]).expect(1);
    let made = machine.run(&["identity", "create", "--name", "王建国", "--organisation", "王氏家电"]).expect(0);
    assert!(made.out.contains("王建国") && made.out.contains("ssh-ed25519 "), "{made:?}");
    assert_eq!(machine.run(&["identity", "show"]).expect(0).out, made.out);
    let again = machine.run(&["identity", "create"]).expect(1);
    assert!(again.err.contains("already"), "{again:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_code_in_the_arguments_is_hidden_at_once() {
    let machine = Machine::new();
    let code = "ho1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxg76n6@127.0.0.1:9";
    for (args, variable) in [(&["pull", code, "-o", "in"][..], None), (&["pull", "-o", "in"][..], Some(code))] {
        let mut command = machine.command(args);
        if let Some(code) = variable {
            command.env("HANDOVER_CODE", code);
        }
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let process = Path::new("/proc").join(child.id().to_string());
        let holds_code = || {
            let shown = ["cmdline", "environ"].map(|name| std::fs::read(process.join(name)).unwrap_or_default());
            // While one program takes the place of another there are no arguments at all.
            shown[0].is_empty() || shown.iter().any(|bytes| bytes.windows(5).any(|part| part == b"ho1qq"))
        };
        // The relay does not answer, so the process is there for seconds; it hides the code in its first milliseconds.
        while holds_code() {
            assert!(child.try_wait().unwrap().is_none(), "the code was never hidden");
            std::thread::yield_now();
        }
        assert!(child.try_wait().unwrap().is_none(), "the process did not go on");
        let shown = String::from_utf8_lossy(&std::fs::read(process.join("cmdline")).unwrap()).replace('\0', " ");
        assert!(shown.trim_end().ends_with("pull -o in"), "{shown}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[cfg(unix)]
#[test]
fn signals_tell_and_stop() {
    use rustix::process::{Pid, Signal, kill_process};

    let relay = Relay::start();
    let seller = relay.seller();
    let mut command = seller.command(&["push", "-", "--as", "dump.sql"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut code = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut code).unwrap();
    assert!(code.starts_with("ho1"), "{code}");

    let pid = Pid::from_child(&child);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut wait_for = |text: &str| {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "{text} never came");
        }
    };
    wait_for("Sending …");
    kill_process(pid, Signal::USR1).unwrap();
    wait_for("Sending");
    kill_process(pid, Signal::INT).unwrap();
    wait_for("handover resume 1");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
}

#[test]
fn the_demo_runs_and_leaves_nothing() {
    let machine = Machine::new();
    let temporary = machine.folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    for (language, same) in [("en", "the same byte for byte"), ("zh-CN", "逐字节一致")] {
        let mut command = machine.command(&["demo", "--size", "3M", "--files", "40", "--lang", language]);
        let ended = Ended::of(command.env("TMPDIR", &temporary).output().unwrap()).expect(0);
        assert!(ended.err.contains(same), "{}", ended.err);
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    }
}
