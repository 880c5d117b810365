//! Connections that die at the worst moment, which only a server's can (D3).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures::future::join_all;
use knit_domain::decision::Decision;
use knit_domain::event::Position;
use knit_domain::id::EventId;
use knit_log::{AppendError, Database, Fault, Log, Options};
use knit_tests::postgres::TestDatabase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::fixture::{Place, SOON, journal, remark, remarks, request, whole};

const APPENDERS: usize = 16;
const APPENDS_EACH: usize = 25;
const KILLS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_killed_connections_lose_nothing_acknowledged_and_double_nothing() {
    let place = Place::postgres();
    let logs = [place.open().await, place.open().await];
    let killed = Arc::new(AtomicBool::new(false));
    let appenders =
        (0..APPENDERS).map(|index| tokio::spawn(keep_appending(logs[index % 2].clone(), index, Arc::clone(&killed))));
    let killer = async {
        for _ in 0..KILLS {
            let before = logs[0].position();
            // Killed in the middle of the load: only after further events came through.
            logs[0].subscribe().wait_for(|position| *position > before + 5).await.unwrap();
            place
                .tamper(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE application_name = 'knit-log' AND datname = current_database()",
                )
                .await;
        }
    };
    let killing = async {
        let done = timeout(SOON, killer).await;
        killed.store(true, Ordering::SeqCst);
        done
    };
    let (acknowledged, done) = futures::join!(join_all(appenders), killing);
    done.expect("the load goes on between kills");

    let acknowledged: HashMap<EventId, Position> = acknowledged.into_iter().flat_map(Result::unwrap).collect();
    let recorded: HashMap<EventId, Position> =
        whole(&logs[0]).await.iter().map(|event| (event.event_id, event.position)).collect();
    assert!(recorded.len() >= APPENDERS * APPENDS_EACH);
    assert_eq!(recorded, acknowledged);
}

/// Appends until it has done its part and the last connection was killed.
async fn keep_appending(log: Log, index: usize, killed: Arc<AtomicBool>) -> Vec<(EventId, Position)> {
    let stream = journal(&format!("appender-{index}"));
    let mut acknowledged = Vec::new();
    while acknowledged.len() < APPENDS_EACH || !killed.load(Ordering::SeqCst) {
        let wanted = remarks(&stream, acknowledged.len() as u64, 1);
        let appended = log.append(wanted.clone()).await.unwrap();
        assert!(!appended.repeated, "nobody appended this before");
        acknowledged.push((wanted.event_ids[0], appended.position));
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_an_append_whose_answer_was_lost_is_found_again_and_not_doubled() {
    let (place, proxy, log) = behind_a_proxy(Options::default()).await;
    log.append(remarks(&journal("a"), 0, 1)).await.unwrap();

    let fateful = Decision::write(journal("a"), 1, [remark(Proxy::FATEFUL)]);
    let appended = log.append(request(fateful)).await.unwrap();

    assert_eq!(proxy.swallowed.load(Ordering::SeqCst), 1, "the answer was lost on its way");
    assert_eq!((appended.positions, appended.repeated), (vec![2], false));
    assert_eq!(whole(&place.open().await).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_an_outcome_that_stays_unknown_is_called_so_and_asking_again_tells() {
    let patience = Options { append_patience: Duration::from_millis(300), ..Options::default() };
    let (place, proxy, log) = behind_a_proxy(patience).await;
    log.append(remarks(&journal("a"), 0, 1)).await.unwrap();
    proxy.closes_for_good.store(true, Ordering::SeqCst);

    let fateful = request(Decision::write(journal("a"), 1, [remark(Proxy::FATEFUL)]));
    let outcome = log.append(fateful.clone()).await;

    assert!(matches!(outcome, Err(AppendError::Fault(Fault::OutcomeUnknown { .. }))), "{outcome:?}");
    let again = place.open().await.append(fateful).await.unwrap();
    assert_eq!((again.positions, again.repeated), (vec![2], true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_when_their_connections_have_died() {
    let place = Place::postgres();
    let log = place.open().await;
    let readers = (0..8).map(|_| log.read(0, 10));
    join_all(readers).await;
    log.append(remarks(&journal("a"), 0, 3)).await.unwrap();
    place
        .tamper(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'knit-log' AND datname = current_database()",
        )
        .await;

    let stream = journal("a");
    let (events, head) = futures::join!(log.load(&stream), log.head());

    assert_eq!((events.unwrap().len(), head.unwrap().position), (3, 3));
}

async fn behind_a_proxy(options: Options) -> (Place, Arc<Proxy>, Log) {
    let database = TestDatabase::new();
    let proxy = Proxy::start(&database).await;
    let log = Log::open(&Database::parse(&proxy.url).unwrap(), options).await.unwrap();
    (Place::Postgres(database), proxy, log)
}

/// Stands between the log and the server, and loses the answer to one fateful statement.
struct Proxy {
    url: String,
    server: String,
    swallowed: AtomicU32,
    closes_for_good: AtomicBool,
}

impl Proxy {
    /// Whoever sends this text for the first time does not hear the answer.
    const FATEFUL: &str = "the answer to this is lost";

    async fn start(database: &TestDatabase) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (before, rest) = database.url().rsplit_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let proxy = Arc::new(Self {
            url: format!("{before}@127.0.0.1:{port}/{name}?sslmode=disable"),
            server: server.to_owned(),
            swallowed: AtomicU32::new(0),
            closes_for_good: AtomicBool::new(false),
        });
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let gone =
                    serving.closes_for_good.load(Ordering::SeqCst) && serving.swallowed.load(Ordering::SeqCst) > 0;
                if !gone {
                    tokio::spawn(serving.clone().carry(client));
                }
            }
        });
        proxy
    }

    async fn carry(self: Arc<Self>, mut client: TcpStream) {
        let mut server = TcpStream::connect(&self.server).await.unwrap();
        let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut fateful = false;
        loop {
            tokio::select! {
                read = client.read(&mut from_client) => match read {
                    Ok(count @ 1..) => {
                        let sent = &from_client[..count];
                        fateful |= sent.windows(Self::FATEFUL.len()).any(|text| text == Self::FATEFUL.as_bytes());
                        server.write_all(sent).await.unwrap();
                    }
                    Ok(0) | Err(_) => return,
                },
                read = server.read(&mut from_server) => match read {
                    // The server has answered, so it has recorded; and nobody hears it.
                    Ok(1..) if fateful && self.swallowed.fetch_add(1, Ordering::SeqCst) == 0 => return,
                    Ok(count @ 1..) => {
                        if client.write_all(&from_server[..count]).await.is_err() {
                            return;
                        }
                    }
                    Ok(0) | Err(_) => return,
                },
            }
        }
    }
}
