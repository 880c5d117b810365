//! A full disk under what `knit` writes.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use knit_tests::archive::noise;
use knit_tests::program;
use knit_tests::server::Setup;
use knit_tests::workshop::{Workshop, tree};
use nix::sys::statvfs::statvfs;

use super::{RoomTaken, text};

/// The size of the user's disk.
const DISK_BYTES: u64 = 2 << 20;
/// The size of a Data, which does not compress.
const DATA_BYTES: usize = 200_000;
/// What is advised.
const MAKE_ROOM: &str = "hint: the disk is full: make room, or write elsewhere";

/// What is written by a command, and what a user types for it.
struct Writing {
    /// What is on the disk afterwards.
    file: &'static str,
    words: Vec<String>,
}

fn all(disk: &Path, data: &str, key: &str, profile: &str) -> Vec<Writing> {
    let writing = |file, words: &[&str]| Writing {
        file,
        words: words.iter().map(|word| word.replace("DISK", text(disk))).collect(),
    };
    vec![
        writing("pulled/DATA.tar.gz", &["data", "pull", data, "DISK/pulled"]),
        writing("unpacked/DATA/noise", &["data", "pull", "-x", data, "DISK/unpacked"]),
        writing("export", &["audit", "export", "-o", "DISK/export"]),
        writing("export.pb", &["audit", "export", "--format", "proto", "-o", "DISK/export.pb"]),
        writing("key.pub", &["audit", "keygen", "DISK/key"]),
        writing("first", &["audit", "checkpoint", "--key", key, "--append", "DISK/first"]),
        writing("checkpoints", &["audit", "checkpoint", "--key", key, "--append", "DISK/checkpoints"]),
        writing("store", &["--profile-store", "DISK/store", "--profile", "mine", "init", profile]),
    ]
}

#[test]
fn a_user_whose_disk_is_full_is_told_so_keeps_nothing_half_written_and_does_it_again() {
    let shop = Workshop::with(Setup::new().with_a_disk_beside_of(DISK_BYTES));
    let disk = shop.server.disk_seen_by_it();
    let data = pushed(&shop);
    let (key, profile) = (shop.new_path("key"), shop.new_path("profile"));
    let _ = shop.knit(&["audit", "keygen", text(&key)]);
    fs::write(&profile, "apiRoot: http://127.0.0.1:1/api\n").unwrap();
    let checkpoints = disk.join("checkpoints");
    let _ = shop.knit(&["audit", "checkpoint", "--key", text(&key), "--append", text(&checkpoints)]);
    nearly_fill_a_block(&checkpoints);

    let full = RoomTaken::on(&disk);
    let before = tree(&disk);
    let all = all(&disk, &data, text(&key), text(&profile));
    for Writing { words, .. } in &all {
        let told =
            shop.user().run(words).ended(1).tells("error: cannot ").tells("No space left on device").tells(MAKE_ROOM);
        assert!(!told.stderr.contains(".knit-") && !told.stderr.contains(".tmp"), "no temporary name: {told}");
        assert!(tree(&disk) == before, "something has changed on the disk by {told}");
    }
    assert!(!disk.join("unpacked").exists(), "nothing was to be put there");
    drop(full);
    for Writing { file, words } in &all {
        let _ = shop.user().run(words).ok();
        assert!(disk.join(file.replace("DATA", &data)).is_file(), "{file} is there after {words:?}");
    }
    assert_eq!(fs::read(disk.join("unpacked").join(&data).join("noise")).unwrap(), noise(DATA_BYTES));
    let public = format!("{}.pub", text(&key));
    let export = disk.join("export");
    let _ = shop.knit(&["audit", "verify", "--key", &public, "--checkpoint", text(&checkpoints), text(&export)]);
}

#[test]
fn a_profile_is_not_registered_where_the_disk_has_no_room_to_bind_a_directory_to_it() {
    let shop = Workshop::with(Setup::new().with_a_disk_beside_of(DISK_BYTES));
    let (profile, store) = (shop.new_path("profile"), shop.new_path("store"));
    fs::write(&profile, "apiRoot: http://127.0.0.1:1/api\n").unwrap();
    let init = || {
        let mut knit = shop.server.command_on_its_disk(&program::path("knit"));
        let ended = knit.arg("--profile-store").arg(&store).args(["--profile", "mine", "init"]).arg(&profile).output();
        let ended = ended.unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    let full = RoomTaken::on(&shop.server.disk_seen_by_it());
    let (code, told) = init();
    assert!(code == Some(1) && told.contains(".knitprofile`") && told.contains(MAKE_ROOM), "{code:?}: {told}");
    assert!(!store.exists(), "nothing was registered");
    drop(full);
    assert_eq!(init().0, Some(0));
    assert!(fs::read_to_string(&store).unwrap().contains("mine"));
}

fn pushed(shop: &Workshop) -> String {
    let source = shop.new_path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("noise"), noise(DATA_BYTES)).unwrap();
    shop.push_directory(&source, &["a:b"])
}

/// Repeats the checkpoint of a file until there is room for a part of the next in what the file has of the disk.
fn nearly_fill_a_block(file: &Path) {
    let one = fs::read(file).unwrap();
    let block = usize::try_from(statvfs(file).unwrap().fragment_size()).unwrap();
    fs::write(file, one.repeat(block / one.len())).unwrap();
    assert_ne!(block % one.len(), 0, "a part of one fits");
}

#[test]
fn whoever_prints_to_a_file_on_a_full_disk_is_told_so() {
    let shop = Workshop::open();
    let data = pushed(&shop);
    for words in [
        &["data", "find"][..],
        &["data", "pull", &data, "-"],
        &["events"],
        &["audit", "export"],
        &["plan", "template", "--scratch"],
        &["completion", "bash"],
        &["--help"],
    ] {
        let mut knit = Command::new(program::path("knit"));
        knit.args(words).env_clear().env("HOME", shop.server.desk()).current_dir(shop.server.desk());
        knit.env("KNIT_SERVER", format!("http://{}/api", shop.server.address())).stdin(Stdio::null());
        let full = OpenOptions::new().write(true).open(PathBuf::from("/dev/full")).unwrap();
        let ended = knit.stdout(full).output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{words:?}: {told}");
        for part in ["error: cannot write the output", "No space left on device", MAKE_ROOM] {
            assert!(told.contains(part), "{words:?} tells {part:?}: {told}");
        }
    }
}
