//! The story of an archive, and what must hold of its files.

use std::fs;
use std::path::Path;

use super::tale::{Died, Tale, Told};

/// The log is archived, and goes on.
pub(super) fn tell(tale: &mut Tale) -> Told<()> {
    let data = tale.push("x", "a:b")?;
    for n in 0..30 {
        tale.tag(&data, &format!("n:{n}"))?;
    }
    let directory = tale.server.desk().join("archive");
    let to = directory.to_str().expect("a plain path").to_owned();
    let words = move |to: &str| ["admin", "archive", "--to", to].map(str::to_owned);
    let again = words(&to);
    tale.remember(move |tale| archive_is_whole(tale, &directory, &again));
    if tale.server.knit().run(words(&to)).code != 0 {
        tale.server.wait_for_death();
        return Err(Died);
    }
    tale.tag(&data, "after:it")
}

/// Each segment that is there is whole; archiving again completes them, and leaves nothing else.
fn archive_is_whole(tale: &Tale, directory: &Path, again: &[String]) -> Result<(), String> {
    let names = || {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let is_segment = |name: &&String| name.starts_with("events-");
    for name in names().iter().filter(is_segment) {
        let file = directory.join(name).to_string_lossy().into_owned();
        let told = tale.server.knit().run(["audit", "verify", &file]);
        if told.code != 0 {
            return Err(format!("what has the name of a segment is whole: {told}"));
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
    let told = tale.server.knit().run(["audit", "verify", &directory.to_string_lossy()]);
    if told.code == 0 { Ok(()) } else { Err(format!("the archive is whole: {told}")) }
}
