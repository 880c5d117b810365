//! `knit events`.

use std::io::{self, Write as _};

use clap::Args;
use knit_schemas::api::{EVENTS_LAST_MAX, LogEvent};

use super::{Beginning, Events, Wanted, ask};
use crate::as_of;
use crate::client::Client;
use crate::error::Error;
use crate::form::{Form, Format, Told};
use crate::ids::{self, Kind};
use crate::listing::{self, screenful};
use crate::number;
use crate::output;
use crate::session::Session;
use crate::telling;
use crate::waiting;

/// Characters of a payload that are shown to people: enough to see what it is about.
const GIST_CHARS_MAX: usize = 200;

/// Blanks before what an event says, if that has a line of its own: as wide as a position, and a gap.
const BLANKS_BEFORE_GIST: usize = 10;

/// Print what has happened, in order, and what happens
///
/// Every event has a position; `--after` goes on behind one. When the connection breaks while following, it is made
/// again and nothing is missed.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    /// Go on printing while things happen
    #[arg(long, short)]
    follow: bool,
    /// Begin behind this position [default: 0, the beginning]
    #[arg(long, value_name = "POSITION", value_parser = number::parse::<u64>)]
    after: Option<u64>,
    /// Begin so that at most the last N of them are printed
    #[arg(long, value_name = "N", conflicts_with = "after", value_parser = last_count)]
    last: Option<usize>,
    /// Print at most so many, from the first on; 0 prints all [default: on a terminal the newest that a screen holds, else
    /// all]
    #[arg(long, value_name = "NUMBER", value_parser = number::parse::<usize>)]
    limit: Option<usize>,
    /// About this thing, data:ID, plan:ID or run:ID, or in streams of this kind: data, plan, run, agent, plan-catalog,
    /// journal; may be repeated, then any of them
    #[arg(long, short, value_name = "ENTITY", value_delimiter = ',', value_parser = filter)]
    entity: Vec<String>,
    /// With this name, such as RunSucceeded; may be repeated, then any of them
    #[arg(long = "type", short, value_name = "NAME", value_delimiter = ',', value_parser = filter)]
    types: Vec<String>,
    /// By this user or part of the server, such as reactor:finishing, or reactor for all its parts; may be repeated,
    /// then any of them
    #[arg(long, value_name = "ACTOR", value_delimiter = ',', value_parser = filter)]
    actor: Vec<String>,
    /// Set in motion by one request: the correlation of its events, or what its client sent as `x-request-id` or
    /// `traceparent`; may be repeated, then any of them
    #[arg(long, value_name = "CORRELATION", value_delimiter = ',', value_parser = filter)]
    correlation: Vec<String>,
    /// Recorded then or later: a position of the log, a time such as 2025-03-03T10:15, or `2h ago` or `3d ago`
    #[arg(long, value_name = "TIME", value_parser = as_of::parse)]
    since: Option<String>,
    /// Recorded then or earlier, in the same forms
    #[arg(long, value_name = "TIME", value_parser = as_of::parse, conflicts_with = "follow")]
    until: Option<String>,
    #[command(flatten)]
    form: Form,
}

impl Told for LogEvent {
    const FIELDS: &'static [&'static str] = &[
        "position",
        "eventId",
        "recordedAt",
        "stream",
        "sequence",
        "type",
        "version",
        "actor",
        "correlation",
        "causation",
        "payload",
    ];

    /// By its position it is asked for.
    fn ids(&self) -> Vec<String> {
        vec![self.position.to_string()]
    }
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { follow, after, last, limit, entity, types, actor, correlation, since, until, form } = arguments;
    form.check(LogEvent::FIELDS)?;
    check_order(since.as_deref(), until.as_deref())?;
    let client = session.client()?;
    let mut entities = Vec::with_capacity(entity.len());
    for word in entity {
        entities.push(whole(&client, word).await?);
    }
    let newest = screen(&form).filter(|_| after.is_none() && last.is_none() && limit.is_none());
    // One more than is shown tells whether there are more; who follows is told nothing of it.
    let asked = newest.map(|newest| if follow { newest } else { newest + 1 });
    let begins = last.or(asked).map_or(Beginning::Behind(after.unwrap_or(0)), Beginning::Last);
    let wanted = Wanted { entities, types, actors: actor, correlations: correlation, since, until };
    let events = Events::open(&client, wanted, begins, follow).await?;
    let mut events = events.ok_or_else(|| Error::Unable { ask: ask() })?;
    let printing = Printing { form: &form, follow, limit: limit.filter(|limit| *limit > 0) };
    match newest {
        Some(newest) if follow => printing.all(&mut events, Some(newest)).await,
        Some(newest) => printing.newest(&mut events, newest).await,
        None => printing.all(&mut events, None).await,
    }
}

/// Nothing lies between two positions that are the wrong way round; who asked so has mixed them up. Of times the server
/// knows where they are.
fn check_order(since: Option<&str>, until: Option<&str>) -> Result<(), Error> {
    let position = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    match (position(since), position(until)) {
        (Some(since), Some(until)) if until < since => {
            Err(Error::Usage(format!("`--until {until}` lies before `--since {since}`: nothing is between them")))
        }
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

/// How many events fit on the terminal that standard output is, if people read them there.
fn screen(form: &Form) -> Option<usize> {
    let rows = output::terminal_height().filter(|_| form.is_for_people());
    rows.map(|rows| screenful(rows).min(EVENTS_LAST_MAX - 1))
}

/// How events are printed.
struct Printing<'a> {
    form: &'a Form,
    follow: bool,
    limit: Option<usize>,
}

impl Printing<'_> {
    /// Prints events as they come. Of those that were there only the `newest` may be.
    async fn all(&self, events: &mut Events<'_>, newest: Option<usize>) -> Result<(), Error> {
        let mut out = output::stdout();
        if let Some(newest) = newest {
            output::say(format_args!("here are the newest {newest}, and what happens: `--limit 0` for all"));
        }
        let mut printed = 0;
        while self.limit.is_none_or(|limit| printed < limit) {
            let Some(event) = events.next().await? else { break };
            let line = line(&event, self.form)?;
            waiting::end();
            writeln!(out, "{line}")?;
            printed += 1;
            // Whoever follows wants each at once; for the others many are written together.
            if self.follow {
                out.flush()?;
            }
        }
        Ok(out.flush()?)
    }

    /// Prints the newest that have room in so many rows, and says so where there are others: a whole log would only
    /// scroll by.
    async fn newest(&self, events: &mut Events<'_>, rows: usize) -> Result<(), Error> {
        let mut lines = Vec::new();
        while let Some(event) = events.next().await? {
            lines.push(line(&event, self.form)?);
        }
        let newest = lines.iter().rev().scan(0, |taken, told| {
            *taken += told.lines().count();
            (*taken <= rows).then_some(())
        });
        let newest = newest.count();
        let more = lines.len() - newest;
        if more > 0 {
            output::say(format_args!("here are the newest {newest} events: `--last N` for more, `--limit 0` for all"));
        }
        let mut out = output::stdout();
        lines[more..].iter().try_for_each(|line| writeln!(out, "{line}"))?;
        Ok(out.flush()?)
    }
}

/// What is printed of an event: JSON is a line as it came, and YAML a document in a stream of them.
fn line(event: &super::Told, form: &Form) -> Result<String, Error> {
    match form.format() {
        Format::Table => text(event),
        Format::Json if form.picks() => {
            let event = event.read()?;
            Ok(form.picked(&event).and_then(|event| serde_json::to_string(&event)).map_err(io::Error::from)?)
        }
        Format::Json => Ok(event.json.clone()),
        Format::Yaml => {
            Ok(format!("---\n{}", serde_yaml_ng::to_string(&event.read()?).map_err(io::Error::other)?.trim_end()))
        }
        Format::Name => Ok(event.position.to_string()),
    }
}

fn last_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=EVENTS_LAST_MAX) => Ok(count),
        _ => Err(format!("write a number from 1 to {EVENTS_LAST_MAX}")),
    }
}

/// What events are to have. Nothing has an empty one, so all would be left out, mostly by an empty variable.
fn filter(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("it is empty, and no event would fit: leave the option out, or name something")
    } else {
        Ok(text.to_owned())
    }
}

/// `data:6cd0` with the whole id of what is or was there: nothing is ever said about anything else.
async fn whole(client: &Client, word: String) -> Result<String, Error> {
    let Some((name, id)) = word.split_once(':') else { return Ok(word) };
    let Some(kind) = [Kind::Data, Kind::Plan, Kind::Run].into_iter().find(|kind| kind.word() == name) else {
        return Ok(word);
    };
    let id = ids::whole_of_known(client, kind, id.to_owned()).await?;
    Ok(format!("{name}:{id}"))
}

/// Position, time, name, what it is about, by whom, and the beginning of what it says: that in a line of its own where
/// not all has room in one.
fn text(event: &super::Told) -> Result<String, Error> {
    let LogEvent { position, recorded_at, stream, event_type, actor, payload, .. } = event.read()?;
    let when = listing::local(&recorded_at.to_string());
    let width = output::terminal_width();
    // The first digits can be typed for the whole, and leave room for what happened.
    let id = width.map_or(stream.id.as_str(), |_| listing::first_digits(&stream.id));
    let head = format!("{position:>8}  {when}  {event_type:<20}  {} {id}  by {actor}", stream.kind);
    let says = payload.to_string();
    let says = telling::visible(&says);
    let gist: String = says.chars().take(GIST_CHARS_MAX).collect();
    let cut = if gist.len() < says.len() { "…" } else { "" };
    let line = format!("{head}  {gist}{cut}");
    if width.is_none_or(|width| line.chars().count() <= width) {
        return Ok(line);
    }
    let gist = format!("{}{gist}{cut}", " ".repeat(BLANKS_BEFORE_GIST));
    Ok(format!("{}\n{}", listing::cut(&head, width), listing::cut(&gist, width)))
}
