//! Archives on their way in, good and bad, and on their way out.

use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use bytes::Bytes;
use futures::{StreamExt, stream};
use knit_domain::id::VolumeRef;
use knit_runtime::Runtime;
use knit_runtime::archive::{BadArchive, Limits};
use knit_runtime::port::{ArchiveBody, ReceiveError};

use super::kit::{Archive, House, PATIENCE, body, gzip, header};

/// Everything of a pulled archive: name, type, mode, content or target.
type Listed = (Vec<u8>, u8, u32, Vec<u8>);

fn list(archive: &[u8]) -> Vec<Listed> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        entry.read_to_end(&mut content).unwrap();
        let (name, header) = (entry.path_bytes().into_owned(), entry.header());
        (name, header.entry_type().as_byte(), header.mode().unwrap(), content)
    });
    entries.collect()
}

async fn refusal(archive: Vec<u8>) -> BadArchive {
    refusal_with(Limits::default(), archive).await
}

/// The refusal of an archive, which must leave nothing behind.
async fn refusal_with(limits: Limits, archive: Vec<u8>) -> BadArchive {
    let house = House::open_with(|options| options.archive_limits = limits).await;
    let refused = match house.push("data", archive).await {
        Err(ReceiveError::Refused(bad)) => bad,
        other => panic!("{other:?}"),
    };
    assert!(house.nothing_incoming());
    assert!(!house.state().join("volumes/data").exists());
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_is_pulled() {
    let house = House::open().await;
    let long = [b"dir/".as_slice(), &[b'n'; 200], b"/", &[b'm'; 200]].concat();
    let archive = Archive::default()
        .file(b"./b.txt", b"beta")
        .entry(b'0', b"dir/run.sh", b"", 0o755, b"#!/bin/sh\n")
        .entry(b'0', b"dir/\xff\xfe not text", b"", 0o444, &[7; 100_000])
        .directory(b"dir/empty/")
        .symlink(b"dir/link", b"../b.txt")
        .hard_link(b"dir/twin", b"b.txt")
        .entry(b'L', b"././@LongLink", b"", 0, &[long.as_slice(), b"\0"].concat())
        .entry(b'0', b"cut off", b"", 0o4750, b"long")
        .end();
    let received = house.push("data", archive).await.unwrap();
    assert_eq!((received.entries, received.content_bytes), (7, 4 + 10 + 100_000 + 4 + 4));
    let expected: Vec<Listed> = vec![
        (b"b.txt".to_vec(), b'0', 0o644, b"beta".to_vec()),
        (b"dir/link".to_vec(), b'2', 0o777, b"../b.txt".to_vec()),
        (long, b'0', 0o750, b"long".to_vec()),
        (b"dir/run.sh".to_vec(), b'0', 0o755, b"#!/bin/sh\n".to_vec()),
        (b"dir/twin".to_vec(), b'0', 0o644, b"beta".to_vec()),
        (b"dir/\xff\xfe not text".to_vec(), b'0', 0o444, vec![7; 100_000]),
    ];
    assert_eq!(list(&house.pull("data").await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_data_is_read_only_and_keeps_its_times() {
    let house = House::open().await;
    let archive = Archive::default().entry(b'0', b"a/b", b"", 0o6777, b"x").symlink(b"a/l", b"b").end();
    house.push("data", archive).await.unwrap();
    let volume = house.state().join("volumes/data");
    for dir in [volume.clone(), volume.join("a")] {
        assert_eq!(fs::metadata(dir).unwrap().mode() & 0o7777, 0o555);
    }
    assert_eq!(fs::metadata(volume.join("a/b")).unwrap().mode() & 0o7777, 0o555);
    for name in ["a/b", "a/l"] {
        assert_eq!(fs::symlink_metadata(volume.join(name)).unwrap().mtime(), 1_700_000_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agt_10_an_empty_data_is_a_data() {
    let house = House::open().await;
    house.push("data", Archive::default().end()).await.unwrap();
    assert_eq!(list(&house.pull("data").await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_another_program_is_accepted() {
    let house = House::open().await;
    let made = tempfile::tempdir().unwrap();
    let long = ["n".repeat(60), "m".repeat(60)].join("/");
    fs::create_dir_all(made.path().join(&long)).unwrap();
    fs::write(made.path().join(&long).join("file"), "x").unwrap();
    for format in ["ustar", "pax", "gnu", "v7"] {
        if format == "v7" {
            // It has no long names at all.
            fs::rename(made.path().join(&long), made.path().join("short")).unwrap();
        }
        let tar = std::process::Command::new("tar")
            .args(["-c", "-z", "--format", format, "-C"])
            .arg(made.path())
            .arg(".")
            .output()
            .unwrap();
        house.push(format, tar.stdout).await.unwrap();
        assert_eq!(list(&house.pull(format).await).len(), 1, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_archive_is_refused() {
    let good = Archive::default().file(b"a", b"hello, hello").end();
    assert_eq!(refusal(Vec::new()).await, BadArchive::NotGzip);
    assert_eq!(refusal(b"hello".to_vec()).await, BadArchive::NotGzip);
    assert_eq!(refusal(good[..good.len() - 9].to_vec()).await, BadArchive::TruncatedGzip);
    assert_eq!(refusal([&good[..], b"more"].concat()).await, BadArchive::TrailingGarbage);
    assert_eq!(refusal(gzip(b"hello")).await, BadArchive::NotTar { entries: 0 });
    assert_eq!(refusal(gzip(&[b'x'; 4_096])).await, BadArchive::NotTar { entries: 0 });
    let mut changed = good.clone();
    let last = changed.len() - 6;
    changed[last] ^= 0x55;
    assert_eq!(refusal(changed).await, BadArchive::DamagedGzip);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_tar_is_refused() {
    let whole = Archive::default().file(b"first", b"1").file(b"second", &[2; 2_000]);
    for kept in [512 + 512 + 512 + 1_000, 512 + 512 + 100] {
        let cut = Archive { tar: whole.tar[..kept].to_vec() };
        assert!(matches!(refusal(cut.gzip()).await, BadArchive::TruncatedTar { .. }), "{kept}");
    }
    let long_name_of_nothing = Archive::default().entry(b'L', b"x", b"", 0, b"name\0");
    assert!(matches!(refusal(long_name_of_nothing.end()).await, BadArchive::TruncatedTar { .. }));
    let mut damaged = whole.clone();
    damaged.tar[1_024 + 5] ^= 1;
    assert_eq!(refusal(damaged.end()).await, BadArchive::NotTar { entries: 1 });
    let followed = Archive { tar: [whole.tar, vec![0; 1_024], vec![1; 512]].concat() };
    assert_eq!(refusal(followed.gzip()).await, BadArchive::TrailingGarbage);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_leave_the_data_are_refused() {
    let named = |name: &[u8]| Archive::default().file(b"good", b"").file(name, b"evil").end();
    assert!(matches!(refusal(named(b"/etc/evil")).await, BadArchive::AbsoluteName { .. }));
    assert!(matches!(refusal(named(b"../evil")).await, BadArchive::ParentInName { .. }));
    assert!(matches!(refusal(named(b"a/../../evil")).await, BadArchive::ParentInName { .. }));
    assert!(matches!(refusal(named(b"")).await, BadArchive::ImpossibleName { .. }));
    assert!(matches!(refusal(named(b".")).await, BadArchive::ImpossibleName { .. }));
    let pax = Archive::default().entry(b'x', b"pax", b"", 0, b"17 path=../evil2\n").file(b"harmless", b"evil").end();
    assert!(matches!(refusal(pax).await, BadArchive::ParentInName { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_leave_the_data_are_refused() {
    let linked = |name: &[u8], target: &[u8]| Archive::default().symlink(name, target).end();
    for (name, target) in
        [("l", "/etc/passwd"), ("l", ".."), ("a/l", "../../x"), ("a/l", "b/../../../x"), ("l", "a/..")]
    {
        let refused = refusal(linked(name.as_bytes(), target.as_bytes())).await;
        assert!(matches!(refused, BadArchive::LinkLeaves { .. }), "{name} -> {target}: {refused}");
    }
    let hard = |target: &[u8]| Archive::default().file(b"a", b"").symlink(b"s", b"a").hard_link(b"h", target).end();
    for target in [&b"/etc/passwd"[..], b"../x", b"nothing", b"", b"s"] {
        assert!(matches!(refusal(hard(target)).await, BadArchive::HardLinkToNothing { .. }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_through_a_link() {
    let through = Archive::default().directory(b"d").symlink(b"l", b"d").file(b"l/evil", b"x").end();
    assert!(matches!(refusal(through).await, BadArchive::BeneathLink { .. }));
    let dangling = Archive::default().symlink(b"l", b"elsewhere").file(b"l", b"x").end();
    assert!(matches!(refusal(dangling).await, BadArchive::Duplicate { .. }));
    let hard_through = Archive::default().file(b"d/a", b"").symlink(b"l", b"d").hard_link(b"h", b"l/a").end();
    assert!(matches!(refusal(hard_through).await, BadArchive::HardLinkToNothing { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_occurs_twice_is_refused() {
    let twice = Archive::default().file(b"a", b"1").file(b"./a", b"2").end();
    assert!(matches!(refusal(twice).await, BadArchive::Duplicate { .. }));
    let both = Archive::default().file(b"a", b"1").file(b"a/b", b"2").end();
    assert!(matches!(refusal(both).await, BadArchive::Duplicate { .. }));
    let replaced = Archive::default().file(b"a/b", b"1").file(b"a", b"2").end();
    assert!(matches!(refusal(replaced).await, BadArchive::Duplicate { .. }));
    let over_a_file = Archive::default().file(b"a", b"1").directory(b"a").end();
    assert!(matches!(refusal(over_a_file).await, BadArchive::Duplicate { .. }));
    let house = House::open().await;
    let directories = Archive::default().directory(b"a/").file(b"a/b", b"").directory(b"a").end();
    house.push("data", directories).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_neither_file_nor_link_is_refused() {
    for (kind, word) in [(b'3', "a device"), (b'4', "a device"), (b'6', "a FIFO"), (b'S', "sparse"), (b'V', "unknown")]
    {
        let refused = refusal(Archive::default().entry(kind, b"thing", b"", 0o644, b"").end()).await;
        assert!(matches!(refused, BadArchive::Unsupported { .. }) && refused.to_string().contains(word), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_refused_before_they_go_off() {
    let limits = Limits { unpacked_bytes_max: 1 << 20, entries_max: 10, name_bytes_max: 100 };
    let zeros = Archive::default().file(b"zeros", &vec![0; 2 << 20]).end();
    assert_eq!(refusal_with(limits, zeros).await, BadArchive::TooLarge { bytes_max: 1 << 20 });
    let mut claimed = Archive::default();
    claimed.tar.extend_from_slice(header(b'0', b"claimed", b"", 0o644, 1 << 32).as_bytes());
    assert_eq!(refusal_with(limits, claimed.gzip()).await, BadArchive::TooLarge { bytes_max: 1 << 20 });
    let padding = Archive { tar: vec![0; 2 << 20] };
    assert_eq!(refusal_with(limits, padding.gzip()).await, BadArchive::TooLarge { bytes_max: 1 << 20 });
    let many = (0..11).fold(Archive::default(), |archive, i| archive.file(format!("f{i}").as_bytes(), b"")).end();
    assert_eq!(refusal_with(limits, many).await, BadArchive::TooManyEntries { entries_max: 10 });
    let deep = Archive::default().file(&b"d/".repeat(20), b"").file(&[&b"e/".repeat(20)[..], b"f"].concat(), b"");
    assert_eq!(refusal_with(limits, deep.end()).await, BadArchive::TooManyEntries { entries_max: 10 });
    let links = (0..9).fold(Archive::default().file(b"big", &vec![1; 300_000]), |archive, i| {
        archive.hard_link(format!("l{i}").as_bytes(), b"big")
    });
    assert_eq!(refusal_with(limits, links.end()).await, BadArchive::TooLarge { bytes_max: 1 << 20 });
    let mut endless_name = Archive::default();
    endless_name.tar.extend_from_slice(header(b'L', b"x", b"", 0, 1 << 33).as_bytes());
    assert!(matches!(refusal_with(limits, endless_name.gzip()).await, BadArchive::NameTooLong { .. }));
    let long = Archive::default().entry(b'L', b"x", b"", 0, &b"abc/".repeat(50)).file(b"x", b"").end();
    assert!(matches!(refusal_with(limits, long).await, BadArchive::NameTooLong { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_vanishes_leaves_nothing() {
    let house = House::open().await;
    let archive = Archive::default().file(b"a", &[5; 50_000]).end();
    let half = Bytes::copy_from_slice(&archive[..archive.len() / 2]);
    let broken: ArchiveBody = Box::pin(stream::iter([Ok(half), Err("connection reset".into())]));
    let outcome = house.runtime.receive(&VolumeRef("data".into()), broken).await.map(drop);
    assert!(matches!(outcome, Err(ReceiveError::BrokenOff(_))), "{outcome:?}");
    assert!(house.nothing_incoming());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_dropped_half_way_leaves_nothing() {
    let house = House::open().await;
    let archive = Archive::default().file(b"a", &[5; 50_000]).end();
    let half = Bytes::copy_from_slice(&archive[..archive.len() / 2]);
    let hangs: ArchiveBody = Box::pin(stream::iter([Ok(half)]).chain(stream::pending()));
    let volume = VolumeRef("data".into());
    {
        let request = house.runtime.receive(&volume, hangs);
        let unpacking = async {
            while house.nothing_incoming() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = request => panic!("it must hang"),
            () = unpacking => {}
        }
    }
    tokio::time::timeout(PATIENCE, async {
        while !house.nothing_incoming() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    house.push("data", archive).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_invisible_until_it_is_committed_and_can_be_discarded() {
    let house = House::open().await;
    let volume = VolumeRef("data".into());
    let archive = Archive::default().file(b"a", b"1").end();
    let incoming = house.runtime.receive(&volume, body(&archive)).await.unwrap();
    assert_eq!(incoming.received().md5, super::kit::md5_of(&archive));
    assert!(house.runtime.send(&volume).await.is_err());
    let second = house.runtime.receive(&volume, body(&archive)).await.map(drop);
    assert!(matches!(second, Err(ReceiveError::Exists { .. })), "{second:?}");
    incoming.discard().await.unwrap();
    assert!(house.nothing_incoming());
    house.push("data", archive.clone()).await.unwrap();
    let third = house.push("data", archive).await;
    assert!(matches!(third, Err(ReceiveError::Exists { .. })), "{third:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_files_of_a_worker_are_sent_as_far_as_they_can_be() {
    let house = House::open().await;
    house.prepare("out").await;
    let out = house.state().join("open/out");
    fs::create_dir(out.join("empty")).unwrap();
    let odd = PathBuf::from(std::ffi::OsString::from_vec(b"\xff\n".to_vec()));
    fs::write(out.join(&odd), "odd").unwrap();
    std::os::unix::fs::symlink("/anywhere/../else", out.join("link")).unwrap();
    std::os::unix::net::UnixListener::bind(out.join("socket")).unwrap();
    fs::set_permissions(out.join(&odd), fs::Permissions::from_mode(0o640)).unwrap();
    let expected: Vec<Listed> = vec![
        (b"link".to_vec(), b'2', 0o777, b"/anywhere/../else".to_vec()),
        (odd.as_os_str().as_bytes().to_vec(), b'0', 0o640, b"odd".to_vec()),
    ];
    assert_eq!(list(&house.pull("out").await), expected);
    house.runtime.seal_volume(&VolumeRef("out".into())).await.unwrap();
    assert_eq!(list(&house.pull("out").await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_a_volume_that_is_taken_away_does_not_end_properly() {
    let house = House::open().await;
    // More than the channel holds, and not compressible: the packing must wait for its reader.
    let noise: Vec<u8> = (0..4_000_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    house.push("data", Archive::default().file(b"a", &noise).file(b"b", b"x").end()).await.unwrap();
    let volume = VolumeRef("data".into());
    let stream = house.runtime.send(&volume).await.unwrap();
    house.runtime.destroy_volume(&volume).await.unwrap();
    let parts: Vec<_> = stream.collect().await;
    assert!(parts.last().unwrap().is_err());
}
