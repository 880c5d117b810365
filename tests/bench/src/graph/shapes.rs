//! The families that graphs are made of.

use super::{DataRow, Graph, PlanRow, PlanShape, Point, TAG_OF_ALL, index, row};

/// How a pipeline looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pipeline {
    /// Data that enter; the Run at the end gathers as many.
    pub(crate) samples: u32,
    /// Runs in a row for each sample; each is of a Plan of its own.
    pub(crate) stages: u32,
    /// Data that every Run takes beside its sample.
    pub(crate) references: u32,
}

impl Graph {
    /// Adds a pipeline; answers what it came to.
    pub(crate) fn pipeline(&mut self, shape: Pipeline) -> DataRow {
        let name = format!("p{}", self.plans.len());
        let references: Vec<DataRow> = (0..shape.references)
            .map(|at| self.upload([format!("ref:{name}-{at}"), format!("name:reference-{name}-{at}")]))
            .collect();
        let mut samples: Vec<DataRow> = (0..shape.samples)
            .map(|at| self.upload([format!("stage:{name}-0"), format!("name:sample-{name}-{at}")]))
            .collect();
        for stage in 1..=shape.stages {
            let plan = self.plan(stage_plan(&name, stage, shape.references));
            for sample in &mut samples {
                // In the order of the paths: the references, then the sample.
                let taken: Vec<DataRow> = references.iter().copied().chain([*sample]).collect();
                *sample = self.run(plan, &taken).start;
            }
        }
        self.gather(&name, &samples)
    }

    /// One Run that takes all of `parts`, each in an input of its own.
    fn gather(&mut self, name: &str, parts: &[DataRow]) -> DataRow {
        let part = |at: usize| format!("part:{name}-{at:04}");
        let inputs = (0..parts.len()).map(|at| point(format!("/in/{at:04}"), part(at))).collect();
        let outputs = vec![point("/out".to_owned(), format!("result:{name}"))];
        for (at, data) in parts.iter().enumerate() {
            self.tag(*data, part(at));
        }
        let plan = self.plan(PlanShape { name: format!("{name}/gather"), inputs, outputs, log: true });
        let result = self.run(plan, parts).start;
        if parts.len() >= self.result_parts() {
            self.landmarks.result = Some(result);
        }
        result
    }

    fn result_parts(&self) -> usize {
        self.landmarks.result.map_or(0, |result| self.taken(self.maker(result)).len())
    }

    /// Adds a Data that `consumers` Runs take, each together with a Data of its own; answers it.
    pub(crate) fn hub(&mut self, consumers: u32) -> DataRow {
        let name = format!("h{}", self.plans.len());
        let inputs = vec![
            point("/in/model".to_owned(), format!("hub:{name}")),
            point("/in/sample".to_owned(), format!("spoke:{name}")),
        ];
        let outputs = vec![point("/out".to_owned(), format!("scored:{name}"))];
        let plan = self.plan(PlanShape { name: format!("{name}/score"), inputs, outputs, log: true });
        let hub = self.upload([format!("hub:{name}"), format!("name:model-{name}")]);
        let spokes: Vec<DataRow> = (0..consumers)
            .map(|at| self.upload([format!("spoke:{name}"), format!("name:spoke-{name}-{at}")]))
            .collect();
        for spoke in spokes {
            self.run(plan, &[hub, spoke]);
        }
        self.landmarks.hub = Some(hub);
        hub
    }

    /// Adds a Data that is refined `depth` times, each time because somebody tags the last one; answers
    /// the end.
    pub(crate) fn chain(&mut self, depth: u32) -> DataRow {
        let name = format!("c{}", self.plans.len());
        let again = format!("again:{name}");
        let inputs = vec![point("/in".to_owned(), again.clone())];
        let outputs = vec![point("/out".to_owned(), format!("link:{name}"))];
        let plan = self.plan(PlanShape { name: format!("{name}/refine"), inputs, outputs, log: true });
        let mut last = self.upload([again.clone(), format!("name:first-{name}")]);
        for link in 1..=depth {
            last = self.run(plan, &[last]).start;
            if link < depth {
                self.tag(last, again.clone());
            }
        }
        self.landmarks.end = Some(last);
        last
    }

    /// Puts `tag` on the first `count` uploads that a user named.
    pub(crate) fn mark(&mut self, tag: &str, count: usize) {
        let uploads = self.runs().filter(|run| self.plan_of(*run).is_none()).map(|run| self.made(run).start);
        let marked: Vec<DataRow> = uploads.take(count).collect();
        marked.into_iter().for_each(|data| self.tag(data, tag.to_owned()));
    }

    /// Adds Plans that no Data ever matched, until there are `count`.
    pub(crate) fn fill_plans(&mut self, count: usize) {
        while self.plans.len() < count {
            let name = format!("idle{}", self.plans.len());
            let inputs = vec![point("/in".to_owned(), format!("never:{name}"))];
            let outputs = vec![point("/out".to_owned(), format!("none:{name}"))];
            self.plan(PlanShape { name, inputs, outputs, log: false });
        }
    }

    /// Adds one Run of a Plan from a file, whose inputs no Data matches any more; answers what it makes.
    pub(super) fn run_of(&mut self, plan: PlanRow, taken: &[DataRow]) -> Vec<DataRow> {
        self.run(plan, taken).collect()
    }

    pub(super) fn upload_named(&mut self, name: &str, family: &str) -> DataRow {
        self.upload([format!("name:{name}"), format!("project:{family}")])
    }

    /// A Plan from a file: so many inputs and outputs, fed by tags that its Data carried only then.
    pub(super) fn plan_named(&mut self, name: &str, inputs: usize, outputs: usize) -> PlanRow {
        let input = |at: usize| point(format!("/in/{at:04}"), format!("wanted:{name}-{inputs}-{outputs}-{at}"));
        let output = |at: usize| point(format!("/out/{at:04}"), format!("made-by:{name}"));
        let shape = PlanShape {
            name: format!("{name}/{inputs}/{outputs}"),
            inputs: (0..inputs).map(input).collect(),
            outputs: (0..outputs).map(output).collect(),
            log: false,
        };
        self.plan(shape)
    }
}

fn stage_plan(name: &str, stage: u32, references: u32) -> PlanShape {
    let reference = |at| point(format!("/in/ref/{at}"), format!("ref:{name}-{at}"));
    let sample = point("/in/sample".to_owned(), format!("stage:{name}-{}", stage - 1));
    let inputs = (0..references).map(reference).chain([sample]).collect();
    let outputs = vec![point("/out".to_owned(), format!("stage:{name}-{stage}"))];
    PlanShape { name: format!("{name}/stage-{stage}"), inputs, outputs, log: true }
}

fn point(path: String, tag: String) -> Point {
    Point { path, tag }
}

impl PlanShape {
    /// Tags that the Data of output `at` are born with; past the outputs it is the log.
    pub(crate) fn tags_at_birth(&self, at: usize) -> Vec<String> {
        let own = self.outputs.get(at).map_or_else(|| format!("log:{}", self.name), |output| output.tag.clone());
        vec![TAG_OF_ALL.to_owned(), own]
    }
}

impl Graph {
    /// Which of its maker's outputs a Data is; past the outputs it is the log.
    pub(crate) fn place(&self, data: DataRow) -> usize {
        index(data - self.made(self.maker(data)).start)
    }

    /// Every `step`-th Data.
    pub(crate) fn every(&self, step: usize) -> impl Iterator<Item = DataRow> {
        (0..self.makers.len()).step_by(step.max(1)).map(row)
    }
}
