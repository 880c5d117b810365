//! Combinations become Runs, each once (domain.md 9.5 and 9.6, with everything behind the matcher running).

use knit_domain::run::Status;
use knit_domain::run::ending::UploadOutcome;
use knit_projections::store::{At, RunFilter};
use knitd::reactors;

use crate::world::{Role, World, in_time, mountpoint, plan, user};

fn image_runs(world: &World) -> usize {
    let store = world.app.views().store.read();
    let all = store.find_runs(&RunFilter::default(), At::Now);
    all.into_iter().filter(|run| store.run(*run, At::Now).is_some_and(|run| !run.inputs.is_empty())).count()
}

#[tokio::test]
async fn nom_15_a_plan_that_is_pinned_to_a_data_gets_its_run_when_the_data_is_made() {
    let mut world = World::new().await;
    let upload = world.begin_upload().await;
    let mut draft = plan("type:unused");
    draft.inputs = vec![mountpoint("/in", &format!("knit#id:{}", upload.knit_id))];
    let pinned = world.apply(&draft).await;
    let other = world.apply(&plan("type:corpus")).await;
    world.start(Role::Projection);
    world.push(&["type:corpus"]).await;
    in_time("the other Plan gets its Run", || world.runs_of(other).len() == 1).await;
    assert_eq!(world.runs_of(pinned), []);

    world.app.end_upload(&user(), &upload, &UploadOutcome::Stored).await.unwrap();
    in_time("the pinned Plan gets its Run", || world.runs_of(pinned).len() == 1).await;
}

#[tokio::test]
async fn nom_18_20_discarded_data_make_no_runs_and_a_new_plan_disturbs_no_other() {
    let mut world = World::new().await;
    let discarded = world.push(&["type:corpus"]).await;
    let kept = world.push(&["type:corpus"]).await;
    let first = world.apply(&plan("type:corpus")).await;
    let root = world.app.views().store.read().producer_of(discarded).unwrap();
    world.app.delete(&user(), root).await.unwrap();
    world.start(Role::Projection);
    in_time("the Data that is left makes its Run", || world.runs_of(first).len() == 1).await;
    let made = world.runs_of(first)[0];
    assert_eq!(world.record(made).await.inputs[0].knit_id, kept);

    let mut draft = plan("type:corpus");
    draft.args = vec!["another".to_owned()];
    let second = world.apply(&draft).await;
    in_time("so does the new Plan", || world.runs_of(second).len() == 1).await;
    assert_eq!(world.runs_of(first), [made]);
}

#[tokio::test]
async fn x3_two_reactors_at_once_make_each_run_once() {
    let mut world = World::new().await;
    for _ in 0..10 {
        world.push(&["type:corpus"]).await;
    }
    world.apply(&plan("type:corpus")).await;
    world.start(Role::Projection);
    world.start(Role::Projection);
    in_time("every Data makes its Run", || image_runs(&world) == 10).await;
    let last = world.apply(&plan("type:another")).await;
    world.push(&["type:another"]).await;
    in_time("both have seen everything", || world.runs_of(last).len() == 1).await;
    assert_eq!(image_runs(&world), 11);
    assert_eq!(world.lines.with(&["a Run is not made"]), Vec::<String>::new());
}

#[tokio::test]
async fn a_run_that_cannot_be_made_is_made_later_and_its_failure_is_reported_once() {
    let mut world = World::new().await;
    world.push(&["type:corpus"]).await;
    world.push(&["type:corpus"]).await;
    let plan = world.apply(&plan("type:corpus")).await;
    world.app.log().close().await;
    let making = tokio::spawn(reactors::projection::run(world.app.clone()));
    world.says(&["a Run is not made, to be tried again"]).await;
    let failures = || world.lines.with(&["a Run is not made"]).len();
    in_time("both to be tried three times", || failures() >= 2 * 3).await;
    making.abort();
    assert_eq!(world.lines.with(&[" WARN ", "a Run is not made"]).len(), 1, "one line, whichever and however often");
    world.crash().await;

    world.restart().await;
    world.start(Role::Projection);
    in_time("both are made", || world.runs_of(plan).len() == 2).await;
    let runs = world.runs_of(plan);
    assert_eq!(runs.iter().map(|run| world.status(*run)).collect::<Vec<_>>(), [Some(Status::Waiting); 2]);
}
