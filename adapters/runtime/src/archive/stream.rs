//! The asynchronous side of receiving: the body goes in, an unpacked tree comes out.

use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;

use futures::StreamExt;
use md5::{Digest, Md5};
use tokio::sync::mpsc;

use super::body::{BodyReader, BrokenOff, PIECES_MAX, Piece};
use super::gzip::Gunzip;
use super::unpack::unpack;
use super::{BadArchive, Limits};
use crate::port::{ArchiveBody, Fault, ReceiveError, Received};

/// Decompressed bytes between gzip and tar: large enough that a file is written in few calls.
const UNPACKED_BUFFER_BYTES: usize = 256 * 1024;

/// Unpacks `body` into a directory that `make` makes. `make` also returns a guard that removes the
/// directory when it is dropped: it lives on the unpacking thread, so that a request which is dropped
/// half-way leaves nothing behind either.
pub(crate) async fn receive_into<G: Send + 'static>(
    body: ArchiveBody,
    limits: Limits,
    make: impl FnOnce() -> Result<(G, OwnedFd), ReceiveError> + Send + 'static,
) -> Result<(G, Received), ReceiveError> {
    let (pieces, received) = mpsc::channel(PIECES_MAX);
    let unpacking = tokio::task::spawn_blocking(move || {
        let (guard, root) = make()?;
        let (entries, content_bytes) = unpack_gzip(BodyReader::new(received), root, &limits)?;
        Ok::<_, ReceiveError>((guard, entries, content_bytes))
    });
    let md5 = feed(body, &pieces).await;
    drop(pieces);
    let (guard, entries, content_bytes) =
        unpacking.await.map_err(|e| Fault::new("unpack the archive", io::Error::from(e)))??;
    Ok((guard, Received { md5, entries, content_bytes }))
}

/// Unpacks a whole archive into the empty directory `root`; answers the entries it names and the bytes of
/// their content.
///
/// # Errors
/// The archive is refused, its source broke off, or a fault. What was unpacked by then stays in `root`.
pub fn unpack_gzip(archive: impl BufRead, root: OwnedFd, limits: &Limits) -> Result<(u64, u64), ReceiveError> {
    let source = BufReader::with_capacity(UNPACKED_BUFFER_BYTES, Gunzip::new(archive));
    unpack(source, root, limits).map_err(explain)
}

/// Hands the body over piece by piece; the checksum is computed here, beside the unpacking. Ends early
/// when the other side has: it knows why.
async fn feed(mut body: ArchiveBody, pieces: &mpsc::Sender<Piece>) -> String {
    let mut md5 = Md5::new();
    let mut ended = false;
    while !ended {
        let piece = match body.next().await {
            Some(Ok(bytes)) => {
                md5.update(&bytes);
                Piece::Bytes(bytes)
            }
            Some(Err(source)) => Piece::Broken(BrokenOff(source)),
            None => Piece::End,
        };
        ended = !matches!(piece, Piece::Bytes(_)) || pieces.is_closed();
        ended |= pieces.send(piece).await.is_err();
    }
    hex::encode(md5.finalize())
}

/// Sorts an error of the reading chain into its family.
fn explain(error: io::Error) -> ReceiveError {
    let error = match error.downcast::<BadArchive>() {
        Ok(bad) => return ReceiveError::Refused(bad),
        Err(error) => error,
    };
    match error.downcast::<BrokenOff>() {
        Ok(BrokenOff(source)) => ReceiveError::BrokenOff(source),
        Err(error) => ReceiveError::Fault(Fault::new("unpack the archive", error)),
    }
}
