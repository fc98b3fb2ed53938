//! Small pictures as PNG files, so that made-up scans open in any viewer.

use super::random::Random;

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

/// A picture of a page with some lines on it: 8-bit grey, uncompressed inside.
pub(super) fn page(random: &mut Random, width: u32, height: u32) -> Vec<u8> {
    let mut rows = Vec::with_capacity((width as usize + 1) * height as usize);
    for y in 0..height {
        rows.push(0);
        let is_text = y % 8 < 4 && y > 8;
        let end = width / 4 + random.below(u64::from(width) / 2) as u32;
        for x in 0..width {
            let is_ink = is_text && x > 8 && x < end && random.below(4) > 0;
            rows.push(if is_ink { 40 } else { 250 - (random.below(6) as u8) });
        }
    }
    let mut header = Vec::with_capacity(13);
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    header.extend_from_slice(&[8, 0, 0, 0, 0]);
    let mut file = SIGNATURE.to_vec();
    chunk(&mut file, *b"IHDR", &header);
    chunk(&mut file, *b"IDAT", &zlib_stored(&rows));
    chunk(&mut file, *b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], body: &[u8]) {
    file.extend_from_slice(&(body.len() as u32).to_be_bytes());
    let checked = file.len();
    file.extend_from_slice(&kind);
    file.extend_from_slice(body);
    let sum = crc32(&file[checked..]);
    file.extend_from_slice(&sum.to_be_bytes());
}

/// A zlib stream of stored blocks (RFC 1950, RFC 1951).
fn zlib_stored(bytes: &[u8]) -> Vec<u8> {
    const BLOCK_BYTES_MAX: usize = 65_535;
    let mut out = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(BLOCK_BYTES_MAX).peekable();
    while let Some(block) = blocks.next() {
        out.push(u8::from(blocks.peek().is_none()));
        let length = block.len() as u16;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&adler32(bytes).to_be_bytes());
    out
}

fn adler32(bytes: &[u8]) -> u32 {
    const PRIME: u32 = 65_521;
    let (low, high) = bytes.iter().fold((1u32, 0u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % PRIME;
        (low, (high + low) % PRIME)
    });
    high << 16 | low
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn a_page_is_a_whole_png() {
        let file = page(&mut Random::new(1), 300, 400);
        assert!(file.starts_with(&SIGNATURE));
        let mut at = 8;
        let mut kinds = Vec::new();
        while at < file.len() {
            let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
            let sum = u32::from_be_bytes(file[at + 8 + length..at + 12 + length].try_into().unwrap());
            assert_eq!(crc32(&file[at + 4..at + 8 + length]), sum);
            kinds.push(String::from_utf8(file[at + 4..at + 8].to_vec()).unwrap());
            at += 12 + length;
        }
        assert_eq!((kinds.join(" "), at), ("IHDR IDAT IEND".to_owned(), file.len()));
    }
}
