//! Earlier attempts of a Run stay readable.

use knit_domain::event::run::FailureCause;
use knit_domain::run::removal::KeptLog;
use knit_domain::run::{Cause, Status};
use knit_projections::store::At;

use crate::world::World;

#[test]
fn an_earlier_attempt_keeps_its_times_exit_cause_worker_and_log() {
    let mut world = World::new();
    let data = world.upload(&["a:1"]);
    let plan = world.register("x", &[("/in", &["a:1"])]);
    let run = world.run_on(plan, &[("/in", data)]);
    world.steps(run, 4);
    world.fail(run);
    world.finish(run);
    world.retry_keeping(run, Some(KeptLog::new(b"the end".to_vec(), 1_000)));
    world.steps(run, 1);
    let attempts = world.store().attempts(run, At::Now).unwrap();
    let [first, second] = &attempts[..] else { panic!("two attempts, not {attempts:?}") };
    assert_eq!((first.attempt, first.status), (1, Status::Failed));
    assert_eq!(first.exit.as_ref().map(|exit| exit.code), Some(1));
    assert_eq!(first.cause, Some(Cause::Failure(FailureCause::WorkerFailed)));
    assert_eq!(first.worker.as_ref().map(|worker| worker.uid.as_str()), Some(format!("{run}/1").as_str()));
    let (started, ended) = (first.started_at.unwrap(), first.ended_at.unwrap());
    assert!(first.created_at < started && started < ended && ended < second.created_at);
    let tail = first.log_tail.as_ref().unwrap();
    assert_eq!((tail.bytes, tail.total_bytes, tail.sha256.len()), (7, 1_000, 64));
    assert_eq!((second.attempt, second.status), (2, Status::Ready));
    assert_eq!((&second.exit, second.cause, second.started_at, second.ended_at), (&None, None, None, None));
    assert_eq!((&second.worker, &second.log_tail), (&None, &None));
}

#[test]
fn attempts_are_rendered_in_words() {
    let mut world = World::new();
    let data = world.upload(&["a:1"]);
    let plan = world.register("x", &[("/in", &["a:1"])]);
    let run = world.run_on(plan, &[("/in", data)]);
    world.abort(run);
    world.finish(run);
    world.retry_keeping(run, Some(KeptLog::new(Vec::new(), 0)));
    world.set_active(plan, false);
    let attempts: Vec<_> = world
        .store()
        .attempts(run, At::Now)
        .unwrap()
        .iter()
        .map(knit_projections::store::AttemptView::render)
        .collect();
    assert_eq!((attempts[0].status.as_str(), attempts[0].cause.as_deref()), ("failed", Some("user")));
    assert_eq!(attempts[0].exit.as_ref().unwrap().message, "aborted by user");
    assert_eq!(attempts[0].log.as_ref().unwrap().bytes, 0);
    assert_eq!((attempts[1].attempt, attempts[1].status.as_str()), (2, "deactivated"));
}

#[test]
fn an_upload_has_one_attempt_that_starts_when_it_is_made() {
    let mut world = World::new();
    let (run, _) = world.start_upload();
    let attempts = world.store().attempts(run, At::Now).unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].status, attempts[0].started_at), (Status::Running, Some(attempts[0].created_at)));
}
