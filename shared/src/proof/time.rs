//! Times as statements write them: RFC 3339 in UTC, whole seconds.
//!
//! # Source
//! SPEC [S10.2], RFC 3339.

use crate::ids::Millis;

const MS_PER_SECOND: u64 = 1000;
const SECONDS_PER_DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z, the last second with a year of four digits.
const LAST_SECOND: u64 = 253_402_300_799;
const TEXT_BYTES: usize = 20;

/// A time in whole seconds, from 1970 to 9999: what a statement can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    seconds: u64,
}

impl Stamp {
    /// The time in milliseconds.
    pub fn millis(self) -> Millis {
        Millis(self.seconds * MS_PER_SECOND)
    }
}

/// Leaves out the milliseconds; what is later than the year 9999 becomes its end.
impl From<Millis> for Stamp {
    fn from(time: Millis) -> Self {
        Self { seconds: (time.0 / MS_PER_SECOND).min(LAST_SECOND) }
    }
}

/// Writes a time as `2026-11-22T09:30:00Z`; milliseconds are left out.
pub fn to_text(time: Millis) -> String {
    let seconds = Stamp::from(time).seconds;
    let (year, month, day) = date_of(seconds / SECONDS_PER_DAY);
    let second = seconds % SECONDS_PER_DAY;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Reads what [`to_text`] writes, and nothing else.
pub fn parse(text: &str) -> Option<Millis> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    if text.len() != TEXT_BYTES {
        return None;
    }
    let days = days_before(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let second = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let time = Millis((days * SECONDS_PER_DAY + second) * MS_PER_SECOND);
    // One time, one text: whatever was read loosely above differs here.
    if to_text(time) == text { Some(time) } else { None }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn month_days(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the first day of the year 1 to the first day of this year.
fn days_to_year(year: u64) -> u64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

/// Year, month and day, so many days after 1970-01-01.
fn date_of(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + days_to_year(1970);
    // Never too late, and early by at most a year.
    let mut year = days / 366 + 1;
    year += (days - days_to_year(year)) / 366;
    while days_to_year(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_to_year(year);
    let mut month = 1;
    while rest >= month_days(year, month) {
        rest -= month_days(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}

/// Days from 1970-01-01 to a date that exists.
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=month_days(year, month)).contains(&day) {
        return None;
    }
    let months: u64 = (1..month).map(|month| month_days(year, month)).sum();
    Some(days_to_year(year) - days_to_year(1970) + months + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S10.2]
    fn a_table_of_times() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (86_399, "1970-01-01T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (1_709_210_096, "2024-02-29T12:34:56Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (2_147_483_647, "2038-01-19T03:14:07Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ];
        for (seconds, text) in table {
            assert_eq!(to_text(Millis(seconds * 1000 + 999)), text);
            assert_eq!(parse(text), Some(Millis(seconds * 1000)), "{text}");
            assert_eq!(Stamp::from(Millis(seconds * 1000 + 999)).millis(), Millis(seconds * 1000));
        }
        assert_eq!(to_text(Millis(u64::MAX)), "9999-12-31T23:59:59Z");
    }

    #[test] // [S10.2]
    fn every_day_follows_the_day_before() {
        let mut expected = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(date_of(days), expected);
            let (year, month, day) = expected;
            assert_eq!(days_before(year, month, day), Some(days));
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (month, day) if day == month_days(year, month) => (year, month + 1, 1),
                (month, day) => (year, month, day + 1),
            };
        }
    }

    #[test] // [S10.2]
    fn another_text_is_refused() {
        for text in [
            "",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00z",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00:00.0Z",
            "1969-12-31T23:59:59Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T23:60:00Z",
            "2026-06-30T23:59:60Z",
            "2026-01-01T00:00:+1Z",
            "+026-01-01T00:00:00Z",
            "2026-1-001T00:00:00Z",
            "２026-01-01T00:00:0Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
