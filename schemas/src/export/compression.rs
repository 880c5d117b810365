//! What is compressed, read as it was before.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

/// What gzip begins with. No export does: one of JSON begins with `{`, and the begin record of the other format is
/// longer than this would say.
const GZIP: u8 = 0x1f;
/// Bytes that are read at once.
const PIECE_BYTES: usize = 64 << 10;

/// The bytes of `input` as they were before they were compressed, if they are.
///
/// # Errors
/// When it cannot be read.
pub fn uncompressed<R: Read>(input: R) -> io::Result<Uncompressed<R>> {
    let mut input = BufReader::with_capacity(PIECE_BYTES, input);
    let is_gzip = input.fill_buf()?.first() == Some(&GZIP);
    Ok(if is_gzip { Uncompressed::Gzip(Box::new(MultiGzDecoder::new(input))) } else { Uncompressed::Plain(input) })
}

/// See [`uncompressed`].
#[derive(Debug)]
pub enum Uncompressed<R> {
    /// It was compressed with gzip.
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    /// It was not compressed.
    Plain(BufReader<R>),
}

impl<R: Read> Read for Uncompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(input) => input.read(buffer),
            Self::Plain(input) => input.read(buffer),
        }
    }
}

/// Whether it says that what is read is damaged, and not that it cannot be read.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof)
}
