//! Archives that no honest client sends. Each is refused with a reason, and nothing of it stays.

use flate2::Compression;
use flate2::write::GzEncoder;
use knit_tests::archive::{Archive, checksum, gzip, noise};
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::{Workshop, id_of};
use serde_json::Value;
use tar::EntryType;

/// What an upload may unpack to in these tests.
const UPLOAD_BYTES_MAX: usize = 1 << 20;

fn shop() -> Workshop {
    Workshop::with(
        Setup::new().option("--upload-bytes-max", &UPLOAD_BYTES_MAX.to_string()).option("--upload-entries-max", "100"),
    )
}

/// Sends `archive`, which must be refused with a message that names `reason`, and looks for what is left.
#[track_caller]
fn refused(shop: &Workshop, archive: &[u8], trailers: &[(&str, &str)], reason: &str) {
    let before = shop.server.keeps();
    let answer = shop.server.http().upload(archive, trailers);
    let message = answer.message();
    assert_eq!(answer.status, 400, "expected {reason:?}, got {message}");
    assert!(message.contains(reason), "expected {reason:?} in {message:?}");
    let run = ended_as_failed(shop);
    let told = shop.server.http().get(&format!("/api/runs/{run}/explain")).json()["failure"]["reason"].clone();
    assert!(told.as_str().is_some_and(|told| told.contains(reason)), "its Run says why: {reason:?} in {told}");
    assert_eq!(shop.server.keeps(), before, "a refused upload leaves no file");
}

/// The newest upload is listed as failed, with its Data; answers the id of its Run.
#[track_caller]
fn ended_as_failed(shop: &Workshop) -> String {
    let runs = shop.server.http().get("/api/runs").json();
    let last = runs.as_array().and_then(|runs| runs.last()).cloned().expect("the upload is listed");
    assert_eq!(last["status"], "failed", "{last:#}");
    assert!(last.get("exit").is_none(), "nothing exited: {last:#}");
    let data = shop.data(last["outputs"][0]["knitId"].as_str().expect("an id is a text")).expect("its Data is listed");
    let tags = data["tags"].as_array().expect("tags are a list");
    assert!(tags.iter().any(|tag| *tag == "knit#transient:failed"), "{tags:?}");
    id_of(&last, "runId")
}

fn good() -> Archive {
    Archive::new().file("good", b"good")
}

#[test]
fn entries_that_leave_the_data_are_refused() {
    let shop = shop();
    let outside = shop.server.desk().join("outside");
    let absolute = outside.to_str().expect("paths of tests are text");
    let deep = "../".repeat(8) + absolute.trim_start_matches('/');
    for (archive, reason) in [
        (good().file(absolute, b"x"), "absolute name"),
        (good().file("../x", b"x"), "`..`"),
        (good().file("a/../../x", b"x"), "`..`"),
        (good().file(&deep, b"x"), "`..`"),
        (good().symlink("link", "/etc/passwd"), "leaves the Data"),
        (good().symlink("link", "../x"), "leaves the Data"),
        (good().symlink("a/link", "../../x"), "leaves the Data"),
        (good().symlink("link", ".").file("link/x", b"x"), "beneath a symbolic link"),
        (good().hard_link("link", "/etc/passwd"), "not to an earlier file"),
        (good().hard_link("link", "../x"), "not to an earlier file"),
    ] {
        refused(&shop, &archive.gzip(), &[], reason);
    }
    assert!(!outside.exists(), "nothing was written outside");
}

#[test]
fn things_that_are_neither_files_nor_links_are_refused() {
    let shop = shop();
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        refused(&shop, &good().special(kind, "thing").gzip(), &[], "files, symbolic links and directories only");
    }
}

#[test]
fn names_that_clash_are_refused() {
    let shop = shop();
    refused(&shop, &good().file("good", b"again").gzip(), &[], "occurs twice");
    refused(&shop, &good().file("good/below", b"x").gzip(), &[], "good");
}

#[test]
fn damaged_archives_are_refused() {
    let shop = shop();
    let whole = Archive::new().file("noise", &noise(100_000)).gzip();
    for (archive, reason) in [
        (b"this is not an archive".to_vec(), "not gzip"),
        (Vec::new(), "gzip"),
        (whole[..whole.len() / 2].to_vec(), "ends too early"),
        (whole[..whole.len() - 4].to_vec(), "ends too early"),
        (gzip(b"gzip, but not tar; "), "tar"),
        (gzip(&Archive::new().file("cut", &noise(1000)).tar()[..1000]), "ends in the middle of `cut`"),
        (whole.iter().copied().chain(*b"more").collect(), "follows the end"),
        (with_a_flipped_bit(&whole), "damaged"),
    ] {
        refused(&shop, &archive, &[], reason);
    }
}

/// The checksum at the end of the gzip stream is another one.
fn with_a_flipped_bit(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    let checksum_at = archive.len() - 8;
    archive[checksum_at] ^= 1;
    archive
}

#[test]
fn a_wrong_checksum_is_refused_announced_or_not() {
    let shop = shop();
    let archive = good().gzip();
    let wrong = checksum(b"something else");
    refused(&shop, &archive, &[("x-checksum-md5", &wrong)], "the archive was damaged on its way");
    refused(&shop, &archive, &[("X-Checksum-MD5", "")], "the archive was damaged on its way");

    let mut connection = shop.server.http().connect();
    let headers = [("Transfer-Encoding", "chunked"), ("Trailer", "x-checksum-md5"), ("TE", "trailers")];
    connection.head("POST", "/api/data", &headers);
    connection.chunk(&archive).unwrap();
    connection.last_chunk(&[("x-checksum-md5", &wrong)]).unwrap();
    let answer = connection.response();
    assert_eq!((answer.status, answer.message().starts_with("hash is not match.")), (400, true));
}

#[test]
fn a_bomb_is_refused_by_the_bytes_it_unpacks_to() {
    let shop = shop();
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    std::io::copy(&mut &Archive::new().file("zeros", &vec![0; 64 * UPLOAD_BYTES_MAX]).tar()[..], &mut bomb).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < UPLOAD_BYTES_MAX, "it is small before it is unpacked");
    refused(&shop, &bomb, &[], &UPLOAD_BYTES_MAX.to_string());
}

#[test]
fn an_archive_of_too_many_entries_is_refused() {
    let shop = shop();
    let many = (0..101).fold(Archive::new(), |archive, number| archive.file(&format!("{number}"), b""));
    refused(&shop, &many.gzip(), &[], "more than 100 entries");
}

#[test]
fn a_body_that_breaks_off_is_a_failed_upload() {
    let shop = shop();
    let before = shop.server.keeps();
    let archive = Archive::new().file("noise", &noise(500_000)).gzip();
    let mut upload = shop.server.http().begin_upload();
    upload.chunk(&archive[..archive.len() / 2]).unwrap();
    let listed = || shop.server.http().get("/api/runs").json().as_array().and_then(|runs| runs.last()).cloned();
    wait_until("the upload to be listed", || listed().is_some_and(|run| run["status"] == "running"));
    drop(upload);
    wait_until("the upload to be failed", || listed().is_some_and(|run: Value| run["status"] == "failed"));
    let _ = ended_as_failed(&shop);
    wait_until("its files to be gone", || shop.server.keeps() == before);
}

#[test]
fn chunks_that_are_no_chunks_are_a_failed_upload() {
    let shop = shop();
    let before = shop.server.keeps();
    let mut upload = shop.server.http().begin_upload();
    upload.write(b"zz\r\nnonsense\r\n").unwrap();
    assert_eq!(upload.response_head().status, 400);
    wait_until("the upload to be failed", || {
        let runs = shop.server.http().get("/api/runs").json();
        runs.as_array().is_some_and(|runs| runs.iter().all(|run| run["status"] == "failed"))
    });
    assert_eq!(shop.server.keeps(), before);
}
