//! The gate before a transition: where before-hooks are asked (domain.md 5.9).
//!
//! No hooks can be configured yet, so every gate is open; the reactors already pass through it at each
//! transition that hooks will guard, and take from it the environment that hooks may give to a Worker.

use std::collections::BTreeMap;

use knit_domain::id::RunId;
use knit_domain::run::Status;

use crate::command::CommandError;

/// What the hooks answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// Variables for the Worker; only used on the way to `starting`.
    pub env: BTreeMap<String, String>,
}

/// Asks whether `run` may go to `to`.
///
/// # Errors
/// A fault when a hook refuses or cannot be reached: the transition is tried again later.
#[expect(clippy::unused_async, reason = "hooks are called over HTTP; callers already wait for them")]
pub async fn pass(_run: RunId, _to: Status) -> Result<Passed, CommandError> {
    Ok(Passed::default())
}
