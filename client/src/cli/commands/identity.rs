//! `handover identity show`, `create`, `import`, `passphrase`.

use std::io::Read;
use std::path::Path;

use handover_shared::proof::{Fingerprint, PublicIdentity, SignerFault};
use zeroize::Zeroizing;

use super::super::args::{IdentityCommand, NameArgs};
use super::super::json::{self, Json};
use super::super::problem::{Exit, Problem};
use super::super::screen::Mode;
use super::super::show::{self, row, who};
use super::super::{Context, Failure, ask, keys};
use crate::error::Error;
use crate::home::Home;
use crate::home::agent::Agent;
use crate::home::identity::Owner;
use crate::home::signing::KeyPlace;
use crate::t;

/// A key file is never longer.
const KEY_BYTES_MAX: u64 = 16 * 1024;

pub(super) fn run(command: IdentityCommand, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let words = &context.style().words;
    match command {
        IdentityCommand::Show => match home.identity()? {
            Some(owner) => report(&owner, context),
            None => Err(none(context).into()),
        },
        IdentityCommand::Create(NameArgs { name, organisation }) => {
            refuse_second(home.identity()?, context)?;
            let owner = home.create_identity(name.as_deref(), organisation.as_deref())?;
            context.screen.say(&show::good(context.style(), &t!(words, "identity-created")));
            report(&owner, context)
        }
        IdentityCommand::Import { file, agent, names } => {
            refuse_second(home.identity()?, context)?;
            let (name, organisation) = (names.name.as_deref(), names.organisation.as_deref());
            let owner = match file {
                Some(file) => home.import_identity(&read_key(&file)?, &context.opener(), name, organisation)?,
                None => home.adopt_identity(&choose(agent.flatten(), context)?, name, organisation)?,
            };
            context.screen.say(&show::good(context.style(), &t!(words, "identity-imported")));
            report(&owner, context)
        }
        IdentityCommand::Passphrase { new_passphrase_file, remove } => {
            protect(&home, new_passphrase_file.as_deref(), remove, context)
        }
    }
}

/// Gives the key file another passphrase, or none.
fn protect(home: &Home, file: Option<&Path>, remove: bool, context: &Context) -> Result<Exit, Failure> {
    let words = &context.style().words;
    let Some(owner) = home.identity()? else { return Err(none(context).into()) };
    if owner.identity.place() == KeyPlace::Agent {
        let (message, hint) = (t!(words, "identity-with-agent"), t!(words, "hint-identity-with-agent"));
        return Err(Problem::new("identity-with-agent", Exit::Usage, message, hint).into());
    }
    let new = match (remove, file) {
        (true, _) => None,
        (false, Some(path)) => Some(ask::passphrase_of_file(path)?),
        (false, None) => {
            // The old one is asked for first, as everywhere else.
            owner.identity.unlock()?;
            Some(context.asker.new_passphrase()?)
        }
    };
    if new.as_ref().is_some_and(|new| new.is_empty()) {
        let (message, hint) = (t!(words, "passphrase-empty"), t!(words, "hint-passphrase-empty"));
        return Err(Problem::new("passphrase-empty", Exit::Usage, message, hint).into());
    }
    let key = owner.identity.opened()?;
    home.protect_identity(&key, new.as_ref().map(|new| new.as_str()))?;
    let said = if remove { t!(words, "passphrase-removed") } else { t!(words, "passphrase-set") };
    context.screen.say(&show::good(context.style(), &said));
    context.report.object(json::done("identity", Exit::Done.number()));
    Ok(Exit::Done)
}

/// The key of the agent that was named; without a name, the only one it holds.
fn choose(wanted: Option<String>, context: &Context) -> Result<PublicIdentity, Failure> {
    let words = &context.style().words;
    let agent = Agent::of_session().ok_or(Error::Signing(SignerFault::Unreachable))?;
    let held = agent.keys().map_err(Error::Signing)?;
    let found: Vec<_> = match &wanted {
        Some(wanted) => held.iter().filter(|held| held.key.fingerprint() == *wanted).collect(),
        None => held.iter().collect(),
    };
    match found.as_slice() {
        [one] => Ok(one.key),
        [] if wanted.is_some() || held.is_empty() => Err(Error::Signing(SignerFault::Absent).into()),
        _ => {
            let lines = held.iter().map(|held| format!("\n    {}  {}", held.key.fingerprint(), who(&held.comment)));
            let message = t!(words, "agent-several", keys = lines.collect::<String>());
            Err(Problem::new("agent-several", Exit::AnswerNeeded, message, t!(words, "hint-agent-several")).into())
        }
    }
}

fn none(context: &Context) -> Problem {
    let words = &context.style().words;
    Problem::new("no-identity", Exit::Failed, t!(words, "identity-none"), t!(words, "hint-identity-none"))
}

fn refuse_second(existing: Option<Owner>, context: &Context) -> Result<(), Problem> {
    let Some(owner) = existing else { return Ok(()) };
    let words = &context.style().words;
    let message = t!(words, "identity-exists", key = owner.identity.public().fingerprint());
    Err(Problem::new("identity-exists", Exit::Failed, message, t!(words, "hint-identity-exists")))
}

fn read_key(path: &Path) -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::with_capacity(KEY_BYTES_MAX as usize));
    let read = std::fs::File::open(path).and_then(|file| file.take(KEY_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|source| Error::disk("reading the key", path, source))?;
    Ok(text)
}

fn report(owner: &Owner, context: &Context) -> Result<Exit, Failure> {
    let style = context.style();
    let words = &style.words;
    let public = owner.identity.public();
    let line = public.to_openssh(&owner.name);
    if context.screen.mode == Mode::Json {
        context.report.object(
            Json::event("identity")
                .with("key", public.fingerprint())
                .with("public_key", line.trim_end())
                .with("name", who(&owner.name))
                .with("organisation", owner.organisation.as_deref().map(who))
                .with("words", keys::aloud(style, &Fingerprint::of(&public)))
                .with("place", keys::place_word(owner.identity.place())),
        );
        context.report.object(json::done("identity", Exit::Done.number()));
        return Ok(Exit::Done);
    }
    let mut text = row(style, &t!(words, "label-name"), &who(&owner.name));
    if let Some(organisation) = &owner.organisation {
        text.push_str(&row(style, &t!(words, "label-organisation"), &who(organisation)));
    }
    text.push_str(&row(style, &t!(words, "label-key"), &public.fingerprint()));
    text.push_str(&row(style, &t!(words, "label-aloud"), &keys::aloud(style, &Fingerprint::of(&public))));
    text.push_str(&row(style, &t!(words, "label-public-key"), &who(line.trim_end())));
    text.push_str(&row(style, &t!(words, "label-kept"), &keys::place(style, owner.identity.place())));
    super::print(&text, context)
}
