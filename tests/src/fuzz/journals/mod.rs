//! What may be found on disk after a crash, a bad sector or a curious hand: it is read or refused, never with a panic,
//! and nothing that is damaged passes for whole.

mod client;
mod damage;
mod relay;

use std::cell::RefCell;
use std::path::Path;

use super::take::Take;

/// Puts things on a disk and reads them as the programs do. The first byte chooses what.
pub fn journals(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().expect("a folder for temporary files"));
        let take = &mut Take::new(rest);
        match choice % 8 {
            0 | 1 => client::any_file(folder.path(), take),
            2 => damage::marks(folder.path(), take),
            3 => damage::records(folder.path(), take),
            4 => damage::plan(folder.path(), take),
            5 => damage::received(folder.path(), take),
            6 => damage::secrets(folder.path(), take),
            _ => relay::relay(folder.path(), take),
        }
        empty(folder.path());
    });
}

thread_local! {
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

fn empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        removed.expect("what a test made can be removed");
    }
}
