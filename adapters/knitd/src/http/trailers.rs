//! Trailers for clients that never ask for them.
//!
//! A download carries its checksum in a trailer, and the original's client reads it without having sent
//! `TE: trailers`. hyper keeps to the letter of the standard and drops the trailers of a response unless
//! the request carried that header. So a connection tells hyper that this client is willing: the header is
//! put behind the request line of every request head as it is read.
//!
//! Heads are found by following the framing of the requests, so nothing is ever put into a body. Behind
//! a request whose framing is not a plain length the rest of the connection passes untouched; such
//! requests (uploads) are the last of their connection, see [`super::serve`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is put behind each request line.
const WILLING: &[u8] = b"TE: trailers\r\n";
/// Bytes kept of each line: enough for the two headers looked for; a longer one of these is not followed.
const LINE_BYTES_KEPT_MAX: usize = 128;
/// Bytes of a head read at once; bodies do not pass through this buffer.
const HEAD_READ_BYTES: usize = 4 * 1024;

/// A connection whose every request says `TE: trailers`.
#[derive(Debug)]
pub(super) struct Willing<S> {
    socket: S,
    framing: Framing,
    ready: BytesMut,
}

impl<S> Willing<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, framing: Framing::default(), ready: BytesMut::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Willing<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ready.is_empty() {
            match this.framing.place {
                Place::Beyond => return Pin::new(&mut this.socket).poll_read(cx, buf),
                Place::Body { left } => return poll_body(this, cx, buf, left),
                Place::RequestLine | Place::Headers => ready!(poll_head(this, cx))?,
            }
        }
        let taken = this.ready.len().min(buf.remaining());
        buf.put_slice(&this.ready[..taken]);
        this.ready.advance(taken);
        Poll::Ready(Ok(()))
    }
}

/// Reads straight into the caller's buffer, but no further than the body goes.
fn poll_body<S: AsyncRead + Unpin>(
    this: &mut Willing<S>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
    left: u64,
) -> Poll<io::Result<()>> {
    let limit = usize::try_from(left).unwrap_or(usize::MAX).min(buf.remaining());
    let part = buf.initialize_unfilled_to(limit);
    let mut part = ReadBuf::new(part);
    ready!(Pin::new(&mut this.socket).poll_read(cx, &mut part))?;
    let read = part.filled().len();
    buf.advance(read);
    this.framing.passed(read as u64);
    Poll::Ready(Ok(()))
}

/// Reads what comes next of a head into `ready`; leaves it empty only at the end of the connection.
fn poll_head<S: AsyncRead + Unpin>(this: &mut Willing<S>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut scratch = [0; HEAD_READ_BYTES];
    let mut scratch = ReadBuf::new(&mut scratch);
    ready!(Pin::new(&mut this.socket).poll_read(cx, &mut scratch))?;
    this.framing.follow(scratch.filled(), &mut this.ready);
    Poll::Ready(Ok(()))
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Willing<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, buf)
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

/// Where in its requests a connection is.
#[derive(Debug, Default)]
struct Framing {
    place: Place,
    /// The beginning of the line being read.
    line: Vec<u8>,
    line_cut: bool,
    body: Body,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before or in the first line of a request.
    #[default]
    RequestLine,
    /// Behind the first line of a request.
    Headers,
    /// In a body of a known length.
    Body { left: u64 },
    /// Behind something that is not followed.
    Beyond,
}

/// What the head says about the body behind it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Body {
    #[default]
    None,
    Length(u64),
    Unfollowed,
}

impl Framing {
    /// Takes `bytes` off the connection and gives them on, with the header put into every head.
    fn follow(&mut self, bytes: &[u8], out: &mut BytesMut) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match self.place {
                Place::RequestLine | Place::Headers => self.follow_line(rest, out),
                Place::Body { left } => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    out.extend_from_slice(&rest[..taken]);
                    self.passed(taken as u64);
                    taken
                }
                Place::Beyond => {
                    out.extend_from_slice(rest);
                    rest.len()
                }
            };
            rest = &rest[taken..];
        }
    }

    /// Gives on what `bytes` hold of the present line; answers how many that were.
    fn follow_line(&mut self, bytes: &[u8], out: &mut BytesMut) -> usize {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        out.extend_from_slice(&bytes[..taken]);
        let kept = taken.min(LINE_BYTES_KEPT_MAX - self.line.len());
        self.line.extend_from_slice(&bytes[..kept]);
        self.line_cut |= kept < taken;
        if end.is_some() {
            self.end_line(out);
        }
        taken
    }

    fn end_line(&mut self, out: &mut BytesMut) {
        let line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.line_cut);
        let text = line.trim_ascii();
        match (self.place, text.is_empty() && !cut) {
            // Empty lines before a request are allowed, and mean nothing.
            (Place::RequestLine, true) => {}
            (Place::RequestLine, false) => {
                out.extend_from_slice(WILLING);
                self.place = Place::Headers;
                self.body = Body::None;
            }
            (Place::Headers, false) => self.body = self.body.with_header(text, cut),
            (Place::Headers, true) => self.place = self.body.place_behind_head(),
            (Place::Body { .. } | Place::Beyond, _) => {}
        }
    }

    /// `count` bytes of the body went by.
    fn passed(&mut self, count: u64) {
        if let Place::Body { left } = self.place {
            self.place = match left.saturating_sub(count) {
                0 => Place::RequestLine,
                left => Place::Body { left },
            };
        }
    }
}

impl Body {
    fn with_header(self, line: &[u8], cut: bool) -> Self {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return self };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Self::Unfollowed;
        }
        if !name.eq_ignore_ascii_case(b"content-length") {
            return self;
        }
        let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        match (self, length) {
            (Self::None, Some(length)) if !cut => Self::Length(length),
            (Self::Length(before), Some(length)) if !cut && before == length => self,
            _ => Self::Unfollowed,
        }
    }

    fn place_behind_head(self) -> Place {
        match self {
            Self::None | Self::Length(0) => Place::RequestLine,
            Self::Length(left) => Place::Body { left },
            Self::Unfollowed => Place::Beyond,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    async fn seen_through(sent: &[u8], piece_bytes: usize) -> String {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let sent = sent.to_vec();
        let writer = tokio::spawn(async move {
            for piece in sent.chunks(piece_bytes) {
                tokio::io::AsyncWriteExt::write_all(&mut client, piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut seen = Vec::new();
        Willing::new(server).read_to_end(&mut seen).await.unwrap();
        writer.await.unwrap();
        String::from_utf8(seen).unwrap()
    }

    async fn check(sent: &str, seen: &str) {
        for piece_bytes in [1, 2, 7, 1_000_000] {
            assert_eq!(seen_through(sent.as_bytes(), piece_bytes).await, seen, "in pieces of {piece_bytes}");
        }
    }

    #[tokio::test]
    async fn every_head_of_a_connection_says_that_trailers_are_welcome() {
        check(
            "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
            "GET /a HTTP/1.1\r\nTE: trailers\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nTE: trailers\r\n\r\n",
        )
        .await;
    }

    #[tokio::test]
    async fn bodies_pass_untouched_and_the_next_head_is_found() {
        check(
            "\r\nPUT /a HTTP/1.1\r\ncontent-length: 9\r\n\r\nx\r\n\r\nGET GET /b HTTP/1.1\n\n",
            "\r\nPUT /a HTTP/1.1\r\nTE: trailers\r\ncontent-length: 9\r\n\r\nx\r\n\r\nGET GET /b HTTP/1.1\nTE: trailers\r\n\n",
        )
        .await;
    }

    #[tokio::test]
    async fn behind_a_chunked_body_nothing_is_touched() {
        check(
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
            "POST /a HTTP/1.1\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
        )
        .await;
    }

    #[tokio::test]
    async fn contradicting_lengths_are_left_to_the_server_to_refuse() {
        let head = "PUT /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\r\n\r\n";
        check(head, &head.replacen("\r\n", "\r\nTE: trailers\r\n", 1)).await;
    }

    #[tokio::test]
    async fn a_very_long_line_does_not_hide_the_end_of_its_head() {
        let long = "x".repeat(10_000);
        check(
            &format!("GET /{long} HTTP/1.1\r\nA: {long}\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
            &format!("GET /{long} HTTP/1.1\r\nTE: trailers\r\nA: {long}\r\n\r\nGET / HTTP/1.1\r\nTE: trailers\r\n\r\n"),
        )
        .await;
    }
}
