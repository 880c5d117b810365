//! Changes of a Plan's attributes. They reach every Worker requested afterwards, retries included.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::{self, TooLong};
use super::{Plan, PlanKind};
use crate::decision::{Decision, Versioned};
use crate::event::StreamId;
use crate::event::plan::PlanEvent;
use crate::id::PlanId;

/// One change of attributes. What is already as wanted is left alone and makes no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanChange {
    /// Let its waiting Runs start, or hold them. Built-in Plans refuse: they are always active.
    SetActive(bool),
    /// Change limits of its Workers.
    Resources(ResourceChange),
    /// Change annotations.
    Annotations(AnnotationChange),
    /// Run its Workers under this account; the empty name means under none.
    SetServiceAccount(String),
    /// Run its Workers under no account of their own.
    ClearServiceAccount,
}

/// Limits to change; `set` is applied before `unset`, so a name in both ends up without a limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceChange {
    /// Resource name to canonical quantity.
    pub set: BTreeMap<String, String>,
    /// Resource names. Unsetting does not restore the default of registration (Q22).
    pub unset: BTreeSet<String>,
}

/// Annotations to change; removals are applied before `add`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnnotationChange {
    /// Every pair with such a key goes.
    pub remove_key: BTreeSet<String>,
    /// Exactly these pairs go.
    pub remove: BTreeSet<(String, String)>,
    /// These pairs come.
    pub add: BTreeSet<(String, String)>,
}

/// Why a Plan is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    /// No such Plan.
    #[error("there is no Plan {plan_id}: `knit plan find` lists the Plans there are")]
    Missing {
        /// What was asked for.
        plan_id: PlanId,
    },
    /// The wire answers this as it answers [`PlanRefused::Missing`].
    #[error("Plan {plan_id} is built in: it is always active")]
    AlwaysActive {
        /// What was asked for.
        plan_id: PlanId,
    },
    /// A name or annotation is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// Changes attributes of the Plan `plan_id`, whose stream folds to `plan`.
///
/// # Errors
/// [`PlanRefused`] says which rule stands against it.
pub fn change(plan_id: PlanId, plan: &Versioned<Plan>, change: PlanChange) -> Result<Decision, PlanRefused> {
    let event = change.decide(plan_id, &plan.state)?;
    Ok(Decision::write(StreamId::plan(plan_id), plan.version, event))
}

impl PlanChange {
    pub(super) fn decide(self, plan_id: PlanId, plan: &Plan) -> Result<Option<PlanEvent>, PlanRefused> {
        let kind = plan.kind.as_ref().ok_or(PlanRefused::Missing { plan_id })?;
        match self {
            Self::SetActive(wanted) => match kind {
                PlanKind::Builtin { .. } => Err(PlanRefused::AlwaysActive { plan_id }),
                PlanKind::Image { .. } => Ok(set_active(plan, wanted)),
            },
            Self::Resources(change) => Ok(change_resources(plan, change)?),
            Self::Annotations(change) => Ok(change_annotations(plan, &change)?),
            Self::SetServiceAccount(name) if name.is_empty() => Ok(clear_service_account(plan)),
            Self::SetServiceAccount(name) => Ok(set_service_account(plan, name)?),
            Self::ClearServiceAccount => Ok(clear_service_account(plan)),
        }
    }
}

fn set_active(plan: &Plan, wanted: bool) -> Option<PlanEvent> {
    let event = if wanted { PlanEvent::PlanActivated {} } else { PlanEvent::PlanDeactivated {} };
    (plan.active != wanted).then_some(event)
}

fn change_resources(plan: &Plan, change: ResourceChange) -> Result<Option<PlanEvent>, TooLong> {
    change.set.keys().chain(&change.unset).try_for_each(|name| limits::check_resource_name(name))?;
    let ResourceChange { mut set, mut unset } = change;
    set.retain(|name, quantity| !unset.contains(name) && plan.resources.get(name) != Some(quantity));
    unset.retain(|name| plan.resources.contains_key(name));
    let effective = !(set.is_empty() && unset.is_empty());
    Ok(effective.then_some(PlanEvent::PlanResourcesChanged { set, unset }))
}

fn change_annotations(plan: &Plan, change: &AnnotationChange) -> Result<Option<PlanEvent>, TooLong> {
    change.add.iter().try_for_each(limits::check_annotation)?;
    let goes = |pair: &(String, String)| {
        (change.remove_key.contains(&pair.0) || change.remove.contains(pair)) && !change.add.contains(pair)
    };
    let removed: BTreeSet<_> = plan.annotations.iter().filter(|pair| goes(pair)).cloned().collect();
    let added: BTreeSet<_> = change.add.difference(&plan.annotations).cloned().collect();
    let effective = !(added.is_empty() && removed.is_empty());
    Ok(effective.then_some(PlanEvent::PlanAnnotationsChanged { added, removed }))
}

fn set_service_account(plan: &Plan, name: String) -> Result<Option<PlanEvent>, TooLong> {
    limits::check_service_account(&name)?;
    let effective = plan.service_account.as_ref() != Some(&name);
    Ok(effective.then_some(PlanEvent::PlanServiceAccountSet { name }))
}

fn clear_service_account(plan: &Plan) -> Option<PlanEvent> {
    plan.service_account.is_some().then_some(PlanEvent::PlanServiceAccountCleared {})
}
