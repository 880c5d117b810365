//! Finding as people do it: tables, names, and ids of which only the first digits are typed.

use knit_tests::plans::PlanFile;
use knit_tests::workshop::{Workshop, id_of, output_of};

#[test]
fn a_run_is_found_looked_at_and_retried_by_the_first_digits_of_ids() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("exit 3").input("/in", &["a:b"]));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let run = id_of(&shop.only_run_reaches(&plan, "failed"), "runId");
    let (plan, data, typed) = (&plan[..13], &data[..13], &run[..13]);
    let table = shop.knit(&["run", "find", "-p", plan, "-i", data, "--output", "table"]).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("RUN "), "{table}");
    assert!(lines[1].starts_with(&run) && lines[1].contains("  failed  "), "{table}");
    assert_eq!(shop.knit(&["run", "find", "-p", plan, "--output", "name"]).stdout, format!("{run}\n"));
    assert_eq!(shop.knit(&["run", "show", typed]).json()["runId"], *run);
    assert_eq!(
        shop.knit(&["data", "lineage", "-o", "json", data]).json()["start"].as_str().map(|id| &id[..13]),
        Some(data)
    );
    let _ = shop.knit(&["run", "retry", typed]).tells(&format!("Run `{run}` will run again"));
    shop.reaches(&run, "failed");
    let _ = shop.knit(&["run", "rm", typed]).tells(&run);
    let _ = shop.refused(4, &["run", "show", "0000"]).tells("there is no");
}

#[test]
fn an_id_that_is_not_known_or_of_another_kind_or_gone_is_told() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("true").input("/in", &["a:b"]).output("/out", &["c:d"]));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let run = shop.only_run_reaches(&plan, "done");
    let (run, made) = (id_of(&run, "runId"), output_of(&run, "/out"));
    let nobody = "00000000-0000-0000-0000-000000000000";

    let found = shop.knit(&["run", "find", "-p", &plan, "-i", &data, "-o", &made]);
    assert_eq!(found.stderr, "", "all of them are known");
    let found = shop.knit(&["run", "find", "-p", &plan, "-i", nobody]).tells(&format!("there is no Data `{nobody}`"));
    assert_eq!(found.stdout, "[]\n");
    let _ = shop.knit(&["run", "find", "-p", &data]).tells(&format!("there is no Plan `{data}`"));
    let _ = shop.knit(&["data", "find", "-t", &format!("knit#id:{}", &data[..13])]).tells("did you mean");

    let _ = shop.refused(4, &["data", "show", &run]).tells(&format!("is the id of a Run: `knit run show {run}`"));
    let _ = shop.refused(4, &["run", "rm", &plan[..13]]).tells(&format!("`knit plan show {plan}`"));

    let told = shop.knit(&["run", "retry", &run]).tells(&format!("discarded what the Run had made: Data `{made}`"));
    assert!(told.stderr.find("a retry discards") < told.stderr.find("will run again"), "{told}");
    let _ = shop.refused(4, &["data", "pull", &made]).tells("when its Run was retried");
    let _ = shop.refused(4, &["data", "show", &made]).tells("when its Run was retried");
}

#[test]
fn what_was_removed_can_be_asked_for_and_ids_may_be_in_capitals_and_times_so_long_ago() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("exit 3").input("/in", &["a:b"]));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let run = id_of(&shop.only_run_reaches(&plan, "failed"), "runId");
    for id in [data.to_uppercase(), data[..8].to_uppercase()] {
        assert_eq!(shop.knit(&["data", "show", &id]).json()["knitId"], *data);
    }
    for since in ["1m ago", "2 h ago", "1w ago"] {
        let found = shop.knit(&["run", "find", "-p", &plan, "--since", since, "--output", "name"]).stdout;
        assert_eq!(found, format!("{run}\n"), "{since}");
    }
    assert_eq!(shop.knit(&["run", "find", "--as-of", "1w ago"]).json(), serde_json::json!([]));
    let _ = shop.knit(&["run", "rm", &run]);
    let names = |status: &str| shop.knit(&["run", "find", "-s", status, "--output", "name"]).stdout;
    assert_eq!(names("invalidated"), format!("{run}\n"));
    assert_eq!(
        (names("invalidated,done").lines().count(), names("done").lines().count()),
        (2, 1),
        "the upload is done"
    );
    let _ = shop.refused(2, &["run", "find", "-o", "json"]).tells("did you mean `--output json`?");
    let _ = shop.knit(&["data", "find", "-t", "type:"]).tells("asks for Data on which `type` has no value");
    let _ = shop.refused(1, &["data", "wait", "-t", "a:b", "--count", "0"]).tells("write 1 or more");
}
