//! Whoever has written through one server reads it through any other (D13), and what needs the volumes is refused
//! where they are not.

use knit_tests::archive::Archive;
use knit_tests::plans::PlanFile;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::{id_of, output_of};
use serde_json::json;

use super::{Replicas, named, register};

/// Commands, each followed by a question to the next server.
const ROUNDS: usize = 30;

#[test]
fn d13_what_was_written_through_one_server_is_read_through_the_next() {
    for servers in [2, 3] {
        let replicas = Replicas::start(servers);
        let data = replicas.shop.push(&[("it", "x")], &[]);
        let mut turns = replicas.in_turn();
        let mut next = || turns.next().expect("it goes round and round");
        for round in 0..ROUNDS {
            let plan = register(next(), &named(&format!("{servers}-{round}")));
            let read = next().get(&format!("/api/plans/{plan}"));
            assert_eq!(read.status, 200, "the Plan of round {round} can be read at once: {}", read.text());
            let tag = format!("round:{round}");
            let tagged = next().send_json("PUT", &format!("/api/data/{data}"), &json!({"add": [tag]}));
            assert_eq!(tagged.status, 200, "{}", tagged.text());
            let found = next().get(&format!("/api/data?tag=round%3A{round}")).json();
            assert_eq!(found.as_array().map(Vec::len), Some(1), "the tag of round {round} is found at once");
            assert_eq!(next().ask("DELETE", &format!("/api/plans/{plan}/active")).status, 200);
            let read = next().get(&format!("/api/plans/{plan}")).json();
            assert_eq!(read["active"], json!(false), "what was changed in round {round} is seen at once");
        }
    }
}

#[test]
fn a_run_is_made_run_stopped_and_removed_through_any_server() {
    let replicas = Replicas::start(3);
    let mut turns = replicas.in_turn().skip(1);
    let mut next = || turns.next().expect("it goes round and round");
    let shop = &replicas.shop;
    let endless = PlanFile::shell("echo half > /out/it; while :; do sleep 0.05; done").input("/in", &["a:b"]);
    let plan = register(next(), &endless.output("/out", &["is:made"]));
    shop.push(&[("it", "x")], &["a:b"]);
    let run = id_of(&shop.only_run_reaches(&plan, "running"), "runId");
    assert_eq!(next().get(&format!("/api/runs/{run}")).json()["status"], "running");
    assert_eq!(next().ask("PUT", &format!("/api/runs/{run}/tearoff")).status, 200);
    let done = shop.reaches(&run, "done");
    assert_eq!(std::fs::read_to_string(shop.pull(&output_of(&done, "/out")).join("it")).unwrap(), "half\n");
    assert_eq!(next().ask("DELETE", &format!("/api/runs/{run}")).status, 204);
    assert_eq!(next().get(&format!("/api/runs/{run}")).json()["status"], "invalidated");
    wait_until("the one that has the volume to destroy it", || shop.server.keeps().len() == 1);
}

#[test]
fn what_needs_the_volumes_is_refused_where_they_are_not() {
    let replicas = Replicas::start(2);
    let shop = &replicas.shop;
    let plan = shop.apply(&PlanFile::shell("echo words").input("/in", &["a:b"]).log(&["is:log"]));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let run = id_of(&shop.only_run_reaches(&plan, "done"), "runId");
    let other = &replicas.others[0];
    let before = (other.keeps(), shop.server.http().get("/api/runs").json());
    let upload = other.http().upload(&Archive::new().file("it", b"x").gzip(), &[]);
    let asked = |method: &str, target: &str| other.http().ask(method, target);
    for refused in [
        upload,
        asked("GET", &format!("/api/data/{data}")),
        asked("GET", &format!("/api/runs/{run}/log")),
        asked("GET", &format!("/api/runs/{run}/attempts/1/log")),
        asked("PUT", &format!("/api/runs/{run}/retry")),
    ] {
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.message().contains("`backend`"), "the answer says who has them: {}", refused.message());
    }
    let after = (other.keeps(), shop.server.http().get("/api/runs").json());
    assert_eq!(before, after, "a refusal leaves nothing behind");
}

#[test]
fn a_second_keeper_of_volumes_refuses_to_run_and_says_how_it_may() {
    let replicas = Replicas::start(1);
    let said = Setup::new().database(replicas.database.url()).refused();
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("another server keeps the volumes") && last.contains("--role"), "{said}");
    replicas.shop.push(&[("it", "x")], &["a:b"]);
}

#[test]
fn what_happens_through_one_server_is_heard_of_through_the_other() {
    let replicas = Replicas::start(2);
    let (one, other) = (&replicas.shop.server, &replicas.others[0]);
    let data = replicas.shop.push(&[("it", "x")], &[]);
    for (turn, at, through) in [("first", one, other), ("second", other, one)] {
        let (user, through) = (at.knit(), through.http());
        let follower = user.start(["events", "--follow", "--type", "DataTagsChanged"]);
        let wanted = format!("{turn}:heard");
        let waiting = user.start(["data", "wait", "-t", &wanted, "--output", "name"]);
        let tags = (0..ROUNDS).map(|round| format!("{turn}:{round}")).chain([wanted.clone()]);
        for tag in tags {
            let tagged = through.send_json("PUT", &format!("/api/data/{data}"), &json!({"add": [tag]}));
            assert_eq!(tagged.status, 200, "{}", tagged.text());
        }
        follower.shows(&format!("[\"{turn}\",\"heard\"]"));
        assert_eq!(waiting.finish().ok().stdout.trim(), data);
    }
}
