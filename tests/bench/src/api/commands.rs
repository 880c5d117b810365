//! What is changed: the tags of a Data, durably, beside one `INSERT` with its commit.

use std::time::Instant;

use serde_json::json;

use super::Catalog;
use crate::append::{INSERT_TABLE, raw_inserts_per_second};
use crate::bench::Kind;
use crate::history::Ids;
use crate::row::{Row, latency, rate};
use crate::statistics::Sample;
use crate::wire::Wire;

/// Changes of one round.
const CHANGES: usize = 800;

/// What stands in the way of one connection, which asks for nothing before it has its answer.
const THREE_TRIPS: &str = "A change is three round trips one after the other where the raw `INSERT` is one: the \
     request, the stream of the Data, which is changed for the first time since the server started and so read from \
     PostgreSQL (140 µs, measured apart from this run), and the append of one writer, which by itself takes longer than the raw `INSERT` already \
     (see that row).";

pub(super) fn measure(catalog: &Catalog<'_>) -> anyhow::Result<Vec<Row>> {
    let bench = catalog.bench;
    let each = CHANGES / bench.sizes.shorter;
    // Beside a server on SQLite the anchor is still the plain server: SQLite has no clients.
    let beside = bench.place(Kind::Postgres)?;
    bench.tokio.block_on(beside.sql(INSERT_TABLE))?;
    let mut wire = Wire::to(catalog.server.address())?;
    let data: Vec<String> =
        catalog.filled.graph.every(7).map(|data| format!("/api/data/{}", Ids::data(data))).collect();
    let (mut rates, mut latencies, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.sizes.rounds {
        raw.push(bench.tokio.block_on(raw_inserts_per_second(&beside.url(), each))?);
        let begun = Instant::now();
        for at in 0..each {
            let change = json!({"add": [format!("changed:{round}-{at}")]});
            let begun = Instant::now();
            wire.send("PUT", &data[(round * each + at) % data.len()], &change)?;
            latencies.push(begun.elapsed().as_secs_f64());
        }
        rates.push(each as f64 / begun.elapsed().as_secs_f64());
    }
    let (rates, raw, latencies) = (Sample::of(rates), Sample::of(raw), Sample::of(latencies));
    let what = "tag change, durable, 1 connection";
    let row = match catalog.filled.place.kind {
        Kind::Postgres => Row::rates(what, 0.7, &rates, "raw INSERT+COMMIT, one client", &raw).limit(THREE_TRIPS),
        Kind::Sqlite => Row::tells(what, rate(rates.median())).beside(
            "raw INSERT+COMMIT on PostgreSQL",
            &rate(raw.median()),
            rates.median() / raw.median(),
        ),
    };
    Ok(vec![row.original("25/s").note(latency(&latencies)).value("original_per_s", 25.0)])
}
