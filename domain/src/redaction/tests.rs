use std::collections::BTreeSet;

use uuid::Uuid;

use super::*;
use crate::event::Metadata;
use crate::event::data::DataEvent;
use crate::event::run::{Assignment, RunEvent};
use crate::id::{EventId, KnitId, PlanId, RunId, WorkerName};
use crate::plan::draft::samples::draft;
use crate::plan::{self, PlanDraft, validate};
use crate::time::Timestamp;

const REASON: &str = "a person asked for it";

fn data_stream() -> StreamId {
    StreamId::data(KnitId(Uuid::from_u128(1)))
}

fn plan_stream() -> StreamId {
    StreamId::plan(PlanId(Uuid::from_u128(2)))
}

/// A log of these events, each in its stream, with leaves that tell their positions.
fn log(events: impl IntoIterator<Item = (StreamId, Event)>) -> Vec<Recorded> {
    let mut log: Vec<Recorded> = Vec::new();
    for (position, (stream, event)) in (1..).zip(events) {
        let sequence = log.iter().filter(|earlier| earlier.stream == stream).count() as u64 + 1;
        log.push(Recorded {
            position,
            event_id: EventId(Uuid::from_u128(u128::from(position))),
            stream,
            sequence,
            recorded_at: Timestamp(0),
            event,
            metadata: Metadata::default(),
            leaf: [u8::try_from(position).unwrap(); 32],
            chain: [0; 32],
        });
    }
    log
}

fn tag(value: &str) -> Tag {
    Tag::new("owner", value)
}

fn tagged(added: &[&str], removed: &[&str]) -> (StreamId, Event) {
    let tags = |values: &[&str]| values.iter().map(|value| tag(value)).collect::<BTreeSet<Tag>>();
    (data_stream(), DataEvent::DataTagsChanged { added: tags(added), removed: tags(removed) }.into())
}

fn registered(args: &[&str], active: bool) -> (StreamId, Event) {
    let args = args.iter().map(|&word| word.to_owned()).collect();
    let draft = PlanDraft { args, active: Some(active), ..draft(&["owner:alice"], &["owner:alice"]) };
    let definition = validate(&draft).unwrap();
    (plan_stream(), draft.registered(definition).into())
}

fn redacted(content: &Content, history: &[Recorded]) -> Result<Decision, RedactionRefused> {
    redact(content, REASON, history, |position| Some(envelope(position)))
}

/// Hashes of envelopes that tell their positions.
fn envelope(position: Position) -> [u8; 32] {
    [100 + u8::try_from(position).unwrap(); 32]
}

/// Position, leaf and what remains of every event that a decision redacts.
fn of(decision: &Decision) -> Vec<(Position, String, Option<Event>)> {
    let redacted = decision.events().map(|event| {
        let Event::Journal(JournalEvent::EventRedacted { position, leaf, envelope_sha256, reason, remains }) = event
        else {
            panic!("{event:?} is no redaction")
        };
        assert_eq!(reason, REASON);
        assert_eq!(envelope_sha256.as_ref(), Some(&hex::encode(envelope(*position))));
        let remains = remains.as_ref().map(|of| Event::decode_payload(of.version, &of.payload).unwrap());
        (*position, leaf.clone(), remains)
    });
    redacted.collect()
}

fn argument(word: &str) -> Content {
    Content::Argument(word.to_owned())
}

#[test]
fn d15_every_event_that_says_it_is_named_with_its_leaf_and_what_remains_has_one_other_word() {
    let history = log([tagged(&["alice", "bob"], &[]), tagged(&["carol"], &["bob"]), tagged(&[], &["alice"])]);
    let decision = redacted(&Content::Tag(tag("alice")), &history).unwrap();
    let leaf = |position: u8| hex::encode([position; 32]);
    let expected =
        [(1, leaf(1), Some(tagged(&["bob", "redacted-3"], &[]).1)), (3, leaf(3), Some(tagged(&[], &["redacted-3"]).1))];
    assert_eq!(of(&decision), expected);
    assert_eq!((&decision.writes[0].stream, decision.writes[0].expected), (&StreamId::journal(), 0));
    assert_eq!(decision.conditions, [Condition::LogAt { position: 3 }]);
}

#[test]
fn d15_a_plan_loses_it_everywhere_and_its_hash_no_longer_tells_it() {
    let history = log([registered(&["--user", "alice"], true)]);
    let remains = |content| of(&redacted(&content, &history).unwrap()).remove(0).2.unwrap();
    let Event::Plan(PlanEvent::PlanRegistered { definition, hash, .. }) = remains(Content::Tag(tag("alice"))) else {
        panic!("what remains is another event")
    };
    assert!(
        [&definition.inputs[0].tags, &definition.outputs[0].tags].iter().all(|tags| tags.contains(&tag("redacted-1")))
    );
    assert_eq!(definition.args, ["--user", "alice"], "an argument is another content");
    assert_eq!(hash, plan::hash(&definition));
}

#[test]
fn d15_no_worker_starts_with_another_argument_than_was_meant() {
    let by = |event: PlanEvent| (plan_stream(), event.into());
    let active = [registered(&["alice"], true)];
    let stopped = [registered(&["alice"], true), by(PlanEvent::PlanDeactivated {})];
    let again = [registered(&["alice"], false), by(PlanEvent::PlanActivated {})];
    let plan = plan_stream().id;
    for history in [&active[..], &again] {
        let refused = redacted(&argument("alice"), &log(history.to_vec()));
        assert_eq!(refused, Err(RedactionRefused::PlanIsActive { plan: plan.clone() }));
    }
    let decision = redacted(&argument("alice"), &log(stopped.to_vec())).unwrap();
    assert_eq!(of(&decision)[0].2, Some(registered(&["redacted-2"], true).1));
}

#[test]
fn d15_what_remains_may_say_something_else_that_is_forgotten_later() {
    let mut history = log([tagged(&["alice", "bob"], &[])]);
    let first = redacted(&Content::Tag(tag("alice")), &history).unwrap();
    // As readers see it from then on.
    let remains = of(&first).remove(0).2.unwrap();
    history = log([(data_stream(), remains), (StreamId::journal(), first.events().next().unwrap().clone())]);
    let second = redacted(&Content::Tag(tag("bob")), &history).unwrap();
    assert_eq!(second.writes[0].expected, 1);
    let [of_the_event, of_the_redaction] = &of(&second)[..] else { panic!("both say it") };
    assert_eq!((of_the_event.0, &of_the_event.2), (1, &Some(tagged(&["redacted-1", "redacted-2"], &[]).1)));
    let Some(Event::Journal(JournalEvent::EventRedacted { position, remains, .. })) = &of_the_redaction.2 else {
        panic!("what remains is another event")
    };
    assert_eq!((of_the_redaction.0, *position, remains), (2, 1, &None));
}

#[test]
fn what_cannot_be_forgotten_or_tells_itself_is_refused() {
    let history = log([tagged(&["alice"], &[])]);
    let alice = Content::Tag(tag("alice"));
    let system = Content::Tag(Tag::new("knit#id", "x"));
    let refused = |content: &Content, reason: &str| redact(content, reason, &history, |_| None).unwrap_err();
    assert_eq!(refused(&Content::Tag(tag("dave")), REASON), RedactionRefused::Absent);
    assert_eq!(refused(&argument("alice"), REASON), RedactionRefused::Absent);
    assert_eq!(refused(&system, REASON), RedactionRefused::SystemTag { key: "knit#id".to_owned() });
    assert_eq!(refused(&alice, " "), RedactionRefused::NoReason);
    assert_eq!(refused(&alice, "alice asked for it"), RedactionRefused::ReasonTells);
}

#[test]
fn d15_an_event_that_says_one_thing_says_what_is_forgotten() {
    let said = |event: Event| said_by(7, &event);
    assert_eq!(said(tagged(&["alice"], &[]).1), Ok(Content::Tag(tag("alice"))));
    let says = BTreeSet::from([Content::Tag(tag("alice")), Content::Tag(tag("bob"))]);
    assert_eq!(said(tagged(&["alice"], &["bob"]).1), Err(RedactionRefused::SaysSeveral { position: 7, says }));
    let nothing = Err(RedactionRefused::SaysNothing { position: 7 });
    assert_eq!(said(PlanEvent::PlanActivated {}.into()), nothing);
    assert_eq!(
        said(DataEvent::DataTagsChanged { added: [Tag::new("knit#id", "x")].into(), removed: [].into() }.into()),
        nothing
    );
}

#[test]
fn d15_what_is_redacted_meanwhile_is_not_said_again() {
    let mut search = Search::new(Content::Tag(tag("bob")), REASON).unwrap();
    let history = log([tagged(&["alice", "bob"], &[])]);
    history.iter().for_each(|recorded| search.take(recorded));
    // Somebody else is faster.
    let first = redacted(&Content::Tag(tag("alice")), &history).unwrap();
    let behind = log([tagged(&[], &[]), (StreamId::journal(), first.events().next().unwrap().clone())]);
    search.take(&behind[1]);
    search.note_envelope(1, Some(envelope(1)));
    assert_eq!(search.without_envelope(), [2], "the redaction says it, too");
    search.note_envelope(2, Some(envelope(2)));
    assert_eq!(of(&search.decide().unwrap())[0].2, Some(tagged(&["redacted-1", "redacted-2"], &[]).1));
}

#[test]
fn d15_no_worker_that_is_asked_for_gets_another_argument() {
    let stream = StreamId::run(RunId(Uuid::from_u128(3)));
    let projected = RunEvent::RunProjected {
        run_id: RunId(Uuid::from_u128(3)),
        plan_id: PlanId(Uuid::from_u128(2)),
        inputs: Vec::new(),
        outputs: Vec::new(),
        worker_name: WorkerName::of(RunId(Uuid::from_u128(3)), 1),
        trigger: Assignment { path: "/in".to_owned(), knit_id: KnitId(Uuid::from_u128(1)) },
    };
    let life = |events: Vec<RunEvent>| {
        let events = events.into_iter().map(|event| (stream.clone(), Event::from(event)));
        let stopped = (plan_stream(), PlanEvent::PlanDeactivated {}.into());
        log(std::iter::once(registered(&["alice"], true)).chain(events).chain([stopped]))
    };
    let prepared = RunEvent::RunVolumesPrepared { attempt: 1, volumes: Vec::new() };
    let ended = RunEvent::RunFailed { attempt: 1, log_sha256: None };
    let held = redacted(&argument("alice"), &life(vec![projected.clone()]));
    assert_eq!(of(&held.unwrap()).len(), 1);
    let under_way = redacted(&argument("alice"), &life(vec![projected.clone(), prepared.clone()]));
    assert_eq!(under_way, Err(RedactionRefused::RunIsUnderWay { run: stream.id.clone() }));
    assert!(redacted(&argument("alice"), &life(vec![projected, prepared, ended])).is_ok());
}

#[test]
fn d15_where_no_envelope_was_taken_none_is_made_up() {
    let history = log([tagged(&["alice"], &[])]);
    let decision = redact(&Content::Tag(tag("alice")), REASON, &history, |_| None).unwrap();
    let Some(Event::Journal(JournalEvent::EventRedacted { position: 1, envelope_sha256, .. })) =
        decision.events().next()
    else {
        panic!("{decision:?} redacts something else")
    };
    assert_eq!(*envelope_sha256, None);
}
