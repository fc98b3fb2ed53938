//! Names and reasons of people in any script, as a line of a statement holds them.
//!
//! # Shape
//! The UTF-8 of the text, byte by byte: 0x20 to 0x7e but `"`, `%` and `\` stand for themselves, every other byte is `%` and
//! two upper-case hex digits. `none` is written `%6Eone`, since a bare `none` says that there is no text.
//!
//! # Source
//! SPEC [S10.2].

use super::fault::ProofFault;
use super::line::Field;

/// The longest text, in characters.
pub const WRITTEN_CHARS_MAX: usize = 255;

/// A text in any script that is not empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Written(String);

impl Written {
    /// Takes a text without the white space around it.
    ///
    /// # Errors
    /// [`ProofFault::Name`] with the field for one that is empty or has more characters than the limit.
    pub fn new(field: &'static str, text: &str, chars_max: usize) -> Result<Self, ProofFault> {
        let text = text.trim();
        let fits = !text.is_empty() && text.len() <= chars_max * 4 && text.chars().count() <= chars_max;
        if fits { Ok(Self(text.to_owned())) } else { Err(ProofFault::Name(field)) }
    }

    /// The text; nothing in it has been escaped.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Field for Written {
    fn write(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for (at, byte) in self.0.bytes().enumerate() {
            let is_bare = matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'%' | b'\\');
            if is_bare && !(at == 0 && self.0 == "none") {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
        out
    }

    fn read(text: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(if byte == b'%' { hex(rest.next()?)? << 4 | hex(rest.next()?)? } else { byte });
        }
        let text = String::from_utf8(bytes).ok()?;
        let is_trimmed = text.trim().len() == text.len();
        Self::new("text", &text, WRITTEN_CHARS_MAX).ok().filter(|_| is_trimmed)
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Written {
        Written::new("name", text, WRITTEN_CHARS_MAX).unwrap()
    }

    #[test] // [S10.2]
    fn every_text_has_one_form_and_comes_back() {
        for (text, form) in [
            ("Li Wei", "Li Wei"),
            ("李伟", "%E6%9D%8E%E4%BC%9F"),
            ("O'Neil, 50% \"x\" \\", "O'Neil, 50%25 %22x%22 %5C"),
            ("none", "%6Eone"),
            ("nones", "nones"),
            ("a\nb\u{202e}", "a%0Ab%E2%80%AE"),
            ("😀", "%F0%9F%98%80"),
        ] {
            assert_eq!(written(text).write(), form);
            assert_eq!(Written::read(form).unwrap().as_str(), text);
            assert_eq!(<Option<Written>>::read(form), Some(Some(written(text))));
            assert!(form.bytes().all(|byte| matches!(byte, 0x20..=0x7e)));
        }
        assert_eq!(<Option<Written>>::read("none"), Some(None));
        assert_eq!(<Option<Written> as Field>::write(&None), "none");
    }

    #[test] // [S10.2]
    fn other_forms_are_refused_or_written_otherwise() {
        for wrong in ["", "%", "%4", "%4g", "%e6%9d%8e", "%FF", "%E6%9D", " a", "a ", "%20a", "a%0A"] {
            assert!(Written::read(wrong).is_none(), "{wrong}");
        }
        // Read, and sorted out by writing once more.
        for other in ["%41", "none", "%20%41%20".trim_start_matches("%20")] {
            assert!(Written::read(other).is_none_or(|text| text.write() != other), "{other}");
        }
        assert!(Written::new("name", "  ", 9).is_err());
        assert!(Written::new("name", &"李".repeat(9), 9).is_ok());
        assert!(Written::new("name", &"李".repeat(10), 9).is_err());
    }
}
