//! Headers of tar, with the extensions that Go's standard reader understands.

use tar::Header;

use super::{BadArchive, EntryName};

/// The unit of tar.
pub(super) const BLOCK_BYTES: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
    /// Another name of this earlier file.
    HardLink(Vec<u8>),
}

/// An entry as the archive has it; nothing of it is trusted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Bytes of content that follow.
    pub(super) size: u64,
    /// Permission bits.
    pub(super) mode: u32,
    /// Seconds and nanoseconds since 1970.
    pub(super) mtime: (i64, u32),
}

/// What extension headers say about the entry behind them.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) name: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    size: Option<u64>,
    mtime: Option<(i64, u32)>,
    sparse: bool,
}

impl Extensions {
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.target.is_none() && self.size.is_none() && self.mtime.is_none() && !self.sparse
    }

    /// Takes in the records of a PAX header: `<length> <key>=<value>\n`, each. `None` = malformed.
    pub(super) fn read_pax(&mut self, mut records: &[u8]) -> Option<()> {
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ')?;
            let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
            let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            self.read_pax_record(&record[..equals], &record[equals + 1..])?;
            records = &records[length..];
        }
        Some(())
    }

    fn read_pax_record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"path" => self.name = Some(value.to_vec()),
            b"linkpath" => self.target = Some(value.to_vec()),
            b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
            b"mtime" => self.mtime = Some(pax_time(std::str::from_utf8(value).ok()?)?),
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            // Owners, access times and attributes are not kept.
            _ => {}
        }
        Some(())
    }
}

/// A decimal number of seconds, possibly negative, possibly with a fraction.
fn pax_time(text: &str) -> Option<(i64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    if whole.starts_with('-') && nanoseconds > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds));
    }
    Some((seconds, nanoseconds))
}

/// Whether the header's checksum is right: the sum of its bytes, the checksum itself taken as blanks.
/// Some old programs summed signed bytes.
pub(super) fn checksum_matches(block: &[u8; BLOCK_BYTES]) -> bool {
    let Ok(stated) = Header::from_byte_slice(block).cksum() else { return false };
    let summed = block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let unsigned: i64 = summed.clone().map(i64::from).sum();
    let signed: i64 = summed.map(|byte| i64::from(byte.cast_signed())).sum();
    i64::from(stated) == unsigned || i64::from(stated) == signed
}

/// The entry that a header and the extensions before it describe. `Err(None)` = no tar header.
pub(super) fn entry_of(header: &Header, extensions: Extensions) -> Result<Entry, Option<BadArchive>> {
    let name = extensions.name.unwrap_or_else(|| header.path_bytes().into_owned());
    let target = extensions.target.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
    let unsupported = |kind| Err(Some(BadArchive::Unsupported { name: EntryName::of(&name), kind }));
    if extensions.sparse {
        return unsupported("a sparse file (make the archive without `--sparse`)");
    }
    let size = extensions.size.map_or_else(|| header.entry_size(), Ok).map_err(|_| None)?;
    let kind = match header.entry_type().as_byte() {
        // Before POSIX a directory was a file whose name ends with a slash.
        b'0' | b'\0' if name.ends_with(b"/") => Kind::Directory,
        b'0' | b'\0' | b'7' => Kind::File,
        b'1' => Kind::HardLink(target.unwrap_or_default()),
        b'2' => Kind::Symlink(target.unwrap_or_default()),
        b'3' | b'4' => return unsupported("a device"),
        b'5' => Kind::Directory,
        b'6' => return unsupported("a FIFO"),
        b'S' => return unsupported("a sparse file (make the archive without `--sparse`)"),
        _ => return unsupported("of an unknown type"),
    };
    let seconds = header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or_default();
    let mode = header.mode().unwrap_or(0o644) & 0o777;
    Ok(Entry { name, kind, size, mode, mtime: extensions.mtime.unwrap_or((seconds, 0)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_records_are_read_and_malformed_ones_are_not() {
        let mut read = Extensions::default();
        read.read_pax(b"30 mtime=1700000000.123456789\n12 path=a\nb\n9 size=7\n").unwrap();
        assert_eq!(read.name.unwrap(), b"a\nb");
        assert_eq!(read.size, Some(7));
        assert_eq!(read.mtime, Some((1_700_000_000, 123_456_789)));
        for bad in [&b"12"[..], b"99 path=a\n", b"0 \n", b"1 x=y\n", b"9 size=x\n", b"x size=1\n"] {
            assert!(Extensions::default().read_pax(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn pax_times_before_1970_are_times() {
        assert_eq!(pax_time("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(pax_time("-3"), Some((-3, 0)));
        assert_eq!(pax_time("1."), Some((1, 0)));
        assert_eq!(pax_time("x"), None);
    }
}
