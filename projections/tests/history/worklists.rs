//! The worklists: what is due for each reactor.

use knit_domain::event::Event;
use knit_domain::event::data::DataEvent;
use knit_domain::event::run::RunEvent;
use knit_domain::id::{AgentMode, KnitId, RunId, VolumeRef, WorkerName};
use knit_domain::run::creation::IMPORT_ALLOWED_MS;
use knit_domain::run::ending::UploadOutcome;
use knit_projections::projection::{Projection, Unapplicable};
use knit_projections::snapshot::DamagedSnapshot;
use knit_projections::worklists::{Kind, Mount, Stage, Worklists};
use knit_schemas::proto::worklists::Record;
use knit_schemas::proto::worklists::record::Content;

use crate::world::World;

/// A world with one waiting Run of a Plan with two inputs, one output and a log.
fn with_a_waiting_run() -> (World, RunId, [KnitId; 2]) {
    let mut world = World::new();
    let (a, b) = (world.upload(&["a:1"]), world.upload(&["b:1"]));
    world.register("p", &[("/in/a", &["a:1"]), ("/in/b", &["b:1"])]);
    let [run] = world.project_all()[..] else { panic!("one Run") };
    (world, run, [a, b])
}

/// The stages at which there is any Run, and how many.
fn stages(world: &World) -> Vec<(Stage, usize)> {
    let worklists: Worklists = world.fold();
    let counted = Stage::ALL.into_iter().map(|stage| (stage, worklists.count(stage)));
    counted.filter(|(_, count)| *count > 0).collect()
}

fn mount(path: &str, knit_id: KnitId) -> Mount {
    Mount { path: path.to_owned(), knit_id, volume_ref: VolumeRef::of(knit_id) }
}

#[test]
fn a_run_goes_from_list_to_list_and_costs_nothing_at_its_end() {
    let (mut world, run, _) = with_a_waiting_run();
    for stage in [Stage::Waiting, Stage::Ready, Stage::Requested, Stage::Spawned, Stage::Running, Stage::Completing] {
        assert_eq!(stages(&world), [(stage, 1)]);
        let work = world.fold::<Worklists>().run(run).unwrap();
        let last = world.log.last().unwrap();
        assert_eq!(work.stage, stage);
        assert!(last.position - work.entered < 3, "the Run and its outputs come in one append");
        world.step(run);
    }
    assert_eq!(stages(&world), []);
    assert_eq!(world.fold::<Worklists>().run(run), None);
}

#[test]
fn a_worklist_tells_everything_a_worker_is_made_from() {
    let (mut world, run, [a, b]) = with_a_waiting_run();
    (0..3).for_each(|_| world.step(run));
    let work = world.fold::<Worklists>().run(run).unwrap();
    let record = world.run(run);
    assert_eq!(work.inputs, [mount("/in/a", a), mount("/in/b", b)]);
    assert_eq!(work.outputs, [mount("/out", record.outputs[0].knit_id)]);
    assert_eq!(work.log, Some(mount("/log", record.outputs[1].knit_id)));
    assert_eq!((work.attempt, work.kind, work.plan_id), (1, Kind::Image, record.plan));
    assert_eq!((work.worker_name, work.worker_uid), (Some(WorkerName::of(run, 1)), Some(format!("{run}/1"))));
}

#[test]
fn x13_a_retried_run_is_due_again_with_its_inputs_and_the_name_of_its_next_worker() {
    let (mut world, run, [a, b]) = with_a_waiting_run();
    world.abort(run);
    assert_eq!(stages(&world), [(Stage::Aborting, 1)]);
    world.finish(run);
    let thrown_away = world.run(run).outputs.clone();
    let restored = Worklists::restore(&world.fold::<Worklists>().snapshot()).unwrap();
    let before = world.log.len();
    world.retry(run);
    let mut worklists = restored;
    world.log[before..].iter().for_each(|event| worklists.apply(event).unwrap());
    let work = worklists.run(run).unwrap();
    assert_eq!((work.stage, work.attempt), (Stage::Waiting, 2));
    assert_eq!((work.worker_name, work.worker_uid), (Some(WorkerName::of(run, 2)), None));
    assert_eq!(work.inputs, [mount("/in/a", a), mount("/in/b", b)]);
    assert_eq!(work.outputs, [mount("/out", world.run(run).outputs[0].knit_id)]);
    let garbage: Vec<VolumeRef> = worklists.garbage(0).map(|garbage| garbage.volume_ref).collect();
    assert_eq!(garbage, thrown_away.into_iter().map(|output| output.volume_ref).collect::<Vec<_>>());
}

#[test]
fn runs_of_an_inactive_plan_are_held_and_keep_their_instant() {
    let (mut world, run, _) = with_a_waiting_run();
    let plan = world.run(run).plan;
    let waiting = world.fold::<Worklists>().run(run).unwrap();
    world.set_active(plan, false);
    assert_eq!(stages(&world), [(Stage::Held, 1)]);
    world.set_active(plan, true);
    assert_eq!(stages(&world), [(Stage::Waiting, 1)]);
    let released = world.fold::<Worklists>().run(run).unwrap();
    assert_eq!((released.since, released.entered), (waiting.since, world.log.len() as u64));
}

#[test]
fn a_started_run_goes_on_when_its_plan_is_deactivated() {
    let (mut world, run, _) = with_a_waiting_run();
    world.step(run);
    world.set_active(world.run(run).plan, false);
    assert_eq!(stages(&world), [(Stage::Ready, 1)]);
}

#[test]
fn a_waiting_run_that_is_deleted_is_in_no_list_and_its_volumes_are_garbage() {
    let (mut world, run, _) = with_a_waiting_run();
    world.delete(run);
    assert_eq!(stages(&world), []);
    assert_eq!(world.fold::<Worklists>().garbage(0).count(), 2);
}

#[test]
fn a_destroyed_volume_is_no_garbage_any_more() {
    let (mut world, run, _) = with_a_waiting_run();
    world.delete(run);
    let first = world.fold::<Worklists>().garbage(0).next().unwrap();
    world.reclaim(first.knit_id);
    let left: Vec<KnitId> = world.fold::<Worklists>().garbage(0).map(|garbage| garbage.knit_id).collect();
    assert_eq!(left.len(), 1);
    assert!(!left.contains(&first.knit_id));
}

#[test]
fn an_upload_is_listed_with_its_agent_until_it_ends() {
    let mut world = World::new();
    let (run, data) = world.start_upload();
    let worklists: Worklists = world.fold();
    let work = worklists.run(run).unwrap();
    assert_eq!((work.stage, work.kind), (Stage::Uploading, Kind::Upload { writer_open: true }));
    assert_eq!((work.worker_name, work.inputs, work.outputs), (None, Vec::new(), vec![mount("/upload", data)]));
    let agent = worklists.agents(0).next().unwrap();
    assert_eq!((agent.knit_id, agent.mode, &*agent.server), (data, AgentMode::Write, "server-1"));
    world.conclude_upload(run, UploadOutcome::Failed { reason: "no gzip".to_owned() });
    let worklists: Worklists = world.fold();
    assert_eq!((worklists.run(run), worklists.agents(0).count()), (None, 0));
}

#[test]
fn an_upload_whose_agent_is_closed_is_looked_at_again() {
    let mut world = World::new();
    let (run, _) = world.start_upload();
    let mut worklists: Worklists = world.fold();
    let seen = worklists.position();
    assert_eq!(worklists.runs(Stage::Uploading, seen).count(), 0);
    let name = world.agents.keys().next().unwrap().clone();
    world.close_agent(&name);
    world.catch_up(&mut worklists);
    let [work] = &worklists.runs(Stage::Uploading, seen).collect::<Vec<_>>()[..] else { panic!("one upload") };
    assert_eq!((work.run_id, work.kind), (run, Kind::Upload { writer_open: false }));
}

#[test]
fn an_upload_that_ends_is_looked_at_again_as_well_when_its_agent_is_closed() {
    let mut world = World::new();
    let (run, _) = world.start_upload();
    world.abort(run);
    let mut worklists: Worklists = world.fold();
    let seen = worklists.position();
    let name = world.agents.keys().next().unwrap().clone();
    world.close_agent(&name);
    world.catch_up(&mut worklists);
    let [work] = &worklists.runs(Stage::Aborting, seen).collect::<Vec<_>>()[..] else { panic!("one upload") };
    assert_eq!((work.run_id, work.kind), (run, Kind::Upload { writer_open: false }));
}

#[test]
fn an_import_is_listed_with_its_deadline() {
    let mut world = World::new();
    let run = world.start_import();
    let began = world.log.last().unwrap().recorded_at;
    let work = world.fold::<Worklists>().run(run).unwrap();
    let deadline = began.plus_ms(i64::try_from(IMPORT_ALLOWED_MS).unwrap());
    assert_eq!((work.stage, work.kind), (Stage::Importing, Kind::Import { deadline }));
    world.step(run);
    assert_eq!(stages(&world), [(Stage::Completing, 1)]);
}

#[test]
fn volumes_with_names_of_their_own_are_remembered_while_their_data_live() {
    let (mut world, run, [a, _]) = with_a_waiting_run();
    let own = VolumeRef("volume-of-somebody".to_owned());
    for recorded in &mut world.log {
        if let Event::Data(DataEvent::DataReserved { knit_id, volume_ref, .. }) = &mut recorded.event
            && *knit_id == a
        {
            *volume_ref = own.clone();
        }
    }
    let worklists = Worklists::restore(&world.fold::<Worklists>().snapshot()).unwrap();
    assert_eq!(worklists.volume(a), own);
    assert_eq!(worklists.run(run).unwrap().inputs[0].volume_ref, own);
}

#[test]
fn who_asks_for_what_is_new_gets_only_that_in_order() {
    let mut world = World::new();
    world.register("p", &[("/in", &["a:1"])]);
    (0..3).for_each(|_| {
        world.upload(&["a:1"]);
    });
    world.project_all();
    let mut worklists: Worklists = world.fold();
    let seen = worklists.position();
    assert_eq!(worklists.run_ids(Stage::Waiting, 0).count(), 3);
    assert_eq!(worklists.run_ids(Stage::Waiting, seen).count(), 0);
    world.upload(&["a:1"]);
    let new = world.project_all();
    world.catch_up(&mut worklists);
    assert_eq!(worklists.run_ids(Stage::Waiting, seen).collect::<Vec<_>>(), new);
    let all: Vec<_> = worklists.runs(Stage::Waiting, 0).map(|work| work.entered).collect();
    assert!(all.is_sorted() && all.len() == 4);
}

#[test]
fn an_event_against_the_history_is_refused_and_changes_nothing() {
    let (mut world, run, _) = with_a_waiting_run();
    world.finish(run);
    let mut worklists: Worklists = world.fold();
    let before = worklists.digest();
    for event in &world.log {
        let mut again = event.clone();
        again.position = worklists.position() + 1;
        if worklists.apply(&again).is_err() {
            assert_eq!(worklists.digest(), before, "{}", again.event.type_name());
        } else {
            worklists = world.fold();
        }
    }
}

#[test]
fn an_event_of_another_attempt_stops_the_projection_with_a_reason() {
    let (mut world, run, _) = with_a_waiting_run();
    world.step(run);
    let mut stale = world.log.last().unwrap().clone();
    assert!(matches!(stale.event, Event::Run(RunEvent::RunVolumesPrepared { .. })));
    stale.event = RunEvent::RunStarted { attempt: 2 }.into();
    stale.position += 1;
    let refused = world.fold::<Worklists>().apply(&stale);
    let Err(Unapplicable::Contradiction { reason, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(reason, "it is of attempt 2, and the Run is at attempt 1");
}

#[test]
fn nothing_is_due_since_a_position_that_the_snapshot_has_not_reached() {
    let (mut world, ..) = with_a_waiting_run();
    world.start_upload();
    let garbage = world.upload(&[]);
    let run = world.run_that_made(garbage);
    world.delete(run);
    let live: Worklists = world.fold();
    let mut records = Vec::new();
    live.records(&mut |record| records.push(Ok(record)));
    assert!(Worklists::from_records(live.position(), &mut records.clone().into_iter()).is_ok());
    // Two Runs, an agent and a volume are on the lists.
    for entered in [0, live.position() + 1] {
        let mut tried = 0;
        for at in 0..records.len() {
            let mut changed = records.clone();
            let Some(place) = entered_of(&mut changed[at]) else { continue };
            *place = entered;
            tried += 1;
            assert!(Worklists::from_records(live.position(), &mut changed.into_iter()).is_err(), "{entered}");
        }
        assert_eq!(tried, 4);
    }
}

/// Since when a record of a snapshot is on a list, if it is.
fn entered_of(record: &mut Result<Record, DamagedSnapshot>) -> Option<&mut u64> {
    match record.as_mut().unwrap().content.as_mut().unwrap() {
        Content::Agent(agent) => Some(&mut agent.entered),
        Content::Garbage(garbage) => Some(&mut garbage.entered),
        Content::Run(run) => run.progress.as_mut().map(|progress| &mut progress.entered),
        Content::Plan(_) | Content::Volume(_) => None,
    }
}
