//! Answers: JSON with its newline, long lists in pieces, and the position they reflect.

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderName, HeaderValue, StatusCode};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use knit_domain::event::Position;
use knit_schemas::api;
use serde::Serialize;

/// Bytes of an answer rendered at once: what a long answer costs in memory, whatever its length, and for
/// how long rendering keeps a thread and the projections' lock (well under a millisecond).
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// 200 with one JSON value.
pub(super) fn json(value: &impl Serialize) -> Response {
    json_with(StatusCode::OK, value)
}

/// One JSON value with a status.
pub(super) fn json_with(status: StatusCode, value: &impl Serialize) -> Response {
    let mut body = serde_json::to_vec(value).expect("the types of the wire have string keys and finite numbers only");
    body.push(b'\n');
    with_type(status, api::JSON, Body::from(body))
}

/// 200 with a long text that `write` writes, a piece whenever the client has taken the one before. It is given the
/// piece and the bytes that are to be in it, and answers whether there is more. JSON gets its newline behind it.
pub(super) fn written(
    content_type: &'static str,
    mut write: impl FnMut(&mut Vec<u8>, usize) -> std::io::Result<bool> + Send + 'static,
) -> Response {
    let mut more = true;
    let mut pieces = std::iter::from_fn(move || {
        if !more {
            return None;
        }
        let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
        Some(
            write(&mut piece, PIECE_BYTES)
                .map(|goes_on| {
                    more = goes_on;
                    if !goes_on && content_type == api::JSON {
                        piece.push(b'\n');
                    }
                    Bytes::from(piece)
                })
                .inspect_err(|_| more = false),
        )
    })
    .peekable();
    let first = pieces.next();
    let body = match (first, pieces.peek()) {
        (Some(Ok(first)), None) => Body::from(first),
        (first, _) => Body::from_stream(stream::iter(first.into_iter().chain(pieces))),
    };
    with_type(StatusCode::OK, content_type, body)
}

/// A body of some type.
pub(super) fn with_type(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The same answer, saying which position it reflects.
pub(super) fn at(position: Position, mut response: Response) -> Response {
    response.headers_mut().insert(HeaderName::from_static(api::POSITION_HEADER), HeaderValue::from(position));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn text(response: Response) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    /// Writes the numbers below `count`, as [`written`] wants it.
    fn numbers(count: usize) -> Response {
        let mut next = 0;
        written(api::JSON, move |piece, room_bytes| {
            while piece.len() < room_bytes && next < count {
                piece.extend_from_slice(format!("{next} ").as_bytes());
                next += 1;
            }
            Ok(next < count)
        })
    }

    #[tokio::test]
    async fn a_long_answer_is_the_same_text_in_pieces() {
        for count in [0, 1, 3, 100_000] {
            let expected: String = (0..count).map(|number| format!("{number} ")).collect();
            assert_eq!(text(numbers(count)).await, expected + "\n");
        }
    }

    #[tokio::test]
    async fn no_piece_grows_with_the_answer() {
        let mut body = numbers(100_000).into_body();
        while let Some(frame) = body.frame().await {
            assert!(frame.unwrap().into_data().unwrap().len() <= PIECE_BYTES + 64);
        }
    }

    #[tokio::test]
    async fn an_answer_that_fails_half_way_does_not_seem_whole() {
        let mut pieces = 0;
        let body = written(api::JSON, move |piece, room_bytes| {
            piece.resize(room_bytes, b' ');
            pieces += 1;
            if pieces < 3 { Ok(true) } else { Err(std::io::ErrorKind::Interrupted.into()) }
        });
        assert!(body.into_body().collect().await.is_err());
    }

    #[test]
    fn a_short_answer_is_sent_with_its_length() {
        use http_body::Body as _;
        assert_eq!(numbers(3).into_body().size_hint().exact(), Some(7));
        assert_eq!(numbers(100_000).into_body().size_hint().exact(), None);
    }
}
