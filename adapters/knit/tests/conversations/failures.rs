//! What is said when things go wrong.

use std::io::Read;
use std::process::Stdio;

use serde_json::json;

use crate::kit::Place;
use crate::server::{Nobody, Reply, Server};

#[test]
fn every_kind_of_refusal_has_its_words_and_its_status() {
    let mut text = String::new();
    for (status, message) in [
        (400, "bad request\neach tag should be KEY:VALUE\n caused by:incorrect query tag"),
        (404, "not found"),
        (409, "prohibited operation\n caused by:cannot change run state: done -> aborting"),
        (500, "unexpected error\n caused by:disk full"),
        (503, "service unavailable temporaly\nplease retry later"),
    ] {
        let server = Server::start(move |_| Reply::error(status, message));
        text += &format!("{}\n", Place::with(&server).knit(&["run", "stop", "r1"]));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn bodies_of_other_shapes_are_understood_too() {
    let structured = json!({"reason": "there are equiverent plan", "advice": "use it", "see": "p0"});
    let mut text = String::new();
    for reply in [
        Reply::json(&structured).status(409),
        Reply::bytes("dial tcp: connection refused").status(500),
        Reply::nothing(502),
        Reply::nothing(304),
    ] {
        let server = Server::start(move |_| reply.clone());
        let place = Place::with(&server);
        place.write("plan.yaml", "image: ab\n");
        text += &format!("{}\n", place.knit(&["plan", "apply", "plan.yaml"]));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn success_that_is_not_the_expected_json_is_a_failure() {
    let mut text = String::new();
    for body in ["<html>a proxy's login page</html>", "{\"message\": \"hello\"}", "[{\"knitId\": 1}]", ""] {
        let server = Server::start(move |_| Reply::bytes(body));
        text += &format!("{}\n", Place::with(&server).knit(&["run", "find"]));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_server_that_speaks_no_https_is_told() {
    let server = Server::start(|_| Reply::json(&json!([])));
    let https = server.url().replace("http://", "https://");
    let answer = Place::new().knit(&["data", "find", "--server", &https]);
    assert_eq!(answer.code, 3);
    assert!(answer.stderr.contains("hint: what answers there does not speak https"), "{answer}");
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let (place, nobody) = (Place::new(), Nobody::new());
    insta::assert_snapshot!(place.knit(&["data", "find", "--server", &nobody.url()]));
}

#[test]
fn an_answer_that_breaks_off_is_a_failure() {
    let server = Server::start(|_| Reply::bytes("[").broken());
    let answer = Place::with(&server).knit(&["data", "find"]);
    assert_eq!(answer.code, 3, "{answer}");
}

#[test]
fn ctrl_c_ends_every_request() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    let url = format!("http://{}", listener.local_addr().unwrap());
    for words in [&["run", "show", "r1"][..], &["plan", "active", "yes", "p1"], &["data", "tag", "d1"]] {
        let mut child = place.command(words).env("KNIT_SERVER", &url).stderr(Stdio::piped()).spawn().unwrap();
        // Once the request is here, the program waits for an answer that never comes.
        let (mut connection, _) = listener.accept().unwrap();
        connection.read_exact(&mut [0; 3]).unwrap();
        interrupt(child.id());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{words:?}");
    }
}

pub(crate) fn interrupt(process: u32) {
    let kill = std::process::Command::new("kill").args(["-INT", &process.to_string()]).status();
    assert!(kill.unwrap().success());
}

#[test]
fn a_reader_that_goes_away_is_no_reason_for_words() {
    let many: Vec<_> = (0..2_000).map(|n| crate::data::detail(&format!("d{n}"), &["a:b"])).collect();
    let server = Server::start(move |_| Reply::json(&json!(many)));
    let place = Place::with(&server);
    let mut command = place.command(&["data", "find"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(141), ""));
}

#[test]
fn what_answers_and_is_no_knitfab_is_told_as_that() {
    let page = "<!DOCTYPE HTML>\n<html><body>File not found</body></html>";
    let server = Server::start(move |_| Reply::bytes(page).status(404));
    let place = Place::with(&server);
    for words in [&["data", "find"][..], &["run", "show", "r1"], &["plan", "show", "p1"]] {
        let told = place.knit(words);
        assert_eq!((told.code, told.stdout.as_str()), (1, ""), "{words:?}");
        assert!(told.stderr.contains("the answer is a web page (404)"), "{told}");
        assert!(told.stderr.contains("It usually ends in `/api`"), "{told}");
    }
    let server = Server::start(|_| Reply::error(404, "Not Found"));
    let place = Place::with(&server);
    let told = place.knit(&["data", "find"]);
    assert!(told.code == 1 && told.stderr.contains("It usually ends in `/api`"), "{told}");
    assert_eq!(place.knit(&["run", "show", "r1"]).code, 4, "a Run may well be missing");
}

#[test]
fn an_event_that_is_misspelt_is_answered_with_the_one_that_is_meant() {
    let server = Server::start(|request| {
        let name = request.target.rsplit('=').next().unwrap_or_default().to_owned();
        Reply::error(400, &format!("bad request\nthere is no event `{name}`, but RunFailed, RunSucceeded"))
    });
    let place = Place::with(&server);
    for (typed, meant) in [("runsuceeded", "RunSucceeded"), ("succeed", "RunSucceeded")] {
        let refused = place.knit(&["events", "--type", typed]);
        let hint = format!("hint: did you mean `--type {meant}`?\n");
        assert!(refused.code == 1 && refused.stderr.ends_with(&hint), "{refused}");
    }
    let refused = place.knit(&["events", "--type", "Bogus"]);
    assert!(!refused.stderr.contains("did you mean"), "{refused}");
}

#[test]
fn numbers_that_mean_nothing_are_values_that_cannot_be_read_and_the_help_that_is_named_can_be_pasted() {
    let place = Place::new();
    for (words, command) in [
        (&["data", "lineage", "-n", "0", "d1"][..], "knit data lineage"),
        (&["data", "lineage", "-n", "few", "d1"], "knit data lineage"),
        (&["events", "--last", "0"], "knit events"),
        (&["run", "show", "--attempt", "0", "r1"], "knit run show"),
        (&["data", "wait", "-t", "a:b", "--count", "0"], "knit data wait"),
    ] {
        let refused = place.knit(words);
        let end = format!("hint: `{command} --help` explains the command\n");
        assert!(refused.code == 1 && refused.stderr.ends_with(&end), "{refused}");
    }
}

#[test]
fn no_word_of_an_error_is_broken_on_a_terminal() {
    let server = Server::start(|_| {
        let why =
            "the Run was removed by somebody a long while ago and all that it had made was deleted together with it";
        Reply::error(409, &format!("conflict\n{why}"))
    });
    let seen = Place::with(&server).on_80_columns(&["run", "stop", "r1"]);
    assert!(seen.lines().all(|line| line.chars().count() <= 80), "{seen}");
    let words: Vec<&str> = seen.split_whitespace().collect();
    assert!(
        words.join(" ").contains("removed by somebody a long while ago and all that it had made was deleted"),
        "{seen}"
    );
}
