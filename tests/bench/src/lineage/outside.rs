//! Lineage as people get it: through the HTTP API and the CLI of running servers, one with the catalog on which the
//! original was measured and one with the large graph, beside a client that fetches node by node as the original's
//! does.

use std::fs::File;
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;
use knit_domain::id::KnitId;
use knit_tests::program;
use knit_tests::server::Server;

use super::past::compared;
use super::query::Edges;
use super::{CLOSURES, Closure, DEPTH, STARTS, STARTS_OF_QUERY};
use crate::bench::{Bench, Content, Filled, Kind};
use crate::graph::{DataRow, Graph};
use crate::history::Ids;
use crate::plot::{Group, Plot};
use crate::process::{self, resident_bytes};
use crate::report::Outcome;
use crate::row::{Row, bytes, latency, number, spread, time};
use crate::statistics::Sample;
use crate::wire::Wire;

/// Nodes that are fetched one by one; the time of all is in proportion.
const FETCHED: usize = 4_000;

/// `answer_s` is how long the server's own code takes for the whole closure of the large graph's pipeline.
pub(super) fn measure(bench: &Bench, edges: &Edges, answer_s: f64) -> anyhow::Result<Outcome> {
    let filled = bench.filled(Kind::Postgres, Content::Catalog(bench.sizes.tenths))?;
    let catalog = Served { bench, filled: &filled, server: filled.place.server() };
    let mut outcome = Outcome::default();
    catalog.near(None, &mut outcome)?;
    let landmarks = filled.graph.landmarks();
    let result = landmarks.result.context("a catalog has a pipeline")?;
    catalog.closure(Closure { of: "a pipeline", start: result })?.add_to(&mut outcome);
    drop(catalog);
    let filled = bench.filled(Kind::Postgres, Content::Large)?;
    let large = Served { bench, filled: &filled, server: filled.place.server() };
    outcome.rows.push(large.memory()?);
    large.near(Some(edges), &mut outcome)?;
    let landmarks = filled.graph.landmarks();
    let result = landmarks.result.context("a large graph has a pipeline")?;
    let closure = large.closure(Closure { of: "a pipeline", start: result })?;
    closure.add_to(&mut outcome);
    outcome.rows.push(closure.beside_answer(answer_s));
    let end = landmarks.end.context("a large graph has a chain")?;
    large.closure(Closure { of: "a chain", start: end })?.add_to(&mut outcome);
    Ok(outcome)
}

/// A running server whose log was filled.
struct Served<'a> {
    bench: &'a Bench,
    filled: &'a Filled,
    server: Server,
}

/// One whole closure as clients of a server get it. Times are in seconds.
struct Fetched {
    closure: Closure,
    /// Of the server.
    graph_nodes: usize,
    nodes: usize,
    http: Sample,
    http_past: Sample,
    http_bytes: u64,
    cli: Sample,
    fetched: usize,
    /// For all nodes.
    node_by_node: f64,
}

impl Served<'_> {
    fn memory(&self) -> anyhow::Result<Row> {
        let nodes = self.filled.graph.nodes() as f64;
        let resident = resident_bytes(self.server.pid())?;
        let what =
            format!("memory of a server with {} nodes, {} events", number(nodes), number(self.filled.events as f64));
        let row = Row::tells(what, format!("{}, {} per node", bytes(resident), bytes(resident / nodes)));
        Ok(row.value("resident_bytes", resident).note(
            "the whole process right after it folded its log without a snapshot: catalog, lineage, matcher, worklists, \
             and what reading left to the allocator",
        ))
    }

    /// Near lineages: through the API now and as of before, at the CLI, and by the recursive query.
    fn near(&self, edges: Option<&Edges>, outcome: &mut Outcome) -> anyhow::Result<()> {
        let graph = &self.filled.graph;
        let starts: Vec<DataRow> = graph.every(graph.data().len() / (STARTS / self.bench.sizes.shorter)).collect();
        let mut wire = Wire::to(self.server.address())?;
        let (mut now, mut past) = (Vec::new(), Vec::new());
        for start in &starts {
            let target = format!("/api/data/{}/lineage?depth={DEPTH}", Ids::data(*start));
            now.push(seconds_of(&mut wire, &target)?.0);
            past.push(seconds_of(&mut wire, &self.before(&target))?.0);
        }
        let (now, past) = (Sample::of(now), Sample::of(past));
        let what = |tail: &str| {
            format!("lineage, depth {DEPTH}, both directions, {} nodes, {tail}", number(graph.nodes() as f64))
        };
        let row = Row::tells(what("through the API"), latency(&now))
            .value("p50_s", now.median())
            .value("p99_s", now.p99())
            .note(format!(
                "the request, the answer and whoever reads it included; the worst, {}, is the megabyte around a Data \
                 that a thousand Runs take",
                time(now.max())
            ));
        let some: Vec<DataRow> = starts.iter().step_by((starts.len() / STARTS_OF_QUERY).max(1)).copied().collect();
        let row = match edges {
            Some(edges) => {
                let queried = self.bench.tokio.block_on(edges.near(&some, DEPTH))?;
                row.beside("recursive CTE", &latency(&queried), queried.median() / now.median())
            }
            None => row,
        };
        outcome.rows.push(row);
        outcome.rows.push(compared(what("through the API, as of an earlier position"), &now, &past));
        let cli = process::wall(CLOSURES, || self.lineage(Ids::data(starts[starts.len() / 2]), &[]))?;
        outcome.rows.push(
            Row::tells(what("at the CLI"), spread(&cli))
                .value("measured_s", cli.median())
                .note("`knit data lineage`, DOT into a file; the program itself takes most of it"),
        );
        Ok(())
    }

    fn closure(&self, closure: Closure) -> anyhow::Result<Fetched> {
        let id = Ids::data(closure.start);
        let target = format!("/api/data/{id}/lineage?direction=up&depth=all");
        let mut wire = Wire::to(self.server.address())?;
        let (mut http, mut http_past, mut http_bytes) = (Vec::new(), Vec::new(), 0);
        for _ in 0..CLOSURES {
            let (seconds, bytes) = seconds_of(&mut wire, &target)?;
            http.push(seconds);
            http_bytes = bytes;
            http_past.push(seconds_of(&mut wire, &self.before(&target))?.0);
        }
        let cli = process::wall(CLOSURES, || self.lineage(id, &["-u", "-n", "all"]))?;
        let targets = nodes_above(&self.filled.graph, &self.filled.ids, closure.start);
        let step = (targets.len() / (FETCHED / self.bench.sizes.shorter)).max(1);
        let some: Vec<&String> = targets.iter().step_by(step).collect();
        let begun = Instant::now();
        for target in &some {
            wire.fetch(target)?;
        }
        let node_by_node = begun.elapsed().as_secs_f64() * targets.len() as f64 / some.len() as f64;
        Ok(Fetched {
            closure,
            graph_nodes: self.filled.graph.nodes(),
            nodes: targets.len(),
            http: Sample::of(http),
            http_past: Sample::of(http_past),
            http_bytes,
            cli,
            fetched: some.len(),
            node_by_node,
        })
    }

    /// The same question as of a position at which nearly all was there.
    fn before(&self, target: &str) -> String {
        format!("{target}&as-of={}", self.filled.events - 1)
    }

    fn lineage(&self, id: KnitId, options: &[&str]) -> anyhow::Result<Command> {
        let scratch = self.bench.scratch();
        let mut command = Command::new(program::path("knit"));
        command.args(["data", "lineage"]).args(options).arg(id.to_string()).current_dir(scratch);
        let server = format!("http://{}/api", self.server.address());
        command.env_clear().env("HOME", scratch).env("KNIT_SERVER", server);
        command.stdout(File::create(scratch.join("lineage.dot"))?);
        Ok(command)
    }
}

/// Seconds until an answer is there whole, and its bytes.
fn seconds_of(wire: &mut Wire, target: &str) -> anyhow::Result<(f64, u64)> {
    let begun = Instant::now();
    let bytes = wire.fetch(target)?.body_bytes;
    Ok((begun.elapsed().as_secs_f64(), bytes))
}

impl Fetched {
    fn add_to(&self, outcome: &mut Outcome) {
        outcome.rows.extend(self.rows());
        outcome.plots.push(self.plot());
    }

    fn rows(&self) -> [Row; 3] {
        let (http, cli) = (self.http.median(), self.cli.median());
        let what = |tail: &str| {
            let (nodes, all) = (number(self.nodes as f64), number(self.graph_nodes as f64));
            format!("lineage, whole closure of {nodes} nodes of {}, of {all} in all, {tail}", self.closure.of)
        };
        let by_node = self.node_by_node / http;
        let note = format!(
            "{} of the nodes were fetched from our own server through one connection, each Data and each Run by its \
             id; the time of all is in proportion",
            number(self.fetched as f64),
        );
        [
            Row::tells(what("through the API"), format!("{}, {}", spread(&self.http), bytes(self.http_bytes as f64)))
                .beside("node by node over HTTP", &time(self.node_by_node), by_node)
                .value("measured_s", http)
                .note(note),
            compared(what("through the API, as of an earlier position"), &self.http, &self.http_past),
            Row::judged(what("at the CLI with output"), "≤ 300 ms", spread(&self.cli), cli <= 0.3)
                .beside("node by node over HTTP", &time(self.node_by_node), self.node_by_node / cli)
                .value("measured_s", cli)
                .note("`knit data lineage -u -n all`, DOT into a file"),
        ]
    }

    fn beside_answer(&self, answer_s: f64) -> Row {
        let by_node = self.node_by_node / answer_s;
        let what = "lineage, whole closure in the server, beside fetching node by node";
        Row::judged(what, "≥ 500×", time(answer_s), by_node >= 500.0).beside(
            "node by node over HTTP",
            &time(self.node_by_node),
            by_node,
        )
    }

    fn plot(&self) -> Plot {
        let bars = [
            ("through the API", self.http.median()),
            ("as of an earlier position", self.http_past.median()),
            ("knit data lineage", self.cli.median()),
            ("node by node", self.node_by_node),
        ];
        let bars = bars.map(|(name, seconds)| (name.to_owned(), seconds * 1e3)).to_vec();
        let group = Group { name: format!("{} nodes", number(self.nodes as f64)), bars, target: Some(300.0) };
        let all = number(self.graph_nodes as f64);
        Plot::magnitudes(
            format!("Whole closure of {} of {all} nodes, from outside", self.closure.of),
            "ms",
            vec![group],
        )
    }
}

/// What a client asks that fetches every node above `start` by itself.
fn nodes_above(graph: &Graph, ids: &Ids, start: DataRow) -> Vec<String> {
    let (mut open, mut targets) = (vec![start], Vec::new());
    let (mut data_seen, mut runs_seen) = (vec![false; graph.data().len()], vec![false; graph.runs().len()]);
    while let Some(data) = open.pop() {
        let run = graph.maker(data);
        if std::mem::replace(&mut runs_seen[run as usize], true) {
            continue;
        }
        targets.push(format!("/api/runs/{}", ids.run(run)));
        open.extend(graph.taken(run));
        for data in graph.made(run).chain(graph.taken(run).iter().copied()) {
            if !std::mem::replace(&mut data_seen[data as usize], true) {
                targets.push(data_target(Ids::data(data)));
            }
        }
    }
    targets
}

/// One Data by its id, as the original's client asks for it.
pub(crate) fn data_target(id: KnitId) -> String {
    format!("/api/data?tag=knit%23id%3A{id}")
}
