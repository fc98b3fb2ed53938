//! Turns the events of a run into what is shown: sentences and progress for people, objects for programs.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use handover_shared::ids::Millis;
use handover_shared::keys::code::Ticket;

use super::json::{self, Json};
use super::problem::{Exit, Problem};
use super::progress::{Meter, View, current_line, stage_name, stalled, total_line};
use super::screen::{End, Mode, Screen};
use super::show::{self, Continued, Embedded};
use super::style::Tone;
use super::time::moment;
use super::units::size;
use crate::bandwidth::{Bandwidth, Direction, Limit};
use crate::error::Error;
use crate::event::{Event, ExceptionReason, Observer, Progress, ReceiptFacts, Stage};
use crate::private::escaped;
use crate::t;

/// Without a terminal a line is written this often.
const PLAIN_EVERY_MS: u64 = 30_000;
/// With `--json` progress is written at most this often.
const JSON_EVERY_MS: u64 = 1_000;

/// After this long without a byte it is said that nothing moves.
const STILL_AFTER_MS: u64 = 3_000;

/// Whether the picture of the code is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Picture {
    Wanted,
    Unwanted,
}

/// What a run was asked for that matters to its report.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) code_file: Option<PathBuf>,
    pub(crate) picture: Picture,
    pub(crate) bandwidth: Arc<Bandwidth>,
}

impl Default for Asked {
    fn default() -> Self {
        Self { code_file: None, picture: Picture::Unwanted, bandwidth: Arc::default() }
    }
}

/// What is known of the run so far.
struct Live {
    view: View,
    meter: Meter,
    stage_ms: u64,
    last_plain_ms: u64,
    last_json_ms: Option<u64>,
    /// When bytes or files last became more.
    moved_ms: u64,
    /// A continued run tells the code before it has reached the relay.
    expires_untold: Option<Millis>,
    id: Option<u64>,
    embedded: Embedded,
    relay: String,
    exceptions: Vec<(Vec<u8>, ExceptionReason)>,
    fault: Option<Problem>,
    receipt: Told,
}

/// Whether something has been told already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Yes,
    No,
}

/// Takes the events of a run and shows them.
pub(crate) struct Report {
    pub(crate) screen: Arc<Screen>,
    asked: Asked,
    began: Instant,
    live: Mutex<Live>,
}

impl Report {
    pub(crate) fn new(screen: Arc<Screen>, asked: Asked) -> Self {
        let live = Live {
            view: View::default(),
            meter: Meter::default(),
            stage_ms: 0,
            last_plain_ms: 0,
            last_json_ms: None,
            moved_ms: 0,
            expires_untold: None,
            id: None,
            embedded: Embedded::No,
            relay: String::new(),
            exceptions: Vec::new(),
            fault: None,
            receipt: Told::No,
        };
        Self { screen, asked, began: Instant::now(), live: Mutex::new(live) }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How fast the run may go.
    pub(crate) fn bandwidth(&self) -> Arc<Bandwidth> {
        self.asked.bandwidth.clone()
    }

    /// Lifts the limit of bandwidth or puts it in force again, and says so.
    pub(crate) fn toggle_limit(&self) {
        let words = &self.screen.style.words;
        let line = if !self.asked.bandwidth.is_limited() {
            t!(words, "limit-none")
        } else {
            self.live().meter.restart();
            match self.asked.bandwidth.toggle() {
                Limit::Lifted => t!(words, "limit-lifted"),
                Limit::InForce => t!(words, "limit-in-force"),
            }
        };
        self.screen.say(&format!("  {line}\n"));
    }

    /// The number of the transfer, once known.
    pub(crate) fn id(&self) -> Option<u64> {
        self.live().id
    }

    /// Notes the number of the transfer.
    pub(crate) fn set_id(&self, id: u64) {
        self.live().id = Some(id);
    }

    /// A fault that did not stop the run but decides its exit code.
    pub(crate) fn late_fault(&self) -> Option<Problem> {
        self.live().fault.clone()
    }

    /// To be called several times a second: draws, and writes the plain line when it is due.
    pub(crate) fn tick(&self) {
        let now_ms = self.elapsed_ms();
        let view = self.view(now_ms);
        if view.stage.is_none() {
            return;
        }
        if self.screen.has_moving_lines() {
            self.screen.draw(&total_line(&self.screen.style, &view), &current_line(&self.screen.style, &view));
            return;
        }
        let is_due = {
            let mut live = self.live();
            let is_due = now_ms.saturating_sub(live.last_plain_ms) >= PLAIN_EVERY_MS;
            if is_due {
                live.last_plain_ms = now_ms;
            }
            is_due
        };
        if is_due {
            self.screen.say(&format!("{}\n", total_line(&self.screen.style, &view)));
        }
    }

    /// So much is to be done, as far as it is known before it begins.
    pub(crate) fn expect(&self, files: u64, bytes: Option<u64>) {
        let mut live = self.live();
        live.view.progress.files_total = Some(files);
        live.view.progress.bytes_total = bytes;
    }

    /// Nothing is going on: a person is asked, or the end is near.
    pub(crate) fn rest(&self) {
        self.live().view.stage = None;
        self.screen.clear();
    }

    /// Writes one line of progress now, whatever the mode.
    pub(crate) fn line_now(&self) {
        let view = self.view(self.elapsed_ms());
        let line = match view.stage {
            Some(_) => total_line(&self.screen.style, &view),
            None => format!("  {}", t!(self.screen.style.words, "nothing-yet")),
        };
        self.screen.say_always(&format!("{line}\n"));
    }

    /// Takes the progress lines away and lists what was not handed over as it is.
    pub(crate) fn finish(&self) {
        self.screen.clear();
        let (listed, all) = {
            let mut live = self.live();
            (std::mem::take(&mut live.exceptions), live.view.exceptions)
        };
        if listed.is_empty() {
            return;
        }
        let style = &self.screen.style;
        let mut text = format!("  {}\n", style.tone(Tone::Notable, &t!(style.words, "exceptions-head", count = all)));
        for (path, why) in &listed {
            text.push_str(&show::exception(style, path, *why));
        }
        let rest = all.saturating_sub(listed.len() as u64);
        if rest > 0 {
            text.push_str(&format!("    {}\n", t!(style.words, "exceptions-more", count = rest)));
        }
        self.screen.say(&text);
    }

    /// Tells of a receipt, unless its event has done so.
    pub(crate) fn receipt_once(&self, receipt: ReceiptFacts) {
        if self.live().receipt == Told::No {
            self.event(Event::Receipt(receipt));
        }
    }

    fn view(&self, now_ms: u64) -> View {
        let mut live = self.live();
        if live.view.stalled.is_none() && live.view.progress != Progress::default() {
            let (done, total) = (live.view.progress.bytes_done, live.view.progress.bytes_total);
            live.meter.note(now_ms, done, total);
        }
        live.view.speed = live.meter.speed();
        live.view.eta_seconds = live.meter.eta_seconds();
        live.view.limit =
            direction(live.view.stage).and_then(|way| self.asked.bandwidth.rate(way)).map(NonZeroU64::get);
        if let (Some(_), Some(way)) = (live.view.limit, direction(live.view.stage)) {
            let least = live.view.wire_bytes_left().map(|left| self.asked.bandwidth.seconds_for(way, left));
            live.view.eta_seconds = live.view.eta_seconds.max(least);
        }
        let still_ms = now_ms.saturating_sub(live.moved_ms.max(live.stage_ms));
        live.view.still_seconds = (still_ms >= STILL_AFTER_MS).then_some(still_ms / 1000);
        live.view.stage_seconds = now_ms.saturating_sub(live.stage_ms) / 1000;
        live.view.clone()
    }

    /// Writes one JSON object.
    pub(crate) fn object(&self, object: Json) {
        if self.screen.mode == Mode::Json && self.screen.result(&object.line()).is_err() {
            tracing::debug!("standard output is closed");
        }
    }

    fn stage(&self, stage: Stage) {
        let now_ms = self.elapsed_ms();
        {
            let mut live = self.live();
            live.view.stage = Some(stage);
            live.view.stalled = None;
            live.stage_ms = now_ms;
            live.last_plain_ms = now_ms;
            live.last_json_ms = None;
        }
        if !self.screen.has_moving_lines() {
            self.screen.say(&format!("  {} …\n", stage_name(&self.screen.style, stage)));
        }
        self.progress_object();
    }

    /// Writes the progress for programs, if it is due.
    fn progress_object(&self) {
        if self.screen.mode != Mode::Json {
            return;
        }
        let now_ms = self.elapsed_ms();
        let view = self.view(now_ms);
        {
            let mut live = self.live();
            if live.last_json_ms.is_some_and(|last| now_ms.saturating_sub(last) < JSON_EVERY_MS) {
                return;
            }
            live.last_json_ms = Some(now_ms);
        }
        if let Some(object) = json::progress(&view) {
            self.object(object);
        }
    }

    fn code_ready(&self, id: u64, ticket: &Ticket, expires: Millis, continued: bool, spent: bool) {
        {
            let mut live = self.live();
            live.id = Some(id);
            live.expires_untold = Some(expires);
        }
        let text = ticket.to_text();
        self.write_code_file(&text, id);
        self.relay_row();
        let style = &self.screen.style;
        if spent {
            self.screen.say(&format!("\n  {}\n", t!(style.words, "code-spent")));
            return;
        }
        // The code's line is written in two parts, which no progress may come between.
        self.screen.aside(|| {
            self.screen.say(&show::code_lead(style, if continued { Continued::Yes } else { Continued::No }));
            self.show_code(&text);
            self.screen.say(&show::code_tail(style, id));
            self.show_picture(&text);
            self.screen.say("\n");
        });
    }

    /// Tells where the relay is and how long it keeps the data, once both are known.
    fn relay_row(&self) {
        let (embedded, relay, expires) = {
            let mut live = self.live();
            if live.relay.is_empty() {
                return;
            }
            (live.embedded, live.relay.clone(), live.expires_untold.take())
        };
        if let Some(expires) = expires {
            self.screen.say(&show::relay(&self.screen.style, &relay, embedded, expires));
        }
    }

    /// Shows the code to the person and writes it to standard output. Where both are one terminal it stands there once.
    fn show_code(&self, text: &str) {
        let style = &self.screen.style;
        let id = self.id().unwrap_or_default();
        match (self.screen.mode, self.screen.stderr, self.screen.stdout) {
            (Mode::People, End::Terminal, End::Terminal) => {
                self.screen.say(show::code_command());
                self.code_to_stdout(text, id);
            }
            (Mode::People, End::Terminal, End::Elsewhere) => {
                self.code_to_stdout(text, id);
                self.screen.say(&format!("{}{}\n", show::code_command(), style.tone(Tone::Strong, text)));
            }
            (Mode::People, End::Elsewhere, _) => {
                // What is written to a file or a log is kept; the code is a secret until it is claimed.
                self.code_to_stdout(text, id);
                self.screen.say(&format!("{}{}\n", show::code_command(), t!(style.words, "code-on-stdout")));
            }
            (Mode::Quiet | Mode::Json, ..) => self.code_to_stdout(text, id),
        }
    }

    fn code_to_stdout(&self, text: &str, id: u64) {
        if self.screen.mode == Mode::Json {
            return;
        }
        if let Err(error) = self.screen.result(&format!("{text}\n")) {
            let style = &self.screen.style;
            let why = super::problem::reason(&error, style);
            let message = t!(style.words, "problem-stdout", reason = why);
            let hint = t!(style.words, "hint-stdout", id = id.to_string());
            self.keep_fault(Problem::new("stdout", Exit::Failed, message, hint));
        }
    }

    fn show_picture(&self, text: &str) {
        let is_wanted = self.asked.picture == Picture::Wanted
            && self.screen.mode == Mode::People
            && self.screen.stderr == End::Terminal
            && self.screen.style.width >= 60;
        if is_wanted && let Some(picture) = super::qr::draw(text, self.screen.style.width, "      ") {
            self.screen.say(&format!("\n{picture}"));
        }
    }

    fn write_code_file(&self, text: &str, id: u64) {
        let Some(path) = &self.asked.code_file else { return };
        if let Err(source) = super::code_input::write_file(path, text) {
            let style = &self.screen.style;
            let mut problem = super::problem::of(&Error::disk("writing the code", path, source), None, style);
            problem.hint = t!(style.words, "hint-stdout", id = id.to_string());
            self.keep_fault(problem);
        }
    }

    fn keep_fault(&self, problem: Problem) {
        self.screen.fault(&problem.message, &problem.hint);
        self.live().fault.get_or_insert(problem);
    }

    fn people(&self, event: &Event) {
        let style = &self.screen.style;
        let words = &style.words;
        let say = |text: String| self.screen.say(&text);
        match event {
            Event::Scanned(found) => say(show::scanned(style, found)),
            Event::Document { name, bytes, .. } => say(show::document(style, name.reveal(), *bytes)),
            Event::Signed(facts) => say(show::good(style, &show::signed(style, facts))),
            Event::RefusedAgreement(facts) => {
                self.screen.clear();
                say(format!("  {}\n", style.tone(Tone::Bad, &show::refused(style, facts))));
            }
            Event::RelayReached { .. } => self.relay_row(),
            Event::Stalled { attempt: 1, cause } if !self.screen.has_moving_lines() => {
                say(format!("  {}\n", stalled(style, 1, *cause)));
            }
            Event::Moving if !self.screen.has_moving_lines() => say(format!("  {}\n", t!(words, "moving"))),
            Event::Resumed { bytes, files } => {
                let done = t!(words, "resumed", files = t!(words, "count-files", count = *files), size = size(*bytes));
                say(show::row(style, &t!(words, "label-continuing"), &done));
            }
            Event::ReadAgain { path, attempt } => {
                let name = escaped(path.reveal());
                say(format!("  {}\n", t!(words, "read-again", name = name, attempt = u64::from(*attempt))));
            }
            Event::Safe { id, .. } => {
                self.screen.clear();
                say(show::safe(style, *id, self.live().embedded));
            }
            Event::Claimed { buyer_fingerprint, time } => {
                let when = moment(style, *time);
                say(format!("  {}\n", t!(words, "claimed", key = buyer_fingerprint.clone(), when = when)));
            }
            Event::ClaimRefused { by, time } => {
                let line = t!(words, "claim-refused", key = by.clone(), when = moment(style, *time));
                say(format!("  {}\n", style.tone(Tone::Notable, &line)));
            }
            Event::Receipt(receipt) => {
                self.screen.clear();
                say(show::receipt(style, receipt));
            }
            Event::Deleted(facts) => {
                self.screen.clear();
                say(show::deleted(style, facts));
            }
            _ => {}
        }
    }

    /// Brings what is known up to date.
    fn note(&self, event: &Event) {
        let now_ms = self.elapsed_ms();
        let mut live = self.live();
        match event {
            Event::Scanning { files, bytes } => live.view.scanning = (*files, *bytes),
            Event::Scanned(found) => {
                live.view.scanning = (found.files, found.bytes.unwrap_or(0));
                live.view.progress.files_total = Some(found.files);
                live.view.progress.bytes_total = found.bytes;
            }
            Event::RelayReached { address, embedded, transport, .. } => {
                live.view.transport = Some(*transport);
                live.relay.clone_from(address);
                live.embedded = if *embedded { Embedded::Yes } else { Embedded::No };
                live.view.stalled = None;
            }
            Event::Progress(progress) => {
                if live.view.progress != *progress {
                    live.moved_ms = now_ms;
                }
                live.view.progress = progress.clone();
                live.view.stalled = None;
            }
            Event::Stalled { attempt, cause } => {
                live.view.stalled = Some((*attempt, *cause));
                live.meter.restart();
            }
            Event::Moving => live.view.stalled = None,
            Event::Resumed { bytes, .. } => {
                live.view.resumed_bytes = *bytes;
                live.meter.restart();
            }
            Event::Exception { path, reason } => {
                live.view.exceptions += 1;
                if live.exceptions.len() < show::EXCEPTIONS_SHOWN {
                    live.exceptions.push((path.reveal().clone(), *reason));
                }
            }
            Event::Safe { id, .. } => {
                live.id = Some(*id);
                live.view.stage = None;
            }
            Event::Receipt(receipt) => {
                live.id = Some(receipt.id);
                live.receipt = Told::Yes;
                live.view.stage = None;
            }
            Event::Placed { files } => live.view.progress.files_done = *files,
            _ => {}
        }
    }
}

/// Which way the blocks of a stage go.
fn direction(stage: Option<Stage>) -> Option<Direction> {
    match stage? {
        Stage::Sending => Some(Direction::Up),
        Stage::Receiving => Some(Direction::Down),
        _ => None,
    }
}

impl Observer for Report {
    fn event(&self, event: Event) {
        self.note(&event);
        match &event {
            Event::Stage(stage) => return self.stage(*stage),
            Event::CodeReady { id, ticket, expires, continued, spent } => {
                if self.screen.mode == Mode::Json {
                    self.live().id = Some(*id);
                    self.write_code_file(&ticket.to_text(), *id);
                } else {
                    return self.code_ready(*id, ticket, *expires, *continued, *spent);
                }
            }
            Event::Progress(_) => return self.progress_object(),
            _ => {}
        }
        match self.screen.mode {
            Mode::Json => {
                if let Some(object) = json::of_event(&event) {
                    self.object(object);
                }
            }
            Mode::People => self.people(&event),
            Mode::Quiet => {}
        }
    }
}
