//! What the program says when it cannot go on: a message, a hint, an exit code.

use std::error::Error;
use std::process::ExitCode;

use handover_relay::StartError;
use handover_relay::home::HomeError;
use handover_relay::ledger::LedgerError;
use handover_relay::link::LinkError;

use crate::words::{Language, Word};

/// Exit codes that scripts may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did not work.
    Failed = 1,
    /// The words of the command are wrong.
    Usage = 2,
    /// The log does not hold.
    Altered = 8,
    /// Space or rights on the local disk.
    Disk = 9,
    /// There is no such thing.
    NotFound = 10,
    /// Another run holds it.
    Held = 11,
}

/// Why the program ends.
#[derive(Debug)]
pub struct Problem {
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<Word>,
    /// For scripts.
    pub exit: Exit,
}

impl Problem {
    /// A problem with the words of the command.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(Word::HintHelp), exit: Exit::Usage }
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>, hint: Word) -> Self {
        Self { message: message.into(), hint: Some(hint), exit: Exit::NotFound }
    }

    /// Any other failure, with its causes.
    pub fn failed(error: &dyn Error) -> Self {
        Self { message: causes(error), hint: None, exit: Exit::Failed }
    }

    /// Prints it and gives its exit code.
    pub fn tell(&self, language: Language) -> ExitCode {
        eprintln!("handover-relay: {}", self.message);
        if let Some(hint) = self.hint {
            eprintln!("  {}", hint.text(language));
        }
        ExitCode::from(self.exit as u8)
    }
}

impl From<HomeError> for Problem {
    fn from(error: HomeError) -> Self {
        let (hint, exit) = match &error {
            HomeError::Held { .. } => (Some(Word::HintHeld), Exit::Held),
            HomeError::Empty { .. } => (Some(Word::HintServeFirst), Exit::NotFound),
            HomeError::Io { .. } => (Some(Word::HintDisk), Exit::Disk),
            HomeError::WrongLength { .. } | HomeError::Key(_) => (None, Exit::Failed),
        };
        Self { message: causes(&error), hint, exit }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        let (hint, exit) = match &error {
            LedgerError::Sqlite { .. } => (Some(Word::HintDisk), Exit::Disk),
            LedgerError::NewerSchema { .. } => (Some(Word::HintNewer), Exit::Failed),
            LedgerError::Corrupt { .. }
            | LedgerError::Lost
            | LedgerError::Sign(_)
            | LedgerError::Thread(_)
            | LedgerError::Closed => (None, Exit::Failed),
        };
        Self { message: causes(&error), hint, exit }
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        let message = causes(&error);
        match error {
            StartError::Home(error) => error.into(),
            StartError::Ledger(error) => error.into(),
            StartError::Link(LinkError::Listen { .. }) => {
                Self { message, hint: Some(Word::HintListen), exit: Exit::Failed }
            }
            StartError::Link(_) => Self { message, hint: None, exit: Exit::Failed },
            StartError::Store { .. } | StartError::Recovery(_) => {
                Self { message, hint: Some(Word::HintDisk), exit: Exit::Disk }
            }
        }
    }
}

fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // A transparent wrapper repeats what it wraps.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
