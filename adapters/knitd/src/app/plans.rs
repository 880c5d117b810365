//! Commands about Plans.

use knit_domain::catalog::{RegisterPlan, register};
use knit_domain::id::PlanId;
use knit_domain::plan::{Builtin, PlanChange, PlanDraft, change, define_builtin};
use knit_failpoint::failpoint;
use uuid::Uuid;

use super::App;
use crate::command::{Cause, CommandError, Done};
use crate::streams;

impl App {
    /// Registers a Plan under a fresh id.
    ///
    /// # Errors
    /// Refused when it is malformed, equivalent to another, or would close a cycle.
    pub async fn register_plan(&self, cause: &Cause, draft: &PlanDraft) -> Result<(PlanId, Done), CommandError> {
        let plan_id = PlanId(Uuid::new_v4());
        let turn = self.turn_to_register().await;
        let done = self
            .execute(cause, |source| async move {
                let catalog = streams::catalog(source).await?;
                Ok(register(&catalog, RegisterPlan { plan_id, draft: draft.clone() })?)
            })
            .await?;
        drop(turn);
        Ok((plan_id, done))
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
