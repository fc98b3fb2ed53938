//! What this machine keeps for itself, with a check: what a bad sector, a crash or a curious hand has changed is not taken
//! for what was written. Against somebody who may write these files nothing is gained or claimed.
//!
//! # Shape
//! A file of one body: 8 bytes of the body's BLAKE3, the body. A line of a longer file: `u32 length ‖ 8 bytes of BLAKE3 ‖
//! body`.

use std::io::{self, Read};

const LENGTH_BYTES: usize = 4;
const CHECK_BYTES: usize = 8;
/// What stands before the body of a line.
pub(crate) const LINE_HEAD_BYTES: usize = LENGTH_BYTES + CHECK_BYTES;

type Check = [u8; CHECK_BYTES];

fn check(body: &[u8]) -> Check {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&blake3::hash(body).as_bytes()[..CHECK_BYTES]);
    check
}

/// A file of one body.
pub(crate) fn file(body: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(CHECK_BYTES + body.len());
    file.extend_from_slice(&check(body));
    file.extend_from_slice(body);
    file
}

/// The body of such a file; nothing if it is damaged.
pub(crate) fn body(file: &[u8]) -> Option<&[u8]> {
    let (sum, body) = file.split_first_chunk::<CHECK_BYTES>()?;
    (check(body) == *sum).then_some(body)
}

/// A line with this body.
pub(crate) fn line(body: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(LINE_HEAD_BYTES + body.len());
    line.extend_from_slice(&(body.len() as u32).to_be_bytes());
    line.extend_from_slice(&check(body));
    line.extend_from_slice(body);
    line
}

/// The head of a line that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineHead {
    /// Bytes of the body.
    pub length: usize,
    check: Check,
}

impl LineHead {
    /// Takes a head apart.
    pub fn parse(head: [u8; LINE_HEAD_BYTES]) -> Self {
        let [a, b, c, d, check @ ..] = head;
        Self { length: u32::from_be_bytes([a, b, c, d]) as usize, check }
    }

    /// Reads a head.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; LINE_HEAD_BYTES];
        from.read_exact(&mut head)?;
        Ok(Self::parse(head))
    }

    /// Whether this is the body that the head was written for.
    pub fn fits(&self, body: &[u8]) -> bool {
        body.len() == self.length && check(body) == self.check
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_file_and_of_a_line_counts() {
        let body_bytes = b"the body";
        let (whole, one_line) = (file(body_bytes), line(body_bytes));
        assert_eq!(body(&whole), Some(&body_bytes[..]));
        assert!(LineHead::read(&mut &one_line[..]).unwrap().fits(body_bytes));
        for bit in 0..whole.len() * 8 {
            let mut altered = whole.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(body(&altered), None, "{bit}");
        }
        for bit in 0..one_line.len() * 8 {
            let mut altered = one_line.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let head = LineHead::read(&mut &altered[..]).unwrap();
            assert!(!head.fits(&altered[LINE_HEAD_BYTES..]), "{bit}");
        }
        for length in 0..whole.len() {
            assert_eq!(body(&whole[..length]), None, "{length}");
        }
    }
}
