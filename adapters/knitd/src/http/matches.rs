//! What a Plan finds for its inputs, and how one Data does for them (ours).

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use knit_domain::event::{Entity, Position};
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::run::Status;
use knit_domain::tag::Tag;
use knit_projections::matcher;
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, RunFilter, Store, Verdict};
use knit_schemas::api;

use super::front::Api;
use super::problem::Problem;
use super::request::{Asked, Named};
use super::{as_of, explain, past, reply};

/// Plans named as producers of what an input lacks: a person looks into a few, and counting the Runs of each
/// reads over all Runs.
const PRODUCERS_MAX: usize = 5;
/// Runs that are named as taking a Data; a person looks into a few.
const RUNS_MAX: usize = 5;

/// `GET /api/plans/{id}/matches`: what the Plan finds for its inputs, and why it makes no Runs; and if a Data is
/// named, how that does for each of them. The same of any earlier time.
#[utoipa::path(get, path = "/api/plans/{id}/matches", operation_id = "showMatches",
    params(
        ("id" = String, Path, description = "Id of a Plan"),
        ("data" = Option<String>, Query, description = "Id of a Data: say of each input whether this fits, and if not, why"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = api::PlanMatches), Problem))]
pub(super) async fn show(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let id: PlanId = named.id("Plan")?;
    let at = as_of::at(&api, &query).await?;
    past::existed(&api, Entity::Plan(id), at).await?;
    let about = query.scalar("data").map(|text| text.parse().map_err(|_| Problem::not_found("Data", text)));
    let about: Option<KnitId> = about.transpose()?;
    if let Some(data) = about {
        past::existed(&api, Entity::Data(data), at).await?;
    }
    // The matcher has at hand what the store finds out by looking at all Data, but knows it only of now.
    let now = if at == At::Now { api.app.views().matcher.read().explain(id) } else { None };
    // Built-in Plans have no inputs, and neither knows them.
    let none = move || matcher::PlanMatches { plan_id: id, inputs: Vec::new(), runs: 0, pending: 0, held: None };
    let told = api.ask(move |store| {
        let plan = store.plan(id, at)?;
        let found = now.or_else(|| store.plan_matches(id, at)).unwrap_or_else(none);
        let verdicts = about.and_then(|data| store.verdicts(id, data, at)).unwrap_or_default();
        let removed: Vec<_> = verdicts.iter().map(|verdict| verdict.removed.clone()).collect();
        let then = Then { store, at };
        Some((then.told(found, verdicts, about, &plan), removed, at.position(store.position())))
    });
    let (mut told, removed, position) = told.await?.ok_or_else(|| Problem::not_found("Plan", &id.to_string()))?;
    for (verdict, removed) in told.inputs.iter_mut().filter_map(|input| input.verdict.as_mut()).zip(removed) {
        verdict.removed = told_removed(&api, &removed).await?;
    }
    Ok(reply::at(position, reply::json(&told)))
}

/// When the first of these Runs were removed, and by whom.
async fn told_removed(api: &Api, removed: &[(RunId, Position)]) -> Result<Vec<api::RemovedRun>, Problem> {
    let mut told = Vec::new();
    for (run, position) in removed.iter().take(RUNS_MAX) {
        let event = past::event_at(api, *position).await?;
        let moment = explain::moment(&event).map(|(_, moment)| moment);
        told.extend(moment.map(|moment| api::RemovedRun { run_id: run.to_string(), moment }));
    }
    Ok(told)
}

/// What is asked, and the time that is asked about.
struct Then<'s> {
    store: &'s Store,
    at: At,
}

impl Then<'_> {
    /// What was found, as the wire says it.
    fn told(
        &self,
        found: matcher::PlanMatches,
        verdicts: Vec<Verdict>,
        about: Option<KnitId>,
        plan: &api::PlanDetail,
    ) -> api::PlanMatches {
        let mut verdicts = verdicts.into_iter();
        let failed = self.found_runs(&plan.plan_id, vec![Status::Failed]);
        let inputs = found.inputs.into_iter().map(|input| {
            let producers = if input.candidates == 0 { self.producers(plan, &input.path) } else { Vec::new() };
            // Where the Plan has run, each of its tags was once on some Data.
            let is_new = found.runs == 0 && self.at == At::Now && producers.is_empty();
            let misspelt = if is_new { misspelt(self.store, &input) } else { Vec::new() };
            let verdict = verdicts.find(|verdict| verdict.path == input.path).zip(about);
            api::InputMatches {
                verdict: verdict.map(|(verdict, data)| told_verdict(verdict, data)),
                ..input_matches(input, producers, misspelt)
            }
        });
        api::PlanMatches {
            plan_id: found.plan_id.to_string(),
            inputs: inputs.collect(),
            runs: found.runs.into(),
            pending: found.pending.into(),
            removed: self.runs_of(&plan.plan_id, vec![Status::Invalidated]),
            failed: failed.len() as u64,
            last_failed: failed.last().map(ToString::to_string),
            held: found.held.map(|held| held.to_string()),
        }
    }

    /// The Plans of which an output or log would fit the input of `plan` at `path`.
    fn producers(&self, plan: &api::PlanDetail, path: &str) -> Vec<api::Producer> {
        let upstreams = plan.inputs.iter().filter(|input| input.path == path).flat_map(|input| &input.upstreams);
        let plans: BTreeSet<&str> = upstreams.map(|upstream| upstream.plan.plan_id.as_str()).collect();
        let pending =
            || Status::ALL.into_iter().filter(|status| !status.is_finished() && *status != Status::Invalidated);
        let producer = |plan_id: &str| api::Producer {
            plan_id: plan_id.to_owned(),
            pending: self.runs_of(plan_id, pending().collect()),
            failed: self.runs_of(plan_id, vec![Status::Failed]),
            removed: self.runs_of(plan_id, vec![Status::Invalidated]),
        };
        plans.into_iter().take(PRODUCERS_MAX).map(producer).collect()
    }

    /// How many Runs a Plan has that are in one of `statuses`.
    fn runs_of(&self, plan_id: &str, statuses: Vec<Status>) -> u64 {
        self.found_runs(plan_id, statuses).len() as u64
    }

    fn found_runs(&self, plan_id: &str, statuses: Vec<Status>) -> Vec<RunId> {
        let plans = Some(plan_id.parse().into_iter().collect());
        let filter = RunFilter { plans, statuses: Some(statuses), ..RunFilter::default() };
        self.store.find_runs(&filter, self.at)
    }
}

pub(super) fn wire_tags(tags: Vec<Tag>) -> Vec<api::Tag> {
    tags.into_iter().map(|tag| api::Tag::new(tag.key, tag.value)).collect()
}

/// What one input finds, without a verdict.
pub(super) fn input_matches(
    input: matcher::InputMatches,
    producers: Vec<api::Producer>,
    misspelt: Vec<api::MisspeltTag>,
) -> api::InputMatches {
    let (nearest, missing) = input.nearest.map(|near| (near.knit_id, near.missing)).unwrap_or_default();
    api::InputMatches {
        path: input.path,
        tags: wire_tags(input.tags),
        candidates: input.candidates as u64,
        nearest: nearest.map(|id| id.to_string()),
        missing: wire_tags(missing),
        producible: !producers.is_empty(),
        producers,
        misspelt,
        verdict: None,
    }
}

/// Which tags that no Data has are nearly others that there are.
pub(super) fn misspelt(store: &Store, input: &matcher::InputMatches) -> Vec<api::MisspeltTag> {
    let nowhere = input.nearest.iter().flat_map(|nearest| &nearest.nowhere).filter(|tag| !tag.is_system());
    let meant = |tag: &Tag| Some((tag.clone(), store.tag_meant(tag)?));
    let wire = |tag: Tag| api::Tag::new(tag.key, tag.value);
    nowhere.filter_map(meant).map(|(tag, meant)| api::MisspeltTag { tag: wire(tag), meant: wire(meant) }).collect()
}

fn told_verdict(verdict: Verdict, data: KnitId) -> api::DataVerdict {
    api::DataVerdict {
        knit_id: data.to_string(),
        fits: verdict.fits,
        lacks: wire_tags(verdict.lacks),
        unusable: verdict.unusable.map(|status| status.to_string()),
        made_by: verdict.made_by.to_string(),
        runs_count: verdict.runs.len() as u64,
        removed_count: verdict.removed.len() as u64,
        // When and by whom that was is not known to the projections.
        removed: Vec::new(),
        runs: verdict.runs.iter().take(RUNS_MAX).map(ToString::to_string).collect(),
    }
}
