//! The body of an upload, handed from the asynchronous side to the thread that unpacks.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

/// Pieces of a body between the network and the unpacking thread. Each is a network read (some tens of
/// KiB), so this is well below a MiB; more would only hide a slow disk from the sender.
pub(super) const PIECES_MAX: usize = 16;

/// The sender is gone, or the request was dropped.
#[derive(Debug, thiserror::Error)]
#[error("the sender is gone")]
pub(super) struct BrokenOff(#[source] pub(super) Box<dyn std::error::Error + Send + Sync>);

/// A piece on its way.
pub(super) enum Piece {
    /// The next bytes.
    Bytes(Bytes),
    /// The body is complete. Without it a closed channel means that the request was dropped.
    End,
    /// The body broke off.
    Broken(BrokenOff),
}

/// The body as the unpacking thread reads it.
pub(super) struct BodyReader {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

impl BodyReader {
    pub(super) fn new(pieces: mpsc::Receiver<Piece>) -> Self {
        Self { pieces, current: Bytes::new(), ended: false }
    }
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.current = bytes,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Broken(broken)) => return Err(io::Error::other(broken)),
                None => return Err(io::Error::other(BrokenOff("the request was dropped".into()))),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current.advance(count);
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
