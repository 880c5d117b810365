//! Somebody who asks the server over HTTP.

use std::net::SocketAddr;

use knitd::http::{Front, Hosts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::world::{PATIENCE, World};

/// The API of one world, open for as long as this lives.
pub(crate) struct Browser {
    server: SocketAddr,
    serving: JoinHandle<()>,
}

impl Browser {
    pub(crate) async fn of(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let front = Front::new(world.app.clone(), Hosts::new(server, &[]), true);
        let serving = tokio::spawn(knitd::http::serve(listener, front, std::future::pending()));
        Self { server, serving }
    }

    /// The status and everything else of the answer, as it came.
    pub(crate) fn get(&self, target: &str) -> JoinHandle<(u16, Vec<u8>)> {
        self.ask("GET", target, &[], "")
    }

    pub(crate) fn ask(&self, method: &str, target: &str, headers: &[&str], body: &str) -> JoinHandle<(u16, Vec<u8>)> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.server);
        headers.iter().for_each(|header| request.push_str(&format!("{header}\r\n")));
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        tokio::spawn(exchange(self.server, request))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn exchange(server: SocketAddr, request: String) -> (u16, Vec<u8>) {
    let mut socket = TcpStream::connect(server).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("an answer in time").unwrap();
    let status = String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}
