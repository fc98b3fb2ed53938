//! The strict text form of statements: one value, one text, which is JSON of one fixed shape.
//!
//! # Shape
//! ```text
//! {
//!   "statement": "handover-receipt/v1",
//!   "transfer": "…",
//!   …
//!   "verified": "all"
//! }
//! ```
//! Every value is a string of characters that JSON does not have to escape, so any JSON reader understands a statement. The
//! reader here takes nothing but what the writer makes, so two texts are equal exactly when the statements are.
//!
//! # Source
//! SPEC [S10.1] [S10.2].

use std::iter::Peekable;
use std::str::SplitInclusive;

use crate::ids::{BlockSize, Bundle, Commit, Digest, LinkKey, Root, TransferId};
use crate::limits::STATEMENT_BYTES_MAX;

use super::identity::Fingerprint;
use super::statement::{Agreed, Agreement, Channel, Disagreed, Mode, Verified};
use super::time::{self, Stamp};

/// Where and why a text is not the statement it should be. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct StatementFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: LineProblem,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// The whole text is longer than a statement may be.
    #[error("statement too long")]
    TooLong,
    /// A byte that is neither printable ASCII nor a line feed.
    #[error("not printable ASCII")]
    Byte,
    /// The text ends within this line or before it.
    #[error("text ends too early")]
    Unfinished,
    /// Not the opening of this kind of statement.
    #[error("wrong kind of statement")]
    Header,
    /// Not the key that stands here.
    #[error("wrong key")]
    Key,
    /// Not the one form of a value of this key.
    #[error("wrong value")]
    Value,
    /// Something else after the value than a comma, or than nothing on the last line.
    #[error("wrong end of line")]
    End,
    /// The closing brace where a key should stand.
    #[error("missing line")]
    Missing,
    /// The statement goes on after its last line.
    #[error("line too many")]
    Extra,
}

/// A value of a statement's line. Its text holds neither `"` nor `\` nor a line feed, which is what keeps the text
/// JSON.
pub(super) trait Field: Sized {
    fn write(&self) -> String;
    /// Reads at least every text that [`write`](Field::write) makes; others are sorted out by writing once more.
    fn read(text: &str) -> Option<Self>;
}

/// A value that is absent.
const NONE: &str = "none";

/// The key of the first value, which says what kind of statement it is.
const HEADER_KEY: &str = "statement";

/// What stands before a value.
fn before_value(key: &str) -> String {
    format!("  \"{key}\": ")
}

/// Writes a statement.
pub(super) struct Writer(String);

impl Writer {
    pub(super) fn begin(header: &str) -> Self {
        Self(["{\n", &before_value(HEADER_KEY), "\"", header, "\""].concat())
    }

    pub(super) fn line(&mut self, key: &str, value: &impl Field) {
        self.0.extend([",\n", &before_value(key), "\"", &value.write(), "\""]);
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push_str("\n}\n");
        self.0
    }
}

/// Reads a statement, line by line.
pub(super) struct Reader<'a> {
    lines: Peekable<SplitInclusive<'a, char>>,
    /// The line that was read last, from 1.
    line: usize,
}

impl<'a> Reader<'a> {
    /// Checks length and bytes of the text as a whole, and its first two lines.
    pub(super) fn begin(header: &str, text: &'a str) -> Result<Self, StatementFault> {
        if text.len() > STATEMENT_BYTES_MAX {
            return Err(StatementFault { line: 1, problem: LineProblem::TooLong });
        }
        if let Some(place) = text.bytes().position(|byte| !matches!(byte, 0x20..=0x7e | b'\n')) {
            let line = text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1;
            return Err(StatementFault { line, problem: LineProblem::Byte });
        }
        let mut reader = Self { lines: text.split_inclusive('\n').peekable(), line: 0 };
        if reader.next_line()? != "{" {
            return Err(reader.fault(LineProblem::Header));
        }
        let is_kind = |text: &str| if text == header { Some(()) } else { None };
        reader.value(HEADER_KEY, LineProblem::Header, is_kind)?;
        Ok(reader)
    }

    /// The value of the next line, which must have this key.
    pub(super) fn line<T: Field>(&mut self, key: &str) -> Result<T, StatementFault> {
        self.value(key, LineProblem::Value, |text| T::read(text).filter(|value| value.write() == text))
    }

    /// Checks that nothing is left but the closing brace.
    pub(super) fn finish(mut self) -> Result<(), StatementFault> {
        if self.next_line()? != "}" {
            return Err(self.fault(LineProblem::Extra));
        }
        match self.lines.next() {
            Some(_) => Err(StatementFault { line: self.line + 1, problem: LineProblem::Extra }),
            None => Ok(()),
        }
    }

    /// Reads one line whole, and its value with `read`; `wrong` is the problem when that gives nothing.
    fn value<V>(
        &mut self,
        key: &str,
        wrong: LineProblem,
        read: impl FnOnce(&str) -> Option<V>,
    ) -> Result<V, StatementFault> {
        let line = self.next_line()?;
        if line.starts_with('}') {
            return Err(self.fault(LineProblem::Missing));
        }
        let quoted = line.strip_prefix(&before_value(key)).ok_or(self.fault(LineProblem::Key))?;
        let (text, end) = quoted.strip_prefix('"').and_then(|text| text.split_once('"')).ok_or(self.fault(wrong))?;
        let value = read(text).ok_or(self.fault(wrong))?;
        let is_right_end = match self.lines.peek() {
            Some(next) if next.starts_with('}') => end.is_empty(),
            Some(_) => end == ",",
            // Whatever stands here, the fault is that the next line is not there.
            None => true,
        };
        if is_right_end { Ok(value) } else { Err(self.fault(LineProblem::End)) }
    }

    /// The next line without its line feed, which must be there.
    fn next_line(&mut self) -> Result<&'a str, StatementFault> {
        self.line += 1;
        self.lines.next().and_then(|line| line.strip_suffix('\n')).ok_or(self.fault(LineProblem::Unfinished))
    }

    fn fault(&self, problem: LineProblem) -> StatementFault {
        StatementFault { line: self.line, problem }
    }
}

/// Declares values that are written in lower-case hex.
macro_rules! hex_fields {
    ($($name:ident)*) => {$(
        impl Field for $name {
            fn write(&self) -> String {
                self.to_hex()
            }

            fn read(text: &str) -> Option<Self> {
                Self::from_hex(text)
            }
        }
    )*};
}

hex_fields!(TransferId Digest Root Commit LinkKey Bundle);

impl Field for Channel {
    fn write(&self) -> String {
        crate::ids::hex(&self.0)
    }

    fn read(text: &str) -> Option<Self> {
        crate::ids::unhex(text)?.try_into().ok().map(Self)
    }
}

impl Field for u64 {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl<T: Field> Field for Option<T> {
    fn write(&self) -> String {
        self.as_ref().map_or_else(|| NONE.to_owned(), Field::write)
    }

    fn read(text: &str) -> Option<Self> {
        if text == NONE { Some(None) } else { T::read(text).map(Some) }
    }
}

impl Field for BlockSize {
    fn write(&self) -> String {
        self.sealed_bytes().to_string()
    }

    fn read(text: &str) -> Option<Self> {
        Self::of_bytes(text.parse().ok()?)
    }
}

impl Field for Stamp {
    fn write(&self) -> String {
        time::to_text(self.millis())
    }

    fn read(text: &str) -> Option<Self> {
        time::parse(text).map(Self::from)
    }
}

impl Field for Fingerprint {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Field for Agreement {
    fn write(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Of(digest) => digest.to_hex(),
        }
    }

    fn read(text: &str) -> Option<Self> {
        if text == "none" { Some(Self::None) } else { Digest::from_hex(text).map(Self::Of) }
    }
}

/// Declares values of which there is one in this version.
macro_rules! word_fields {
    ($($name:ident::$variant:ident = $word:literal;)*) => {$(
        impl Field for $name {
            fn write(&self) -> String {
                match self {
                    Self::$variant => $word.to_owned(),
                }
            }

            fn read(text: &str) -> Option<Self> {
                if text == $word { Some(Self::$variant) } else { None }
            }
        }
    )*};
}

word_fields! {
    Mode::Detached = "detached";
    Verified::All = "all";
    Agreed::Yes = "yes";
    Disagreed::No = "no";
}
