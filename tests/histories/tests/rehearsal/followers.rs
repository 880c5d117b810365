//! Who reads the log: the projections, which follow, are saved, and come back from what was saved.

use knit_domain::event::{Position, Recorded};
use knit_histories::play;
use knit_histories::reckoning::{Questions, check_due, check_lists, check_usable, naive_walk, walks};
use knit_histories::states::States;
use knit_log::{Log, SnapshotMeta};
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection;
use knit_projections::store::{At, Store};
use knit_projections::worklists::Worklists;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{LOOKS_BACK, PAGE, failed};

/// Snapshots of each projection that the log keeps, as a server does: one that is damaged has one before it.
const KEPT: usize = 2;

/// All projections, each with everything that was ever saved of it.
#[derive(Default)]
pub(super) struct Followers {
    store: Follower<Store>,
    matcher: Follower<Matcher>,
    worklists: Follower<Worklists>,
    /// Every event that was ever read.
    heard: Vec<Recorded>,
}

impl Followers {
    /// Everybody reads up to so many events more.
    pub(super) async fn read_on(&mut self, log: &Log, events: usize) -> Result<(), TestCaseError> {
        let position = self.store.live.position();
        // What is remembered of the newest events is asked first, as by a server; it is the same as what is read.
        let remembered = log.recent(position, events);
        let mut page = log.read(position, events).await.map_err(failed)?;
        if let Some(remembered) = remembered {
            page.truncate(remembered.len());
            prop_assert!(
                remembered.iter().map(AsRef::as_ref).eq(&page),
                "events after {} are remembered wrongly",
                position
            );
        }
        self.store.apply(&page)?;
        self.matcher.apply(&page)?;
        self.worklists.apply(&page)?;
        self.heard.truncate(usize::try_from(position).unwrap());
        self.heard.extend(page);
        self.compare_with(&States::of(&self.heard))
    }

    /// What they say, wherever they have read to, and be it in the middle of an append.
    fn compare_with(&self, states: &States) -> Result<(), TestCaseError> {
        check_lists(states, &self.worklists.live)?;
        check_due(states, &self.matcher.live)?;
        check_usable(&self.store.live, &self.matcher.live)
    }

    pub(super) async fn save(&mut self, log: &Log) -> Result<(), TestCaseError> {
        self.store.save(log).await?;
        self.matcher.save(log).await?;
        self.worklists.save(log).await
    }

    /// What they knew is lost; what was saved is not.
    pub(super) async fn come_back(&mut self, log: &Log) -> Result<(), TestCaseError> {
        self.store.come_back(log).await?;
        self.matcher.come_back(log).await?;
        self.worklists.come_back(log).await
    }

    /// Once everybody has read everything, it is what a fold of `events` is, and what the states of all streams say.
    pub(super) async fn compare_everything(
        mut self,
        log: &Log,
        events: &[Recorded],
        looks: [Index; LOOKS_BACK],
    ) -> Result<(), TestCaseError> {
        while self.store.live.position() < events.len() as Position {
            self.read_on(log, PAGE).await?;
        }
        let (store, matcher, worklists) =
            (self.store.rebuilt(events)?, self.matcher.rebuilt(events)?, self.worklists.rebuilt(events)?);
        let states = States::of(events);
        check_lists(&states, &worklists)?;
        check_due(&states, &matcher)?;
        check_usable(&store, &matcher)?;
        lineage_is_the_plainest_walk(&store, &states, At::Now)?;
        for look in looks {
            let position = look.index(events.len()) + 1;
            the_past_is_the_fold_of_the_prefix(&store, events, position)?;
            lineage_is_the_plainest_walk(&store, &states, At::Position(position as Position))?;
        }
        Ok(())
    }
}

fn the_past_is_the_fold_of_the_prefix(
    store: &Store,
    events: &[Recorded],
    position: usize,
) -> Result<(), TestCaseError> {
    let [a, b, c] = play::TAGS;
    let questions = Questions::about(events, [a, b, c]);
    let prefix: Store = fold(&events[..position])?;
    prop_assert_eq!(
        questions.ask(store, At::Position(position as Position)),
        questions.ask(&prefix, At::Now),
        "as of {}",
        position
    );
    Ok(())
}

fn lineage_is_the_plainest_walk(store: &Store, states: &States, at: At) -> Result<(), TestCaseError> {
    for (id, walk) in states.data.keys().flat_map(|id| walks().map(|walk| (*id, walk))) {
        let Some(walked) = store.lineage(id, &walk, at) else { continue };
        let (data, runs) = naive_walk(store, id, walk, at);
        prop_assert_eq!(walked.data.len(), data.len(), "a Data is met twice");
        prop_assert!(walked.data.iter().all(|id| data.contains(&id.to_string())));
        prop_assert_eq!(walked.runs.len(), runs.len(), "a Run is met twice");
        prop_assert!(walked.runs.iter().all(|id| runs.contains(&id.to_string())));
    }
    Ok(())
}

/// A projection, and everything that was ever saved of it.
struct Follower<P> {
    live: P,
    saved: Vec<Vec<Vec<u8>>>,
}

impl<P: Default> Default for Follower<P> {
    fn default() -> Self {
        Self { live: P::default(), saved: Vec::new() }
    }
}

impl<P: Projection> Follower<P> {
    fn apply(&mut self, events: &[Recorded]) -> Result<(), TestCaseError> {
        events.iter().try_for_each(|event| self.live.apply(event)).map_err(failed)
    }

    async fn save(&mut self, log: &Log) -> Result<(), TestCaseError> {
        let position = self.live.position();
        let chain = log.chain_at(position).await.map_err(failed)?.expect("it has read so far");
        let (meta, chunks) = (
            SnapshotMeta { name: P::NAME.to_owned(), revision: P::REVISION, position, chain, generation: 0 },
            self.live.snapshot(),
        );
        log.save_snapshot(&meta, &chunks).await.map_err(failed)?;
        log.prune_snapshots(P::NAME, P::REVISION, KEPT).await.map_err(failed)?;
        let newest = log.newest_snapshot(P::NAME, P::REVISION).await.map_err(failed)?.expect("one was saved");
        prop_assert!(newest.meta == meta && newest.chunks == chunks, "{} at {}", P::NAME, position);
        self.saved.push(chunks);
        Ok(())
    }

    /// From the newest snapshot, as a server that starts.
    async fn come_back(&mut self, log: &Log) -> Result<(), TestCaseError> {
        let newest = log.newest_snapshot(P::NAME, P::REVISION).await.map_err(failed)?;
        prop_assert_eq!(newest.is_some(), !self.saved.is_empty());
        self.live = match newest {
            Some(snapshot) => {
                let chain = log.chain_at(snapshot.meta.position).await.map_err(failed)?;
                prop_assert_eq!(chain, Some(snapshot.meta.chain));
                P::restore(&snapshot.chunks).map_err(failed)?
            }
            None => P::default(),
        };
        Ok(())
    }

    /// A fold of everything, which is what the live one is, and what every snapshot and the rest come to.
    fn rebuilt(&self, events: &[Recorded]) -> Result<P, TestCaseError> {
        let rebuilt: P = fold(events)?;
        prop_assert_eq!(self.live.digest(), rebuilt.digest(), "live {}", P::NAME);
        for chunks in &self.saved {
            let mut restored = P::restore(chunks).map_err(failed)?;
            let position = restored.position();
            let rest = &events[usize::try_from(position).unwrap()..];
            rest.iter().try_for_each(|event| restored.apply(event)).map_err(failed)?;
            prop_assert_eq!(restored.digest(), rebuilt.digest(), "{} from its snapshot at {}", P::NAME, position);
        }
        Ok(rebuilt)
    }
}

fn fold<P: Projection>(events: &[Recorded]) -> Result<P, TestCaseError> {
    let mut projection = P::default();
    events.iter().try_for_each(|event| projection.apply(event)).map_err(failed)?;
    Ok(projection)
}
