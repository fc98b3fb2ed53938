//! How one half of a stream travels where there are no streams below it: records on TCP.
//!
//! | offset | size | meaning |
//! |---|---|---|
//! | 0 | 1 | kind: 0 data, 1 end, 2 reset, 3 keep-alive |
//! | 1 | 3 | data: length of what follows, 1 to [`RECORD_BYTES_MAX`]; reset: the fault's number; else zero |
//! | 4 | length | data only: bytes of the stream |
//!
//! # Source
//! SPEC [S11.8].

use crate::fault::Fault;
use crate::limits::RECORD_BYTES_MAX;

/// The length of a record's header.
pub const RECORD_HEADER_BYTES: usize = 4;

const DATA: u8 = 0;
const END: u8 = 1;
const RESET: u8 = 2;
const KEEP_ALIVE: u8 = 3;

/// A record, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// So many bytes of the stream follow.
    Data(usize),
    /// This half of the stream is finished.
    End,
    /// This half is cut short, for the reason with this number.
    Reset(u16),
    /// Nothing, but its sender is there.
    KeepAlive,
}

impl Record {
    /// The header's bytes.
    ///
    /// # Shape
    /// A length of data is at most [`RECORD_BYTES_MAX`], so it has three bytes.
    pub fn header(self) -> [u8; RECORD_HEADER_BYTES] {
        let (kind, value) = match self {
            Self::Data(length) => (DATA, u32::try_from(length).unwrap_or(u32::MAX)),
            Self::End => (END, 0),
            Self::Reset(number) => (RESET, number.into()),
            Self::KeepAlive => (KEEP_ALIVE, 0),
        };
        let [_, high, middle, low] = value.to_be_bytes();
        [kind, high, middle, low]
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`Fault::BadMessage`] for what is no record; [`Fault::TooLarge`] for data beyond the limit.
    pub fn of_header(header: [u8; RECORD_HEADER_BYTES]) -> Result<Self, Fault> {
        let [kind, high, middle, low] = header;
        let value = u32::from_be_bytes([0, high, middle, low]);
        let length = value as usize;
        match (kind, value) {
            (DATA, 1..) if length <= RECORD_BYTES_MAX => Ok(Self::Data(length)),
            (DATA, 1..) => Err(Fault::TooLarge),
            (END, 0) => Ok(Self::End),
            (RESET, number) => u16::try_from(number).map(Self::Reset).or(Err(Fault::BadMessage)),
            (KEEP_ALIVE, 0) => Ok(Self::KeepAlive),
            _ => Err(Fault::BadMessage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S11.8]
    fn headers_have_these_bytes() {
        let table = [
            (Record::Data(1), [0, 0, 0, 1]),
            (Record::Data(0x01_0203), [0, 1, 2, 3]),
            (Record::Data(RECORD_BYTES_MAX), [0, 0x10, 0, 0]),
            (Record::End, [1, 0, 0, 0]),
            (Record::Reset(0), [2, 0, 0, 0]),
            (Record::Reset(12), [2, 0, 0, 12]),
            (Record::Reset(0xffff), [2, 0, 0xff, 0xff]),
            (Record::KeepAlive, [3, 0, 0, 0]),
        ];
        for (record, bytes) in table {
            assert_eq!(record.header(), bytes, "{record:?}");
            assert_eq!(Record::of_header(bytes), Ok(record));
        }
    }

    #[test] // [S11.8] [S3.1]
    fn what_is_no_record_is_refused() {
        let table = [
            ([0, 0, 0, 0], Fault::BadMessage),
            ([0, 0x10, 0, 1], Fault::TooLarge),
            ([0, 0xff, 0xff, 0xff], Fault::TooLarge),
            ([1, 0, 0, 1], Fault::BadMessage),
            ([2, 1, 0, 0], Fault::BadMessage),
            ([3, 0, 1, 0], Fault::BadMessage),
            ([4, 0, 0, 0], Fault::BadMessage),
            ([0xff; 4], Fault::BadMessage),
        ];
        for (bytes, fault) in table {
            assert_eq!(Record::of_header(bytes), Err(fault), "{bytes:?}");
        }
    }
}
