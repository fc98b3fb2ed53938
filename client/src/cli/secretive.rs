//! What was typed, made safe to repeat: codes and invites are never shown again, and nothing drives the terminal.

use handover_shared::keys::code::{CodeError, Ticket};

use crate::private::escaped;

/// The longest piece of typed text that is repeated, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// Whether a text is a code or was meant to be one.
pub(crate) fn looks_like_code(text: &str) -> bool {
    match Ticket::parse(text) {
        Ok(_) | Err(CodeError::Typo { .. } | CodeError::BadAddress) => true,
        Err(_) => starts_with_letters(text, "ho1") || starts_with_letters(text, "handover:"),
    }
}

/// Whether a text is an invite or was meant to be one.
pub(crate) fn looks_like_invite(text: &str) -> bool {
    starts_with_letters(text, "hr1")
}

/// Whether a text is an address with a name and a password before it.
fn looks_like_credentials(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(before, _)| before.contains(':'))
}

/// Typed text for a message.
pub(crate) fn shown(text: &str) -> String {
    if looks_like_code(text) || looks_like_invite(text) || looks_like_credentials(text) {
        return "…".into();
    }
    let safe = escaped(text.as_bytes());
    if safe.chars().count() <= SHOWN_CHARS_MAX {
        return safe;
    }
    let mut cut: String = safe.chars().take(SHOWN_CHARS_MAX - 1).collect();
    cut.push('…');
    cut
}

fn starts_with_letters(text: &str, start: &str) -> bool {
    text.trim_start().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_invites_are_not_repeated() {
        for secret in [
            "ho1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxg76n6@relay",
            "HO1XYZ",
            " ho1",
            "hr1abc@relay",
            "handover:x",
            "http://wang:secret@proxy",
            "ftp://wang:secret@proxy/",
            "wang:secret@proxy",
        ] {
            assert_eq!(shown(secret), "…", "{secret}");
        }
        assert_eq!(shown("customers"), "customers");
        assert_eq!(shown("a\x1b[2J"), "a\\u{1b}[2J");
        assert_eq!(shown(&"长".repeat(100)).chars().count(), 80);
    }
}
