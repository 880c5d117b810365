//! Cutting what comes in into pieces that can be verified each by itself.

use super::format::{Format, Malformed};
use super::record::Record;

/// Bytes after which a batch is long enough: a few milliseconds of hashing, against which handing it over is nothing.
pub const BATCH_BYTES: usize = 1 << 20;

/// Some whole records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// How they are written.
    pub(super) format: Format,
    /// The record before them; empty in front of the first.
    pub(super) before: Vec<u8>,
    /// The records.
    pub(super) records: Vec<u8>,
    /// Bytes before the records.
    pub(super) offset: u64,
    /// How the input ended behind them; none if it goes on.
    pub(super) end: Option<Ending>,
}

/// How the input ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// Behind a record.
    Clean,
    /// Within one.
    Within,
    /// What comes is no record.
    Malformed(Malformed),
}

/// Cuts an export, which comes in pieces of any size, into batches.
#[derive(Debug, Default)]
pub struct Splitter {
    format: Option<Format>,
    before: Vec<u8>,
    coming: Vec<u8>,
    /// Bytes of `coming` that are known to be whole records, and where the last of them begins.
    whole: usize,
    last: usize,
    offset: u64,
    malformed: Option<Malformed>,
}

impl Splitter {
    /// Takes what comes next; answers a batch when there is one.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Batch> {
        if self.malformed.is_some() {
            return None;
        }
        self.coming.extend_from_slice(bytes);
        let format = *self.format.get_or_insert(Format::of_first_byte(*self.coming.first()?));
        loop {
            match format.first_record_bytes(&self.coming[self.whole..]) {
                Ok(Some(bytes)) => (self.last, self.whole) = (self.whole, self.whole + bytes),
                Ok(None) => break,
                Err(malformed) => {
                    self.malformed = Some(malformed);
                    break;
                }
            }
        }
        (self.whole >= BATCH_BYTES).then(|| self.batch(None))
    }

    /// The last whole record that has come, if something follows it that is none as well.
    #[must_use]
    pub fn last(&self) -> Option<Record> {
        let last = if self.whole > 0 { &self.coming[self.last..self.whole] } else { &self.before };
        self.format?.decode(last).ok()
    }

    /// The rest, when nothing more comes.
    #[must_use]
    pub fn finish(mut self) -> Batch {
        let end = match self.malformed.take() {
            Some(malformed) => Ending::Malformed(malformed),
            None if self.whole < self.coming.len() => Ending::Within,
            None => Ending::Clean,
        };
        self.batch(Some(end))
    }

    fn batch(&mut self, end: Option<Ending>) -> Batch {
        let rest = self.coming.split_off(self.whole);
        let records = std::mem::replace(&mut self.coming, rest);
        let last = records.get(self.last..).unwrap_or_default().to_vec();
        let before = std::mem::replace(&mut self.before, last);
        let offset = self.offset;
        self.offset += self.whole as u64;
        (self.whole, self.last) = (0, 0);
        Batch { format: self.format.unwrap_or(Format::JsonLines), before, records, offset, end }
    }
}
