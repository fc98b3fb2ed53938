//! The agreement before a pull: the document is shown, and signed or refused, before anything else is asked.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use handover_shared::ids::Digest;
use handover_shared::limits::{FULL_NAME_CHARS_MAX, REASON_CHARS_MAX};

use super::super::args::PullArgs;
use super::super::ask::Answer;
use super::super::problem::{self, Exit, Problem, shown_path};
use super::super::style::columns;
use super::super::units::size;
use super::super::{Context, Failure, show};
use super::pull::buyers;
use crate::error::Error;
use crate::event::RefusalFacts;
use crate::home::{make_private_folder, write_private};
use crate::private::escaped;
use crate::pull::Look;
use crate::t;

/// What answers for a person who is not there.
const OPTIONS: &str = "--accept-agreement SHA256 --as NAME";
/// Lines of a document that are shown at a time.
const PAGE_LINES: usize = 20;
/// Times a question is asked again.
const ATTEMPTS_MAX: u32 = 9;

/// What came of the gate.
pub(super) enum Passed {
    /// Signed when the transfer is taken.
    Agreed(Box<Look>),
    /// Nothing was signed or refused; the code stays good.
    NotNow,
    /// The transfer is over.
    Refused(RefusalFacts),
}

/// What a person answers to a document.
enum Choice {
    View,
    Agree,
    Refuse,
    NotNow,
}

/// Shows the document and takes the answer, or what the options answer.
pub(super) async fn pass(mut look: Look, args: &PullArgs, context: &Context) -> Result<Passed, Failure> {
    let Some((terms, digest)) = look.unsigned() else {
        return match args.accept_agreement.is_some() || args.refuse_agreement {
            // What goes on with an earlier run was answered then.
            true if !look.is_continued() => Err(no_agreement(context).into()),
            _ => Ok(Passed::Agreed(Box::new(look))),
        };
    };
    let name = terms.name.clone();
    if args.refuse_agreement {
        return refuse(look, args.reason.as_deref(), context).await;
    }
    if let Some(accepted) = args.accept_agreement {
        if accepted != digest {
            return Err(other_agreement(&digest, context).into());
        }
        look.document().await.map_err(buyers)?;
        look.agree(args.as_name.as_deref().unwrap_or_default()).map_err(buyers)?;
        return Ok(Passed::Agreed(Box::new(look)));
    }
    if !context.asker.is_there() {
        return Err(Error::AnswerNeeded { option: OPTIONS }.into());
    }
    look.document().await.map_err(buyers)?;
    for _ in 0..ATTEMPTS_MAX {
        match choose(context)? {
            Choice::View => view(look.document().await.map_err(buyers)?, &name, &digest, context)?,
            Choice::Agree => {
                if sign(&mut look, &name, context)? == Answer::Yes {
                    return Ok(Passed::Agreed(Box::new(look)));
                }
            }
            Choice::Refuse => {
                let words = &context.style().words;
                let reason = context.asker.line(&format!("\n  {} ", t!(words, "ask-refuse-reason")))?;
                let is_long = reason.trim().chars().count() > REASON_CHARS_MAX;
                if is_long {
                    context.screen.say_always(&format!("  {}\n", too_long(REASON_CHARS_MAX, context)));
                } else if context.asker.sure(&t!(words, "ask-refuse-sure"))? == Answer::Yes {
                    return refuse(look, Some(reason.trim()), context).await;
                }
            }
            Choice::NotNow => return Ok(Passed::NotNow),
        }
    }
    Ok(Passed::NotNow)
}

async fn refuse(look: Look, reason: Option<&str>, context: &Context) -> Result<Passed, Failure> {
    let working = context.signals.working();
    let refused = look.refuse(reason).await;
    drop(working);
    Ok(Passed::Refused(refused.map_err(|error| bad_reason(error, context))?))
}

/// A reason that is too long was typed on the command line.
fn bad_reason(error: Error, context: &Context) -> Failure {
    match error {
        Error::BadName { .. } => problem::of(&error, None, context.style()).into(),
        other => buyers(other),
    }
}

fn choose(context: &Context) -> Result<Choice, Failure> {
    let words = &context.style().words;
    for _ in 0..ATTEMPTS_MAX {
        let answer = context.asker.line(&format!("\n  {} ", t!(words, "ask-agreement")))?;
        match answer.trim().to_lowercase().as_str() {
            "v" | "view" => return Ok(Choice::View),
            "a" | "agree" => return Ok(Choice::Agree),
            "r" | "refuse" => return Ok(Choice::Refuse),
            "" | "n" | "no" | "q" => return Ok(Choice::NotNow),
            _ => context.screen.say_always(&format!("  {}\n", t!(words, "ask-again"))),
        }
    }
    Ok(Choice::NotNow)
}

/// Asks for the full name, shows what will be signed, and asks once more.
fn sign(look: &mut Look, document: &str, context: &Context) -> Result<Answer, Failure> {
    let words = &context.style().words;
    let name = context.asker.line(&format!("\n  {} ", t!(words, "ask-full-name")))?;
    let name = name.trim();
    if name.is_empty() {
        return Ok(Answer::No);
    }
    if name.chars().count() > FULL_NAME_CHARS_MAX {
        context.screen.say_always(&format!("  {}\n", too_long(FULL_NAME_CHARS_MAX, context)));
        return Ok(Answer::No);
    }
    let owner = context.home()?.identity_or_new().map_err(buyers)?;
    let (document, name_shown) = (escaped(document.as_bytes()), escaped(name.as_bytes()));
    let key = owner.identity.public().fingerprint();
    let text = match &owner.organisation {
        None => t!(words, "you-sign", name = name_shown, document = document, key = key),
        Some(organisation) => {
            let organisation = escaped(organisation.as_bytes());
            t!(words, "you-sign-for", name = name_shown, organisation = organisation, document = document, key = key)
        }
    };
    context.screen.say_always(&format!("  {text}\n"));
    let answer = context.asker.sure(&t!(words, "ask-sign"))?;
    if answer == Answer::Yes {
        look.agree(name).map_err(buyers)?;
    }
    Ok(answer)
}

fn too_long(limit: usize, context: &Context) -> String {
    t!(context.style().words, "problem-bad-name", limit = limit as u64)
}

/// Shows text here, page by page; writes anything else into a file of this person's own.
fn view(document: &[u8], name: &str, digest: &Digest, context: &Context) -> Result<(), Failure> {
    match text_of(document) {
        Some(text) => page(text, context),
        None => open(document, name, digest, context),
    }
}

/// The text of a document, if it is text.
fn text_of(document: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document)).ok()?;
    let is_binary = text.contains('\0') || document.starts_with(b"%PDF-");
    if is_binary { None } else { Some(text) }
}

fn page(text: &str, context: &Context) -> Result<(), Failure> {
    let words = &context.style().words;
    let (mut shown, mut out) = (0, String::from("\n"));
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        // Nothing of the document drives this terminal.
        let line = escaped(line.replace('\t', "    ").as_bytes());
        out.push_str(&format!("  │ {line}\n"));
        shown += 1 + (columns(&line) + 4) / context.style().width.max(20);
        if shown >= PAGE_LINES && lines.peek().is_some() {
            context.screen.say_always(&std::mem::take(&mut out));
            shown = 0;
            let answer = context.asker.line(&format!("  {} ", t!(words, "view-page")))?;
            if answer.trim().eq_ignore_ascii_case("q") {
                return Ok(());
            }
        }
    }
    context.screen.say_always(&out);
    Ok(())
}

/// Writes the document where nobody else reads, names the place, and opens it only if the person says so.
fn open(document: &[u8], name: &str, digest: &Digest, context: &Context) -> Result<(), Failure> {
    let words = &context.style().words;
    let folder = context.home()?.state_folder().join("documents");
    make_private_folder(&folder).map_err(buyers)?;
    let path: PathBuf = folder.join(file_name(name, digest));
    write_private(&path, document).map_err(buyers)?;
    let row = t!(words, "view-written", path = shown_path(&path), size = size(document.len() as u64));
    context.screen.say_always(&format!("\n  {row}\n"));
    if context.asker.sure(&t!(words, "ask-open"))? == Answer::Yes {
        let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let mut command = Command::new(opener);
        command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(mut child) => {
                // Whoever opens it may stay for long; it is waited for so that nothing of it is left behind.
                std::thread::spawn(move || {
                    let ended = child.wait();
                    tracing::debug!(?ended, "the opener ended");
                });
            }
            Err(error) => {
                let reason = problem::reason(&error, context.style());
                let text = t!(words, "view-not-opened", program = opener, reason = reason);
                context.screen.say_always(&format!("  {text}\n"));
            }
        }
    }
    Ok(())
}

/// A name that says nothing but what kind of file it is: the other side has chosen the rest.
fn file_name(name: &str, digest: &Digest) -> String {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let known = ["pdf", "txt", "md", "doc", "docx", "odt", "rtf", "png", "jpg", "jpeg"];
    let ending = ending.filter(|ending| known.contains(&ending.as_str())).unwrap_or_else(|| "bin".into());
    let mut short = digest.to_hex();
    short.truncate(16);
    format!("agreement-{short}.{ending}")
}

/// Tells of a refusal of one's own.
pub(super) fn told(refusal: &RefusalFacts, context: &Context) -> String {
    let words = &context.style().words;
    show::good(context.style(), &t!(words, "refused-own", id = refusal.id.to_string()))
}

fn no_agreement(context: &Context) -> Problem {
    let words = &context.style().words;
    Problem::new("no-agreement", Exit::Usage, t!(words, "problem-no-agreement"), t!(words, "hint-no-agreement"))
}

fn other_agreement(digest: &Digest, context: &Context) -> Problem {
    let words = &context.style().words;
    let message = t!(words, "problem-other-agreement", digest = digest.to_hex());
    Problem::new("other-agreement", Exit::Usage, message, t!(words, "hint-other-agreement", digest = digest.to_hex()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_what_is_none() {
        assert_eq!(text_of("\u{feff}保密协议\n".as_bytes()), Some("保密协议\n"));
        for other in [&b"%PDF-1.7\n"[..], b"a\0b", b"\xff\xfe"] {
            assert_eq!(text_of(other), None);
        }
    }

    #[test]
    fn the_other_side_chooses_no_file_name() {
        let digest = Digest([0xab; 32]);
        assert_eq!(file_name("nda.PDF", &digest), "agreement-abababababababab.pdf");
        for evil in ["../../x", "nda.desktop", "nda.sh", ".pdf/../x", ""] {
            assert_eq!(file_name(evil, &digest), "agreement-abababababababab.bin");
        }
    }
}
