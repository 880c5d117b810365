//! `knit admin redact`.

use std::io::{self, IsTerminal as _, Write as _};

use clap::{ArgGroup, Args};
use knit_schemas::api::{Pair, RedactOrder, Redactable, RedactedEvent, Redaction, Tag};
use reqwest::Method;

use crate::client::Client;
use crate::error::{Ask, Error, Subject};
use crate::number;
use crate::output;
use crate::telling::{Telling, counted};

/// Events that are told one by one before a person is asked; all of them are told by `--dry-run`.
const TOLD_MAX: usize = 20;

/// Take something out of the history for ever: a tag, an annotation, an argument, or the text of a log
///
/// Every event that says it is emptied, and keeps its place and its hash, so that the history can still be verified;
/// another word, such as `redacted-4711`, is read in its place. The log keeps who has decided that and why. Exports,
/// dumps, backups and copies from before still say it: they are for you to delete.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["tag", "annotation", "argument", "run", "position"])))]
pub(crate) struct Arguments {
    /// Forget the value of this tag, on Data and in Plans
    #[arg(long, value_name = "KEY:VALUE", value_parser = Tag::parse)]
    tag: Option<Tag>,
    /// Forget the value of this annotation of Plans
    #[arg(long, value_name = "KEY=VALUE", value_parser = Pair::parse)]
    annotation: Option<Pair>,
    /// Forget this word of the entry points and arguments of Plans
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    argument: Option<String>,
    /// Forget what this Run keeps; say `--log`
    #[arg(long, value_name = "RUN_ID", requires = "log")]
    run: Option<String>,
    /// Destroy the text of the log of the Run, of all its attempts
    #[arg(long, requires = "run")]
    log: bool,
    /// Why, for whoever misses it later; must not say what is to be forgotten
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Tell which events say it, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask whether that is meant
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    telling: Telling,
    /// Forget the one thing that the event at this position says
    #[arg(value_name = "POSITION", value_parser = number::parse::<u64>)]
    position: Option<u64>,
}

pub(crate) async fn run(arguments: Arguments, client: &Client) -> Result<(), Error> {
    let Arguments { tag, annotation, argument, run, log: _, reason, dry_run, yes, telling, position } = arguments;
    let tag = tag.map(|tag| (Subject::Said(format!("the tag `{tag}`")), Redactable::Tag(tag)));
    let annotation =
        annotation.map(|pair| (Subject::Said(format!("the annotation `{pair}`")), Redactable::Annotation(pair)));
    let argument = argument.map(|word| (Subject::Said(format!("the argument `{word}`")), Redactable::Argument(word)));
    let run = run.map(|id| (Subject::LogOf(id.clone()), Redactable::Log(id)));
    let event = position.map(|position| (Subject::Event(position), Redactable::Event(position)));
    let what = tag.or(annotation).or(argument).or(run).or(event);
    let (subject, what) = what.ok_or_else(|| Error::Usage("say what is to be redacted".to_owned()))?;
    let ask = Ask::order("redact", subject);
    let order = |dry_run| RedactOrder { what: what.clone(), reason: reason.clone(), dry_run };
    if dry_run || !yes {
        let found: Redaction = change(client, &ask, &order(true)).await?;
        if dry_run {
            return telling.tell(&found, found_in_words);
        }
        confirm(&found).await?;
    }
    let redaction: Redaction = change(client, &ask, &order(false)).await?;
    telling.tell(&redaction, redacted_in_words)
}

async fn change(client: &Client, ask: &Ask, order: &RedactOrder) -> Result<Redaction, Error> {
    client.change(ask, Method::POST, &["admin", "redactions"], Some(order)).await
}

/// Shows what would be done and asks whether that is meant; it cannot be undone.
async fn confirm(found: &Redaction) -> Result<(), Error> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Error::Usage(
            "this cannot be undone: look at what `--dry-run` tells, and then say `--yes`".to_owned(),
        ));
    }
    for line in found_in_words(found) {
        output::say(format_args!("{line}"));
    }
    let mut stderr = io::stderr();
    write!(stderr, "This cannot be undone. Redact it? [y/N] ")?;
    stderr.flush()?;
    // On a thread of its own: Ctrl-C must be heard meanwhile.
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = answer.await.map_err(io::Error::other)??;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::Declined { done: "redacted" }),
    }
}

fn found_in_words(found: &Redaction) -> Vec<String> {
    let what = found.what.as_deref().unwrap_or("it");
    if found.events.is_empty() {
        return vec![format!("{what} would be destroyed")];
    }
    let told = counted(found.events.len() as u64, "event says", "events say");
    let mut lines = vec![format!("{told} {what}")];
    lines.extend(found.events.iter().take(TOLD_MAX).map(in_words));
    if found.events.len() > TOLD_MAX {
        lines.push(format!("  … and {} more", found.events.len() - TOLD_MAX));
    }
    lines
}

fn redacted_in_words(redaction: &Redaction) -> Vec<String> {
    let mut lines = match (&redaction.word, redaction.recorded_at) {
        (Some(word), Some(position)) => {
            let emptied = counted(redaction.events.len() as u64, "event was", "events were");
            vec![format!("{emptied} redacted, up to event {position}; `{word}` is read in its place")]
        }
        (None, Some(position)) => vec![format!("the text of the log was redacted, which event {position} records")],
        (_, None) => Vec::new(),
    };
    if !redaction.forgotten {
        lines.push("it is not out of the server yet: `knit admin doctor` looks for the reason".to_owned());
    }
    if redaction.said_again {
        lines.push("somebody has said it again meanwhile: redact it again".to_owned());
    }
    let left = if redaction.overwritten {
        "nothing of it is left in the files of the database"
    } else {
        "the files of the database may still hold it: see the guide for administrators"
    };
    lines.push(left.to_owned());
    lines.push("exports, dumps, backups and copies from before still hold it: delete them".to_owned());
    lines
}

fn in_words(event: &RedactedEvent) -> String {
    format!("  {} {} of {} {}", event.position, event.event_type, event.stream.kind, event.stream.id)
}
