//! Segments of an archive: how many events each has, and how its file is named.

use std::fmt;
use std::str::FromStr;

/// Events of a segment, unless a server is told otherwise: some ten megabytes, which a second compresses, and few
/// enough files for any directory.
pub const SEGMENT_EVENTS: u64 = 65_536;

/// What the name of a segment's file begins with.
const PREFIX: &str = "events-";
/// What it ends with: protobuf, in gzip.
const SUFFIX: &str = ".pb.gz";
/// Digits of a position in it: names are in the order of the positions, for more events than there will be.
const DIGITS: usize = 12;

/// Which positions a file of an archive holds. Its text is the name of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// The first position.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        write!(f, "{PREFIX}{first:0DIGITS$}-{last:0DIGITS$}{SUFFIX}")
    }
}

/// The name is not that of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a segment is called {PREFIX}FIRST-LAST{SUFFIX}")]
pub struct OtherName;

impl FromStr for Segment {
    type Err = OtherName;

    fn from_str(name: &str) -> Result<Self, OtherName> {
        let positions = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX)).ok_or(OtherName)?;
        let (first, last) = positions.split_once('-').ok_or(OtherName)?;
        let segment = Self { first: first.parse().or(Err(OtherName))?, last: last.parse().or(Err(OtherName))? };
        // Two names of one segment would be told as the same positions twice.
        if segment.to_string() == name && 0 < segment.first && segment.first <= segment.last {
            Ok(segment)
        } else {
            Err(OtherName)
        }
    }
}
