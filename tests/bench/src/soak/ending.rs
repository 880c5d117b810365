//! After the work: whether everything came to its end, nothing is left over, the log is whole, and a server that
//! folds it again shows the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use knit_domain::event::{Position, Recorded};
use knit_log::{Log, Options};
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;
use knit_tests::http::Client;
use knit_tests::processes;
use knit_tests::server::Server;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::database::Database;
use super::look::is_on_the_way;
use crate::process::resident_bytes;

/// How long the last Runs may take to end.
const REST_MAX: Duration = Duration::from_secs(120);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// Events read at once.
const PAGE: usize = 1_000;
/// The Plan of uploads, by its name on the wire.
const UPLOADED: &str = "knit#uploaded";
/// Questions whose answers must be the same before and after a restart.
const QUESTIONS: [&str; 3] = ["/api/data", "/api/runs", "/api/plans"];

/// What was found at the end of one server.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Ending {
    /// What does not hold; it should be nothing.
    pub(super) complaints: Vec<String>,
    /// Events by their names.
    pub(super) events: BTreeMap<String, u64>,
    /// Bytes of the catalog with its whole history, as it counts them itself.
    pub(super) store_bytes: usize,
    /// Snapshots that were compared with a fold of the log to the same position.
    pub(super) snapshots_compared: usize,
    /// Seconds until a server started on the same state was ready, and its memory then.
    pub(super) restart_seconds: f64,
    pub(super) restart_bytes: f64,
    /// Lines that the server logged, of each level from INFO up.
    pub(super) logged: [usize; 3],
    /// Tables and their bytes, the largest first.
    pub(super) tables: Vec<(String, i64)>,
}

/// Looks at everything; leaves the server stopped.
pub(super) fn look(server: &mut Server, database: &Database, tokio: &Runtime) -> anyhow::Result<Ending> {
    let mut complaints = come_to_rest(server)?;
    let before = answers(server)?;
    complaints.extend(stopped(server));
    let logged = logged(&server.log());
    let mut ending = tokio.block_on(read(database))?;
    ending.tables = tokio.block_on(database.tables())?;
    let begun = Instant::now();
    server.start();
    ending.restart_seconds = begun.elapsed().as_secs_f64();
    ending.restart_bytes = resident_bytes(server.pid())?;
    for ((question, before), after) in QUESTIONS.iter().zip(before).zip(answers(server)?) {
        if before != after {
            complaints.push(format!("{question} is answered differently after a restart"));
        }
    }
    complaints.extend(stopped(server));
    complaints.append(&mut ending.complaints);
    Ok(Ending { complaints, logged, ..ending })
}

/// Waits until nothing is under way any more; answers what is not as it must be then.
fn come_to_rest(server: &Server) -> anyhow::Result<Vec<String>> {
    let begun = Instant::now();
    loop {
        let complaints = unrest(server)?;
        if complaints.is_empty() || begun.elapsed() > REST_MAX {
            return Ok(complaints);
        }
        std::thread::sleep(PAUSE);
    }
}

fn unrest(server: &Server) -> anyhow::Result<Vec<String>> {
    let http = Client::new(server.address());
    let mut complaints = Vec::new();
    let runs = list(&http, "/api/runs")?;
    let open = runs.iter().filter(|run| is_on_the_way(run)).count();
    if open > 0 {
        complaints.push(format!("{open} Runs have not come to an end"));
    }
    let (kept, owned) = (server.keeps(), volumes_owned(&list(&http, "/api/data")?));
    if kept != owned {
        let more: Vec<&String> = kept.iter().filter(|name| !owned.contains(name)).collect();
        let less: Vec<&String> = owned.iter().filter(|name| !kept.contains(name)).collect();
        complaints.push(format!("kept although nobody owns it: {more:?}; owned and not there: {less:?}"));
    }
    let living = processes::all_of(server.state_dir()).len();
    if living != 1 {
        complaints.push(format!("{living} processes live, and there should be the server alone"));
    }
    Ok(complaints)
}

/// The volume of every Data that is listed, except of uploads that came to nothing.
fn volumes_owned(data: &[Value]) -> Vec<String> {
    let stored = data.iter().filter(|data| {
        let run = &data["upstream"]["run"];
        !(run["plan"]["name"] == UPLOADED && run["status"] == "failed")
    });
    let ids = stored.filter_map(|data| data["knitId"].as_str());
    let mut owned: Vec<String> = ids.map(|id| format!("volumes/data-knitid-{id}")).collect();
    owned.sort();
    owned
}

fn list(http: &Client, target: &str) -> anyhow::Result<Vec<Value>> {
    let answer = http.try_json("GET", target, None)?;
    anyhow::ensure!(answer.status == 200, "GET {target} was answered with {}", answer.status);
    serde_json::from_slice(&answer.body).context("a list")
}

fn answers(server: &Server) -> anyhow::Result<Vec<Vec<Value>>> {
    let http = Client::new(server.address());
    QUESTIONS.iter().map(|question| list(&http, question)).collect()
}

fn stopped(server: &mut Server) -> Vec<String> {
    let ended = server.stop();
    let mut complaints = Vec::new();
    if !ended.success() {
        complaints.push(format!("the server did not stop in order: {ended}"));
    }
    let left = processes::all_of(server.state_dir());
    if !left.is_empty() {
        complaints.push(format!("processes are left after the server: {left:?}"));
    }
    complaints
}

/// How many lines of INFO, WARN and ERROR there are.
fn logged(log: &str) -> [usize; 3] {
    [" INFO ", " WARN ", "ERROR "].map(|level| log.lines().filter(|line| line.contains(level)).count())
}

/// One projection, folded anew beside its last snapshot.
struct Anew<P> {
    folded: P,
    /// Where the snapshot was taken, and the digest of what was restored from it.
    snapshot: Option<(Position, P)>,
    same: bool,
}

impl<P: Projection> Anew<P> {
    async fn of(log: &Log) -> anyhow::Result<Self> {
        let newest = log.newest_snapshot(P::NAME, P::REVISION).await?;
        let restored =
            newest.map(|snapshot| Ok::<_, anyhow::Error>((snapshot.meta.position, P::restore(&snapshot.chunks)?)));
        Ok(Self { folded: P::default(), snapshot: restored.transpose()?, same: true })
    }

    /// Folds an event, also on top of the snapshot, and compares both where the snapshot was taken.
    fn apply(&mut self, event: &Recorded) -> anyhow::Result<()> {
        self.folded.apply(event)?;
        if let Some((taken, restored)) = &mut self.snapshot {
            if event.position == *taken {
                self.same &= self.folded.digest() == restored.digest();
            } else if event.position > *taken {
                restored.apply(event)?;
            }
        }
        Ok(())
    }

    /// Whether the server's own fold, its snapshot with the rest of the log, is what a new fold came to; complains
    /// if it is not.
    fn conclude(&self) -> Option<String> {
        let same_now = self.snapshot.as_ref().is_none_or(|(_, restored)| restored.digest() == self.folded.digest());
        (!(self.same && same_now)).then(|| format!("{}: a new fold differs from the server's", P::NAME))
    }
}

/// Reads the whole log, whose chain the reader checks, and folds it anew.
async fn read(database: &Database) -> anyhow::Result<Ending> {
    let log = Log::open(&knit_log::Database::parse(&database.url())?, Options::default()).await?;
    let mut ending = Ending::default();
    let (mut store, mut matcher) = (Anew::<Store>::of(&log).await?, Anew::<Matcher>::of(&log).await?);
    let mut worklists = Anew::<Worklists>::of(&log).await?;
    let mut after = 0;
    loop {
        let page = log.read_stored(after, PAGE).await.context("the log has a gap, or its chain is broken")?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for event in page {
            if event.leaf_of_content() != event.leaf {
                ending.complaints.push(format!("event {} is not what was hashed", event.position));
            }
            *ending.events.entry(event.event_type.clone()).or_default() += 1;
            let event = event.decode()?;
            store.apply(&event)?;
            matcher.apply(&event)?;
            worklists.apply(&event)?;
        }
    }
    log.close().await;
    ending.store_bytes = store.folded.heap_bytes();
    let taken = [store.snapshot.is_some(), matcher.snapshot.is_some(), worklists.snapshot.is_some()];
    ending.snapshots_compared = taken.into_iter().filter(|taken| *taken).count();
    ending.complaints.extend([store.conclude(), matcher.conclude(), worklists.conclude()].into_iter().flatten());
    Ok(ending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_upload_that_came_to_nothing_owns_no_volume() {
        let data = |id: &str, plan: &str, status: &str| json!({"knitId": id, "upstream": {"run": {"plan": {"name": plan}, "status": status}}});
        let all = [data("b", "x", "failed"), data("a", UPLOADED, "done"), data("c", UPLOADED, "failed")];
        assert_eq!(volumes_owned(&all), ["volumes/data-knitid-a", "volumes/data-knitid-b"]);
    }

    #[test]
    fn lines_are_counted_by_their_level() {
        assert_eq!(logged("t  INFO a\nt  WARN b\nt ERROR c\nt  INFO d\n"), [2, 1, 1]);
    }
}
