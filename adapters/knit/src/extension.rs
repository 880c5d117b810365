//! Extension commands: any executable `knit-<name>` on the PATH is the command `knit <name>`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::Environment;
use crate::error::Error;
use crate::exit::ExitStatus;
use crate::profile;
use crate::session::Session;

const PREFIX: &str = "knit-";

/// Runs `words[0]` with the rest; its exit status becomes ours.
///
/// The options that all commands share are ours wherever they stand, and reach the extension as
/// variables; everything behind `--` is its own.
pub(crate) fn run(words: Vec<OsString>, session: &Session) -> Result<ExitStatus, Error> {
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_default().to_string_lossy().into_owned();
    let Some(program) = all(&session.environment).remove(&name) else {
        return Err(Error::NoSuchCommand { name });
    };
    let mut globals = session.globals.clone();
    let arguments = take_globals(words, &mut globals);
    let (profile, _) = profile::profile_name(&globals, &session.environment)?;
    let env = globals.env.clone().or_else(|| session.environment.nearest("knitenv"));
    let env = env.unwrap_or_else(|| session.environment.cwd.join("knitenv"));
    let mut child = Command::new(&program);
    child.args(arguments);
    child.env("KNIT_PROFILE", profile);
    child.env("KNIT_PROFILE_STORE", profile::store_path(&globals, &session.environment));
    child.env("KNIT_ENV", env);
    if globals.quiet {
        child.env("KNIT_QUIET", "1");
    }
    if let Some(server) = &globals.server {
        child.env("KNIT_SERVER", server);
    }
    let status = child.status().map_err(|source| Error::Extension { path: program, source })?;
    Ok(ExitStatus::Extension(code(status)))
}

/// A child killed by a signal counts as shells count it.
fn code(status: std::process::ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Takes the shared options out of an extension's words.
pub(crate) fn take_globals(words: impl Iterator<Item = OsString>, globals: &mut crate::cli::Globals) -> Vec<OsString> {
    let mut words = words.peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if word == "--" {
            kept.extend(words);
            break;
        }
        let text = word.to_string_lossy();
        let (name, value) = text.split_once('=').map_or((&*text, None), |(name, value)| (name, Some(value.to_owned())));
        let mut value = || value.clone().or_else(|| words.next().map(|word| word.to_string_lossy().into_owned()));
        match name {
            "--profile" => globals.profile = value(),
            "--profile-store" => globals.profile_store = value().map(PathBuf::from),
            "--env" => globals.env = value().map(PathBuf::from),
            "--server" => globals.server = value(),
            "--quiet" => globals.quiet = true,
            _ => kept.push(word),
        }
    }
    kept
}

/// Every extension by name. The first on the PATH wins; names of commands of our own are never
/// looked up here.
fn all(environment: &Environment) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let directories = environment.path.iter().flat_map(std::env::split_paths);
    for entry in directories.filter_map(|directory| directory.read_dir().ok()).flatten().flatten() {
        if let Some(name) = name_of(&entry.file_name()).filter(|_| is_executable(&entry.path())) {
            found.entry(name).or_insert_with(|| entry.path());
        }
    }
    found
}

/// `knit-foo.exe` is `foo`, `knit-foo.sh` is `foo.sh`.
fn name_of(file: &OsStr) -> Option<String> {
    let name = file.to_str()?.strip_prefix(PREFIX)?;
    let name = [".exe", ".bat", ".cmd", ".com"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    (!name.is_empty()).then(|| name.to_owned())
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| !file.is_dir() && file.permissions().mode() & 0o111 != 0)
}

/// Names of all extensions.
pub(crate) fn names(environment: &Environment) -> Vec<String> {
    all(environment).into_keys().collect()
}

/// A part of `knit --help`; empty when there are no extensions.
pub(crate) fn listing(environment: &Environment) -> String {
    let mut text = String::new();
    for (name, path) in all(environment) {
        if text.is_empty() {
            text.push_str("Extensions:\n");
        }
        let _ = writeln!(text, "  {name}  {}", path.display());
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_options_are_taken_out_up_to_the_double_dash() {
        let mut globals = crate::cli::Globals::default();
        let words = ["a", "--profile", "p", "--env=e", "-x", "--help", "--", "--profile", "q"];
        let kept = take_globals(words.iter().map(OsString::from), &mut globals);
        assert_eq!(kept, ["a", "-x", "--help", "--profile", "q"]);
        assert_eq!((globals.profile.as_deref(), globals.env), (Some("p"), Some(PathBuf::from("e"))));
    }

    #[test]
    fn one_known_suffix_of_the_file_name_is_dropped() {
        for (file, name) in [("knit-foo", Some("foo")), ("knit-foo.exe", Some("foo")), ("knit-foo.sh", Some("foo.sh"))]
        {
            assert_eq!(name_of(OsStr::new(file)).as_deref(), name);
        }
        assert_eq!(name_of(OsStr::new("knit-")), None);
        assert_eq!(name_of(OsStr::new("knitd")), None);
    }
}
