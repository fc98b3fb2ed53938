//! Names from the other side, as a person gets to see them.

use handover::private::escaped;

/// Shows hostile bytes. What comes out drives no terminal, hides nothing, and holds every harmless character of what
/// went in, in its order.
pub fn display(data: &[u8]) {
    let shown = escaped(data);
    for c in shown.chars() {
        assert!(!drives_or_hides(u32::from(c)), "U+{:04X} got through", u32::from(c));
    }
    assert_eq!(shown, expected(data), "not what the obvious filter makes of it");
    assert_eq!(escaped(shown.as_bytes()), shown, "filtering twice changes something");
}

/// The filter once more, from the tables of Unicode and not from the code.
fn expected(mut data: &[u8]) -> String {
    let mut out = String::new();
    while !data.is_empty() {
        let width = (1..=4.min(data.len())).find(|width| std::str::from_utf8(&data[..*width]).is_ok());
        match width {
            Some(width) => {
                let text = std::str::from_utf8(&data[..width]).unwrap_or_default();
                for c in text.chars() {
                    if drives_or_hides(u32::from(c)) {
                        out += &format!("\\u{{{:x}}}", u32::from(c));
                    } else {
                        out.push(c);
                    }
                }
                data = &data[width..];
            }
            None => {
                out += &format!("\\x{:02x}", data[0]);
                data = &data[1..];
            }
        }
    }
    out
}

/// Characters that drive a terminal, change the direction of text, break lines, or cannot be seen.
fn drives_or_hides(c: u32) -> bool {
    // General categories Cc, Zl and Zp, the bidirectional controls, the annotation signs, and Default_Ignorable_Code_Point
    // but for the variation selectors, which choose between two looks of one visible sign.
    const RANGES: [(u32, u32); 23] = [
        (0x00, 0x1f),
        (0x7f, 0x9f),
        (0xad, 0xad),
        (0x34f, 0x34f),
        (0x61c, 0x61c),
        (0x115f, 0x1160),
        (0x17b4, 0x17b5),
        (0x180e, 0x180e),
        (0x200b, 0x200f),
        (0x2028, 0x2029),
        (0x202a, 0x202e),
        (0x2060, 0x2065),
        (0x2066, 0x206f),
        (0x3164, 0x3164),
        (0xfeff, 0xfeff),
        (0xffa0, 0xffa0),
        (0xfff0, 0xfff8),
        (0xfff9, 0xfffb),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0xe0000, 0xe007f),
        (0xe0080, 0xe00ff),
        (0xe01f0, 0xe0fff),
    ];
    RANGES.iter().any(|(first, last)| (*first..=*last).contains(&c))
}
