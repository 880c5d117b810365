//! A client that shows every byte: requests are written as they are, answers are taken apart by hand.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest time anything may take in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Behind a chunked body.
    pub(crate) trailers: Vec<(String, String)>,
    /// Whether the body ended as its framing promised.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        assert_eq!(self.body.last(), Some(&b'\n'), "JSON is followed by a newline");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The one string of an error.
    #[track_caller]
    pub(crate) fn message(&self) -> String {
        let body = self.json();
        assert_eq!(body.as_object().unwrap().len(), 1, "an error has one field: {body}");
        body["message"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

fn find<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Sends one request on a connection of its own and reads the whole answer.
pub(crate) async fn ask(
    server: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    let mut request = request.into_bytes();
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    exchange(server, &request).await
}

/// Writes `request` as it is and reads until the server closes.
pub(crate) async fn exchange(server: SocketAddr, request: &[u8]) -> Answer {
    let mut socket = TcpStream::connect(server).await.unwrap();
    socket.write_all(request).await.unwrap();
    read_to_the_end(&mut socket).await
}

/// Reads an answer from a connection that the server closes behind it.
pub(crate) async fn read_to_the_end(socket: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A connection that is reset has still said what it said before.
    let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut bytes)).await.expect("the server answers in time");
    parse(&bytes)
}

/// The body of an upload as the original's client sends it: chunked, its trailer not announced.
pub(crate) fn upload(server: SocketAddr, archive: &[u8], trailer: Option<&str>) -> Vec<u8> {
    let head = "POST /api/data HTTP/1.1\r\nContent-Type: application/tar+gzip\r\nTransfer-Encoding: chunked\r\n";
    let mut request = format!("{head}Host: {server}\r\n\r\n").into_bytes();
    for chunk in archive.chunks(1_000) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n");
    if let Some(md5) = trailer {
        request.extend_from_slice(format!("x-checksum-md5: {md5}\r\n").as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request
}

fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    let head_end =
        bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let (status_line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
    let headers = parse_fields(fields);
    let rest = &bytes[head_end + 4..];
    let (body, trailers, whole) = if find(&headers, "transfer-encoding") == Some("chunked") {
        parse_chunked(rest)
    } else {
        let promised = find(&headers, "content-length").map_or(rest.len(), |length| length.parse().unwrap());
        (rest.to_vec(), Vec::new(), rest.len() == promised)
    };
    Answer { status, headers, body, trailers, whole }
}

fn parse_fields(text: &str) -> Vec<(String, String)> {
    let lines = text.split("\r\n").filter(|line| !line.is_empty());
    lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn parse_chunked(mut rest: &[u8]) -> (Vec<u8>, Vec<(String, String)>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line_end) = rest.windows(2).position(|two| two == b"\r\n") else { return (body, Vec::new(), false) };
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line_end]).unwrap(), 16).unwrap();
        rest = &rest[line_end + 2..];
        if length == 0 {
            let whole = rest.ends_with(b"\r\n");
            return (body, parse_fields(std::str::from_utf8(rest).unwrap()), whole);
        }
        if rest.len() < length + 2 {
            body.extend_from_slice(rest);
            return (body, Vec::new(), false);
        }
        body.extend_from_slice(&rest[..length]);
        rest = &rest[length + 2..];
    }
}
