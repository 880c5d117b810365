//! `knitd` as an administrator starts it: on a directory of its own and a free port, with an environment that
//! holds nothing of this machine.
//!
//! Whatever happens in a test, nothing stays behind: not the server, not its Workers, not its files. What the
//! server wrote to its log is printed when the test fails, and a panic of the server fails the test.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::cli::Knit;
use crate::clock::Clock;
use crate::disk::{SmallDisk, seen_by};
use crate::http::Client;
use crate::port::Port;
use crate::wait::{wait_for, wait_until};
use crate::{processes, program};

mod doomed;

/// What a server says once it can be reached; the address follows.
const ANNOUNCEMENT: &str = "listening on http://";
/// What a server logs unless a test says otherwise.
const LOG_FILTER: &str = "info,knitd=debug,knit_runtime=debug";
/// What stands in a log after a panic.
const PANIC: &str = "panicked at";

/// How a server is to be started.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    arguments: Vec<OsString>,
    state_dir: Option<PathBuf>,
    disk: Option<(Part, u64)>,
    environment: Vec<(&'static str, OsString)>,
    address: Option<SocketAddr>,
    port: Option<Arc<Port>>,
    log_filter: Option<String>,
}

impl Setup {
    /// The embedded default: SQLite and the local runtime.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with the event log in another database.
    #[must_use]
    pub fn database(self, url: &str) -> Self {
        self.option("--database", url)
    }

    /// The same, with an option.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name.into(), value.into()]);
        self
    }

    /// The same, with an option that has no value.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.arguments.push(name.into());
        self
    }

    /// The same, on a directory that is there already; it is not removed at the end.
    #[must_use]
    pub fn on(self, state_dir: &Path) -> Self {
        Self { state_dir: Some(state_dir.to_owned()), ..self }
    }

    /// The same, listening on one certain address.
    #[must_use]
    pub fn listening_on(self, address: SocketAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// The same, at an address that stays its own while it is away.
    #[must_use]
    pub fn at_a_lasting_address(self) -> Self {
        let port = Port::claim();
        Self { address: Some(port.address()), port: Some(Arc::new(port)), ..self }
    }

    /// The same, logging only what `filter` lets through; that must be at least `info`, where it says that it
    /// listens. Without it the server logs all that helps to understand a failed test.
    #[must_use]
    pub fn logging(self, filter: &str) -> Self {
        Self { log_filter: Some(filter.to_owned()), ..self }
    }

    /// The same, with the state on a disk of its own that holds so many bytes. Only the server sees the disk,
    /// whenever it is started. See [`Server::state_seen_by_it`].
    #[must_use]
    pub fn on_a_disk_of(self, bytes: u64) -> Self {
        Self { disk: Some((Part::State, bytes)), ..self }
    }

    /// The same, with nothing but the event log on such a disk. See [`Server::disk_seen_by_it`].
    #[must_use]
    pub fn with_the_log_on_a_disk_of(self, bytes: u64) -> Self {
        Self { disk: Some((Part::Log, bytes)), ..self }
    }

    /// The same, with such a disk as `disk` in its working directory, on which only that lies which the test puts
    /// there. See [`Server::disk_seen_by_it`].
    #[must_use]
    pub fn with_a_disk_beside_of(self, bytes: u64) -> Self {
        Self { disk: Some((Part::Beside, bytes)), ..self }
    }

    /// The same, with a clock that the test turns.
    #[must_use]
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.environment.extend(clock.environment());
        self
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get so far; the message shows its log.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Server {
        let mut server = self.place();
        server.start();
        server
    }

    /// Starts a server that must refuse to run, and answers what it said.
    ///
    /// # Panics
    /// When it runs all the same, or ends as if all were well.
    #[must_use]
    #[track_caller]
    pub fn refused(self) -> String {
        self.place().refuses()
    }

    fn place(self) -> Server {
        let home = tempfile::Builder::new().prefix("knit-outside-").tempdir().expect("a directory can be made");
        let state_dir = self.state_dir.unwrap_or_else(|| home.path().join("state"));
        let mut arguments = self.arguments;
        let disk = self.disk.map(|(part, bytes)| {
            let directory = match part {
                Part::State => state_dir.clone(),
                Part::Log | Part::Beside => home.path().join("disk"),
            };
            if part == Part::Log {
                arguments.extend(["--database".into(), directory.join("knitfab.db").into()]);
            }
            SmallDisk::at(&directory, bytes)
        });
        Server {
            home,
            state_dir,
            arguments,
            disk,
            environment: self.environment,
            listen: self.address.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string()),
            _port: self.port,
            log_filter: self.log_filter.unwrap_or_else(|| LOG_FILTER.to_owned()),
            orders: None,
            process: None,
            log_read_from: 0,
        }
    }
}

/// What lies on a disk of a server's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The state directory.
    State,
    /// The event log alone.
    Log,
    /// Nothing of its own.
    Beside,
}

/// A server, running or stopped.
#[derive(Debug)]
pub struct Server {
    home: TempDir,
    state_dir: PathBuf,
    arguments: Vec<OsString>,
    disk: Option<SmallDisk>,
    environment: Vec<(&'static str, OsString)>,
    listen: String,
    /// Held for as long as the server may come back to it.
    _port: Option<Arc<Port>>,
    log_filter: String,
    /// What its failpoints are to do, the next time it is started.
    orders: Option<String>,
    process: Option<Process>,
    /// Where in the log the present process began.
    log_read_from: usize,
}

#[derive(Debug)]
struct Process {
    child: Child,
    address: Option<SocketAddr>,
}

impl Server {
    /// Starts it again after it stopped or was killed, on the same state; its port may be another.
    ///
    /// # Panics
    /// When it runs already, or does not become ready; the message shows its log.
    #[track_caller]
    pub fn start(&mut self) {
        self.start_listening();
        wait_until("the server to be ready", || {
            self.assert_lives();
            self.http().get("/readyz").status == 200
        });
    }

    /// The same, but does not wait until it is ready, which it may never be.
    ///
    /// # Panics
    /// When it runs already, or does not listen; the message shows its log.
    #[track_caller]
    pub fn start_listening(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        self.spawn();
        let address = wait_for("the server to say where it listens", || {
            self.assert_lives();
            self.announced()
        });
        self.process.as_mut().expect("it was just started").address = Some(address);
    }

    fn spawn(&mut self) {
        self.log_read_from = self.log().len();
        let log = File::options().append(true).create(true).open(self.log_path()).expect("the log can be written");
        let mut command = match &self.disk {
            None => Command::new(program::path("knitd")),
            Some(disk) => disk.command(&program::path("knitd"), self.home.path()),
        };
        command.args(["--listen", &self.listen, "--log", &self.log_filter]);
        command.arg("--state-dir").arg(&self.state_dir).args(&self.arguments);
        command.env_clear().envs(self.environment.iter().cloned()).env("PATH", PATH).current_dir(self.home.path());
        command.envs(self.orders.take().map(|orders| (doomed::VARIABLE, orders)));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        let child = command.spawn().expect("the server can be started");
        self.process = Some(Process { child, address: None });
    }

    /// Starts it, which it must refuse; answers what it and its predecessors said.
    ///
    /// # Panics
    /// When it runs all the same, or ends as if all were well.
    #[track_caller]
    pub fn refuses(&mut self) -> String {
        self.spawn();
        let status = wait_for("the server to refuse to run", || {
            let ready =
                |address| Client::new(address).try_json("GET", "/readyz", None).is_ok_and(|it| it.status == 200);
            assert!(!self.announced().is_some_and(ready), "the server runs although it should not");
            self.child().try_wait().expect("a child can be waited for")
        });
        self.process = None;
        assert!(!status.success(), "a server that refuses to run says so by its exit code");
        self.log()
    }

    fn announced(&self) -> Option<SocketAddr> {
        let log = self.log();
        let said = log[self.log_read_from..].split_once(ANNOUNCEMENT)?.1;
        said.split_once('/').and_then(|(address, _)| address.parse().ok())
    }

    #[track_caller]
    fn assert_lives(&mut self) {
        let ended = self.child().try_wait().expect("a child can be waited for");
        assert!(ended.is_none(), "the server ended by itself ({ended:?}):\n{}", self.log());
    }

    fn child(&mut self) -> &mut Child {
        &mut self.process.as_mut().expect("the server runs").child
    }

    /// Tells it to stop (SIGTERM) and waits until it has.
    ///
    /// # Panics
    /// When it does not, or does not run.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.tell_to_stop();
        self.wait_for_end()
    }

    /// Tells it to stop (SIGTERM) and does not wait.
    ///
    /// # Panics
    /// When it does not run.
    pub fn tell_to_stop(&mut self) {
        self.signal(Signal::SIGTERM);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not, or does not run.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let ended = wait_for("the server to end", || self.child().try_wait().expect("a child can be waited for"));
        self.process = None;
        ended
    }

    /// Kills it (SIGKILL): it has no chance to do anything more.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        let ended = self.wait_for_end();
        assert_eq!(ended.signal(), Some(Signal::SIGKILL as i32), "the server had ended before it was killed");
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&mut self, signal: Signal) {
        let pid = i32::try_from(self.child().id()).expect("process ids are small");
        kill(Pid::from_raw(pid), signal).expect("a child can be signalled");
    }

    /// A user of this server, at home in a directory beside the state.
    #[must_use]
    pub fn knit(&self) -> Knit {
        Knit::new(self.home.path(), format!("http://{}/api", self.address())).administering(&self.state_dir)
    }

    /// A raw client of this server.
    #[must_use]
    pub fn http(&self) -> Client {
        Client::new(self.address())
    }

    /// Where it listens.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.process.as_ref().and_then(|process| process.address).expect("the server runs")
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").child.id()
    }

    /// Its state directory.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Its state directory as the server sees it, also when that lies on a disk that only the server sees.
    ///
    /// # Panics
    /// When it has no such disk and does not run.
    #[must_use]
    pub fn state_seen_by_it(&self) -> PathBuf {
        match &self.disk {
            Some(disk) => disk.seen(&self.state_dir),
            None => seen_by(self.pid(), &self.state_dir),
        }
    }

    /// The disk of its own as the server sees it.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn disk_seen_by_it(&self) -> PathBuf {
        self.disk.as_ref().expect("it has a disk of its own").directory()
    }

    /// Calls `program` at work on the disk of its own, with no environment.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn command_on_its_disk(&self, program: &Path) -> Command {
        let mut command = self.disk.as_ref().expect("it has a disk of its own").command_on_it(program);
        command.env_clear().env("PATH", PATH).stdin(Stdio::null());
        command
    }

    /// What it keeps beside the database: the name of every file, volume and Worker, in order.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn keeps(&self) -> Vec<String> {
        let state = self.state_seen_by_it();
        let mut found = Vec::new();
        for kind in ["incoming", "open", "volumes", "workers"] {
            let entries = fs::read_dir(state.join(kind)).into_iter().flatten().flatten();
            found.extend(entries.map(|entry| format!("{kind}/{}", entry.file_name().to_string_lossy())));
        }
        found.sort();
        found
    }

    /// A directory beside the state, for the files of the test; it goes with the server.
    #[must_use]
    pub fn desk(&self) -> &Path {
        self.home.path()
    }

    /// Everything it and its predecessors logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.log_path()).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("knitd.log")
    }
}

/// What Workers and the server find programs in; the environment of the tests is not theirs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "the harness captures it, and shows it when the test fails")]
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        // Another server's directory is another server's business, its Workers included.
        if self.state_dir.starts_with(self.home.path()) {
            processes::end_all_of(&self.state_dir);
        }
        let log = self.log();
        open_up(self.home.path());
        if std::thread::panicking() {
            eprintln!("---- what the server logged ----\n{log}---- end of the server's log ----");
        } else {
            assert!(!log.contains(PANIC), "the server panicked:\n{log}");
        }
    }
}

/// Sealed volumes are read-only; whoever is not root must open them before they can be removed.
fn open_up(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}
