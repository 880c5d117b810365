//! `GET /openapi.json`: the API described from its handlers and types, so that it cannot say another thing.

use std::collections::{BTreeMap, HashMap};

use ::http::{Method, StatusCode};
use axum::response::Response;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{
    ContentBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, ResponseBuilder, Schema, SchemaFormat, Type,
};

use super::problem::Problem;
use super::{
    data, download, events, explain, export, health, ids, lineage, logs, matches, metrics, plan_graph, plans, reply,
    runs, tags, upload,
};
use knit_schemas::api;
use knit_schemas::lineage::Drawing;
use knit_schemas::plan_graph::PlanDrawing;

#[derive(OpenApi)]
#[openapi(
    info(title = "Knitfab", description = "Runs of Plans on Data, and what was made from what."),
    paths(
        data::find,
        data::show,
        data::change_tags,
        upload::receive,
        download::send,
        lineage::around,
        lineage::path,
        lineage::around_run,
        plans::find,
        plans::register,
        plans::show,
        plan_graph::show,
        matches::show,
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
        explain::run,
        explain::run_diff,
        explain::data_diff,
        logs::log,
        logs::of_attempt,
        ids::find,
        tags::find,
        events::watch,
        export::send,
        events::one::show,
        events::why::why,
        document,
        health::alive,
        health::ready,
        metrics::show,
    ),
    components(schemas(api::ErrorMessage, api::LineageGraph, api::LogEvent, api::PlanGraph, api::SealedEvent))
)]
struct Document;

/// The description of this API.
#[utoipa::path(get, path = "/openapi.json", operation_id = "describe", responses((status = 200, description = "This document")))]
pub(super) async fn document() -> Response {
    reply::json(&Document::openapi())
}

/// The names of the parameters that each operation takes in its query.
pub(super) fn query_parameters() -> HashMap<(String, Method), Vec<String>> {
    let described = Document::openapi().paths.paths.into_iter().flat_map(|(path, route)| {
        let operations = [
            (Method::GET, route.get),
            (Method::POST, route.post),
            (Method::PUT, route.put),
            (Method::DELETE, route.delete),
        ];
        operations.into_iter().filter_map(move |(method, operation)| Some(((path.clone(), method), operation?)))
    });
    let in_query = |parameter: &Parameter| parameter.parameter_in == ParameterIn::Query;
    let names = |operation: Operation| {
        operation.parameters.into_iter().flatten().filter(in_query).map(|parameter| parameter.name).collect()
    };
    described.map(|(route, operation)| (route, names(operation))).collect()
}

/// A body that is no JSON. It is only described, never made.
pub(super) enum RawBytes {}

impl utoipa::PartialSchema for RawBytes {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .into()
    }
}

impl utoipa::ToSchema for RawBytes {}

/// One of the server-sent events of an answer. It is only described, never made.
pub(super) enum ServerSentEvent {}

impl utoipa::PartialSchema for ServerSentEvent {
    fn schema() -> RefOr<Schema> {
        let text = |meaning| ObjectBuilder::new().schema_type(Type::String).description(Some(meaning));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("id", text("The position of the event"))
            .property("event", text("Its name"))
            .property("data", text("A LogEvent, as JSON"))
            .into()
    }
}

impl utoipa::ToSchema for ServerSentEvent {}

/// A [`api::LineageGraph`], as JSON or drawn. It is only described, never made.
pub(super) enum LineageAnswer {}

impl utoipa::IntoResponses for LineageAnswer {
    fn responses() -> Responses {
        graph("LineageGraph", &Drawing::ALL.map(Drawing::content_type))
    }
}

/// A [`api::PlanGraph`], as JSON or drawn. It is only described, never made.
pub(super) enum PlanGraphAnswer {}

impl utoipa::IntoResponses for PlanGraphAnswer {
    fn responses() -> Responses {
        graph("PlanGraph", &PlanDrawing::ALL.map(PlanDrawing::content_type))
    }
}

type Responses = BTreeMap<String, RefOr<utoipa::openapi::Response>>;

fn graph(schema: &str, drawn: &[&str]) -> Responses {
    let json = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    let response = ResponseBuilder::new().description("The graph, as `format` says").content(api::JSON, json);
    // What a drawing looks like is described by the authors of its notation.
    let response = drawn.iter().fold(response, |response, form| response.content(*form, ContentBuilder::new().build()));
    [(StatusCode::OK.as_str().to_owned(), response.build().into())].into()
}

/// The statuses of a [`Problem`], and what they mean in general; 405 is no answer of what is described.
pub(super) const PROBLEMS: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "What was sent cannot be understood or breaks a rule"),
    (StatusCode::FORBIDDEN, "The server is not called so, or a page of another site asks"),
    (StatusCode::NOT_FOUND, "There is no such thing"),
    (StatusCode::CONFLICT, "It cannot be done as things are"),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body is too long"),
    (StatusCode::INTERNAL_SERVER_ERROR, "Something broke that nobody can mend by asking in another way"),
    (StatusCode::SERVICE_UNAVAILABLE, "It cannot be done yet: try again later"),
];

/// Every answer that is an error has the same body.
impl utoipa::IntoResponses for Problem {
    fn responses() -> Responses {
        let response = |meaning: &str| {
            let message = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorMessage"))).build();
            ResponseBuilder::new().description(meaning).content(api::JSON, message).build()
        };
        PROBLEMS.iter().map(|(status, meaning)| (status.as_str().to_owned(), response(meaning).into())).collect()
    }
}
