//! Why an archive is not accepted, and how much of one is.

use std::fmt;

/// Bounds of an archive that is received. They keep a small upload from becoming a full disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the unpacked tar, headers and padding included.
    pub unpacked_bytes_max: u64,
    /// Files, links and directories.
    pub entries_max: u64,
    /// Bytes of a name or a link's target. The kernel's own bound of a path is 4,096 with its final zero.
    pub name_bytes_max: usize,
}

impl Default for Limits {
    /// More than any one disk of the machines we know, so that only bombs meet it.
    fn default() -> Self {
        Self { unpacked_bytes_max: 1 << 40, entries_max: 10_000_000, name_bytes_max: 4_000 }
    }
}

/// The archive is not acceptable. Nothing of it stays behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadArchive {
    /// The first bytes are not gzip's.
    #[error("the body is not gzip: send a tar archive that is compressed with gzip")]
    NotGzip,
    /// The compressed stream ends too early.
    #[error("the gzip stream ends too early: it was cut off on its way or while it was made; send it again")]
    TruncatedGzip,
    /// The compressed stream is damaged.
    #[error("the gzip stream is damaged: it changed on its way; send it again")]
    DamagedGzip,
    /// Something follows the compressed stream, or the end of the tar.
    #[error("something follows the end of the archive: send exactly one tar in gzip and nothing behind it")]
    TrailingGarbage,
    /// What is in the gzip is not tar.
    #[error("what the gzip stream holds is not a tar archive (bad header after {entries} entries)")]
    NotTar {
        /// Entries before it.
        entries: u64,
    },
    /// The tar ends in the middle of an entry.
    #[error("the tar archive ends in the middle of `{name}`: it was cut off while it was made; make it again")]
    TruncatedTar {
        /// The entry.
        name: EntryName,
    },
    /// A name starts at the root.
    #[error("`{name}` is an absolute name: names must be relative to the Data's root")]
    AbsoluteName {
        /// The entry.
        name: EntryName,
    },
    /// A name goes up.
    #[error("`{name}` has a `..` in its name: an entry must not leave the Data")]
    ParentInName {
        /// The entry.
        name: EntryName,
    },
    /// A name that no file can have.
    #[error("`{name}` is not a name that a file can have")]
    ImpossibleName {
        /// The entry.
        name: EntryName,
    },
    /// A name or a target is too long.
    #[error("`{name}` has a name or link target over {bytes_max} bytes (or a part over 255): shorten it")]
    NameTooLong {
        /// The entry, cut.
        name: EntryName,
        /// The limit.
        bytes_max: usize,
    },
    /// A symbolic link points outside.
    #[error(
        "the symbolic link `{name}` -> `{target}` leaves the Data: point it to something inside, with `..` \
         only at its start, or send the file itself (`knit data push --dereference`)"
    )]
    LinkLeaves {
        /// The entry.
        name: EntryName,
        /// Where it points.
        target: EntryName,
    },
    /// A hard link to something that is not an earlier file of the archive.
    #[error("the hard link `{name}` -> `{target}` is not to an earlier file of the archive: send the file itself")]
    HardLinkToNothing {
        /// The entry.
        name: EntryName,
        /// What it names.
        target: EntryName,
    },
    /// An entry beneath a symbolic link.
    #[error("`{name}` lies beneath a symbolic link of the archive: nothing is written through links")]
    BeneathLink {
        /// The entry.
        name: EntryName,
    },
    /// An entry where another one is.
    #[error("`{name}` occurs twice, or once as a file and once as a directory: each name may occur once")]
    Duplicate {
        /// The entry.
        name: EntryName,
    },
    /// A device, FIFO or another thing that is no Data.
    #[error("`{name}` is {kind}: a Data holds files, symbolic links and directories only")]
    Unsupported {
        /// The entry.
        name: EntryName,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// It unpacks to more than is allowed.
    #[error(
        "the archive unpacks to more than {bytes_max} bytes: split it, or ask the administrator for a larger limit"
    )]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// It has more entries than are allowed.
    #[error(
        "the archive has more than {entries_max} entries: pack them into fewer files, or ask the administrator \
         for a larger limit"
    )]
    TooManyEntries {
        /// The limit.
        entries_max: u64,
    },
}

/// The name of an entry for people: bytes that are not text are escaped, and it is cut at a line's length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName(String);

/// A name is shown up to here; the rest would only hide the message.
const SHOWN_CHARS_MAX: usize = 200;

impl EntryName {
    /// The shown form of the bytes of a name.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let text = String::from_utf8_lossy(name);
        let mut shown: String = text.chars().flat_map(shown_char).take(SHOWN_CHARS_MAX).collect();
        if shown.chars().count() == SHOWN_CHARS_MAX {
            shown.push('…');
        }
        Self(shown)
    }
}

/// Control characters of a hostile archive must not reach a terminal.
fn shown_char(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_shown_escaped_and_cut() {
        assert_eq!(EntryName::of(b"a\x1b[2Jb").to_string(), "a\\u{1b}[2Jb");
        assert_eq!(EntryName::of("grün".as_bytes()).to_string(), "grün");
        assert_eq!(EntryName::of(&[b'x'; 1000]).to_string().chars().count(), SHOWN_CHARS_MAX + 1);
    }
}
