//! The words of `--bwlimit` and what they mean at a moment: rclone's grammar, so that nobody has to learn another.
//!
//! | text | meaning |
//! |---|---|
//! | `10M` | ten MiB a second, both ways, always |
//! | `10M:1M` | up, and down |
//! | `off`, `0` | as fast as it goes |
//! | `512` | KiB a second: without a letter numbers are KiB |
//! | `08:00,512k 19:00,10M 23:00,off` | from these times on, every day; the last goes on until the first |
//! | `Mon-08:00,512k Sat-10:00,off` | from these moments of the week on |
//!
//! Letters are `B K M G T P`, each 1024 times the one before; `Ki` and `KiB` are `K`. Times are those of the local clock:
//! what is set for an hour that the clock leaps over begins when it has leapt, and an hour that comes twice is the
//! same both times. Where two times are the same the later one said counts.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use jiff::{Span, Zoned};

/// A longer text is a mistake.
const TEXT_BYTES_MAX: usize = 4096;
const MINUTES_A_DAY: u32 = 24 * 60;
/// Changes of rate that a look ahead goes through.
const AHEAD_MAX: u32 = 64;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From this machine.
    Up,
    /// To this machine.
    Down,
}

/// Bytes a second, each way; nothing is as fast as it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// From this machine.
    pub up: Option<NonZeroU64>,
    /// To this machine.
    pub down: Option<NonZeroU64>,
}

impl Rates {
    /// One way.
    pub fn of(self, direction: Direction) -> Option<NonZeroU64> {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }
}

/// Which rates hold when. One without times holds always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timetable {
    /// By the minute of the week from which they hold, Sunday's midnight being 0; ascending, each minute once.
    slots: Vec<(u32, Rates)>,
}

/// A text that is no timetable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a limit of bandwidth")]
pub struct NotATimetable;

impl Timetable {
    /// What holds at a moment, by the clock of its zone.
    pub fn at(&self, now: &Zoned) -> Rates {
        let minute = minute_of_week(now.weekday(), now.time());
        let latest = self.slots.iter().rev().find(|(from, _)| *from <= minute);
        // Before the first of the week the last of it still holds.
        latest.or(self.slots.last()).map_or_else(Rates::default, |(_, rates)| *rates)
    }

    /// When something else may hold next.
    fn next_change(&self, now: &Zoned) -> Option<Zoned> {
        if self.slots.len() < 2 {
            return None;
        }
        let begins = |(from, _): &(u32, Rates)| {
            let days_ahead = (from / MINUTES_A_DAY + 7 - weekday_number(now.weekday())) % 7;
            let time = Time::midnight() + Span::new().minutes(from % MINUTES_A_DAY);
            let at = |days: u32| {
                let date = now.date().checked_add(Span::new().days(days)).ok()?;
                date.to_datetime(time).to_zoned(now.time_zone().clone()).ok()
            };
            at(days_ahead).filter(|moment| moment > now).or_else(|| at(days_ahead + 7))
        };
        self.slots.iter().filter_map(begins).min()
    }

    /// At least how many seconds so many bytes take from now on.
    pub fn seconds_for(&self, now: &Zoned, direction: Direction, bytes: u64) -> u64 {
        let (mut at, mut left, mut seconds) = (now.clone(), bytes as f64, 0.0);
        for _ in 0..AHEAD_MAX {
            let Some(rate) = self.at(&at).of(direction) else { break };
            let all = left / rate.get() as f64;
            let Some(next) = self.next_change(&at) else {
                seconds += all;
                break;
            };
            let until = at.duration_until(&next).as_secs_f64();
            if all <= until {
                seconds += all;
                break;
            }
            seconds += until;
            left -= until * rate.get() as f64;
            at = next;
        }
        // Saturating: what does not fit is for ever.
        seconds.ceil() as u64
    }
}

impl FromStr for Timetable {
    type Err = NotATimetable;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err(NotATimetable);
        }
        if !text.contains([' ', ',', ';']) {
            return Ok(Self { slots: vec![(0, rates(text)?)] });
        }
        let mut slots: Vec<(u32, Rates)> = Vec::new();
        for word in text.split([' ', ';']).filter(|word| !word.is_empty()) {
            let (when, value) = word.split_once(',').ok_or(NotATimetable)?;
            let rates = rates(value)?;
            for from in minutes(when)? {
                slots.retain(|(there, _)| *there != from);
                slots.push((from, rates));
            }
        }
        if slots.is_empty() {
            return Err(NotATimetable);
        }
        slots.sort_by_key(|(from, _)| *from);
        Ok(Self { slots })
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |rate: Option<NonZeroU64>| rate.map_or_else(|| "off".to_owned(), |rate| format!("{rate}B"));
        write!(f, "{}:{}", shown(self.up), shown(self.down))
    }
}

/// The minutes of the week that a time names: one of a day, or the same of each.
fn minutes(when: &str) -> Result<Vec<u32>, NotATimetable> {
    let (days, time) = match when.split_once('-') {
        Some((day, time)) => (vec![weekday(day)?], time),
        None => ((0..7).collect(), when),
    };
    let (hour, minute) = time.split_once(':').ok_or(NotATimetable)?;
    let two = |text: &str, most: u32| {
        let is_two_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u32>().ok().filter(|number| is_two_digits && *number <= most);
        number.ok_or(NotATimetable)
    };
    let minute = two(hour, 23)? * 60 + two(minute, 59)?;
    Ok(days.into_iter().map(|day| day * MINUTES_A_DAY + minute).collect())
}

/// The number of a day of the week, from Sunday.
fn weekday(name: &str) -> Result<u32, NotATimetable> {
    const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let name = name.to_ascii_lowercase();
    let is_it = |day: &str| day == name || day.get(..3) == Some(&name);
    let number = DAYS.iter().position(|day| is_it(day)).ok_or(NotATimetable)?;
    u32::try_from(number).or(Err(NotATimetable))
}

fn weekday_number(day: Weekday) -> u32 {
    day.to_sunday_zero_offset().unsigned_abs().into()
}

fn minute_of_week(day: Weekday, time: Time) -> u32 {
    let minute = u32::from(time.hour().unsigned_abs()) * 60 + u32::from(time.minute().unsigned_abs());
    weekday_number(day) * MINUTES_A_DAY + minute
}

/// Reads one rate for both ways, or two with a colon between.
fn rates(text: &str) -> Result<Rates, NotATimetable> {
    match text.split_once(':') {
        None => rate(text).map(|rate| Rates { up: rate, down: rate }),
        Some((up, down)) => Ok(Rates { up: rate(up)?, down: rate(down)? }),
    }
}

/// Reads a number with a letter, or `off`.
fn rate(text: &str) -> Result<Option<NonZeroU64>, NotATimetable> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let end = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(end);
    let factor = 1u128 << factor_bits(unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if number.len() > 20 || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotATimetable);
    }
    let whole: u128 = whole.parse().or(Err(NotATimetable))?;
    let parts: u128 = if fraction.is_empty() { 0 } else { fraction.parse().or(Err(NotATimetable))? };
    let scale = 10u128.pow(u32::try_from(fraction.len()).or(Err(NotATimetable))?);
    let bytes = (whole * scale + parts).checked_mul(factor).ok_or(NotATimetable)? / scale;
    let bytes = u64::try_from(bytes).or(Err(NotATimetable))?;
    match (NonZeroU64::new(bytes), whole == 0 && parts == 0) {
        (None, false) => Err(NotATimetable),
        (rate, _) => Ok(rate),
    }
}

fn factor_bits(unit: &str) -> Result<u32, NotATimetable> {
    let unit = unit.to_ascii_lowercase();
    let bare = unit.strip_suffix("ib").or(unit.strip_suffix('i')).filter(|bare| !bare.is_empty());
    match bare.unwrap_or(&unit) {
        "b" if bare.is_none() => Ok(0),
        "" | "k" => Ok(10),
        "m" => Ok(20),
        "g" => Ok(30),
        "t" => Ok(40),
        "p" => Ok(50),
        _ => Err(NotATimetable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;

    fn table(text: &str) -> Timetable {
        text.parse().unwrap()
    }

    fn at(text: &str, moment: &str) -> (u64, u64) {
        let rates = table(text).at(&moment.parse().unwrap());
        (rates.up.map_or(0, NonZeroU64::get), rates.down.map_or(0, NonZeroU64::get))
    }

    #[test]
    fn single_values() {
        let any = "2026-11-25T12:00[UTC]";
        let rows = [
            ("666", (666 * KIB, 666 * KIB)),
            ("0.5", (512, 512)),
            ("10B", (10, 10)),
            ("10k", (10 * KIB, 10 * KIB)),
            ("10K", (10 * KIB, 10 * KIB)),
            ("10Ki", (10 * KIB, 10 * KIB)),
            ("10KiB", (10 * KIB, 10 * KIB)),
            ("1.5M", (3 * MIB / 2, 3 * MIB / 2)),
            ("0.625M", (640 * KIB, 640 * KIB)),
            ("2G", (2048 * MIB, 2048 * MIB)),
            ("1T", (MIB * MIB, MIB * MIB)),
            ("1P", (KIB * MIB * MIB, KIB * MIB * MIB)),
            ("10M:1M", (10 * MIB, MIB)),
            ("10M:off", (10 * MIB, 0)),
            ("off:100k", (0, 100 * KIB)),
            ("off", (0, 0)),
            ("OFF", (0, 0)),
            ("0", (0, 0)),
            (" 10M ", (10 * MIB, 10 * MIB)),
        ];
        for (text, expected) in rows {
            assert_eq!(at(text, any), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_limit() {
        let rows = [
            "",
            " ",
            "fast",
            "1000X",
            "-1",
            "10 M",
            "M",
            ".",
            "1.2.3",
            "10M:",
            ":1M",
            "1M:1M:1M",
            "10MB",
            "ib",
            "bib",
            "1,1M",
            "8:00,1M",
            "24:00,1M",
            "08:60,1M",
            "08:00,",
            "08:00,fast",
            "Mo-08:00,1M",
            "Mon-8:00,1M",
            "Mon-08:00:00,1M",
            "Mon,1M",
            "Mon-08:00-09:00,1M",
            "08:00,1M 09:00",
            "+1:00,1M",
            ",",
            ";",
            "08:00,1M,2M",
            "0.0001B",
            "99999999999999999999P",
            "1.0000000000",
        ];
        for text in rows {
            assert_eq!(text.parse::<Timetable>(), Err(NotATimetable), "{text:?}");
        }
        assert_eq!("08:00,1M ".repeat(1000).parse::<Timetable>(), Err(NotATimetable), "without an end");
    }

    #[test]
    fn a_table_of_the_day() {
        let text = "08:00,512k 12:00,10M 13:00,512k 18:00,30M:1M 23:00,off";
        let rows = [
            ("00:00", (0, 0)),
            ("07:59:59.9", (0, 0)),
            ("08:00", (512 * KIB, 512 * KIB)),
            ("12:00", (10 * MIB, 10 * MIB)),
            ("12:59", (10 * MIB, 10 * MIB)),
            ("13:00", (512 * KIB, 512 * KIB)),
            ("18:30", (30 * MIB, MIB)),
            ("23:00", (0, 0)),
        ];
        for day in ["2026-11-22", "2026-11-25", "2026-11-28"] {
            for (time, expected) in rows {
                assert_eq!(at(text, &format!("{day}T{time}[UTC]")), expected, "{day} {time}");
            }
        }
    }

    #[test]
    fn a_table_of_the_week() {
        let text = "Mon-00:00,512 Fri-23:59,10M Saturday-10:00,1M;sun-20:00,off";
        // 22 November 2026 is a Sunday.
        let rows = [
            ("2026-11-22T19:59", MIB),
            ("2026-11-22T20:00", 0),
            ("2026-11-22T23:59", 0),
            ("2026-11-23T00:00", 512 * KIB),
            ("2026-11-27T23:58", 512 * KIB),
            ("2026-11-27T23:59", 10 * MIB),
            ("2026-11-28T09:59", 10 * MIB),
            ("2026-11-28T10:00", MIB),
        ];
        for (moment, up) in rows {
            assert_eq!(at(text, &format!("{moment}[UTC]")), (up, up), "{moment}");
        }
    }

    #[test]
    fn times_without_a_day_are_those_of_every_day_and_the_last_word_counts() {
        let text = "Mon-00:00,512 12:00,1M Sun-20:00,off";
        let rows = [
            ("2026-11-23T11:59", 512 * KIB),
            ("2026-11-23T12:00", MIB),
            ("2026-11-25T03:00", MIB),
            ("2026-11-22T20:00", 0),
            ("2026-11-22T10:00", MIB),
        ];
        for (moment, up) in rows {
            assert_eq!(at(text, &format!("{moment}[UTC]")).0, up, "{moment}");
        }
        assert_eq!(at("12:00,1M Wed-12:00,2M", "2026-11-25T12:00[UTC]").0, 2 * MIB);
        assert_eq!(at("Wed-12:00,2M 12:00,1M", "2026-11-25T12:00[UTC]").0, MIB);
    }

    #[test]
    fn the_local_clock_decides_through_summer_time() {
        // Berlin leaps from 02:00 to 03:00 on 29 March 2026, and has 02:00 to 03:00 twice on 25 October.
        let text = "02:30,1M 04:00,2M";
        let rows = [
            ("2026-03-29T01:59+01:00[Europe/Berlin]", 2 * MIB),
            ("2026-03-29T03:00+02:00[Europe/Berlin]", MIB),
            ("2026-03-29T04:00+02:00[Europe/Berlin]", 2 * MIB),
            ("2026-10-25T02:15+02:00[Europe/Berlin]", 2 * MIB),
            ("2026-10-25T02:45+02:00[Europe/Berlin]", MIB),
            ("2026-10-25T02:15+01:00[Europe/Berlin]", 2 * MIB),
            ("2026-10-25T02:45+01:00[Europe/Berlin]", MIB),
        ];
        for (moment, up) in rows {
            assert_eq!(at(text, moment).0, up, "{moment}");
        }
        let noon = "2026-11-25T12:00+08:00[Asia/Shanghai]";
        assert_eq!(at("12:00,1M 13:00,off", noon).0, MIB, "not the time of Greenwich");
    }

    #[test]
    fn the_next_change_is_found_through_weeks_and_summer_time() {
        let next = |text: &str, moment: &str| {
            table(text).next_change(&moment.parse().unwrap()).map(|moment| moment.to_string())
        };
        let utc = "2026-11-25T12:00[UTC]";
        assert_eq!(next("1M", utc), None);
        assert_eq!(next("Mon-01:00,1M", utc), None, "one rate for ever");
        assert_eq!(next("08:00,1M 12:00,2M", utc).unwrap(), "2026-11-26T08:00:00+00:00[UTC]");
        assert_eq!(next("Mon-01:00,1M Wed-12:00,off", utc).unwrap(), "2026-11-30T01:00:00+00:00[UTC]");
        let leap = next("02:30,1M 04:00,2M", "2026-03-29T01:00[Europe/Berlin]").unwrap();
        assert_eq!(leap, "2026-03-29T03:30:00+02:00[Europe/Berlin]");
    }

    #[test]
    fn how_long_it_takes_follows_the_table() {
        let noon: Zoned = "2026-11-25T12:00[UTC]".parse().unwrap();
        let seconds = |text: &str, bytes| table(text).seconds_for(&noon, Direction::Up, bytes);
        assert_eq!(seconds("1M", 60 * MIB), 60);
        assert_eq!(seconds("1M:2M", 60 * MIB), 60);
        assert_eq!(table("1M:2M").seconds_for(&noon, Direction::Down, 60 * MIB), 30);
        assert_eq!(seconds("off", 60 * MIB), 0, "nothing is known of it");
        assert_eq!(seconds("00:00,1M 12:01,2M", 120 * MIB), 60 + 30);
        assert_eq!(seconds("00:00,1M 12:01,off", 120 * MIB), 60);
        assert_eq!(seconds("10B", u64::MAX), 1_844_674_407_370_955_264);
        assert_eq!(seconds("00:00,1B 12:00,2B", u64::MAX), seconds("12:00,2B 00:00,1B", u64::MAX));
    }
}
