//! The composition: from a command line to a running server, read top to bottom as the list of what runs.

use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use knit_failpoint::failpoint;
use knit_log::{Database, Log, Options};
use knit_runtime::Runtime;
use knit_runtime::local::{self, LocalRuntime, shim};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::archive::{self, Archive};
use crate::args::{Args, Role, RuntimeKind};
use crate::command::{CommandError, with_causes};
use crate::doctor::Surroundings;
use crate::follower::Follower;
use crate::http::{self, AdminSocket, Front, Hosts};
use crate::metrics::Metrics;
use crate::reactors::finishing::Finishing;
use crate::reactors::garbage_collection::GarbageCollection;
use crate::reactors::housekeeping::Housekeeping;
use crate::reactors::initialize::Initialize;
use crate::reactors::run_management::RunManagement;
use crate::reactors::{self, Reactor};
use crate::servers::{self, Duties};
use crate::telling;
use crate::views::Views;

/// The default database in the state directory.
const SQLITE_FILE: &str = "knitfab.db";

/// The program: a stage of a Worker when it is started as one, else the server.
#[must_use]
pub fn main() -> ExitCode {
    let armed = knit_failpoint::arm();
    if let Some(ended) = shim::dispatch() {
        return ended;
    }
    let args = Args::parse();
    let telling = match telling::begin(&args) {
        Ok(telling) => telling,
        Err(error) => return refuse_to_start(&error),
    };
    let threads = || tokio::runtime::Runtime::new().context("cannot start threads");
    let ended = armed.map_err(anyhow::Error::from).and_then(|()| threads()?.block_on(run(args)));
    if let Err(error) = &ended {
        tracing::error!("{}", with_causes(error.as_ref()));
    }
    telling.end();
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stderr, reason = "there are no log lines yet")]
fn refuse_to_start(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {}", with_causes(error.as_ref()));
    ExitCode::FAILURE
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// Whatever keeps it from starting, with what to do about it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let state_dir = args.state_dir()?;
    let database = database(&args, &state_dir)?;
    AdminSocket::check(&args.admin_socket(&state_dir)?)?;
    // Where the options are refused, nothing is made.
    let state_dir = make_state_dir(state_dir)?;
    doubts(&args, &state_dir, &database).iter().for_each(|doubt| tracing::warn!("{doubt}"));
    // The log comes first: its lock keeps a second server from touching the volumes of the first.
    let metrics = Arc::new(Metrics::default());
    let log = Log::open(&database, Options { observer: metrics.clone(), ..Options::default() }).await?;
    failpoint("start.log-opened");
    let runtime = open_runtime(&args, &state_dir).await?;
    failpoint("start.runtime-opened");
    let admin_socket = AdminSocket::open(args.admin_socket(&state_dir)?)?;
    let name = servers::name_at(runtime.place());
    let views = Arc::new(Views::default());
    let app = App::new(log.clone(), Arc::clone(&views), runtime, name, matches!(database, Database::Sqlite(_)))
        .with_metrics(Arc::clone(&metrics));
    let app = begin(app, &args).await?;

    let follower = Follower::new(log.clone(), views).with_snapshots(args.snapshot_every, args.snapshot_after);
    let mut following = tokio::spawn(follower.with_metrics(metrics).run());
    let administrators_go = CancellationToken::new();
    let surroundings = Surroundings {
        state_dir,
        log_file: if let Database::Sqlite(file) = database { Some(file) } else { None },
        socket: admin_socket.path().to_owned(),
        snapshot_every: args.snapshot_every,
        archive_dir: args.archive_dir()?,
        archive_segment: args.archive_segment,
        runs_workers: args.is_at_the_volumes(),
    };
    let archiving = keep_archive(&log, &surroundings, app.metrics(), &administrators_go);
    let administration = tokio::spawn(admin_socket.serve(app.clone(), surroundings, administrators_go.clone()));
    let duties = Duties::of(app.clone());
    take_on_roles(&duties, &app, &args).await?;
    let (told, mut outdated) = (told_to_stop()?, None);
    let stop = async {
        tokio::select! {
            () = told => {}
            ended = &mut following => outdated = Some(ended),
        }
        tracing::info!("stopping");
    };
    let observers_go = administrators_go.clone();
    let observation = tokio::spawn(observed(&app, &args, observers_go.cancelled_owned()).await?);
    if args.serves() {
        serve(&app, &args, stop).await?;
    } else {
        stop.await;
    }
    administrators_go.cancel();
    administration.await.context("serving administrators broke off")?;
    observation.await.context("telling health and figures broke off")?;
    archiving.await.context("archiving broke off")?;
    failpoint("stop.served");
    duties.lay_down().await;
    log.close().await;
    failpoint("stop.log-closed");
    tracing::info!("stopped");
    match outdated {
        Some(ended) => Err(ended.context("following the log broke off")?.into()),
        None => Ok(()),
    }
}

/// Archives the log by itself, if that is wanted, until `stop` is cancelled.
fn keep_archive(
    log: &Log,
    surroundings: &Surroundings,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> JoinHandle<()> {
    let segment_events = surroundings.archive_segment;
    let place = surroundings.archive_dir.clone().map(|directory| Archive { directory, segment_events });
    let (log, metrics, stop) = (log.clone(), Arc::clone(metrics), stop.clone());
    tokio::spawn(async move {
        if let Some(place) = place {
            archive::keep(log, place, metrics, stop).await;
        }
    })
}

/// Defines what every log begins with, unless this server changes nothing: an import wants an empty log.
async fn begin(app: App, args: &Args) -> anyhow::Result<App> {
    if args.look_only {
        tracing::info!("looking only: no role is taken on, and every command is refused");
        return Ok(app.looking_only());
    }
    match app.define_builtin_plans().await {
        // The server runs, so that the log can be looked at and verified; nobody acts on what the follower finds damaged.
        Err(CommandError::Damaged(why)) => tracing::error!("the built-in Plans are not defined: {why}"),
        defined => defined.map(drop).context("cannot define the built-in Plans")?,
    }
    Ok(app)
}

/// What is allowed, and hardly meant by whoever started it so.
fn doubts(args: &Args, state_dir: &Path, database: &Database) -> Vec<String> {
    let mut doubts = Vec::new();
    let beside = state_dir.join(SQLITE_FILE);
    let is_beside = |path: &PathBuf| path.canonicalize().ok() == beside.canonicalize().ok();
    if beside.exists() && !matches!(database, Database::Sqlite(path) if is_beside(path)) {
        doubts.push(format!(
            "{} is not used, because --database names another one: what is in it is not shown",
            beside.display()
        ));
    }
    if args.is_at_the_volumes() && rustix::process::geteuid().is_root() {
        doubts.push(
            "this server runs as root, so Workers may read what only root may: prefer an ordinary user".to_owned(),
        );
    }
    doubts
}

/// Only its owner may look into it: it holds everybody's Data.
fn make_state_dir(dir: PathBuf) -> anyhow::Result<PathBuf> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.with_context(|| format!("cannot make the state directory {}: name another with --state-dir", dir.display()))?;
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot close {} to others: it must belong to this user", dir.display()))?;
    Ok(dir)
}

fn database(args: &Args, state_dir: &Path) -> anyhow::Result<Database> {
    Ok(match &args.database {
        Some(text) => Database::parse(text)?,
        None => Database::Sqlite(state_dir.join(SQLITE_FILE)),
    })
}

async fn open_runtime(args: &Args, state_dir: &Path) -> anyhow::Result<Arc<dyn Runtime>> {
    match args.runtime {
        RuntimeKind::Local => {
            let archive_limits = knit_runtime::archive::Limits {
                unpacked_bytes_max: args.upload_bytes_max,
                entries_max: args.upload_entries_max,
                ..Default::default()
            };
            let options = local::Options { archive_limits, ..local::Options::new(state_dir) };
            let runtime = LocalRuntime::open(options).await.map_err(|error| unopened(error, state_dir))?;
            if args.is_at_the_volumes() {
                runtime.describe().iter().for_each(|line| tracing::info!("local runtime: {line}"));
            }
            Ok(Arc::new(runtime))
        }
    }
}

/// Why the runtime cannot be used, with what to do where the system says only that a disk is full.
fn unopened(error: local::OpenError, state_dir: &Path) -> anyhow::Error {
    if let local::OpenError::Fault(fault) = &error
        && fault.is_disk_full()
    {
        let at = state_dir.display();
        return anyhow::Error::new(error)
            .context(format!("the disk of the state directory {at} is full: make room, then start again"));
    }
    error.into()
}

/// Takes on the roles of this process, after having told the others that it lives.
async fn take_on_roles(duties: &Duties, app: &App, args: &Args) -> anyhow::Result<()> {
    if args.is_at_the_volumes() {
        servers::claim_place(duties).await?;
    }
    duties.say_that_it_lives().await;
    take_on(duties, app, args, Role::Initialize, Initialize::new);
    take_on(duties, app, args, Role::RunManagement, RunManagement::new);
    take_on(duties, app, args, Role::Finishing, Finishing::new);
    take_on(duties, app, args, Role::GarbageCollection, GarbageCollection::new);
    take_on(duties, app, args, Role::Housekeeping, Housekeeping::new);
    if args.has(Role::Projection) {
        let app = app.clone();
        duties.take_on_when_caught_up(reactors::projection::NAME, move || reactors::projection::run(app.clone()));
    }
    Ok(())
}

/// Takes on a reactor if this process has its role.
fn take_on<R: Reactor>(duties: &Duties, app: &App, args: &Args, role: Role, new: impl FnOnce(App) -> Arc<R>) {
    if args.has(role) {
        let (app, reactor) = (app.clone(), new(app.clone()));
        duties.take_on_when_caught_up(reactor.name(), move || reactors::run(app.clone(), Arc::clone(&reactor)));
    }
}

/// Tells health and figures where that was asked for, also where nothing else is served.
async fn observed(
    app: &App,
    args: &Args,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let serving = match args.metrics_listen {
        Some(address) => {
            let listener = listen(address, "--metrics-listen").await?;
            let bound = listener.local_addr().context("cannot tell which address is listened on")?;
            let what = if args.serves() { "figures" } else { "listening" };
            tracing::info!("{what} on http://{bound}/metrics");
            Some((listener, Front::about_the_server(app.clone(), Hosts::new(bound, &args.hosts))))
        }
        None => None,
    };
    Ok(async move {
        if let Some((listener, front)) = serving {
            http::serve(listener, front, stop).await;
        }
    })
}

async fn listen(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| {
        format!("cannot listen on {address}: is another knitd running? name another address with {option}")
    })
}

async fn serve(app: &App, args: &Args, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let listener = listen(args.listen, "--listen").await?;
    let bound = listener.local_addr().context("cannot tell which address is listened on")?;
    if !bound.ip().is_loopback() {
        tracing::warn!("the API has no login and is open to whoever reaches {bound}");
    }
    failpoint("start.bound");
    let front = Front::new(app.clone(), Hosts::new(bound, &args.hosts), args.has(Role::Backend));
    tracing::info!("listening on http://{bound}/api");
    http::serve(listener, front, stop).await;
    Ok(())
}

fn told_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_left_aside_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let beside = dir.path().join(SQLITE_FILE);
        // Whether root runs the test is not its concern.
        let args = Args::parse_from(["knitd", "--role", "api"]);
        let postgres = Database::parse("postgres://knitfab@localhost/knitfab").unwrap();
        let told = |database: &Database| doubts(&args, dir.path(), database);
        assert_eq!(told(&postgres), [""; 0]);
        std::fs::write(&beside, "").unwrap();
        assert!(told(&postgres)[0].contains("knitfab.db is not used"));
        assert_eq!(told(&Database::Sqlite(beside)), [""; 0]);
    }
}
