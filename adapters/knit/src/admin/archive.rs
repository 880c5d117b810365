//! `knit admin archive`.

use std::path::{Path, PathBuf};

use clap::Args;
use knit_schemas::api::{ArchiveOrder, ArchiveStep, ArchivedSegment, SegmentDone};
use reqwest::Response;
use serde::Serialize;

use super::{bytes, lines};
use crate::client::Client;
use crate::environment::Environment;
use crate::error::{Ask, Error, Subject};
use crate::output::Progress;
use crate::telling::{Telling, counted};

/// Copy the log, segment by segment, to compressed files that are read without a server
///
/// A segment has 65,536 events, unless the server was told otherwise, and is copied once the log has come to a later
/// one. Segments that are in the directory already are held against the log, and written again only if something in them
/// was redacted since; then the archive goes on to what admits that, with a segment that ends early, and is whole by
/// itself. The log keeps everything. `knit audit verify DIR` reads the files; `schemas/export.md` says how they are
/// written. Ends with 8 if a file is damaged, which is left as it is unless it may
/// hold what was redacted, or if the log is not whole.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write into this directory, as the server's user, and make it if it is not there [default: where the server
    /// archives by itself, with `--archive-dir`]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    telling: Telling,
}

/// What is there now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    directory: String,
    /// The last event in it.
    position: u64,
    /// The last event of the log.
    head: u64,
    /// How many segments were there already, and are in order.
    checked: usize,
    /// What was done otherwise, segment by segment.
    segments: Vec<ArchivedSegment>,
}

pub(crate) async fn run(arguments: Arguments, client: &Client, environment: &Environment) -> Result<(), Error> {
    let Arguments { to, telling } = arguments;
    let to = to.map(|path| absolute(&environment.expand_home(&path))).transpose()?;
    let ask = Ask::order("archive", Subject::Log);
    let response = client.order_stream(&ask, &["admin", "archive"], &ArchiveOrder { to }).await?;
    let progress = Progress::of_events("Archiving the log".to_owned());
    let ended = until_the_end(&ask, response, &progress).await;
    progress.finish();
    let answer = ended?;
    telling.tell(&answer, Answer::lines)?;
    match answer.damaged().count() {
        0 => Ok(()),
        count => {
            let is_replaced = answer.damaged().all(|segment| segment.done == SegmentDone::Replaced);
            Err(Error::DamagedArchive { count, is_replaced, directory: answer.directory.into() })
        }
    }
}

/// The path as the server can tell it, which has another working directory.
fn absolute(path: &Path) -> Result<String, Error> {
    let absolute = std::path::absolute(path).map_err(Error::file("find", path))?;
    let text = absolute.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::Usage(format!("`{}` is no text, and cannot be told to the server", path.display())))
}

/// Hears what is done, until an end. Damage that was found is told also where archiving came to nothing after it.
async fn until_the_end(ask: &Ask, response: Response, progress: &Progress) -> Result<Answer, Error> {
    let (mut checked, mut segments) = (0, Vec::new());
    lines::until_the_end(ask, response, |step: ArchiveStep| match step {
        ArchiveStep::Archiving { position, until } => {
            progress.reach(position, until);
            None
        }
        ArchiveStep::Segment(segment) if segment.done == SegmentDone::Checked => {
            checked += 1;
            None
        }
        ArchiveStep::Segment(segment) => {
            segments.push(segment);
            None
        }
        ArchiveStep::Archived { directory, position, head } => {
            Some(Ok(Answer { directory, position, head, checked, segments: std::mem::take(&mut segments) }))
        }
        ArchiveStep::Flawed { why, .. } => Some(Err(Error::LogNotWhole { ask: ask.clone(), why })),
        ArchiveStep::Failed { why } => {
            let damaged = segments.iter().filter(|segment| is_damaged(segment)).map(told);
            Some(Err(Error::NotArchived { why: std::iter::once(why).chain(damaged).collect::<Vec<_>>().join("; ") }))
        }
    })
    .await?
}

/// A segment that was found damaged, and how.
fn told(segment: &ArchivedSegment) -> String {
    let word = match segment.done {
        SegmentDone::Replaced => "was damaged, and is written again, since it may have held what was redacted",
        SegmentDone::Written | SegmentDone::Checked | SegmentDone::Rewritten | SegmentDone::Damaged => "damaged",
    };
    format!("{word}: {}: {}", segment.file, segment.why.as_deref().unwrap_or_default())
}

fn is_damaged(segment: &ArchivedSegment) -> bool {
    matches!(segment.done, SegmentDone::Damaged | SegmentDone::Replaced)
}

impl Answer {
    fn damaged(&self) -> impl Iterator<Item = &ArchivedSegment> {
        self.segments.iter().filter(|segment| is_damaged(segment))
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![match self.position {
            0 => format!("nothing is archived yet in {}", self.directory),
            position => format!("archived up to position {position} in {}", self.directory),
        }];
        for (done, word) in [(SegmentDone::Written, "written"), (SegmentDone::Rewritten, "written again, redacted")] {
            let of_it = || self.segments.iter().filter(|segment| segment.done == done);
            if of_it().count() > 0 {
                let bytes = bytes::told(of_it().map(|segment| segment.bytes).sum());
                lines.push(format!("{word}: {}, {bytes}", segments(of_it().count())));
            }
        }
        if self.checked > 0 {
            lines.push(format!("in order as before: {}", segments(self.checked)));
        }
        for segment in self.damaged() {
            lines.push(told(segment));
        }
        lines.push(format!("not in it yet: {}", counted(self.head.saturating_sub(self.position), "event", "events")));
        lines
    }
}

fn segments(count: usize) -> String {
    counted(count as u64, "segment", "segments")
}
