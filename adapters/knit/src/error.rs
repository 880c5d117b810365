//! What can go wrong. How it is told to a person is decided in [`crate::advice`].

mod refusal;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use knit_schemas::api::{Tag, TagChange};
use knit_schemas::export::Flaw;

pub(crate) use self::refusal::Refusal;
use crate::archive::unpack::UnpackError;
use crate::audit::SigningError;
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
    /// No server at the administration socket.
    #[error("no server can be reached through the socket `{}`", path.display())]
    NoSocket {
        /// Where it is expected.
        path: PathBuf,
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
    /// A log that is read again does not begin as it did before.
    #[error("cannot {ask} to its end: it is another one than what is printed above, for the Run was retried meanwhile")]
    OtherLogOfRun {
        /// Which log.
        ask: Ask,
    },
    /// What was waited for did not come.
    #[error("{what} within {limit}")]
    NotInTime {
        /// What did not happen.
        what: String,
        /// For how long that was waited for.
        limit: String,
        /// A longer time.
        longer: String,
    },
    /// Runs that were waited for ended otherwise than done.
    #[error("not every Run is done")]
    RunsFailed {
        /// Those that have failed or were removed.
        run_ids: Vec<String>,
    },
    /// The log of the server is not what was recorded, as this program has found it.
    #[error("the history is not whole: {0}")]
    NotWhole(Flaw),
    /// A history in a file, or from standard input, is not what was recorded.
    #[error("the history is not whole: {0}")]
    SentNotWhole(Flaw),
    /// The same, of a history in several files.
    #[error("the history is not whole: {flaw} (in `{}`)", file.display())]
    NotWholeIn {
        /// What is wrong.
        flaw: Flaw,
        /// The file that tells of this position.
        file: PathBuf,
    },
    /// The same, as the server has found it.
    #[error("the history is not whole: position {position}: {why}")]
    FoundBroken {
        /// The first position that is not in order.
        position: u64,
        /// What is wrong there.
        why: String,
    },
    /// The log of the server is not what was recorded.
    #[error("cannot {ask}: the log is not whole: {why}")]
    LogNotWhole {
        /// What was tried.
        ask: Ask,
        /// What is wrong, and where.
        why: String,
    },
    /// A history may be whole, and the server can do nothing with it.
    #[error("cannot {ask}: {why}")]
    NotTaken {
        /// What was tried.
        ask: Ask,
        /// What the server says.
        why: String,
    },
    /// A checkpoint is not made or trusted, or the history is not the one that was signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A rebuilt projection is not what the live one is.
    #[error("the rebuilt projection `{projection}` differs from the live one, which stays where it is")]
    Differs {
        /// Which projection.
        projection: String,
    },
    /// A rebuild was ended by somebody, or because the server stops.
    #[error("the rebuild of the projection `{projection}` was cancelled at position {position}; nothing has changed")]
    Cancelled {
        /// Which projection.
        projection: String,
        /// Up to where the log had been folded.
        position: u64,
        /// Whether what was folded is kept, so that the next one goes on from there.
        kept: bool,
        /// Whether it was the Ctrl-C of whoever had begun it.
        by_ctrl_c: bool,
    },
    /// A rebuild, or a switch back, cannot be done.
    #[error("the projection `{projection}` is as it was: {why}")]
    NotRebuilt {
        /// Which projection.
        projection: String,
        /// What the server says.
        why: String,
    },
    /// The log is not archived, or not all of it.
    #[error("the log is not archived further: {why}")]
    NotArchived {
        /// What the server says.
        why: String,
    },
    /// Files of an archive are not what was written.
    #[error("{count} {} of the archive {} damaged", if *count == 1 { "file" } else { "files" }, match (*count, *is_replaced) { (1, true) => "was", (_, true) => "were", (1, false) => "is", (_, false) => "are" })]
    DamagedArchive {
        /// How many.
        count: usize,
        /// Whether they were written again already.
        is_replaced: bool,
        /// Where.
        directory: PathBuf,
    },
    /// The answer ended before it said how it went.
    #[error("the server broke off before it said what came of trying to {ask}")]
    NoEnd {
        /// What was tried.
        ask: Ask,
    },
    /// Something that the server needs does not work.
    #[error("{count} {} not work", if *count == 1 { "thing does" } else { "things do" })]
    NotWell {
        /// How many things.
        count: usize,
    },
    /// Standard output or the runtime failed.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// Whoever was asked whether that is meant did not say yes.
    #[error("nothing is {done}: the answer was not yes")]
    Declined {
        /// What was not done, such as `redacted`.
        done: &'static str,
    },
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
        move |source| Self::File { doing, path, source: without_temporary_name(source) }
    }
}

/// What making or writing a temporary file said, without its name, which means nothing to anybody.
pub(crate) fn without_temporary_name(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((said, _)) => io::Error::new(error.kind(), said),
        None => error,
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
    /// Two of one kind, held against each other.
    Pair(Kind, String, String),
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
    /// The log, as it is stored.
    History,
    /// The event at a position.
    Event(u64),
    /// The server itself.
    Server,
    /// Every projection of a server.
    Projections,
    /// One of them.
    Projection(String),
    /// The event log.
    Log,
    /// Something that the history says, in words.
    Said(String),
}

impl Subject {
    /// The kind and the id of the one thing that it is.
    pub(crate) fn id(&self) -> Option<(Kind, &str)> {
        match self {
            Self::Data(id) => Some((Kind::Data, id)),
            Self::Plan(id) => Some((Kind::Plan, id)),
            Self::Run(id) | Self::LogOf(id) | Self::AttemptsOf(id) => Some((Kind::Run, id)),
            Self::Pair(..)
            | Self::AnyData
            | Self::AnyPlan
            | Self::NewPlan(_)
            | Self::AnyRun
            | Self::Events
            | Self::History
            | Self::Event(_)
            | Self::Server
            | Self::Projections
            | Self::Projection(_)
            | Self::Log
            | Self::Said(_) => None,
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
            Subject::Pair(kind, left, right) => {
                let name = kind.name();
                write!(f, "{name} `{left}` with {name} `{right}`")
            }
            Subject::AnyPlan => f.write_str("Plans"),
            Subject::NewPlan(file) => write!(f, "the Plan of {}", called(file)),
            Subject::Plan(id) => write!(f, "Plan `{id}`"),
            Subject::AnyRun => f.write_str("Runs"),
            Subject::Run(id) => write!(f, "Run `{id}`"),
            Subject::LogOf(id) => write!(f, "the log of Run `{id}`"),
            Subject::AttemptsOf(id) => write!(f, "the attempts of Run `{id}`"),
            Subject::Events => f.write_str("the events"),
            Subject::History => f.write_str("the history"),
            Subject::Event(position) => write!(f, "the event at position {position}"),
            Subject::Server => f.write_str("the server"),
            Subject::Projections => f.write_str("the projections"),
            Subject::Projection(name) => write!(f, "the projection `{name}`"),
            Subject::Log => f.write_str("the log"),
            Subject::Said(what) => f.write_str(what),
        }
    }
}
