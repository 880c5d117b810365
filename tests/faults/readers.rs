//! Clients that read slowly, or not at all: they cost the server little, and when they go nothing of them stays.

use std::fs;

use knit_tests::http::Connection;
use knit_tests::plans::PlanFile;
use knit_tests::server::Server;
use knit_tests::wait::wait_until;
use knit_tests::workshop::{Workshop, id_of, output_of};

/// Larger than whatever the kernel keeps for a connection.
const DATA_BYTES: u64 = 48 << 20;
/// Clients at once.
const READERS: usize = 8;
/// What one of them may cost the server: some buffers of a thread that packs, and of the channel behind it.
const READER_BYTES_MAX: u64 = 4 << 20;
/// What memory may grow by besides: the buffers of the pull beside them, and what the allocator keeps for threads that
/// come and go. A server that took in what nobody reads would hold eight times 48 MiB.
const SLACK_BYTES: u64 = 24 << 20;

/// Resident memory.
fn memory_bytes(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the server lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
}

/// A client that has read the beginning of a Data and does not go on.
fn stalled(shop: &Workshop, data: &str) -> Connection {
    let mut reader = shop.server.http().connect();
    reader.head("GET", &format!("/api/data/{data}"), &[]);
    assert_eq!(reader.response_head().status, 200);
    assert!(reader.read_some(1_000).expect("the archive begins") > 0);
    reader
}

#[test]
fn readers_that_stop_cost_little_and_are_forgotten_when_they_go() {
    let shop = Workshop::open();
    let make = format!("head -c {DATA_BYTES} /dev/urandom > /out/noise");
    let plan = shop.apply(&PlanFile::shell(&make).input("/in", &["a:b"]).output("/out", &["is:noise"]));
    shop.push(&[("it", "x")], &["a:b"]);
    let run = shop.only_run_reaches(&plan, "done");
    let (id, data) = (id_of(&run, "runId"), output_of(&run, "/out"));
    // What the allocator keeps of a whole pull is no cost of the readers that stop.
    let _ = shop.pull(&data);
    let before = memory_bytes(&shop.server);
    let mut readers: Vec<Connection> = (0..READERS).map(|_| stalled(&shop, &data)).collect();
    // While others have stopped, a whole Data goes to one that reads.
    let pulled = shop.pull(&data);
    assert_eq!(fs::metadata(pulled.join("noise")).unwrap().len(), DATA_BYTES);
    let grown = memory_bytes(&shop.server).saturating_sub(before);
    let allowed = READERS as u64 * READER_BYTES_MAX + SLACK_BYTES;
    assert!(grown <= allowed, "{READERS} readers that have stopped cost {grown} bytes, more than {allowed}");
    // Whoever goes on reading gets all of it.
    let mut slow = readers.pop().expect("there are several");
    let mut bytes = 0;
    loop {
        match slow.read_some(1 << 16).expect("the server goes on when the reader does") {
            0 => panic!("the archive breaks off after {bytes} bytes"),
            read => bytes += read as u64,
        }
        if bytes > DATA_BYTES {
            break;
        }
    }
    let _ = shop.refused(5, &["run", "rm", &id]).tells("in use");
    drop((readers, slow));
    wait_until("the Data to be free again", || shop.user().run(["run", "rm", &id]).code == 0);
    wait_until("its volume to be gone", || shop.server.keeps().iter().all(|name| !name.contains(&data)));
}
