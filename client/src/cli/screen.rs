//! Where text goes. Standard output carries results only; everything for people goes to standard error, around the
//! progress lines.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::ColorWhen;
use super::config::Variables;
use super::style::{Paint, Style, Tone, WIDTH_DEFAULT, fitted};
use crate::t;

/// For whom a run speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Sentences and progress.
    People,
    /// Results and errors only.
    Quiet,
    /// One JSON object a line on standard output.
    Json,
}

/// What an end of this process is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Terminal,
    Elsewhere,
}

/// The terminal, or what stands in its place.
pub(crate) struct Screen {
    pub(crate) style: Style,
    pub(crate) mode: Mode,
    pub(crate) stdout: End,
    pub(crate) stderr: End,
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    bars: MultiProgress,
    lines: Mutex<Option<(ProgressBar, ProgressBar)>>,
    /// A person is typing.
    is_aside: AtomicBool,
}

impl Screen {
    /// The real one.
    pub(crate) fn new(style: Style, mode: Mode) -> Self {
        Self {
            style,
            mode,
            stdout: end_of(&io::stdout()),
            stderr: end_of(&io::stderr()),
            out: Mutex::new(Box::new(io::stdout())),
            err: Mutex::new(Box::new(io::stderr())),
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)),
            lines: Mutex::new(None),
            is_aside: AtomicBool::new(false),
        }
    }

    /// One that writes elsewhere and shows no moving lines.
    #[cfg(test)]
    pub(crate) fn captured(style: Style, mode: Mode, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self {
            style,
            mode,
            stdout: End::Elsewhere,
            stderr: End::Elsewhere,
            out: Mutex::new(out),
            err: Mutex::new(err),
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            lines: Mutex::new(None),
            is_aside: AtomicBool::new(false),
        }
    }

    /// Whether progress can be shown by lines that are drawn again.
    pub(crate) fn has_moving_lines(&self) -> bool {
        self.mode == Mode::People && self.stderr == End::Terminal && !self.bars.is_hidden()
    }

    /// Text for people; nothing unless this run speaks to people.
    pub(crate) fn say(&self, text: &str) {
        if self.mode == Mode::People {
            self.say_always(text);
        }
    }

    /// Text for people that is said whatever the mode: errors and questions.
    pub(crate) fn say_always(&self, text: &str) {
        let text = match self.stderr {
            End::Terminal => Cow::Owned(fitted(text, self.style.width)),
            End::Elsewhere => Cow::Borrowed(text),
        };
        self.bars.suspend(|| {
            let mut err = held(&self.err);
            // Whoever closed standard error does not want to read.
            if err.write_all(text.as_bytes()).and_then(|()| err.flush()).is_err() {
                tracing::debug!("standard error is closed");
            }
        });
    }

    /// One result on standard output, there at once.
    pub(crate) fn result(&self, text: &str) -> io::Result<()> {
        self.bars.suspend(|| {
            let mut out = held(&self.out);
            out.write_all(text.as_bytes())?;
            out.flush()
        })
    }

    /// Draws the two progress lines.
    pub(crate) fn draw(&self, total: &str, current: &str) {
        if !self.has_moving_lines() || self.is_aside.load(Ordering::SeqCst) {
            return;
        }
        let mut lines = held(&self.lines);
        let (first, second) = lines.get_or_insert_with(|| (self.line(), self.line()));
        first.set_message(total.to_owned());
        second.set_message(current.to_owned());
        first.tick();
        second.tick();
    }

    fn line(&self) -> ProgressBar {
        let line = self.bars.add(ProgressBar::new_spinner());
        line.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_fixed| ProgressStyle::default_spinner()));
        line
    }

    /// Takes the progress lines away.
    pub(crate) fn clear(&self) {
        if let Some((first, second)) = held(&self.lines).take() {
            first.finish_and_clear();
            second.finish_and_clear();
            self.bars.remove(&first);
            self.bars.remove(&second);
        }
    }

    /// Runs something that uses the terminal itself, with the progress lines out of the way.
    pub(crate) fn aside<T>(&self, run: impl FnOnce() -> T) -> T {
        self.is_aside.store(true, Ordering::SeqCst);
        self.clear();
        let done = run();
        self.is_aside.store(false, Ordering::SeqCst);
        done
    }

    /// An error.
    pub(crate) fn fault(&self, message: &str, hint: &str) {
        let words = &self.style.words;
        let head = self.style.tone(Tone::Bad, &t!(words, "error"));
        let mut text = t!(words, "error-line", head = head, message = message.to_owned());
        text.push('\n');
        if !hint.is_empty() {
            text.push_str(&t!(words, "hint-line", hint = hint.to_owned()));
            text.push('\n');
        }
        self.say_always(&text);
    }
}

/// How often the moving lines are drawn.
pub(crate) const DRAW_EVERY: Duration = Duration::from_millis(200);

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn end_of(stream: &impl IsTerminal) -> End {
    if stream.is_terminal() { End::Terminal } else { End::Elsewhere }
}

/// Whether to colour what goes to standard error.
pub(crate) fn paint(when: ColorWhen, variables: &Variables) -> Paint {
    let asked_plain = variables.get("NO_COLOR").is_some_and(|value| !value.is_empty())
        || variables.get("TERM").is_some_and(|value| value == "dumb");
    match when {
        ColorWhen::Always => Paint::Colour,
        ColorWhen::Auto if !asked_plain && io::stderr().is_terminal() => Paint::Colour,
        _ => Paint::Plain,
    }
}

/// Columns of the terminal at standard error.
pub(crate) fn width() -> usize {
    #[cfg(unix)]
    {
        let size = rustix::termios::tcgetwinsize(io::stderr());
        if let Ok(size) = size
            && size.ws_col > 0
        {
            return usize::from(size.ws_col);
        }
    }
    WIDTH_DEFAULT
}
