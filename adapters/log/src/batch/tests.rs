//! Requests of one batch: each on top of those before it, each alone. Here the batch is certain; the
//! conformance suite can only hope that the appender gathers one.

use knit_domain::decision::Decision;
use knit_domain::event::agent::{AgentClosure, AgentEvent};
use knit_domain::event::journal::JournalEvent;
use knit_domain::event::{Metadata, StreamType};
use knit_domain::id::{AgentMode, AgentName, KnitId};
use uuid::Uuid;

use super::*;
use crate::request::Request;

/// A database with nothing in it, or with what a test puts there.
fn nothing(questions: &Questions) -> Answers {
    Answers {
        end: End { position: 10, chain: [7; 32], recorded_at: Timestamp(1_000) },
        versions: vec![0; questions.streams.len()],
        taken: vec![false; questions.places.len()],
        members: Vec::new(),
        known: Vec::new(),
    }
}

fn judged(batch: &[Prepared], answer: impl FnOnce(&Questions) -> Answers) -> (Vec<Verdict>, Changes<'_>) {
    let batch: Vec<&Prepared> = batch.iter().collect();
    let questions = Questions::of(&batch);
    let answers = answer(&questions);
    judge(&batch, &questions, answers, Timestamp(2_000))
}

fn prepared(decision: Decision) -> Prepared {
    Prepared::of(Request::new(decision, Metadata::default())).unwrap()
}

fn stream(name: &str) -> StreamId {
    StreamId { kind: StreamType::Journal, id: name.to_owned() }
}

fn remarks(name: &str, expected: Sequence, count: usize) -> Decision {
    let remark =
        JournalEvent::EventSkipped { projection: "lineage".to_owned(), position: 1, reason: "a test".to_owned() };
    Decision::write(stream(name), expected, vec![remark; count])
}

const DATA: KnitId = KnitId(Uuid::nil());
const SCOPE: Scope = Scope::DataUse(DATA);

fn opened(number: u32) -> Decision {
    let name = AgentName::of(DATA, AgentMode::Write, number);
    let event =
        AgentEvent::AgentOpened { name: name.clone(), knit_id: DATA, mode: AgentMode::Write, server: "s".to_owned() };
    Decision::write(StreamId::agent(&name), 0, [event])
}

fn closed(number: u32) -> Decision {
    let name = AgentName::of(DATA, AgentMode::Write, number);
    let (mode, cause) = (AgentMode::Write, AgentClosure::Finished);
    let event = AgentEvent::AgentClosed { name: name.clone(), knit_id: DATA, mode, cause };
    Decision::write(StreamId::agent(&name), 1, [event])
}

fn positions(verdict: &Verdict) -> &[Position] {
    &verdict.as_ref().expect("the request holds").positions
}

fn conflicts(verdict: &Verdict) -> &[Conflict] {
    match verdict {
        Err(AppendError::Conflict(conflicts)) => conflicts,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

#[test]
fn d3_a_later_request_sees_the_streams_as_the_earlier_ones_leave_them() {
    let batch = [remarks("a", 0, 2), remarks("a", 0, 1), remarks("a", 2, 1), remarks("b", 0, 1)].map(prepared);
    let (verdicts, changes) = judged(&batch, nothing);

    assert_eq!(positions(&verdicts[0]), [11, 12]);
    assert_eq!(conflicts(&verdicts[1]), [Conflict::Stream { stream: stream("a"), expected: 0, actual: 2 }]);
    assert_eq!(positions(&verdicts[2]), [13]);
    assert_eq!(positions(&verdicts[3]), [14]);
    assert_eq!(changes.events.iter().map(|placed| placed.position).collect::<Vec<_>>(), [11, 12, 13, 14]);
    assert_eq!(changes.after.position, 14);
}

#[test]
fn d5_a_later_request_sees_the_places_as_the_earlier_ones_leave_them() {
    let batch = [opened(1), opened(2), closed(1), opened(2)].map(prepared);
    let (verdicts, changes) = judged(&batch, nothing);

    assert!(verdicts[0].is_ok() && verdicts[2].is_ok() && verdicts[3].is_ok());
    assert_eq!(conflicts(&verdicts[1]), [Conflict::Taken { scope: SCOPE, holder: Holder::Writer }]);
    // Taken, given back and taken again is one place taken; the tables see only the difference.
    assert_eq!((changes.taken, changes.released), (vec![(SCOPE, Holder::Writer)], vec![]));
}

#[test]
fn d5_a_scope_that_the_batch_empties_is_empty_for_those_after() {
    let needs_empty = || prepared(remarks("x", 0, 1).given(Condition::ScopeEmpty { scope: SCOPE }));
    let batch = [needs_empty(), prepared(closed(1)), needs_empty()];
    let (verdicts, changes) = judged(&batch, |questions| {
        let agent = StreamId::agent(&AgentName::of(DATA, AgentMode::Write, 1));
        let versions = questions.streams.iter().map(|stream| u64::from(*stream == agent)).collect();
        let members = vec![(SCOPE, Holder::Writer)];
        Answers { versions, members, taken: vec![true], ..nothing(questions) }
    });

    assert_eq!(conflicts(&verdicts[0]), [Conflict::ScopeNotEmpty { scope: SCOPE, holders: vec![Holder::Writer] }]);
    assert!(verdicts[1].is_ok() && verdicts[2].is_ok());
    assert_eq!((changes.taken, changes.released), (vec![], vec![(SCOPE, Holder::Writer)]));
}

#[test]
fn d3_the_same_request_twice_in_a_batch_is_appended_once() {
    let request = Request::new(remarks("a", 0, 2), Metadata::default());
    let batch = [request.clone(), request].map(|request| Prepared::of(request).unwrap());
    let (verdicts, changes) = judged(&batch, nothing);

    assert_eq!(positions(&verdicts[0]), positions(&verdicts[1]));
    let repeated = verdicts.iter().map(|verdict| verdict.as_ref().unwrap().repeated).collect::<Vec<_>>();
    assert_eq!(repeated, [false, true]);
    assert_eq!(changes.events.len(), 2);
}

#[test]
fn d15_the_chain_runs_through_the_requests_that_hold_and_past_those_that_do_not() {
    let batch = [remarks("a", 0, 1), remarks("a", 5, 1), remarks("b", 0, 1)].map(prepared);
    let (_, changes) = judged(&batch, nothing);

    let first = chain::link(&[7; 32], 11, Timestamp(2_000), &batch[0].events[0].leaf);
    let second = chain::link(&first, 12, Timestamp(2_000), &batch[2].events[0].leaf);
    assert_eq!(changes.events.iter().map(|placed| placed.chain).collect::<Vec<_>>(), [first, second]);
    assert_eq!(changes.after, End { position: 12, chain: second, recorded_at: Timestamp(2_000) });
}

#[test]
fn a_batch_in_which_nothing_holds_changes_nothing() {
    let batch = [prepared(remarks("a", 5, 1))];
    let (verdicts, changes) = judged(&batch, nothing);
    assert!(verdicts[0].is_err());
    assert_eq!(changes.before, changes.after);
    assert!(changes.events.is_empty() && changes.taken.is_empty() && changes.released.is_empty());
}

/// The questions of a batch, and for one stream and one place what is taken for granted.
fn presumed(batch: &[Prepared]) -> (Option<Sequence>, Option<bool>) {
    let batch: Vec<&Prepared> = batch.iter().collect();
    let questions = Questions::of(&batch);
    let answers = questions.presumed(End { position: 10, chain: [7; 32], recorded_at: Timestamp(1_000) });
    let stream_at = questions.streams.iter().position(|asked| *asked == stream("a"));
    let place_at = questions.places.iter().position(|asked| *asked == (SCOPE, Holder::Writer));
    (stream_at.map(|at| answers.versions[at]), place_at.map(|at| answers.taken[at]))
}

#[test]
fn d3_who_comes_first_says_what_is_taken_for_granted() {
    let batch = [remarks("a", 4, 2), remarks("a", 6, 1), opened(1), closed(1)].map(prepared);
    assert_eq!(presumed(&batch), (Some(4), Some(false)));
    let batch = [closed(1), opened(2), remarks("a", 6, 1), remarks("a", 4, 2)].map(prepared);
    assert_eq!(presumed(&batch), (Some(6), Some(true)));
    let given = remarks("b", 0, 1).given(Condition::StreamAt { stream: stream("a"), version: 9 });
    let batch = [prepared(given), prepared(remarks("a", 0, 1))];
    assert_eq!(presumed(&batch), (Some(9), None));
}

#[test]
fn d3_everybody_holds_whose_expectations_are_taken_for_granted() {
    let batch = [remarks("a", 4, 2), remarks("a", 6, 1), closed(1), opened(2)].map(prepared);
    let end = End { position: 10, chain: [7; 32], recorded_at: Timestamp(1_000) };
    let (verdicts, changes) = judged(&batch, |questions| questions.presumed(end));

    assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
    assert_eq!(changes.after.position, 15);
    assert_eq!((changes.taken, changes.released), (vec![], vec![]), "given back and taken again");
}

#[test]
fn d5_whoever_names_the_end_of_the_log_loses_to_every_append_before() {
    let at = |position| remarks("b", 0, 1).given(Condition::LogAt { position });
    let batch = [at(9), remarks("a", 0, 2), at(10), at(12)].map(prepared);
    let (verdicts, changes) = judged(&batch, nothing);

    assert_eq!(conflicts(&verdicts[0]), [Conflict::Log { expected: 9, actual: 10 }]);
    assert_eq!(conflicts(&verdicts[2]), [Conflict::Log { expected: 10, actual: 12 }]);
    assert_eq!(positions(&verdicts[3]), [13]);
    assert_eq!(changes.after.position, 13);
}
