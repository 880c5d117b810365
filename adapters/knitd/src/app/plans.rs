//! Commands about Plans.

use knit_domain::catalog::{Prospect, RegisterPlan, register, register_within};
use knit_domain::event::Position;
use knit_domain::event::plan::PlanDefinition;
use knit_domain::id::PlanId;
use knit_domain::plan::{Builtin, PlanChange, PlanDraft, change, define_builtin};
use knit_failpoint::failpoint;
use knit_projections::matcher::Forecast;
use knit_projections::projection::Projection as _;
use uuid::Uuid;

use super::App;
use crate::command::{Cause, CommandError, Done};
use crate::streams;

impl App {
    /// Registers a Plan under a fresh id; with `runs_max` only if it gets at most so many Runs when it is registered.
    ///
    /// # Errors
    /// Refused when it is malformed, equivalent to another, would close a cycle, or would get more Runs.
    pub async fn register_plan(
        &self,
        cause: &Cause,
        draft: &PlanDraft,
        runs_max: Option<u64>,
    ) -> Result<(PlanId, Done), CommandError> {
        let plan_id = PlanId(Uuid::new_v4());
        let turn = self.turn_to_register().await;
        let done = self
            .execute(cause, |source| async move {
                let catalog = streams::catalog(source).await?;
                let command = RegisterPlan { plan_id, draft: draft.clone() };
                let Some(runs_max) = runs_max else { return Ok(register(&catalog, command)?) };
                let definition = catalog.state.admissible(draft)?;
                let (position, forecast) = self.forecast(definition, 0).await?;
                Ok(register_within(&catalog, command, &prospect(position, &forecast), runs_max)?)
            })
            .await?;
        drop(turn);
        Ok((plan_id, done))
    }

    /// What registering a Plan would do, with up to `told` of its Runs, and the position of the log at which it would.
    ///
    /// # Errors
    /// [`CommandError::Fault`] when the projections cannot be known to be fresh.
    pub async fn forecast(
        &self,
        definition: PlanDefinition,
        told: usize,
    ) -> Result<(Position, Forecast), CommandError> {
        // A question waits for what others have done before it (D13), also where it is part of a command.
        self.fresh().await?;
        let app = self.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let matcher = app.views().matcher.read();
            (matcher.position(), matcher.forecast(&definition, told))
        });
        asked.await.map_err(|error| CommandError::Fault(format!("counting the Runs of a Plan: {error}")))
    }

    /// Changes what may change of a Plan.
    ///
    /// # Errors
    /// Refused when there is no such Plan or the change breaks a rule.
    pub async fn change_plan(&self, cause: &Cause, id: PlanId, wanted: &PlanChange) -> Result<Done, CommandError> {
        self.execute(cause, |source| async move {
            let plan = streams::plan(source, id).await?;
            Ok(change(id, &plan, wanted.clone())?)
        })
        .await
    }

    /// Defines the built-in Plans where they are not defined yet (X15).
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub async fn define_builtin_plans(&self) -> Result<(), CommandError> {
        let cause = Cause::reactor("installation");
        for builtin in Builtin::ALL {
            let defined = crate::command::execute(self.log(), &cause, |source| async move {
                let plan = streams::plan(source, builtin.id()).await?;
                Ok(define_builtin(builtin, &plan))
            });
            defined.await?;
            failpoint("start.plan-defined");
        }
        Ok(())
    }
}

/// What a forecast says of how many Runs there would be.
pub(crate) fn prospect(position: Position, forecast: &Forecast) -> Prospect {
    let candidates = forecast.inputs.iter().map(|input| (input.path.clone(), input.candidates as u64));
    Prospect { position, runs: forecast.runs, candidates: candidates.collect() }
}
