//! One server after another is restarted, as for an upgrade, and no request fails: a client either reaches no
//! server, and asks the next, or it gets an answer.

use std::io::{self, ErrorKind, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use knit_tests::archive::{Archive, checksum, noise};
use knit_tests::cli::Conversation;
use knit_tests::http::{Client, KeepingClient, Response};
use knit_tests::load;
use knit_tests::postgres::TestDatabase;
use knit_tests::server::{Server, Setup};
use knit_tests::wait::{PATIENCE, wait_until};
use knit_tests::workshop::id_of;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{elsewhere, named, register};

/// Clients at once that register Plans and read them, each request with a connection of its own; so many besides keep
/// their connections.
const CLIENTS: usize = 3;
/// Plans that are registered and read between two restarts.
const PLANS_BETWEEN: usize = 10;
/// Answers on kept connections between two restarts.
const ANSWERS_BETWEEN: usize = 10;
/// Data that are pushed and pulled between two restarts.
const DATA_BETWEEN: usize = 2;
/// What a Data holds: so much that most of the time one is on its way, and a restart falls into it.
const DATA_BYTES: usize = 1 << 20;

/// After a refusal: who waits for the one server that can help should leave it the processor.
const REFUSED_PAUSE: Duration = Duration::from_millis(5);

/// A request to the first server that is there.
fn ask_somebody(
    servers: &[Client],
    first: usize,
    mut ask: impl FnMut(Client) -> io::Result<Response>,
) -> io::Result<Response> {
    let begun = Instant::now();
    for turn in first.. {
        match ask(servers[turn % servers.len()]) {
            // The only failure after which it is certain that nothing was asked.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && begun.elapsed() < PATIENCE => {
                thread::sleep(REFUSED_PAUSE);
            }
            decided => return decided,
        }
    }
    unreachable!("somebody is there in the end")
}

/// What the clients have done so far, and whether they may end.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    plans: AtomicUsize,
    answers: AtomicUsize,
    data: AtomicUsize,
}

impl Load {
    /// Registers Plans and reads them, through one server after the other; answers their ids.
    fn register(&self, servers: &[Client], client: usize) -> Vec<String> {
        let mut plans = Vec::new();
        while !self.over.load(Ordering::Relaxed) {
            let turn = client + plans.len();
            let plan = named(&format!("{client}-{turn}")).json();
            let registered = ask_somebody(servers, turn, |server| server.try_json("POST", "/api/plans", Some(&plan)));
            let registered = registered.expect("a registration is answered");
            assert_eq!(registered.status, 200, "{}", registered.text());
            let id = id_of(&registered.json(), "planId");
            let read = format!("/api/plans/{id}");
            let read = ask_somebody(servers, turn + 1, |server| server.try_json("GET", &read, None));
            let read = read.expect("a question is answered");
            assert_eq!(read.status, 200, "{}", read.text());
            plans.push(id);
            self.plans.fetch_add(1, Ordering::Relaxed);
        }
        plans
    }

    /// Asks again and again on a connection that is kept.
    fn ask(&self, mut client: KeepingClient, target: &str) {
        while !self.over.load(Ordering::Relaxed) {
            let answer = client.get(target).expect("a question on a kept connection is answered");
            assert_eq!(answer.status, 200, "{}", answer.text());
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
        assert!(client.reused() > 0, "no connection was kept");
    }

    /// Pushes Data to the one that has the volumes and pulls them, when it is there.
    fn transfer(&self, keeper: Client) {
        let archive = Archive::new().file("it", &noise(DATA_BYTES)).gzip();
        let sum = checksum(&archive);
        while !self.over.load(Ordering::Relaxed) {
            let pushed = ask_somebody(&[keeper], 0, |keeper| keeper.try_upload(&archive, &[("x-checksum-md5", &sum)]));
            let pushed = pushed.expect("an upload is answered");
            assert_eq!(pushed.status, 200, "{}", pushed.text());
            let pull = format!("/api/data/{}", id_of(&pushed.json(), "knitId"));
            let pulled = ask_somebody(&[keeper], 0, |keeper| keeper.try_json("GET", &pull, None));
            let pulled = pulled.expect("a download comes to its end");
            assert_eq!(pulled.status, 200, "{}", pulled.text());
            assert_eq!(pulled.trailer("x-checksum-md5"), Some(checksum(&pulled.body).as_str()), "and is whole");
            assert!(pulled.body.len() > DATA_BYTES, "noise is as long as it was");
            self.data.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until there was some more of everything.
    fn goes_on(&self) {
        let counted = || [&self.plans, &self.answers, &self.data].map(|count| count.load(Ordering::Relaxed));
        let before = counted();
        for (kind, more) in [PLANS_BETWEEN, ANSWERS_BETWEEN, DATA_BETWEEN].into_iter().enumerate() {
            wait_until("requests of all kinds to be answered", || counted()[kind] >= before[kind] + more);
        }
    }
}

#[test]
fn a_rolling_restart_fails_no_request() {
    let database = TestDatabase::new();
    let at = |setup: Setup| setup.at_a_lasting_address().start();
    let mut servers: Vec<Server> = vec![at(Setup::new().database(database.url()))];
    servers.extend((0..2).map(|_| at(elsewhere(&database))));
    let clients: Vec<Client> = servers.iter().map(Server::http).collect();
    // Each server has one that follows it, and goes on by itself when it is back.
    let followers: Vec<Conversation> =
        servers.iter().map(|server| server.knit().start(["events", "--follow", "--type", "PlanRegistered"])).collect();
    let known = register(clients[0], &named("known"));
    followers.iter().for_each(|follower| follower.shows(&known));
    let target = format!("/api/plans/{known}");
    let load = Load::default();
    let mut registered = thread::scope(|scope| {
        let (load, clients, target) = (&load, &clients, &target);
        let end = load::End::of(&load.over);
        let registering: Vec<_> =
            (0..CLIENTS).map(|client| scope.spawn(move || load.register(clients, client))).collect();
        for first in 0..CLIENTS {
            scope.spawn(move || load.ask(KeepingClient::of(clients, first), target));
        }
        scope.spawn(move || load.transfer(clients[0]));
        for server in &mut servers {
            load.goes_on();
            assert!(server.stop().success(), "a server that is told to stop ends well");
            server.start();
        }
        load.goes_on();
        drop(end);
        registering.into_iter().flat_map(|client| client.join().expect("a client ends well")).collect::<Vec<_>>()
    });
    let quiet = servers.iter().all(|server| !server.log().contains("already exists"));
    assert!(quiet, "a start that finds its tables is no news");
    let last = register(clients[0], &named("last"));
    registered.extend([known, last]);
    for follower in followers {
        assert_told_once(follower, &registered);
    }
}

/// Whoever follows was told of each of these Plans once, the last of them included, in the order of the log.
fn assert_told_once(follower: Conversation, plans: &[String]) {
    follower.shows(plans.last().expect("some were registered"));
    follower.interrupt();
    let told = follower.finish().ended(130).tells("the stream of events broke off");
    let events: Vec<Value> = told.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let positions: Vec<u64> = events.iter().filter_map(|event| event["position"].as_u64()).collect();
    assert!(positions.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice: {positions:?}");
    let mut ids: Vec<String> = events.iter().map(|event| id_of(&event["stream"], "id")).collect();
    let mut expected = plans.to_vec();
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
}

/// The kernel takes connections while the server looks elsewhere. Here it does so for as long as it takes.
#[test]
fn a_request_that_has_reached_the_machine_is_answered_although_the_server_stops() {
    let mut server = Setup::new().start();
    let plan = register(server.http(), &named("known"));
    // The one that has been answered before gives a command: nobody could ask for that again if it were lost.
    let mut kept = server.http().connect();
    kept.head("GET", &format!("/api/plans/{plan}"), &[]);
    assert_eq!(kept.response().status, 200);
    server.signal(Signal::SIGSTOP);
    let command = named("late").json().to_string();
    let length = command.len().to_string();
    kept.head("POST", "/api/plans", &[("Content-Type", "application/json"), ("Content-Length", &length)]);
    kept.write(command.as_bytes()).expect("the kernel takes what is sent");
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
    let registered = kept.response();
    assert_eq!(registered.status, 200, "{}", registered.text());
    assert!(server.wait_for_end().success());
}
