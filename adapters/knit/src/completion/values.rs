//! What may stand for a value: ids and tags that the server has, profiles, fields, files.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, SubcommandCandidates, ValueCompleter as _,
};
use knit_schemas::api::{
    DataDetail, Difference, EVENT_TYPES, LogEvent, PlanDetail, PlanGraph, PlanMatches, PlanSummary, ProjectionState,
    RunDetail, RunExplanation, SavedSnapshot,
};
use knit_schemas::lineage::graph::Graph;

use crate::as_of::AsOf;
use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::extension;
use crate::form::Told as _;
use crate::ids::{self, Kind};
use crate::listing;
use crate::profile;
use crate::session::{Session, briefly};

/// Ids that are offered, the newest first: more would not be looked through.
const IDS_MAX: usize = 30;
/// Tags that are offered.
const TAGS_MAX: usize = 100;
/// What tags of the system begin with; people may ask for them, but not put them on anything.
const SYSTEM: &str = "knit#";

/// The tag by which a Data is asked for by its id.
const BY_ID: &str = "knit#id:";

/// What is offered for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// Ids of what is of this kind.
    Id(Kind),
    /// Annotations that Plans have.
    Annotation,
    /// Files of keys that are private, or public.
    Key {
        /// Which.
        is_public: bool,
    },
    /// Tags to ask for.
    Tag,
    /// Tags of users only.
    UserTag,
    /// Keys of users' tags.
    UserTagKey,
    /// `data:ID`, `plan:ID`, `run:ID`, or a kind of stream.
    Entity,
    /// Names of profiles.
    Profile,
    /// These words.
    Words(&'static [&'static str]),
    /// Nobody can tell.
    Nothing,
}

/// What stands in front of an id where the kind of a thing is not known otherwise, and other kinds of streams.
const ENTITIES: &[&str] = &["data:", "plan:", "run:", "data", "plan", "run", "agent", "plan-catalog", "journal"];

/// Who causes events: everybody from outside, and the parts of the server.
const ACTORS: &[&str] = &[
    "anonymous",
    "reactor",
    "reactor:installation",
    "reactor:projection",
    "reactor:initialize",
    "reactor:run-management",
    "reactor:finishing",
    "reactor:garbage-collection",
    "reactor:housekeeping",
];

/// The projections of a server.
const PROJECTIONS: &[&str] = &["store", "matcher", "worklists"];

/// The same, and the word for all of them.
const PROJECTIONS_OR_ALL: &[&str] = &["store", "matcher", "worklists", "all"];

/// What is offered for the value named `value` of `command`, such as `data find`; `None` if nobody has thought of it.
fn offer(command: &str, value: &str) -> Option<Offer> {
    Some(match (command, value) {
        (_, "KNIT_ID") => Offer::Id(Kind::Data),
        (_, "PLAN_ID") => Offer::Id(Kind::Plan),
        (_, "RUN_ID") => Offer::Id(Kind::Run),
        ("data push" | "data tag" | "admin redact", "KEY:VALUE") => Offer::UserTag,
        ("admin redact" | "plan annotate", "KEY=VALUE") => Offer::Annotation,
        (_, "KEY:VALUE") => Offer::Tag,
        ("data tag", "KEY") => Offer::UserTagKey,
        ("data find" | "data push" | "data show" | "data tag" | "data wait", "FIELDS") => {
            Offer::Words(DataDetail::FIELDS)
        }
        (
            "plan active"
            | "plan annotate"
            | "plan apply"
            | "plan find"
            | "plan resource"
            | "plan serviceaccount"
            | "plan show",
            "FIELDS",
        ) => Offer::Words(PlanDetail::FIELDS),
        ("data lineage" | "data path" | "run lineage", "FIELDS") => Offer::Words(Graph::FIELDS),
        ("plan graph", "FIELDS") => Offer::Words(PlanGraph::FIELDS),
        ("run find" | "run show" | "run wait", "FIELDS") => Offer::Words(RunDetail::FIELDS),
        ("run explain", "FIELDS") => Offer::Words(RunExplanation::FIELDS),
        ("plan why-not", "FIELDS") => Offer::Words(PlanMatches::FIELDS),
        ("data diff" | "run diff", "FIELDS") => Offer::Words(Difference::FIELDS),
        ("events" | "audit log", "FIELDS") => Offer::Words(LogEvent::<serde_json::Value>::FIELDS),
        (_, "PROJECTION") => Offer::Words(PROJECTIONS),
        (_, "PROJECTION|all") => Offer::Words(PROJECTIONS_OR_ALL),
        (_, "TEXT") => Offer::Nothing,
        ("admin projections", "FIELDS") => Offer::Words(ProjectionState::FIELDS),
        ("admin snapshot", "FIELDS") => Offer::Words(SavedSnapshot::FIELDS),
        (_, "ENTITY") => Offer::Entity,
        // Of `knit` itself: the profile.
        ("", "NAME") => Offer::Profile,
        ("events" | "audit log", "NAME") => Offer::Words(EVENT_TYPES),
        (_, "ACTOR") => Offer::Words(ACTORS),
        (_, "POSITION|RUN_ID") => Offer::Id(Kind::Run),
        (_, "NUMBER|all") => Offer::Words(&["all"]),
        (_, "TYPE=QUANTITY") => Offer::Words(&["cpu=", "memory="]),
        (_, "TYPE") => Offer::Words(&["cpu", "memory"]),
        (
            _,
            "KEY" | "KEY=VALUE" | "WORD" | "NAME" | "N" | "NUMBER" | "POSITION" | "TIME" | "CORRELATION" | "DURATION"
            | "URL" | "IMAGE:TAG" | "IMAGE[:TAG]",
        ) => Offer::Nothing,
        _ => return None,
    })
}

/// What is offered for the option `id` of `command`, where not just any path will do.
fn offer_of_paths(command: &str, id: &str) -> Option<Offer> {
    match (command, id) {
        ("audit verify", "key") => Some(Offer::Key { is_public: true }),
        ("audit checkpoint", "key") => Some(Offer::Key { is_public: false }),
        _ => None,
    }
}

/// `command` with what is offered for its values, and the extensions beside its own commands.
pub(super) fn attach(command: Command, session: &Arc<Session>) -> Command {
    let environment = session.environment.clone();
    let extensions = move || extension::names(&environment).into_iter().map(CompletionCandidate::new).collect();
    attach_below(command, "", session).add(SubcommandCandidates::new(extensions))
}

fn attach_below(command: Command, words: &str, session: &Arc<Session>) -> Command {
    let of = |argument: &Arg| {
        let by_name = value_name(argument).and_then(|name| offer(words, &name));
        by_name.or_else(|| offer_of_paths(words, argument.get_id().as_str()))
    };
    let command = command.mut_args(|argument| match of(&argument) {
        Some(offer) => {
            let session = Arc::clone(session);
            argument.add(ArgValueCompleter::new(move |typed: &OsStr| offer.candidates(typed, &session)))
        }
        None => argument,
    });
    command.mut_subcommands(|below| {
        let words = format!("{words} {}", below.get_name());
        attach_below(below, words.trim_start(), session)
    })
}

/// The name of a value that can be anything: neither one of a few words nor a path, which clap knows by itself.
fn value_name(argument: &Arg) -> Option<String> {
    let is_open = argument.get_action().takes_values()
        && argument.get_possible_values().is_empty()
        && argument.get_value_hint() == ValueHint::Unknown;
    argument.get_value_names().filter(|_| is_open).and_then(|names| names.first()).map(ToString::to_string)
}

impl Offer {
    fn candidates(self, typed: &OsStr, session: &Session) -> Vec<CompletionCandidate> {
        let Some(typed) = typed.to_str() else { return Vec::new() };
        let words = match self {
            Self::Id(kind) => {
                let mut ids = ids(session, kind, typed);
                ids.retain(|id| id.starts_with(typed));
                return described(session, kind, ids);
            }
            Self::Tag if typed.starts_with(BY_ID) => {
                let ids = ids(session, Kind::Data, &typed[BY_ID.len()..]);
                ids.iter().map(|id| format!("{BY_ID}{id}")).collect()
            }
            Self::Tag => tags(session, typed),
            Self::UserTag => user_tags(session, typed),
            Self::UserTagKey if typed.contains(':') => Vec::new(),
            Self::UserTagKey => user_tags(session, typed).iter().map(|key| key.trim_end_matches(':').into()).collect(),
            Self::Annotation => annotations(session),
            Self::Key { is_public } => return keys(typed, is_public, session),
            Self::Entity => entities(session, typed),
            Self::Profile => profiles(session),
            Self::Words(words) => words.iter().map(ToString::to_string).collect(),
            Self::Nothing => Vec::new(),
        };
        words.into_iter().filter(|word| word.starts_with(typed)).map(CompletionCandidate::new).collect()
    }
}

fn ids(session: &Session, kind: Kind, typed: &str) -> Vec<String> {
    let mut ids = ask(session, async |client| ids::beginning(&client, kind, typed, &AsOf::default()).await);
    ids.truncate(IDS_MAX);
    ids
}

/// The same ids, each with a word about what it is the id of, as far as the server says that at once.
fn described(session: &Session, kind: Kind, ids: Vec<String>) -> Vec<CompletionCandidate> {
    let told = RefCell::new(Vec::with_capacity(ids.len()));
    if let Ok(client) = session.client() {
        let _: Option<()> = briefly(async {
            for id in &ids {
                let about = about(&client, kind, id).await?;
                told.borrow_mut().push(about);
            }
            Ok(())
        });
    }
    let mut told = told.into_inner().into_iter();
    let candidate = |id: String| CompletionCandidate::new(id).help(told.next().map(Into::into));
    ids.into_iter().map(candidate).collect()
}

/// What people know it by: the status and the command of a Run, the image and the command of a Plan, the tags of a Data.
async fn about(client: &Client, kind: Kind, id: &str) -> Result<String, Error> {
    let ask = Ask::question("show", kind.one(id));
    match kind {
        Kind::Data => {
            let data: DataDetail = client.get(&ask, &["data", id, "detail"], Query::new()).await?;
            let tags = data.tags.iter().filter(|tag| !tag.is_system()).map(ToString::to_string);
            Ok(tags.collect::<Vec<_>>().join(" "))
        }
        Kind::Plan => {
            let plan: PlanDetail = client.get(&ask, &["plans", id], Query::new()).await?;
            Ok(in_one_line(&plan.summary()))
        }
        Kind::Run => {
            let run: RunDetail = client.get(&ask, &["runs", id], Query::new()).await?;
            Ok(format!("{} {}", run.status, in_one_line(&run.plan)))
        }
    }
}

fn in_one_line(plan: &PlanSummary) -> String {
    let command = plan.command_line().map(|command| format!(" {command}")).unwrap_or_default();
    format!("{}{command}", listing::plan(plan))
}

fn entities(session: &Session, typed: &str) -> Vec<String> {
    let of_kind = |kind: Kind| typed.strip_prefix(kind.word())?.strip_prefix(':').map(|id| (kind, id));
    match [Kind::Data, Kind::Plan, Kind::Run].into_iter().find_map(of_kind) {
        Some((kind, id)) => ids(session, kind, id).iter().map(|id| format!("{}:{id}", kind.word())).collect(),
        None => ENTITIES.iter().map(ToString::to_string).collect(),
    }
}

/// The annotations of all Plans, each once.
fn annotations(session: &Session) -> Vec<String> {
    let question = Ask::question("find", Subject::AnyPlan);
    ask(session, async |client| {
        let plans: Vec<PlanDetail> = client.get(&question, &["plans"], Query::new()).await?;
        let all = plans.iter().flat_map(|plan| &plan.annotations).map(ToString::to_string);
        Ok(all.collect::<BTreeSet<_>>().into_iter().take(TAGS_MAX).collect())
    })
}

/// Files that look like keys, and directories on the way to them: a private key is known by the public one beside it.
fn keys(typed: &str, is_public: bool, session: &Session) -> Vec<CompletionCandidate> {
    let is_wanted = move |path: &Path| {
        let has_end = |end| path.extension().is_some_and(|extension| extension == end);
        let beside =
            || path.with_file_name(path.file_name().map(|name| format!("{}.pub", name.display())).unwrap_or_default());
        path.is_dir() || if is_public { has_end("pub") || has_end("pem") } else { has_end("pem") || beside().is_file() }
    };
    PathCompleter::any()
        .current_dir(&session.environment.cwd)
        .filter(is_wanted)
        .complete(OsStr::new(typed))
        .into_iter()
        .filter(|found| found.get_value() != ".")
        .collect()
}

fn user_tags(session: &Session, typed: &str) -> Vec<String> {
    tags(session, typed).into_iter().filter(|tag| !tag.starts_with(SYSTEM)).collect()
}

fn tags(session: &Session, typed: &str) -> Vec<String> {
    let question = Ask::question("find", Subject::AnyData);
    let query = vec![("prefix", typed.to_owned()), ("limit", TAGS_MAX.to_string())];
    ask(session, async |client| client.get(&question, &["tags"], query).await)
}

fn profiles(session: &Session) -> Vec<String> {
    let store = profile::read_store(&profile::store_path(&session.globals, &session.environment));
    let names = store.unwrap_or_default();
    names.keys().filter_map(|name| name.as_str()).map(str::to_owned).collect()
}

/// Asks the server, if one is known; nothing comes of one that is away, slow, or an original one.
fn ask<F: Future<Output = Result<Vec<String>, Error>>>(
    session: &Session,
    question: impl FnOnce(Client) -> F,
) -> Vec<String> {
    session.client().ok().and_then(|client| briefly(question(client))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory as _;

    fn unthought_of(command: &Command, words: &str) -> Vec<String> {
        let names = command.get_arguments().filter_map(value_name);
        let mut unknown: Vec<String> =
            names.filter(|name| offer(words, name).is_none()).map(|name| format!("{words}: {name}")).collect();
        for below in command.get_subcommands() {
            unknown.extend(unthought_of(below, format!("{words} {}", below.get_name()).trim_start()));
        }
        unknown
    }

    #[test]
    fn of_every_value_somebody_has_thought_what_to_offer() {
        assert_eq!(unthought_of(&Cli::command(), ""), Vec::<String>::new());
    }
}
