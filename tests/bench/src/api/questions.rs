//! What is read: one thing by its id, some by a tag, all of them, and a lineage.

use std::time::Instant;

use anyhow::Context as _;

use super::Catalog;
use crate::graph::sizes::{MARK, MARKED};
use crate::graph::{DataRow, Graph};
use crate::history::Ids;
use crate::lineage::data_target;
use crate::process::Watch;
use crate::row::{Row, bytes, latency, number, rate, spread};
use crate::statistics::Sample;
use crate::wire::Wire;

/// Requests of one round on one connection, and in all on eight.
const REQUESTS: usize = 8_000;
/// Different things asked for.
const THINGS: usize = 1_000;
/// Repetitions of one long question.
const REPETITIONS: usize = 7;
/// A catalog ten times as large must still answer this part as many requests per second.
const FLAT_LEAST: f64 = 0.8;
/// From so many times the bytes on, the size of an answer is a reason for a lower rate.
const LARGER_ANSWERS: f64 = 1.1;
/// How much memory a whole answer may take in the server, to be called independent of its size.
const GROWTH_BYTES_MAX: f64 = 32e6;

/// Requests per second, the seconds of each, and the bytes of an answer on average.
struct Load {
    per_second: f64,
    latencies: Vec<f64>,
    answer_bytes: f64,
}

/// Something that is asked for by its id.
struct ById {
    what: &'static str,
    targets: fn(&Catalog<'_>) -> Vec<String>,
    connections: usize,
    /// Requests per second that are wanted.
    least: f64,
    /// Those of the original.
    original: f64,
}

/// What is asked for by its id.
const BY_ID: [ById; 4] = [
    ById { what: "one Data by its id, 1 connection", targets: data, connections: 1, least: 2_000.0, original: 32.0 },
    ById { what: "one Data by its id, 8 connections", targets: data, connections: 8, least: 5_000.0, original: 41.0 },
    ById { what: "one Run by its id, 8 connections", targets: runs, connections: 8, least: 5_000.0, original: 352.0 },
    ById { what: "one Plan by its id, 8 connections", targets: plans, connections: 8, least: 5_000.0, original: 131.0 },
];

pub(super) fn measure(catalog: &Catalog<'_>) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = BY_ID.iter().map(|question| by_id(catalog, question)).collect::<anyhow::Result<_>>()?;
    rows.push(found(
        catalog,
        &format!("find {MARKED} Data by tag"),
        &format!("/api/data?tag={}", MARK.replace(':', "%3A")),
        0.1,
        "9.3 s",
    )?);
    rows.push(everything(catalog)?);
    let plans = catalog.filled.graph.plans().len();
    rows.push(found(catalog, &format!("find {plans} Plans"), "/api/plans", 0.05, "4.5 s")?);
    rows.extend(lineage(catalog)?);
    Ok(rows)
}

/// What is asked for by its id, of a catalog and of one a tenth as large. Rounds of the two take turns, so that a
/// machine that is slower for a while is slower for both.
pub(super) fn flat(larger: &Catalog<'_>, smaller: &Catalog<'_>) -> anyhow::Result<Vec<Row>> {
    let row = |question: &ById| {
        let targets = [larger, smaller].map(question.targets);
        let (mut now, mut before, mut sizes) = (Vec::new(), Vec::new(), [0.0; 2]);
        for _ in 0..larger.bench.sizes.rounds {
            let loads = [(larger, &targets[0]), (smaller, &targets[1])];
            let [of_larger, of_smaller] = loads.map(|(catalog, targets)| load(catalog, targets, question.connections));
            let (of_larger, of_smaller) = (of_larger?, of_smaller?);
            now.push(of_larger.per_second);
            before.push(of_smaller.per_second);
            sizes = [of_larger.answer_bytes, of_smaller.answer_bytes];
        }
        let (now, before) = (Sample::of(now), Sample::of(before));
        let what = format!("{}: flat from 10⁴ to 10⁵ Data", question.what);
        let ratio = now.median() / before.median();
        let row = Row::judged(what, format!("≥ {FLAT_LEAST}×"), rate(now.median()), ratio >= FLAT_LEAST);
        let row = row.beside("with 10⁴ Data", &rate(before.median()), ratio).original("–");
        Ok(if sizes[0] > sizes[1] * LARGER_ANSWERS { row.limit(of_larger_answers(sizes)) } else { row })
    };
    BY_ID.iter().map(row).collect()
}

/// What stands in the way where answers of the larger catalog are larger.
fn of_larger_answers([now, before]: [f64; 2]) -> String {
    format!("An answer has {} on average, and {} in the smaller catalog.", bytes(now), bytes(before))
}

fn data(catalog: &Catalog<'_>) -> Vec<String> {
    let graph = &catalog.filled.graph;
    graph.every((graph.data().len() / THINGS).max(1)).map(|data| data_target(Ids::data(data))).collect()
}

fn runs(catalog: &Catalog<'_>) -> Vec<String> {
    let all = catalog.filled.graph.runs().len();
    let some = (0..all).step_by((all / THINGS).max(1)).filter_map(|run| u32::try_from(run).ok());
    some.map(|run| format!("/api/runs/{}", catalog.filled.ids.run(run))).collect()
}

fn plans(catalog: &Catalog<'_>) -> Vec<String> {
    // The Plan with an input for each of a thousand samples is a document of its own size.
    let plans = (0..).zip(catalog.filled.graph.plans()).filter(|(_, shape)| shape.inputs.len() < 10);
    plans.map(|(plan, _)| format!("/api/plans/{}", Ids::plan(plan))).collect()
}

fn by_id(catalog: &Catalog<'_>, question: &ById) -> anyhow::Result<Row> {
    let ById { what, targets, connections, least, original } = question;
    let targets = targets(catalog);
    let (mut per_second, mut latencies) = (Vec::new(), Vec::new());
    for _ in 0..catalog.bench.sizes.rounds {
        let load = load(catalog, &targets, *connections)?;
        per_second.push(load.per_second);
        latencies.extend(load.latencies);
    }
    let (rates, latencies) = (Sample::of(per_second), Sample::of(latencies));
    let with_tail = what.starts_with("one Data");
    let target = format!("≥ {}/s{}", number(*least), if with_tail { ", p99 ≤ 10 ms" } else { "" });
    let met = rates.median() >= *least && (!with_tail || latencies.p99() <= 0.01);
    let measured = format!("{}, {}", rate(rates.median()), latency(&latencies));
    Ok(Row::judged(*what, target, measured, met)
        .value("measured_per_s", rates.median())
        .value("target_per_s", *least)
        .value("p50_s", latencies.median())
        .value("p99_s", latencies.p99())
        .original(&rate(*original))
        .value("original_per_s", *original))
}

/// Asks for `targets` again and again through connections that stay open.
fn load(catalog: &Catalog<'_>, targets: &[String], connections: usize) -> anyhow::Result<Load> {
    let address = catalog.server.address();
    let each = REQUESTS / catalog.bench.sizes.shorter / connections;
    let begun = Instant::now();
    let told = std::thread::scope(|scope| {
        let clients = (0..connections).map(|client| {
            scope.spawn(move || {
                let mut wire = Wire::to(address)?;
                let (mut latencies, mut answers_bytes) = (Vec::with_capacity(each), 0);
                for at in 0..each {
                    let begun = Instant::now();
                    answers_bytes += wire.fetch(&targets[(client * 101 + at) % targets.len()])?.body_bytes;
                    latencies.push(begun.elapsed().as_secs_f64());
                }
                anyhow::Ok((latencies, answers_bytes))
            })
        });
        let clients: Vec<_> = clients.collect();
        let ended = clients.into_iter().map(|client| client.join().ok().context("a client panicked")?);
        ended.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let answers = (each * connections) as f64;
    let per_second = answers / begun.elapsed().as_secs_f64();
    let (latencies, sizes): (Vec<_>, Vec<u64>) = told.into_iter().unzip();
    let answer_bytes = sizes.iter().sum::<u64>() as f64 / answers;
    Ok(Load { per_second, latencies: latencies.concat(), answer_bytes })
}

fn found(catalog: &Catalog<'_>, what: &str, target: &str, most: f64, original: &str) -> anyhow::Result<Row> {
    let mut wire = Wire::to(catalog.server.address())?;
    let (mut times, mut size) = (Vec::new(), 0);
    for _ in 0..REPETITIONS {
        let begun = Instant::now();
        size = wire.fetch(target)?.body_bytes;
        times.push(begun.elapsed().as_secs_f64());
    }
    let times = Sample::of(times);
    let measured = format!("{}, {}", latency(&times), bytes(size as f64));
    let row = Row::judged(what, format!("≤ {most} s"), measured, times.median() <= most);
    Ok(row.original(original).value("measured_s", times.median()))
}

fn everything(catalog: &Catalog<'_>) -> anyhow::Result<Row> {
    let mut wire = Wire::to(catalog.server.address())?;
    let (mut times, mut growths, mut size) = (Vec::new(), Vec::new(), 0);
    for _ in 0..catalog.bench.sizes.rounds.max(2) {
        let watch = Watch::of(catalog.server.pid())?;
        let begun = Instant::now();
        size = wire.fetch("/api/data")?.body_bytes;
        times.push(begun.elapsed().as_secs_f64());
        growths.push(watch.growth());
    }
    // The first time everything is asked for, buffers of the allocator grow that stay.
    let (times, growth) = (Sample::of(times), Sample::of(growths).max());
    let count = number(catalog.filled.graph.data().len() as f64);
    let measured = format!("{}, {}; the server grew by {}", spread(&times), bytes(size as f64), bytes(growth));
    let met = times.median() <= 3.0 && growth <= GROWTH_BYTES_MAX;
    let row = Row::judged(format!("find all {count} Data"), "≤ 3 s, memory independent of the result", measured, met);
    let note = format!(
        "called independent if the server grows by less than {}; the most of all rounds",
        bytes(GROWTH_BYTES_MAX)
    );
    Ok(row
        .original("9 to > 75 s, 1.2 GB in the server")
        .note(note)
        .value("measured_s", times.median())
        .value("growth_bytes", growth))
}

/// The whole lineage around a Data that a thousand Runs take, node by node and at once.
fn lineage(catalog: &Catalog<'_>) -> anyhow::Result<Vec<Row>> {
    let graph = &catalog.filled.graph;
    let hub = graph.landmarks().hub.context("a catalog has a hub")?;
    let targets = nodes_around(graph, &catalog.filled.ids, hub);
    let mut wire = Wire::to(catalog.server.address())?;
    let (mut one_by_one, mut at_once, mut size) = (Vec::new(), Vec::new(), 0);
    for _ in 0..catalog.bench.sizes.rounds {
        let begun = Instant::now();
        for target in &targets {
            wire.fetch(target)?;
        }
        one_by_one.push(begun.elapsed().as_secs_f64());
    }
    for _ in 0..REPETITIONS {
        let begun = Instant::now();
        size = wire.fetch(&format!("/api/data/{}/lineage?direction=both&depth=all", Ids::data(hub)))?.body_bytes;
        at_once.push(begun.elapsed().as_secs_f64());
    }
    let (one_by_one, at_once) = (Sample::of(one_by_one), Sample::of(at_once));
    let what = "the whole lineage of a Data with 1,000 consumers";
    Ok(vec![
        Row::judged(
            format!("{what}: by {} requests", number(targets.len() as f64)),
            "≤ 4 s",
            spread(&one_by_one),
            one_by_one.median() <= 4.0,
        )
        .original("125 s")
        .value("measured_s", one_by_one.median())
        .note("each Data and each Run by its id, one after another, through one connection"),
        Row::judged(
            format!("{what}: by our one"),
            "≤ 0.1 s",
            format!("{}, {}", latency(&at_once), bytes(size as f64)),
            at_once.median() <= 0.1,
        )
        .original("–")
        .value("measured_s", at_once.median()),
    ])
}

/// What a client asks that fetches the neighbourhood of a hub node by node.
fn nodes_around(graph: &Graph, ids: &Ids, hub: DataRow) -> Vec<String> {
    let run = |run| format!("/api/runs/{}", ids.run(run));
    let mut targets = vec![data_target(Ids::data(hub)), run(graph.maker(hub))];
    for taker in graph.runs().filter(|run| graph.taken(*run).contains(&hub)) {
        targets.push(run(taker));
        let beside = graph.taken(taker).iter().copied().filter(|data| *data != hub);
        targets.extend(beside.chain(graph.made(taker)).map(|data| data_target(Ids::data(data))));
    }
    targets
}
