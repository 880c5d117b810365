//! The head of the log is signed with a key that is kept elsewhere: a history that was rewritten with every hash
//! computed anew is whole, and yet found out. By `knit`, and by a script that has only the public key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use knit_tests::cli::Outcome;
use knit_tests::postgres::TestDatabase;
use knit_tests::program;
use knit_tests::server::Setup;
use knit_tests::workshop::Workshop;

use crate::verifying::{NOT_WHOLE, by_the_script, exported, in_python, text, with_a_history};

/// How `knit` ends where there is nothing to trust, though the history may be whole.
const FAILED: i32 = 1;

/// Somebody who signs: where the two keys are.
struct Signer {
    private: PathBuf,
    public: PathBuf,
}

fn signer(shop: &Workshop) -> Signer {
    let private = shop.new_path("key");
    let _ = shop.knit(&["audit", "keygen", text(&private)]);
    let public = private.with_file_name(format!("{}.pub", private.file_name().unwrap().to_str().unwrap()));
    Signer { private, public }
}

/// Signs the head behind what `file` holds; answers the position.
fn sign(shop: &Workshop, by: &Signer, file: &Path) -> u64 {
    let _ = shop.knit(&["audit", "checkpoint", "--key", text(&by.private), "--append", text(file)]);
    let told = fs::read_to_string(file).unwrap();
    told.lines().rev().find_map(|line| line.strip_prefix("position ")).unwrap().parse().unwrap()
}

/// Something happens.
fn happens(shop: &Workshop) {
    let _ = shop.push(&[("it", "y")], &["more:of it"]);
}

/// `audit verify` of an export, or of the server, against a file of checkpoints.
fn words<'w>(export: Option<&'w Path>, file: &'w Path, keys: &[&'w Path]) -> Vec<&'w str> {
    let mut words = vec!["audit", "verify", "--checkpoint", text(file)];
    words.extend(keys.iter().flat_map(|key| ["--key", text(key)]));
    words.extend(export.map(text));
    words
}

#[track_caller]
fn holds(shop: &Workshop, export: Option<&Path>, file: &Path, keys: &[&Path]) -> (u64, u64) {
    let signed = &shop.knit(&words(export, file, keys)).json()["signed"];
    (signed["checkpoints"].as_u64().unwrap(), signed["position"].as_u64().unwrap())
}

#[track_caller]
fn is_refused(shop: &Workshop, code: i32, export: Option<&Path>, file: &Path, keys: &[&Path]) -> Outcome {
    shop.refused(code, &words(export, file, keys))
}

/// What the script says of an export and checkpoints.
fn script(export: &Path, file: &Path, keys: &[&Path]) -> (bool, String) {
    let output = by_the_script(&[&[export, file], keys].concat());
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}

/// Somebody else did it, and every hash from there on is computed anew.
const REWRITE: &str = r#"
import sqlite3, sys
from verify_export import leaf_of, link
log, position = sqlite3.connect(sys.argv[1]), int(sys.argv[2])
chain, = log.execute("SELECT chain FROM events WHERE position = ?", (position - 1,)).fetchone()
columns = ["position", "event_id", "aggregate_type", "aggregate_id", "sequence", "event_type", "event_version",
           "payload", "metadata", "recorded_at", "salt"]
names = ["position", "eventId", "streamType", "streamId", "sequence", "eventType", "eventVersion",
         "payload", "metadata", "recordedAtMs", "salt"]
rows = log.execute(f"SELECT {', '.join(columns)} FROM events WHERE position >= ? ORDER BY position", (position,))
for row in rows.fetchall():
    event = {name: value.encode() if isinstance(value, str) else value for name, value in zip(names, row)}
    if event["position"] == position:
        event["metadata"] = event["metadata"].replace(b'"actor":"', b'"actor":"somebody-')
    event["leaf"] = leaf_of(event)
    chain = link(chain, event)
    log.execute("UPDATE events SET metadata = ?, leaf = ?, chain = ? WHERE position = ?",
                (event["metadata"].decode(), event["leaf"], chain, event["position"]))
log.execute("UPDATE head SET chain = ?", (chain,))
log.commit()
"#;

#[test]
fn a_rewritten_tail_with_a_recomputed_chain_is_whole_but_not_as_signed() {
    let mut shop = with_a_history(Setup::new());
    let (signer, file) = (signer(&shop), shop.new_path("signed"));
    let first = sign(&shop, &signer, &file);
    happens(&shop);
    let second = sign(&shop, &signer, &file);
    happens(&shop);
    let keys = [signer.public.as_path()];
    assert!(first < second);
    assert_eq!(holds(&shop, None, &file, &keys), (2, second));

    let _ = shop.server.stop();
    in_python(REWRITE, &[text(&shop.server.state_dir().join("knitfab.db")), &(first + 1).to_string()]);
    shop.server.start();
    let export = exported(&shop, "jsonl");
    assert!(fs::read_to_string(&export).unwrap().contains("somebody"));
    for whole in [&["audit", "verify"][..], &["audit", "verify", text(&export)]] {
        assert!(shop.knit(whole).json()["position"].as_u64().unwrap() > second);
    }
    for export in [None, Some(export.as_path())] {
        let refused = is_refused(&shop, NOT_WHOLE, export, &file, &keys);
        let _ = refused.tells(&format!("position {second}: the chain is not the one that was signed at "));
    }
    let (is_trusted, told) = script(&export, &file, &keys);
    let expected = format!("position {second}: not as signed; something behind position {first} was rewritten");
    assert!(!is_trusted && told.contains(&expected), "{told}");

    let signed = fs::read(&file).unwrap();
    let again = ["audit", "checkpoint", "--key", text(&signer.private), "--append", text(&file)];
    let _ = shop.refused(NOT_WHOLE, &again).tells(&format!("something behind position {first} was rewritten"));
    assert_eq!(fs::read(&file).unwrap(), signed, "what is not as it was is not signed again");
}

#[test]
fn a_log_that_lost_its_end_and_another_log_are_not_as_signed() {
    let shop = with_a_history(Setup::new());
    let (signer, file) = (signer(&shop), shop.new_path("signed"));
    let position = sign(&shop, &signer, &file);
    let keys = [signer.public.as_path()];
    let short = shop.new_path("short");
    let until = (position - 1).to_string();
    let _ = shop.knit(&["audit", "export", "--until", &until, "-o", text(&short)]);
    let _ =
        is_refused(&shop, NOT_WHOLE, Some(&short), &file, &keys).tells(&format!("position {position}: it is missing"));
    assert!(script(&short, &file, &keys).1.contains(&format!("position {position}: missing")));
    let of_file = is_refused(&shop, NOT_WHOLE, Some(&short), &file, &keys);
    let _ = of_file.tells("verify them together with what follows, or export the log again");

    let other = with_a_history(Setup::new());
    let export = exported(&other, "proto");
    let _ =
        is_refused(&shop, NOT_WHOLE, Some(&export), &file, &keys).tells("position 1: the first event is not the one");
    assert!(script(&export, &file, &keys).1.contains("position 1: this is another log"));
}

#[test]
fn an_export_of_a_part_is_held_against_what_lies_in_it_and_is_not_signed() {
    let shop = with_a_history(Setup::new());
    let (signer, file) = (signer(&shop), shop.new_path("signed"));
    let position = sign(&shop, &signer, &file);
    happens(&shop);
    let keys = [signer.public.as_path()];
    let part = |after: u64| {
        let export = shop.new_path("part");
        fs::write(&export, shop.server.http().get(&format!("/api/events/export?after={after}")).body).unwrap();
        export
    };
    for after in [position - 1, position] {
        assert_eq!(holds(&shop, Some(&part(after)), &file, &keys), (1, position));
        assert!(script(&part(after), &file, &keys).1.contains("1 of 1 checkpoints hold"));
    }
    let rest = part(position + 1);
    let _ = is_refused(&shop, FAILED, Some(&rest), &file, &keys).tells("no checkpoint lies within this export");
    assert!(!script(&rest, &file, &keys).0);
    let sign = ["audit", "checkpoint", "--key", text(&signer.private), text(&rest)];
    let _ = shop.refused(FAILED, &sign).tells("only a whole log can be signed");
}

#[test]
fn only_those_who_are_trusted_count_and_one_key_follows_another() {
    let database = TestDatabase::new();
    let shop = with_a_history(Setup::new().database(database.url()));
    let [old, new] = [signer(&shop), signer(&shop)];
    let file = shop.new_path("signed");
    let _ = sign(&shop, &old, &file);
    happens(&shop);
    let position = sign(&shop, &new, &file);
    let export = exported(&shop, "jsonl");

    let both = shop.new_path("both.pub");
    fs::write(&both, [fs::read(&old.public).unwrap(), fs::read(&new.public).unwrap()].concat()).unwrap();
    for keys in [&[old.public.as_path(), new.public.as_path()][..], &[both.as_path()]] {
        assert_eq!(holds(&shop, None, &file, keys), (2, position));
    }
    for keys in [&[old.public.as_path(), &new.public][..], &[&both]] {
        assert!(script(&export, &file, keys).1.contains("2 of 2 checkpoints hold"));
    }
    let [at_checkpoints, at_key] = ["--checkpoints", "--key"].map(Path::new);
    let by_option = by_the_script(&[at_checkpoints, &file, &export, at_key, &both]);
    assert!(String::from_utf8_lossy(&by_option.stdout).ends_with("\n2 of 2 checkpoints hold\n"), "{by_option:?}");
    let _ = is_refused(&shop, FAILED, Some(&export), &file, &[&new.public]).tells("which is none of those given");
    assert!(script(&export, &file, &[&new.public]).1.contains("not signed with a trusted key"));

    let forged = shop.new_path("forged");
    let told = fs::read_to_string(&file).unwrap();
    fs::write(&forged, told.replacen(&format!("position {position}\n"), "position 2\n", 1)).unwrap();
    let refused = is_refused(&shop, NOT_WHOLE, Some(&export), &forged, &[&both]);
    let _ = refused.tells("the checkpoint of position 2 in ").tells("it was changed");
    assert!(
        script(&export, &forged, &[&old.public, &new.public]).1.contains("position 2: the checkpoint is not signed")
    );
}

/// Runs OpenSSL, which must succeed; answers what it printed.
fn openssl(words: &[&str]) -> String {
    let output = Command::new("openssl").args(words).output().expect("openssl can be started");
    assert!(output.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn openssl_reads_the_keys_of_knit_and_knit_those_of_openssl() {
    let shop = with_a_history(Setup::new());
    let ours = signer(&shop);
    assert_eq!(openssl(&["pkey", "-in", text(&ours.private), "-pubout"]), fs::read_to_string(&ours.public).unwrap());

    let [private, public, file] = ["key", "key.pub", "signed"].map(|name| shop.new_path(name));
    let _ = openssl(&["genpkey", "-algorithm", "ed25519", "-out", text(&private)]);
    let _ = openssl(&["pkey", "-in", text(&private), "-pubout", "-out", text(&public)]);
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).unwrap();
    let theirs = Signer { private, public };
    let position = sign(&shop, &theirs, &file);
    assert_eq!(holds(&shop, None, &file, &[&theirs.public]), (1, position));

    // As the description has it, word for word.
    let description = fs::read_to_string(crate::architecture::root().join("schemas/checkpoint.md")).unwrap();
    let commands = description.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let commands = commands.replace("CHECKPOINT", text(&file)).replace("auditor.pub", text(&theirs.public));
    let verified = Command::new("sh").args(["-ec", &commands]).current_dir(shop.server.desk()).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    assert!(script(&exported(&shop, "proto"), &file, &[&theirs.public]).0);
}

#[test]
fn what_cannot_be_signed_or_trusted_is_refused_and_changes_nothing() {
    let shop = with_a_history(Setup::new());
    let (signer, file) = (signer(&shop), shop.new_path("signed"));
    let sign = |key: &Path, words: &[&str]| {
        let words = [&["audit", "checkpoint", "--append", text(&file), "--key", text(key)], words].concat();
        let refused = shop.user().run(&words);
        assert!(!file.exists(), "{refused}");
        refused
    };
    let _ = sign(&signer.public, &[]).ended(FAILED).tells("holds no private Ed25519 key");
    let _ = sign(Path::new("no-such-key"), &[]).ended(FAILED).tells("cannot read `no-such-key`");
    let _ = shop.refused(FAILED, &["audit", "keygen", text(&signer.private)]).tells("cannot write");
    let damaged = shop.new_path("damaged");
    let export = fs::read_to_string(exported(&shop, "jsonl")).unwrap();
    fs::write(&damaged, export.replacen("anonymous", "somebody", 1)).unwrap();
    let _ = sign(&signer.private, &[text(&damaged)]).ended(NOT_WHOLE).tells("the history is not whole");
    fs::set_permissions(&signer.private, fs::Permissions::from_mode(0o644)).unwrap();
    let _ = sign(&signer.private, &[]).ended(FAILED).tells("is open to others").tells("chmod 600");

    for (text_of_file, told) in [("", "holds no checkpoint"), ("hello\n", "line 1: expected `knitfab checkpoint 1`")] {
        fs::write(&file, text_of_file).unwrap();
        let _ = is_refused(&shop, FAILED, None, &file, &[&signer.public]).tells(told);
    }
    let _ = is_refused(&shop, FAILED, None, &file, &[&file]).tells("holds no public Ed25519 key");
}

/// Runs `knit` where no file may grow, as on a full disk: answers whether it succeeded.
fn on_a_full_disk(words: &[&str]) -> bool {
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "bash"]).arg(program::path("knit")).args(words);
    command.env_clear().env("HOME", "/").output().expect("bash can be started").status.success()
}

#[test]
fn what_cannot_be_written_leaves_nothing_that_is_in_the_way() {
    let shop = with_a_history(Setup::new());
    let (key, file, export) = (shop.new_path("key"), shop.new_path("signed"), exported(&shop, "jsonl"));
    assert!(!on_a_full_disk(&["audit", "keygen", text(&key)]) && !key.exists());
    let _ = shop.knit(&["audit", "keygen", text(&key)]);
    let again = shop.refused(FAILED, &["audit", "keygen", text(&key)]).tells("nothing is replaced");
    assert!(again.stderr.contains("File exists"), "{again}");
    let sign = ["audit", "checkpoint", "--key", text(&key), "--append", text(&file), text(&export)];
    assert!(!on_a_full_disk(&sign) && !file.exists());
    let _ = shop.knit(&sign);
    let before = fs::read(&file).unwrap();
    assert!(!on_a_full_disk(&sign));
    assert_eq!(fs::read(&file).unwrap(), before);
}
