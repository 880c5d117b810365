//! Whether all is well with this server: what is looked at, in the order in which it matters.
//!
//! Looking changes nothing. Each finding says what was seen, and what to do where that is not as it should be.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use knit_log::Fault;
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection as _;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;
use knit_schemas::api::{Finding, Verdict};
use rustix::process::geteuid;

use crate::app::App;
use crate::archive;
use crate::command::UPON_DAMAGE;
use crate::snapshots::Schedule;
use crate::views::Name;

/// With less room than this nothing can be written for long: a busy log grows by as much in an hour.
const DISK_BYTES_BAD: u64 = 256 << 20;
/// With less room than this, or with less than a twentieth of the disk, the next large upload may fill it.
const DISK_BYTES_WARN: u64 = 2 << 30;
/// The same as a part of the disk.
const DISK_PART_WARN: u64 = 20;
/// Clocks that differ by less are as equal as people keep them.
const CLOCK_MS_WARN: u64 = 2_000;
/// An answer of the database that takes longer is felt by everybody who waits for one.
const ANSWER_WARN: Duration = Duration::from_millis(500);
/// Events without a snapshot, in times of what is usual between two: a start that folds more takes long for a reason.
const SNAPSHOTS_MISSED_WARN: u64 = 3;
/// Segments that an archive may lack: one that is being written, and one that was sealed meanwhile.
const ARCHIVE_MISSED_WARN: u64 = 2;
/// How long the trial of writing would keep others from it, if it were broken off.
const TRIAL_LEASE: Duration = Duration::from_secs(1);
/// The role that is taken for the trial, and given back.
const TRIAL_ROLE: &str = "doctor";
/// What the disks are called.
const STATE_DISK: &str = "disk of the state directory";
const LOG_DISK: &str = "disk of the event log";

/// Where this server keeps what.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Its state directory.
    pub state_dir: PathBuf,
    /// The file of the event log, if it is one of this machine.
    pub log_file: Option<PathBuf>,
    /// Its administration socket.
    pub socket: PathBuf,
    /// Events between two snapshots.
    pub snapshot_every: u64,
    /// Where the log is archived by itself, if it is.
    pub archive_dir: Option<PathBuf>,
    /// Events of a segment of an archive.
    pub archive_segment: u64,
    /// Whether Workers run here.
    pub runs_workers: bool,
}

/// Looks at everything. Of a database that does not answer nothing more is asked: each question is asked again for
/// some seconds, and would be answered no better.
pub(crate) async fn look(app: &App, surroundings: &Surroundings) -> Vec<Finding> {
    let mut findings = vec![database(app).await];
    let answers = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    if answers {
        findings.push(writing(app).await);
    }
    findings.push(disk(STATE_DISK, &surroundings.state_dir));
    // What is written to a full disk now and then still finds a place, so that only its room tells.
    findings.extend(log_disk(surroundings).map(|directory| disk(LOG_DISK, directory)));
    findings.extend([state_dir(&surroundings.state_dir), socket(&surroundings.socket)]);
    if surroundings.runs_workers {
        findings.push(runtime(app).await);
    }
    findings.push(projections(app).await);
    if answers {
        findings.push(clock(app).await);
        findings.push(snapshots(app, surroundings.snapshot_every).await);
    }
    if let Some(directory) = &surroundings.archive_dir {
        findings.push(archive(app, directory, surroundings.archive_segment).await);
    }
    findings
}

fn ok(what: &str, seen: impl Into<String>) -> Finding {
    Finding { what: what.to_owned(), verdict: Verdict::Ok, seen: seen.into(), advice: None }
}

fn warn(what: &str, seen: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Warn, advice: Some(advice.into()), ..ok(what, seen) }
}

fn bad(what: &str, seen: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Bad, advice: Some(advice.into()), ..ok(what, seen) }
}

async fn database(app: &App) -> Finding {
    let begun = Instant::now();
    match app.head().await {
        Err(fault) => unreachable("database", &fault),
        Ok(head) => {
            let took = begun.elapsed();
            let seen = format!("answers in {} ms; the log has {} events", took.as_millis(), head.position);
            if took > ANSWER_WARN {
                return warn("database", seen, "see whether its machine or its disk is overloaded");
            }
            ok("database", seen)
        }
    }
}

fn unreachable(what: &str, fault: &Fault) -> Finding {
    if fault.is_damage() {
        return bad(what, crate::command::with_causes(fault), UPON_DAMAGE);
    }
    let advice = "see that it runs, and that it is the one which `--database` names; this server goes on by itself";
    bad(what, crate::command::with_causes(fault), advice)
}

/// Writes what nobody misses: a lease that is given back.
async fn writing(app: &App) -> Finding {
    let what = "writing to the database";
    let tried = async {
        // Another server may be looking as well; then it is the one that writes.
        if let Some(lease) = app.log().acquire_lease(TRIAL_ROLE, app.server(), TRIAL_LEASE).await? {
            app.log().release_lease(&lease).await?;
        }
        Ok::<_, Fault>(())
    };
    match tried.await {
        Ok(()) => ok(what, "it takes what is written"),
        Err(fault) => bad(
            what,
            crate::command::with_causes(&fault),
            "see whether its disk is full or read-only, and whether its user may write to the tables",
        ),
    }
}

/// Where the file of the event log is, if that is another disk than that of the state directory.
fn log_disk(surroundings: &Surroundings) -> Option<&Path> {
    let directory = surroundings.log_file.as_deref()?.parent()?;
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    (device(directory) != device(&surroundings.state_dir)).then_some(directory)
}

fn disk(what: &str, directory: &Path) -> Finding {
    match rustix::fs::statvfs(directory) {
        Err(error) => bad(what, format!("cannot be looked at: {error}"), "see whether the disk is there"),
        Ok(found) => {
            let (free, whole) = (found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize);
            room(what, free, whole)
        }
    }
}

fn room(what: &str, free: u64, whole: u64) -> Finding {
    let mebibytes = |bytes: u64| bytes >> 20;
    let seen = format!("{} of {} MiB are free", mebibytes(free), mebibytes(whole));
    let advice = if what == LOG_DISK {
        "make room: other things may lie on this disk; else stop this server and move the file to a larger one"
    } else {
        "make room: `knit run rm` deletes Runs with their Data, and other things may lie on this disk"
    };
    if free < DISK_BYTES_BAD {
        bad(what, seen, advice)
    } else if free < DISK_BYTES_WARN || free < whole / DISK_PART_WARN {
        warn(what, seen, advice)
    } else {
        ok(what, seen)
    }
}

fn state_dir(path: &Path) -> Finding {
    let (what, at) = ("state directory", path.display());
    match fs::metadata(path) {
        Err(error) => bad(what, format!("{at} cannot be looked at: {error}"), "put it back, or stop this server"),
        Ok(found) if found.uid() != geteuid().as_raw() => {
            let seen = format!("{at} belongs to the user {}", found.uid());
            bad(what, seen, format!("give it to the user who runs `knitd`: `chown -R USER {at}`"))
        }
        Ok(found) if found.mode() & 0o077 != 0 => {
            let seen = format!("{at} is open to other users (mode {:o})", found.mode() & 0o777);
            bad(what, seen, format!("close it: `chmod 700 {at}`"))
        }
        Ok(_) => ok(what, format!("{at} is this user's alone")),
    }
}

fn socket(path: &Path) -> Finding {
    let (what, at) = ("administration socket", path.display());
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() && found.mode() & 0o077 == 0 => {
            ok(what, format!("{at} is this user's alone"))
        }
        Ok(found) if found.file_type().is_socket() => {
            let seen = format!("{at} is open to other users (mode {:o})", found.mode() & 0o777);
            bad(what, seen, format!("close it: `chmod 600 {at}`"))
        }
        Ok(_) | Err(_) => {
            warn(what, format!("{at} is gone, or something else is there"), "restart this server, which opens it again")
        }
    }
}

async fn runtime(app: &App) -> Finding {
    let what = "runtime";
    match app.runtime().try_out().await {
        Ok(()) => ok(what, "Workers can be confined"),
        Err(unfit) => bad(what, format!("Workers cannot be confined: {}", unfit.reason), unfit.advice),
    }
}

async fn clock(app: &App) -> Finding {
    let what = "clock";
    let here = now_ms();
    match (app.log().database_time().await, app.log().head().await) {
        (Err(fault), _) | (_, Err(fault)) => unreachable(what, &fault),
        (Ok(there), Ok(head)) => clocks(what, here, there.0, head.recorded_at.0),
    }
}

fn clocks(what: &str, here_ms: i64, database_ms: i64, newest_ms: i64) -> Finding {
    let apart_ms = here_ms.abs_diff(database_ms);
    let ahead_ms = u64::try_from(newest_ms - here_ms).unwrap_or(0);
    let advice = "let both machines take the time from one server (NTP)";
    if apart_ms > CLOCK_MS_WARN {
        let seen = format!("{apart_ms} ms apart from the clock of the database");
        warn(what, seen, advice)
    } else if ahead_ms > CLOCK_MS_WARN {
        let seen = format!("the newest event is from {ahead_ms} ms ahead, and later ones get its time until then");
        warn(what, seen, "the clock was ahead once, or is behind now: see that it is right")
    } else {
        ok(what, format!("{apart_ms} ms apart from the clock of the database"))
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

async fn projections(app: &App) -> Finding {
    let what = "projections";
    let head = app.log().position();
    // What was appended a moment ago is not what is looked for.
    app.shown(head).await;
    let reached = Name::ALL.map(|name| (name, app.views().reached(name)));
    if let Some((name, reached)) = reached.iter().find(|(_, reached)| reached.stopped.is_some()) {
        let why = reached.stopped.as_deref().unwrap_or_default();
        let skip = format!("knit admin skip {} --projection {name} --reason TEXT", reached.position + 1);
        let advice = format!("upgrade `knitd`; if that does not help, `{skip}` passes over the event");
        return bad(what, format!("`{name}` has stopped: {why}"), advice);
    }
    if let Some(damage) = app.views().damage() {
        return bad(what, damage.why.clone(), UPON_DAMAGE);
    }
    let (name, lag) = reached
        .iter()
        .map(|(name, reached)| (*name, head.saturating_sub(reached.position)))
        .max_by_key(|(_, lag)| *lag)
        .unwrap_or((Name::Store, 0));
    if !app.views().followed().caught_up || lag > 0 {
        let advice = "wait: it passes by itself; if it does not, the log of the server says why";
        return warn(what, format!("`{name}` has yet to fold {lag} events"), advice);
    }
    ok(what, format!("all have folded the whole log, up to {head}"))
}

async fn snapshots(app: &App, every: u64) -> Finding {
    let what = "snapshots";
    let mut oldest = u64::MAX;
    for (name, revision, own) in [
        (Store::NAME, Store::REVISION, app.views().store.generation()),
        (Matcher::NAME, Matcher::REVISION, app.views().matcher.generation()),
        (Worklists::NAME, Worklists::REVISION, app.views().worklists.generation()),
    ] {
        match app.log().newest_snapshot_position(name, revision).await {
            Ok(position) => oldest = oldest.min(position.unwrap_or(0)),
            Err(fault) => return unreachable(what, &fault),
        }
        match app.log().newest_generation(name).await {
            Ok(newest) if own < newest => return superseded(what, name),
            Ok(_) => {}
            Err(fault) => return unreachable(what, &fault),
        }
    }
    let behind = app.log().position().saturating_sub(oldest);
    let usual = Schedule { events: every, time: Duration::MAX }.events_between(oldest);
    let seen = format!("a start would fold {behind} events");
    if behind > usual.saturating_mul(SNAPSHOTS_MISSED_WARN) {
        return warn(what, seen, "take one, `knit admin snapshot`, and see in the log of the server why none was");
    }
    ok(what, seen)
}

fn superseded(what: &str, name: &str) -> Finding {
    let seen = format!("`{name}` was replaced on another server, because it was wrong, and this one is not saved");
    warn(
        what,
        seen,
        format!("fold it again here too: `knit admin rebuild-projection {name}`, or start this server again"),
    )
}

/// Whether the archive has what it should, where this server keeps one.
async fn archive(app: &App, directory: &Path, segment_events: u64) -> Finding {
    let (what, at) = ("archive", directory.display());
    let head = app.log().position();
    if let Err(error) = archive::is_entered(directory) {
        let advice =
            "let this server's user write there, or name another with `--archive-dir`; its log says what failed";
        return bad(what, format!("{at} cannot be written into: {error}"), advice);
    }
    match archive::reaches(directory) {
        Err(error) => bad(what, format!("{at} cannot be looked at: {error}"), "see whether its disk is there"),
        Ok(reached) => {
            let missing = head.saturating_sub(reached) / segment_events;
            let seen = format!("{at} reaches to position {reached} of {head}");
            if missing > ARCHIVE_MISSED_WARN {
                return warn(what, seen, "`knit admin archive` says what keeps the rest from it");
            }
            ok(what, seen)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_before_nothing_is_left() {
        let verdict = |free_mib: u64, whole_mib: u64| room("disk", free_mib << 20, whole_mib << 20).verdict;
        assert_eq!(verdict(50_000, 100_000), Verdict::Ok);
        assert_eq!(verdict(4_000, 100_000), Verdict::Warn, "less than a twentieth");
        assert_eq!(verdict(1_000, 4_000), Verdict::Warn, "less than a large upload takes");
        assert_eq!(verdict(100, 100_000), Verdict::Bad);
    }

    #[test]
    fn clocks_may_be_apart_by_what_people_do_not_notice() {
        let verdict = |here, database, newest| clocks("clock", here, database, newest).verdict;
        assert_eq!(verdict(10_000, 10_500, 9_000), Verdict::Ok);
        assert_eq!(verdict(10_000, 20_000, 9_000), Verdict::Warn);
        assert_eq!(verdict(10_000, 10_000, 60_000), Verdict::Warn, "the log is ahead of both");
    }

    #[test]
    fn a_directory_that_others_may_read_is_found() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(state_dir(dir.path()).verdict, Verdict::Ok);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let found = state_dir(dir.path());
        assert_eq!(found.verdict, Verdict::Bad);
        assert!(found.advice.unwrap().contains("chmod 700"));
        assert_eq!(state_dir(&dir.path().join("gone")).verdict, Verdict::Bad);
        assert_eq!(socket(&dir.path().join("gone")).verdict, Verdict::Warn);
    }
}
