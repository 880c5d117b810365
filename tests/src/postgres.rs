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
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
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
/// Loopback ports that are tried. One that was free can be taken before the server binds it.
const PORTS_MAX: usize = 5;
/// Users that may run the server when the tests run as root.
const ORDINARY_USERS: [&str; 2] = ["postgres", "nobody"];

/// Runs the server, and stops it and removes its directory when standard input ends. It is stopped at
/// once: what is thrown away need not be written out first. Signals to the terminal's group are
/// ignored, so that the cleaning is done also after Ctrl-C.
const WATCH: &str = r#"trap '' INT TERM HUP
postgres=$1; directory=$2; shift 2
"$postgres" -D "$directory/data" "$@" >"$directory/log" 2>&1 </dev/null &
server=$!
read -r _
kill -QUIT "$server" 2>/dev/null
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
        server.client("createdb", &["--template=template0", &name]);
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
    SERVER.get_or_init(|| {
        let bin = binaries().expect(ADVICE);
        let started = (0..PORTS_MAX).find_map(|_| Server::start(&bin));
        started.expect("a loopback port that stays free until the server binds it")
    })
}

/// A running server.
#[derive(Debug)]
struct Server {
    bin: PathBuf,
    directory: PathBuf,
    port: u16,
    /// Held, never read: the shell stops the server when its standard input is closed.
    _watcher: Child,
}

impl Server {
    /// Makes a cluster in a new directory and starts it; none if the port was taken meanwhile.
    fn start(bin: &Path) -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("knit-pg-").tempdir_in(scratch()).expect("a scratch directory");
        let user = OrdinaryUser::instead_of_root(directory.path());
        // From here on the watcher removes it.
        let directory = directory.keep();
        let data = directory.join("data");
        let initdb = user.command(&bin.join("initdb"));
        run(initdb, &["--username=postgres", "--auth=trust", "--no-sync", "--pgdata", path(&data)]);
        let port = free_port();
        let watcher = watch(user.command(Path::new("/bin/sh")), bin, &directory, port);
        let server = Self { bin: bin.to_owned(), directory, port, _watcher: watcher };
        server.answers().then_some(server)
    }

    /// Waits until the server takes connections; false if it cannot have its port.
    fn answers(&self) -> bool {
        let deadline = Instant::now() + START_MAX;
        loop {
            let ready = self.connecting("pg_isready").arg("--quiet").status().expect("pg_isready runs");
            let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            if ready.success() {
                return true;
            }
            if log.contains("could not create any TCP/IP sockets") {
                return false;
            }
            assert!(Instant::now() < deadline, "PostgreSQL does not answer:\n{log}");
            thread::sleep(START_POLL);
        }
    }

    fn client(&self, program: &str, arguments: &[&str]) {
        run(self.connecting(program), arguments);
    }

    fn connecting(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.arg("--host").arg(&self.directory).arg(format!("--port={}", self.port)).arg("--username=postgres");
        command
    }
}

/// Who runs the server.
#[derive(Debug)]
enum OrdinaryUser {
    /// Whoever runs the tests.
    Ourselves,
    /// Another, because we are root.
    Other { uid: u32, gid: u32 },
}

impl OrdinaryUser {
    /// Hands `directory`, which is ours, to an ordinary user if we are root.
    fn instead_of_root(directory: &Path) -> Self {
        let owner = fs::metadata(directory).expect("the directory was just made").uid();
        if owner != 0 {
            return Self::Ourselves;
        }
        let users = fs::read_to_string("/etc/passwd").expect("a list of users");
        let (uid, gid) =
            ORDINARY_USERS.iter().find_map(|name| ids_of(&users, name)).expect("a user `postgres` or `nobody`");
        chown(directory, Some(uid), Some(gid)).expect("root may give a directory away");
        Self::Other { uid, gid }
    }

    fn command(&self, program: &Path) -> Command {
        match self {
            Self::Ourselves => Command::new(program),
            Self::Other { uid, gid } => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
                command.arg("--").arg(program);
                command
            }
        }
    }
}

/// The user and group number of `name` in the text of `/etc/passwd`.
fn ids_of(users: &str, name: &str) -> Option<(u32, u32)> {
    let fields: Vec<&str> = users.lines().map(|line| line.split(':')).find_map(|mut fields| {
        let found = fields.next() == Some(name);
        found.then(|| fields.collect())
    })?;
    Some((fields.get(1)?.parse().ok()?, fields.get(2)?.parse().ok()?))
}

fn watch(mut shell: Command, bin: &Path, directory: &Path, port: u16) -> Child {
    let settings = [
        format!("unix_socket_directories={}", path(directory)),
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("max_connections={CONNECTIONS_MAX}"),
        "fsync=on".to_owned(),
    ];
    shell.arg("-c").arg(WATCH).arg("watch").arg(bin.join("postgres")).arg(directory);
    for setting in settings {
        shell.arg("-c").arg(setting);
    }
    // A group of its own: Ctrl-C in the terminal is for the tests, and reaches the server through us.
    shell.process_group(0).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().expect("a shell")
}

fn run(mut command: Command, arguments: &[&str]) {
    let output = command.current_dir("/").args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not run: {error}"));
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The directory of the newest installed server, or of the one on the path.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .max();
    let on_path = || env::split_paths(&env::var_os("PATH")?).find(|bin| bin.join("initdb").is_file());
    newest.map(|(_, bin)| bin).or_else(on_path)
}

/// Where the cluster is put. Not the process's own scratch directory: the server's user may be kept
/// out of it, and the path of a socket has at most 107 bytes.
fn scratch() -> PathBuf {
    let tmp = Path::new("/tmp");
    if tmp.is_dir() { tmp.to_owned() } else { env::temp_dir() }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
    listener.local_addr().expect("a bound address").port()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("scratch directories have plain names")
}
