//! DOT drawn by all processors at once: of 10⁵ nodes drawing takes longer than everything else.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use knit_schemas::lineage::dot::{self, Part};
use knit_schemas::lineage::{Index, Zone};

/// Nodes of a part that one thread draws: some hundred kilobytes, so that handing them over costs nothing beside them,
/// and so few that the last parts do not leave a thread waiting for another.
const NODES_AT_ONCE: usize = 256;
/// Parts that are drawn and wait to be written; whoever draws more of them waits as well.
const PARTS_WAITING: usize = 16;
/// Threads that draw: what reads the answer and what writes the file keep no more than so many busy.
const THREADS_MAX: usize = 8;

/// A part by its number, as text.
type Drawn = (usize, io::Result<Vec<u8>>);

/// As [`dot::draw`], which see.
pub(super) fn draw(index: &Index<'_>, zone: Zone, out: &mut impl Write) -> io::Result<()> {
    let parts: Vec<Part<'_>> = dot::parts(index, NODES_AT_ONCE).collect();
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    thread::scope(|scope| {
        let (drawn, arrived) = mpsc::sync_channel(PARTS_WAITING);
        for _ in 0..threads {
            let (drawn, parts, next) = (drawn.clone(), &parts, &next);
            scope.spawn(move || draw_what_is_next(index, zone, parts, next, &drawn));
        }
        // The last of those that draw ends the channel.
        drop(drawn);
        write_in_order(arrived, out)
    })
}

fn draw_what_is_next(index: &Index<'_>, zone: Zone, parts: &[Part<'_>], next: &AtomicUsize, drawn: &SyncSender<Drawn>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(part) = parts.get(number) else { return };
        let mut text = Vec::new();
        let outcome = part.draw(index, zone, &mut text).map(|()| text);
        if drawn.send((number, outcome)).is_err() {
            // Writing has failed, and who writes says why.
            return;
        }
    }
}

/// Parts come as they are finished, and are written one behind the other.
fn write_in_order(arrived: Receiver<Drawn>, out: &mut impl Write) -> io::Result<()> {
    let mut early = BTreeMap::new();
    let mut due = 0;
    for (number, text) in arrived {
        early.insert(number, text);
        while let Some(text) = early.remove(&due) {
            out.write_all(&text?)?;
            due += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_schemas::instant::Instant;
    use knit_schemas::lineage::graph::Graph;
    use serde_json::{Value, json};

    fn as_is(instant: &Instant) -> Instant {
        *instant
    }

    /// A chain of as many Runs, whose parts do not fit into one.
    fn chain(runs: usize) -> String {
        let id = |kind: usize, n: usize| format!("{kind:08x}-0000-4000-8000-{n:012x}");
        let data = |n| json!({ "knitId": id(1, n), "tags": [format!("n:{n}")], "upstream": id(2, n) });
        let run = |n: usize| {
            let input = n.checked_sub(1).map(|n| json!({ "path": "/in", "knitId": id(1, n) }));
            json!({
                "runId": id(2, n), "planId": id(3, 0), "status": "done", "updatedAt": "2025-03-03T10:15:00+00:00",
                "inputs": Vec::from_iter(input), "outputs": [{ "path": "/out", "knitId": id(1, n) }],
            })
        };
        let plan = json!({ "planId": id(3, 0), "image": "host:latest" });
        let (data, runs): (Vec<Value>, Vec<Value>) = (0..runs).map(|n| (data(n), run(n))).unzip();
        json!({ "start": id(1, 0), "data": data, "runs": runs, "plans": [plan], "cut": [], "next": null }).to_string()
    }

    #[test]
    fn many_parts_are_the_file_that_one_would_have_drawn() {
        let text = chain(3 * NODES_AT_ONCE + 1);
        let graph: Graph<'_> = serde_json::from_str(&text).unwrap();
        let index = Index::new(&graph);
        let (mut beside, mut alone) = (Vec::new(), Vec::new());
        draw(&index, as_is, &mut beside).unwrap();
        dot::draw(&index, as_is, &mut alone).unwrap();
        assert!(dot::parts(&index, NODES_AT_ONCE).count() > 12);
        assert_eq!(String::from_utf8(beside).unwrap(), String::from_utf8(alone).unwrap());
    }

    #[test]
    fn who_draws_ends_when_nothing_can_be_written() {
        let text = chain(3 * NODES_AT_ONCE);
        let graph: Graph<'_> = serde_json::from_str(&text).unwrap();
        let mut full = &mut [0_u8; 100][..];
        assert!(draw(&Index::new(&graph), as_is, &mut full).is_err());
    }
}
