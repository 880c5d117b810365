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

/// Bytes of a list rendered at once: what a long answer costs in memory, whatever its length, and for
/// how long rendering keeps a thread and the projections' lock (well under a millisecond).
const PIECE_BYTES: usize = 64 * 1024;

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

/// 200 with one JSON value that `write` writes, a piece whenever the client has taken the one before. It is given
/// the piece and the bytes that are to be in it, and answers whether there is more.
pub(super) fn written(
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
                    if !goes_on {
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
    with_type(StatusCode::OK, api::JSON, body)
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

/// 200 with a JSON array of one element for each of `ids`.
///
/// Only the ids are kept; `render` is asked for a [`Piece`] of elements whenever the client has taken the
/// one before. It takes ids while the piece has room, see [`Piece::fill`].
pub(super) fn list<I: Send + 'static>(
    ids: Vec<I>,
    mut render: impl FnMut(&mut std::vec::IntoIter<I>, &mut Piece) + Send + 'static,
) -> Response {
    let mut ids = Some(ids.into_iter());
    let mut piece = Piece { bytes: b"[".to_vec(), begun: false };
    let mut pieces = std::iter::from_fn(move || {
        let left = ids.as_mut()?;
        render(left, &mut piece);
        if left.len() == 0 {
            piece.bytes.extend_from_slice(b"]\n");
            ids = None;
        }
        Some(Bytes::from(std::mem::take(&mut piece.bytes)))
    })
    .peekable();
    let first = pieces.next().expect("even an empty list has a piece, its brackets");
    let body = match pieces.peek() {
        None => Body::from(first),
        Some(_) => Body::from_stream(stream::iter(std::iter::once(first).chain(pieces).map(Ok::<_, std::io::Error>))),
    };
    with_type(StatusCode::OK, api::JSON, body)
}

/// Some elements of a list, rendered.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    /// Whether the list has an element already, so that the next needs a comma.
    begun: bool,
}

impl Piece {
    /// Renders ids until the piece is full or none is left; those that `render` does not know are passed over.
    pub(super) fn fill<I, T: Serialize>(
        &mut self,
        ids: &mut impl Iterator<Item = I>,
        mut render: impl FnMut(I) -> Option<T>,
    ) {
        while self.bytes.len() < PIECE_BYTES
            && let Some(id) = ids.next()
        {
            if let Some(element) = render(id) {
                self.push(&element);
            }
        }
    }

    fn push(&mut self, element: &impl Serialize) {
        if std::mem::replace(&mut self.begun, true) {
            self.bytes.push(b',');
        }
        serde_json::to_writer(&mut self.bytes, element)
            .expect("the types of the wire have string keys and finite numbers only");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn text(response: Response) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    fn squares(count: u64) -> Response {
        list((0..count).collect(), |ids, piece| piece.fill(ids, |id| (id % 7 != 3).then_some(id * id)))
    }

    #[tokio::test]
    async fn an_empty_list_is_an_empty_array_and_a_newline() {
        assert_eq!(text(squares(0)).await, "[]\n");
    }

    #[tokio::test]
    async fn a_long_list_is_the_same_json_in_pieces() {
        for count in [1, 3, 4, 5, 100_000] {
            let expected: Vec<u64> = (0..count).filter(|id| id % 7 != 3).map(|id| id * id).collect();
            let text = text(squares(count)).await;
            assert_eq!(serde_json::from_str::<Vec<u64>>(&text).unwrap(), expected);
            assert!(text.ends_with("]\n"));
        }
    }

    #[tokio::test]
    async fn no_piece_grows_with_the_list() {
        let mut body = squares(100_000).into_body();
        while let Some(frame) = body.frame().await {
            assert!(frame.unwrap().into_data().unwrap().len() <= PIECE_BYTES + 64);
        }
    }

    #[test]
    fn a_short_list_is_sent_with_its_length() {
        use http_body::Body as _;
        assert_eq!(squares(3).into_body().size_hint().exact(), Some(8));
        assert_eq!(squares(100_000).into_body().size_hint().exact(), None);
    }
}
