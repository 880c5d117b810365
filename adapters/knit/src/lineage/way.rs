//! A way from one Data to another, for people: one line for every Data and every Run on it, in its order.
//!
//! As a tree it would be a staircase. The middle of a long one is counted.

use std::io::{self, Write};

use knit_schemas::lineage::Index;
use knit_schemas::lineage::graph::{Data, Run};

use super::words::Words;
use crate::tree::{Style, folded};

/// Steps that are drawn at either end of a long way; each is a Run and a Data, three lines on an ordinary terminal.
const STEPS_MAX: usize = 3;

/// Draws the way; its Data and Runs are in order, the start first.
pub(super) fn draw(index: &Index<'_>, style: Style, out: &mut impl Write) -> io::Result<()> {
    let words = Words::new(index, style);
    let Some((first, behind)) = index.graph.data.split_first() else { return Ok(()) };
    let line = |place: &str, words: &[String]| folded(place, "     ", words, style.width);
    write!(out, "{}", line("", &words.data(first)))?;
    let steps: Vec<(&Run<'_>, &Data<'_>)> = index.graph.runs.iter().zip(behind).collect();
    let leads_up = steps.first().is_some_and(|(run, _)| path_to(&index.made(run), first).is_some());
    if !steps.is_empty() {
        writeln!(out, "{}", if leads_up { "made by" } else { "used by" })?;
    }
    let is_long = style.is_folded && steps.len() > 2 * STEPS_MAX + 1;
    let mut before = first;
    for (n, (run, data)) in steps.iter().enumerate() {
        let (taken, made) = (index.taken(run), index.made(run));
        let (from, to) = if leads_up { (made, taken) } else { (taken, made) };
        if is_long && n == STEPS_MAX {
            let left = steps.len() - 2 * STEPS_MAX;
            writeln!(out, "  … and {left} more Runs with as many Data on the way (--unfold draws them)")?;
        }
        if !is_long || n < STEPS_MAX || n + STEPS_MAX >= steps.len() {
            let place = |path: Option<&str>| format!("  {} ", words.paint.faint(path.unwrap_or_default()));
            write!(out, "{}", line(&place(path_to(&from, before)), &words.run(run)))?;
            write!(out, "{}", line(&place(path_to(&to, data)), &words.data(data)))?;
        }
        before = data;
    }
    Ok(())
}

/// Where a Data is mounted.
fn path_to<'a>(points: &[(&'a str, &Data<'_>)], data: &Data<'_>) -> Option<&'a str> {
    points.iter().find(|(_, there)| there.knit_id == data.knit_id).map(|(path, _)| *path)
}

#[cfg(test)]
mod tests {
    use knit_schemas::api::{LineageData, LineageEdge, LineageGraph, LineageRun};
    use knit_schemas::instant::Instant;
    use knit_schemas::lineage::graph::Graph;

    use super::*;

    /// From the Data `0` over so many Runs to what was made of it, or from there to the Data `0`.
    fn way(runs: usize, leads_up: bool) -> String {
        let edge = |path: &str, n: usize| vec![LineageEdge { path: path.to_owned(), knit_id: n.to_string() }];
        let run = |n: usize| LineageRun {
            run_id: format!("r{n}"),
            status: "done".to_owned(),
            updated_at: Instant::from_unix_ms(0).unwrap(),
            started_at: None,
            exit: None,
            plan_id: String::new(),
            inputs: edge("/in", n),
            outputs: edge("/out", n + 1),
            log: None,
        };
        let mut graph = LineageGraph {
            data: (0..=runs).map(|n| LineageData { knit_id: n.to_string(), tags: Vec::new() }).collect(),
            runs: (0..runs).map(run).collect(),
            ..LineageGraph::default()
        };
        if leads_up {
            graph.data.reverse();
            graph.runs.reverse();
        }
        let mut text = Vec::new();
        let style = Style { is_coloured: false, width: None, is_folded: true };
        draw(&Index::new(&Graph::from(&graph)), style, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_way_is_told_in_its_order_whichever_way_it_leads() {
        let down = "Data 0\nused by\n  /in Run r0  done  (unknown Plan)\n  /out Data 1\n";
        assert_eq!(way(1, false), down);
        let up = "Data 1\nmade by\n  /out Run r0  done  (unknown Plan)\n  /in Data 0\n";
        assert_eq!(way(1, true), up);
        assert_eq!(way(0, false), "Data 0\n", "a Data is where it is");
    }

    #[test]
    fn the_middle_of_a_long_way_is_counted() {
        let text = way(500, true);
        assert_eq!(text.lines().count(), 2 + 4 * STEPS_MAX + 1, "{text}");
        assert!(
            text.contains("\n  … and 494 more Runs with as many Data on the way (--unfold draws them)\n"),
            "{text}"
        );
        assert!(text.starts_with("Data 500\n") && text.ends_with("/in Data 0\n"), "{text}");
        assert!(!way(2 * STEPS_MAX + 1, true).contains('…'), "a line for one would say less than the one");
    }
}
