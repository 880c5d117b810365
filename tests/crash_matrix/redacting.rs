//! Something is taken out of the history (D15): a tag, and the text of a log.

use std::fs;

use knit_tests::workshop::id_of;
use serde_json::json;

use super::runs::worker;
use super::tale::{Died, Tale, Told};

/// What is to be forgotten; nothing else has these letters.
const SECRET: &str = "AliceSecretovna";

pub(super) fn tell(tale: &mut Tale) -> Told<()> {
    let plan = worker(tale, "echo x > /out/it; echo said").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan)?;
    let data = tale.push("x", "a:b")?;
    let run = id_of(&tale.ended_run_of(&plan)?, "runId");
    tale.well("PUT", &format!("/api/data/{data}"), Some(&json!({"add": [format!("owner:{SECRET}")]})))?;
    tale.remember(|tale| {
        let says = tale.server.http().get("/api/events/export?format=jsonl").text().contains(SECRET);
        if says { Err("the history still says what was redacted".to_owned()) } else { Ok(()) }
    });
    tale.remember(|tale| {
        let says = tale.list("/api/data").iter().any(|data| data.to_string().contains(SECRET));
        if says { Err("a Data still has the tag that was redacted".to_owned()) } else { Ok(()) }
    });
    tale.remember(move |tale| {
        let log = tale.server.http().get(&format!("/api/runs/{run}/log"));
        let is_gone = log.status == 404 && log.text().contains("was redacted by");
        if is_gone { Ok(()) } else { Err(format!("the log is still there: {}", log.text())) }
    });
    tale.remember(|tale| {
        let is_file = |bytes: Vec<u8>| bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
        let held = ["", "-wal"].map(|end| fs::read(format!("{}{end}", tale.log)).is_ok_and(is_file));
        if held == [false; 2] { Ok(()) } else { Err(format!("the file and its journal still hold it: {held:?}")) }
    });
    tale.remember(|tale| {
        let verified = tale.server.knit().run(["admin", "rebuild-projection", "--verify-only", "all"]);
        if verified.code == 0 { Ok(()) } else { Err(format!("the projections are what the log says: {verified}")) }
    });
    redact_all(tale)
}

/// Redacts the tag, and every log that there is; what is gone already is no error.
pub(super) fn redact_all(tale: &mut Tale) -> Told<()> {
    let runs = tale.well("GET", "/api/runs?status=done", None)?.json();
    let logs = runs
        .as_array()
        .into_iter()
        .flatten()
        .map(|run| vec!["--run".to_owned(), id_of(run, "runId"), "--log".to_owned()]);
    let tag = vec!["--tag".to_owned(), format!("owner:{SECRET}")];
    for what in std::iter::once(tag).chain(logs) {
        let words = ["admin", "redact", "--yes", "--reason", "asked for"].map(str::to_owned);
        let told = tale.server.knit().run(words.into_iter().chain(what));
        if told.code != 0 && !told.stderr.contains("(404)") {
            tale.server.wait_for_death();
            return Err(Died);
        }
    }
    Ok(())
}
