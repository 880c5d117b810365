//! `knit run wait`.

use std::io;

use clap::Args;
use knit_schemas::api::RunDetail;
use knit_schemas::duration::GoDuration;

use super::notes;
use crate::client::{Client, Query};
use crate::deadline;
use crate::error::{Ask, Error, Subject};
use crate::events::{Changes, Wanted};
use crate::ids::{self, Kind};
use crate::listing::{Order, Shape};
use crate::output;
use crate::session::Session;
use crate::waiting;

/// The events after which a Run has ended.
const ENDS: [&str; 4] = ["RunSucceeded", "RunFailed", "RunInvalidated", "RunErased"];

/// Wait until Runs have ended
///
/// Ends with 0 when all are done, with 6 when one of them has failed or was removed, and with 7 when that did not
/// happen in time. With `--output` or `--json` the Runs are printed as they ended, in the order in which they did.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o').help("How to print the Runs [default: not at all]")))]
pub(crate) struct Arguments {
    /// Wait no longer than this, such as 90s or 1h30m [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = GoDuration::parse)]
    timeout: Option<GoDuration>,
    #[command(flatten)]
    shape: Shape,
    /// Ids of the Runs
    #[arg(value_name = "RUN_ID", required = true)]
    run_ids: Vec<String>,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { timeout, shape, run_ids } = arguments;
    shape.check::<RunDetail>()?;
    let client = session.client()?;
    let mut run_ids = ids::all_whole(&client, Kind::Run, run_ids).await?;
    run_ids.sort();
    run_ids.dedup();
    let wait = Wait { client: &client, session, left: run_ids, failed: Vec::new(), ended: Vec::new() };
    let Wait { failed, ended, .. } = deadline::within(timeout, "the Runs have not ended", wait.all()).await?;
    if shape.is_named() {
        let body = serde_json::to_vec(&ended).map_err(io::Error::from)?;
        shape.print(&body, Ask::question("wait for", Subject::AnyRun), Order::default(), |_: &RunDetail| true)?;
    }
    if failed.is_empty() { Ok(()) } else { Err(Error::RunsFailed { run_ids: failed }) }
}

struct Wait<'a> {
    client: &'a Client,
    session: &'a Session,
    /// Those that have not ended.
    left: Vec<String>,
    /// Those that have failed or were removed.
    failed: Vec<String>,
    /// Those of them that have ended, but for those of which nothing is there any more.
    ended: Vec<RunDetail>,
}

impl Wait<'_> {
    async fn all(mut self) -> Result<Self, Error> {
        let position = self.look().await?;
        if !self.left.is_empty() {
            let entities = self.left.iter().map(|id| format!("run:{id}")).collect();
            let wanted = Wanted { entities, types: ENDS.map(str::to_owned).into(), ..Wanted::default() };
            let mut changes = Changes::since(self.client, wanted, position).await?;
            while !self.left.is_empty() {
                waiting::begin_purpose(&self.purpose());
                changes.next().await?;
                self.look_again().await?;
            }
        }
        Ok(self)
    }

    /// What is waited for, in words.
    fn purpose(&self) -> String {
        match &self.left[..] {
            [one] => format!("Run `{one}` to end"),
            several => format!("{} Runs to end", several.len()),
        }
    }

    /// Looks at all for the first time; one that is not there is a mistake. Answers the position from which on
    /// changes are news: that of the first answer.
    async fn look(&mut self) -> Result<Option<u64>, Error> {
        let mut first = None;
        for id in std::mem::take(&mut self.left) {
            let (run, position) = self.ask(&id).await?;
            first = first.or(position);
            self.judge(run).await;
        }
        Ok(first)
    }

    /// Looks again at those that had not ended; one that is not there any more was removed.
    async fn look_again(&mut self) -> Result<(), Error> {
        for id in std::mem::take(&mut self.left) {
            match self.ask(&id).await {
                Ok((run, _)) => self.judge(run).await,
                Err(Error::Refused(refusal)) if refusal.status == 404 => self.removed(id).await,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn ask(&self, id: &str) -> Result<(RunDetail, Option<u64>), Error> {
        let ask = Ask::question("wait for", Subject::Run(id.to_owned()));
        self.client.get_at(&ask, &["runs", id], Query::new()).await
    }

    async fn judge(&mut self, run: RunDetail) {
        let id = run.run_id.clone();
        match run.status.as_str() {
            "done" => self.session.log.line(format_args!("Run `{id}` is done")),
            "failed" => {
                self.session.log.line(format_args!("Run `{id}` has failed"));
                notes::about(self.client, &run).await.iter().for_each(output::say);
                self.failed.push(id);
            }
            "invalidated" => self.removed(id).await,
            _ => {
                self.left.push(id);
                return;
            }
        }
        self.ended.push(run);
    }

    async fn removed(&mut self, id: String) {
        self.session.log.line(format_args!("Run `{id}` was removed"));
        notes::removal(self.client, &id).await.iter().for_each(output::say);
        self.failed.push(id);
    }
}
