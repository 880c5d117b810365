//! `GET /openapi.json`: the API described from its handlers and types, so that it cannot say another thing.

use axum::response::Response;
use utoipa::OpenApi;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use super::problem::Problem;
use super::{data, download, health, lineage, logs, plans, reply, runs, upload};
use knit_schemas::api;

#[derive(OpenApi)]
#[openapi(
    info(title = "Knitfab", description = "Runs of Plans on Data, and what was made from what."),
    paths(
        data::find,
        data::change_tags,
        upload::receive,
        download::send,
        lineage::around,
        plans::find,
        plans::register,
        plans::show,
        plans::matches,
        plans::activate,
        plans::deactivate,
        plans::change_resources,
        plans::change_annotations,
        plans::set_service_account,
        plans::clear_service_account,
        runs::find,
        runs::show,
        runs::abort,
        runs::tear_off,
        runs::retry,
        runs::delete,
        runs::attempts,
        logs::log,
        logs::of_attempt,
        document,
        health::alive,
        health::ready,
    ),
    components(schemas(api::ErrorMessage))
)]
struct Document;

/// The description of this API.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "This document")))]
pub(super) async fn document() -> Response {
    reply::json(&Document::openapi())
}

/// Every answer that is an error has the same body.
impl utoipa::IntoResponses for Problem {
    fn responses() -> std::collections::BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let message = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorMessage"))).build();
        let response = ResponseBuilder::new()
            .description("It did not work: why, and what to do about it")
            .content(api::JSON, message)
            .build();
        [("default".to_owned(), response.into())].into()
    }
}
