//! Sizes, spans of time and percentages as people read them. Units are decimal.

use super::style::Style;
use crate::t;

const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// A size: `512 B`, `3.2 GB`, `412 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let unit = unit_of(bytes);
    format!("{} {}", in_unit(bytes, unit), UNITS[unit])
}

/// A part of a size, in the unit of the whole: `2.0/3.2 GB`.
pub(crate) fn size_of(done: u64, total: u64) -> String {
    let unit = unit_of(total);
    format!("{}/{} {}", in_unit(done, unit), in_unit(total, unit), UNITS[unit])
}

/// A speed: `118 MB/s`.
pub(crate) fn speed(bytes_per_second: f64) -> String {
    format!("{}/s", size(bytes_per_second.max(0.0) as u64))
}

/// A part as a whole percentage; 100 only when it is whole.
pub(crate) fn percent(done: u64, total: u64) -> u64 {
    if total == 0 {
        return 100;
    }
    let percent = u128::from(done.min(total)) * 100 / u128::from(total);
    percent as u64
}

/// A span of time in its two biggest units: `10 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn span(style: &Style, seconds: u64) -> String {
    let words = &style.words;
    match seconds {
        0..60 => t!(words, "span-seconds", seconds = seconds),
        60..3600 => t!(words, "span-minutes", minutes = seconds / 60, seconds = seconds % 60),
        3600..86_400 => t!(words, "span-hours", hours = seconds / 3600, minutes = seconds % 3600 / 60),
        _ => t!(words, "span-days", days = seconds / 86_400, hours = seconds % 86_400 / 3600),
    }
}

/// The unit in which a size has one to three digits, after rounding.
fn unit_of(bytes: u64) -> usize {
    let mut unit = 0;
    let mut value = bytes as f64;
    // 999.5 would be shown as 1000.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    unit
}

fn in_unit(bytes: u64, unit: usize) -> String {
    let value = bytes as f64 / 1000f64.powi(unit as i32);
    if unit == 0 || value >= 9.95 { format!("{value:.0}") } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Language;

    #[test]
    fn sizes_have_at_most_three_digits() {
        let table = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (9_951, "10 kB"),
            (412_000_000, "412 MB"),
            (999_499_999, "999 MB"),
            (999_500_000, "1.0 GB"),
            (3_200_000_000, "3.2 GB"),
            (96_000_000_000, "96 GB"),
            (u64::MAX, "18 EB"),
        ];
        for (bytes, text) in table {
            assert_eq!(size(bytes), text, "{bytes}");
        }
        assert_eq!(size_of(2_000_000_000, 3_200_000_000), "2.0/3.2 GB");
        assert_eq!(size_of(0, 0), "0/0 B");
        assert_eq!(speed(118_000_000.0), "118 MB/s");
        assert_eq!(speed(-1.0), "0 B/s");
    }

    #[test]
    fn a_hundred_percent_is_the_end() {
        assert_eq!(percent(999, 1000), 99);
        assert_eq!(percent(1000, 1000), 100);
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(u64::MAX - 1, u64::MAX), 99);
    }

    #[test]
    fn spans_in_both_languages() {
        let english = Style::plain(Language::English);
        let chinese = Style::plain(Language::Chinese);
        let table = [
            (10, "10 s", "10 秒"),
            (200, "3 min 20 s", "3 分 20 秒"),
            (7_500, "2 h 5 min", "2 小时 5 分"),
            (273_600, "3 d 4 h", "3 天 4 小时"),
        ];
        for (seconds, en, zh) in table {
            assert_eq!((span(&english, seconds).as_str(), span(&chinese, seconds).as_str()), (en, zh));
        }
    }
}
