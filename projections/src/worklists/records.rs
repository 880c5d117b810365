//! The worklists as records of a snapshot, and back.

use knit_domain::event::Position;
use knit_domain::id::{AgentMode, AgentName, KnitId, PlanId, RunId, VolumeRef, WorkerName};
use knit_domain::time::Timestamp;
use knit_schemas::proto::worklists as proto;
use knit_schemas::proto::worklists::Record;
use knit_schemas::proto::worklists::record::Content;
use uuid::Uuid;

use super::state::{Kind, Output, Progress, Run};
use super::{Garbage, OpenAgent, Stage, Worklists};
use crate::snapshot::DamagedSnapshot;

type Damage = DamagedSnapshot;

impl Worklists {
    pub(super) fn put_records(&self, put: &mut dyn FnMut(Record)) {
        let mut put = |content| put(Record { content: Some(content) });
        for plan in self.plans.iter() {
            let inputs = plan.inputs.iter().map(ToString::to_string).collect();
            put(Content::Plan(proto::Plan { plan_id: bytes(plan.plan_id.0), active: plan.active, inputs }));
        }
        self.agents.by_name.values().for_each(|agent| put(Content::Agent(agent_record(agent))));
        self.volumes
            .garbage
            .sorted()
            .into_iter()
            .for_each(|(_, garbage)| put(Content::Garbage(garbage_record(garbage))));
        for (knit_id, volume_ref) in self.volumes.unconventional.sorted() {
            put(Content::Volume(proto::Volume { knit_id: bytes(knit_id.0), volume_ref: volume_ref.0.clone() }));
        }
        self.runs.by_id.sorted().into_iter().for_each(|(id, run)| put(Content::Run(run_record(*id, run))));
    }

    pub(super) fn rebuild(
        position: Position,
        records: &mut dyn Iterator<Item = Result<Record, Damage>>,
    ) -> Result<Self, Damage> {
        let mut worklists = Self { position, ..Self::default() };
        for record in records {
            match record?.content {
                Some(Content::Plan(plan)) => worklists.take_plan(&plan)?,
                Some(Content::Agent(agent)) => worklists.take_agent(agent)?,
                Some(Content::Garbage(garbage)) => worklists.take_garbage(garbage)?,
                Some(Content::Volume(volume)) => {
                    let (knit_id, volume_ref) = (KnitId(uuid(&volume.knit_id)?), VolumeRef(volume.volume_ref));
                    worklists.volumes.unconventional.insert(knit_id, volume_ref);
                }
                Some(Content::Run(run)) => worklists.take_run(run)?,
                None => return Err(Damage::contradiction("a record is empty")),
            }
        }
        Ok(worklists)
    }

    fn take_plan(&mut self, plan: &proto::Plan) -> Result<(), Damage> {
        let plan_id = PlanId(uuid(&plan.plan_id)?);
        if self.plans.find(plan_id).is_some() {
            return Err(Damage::contradiction("a Plan occurs twice"));
        }
        self.plans.add(plan_id, plan.active, plan.inputs.iter().map(String::as_str));
        Ok(())
    }

    fn take_agent(&mut self, agent: proto::Agent) -> Result<(), Damage> {
        let name = AgentName(agent.name);
        if self.agents.by_name.contains_key(&name) {
            return Err(Damage::contradiction("a Data Agent occurs twice"));
        }
        self.agents.open(OpenAgent {
            name,
            knit_id: KnitId(uuid(&agent.knit_id)?),
            mode: if agent.writes { AgentMode::Write } else { AgentMode::Read },
            server: agent.server,
            entered: self.reached(agent.entered)?,
            since: Timestamp(agent.since_ms),
        });
        Ok(())
    }

    fn take_garbage(&mut self, garbage: proto::Garbage) -> Result<(), Damage> {
        let knit_id = KnitId(uuid(&garbage.knit_id)?);
        if self.volumes.garbage.contains_key(&knit_id) {
            return Err(Damage::contradiction("a volume is garbage twice"));
        }
        self.volumes.throw_away(Garbage {
            knit_id,
            volume_ref: VolumeRef(garbage.volume_ref),
            entered: self.reached(garbage.entered)?,
            since: Timestamp(garbage.since_ms),
        });
        Ok(())
    }

    fn take_run(&mut self, record: proto::Run) -> Result<(), Damage> {
        let id = RunId(uuid(&record.run_id)?);
        if record.plan as usize >= self.plans.len() || self.runs.by_id.contains_key(&id) {
            return Err(Damage::contradiction("a Run occurs twice or is of an unknown Plan"));
        }
        let (inputs, rest) = record.inputs.as_chunks::<16>();
        if !rest.is_empty() || inputs.len() != self.plans.of(record.plan).inputs.len() {
            return Err(Damage::contradiction("a Run has other inputs than its Plan"));
        }
        let inputs = inputs.iter().map(|id| KnitId(Uuid::from_bytes(*id))).collect();
        let run = Run { plan: record.plan, inputs, progress: None };
        match record.progress {
            Some(progress) => {
                let progress = self.progress_from(progress)?;
                self.runs.begin(id, run, progress);
            }
            None => {
                self.runs.by_id.insert(id, run);
            }
        }
        Ok(())
    }

    /// A position at which something may have come into a list. What came there at 0, or is still to come, would
    /// never be found by whoever asks for what is new.
    fn reached(&self, entered: Position) -> Result<Position, Damage> {
        if (1..=self.position).contains(&entered) {
            return Ok(entered);
        }
        Err(Damage::contradiction("something is due since a position that the snapshot has not reached"))
    }

    fn progress_from(&mut self, record: proto::Progress) -> Result<Progress, Damage> {
        let (stage, kind) = (stage_from(record.stage())?, kind_from(&record)?);
        let entered = self.reached(record.entered)?;
        let outputs = record.outputs.into_iter().map(|output| {
            let knit_id = KnitId(uuid(&output.knit_id)?);
            Ok(Output { path: self.plans.path(&output.path), log: output.log, knit_id })
        });
        Ok(Progress {
            attempt: record.attempt,
            kind,
            stage,
            entered,
            since: Timestamp(record.since_ms),
            outputs: outputs.collect::<Result<_, Damage>>()?,
            worker_name: record.worker_name.map(WorkerName),
            worker_uid: record.worker_uid,
        })
    }
}

fn agent_record(agent: &OpenAgent) -> proto::Agent {
    proto::Agent {
        name: agent.name.0.clone(),
        knit_id: bytes(agent.knit_id.0),
        writes: agent.mode == AgentMode::Write,
        server: agent.server.clone(),
        entered: agent.entered,
        since_ms: agent.since.0,
    }
}

fn garbage_record(garbage: &Garbage) -> proto::Garbage {
    proto::Garbage {
        knit_id: bytes(garbage.knit_id.0),
        volume_ref: garbage.volume_ref.0.clone(),
        entered: garbage.entered,
        since_ms: garbage.since.0,
    }
}

fn run_record(id: RunId, run: &Run) -> proto::Run {
    proto::Run {
        run_id: bytes(id.0),
        plan: run.plan,
        inputs: run.inputs.iter().flat_map(|input| input.0.into_bytes()).collect(),
        progress: run.progress.as_deref().map(progress_record),
    }
}

fn progress_record(progress: &Progress) -> proto::Progress {
    let (kind, deadline_ms) = match progress.kind {
        Kind::Image => (proto::Kind::Image, 0),
        Kind::Upload => (proto::Kind::Upload, 0),
        Kind::Import { deadline } => (proto::Kind::Import, deadline.0),
    };
    let outputs = progress.outputs.iter().map(|output| proto::Output {
        path: output.path.to_string(),
        log: output.log,
        knit_id: bytes(output.knit_id.0),
    });
    proto::Progress {
        attempt: progress.attempt,
        stage: stage_record(progress.stage).into(),
        entered: progress.entered,
        since_ms: progress.since.0,
        kind: kind.into(),
        deadline_ms,
        worker_name: progress.worker_name.as_ref().map(|name| name.0.clone()),
        worker_uid: progress.worker_uid.clone(),
        outputs: outputs.collect(),
    }
}

fn kind_from(record: &proto::Progress) -> Result<Kind, Damage> {
    match record.kind() {
        proto::Kind::Unspecified => Err(Damage::contradiction("a Run is of no known kind")),
        proto::Kind::Image => Ok(Kind::Image),
        proto::Kind::Upload => Ok(Kind::Upload),
        proto::Kind::Import => Ok(Kind::Import { deadline: Timestamp(record.deadline_ms) }),
    }
}

fn stage_record(stage: Stage) -> proto::Stage {
    match stage {
        Stage::Waiting => proto::Stage::Waiting,
        Stage::Held => proto::Stage::Held,
        Stage::Ready => proto::Stage::Ready,
        Stage::Requested => proto::Stage::Requested,
        Stage::Spawned => proto::Stage::Spawned,
        Stage::Running => proto::Stage::Running,
        Stage::Uploading => proto::Stage::Uploading,
        Stage::Importing => proto::Stage::Importing,
        Stage::Completing => proto::Stage::Completing,
        Stage::Aborting => proto::Stage::Aborting,
    }
}

fn stage_from(stage: proto::Stage) -> Result<Stage, Damage> {
    let known = Stage::ALL.into_iter().find(|known| stage_record(*known) == stage);
    known.ok_or_else(|| Damage::contradiction("a Run is at no known stage"))
}

fn bytes(id: Uuid) -> Vec<u8> {
    id.into_bytes().to_vec()
}

fn uuid(bytes: &[u8]) -> Result<Uuid, Damage> {
    Uuid::from_slice(bytes).map_err(|_| Damage::contradiction("an id has not sixteen bytes"))
}
