//! Lineage walks (domain.md 9.14).

use knit_domain::id::{KnitId, PlanId, RunId};
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, Lineage, Show, Store, Walk};
use knit_schemas::api::LineageData;

use super::random::{all_built, all_written, dot_of, dot_written};
use crate::world::World;
use crate::world::acts::Sketch;

const DOWN: Walk = Walk { upstream: false, downstream: true, depth: None };
const UP: Walk = Walk { upstream: true, downstream: false, depth: None };

/// D1 → R1 → D2 → R2 → D3, where D1 is uploaded. Neither Plan keeps a log.
struct Line {
    world: World,
    data: [KnitId; 3],
    runs: [RunId; 2],
}

fn plan(world: &mut World, image: &str, inputs: &[(&str, &[&str])], outputs: &[(&str, &[&str])]) -> PlanId {
    world.try_register(&Sketch { image, inputs, outputs, log: None }).expect("the Plan is fine")
}

fn line() -> Line {
    let mut world = World::new();
    let first = plan(&mut world, "first", &[("/in", &["n:1"])], &[("/out", &["n:2"])]);
    let second = plan(&mut world, "second", &[("/in", &["n:2"])], &[("/out", &["n:3"])]);
    let d1 = world.upload(&["n:1"]);
    let r1 = world.done_on(first, &[("/in", d1)]);
    let d2 = world.output(r1, "/out");
    let r2 = world.done_on(second, &[("/in", d2)]);
    let d3 = world.output(r2, "/out");
    Line { world, data: [d1, d2, d3], runs: [r1, r2] }
}

fn walk(world: &World, start: KnitId, walk: Walk) -> Lineage {
    world.store().lineage(start, &walk, At::Now).expect("the start exists")
}

#[test]
fn lin_01_neither_direction_means_both() {
    let Line { world, data: [_, d2, _], .. } = line();
    let both = walk(&world, d2, Walk { upstream: true, downstream: true, depth: None });
    assert_eq!(walk(&world, d2, Walk::default()), both);
    assert_eq!(both.data.len(), 3);
}

#[test]
fn between_the_events_of_a_deletion_no_data_hangs_in_the_air() {
    let Line { mut world, data: [d1, ..], runs: [r1, r2] } = line();
    let upload = world.store().producer_of(d1).unwrap();
    let before = world.log.len();
    [r2, r1, upload].into_iter().for_each(|run| world.delete(run));
    let store = world.store();
    for at in (before..=world.log.len()).map(|position| At::Position(position as u64)) {
        // A deleted Run is shown until what it took is deleted as well.
        for graph in [r1, r2].into_iter().filter_map(|run| store.lineage_graph(run, &Walk::default(), at)) {
            let edges = graph.runs.iter().flat_map(|run| run.inputs.iter().chain(&run.outputs));
            let tied: Vec<&String> = edges.map(|edge| &edge.knit_id).collect();
            let is_there = |data: &LineageData| store.data(data.knit_id.parse().unwrap(), at).is_some();
            let hangs = graph.data.iter().find(|data| !tied.contains(&&data.knit_id) || !is_there(data));
            assert_eq!(hangs, None, "as of {at:?}");
        }
    }
    assert!(store.lineage_graph(r1, &Walk::default(), At::Position(before as u64)).is_some());
}

#[test]
fn between_the_events_of_a_retry_a_run_has_made_only_what_its_attempt_makes() {
    let mut world = World::new();
    let plan_id = plan(&mut world, "fails", &[("/in", &["n:1"])], &[("/out", &["n:2"])]);
    let input = world.upload(&["n:1"]);
    let run = world.run_on(plan_id, &[("/in", input)]);
    world.abort(run);
    world.finish(run);
    let (early, before) = (world.output(run, "/out"), world.log.len());
    world.retry(run);
    let late = world.output(run, "/out");
    let store = world.store();
    for position in before + 1..=world.log.len() {
        let at = At::Position(position as u64);
        assert_eq!((store.data(early, at), store.path(early, input, at)), (None, None), "as of {position}");
        assert!(store.path(late, input, at).is_some(), "as of {position}");
    }
    assert!(store.path(early, input, At::Position(before as u64)).is_some());
}

#[test]
fn lin_03_one_step_down_is_one_run_and_its_outputs() {
    let Line { world, data: [d1, d2, _], runs: [r1, _] } = line();
    let walked = walk(&world, d1, Walk { depth: Some(1), ..DOWN });
    assert_eq!((walked.data, walked.runs), (vec![d1, d2], vec![r1]));
    assert_eq!(walked.cut, [d2]);
}

#[test]
fn lin_04_two_steps_or_all_are_everything() {
    let Line { world, data, runs, .. } = line();
    for depth in [Some(2), None] {
        let walked = walk(&world, data[0], Walk { depth, ..DOWN });
        assert_eq!((walked.data, walked.runs, walked.cut), (data.to_vec(), runs.to_vec(), vec![]));
    }
}

#[test]
fn upstream_goes_to_the_upload_and_ends_there() {
    let Line { world, data: [d1, d2, d3], runs: [r1, r2] } = line();
    let walked = walk(&world, d3, UP);
    let upload = world.store().producer_of(d1).unwrap();
    assert_eq!((walked.data, walked.runs, walked.cut), (vec![d3, d2, d1], vec![r2, r1, upload], vec![]));
    assert_eq!(walk(&world, d3, Walk { depth: Some(1), ..UP }).cut, [d2]);
    // The upload is a step of its own, so the first Data is cut too.
    assert_eq!(walk(&world, d3, Walk { depth: Some(2), ..UP }).cut, [d1]);
}

#[test]
fn depth_zero_is_the_data_itself() {
    let Line { world, data: [_, d2, _], .. } = line();
    let walked = walk(&world, d2, Walk { depth: Some(0), ..Walk::default() });
    assert_eq!((walked.data, walked.runs, walked.cut), (vec![d2], vec![], vec![d2]));
}

#[test]
fn lin_05_other_inputs_are_shown_and_not_followed() {
    let mut world = World::new();
    let join = plan(&mut world, "join", &[("/in/1", &["n:1"]), ("/in/9", &["n:9"])], &[("/out", &["n:2"])]);
    let (d1, d9) = (world.upload(&["n:1"]), world.upload(&["n:9"]));
    let other = plan(&mut world, "other", &[("/in", &["n:9"])], &[("/out", &["n:8"])]);
    world.done_on(other, &[("/in", d9)]);
    let run = world.done_on(join, &[("/in/1", d1), ("/in/9", d9)]);
    let walked = walk(&world, d1, DOWN);
    assert_eq!((walked.data, walked.runs), (vec![d1, d9, world.output(run, "/out")], vec![run]));
}

#[test]
fn siblings_among_outputs_are_shown_and_not_followed() {
    let mut world = World::new();
    let split = plan(&mut world, "split", &[("/in", &["n:1"])], &[("/out/1", &["n:2"]), ("/out/2", &["n:3"])]);
    let next = plan(&mut world, "next", &[("/in", &["n:3"])], &[]);
    let d1 = world.upload(&["n:1"]);
    let run = world.done_on(split, &[("/in", d1)]);
    let (left, right) = (world.output(run, "/out/1"), world.output(run, "/out/2"));
    world.done_on(next, &[("/in", right)]);
    let walked = walk(&world, left, UP);
    assert_eq!(walked.data, [left, right, d1]);
    assert!(walked.runs.contains(&run) && walked.runs.len() == 2);
}

#[test]
fn lin_06_a_run_without_outputs_is_shown_and_ends_the_walk() {
    let mut world = World::new();
    let sink = plan(&mut world, "sink", &[("/in", &["n:1"])], &[]);
    let d1 = world.upload(&["n:1"]);
    let run = world.run_on(sink, &[("/in", d1)]);
    let walked = walk(&world, d1, DOWN);
    assert_eq!((walked.data, walked.runs, walked.cut), (vec![d1], vec![run], vec![]));
}

#[test]
fn lin_07_a_log_is_shown_after_the_outputs_and_followed() {
    let mut world = World::new();
    let talk = world.register("talk", &[("/in", &["n:1"])]);
    let read = plan(&mut world, "read", &[("/in", &["type:log"])], &[]);
    let d1 = world.upload(&["n:1"]);
    let run = world.done_on(talk, &[("/in", d1)]);
    let (out, log) = (world.output(run, "/out"), world.output(run, "/log"));
    let reader = world.run_on(read, &[("/in", log)]);
    let walked = walk(&world, d1, DOWN);
    assert_eq!((walked.data, walked.runs), (vec![d1, out, log], vec![run, reader]));
}

#[test]
fn lin_08_an_unknown_data_has_no_lineage() {
    let Line { world, .. } = line();
    let nobody = KnitId(uuid::Uuid::nil());
    assert_eq!(world.store().lineage(nobody, &Walk::default(), At::Now), None);
    assert_eq!(world.store().lineage_graph(nobody, &Walk::default(), At::Now), None);
}

#[test]
fn lin_09_deleted_runs_are_not_listed_nor_followed() {
    let Line { mut world, data: [_, d2, _], runs: [_, r2] } = line();
    let before = world.here();
    world.delete(r2);
    let store = world.store();
    assert_eq!(store.data(d2, At::Now).unwrap().downstreams, []);
    let walked = walk(&world, d2, DOWN);
    assert_eq!((walked.data, walked.runs), (vec![d2], vec![]));
    // Before, it was there.
    assert_eq!(store.data(d2, before).unwrap().downstreams.len(), 1);
    assert_eq!(store.lineage(d2, &DOWN, before).unwrap().runs, [r2]);
}

#[test]
fn one_data_on_two_inputs_is_two_edges_of_one_run() {
    let mut world = World::new();
    let join = plan(&mut world, "twice", &[("/in/1", &["n:1"]), ("/in/2", &["n:1"])], &[]);
    let d1 = world.upload(&["n:1"]);
    let run = world.run_on(join, &[("/in/1", d1), ("/in/2", d1)]);
    let store = world.store();
    let paths: Vec<String> =
        store.data(d1, At::Now).unwrap().downstreams.into_iter().map(|use_| use_.mountpoint.path).collect();
    assert_eq!(paths, ["/in/1", "/in/2"]);
    assert_eq!(walk(&world, d1, DOWN).runs, [run]);
}

#[test]
fn a_retry_moves_the_lineage_to_the_new_outputs_and_the_past_keeps_the_old() {
    let mut world = World::new();
    let first = plan(&mut world, "first", &[("/in", &["n:1"])], &[("/out", &["n:2"])]);
    let d1 = world.upload(&["n:1"]);
    let run = world.done_on(first, &[("/in", d1)]);
    let (old, before) = (world.output(run, "/out"), world.here());
    world.retry(run);
    let new = world.output(run, "/out");
    let store = world.store();
    assert_eq!(store.lineage(d1, &DOWN, At::Now).unwrap().data, [d1, new]);
    assert_eq!(store.lineage(d1, &DOWN, before).unwrap().data, [d1, old]);
    assert_eq!(store.lineage(old, &UP, At::Now), None);
    assert_eq!(store.data(old, At::Now), None);
    assert_eq!(store.data(new, before), None);
}

#[test]
fn the_graph_tells_each_plan_once_and_every_edge() {
    let Line { world, data: [d1, d2, d3], runs: [r1, r2] } = line();
    let graph = world.store().lineage_graph(d2, &Walk::default(), At::Now).unwrap();
    assert_eq!(graph.start, d2.to_string());
    let ids: Vec<&str> = graph.data.iter().map(|data| data.knit_id.as_str()).collect();
    assert_eq!(ids, [d2, d1, d3].map(|id| id.to_string()));
    let runs: Vec<&str> = graph.runs.iter().map(|run| run.run_id.as_str()).collect();
    let upload = world.store().producer_of(d1).unwrap();
    assert_eq!(runs, [r1, upload, r2].map(|id| id.to_string()));
    let plans: Vec<Option<&str>> = graph.plans.iter().map(|plan| plan.image.as_deref()).collect();
    assert_eq!(plans, [Some("first:1"), None, Some("second:1")]);
    let first = &graph.runs[0];
    assert_eq!((first.status.as_str(), first.inputs[0].knit_id.clone()), ("done", d1.to_string()));
    assert_eq!((first.outputs[0].path.as_str(), first.outputs[0].knit_id.clone()), ("/out", d2.to_string()));
    assert_eq!((&first.log, &graph.cut), (&None, &vec![]));
}

#[test]
fn long_answers_are_written_as_if_they_had_been_built() {
    let Line { mut world, data: [d1, d2, d3], runs: [r1, _] } = line();
    let failing = plan(&mut world, "failing", &[("/a", &["n:3"]), ("/b", &["n:1"])], &[("/out", &["n:4"])]);
    world.tag(d2, &["a:1", "zebra:2", "knife:3", "q\"uo\\te:é"], &["n:2"]);
    let run = world.run_on(failing, &[("/a", d3), ("/b", d1)]);
    world.step(run);
    world.fail(run);
    world.retry(run);
    let other = world.upload(&["n:1"]);
    let lost = world.done_on(failing, &[("/a", d3), ("/b", other)]);
    world.delete(lost);
    let mut written = 0;
    let newest = world.fold::<Store>().position();
    for at in (1..=newest).map(At::Position).chain([At::Now]) {
        assert_eq!(all_written(&world.store(), at), all_built(&world.store(), at));
        for (start, depth) in
            [d1, d2, d3].into_iter().flat_map(|start| [Some(1), Some(2), None].map(|depth| (start, depth)))
        {
            let walk = Walk { depth, ..Walk::default() };
            let built =
                world.store().lineage_graph(start, &walk, at).map(|graph| serde_json::to_string(&graph).unwrap());
            let view = pieces_of(&world.store(), start, &walk, at);
            assert_eq!(view, built);
            written += usize::from(view.is_some_and(|json| json.contains(&run.to_string())));
        }
    }
    assert!(written > 0 && world.store().producer_of(d2) == Some(r1));
}

#[test]
fn a_wide_lineage_is_drawn_piece_by_piece_as_if_it_had_been_drawn_at_once() {
    let mut world = World::new();
    let paths: Vec<String> = (0..70).map(|n| format!("/in/{n}")).collect();
    let inputs: Vec<(&str, &[&str])> = paths.iter().map(|path| (path.as_str(), &["n:1"][..])).collect();
    let wide = plan(&mut world, "wide", &inputs, &[("/out", &["n:2"])]);
    let uploads: Vec<KnitId> = paths.iter().map(|_| world.upload(&["n:1"])).collect();
    let assigned: Vec<(&str, KnitId)> = paths.iter().map(String::as_str).zip(uploads).collect();
    let run = world.done_on(wide, &assigned);
    let store = world.store();
    for depth in [None, Some(1)] {
        let walk = Walk { depth, ..Walk::default() };
        let whole = dot_of(&store.lineage_graph(run, &walk, At::Now).unwrap());
        assert_eq!(whole.matches("[shape=Mdiamond]").count(), 70);
        let mut pieces = store.shown_dot(run.into(), &walk, &Show::default(), At::Now).unwrap();
        let mut sizes = Vec::new();
        let written = dot_written(&store, |store, piece| {
            let more = pieces.write(store, piece, 100);
            sizes.push(piece.len());
            more
        });
        assert_eq!(written, whole);
        let largest = sizes.iter().max().copied().unwrap_or_default();
        assert!(sizes.len() > 10 && largest < whole.len() / 3, "{sizes:?}");
    }
}

#[test]
fn a_graph_that_is_too_large_is_only_counted() {
    let Line { world, data: [d1, _, _], .. } = line();
    let graph = |nodes_max| {
        world.store().small_graph(d1.into(), &Walk::default(), &Show::default(), At::Now, nodes_max).unwrap()
    };
    let met = |graph: knit_schemas::api::LineageGraph| graph.data.len() + graph.runs.len();
    // Three Data, two Runs, and the upload of the first.
    assert_eq!((graph(6).map(met), graph(5).map(met)), (Ok(6), Err(6)));
}

/// The JSON of a lineage, put together from small pieces.
fn pieces_of(store: &Store, start: KnitId, walk: &Walk, at: At) -> Option<String> {
    let mut json = store.lineage_json(start, walk, at)?;
    let (mut whole, mut more) = (Vec::new(), true);
    while more {
        let mut piece = Vec::new();
        more = json.write(store, &mut piece, 100);
        whole.append(&mut piece);
    }
    Some(String::from_utf8(whole).unwrap())
}

#[test]
fn a_path_is_a_shortest_way_whichever_was_made_of_the_other() {
    let Line { mut world, data: [d1, d2, d3], runs: [r1, r2] } = line();
    let stranger = world.upload(&["n:4"]);
    let store = world.store();
    let ids = |from, to| {
        let graph = store.path(from, to, At::Now)?;
        let data: Vec<String> = graph.data.into_iter().map(|data| data.knit_id).collect();
        let runs: Vec<String> = graph.runs.into_iter().map(|run| run.run_id).collect();
        Some((data, runs))
    };
    let texts = |data: [KnitId; 3], runs: [RunId; 2]| {
        Some((data.map(|id| id.to_string()).to_vec(), runs.map(|id| id.to_string()).to_vec()))
    };
    assert_eq!(ids(d1, d3), texts([d1, d2, d3], [r1, r2]));
    assert_eq!(ids(d3, d1), texts([d3, d2, d1], [r2, r1]));
    assert_eq!(ids(d2, d2), Some((vec![d2.to_string()], Vec::new())));
    assert_eq!(ids(d1, stranger), None);
}
