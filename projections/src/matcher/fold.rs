//! What each event does to the matcher. Everything that can be wrong with an event is found before
//! anything is changed.

use std::collections::BTreeSet;

use knit_domain::event::data::DataEvent;
use knit_domain::event::plan::{PlanDefinition, PlanEvent};
use knit_domain::event::run::RunEvent;
use knit_domain::event::{Event, Recorded};
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::tag::Tag;
use knit_domain::time::Timestamp;

use super::Matcher;
use super::data::Usable;
use super::numbers::{DataNo, InputNo, TagNo};
use super::plans::Input;
use crate::projection::{Unapplicable, id_of_stream};

impl Matcher {
    pub(super) fn fold(&mut self, recorded: &Recorded) -> Result<(), Unapplicable> {
        match &recorded.event {
            Event::Plan(event) => self.fold_plan(recorded, event),
            Event::Run(event) => self.fold_run(recorded, event),
            Event::Data(event) => self.fold_data(recorded, event),
            Event::Catalog(_) | Event::Agent(_) | Event::Journal(_) => Ok(()),
        }
    }

    fn fold_plan(&mut self, recorded: &Recorded, event: &PlanEvent) -> Result<(), Unapplicable> {
        match event {
            PlanEvent::PlanRegistered { definition, .. } => {
                let plan_id = id_of_stream(recorded)?;
                if self.plans.find(plan_id).is_some() {
                    return Err(Unapplicable::contradiction(recorded, "the Plan is registered already"));
                }
                self.register(plan_id, definition);
                Ok(())
            }
            // Whether its Runs may start does not matter: Runs of an inactive Plan are made all the same.
            PlanEvent::BuiltinPlanDefined { .. }
            | PlanEvent::PlanActivated {}
            | PlanEvent::PlanDeactivated {}
            | PlanEvent::PlanResourcesChanged { .. }
            | PlanEvent::PlanAnnotationsChanged { .. }
            | PlanEvent::PlanServiceAccountSet { .. }
            | PlanEvent::PlanServiceAccountCleared {} => Ok(()),
        }
    }

    fn fold_run(&mut self, recorded: &Recorded, event: &RunEvent) -> Result<(), Unapplicable> {
        let run = id_of_stream(recorded)?;
        match event {
            RunEvent::RunProjected { plan_id, .. } => self.project(recorded, run, *plan_id),
            RunEvent::UploadStarted { .. } | RunEvent::ImportStarted { .. } => {
                self.runs.unfinished.or_default(&run);
                Ok(())
            }
            RunEvent::RunSucceeded { .. } => {
                let outputs = self.end(recorded, run)?;
                for knit_id in outputs {
                    self.make_usable(knit_id, recorded.recorded_at);
                }
                Ok(())
            }
            RunEvent::RunFailed { .. } => {
                let outputs = self.end(recorded, run)?;
                outputs.into_iter().for_each(|knit_id| self.runs.give_up(knit_id));
                Ok(())
            }
            RunEvent::RunRetried { .. } => self.retry(recorded, run),
            RunEvent::RunInvalidated { .. } | RunEvent::RunErased { .. } => {
                // Deleted while it waited: its outputs are discarded by events of their own.
                if self.runs.unfinished.contains_key(&run) {
                    self.end(recorded, run)?;
                }
                Ok(())
            }
            RunEvent::RunVolumesPrepared { .. }
            | RunEvent::WorkerRequested { .. }
            | RunEvent::WorkerSpawned { .. }
            | RunEvent::RunStarted { .. }
            | RunEvent::RunSuccessDecided { .. }
            | RunEvent::RunFailureDecided { .. } => Ok(()),
        }
    }

    fn fold_data(&mut self, recorded: &Recorded, event: &DataEvent) -> Result<(), Unapplicable> {
        let knit_id = id_of_stream(recorded)?;
        match event {
            DataEvent::DataReserved { run_id, tags, .. } => {
                if self.runs.expected.contains_key(&knit_id) || self.data.find(knit_id).is_some() {
                    return Err(Unapplicable::contradiction(recorded, "the Data exists already"));
                }
                let tags = self.tags.numbers(tags.user());
                self.runs.expect(*run_id, knit_id, tags);
            }
            DataEvent::DataTagsChanged { added, removed } => self.change_tags(knit_id, added, removed),
            DataEvent::DataDiscarded { .. } | DataEvent::LogRedacted { .. } => self.discard(knit_id),
            DataEvent::VolumeReclaimed { .. } => {}
        }
        Ok(())
    }

    fn project(&mut self, recorded: &Recorded, run: RunId, plan_id: PlanId) -> Result<(), Unapplicable> {
        let Some(plan) = self.plans.find(plan_id) else {
            return Err(Unapplicable::contradiction(recorded, format!("the Plan {plan_id} is not registered")));
        };
        if self.runs.projected.contains_key(&run) {
            return Err(Unapplicable::contradiction(recorded, "the Run exists already"));
        }
        self.runs.projected.insert(run, plan);
        self.runs.unfinished.or_default(&run).plan = Some(plan);
        let plan = self.plans.of_mut(plan);
        plan.runs += 1;
        plan.pending += 1;
        Ok(())
    }

    fn retry(&mut self, recorded: &Recorded, run: RunId) -> Result<(), Unapplicable> {
        let Some(plan) = self.runs.projected.get(&run).copied() else {
            return Err(Unapplicable::contradiction(recorded, "the Run was never made of a combination"));
        };
        if self.runs.unfinished.get(&run).is_some_and(|unfinished| unfinished.plan.is_some()) {
            return Err(Unapplicable::contradiction(recorded, "the Run has not ended"));
        }
        self.runs.unfinished.or_default(&run).plan = Some(plan);
        self.plans.of_mut(plan).pending += 1;
        Ok(())
    }

    /// The Run ended, however; gives the Data that it was to make.
    fn end(&mut self, recorded: &Recorded, run: RunId) -> Result<Vec<KnitId>, Unapplicable> {
        let Some(unfinished) = self.runs.unfinished.remove(&run) else {
            return Err(Unapplicable::contradiction(recorded, "the Run has ended already or never began"));
        };
        if let Some(plan) = unfinished.plan {
            self.plans.of_mut(plan).pending -= 1;
        }
        Ok(unfinished.outputs)
    }

    /// Both sides of X4: whichever comes second, the Plan or the Data, finds the other.
    fn register(&mut self, plan_id: PlanId, definition: &PlanDefinition) {
        let inputs = definition.inputs.iter().map(|input| (input.path.as_str(), &input.tags));
        for input in self.plans.add(plan_id, inputs, &mut self.tags) {
            let input = InputNo(input);
            for data in self.data_for(self.plans.input(input)) {
                self.pair(input, data);
            }
        }
    }

    /// The usable Data that fit `input`, in the order in which they became usable.
    pub(super) fn data_for(&self, input: &Input) -> Vec<DataNo> {
        let fits = |data: &DataNo| input.admits(self.data.of(*data));
        let rarest = input.tags.iter().map(|tag| self.tags.data(*tag)).min_by_key(|data| data.len());
        match (input.id_pin, rarest) {
            (Some(pin), _) => self.data.find(pin).into_iter().filter(fits).collect(),
            (None, Some(having)) => having.iter().copied().filter(fits).collect(),
            (None, None) => self.data.iter().map(|(number, _)| number).filter(fits).collect(),
        }
    }

    fn make_usable(&mut self, knit_id: KnitId, timestamp: Timestamp) {
        let Some(expected) = self.runs.expected.remove(&knit_id) else { return };
        let data = self.add_usable(Usable { knit_id, timestamp, tags: expected.tags, pairs: Vec::new() });
        for input in self.plans.fitting(self.data.of(data), &self.tags) {
            self.pair(input, data);
        }
    }

    /// Adds the Data under its tags, without pairs.
    pub(super) fn add_usable(&mut self, data: Usable) -> DataNo {
        let tags = data.tags.clone();
        let number = self.data.add(data);
        for tag in tags {
            self.tags.give(tag, number);
        }
        number
    }

    fn pair(&mut self, input: InputNo, data: DataNo) {
        let plan = self.plans.input(input).plan;
        let plan = self.plans.of_mut(plan);
        let arrival = plan.arrivals;
        plan.arrivals = arrival.checked_add(1).expect("a Plan never gets four billion pairs");
        self.plans.input_mut(input).pairs.insert((arrival, data));
        self.data.of_mut(data).pairs.push((input, arrival));
    }

    fn change_tags(&mut self, knit_id: KnitId, added: &BTreeSet<Tag>, removed: &BTreeSet<Tag>) {
        let added = self.tags.numbers(added.iter().filter(|tag| !tag.is_system()));
        let removed: Vec<TagNo> = removed.iter().filter_map(|tag| self.tags.find(tag)).collect();
        let changed = |tags: &[TagNo]| -> Box<[TagNo]> {
            let kept: BTreeSet<TagNo> = tags.iter().copied().filter(|tag| !removed.contains(tag)).collect();
            kept.into_iter().chain(added.iter().copied()).collect::<BTreeSet<TagNo>>().into_iter().collect()
        };
        if let Some(expected) = self.runs.expected.get_mut(&knit_id) {
            expected.tags = changed(&expected.tags);
        } else if let Some(data) = self.data.find(knit_id) {
            let tags = changed(&self.data.of(data).tags);
            self.retag(data, tags);
        }
        // Others are Data of failed Runs, which never fit anything.
    }

    /// Gives `data` these tags: pairs that fit no more go, new ones arrive, the others stay as they are.
    fn retag(&mut self, data: DataNo, tags: Box<[TagNo]>) {
        let before = std::mem::replace(&mut self.data.of_mut(data).tags, tags);
        let after = self.data.of(data).tags.clone();
        let lost: Vec<TagNo> = before.iter().copied().filter(|tag| after.binary_search(tag).is_err()).collect();
        let won: Vec<TagNo> = after.iter().copied().filter(|tag| before.binary_search(tag).is_err()).collect();
        for tag in &lost {
            self.tags.take(*tag, data);
        }
        for tag in &won {
            self.tags.give(*tag, data);
        }
        if !lost.is_empty() {
            self.drop_pairs_that_fit_no_more(data);
        }
        let asking: BTreeSet<InputNo> = won.iter().flat_map(|tag| self.tags.inputs(*tag)).copied().collect();
        for input in asking {
            // It asks for a tag that was not there, so it cannot have been a pair before.
            if self.plans.input(input).admits(self.data.of(data)) {
                self.pair(input, data);
            }
        }
    }

    fn drop_pairs_that_fit_no_more(&mut self, data: DataNo) {
        let pairs = std::mem::take(&mut self.data.of_mut(data).pairs);
        let (fitting, lost): (Vec<_>, Vec<_>) =
            pairs.into_iter().partition(|(input, _)| self.plans.input(*input).admits(self.data.of(data)));
        self.data.of_mut(data).pairs = fitting;
        for (input, arrival) in lost {
            self.plans.input_mut(input).pairs.remove(&(arrival, data));
        }
    }

    fn discard(&mut self, knit_id: KnitId) {
        self.runs.give_up(knit_id);
        let Some(number) = self.data.find(knit_id) else { return };
        let Some(data) = self.data.remove(number) else { return };
        for tag in data.tags {
            self.tags.take(tag, number);
        }
        for (input, arrival) in data.pairs {
            self.plans.input_mut(input).pairs.remove(&(arrival, number));
        }
    }
}
