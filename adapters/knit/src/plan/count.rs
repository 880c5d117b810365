//! How many Runs a Plan would get, counted before it is registered: for servers that cannot decide it themselves.

use knit_schemas::api::{DataDetail, PlanSpec};

use crate::client::{Client, Query};
use crate::data::is_transient;
use crate::error::{Ask, Error, Subject};

/// Refuses a Plan whose inputs find so many Data that it would get more than `runs_max` Runs.
///
/// # Errors
/// [`Error::TooManyRuns`] if it would.
pub(super) async fn check(client: &Client, spec: &PlanSpec, runs_max: u64) -> Result<(), Error> {
    let (mut runs, mut candidates) = (1_u64, Vec::with_capacity(spec.inputs.len()));
    for input in &spec.inputs {
        let query: Query = input.tags.iter().map(|tag| ("tag", tag.to_string())).collect();
        let ask = Ask::question("find", Subject::AnyData);
        let found: Vec<DataDetail> = client.get(&ask, &["data"], query).await?;
        let count = found.iter().filter(|data| !is_transient(data)).count() as u64;
        runs = runs.saturating_mul(count);
        candidates.push((input.path.clone(), count));
    }
    if runs > runs_max {
        return Err(Error::TooManyRuns { runs, runs_max, candidates });
    }
    Ok(())
}
