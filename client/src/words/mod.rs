//! Every sentence a person reads, in English and in Chinese, under one key each.
//!
//! The sentences are Fluent files beside this module. [`t!`](crate::t) is the only way to say one, so that a test can
//! compare what the sources ask for with what the files hold.

#[cfg(test)]
mod coverage;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentError, FluentResource, FluentValue};

/// English, the fallback.
pub const ENGLISH: &str = include_str!("en.ftl");
/// Simplified Chinese.
pub const CHINESE: &str = include_str!("zh-CN.ftl");

/// A language handover speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// Both.
    pub const ALL: [Language; 2] = [Self::English, Self::Chinese];

    /// As `--lang` names it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// The language of a tag or of the name of a locale such as `zh_CN.UTF-8`; none for an empty one.
    pub fn of_locale(name: &str) -> Option<Self> {
        match name.get(..2) {
            _ if name.is_empty() => None,
            Some(start) if start.eq_ignore_ascii_case("zh") => Some(Self::Chinese),
            _ => Some(Self::English),
        }
    }
}

/// What stands in a sentence: text as it is, or a number that chooses between singular and plural.
pub type Value<'a> = FluentValue<'a>;

/// The sentences of one language.
pub struct Words {
    language: Language,
    bundle: FluentBundle<FluentResource>,
}

impl Words {
    /// Reads the sentences of a language; English stands in for a sentence it lacks.
    pub fn new(language: Language) -> Self {
        let (own, grouped): (&str, fn(&FluentValue, &_) -> Option<String>) = match language {
            Language::English => (ENGLISH, |value, _| group(value, ' ')),
            Language::Chinese => (CHINESE, |value, _| group(value, ',')),
        };
        let locale = language.tag().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![locale]);
        // The marks around inserted text would be copied along with a code.
        bundle.set_use_isolating(false);
        bundle.set_formatter(Some(grouped));
        for text in [ENGLISH, own] {
            let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(partial, _errors)| partial);
            bundle.add_resource_overriding(resource);
        }
        Self { language, bundle }
    }

    /// Which language.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Whether there is a sentence under a key.
    pub fn has(&self, key: &str) -> bool {
        self.bundle.has_message(key)
    }

    /// One sentence; use [`t!`](crate::t). Text that is inserted must have been made safe to show.
    pub fn say(&self, key: &str, values: &[(&'static str, Value<'_>)]) -> String {
        let mut args = FluentArgs::with_capacity(values.len());
        for (name, value) in values {
            args.set(*name, value.clone());
        }
        let mut faults: Vec<FluentError> = Vec::new();
        let pattern = self.bundle.get_message(key).and_then(|message| message.value());
        let said = pattern.map(|pattern| self.bundle.format_pattern(pattern, Some(&args), &mut faults).into_owned());
        debug_assert!(said.is_some(), "no sentence under {key}");
        debug_assert!(faults.is_empty(), "{key}: {faults:?}");
        said.unwrap_or_else(|| format!("[{key}]"))
    }
}

/// Says a sentence: `t!(words, KEY)` or `t!(words, KEY, name = value, …)`, the key a literal.
#[macro_export]
macro_rules! t {
    ($words:expr, $key:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $words.say($key, &[$((stringify!($name), $crate::words::Value::from($value))),*])
    };
}

/// Writes a whole number with its digits in groups of three.
fn group(value: &FluentValue, separator: char) -> Option<String> {
    let FluentValue::Number(number) = value else { return None };
    let digits = format!("{:.0}", number.value);
    if digits.len() < 4 {
        return Some(digits);
    }
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_choose_the_plural() {
        let english = Words::new(Language::English);
        assert_eq!(t!(english, "count-files", count = 1u64), "1 file");
        assert_eq!(t!(english, "count-files", count = 1_204u64), "1 204 files");
        assert_eq!(t!(english, "count-files", count = 12_345_678u64), "12 345 678 files");
        let chinese = Words::new(Language::Chinese);
        assert_eq!(t!(chinese, "count-files", count = 1_204u64), "1,204 个文件");
    }

    #[test]
    fn a_locale_names_a_language() {
        let table = [
            ("zh_CN.UTF-8", Some(Language::Chinese)),
            ("zh-TW", Some(Language::Chinese)),
            ("ZH", Some(Language::Chinese)),
            ("en", Some(Language::English)),
            ("de_DE", Some(Language::English)),
            ("C", Some(Language::English)),
            ("é", Some(Language::English)),
            ("", None),
        ];
        for (name, language) in table {
            assert_eq!(Language::of_locale(name), language, "{name}");
        }
    }
}
