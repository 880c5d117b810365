//! The database is away for longer than anything waits for it: longer than an append tries, longer than every lease.

use std::time::Duration;

use knit_tests::archive::{Archive, checksum, noise};
use knit_tests::plans::PlanFile;
use knit_tests::postgres::DatabaseServer;
use knit_tests::server::{Server, Setup};
use knit_tests::wait::{wait_for, wait_until};
use knit_tests::workshop::{Workshop, id_of};

use super::wait_at_length;

/// The outage, and the time to notice it: a lease of 15 s that is renewed every 5 s.
const LIMIT: Duration = Duration::from_secs(120);
/// What a server does that keeps the volumes but leaves the dead to another.
const AT_THE_VOLUMES: &str = "api,backend,projection,initialize,run-management,finishing,garbage-collection";

#[test]
fn all_leases_end_and_nobody_who_lives_is_taken_for_dead() {
    let mut database = DatabaseServer::start();
    let shop = Workshop::with(Setup::new().database(database.url()).option("--role", AT_THE_VOLUMES));
    // It would close the agents of dead servers as soon as the database is back.
    let other = Setup::new().database(database.url()).option("--role", "api,housekeeping").start();
    let plan = shop.apply(&PlanFile::shell("cat /in/noise | wc -c").input("/in", &["a:b"]).log(&["is:log"]));
    let archive = Archive::new().file("noise", &noise(1 << 20)).gzip();
    let mut upload = shop.server.http().begin_upload();
    upload.chunk(&archive[..1_000]).unwrap();
    wait_until("the upload to be seen by the other", || {
        other.http().get("/api/runs").json().as_array().is_some_and(|runs| runs.len() == 1)
    });
    database.kill();
    wait_at_length("the leases of both to end", LIMIT, || {
        let command = PlanFile::shell("true").input("/in", &["c:d"]);
        let refused = other.http().send_json("POST", "/api/plans", &command.json());
        assert!(matches!(refused.status, 500 | 503), "{}", refused.text());
        let is_lost = |line: &str| line.contains("no lease: ") && line.contains("role=\"server/");
        let lost = |server: &Server| server.log().lines().any(is_lost);
        lost(&shop.server) && lost(&other)
    });
    database.start_again();
    wait_until("both to be ready", || {
        [&shop.server, &other].iter().all(|server| server.http().get("/readyz").status == 200)
    });
    // Each role is said to be active, and active again.
    wait_at_length("the other to look for the dead", LIMIT, || {
        other.log().matches(" active role=\"housekeeping\"").count() >= 2
    });
    wait_at_length("the server that lives to say so again", LIMIT, || {
        shop.server.log().matches(" active role=\"server/").count() >= 2
    });
    upload.chunk(&archive[1_000..]).unwrap();
    upload.last_chunk(&[("x-checksum-md5", &checksum(&archive))]).unwrap();
    let stored = upload.response();
    assert_eq!(stored.status, 200, "{}", stored.text());
    let data = id_of(&stored.json(), "knitId");
    let _ = shop.knit(&["data", "tag", "--add", "a:b", &data]);
    let run = wait_for("the Data to be taken", || shop.runs_of(&plan).first().map(|run| id_of(run, "runId")));
    shop.reaches(&run, "done");
    assert_eq!(shop.log_of(&run).trim(), (1 << 20).to_string());
}
