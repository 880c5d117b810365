//! `knit completion`, and what shells ask for when somebody presses Tab.
//!
//! The script that a shell loads knows nothing: at every Tab it runs `knit` with the variable KNIT_COMPLETE and the
//! words so far (PowerShell hands them over in variables, too), and is answered with what may stand at the cursor. The grammar of the command line and its walk
//! are clap's (`clap_complete`); what a value may be is in [`values`], and what shells want to hear in [`shell`].

pub(crate) mod bash;
mod powershell;
mod shell;
mod values;

use std::ffi::OsString;
use std::sync::Arc;

use clap::{Args, CommandFactory as _, ValueEnum as _};
use clap_complete::engine::{CompletionCandidate, complete};

use crate::cli::Cli;
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::ExitStatus;
use crate::extension;
use crate::output::{self, Log};
use crate::session::Session;
pub(crate) use powershell::AtCursor;
use shell::{Shell, Typed};

/// Names the shell that asks what may stand at the cursor.
pub(crate) const VARIABLE: &str = "KNIT_COMPLETE";
/// In which the script for PowerShell hands over the command up to the cursor.
pub(crate) const LINE_VARIABLE: &str = "KNIT_COMPLETE_LINE";
/// In which it hands over the word that is replaced.
pub(crate) const WORD_VARIABLE: &str = "KNIT_COMPLETE_WORD";

/// Print the script with which a shell completes commands, options, ids and tags
///
/// Ids, tags and profiles are those that there are when Tab is pressed: the server is asked, for a second at most.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bash:        echo 'eval \"$(knit completion bash)\"' >> ~/.bashrc\n  \
                        zsh:         echo 'eval \"$(knit completion zsh)\"' >> ~/.zshrc, after `compinit`\n  \
                        fish:        knit completion fish > ~/.config/fish/completions/knit.fish\n  \
                        PowerShell:  knit completion powershell | Out-String | Invoke-Expression, in $PROFILE")]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<(), Error> {
    Ok(output::text(&arguments.shell.script(&session.environment)?)?)
}

/// Answers the shell named `name`. Whatever goes wrong, nothing is offered and nothing is said: somebody is typing.
pub(crate) fn answer(name: &str, args: Vec<OsString>, environment: Environment) -> ExitStatus {
    output::be_quiet(true);
    let words = args.into_iter().skip_while(|word| word != "--").skip(1).collect();
    let shell = Shell::from_str(name, false).ok();
    let typed = shell.and_then(|shell| shell.read(words, &environment.at_cursor).map(|typed| (shell, typed)));
    let Some((shell, typed)) = typed else { return ExitStatus::Failure };
    match output::text(&shell.write(&typed, offered(&typed, environment))) {
        Ok(()) => ExitStatus::Success,
        Err(_) => ExitStatus::BrokenPipe,
    }
}

fn offered(typed: &Typed, environment: Environment) -> Vec<CompletionCandidate> {
    let mut globals = crate::cli::Globals::default();
    let _ = extension::take_globals(typed.words.iter().take(typed.index).cloned(), &mut globals);
    let cwd = environment.cwd.clone();
    let session = Arc::new(Session { globals, environment, log: Log::new(String::new()) });
    let mut command = values::attach(Cli::command(), &session);
    let mut offered = complete(&mut command, typed.words.clone(), typed.index, Some(&cwd)).unwrap_or_default();
    // Where nothing is typed yet, options would hide what is looked for; they are offered from the first dash on.
    if typed.current().is_empty() {
        offered.retain(|one| !one.get_value().as_encoded_bytes().starts_with(b"-"));
    }
    offered
}
