//! The story of an archive, and what must hold of its files.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use serde_json::json;

use super::tale::{Died, Tale, Told};

/// What is to be forgotten; nothing else has these letters.
const SECRET: &str = "AliceSecretovna";

/// The log is archived, goes on, something in it is redacted, and it is archived again.
pub(super) fn tell(tale: &mut Tale) -> Told<()> {
    let data = tale.push("x", "a:b")?;
    tale.well("PUT", &format!("/api/data/{data}"), Some(&json!({"add": [format!("owner:{SECRET}")]})))?;
    for n in 0..30 {
        tale.tag(&data, &format!("n:{n}"))?;
    }
    let directory = tale.server.desk().join("archive");
    let archive = ["admin", "archive", "--to", directory.to_str().expect("a plain path")].map(str::to_owned);
    let was_archived = Rc::new(Cell::new(false));
    let (again, has_been) = (archive.clone(), Rc::clone(&was_archived));
    tale.remember(move |tale| archive_is_whole(tale, &directory, &again, has_been.get()));
    order(tale, &archive)?;
    was_archived.set(true);
    let tag = format!("owner:{SECRET}");
    order(tale, &["admin", "redact", "--yes", "--reason", "asked for", "--tag", &tag].map(str::to_owned))?;
    order(tale, &archive)?;
    tale.tag(&data, "after:it")
}

/// The server does it, or dies over it.
fn order(tale: &mut Tale, words: &[String]) -> Told<()> {
    if tale.server.knit().run(words).code != 0 {
        tale.server.wait_for_death();
        return Err(Died);
    }
    Ok(())
}

/// Each segment that is there is whole, and so is, by itself, an archive that was; archiving again completes it, and
/// leaves nothing else, nor anything of what was redacted.
fn archive_is_whole(tale: &Tale, directory: &Path, again: &[String], was_archived: bool) -> Result<(), String> {
    let names = || {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let is_segment = |name: &&String| name.starts_with("events-");
    if was_archived {
        verifies(tale, directory, "what was whole by itself stays so")?;
    } else {
        for name in names().iter().filter(is_segment) {
            verifies(tale, &directory.join(name), "what has the name of a segment is whole")?;
        }
    }
    let told = tale.server.knit().run(again);
    if told.code != 0 || names().iter().filter(is_segment).count() < 3 {
        return Err(format!("the archive is completed: {told}"));
    }
    let others: Vec<String> = names().into_iter().filter(|name| !is_segment(&name) && name != ".lock").collect();
    if !others.is_empty() {
        return Err(format!("nothing is left of what did not become a segment: {others:?}"));
    }
    verifies(tale, directory, "the archive is whole")?;
    let is_forgotten = !tale.server.http().get("/api/events/export?format=jsonl").text().contains(SECRET);
    let files: Vec<PathBuf> = names().iter().filter(is_segment).map(|name| directory.join(name)).collect();
    if is_forgotten && says_it(&files) { Err("the archive says what was redacted".to_owned()) } else { Ok(()) }
}

fn verifies(tale: &Tale, path: &Path, what: &str) -> Result<(), String> {
    let told = tale.server.knit().run(["audit", "verify", &path.to_string_lossy()]);
    if told.code == 0 { Ok(()) } else { Err(format!("{what}: {told}")) }
}

fn says_it(files: &[PathBuf]) -> bool {
    let content = Command::new("zcat").args(files).output().expect("zcat is there");
    assert!(content.status.success(), "{content:?}");
    content.stdout.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes())
}
