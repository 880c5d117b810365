//! Lineage, and how Plans hang together, as people look at it: drawn in every way, whole and cut.

use knit_tests::plans::PlanFile;
use knit_tests::workshop::{Workshop, id_of, output_of};
use serde_json::{Value, json};

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
fn drawings_that_others_read_say_when_a_run_started_and_ended() {
    let shop = Workshop::open();
    let script = "echo x > /out/it; sleep 1000";
    let plan = shop.apply(&PlanFile::shell(script).input("/in", &["a:b"]).output("/out", &["c:d"]));
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    // A Worker that ends only when it is told to is seen running.
    let run = id_of(&shop.only_run_reaches(&plan, "running"), "runId");
    let _ = shop.knit(&["run", "stop", &run]);
    let made = output_of(&shop.reaches(&run, "done"), "/out");
    let attempt = &shop.server.http().get(&format!("/api/runs/{run}/attempts")).json()[0];
    let (started, ended) = (id_of(attempt, "startedAt"), id_of(attempt, "endedAt"));

    let drawn = |format: &str| shop.knit(&["data", "lineage", "-u", "-n", "1", "-o", format, &made]).stdout;
    let parsed = |text: &str| serde_json::from_str::<Value>(text).expect("it is JSON");
    assert_eq!(parsed(&drawn("json"))["runs"][0]["startedAt"], started.as_str());
    let activity = &parsed(&drawn("prov"))["activity"][format!("uuid:{run}")];
    assert_eq!((&activity["prov:startTime"], &activity["prov:endTime"]), (&json!(started), &json!(ended)));
    let crated = parsed(&drawn("ro-crate"));
    let actions = crated["@graph"].as_array().expect("a list of things").iter();
    let action = actions.clone().find(|thing| thing["identifier"] == *run).expect("the Run is there");
    assert_eq!((&action["startTime"], &action["endTime"]), (&json!(started), &json!(ended)));
    let events: Vec<Value> = drawn("openlineage").lines().map(parsed).collect();
    let of_run = events.iter().filter(|event| event["run"]["runId"] == *run);
    let told: Vec<(&Value, &Value)> = of_run.map(|event| (&event["eventType"], &event["eventTime"])).collect();
    assert_eq!(told, [(&json!("START"), &json!(started)), (&json!("COMPLETE"), &json!(ended))]);
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

/// Plans of which the first feeds the second, and the second's log the third.
fn three_plans(shop: &Workshop) -> [String; 3] {
    let plan = |script: &str, input: &str, output: &str| {
        PlanFile::shell(script).input("/in", &[input]).output("/out", &[output])
    };
    let first = shop.apply(&plan("exit 0", "n:1", "n:2"));
    let second = shop.apply(&plan("exit 1", "n:2", "n:3").log(&["is:log"]));
    let third = shop.apply(&plan("exit 2", "is:log", "n:4"));
    [first, second, third]
}

#[test]
fn plans_are_drawn_with_what_feeds_them_by_both_programs() {
    let shop = Workshop::open();
    let plans = three_plans(&shop);
    for format in ["tree", "json", "dot", "mermaid", "svg"] {
        let drawn = shop.knit(&["plan", "graph", "-o", format, &plans[1]]).stdout;
        assert!(plans.iter().all(|id| drawn.contains(id.as_str())), "{format}: {drawn}");
        if format != "tree" {
            let answer = shop.server.http().get(&format!("/api/plans/{}/graph?format={format}", plans[1])).text();
            assert!(plans.iter().all(|id| answer.contains(id.as_str())), "{format}: {answer}");
        }
    }
    let dot = shop.knit(&["plan", "graph", &plans[1][..8]]).stdout;
    let [first, second, third] = &plans;
    assert!(dot.contains(&format!("\t\"p{first}@/out\" -> \"p{second}@/in\"[label=\"n:2\"];\n")), "{dot}");
    assert!(dot.contains(&format!("\t\"p{second}@log\" -> \"p{third}@/in\"[label=\"is:log\"];\n")), "{dot}");
    let tree = shop.knit(&["plan", "graph", "-o", "tree", second]).stdout;
    assert!(tree.contains("/in ← /out") && tree.contains("(log) → /in"), "{tree}");
}

#[test]
fn a_graph_of_plans_is_cut_where_it_is_told_to_and_is_as_it_was() {
    let shop = Workshop::open();
    let [first, second, third] = three_plans(&shop);
    let graph = |words: &[&str]| shop.knit(&[&["plan", "graph", "-o", "json"], words].concat()).json();
    let ids = |graph: &Value| {
        let plans = graph["plans"].as_array().unwrap().iter();
        plans.map(|plan| id_of(plan, "planId")).collect::<Vec<_>>()
    };
    let near = graph(&["-d", "-n", "1", &first]);
    assert_eq!((ids(&near), &near["cut"][0]), (vec![first.clone(), second.clone()], &Value::from(second.as_str())));
    let mark = [("tree", "(more: -n all)"), ("dot", "more beyond"), ("mermaid", "more beyond"), ("svg", "more beyond")];
    for (format, mark) in mark {
        let drawn = shop.knit(&["plan", "graph", "-d", "-n", "1", "-o", format, &first]).stdout;
        assert!(drawn.contains(mark), "{format}: {drawn}");
    }
    let whole = graph(&["-d", "-n", "all", &first]);
    assert_eq!((ids(&whole), whole["cut"].as_array().unwrap().len()), (vec![first.clone(), second.clone(), third], 0));

    let head: u64 = shop.server.http().get("/api/plans").header("x-knit-position").unwrap().parse().unwrap();
    let fourth = shop.apply(&PlanFile::shell("exit 3").input("/in", &["n:4"]).output("/out", &["n:5"]));
    assert!(ids(&graph(&["-n", "all", &first])).contains(&fourth));
    let then = graph(&["-n", "all", "--as-of", &head.to_string(), &first]);
    assert_eq!((ids(&then), &then["asOf"]), (ids(&whole), &Value::from(head)));
    let _ = shop.refused(4, &["plan", "graph", "--as-of", &head.to_string(), &fourth]).tells("was made only at");
    let _ = shop.refused(4, &["plan", "graph", "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11"]);
}

#[test]
fn where_runs_are_chosen_only_the_data_that_they_take_or_make_are_shown() {
    let (shop, data, run, made) = two_steps();
    let failing = shop.apply(&PlanFile::shell("exit 3").input("/in", &["c:d"]).output("/out", &["e:f"]));
    let failed = id_of(&shop.only_run_reaches(&failing, "failed"), "runId");
    let other = shop.push(&[("it", "y")], &["a:b"]);
    let shown = |words: &[&str]| {
        let graph = shop.knit(&[&["data", "lineage", "-o", "json"], words].concat()).json();
        let ids = |list: &str, name: &str| -> Vec<String> {
            graph[list].as_array().unwrap().iter().map(|one| id_of(one, name)).collect()
        };
        (ids("data", "knitId"), ids("runs", "runId"))
    };
    let (of_failed, runs) = shown(&["-s", "failed", &data]);
    assert_eq!(runs, [failed]);
    // What was asked for stays, and what the failed Run takes and makes; of the rest of the way nothing is shown.
    assert!(of_failed.len() == 3 && of_failed[0] == data && of_failed.contains(&made), "{of_failed:?}");
    let nobody = "00000000-0000-0000-0000-000000000000";
    assert_eq!(shown(&["-p", nobody, &made]), (vec![made.clone()], Vec::new()));
    let (_, whole) = shown(&[&made]);
    assert!(whole.contains(&run) && !shown(&[&made]).0.contains(&other));
}
