//! A private PostgreSQL server for tests.
//!
//! One server is started for each test process, by the first test that wants it, and every test gets
//! a database of its own in it. The server runs as an ordinary user (PostgreSQL refuses to run as
//! root), keeps its promises about the disk (`fsync` is on), and listens on a socket and on a loopback
//! port of its own. It is stopped and its directory removed when the test process ends, however it
//! ends: a small shell watches a pipe that only this process holds open, so a panic, an abort or a
//! `kill -9` of the tests ends the server too.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a person does when the binaries are missing.
const ADVICE: &str = "PostgreSQL's server is not installed: run `apt-get install postgresql`";
/// How long the server may take to answer; a loaded machine with slow disks takes seconds.
const START_MAX: Duration = Duration::from_secs(60);
/// The pause between two questions whether it answers.
const START_POLL: Duration = Duration::from_millis(50);
/// Connections the server takes: dozens of tests at once, each with a few logs and their pools.
const CONNECTIONS_MAX: u32 = 400;

/// Runs the server, and stops it and removes its directory when standard input ends. Signals to the
/// terminal's group are ignored, so that the cleaning is done also after Ctrl-C.
const WATCH: &str = r#"trap '' INT TERM HUP
postgres=$1; directory=$2; shift 2
"$postgres" -D "$directory/data" "$@" >"$directory/log" 2>&1 </dev/null &
server=$!
echo started
read -r _
kill -INT "$server" 2>/dev/null
wait "$server"
rm -rf "$directory""#;

/// An empty database for one test.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
}

impl TestDatabase {
    /// A new database in the server of this process, which is started if need be.
    ///
    /// # Panics
    /// When PostgreSQL is not installed (the message names the line that installs it) or does not start.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let server = server();
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server.run("createdb", &["--template=template0", &name]);
        Self { url: format!("postgres://postgres@127.0.0.1:{}/{name}", server.port) }
    }

    /// Its address, as `--database` takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Default for TestDatabase {
    fn default() -> Self {
        Self::new()
    }
}

/// The server of this process.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    // The lock keeps two first tests from starting two servers; `OnceLock` alone would, too, but a
    // panic while starting must be seen by every test with its own message.
    static STARTING: Mutex<()> = Mutex::new(());
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    SERVER.get_or_init(Server::start)
}

/// A running server.
#[derive(Debug)]
struct Server {
    bin: PathBuf,
    directory: PathBuf,
    port: u16,
    /// The shell; it stops the server when its standard input, which we hold, is closed.
    watcher: Mutex<Child>,
}

impl Server {
    fn start() -> Self {
        let bin = binaries().expect(ADVICE);
        let directory = directory();
        run(&bin, "initdb", &["-D", &text(&directory.join("data")), "-U", "postgres", "-A", "trust", "--no-sync"]);
        let port = free_port();
        let watcher = Mutex::new(watch(&bin, &directory, port));
        let server = Self { bin, directory, port, watcher };
        server.wait();
        server
    }

    /// Waits until the server takes connections.
    fn wait(&self) {
        let deadline = Instant::now() + START_MAX;
        while !succeeds(&self.bin, "pg_isready", &self.arguments(&["-q"])) {
            let ended = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            assert!(ended.is_ok_and(|ended| ended.is_none()), "PostgreSQL's watcher ended:\n{log}");
            assert!(Instant::now() < deadline, "PostgreSQL does not answer:\n{log}");
            thread::sleep(START_POLL);
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        run(&self.bin, program, &self.arguments(arguments));
    }

    fn arguments<'a>(&self, more: &[&'a str]) -> Vec<std::borrow::Cow<'a, str>> {
        let own = [format!("--host={}", text(&self.directory)), format!("--port={}", self.port)];
        let own = own.into_iter().chain(["--username=postgres".to_owned()]).map(Into::into);
        own.chain(more.iter().map(|argument| (*argument).into())).collect()
    }
}
