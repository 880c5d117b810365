//! A client that keeps its connection, as fast as a client can be on the machine that it measures.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

/// How long an answer may take before measuring it makes no sense any more.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// One connection to a server.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Bytes of the body, also of one that was not kept.
    pub(crate) body_bytes: u64,
    /// The log position that the answer shows, if it says one.
    pub(crate) position: Option<u64>,
}

impl Wire {
    pub(crate) fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::with_capacity(BUFFER_BYTES, stream), address })
    }

    /// A `GET` whose body is thrown away while it comes; it must be 200.
    pub(crate) fn fetch(&mut self, target: &str) -> anyhow::Result<Answer> {
        self.fetch_into(target, &mut io::sink())
    }

    /// A `GET` whose body goes to `body`; it must be 200.
    pub(crate) fn fetch_into(&mut self, target: &str, body: &mut impl Write) -> anyhow::Result<Answer> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let answer = self.answer(body).with_context(|| format!("GET {target} was not answered"))?;
        anyhow::ensure!(answer.status == 200, "GET {target} was answered with {}", answer.status);
        Ok(answer)
    }

    /// A request with a JSON body; it must be 200.
    pub(crate) fn send(&mut self, method: &str, target: &str, body: &Value) -> anyhow::Result<(Answer, Value)> {
        let (body, address) = (body.to_string(), self.address);
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut answered = Vec::new();
        let answer = self.answer(&mut answered).with_context(|| format!("{method} {target} was not answered"))?;
        let text = String::from_utf8_lossy(&answered);
        anyhow::ensure!(answer.status == 200, "{method} {target} was answered with {}: {text}", answer.status);
        Ok((answer, serde_json::from_slice(&answered).unwrap_or(Value::Null)))
    }

    /// Sends a chunked body as it comes, without a checksum, and answers the JSON that comes back.
    pub(crate) fn upload(&mut self, target: &str, mut body: impl Read) -> anyhow::Result<Value> {
        let address = self.address;
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/tar+gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        let mut piece = vec![0; BUFFER_BYTES];
        loop {
            let read = body.read(&mut piece)?;
            let chunk = [format!("{read:x}\r\n").as_bytes(), &piece[..read], b"\r\n"].concat();
            stream.write_all(&chunk)?;
            if read == 0 {
                break;
            }
        }
        let mut answered = Vec::new();
        let answer = self.answer(&mut answered)?;
        let text = String::from_utf8_lossy(&answered);
        anyhow::ensure!(answer.status == 200, "POST {target} was answered with {}: {text}", answer.status);
        Ok(serde_json::from_slice(&answered)?)
    }

    fn answer(&mut self, body: &mut impl Write) -> anyhow::Result<Answer> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).context("not a status line")?;
        let mut answer = Answer { status, body_bytes: 0, position: None };
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse()?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value == "chunked";
            } else if name.eq_ignore_ascii_case("x-knit-position") {
                answer.position = value.parse().ok();
            }
        }
        answer.body_bytes = if chunked { self.chunks(body)? } else { self.exactly(length, body)? };
        Ok(answer)
    }

    fn chunks(&mut self, body: &mut impl Write) -> anyhow::Result<u64> {
        let mut all = 0;
        loop {
            let size = u64::from_str_radix(&self.line()?, 16)?;
            all += self.exactly(size, body)?;
            if size == 0 {
                // Trailers, if any, then an empty line.
                while !self.line()?.is_empty() {}
                return Ok(all);
            }
            self.line()?;
        }
    }

    fn exactly(&mut self, bytes: u64, body: &mut impl Write) -> anyhow::Result<u64> {
        let copied = io::copy(&mut (&mut self.stream).take(bytes), body)?;
        anyhow::ensure!(copied == bytes, "the body broke off after {copied} of {bytes} bytes");
        Ok(copied)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        anyhow::ensure!(self.stream.read_line(&mut line)? > 0, "the connection was closed");
        Ok(line.trim_end().to_owned())
    }
}
