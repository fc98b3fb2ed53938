//! The buyer's side: from the code to files in their places and a signed receipt.
//!
//! | module | what it does |
//! |---|---|
//! | `pipeline` | blocks to frames to items |
//! | `place` | items to files, folders and links beneath the destination |
//! | `finish` | what waited for an answer; modes and times of folders |
//! | `checkpoint` | from where the next run goes on |
//! | `work`, `tree`, `disk`, `names`, `list` | what placing stands on |

mod checkpoint;
mod disk;
mod finish;
mod list;
mod names;
mod pipeline;
mod place;
mod stdout;
mod tree;
mod work;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use handover_shared::archive::path::EntryPath;

use crate::private::Private;

/// What to do with an existing file that is not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// Ask the person, once, for all of them.
    Ask,
    /// Keep what is there.
    Skip,
    /// Give the new one another name.
    Rename,
    /// Put the new one in the place of the old one.
    Overwrite,
    /// Stop.
    Fail,
}

/// An existing thing that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The path in the transfer.
    pub path: Private<Vec<u8>>,
    /// Bytes of what is there; 0 for what is no file.
    pub existing_bytes: u64,
    /// Bytes of what came.
    pub new_bytes: u64,
}

/// Answers questions.
pub trait Decide: Send + Sync {
    /// What to do with things that stand in the way; `None` when nobody can answer.
    fn conflicts(&self, count: u64, first: &[Conflict]) -> Option<ConflictPolicy>;
}

/// The path of an entry on this machine, to show it.
fn shown_path(destination: &Path, path: &EntryPath) -> PathBuf {
    shown_bytes(destination, path.as_bytes())
}

fn shown_bytes(destination: &Path, path: &[u8]) -> PathBuf {
    destination.join(OsStr::from_bytes(path))
}
