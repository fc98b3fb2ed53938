//! Measures whole handovers with the real programs: wall time from the start of `push` to the end of `pull`, and each
//! process's greatest memory and time on a processor.
//!
//! `cargo run --release -p handover-tests --example bench -- [--runs N] [CASE...]`; without a case, the two short ones.
//! Data is made below the folder for temporary files (`TMPDIR`); the long cases need 25 GiB there.
//!
//! Where `sshd` is installed, `scp` copies the same data over loopback in the same run, for comparison. It neither
//! stores in between nor compresses nor verifies nor syncs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement that fails must be loud")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use handover_tests::process::usage;
use handover_tests::{Ended, Launch, Person, Pushing, RelayProc, Running, Scratch, Tree, data, programs, wait};

/// One kind of data.
struct Case {
    name: &'static str,
    what: &'static str,
    make: fn(&Scratch, &Path),
}

const CASES: [Case; 6] = [
    Case { name: "random", what: "1 GiB that does not compress, one file", make: |s, p| one_file(s, p, 1 << 30) },
    Case { name: "small", what: "50 000 files of 1-8 KiB", make: |s, p| small_files(s, p, 50_000) },
    Case { name: "table", what: "1 GiB of customer tables, 16 files", make: tables },
    Case { name: "mixed", what: "256 MiB that do not compress, 64 files", make: mixed },
    Case { name: "huge", what: "8 GiB that do not compress, one file", make: |s, p| one_file(s, p, 8 << 30) },
    Case { name: "many", what: "100 000 files of 1-8 KiB", make: |s, p| small_files(s, p, 100_000) },
];
const DEFAULT_CASES: [&str; 2] = ["random", "small"];
const LIMIT: Duration = Duration::from_secs(3600);

fn main() {
    let mut runs = 3;
    let mut wanted: Vec<String> = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--runs" => runs = arguments.next().and_then(|n| n.parse().ok()).expect("--runs wants a number"),
            "--help" | "-h" => return usage_text(),
            case if CASES.iter().any(|known| known.name == case) => wanted.push(argument),
            other => {
                eprintln!("unknown: {other}");
                usage_text();
                std::process::exit(2);
            }
        }
    }
    if wanted.is_empty() {
        wanted = DEFAULT_CASES.map(str::to_owned).to_vec();
    }
    println!("| case | way | wall s | MiB/s | seller MiB, CPU s | relay MiB, CPU s | buyer MiB, CPU s |");
    println!("|---|---|---|---|---|---|---|");
    for case in CASES.iter().filter(|case| wanted.iter().any(|name| name == case.name)) {
        for _ in 0..runs {
            measure(case);
        }
    }
}

fn usage_text() {
    eprintln!("bench [--runs N] [CASE...]");
    for case in &CASES {
        eprintln!("  {:8} {}", case.name, case.what);
    }
}

fn measure(case: &Case) {
    let scratch = Scratch::new();
    let source = scratch.join("source");
    (case.make)(&scratch, &source);
    let wanted = Tree::of(&source);
    let bytes = wanted.bytes();
    for way in [Way::Concurrent, Way::Stored] {
        let mut relay = RelayProc::start_with(&scratch, &format!("relay-{way:?}"), &[]);
        let seller = Person::new(&scratch, &format!("seller-{way:?}"));
        let buyer = Person::new(&scratch, &format!("buyer-{way:?}"));
        let out = scratch.join(format!("out-{way:?}"));
        let start = Instant::now();
        let push = Pushing::of(seller.push(&relay, [&source]).limit(LIMIT).start());
        let (pushed, pulled, note) = match way {
            Way::Concurrent => {
                let pull = buyer.pull(&push.code, &out).limit(LIMIT).start();
                let (pushed, pulled) = both(push.running, pull);
                (pushed, pulled, String::new())
            }
            Way::Stored => {
                let pushed = push.running.end();
                let half = start.elapsed();
                let pulled = buyer.pull(&push.code, &out).limit(LIMIT).run();
                let rest = start.elapsed() - half;
                (pushed, pulled, format!(" (push {:.2}, pull {:.2})", half.as_secs_f64(), rest.as_secs_f64()))
            }
        };
        let wall = start.elapsed();
        let at_relay = usage(relay.process().id());
        let (pushed, pulled) = (pushed.exits(0), pulled.exits(0));
        println!(
            "| {} | {way:?}{note} | {:.2} | {:.0} | {} | {} | {} |",
            case.name,
            wall.as_secs_f64(),
            mib(bytes) / wall.as_secs_f64(),
            cell(pushed.peak_kib, pushed.cpu_ticks),
            cell(at_relay.peak_kib, at_relay.cpu_ticks),
            cell(pulled.peak_kib, pulled.cpu_ticks),
        );
        wanted.must_equal(&Tree::of(out.join("source")));
        std::fs::remove_dir_all(&out).unwrap();
        relay.kill();
        std::fs::remove_dir_all(relay.data()).unwrap();
    }
    match Sshd::start(&scratch) {
        Ok(sshd) => {
            let start = Instant::now();
            sshd.copy(&source, &scratch.join("copied"));
            let wall = start.elapsed().as_secs_f64();
            println!("| {} | scp | {wall:.2} | {:.0} | | | |", case.name, mib(bytes) / wall);
        }
        Err(why) => eprintln!("no comparison with scp: {why}"),
    }
}

/// Whether the buyer comes at once or when everything is at the relay.
#[derive(Clone, Copy, Debug)]
enum Way {
    Concurrent,
    Stored,
}

/// Waits for both at once, so that both are watched to their end.
fn both(push: Running, pull: Running) -> (Ended, Ended) {
    std::thread::scope(|scope| {
        let pushed = scope.spawn(|| push.end());
        let pulled = pull.end();
        (pushed.join().expect("the push was watched"), pulled)
    })
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn cell(peak_kib: u64, cpu_ticks: u64) -> String {
    format!("{:.0}, {:.2}", peak_kib as f64 / 1024.0, cpu_ticks as f64 / 100.0)
}

fn one_file(scratch: &Scratch, path: &Path, bytes: u64) {
    data::write_random(path.join("file.bin"), bytes, &mut scratch.dice("one file"));
}

fn mixed(scratch: &Scratch, path: &Path) {
    let mut dice = scratch.dice("mixed");
    for number in 0..64 {
        data::write_random(path.join(format!("{number}.bin")), 4 << 20, &mut dice);
    }
}

fn tables(scratch: &Scratch, path: &Path) {
    let mut dice = scratch.dice("tables");
    for number in 0..16 {
        data::write(path.join(format!("{number}.csv")), &dice.table(64 << 20));
    }
}

fn small_files(scratch: &Scratch, path: &Path, count: u64) {
    let mut dice = scratch.dice("small files");
    for number in 0..count {
        let bytes = 1024 + dice.below(7 * 1024) as usize;
        data::write(path.join(format!("{}/{number}.csv", number % 251)), &dice.table(bytes));
    }
}

/// An SSH server of this run alone: its own keys, a loopback port, no configuration of the machine.
struct Sshd {
    folder: PathBuf,
    port: u16,
    running: Running,
}

impl Sshd {
    fn start(scratch: &Scratch) -> Result<Self, String> {
        let find = |name: &str| programs::on_path(name).ok_or_else(|| format!("{name} is not installed"));
        let (sshd, keygen, _scp) = (find("sshd")?, find("ssh-keygen")?, find("scp")?);
        let folder = scratch.folder("ssh");
        data::set_mode(&folder, 0o700);
        for key in ["host", "user"] {
            let made = Launch::new(&keygen, &folder).args(["-q", "-t", "ed25519", "-N", "", "-f", key]).run();
            if made.code != Some(0) {
                return Err(format!("no key: {}", made.err()));
            }
        }
        std::fs::copy(folder.join("user.pub"), folder.join("authorized")).map_err(|error| error.to_string())?;
        // The port is free now; nobody else is likely to take it in the next moment.
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.map_err(|error| error.to_string())?.port();
        let path = |name: &str| folder.join(name).display().to_string();
        let mut options = vec![
            format!("HostKey={}", path("host")),
            format!("AuthorizedKeysFile={}", path("authorized")),
            "ListenAddress=127.0.0.1".into(),
            "PidFile=none".into(),
            "StrictModes=no".into(),
            "UsePAM=no".into(),
            "PasswordAuthentication=no".into(),
            "PermitRootLogin=prohibit-password".into(),
            "Subsystem=sftp internal-sftp".into(),
        ];
        let mut launch = Launch::new(sshd, &folder).args(["-D", "-e", "-f", "/dev/null", "-p", &port.to_string()]);
        for option in options.drain(..) {
            launch = launch.args(["-o", &option]);
        }
        let mut running = launch.start();
        let up = wait::try_until(Duration::from_secs(10), || {
            if !running.is_running() {
                return Some(false);
            }
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true)
        });
        match up {
            Ok(true) => Ok(Self { folder, port, running }),
            _ => Err(format!("sshd does not come up: {}", running.err_so_far())),
        }
    }

    fn copy(&self, source: &Path, target: &Path) {
        let user = std::env::var("USER").unwrap_or_else(|_unset| "root".into());
        let path = |name: &str| self.folder.join(name).display().to_string();
        let copied = Launch::new("scp", &self.folder)
            .args(["-q", "-r", "-B", "-P", &self.port.to_string(), "-i", &path("user")])
            .args(["-o", "StrictHostKeyChecking=no", "-o", &format!("UserKnownHostsFile={}", path("known"))])
            .args(["-o", "IdentitiesOnly=yes", "-F", "/dev/null"])
            .arg(source)
            .arg(format!("{user}@127.0.0.1:{}", target.display()))
            .limit(LIMIT)
            .run();
        assert!(copied.code == Some(0), "{copied}\n{}", self.running.err_so_far());
    }
}
