//! `knit run find`.

use chrono::{DateTime, FixedOffset};
use clap::Args;
use clap::builder::PossibleValuesParser;
use knit_schemas::api::RunDetail;
use knit_schemas::duration::GoDuration;

use crate::client::Query;
use crate::error::{Ask, Error, Subject};
use crate::output;
use crate::session::Session;
use crate::since::{self, range_query};

/// The states that can be asked for. Anything else is told here, where it can be told how to write it.
const STATUSES: [&str; 9] =
    ["deactivated", "waiting", "ready", "starting", "running", "completing", "aborting", "done", "failed"];

/// Find Runs and print them as a JSON array
///
/// The one that changed longest ago comes first. Values of one option are alternatives; all options
/// must fit.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Of this Plan; may be repeated
    #[arg(long, short, value_name = "PLAN_ID")]
    planid: Vec<String>,
    /// With this Data in an input; may be repeated
    #[arg(long, short, value_name = "KNIT_ID")]
    in_knitid: Vec<String>,
    /// With this Data as an output or as the log; may be repeated
    #[arg(long, short, value_name = "KNIT_ID")]
    out_knitid: Vec<String>,
    /// In this state; may be repeated. Runs that are removed (`invalidated`) are listed, but cannot be asked for
    #[arg(long, short, value_name = "STATUS", value_delimiter = ',', value_parser = PossibleValuesParser::new(STATUSES))]
    status: Vec<String>,
    /// Updated at or after this time, such as 2025-03-03 or 2025-03-03T10:15:30+09:00
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    since: Option<DateTime<FixedOffset>>,
    /// Updated at most so long after `--since`, such as 1h30m
    #[arg(long, value_name = "DURATION", value_parser = GoDuration::parse)]
    duration: Option<GoDuration>,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { planid, in_knitid, out_knitid, status, since, duration } = arguments;
    let mut query = Query::new();
    for (name, values) in
        [("plan", planid), ("knitIdInput", in_knitid), ("knitIdOutput", out_knitid), ("status", status)]
    {
        if !values.is_empty() {
            query.push((name, values.join(",")));
        }
    }
    query.extend(range_query(since, duration)?);
    let ask = Ask::question("find", Subject::AnyRun);
    let body = session.client()?.get_bytes(&ask, &["runs"], query).await?;
    output::json_array(&body, |_: &RunDetail| true)?.map_err(|source| Error::Unintelligible { ask, source })
}
