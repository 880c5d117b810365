//! The JSON of the HTTP API.
//!
//! Shapes are the original's (web-api 4), so its clients and ours are interchangeable; types under
//! *ours* at the end are additions. Three rules hold everywhere. Lists that an answer must have are
//! always arrays; optional fields are left out when empty, except a Run's `log`, which is `null`.
//! Whatever is read tolerates unknown fields, missing lists and `null` for a list. Field order in
//! the types is the order on the wire.

mod admin;
mod data;
mod difference;
mod error;
mod event;
mod explain;
mod forecast;
mod history;
mod lineage;
mod matches;
mod pair;
mod plan;
mod plan_graph;
mod redaction;
mod run;
mod tag;

use serde::{Deserialize, Deserializer};

pub use admin::{
    ADMIN_SOCKET_FILE, DayOfEvents, Finding, JSON_LINES, LogStatistics, LongStream, ProjectionState, RebuildDifference,
    RebuildOrder, RebuildStep, ReplayStep, ReplayedProjection, SOCKET_PATH_BYTES_MAX, SavedSnapshot, SkipAhead,
    SkipOrder, Skipped, Verdict,
};
pub use data::{DataDetail, DataDownstream, DataUpstream, Nomination, TagChange};
pub use difference::{Aspect, AspectName, Difference, DifferingData, DifferingPair, PairKind};
pub use error::ErrorMessage;
pub use event::{
    EVENT_STREAM, EVENT_TYPES, EVENTS_LAST_MAX, EVENTS_SILENCE_SECONDS_MAX, EventMark, EventStream,
    LAST_EVENT_ID_HEADER, LogEvent, Seal, SealedEvent, Why,
};
pub use explain::{
    ExplainedInput, ExplainedStep, Failure, Holder, MatchedTag, Moment, RunExplanation, Share, Trigger, TriggerKind,
    Waiting, WantedRoom,
};
pub use forecast::{DayOfRuns, ForecastData, PastRuns, PlanForecast, PlanOrForecast};
pub use history::{ArchiveOrder, ArchiveStep, ArchivedSegment, ImportEnd, SegmentDone};
pub use lineage::{LineageData, LineageEdge, LineageGraph, LineageRun};
pub use matches::{DataVerdict, InputMatches, MisspeltTag, PlanMatches, Producer, RemovedRun};
pub use pair::{MalformedPair, Pair};
pub use plan::{
    AnnotationChange, LogPoint, Mountpoint, OnNode, PlanDetail, PlanDownstream, PlanInput, PlanLog, PlanOutput,
    PlanSpec, PlanSummary, PlanUpstream, ResourceChange, ServiceAccount,
};
pub use plan_graph::{GraphPlan, PlanEdge, PlanGraph};
pub use redaction::{RedactOrder, Redactable, RedactedEvent, Redaction};
pub use run::{Attempt, AttemptLog, Exit, RunDetail, RunLog, RunMountpoint, RunSummary};
pub use tag::{MalformedTag, Tag};

/// What both programs answer to `--version`, and the API of the original that they speak.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"), " (API of Knitfab v1.6.1)");

/// Content type of every JSON body.
pub const JSON: &str = "application/json";
/// Content type of Data in transfer.
pub const TAR_GZIP: &str = "application/tar+gzip";
/// Content type of a Run's log.
pub const OCTET_STREAM: &str = "application/octet-stream";
/// Trailer with the lower-case hex MD5 of the compressed bytes of a transfer.
pub const CHECKSUM_TRAILER: &str = "x-checksum-md5";
/// Header (ours) with the log position an answer reflects.
pub const POSITION_HEADER: &str = "x-knit-position";
/// Header (ours) with the id that a conflict speaks of, such as the equivalent Plan's.
pub const SEE_HEADER: &str = "x-knit-see";

/// Header (ours) of a Data in transfer that is not what its Run makes of it in the end, with the value of its tag
/// `knit#transient`.
pub const TRANSIENT_HEADER: &str = "x-knit-transient";

/// Decodes the first JSON value of `body`; what follows it is ignored, as the original does.
///
/// # Errors
/// The body is not JSON of this shape.
pub fn decode<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, serde_json::Error> {
    match str::from_utf8(body) {
        // Checking a long text at once takes a fraction of what checking each string in it takes.
        Ok(text) => T::deserialize(&mut serde_json::Deserializer::from_str(text)),
        Err(_) => T::deserialize(&mut serde_json::Deserializer::from_slice(body)),
    }
}

/// Reads `null` as the default: clients send `null` for empty lists.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A type whose JSON is one string of a notation: serde through `Display` and a parser, and its schema.
macro_rules! text_schema {
    ($name:ident, $example:literal, $pattern:literal, $description:literal) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .description(Some($description))
                    .examples([$example])
                    .pattern(Some($pattern))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(crate) use text_schema;

#[cfg(test)]
mod tests;
