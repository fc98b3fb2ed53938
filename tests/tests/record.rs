//! The handover record: both sides make it, anybody checks it, with this program or without.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use handover_tests::{Language, Launch, Person, RelayProc, Scratch, data, programs};

/// A finished handover, and where everything is.
struct Handover {
    scratch: Scratch,
    _relay: RelayProc,
    seller: Person,
    buyer: Person,
    out: PathBuf,
}

/// Names that want to be markup, control a screen, or turn the direction of writing.
const HOSTILE: [&str; 4] =
    ["<script>alert(1)</script>.csv", "a\u{202e}vsc.exe", "</pre><h1>\"'&amp;.csv", "bell\u{7}\u{1b}[2J.csv"];

fn handover(files: usize) -> Handover {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    seller
        .run(["identity", "create", "--name", "王 <b>wang</b>", "--organisation", "Wang \u{202e}Appliances"])
        .exits(0);
    buyer.run(["identity", "create", "--name", "李 & \"li\"", "--organisation", "李氏贸易"]).exits(0);
    let source = scratch.join("客户 customers");
    for name in HOSTILE {
        data::write(source.join(name), name.as_bytes());
    }
    for number in 0..files {
        data::write(source.join(format!("orders/{number:05}.csv")), b"one;order\n");
    }
    let label = ["--label", "Kunden <i>2026</i> \u{202e}客户"];
    let code = seller.push(&relay, [&source]).args(label).run().exits(0).out().trim().to_owned();
    let out = scratch.join("out");
    buyer.pull(&code, &out).run().exits(0);
    seller.run(["wait", "1"]).exits(0);
    Handover { scratch, _relay: relay, seller, buyer, out }
}

impl Handover {
    fn sides(&self) -> [(&str, &Person); 2] {
        [("seller", &self.seller), ("buyer", &self.buyer)]
    }

    /// The record of a side, in a language, as a page.
    fn page(&self, side: &str, person: &Person, language: Language) -> PathBuf {
        let path = self.scratch.join(format!("{side}-{}.html", language.tag()));
        person.speaking(language).handover(["record", "1", "-o"]).arg(&path).run().exits(0);
        path
    }
}

fn verify(anybody: &Person, file: &Path) -> Launch {
    anybody.handover(["record", "verify"]).arg(file)
}

#[test] // [S19.1] [S19.2] [S19.4]
fn both_sides_make_a_record_that_anybody_can_check() {
    let done = handover(3);
    let anybody = Person::new(&done.scratch, "anybody");
    for (side, person) in done.sides() {
        for language in Language::ALL {
            let path = done.page(side, person, language);
            let page = fs::read_to_string(&path).unwrap();
            let seen = verify(&anybody.speaking(language), &path).run().exits(0);
            assert!(seen.out().contains("SHA256:"), "{seen}");
            for hostile in ["<script", "<b>", "<i>", "</pre><h1>", "\u{202e}", "\u{7}", "\u{1b}"] {
                assert!(!page.contains(hostile), "{hostile:?} in the page of the {side}");
            }
            assert!(page.contains("李氏贸易") && page.contains("客户 customers/orders/00002.csv"));
            assert!(page.contains(&format!("<html lang=\"{}\">", language.tag())));
            // Written once more it takes its own place, and nobody else's.
            person.handover(["record", "1", "-o"]).arg(&path).run().exits(0);
            verify(&anybody, &path).run().exits(0);
        }
        let other = done.scratch.join("other");
        data::write(&other, b"mine");
        person.handover(["record", "1", "-o"]).arg(&other).run().exits(9);
        assert_eq!(fs::read(&other).unwrap(), b"mine");

        // To standard output, and for programs.
        let page = person.run(["record", "1"]).exits(0).out();
        let path = done.scratch.join("stdout.html");
        data::write(&path, page.as_bytes());
        verify(&anybody, &path).run().exits(0);
        let document = done.scratch.join(format!("{side}.json"));
        person.handover(["record", "1", "--json", "-o"]).arg(&document).run().exits(0);
        verify(&anybody, &document).run().exits(0);
        let lines = person.run(["record", "1", "--json"]).exits(0);
        data::write(&path, lines.out().as_bytes());
        verify(&anybody, &path).run().exits(0);
        assert_eq!(lines.event("record")["record"]["verdict"], "complete", "{lines}");
    }
    assert!(done.out.join("客户 customers/orders/00001.csv").exists());
    a_changed_byte_is_found(&done, &anybody);
    other_keys_are_found(&done, &anybody);
}

fn a_changed_byte_is_found(done: &Handover, anybody: &Person) {
    let page = fs::read_to_string(done.scratch.join("seller-en.html")).unwrap();
    let path = done.scratch.join("changed.html");
    let places =
        ["orders/00001", "Wang", "SHA256:", "complete", "&quot;files&quot;", "2026", "BEGIN SSH SIGNATURE", "<h2"];
    for place in places {
        let at = page.rfind(place).unwrap_or_else(|| panic!("no {place}"));
        let mut changed = page.clone().into_bytes();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        verify(anybody, &path).run().exits(8);
    }
    let document = fs::read_to_string(done.scratch.join("seller.json")).unwrap();
    for (from, to) in [("\"complete\"", "\"waiting\""), ("\"valid\"", "\"absent\""), ("00001.csv", "00001.cs")] {
        fs::write(&path, document.replacen(from, to, 1)).unwrap();
        verify(anybody, &path).run().exits(8);
    }
    fs::write(&path, "no record").unwrap();
    verify(anybody, &path).run().exits(8);
    fs::write(&path, page.replace("name=\"handover-record\" content=\"1\"", "name=\"handover-record\" content=\"9\""))
        .unwrap();
    verify(anybody, &path).run().exits(1);
}

fn other_keys_are_found(done: &Handover, anybody: &Person) {
    let path = done.scratch.join("seller-en.html");
    let lines = verify(anybody, &path).arg("--json").run().exits(0);
    let keys = lines.event("verified");
    let (seller, buyer) = (keys["seller_key"].as_str().unwrap(), keys["buyer_key"].as_str().unwrap());
    verify(anybody, &path).args(["--seller", seller, "--buyer", buyer]).run().exits(0);
    verify(anybody, &path).args(["--seller", buyer]).run().exits(8);
    verify(anybody, &path).args(["--buyer", seller]).run().exits(8);
    verify(anybody, &path).args(["--buyer", "SHA256:short"]).run().exits(2);
}

#[test] // [S9.6] [S9.7]
fn the_full_list_is_the_one_that_was_sealed() {
    let done = handover(300);
    let mut lists = Vec::new();
    for (side, person) in done.sides() {
        let (page, annex) = (done.scratch.join(format!("{side}.html")), done.scratch.join(format!("{side}.txt")));
        let made = person.handover(["record", "1", "-o"]).arg(&page).arg("--annex").arg(&annex).run().exits(0);
        lists.push(fs::read_to_string(&annex).unwrap());
        let text = fs::read_to_string(&page).unwrap();
        // A crowd is one line of the page and three hundred of the list.
        assert!(!text.contains("00123.csv") && text.contains("orders"), "{made}");
        assert!(lists.last().unwrap().contains("orders/00123.csv"));
        person.handover(["record", "1", "-o"]).arg(&page).arg("--annex").arg(&annex).run().exits(9);
    }
    assert_eq!(lists[0], lists[1]);
    // Two of the hostile names hold a slash, and so are a folder and a file.
    let in_folders = HOSTILE.iter().filter(|name| name.contains('/')).count();
    assert_eq!(lists[0].lines().count(), 1 + 2 + HOSTILE.len() + in_folders + 300);
    // What is kept is compared with what was sealed.
    let kept = done.buyer.home().join("transfers/1/inventory");
    let mut bytes = fs::read(&kept).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs::write(&kept, bytes).unwrap();
    done.buyer.run(["record", "1"]).exits(1);
}

#[test] // [S19.3]
fn what_does_not_hold_is_said() {
    let done = handover(1);
    let folder = done.seller.home().join("transfers/1");
    let anybody = Person::new(&done.scratch, "anybody");
    let receipt = fs::read_to_string(folder.join("receipt.txt")).unwrap();
    fs::write(folder.join("receipt.txt"), receipt.replace("\"kept-existing\": \"0\"", "\"kept-existing\": \"1\""))
        .unwrap();
    let path = done.scratch.join("faulty.html");
    done.seller.handover(["record", "1", "-o"]).arg(&path).run().exits(8);
    let seen = verify(&anybody, &path).run().exits(8);
    assert!(seen.out().contains("does not fit"), "{seen}");
    let page = fs::read_to_string(&path).unwrap();
    assert!(page.contains("not valid"), "it is not shown");
    // Without the receipt it waits for it.
    for file in ["receipt.txt", "receipt.sig"] {
        fs::remove_file(folder.join(file)).unwrap();
    }
    done.seller.handover(["record", "1", "-o"]).arg(&path).run().exits(0);
    let seen = verify(&anybody, &path).run().exits(0);
    assert!(seen.out().contains("no statement"), "{seen}");
    anybody.run(["record", "7"]).exits(10);
}

#[test] // [S19.1]
fn the_commands_of_the_page_about_it_check_a_record() {
    if programs::on_path("ssh-keygen").is_none() {
        eprintln!("skipped: ssh-keygen is not installed");
        return;
    }
    let manual = fs::read_to_string(programs::source_tree().join("client/RECORD.md")).unwrap();
    let (english, chinese) = manual.split_once("\n---\n").unwrap();
    assert_eq!(commands(english), commands(chinese), "both languages say the same");
    let done = handover(200);
    for (side, person) in done.sides() {
        for (language, text) in [(Language::English, english), (Language::Chinese, chinese)] {
            let folder = done.scratch.folder(format!("by-hand-{side}-{}", language.tag()));
            let (page, annex) = (folder.join("record.html"), folder.join("list.txt"));
            person
                .speaking(language)
                .handover(["record", "1", "-o"])
                .arg(&page)
                .arg("--annex")
                .arg(&annex)
                .run()
                .exits(0);
            let checked = by_hand(&folder, &commands(text)).run().exits(0);
            assert!(checked.out().matches("Good \"handover-").count() >= 4, "{checked}");
            let whole = fs::read_to_string(&page).unwrap();
            // In what is signed, in what is named by a hash, in a signature.
            for (from, to) in [
                ("&quot;bytes&quot;: &quot;", "&quot;bytes&quot;: &quot;9"),
                ("&quot;modified&quot;:", "&quot;modified&quot;:1"),
                ("&quot;kept-existing&quot;: &quot;0", "&quot;kept-existing&quot;: &quot;1"),
                ("-----BEGIN SSH SIGNATURE-----\nU", "-----BEGIN SSH SIGNATURE-----\nV"),
            ] {
                assert!(whole.contains(from), "{from}");
                fs::write(&page, whole.replace(from, to)).unwrap();
                let refused = by_hand(&folder, &commands(text)).run();
                assert_ne!(refused.code, Some(0), "{from}\n{refused}");
            }
        }
    }
}

/// The commands of a text, joined.
fn commands(text: &str) -> String {
    let mut all = String::new();
    for block in text.split("```sh\n").skip(1) {
        all.push_str(block.split_once("```").unwrap().0);
    }
    assert!(all.lines().count() > 30, "the commands were not found");
    all
}

fn by_hand(folder: &Path, commands: &str) -> Launch {
    fs::write(folder.join("check.sh"), commands).unwrap();
    Launch::new(programs::on_path("sh").unwrap(), folder).args(["-eu", "check.sh"])
}
