//! Every way a person may type a code, and every way it may be wrong.
#![cfg(feature = "endpoint")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use handover_shared::keys::Secret;
use handover_shared::keys::code::{Code, CodeError, TEXT_CHARS, Ticket, WordList};
use proptest::prelude::*;

const TEXT: &str = "ho1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxg76n6";

fn code() -> Code {
    Code::of_secret(Secret::from_slice(&std::array::from_fn::<u8, 20, _>(|at| at as u8)).unwrap())
}

/// What was read, without anything secret in a failure's message but the fixed code of this file.
fn read(text: &str) -> Result<([u8; 20], Option<String>), CodeError> {
    Ticket::parse(text).map(|ticket| (*ticket.code.expose(), ticket.relay.map(|relay| relay.to_string())))
}

#[test] // [S5.1] [S5.2]
fn one_code_in_its_three_forms() {
    assert_eq!(*code().to_text(), TEXT);
    assert_eq!(TEXT.len(), TEXT_CHARS);
    let english = code().to_words(WordList::English).as_str().to_owned();
    let chinese = code().to_words(WordList::Chinese).as_str().to_owned();
    assert_eq!(
        english,
        "abandon amount liar amount expire adjust cage candy arch gather drum bullet absurd math exhibit"
    );
    assert_eq!((english.split(' ').count(), chinese.split(' ').count()), (15, 15));
    for text in [TEXT, &english, &chinese] {
        assert_eq!(read(text), Ok((*code().expose(), None)));
    }
}

#[test] // [S5.3]
fn forgiven_input() {
    let english = code().to_words(WordList::English).as_str().to_owned();
    let chinese = code().to_words(WordList::Chinese).as_str().to_owned();
    let full_width: String = TEXT.chars().map(|char| char::from_u32(char as u32 + 0xfee0).unwrap()).collect();
    let plain = [
        TEXT.to_uppercase(),
        format!("  {TEXT}\r\n"),
        format!("{}-{}", &TEXT[..10], &TEXT[10..]),
        TEXT.chars().map(|char| format!("{char} ")).collect(),
        TEXT.chars().map(|char| format!("{char}\u{2011}")).collect(),
        TEXT.chars().map(|char| format!("{char}\u{200b}")).collect(),
        full_width.clone(),
        full_width.to_uppercase(),
        format!("handover:{TEXT}"),
        format!("HANDOVER:{TEXT}"),
        format!("handover pull {TEXT}"),
        format!("handover  pull\t{TEXT}"),
        format!("handover pull handover:{TEXT}"),
        format!("handover pull {english}"),
        english.to_uppercase(),
        english.replace(' ', "-"),
        english.replace(' ', ", "),
        english.replace(' ', "\n"),
        english.replace(' ', "、"),
        chinese.replace(' ', ""),
        chinese.replace(' ', "，"),
        chinese.replace(' ', "\u{3000}"),
    ];
    for text in plain {
        assert_eq!(read(&text), Ok((*code().expose(), None)), "{text}");
    }
    let with_relay = [
        (format!("{TEXT}@relay.example"), "relay.example"),
        (format!("{TEXT} @ Relay.Example "), "relay.example"),
        (format!("handover pull {TEXT}@relay.example:1234"), "relay.example:1234"),
        (format!("handover:{TEXT}@[::1]:4433"), "[::1]"),
        (format!("{english}@127.0.0.1:9"), "127.0.0.1:9"),
        (format!("{english} @ relay.example"), "relay.example"),
        (format!("{chinese}@relay.example"), "relay.example"),
        (format!("{full_width}＠ｒｅｌａｙ。ｅｘａｍｐｌｅ：４４３"), "relay.example:443"),
    ];
    for (text, relay) in with_relay {
        assert_eq!(read(&text), Ok((*code().expose(), Some(relay.to_owned()))), "{text}");
    }
}

#[test] // [S5.1]
fn a_ticket_is_written_as_it_is_read() {
    for text in [TEXT.to_owned(), format!("{TEXT}@relay.example"), format!("{TEXT}@[::1]:1")] {
        assert_eq!(*Ticket::parse(&text).unwrap().to_text(), text);
    }
    let ticket = Ticket::parse(&format!("{TEXT}@relay.example:4433")).unwrap();
    assert_eq!(*ticket.to_text(), format!("{TEXT}@relay.example"));
}

#[test] // [S5.3]
fn what_is_wrong_is_told() {
    let english = code().to_words(WordList::English).as_str().to_owned();
    let chinese = code().to_words(WordList::Chinese).as_str().to_owned();
    let typo = |position| CodeError::Typo { position };
    let table = [
        (String::new(), CodeError::Empty),
        (" \n-\u{3000}".into(), CodeError::Empty),
        ("handover pull".into(), CodeError::Empty),
        ("handover:".into(), CodeError::Empty),
        ("@relay.example".into(), CodeError::Empty),
        ("see relay.example for more".into(), CodeError::NotACode),
        ("你好你好".into(), CodeError::WrongLength { seen: 4, wanted: 15 }),
        ("👋👋".into(), CodeError::NotACode),
        ("x".repeat(5000), CodeError::NotACode),
        (TEXT[..40].into(), CodeError::WrongLength { seen: 40, wanted: 41 }),
        (format!("{TEXT}q"), CodeError::WrongLength { seen: 42, wanted: 41 }),
        (TEXT.replacen("ho1", "hol", 1), typo(Some(3))),
        (TEXT.replacen("ho1", "h01", 1), typo(Some(2))),
        (TEXT.replacen("5rq", "5iq", 1), typo(Some(14))),
        (TEXT.replacen("5rq", "5xq", 1), typo(Some(14))),
        (TEXT.replacen("76n6", "76n7", 1), typo(Some(41))),
        (TEXT.replacen("5rq", "5qr", 1), typo(None)),
        (english.replace("liar", "lair"), CodeError::UnknownWord { position: 3 }),
        (english.replace("amount liar", "liar amount"), typo(None)),
        (english.replace(" exhibit", ""), CodeError::WrongLength { seen: 14, wanted: 15 }),
        (format!("{english} zoo"), CodeError::WrongLength { seen: 16, wanted: 15 }),
        (chinese.chars().skip(2).collect(), CodeError::WrongLength { seen: 14, wanted: 15 }),
        (chinese.chars().rev().collect(), typo(None)),
        (format!("{TEXT}@"), CodeError::BadAddress),
        (format!("{TEXT}@a@b"), CodeError::BadAddress),
        (format!("{TEXT}@relay example"), CodeError::BadAddress),
        (format!("{TEXT}@relay.example:0"), CodeError::BadAddress),
    ];
    for (text, error) in table {
        assert_eq!(read(&text).map(|_| ()), Err(error), "{text}");
    }
    let mut unknown: Vec<char> = chinese.chars().filter(|char| !char.is_whitespace()).collect();
    unknown[6] = '鑫';
    let text: String = unknown.into_iter().collect();
    assert_eq!(read(&text).map(|_| ()), Err(CodeError::UnknownWord { position: 7 }));
}

#[test] // [S4.8] [S5.3]
fn nothing_prints_a_code() {
    let ticket = Ticket::parse(&format!("{TEXT}@relay.example")).unwrap();
    let printed = format!("{ticket:?} {ticket:#?} {:?}", ticket.code);
    let errors: Vec<CodeError> = [format!("{TEXT}q"), TEXT.replace('g', "i"), TEXT.replace("g7", "7g")]
        .iter()
        .map(|text| Ticket::parse(text).unwrap_err())
        .collect();
    let printed = format!("{printed} {errors:?} {}", errors.iter().map(ToString::to_string).collect::<String>());
    for place in 0..TEXT.len() - 4 {
        assert!(!printed.contains(&TEXT[place..place + 4]), "{printed}");
    }
}

#[test] // [S5.1]
fn no_text_with_one_other_character_is_a_code() {
    let printable = (0x21..0x7f).map(char::from);
    for (place, original) in TEXT.chars().enumerate() {
        for other in
            printable.clone().filter(|char| !char.eq_ignore_ascii_case(&original) && !matches!(char, '-' | '@'))
        {
            let text: String =
                TEXT.chars().enumerate().map(|(at, char)| if at == place { other } else { char }).collect();
            match read(&text) {
                Err(CodeError::Typo { position }) => assert_eq!(position, Some(place + 1), "{text}"),
                Err(CodeError::NotACode) => assert!(place < 3, "{text}"),
                outcome => panic!("{text}: {outcome:?}"),
            }
        }
    }
}

/// What may stand between the characters of a code.
fn gap() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["", "", "", " ", "-", "  ", "\n", "\u{3000}", "－", "\u{2013}", "\u{200b}", "\t"])
        .prop_map(str::to_owned)
}

#[derive(Clone, Copy, Debug)]
enum Look {
    Lower,
    Upper,
    Full,
}

fn look() -> impl Strategy<Value = Look> {
    proptest::sample::select(vec![Look::Lower, Look::Upper, Look::Full])
}

fn shown(char: char, look: Look) -> char {
    match look {
        Look::Lower => char,
        Look::Upper => char.to_ascii_uppercase(),
        Look::Full if char.is_ascii_graphic() => char::from_u32(char as u32 + 0xfee0).unwrap(),
        Look::Full => char,
    }
}

proptest! {
    #[test] // [S5.3]
    fn text_is_read_under_any_spacing_case_and_width(
        bytes: [u8; 20],
        dress in proptest::collection::vec((gap(), look()), TEXT_CHARS),
    ) {
        let code = Code::of_secret(Secret::from_slice(&bytes).unwrap());
        let text: String = code
            .to_text()
            .chars()
            .zip(dress)
            .map(|(char, (gap, look))| format!("{gap}{}", shown(char, look)))
            .collect();
        prop_assert_eq!(read(&text), Ok((bytes, None)));
    }

    #[test] // [S5.3]
    fn words_are_read_under_any_separator_case_and_width(
        bytes: [u8; 20],
        chinese: bool,
        look in look(),
        separators in proptest::collection::vec(
            proptest::sample::select(vec![" ", "\n", ", ", "，", "、", "-", " - ", "\u{3000}", "\t"]),
            15,
        ),
    ) {
        let code = Code::of_secret(Secret::from_slice(&bytes).unwrap());
        let list = if chinese { WordList::Chinese } else { WordList::English };
        let text: String = code
            .to_words(list)
            .split(' ')
            .zip(separators)
            .flat_map(|(word, separator)| {
                word.chars().map(|char| shown(char, look)).chain(separator.chars()).collect::<Vec<_>>()
            })
            .collect();
        prop_assert_eq!(read(&text), Ok((bytes, None)));
    }

    #[test] // [S5.1]
    fn one_other_character_is_never_a_code(bytes: [u8; 20], place in 0..TEXT_CHARS, step in 1usize..32) {
        const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        let code = Code::of_secret(Secret::from_slice(&bytes).unwrap());
        let mut text = code.to_text().as_bytes().to_vec();
        let index = ALPHABET.iter().position(|char| *char == text[place]).unwrap_or(0);
        text[place] = ALPHABET[(index + step) % 32];
        prop_assume!(text != code.to_text().as_bytes());
        prop_assert!(read(std::str::from_utf8(&text).unwrap()).is_err());
    }

    #[test] // [S5.3]
    fn no_input_is_too_strange(text in "\\PC{0,80}", lead in proptest::sample::select(vec!["", "ho1", "handover ", "@"])) {
        let input = format!("{lead}{text}");
        prop_assert!(read(&input).is_err());
    }
}
