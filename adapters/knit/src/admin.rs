//! `knit admin …`: through the administration socket of a server on this machine.

mod archive;
mod bytes;
mod doctor;
pub(crate) mod lines;
mod log;
mod projections;
mod rebuild_projection;
mod redact;
mod rollback;
mod skip;
mod snapshot;
mod steps;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use knit_schemas::api::SOCKET_PATH_BYTES_MAX;

use crate::client::Client;
use crate::error::Error;
use crate::session::{Session, block_on, block_on_to_the_end};

/// Look after a server on this machine: its projections, its log, and what is wrong with it
///
/// The server is asked through its administration socket, which only the user who runs `knitd` may open. The log
/// keeps the name of whoever changes something.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Ask through this socket [default: KNITD_ADMIN_SOCKET, or else admin.sock in KNITD_STATE_DIR or ~/.local/share/knitfab]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Projections(projections::Arguments),
    Snapshot(snapshot::Arguments),
    RebuildProjection(rebuild_projection::Arguments),
    Rollback(rollback::Arguments),
    Skip(skip::Arguments),
    Redact(redact::Arguments),
    #[command(subcommand)]
    Log(log::Command),
    Archive(archive::Arguments),
    Doctor(doctor::Arguments),
}

impl Arguments {
    pub(crate) fn words(&self) -> &'static str {
        match &self.command {
            Command::Projections(_) => "admin projections",
            Command::Snapshot(_) => "admin snapshot",
            Command::RebuildProjection(_) => "admin rebuild-projection",
            Command::Rollback(_) => "admin rollback",
            Command::Skip(_) => "admin skip",
            Command::Redact(_) => "admin redact",
            Command::Log(command) => command.words(),
            Command::Archive(_) => "admin archive",
            Command::Doctor(_) => "admin doctor",
        }
    }

    pub(crate) fn run(self, session: &Session) -> Result<(), Error> {
        let client = client(self.socket, session)?;
        match self.command {
            Command::Projections(arguments) => block_on(projections::run(arguments, &client)),
            Command::Snapshot(arguments) => block_on(snapshot::run(arguments, &client)),
            Command::RebuildProjection(arguments) => block_on_to_the_end(rebuild_projection::run(arguments, &client)),
            Command::Rollback(arguments) => block_on_to_the_end(rollback::run(arguments, &client)),
            Command::Skip(arguments) => block_on(skip::run(arguments, &client)),
            Command::Redact(arguments) => block_on(redact::run(arguments, &client)),
            Command::Log(command) => command.run(&client),
            Command::Archive(arguments) => block_on(archive::run(arguments, &client, &session.environment)),
            Command::Doctor(arguments) => block_on(doctor::run(arguments, &client)),
        }
    }
}

/// A client of the server that has this socket, or the one that is expected.
pub(crate) fn client(socket: Option<PathBuf>, session: &Session) -> Result<Client, Error> {
    let Some(path) = socket.or_else(|| session.environment.admin_socket.clone()) else {
        return Err(Error::Usage(
            "there is no home directory in which a socket is expected: name it with `--socket`".to_owned(),
        ));
    };
    let bytes = path.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        return Err(Error::Usage(format!(
            "`{}` cannot be a socket: its path has {bytes} bytes, and that of a socket has {SOCKET_PATH_BYTES_MAX} at most",
            path.display()
        )));
    }
    Client::over_socket(path)
}
