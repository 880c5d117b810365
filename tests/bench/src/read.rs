//! Reading the log in order: ours, which decodes and checks every link of the chain, beside what the
//! database itself needs to hand the same rows out.

use std::time::Instant;

use futures::TryStreamExt as _;
use knit_log::Log;
use sqlx::postgres::PgPoolCopyExt as _;
use sqlx::{PgPool, SqlitePool};

use crate::bench::{Bench, Content, Filled, Kind};
use crate::plot::{Group, Plot};
use crate::report::Outcome;
use crate::row::Row;
use crate::statistics::Sample;

/// Events of one read, as the server's follower has it.
pub(crate) const PAGE: usize = 4_000;
const COLUMNS: &str = "SELECT position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, \
                       payload, metadata, recorded_at, salt, leaf, chain FROM events ORDER BY position";

/// Events per second, round by round.
#[derive(Default)]
struct Rates {
    copied: Vec<f64>,
    selected: Vec<f64>,
    stored: Vec<f64>,
    decoded: Vec<f64>,
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut groups = Vec::new();
    for kind in Kind::BOTH {
        let filled = bench.filled(kind, Content::Events)?;
        let rates = bench.tokio.block_on(rounds(bench, &filled))?;
        outcome.remarks.push(filled.story.clone());
        outcome.rows.extend(rows(kind, &rates));
        groups.push(group(kind, &rates));
    }
    outcome.plots.push(Plot::bars("Reading the log in order", "events per second", groups));
    outcome.remarks.push(
        "Reading: ours is read in pages of 4,000, as the server's follower does it: decoded into the domain's events, \
         every link of the chain computed again, and the next pages read while one is handed out. `SELECT` and `COPY` \
         hand out the same columns of the same rows in the same order, and nobody looks at them."
            .to_owned(),
    );
    Ok(outcome)
}

async fn rounds(bench: &Bench, filled: &Filled) -> anyhow::Result<Rates> {
    let log = filled.place.open().await?;
    let mut rates = Rates::default();
    let per_second = |seconds: f64| filled.events as f64 / seconds;
    // The first look at each page is the disk's, or the cache's that was filled by writing: it does not count.
    decoded(&log).await?;
    for _ in 0..bench.sizes.rounds {
        match filled.place.kind {
            Kind::Postgres => {
                let pool = PgPool::connect(&filled.place.url()).await?;
                rates.copied.push(per_second(copied(&pool).await?));
                let begun = Instant::now();
                let mut rows = sqlx::query(COLUMNS).fetch(&pool);
                while rows.try_next().await?.is_some() {}
                rates.selected.push(per_second(begun.elapsed().as_secs_f64()));
            }
            Kind::Sqlite => {
                let pool = SqlitePool::connect(&filled.place.url()).await?;
                let begun = Instant::now();
                let mut rows = sqlx::query(COLUMNS).fetch(&pool);
                while rows.try_next().await?.is_some() {}
                rates.selected.push(per_second(begun.elapsed().as_secs_f64()));
            }
        }
        rates.stored.push(per_second(stored(&log).await?));
        rates.decoded.push(per_second(decoded(&log).await?));
    }
    log.close().await;
    Ok(rates)
}

async fn copied(pool: &PgPool) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut rows = pool.copy_out_raw(&format!("COPY ({COLUMNS}) TO STDOUT")).await?;
    while rows.try_next().await?.is_some() {}
    Ok(begun.elapsed().as_secs_f64())
}

async fn stored(log: &Log) -> anyhow::Result<f64> {
    let (begun, mut after) = (Instant::now(), 0);
    while let Some(last) = log.read_stored(after, PAGE).await?.last() {
        after = last.position;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Seconds that it takes to read and decode the whole log.
pub(crate) async fn decoded(log: &Log) -> anyhow::Result<f64> {
    let (begun, mut after, mut pages) = (Instant::now(), 0, log.read_ahead(PAGE));
    while let Some(last) = pages.read(after).await?.last() {
        after = last.position;
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn rows(kind: Kind, rates: &Rates) -> Vec<Row> {
    let sample = |rates: &[f64]| Sample::of(rates.iter().copied());
    let (decoded, selected) = (sample(&rates.decoded), sample(&rates.selected));
    let what = |tail: &str| format!("ordered read and decode, {}{tail}", kind.word());
    match kind {
        Kind::Postgres => vec![
            Row::rates(what(" beside COPY"), 0.75, &decoded, "COPY out", &sample(&rates.copied)),
            Row::rates(what(" beside SELECT"), 0.75, &decoded, "plain SELECT", &selected),
        ],
        Kind::Sqlite => vec![Row::rates(what(""), 0.75, &decoded, "plain SELECT", &selected)],
    }
}

fn group(kind: Kind, rates: &Rates) -> Group {
    let bars = [
        ("ours, decoded", &rates.decoded),
        ("ours, as stored", &rates.stored),
        ("plain SELECT", &rates.selected),
        ("COPY out", &rates.copied),
    ];
    let bars = bars.into_iter().filter(|(_, rates)| !rates.is_empty());
    let bars = bars.map(|(name, rates)| (name.to_owned(), Sample::of(rates.iter().copied()).median()));
    Group { name: kind.word().to_owned(), bars: bars.collect(), target: None }
}
