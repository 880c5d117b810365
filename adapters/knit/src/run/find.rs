//! `knit run find`.

use chrono::{DateTime, FixedOffset};
use clap::Args;
use clap::builder::PossibleValuesParser;
use knit_schemas::api::RunDetail;
use knit_schemas::duration::GoDuration;

use crate::as_of::AsOf;
use crate::client::Query;
use crate::error::{Ask, Error, Subject};
use crate::ids::{self, Kind};
use crate::listing::{self, Column, Listed, Order, Shape};
use crate::session::Session;
use crate::since::{self, range_query};

use super::notes;

/// The states that can be asked for. Anything else is told here, where it can be told how to write it.
pub(crate) const STATUSES: [&str; 9] =
    ["deactivated", "waiting", "ready", "starting", "running", "completing", "aborting", "done", "failed"];

/// The state of what was removed, which the wire lists and does not let anybody ask for.
const REMOVED: &str = "invalidated";
/// What people write after an `-o` that names a Data here.
const FORMATS: [&str; 4] = ["json", "yaml", "table", "name"];

/// Find Runs
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
    /// In this state; may be repeated. Runs that were removed are `invalidated`
    #[arg(long, short, value_name = "STATUS", value_delimiter = ',', value_parser = PossibleValuesParser::new(STATUSES.into_iter().chain([REMOVED])))]
    status: Vec<String>,
    /// Updated at or after this time, such as 2025-03-03 or 2025-03-03T10:15:30+09:00
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    since: Option<DateTime<FixedOffset>>,
    /// Updated at most so long after `--since`, such as 1h30m
    #[arg(long, value_name = "DURATION", value_parser = GoDuration::parse)]
    duration: Option<GoDuration>,
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    order: Order,
    #[command(flatten)]
    shape: Shape,
}

impl Listed for RunDetail {
    const FIELDS: &'static [&'static str] =
        &["runId", "status", "updatedAt", "exit", "plan", "inputs", "outputs", "log"];
    const MANY: &'static str = "Runs";
    const IS_OLDEST_FIRST: bool = true;
    const COLUMNS: &'static [Column] = &[
        Column::ids("RUN"),
        Column::words("STATUS"),
        Column::ids("PLAN"),
        Column::text("COMMAND", 1),
        Column::words("SINCE"),
        Column::text("EXIT", 1),
    ];

    fn id(&self) -> &str {
        &self.run_id
    }

    fn cells(&self) -> Vec<String> {
        let exit = self.exit.as_ref().map(|exit| match notes::news(exit, &self.plan.plan_id).as_str() {
            "" => exit.code.to_string(),
            message => format!("{} {message}", exit.code),
        });
        vec![
            self.run_id.clone(),
            self.status.clone(),
            self.plan.plan_id.clone(),
            listing::command(&self.plan),
            listing::local(&self.updated_at.to_string()),
            exit.unwrap_or_default(),
        ]
    }
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { planid, in_knitid, out_knitid, status, since, duration, as_of, order, shape } = arguments;
    shape.check::<RunDetail>()?;
    if let Some(format) = out_knitid.iter().find(|typed| FORMATS.contains(&typed.as_str())) {
        let why = format!(
            "`-o` names a Data that an output makes, and `{format}` is none; did you mean `--output {format}`?"
        );
        return Err(Error::Usage(why));
    }
    let client = session.client()?;
    let planid = ids::all_whole_as_of(&client, Kind::Plan, planid, &as_of).await?;
    let in_knitid = ids::all_whole_as_of(&client, Kind::Data, in_knitid, &as_of).await?;
    let out_knitid = ids::all_whole_as_of(&client, Kind::Data, out_knitid, &as_of).await?;
    let with_removed = status.iter().any(|status| status == REMOVED);
    let asked_status = if with_removed { Vec::new() } else { status.clone() };
    let mut query = Query::new();
    for (name, values) in
        [("plan", &planid), ("knitIdInput", &in_knitid), ("knitIdOutput", &out_knitid), ("status", &asked_status)]
    {
        if !values.is_empty() {
            query.push((name, values.join(",")));
        }
    }
    query.extend(range_query(since, duration)?);
    let ask = Ask::question("find", Subject::AnyRun);
    let body = client.get_bytes_as_of(&ask, &["runs"], query, &as_of).await?;
    shape.print(&body, ask, order, |run: &RunDetail| !with_removed || status.contains(&run.status))?;
    for (kind, named) in [(Kind::Plan, planid), (Kind::Data, in_knitid), (Kind::Data, out_knitid)] {
        ids::say_unknown(&client, kind, &named, &as_of).await;
    }
    Ok(())
}
