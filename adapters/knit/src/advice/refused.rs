//! What to try after the server said no.

use std::path::Path;

use knit_schemas::api::EVENT_TYPES;
use knit_schemas::slip::is_slip_of;

use super::{NO_KNITFAB, shell_word};
use crate::error::{Refusal, Subject};
use crate::ids::{self, Kind};
use crate::pasted::word;

/// Characters of a part of a name by which it is guessed: fewer are in too many names.
const PART_CHARS_MIN: usize = 4;
/// Why a Plan is not registered that would get more Runs than are wanted.
const TOO_MANY_RUNS: &str = "too many Runs";

/// Why a Run is neither retried nor removed whose Data are used.
const IN_USE: &str = "output of the run is in use";
/// Commands that show one thing and can do so as of a time.
const SHOWING: [&str; 8] =
    ["data lineage", "data show", "plan graph", "plan show", "plan why-not", "run explain", "run lineage", "run show"];

/// What to try after a refusal that ended the command `words`.
pub(super) fn hints(refusal: &Refusal, words: &str) -> Vec<String> {
    if refusal.is_of_a_stranger() {
        return vec![NO_KNITFAB.to_owned()];
    }
    if let Some(command) = refusal.advice.iter().find(|line| shows_as_it_was(line)) {
        return vec![same_verb(command, words)];
    }
    if refusal.absent().is_some_and(|(_, id)| ids::is_too_short(id)) {
        return vec!["an id may be shortened to its first four digits, and not to fewer".to_owned()];
    }
    let mut hints = Vec::new();
    match (refusal.status, &refusal.see, &refusal.ask.subject) {
        // What is not there may be another thing than the one that was asked about.
        (404, _, Subject::Plan(_)) if refusal.says("there is no Data") => {
            hints.push("`knit data find` lists all Data".to_owned());
        }
        (404, _, Subject::Data(id)) if refusal.says("retried or deleted") => {
            hints.push(format!(
                "`knit data show {}` says whether it ever was; `knit data find` lists all Data",
                word(id)
            ));
        }
        (404, _, Subject::Pair(_, from, _)) if refusal.absent().is_none() => {
            hints.push(format!("`knit data lineage -n all {}` shows what it was made of, and what of it", word(from)));
        }
        (404, _, Subject::Pair(Kind::Run, ..)) => hints.push("`knit run find` lists all Runs".to_owned()),
        (404, _, Subject::Data(_) | Subject::Pair(..)) => hints.push("`knit data find` lists all Data".to_owned()),
        (404, _, Subject::Plan(_)) if refusal.says("`knit plan find`") => {}
        (404, _, Subject::Plan(_)) => hints.push("`knit plan find` lists all Plans".to_owned()),
        (404, _, Subject::Run(_)) => hints.push("`knit run find` lists all Runs".to_owned()),
        (400, _, Subject::Events) => hints.extend(misspelt_event(refusal)),
        (404, _, Subject::Event(position)) => {
            hints.push("`knit audit log` lists all events".to_owned());
            // Digits may have been meant as the beginning of an id.
            if words == "audit why" && !ids::is_too_short(&position.to_string()) {
                hints.push(format!("digits are a position; a Run whose id begins so is `run:{position}`"));
            }
        }
        (404, _, Subject::AttemptsOf(id)) => {
            hints.push(format!("`knit run show {}` prints the Run as it is now", word(id)));
        }
        (404, _, Subject::LogOf(_)) if refusal.says("there is no Run") => {
            hints.push("`knit run find` lists all Runs".to_owned());
        }
        (404, _, Subject::LogOf(_)) if refusal.says("removed") || refusal.says("redacted") => {}
        (404, _, Subject::LogOf(id)) if refusal.says("has attempts") => {
            hints.push(format!("`knit run show --attempt 1 --log {}` prints the log of the first", word(id)));
        }
        (404, _, Subject::LogOf(id)) => {
            hints.push(format!(
                "`knit run show {}` prints the Run; with `log:` in its file, a Plan keeps logs",
                word(id)
            ));
        }
        (400 | 409, _, Subject::NewPlan(file)) => hints.extend(of_registration(refusal, file)),
        (409, _, Subject::Run(id)) if refusal.reason == IN_USE && consumer(refusal).is_some() => {
            let first = consumer(refusal).unwrap_or_default();
            hints.push(format!("`knit run rm {}` removes what uses it, with all that it made", word(first)));
            hints.push(format!("`knit run lineage -d {}` shows everything that was made of it", word(id)));
        }
        (409, _, Subject::Run(id)) => hints.push(format!("`knit run show {}` tells its status", word(id))),
        (503, _, Subject::LogOf(id)) => {
            hints.push(format!("the Run may not have started yet: `knit run show {}` tells its status", word(id)));
            hints.push(format!("`knit run show --log --follow {}` waits for it", word(id)));
        }
        (503, ..) if refusal.advice.is_empty() => hints.push("try again in a moment".to_owned()),
        (503, ..) => {}
        (500.., ..) => hints.push("the log of the server says more".to_owned()),
        _ => {}
    }
    hints
}

/// Which event is meant, where one has nearly the name that the server does not know.
fn misspelt_event(refusal: &Refusal) -> Option<String> {
    let mut said = refusal.advice.iter().chain([&refusal.reason]);
    let typed = said.find_map(|line| line.strip_prefix("there is no event `")?.split_once('`'))?.0;
    let is_part = |known: &str| known.to_lowercase().contains(&typed.to_lowercase());
    let slip = EVENT_TYPES.iter().find(|known| is_slip_of(typed, known));
    let near = slip.or_else(|| EVENT_TYPES.iter().find(|known| typed.len() >= PART_CHARS_MIN && is_part(known)))?;
    Some(format!("did you mean `--type {near}`?"))
}

/// What to try when a Plan is not registered, or would not be.
fn of_registration(refusal: &Refusal, file: &Path) -> Vec<String> {
    // What came from standard input is gone.
    let file = if file.as_os_str() == "-" { Path::new("PLAN_FILE") } else { file };
    let dry_run = format!("`knit plan apply --dry-run {}`", shell_word(file));
    let has_too_many = refusal.reason == TOO_MANY_RUNS;
    match refusal.see.as_deref().map(word) {
        Some(see) => vec![
            format!("it is there already: `knit plan show {see}`"),
            format!("to change its resources only: `knit plan resource --set cpu=2 {see}`"),
        ],
        None if has_too_many && refusal.ask.is_change => {
            vec![format!("{dry_run} says which Runs it would get, and registers nothing")]
        }
        None if has_too_many => {
            vec![format!("nothing is registered; without `--max-runs`, {dry_run} says which Runs it would get")]
        }
        // It is an option that is wrong, and not the file.
        None if ["`days`", "`limit`", "`max-runs`"].iter().any(|option| refusal.says(option)) => Vec::new(),
        None => vec![format!("nothing is registered; correct the file and try it: {dry_run}")],
    }
}

/// The command that the server names, which shows something as it was, with the verb that was asked for.
fn same_verb(command: &str, words: &str) -> String {
    let Some((kind, rest)) = command.trim_start_matches("`knit ").split_once(" show ") else {
        return command.to_owned();
    };
    let is_of_kind = words.split_once(' ').is_some_and(|(asked, _)| asked == kind);
    if is_of_kind && SHOWING.contains(&words) { format!("`knit {words} {rest}") } else { command.to_owned() }
}

/// The first of the Runs that the server names as using what a Run made.
fn consumer(refusal: &Refusal) -> Option<&str> {
    let cause = refusal.cause.as_deref()?;
    let mut words = cause.split(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
    words.find(|word| word.len() == ids::ID_CHARS)
}

/// Whether the server names the command that shows what is gone, or not there yet: that is to be pasted.
pub(super) fn shows_as_it_was(line: &str) -> bool {
    line.starts_with("`knit ") && line.contains(" show --as-of ")
}
