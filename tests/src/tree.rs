//! What a folder holds, to the nanosecond, and how two folders differ.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What stands at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// Its length.
        bytes: u64,
        /// BLAKE3 of its content.
        hash: blake3::Hash,
        /// Permission bits.
        mode: u32,
        /// Seconds and nanoseconds.
        mtime: (i64, i64),
    },
    /// A folder.
    Folder {
        /// Permission bits.
        mode: u32,
        /// Seconds and nanoseconds.
        mtime: (i64, i64),
    },
    /// A symbolic link.
    Link {
        /// Where it points, as it is written.
        target: Vec<u8>,
    },
    /// A device, socket or fifo.
    Other,
}

/// Everything below a folder by its path, the folder itself under the empty path.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
}

impl Tree {
    /// Reads a folder or a single file.
    ///
    /// # Panics
    /// When something cannot be read.
    pub fn of(path: impl AsRef<Path>) -> Self {
        let mut tree = Self::default();
        tree.add(path.as_ref(), Vec::new());
        tree
    }

    fn add(&mut self, path: &Path, name: Vec<u8>) {
        let facts = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let node = node(path, &facts);
        if let Node::Folder { .. } = node {
            for entry in fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
                let entry = entry.expect("a folder can be listed");
                let mut below = name.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(entry.file_name().as_bytes());
                self.add(&entry.path(), below);
            }
        }
        self.nodes.insert(name, node);
    }

    /// What stands at a path.
    pub fn get(&self, path: impl AsRef<OsStr>) -> Option<&Node> {
        self.nodes.get(path.as_ref().as_bytes())
    }

    /// Takes a path out, with everything below it.
    pub fn remove(&mut self, path: impl AsRef<OsStr>) {
        let path = path.as_ref().as_bytes();
        self.nodes.retain(|name, _| {
            !(name.starts_with(path) && (name.len() == path.len() || name.get(path.len()) == Some(&b'/')))
        });
    }

    /// Changes what is expected at a path.
    ///
    /// # Panics
    /// When nothing stands there.
    pub fn change(&mut self, path: impl AsRef<OsStr>, change: impl FnOnce(&mut Node)) {
        change(self.nodes.get_mut(path.as_ref().as_bytes()).expect("something stands at the path"));
    }

    /// Number of files.
    pub fn files(&self) -> u64 {
        self.nodes.values().filter(|node| matches!(node, Node::File { .. })).count() as u64
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.nodes.values().map(|node| if let Node::File { bytes, .. } = node { *bytes } else { 0 }).sum()
    }

    /// Paths in order.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.nodes.keys().map(Vec::as_slice)
    }

    /// Checks that another tree is the same.
    ///
    /// # Panics
    /// When it is not; the first differences are listed.
    #[track_caller]
    pub fn must_equal(&self, other: &Tree) {
        let differences = self.differences(other);
        assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), first(&differences));
    }

    /// Everything in which another tree differs.
    pub fn differences(&self, other: &Tree) -> Vec<String> {
        let mut found = Vec::new();
        for (path, node) in &self.nodes {
            let shown = String::from_utf8_lossy(path);
            match other.nodes.get(path) {
                None => found.push(format!("missing: {shown:?} {node:?}")),
                Some(there) if there != node => found.push(format!("{shown:?}\n  wanted {node:?}\n  found  {there:?}")),
                Some(_) => {}
            }
        }
        let extra = other.nodes.iter().filter(|(path, _)| !self.nodes.contains_key(*path));
        found.extend(extra.map(|(path, node)| format!("not wanted: {:?} {node:?}", String::from_utf8_lossy(path))));
        found
    }
}

fn first(differences: &[String]) -> String {
    differences.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n")
}

fn node(path: &Path, facts: &Metadata) -> Node {
    let mode = facts.mode() & 0o7777;
    let mtime = (facts.mtime(), facts.mtime_nsec());
    let kind = facts.file_type();
    if kind.is_file() {
        Node::File { bytes: facts.len(), hash: hash(path), mode, mtime }
    } else if kind.is_dir() {
        Node::Folder { mode, mtime }
    } else if kind.is_symlink() {
        let target = fs::read_link(path).expect("a link can be read");
        Node::Link { target: target.as_os_str().as_bytes().to_vec() }
    } else {
        Node::Other
    }
}

fn hash(path: &Path) -> blake3::Hash {
    let mut file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0u8; 1024 * 1024];
    loop {
        match file.read(&mut piece).expect("a file can be read") {
            0 => return hasher.finalize(),
            count => hasher.update(&piece[..count]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A comparison that finds nothing would let every other test pass.
    #[test]
    fn every_kind_of_difference_is_found() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        let time = |seconds: i64, nanoseconds: i64| crate::data::Stamp { seconds, nanoseconds };
        fs::create_dir(path("a")).unwrap();
        fs::write(path("a/f"), b"one").unwrap();
        std::os::unix::fs::symlink("f", path("a/l")).unwrap();
        for name in ["a/f", "a"] {
            crate::data::set_mtime(&path(name), time(5, 7));
        }
        let before = Tree::of(path("a"));
        assert!(before.differences(&Tree::of(path("a"))).is_empty());
        let changes: [(&str, &dyn Fn()); 7] = [
            ("content", &|| fs::write(path("a/f"), b"two").unwrap()),
            ("mtime", &|| crate::data::set_mtime(&path("a/f"), time(5, 8))),
            ("mode", &|| crate::data::set_mode(&path("a/f"), 0o600)),
            ("folder mode", &|| crate::data::set_mode(&path("a"), 0o700)),
            ("new", &|| fs::write(path("a/g"), b"").unwrap()),
            ("gone", &|| fs::remove_file(path("a/l")).unwrap()),
            ("other target", &|| std::os::unix::fs::symlink("g", path("a/l")).unwrap()),
        ];
        let mut known = 0;
        for (name, change) in changes {
            change();
            crate::data::set_mtime(&path("a"), time(5, 7));
            if name == "content" {
                crate::data::set_mtime(&path("a/f"), time(5, 7));
            }
            let now = before.differences(&Tree::of(path("a"))).len();
            assert!(now > 0, "{name}");
            known = known.max(now);
        }
        assert_eq!(known, 4, "file, folder, new file, link");
    }
}
