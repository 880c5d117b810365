//! *Ours.* Why a Run is there, what it waited for, and why it ended as it did.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Exit, PlanSummary, Tag};
use crate::instant::Instant;

/// A moment in the log: which event, when, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Moment {
    /// Position of the event.
    pub position: u64,
    /// When it was recorded.
    pub at: Instant,
    /// Who caused it: a user, or a part of the server such as `reactor:finishing`.
    pub actor: String,
    /// Stored name of the event, such as `RunSucceeded`.
    pub event: String,
}

/// Why a Run is there and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunExplanation {
    /// The Run.
    pub run_id: String,
    /// Its status then; one of the ten words.
    pub status: String,
    /// What it carries out.
    pub plan: PlanSummary,
    /// The position that the answer is about.
    pub as_of: u64,
    /// What set it off; absent only in an imported history in which nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// How each input came to its Data, sorted by path; none for uploads and imports.
    pub inputs: Vec<ExplainedInput>,
    /// What happened to it, in order, all attempts.
    pub steps: Vec<ExplainedStep>,
    /// What it waits for; absent when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<Waiting>,
    /// Why its newest attempt failed or fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// The event without which the Run would not have been due: the last of all that it needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// What it was.
    pub what: TriggerKind,
    /// When, where in the log, and by whom.
    pub moment: Moment,
    /// The Data that it was about, unless it was about the Plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knit_id: Option<String>,
    /// The inputs that this Data fills.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// The tags by which it came to fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// When everything else that the Run needed was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_since: Option<Instant>,
}

/// What may set a Run off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerKind {
    /// Its Plan was registered when all Data were there.
    PlanRegistered,
    /// The Run that makes one of its Data was done.
    DataAvailable,
    /// One of its Data got the tags that it lacked.
    TagsChanged,
    /// Somebody uploads: the Run is the upload.
    Uploaded,
    /// Somebody imports: the Run is the import.
    Imported,
}

/// An input of a Run and how its Data came to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedInput {
    /// Where it is mounted.
    pub path: String,
    /// The Data.
    pub knit_id: String,
    /// The Run that made it.
    pub made_by: String,
    /// When that Run was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Moment>,
    /// Everything that the input asks for, and since when the Data has it.
    pub tags: Vec<MatchedTag>,
}

/// A tag that an input asks for, on the Data that fills it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchedTag {
    /// The tag; it may be a pin.
    pub tag: Tag,
    /// Since when the Data has it without a break; absent only where it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// Where the Data lost it after the Run was made; absent while it has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

/// Something that happened to a Run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedStep {
    /// Of which attempt: 1, 2, ….
    pub attempt: u32,
    /// The event.
    pub moment: Moment,
    /// The status since then, if it changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Milliseconds since the step before; for the first, since it was set off.
    pub waited_ms: u64,
    /// On what those were spent.
    pub waited_for: String,
    /// Milliseconds of them during which its Plan was switched off.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub held_ms: u64,
    /// Milliseconds of them during which its Plan had as many Runs that had not ended as it may have.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub full_ms: u64,
}

/// What a Run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// In words.
    pub what: String,
    /// Since when.
    pub since: Instant,
    /// Whether its Plan is switched off: then it waits until somebody switches it on.
    pub held: bool,
    /// Milliseconds for which it has waited until now, or until the time that was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
    /// Which room its Worker waits for, as far as the runtime tells; absent where it waits for something else, and where
    /// the past is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<WantedRoom>,
}

/// The room for which a Worker waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WantedRoom {
    /// What it asks for.
    pub asked: Share,
    /// What nobody holds.
    pub free: Share,
    /// What all Workers may have together.
    pub whole: Share,
    /// Workers that came before it and wait as well; nobody overtakes.
    pub ahead: u64,
    /// Runs that hold the rest, those that hold most first; at most twenty.
    pub held_by: Vec<Holder>,
}

/// A Run whose Worker holds a part of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The Run.
    pub run_id: String,
    /// What its Worker holds.
    pub share: Share,
}

/// A part of what Workers may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What decided it, such as `worker-failed` or `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Why it failed, where nothing exited: an upload or import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was decided, and by whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Moment>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
