//! What happens on the server, as it happens: the stream that `knit events` prints and other commands wait on.
//!
//! A stream that breaks is opened again behind the last event that was seen, so that nothing is missed. An original
//! server has no such stream; whoever waits on one looks again from time to time instead ([`Changes`]).

pub(crate) mod print;
mod sse;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use knit_schemas::api::{EVENTS_SILENCE_SECONDS_MAX, LAST_EVENT_ID_HEADER, LogEvent};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, Query, connection_lost};
use crate::error::{Ask, Error, Subject};
use crate::output;
use crate::waiting;
use sse::Lines;

/// A server says something at least every 15 s; after three times that it is taken for dead.
const SILENCE_MAX: Duration = Duration::from_secs(3 * EVENTS_SILENCE_SECONDS_MAX);
/// The first pause before a broken stream is opened again; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a broken stream is tried to be opened again: longer than a server takes to restart on a long log.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often an original server is looked at: it has nothing better, and its own parts look every 5 s.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Which events are wanted; the words of the wire.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// `data:ID`, `plan:ID`, `run:ID`, or a kind of stream.
    pub(crate) entities: Vec<String>,
    /// Names of events.
    pub(crate) types: Vec<String>,
    /// Who caused them.
    pub(crate) actors: Vec<String>,
    /// To what they belong.
    pub(crate) correlations: Vec<String>,
    /// The time of the first and of the last.
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
}

/// An event: where it is, and its JSON as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) position: u64,
    pub(crate) json: String,
}

impl Told {
    /// What the JSON says.
    pub(crate) fn read(&self) -> Result<LogEvent, Error> {
        self.decode()
    }

    fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.json).map_err(|source| Error::Unintelligible { ask: ask(), source })
    }
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// Behind this position.
    Behind(u64),
    /// So that at most so many of those that are wanted are told before what is yet to come.
    Last(usize),
}

/// An open stream.
pub(crate) struct Events<'a> {
    client: &'a Client,
    wanted: Wanted,
    follows: bool,
    /// Where it goes on: behind the last position that is known to be behind us.
    begins: Beginning,
    /// The last event that was told, of a stream that follows: by it the log is known again.
    last: Option<Told>,
    lines: Lines,
}

fn ask() -> Ask {
    Ask::question("read", Subject::Events)
}

impl Beginning {
    /// The position that is known to be behind us; none yet where the last ones were asked for.
    fn position(self) -> u64 {
        match self {
            Self::Behind(position) => position,
            Self::Last(_) => 0,
        }
    }
}

impl<'a> Events<'a> {
    /// Opens the stream; if it `follows`, it has no end. `None` from a server that has none.
    pub(crate) async fn open(
        client: &'a Client,
        wanted: Wanted,
        begins: Beginning,
        follows: bool,
    ) -> Result<Option<Self>, Error> {
        match answer(client, &wanted, begins, follows).await {
            Ok(response) => Ok(Some(Self { client, wanted, follows, begins, last: None, lines: Lines::of(response) })),
            Err(Error::Refused(refusal)) if refusal.is_unknown_route() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next event; `None` at the end of a stream that does not follow.
    pub(crate) async fn next(&mut self) -> Result<Option<Told>, Error> {
        loop {
            let broken = match timeout(SILENCE_MAX, self.lines.next()).await {
                Ok(Ok(Some(message))) => {
                    self.begins = message.id.map_or(self.begins, Beginning::Behind);
                    match message.data {
                        Some(json) => {
                            let told = Told { position: self.begins.position(), json };
                            self.last = self.follows.then(|| told.clone());
                            return Ok(Some(told));
                        }
                        None => continue,
                    }
                }
                Ok(Ok(None)) if !self.follows => return Ok(None),
                // A server that stops ends its streams in good order.
                Ok(Ok(None)) | Err(_) => None,
                Ok(Err(source)) => Some(connection_lost(&ask())(source)),
            };
            self.reopen(broken).await?;
        }
    }

    /// Opens the stream again where it broke off.
    async fn reopen(&mut self, broken: Option<Error>) -> Result<(), Error> {
        if let Some(error) = broken.filter(|_| !self.follows) {
            return Err(error);
        }
        let position = self.begins.position();
        // On a terminal a sign says so, which goes when the server is back: a note would stay below what is followed.
        if io::stderr().is_terminal() {
            waiting::begin_purpose(&"the server, whose stream of events broke off");
        } else {
            output::say(format_args!("note: the stream of events broke off; going on behind position {position}"));
        }
        // What was told last is told again, so that it can be seen whether the log is still the same.
        let begins = self.last.as_ref().map_or(self.begins, |last| Beginning::Behind(last.position - 1));
        loop {
            sleep(PAUSE_MIN).await;
            let response = patiently(async || answer(self.client, &self.wanted, begins, self.follows).await).await?;
            self.lines = Lines::of(response);
            match self.is_same_log().await {
                Some(true) => {
                    // The server is there again; however long nothing happens, it is not waited for.
                    waiting::end();
                    return Ok(());
                }
                Some(false) => return Err(Error::OtherLog { position }),
                // It broke off again.
                None => {}
            }
        }
    }
}

/// Asks until there is an answer, while the server is away.
pub(crate) async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    let (deadline, mut pause, mut is_away) = (Instant::now() + PATIENCE, PAUSE_MIN, false);
    loop {
        match ask().await {
            Err(error) if is_passing(&error) && Instant::now() < deadline => {
                // What is asked of it in vain is of less interest than that it is not there.
                waiting::begin_purpose(&away(&error));
                is_away = true;
            }
            answer => {
                if is_away {
                    waiting::end();
                }
                return answer;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// What is waited for while the server does not answer as it should.
fn away(error: &Error) -> String {
    if let Error::Refused(refusal) = error {
        format!("the server, which is not ready ({})", refusal.status)
    } else {
        "the server, which cannot be reached; it is tried again".to_owned()
    }
}

impl Events<'_> {
    /// Reads what was told last once more; answers whether it is what it was, unless that cannot be seen.
    async fn is_same_log(&mut self) -> Option<bool> {
        let Some(last) = &self.last else { return Some(true) };
        let again = timeout(SILENCE_MAX, self.lines.next()).await.ok()?.ok()??;
        self.begins = Beginning::Behind(last.position);
        let same = |json: &str| identity(json).is_some_and(|id| Some(id) == identity(&last.json));
        Some(again.id == Some(last.position) && again.data.is_some_and(|json| same(&json)))
    }
}

/// The id of an event, which no other has.
fn identity(json: &str) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(json).ok()?;
    event.get("eventId")?.as_str().map(str::to_owned)
}

/// Whether the log does not continue what is known of it: the server refuses a position that it has not.
fn is_of_another_log(error: &Error) -> bool {
    let refused = |status| status == StatusCode::BAD_REQUEST.as_u16();
    matches!(error, Error::OtherLog { .. }) || matches!(error, Error::Refused(refusal) if refused(refusal.status))
}

/// Whether trying again may help.
fn is_passing(error: &Error) -> bool {
    let is_away = matches!(error, Error::Unreachable { .. } | Error::ConnectionLost { .. });
    let failed = |status| status >= StatusCode::INTERNAL_SERVER_ERROR.as_u16();
    is_away || matches!(error, Error::Refused(refusal) if failed(refusal.status))
}

async fn answer(client: &Client, wanted: &Wanted, begins: Beginning, follows: bool) -> Result<Response, Error> {
    let mut query = Query::new();
    let lists = [
        ("entity", &wanted.entities),
        ("type", &wanted.types),
        ("actor", &wanted.actors),
        ("correlation", &wanted.correlations),
    ];
    for (name, words) in lists {
        if !words.is_empty() {
            query.push((name, words.join(",")));
        }
    }
    for (name, time) in [("since", &wanted.since), ("until", &wanted.until)] {
        query.extend(time.iter().map(|time| (name, time.clone())));
    }
    if follows {
        query.push(("follow", String::new()));
    }
    let after = match begins {
        Beginning::Behind(after) => Some((LAST_EVENT_ID_HEADER, after)),
        Beginning::Last(count) => {
            query.push(("last", count.to_string()));
            None
        }
    };
    let mut url = client.url(&["events"])?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    client.stream_after(&ask(), url, after).await
}

/// A reason to look again at what one waits for.
pub(crate) enum Changes<'a> {
    /// Something of interest has happened.
    Told(Box<Events<'a>>),
    /// The server cannot tell.
    Looking,
}

impl<'a> Changes<'a> {
    /// Changes behind `position`, which is that of the answer that was looked at; none of an original server.
    pub(crate) async fn since(client: &'a Client, wanted: Wanted, position: Option<u64>) -> Result<Self, Error> {
        let Some(position) = position else { return Ok(Self::Looking) };
        match Events::open(client, wanted, Beginning::Behind(position), true).await {
            Ok(events) => Ok(events.map_or(Self::Looking, |events| Self::Told(Box::new(events)))),
            // As many are told as the server tells.
            Err(error) if is_passing(&error) || is_of_another_log(&error) => Ok(Self::Looking),
            Err(error) => Err(error),
        }
    }

    /// Waits until something may be different from how it was at `position`; answers the position of what happened,
    /// if the server tells that. What lies before is passed over: one look has seen all of it.
    pub(crate) async fn next_behind(&mut self, position: Option<u64>) -> Result<Option<u64>, Error> {
        let Self::Told(events) = self else {
            self.next().await?;
            return Ok(None);
        };
        loop {
            match events.next().await? {
                Some(told) if Some(told.position) <= position => {}
                told => return Ok(told.map(|told| told.position)),
            }
        }
    }

    /// Waits until something may be different.
    pub(crate) async fn next(&mut self) -> Result<(), Error> {
        match self {
            Self::Told(events) => match events.next().await {
                Ok(_) => Ok(()),
                // Whoever looks, looks at what is there now.
                Err(error) if is_of_another_log(&error) => {
                    *self = Self::Looking;
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Self::Looking => {
                sleep(LOOK_INTERVAL).await;
                Ok(())
            }
        }
    }
}
