//! A seller who means no good: names, links and numbers made by hand, validly sealed and signed, through a real relay to
//! a real buyer. Nothing is written outside the destination, nothing wrong is placed, memory and disk stay bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use handover_shared::archive::frame::{Level, Packer};
use handover_shared::archive::path::EntryPath;
use handover_shared::ids::BlockSize;
use handover_tests::double::cage::{Cage, placed};
use handover_tests::double::seller::{Pretence, summary};
use handover_tests::double::seller_archive::{Archive, Fields, bomb};
use handover_tests::{data, faults_table};

const NAMES: &str = include_str!("../data/hostile_names.txt");
/// Set to something, every name that must be refused is sent to a real buyer, not only some of each class.
const LONG_VARIABLE: &str = "HANDOVER_TEST_LONG";
const MIB: usize = 1024 * 1024;

/// Writes an archive by hand.
type Write<'a> = &'a dyn Fn(&mut Archive);

#[test] // [S6.7]
fn what_tells_no_lie_is_taken() {
    let cage = Cage::new();
    let code = cage.evil.upload(|archive| {
        archive.folder("a");
        archive.file("a/x", b"one");
        archive.file("a/big", &vec![7; 3 * MIB]);
        archive.link("a/y", "x");
        archive.exception("gone", 1);
    });
    // Not in order: `big` comes before `x`.
    cage.refused("out of order", &code, &["a"]);
    let code = cage.evil.upload(|archive| {
        archive.folder("a");
        archive.file("a/big", &vec![7; 3 * MIB]);
        archive.file("a/x", b"one");
        archive.link("a/y", "x");
        archive.exception("gone", 1);
    });
    let (ended, out) = cage.pull("no lie", &code);
    ended.exits(4);
    assert_eq!(std::fs::read(out.join("a/y")).unwrap(), b"one");
    assert_eq!(std::fs::metadata(out.join("a/big")).unwrap().len(), 3 * MIB as u64);
}

#[test] // [S6.7] [S3.1] [S15.5]
fn names_that_lead_elsewhere_are_refused() {
    let cage = Cage::new();
    let (all, mut sent) = (corpus("refused"), BTreeMap::<String, (u64, u64)>::new());
    assert!(all.len() > 60);
    let is_long = std::env::var_os(LONG_VARIABLE).is_some();
    for (class, name) in &all {
        assert!(EntryPath::parse(name).is_err(), "{:?} is a path", shown(name));
        let (count, pulled) = sent.entry(class.clone()).or_default();
        *count += 1;
        // The long form sends every name to a real buyer.
        if is_long || *count <= 2 {
            *pulled += 2;
            cage.refuses(&shown(name), |archive| archive.file(name, b"planted"));
            cage.refuses(&shown(name), |archive| {
                archive.folder_as(&Fields::folder(name));
                archive.file([name, &b"/planted"[..]].concat(), b"planted");
            });
        }
    }
    for class in ["dots", "absolute", "nul", "empty"] {
        let name = &all.iter().find(|(own, _)| own == class).unwrap().1;
        cage.refuses("an exception", |archive| archive.exception(name, 1));
        cage.refuses("an exception that may be long", |archive| archive.exception(name, 6));
        cage.refuses("a link", |archive| archive.link(name, "x"));
    }
    for (class, (count, pulled)) in sent {
        let fault = format!("names that lead elsewhere: {class}");
        let outcome = format!("refused by the parser; {pulled} archives with them by a real buyer, exit 8");
        faults_table::record("seller", &fault, count, &outcome);
    }
}

#[test] // [S6.7] [S15.2] [S15.5]
fn names_that_mean_something_elsewhere_are_names_here() {
    let cage = Cage::new();
    let mut names = corpus("placed");
    names.sort_by(|one, other| one.1.cmp(&other.1));
    names.dedup_by(|one, other| one.1 == other.1);
    assert!(names.len() > 150);
    let code = cage.evil.upload_as(
        &pretending(names.len() as u64, 100_000),
        BlockSize::Small,
        |archive| {
            for (_, name) in &names {
                archive.file(name, name);
            }
        },
        |_| {},
    );
    let (ended, out) = cage.pull("odd names", &code);
    // Three of them are the name of the work folder, which is nobody else's.
    ended.exits(4);
    let mut own = 0;
    for (class, name) in &names {
        if class == "own" {
            own += 1;
            continue;
        }
        let path = data::below(&out, name);
        assert!(std::fs::read(&path).is_ok_and(|content| content == *name), "{} is not there", shown(name));
    }
    assert_eq!((own, placed(&out).len()), (3, names.len()));
    assert!(!out.join(".handover").exists(), "the work folder is gone, and nothing took its name");
    faults_table::record(
        "seller",
        "names that are special elsewhere",
        names.len() as u64,
        "placed beneath, as they are",
    );
}

#[test] // [S6.8] [S6.7] [S15.5]
fn links_lead_nowhere_else() {
    let cage = Cage::new();
    let outside = cage.outside().as_os_str().as_bytes().to_vec();
    let targets: Vec<Vec<u8>> = [
        &b".."[..],
        b"../outside",
        b"../outside/canary",
        b"/",
        b"/etc/passwd",
        b"//x",
        b"",
        b"a/../../x",
        b"./../x",
        b"x/..",
        b"x/../../outside",
        b"a\0b",
        b"./..",
        b"../.",
        b"/proc/self/cwd",
        b"....//../x",
    ]
    .iter()
    .map(|target| target.to_vec())
    .chain([outside, vec![b'x'; 4097]])
    .collect();
    for target in &targets {
        cage.refuses(&format!("a link to {}", shown(target)), |archive| archive.link("link", target));
    }
    let code = cage.evil.upload(|archive| {
        archive.folder("a");
        archive.link("a/link", "../../outside");
    });
    cage.refused("a link that climbs once too often", &code, &["a"]);
    for (what, write) in [
        (
            "a file beneath a link",
            (|archive: &mut Archive| {
                archive.link("a", "b");
                archive.file("a/x", b"planted");
            }) as fn(&mut Archive),
        ),
        ("a folder beneath a link", |archive| {
            archive.folder("b");
            archive.link("c", "b");
            archive.folder("c/d");
        }),
        ("a link beneath a link", |archive| {
            archive.folder("b");
            archive.link("c", "b");
            archive.link("c/d", "x");
        }),
        ("a folder of the name of a link", |archive| {
            archive.link("a", ".");
            archive.folder("a");
            archive.file("a/x", b"planted");
        }),
        ("a file without its folder", |archive| archive.file("nowhere/x", b"planted")),
        ("a file beneath a file", |archive| {
            archive.file("a", b"x");
            archive.file("a/x", b"planted");
        }),
        ("a file with a target", |archive| {
            archive.bare_entry(&Fields { kind: 0, ..Fields::link("a", "b") });
        }),
        ("a link without a target", |archive| archive.bare_entry(&Fields { target: None, ..Fields::link("a", "b") })),
    ] {
        let code = cage.evil.upload(write);
        cage.refused(what, &code, &["a", "b", "c"]);
    }
    // Loops are links like any other: they are made and never followed.
    let code = cage.evil.upload(|archive| {
        archive.link("a", "b");
        archive.link("b", "a");
        archive.folder("d");
        archive.link("d/self", "../d/self");
        archive.link("d/up", "..");
        archive.link("e", ".handover");
    });
    let (ended, out) = cage.pull("loops", &code);
    ended.exits(0);
    assert_eq!(std::fs::read_link(out.join("d/up")).unwrap(), Path::new(".."));
    faults_table::record(
        "seller",
        "links that lead out, are written through, or loop",
        targets.len() as u64 + 10,
        "refused, exit 8; loops are made and not followed",
    );
}

#[test] // [S6.7] [S15.6]
fn nothing_takes_the_place_of_another() {
    let cage = Cage::new();
    for (what, write) in [
        (
            "the same file twice",
            (|archive: &mut Archive| {
                archive.file("a", b"first");
                archive.file("a", b"second");
            }) as fn(&mut Archive),
        ),
        ("a file, then a folder", |archive| {
            archive.file("a", b"first");
            archive.folder("a");
            archive.file("a/x", b"planted");
        }),
        ("a folder, then a file", |archive| {
            archive.folder("a");
            archive.file("a", b"planted");
        }),
        ("a folder twice", |archive| {
            archive.folder("a");
            archive.file("a/x", b"first");
            archive.folder("a");
        }),
        ("a file, later again", |archive| {
            archive.file("a", b"first");
            archive.file("b", b"other");
            archive.file("a", b"second");
        }),
    ] {
        let code = cage.evil.upload(write);
        let (ended, out) = cage.pull(what, &code);
        assert!(ended.code == Some(8), "{what}\n{ended}");
        if let Ok(content) = std::fs::read(out.join("a")) {
            assert_eq!(content, b"first", "{what}");
        }
    }
    // What is one name to some file systems is two here; nothing of either is lost.
    let alike = ["A", "a", "e\u{301}", "\u{c5}", "\u{e9}", "\u{212b}"];
    let code = cage.evil.upload(|archive| alike.iter().for_each(|name| archive.file(name, name.as_bytes())));
    let (ended, out) = cage.pull("names that are alike", &code);
    ended.exits(0);
    for name in alike {
        assert_eq!(std::fs::read(out.join(name)).unwrap(), name.as_bytes());
    }
    faults_table::record("seller", "the same name twice", 5, "refused, exit 8; the first one stays");
    faults_table::record(
        "seller",
        "names alike by case or normalisation",
        alike.len() as u64,
        "all kept, none replaced",
    );
}

#[test] // [S7.1] [S7.3]
fn frames_that_lie_about_their_length() {
    let cage = Cage::new();
    let small = bomb(16 << 20);
    let huge = bomb(8 << 30);
    let (small_bytes, huge_bytes) = (small.len() as u32, huge.len() as u32);
    let most = MIB as u32 + 64 * 1024;
    let mut packer = Packer::new(Level::zstd(1).unwrap()).unwrap();
    let honest = packer.pack(vec![0; 4096]).unwrap();
    let body = honest.body();
    let stored = body.len() as u32;
    let frames: [(&str, u8, u32, u32, &[u8]); 14] = [
        ("1 KiB declared, 16 MiB inside", 1, 1024, small_bytes, &small),
        ("the most declared, 8 GiB inside", 1, most, huge_bytes, &huge),
        ("more declared than is inside", 1, 8192, stored, body),
        ("less declared than is inside", 1, 4095, stored, body),
        ("above the limit", 1, most + 1, small_bytes, &small),
        ("4 GiB declared", 1, u32::MAX, small_bytes, &small),
        ("nothing declared", 0, 0, 0, &[]),
        ("compressed to nothing", 1, 1024, 0, &[]),
        ("stored is longer than raw", 1, stored - 1, stored, body),
        ("stored lengths that differ", 0, 10, 11, b"0123456789a"),
        ("a codec nobody has", 2, 4096, stored, body),
        ("no zstd at all", 1, 4096, 10, b"0123456789"),
        ("a frame that is never whole", 1, most, most - 1, body),
        ("stored, and 4 GiB long", 0, u32::MAX, u32::MAX, body),
    ];
    for (what, codec, raw, length, body) in frames {
        let (ended, out) = cage.pull(what, &cage.evil.upload(|archive| archive.frame(codec, raw, length, body)));
        assert!(ended.code == Some(8), "{what}\n{ended}");
        assert_eq!(placed(&out), [""; 0], "{what}");
        assert!(data::folder_bytes(&out) < 4 * MIB as u64, "{what}: disk");
    }
    faults_table::record(
        "seller",
        "frames that lie about their length, bombs among them",
        frames.len() as u64,
        "refused, exit 8; below 160 MiB of memory",
    );
}

#[test] // [S15.9]
fn more_than_was_announced_is_not_taken() {
    let cage = Cage::new();
    let piece = vec![0; MIB];
    let mut packer = Packer::new(Level::zstd(1).unwrap()).unwrap();
    let mut bytes = 0;
    // Every rule of the archive is kept: a few KiB that unpack to 400 MiB.
    let code = cage.evil.upload_as(
        &pretending(1, 1),
        BlockSize::Small,
        |archive| {
            for number in 0..400 {
                archive.file(format!("{number:03}"), &piece);
                archive.cut_packed(|raw| {
                    let packed = packer.pack(raw).unwrap();
                    [&packed.head().to_bytes()[..], packed.body()].concat()
                });
                bytes += piece.len();
            }
        },
        |_| {},
    );
    let (ended, out) = cage.pull("more bytes than announced", &code);
    ended.exits(8);
    assert!(data::folder_bytes(&out) < 300 * MIB as u64, "{} bytes of {bytes}", data::folder_bytes(&out));

    let code = cage.evil.upload(|archive| {
        for number in 0..150_000 {
            archive.exception(format!("{number:06}"), 1);
        }
    });
    cage.refused("more exceptions than announced", &code, &[]);
    faults_table::record(
        "seller",
        "an archive that keeps the rules and unpacks to a thousand times its size",
        2,
        "stopped at what was announced, exit 8",
    );
}

#[test] // [S6.2] [S6.3] [S6.4]
fn entries_that_claim_what_is_not_so() {
    let cage = Cage::new();
    let hash: [u8; 32] = blake3::hash(b"0123456789").into();
    let cases: [(&str, Write<'_>); 16] = [
        ("8 EiB announced", &|a| a.file_as(&Fields::file("a", 1 << 63), b"0123456789")),
        ("8 EiB announced and ended", &|a| {
            a.bare_entry(&Fields::file("a", 1 << 63));
            a.any_item(2, b"0123456789");
            a.end(1 << 63, &hash);
        }),
        ("the size that means unknown, then another", &|a| {
            a.bare_entry(&Fields::file("a", u64::MAX));
            a.any_item(2, b"0123456789");
            a.end(11, &hash);
        }),
        ("data beyond the size", &|a| a.file_as(&Fields::file("a", 5), b"0123456789")),
        ("another hash", &|a| {
            a.bare_entry(&Fields::file("a", 10));
            a.any_item(2, b"0123456789");
            a.end(10, &[0; 32]);
        }),
        ("no end", &|a| a.bare_entry(&Fields::file("a", 10))),
        ("data without a file", &|a| a.any_item(2, b"x")),
        ("empty data", &|a| {
            a.bare_entry(&Fields::file("a", 10));
            a.any_item(2, b"");
        }),
        ("an item that says it is 4 GiB long", &|a| a.lying_item(2, u32::MAX, b"x")),
        ("an item cut short", &|a| a.lying_item(1, 100, b"x")),
        ("an item nobody has", &|a| a.any_item(9, b"x")),
        ("an entry of other bytes", &|a| a.any_item(1, &[0x9f, 0xff])),
        ("setuid", &|a| a.file_as(&Fields::file("a", 1).mode(0o4755), b"x")),
        ("setgid and sticky on a folder", &|a| a.folder_as(&Fields::folder("a").mode(0o3777))),
        ("a device's mode", &|a| a.file_as(&Fields::file("a", 1).mode(0o060_644), b"x")),
        ("a folder with a size", &|a| a.folder_as(&Fields { size: 5, ..Fields::folder("a") })),
    ];
    let (count, kinds) = (cases.len(), [3, 4, 5, 6, 200]);
    for (what, write) in cases {
        cage.refuses(what, write);
    }
    for kind in kinds {
        cage.refuses(&format!("an entry of kind {kind}"), |a| a.bare_entry(&Fields { kind, ..Fields::file("a", 0) }));
    }
    // Bits that a file may have are kept, and no others exist here.
    let (ended, out) = cage.pull("0777", &cage.evil.upload(|a| a.file_as(&Fields::file("a", 1).mode(0o777), b"x")));
    ended.exits(0);
    assert_eq!(std::fs::metadata(out.join("a")).unwrap().permissions().mode() & 0o7777, 0o777);
    assert_eq!(std::fs::metadata(out.join("a")).unwrap().uid(), rustix::process::geteuid().as_raw());
    faults_table::record(
        "seller",
        "entries that claim sizes, kinds and modes",
        (count + kinds.len()) as u64,
        "refused, exit 8",
    );
}

fn pretending(files: u64, bytes: u64) -> Pretence {
    Pretence { summary: Some(summary("customers", files, bytes).to_bytes()), ..Pretence::default() }
}

/// The names of the corpus that must meet this fate, with their class.
fn corpus(fate: &str) -> Vec<(String, Vec<u8>)> {
    let lines = NAMES.lines().filter(|line| !line.starts_with('#'));
    let fields = lines.map(|line| line.splitn(3, '\t').collect::<Vec<_>>());
    fields.filter(|fields| fields[0] == fate).map(|fields| (fields[1].to_owned(), decoded(fields[2]))).collect()
}

fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
                at += 3;
            }
            b'{' => {
                let end = at + text[at..].find('}').unwrap();
                let count: usize = text[at + 1..end].parse().unwrap();
                let last = *out.last().unwrap();
                out.extend(std::iter::repeat_n(last, count - 1));
                at = end + 1;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn shown(name: &[u8]) -> String {
    name[..name.len().min(40)].escape_ascii().to_string()
}
