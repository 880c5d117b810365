//! A client that keeps its connection and reads nothing more is given up in the end: it would keep one of the places
//! for transfers, and its Data from being deleted.

use std::time::Duration;

use knit_tests::plans::PlanFile;
use knit_tests::workshop::{Workshop, id_of, output_of};

use super::wait_at_length;

/// Larger than whatever the kernel keeps for a connection.
const DATA_BYTES: u64 = 48 << 20;
/// The server's five minutes, and as much as the kernel may take between two looks at a full window.
const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn a_client_that_stops_reading_is_given_up() {
    let shop = Workshop::open();
    let make = format!("head -c {DATA_BYTES} /dev/urandom > /out/noise");
    let plan = shop.apply(&PlanFile::shell(&make).input("/in", &["a:b"]).output("/out", &["is:noise"]));
    shop.push(&[("it", "x")], &["a:b"]);
    let run = shop.only_run_reaches(&plan, "done");
    let (id, data) = (id_of(&run, "runId"), output_of(&run, "/out"));
    let mut reader = shop.server.http().connect();
    reader.head("GET", &format!("/api/data/{data}"), &[]);
    assert_eq!(reader.response_head().status, 200);
    let _ = shop.refused(5, &["run", "rm", &id]).tells("in use");
    wait_at_length("the reader to be given up", LIMIT, || {
        shop.server.http().ask("DELETE", &format!("/api/runs/{id}")).status == 204
    });
    drop(reader);
}
