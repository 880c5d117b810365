//! `knit admin projections`.

use clap::Args;
use knit_schemas::api::ProjectionState;
use serde::{Deserialize, Serialize};

use super::bytes;
use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::listing::{Column, Listed, Order, Shape};
use crate::output;
use crate::telling::time;

/// Digits of a digest that a table shows: enough to see whether two are equal.
const DIGEST_DIGITS: usize = 16;

/// Show up to where each projection has come, and how it is
///
/// A projection is what the server knows, folded from the log and kept in memory. One that has stopped at an event
/// which it cannot apply shows what was before it.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    /// Tell what the content of each comes to: equal projections have equal digests, on every server of a log. A table
    /// shows the beginning, beside less of the rest, and JSON the whole
    #[arg(long)]
    digest: bool,
    #[command(flatten)]
    shape: Shape,
}

impl Listed for ProjectionState {
    const FIELDS: &'static [&'static str] = &[
        "name",
        "state",
        "position",
        "lag",
        "revision",
        "memoryBytes",
        "snapshot",
        "snapshotBytes",
        "snapshotSavedAt",
        "snapshotsKept",
        "previous",
        "skipped",
        "why",
        "digest",
    ];
    const MANY: &'static str = "projections";
    const IS_OLDEST_FIRST: bool = false;
    const COLUMNS: &'static [Column] = &[
        Column::words("PROJECTION"),
        Column::words("STATE"),
        Column::words("POSITION"),
        Column::words("LAG"),
        Column::words("REVISION"),
        Column::words("MEMORY"),
        Column::words("SNAPSHOT"),
        Column::words("SAVED"),
        Column::words("SIZE"),
        Column::words("PREVIOUS"),
    ];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self) -> Vec<String> {
        let at = |position: Option<u64>| position.map_or_else(|| "-".to_owned(), |position| position.to_string());
        vec![
            self.name.clone(),
            self.state.clone(),
            self.position.to_string(),
            self.lag.to_string(),
            self.revision.to_string(),
            bytes::told(self.memory_bytes),
            at(self.snapshot),
            self.snapshot_saved_at.map_or_else(|| "-".to_owned(), time),
            self.snapshot_bytes.map_or_else(|| "-".to_owned(), bytes::told),
            at(self.previous),
        ]
    }
}

/// The same, of which a table shows the digest: that has room on a terminal only beside little else.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
struct Digested(ProjectionState);

impl Listed for Digested {
    const FIELDS: &'static [&'static str] = ProjectionState::FIELDS;
    const MANY: &'static str = ProjectionState::MANY;
    const IS_OLDEST_FIRST: bool = ProjectionState::IS_OLDEST_FIRST;
    const COLUMNS: &'static [Column] = &[
        Column::words("PROJECTION"),
        Column::words("STATE"),
        Column::words("POSITION"),
        Column::words("REVISION"),
        Column::words("DIGEST"),
    ];

    fn id(&self) -> &str {
        self.0.id()
    }

    fn cells(&self) -> Vec<String> {
        let Self(ProjectionState { name, state, position, revision, digest, .. }) = self;
        let digest = digest.as_deref().map_or("-", |digest| digest.get(..DIGEST_DIGITS).unwrap_or(digest));
        vec![name.clone(), state.clone(), position.to_string(), revision.to_string(), digest.to_owned()]
    }
}

pub(crate) async fn run(arguments: Arguments, client: &Client) -> Result<(), Error> {
    arguments.shape.check::<ProjectionState>()?;
    let ask = Ask::question("show", Subject::Projections);
    let query = if arguments.digest { vec![("digest", String::new())] } else { Query::new() };
    let body = client.get_bytes(&ask, &["admin", "projections"], query).await?;
    if arguments.digest {
        arguments.shape.print(&body, ask, Order::default(), |_: &Digested| true)?;
    } else {
        arguments.shape.print(&body, ask, Order::default(), |_: &ProjectionState| true)?;
    }
    let states: Vec<ProjectionState> = serde_json::from_slice(&body).unwrap_or_default();
    for state in states {
        let Some(why) = state.why else { continue };
        let (name, next) = (state.name, state.position + 1);
        output::say(format_args!("warning: `{name}` has stopped: {why}"));
        output::say(format_args!(
            "hint: a newer `knitd` may be able to apply it; `knit admin skip {next} --projection {name} --reason TEXT` \
             passes over it"
        ));
    }
    Ok(())
}
