//! The one-time code: what the seller gives to the buyer outside handover, and every way a person may type it.
//!
//! No error of this module holds any of the text: a code that is wrong by one letter is a secret all the same.
//!
//! # Source
//! SPEC section S5.

use std::fmt;

use bech32::primitives::correction::CorrectableError;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use bip39::Language;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

pub use super::address::RelayAddress;
use super::entropy::Entropy;
use super::secret::Secret;
use super::words::{self, WordsFault};
use crate::limits;

/// Bytes of a code.
pub const CODE_BYTES: usize = 20;
/// Characters of a code's text.
pub const TEXT_CHARS: usize = 41;

const HRP: Hrp = Hrp::parse_unchecked("ho");
const PREFIX: &str = "ho1";
const ALPHABET: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// 160 secret bits.
pub struct Code(Secret<CODE_BYTES>);

/// The language of a code's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordList {
    /// English words, separated by a space.
    English,
    /// Simplified Chinese characters, separated by a space.
    Chinese,
}

impl WordList {
    fn language(self) -> Language {
        match self {
            Self::English => Language::English,
            Self::Chinese => Language::SimplifiedChinese,
        }
    }
}

impl Code {
    /// Makes a fresh one.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(Secret::from_entropy(entropy))
    }

    /// A code that was kept.
    pub fn of_secret(secret: Secret<CODE_BYTES>) -> Self {
        Self(secret)
    }

    /// Its bytes.
    pub fn expose(&self) -> &[u8; CODE_BYTES] {
        self.0.expose()
    }

    /// A second copy.
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// Writes it as `ho1…`, [`TEXT_CHARS`] characters.
    pub fn to_text(&self) -> Zeroizing<String> {
        // [S5.1]
        let mut text = Zeroizing::new(String::with_capacity(TEXT_CHARS));
        #[expect(clippy::expect_used, reason = "41 characters are within the code length, and a String takes them")]
        bech32::encode_lower_to_fmt::<Bech32m, _>(&mut *text, HRP, self.expose()).expect("a code can be written");
        text
    }

    /// Writes it as fifteen words, separated by a space.
    pub fn to_words(&self, list: WordList) -> Zeroizing<String> {
        // [S5.2]
        const WORD_BYTES_MAX: usize = 8;
        let mut text = Zeroizing::new(String::with_capacity(words::WORDS * (WORD_BYTES_MAX + 1)));
        for word in words::words_of(&self.0, list.language()) {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A code, and where to go with it.
#[derive(Debug)]
pub struct Ticket {
    /// The code.
    pub code: Code,
    /// The relay, if one was written.
    pub relay: Option<RelayAddress>,
}

/// Why some text is not a code, found without any network [S5.4]. Places are counted from 1, as people count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Nothing was typed.
    #[error("no code given")]
    Empty,
    /// It does not look like any form of a code.
    #[error("not a code")]
    NotACode,
    /// It is a code with a typing error.
    #[error("the code is mistyped")]
    Typo {
        /// The character of the `ho1…` form, spaces and hyphens not counted, which alone would explain the error.
        position: Option<usize>,
    },
    /// One of its words is not in the list.
    #[error("word {position} of the code is unknown")]
    UnknownWord {
        /// Which word.
        position: usize,
    },
    /// Something is missing or too much.
    #[error("the code has {seen} characters or words, {wanted} are needed")]
    WrongLength {
        /// Characters or words that were typed.
        seen: usize,
        /// How many a code has.
        wanted: usize,
    },
    /// What follows the `@` is not an address.
    #[error("the code is followed by something that is not an address")]
    BadAddress,
}

impl Ticket {
    /// Reads a code in any form, with or without the address of a relay.
    ///
    /// # Errors
    /// [`CodeError`], which holds nothing of the text.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        if text.len() > limits::CODE_INPUT_BYTES_MAX {
            return Err(CodeError::NotACode);
        }
        let folded = fold(text);
        let body = without_lead(&folded);
        let (code, relay) = match body.split_once('@') {
            Some((code, address)) => (code, Some(address.trim().parse().or(Err(CodeError::BadAddress))?)),
            None => (body, None),
        };
        Ok(Self { code: read_code(code)?, relay })
    }

    /// Writes it as `ho1…` or `ho1…@host`.
    pub fn to_text(&self) -> Zeroizing<String> {
        let address = self.relay.as_ref().map(|relay| format!("@{relay}")).unwrap_or_default();
        let mut text = Zeroizing::new(String::with_capacity(TEXT_CHARS + address.len()));
        text.push_str(&self.code.to_text());
        text.push_str(&address);
        text
    }
}

/// Folds full-width and other compatible forms, case, dashes and commas; drops what cannot be seen.
fn fold(text: &str) -> Zeroizing<String> {
    // [S5.3] NFKC makes at most 11 bytes of one, so the text is never moved and no copy of it stays behind.
    const GROWTH_MAX: usize = 11;
    let mut folded = Zeroizing::new(String::with_capacity(text.len() * GROWTH_MAX));
    for char in text.nfkc() {
        match char {
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => {}
            '\u{2010}'..='\u{2015}' | '\u{2212}' => folded.push('-'),
            '、' => folded.push(','),
            '。' => folded.push('.'),
            other => folded.push(other.to_ascii_lowercase()),
        }
    }
    folded
}

/// Takes away what comes before a code when a whole command or link was copied.
fn without_lead(text: &str) -> &str {
    let text = text.trim();
    let command = text
        .strip_prefix("handover")
        .filter(|rest| rest.starts_with(char::is_whitespace))
        .and_then(|rest| rest.trim_start().strip_prefix("pull"))
        .filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
    let text = command.unwrap_or(text).trim_start();
    text.strip_prefix("handover:").unwrap_or(text)
}

fn read_code(text: &str) -> Result<Code, CodeError> {
    let is_gap = |char: char| char.is_whitespace() || char == '-';
    let is_separator = |char: char| is_gap(char) || char == ',';
    if text.chars().all(is_separator) {
        return Err(CodeError::Empty);
    }
    if text.chars().any(|char| char >= '\u{2e80}') {
        // Every character is a word.
        let words: Vec<&str> = text.split_inclusive(|_| true).filter(|char| !char.chars().all(is_separator)).collect();
        return read_words(&words, Language::SimplifiedChinese);
    }
    let mut squeezed = Zeroizing::new(String::with_capacity(text.len()));
    squeezed.extend(text.chars().filter(|char| !is_gap(*char)));
    if squeezed.starts_with(PREFIX) {
        return read_text(&squeezed);
    }
    let words: Vec<&str> = text.split(is_separator).filter(|word| !word.is_empty()).collect();
    match read_words(&words, Language::English) {
        Err(CodeError::NotACode) if squeezed.chars().count() == TEXT_CHARS => {
            Err(CodeError::Typo { position: first_difference(&squeezed, PREFIX) })
        }
        outcome => outcome,
    }
}

fn read_words(words: &[&str], language: Language) -> Result<Code, CodeError> {
    words::code_of(words, language).map(Code).map_err(|fault| match fault {
        WordsFault::Unlike => CodeError::NotACode,
        WordsFault::Count(seen) => CodeError::WrongLength { seen, wanted: words::WORDS },
        WordsFault::Unknown(place) => CodeError::UnknownWord { position: place + 1 },
        WordsFault::Check => CodeError::Typo { position: None },
    })
}

fn read_text(text: &str) -> Result<Code, CodeError> {
    let seen = text.chars().count();
    if seen != TEXT_CHARS {
        return Err(CodeError::WrongLength { seen, wanted: TEXT_CHARS });
    }
    let foreign = text.chars().skip(PREFIX.len()).position(|char| !ALPHABET.contains(char));
    if let Some(place) = foreign {
        return Err(CodeError::Typo { position: Some(PREFIX.len() + place + 1) });
    }
    let checked = CheckedHrpstring::new::<Bech32m>(text)
        .map_err(|error| CodeError::Typo { position: only_wrong_character(&error) })?;
    let mut code = Secret::zeroed();
    for (to, from) in code.expose_mut().iter_mut().zip(checked.byte_iter()) {
        *to = from;
    }
    Ok(Code(code))
}

/// The one character that would have to change, if changing one is enough.
fn only_wrong_character(error: &impl CorrectableError) -> Option<usize> {
    let context = error.correction_context::<Bech32m>()?;
    let mut errors = context.bch_errors()?.map(|(from_end, _)| from_end);
    let from_end = errors.next().filter(|from_end| *from_end < TEXT_CHARS - PREFIX.len())?;
    if errors.next().is_some() { None } else { Some(TEXT_CHARS - from_end) }
}

fn first_difference(text: &str, prefix: &str) -> Option<usize> {
    text.chars().zip(prefix.chars()).position(|(one, other)| one != other).map(|place| place + 1)
}
