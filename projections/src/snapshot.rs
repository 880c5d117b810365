//! How snapshots are framed: records in compressed chunks, each bounded, their order checked.
//!
//! A snapshot is a list of chunks. A chunk is one zstd frame with a checksum. Inside it are five
//! bytes that tell its place (ordinal, little-endian, then 1 if it is the last and else 0), and then
//! whole records, each a protobuf message behind its length. The first record is the [`Header`].
//! A snapshot can be damaged in any way without harm: it is refused, and the log is folded instead.

use std::io::Read as _;

use knit_domain::event::Position;
use prost::Message;

pub use knit_schemas::proto::snapshot::Header;

/// A chunk is closed when it holds this much before compression: small enough for a database row
/// after compression, large enough to compress well.
pub const CHUNK_BYTES: usize = 1 << 20;
/// A chunk that grows beyond this when decompressed is refused, so that a damaged one cannot exhaust
/// the memory. It is above [`CHUNK_BYTES`] because a record is never split, and a Plan may carry
/// several tags of a million characters.
pub const CHUNK_BYTES_MAX: usize = 64 << 20;
/// zstd's own default: higher levels cost more time than folding again would.
const COMPRESSION_LEVEL: i32 = 3;
/// Ordinal and last-flag in front of the records of a chunk.
const PLACE_BYTES: usize = 5;

/// A snapshot that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DamagedSnapshot {
    /// The bytes are not what was written.
    #[error("chunk {ordinal} of the snapshot does not decompress: {reason}")]
    Garbled {
        /// Which chunk, from 0.
        ordinal: usize,
        /// What the decompressor said.
        reason: String,
    },
    /// The chunk would fill the memory.
    #[error("chunk {ordinal} of the snapshot decompresses to more than {CHUNK_BYTES_MAX} bytes")]
    TooLarge {
        /// Which chunk, from 0.
        ordinal: usize,
    },
    /// A chunk is missing, doubled or in another's place.
    #[error("chunk {ordinal} of the snapshot is missing or out of place")]
    OutOfPlace {
        /// Which chunk, from 0.
        ordinal: usize,
    },
    /// A record is not the message it should be.
    #[error("a record in chunk {ordinal} of the snapshot does not decode: {reason}")]
    Undecodable {
        /// Which chunk, from 0.
        ordinal: usize,
        /// What the decoder said.
        reason: String,
    },
    /// It is the snapshot of something else.
    #[error("the snapshot is of `{name}` revision {revision}")]
    Foreign {
        /// Whose it is.
        name: String,
        /// Of which revision.
        revision: u32,
    },
    /// The records contradict each other.
    #[error("the snapshot contradicts itself: {reason}")]
    Contradiction {
        /// How.
        reason: String,
    },
}

impl DamagedSnapshot {
    /// The records contradict each other.
    #[must_use]
    pub fn contradiction(reason: impl Into<String>) -> Self {
        Self::Contradiction { reason: reason.into() }
    }
}

/// Collects records into chunks.
#[derive(Debug)]
pub struct Writer {
    plain: Vec<u8>,
    chunks: Vec<Vec<u8>>,
}

impl Writer {
    /// Begins a snapshot.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        let mut writer = Self { plain: vec![0; PLACE_BYTES], chunks: Vec::new() };
        writer.put(header);
        writer
    }

    /// Adds a record.
    pub fn put(&mut self, record: &impl Message) {
        record.encode_length_delimited(&mut self.plain).expect("a Vec grows to any length that is needed");
        if self.plain.len() >= CHUNK_BYTES {
            self.close_chunk(false);
        }
    }

    /// Ends the snapshot and gives its chunks, in order.
    #[must_use]
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        self.close_chunk(true);
        self.chunks
    }

    fn close_chunk(&mut self, last: bool) {
        let ordinal = u32::try_from(self.chunks.len()).expect("four billion chunks are not held in memory");
        self.plain[..4].copy_from_slice(&ordinal.to_le_bytes());
        self.plain[4] = u8::from(last);
        self.chunks.push(compress(&self.plain));
        self.plain.truncate(PLACE_BYTES);
    }
}

fn compress(plain: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(COMPRESSION_LEVEL).expect("the level is one of zstd's");
    compressor.include_checksum(true).expect("every zstd has checksums");
    compressor.compress(plain).expect("the output is sized for the worst case")
}

/// Reads the records of a snapshot back.
#[derive(Debug)]
pub struct Reader<'a> {
    chunks: &'a [Vec<u8>],
    header: Header,
    /// Chunks decompressed so far; the current one is the last of them.
    opened: usize,
    plain: Vec<u8>,
    offset: usize,
    last_seen: bool,
}

impl<'a> Reader<'a> {
    /// Opens the snapshot of the projection `name` of `revision`.
    ///
    /// # Errors
    /// [`DamagedSnapshot`] if the first chunk cannot be read or is something else's.
    pub fn open(chunks: &'a [Vec<u8>], name: &str, revision: u32) -> Result<Self, DamagedSnapshot> {
        let mut reader =
            Self { chunks, header: Header::default(), opened: 0, plain: Vec::new(), offset: 0, last_seen: false };
        reader.header = reader.next_record()?.ok_or(DamagedSnapshot::OutOfPlace { ordinal: 0 })?;
        if reader.header.name != name || reader.header.revision != revision {
            return Err(DamagedSnapshot::Foreign {
                name: reader.header.name.clone(),
                revision: reader.header.revision,
            });
        }
        Ok(reader)
    }

    /// Position of the last event that is in the snapshot.
    #[must_use]
    pub fn position(&self) -> Position {
        self.header.position
    }

    /// The remaining records, all of one kind of message; ends after the first error.
    pub fn records<M: Message + Default>(&mut self) -> impl Iterator<Item = Result<M, DamagedSnapshot>> {
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let record = self.next_record().transpose();
            failed = matches!(record, Some(Err(_)));
            record
        })
    }

    /// Checks that nothing is left over.
    ///
    /// # Errors
    /// [`DamagedSnapshot`] if there are more records, or the end is missing.
    pub fn check_read_to_the_end(&self) -> Result<(), DamagedSnapshot> {
        if self.offset < self.plain.len() || self.opened < self.chunks.len() || !self.last_seen {
            return Err(DamagedSnapshot::OutOfPlace { ordinal: self.opened });
        }
        Ok(())
    }

    fn next_record<M: Message + Default>(&mut self) -> Result<Option<M>, DamagedSnapshot> {
        while self.offset >= self.plain.len() {
            if !self.open_next_chunk()? {
                return Ok(None);
            }
        }
        let mut rest = &self.plain[self.offset..];
        let record = M::decode_length_delimited(&mut rest)
            .map_err(|error| DamagedSnapshot::Undecodable { ordinal: self.opened - 1, reason: error.to_string() })?;
        self.offset = self.plain.len() - rest.len();
        Ok(Some(record))
    }

    /// False at the end, which is only where the writer has put it.
    fn open_next_chunk(&mut self) -> Result<bool, DamagedSnapshot> {
        let ordinal = self.opened;
        let Some(chunk) = self.chunks.get(ordinal) else {
            return if self.last_seen { Ok(false) } else { Err(DamagedSnapshot::OutOfPlace { ordinal }) };
        };
        self.plain = decompress(ordinal, chunk)?;
        let place = self.plain.get(..PLACE_BYTES).ok_or(DamagedSnapshot::OutOfPlace { ordinal })?;
        let found = u32::from_le_bytes([place[0], place[1], place[2], place[3]]);
        if self.last_seen || u32::try_from(ordinal) != Ok(found) {
            return Err(DamagedSnapshot::OutOfPlace { ordinal });
        }
        self.last_seen = place[4] != 0;
        self.opened += 1;
        self.offset = PLACE_BYTES;
        Ok(true)
    }
}

fn decompress(ordinal: usize, chunk: &[u8]) -> Result<Vec<u8>, DamagedSnapshot> {
    let garbled = |error: std::io::Error| DamagedSnapshot::Garbled { ordinal, reason: error.to_string() };
    let decoder = zstd::stream::read::Decoder::with_buffer(chunk).map_err(garbled)?;
    let mut plain = Vec::new();
    decoder.take(CHUNK_BYTES_MAX as u64 + 1).read_to_end(&mut plain).map_err(garbled)?;
    if plain.len() > CHUNK_BYTES_MAX {
        return Err(DamagedSnapshot::TooLarge { ordinal });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "numbers";

    fn header() -> Header {
        Header { name: NAME.to_owned(), revision: 3, position: 17 }
    }

    /// Records that do not compress away, in several chunks.
    fn written() -> (Vec<String>, Vec<Vec<u8>>) {
        let records: Vec<String> = (0_u32..40).map(|n| format!("{n}:{}", "x".repeat(CHUNK_BYTES / 10))).collect();
        let mut writer = Writer::new(&header());
        for record in &records {
            writer.put(record);
        }
        (records, writer.finish())
    }

    fn read(chunks: &[Vec<u8>]) -> Result<Vec<String>, DamagedSnapshot> {
        let mut reader = Reader::open(chunks, NAME, 3)?;
        let records = reader.records().collect::<Result<_, _>>()?;
        reader.check_read_to_the_end()?;
        Ok(records)
    }

    #[test]
    fn records_come_back_from_several_chunks() {
        let (records, chunks) = written();
        assert!(chunks.len() > 2);
        assert_eq!(read(&chunks).unwrap(), records);
        assert_eq!(Reader::open(&chunks, NAME, 3).unwrap().position(), 17);
    }

    #[test]
    fn a_missing_doubled_or_swapped_chunk_is_noticed() {
        let (_, chunks) = written();
        for dropped in 0..chunks.len() {
            let mut fewer = chunks.clone();
            fewer.remove(dropped);
            assert!(read(&fewer).is_err(), "without chunk {dropped}");
        }
        let mut doubled = chunks.clone();
        doubled.push(chunks.last().unwrap().clone());
        assert!(read(&doubled).is_err());
        let mut swapped = chunks.clone();
        swapped.swap(1, 2);
        assert!(read(&swapped).is_err());
        assert!(read(&[]).is_err());
    }

    #[test]
    fn every_flipped_byte_of_a_small_snapshot_is_noticed() {
        let mut writer = Writer::new(&header());
        writer.put(&"hello".to_owned());
        let chunks = writer.finish();
        assert_eq!(chunks.len(), 1);
        for at in 0..chunks[0].len() {
            let mut damaged = chunks.clone();
            damaged[0][at] ^= 0x20;
            if let Ok(records) = read(&damaged) {
                assert_eq!(records, ["hello"], "byte {at} changed the content unnoticed");
            }
        }
    }

    #[test]
    fn a_chunk_that_would_fill_the_memory_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0_u8; CHUNK_BYTES_MAX + 1], COMPRESSION_LEVEL).unwrap();
        assert_eq!(read(&[bomb]), Err(DamagedSnapshot::TooLarge { ordinal: 0 }));
    }

    #[test]
    fn the_snapshot_of_another_projection_or_revision_is_refused() {
        let chunks = Writer::new(&header()).finish();
        assert!(matches!(Reader::open(&chunks, "letters", 3), Err(DamagedSnapshot::Foreign { .. })));
        assert!(matches!(Reader::open(&chunks, NAME, 4), Err(DamagedSnapshot::Foreign { .. })));
    }
}
