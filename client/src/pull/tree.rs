//! Where the entries of an archive go: the folders above the current entry, held open.
//!
//! Entries come in the order of a tree, so that the folders above the current one are all that has to be kept, and a
//! file costs no look-up of the folders above it.
//!
//! # Source
//! SPEC [S6.7] [S15.5].

use std::io;

use handover_shared::archive::path::EntryPath;
use minicbor::{Decode, Encode};

use super::disk::Dir;

/// Where a folder of the archive is on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Route {
    /// In the folder above it, under this name.
    #[n(0)]
    Named(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// In `held/`, under this number, because its place is taken.
    #[n(1)]
    Held(#[n(0)] u64),
    /// Nowhere: what is in its place is kept.
    #[n(2)]
    Nowhere,
}

/// A folder above the current entry, as a checkpoint keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Step {
    /// Its name in the archive.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub name: Vec<u8>,
    /// Where it is.
    #[n(1)]
    pub route: Route,
}

/// The folders above the current entry, each with what is known of it.
pub(crate) struct Stack<T>(Vec<(Vec<u8>, T)>);

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Stack<T> {
    /// Leaves the folders that this path is not in; gives what was known of them, from the innermost on.
    ///
    /// # Shape
    /// The folders above the path came before, as the archive's reader has checked; then the innermost that is left is
    /// the one the path is in.
    pub fn leave(&mut self, path: &EntryPath) -> Vec<T> {
        let mut above = path.components();
        above.next_back();
        let kept = self.0.iter().zip(above).take_while(|((name, _), component)| name == component).count();
        self.leave_to(kept)
    }

    /// Leaves all folders.
    pub fn leave_all(&mut self) -> Vec<T> {
        self.leave_to(0)
    }

    fn leave_to(&mut self, depth: usize) -> Vec<T> {
        self.0.drain(depth..).rev().map(|(_, known)| known).collect()
    }

    /// What is known of the folder that the next entry goes into; nothing at the top.
    pub fn innermost(&self) -> Option<&T> {
        self.0.last().map(|(_, known)| known)
    }

    /// As [`Stack::innermost`], to change it.
    pub fn innermost_mut(&mut self) -> Option<&mut T> {
        self.0.last_mut().map(|(_, known)| known)
    }

    /// How many folders are above the next entry.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// Enters a folder.
    pub fn enter(&mut self, name: &[u8], known: T) {
        self.0.push((name.into(), known));
    }
}

/// The folders above the current entry, while placing.
pub(super) struct Tree {
    root: Dir,
    stack: Stack<(Route, Option<Dir>)>,
}

/// The folder above an entry.
pub(super) enum Above<'a> {
    /// This one.
    Dir(&'a Dir),
    /// None: what is in its place is kept.
    Nowhere,
}

impl Tree {
    /// Begins at the destination.
    pub fn new(root: Dir) -> Self {
        Self { root, stack: Stack::default() }
    }

    /// Opens the folders that a checkpoint names; `held` opens the held folder of a number.
    ///
    /// # Errors
    /// When one of them is not there any more.
    pub fn resume(root: Dir, steps: Vec<Step>, held: impl Fn(u64) -> io::Result<Dir>) -> io::Result<Self> {
        let mut tree = Self::new(root);
        for Step { name, route } in steps {
            let dir = match (&route, tree.innermost()) {
                (Route::Held(number), _) => Some(held(*number)?),
                (Route::Named(name), Above::Dir(above)) => Some(above.enter(name)?),
                (Route::Nowhere, _) | (_, Above::Nowhere) => None,
            };
            tree.enter(&name, route, dir);
        }
        Ok(tree)
    }

    /// What a checkpoint keeps.
    pub fn steps(&self) -> Vec<Step> {
        self.stack.0.iter().map(|(name, (route, _))| Step { name: name.clone(), route: route.clone() }).collect()
    }

    /// Leaves the folders that this path is not in.
    pub fn leave(&mut self, path: &EntryPath) {
        drop(self.stack.leave(path));
    }

    /// The folder that the next entry goes into.
    pub fn innermost(&self) -> Above<'_> {
        match self.stack.innermost() {
            None => Above::Dir(&self.root),
            Some((_, Some(dir))) => Above::Dir(dir),
            Some((_, None)) => Above::Nowhere,
        }
    }

    /// How many folders are above the next entry.
    pub fn depth(&self) -> usize {
        self.stack.depth()
    }

    /// Enters a folder of the archive; `dir` is nothing for a folder that is nowhere.
    pub fn enter(&mut self, name: &[u8], route: Route, dir: Option<Dir>) {
        self.stack.enter(name, (route, dir));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::parse(text.as_bytes()).unwrap()
    }

    #[test] // [S6.7]
    fn folders_are_left_innermost_first() {
        let mut stack = Stack::default();
        for (at, name) in [("a", "a"), ("a/b", "b"), ("a/b/c", "c")] {
            assert!(stack.leave(&path(at)).is_empty());
            stack.enter(name.as_bytes(), name);
        }
        assert!(stack.leave(&path("a/b/c/file")).is_empty());
        assert_eq!(stack.leave(&path("a/b/d")), ["c"]);
        assert_eq!((stack.depth(), stack.innermost()), (2, Some(&"b")));
        assert_eq!(stack.leave(&path("ab")), ["b", "a"]);
        stack.enter(b"ab", "ab");
        assert_eq!(stack.leave_all(), ["ab"]);
        assert_eq!(stack.innermost(), None);
    }

    #[test] // [S15.3] [S15.5]
    fn a_checkpoint_is_opened_again_and_not_through_links() {
        let scratch = tempfile::tempdir().unwrap();
        let root = Dir::open(scratch.path()).unwrap();
        std::fs::create_dir_all(scratch.path().join("a/b (1)")).unwrap();
        std::fs::create_dir_all(scratch.path().join("held/7")).unwrap();
        let steps = vec![
            Step { name: b"a".to_vec(), route: Route::Named(b"a".to_vec()) },
            Step { name: b"b".to_vec(), route: Route::Named(b"b (1)".to_vec()) },
            Step { name: b"h".to_vec(), route: Route::Held(7) },
            Step { name: b"k".to_vec(), route: Route::Nowhere },
        ];
        let held = |number: u64| root.enter(b"held")?.enter(number.to_string().as_bytes());
        let tree = Tree::resume(root.duplicate().unwrap(), steps.clone(), held).unwrap();
        assert_eq!(tree.steps(), steps);
        assert!(matches!(tree.innermost(), Above::Nowhere));

        std::fs::rename(scratch.path().join("a"), scratch.path().join("z")).unwrap();
        std::os::unix::fs::symlink("z", scratch.path().join("a")).unwrap();
        assert!(Tree::resume(root.duplicate().unwrap(), steps, held).is_err());
    }
}
