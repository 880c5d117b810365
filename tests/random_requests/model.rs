//! The model: what there is, and what comes of a request, as plainly as it can be said.

use std::collections::{BTreeMap, BTreeSet};

/// Key and value.
pub(crate) type Tag = (String, String);
pub(crate) type Tags = BTreeSet<Tag>;

/// Places in the lists of the model; nothing is ever taken out of them.
pub(crate) type PlanNo = usize;
pub(crate) type RunNo = usize;
pub(crate) type DataNo = usize;

/// The Plan of all uploads.
pub(crate) const UPLOADED: PlanNo = 0;

/// What a Worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// It is no Worker: somebody uploads.
    Upload,
    /// It ends well and makes nothing.
    Succeed,
    /// It ends badly.
    Fail,
    /// It copies the file of its first input to each output.
    Copy,
    /// It runs until it is stopped.
    Hang,
}

/// An input or output of a Plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) path: String,
    pub(crate) tags: Tags,
    /// The one Data that the input asks for.
    pub(crate) pin: Option<DataNo>,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) work: Work,
    pub(crate) inputs: Vec<Point>,
    pub(crate) outputs: Vec<Point>,
    pub(crate) log: Option<Tags>,
    pub(crate) active: bool,
    pub(crate) annotations: Tags,
    /// Name and canonical quantity.
    pub(crate) resources: BTreeMap<String, String>,
}

/// Statuses in which a Run may rest; `Waiting` only while its Plan is inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Waiting,
    Running,
    Done,
    Failed,
    Invalidated,
    Erased,
}

/// How an attempt ended: code, and the message where we know it.
pub(crate) type Exit = (u8, Option<&'static str>);

#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: Option<String>,
    pub(crate) plan: PlanNo,
    /// One for each input of the Plan.
    pub(crate) inputs: Vec<DataNo>,
    pub(crate) status: Status,
    pub(crate) exit: Option<Exit>,
    /// One for each output of the Plan, and one for its log; none when they are gone.
    pub(crate) made: Vec<DataNo>,
    /// How earlier attempts ended.
    pub(crate) earlier: Vec<(Status, Option<Exit>)>,
    /// Whether its status changed since the server was last looked at.
    pub(crate) moved: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Data {
    pub(crate) id: Option<String>,
    pub(crate) run: RunNo,
    /// Which of the outputs of the Plan; the log is behind the last.
    pub(crate) point: usize,
    pub(crate) tags: Tags,
    pub(crate) gone: bool,
    pub(crate) content: Content,
}

/// What is in a Data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Nothing,
    /// One file, called `it`.
    File(String),
    /// A log, or copied from one.
    Log,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) plans: Vec<Plan>,
    pub(crate) runs: Vec<Run>,
    pub(crate) data: Vec<Data>,
}

impl Model {
    /// A fresh server.
    pub(crate) fn new(uploaded: String) -> Self {
        let output = Point { path: "/upload".to_owned(), tags: Tags::new(), pin: None };
        let uploads = Plan {
            id: uploaded,
            work: Work::Upload,
            inputs: Vec::new(),
            outputs: vec![output],
            log: None,
            active: true,
            annotations: Tags::new(),
            resources: BTreeMap::new(),
        };
        Self { plans: vec![uploads], ..Self::default() }
    }

    /// Lets everything happen that happens by itself, until nothing more does.
    pub(crate) fn come_to_rest(&mut self) {
        loop {
            let waiting: Vec<RunNo> = (0..self.runs.len()).filter(|run| self.may_start(*run)).collect();
            waiting.iter().for_each(|run| self.execute(*run));
            let due = self.due();
            if waiting.is_empty() && due.is_empty() {
                return;
            }
            for (plan, inputs) in due {
                self.begin(plan, inputs);
            }
        }
    }

    fn may_start(&self, run: RunNo) -> bool {
        let run = &self.runs[run];
        run.status == Status::Waiting && self.plans[run.plan].active
    }

    fn execute(&mut self, run: RunNo) {
        let work = self.plans[self.runs[run].plan].work;
        match work {
            Work::Upload | Work::Succeed => self.end(run, Status::Done, Some((0, Some("")))),
            Work::Fail => self.end(run, Status::Failed, Some((1, None))),
            Work::Hang => self.become_(run, Status::Running),
            Work::Copy => {
                let content = self.data[self.runs[run].inputs[0]].content.clone();
                let outputs = self.plans[self.runs[run].plan].outputs.len();
                for data in self.runs[run].made.clone().into_iter().take(outputs) {
                    self.data[data].content.clone_from(&content);
                }
                self.end(run, Status::Done, Some((0, Some(""))));
            }
        }
    }

    pub(crate) fn end(&mut self, run: RunNo, status: Status, exit: Option<Exit>) {
        self.runs[run].exit = exit;
        self.become_(run, status);
    }

    fn become_(&mut self, run: RunNo, status: Status) {
        self.runs[run].status = status;
        self.runs[run].moved = true;
    }

    /// Every combination of fitting Data of which there never was a Run.
    fn due(&self) -> Vec<(PlanNo, Vec<DataNo>)> {
        let mut due = Vec::new();
        for (plan, definition) in self.plans.iter().enumerate().filter(|(plan, _)| *plan != UPLOADED) {
            let mut combinations = vec![Vec::new()];
            for input in &definition.inputs {
                let fitting = self.fitting(input);
                let with_each = |so_far: Vec<DataNo>| {
                    fitting.iter().map(move |data| [&so_far[..], &[*data]].concat()).collect::<Vec<_>>()
                };
                combinations = combinations.into_iter().flat_map(with_each).collect();
            }
            combinations.retain(|inputs| !self.runs.iter().any(|run| run.plan == plan && run.inputs == *inputs));
            due.extend(combinations.into_iter().map(|inputs| (plan, inputs)));
        }
        due
    }

    /// The Data that may fill an input.
    pub(crate) fn fitting(&self, input: &Point) -> Vec<DataNo> {
        (0..self.data.len()).filter(|data| self.fits(*data, input)).collect()
    }

    pub(crate) fn fits(&self, data: DataNo, input: &Point) -> bool {
        let Data { run, tags, gone, .. } = &self.data[data];
        let usable = !gone && self.runs[*run].status == Status::Done;
        usable && input.tags.is_subset(tags) && input.pin.is_none_or(|pin| pin == data)
    }

    pub(crate) fn begin(&mut self, plan: PlanNo, inputs: Vec<DataNo>) -> RunNo {
        let run = self.runs.len();
        let (status, exit) = (Status::Waiting, None);
        self.runs.push(Run {
            id: None,
            plan,
            inputs,
            status,
            exit,
            made: Vec::new(),
            earlier: Vec::new(),
            moved: true,
        });
        self.make(run);
        run
    }

    /// Gives a Run fresh outputs.
    pub(crate) fn make(&mut self, run: RunNo) {
        let plan = &self.plans[self.runs[run].plan];
        let tags: Vec<Tags> = plan.outputs.iter().map(|output| output.tags.clone()).chain(plan.log.clone()).collect();
        let outputs = plan.outputs.len();
        for (point, tags) in tags.into_iter().enumerate() {
            self.runs[run].made.push(self.data.len());
            let content = if point < outputs { Content::Nothing } else { Content::Log };
            self.data.push(Data { id: None, run, point, tags, gone: false, content });
        }
    }

    /// Somebody uploads a file with this content.
    pub(crate) fn upload(&mut self, content: &str) -> DataNo {
        let run = self.begin(UPLOADED, Vec::new());
        self.end(run, Status::Done, None);
        let data = self.runs[run].made[0];
        self.data[data].content = Content::File(content.to_owned());
        data
    }

    /// Whether a Run that is no tombstone uses something that `run` made.
    pub(crate) fn is_used(&self, run: RunNo) -> bool {
        self.users(run).any(|user| !matches!(self.runs[user].status, Status::Invalidated | Status::Erased))
    }

    fn users(&self, run: RunNo) -> impl Iterator<Item = RunNo> {
        let made = &self.runs[run].made;
        (0..self.runs.len()).filter(move |user| self.runs[*user].inputs.iter().any(|data| made.contains(data)))
    }

    /// What a Run made goes, and with it the tombstones that remember it.
    pub(crate) fn discard(&mut self, run: RunNo) {
        for tombstone in self.users(run).collect::<Vec<_>>() {
            self.runs[tombstone].status = Status::Erased;
        }
        for data in std::mem::take(&mut self.runs[run].made) {
            self.data[data].gone = true;
        }
    }

    /// The next attempt.
    pub(crate) fn retry(&mut self, run: RunNo) {
        self.discard(run);
        let ended = (self.runs[run].status, self.runs[run].exit.take());
        self.runs[run].earlier.push(ended);
        self.make(run);
        self.become_(run, Status::Waiting);
    }

    pub(crate) fn delete(&mut self, run: RunNo) {
        self.discard(run);
        let root = self.runs[run].inputs.is_empty();
        self.end(run, if root { Status::Erased } else { Status::Invalidated }, None);
    }

    pub(crate) fn status_word(&self, run: RunNo) -> &'static str {
        let Run { status, plan, .. } = &self.runs[run];
        match status {
            Status::Waiting if self.plans[*plan].active => "waiting",
            Status::Waiting => "deactivated",
            Status::Running => "running",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Invalidated => "invalidated",
            Status::Erased => "erased",
        }
    }

    /// Runs that can be asked for.
    pub(crate) fn there(&self) -> impl Iterator<Item = RunNo> {
        (0..self.runs.len()).filter(|run| self.runs[*run].status != Status::Erased)
    }

    /// Data that can be asked for.
    pub(crate) fn data_there(&self) -> impl Iterator<Item = DataNo> {
        (0..self.data.len()).filter(|data| !self.data[*data].gone)
    }

    /// The Runs that hold a place on the machine for as long as they are let.
    pub(crate) fn hanging(&self) -> usize {
        self.runs.iter().filter(|run| run.status == Status::Running).count()
    }

    /// Ids as they are known: by Run and by Data.
    pub(crate) fn run_ids(&self) -> BTreeMap<&str, RunNo> {
        let known = self.runs.iter().enumerate().filter_map(|(run, it)| Some((it.id.as_deref()?, run)));
        known.collect()
    }
}
