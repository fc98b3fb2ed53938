//! Searches files and the memory of a process for what must not be there.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem::Finder;

/// Something to be found, or rather not.
#[derive(Clone, Debug)]
pub struct Needle {
    /// What it is, for the report.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Needle {
    /// Bytes as they are.
    ///
    /// # Panics
    /// When they are too few to mean anything.
    pub fn new(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        assert!(bytes.len() >= 8, "{name}: fewer than eight bytes are found anywhere");
        Self { name: name.into(), bytes }
    }

    /// A text as programs keep it: UTF-8, UTF-16 of both orders, hex of both cases, base64.
    pub fn of_text(name: &str, text: &str) -> Vec<Self> {
        let mut all = Self::of_bytes(name, text.as_bytes());
        let units: Vec<u16> = text.encode_utf16().collect();
        all.push(Self::new(
            &format!("{name} in UTF-16LE"),
            units.iter().flat_map(|u| u.to_le_bytes()).collect::<Vec<_>>(),
        ));
        all.push(Self::new(
            &format!("{name} in UTF-16BE"),
            units.iter().flat_map(|u| u.to_be_bytes()).collect::<Vec<_>>(),
        ));
        all
    }

    /// Bytes as programs keep them: as they are, hex of both cases, base64.
    pub fn of_bytes(name: &str, bytes: &[u8]) -> Vec<Self> {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        vec![
            Self::new(name, bytes),
            Self::new(&format!("{name} in hex"), hex.as_bytes()),
            Self::new(&format!("{name} in upper-case hex"), hex.to_uppercase().into_bytes()),
            Self::new(&format!("{name} in base64"), base64(bytes).into_bytes()),
        ]
    }
}

/// Standard base64 without padding, whole groups only: what a longer encoded text would share.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS[(bits & 63) as usize]);
    let group = |three: &[u8]| {
        let bits = (u32::from(three[0]) << 16) | (u32::from(three[1]) << 8) | u32::from(three[2]);
        [digit(bits >> 18), digit(bits >> 12), digit(bits >> 6), digit(bits)]
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

/// Where needles were found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// One line per needle and place.
    pub found: Vec<String>,
    /// How many bytes were searched.
    pub bytes: u64,
}

impl Findings {
    /// Adds what was found elsewhere.
    pub fn join(&mut self, other: Findings) {
        self.found.extend(other.found);
        self.bytes += other.bytes;
    }
}

const PIECE_BYTES: usize = 4 * 1024 * 1024;

struct Search<'a> {
    finders: Vec<(&'a Needle, Finder<'a>)>,
    overlap: usize,
}

impl<'a> Search<'a> {
    fn of(needles: &'a [Needle]) -> Self {
        let finders = needles.iter().map(|needle| (needle, Finder::new(&needle.bytes))).collect();
        let overlap = needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or(1) - 1;
        Self { finders, overlap }
    }

    fn piece(&self, place: &str, bytes: &[u8], findings: &mut Findings) {
        for (needle, finder) in &self.finders {
            if finder.find(bytes).is_some() {
                findings.found.push(format!("{} in {place}", needle.name));
            }
        }
    }

    /// Reads to the end, each piece together with the end of the piece before it.
    fn stream(&self, place: &str, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>, findings: &mut Findings) {
        let mut window = vec![0; PIECE_BYTES + self.overlap];
        let mut kept = 0;
        while let Ok(count) = read(&mut window[kept..]) {
            if count == 0 {
                break;
            }
            findings.bytes += count as u64;
            let filled = kept + count;
            self.piece(place, &window[..filled], findings);
            kept = filled.min(self.overlap);
            window.copy_within(filled - kept..filled, 0);
        }
    }
}

/// Searches bytes.
pub fn in_bytes(place: &str, bytes: &[u8], needles: &[Needle]) -> Findings {
    let mut findings = Findings { bytes: bytes.len() as u64, ..Findings::default() };
    Search::of(needles).piece(place, bytes, &mut findings);
    findings
}

/// Searches the names and contents of all files below a folder.
///
/// # Panics
/// When something cannot be read.
pub fn in_folder(folder: &Path, needles: &[Needle]) -> Findings {
    let search = Search::of(needles);
    let mut findings = Findings::default();
    search_folder(folder, &search, &mut findings);
    findings
}

fn search_folder(folder: &Path, search: &Search<'_>, findings: &mut Findings) {
    for entry in std::fs::read_dir(folder).expect("a folder can be listed") {
        let entry = entry.expect("a folder can be listed");
        let path = entry.path();
        let place = path.display().to_string();
        search.piece(&format!("the name of {place}"), entry.file_name().as_encoded_bytes(), findings);
        let kind = entry.file_type().expect("a file has a kind");
        if kind.is_dir() {
            search_folder(&path, search, findings);
        } else if kind.is_file() {
            // A live program may remove a file between the listing and the look.
            match File::open(&path) {
                Ok(mut file) => search.stream(&place, |buffer| file.read(buffer), findings),
                Err(error) => assert!(error.kind() == io::ErrorKind::NotFound, "{place}: {error}"),
            }
        }
    }
}

/// Searches everything that a running process has mapped and can read.
///
/// # Errors
/// The system does not let this user look.
pub fn in_memory(process: u32, needles: &[Needle]) -> io::Result<Findings> {
    let search = Search::of(needles);
    let mut findings = Findings::default();
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps"))?;
    let memory = File::open(format!("/proc/{process}/mem"))?;
    for line in maps.lines() {
        let Some((start, end, name)) = readable(line) else { continue };
        let place = format!("the memory of process {process}: {start:x}-{end:x} {name}");
        let mut at = start;
        // Parts that were unmapped meanwhile cannot be read; the rest of the region is skipped then.
        let read = |buffer: &mut [u8]| {
            let count = buffer.len().min((end - at) as usize);
            if count == 0 {
                return Ok(0);
            }
            let count = memory.read_at(&mut buffer[..count], at)?;
            at += count as u64;
            Ok(count)
        };
        search.stream(&place, read, &mut findings);
    }
    if findings.bytes == 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "no byte of the memory could be read"));
    }
    Ok(findings)
}

/// Start, end and name of a mapping that is read from memory and not from the kernel.
fn readable(line: &str) -> Option<(u64, u64, String)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let rights = words.next()?;
    let name = words.nth(3).unwrap_or("").to_owned();
    if !rights.starts_with('r') || name.starts_with("[v") {
        return None;
    }
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A search that finds nothing would prove nothing.
    #[test]
    fn finds_across_pieces_in_files_names_and_memory() {
        let scratch = tempfile::tempdir().unwrap();
        let needle = [Needle::new("planted", *b"planted-needle-0")];
        let mut bytes = vec![0u8; PIECE_BYTES + 64];
        let folder = scratch.path().join("below");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("empty"), &bytes).unwrap();
        assert!(in_folder(scratch.path(), &needle).found.is_empty());
        // Across the border of the first piece.
        bytes[PIECE_BYTES + 10..PIECE_BYTES + 26].copy_from_slice(b"planted-needle-0");
        std::fs::write(folder.join("full"), &bytes).unwrap();
        assert_eq!(in_folder(scratch.path(), &needle).found.len(), 1);
        std::fs::write(folder.join("planted-needle-0"), b"").unwrap();
        assert_eq!(in_folder(scratch.path(), &needle).found.len(), 2);
        let own = in_memory(std::process::id(), &needle).unwrap();
        assert!(!own.found.is_empty() && own.bytes > 1_000_000, "{own:?}");
        let text = Needle::of_text("text", "王氏电器的客户");
        let units: Vec<u8> = "xx王氏电器的客户yy".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(in_bytes("here", &units, &text).found, ["text in UTF-16LE in here"]);
        assert_eq!(base64(b"Man is"), "TWFuIGlz");
    }
}
