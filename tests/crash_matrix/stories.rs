//! The stories: what people and Workers do while the server dies. Each is told until the server is dead, or to
//! its end; what is acknowledged on the way is remembered, and must hold ever after.

use std::fs;

use knit_tests::workshop::id_of;

use super::administration::{broken_rebuild, rebuild, skip, snapshots};
use super::interventions::{self, copies, copy};
use super::tale::{Tale, Told};
use super::{archiving, importing, past, plans, redacting, rivals, runs, transfers};

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Story {
    /// Nothing: the server starts.
    Start,
    /// A Run, and one that takes what it makes; both succeed.
    Runs,
    /// A Run whose Worker comes to another end than to success by itself; its exit code is known beforehand.
    Ends(i64),
    /// A Run that asks for more than the machine has.
    Impossible,
    /// Several Data, and a Run of each.
    Many,
    /// An honest upload.
    Upload,
    /// An upload with a wrong checksum.
    WrongUpload,
    /// An upload that its user aborts while its content is stored.
    AbortedUpload,
    /// A download.
    Download,
    /// A Run that fails, and is retried.
    Retry,
    /// A Run that is deleted, and then the upload that fed it.
    Delete,
    /// A Run that is deleted while its volumes are made.
    EarlyDelete,
    /// A Worker that runs for ever, and a user who aborts it.
    Abort,
    /// The same, and a user who keeps what it has made.
    TearOff,
    /// A Run that is aborted while its Worker is created.
    EarlyAbort,
    /// A user changes everything that can be changed of a Plan.
    Plan,
    /// Many small changes, each followed by snapshots.
    Snapshots,
    /// An administrator rebuilds a projection, and switches back.
    Rebuild,
    /// A rebuild that somebody ends.
    BrokenRebuild,
    /// A projection that has stopped, and an administrator who lets it pass over the event.
    Skip,
    /// An administrator archives the log.
    Archive,
    /// An administrator takes a tag, and the text of a log, out of the history.
    Redaction,
    /// An auditor imports a history into a log that has none.
    Import,
    /// Changes through two servers on one database at once.
    Rivals,
    /// A download, whose server dies over it; the next server of the same database is at another place.
    Moved,
    /// A server that is told to stop while a Worker runs.
    Stop,
    /// A Run that is over, and the directory of its Worker put back from a copy.
    Restored,
}

impl Story {
    /// Its words in the documentation.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Runs => "Runs",
            Self::Ends(_) => "Run that fails",
            Self::Impossible => "impossible Run",
            Self::Many => "many Runs",
            Self::Upload => "upload",
            Self::WrongUpload => "refused upload",
            Self::AbortedUpload => "aborted upload",
            Self::Download => "download",
            Self::Retry => "retry",
            Self::Delete => "delete",
            Self::EarlyDelete => "early delete",
            Self::Abort => "abort",
            Self::TearOff => "tear-off",
            Self::EarlyAbort => "early abort",
            Self::Plan => "Plan",
            Self::Snapshots => "snapshots",
            Self::Rebuild => "rebuild",
            Self::BrokenRebuild => "broken rebuild",
            Self::Skip => "skip",
            Self::Archive => "archive",
            Self::Redaction => "redaction",
            Self::Import => "import",
            Self::Rivals => "rivals",
            Self::Moved => "moved server",
            Self::Stop => "stop",
            Self::Restored => "restored Worker",
        }
    }
}

/// Tells `story` until the server dies or there is nothing more to tell.
pub(crate) fn tell(story: Story, tale: &mut Tale) -> Told<()> {
    match story {
        Story::Start => Ok(()),
        Story::Runs => runs::runs(tale),
        Story::Ends(code) => runs::ends(tale, code),
        Story::Impossible => runs::impossible(tale),
        Story::Many => runs::many(tale),
        Story::Upload => tale.push("x", "a:b").map(drop),
        Story::WrongUpload => transfers::wrong_upload(tale),
        Story::AbortedUpload => transfers::aborted_upload(tale),
        Story::Download | Story::Moved => transfers::download(tale),
        Story::Retry => interventions::retry(tale),
        Story::Delete => interventions::delete(tale),
        Story::EarlyDelete => interventions::early_delete(tale),
        Story::Abort => interventions::stopped(tale, "abort", 253),
        Story::TearOff => interventions::stopped(tale, "tearoff", 0),
        Story::EarlyAbort => interventions::early_abort(tale),
        Story::Plan => plans::plan(tale),
        Story::Snapshots => snapshots(tale),
        Story::Rebuild => rebuild(tale),
        Story::BrokenRebuild => broken_rebuild(tale),
        Story::Skip => skip(tale),
        Story::Archive => archiving::tell(tale),
        Story::Redaction => redacting::tell(tale),
        Story::Import => importing::import(tale),
        Story::Rivals => rivals::rivals(tale),
        Story::Stop => interventions::stop(tale),
        Story::Restored => interventions::restored(tale),
    }
}

/// What a user does once the server is back, so that everything comes to an end.
pub(crate) fn conclude(story: Story, tale: &mut Tale) {
    match story {
        Story::Abort | Story::TearOff | Story::Stop => {
            for run in tale.list("/api/runs?status=waiting,ready,starting,running") {
                let _ = tale.ask("PUT", &format!("/api/runs/{}/abort", id_of(&run, "runId")), None);
            }
        }
        Story::Skip => drop(skip(tale)),
        // What was not acknowledged is asked for again.
        Story::Redaction => redacting::redact_all(tale).expect("the server dies no more"),
        Story::Start
        | Story::Runs
        | Story::Ends(_)
        | Story::Impossible
        | Story::Many
        | Story::Upload
        | Story::WrongUpload
        | Story::AbortedUpload
        | Story::Download
        | Story::Retry
        | Story::Delete
        | Story::EarlyDelete
        | Story::EarlyAbort
        | Story::Plan
        | Story::Snapshots
        | Story::Rebuild
        | Story::BrokenRebuild
        | Story::Archive
        | Story::Import
        | Story::Rivals
        | Story::Moved
        | Story::Restored => {}
    }
}

/// What a user finds who looks once more, now that all is at rest; what is kept may be less afterwards.
pub(crate) fn look_once_more(story: Story, tale: &mut Tale) -> Told<()> {
    if !matches!(story, Story::Download | Story::Moved | Story::AbortedUpload) {
        return Ok(());
    }
    // A Data that is being read or written cannot be discarded. Nothing else shows that its Data Agent was closed.
    tale.until("the upload to be deletable", |tale| {
        let Some(run) = tale.list("/api/runs").first().map(|run| id_of(run, "runId")) else { return Ok(Some(())) };
        Ok((tale.ask("DELETE", &format!("/api/runs/{run}"), None)?.status == 204).then_some(()))
    })?;
    tale.until("its volume to be destroyed", |tale| Ok(tale.settled_with_nothing()?.then_some(())))
}

/// What happens to the state directory or the log while the server is dead.
pub(crate) fn meanwhile(story: Story, tale: &mut Tale) {
    if story == Story::Skip {
        tale.contradiction = Some(past::contradict(&tale.log));
    }
    if story == Story::Restored {
        copy(&copies(tale).join("workers"), tale.server.state_dir());
    }
    if story == Story::Moved {
        // A directory without its name is another place.
        fs::remove_file(tale.server.state_dir().join("place")).expect("the place has a name");
    }
}
