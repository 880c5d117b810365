use super::sizes::{MARK, MARKED, PLANS};
use super::*;

/// Ancestors of a Data, by the plainest walk.
fn ancestors(graph: &Graph, data: DataRow) -> (usize, usize) {
    let (mut open, mut data_seen, mut runs_seen) = (vec![data], std::collections::HashSet::new(), 0);
    let mut runs = std::collections::HashSet::new();
    while let Some(data) = open.pop() {
        data_seen.insert(data);
        if runs.insert(graph.maker(data)) {
            runs_seen += 1;
            open.extend(graph.taken(graph.maker(data)));
        }
    }
    (data_seen.len(), runs_seen)
}

fn consumers(graph: &Graph, data: DataRow) -> usize {
    graph.runs().filter(|run| graph.taken(*run).contains(&data)).count()
}

#[test]
fn a_catalog_has_the_shapes_and_sizes_that_are_asked_for() {
    let graph = Graph::catalog(1);
    assert_eq!(graph.plans().len(), PLANS);
    assert!((9_000..12_000).contains(&graph.data().len()), "{} Data", graph.data().len());
    let marked = graph.data().filter(|data| graph.tags(*data).iter().any(|tag| tag == MARK)).count();
    assert_eq!(marked, MARKED);
    let Landmarks { result, hub, end } = graph.landmarks();
    assert_eq!(consumers(&graph, hub.unwrap()), 1_000);
    assert_eq!(graph.taken(graph.maker(result.unwrap())).len(), 100);
    assert_eq!(ancestors(&graph, end.unwrap()).1, 101, "a hundred links and the upload");
}

#[test]
fn a_full_catalog_is_the_one_on_which_the_original_was_measured() {
    let graph = Graph::catalog(10);
    let (data, runs, assignments) = (graph.data().len(), graph.runs().len(), graph.assignments());
    assert!((95_000..105_000).contains(&data), "{data} Data");
    assert!((48_000..60_000).contains(&runs), "{runs} Runs");
    assert!((180_000..220_000).contains(&assignments), "{assignments} assignments");
}

#[test]
fn a_large_graph_is_as_large_as_asked_with_twice_as_many_edges() {
    let graph = Graph::large(300_000, &[]);
    assert!((300_000..320_000).contains(&graph.nodes()), "{} nodes", graph.nodes());
    let edges_per_node = graph.edges() as f64 / graph.nodes() as f64;
    assert!((1.7..2.3).contains(&edges_per_node), "{edges_per_node} edges for each node");
    let result = graph.landmarks().result.unwrap();
    assert_eq!(graph.taken(graph.maker(result)).len(), 1_000, "one Run takes a thousand Data");
    assert_eq!(ancestors(&graph, graph.landmarks().end.unwrap()).1, 10_001);
}

#[test]
fn a_history_has_as_many_events_as_were_asked_for() {
    let graph = Graph::of_events(20_000);
    assert!((20_000..21_000).contains(&graph.events()), "{} events", graph.events());
}
