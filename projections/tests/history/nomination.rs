//! What fits what: the rows NOM of domain.md.
//!
//! The rows speak of stored nominations with a flag. Here a nomination is a pair that the matcher
//! knows, "pending" is a combination that is due, and "considered" one that was handed out; each row is
//! tested by what comes of it.

use knit_domain::event::Event;
use knit_domain::event::plan::PlanEvent;
use knit_domain::id::{KnitId, PlanId};
use knit_domain::run::Status;
use knit_domain::run::ending::UploadOutcome;
use knit_projections::matcher::{Cursor, Matcher};

use crate::world::acts::Sketch;
use crate::world::matching::{ALL, assignment};
use crate::world::{World, tags};

const T1: [&str; 3] = ["t1:a", "t1:b", "t1:c"];
const T2: [&str; 3] = ["t2:a", "t2:b", "t2:c"];
const DAY1: &str = "2024-01-01T00:00:00+00:00";
const DAY2: &str = "2024-01-02T00:00:00+00:00";
/// A Plan that has this one input; it is called by what it asks for.
fn input(world: &mut World, name: &str, asks: &[&str]) {
    world.register(name, &[("/in", asks)]);
}

/// What the inputs that `data` fits are called, sorted.
fn fitted(world: &World, data: KnitId) -> Vec<String> {
    let matcher: Matcher = world.fold();
    let name = |plan: PlanId| world.plans[&plan].state.definition().unwrap().image.repository.clone();
    let mut names: Vec<String> = matcher.inputs_fitted_by(data).into_iter().map(|(plan, _)| name(plan)).collect();
    names.sort();
    names
}

/// An upload that is done exactly at `instant`.
fn uploaded_at(world: &mut World, instant: &str, texts: &[&str]) -> KnitId {
    let (run, data) = world.start_upload();
    world.wait_until(instant);
    world.conclude_upload(run, UploadOutcome::Stored);
    world.tag(data, texts, &[]);
    data
}

#[test]
fn nom_02_a_lost_tag_drops_the_inputs_that_asked_for_it_and_leaves_the_others() {
    let mut world = World::new();
    let (run, data) = world.start_upload();
    world.wait_until(DAY2);
    world.conclude_upload(run, UploadOutcome::Stored);
    world.tag(data, &[T1, T2].concat(), &[]);
    let (pin, day) = (format!("knit#id:{data}"), format!("knit#timestamp:{DAY2}"));
    input(&mut world, "T1", &T1);
    input(&mut world, "K2,T2,day2", &[&[&*pin, &*day], &T2[..]].concat());
    input(&mut world, "K2,T2", &[&[&*pin], &T2[..]].concat());
    let mut cursor = Cursor::default();
    assert_eq!(world.fold::<Matcher>().due(&mut cursor, ALL).combinations.len(), 3);
    world.tag(data, &[], &T2);
    assert_eq!(fitted(&world, data), ["T1"]);
    assert!(world.fold::<Matcher>().due(&mut cursor, ALL).combinations.is_empty(), "T1 is considered already");
}

#[test]
fn nom_03_04_05_07_a_data_fits_what_it_has_all_of() {
    let mut world = World::new();
    let k1 = uploaded_at(&mut world, DAY1, &T1);
    let k2 = uploaded_at(&mut world, DAY2, &T1);
    let (k1_pin, k2_pin) = (format!("knit#id:{k1}"), format!("knit#id:{k2}"));
    let (day1, day2) = (format!("knit#timestamp:{DAY1}"), format!("knit#timestamp:{DAY2}"));
    let t1 = |others: &[&str]| others.iter().copied().chain(T1).map(str::to_owned).collect::<Vec<String>>();
    let just = |pins: &[&str]| pins.iter().map(|pin| (*pin).to_owned()).collect::<Vec<String>>();
    for (name, asks) in [
        ("T1", t1(&[])),
        ("day1", just(&[&day1])),
        ("day2", just(&[&day2])),
        ("day1,T1", t1(&[&day1])),
        ("K1", just(&[&k1_pin])),
        ("K2", just(&[&k2_pin])),
        ("K1,T1", t1(&[&k1_pin])),
        ("K1,day1", just(&[&k1_pin, &day1])),
        ("K1,day1,T1", t1(&[&k1_pin, &day1])),
        ("K2,day1", just(&[&k2_pin, &day1])),
        ("K2,T2", just(&[&k2_pin, T2[0], T2[1], T2[2]])),
        ("K2,T2,day2", just(&[&k2_pin, T2[0], T2[1], T2[2], &day2])),
    ] {
        input(&mut world, name, &asks.iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert_eq!(fitted(&world, k1), ["K1", "K1,T1", "K1,day1", "K1,day1,T1", "T1", "day1", "day1,T1"]);
    assert_eq!(fitted(&world, k2), ["K2", "T1", "day2"]);
}

#[test]
fn nom_06_a_data_without_tags_fits_pins() {
    let mut world = World::new();
    let k1 = uploaded_at(&mut world, DAY1, &[]);
    let (pin, day) = (format!("knit#id:{k1}"), format!("knit#timestamp:{DAY1}"));
    input(&mut world, "K1", &[&pin]);
    input(&mut world, "day1", &[&day]);
    input(&mut world, "K1,day1", &[&pin, &day]);
    input(&mut world, "T1", &T1);
    assert_eq!(fitted(&world, k1), ["K1", "K1,day1", "day1"]);
}

#[test]
fn nom_08_a_data_with_half_of_the_tags_fits_not() {
    let mut world = World::new();
    input(&mut world, "T1,T2", &[T1, T2].concat());
    let data = world.upload(&T1);
    assert!(fitted(&world, data).is_empty());
}

#[test]
fn nom_09_an_input_that_asks_for_nothing_is_never_matched() {
    let mut world = World::new();
    let nothing = Sketch { image: "nothing", inputs: &[("/in", &[])], outputs: &[], log: None };
    assert_eq!(world.try_register(&nothing), None);
    // An imported history may hold one all the same.
    let plan = world.register("something", &[("/in", &["a:1"])]);
    let mut log = world.log.clone();
    for recorded in &mut log {
        if let Event::Plan(PlanEvent::PlanRegistered { definition, .. }) = &mut recorded.event {
            definition.inputs[0].tags = tags([]);
        }
    }
    world.log = log;
    let data = world.upload(&["a:1"]);
    assert!(fitted(&world, data).is_empty());
    assert_eq!(world.candidates(plan), 0);
}

#[test]
fn nom_10_15_only_data_of_done_runs_fit() {
    let mut world = World::new();
    let source = world.upload(&["source:1"]);
    let plan = world.register("maker", &[("/in", &["source:1"])]);
    let run = world.project(plan, &[assignment("/in", source)], &assignment("/in", source)).unwrap();
    let made = world.run(run).outputs[0].knit_id;
    let by_tag = world.register("by tag", &[("/in", &["made-by:maker"])]);
    let by_pin = world.register("by pin", &[("/in", &[&format!("knit#id:{made}")])]);
    let found = |world: &World| (world.candidates(by_tag), world.candidates(by_pin));
    world.set_active(plan, false);
    assert_eq!((world.status(run), found(&world)), (Status::Deactivated, (0, 0)));
    world.set_active(plan, true);
    while world.status(run) != Status::Completing {
        assert_eq!(found(&world), (0, 0), "{}", world.status(run));
        world.step(run);
    }
    assert_eq!(found(&world), (0, 0));
    world.finish(run);
    assert_eq!((world.status(run), found(&world)), (Status::Done, (1, 1)));
    world.retry(run);
    assert_eq!((world.status(run), found(&world)), (Status::Waiting, (0, 0)));
    world.abort(run);
    assert_eq!((world.status(run), found(&world)), (Status::Aborting, (0, 0)));
    world.finish(run);
    assert_eq!((world.status(run), found(&world)), (Status::Failed, (0, 0)));
    world.delete(run);
    assert_eq!((world.status(run), found(&world)), (Status::Invalidated, (0, 0)));
}

#[test]
fn nom_11_without_inputs_nothing_happens() {
    let mut world = World::new();
    let data = world.upload(&T1);
    assert!(fitted(&world, data).is_empty() && world.due().is_empty());
}

#[test]
fn nom_12_what_happens_to_one_data_leaves_the_pairs_of_others() {
    let mut world = World::new();
    input(&mut world, "T1", &T1);
    let first = world.upload(&T1);
    let before = fitted(&world, first);
    let second = world.upload(&T1);
    world.tag(second, &[], &T1);
    assert_eq!((fitted(&world, first), before), (vec!["T1".to_owned()], vec!["T1".to_owned()]));
}

#[test]
fn nom_13_18_a_new_plan_finds_every_fitting_data_for_its_own_inputs_only() {
    let mut world = World::new();
    for day in ["2024-02-01T00:00:00Z", "2024-02-02T00:00:00Z", "2024-02-03T00:00:00Z"] {
        uploaded_at(&mut world, day, &["a:1", "b:1"]);
    }
    world.upload(&["b:1"]);
    world.start_upload();
    let other = world.register("other", &[("/in", &["b:1"])]);
    let before = world.fold::<Matcher>().explain(other);
    let plan = world.register("new", &[("/in", &["a:1"])]);
    assert_eq!(world.candidates(plan), 3);
    assert_eq!(world.fold::<Matcher>().explain(other), before);
}

#[test]
fn nom_16_a_pin_to_the_day_of_a_data_finds_exactly_it() {
    let mut world = World::new();
    uploaded_at(&mut world, DAY1, &T1);
    let k = uploaded_at(&mut world, DAY2, &T1);
    input(&mut world, "K,day-new", &[&format!("knit#id:{k}"), &format!("knit#timestamp:{DAY2}")]);
    assert_eq!(fitted(&world, k), ["K,day-new"]);
    assert_eq!(world.due().len(), 1);
}

#[test]
fn nom_19_20_discarded_data_lose_all_their_pairs_and_others_none() {
    let mut world = World::new();
    let plan = world.register("taker", &[("/in", &["a:1"])]);
    let (kept, data) = (world.upload(&["a:1"]), world.upload(&["a:1"]));
    let run = world.run_that_made(data);
    world.delete(run);
    assert!(fitted(&world, data).is_empty());
    assert_eq!(fitted(&world, kept), ["taker"]);
    assert_eq!(world.candidates(plan), 1);
}

#[test]
fn nom_21_a_tag_that_is_removed_and_added_back_makes_the_pair_new() {
    let mut world = World::new();
    input(&mut world, "T1", &T1);
    let data = world.upload(&T1);
    let mut cursor = Cursor::default();
    assert_eq!(world.fold::<Matcher>().due(&mut cursor, ALL).combinations.len(), 1);
    world.tag(data, &[], &T1[..1]);
    assert!(fitted(&world, data).is_empty());
    world.tag(data, &T1[..1], &[]);
    assert_eq!(world.fold::<Matcher>().due(&mut cursor, ALL).combinations.len(), 1);
}

#[test]
fn nom_22_prj_04_runs_of_an_inactive_plan_are_made_and_held() {
    let mut world = World::new();
    let plan = world.register("inactive", &[("/in", &["a:1"])]);
    world.set_active(plan, false);
    world.upload(&["a:1"]);
    let runs = world.project_all();
    assert_eq!(runs.iter().map(|run| world.status(*run)).collect::<Vec<_>>(), [Status::Deactivated]);
}

#[test]
fn nom_23_x4_the_pair_exists_whether_the_plan_or_the_data_comes_first() {
    let mut data_first = World::new();
    data_first.upload(&["a:1"]);
    data_first.register("p", &[("/in", &["a:1"])]);
    let mut plan_first = World::new();
    plan_first.register("p", &[("/in", &["a:1"])]);
    plan_first.upload(&["a:1"]);
    assert_eq!((data_first.due().len(), plan_first.due().len()), (1, 1));
}
