//! Whether two trees are the same: names, kinds, bytes, permissions, times, links.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What is kept of one entry.
#[derive(Debug, PartialEq, Eq)]
enum Node {
    File { bytes: u64, mode: u32, modified: SystemTime },
    Folder { mode: u32, modified: SystemTime },
    Link(PathBuf),
}

/// Everything below a folder, by path.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    nodes: BTreeMap<PathBuf, Node>,
}

impl Tree {
    /// How many files.
    pub(super) fn files(&self) -> u64 {
        self.nodes.values().filter(|node| matches!(node, Node::File { .. })).count() as u64
    }

    /// How many bytes in them.
    pub(super) fn bytes(&self) -> u64 {
        self.nodes.values().map(|node| if let Node::File { bytes, .. } = node { *bytes } else { 0 }).sum()
    }

    /// Its entries' paths and sizes; folders have none.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Path, Option<u64>)> {
        self.nodes.iter().map(|(path, node)| match node {
            Node::File { bytes, .. } => (path.as_path(), Some(*bytes)),
            _ => (path.as_path(), None),
        })
    }
}

/// Reads a tree.
pub(super) fn tree(root: &Path) -> io::Result<Tree> {
    let mut nodes = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let meta = fs::symlink_metadata(entry.path())?;
            let node = if meta.is_symlink() {
                Node::Link(fs::read_link(entry.path())?)
            } else if meta.is_dir() {
                folders.push(path.clone());
                Node::Folder { mode: mode(&meta), modified: meta.modified()? }
            } else {
                Node::File { bytes: meta.len(), mode: mode(&meta), modified: meta.modified()? }
            };
            nodes.insert(path, node);
        }
    }
    Ok(Tree { root: root.to_path_buf(), nodes })
}

#[cfg(unix)]
fn mode(meta: &Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777
}

#[cfg(not(unix))]
fn mode(meta: &Metadata) -> u32 {
    u32::from(meta.permissions().readonly())
}

/// The first path at which two trees are not the same.
pub(super) fn difference(one: &Tree, other: &Tree) -> io::Result<Option<PathBuf>> {
    let paths = one.nodes.keys().chain(other.nodes.keys());
    for path in paths {
        let (Some(first), Some(second)) = (one.nodes.get(path), other.nodes.get(path)) else {
            return Ok(Some(path.clone()));
        };
        let is_file = matches!(first, Node::File { .. });
        if first != second || is_file && !same_bytes(&one.root.join(path), &other.root.join(path))? {
            return Ok(Some(path.clone()));
        }
    }
    Ok(None)
}

fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let count = fill(&mut one, &mut left)?;
        if count != fill(&mut other, &mut right)? || left[..count] != right[..count] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// How often any of some texts stands in the files or names below a folder.
pub(super) fn occurrences(root: &Path, texts: &[&str]) -> io::Result<u64> {
    let found = tree(root)?;
    let longest = texts.iter().map(|text| text.len()).max().unwrap_or(1);
    let mut count = 0;
    for (path, bytes) in found.entries() {
        count += hits(path.as_os_str().as_encoded_bytes(), texts);
        if bytes.is_some() {
            let mut file = File::open(root.join(path))?;
            let mut buffer = vec![0; (1 << 20) + longest];
            let mut kept = 0;
            loop {
                let read = fill(&mut file, &mut buffer[kept..])?;
                if read == 0 {
                    break;
                }
                let end = kept + read;
                count += hits(&buffer[..end], texts);
                // A text may lie across two reads.
                kept = (longest - 1).min(end);
                buffer.copy_within(end - kept..end, 0);
            }
        }
    }
    Ok(count)
}

fn hits(bytes: &[u8], texts: &[&str]) -> u64 {
    let count = |text: &&str| bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count() as u64;
    texts.iter().map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_difference_is_found() {
        let scratch = tempfile::tempdir().unwrap();
        let (one, other) = (scratch.path().join("1"), scratch.path().join("2"));
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(1_700_000_000_000_000_001);
        let make = |root: &Path| {
            fs::create_dir_all(root.join("f")).unwrap();
            fs::write(root.join("f/a"), b"one").unwrap();
            File::options().write(true).open(root.join("f/a")).unwrap().set_modified(at).unwrap();
            File::open(root.join("f")).unwrap().set_modified(at).unwrap();
        };
        let unlike = || difference(&tree(&one).unwrap(), &tree(&other).unwrap()).unwrap();
        make(&one);
        make(&other);
        assert_eq!(unlike(), None);
        fs::write(other.join("f/a"), b"two").unwrap();
        File::options().write(true).open(other.join("f/a")).unwrap().set_modified(at).unwrap();
        assert_eq!(unlike(), Some("f/a".into()), "bytes");
        make(&other);
        File::options().write(true).open(other.join("f/a")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(unlike(), Some("f/a".into()), "time");
        make(&other);
        fs::create_dir(other.join("more")).unwrap();
        assert_eq!(unlike(), Some("more".into()), "name");
    }

    #[test]
    fn a_text_is_found_wherever_it_lies() {
        let scratch = tempfile::tempdir().unwrap();
        let mut bytes = vec![b'.'; (1 << 20) + 3];
        bytes.extend_from_slice("张伟".as_bytes());
        fs::write(scratch.path().join("x"), &bytes).unwrap();
        assert!(occurrences(scratch.path(), &["张伟"]).unwrap() >= 1);
        assert_eq!(occurrences(scratch.path(), &["Müller"]).unwrap(), 0);
        fs::write(scratch.path().join("Müller"), b"").unwrap();
        assert_eq!(occurrences(scratch.path(), &["Müller"]).unwrap(), 1);
    }
}
