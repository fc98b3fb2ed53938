//! The biggest parts of what is sent, found while walking: entries at the top, or, where there is one folder at the top,
//! the entries in it.

use handover_shared::archive::path::EntryPath;
use handover_shared::limits::BIGGEST_MAX;

use crate::private::Private;

/// Sums up parts as they come, in order, and keeps the biggest.
pub struct Tally {
    /// Which component of a path names its part.
    level: usize,
    current: Option<Part>,
    biggest: Vec<Part>,
}

struct Part {
    key: Vec<u8>,
    is_folder: bool,
    bytes: u64,
    files: u64,
}

impl Tally {
    /// Begins; so many paths were asked for.
    pub fn new(tops: usize) -> Self {
        Self { level: usize::from(tops == 1), current: None, biggest: Vec::new() }
    }

    /// Takes the next file.
    pub fn file(&mut self, path: &EntryPath, bytes: u64) {
        let mut components = path.components();
        // A single file at the top is its own part.
        let key = components.clone().nth(self.level).or_else(|| components.clone().next()).unwrap_or_default();
        let is_folder = components.nth(self.level + 1).is_some();
        match &mut self.current {
            Some(part) if part.key == key => {
                part.bytes = part.bytes.saturating_add(bytes);
                part.files += 1;
            }
            _ => {
                self.settle();
                self.current = Some(Part { key: key.to_vec(), is_folder, bytes, files: 1 });
            }
        }
    }

    /// The biggest first: name, with a `/` behind a folder's, bytes, files.
    pub fn finish(mut self) -> Vec<(Private<String>, u64, u64)> {
        self.settle();
        let name = |part: &Part| {
            let end = if part.is_folder { "/" } else { "" };
            format!("{}{end}", String::from_utf8_lossy(&part.key))
        };
        self.biggest.iter().map(|part| (Private::new(name(part)), part.bytes, part.files)).collect()
    }

    fn settle(&mut self) {
        self.biggest.extend(self.current.take());
        self.biggest.sort_by_key(|part| std::cmp::Reverse(part.bytes));
        self.biggest.truncate(BIGGEST_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(tops: usize, files: &[(&str, u64)]) -> Vec<(String, u64, u64)> {
        let mut tally = Tally::new(tops);
        for (path, bytes) in files {
            tally.file(&EntryPath::parse(path.as_bytes()).unwrap(), *bytes);
        }
        tally.finish().into_iter().map(|(name, bytes, files)| (name.into_inner(), bytes, files)).collect()
    }

    #[test]
    fn looks_into_a_single_folder_and_not_into_several() {
        let files = [("shop/a/1", 5), ("shop/a/2", 6), ("shop/b.csv", 20), ("shop/c/d/e", 1)];
        let expected = [("b.csv".to_owned(), 20, 1), ("a/".to_owned(), 11, 2), ("c/".to_owned(), 1, 1)];
        assert_eq!(tally(1, &files), expected);
        assert_eq!(tally(2, &files), [("shop/".to_owned(), 32, 4)]);
        assert_eq!(tally(1, &[("alone.csv", 3)]), [("alone.csv".to_owned(), 3, 1)]);
    }

    #[test]
    fn keeps_the_biggest_only() {
        let names: Vec<String> = (0..100).map(|i| format!("top/{i:03}")).collect();
        let files: Vec<(&str, u64)> = names.iter().zip(0u64..).map(|(name, bytes)| (name.as_str(), bytes)).collect();
        let kept = tally(1, &files);
        assert_eq!(kept.len(), BIGGEST_MAX);
        assert_eq!(kept[0], ("099".to_owned(), 99, 1));
    }
}
