//! Several servers on one PostgreSQL database.
//!
//! With the local runtime one of them keeps the volumes and runs the Workers; any number of others answer
//! questions and commands, make Runs and close what dead servers left open (docs/admin-guide.md, “Several
//! servers”). What is promised of them is in docs/reliability.md, section “Replicas”.

mod newer;
mod reading;
mod restarting;
mod taking_over;

use knit_tests::http::Client;
use knit_tests::plans::PlanFile;
use knit_tests::postgres::TestDatabase;
use knit_tests::server::{Server, Setup};
use knit_tests::workshop::{Workshop, id_of};
use serde_json::json;

/// What a server without volumes may do.
const ELSEWHERE: &str = "api,projection,housekeeping";

/// Some servers on one database; the first has the volumes.
struct Replicas {
    shop: Workshop,
    others: Vec<Server>,
    database: TestDatabase,
}

impl Replicas {
    /// So many servers.
    fn start(servers: usize) -> Self {
        let database = TestDatabase::new();
        let shop = Workshop::with(Setup::new().database(database.url()));
        let others = (1..servers).map(|_| elsewhere(&database).start()).collect();
        Self { shop, others, database }
    }

    /// A client of each, round and round.
    fn in_turn(&self) -> impl Iterator<Item = Client> {
        let all: Vec<Client> = [&self.shop.server].into_iter().chain(&self.others).map(Server::http).collect();
        (0..).map(move |turn: usize| all[turn % all.len()])
    }
}

/// A server that keeps no volumes.
fn elsewhere(database: &TestDatabase) -> Setup {
    Setup::new().database(database.url()).option("--role", ELSEWHERE)
}

/// A Plan that matches nothing and is known by `name`.
fn named(name: &str) -> PlanFile {
    PlanFile::shell(&format!("echo {name}"))
        .input("/in", &["never:matched"])
        .with("annotations", json!([format!("n={name}")]))
}

/// Registers a Plan with one of the servers; answers its id.
#[track_caller]
fn register(http: Client, plan: &PlanFile) -> String {
    let answer = http.send_json("POST", "/api/plans", &plan.json());
    assert_eq!(answer.status, 200, "{}", answer.text());
    id_of(&answer.json(), "planId")
}
