//! What the four shells hand over, and in what form they want their answer.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::Path;

use clap::ValueEnum;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{self, EnvCompleter};

use super::powershell::AtCursor;
use super::{VARIABLE, bash, powershell};
use crate::environment::Environment;
use crate::error::Error;

/// Where the scripts have the program to run.
const PROGRAM: &str = "PROGRAM";

/// The command that is completed.
const COMMAND: &str = "knit";

/// A shell that can be taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

/// What is on the line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Typed {
    /// The words without their quotes, `knit` first.
    pub(super) words: Vec<OsString>,
    /// The one at the cursor.
    pub(super) index: usize,
    /// Bytes of that word that the shell leaves as they are.
    pub(super) kept_bytes: usize,
    /// The quote that is open at the cursor.
    pub(super) quote: Option<char>,
}

impl Typed {
    /// The word at the cursor.
    pub(super) fn current(&self) -> &OsStr {
        self.words.get(self.index).map_or(OsStr::new(""), OsString::as_os_str)
    }

    fn of(words: Vec<OsString>) -> Option<Self> {
        let index = words.len().checked_sub(1)?;
        Some(Self { words, index, ..Self::default() })
    }
}

impl Shell {
    /// The script that the shell loads. Bash, zsh and PowerShell have one of ours: clap's does not join what bash has split
    /// at colons, lets both put a blank behind the colon of a tag's key, and runs what was typed in PowerShell.
    pub(super) fn script(self, environment: &Environment) -> Result<String, Error> {
        let program = program(environment);
        let of_clap = |shell: &dyn EnvCompleter| {
            let mut script = Vec::new();
            shell.write_registration(VARIABLE, COMMAND, COMMAND, &program, &mut script)?;
            Ok(String::from_utf8_lossy(&script).into_owned())
        };
        match self {
            Self::Bash => Ok(include_str!("completion.bash").replace(PROGRAM, &bash::quoted(&program))),
            Self::Zsh => Ok(include_str!("completion.zsh").replace(PROGRAM, &bash::quoted(&program))),
            Self::Fish => of_clap(&env::Fish),
            // A name would be looked for in the current directory first, where anybody may have put a program.
            Self::Powershell => Ok(powershell::script(&executable(environment))),
        }
    }

    /// Reads what the script hands over, as words or in variables; `None` if that is not what it hands over.
    pub(super) fn read(self, words: Vec<OsString>, at_cursor: &AtCursor) -> Option<Typed> {
        match self {
            Self::Bash => match &words[..] {
                [line, replaced] => bash::read(&line.to_string_lossy(), &replaced.to_string_lossy()),
                _ => None,
            },
            Self::Zsh => Typed::of(words),
            Self::Powershell => powershell::read(at_cursor),
            // Fish takes the quotes off all words but the one at the cursor.
            Self::Fish => {
                let mut typed = Typed::of(words)?;
                typed.words[typed.index] = bash::unquoted(&typed.current().to_string_lossy()).into();
                Some(typed)
            }
        }
    }

    /// The answer, a line for each that is offered.
    pub(super) fn write(self, typed: &Typed, offered: Vec<CompletionCandidate>) -> String {
        let mut answer = String::new();
        for one in offered {
            let help = one.get_help().map(ToString::to_string);
            let help = help.as_deref().and_then(|help| help.lines().next()).unwrap_or_default();
            // A line could not be told from two, and a name that is not text cannot be written down.
            let Some(value) = one.get_value().to_str().filter(|value| !value.contains(['\n', '\t'])) else { continue };
            let _ = match self {
                Self::Bash => writeln!(answer, "{}", bash::written(value, typed)),
                Self::Zsh => writeln!(answer, "{}", zsh_line(value, help)),
                Self::Fish if help.is_empty() => writeln!(answer, "{value}"),
                Self::Fish => writeln!(answer, "{value}\t{help}"),
                Self::Powershell => {
                    powershell::line(value, help, typed).map_or(Ok(()), |line| writeln!(answer, "{line}"))
                }
            };
        }
        answer
    }
}

/// How the script runs this program: as it was run, but from any directory.
fn program(environment: &Environment) -> String {
    let called = Path::new(&environment.called);
    let path = if called.components().count() > 1 { environment.cwd.join(called) } else { called.to_owned() };
    path.to_string_lossy().into_owned()
}

/// Where this program is; if nothing says so, how it was run.
fn executable(environment: &Environment) -> String {
    let path = environment.executable.as_ref().filter(|_| environment.called.components().count() == 1);
    path.map_or_else(|| program(environment), |path| path.to_string_lossy().into_owned())
}

/// As `_describe` reads it, behind a mark of whether more follows.
fn zsh_line(value: &str, help: &str) -> String {
    let mark = if value.ends_with([':', '=', '/']) { '+' } else { '.' };
    let value = value.replace('\\', "\\\\").replace(':', "\\:");
    match help {
        "" => format!("{mark}{value}"),
        help => format!("{mark}{value}:{}", help.replace('\\', "\\\\")),
    }
}
