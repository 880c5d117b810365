//! What can go wrong. How it is told to a person is decided in [`crate::advice`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use knit_schemas::api::{Tag, TagChange};

use crate::archive::unpack::UnpackError;
use crate::ids::Kind;
use crate::plan::template::image::ImageError;
use crate::profile::ProfileError;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The words do not fit together; nothing was attempted.
    #[error("{0}")]
    Usage(String),
    /// Who the server is cannot be told.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The server said no, or that it failed.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// No connection.
    #[error("cannot reach the server at {server}")]
    Unreachable {
        /// Its address.
        server: String,
        /// Whether that is the address that is used when nothing else is said.
        by_default: bool,
        /// Why.
        source: reqwest::Error,
    },
    /// The connection broke.
    #[error("the connection broke while trying to {ask}")]
    ConnectionLost {
        /// During what.
        ask: Ask,
        /// Why.
        source: reqwest::Error,
    },
    /// The answer is not in the shape that was asked for.
    #[error("the server's answer is not understood when trying to {ask}")]
    Unintelligible {
        /// To what.
        ask: Ask,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot {doing} `{}`", path.display())]
    File {
        /// What was tried, such as `read`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A YAML file does not say what it should.
    #[error("{} is not understood", called(path))]
    Yaml {
        /// The file.
        path: PathBuf,
        /// How such a file is written.
        example: &'static str,
        /// Where and why.
        source: serde_yaml_ng::Error,
    },
    /// A Plan file in which nothing is written.
    #[error("{} holds no Plan", called(path))]
    EmptyPlan {
        /// The file.
        path: PathBuf,
    },
    /// A Plan file with keys that are nearly, but not, what a Plan has.
    #[error("{} is not registered: it has keys that mean nothing", called(path))]
    MisspeltPlan {
        /// The file.
        path: PathBuf,
        /// Each with what is meant most likely.
        keys: Vec<String>,
    },
    /// No image can be told from an archive.
    #[error("cannot draft a Plan from `{}`", path.display())]
    Image {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: ImageError,
    },
    /// A shortened id that does not tell which one is meant.
    #[error("`{typed}` is the beginning of several ids of {}", kind.name())]
    Ambiguous {
        /// Of what.
        kind: Kind,
        /// What was typed.
        typed: String,
        /// Some of those that fit, the newest first.
        ids: Vec<String>,
    },
    /// An original server keeps no past.
    #[error("this server cannot answer about another time than now")]
    NoPast,
    /// The server does not know the route.
    #[error("this server cannot {ask}: it is an original one, or an older one")]
    Unable {
        /// What was asked.
        ask: Ask,
    },
    /// The Plan would get more Runs than are wanted, as they were counted here.
    #[error("the Plan is not registered: it would get {runs} Run{} and at most {runs_max} are wanted", if *runs == 1 { "" } else { "s" })]
    TooManyRuns {
        /// How many it would get.
        runs: u64,
        /// How many are wanted.
        runs_max: u64,
        /// For every input, its path and how many Data fit.
        candidates: Vec<(String, u64)>,
    },
    /// What was to be pushed is not there.
    #[error("none of the sources exists")]
    NothingToPush,
    /// The server would refuse the tag, but only after everything is uploaded.
    #[error("`{}` cannot be a tag: it must not hold double quotes, backslashes or control characters", printable(tag))]
    UnwritableTag {
        /// The tag.
        tag: Tag,
    },
    /// The files of a Data cannot be read.
    #[error("cannot pack `{}`", source_path.display())]
    Pack {
        /// What was pushed.
        source_path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The Data is uploaded, but has none of the wanted tags.
    #[error("Data `{knit_id}` is uploaded, but could not be tagged")]
    Untagged {
        /// The Data.
        knit_id: String,
        /// What should have been changed.
        change: TagChange,
        /// Why.
        source: Box<Error>,
    },
    /// The archive of a Data cannot be unpacked.
    #[error("cannot unpack Data `{knit_id}`")]
    Unpack {
        /// The Data.
        knit_id: String,
        /// Why.
        source: UnpackError,
    },
    /// What was received is not what was sent.
    #[error("the content of Data `{knit_id}` arrived damaged: its MD5 is {computed}, but the server sent {announced}")]
    Checksum {
        /// The Data.
        knit_id: String,
        /// Of what arrived.
        computed: String,
        /// Of what was sent.
        announced: String,
    },
    /// The end of the answer is missing, or was never announced.
    #[error("the content of Data `{knit_id}` arrived without its checksum, so it may be incomplete")]
    NoChecksum {
        /// The Data.
        knit_id: String,
    },
    /// An extension cannot be started.
    #[error("cannot start `{}`", path.display())]
    Extension {
        /// The program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no such command.
    #[error("`{name}` is not a command of knit, and there is no `knit-{name}` on the PATH")]
    NoSuchCommand {
        /// What was asked for.
        name: String,
    },
    /// What is told now does not continue what was told before.
    #[error(
        "the log is another one than before, up to position {position}: it was restored to an older state, or swapped"
    )]
    OtherLog {
        /// Up to which it was told before.
        position: u64,
    },
    /// What was waited for did not come.
    #[error("{what} within {limit}")]
    NotInTime {
        /// What did not happen.
        what: String,
        /// For how long that was waited for.
        limit: String,
    },
    /// Runs that were waited for ended otherwise than done.
    #[error("not every Run is done")]
    RunsFailed {
        /// Those that have failed or were removed.
        run_ids: Vec<String>,
    },
    /// Standard output or the runtime failed.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The same, but where the route is unknown, that the server cannot do it.
    pub(crate) fn if_unable(self) -> Self {
        if let Self::Refused(refusal) = &self
            && refusal.is_unknown_route()
        {
            return Self::Unable { ask: refusal.ask.clone() };
        }
        self
    }

    /// For [`Result::map_err`] of file operations.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

/// The tag in one line, whatever it holds.
fn printable(tag: &Tag) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    tag.to_string().chars().map(escaped).collect()
}

/// A file that is read, as people call it.
fn called(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { format!("`{}`", path.display()) }
}

/// What is asked of the server, in words that follow "cannot".
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// An imperative, such as `stop`.
    pub(crate) verb: &'static str,
    /// Of what.
    pub(crate) subject: Subject,
    /// Whether the server may have changed something although its answer is lost.
    pub(crate) is_change: bool,
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// All Data, or a new one: the word has no plural.
    AnyData,
    /// One Data.
    Data(String),
    /// All Plans.
    AnyPlan,
    /// The Plan to be, of this file.
    NewPlan(PathBuf),
    /// One Plan.
    Plan(String),
    /// All Runs.
    AnyRun,
    /// One Run.
    Run(String),
    /// The log of a Run.
    LogOf(String),
    /// The attempts of a Run.
    AttemptsOf(String),
    /// What happens.
    Events,
}

impl Subject {
    /// The kind and the id of the one thing that it is.
    pub(crate) fn id(&self) -> Option<(Kind, &str)> {
        match self {
            Self::Data(id) => Some((Kind::Data, id)),
            Self::Plan(id) => Some((Kind::Plan, id)),
            Self::Run(id) | Self::LogOf(id) | Self::AttemptsOf(id) => Some((Kind::Run, id)),
            Self::AnyData | Self::AnyPlan | Self::NewPlan(_) | Self::AnyRun | Self::Events => None,
        }
    }
}

impl Ask {
    /// A question: `verb` the `subject`.
    pub(crate) const fn question(verb: &'static str, subject: Subject) -> Self {
        Self { verb, subject, is_change: false }
    }

    /// An order: `verb` the `subject`.
    pub(crate) const fn order(verb: &'static str, subject: Subject) -> Self {
        Self { verb, subject, is_change: true }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.verb)?;
        match &self.subject {
            Subject::AnyData => f.write_str("Data"),
            Subject::Data(id) => write!(f, "Data `{id}`"),
            Subject::AnyPlan => f.write_str("Plans"),
            Subject::NewPlan(file) => write!(f, "the Plan of {}", called(file)),
            Subject::Plan(id) => write!(f, "Plan `{id}`"),
            Subject::AnyRun => f.write_str("Runs"),
            Subject::Run(id) => write!(f, "Run `{id}`"),
            Subject::LogOf(id) => write!(f, "the log of Run `{id}`"),
            Subject::AttemptsOf(id) => write!(f, "the attempts of Run `{id}`"),
            Subject::Events => f.write_str("what happens"),
        }
    }
}

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

    /// So spelled, it is the route that is unknown: the server is an original one, or an older one of ours.
    pub(crate) fn is_unknown_route(&self) -> bool {
        self.status == 405 || (self.status == 404 && self.reason == "Not Found")
    }

    /// Whether what answered can hardly be a server of Knitfab: its lists are always there, and it sends no pages.
    pub(crate) fn is_of_a_stranger(&self) -> bool {
        let is_list = match self.ask.subject {
            Subject::AnyData | Subject::AnyPlan | Subject::NewPlan(_) | Subject::AnyRun => true,
            Subject::Data(_)
            | Subject::Plan(_)
            | Subject::Run(_)
            | Subject::LogOf(_)
            | Subject::AttemptsOf(_)
            | Subject::Events => false,
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
