//! A single file, poured out as it comes.

use std::io::{self, Write};
use std::sync::Arc;

use handover_shared::archive::inventory::InventoryBuilder;
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
    inventory: InventoryBuilder,
}

impl Pour {
    /// Pours into this.
    pub fn new(out: Box<dyn Write + Send>, observer: Arc<dyn Observer>, inventory: InventoryBuilder) -> Self {
        Self { out, observer, files: 0, inventory }
    }

    /// Takes the next event of the archive.
    ///
    /// # Errors
    /// [`Error::NotOneFile`], [`Error::CannotTakeBack`], [`Error::Disk`].
    pub fn take(&mut self, event: ReaderEvent<'_>) -> Result<(), Error> {
        match event {
            ReaderEvent::FileBegin(_) if self.files > 0 => Err(Error::NotOneFile),
            ReaderEvent::Data { bytes, .. } => self.out.write_all(bytes).map_err(unwritable),
            ReaderEvent::FileEnd(record) => {
                self.files += 1;
                self.inventory.add(&record);
                Ok(())
            }
            ReaderEvent::FileVoid(_) => Err(Error::CannotTakeBack),
            ReaderEvent::Link(_) => Err(Error::NotOneFile),
            ReaderEvent::Exception(record) => {
                self.inventory.add(&record);
                let path = Private::new(record.path.as_bytes().to_vec());
                let reason = record.reason.map_or(ExceptionReason::ReadError, reason_of);
                self.observer.event(Event::Exception { path, reason });
                Ok(())
            }
            ReaderEvent::Folder(record) => {
                self.inventory.add(&record);
                Ok(())
            }
            ReaderEvent::FileBegin(_) | ReaderEvent::Page(_) => Ok(()),
        }
    }

    /// Hands the rest over; gives what can be named of it.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn finish(mut self) -> Result<String, Error> {
        self.out.flush().map_err(unwritable)?;
        Ok(self.inventory.finish())
    }
}

fn unwritable(source: io::Error) -> Error {
    Error::disk("writing to standard output", "-", source)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use handover_shared::archive::inventory::InventorySalt;
    use handover_shared::archive::item::{Entry, EntryKind, Exception, Mtime, Reason};
    use handover_shared::archive::manifest::Record;
    use handover_shared::archive::path::EntryPath;
    use handover_shared::ids::{ContentHash, TransferId};

    use super::*;
    use crate::pull::tests::kit::Watcher;

    #[derive(Clone, Default)]
    struct Sheet(Arc<Mutex<Vec<u8>>>);

    impl Write for Sheet {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn inventory() -> InventoryBuilder {
        InventoryBuilder::new(TransferId([1; 16]), InventorySalt([2; 16]))
    }

    fn path(name: &str) -> EntryPath {
        EntryPath::parse(name.as_bytes()).unwrap()
    }

    fn entry(name: &str) -> Entry {
        let mtime = Mtime { seconds: 0, nanos: 0 };
        Entry { path: path(name), kind: EntryKind::File, mode: 0o600, mtime, size: None, target: None }
    }

    fn whole(name: &str) -> ReaderEvent<'static> {
        ReaderEvent::FileEnd(Record::of_file(entry(name), 4, ContentHash([0; 32])))
    }

    #[test]
    fn one_file_comes_out_as_it_is_and_a_second_does_not() {
        let sheet = Sheet::default();
        let mut pour = Pour::new(Box::new(sheet.clone()), Watcher::new(), inventory());
        pour.take(ReaderEvent::FileBegin(entry("a"))).unwrap();
        pour.take(ReaderEvent::Data { offset: 0, bytes: b"12" }).unwrap();
        pour.take(ReaderEvent::Data { offset: 2, bytes: b"\n3" }).unwrap();
        pour.take(whole("a")).unwrap();
        assert!(matches!(pour.take(ReaderEvent::FileBegin(entry("b"))), Err(Error::NotOneFile)));
        let inventory = pour.finish().unwrap(); // [S9.6]
        assert!(inventory.contains("{\"path\":\"a\",\"kind\":\"file\",\"bytes\":4"), "{inventory}");
        assert_eq!(*sheet.0.lock().unwrap(), b"12\n3");
    }

    #[test]
    fn what_is_out_cannot_be_taken_back() {
        let mut pour = Pour::new(Box::new(Sheet::default()), Watcher::new(), inventory());
        pour.take(ReaderEvent::FileBegin(entry("a"))).unwrap();
        assert!(matches!(pour.take(ReaderEvent::FileVoid(path("a"))), Err(Error::CannotTakeBack)));
    }

    #[test]
    fn exceptions_are_told_with_their_reason() {
        let watcher = Watcher::new();
        let mut pour = Pour::new(Box::new(Sheet::default()), watcher.clone(), inventory());
        let record = Record::of_exception(Exception { path: path("gone"), reason: Reason::KeptChanging });
        pour.take(ReaderEvent::Exception(record)).unwrap();
        assert_eq!(watcher.exceptions(), [("gone".into(), ExceptionReason::KeptChanging)]);
    }
}
