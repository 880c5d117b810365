//! A full disk under the state directory at a start, and under an archive.

use std::fs;
use std::path::{Path, PathBuf};

use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::{Workshop, tree};

use super::{DISK_BYTES, RoomTaken, plan, text};

/// Events of a segment of an archive.
const SEGMENT: u64 = 10;

#[test]
fn a_start_on_a_full_state_disk_is_refused_leaves_no_half_of_a_name_and_goes_on_with_room() {
    let mut server = Setup::new().on_a_disk_of(DISK_BYTES).option("--database", "beside.db").placed();
    let state = server.state_seen_by_it();
    let full = RoomTaken::on(&state);
    for _ in 0..2 {
        let said = server.refuses();
        assert!(said.contains("the disk of the state directory") && said.contains("is full: make room"), "{said}");
        let names: Vec<_> = tree(&state).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, [Path::new("ballast"), Path::new("runtime.lock")], "nothing half-written");
    }
    drop(full);
    server.start();
    assert!(server.stop().success());
    let full = RoomTaken::on(&state);
    server.start();
    drop(full);
}

#[test]
fn a_full_disk_under_an_archive_leaves_no_part_of_a_segment_and_is_written_on_with_room() {
    let own = Setup::new().option("--archive-dir", "disk/own").option("--archive-segment", &SEGMENT.to_string());
    let shop = Workshop::with(own.with_a_disk_beside_of(DISK_BYTES));
    let disk = shop.server.disk_seen_by_it();
    let full = RoomTaken::on(&disk);
    for n in 0..3 * SEGMENT {
        let answer = shop.server.http().send_json("POST", "/api/plans", &plan(&format!("{n}")).json());
        assert_eq!(answer.status, 200, "the log goes on: {}", answer.text());
    }
    wait_until("the server to have met the full disk", || {
        shop.server.log().contains("cannot archive the log, trying on")
    });
    let other = shop.server.desk().join("disk/other");
    let words = ["admin", "archive", "--to", text(&other)];
    let _ = shop.refused(1, &words).tells("No space left on device").tells("hint: make room on that disk");
    assert_eq!(segments(&disk), Vec::<PathBuf>::new(), "nothing half-written");
    drop(full);
    // The server tries again after half a minute; whoever does not wait says so.
    for words in [&words[..], &["admin", "archive"]] {
        let told = shop.knit(words).json();
        let missing = told["head"].as_u64().unwrap() - told["position"].as_u64().unwrap();
        assert!(missing < SEGMENT, "every segment that is full is there: {told:#}");
    }
    assert!(segments(&disk).len() >= 6, "at least three in each");
    for directory in ["own", "other"] {
        let _ = shop.knit(&["audit", "verify", text(&disk.join(directory))]);
    }
}

/// All files of the archives on a disk but their locks.
fn segments(disk: &Path) -> Vec<PathBuf> {
    let archives = fs::read_dir(disk).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = archives.flat_map(|archive| fs::read_dir(archive).unwrap().map(|entry| entry.unwrap().path()));
    files.filter(|path| !path.ends_with(".lock")).collect()
}
