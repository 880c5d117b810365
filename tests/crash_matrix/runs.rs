//! Runs come to their ends by themselves.

use knit_tests::plans::PlanFile;
use knit_tests::workshop::output_of;
use serde_json::json;

use super::tale::{File, Tale, Told};

/// The first Worker makes a program and a file that it means to keep as it is; the second copies both from its input,
/// with all their attributes, and means to change the file.
pub(super) fn runs(tale: &mut Tale) -> Told<()> {
    let make = "touch /out/tool /out/kept; chmod 755 /out/tool; chmod 444 /out/kept";
    let copy = "cp -a /in/tool /in/kept /out; chmod 644 /out/kept";
    let first = worker(tale, &format!("cat /in/it > /out/it; echo first >> /out/it; echo said; {make}"));
    let second = worker(tale, &format!("cat /in/it > /out/it; echo second >> /out/it; {copy}"));
    let first = tale.register(&first.input("/in", &["a:b"]).output("/out", &["is:first"]))?;
    let second = tale.register(&second.input("/in", &["is:first"]).output("/out", &["is:second"]))?;
    tale.push("x\n", "a:b")?;
    let made = &[("it", 0o600, "x\nfirst\n"), ("tool", 0o700, ""), ("kept", 0o400, "")];
    remember_its_end(tale, &first, 0, Some(made));
    let made = &[("it", 0o600, "x\nfirst\nsecond\n"), ("tool", 0o500, ""), ("kept", 0o600, "")];
    remember_its_end(tale, &second, 0, Some(made));
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

/// The Plan comes to have one Run, which ends with `code`, and if that says success has made these files.
pub(super) fn remember_its_end(tale: &mut Tale, plan: &str, code: i64, made: Option<&'static [File]>) {
    let plan = plan.to_owned();
    tale.remember(move |tale| {
        let runs = tale.list(&format!("/api/runs?plan={plan}"));
        let [run] = &runs[..] else { return Err(format!("the Plan {plan} has one Run: {runs:#?}")) };
        if run["exit"]["code"] != json!(code) {
            return Err(format!("the Run ends with {code}: {run:#}"));
        }
        match made {
            Some(made) => tale.is_pulled(&output_of(run, "/out"), made),
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
