//! Why a Plan has Runs, or can never have any.

use knit_domain::id::PlanId;
use knit_domain::tag::Tag;
use knit_projections::matcher::{Matcher, Nearest, PlanMatches};
use knit_projections::store::{At, Store};

use crate::world::{World, tags};

/// What the matcher tells of a Plan, which the store tells of any time.
fn told(world: &World, plan: PlanId) -> PlanMatches {
    let told = world.fold::<Matcher>().explain(plan).unwrap();
    assert_eq!(world.fold::<Store>().plan_matches(plan, At::Now).as_ref(), Some(&told));
    told
}

#[test]
fn nom_17_tags_that_no_data_has_together_find_nothing_and_the_nearest_is_told() {
    let mut world = World::new();
    world.upload(&["a:1", "b:1"]);
    let nearest = world.upload(&["c:1", "d:1", "b:1"]);
    let plan = world.register("a and c and d", &[("/in", &["a:1", "c:1", "d:1"])]);
    let told = told(&world, plan);
    assert_eq!(told.inputs[0].candidates, 0);
    let expected = Nearest { knit_id: Some(nearest), missing: tags(["a:1"]), nowhere: Vec::new() };
    assert_eq!(told.inputs[0].nearest, Some(expected));
}

#[test]
fn a_plan_that_can_never_match_says_which_tags_are_nowhere() {
    let mut world = World::new();
    let near = world.upload(&["project:x", "kind:image"]);
    let asks: [&str; 3] = ["project:x", "kind:imgae", "size:small"];
    let nowhere = "knit#id:00000000-0000-0000-0000-000000000000";
    let plan = world.register("typo", &[("/in/a", &asks), ("/in/b", &[nowhere, "project:x"])]);
    let told = told(&world, plan);
    assert_eq!((told.runs, told.pending, told.held), (0, 0, None));
    let missing: Vec<Tag> = tags(["kind:imgae", "size:small"]);
    let expected = Nearest { knit_id: Some(near), missing: missing.clone(), nowhere: missing };
    assert_eq!(told.inputs[0].nearest, Some(expected));
    let expected = Nearest { knit_id: None, missing: tags([nowhere, "project:x"]), nowhere: tags([nowhere]) };
    assert_eq!(told.inputs[1].nearest, Some(expected));
}

#[test]
fn a_pinned_data_that_lacks_a_tag_is_the_nearest() {
    let mut world = World::new();
    let pinned = world.upload(&["a:1"]);
    world.upload(&["a:1", "b:1"]);
    let plan = world.register("p", &[("/in", &[&format!("knit#id:{pinned}"), "a:1", "b:1"])]);
    let expected = Nearest { knit_id: Some(pinned), missing: tags(["b:1"]), nowhere: Vec::new() };
    assert_eq!(told(&world, plan).inputs[0].nearest, Some(expected));
}

#[test]
fn unknown_and_built_in_plans_are_not_explained() {
    let world = World::new();
    let matcher: Matcher = world.fold();
    assert!(world.plans.keys().all(|plan| matcher.explain(*plan).is_none()));
}
