//! What a scan finds, and what it makes of it.

use std::path::{Path, PathBuf};

use handover_shared::archive::item::{EntryKind, Reason};

use crate::error::Error;
use crate::event::{Event, Observer, Scanned};
use crate::push::plan::{Origin, Planned};
use crate::push::{self, Filters, PushOptions, Source};

struct Nobody;

impl Observer for Nobody {
    fn event(&self, _: Event) {}
}

fn look(options: &PushOptions) -> Result<(Vec<String>, Scanned), Error> {
    let scan = push::scan(options, &Nobody)?;
    let lines = scan.entries.iter().map(|planned| match planned {
        Planned::Exception(exception) => format!("! {} {:?}", text(exception.path.as_bytes()), exception.reason),
        Planned::Entry(entry, origin) => {
            let kind = match entry.kind {
                EntryKind::File => "-",
                EntryKind::Folder => "d",
                EntryKind::Link => "l",
            };
            let from = match origin {
                Origin::InTree => "",
                Origin::At(_) => " (elsewhere)",
                Origin::Stdin => " (stdin)",
            };
            format!("{kind} {}{from}", text(entry.path.as_bytes()))
        }
    });
    Ok((lines.collect(), scan.scanned))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn options(paths: &[&Path]) -> PushOptions {
    let sources = paths.iter().map(|path| Source::Path(path.to_path_buf())).collect();
    PushOptions { sources, ..PushOptions::default() }
}

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, name).unwrap();
        path
    }

    fn link(&self, name: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.0.path().join(name)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[test] // [S6.7]
fn entries_come_in_the_order_of_the_archive() {
    let scratch = Scratch::new();
    for name in ["top/a/z", "top/a-b", "top/a.txt", "top/B", "top/.hidden/x", "top/客户.csv"] {
        scratch.file(name);
    }
    let (lines, scanned) = look(&options(&[&scratch.path("top")])).unwrap();
    let expected = [
        "d top",
        "d top/.hidden",
        "- top/.hidden/x",
        "- top/B",
        "d top/a",
        "- top/a/z",
        "- top/a-b",
        "- top/a.txt",
        "- top/客户.csv",
    ];
    assert_eq!(lines, expected);
    assert_eq!((scanned.files, scanned.folders, scanned.hidden), (6, 3, 1));
}

#[test] // [S6.5] [S6.8]
fn what_cannot_be_sent_is_listed_with_its_reason() {
    let scratch = Scratch::new();
    scratch.file("top/file");
    scratch.link("top/inside", "sub/../file");
    scratch.link("top/good", "file");
    scratch.link("top/beside", "../outside");
    scratch.link("top/leaves", "../../outside");
    scratch.link("top/absolute", "/etc/passwd");
    scratch.link("top/dangling", "nowhere");
    let fifo = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, scratch.path("top/fifo"), fifo).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scratch.path("top/socket")).unwrap();
    let (lines, scanned) = look(&options(&[&scratch.path("top")])).unwrap();
    let expected = [
        "d top",
        "! top/absolute LinkLeaves",
        "l top/beside",
        "l top/dangling",
        "! top/fifo NotAFile",
        "- top/file",
        "l top/good",
        "! top/inside LinkLeaves",
        "! top/leaves LinkLeaves",
        "! top/socket NotAFile",
    ];
    assert_eq!(lines, expected);
    assert_eq!((scanned.links, scanned.exceptions), (3, 5));
}

#[test] // [S3.1] [S6.5]
fn what_lies_too_deep_is_listed() {
    let scratch = Scratch::new();
    let deep = (0..70).map(|_| "d").collect::<Vec<_>>().join("/");
    scratch.file(&format!("top/{deep}/file"));
    let (lines, scanned) = look(&options(&[&scratch.path("top")])).unwrap();
    assert_eq!(lines.len(), 65);
    assert!(lines[64].starts_with("! top/d/d/") && lines[64].ends_with(&format!("{:?}", Reason::NameLimit)));
    assert_eq!((scanned.files, scanned.exceptions), (0, 1));
}

#[test]
fn links_are_followed_if_wanted_but_never_in_a_circle() {
    let scratch = Scratch::new();
    scratch.file("top/sub/file");
    scratch.file("elsewhere/data/x");
    scratch.file("elsewhere/alone");
    scratch.link("top/sub/up", "..");
    scratch.link("top/folder", "../elsewhere/data");
    scratch.link("top/one", "../elsewhere/alone");
    scratch.link("top/gone", "../../nowhere");
    let followed = PushOptions { follow: true, ..options(&[&scratch.path("top")]) };
    let (lines, scanned) = look(&followed).unwrap();
    let expected = [
        "d top",
        "d top/folder",
        "- top/folder/x",
        "! top/gone LinkLeaves",
        "- top/one (elsewhere)",
        "d top/sub",
        "- top/sub/file",
        "l top/sub/up",
    ];
    assert_eq!(lines, expected);
    assert_eq!((scanned.files, scanned.bytes), (3, Some(12 + 15 + 16)));
}

#[test]
fn patterns_leave_out_and_no_ignore_file_does() {
    let scratch = Scratch::new();
    for name in ["top/a.csv", "top/b.log", "top/sub/c.csv", "top/sub/d.txt", "top/other/e.txt"] {
        scratch.file(name);
    }
    std::fs::write(scratch.path("top/.gitignore"), "*.csv\n").unwrap();
    let own = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let with = |include: &[&str], exclude: &[&str]| PushOptions {
        filters: Filters { include: own(include), exclude: own(exclude), exclude_from: vec![] },
        ..options(&[&scratch.path("top")])
    };
    let (lines, _) = look(&with(&[], &[])).unwrap();
    assert_eq!(lines.len(), 9, "{lines:?}");
    let (lines, scanned) = look(&with(&[], &["/sub", "*.log", ".gitignore"])).unwrap();
    assert_eq!(lines, ["d top", "- top/a.csv", "d top/other", "- top/other/e.txt"]);
    assert_eq!(scanned.excluded, 3);
    let (lines, scanned) = look(&with(&["*.csv"], &[])).unwrap();
    assert_eq!(lines, ["d top", "- top/a.csv", "d top/sub", "- top/sub/c.csv"]);
    assert_eq!(scanned.folders, 2);
    assert!(matches!(look(&with(&["*.nothing"], &[])), Err(Error::NothingToSend)));
}

#[test]
fn a_path_has_the_name_it_was_given_or_else_its_own() {
    let scratch = Scratch::new();
    scratch.file("shop/file");
    scratch.link("alias", "shop");
    for (path, name) in [
        (scratch.path("shop"), "shop"),
        (scratch.path("shop/"), "shop"),
        (scratch.path("shop/."), "shop"),
        (scratch.path("shop/sub/.."), "shop"),
        (scratch.path("alias"), "alias"),
        (scratch.path("shop/file"), "file"),
    ] {
        std::fs::create_dir_all(scratch.path("shop/sub")).unwrap();
        let (lines, _) = look(&options(&[&path])).unwrap();
        assert!(lines[0].ends_with(&format!(" {name}")), "{path:?}: {lines:?}");
    }
    assert!(matches!(look(&options(&[&scratch.path("none")])), Err(Error::SourceMissing { .. })));
    let sources = [scratch.path("shop"), scratch.path("x/../shop")];
    std::fs::create_dir_all(scratch.path("x")).unwrap();
    let same = look(&options(&[&sources[0], &sources[1]]));
    assert!(matches!(same, Err(Error::SameName { .. })));
    assert!(matches!(look(&options(&[])), Err(Error::NothingToSend)));
}

#[test]
fn several_paths_are_sorted_by_name() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.file("z/one"), scratch.file("a/two"));
    let (lines, scanned) = look(&options(&[&two, &one])).unwrap();
    assert_eq!(lines, ["- one", "- two"]);
    assert_eq!(scanned.files, 2);
}

#[test] // [S6.5]
fn a_folder_that_may_not_be_read_is_listed() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may read everything");
        return;
    }
    let scratch = Scratch::new();
    scratch.file("top/closed/file");
    let closed = scratch.path("top/closed");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o0)).unwrap();
    let (lines, _) = look(&options(&[&scratch.path("top")])).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(lines, ["d top", "! top/closed NotReadable"]);
}

#[test]
fn errors_of_the_system_have_reasons() {
    use std::io::Error as Io;
    for (errno, reason) in [
        (rustix::io::Errno::ACCESS, Reason::NotReadable),
        (rustix::io::Errno::PERM, Reason::NotReadable),
        (rustix::io::Errno::NOENT, Reason::Vanished),
        (rustix::io::Errno::NOTDIR, Reason::Vanished),
        (rustix::io::Errno::NAMETOOLONG, Reason::NameLimit),
        (rustix::io::Errno::IO, Reason::ReadError),
    ] {
        assert_eq!(crate::push::scan::reason_of(&Io::from(errno)), reason, "{errno}");
    }
}
