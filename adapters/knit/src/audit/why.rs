//! `knit audit why`.

use std::io::Write as _;

use clap::Args;
use knit_schemas::api::Why;

use super::chain;
use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::events::{Beginning, Events, Wanted};
use crate::ids::{self, Kind};
use crate::number;
use crate::output;
use crate::session::Session;
use crate::telling::Telling;
use crate::tree::Style;

/// Digits alone are a position up to so many; the beginning of an id is longer, or has letters.
const RUN_PREFIX: &str = "run:";

/// Say what led to an event or a Run, and what it led to
///
/// First the events that led to it, one following from the other, the oldest first; then, as a tree, all that followed
/// from it. Of a Run it is asked why it was made. Digits are a position; write run:1234 for a Run whose id begins so.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    telling: Telling,
    /// Tell at most so many consequences, the first ones [default: 1000]
    #[arg(long, value_name = "N", value_parser = number::parse::<u64>)]
    limit: Option<u64>,
    /// Draw each of many that are alike, and what is far away
    #[arg(long)]
    unfold: bool,
    /// Position of an event, or id of a Run
    #[arg(value_name = "POSITION|RUN_ID")]
    what: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let client = session.client()?;
    let position = position(&client, &arguments.what).await?;
    let ask = Ask::question("explain", Subject::Event(position));
    let query: Query = arguments.limit.iter().map(|limit| ("limit", limit.to_string())).collect();
    let told: Result<Why, Error> = client.get(&ask, &["events", &position.to_string(), "why"], query).await;
    let told = told.map_err(Error::if_unable)?;
    arguments.telling.show(&told, |told| {
        let mut out = output::stdout();
        chain::draw(told, Style::of_stdout(session, !arguments.unfold), &mut out)?;
        Ok(out.flush()?)
    })
}

/// The position that is meant: of a Run, that of the event that made it.
async fn position(client: &Client, what: &str) -> Result<u64, Error> {
    // Nobody writes a position with zeros in front, and many an id begins with one.
    if let (Ok(position), false) = (what.parse(), what.len() > 1 && what.starts_with('0')) {
        return Ok(position);
    }
    let typed = what.strip_prefix(RUN_PREFIX).unwrap_or(what);
    let run_id = ids::whole(client, Kind::Run, typed.to_owned()).await?;
    let ask = Ask::question("explain", Subject::Run(run_id.clone()));
    if run_id.len() != ids::ID_CHARS {
        // No id begins so; that is said as of any other question about a Run.
        client.get_bytes(&ask, &["runs", &run_id], Query::new()).await?;
    }
    // The log still has a Run that was removed.
    let wanted = Wanted { entities: vec![format!("{RUN_PREFIX}{run_id}")], ..Wanted::default() };
    let Some(mut events) = Events::open(client, wanted, Beginning::Behind(0), false).await? else {
        return Err(Error::Unable { ask });
    };
    while let Some(told) = events.next().await? {
        let event = told.read()?;
        if event.stream.kind == Kind::Run.word() && event.stream.id == run_id {
            return Ok(told.position);
        }
    }
    // Of what never was, this says so in the words of every other question.
    client.get_bytes(&ask, &["runs", &run_id], Query::new()).await?;
    Err(Error::Unable { ask })
}
