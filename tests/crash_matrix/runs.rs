//! Runs come to their ends by themselves.

use knit_tests::plans::PlanFile;
use knit_tests::workshop::output_of;
use serde_json::json;

use super::tale::{Tale, Told};

pub(super) fn runs(tale: &mut Tale) -> Told<()> {
    let first = worker(tale, "cat /in/it > /out/it; echo first >> /out/it; echo said");
    let second = worker(tale, "cat /in/it > /out/it; echo second >> /out/it");
    let first = tale.register(&first.input("/in", &["a:b"]).output("/out", &["is:first"]))?;
    let second = tale.register(&second.input("/in", &["is:first"]).output("/out", &["is:second"]))?;
    tale.push("x\n", "a:b")?;
    remember_its_end(tale, &first, 0, Some("x\nfirst\n"));
    remember_its_end(tale, &second, 0, Some("x\nfirst\nsecond\n"));
    tale.ended_run_of(&second).map(drop)
}

pub(super) fn ends(tale: &mut Tale, code: i64) -> Told<()> {
    // A case in which something else ends the Worker leaves it to succeed.
    let script = if code == 3 { "echo began > /out/it; exit 3" } else { "echo began > /out/it" };
    let plan = worker(tale, script).input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan)?;
    tale.push("x", "a:b")?;
    remember_its_end(tale, &plan, code, None);
    tale.ended_run_of(&plan).map(drop)
}

pub(super) fn impossible(tale: &mut Tale) -> Told<()> {
    let plan = worker(tale, "true").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan.with("resources", json!({"cpu": "10000"})))?;
    tale.push("x", "a:b")?;
    remember_its_end(tale, &plan, 255, None);
    tale.ended_run_of(&plan).map(drop)
}

pub(super) fn many(tale: &mut Tale) -> Told<()> {
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

/// A Plan whose Workers greet the doorkeeper and go on with `script`. It keeps a log, so that there are two volumes.
pub(super) fn worker(tale: &Tale, script: &str) -> PlanFile {
    let script = format!("{}{script}", tale.door.greeting("/out"));
    PlanFile::bash(&script).log(&["is:log"])
}

/// The Plan comes to have one Run, which ends with `code`, and if that says success has made `content`.
pub(super) fn remember_its_end(tale: &mut Tale, plan: &str, code: i64, content: Option<&str>) {
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

pub(super) fn remember_status(tale: &mut Tale, run: &str, status: &'static str) {
    let run = run.to_owned();
    tale.remember(move |tale| match tale.look(&format!("/api/runs/{run}")) {
        Some(now) if now["status"] == status => Ok(()),
        other => Err(format!("the Run {run} should be {status}: {other:#?}")),
    });
}
