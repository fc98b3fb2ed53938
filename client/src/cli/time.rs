//! Moments as people read them, in their own time zone; where that is unknown, in UTC, and the text says so.

use handover_shared::ids::Millis;
use handover_shared::proof::time;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::style::Style;
use crate::t;

/// The time zone of this machine, or UTC where it cannot be known.
pub(crate) fn local_zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// Now.
pub(crate) fn now() -> Millis {
    Millis(u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0))
}

/// A moment: `6 Dec 2026 18:02`, `2026年12月6日 18:02`.
pub(crate) fn moment(style: &Style, at: Millis) -> String {
    let words = &style.words;
    let Ok(stamp) = i64::try_from(at.0).map_err(drop).and_then(|ms| Timestamp::from_millisecond(ms).map_err(drop))
    else {
        return rfc3339(at);
    };
    let local = stamp.to_zoned(style.zone.clone());
    let month = match local.month() {
        1 => t!(words, "month-1"),
        2 => t!(words, "month-2"),
        3 => t!(words, "month-3"),
        4 => t!(words, "month-4"),
        5 => t!(words, "month-5"),
        6 => t!(words, "month-6"),
        7 => t!(words, "month-7"),
        8 => t!(words, "month-8"),
        9 => t!(words, "month-9"),
        10 => t!(words, "month-10"),
        11 => t!(words, "month-11"),
        _ => t!(words, "month-12"),
    };
    let text = t!(
        words,
        "moment",
        year = local.year().to_string(),
        month = month,
        day = local.day().to_string(),
        time = format!("{:02}:{:02}", local.hour(), local.minute()),
    );
    let offset = style.zone.to_offset_info(stamp);
    if offset.abbreviation() == "UTC" || style.zone.is_unknown() { format!("{text} UTC") } else { text }
}

/// A moment for machines: RFC 3339 in UTC.
pub(crate) fn rfc3339(at: Millis) -> String {
    time::to_text(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Language;

    #[test]
    fn moments_are_local_and_say_so_when_they_are_not() {
        let at = Millis(1_796_580_120_000);
        let mut english = Style::plain(Language::English);
        let mut chinese = Style::plain(Language::Chinese);
        assert_eq!(rfc3339(at), "2026-12-06T18:02:00Z");
        assert_eq!(moment(&english, at), "6 Dec 2026 18:02 UTC");
        let zone = TimeZone::fixed(jiff::tz::Offset::constant(8));
        english.zone = zone.clone();
        chinese.zone = zone;
        assert_eq!(moment(&english, at), "7 Dec 2026 02:02");
        assert_eq!(moment(&chinese, at), "2026年12月7日 02:02");
        assert_eq!(moment(&english, Millis(u64::MAX)), "9999-12-31T23:59:59Z");
    }
}
