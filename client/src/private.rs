//! Customer data in memory: names, paths, labels. It reaches a person's screen, never a log.

use std::fmt;

use handover_shared::shown::is_hidden;

/// Something of the customer's; its `Debug` prints `…`.
///
/// # Security
/// There is no `Display`. Whoever shows it takes it out by name, with [`Private::reveal`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Wraps.
    pub fn new(inner: T) -> Self {
        Self(inner)
    }

    /// Looks inside, to show it to the person it belongs to or to use it.
    pub fn reveal(&self) -> &T {
        &self.0
    }

    /// Takes it out.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<T> From<T> for Private<T> {
    fn from(inner: T) -> Self {
        Self(inner)
    }
}

/// Makes foreign text safe to show: control characters, bidirectional controls, zero-width and other invisible
/// characters come out as `\u{…}`, bytes that are not UTF-8 as `\x…`.
///
/// # Security
/// The result holds no character below 0x20, no 0x7f to 0x9f, no bidirectional control, no line separator.
pub fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_hidden(c) {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_prints_nothing() {
        assert_eq!(format!("{:?}", Private::new("customers.csv")), "…");
    }

    #[test]
    fn escapes_what_drives_a_terminal_and_keeps_the_rest() {
        let cases: [(&[u8], &str); 8] = [
            ("a\u{34f}b\u{17b4}\u{1d173}\u{e01f0}".as_bytes(), "a\\u{34f}b\\u{17b4}\\u{1d173}\\u{e01f0}"),
            ("\u{2764}\u{fe0f} 葛\u{e0100}".as_bytes(), "\u{2764}\u{fe0f} 葛\u{e0100}"),
            ("客户 عميل 😀.csv".as_bytes(), "客户 عميل 😀.csv"),
            (b"a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\u{202e}txt.exe".as_bytes(), "a\\u{202e}txt.exe"),
            ("line\nbreak\u{9b}".as_bytes(), "line\\u{a}break\\u{9b}"),
            (b"caf\xe9", "caf\\xe9"),
            ("\u{feff}bom".as_bytes(), "\\u{feff}bom"),
        ];
        for (input, shown) in cases {
            assert_eq!(escaped(input), shown);
        }
    }
}
