//! What the worklists keep.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use knit_domain::event::Position;
use knit_domain::id::{AgentMode, AgentName, KnitId, PlanId, RunId, VolumeRef, WorkerName};
use knit_domain::time::Timestamp;

use super::list::List;
use super::{Garbage, OpenAgent, Stage};
use crate::blocks::Blocks;
use crate::heap;
use crate::sorted::Sorted;
use crate::table::{Map, RowIndex};

/// The number of a Plan, in the order of registration.
pub(super) type PlanNo = u32;

/// Plans, never forgotten (Plans are never deleted).
#[derive(Debug, Clone, Default)]
pub(super) struct Plans {
    numbers: RowIndex<PlanNo>,
    plans: Blocks<Plan>,
    /// Paths of mounts, which thousands of Runs share.
    paths: Sorted<Arc<str>>,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) plan_id: PlanId,
    pub(super) active: bool,
    /// Paths of its inputs, sorted.
    pub(super) inputs: Arc<[Arc<str>]>,
}

/// A Run that has not ended, or an image Run that has and may be retried. A retry is recorded without
/// Plan and inputs, so both are kept for as long as there may be one, and nothing else is.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) plan: PlanNo,
    /// The Data on its Plan's inputs, in their order.
    pub(super) inputs: Box<[KnitId]>,
    /// None when it has ended.
    pub(super) progress: Option<Arc<Progress>>,
}

/// Where a Run that has not ended stands.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) attempt: u32,
    pub(super) kind: Kind,
    pub(super) stage: Stage,
    pub(super) entered: Position,
    pub(super) since: Timestamp,
    /// None when it is named by convention, or there is none.
    pub(super) worker_name: Option<WorkerName>,
    pub(super) worker_uid: Option<String>,
    pub(super) outputs: Box<[Output]>,
}

/// What a Run is. Whether the writer of an upload is open is told by the agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Upload,
    Import { deadline: Timestamp },
}

#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) path: Arc<str>,
    pub(super) log: bool,
    pub(super) knit_id: KnitId,
}

/// The Runs, by id and by stage.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    pub(super) by_id: Map<RunId, Run>,
    lists: Lists,
}

/// The Runs that have not ended, by what they are looked for.
#[derive(Debug, Clone, Default)]
struct Lists {
    by_stage: [List<RunId>; Stage::ALL.len()],
    /// Runs that wait or are held, by Plan: these move when the Plan is activated or deactivated.
    waiting: Sorted<(PlanNo, RunId)>,
    /// Uploads that have not ended, by the Data they make: these are touched when their Data Agent is.
    uploading: Map<KnitId, RunId>,
}

/// Volumes: those with names of their own, and those to destroy.
#[derive(Debug, Clone, Default)]
pub(super) struct Volumes {
    /// Of living Data; a volume that is named by convention needs no entry.
    pub(super) unconventional: Map<KnitId, VolumeRef>,
    pub(super) garbage: Map<KnitId, Garbage>,
    pub(super) garbage_list: List<KnitId>,
}

/// Data Agents that are open.
#[derive(Debug, Clone, Default)]
pub(super) struct Agents {
    pub(super) by_name: BTreeMap<AgentName, OpenAgent>,
    pub(super) list: List<AgentName>,
    /// Data that an agent writes.
    pub(super) written: BTreeSet<KnitId>,
}

impl Plans {
    pub(super) fn find(&self, plan_id: PlanId) -> Option<PlanNo> {
        self.numbers.find(plan_id, |number| self.of(number).plan_id == plan_id)
    }

    pub(super) fn of(&self, number: PlanNo) -> &Plan {
        &self.plans[number as usize]
    }

    pub(super) fn of_mut(&mut self, number: PlanNo) -> &mut Plan {
        &mut self.plans[number as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.plans.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.plans.iter()
    }

    pub(super) fn add<'a>(&mut self, plan_id: PlanId, active: bool, inputs: impl IntoIterator<Item = &'a str>) {
        let number = u32::try_from(self.plans.len()).expect("the memory is full before four billion Plans are in it");
        let inputs = inputs.into_iter().map(|path| self.path(path)).collect();
        self.plans.push(Plan { plan_id, active, inputs });
        self.numbers.insert(number, |number| self.plans[number as usize].plan_id);
    }

    /// Bytes of heap held, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        let inputs: usize = self.plans.iter().map(|plan| size_of_val(&*plan.inputs)).sum();
        let paths: usize = self.paths.iter().map(|path| path.len()).sum();
        self.numbers.heap_bytes() + self.plans.heap_bytes() + inputs + paths + self.paths.heap_bytes()
    }

    /// The one shared copy of a path.
    pub(super) fn path(&mut self, path: &str) -> Arc<str> {
        let known = self.paths.from(|known| **known < *path).next().filter(|known| ***known == *path);
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let path: Arc<str> = path.into();
        self.paths.insert(Arc::clone(&path));
        path
    }
}

impl Runs {
    pub(super) fn list(&self, stage: Stage) -> &List<RunId> {
        &self.lists.by_stage[stage as usize]
    }

    /// The progress of a Run that has not ended.
    pub(super) fn progress(&self, run: RunId) -> Option<&Progress> {
        self.by_id.get(&run)?.progress.as_deref()
    }

    /// A Run, or another attempt of it, begins at the stage that `progress` says.
    pub(super) fn begin(&mut self, id: RunId, mut run: Run, progress: Progress) {
        self.lists.enlist(id, run.plan, &progress);
        run.progress = Some(Arc::new(progress));
        self.by_id.insert(id, run);
    }

    /// Changes the progress of a Run that has not ended, and puts it into the list where it then belongs.
    pub(super) fn change(&mut self, id: RunId, change: impl FnOnce(&mut Progress)) {
        let Some(run) = self.by_id.get_mut(&id) else { return };
        let Some(progress) = run.progress.as_mut().map(Arc::make_mut) else { return };
        self.lists.delist(id, run.plan, progress);
        change(progress);
        self.lists.enlist(id, run.plan, progress);
    }

    /// A Run ended. One of an image is kept, for it may be retried.
    pub(super) fn end(&mut self, id: RunId) {
        let Some(run) = self.by_id.get_mut(&id) else { return };
        let plan = run.plan;
        let Some(progress) = run.progress.take() else { return };
        if progress.kind != Kind::Image {
            self.by_id.remove(&id);
        }
        self.lists.delist(id, plan, &progress);
    }

    /// A Run is deleted or forgotten.
    pub(super) fn forget(&mut self, id: RunId) {
        self.end(id);
        self.by_id.remove(&id);
    }

    /// Bytes of heap held, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        let of_run = |run: &Run| {
            let progress =
                run.progress.as_deref().map(|progress| size_of_val(progress) + size_of_val(&*progress.outputs));
            size_of_val(&*run.inputs) + progress.unwrap_or_default()
        };
        let lists: usize = self.lists.by_stage.iter().map(List::heap_bytes).sum();
        let beside = self.lists.waiting.heap_bytes() + self.lists.uploading.heap_bytes();
        self.by_id.heap_bytes() + self.by_id.iter().map(|(_, run)| of_run(run)).sum::<usize>() + lists + beside
    }

    /// The Runs of a Plan that wait or are held, sorted by id.
    pub(super) fn waiting(&self, plan: PlanNo) -> impl Iterator<Item = RunId> {
        let from = self.lists.waiting.from(move |(other, _)| *other < plan);
        from.take_while(move |(other, _)| *other == plan).map(|(_, run)| *run)
    }

    /// The upload that makes a Data and has not ended.
    pub(super) fn uploading(&self, data: KnitId) -> Option<RunId> {
        self.lists.uploading.get(&data).copied()
    }
}

impl Lists {
    fn enlist(&mut self, id: RunId, plan: PlanNo, progress: &Progress) {
        self.by_stage[progress.stage as usize].insert(progress.entered, id);
        if progress.stage.waits() {
            self.waiting.insert((plan, id));
        }
        if progress.kind == Kind::Upload {
            progress.outputs.iter().for_each(|output| {
                self.uploading.insert(output.knit_id, id);
            });
        }
    }

    fn delist(&mut self, id: RunId, plan: PlanNo, progress: &Progress) {
        self.by_stage[progress.stage as usize].remove(progress.entered, id);
        if progress.stage.waits() {
            self.waiting.remove(&(plan, id));
        }
        if progress.kind == Kind::Upload {
            progress.outputs.iter().for_each(|output| {
                self.uploading.remove(&output.knit_id);
            });
        }
    }
}

impl Volumes {
    /// The volume of a living Data.
    pub(super) fn of(&self, data: KnitId) -> VolumeRef {
        self.unconventional.get(&data).cloned().unwrap_or_else(|| VolumeRef::of(data))
    }

    /// Bytes of heap held, roughly: names of volumes are left out.
    pub(super) fn heap_bytes(&self) -> usize {
        self.unconventional.heap_bytes() + self.garbage.heap_bytes() + self.garbage_list.heap_bytes()
    }

    pub(super) fn reserve(&mut self, data: KnitId, volume_ref: &VolumeRef) {
        if *volume_ref != VolumeRef::of(data) {
            self.unconventional.insert(data, volume_ref.clone());
        }
    }

    pub(super) fn throw_away(&mut self, garbage: Garbage) {
        self.unconventional.remove(&garbage.knit_id);
        self.garbage_list.insert(garbage.entered, garbage.knit_id);
        self.garbage.insert(garbage.knit_id, garbage);
    }

    pub(super) fn reclaim(&mut self, data: KnitId) {
        if let Some(garbage) = self.garbage.remove(&data) {
            self.garbage_list.remove(garbage.entered, data);
        }
    }
}

impl Agents {
    /// Bytes of heap held, roughly: names are left out.
    pub(super) fn heap_bytes(&self) -> usize {
        let written = heap::of_entries::<KnitId>(self.written.len());
        heap::of_tree(&self.by_name) + self.list.heap_bytes() + written
    }

    pub(super) fn open(&mut self, agent: OpenAgent) {
        if agent.mode == AgentMode::Write {
            self.written.insert(agent.knit_id);
        }
        self.list.insert(agent.entered, agent.name.clone());
        self.by_name.insert(agent.name.clone(), agent);
    }

    pub(super) fn close(&mut self, name: &AgentName) {
        let Some(agent) = self.by_name.remove(name) else { return };
        if agent.mode == AgentMode::Write {
            self.written.remove(&agent.knit_id);
        }
        self.list.remove(agent.entered, agent.name);
    }
}
