//! What every command is given: the options that all share, the environment, and the way out.

use std::future::Future;
use std::io;
use std::time::Duration;

use crate::cli::Globals;
use crate::client::Client;
use crate::environment::Environment;
use crate::error::Error;
use crate::output::Log;
use crate::profile;
use crate::waiting;

/// After Ctrl-C, how long threads may take to remove their half-written files.
const CLEANUP_PATIENCE: Duration = Duration::from_secs(3);
/// How long is waited for what would only be good to know: whoever pressed Tab, or made a slip, wants to type on.
const AT_ONCE: Duration = Duration::from_secs(1);

/// One call of `knit`.
#[derive(Debug)]
pub(crate) struct Session {
    /// The options that all commands share.
    pub(crate) globals: Globals,
    /// The process `knit` runs in.
    pub(crate) environment: Environment,
    /// For log lines.
    pub(crate) log: Log,
}

impl Session {
    /// A client of the server that the options, the environment or the profile name.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        Client::new(profile::choose(&self.globals, &self.environment)?)
    }
}

/// Runs a command that makes requests. Only such commands pay for a runtime.
///
/// Ctrl-C ends every one of them: the work is dropped where it waits, which breaks the connection,
/// and threads notice that nobody reads from or writes to them any more.
pub(crate) fn block_on(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    block_on_to_the_end(async {
        tokio::select! {
            outcome = work => outcome,
            pressed = interrupted() => Err(pressed),
        }
    })
}

/// Waits for Ctrl-C; answers what a command that is ended by it comes to.
pub(crate) async fn interrupted() -> Error {
    tokio::signal::ctrl_c().await.map_or_else(Error::Output, |()| Error::Interrupted)
}

/// The same as [`block_on`], for a command that must say how it went also when Ctrl-C is pressed: it has to look for
/// that itself.
pub(crate) fn block_on_to_the_end(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Output)?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            never = waiting::watch() => match never {},
        }
    });
    waiting::end();
    runtime.shutdown_timeout(CLEANUP_PATIENCE);
    outcome
}

/// The answer to a question beside what the command is for; nothing if it does not come at once.
pub(crate) fn briefly<T>(question: impl Future<Output = Result<T, Error>>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let answer = runtime.block_on(async { tokio::time::timeout(AT_ONCE, question).await });
    // A thread that still looks up the server's name is not waited for.
    runtime.shutdown_background();
    answer.ok()?.ok()
}

/// Runs `work`, which waits for disks and computes, on a thread of its own.
pub(crate) async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|gone| Error::Output(io::Error::other(gone)))
}
