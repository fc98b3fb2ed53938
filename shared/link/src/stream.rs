//! The two halves of a stream, whichever transport carries them.

use bytes::Bytes;
use handover_shared::fault::Fault;
use quinn::VarInt;

use crate::tcp;

/// The half that is written. Dropped before it is finished, it is cut short.
pub enum SendStream {
    /// Of a QUIC connection.
    Quic(quinn::SendStream),
    /// Of a TCP connection.
    Tcp(tcp::SendHalf),
}

/// The half that is read.
pub enum RecvStream {
    /// Of a QUIC connection.
    Quic(quinn::RecvStream),
    /// Of a TCP connection.
    Tcp(tcp::RecvHalf),
}

/// Why a connection is gone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Lost {
    /// QUIC says so.
    #[error(transparent)]
    Quic(#[from] quinn::ConnectionError),
    /// The TCP connection ended.
    #[error(transparent)]
    Tcp(#[from] tcp::Ended),
    /// This half of the stream was over already.
    #[error("the stream is over")]
    Over,
}

/// Why nothing can be written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The other end wants no more.
    #[error("the other end wants no more")]
    Stopped,
    /// The connection is gone.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Why nothing can be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The other end cut its half short, with this number.
    #[error("cut short with {0}")]
    Reset(u64),
    /// The connection is gone.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Why not as many bytes as wanted could be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadExactError {
    /// The half ended after so many bytes.
    #[error("ended after {0} bytes")]
    FinishedEarly(usize),
    /// It broke.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Lost {
    /// The fault with which the other end closed the connection, if it said one.
    pub fn fault(&self) -> Option<Fault> {
        let number = match self {
            Self::Quic(quinn::ConnectionError::ApplicationClosed(close)) => close.error_code.into_inner(),
            Self::Tcp(tcp::Ended::Told(number)) => u64::from(*number),
            _ => return None,
        };
        u16::try_from(number).ok().and_then(Fault::of_number)
    }
}

impl SendStream {
    /// Writes some of the bytes and says how many; dropped before, it has written none.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, WriteError> {
        match self {
            Self::Quic(half) => Ok(half.write(bytes).await?),
            Self::Tcp(half) => Ok(half.write(bytes).await?),
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        match self {
            Self::Quic(half) => Ok(half.write_all(bytes).await?),
            Self::Tcp(half) => Ok(half.write_chunk(Bytes::copy_from_slice(bytes)).await?),
        }
    }

    /// Writes all of it without copying.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write_chunk(&mut self, bytes: Bytes) -> Result<(), WriteError> {
        match self {
            Self::Quic(half) => Ok(half.write_chunk(bytes).await?),
            Self::Tcp(half) => Ok(half.write_chunk(bytes).await?),
        }
    }

    /// Ends this half; what was written still goes out. Nothing happens where it is over already: a relay that has
    /// answered reads no further.
    pub fn finish(&mut self) {
        match self {
            Self::Quic(half) => {
                if half.finish().is_err() {
                    tracing::trace!("the half was over already");
                }
            }
            Self::Tcp(half) => half.finish(),
        }
    }

    /// Cuts this half short with a fault's number [S11.4].
    pub fn reset(&mut self, number: u16) {
        match self {
            Self::Quic(half) => {
                if half.reset(VarInt::from_u32(number.into())).is_err() {
                    tracing::trace!("the half was over already");
                }
            }
            Self::Tcp(half) => half.reset(number),
        }
    }

    /// Waits until what was written has left: QUIC waits until the other end has confirmed it, TCP until the system
    /// has it.
    pub async fn delivered(&mut self) {
        match self {
            Self::Quic(half) => drop(half.stopped().await),
            Self::Tcp(half) => half.flushed().await,
        }
    }

    /// Completes when the other end wants no more, or is gone.
    pub fn unwanted(&self) -> impl Future<Output = ()> + Send + use<> {
        let unwanted: Result<_, _> = match self {
            Self::Quic(half) => Ok(half.stopped()),
            Self::Tcp(half) => Err(half.ended()),
        };
        async move {
            match unwanted {
                Ok(stopped) => drop(stopped.await),
                Err(ended) => drop(ended.await),
            }
        }
    }
}

impl RecvStream {
    /// The next bytes, at most so many; nothing behind the end.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_chunk(&mut self, bytes_max: usize) -> Result<Option<Bytes>, ReadError> {
        match self {
            Self::Quic(half) => Ok(half.read_chunk(bytes_max, true).await?.map(|chunk| chunk.bytes)),
            Self::Tcp(half) => half.read_chunk(bytes_max).await,
        }
    }

    /// Puts the next pieces there are into `pieces` and says how many; nothing behind the end.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_chunks(&mut self, pieces: &mut [Bytes]) -> Result<Option<usize>, ReadError> {
        match self {
            Self::Quic(half) => Ok(half.read_chunks(pieces).await?),
            Self::Tcp(half) => half.read_chunks(pieces).await,
        }
    }

    /// Fills a buffer.
    ///
    /// # Errors
    /// [`ReadExactError`]. What was read before is lost then, as it is when this is dropped.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ReadExactError> {
        match self {
            Self::Quic(half) => half.read_exact(buffer).await.map_err(ReadExactError::from),
            Self::Tcp(half) => half.read_exact(buffer).await,
        }
    }

    /// Wants no more, for the reason with this number.
    pub fn stop(&mut self, number: u16) {
        match self {
            Self::Quic(half) => {
                if half.stop(VarInt::from_u32(number.into())).is_err() {
                    tracing::trace!("the half was over already");
                }
            }
            Self::Tcp(half) => half.stop(),
        }
    }
}

impl From<quinn::WriteError> for WriteError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::Stopped(_) => Self::Stopped,
            quinn::WriteError::ConnectionLost(error) => Self::Lost(error.into()),
            quinn::WriteError::ClosedStream | quinn::WriteError::ZeroRttRejected => Self::Lost(Lost::Over),
        }
    }
}

impl From<tcp::Ended> for WriteError {
    fn from(ended: tcp::Ended) -> Self {
        Self::Lost(ended.into())
    }
}

impl From<quinn::ReadError> for ReadError {
    fn from(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::Reset(code) => Self::Reset(code.into_inner()),
            quinn::ReadError::ConnectionLost(error) => Self::Lost(error.into()),
            quinn::ReadError::ClosedStream
            | quinn::ReadError::IllegalOrderedRead
            | quinn::ReadError::ZeroRttRejected => Self::Lost(Lost::Over),
        }
    }
}

impl From<tcp::Ended> for ReadError {
    fn from(ended: tcp::Ended) -> Self {
        Self::Lost(ended.into())
    }
}

impl From<quinn::ReadExactError> for ReadExactError {
    fn from(error: quinn::ReadExactError) -> Self {
        match error {
            quinn::ReadExactError::FinishedEarly(bytes) => Self::FinishedEarly(bytes),
            quinn::ReadExactError::ReadError(error) => Self::Read(error.into()),
        }
    }
}
