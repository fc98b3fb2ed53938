//! What files lie on: whether overwriting them reaches the bytes that were there.

use std::fs;
use std::path::Path;

/// What is known of the medium of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Medium {
    /// File system and kind of drive, in words for a certificate.
    pub text: String,
    /// Whether the file system writes in place, as far as is known.
    pub overwrite: Overwrite,
}

/// Whether overwriting means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overwrite {
    /// The file system writes where the bytes were, or nothing else is known of it.
    InPlace,
    /// It writes elsewhere, and overwriting would only make another copy of zeros.
    Elsewhere,
}

const KNOWN: [(u64, &str, Overwrite); 14] = [
    (0xef53, "ext", Overwrite::InPlace),
    (0x5846_5342, "xfs", Overwrite::InPlace),
    (0x0102_1994, "tmpfs", Overwrite::InPlace),
    (0x4d44, "vfat", Overwrite::InPlace),
    (0x2011_bab0, "exfat", Overwrite::InPlace),
    (0x7366_746e, "ntfs", Overwrite::InPlace),
    (0x794c_7630, "overlayfs", Overwrite::InPlace),
    (0x6969, "nfs", Overwrite::InPlace),
    (0xff53_4d42, "cifs", Overwrite::InPlace),
    (0x6573_5546, "fuse", Overwrite::InPlace),
    (0x9123_683e, "btrfs", Overwrite::Elsewhere),
    (0x2fc1_2fc1, "zfs", Overwrite::Elsewhere),
    (0xca45_1a4e, "bcachefs", Overwrite::Elsewhere),
    (0xf2f5_2010, "f2fs", Overwrite::Elsewhere),
];

/// The medium of a folder.
pub(super) fn of(path: &Path) -> Medium {
    let (name, overwrite) = file_system(path);
    Medium { text: format!("{name}, {}", drive(path)), overwrite }
}

#[cfg(target_os = "linux")]
fn file_system(path: &Path) -> (&'static str, Overwrite) {
    let Ok(stat) = rustix::fs::statfs(path) else { return ("unknown file system", Overwrite::InPlace) };
    let magic = stat.f_type as u64 & 0xffff_ffff;
    let known = KNOWN.iter().find(|(number, ..)| *number == magic);
    known.map_or(("unknown file system", Overwrite::InPlace), |(_, name, overwrite)| (name, *overwrite))
}

#[cfg(not(target_os = "linux"))]
fn file_system(_path: &Path) -> (&'static str, Overwrite) {
    ("unknown file system", Overwrite::InPlace)
}

/// Whether the drive turns, as the system says.
fn drive(path: &Path) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let Ok(meta) = fs::metadata(path) else { return "unknown drive" };
        let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        let device = format!("/sys/dev/block/{major}:{minor}");
        // A partition has the queue of its drive.
        for queue in ["queue/rotational", "../queue/rotational"] {
            match fs::read_to_string(Path::new(&device).join(queue)).as_deref().map(str::trim) {
                Ok("0") => return "solid-state drive",
                Ok("1") => return "rotating drive",
                _ => {}
            }
        }
    }
    "unknown drive"
}
