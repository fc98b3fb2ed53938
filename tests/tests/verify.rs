//! Whether a folder still matches what was received or sent, as both sides ask it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use handover_tests::{Ended, Language, Person, RelayProc, Scratch, data};

/// A whole handover: the source, the buyer's folder, and both people.
struct Scene {
    scratch: Scratch,
    seller: Person,
    buyer: Person,
    source: PathBuf,
    out: PathBuf,
    _relay: RelayProc,
}

impl Scene {
    fn new() -> Self {
        let scratch = Scratch::new();
        let relay = RelayProc::start(&scratch);
        let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
        let source = scratch.join("customers");
        data::write(source.join("customers.csv"), &scratch.dice("customers").table(300_000));
        data::write(source.join("订单/2026.csv"), b"orders of 2026");
        data::write(source.join("订单/empty"), b"");
        fs::create_dir(source.join("contracts")).unwrap();
        symlink("customers.csv", source.join("latest")).unwrap();
        mode(&source.join("订单/2026.csv"), 0o640);
        let code = seller.pushed(&relay, [&source]);
        let out = scratch.join("out");
        buyer.pull(&code, &out).run().exits(0);
        seller.run(["wait", "1"]).exits(0);
        Self { scratch, seller, buyer, source, out, _relay: relay }
    }

    fn received(&self, name: &str) -> PathBuf {
        self.out.join("customers").join(name)
    }

    fn check(&self) -> Ended {
        self.buyer.handover(["verify", "--json", "--all"]).arg(&self.out).run()
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Kinds of difference, each with its path.
fn differences(ended: &Ended) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let all = ended.events().into_iter().filter(|event| event["event"] == "difference");
    let mut all: Vec<_> = all.map(|event| (text(&event["kind"]), text(&event["path"]))).collect();
    all.sort();
    all
}

fn verdicts(ended: &Ended) -> [String; 4] {
    let found = ended.event("verification");
    ["authenticity", "completeness", "usability", "safety"].map(|name| found[name].as_str().unwrap().to_owned())
}

#[test] // [S18.1] [S18.2] [S18.3]
fn what_was_handed_over_matches_on_both_sides() {
    let scene = Scene::new();
    for (person, folder) in [(&scene.buyer, &scene.out), (&scene.seller, &scene.source)] {
        for way in ["1".as_ref(), folder.as_os_str()] {
            let ended = person.handover(["verify", "--json", "--all"]).arg(way).run().exits(0);
            assert_eq!(differences(&ended), [], "{ended}");
            assert_eq!(verdicts(&ended), ["pass"; 4], "{ended}");
            let found = ended.event("verification");
            assert_eq!((&found["files"], &found["root_fits"]), (&3.into(), &true.into()), "{ended}");
        }
    }
    // The one folder in the destination is as good a name for it.
    scene.buyer.handover(["verify"]).arg(scene.received("")).run().exits(0);
    let chinese = scene.buyer.speaking(Language::Chinese).run(["verify", "1"]).exits(0);
    for word in ["真实性", "完整性", "可用性", "安全性", "与收到的内容一致"] {
        assert!(chinese.out().contains(word), "{word}\n{chinese}");
    }
    let english = scene.seller.run(["verify", "1"]).exits(0);
    for word in ["Authenticity", "Completeness", "Usability", "Safety", "matches what was sent"] {
        assert!(english.out().contains(word), "{word}\n{english}");
    }
}

#[test] // [S18.3] [S18.4]
fn every_difference_is_found_by_name() {
    let scene = Scene::new();
    type Change = fn(&Scene);
    type Row<'a> = (&'a str, Change, &'a [(&'a str, &'a str)], [&'a str; 4]);
    let table: [Row; 12] = [
        (
            "one byte",
            |it| {
                let path = it.received("customers.csv");
                let mut bytes = fs::read(&path).unwrap();
                bytes[777] ^= 1;
                fs::write(&path, bytes).unwrap();
            },
            &[("changed", "customers/customers.csv")],
            ["fail", "pass", "pass", "pass"],
        ),
        (
            "longer",
            |it| fs::write(it.received("订单/empty"), "x").unwrap(),
            &[("changed", "customers/订单/empty")],
            ["fail", "pass", "pass", "pass"],
        ),
        (
            "cut short",
            |it| fs::write(it.received("订单/2026.csv"), "orders").unwrap(),
            &[("shortened", "customers/订单/2026.csv")],
            ["fail", "pass", "fail", "pass"],
        ),
        (
            "removed",
            |it| fs::remove_file(it.received("customers.csv")).unwrap(),
            &[("missing", "customers/customers.csv")],
            ["attention", "fail", "pass", "pass"],
        ),
        (
            "a folder removed",
            |it| fs::remove_dir_all(it.received("订单")).unwrap(),
            &[
                ("missing", "customers/订单"),
                ("missing", "customers/订单/2026.csv"),
                ("missing", "customers/订单/empty"),
            ],
            ["attention", "fail", "pass", "pass"],
        ),
        (
            "added",
            |it| data::write(it.received("contracts/more/evil.sh"), b"x"),
            &[("added", "customers/contracts/more")],
            ["fail", "pass", "pass", "pass"],
        ),
        (
            "a folder in the place of a file",
            |it| {
                fs::remove_file(it.received("customers.csv")).unwrap();
                fs::create_dir(it.received("customers.csv")).unwrap();
            },
            &[("other-kind", "customers/customers.csv")],
            ["fail", "pass", "pass", "pass"],
        ),
        (
            "a link in the place of a folder",
            |it| {
                fs::rename(it.received("订单"), it.scratch.join("elsewhere")).unwrap();
                symlink(it.scratch.join("elsewhere"), it.received("订单")).unwrap();
            },
            &[
                ("missing", "customers/订单/2026.csv"),
                ("missing", "customers/订单/empty"),
                ("other-kind", "customers/订单"),
            ],
            ["fail", "fail", "pass", "pass"],
        ),
        (
            "another target",
            |it| {
                fs::remove_file(it.received("latest")).unwrap();
                symlink("/etc/passwd", it.received("latest")).unwrap();
            },
            &[("changed", "customers/latest"), ("leads-out", "customers/latest")],
            ["fail", "pass", "pass", "fail"],
        ),
        (
            "permissions",
            |it| mode(&it.received("订单/2026.csv"), 0o600),
            &[("other-mode", "customers/订单/2026.csv")],
            ["fail", "pass", "pass", "pass"],
        ),
        (
            "for everybody",
            |it| mode(&it.received("订单/2026.csv"), 0o642),
            &[("exposed", "customers/订单/2026.csv"), ("other-mode", "customers/订单/2026.csv")],
            ["fail", "pass", "pass", "fail"],
        ),
        (
            "setuid",
            |it| mode(&it.received("订单/2026.csv"), 0o4640),
            &[("privileged", "customers/订单/2026.csv")],
            ["pass", "pass", "pass", "fail"],
        ),
    ];
    let pristine = scene.scratch.join("pristine");
    copy(&scene.out, &pristine);
    for (name, change, wanted, verdicts_wanted) in table {
        change(&scene);
        let ended = scene.check().exits(8);
        let found: Vec<_> = differences(&ended).into_iter().filter(|(kind, _)| kind != "other-time").collect();
        let found: Vec<_> = found.iter().map(|(kind, path)| (kind.as_str(), path.as_str())).collect();
        assert_eq!(found, wanted, "{name}\n{ended}");
        assert_eq!(verdicts(&ended), verdicts_wanted, "{name}\n{ended}");
        let people = scene.buyer.run(["verify", "1"]).exits(8);
        assert!(people.out().contains(wanted[0].1) && people.out().contains('✘'), "{name}\n{people}");
        fs::remove_dir_all(&scene.out).unwrap();
        copy(&pristine, &scene.out);
        scene.check().exits(0);
    }
}

/// With modes and times.
fn copy(from: &Path, to: &Path) {
    let ended = handover_tests::Launch::new("/bin/cp", "/").args(["-a"]).arg(from).arg(to).run();
    ended.exits(0);
}

#[test] // [S18.4]
fn what_cannot_be_read_is_not_usable() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may read everything");
        return;
    }
    let scene = Scene::new();
    mode(&scene.received("customers.csv"), 0);
    let ended = scene.check().exits(8);
    assert_eq!(verdicts(&ended)[2], "fail", "{ended}");
    mode(&scene.received("customers.csv"), 0o644);
}

#[test] // [S18.2]
fn altered_papers_are_found() {
    let scene = Scene::new();
    let folder = scene.buyer.home().join("transfers/1");
    for (file, word, find, replace) in [
        ("seal.txt", "seal", "\"files\": \"3\"", "\"files\": \"2\""),
        ("offer.txt", "seal", "\"agreement\": \"none\"", "\"agreement\": \"none\" "),
        ("receipt.txt", "receipt", "\"kept-existing\": \"0\"", "\"kept-existing\": \"1\""),
    ] {
        let good = fs::read_to_string(folder.join(file)).unwrap();
        assert!(good.contains(find), "{good}");
        fs::write(folder.join(file), good.replace(find, replace)).unwrap();
        let ended = scene.check();
        if file == "offer.txt" {
            // It is no statement any more.
            let ended = ended.exits(1);
            assert_eq!(ended.event("error")["code"], "state", "{ended}");
        } else {
            let ended = ended.exits(8);
            assert!(ended.event("verification")["bad_papers"].to_string().contains(word), "{ended}");
            assert_eq!(verdicts(&ended)[0], "fail", "{ended}");
        }
        fs::write(folder.join(file), good).unwrap();
    }
    // One bit of what is kept, and nothing is believed.
    let manifest = fs::read(folder.join("manifest")).unwrap();
    for place in [3, manifest.len() / 2, manifest.len() - 1] {
        let mut altered = manifest.clone();
        altered[place] ^= 4;
        fs::write(folder.join("manifest"), altered).unwrap();
        scene.check().exits(1);
    }
    fs::write(folder.join("manifest"), manifest).unwrap();
    // Another key gives another root: what is kept is not what was signed.
    let key = fs::read(folder.join("manifest.key")).unwrap();
    fs::copy(scene.seller.home().join("transfers/1/manifest.key"), folder.join("manifest.key")).unwrap();
    scene.check().exits(0);
    fs::write(folder.join("manifest.key"), key).unwrap();
    scene.check().exits(0);
}

#[test] // [S18.3]
fn a_copy_elsewhere_is_checked_against_the_transfer_that_is_named() {
    let scene = Scene::new();
    let copied = scene.scratch.join("backup of customers");
    fs::create_dir(&copied).unwrap();
    copy(&scene.received(""), &copied.join("renamed"));
    let verify = |path: &Path| scene.buyer.handover(["verify", "--json", "--id", "1"]).arg(path).run();
    verify(&copied.join("renamed")).exits(0);
    fs::rename(copied.join("renamed"), copied.join("customers")).unwrap();
    verify(&copied).exits(0);
    fs::remove_file(copied.join("customers/订单/empty")).unwrap();
    let ended = verify(&copied).exits(8);
    assert_eq!(differences(&ended), [("missing".into(), "customers/订单/empty".into())], "{ended}");

    // Without the number it belongs to nothing.
    let ended = scene.buyer.handover(["verify", "--json"]).arg(&copied).run().exits(10);
    assert_eq!(ended.event("error")["code"], "not-ours");
    let ended = scene.buyer.speaking(Language::Chinese).handover(["verify"]).arg(&copied).run().exits(10);
    assert!(ended.err().contains("不属于本机的任何移交"), "{ended}");
    scene.buyer.run(["verify", "no-such-folder"]).exits(9);
    scene.buyer.run(["verify", "7"]).exits(10);
}

#[test] // [S18.4]
fn what_was_there_before_is_no_difference_and_what_is_left_behind_is() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let (source, out) = (scratch.join("customers"), scratch.join("out"));
    data::write(source.join("a.csv"), b"theirs");
    data::write(source.join("b.csv"), b"the same");
    data::write(source.join("c.csv"), b"also theirs");
    data::write(out.join("customers/a.csv"), b"mine");
    data::write(out.join("customers/b.csv"), b"the same");
    data::write(out.join("customers/notes.txt"), b"mine");
    let code = seller.pushed(&relay, [&source]);
    buyer.pull(&code, &out).args(["--conflict", "skip"]).run().exits(0);

    let ended = buyer.handover(["verify", "--json"]).arg(&out).run().exits(0);
    let found = ended.event("verification");
    assert_eq!((&found["left_out"], &found["beside"]), (&1.into(), &1.into()), "{ended}");
    assert_eq!(verdicts(&ended), ["attention", "attention", "pass", "pass"], "{ended}");

    let transfer = found["transfer"].as_str().unwrap().to_owned();
    fs::create_dir_all(out.join(".handover").join(&transfer)).unwrap();
    let ended = buyer.handover(["verify", "--json"]).arg(&out).run().exits(8);
    assert_eq!(verdicts(&ended)[3], "fail", "{ended}");
    fs::rename(out.join(".handover").join(&transfer), out.join(".handover/00")).unwrap();
    let ended = buyer.handover(["verify", "--json"]).arg(&out).run().exits(0);
    assert_eq!(verdicts(&ended)[3], "attention", "{ended}");
}

#[test] // [S18.4]
fn the_seller_asks_the_same_before_the_receipt_is_there() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let seller = Person::new(&scratch, "seller");
    let (source, single) = (scratch.join("customers"), scratch.join("single.csv"));
    data::write(source.join("a.csv"), b"ours");
    data::write(source.join("a.tmp"), b"not sent");
    data::write(&single, b"one more");
    let more = ["--exclude".as_ref(), "*.tmp".as_ref(), single.as_os_str(), source.as_os_str()];
    seller.pushed(&relay, more);
    let ended = seller.run(["verify", "1", "--json"]).exits(0);
    assert_eq!(verdicts(&ended), ["attention", "pass", "pass", "pass"], "{ended}");
    assert_eq!(ended.event("verification")["beside"], 1, "{ended}");
    data::write(&single, b"one m0re");
    let ended = seller.run(["verify", "1", "--json"]).exits(8);
    assert_eq!(differences(&ended), [("changed".into(), "single.csv".into())], "{ended}");
}

#[test]
fn the_list_is_bounded_and_an_interruption_is_heard() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let (source, out) = (scratch.join("many"), scratch.join("out"));
    for number in 0..60 {
        data::write(source.join(format!("{number:03}")), format!("{number}").as_bytes());
    }
    let code = seller.pushed(&relay, [&source]);
    buyer.pull(&code, &out).run().exits(0);
    for number in 0..50 {
        fs::remove_file(out.join(format!("many/{number:03}"))).unwrap();
    }
    let ended = buyer.run(["verify", "1"]).exits(8);
    let named =
        |ended: &Ended| ended.out().lines().filter(|line| line.contains("missing") && line.contains("many/")).count();
    assert_eq!(named(&ended), 20, "{ended}");
    assert!(ended.out().contains("30 more"), "{ended}");
    assert_eq!(named(&buyer.run(["verify", "1", "--all"]).exits(8)), 50);
    assert_eq!(differences(&buyer.run(["verify", "1", "--json"]).exits(8)).len(), 20);

    // A file that never ends: the reader is at it when it is asked to stop.
    let sparse = fs::File::create(out.join("many/055")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let mut running = buyer.handover(["verify", "1", "--json"]).start();
    running.event("progress", |event| (event["bytes_done"].as_u64() > Some(1 << 20)).then_some(()));
    running.interrupt();
    running.end().exits(130);
}
