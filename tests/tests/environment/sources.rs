//! People who change what is being read.

use std::fs::{self, OpenOptions};
use std::path::Path;

use handover_tests::strace::{self, Fault};
use handover_tests::{Pushing, Tree, data, wait};

use super::{Scene, code_of, tried};

/// Does something to the big file in the middle of a push; then it is whole as it is now or was then, or listed.
fn changed_midway(what: &str, change: impl Fn(&Path)) {
    let scene = Scene::new(48);
    let victim = scene.source.join("photos.zip");
    let before = fs::read(&victim).unwrap();
    let push = Pushing::of(scene.push().start());
    wait::until("the first blocks", wait::USUAL, || (data::folder_bytes(&scene.segments()) > 0).then_some(()));
    push.running.freeze();
    change(&victim);
    push.running.thaw();
    let ended = push.running.end();
    let pulled = scene.pull(&push.code).run();
    assert_eq!(ended.code, pulled.code, "{what}\n{ended}\n{pulled}");
    let arrived = fs::read(scene.out().join("customers/photos.zip")).ok();
    match (ended.code, arrived) {
        (Some(0), Some(arrived)) => {
            let now = victim.is_file().then(|| fs::read(&victim).unwrap());
            assert!(arrived == before || Some(arrived) == now, "{what}: a version that never was");
        }
        (Some(4), None) => {
            assert!(ended.err().contains("photos.zip") && pulled.err().contains("photos.zip"), "{ended}\n{pulled}");
        }
        _ => panic!("{what}\n{ended}\n{pulled}"),
    }
    for other in ["orders", "合同.pdf"] {
        let (sent, came) = (scene.source.join(other), scene.out().join("customers").join(other));
        Tree::of(sent).must_equal(&Tree::of(came));
    }
    tried(&format!("source file {what} while it is read"), 1, "one true version, or exit 4 and listed");
}

#[test] // [S14.5]
fn a_file_is_truncated() {
    changed_midway("truncated", |path| OpenOptions::new().write(true).open(path).unwrap().set_len(1000).unwrap());
}

#[test] // [S14.5]
fn a_file_grows() {
    changed_midway("grown", |path| {
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, &[7; 100_000]).unwrap();
    });
}

#[test] // [S14.5]
fn a_file_is_replaced() {
    changed_midway("replaced", |path| {
        let beside = path.with_extension("new");
        fs::write(&beside, vec![9; 2 << 20]).unwrap();
        fs::rename(&beside, path).unwrap();
    });
}

#[test] // [S14.5]
fn a_file_is_deleted() {
    changed_midway("deleted", |path| fs::remove_file(path).unwrap());
}

#[test] // [S14.5]
fn a_file_becomes_a_fifo() {
    changed_midway("made a fifo", |path| {
        fs::remove_file(path).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    });
}

#[test]
fn a_folder_becomes_a_file_and_a_link() {
    let scene = Scene::new(48);
    let push = Pushing::of(scene.push().start());
    push.running.freeze();
    // `orders` comes before `photos.zip` and may have been read; either way nothing hangs and nothing is invented.
    let aside = scene.scratch.join("aside");
    fs::rename(scene.source.join("orders"), &aside).unwrap();
    std::os::unix::fs::symlink("/proc/self", scene.source.join("orders")).unwrap();
    push.running.thaw();
    let ended = push.running.end();
    let pulled = scene.pull(&push.code).run();
    assert!(ended.code == pulled.code && matches!(ended.code, Some(0 | 4)), "{ended}\n{pulled}");
    let came = scene.out().join("customers/orders");
    for entry in fs::read_dir(came).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(aside.join(&name).exists(), "{name:?} was never in that folder");
    }
    tried("source folder replaced by a link out of the root", 1, "listed or whole, nothing from outside");
}

#[test]
fn a_file_cannot_be_read_any_more() {
    if !strace::available() {
        return;
    }
    let scene = Scene::new(4);
    let victim = scene.source.join("photos.zip");
    let mut count = 0;
    for calls in ["read", "openat"] {
        for (turn, error) in ["error=EIO", "error=EACCES", "error=ESTALE"].into_iter().enumerate() {
            let push = scene.seller.push(&scene.relay, ["--new".as_ref(), scene.source.as_os_str()]);
            let log = scene.scratch.join(format!("{calls}-{turn}.log"));
            let ended = Fault::on(&victim, calls, error, "2+").inject(&push, &log).run();
            let injected = strace::injected(&log);
            assert!(injected > 0 || calls == "openat", "nothing was injected: {calls} {error}\n{ended}");
            let expected = if injected > 0 { 4 } else { 0 };
            assert!(ended.code == Some(expected), "{calls} {error}, {injected} times\n{ended}");
            if injected > 0 {
                count += 1;
                assert!(ended.err().contains("photos.zip"), "{ended}");
                let out = scene.scratch.join(format!("out-{calls}-{turn}"));
                scene.buyer.pull(&code_of(&ended), &out).run().exits(4).says("photos.zip");
                assert!(!out.join("customers/photos.zip").exists());
            }
        }
    }
    tried("reading a source file fails (EIO, EACCES, ESTALE)", count, "exit 4 and listed; the rest arrives");
}
