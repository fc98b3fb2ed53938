//! Pulls what was pushed, through a real relay in the same process.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

mod bench;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use bench::{Bench, Seen, random_bytes};
use handover::error::Error;
use handover::home::Home;
use handover::home::transfers::State;
use handover::pull::{self, Conflict, ConflictPolicy, Decide, LookOptions, TakeOptions, Taken};
use handover::{push, receipts, watch};
use handover_shared::fault::Fault;
use handover_shared::keys::OsEntropy;
use handover_shared::keys::code::{Code, Ticket};

/// Answers with this, and counts how often it was asked.
struct Always(ConflictPolicy, AtomicU32);

impl Decide for Always {
    fn conflicts(&self, count: u64, first: &[Conflict]) -> Option<ConflictPolicy> {
        assert_eq!((count, first.len()), (1, 1));
        self.1.fetch_add(1, Ordering::Relaxed);
        Some(self.0)
    }
}

/// Nobody answers.
struct Nobody;

impl Decide for Nobody {
    fn conflicts(&self, _: u64, _: &[Conflict]) -> Option<ConflictPolicy> {
        None
    }
}

struct Buyer {
    home: Home,
    to: PathBuf,
}

impl Buyer {
    fn new(bench: &Bench, name: &str) -> Self {
        let home = Home::open(Some(&bench.path(&format!("{name} home")))).unwrap();
        Self { home, to: bench.path(name) }
    }

    fn options(&self, code: &str) -> LookOptions {
        LookOptions { ticket: Ticket::parse(code).unwrap(), relay: None, out: Some(self.to.clone()), to_stdout: false }
    }

    async fn look(&self, code: &str) -> Result<pull::Look, Error> {
        let seen = Seen::new();
        pull::look(&self.home, self.options(code), seen.clone(), seen.stop()).await
    }

    async fn pull(&self, code: &str, seen: &Arc<Seen>) -> Result<Taken, Error> {
        self.pull_with(code, Arc::new(Nobody), seen).await
    }

    async fn pull_with(&self, code: &str, decide: Arc<dyn Decide>, seen: &Arc<Seen>) -> Result<Taken, Error> {
        let look = pull::look(&self.home, self.options(code), seen.clone(), seen.stop()).await?;
        look.take(TakeOptions::new(ConflictPolicy::Ask), decide, seen.clone(), seen.stop()).await
    }

    async fn resume(&self, id: u64, seen: &Arc<Seen>) -> Result<Taken, Error> {
        pull::resume(&self.home, id, Arc::default(), Arc::new(Nobody), seen.clone(), seen.stop()).await
    }

    fn state(&self) -> State {
        self.home.transfer(1).unwrap().facts().unwrap().state
    }
}

/// Everything below a folder that is to be kept, to compare.
fn tree(root: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let mut lines = Vec::new();
    let mut names: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in names {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let content = match (meta.is_symlink(), meta.is_dir()) {
            (true, _) => std::fs::read_link(&path).unwrap().display().to_string(),
            (_, true) => "folder".into(),
            _ => blake3::hash(&std::fs::read(&path).unwrap()).to_string(),
        };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        lines.push(format!("{name} {:o} {}.{} {content}", meta.mode(), meta.mtime(), meta.mtime_nsec()));
        if meta.is_dir() {
            lines.extend(tree(&path).into_iter().map(|line| format!("{name}/{line}")));
        }
    }
    lines
}

async fn pushed(bench: &Bench, sources: &[&str]) -> String {
    let seen = Seen::new();
    bench.push(bench.options(sources), &seen).await.unwrap();
    seen.code()
}

#[tokio::test(flavor = "multi_thread")] // [S15.4] [S10.10]
async fn a_whole_handover() {
    let bench = Bench::new().await;
    bench.small_tree();
    let code = pushed(&bench, &["shop"]).await;
    let buyer = Buyer::new(&bench, "buyer");

    let look = buyer.look(&code).await.unwrap();
    assert_eq!((look.offer().summary.files, look.complete(), look.is_continued()), (3, true, false));
    assert!(look.free_bytes().unwrap() > look.needed_bytes());
    assert_eq!(*look.acquaintance(), handover::home::parties::Acquaintance::New);
    assert!(!buyer.to.exists(), "looking leaves no trace");
    assert!(buyer.home.transfers().unwrap().is_empty());
    drop(look);

    let seen = Seen::new();
    let taken = buyer.pull(&code, &seen).await.unwrap();

    assert_eq!((taken.files, taken.unchanged, taken.exceptions, taken.delivered), (3, 0, 0, true));
    assert_eq!(tree(&buyer.to.join("shop")), tree(&bench.path("shop")));
    assert!(!buyer.to.join(".handover").exists());
    assert_eq!(buyer.state(), State::Delivered);
    let secrets = buyer.home.transfer(1).unwrap().secrets().unwrap();
    assert!(secrets.code.is_none() && secrets.content_key.is_none() && secrets.hybrid_seed.is_none());

    let seller = Seen::new();
    let facts = watch::wait(&bench.home(), 1, seller.clone(), seller.stop()).await.unwrap();
    assert_eq!((facts.files, facts.short.as_str()), (3, taken.receipt_short.as_str()));
    let (one, other) = (receipts::read(&bench.home(), 1).unwrap(), receipts::read(&buyer.home, 1).unwrap());
    assert_eq!((&one.text, &one.signature), (&other.text, &other.signature));
    assert_eq!(one.facts.buyer_fingerprint, other.facts.buyer_fingerprint);

    // The same command once more says the same and does nothing.
    let again = buyer.pull(&code, &seen).await.unwrap();
    assert_eq!(again, taken);
}

#[tokio::test(flavor = "multi_thread")] // [S13.6]
async fn a_code_is_spent_by_the_first() {
    let bench = Bench::new().await;
    bench.small_tree();
    let code = pushed(&bench, &["shop"]).await;
    let (first, second) = (Buyer::new(&bench, "first"), Buyer::new(&bench, "second"));
    let waiting = second.look(&code).await.unwrap();
    first.pull(&code, &Seen::new()).await.unwrap();

    let seen = Seen::new();
    let options = TakeOptions::new(ConflictPolicy::Ask);
    let late = waiting.take(options, Arc::new(Nobody), seen.clone(), seen.stop()).await;
    assert!(matches!(&late, Err(Error::Refused { .. })), "{late:?}");
    assert!(second.home.transfers().unwrap().is_empty(), "nothing came of it, nothing is kept");
    let later = second.look(&code).await.err().unwrap();
    assert!(matches!(later, Error::Refused { .. }), "{later:?}");
}

#[tokio::test(flavor = "multi_thread")] // [S13.6]
async fn somebody_else_has_it_and_when() {
    let bench = Bench::new().await;
    bench.random_file("big/data", 40 << 20);
    let code = pushed(&bench, &["big"]).await;
    let (first, second) = (Buyer::new(&bench, "first"), Buyer::new(&bench, "second"));
    let stopping = Seen::stopping_at("Stage(Receiving)");
    assert!(matches!(first.pull(&code, &stopping).await, Err(Error::Interrupted)));
    let refused = second.look(&code).await.err().unwrap();
    assert!(matches!(refused, Error::Refused { fault: Fault::AlreadyClaimed, time: Some(_), .. }), "{refused:?}");
    first.pull(&code, &Seen::new()).await.unwrap();
    assert_eq!(tree(&first.to.join("big")), tree(&bench.path("big")));
}

#[tokio::test(flavor = "multi_thread")] // [S15.1] [S15.3]
async fn a_pull_that_is_stopped_anywhere_continues() {
    for stop_at in ["Stage(Connecting)", "Stage(Receiving)", "Progress", "Stage(Placing)", "Stage(Signing)"] {
        let bench = Bench::new().await;
        bench.small_tree();
        bench.random_file("shop/big", 30 << 20);
        let code = pushed(&bench, &["shop"]).await;
        let buyer = Buyer::new(&bench, "buyer");
        let stopped = buyer.pull(&code, &Seen::stopping_at(stop_at)).await;
        assert!(matches!(stopped, Err(Error::Interrupted)), "{stop_at}: {stopped:?}");

        let seen = Seen::new();
        let taken = match buyer.home.transfers().unwrap().as_slice() {
            [] => buyer.pull(&code, &seen).await.unwrap(),
            _ => buyer.resume(1, &seen).await.unwrap(),
        };
        assert_eq!((taken.files, taken.kept_existing, taken.renamed), (4, 0, 0), "{stop_at}");
        assert_eq!(tree(&buyer.to.join("shop")), tree(&bench.path("shop")), "{stop_at}");
        assert_eq!(buyer.state(), State::Delivered);
    }
}

#[tokio::test(flavor = "multi_thread")] // [S12.5]
async fn a_relay_that_dies_and_comes_back_is_waited_for() {
    let mut bench = Bench::new().await;
    bench.random_file("big/data", 64 << 20);
    let code = pushed(&bench, &["big"]).await;
    let buyer = Buyer::new(&bench, "buyer");
    let (tell, told) = mpsc::channel();
    let seen = Seen::acting(move |event| {
        if format!("{event:?}").starts_with("Stage(Receiving)") {
            tell.send(()).unwrap();
        }
    });
    let pulling = {
        let (home, options, seen) = (buyer.home.clone(), buyer.options(&code), seen.clone());
        tokio::spawn(async move {
            let look = pull::look(&home, options, seen.clone(), seen.stop()).await?;
            let options = TakeOptions::new(ConflictPolicy::Ask);
            look.take(options, Arc::new(Nobody), seen.clone(), seen.stop()).await
        })
    };
    tokio::task::spawn_blocking(move || told.recv().unwrap()).await.unwrap();
    let port = bench.kill_relay().await;
    bench.restart_relay(port).await;
    let taken = pulling.await.unwrap().unwrap();
    assert!(taken.delivered);
    assert_eq!(std::fs::read(buyer.to.join("big/data")).unwrap(), random_bytes("big/data", 64 << 20));
}

#[tokio::test(flavor = "multi_thread")] // [S12.3]
async fn the_buyer_may_start_before_the_seller_is_done() {
    let bench = Bench::new().await;
    let (mut feed, source) = std::os::unix::net::UnixStream::pair().unwrap();
    let (tell, code) = mpsc::channel();
    let seller = Seen::acting(move |event| {
        if let handover::event::Event::CodeReady { ticket, .. } = event {
            tell.send(ticket.to_text().to_string()).unwrap();
        }
    });
    let options =
        push::PushOptions { sources: vec![push::Source::Stdin { name: "dump.sql".into() }], ..bench.options(&[]) };
    let pushing = {
        let (home, seller) = (bench.home(), seller.clone());
        tokio::spawn(
            async move { push::push_from(&home, options, Box::new(source), seller.clone(), seller.stop()).await },
        )
    };
    let code = tokio::task::spawn_blocking(move || code.recv().unwrap()).await.unwrap();
    let data = random_bytes("dump", 20 << 20);
    let first = data[..12 << 20].to_vec();
    let rest = data[12 << 20..].to_vec();
    let (mut feed, _) = tokio::task::spawn_blocking(move || {
        std::io::Write::write_all(&mut feed, &first).unwrap();
        (feed, ())
    })
    .await
    .unwrap();

    let buyer = Buyer::new(&bench, "buyer");
    let (tell, halfway) = mpsc::channel();
    let seen = Seen::acting(move |event| {
        if let handover::event::Event::Progress(progress) = event
            && progress.bytes_done >= 8 << 20
            && tell.send(()).is_err()
        {
            // It was told before.
        }
    });
    let pulling = {
        let (home, options, seen) = (buyer.home.clone(), buyer.options(&code), seen.clone());
        tokio::spawn(async move {
            let look = pull::look(&home, options, seen.clone(), seen.stop()).await?;
            assert!(!look.complete());
            let options = TakeOptions::new(ConflictPolicy::Ask);
            look.take(options, Arc::new(Nobody), seen.clone(), seen.stop()).await
        })
    };
    // The buyer has most of what was sent while the seller still holds the rest back.
    tokio::task::spawn_blocking(move || halfway.recv().unwrap()).await.unwrap();
    assert!(!pushing.is_finished() && !pulling.is_finished());
    tokio::task::spawn_blocking(move || {
        std::io::Write::write_all(&mut feed, &rest).unwrap();
    })
    .await
    .unwrap();
    pushing.await.unwrap().unwrap();
    pulling.await.unwrap().unwrap();
    assert!(!seen.has("Stalled"), "a slow seller is no stall");
    assert_eq!(std::fs::read(buyer.to.join("dump.sql")).unwrap(), data);
}

#[tokio::test(flavor = "multi_thread")] // [S15.6]
async fn conflicts_are_found_before_the_download_and_asked_about_once() {
    let bench = Bench::new().await;
    bench.small_tree();
    bench.random_file("shop/big", 30 << 20);
    let code = pushed(&bench, &["shop"]).await;
    let buyer = Buyer::new(&bench, "buyer");
    std::fs::create_dir_all(buyer.to.join("shop/orders")).unwrap();
    std::fs::write(buyer.to.join("shop/客户.csv"), "mine").unwrap();
    std::fs::copy(bench.path("shop/orders/none"), buyer.to.join("shop/orders/none")).unwrap();

    let seen = Seen::new();
    let nobody = buyer.pull(&code, &seen).await;
    assert!(matches!(nobody, Err(Error::Conflicts { count: 1, .. })), "{nobody:?}");
    assert!(seen.has("Stage(Scanning)") && !seen.has("Stage(Receiving)"), "{:?}", seen.lines());

    let answer = Arc::new(Always(ConflictPolicy::Rename, AtomicU32::new(0)));
    let stopped = buyer.pull_with(&code, answer.clone(), &Seen::stopping_at("Progress")).await;
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    let taken = buyer.pull_with(&code, answer.clone(), &Seen::new()).await.unwrap();
    assert_eq!(answer.1.load(Ordering::Relaxed), 1, "asked once");
    assert_eq!((taken.renamed, taken.unchanged, taken.kept_existing), (1, 1, 0));
    assert_eq!(std::fs::read(buyer.to.join("shop/客户.csv")).unwrap(), b"mine");
    assert!(buyer.to.join("shop/客户 (1).csv").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_why() {
    let bench = Bench::new().await;
    bench.small_tree();
    let code = pushed(&bench, &["shop"]).await;
    let buyer = Buyer::new(&bench, "buyer");

    let nothing = LookOptions { relay: Some("127.0.0.1:1".parse().unwrap()), ..buyer.options(&code) };
    let seen = Seen::new();
    let nobody = pull::look(&buyer.home, nothing, seen.clone(), seen.stop()).await.err().unwrap();
    assert!(nobody.is_passing(), "{nobody:?}");

    let unknown = format!("{}@{}", Code::generate(&mut OsEntropy).to_text().as_str(), bench.invite().address);
    let unknown = buyer.look(&unknown).await.err().unwrap();
    assert!(matches!(unknown, Error::Refused { fault: Fault::NotFound, .. }), "{unknown:?}");

    watch::revoke(&bench.home(), 1, &*Seen::new()).await.unwrap();
    let revoked = buyer.look(&code).await.err().unwrap();
    assert!(matches!(revoked, Error::Refused { fault: Fault::Revoked, .. }), "{revoked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_accepted_by_openssh() {
    let bench = Bench::new().await;
    bench.small_tree();
    let code = pushed(&bench, &["shop"]).await;
    let buyer = Buyer::new(&bench, "buyer");
    buyer.pull(&code, &Seen::new()).await.unwrap();
    let receipt = receipts::read(&buyer.home, 1).unwrap();
    let folder = bench.path("exported");
    let files = receipts::export(&receipt, &folder).unwrap();
    assert_eq!(files.len(), 3);
    receipts::export(&receipt, &folder).expect("the same again changes nothing");

    let verified = receipts::verify_file(&files[0], None, Some(&files[2])).unwrap();
    assert_eq!(verified.principal.as_deref(), Some("buyer"));
    assert_eq!(verified.fingerprint, receipt.facts.buyer_fingerprint);

    let mut text = std::fs::read_to_string(&files[0]).unwrap();
    text = text.replacen('3', "4", 1);
    let forged = folder.join("forged.json");
    std::fs::write(&forged, text).unwrap();
    assert!(matches!(receipts::verify_file(&forged, Some(&files[1]), None), Err(Error::BadReceipt(_))));

    let checked = std::process::Command::new("ssh-keygen")
        .args(["-Y", "verify", "-I", "buyer", "-n", "handover-receipt-v1", "-f"])
        .arg(&files[2])
        .arg("-s")
        .arg(&files[1])
        .stdin(std::fs::File::open(&files[0]).unwrap())
        .output();
    match checked {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("ssh-keygen is not here, so it was not asked: {error}"),
    }
}
