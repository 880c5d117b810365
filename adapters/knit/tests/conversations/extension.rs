//! Extension commands.

use crate::kit::Place;

fn place_with(name: &str, script: &str) -> Place {
    let place = Place::new().path("bin");
    place.write_program(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
    place
}

#[test]
fn an_extension_gets_its_words_the_profile_and_gives_its_own_status() {
    let script = "echo \"$@\"; echo \"$KNIT_PROFILE|$KNIT_PROFILE_STORE|$KNIT_ENV\"; exit 42";
    let place = place_with("knit-hello", script);
    place.write("knitenv", "");
    insta::assert_snapshot!(place.knit(&[
        "--profile",
        "p",
        "hello",
        "-x",
        "a",
        "--profile-store",
        "s",
        "--",
        "--env",
        "e"
    ]));
}

#[test]
fn extensions_are_listed_and_never_stand_in_for_commands() {
    let place = place_with("knit-data", "echo mine");
    let help = place.knit(&["--help"]).succeeded();
    assert!(help.stdout.contains("Extensions:\n  data  [HOME]/bin/knit-data"), "{help}");
    assert!(!place.knit(&["data", "--help"]).succeeded().stdout.contains("mine"));
}

#[test]
fn a_file_that_cannot_be_executed_is_no_extension() {
    let place = Place::new().path("bin");
    place.write("bin/knit-plain", "");
    assert_eq!(place.knit(&["plain"]).code, 2);
}
