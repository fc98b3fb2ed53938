//! What is left out: the person's own patterns, by the rules of gitignore, and nothing else. No file in the source
//! decides what is sent.

use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::Filters;
use crate::error::Error;
use crate::private::Private;

/// A pattern list longer than this is a mistake.
const LIST_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Decides about paths inside of what was asked for.
///
/// # Shape
/// With something to exclude, everything else is sent, and `include` names exceptions to the exclusions. With `include`
/// alone, only what it names is sent, and the folders above it.
pub struct Filter {
    patterns: Gitignore,
    rest: Rest,
}

/// What happens to what no pattern names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Sent,
    LeftOut,
}

/// What happens to one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent, and what is in it is asked about.
    Sent,
    /// It is sent with everything in it.
    SentWhole,
    /// It is a folder that is sent if anything in it is.
    SentIfFilled,
    /// It is left out with everything in it.
    LeftOut,
}

impl Filter {
    /// Reads the patterns.
    ///
    /// # Errors
    /// [`Error::BadPattern`]; [`Error::Disk`] if a list cannot be read.
    pub fn new(filters: &Filters) -> Result<Self, Error> {
        let excludes = !filters.exclude.is_empty() || !filters.exclude_from.is_empty();
        let rest = if excludes || filters.include.is_empty() { Rest::Sent } else { Rest::LeftOut };
        let mut builder = GitignoreBuilder::new("");
        for list in &filters.exclude_from {
            for line in read_list(list)?.lines() {
                add(&mut builder, line)?;
            }
        }
        for pattern in &filters.exclude {
            add(&mut builder, pattern)?;
        }
        for pattern in &filters.include {
            match rest {
                Rest::Sent => add(&mut builder, &negated(pattern))?,
                Rest::LeftOut => add(&mut builder, pattern)?,
            }
        }
        let patterns = builder.build().map_err(|error| bad(&error.to_string()))?;
        Ok(Self { patterns, rest })
    }

    /// Decides about a path, relative to the path that was asked for.
    pub fn folder(&self, path: &Path) -> Verdict {
        match (self.rest, self.patterns.matched(path, true)) {
            (Rest::Sent, Match::Ignore(_)) => Verdict::LeftOut,
            (Rest::Sent, _) => Verdict::Sent,
            (Rest::LeftOut, Match::Ignore(_)) => Verdict::SentWhole,
            (Rest::LeftOut, Match::None) => Verdict::SentIfFilled,
            (Rest::LeftOut, Match::Whitelist(_)) => Verdict::LeftOut,
        }
    }

    /// Decides about something that is no folder.
    pub fn leaf(&self, path: &Path) -> Verdict {
        match (self.rest, self.patterns.matched(path, false)) {
            (Rest::Sent, Match::Ignore(_)) => Verdict::LeftOut,
            (Rest::Sent, _) | (Rest::LeftOut, Match::Ignore(_)) => Verdict::Sent,
            (Rest::LeftOut, _) => Verdict::LeftOut,
        }
    }

    /// What becomes of a folder that nobody asks about: the one that was named.
    pub fn top_folder(&self) -> Verdict {
        Verdict::Sent
    }
}

fn add(builder: &mut GitignoreBuilder, line: &str) -> Result<(), Error> {
    builder.add_line(None, line).map(|_builder| ()).map_err(|_error| bad(line))
}

fn bad(pattern: &str) -> Error {
    Error::BadPattern { pattern: Private::new(pattern.into()) }
}

fn negated(pattern: &str) -> String {
    match pattern.strip_prefix('!') {
        Some(rest) => rest.into(),
        None => format!("!{pattern}"),
    }
}

fn read_list(path: &Path) -> Result<String, Error> {
    let reading = |source| Error::disk("reading a list of patterns", path, source);
    let bytes = crate::home::read_private(path, LIST_BYTES_MAX)?;
    let bytes = bytes.ok_or_else(|| Error::SourceMissing { path: Private::new(path.into()) })?;
    String::from_utf8(bytes).map_err(|error| reading(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Filter::new(&Filters { include: own(include), exclude: own(exclude), exclude_from: Vec::new() }).unwrap()
    }

    #[test]
    fn excludes_with_exceptions() {
        let filter = filter(&["keep.log", "!also.log"], &["*.log", "/cache", "tmp/"]);
        for (path, verdict) in [
            ("a.log", Verdict::LeftOut),
            ("deep/a.log", Verdict::LeftOut),
            ("deep/keep.log", Verdict::Sent),
            ("also.log", Verdict::LeftOut),
            ("cache", Verdict::LeftOut),
            ("deep/cache", Verdict::Sent),
            ("tmp", Verdict::Sent),
            (".gitignore", Verdict::Sent),
        ] {
            assert_eq!(filter.leaf(Path::new(path)), verdict, "{path}");
        }
        assert_eq!(filter.folder(Path::new("deep/tmp")), Verdict::LeftOut);
        assert_eq!(filter.folder(Path::new("deep/cache")), Verdict::Sent);
    }

    #[test]
    fn includes_alone_are_all_that_is_sent() {
        let filter = filter(&["*.csv", "photos/"], &[]);
        assert_eq!(filter.leaf(Path::new("deep/客户.csv")), Verdict::Sent);
        assert_eq!(filter.leaf(Path::new("deep/notes.txt")), Verdict::LeftOut);
        assert_eq!(filter.folder(Path::new("deep")), Verdict::SentIfFilled);
        assert_eq!(filter.folder(Path::new("deep/photos")), Verdict::SentWhole);
    }

    #[test]
    fn lists_are_read_first_so_that_the_command_line_has_the_last_word() {
        let scratch = tempfile::tempdir().unwrap();
        let list = scratch.path().join("list");
        std::fs::write(&list, "# old things\n*.bak\n!kept.bak\n").unwrap();
        let filters = Filters { include: vec!["b.bak".into()], exclude: vec![], exclude_from: vec![list] };
        let filter = Filter::new(&filters).unwrap();
        for (path, verdict) in [("a.bak", Verdict::LeftOut), ("kept.bak", Verdict::Sent), ("b.bak", Verdict::Sent)] {
            assert_eq!(filter.leaf(Path::new(path)), verdict, "{path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let filters = Filters { exclude: vec!["[z-a]".into()], ..Filters::default() };
        assert!(matches!(Filter::new(&filters), Err(Error::BadPattern { .. })));
        let filters = Filters { exclude_from: vec!["/nowhere/list".into()], ..Filters::default() };
        assert!(matches!(Filter::new(&filters), Err(Error::SourceMissing { .. })));
    }
}
