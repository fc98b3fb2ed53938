//! How things look to this person: language, time zone, width, colour. Everything that is rendered is rendered with it.

use std::sync::Arc;

use jiff::tz::TimeZone;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

#[cfg(test)]
use crate::words::Language;
use crate::words::Words;

/// The width of a line where nobody says how wide it may be.
pub(crate) const WIDTH_DEFAULT: usize = 80;

/// Whether colour and other styling is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Colour,
}

/// Everything rendering depends on.
#[derive(Clone)]
pub(crate) struct Style {
    pub(crate) words: Arc<Words>,
    pub(crate) zone: TimeZone,
    /// Columns of a line.
    pub(crate) width: usize,
    pub(crate) paint: Paint,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It went well.
    Good,
    /// It went wrong.
    Bad,
    /// Look here.
    Notable,
    /// Less important.
    Dim,
    /// What the person is to copy.
    Strong,
}

impl Style {
    /// Without colour, in UTC, 80 columns.
    #[cfg(test)]
    pub(crate) fn plain(language: Language) -> Self {
        Self { words: Arc::new(Words::new(language)), zone: TimeZone::UTC, width: WIDTH_DEFAULT, paint: Paint::Plain }
    }

    /// A text in its tone.
    pub(crate) fn tone(&self, tone: Tone, text: &str) -> String {
        if self.paint == Paint::Plain {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31;1",
            Tone::Notable => "33",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Columns a text takes on a terminal.
pub(crate) fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// A text filled with spaces to so many columns.
pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// A text filled with spaces on its left to so many columns.
pub(crate) fn padded_left(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

/// A text of at most so many columns, with an ellipsis in its middle where something had to go.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
    }
    let room = width - 1;
    // The end of a path says more than its beginning.
    let tail_room = room - room / 3;
    let head = taken(text.chars(), room / 3);
    let mut tail: Vec<char> = taken(text.chars().rev(), tail_room).chars().collect();
    tail.reverse();
    format!("{head}…{}", tail.into_iter().collect::<String>())
}

fn taken(chars: impl Iterator<Item = char>, room: usize) -> String {
    let mut left = room;
    let fits = |char: &char| {
        let width = char.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    chars.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_measured_in_columns() {
        assert_eq!(columns("客户.csv"), 8);
        assert_eq!(padded("客户", 6), "客户  ");
        assert_eq!(padded_left("客户", 6), "  客户");
        assert_eq!(padded("long enough", 3), "long enough");
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shortened("orders/2026/november/export.csv", 16), "order…export.csv");
        assert_eq!(shortened("orders.csv", 16), "orders.csv");
        assert_eq!(shortened("客户资料导出二零二六.csv", 14), "客户…二六.csv");
        for width in 0..20 {
            assert!(columns(&shortened("客户资料/customers/导出.csv", width)) <= width);
        }
    }

    #[test]
    fn colour_is_written_only_when_asked() {
        let mut style = Style::plain(Language::English);
        assert_eq!(style.tone(Tone::Good, "ok"), "ok");
        style.paint = Paint::Colour;
        assert_eq!(style.tone(Tone::Good, "ok"), "\x1b[32mok\x1b[0m");
    }
}
