//! cqrs-es on our table: its own repositories read it, and its framework writes through us (D4).

use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore, PersistenceError, SerializedEvent};
use cqrs_es::{AggregateError, CqrsFramework, EventStore as _};
use knit_domain::agent::{Agent, AgentCommand};
use knit_domain::decision::Decision;
use knit_domain::event::agent::{AgentClosure, AgentEvent};
use knit_domain::event::run::{FailureCause, RunEvent};
use knit_domain::event::{Event, StreamId, StreamType};
use knit_domain::id::AgentMode::Read;
use knit_domain::id::RunId;
use knit_domain::run::Run;
use knit_log::{EventRepository, Log, Upcaster};
use postgres_es::PostgresEventRepository;
use sqlite_es::SqliteEventRepository;

use crate::fixture::{Place, agent, data, fill, opened, request, whole};
use crate::on_both_databases;

on_both_databases!(
    d4_the_stock_repository_reads_our_table,
    d4_the_framework_runs_an_aggregate_on_our_log,
    d4_two_who_decide_on_the_same_version_do_not_both_persist,
    d4_snapshots_of_aggregates_are_refused,
    d4_a_replay_has_every_event_of_the_kind_in_the_order_of_the_log,
    d14_what_an_older_program_stored_is_read_as_todays_would_have_stored_it,
);

/// A log with an agent that was opened; its name.
async fn with_agent(place: &Place) -> (Log, String) {
    let log = place.open().await;
    let data = data();
    let name = agent(data, Read);
    log.append(request(opened(data, Read, &name))).await.unwrap();
    (log, name.0)
}

type Store = PersistedEventStore<EventRepository, Agent>;

fn framework(log: &Log) -> CqrsFramework<Agent, Store> {
    CqrsFramework::new(Store::new_event_store(EventRepository::new(log.clone())), vec![], ())
}

async fn d4_the_stock_repository_reads_our_table(place: Place) {
    let (log, name) = with_agent(&place).await;
    framework(&log).execute(&name, AgentCommand::Close(AgentClosure::Finished)).await.unwrap();

    let (all, last) = match &place {
        Place::Postgres(database) => {
            let pool = sqlx::PgPool::connect(database.url()).await.unwrap();
            both_reads(&PostgresEventRepository::new(pool), &name).await
        }
        Place::Sqlite(_) => {
            let pool = sqlx::SqlitePool::connect(&place.address()).await.unwrap();
            both_reads(&SqliteEventRepository::new(pool), &name).await
        }
    };

    let types: Vec<&str> = all.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["AgentOpened", "AgentClosed"]);
    assert_eq!(last, all[1..]);
    let recorded = whole(&log).await;
    for (stock, ours) in all.into_iter().zip(recorded) {
        let event: AgentEvent = serde_json::from_value(stock.payload).unwrap();
        assert_eq!(knit_domain::event::Event::from(event), ours.event);
        assert_eq!((stock.sequence as u64, stock.aggregate_id), (ours.sequence, ours.stream.id));
    }
}

async fn both_reads<R: PersistedEventRepository>(stock: &R, id: &str) -> (Vec<SerializedEvent>, Vec<SerializedEvent>) {
    (stock.get_events::<Agent>(id).await.unwrap(), stock.get_last_events::<Agent>(id, 1).await.unwrap())
}

async fn d4_the_framework_runs_an_aggregate_on_our_log(place: Place) {
    let (log, name) = with_agent(&place).await;
    fill(&log, 1).await;

    let metadata = [("actor".to_owned(), "zoe".to_owned())].into();
    let close = AgentCommand::Close(AgentClosure::Finished);
    framework(&log).execute_with_metadata(&name, close, metadata).await.unwrap();
    // The agent is closed by now, so closing it again appends nothing.
    framework(&log).execute(&name, close).await.unwrap();

    let events = whole(&log).await;
    assert_eq!(events.len(), 3);
    assert_eq!((events[2].event.type_name(), events[2].sequence), ("AgentClosed", 2));
    assert_eq!(events[2].metadata.actor, "zoe");
    let refused = framework(&log).execute("nobody", close).await;
    assert!(matches!(refused, Err(AggregateError::UserError(_))), "{refused:?}");
}

async fn d4_two_who_decide_on_the_same_version_do_not_both_persist(place: Place) {
    let (log, name) = with_agent(&place).await;
    let repository = EventRepository::new(log.clone());
    let mut late = repository.get_events::<Agent>(&name).await.unwrap();
    late[0].sequence = 1;
    let outcome = repository.persist::<Agent>(&late, None).await;
    assert!(matches!(outcome, Err(PersistenceError::OptimisticLockError)), "{outcome:?}");
    assert_eq!(whole(&log).await.len(), 1);
}

async fn d4_snapshots_of_aggregates_are_refused(place: Place) {
    let (log, name) = with_agent(&place).await;
    let store = Store::new_snapshot_store(EventRepository::new(log.clone()), 1);
    let framework = CqrsFramework::new(store, vec![], ());
    let outcome = framework.execute(&name, AgentCommand::Close(AgentClosure::Finished)).await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("keeps no snapshots of aggregates"), "{error}");
}

async fn d4_a_replay_has_every_event_of_the_kind_in_the_order_of_the_log(place: Place) {
    let (log, first) = with_agent(&place).await;
    fill(&log, 2).await;
    let data = data();
    let second = agent(data, Read);
    log.append(request(opened(data, Read, &second))).await.unwrap();
    let close = AgentCommand::Close(AgentClosure::Finished);
    framework(&log).execute(&first, close).await.unwrap();

    let mut stream = EventRepository::new(log).stream_all_events::<Agent>().await.unwrap();
    let mut replayed = Vec::new();
    while let Some(event) = stream.next::<Agent>(&[]).await {
        let event = event.unwrap();
        replayed.push((event.aggregate_id, event.sequence));
    }
    assert_eq!(replayed, [(first.clone(), 1), (second.0, 1), (first, 2)]);
}

async fn d14_what_an_older_program_stored_is_read_as_todays_would_have_stored_it(place: Place) {
    let run = RunId(uuid::Uuid::new_v4());
    let failed = |code, reason: &str| {
        let (attempt, cause) = (1, FailureCause::WorkerFailed);
        RunEvent::RunFailureDecided { attempt, code, reason: reason.to_owned(), cause }
    };
    let log = place.open().await;
    log.append(request(Decision::write(StreamId::run(run), 0, [failed(Some(1), "of today")]))).await.unwrap();
    log.close().await;
    let payload = r#"{"RunFailureDecided":{"attempt":1,"exit":{"code":3,"message":"of old"},"cause":"worker-failed"}}"#;
    place.tamper(&format!("UPDATE events SET event_version = '1', payload = '{payload}'")).await;

    let log = place.open().await;
    assert_eq!(whole(&log).await[0].event, Event::from(failed(Some(3), "of old")));
    assert_eq!(log.read_stored(0, 1).await.unwrap()[0].payload, payload, "what is stored stays as it is");
    let stock = PersistedEventStore::<EventRepository, Run>::new_event_store(EventRepository::new(log));
    let stock = stock.with_upcasters(vec![Box::new(Upcaster::of(StreamType::Run))]);
    let loaded = stock.load_events(&run.to_string()).await.unwrap();
    assert_eq!(loaded.into_iter().map(|event| event.payload).collect::<Vec<_>>(), [failed(Some(3), "of old")]);
}
