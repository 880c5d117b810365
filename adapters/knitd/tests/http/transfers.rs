//! Archives in and out: checksums, refusals, clients that vanish, agents (web-api 2.2, domain 9.11).

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use knit_domain::reservation::{Holder, Scope};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Answer, PATIENCE, exchange, read_to_the_end, upload};
use crate::kit::{World, archive, md5_of};
use crate::shelf::Trouble;

/// The one Data of this world, and the status of the Run that made it.
async fn only_data(world: &World) -> (String, Value) {
    let list = world.get("/api/data").await.expect(200).json();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    (list[0]["knitId"].as_str().unwrap().to_owned(), list[0].clone())
}

/// Waits until the only Run has this status.
async fn run_becomes(world: &World, status: &str) {
    let waiting = async {
        while world.get("/api/runs").await.json()[0]["status"] != status {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("the Run becomes {status} in time"));
}

/// How many Data Agents of this Data are open.
async fn agents(world: &World, data: &str) -> usize {
    let users = world.app.log().holders(&Scope::DataUse(data.parse().unwrap())).await.unwrap();
    users.iter().filter(|user| matches!(user, Holder::Reader(_) | Holder::Writer)).count()
}

/// Waits until no Data Agent of this Data is open.
async fn agents_close(world: &World, data: &str) {
    let waiting = async {
        while agents(world, data).await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("agents are closed in time");
}

/// An upload that has begun and misses its last bytes, which are given too.
async fn almost_uploaded(world: &World) -> (TcpStream, Vec<u8>) {
    let mut request = upload(world.server, &archive(b"content"), None);
    let rest = request.split_off(request.len() - 10);
    let mut socket = TcpStream::connect(world.server).await.unwrap();
    socket.write_all(&request).await.unwrap();
    run_becomes(world, "running").await;
    (socket, rest)
}

/// What a failed upload leaves: a failed Run, a Data that says so, no file, no agent.
async fn nothing_stays(world: &World) {
    run_becomes(world, "failed").await;
    let (id, data) = only_data(world).await;
    assert!(data["tags"].as_array().unwrap().contains(&json!("knit#transient:failed")), "{data}");
    assert_eq!(data["upstream"]["run"].get("exit"), None);
    assert_eq!(world.shelf.volumes(), []);
    agents_close(world, &id).await;
}

#[tokio::test]
async fn upl_04_an_upload_answers_with_the_finished_data() {
    let world = World::new().await;
    let detail = world.upload(&archive(b"content")).await.expect(200).json();
    let id = detail["knitId"].as_str().unwrap();
    let tags = detail["tags"].as_array().unwrap();
    assert_eq!((tags.len(), &tags[0]), (2, &json!(format!("knit#id:{id}"))));
    assert!(tags[1].as_str().unwrap().starts_with("knit#timestamp:"));
    assert_eq!(detail["upstream"]["run"]["status"], "done");
    assert_eq!(detail["upstream"]["run"]["plan"]["name"], "knit#uploaded");
    assert_eq!((&detail["downstreams"], &detail["nomination"]), (&json!([]), &json!([])));
    agents_close(&world, id).await;
}

#[tokio::test]
async fn a_checksum_is_compared_when_it_comes_announced_or_not() {
    let world = World::new().await;
    let archive = archive(b"content");
    let good = md5_of(&archive);
    let announced = |md5: &str| {
        let request = String::from_utf8_lossy(&upload(world.server, b"", None)).into_owned();
        let head =
            request.split("0\r\n\r\n").next().unwrap().replace("\r\n\r\n", "\r\nTrailer: x-checksum-md5\r\n\r\n");
        let body = upload(world.server, &archive, Some(md5));
        let body_start = body.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        [head.as_bytes(), &body[body_start..]].concat()
    };
    exchange(world.server, &announced(&good)).await.expect(200);
    exchange(world.server, &upload(world.server, &archive, None)).await.expect(200);
    for request in [announced("0123456789abcdef0123456789abcdef"), upload(world.server, &archive, Some("nonsense"))] {
        let refused = exchange(world.server, &request).await.expect(400);
        assert!(refused.message().starts_with("hash is not match.\n"), "{}", refused.message());
    }
    assert_eq!(world.shelf.volumes().len(), 2);
}

#[tokio::test]
async fn upl_05_a_wrong_checksum_leaves_nothing_but_a_failed_run() {
    let world = World::new().await;
    exchange(world.server, &upload(world.server, &archive(b"x"), Some("wrong"))).await.expect(400);
    nothing_stays(&world).await;
}

#[tokio::test]
async fn upl_05_a_refused_archive_leaves_nothing_but_a_failed_run() {
    let world = World::new().await;
    // Larger than all buffers on the way: the client is still sending when it is refused.
    let refused = exchange(world.server, &upload(world.server, &vec![b'x'; 8 << 20], None)).await.expect(400);
    assert!(refused.message().starts_with("bad request\nthe body is not gzip"), "{}", refused.message());
    nothing_stays(&world).await;
}

#[tokio::test]
async fn a_full_disk_is_told_as_such() {
    let world = World::new().await;
    world.shelf.trouble(Trouble::DiskFull);
    let failed = world.upload(&archive(b"content")).await.expect(500);
    assert!(failed.message().starts_with("unexpected error\nthe disk of the server is full"), "{}", failed.message());
    nothing_stays(&world).await;
}

#[tokio::test]
async fn a_panic_in_an_upload_ends_its_run_and_not_the_server() {
    let world = World::new().await;
    world.shelf.trouble(Trouble::Bug);
    let failed = world.upload(&archive(b"content")).await.expect(500);
    assert!(failed.message().starts_with("unexpected error\n"));
    nothing_stays(&world).await;
}

#[tokio::test]
async fn upl_08_an_upload_whose_client_vanishes_ends_failed() {
    let world = World::new().await;
    drop(almost_uploaded(&world).await.0);
    nothing_stays(&world).await;
}

#[tokio::test]
async fn a_stopping_server_ends_the_uploads_it_cuts_off() {
    let mut world = World::new().await;
    let _client = almost_uploaded(&world).await;
    world.stop().await;
    let runs = knit_projections::store::RunFilter::default();
    let store = world.app.views().store.read();
    let run = store.find_runs(&runs, knit_projections::store::At::Now)[0];
    assert_eq!(store.run_status(run), Some(knit_domain::run::Status::Failed));
}

#[tokio::test]
async fn an_upload_that_was_aborted_meanwhile_keeps_no_file() {
    let world = World::new().await;
    let (mut socket, rest) = almost_uploaded(&world).await;
    let run = world.get("/api/runs").await.json()[0]["runId"].as_str().unwrap().to_owned();
    world.call("PUT", &format!("/api/runs/{run}/abort")).await.expect(200);
    socket.write_all(&rest).await.unwrap();
    read_to_the_end(&mut socket).await.expect(409);
    assert_eq!(world.shelf.volumes(), []);
    let (id, _) = only_data(&world).await;
    agents_close(&world, &id).await;
}

async fn download(world: &World, id: &str) -> Answer {
    world.get(&format!("/api/data/{id}")).await
}

#[tokio::test]
async fn a_download_carries_its_checksum_behind_it_though_nobody_asked_for_trailers() {
    let world = World::new().await;
    let archive = archive(&(0..50_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    let id = world.upload(&archive).await.expect(200).json()["knitId"].as_str().unwrap().to_owned();
    let answer = download(&world, &id).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/tar+gzip"));
    assert_eq!(answer.header("trailer"), Some("X-Checksum-Md5"));
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.header("content-length"), None);
    assert!(answer.whole && answer.body == archive);
    assert_eq!(answer.trailer("x-checksum-md5"), Some(md5_of(&archive).as_str()));
    agents_close(&world, &id).await;
}

#[tokio::test]
async fn every_download_of_one_connection_carries_its_checksum() {
    let world = World::new().await;
    let archive = archive(b"content");
    let id = world.upload(&archive).await.expect(200).json()["knitId"].as_str().unwrap().to_owned();
    let mut socket = TcpStream::connect(world.server).await.unwrap();
    for _ in 0..3 {
        let request = format!("GET /api/data/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        let trailer = format!("0\r\nx-checksum-md5: {}\r\n\r\n", md5_of(&archive));
        let arrives = async {
            while !seen.ends_with(trailer.as_bytes()) {
                let read = socket.read_buf(&mut seen).await.unwrap();
                assert_ne!(read, 0, "the connection stays open");
            }
        };
        tokio::time::timeout(PATIENCE, arrives).await.expect("the trailer comes");
    }
}

#[tokio::test]
async fn a_download_that_breaks_is_never_ended_as_if_it_were_whole() {
    let world = World::new().await;
    let archive = archive(&(0..5_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    let id = world.upload(&archive).await.expect(200).json()["knitId"].as_str().unwrap().to_owned();
    world.shelf.trouble(Trouble::BreaksOff);
    let answer = download(&world, &id).await.expect(200);
    assert!(!answer.whole && answer.trailers.is_empty());
    agents_close(&world, &id).await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_no_agent_open() {
    let world = World::new().await;
    let archive =
        archive(&(0..2_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<u8>>());
    let id = world.upload(&archive).await.expect(200).json()["knitId"].as_str().unwrap().to_owned();
    let mut socket = TcpStream::connect(world.server).await.unwrap();
    let request = format!("GET /api/data/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 1_000];
    socket.read_exact(&mut first).await.unwrap();
    assert_eq!(agents(&world, &id).await, 1, "one agent serves the download");
    drop(socket);
    agents_close(&world, &id).await;
}

#[tokio::test]
async fn what_was_just_downloaded_can_be_deleted_at_once() {
    let world = World::new().await;
    for _ in 0..10 {
        let id = world.push(&[]).await;
        download(&world, &id).await.expect(200);
        let root = world.get(&format!("/api/runs?knitIdOutput={id}")).await.json();
        let root = root[0]["runId"].as_str().unwrap().to_owned();
        world.call("DELETE", &format!("/api/runs/{root}")).await.expect(204);
    }
}

#[tokio::test]
async fn a_reader_is_not_refused_because_an_earlier_one_had_its_name() {
    let world = World::new().await;
    let id = world.push(&[]).await.parse().unwrap();
    let cause = knitd::command::Cause::request("anonymous");
    let first = world.app.open_reader_by(&cause, id, || 7).await.unwrap();
    let closed = knit_domain::event::agent::AgentClosure::Finished;
    world.app.close_agent(&cause, &first.agent, closed).await.unwrap();
    let drawn = AtomicU32::new(7);
    let second = world.app.open_reader_by(&cause, id, || drawn.fetch_add(1, Ordering::Relaxed)).await.unwrap();
    assert_ne!(first.agent, second.agent);
}

#[tokio::test]
async fn a_data_that_is_being_read_is_not_deleted() {
    let world = World::new().await;
    let id = world.push(&[]).await;
    let root = world.get("/api/runs").await.json()[0]["runId"].as_str().unwrap().to_owned();
    let cause = knitd::command::Cause::request("anonymous");
    let reading = world.app.open_reader(&cause, id.parse().unwrap()).await.unwrap();
    let refused = world.call("DELETE", &format!("/api/runs/{root}")).await.expect(409);
    assert!(refused.message().starts_with("output of the run is in use\n"), "{}", refused.message());
    let closed = knit_domain::event::agent::AgentClosure::Finished;
    world.app.close_agent(&cause, &reading.agent, closed).await.unwrap();
    world.call("DELETE", &format!("/api/runs/{root}")).await.expect(204);
}

#[tokio::test]
async fn dld_01_unknown_data_are_not_found_and_so_is_what_was_never_made() {
    let world = World::new().await;
    let missing = download(&world, "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11").await.expect(404);
    assert!(missing.message().starts_with("not found\n"));
    exchange(world.server, &upload(world.server, b"not gzip", None)).await.expect(400);
    let (id, _) = only_data(&world).await;
    let gone = download(&world, &id).await.expect(404);
    assert!(gone.message().contains("the Data has no content"), "{}", gone.message());
    agents_close(&world, &id).await;
}

#[tokio::test]
async fn what_is_being_made_is_asked_for_again_and_what_was_lost_is_an_error() {
    let world = World::new().await;
    let (mut socket, rest) = almost_uploaded(&world).await;
    let (id, _) = only_data(&world).await;
    let early = download(&world, &id).await.expect(503);
    assert!(early.message().contains("retry later") && early.message().contains("running"), "{}", early.message());
    socket.write_all(&rest).await.unwrap();
    run_becomes(&world, "done").await;
    download(&world, &id).await.expect(200);
    world.shelf.lose_everything();
    let lost = download(&world, &id).await.expect(500);
    assert!(lost.message().contains("removed behind the server"), "{}", lost.message());
    agents_close(&world, &id).await;
}

#[tokio::test]
async fn one_transfer_too_many_is_asked_to_come_again() {
    let world = World::new().await;
    let request = upload(world.server, &archive(b"x"), None);
    let mut under_way = Vec::new();
    for _ in 0..64 {
        let mut socket = TcpStream::connect(world.server).await.unwrap();
        socket.write_all(&request[..request.len() - 5]).await.unwrap();
        under_way.push(socket);
    }
    let all_begun = async {
        while world.get("/api/runs?status=running").await.json().as_array().unwrap().len() < 64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all_begun).await.expect("64 uploads begin in time");
    let refused = exchange(world.server, &request).await.expect(503);
    assert!(refused.message().starts_with("service unavailable temporaly\nplease retry later.\n"));
    for mut socket in under_way {
        socket.write_all(&request[request.len() - 5..]).await.unwrap();
        read_to_the_end(&mut socket).await.expect(200);
    }
}
