//! A collector of OpenTelemetry: takes spans over HTTP, as protobuf, and keeps what a test asks about.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// One span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What was done.
    pub name: String,
    /// To which trace it belongs, as hexadecimal.
    pub trace: String,
    /// Its id, as hexadecimal.
    pub id: String,
    /// The span within which it was done; empty if none.
    pub parent: String,
    /// What is said of it; numbers as text.
    pub attributes: BTreeMap<String, String>,
}

/// A collector on a port of its own.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    /// A collector that takes whatever comes. Its threads end with the connections.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn listening() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener knows its address");
        let taken = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&taken);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let into = Arc::clone(&into);
                thread::spawn(move || take(&connection, &into));
            }
        });
        Self { address, taken }
    }

    /// What a server is told, so that it sends spans here.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans of this name that have come so far.
    #[must_use]
    pub fn spans(&self, name: &str) -> Vec<Span> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.iter().filter(|span| span.name == name).cloned().collect()
    }
}

/// Answers one request after another, for as long as they come.
fn take(connection: &TcpStream, into: &Mutex<Vec<Span>>) {
    let mut reader = BufReader::new(connection);
    while let Some((line, body)) = request(&mut reader) {
        let is_right = line.starts_with("POST /v1/traces ");
        if is_right {
            let spans = export(&body).expect("what comes is an export of spans");
            into.lock().unwrap_or_else(PoisonError::into_inner).extend(spans);
        }
        let status = if is_right { "200 OK" } else { "404 Not Found" };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n");
        if (&mut &*connection).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The first line of a request, and its body.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}

/// The spans in an `ExportTraceServiceRequest`: resources (1), their scopes (2), their spans (2).
fn export(bytes: &[u8]) -> Option<Vec<Span>> {
    let mut spans = Vec::new();
    for resource in parts(&fields(bytes)?, 1) {
        for scope in parts(&fields(resource)?, 2) {
            for one in parts(&fields(scope)?, 2) {
                spans.push(span(one)?);
            }
        }
    }
    Some(spans)
}

fn span(bytes: &[u8]) -> Option<Span> {
    let fields = fields(bytes)?;
    let first = |number| parts(&fields, number).next().unwrap_or_default();
    let attributes = parts(&fields, 9).map(attribute).collect::<Option<_>>()?;
    let name = String::from_utf8(first(5).to_vec()).ok()?;
    Some(Span {
        name,
        trace: hex::encode(first(1)),
        id: hex::encode(first(2)),
        parent: hex::encode(first(4)),
        attributes,
    })
}

/// A `KeyValue`, whose value is a text (1), a truth (2) or a whole number (3).
fn attribute(bytes: &[u8]) -> Option<(String, String)> {
    let pair = fields(bytes)?;
    let key = String::from_utf8(parts(&pair, 1).next()?.to_vec()).ok()?;
    let value = fields(parts(&pair, 2).next()?)?;
    let value = match value.first()? {
        (1, Field::Bytes(text)) => String::from_utf8(text.to_vec()).ok()?,
        (_, Field::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    Some((key, value))
}

/// The value of a field of protobuf.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The messages or texts in the fields of this number.
fn parts<'f, 'a>(fields: &'f [(u64, Field<'a>)], number: u64) -> impl Iterator<Item = &'a [u8]> + use<'f, 'a> {
    fields.iter().filter_map(move |(given, field)| match field {
        Field::Bytes(bytes) if *given == number => Some(*bytes),
        Field::Bytes(_) | Field::Number(_) => None,
    })
}

/// The fields of a message, with their numbers.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)?),
            1 => Field::Bytes(split(&mut bytes, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Field::Bytes(split(&mut bytes, length)?)
            }
            5 => Field::Bytes(split(&mut bytes, 4)?),
            _ => return None,
        };
        fields.push((key >> 3, field));
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn split<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}
