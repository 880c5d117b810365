//! Data come and go.

use std::thread;

use super::runs::remember_status;
use super::tale::{Died, Tale, Told, archive};

pub(super) fn wrong_upload(tale: &mut Tale) -> Told<()> {
    let answer = tale.server.http().try_upload(&archive("x"), &[("x-checksum-md5", &"0".repeat(32))]);
    let refused = tale.heard(answer)?;
    assert_eq!(refused.status, 400, "an upload with a wrong checksum is refused: {}", refused.text());
    Ok(())
}

pub(super) fn aborted_upload(tale: &mut Tale) -> Told<()> {
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

pub(super) fn download(tale: &mut Tale) -> Told<()> {
    let data = tale.push("x", "a:b")?;
    tale.well("GET", &format!("/api/data/{data}"), None).map(drop)
}
