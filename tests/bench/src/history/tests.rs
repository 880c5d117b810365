use std::collections::{HashMap, HashSet};

use knit_projections::matcher::{Cursor, Matcher};
use knit_projections::projection::Projection;
use knit_projections::store::{At, Store, Walk};
use knit_projections::worklists::{Stage, Worklists};

use super::*;
use crate::graph::Graph;

fn fold<P: Projection>(graph: &Graph) -> P {
    let mut projection = P::default();
    History::of(graph).recorded().for_each(|event| projection.apply(&event).expect("a history contradicts nothing"));
    projection
}

#[test]
fn a_history_has_the_events_that_its_graph_foretells() {
    let graph = Graph::catalog(1);
    assert_eq!(History::of(&graph).recorded().count(), graph.events());
}

#[test]
fn streams_have_the_versions_that_are_expected_and_take_part_once_in_each_append() {
    let graph = Graph::of_events(5_000);
    let mut versions: HashMap<StreamId, u64> = HashMap::new();
    for decision in History::of(&graph) {
        let mut seen = HashSet::new();
        assert!(decision.events().count() <= knit_log::EVENTS_PER_REQUEST_MAX);
        for write in decision.writes {
            assert!(seen.insert(write.stream.clone()), "{} is written twice", write.stream);
            let version = versions.entry(write.stream).or_default();
            assert_eq!(*version, write.expected);
            *version += write.events.len() as u64;
        }
    }
}

#[test]
fn a_server_that_opens_a_history_finds_nothing_due() {
    let graph = Graph::catalog(1);
    let matcher: Matcher = fold(&graph);
    let mut cursor = Cursor::default();
    loop {
        let due = matcher.due(&mut cursor, 10);
        assert_eq!((due.combinations.len(), due.held.len()), (0, 0), "{:?}", due.combinations.first());
        if due.exhausted {
            break;
        }
    }
    let worklists: Worklists = fold(&graph);
    assert_eq!(Stage::ALL.into_iter().map(|stage| worklists.runs(stage, 0).count()).sum::<usize>(), 0);
}

#[test]
fn the_store_shows_the_graph_that_the_history_is_of() {
    let graph = Graph::catalog(1);
    let store: Store = fold(&graph);
    assert_eq!(store.nodes(), graph.nodes() + graph.plans().len() + 2);
    let hub = graph.landmarks().hub.unwrap();
    let around = store.lineage(Ids::data(hub), &Walk { downstream: true, ..Walk::default() }, At::Now).unwrap();
    // A thousand Runs; the hub, what each takes beside it, an output and a log.
    assert_eq!((around.runs.len(), around.data.len()), (1_000, 3_001));
}
