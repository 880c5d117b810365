//! One server after another is restarted, as for an upgrade, and no request fails: a client either reaches no
//! server, and asks the next, or it gets an answer.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use knit_tests::http::{Client, Response};
use knit_tests::postgres::TestDatabase;
use knit_tests::server::{Server, Setup};
use knit_tests::wait::wait_until;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{elsewhere, named, register};

/// Clients at once.
const CLIENTS: usize = 3;
/// Requests that are answered between two restarts.
const REQUESTS_BETWEEN: usize = 20;

/// One request, to the first server that is there.
fn ask_somebody(servers: &[Client], first: usize, method: &str, target: &str, body: Option<&Value>) -> Response {
    for turn in 0.. {
        let client = servers[(first + turn) % servers.len()];
        match client.try_json(method, target, body) {
            Ok(response) => return response,
            // The only failure after which it is certain that nothing was asked.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => panic!("{method} {target} to {client:?} failed: {error}"),
        }
    }
    unreachable!("somebody is there in the end")
}

/// Registers Plans and reads them, through one server after the other, until it is over.
fn load(servers: &[Client], client: usize, answered: &AtomicUsize, over: &AtomicBool) {
    for round in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let plan = named(&format!("{client}-{round}")).json();
        let registered = ask_somebody(servers, client + round, "POST", "/api/plans", Some(&plan));
        assert_eq!(registered.status, 200, "{}", registered.text());
        let id = registered.json()["planId"].as_str().expect("a Plan has an id").to_owned();
        let read = ask_somebody(servers, client + round + 1, "GET", &format!("/api/plans/{id}"), None);
        assert_eq!(read.status, 200, "{}", read.text());
        answered.fetch_add(2, Ordering::Relaxed);
    }
}

#[test]
fn a_rolling_restart_fails_no_request() {
    let database = TestDatabase::new();
    let at = |setup: Setup| setup.at_a_lasting_address().start();
    let mut servers: Vec<Server> = vec![at(Setup::new().database(database.url()))];
    servers.extend((0..2).map(|_| at(elsewhere(&database))));
    let clients: Vec<Client> = servers.iter().map(Server::http).collect();
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (clients, answered, over) = (&clients, &answered, &over);
            scope.spawn(move || load(clients, client, answered, over));
        }
        for server in &mut servers {
            let before = answered.load(Ordering::Relaxed);
            wait_until("requests to be answered", || answered.load(Ordering::Relaxed) >= before + REQUESTS_BETWEEN);
            assert!(server.stop().success(), "a server that is told to stop ends well");
            server.start();
        }
        over.store(true, Ordering::Relaxed);
    });
    let quiet = servers.iter().all(|server| !server.log().contains("already exists"));
    assert!(quiet, "a start that finds its tables is no news");
}

/// The kernel takes connections while the server looks elsewhere. Here it does so for as long as it takes.
#[test]
fn a_request_that_has_reached_the_machine_is_answered_although_the_server_stops() {
    let mut server = Setup::new().start();
    let plan = register(server.http(), &named("known"));
    server.signal(Signal::SIGSTOP);
    let mut waiting: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut socket = TcpStream::connect(server.address()).expect("the kernel takes the connection");
            write!(socket, "GET /api/plans/{plan} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address()).unwrap();
            socket
        })
        .collect();
    server.tell_to_stop();
    server.signal(Signal::SIGCONT);
    for socket in &mut waiting {
        let mut answer = String::new();
        std::io::Read::read_to_string(socket, &mut answer).expect("the connection is not reset");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&plan), "{answer:?}");
    }
    assert!(server.wait_for_end().success());
}
