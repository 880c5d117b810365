//! Memory: what a node of the graph costs, its history included.

use crate::bench::Bench;
use crate::plot::{Plot, Series};
use crate::report::Outcome;
use crate::row::{Row, bytes, number, rate};

/// The most that a node may cost, beside the text of tags.
const BYTES_PER_NODE_MAX: f64 = 300.0;

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let large = bench.large()?;
    let Some((nodes, heap, grown)) = large.growth.last().copied() else { anyhow::bail!("nothing was folded") };
    let per_node = heap / nodes as f64;
    let what = format!(
        "memory of catalog and lineage, {} nodes, {} edges, {} events of history",
        number(nodes as f64),
        number(large.graph.edges() as f64),
        number(large.events as f64)
    );
    let note = format!(
        "counted by the store itself, the text of tags included: {} in all. The process grew by {} ({} for each \
         node), which counts what the allocator keeps and the room that growing columns leave. Folding it took {} s \
         ({})",
        bytes(heap),
        bytes(grown),
        bytes(grown / nodes as f64),
        number(large.seconds),
        rate(large.events as f64 / large.seconds)
    );
    let measured = format!("{} bytes per node", number(per_node));
    let row =
        Row::judged(what, format!("≤ {BYTES_PER_NODE_MAX} bytes per node"), measured, per_node <= BYTES_PER_NODE_MAX)
            .note(note)
            .value("heap_bytes_per_node", per_node)
            .value("resident_bytes_per_node", grown / nodes as f64);
    let series = |name: &str, of: fn(&(usize, f64, f64)) -> f64| Series {
        name: name.to_owned(),
        points: large.growth.iter().map(|look| (look.0 as f64, of(look) / 1e6)).collect(),
    };
    let series = vec![series("the process", |look| look.2), series("the store, as it counts itself", |look| look.1)];
    let plot = Plot::lines("Memory of catalog and lineage as the history grows", "nodes", "MB", series);
    Ok(Outcome { rows: vec![row], plots: vec![plot], remarks: Vec::new() })
}
