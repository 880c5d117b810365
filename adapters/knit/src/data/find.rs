//! `knit data find`.

use chrono::{DateTime, FixedOffset};
use clap::Args;
use knit_schemas::api::{DataDetail, Tag};
use knit_schemas::duration::GoDuration;

use crate::as_of::AsOf;
use crate::choice::Choice;
use crate::client::Query;
use crate::error::{Ask, Error, Subject};
use crate::ids::{self, Kind};
use crate::listing::{self, Column, Listed, Order, Shape};
use crate::output;
use crate::session::Session;
use crate::since::{self, range_query};

/// Find Data
///
/// Oldest first; Data that are not made yet come last. To see one Data, use `knit data show KNIT_ID`.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
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
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    order: Order,
    #[command(flatten)]
    shape: Shape,
}

impl Listed for DataDetail {
    const FIELDS: &'static [&'static str] = &["knitId", "tags", "upstream", "downstreams", "nomination"];
    const MANY: &'static str = "Data";
    const IS_OLDEST_FIRST: bool = true;
    const COLUMNS: &'static [Column] = &[
        Column::ids("DATA"),
        Column::text("TAGS", 1),
        Column::words("MADE"),
        Column::text("BY", 2),
        Column::words("USES"),
    ];

    fn id(&self) -> &str {
        &self.knit_id
    }

    fn cells(&self) -> Vec<String> {
        let system = |key: &str| self.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.clone());
        let made = system("knit#timestamp").map(|made| listing::local(&made));
        let tags: Vec<String> = self.tags.iter().filter(|tag| !tag.is_system()).map(Tag::to_string).collect();
        vec![
            self.knit_id.clone(),
            tags.join(", "),
            // What a failed Run left is stamped like everything else, and is no result.
            system("knit#transient").or(made).unwrap_or_default(),
            listing::plan(&self.upstream.run.plan),
            self.downstreams.len().to_string(),
        ]
    }
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    arguments.shape.check::<DataDetail>()?;
    let mut query: Query = arguments.tag.iter().map(|tag| ("tag", tag.to_string())).collect();
    query.extend(range_query(arguments.since, arguments.duration)?);
    let ask = Ask::question("find", Subject::AnyData);
    let client = session.client()?;
    let body = client.get_bytes_as_of(&ask, &["data"], query, &arguments.as_of).await?;
    // The wire has no such filter; the answer is looked through here, as the original does.
    let keep = |data: &DataDetail| arguments.transient.admits(is_transient(data));
    arguments.shape.print(&body, ask, arguments.order, keep)?;
    for tag in arguments.tag.iter().filter(|tag| tag.value.is_empty()) {
        output::say(format_args!(
            "note: `{tag}` asks for Data on which `{}` has no value, and not for any value",
            tag.key
        ));
    }
    ids::say_unknown(&client, Kind::Data, &pinned(&arguments.tag), &arguments.as_of).await;
    Ok(())
}

/// The ids that `tags` ask for.
pub(crate) fn pinned(tags: &[Tag]) -> Vec<String> {
    tags.iter().filter(|tag| tag.key == "knit#id").map(|tag| tag.value.clone()).collect()
}

pub(crate) fn is_transient(data: &DataDetail) -> bool {
    data.tags.iter().any(|tag| tag.key == "knit#transient")
}
