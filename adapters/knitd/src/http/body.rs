//! Request bodies that are JSON: bounded, lenient where the wire is, and refused in words.

use std::time::Duration;

use ::http::HeaderMap;
use ::http::header::CONTENT_TYPE;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use knit_schemas::api;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Largest JSON body. The largest honest one holds some values of a mebibyte (a tag's or annotation's
/// limit, web-api 1.10); sixteen of them keep one request from filling the memory.
const JSON_BYTES_MAX: usize = 16 << 20;
/// How long a JSON body may take: a sender that stalls must not hold its connection for ever.
const JSON_WAIT: Duration = Duration::from_secs(60);

/// Which content types a body may have (web-api 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// JSON whatever the header says.
    Anything,
    /// `application/json`, with or without parameters.
    Json,
    /// As `Json`; an empty body and a form count as `{}`.
    JsonOrNothing,
}

/// Reads a whole body and decodes its first JSON value; text behind it is ignored.
///
/// # Errors
/// 413 when it is too long, 400 `reason` with what the decoder said otherwise.
pub(super) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    accepts: Accepts,
    reason: &'static str,
) -> Result<T, Problem> {
    let bytes = whole(body).await?;
    let bytes = match judge(headers, &bytes, accepts) {
        Content::Json => bytes,
        Content::Nothing => Bytes::from_static(b"{}"),
        Content::Foreign(given) => {
            return Err(Problem::bad_request(format!(
                "send JSON with the header `Content-Type: application/json`, not {given}"
            )));
        }
    };
    // The decoder would take an array for the fields of an object, one by one.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::malformed(reason, "the body should be a JSON object"));
    }
    api::decode(&bytes).map_err(|error| Problem::malformed(reason, error.to_string()))
}

async fn whole(body: Body) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(JSON_WAIT, Limited::new(body, JSON_BYTES_MAX).collect());
    match read.await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_large(JSON_BYTES_MAX)),
        Ok(Err(error)) => Err(Problem::bad_request("the body ended early").because(error.to_string())),
        Err(_) => Err(Problem::bad_request(format!("the body did not arrive within {} s", JSON_WAIT.as_secs()))),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Json,
    Nothing,
    Foreign(String),
}

fn judge(headers: &HeaderMap, body: &[u8], accepts: Accepts) -> Content {
    let given = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let essence = given.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let form = matches!(essence, "application/x-www-form-urlencoded" | "multipart/form-data");
    match accepts {
        Accepts::Anything => Content::Json,
        Accepts::JsonOrNothing if body.is_empty() || form => Content::Nothing,
        Accepts::Json | Accepts::JsonOrNothing if essence == "application/json" => Content::Json,
        Accepts::Json | Accepts::JsonOrNothing => {
            Content::Foreign(given.map_or_else(|| "without a type".to_owned(), |given| format!("`{given}`")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(content_type: Option<&str>, body: &str, accepts: Accepts) -> Content {
        let headers = content_type.map(|given| (CONTENT_TYPE, given.parse().unwrap())).into_iter().collect();
        judge(&headers, body.as_bytes(), accepts)
    }

    #[test]
    fn a_plan_is_sent_as_json_and_parameters_do_no_harm() {
        for good in ["application/json", "Application/JSON; charset=utf-8"] {
            assert_eq!(judged(Some(good), "{}", Accepts::Json), Content::Json);
        }
        assert_eq!(judged(Some("text/yaml"), "{}", Accepts::Json), Content::Foreign("`text/yaml`".to_owned()));
        assert_eq!(judged(None, "{}", Accepts::Json), Content::Foreign("without a type".to_owned()));
    }

    #[test]
    fn changes_of_a_plan_may_be_empty_or_a_form() {
        for (content_type, body) in
            [(None, ""), (Some("text/plain"), ""), (Some("multipart/form-data; boundary=x"), "x")]
        {
            assert_eq!(judged(content_type, body, Accepts::JsonOrNothing), Content::Nothing);
        }
        assert_eq!(judged(Some("application/json"), "{}", Accepts::JsonOrNothing), Content::Json);
        assert_eq!(judged(Some("text/xml"), "<a/>", Accepts::JsonOrNothing), Content::Foreign("`text/xml`".to_owned()));
    }

    async fn decoded(body: &str) -> Result<serde_json::Value, Problem> {
        json(&HeaderMap::new(), Body::from(body.to_owned()), Accepts::Anything, "format error").await
    }

    #[tokio::test]
    async fn text_behind_the_first_value_is_ignored() {
        assert_eq!(decoded("{\"add\": []} rest").await.unwrap(), serde_json::json!({"add": []}));
    }

    #[tokio::test]
    async fn tag_21_a_body_that_is_not_json_is_a_bad_request() {
        for bad in ["", "{", "add", "[]", "null"] {
            let problem = decoded(bad).await.unwrap_err();
            assert_eq!(problem.status(), ::http::StatusCode::BAD_REQUEST, "{bad}");
            assert!(problem.message().starts_with("format error\n"), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let problem = decoded(&" ".repeat(JSON_BYTES_MAX + 1)).await.unwrap_err();
        assert_eq!(problem.status(), ::http::StatusCode::PAYLOAD_TOO_LARGE);
    }
}
