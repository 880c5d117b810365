//! The database dies under load, or does not say what it has done: nothing acknowledged is lost, nothing is
//! doubled, and the server goes on by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

mod results;

use knit_tests::http::{Client, Response};
use knit_tests::load;
use knit_tests::plans::PlanFile;
use knit_tests::postgres::{DatabaseServer, TestDatabase};
use knit_tests::robber::Robber;
use knit_tests::server::Setup;
use knit_tests::wait::{wait_for, wait_until};
use knit_tests::workshop::{Workshop, id_of};
use serde_json::{Value, json};

use results::{Appointment, Changing, Step, assert_as_told};

/// Clients that give commands at once.
const CLIENTS: usize = 4;
/// The database is killed just when the client that changes results does this.
const KILLED_AT: [Step; 3] = [Step::Push, Step::Retry, Step::Delete];
/// Commands between two kills: each kill falls into the middle of the load.
const COMMANDS_BETWEEN: usize = 20;

/// A Plan that matches nothing and is known by `name`.
fn named(name: &str) -> PlanFile {
    PlanFile::shell(&format!("echo {name}")).input("/in", &["never:matched"]).with("annotations", json!([name]))
}

/// Every Plan there is with an annotation, as annotation and id, in order.
fn plans(http: Client) -> Vec<(String, String)> {
    let found = http.get("/api/plans").json();
    let plans = found.as_array().expect("finding answers a list").iter();
    let of = |plan: &Value| Some((plan["annotations"][0].as_str()?.to_owned(), id_of(plan, "planId")));
    let mut plans: Vec<_> = plans.filter_map(of).collect();
    plans.sort();
    plans
}

fn position(response: &Response) -> u64 {
    response.header("x-knit-position").and_then(|position| position.parse().ok()).expect("an answer says its position")
}

/// What the clients of a load have done so far.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Load {
    /// Registers Plans until the load is over; answers those that were acknowledged, name and id.
    fn register(&self, http: Client, client: usize) -> Vec<(String, String)> {
        let mut acknowledged = Vec::new();
        for number in 0.. {
            if self.over.load(Ordering::Relaxed) {
                break;
            }
            let name = format!("plan={client}-{number}");
            // The server itself never goes away, whatever the database does.
            let answer = http.send_json("POST", "/api/plans", &named(&name).json());
            match answer.status {
                200 => {
                    acknowledged.push((name, id_of(&answer.json(), "planId")));
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                500 | 503 => assert_ne!(answer.message(), "", "whoever is refused is told why"),
                other => panic!("an answer that blames the client: {other} {}", answer.text()),
            }
        }
        acknowledged
    }

    fn goes_on(&self) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        wait_until("commands to be acknowledged", || {
            self.acknowledged.load(Ordering::Relaxed) >= before + COMMANDS_BETWEEN
        });
    }
}

#[test]
fn a_database_killed_under_load_loses_nothing_acknowledged_and_doubles_nothing() {
    let mut database = DatabaseServer::start();
    let shop = Workshop::with(Setup::new().database(database.url()));
    let http = shop.server.http();
    let runs =
        shop.apply(&PlanFile::shell("echo ran >> /out/life").input("/in", &["a:b"]).output("/out", &["is:life"]));
    let results = shop.apply(&results::plan());
    let (load, appointment) = (Load::default(), Appointment::default());
    let (acknowledged, pushed) = thread::scope(|scope| {
        let end = load::End::of(&load.over);
        let changing = Changing { http, plan: &results, appointment: &appointment };
        let changing = scope.spawn({
            let load = &load;
            move || changing.until(&load.over)
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn({
                    let load = &load;
                    move || load.register(http, client)
                })
            })
            .collect();
        for step in KILLED_AT {
            load.goes_on();
            if step == Step::Push {
                shop.push(&[("it", results::OF_ANOTHER)], &["a:b"]);
            }
            appointment.wait_for(step);
            database.kill();
            if step == Step::Delete {
                // Away for so long that questions are answered without it.
                wait_until("a question to be refused", || http.get("/api/plans").status == 503);
                assert_eq!(http.get("/readyz").status, 503, "a server without its database is not ready");
                assert_eq!(http.get("/healthz").status, 200, "and lives");
            }
            database.start_again();
        }
        load.goes_on();
        // Whatever became of the one before: this deletion is not disturbed.
        appointment.wait_for(Step::Delete);
        drop(end);
        let acknowledged: Vec<_> =
            clients.into_iter().flat_map(|client| client.join().expect("a client ends")).collect();
        (acknowledged, changing.join().expect("a client ends"))
    });
    let found = plans(http);
    let names: BTreeMap<&String, &String> = found.iter().map(|(name, id)| (name, id)).collect();
    assert_eq!(names.len(), found.len(), "no Plan is there twice: {found:#?}");
    for (name, id) in &acknowledged {
        assert_eq!(names.get(name), Some(&id), "{name} was acknowledged");
    }
    let run = shop.only_run_reaches(&runs, "done");
    let made = shop.pull(&knit_tests::workshop::output_of(&run, "/out"));
    assert_eq!(std::fs::read_to_string(made.join("life")).unwrap(), "ran\n", "its Worker ran once");
    assert_as_told(&shop, &pushed);
}

/// The roles of which the server has said this.
fn roles(shop: &Workshop, what: &str) -> BTreeSet<String> {
    let log = shop.server.log();
    let said = log.lines().filter(|line| line.contains(what));
    let named = said.filter_map(|line| line.split_once("role=\"")?.1.split('"').next());
    named.map(str::to_owned).collect()
}

#[test]
fn a_database_that_is_away_is_told_of_once_and_not_by_every_role_and_connection() {
    let mut database = DatabaseServer::start();
    let shop = Workshop::with(Setup::new().database(database.url()).logging("info,knitd::servers=debug"));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let told = |what: &str| shop.server.log().matches(what).count();
    database.kill();
    // Leases end when they were not renewed for 15 s. Of every role, since one that ended when another was back
    // would rightly be told of once more.
    wait_until("the leases of all roles to end", || {
        let (active, lost) = (roles(&shop, ": active role="), roles(&shop, ": no lease: "));
        active.len() > 1 && active.is_subset(&lost)
    });
    database.start_again();
    wait_until("everything to go on", || {
        ["the database keeps leases again", "listens for events again"].iter().all(|what| told(what) > 0)
    });
    let _ = shop.knit(&["data", "tag", "--add", "c:d", &data]);
    for once in ["the database keeps no leases", "lost the connection that listens", "cannot follow the log"] {
        assert_eq!(told(once), 1, "{once}:\n{}", shop.server.log());
    }
    assert_eq!(told(" sqlx"), 0, "{}", shop.server.log());
}

#[test]
fn a_commit_whose_answer_was_lost_is_found_and_not_repeated() {
    const FATEFUL: &str = "the answer to this is robbed";
    let database = TestDatabase::new();
    let robber = Robber::before(database.port(), FATEFUL);
    let shop = Workshop::with(Setup::new().database(&database.url_through(robber.port())));
    let http = shop.server.http();
    let register = |name: &str| http.send_json("POST", "/api/plans", &named(name).json());
    let (first, second) = (register("plan=1"), register("plan=2"));
    assert!(!robber.has_robbed());
    let robbed = register(&format!("plan={FATEFUL}"));
    assert!(robber.has_robbed(), "the answer was lost on its way");
    assert_eq!(robbed.status, 200, "whoever asked need not know: {}", robbed.text());
    let events = position(&second) - position(&first);
    assert_eq!(position(&robbed) - position(&second), events, "as many events as without bad luck");
    let third = register("plan=3");
    assert_eq!(position(&third) - position(&robbed), events, "and none later");
    assert_eq!(plans(http).len(), 4);
}

/// A client that was told that the outcome is unknown finds out by asking.
#[test]
fn what_a_refused_command_did_is_there_once_or_not_at_all() {
    let mut database = DatabaseServer::start();
    let shop = Workshop::with(Setup::new().database(database.url()));
    let http = shop.server.http();
    database.kill();
    let refused = http.send_json("POST", "/api/plans", &named("plan=late").json());
    assert!(matches!(refused.status, 500 | 503), "{}", refused.text());
    assert!(refused.message().contains("database"), "the answer says what is missing: {}", refused.message());
    database.start_again();
    wait_for("the server to be ready by itself", || (http.get("/readyz").status == 200).then_some(()));
    assert!(plans(http).len() <= 1);
    let again = http.send_json("POST", "/api/plans", &named("plan=late").json());
    assert!(matches!(again.status, 200 | 409), "{}", again.text());
    assert_eq!(plans(http).len(), 1);
}
