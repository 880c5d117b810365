//! The log is archived: sealed segments are copied to compressed files, which are verified without a server.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use knit_tests::archive::gzip;
use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;
use knit_tests::wait::{wait_for, wait_until};
use knit_tests::workshop::Workshop;
use serde_json::{Value, json};

use crate::importing::{digests, looking};
use crate::replaying::replayed;
use crate::verifying::{NOT_WHOLE, by_the_script, exported, text};

/// Events of a segment, so that a short history has several.
const SEGMENT: u64 = 10;

fn setup() -> Setup {
    Setup::new().option("--archive-segment", &SEGMENT.to_string())
}

/// A workshop whose log has so many segments, and some events more.
fn shop_of(setup: Setup, segments: u64) -> Workshop {
    let shop = Workshop::with(setup);
    let data = shop.push(&[("it", "x")], &["secret:whisper"]);
    grow(&shop, &data, segments * SEGMENT + 3);
    shop
}

/// Lets the log become so long.
fn grow(shop: &Workshop, data: &str, events: u64) {
    let http = shop.server.http();
    for n in 0.. {
        let answer = http.send_json("PUT", &format!("/api/data/{data}"), &json!({"add": [format!("n:{n}")]}));
        let position = answer.header("x-knit-position").expect("every answer carries its position");
        if position.parse::<u64>().expect("a position is a number") >= events {
            return;
        }
    }
}

fn archived(shop: &Workshop, directory: &Path) -> Value {
    shop.knit(&["admin", "archive", "--to", text(directory)]).json()
}

fn done(answer: &Value, what: &str) -> Vec<String> {
    let segments = answer["segments"].as_array().unwrap().iter();
    let names = segments.filter(|segment| segment["done"] == what).map(|segment| segment["file"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

/// The segments that are there, in order.
fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| text(path).ends_with(".pb.gz")).collect();
    found.sort();
    found
}

fn sealed_segments_are_copied_and_are_whole_without_a_server(setup: Setup) {
    let shop = shop_of(setup, 3);
    let directory = shop.new_path("archive");
    let answer = archived(&shop, &directory);
    let position = answer["position"].as_u64().unwrap();
    assert!(position == 3 * SEGMENT && answer["head"].as_u64() > Some(position), "{answer:#}");
    let names: Vec<_> =
        segments(&directory).iter().map(|path| text(path.file_name().unwrap().as_ref()).to_owned()).collect();
    assert_eq!(names[0], "events-000000000001-000000000010.pb.gz");
    assert_eq!(done(&answer, "written"), names);
    assert_eq!(fs::metadata(&segments(&directory)[0]).unwrap().mode() & 0o077, 0, "it holds what the log holds");

    // The archive is the log up to there, by our program and by a script of somebody else.
    let until = shop.new_path("until");
    let _ = shop.knit(&["audit", "export", "--until", &position.to_string(), "-o", text(&until)]);
    let (of_log, of_archive) = (verified(&shop, &[&until]), verified(&shop, &[&directory]));
    assert_eq!(of_archive, of_log);
    let files = segments(&directory);
    assert_eq!(verified(&shop, &[&files[2], &files[0], &files[1]]), of_log, "in whatever order they are named");
    let script = by_the_script(&[&directory]);
    let told = String::from_utf8_lossy(&script.stdout).into_owned();
    assert!(told.starts_with(&format!("{position} events, head {position}, chain ")), "{script:?}");

    // With what follows it is the whole log.
    let rest = shop.new_path("rest");
    let _ = shop.knit(&["audit", "export", "--after", &position.to_string(), "-o", text(&rest)]);
    assert_eq!(verified(&shop, &[&directory, &rest]), verified(&shop, &[]));
    let [events, head, chain] = verified(&shop, &[]);
    let told = format!("{events} events, head {head}, chain {}\n", chain.as_str().unwrap());
    assert_eq!(said_of_whole(&[&rest, &directory]), told);
    let behind = [&files[1], &files[2]].map(PathBuf::as_path);
    assert!(said_of_whole(&behind).ends_with("\nnot looked at: positions 1 to 10\n"));

    // What is there is checked, and not written again.
    let before = files.iter().map(|file| fs::metadata(file).unwrap().ino()).collect::<Vec<_>>();
    let again = archived(&shop, &directory);
    assert_eq!((&again["checked"], &again["segments"]), (&json!(3), &json!([])), "{again:#}");
    assert_eq!(files.iter().map(|file| fs::metadata(file).unwrap().ino()).collect::<Vec<_>>(), before);
    let _ = shop
        .knit(&["admin", "archive", "--to", text(&directory), "--output", "text"])
        .prints("in order as before: 3 segments\n");
}

/// What the script says of a history that it finds to be whole.
fn said_of_whole(words: &[&Path]) -> String {
    let script = by_the_script(words);
    assert!(script.status.success(), "{script:?}");
    String::from_utf8(script.stdout).unwrap()
}

#[test]
fn segments_whose_names_have_changed_places_are_not_in_order() {
    let shop = shop_of(setup(), 3);
    let directory = shop.new_path("archive");
    let _ = archived(&shop, &directory);
    let [first, second, third]: [PathBuf; 3] = segments(&directory).try_into().unwrap();
    let other = shop.new_path("other");
    fs::rename(&first, &other).unwrap();
    fs::rename(&second, &first).unwrap();
    fs::rename(&other, &second).unwrap();
    for named in [&[directory.as_path()][..], &[&first], &[&third, &second, &first]] {
        let words: Vec<_> = ["audit", "verify"].into_iter().chain(named.iter().map(|path| text(path))).collect();
        let refused = shop.refused(NOT_WHOLE, &words).tells("than its name says");
        let script = by_the_script(named);
        let told = String::from_utf8_lossy(&script.stderr).into_owned();
        assert_eq!((script.status.code(), told.lines().count()), (Some(1), 1), "{told}");
        assert!(refused.stderr.contains("position 1: ") && told.starts_with("position 1: "), "{refused} {told}");
    }
}

#[test]
fn a_flipped_bit_in_a_compressed_file_is_named_with_its_position_by_all() {
    let shop = shop_of(setup(), 3);
    let directory = shop.new_path("archive");
    let _ = archived(&shop, &directory);
    let (other, file) = (looking(Setup::new()), shop.new_path("damaged"));
    let export = fs::read(exported(&shop, "jsonl")).unwrap();
    let segment = fs::read(&segments(&directory)[1]).unwrap();
    let mut positions = Vec::new();
    for (whole, can_be_imported) in [(gzip(&export), true), (segment, false)] {
        for part in 2..8 {
            let at = whole.len() * part / 8;
            fs::write(&file, [&whole[..at], &[!whole[at]], &whole[at + 1..]].concat()).unwrap();
            let refused = shop.refused(NOT_WHOLE, &["audit", "verify", text(&file)]);
            let script = by_the_script(&[&file]);
            let told = String::from_utf8_lossy(&script.stderr).into_owned();
            let position = told.split(':').next().unwrap().to_owned();
            assert!(refused.stderr.contains(&format!("{position}: ")), "{refused} {told}");
            if can_be_imported {
                let _ = other.refused(NOT_WHOLE, &["audit", "import", text(&file)]).tells(&format!("{position}: "));
            }
            positions.push((can_be_imported, position.split(' ').nth(1).unwrap().parse::<u64>().unwrap()));
        }
    }
    let [of_export, of_segment]: [Vec<_>; 2] =
        [true, false].map(|of| positions.iter().filter(|(is, _)| *is == of).map(|(_, position)| *position).collect());
    assert!(of_export.is_sorted() && of_export[3] > 2, "{positions:?}");
    assert!(of_segment.iter().all(|position| *position > SEGMENT), "{positions:?}");
}

/// How many events there are, up to where, and the chain there.
fn verified(shop: &Workshop, files: &[&Path]) -> [Value; 3] {
    let words = [&["audit", "verify"][..], &files.iter().map(|file| text(file)).collect::<Vec<_>>()].concat();
    let told = shop.knit(&words).json();
    ["events", "position", "chain"].map(|field| told[field].clone())
}

#[test]
fn sealed_segments_are_copied_and_are_whole_without_a_server_on_sqlite() {
    sealed_segments_are_copied_and_are_whole_without_a_server(setup());
}

#[test]
fn sealed_segments_are_copied_and_are_whole_without_a_server_on_postgresql() {
    let database = TestDatabase::new();
    sealed_segments_are_copied_and_are_whole_without_a_server(setup().database(database.url()));
}

#[test]
fn a_checkpoint_holds_in_an_archive() {
    let shop = shop_of(setup(), 3);
    let (directory, key, signed) = (shop.new_path("archive"), shop.new_path("key"), shop.new_path("signed"));
    let _ = shop.knit(&["audit", "keygen", text(&key)]);
    let part = shop.new_path("part");
    let _ = shop.knit(&["audit", "export", "--until", "17", "-o", text(&part)]);
    let _ = shop.knit(&["audit", "checkpoint", "--key", text(&key), "--append", text(&signed), text(&part)]);
    let _ = archived(&shop, &directory);
    let public = format!("{}.pub", text(&key));
    let told = shop.knit(&["audit", "verify", "--checkpoint", text(&signed), "--key", &public, text(&directory)]);
    assert_eq!(told.json()["signed"]["position"], 17);
    assert!(by_the_script(&[&directory, &signed, Path::new(&public)]).status.success());
}

#[test]
fn a_file_that_is_cut_or_has_a_flipped_bit_is_found_and_left_as_it_is() {
    let shop = shop_of(setup(), 3);
    let directory = shop.new_path("archive");
    let _ = archived(&shop, &directory);
    let second = segments(&directory).swap_remove(1);
    let whole = fs::read(&second).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 16;
        bytes
    };
    for damaged in [whole[..whole.len() / 2].to_vec(), flipped(whole.len() / 2), flipped(whole.len() - 6), Vec::new()] {
        fs::write(&second, &damaged).unwrap();
        let refused = shop.refused(NOT_WHOLE, &["audit", "verify", text(&directory)]);
        let refused = refused.tells("events-000000000011-000000000020.pb.gz");
        let position = refused.stderr.split("position ").nth(1).unwrap().split(':').next().unwrap().to_owned();
        assert!((11..=21).contains(&position.parse::<u64>().unwrap()) || damaged.is_empty(), "{refused}");
        assert!(!by_the_script(&[&directory]).status.success());

        let refused = shop.refused(NOT_WHOLE, &["admin", "archive", "--to", text(&directory)]);
        assert_eq!(done(&refused.json(), "damaged"), ["events-000000000011-000000000020.pb.gz"]);
        assert_eq!(fs::read(&second).unwrap(), damaged);
    }
    fs::remove_file(&second).unwrap();
    let _ = shop
        .refused(NOT_WHOLE, &["audit", "verify", text(&directory)])
        .tells("position 11: positions 11 to 20 are missing: `");
    let script = by_the_script(&[&directory]);
    assert!(String::from_utf8_lossy(&script.stderr).starts_with("position 11: "), "{script:?}");
    assert_eq!(done(&archived(&shop, &directory), "written"), ["events-000000000011-000000000020.pb.gz"]);
    assert_eq!(fs::read(&second).unwrap(), whole, "a segment is written the same every time");
    let files = segments(&directory);
    let twice = ["audit", "verify", text(&files[0]), text(&files[1]), text(&files[1])];
    let _ = shop.refused(NOT_WHOLE, &twice).tells("positions 11 to 20 are told twice");
}

#[test]
fn a_damaged_file_that_may_hold_what_was_redacted_is_told_and_written_again() {
    let shop = shop_of(setup(), 2);
    let directory = shop.new_path("archive");
    let _ = archived(&shop, &directory);
    let _ = shop.knit(&["admin", "redact", "--tag", "secret:whisper", "--reason", "somebody asked for it", "--yes"]);
    let _ = archived(&shop, &directory);
    let first = segments(&directory).swap_remove(0);
    let whole = fs::read(&first).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 16;
    fs::write(&first, &flipped).unwrap();
    let told = shop.refused(NOT_WHOLE, &["admin", "archive", "--to", text(&directory)]);
    assert_eq!(done(&told.json(), "replaced"), ["events-000000000001-000000000010.pb.gz"]);
    let told = told.tells("1 file of the archive was damaged").tells("the archive is in order again");
    assert!(told.json()["segments"][0]["why"].as_str().is_some_and(|why| why.contains("position")), "{told}");
    assert!(shop.server.log().contains("was damaged, and is written again"), "{}", shop.server.log());
    assert_eq!(fs::read(&first).unwrap(), whole);
    assert_eq!(archived(&shop, &directory)["segments"], json!([]));
}

#[test]
fn a_server_archives_by_itself_as_segments_get_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("made/by/it");
    let mut shop = shop_of(setup().option("--archive-dir", text(&place)), 2);
    wait_until("two segments to be archived", || segments(&place).len() == 2);
    let data = shop.push(&[("it", "y")], &["more:of-it"]);
    grow(&shop, &data, 4 * SEGMENT + 3);
    wait_until("two more", || segments(&place).len() == 4);
    shop.server.kill();
    fs::remove_file(&segments(&place)[3]).unwrap();
    shop.server.start();
    wait_until("what was lost to be there again", || segments(&place).len() == 4);
    let doctor = shop.knit(&["admin", "doctor", "--output", "text"]);
    let _ = doctor.prints(&format!("archive: {} reaches to position {}", text(&place), 4 * SEGMENT));
    // Where it archives by itself is where it archives when it is told to.
    let told = wait_for("the server to have made the last name durable", || {
        Some(shop.user().run(["admin", "archive"])).filter(|told| told.code == 0)
    });
    assert_eq!(told.json()["checked"], 4);
    assert_eq!(verified(&shop, &[&place])[1], 4 * SEGMENT);
    assert!(shop.server.stop().success(), "{}", shop.server.log());
}

fn what_is_redacted_does_not_live_on_in_the_archive(setup: Setup) {
    let directory = tempfile::tempdir().unwrap();
    let by_itself = directory.path().join("by-itself");
    let shop = shop_of(setup.option("--archive-dir", text(&by_itself)), 2);
    let by_hand = directory.path().join("by-hand");
    let _ = archived(&shop, &by_hand);
    wait_until("it to be archived", || segments(&by_itself).len() == 2);
    let says_it = |directory: &Path| {
        let content = std::process::Command::new("zcat").args(segments(directory)).output().expect("zcat is there");
        assert!(content.status.success());
        String::from_utf8_lossy(&content.stdout).contains("whisper")
    };
    assert!(says_it(&by_itself) && says_it(&by_hand));

    let _ = shop.knit(&["admin", "redact", "--tag", "secret:whisper", "--reason", "somebody asked for it", "--yes"]);
    wait_until("the content to be gone", || !says_it(&by_itself));
    assert!(says_it(&by_hand), "nobody has archived there since");
    let answer = archived(&shop, &by_hand);
    let counts = |answer: &Value| [done(answer, "written").len(), done(answer, "rewritten").len()];
    assert_eq!((counts(&answer), &answer["checked"]), ([1, 1], &json!(1)), "{answer:#}");
    assert!(!says_it(&by_hand));
    assert_eq!(archived(&shop, &by_hand)["checked"], 3, "once is enough");

    // What admits it is in the archive as well, though its segment is not full.
    let position = answer["position"].as_u64().unwrap();
    assert!(position > 2 * SEGMENT && !position.is_multiple_of(SEGMENT), "{answer:#}");
    for directory in [&by_itself, &by_hand] {
        wait_until("it to be whole by itself", || {
            let words = ["audit", "verify", text(directory)];
            shop.user().run(words).code == 0
        });
        is_whole_by_itself(&shop, directory);
    }

    // It goes on from there, to the next place where a segment ends.
    let data = shop.push(&[("it", "y")], &["more:of-it"]);
    grow(&shop, &data, 4 * SEGMENT + 3);
    let goes_on = format!("events-{:012}-{:012}.pb.gz", position + 1, 3 * SEGMENT);
    assert_eq!(done(&archived(&shop, &by_hand), "written")[0], goes_on);
    assert_eq!(verified(&shop, &[&by_hand])[1], 4 * SEGMENT);
    wait_until("the server to go on as well", || segments(&by_itself).len() == 5);
    is_whole_by_itself(&shop, &by_itself);

    // A directory that has nothing yet is whole by itself, too; and so is one of which a file was lost.
    let anew = directory.path().join("anew");
    let _ = archived(&shop, &anew);
    is_whole_by_itself(&shop, &anew);
    fs::remove_file(&segments(&by_hand)[2]).unwrap();
    assert_eq!(done(&archived(&shop, &by_hand), "written").len(), 1);
    is_whole_by_itself(&shop, &by_hand);
}

/// The archive, without anything else, is verified by both programs, imported and replayed; and comes to what the log
/// comes to where it ends.
#[track_caller]
fn is_whole_by_itself(shop: &Workshop, directory: &Path) {
    let told = shop.knit(&["audit", "verify", text(directory)]).json();
    assert!(told["redacted"].as_u64() > Some(0), "{told:#}");
    let script = by_the_script(&[directory]);
    assert!(script.status.success(), "{script:?}");
    let until = told["position"].to_string();
    let of_log = replayed(&shop.knit(&["audit", "replay", "--until", &until]).json());
    assert_eq!(replayed(&shop.knit(&["audit", "replay", text(directory)]).json()), of_log);
    let database = TestDatabase::new();
    for setup in [Setup::new(), Setup::new().database(database.url())] {
        let there = looking(setup);
        assert_eq!(there.knit(&["audit", "import", text(directory)]).json()["redacted"], told["redacted"]);
        assert_eq!(digests(&there), of_log);
    }
}

#[test]
fn d15_where_an_admission_is_redacted_in_turn_the_archive_goes_on_to_the_next() {
    let shop = shop_of(setup(), 2);
    let directory = shop.new_path("archive");
    let data = shop.knit(&["data", "find", "-t", "secret:whisper"]).json()[0]["knitId"].as_str().unwrap().to_owned();
    let _ = shop.knit(&["data", "tag", "--add", "owner:first-word", "--add", "place:second-word", &data]);
    grow(&shop, &data, 3 * SEGMENT + 3);
    let mut reached = archived(&shop, &directory)["position"].as_u64();
    // One event says both, so what remains of it after the first says what the second takes out.
    for word in ["owner:first-word", "place:second-word"] {
        let _ = shop.knit(&["admin", "redact", "--yes", "--reason", "somebody asked for it", "--tag", word]);
        let answer = archived(&shop, &directory);
        assert!(answer["position"].as_u64() > reached, "{answer:#}");
        reached = answer["position"].as_u64();
        is_whole_by_itself(&shop, &directory);
        let content = std::process::Command::new("zcat").args(segments(&directory)).output().expect("zcat is there");
        assert!(!String::from_utf8_lossy(&content.stdout).contains(word.split_once(':').unwrap().1));
    }
    assert_eq!(reached, shop.knit(&["audit", "verify"]).json()["position"].as_u64(), "up to the last admission");
}

#[test]
fn a_directory_goes_on_in_segments_of_another_length() {
    let database = TestDatabase::new();
    let shop = shop_of(setup().database(database.url()), 3);
    let directory = shop.new_path("archive");
    let _ = archived(&shop, &directory);
    let data = shop.push(&[("it", "y")], &["more:of-it"]);
    grow(&shop, &data, 52);
    let other = Setup::new().database(database.url()).option("--archive-segment", "17").option("--role", "api").start();
    let told = other.knit().run(["admin", "archive", "--to", text(&directory)]).ok().json();
    let names = ["events-000000000031-000000000034.pb.gz", "events-000000000035-000000000051.pb.gz"];
    assert_eq!(done(&told, "written"), names);
    assert_eq!(verified(&shop, &[&directory])[1], 51);
    let twice = directory.join("events-000000000005-000000000008.pb.gz");
    fs::copy(&segments(&directory)[0], twice).unwrap();
    let _ = shop.refused(1, &["admin", "archive", "--to", text(&directory)]).tells("tell the same events");
}

#[test]
fn d15_what_is_redacted_does_not_live_on_in_the_archive_on_sqlite() {
    what_is_redacted_does_not_live_on_in_the_archive(setup());
}

#[test]
fn d15_what_is_redacted_does_not_live_on_in_the_archive_on_postgresql() {
    let database = TestDatabase::new();
    what_is_redacted_does_not_live_on_in_the_archive(setup().database(database.url()));
}

#[test]
fn an_archive_and_the_rest_are_imported_and_replayed_as_one_history() {
    let home = shop_of(setup(), 3);
    let (directory, rest) = (home.new_path("archive"), home.new_path("rest"));
    let _ = archived(&home, &directory);
    let _ = home.knit(&["audit", "export", "--after", &(3 * SEGMENT).to_string(), "-o", text(&rest)]);
    let there = looking(Setup::new());
    let second = segments(&directory).swap_remove(1);
    let kept = fs::read(&second).unwrap();
    fs::remove_file(&second).unwrap();
    let words = |verb| ["audit", verb, text(&directory), text(&rest)];
    for verb in ["import", "replay"] {
        let _ = there.refused(NOT_WHOLE, &words(verb)).tells("position 11: positions 11 to 20 are missing");
    }
    fs::write(&second, &kept[..kept.len() / 2]).unwrap();
    let _ = there.refused(NOT_WHOLE, &words("import")).tells("events-000000000011-000000000020.pb.gz");
    assert_eq!(there.knit(&["audit", "verify"]).json()["position"], 0, "nothing of it is taken");

    fs::write(&second, kept).unwrap();
    let _ = there.knit(&words("import"));
    assert_eq!(digests(&there), digests(&home));
    assert_eq!(fs::read(exported(&there, "proto")).unwrap(), fs::read(exported(&home, "proto")).unwrap());
    assert_eq!(replayed(&home.knit(&words("replay")).json()), digests(&home));
}

#[test]
fn what_cannot_be_archived_is_refused_and_nothing_is_written() {
    let shop = shop_of(setup(), 2);
    let (directory, other) = (shop.new_path("archive"), shop_of(setup(), 2));
    let _ = shop.refused(5, &["admin", "archive"]).tells("--archive-dir");
    let file = exported(&shop, "jsonl");
    let _ = shop.refused(1, &["admin", "archive", "--to", text(&file)]).tells("cannot make the directory");
    let _ = archived(&shop, &directory);
    let before = segments(&directory);
    let _ = other.refused(1, &["admin", "archive", "--to", text(&directory)]).tells("is of another log");
    let short = Workshop::with(Setup::new());
    let _ = short.refused(1, &["admin", "archive", "--to", text(&directory)]).tells("is of another log");
    assert_eq!(segments(&directory), before);
    let nothing = short.knit(&["admin", "archive", "--to", text(&short.new_path("empty")), "--output", "text"]);
    let _ = nothing.prints("nothing is archived yet in ");
    let empty = tempfile::tempdir().unwrap();
    let _ = shop.refused(2, &["audit", "verify", text(empty.path())]).tells("there are no segments of an archive");
}

#[test]
fn a_log_that_is_not_whole_is_not_archived() {
    let database = TestDatabase::new();
    let shop = shop_of(setup().database(database.url()), 2);
    let _ = database.run("UPDATE events SET salt = set_byte(salt, 3, get_byte(salt, 3) # 1) WHERE position = 14");
    let directory = shop.new_path("archive");
    let refused = shop.refused(8, &["admin", "archive", "--to", text(&directory)]);
    let _ = refused.tells("the log is not whole").tells("position 14: ").tells("hint: `knit audit verify`");
    assert_eq!(segments(&directory).len(), 1, "what is before it is archived");
    assert_eq!(verified(&shop, &[&directory])[1], SEGMENT);
}
