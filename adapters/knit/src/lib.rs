//! `knit`: a person's way into Knitfab.
//!
//! It turns words on a command line into one or a few requests of the HTTP API and prints what comes
//! back. It knows the wire and no rules: whether a Run may be stopped is the server's answer, never
//! ours. It works against our server and against the original one.
//!
//! Every verb is a file with its arguments, whose comments are the help, and one function. Data go to
//! standard output and everything else to standard error. What is read from the world around (the
//! environment, the profile, the terminal) is read in one place each.
//!
//! The modules, in reading order.

mod cli;

mod admin;
mod as_of;
mod audit;
mod data;
mod events;
mod ids;
mod init;
mod pasted;
mod plan;
mod run;
mod version;

mod completion;
mod extension;

mod advice;
mod archive;
mod choice;
mod client;
mod deadline;
mod difference;
mod environment;
mod error;
mod exit;
mod follow;
mod form;
mod knitenv;
mod lineage;
mod listing;
mod number;
mod output;
mod profile;
mod session;
mod since;
mod telling;
mod tree;
mod waiting;

pub mod doors;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command line `args`, the program's name first.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    cli::main(args).into()
}
