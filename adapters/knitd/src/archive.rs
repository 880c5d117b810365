//! Archiving: sealed segments of the log are copied into compressed files, which are read without a server
//! (`schemas/export.md`, Archives). The rows stay in the log.
//!
//! A segment is sealed when the log has come to a later one. Its file is written under another name, made durable, and
//! named then; so what has the name of a segment is whole. A segment that is there is checked and not written again,
//! unless an event of it was redacted since: what was taken out of the log must not live on in the archive.

mod directory;
mod file;
mod keeper;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use knit_domain::event::journal::JournalEvent;
use knit_domain::event::{Event, Position, StreamId};
use knit_failpoint::failpoint;
use knit_log::{Log, ReadError};
use knit_schemas::api::{ArchiveStep, ArchivedSegment, SegmentDone};
use knit_schemas::chain::{GENESIS, Hash};
use knit_schemas::export::{Begin, End, Format, Record, Segment};
use tokio::sync::mpsc;

use self::directory::Directory;
use self::file::{Unfit, look_at, write};
use crate::listener;

pub(crate) use self::directory::reaches;
pub(crate) use self::keeper::keep;

/// Events read at once, as an export reads them.
const PAGE_EVENTS_MAX: usize = 1_000;
/// Pages that wait to be compressed, so that the database is asked for the next one meanwhile.
const PAGES_WAITING: usize = 2;
/// Steps that wait to be heard.
pub(crate) const STEPS_WAITING_MAX: usize = 16;
/// How segments are written.
const FORMAT: Format = Format::Protobuf;

/// An archive: where it is, and how it is cut.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    /// An absolute path.
    pub(crate) directory: PathBuf,
    /// Events of a segment, at least one.
    pub(crate) segment_events: u64,
}

impl Archive {
    /// Up to which position a log with this head is sealed.
    fn sealed(&self, head: Position) -> Position {
        head.saturating_sub(1) / self.segment_events * self.segment_events
    }

    /// The segments up to that position.
    fn segments(&self, sealed: Position) -> impl Iterator<Item = Segment> + use<> {
        let events = self.segment_events;
        (0..sealed / events).map(move |number| Segment { first: number * events + 1, last: (number + 1) * events })
    }
}

/// Which of the segments that are there already are read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checks<'a> {
    /// All of them.
    All,
    /// The last one, which shows whether it is of this log at all, and those of which an event was redacted that the
    /// archive did not heed when it was looked at before.
    LastAndRedacted {
        /// The events whose redaction it heeded.
        heeded: &'a BTreeSet<Position>,
    },
}

/// Whoever follows the archiving, and may end it.
pub(crate) type Listener = listener::Listener<ArchiveStep>;

impl Listener {
    fn go_on(&self) -> anyhow::Result<()> {
        ensure!(!self.has_ended_it(), "it was ended; what is archived stays, and is whole");
        Ok(())
    }
}

/// What is there in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archived {
    /// The last event in the segments; 0 if there is none yet.
    pub(crate) position: Position,
    /// The last event of the log, when it began.
    pub(crate) head: Position,
    /// The events whose redaction the archive heeds.
    pub(crate) redacted: BTreeSet<Position>,
}

/// Lets every sealed segment be in the archive, and answers what is there then; nothing if somebody else is archiving
/// into this directory.
///
/// # Errors
/// When the directory cannot be used or is not of this log, the log cannot be read or is not in order, or the disk does
/// not take it. What was written before is there, whole.
pub(crate) async fn archive(
    log: &Log,
    archive: &Archive,
    checks: Checks<'_>,
    listener: &Listener,
) -> anyhow::Result<Option<Archived>> {
    let Some(directory) = Directory::enter(&archive.directory)? else { return Ok(None) };
    let head = log.head().await?;
    let sealed = archive.sealed(head.position);
    let found = directory.segments(archive, head.position)?;
    let redacted = redacted(log).await?;
    let pass = Pass { log, directory: &directory, listener, until: sealed };
    let last = found.last().copied();
    for segment in found.iter().copied() {
        let mut emptied = redacted.range(segment.first..=segment.last);
        let is_due = match checks {
            Checks::All => true,
            Checks::LastAndRedacted { heeded } => {
                Some(segment) == last || emptied.any(|position| !heeded.contains(position))
            }
        };
        if is_due {
            pass.check(segment, &redacted).await?;
        }
    }
    for segment in archive.segments(sealed).filter(|segment| !found.contains(segment)) {
        pass.write(segment, SegmentDone::Written).await?;
    }
    Ok(Some(Archived { position: sealed, head: head.position, redacted }))
}

/// The events of which the log says that they were redacted.
pub(crate) async fn redacted(log: &Log) -> Result<BTreeSet<Position>, ReadError> {
    let journal = log.load(&StreamId::journal()).await?;
    let position = |event: &Event| {
        if let Event::Journal(JournalEvent::EventRedacted { position, .. }) = event { Some(*position) } else { None }
    };
    Ok(journal.iter().filter_map(|recorded| position(&recorded.event)).collect())
}

/// One going over the segments.
struct Pass<'a> {
    log: &'a Log,
    directory: &'a Directory,
    listener: &'a Listener,
    until: Position,
}

impl Pass<'_> {
    /// Holds a segment that is there against the log; writes it anew if it holds what was redacted.
    async fn check(&self, segment: Segment, redacted: &BTreeSet<Position>) -> anyhow::Result<()> {
        self.listener.go_on()?;
        let chain = self.chain_at(segment.last).await?;
        let (path, expected) = (self.directory.of(segment), redacted.range(segment.first..=segment.last).copied());
        let expected: BTreeSet<Position> = expected.collect();
        let is_redacted = !expected.is_empty();
        let looked = tokio::task::spawn_blocking(move || look_at(&path, segment, chain, &expected)).await?;
        match looked {
            Ok(()) => self.done(segment, SegmentDone::Checked, None).await,
            Err(Unfit::Redacted) => self.write(segment, SegmentDone::Rewritten).await,
            // What is damaged is left as evidence, but not what may hold something that is to be forgotten.
            Err(Unfit::Damaged(_)) if is_redacted => self.write(segment, SegmentDone::Rewritten).await,
            Err(Unfit::Damaged(why)) => self.done(segment, SegmentDone::Damaged, Some(why)).await,
            Err(Unfit::OtherLog) => bail!(
                "{segment} in {} is of another log than this, or this one was restored to an older state and went \
                 on differently: archive into another directory, and keep this one",
                self.directory.path().display()
            ),
        }
    }

    /// Writes a segment, in place of what is there.
    async fn write(&self, segment: Segment, done: SegmentDone) -> anyhow::Result<()> {
        let (begins, ends) = (self.chain_at(segment.first - 1).await?, self.chain_at(segment.last).await?);
        let (pages, coming) = mpsc::channel(PAGES_WAITING);
        let part = self.directory.part_of(segment);
        let _cleaner = directory::Cleaner(part.clone());
        let target = part.clone();
        let writing = tokio::task::spawn_blocking(move || write(&target, coming));
        let read = self.read(segment, (begins, ends), pages).await;
        let written = writing.await?;
        read?;
        let emptied = written.with_context(|| format!("cannot write {segment}"))?;
        // Whoever has emptied them before they were read has said so by now.
        let admitted = redacted(self.log).await?;
        if let Some(position) = emptied.difference(&admitted).next() {
            bail!(
                "the event at position {position} was emptied, and no redaction of it is recorded: `knit audit verify`"
            );
        }
        if let Some(position) = admitted.range(segment.first..=segment.last).find(|at| !emptied.contains(at)) {
            bail!("the event at position {position} is said to be redacted, and was not when it was read: try again");
        }
        self.directory.place(&part, segment)?;
        self.done(segment, done, None).await
    }

    /// Reads a segment of the log and passes it on as it is written.
    async fn read(
        &self,
        segment: Segment,
        (begins, ends): (Hash, Hash),
        pages: mpsc::Sender<Vec<u8>>,
    ) -> anyhow::Result<()> {
        let mut after = segment.first - 1;
        let mut text = Vec::new();
        FORMAT.encode(&Record::Begin(Begin::behind(after, begins)), &mut text);
        while after < segment.last {
            self.listener.go_on()?;
            let left = usize::try_from(segment.last - after).unwrap_or(usize::MAX);
            let page = self.log.read_unchecked(after, left.min(PAGE_EVENTS_MAX)).await?;
            let last = page.last().map(|event| event.position).filter(|last| *last > after && *last <= segment.last);
            let Some(last) = last else { bail!("the event at position {} is missing: `knit audit verify`", after + 1) };
            page.into_iter().for_each(|event| FORMAT.encode(&Record::Event(event.into()), &mut text));
            after = last;
            if after == segment.last {
                FORMAT.encode(&Record::End(End { position: segment.last, chain: ends }), &mut text);
            }
            self.listener.mention(ArchiveStep::Archiving { position: after, until: self.until });
            if pages.send(std::mem::take(&mut text)).await.is_err() {
                // Whoever writes says why it has given up.
                return Ok(());
            }
            failpoint("archive.page-read");
        }
        Ok(())
    }

    async fn chain_at(&self, position: Position) -> anyhow::Result<Hash> {
        if position == 0 {
            return Ok(GENESIS);
        }
        let chain = self.log.chain_at(position).await?;
        chain.with_context(|| format!("the event at position {position} is missing: `knit audit verify`"))
    }

    async fn done(&self, segment: Segment, done: SegmentDone, why: Option<String>) -> anyhow::Result<()> {
        let (file, Segment { first, last }) = (segment.to_string(), segment);
        let bytes = self.directory.bytes_of(segment);
        match (&why, done) {
            (Some(why), _) => tracing::error!("a segment of the archive is damaged, and left as it is: {file}: {why}"),
            (None, SegmentDone::Checked) => tracing::debug!("{file} in the archive is what the log says"),
            (None, _) => tracing::info!(log.position = last, bytes, "archived: {file}"),
        }
        self.listener.tell(ArchiveStep::Segment(ArchivedSegment { file, first, last, bytes, done, why })).await;
        Ok(())
    }
}
