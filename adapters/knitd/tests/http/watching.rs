//! Streams of events: how many at once, and readers that are slow.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::kit::{World, spec};

/// Streams that a server serves at once.
const STREAMS_MAX: usize = 128;
/// Text of one annotation.
const ANNOTATION_BYTES: usize = 100_000;
/// Plans whose annotation changes, and how often: more text in all than the buffers between two sockets hold.
const PLANS: usize = 10;
/// Changes of each.
const CHANGES: usize = 5;

/// Outputs of a Run, each an event between what is looked for and the end of the log: more than are looked at first.
const OUTPUTS_BETWEEN: usize = 450;

/// Opens a stream of events that stays open.
async fn follow(world: &World) -> TcpStream {
    let mut socket = TcpStream::connect(world.server).await.unwrap();
    let request = format!("GET /api/events?follow HTTP/1.1\r\nHost: {}\r\n\r\n", world.server);
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// Reads until `text` has come; answers everything that came.
async fn read_until(socket: &mut TcpStream, text: &str) -> String {
    let reading = async {
        let (mut bytes, mut looked_at) = (Vec::new(), 0);
        loop {
            let new = bytes.get(looked_at..).unwrap_or_default();
            if new.windows(text.len()).any(|window| window == text.as_bytes()) {
                return String::from_utf8(bytes).unwrap();
            }
            looked_at = bytes.len().saturating_sub(text.len());
            assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "it ended without {text}");
        }
    };
    timeout(PATIENCE, reading).await.expect("it comes in time")
}

#[tokio::test]
async fn as_many_watch_as_may_and_one_more_is_told_so() {
    let world = World::new().await;
    let mut watchers = Vec::new();
    for _ in 0..STREAMS_MAX {
        let mut socket = follow(&world).await;
        read_until(&mut socket, "event: ").await;
        watchers.push(socket);
    }
    let mut refused = follow(&world).await;
    let answer = read_until(&mut refused, "open already").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("please retry later"), "{answer}");
    world.get("/api/data").await.expect(200);
    // What ends by itself needs no place.
    world.get("/api/events?type=PlanRegistered").await.expect(200);
    let data = world.push(&["a:b"]).await;
    for socket in &mut watchers {
        read_until(socket, &data).await;
    }

    watchers.pop();
    let admitted = async {
        loop {
            let mut socket = follow(&world).await;
            if read_until(&mut socket, "\r\n\r\n").await.starts_with("HTTP/1.1 200 ") {
                return;
            }
        }
    };
    timeout(PATIENCE, admitted).await.expect("a place that is given up is free");
}

#[tokio::test]
async fn whoever_reads_slowly_keeps_nobody_waiting_and_misses_nothing() {
    let world = World::new().await;
    let mut slow = follow(&world).await;
    for number in 0..PLANS {
        let plan = world.plan(&spec(&format!("type:{number}"))).await;
        for change in 0..CHANGES {
            let note = format!("note={change}{}", "x".repeat(ANNOTATION_BYTES));
            let change = json!({"remove_key": ["note"], "add": [note]});
            world.send("PUT", &format!("/api/plans/{plan}/annotations"), &change).await.expect(200);
        }
    }
    let head = world.get("/api/plans").await.header("x-knit-position").unwrap().to_owned();
    let all = read_until(&mut slow, &format!("id: {head}\n")).await;
    assert!(all.len() > PLANS * CHANGES * ANNOTATION_BYTES, "what an event says is told whole");
    let ids: Vec<u64> = all.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert_eq!(ids, (1..=head.parse().unwrap()).collect::<Vec<u64>>());
}

#[tokio::test]
async fn the_last_events_of_a_kind_are_found_however_far_back_they_are() {
    let world = World::new().await;
    let early = world.push(&["a:early"]).await;
    world.push(&["type:late"]).await;
    let mut many = spec("type:late");
    let output = |number: usize| json!({"path": format!("/out/{number}"), "tags": ["type:model"]});
    many["outputs"] = (0..OUTPUTS_BETWEEN).map(output).collect();
    let plan = world.plan(&many).await;
    world.run_of(&plan).await;
    let told = async |query: &str| -> Vec<u64> {
        let text = String::from_utf8(world.get(&format!("/api/events?{query}")).await.expect(200).body).unwrap();
        // That is said after a long silence, and whoever does not follow has not to wait for one.
        assert!(!text.contains("nothing else"), "{text}");
        // Where it begins is said before the first event.
        let events = text.split("\n\n").filter(|event| event.contains("\nevent: "));
        events.filter_map(|event| event.strip_prefix("id: ")?.lines().next()?.parse().ok()).collect()
    };
    for wanted in
        ["", "entity=plan", "type=RunSucceeded,DataReserved", &format!("entity=data:{early}"), "entity=agent,run"]
    {
        let all = told(wanted).await;
        assert!(all.len() > 1, "{wanted}");
        for last in [1, 2, all.len().min(1_000), 1_000] {
            let expected = &all[all.len().saturating_sub(last)..];
            assert_eq!(told(&format!("{wanted}&last={last}")).await, expected, "the last {last} of {wanted}");
        }
    }
    assert_eq!(told("type=RunFailed&last=3").await, Vec::<u64>::new());
    for bad in ["last=0", "last=1001", "last=x", "last=1&after=1"] {
        world.get(&format!("/api/events?{bad}")).await.expect(400);
    }
}
