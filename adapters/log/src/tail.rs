//! The end of the log: where it is, and hearing that it moved.
//!
//! Every batch of this process is announced at once. Batches of other processes on the same
//! PostgreSQL server are heard of through one notification each, which they send as long as they know that
//! somebody else is present; a slow look is the net below that.

use std::sync::Arc;
use std::time::Duration;

use knit_domain::event::Position;
use knit_domain::time::Timestamp;
use sqlx::postgres::PgListener;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::backend::Backend;
use crate::chain::Hash;
use crate::error::Fault;
use crate::postgres::Postgres;
use crate::reader::patiently;

/// How often the head is looked at although nothing was heard: a lost notification delays a reader
/// by this much, and one look costs a fraction of a millisecond.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The pause before listening again after the connection failed.
const RELISTEN_PAUSE: Duration = Duration::from_millis(200);
/// Askers that may wait for a look at the head.
pub(crate) const ASKERS_MAX: usize = 1_024;

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Position of the last event; 0 when there is none.
    pub position: Position,
    /// The chain at that position.
    pub chain: Hash,
    /// The stamp of the last event.
    pub recorded_at: Timestamp,
    /// Drawn when the log was made; another one means another log.
    pub log: Uuid,
}

/// One who wants to know the head.
pub(crate) type Asker = oneshot::Sender<Result<Head, Fault>>;

/// Makes `position` known, unless something newer is.
pub(crate) fn announce(newest: &watch::Sender<Position>, position: Position) {
    newest.send_if_modified(|known| {
        let newer = position > *known;
        if newer {
            *known = position;
        }
        newer
    });
}

/// Answers all who wait with one look. The look starts after the last of them asked, so that each
/// sees whatever was recorded before asking.
pub(crate) async fn answer_askers(
    backend: Arc<Backend>,
    mut askers: mpsc::Receiver<Asker>,
    newest: Arc<watch::Sender<Position>>,
) {
    let mut waiting = Vec::new();
    while askers.recv_many(&mut waiting, ASKERS_MAX).await > 0 {
        let head = look(&backend, &newest).await;
        for asker in waiting.drain(..) {
            // Whoever asked may have gone.
            drop(asker.send(head.clone()));
        }
    }
}

/// Reads the head and makes it known, also when it has gone back.
async fn look(backend: &Backend, newest: &watch::Sender<Position>) -> Result<Head, Fault> {
    // Read before the look starts: a head below it cannot be explained by an append in between.
    let known = *newest.borrow();
    let head = patiently("looking at the head of the log", || backend.ends()).await?.agreed()?;
    if head.position < known {
        tracing::error!(known, found = head.position, "the log has lost its newest events: was the database restored?");
        newest.send_if_modified(|newest| {
            let stale = *newest == known;
            if stale {
                *newest = head.position;
            }
            stale
        });
    } else {
        announce(newest, head.position);
    }
    Ok(head)
}

/// Follows the announcements of all processes, for ever.
pub(crate) async fn listen(backend: Arc<Backend>, newest: Arc<watch::Sender<Position>>) {
    let Backend::Postgres(postgres) = backend.as_ref() else { return };
    let mut is_lost = false;
    loop {
        if let Err(error) = listen_once(postgres, &backend, &newest, &mut is_lost).await {
            // Said once: a database that is away fails every attempt until it is back.
            if std::mem::replace(&mut is_lost, true) {
                tracing::debug!(error = %error, "still nothing to listen to");
            } else {
                tracing::warn!(error = %error, "lost the connection that listens for events, connecting again");
            }
        }
        tokio::time::sleep(RELISTEN_PAUSE).await;
    }
}

async fn listen_once(
    postgres: &Postgres,
    backend: &Backend,
    newest: &watch::Sender<Position>,
    is_lost: &mut bool,
) -> Result<(), sqlx::Error> {
    let mut listener = postgres.listen().await?;
    postgres.writer.be_present().await?;
    if std::mem::take(is_lost) {
        tracing::info!("listens for events again");
    }
    // Whatever was announced while nobody listened is found by a look.
    look_and_go_on(backend, newest).await;
    loop {
        match tokio::time::timeout(POLL_INTERVAL, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => heed(&listener, notification.payload(), newest),
            Ok(Ok(None)) => look_and_go_on(backend, newest).await,
            Ok(Err(error)) => return Err(error),
            Err(_quiet) => {
                postgres.writer.be_present().await?;
                look_and_go_on(backend, newest).await;
                check_that_it_lives(&mut listener).await?;
            }
        }
    }
}

/// A connection to a machine that vanished stays silent like one on which nothing happens.
async fn check_that_it_lives(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let answer = tokio::time::timeout(POLL_INTERVAL, Postgres::ask_listener(listener)).await;
    answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(drop)
}

async fn look_and_go_on(backend: &Backend, newest: &watch::Sender<Position>) {
    match look(backend, newest).await {
        Ok(_) => {}
        // Whoever follows the log tells that, once.
        Err(error) if error.is_damage() => tracing::debug!(error = %error, "the head of the log is not in order"),
        Err(error) => tracing::warn!(error = %error, "cannot look at the head of the log"),
    }
}

fn heed(listener: &PgListener, payload: &str, newest: &watch::Sender<Position>) {
    match payload.parse() {
        Ok(position) => announce(newest, position),
        Err(_) => tracing::warn!(payload, ?listener, "heard something that is no position"),
    }
}
