//! Plans: finding, reading, registering, and changing what may change.

use std::collections::BTreeSet;

use ::http::HeaderMap;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use knit_domain::event::Entity;
use knit_domain::event::plan as stored;
use knit_domain::event::plan::NodeMode;
use knit_domain::id::PlanId;
use knit_domain::plan::{AnnotationChange, PlanChange, PlanDraft, ResourceChange};
use knit_domain::tag::{Tag, TagSet};
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, ListJson, PlanFilter};
use knit_schemas::api;
use knit_schemas::image::ImageReference;

use super::body::{self, Accepts};
use super::front::Api;
use super::problem::Problem;
use super::query::Query;
use super::request::{Asked, Named};
use super::{as_of, forecast, past, reply};
use crate::command::Cause;

/// Reason of every 400 about a Plan.
const BAD_REQUEST: &str = "bad request";

/// `GET /api/plans`: every Plan that meets the query, ordered by id.
#[utoipa::path(get, path = "/api/plans", operation_id = "findPlans",
    params(
        ("active" = Option<bool>, Query, description = "Only Plans that are active, or not"),
        ("image" = Option<String>, Query, description = "NAME or NAME:TAG, exactly as stored"),
        ("in_tag" = Option<Vec<api::Tag>>, Query, description = "KEY:VALUE; one input must ask for all of them"),
        ("out_tag" = Option<Vec<api::Tag>>, Query, description = "KEY:VALUE; one output or the log must give all of them"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = Vec<api::PlanDetail>), Problem))]
pub(super) async fn find(State(api): State<Api>, Asked(query): Asked) -> Result<Response, Problem> {
    let filter = filter_of(&query)?;
    let at = as_of::at(&api, &query).await?;
    api.ask_for_json(at, move |store, at| Ok(store.plans_json(&filter, at)), ListJson::write).await
}

/// `GET /api/plans/{id}`.
#[utoipa::path(get, path = "/api/plans/{id}", operation_id = "showPlan",
    params(
        ("id" = String, Path, description = "Id of a Plan"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = api::PlanDetail), Problem))]
pub(super) async fn show(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let id: PlanId = named.id("Plan")?;
    let at = as_of::at(&api, &query).await?;
    past::existed(&api, Entity::Plan(id), at).await?;
    detail_at(&api, id, at)
}

/// `POST /api/plans`. Ours: with `dry-run` nothing is registered, and the answer says what would be started.
#[utoipa::path(post, path = "/api/plans", operation_id = "registerPlan",
    params(
        ("dry-run" = Option<bool>, Query, description = "If it is there, whatever its value: register nothing and say what would be started"),
        ("days" = Option<u64>, Query, description = "With `dry-run`: say also how many Runs there would have been on each of the last so many days"),
        ("limit" = Option<u64>, Query, description = "With `dry-run`: name at most so many of the Runs, the first ones; 20 if absent, 0 for all, of which a Plan gets at most 10000 at once"),
        ("max-runs" = Option<u64>, Query, description = "Refuse a Plan that would get more Runs than so many, as the log is at the moment of the registration"),
    ),
    request_body = api::PlanSpec, responses((status = 200, body = api::PlanOrForecast), Problem))]
pub(super) async fn register(
    State(api): State<Api>,
    Asked(query): Asked,
    cause: Cause,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let spec: api::PlanSpec = body::json(&headers, body, Accepts::Json, BAD_REQUEST).await?;
    let draft = draft_of(spec)?;
    if query.has("dry-run") {
        return forecast::answer(&api, &draft, &query).await;
    }
    let (id, _) = api.app.register_plan(&cause, &draft, forecast::runs_max(&query)?).await?;
    detail(&api, id)
}

/// `PUT /api/plans/{id}/active`.
#[utoipa::path(put, path = "/api/plans/{id}/active", operation_id = "activatePlan", params(("id" = String, Path, description = "Id of a Plan")), responses((status = 200, body = api::PlanDetail), Problem))]
pub(super) async fn activate(State(api): State<Api>, named: Named, cause: Cause) -> Result<Response, Problem> {
    change(&api, &named, &cause, &PlanChange::SetActive(true)).await
}

/// `DELETE /api/plans/{id}/active`.
#[utoipa::path(delete, path = "/api/plans/{id}/active", operation_id = "deactivatePlan", params(("id" = String, Path, description = "Id of a Plan")), responses((status = 200, body = api::PlanDetail), Problem))]
pub(super) async fn deactivate(State(api): State<Api>, named: Named, cause: Cause) -> Result<Response, Problem> {
    change(&api, &named, &cause, &PlanChange::SetActive(false)).await
}

/// `PUT /api/plans/{id}/resources`.
#[utoipa::path(put, path = "/api/plans/{id}/resources", operation_id = "changeResources", params(("id" = String, Path, description = "Id of a Plan")), request_body = api::ResourceChange, responses((status = 200, body = api::PlanDetail), Problem))]
pub(super) async fn change_resources(
    State(api): State<Api>,
    named: Named,
    cause: Cause,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: api::ResourceChange = body::json(&headers, body, Accepts::JsonOrNothing, BAD_REQUEST).await?;
    let set = wanted.set.into_iter().map(|(name, quantity)| (name, quantity.to_string())).collect();
    let wanted = ResourceChange { set, unset: wanted.unset.into_iter().collect() };
    change(&api, &named, &cause, &PlanChange::Resources(wanted)).await
}

/// `PUT /api/plans/{id}/annotations`.
#[utoipa::path(put, path = "/api/plans/{id}/annotations", operation_id = "changeAnnotations", params(("id" = String, Path, description = "Id of a Plan")), request_body = api::AnnotationChange, responses((status = 200, body = api::PlanDetail), Problem))]
pub(super) async fn change_annotations(
    State(api): State<Api>,
    named: Named,
    cause: Cause,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: api::AnnotationChange = body::json(&headers, body, Accepts::JsonOrNothing, BAD_REQUEST).await?;
    let wanted = AnnotationChange {
        add: pairs(wanted.add),
        remove: pairs(wanted.remove),
        remove_key: wanted.remove_key.into_iter().collect(),
    };
    change(&api, &named, &cause, &PlanChange::Annotations(wanted)).await
}

/// `PUT /api/plans/{id}/serviceaccount`.
#[utoipa::path(put, path = "/api/plans/{id}/serviceaccount", operation_id = "setServiceAccount", params(("id" = String, Path, description = "Id of a Plan")), request_body = api::ServiceAccount, responses((status = 200, body = api::PlanDetail), Problem))]
pub(super) async fn set_service_account(
    State(api): State<Api>,
    named: Named,
    cause: Cause,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: api::ServiceAccount = body::json(&headers, body, Accepts::JsonOrNothing, BAD_REQUEST).await?;
    change(&api, &named, &cause, &PlanChange::SetServiceAccount(wanted.service_account)).await
}

/// `DELETE /api/plans/{id}/serviceaccount`.
#[utoipa::path(delete, path = "/api/plans/{id}/serviceaccount", operation_id = "clearServiceAccount", params(("id" = String, Path, description = "Id of a Plan")), responses((status = 200, body = api::PlanDetail), Problem))]
pub(super) async fn clear_service_account(
    State(api): State<Api>,
    named: Named,
    cause: Cause,
) -> Result<Response, Problem> {
    change(&api, &named, &cause, &PlanChange::ClearServiceAccount).await
}

async fn change(api: &Api, named: &Named, cause: &Cause, wanted: &PlanChange) -> Result<Response, Problem> {
    let id = named.id("Plan")?;
    api.app.change_plan(cause, id, wanted).await?;
    detail(api, id)
}

/// What a command has made or changed. No Plan is ever deleted: one that is not there is not shown yet.
fn detail(api: &Api, id: PlanId) -> Result<Response, Problem> {
    detail_at(api, id, At::Now).map_err(|_| Problem::not_shown_yet())
}

fn detail_at(api: &Api, id: PlanId, at: At) -> Result<Response, Problem> {
    let store = api.app.views().store.read();
    let plan = store.plan(id, at).ok_or_else(|| Problem::not_found("Plan", &id.to_string()))?;
    Ok(reply::at(at.position(store.position()), reply::json(&plan)))
}

fn filter_of(query: &Query) -> Result<PlanFilter, Problem> {
    let incorrect = |cause: String| Problem::bad_request("query specification is incorrect").because(cause);
    let active = match query.scalar("active") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(other) => return Err(incorrect(format!("`active` should be true or false, not `{other}`"))),
    };
    let image = query.scalar("image").map(|text| name_and_tag(text).ok_or_else(|| incorrect(nameless(text))));
    let (image, image_tag) = image.transpose()?.unzip();
    Ok(PlanFilter {
        active,
        image,
        image_tag: image_tag.flatten(),
        in_tags: query.tags("in_tag")?,
        out_tags: query.tags("out_tag")?,
    })
}

/// Cuts at the first colon behind the last slash; an empty tag means any. `None` if there is no name.
fn name_and_tag(image: &str) -> Option<(String, Option<String>)> {
    let name_starts = image.rfind('/').map_or(0, |slash| slash + 1);
    let colon = image[name_starts..].find(':').map(|colon| name_starts + colon);
    let (name, tag) = colon.map_or((image, ""), |colon| (&image[..colon], &image[colon + 1..]));
    let tag = Some(tag.to_owned()).filter(|tag| !tag.is_empty());
    (name.len() > name_starts).then(|| (name.to_owned(), tag))
}

fn nameless(image: &str) -> String {
    format!("`{image}` names no image: write NAME, NAME: or NAME:TAG")
}

/// What a user wrote, without judging it.
fn draft_of(spec: api::PlanSpec) -> Result<PlanDraft, Problem> {
    let image = ImageReference::parse(&spec.image).map_err(|error| Problem::bad_request(error.to_string()))?;
    let image = stored::Image { repository: image.repository, tag: image.tag };
    let resources = spec.resources.into_iter().map(|(name, quantity)| (name, quantity.to_string())).collect();
    Ok(PlanDraft {
        entrypoint: spec.entrypoint,
        args: spec.args,
        outputs: mountpoints(spec.outputs),
        log: spec.log.map(|log| stored::LogPoint { tags: tags(log.tags) }),
        on_node: spec.on_node.map(on_node).unwrap_or_default(),
        active: spec.active,
        resources,
        service_account: spec.service_account,
        annotations: pairs(spec.annotations),
        ..PlanDraft::new(image, mountpoints(spec.inputs))
    })
}

fn mountpoints(given: Vec<api::Mountpoint>) -> Vec<stored::Mountpoint> {
    given.into_iter().map(|at| stored::Mountpoint { path: at.path, tags: tags(at.tags) }).collect()
}

fn tags(given: Vec<api::Tag>) -> TagSet {
    TagSet::new(given.into_iter().map(|tag| Tag { key: tag.key, value: tag.value }))
}

fn on_node(given: api::OnNode) -> Vec<stored::OnNode> {
    let of = |mode, wishes: Vec<api::Pair>| {
        wishes.into_iter().map(move |wish| stored::OnNode { mode, key: wish.key, value: wish.value })
    };
    let wishes = of(NodeMode::May, given.may);
    wishes.chain(of(NodeMode::Prefer, given.prefer)).chain(of(NodeMode::Must, given.must)).collect()
}

fn pairs(given: Vec<api::Pair>) -> BTreeSet<(String, String)> {
    given.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<PlanFilter, Problem> {
        filter_of(&Query::parse(Some(query)))
    }

    #[test]
    fn an_image_is_cut_at_the_first_colon_behind_the_last_slash() {
        for (image, name, tag) in [
            ("repo:5000/a/b:", "repo:5000/a/b", None),
            ("repo:5000/a/b", "repo:5000/a/b", None),
            ("repo:5000/a/b:v1", "repo:5000/a/b", Some("v1")),
            ("ubuntu:22.04", "ubuntu", Some("22.04")),
        ] {
            assert_eq!(name_and_tag(image), Some((name.to_owned(), tag.map(str::to_owned))), "{image}");
        }
    }

    #[test]
    fn fnd_07_bad_queries_for_plans_are_refused() {
        for bad in ["active=maybe", "in_tag=x", "out_tag=x", "image=:v1.0", "image=repo/:v1.0"] {
            assert_eq!(filter(bad).unwrap_err().status(), ::http::StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn an_empty_query_is_no_condition() {
        assert_eq!(filter("active=&image=&unknown=x"), Ok(PlanFilter::default()));
    }
}
