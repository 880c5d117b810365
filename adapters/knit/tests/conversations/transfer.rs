//! `knit data push` and `knit data pull`.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::process::Stdio;

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use serde_json::json;

use crate::data::detail;
use crate::failures::interrupt;
use crate::kit::Place;
use crate::profile::base64;
use crate::server::{Reply, Request, Server};

fn md5(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// Takes uploads and tag changes.
fn storing(request: &Request) -> Reply {
    let tags = if request.method == "POST" { &["knit#id:d1"][..] } else { &["knit#id:d1", "type:corpus"] };
    Reply::json(&detail("d1", tags))
}

/// Names and contents of an upload, links as `name->target`.
fn contents(body: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(GzDecoder::new(body));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let link = entry.link_name().unwrap().map(|target| target.display().to_string());
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        link.map_or(format!("{name}={text}"), |target| format!("{name}->{target}"))
    });
    entries.collect()
}

fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_directory_is_uploaded_with_its_checksum_and_then_tagged() {
    let server = Server::start(storing);
    let place = Place::with(&server);
    place.write("corpus/a.txt", "one");
    place.write("corpus/sub/b.txt", "two");
    symlink("../a.txt", place.at("corpus/sub/link")).unwrap();
    place.write("knitenv", "tag: [\"project:harbor\", \"type:corpus\", \"knit#id:x\"]\n");
    insta::assert_snapshot!(place.knit(&["data", "push", "-t", "type:corpus", "--name", "corpus/"]));
    let requests = server.requests();
    assert_eq!(server.lines(), ["POST /api/data", "PUT /api/data/d1"]);
    assert_eq!(requests[0].header("content-type"), "application/tar+gzip");
    assert_eq!(requests[0].header("transfer-encoding"), "chunked");
    assert_eq!(requests[0].trailers.get("x-checksum-md5").unwrap(), &md5(&requests[0].body));
    assert_eq!(contents(&requests[0].body), ["a.txt=one", "sub/b.txt=two", "sub/link->../a.txt"]);
    let change: serde_json::Value = serde_json::from_slice(&requests[1].body).unwrap();
    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    let add = [tag("name", "corpus"), tag("project", "harbor"), tag("type", "corpus")];
    assert_eq!(change, json!({"add": add, "remove": [], "remove_key": []}));
}

#[test]
fn what_was_uploaded_is_told_in_a_few_lines_on_a_terminal_and_by_its_id_where_only_that_is_wanted() {
    let server = Server::start(storing);
    let place = Place::with(&server);
    place.write("corpus/a.txt", "one");
    let told = place.on_80_columns(&["data", "push", "corpus"]);
    assert!(told.contains("\nData d1\n  tags: ") && !told.contains('{'), "{told}");
    assert_eq!(place.knit(&["data", "push", "-o", "name", "corpus"]).succeeded().stdout, "d1\n");
}

#[test]
fn over_http_2_the_checksum_travels_too() {
    let server = Server::start_tls(storing);
    let place = Place::new();
    let ca = base64(include_bytes!("tls/authority.pem"));
    place.write(".knit/profile", format!("p: {{apiRoot: '{}/api', cert: {{ca: {ca}}}}}\n", server.url()));
    // More than fits the buffers on the way, so that the stream really flows.
    place.write("big/file", noise(3_000_000));
    place.knit(&["--profile", "p", "data", "push", "big"]).succeeded();
    let upload = &server.requests()[0];
    assert_eq!(upload.version, http::Version::HTTP_2);
    assert_eq!(upload.trailers.get("x-checksum-md5").unwrap(), &md5(&upload.body));
}

#[test]
fn downloads_over_http_2_are_checked_too() {
    let bytes = archive(&[("a", &"text".repeat(100_000))]);
    let server = Server::start_tls(move |_| Reply::bytes(bytes.clone()).md5(&md5(&bytes)));
    let place = Place::new();
    let ca = base64(include_bytes!("tls/authority.pem"));
    place.write(".knit/profile", format!("p: {{apiRoot: '{}/api', cert: {{ca: {ca}}}}}\n", server.url()));
    place.knit(&["--profile", "p", "data", "pull", "-x", "d1"]).succeeded();
    assert_eq!(place.read("d1/a").len(), 400_000);
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

#[test]
fn a_source_that_is_missing_is_skipped_and_the_others_are_not() {
    let server = Server::start(storing);
    let place = Place::with(&server);
    place.write("file.txt", "alone");
    symlink("missing", place.at("dangling")).unwrap();
    insta::assert_snapshot!(place.knit(&["data", "push", "missing", "dangling", "file.txt"]));
    assert_eq!(contents(&server.requests()[0].body), ["file.txt=alone"]);
}

#[test]
fn what_would_come_to_nothing_is_refused_before_anything_is_sent() {
    let server = Server::start(storing);
    let place = Place::with(&server);
    place.write("good/file.txt", "1");
    place.write("\"quoted\"/file.txt", "1");
    place.write("blocking", "1");
    let mut text = String::new();
    for words in [
        &["data", "push", "wrong", "worse"][..],
        &["data", "push", "/dev/null"],
        &["data", "push", "-t", "a:new\nline", "good"],
        &["data", "push", "-n", "good", "\"quoted\""],
        &["data", "tag", "--add", "a:back\\slash", "d1"],
    ] {
        text += &format!("{}\n", place.knit(words));
    }
    assert_eq!(server.lines(), [""; 0]);
    text += &place.knit(&["data", "pull", "d1", "blocking"]).to_string();
    text += &place.knit(&["--env", "missing", "data", "push", "good"]).stderr;
    insta::assert_snapshot!(text);
}

#[test]
fn links_are_followed_when_asked() {
    let server = Server::start(storing);
    let place = Place::with(&server);
    place.write("elsewhere/x", "1");
    place.write("data/own", "2");
    symlink(place.at("elsewhere"), place.at("data/linked")).unwrap();
    symlink("data", place.at("alias")).unwrap();
    place.knit(&["data", "push", "-L", "alias"]).succeeded();
    place.knit(&["data", "push", "alias"]).succeeded();
    assert_eq!(contents(&server.requests()[0].body), ["linked/x=1", "own=2"]);
    assert_eq!(contents(&server.requests()[2].body).len(), 2);
}

#[test]
fn data_that_could_not_be_tagged_is_named() {
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => storing(request),
        _ => Reply::error(500, "unexpected error"),
    });
    let place = Place::with(&server);
    place.write("corpus/a", "");
    insta::assert_snapshot!(place.knit(&["data", "push", "-t", "type:corpus", "-t", "lang:en", "corpus", "corpus"]));
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn an_upload_that_is_refused_says_why() {
    let server = Server::start(|_| Reply::error(400, "bad request\nthe archive is larger than 1 GiB"));
    let place = Place::with(&server);
    place.write("corpus/a", "");
    insta::assert_snapshot!(place.knit(&["data", "push", "corpus"]));
}

#[test]
fn files_that_cannot_be_packed_break_the_upload_and_are_named() {
    let server = Server::start(storing);
    let place = Place::with(&server);
    place.write("corpus/a", "");
    symlink("nowhere", place.at("corpus/dangling")).unwrap();
    insta::assert_snapshot!(place.knit(&["data", "push", "--dereference", "corpus"]));
    assert_eq!(server.requests().first().and_then(|upload| upload.trailers.get("x-checksum-md5")), None);
}

#[test]
fn an_archive_is_saved_and_a_repeated_pull_replaces_it() {
    let bytes = archive(&[("a", "one")]);
    let sent = bytes.clone();
    let server = Server::start(move |_| Reply::bytes(sent.clone()).md5(&md5(&sent)));
    let place = Place::with(&server);
    for _ in 0..2 {
        let pulled = place.knit(&["data", "pull", "d1", "down/here"]).succeeded();
        assert_eq!((pulled.stdout.as_str(), pulled.stderr.as_str()), ("", ""));
        assert_eq!(place.list("down/here"), ["d1.tar.gz"]);
        assert_eq!(std::fs::read(place.at("down/here/d1.tar.gz")).unwrap(), bytes);
    }
    let printed = place.command(&["data", "pull", "d1", "-"]).output().unwrap();
    assert_eq!(printed.stdout, bytes);
    assert_eq!(server.lines(), ["GET /api/data/d1"; 3]);
}

#[test]
fn what_is_no_result_yet_is_told() {
    for (state, told) in [("processing", "has not ended; this is what there is so far"), ("failed", "has failed")] {
        let bytes = archive(&[("a", "one")]);
        let server =
            Server::start(move |_| Reply::bytes(bytes.clone()).md5(&md5(&bytes)).header("x-knit-transient", state));
        let pulled = Place::with(&server).knit(&["data", "pull", "d1"]).succeeded();
        assert!(pulled.stderr.starts_with("note: the Run that ") && pulled.stderr.contains(told), "{pulled}");
    }
}

#[test]
fn files_are_extracted_below_the_id() {
    let server = Server::start(|_| {
        let bytes = archive(&[("a", "one"), ("sub/b", "two")]);
        Reply::bytes(bytes.clone()).md5(&md5(&bytes))
    });
    let place = Place::with(&server);
    for _ in 0..2 {
        place.knit(&["data", "pull", "-x", "d1", "~/there"]).succeeded();
        assert_eq!((place.read("there/d1/a"), place.read("there/d1/sub/b")), ("one".to_owned(), "two".to_owned()));
        assert_eq!(place.list("there"), ["d1"]);
    }
}

#[test]
fn downloads_that_are_damaged_or_end_early_leave_nothing() {
    let whole = || Reply::bytes(archive(&[("a", "one")]));
    let mut text = String::new();
    for reply in [
        whole(),
        whole().md5("d41d8cd98f00b204e9800998ecf8427e"),
        whole().broken(),
        Reply::bytes("this is no archive").md5(&md5(b"this is no archive")),
        Reply::error(404, "not found"),
    ] {
        let server = Server::start(move |_| reply.clone());
        for words in [&["data", "pull", "d1", "down"][..], &["data", "pull", "-x", "d1", "down"]] {
            let place = Place::with(&server);
            let answer = place.knit(words);
            let is_saved = answer.code == 0;
            text += &format!("{answer}\n");
            let left = if place.at("down").exists() { place.list("down") } else { Vec::new() };
            assert_eq!(left.len(), usize::from(is_saved), "{answer}");
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn an_archive_that_leads_outside_is_refused() {
    let server = Server::start(|_| {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..9].copy_from_slice(b"../escape");
        header.set_size(0);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
        let bytes = builder.into_inner().unwrap().finish().unwrap();
        Reply::bytes(bytes.clone()).md5(&md5(&bytes))
    });
    let place = Place::with(&server);
    insta::assert_snapshot!(place.knit(&["data", "pull", "-x", "d1", "down"]));
    assert!(!place.at("down").exists(), "a directory that was made for nothing is left");
}

#[test]
fn a_download_that_fails_leaves_what_was_there_before() {
    let server = Server::start(|_| Reply::bytes("no archive").md5(&md5(b"no archive")));
    let place = Place::with(&server);
    place.write("there/kept", "");
    assert_eq!(place.knit(&["data", "pull", "-x", "d1", "there/a/b"]).code, 1);
    assert_eq!(place.list("there"), ["kept"]);
    std::fs::create_dir(place.at("empty")).unwrap();
    assert_eq!(place.knit(&["data", "pull", "-x", "d1", "empty"]).code, 1);
    assert!(place.at("empty").exists(), "a directory of the user was removed");
}

#[test]
fn a_server_that_is_slow_to_answer_is_waited_for_and_that_is_said() {
    let (answer, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let server = Server::start(move |request| {
        if request.method == "POST" {
            // Bounded, so that a program that says nothing fails the test instead of hanging it.
            let _ = told.lock().unwrap().recv_timeout(std::time::Duration::from_secs(20));
        }
        storing(request)
    });
    let place = Place::with(&server);
    place.write("corpus/a", "");
    let mut child =
        place.command(&["data", "push", "corpus"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line.ends_with("waiting for the server...")));
    answer.send(()).unwrap();
    assert!(lines.any(|line| line.contains("uploaded as Data `d1`")));
    assert!(child.wait().unwrap().success());
}

#[test]
fn ctrl_c_ends_an_upload_that_stands_still() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    place.write("big/file", noise(20_000_000));
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut command = place.command(&["data", "push", "big"]);
    let mut child = command.env("KNIT_SERVER", url).stderr(Stdio::piped()).spawn().unwrap();
    let (mut connection, _) = listener.accept().unwrap();
    connection.read_exact(&mut [0; 100_000]).unwrap();
    interrupt(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn ctrl_c_leaves_no_half_written_files() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut command = place.command(&["data", "pull", "d1", "down"]);
    let mut child = command.env("KNIT_SERVER", url).stderr(Stdio::piped()).spawn().unwrap();
    let (mut connection, _) = listener.accept().unwrap();
    connection.read_exact(&mut [0; 3]).unwrap();
    std::io::Write::write_all(&mut connection, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !place.at("down").exists() || place.list("down").is_empty() {
        assert!(std::time::Instant::now() < deadline, "nothing is written");
        std::thread::yield_now();
    }
    interrupt(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!place.at("down").exists(), "a directory that was made for nothing is left");
}
