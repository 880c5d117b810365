//! Places for logs, and small things to put into them.

use std::path::PathBuf;
use std::time::Duration;

use knit_domain::decision::Decision;
use knit_domain::event::agent::{AgentClosure, AgentEvent};
use knit_domain::event::journal::JournalEvent;
use knit_domain::event::{Event, Metadata, Position, Recorded, StreamId, StreamType};
use knit_domain::id::{AgentMode, AgentName, KnitId};
use knit_log::{Appended, Conflict, Database, Log, OpenError, Options, Request, chain};
use knit_tests::postgres::TestDatabase;
use sqlx::Connection;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// How long a test waits for something that must happen soon.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Where the log of one test is.
pub(crate) enum Place {
    Postgres(TestDatabase),
    Sqlite(tempfile::TempDir),
}

impl Place {
    pub(crate) fn postgres() -> Self {
        Self::Postgres(TestDatabase::new())
    }

    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn address(&self) -> String {
        match self {
            Self::Postgres(database) => database.url().to_owned(),
            Self::Sqlite(_) => format!("sqlite://{}", self.file().display()),
        }
    }

    /// The database file.
    pub(crate) fn file(&self) -> PathBuf {
        match self {
            Self::Postgres(_) => panic!("PostgreSQL has no one file"),
            Self::Sqlite(directory) => directory.path().join("log.db"),
        }
    }

    pub(crate) fn database(&self) -> Database {
        Database::parse(&self.address()).unwrap()
    }

    pub(crate) async fn open(&self) -> Log {
        self.open_with(Options::default()).await
    }

    pub(crate) async fn open_with(&self, options: Options) -> Log {
        let opened = timeout(SOON, async {
            loop {
                match Log::open(&self.database(), options.clone()).await {
                    // A program that another test is just starting has, for a moment, all files of this one, and with
                    // them the lock of a log that was closed.
                    Err(OpenError::InUse { .. }) => sleep(Duration::from_millis(1)).await,
                    opened => return opened.unwrap(),
                }
            }
        });
        opened.await.expect("whoever had the log lets it go")
    }

    /// Another handle, as another process would have it; SQLite serves only one process.
    pub(crate) async fn open_beside(&self, log: &Log) -> Log {
        match self {
            Self::Postgres(_) => self.open().await,
            Self::Sqlite(_) => log.clone(),
        }
    }

    /// Changes the tables behind the log's back.
    pub(crate) async fn tamper(&self, sql: &str) {
        match self {
            Self::Postgres(database) => {
                let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            }
            Self::Sqlite(_) => {
                let mut connection = sqlx::SqliteConnection::connect(&self.address()).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            }
        }
    }
}

impl Place {
    /// Lets the last event be of a version that nobody knows today, with its leaf and the chain as they must be (D15).
    pub(crate) async fn let_the_last_be_of_a_newer_program(&self, log: &Log) {
        let position = log.position();
        let mut event = log.read_stored(position - 1, 1).await.unwrap().remove(0);
        event.event_version = "99".to_owned();
        let (leaf, before) = (event.leaf_of_content(), log.chain_at(position - 1).await.unwrap().unwrap());
        let bytes = |hash: chain::Hash| match self {
            Self::Postgres(_) => format!("decode('{}', 'hex')", hex::encode(hash)),
            Self::Sqlite(_) => format!("x'{}'", hex::encode(hash)),
        };
        let (leaf, chain) = (bytes(leaf), bytes(chain::link(&before, position, event.recorded_at, &leaf)));
        self.tamper(&format!(
            "UPDATE events SET event_version = '99', leaf = {leaf}, chain = {chain} WHERE position = {position}; \
             UPDATE head SET chain = {chain}"
        ))
        .await;
    }
}

/// A stream of the kind that takes any number of remarks.
pub(crate) fn journal(name: &str) -> StreamId {
    StreamId { kind: StreamType::Journal, id: name.to_owned() }
}

pub(crate) fn remark(text: &str) -> JournalEvent {
    JournalEvent::EventSkipped { projection: "lineage".to_owned(), position: 1, reason: text.to_owned() }
}

pub(crate) fn by(actor: &str) -> Metadata {
    Metadata { actor: actor.to_owned(), ..Metadata::default() }
}

pub(crate) fn request(decision: Decision) -> Request {
    Request::new(decision, by("anonymous"))
}

/// A request for `count` remarks in `stream`, which is at version `expected`.
pub(crate) fn remarks(stream: &StreamId, expected: u64, count: usize) -> Request {
    let events = (0..count).map(|index| remark(&format!("{stream} {expected}+{index}")));
    request(Decision::write(stream.clone(), expected, events))
}

/// Appends one remark to each of `count` fresh streams.
pub(crate) async fn fill(log: &Log, count: usize) -> Vec<Appended> {
    let mut all = Vec::with_capacity(count);
    for index in 0..count {
        all.push(log.append(remarks(&journal(&format!("fill-{index}")), 0, 1)).await.unwrap());
    }
    all
}

pub(crate) fn data() -> KnitId {
    KnitId(Uuid::new_v4())
}

pub(crate) fn agent(data: KnitId, mode: AgentMode) -> AgentName {
    AgentName::of(data, mode, rand_u32())
}

/// A transfer begins: takes a place of `agent` in the scope of its Data.
pub(crate) fn opened(data: KnitId, mode: AgentMode, agent: &AgentName) -> Decision {
    let event = AgentEvent::AgentOpened { name: agent.clone(), knit_id: data, mode, server: "s".to_owned() };
    Decision::write(StreamId::agent(agent), 0, [event])
}

/// The transfer is over: gives the place back.
pub(crate) fn closed(data: KnitId, mode: AgentMode, agent: &AgentName) -> Decision {
    let cause = AgentClosure::Finished;
    let event = AgentEvent::AgentClosed { name: agent.clone(), knit_id: data, mode, cause };
    Decision::write(StreamId::agent(agent), 1, [event])
}

fn rand_u32() -> u32 {
    Uuid::new_v4().as_fields().0
}

/// The whole log; every event in its place, linked to the one before.
pub(crate) async fn whole(log: &Log) -> Vec<Recorded> {
    let mut all: Vec<Recorded> = Vec::new();
    loop {
        let page = log.read(all.len() as Position, 100).await.unwrap();
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    assert_contiguous(&all);
    all
}

/// Positions 1, 2, 3 …, stamps that never go back, and a chain that holds when computed again.
pub(crate) fn assert_contiguous(events: &[Recorded]) {
    let mut before = chain::GENESIS;
    let mut stamp = events.first().map(|event| event.recorded_at).unwrap_or_default();
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event.position, position);
        assert!(event.recorded_at >= stamp, "the stamp of {position} goes back");
        assert_eq!(event.chain, chain::link(&before, position, event.recorded_at, &event.leaf));
        (before, stamp) = (event.chain, event.recorded_at);
    }
}

/// The conflicts that `append` must have ended with.
pub(crate) fn conflicts(outcome: Result<Appended, knit_log::AppendError>) -> Vec<Conflict> {
    match outcome {
        Err(knit_log::AppendError::Conflict(conflicts)) => conflicts,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

/// The texts of the remarks among `events`.
pub(crate) fn reasons(events: &[Recorded]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| match &event.event {
            Event::Journal(JournalEvent::EventSkipped { reason, .. }) => Some(reason.as_str()),
            Event::Journal(JournalEvent::EventRedacted { .. })
            | Event::Catalog(_)
            | Event::Plan(_)
            | Event::Run(_)
            | Event::Data(_)
            | Event::Agent(_) => None,
        })
        .collect()
}
