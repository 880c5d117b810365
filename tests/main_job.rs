//! The main job: Data go in, Runs start by themselves, feed each other and finish, and the result comes out
//! together with where it came from.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use knit_tests::cli::Knit;
use knit_tests::plans::PlanFile;
use knit_tests::postgres::TestDatabase;
use knit_tests::proxy::Witness;
use knit_tests::server::Setup;
use knit_tests::workshop::{Workshop, id_of, output_of, tree};
use serde_json::Value;

#[test]
fn runs_start_by_themselves_feed_each_other_and_finish_on_the_embedded_default() {
    the_main_job(Setup::new());
}

#[test]
fn runs_start_by_themselves_feed_each_other_and_finish_on_postgresql() {
    let database = TestDatabase::new();
    the_main_job(Setup::new().database(database.url()));
}

fn the_main_job(setup: Setup) {
    let shop = Workshop::with(setup);
    let texts = shop.push_directory(&texts(&shop), &["type:texts", "project:count"]);
    let limit = shop.push(&[("limit", "2\n")], &["type:limit", "project:count"]);
    let counting = shop.apply(&counting());
    let choosing = shop.apply(&choosing());

    let counted = shop.only_run_reaches(&counting, "done");
    let chosen = shop.only_run_reaches(&choosing, "done");
    assert_eq!(taken_by(&counted), vec![("/in/texts".to_owned(), texts.clone())]);
    let counts = output_of(&counted, "/out/counts");
    assert_eq!(
        taken_by(&chosen),
        vec![("/in/counts".to_owned(), counts.clone()), ("/in/limit".to_owned(), limit.clone())]
    );
    assert_eq!(chosen["exit"]["code"], 0);

    let result = output_of(&chosen, "/out/result");
    let pulled = shop.pull(&result);
    assert_eq!(tree(&pulled), vec![(PathBuf::from("common"), false, b"3 plan\n2 run\n".to_vec())]);
    assert_eq!(shop.log_of(&id_of(&chosen, "runId")), "2 words chosen\n");
    where_it_came_from(&shop, &result, &[&texts, &limit, &counts, &result]);
}

/// Three files, one of them deep and hidden, a program, and a link.
fn texts(shop: &Workshop) -> PathBuf {
    let directory = shop.new_path("texts");
    fs::create_dir_all(directory.join("deep/.er")).unwrap();
    fs::write(directory.join("one"), "plan run\nplan\n").unwrap();
    fs::write(directory.join("deep/.er/two words"), "run data\n").unwrap();
    fs::write(directory.join("deep/split.sh"), "#!/bin/sh\ntr -s ' ' '\\n'\n").unwrap();
    fs::set_permissions(directory.join("deep/split.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("deep/three", directory.join("three")).unwrap();
    fs::write(directory.join("deep/three"), "plan\n").unwrap();
    directory
}

fn counting() -> PlanFile {
    let script = "cat /in/texts/one '/in/texts/deep/.er/two words' /in/texts/three | /in/texts/deep/split.sh | sort | uniq -c \
                  | awk '{ print $1, $2 }' | sort -rn > /out/counts/words";
    PlanFile::shell(script).input("/in/texts", &["type:texts"]).output("/out/counts", &["type:counts", "project:count"])
}

fn choosing() -> PlanFile {
    let script = "head -n \"$(cat /in/limit/limit)\" /in/counts/words > /out/result/common
                  echo \"$(wc -l < /out/result/common) words chosen\"";
    PlanFile::shell(script)
        .input("/in/counts", &["type:counts", "project:count"])
        .input("/in/limit", &["type:limit", "project:count"])
        .output("/out/result", &["type:result"])
        .log(&["type:log"])
}

fn taken_by(run: &Value) -> Vec<(String, String)> {
    let inputs = run["inputs"].as_array().expect("a Run has a list of inputs").iter();
    let mut inputs: Vec<_> = inputs.map(|input| (id_of(input, "path"), id_of(input, "knitId"))).collect();
    inputs.sort();
    inputs
}

/// The lineage shows every Data on the way, and costs one request.
#[track_caller]
fn where_it_came_from(shop: &Workshop, result: &str, data: &[&String]) {
    let witness = Witness::before(shop.server.address());
    let user = Knit::new(shop.server.desk(), format!("http://{}/api", witness.address()));
    let dot = user.run(["data", "lineage", "-n", "all", result]).ok().stdout;
    assert_eq!(witness.requests().len(), 1, "one lineage is one request: {:?}", witness.requests());
    assert!(dot.starts_with("digraph G {"), "piped, a lineage is DOT: {dot}");
    for id in data {
        assert!(dot.contains(&format!("\"d{id}\"")), "{id} is missing in {dot}");
    }
    assert!(dot.contains("/in/counts") && dot.contains("/in/limit"), "edges are labelled with paths: {dot}");
    let drawn = shop.knit(&["data", "lineage", "-n", "all", "-o", "tree", result]).stdout;
    for id in data {
        assert!(drawn.contains(id.as_str()), "{id} is missing in\n{drawn}");
    }
}

#[test]
fn what_is_pulled_is_what_was_pushed() {
    let shop = Workshop::open();
    let pushed = texts(&shop);
    fs::write(pushed.join("binary"), (0..=u8::MAX).cycle().take(300_000).collect::<Vec<u8>>()).unwrap();
    fs::write(pushed.join("empty"), "").unwrap();
    fs::write(pushed.join(long_name()), "a name beyond the oldest tar format").unwrap();
    let data = shop.push_directory(&pushed, &["a:b"]);
    assert_eq!(tree(&shop.pull(&data)), tree(&pushed));
    assert_eq!(tree(&saved_and_unpacked(&shop, &data)), tree(&pushed));
}

fn long_name() -> String {
    "x".repeat(200)
}

/// The archive as `knit data pull` saves it, unpacked by `tar` itself.
fn saved_and_unpacked(shop: &Workshop, data: &str) -> PathBuf {
    let place = shop.new_path("saved");
    fs::create_dir(&place).unwrap();
    let _ = shop.knit(&["data", "pull", data, text(&place)]);
    let archive = place.join(format!("{data}.tar.gz"));
    let unpacked = place.join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let status = std::process::Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&unpacked).status();
    assert!(status.expect("tar can be started").success(), "tar understands the archive");
    unpacked
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

#[test]
fn a_push_tags_what_it_sent_in_the_order_of_the_original() {
    let shop = Workshop::open();
    let witness = Witness::before(shop.server.address());
    let user = Knit::new(shop.server.desk(), format!("http://{}/api", witness.address()));
    let source = texts(&shop);
    let pushed = user.run(["data", "push", "-n", "-t", "type:texts", text(&source)]).ok().json();
    let id = id_of(&pushed, "knitId");
    assert_eq!(witness.requests(), ["POST /api/data".to_owned(), format!("PUT /api/data/{id}")]);
    let name = format!("name:{}", source.file_name().unwrap().to_str().unwrap());
    let tags = pushed["tags"].as_array().expect("tags are a list");
    assert!(tags.contains(&"type:texts".into()) && tags.contains(&name.clone().into()), "{tags:?} has type and {name}");
}

#[test]
fn every_combination_of_matching_data_makes_one_run() {
    let shop = Workshop::open();
    let plan = PlanFile::shell("cat /in/letter/it /in/digit/it > /out/word")
        .input("/in/letter", &["is:letter"])
        .input("/in/digit", &["is:digit"])
        .output("/out", &["is:pair"]);
    let plan = shop.apply(&plan);
    for letter in ["a", "b"] {
        shop.push(&[("it", letter)], &["is:letter"]);
    }
    for digit in ["1", "2", "3"] {
        shop.push(&[("it", digit)], &["is:digit"]);
    }
    let runs = knit_tests::wait::wait_for("six Runs to be done", || {
        let runs = shop.runs_of(&plan);
        assert!(runs.len() <= 6, "two letters and three digits make six pairs, not {}", runs.len());
        (runs.len() == 6 && runs.iter().all(|run| run["status"] == "done")).then_some(runs)
    });
    let word = |run| fs::read_to_string(shop.pull(&output_of(run, "/out")).join("word")).unwrap();
    let mut words: Vec<String> = runs.iter().map(word).collect();
    words.sort();
    assert_eq!(words, ["a1", "a2", "a3", "b1", "b2", "b3"]);
}

#[test]
fn tags_start_runs() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("true").input("/in", &["type:late", "checked:yes"]));
    let data = shop.push(&[("it", "x")], &["type:late"]);
    assert!(shop.runs_of(&plan).is_empty(), "one of two tags is not enough");
    let _ = shop.knit(&["data", "tag", "--add", "checked:yes", &data]);
    let run = shop.only_run_reaches(&plan, "done");
    assert_eq!(taken_by(&run), vec![("/in".to_owned(), data.clone())]);
    let _ = shop.knit(&["data", "tag", "--remove", "checked:yes", &data]);
    let _ = shop.knit(&["data", "tag", "--add", "checked:yes", &data]);
    let again = shop.push(&[("it", "y")], &["type:late", "checked:yes"]);
    // The second Data's Run shows that matching went past the first Data's return.
    knit_tests::wait::wait_until("the second Data to be run", || {
        shop.runs_of(&plan).iter().any(|run| taken_by(run)[0].1 == again)
    });
    assert_eq!(shop.runs_of(&plan).len(), 2, "the same combination is run once, however often its tags return");
}
