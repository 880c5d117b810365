//! Private PostgreSQL servers for tests.
//!
//! One server is started for each test process, by the first test that wants it, and every test gets
//! a database of its own in it. A test that ends its server, or turns its clock, has one of its own
//! ([`DatabaseServer`]). Servers run as an ordinary user (PostgreSQL refuses to run as root), keep their
//! promises about the disk (`fsync` is on), and listen on a socket and on a loopback port of their own.
//! They are stopped and their directories removed when the test process ends, however it ends: a small
//! shell watches a pipe that only this process holds open, so a panic, an abort or a `kill -9` of the
//! tests ends the server too.

mod server;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use server::{Server, Surroundings};

use crate::clock::Clock;

/// An empty database for one test.
#[derive(Debug)]
pub struct TestDatabase {
    port: u16,
    name: String,
    url: String,
}

impl TestDatabase {
    /// A new database in the server of this process, which is started if need be.
    ///
    /// # Panics
    /// When PostgreSQL is not installed (the message names the line that installs it) or does not start.
    #[must_use]
    pub fn new() -> Self {
        let name = new_name();
        shared().client("createdb", &["--template=template0", &name]);
        Self::named(shared(), name)
    }

    fn named(server: &Server, name: String) -> Self {
        let url = format!("postgres://postgres@127.0.0.1:{}/{name}", server.port());
        Self { port: server.port(), name, url }
    }

    /// Its address, as `--database` takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same address by way of another port, at which somebody passes everything on.
    #[must_use]
    pub fn url_through(&self, port: u16) -> String {
        // Whoever passes on cannot pretend to be the server of an encrypted connection.
        format!("postgres://postgres@127.0.0.1:{port}/{}?sslmode=disable", self.name)
    }

    /// The port of its server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs statements as another program would, behind the back of the programs under test; answers what the
    /// last of them found, columns between bars.
    ///
    /// # Panics
    /// When one fails.
    pub fn run(&self, sql: &str) -> String {
        run_in(&self.name, sql)
    }

    /// Appends an event that contradicts what the log has said before, in its place in the order, with its leaf and
    /// the chain as they must be (D15): tags of a Data that was never there. No program of today writes such an
    /// event, and one with a mistake might. Answers its position.
    ///
    /// # Panics
    /// When it cannot be appended.
    pub fn contradict(&self) -> u64 {
        self.append("data", "DataTagsChanged", "1", r#"{"DataTagsChanged":{"added":[["a","b"]],"removed":[]}}"#)
    }

    /// Appends an event in the same way, as a newer program would: of a version that nobody knows today. There is no
    /// newer program to run, and today's event log takes no event that the domain does not know; so this stands in for
    /// it with the rules of the log, and nothing of today's code. Answers its position.
    ///
    /// # Panics
    /// When it cannot be appended.
    pub fn write_as_a_newer_program(&self) -> u64 {
        self.append("plan", "PlanRegistered", "99", r#"{"new": true}"#)
    }

    fn append(&self, stream_type: &str, event_type: &str, event_version: &str, payload: &str) -> u64 {
        let part = |bytes: &str| format!("int8send(octet_length({bytes})) || {bytes}");
        let text = |column: &str| part(&format!("convert_to({column}, 'UTF8')"));
        let leaf = [
            part("salt"),
            part("uuid_send(event_id)"),
            text(&format!("'{stream_type}'")),
            text("stream"),
            part("int8send(1)"),
            text(&format!("'{event_type}'")),
            text(&format!("'{event_version}'")),
            text("payload"),
            text("metadata"),
        ];
        self.run(&format!(
            "WITH said AS (
                 SELECT gen_random_uuid() AS event_id, gen_random_uuid()::text AS stream, '\\x00'::bytea AS salt,
                        '{payload}' AS payload,
                        '{{\"actor\":\"a mistake\"}}' AS metadata),
             hashed AS (SELECT said.*, sha256({}) AS leaf FROM said),
             moved AS (
                 UPDATE head SET position = position + 1, recorded_at = recorded_at + 1, chain = sha256(
                     chain || int8send(position + 1) || int8send(recorded_at + 1) || (SELECT leaf FROM hashed))
                 RETURNING position, recorded_at, chain)
             INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                                 position, event_id, recorded_at, salt, leaf, chain)
             SELECT '{stream_type}', stream, 1, '{event_type}', '{event_version}', payload::json, metadata::json,
                    position, event_id, recorded_at, salt, leaf, chain
               FROM moved, hashed;
             SELECT pg_notify('knit_log', position::text) FROM head;",
            leaf.join(" || ")
        ));
        self.run("SELECT position FROM head").parse().expect("a position is a number")
    }

    /// What it holds now, in a database of its own, as an administrator's backup keeps it. Whoever is connected
    /// is thrown out meanwhile.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn backup(&self) -> Self {
        let copy = new_name();
        self.close_to_all();
        run_in("postgres", &format!("CREATE DATABASE {copy} TEMPLATE {};", self.name));
        run_in("postgres", &format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name));
        Self::named(shared(), copy)
    }

    /// Puts `other` in the place of this one under the programs that use it, which are thrown out.
    ///
    /// # Panics
    /// When it cannot be done.
    pub fn replace_by(&self, other: Self) {
        let gone = new_name();
        self.close_to_all();
        let (this, other) = (&self.name, other.name);
        run_in(
            "postgres",
            &format!("BEGIN; ALTER DATABASE {this} RENAME TO {gone}; ALTER DATABASE {other} RENAME TO {this}; COMMIT;"),
        );
    }

    fn close_to_all(&self) {
        let name = &self.name;
        run_in("postgres", &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
        run_in(
            "postgres",
            &format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'"),
        );
    }
}

impl Default for TestDatabase {
    fn default() -> Self {
        Self::new()
    }
}

fn run_in(database: &str, sql: &str) -> String {
    shared().client("psql", &["--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-qAt", "--dbname", database, "--command", sql])
}

fn new_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The server of this process.
fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// A server of the test's own, with one empty database.
#[derive(Debug)]
pub struct DatabaseServer {
    server: Server,
    url: String,
}

impl DatabaseServer {
    /// A running server.
    ///
    /// # Panics
    /// When PostgreSQL is not installed (the message names the line that installs it) or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::of(Server::start())
    }

    /// The same, with a clock that the test turns.
    ///
    /// # Panics
    /// When that or PostgreSQL is not installed, or does not start.
    #[must_use]
    pub fn start_with(clock: &Clock) -> Self {
        Self::of(Server::start_in(&Surroundings { environment: clock.environment(), ..Surroundings::default() }))
    }

    /// A running server with its cluster on a disk that holds so many bytes, which only it sees.
    /// See [`DatabaseServer::disk_seen_by_it`].
    ///
    /// # Panics
    /// When PostgreSQL is not installed, or does not start: a new cluster needs some 40 MB.
    #[must_use]
    pub fn start_on_a_disk_of(bytes: u64) -> Self {
        Self::of(Server::start_in(&Surroundings { disk_bytes: Some(bytes), ..Surroundings::default() }))
    }

    /// The disk with its cluster as the server sees it.
    #[must_use]
    pub fn disk_seen_by_it(&self) -> PathBuf {
        self.server.disk()
    }

    /// Makes it go on with a new file of its journal, where the disk has room for one; ends it where there is none.
    pub fn ends_its_journal_file(&self) {
        // It may die over this, and then the answer is a lost connection.
        self.server.asks("SELECT pg_switch_wal()");
        self.server.asks("CREATE TABLE journalled ()");
    }

    fn of(server: Server) -> Self {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port());
        Self { server, url }
    }

    /// The time that its clock shows, in the notation of RFC 3339.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn time(&self) -> String {
        let ask = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
        self.server.client("psql", &["--no-psqlrc", "-qAt", "--command", ask])
    }

    /// The address of its database, as `--database` takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it at once, as a power cut would: no connection hears a word, and the next start recovers.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again at the same address, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_again(&mut self) {
        self.server.start_again();
    }
}
