//! The past as people ask about it: what was there at some time, and what became of what is gone.

use knit_tests::plans::PlanFile;
use knit_tests::workshop::{Workshop, id_of, output_of};
use serde_json::{Value, json};

/// More than are read at once while the beginning of an act is looked for.
const OUTPUTS_OF_A_LONG_ACT: usize = 300;

/// The position up to which the log has come.
fn position(shop: &Workshop) -> u64 {
    let answer = shop.server.http().get("/api/data");
    answer.header("x-knit-position").expect("every answer says its position").parse().expect("a number")
}

fn ids(found: &Value, name: &str) -> Vec<String> {
    found.as_array().expect("a list").iter().map(|one| id_of(one, name)).collect()
}

#[test]
fn d7_what_was_found_is_found_again_as_of_its_position_and_of_its_time() {
    let shop = Workshop::open();
    let before = position(&shop);
    let first = shop.push(&[("it", "x")], &["a:b"]);
    let then = shop.knit(&["data", "show", &first]).json();
    // A Data gets its tags after it is made, so the time at which another is made is one at which it has them.
    let clock = shop.push(&[("it", "z")], &["is:clock"]);
    let between = position(&shop).to_string();
    let clock = shop.knit(&["data", "show", &clock]).json();
    let tags = clock["tags"].as_array().expect("a list").iter().filter_map(Value::as_str);
    let time = tags.filter_map(|tag| tag.strip_prefix("knit#timestamp:")).next().expect("it is made").to_owned();
    let _ = shop.knit(&["data", "tag", "--add", "c:d", &first]);
    let second = shop.push(&[("it", "y")], &["a:b"]);

    for as_of in [&between, &time] {
        assert_eq!(ids(&shop.knit(&["data", "find", "-t", "a:b", "--as-of", as_of]).json(), "knitId"), [&*first]);
        assert_eq!(shop.knit(&["data", "show", "--as-of", as_of, &first]).json(), then);
        let refused = shop.refused(4, &["data", "show", "--as-of", as_of, &second]);
        let _ = refused.tells("was made only at");
    }
    assert_eq!(shop.knit(&["data", "find", "--as-of", &before.to_string()]).json(), Value::Array(Vec::new()));
    assert_eq!(ids(&shop.knit(&["data", "find", "-t", "a:b"]).json(), "knitId").len(), 2);
    let long_ago = shop.knit(&["data", "find", "--as-of", "3d ago"]).json();
    assert_eq!(long_ago, Value::Array(Vec::new()));
}

#[test]
fn d7_what_is_gone_says_when_and_by_whom_it_went_and_its_past_is_there() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("echo x > /out/x; exit 3").input("/in", &["a:b"]).output("/out", &["c:d"]));
    let source = shop.push(&[("it", "x")], &["a:b"]);
    let failed = shop.only_run_reaches(&plan, "failed");
    let (run, made) = (id_of(&failed, "runId"), output_of(&failed, "/out"));
    let then = position(&shop).to_string();
    let lineage = shop.knit(&["data", "lineage", "-o", "json", &source]).json();
    let _ = shop.knit(&["run", "rm", &run]);

    let _ = shop.refused(4, &["data", "show", &made]).tells("when its Run was deleted").tells("by anonymous");
    let _ = shop.refused(4, &["data", "lineage", &made]).tells("went");
    // Removing it is one act of several events; what is suggested to look at lies before all of them.
    let look = shop.refused(4, &["data", "show", &made[..8]]).stderr;
    let command = look.split("hint: `knit ").nth(1).and_then(|rest| rest.split('`').next()).expect("a hint to paste");
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[..3], ["data", "show", "--as-of"], "{look}");
    assert_eq!(id_of(&shop.knit(&words).json(), "knitId"), made);
    assert_eq!(shop.knit(&["run", "show", "--as-of", words[3], &run]).json(), failed, "nothing of it was removed yet");
    for who_needs_it in [&["data", "tag", "--add", "x:y", made.as_str()][..], &["data", "pull", made.as_str()]] {
        let _ = shop.refused(4, who_needs_it).tells("when its Run was deleted").tells(command);
    }
    let shown = shop.knit(&["run", "show", &run]).stderr;
    assert!(shown.contains("note: the Run was removed 20") && shown.contains(" by anonymous"), "{shown}");
    assert!(shown.contains(&format!("`knit run show --as-of {} {run}`", words[3])), "{shown}");
    let _ = shop.refused(4, &["data", "show", "276"]).tells("an id may be shortened to its first four digits");
    let _ = shop.refused(4, &["data", "lineage", "--as-of", "1", &source[..6]]).tells("was made only at");
    assert_eq!(id_of(&shop.knit(&["data", "show", "--as-of", &then, &made]).json(), "knitId"), made);
    assert_eq!(shop.knit(&["run", "show", "--as-of", &then, &run]).json(), failed);
    let found = shop.knit(&["run", "find", "-p", &plan, "--as-of", &then]).json();
    assert_eq!(found, Value::Array(vec![failed]));
    let mut past = shop.knit(&["data", "lineage", "-o", "json", "--as-of", &then, &source]).json();
    assert_eq!(past["asOf"].to_string(), then);
    past.as_object_mut().expect("a graph").remove("asOf");
    assert_eq!(past, lineage);
}

#[test]
fn d7_what_a_long_act_removed_is_shown_as_it_was_before_all_of_it() {
    let shop = Workshop::open();
    let outputs = (0..OUTPUTS_OF_A_LONG_ACT).map(|number| format!("/out/{number}"));
    let plan =
        outputs.fold(PlanFile::shell("exit 3").input("/in", &["a:b"]), |plan, path| plan.output(&path, &["c:d"]));
    let plan = shop.apply(&plan);
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    let failed = shop.only_run_reaches(&plan, "failed");
    let run = id_of(&failed, "runId");
    let last = output_of(&failed, &format!("/out/{}", OUTPUTS_OF_A_LONG_ACT - 1));
    let _ = shop.knit(&["run", "rm", &run]);
    let look = shop.refused(4, &["data", "show", &last]).stderr;
    let position =
        look.split("--as-of ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a position to look at");
    assert_eq!(shop.knit(&["run", "show", "--as-of", position, &run]).json(), failed, "nothing of it was removed yet");
}

#[test]
fn d7_what_is_not_settled_yet_is_refused() {
    let shop = Workshop::open();
    let http = shop.server.http();
    let beyond = position(&shop) + 1_000;
    for target in ["/api/data", "/api/plans", "/api/runs", "/api/ids?of=data"] {
        let ask = |as_of: &str| {
            let and = if target.contains('?') { '&' } else { '?' };
            http.get(&format!("{target}{and}as-of={as_of}"))
        };
        let twice = "1&as-of=2".to_owned();
        for not_yet in [beyond.to_string(), "2100-01-01T00:00:00Z".to_owned(), "soon".to_owned(), String::new(), twice]
        {
            let answer = ask(&not_yet);
            assert_eq!(answer.status, 400, "{target} as of {not_yet}: {}", answer.text());
        }
        let answer = ask("1");
        assert_eq!((answer.status, answer.header("x-knit-position")), (200, Some("1")), "{target}");
    }
    let _ = shop.refused(1, &["data", "find", "--as-of", "soon"]).tells("is not a time");
}

#[test]
fn a_lineage_in_parts_is_the_lineage() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("echo x > /out/x").input("/in", &["a:b"]).output("/out", &["c:d"]));
    let source = shop.push(&[("it", "x")], &["a:b"]);
    let run = id_of(&shop.only_run_reaches(&plan, "done"), "runId");
    let http = shop.server.http();
    for start in [format!("data/{source}"), format!("runs/{run}")] {
        let whole = http.get(&format!("/api/{start}/lineage?depth=all")).json();
        let (mut data, mut runs, mut after) = (Vec::new(), Vec::new(), String::new());
        loop {
            let part = http.get(&format!("/api/{start}/lineage?depth=all&limit=1{after}")).json();
            let list = |name: &str| part[name].as_array().cloned().unwrap_or_default();
            data.extend(list("data"));
            runs.extend(list("runs"));
            assert!(part["asOf"].is_u64(), "a part says what it is a part of: {part:#}");
            let Some(next) = part["next"].as_str() else { break };
            after = format!("&after={next}");
            // What changes meanwhile is not in the rest.
            let change =
                json!({"add": [{"key": "n", "value": data.len().to_string()}], "remove": [], "remove_key": []});
            assert_eq!(http.send_json("PUT", &format!("/api/data/{source}"), &change).status, 200);
        }
        assert_eq!((&whole["data"], &whole["runs"]), (&Value::Array(data), &Value::Array(runs)), "from {start}");
    }
    // What no answer said is refused, and so is another time than that of the answers before.
    let lineage = |query: &str| http.get(&format!("/api/data/{source}/lineage?depth=all&limit=1&{query}"));
    let next = lineage("").json()["next"].as_str().expect("there is more").to_owned();
    let position = next.split('-').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(lineage(&format!("after={next}&as-of={position}")).status, 200);
    let beyond = format!("after={position}-99999");
    for bad in [beyond, format!("after={next}&as-of={}", position - 1), "format=dot".into(), "format=svg".into()] {
        let refused = lineage(&bad);
        assert_eq!(refused.status, 400, "{bad}: {}", refused.text());
    }
    let only = http.get(&format!("/api/data/{source}/lineage?tag=c:d&plan={plan}")).json();
    assert_eq!((only["data"].as_array().map(Vec::len), only["runs"].as_array().map(Vec::len)), (Some(2), Some(1)));
}

#[test]
fn a_misspelt_parameter_is_refused_and_what_only_the_original_ignores_is_ignored() {
    let shop = Workshop::open();
    let source = shop.push(&[("it", "x")], &["a:b"]);
    let http = shop.server.http();
    for slip in ["as_of", "asof", "as-fo"] {
        for path in ["/api/data".to_owned(), "/api/runs".to_owned(), format!("/api/data/{source}/lineage")] {
            let refused = http.get(&format!("{path}?{slip}=1"));
            assert_eq!(refused.status, 400, "{path} {slip}");
            let wanted = format!("there is no `{slip}`; did you mean `as-of`?");
            assert!(refused.text().contains(&wanted), "{path}: {}", refused.text());
        }
    }
    assert_eq!(http.get(&format!("/api/data/{source}/lineage?from=x")).status, 400);
    assert_eq!(http.get("/api/data?from=x&all=true").status, 200);
}

#[test]
fn whoever_asks_for_a_removed_run_in_whatever_way_is_told_when_it_went_and_by_whom() {
    let shop = Workshop::open();
    let make = PlanFile::shell("echo x > /out/x; exit 3").input("/in", &["a:b"]).output("/out", &["c:d"]);
    let plan = shop.apply(&make.log(&["is:log"]));
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    let failed = shop.only_run_reaches(&plan, "failed");
    let (run, made) = (id_of(&failed, "runId"), output_of(&failed, "/out"));
    let _ = shop.knit(&["run", "rm", &run]);

    for (code, words) in [
        (4, &["run", "retry", &*run][..]),
        (4, &["run", "rm", &*run][..]),
        (5, &["run", "stop", &*run][..]),
        (4, &["run", "show", "--log", &*run][..]),
    ] {
        let refused = shop.refused(code, words).tells(&format!("Run `{run}` went when it was deleted, at 20"));
        let _ = refused.tells("by anonymous").tells("hint: `knit run show --as-of");
    }
    let _ = shop.refused(6, &["run", "wait", &run]).tells("note: the Run was removed 20").tells("by anonymous");
    for words in [
        &["run", "find", "-o", &*made][..],
        &["run", "find", "-i", &*made],
        &["data", "find", "-t", &format!("knit#id:{made}")],
    ] {
        let answer = shop.knit(words);
        assert_eq!(answer.json(), json!([]));
        let _ = answer.tells(&format!("there is no Data `{made}`: Data `{made}` went when its Run was deleted, at 20"));
    }
}

#[test]
fn what_is_gone_is_shown_by_the_verb_that_was_asked() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("echo x > /out/x").input("/in", &["a:b"]).output("/out", &["c:d"]));
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    let run = shop.only_run_reaches(&plan, "done");
    let (run, made) = (id_of(&run, "runId"), output_of(&run, "/out"));
    let _ = shop.knit(&["run", "rm", &run]);
    let _ = shop.refused(4, &["data", "lineage", &made]).tells("hint: `knit data lineage --as-of ");
    let _ = shop.refused(4, &["data", "show", &made]).tells("hint: `knit data show --as-of ");
    let _ = shop.refused(4, &["data", "pull", &made]).tells("hint: `knit data ");
}
