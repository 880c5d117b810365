//! The clock jumps an hour back and forth: the order of what happened stays what it was, Runs go on, and no lease
//! outlives its holder by an hour.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use knit_tests::clock::Clock;
use knit_tests::plans::PlanFile;
use knit_tests::postgres::DatabaseServer;
use knit_tests::server::Setup;
use knit_tests::wait::{wait_for, wait_until};
use knit_tests::workshop::{Workshop, id_of, output_of};
use serde_json::json;

const HOUR: i64 = 3600;

/// When the Run was last changed: texts of one length, in one zone, that sort like times.
fn changed(shop: &Workshop, run: &str) -> String {
    id_of(&shop.run(run), "updatedAt")
}

/// The clock as the server sees it: when it logged its last line.
fn last_told(shop: &Workshop) -> String {
    let log = shop.server.log();
    let last = log.lines().last().and_then(|line| line.split(' ').next());
    last.expect("the server has logged something").to_owned()
}

/// The clock that wrote `stamp` was turned by so many seconds: without that the tests below would show nothing.
/// `turned` is the true time before it wrote that.
#[track_caller]
fn assert_shows(stamp: &str, turned: SystemTime, seconds: i64) {
    let shown = i64::try_from(epoch_seconds(stamp)).expect("it is soon after 1970");
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let true_time = |time| i64::try_from(since(time)).expect("it is soon after 1970");
    // A second more on both sides, since `date` knows whole ones.
    let meant = true_time(turned) + seconds - 1..=true_time(SystemTime::now()) + seconds + 1;
    assert!(meant.contains(&shown), "{stamp} is not from a clock that was turned by {seconds} s");
}

/// Any stamp of RFC 3339 in seconds since 1970.
fn epoch_seconds(stamp: &str) -> u64 {
    let told = Command::new("date").arg(format!("--date={stamp}")).arg("+%s").output().expect("`date` runs");
    let told = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    told.parse().unwrap_or_else(|_| panic!("{stamp:?} is a time"))
}

#[test]
fn d15_a_clock_that_jumps_back_and_forth_turns_no_order_around() {
    let clock = Clock::new();
    let mut shop = Workshop::with(Setup::new().clock(&clock));
    let make =
        PlanFile::shell("cp /in/it /out/it").input("/in", &["a:b"]).output("/out", &["is:made"]).log(&["is:log"]);
    let plan = shop.apply(&make);
    let mut stamps = Vec::new();
    for (round, seconds) in [0, -HOUR, HOUR, 0, -HOUR].into_iter().enumerate() {
        let turned = SystemTime::now();
        clock.show(seconds);
        let round = round.to_string();
        let data = shop.push(&[("it", &round)], &["a:b"]);
        let run = wait_for("the Data to be taken", || {
            shop.runs_of(&plan)
                .iter()
                .find(|run| run["inputs"][0]["knitId"] == data.as_str())
                .map(|run| id_of(run, "runId"))
        });
        let done = shop.reaches(&run, "done");
        let made = shop.pull(&output_of(&done, "/out"));
        assert_eq!(std::fs::read_to_string(made.join("it")).unwrap(), round);
        let tag = format!("round:{round}");
        let _ = shop.knit(&["data", "tag", "--add", &tag, &data]);
        assert!(shop.data(&data).expect("it is there")["tags"].as_array().unwrap().contains(&json!(tag)));
        assert_shows(&last_told(&shop), turned, seconds);
        let stamp = changed(&shop, &run);
        if seconds > 0 {
            assert_shows(&stamp, turned, seconds);
        }
        stamps.push(stamp);
    }
    let mut sorted = stamps.clone();
    sorted.sort();
    assert_eq!(stamps, sorted, "what came later is never said to have been earlier");
    clock.show(0);
    shop.server.kill();
    shop.server.start();
    assert_eq!(shop.runs_of(&plan).len(), stamps.len(), "the log is read again from its beginning");
}

/// The leases of replicas end by the clock of the database.
#[test]
fn d9_a_role_is_taken_over_although_the_clock_of_the_database_went_back_by_an_hour() {
    let clock = Clock::new();
    let database = DatabaseServer::start_with(&clock);
    let mut shop = Workshop::with(Setup::new().database(database.url()));
    let other = Setup::new().database(database.url()).option("--role", "api,projection").start();
    shop.push(&[("it", "x")], &["a:b"]);
    shop.server.kill();
    let turned = SystemTime::now();
    clock.show(-HOUR);
    assert_shows(&database.time(), turned, -HOUR);
    let plan = PlanFile::shell("true").input("/in", &["a:b"]);
    let plan = id_of(&other.http().send_json("POST", "/api/plans", &plan.json()).json(), "planId");
    wait_until("the other server to make the Run", || {
        let runs = other.http().get(&format!("/api/runs?plan={plan}")).json();
        runs.as_array().is_some_and(|runs| runs.len() == 1)
    });
}
