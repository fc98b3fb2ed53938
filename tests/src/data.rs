//! Seeded files and names.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// Seeded random numbers: SplitMix64, of which nobody should expect secrets.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Dice of a seed; another purpose throws other numbers.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let hash = blake3::hash(purpose.as_bytes());
        let mixed = hash.as_bytes().iter().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
        Self { state: seed ^ mixed }
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a bound that is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// One of several things.
    ///
    /// # Panics
    /// When there are none.
    pub fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len() as u64) as usize]
    }

    /// Bytes that do not compress.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.fill(&mut bytes);
        bytes
    }

    /// Fills a buffer with bytes that do not compress: the output of a hash, because it is faster than [`Dice::number`]
    /// without optimisation.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        blake3::Hasher::new().update(&self.number().to_le_bytes()).finalize_xof().fill(bytes);
    }

    /// Lines of a customer table: text that compresses as such tables do.
    pub fn table(&mut self, bytes: usize) -> Vec<u8> {
        const NAMES: [&str; 6] = ["王芳", "李伟", "张敏", "Müller", "Ahmed", "O'Brien"];
        const TOWNS: [&str; 4] = ["上海", "成都", "Leipzig", "Dubai"];
        let mut table = String::with_capacity(bytes + 128);
        while table.len() < bytes {
            let name = *self.one_of(&NAMES);
            let town = *self.one_of(&TOWNS);
            let (number, phone, cents) = (self.below(1_000_000), self.below(100_000_000), self.below(10_000_000));
            table.push_str(&format!("{number},{name},{town},138{phone:08},{}.{:02}\n", cents / 100, cents % 100));
        }
        let mut table = table.into_bytes();
        table.truncate(bytes);
        table
    }
}

/// A modification time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Seconds since 1970, below zero before.
    pub seconds: i64,
    /// Below 1 000 000 000.
    pub nanoseconds: i64,
}

/// Writes a file, making the folders above it.
///
/// # Panics
/// When it cannot be written.
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder can be made");
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Writes a file of many bytes that do not compress, in constant memory.
///
/// # Panics
/// When it cannot be written.
pub fn write_random(path: impl AsRef<Path>, bytes: u64, dice: &mut Dice) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder can be made");
    let mut file = fs::File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut piece = vec![0; 1024 * 1024];
    let mut left = bytes;
    while left > 0 {
        let count = left.min(piece.len() as u64) as usize;
        dice.fill(&mut piece[..count]);
        file.write_all(&piece[..count]).expect("a file can be written");
        left -= count as u64;
    }
}

/// Sets the modification time of a file, folder or link itself.
///
/// # Panics
/// When the file system refuses.
pub fn set_mtime(path: &Path, stamp: Stamp) {
    let time = Timespec { tv_sec: stamp.seconds, tv_nsec: stamp.nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Sets the permission bits.
///
/// # Panics
/// When the file system refuses.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Bytes of all files below a folder, while others may be writing there.
pub fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(facts) if facts.is_dir() => folder_bytes(&entry.path()),
            Ok(facts) => facts.len(),
            Err(_) => 0,
        })
        .sum()
}

/// So many different names as customers' computers have them: Chinese, Arabic, emoji, accents in both normal forms,
/// spaces, leading dashes, quotes, newlines, control bytes, and bytes that are no UTF-8.
pub fn names(count: usize, dice: &mut Dice) -> Vec<OsString> {
    const PIECES: [&str; 24] = [
        "客户",
        "订单",
        "发票",
        "合同",
        "王芳的照片",
        "二〇二六年",
        "عميل",
        "فاتورة",
        "طلبات",
        "📷",
        "👨‍👩‍👧‍👦",
        "✅",
        "Müller",
        "Mu\u{308}ller",
        "naïve",
        "Ж",
        "日本語",
        "한국어",
        " ",
        "'quoted'",
        "\"double\"",
        "$HOME",
        "a\\b",
        "%41",
    ];
    const ENDS: [&str; 8] = [".csv", ".xlsx", ".jpg", "", ".", " ", ".tar.gz", "~"];
    const STARTS: [&[u8]; 8] = [b"", b"", b"", b"-", b"--", b" ", b".", b"line\nbreak"];
    (0..count)
        .map(|number| {
            let mut name = dice.one_of(&STARTS).to_vec();
            for _ in 0..=dice.below(3) {
                name.extend_from_slice(dice.one_of(&PIECES).as_bytes());
            }
            name.extend_from_slice(number.to_string().as_bytes());
            match dice.below(10) {
                0 => name.extend_from_slice(b"\xff\xfe\x80"),
                1 => name.extend_from_slice(b"\xb0\xa1\xc4\xe3"), // GB18030
                2 => name.extend_from_slice(b"\x1b[31m\x07"),
                _ => {}
            }
            name.extend_from_slice(dice.one_of(&ENDS).as_bytes());
            OsString::from_vec(name)
        })
        .collect()
}

/// Joins a path from bytes.
pub fn below(folder: &Path, name: &[u8]) -> std::path::PathBuf {
    folder.join(OsStr::from_bytes(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same_and_names_differ() {
        let (mut one, mut two, mut other) = (Dice::new(1, "a"), Dice::new(1, "a"), Dice::new(1, "b"));
        assert_eq!(one.bytes(100), two.bytes(100));
        assert_ne!(two.bytes(100), other.bytes(100));
        assert_ne!(one.bytes(100), one.bytes(100));
        two = one.clone();
        let mut all = names(3000, &mut one);
        assert_eq!(all, names(3000, &mut two));
        assert!(all.iter().all(|name| name.len() <= 255));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 3000);
        assert!(all.iter().any(|name| name.to_str().is_none()));
    }
}
