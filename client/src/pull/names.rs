//! Other names for what cannot have its own: one that is taken, or one that cannot be here.

use handover_shared::ids::hex;

/// The folder of partial data inside the destination.
pub(crate) const WORK_FOLDER: &[u8] = b".handover";

/// Longest name that is made here: every file system takes it.
const NAME_BYTES_MAX: usize = 143;

/// Whether a name at the top of the destination is ours: on some file systems upper and lower case are one.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(WORK_FOLDER)
}

/// The name with a number in front of its extension: `report (1).csv`, `archive (1).tar.gz`, `.profile (1)`.
pub(super) fn numbered(name: &[u8], number: u32) -> Vec<u8> {
    let (stem, extension) = name.split_at(extension_at(name));
    let suffix = format!(" ({number})");
    // The name may be as long as names can be; characters are given up at the end of the stem, whole.
    let room = 255usize.saturating_sub(suffix.len() + extension.len());
    let stem = &stem[..whole_chars(stem, room)];
    [stem, suffix.as_bytes(), extension].concat()
}

/// Where the extension begins, a second one like `.tar` included; the end if there is none.
fn extension_at(name: &[u8]) -> usize {
    const EXTENSION_BYTES_MAX: usize = 16;
    let dot_before = |end: usize| {
        let at = name[..end].iter().rposition(|&byte| byte == b'.')?;
        (at > 0 && end - at > 1 && end - at <= EXTENSION_BYTES_MAX).then_some(at)
    };
    match dot_before(name.len()) {
        None => name.len(),
        Some(at) => match dot_before(at) {
            Some(double) if &name[double..at] == b".tar" => double,
            _ => at,
        },
    }
}

/// A name that every file system takes, made of one that this one refuses: letters, digits and what is harmless stay,
/// other bytes become `%XX`; a name that gets too long ends with a hash of the whole.
pub(super) fn mapped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            let harmless = c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '(' | ')' | '+' | ',' | '=' | '@')
                // A dot in front hides a file, and is what makes our own folder's name.
                || (c == '.' && !out.is_empty());
            match harmless {
                true => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                false => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape(byte, &mut out)),
            }
        }
        chunk.invalid().iter().for_each(|&byte| escape(byte, &mut out));
    }
    if out.len() > NAME_BYTES_MAX {
        let hash = hex(&blake3::hash(name).as_bytes()[..8]);
        out.truncate(whole_chars(&out, NAME_BYTES_MAX - 1 - hash.len()));
        out.push(b'~');
        out.extend_from_slice(hash.as_bytes());
    }
    out
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("%{byte:02X}").as_bytes());
}

/// The greatest length at most `bytes` that does not cut a UTF-8 character.
fn whole_chars(text: &[u8], bytes: usize) -> usize {
    let mut at = text.len().min(bytes);
    while at > 0 && at < text.len() && text[at] & 0b1100_0000 == 0b1000_0000 {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_before_the_extension() {
        let cases: [(&str, &str); 9] = [
            ("report.csv", "report (2).csv"),
            ("archive.tar.gz", "archive (2).tar.gz"),
            ("a.b.c", "a.b (2).c"),
            ("Makefile", "Makefile (2)"),
            (".profile", ".profile (2)"),
            ("dot.", "dot. (2)"),
            ("客户.xlsx", "客户 (2).xlsx"),
            ("v1.0 final version of it", "v1.0 final version of it (2)"),
            (".tar.gz", ".tar (2).gz"),
        ];
        for (name, expected) in cases {
            assert_eq!(String::from_utf8(numbered(name.as_bytes(), 2)).unwrap(), expected);
        }
        let long = "客".repeat(84) + ".csv";
        let made = numbered(long.as_bytes(), 10);
        assert!(made.len() <= 255);
        assert!(String::from_utf8(made).unwrap().ends_with("客 (10).csv"));
    }

    #[test]
    fn impossible_names_become_possible_ones() {
        let cases: [(&[u8], &str); 6] = [
            (b"a:b?.txt", "a%3Ab%3F.txt"),
            (b"caf\xe9", "caf%E9"),
            (".handover".as_bytes(), "%2Ehandover"),
            ("客户 1.csv".as_bytes(), "客户 1.csv"),
            (b"100%", "100%25"),
            (b"line\nbreak", "line%0Abreak"),
        ];
        for (name, expected) in cases {
            assert_eq!(mapped(name), expected.as_bytes());
        }
        let (one, two) = (mapped("客".repeat(80).as_bytes()), mapped("客".repeat(81).as_bytes()));
        assert!(one.len() <= NAME_BYTES_MAX && std::str::from_utf8(&one).is_ok());
        assert_ne!(one, two);
    }

    #[test]
    fn the_work_folder_is_nobody_elses() {
        assert!(is_reserved(b".handover") && is_reserved(b".HandOver"));
        assert!(!is_reserved(b"handover") && !is_reserved(b".handover2"));
    }
}
