//! A newer program has written to the log what the older replicas do not know. They stop (D8).

use knit_tests::server::Setup;
use knit_tests::wait::wait_until;

use super::{Replicas, elsewhere, named, register};

#[test]
fn d8_replicas_stop_before_an_event_of_a_version_they_do_not_know() {
    let mut replicas = Replicas::start(2);
    register(replicas.others[0].http(), &named("known"));
    let last = replicas.database.write_as_a_newer_program().to_string();
    let mut other = replicas.others.remove(0);
    for server in [&mut replicas.shop.server, &mut other] {
        let ended = server.wait_for_end();
        assert!(!ended.success(), "it did not stop because all was well");
        let log = server.log();
        let why = log.lines().last().unwrap_or_default();
        assert!(why.contains(&format!("event {last}")) && why.contains("`99`"), "it says which event: {log}");
        assert!(why.contains("newer program"), "and what to do: {log}");
    }
    for setup in [Setup::new().database(replicas.database.url()), elsewhere(&replicas.database)] {
        let said = setup.refused();
        assert!(said.contains("newer program"), "it does not start again either: {said}");
    }
    assert_eq!(replicas.database.run("SELECT position FROM head"), last, "nobody has written behind it");
    // What stopped has given its roles back: nothing waits for the end of a lease.
    let held = || replicas.database.run("SELECT count(*) FROM leases WHERE expires_at > 0");
    wait_until("all leases to be given back", || held() == "0");
}
