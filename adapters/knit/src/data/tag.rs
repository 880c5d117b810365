//! `knit data tag`.

use std::io::IsTerminal as _;

use clap::Args;
use knit_schemas::api::{DataDetail, Tag, TagChange};
use reqwest::Method;

use super::show::{brief, user_tags};
use crate::error::{Ask, Error, Subject};
use crate::form::{Form, Told as _};
use crate::ids::{self, Kind};
use crate::output;
use crate::pasted;
use crate::session::Session;

/// Add and remove tags of a Data
///
/// Removal comes first. Adding a tag that is there and removing one that is not are no errors.
/// Afterwards the Data may fit other Plans, whose Runs then start by themselves.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o').help("How to print the Data [default: not at all]")))]
pub(crate) struct Arguments {
    /// Add this tag; may be repeated
    #[arg(long, value_name = "KEY:VALUE", value_parser = Tag::parse)]
    add: Vec<Tag>,
    /// Remove exactly this tag; may be repeated
    #[arg(long, value_name = "KEY:VALUE", value_parser = Tag::parse)]
    remove: Vec<Tag>,
    /// Remove every tag with this key; may be repeated
    #[arg(long, value_name = "KEY")]
    remove_key: Vec<String>,
    #[command(flatten)]
    form: Form,
    /// Id of the Data
    #[arg(value_name = "KNIT_ID")]
    knit_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { add, remove, remove_key, form, knit_id } = arguments;
    form.check(DataDetail::FIELDS)?;
    super::refuse_reserved("--add", &add)?;
    super::refuse_reserved("--remove", &remove)?;
    super::refuse_unwritable(&add)?;
    check_keys(&remove_key)?;
    let change = TagChange { add, remove, remove_key };
    let client = session.client()?;
    let knit_id = ids::whole(&client, Kind::Data, knit_id).await?;
    let ask = Ask::order("tag", Subject::Data(knit_id.clone()));
    let tagged: DataDetail = client.change(&ask, Method::PUT, &["data", &knit_id], Some(&change)).await?;
    // The original prints nothing on standard output here and all of the Data in its log line, and scripts may count
    // on that. A Data with a hundred uses is thousands of lines, in which nobody finds what has changed.
    // Who names a form gets the Data in it, and needs it no second time.
    if form.is_named() || std::io::stderr().is_terminal() {
        session.log.line(format_args!(
            "Data `{}`: {}; its tags: {}",
            tagged.knit_id,
            told(&change),
            user_tags(&tagged)
        ));
    } else {
        session.log.line(format_args!("tagged:\n{}", output::pretty(&tagged)?.trim_end()));
    }
    if form.is_named() { form.tell(&tagged, brief) } else { Ok(()) }
}

/// What was asked for, in words.
fn told(change: &TagChange) -> String {
    let quoted = |verb: &str, words: Vec<String>| {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        (!words.is_empty()).then(|| format!("{verb} {}", words.join(" ")))
    };
    let tags = |tags: &[Tag]| tags.iter().map(Tag::to_string).collect();
    let keys = change.remove_key.iter().map(|key| format!("{}:…", key.trim())).collect();
    let parts = [quoted("added", tags(&change.add)), quoted("removed", tags(&change.remove)), quoted("removed", keys)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "nothing changed".to_owned() } else { parts.join(", ") }
}

/// Refuses keys of the system, and warns of what looks like a whole Tag.
fn check_keys(keys: &[String]) -> Result<(), Error> {
    for key in keys {
        if key.trim().starts_with("knit#") {
            return Err(Error::Usage(format!("`--remove-key {key}`: keys beginning with `knit#` are the system's")));
        }
        if key.contains(':') {
            output::say(format_args!(
                "warning: `{key}` looks like a whole Tag, not like a key; `{}` removes that Tag",
                pasted::options("--remove", [key]).trim_start()
            ));
        }
    }
    Ok(())
}
