//! A single file, poured out as it comes.

use std::io::{self, Write};
use std::sync::Arc;

use handover_shared::archive::reader::Event as ReaderEvent;

use super::place::reason_of;
use crate::error::Error;
use crate::event::{Event, ExceptionReason, Observer};
use crate::private::Private;

/// Writes the one file of a transfer to a stream that cannot be taken back.
pub(super) struct Pour {
    out: Box<dyn Write + Send>,
    observer: Arc<dyn Observer>,
    files: u64,
}

impl Pour {
    /// Pours into this.
    pub fn new(out: Box<dyn Write + Send>, observer: Arc<dyn Observer>) -> Self {
        Self { out, observer, files: 0 }
    }

    /// Takes the next event of the archive.
    ///
    /// # Errors
    /// [`Error::NotOneFile`], [`Error::CannotTakeBack`], [`Error::Disk`].
    pub fn take(&mut self, event: ReaderEvent<'_>) -> Result<(), Error> {
        match event {
            ReaderEvent::FileBegin(_) if self.files > 0 => Err(Error::NotOneFile),
            ReaderEvent::Data { bytes, .. } => self.out.write_all(bytes).map_err(unwritable),
            ReaderEvent::FileEnd(_) => {
                self.files += 1;
                Ok(())
            }
            ReaderEvent::FileVoid(_) => Err(Error::CannotTakeBack),
            ReaderEvent::Link(_) => Err(Error::NotOneFile),
            ReaderEvent::Exception(record) => {
                let path = Private::new(record.path.as_bytes().to_vec());
                let reason = record.reason.map_or(ExceptionReason::ReadError, reason_of);
                self.observer.event(Event::Exception { path, reason });
                Ok(())
            }
            ReaderEvent::FileBegin(_) | ReaderEvent::Folder(_) | ReaderEvent::Page(_) => Ok(()),
        }
    }

    /// Hands the rest over.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn finish(mut self) -> Result<(), Error> {
        self.out.flush().map_err(unwritable)
    }
}

fn unwritable(source: io::Error) -> Error {
    Error::disk("writing to standard output", "-", source)
}
