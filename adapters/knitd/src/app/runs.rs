//! Commands about Runs.

use knit_domain::decision::{Decision, Versioned};
use knit_domain::event::run::OutputData;
use knit_domain::id::{KnitId, RunId};
use knit_domain::reservation::{Holder, Scope};
use knit_domain::run::removal::{KeptLog, LOG_TAIL_BYTES_MAX, OutputUse};
use knit_domain::run::{self, Run};
use knit_runtime::port::ReadError;
use uuid::Uuid;

use super::App;
use crate::command::{Cause, CommandError, Done};
use crate::streams;

impl App {
    /// Stops a Run and lets it fail.
    ///
    /// # Errors
    /// Refused when there is no such Run or it has ended.
    pub async fn abort(&self, cause: &Cause, id: RunId) -> Result<Done, CommandError> {
        self.decide_on_run(cause, id, |run| Ok(run::abort(run)?)).await
    }

    /// Stops a Run and keeps what it has made as its result.
    ///
    /// # Errors
    /// Refused when there is no such Run or it does not run.
    pub async fn tear_off(&self, cause: &Cause, id: RunId) -> Result<Done, CommandError> {
        self.decide_on_run(cause, id, |run| Ok(run::tear_off(run)?)).await
    }

    /// Runs a finished Run again; the end of its log is kept with the earlier attempt.
    ///
    /// # Errors
    /// Refused as the rules of retrying say.
    pub async fn retry(&self, cause: &Cause, id: RunId) -> Result<Done, CommandError> {
        // Several things are read one after another, and it matters in which order: nothing is taken from memory.
        self.execute(cause, |_| async move {
            let run = streams::run(self.log(), id).await?;
            let record = run.state.existing()?;
            let plan = streams::plan(self.log(), record.plan).await?;
            let outputs = self.uses(&record.outputs).await?;
            // Of one that was redacted nothing is kept, though its volume may be there for another moment.
            let is_there = |log: &&OutputData| outputs.iter().any(|used| run::is_living(&used.data, log));
            let log = self.kept_log(record.log().filter(is_there)).await?;
            Ok(run::retry(&run, &plan, &outputs, log, || KnitId(Uuid::new_v4()))?)
        })
        .await
    }

    /// Deletes a Run and its outputs.
    ///
    /// # Errors
    /// Refused as the rules of deleting say.
    pub async fn delete(&self, cause: &Cause, id: RunId) -> Result<Done, CommandError> {
        // As with a retry, the order in which things are read matters.
        self.execute(cause, |_| async move {
            let run = streams::run(self.log(), id).await?;
            let outputs = self.uses(&run.state.existing()?.outputs).await?;
            Ok(run::delete(&run, &outputs)?)
        })
        .await
    }

    /// Takes a decision that needs nothing but the Run itself.
    ///
    /// # Errors
    /// What `decide` refuses, a conflict that does not end, or a fault.
    pub async fn decide_on_run(
        &self,
        cause: &Cause,
        id: RunId,
        decide: impl Fn(&Versioned<Run>) -> Result<Decision, CommandError> + Send + Sync,
    ) -> Result<Done, CommandError> {
        let decide = &decide;
        self.execute(cause, |source| async move {
            let run = streams::run(source, id).await?;
            decide(&run)
        })
        .await
    }

    pub(super) async fn uses(&self, outputs: &[OutputData]) -> Result<Vec<OutputUse>, CommandError> {
        let mut all = Vec::with_capacity(outputs.len());
        for output in outputs {
            let data = streams::data(self.log(), output.knit_id).await?;
            // Users before tombstones: a Run that is deleted in between is then seen as one of them.
            let users = self.log().holders(&Scope::DataUse(output.knit_id)).await?;
            let mut tombstones = Vec::new();
            for holder in self.log().holders(&Scope::DataTombstones(output.knit_id)).await? {
                if let Holder::Run(run) = holder {
                    tombstones.push(streams::run(self.log(), run).await?);
                }
            }
            all.push(OutputUse { data, users, tombstones });
        }
        Ok(all)
    }

    /// The end of the log in the volume of `log`. A volume that was never made has none.
    async fn kept_log(&self, log: Option<&OutputData>) -> Result<Option<KeptLog>, CommandError> {
        let Some(log) = log else { return Ok(None) };
        match self.runtime().log_tail(&log.volume_ref, LOG_TAIL_BYTES_MAX).await {
            Ok(tail) => Ok(Some(KeptLog::new(tail.bytes, tail.total_bytes))),
            Err(ReadError::Missing { .. }) => Ok(None),
            Err(ReadError::Fault(fault)) => Err(fault.into()),
        }
    }
}
