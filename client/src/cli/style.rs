//! How things look to this person: language, time zone, width, colour. Everything that is rendered is rendered with it.

use std::sync::Arc;

use jiff::tz::TimeZone;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

#[cfg(test)]
use crate::words::Language;
use crate::words::Words;

/// The width of a line where nobody says how wide it may be.
pub(crate) const WIDTH_DEFAULT: usize = 80;

/// A narrower column of text is no column.
const WRAP_COLUMNS_MIN: usize = 20;
/// Where the texts of labelled rows begin.
const LABEL_ENDS: usize = 15;
/// Marks that a line may begin with.
const MARKS: [&str; 3] = ["✔ ", "\x1b[32m✔\x1b[0m ", "* "];

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

    /// The same without colour, for what is kept in a file.
    pub(crate) fn unpainted(&self) -> Self {
        Self { words: self.words.clone(), zone: self.zone.clone(), width: self.width, paint: Paint::Plain }
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

/// A text in lines of at most so many columns, broken at spaces, and between characters that are two columns wide.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(WRAP_COLUMNS_MIN);
    let mut lines = Vec::new();
    let (mut line, mut word) = (String::new(), String::new());
    let mut flush = |line: &mut String, word: &mut String| {
        if !line.is_empty() && visible_columns(line) + visible_columns(word) > width {
            lines.push(std::mem::take(line).trim_end().to_owned());
        }
        if line.is_empty() {
            line.push_str(word.trim_start())
        } else {
            line.push_str(word)
        }
        word.clear();
    };
    for char in text.chars() {
        // Closing marks stay with what they close.
        let is_wide = char.width() == Some(2) && !"，。；：？！）、”".contains(char);
        if char == ' ' || is_wide {
            flush(&mut line, &mut word);
        }
        word.push(char);
    }
    flush(&mut line, &mut word);
    lines.push(line.trim_end().to_owned());
    lines
}

/// A text whose lines fit: what is too long goes on below where the text of the line begins, behind its label or mark.
/// Commands are left as they are, since a person copies them.
pub(crate) fn fitted(text: &str, width: usize) -> String {
    let mut fitted = String::with_capacity(text.len());
    for whole in text.split_inclusive('\n') {
        let (line, end) = whole.strip_suffix('\n').map_or((whole, ""), |line| (line, "\n"));
        let (head, body) = parted(line);
        let indent = visible_columns(head);
        let is_command = body.starts_with("handover ") || body.starts_with("ssh-keygen ");
        if visible_columns(line) <= width || is_command || indent + WRAP_COLUMNS_MIN > width {
            fitted.push_str(whole);
            continue;
        }
        fitted.push_str(head);
        let gap = format!("\n{}", " ".repeat(indent));
        fitted.push_str(&wrapped(body, width - indent).join(&gap));
        fitted.push_str(end);
    }
    fitted
}

/// A line's blanks, mark and label, and its text.
fn parted(line: &str) -> (&str, &str) {
    let blanks = line.len() - line.trim_start_matches(' ').len();
    let mut at = blanks;
    // A label ends with a gap, or fills the columns that labels have.
    let rest = &line[blanks..];
    let mark = MARKS.iter().find(|mark| rest.starts_with(**mark));
    let label_ends = rest.match_indices(' ').find_map(|(place, _)| {
        let after = &rest[place..];
        let gap = after.len() - after.trim_start_matches(' ').len();
        let end = blanks + place + gap;
        (gap >= 2 || (mark.is_none() && visible_columns(&line[..end]) == LABEL_ENDS)).then_some(end)
    });
    if let Some(end) = label_ends.filter(|end| visible_columns(&line[..*end]) <= LABEL_ENDS) {
        at = end;
        if line[at..].starts_with("\x1b[0m ") {
            at += "\x1b[0m ".len();
        }
    } else if let Some(mark) = mark {
        at += mark.len();
    }
    line.split_at(at)
}

/// Columns of a text without its styling.
pub(crate) fn visible_columns(text: &str) -> usize {
    let mut total = 0;
    let mut rest = text;
    while let Some(start) = rest.find("\x1b[") {
        total += columns(&rest[..start]);
        rest = rest[start..].split_once('m').map_or("", |(_, after)| after);
    }
    total + columns(rest)
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

    #[test]
    fn texts_are_broken_where_they_may_be() {
        assert_eq!(wrapped("", 20), [""]);
        assert_eq!(wrapped("one two three four five", 20), ["one two three four", "five"]);
        let long = ["a-word-that-is-longer-than-a-line", "then"];
        assert_eq!(wrapped(&long.join(" "), 20), long);
        assert_eq!(wrapped("请检查网络，或换一个网络再试。", 20), ["请检查网络，或换一个", "网络再试。"]);
        assert_eq!(wrapped("一二三四五六七八九十。", 20), ["一二三四五六七八九", "十。"]);
        assert_eq!(wrapped("\x1b[2mone two three four\x1b[0m", 20), ["\x1b[2mone two three four\x1b[0m"]);
    }

    #[test]
    fn what_is_too_long_goes_on_below_its_text() {
        let table = [
            (35, "  Relay        one two three four five", "  Relay        one two three four\n               five"),
            (
                36,
                "  \x1b[2mRelay       \x1b[0m one two three four five",
                "  \x1b[2mRelay       \x1b[0m one two three four\n               five",
            ),
            (
                36,
                "               one two three four five six",
                "               one two three four\n               five six",
            ),
            (36, "  organisation one two three four five", "  organisation one two three four\n               five"),
            (31, "  ✔ Everything is safely on the relay now.", "  ✔ Everything is safely on the\n    relay now."),
            (30, "error: the code was used by somebody else", "error: the code was used by\nsomebody else"),
            (35, "  中继         一二三四五六七八九十一二", "  中继         一二三四五六七八九十\n               一二"),
            (30, "      handover pull ho1qqqqqqqqqqqq@relay", "      handover pull ho1qqqqqqqqqqqq@relay"),
            (30, "short\n\n  lines\n", "short\n\n  lines\n"),
            (10, "  Relay        narrower than anything", "  Relay        narrower than anything"),
        ];
        for (width, text, expected) in table {
            assert_eq!(fitted(text, width), expected);
        }
    }
}
