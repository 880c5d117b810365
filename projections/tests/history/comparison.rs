//! Where two folds differ that should not.

use knit_projections::comparison::first_difference;
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;

use crate::world::World;

/// Two Data, of which a fold that passes over an event knows only one.
fn history() -> World {
    let mut world = World::new();
    let plan = world.register("train", &[("/in", &["type:raw"])]);
    let data = world.upload(&["type:raw"]);
    let _ = (plan, data);
    world.upload(&["type:other"]);
    world
}

/// A fold that passes over the last event: wrong, and nothing says so.
fn wrong<P: Projection>(world: &World) -> P {
    let (last, before) = world.log.split_last().expect("there is a history");
    let mut projection = P::default();
    before.iter().for_each(|event| projection.apply(event).expect("the history is possible"));
    projection.skip(last.position).expect("it is the next");
    projection
}

#[test]
fn folds_of_the_same_events_do_not_differ() {
    let world = history();
    assert_eq!(first_difference(&world.fold::<Store>(), &world.fold()), None);
    assert_eq!(first_difference(&world.fold::<Matcher>(), &world.fold()), None);
    assert_eq!(first_difference(&world.fold::<Worklists>(), &world.fold()), None);
}

#[test]
fn the_first_record_that_differs_is_told_as_both_have_it() {
    let world = history();
    let (wrong, right): (Store, Store) = (wrong(&world), world.fold());
    assert_ne!(wrong.digest(), right.digest());
    let difference = first_difference(&wrong, &right).expect("one of them does not know what happened last");
    assert!(difference.record > 0);
    assert_ne!(difference.left, difference.right);
    let both = [&difference.left, &difference.right].map(|told| told.clone().expect("both have such a record"));
    assert!(both.iter().all(|told| told.chars().count() < 500 && told.contains(": ")), "{both:#?}");
    let other = first_difference(&right, &wrong).expect("the same");
    assert_eq!((other.left, other.right), (difference.right, difference.left));
}

#[test]
fn a_projection_that_holds_more_than_another_differs_where_the_other_ends() {
    let (nothing, world) = (World::new(), history());
    let (empty, full): (Matcher, Matcher) = (nothing.fold(), world.fold());
    let difference = first_difference(&empty, &full).expect("one is larger");
    assert!(difference.right.is_some());
}
