//! How many blocks to ask the relay for.

use handover_shared::archive::block::padme;
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockSize};
use handover_shared::limits;

use crate::error::Error;
use crate::event::Scanned;

/// What an entry costs beyond its content: its items, its record and its line in the catalogue, with long names.
const ENTRY_BYTES: u64 = 1024;
/// Files that change are read again, and every continued run begins a block anew.
const SPARE_BYTES: u64 = 64 * 1024 * 1024;
const SPARE_BLOCKS: u64 = 16;

/// At most so many blocks will come, if nothing shrinks and some of it has to be read twice.
///
/// # Errors
/// [`Error::Refused`] with `QuotaExceeded` and the relay's limit if what was scanned is more than that, with
/// `StorageFull` if the relay has no room for the smallest transfer.
pub fn blocks_needed(scanned: &Scanned, size: BlockSize, transfer_bytes_max: u64) -> Result<BlockCount, Error> {
    let allowed = (transfer_bytes_max / size.sealed_bytes() as u64).min(limits::BLOCKS_MAX);
    if allowed < 2 {
        return Err(Error::Refused { fault: Fault::StorageFull, number: None, time: None });
    }
    let Some(content) = scanned.bytes else {
        // Nobody knows how much standard input will bring.
        return Ok(BlockCount(allowed));
    };
    let entries = scanned.files + scanned.folders + scanned.links + scanned.exceptions;
    let least = content.div_ceil(size.payload_bytes() as u64).saturating_add(2);
    if least > allowed {
        let number = Some(transfer_bytes_max);
        return Err(Error::Refused { fault: Fault::QuotaExceeded, number, time: None });
    }
    let packed = content.saturating_add(entries.saturating_mul(ENTRY_BYTES));
    let spare = (packed / 8).saturating_add(SPARE_BYTES.min(packed));
    let blocks = packed.saturating_add(spare).div_ceil(size.payload_bytes() as u64).saturating_add(SPARE_BLOCKS);
    let padded = padme(blocks).unwrap_or(limits::BLOCKS_MAX);
    Ok(BlockCount(padded.min(allowed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(bytes: Option<u64>, files: u64) -> Scanned {
        Scanned { bytes, files, ..Scanned::default() }
    }

    #[test] // [S13.2]
    fn asks_for_enough_and_never_for_more_than_is_allowed() {
        const GIB: u64 = 1 << 30;
        let large = BlockSize::Large;
        let blocks = blocks_needed(&scanned(Some(GIB), 1), large, u64::MAX).unwrap().0;
        assert!((1100..1400).contains(&blocks), "{blocks}");
        assert_eq!(blocks_needed(&scanned(Some(GIB), 1), large, GIB + GIB / 16).unwrap(), BlockCount(1088));
        assert!(blocks_needed(&scanned(Some(0), 100_000), large, u64::MAX).unwrap().0 > 100);
        assert_eq!(blocks_needed(&scanned(None, 1), large, GIB).unwrap(), BlockCount(1024));
        let small = blocks_needed(&scanned(Some(10), 1), BlockSize::Small, u64::MAX).unwrap().0;
        assert!((17..32).contains(&small), "{small}");
    }

    #[test]
    fn what_cannot_fit_is_said_before_anything_is_announced() {
        let refused = blocks_needed(&scanned(Some(1 << 30), 1), BlockSize::Large, 1 << 29);
        let Err(Error::Refused { fault: Fault::QuotaExceeded, number: Some(limit), .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(limit, 1 << 29);
        for bytes in [None, Some(1)] {
            let refused = blocks_needed(&scanned(bytes, 1), BlockSize::Large, 1 << 20);
            assert!(matches!(refused, Err(Error::Refused { fault: Fault::StorageFull, .. })), "{refused:?}");
        }
    }
}
