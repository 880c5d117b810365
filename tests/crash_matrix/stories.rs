//! The stories: what people and Workers do while the server dies. Each is told until the server is dead, or to
//! its end; what is acknowledged on the way is remembered, and must hold ever after.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use knit_tests::plans::PlanFile;
use knit_tests::server::{Server, Setup};
use knit_tests::workshop::{id_of, output_of};
use serde_json::{Value, json};

use super::administration::{rebuild, skip, snapshots};
use super::archiving;
use super::past;
use super::redacting;
use super::tale::{Died, Tale, Told, archive};

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Story {
    /// Nothing: the server starts.
    Start,
    /// A Run, and one that takes what it makes; both succeed.
    Runs,
    /// A Run whose Worker comes to another end than to success by itself; its exit code is known beforehand.
    Ends(i64),
    /// A Run that asks for more than the machine has.
    Impossible,
    /// Several Data, and a Run of each.
    Many,
    /// An honest upload.
    Upload,
    /// An upload with a wrong checksum.
    WrongUpload,
    /// An upload that its user aborts while its content is stored.
    AbortedUpload,
    /// A download.
    Download,
    /// A Run that fails, and is retried.
    Retry,
    /// A Run that is deleted, and then the upload that fed it.
    Delete,
    /// A Run that is deleted while its volumes are made.
    EarlyDelete,
    /// A Worker that runs for ever, and a user who aborts it.
    Abort,
    /// The same, and a user who keeps what it has made.
    TearOff,
    /// A Run that is aborted while its Worker is created.
    EarlyAbort,
    /// A user changes everything that can be changed of a Plan.
    Plan,
    /// Many small changes, each followed by snapshots.
    Snapshots,
    /// An administrator rebuilds a projection, and switches back.
    Rebuild,
    /// A projection that has stopped, and an administrator who lets it pass over the event.
    Skip,
    /// An administrator archives the log.
    Archive,
    /// An administrator takes a tag, and the text of a log, out of the history.
    Redaction,
    /// An auditor imports a history into a log that has none.
    Import,
    /// Changes through two servers on one database at once.
    Rivals,
    /// A download, whose server dies over it; the next server of the same database is at another place.
    Moved,
    /// A server that is told to stop while a Worker runs.
    Stop,
    /// A Run that is over, and the directory of its Worker put back from a copy.
    Restored,
}

impl Story {
    /// Its words in the documentation.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Runs => "Runs",
            Self::Ends(_) => "Run that fails",
            Self::Impossible => "impossible Run",
            Self::Many => "many Runs",
            Self::Upload => "upload",
            Self::WrongUpload => "refused upload",
            Self::AbortedUpload => "aborted upload",
            Self::Download => "download",
            Self::Retry => "retry",
            Self::Delete => "delete",
            Self::EarlyDelete => "early delete",
            Self::Abort => "abort",
            Self::TearOff => "tear-off",
            Self::EarlyAbort => "early abort",
            Self::Plan => "Plan",
            Self::Snapshots => "snapshots",
            Self::Rebuild => "rebuild",
            Self::Skip => "skip",
            Self::Archive => "archive",
            Self::Redaction => "redaction",
            Self::Import => "import",
            Self::Rivals => "rivals",
            Self::Moved => "moved server",
            Self::Stop => "stop",
            Self::Restored => "restored Worker",
        }
    }
}

/// Tells `story` until the server dies or there is nothing more to tell.
pub(crate) fn tell(story: Story, tale: &mut Tale) -> Told<()> {
    match story {
        Story::Start => Ok(()),
        Story::Runs => runs(tale),
        Story::Ends(code) => ends(tale, code),
        Story::Impossible => impossible(tale),
        Story::Many => many(tale),
        Story::Upload => tale.push("x", "a:b").map(drop),
        Story::WrongUpload => wrong_upload(tale),
        Story::AbortedUpload => aborted_upload(tale),
        Story::Download => download(tale),
        Story::Retry => retry(tale),
        Story::Delete => delete(tale),
        Story::EarlyDelete => early_delete(tale),
        Story::Abort => stopped(tale, "abort", 253),
        Story::TearOff => stopped(tale, "tearoff", 0),
        Story::EarlyAbort => early_abort(tale),
        Story::Plan => plan(tale),
        Story::Snapshots => snapshots(tale),
        Story::Rebuild => rebuild(tale),
        Story::Skip => skip(tale),
        Story::Archive => archiving::tell(tale),
        Story::Redaction => redacting::tell(tale),
        Story::Import => super::importing::import(tale),
        Story::Rivals => rivals(tale),
        Story::Moved => download(tale),
        Story::Stop => stop(tale),
        Story::Restored => restored(tale),
    }
}

/// What a user does once the server is back, so that everything comes to an end.
pub(crate) fn conclude(story: Story, tale: &mut Tale) {
    match story {
        Story::Abort | Story::TearOff | Story::Stop => {
            for run in tale.list("/api/runs?status=waiting,ready,starting,running") {
                let _ = tale.ask("PUT", &format!("/api/runs/{}/abort", id_of(&run, "runId")), None);
            }
        }
        Story::Skip => drop(skip(tale)),
        // What was not acknowledged is asked for again.
        Story::Redaction => redacting::redact_all(tale).expect("the server dies no more"),
        Story::Start
        | Story::Runs
        | Story::Ends(_)
        | Story::Impossible
        | Story::Many
        | Story::Upload
        | Story::WrongUpload
        | Story::AbortedUpload
        | Story::Download
        | Story::Retry
        | Story::Delete
        | Story::EarlyDelete
        | Story::EarlyAbort
        | Story::Plan
        | Story::Snapshots
        | Story::Rebuild
        | Story::Archive
        | Story::Import
        | Story::Rivals
        | Story::Moved
        | Story::Restored => {}
    }
}

/// What a user finds who looks once more, now that all is at rest; what is kept may be less afterwards.
pub(crate) fn look_once_more(story: Story, tale: &mut Tale) -> Told<()> {
    if !matches!(story, Story::Download | Story::Moved | Story::AbortedUpload) {
        return Ok(());
    }
    // A Data that is being read or written cannot be discarded. Nothing else shows that its Data Agent was closed.
    tale.until("the upload to be deletable", |tale| {
        let Some(run) = tale.list("/api/runs").first().map(|run| id_of(run, "runId")) else { return Ok(Some(())) };
        Ok((tale.ask("DELETE", &format!("/api/runs/{run}"), None)?.status == 204).then_some(()))
    })?;
    tale.until("its volume to be destroyed", |tale| Ok(tale.settled_with_nothing()?.then_some(())))
}

/// What happens to the state directory or the log while the server is dead.
pub(crate) fn meanwhile(story: Story, tale: &mut Tale) {
    if story == Story::Skip {
        tale.contradiction = Some(past::contradict(&tale.log));
    }
    if story == Story::Restored {
        copy(&copies(tale).join("workers"), tale.server.state_dir());
    }
    if story == Story::Moved {
        // A directory without its name is another place.
        fs::remove_file(tale.server.state_dir().join("place")).expect("the place has a name");
    }
}

/// A Plan whose Workers greet the doorkeeper and go on with `script`. It keeps a log, so that there are two volumes.
pub(super) fn worker(tale: &Tale, script: &str) -> PlanFile {
    let script = format!("{}{script}", tale.door.greeting("/out"));
    PlanFile::shell(&script).with("entrypoint", json!(["bash", "-c"])).log(&["is:log"])
}

fn runs(tale: &mut Tale) -> Told<()> {
    let first = worker(tale, "cat /in/it > /out/it; echo first >> /out/it; echo said");
    let second = worker(tale, "cat /in/it > /out/it; echo second >> /out/it");
    let first = tale.register(&first.input("/in", &["a:b"]).output("/out", &["is:first"]))?;
    let second = tale.register(&second.input("/in", &["is:first"]).output("/out", &["is:second"]))?;
    tale.push("x\n", "a:b")?;
    remember_its_end(tale, &first, 0, Some("x\nfirst\n"));
    remember_its_end(tale, &second, 0, Some("x\nfirst\nsecond\n"));
    tale.ended_run_of(&second).map(drop)
}

fn ends(tale: &mut Tale, code: i64) -> Told<()> {
    // A case in which something else ends the Worker leaves it to succeed.
    let script = if code == 3 { "echo began > /out/it; exit 3" } else { "echo began > /out/it" };
    let plan = worker(tale, script).input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan)?;
    tale.push("x", "a:b")?;
    remember_its_end(tale, &plan, code, None);
    tale.ended_run_of(&plan).map(drop)
}

fn impossible(tale: &mut Tale) -> Told<()> {
    let plan = worker(tale, "true").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan.with("resources", json!({"cpu": "10000"})))?;
    tale.push("x", "a:b")?;
    remember_its_end(tale, &plan, 255, None);
    tale.ended_run_of(&plan).map(drop)
}

fn many(tale: &mut Tale) -> Told<()> {
    let data: Vec<String> = (0..4).map(|n| tale.push(&format!("{n}"), "a:b")).collect::<Told<_>>()?;
    let plan = worker(tale, "cat /in/it > /out/it").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan)?;
    let (id, wanted) = (plan.clone(), data.len());
    tale.remember(move |tale| {
        let runs = tale.list(&format!("/api/runs?plan={id}"));
        let done = runs.iter().filter(|run| run["status"] == "done").count();
        if (runs.len(), done) == (wanted, wanted) { Ok(()) } else { Err(format!("{wanted} Runs are done: {runs:#?}")) }
    });
    tale.until("all Runs to be done", |tale| {
        let runs = tale.well("GET", &format!("/api/runs?plan={plan}&status=done"), None)?.json();
        Ok(runs.as_array().filter(|runs| runs.len() == wanted).map(drop))
    })
}

/// The Plan comes to have one Run, which ends with `code`, and if that says success has made `content`.
fn remember_its_end(tale: &mut Tale, plan: &str, code: i64, content: Option<&str>) {
    let (plan, content) = (plan.to_owned(), content.map(str::to_owned));
    tale.remember(move |tale| {
        let runs = tale.list(&format!("/api/runs?plan={plan}"));
        let [run] = &runs[..] else { return Err(format!("the Plan {plan} has one Run: {runs:#?}")) };
        if run["exit"]["code"] != json!(code) {
            return Err(format!("the Run ends with {code}: {run:#}"));
        }
        match &content {
            Some(content) => tale.holds_file(&output_of(run, "/out"), "it", content),
            None => Ok(()),
        }
    });
}

fn wrong_upload(tale: &mut Tale) -> Told<()> {
    let answer = tale.server.http().try_upload(&archive("x"), &[("x-checksum-md5", &"0".repeat(32))]);
    let refused = tale.heard(answer)?;
    assert_eq!(refused.status, 400, "an upload with a wrong checksum is refused: {}", refused.text());
    Ok(())
}

fn aborted_upload(tale: &mut Tale) -> Told<()> {
    let (http, archive) = (tale.server.http(), archive("x"));
    // It is held while its content is stored, until it is aborted, and dies then.
    let uploading = thread::spawn(move || http.try_upload(&archive, &[]).is_ok());
    let run = tale.upload_under_way()?;
    tale.until_held()?;
    let _ = tale.ask("PUT", &format!("/api/runs/{run}/abort"), None)?;
    remember_status(tale, &run, "failed");
    assert!(!uploading.join().expect("an upload does not panic"), "an aborted upload is not acknowledged");
    Err(Died)
}

fn remember_status(tale: &mut Tale, run: &str, status: &'static str) {
    let run = run.to_owned();
    tale.remember(move |tale| match tale.look(&format!("/api/runs/{run}")) {
        Some(now) if now["status"] == status => Ok(()),
        other => Err(format!("the Run {run} should be {status}: {other:#?}")),
    });
}

fn download(tale: &mut Tale) -> Told<()> {
    let data = tale.push("x", "a:b")?;
    tale.well("GET", &format!("/api/data/{data}"), None).map(drop)
}

fn retry(tale: &mut Tale) -> Told<()> {
    let plan = worker(tale, "echo x > /out/it; echo said; exit 3").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan)?;
    tale.push("x", "a:b")?;
    remember_its_end(tale, &plan, 3, None);
    let run = id_of(&tale.ended_run_of(&plan)?, "runId");
    tale.well("PUT", &format!("/api/runs/{run}/retry"), None)?;
    let id = run.clone();
    tale.remember(move |tale| {
        let attempts = tale.list(&format!("/api/runs/{id}/attempts"));
        let log = tale.server.http().get(&format!("/api/runs/{id}/attempts/1/log"));
        if attempts.len() == 2 && log.status == 200 && log.text() == "said\n" {
            return Ok(());
        }
        Err(format!("a retried Run has two attempts, and the log of the first: {attempts:#?}, {}", log.text()))
    });
    tale.until("the second attempt to end", |tale| {
        let attempts = tale.well("GET", &format!("/api/runs/{run}/attempts"), None)?.json();
        Ok((attempts[1]["status"] == "failed").then_some(()))
    })
}

fn delete(tale: &mut Tale) -> Told<()> {
    let plan = worker(tale, "echo x > /out/it").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan)?;
    let data = tale.upload("x")?;
    let _ = tale.well("PUT", &format!("/api/data/{data}"), Some(&json!({"add": ["a:b"]})))?;
    let run = id_of(&tale.ended_run_of(&plan)?, "runId");
    let upload = tale.well("GET", &format!("/api/data?tag=knit%23id%3A{data}"), None)?.json();
    let upload = id_of(&upload[0]["upstream"]["run"], "runId");
    tale.well("DELETE", &format!("/api/runs/{run}"), None)?;
    let deleted = run.clone();
    tale.remember(move |tale| match tale.look(&format!("/api/runs/{deleted}")) {
        // With the Data it remembers, the tombstone goes as well.
        None => Ok(()),
        Some(now) if now["status"] == "invalidated" => Ok(()),
        Some(now) => Err(format!("the deleted Run is back: {now:#}")),
    });
    tale.well("DELETE", &format!("/api/runs/{upload}"), None)?;
    tale.remember(move |tale| match tale.list("/api/runs").len() {
        0 => Ok(()),
        left => Err(format!("{left} Runs are left where all were deleted")),
    });
    tale.until("the volumes to be destroyed", |tale| Ok(tale.settled_with_nothing()?.then_some(())))
}

impl Tale {
    /// Whether nothing is kept any more; asked so that the server's death is noticed.
    fn settled_with_nothing(&mut self) -> Told<bool> {
        if self.server.has_died() { Err(Died) } else { Ok(self.server.keeps().is_empty()) }
    }
}

fn early_delete(tale: &mut Tale) -> Told<()> {
    let plan = worker(tale, "true").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan)?;
    tale.push("x", "a:b")?;
    let run = id_of(&tale.only_run_of(&plan, |run| run["status"] == "waiting")?, "runId");
    tale.until_held()?;
    tale.well("DELETE", &format!("/api/runs/{run}"), None)?;
    remember_status(tale, &run, "invalidated");
    Ok(())
}

fn endless(tale: &mut Tale) -> Told<String> {
    let plan = worker(tale, "echo began > /out/it; while :; do sleep 0.05; done");
    let plan = tale.register(&plan.input("/in", &["a:b"]).output("/out", &["is:made"]))?;
    tale.push("x", "a:b")?;
    let run = id_of(&tale.only_run_of(&plan, |run| run["status"] == "running")?, "runId");
    // A Run is running from when its Worker is spawned. One that is torn off before its Worker has said a word is
    // done, and would look as if no Worker had ever come.
    tale.until("the Worker to arrive", |tale| {
        if tale.server.has_died() { Err(Died) } else { Ok((!tale.door.heard().is_empty()).then_some(())) }
    })?;
    Ok(run)
}

fn stopped(tale: &mut Tale, how: &str, code: i64) -> Told<()> {
    let run = endless(tale)?;
    tale.well("PUT", &format!("/api/runs/{run}/{how}"), None)?;
    let id = run.clone();
    tale.remember(move |tale| match tale.look(&format!("/api/runs/{id}")) {
        Some(now) if now["exit"]["code"] == json!(code) => Ok(()),
        other => Err(format!("a stopped Run ends with {code}: {other:#?}")),
    });
    tale.until("the stopped Run to end", |tale| {
        let now = tale.well("GET", &format!("/api/runs/{run}"), None)?.json();
        Ok(matches!(now["status"].as_str(), Some("done" | "failed")).then_some(()))
    })
}

fn early_abort(tale: &mut Tale) -> Told<()> {
    let plan = worker(tale, "while :; do sleep 0.05; done").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan)?;
    tale.push("x", "a:b")?;
    let run = id_of(&tale.only_run_of(&plan, |run| run["status"] == "starting")?, "runId");
    tale.until_held()?;
    tale.well("PUT", &format!("/api/runs/{run}/abort"), None)?;
    remember_status(tale, &run, "failed");
    Ok(())
}

/// What a user can change of a Plan: whether it is active, its processors, its notes, its account.
type Changeable = (bool, &'static str, usize, Option<&'static str>);

fn plan(tale: &mut Tale) -> Told<()> {
    let plan = worker(tale, "true").input("/in", &["never:there"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan.with("resources", json!({"cpu": "1"})))?;
    let steps: [(&str, &str, Option<Value>, Changeable); 6] = [
        ("DELETE", "active", None, (false, "1", 0, None)),
        ("PUT", "active", None, (true, "1", 0, None)),
        ("PUT", "resources", Some(json!({"set": {"cpu": "2"}})), (true, "2", 0, None)),
        ("PUT", "annotations", Some(json!({"add": ["note=kept"]})), (true, "2", 1, None)),
        ("PUT", "serviceaccount", Some(json!({"service_account": "somebody"})), (true, "2", 1, Some("somebody"))),
        ("DELETE", "serviceaccount", None, (true, "2", 1, None)),
    ];
    let states: Vec<Changeable> =
        std::iter::once((true, "1", 0, None)).chain(steps.iter().map(|step| step.3)).collect();
    let acknowledged = Rc::new(Cell::new(0));
    let (id, upto) = (plan.clone(), Rc::clone(&acknowledged));
    tale.remember(move |tale| {
        let now = tale.look(&format!("/api/plans/{id}")).ok_or_else(|| format!("the Plan {id} is gone"))?;
        // A change that was not acknowledged may have been made.
        let allowed = &states[upto.get()..states.len().min(upto.get() + 2)];
        if allowed.iter().any(|state| is_in(&now, *state)) {
            return Ok(());
        }
        Err(format!("the Plan is in one of the states {allowed:?}: {now:#}"))
    });
    for (method, part, body, _) in steps {
        tale.well(method, &format!("/api/plans/{plan}/{part}"), body.as_ref())?;
        acknowledged.set(acknowledged.get() + 1);
    }
    Ok(())
}

fn is_in(plan: &Value, (active, cpu, notes, account): Changeable) -> bool {
    let found_notes = plan["annotations"].as_array().map_or(0, Vec::len);
    let found_account = plan["service_account"].as_str();
    plan["active"] == json!(active)
        && plan["resources"]["cpu"] == json!(cpu)
        && found_notes == notes
        && found_account == account
}

fn rivals(tale: &mut Tale) -> Told<()> {
    let (data, others) = (tale.push("x", "a:b")?, tale.push("y", "a:b")?);
    let mut rival = tale.rival();
    rival.start();
    let http = rival.http();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let tag = json!({"add": [format!("rival:{n}")]});
                assert_eq!(
                    http.send_json("PUT", &format!("/api/data/{others}"), &tag).status,
                    200,
                    "the rival lives on"
                );
            }
        });
        let told = (0..).try_for_each(|n| tale.tag(&data, &format!("n:{n}")));
        over.store(true, Ordering::Relaxed);
        told
    })
}

impl Tale {
    /// Another server on the same database, which serves requests and nothing else.
    fn rival(&self) -> Server {
        Setup::new().database(&self.log).option("--role", "api").placed()
    }
}

fn stop(tale: &mut Tale) -> Told<()> {
    endless(tale)?;
    tale.server.tell_to_stop();
    Ok(())
}

/// The directory of a living Worker is copied, and the Run ends.
fn restored(tale: &mut Tale) -> Told<()> {
    let run = endless(tale)?;
    let copies = copies(tale);
    fs::create_dir_all(&copies).expect("a directory can be made");
    copy(&tale.server.state_dir().join("workers"), &copies);
    tale.well("PUT", &format!("/api/runs/{run}/abort"), None)?;
    remember_status(tale, &run, "failed");
    Ok(())
}

fn copies(tale: &Tale) -> PathBuf {
    tale.server.desk().join("copies")
}

fn copy(from: &Path, into: &Path) {
    let copied = Command::new("cp").arg("-r").arg(from).arg(into).status().expect("`cp` runs");
    assert!(copied.success(), "{} is copied", from.display());
}
