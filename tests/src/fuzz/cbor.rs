//! A second, slower and obvious reader of deterministic CBOR, which judges what the decoders accept.

/// No structure of the project is nested deeper.
const DEPTH_MAX: u32 = 8;

/// Whether these bytes are exactly one value in the encoding of [S2.1].
pub fn is_deterministic(bytes: &[u8]) -> bool {
    item(bytes, 0).is_some_and(<[u8]>::is_empty)
}

/// What follows the first value; nothing if that is not in its one encoding.
fn item(bytes: &[u8], depth: u32) -> Option<&[u8]> {
    if depth > DEPTH_MAX {
        return None;
    }
    let (&first, rest) = bytes.split_first()?;
    let (major, low) = (first >> 5, first & 31);
    if major == 7 {
        // false, true, null
        return (20..=22).contains(&low).then_some(rest);
    }
    let (number, rest) = number(low, rest)?;
    match major {
        0 | 1 => Some(rest),
        2 | 3 => {
            let (text, rest) = rest.split_at_checked(usize::try_from(number).ok()?)?;
            (major == 2 || std::str::from_utf8(text).is_ok()).then_some(rest)
        }
        4 => array(number, rest, depth),
        _ => None,
    }
}

fn array(count: u64, mut rest: &[u8], depth: u32) -> Option<&[u8]> {
    const NULL: u8 = 0xf6;
    for index in 0..count {
        // An absent field at the end is left out.
        if index + 1 == count && rest.first() == Some(&NULL) {
            return None;
        }
        rest = item(rest, depth + 1)?;
    }
    Some(rest)
}

fn number(low: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    let wide = |bytes: usize, least: u64| {
        let (digits, rest) = rest.split_at_checked(bytes)?;
        let number = digits.iter().fold(0, |number: u64, digit| number << 8 | u64::from(*digit));
        (number >= least).then_some((number, rest))
    };
    match low {
        0..=23 => Some((u64::from(low), rest)),
        24 => wide(1, 24),
        25 => wide(2, 1 << 8),
        26 => wide(4, 1 << 16),
        27 => wide(8, 1 << 32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S2.1] [S2.2]
    fn only_the_one_encoding_passes() {
        for good in [&[0x00][..], &[0x18, 24], &[0x83, 1, 0xf6, 2], &[0x80], &[0x61, b'a'], &[0x41, 0xff], &[0x20]] {
            assert!(is_deterministic(good), "{good:02x?}");
        }
        let bad: [&[u8]; 12] = [
            &[],
            &[0x18, 23],
            &[0x19, 0, 255],
            &[0x82, 1, 0xf6],
            &[0x9f, 1, 0xff],
            &[0x5f, 0xff],
            &[0xc0, 1],
            &[0xa0],
            &[0xf9, 0, 0],
            &[0x61, 0xff],
            &[0x00, 0x00],
            &[0x82, 1],
        ];
        for bytes in bad {
            assert!(!is_deterministic(bytes), "{bytes:02x?}");
        }
    }
}
