//! Explanations: why a Run is there and why not, what a Plan would start, and in what two results differ.

use knit_tests::plans::PlanFile;
use knit_tests::wait::wait_for;
use knit_tests::workshop::{Workshop, id_of, output_of};
use serde_json::json;

#[test]
fn a_run_says_what_set_it_off_what_it_waited_for_and_why_it_failed() {
    let shop = Workshop::open();
    let failing = PlanFile::shell("false").input("/in/a", &["is:a", "is:checked"]).input("/in/b", &["is:b"]);
    let plan = shop.apply(&failing);
    let a = shop.push(&[("it", "1")], &["is:a"]);
    let _b = shop.push(&[("it", "2")], &["is:b"]);
    let _ = shop.knit(&["data", "tag", "--add", "is:checked", &a]);
    let run = id_of(&shop.only_run_reaches(&plan, "failed"), "runId");

    let told = shop.knit(&["run", "explain", &run]).json();
    assert_eq!((&told["trigger"]["what"], &told["trigger"]["knitId"]), (&json!("tags-changed"), &json!(a)));
    assert_eq!(told["trigger"]["paths"], json!(["/in/a"]));
    assert_eq!(told["trigger"]["tags"], json!(["is:checked"]));
    assert_eq!(told["trigger"]["moment"]["actor"], json!("anonymous"));
    assert_eq!(told["failure"]["cause"], json!("worker-failed"));
    assert_eq!(told["steps"][0]["moment"]["event"], json!("RunProjected"));

    let text = shop.knit(&["run", "explain", "-o", "text", &run]);
    for fact in ["set off: Data", "got `is:checked`", "all else that it needs was there", "it failed: its command"] {
        assert!(text.stdout.contains(fact), "{fact} in {}", text.stdout);
    }
    for step in told["steps"].as_array().unwrap() {
        let event = step["moment"]["event"].as_str().unwrap();
        assert!(!text.stdout.contains(event), "people are told in plain words, and not {event}: {}", text.stdout);
    }
    // As of the moment before its end it has not failed yet.
    let end = told["steps"].as_array().and_then(|steps| steps.last()).unwrap()["moment"]["position"].as_u64().unwrap();
    let earlier = shop.knit(&["run", "explain", "--as-of", &(end - 1).to_string(), &run]).json();
    assert_eq!(earlier["status"], json!("aborting"));
    // Right after it was made it had not waited yet; that is told of the past as it is of now.
    let made = told["steps"][0]["moment"]["position"].to_string();
    let earlier = shop.knit(&["run", "explain", "--as-of", &made, &run]).json();
    assert_eq!(earlier["waitsFor"]["waitedMs"], json!(0), "{earlier}");
    let text = shop.knit(&["run", "explain", "-o", "text", "--as-of", &made, &run]).stdout;
    assert!(text.contains("it waits for ") && text.contains(", 0 ms so far"), "{text}");
    let _ = shop.refused(4, &["run", "explain", "00000000-0000-0000-0000-000000000000"]);
}

#[test]
fn a_plan_says_of_each_input_which_tag_is_missing_and_of_one_data_what_it_lacks() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("true").input("/in/a", &["is:a"]).input("/in/b", &["is:b", "is:checked"]));
    let a = shop.push(&[("it", "1")], &["is:a"]);
    let b = shop.push(&[("it", "2")], &["is:b"]);
    let told = shop.knit(&["plan", "why-not", &plan]).json();
    assert_eq!((&told["inputs"][0]["candidates"], &told["inputs"][1]["candidates"]), (&json!(1), &json!(0)));
    assert_eq!((&told["inputs"][1]["nearest"], &told["inputs"][1]["missing"]), (&json!(b), &json!(["is:checked"])));

    let about = shop.knit(&["plan", "why-not", "--data", &b, "-o", "text", &plan]).stdout;
    assert!(about.contains(&format!("Data {b} does not fit /in/b: it lacks `is:checked`")), "{about}");
    assert!(about.contains(&format!("knit data tag --add 'is:checked' {b}")), "{about}");
    let about = shop.knit(&["plan", "why-not", "--data", &a, &plan]).json();
    assert_eq!(about["inputs"][0]["verdict"]["fits"], json!(true));
    assert_eq!(about["inputs"][1]["verdict"]["lacks"], json!(["is:b", "is:checked"]));

    let head = shop.server.http().get("/api/data");
    let then = head.header("x-knit-position").expect("every answer says its position").to_owned();
    let told =
        [&["--data", &*b][..], &[]].map(|about| shop.knit(&[&["plan", "why-not", &plan], about].concat()).json());

    let _ = shop.knit(&["data", "tag", "--add", "is:checked", &b]);
    let run = id_of(&shop.only_run_reaches(&plan, "done"), "runId");
    let past = ["plan", "why-not", "--as-of", &then, &plan];
    assert_eq!([&["--data", &*b][..], &[]].map(|about| shop.knit(&[&past, about].concat()).json()), told);
    let past = shop.knit(&[&past[..], &["-o", "text", "--data", &b]].concat()).stdout;
    assert!(past.contains(&format!("Data {b} does not fit /in/b: it lacks `is:checked`")), "{past}");
    assert!(!past.contains("hint"), "advice on the past comes too late: {past}");
    let _ = shop.refused(4, &["plan", "why-not", "--as-of", "1", &plan]).tells("was made only at");
    let about = shop.knit(&["plan", "why-not", "--data", &b, &plan]).json();
    assert_eq!(about["inputs"][1]["verdict"]["runs"], json!([run]));
    let about = shop.knit(&["plan", "why-not", "-o", "text", &plan]).stdout;
    assert!(about.contains("nothing is missing"), "{about}");
}

#[test]
fn of_a_plan_whose_runs_all_failed_it_is_said_that_they_did_and_how_to_see_why() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("exit 3").input("/in", &["is:a"]));
    let source = shop.push(&[("it", "1")], &["is:a"]);
    let first = id_of(&shop.only_run_reaches(&plan, "failed"), "runId");
    let why_not = shop.knit(&["plan", "why-not", "-o", "text", &plan]).stdout;
    assert!(why_not.contains("but of its 1 Run 1 failed"), "{why_not}");
    assert!(why_not.contains(&format!("`knit run explain {first}` says why")), "{why_not}");
    let told = shop.knit(&["plan", "why-not", &plan]).json();
    assert_eq!((&told["failed"], &told["lastFailed"]), (&json!(1), &json!(first)));

    // Of the Runs that took a Data that fits no more it is said how many there were.
    let _ = shop.push(&[("it", "2")], &["is:b"]);
    let both = shop.apply(&PlanFile::shell("true").input("/a", &["is:a"]).input("/b", &["is:b"]));
    let _ = shop.push(&[("it", "3")], &["is:b"]);
    let count = || shop.knit(&["run", "find", "-p", &both, "-s", "done"]).json().as_array().map(Vec::len);
    wait_for("both Runs to be done", || (count() == Some(2)).then_some(()));
    let _ = shop.knit(&["data", "tag", "--remove", "is:a", &source]);
    let why_not = shop.knit(&["plan", "why-not", "--data", &source, "-o", "text", &both]).stdout;
    assert!(why_not.contains("2 Runs took it at /a when it still fitted, the first is "), "{why_not}");
    assert!(!why_not.contains("were removed"), "{why_not}");
}

#[test]
fn what_a_terminal_would_obey_is_shown_and_no_picture_breaks_of_it() {
    let shop = Workshop::open();
    let script = "echo \u{1b}[31mRED\u{7}\n  echo second";
    let plan = shop.apply(&PlanFile::shell(script).input("/in", &["is:a"]).output("/out", &["is:c"]));
    let _ = shop.push(&[("it", "1")], &["is:a"]);
    let run = id_of(&shop.only_run_reaches(&plan, "done"), "runId");
    let is_obeyed = |text: &str| text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'));
    for words in [
        &["run", "show", "-o", "text", &run][..],
        &["run", "explain", "-o", "text", &run],
        &["run", "find", "--output", "table"],
        &["run", "diff", "-o", "text", &run, &run],
        &["run", "lineage", "-o", "tree", &run],
        &["run", "lineage", "-o", "dot", &run],
        &["run", "lineage", "-o", "svg", &run],
        &["run", "lineage", "-o", "mermaid", &run],
        &["plan", "show", "-o", "text", &plan],
        &["plan", "find", "--output", "table"],
        &["plan", "graph", "-o", "tree", &plan],
        &["plan", "graph", "-o", "dot", &plan],
        &["plan", "graph", "-o", "svg", &plan],
    ] {
        let told = shop.knit(words);
        assert!(!is_obeyed(&told.stdout) && !is_obeyed(&told.stderr), "{words:?}: {:?}", told.stdout);
    }
    let explained = shop.knit(&["run", "explain", "-o", "text", &run]).stdout;
    assert!(explained.contains(r"echo \u{1b}[31mRED\u{7}\n  echo second"), "{explained}");
    let exact = shop.knit(&["run", "show", &run]).json();
    assert!(exact["plan"].to_string().contains(r"echo \u001b[31mRED\u0007\n  echo second"), "{exact}");
    for of in [format!("runs/{run}/lineage"), format!("plans/{plan}/graph")] {
        for format in ["dot", "svg", "mermaid"] {
            let drawn = shop.server.http().get(&format!("/api/{of}?format={format}")).text();
            assert!(drawn.contains("RED") && !is_obeyed(&drawn), "{of} {format}: {drawn}");
        }
    }
}

#[test]
fn what_was_removed_since_is_told_as_such() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("exit 3").input("/in", &["is:a", "is:checked"]));
    let source = shop.push(&[("it", "1")], &["is:a", "is:checked"]);
    let run = id_of(&shop.only_run_reaches(&plan, "failed"), "runId");
    let explained = |run: &str| shop.knit(&["run", "explain", "-o", "text", run]).stdout;
    let before = explained(&run);
    assert!(!before.contains("removed again"), "{before}");
    let _ = shop.knit(&["run", "rm", &run]);

    let why_not = shop.knit(&["plan", "why-not", "--data", &source, "-o", "text", &plan]).stdout;
    assert!(why_not.contains(&format!("its Run {run}, which took it at /in, was removed at 20")), "{why_not}");
    assert!(why_not.contains("by anonymous") && why_not.contains("so it is not made again"), "{why_not}");
    assert!(!why_not.contains("nothing is missing"), "{why_not}");
    let why_not = shop.knit(&["plan", "why-not", "-o", "text", &plan]).stdout;
    assert!(why_not.contains("but for those whose Run was removed"), "{why_not}");

    let _ = shop.knit(&["data", "tag", "--remove", "is:checked", &source]);
    let untagged = shop.knit(&["plan", "why-not", "--data", &source, "-o", "text", &plan]).stdout;
    assert!(untagged.contains("it lacks `is:checked`") && untagged.contains("so it is not made again"), "{untagged}");
    assert!(!untagged.contains("if it should fit"), "to tag it again would make no Run: {untagged}");
    let after = explained(&run);
    assert!(after.contains("; removed again 20") && after.contains("after the Run was made"), "{after}");
    assert!(after.contains("it failed: its command ended with exit code 3"), "{after}");
    let upload = shop.knit(&["data", "show", &source]).json();
    let upload = explained(upload["upstream"]["run"]["runId"].as_str().expect("it was made by a Run"));
    assert!(!upload.contains("Worker") && upload.contains("for the content to arrive"), "{upload}");
}

#[test]
fn what_a_plan_would_start_is_told_before_it_is_registered_and_then_happens() {
    let shop = Workshop::open();
    for number in ["1", "2", "3"] {
        shop.push(&[("it", number)], &["is:a"]);
    }
    shop.push(&[("it", "x")], &["is:b"]);
    let plan = PlanFile::shell("true").input("/in/a", &["is:a"]).input("/in/b", &["is:b"]);
    let file = shop.written(&plan);
    let told = shop.knit(&["plan", "apply", "--dry-run", "--days", "2", &file]).json();
    assert_eq!((&told["runs"], told["first"].as_array().map(Vec::len)), (&json!(3), Some(3)));
    let past = &told["past"];
    let days: u64 = past["days"].as_array().unwrap().iter().map(|day| day["runs"].as_u64().unwrap()).sum();
    assert_eq!((days, past["days"].as_array().map(Vec::len), &past["exact"]), (3, Some(2), &json!(true)));
    let few = shop.knit(&["plan", "apply", "--dry-run", "--limit", "2", &file]).json();
    assert_eq!((&few["runs"], few["first"].as_array().map(Vec::len)), (&json!(3), Some(2)));
    let text = shop.knit(&["plan", "apply", "--dry-run", "-o", "text", &file]).stdout;
    assert!(text.contains("nothing is registered; the Plan would get 3 Runs now"), "{text}");
    assert_eq!(shop.knit(&["plan", "find", "--image", "host"]).json(), json!([]), "nothing was registered");

    // Each is told by the tag that tells it from the others, of which it has none here.
    let listed = text.lines().filter(|line| line.starts_with("  a Run of /in/a ")).count();
    assert_eq!(listed, 3, "{text}");
    let off = shop.written(&plan.clone().with("active", json!(false)));
    let waits = shop.knit(&["plan", "apply", "--dry-run", "-o", "text", &off]).stdout;
    assert!(waits.contains("none of them would start: the Plan is switched off"), "{waits}");
    let refused = shop.refused(5, &["plan", "apply", "--dry-run", "--max-runs", "2", &file]);
    let _ = refused.tells("cannot accept the Plan").tells("too many Runs").tells("without `--max-runs`");

    let _ =
        shop.refused(5, &["plan", "apply", "--max-runs", "2", &file]).tells("would get 3 Runs").tells("3 for /in/a");
    assert_eq!(shop.knit(&["plan", "find", "--image", "host"]).json(), json!([]), "nothing was registered");
    let plan = id_of(&shop.knit(&["plan", "apply", "--max-runs", "3", &file]).json(), "planId");
    knit_tests::wait::wait_until("its three Runs to be done", || {
        let runs = shop.runs_of(&plan);
        runs.len() == 3 && runs.iter().all(|run| run["status"] == "done")
    });
    let made = |run: &serde_json::Value| {
        let mut inputs: Vec<(String, String)> =
            run.as_array().unwrap().iter().map(|input| (id_of(input, "path"), id_of(input, "knitId"))).collect();
        inputs.sort();
        inputs
    };
    let mut foretold: Vec<_> = told["first"].as_array().unwrap().iter().map(made).collect();
    let mut happened: Vec<_> = shop.runs_of(&plan).iter().map(|run| made(&run["inputs"])).collect();
    foretold.sort();
    happened.sort();
    assert_eq!(foretold, happened);
    // Now there is an equivalent one, and a forecast is refused as the registration would be.
    let _ = shop.refused(5, &["plan", "apply", "--dry-run", &file]).tells(&plan);
}

#[test]
fn two_results_differ_in_the_settings_that_were_not_the_same() {
    let shop = Workshop::open();
    shop.push(&[("it", "1")], &["is:data"]);
    let train = PlanFile::shell("cp /in/settings/pace /out/pace");
    let train =
        train.input("/in/data", &["is:data"]).input("/in/settings", &["is:settings"]).output("/out", &["is:model"]);
    let plan = shop.apply(&train);
    let hasty = shop.push(&[("pace", "hasty")], &["is:settings", "pace:hasty"]);
    let patient = shop.push(&[("pace", "patient")], &["is:settings", "pace:patient"]);
    knit_tests::wait::wait_until("both Runs to be done", || {
        let runs = shop.runs_of(&plan);
        runs.len() == 2 && runs.iter().all(|run| run["status"] == "done")
    });
    let runs = shop.runs_of(&plan);
    let of = |settings: &str| {
        let takes = |run: &&serde_json::Value| {
            run["inputs"].as_array().unwrap().iter().any(|input| input["knitId"] == settings)
        };
        runs.iter().find(takes).unwrap()
    };
    let (left, right) = (of(&hasty), of(&patient));
    let told = shop.knit(&["data", "diff", &output_of(left, "/out"), &output_of(right, "/out")]).json();
    let first = &told["differing"][0];
    assert_eq!((&first["left"], &first["right"]), (&json!(hasty), &json!(patient)));
    assert_eq!(first["aspects"][0], json!({"name": "tags", "left": ["pace:hasty"], "right": ["pace:patient"]}));
    let text = shop.knit(&["run", "diff", "-o", "text", &id_of(left, "runId"), &id_of(right, "runId")]).stdout;
    assert!(text.contains("Data, 1 Run upstream by /in/settings"), "{text}");
    assert!(text.contains("tags < pace:hasty"), "{text}");
    let same = shop.knit(&["data", "diff", "-o", "text", &hasty, &hasty]).stdout;
    assert_eq!(same, "they are one and the same\n");
    let nobody = "00000000-0000-0000-0000-000000000000";
    for verb in ["diff", "path"] {
        let refused = shop.refused(4, &["data", verb, &hasty, nobody]);
        let _ = refused.tells(&format!("Data `{hasty}` with Data `{nobody}`")).tells("there is no Data");
    }
    let unrelated = shop.refused(4, &["data", "path", &hasty, &patient]);
    let (headline, rest) = unrelated.stderr.split_once('\n').expect("more than one line");
    assert!(
        headline.starts_with("error: cannot connect") && rest.starts_with("  neither of Data"),
        "{headline}\n{rest}"
    );
    assert!(rest.contains("knit data lineage -n all") && !rest.contains("data find"), "{rest}");
}

/// The names of the aspects in which two differ themselves, and what is told of one of them.
fn aspect(told: &serde_json::Value, name: &str) -> (Vec<String>, serde_json::Value) {
    let aspects = told["differing"][0]["aspects"].as_array().expect("they differ in something");
    let one = aspects.iter().find(|aspect| aspect["name"] == name).expect("they differ in it").clone();
    (aspects.iter().map(|aspect| id_of(aspect, "name")).collect(), json!([one["left"], one["right"]]))
}

#[test]
fn two_results_differ_in_the_image_the_arguments_and_the_resources_that_made_them() {
    let shop = Workshop::open();
    let train = |script: &str, image: &str| {
        let plan = PlanFile::shell(script).with("image", json!(image)).with("resources", json!({"cpu": "200m"}));
        plan.input("/in", &["is:data"]).output("/out", &["is:model"])
    };
    let _ = shop.push(&[("it", "1")], &["is:data"]);
    let plans =
        [("echo 1 > /out/it", "host:latest"), ("echo 2 > /out/it", "host:latest"), ("echo 1 > /out/it", "no/such:v1")];
    let [plan, other_args, other_image] = plans.map(|(script, image)| shop.apply(&train(script, image)));
    let first = shop.only_run_reaches(&plan, "done");
    let [hasty, lost] =
        [(&other_args, "done"), (&other_image, "failed")].map(|(plan, end)| shop.only_run_reaches(plan, end));
    let diff = |kind: &str, left: &str, right: &str| shop.knit(&[kind, "diff", left, right]);

    let told = diff("data", &output_of(&first, "/out"), &output_of(&hasty, "/out")).json();
    assert_eq!(
        aspect(&told, "args"),
        (vec!["plan".to_owned(), "args".to_owned()], json!([["echo 1 > /out/it"], ["echo 2 > /out/it"]]))
    );
    let told = diff("run", &id_of(&first, "runId"), &id_of(&lost, "runId")).json();
    let (names, image) = aspect(&told, "image");
    assert_eq!(names, ["plan", "image", "status", "exit"]);
    assert_eq!(image, json!([["host:latest"], ["no/such:v1"]]));
    let text = shop.knit(&["run", "diff", "-o", "text", &id_of(&first, "runId"), &id_of(&lost, "runId")]).stdout;
    assert!(text.contains("image < host:latest") && text.contains("image > no/such:v1"), "{text}");

    let _ = shop.knit(&["plan", "resource", "--set", "cpu=300m", &plan]);
    let again = shop.push(&[("it", "2")], &["is:data"]);
    let runs = |plan: &str| shop.server.http().get(&format!("/api/runs?plan={plan}&knitIdInput={again}")).json();
    let second = knit_tests::wait::wait_for("the Run of the other Data", || {
        Some(runs(&plan)[0].clone()).filter(|run| run["status"] == "done")
    });
    let told = diff("run", &id_of(&first, "runId"), &id_of(&second, "runId")).json();
    assert_eq!(aspect(&told, "resources"), (vec!["resources".to_owned()], json!([["cpu=200m"], ["cpu=300m"]])));
    let uploads = &told["differing"][1];
    assert_eq!((&uploads["route"], &uploads["aspects"][0]["name"]), (&json!(["/in"]), &json!("upload")));
    // Nobody knows an upload by its Run: the Data of both sides are named, with their tags.
    assert_eq!(uploads["rightData"], json!({"knitId": again, "tags": ["is:data"]}));
    let text = shop.knit(&["run", "diff", "-o", "text", &id_of(&first, "runId"), &id_of(&second, "runId")]).stdout;
    assert!(text.contains("/in is another Data, 1 Run upstream by /in\n  < Data "), "{text}");
    assert!(text.contains(&format!("  > Data {again} `is:data`\n")), "{text}");
}

#[test]
fn all_runs_that_a_plan_would_get_are_named_when_that_is_asked_for() {
    let shop = Workshop::open();
    for number in 0..6 {
        let _ = shop.push(&[("it", &number.to_string())], &["is:a", &format!("n:{number}")]);
    }
    let plan = PlanFile::shell("true").input("/in/a", &["is:a"]).input("/in/b", &["is:a"]);
    let file = shop.written(&plan);
    let named = |limit: &[&str]| {
        let words = [&["plan", "apply", "--dry-run", "-o", "json"][..], limit, &[&*file]].concat();
        let told = shop.knit(&words).json();
        assert_eq!(told["runs"], 36);
        told["first"].as_array().unwrap().len()
    };
    assert_eq!((named(&[]), named(&["--limit", "0"]), named(&["--limit", "30"])), (20, 36, 30));
    let text = shop.knit(&["plan", "apply", "--dry-run", "-o", "text", "--limit", "0", &file]).stdout;
    assert_eq!(text.lines().filter(|line| line.starts_with("  a Run of /in/a ")).count(), 36, "{text}");
    let _ = shop.refused(1, &["plan", "apply", "--dry-run", "--limit", "10001", &file]).tells("10000 at most");
}

#[test]
fn a_run_that_waits_for_room_says_how_much_is_free_and_who_has_the_rest() {
    let shop = Workshop::open();
    // All that the machine has, however many that are.
    let cpus = std::thread::available_parallelism().unwrap().get();
    let busy = PlanFile::shell("sleep 1000").input("/in", &["is:a"]);
    let busy = busy.with("resources", json!({"cpu": cpus.to_string()}));
    let plan = shop.apply(&busy);
    let _ = shop.push(&[("it", "1")], &["is:a"]);
    let first = id_of(&shop.only_run_reaches(&plan, "running"), "runId");
    let second = shop.push(&[("it", "2")], &["is:a"]);
    let second = knit_tests::wait::wait_for("the Run that waits for room", || {
        let runs = shop.runs_of(&plan);
        let waits = |run: &&serde_json::Value| run["inputs"][0]["knitId"] == second && run["status"] == "starting";
        runs.iter().find(waits).map(|run| id_of(run, "runId"))
    });
    let told = knit_tests::wait::wait_for("the runtime to say what it waits for", || {
        let told = shop.knit(&["run", "explain", &second]).json();
        told["waitsFor"]["room"].is_object().then_some(told)
    });
    let room = &told["waitsFor"]["room"];
    assert_eq!((&room["asked"]["cpuMillis"], &room["free"]["cpuMillis"]), (&json!(1_000 * cpus), &json!(0)));
    assert_eq!((&room["ahead"], &room["heldBy"][0]["runId"]), (&json!(0), &json!(first)));
    let text = shop.knit(&["run", "explain", "-o", "text", &second]).stdout;
    assert!(
        text.contains(&format!(" so far\n  it asks for cpu={cpus} memory=")) && text.contains("are free cpu=0"),
        "{text}"
    );
    assert!(text.contains(&format!("  Run {first} holds cpu={cpus}")), "{text}");
}

#[test]
fn before_a_plan_is_registered_it_is_asked_whether_a_tag_is_misspelt_and_said_that_its_image_is_not_there() {
    let shop = Workshop::open();
    let _ = shop.push(&[("it", "1")], &["type:model"]);
    let wrong = PlanFile::shell("true").input("/in", &["type:modle"]).with("image", json!("other:1"));
    let file = shop.written(&wrong);
    let text = shop.knit(&["plan", "apply", "--dry-run", "-o", "text", &file]).stdout;
    assert!(text.contains("note: there is `type:model`: is `type:modle` misspelt?"), "{text}");
    assert!(text.contains("note: no Run could run here: the image `other:1` is not on this machine"), "{text}");
    // Registered, it is asked about in the same way, and no Data of another kind is to be given the tag.
    for (number, slip) in ["type:modle", "typ:model", "Type:model"].into_iter().enumerate() {
        let _ = shop.push(&[("it", "2")], &["project:eye"]);
        let plan =
            PlanFile::shell("true").input("/in", &["project:eye", slip]).output("/out", &[&format!("n:{number}")]);
        let plan = shop.apply(&plan);
        let text = shop.knit(&["plan", "why-not", "-o", "text", &plan]).stdout;
        assert!(text.contains(&format!("note: there is `type:model`: is `{slip}` misspelt?")), "{text}");
        assert!(!text.contains("knit data tag"), "{text}");
    }
    let right = shop.written(&PlanFile::shell("true").input("/in", &["type:model"]));
    let told = shop.knit(&["plan", "apply", "--dry-run", &right]).json();
    assert_eq!(told.get("notes"), None, "{told}");
}
