//! Random histories in which Tags are redacted (D15). Afterwards the log reads as if they had been another word from
//! the beginning: it folds, reservations are what they were, and Data can be changed as ever.

use std::collections::BTreeSet;

use knit_domain::data::{self, Data, TagChange};
use knit_domain::decision::{Decision, Versioned};
use knit_domain::event::{Entity, Event, Metadata, Position, Recorded, StreamId, StreamType};
use knit_domain::id::KnitId;
use knit_domain::redaction::{Content, RedactionRefused, Search, word_at};
use knit_domain::reservation::{Holder, Scope};
use knit_domain::tag::Tag;
use knit_histories::chance;
use knit_histories::play::{Play, Step, TAGS, step};
use knit_log::{Log, Request};
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;
use knit_schemas::export::Format;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use crate::rehearsal::Place;
use crate::rehearsal::carried::{exported, import};

/// Why. It must not say any of the tags, which are single letters.
const REASON: &str = "nothing";
/// Steps of a history: enough for Runs that were made, retried and deleted.
const STEPS_MAX: usize = 80;
/// Tries to find a smaller history that fails; each takes as long as a history.
const SHRINKING_MAX: u32 = 50;
/// Events that are read at once: several pages, also in a small log.
const PAGE: usize = 50;

/// Lets so many histories happen at `place`, one after the other, each in an empty log, and carries them `elsewhere`.
///
/// # Panics
/// When one does not hold; the message has the smallest one that was found.
pub(crate) fn hold(cases: u32, place: &Place, elsewhere: &Place) {
    let config = Config { max_shrink_iters: SHRINKING_MAX, ..chance::cases(cases) };
    let runtime = Runtime::new().expect("a runtime can be made");
    let histories = (prop::collection::vec(step(), 0..STEPS_MAX), any::<[Index; 2]>());
    let outcome = TestRunner::new(config).run(&histories, |(steps, tags)| {
        place.clear();
        elsewhere.clear();
        runtime.block_on(rehearse(place, elsewhere, steps, tags))
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn rehearse(place: &Place, elsewhere: &Place, steps: Vec<Step>, tags: [Index; 2]) -> Result<(), TestCaseError> {
    let mut play = Play::new();
    steps.into_iter().for_each(|step| play.take(step));
    let logs = place.open().await;
    for decision in &play.world.log.taken {
        append(&logs[0], decision.clone()).await?;
    }
    let mut events = read(&logs[0]).await?;
    let holders = holders(&logs[0], &events).await?;
    for tag in tags {
        let tag = Tag::parse(TAGS[tag.index(TAGS.len())]).expect("it is a tag");
        events = forget(&logs, &Content::Tag(tag), events).await?;
    }
    prop_assert_eq!(self::holders(&logs[0], &events).await?, holders);
    is_the_same(elsewhere, &logs[0], &events).await?;
    go_on(&logs[0], &events).await?;
    let events = read(&logs[0]).await?;
    folds::<Store>(&events)?;
    folds::<Matcher>(&events)?;
    folds::<Worklists>(&events)?;
    for log in logs {
        log.close().await;
    }
    Ok(())
}

/// Imported elsewhere the history reads the same, and takes the same places: what emptied events mean is said behind them.
async fn is_the_same(elsewhere: &Place, log: &Log, events: &[Recorded]) -> Result<(), TestCaseError> {
    let logs = elsewhere.open().await;
    import(&logs[0], &exported(log, Format::Protobuf).await?).await?;
    prop_assert_eq!(read(&logs[0]).await?, events);
    prop_assert_eq!(holders(&logs[0], events).await?, holders(log, events).await?);
    let entities: BTreeSet<Entity> =
        events.iter().flat_map(|recorded| recorded.event.entities(&recorded.stream)).collect();
    for entity in entities {
        let there = logs[0].positions_of(entity, 0, events.len()).await.map_err(failed)?;
        prop_assert_eq!(there, log.positions_of(entity, 0, events.len()).await.map_err(failed)?, "{:?}", entity);
    }
    for log in logs {
        log.close().await;
    }
    Ok(())
}

/// Redacts something; answers what the log says then.
async fn forget(logs: &[Log], content: &Content, before: Vec<Recorded>) -> Result<Vec<Recorded>, TestCaseError> {
    let mut search = Search::new(content.clone(), REASON).map_err(failed)?;
    before.iter().for_each(|recorded| search.take(recorded));
    logs[0].note_envelopes(&mut search).await.map_err(failed)?;
    let decision = match search.decide() {
        Ok(decision) => decision,
        Err(RedactionRefused::Absent) => return Ok(before),
        Err(refused) => return Err(failed(refused)),
    };
    append(&logs[0], decision).await?;
    let (length, word) = (before.len(), word_at(before.len() as Position));
    for log in logs {
        // As its follower does when it meets the redaction.
        log.forget();
        let after = read(log).await?;
        for (old, new) in before.iter().zip(&after) {
            let event = content.taken_from(&old.event, &word).unwrap_or_else(|| old.event.clone());
            prop_assert_eq!(new, &Recorded { event, ..old.clone() });
        }
        let stored = log.read_stored(0, after.len()).await.map_err(failed)?;
        for (stored, seen) in stored.iter().zip(&after) {
            let is_emptied = before.get(index(seen)).is_some_and(|old| old.event != seen.event);
            prop_assert!(!is_emptied || (stored.is_emptied() && stored.payload == "{}"), "{:?}", stored);
        }
    }
    let events = read(&logs[0]).await?;
    let others = events[length..].iter().map(|recorded| &recorded.event);
    prop_assert!(others.clone().all(|event| matches!(event, Event::Journal(_))) && others.count() > 0);
    Ok(events)
}

fn index(recorded: &Recorded) -> usize {
    usize::try_from(recorded.position - 1).expect("a small log")
}

/// Every Data that is there gets a tag: what aggregates fold is what can be decided on.
async fn go_on(log: &Log, events: &[Recorded]) -> Result<(), TestCaseError> {
    for stream in data_of(events).map(StreamId::data) {
        let events = log.load(&stream).await.map_err(failed)?;
        let events = events
            .iter()
            .filter_map(|recorded| if let Event::Data(event) = &recorded.event { Some(event) } else { None });
        let data = Versioned::fold(events, Data::apply);
        let change = TagChange { add: [Tag::new("after", "all")].into(), ..TagChange::default() };
        if let Ok(decision) = data::change_tags(&data, &change) {
            append(log, decision).await?;
        }
    }
    Ok(())
}

fn data_of(events: &[Recorded]) -> impl Iterator<Item = KnitId> {
    let streams = events.iter().map(|recorded| &recorded.stream).filter(|stream| stream.kind == StreamType::Data);
    let ids: BTreeSet<KnitId> = streams.filter_map(|stream| stream.id.parse().ok()).collect();
    ids.into_iter()
}

async fn holders(log: &Log, events: &[Recorded]) -> Result<Vec<Vec<Holder>>, TestCaseError> {
    let mut all = Vec::new();
    for scope in data_of(events).flat_map(|id| [Scope::DataUse(id), Scope::DataTombstones(id)]) {
        let mut holders = log.holders(&scope).await.map_err(failed)?;
        holders.sort();
        all.push(holders);
    }
    Ok(all)
}

/// A projection takes every event, and is the same when it is saved in the middle and brought back.
fn folds<P: Projection>(events: &[Recorded]) -> Result<(), TestCaseError> {
    let (mut whole, mut in_parts) = (P::default(), P::default());
    for (number, event) in events.iter().enumerate() {
        whole.apply(event).map_err(failed)?;
        in_parts.apply(event).map_err(failed)?;
        if number == events.len() / 2 {
            in_parts = P::restore(&in_parts.snapshot()).map_err(failed)?;
        }
    }
    prop_assert_eq!(whole.digest(), in_parts.digest());
    Ok(())
}

async fn append(log: &Log, decision: Decision) -> Result<(), TestCaseError> {
    let metadata = Metadata { actor: "somebody".to_owned(), ..Metadata::default() };
    log.append(Request::new(decision, metadata)).await.map(drop).map_err(failed)
}

/// The whole log.
async fn read(log: &Log) -> Result<Vec<Recorded>, TestCaseError> {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let page = log.read(events.len() as Position, PAGE).await.map_err(failed)?;
        if page.is_empty() {
            return Ok(events);
        }
        events.extend(page);
    }
}

fn failed(error: impl std::error::Error) -> TestCaseError {
    TestCaseError::fail(format!("{error}: {error:?}"))
}
