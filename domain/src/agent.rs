//! Data Agents: one upload or one download, while it lasts.
//!
//! An agent holds a place in the scope of its Data, so a Data that is being transferred is never
//! discarded (X7) and never written by two at once (X8). A reading agent is opened by itself; a writing
//! one only together with its upload ([`crate::run::start_upload`]). Each agent has a stream of its own.

use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::data::{Data, DataRefused};
use crate::decision::{Condition, Decision, Versioned};
use crate::event::agent::{AgentClosure, AgentEvent};
use crate::event::{StreamId, StreamType};
use crate::id::{AgentMode, AgentName, KnitId};

/// A Data Agent as its stream tells it.
#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Agent {
    /// Absent before the agent is opened.
    pub record: Option<AgentRecord>,
}

/// What there is to know about an agent.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    /// Its name.
    pub name: AgentName,
    /// Its Data.
    pub knit_id: KnitId,
    /// Whether it reads or writes.
    pub mode: AgentMode,
    /// The server process that serves it.
    pub server: String,
    /// Why it was closed; absent while it is open.
    pub closed: Option<AgentClosure>,
}

/// A command to a Data Agent that a rule forbids. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentRefused {
    /// There is no such agent.
    #[error("there is no such Data Agent")]
    Missing,
    /// There is no such Data, or it was discarded.
    #[error(transparent)]
    Data(#[from] DataRefused),
}

impl Agent {
    /// Takes one more event of the stream into account.
    pub fn apply(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::AgentOpened { name, knit_id, mode, server } => {
                let (name, server) = (name.clone(), server.clone());
                self.record = Some(AgentRecord { name, knit_id: *knit_id, mode: *mode, server, closed: None });
            }
            AgentEvent::AgentClosed { cause, .. } => {
                if let Some(record) = &mut self.record {
                    record.closed = Some(*cause);
                }
            }
        }
    }

    fn closing(&self, cause: AgentClosure) -> Option<AgentEvent> {
        let open = self.record.as_ref().filter(|record| record.closed.is_none())?;
        Some(AgentEvent::AgentClosed { name: open.name.clone(), knit_id: open.knit_id, mode: open.mode, cause })
    }
}

/// A download begins, served by the process `server` under the fresh name `name`.
///
/// Any number of readers may be open. The decision holds only while the Data stays as it is, because
/// it may be discarded at the same moment.
///
/// # Errors
/// [`DataRefused::Missing`] when there is no such Data.
pub fn open_reader(data: &Versioned<Data>, name: &AgentName, server: &str) -> Result<Decision, DataRefused> {
    let knit_id = data.state.living()?.knit_id;
    let undiscarded = Condition::StreamAt { stream: StreamId::data(knit_id), version: data.version };
    Ok(opens(Decision::nothing(), knit_id, AgentMode::Read, name, server).given(undiscarded))
}

/// `decision`, and in the same append an agent for `knit_id` opens.
pub(crate) fn opens(decision: Decision, knit_id: KnitId, mode: AgentMode, name: &AgentName, server: &str) -> Decision {
    let opened = AgentEvent::AgentOpened { name: name.clone(), knit_id, mode, server: server.to_owned() };
    decision.and_write(StreamId::agent(name), 0, [opened])
}

/// A transfer is over; nothing if that is on record already.
///
/// # Errors
/// [`AgentRefused::Missing`] when there is no such agent.
pub fn close(agent: &Versioned<Agent>, cause: AgentClosure) -> Result<Decision, AgentRefused> {
    if agent.state.record.is_none() {
        return Err(AgentRefused::Missing);
    }
    Ok(closes(Decision::nothing(), agent, cause))
}

/// `decision`, and in the same append `agent` closes if it is open.
pub(crate) fn closes(decision: Decision, agent: &Versioned<Agent>, cause: AgentClosure) -> Decision {
    match &agent.state.record {
        Some(record) => decision.and_write(StreamId::agent(&record.name), agent.version, agent.state.closing(cause)),
        None => decision,
    }
}

/// What may be asked of the stream of one agent once it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentCommand {
    /// See [`close`].
    Close(AgentClosure),
}

impl cqrs_es::Aggregate for Agent {
    const TYPE: &'static str = StreamType::Agent.as_str();
    type Command = AgentCommand;
    type Event = AgentEvent;
    type Error = AgentRefused;
    type Services = ();

    async fn handle(&mut self, command: AgentCommand, (): &(), sink: &EventSink<Self>) -> Result<(), AgentRefused> {
        let AgentCommand::Close(cause) = command;
        if self.record.is_none() {
            return Err(AgentRefused::Missing);
        }
        if let Some(event) = self.closing(cause) {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: AgentEvent) {
        Self::apply(self, &event);
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;
    use uuid::Uuid;

    use super::*;

    fn name() -> AgentName {
        AgentName::of(KnitId(Uuid::nil()), AgentMode::Read, 7)
    }

    fn opened() -> AgentEvent {
        let (knit_id, mode) = (KnitId(Uuid::nil()), AgentMode::Read);
        AgentEvent::AgentOpened { name: name(), knit_id, mode, server: "server".to_owned() }
    }

    fn closed(cause: AgentClosure) -> AgentEvent {
        AgentEvent::AgentClosed { name: name(), knit_id: KnitId(Uuid::nil()), mode: AgentMode::Read, cause }
    }

    #[test]
    fn hsk_09_an_agent_is_closed_once_and_its_first_cause_stands() {
        let open = || TestFramework::<Agent>::with(()).given(vec![opened()]);
        let (finished, swept) = (AgentClosure::Finished, AgentClosure::Housekeeping);
        open().when(AgentCommand::Close(swept)).then_expect_events(vec![closed(swept)]);
        open().and(vec![closed(finished)]).when(AgentCommand::Close(swept)).then_expect_events(vec![]);
    }

    #[test]
    fn an_unknown_agent_cannot_be_closed() {
        let nothing = TestFramework::<Agent>::with(()).given_no_previous_events();
        nothing.when(AgentCommand::Close(AgentClosure::Finished)).then_expect_error(AgentRefused::Missing);
    }
}
