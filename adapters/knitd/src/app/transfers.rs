//! Commands around transfers: every upload and every download is a Data Agent, opened before and
//! closed after, so that nobody discards a Data under a reader, and a server that died leaves a trace.

use std::sync::{Mutex, PoisonError};

use knit_domain::agent::{close, open_reader};
use knit_domain::event::agent::AgentClosure;
use knit_domain::id::{AgentMode, AgentName, KnitId, RunId, VolumeRef};
use knit_domain::plan::Builtin;
use knit_domain::run::creation::NewUpload;
use knit_domain::run::ending::UploadOutcome;
use knit_domain::run::{RunKind, RunRecord, Status, conclude_upload, start_upload};
use knit_failpoint::failpoint;
use uuid::Uuid;

use super::App;
use crate::command::{Cause, CommandError, Done};
use crate::streams;

/// An upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its Run.
    pub run_id: RunId,
    /// The Data to be.
    pub knit_id: KnitId,
    /// Where its content goes.
    pub volume: VolumeRef,
    /// Its writing Data Agent.
    pub agent: AgentName,
}

/// A download in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTransfer {
    /// Its reading Data Agent.
    pub agent: AgentName,
    /// What is read.
    pub volume: VolumeRef,
}

impl App {
    /// Begins an upload: its Run is `running`, its Data and its writing Data Agent exist.
    ///
    /// # Errors
    /// A fault; nothing has begun then.
    pub async fn begin_upload(&self, cause: &Cause) -> Result<Upload, CommandError> {
        let knit_id = KnitId(Uuid::new_v4());
        let agent = AgentName::of(knit_id, AgentMode::Write, rand::random());
        let upload = NewUpload {
            run_id: RunId(Uuid::new_v4()),
            knit_id,
            agent: agent.clone(),
            server: self.server().to_owned(),
        };
        let wanted = &upload;
        self.execute(cause, |source| async move {
            let plan = streams::plan(source, Builtin::Uploaded.id()).await?;
            Ok(start_upload(&plan, wanted)?)
        })
        .await?;
        Ok(Upload { run_id: upload.run_id, knit_id, volume: VolumeRef::of(knit_id), agent })
    }

    /// Ends an upload.
    ///
    /// # Errors
    /// Refused when the Run was ended by somebody else meanwhile; what was stored is removed and the Data Agent
    /// closed all the same.
    pub async fn end_upload(
        &self,
        cause: &Cause,
        upload: &Upload,
        outcome: &UploadOutcome,
    ) -> Result<Done, CommandError> {
        let concluded = self
            .execute(cause, |source| async move {
                let run = streams::run(source, upload.run_id).await?;
                let agent = streams::agent(source, &upload.agent).await?;
                Ok(conclude_upload(&run, &agent, outcome.clone())?)
            })
            .await;
        if let Err(CommandError::Refused(_)) = &concluded {
            failpoint("upload.ended-by-another");
            // It goes before the agent is closed: while that is open, somebody looks here again after a crash.
            self.remove_failed_upload(upload.run_id, &upload.volume).await?;
            failpoint("upload.taken-away");
            self.close_agent(cause, &upload.agent, AgentClosure::Finished).await?;
        }
        concluded
    }

    /// Removes what an upload has stored although its Run failed: nothing of it is kept, and nobody else knows
    /// of it. An upload that did not fail keeps what it has.
    ///
    /// # Errors
    /// A fault.
    pub async fn remove_failed_upload(&self, run: RunId, volume: &VolumeRef) -> Result<(), CommandError> {
        let run = streams::run(self.log(), run).await?;
        let failed = |run: &RunRecord| matches!(run.status, Status::Aborting | Status::Failed);
        if run.state.record.is_some_and(|run| run.kind == RunKind::Upload && failed(&run)) {
            self.runtime().destroy_volume(volume).await?;
        }
        Ok(())
    }

    /// Opens a reading Data Agent.
    ///
    /// # Errors
    /// Refused when there is no such Data.
    pub async fn open_reader(&self, cause: &Cause, id: KnitId) -> Result<OpenTransfer, CommandError> {
        self.open_reader_by(cause, id, rand::random).await
    }

    /// The same; `chance` tells its name from those of the other readers of the Data.
    ///
    /// # Errors
    /// As [`Self::open_reader`].
    pub async fn open_reader_by(
        &self,
        cause: &Cause,
        id: KnitId,
        chance: impl Fn() -> u32 + Send + Sync,
    ) -> Result<OpenTransfer, CommandError> {
        let drawn = Mutex::new(None);
        let (chosen, chance) = (&drawn, &chance);
        self.execute(cause, |source| async move {
            let data = streams::data(source, id).await?;
            // Drawn afresh at every try. There are a million names for a Data, and one that an earlier reader
            // had is not free again however often it is tried.
            let agent = AgentName::of(id, AgentMode::Read, chance());
            let decision = open_reader(&data, &agent, self.server())?;
            *chosen.lock().unwrap_or_else(PoisonError::into_inner) = Some(agent);
            Ok(decision)
        })
        .await?;
        let agent = drawn.into_inner().unwrap_or_else(PoisonError::into_inner).expect("it was opened under a name");
        // While the agent is open nobody discards the Data, so what is read now is what was decided on.
        let data = streams::data(self.log(), id).await?;
        let volume = data.state.living()?.volume_ref.clone();
        Ok(OpenTransfer { agent, volume })
    }

    /// Closes a Data Agent; closing a closed one changes nothing.
    ///
    /// # Errors
    /// Refused when there is no such agent.
    pub async fn close_agent(&self, cause: &Cause, name: &AgentName, why: AgentClosure) -> Result<Done, CommandError> {
        self.execute(cause, |source| async move {
            let agent = streams::agent(source, name).await?;
            Ok(close(&agent, why)?)
        })
        .await
    }
}
