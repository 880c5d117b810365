//! Closed by default: nobody but the user of this machine gets in, and no web page through the user's browser.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use knit_tests::archive::Archive;
use knit_tests::workshop::Workshop;
use serde_json::json;

#[test]
fn the_state_is_for_its_owner_only() {
    let shop = Workshop::open();
    let mode = fs::metadata(shop.server.state_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn foreign_hosts_and_origins_are_refused() {
    let shop = Workshop::open();
    let own = shop.server.address().to_string();
    let ask = |headers: &[(&str, &str)]| {
        let mut connection = shop.server.http().connect();
        connection.head("GET", "/api/data", headers);
        connection.response()
    };
    for headers in [
        &[("Host", "evil.example")][..],
        &[("Host", "localhost.evil.example")],
        &[("Host", "192.0.2.1:30803")],
        &[("Host", "")],
        &[("Host", own.as_str()), ("Origin", "http://evil.example")],
        &[("Host", own.as_str()), ("Origin", "null")],
        &[("Host", own.as_str()), ("Origin", "http://127.0.0.1:1")],
    ] {
        let answer = ask(headers);
        assert_eq!(answer.status, 403, "{headers:?}: {}", answer.text());
        assert!(!answer.message().is_empty());
    }
    for headers in [
        &[("Host", own.as_str())][..],
        &[("Host", "localhost:1")],
        &[("Host", own.as_str()), ("Origin", &format!("http://{own}"))],
    ] {
        assert_eq!(ask(headers).status, 200, "{headers:?}");
    }
}

#[test]
fn a_foreign_page_cannot_upload() {
    let shop = Workshop::open();
    let archive = Archive::new().file("it", b"x").gzip();
    let answer = shop.server.http().send("POST", "/api/data", &[("Origin", "http://evil.example")], &archive);
    assert_eq!(answer.status, 403);
    assert_eq!(shop.server.http().get("/api/runs").json(), json!([]), "no upload has begun");
}
