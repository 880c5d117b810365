//! What can go wrong, in three families that are never mixed: a request the log will not take
//! ([`Refusal`]), a race that was lost ([`Conflict`]), and the world breaking ([`Fault`]).

use std::path::PathBuf;
use std::sync::Arc;

use knit_domain::event::{Position, Sequence, StreamId, UndecodableEvent};
use knit_domain::reservation::{Holder, Scope};

use crate::ends::OtherEnd;

/// Why nothing was appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Something moved since the decision was taken: load again, decide again. Names all that failed.
    #[error("the decision is out of date: {}", list(.0))]
    Conflict(Vec<Conflict>),
    /// The request itself can never be appended.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The world broke.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// One thing that was not as the decision supposed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A stream is at another version.
    #[error("stream {stream} is at version {actual}, not {expected}")]
    Stream {
        /// Which stream.
        stream: StreamId,
        /// The version the decision was taken on.
        expected: Sequence,
        /// The version it has.
        actual: Sequence,
    },
    /// A place that must be free is taken.
    #[error("{holder} already holds a place in {scope}")]
    Taken {
        /// Which scope.
        scope: Scope,
        /// Whose place.
        holder: Holder,
    },
    /// A place that must be taken is free.
    #[error("{holder} holds no place in {scope}")]
    Free {
        /// Which scope.
        scope: Scope,
        /// Whose place.
        holder: Holder,
    },
    /// A scope that must be empty is not.
    #[error("{scope} is held by {}", list(.holders))]
    ScopeNotEmpty {
        /// Which scope.
        scope: Scope,
        /// By whom, sorted.
        holders: Vec<Holder>,
    },
    /// Something was appended since.
    #[error("the log has come to position {actual}, not {expected}")]
    Log {
        /// The position the decision was taken at.
        expected: Position,
        /// The position of the last event.
        actual: Position,
    },
}

/// Why a request can never be appended, whatever the state of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More events than one append may have.
    #[error("the request has {events} events; one append takes at most {events_max}: split it")]
    TooManyEvents {
        /// How many it has.
        events: usize,
        /// How many it may have.
        events_max: usize,
    },
    /// One event is too large.
    #[error("event {event_type} has {bytes} bytes; one event takes at most {bytes_max}")]
    EventTooLarge {
        /// Its stored name.
        event_type: &'static str,
        /// Its size as it would be stored.
        bytes: usize,
        /// What it may have.
        bytes_max: usize,
    },
    /// All events and attachments together are too large.
    #[error("the request has {bytes} bytes; one append takes at most {bytes_max}: split it")]
    RequestTooLarge {
        /// Size of all payloads and attachments.
        bytes: usize,
        /// What they may have.
        bytes_max: usize,
    },
    /// Not exactly one id for every event.
    #[error("the request has {events} events but {ids} different event ids")]
    EventIdsMismatch {
        /// How many events.
        events: usize,
        /// How many distinct ids.
        ids: usize,
    },
    /// An event was sent to a stream of another kind.
    #[error("event {event_type} does not belong in stream {stream}")]
    WrongStream {
        /// Its stored name.
        event_type: &'static str,
        /// Where it was sent.
        stream: StreamId,
    },
    /// A stream is written twice; which of the two comes first would be an accident.
    #[error("stream {stream} is written twice in one request")]
    StreamTwice {
        /// Which stream.
        stream: StreamId,
    },
    /// A name that the databases cannot keep.
    #[error("`{name}` cannot be stored: names have 1 to {bytes_max} bytes and no NUL character")]
    UnstorableName {
        /// The name.
        name: String,
        /// How long it may be.
        bytes_max: usize,
    },
    /// A redaction names no leaf, or an envelope that is none.
    #[error("a redaction of event {position} names a leaf or an envelope that is no hash")]
    MalformedHash {
        /// The event to be emptied.
        position: Position,
    },
    /// The bytes of an attachment are not those that its hash names.
    #[error("an attachment does not have the SHA-256 {sha256} that it is stored under")]
    AttachmentHash {
        /// The hash that was given.
        sha256: String,
    },
}

/// The world broke: the disk, the network, the database, or the stored data.
///
/// After any of these but [`Fault::OutcomeUnknown`], a failed append has recorded nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// No room for another event.
    #[error("the disk of the event log is full while {doing}: free some space and try again")]
    DiskFull {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        source: Arc<sqlx::Error>,
    },
    /// The database did not answer within the patience of this crate.
    #[error("the database cannot be reached while {doing}: check that it runs")]
    Unreachable {
        /// What was being done.
        doing: &'static str,
        /// What the connection said.
        source: Arc<sqlx::Error>,
    },
    /// The database went away between an append and its answer, and stayed away.
    #[error(
        "outcome unknown: the database went away before it answered; asking again with the same event ids will tell"
    )]
    OutcomeUnknown {
        /// What the connection said last.
        source: Arc<sqlx::Error>,
    },
    /// The database answered with an error of its own.
    #[error("the database failed while {doing}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        source: Arc<sqlx::Error>,
    },
    /// A stored value is not what this program wrote.
    #[error("the event log is damaged: {what}")]
    Damaged {
        /// Which value, and how.
        what: String,
    },
    /// Head row and last event contradict each other.
    #[error("{0}")]
    OtherEnd(OtherEnd),
    /// Some events of a retried request exist and others do not: the ids were used for two requests.
    #[error("{recorded} of the {events} event ids of this request are already in the log: ids must not be reused")]
    PartlyRecorded {
        /// How many exist.
        recorded: usize,
        /// How many the request has.
        events: usize,
    },
    /// The log was closed while this was waiting.
    #[error("the event log is closed")]
    Closed,
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The text names no database.
    #[error("`{text}` is no database: write postgres://user@host/name, sqlite:///path/to/file, or a path")]
    UnknownDatabase {
        /// What was given.
        text: String,
    },
    /// A newer program has changed the tables.
    #[error(
        "the tables of the event log are of version {found}, this program knows up to {known}: run the newer program"
    )]
    NewerSchema {
        /// Version in the database.
        found: i64,
        /// Newest version of this program.
        known: i64,
    },
    /// Another process has the file open.
    #[error(
        "the event log {} is in use by another process: stop that knitd first, or give this one a place of its own",
        path.display()
    )]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The file or its lock cannot be opened.
    #[error("cannot open {}: check that the directory exists and is writable", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no connection to be had.
    #[error("cannot connect to the database {database}: check that it runs there, and that the address is right")]
    Unreachable {
        /// Its address, without user and password.
        database: String,
        /// What the connection said.
        source: sqlx::Error,
    },
    /// The world broke.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why events cannot be read on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// This program cannot read the event; it stops here, visibly.
    #[error("event {position} cannot be read")]
    Undecodable {
        /// Where.
        position: Position,
        /// Why.
        source: UndecodableEvent,
    },
    /// The order has a hole, which the appender never leaves: something else wrote or deleted.
    #[error("event {position} is missing from the log: the database was restored, or changed by hand")]
    Missing {
        /// The first position that is not there.
        position: Position,
    },
    /// A stream has a hole.
    #[error("event {sequence} of stream {stream} is missing: the database was changed by hand")]
    MissingInStream {
        /// Which stream.
        stream: StreamId,
        /// The first sequence that is not there.
        sequence: Sequence,
    },
    /// The chain does not link: an event was changed after it was recorded.
    #[error("event {position} does not continue the chain: the log was changed after it was written")]
    BrokenChain {
        /// Where.
        position: Position,
    },
    /// The content of an event is not what its leaf was computed of.
    #[error("event {position} is not what was appended: its content was changed behind the log")]
    Changed {
        /// Where.
        position: Position,
    },
    /// The content of an event was taken out, and nobody says so.
    #[error("event {position} was emptied, and no redaction says what remains of it: the database was changed by hand")]
    Emptied {
        /// Where.
        position: Position,
    },
    /// The world broke.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl ReadError {
    /// Whether the log is not as it was written: no waiting mends that.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::MissingInStream { .. } => true,
            Self::Fault(fault) => fault.is_damage(),
            Self::Undecodable { .. }
            | Self::Missing { .. }
            | Self::BrokenChain { .. }
            | Self::Changed { .. }
            | Self::Emptied { .. } => self.flaw().is_some(),
        }
    }

    /// Where the log is not as it was written, if that is what is wrong. What only a newer program can read is in order.
    #[must_use]
    pub fn flaw(&self) -> Option<Position> {
        match self {
            Self::Missing { position }
            | Self::BrokenChain { position }
            | Self::Changed { position }
            | Self::Emptied { position }
            | Self::Undecodable { position, source: UndecodableEvent::BadPayload { .. } } => Some(*position),
            Self::Undecodable {
                source: UndecodableEvent::UnknownStreamType { .. } | UndecodableEvent::UnknownVersion { .. },
                ..
            }
            | Self::MissingInStream { .. } => None,
            Self::Fault(fault) => fault.flaw(),
        }
    }
}

impl From<OtherEnd> for Fault {
    fn from(other: OtherEnd) -> Self {
        Self::OtherEnd(other)
    }
}

impl Fault {
    /// Whether the log is not as it was written: no waiting mends that.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::OtherEnd(_))
    }

    /// Where the log is not as it was written, if that is what is wrong and is known.
    #[must_use]
    pub fn flaw(&self) -> Option<Position> {
        if let Self::OtherEnd(other) = self { Some(other.position()) } else { None }
    }

    /// Sorts an error of the database driver into what a person can do about it.
    pub(crate) fn of(doing: &'static str, error: sqlx::Error) -> Self {
        if let sqlx::Error::Decode(cause) = &error
            && let Some(other) = cause.downcast_ref::<OtherEnd>()
        {
            return Self::OtherEnd(*other);
        }
        if let sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } = error {
            return Self::Damaged { what: error.to_string() };
        }
        let source = Arc::new(error);
        match Trouble::of(&source) {
            Trouble::DiskFull => Self::DiskFull { doing, source },
            Trouble::Other if is_without_room_for_an_index(&source) => Self::DiskFull { doing, source },
            Trouble::Connection => Self::Unreachable { doing, source },
            Trouble::Content | Trouble::Race | Trouble::Occupied | Trouble::Other => Self::Database { doing, source },
        }
    }
}

/// What an error of the database driver means for whoever might try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The connection or the server is gone: a new connection may help, and the outcome is open.
    Connection,
    /// Somebody else was faster, or wrote past the appender: looking again helps.
    Race,
    /// The database does not take one of the values.
    Content,
    /// No room on the disk.
    DiskFull,
    /// Somebody else holds a lock, and did not let go of it in time.
    Occupied,
    /// Anything else that the database answered; it has recorded nothing.
    Other,
}

impl Trouble {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        if let sqlx::Error::Database(answer) = error {
            return answer.code().map_or(Self::Other, |code| Self::of_code(&code));
        }
        let local = matches!(
            error,
            sqlx::Error::Configuration(_)
                | sqlx::Error::RowNotFound
                | sqlx::Error::TypeNotFound { .. }
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Decode(_)
                | sqlx::Error::Encode(_)
        );
        if local { Self::Other } else { Self::Connection }
    }

    /// PostgreSQL answers with five characters, SQLite with a number of at most four digits.
    fn of_code(code: &str) -> Self {
        match code {
            "53100" | "13" => Self::DiskFull,
            "55P03" | "5" => Self::Occupied,
            // Unique keys that exist, and transactions that could not be put in an order.
            "23505" | "1555" | "2067" | "40001" | "40P01" => Self::Race,
            // Shutdown, crash and start of the server, broken connections, no free connection slot.
            "57P01" | "57P02" | "57P03" | "53300" => Self::Connection,
            _ if code.len() == 5 && code.starts_with("08") => Self::Connection,
            // Data exceptions, constraint violations, limits of the program.
            _ if code.len() == 5 && ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => Self::Content,
            _ => Self::Other,
        }
    }
}

/// Whether SQLite could not enlarge the index of its write-ahead log (`SQLITE_IOERR_SHMSIZE`), which a full disk does.
/// To whoever reads it that is a full disk; a commit that it has met may have been recorded all the same.
fn is_without_room_for_an_index(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "4874")
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_sorted_by_what_helps() {
        for (code, trouble) in [
            ("53100", Trouble::DiskFull),
            ("13", Trouble::DiskFull),
            ("23505", Trouble::Race),
            ("2067", Trouble::Race),
            ("40001", Trouble::Race),
            ("57P01", Trouble::Connection),
            ("08006", Trouble::Connection),
            ("22021", Trouble::Content),
            ("55P03", Trouble::Occupied),
            ("42P01", Trouble::Other),
            ("10", Trouble::Other),
        ] {
            assert_eq!(Trouble::of_code(code), trouble, "{code}");
        }
    }
}
