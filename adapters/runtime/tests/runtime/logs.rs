//! Logs: whole, followed, their end, their hash.

use futures::StreamExt;
use knit_runtime::Runtime;
use sha2::{Digest, Sha256};

use super::kit::{House, PATIENCE, Worker, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_from_its_beginning_to_the_end_of_the_worker() {
    let house = House::open().await;
    let worker =
        Worker::shell("echo first; mkfifo /out/word; read word < /out/word; echo second").output("/out", "made");
    house.create(&worker).await;
    let volume = worker.spec.log.as_ref().unwrap();
    let mut log = house.runtime.follow_log(&worker.name(), volume).await.unwrap();
    let first = tokio::time::timeout(PATIENCE, log.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(&first[..], b"first\n");
    let fifo = house.state().join("open/made/word");
    tokio::task::spawn_blocking(move || {
        while !fifo.exists() {
            std::thread::yield_now();
        }
        std::fs::write(fifo, "go\n").unwrap();
    })
    .await
    .unwrap();
    let rest = tokio::time::timeout(PATIENCE, text(log)).await.unwrap();
    assert_eq!(rest, "second\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_removed_ends_its_followers() {
    let house = House::open().await;
    let worker = Worker::shell("echo first; exec sleep 1000");
    house.create(&worker).await;
    let volume = worker.spec.log.clone().unwrap();
    let mut log = house.runtime.follow_log(&worker.name(), &volume).await.unwrap();
    log.next().await.unwrap().unwrap();
    house.runtime.remove_worker(&worker.name()).await.unwrap();
    house.runtime.seal_volume(&volume).await.unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, text(log)).await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_and_the_hash_of_a_log() {
    let house = House::open().await;
    let worker = Worker::shell("seq 1 30000");
    house.run(&worker).await;
    let whole: String = (1..=30_000).map(|i| format!("{i}\n")).collect();
    let volume = worker.spec.log.as_ref().unwrap();
    let tail = house.runtime.log_tail(volume, 64 * 1024).await.unwrap();
    assert_eq!(tail.total_bytes, whole.len() as u64);
    assert_eq!(tail.bytes, &whole.as_bytes()[whole.len() - 64 * 1024..]);
    let hash = hex::encode(Sha256::digest(&whole));
    assert_eq!(house.runtime.log_sha256(volume).await.unwrap(), hash);
    assert_eq!(house.log_of(&worker).await, whole);
    house.runtime.seal_volume(volume).await.unwrap();
    assert_eq!(house.runtime.log_sha256(volume).await.unwrap(), hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_wrote_is_empty() {
    let house = House::open().await;
    house.prepare("log").await;
    let volume = knit_domain::id::VolumeRef("log".into());
    assert_eq!(text(house.runtime.read_log(&volume).await.unwrap()).await, "");
    assert_eq!(house.runtime.log_tail(&volume, 10).await.unwrap().total_bytes, 0);
    assert_eq!(house.runtime.log_sha256(&volume).await.unwrap(), hex::encode(Sha256::digest("")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_opens_its_output_anew_does_not_cut_the_log() {
    let house = House::open().await;
    assert_eq!(house.say("echo one; echo two > /dev/stdout; echo three > /dev/stderr").await, "one\ntwo\nthree\n");
}
