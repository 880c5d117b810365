//! The gate before a transition: where before-hooks are asked (domain.md 5.9).
//!
//! Reactors pass through it at every transition that hooks guard, before they do anything in the world. A
//! closed gate keeps the Run as it is; it is asked again later, so whoever stands behind it is asked at
//! least once. No hooks can be configured yet, so the gate of the server is the open one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use knit_domain::id::RunId;
use knit_domain::run::Status;

/// Who is asked before a Run changes its status.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Asks whether `run`, which is as it was recorded last, may go to `to`.
    ///
    /// It must answer within a bounded time: until then nobody else looks at the Run, and one of the
    /// reactor's places is taken.
    ///
    /// # Errors
    /// [`Closed`]; nothing has been done for the transition then, and it is asked again later.
    async fn before(&self, run: RunId, to: Status) -> Result<Passed, Closed>;
}

/// What was answered by those who let a Run pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// Variables for the Worker; only used on the way to `starting`.
    pub env: BTreeMap<String, String>,
}

/// The Run may not pass now.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// Somebody who was asked said no.
    #[error("the Run may not become {to} yet: {reason}")]
    Refused {
        /// Where it may not go.
        to: Status,
        /// Who said so and why, for people.
        reason: String,
    },
    /// Nobody said no, but not everybody could be asked.
    #[error("cannot ask whether the Run may become {to}")]
    Unanswered {
        /// Where it may not go.
        to: Status,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The gate that stands open.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;

#[async_trait]
impl Gate for OpenGate {
    async fn before(&self, _run: RunId, _to: Status) -> Result<Passed, Closed> {
        Ok(Passed::default())
    }
}
