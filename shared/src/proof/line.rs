//! The strict text form of statements: one value, one text.
//!
//! # Source
//! SPEC [S10.1] [S10.2].

use crate::ids::{BlockSize, Bundle, Commit, Digest, LinkKey, Root, TransferId};
use crate::limits::STATEMENT_BYTES_MAX;

use super::identity::Fingerprint;
use super::statement::{Agreement, Channel, Kind, Mode, Verified};
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
    /// The last line has no line feed.
    #[error("no line feed at the end")]
    Unfinished,
    /// Not the first line of this kind of statement.
    #[error("wrong kind of statement")]
    Header,
    /// Not the key that stands here.
    #[error("wrong key")]
    Key,
    /// Not the one form of a value of this key.
    #[error("wrong value")]
    Value,
    /// The statement ends too early.
    #[error("missing line")]
    Missing,
    /// The statement goes on after its last line.
    #[error("line too many")]
    Extra,
}

/// A value of a statement's line.
pub(super) trait Field: Sized {
    fn write(&self) -> String;
    /// Reads at least every text that [`write`](Field::write) makes; others are sorted out by writing once more.
    fn read(text: &str) -> Option<Self>;
}

/// Writes a statement.
pub(super) struct Writer(String);

impl Writer {
    pub(super) fn begin(kind: Kind) -> Self {
        Self(format!("{}\n", kind.header()))
    }

    pub(super) fn line(&mut self, key: &str, value: &impl Field) {
        self.0.extend([key, ": ", &value.write(), "\n"]);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Reads a statement.
pub(super) struct Reader<'a> {
    lines: std::str::Split<'a, char>,
    line: usize,
}

impl<'a> Reader<'a> {
    /// Checks everything that holds for the text as a whole, and its first line.
    pub(super) fn begin(kind: Kind, text: &'a str) -> Result<Self, StatementFault> {
        let at = |line, problem| Err(StatementFault { line, problem });
        if text.len() > STATEMENT_BYTES_MAX {
            return at(1, LineProblem::TooLong);
        }
        let lines_until = |end: usize| text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1;
        if let Some(place) = text.bytes().position(|byte| !matches!(byte, 0x20..=0x7e | b'\n')) {
            return at(lines_until(place), LineProblem::Byte);
        }
        let Some(whole) = text.strip_suffix('\n') else {
            return at(lines_until(text.len()), LineProblem::Unfinished);
        };
        let mut lines = whole.split('\n');
        if lines.next() != Some(kind.header()) {
            return at(1, LineProblem::Header);
        }
        Ok(Self { lines, line: 1 })
    }

    /// The value of the next line, which must have this key.
    pub(super) fn line<T: Field>(&mut self, key: &str) -> Result<T, StatementFault> {
        self.line += 1;
        let fault = |problem| StatementFault { line: self.line, problem };
        let line = self.lines.next().ok_or(fault(LineProblem::Missing))?;
        let text = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(": ")).ok_or(fault(LineProblem::Key))?;
        T::read(text).filter(|value| value.write() == text).ok_or(fault(LineProblem::Value))
    }

    pub(super) fn finish(mut self) -> Result<(), StatementFault> {
        match self.lines.next() {
            Some(_) => Err(StatementFault { line: self.line + 1, problem: LineProblem::Extra }),
            None => Ok(()),
        }
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
    Agreement::None = "none";
    Verified::All = "all";
}
