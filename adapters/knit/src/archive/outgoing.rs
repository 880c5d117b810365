//! The body of an upload: compressed bytes, and their MD5 as a trailer.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use knit_schemas::api::CHECKSUM_TRAILER;
use md5::{Digest, Md5};
use tokio::sync::{mpsc, oneshot};

use super::pack::{self, Contents};
use super::{CHANNEL_PIECES, PIECE_BYTES};
use crate::output::Progress;

/// Level 1: on a local network the compressor is the bottleneck, and higher levels cost several times
/// the time for a few per cent.
const COMPRESSION: Compression = Compression::fast();

/// What the packing thread sends.
enum Piece {
    /// Bytes of the archive.
    Bytes(Bytes),
    /// The archive is complete; lower-case hex.
    Md5(String),
}

/// An upload in the making: the body to send, and the thread that fills it.
pub(crate) struct Outgoing {
    /// To be sent as the request's body.
    pub(crate) body: UploadBody,
    /// Tells how packing ended: the archive is complete, cannot be made, or is no longer wanted.
    pub(crate) packed: oneshot::Receiver<io::Result<()>>,
}

/// Starts to pack `root` on a thread. Nobody waits for the thread at the end of the program: it has
/// nothing to clean up, and it may be stuck on a connection that stands still.
pub(crate) fn start(root: PathBuf, contents: Contents, progress: Progress) -> Outgoing {
    let (sender, receiver) = mpsc::channel(CHANNEL_PIECES);
    let (outcome, packed) = oneshot::channel();
    std::thread::spawn(move || {
        let sink = HashingSink { sender, md5: Md5::new(), pending: Vec::with_capacity(PIECE_BYTES) };
        // That nobody wants to know any more is no error.
        let _ = outcome.send(fill(sink, &root, contents, &progress));
    });
    Outgoing { body: UploadBody { receiver, sent: Arc::default(), is_complete: false }, packed }
}

fn fill(sink: HashingSink, root: &Path, contents: Contents, progress: &Progress) -> io::Result<()> {
    pack::pack(root, contents, GzEncoder::new(sink, COMPRESSION), progress)?.finish()?.finish()
}

/// Collects bytes into pieces, hashes them, and hands them over; waits while the connection is slow.
struct HashingSink {
    sender: mpsc::Sender<Piece>,
    md5: Md5,
    pending: Vec<u8>,
}

impl HashingSink {
    fn hand_over(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.pending, Vec::with_capacity(PIECE_BYTES));
        self.md5.update(&piece);
        self.send(Piece::Bytes(piece.into()))
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        self.sender.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(mut self) -> io::Result<()> {
        self.hand_over()?;
        let md5 = hex::encode(std::mem::take(&mut self.md5).finalize());
        self.send(Piece::Md5(md5))
    }
}

impl Write for HashingSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PIECE_BYTES {
            self.hand_over()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The body as the HTTP library wants it. A body that ends without its MD5 is an error, so that an
/// archive that could not be completed never looks complete to the server.
pub(crate) struct UploadBody {
    receiver: mpsc::Receiver<Piece>,
    sent: Arc<AtomicBool>,
    is_complete: bool,
}

impl UploadBody {
    /// Tells, from outside, whether every byte was handed to the connection.
    pub(crate) fn sent(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.sent)
    }
}

impl http_body::Body for UploadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_complete {
            return Poll::Ready(None);
        }
        self.receiver.poll_recv(cx).map(|piece| match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::Md5(md5)) => {
                self.is_complete = true;
                self.sent.store(true, Ordering::Relaxed);
                Some(trailer(&md5))
            }
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_complete
    }
}

fn trailer(md5: &str) -> io::Result<Frame<Bytes>> {
    let value = HeaderValue::from_str(md5).map_err(io::Error::other)?;
    let mut trailers = HeaderMap::new();
    trailers.insert(HeaderName::from_static(CHECKSUM_TRAILER), value);
    Ok(Frame::trailers(trailers))
}
