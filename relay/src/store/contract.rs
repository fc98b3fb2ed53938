//! What every store of segments must do. A new store adds a constructor, not tests. The shares are tested here too.

use std::io::ErrorKind;

use handover_shared::ids::{BlockIndex, TransferId};

use super::files::Files;
use super::shares::Shares;
use super::*;

const ID: TransferId = TransferId([7; 16]);
const OTHER: TransferId = TransferId([8; 16]);

macro_rules! contract {
    ($($name:ident)*) => {
        mod files {
            use super::*;
            $(#[test] fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::$name(&Files::open(folder.path().join("segments")).unwrap());
            })*
        }
    };
}

contract! {
    what_was_finished_is_read_in_ranges
    what_was_not_finished_leaves_nothing
    a_name_is_never_used_twice
    deletion_takes_one_transfer_and_may_be_repeated
    an_empty_store_is_empty
}

// [S13.3]
fn what_was_finished_is_read_in_ranges(store: &dyn Segments) {
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let mut writer = store.create(ID, BlockIndex(5)).unwrap();
    // Many small pieces, an empty one, and one that is large.
    for part in bytes[..2_000_000].chunks(300_000) {
        let pieces: Vec<Bytes> = part.chunks(100).map(Bytes::copy_from_slice).collect();
        writer.write(&pieces).unwrap();
    }
    writer.write(&[Bytes::new(), Bytes::copy_from_slice(&bytes[2_000_000..])]).unwrap();
    let name = writer.finish().unwrap();

    let mut reader = store.open(ID, &name).unwrap();
    for (offset, length) in [(0, 3_000_000), (1, 1), (2_999_999, 1), (1_000_003, 500_000), (5, 0)] {
        let read = reader.read(offset as u64, length).unwrap();
        assert!(read == bytes[offset..offset + length], "{length} bytes at {offset}");
    }
    assert_eq!(reader.read(2_999_999, 2).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(store.names(ID).unwrap(), [name]);
    assert!(store.free_bytes().unwrap() > 0);
}

fn what_was_not_finished_leaves_nothing(store: &dyn Segments) {
    let mut writer = store.create(ID, BlockIndex(0)).unwrap();
    writer.write(&[Bytes::from_static(b"half")]).unwrap();
    assert_eq!(store.names(ID).unwrap().len(), 1);
    drop(writer);
    assert_eq!(store.names(ID).unwrap(), [""; 0]);
}

fn a_name_is_never_used_twice(store: &dyn Segments) {
    let names: Vec<String> = (0..3).map(|_| store.create(ID, BlockIndex(0)).unwrap().finish().unwrap()).collect();
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "{names:?}");
}

// [S13.7] [S13.9]
fn deletion_takes_one_transfer_and_may_be_repeated(store: &dyn Segments) {
    let finish = |id, first| store.create(id, BlockIndex(first)).unwrap().finish().unwrap();
    let (first, second, other) = (finish(ID, 0), finish(ID, 1), finish(OTHER, 0));
    let mut transfers = store.transfers().unwrap();
    transfers.sort();
    assert_eq!(transfers, [ID, OTHER]);
    store.remove(ID, &first).unwrap();
    store.remove(ID, &first).unwrap();
    assert_eq!(store.names(ID).unwrap(), std::slice::from_ref(&second));

    store.delete(ID).unwrap();
    store.delete(ID).unwrap();

    assert_eq!(store.open(ID, &second).err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    assert_eq!((store.transfers().unwrap(), store.names(OTHER).unwrap()), (vec![OTHER], vec![other]));
}

fn an_empty_store_is_empty(store: &dyn Segments) {
    assert_eq!((store.transfers().unwrap(), store.names(ID).unwrap()), (vec![], vec![]));
    assert_eq!(store.open(ID, "0.seg").err().map(|error| error.kind()), Some(ErrorKind::NotFound));
}

#[test] // [S13.7]
fn an_erased_share_is_overwritten_where_it_lay() {
    let folder = tempfile::tempdir().unwrap();
    let shares = Shares::open(folder.path().join("shares")).unwrap();
    shares.put(ID, &[9; 32]).unwrap();
    shares.put(ID, &[1; 32]).unwrap();
    assert_eq!(shares.read(ID).unwrap().as_deref(), Some(&[1; 32]));
    assert_eq!((shares.read(OTHER).unwrap(), shares.transfers().unwrap()), (None, vec![ID]));
    // Another name for the same bytes on disk shows what becomes of them.
    let witness = folder.path().join("witness");
    std::fs::hard_link(folder.path().join("shares").join(ID.to_hex()), &witness).unwrap();

    shares.erase(ID).unwrap();
    shares.erase(ID).unwrap();

    assert_eq!(std::fs::read(&witness).unwrap(), [0; 40]);
    assert_eq!((shares.read(ID).unwrap(), shares.transfers().unwrap()), (None, vec![]));
}

#[test]
fn a_damaged_share_is_no_share() {
    let folder = tempfile::tempdir().unwrap();
    let shares = Shares::open(folder.path().join("shares")).unwrap();
    shares.put(ID, &[7; 32]).unwrap();
    let path = folder.path().join("shares").join(ID.to_hex());
    let whole = std::fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut altered = whole.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, altered).unwrap();
        assert_eq!(shares.read(ID).unwrap_err().kind(), ErrorKind::InvalidData, "{bit}");
    }
    for length in [0, 31, 32, 39] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(shares.read(ID).unwrap_err().kind(), ErrorKind::InvalidData, "{length}");
    }
    shares.erase(ID).unwrap();
    assert_eq!(shares.read(ID).unwrap(), None);
}
