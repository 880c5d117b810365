//! A place to run `knit` in, and the record of what was said.
//!
//! The environment is empty but for a home directory and the time zone, so no setting of whoever runs
//! the tests can change an answer. What differs from run to run is written as a word in brackets.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use crate::server::Server;

/// A fresh home directory, which is also the working directory.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    server: Option<String>,
    path: Option<PathBuf>,
}

impl Place {
    /// Where nothing is configured.
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), server: None, path: None }
    }

    /// Where KNIT_SERVER names `server`.
    pub(crate) fn with(server: &Server) -> Self {
        Self { server: Some(server.url()), ..Self::new() }
    }

    /// With a PATH of one directory.
    pub(crate) fn path(mut self, relative: &str) -> Self {
        self.path = Some(self.at(relative));
        self
    }

    pub(crate) fn has_server(&self) -> bool {
        self.server.is_some()
    }

    pub(crate) fn at(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes a program. A process of its own does, and has ended: a file that this process has open to write may still be
    /// open in a child that another test is just starting, and then cannot be executed.
    pub(crate) fn write_program(&self, relative: &str, text: &str) {
        let (source, path) = (self.write(".program", text), self.at(relative));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("install").args(["-m", "755"]).arg(source).arg(path).status().unwrap().success());
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.at(relative)).unwrap()
    }

    /// Names in a directory, sorted.
    pub(crate) fn list(&self, relative: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.at(relative)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_knit"));
        command.args(words).env_clear().current_dir(self.directory.path());
        command.env("HOME", self.directory.path()).env("TZ", "UTC").stdin(Stdio::null());
        command.envs(self.server.iter().map(|server| ("KNIT_SERVER", server)));
        command.envs(self.path.iter().map(|path| ("PATH", path)));
        command
    }

    /// Runs `knit words…` to its end.
    pub(crate) fn knit(&self, words: &[&str]) -> Conversation {
        let output = self.command(words).output().unwrap();
        Conversation::new(words, &output, self.directory.path())
    }

    /// Runs `knit words…` on a terminal; answers all that is seen there.
    pub(crate) fn on_a_terminal(&self, words: &[&str]) -> String {
        self.at_a_prompt(&format!("'{}' {}", env!("CARGO_BIN_EXE_knit"), words.join(" ")), |_| ())
    }

    /// The same; `unseen` is there for as long as `sign` has not been seen.
    pub(crate) fn on_a_terminal_until(&self, words: &[&str], sign: &str, unseen: mpsc::Sender<()>) -> String {
        let mut unseen = Some(unseen);
        self.at_a_prompt(&format!("'{}' {}", env!("CARGO_BIN_EXE_knit"), words.join(" ")), |seen| {
            if String::from_utf8_lossy(seen).contains(sign) {
                unseen = None;
            }
        })
    }

    /// The same on a terminal of 80 columns and 24 rows, which ends its lines as everything else does.
    pub(crate) fn on_80_columns(&self, words: &[&str]) -> String {
        let line = format!("stty cols 80 rows 24; '{}' {}", env!("CARGO_BIN_EXE_knit"), words.join(" "));
        self.at_a_prompt(&line, |_| ()).replace('\r', "")
    }

    /// Types `line` on a terminal; answers all that is seen there, and shows `watch` what there is of it so far.
    fn at_a_prompt(&self, line: &str, mut watch: impl FnMut(&[u8])) -> String {
        let knit = self.command(&[]);
        let variables = knit.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let mut command = Command::new("/usr/bin/script");
        command.args(["-qec", line, "/dev/null"]).env_clear().envs(variables).env("TERM", "xterm");
        command.current_dir(self.directory.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (mut seen, mut piece, mut stdout) = (Vec::new(), [0; 4096], child.stdout.take().unwrap());
        loop {
            match stdout.read(&mut piece).unwrap() {
                0 => break,
                read => seen.extend_from_slice(&piece[..read]),
            }
            watch(&seen);
        }
        child.wait().unwrap();
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// The same, with these variables.
    pub(crate) fn knit_in(&self, words: &[&str], variables: &[(&str, &str)]) -> Conversation {
        let output = self.command(words).envs(variables.iter().copied()).output().unwrap();
        Conversation::new(words, &output, self.directory.path())
    }

    /// The same, with `input` on standard input.
    pub(crate) fn knit_with_input(&self, words: &[&str], input: &str) -> Conversation {
        self.write(".input", input);
        let file = std::fs::File::open(self.at(".input")).unwrap();
        let output = self.command(words).stdin(file).output().unwrap();
        Conversation::new(words, &output, self.directory.path())
    }
}

/// One call of `knit`, as a person would see it.
pub(crate) struct Conversation {
    words: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Conversation {
    fn new(words: &[&str], output: &Output, home: &Path) -> Self {
        let text = |bytes: &[u8]| steady(&String::from_utf8_lossy(bytes), home);
        Self {
            words: steady(&words.join(" "), home),
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// For tests that need the outcome and nothing else.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{self}");
        self
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$ knit {}\n{}", self.words, self.stdout)?;
        writeln!(f, "--- standard error\n{}--- exit {}", self.stderr, self.code)
    }
}

/// `text` with what differs from run to run replaced.
fn steady(text: &str, home: &Path) -> String {
    let text = text.replace(&home.display().to_string(), "[HOME]");
    let text = replace_after(&text, "127.0.0.1:", |c| c.is_ascii_digit(), "[PORT]");
    // Log lines begin with `] ` and twenty characters of date and time.
    replace_after(&text, "] 20", |c| c.is_ascii_digit() || matches!(c, '/' | ':' | ' '), "[TIME] ")
}

fn replace_after(text: &str, mark: &str, part: impl Fn(char) -> bool, word: &str) -> String {
    let mut steady = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(mark) {
        let (before, after) = rest.split_at(at + mark.len());
        steady.push_str(before.strip_suffix("20").filter(|_| mark.ends_with("20")).unwrap_or(before));
        let end = after.find(|c| !part(c)).unwrap_or(after.len());
        // The port that is used when nothing is configured is part of what is told.
        steady.push_str(if &after[..end] == "30803" { "30803" } else { word });
        rest = &after[end..];
    }
    steady + rest
}
