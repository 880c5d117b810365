//! An upload to a server that may die before it has answered.

use std::io;

use super::{Client, Connection, Response};

impl Client {
    /// Uploads `archive`, with `trailers` behind it.
    ///
    /// # Errors
    /// There was no whole answer.
    pub fn try_upload(&self, archive: &[u8], trailers: &[(&str, &str)]) -> io::Result<Response> {
        let mut connection = self.try_connect()?;
        let headers = [("Content-Type", "application/tar+gzip"), ("Transfer-Encoding", "chunked")];
        connection.try_head("POST", "/api/data", &headers)?;
        connection.chunk(archive)?;
        connection.last_chunk(trailers)?;
        connection.try_response()
    }
}

impl Connection {
    /// Reads a whole response.
    ///
    /// # Errors
    /// The connection ended before it was whole.
    pub fn try_response(&mut self) -> io::Result<Response> {
        let mut response = self.try_response_head()?;
        self.read_body(&mut response)?;
        response.complete = true;
        Ok(response)
    }
}
