//! The guides tell the truth: every command in them is run, in order, and shows what the guide shows.
//!
//! A `yaml` block whose first line is `# NAME.yaml` is a file. A `console` block is what a person sees: lines
//! that begin with `$ ` are typed, the others are the answer. In an answer,
//!
//! - a name that ends in `_ID` stands for one id, the same wherever it comes up, commands included;
//! - `TIME` stands for any time, `A_NUMBER` for any number, `A_SIZE` for any number of bytes and `A_DIGEST` for any
//!   hash; beside numbers and sizes, columns may be of any width;
//! - a line with nothing but `…` stands for any lines.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use knit_tests::program;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;

/// Characters of an id.
const ID_CHARS: usize = 36;
/// Characters of a hash.
const DIGEST_CHARS: usize = 64;
/// Where the guide says that the server is: where it is without options.
const ADDRESS: &str = "127.0.0.1:30803";
/// Commands that only ask. The guide does not show waiting, so they are asked until the answer is its own.
const QUESTIONS: [&str; 13] = [
    "knit admin doctor",
    "knit admin projections",
    "knit data find",
    "knit data pull",
    "knit data lineage",
    "knit plan find",
    "knit plan show",
    "knit plan graph",
    "knit run find",
    "knit run show",
    "knit audit",
    "knit version",
    "timeout --signal INT 3 knit run lineage",
];

/// The guide for users.
const USERS: &str = "docs/user-guide.md";
/// The guide for administrators.
const ADMINISTRATORS: &str = "docs/admin-guide.md";

#[test]
fn every_command_of_the_guide_for_users_shows_what_the_guide_shows() {
    follow(USERS, &shop());
}

#[test]
fn every_command_of_the_guide_for_administrators_shows_what_the_guide_shows() {
    let shop = shop();
    // There is something to administer.
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    follow(ADMINISTRATORS, &shop);
}

fn shop() -> Workshop {
    // What the server logs for each of many questions would hide what went wrong.
    // The log of a guide is short, and its archive has segments all the same.
    Workshop::with(Setup::new().logging("info").option("--archive-segment", "2"))
}

fn follow(path: &str, shop: &Workshop) {
    let mut reader = Reader { shop, ids: HashMap::new(), last_code: 0 };
    for block in blocks(&guide(path)) {
        match block {
            Block::File { name, text } => fs::write(shop.server.desk().join(name), text).unwrap(),
            Block::Command { typed, answer } => reader.try_out(&typed, &answer),
        }
    }
}

#[test]
fn the_guides_show_every_command() {
    let of_users = ["data", "plan", "run", "audit"].map(|group| (USERS, group));
    let of_administrators = ["admin", "admin log"].map(|group| (ADMINISTRATORS, group));
    for (path, group) in of_users.into_iter().chain(of_administrators) {
        let guide = guide(path);
        let help = Command::new(program::path("knit")).args(group.split(' ')).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        // What a line has no room for goes on in the next, further in.
        let begun = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
        let verbs: Vec<&str> = begun.filter_map(|line| line.split_whitespace().next()).collect();
        assert!(!verbs.is_empty(), "`knit {group} --help` lists its commands");
        for verb in verbs.into_iter().filter(|verb| *verb != "help") {
            let shown = [" ", "\n"].iter().any(|end| guide.contains(&format!("$ knit {group} {verb}{end}")));
            assert!(shown, "knit {group} {verb} is in no example");
        }
    }
}

fn guide(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie below the root");
    fs::read_to_string(root.join(path)).unwrap()
}

/// What the reader of the guide does next.
enum Block {
    File { name: String, text: String },
    Command { typed: String, answer: Vec<String> },
}

fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    // Fences come in pairs, so every other part lies inside one.
    for fenced in guide.split("```").skip(1).step_by(2) {
        let (language, text) = fenced.split_once('\n').expect("a fence is on a line of its own");
        match language {
            "yaml" => {
                let name =
                    text.lines().next().and_then(|line| line.strip_prefix("# ")).filter(|n| n.ends_with(".yaml"));
                blocks.extend(name.map(|name| Block::File { name: name.to_owned(), text: text.to_owned() }));
            }
            "console" => blocks.extend(commands(text)),
            _ => {}
        }
    }
    blocks
}

fn commands(text: &str) -> Vec<Block> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(typed), _) => commands.push((typed.to_owned(), Vec::new())),
            (None, Some((_, answer))) => answer.push(line.to_owned()),
            (None, None) => panic!("a console block begins with a command, not with {line:?}"),
        }
    }
    commands.into_iter().map(|(typed, answer)| Block::Command { typed, answer }).collect()
}

/// Somebody who types what the guide shows.
struct Reader<'a> {
    shop: &'a Workshop,
    /// What the guide calls an id, and the id.
    ids: HashMap<String, String>,
    /// How the last command ended, for `echo $?`.
    last_code: i32,
}

impl Reader<'_> {
    fn try_out(&mut self, typed: &str, expected: &[String]) {
        let is_question = QUESTIONS.iter().any(|question| typed.starts_with(question));
        // Beside what is of any length columns are of any width.
        let varies = expected.iter().any(|line| line.contains("A_NUMBER") || line.contains("A_SIZE"));
        let wanted: Vec<String> =
            if varies { expected.iter().map(|line| squeezed(line)).collect() } else { expected.to_vec() };
        let mut told = String::new();
        let mut look = || {
            let (code, text) = self.run(typed);
            let lines: Vec<String> =
                text.lines().map(|line| if varies { squeezed(line) } else { line.to_owned() }).collect();
            let ids = matched(&wanted, &lines.iter().map(String::as_str).collect::<Vec<_>>(), &self.ids);
            if told != text {
                println!("$ {typed}\n{text}");
            }
            told = text;
            ids.map(|ids| (self.ids, self.last_code) = (ids, code)).is_some()
        };
        let seen = look();
        if !seen && is_question {
            let expectation = format!("the answer of the guide to\n$ {typed}\n{}\n", expected.join("\n"));
            wait_until(&expectation, look);
        } else {
            assert!(seen, "the guide says\n$ {typed}\n{}\n\nbut the answer is\n{told}", expected.join("\n"));
        }
    }

    /// Types a line into a shell; answers how it ended and what the terminal shows.
    fn run(&self, typed: &str) -> (i32, String) {
        let line: String = words(typed).map(|word| self.ids.get(word).map_or(word, String::as_str)).collect();
        let programs = program::path("knit").parent().expect("it lies in a directory").to_owned();
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("exec 2>&1\n(exit {})\n{line}", self.last_code)).stdin(Stdio::null()).env_clear();
        command.env("PATH", format!("{}:/usr/bin:/bin", programs.display())).env("HOME", self.shop.server.desk());
        command.env("KNIT_SERVER", format!("http://{}", self.shop.server.address()));
        command.env("KNITD_STATE_DIR", self.shop.server.state_dir());
        let output = command.current_dir(self.shop.server.desk()).output().expect("a shell can be started");
        let text = String::from_utf8_lossy(&output.stdout).replace(&self.shop.server.address().to_string(), ADDRESS);
        (output.status.code().unwrap_or(-1), text)
    }
}

/// Whether `actual` is what `expected` describes; answers the ids by name, with those that are new.
fn matched(expected: &[String], actual: &[&str], ids: &HashMap<String, String>) -> Option<HashMap<String, String>> {
    match (expected.split_first(), actual.split_first()) {
        (None, None) => Some(ids.clone()),
        (Some((gap, rest)), _) if gap.trim() == "…" => {
            (0..=actual.len()).find_map(|skipped| matched(rest, &actual[skipped..], ids))
        }
        (Some((line, rest)), Some((told, others))) => matched(rest, others, &line_matched(line, told, ids.clone())?),
        _ => None,
    }
}

fn line_matched(expected: &str, actual: &str, mut ids: HashMap<String, String>) -> Option<HashMap<String, String>> {
    let mut rest = actual;
    for word in words(expected) {
        let chars = match word {
            "TIME" => time_chars(rest)?,
            "A_NUMBER" => chars_of(rest, |c| c.is_ascii_digit())?,
            "A_DIGEST" => chars_of(rest, |c| c.is_ascii_hexdigit()).filter(|chars| *chars == DIGEST_CHARS)?,
            "A_SIZE" => size_chars(rest)?,
            name if name.ends_with("_ID") => {
                let id = rest.get(..ID_CHARS).filter(|id| is_id(id))?;
                if ids.entry(name.to_owned()).or_insert_with(|| id.to_owned()) != id {
                    return None;
                }
                ID_CHARS
            }
            text => rest.starts_with(text).then_some(text.len())?,
        };
        rest = &rest[chars..];
    }
    rest.is_empty().then_some(ids)
}

/// A line with its columns as near to each other as they can be.
fn squeezed(line: &str) -> String {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("  ")
}

/// How many characters `text` begins with that are so.
fn chars_of(text: &str, is_part: impl Fn(char) -> bool) -> Option<usize> {
    Some(text.find(|c| !is_part(c)).unwrap_or(text.len())).filter(|chars| *chars > 0)
}

/// How many characters of a number of bytes `text` begins with: a number and its unit.
fn size_chars(text: &str) -> Option<usize> {
    let number = chars_of(text, |c| c.is_ascii_digit() || c == '.')?;
    let unit = ["B", "KiB", "MiB", "GiB"]
        .iter()
        .find(|unit| text[number..].strip_prefix(' ').is_some_and(|rest| rest.starts_with(**unit)))?;
    Some(number + 1 + unit.len())
}

/// Cuts a line into names, which hold capitals and underscores, and what lies between them.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let mut rest = line;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest.find(|c| is_name(c) != is_name(first)).unwrap_or(rest.len());
        let (word, others) = rest.split_at(end);
        rest = others;
        Some(word)
    })
}

fn is_id(text: &str) -> bool {
    text.bytes().enumerate().all(|(i, byte)| match i {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    })
}

/// How many characters of a time `text` begins with: a date, and what else may stand in a time.
fn time_chars(text: &str) -> Option<usize> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '/' | ':' | '.' | '+' | 'T');
    let date = text.find(|c| !is_part(c)).unwrap_or(text.len());
    // Log lines have a space between date and time.
    let time = text[date..].strip_prefix(' ').map_or(0, |time| 1 + time.find(|c| !is_part(c)).unwrap_or(time.len()));
    let chars = if date == "2025/03/03".len() { date + time } else { date };
    (chars > "2025-03-03T10:15:30".len() - 1).then_some(chars)
}
