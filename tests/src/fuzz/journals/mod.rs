//! What may be found on disk after a crash, a bad sector or a curious hand: it is read or refused, never with a panic,
//! and nothing that is damaged passes for whole.

mod client;

use std::cell::RefCell;
use std::path::Path;

use super::take::Take;

/// Puts things on a disk and reads them as the programs do. The first byte chooses what.
pub fn journals(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().expect("a folder for temporary files"));
        let take = &mut Take::new(rest);
        match choice % 1 {
            _ => client::any_file(folder.path(), take),
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
