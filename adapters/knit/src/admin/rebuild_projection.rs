//! `knit admin rebuild-projection`.

use clap::Args;
use knit_schemas::api::{ProjectionState, RebuildOrder, RebuildStep};

use super::steps::{self, Outcome};
use crate::client::{Client, Query};
use crate::error::{Ask, Error, Refusal, Subject};
use crate::telling::Telling;

/// What stands for every projection.
const ALL: &str = "all";

/// Fold a projection again beside the live one, compare both, and switch
///
/// Nobody notices while it lasts, but for the memory that a second copy takes. Where the two differ, the first entry
/// in which they do is told, the live one stays where it is, and the exit status is 1; with --replace it is replaced
/// all the same, and kept. Every event is held against its leaf; where the log was changed, nothing is compared or
/// replaced, and the exit status is 8. Ctrl-C cancels it. A rebuild that is broken off changes nothing; what it had
/// folded is kept, and the next one of the same program goes on from there, unless it is to fold --from-start.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Compare only; the live one stays where it is
    #[arg(long)]
    verify_only: bool,
    /// Keep the one that is replaced, for `knit admin rollback`, until the server stops
    #[arg(long)]
    keep_old: bool,
    /// Switch also if the two differ
    #[arg(long, conflicts_with = "verify_only")]
    replace: bool,
    /// Fold every event, also those that a rebuild that was broken off has folded
    #[arg(long)]
    from_start: bool,
    /// End the rebuild of it that is under way, wait until it has ended, and begin none
    #[arg(long, conflicts_with_all = ["verify_only", "keep_old", "replace", "from_start"])]
    cancel: bool,
    #[command(flatten)]
    telling: Telling,
    /// Name of the projection, or `all` for one after another
    #[arg(value_name = "PROJECTION|all")]
    projection: String,
}

pub(crate) async fn run(arguments: Arguments, client: &Client) -> Result<(), Error> {
    let Arguments { verify_only, keep_old, replace, from_start, cancel, telling, projection } = arguments;
    let names = if projection == ALL { names(client).await? } else { vec![projection] };
    if cancel {
        return cancel_one(client, &names).await;
    }
    let order = RebuildOrder { verify_only, keep_old, replace, from_start };
    let mut outcomes = Vec::new();
    for name in &names {
        let outcome = steps::follow(client, "rebuild", (name, "rebuild"), &order).await?;
        // Of one that differs the others know nothing; what keeps one from being rebuilt keeps them all.
        let keeps_all = matches!(
            outcome.end,
            RebuildStep::Cancelled { .. } | RebuildStep::Flawed { .. } | RebuildStep::Failed { .. }
        );
        let is_last = outcome.by_ctrl_c || keeps_all;
        outcomes.push(outcome);
        if is_last {
            break;
        }
    }
    telling.tell(&outcomes, |outcomes| outcomes.iter().flat_map(Outcome::lines).collect())?;
    outcomes.iter().try_for_each(Outcome::check)
}

async fn names(client: &Client) -> Result<Vec<String>, Error> {
    let ask = Ask::question("show", Subject::Projections);
    let states: Vec<ProjectionState> = client.get(&ask, &["admin", "projections"], Query::new()).await?;
    Ok(states.into_iter().map(|state| state.name).collect())
}

/// Ends the rebuilds that are under way; of several that one is, is enough.
async fn cancel_one(client: &Client, names: &[String]) -> Result<(), Error> {
    let mut refused = None;
    let is_one = names.len() == 1;
    for name in names {
        match steps::cancel(client, name).await {
            Ok(()) => return Ok(()),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        None => Ok(()),
        Some(Error::Refused(refusal)) if !is_one && refusal.status == 404 => {
            let ask = Ask::order("end a rebuild of", Subject::Projections);
            Err(Refusal::missing(ask, "none of them is being rebuilt".to_owned()))
        }
        Some(error) => Err(error),
    }
}
