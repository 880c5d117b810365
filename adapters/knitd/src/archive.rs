//! Archiving: sealed segments of the log are copied into compressed files, which are read without a server
//! (`schemas/export.md`, Archives). The rows stay in the log.
//!
//! A segment is sealed when the log has come to a later one. Its file is written under another name, made durable, and
//! named then; so what has the name of a segment is whole. A segment that is there is checked and not written again,
//! unless an event of it was redacted since: what was taken out of the log must not live on in the archive. Then the
//! archive goes on at once, with a segment that ends early, to the event that admits it; so it is whole by itself.

mod directory;
mod file;
mod keeper;
mod redactions;

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use knit_domain::event::Position;
use knit_failpoint::failpoint;
use knit_log::{Fault, Log, ReadError};
use knit_schemas::api::{ArchiveStep, ArchivedSegment, SegmentDone};
use knit_schemas::chain::{GENESIS, Hash};
use knit_schemas::export::{Begin, End, Flaw, Format, Record, Segment, Wrong};
use tokio::sync::mpsc;

use self::directory::Directory;
use self::file::{Unfit, look_at, write};
use crate::listener;

pub(crate) use self::directory::{is_entered, reaches};
pub(crate) use self::keeper::keep;
pub(crate) use self::redactions::Redactions;

/// Events read at once, as an export reads them.
const PAGE_EVENTS_MAX: usize = 1_000;
/// Pages that wait to be compressed, so that the database is asked for the next one meanwhile.
const PAGES_WAITING: usize = 2;
/// Steps that wait to be heard.
pub(crate) const STEPS_WAITING_MAX: usize = 16;
/// How often the archive is gone over again because something was redacted meanwhile. Whoever redacts all the time will
/// not stop.
const REDACTED_MEANWHILE_MAX: u32 = 3;
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

    /// The segments that are missing up to `until` beside those that are `found`, in order. They end at multiples of the
    /// length, so that the same ones are written wherever nothing was redacted.
    fn missing(&self, found: &[Segment], until: Position) -> Vec<Segment> {
        let (mut missing, mut after) = (Vec::new(), 0);
        let behind = Segment { first: until + 1, last: until + 1 };
        for next in found.iter().copied().chain([behind]) {
            while after + 1 < next.first {
                let last = ((after / self.segment_events + 1) * self.segment_events).min(next.first - 1);
                missing.push(Segment { first: after + 1, last });
                after = last;
            }
            after = next.last;
        }
        missing
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
        /// The redactions that it heeded.
        heeded: &'a Redactions,
    },
    /// The latter only.
    Redacted {
        /// The redactions that it heeded.
        heeded: &'a Redactions,
    },
}

impl Checks<'_> {
    fn include(self, segment: Segment, is_last: bool, redactions: &Redactions) -> bool {
        let is_new = |heeded: &Redactions| redactions.within(segment).iter().any(|at| !heeded.contains(*at));
        match self {
            Self::All => true,
            Self::LastAndRedacted { heeded } => is_last || is_new(heeded),
            Self::Redacted { heeded } => is_new(heeded),
        }
    }
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
    /// The redactions that the archive heeds.
    pub(crate) redactions: Redactions,
}

/// Lets every sealed segment be in the archive, and whatever admits the redaction of something in it; answers what is
/// there then; nothing if somebody else is archiving into this directory.
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
    let mut archived = go_over(log, archive, &directory, checks, listener).await?;
    for _ in 0..REDACTED_MEANWHILE_MAX {
        if Redactions::of(log).await? == archived.redactions {
            return Ok(Some(archived));
        }
        let checks = Checks::Redacted { heeded: &archived.redactions };
        archived = go_over(log, archive, &directory, checks, listener).await?;
    }
    bail!("something is redacted again and again while it is archived: try again")
}

/// Goes over the archive once.
async fn go_over(
    log: &Log,
    archive: &Archive,
    directory: &Directory,
    checks: Checks<'_>,
    listener: &Listener,
) -> anyhow::Result<Archived> {
    let head = log.head().await?.position;
    let found = directory.segments(head)?;
    let redactions = Redactions::of(log).await?;
    let reached = found.last().map_or(0, |segment| segment.last);
    let until = redactions.admitted_from(archive.sealed(head).max(reached));
    let pass = Pass { log, directory, listener, until, redactions: &redactions };
    let outdated = pass.check(&found, checks).await?;
    // What admits a redaction is there before the content goes: so what is whole by itself stays so, wherever this ends.
    let written = pass.write_all(&archive.missing(&found, until)).await;
    // The content goes also where nothing can be added, since the log is damaged.
    for Outdated { segment, flaw } in outdated {
        let done = if flaw.is_some() { SegmentDone::Replaced } else { SegmentDone::Rewritten };
        pass.write(segment, done, flaw).await?;
    }
    written?;
    Ok(Archived { position: until, head, redactions })
}

/// What is wrong with the log, if that is why it is not archived.
pub(crate) fn flaw_of(why: &anyhow::Error) -> Option<(Position, String)> {
    why.chain().find_map(|cause| {
        let verified = cause.downcast_ref::<Flaw>().map(|flaw| (flaw.position, flaw.to_string()));
        let read = || cause.downcast_ref::<ReadError>().and_then(|read| Some((read.flaw()?, read.to_string())));
        let asked = || cause.downcast_ref::<Fault>().and_then(|fault| Some((fault.flaw()?, fault.to_string())));
        verified.or_else(read).or_else(asked)
    })
}

fn missing(position: Position) -> Flaw {
    Flaw { position, wrong: Wrong::Missing { next: None } }
}

/// One going over the segments.
struct Pass<'a> {
    log: &'a Log,
    directory: &'a Directory,
    listener: &'a Listener,
    until: Position,
    redactions: &'a Redactions,
}

/// What is to become of a segment that is there.
enum Verdict {
    Stays,
    /// It holds what was redacted, or may hold it: then it is damaged, and how.
    IsOutdated(Option<String>),
}

/// A segment that is to be written again.
struct Outdated {
    segment: Segment,
    /// How it is damaged, if it is.
    flaw: Option<String>,
}

impl Pass<'_> {
    /// Holds segments that are there against the log; answers those that are to be written anew.
    async fn check(&self, found: &[Segment], checks: Checks<'_>) -> anyhow::Result<Vec<Outdated>> {
        let mut outdated = Vec::new();
        for segment in found.iter().copied() {
            if checks.include(segment, found.last() == Some(&segment), self.redactions) {
                match self.look_at(segment).await? {
                    Verdict::Stays => {}
                    Verdict::IsOutdated(flaw) => outdated.push(Outdated { segment, flaw }),
                }
            }
        }
        Ok(outdated)
    }

    async fn look_at(&self, segment: Segment) -> anyhow::Result<Verdict> {
        self.listener.go_on()?;
        let chain = self.chain_at(segment.last).await?;
        let (path, redactions) = (self.directory.of(segment), self.redactions.clone());
        let is_redacted = !redactions.within(segment).is_empty();
        let looked = tokio::task::spawn_blocking(move || look_at(&path, segment, chain, &redactions)).await?;
        match looked {
            Ok(()) => self.done(segment, SegmentDone::Checked, None).await,
            Err(Unfit::Redacted) => return Ok(Verdict::IsOutdated(None)),
            // What is damaged is left as evidence, but not what may hold something that is to be forgotten.
            Err(Unfit::Damaged(why)) if is_redacted => return Ok(Verdict::IsOutdated(Some(why))),
            Err(Unfit::Damaged(why)) => self.done(segment, SegmentDone::Damaged, Some(why)).await,
            Err(Unfit::OtherLog) => bail!(
                "{segment} in {} is of another log than this, or this one was restored to an older state and went \
                 on differently: archive into another directory, and keep this one",
                self.directory.path().display()
            ),
        }
        Ok(Verdict::Stays)
    }

    async fn write_all(&self, segments: &[Segment]) -> anyhow::Result<()> {
        for segment in segments {
            self.write(*segment, SegmentDone::Written, None).await?;
        }
        Ok(())
    }

    /// Writes a segment, in place of what may be there, and how that is damaged, if it is.
    async fn write(&self, segment: Segment, done: SegmentDone, flaw: Option<String>) -> anyhow::Result<()> {
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
        let redactions = Redactions::of(self.log).await?;
        let admitted = redactions.within(segment);
        if let Some(position) = emptied.keys().find(|position| !admitted.contains(position)) {
            return Err(Flaw { position: *position, wrong: Wrong::NotAdmitted }.into());
        }
        if let Some((position, redacted_at)) = redactions.contradicted(&emptied) {
            return Err(Flaw { position, wrong: Wrong::Envelope { redacted_at } }.into());
        }
        if let Some(position) = admitted.iter().find(|position| !emptied.contains_key(position)) {
            bail!("the event at position {position} is said to be redacted, and was not when it was read: try again");
        }
        self.directory.place(&part, segment)?;
        self.done(segment, done, flaw).await;
        Ok(())
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
            let Some(last) = last else { return Err(missing(after + 1).into()) };
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
        Ok(self.log.chain_at(position).await?.ok_or_else(|| missing(position))?)
    }

    async fn done(&self, segment: Segment, done: SegmentDone, why: Option<String>) {
        let (file, Segment { first, last }) = (segment.to_string(), segment);
        let bytes = self.directory.bytes_of(segment);
        match (&why, done) {
            (Some(why), SegmentDone::Replaced) => tracing::error!(
                "a segment of the archive was damaged, and is written again, since it may have held what was \
                 redacted: {file}: {why}"
            ),
            (Some(why), _) => tracing::error!("a segment of the archive is damaged, and left as it is: {file}: {why}"),
            (None, SegmentDone::Checked) => tracing::debug!("{file} in the archive is what the log says"),
            (None, _) => tracing::info!(log.position = last, bytes, "archived: {file}"),
        }
        self.listener.tell(ArchiveStep::Segment(ArchivedSegment { file, first, last, bytes, done, why })).await;
    }
}
