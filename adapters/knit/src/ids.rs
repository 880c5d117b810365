//! Ids as people type them: the first digits do, as long as they tell one thing from all others of its kind.

use crate::as_of::AsOf;
use crate::client::{Client, Query};
use crate::error::{Ask, Error, Refusal, Subject};
use crate::output;
use crate::pasted;
use crate::session::{Session, briefly};

/// Fewer digits are too likely to mean another thing tomorrow.
const DIGITS_MIN: usize = 4;
/// Digits and dashes of a whole id, which needs no completing.
pub(crate) const ID_CHARS: usize = 36;
/// Ids that are listed where a beginning fits several.
const NAMED_MAX: usize = 5;
/// Ids of a filter that are looked up: each is a question, and who names more has them from a program.
const CHECKED_MAX: usize = 20;

/// What an id is the id of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    Plan,
    Run,
}

impl Kind {
    /// Its name in questions.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Plan => "plan",
            Self::Run => "run",
        }
    }

    /// Its name in sentences.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Data => "Data",
            Self::Plan => "Plan",
            Self::Run => "Run",
        }
    }

    /// Where the server has what is of this kind.
    pub(crate) const fn route(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Plan => "plans",
            Self::Run => "runs",
        }
    }

    /// The one that has this id.
    pub(crate) fn one(self, id: &str) -> Subject {
        match self {
            Self::Data => Subject::Data(id.to_owned()),
            Self::Plan => Subject::Plan(id.to_owned()),
            Self::Run => Subject::Run(id.to_owned()),
        }
    }

    const fn any(self) -> Subject {
        match self {
            Self::Data => Subject::AnyData,
            Self::Plan => Subject::AnyPlan,
            Self::Run => Subject::AnyRun,
        }
    }
}

/// The whole id of which `typed` is the beginning, of what is gone where nothing that is there begins so. What
/// fits nothing, or cannot be completed because the server is an
/// original one, stays as it is: whoever asks for it is told that it is not there.
pub(crate) async fn whole(client: &Client, kind: Kind, typed: String) -> Result<String, Error> {
    whole_as_of(client, kind, typed, &AsOf::default()).await
}

/// The same among those that were there at some time.
pub(crate) async fn whole_as_of(client: &Client, kind: Kind, typed: String, as_of: &AsOf) -> Result<String, Error> {
    let typed = as_written(typed);
    if !is_beginning(&typed) {
        return Ok(typed);
    }
    let mut fitting = none_if_unable(asked(client, kind, &typed, as_of, true).await)?;
    match fitting.len() {
        0 => Ok(typed),
        1 => Ok(fitting.remove(0)),
        _ => {
            fitting.truncate(NAMED_MAX);
            Err(Error::Ambiguous { kind, typed, ids: fitting })
        }
    }
}

/// The same of several.
pub(crate) async fn all_whole(client: &Client, kind: Kind, typed: Vec<String>) -> Result<Vec<String>, Error> {
    all_whole_as_of(client, kind, typed, &AsOf::default()).await
}

/// The same of several at some time.
pub(crate) async fn all_whole_as_of(
    client: &Client,
    kind: Kind,
    typed: Vec<String>,
    as_of: &AsOf,
) -> Result<Vec<String>, Error> {
    let mut ids = Vec::with_capacity(typed.len());
    for typed in typed {
        ids.push(whole_as_of(client, kind, typed, as_of).await?);
    }
    Ok(ids)
}

/// The whole id of something that is there, was, or came later.
///
/// # Errors
/// When there never was such a thing; an original server cannot tell, and then `typed` is taken as it is.
pub(crate) async fn whole_of_known(client: &Client, kind: Kind, typed: String) -> Result<String, Error> {
    let id = whole(client, kind, typed).await?;
    let known = match asked(client, kind, &id, &AsOf::default(), true).await {
        Err(Error::Refused(refusal)) if refusal.is_unknown_route() => return Ok(id),
        // What cannot be the beginning of an id is none either.
        Err(Error::Refused(refusal)) if refusal.status == 400 => Vec::new(),
        answer => answer?,
    };
    if known.contains(&id) {
        return Ok(id);
    }
    Err(Refusal::missing(Ask::question("watch", kind.one(&id)), "it is not there, and never was".to_owned()))
}

/// Says that what was not found is there as a thing of another kind, if that is so: ids look alike.
pub(crate) fn say_other_kind(session: &Session, error: &Error) -> Option<String> {
    let Error::Refused(refusal) = error else { return None };
    let (kind, typed) = refusal.absent()?;
    let client = session.client().ok().filter(|_| typed.len() == ID_CHARS || is_beginning(typed))?;
    let others = [Kind::Data, Kind::Plan, Kind::Run].into_iter().filter(|other| *other != kind);
    briefly(async {
        for other in others {
            if let [id] = &beginning(&client, other, typed, &AsOf::default()).await?[..] {
                let (name, word) = (other.name(), other.word());
                return Ok(Some(format!("`{id}` is the id of a {name}: `knit {word} show {id}`")));
            }
        }
        Ok(None)
    })
    .flatten()
}

/// Ids that begin so, the newest first; none where the server cannot tell.
pub(crate) async fn beginning(client: &Client, kind: Kind, typed: &str, as_of: &AsOf) -> Result<Vec<String>, Error> {
    none_if_unable(asked(client, kind, typed, as_of, false).await)
}

fn none_if_unable(answer: Result<Vec<String>, Error>) -> Result<Vec<String>, Error> {
    match answer {
        Err(Error::Refused(refusal)) if matches!(refusal.status, 400 | 404 | 405) => Ok(Vec::new()),
        answer => answer,
    }
}

/// Ids that begin so; if `ever`, of what is gone or came later where nothing else does.
async fn asked(client: &Client, kind: Kind, typed: &str, as_of: &AsOf, ever: bool) -> Result<Vec<String>, Error> {
    let ask = Ask::question("find", kind.any());
    let mut query: Query = vec![("of", kind.word().to_owned())];
    query.extend(ever.then(|| ("ever", String::new())));
    query.push(("prefix", typed.to_owned()));
    query.extend(as_of.query());
    client.get(&ask, &["ids"], query).await
}

/// Says which of `named`, ids in a filter, the server does not know: otherwise a slip looks like an empty answer.
/// Nothing is said where an original server cannot tell. The answer is there already, so what goes wrong now is of
/// no interest.
pub(crate) async fn say_unknown(client: &Client, kind: Kind, named: &[String], as_of: &AsOf) {
    for id in named.iter().take(CHECKED_MAX) {
        match unknown(client, kind, id, as_of).await {
            Ok(Some(note)) => output::say(note),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// What is said about `id`, if the server does not know it.
async fn unknown(client: &Client, kind: Kind, id: &str, as_of: &AsOf) -> Result<Option<String>, Error> {
    let found = match asked(client, kind, id, as_of, false).await {
        // What cannot be the beginning of an id is none either.
        Err(Error::Refused(refusal)) if refusal.status == 400 => Vec::new(),
        answer => answer?,
    };
    let (name, route) = (kind.name(), kind.word());
    let (there, then) = if as_of.is_past() { ("there was", " then") } else { ("there is", "") };
    Ok(match &found[..] {
        [one] if one == id => None,
        [one] => Some(format!("note: `{id}` is not the whole id of a {name}; did you mean `{one}`?")),
        _ => Some(match kind {
            Kind::Data => match what_became(client, id, as_of).await {
                Some(what) => format!("note: {there} no Data `{id}`{then}: {what}"),
                None => {
                    let show = format!("`knit data show {}`", pasted::word(id));
                    format!("note: {there} no Data `{id}`{then}; {show} says whether there ever was")
                }
            },
            Kind::Plan | Kind::Run => format!("note: {there} no {name} `{id}`{then}; `knit {route} find` lists all"),
        }),
    })
}

/// When a Data that is not there went and by whom, or when it came, as far as the server tells.
async fn what_became(client: &Client, id: &str, as_of: &AsOf) -> Option<String> {
    if id.len() != ID_CHARS {
        return None;
    }
    let ask = Ask::question("show", Kind::Data.one(id));
    match client.get_bytes_as_of(&ask, &["data", id, "detail"], Query::new(), as_of).await {
        Err(Error::Refused(refusal)) => refusal.cause,
        Ok(_) | Err(_) => None,
    }
}

/// Whether `typed` may be the beginning of an id, but of too many.
pub(crate) fn is_too_short(typed: &str) -> bool {
    (1..DIGITS_MIN).contains(&typed.len()) && typed.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An id in the letters in which the wire has it; other programs print them in capitals.
fn as_written(typed: String) -> String {
    let is_id = typed.len() <= ID_CHARS && typed.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if is_id { typed.to_ascii_lowercase() } else { typed }
}

/// Whether `typed` may be the beginning of an id, and not all of it.
fn is_beginning(typed: &str) -> bool {
    (DIGITS_MIN..ID_CHARS).contains(&typed.len()) && typed.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_the_beginning_of_an_id_is_asked_for() {
        assert!(["6cd0", "6cd03965-619d", "dead"].iter().all(|typed| is_beginning(typed)));
        let whole = "6cd03965-619d-4429-afcd-de2db9e7a326";
        assert!(["6", "6cd"].iter().all(|typed| is_too_short(typed)));
        assert!(!["", "run", "6cd0"].iter().any(|typed| is_too_short(typed)));
        assert!(!["6cd", "", "run-1", "6cd0 ", whole].iter().any(|typed| is_beginning(typed)));
    }
}
