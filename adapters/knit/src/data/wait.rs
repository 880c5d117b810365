//! `knit data wait`.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use knit_schemas::api::{DataDetail, Tag};
use knit_schemas::duration::GoDuration;
use tokio::time::{Instant, sleep_until};

use super::find::is_transient;
use crate::client::{self, Client, Query};
use crate::deadline;
use crate::error::{Ask, Error, Subject};
use crate::events::{Changes, Wanted};
use crate::listing::{Order, Shape};
use crate::number;
use crate::session::Session;
use crate::waiting;

/// The events after which other Data may fit.
const CHANGES: [&str; 2] = ["RunSucceeded", "DataTagsChanged"];
/// The shortest pause between two looks: on a busy server something happens all the time, and most of it elsewhere.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// Wait until there are Data with certain tags, and print them
///
/// Only Data that are finished count. Ends with 7 when there are not enough in time.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    /// Data must have this tag, system tags included; may be repeated, then all of them
    #[arg(long, short, value_name = "KEY:VALUE", value_parser = Tag::parse, required = true)]
    tag: Vec<Tag>,
    /// How many there must be
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = how_many)]
    count: usize,
    /// Wait no longer than this, such as 90s or 1h30m [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = GoDuration::parse)]
    timeout: Option<GoDuration>,
    #[command(flatten)]
    shape: Shape,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { tag, count, timeout, shape } = arguments;
    shape.check::<DataDetail>()?;
    let client = session.client()?;
    let query: Query = tag.iter().map(|tag| ("tag", tag.to_string())).collect();
    let what = if count == 1 { "there is no such Data".to_owned() } else { format!("there are not {count} such Data") };
    let body = deadline::within(timeout, &what, enough(&client, &query, count)).await?;
    shape.print(&body, ask(), Order::default(), |data: &DataDetail| !is_transient(data))
}

fn how_many(text: &str) -> Result<usize, String> {
    match number::parse(text)? {
        0 => Err("nothing is waited for then: write 1 or more".to_owned()),
        count => Ok(count),
    }
}

fn ask() -> Ask {
    Ask::question("wait for", Subject::AnyData)
}

/// The first answer in which at least `count` Data are finished.
async fn enough(client: &Client, query: &Query, count: usize) -> Result<Bytes, Error> {
    let mut changes = None;
    loop {
        let looked_at = Instant::now();
        let (body, position) = client.get_bytes_at(&ask(), &["data"], query.clone()).await?;
        let found: Vec<DataDetail> = client::understand(&ask(), &body)?;
        let finished = found.iter().filter(|data| !is_transient(data)).count();
        if finished >= count {
            return Ok(body);
        }
        let changes = match &mut changes {
            Some(changes) => changes,
            none => {
                let wanted = Wanted { types: CHANGES.map(str::to_owned).into(), ..Wanted::default() };
                none.insert(Changes::since(client, wanted, position).await?)
            }
        };
        let tags: String = query.iter().map(|(_, tag)| format!(" `{tag}`")).collect();
        waiting::begin_purpose(&format_args!("{count} finished Data with{tags}; so far {finished}"));
        changes.next().await?;
        sleep_until(looked_at + PAUSE_MIN).await;
    }
}
