//! Everything that a store can be asked, so that two of them, or two instants of one, can be compared.

use knit_domain::event::Recorded;
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::run::Status;
use knit_domain::tag::Tag;
use knit_domain::time::Timestamp;
use knit_projections::store::{
    At, AttemptView, DataFilter, IdKind, IdPrefix, PlanFilter, RunFilter, RunStory, Store, Verdict,
};
use knit_schemas::api;
use uuid::Uuid;

use super::walk::walks;
use crate::states::States;

/// Ids that are asked for at once: fewer than there are, so that the first ones matter.
const IDS_MAX: usize = 5;

/// Everything a store can be asked about these ids.
#[derive(Debug, PartialEq)]
pub struct Answers {
    data: Vec<Option<api::DataDetail>>,
    runs: Vec<Option<api::RunDetail>>,
    plans: Vec<Option<api::PlanDetail>>,
    attempts: Vec<Option<Vec<AttemptView>>>,
    stories: Vec<Option<RunStory>>,
    ids: Vec<Vec<Uuid>>,
    differences: Vec<Option<api::Difference>>,
    verdicts: Vec<Option<Vec<Verdict>>>,
    found_data: Vec<Vec<KnitId>>,
    found_runs: Vec<Vec<RunId>>,
    found_plans: Vec<Vec<PlanId>>,
    lineage: Vec<Option<api::LineageGraph>>,
    run_lineage: Vec<Option<api::LineageGraph>>,
    paths: Vec<Option<api::LineageGraph>>,
    plan_graphs: Vec<Option<api::PlanGraph>>,
}

/// What is asked: of everything that there ever was in a log, and with filters that find some of it.
#[derive(Debug)]
pub struct Questions {
    data: Vec<KnitId>,
    runs: Vec<RunId>,
    plans: Vec<PlanId>,
    /// An instant in the middle of the log.
    middle: Timestamp,
    /// Tags that may have been given.
    words: [&'static str; 3],
}

impl Questions {
    /// Questions about everything in a log, and about Data with some of these tags.
    ///
    /// # Panics
    /// When there is nothing in it.
    #[must_use]
    pub fn about(log: &[Recorded], words: [&'static str; 3]) -> Self {
        let states = States::of(log);
        Self {
            data: states.data.into_keys().collect(),
            runs: states.runs.into_keys().collect(),
            plans: states.plans.into_keys().collect(),
            middle: log[log.len() / 2].recorded_at,
            words,
        }
    }

    /// What `store` answers to all of them.
    #[must_use]
    pub fn ask(&self, store: &Store, at: At) -> Answers {
        Answers {
            data: self.data.iter().map(|id| store.data(*id, at)).collect(),
            runs: self.runs.iter().map(|id| store.run(*id, at)).collect(),
            plans: self.plans.iter().map(|id| store.plan(*id, at)).collect(),
            attempts: self.runs.iter().map(|id| store.attempts(*id, at)).collect(),
            stories: self.runs.iter().map(|id| store.explain_run(*id, at)).collect(),
            ids: self.beginnings().map(|(kind, prefix)| store.ids_beginning(kind, prefix, at, IDS_MAX)).collect(),
            differences: self.differences(store, at),
            verdicts: self.verdicts(store, at),
            found_data: self.data_filters().iter().map(|filter| store.find_data(filter, at)).collect(),
            found_runs: self.run_filters().iter().map(|filter| store.find_runs(filter, at)).collect(),
            found_plans: self.plan_filters().iter().map(|filter| store.find_plans(filter, at)).collect(),
            lineage: self.data.iter().flat_map(|id| walks().map(|walk| store.lineage_graph(*id, &walk, at))).collect(),
            run_lineage: (self.runs.iter().flat_map(|id| walks().map(|walk| store.lineage_graph(*id, &walk, at))))
                .collect(),
            paths: self.ways().map(|(from, to)| store.path(from, to, at)).collect(),
            plan_graphs: (self.plans.iter().flat_map(|id| walks().map(|walk| store.plan_graph(*id, &walk, at))))
                .collect(),
        }
    }

    /// Beginnings of ids: none, and one digit, which some have.
    fn beginnings(&self) -> impl Iterator<Item = (IdKind, IdPrefix)> {
        let kinds = [IdKind::Data, IdKind::Plan, IdKind::Run].into_iter();
        let prefix = |text| IdPrefix::parse(text).expect("hex digits begin ids");
        kinds.flat_map(move |kind| ["", "0", "a"].map(|text| (kind, prefix(text))))
    }

    /// From every Data to another, and back to the first: all pairs would be too many to ask at every position.
    fn ways(&self) -> impl Iterator<Item = (KnitId, KnitId)> {
        let others = self.data.iter().skip(self.data.len() / 2).chain(&self.data);
        self.data.iter().zip(others).flat_map(|(from, to)| [(*from, *to), (*to, self.data[0])])
    }

    fn differences(&self, store: &Store, at: At) -> Vec<Option<api::Difference>> {
        let data = self.data.windows(2).map(|pair| store.diff_data(pair[0], pair[1], at));
        let runs = self.runs.windows(2).map(|pair| store.diff_runs(pair[0], pair[1], at));
        data.chain(runs).collect()
    }

    fn verdicts(&self, store: &Store, at: At) -> Vec<Option<Vec<Verdict>>> {
        let pairs = self.plans.iter().flat_map(|plan| self.data.iter().map(move |data| (*plan, *data)));
        pairs.map(|(plan, data)| store.verdicts(plan, data, at)).collect()
    }

    fn data_filters(&self) -> Vec<DataFilter> {
        let middle = self.middle;
        let wanted = |texts: &[&str]| DataFilter { tags: tags(texts), ..DataFilter::default() };
        let [first, second, third] = self.words;
        vec![
            DataFilter::default(),
            wanted(&[first]),
            wanted(&[first, second]),
            wanted(&["knit#transient:processing"]),
            wanted(&["knit#transient:failed", third]),
            wanted(&[&format!("knit#timestamp:{middle}")]),
            DataFilter { since: Some(middle), ..DataFilter::default() },
            DataFilter { until: Some(middle), ..wanted(&[third]) },
        ]
    }

    fn run_filters(&self) -> Vec<RunFilter> {
        let some_data: Vec<KnitId> = self.data.iter().copied().step_by(2).collect();
        let statuses = Some(vec![Status::Deactivated, Status::Done, Status::Ready]);
        vec![
            RunFilter::default(),
            RunFilter { statuses, ..RunFilter::default() },
            RunFilter { plans: Some(self.plans.iter().copied().step_by(2).collect()), ..RunFilter::default() },
            RunFilter { inputs: Some(some_data.clone()), since: Some(self.middle), ..RunFilter::default() },
            RunFilter { until: Some(self.middle), ..RunFilter::default() },
            RunFilter { inputs: Some(some_data.clone()), outputs: Some(some_data), ..RunFilter::default() },
        ]
    }

    fn plan_filters(&self) -> Vec<PlanFilter> {
        let [first, _, third] = self.words;
        vec![
            PlanFilter { active: Some(true), ..PlanFilter::default() },
            PlanFilter { active: Some(false), ..PlanFilter::default() },
            PlanFilter { in_tags: tags(&[first]), ..PlanFilter::default() },
            PlanFilter { out_tags: tags(&[third]), ..PlanFilter::default() },
        ]
    }
}

fn tags<T: FromIterator<Tag>>(texts: &[&str]) -> T {
    texts.iter().map(|text| Tag::parse(text).unwrap()).collect()
}
