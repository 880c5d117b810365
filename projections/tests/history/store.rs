//! The store: what it answers, now and as of any earlier position.

mod attempts;
mod find;
mod lineage;
mod plan_graph;
mod random;
mod shapes;
mod size;
mod snapshots;

use knit_domain::event::run::Assignment;
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::plan::PlanChange;
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, Store};

use crate::world::World;

impl World {
    /// The store after everything so far.
    fn store(&self) -> Store {
        self.fold()
    }

    /// A Run of `plan` on these Data, by path.
    fn run_on(&mut self, plan: PlanId, inputs: &[(&str, KnitId)]) -> RunId {
        let assign = |(path, knit_id): &(&str, KnitId)| Assignment { path: (*path).to_owned(), knit_id: *knit_id };
        let assignments: Vec<Assignment> = inputs.iter().map(assign).collect();
        self.project(plan, &assignments, &assignments[0]).expect("the Data fit and the combination is new")
    }

    /// The same, done.
    fn done_on(&mut self, plan: PlanId, inputs: &[(&str, KnitId)]) -> RunId {
        let run = self.run_on(plan, inputs);
        self.finish(run);
        run
    }

    /// Steps of a Run, one after the other.
    fn steps(&mut self, run: RunId, count: usize) {
        (0..count).for_each(|_| self.step(run));
    }

    /// The Data that a Run makes at a path; the log is at `/log`.
    fn output(&self, run: RunId, path: &str) -> KnitId {
        let outputs = &self.run(run).outputs;
        outputs.iter().find(|output| output.path == path).expect("the Plan has such an output").knit_id
    }

    /// Changes attributes of a Plan.
    fn change(&mut self, plan: PlanId, change: PlanChange) {
        let decision = knit_domain::plan::change(plan, &self.plans[&plan], change).expect("the change is allowed");
        self.append(decision);
    }

    /// The position reached.
    fn here(&self) -> At {
        At::Position(self.log.len() as u64)
    }
}

#[test]
fn an_event_that_contradicts_the_log_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let data = world.upload(&["type:raw"]);
    let plan = world.register("train", &[("/in", &["type:raw"])]);
    world.run_on(plan, &[("/in", data)]);
    // Without the events before, nearly every event speaks of something unknown.
    for event in &world.log {
        let mut store = Store::default();
        store.skip(1).unwrap();
        let (before, mut alone) = (store.digest(), event.clone());
        alone.position = 2;
        match store.apply(&alone) {
            Ok(()) => assert_eq!(store.position(), 2),
            Err(why) => {
                assert_eq!(store.digest(), before, "{why}");
                assert!(why.to_string().contains(event.event.type_name()), "{why}");
            }
        }
    }
}

#[test]
fn the_same_event_twice_is_refused() {
    let mut world = World::new();
    let data = world.upload(&["type:raw"]);
    let plan = world.register("train", &[("/in", &["type:raw"])]);
    let run = world.done_on(plan, &[("/in", data)]);
    world.delete(run);
    let mut store = world.store();
    let before = store.digest();
    let mut again = world.log.iter().find(|event| event.event.type_name() == "RunProjected").unwrap().clone();
    assert!(store.apply(&again).is_err(), "a gap");
    again.position = store.position() + 1;
    let why = store.apply(&again).unwrap_err();
    assert!(why.to_string().contains("there was a Run"), "{why}");
    assert_eq!(store.digest(), before);
}

#[test]
fn a_skipped_event_is_passed_over() {
    let world = World::new();
    let mut store = world.store();
    let next = store.position() + 1;
    assert!(store.skip(next + 1).is_err());
    store.skip(next).unwrap();
    assert_eq!(store.position(), next);
}

#[test]
fn small_questions_have_small_answers() {
    let mut world = World::new();
    let data = world.upload(&["type:raw"]);
    let plan = world.register("train", &[("/in", &["type:raw"])]);
    let run = world.done_on(plan, &[("/in", data)]);
    let (out, log) = (world.output(run, "/out"), world.output(run, "/log"));
    let store = world.store();
    assert!(store.has_plan(plan));
    assert_eq!(store.run_status(run).map(|status| status.to_string()), Some("done".to_owned()));
    assert_eq!(store.run_attempt(run), Some(1));
    assert_eq!((store.log_of(run), store.outputs_of(run)), (Some(log), vec![out, log]));
    assert_eq!(store.producer_of(out), Some(run));
    assert_eq!(store.volume_of(out).unwrap().0, format!("data-knitid-{out}"));
    assert_eq!(store.nodes(), 3 + 2 + 3);
    assert!(store.heap_bytes() > 0);
    world.delete(run);
    let store = world.store();
    assert_eq!((store.log_of(run), store.outputs_of(run), store.volume_of(out)), (None, vec![], None));
}
