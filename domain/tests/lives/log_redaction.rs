//! The text of a Run's log is forgotten (D15).

use knit_domain::event::data::DataEvent;
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{KnitId, RunId};
use knit_domain::plan::PlanDraft;
use knit_domain::redaction::RedactionRefused;
use knit_domain::run::log_redaction::{LogRedactionRefused, redact_log};
use knit_domain::run::{RunRefused, Status};

use crate::world::{World, draft};

const REASON: &str = "it printed a password";

/// A Run at `status`, and the Data that keeps its log.
fn run_at(status: Status) -> (World, RunId, KnitId) {
    let mut world = World::new();
    let plan = world.plan("type:a", "type:b");
    let data = world.upload(&["type:a"]);
    let run = world.run_of(plan, data);
    world.bring(run, status);
    let log = world.record(run).log().unwrap().knit_id;
    (world, run, log)
}

fn redact(world: &mut World, run: RunId, log: KnitId, reason: &str) -> Result<(), LogRedactionRefused> {
    let decision = redact_log(&world.log.run(run), Some(&world.output_use(log)), reason)?;
    world.commit(&decision).unwrap();
    Ok(())
}

#[test]
fn d15_the_data_of_the_log_goes_and_the_run_stays() {
    for end in [Status::Done, Status::Failed] {
        let (mut world, run, log) = run_at(end);
        let before = world.record(run);
        redact(&mut world, run, log, REASON).unwrap();
        assert!(world.log.data(log).state.living().is_err());
        assert_eq!((world.status(run), world.record(run)), (end, before));
        let last = world.log.entries.last().unwrap();
        assert_eq!(last.stream, StreamId::data(log));
        assert!(matches!(&last.event, Event::Data(DataEvent::LogRedacted { reason, .. }) if reason == REASON));
        assert_eq!(redact(&mut world, run, log, REASON), Err(LogRedactionRefused::Gone));
    }
}

#[test]
fn d15_a_run_whose_log_is_gone_is_retried_and_deleted_as_ever() {
    let (mut world, run, log) = run_at(Status::Failed);
    redact(&mut world, run, log, REASON).unwrap();
    world.retry(run).unwrap();
    let again = world.record(run).log().unwrap().knit_id;
    assert!(again != log && world.log.data(again).state.living().is_ok());
    world.bring(run, Status::Failed);
    redact(&mut world, run, again, REASON).unwrap();
    world.delete(run).unwrap();
    assert_eq!(world.status(run), Status::Invalidated);
    assert_eq!(redact(&mut world, run, again, REASON), Err(LogRedactionRefused::Gone));
}

#[test]
fn d15_a_log_that_grows_or_is_used_is_not_redacted() {
    let (mut world, run, log) = run_at(Status::Running);
    assert_eq!(redact(&mut world, run, log, REASON), Err(LogRedactionRefused::NotEnded));
    let (mut world, run, log) = run_at(Status::Done);
    let no_reason = Err(LogRedactionRefused::Reason(RedactionRefused::NoReason));
    assert_eq!(redact(&mut world, run, log, " "), no_reason);
    let reader = draft(&[("/in", &["type:log"])], &[("/out", &["type:c"])]);
    let reader = world.register(PlanDraft { log: None, ..reader }).unwrap();
    let second = world.run_of(reader, log);
    let used = RunRefused::HasDownstreams { runs: vec![second] };
    assert_eq!(redact(&mut world, run, log, REASON), Err(LogRedactionRefused::Run(used)));
    world.delete(second).unwrap();
    redact(&mut world, run, log, REASON).unwrap();
    assert_eq!(world.log.run(second).state.record, None, "its tombstone remembered the log");
}
