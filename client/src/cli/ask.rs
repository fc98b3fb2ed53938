//! Questions to the person. Without a terminal nothing is asked: the error names the option that answers.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use handover_shared::keys::code::CodeError;
use handover_shared::proof::SignerFault;
use rustix::termios::{LocalModes, OptionalActions, Termios};
use zeroize::Zeroizing;

use super::problem::Exit;
use super::screen::Screen;
use super::signals::Signals;
use super::style::Tone;
use super::units::size;
use crate::error::Error;
use crate::home::signing::Unlock;
use crate::pull::{Conflict, ConflictPolicy, Decide};
use crate::t;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 4096;
/// Times an answer that is not understood is asked for again.
const ATTEMPTS_MAX: u32 = 3;
/// Conflicts that are named.
const CONFLICTS_SHOWN: usize = 5;

/// Whether somebody is there to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Somebody,
    Nobody,
}

/// Asks the person, or does not.
pub(crate) struct Asker {
    screen: Arc<Screen>,
    presence: Presence,
    signals: Signals,
}

/// An answer to a yes-or-no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
}

impl Asker {
    /// `presence` is what the options say; without a terminal there is nobody anyway.
    pub(crate) fn new(screen: Arc<Screen>, presence: Presence, signals: Signals) -> Self {
        let is_there = io::stdin().is_terminal() && io::stderr().is_terminal();
        let presence = if is_there { presence } else { Presence::Nobody };
        Self { screen, presence, signals }
    }

    /// Asks for the code; shown while it is typed, kept nowhere.
    pub(crate) fn code(&self) -> Result<Zeroizing<String>, Error> {
        if self.presence == Presence::Nobody {
            return Err(Error::AnswerNeeded { option: "--code-file" });
        }
        let question = t!(self.screen.style.words, "ask-code");
        let answer = self.read(&format!("{question} "))?;
        if answer.trim().is_empty() { Err(Error::Code(CodeError::Empty)) } else { Ok(answer) }
    }

    /// Asks for an invite.
    pub(crate) fn invite(&self) -> Result<Zeroizing<String>, Error> {
        if self.presence == Presence::Nobody {
            return Err(Error::AnswerNeeded { option: "INVITE" });
        }
        let question = t!(self.screen.style.words, "ask-invite");
        self.read(&format!("{question} "))
    }

    /// Whether somebody can be asked.
    pub(crate) fn is_there(&self) -> bool {
        self.presence == Presence::Somebody
    }

    /// One line, after a question.
    pub(crate) fn line(&self, question: &str) -> Result<Zeroizing<String>, Error> {
        self.read(question)
    }

    /// Whether somebody is sure; anything but a yes is none.
    pub(crate) fn sure(&self, question: &str) -> Result<Answer, Error> {
        let answer = self.read(&format!("  {question} "))?;
        let is_yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "是" | "好");
        Ok(if is_yes { Answer::Yes } else { Answer::No })
    }

    /// Whether to take what is offered.
    pub(crate) fn take(&self) -> Result<Answer, Error> {
        if self.presence == Presence::Nobody {
            return Err(Error::AnswerNeeded { option: "--yes" });
        }
        let words = &self.screen.style.words;
        let question = format!("\n  {} ", t!(words, "ask-take"));
        for _ in 0..ATTEMPTS_MAX {
            let answer = self.read(&question)?;
            match answer.trim().to_lowercase().as_str() {
                "" | "y" | "yes" | "是" | "好" => return Ok(Answer::Yes),
                "n" | "no" | "否" | "不" => return Ok(Answer::No),
                _ => self.screen.say_always(&format!("  {}\n", t!(words, "ask-again"))),
            }
        }
        Ok(Answer::No)
    }

    /// Asks for a passphrase; nothing of it is shown.
    pub(crate) fn passphrase(&self, question: &str) -> Result<Zeroizing<String>, Error> {
        if self.presence == Presence::Nobody {
            return Err(Error::AnswerNeeded { option: "--passphrase-file" });
        }
        let hidden = Hidden::begin();
        let answer = self.read(&format!("  {question} "));
        drop(hidden);
        // The end of the person's line was not shown either.
        self.screen.say_always("\n");
        let answer = answer?;
        Ok(Zeroizing::new(answer.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Asks twice for a new passphrase.
    pub(crate) fn new_passphrase(&self) -> Result<Zeroizing<String>, Error> {
        let words = &self.screen.style.words;
        for _ in 0..ATTEMPTS_MAX {
            let first = self.passphrase(&t!(words, "ask-new-passphrase"))?;
            if first.is_empty() {
                self.screen.say_always(&format!("  {}\n", t!(words, "ask-passphrase-empty")));
                continue;
            }
            if *first == *self.passphrase(&t!(words, "ask-new-passphrase-again"))? {
                return Ok(first);
            }
            self.screen.say_always(&format!("  {}\n", t!(words, "ask-passphrase-differs")));
        }
        Err(Error::Signing(SignerFault::WrongPassphrase))
    }

    /// Whether to do what cannot be undone; `--yes` answers it where nobody is there.
    pub(crate) fn undoable(&self, question: &str) -> Result<Answer, Error> {
        match self.presence {
            Presence::Nobody => Err(Error::AnswerNeeded { option: "--yes" }),
            Presence::Somebody => self.sure(question),
        }
    }

    /// Whether the person types exactly one of these.
    pub(crate) fn typed(&self, question: &str, wanted: &[String]) -> Result<Answer, Error> {
        if self.presence == Presence::Nobody {
            return Err(Error::AnswerNeeded { option: "--confirm" });
        }
        let answer = self.read(&format!("\n  {question} "))?;
        let is_typed = wanted.iter().any(|wanted| wanted == answer.trim());
        Ok(if is_typed { Answer::Yes } else { Answer::No })
    }

    /// Reads one line with the question before it. An end of input is an interruption.
    fn read(&self, question: &str) -> Result<Zeroizing<String>, Error> {
        let _asking = self.signals.asking();
        self.screen.say_always(question);
        // The caller may be a task of the runtime, which must not be held up by a person.
        let waiting = || {
            self.screen.aside(|| {
                let mut line = Zeroizing::new(String::with_capacity(ANSWER_BYTES_MAX as usize));
                let read = io::stdin().lock().take(ANSWER_BYTES_MAX).read_line(&mut line);
                match read {
                    Ok(0) => Err(Error::Interrupted),
                    Ok(_) => Ok(line),
                    Err(source) => Err(Error::disk("reading the answer", "-", source)),
                }
            })
        };
        tokio::task::block_in_place(waiting)
    }
}

impl Decide for Asker {
    fn conflicts(&self, count: u64, first: &[Conflict]) -> Option<ConflictPolicy> {
        if self.presence == Presence::Nobody {
            return None;
        }
        self.ask_conflicts(count, first)
    }
}

impl Asker {
    fn ask_conflicts(&self, count: u64, first: &[Conflict]) -> Option<ConflictPolicy> {
        let style = &self.screen.style;
        let words = &style.words;
        let mut text = format!("\n  {}\n", style.tone(Tone::Notable, &t!(words, "conflicts-head", count = count)));
        for conflict in first.iter().take(CONFLICTS_SHOWN) {
            let name = crate::private::escaped(conflict.path.reveal());
            let sizes =
                t!(words, "conflict-sizes", here = size(conflict.existing_bytes), new = size(conflict.new_bytes));
            text.push_str(&format!("    {name}  {}\n", style.tone(Tone::Dim, &sizes)));
        }
        self.screen.say_always(&text);
        for _ in 0..ATTEMPTS_MAX {
            let answer = self.read(&format!("  {} ", t!(words, "ask-conflicts"))).ok()?;
            match answer.trim().to_lowercase().as_str() {
                "s" | "skip" => return Some(ConflictPolicy::Skip),
                "r" | "rename" => return Some(ConflictPolicy::Rename),
                "o" | "overwrite" => return Some(ConflictPolicy::Overwrite),
                "f" | "fail" => return Some(ConflictPolicy::Fail),
                _ => self.screen.say_always(&format!("  {}\n", t!(words, "ask-again"))),
            }
        }
        None
    }
}

/// What the exit code of a run that nobody agreed to is: nothing was claimed, nothing failed.
pub(crate) const DECLINED: Exit = Exit::Done;

/// The terminal as it was before what is typed was hidden.
static SHOWN: Mutex<Option<Termios>> = Mutex::new(None);

/// What is typed is not shown; it is again when this is dropped, or when the process ends by [`show_again`].
struct Hidden;

impl Hidden {
    fn begin() -> Self {
        if let Ok(shown) = rustix::termios::tcgetattr(io::stdin()) {
            let mut hidden = shown.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
            if let Err(error) = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Flush, &hidden) {
                tracing::debug!(%error, "what is typed cannot be hidden");
            }
        }
        Self
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        show_again();
    }
}

/// Shows what is typed again, if it is hidden.
pub(crate) fn show_again() {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(shown) = shown
        && let Err(error) = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Now, &shown)
    {
        tracing::debug!(%error, "the terminal could not be set back");
    }
}

/// Opens keys: with the passphrase of a file, or of the person.
pub(crate) struct Opener {
    asker: Arc<Asker>,
    file: Option<PathBuf>,
}

impl Opener {
    pub(crate) fn new(asker: Arc<Asker>, file: Option<PathBuf>) -> Self {
        Self { asker, file }
    }
}

impl Unlock for Opener {
    fn passphrase(&self, attempt: u32) -> Result<Zeroizing<String>, Error> {
        if let Some(path) = &self.file {
            return passphrase_of_file(path);
        }
        let words = &self.asker.screen.style.words;
        let question = if attempt == 1 { t!(words, "ask-passphrase") } else { t!(words, "ask-passphrase-again") };
        self.asker.passphrase(&question)
    }

    fn can_try_again(&self) -> bool {
        self.file.is_none()
    }
}

/// The first line of a file with a passphrase.
pub(crate) fn passphrase_of_file(path: &std::path::Path) -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::with_capacity(ANSWER_BYTES_MAX as usize));
    let read = std::fs::File::open(path).and_then(|file| file.take(ANSWER_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|source| Error::disk("reading the passphrase", path, source))?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}
