//! `handover identity show`, `create`, `import`.

use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::super::args::{IdentityCommand, NameArgs};
use super::super::json::{self, Json};
use super::super::problem::{Exit, Problem};
use super::super::screen::Mode;
use super::super::show::{self, row, who};
use super::super::{Context, Failure};
use crate::error::Error;
use crate::home::identity::Owner;
use crate::t;

/// A key file is never longer.
const KEY_BYTES_MAX: u64 = 16 * 1024;

pub(super) fn run(command: IdentityCommand, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let words = &context.style().words;
    match command {
        IdentityCommand::Show => match home.identity()? {
            Some(owner) => report(&owner, context),
            None => {
                let message = t!(words, "identity-none");
                Err(Problem::new("no-identity", Exit::Failed, message, t!(words, "hint-identity-none")).into())
            }
        },
        IdentityCommand::Create(NameArgs { name, organisation }) => {
            refuse_second(home.identity()?, context)?;
            let owner = home.create_identity(name.as_deref(), organisation.as_deref())?;
            context.screen.say(&show::good(context.style(), &t!(words, "identity-created")));
            report(&owner, context)
        }
        IdentityCommand::Import { file, names } => {
            refuse_second(home.identity()?, context)?;
            let key = read_key(&file)?;
            let owner = home.import_identity(&key, names.name.as_deref(), names.organisation.as_deref())?;
            context.screen.say(&show::good(context.style(), &t!(words, "identity-imported")));
            report(&owner, context)
        }
    }
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
                .with("organisation", owner.organisation.as_deref().map(who)),
        );
        context.report.object(json::done("identity", Exit::Done.number()));
        return Ok(Exit::Done);
    }
    let mut text = row(style, &t!(words, "label-name"), &who(&owner.name));
    if let Some(organisation) = &owner.organisation {
        text.push_str(&row(style, &t!(words, "label-organisation"), &who(organisation)));
    }
    text.push_str(&row(style, &t!(words, "label-key"), &public.fingerprint()));
    text.push_str(&row(style, &t!(words, "label-public-key"), &who(line.trim_end())));
    super::print(&text, context)
}
