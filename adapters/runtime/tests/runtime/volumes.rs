//! The life of a volume.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use knit_domain::id::{KnitId, VolumeRef};
use knit_runtime::Runtime;
use knit_runtime::port::ReadError;
use rustix::fs::XattrFlags;
use uuid::Uuid;

use super::kit::{Archive, House};

fn volume() -> VolumeRef {
    VolumeRef("data".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn vol_02_a_volume_that_exists_is_prepared_again() {
    let house = House::open().await;
    house.prepare("data").await;
    fs::write(house.state().join("open/data/kept"), "x").unwrap();
    house.prepare("data").await;
    assert!(house.state().join("open/data/kept").exists());
    house.runtime.seal_volume(&volume()).await.unwrap();
    house.prepare("data").await;
    assert!(!house.state().join("open/data").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_volume_is_read_only_and_is_sealed_again() {
    let house = House::open().await;
    house.prepare("data").await;
    let open = house.state().join("open/data");
    fs::create_dir_all(open.join("closed/inner")).unwrap();
    fs::write(open.join("closed/inner/tool"), "x").unwrap();
    fs::set_permissions(open.join("closed/inner/tool"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::set_permissions(open.join("closed/inner"), fs::Permissions::from_mode(0o000)).unwrap();
    symlink("/etc", open.join("link")).unwrap();
    for _again in 0..2 {
        house.runtime.seal_volume(&volume()).await.unwrap();
    }
    let sealed = house.state().join("volumes/data");
    for (path, mode) in [("", 0o555), ("closed", 0o555), ("closed/inner", 0o555), ("closed/inner/tool", 0o511)] {
        assert_eq!(fs::metadata(sealed.join(path)).unwrap().mode() & 0o7777, mode, "{path}");
    }
    assert!(!open.exists());
    assert!(fs::metadata("/etc").unwrap().mode() & 0o200 != 0);
}

/// What a Worker leaves: files of several modes, one of them with two names, and a copy of an input with its note.
fn leave_files(open: &Path) {
    for (name, mode) in MODES {
        fs::write(open.join(name), "x").unwrap();
        if name == "copied" {
            let note = c"user.knitfab.write-bits";
            rustix::fs::setxattr(open.join(name), note, b"20", XattrFlags::empty()).unwrap();
        }
        fs::set_permissions(open.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::hard_link(open.join("kept"), open.join("too")).unwrap();
}

const MODES: [(&str, u32); 7] = [
    ("copied", 0o644),
    ("kept", 0o444),
    ("odd", 0o464),
    ("plain", 0o644),
    ("secret", 0o600),
    ("shared", 0o664),
    ("tool", 0o755),
];

#[tokio::test(flavor = "multi_thread")]
async fn sealing_that_is_broken_off_and_done_again_changes_nothing_of_what_a_worker_made() {
    let house = House::open().await;
    house.prepare("data").await;
    let (open, in_the_way) = (house.state().join("open/data"), house.state().join("volumes/data"));
    leave_files(&open);
    fs::write(&in_the_way, "").unwrap();
    for _again in 0..2 {
        assert!(house.runtime.seal_volume(&volume()).await.is_err());
        // A pass that ended between two steps leaves write bits that it borrowed, or has taken others already.
        for (name, mode) in [("kept", 0o644), ("odd", 0o664), ("tool", 0o555), ("secret", 0o400)] {
            fs::set_permissions(open.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    fs::remove_file(&in_the_way).unwrap();
    house.runtime.seal_volume(&volume()).await.unwrap();
    let pulled = modes(&house.pull("data").await);
    let wanted = MODES.into_iter().chain([("too", 0o444)]);
    assert_eq!(pulled, wanted.map(|(name, mode)| (name.to_owned(), mode)).collect());
    assert_eq!(fs::read_dir(house.state().join("open")).unwrap().count(), 0, "no note is left");
}

/// Each file of an archive with its mode.
fn modes(archive: &[u8]) -> BTreeMap<String, u32> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = archive.entries().unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_noted_of_a_volume_goes_with_it() {
    let house = House::open().await;
    let in_the_way = house.state().join("volumes/data");
    house.prepare("data").await;
    fs::write(house.state().join("open/data/kept"), "x").unwrap();
    fs::set_permissions(house.state().join("open/data/kept"), fs::Permissions::from_mode(0o444)).unwrap();
    fs::write(&in_the_way, "").unwrap();
    assert!(house.runtime.seal_volume(&volume()).await.is_err());
    assert_eq!(fs::read_dir(house.state().join("open")).unwrap().count(), 2, "the volume and its note");
    house.runtime.destroy_volume(&volume()).await.unwrap();
    assert_eq!(fs::read_dir(house.state().join("open")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_its_worker_closed_is_sealed_and_destroyed_all_the_same() {
    let house = House::open().await;
    for mode in [0o000, 0o555] {
        for sealed in [true, false] {
            house.prepare("data").await;
            let open = house.state().join("open/data");
            fs::write(open.join("it"), "x").unwrap();
            fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
            if sealed {
                house.runtime.seal_volume(&volume()).await.unwrap();
                assert_eq!(modes(&house.pull("data").await).len(), 1, "{mode:o}");
            }
            house.runtime.destroy_volume(&volume()).await.unwrap();
            assert!(!open.exists() && !house.state().join("volumes/data").exists(), "{mode:o}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_or_reading_what_is_not_there_says_so() {
    let house = House::open().await;
    assert!(matches!(house.runtime.seal_volume(&volume()).await, Err(ReadError::Missing { .. })));
    assert!(matches!(house.runtime.send(&volume()).await.map(drop), Err(ReadError::Missing { .. })));
    assert!(matches!(house.runtime.log_sha256(&volume()).await, Err(ReadError::Missing { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn destroying_follows_no_link_and_stops_at_nothing() {
    let house = House::open().await;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "x").unwrap();
    for sealed in [false, true] {
        house.prepare("data").await;
        let open = house.state().join("open/data");
        fs::create_dir_all(open.join("a/b")).unwrap();
        fs::write(open.join("a/b/file"), "x").unwrap();
        symlink(outside.path(), open.join("a/link")).unwrap();
        fs::set_permissions(open.join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        if sealed {
            house.runtime.seal_volume(&volume()).await.unwrap();
        }
        for _again in 0..2 {
            house.runtime.destroy_volume(&volume()).await.unwrap();
        }
        assert!(!open.exists() && !house.state().join("volumes/data").exists());
        assert!(house.nothing_incoming());
    }
    assert!(outside.path().join("precious").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_server_did_not_survive_is_gone() {
    let house = House::open().await;
    house.push("kept", Archive::default().file(b"a", b"1").end()).await.unwrap();
    house.prepare("open").await;
    let half = house.state().join("incoming/half/dir");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("file"), "x").unwrap();
    fs::set_permissions(&half, fs::Permissions::from_mode(0o500)).unwrap();
    let house = house.restart().await;
    assert!(house.nothing_incoming());
    assert!(house.state().join("volumes/kept/a").exists() && house.state().join("open/open").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_elsewhere_are_not_used() {
    let house = House::open().await;
    for bad in ["../x", "", "..", "a/b"] {
        let volume = VolumeRef(bad.into());
        assert!(house.runtime.prepare_volume(&volume, KnitId(Uuid::nil())).await.is_err(), "{bad}");
        assert!(house.runtime.destroy_volume(&volume).await.is_err(), "{bad}");
    }
}
