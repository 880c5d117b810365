//! Reading tar: entry by entry, every byte counted against the limits.

use std::io::{self, BufRead, Read};

use tar::{EntryType, Header};

use super::header::{BLOCK_BYTES, Entry, Extensions, checksum_matches, entry_of};
use super::{BadArchive, EntryName, Limits};

/// An extension header (long name, PAX records) up to here; Go's reader has the same bound. Larger ones
/// are only made to exhaust memory.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;

/// A tar archive on its way in. What is wrong with it comes out as an [`io::Error`] that carries a
/// [`BadArchive`]; errors of the source pass unchanged.
pub(super) struct TarReader<R> {
    source: R,
    limits: Limits,
    unpacked_bytes: u64,
    entries: u64,
    /// Content of the current entry not yet read, and the padding behind it.
    content_left: u64,
    padding: u64,
    current_name: Vec<u8>,
}

impl<R: BufRead> TarReader<R> {
    pub(super) fn new(source: R, limits: Limits) -> Self {
        let current_name = Vec::new();
        Self { source, limits, unpacked_bytes: 0, entries: 0, content_left: 0, padding: 0, current_name }
    }

    /// The next entry, or `None` when the archive is complete and nothing follows it. Content of the
    /// entry before that was not read is skipped.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut extensions = Extensions::default();
        loop {
            self.finish_content()?;
            let Some(block) = self.header_block(&extensions)? else {
                self.expect_nothing_more()?;
                return Ok(None);
            };
            let header = Header::from_byte_slice(&block);
            if !self.read_extension(header, &mut extensions)? {
                return self.begin(header, extensions).map(Some);
            }
        }
    }

    /// More of the current entry's content; empty at its end.
    pub(super) fn content(&mut self) -> io::Result<&[u8]> {
        if self.content_left == 0 {
            return Ok(&[]);
        }
        let left = usize::try_from(self.content_left).unwrap_or(usize::MAX);
        if self.source.fill_buf()?.is_empty() {
            return Err(refuse(BadArchive::TruncatedTar { name: EntryName::of(&self.current_name) }));
        }
        let available = self.source.fill_buf()?;
        Ok(&available[..available.len().min(left)])
    }

    /// So many bytes of [`Self::content`] were used.
    pub(super) fn consume(&mut self, count: usize) {
        self.source.consume(count);
        self.content_left -= count as u64;
    }

    /// Takes up an ordinary entry.
    fn begin(&mut self, header: &Header, extensions: Extensions) -> io::Result<Entry> {
        let entry = entry_of(header, extensions).map_err(|bad| refuse(bad.unwrap_or_else(|| self.not_tar())))?;
        self.count_entry()?;
        self.current_name.clone_from(&entry.name);
        // Only files have content; a size in another header describes what it points to.
        let size = if entry.kind == super::header::Kind::File { entry.size } else { 0 };
        self.expect_content(size)?;
        Ok(entry)
    }

    /// Counts an entry, or a directory that an entry implies.
    pub(super) fn count_entry(&mut self) -> io::Result<()> {
        self.entries += 1;
        if self.entries > self.limits.entries_max {
            return Err(refuse(BadArchive::TooManyEntries { entries_max: self.limits.entries_max }));
        }
        Ok(())
    }

    /// Counts bytes that this archive makes, before they are read.
    pub(super) fn count_bytes(&mut self, bytes: u64) -> io::Result<()> {
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(bytes);
        if self.unpacked_bytes > self.limits.unpacked_bytes_max {
            return Err(refuse(BadArchive::TooLarge { bytes_max: self.limits.unpacked_bytes_max }));
        }
        Ok(())
    }

    fn expect_content(&mut self, size: u64) -> io::Result<()> {
        self.count_bytes(size)?;
        self.content_left = size;
        self.padding = size.next_multiple_of(BLOCK_BYTES as u64) - size;
        Ok(())
    }

    /// Skips what is left of the current entry. A missing padding behind the very last byte is harmless.
    fn finish_content(&mut self) -> io::Result<()> {
        while self.content_left > 0 {
            let count = self.content()?.len();
            self.consume(count);
        }
        io::copy(&mut (&mut self.source).take(self.padding), &mut io::sink())?;
        self.padding = 0;
        Ok(())
    }

    /// The next header, or `None` at the end of the archive. Archives that end without the two empty
    /// blocks are complete: that nothing is missing is said by gzip's own end.
    fn header_block(&mut self, extensions: &Extensions) -> io::Result<Option<[u8; BLOCK_BYTES]>> {
        let mut block = [0; BLOCK_BYTES];
        let count = read_up_to(&mut self.source, &mut block)?;
        self.count_bytes(count as u64)?;
        let ended = count == 0 || block == [0; BLOCK_BYTES];
        if ended && !extensions.is_empty() || count > 0 && count < BLOCK_BYTES && self.entries > 0 {
            return Err(refuse(BadArchive::TruncatedTar { name: EntryName::of(&self.current_name) }));
        }
        if ended {
            return Ok(None);
        }
        if checksum_matches(&block) { Ok(Some(block)) } else { Err(refuse(self.not_tar())) }
    }

    /// Reads an extension header's content; `false` if the header is an ordinary entry's.
    fn read_extension(&mut self, header: &Header, extensions: &mut Extensions) -> io::Result<bool> {
        let kind = header.entry_type();
        if !matches!(
            kind,
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
        ) {
            return Ok(false);
        }
        let size = header.entry_size().map_err(|_| refuse(self.not_tar()))?;
        if size > EXTENSION_BYTES_MAX {
            let bytes_max = self.limits.name_bytes_max;
            return Err(refuse(BadArchive::NameTooLong { name: EntryName::of(&self.current_name), bytes_max }));
        }
        self.expect_content(size)?;
        let mut content = Vec::new();
        while self.content_left > 0 {
            let available = self.content()?;
            content.extend_from_slice(available);
            let count = available.len();
            self.consume(count);
        }
        if kind.is_gnu_longname() {
            extensions.name = Some(until_zero(content));
        } else if kind.is_gnu_longlink() {
            extensions.target = Some(until_zero(content));
        } else if kind.is_pax_local_extensions() {
            extensions.read_pax(&content).ok_or_else(|| refuse(self.not_tar()))?;
        }
        // A global header holds a comment (a commit, a label), nothing that would change an entry.
        Ok(true)
    }

    /// Behind the end there are zeros up to some round size, and nothing else.
    fn expect_nothing_more(&mut self) -> io::Result<()> {
        loop {
            let rest = self.source.fill_buf()?;
            let count = rest.len();
            if count == 0 {
                return Ok(());
            }
            if rest.iter().any(|byte| *byte != 0) {
                return Err(refuse(BadArchive::TrailingGarbage));
            }
            self.source.consume(count);
            self.count_bytes(count as u64)?;
        }
    }

    fn not_tar(&self) -> BadArchive {
        BadArchive::NotTar { entries: self.entries }
    }
}

/// The form in which a refusal travels through readers.
pub(super) fn refuse(bad: BadArchive) -> io::Error {
    io::Error::other(bad)
}

fn read_up_to(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match source.read(&mut buffer[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

fn until_zero(mut name: Vec<u8>) -> Vec<u8> {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.truncate(end);
    name
}
