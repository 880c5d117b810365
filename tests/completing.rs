//! Completion as people use it: Tab is pressed in bash and zsh, and fish is asked what it would show.

use std::fmt::Debug;
use std::fs::{self, File};
use std::process::{Command, Stdio};

use knit_tests::plans::PlanFile;
use knit_tests::program;
use knit_tests::workshop::Workshop;

/// Runs `command` where a user of the shop works; answers what it prints, on a terminal or elsewhere.
fn printed(shop: &Workshop, mut command: Command) -> String {
    let programs = program::path("knit").parent().expect("it lies in a directory").to_owned();
    command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", programs.display())).env("HOME", shop.server.desk());
    command.env("KNIT_SERVER", format!("http://{}", shop.server.address())).env("LC_ALL", "C.UTF-8");
    command.env("TERM", "xterm").env("ZDOTDIR", shop.server.desk()).current_dir(shop.server.desk());
    let output = command.stderr(Stdio::inherit()).output().expect("it can be started");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// How often Tab is pressed at most.
const TRIES: usize = 10;

/// Asks until the answer is right: a server that does not answer within a second is not waited for, and whoever is offered
/// nothing then presses Tab again.
#[track_caller]
fn in_the_end<T: Debug>(mut ask: impl FnMut() -> T, is_right: impl Fn(&T) -> bool) {
    let mut told = ask();
    for _ in 1..TRIES {
        if is_right(&told) {
            return;
        }
        told = ask();
    }
    assert!(is_right(&told), "{told:?}");
}

/// Starts `shell` on a terminal, types `keys` and answers all that is then to be seen.
fn typed(shop: &Workshop, shell: &str, keys: &str) -> String {
    let file = shop.new_path("keys");
    fs::write(&file, keys).unwrap();
    let mut command = Command::new("script");
    command.args(["-qec", shell, "/dev/null"]).stdin(File::open(&file).unwrap());
    printed(shop, command)
}

/// What the function of bash offers for a line, of which bash replaces `replaced`.
fn bash_offers(shop: &Workshop, line: &str, replaced: &str) -> Vec<String> {
    let script = r#"eval "$(knit completion bash)"
        COMP_LINE="$1" COMP_POINT=${#1}
        _knit_completion knit "$2" ""
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", script, "bash", line, replaced]);
    printed(shop, command).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_offers_commands_ids_and_tags() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["project:hello", "note:two words"]);
    let plan = shop.apply(&PlanFile::shell("true").input("/in", &["no:match"]).output("/out", &["c:d"]));
    let offers = |line: &str, replaced: &str, expected: &[&str]| {
        in_the_end(|| bash_offers(&shop, line, replaced), |offered| *offered == expected);
    };
    offers("knit li", "li", &[]);
    offers("knit data lin", "lin", &["lineage"]);
    offers(&format!("knit data lineage {}", &data[..4]), &data[..4], &[&*data]);
    in_the_end(|| bash_offers(&shop, "knit plan show ", ""), |offered| offered.contains(&plan));
    offers("knit data find -t ", "", &["c:", "knit#id:", "knit#timestamp:", "no:", "note:", "project:"]);
    offers("knit data find -t project:he", "he", &["hello"]);
    offers("knit data find -t note:", "", &[r"two\ words"]);
    offers("knit data tag --remove-key pro", "pro", &["project"]);
}

#[test]
fn tab_in_bash_completes_what_is_typed() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["project:hello", "note:two words"]);
    let profile = shop.server.desk().join("bashrc");
    fs::write(profile, "PS1='> '\neval \"$(knit completion bash)\"\n").unwrap();
    for tag in ["pro\the\t", "note:tw\t", "'project:he\t", "\"note:two w\t"] {
        let keys = format!("knit data fi\t --outp\t name -t {tag}\nexit\n");
        let found = |seen: &String| seen.lines().any(|line| line.trim().ends_with(&data));
        in_the_end(|| typed(&shop, "bash --rcfile bashrc -i", &keys), found);
    }
}

#[test]
fn tab_in_zsh_completes_what_is_typed() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["project:hello", "note:two words"]);
    let profile = "PS1='> '\nautoload -Uz compinit; compinit -u -D\neval \"$(knit completion zsh)\"\n";
    fs::write(shop.server.desk().join(".zshrc"), profile).unwrap();
    for tag in ["pro\the\t", "note:tw\t", "'project:he\t"] {
        let keys = format!("knit data fi\t--outp\t name -t {tag}\nexit\n");
        let found = |seen: &String| seen.lines().any(|line| line.trim().ends_with(&data));
        in_the_end(|| typed(&shop, "zsh -i", &keys), found);
    }
}

#[test]
fn fish_shows_commands_ids_and_tags() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["project:hello", "note:two words"]);
    let shown = |line: &str| {
        let mut command = Command::new("fish");
        command.args(["--no-config", "-c", "knit completion fish | source; complete -C \"$argv[1]\"", line]);
        printed(&shop, command)
    };
    assert!(shown("knit data li").starts_with("lineage\tShow where a Data comes from"), "{}", shown("knit data li"));
    let line = format!("{data}\tnote:two words project:hello\n");
    in_the_end(|| shown("knit data lineage "), |told| *told == line);
    in_the_end(|| shown("knit data find -t project:"), |told| told == "project:hello\n");
    in_the_end(|| shown("knit data find -t 'note:two w"), |told| told == "note:two words\n");
}

/// There is no PowerShell to try it in; its script runs this and takes each line apart at the tabulators.
#[test]
fn what_the_script_for_powershell_asks_is_answered_line_by_line() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["project:hello", "note:two words"]);
    let answered = |line: &str, word: &str| {
        let mut command = Command::new("sh");
        let variables = "KNIT_COMPLETE=powershell KNIT_COMPLETE_LINE=\"$1\" KNIT_COMPLETE_WORD=\"$2\"";
        command.args(["-c", &format!("{variables} knit"), "sh", line, word]);
        printed(&shop, command)
    };
    let commands = answered("knit data li", "li");
    assert!(commands.starts_with("lineage\tlineage\tShow where a Data comes from"), "{commands}");
    let shown = format!("{data}\t{data}\tnote:two words project:hello\n");
    in_the_end(|| answered("knit data lineage ", ""), |told| *told == shown);
    let hello = "project:hello\tproject:hello\tproject:hello\n";
    in_the_end(|| answered("knit data find -t project:", "project:"), |told| told == hello);
    let two_words = "'note:two words'\tnote:two words\tnote:two words\n";
    in_the_end(|| answered("knit data find -t 'note:two w", "'note:two w'"), |told| told == two_words);
}
