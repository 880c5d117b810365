//! The command line: every command on one screen, and how it is read.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::advice::Advice;
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::{EXIT_CODES, ExitStatus};
use crate::output::Log;
use crate::session::{Session, block_on};
use crate::{admin, audit, completion, data, events, extension, ids, init, output, plan, run, version};

/// The command line of Knitfab
///
/// Push Data with tags, register Plans, and Knitfab starts a Run for every combination of Data that
/// fits a Plan. `knit` asks the server that `--server`, KNIT_SERVER or a profile names, and without
/// any of them the one on this machine that `knitd` starts.
#[derive(Debug, Parser)]
#[command(name = "knit", version = version::TEXT, after_help = EXIT_CODES, args_override_self = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes, anywhere on the line; the last of a repeated one counts.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Globals {
    /// Use this profile [default: the first line of the nearest .knitprofile, else the full path of the working directory]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Read profiles from this file [default: ~/.knit/profile]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) profile_store: Option<PathBuf>,
    /// Read the project's defaults from this file [default: the nearest knitenv]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) env: Option<PathBuf>,
    /// Ask this server instead of the profile's [default: the variable KNIT_SERVER]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Say nothing but errors on standard error
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Arguments),
    #[command(subcommand)]
    Data(data::Command),
    #[command(subcommand)]
    Plan(plan::Command),
    #[command(subcommand)]
    Run(run::Command),
    Events(events::print::Arguments),
    #[command(subcommand)]
    Audit(audit::Command),
    Admin(admin::Arguments),
    Completion(completion::Arguments),
    /// Print the version of this program
    Version,
    #[command(external_subcommand)]
    Extension(Vec<OsString>),
}

impl Command {
    /// What stands in front of log lines.
    fn words(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Data(command) => command.words(),
            Self::Plan(command) => command.words(),
            Self::Run(command) => command.words(),
            Self::Events(_) => "events",
            Self::Audit(command) => command.words(),
            Self::Admin(arguments) => arguments.words(),
            Self::Completion(_) => "completion",
            Self::Version => "version",
            Self::Extension(_) => "extension",
        }
    }

    fn run(self, session: &Session) -> Result<ExitStatus, Error> {
        match self {
            Self::Init(arguments) => init::run(&arguments, session),
            Self::Data(command) => command.run(session),
            Self::Plan(command) => command.run(session),
            Self::Run(command) => command.run(session),
            Self::Events(arguments) => block_on(events::print::run(arguments, session)),
            Self::Audit(command) => command.run(session),
            Self::Admin(arguments) => arguments.run(session),
            Self::Completion(arguments) => completion::run(&arguments, session),
            Self::Version => version::run(),
            Self::Extension(words) => return extension::run(words, session),
        }
        .map(|()| ExitStatus::Success)
    }
}

/// Reads the command line, does what it says, and tells how that went.
pub(crate) fn main(args: Vec<OsString>) -> ExitStatus {
    let environment = Environment::capture(args.first());
    if let Some(shell) = environment.completes.clone() {
        return completion::answer(&shell, args, environment);
    }
    let cli = match parse(args.clone(), &environment) {
        Ok(cli) => cli,
        Err(refused) => return explain(&refused, &args),
    };
    output::be_quiet(cli.globals.quiet);
    let words = cli.command.words();
    let log = Log::new(format!("{} {words}", environment.program));
    let session = Session { globals: cli.globals, environment, log };
    match cli.command.run(&session) {
        Ok(status) => status,
        Err(error) => {
            let mut advice = Advice::about(&error, words);
            advice.hints.extend(ids::say_other_kind(&session, &error));
            output::complain(&advice.render());
            advice.status
        }
    }
}

fn parse(args: Vec<OsString>, environment: &Environment) -> Result<Cli, clap::Error> {
    let asks_for_help = args.iter().any(|word| word == "--help" || word == "-h")
        || args.iter().skip(1).take(2).any(|word| word == "help");
    let mut command = if asks_for_help {
        // Help shows switches as everybody writes them.
        Cli::command().after_help(extension::listing(environment) + EXIT_CODES)
    } else {
        original_grammar(Cli::command())
    };
    let matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// What scripts of the original may rely on: a switch may be given as `--fail=false`, and an option
/// takes the next word as its value whatever it looks like.
fn original_grammar(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        if matches!(argument.get_action(), ArgAction::SetTrue) {
            as_switch(argument)
        } else if matches!(argument.get_action(), ArgAction::Set | ArgAction::Append) && !argument.is_positional() {
            argument.allow_hyphen_values(true)
        } else {
            argument
        }
    });
    command.mut_subcommands(original_grammar)
}

fn as_switch(argument: clap::Arg) -> clap::Arg {
    argument
        .action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .value_parser(switch)
        .value_name("BOOL")
        .default_value("false")
        .default_missing_value("true")
        .hide_default_value(true)
}

/// What usage lines say behind a switch. That one may be written `--fail=false` is for old scripts, and no news for
/// whoever made a slip.
const SWITCH_VALUE: &str = "[=<BOOL>]";

fn switch(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "1" | "true" | "on" | "yes" => Ok(true),
        "0" | "false" | "off" | "no" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

/// What stands at the end of what is said about a wrong command line, and does not say of which command.
const SOME_HELP: &str = "For more information, try '--help'.";

/// Prints help where it was asked for, and otherwise what is wrong with the command line `typed`. Values that
/// do not parse are failures (1) and not wrong usage (2), as the original has it.
fn explain(refused: &clap::Error, typed: &[OsString]) -> ExitStatus {
    if refused.use_stderr() {
        let hint = format!("hint: `{} --help` explains the command", command_of(typed));
        output::complain(&refused.render().to_string().replace(SWITCH_VALUE, "").replace(SOME_HELP, &hint));
        return if refused.kind() == ErrorKind::ValueValidation { ExitStatus::Failure } else { ExitStatus::Usage };
    }
    match refused.print() {
        Ok(()) => ExitStatus::Success,
        Err(error) => {
            let advice = Advice::about(&Error::Output(error), &command_of(typed));
            output::complain(&advice.render());
            advice.status
        }
    }
}

/// The command that a command line names, as far as there is one.
fn command_of(typed: &[OsString]) -> String {
    let (mut words, mut command) = ("knit".to_owned(), Cli::command());
    for word in typed.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(below) = command.find_subcommand(word).cloned() {
            words = format!("{words} {}", below.get_name());
            command = below;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        original_grammar(Cli::command()).debug_assert();
    }

    #[test]
    fn shared_options_are_taken_anywhere_and_the_last_one_counts() {
        let words = ["knit", "--profile", "a", "data", "--env=x", "find", "--profile", "b", "--server", "-odd"];
        let cli = parse(words.iter().map(OsString::from).collect(), &Environment::default()).unwrap();
        assert_eq!(cli.globals.profile.as_deref(), Some("b"));
        assert_eq!(cli.globals.env, Some(PathBuf::from("x")));
        assert_eq!(cli.globals.server.as_deref(), Some("-odd"));
    }
}
