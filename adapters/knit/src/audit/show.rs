//! `knit audit show`.

use clap::Args;
use knit_schemas::api::{EventMark, Seal, SealedEvent};

use crate::client::Query;
use crate::error::{Ask, Error, Subject};
use crate::number;
use crate::output;
use crate::session::Session;
use crate::telling::{Telling, time};

/// Show everything about one event: what it says, who did it, and how it is sealed
///
/// The leaf is the hash of what is stored of the event, and the chain that of all leaves up to it. It is said whether
/// both are so. `-o json` has all that was hashed, text for text, so that it can be reckoned again elsewhere.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    telling: Telling,
    /// Position of the event
    #[arg(value_name = "POSITION", value_parser = number::parse::<u64>)]
    position: u64,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { telling, position } = arguments;
    let client = session.client()?;
    let ask = Ask::question("show", Subject::Event(position));
    let told: Result<SealedEvent, Error> = client.get(&ask, &["events", &position.to_string()], Query::new()).await;
    let told = told.map_err(Error::if_unable)?;
    telling.tell(&told, lines)
}

fn lines(told: &SealedEvent) -> Vec<String> {
    let (event, seal) = (&told.event, &told.seal);
    let because = match (&told.cause, &event.causation) {
        (Some(cause), _) => named(cause),
        (None, Some(id)) => format!("of event {id}, which is not in the log"),
        (None, None) => "nothing before it: it was asked for from outside, or is older than such records".to_owned(),
    };
    let mut lines = vec![
        format!("event {}: {} (version {})", event.position, event.event_type, event.version),
        format!("  of       {} {}, number {} there", event.stream.kind, event.stream.id, event.sequence),
        format!("  at       {}", time(event.recorded_at)),
        format!("  by       {}", event.actor),
        format!("  because  {because}"),
        format!("  within   {}", event.correlation.as_deref().unwrap_or("nothing else")),
        format!("  id       {}", event.event_id),
    ];
    lines.extend(told.about.iter().map(|about| format!("  about    {about}")));
    lines.push("it says".to_owned());
    let payload = output::pretty(&event.payload).unwrap_or_default();
    lines.extend(payload.lines().map(|line| format!("  {line}")));
    lines.push("it is sealed".to_owned());
    lines.push(format!("  leaf     {}  {}", seal.leaf, leaf_in_words(seal)));
    lines.extend(envelope_in_words(seal).map(|words| format!("  envelope {words}")));
    let before = if seal.chain_before.is_empty() { "IS MISSING from the log" } else { &seal.chain_before };
    lines.push(format!("  before   {before}"));
    lines.push(format!("  chain    {}  {}", seal.chain, chain_in_words(seal.chain_holds)));
    lines
}

/// An event by its place, name and thing.
pub(super) fn named(event: &EventMark) -> String {
    format!("{} {} of {} {}", event.position, event.event_type, event.stream.kind, event.stream.id)
}

fn leaf_in_words(seal: &Seal) -> String {
    match seal.redacted_at {
        _ if seal.leaf_holds => "is the hash of what is stored".to_owned(),
        Some(position) => format!("is the hash of what was taken out: event {position} redacted it"),
        None => "IS NOT the hash of what is stored: the event was changed".to_owned(),
    }
}

/// What is proved of what stays of a redacted event.
fn envelope_in_words(seal: &Seal) -> Option<&'static str> {
    seal.redacted_at?;
    Some(match seal.envelope_holds {
        Some(true) => "is as it was then: who, in which stream, and what kind of event",
        Some(false) => "IS NOT as it was then: who, in which stream, or what kind of event was changed",
        None => {
            "is NOT PROVED: who, in which stream, and what kind of event may have been changed since, for an older program redacted it and took no hash of that"
        }
    })
}

fn chain_in_words(holds: bool) -> &'static str {
    if holds { "continues the one before" } else { "DOES NOT continue the one before: the log was changed" }
}
