//! `knit data find`.

use chrono::{DateTime, FixedOffset};
use clap::Args;
use knit_schemas::api::{DataDetail, Tag};
use knit_schemas::duration::GoDuration;

use crate::client::Query;
use crate::error::{Ask, Error, Subject};
use crate::session::Session;
use crate::since::{self, range_query};
use crate::{choice::Choice, output};

/// Find Data and print them as a JSON array
///
/// Oldest first; Data that are not made yet come last. To see one Data, use `--tag knit#id:KNIT_ID`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Data must have this tag, system tags included; may be repeated, then all of them
    #[arg(long, short, value_name = "KEY:VALUE", value_parser = Tag::parse)]
    tag: Vec<Tag>,
    /// Data that are not usable, because their Run has not ended or has failed: with them, only them, or without
    #[arg(long, value_enum, value_name = "WHICH", default_value = "both")]
    transient: Choice,
    /// Finished at or after this time, such as 2025-03-03 or 2025-03-03T10:15:30+09:00
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    since: Option<DateTime<FixedOffset>>,
    /// At most so long after `--since`, such as 1h30m
    #[arg(long, value_name = "DURATION", value_parser = GoDuration::parse)]
    duration: Option<GoDuration>,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let mut query: Query = arguments.tag.iter().map(|tag| ("tag", tag.to_string())).collect();
    query.extend(range_query(arguments.since, arguments.duration)?);
    let ask = Ask::question("find", Subject::AnyData);
    let body = session.client()?.get_bytes(&ask, &["data"], query).await?;
    // The wire has no such filter; the answer is looked through here, as the original does.
    let keep = |data: &DataDetail| arguments.transient.admits(is_transient(data));
    output::json_array(&body, keep)?.map_err(|source| Error::Unintelligible { ask, source })
}

fn is_transient(data: &DataDetail) -> bool {
    data.tags.iter().any(|tag| tag.key == "knit#transient")
}
