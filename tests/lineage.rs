//! Lineage as people look at it: drawn in every way, from a Data and from a Run, whole and cut.

use knit_tests::plans::PlanFile;
use knit_tests::workshop::{Workshop, id_of};
use serde_json::Value;

/// A shop in which one Data was made of another by a Run: (the shop, what went in, the Run, what came out).
fn two_steps() -> (Workshop, String, String, String) {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("cp /in/it /out/it").input("/in", &["a:b"]).output("/out", &["c:d"]));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let run = shop.only_run_reaches(&plan, "done");
    let made = run["outputs"][0]["knitId"].as_str().expect("a Run that is done has its output").to_owned();
    (shop, data, id_of(&run, "runId"), made)
}

#[test]
fn every_drawing_shows_every_node_by_both_programs() {
    let (shop, data, run, made) = two_steps();
    for format in ["tree", "json", "dot", "mermaid", "svg", "openlineage", "prov", "ro-crate"] {
        let drawn = shop.knit(&["data", "lineage", "-o", format, &made]).stdout;
        for id in [&data, &run, &made] {
            assert!(drawn.contains(id.as_str()), "{format}: {drawn}");
        }
        if format != "tree" {
            let path = format!("/api/data/{made}/lineage?format={format}");
            let answer = shop.server.http().get(&path).text();
            for id in [&data, &run, &made] {
                assert!(answer.contains(id.as_str()), "{format}: {answer}");
            }
        }
    }
}

#[test]
fn what_the_depth_cut_off_is_marked_in_every_drawing() {
    let (shop, data, _, made) = two_steps();
    let marks = [
        ("tree", "(more: -n all)"),
        ("dot", "more beyond"),
        ("mermaid", "more beyond"),
        ("svg", "more beyond"),
        ("openlineage", "\"cut\":true"),
        ("prov", "\"knitfab:cut\": true"),
        ("ro-crate", "cut: there is more lineage beyond this Data"),
    ];
    for (format, mark) in marks {
        let drawn = |depth| shop.knit(&["data", "lineage", "-u", "-n", depth, "-o", format, &made]).stdout;
        assert!(drawn("1").contains(mark) && !drawn("all").contains(mark), "{format}: {}", drawn("1"));
    }
    let count = shop.knit(&["data", "lineage", "-u", "-n", "1", "--count", &made]).stdout;
    assert!(count.contains("1 Data beyond which there is more"), "{count}");
    let ids = shop.knit(&["data", "lineage", "-u", "--ids-only", &made]).stdout;
    assert!(ids.starts_with(&made) && ids.lines().any(|id| id == data), "{ids}");
}

#[test]
fn a_run_is_shown_between_its_inputs_and_its_outputs() {
    let (shop, data, run, made) = two_steps();
    let tree = shop.knit(&["run", "lineage", "-o", "tree", &run]).stdout;
    let below = |title: &str| tree.split_once(title).unwrap_or_else(|| panic!("no `{title}`: {tree}")).1.to_owned();
    assert!(tree.starts_with(&format!("Run {run}  done")), "{tree}");
    assert!(below("\nmade from\n").contains(&data) && below("\nmade\n").contains(&made), "{tree}");
    let graph: Value = shop.knit(&["run", "lineage", "-o", "json", &run]).json();
    assert_eq!(graph["start"], *run);
    assert_eq!(shop.knit(&["run", "lineage", "--ids-only=runs", "-d", &run]).stdout, format!("{run}\n"));
}

#[test]
fn a_path_leads_from_one_data_to_the_other_and_back() {
    let (shop, data, run, made) = two_steps();
    for (from, to, title) in [(&data, &made, "used by"), (&made, &data, "made by")] {
        let tree = shop.knit(&["data", "path", "-o", "tree", from, to]).stdout;
        assert!(tree.starts_with(&format!("Data {from}")) && tree.contains(title), "{tree}");
        assert!(tree.contains(&run) && tree.contains(to.as_str()), "{tree}");
    }
    let other = shop.push(&[("it", "y")], &["e:f"]);
    let _ = shop.refused(4, &["data", "path", &other, &made]).tells("was made of the other");
}
