//! `knit init`, and which server a command asks.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::kit::Place;
use crate::server::{Reply, Server};

fn empty_server() -> Server {
    Server::start(|_| Reply::json(&json!([])))
}

#[test]
fn init_registers_a_profile_and_binds_the_directory() {
    let server = empty_server();
    let place = Place::new();
    place.write("handed-out", format!("apiRoot: {}/api/\ncert: {{}}\n", server.url()));
    let mut text = place.knit(&["init", "handed-out", "--profile", "harbor"]).to_string();
    assert_eq!(place.read(".knitprofile"), "harbor");
    for private in [".knitprofile", ".knit/profile"] {
        assert_eq!(place.at(private).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{private}");
    }
    assert_eq!(place.list(".knit"), ["profile"]);
    place.knit(&["data", "find"]).succeeded();
    assert_eq!(server.lines(), ["GET /api/data"]);
    text += &place.knit(&["init", "handed-out"]).to_string();
    insta::assert_snapshot!(text);
}

#[test]
fn what_the_store_says_of_others_is_kept() {
    let place = Place::new();
    place.write(".knit/profile", "old: {apiRoot: 'http://old/api', cert: {}, colour: blue}\n");
    place.write("handed-out", "apiRoot: http://new/api\ncert: {}\n");
    place.knit(&["--profile=new", "init", "handed-out"]).succeeded();
    let store = place.read(".knit/profile");
    assert!(store.contains("colour: blue") && store.contains("http://new/api"), "{store}");
}

#[test]
fn a_profile_that_is_none_changes_nothing() {
    let place = Place::new();
    place.write("mail", "apiRoot: mailto:x\n");
    place.write("certificate", "apiRoot: https://h/api\ncert: {ca: bm90IGEgY2VydGlmaWNhdGU=}\n");
    place.write("list", "- apiRoot\n");
    let mut text = String::new();
    for file in ["mail", "certificate", "list", "missing"] {
        text += &format!("{}\n", place.knit(&["init", file]));
    }
    insta::assert_snapshot!(text);
    assert_eq!(place.list("."), ["certificate", "list", "mail"]);
}

#[test]
fn a_profile_that_is_not_registered_tells_what_to_do() {
    let place = Place::new();
    place.write(".knitprofile", "harbor\n");
    insta::assert_snapshot!(place.knit(&["data", "find"]));
}

#[test]
fn without_any_configuration_the_server_of_this_machine_is_asked() {
    // A proxy that is configured is not asked about this machine.
    let proxy = empty_server();
    let here = Server::start_at("127.0.0.1:30803", |_| Reply::json(&json!([])));
    let place = Place::new();
    let mut command = place.command(&["data", "find"]);
    let output = command.env("HTTP_PROXY", proxy.url()).env("http_proxy", proxy.url()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    match here {
        Ok(here) => {
            assert!(output.status.success(), "{told}");
            assert!(here.lines().contains(&"GET /api/data".to_owned()), "{told}");
        }
        // A server of somebody is there: then that one is asked, whatever it answers.
        Err(taken) => {
            assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
            assert!(!told.contains("cannot reach the server"), "{told}");
        }
    }
    assert_eq!(proxy.lines(), [""; 0]);
}

#[test]
fn a_server_may_be_named_by_hand() {
    let (here, there) = (empty_server(), empty_server());
    let place = Place::with(&here);
    place.knit(&["data", "find"]).succeeded();
    place.knit(&["data", "find", "--server", &there.url()]).succeeded();
    assert_eq!((here.lines().len(), there.lines().len()), (1, 1));
    insta::assert_snapshot!(place.knit(&["data", "find", "--server", "here"]));
}

#[test]
fn over_tls_only_the_authority_of_the_profile_is_trusted() {
    let server = Server::start_tls(|_| Reply::json(&json!([])));
    let place = Place::new();
    let ca = base64(include_bytes!("tls/authority.pem"));
    place.write("trusting", format!("apiRoot: {}/api\ncert: {{ca: {ca}}}\n", server.url()));
    place.write("stranger", format!("apiRoot: {}/api\ncert: {{}}\n", server.url()));
    place.knit(&["init", "trusting", "--profile", "trusting"]).succeeded();
    place.knit(&["init", "stranger", "--profile", "stranger"]).succeeded();
    place.knit(&["data", "find", "--profile", "trusting"]).succeeded();
    let refused = place.knit(&["data", "find", "--profile", "stranger"]);
    assert_eq!(refused.code, 3, "{refused}");
    assert!(refused.stderr.contains("certificate"), "{refused}");
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].version, http::Version::HTTP_2);
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn where_a_profile_is_missing_those_that_there_are_are_named() {
    let place = Place::new();
    place.write("store", "work: {apiRoot: http://127.0.0.1:1}\nplay: {apiRoot: http://127.0.0.1:1}\n");
    let told = place.knit(&["data", "find", "--profile-store", "store", "--profile", "wrok"]);
    assert_eq!(told.code, 1);
    assert!(told.stderr.contains("hint: there are these: work, play\n"), "{told}");
}
