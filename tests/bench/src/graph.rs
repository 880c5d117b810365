//! Graphs of Data and Runs, in the shapes that real use has, before anything is written to a log.
//!
//! A graph is made of families. A *pipeline* is how workflows look in Knitfab: samples enter, every
//! stage is a Plan that takes one sample and the references that all share, and at the end one Run
//! gathers all samples. A *hub* is one Data that a thousand Runs take. A *chain* is one result that is
//! refined again and again. A folder of WfFormat files ([`wfformat`]) may stand in for further pipelines.
//!
//! Except for those from files, the tags are such that the matcher, too, finds exactly these Runs: the
//! log of a graph is one that a server could have written, and a server that opens it finds nothing due.

mod shapes;
pub(crate) mod sizes;
pub(crate) mod wfformat;

use std::collections::HashMap;
use std::ops::Range;

/// Row of a Data in a graph.
pub(crate) type DataRow = u32;
/// Row of a Run in a graph; uploads are Runs.
pub(crate) type RunRow = u32;
/// Row of a Plan in a graph.
pub(crate) type PlanRow = u32;

/// A tag that every Data of every graph carries.
pub(crate) const TAG_OF_ALL: &str = "house:bench";

/// What was made from what. Whatever a Run takes was made by a Run before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    plans: Vec<PlanShape>,
    runs: Vec<RunShape>,
    /// What the Runs take, one after another.
    taken: Vec<DataRow>,
    /// The Run that makes each Data.
    makers: Vec<RunRow>,
    /// Tags that users put on Data, beside those of the Plan's outputs.
    tags: HashMap<DataRow, Vec<String>>,
    landmarks: Landmarks,
}

/// A Plan: what matters of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanShape {
    pub(crate) name: String,
    pub(crate) inputs: Vec<Point>,
    pub(crate) outputs: Vec<Point>,
    pub(crate) log: bool,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) path: String,
    pub(crate) tag: String,
}

/// A Run takes the next of [`Graph::taken`] and makes the next of [`Graph::makers`].
#[derive(Debug, Clone, Copy)]
struct RunShape {
    /// None: an upload.
    plan: Option<PlanRow>,
    first_taken: u32,
    first_made: DataRow,
}

/// Places from which questions are asked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Landmarks {
    /// What the largest pipeline came to: everything in it is an ancestor.
    pub(crate) result: Option<DataRow>,
    /// One Data that a thousand Runs take.
    pub(crate) hub: Option<DataRow>,
    /// The end of the longest chain.
    pub(crate) end: Option<DataRow>,
}

impl Graph {
    pub(crate) fn plans(&self) -> &[PlanShape] {
        &self.plans
    }

    /// The Plan of a Run; none for an upload.
    pub(crate) fn plan_of(&self, run: RunRow) -> Option<PlanRow> {
        self.runs[index(run)].plan
    }

    pub(crate) fn runs(&self) -> Range<RunRow> {
        0..row(self.runs.len())
    }

    pub(crate) fn data(&self) -> Range<DataRow> {
        0..row(self.makers.len())
    }

    /// The Run that makes a Data.
    pub(crate) fn maker(&self, data: DataRow) -> RunRow {
        self.makers[index(data)]
    }

    /// What a Run takes, in the order of its Plan's inputs.
    pub(crate) fn taken(&self, run: RunRow) -> &[DataRow] {
        let end = self.runs.get(index(run) + 1).map_or(self.taken.len(), |next| index(next.first_taken));
        &self.taken[index(self.runs[index(run)].first_taken)..end]
    }

    /// What a Run makes: the outputs of its Plan, then the log if there is one.
    pub(crate) fn made(&self, run: RunRow) -> Range<DataRow> {
        let end = self.runs.get(index(run) + 1).map_or(row(self.makers.len()), |next| next.first_made);
        self.runs[index(run)].first_made..end
    }

    /// Tags that users put on a Data.
    pub(crate) fn tags(&self, data: DataRow) -> &[String] {
        self.tags.get(&data).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn landmarks(&self) -> Landmarks {
        self.landmarks
    }

    /// Runs and Data.
    pub(crate) fn nodes(&self) -> usize {
        self.runs.len() + self.makers.len()
    }

    /// Data taken and Data made, each once for every Run.
    pub(crate) fn edges(&self) -> usize {
        self.taken.len() + self.makers.len()
    }

    /// Data in inputs of Runs.
    pub(crate) fn assignments(&self) -> usize {
        self.taken.len()
    }

    fn plan(&mut self, shape: PlanShape) -> PlanRow {
        self.plans.push(shape);
        row(self.plans.len() - 1)
    }

    fn upload(&mut self, tags: impl IntoIterator<Item = String>) -> DataRow {
        let data = self.begin_run(None, &[]).first_made;
        self.makers.push(row(self.runs.len() - 1));
        self.tags.insert(data, [TAG_OF_ALL.to_owned()].into_iter().chain(tags).collect());
        data
    }

    /// A Run of `plan` on `taken`; answers what it makes.
    fn run(&mut self, plan: PlanRow, taken: &[DataRow]) -> Range<DataRow> {
        let shape = &self.plans[index(plan)];
        assert_eq!(shape.inputs.len(), taken.len(), "every input is filled");
        let makes = shape.outputs.len() + usize::from(shape.log);
        let first = self.begin_run(Some(plan), taken).first_made;
        let run = row(self.runs.len() - 1);
        self.makers.extend(std::iter::repeat_n(run, makes));
        first..row(self.makers.len())
    }

    fn begin_run(&mut self, plan: Option<PlanRow>, taken: &[DataRow]) -> RunShape {
        let first_made = row(self.makers.len());
        assert!(taken.iter().all(|data| *data < first_made), "what is taken was made before");
        let run = RunShape { plan, first_taken: row(self.taken.len()), first_made };
        self.taken.extend(taken);
        self.runs.push(run);
        run
    }

    fn tag(&mut self, data: DataRow, tag: String) {
        self.tags.entry(data).or_default().push(tag);
    }
}

fn row(index: usize) -> u32 {
    u32::try_from(index).expect("graphs are far smaller than four billion")
}

fn index(row: u32) -> usize {
    row as usize
}

#[cfg(test)]
mod tests;
