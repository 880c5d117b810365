//! Several exports, each of which goes on where the one before ends, read as one.
//!
//! Whoever reads a history from files reads it through [`Parts`], be it to verify, to import or to replay it: one
//! export, the segments of an archive, or both. What it tells is one export: the records at the seams are held against
//! each other and left out.

use std::io::{self, ErrorKind, Read};

use super::compression::{Uncompressed, is_damage, uncompressed};
use super::format::{Format, Malformed};
use super::record::{Begin, End, Record, VERSION};
use super::segment::Segment;
use super::split::BATCH_BYTES;

/// Bytes that are read of a part at once.
const PIECE_BYTES: usize = BATCH_BYTES / 4;
/// No record that begins or ends an export is longer, in either format, and hardly an event is shorter: so few records
/// are read twice.
const SEAM_BYTES_MAX: usize = 256;

/// A part of a history.
#[derive(Debug)]
pub struct Part<R> {
    /// How people know it: the name of its file.
    pub name: String,
    /// Its bytes, or why there are none.
    pub input: io::Result<R>,
}

/// Why a history cannot be read from its parts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// What lies between two parts is missing.
    #[error("{} missing: `{name}` goes on behind that, and `{before}` ends before it", are(*from, *to))]
    Gap {
        /// The first that is missing.
        from: u64,
        /// The last.
        to: u64,
        /// The part behind the gap.
        name: String,
        /// The part before it.
        before: String,
    },
    /// Two parts tell the same.
    #[error("{} told twice: by `{before}` and, again, by `{name}`", are(*from, *to))]
    Overlap {
        /// The first that is told twice.
        from: u64,
        /// The last that the earlier part tells.
        to: u64,
        /// The part that begins later, or is read later.
        name: String,
        /// The part before it.
        before: String,
    },
    /// Two parts are of different histories.
    #[error("`{name}` continues another history than that of `{before}`: its chain at position {position} is another")]
    OtherHistory {
        /// Where one ends and the other begins.
        position: u64,
        /// The part behind.
        name: String,
        /// The part before it.
        before: String,
    },
    /// A part does not begin as an export does.
    #[error("`{name}` has no begin record of format {VERSION}: it is damaged, or no export")]
    NoBegin {
        /// The part.
        name: String,
    },
    /// A file of an archive has the name of another segment than the one that it holds.
    #[error("`{name}` holds something else than its name says: its {} position is {found}", if *is_last { "last" } else { "first" })]
    OtherName {
        /// The first position that is not where the name says, or not there.
        position: u64,
        /// Whether it is about where the segment ends, and not where it begins.
        is_last: bool,
        /// The position that it begins or ends with.
        found: u64,
        /// The part.
        name: String,
    },
    /// A part is damaged, as its compression or its notation says.
    #[error("`{name}` cannot be read any further: {why}")]
    Damaged {
        /// The part.
        name: String,
        /// What is said about it.
        why: String,
    },
}

/// A part cannot be read: whoever keeps it is to blame, and not what it says.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{name}`: {error}")]
pub struct UnreadablePart {
    /// The part.
    pub name: String,
    /// What the disk says, or whatever it comes from.
    pub error: io::Error,
}

/// These positions, as a subject with its verb.
fn are(from: u64, to: u64) -> String {
    if from == to { format!("position {from} is") } else { format!("positions {from} to {to} are") }
}

fn is_of_no_segment(name: &str) -> bool {
    name.rsplit('/').next().is_none_or(|name| name.parse::<Segment>().is_err())
}

/// Holds the name of a part, if it is that of a segment, against what the part begins or ends with.
fn is_named(name: &str, record: &Record) -> Result<(), Broken> {
    let Some(Ok(Segment { first, last })) = name.rsplit('/').next().map(str::parse) else { return Ok(()) };
    let (said, found, is_last) = match record {
        Record::Begin(begin) => (first, begin.after.saturating_add(1), false),
        Record::End(end) => (last, end.position, true),
        Record::Event(_) | Record::Unreadable(_) => return Ok(()),
    };
    let position = said.min(found).saturating_add(u64::from(is_last));
    if said == found { Ok(()) } else { Err(Broken::OtherName { position, is_last, found, name: name.to_owned() }) }
}

impl Broken {
    /// What reading [`Parts`] has said, if it is about the parts and not about the disk that they lie on.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// The begin record of a part, compressed or not; none where something else stands there.
///
/// # Errors
/// When it cannot be read.
pub fn beginning(input: impl Read) -> io::Result<Option<Begin>> {
    let (mut input, mut read) = (uncompressed(input)?, vec![0; SEAM_BYTES_MAX]);
    let mut bytes = 0;
    while bytes < read.len() {
        match input.read(&mut read[bytes..]) {
            Ok(0) => break,
            Ok(more) => bytes += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_damage(&error) => break,
            Err(error) => return Err(error),
        }
    }
    read.truncate(bytes);
    let Some(format) = read.first().map(|first| Format::of_first_byte(*first)) else { return Ok(None) };
    let record = format.first_record_bytes(&read).ok().flatten().and_then(|end| format.decode(&read[..end]).ok());
    Ok(if let Some(Record::Begin(begin)) = record { Some(begin) } else { None })
}

/// Parts of a history, in order, read as one export in the format of the first.
///
/// One part alone is told as it is, unless it has the name of a segment. What is wrong within a part is told as well, for whoever verifies to find it, and
/// ends the reading where no later part can be reached. What is wrong between two of them, or with the compression of
/// one, is an error of reading: [`Broken`].
#[derive(Debug)]
pub struct Parts<I: Iterator<Item = Part<R>>, R> {
    parts: std::iter::Peekable<I>,
    current: Option<Current<R>>,
    /// The format of the first.
    format: Option<Format>,
    /// The end record of the last part that was read, as it stands there, and whose it is. It belongs to the whole
    /// only if no other part follows.
    held: Option<Held>,
    /// What is to be told next, and how much of it was told.
    out: Vec<u8>,
    told: usize,
    piece: Vec<u8>,
    /// What is wrong, once everything before it was told.
    failed: Option<io::Error>,
    is_over: bool,
}

#[derive(Debug)]
struct Current<R> {
    name: String,
    input: Uncompressed<R>,
    format: Option<Format>,
    /// What was read of it, and is not a whole record yet.
    coming: Vec<u8>,
    /// Its begin record has yet to be held against the end of the part before.
    begins: bool,
    /// It is the only one, and is told as it is.
    is_alone: bool,
}

#[derive(Debug)]
struct Held {
    end: End,
    written: Vec<u8>,
    name: String,
}

impl<I: Iterator<Item = Part<R>>, R: Read> Parts<I, R> {
    /// The parts, in order.
    pub fn new(parts: impl IntoIterator<Item = Part<R>, IntoIter = I>) -> Self {
        Self {
            parts: parts.into_iter().peekable(),
            current: None,
            format: None,
            held: None,
            out: Vec::new(),
            told: 0,
            piece: vec![0; PIECE_BYTES],
            failed: None,
            is_over: false,
        }
    }

    /// Reads until there is something to tell, or everything was told.
    fn fill(&mut self) -> io::Result<()> {
        self.out.clear();
        self.told = 0;
        while self.out.is_empty() && !self.is_over {
            let gone_on = match self.current.take() {
                Some(current) => self.go_on(current),
                None => self.begin_the_next(),
            };
            if let Err(error) = gone_on {
                (self.failed, self.is_over) = (Some(error), true);
            }
        }
        match self.failed.take() {
            Some(error) if self.out.is_empty() => Err(error),
            failed => {
                self.failed = failed;
                Ok(())
            }
        }
    }

    fn begin_the_next(&mut self) -> io::Result<()> {
        let Some(Part { name, input }) = self.parts.next() else {
            // Nobody continues it, so it is the end of the whole.
            self.out.extend(self.held.take().map(|held| held.written).unwrap_or_default());
            self.is_over = true;
            return Ok(());
        };
        let input = input.and_then(uncompressed).map_err(|error| about(&name, error))?;
        let begins = self.held.is_some();
        // What has the name of a segment is looked into, to be held against that name.
        let is_alone = !begins && self.parts.peek().is_none() && is_of_no_segment(&name);
        self.current = Some(Current { name, input, format: None, coming: Vec::new(), begins, is_alone });
        Ok(())
    }

    fn go_on(&mut self, mut current: Current<R>) -> io::Result<()> {
        let bytes = match current.input.read(&mut self.piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(error) => return Err(about(&current.name, error)),
            Ok(0) => return self.end(current),
            Ok(bytes) => bytes,
        };
        if current.is_alone {
            self.out.extend_from_slice(&self.piece[..bytes]);
        } else {
            current.coming.extend_from_slice(&self.piece[..bytes]);
            self.pass_on(&mut current)?;
        }
        self.current = Some(current);
        Ok(())
    }

    /// The part is over. If it was cut off, so is the whole, whatever would follow.
    fn end(&mut self, current: Current<R>) -> io::Result<()> {
        if current.is_alone {
            self.is_over = true;
        } else if self.held.is_none() || current.begins || !current.coming.is_empty() {
            if current.begins {
                return Err(io::Error::other(Broken::NoBegin { name: current.name }));
            }
            self.out.extend(current.coming);
            self.is_over = true;
        }
        Ok(())
    }

    /// Tells the whole records that have come.
    fn pass_on(&mut self, current: &mut Current<R>) -> io::Result<()> {
        let Some(first) = current.coming.first() else { return Ok(()) };
        let format = *current.format.get_or_insert(Format::of_first_byte(*first));
        let whole = *self.format.get_or_insert(format);
        let mut passed = 0;
        let damaged = |Malformed(why)| io::Error::other(Broken::Damaged { name: current.name.clone(), why });
        while let Some(bytes) = format.first_record_bytes(&current.coming[passed..]).map_err(damaged)? {
            let framed = &current.coming[passed..passed + bytes];
            passed += bytes;
            if current.begins {
                self.join(framed, format, &current.name)?;
                current.begins = false;
                continue;
            }
            // What stands behind an end is wrong, and told.
            self.out.extend(self.held.take().map(|held| held.written).unwrap_or_default());
            let short = if bytes <= SEAM_BYTES_MAX { format.decode(framed).ok() } else { None };
            let mut other = Vec::new();
            let written = if format == whole {
                framed
            } else {
                let record = short.clone().map_or_else(|| format.decode(framed), Ok).map_err(damaged)?;
                whole.encode(&record, &mut other);
                &other
            };
            if let Some(record) = &short {
                is_named(&current.name, record).map_err(io::Error::other)?;
            }
            match short {
                Some(Record::End(end)) => {
                    self.held = Some(Held { end, written: written.to_vec(), name: current.name.clone() });
                }
                _ => self.out.extend_from_slice(written),
            }
        }
        current.coming.drain(..passed);
        Ok(())
    }

    /// Holds the first record of a part against the end of the part before. Neither is told.
    fn join(&mut self, framed: &[u8], format: Format, name: &str) -> io::Result<()> {
        let name = name.to_owned();
        let Some(Held { end, name: before, .. }) = self.held.take() else { return Ok(()) };
        let broken = match format.decode(framed) {
            Ok(Record::Begin(begin)) if begin.format == VERSION => {
                let named = is_named(&name, &Record::Begin(begin.clone()));
                if let Err(other) = named {
                    other
                } else if begin.after > end.position {
                    Broken::Gap { from: end.position.saturating_add(1), to: begin.after, name, before }
                } else if begin.after < end.position {
                    Broken::Overlap { from: begin.after.saturating_add(1), to: end.position, name, before }
                } else if begin.chain != end.chain {
                    Broken::OtherHistory { position: end.position, name, before }
                } else {
                    return Ok(());
                }
            }
            _ => Broken::NoBegin { name },
        };
        Err(io::Error::other(broken))
    }
}

impl<I: Iterator<Item = Part<R>>, R: Read> Read for Parts<I, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.told == self.out.len() {
            self.fill()?;
        }
        let bytes = buffer.len().min(self.out.len() - self.told);
        buffer[..bytes].copy_from_slice(&self.out[self.told..self.told + bytes]);
        self.told += bytes;
        Ok(bytes)
    }
}

/// An error of reading, with the name of what was read.
fn about(name: &str, error: io::Error) -> io::Error {
    let name = name.to_owned();
    if is_damage(&error) {
        return io::Error::other(Broken::Damaged { name, why: error.to_string() });
    }
    io::Error::new(error.kind(), UnreadablePart { name, error })
}
