//! Archiving the log now.

use std::path::PathBuf;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::Response;
use knit_schemas::api::{ArchiveOrder, ArchiveStep};
use tokio::sync::mpsc;

use super::{Admin, steps};
use crate::archive::{self, Archive, Checks, Listener, STEPS_WAITING_MAX};
use crate::http::problem::Problem;

/// `POST /admin/archive`: lets every sealed segment be in the archive; tells every step, a line each.
pub(super) async fn begin(
    State(admin): State<Admin>,
    order: Result<Json<ArchiveOrder>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(order) = order.map_err(|error| Problem::bad_request(error.body_text()))?;
    let directory = directory(order, admin.surroundings.archive_dir.as_ref())?;
    let place = Archive { directory, segment_events: admin.surroundings.archive_segment };
    let (steps, heard) = mpsc::channel(STEPS_WAITING_MAX);
    let listener = Listener { steps: Some(steps.clone()), cancelled: admin.stop.child_token() };
    let log = admin.app.log().clone();
    tokio::spawn(async move {
        let directory = place.directory.display().to_string();
        let end = match archive::archive(&log, &place, Checks::All, &listener).await {
            Ok(Some(archived)) => ArchiveStep::Archived { directory, position: archived.position, head: archived.head },
            Ok(None) => ArchiveStep::Failed { why: format!("a server is archiving into {directory} already") },
            Err(why) => match archive::flaw_of(&why) {
                Some((position, why)) => ArchiveStep::Flawed { position, why },
                None => ArchiveStep::Failed { why: format!("{why:#}") },
            },
        };
        if let ArchiveStep::Failed { why } | ArchiveStep::Flawed { why, .. } = &end {
            steps::came_to_nothing("archiving the log", why);
        }
        // Whoever hears no more has ended it.
        let _ = steps.send(end).await;
    });
    Ok(steps::told(heard))
}

/// Where to archive.
fn directory(order: ArchiveOrder, by_itself: Option<&PathBuf>) -> Result<PathBuf, Problem> {
    match (order.to, by_itself) {
        (Some(to), _) => {
            let path = PathBuf::from(&to);
            let relative = || Problem::bad_request("`to` should be an absolute path").because(format!("got `{to}`"));
            if path.is_absolute() { Ok(path) } else { Err(relative()) }
        }
        (None, Some(directory)) => Ok(directory.clone()),
        (None, None) => Err(Problem::conflict("this server has no directory for an archive").advising(
            "name one, `knit admin archive --to DIR`, or start the server with `--archive-dir DIR`".to_owned(),
        )),
    }
}
