//! Closes the Data Agents of servers that died, so that their Data can be discarded again and their
//! uploads come to an end.

use std::sync::Arc;

use knit_domain::event::agent::AgentClosure;
use knit_domain::id::{AgentMode, AgentName};
use knit_failpoint::failpoint;

use super::{Due, NotDone, Reactor};
use crate::app::App;
use crate::command::{Cause, CommandError};
use crate::{servers, streams};

/// See the head of the module.
pub struct Housekeeping {
    app: App,
}

impl Housekeeping {
    /// The name of the role and of whoever acts in it.
    pub(crate) const NAME: &'static str = "housekeeping";

    /// The reactor of the role `housekeeping`.
    #[must_use]
    pub fn new(app: App) -> Arc<Self> {
        Arc::new(Self { app })
    }

    async fn close_if_orphaned(&self, name: &AgentName) -> Result<(), CommandError> {
        let agent = streams::agent(self.app.log(), name).await?;
        let Some(record) = agent.state.record.filter(|record| record.closed.is_none()) else { return Ok(()) };
        if servers::lives(&self.app, &record.server).await? {
            return Ok(());
        }
        failpoint("housekeeping.server-dead");
        if record.mode == AgentMode::Write {
            let data = streams::data(self.app.log(), record.knit_id).await?;
            if let Some(data) = data.state.record {
                self.app.remove_failed_upload(data.run_id, &data.volume_ref).await?;
            }
        }
        tracing::info!(agent = %name, server = record.server, "closing a Data Agent whose server is gone");
        self.app.close_agent(&Cause::reactor(self.name()), name, AgentClosure::Housekeeping).await.map(|_| ())
    }
}

impl Reactor for Housekeeping {
    type Item = AgentName;

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn due(&self, after: u64) -> Due<AgentName> {
        let worklists = self.app.views().worklists.read();
        // An agent of this very process is closed by the request that opened it.
        let foreign = worklists.agents(after).filter(|agent| agent.server != self.app.server());
        Due { items: foreign.map(|agent| agent.name.clone()).collect(), seen: super::position(&worklists) }
    }

    async fn act(&self, name: AgentName) -> Result<(), NotDone> {
        Ok(self.close_if_orphaned(&name).await?)
    }
}
