//! Standard input in pieces, without being held up by somebody who writes slowly.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use handover_shared::limits::PIECE_BYTES;

use crate::error::Error;

/// Nothing more for so long, and what is there shall leave.
const IDLE: Duration = Duration::from_millis(200);
/// A block that leaves before it is full costs a whole one, so each such block waits twice as long as the one before.
const FLUSH_PAUSE_MAX: Duration = Duration::from_secs(30);
const READ_BYTES: usize = 128 * 1024;
const QUEUE_READS: usize = 16;

/// What has come.
pub enum Piece {
    /// A piece of [`PIECE_BYTES`], or the last one.
    Whole(Vec<u8>),
    /// Nothing more will come.
    End,
    /// Nothing came for a while: what is there shall leave.
    Idle,
    /// Nothing yet.
    NotYet,
}

/// Reads on a thread of its own: a read that nobody answers can only be left alone.
pub struct Stdin {
    reads: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    over: Ended,
    flushed: Option<Instant>,
    flush_pause: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    NotYet,
    Reached,
}

impl Stdin {
    /// Begins to read.
    ///
    /// # Errors
    /// [`Error::Disk`] if no thread can be started.
    pub fn begin(mut source: Box<dyn Read + Send>) -> Result<Self, Error> {
        let (send, reads) = sync_channel(QUEUE_READS);
        let read = move || {
            loop {
                let mut buffer = vec![0; READ_BYTES];
                let outcome = match source.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Ok(bytes) => {
                        buffer.truncate(bytes);
                        Ok(buffer)
                    }
                    Err(error) => Err(error),
                };
                let is_last = !matches!(&outcome, Ok(buffer) if !buffer.is_empty());
                if send.send(outcome).is_err() || is_last {
                    return;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("push-stdin".into()).spawn(read);
        spawned.map_err(|source| Error::disk("starting a thread", "push-stdin", source))?;
        let piece = Vec::with_capacity(PIECE_BYTES + READ_BYTES);
        Ok(Self { reads, piece, over: Ended::NotYet, flushed: None, flush_pause: IDLE })
    }

    /// What has come; waits a while.
    ///
    /// # Errors
    /// [`Error::Disk`] if reading fails.
    pub fn piece(&mut self) -> Result<Piece, Error> {
        while self.over == Ended::NotYet && self.piece.len() < PIECE_BYTES {
            match self.reads.recv_timeout(IDLE) {
                Ok(Ok(bytes)) if bytes.is_empty() => self.over = Ended::Reached,
                Ok(Ok(bytes)) => self.piece.extend_from_slice(&bytes),
                Ok(Err(source)) => return Err(Error::disk("reading standard input", "-", source)),
                Err(RecvTimeoutError::Timeout) => return Ok(self.idle()),
                Err(RecvTimeoutError::Disconnected) => self.over = Ended::Reached,
            }
        }
        if self.piece.is_empty() {
            return Ok(Piece::End);
        }
        let rest = self.piece.split_off(self.piece.len().min(PIECE_BYTES));
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES + READ_BYTES));
        self.piece.extend_from_slice(&rest);
        self.flushed.get_or_insert_with(Instant::now);
        Ok(Piece::Whole(piece))
    }

    /// Whether it is time to let go of what is there.
    fn idle(&mut self) -> Piece {
        match self.flushed.take() {
            // Nothing has come since.
            None => Piece::NotYet,
            Some(since) if since.elapsed() < self.flush_pause => {
                self.flushed = Some(since);
                Piece::NotYet
            }
            Some(_) => {
                self.flush_pause = (self.flush_pause * 2).min(FLUSH_PAUSE_MAX);
                Piece::Idle
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(source: Box<dyn Read + Send>) -> Vec<usize> {
        let mut stdin = Stdin::begin(source).unwrap();
        let mut lengths = Vec::new();
        loop {
            match stdin.piece().unwrap() {
                Piece::Whole(piece) => lengths.push(piece.len()),
                Piece::End => return lengths,
                Piece::Idle | Piece::NotYet => {}
            }
        }
    }

    #[test] // [S6.3]
    fn comes_in_whole_pieces_and_a_last_one() {
        for (bytes, expected) in [
            (0, vec![]),
            (1, vec![1]),
            (PIECE_BYTES, vec![PIECE_BYTES]),
            (2 * PIECE_BYTES + 5, vec![PIECE_BYTES, PIECE_BYTES, 5]),
        ] {
            assert_eq!(pieces(Box::new(io::Cursor::new(vec![7; bytes]))), expected, "{bytes}");
        }
    }

    #[test]
    fn a_writer_who_pauses_lets_what_is_whole_leave() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut stdin = Stdin::begin(Box::new(reader)).unwrap();
        io::Write::write_all(&mut writer, &vec![1; PIECE_BYTES]).unwrap();
        assert!(matches!(stdin.piece().unwrap(), Piece::Whole(piece) if piece.len() == PIECE_BYTES));
        let mut seen = stdin.piece().unwrap();
        while matches!(seen, Piece::NotYet) {
            seen = stdin.piece().unwrap();
        }
        assert!(matches!(seen, Piece::Idle));
        assert!(matches!(stdin.piece().unwrap(), Piece::NotYet), "nothing has come since");
        drop(writer);
        assert!(matches!(stdin.piece().unwrap(), Piece::End));
    }

    #[test]
    fn a_source_that_fails_is_an_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from(io::ErrorKind::BrokenPipe))
            }
        }
        assert!(matches!(Stdin::begin(Box::new(Broken)).unwrap().piece(), Err(Error::Disk { .. })));
    }
}
