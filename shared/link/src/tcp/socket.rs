//! The socket below TLS: how it is set, and reads of many records at once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What is read from the system at once, at first and at most.
const READ_BYTES_FIRST: usize = 4 * 1024;
const READ_BYTES_MAX: usize = 256 * 1024;
/// When the system asks an end from which nothing comes whether it is there; only for connections whose tasks do not
/// read just now, as the others notice it sooner.
const ASK_AFTER: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_secs(10);
const ASK_TIMES: u32 = 3;
/// What holds a long or lossy path where the system has it and lets us use it.
const CONGESTION: &str = "bbr";

/// Sets a socket as this protocol wants it. What the system does not grant costs speed and nothing else.
pub fn settle(socket: &TcpStream) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "small messages may wait");
    }
    let asked = sockopt::set_socket_keepalive(socket, true)
        .and_then(|()| sockopt::set_tcp_keepidle(socket, ASK_AFTER))
        .and_then(|()| sockopt::set_tcp_keepintvl(socket, ASK_EVERY))
        .and_then(|()| sockopt::set_tcp_keepcnt(socket, ASK_TIMES));
    if let Err(error) = asked {
        tracing::debug!(%error, "the system will not ask whether the other end is there");
    }
    if let Err(error) = sockopt::set_tcp_congestion(socket, CONGESTION) {
        tracing::trace!(%error, "the system's own congestion control stays");
    }
}

/// Reads much from the system at once where much comes: TLS asks for a quarter of a record at a time.
pub struct Buffered<S> {
    socket: S,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

impl<S> Buffered<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, buffer: Vec::new(), from: 0, to: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Buffered<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, target: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.from == this.to {
            // What filled the buffer the last time shows that a larger one pays.
            let length = match this.buffer.len() {
                0 => READ_BYTES_FIRST,
                length if this.to == length => (length * 4).min(READ_BYTES_MAX),
                length => length,
            };
            this.buffer.resize(length, 0);
            let mut buffer = ReadBuf::new(&mut this.buffer);
            ready!(Pin::new(&mut this.socket).poll_read(context, &mut buffer))?;
            (this.from, this.to) = (0, buffer.filled().len());
        }
        let length = target.remaining().min(this.to - this.from);
        target.put_slice(&this.buffer[this.from..this.from + length]);
        this.from += length;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Buffered<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}
