//! The table: where the server dies, in which story, and what must hold after.

use super::stories::Story;

/// One death, or one after another.
#[derive(Debug)]
pub(crate) struct Case {
    /// For each life of the server the orders to its failpoints. The last death is the one that is meant; those
    /// before lead to it.
    pub(crate) lives: &'static [&'static str],
    pub(crate) story: Story,
    /// What must hold, beside what always must.
    pub(crate) holds: &'static str,
    pub(crate) on: On,
}

/// The databases that a case concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Both,
    Postgresql,
}

impl Case {
    /// How it is called in messages.
    pub(crate) fn name(&self) -> String {
        format!("{:?} with {:?}", self.story, self.lives)
    }

    /// The place at which the server, or a process of a Worker, is to die last.
    pub(crate) fn place(&self) -> &'static str {
        super::place_of(self.lives.last().expect("there is at least one life"))
    }

    /// Whether the server only looks, as one that takes an import does.
    pub(crate) fn looks_only(&self) -> bool {
        self.story == Story::Import
    }

    /// Options of the server.
    pub(crate) fn options(&self) -> &'static [(&'static str, &'static str)] {
        if self.story == Story::Snapshots {
            &[("--snapshot-every", "10")]
        } else if self.story == Story::Archive {
            &[("--archive-segment", "10")]
        } else {
            &[]
        }
    }
}

const fn case(lives: &'static [&'static str], story: Story, holds: &'static str) -> Case {
    Case { lives, story, holds, on: On::Both }
}

const fn on_postgresql(lives: &'static [&'static str], story: Story, holds: &'static str) -> Case {
    Case { lives, story, holds, on: On::Postgresql }
}

const STARTS: &str = "the next start finds nothing in its way, and what was under way goes on";
const WORKER_LIVES_ON: &str = "the Worker lives on, and the next server finds it";
const NOT_RECORDED: &str =
    "it was not acknowledged and has not happened; what the system does by itself, it does again";
const RECORDED: &str = "it has happened, once; what follows from it is done";
const FOLDED_AGAIN: &str = "the projections are folded again from the log, from a whole snapshot or none";
const UPLOAD_LEAVES_NOTHING: &str = "the upload ends as failed, once, and leaves no file";
const DOWNLOAD_LETS_GO: &str = "the Data Agent is closed, so that the Data can be discarded";
const DONE_AGAIN: &str = "the step is done again, and nothing of the first try is left";
const AS_THE_WORKER_LEFT_IT: &str =
    "the volume is sealed, and each file has the content and the mode that the Worker left";
const ORPHANS_DESTROYED: &str = "volumes that were made for a deleted Run are destroyed";
const WORKER_ONCE: &str = "the Worker is started once, and its end is the Run's";
const WORKER_REMOVED: &str = "a Worker that no Run wants is removed";
const NOT_STARTED_YET: &str = "the Worker had not been started, and is";
const LOST: &str = "the Worker may have run and is not started again: the Run fails as lost (254)";
const END_READ: &str = "the Worker's end was written down, and is the Run's";
const KILLED: &str = "the Worker's end is that it was killed (137)";

const NOT_REBUILT: &str = "the projections are what the log says, as they were, and can be rebuilt again";
const ARCHIVED: &str = "what has the name of a segment is whole, nothing else is left, and the archive is completed";
const ADMITTED: &str = "the archive is whole by itself, and in the end it does not say what was redacted";
const REBUILT: &str = "the projections are what the log says, rebuilt or not, and nothing of a rebuild is left";
const REDACTED_AGAIN: &str = "nothing has happened, and it is redacted when it is asked for again";
const FORGOTTEN: &str = "nobody is told what was redacted, and no file of the database has it";

const NOT_IMPORTED: &str = "the log is empty, and the history can be imported again";
const IMPORTED: &str = "the log is the imported history, as a whole";

/// Every case.
pub(crate) const CASES: &[Case] = &[
    // Start and stop.
    case(&["start.log-opened"], Story::Start, STARTS),
    case(&["start.trial-made"], Story::Start, STARTS),
    case(&["start.runtime-opened"], Story::Start, STARTS),
    case(&["start.plan-defined:2"], Story::Start, STARTS),
    case(&["start.bound"], Story::Start, STARTS),
    case(&["admin.bound"], Story::Start, STARTS),
    case(&["commit.BuiltinPlanDefined"], Story::Start, STARTS),
    case(&["committed.BuiltinPlanDefined"], Story::Start, STARTS),
    case(&["committed.WorkerSpawned", "start.trial-made"], Story::Runs, STARTS),
    case(&["committed.WorkerSpawned", "start.runtime-opened"], Story::Runs, STARTS),
    case(&["committed.WorkerSpawned", "start.bound"], Story::Runs, STARTS),
    case(&["stop.served"], Story::Stop, WORKER_LIVES_ON),
    case(&["stop.log-closed"], Story::Stop, WORKER_LIVES_ON),
    on_postgresql(&["lease.acquired:4"], Story::Start, STARTS),
    on_postgresql(&["download.part-read", "lease.of-the-dead-taken"], Story::Moved, DOWNLOAD_LETS_GO),
    // The log: each event before and after its commit, in the story that causes it.
    case(&["commit.PlanRegistered"], Story::Plan, NOT_RECORDED),
    case(&["committed.PlanRegistered"], Story::Plan, RECORDED),
    case(&["commit.PlanAdmitted"], Story::Plan, NOT_RECORDED),
    case(&["committed.PlanAdmitted"], Story::Plan, RECORDED),
    case(&["commit.PlanDeactivated"], Story::Plan, NOT_RECORDED),
    case(&["committed.PlanDeactivated"], Story::Plan, RECORDED),
    case(&["commit.PlanActivated"], Story::Plan, NOT_RECORDED),
    case(&["committed.PlanActivated"], Story::Plan, RECORDED),
    case(&["commit.PlanResourcesChanged"], Story::Plan, NOT_RECORDED),
    case(&["committed.PlanResourcesChanged"], Story::Plan, RECORDED),
    case(&["commit.PlanAnnotationsChanged"], Story::Plan, NOT_RECORDED),
    case(&["committed.PlanAnnotationsChanged"], Story::Plan, RECORDED),
    case(&["commit.PlanServiceAccountSet"], Story::Plan, NOT_RECORDED),
    case(&["committed.PlanServiceAccountSet"], Story::Plan, RECORDED),
    case(&["commit.PlanServiceAccountCleared"], Story::Plan, NOT_RECORDED),
    case(&["committed.PlanServiceAccountCleared"], Story::Plan, RECORDED),
    case(&["commit.UploadStarted"], Story::Upload, NOT_RECORDED),
    case(&["committed.UploadStarted"], Story::Upload, RECORDED),
    case(&["commit.DataReserved"], Story::Upload, NOT_RECORDED),
    case(&["committed.DataReserved"], Story::Upload, RECORDED),
    case(&["commit.DataTagsChanged"], Story::Upload, NOT_RECORDED),
    case(&["committed.DataTagsChanged"], Story::Upload, RECORDED),
    case(&["commit.RunSucceeded"], Story::Upload, NOT_RECORDED),
    case(&["committed.RunSucceeded"], Story::Upload, RECORDED),
    case(&["commit.AgentOpened:2"], Story::Download, NOT_RECORDED),
    case(&["committed.AgentOpened:2"], Story::Download, RECORDED),
    case(&["commit.AgentClosed:2"], Story::Download, NOT_RECORDED),
    case(&["committed.AgentClosed:2"], Story::Download, RECORDED),
    case(&["commit.RunProjected"], Story::Runs, NOT_RECORDED),
    case(&["committed.RunProjected"], Story::Runs, RECORDED),
    case(&["commit.RunVolumesPrepared"], Story::Runs, NOT_RECORDED),
    case(&["committed.RunVolumesPrepared"], Story::Runs, RECORDED),
    case(&["commit.WorkerRequested"], Story::Runs, NOT_RECORDED),
    case(&["committed.WorkerRequested"], Story::Runs, RECORDED),
    case(&["commit.WorkerSpawned"], Story::Runs, NOT_RECORDED),
    case(&["committed.WorkerSpawned"], Story::Runs, RECORDED),
    case(&["commit.RunStarted"], Story::Abort, NOT_RECORDED),
    case(&["committed.RunStarted"], Story::Abort, RECORDED),
    case(&["commit.RunSuccessDecided:2"], Story::Runs, NOT_RECORDED),
    case(&["committed.RunSuccessDecided:2"], Story::Runs, RECORDED),
    case(&["commit.RunSucceeded:2"], Story::Runs, NOT_RECORDED),
    case(&["committed.RunSucceeded:2"], Story::Runs, RECORDED),
    case(&["commit.RunFailureDecided"], Story::Ends(3), NOT_RECORDED),
    case(&["committed.RunFailureDecided"], Story::Ends(3), RECORDED),
    case(&["commit.RunFailed"], Story::Ends(3), NOT_RECORDED),
    case(&["committed.RunFailed"], Story::Ends(3), RECORDED),
    case(&["commit.RunRetried"], Story::Retry, NOT_RECORDED),
    case(&["committed.RunRetried"], Story::Retry, RECORDED),
    case(&["commit.DataDiscarded"], Story::Retry, NOT_RECORDED),
    case(&["committed.DataDiscarded"], Story::Retry, RECORDED),
    case(&["commit.VolumeReclaimed"], Story::Retry, NOT_RECORDED),
    case(&["committed.VolumeReclaimed"], Story::Retry, RECORDED),
    case(&["commit.RunInvalidated"], Story::Delete, NOT_RECORDED),
    case(&["committed.RunInvalidated"], Story::Delete, RECORDED),
    case(&["commit.RunErased"], Story::Delete, NOT_RECORDED),
    case(&["committed.RunErased"], Story::Delete, RECORDED),
    case(&["commit.VolumeReclaimed:2"], Story::Delete, NOT_RECORDED),
    case(&["committed.VolumeReclaimed:2"], Story::Delete, RECORDED),
    case(&["commit.RunProjected:3"], Story::Many, NOT_RECORDED),
    case(&["committed.RunProjected:3"], Story::Many, RECORDED),
    case(&["commit.RunFailureDecided"], Story::Abort, NOT_RECORDED),
    case(&["committed.RunFailureDecided"], Story::Abort, RECORDED),
    case(&["commit.RunSuccessDecided:2"], Story::TearOff, NOT_RECORDED),
    case(&["committed.RunSuccessDecided:2"], Story::TearOff, RECORDED),
    case(&["append.announced:9"], Story::Runs, RECORDED),
    case(&["append.answered:9"], Story::Runs, RECORDED),
    case(&["append.announced:12"], Story::Runs, RECORDED),
    case(&["append.answered:12"], Story::Runs, RECORDED),
    case(&["append.announced:15"], Story::Runs, RECORDED),
    case(&["append.answered:15"], Story::Runs, RECORDED),
    case(&["append.announced:18"], Story::Runs, RECORDED),
    case(&["append.answered:18"], Story::Runs, RECORDED),
    case(&["append.answered:5"], Story::Upload, RECORDED),
    on_postgresql(&["append.head-locked"], Story::Rivals, NOT_RECORDED),
    on_postgresql(&["append.written-under-lock"], Story::Rivals, NOT_RECORDED),
    // A projection is rebuilt, and switched back.
    case(&["rebuild.folded"], Story::Rebuild, NOT_REBUILT),
    case(&["rebuild.copied"], Story::Rebuild, NOT_REBUILT),
    case(&["rebuild.page-folded"], Story::Rebuild, NOT_REBUILT),
    case(&["rebuild.compared"], Story::Rebuild, NOT_REBUILT),
    case(&["rebuild.switched"], Story::Rebuild, REBUILT),
    case(&["rebuild.switched:2"], Story::Rebuild, REBUILT),
    case(&["snapshot.saved"], Story::Rebuild, REBUILT),
    case(&["rebuild.saved"], Story::Rebuild, REBUILT),
    case(&["rebuild.page-folded>committed.PlanRegistered,rebuild.kept"], Story::BrokenRebuild, NOT_REBUILT),
    // A projection stops at an event that was written while no server was there, and is to pass over it.
    case(&["committed.DataTagsChanged", "commit.EventSkipped"], Story::Skip, NOT_RECORDED),
    case(&["committed.DataTagsChanged", "committed.EventSkipped"], Story::Skip, RECORDED),
    // The log is archived.
    case(&["archive.page-read"], Story::Archive, ARCHIVED),
    case(&["archive.written"], Story::Archive, ARCHIVED),
    case(&["archive.durable"], Story::Archive, ARCHIVED),
    case(&["archive.named"], Story::Archive, ARCHIVED),
    case(&["archive.named:2"], Story::Archive, ARCHIVED),
    case(&["archive.placed:2"], Story::Archive, ARCHIVED),
    // It goes on, something in it is redacted, and it is archived again: what admits that, and then what was archived.
    case(&["archive.written:4"], Story::Archive, ADMITTED),
    case(&["archive.named:4"], Story::Archive, ADMITTED),
    case(&["archive.durable:5"], Story::Archive, ADMITTED),
    case(&["archive.named:5"], Story::Archive, ADMITTED),
    // Something is redacted.
    case(&["commit.EventRedacted"], Story::Redaction, REDACTED_AGAIN),
    case(&["committed.EventRedacted"], Story::Redaction, FORGOTTEN),
    case(&["forgetting.folded"], Story::Redaction, FORGOTTEN),
    case(&["forgetting.switched"], Story::Redaction, FORGOTTEN),
    case(&["redact.forgotten"], Story::Redaction, FORGOTTEN),
    case(&["commit.LogRedacted"], Story::Redaction, REDACTED_AGAIN),
    case(&["committed.LogRedacted"], Story::Redaction, FORGOTTEN),
    case(&["garbage.begun"], Story::Redaction, FORGOTTEN),
    case(&["destroy.moved-aside"], Story::Redaction, FORGOTTEN),
    case(&["garbage.destroyed"], Story::Redaction, FORGOTTEN),
    case(&["redact.destroyed"], Story::Redaction, FORGOTTEN),
    // A history is imported.
    case(&["import.page-written"], Story::Import, NOT_IMPORTED),
    case(&["import.head-moved"], Story::Import, NOT_IMPORTED),
    case(&["import.committed"], Story::Import, IMPORTED),
    // The follower and its snapshots.
    case(&["follower.read:9"], Story::Runs, FOLDED_AGAIN),
    case(&["follower.applied:9"], Story::Runs, FOLDED_AGAIN),
    case(&["follower.read:14"], Story::Runs, FOLDED_AGAIN),
    case(&["follower.applied:14"], Story::Runs, FOLDED_AGAIN),
    case(&["committed.WorkerSpawned", "follower.read"], Story::Runs, FOLDED_AGAIN),
    case(&["committed.WorkerSpawned", "follower.applied"], Story::Runs, FOLDED_AGAIN),
    case(&["snapshot.taken"], Story::Snapshots, FOLDED_AGAIN),
    case(&["snapshot.taken:2"], Story::Snapshots, FOLDED_AGAIN),
    case(&["snapshot.packed"], Story::Snapshots, FOLDED_AGAIN),
    case(&["snapshot.chunk-saved"], Story::Snapshots, FOLDED_AGAIN),
    case(&["snapshot.chunk-saved:2"], Story::Snapshots, FOLDED_AGAIN),
    case(&["snapshot.saved"], Story::Snapshots, FOLDED_AGAIN),
    case(&["snapshot.saved:5"], Story::Snapshots, FOLDED_AGAIN),
    case(&["snapshot.pruned"], Story::Snapshots, FOLDED_AGAIN),
    case(&["snapshot.pruned:6"], Story::Snapshots, FOLDED_AGAIN),
    case(&["snapshot.saved:4", "follower.restored"], Story::Snapshots, FOLDED_AGAIN),
    case(&["snapshot.pruned:6", "follower.restored:2"], Story::Snapshots, FOLDED_AGAIN),
    // An upload.
    case(&["upload.place-made"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.entry-unpacked:2"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.unpacked"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.durable"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.renamed"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.stored"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.refused"], Story::WrongUpload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.discarded"], Story::WrongUpload, UPLOAD_LEAVES_NOTHING),
    case(&["commit.RunFailed"], Story::WrongUpload, UPLOAD_LEAVES_NOTHING),
    case(&["committed.RunFailed"], Story::WrongUpload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.stored>committed.RunFailed,upload.ended-by-another"], Story::AbortedUpload, UPLOAD_LEAVES_NOTHING),
    case(
        &["upload.place-made>committed.RunFailed,upload.ended-by-another"],
        Story::AbortedUpload,
        UPLOAD_LEAVES_NOTHING,
    ),
    case(&["upload.stored>committed.RunFailed,upload.taken-away"], Story::AbortedUpload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.durable>committed.RunFailed,upload.renamed"], Story::AbortedUpload, UPLOAD_LEAVES_NOTHING),
    // An upload whose server died: the next one ends it, and dies over that.
    case(&["upload.entry-unpacked:2", "housekeeping.server-dead"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.entry-unpacked:2", "commit.AgentClosed"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.entry-unpacked:2", "committed.AgentClosed"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.entry-unpacked:2", "commit.RunFailureDecided"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.entry-unpacked:2", "committed.RunFailureDecided"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.entry-unpacked:2", "finishing.begun"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.entry-unpacked:2", "finishing.cleared-away"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.entry-unpacked:2", "commit.RunFailed"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.entry-unpacked:2", "committed.RunFailed"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.stored", "housekeeping.server-dead"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.stored", "committed.RunFailureDecided"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.stored", "destroy.moved-aside"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.stored", "finishing.cleared-away"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    case(&["upload.stored", "committed.RunFailed"], Story::Upload, UPLOAD_LEAVES_NOTHING),
    // A download.
    case(&["download.part-read"], Story::Download, DOWNLOAD_LETS_GO),
    case(&["download.read-whole"], Story::Download, DOWNLOAD_LETS_GO),
    case(&["download.closed"], Story::Download, DOWNLOAD_LETS_GO),
    case(&["download.part-read", "housekeeping.server-dead"], Story::Download, DOWNLOAD_LETS_GO),
    case(&["download.part-read", "commit.AgentClosed"], Story::Download, DOWNLOAD_LETS_GO),
    case(&["download.part-read", "committed.AgentClosed"], Story::Download, DOWNLOAD_LETS_GO),
    // A Run gets its volumes.
    case(&["projection.batch-made"], Story::Runs, RECORDED),
    case(&["projection.batch-made"], Story::Many, RECORDED),
    case(&["initialize.begun"], Story::Runs, DONE_AGAIN),
    case(&["initialize.volume-made"], Story::Runs, DONE_AGAIN),
    case(&["initialize.volume-made:2"], Story::Runs, DONE_AGAIN),
    case(&["initialize.volume-made:3"], Story::Runs, DONE_AGAIN),
    case(&["initialize.volume-made:3"], Story::Retry, DONE_AGAIN),
    case(&["initialize.begun>committed.RunInvalidated,initialize.refused"], Story::EarlyDelete, ORPHANS_DESTROYED),
    // A Run gets its Worker.
    case(&["worker.create-begun"], Story::Runs, WORKER_ONCE),
    case(&["worker.record-begun"], Story::Runs, WORKER_ONCE),
    case(&["worker.written-down"], Story::Runs, WORKER_ONCE),
    case(&["worker.locked"], Story::Runs, WORKER_ONCE),
    case(&["worker.shim-started"], Story::Runs, WORKER_ONCE),
    case(&["worker.created"], Story::Runs, WORKER_ONCE),
    case(&["worker.observed"], Story::Runs, WORKER_ONCE),
    case(&["worker.observed:2"], Story::Runs, WORKER_ONCE),
    case(&["worker.create-begun:2"], Story::Runs, WORKER_ONCE),
    case(&["worker.created:2"], Story::Runs, WORKER_ONCE),
    case(&["worker.impossible"], Story::Impossible, DONE_AGAIN),
    case(&["worker.create-begun>committed.RunFailureDecided,worker.unwanted"], Story::EarlyAbort, WORKER_REMOVED),
    case(
        &["worker.create-begun>committed.RunFailureDecided,worker.unwanted-removed"],
        Story::EarlyAbort,
        WORKER_REMOVED,
    ),
    case(&["worker.create-begun>committed.RunFailureDecided,worker.created"], Story::EarlyAbort, WORKER_REMOVED),
    case(&["committed.RunFailed", "relist.unwanted"], Story::Restored, WORKER_REMOVED),
    case(&["committed.RunFailed", "relist.removed"], Story::Restored, WORKER_REMOVED),
    // The Worker's own processes die, and the server with them as soon as it notices.
    case(&["shim.begun,worker.shim-ended"], Story::Ends(0), NOT_STARTED_YET),
    case(&["shim.claim-begun,worker.shim-ended"], Story::Ends(0), NOT_STARTED_YET),
    case(&["shim.claimed,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.memory-group-made,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.memory-limited,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.cpu-group-made,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.groups-made,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.init-started,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.init-record-begun,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.init-written-down,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.init-bounded,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.init-let-go,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.running,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.init-ended,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.memory-group-removed,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.end-durable,worker.shim-ended"], Story::Ends(254), LOST),
    case(&["shim.end-written,worker.shim-ended"], Story::Ends(0), END_READ),
    case(&["init.let-go,worker.shim-ended"], Story::Ends(137), KILLED),
    case(&["init.set-up,worker.shim-ended"], Story::Ends(137), KILLED),
    case(&["init.command-started,worker.shim-ended"], Story::Ends(137), KILLED),
    case(&["init.command-ended,worker.shim-ended"], Story::Ends(137), KILLED),
    case(&["worker.shim-ended"], Story::Runs, END_READ),
    // A Run is finished.
    case(&["finishing.begun"], Story::Runs, DONE_AGAIN),
    case(&["remove.init-killed"], Story::Runs, DONE_AGAIN),
    case(&["remove.all-ended"], Story::Runs, DONE_AGAIN),
    case(&["remove.memory-group-removed"], Story::Runs, DONE_AGAIN),
    case(&["shim.running,worker.shim-ended", "remove.memory-group-removed"], Story::Ends(254), LOST),
    case(&["remove.groups-removed"], Story::Runs, DONE_AGAIN),
    case(&["remove.moved-aside"], Story::Runs, DONE_AGAIN),
    case(&["finishing.worker-removed"], Story::Runs, DONE_AGAIN),
    case(&["seal.noted"], Story::Runs, AS_THE_WORKER_LEFT_IT),
    case(&["seal.entry-sealed"], Story::Runs, AS_THE_WORKER_LEFT_IT),
    case(&["seal.entry-sealed:2"], Story::Runs, AS_THE_WORKER_LEFT_IT),
    case(&["seal.entry-sealed:3"], Story::Runs, AS_THE_WORKER_LEFT_IT),
    case(&["seal.entry-sealed:3", "seal.entry-sealed:2"], Story::Runs, AS_THE_WORKER_LEFT_IT),
    case(&["seal.durable"], Story::Runs, AS_THE_WORKER_LEFT_IT),
    case(&["seal.renamed"], Story::Runs, AS_THE_WORKER_LEFT_IT),
    case(&["seal.published"], Story::Runs, AS_THE_WORKER_LEFT_IT),
    case(&["finishing.volume-sealed"], Story::Runs, DONE_AGAIN),
    case(&["finishing.volume-sealed:2"], Story::Runs, DONE_AGAIN),
    case(&["finishing.cleared-away"], Story::Runs, DONE_AGAIN),
    case(&["finishing.begun"], Story::Abort, DONE_AGAIN),
    case(&["remove.init-killed"], Story::Abort, DONE_AGAIN),
    case(&["remove.all-ended"], Story::Abort, DONE_AGAIN),
    case(&["remove.groups-removed"], Story::Abort, DONE_AGAIN),
    case(&["remove.moved-aside"], Story::Abort, DONE_AGAIN),
    case(&["finishing.volume-sealed"], Story::Abort, DONE_AGAIN),
    case(&["commit.RunFailed"], Story::Abort, DONE_AGAIN),
    case(&["committed.RunFailed"], Story::Abort, DONE_AGAIN),
    case(&["finishing.begun"], Story::TearOff, DONE_AGAIN),
    case(&["remove.init-killed"], Story::TearOff, DONE_AGAIN),
    case(&["finishing.worker-removed"], Story::TearOff, DONE_AGAIN),
    case(&["finishing.cleared-away"], Story::TearOff, DONE_AGAIN),
    // Volumes are destroyed.
    case(&["garbage.begun"], Story::Delete, DONE_AGAIN),
    case(&["destroy.moved-aside"], Story::Delete, DONE_AGAIN),
    case(&["garbage.destroyed"], Story::Delete, DONE_AGAIN),
    case(&["garbage.begun:3"], Story::Delete, DONE_AGAIN),
    case(&["destroy.moved-aside:2"], Story::Delete, DONE_AGAIN),
    case(&["garbage.destroyed:3"], Story::Delete, DONE_AGAIN),
    case(&["garbage.begun"], Story::Retry, DONE_AGAIN),
    case(&["destroy.moved-aside"], Story::Retry, DONE_AGAIN),
    case(&["garbage.destroyed"], Story::Retry, DONE_AGAIN),
];
