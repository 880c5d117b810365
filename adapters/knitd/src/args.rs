//! The configuration of `knitd`: its command line, with the environment beside it, and nothing else.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use knit_schemas::api::ADMIN_SOCKET_FILE;
use knit_schemas::duration::GoDuration;
use knit_schemas::export::SEGMENT_EVENTS;

/// Run the Knitfab server.
///
/// Without options it keeps everything under ~/.local/share/knitfab (SQLite, and Workers as sandboxed
/// processes of this machine) and listens on 127.0.0.1:30803.
#[derive(Debug, Clone, Parser)]
#[command(name = "knitd", version = knit_schemas::api::VERSION, max_term_width = 100)]
pub struct Args {
    /// Keep Data, Workers and the default database here [default: ~/.local/share/knitfab]
    #[arg(long, env = "KNITD_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Keep the event log here: postgres://…, or the path of an SQLite file [default: <state-dir>/knitfab.db]
    #[arg(long, env = "KNITD_DATABASE", value_name = "URL", hide_env_values = true)]
    pub database: Option<String>,

    /// Listen on this address; anything but loopback opens the API to the network, which has no login
    #[arg(long, env = "KNITD_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:30803",
        value_parser = address)]
    pub listen: SocketAddr,

    /// Answer /healthz, /readyz and /metrics, and nothing else, on this address as well [default: only where the API is]
    #[arg(long, env = "KNITD_METRICS_LISTEN", value_name = "ADDR", value_parser = address)]
    pub metrics_listen: Option<SocketAddr>,

    /// Accept requests for this host name too, beside loopback and the address listened on (repeatable)
    #[arg(long = "host", env = "KNITD_HOSTS", value_name = "NAME", value_delimiter = ',')]
    pub hosts: Vec<String>,

    /// Take on these roles (repeatable) [default: all]
    #[arg(long = "role", env = "KNITD_ROLES", value_name = "ROLE", value_delimiter = ',')]
    pub roles: Vec<Role>,

    /// Answer questions and change nothing: take on no role, refuse commands, and take an import into an empty log
    #[arg(long, env = "KNITD_LOOK_ONLY", conflicts_with = "roles")]
    pub look_only: bool,

    /// Run Workers and keep Data with this runtime
    #[arg(long, env = "KNITD_RUNTIME", value_name = "RUNTIME", default_value = "local")]
    pub runtime: RuntimeKind,

    /// Refuse an upload that unpacks to more than this many bytes
    #[arg(long, env = "KNITD_UPLOAD_BYTES_MAX", value_name = "BYTES", default_value_t = UPLOAD_BYTES_MAX)]
    pub upload_bytes_max: u64,

    /// Refuse an upload of more than this many files
    #[arg(long, env = "KNITD_UPLOAD_ENTRIES_MAX", value_name = "COUNT", default_value_t = UPLOAD_ENTRIES_MAX)]
    pub upload_entries_max: u64,

    /// Open the socket for `knit admin` here [default: <state-dir>/admin.sock]
    #[arg(long, env = "KNITD_ADMIN_SOCKET", value_name = "PATH")]
    pub admin_socket: Option<PathBuf>,

    /// Save snapshots of the projections after so many events, and of a long log after a twentieth of it; with fewer
    /// the next start has less to fold
    #[arg(long, env = "KNITD_SNAPSHOT_EVERY", value_name = "EVENTS", default_value_t = SNAPSHOT_EVERY_EVENTS,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_every: u64,

    /// Save snapshots of the projections also after this time, if anything has happened, such as 30m or 24h
    #[arg(long, env = "KNITD_SNAPSHOT_AFTER", value_name = "DURATION", default_value = "1h", value_parser = time)]
    pub snapshot_after: Duration,

    /// Copy the log to compressed files in this directory as it grows, segment by segment [default: only when that is
    /// asked for: `knit admin archive`]
    #[arg(long, env = "KNITD_ARCHIVE_DIR", value_name = "DIR")]
    pub archive_dir: Option<PathBuf>,

    /// Events of a segment of the archive; it ends earlier only to admit a redaction
    #[arg(long, env = "KNITD_ARCHIVE_SEGMENT", value_name = "EVENTS", default_value_t = SEGMENT_EVENTS,
        value_parser = clap::value_parser!(u64).range(1..=ARCHIVE_SEGMENT_MAX))]
    pub archive_segment: u64,

    /// What to log: error, warn, info, debug, trace, or a filter such as `info,knitd=debug`
    #[arg(long = "log", env = "KNITD_LOG", value_name = "FILTER", default_value = "info")]
    pub log_filter: String,

    /// Send spans to this collector of OpenTelemetry, over HTTP, such as http://127.0.0.1:4318 [default: to none]
    #[arg(long, env = "KNITD_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// How to write log lines
    #[arg(long, env = "KNITD_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// Unpacked bytes of one upload: a tebibyte, beyond any Data seen, yet short of filling a large disk by a bomb.
pub const UPLOAD_BYTES_MAX: u64 = 1 << 40;
/// Files of one upload: ten million, beyond which listing a directory is itself the trouble.
pub const UPLOAD_ENTRIES_MAX: u64 = 10_000_000;

/// Events between two snapshots: folding so many again at start takes well under a second.
pub const SNAPSHOT_EVERY_EVENTS: u64 = 20_000;

/// The most events of a segment: a file of some gigabytes, beyond which a copy is hard to move and slow to check.
pub const ARCHIVE_SEGMENT_MAX: u64 = 10_000_000;

/// Time between two snapshots, if anything is new: of a log that grows slowly a start folds what an hour has brought.
pub const SNAPSHOT_AFTER: Duration = Duration::from_secs(3_600);

/// A part of the server; one process may take several, and a cluster runs them as separate Deployments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Role {
    /// The HTTP API.
    Api,
    /// Transfers and logs; served together with the API.
    Backend,
    /// Makes Runs from matching Data.
    Projection,
    /// Makes the volumes of Runs.
    Initialize,
    /// Starts and observes Workers.
    RunManagement,
    /// Removes Workers and ends Runs.
    Finishing,
    /// Destroys volumes that are garbage.
    GarbageCollection,
    /// Closes Data Agents of servers that died.
    Housekeeping,
}

/// The roles that need the volumes of Data within reach.
const AT_THE_VOLUMES: [Role; 5] =
    [Role::Backend, Role::Initialize, Role::RunManagement, Role::Finishing, Role::GarbageCollection];

/// Which runtime holds Data and Workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RuntimeKind {
    /// Directories and sandboxed processes of this machine.
    Local,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = |text: &str| text.parse::<u16>().is_ok();
    text.parse().map_err(|_| match text.rsplit_once(':') {
        None if numeric(text) => format!("the address is missing: write 127.0.0.1:{text}"),
        Some(("localhost", port)) if numeric(port) => format!("names are not looked up: write 127.0.0.1:{port}"),
        _ => "write an IP address and a port, such as 127.0.0.1:30803, 0.0.0.0:30803 or [::1]:30803".to_owned(),
    })
}

fn time(text: &str) -> Result<Duration, String> {
    let parsed = GoDuration::parse(text).map_err(|error| error.to_string())?;
    match u64::try_from(parsed.as_ms()) {
        Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        Ok(_) | Err(_) => Err("it should be a millisecond at least".to_owned()),
    }
}

impl Args {
    /// Where everything is kept when nothing is said.
    ///
    /// # Errors
    /// When neither `--state-dir`, `XDG_DATA_HOME` nor `HOME` says where.
    pub fn state_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.state_dir {
            return std::path::absolute(dir).with_context(|| format!("cannot make {} absolute", dir.display()));
        }
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute("XDG_DATA_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
            .map(|data| data.join("knitfab"))
            .context("there is no home directory to keep Data in: name a directory with --state-dir")
    }

    /// Where the administration socket is.
    ///
    /// # Errors
    /// When the path cannot be made absolute.
    pub fn admin_socket(&self, state_dir: &Path) -> anyhow::Result<PathBuf> {
        match &self.admin_socket {
            Some(path) => std::path::absolute(path).with_context(|| format!("cannot make {} absolute", path.display())),
            None => Ok(state_dir.join(ADMIN_SOCKET_FILE)),
        }
    }

    /// Where the log is archived by itself, if it is.
    ///
    /// # Errors
    /// When the path cannot be made absolute.
    pub fn archive_dir(&self) -> anyhow::Result<Option<PathBuf>> {
        let absolute =
            |dir: &PathBuf| std::path::absolute(dir).with_context(|| format!("cannot make {} absolute", dir.display()));
        self.archive_dir.as_ref().map(absolute).transpose()
    }

    /// Whether this process takes on a role that needs the volumes of Data within reach.
    #[must_use]
    pub fn is_at_the_volumes(&self) -> bool {
        AT_THE_VOLUMES.iter().any(|role| self.has(*role))
    }

    /// Whether this process serves the API, or a part of it.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.has(Role::Api) || self.has(Role::Backend)
    }

    /// Whether this process takes on `role`.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        if self.look_only {
            return role == Role::Api;
        }
        self.roles.is_empty() || self.roles.contains(&role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn an_address_that_is_none_says_how_to_write_it() {
        let told = |text: &str| Args::try_parse_from(["knitd", "--listen", text]).unwrap_err().to_string();
        assert!(told("30899").contains("write 127.0.0.1:30899"));
        assert!(told("localhost:30899").contains("write 127.0.0.1:30899"));
        assert!(told("example.org:1").contains("write an IP address and a port"));
        assert_eq!(Args::parse_from(["knitd", "--listen", "[::1]:1"]).listen.port(), 1);
    }

    #[test]
    fn a_time_is_written_with_its_unit_and_is_longer_than_none() {
        let after =
            |text: &str| Args::try_parse_from(["knitd", "--snapshot-after", text]).map(|args| args.snapshot_after);
        assert_eq!(Args::parse_from(["knitd"]).snapshot_after, SNAPSHOT_AFTER);
        assert_eq!(after("90s").unwrap(), Duration::from_secs(90));
        assert!(after("90").is_err() && after("0s").is_err() && after("-1h").is_err());
    }

    #[test]
    fn without_roles_a_process_has_all() {
        let all = Args::parse_from(["knitd"]);
        assert!(Role::value_variants().iter().all(|role| all.has(*role)));
        let some = Args::parse_from(["knitd", "--role", "api,finishing"]);
        assert!(some.has(Role::Api) && some.has(Role::Finishing) && !some.has(Role::Projection));
        let looking = Args::parse_from(["knitd", "--look-only"]);
        assert!(looking.has(Role::Api) && !looking.has(Role::Projection) && !looking.is_at_the_volumes());
    }
}
