//! The store against random histories: the past is the fold of the prefix, the lineage is the plainest
//! walk, and what it says of each thing is what the domain says.

use std::collections::{BTreeSet, HashSet};

use knit_domain::id::RunId;
use knit_domain::matching::Requirement;
use knit_domain::plan::{AnnotationChange, PlanChange};
use knit_domain::run::Status;
use knit_domain::tag::Tag;
use knit_histories::chance;
use knit_histories::reckoning::{Questions, naive_distance, naive_walk, walks};
use knit_projections::projection::Projection as _;
use knit_projections::store::{
    At, Continuation, DataFilter, LineageJson, ListJson, PlanFilter, RunFilter, Show, Start, Store, Walk,
};
use knit_schemas::api;
use knit_schemas::lineage::graph::Graph;
use knit_schemas::lineage::{Index, dot};
use proptest::prelude::*;

use super::{KnitId, PlanId};
use crate::random::{Act, acts};
use crate::world::World;

/// Enough for several Plans, retries and deletions; the past is asked at every position of them.
const ACTS_MAX: usize = 50;

pub(super) const CASES: u32 = 64;

/// Random worlds, whose Plans get annotations besides.
pub(super) fn worlds() -> impl Strategy<Value = World> {
    acts(ACTS_MAX).prop_map(|acts| {
        let mut world = World::new();
        for (number, act) in acts.iter().enumerate() {
            world.act(act);
            if let Act::Tag { data, .. } = act {
                world.annotate(usize::from(*data) + number);
            }
        }
        world
    })
}

impl World {
    fn annotate(&mut self, number: usize) {
        let plans: Vec<PlanId> = self.plans.keys().copied().collect();
        let add = BTreeSet::from([("number".to_owned(), number.to_string())]);
        let change = AnnotationChange { add, ..AnnotationChange::default() };
        self.change(plans[number % plans.len()], PlanChange::Annotations(change));
    }
}

/// Three of the tags of random worlds.
const WORDS: [&str; 3] = ["a:1", "b:1", "c:1"];

proptest! {
    #![proptest_config(chance::cases(CASES))]

    #[test]
    fn the_past_is_the_fold_of_the_prefix(world in worlds()) {
        let whole = world.store();
        let questions = Questions::about(&world.log, WORDS);
        let mut prefix = Store::default();
        for event in &world.log {
            prefix.apply(event).unwrap();
            let at = At::Position(event.position);
            prop_assert_eq!(questions.ask(&whole, at), questions.ask(&prefix, At::Now), "as of {}", event.position);
        }
        prop_assert_eq!(questions.ask(&whole, At::Position(u64::MAX)), questions.ask(&whole, At::Now));
    }

    #[test]
    fn the_lineage_is_the_plainest_walk(world in worlds(), at in any::<prop::sample::Index>()) {
        let store = world.store();
        for at in [At::Now, At::Position(at.index(world.log.len()) as u64)] {
            for (id, walk) in world.data.keys().flat_map(|id| walks().map(|walk| (*id, walk))) {
                let Some(walked) = store.lineage(id, &walk, at) else { continue };
                prop_assert!(store.data(id, at).is_some(), "{} has a lineage and is not there", id);
                let (data, runs) = naive_walk(&store, id, walk, at);
                prop_assert_eq!(walked.data.len(), walked.data.iter().collect::<HashSet<_>>().len());
                prop_assert_eq!(walked.data.iter().map(ToString::to_string).collect::<HashSet<_>>(), data);
                prop_assert_eq!(walked.runs.iter().map(ToString::to_string).collect::<HashSet<_>>(), runs);
            }
        }
    }

    #[test]
    fn the_lineage_of_a_run_is_its_data_and_the_walks_from_them(world in worlds(), at in any::<prop::sample::Index>()) {
        let store = world.store();
        for at in [At::Now, At::Position(at.index(world.log.len()) as u64)] {
            for (id, walk) in world.runs.keys().flat_map(|id| walks().map(|walk| (*id, walk))) {
                let graph = store.lineage_graph(id, &walk, at);
                prop_assert_eq!(graph.as_ref().map(met), naive_walk_from_run(&store, id, walk, at));
            }
        }
    }

    #[test]
    fn a_run_in_a_lineage_started_when_its_last_attempt_did(world in worlds(), at in any::<prop::sample::Index>()) {
        let store = world.store();
        for at in [At::Now, At::Position(at.index(world.log.len()) as u64)] {
            for id in world.runs.keys() {
                let Some(graph) = store.lineage_graph(*id, &Walk { depth: Some(0), ..Walk::default() }, at) else { continue };
                let attempts = store.attempts(*id, at).expect("a Run that is drawn is there");
                let started = attempts.last().and_then(|last| last.render().started_at);
                prop_assert_eq!(graph.runs.iter().find(|run| run.run_id == id.to_string()).and_then(|run| run.started_at), started);
            }
        }
    }

    #[test]
    fn a_path_is_as_short_as_the_plainest_search_finds(world in worlds(), at in any::<prop::sample::Index>()) {
        let store = world.store();
        for at in [At::Now, At::Position(at.index(world.log.len()) as u64)] {
            let there: Vec<KnitId> = world.data.keys().copied().filter(|id| store.data(*id, at).is_some()).collect();
            // Every other one is enough to begin at, and leaves the time to try all ends.
            for (from, to) in there.iter().step_by(2).flat_map(|from| there.iter().map(move |to| (*from, *to))) {
                let path = store.path(from, to, at);
                prop_assert_eq!(path.as_ref().map(|path| path.runs.len()), naive_distance(&store, from, to, at));
                if let Some(path) = path {
                    prop_assert!(hangs_together(&path, from, to), "{:?}", path);
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_lineage_is_what_fits_of_the_whole(world in worlds(), at in any::<prop::sample::Index>()) {
        let store = world.store();
        let at = At::Position(at.index(world.log.len()) as u64);
        let starts = world.data.keys().map(|id| Start::Data(*id)).chain(world.runs.keys().map(|id| Start::Run(*id)));
        let plans: Vec<PlanId> = world.plans.keys().copied().step_by(2).collect();
        for (start, show) in starts.flat_map(|start| shows(&plans).map(|show| (start, show))) {
            let Some(whole) = store.shown_graph(start, &Walk::default(), &Show::default(), at) else { continue };
            let expected = api::LineageGraph { as_of: show.is_dated.then_some(at.position(store.position())), ..fitting_part(whole, &show) };
            let shown = store.shown_graph(start, &Walk::default(), &show, at).unwrap();
            prop_assert_eq!(&shown, &expected);
            let written = lineage_written(&store, store.shown_json(start, &Walk::default(), &show, at).unwrap());
            prop_assert_eq!(written, json(&shown));
            let mut dot = store.shown_dot(start, &Walk::default(), &show, at).unwrap();
            prop_assert_eq!(dot_written(&store, |store, piece| dot.write(store, piece, 100)), dot_of(&shown));
            prop_assert_eq!(in_parts(&store, start, &show, at), expected);
        }
    }

    #[test]
    fn what_is_found_is_written_as_if_it_had_been_built(world in worlds(), at in any::<prop::sample::Index>()) {
        let store = world.store();
        for at in [At::Now, At::Position(at.index(world.log.len()) as u64)] {
            prop_assert_eq!(all_written(&store, at), all_built(&store, at));
        }
    }

    #[test]
    fn the_store_says_what_the_domain_says(world in worlds()) {
        let store = world.store();
        for (id, data) in &world.data {
            let shown = store.data(*id, At::Now);
            let Ok(record) = data.state.living() else {
                prop_assert_eq!(shown, None);
                continue;
            };
            let shown = shown.unwrap();
            let user: Vec<String> =
                shown.tags.iter().filter(|tag| !tag.is_system()).map(ToString::to_string).collect();
            prop_assert_eq!(user, record.tags.iter().map(ToString::to_string).collect::<Vec<_>>());
            prop_assert_eq!(shown.upstream.run.run_id, record.run_id.to_string());
            prop_assert_eq!(nominated(&shown.nomination), fitting_inputs(&world, *id));
        }
        for (id, run) in &world.runs {
            let shown = store.run(*id, At::Now);
            let Some(record) = &run.state.record else {
                prop_assert_eq!(shown, None);
                continue;
            };
            let shown = shown.unwrap();
            prop_assert_eq!(&shown.status, world.status(*id).as_str());
            prop_assert_eq!(store.run_status(*id), Some(world.status(*id)));
            prop_assert_eq!(shown.exit.map(|exit| (exit.code, exit.message)), record.exit.clone().map(|exit| (exit.code, exit.message)));
            prop_assert_eq!(shown.inputs.len(), record.inputs.len());
            prop_assert_eq!(store.outputs_of(*id), record.outputs.iter().map(|output| output.knit_id).collect::<Vec<_>>());
            prop_assert_eq!(store.attempts(*id, At::Now).unwrap().len(), record.attempt as usize);
        }
        for id in world.plans.keys() {
            prop_assert_eq!(fed(&store.plan(*id, At::Now).unwrap()), fed_by_definition(&world, *id));
        }
    }
}

/// Everything there is, as the server writes it.
pub(super) fn all_written(store: &Store, at: At) -> [String; 3] {
    let data = store.data_json(&DataFilter::default(), at);
    let (runs, plans) = (store.runs_json(&RunFilter::default(), at), store.plans_json(&PlanFilter::default(), at));
    [data, runs, plans].map(|list| written(store, list))
}

/// The same in the types of the wire, as they write themselves.
pub(super) fn all_built(store: &Store, at: At) -> [String; 3] {
    let data = store.find_data(&DataFilter::default(), at).into_iter().filter_map(|id| store.data(id, at));
    let runs = store.find_runs(&RunFilter::default(), at).into_iter().filter_map(|id| store.run(id, at));
    let plans = store.find_plans(&PlanFilter::default(), at).into_iter().filter_map(|id| store.plan(id, at));
    [json(&data.collect::<Vec<_>>()), json(&runs.collect::<Vec<_>>()), json(&plans.collect::<Vec<_>>())]
}

/// Ids of the Data and Runs of a lineage.
type Met = (HashSet<String>, HashSet<String>);

fn met(graph: &api::LineageGraph) -> Met {
    let data = graph.data.iter().map(|data| data.knit_id.clone());
    (data.collect(), graph.runs.iter().map(|run| run.run_id.clone()).collect())
}

/// Whether every Run of a path lies between the Data before it and the one behind it, all in one direction.
fn hangs_together(path: &api::LineageGraph, from: KnitId, to: KnitId) -> bool {
    let takes = |run: &api::LineageRun, id: &String| run.inputs.iter().any(|input| input.knit_id == *id);
    let makes = |run: &api::LineageRun, id: &String| {
        run.outputs.iter().any(|output| output.knit_id == *id) || run.log.as_ref() == Some(id)
    };
    let ids: Vec<&String> = path.data.iter().map(|data| &data.knit_id).collect();
    let steps: Vec<_> = path.runs.iter().zip(ids.windows(2)).collect();
    let ends = (ids.first().map(|id| id.as_str()), ids.last().map(|id| id.as_str()));
    ends == (Some(from.to_string().as_str()), Some(to.to_string().as_str()))
        && ids.len() == path.runs.len() + 1
        && (steps.iter().all(|(run, step)| takes(run, step[0]) && makes(run, step[1]))
            || steps.iter().all(|(run, step)| makes(run, step[0]) && takes(run, step[1])))
}

/// What a walk from a Run meets: the Run and its Data, and what walks from these meet.
fn naive_walk_from_run(store: &Store, id: RunId, walk: Walk, at: At) -> Option<Met> {
    let run = store.run(id, at)?;
    let ids = |all: Vec<api::RunMountpoint>| all.into_iter().map(|at| at.knit_id).filter(|id| !id.is_empty());
    let there = |id: &String| store.data(id.parse().unwrap(), at).is_some();
    let inputs: Vec<String> = ids(run.inputs).filter(there).collect();
    let log = run.log.map(|log| log.knit_id).filter(|id| !id.is_empty());
    let outputs: Vec<String> = ids(run.outputs).chain(log).filter(there).collect();
    let (mut data, mut runs) = (HashSet::new(), HashSet::from([run.run_id]));
    data.extend(inputs.iter().chain(&outputs).cloned());
    let both = walk.upstream == walk.downstream;
    for (starts, upstream) in [(inputs, true), (outputs, false)] {
        let wanted = both || (if upstream { walk.upstream } else { walk.downstream });
        for start in starts.iter().filter(|_| wanted) {
            let walk = Walk { upstream, downstream: !upstream, ..walk };
            let (more_data, more_runs) = naive_walk(store, start.parse().unwrap(), walk, at);
            data.extend(more_data);
            runs.extend(more_runs);
        }
    }
    Some((data, runs))
}

/// Several things to show of a lineage.
fn shows(plans: &[PlanId]) -> [Show; 4] {
    let tags = vec![Tag::parse(WORDS[0]).unwrap()];
    [
        Show { tags: tags.clone(), ..Show::default() },
        Show { plans: Some(plans.to_vec()), is_dated: true, ..Show::default() },
        Show { statuses: Some(vec![Status::Done, Status::Waiting]), ..Show::default() },
        Show { tags, statuses: Some(Vec::new()), ..Show::default() },
    ]
}

/// What fits of the whole lineage; the start does.
fn fitting_part(mut graph: api::LineageGraph, show: &Show) -> api::LineageGraph {
    let wanted: Vec<String> = show.tags.iter().map(ToString::to_string).collect();
    let has = |data: &api::LineageData, tag: &String| data.tags.iter().any(|had| had.to_string() == *tag);
    let start = graph.start.clone();
    graph.data.retain(|data| data.knit_id == start || wanted.iter().all(|tag| has(data, tag)));
    let is_one = |all: Option<Vec<String>>, text: &String| all.is_none_or(|all| all.contains(text));
    let texts = |ids: &Vec<PlanId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let words = |all: &Vec<Status>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    graph.runs.retain(|run| {
        run.run_id == start
            || (is_one(show.plans.as_ref().map(texts), &run.plan_id)
                && is_one(show.statuses.as_ref().map(words), &run.status))
    });
    if show.plans.is_some() || show.statuses.is_some() {
        let edges = graph.runs.iter().flat_map(|run| run.inputs.iter().chain(&run.outputs));
        let logs = graph.runs.iter().filter_map(|run| run.log.clone());
        let touched: HashSet<String> = edges.map(|edge| edge.knit_id.clone()).chain(logs).collect();
        graph.data.retain(|data| data.knit_id == start || touched.contains(&data.knit_id));
    }
    let (data, runs) = met(&graph);
    graph.cut.retain(|id| data.contains(id));
    let plans: HashSet<String> = graph.runs.iter().map(|run| run.plan_id.clone()).collect();
    assert_eq!(runs.len(), graph.runs.len());
    graph.plans.retain(|plan| plans.contains(&plan.plan_id));
    let order = |plan: &api::PlanSummary| graph.runs.iter().position(|run| run.plan_id == plan.plan_id);
    graph.plans.sort_by_key(order);
    graph
}

/// The same, asked for in small parts and put together.
fn in_parts(store: &Store, start: Start, show: &Show, at: At) -> api::LineageGraph {
    let mut whole: Option<api::LineageGraph> = None;
    let mut behind = 0;
    loop {
        let show = Show { nodes_max: Some(3), behind, ..show.clone() };
        let part = store.shown_graph(start, &Walk::default(), &show, at).unwrap();
        assert!(part.data.len() + part.runs.len() <= 3);
        let next = part.next.clone();
        let whole = match &mut whole {
            None => whole.insert(part),
            Some(whole) => {
                whole.data.extend(part.data);
                whole.runs.extend(part.runs);
                whole.cut.extend(part.cut);
                whole
                    .plans
                    .extend(part.plans.into_iter().filter(|plan| !whole.plans.contains(plan)).collect::<Vec<_>>());
                whole
            }
        };
        match next {
            Some(token) => behind = token.parse::<Continuation>().unwrap().behind,
            None => {
                whole.next = None;
                // Parts name what they cut with the Data there; the order over all is that of the Data.
                return whole.clone();
            }
        }
    }
}

fn lineage_written(store: &Store, mut lineage: LineageJson) -> String {
    let (mut whole, mut more) = (Vec::new(), true);
    while more {
        let mut piece = Vec::new();
        more = lineage.write(store, &mut piece, 100);
        whole.append(&mut piece);
    }
    String::from_utf8(whole).unwrap()
}

/// What `write` writes, put together from its pieces.
pub(super) fn dot_written(store: &Store, mut write: impl FnMut(&Store, &mut Vec<u8>) -> bool) -> String {
    let (mut whole, mut more) = (Vec::new(), true);
    while more {
        let mut piece = Vec::new();
        more = write(store, &mut piece);
        whole.append(&mut piece);
    }
    String::from_utf8(whole).unwrap()
}

/// The graph drawn at once.
pub(super) fn dot_of(graph: &api::LineageGraph) -> String {
    let mut text = Vec::new();
    dot::draw(&Index::new(&Graph::from(graph)), |instant| *instant, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn json(built: &impl serde::Serialize) -> String {
    serde_json::to_string(built).unwrap()
}

/// The JSON of what was found, put together from small pieces.
fn written(store: &Store, mut list: ListJson) -> String {
    let (mut whole, mut more) = (Vec::new(), true);
    while more {
        let mut piece = Vec::new();
        more = list.write(store, &mut piece, 100);
        whole.append(&mut piece);
    }
    String::from_utf8(whole).unwrap()
}

fn nominated(nomination: &[api::Nomination]) -> BTreeSet<(String, String)> {
    nomination.iter().map(|input| (input.plan.plan_id.clone(), input.path.clone())).collect()
}

/// Every input that a Data fits, by trying them all.
fn fitting_inputs(world: &World, id: KnitId) -> BTreeSet<(String, String)> {
    let images = world.plans.iter().filter_map(|(plan, state)| Some((plan, state.state.definition()?)));
    let inputs = images.flat_map(|(plan, definition)| definition.inputs.iter().map(move |input| (*plan, input)));
    inputs
        .filter(|(plan, input)| world.fitting(*plan, &input.path).contains(&id))
        .map(|(plan, input)| (plan.to_string(), input.path.clone()))
        .collect()
}

/// For each output and the log of a Plan, the inputs that are said to be fed; and for each input the sources.
type Feeding = Vec<BTreeSet<(String, String)>>;

fn fed(plan: &api::PlanDetail) -> (Feeding, Feeding) {
    let inputs_of = |downstreams: &[api::PlanDownstream]| {
        downstreams.iter().map(|down| (down.plan.plan_id.clone(), down.mountpoint.path.clone())).collect()
    };
    let logs = plan.log.iter().map(|log| inputs_of(&log.downstreams));
    let below = plan.outputs.iter().map(|output| inputs_of(&output.downstreams)).chain(logs).collect();
    let source = |up: &api::PlanUpstream| {
        let path = up.mountpoint.as_ref().map_or("(log)".to_owned(), |mountpoint| mountpoint.path.clone());
        (up.plan.plan_id.clone(), path)
    };
    let above = plan.inputs.iter().map(|input| input.upstreams.iter().map(source).collect()).collect();
    (below, above)
}

fn fed_by_definition(world: &World, id: PlanId) -> (Feeding, Feeding) {
    let images = || world.plans.iter().filter_map(|(plan, state)| Some((*plan, state.state.definition()?)));
    let points = |plan: PlanId| world.plans[&plan].state.output_points();
    let none = knit_domain::tag::TagSet::default();
    let below = points(id).into_iter().map(|point| {
        let inputs = images().flat_map(|(plan, definition)| definition.inputs.iter().map(move |input| (plan, input)));
        let fed = inputs.filter(|(_, input)| Requirement::of(&input.tags).fed_by(point.tags.unwrap_or(&none)));
        fed.map(|(plan, input)| (plan.to_string(), input.path.clone())).collect()
    });
    let own = world.plans[&id].state.definition().map(|definition| definition.inputs.clone()).unwrap_or_default();
    let above = own.iter().map(|input| {
        let sources = world.plans.keys().flat_map(|plan| points(*plan).into_iter().map(move |point| (*plan, point)));
        let feeding = sources.filter(|(_, point)| Requirement::of(&input.tags).fed_by(point.tags.unwrap_or(&none)));
        feeding
            .map(|(plan, point)| (plan.to_string(), if point.log { "(log)".to_owned() } else { point.path.to_owned() }))
            .collect()
    });
    (below.collect(), above.collect())
}
