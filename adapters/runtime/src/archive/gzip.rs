//! Gzip on its way in: one or more members, and nothing behind the last.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::BadArchive;

/// Decompresses all members of a gzip stream. What is wrong with it comes out as an [`io::Error`] that
/// carries a [`BadArchive`]; errors of the source pass unchanged.
pub(super) struct Gunzip<R> {
    /// Absent only while a member is exchanged for the next.
    member: Option<GzDecoder<R>>,
    members_done: u64,
}

impl<R: BufRead> Gunzip<R> {
    pub(super) fn new(source: R) -> Self {
        Self { member: Some(GzDecoder::new(source)), members_done: 0 }
    }

    /// The error as the sender should hear it. `in_header` = the member's header never became complete.
    fn explain(&self, error: io::Error, in_header: bool) -> io::Error {
        let first = self.members_done == 0;
        let bad = match (error.kind(), in_header) {
            _ if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<super::body::BrokenOff>) => {
                return error;
            }
            (io::ErrorKind::UnexpectedEof, false) => BadArchive::TruncatedGzip,
            (io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData, false) => BadArchive::DamagedGzip,
            (io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData, true)
                if first =>
            {
                BadArchive::NotGzip
            }
            (io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData, true) => {
                BadArchive::TrailingGarbage
            }
            (_, _) => return error,
        };
        io::Error::other(bad)
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let member = self.member.as_mut().expect("a member is put back at once");
            match member.read(buffer) {
                Ok(0) if buffer.is_empty() => return Ok(0),
                Ok(0) => {}
                Ok(count) => return Ok(count),
                Err(error) => {
                    let in_header = member.header().is_none();
                    return Err(self.explain(error, in_header));
                }
            }
            if member.get_mut().fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.members_done += 1;
            self.member = self.member.take().map(|done| GzDecoder::new(done.into_inner()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn gunzip(stream: &[u8]) -> Result<Vec<u8>, BadArchive> {
        let mut content = Vec::new();
        // One byte at a time, as the slowest network gives it.
        let source = io::BufReader::with_capacity(1, stream);
        match Gunzip::new(source).read_to_end(&mut content) {
            Ok(_) => Ok(content),
            Err(error) => Err(error.downcast::<BadArchive>().unwrap()),
        }
    }

    #[test]
    fn members_are_joined() {
        assert_eq!(gunzip(&[gzip(b"one "), gzip(b""), gzip(b"two")].concat()).unwrap(), b"one two");
    }

    #[test]
    fn each_damage_has_its_name() {
        let whole = gzip(b"hello, hello, hello");
        let mut flipped = whole.clone();
        let last = flipped.len() - 5;
        flipped[last] ^= 1;
        assert_eq!(gunzip(b""), Err(BadArchive::NotGzip));
        assert_eq!(gunzip(b"plain text"), Err(BadArchive::NotGzip));
        assert_eq!(gunzip(&whole[..whole.len() - 1]), Err(BadArchive::TruncatedGzip));
        assert_eq!(gunzip(&whole[..whole.len() - 12]), Err(BadArchive::TruncatedGzip));
        assert_eq!(gunzip(&flipped), Err(BadArchive::DamagedGzip));
        assert_eq!(gunzip(&[&whole[..], b"x"].concat()), Err(BadArchive::TrailingGarbage));
        assert_eq!(gunzip(&[&whole[..], &[0; 512]].concat()), Err(BadArchive::TrailingGarbage));
    }
}
