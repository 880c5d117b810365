//! A raw HTTP/1.1 client over a TCP connection, for what `knit` would never send: bodies that break off, wrong
//! trailers, foreign hosts, clients that dawdle or vanish.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::wait::PATIENCE;

mod kept;
mod mortal;

pub use kept::KeepingClient;

/// What a connection answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order of the wire.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
    /// What followed a chunked body.
    pub trailers: Vec<(String, String)>,
    /// Whether the body came to the end that its framing promised.
    pub complete: bool,
}

impl Response {
    /// The value of the header `name`, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The value of the trailer `name`, given in lower case.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is UTF-8")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON; the message shows it.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// The one string of an error (web-api 1.4).
    ///
    /// # Panics
    /// When the body is not an object with that one string.
    #[must_use]
    #[track_caller]
    pub fn message(&self) -> String {
        let body = self.json();
        assert_eq!(
            body.as_object().map(serde_json::Map::len),
            Some(1),
            "an error has `message` and nothing else: {body}"
        );
        body["message"].as_str().unwrap_or_else(|| panic!("`message` is a string: {body}")).to_owned()
    }
}

fn find<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}

/// A client of one address. Every request has a connection of its own.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    address: SocketAddr,
}

impl Client {
    /// A client of the server at `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// One request without a body.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, method: &str, target: &str) -> Response {
        let mut connection = self.connect();
        connection.head(method, target, &[]);
        connection.response()
    }

    /// A `GET`.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.ask("GET", target)
    }

    /// One request with a JSON body.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn send_json(&self, method: &str, target: &str, body: &Value) -> Response {
        self.send(method, target, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// One request with a body of known length.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut connection = self.connect();
        let length = body.len().to_string();
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("Content-Length", length.as_str())]).collect();
        connection.head(method, target, &headers);
        // A server that refuses early may close before it has read everything; its answer is what counts.
        let _ = connection.write(body);
        connection.response()
    }

    /// Uploads `archive` in one chunk, with `trailers` behind it that are not announced, as the original does.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn upload(&self, archive: &[u8], trailers: &[(&str, &str)]) -> Response {
        let mut connection = self.begin_upload();
        let _ = connection.chunk(archive).and_then(|()| connection.last_chunk(trailers));
        connection.response()
    }

    /// The head of an upload; chunks may follow, or not.
    ///
    /// # Panics
    /// When there is no connection.
    #[must_use]
    #[track_caller]
    pub fn begin_upload(&self) -> Connection {
        let mut connection = self.connect();
        let headers = [("Content-Type", "application/tar+gzip"), ("Transfer-Encoding", "chunked")];
        connection.head("POST", "/api/data", &headers);
        connection
    }

    /// One request with a JSON body or none, of a client that bears that the server is away.
    ///
    /// # Errors
    /// There is no connection, or it ended before the answer did.
    pub fn try_json(&self, method: &str, target: &str, body: Option<&Value>) -> io::Result<Response> {
        let mut connection = self.try_connect()?;
        let text = body.map(Value::to_string).unwrap_or_default();
        let length = text.len().to_string();
        let headers = [("Content-Type", "application/json"), ("Content-Length", length.as_str())];
        connection.try_head(method, target, if body.is_some() { &headers } else { &[] })?;
        connection.write(text.as_bytes())?;
        let mut response = connection.try_response_head()?;
        connection.read_body(&mut response)?;
        response.complete = true;
        Ok(response)
    }

    /// A connection on which nothing has been said.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn connect(&self) -> Connection {
        self.try_connect().expect("the server accepts connections")
    }

    fn try_connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection { stream: BufReader::new(stream), host: self.address.to_string() })
    }
}

/// One connection. Dropped, it is a client that vanishes.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    /// Sends a request head, with the server's own name as `Host` unless `headers` say another.
    ///
    /// # Panics
    /// When it cannot be sent.
    #[track_caller]
    pub fn head(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) {
        self.try_head(method, target, headers).expect("a request head can be sent");
    }

    fn try_head(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> io::Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("Host: {}\r\n", self.host));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.write(head.as_bytes())
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The server closed the connection.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends one chunk.
    ///
    /// # Errors
    /// The server closed the connection.
    pub fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(format!("{:x}\r\n", bytes.len()).as_bytes())?;
        self.write(bytes)?;
        self.write(b"\r\n")
    }

    /// Ends a chunked body.
    ///
    /// # Errors
    /// The server closed the connection.
    pub fn last_chunk(&mut self, trailers: &[(&str, &str)]) -> io::Result<()> {
        self.write(b"0\r\n")?;
        for (name, value) in trailers {
            self.write(format!("{name}: {value}\r\n").as_bytes())?;
        }
        self.write(b"\r\n")
    }

    /// Reads a whole response.
    ///
    /// # Panics
    /// When the connection ends before the head of one did.
    #[must_use]
    #[track_caller]
    pub fn response(&mut self) -> Response {
        let mut response = self.response_head();
        response.complete = self.read_body(&mut response).is_ok();
        response
    }

    /// Reads the head of a response and leaves its body unread.
    ///
    /// # Panics
    /// When the connection ends before.
    #[must_use]
    #[track_caller]
    pub fn response_head(&mut self) -> Response {
        self.try_response_head().expect("the server answers with a whole head")
    }

    fn try_response_head(&mut self) -> io::Result<Response> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not a status line: {line:?}")))?;
        let headers = self.fields()?;
        Ok(Response { status, headers, body: Vec::new(), trailers: Vec::new(), complete: false })
    }

    /// Reads some of a body as it is on the wire, as text.
    ///
    /// # Errors
    /// The connection broke or ended, or nothing came for too long.
    pub fn read_text(&mut self) -> io::Result<String> {
        let bytes = self.stream.fill_buf()?.to_vec();
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.stream.consume(bytes.len());
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads some bytes of a body as they are on the wire, at most `bytes_max`; 0 at the end of the connection.
    ///
    /// # Errors
    /// The connection broke, or nothing came for too long.
    pub fn read_some(&mut self, bytes_max: usize) -> io::Result<usize> {
        self.stream.read(&mut vec![0; bytes_max])
    }

    fn read_body(&mut self, response: &mut Response) -> io::Result<()> {
        if response.status == 204 {
            return Ok(());
        }
        if response.header("transfer-encoding") == Some("chunked") {
            return self.read_chunks(response);
        }
        match response.header("content-length").map(|length| length.parse().expect("a length is a number")) {
            Some(length) => self.read_exactly(length, &mut response.body),
            None => self.stream.read_to_end(&mut response.body).map(drop),
        }
    }

    fn read_chunks(&mut self, response: &mut Response) -> io::Result<()> {
        loop {
            let size = self.line()?;
            let size =
                usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16).map_err(io::Error::other)?;
            if size == 0 {
                response.trailers = self.fields()?;
                return Ok(());
            }
            self.read_exactly(size, &mut response.body)?;
            self.line()?;
        }
    }

    /// Whatever arrived of `length` bytes is kept, also when the connection ends before.
    fn read_exactly(&mut self, length: usize, into: &mut Vec<u8>) -> io::Result<()> {
        let read = (&mut self.stream).take(length as u64).read_to_end(into)?;
        if read == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| io::Error::other(format!("not a field: {line:?}")))?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 || !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
