//! *Ours.* What a Plan would start if it were registered.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{InputMatches, LineageEdge, PlanDetail, Tag};

/// What a Plan that is not registered would start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanForecast {
    /// The position that the answer is about.
    pub as_of: u64,
    /// Runs that registering it would create: one for every combination of Data that fits.
    pub runs: u64,
    /// Runs that would be created at once; the others follow as these end.
    pub at_once: u64,
    /// What each input finds.
    pub inputs: Vec<InputMatches>,
    /// What would keep its Runs from running on this server as it is, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub notes: Vec<String>,
    /// The first of the Runs, as many as were asked for, each as the Data on its inputs.
    pub first: Vec<Vec<LineageEdge>>,
    /// The Data that these take, with their tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<ForecastData>,
    /// What it would have created, had it always been registered; absent unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<PastRuns>,
}

/// A Data that a Run to come would take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastData {
    /// The Data.
    pub knit_id: String,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// How many Runs a Plan would have had, by the day on which their last Data came to fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastRuns {
    /// Before the first of the days.
    pub before: u64,
    /// One for every day that was asked for, the last being today.
    pub days: Vec<DayOfRuns>,
    /// Whether the numbers are exact; otherwise it would have been at least so many.
    pub exact: bool,
}

/// The Runs of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DayOfRuns {
    /// The day, in UTC.
    #[schema(example = "2025-03-03")]
    pub day: String,
    /// Runs that would have been created on it.
    pub runs: u64,
}

/// The answer to a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum PlanOrForecast {
    /// The Plan is registered.
    Plan(Box<PlanDetail>),
    /// Nothing is registered: it was only asked what would be.
    Forecast(Box<PlanForecast>),
}
