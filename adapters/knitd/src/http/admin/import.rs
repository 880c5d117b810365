//! Importing a history into a log that has none.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use knit_log::{Fault, ImportError};
use knit_schemas::api::ImportEnd;

use super::Admin;
use crate::command::with_causes;
use crate::http::problem::Problem;
use crate::http::reply;
use crate::import::{NotImported, import};
use crate::sent::Broken;

/// `POST /admin/import`: takes the export that is sent, all of it or nothing.
pub(super) async fn take(State(admin): State<Admin>, body: Body) -> Result<Response, Problem> {
    let stopping = admin.stop.clone();
    let imported = tokio::select! {
        imported = import(&admin.app, body) => imported,
        // What was not committed is taken back; a large one would not end in the time that is left.
        () = stopping.cancelled() => return Err(Problem::unavailable("the server stops")),
    };
    let end = match imported {
        Ok(end) => end,
        Err(NotImported::Sent(Broken::Flaw(flaw))) => {
            ImportEnd::Flawed { position: flaw.position, why: flaw.wrong.to_string() }
        }
        Err(NotImported::Sent(broken)) => ImportEnd::Failed { why: broken.to_string() },
        Err(NotImported::Log(error)) => not_taken(error)?,
    };
    Ok(reply::json(&end))
}

/// What the log says against it.
fn not_taken(error: ImportError) -> Result<ImportEnd, Problem> {
    match error {
        ImportError::NotEmpty { .. } => Err(Problem::conflict("the log is not empty").advising(format!(
            "{error}; start `knitd --look-only` on a database or a state directory of its own, and import there"
        ))),
        ImportError::Occupied => {
            Err(Problem::conflict("the log is in use").advising("somebody else appends or imports: wait for its end"))
        }
        ImportError::MissingInStream { position } => Ok(ImportEnd::Flawed { position, why: error.to_string() }),
        ImportError::Unreadable(_)
        | ImportError::TakenTwice { .. }
        | ImportError::OutOfOrder { .. }
        | ImportError::Contradiction { .. } => Ok(ImportEnd::Failed { why: with_causes(&error) }),
        ImportError::Fault(fault) => {
            // Nothing else says it here: whoever has sent the history may be gone.
            tracing::error!("nothing was imported: {}", with_causes(&fault));
            if let Fault::DiskFull { .. } = fault {
                return Ok(ImportEnd::Failed { why: format!("make room: {}", with_causes(&fault)) });
            }
            Err(Problem::unexpected(with_causes(&fault)))
        }
    }
}
