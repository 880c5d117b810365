//! The head of a log that somebody has changed behind its server hides nothing, and nothing is written on it.

use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;
use serde_json::json;

use crate::verifying::{NOT_WHOLE, by_hand, exported, is_found_by_all, text, with_a_history};

/// A server with a history, and how its log is changed behind it.
struct Tampered {
    database: Option<TestDatabase>,
    shop: Workshop,
    data: String,
    events: u64,
}

impl Tampered {
    fn on(database: Option<TestDatabase>) -> Self {
        let setup = Setup::new().option("--archive-segment", "2");
        let setup = database.iter().fold(setup, |setup, database| setup.database(database.url()));
        let shop = with_a_history(setup);
        let data = shop.push(&[("it", "x")], &["more:data"]);
        let events = shop.knit(&["audit", "verify"]).json()["events"].as_u64().unwrap();
        Self { database, shop, data, events }
    }

    /// Stops the server, does `change`, and starts it again.
    fn change(&mut self, change: &str) {
        let _ = self.shop.server.stop();
        self.change_only(change);
        self.shop.server.start_listening();
    }

    fn change_only(&self, change: &str) {
        match &self.database {
            Some(database) => drop(database.run(&format!("{change}; SELECT 1"))),
            None => by_hand(self.shop.server.state_dir(), change),
        }
    }

    /// Moves the head to another position, as if what lies behind that had never been.
    fn move_back(&self, by: u64) -> String {
        let to = self.events - by;
        format!(
            "UPDATE head SET position = {to}, chain = (SELECT chain FROM events WHERE position = {to}), \
             recorded_at = (SELECT recorded_at FROM events WHERE position = {to})"
        )
    }

    fn is_told_everywhere(&self, position: u64, reason: &str) {
        let shop = &self.shop;
        is_found_by_all(shop, &exported(shop, "jsonl"), position);
        let _ = shop.refused(NOT_WHOLE, &["audit", "verify"]).tells(&format!("position {position}: "));
        wait_until("the server to find it", || shop.server.http().get("/readyz").text().contains(reason));
        for words in [&["data", "find"][..], &["data", "tag", "--add", "x:y", &self.data]] {
            let told = shop.refused(1, words).tells("the event log is damaged (503)").tells(reason);
            let _ = told.tells("keep the database as it is").tells("`knit audit verify`");
        }
        let told = shop.refused(1, &["admin", "doctor", "--output", "text"]);
        let is_bad = |line: &str| line.starts_with("bad") && line.contains("database: ") && line.contains(reason);
        assert!(told.stdout.lines().any(is_bad), "{told}");
        for state in shop.knit(&["admin", "projections"]).json().as_array().unwrap() {
            assert_eq!(state["state"], "damaged", "{state:#}");
        }
        let archive = shop.new_path("archive");
        for words in [
            &["audit", "replay"][..],
            &["admin", "rebuild-projection", "store"],
            &["admin", "archive", "--to", text(&archive)],
        ] {
            let _ = shop.refused(NOT_WHOLE, words).tells(reason);
        }
    }

    /// What was refused has changed nothing: with its head as it was, the log is whole, and goes on.
    fn is_mended_by(&mut self, change: &str) {
        self.change(change);
        wait_until("the server to be ready", || self.shop.server.http().get("/readyz").status == 200);
        let told = self.shop.knit(&["audit", "verify"]).json();
        assert_eq!(told["events"], self.events, "nothing was appended");
        let _ = self.shop.knit(&["data", "tag", "--add", "x:y", &self.data]);
        assert_eq!(self.shop.knit(&["audit", "verify"]).json()["events"], self.events + 1);
    }
}

fn a_head_that_was_moved_back_hides_nothing(database: Option<TestDatabase>) {
    let mut log = Tampered::on(database);
    let (first, head) = (log.events - 1, log.events - 2);
    log.change(&log.move_back(2));
    let reason = format!("event {first} lies behind the head of the log, which says that the last one is {head}");
    log.is_told_everywhere(first, &reason);
    log.is_mended_by(&log.move_back(0));
}

fn nothing_is_written_on_a_head_with_another_chain(database: Option<TestDatabase>) {
    let mut log = Tampered::on(database);
    log.change("UPDATE head SET chain = (SELECT chain FROM events WHERE position = 1)");
    let reason = format!("the head of the log has another chain value than its last event, {}", log.events);
    log.is_told_everywhere(log.events, &reason);
    log.is_mended_by(&log.move_back(0));
}

#[test]
fn a_head_that_was_moved_back_hides_nothing_on_sqlite() {
    a_head_that_was_moved_back_hides_nothing(None);
}

#[test]
fn a_head_that_was_moved_back_hides_nothing_on_postgresql() {
    a_head_that_was_moved_back_hides_nothing(Some(TestDatabase::new()));
}

#[test]
fn nothing_is_written_on_a_head_with_another_chain_on_sqlite() {
    nothing_is_written_on_a_head_with_another_chain(None);
}

#[test]
fn nothing_is_written_on_a_head_with_another_chain_on_postgresql() {
    nothing_is_written_on_a_head_with_another_chain(Some(TestDatabase::new()));
}

#[test]
fn a_head_that_is_changed_under_a_server_is_found_by_whoever_writes_and_is_in_order_again_when_it_was_mended() {
    let log = Tampered::on(Some(TestDatabase::new()));
    for change in [log.move_back(1), "UPDATE head SET chain = (SELECT chain FROM events WHERE position = 1)".to_owned()]
    {
        log.change_only(&change);
        let tag = format!("/api/data/{}", log.data);
        let tags = json!({"add": [{"key": "x", "value": "y"}], "remove": []});
        let refused = log.shop.server.http().send_json("PUT", &tag, &tags);
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.text().contains("the event log is damaged"), "{}", refused.text());
        log.change_only(&log.move_back(0));
        wait_until("the server to be ready", || log.shop.server.http().get("/readyz").status == 200);
        assert_eq!(log.shop.knit(&["audit", "verify"]).json()["events"], log.events, "nothing was appended");
    }
}
