//! How fast it goes and how long it will take, and the two lines that say so.

use std::collections::VecDeque;

use super::style::{Style, Tone, columns, shortened, visible_columns};
use super::units::{percent, size, size_of, span, speed};
use crate::event::{Progress, Stage, StallCause};
use crate::link::network::Transport;
use crate::private::escaped;
use crate::t;

/// The span over which speed is measured.
const WINDOW_MS: u64 = 10_000;
/// Below this span a speed would be a guess.
const WINDOW_MS_MIN: u64 = 500;
/// How much of a new estimate goes into the shown one.
const ETA_WEIGHT: f64 = 0.2;
/// Compression that is worth telling.
const PACKED_MIN: f64 = 1.05;
/// Bytes that must have travelled before compression is told.
const PACKED_BYTES_MIN: u64 = 1_000_000;
const BAR_COLUMNS: usize = 20;

/// Measures speed over the last ten seconds and smooths the time that is left. The clock is an argument.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    samples: VecDeque<(u64, u64)>,
    eta_s: Option<f64>,
}

impl Meter {
    /// Forgets everything; for a jump that was no work, such as what was there already.
    pub(crate) fn restart(&mut self) {
        self.samples.clear();
        self.eta_s = None;
    }

    /// So many bytes were done at this moment.
    pub(crate) fn note(&mut self, now_ms: u64, bytes_done: u64, bytes_total: Option<u64>) {
        if self.samples.back().is_some_and(|(_, bytes)| *bytes > bytes_done) {
            self.restart();
        }
        self.samples.push_back((now_ms, bytes_done));
        while self.samples.len() > 2
            && self.samples.front().is_some_and(|(at, _)| now_ms.saturating_sub(*at) > WINDOW_MS)
        {
            self.samples.pop_front();
        }
        let left = bytes_total.map(|total| total.saturating_sub(bytes_done));
        let estimate = match (self.speed(), left) {
            (Some(speed), Some(left)) if speed > 1.0 => Some(left as f64 / speed),
            _ => None,
        };
        self.eta_s = match (self.eta_s, estimate) {
            (Some(shown), Some(new)) => Some(shown * (1.0 - ETA_WEIGHT) + new * ETA_WEIGHT),
            (_, new) => new,
        };
    }

    /// Bytes a second.
    pub(crate) fn speed(&self) -> Option<f64> {
        let ((from, before), (to, after)) = (self.samples.front()?, self.samples.back()?);
        let span_ms = to.saturating_sub(*from);
        (span_ms >= WINDOW_MS_MIN).then(|| (after - before) as f64 * 1000.0 / span_ms as f64)
    }

    /// Seconds left.
    pub(crate) fn eta_seconds(&self) -> Option<u64> {
        self.eta_s.map(|seconds| seconds.ceil() as u64)
    }
}

/// Everything the progress lines show.
#[derive(Debug, Default, Clone)]
pub(crate) struct View {
    pub(crate) stage: Option<Stage>,
    /// Seconds since the stage began.
    pub(crate) stage_seconds: u64,
    /// Files and bytes found while scanning.
    pub(crate) scanning: (u64, u64),
    pub(crate) progress: Progress,
    pub(crate) speed: Option<f64>,
    /// Bytes a second that may travel.
    pub(crate) limit: Option<u64>,
    pub(crate) eta_seconds: Option<u64>,
    pub(crate) stalled: Option<(u32, StallCause)>,
    /// What the relay is reached over.
    pub(crate) transport: Option<Transport>,
    /// Seconds since anything moved, once they are many.
    pub(crate) still_seconds: Option<u64>,
    /// Bytes of an earlier run.
    pub(crate) resumed_bytes: u64,
    pub(crate) exceptions: u64,
}

impl View {
    /// How many content bytes one byte on the wire has carried in this run; 1 while little has travelled.
    fn packed(&self) -> f64 {
        if self.progress.wire_bytes < PACKED_BYTES_MIN {
            return 1.0;
        }
        self.progress.bytes_done.saturating_sub(self.resumed_bytes) as f64 / self.progress.wire_bytes as f64
    }

    /// Bytes that still have to travel, if compression goes on as before.
    pub(crate) fn wire_bytes_left(&self) -> Option<u64> {
        let left = self.progress.bytes_total?.saturating_sub(self.progress.bytes_done);
        Some((left as f64 / self.packed().max(f64::MIN_POSITIVE)) as u64)
    }
}

/// The name of a stage.
pub(crate) fn stage_name(style: &Style, stage: Stage) -> String {
    let words = &style.words;
    match stage {
        Stage::Scanning => t!(words, "stage-scanning"),
        Stage::Connecting => t!(words, "stage-connecting"),
        Stage::Sending => t!(words, "stage-sending"),
        Stage::Finishing => t!(words, "stage-finishing"),
        Stage::Waiting => t!(words, "stage-waiting"),
        Stage::Receiving => t!(words, "stage-receiving"),
        Stage::Placing => t!(words, "stage-placing"),
        Stage::Signing => t!(words, "stage-signing"),
        Stage::Checking => t!(words, "stage-checking"),
        Stage::Destroying => t!(words, "stage-destroying"),
    }
}

/// Whether bytes are counted in a stage.
fn counts_bytes(stage: Stage) -> bool {
    matches!(stage, Stage::Sending | Stage::Receiving | Stage::Checking)
}

/// The total line: phase, bar, percent, bytes, speed, time left, files, compression; or why nothing moves.
pub(crate) fn total_line(style: &Style, view: &View) -> String {
    let Some(stage) = view.stage else { return String::new() };
    let label = super::style::padded(&stage_name(style, stage), 12);
    let mut parts = Vec::new();
    if counts_bytes(stage) {
        parts.extend(counted(style, view));
    } else if stage == Stage::Scanning {
        parts.push(super::show::amount(style, view.scanning.0, Some(view.scanning.1)));
    } else {
        parts.push(span(style, view.stage_seconds));
    }
    let trouble = trouble(style, view, stage);
    let is_troubled = trouble.is_some();
    parts.extend(trouble.map(|text| style.tone(Tone::Notable, &text)));
    let mut line = format!("  {label} ");
    let mut used = columns(&line);
    for (index, part) in parts.iter().enumerate() {
        // What comes last says least; trouble says most.
        let is_trouble = is_troubled && index + 1 == parts.len();
        let gap = if index > 0 { "  " } else { "" };
        let room = gap.len() + visible_columns(part);
        if used + room > style.width && !is_trouble {
            continue;
        }
        line.push_str(gap);
        line.push_str(part);
        used += room;
    }
    line.trim_end().to_owned()
}

fn counted(style: &Style, view: &View) -> Vec<String> {
    let words = &style.words;
    let progress = &view.progress;
    let mut parts = Vec::new();
    match progress.bytes_total {
        Some(total) => {
            parts.push(format!("{:>2} %", percent(progress.bytes_done, total)));
            parts.push(size_of(progress.bytes_done, total));
        }
        None => parts.push(size(progress.bytes_done)),
    }
    if view.stalled.is_some() || view.still_seconds.is_some() {
        return parts;
    }
    // Blocks come whole: below a block in some seconds a speed of zero would be as wrong as any.
    if let Some(bytes) = view.speed
        && (bytes > 0.0 || view.limit.is_none())
    {
        parts.push(speed(bytes));
    }
    if let Some(seconds) = view.eta_seconds {
        parts.push(t!(words, "eta", span = span(style, seconds)));
    }
    if let Some(limit) = view.limit {
        parts.push(t!(words, "limit", speed = speed(limit as f64)));
    }
    match progress.files_total {
        Some(total) => {
            parts.push(t!(words, "progress-files", done = progress.files_done, total = total));
        }
        None => parts.push(t!(words, "count-files", count = progress.files_done)),
    }
    // What is usual is not told.
    if view.transport == Some(Transport::Tcp) {
        parts.push(style.tone(Tone::Dim, &Transport::Tcp.to_string()));
    }
    let packed = view.packed();
    if view.stage == Some(Stage::Sending) && packed >= PACKED_MIN {
        parts.push(t!(words, "packed", factor = format!("{packed:.1}")));
    }
    if let Some(total) = progress.bytes_total
        && style.width > 100
    {
        parts.insert(0, bar(progress.bytes_done, total));
    }
    parts
}

fn bar(done: u64, total: u64) -> String {
    let filled = percent(done, total) as usize * BAR_COLUMNS / 100;
    format!("{}{}", "━".repeat(filled), "╌".repeat(BAR_COLUMNS - filled))
}

/// Why nothing moves, if nothing does.
fn trouble(style: &Style, view: &View, stage: Stage) -> Option<String> {
    match (view.stalled, view.still_seconds) {
        (Some((attempt, cause)), _) => Some(stalled(style, attempt, cause)),
        (None, Some(seconds)) if counts_bytes(stage) => Some(t!(style.words, "still", span = span(style, seconds))),
        _ => None,
    }
}

/// Why nothing moves.
pub(crate) fn stalled(style: &Style, attempt: u32, cause: StallCause) -> String {
    let words = &style.words;
    let attempt = u64::from(attempt);
    match cause {
        StallCause::Unreachable => t!(words, "stalled-unreachable", attempt = attempt),
        StallCause::Lost => t!(words, "stalled-lost", attempt = attempt),
        StallCause::Busy => t!(words, "stalled-busy", attempt = attempt),
        StallCause::Silent => t!(words, "stalled-silent", attempt = attempt),
    }
}

/// The line of the file under way, dimmed; empty if there is none.
pub(crate) fn current_line(style: &Style, view: &View) -> String {
    let Some(current) = &view.progress.current else { return String::new() };
    if !view.stage.is_some_and(counts_bytes) {
        return String::new();
    }
    let name = shortened(&escaped(current.reveal().as_bytes()), style.width.saturating_sub(16));
    style.tone(Tone::Dim, &format!("               {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private::Private;
    use crate::words::Language;

    fn sending() -> View {
        View {
            stage: Some(Stage::Sending),
            progress: Progress {
                bytes_done: 2_000_000_000,
                bytes_total: Some(3_200_000_000),
                files_done: 700,
                files_total: Some(1204),
                wire_bytes: 487_000_000,
                moved_bytes: 490_000_000,
                current: Some(Private::new(
                    "orders/2026\u{202e}/november/a-very-long-name-of-an-export-of-orders.csv".repeat(2),
                )),
            },
            speed: Some(118_000_000.0),
            eta_seconds: Some(10),
            ..View::default()
        }
    }

    #[test]
    fn the_speed_is_that_of_the_last_ten_seconds() {
        let mut meter = Meter::default();
        meter.note(0, 0, Some(1_000));
        assert_eq!(meter.speed(), None);
        meter.note(1_000, 100, Some(1_000));
        assert_eq!(meter.speed(), Some(100.0));
        assert_eq!(meter.eta_seconds(), Some(9));
        for second in 2..=30 {
            meter.note(second * 1_000, 100, Some(1_000));
        }
        assert_eq!(meter.speed(), Some(0.0));
        assert_eq!(meter.eta_seconds(), None);
        meter.note(31_000, 50, Some(1_000));
        assert_eq!(meter.speed(), None, "a step back starts over");
    }

    #[test]
    fn the_time_left_does_not_jump() {
        let mut meter = Meter::default();
        for second in 0..=10 {
            meter.note(second * 1_000, second * 100, Some(100_000));
        }
        let before = meter.eta_seconds().unwrap();
        meter.note(11_000, 10_000, Some(100_000));
        let after = meter.eta_seconds().unwrap();
        assert!(after < before && after > before / 2, "{before} {after}");
    }

    #[test]
    fn the_total_line_in_both_languages() {
        let mut style = Style::plain(Language::English);
        style.width = 90;
        let line = total_line(&style, &sending());
        assert_eq!(line, "  Sending      62 %  2.0/3.2 GB  118 MB/s  ETA 10 s  700/1 204 files  packed 4.1x");
        style.width = 50;
        assert!(columns(&total_line(&style, &sending())) <= 50);
        style.width = 120;
        assert!(total_line(&style, &sending()).contains("━━━━━━━━━━━━╌╌╌╌╌╌╌╌"));
        let chinese = Style::plain(Language::Chinese);
        let line = total_line(&chinese, &sending());
        assert!(line.starts_with("  发送中") && line.contains("62 %") && line.contains("剩余约 10 秒"), "{line}");
    }

    #[test]
    fn a_fallback_is_told_and_the_usual_is_not() {
        let mut style = Style::plain(Language::English);
        style.width = 100;
        let over = |transport| total_line(&style, &View { transport, ..sending() });
        assert_eq!(
            over(Some(Transport::Tcp)),
            "  Sending      62 %  2.0/3.2 GB  118 MB/s  ETA 10 s  700/1 204 files  tcp  packed 4.1x"
        );
        assert!(!over(Some(Transport::Quic)).contains("quic"));
        assert!(!over(None).contains("tcp"));
    }

    #[test]
    fn a_stall_is_told_whatever_the_width() {
        let mut style = Style::plain(Language::English);
        let view = View { stalled: Some((3, StallCause::Lost)), ..sending() };
        for width in [20, 40, 80] {
            style.width = width;
            assert!(total_line(&style, &view).contains("reconnecting (3)"), "{}", total_line(&style, &view));
        }
    }

    #[test]
    fn standing_still_is_told_instead_of_a_speed() {
        let style = Style::plain(Language::English);
        let line = total_line(&style, &View { still_seconds: Some(4), ..sending() });
        assert_eq!(line, "  Sending      62 %  2.0/3.2 GB  nothing has moved for 4 s");
        let waiting = View { stage: Some(Stage::Waiting), still_seconds: Some(4), ..sending() };
        assert!(!total_line(&style, &waiting).contains("moved"));
    }

    #[test]
    fn a_limit_is_told_and_what_it_leaves_is_what_must_still_travel() {
        let mut style = Style::plain(Language::English);
        style.width = 100;
        let view = View { limit: Some(10 << 20), ..sending() };
        let line = total_line(&style, &view);
        assert!(line.contains("118 MB/s  ETA 10 s  limit 10 MB/s"), "{line}");
        assert_eq!(view.wire_bytes_left(), Some(292_200_000), "as hard packed as before");
        let slow = View { speed: Some(0.0), limit: Some(10 << 10), ..sending() };
        let line = total_line(&style, &slow);
        assert!(line.contains("2.0/3.2 GB  ETA 10 s  limit 10 kB/s"), "{line}");
        let begun = View { progress: Progress { bytes_total: Some(1000), ..Progress::default() }, ..slow };
        assert_eq!(begun.wire_bytes_left(), Some(1000));
    }

    #[test]
    fn compression_counts_this_run_only() {
        let mut style = Style::plain(Language::English);
        style.width = 120;
        let view = View { resumed_bytes: 1_513_000_000, ..sending() };
        assert!(!total_line(&style, &view).contains("packed"), "{}", total_line(&style, &view));
    }

    #[test]
    fn the_current_file_is_escaped_and_cut() {
        let style = Style::plain(Language::English);
        let line = current_line(&style, &sending());
        assert!(columns(&line) <= 80 && !line.contains('\u{202e}') && line.contains('…'), "{line}");
        let waiting = View { stage: Some(Stage::Waiting), ..sending() };
        assert_eq!(current_line(&style, &waiting), "");
    }

    #[test]
    fn every_stage_has_a_line() {
        let style = Style::plain(Language::English);
        for stage in [
            Stage::Scanning,
            Stage::Connecting,
            Stage::Sending,
            Stage::Finishing,
            Stage::Waiting,
            Stage::Receiving,
            Stage::Placing,
            Stage::Signing,
        ] {
            let line = total_line(&style, &View { stage: Some(stage), ..View::default() });
            assert!(line.contains(&stage_name(&style, stage)), "{line}");
        }
    }
}
