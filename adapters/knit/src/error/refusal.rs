//! An answer of the server that is an error, taken apart (web-api 1.4).

use std::fmt;

use super::{Ask, Error, Subject};
use crate::ids::Kind;

/// The reason of an answer that is a page for people, which nobody wants to read here.
const WEB_PAGE: &str = "the answer is a web page";

/// An answer that is an error, taken apart (web-api 1.4).
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// What was asked.
    pub(crate) ask: Ask,
    /// HTTP status.
    pub(crate) status: u16,
    /// Why, in one line; may be empty.
    pub(crate) reason: String,
    /// What the server suggests.
    pub(crate) advice: Vec<String>,
    /// Diagnostic text.
    pub(crate) cause: Option<String>,
    /// Id of what the refusal speaks of, such as the equivalent Plan's.
    pub(crate) see: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: ", self.ask)?;
        match self.reason.as_str() {
            "" => write!(f, "the server answered {}", self.status),
            reason => write!(f, "{} ({})", spelled_right(reason), self.status),
        }
    }
}

/// The wire keeps some reasons as the original misspelled them. Programs compare them there; people
/// read them here.
fn spelled_right(reason: &str) -> &str {
    match reason {
        "there are equiverent plan" => "there is an equivalent Plan",
        "plan spec conflics with others" => "the Plan conflicts with others",
        "correspontind data is missing" => "there is no such Data",
        "hash is not match." => "the checksum does not match",
        "the run have not finished yet" => "the Run has not finished yet",
        "service unavailable temporaly" => "the service is unavailable for the moment",
        reason => reason,
    }
}

impl Refusal {
    /// There is no such thing, which `reason` says in a few words.
    pub(crate) fn missing(ask: Ask, reason: String) -> Error {
        let refusal = Self { ask, status: 404, reason, advice: Vec::new(), cause: None, see: None };
        Error::Refused(Box::new(refusal))
    }

    /// Whether the server's advice speaks of `words`.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.advice.iter().any(|line| line.contains(words))
    }

    /// The kind and the id of the one thing that is not there, as far as that can be told.
    pub(crate) fn absent(&self) -> Option<(Kind, &str)> {
        let names = |id: &str| self.says(&format!("there is no {id}"));
        let absent = if let Subject::Pair(kind, left, right) = &self.ask.subject {
            let ids = [left, right].into_iter();
            let mut absent = ids.filter(|id| names(&format!("{} `{id}`", kind.name())));
            absent.next().map(|id| (*kind, id.as_str()))
        } else {
            self.ask.subject.id()
        };
        absent.filter(|_| self.status == 404)
    }

    /// So spelled, it is the route that is unknown: the server is an original one, or an older one of ours.
    pub(crate) fn is_unknown_route(&self) -> bool {
        self.status == 405 || (self.status == 404 && self.reason == "Not Found")
    }

    /// Whether what answered can hardly be a server of Knitfab: its lists are always there, and it sends no pages.
    pub(crate) fn is_of_a_stranger(&self) -> bool {
        let is_list = match self.ask.subject {
            Subject::AnyData | Subject::AnyPlan | Subject::NewPlan(_) | Subject::AnyRun => true,
            Subject::Data(_)
            | Subject::Pair(..)
            | Subject::Plan(_)
            | Subject::Run(_)
            | Subject::LogOf(_)
            | Subject::AttemptsOf(_)
            | Subject::Events
            | Subject::History
            | Subject::Event(_)
            | Subject::Server
            | Subject::Projections
            | Subject::Projection(_)
            | Subject::Log
            | Subject::Said(_) => false,
        };
        self.reason == WEB_PAGE || is_list && matches!(self.status, 404 | 405 | 501)
    }

    /// Takes the body of an error answer apart, in any of the shapes servers have sent.
    pub(crate) fn parse(ask: Ask, status: u16, body: &[u8], see: Option<String>) -> Self {
        let mut refusal = Self { ask, status, reason: String::new(), advice: Vec::new(), cause: None, see };
        match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(json) if json.get("reason").is_some_and(serde_json::Value::is_string) => refusal.take_structured(&json),
            Ok(json) if json.get("message").is_some_and(serde_json::Value::is_string) => {
                refusal.take_message(json["message"].as_str().unwrap_or_default());
            }
            _ if body.trim_ascii_start().starts_with(b"<") => WEB_PAGE.clone_into(&mut refusal.reason),
            _ => refusal.take_message(String::from_utf8_lossy(body).trim()),
        }
        refusal
    }

    fn take_structured(&mut self, json: &serde_json::Value) {
        let text = |name: &str| json.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        self.reason = text("reason").unwrap_or_default();
        self.advice.extend(text("advice").filter(|advice| !advice.is_empty()));
        self.see = self.see.take().or_else(|| text("see"));
    }

    /// The first line is the reason, what follows `caused by:` the cause, lines between are advice.
    fn take_message(&mut self, message: &str) {
        const CAUSE: &str = "caused by:";
        let (before, cause) = match message.split_once(CAUSE) {
            Some((before, cause)) => (before, Some(cause.trim().to_owned())),
            None => (message, None),
        };
        let mut lines = before.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
        self.reason = lines.next().unwrap_or_default();
        self.advice = lines.collect();
        self.cause = cause;
    }
}
