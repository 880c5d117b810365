//! A client that keeps its connection between requests, by the rules of the HTTP library of the original's client.

use std::io::{self, BufRead as _, ErrorKind};
use std::time::Instant;

use crate::wait::PATIENCE;

use super::{Client, Connection, Response};

/// A client of several servers. It asks on the connection that it has, and makes one to the next server where there is
/// none.
#[derive(Debug)]
pub struct KeepingClient {
    servers: Vec<Client>,
    turn: usize,
    kept: Option<Connection>,
    reused: usize,
}

impl KeepingClient {
    /// A client of these servers without a connection; it begins with the one at `first`.
    #[must_use]
    pub fn of(servers: &[Client], first: usize) -> Self {
        Self { servers: servers.to_vec(), turn: first, kept: None, reused: 0 }
    }

    /// How many answers came over a connection that had brought one before.
    #[must_use]
    pub fn reused(&self) -> usize {
        self.reused
    }

    /// A `GET`. On a kept connection it may cross the end of that connection on its way; where not one byte of an
    /// answer comes, it is asked again on a new one, because it changes nothing.
    ///
    /// # Errors
    /// Nobody takes a connection, or an answer on a new connection does not come, or one broke off.
    pub fn get(&mut self, target: &str) -> io::Result<Response> {
        if let Some(mut connection) = self.kept.take().filter(Connection::is_open)
            && let Some(response) = connection.try_get(target)?
        {
            self.reused += 1;
            return Ok(self.keep(connection, response));
        }
        let mut connection = self.connect()?;
        let response = connection.try_get(target)?.ok_or(ErrorKind::UnexpectedEof)?;
        Ok(self.keep(connection, response))
    }

    fn keep(&mut self, connection: Connection, response: Response) -> Response {
        if response.header("connection") != Some("close") {
            self.kept = Some(connection);
        }
        response
    }

    fn connect(&mut self) -> io::Result<Connection> {
        let begun = Instant::now();
        loop {
            let connected = self.servers[self.turn % self.servers.len()].try_connect();
            match connected {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && begun.elapsed() < PATIENCE => {
                    self.turn += 1;
                }
                decided => return decided,
            }
        }
    }
}

impl Connection {
    /// Whether the server has neither closed it nor said anything unasked.
    fn is_open(&self) -> bool {
        let stream = self.stream.get_ref();
        let look = || {
            stream.set_nonblocking(true)?;
            let seen = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            seen
        };
        self.stream.buffer().is_empty() && look().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// A `GET`; none when the connection ends before the first byte of an answer.
    fn try_get(&mut self, target: &str) -> io::Result<Option<Response>> {
        let begun = self.try_head("GET", target, &[]).and_then(|()| self.stream.fill_buf().map(<[u8]>::is_empty));
        match begun.map_err(|error| error.kind()) {
            Ok(true) | Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(None),
            Ok(false) => self.try_response().map(Some),
            Err(other) => Err(other.into()),
        }
    }
}
