//! Explanations against the plainest reckoning: each event is folded, and after each it is asked what is due.

use std::collections::BTreeSet;

use knit_domain::event::plan::{Image, Mountpoint, PlanDefinition};
use knit_domain::event::run::{Assignment, RunEvent};
use knit_domain::event::{Event, Position};
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::matching::{Candidate, Requirement};
use knit_domain::tag::Tag;
use knit_histories::chance;
use knit_histories::reckoning::drain;
use knit_histories::states::States;
use knit_projections::matcher::{Cursor, Matcher, Nearest, PlanMatches};
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, RunTriggerKind, Store};
use knit_schemas::api::AspectName;
use proptest::prelude::*;

use crate::random::{Act, acts, world_after};
use crate::world::World;
use crate::world::acts::Sketch;
use crate::world::matching::assignment;

/// Enough to meet Data that lose tags and get them back, few enough to fold the log once for every Run.
const ACTS_MAX: usize = 50;
/// More combinations than random worlds have.
const LOOKS: u64 = 1_000_000;

const CASES: u32 = 96;

/// Whether a Data is there and fits, by the domain's own rule.
fn fits(states: &States, data: KnitId, asks: &Mountpoint) -> bool {
    let Some(living) = states.data.get(&data).and_then(|data| data.state.living().ok()) else { return false };
    let timestamp = states.done_at(data);
    let candidate = Candidate { knit_id: data, tags: &living.tags, timestamp, done: timestamp.is_some() };
    Requirement::of(&asks.tags).admits(&candidate)
}

/// Whether a combination could become a Run.
fn is_due(states: &States, plan: PlanId, inputs: &[Assignment]) -> bool {
    let Some(definition) = states.plans.get(&plan).and_then(|plan| plan.state.definition()) else { return false };
    definition.inputs.iter().zip(inputs).all(|(point, input)| fits(states, input.knit_id, point))
}

/// Every combination that fits, each as the Data on the inputs in their order.
fn combinations(states: &States, plan: &PlanDefinition) -> BTreeSet<Vec<KnitId>> {
    let mut all = BTreeSet::from([Vec::new()]);
    for point in &plan.inputs {
        let fitting: Vec<KnitId> = states.data.keys().copied().filter(|data| fits(states, *data, point)).collect();
        let with = |begun: Vec<KnitId>| fitting.clone().into_iter().map(move |data| [&begun[..], &[data]].concat());
        all = all.into_iter().flat_map(with).collect();
    }
    all
}

/// The event after which the combination was due until its Run was made, and before which it was not.
fn true_trigger(world: &World, run: Position, plan: PlanId, inputs: &[Assignment]) -> Position {
    let (mut states, mut due, mut trigger) = (States::default(), false, 0);
    for recorded in world.log.iter().take_while(|recorded| recorded.position < run) {
        states.apply(&recorded.stream, &recorded.event, recorded.recorded_at);
        let is_due = is_due(&states, plan, inputs);
        if is_due && !due {
            trigger = recorded.position;
        }
        due = is_due;
    }
    assert!(due, "what is made into a Run is due");
    trigger
}

/// A definition with inputs that ask for these tags.
fn definition(inputs: &[Vec<Tag>]) -> PlanDefinition {
    let point = |(number, tags): (usize, &Vec<Tag>)| Mountpoint {
        path: format!("/in/{number}"),
        tags: tags.iter().cloned().collect(),
    };
    PlanDefinition {
        image: Image { repository: "never".to_owned(), tag: "registered".to_owned() },
        entrypoint: Vec::new(),
        args: Vec::new(),
        inputs: inputs.iter().enumerate().map(point).collect(),
        outputs: Vec::new(),
        log: None,
        on_node: Vec::new(),
    }
}

fn asked() -> impl Strategy<Value = Vec<Vec<Tag>>> {
    let words = prop::sample::subsequence(vec!["a:1", "a:2", "b:1", "c:1", "never:met"], 1..3);
    let input = words.prop_map(|words| words.into_iter().map(|word| Tag::parse(word).unwrap()).collect());
    prop::collection::vec(input, 1..4)
}

/// Acts among which Data often lose tags and get them back.
fn restless() -> impl Strategy<Value = Vec<Act>> {
    let retag = (any::<u8>(), 0..16_u8, 0..16_u8).prop_map(|(data, add, remove)| Act::Tag { data, add, remove });
    let retags = prop::collection::vec(retag, 0..30);
    (acts(ACTS_MAX), retags).prop_map(|(acts, retags)| acts.into_iter().chain(retags).collect())
}

proptest! {
    #![proptest_config(chance::cases(CASES))]

    /// Whoever makes the Run names that event as its cause.
    #[test]
    fn what_sets_a_run_off_is_known_before_the_run_is_made(acts in acts(ACTS_MAX)) {
        let world = world_after(&acts);
        let mut store = Store::default();
        for recorded in &world.log {
            if let Event::Run(RunEvent::RunProjected { plan_id, inputs, .. }) = &recorded.event {
                let expected = true_trigger(&world, recorded.position, *plan_id, inputs);
                prop_assert_eq!(store.set_off_at(*plan_id, inputs), Some(expected));
            }
            store.apply(recorded).unwrap();
        }
    }

    #[test]
    fn the_trigger_is_the_event_without_which_the_run_was_not_due(acts in acts(ACTS_MAX)) {
        let world = world_after(&acts);
        let store: Store = world.fold();
        for recorded in &world.log {
            let Event::Run(RunEvent::RunProjected { run_id, plan_id, inputs, .. }) = &recorded.event else { continue };
            let Some(story) = store.explain_run(*run_id, At::Now) else { continue };
            let expected = true_trigger(&world, recorded.position, *plan_id, inputs);
            let trigger = story.trigger.expect("no Run of this world was made without being due");
            prop_assert_eq!(trigger.position, expected);
            prop_assert!(trigger.rest_since.is_none_or(|rest| rest < expected));
            prop_assert_eq!(story.steps.first().map(|step| step.position), Some(recorded.position));
        }
    }

    /// What is told of the past is told as it was told then.
    #[test]
    fn an_explanation_as_of_a_position_is_that_of_the_prefix(acts in acts(ACTS_MAX), at in any::<prop::sample::Index>()) {
        let world = world_after(&acts);
        let whole: Store = world.fold();
        let position = at.index(world.log.len() + 1);
        let mut prefix = Store::default();
        for event in &world.log[..position] {
            prefix.apply(event).unwrap();
        }
        for run in world.runs.keys() {
            prop_assert_eq!(whole.explain_run(*run, At::Position(position as u64)), prefix.explain_run(*run, At::Now));
        }
    }

    #[test]
    fn what_a_data_lacks_is_told_as_the_matcher_and_the_domain_say(acts in acts(ACTS_MAX)) {
        let world = world_after(&acts);
        let (store, matcher): (Store, Matcher) = (world.fold(), world.fold());
        for data in world.data.keys() {
            let fitted = matcher.inputs_fitted_by(*data);
            for (plan, state) in &world.plans {
                let Some(definition) = state.state.definition() else { continue };
                let Some(verdicts) = store.verdicts(*plan, *data, At::Now) else {
                    prop_assert!(world.data[data].state.living().is_err());
                    continue;
                };
                for (verdict, point) in verdicts.iter().zip(&definition.inputs) {
                    prop_assert_eq!(&verdict.path, &point.path);
                    prop_assert_eq!(verdict.fits, fitted.contains(&(*plan, point.path.as_str())));
                    prop_assert_eq!(verdict.fits, fits(&world, *data, point));
                    prop_assert_eq!(verdict.fits, verdict.lacks.is_empty() && verdict.unusable.is_none());
                }
            }
        }
    }

    #[test]
    fn a_forecast_is_what_registering_the_plan_then_makes_due(acts in acts(ACTS_MAX), asked in asked()) {
        let mut world = world_after(&acts);
        let forecast = world.fold::<Matcher>().forecast(&definition(&asked), usize::MAX);
        prop_assert_eq!(forecast.runs, combinations(&world, &definition(&asked)).len() as u64);
        let texts: Vec<Vec<String>> = asked.iter().map(|tags| tags.iter().map(ToString::to_string).collect()).collect();
        let texts: Vec<Vec<&str>> = texts.iter().map(|tags| tags.iter().map(String::as_str).collect()).collect();
        let paths = ["/in/0", "/in/1", "/in/2"].into_iter();
        let inputs: Vec<(&str, &[&str])> = paths.zip(texts.iter().map(Vec::as_slice)).collect();
        let plan = world.try_register(&Sketch { image: "new", inputs: &inputs, outputs: &[], log: None }).unwrap();
        let due = drain(&world.fold(), &mut Cursor::default(), 1_000);
        let made: BTreeSet<RunId> = due.iter().filter(|due| due.plan_id == plan).map(|due| due.run_id).collect();
        let told: BTreeSet<RunId> =
            forecast.first.iter().map(|inputs| RunId::of_combination(plan, inputs)).collect();
        prop_assert_eq!(told.len(), forecast.first.len());
        prop_assert_eq!(told, made);
    }

    #[test]
    fn what_would_have_been_made_is_what_the_plainest_replay_makes(
        acts in restless(),
        asked in asked(),
        parts in prop::collection::btree_set(0..200_u64, 0..5),
    ) {
        let world = world_after(&acts);
        let (plan, boundaries) = (definition(&asked), parts.into_iter().collect::<Vec<Position>>());
        let (mut states, mut made) = (States::default(), BTreeSet::new());
        let mut counts = vec![0_u64; boundaries.len() + 1];
        for recorded in &world.log {
            states.apply(&recorded.stream, &recorded.event, recorded.recorded_at);
            let part = boundaries.iter().filter(|boundary| **boundary < recorded.position).count();
            let new = combinations(&states, &plan).into_iter().filter(|combination| made.insert(combination.clone()));
            counts[part] += new.count() as u64;
        }
        let told = world.fold::<Store>().past_runs(&plan, &boundaries, At::Now, LOOKS);
        prop_assert!(told.exact);
        prop_assert_eq!(&told.counts, &counts);
        let hurried = world.fold::<Store>().past_runs(&plan, &boundaries, At::Now, 0);
        prop_assert!(hurried.counts.iter().zip(&counts).all(|(told, true_count)| told <= true_count));
        prop_assert!(!hurried.exact || hurried.counts == counts);
    }

    #[test]
    fn a_difference_read_from_the_other_side_is_the_same(acts in acts(ACTS_MAX)) {
        let world = world_after(&acts);
        let store: Store = world.fold();
        let living: Vec<KnitId> =
            world.data.iter().filter(|(_, data)| data.state.living().is_ok()).map(|(id, _)| *id).collect();
        for left in living.iter().take(6) {
            prop_assert!(store.diff_data(*left, *left, At::Now).unwrap().differing.is_empty());
            for right in &living {
                let one = store.diff_data(*left, *right, At::Now).unwrap();
                let other = store.diff_data(*right, *left, At::Now).unwrap();
                let mirrored: BTreeSet<(&str, &str)> =
                    other.differing.iter().map(|pair| (pair.right.as_str(), pair.left.as_str())).collect();
                let told: BTreeSet<(&str, &str)> =
                    one.differing.iter().map(|pair| (pair.left.as_str(), pair.right.as_str())).collect();
                prop_assert_eq!(told, mirrored);
                prop_assert_eq!(one.differing.is_empty(), left == right);
                prop_assert!(one.differing.is_sorted_by_key(|pair| pair.distance));
            }
        }
    }
}

#[test]
fn a_run_says_which_tags_of_which_data_set_it_off_and_that_its_plan_held_it() {
    let mut world = World::new();
    let (data, other) = (world.upload(&["a:1"]), world.upload(&["b:1"]));
    let plan = world.register("p", &[("/in/a", &["a:1", "c:1"]), ("/in/b", &["b:1"])]);
    let registered = world.log.len() as u64;
    world.tag(data, &["c:1"], &[]);
    let tagged = world.log.len() as u64;
    let inputs = [assignment("/in/a", data), assignment("/in/b", other)];
    let run = world.project(plan, &inputs, &inputs[0]).unwrap();
    world.set_active(plan, false);
    let held = world.log.len() as u64;
    assert_eq!(world.fold::<Store>().explain_run(run, At::Now).unwrap().waits_for, Some("volumes for its outputs"));
    world.set_active(plan, true);
    let goes_on = world.log.len() as u64;
    world.step(run);
    let story = world.fold::<Store>().explain_run(run, At::Now).unwrap();
    let trigger = story.trigger.unwrap();
    assert_eq!((trigger.kind, trigger.position), (RunTriggerKind::TagsChanged, tagged));
    assert_eq!((trigger.knit_id, trigger.paths), (Some(data), vec!["/in/a".to_owned()]));
    assert_eq!((trigger.tags, trigger.rest_since), (vec![Tag::new("c", "1")], Some(registered)));
    assert_eq!(story.steps[1].held, [(held, goes_on)]);
    world.tag(data, &[], &["c:1"]);
    let lost = world.log.len() as u64;
    let until = |at: At| {
        let story = world.fold::<Store>().explain_run(run, at).unwrap();
        story.inputs[0].tags.iter().map(|tag| (tag.tag.key.clone(), tag.until)).collect::<Vec<_>>()
    };
    assert_eq!(until(At::Position(lost - 1)).into_iter().find_map(|(_, until)| until), None);
    assert_eq!(
        until(At::Now).into_iter().filter_map(|(key, until)| Some((key, until?))).collect::<Vec<_>>(),
        [("c".to_owned(), lost)]
    );
}

#[test]
fn a_run_that_failed_says_what_decided_it() {
    let mut world = World::new();
    let data = world.upload(&["a:1"]);
    let plan = world.register("p", &[("/in", &["a:1"])]);
    let input = assignment("/in", data);
    let run = world.project(plan, std::slice::from_ref(&input), &input).unwrap();
    (0..4).for_each(|_| world.step(run));
    world.fail(run);
    world.finish(run);
    let failure = world.fold::<Store>().explain_run(run, At::Now).unwrap().failure.unwrap();
    assert_eq!((failure.cause, failure.exit.unwrap().code), ("worker-failed", 1));
    world.retry(run);
    let again = world.fold::<Store>().explain_run(run, At::Now).unwrap();
    assert_eq!((again.failure, again.steps.last().map(|step| step.attempt)), (None, Some(2)));
}

#[test]
fn two_results_differ_in_the_first_ancestor_that_is_not_the_same() {
    let mut world = World::new();
    let data = world.upload(&["kind:data"]);
    let (hasty, patient) = (world.upload(&["kind:settings", "pace:hasty"]), world.upload(&["kind:settings"]));
    let plan = world.register("train", &[("/in/data", &["kind:data"]), ("/in/settings", &["kind:settings"])]);
    let train = |world: &mut World, settings| {
        let inputs = [assignment("/in/data", data), assignment("/in/settings", settings)];
        let run = world.project(plan, &inputs, &inputs[1]).unwrap();
        world.finish(run);
        run
    };
    let (left, right) = (train(&mut world, hasty), train(&mut world, patient));
    let difference = world.fold::<Store>().diff_runs(left, right, At::Now).unwrap();
    let first = &difference.differing[0];
    assert_eq!((first.distance, &first.route), (1, &vec!["/in/settings".to_owned()]));
    assert_eq!((&first.left, &first.right), (&hasty.to_string(), &patient.to_string()));
    assert_eq!((first.aspects[0].name, &first.aspects[0].left), (AspectName::Tags, &vec!["pace:hasty".to_owned()]));
    assert_eq!(difference.differing[1].aspects[0].name, AspectName::Plan.min(AspectName::Upload));
}

proptest! {
    #![proptest_config(chance::cases(CASES))]

    #[test]
    fn a_plan_is_full_exactly_while_the_matcher_counts_so_many_runs_that_have_not_ended(acts in acts(ACTS_MAX), runs_max in 1..4_u32) {
        let world = world_after(&acts);
        let store: Store = world.fold();
        for plan in world.plans.iter().filter(|(_, plan)| plan.state.definition().is_some()).map(|(id, _)| id) {
            let (mut matcher, mut spans, mut since) = (Matcher::default(), Vec::new(), None);
            for recorded in &world.log {
                matcher.apply(recorded).unwrap();
                let pending = matcher.explain(*plan).map_or(0, |told| told.pending);
                if pending >= runs_max {
                    since.get_or_insert(recorded.position);
                } else if let Some(since) = since.take() {
                    spans.push((since, recorded.position));
                }
            }
            let end = world.log.len() as u64;
            spans.extend(since.map(|since| (since, end)));
            prop_assert_eq!(store.full_spans(*plan, runs_max, At::Now), spans);
        }
    }

    #[test]
    fn what_the_inputs_of_a_plan_find_and_lack_is_what_a_look_at_all_data_says(acts in acts(ACTS_MAX)) {
        let world = world_after(&acts);
        let matcher: Matcher = world.fold();
        for (plan, state) in &world.plans {
            let Some(definition) = state.state.definition() else { continue };
            let told = matcher.explain(*plan).unwrap();
            prop_assert_eq!(told.inputs.len(), definition.inputs.len());
            for (input, point) in told.inputs.iter().zip(&definition.inputs) {
                let fitting = world.data.keys().filter(|data| fits(&world, **data, point)).count();
                prop_assert_eq!((&input.path, input.candidates), (&point.path, fitting));
                prop_assert_eq!(input.nearest.is_some(), fitting == 0);
                // A pin by id leaves nothing to be near to but the one that it names.
                let Some(nearest) = input.nearest.as_ref().filter(|_| Requirement::of(&point.tags).id_pin().is_none()) else { continue };
                let fewest = world.data.keys().filter_map(|data| lacked(&world, *data, point)).min();
                prop_assert_eq!(nearest.missing.len(), fewest.unwrap_or(point.tags.len()));
                prop_assert_eq!(nearest.knit_id.and_then(|data| lacked(&world, data, point)), fewest);
            }
        }
    }
}

/// What is told of a Plan, but not which of several Data that are equally near.
type Told = Option<(u32, u32, Vec<ToldInput>)>;
type ToldInput = (String, Vec<Tag>, usize, Option<(bool, usize, Vec<Tag>)>);

fn plainly(told: Option<PlanMatches>) -> Told {
    let told = told?;
    let near = |near: Nearest| (near.knit_id.is_some(), near.missing.len(), near.nowhere);
    let inputs =
        told.inputs.into_iter().map(|input| (input.path, input.tags, input.candidates, input.nearest.map(near)));
    Some((told.runs, told.pending, inputs.collect()))
}

proptest! {
    #![proptest_config(chance::cases(CASES))]

    #[test]
    fn what_a_plan_found_at_a_position_is_what_the_matcher_told_then(acts in restless(), asked in asked(), at in any::<prop::sample::Index>()) {
        let mut world = world_after(&acts);
        let texts: Vec<Vec<String>> = asked.iter().map(|tags| tags.iter().map(ToString::to_string).collect()).collect();
        let texts: Vec<Vec<&str>> = texts.iter().map(|tags| tags.iter().map(String::as_str).collect()).collect();
        let inputs: Vec<(&str, &[&str])> = ["/in/0", "/in/1", "/in/2"].into_iter().zip(texts.iter().map(Vec::as_slice)).collect();
        world.try_register(&Sketch { image: "new", inputs: &inputs, outputs: &[], log: None }).unwrap();
        let whole: Store = world.fold();
        // Between the events of one act a Data may be there without its Run; after the last of them it is not.
        let mut position = at.index(world.log.len() + 1);
        let is_within_act = |at: usize| at > 0 && at < world.log.len() && world.log[at - 1].recorded_at == world.log[at].recorded_at;
        while is_within_act(position) {
            position += 1;
        }
        let mut then = Matcher::default();
        for event in &world.log[..position] {
            then.apply(event).unwrap();
        }
        let now: Matcher = world.fold();
        for plan in world.plans.keys() {
            prop_assert_eq!(plainly(whole.plan_matches(*plan, At::Position(position as u64))), plainly(then.explain(*plan)));
            prop_assert_eq!(plainly(whole.plan_matches(*plan, At::Now)), plainly(now.explain(*plan)));
        }
    }
}

/// How many tags a Data that can be used lacks of those that an input asks for; none if it has none of them.
fn lacked(states: &States, data: KnitId, asks: &Mountpoint) -> Option<usize> {
    let living = states.data.get(&data)?.state.living().ok().filter(|_| states.done_at(data).is_some())?;
    let lacked = asks.tags.iter().filter(|tag| !living.tags.iter().any(|had| had == *tag)).count();
    (lacked < asks.tags.len()).then_some(lacked)
}
