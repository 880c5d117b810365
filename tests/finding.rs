//! Finding as people do it: tables, names, and ids of which only the first digits are typed.

use knit_tests::plans::PlanFile;
use knit_tests::workshop::{Workshop, id_of};

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
