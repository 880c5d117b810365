//! The socket is its owner's alone, is found by itself, and survives whatever happens to servers.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::process::Command;

use knit_tests::cli::Knit;
use knit_tests::program;
use knit_tests::server::Setup;
use knit_tests::workshop::Workshop;

#[test]
fn the_socket_is_for_its_owner_only_and_goes_with_the_server() {
    let mut shop = Workshop::open();
    let path = shop.server.state_dir().join("admin.sock");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    shop.server.stop();
    assert!(!path.exists(), "nothing is left of it");
}

#[test]
fn one_that_a_killed_server_has_left_is_replaced() {
    let mut shop = Workshop::open();
    let user = shop.user();
    shop.server.kill();
    let told = user.run(["admin", "projections"]).ended(3);
    let _ = told.tells("the server that opened it is gone: start `knitd`");
    shop.server.start();
    let _ = shop.knit(&["admin", "projections"]);
}

#[test]
fn one_at_which_a_living_server_listens_is_not_taken_from_it() {
    let shop = Workshop::open();
    let socket = shop.server.state_dir().join("admin.sock");
    let said = Setup::new().option("--admin-socket", socket.to_str().unwrap()).refused();
    assert!(said.contains("another server listens on the administration socket"), "{said}");
    let _ = shop.knit(&["admin", "projections"]);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let desk = tempfile::tempdir().unwrap();
    let notes = desk.path().join("notes");
    fs::write(&notes, "mine").unwrap();
    let said = Setup::new().option("--admin-socket", notes.to_str().unwrap()).refused();
    assert!(said.contains("is no socket: move it away, or name another path with --admin-socket"), "{said}");
    assert_eq!(fs::read_to_string(notes).unwrap(), "mine");
}

#[test]
fn a_path_that_is_too_long_is_told_by_both_programs() {
    let long = format!("/tmp/{}", "x".repeat(120));
    let said = Setup::new().option("--admin-socket", &long).refused();
    assert!(said.contains("a socket's path has at most 107 bytes, and this one has 125"), "{said}");
    let shop = Workshop::open();
    let _ = shop.refused(2, &["admin", "--socket", &long, "projections"]).tells("has 107 at most");
    let file = shop.new_path("file");
    fs::write(&file, "mine").unwrap();
    let _ = shop.refused(3, &["admin", "--socket", file.to_str().unwrap(), "doctor"]).tells("is no socket: name its");
}

#[test]
fn a_server_that_refuses_its_options_makes_nothing() {
    let desk = tempfile::tempdir().unwrap();
    let long = format!("/tmp/{}", "x".repeat(120));
    for (option, value) in [("--admin-socket", long.as_str()), ("--database", "nonsense://here")] {
        let state = desk.path().join("state");
        let mut command = Command::new(program::path("knitd"));
        command.arg("--state-dir").arg(&state).args([option, value]).env_clear();
        let refused = command.output().expect("it can be started");
        assert!(!refused.status.success() && !state.exists(), "{refused:?}");
    }
}

#[test]
fn it_is_found_by_its_name_and_where_it_is_not_a_person_learns_why() {
    let shop = Workshop::open();
    let path = shop.server.state_dir().join("admin.sock").to_str().unwrap().to_owned();
    let stranger = Knit::new(shop.server.desk(), "http://127.0.0.1:1/api");
    let _ = stranger.run(["admin", "projections", "--socket", &path]).ok();
    let nowhere = stranger.run(["admin", "projections"]).ended(3);
    let _ = nowhere.tells("does `knitd` run on this machine").tells("`--socket`");
    // Somebody else's program listens there, and says nothing that is understood.
    let other = shop.server.desk().join("other.sock");
    let listener = UnixListener::bind(&other).unwrap();
    let silent = stranger.start(["admin", "projections", "--socket", other.to_str().unwrap()]);
    let (mut asked, _) = listener.accept().unwrap();
    assert!(asked.read(&mut [0; 16]).unwrap() > 0, "it asks");
    silent.interrupt();
    let _ = silent.finish().ended(130);
}

#[test]
fn administration_is_not_on_the_api() {
    let shop = Workshop::open();
    for (method, target) in
        [("GET", "/admin/projections"), ("GET", "/api/admin/projections"), ("POST", "/admin/snapshots")]
    {
        let answer = shop.server.http().try_json(method, target, None).unwrap();
        assert_eq!(answer.status, 404, "{method} {target}");
    }
}
