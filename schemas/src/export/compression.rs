//! What is compressed, read as it was before.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read};

use flate2::{Decompress, FlushDecompress, Status};

/// What gzip begins with. No export does: one of JSON begins with `{`, and the begin record of the other format is
/// longer than this would say.
const GZIP: u8 = 0x1f;
/// Bytes that are read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Bits of the window that deflate looks back into, at most; every writer of gzip may use them all.
const WINDOW_BITS: u8 = 15;

/// The bytes of `input` as they were before they were compressed, if they are.
///
/// # Errors
/// When it cannot be read.
pub fn uncompressed<R: Read>(input: R) -> io::Result<Uncompressed<R>> {
    let mut input = BufReader::with_capacity(PIECE_BYTES, input);
    let is_gzip = input.fill_buf()?.first() == Some(&GZIP);
    Ok(if is_gzip { Uncompressed::Gzip(Gzip::of(input)) } else { Uncompressed::Plain(input) })
}

/// See [`uncompressed`].
#[derive(Debug)]
pub enum Uncompressed<R> {
    /// It was compressed with gzip.
    Gzip(Gzip<R>),
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

/// What was compressed with gzip, in one member or several, and told up to the very byte at which it is damaged: the
/// position that is named to people depends on it. The readers of `flate2` drop what they had made before an error.
#[derive(Debug)]
pub struct Gzip<R> {
    input: BufReader<R>,
    member: Decompress,
    /// A member is over, and another may begin.
    is_between: bool,
}

impl<R: Read> Gzip<R> {
    fn of(input: BufReader<R>) -> Self {
        Self { input, member: Decompress::new_gzip(WINDOW_BITS), is_between: false }
    }

    /// What comes next of the member; nothing where it is over, or wants to be asked again.
    fn go_on(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let coming = self.input.fill_buf()?;
        let is_cut_off = coming.is_empty();
        let before = (self.member.total_in(), self.member.total_out());
        let found = self.member.decompress(coming, buffer, FlushDecompress::None);
        let [consumed, made] = [self.member.total_in() - before.0, self.member.total_out() - before.1]
            .map(|bytes| usize::try_from(bytes).expect("no more than what is in memory"));
        self.input.consume(consumed);
        match found {
            // Asked again, it says the same.
            Err(_) if made > 0 => Ok(made),
            Err(_) => Err(io::Error::new(ErrorKind::InvalidData, "its compression is damaged")),
            Ok(Status::StreamEnd) => {
                self.is_between = true;
                Ok(made)
            }
            Ok(Status::Ok | Status::BufError) if made == 0 && is_cut_off => {
                Err(io::Error::new(ErrorKind::UnexpectedEof, "it is compressed, and cut off"))
            }
            Ok(Status::Ok | Status::BufError) => Ok(made),
        }
    }
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if buffer.is_empty() || (self.is_between && self.input.fill_buf()?.is_empty()) {
                return Ok(0);
            }
            if std::mem::take(&mut self.is_between) {
                self.member = Decompress::new_gzip(WINDOW_BITS);
            }
            let made = self.go_on(buffer)?;
            if made > 0 {
                return Ok(made);
            }
        }
    }
}

/// Whether it says that what is read is damaged, and not that it cannot be read.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof)
}
