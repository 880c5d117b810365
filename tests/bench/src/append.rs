//! Appending: ours beside the stock repositories of cqrs-es and beside the plainest thing a database can
//! do, an `INSERT` with its commit.
//!
//! A command is the same in both loops: load a Data, fold it, let the domain decide on a tag, append the
//! event. The stock framework loads and folds by its own repository, ours by the log.

mod ours;
mod raw;
mod stock;

use std::time::Instant;

use futures::future::try_join_all;

use crate::bench::{Bench, Kind, Place};
use crate::plot::{Group, Plot};
use crate::process::processor_seconds;
use crate::report::Outcome;
use crate::row::{Row, latency, number, time};
use crate::statistics::Sample;

/// Writers that append at once.
const CLIENTS: [usize; 3] = [1, 8, 64];
/// Commands of one round: a few seconds of each loop, whatever the number of clients.
const COMMANDS: [usize; 3] = [600, 2_400, 6_400];
/// Commands of one round on SQLite: enough for ours to take the journal back into the file more than once.
const COMMANDS_SQLITE: usize = 20_480;
/// Commands that one Data gets; then comes the next, so that streams stay as short as real ones.
pub(crate) const COMMANDS_PER_STREAM: usize = 10;

/// What stands in the way of a single writer, whose statement nothing else shares the commit with.
const ONE_WRITER: &str = "One writer waits for one statement at a time, and PostgreSQL itself takes longer for ours: \
     asked by pgbench, without any program of this project, and not in this run but once on a machine like it, it needs 0.588 ms where the raw `INSERT` needs 0.358 ms \
     (0.61×; without waiting for the disk 0.316 ms and 0.191 ms), because it also moves the head, checks the version \
     and keeps four more indexes.";
/// What stands in the way on SQLite.
const ON_SQLITE: &str = "Each commit waits for the disk, which the anchor's does not, and writes two to three pages of \
     4 kB to the journal for each event, the more the longer the log is; taking the journal back into the file \
     cost 7 to 11% of the rate where that was looked at, apart from this run. The row below compares with commits that wait as well.";

/// One round of one loop.
struct Round {
    per_second: f64,
    /// Seconds that all processors together worked for one command, the database's share included.
    work: f64,
    /// How much of the time they worked, 0 to 1.
    busy: f64,
    /// Seconds of each command.
    latencies: Vec<f64>,
}

/// All rounds of one loop.
#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    work: Vec<f64>,
    busy: Vec<f64>,
    latencies: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, round: Round) {
        self.rates.push(round.per_second);
        self.work.push(round.work);
        self.busy.push(round.busy);
        self.latencies.extend(round.latencies);
    }

    fn rates(&self) -> Sample {
        Sample::of(self.rates.iter().copied())
    }

    /// What the processors did meanwhile, for people.
    fn work(&self) -> String {
        let (work, busy) = (Sample::of(self.work.iter().copied()), Sample::of(self.busy.iter().copied()));
        format!("{} of processor time for each, {}% busy", time(work.median()), number(100.0 * busy.median()))
    }

    fn latency(&self) -> String {
        latency(&Sample::of(self.latencies.iter().copied()))
    }
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let mut outcome = bench.tokio.block_on(on_postgres(bench))?;
    let sqlite = bench.tokio.block_on(on_sqlite(bench))?;
    outcome.rows.extend(sqlite.rows);
    outcome.plots.extend(sqlite.plots);
    outcome.remarks.push(
        "Appending: a command loads a Data, folds it, lets the domain decide on a tag and appends the event; each \
         Data gets ten. The stock loop is `CqrsFramework::execute` on its event store without snapshots. The raw \
         loop is one `INSERT` of an event of the same size in autocommit, on the stock table in the same server."
            .to_owned(),
    );
    Ok(outcome)
}

async fn on_postgres(bench: &Bench) -> anyhow::Result<Outcome> {
    let (place, beside) = (bench.place(Kind::Postgres)?, bench.place(Kind::Postgres)?);
    beside.sql(stock::TABLE).await?;
    let log = place.open().await?;
    let stock = stock::on_postgres(&beside.url()).await;
    let mut outcome = Outcome::default();
    let mut groups = Vec::new();
    for (clients, commands) in CLIENTS.into_iter().zip(COMMANDS) {
        let each = commands / bench.sizes.shorter / clients;
        let (mut inserts, mut theirs, mut ours, mut alone) = <(Rounds, Rounds, Rounds, Rounds)>::default();
        for _ in 0..bench.sizes.rounds {
            inserts.add(raw::round(&beside.url(), clients, each).await?);
            theirs.add(stock.round(clients, each).await?);
            ours.add(ours::round(&log, clients, each).await?);
            alone.add(ours::append_only(&log, clients, each).await?);
        }
        outcome.rows.extend(rows(clients, &inserts, &theirs, &ours));
        groups.push(group(
            clients,
            &[("ours", &ours), ("ours, append alone", &alone), ("raw INSERT", &inserts), ("cqrs-es", &theirs)],
        ));
    }
    log.close().await;
    outcome.plots.push(Plot::bars("One-event commands on PostgreSQL", "commands per second", groups));
    Ok(outcome)
}

fn rows(clients: usize, raw: &Rounds, stock: &Rounds, ours: &Rounds) -> Vec<Row> {
    let what = |tail: &str| format!("append, {clients} concurrent one-event command{tail}, PostgreSQL");
    let note =
        format!("latency of ours: {}; of cqrs-es: {}; of raw: {}", ours.latency(), stock.latency(), raw.latency());
    let limit = format!(
        "On this machine the processors stand in the way before the disk does: ours takes {}, raw {}. A command loads, \
         folds, decides and hashes before it writes, and the faster the disk, the less there is to gain by sharing a \
         commit.",
        ours.work(),
        raw.work()
    );
    let (raw, stock, ours) = (raw.rates(), stock.rates(), ours.rates());
    match clients {
        1 => vec![
            Row::rates("append, 1 writer, PostgreSQL", 0.7, &ours, "raw, one client", &raw)
                .note(note)
                .limit(ONE_WRITER),
        ],
        8 => vec![
            Row::rates(what("s with load and decide"), 2.0, &ours, "stock cqrs-es + postgres-es", &stock).note(note),
            Row::rates(what("s beside raw"), 0.8, &ours, "raw INSERT+COMMIT", &raw).limit(limit),
        ],
        _ => {
            vec![Row::rates(what("s"), 1.5, &ours, "raw INSERT+COMMIT, as many clients", &raw).note(note).limit(limit)]
        }
    }
}

async fn on_sqlite(bench: &Bench) -> anyhow::Result<Outcome> {
    let clients = CLIENTS[2];
    let each = COMMANDS_SQLITE / bench.sizes.shorter / clients;
    let place = bench.place(Kind::Sqlite)?;
    let log = place.open().await?;
    let (loose, durable): (Place, Place) = (bench.place(Kind::Sqlite)?, bench.place(Kind::Sqlite)?);
    let (loose, durable) = (stock::on_sqlite(&loose.url()).await?, stock::on_sqlite_durable(&durable.url()).await?);
    let (mut ours, mut theirs, mut synced) = <(Rounds, Rounds, Rounds)>::default();
    for _ in 0..bench.sizes.rounds {
        theirs.add(loose.round(clients, each).await?);
        synced.add(durable.round(clients, each).await?);
        ours.add(ours::round(&log, clients, each).await?);
    }
    log.close().await;
    let what = "append, 64 concurrent one-event commands, SQLite";
    let note = format!(
        "sqlite-es as its own pool sets it up does not wait for the disk at a commit (`synchronous=NORMAL`), ours \
         does. Latency of ours: {}; of sqlite-es: {}",
        ours.latency(),
        theirs.latency()
    );
    let rows = vec![
        Row::rates(what, 5.0, &ours.rates(), "stock cqrs-es + sqlite-es", &theirs.rates()).note(note).limit(ON_SQLITE),
        Row::rates(
            "the same, both durable at commit",
            5.0,
            &ours.rates(),
            "cqrs-es + sqlite-es with synchronous=FULL",
            &synced.rates(),
        ),
    ];
    let bars = [("ours", &ours), ("cqrs-es", &theirs), ("cqrs-es, durable", &synced)];
    let plot = Plot::bars("One-event commands on SQLite", "commands per second", vec![group(clients, &bars)]);
    Ok(Outcome { rows, plots: vec![plot], remarks: Vec::new() })
}

fn group(clients: usize, bars: &[(&str, &Rounds)]) -> Group {
    let bars = bars.iter().map(|(name, rounds)| ((*name).to_owned(), rounds.rates().median())).collect();
    Group { name: format!("{clients} at once"), bars, target: None }
}

/// The table into which [`raw_inserts_per_second`] inserts.
pub(crate) const INSERT_TABLE: &str = stock::TABLE;

/// What one client alone gets done, as an anchor for others.
pub(crate) async fn raw_inserts_per_second(url: &str, count: usize) -> anyhow::Result<f64> {
    Ok(raw::round(url, 1, count).await?.per_second)
}

/// Runs `clients` at once, each doing `command` for its numbers in turn, on tasks of their own.
async fn race<F, C>(clients: usize, each: usize, client: impl Fn(usize) -> C) -> anyhow::Result<Round>
where
    C: FnMut(usize) -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let (begun, worked) = (Instant::now(), processor_seconds()?);
    let running = (0..clients).map(|number| {
        let mut command = client(number);
        tokio::spawn(async move {
            let mut latencies = Vec::with_capacity(each);
            for at in 0..each {
                let begun = Instant::now();
                command(at).await?;
                latencies.push(begun.elapsed().as_secs_f64());
            }
            anyhow::Ok(latencies)
        })
    });
    let all = try_join_all(running.collect::<Vec<_>>()).await?;
    let (seconds, work) = (begun.elapsed().as_secs_f64(), processor_seconds()? - worked);
    let latencies = all.into_iter().collect::<anyhow::Result<Vec<_>>>()?.concat();
    let (commands, processors) = ((clients * each) as f64, std::thread::available_parallelism()?.get() as f64);
    Ok(Round { per_second: commands / seconds, work: work / commands, busy: work / seconds / processors, latencies })
}
