//! `knit events`.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use clap::{Args, ValueEnum};
use knit_schemas::api::LogEvent;

use super::{Events, Told, Wanted, ask};
use crate::error::Error;
use crate::ids::{self, Kind};
use crate::listing;
use crate::number;
use crate::output;
use crate::session::Session;
use crate::waiting;

/// Characters of a payload that are shown to people: enough to see what it is about.
const GIST_CHARS_MAX: usize = 200;

/// Print what has happened, in order, and what happens
///
/// Every event has a position; `--after` goes on behind one. When the connection breaks while following, it is made
/// again and nothing is missed.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Go on printing while things happen
    #[arg(long, short)]
    follow: bool,
    /// Begin behind this position [default: 0, the beginning]
    #[arg(long, value_name = "POSITION", default_value_t = 0, hide_default_value = true, value_parser = number::parse::<u64>)]
    after: u64,
    /// About this thing, data:ID, plan:ID or run:ID, or in streams of this kind: data, plan, run, agent, plan-catalog,
    /// journal; may be repeated, then any of them
    #[arg(long, short, value_name = "ENTITY", value_delimiter = ',')]
    entity: Vec<String>,
    /// With this name, such as RunSucceeded; may be repeated, then any of them
    #[arg(long = "type", short, value_name = "NAME", value_delimiter = ',')]
    types: Vec<String>,
    /// How to print them [default: text on a terminal, otherwise json]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line, for programs
    Json,
    /// One line each, for people
    Text,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { follow, after, entity, types, output } = arguments;
    let is_terminal = std::io::stdout().is_terminal();
    let format = output.unwrap_or(if is_terminal { Format::Text } else { Format::Json });
    let client = session.client()?;
    let mut entities = Vec::with_capacity(entity.len());
    for word in entity {
        entities.push(whole(&client, word).await?);
    }
    let wanted = Wanted { entities, types };
    let Some(mut events) = Events::open(&client, wanted, after, follow).await? else {
        return Err(Error::Unable { ask: ask() });
    };
    let mut out = output::stdout();
    while let Some(event) = events.next().await? {
        let line = match format {
            Format::Json => event.json,
            Format::Text => text(&event)?,
        };
        waiting::end();
        writeln!(out, "{line}")?;
        // Whoever follows wants each at once; for the others many are written together.
        if follow {
            out.flush()?;
        }
    }
    Ok(out.flush()?)
}

/// `data:6cd0` with the whole id.
async fn whole(client: &crate::client::Client, word: String) -> Result<String, Error> {
    let Some((name, id)) = word.split_once(':') else { return Ok(word) };
    let Some(kind) = [Kind::Data, Kind::Plan, Kind::Run].into_iter().find(|kind| kind.word() == name) else {
        return Ok(word);
    };
    let id = ids::whole(client, kind, id.to_owned()).await?;
    Ok(format!("{name}:{id}"))
}

/// Position, time, name, what it is about, by whom, and the beginning of what it says.
fn text(event: &Told) -> Result<String, Error> {
    let LogEvent { position, recorded_at, stream, event_type, actor, payload, .. } = event.read()?;
    let when = listing::local(&recorded_at.to_string());
    let mut line = format!("{position:>8}  {when}  {event_type:<20}  {} {}  by {actor}", stream.kind, stream.id);
    let says = payload.to_string();
    let gist: String = says.chars().take(GIST_CHARS_MAX).collect();
    let cut = if gist.len() < says.len() { "…" } else { "" };
    let _ = write!(line, "  {gist}{cut}");
    Ok(match output::terminal_width() {
        Some(width) => listing::cut(&line, Some(width)),
        None => line,
    })
}
