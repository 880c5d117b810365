//! The catalog: every user's Plan there is, and whether one more may join them.
//!
//! Two rules concern all Plans together. No two are equivalent, that is, have equal definitions
//! (X1); and no Plan feeds itself, directly or through others, because its Runs would never end
//! (X2). Every admission is appended to the one stream of the catalog at the version it was decided
//! on, so of two registrations in a hurry the later is decided again, in view of the earlier.

mod cycles;

use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::decision::{Condition, Decision, Versioned};
use crate::event::catalog::CatalogEvent;
use crate::event::plan::PlanDefinition;
use crate::event::{Position, StreamId, StreamType};
use crate::id::PlanId;
use crate::plan::{InvalidPlan, PlanDraft, validate};

/// Every admitted Plan, in the order of admission. Built-in Plans are not in it: they are equivalent
/// to nothing a user can write, and their outputs have no tags.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Catalog {
    admitted: Vec<Admitted>,
}

/// A Plan of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// Its identity.
    pub plan_id: PlanId,
    /// What makes it the Plan it is.
    pub definition: PlanDefinition,
}

/// Register a Plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterPlan {
    /// A fresh id.
    pub plan_id: PlanId,
    /// What the user wrote.
    pub draft: PlanDraft,
}

/// Why a Plan is not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationRefused {
    /// The Plan is malformed in itself.
    #[error(transparent)]
    Invalid(#[from] InvalidPlan),
    /// There is one like it already, active or not.
    #[error(
        "Plan {existing} is equivalent: it has the same image, entrypoint, args, inputs, outputs, log and on_node; \
         use that one, or change one of these"
    )]
    Equivalent {
        /// The Plan there is.
        existing: PlanId,
    },
    /// It would feed itself, and its Runs would never end.
    #[error("the Plan would feed itself{}: narrow the tags of an input, or pin one by knit#id", route(.through))]
    Cyclic {
        /// The registered Plans on the way from its output back to its input; none if it feeds itself directly.
        through: Vec<PlanId>,
    },
    /// It would get more Runs than whoever registers it wants.
    #[error(
        "the Plan would get {runs} Run{} and at most {runs_max} are wanted: narrow the tags of its inputs",
        if *runs == 1 { "" } else { "s" }
    )]
    TooManyRuns {
        /// How many it would get.
        runs: u64,
        /// How many are wanted.
        runs_max: u64,
        /// For every input, its path and how many Data it finds.
        candidates: Vec<(String, u64)>,
    },
}

/// What a Plan would find if it were registered right after some position of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prospect {
    /// That position.
    pub position: Position,
    /// Runs that it would get: one for every combination of what its inputs find.
    pub runs: u64,
    /// For every input, its path and how many Data it finds.
    pub candidates: Vec<(String, u64)>,
}

impl Prospect {
    /// Whether the Plan would get at most `runs_max` Runs.
    ///
    /// # Errors
    /// [`RegistrationRefused::TooManyRuns`] if it would get more.
    pub fn check(&self, runs_max: u64) -> Result<(), RegistrationRefused> {
        if self.runs <= runs_max {
            return Ok(());
        }
        Err(RegistrationRefused::TooManyRuns { runs: self.runs, runs_max, candidates: self.candidates.clone() })
    }
}

/// How many Plans of a cycle a refusal writes out; a longer way is cut in the middle.
const TOLD_PLANS_MAX: usize = 8;

fn route(through: &[PlanId]) -> String {
    let told = |plans: &[PlanId]| plans.iter().map(ToString::to_string).collect::<Vec<_>>().join(" -> ");
    match through {
        [] => ", because its outputs or log carry every tag that one of its inputs asks for".to_owned(),
        [first @ .., last] if first.len() >= TOLD_PLANS_MAX => {
            let (near, cut) = first.split_at(TOLD_PLANS_MAX - 1);
            format!(" through the Plans {} -> … ({} more) -> {last}", told(near), cut.len())
        }
        plans => format!(" through the Plans {}", told(plans)),
    }
}

/// Registers a Plan: admits it to the catalog and begins its own stream, together.
///
/// # Errors
/// [`RegistrationRefused`], the first rule that is broken in the order of its variants.
pub fn register(catalog: &Versioned<Catalog>, command: RegisterPlan) -> Result<Decision, RegistrationRefused> {
    let RegisterPlan { plan_id, draft } = command;
    let definition = catalog.state.admissible(&draft)?;
    let admitted = CatalogEvent::PlanAdmitted { plan_id, definition: definition.clone() };
    Ok(Decision::write(StreamId::catalog(), catalog.version, [admitted]).and_write(
        StreamId::plan(plan_id),
        0,
        [draft.registered(definition)],
    ))
}

/// Registers a Plan, provided that it gets at most `runs_max` Runs by what is in the log when it is registered.
///
/// # Errors
/// [`RegistrationRefused`], the first rule that is broken in the order of its variants.
pub fn register_within(
    catalog: &Versioned<Catalog>,
    command: RegisterPlan,
    prospect: &Prospect,
    runs_max: u64,
) -> Result<Decision, RegistrationRefused> {
    let decision = register(catalog, command)?;
    prospect.check(runs_max)?;
    // Any event behind it may be one that gives an input another Data.
    Ok(decision.given(Condition::LogAt { position: prospect.position }))
}

impl Catalog {
    /// Folds one event in.
    pub fn apply(&mut self, event: &CatalogEvent) {
        match event {
            CatalogEvent::PlanAdmitted { plan_id, definition } => {
                self.admitted.push(Admitted { plan_id: *plan_id, definition: definition.clone() });
            }
        }
    }

    /// Every admitted Plan, in the order of admission.
    #[must_use]
    pub fn admitted(&self) -> &[Admitted] {
        &self.admitted
    }

    /// What a draft would define, if its Plan may be registered.
    ///
    /// # Errors
    /// [`RegistrationRefused`], the first rule that is broken in the order of its variants.
    pub fn admissible(&self, draft: &PlanDraft) -> Result<PlanDefinition, RegistrationRefused> {
        let definition = validate(draft)?;
        if let Some(twin) = self.admitted.iter().find(|plan| plan.definition == definition) {
            return Err(RegistrationRefused::Equivalent { existing: twin.plan_id });
        }
        match cycles::closed_by(&definition, &self.admitted) {
            Some(through) => Err(RegistrationRefused::Cyclic { through }),
            None => Ok(definition),
        }
    }
}

impl cqrs_es::Aggregate for Catalog {
    const TYPE: &'static str = StreamType::Catalog.as_str();
    type Command = RegisterPlan;
    type Event = CatalogEvent;
    type Error = RegistrationRefused;
    type Services = ();

    /// The catalog's own half of [`register`].
    async fn handle(&mut self, command: RegisterPlan, (): &(), sink: &EventSink<Self>) -> Result<(), Self::Error> {
        let definition = self.admissible(&command.draft)?;
        sink.write(CatalogEvent::PlanAdmitted { plan_id: command.plan_id, definition }, self).await;
        Ok(())
    }

    fn apply(&mut self, event: CatalogEvent) {
        Self::apply(self, &event);
    }
}

#[cfg(test)]
mod tests;
