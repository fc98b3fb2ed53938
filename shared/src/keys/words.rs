//! A code as fifteen words.
//!
//! # Shape
//! 160 bits of code, then the first 5 bits of their SHA-256; eleven bits a word, most significant first.
//!
//! # Source
//! SPEC [S5.2], BIP-39.

use aws_lc_rs::digest::{SHA256, digest};
use bip39::Language;
use zeroize::Zeroizing;

use super::secret::Secret;

/// Words of a code.
pub(super) const WORDS: usize = 15;

const CODE_BYTES: usize = 20;
const WORD_BITS: usize = 11;
const CHECK_BITS: usize = WORDS * WORD_BITS - CODE_BYTES * 8;

/// Why some words are no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WordsFault {
    /// Most of them are not in the list: this is something else.
    Unlike,
    /// So many words.
    Count(usize),
    /// The word at this place, from 0, is not in the list.
    Unknown(usize),
    /// A word is in the list and not the right one.
    Check,
}

/// The words of a code, in order.
pub(super) fn words_of(code: &Secret<CODE_BYTES>, language: Language) -> impl Iterator<Item = &'static str> {
    let mut bits = Zeroizing::new([0; CODE_BYTES + 1]);
    bits[..CODE_BYTES].copy_from_slice(code.expose());
    bits[CODE_BYTES] = check_byte(code);
    let list = language.word_list();
    (0..WORDS).map(move |word| {
        let index = (word * WORD_BITS..(word + 1) * WORD_BITS)
            .fold(0, |index, bit| index << 1 | usize::from(bits[bit / 8] >> (7 - bit % 8) & 1));
        list[index]
    })
}

/// The code of some words.
pub(super) fn code_of(words: &[&str], language: Language) -> Result<Secret<CODE_BYTES>, WordsFault> {
    let found: Zeroizing<Vec<Option<u16>>> =
        Zeroizing::new(words.iter().map(|word| language.find_word(word)).collect());
    if words.is_empty() || found.iter().flatten().count() * 2 < words.len() {
        return Err(WordsFault::Unlike);
    }
    if words.len() != WORDS {
        return Err(WordsFault::Count(words.len()));
    }
    let mut bits = Zeroizing::new([0u8; CODE_BYTES + 1]);
    for (word, index) in found.iter().enumerate() {
        let index = index.ok_or(WordsFault::Unknown(word))?;
        for bit in 0..WORD_BITS {
            if index >> (WORD_BITS - 1 - bit) & 1 == 1 {
                let at = word * WORD_BITS + bit;
                bits[at / 8] |= 1 << (7 - at % 8);
            }
        }
    }
    let code = Secret::from_slice(&bits[..CODE_BYTES]).ok_or(WordsFault::Check)?;
    if bits[CODE_BYTES] == check_byte(&code) { Ok(code) } else { Err(WordsFault::Check) }
}

/// The check bits, at the high end of a byte.
fn check_byte(code: &Secret<CODE_BYTES>) -> u8 {
    digest(&SHA256, code.expose()).as_ref()[0] & (0xff << (8 - CHECK_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::entropy::tests::Counting;

    #[test] // [S5.2]
    fn the_words_are_those_of_bip_39() {
        for start in 0..=255 {
            let code = Secret::from_entropy(&mut Counting(start));
            for language in [Language::English, Language::SimplifiedChinese] {
                let words: Vec<_> = words_of(&code, language).collect();
                let reference = bip39::Mnemonic::from_entropy_in(language, code.expose()).unwrap();
                assert_eq!(words, reference.words().collect::<Vec<_>>());
                assert!(code_of(&words, language).unwrap().ct_eq(&code));
            }
        }
    }

    #[test] // [S5.2]
    fn wrong_words_are_told_apart() {
        let code = Secret::from_entropy(&mut Counting(0));
        let words: Vec<_> = words_of(&code, Language::English).collect();
        let fault = |words: &[&str]| code_of(words, Language::English).err();
        assert_eq!(fault(&[]), Some(WordsFault::Unlike));
        assert_eq!(fault(&["hello", "foo", "qux"]), Some(WordsFault::Unlike));
        assert_eq!(fault(&words[..14]), Some(WordsFault::Count(14)));
        assert_eq!(fault(&[&words[..], &["zoo"]].concat()), Some(WordsFault::Count(16)));
        for place in 0..WORDS {
            let mut altered = words.clone();
            altered[place] = "qux";
            assert_eq!(fault(&altered), Some(WordsFault::Unknown(place)));
        }
        let mut swapped = words.clone();
        swapped.swap(3, 4);
        assert_eq!(fault(&swapped), Some(WordsFault::Check));
    }
}
