//! `knit admin doctor`.

use clap::Args;
use knit_schemas::api::{Finding, Verdict};

use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::telling::Telling;

/// See whether all is well with the server, and what to do where it is not
///
/// Looks at the database, disk, permissions, runtime, clock, projections and snapshots, and changes nothing. The exit
/// status is 0 if everything works, also where something should be looked after (warn), and 1 if something does not
/// (bad).
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    telling: Telling,
}

pub(crate) async fn run(arguments: Arguments, client: &Client) -> Result<(), Error> {
    let ask = Ask::question("examine", Subject::Server);
    let findings: Vec<Finding> = client.get(&ask, &["admin", "doctor"], Query::new()).await?;
    arguments.telling.tell(&findings, |findings| findings.iter().flat_map(lines).collect())?;
    match findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count() {
        0 => Ok(()),
        count => Err(Error::NotWell { count }),
    }
}

fn lines(finding: &Finding) -> Vec<String> {
    let verdict = match finding.verdict {
        Verdict::Ok => "ok  ",
        Verdict::Warn => "warn",
        Verdict::Bad => "bad ",
    };
    let mut lines = vec![format!("{verdict}  {}: {}", finding.what, finding.seen)];
    lines.extend(finding.advice.iter().map(|advice| format!("      to do: {advice}")));
    lines
}
