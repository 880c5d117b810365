//! Data: finding, and changing tags. Their content travels in [`super::upload`] and [`super::download`].

use ::http::HeaderMap;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use knit_domain::data::TagChange;
use knit_domain::event::Entity;
use knit_domain::id::KnitId;
use knit_domain::tag::{KEY_TIMESTAMP, Tag};
use knit_domain::time::Timestamp;
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, DataFilter, ListJson};
use knit_schemas::api;

use super::body::{self, Accepts};
use super::front::Api;
use super::problem::Problem;
use super::query::Query;
use super::request::{Asked, Named};
use super::{as_of, past, reply};
use crate::command::Cause;

/// `GET /api/data`: every Data that meets the query, by timestamp, those without one last.
#[utoipa::path(get, path = "/api/data", operation_id = "findData",
    params(
        ("tag" = Option<Vec<api::Tag>>, Query, description = "KEY:VALUE; the Data must have all of them"),
        ("since" = Option<String>, Query, description = "RFC 3339: made then or later"),
        ("duration" = Option<String>, Query, description = "Like 1h30m: and earlier than so long after `since`"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = Vec<api::DataDetail>), Problem))]
pub(super) async fn find(State(api): State<Api>, Asked(query): Asked) -> Result<Response, Problem> {
    let filter = filter_of(&query)?;
    let at = as_of::at(&api, &query).await?;
    api.ask_for_json(at, move |store, at| Ok(store.data_json(&filter, at)), ListJson::write).await
}

/// `GET /api/data/{id}/detail` (ours): one Data and its neighbours.
#[utoipa::path(get, path = "/api/data/{id}/detail", operation_id = "showData",
    params(
        ("id" = String, Path, description = "Id of a Data"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = api::DataDetail), Problem))]
pub(super) async fn show(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let id: KnitId = named.id("Data")?;
    let at = as_of::at(&api, &query).await?;
    past::existed(&api, Entity::Data(id), at).await?;
    detail_at(&api, id, at)
}

/// `PUT /api/data/{id}`.
#[utoipa::path(put, path = "/api/data/{id}", operation_id = "changeTags", params(("id" = String, Path, description = "Id of a Data")), request_body = api::TagChange, responses((status = 200, body = api::DataDetail), Problem))]
pub(super) async fn change_tags(
    State(api): State<Api>,
    named: Named,
    cause: Cause,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: api::TagChange = body::json(&headers, body, Accepts::Anything, "format error").await?;
    let id: KnitId = named.id("Data").map_err(|_| Problem::untaggable())?;
    let tags = |tags: Vec<api::Tag>| tags.into_iter().map(|tag| Tag::new(tag.key, tag.value)).collect();
    let wanted = TagChange {
        add: tags(wanted.add),
        remove: tags(wanted.remove),
        remove_key: wanted.remove_key.into_iter().collect(),
    };
    if let Err(error) = api.app.change_tags(&cause, id, &wanted).await {
        return Err(past::told(&api, id, Problem::of_tagging(error)).await);
    }
    detail(&api, id)
}

/// 200 with a Data as it is now.
pub(super) fn detail(api: &Api, id: KnitId) -> Result<Response, Problem> {
    detail_at(api, id, At::Now)
}

fn detail_at(api: &Api, id: KnitId, at: At) -> Result<Response, Problem> {
    let store = api.app.views().store.read();
    let data = store.data(id, at).ok_or_else(Problem::not_shown_yet)?;
    Ok(reply::at(at.position(store.position()), reply::json(&data)))
}

fn filter_of(query: &Query) -> Result<DataFilter, Problem> {
    let tags = query.tags("tag")?;
    for tag in tags.iter().filter(|tag| tag.key == KEY_TIMESTAMP) {
        Timestamp::parse(&tag.value).map_err(|error| Problem::bad_request(error.to_string()))?;
    }
    let range = query.range()?;
    Ok(DataFilter { tags, since: range.since, until: range.until })
}
