//! The two halves of the stream that a TCP connection carries just now.

use std::sync::Arc;

use bytes::Bytes;
use handover_shared::limits::RECORD_BYTES_MAX;
use handover_shared::protocol::record::Record;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{Ended, Life};
use crate::stream::{ReadError, ReadExactError};

/// Bytes that wait to be written.
const WAITING_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;

/// The half that is written. Dropped before it has ended, it closes the connection behind what was written.
pub struct SendHalf(OwnedMutexGuard<Outbox>);

/// The half that is read.
pub struct RecvHalf {
    inbox: OwnedMutexGuard<Inbox>,
    rest: Rest,
}

/// What becomes of what nobody has read when the reading half is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It is not taken, and the connection is closed.
    Abandoned,
    /// [`super::Connection::settle`] takes it.
    Settled,
}

/// Where a half is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    /// The last stream has ended, and the next has not begun.
    Between,
    /// A stream is under way.
    Open,
    /// Nothing more comes of this connection.
    Closed,
}

/// What came and was not read.
pub(super) struct Inbox {
    pieces: mpsc::UnboundedReceiver<Piece>,
    rest: Bytes,
    half: Half,
    /// The number of a reset that was found and not told.
    cut: Option<u16>,
    life: Arc<Life>,
}

/// What the reading task hands on.
pub(super) enum Piece {
    /// Bytes of the stream, and the room they take until they are read.
    Data(Bytes, OwnedSemaphorePermit),
    /// The half has ended.
    End,
    /// It was cut short.
    Reset(u16),
}

/// Where the reading task puts what it takes.
pub(super) struct Taking {
    pub(super) pieces: mpsc::UnboundedSender<Piece>,
    pub(super) room: Arc<Semaphore>,
}

/// What is to be written.
pub(super) struct Outbox {
    orders: Option<mpsc::UnboundedSender<Order>>,
    room: Arc<Semaphore>,
    half: Half,
    life: Arc<Life>,
}

/// What the writing task is to do.
pub(super) enum Order {
    /// Bytes of the stream, at most a record of them, and the room they take until they are written.
    Data(Bytes, OwnedSemaphorePermit),
    /// A record without bytes.
    Bare(Record),
    /// To say when everything before this is written.
    Tell(oneshot::Sender<()>),
}

/// Where the writing task finds what it is to do.
pub(super) struct Giving {
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) room: Arc<Semaphore>,
}

impl Inbox {
    pub(super) fn new(life: Arc<Life>, room: Arc<Semaphore>) -> (Self, Taking) {
        let (sender, pieces) = mpsc::unbounded_channel();
        (Self { pieces, rest: Bytes::new(), half: Half::Between, cut: None, life }, Taking { pieces: sender, room })
    }

    pub(super) fn is_between(&self) -> bool {
        self.half == Half::Between
    }

    /// Waits for the first bytes of a stream.
    pub(super) async fn begun(&mut self) -> Result<(), Ended> {
        if !self.rest.is_empty() {
            return Ok(());
        }
        match self.pieces.recv().await {
            Some(Piece::Data(bytes, _room)) => {
                self.rest = bytes;
                Ok(())
            }
            // Nobody begins a stream by ending it.
            Some(Piece::End) => Err(Ended::Closed),
            Some(Piece::Reset(number)) => Err(Ended::Told(number)),
            None => Err(self.life.how()),
        }
    }

    /// The next bytes; nothing behind the end.
    async fn fill(&mut self) -> Result<bool, ReadError> {
        while self.rest.is_empty() {
            if self.half != Half::Open {
                return Ok(false);
            }
            let next = match self.cut.take() {
                Some(number) => Some(Piece::Reset(number)),
                None => self.pieces.recv().await,
            };
            match next {
                Some(piece) => self.take(piece)?,
                None => {
                    self.half = Half::Closed;
                    return Err(self.life.how().into());
                }
            }
        }
        Ok(true)
    }

    /// The next bytes, if they are here. An end that is here is taken; a reset waits to be told by the next read.
    fn fill_now(&mut self) -> bool {
        while self.rest.is_empty() && self.half == Half::Open && self.cut.is_none() {
            match self.pieces.try_recv() {
                Ok(Piece::Reset(number)) => self.cut = Some(number),
                Ok(Piece::Data(bytes, _room)) => self.rest = bytes,
                Ok(Piece::End) => self.half = Half::Between,
                Err(_nothing) => return false,
            }
        }
        !self.rest.is_empty()
    }

    fn take(&mut self, piece: Piece) -> Result<(), ReadError> {
        match piece {
            Piece::Data(bytes, _room) => self.rest = bytes,
            Piece::End => self.half = Half::Between,
            Piece::Reset(number) => {
                self.half = Half::Closed;
                return Err(ReadError::Reset(number.into()));
            }
        }
        Ok(())
    }

    /// Takes what still comes of the stream under way, and forgets it; whether the half has ended.
    pub(super) async fn forget(&mut self, bytes_max: usize) -> bool {
        let mut left = bytes_max;
        loop {
            match left.checked_sub(self.rest.len()) {
                Some(fewer) => left = fewer,
                None => return false,
            }
            self.rest = Bytes::new();
            match self.fill().await {
                Ok(true) => {}
                Ok(false) => return self.half == Half::Between,
                Err(_broken) => return false,
            }
        }
    }

    fn abandon(&mut self) {
        self.half = Half::Closed;
        self.rest = Bytes::new();
        self.pieces.close();
    }
}

impl Outbox {
    pub(super) fn new(life: Arc<Life>) -> (Self, Giving) {
        let (sender, orders) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        (Self { orders: Some(sender), room: room.clone(), half: Half::Between, life }, Giving { orders, room })
    }

    pub(super) fn is_between(&self) -> bool {
        self.half == Half::Between
    }

    /// Waits until everything is written, or nothing can be any more.
    pub(super) async fn flushed(&mut self) {
        let (tell, told) = oneshot::channel();
        if self.order(Order::Tell(tell)).is_ok() {
            drop(told.await);
        }
    }

    /// Says why there is no more of it.
    pub(super) fn tell(&mut self, number: u16) {
        self.half = Half::Closed;
        drop(self.order(Order::Bare(Record::Reset(number))));
    }

    /// Closes the connection behind what was written.
    pub(super) fn shut(&mut self) {
        self.half = Half::Closed;
        self.orders = None;
    }

    fn order(&self, order: Order) -> Result<(), Ended> {
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok());
        if sent { Ok(()) } else { Err(self.life.how()) }
    }

    async fn write_record(&mut self, bytes: Bytes) -> Result<(), Ended> {
        if self.half != Half::Open {
            return Err(Ended::Dropped);
        }
        // A record is at most as long as the room.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().acquire_many_owned(length).await else { return Err(self.life.how()) };
        self.order(Order::Data(bytes, room))
    }
}

impl SendHalf {
    pub(super) fn begin(mut outbox: OwnedMutexGuard<Outbox>) -> Self {
        outbox.half = Half::Open;
        Self(outbox)
    }

    /// Writes some of the bytes and says how many; dropped before, it has written none.
    ///
    /// # Errors
    /// How the connection ended.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, Ended> {
        let some = bytes.len().min(RECORD_BYTES_MAX);
        if some > 0 {
            self.0.write_record(Bytes::copy_from_slice(&bytes[..some])).await?;
        }
        Ok(some)
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// How the connection ended.
    pub async fn write_chunk(&mut self, mut bytes: Bytes) -> Result<(), Ended> {
        while !bytes.is_empty() {
            self.0.write_record(bytes.split_to(bytes.len().min(RECORD_BYTES_MAX))).await?;
        }
        Ok(())
    }

    /// Ends this half.
    pub fn finish(&mut self) {
        if self.0.half == Half::Open && self.0.order(Order::Bare(Record::End)).is_ok() {
            self.0.half = Half::Between;
        }
    }

    /// Cuts this half short, and with it the connection.
    pub fn reset(&mut self, number: u16) {
        if self.0.half == Half::Open {
            self.0.tell(number);
        }
    }

    /// Waits until everything is written, or nothing can be any more.
    pub async fn flushed(&mut self) {
        self.0.flushed().await;
    }

    /// Completes when the connection has ended.
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + use<> {
        self.0.life.over()
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if self.0.half == Half::Open {
            self.0.shut();
        }
    }
}

impl RecvHalf {
    pub(super) fn begin(mut inbox: OwnedMutexGuard<Inbox>, rest: Rest) -> Self {
        inbox.half = Half::Open;
        Self { inbox, rest }
    }

    /// The next bytes, at most so many; nothing behind the end.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_chunk(&mut self, bytes_max: usize) -> Result<Option<Bytes>, ReadError> {
        if !self.inbox.fill().await? {
            return Ok(None);
        }
        let length = self.inbox.rest.len().min(bytes_max);
        Ok(Some(self.inbox.rest.split_to(length)))
    }

    /// Puts the next pieces there are into `pieces` and says how many; nothing behind the end.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_chunks(&mut self, pieces: &mut [Bytes]) -> Result<Option<usize>, ReadError> {
        if !self.inbox.fill().await? {
            return Ok(None);
        }
        let mut count = 0;
        for place in pieces {
            if self.inbox.rest.is_empty() && !self.inbox.fill_now() {
                break;
            }
            *place = std::mem::take(&mut self.inbox.rest);
            count += 1;
        }
        Ok(Some(count))
    }

    /// Fills a buffer.
    ///
    /// # Errors
    /// [`ReadExactError`]. What was read before is lost then, as it is when this is dropped.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ReadExactError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_chunk(buffer.len() - filled).await? {
                Some(bytes) => {
                    buffer[filled..filled + bytes.len()].copy_from_slice(&bytes);
                    filled += bytes.len();
                }
                None => return Err(ReadExactError::FinishedEarly(filled)),
            }
        }
        Ok(())
    }

    /// Wants no more.
    pub fn stop(&mut self) {
        if self.rest == Rest::Abandoned && self.inbox.half == Half::Open {
            self.inbox.abandon();
        }
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        self.stop();
    }
}
