//! One PostgreSQL server: made, watched, ended.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::port::Port;

/// What a person does when the binaries are missing.
const ADVICE: &str = "PostgreSQL's server is not installed: run `apt-get install postgresql`";
/// How long the server may take to answer; a loaded machine with slow disks takes seconds.
const START_MAX: Duration = Duration::from_secs(60);
/// The pause between two questions whether it answers.
const START_POLL: Duration = Duration::from_millis(50);
/// Connections the server takes: dozens of tests at once, each with a few logs and their pools.
const CONNECTIONS_MAX: u32 = 400;
/// Loopback ports that are tried. A stranger that shares ports as servers do can take ours before the server binds it.
const PORTS_MAX: usize = 5;
/// What `pg_isready` says when no server is there at all.
const NOBODY_THERE: i32 = 2;
/// Users that may run the server when the tests run as root.
const ORDINARY_USERS: [&str; 2] = ["postgres", "nobody"];

/// Where a small disk is mounted, for the server alone: a directory that every system has, and that is in nobody's way.
const DISK: &str = "/mnt";

/// Mounts a disk of a size, puts the cluster on it and goes on as whoever the rest says. See
/// [`OrdinaryUser::command_on_a_disk`].
const MOUNT: &str =
    r#"mount -t tmpfs -o "size=$1,mode=0777" tmpfs "$2" && cp -a "$3" "$2/data" && shift 3 && exec "$@""#;

/// Runs the server, ends and starts it on the words that come in, and removes its directory when standard
/// input ends. It is stopped at once, without a last write: what is thrown away need not be written out, and
/// a test that ends it wants just that. Signals to the terminal's group are ignored, so that the cleaning is
/// done also after Ctrl-C.
const WATCH: &str = r#"trap '' INT TERM HUP
postgres=$1; directory=$2; data=$3; shift 3
begin() { "$postgres" -D "$data" "$@" >>"$directory/log" 2>&1 </dev/null & server=$!; }
finish() { kill -QUIT "$server" 2>/dev/null; wait "$server"; }
begin "$@"
while read -r word; do
    case $word in
        kill) finish ;;
        start) begin "$@" ;;
    esac
done
finish
rm -rf "$directory""#;

/// A server, running unless it was killed.
#[derive(Debug)]
pub(super) struct Server {
    bin: PathBuf,
    directory: PathBuf,
    port: Port,
    /// The shell stops the server when this is closed.
    orders: ChildStdin,
    watcher: Child,
}

/// What a server has that others have not.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// Variables of its environment beside those of the tests.
    pub(super) environment: Vec<(&'static str, OsString)>,
    /// The size of a disk of its own for the cluster, in bytes; without one it lies on the disk of the tests.
    pub(super) disk_bytes: Option<u64>,
}

impl Server {
    /// A running server, at a port that stayed free until it was bound.
    ///
    /// # Panics
    /// When there is no PostgreSQL, or it does not start.
    pub(super) fn start() -> Self {
        Self::start_in(&Surroundings::default())
    }

    /// The same, in other surroundings.
    pub(super) fn start_in(surroundings: &Surroundings) -> Self {
        let bin = binaries().expect(ADVICE);
        let started = (0..PORTS_MAX).find_map(|_| Self::start_once(&bin, surroundings));
        started.expect("a loopback port that stays free until the server binds it")
    }

    /// Makes a cluster in a new directory and starts it; none if the port was taken meanwhile.
    fn start_once(bin: &Path, surroundings: &Surroundings) -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("knit-pg-").tempdir_in(scratch()).expect("a scratch directory");
        let user = OrdinaryUser::instead_of_root(directory.path());
        // From here on the watcher removes it.
        let directory = directory.keep();
        let data = directory.join("data");
        let initdb = user.command(&bin.join("initdb"));
        // Whatever locale whoever tests has asked for, installed or not.
        let everywhere = ["--no-locale", "--encoding=UTF8", "--username=postgres", "--auth=trust", "--no-sync"];
        run(initdb, &[&everywhere[..], &["--pgdata", path(&data)]].concat());
        let port = Port::claim();
        let mut watcher = watch(&user, surroundings, bin, &directory, port.number());
        let orders = watcher.stdin.take().expect("its standard input is a pipe");
        let server = Self { bin: bin.to_owned(), directory, port, orders, watcher };
        server.answers(0).then_some(server)
    }

    /// The disk of its own, if it has one, as only the server and who looks through its eyes see it.
    pub(super) fn disk(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{DISK}", self.watcher.id()))
    }

    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }

    /// Ends it as a power cut would.
    pub(super) fn kill(&mut self) {
        self.order("kill");
        let deadline = Instant::now() + START_MAX;
        while self.is_ready() != Some(NOBODY_THERE) {
            assert!(Instant::now() < deadline, "PostgreSQL does not end:\n{}", self.log());
            thread::sleep(START_POLL);
        }
    }

    /// Starts it again at the same port.
    pub(super) fn start_again(&mut self) {
        let log_bytes = self.log().len();
        self.order("start");
        assert!(self.answers(log_bytes), "somebody took the port of PostgreSQL:\n{}", self.log());
    }

    fn order(&mut self, word: &str) {
        writeln!(self.orders, "{word}").expect("the shell takes orders");
    }

    /// Waits until the server takes connections; false if it cannot have its port. What it logged before
    /// `log_bytes` was about an earlier start.
    fn answers(&self, log_bytes: usize) -> bool {
        let deadline = Instant::now() + START_MAX;
        loop {
            if self.is_ready() == Some(0) {
                return true;
            }
            let log = self.log();
            if log[log_bytes..].contains("could not create any TCP/IP sockets") {
                return false;
            }
            assert!(Instant::now() < deadline, "PostgreSQL does not answer:\n{log}");
            thread::sleep(START_POLL);
        }
    }

    /// The exit code of `pg_isready`.
    fn is_ready(&self) -> Option<i32> {
        self.connecting("pg_isready").arg("--quiet").status().expect("pg_isready runs").code()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Runs one of the programs that come with the server; answers what it printed.
    pub(super) fn client(&self, program: &str, arguments: &[&str]) -> String {
        run(self.connecting(program), arguments)
    }

    /// Gives it a statement, and does not ask what became of it.
    pub(super) fn asks(&self, sql: &str) {
        let mut psql = self.connecting("psql");
        let _ = psql.current_dir("/").args(["--no-psqlrc", "-q", "--command", sql]).output().expect("psql runs");
    }

    fn connecting(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.arg("--host").arg(&self.directory).arg(format!("--port={}", self.port())).arg("--username=postgres");
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
                command.args(becoming(*uid, *gid)).arg(program);
                command
            }
        }
    }

    /// Calls `program` where a disk of `bytes` with the cluster `data` is mounted. Whoever is not root needs a user
    /// namespace to be allowed that, and another to be an ordinary user again: PostgreSQL would refuse.
    fn command_on_a_disk(&self, bytes: u64, data: &Path, program: &Path) -> Command {
        let mut command = Command::new("unshare");
        if matches!(self, Self::Ourselves) {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "sh", "-c", MOUNT, "sh", &bytes.to_string(), DISK]).arg(data);
        match self {
            Self::Ourselves => command.args(["unshare", "--user", "--map-user=1", "--map-group=1", "--"]),
            Self::Other { uid, gid } => command.arg("setpriv").args(becoming(*uid, *gid)),
        };
        command.arg(program);
        command
    }
}

/// What `setpriv` is told to make somebody an ordinary user; the program follows.
fn becoming(uid: u32, gid: u32) -> [String; 4] {
    [format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned(), "--".to_owned()]
}

/// The user and group number of `name` in the text of `/etc/passwd`.
fn ids_of(users: &str, name: &str) -> Option<(u32, u32)> {
    let fields: Vec<&str> = users.lines().map(|line| line.split(':')).find_map(|mut fields| {
        let found = fields.next() == Some(name);
        found.then(|| fields.collect())
    })?;
    Some((fields.get(1)?.parse().ok()?, fields.get(2)?.parse().ok()?))
}

/// Starts the shell that watches a server. `env` is called by the user who runs it, and adds to its environment:
/// a library that is preloaded there would not do for whoever changes the user.
fn watch(user: &OrdinaryUser, surroundings: &Surroundings, bin: &Path, directory: &Path, port: u16) -> Child {
    let made = directory.join("data");
    let (mut env, data) = match surroundings.disk_bytes {
        None => (user.command(Path::new("env")), made),
        Some(bytes) => (user.command_on_a_disk(bytes, &made, Path::new("env")), Path::new(DISK).join("data")),
    };
    let settings = [
        format!("unix_socket_directories={}", path(directory)),
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("max_connections={CONNECTIONS_MAX}"),
        "fsync=on".to_owned(),
    ];
    for (name, value) in &surroundings.environment {
        let mut assignment = OsString::from(format!("{name}="));
        assignment.push(value);
        env.arg(assignment);
    }
    env.args(["/bin/sh", "-c", WATCH, "watch"]).arg(bin.join("postgres")).arg(directory).arg(data);
    for setting in settings {
        env.arg("-c").arg(setting);
    }
    // A group of its own: Ctrl-C in the terminal is for the tests, and reaches the server through us.
    env.process_group(0).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    env.spawn().expect("a shell")
}

/// Runs a program that must succeed; answers what it printed.
fn run(mut command: Command, arguments: &[&str]) -> String {
    let output = command.current_dir("/").args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not run: {error}"));
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
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

fn path(path: &Path) -> &str {
    path.to_str().expect("scratch directories have plain names")
}
