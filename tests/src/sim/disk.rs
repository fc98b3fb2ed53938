//! A disk that forgets what was not synced.
//!
//! What is written is seen at once, and survives the kill of the process, after which it is as little synced as before.
//! After a loss of power the disk holds what was
//! synced, and of the rest whatever the missing sync allows: of the bytes of a file any prefix, with or without zeros
//! behind it, of what was rewritten the old or the new; of the changes of names any subset, a rename being whole or not
//! at all.

use std::collections::BTreeMap;

use super::rng::Rng;

/// How a machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process is killed; the system keeps what it was given.
    Kill,
    /// The power is lost.
    Power,
}

/// One thing done to a disk; a crash can come between any two.
#[derive(Clone, Debug)]
pub enum DiskOp {
    /// Makes a file with this content, in the place of whatever has the name.
    Write(String, Vec<u8>),
    Append(String, Vec<u8>),
    Truncate(String, usize),
    Rename(String, String),
    /// Makes the bytes of a file durable, not its name.
    Sync(String),
    /// Makes all names durable.
    SyncNames,
    /// Makes everything durable.
    SyncAll,
}

/// Replaces a file so that there is always either the old one or the new one.
pub fn replace(name: &str, bytes: Vec<u8>) -> [DiskOp; 4] {
    let new = format!("{name}.new");
    [
        DiskOp::Write(new.clone(), bytes),
        DiskOp::Sync(new.clone()),
        DiskOp::Rename(new, name.to_owned()),
        DiskOp::SyncNames,
    ]
}

#[derive(Debug, Default)]
pub struct SimDisk {
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    pending: Vec<NameOp>,
    files: BTreeMap<u64, File>,
    next: u64,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// So many of them survive for certain.
    durable: usize,
    /// What was durable before the file was cut back.
    older: Option<Vec<u8>>,
}

#[derive(Debug)]
enum NameOp {
    Link(String, u64),
    Unlink(String),
    Rename(String, String, u64),
}

impl SimDisk {
    pub fn apply(&mut self, op: &DiskOp) {
        match op {
            DiskOp::Write(name, bytes) => self.write(name, bytes),
            DiskOp::Append(name, bytes) => self.append(name, bytes),
            DiskOp::Truncate(name, length) => self.truncate(name, *length),
            DiskOp::Rename(from, to) => self.rename(from, to),
            DiskOp::Sync(name) => self.sync(name),
            DiskOp::SyncNames => self.sync_names(),
            DiskOp::SyncAll => self.sync_all(),
        }
    }

    pub fn read(&self, name: &str) -> Option<&[u8]> {
        self.files.get(self.names.get(name)?).map(|file| &file.bytes[..])
    }

    /// The content of a file if it survives whatever happens next.
    pub fn surely(&self, name: &str) -> Option<&[u8]> {
        let inode = self.names.get(name)?;
        let is_touched = self.pending.iter().any(|op| match op {
            NameOp::Link(it, _) | NameOp::Unlink(it) => it == name,
            NameOp::Rename(from, to, _) => from == name || to == name,
        });
        let file = self.files.get(inode)?;
        let is_durable = !is_touched && file.durable == file.bytes.len() && file.older.is_none();
        (is_durable && self.durable_names.get(name) == Some(inode)).then_some(&file.bytes[..])
    }

    /// Names that begin so, in order.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let from = prefix.to_owned();
        self.names
            .range(from..)
            .take_while(|(name, _)| name.starts_with(prefix))
            .map(|(name, _)| name.clone())
            .collect()
    }

    pub fn write(&mut self, name: &str, bytes: &[u8]) {
        let inode = self.add(File { bytes: bytes.to_vec(), durable: 0, older: None });
        self.link(name, inode);
    }

    /// A folder or a link of a file system: there with all it has, or not there.
    pub fn make_whole(&mut self, name: &str, bytes: &[u8]) {
        let inode = self.add(File { bytes: bytes.to_vec(), durable: bytes.len(), older: None });
        self.link(name, inode);
    }

    pub fn append(&mut self, name: &str, bytes: &[u8]) {
        if !self.names.contains_key(name) {
            self.write(name, &[]);
        }
        if let Some(file) = self.file(name) {
            file.bytes.extend_from_slice(bytes);
        }
    }

    pub fn truncate(&mut self, name: &str, length: usize) {
        let Some(file) = self.file(name) else { return };
        if length < file.durable {
            let durable = file.bytes[..file.durable].to_vec();
            file.older.get_or_insert(durable);
            file.durable = length;
        }
        file.bytes.truncate(length);
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        let Some(inode) = self.names.remove(from) else { return };
        self.names.insert(to.to_owned(), inode);
        self.pending.push(NameOp::Rename(from.to_owned(), to.to_owned(), inode));
    }

    pub fn remove(&mut self, name: &str) {
        if self.names.remove(name).is_some() {
            self.pending.push(NameOp::Unlink(name.to_owned()));
        }
    }

    pub fn sync(&mut self, name: &str) {
        if let Some(file) = self.file(name) {
            file.settle();
        }
    }

    pub fn sync_names(&mut self) {
        self.durable_names = self.names.clone();
        self.pending.clear();
        let names = &self.names;
        self.files.retain(|inode, _| names.values().any(|it| it == inode));
    }

    pub fn sync_all(&mut self) {
        self.sync_names();
        self.files.values_mut().for_each(File::settle);
    }

    /// The machine stops. After a loss of power, what is there is there for good.
    pub fn crash(&mut self, stop: Stop, rng: &mut Rng) {
        if stop == Stop::Power {
            let is_ordered = rng.percent(50);
            let kept = rng.below(self.pending.len() as u64 + 1) as usize;
            for (place, op) in std::mem::take(&mut self.pending).into_iter().enumerate() {
                let survives = if is_ordered { place < kept } else { rng.percent(60) };
                if survives {
                    op.apply(&mut self.durable_names);
                }
            }
            self.names = self.durable_names.clone();
            self.files.values_mut().for_each(|file| file.forget(rng));
            self.sync_all();
        }
    }

    fn add(&mut self, file: File) -> u64 {
        self.next += 1;
        self.files.insert(self.next, file);
        self.next
    }

    fn link(&mut self, name: &str, inode: u64) {
        self.names.insert(name.to_owned(), inode);
        self.pending.push(NameOp::Link(name.to_owned(), inode));
    }

    fn file(&mut self, name: &str) -> Option<&mut File> {
        self.files.get_mut(self.names.get(name)?)
    }
}

impl File {
    fn settle(&mut self) {
        self.durable = self.bytes.len();
        self.older = None;
    }

    fn forget(&mut self, rng: &mut Rng) {
        if let Some(older) = self.older.take()
            && rng.percent(50)
        {
            self.bytes = older;
            return;
        }
        let whole = self.bytes.len();
        if self.durable == whole {
            return;
        }
        let kept = match rng.below(3) {
            0 => self.durable,
            1 => whole,
            _ => rng.within(self.durable as u64..=whole as u64) as usize,
        };
        self.bytes.truncate(kept);
        // Space was allocated, and the bytes never came.
        if rng.percent(20) {
            self.bytes.resize(rng.within(kept as u64..=whole as u64) as usize, 0);
        }
    }
}

impl NameOp {
    fn apply(self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Link(name, inode) => {
                names.insert(name, inode);
            }
            Self::Unlink(name) => {
                names.remove(&name);
            }
            Self::Rename(from, to, inode) => {
                if names.get(&from) == Some(&inode) {
                    names.remove(&from);
                }
                names.insert(to, inode);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_power_loss(seed: u64, ops: &[DiskOp]) -> SimDisk {
        let mut disk = SimDisk::default();
        ops.iter().for_each(|op| disk.apply(op));
        disk.crash(Stop::Power, &mut Rng::new(seed));
        disk
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_may_go() {
        let file = || "a".to_owned();
        let ops = [
            DiskOp::Write(file(), b"one".to_vec()),
            DiskOp::Sync(file()),
            DiskOp::SyncNames,
            DiskOp::Append(file(), b"two".to_vec()),
        ];
        let found: std::collections::BTreeSet<Vec<u8>> =
            (0..200).map(|seed| after_power_loss(seed, &ops).read("a").unwrap().to_vec()).collect();
        assert!(found.iter().all(|bytes| bytes.starts_with(b"one")));
        assert!(found.contains(&b"one"[..]) && found.contains(&b"onetwo"[..]) && found.contains(&b"one\0\0"[..]));
    }

    #[test]
    fn a_replaced_file_is_the_old_one_or_the_new_one_after_every_step() {
        let mut ops: Vec<DiskOp> = replace("a", b"old".to_vec()).into();
        ops.extend(replace("a", b"new".to_vec()));
        for count in 4..=8 {
            for seed in 0..100 {
                let disk = after_power_loss(seed, &ops[..count]);
                let bytes = disk.read("a").unwrap();
                assert!(bytes == b"new" || (bytes == b"old" && count < 8), "{count} steps, seed {seed}");
            }
        }
    }

    #[test]
    fn without_the_sync_a_replaced_file_can_be_empty() {
        let ops =
            [DiskOp::Write("b".into(), b"new".to_vec()), DiskOp::Rename("b".into(), "a".into()), DiskOp::SyncNames];
        assert!((0..100).any(|seed| after_power_loss(seed, &ops).read("a") == Some(b"")));
    }

    #[test]
    fn a_kill_forgets_nothing() {
        let mut disk = SimDisk::default();
        disk.append("a", b"one");
        disk.rename("a", "b");
        assert_eq!(disk.surely("b"), None);
        disk.crash(Stop::Kill, &mut Rng::new(1));
        assert_eq!((disk.read("b"), disk.surely("b")), (Some(&b"one"[..]), None));
        disk.sync_all();
        assert_eq!((disk.surely("b"), disk.names("")), (Some(&b"one"[..]), vec!["b".to_owned()]));
    }
}
