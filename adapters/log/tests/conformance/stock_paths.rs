//! Why some paths of cqrs-es 0.5.0 and its repositories are not used (D4). Each test holds what is
//! wrong with one; should one fail after an upgrade, the path may have become usable.

use std::collections::HashMap;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore};
use cqrs_es::{Aggregate, AggregateContext, DomainEvent, EventStore};
use knit_tests::postgres::TestDatabase;
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use sqlite_es::SqliteEventRepository;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{PgPool, SqlitePool};

/// The tables as the stock crates document them, but for types that only one of the databases has.
const STOCK_TABLES: &str = "
CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint NOT NULL,
    event_type text NOT NULL, event_version text NOT NULL, payload JSON NOT NULL, metadata JSON NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);
CREATE TABLE snapshots (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL, last_sequence bigint NOT NULL,
    current_snapshot bigint NOT NULL, payload JSON NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
);";

/// Counts how often it was told to.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Counter {
    count: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Counted;

impl DomainEvent for Counted {
    fn event_type(&self) -> String {
        "Counted".to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Command = ();
    type Event = Counted;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), sink: &EventSink<Self>) -> Result<(), Self::Error> {
        sink.write(Counted, self).await;
        Ok(())
    }

    fn apply(&mut self, Counted: Counted) {
        self.count += 1;
    }
}

async fn stock_postgres() -> PgPool {
    let pool = PgPool::connect(TestDatabase::new().url()).await.unwrap();
    sqlx::raw_sql(STOCK_TABLES).execute(&pool).await.unwrap();
    pool
}

async fn stock_sqlite() -> SqlitePool {
    // One connection: each further one would have a memory of its own.
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(&STOCK_TABLES.replace("JSON", "text")).execute(&pool).await.unwrap();
    pool
}

async fn on_postgres() -> PostgresEventRepository {
    PostgresEventRepository::new(stock_postgres().await)
}

async fn on_sqlite() -> SqliteEventRepository {
    SqliteEventRepository::new(stock_sqlite().await)
}

/// Counts once, with the steps of `CqrsFramework::execute`.
async fn count<R: PersistedEventRepository>(store: &PersistedEventStore<R, Counter>, name: &str) {
    let mut context = store.load_aggregate(name).await.unwrap();
    let sink = EventSink::default();
    context.aggregate().handle((), &(), &sink).await.unwrap();
    store.commit(sink.collect().await, context, HashMap::new()).await.unwrap();
}

async fn says<R: PersistedEventRepository>(store: &PersistedEventStore<R, Counter>, name: &str) -> u32 {
    store.load_aggregate(name).await.unwrap().aggregate().count
}

/// `handle` applies each event through the sink, and `commit` applies it again before it snapshots.
async fn assert_applied_twice<R: PersistedEventRepository>(store: PersistedEventStore<R, Counter>) {
    count(&store, "a").await;
    assert_eq!(store.load_events("a").await.unwrap().len(), 1);
    assert_eq!(says(&store, "a").await, 2);
}

async fn assert_applied_once<R: PersistedEventRepository>(store: PersistedEventStore<R, Counter>) {
    count(&store, "a").await;
    assert_eq!(says(&store, "a").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_a_stock_snapshot_store_applies_events_twice() {
    assert_applied_twice(PersistedEventStore::new_snapshot_store(on_postgres().await, 1)).await;
    assert_applied_twice(PersistedEventStore::new_snapshot_store(on_sqlite().await, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_a_stock_aggregate_store_applies_events_twice() {
    assert_applied_twice(PersistedEventStore::new_aggregate_store(on_postgres().await)).await;
    assert_applied_twice(PersistedEventStore::new_aggregate_store(on_sqlite().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_a_stock_event_store_applies_events_once_and_is_what_we_build_on() {
    assert_applied_once(PersistedEventStore::new_event_store(on_postgres().await)).await;
    assert_applied_once(PersistedEventStore::new_event_store(on_sqlite().await)).await;
}

/// Appends a1, a2, b1 and replays: the stock order is by sequence, which is nobody's history.
async fn assert_no_global_order<R: PersistedEventRepository>(store: PersistedEventStore<R, Counter>, repository: R) {
    for name in ["a", "a", "b"] {
        count(&store, name).await;
    }
    let mut stream = repository.stream_all_events::<Counter>().await.unwrap();
    let mut replayed = Vec::new();
    while let Some(event) = stream.next::<Counter>(&[]).await {
        let event = event.unwrap();
        replayed.push((event.aggregate_id, event.sequence));
    }
    let (a2, b1) = (("a".to_owned(), 2), ("b".to_owned(), 1));
    let place = |event| replayed.iter().position(|replayed| *replayed == event).unwrap();
    assert!(place(b1) < place(a2), "b1 was appended after a2 and is replayed before it: {replayed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_the_stock_repositories_know_no_order_across_streams() {
    let pool = stock_postgres().await;
    let stock = || PostgresEventRepository::new(pool.clone());
    assert_no_global_order(PersistedEventStore::new_event_store(stock()), stock()).await;
    let pool = stock_sqlite().await;
    let stock = || SqliteEventRepository::new(pool.clone());
    assert_no_global_order(PersistedEventStore::new_event_store(stock()), stock()).await;
}
