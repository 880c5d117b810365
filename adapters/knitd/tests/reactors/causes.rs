//! Every event that a reactor appends names the event that made it act, and belongs to what that belongs to.

use std::collections::HashMap;

use knit_domain::event::Recorded;
use knit_domain::id::{EventId, WorkerName};
use knit_domain::run::Status;
use knit_runtime::port::WorkerState;

use crate::world::{Role, World, in_time, mountpoint, plan};

/// The whole log.
async fn history(world: &World) -> Vec<Recorded> {
    world.app.log().read(0, 1_000).await.unwrap()
}

fn last<'h>(history: &'h [Recorded], event_type: &str) -> &'h Recorded {
    history.iter().rfind(|event| event.event.type_name() == event_type).unwrap()
}

/// The events that led to `event`, the nearest first.
fn causes(history: &[Recorded], event: &Recorded) -> Vec<(&'static str, String)> {
    let by_id: HashMap<EventId, &Recorded> = history.iter().map(|event| (event.event_id, event)).collect();
    let before = |event: &&Recorded| event.metadata.causation.map(|id| by_id[&id]);
    let way = std::iter::successors(Some(event), before).skip(1);
    way.map(|event| (event.event.type_name(), event.metadata.actor.clone())).collect()
}

/// A Plan that takes what the one for `type:corpus` makes.
async fn two_plans(world: &mut World) -> (knit_domain::id::PlanId, knit_domain::id::PlanId) {
    let mut next = plan("type:unused");
    next.inputs = vec![mountpoint("/in", "type:model")];
    next.outputs = vec![mountpoint("/out", "type:report")];
    (world.apply(&plan("type:corpus")).await, world.apply(&next).await)
}

#[tokio::test]
async fn all_that_a_change_of_tags_sets_in_motion_leads_back_to_it() {
    let mut world = World::new().await;
    let (first, second) = two_plans(&mut world).await;
    world.start_all();
    world.push(&["type:corpus"]).await;
    for plan in [first, second] {
        in_time("the Plan gets its Run", || world.runs_of(plan).len() == 1).await;
        let run = world.runs_of(plan)[0];
        world.spawned(run).await;
        world.runtime.worker_becomes(&WorkerName::of(run, 1), WorkerState::Succeeded);
        world.becomes(run, Status::Done).await;
    }
    let history = history(&world).await;
    let (tagged, end) = (last(&history, "DataTagsChanged"), last(&history, "RunSucceeded"));
    let causes = causes(&history, end);
    let names: Vec<&str> = causes.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.last(), Some(&"DataTagsChanged"), "{causes:?}");
    assert_eq!(names.iter().filter(|name| **name == "RunProjected").count(), 2, "{causes:?}");
    assert_eq!(names.iter().filter(|name| **name == "RunSucceeded").count(), 1, "{causes:?}");
    assert!(names.contains(&"WorkerRequested"), "{causes:?}");
    let reactors = history.iter().filter(|event| event.position > tagged.position);
    for event in reactors {
        let metadata = &event.metadata;
        assert!(metadata.actor.starts_with("reactor:"), "{event:?}");
        assert!(metadata.causation.is_some(), "{event:?}");
        assert_eq!(metadata.correlation, tagged.metadata.correlation, "{event:?}");
    }
}

#[tokio::test]
async fn a_run_of_a_new_plan_is_there_because_of_the_plan() {
    let mut world = World::new().await;
    world.push(&["type:corpus"]).await;
    let made = world.apply(&plan("type:corpus")).await;
    world.start(Role::Projection);
    in_time("a Run is made", || world.runs_of(made).len() == 1).await;
    let history = history(&world).await;
    let way = causes(&history, last(&history, "RunProjected"));
    assert_eq!(way, [("PlanRegistered", "anonymous".to_owned())]);
}

#[tokio::test]
async fn a_run_that_somebody_stops_ends_because_of_that_and_not_of_what_made_it() {
    let mut world = World::new().await;
    let (run, _) = world.running_run().await;
    let stopped = knitd::command::Cause::request("somebody");
    world.app.abort(&stopped, run).await.unwrap();
    world.start(Role::Finishing);
    world.becomes(run, Status::Failed).await;
    let history = history(&world).await;
    let end = last(&history, "RunFailed");
    assert_eq!(causes(&history, end), [("RunFailureDecided", "somebody".to_owned())]);
    let made = last(&history, "RunProjected").metadata.correlation;
    assert!(made.is_some() && made != end.metadata.correlation);
}

#[tokio::test]
async fn after_a_crash_the_cause_is_still_known() {
    let mut world = World::new().await;
    let run = world.waiting_run("corpus").await;
    world.crash().await;
    world.restart().await;
    world.start(Role::Initialize);
    world.becomes(run, Status::Ready).await;
    let history = history(&world).await;
    let (made, ready) = (last(&history, "RunProjected"), last(&history, "RunVolumesPrepared"));
    assert_eq!(ready.metadata.causation, Some(made.event_id));
    assert_eq!(ready.metadata.correlation, made.metadata.correlation);
}

#[tokio::test]
async fn the_rest_of_an_upload_is_a_consequence_of_its_beginning() {
    let world = World::new().await;
    let upload = world.begin_upload().await;
    let beginning = history(&world).await;
    let begun = last(&beginning, "UploadStarted");
    assert_eq!(begun.metadata.causation, None);
    let cause = knitd::command::Cause::request_within("anonymous", begun.metadata.correlation.unwrap()).going_on();
    let stored = knit_domain::run::ending::UploadOutcome::Stored;
    world.app.end_upload(&cause, &upload, &stored).await.unwrap();
    let history = history(&world).await;
    let end = last(&history, "RunSucceeded");
    assert_eq!(end.metadata.causation, Some(begun.event_id));
    assert_eq!(end.metadata.correlation, begun.metadata.correlation);
}
