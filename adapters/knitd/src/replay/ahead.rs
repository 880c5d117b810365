//! What is known of a history before it comes.
//!
//! Two things are said only behind the events that they are about: which of them projections pass over, and what remains
//! of those whose content was taken out. Whoever sends the history tells them ahead when it is found that they are
//! needed.

use std::future;

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use knit_domain::event::journal::JournalEvent;
use knit_domain::event::{Position, Recorded};
use knit_domain::journal::Journal;
use knit_domain::time::Timestamp;
use knit_log::chain::Hash;
use knit_log::{ReadError, Remaining, StoredEvent};
use knit_schemas::api::SkipAhead;
use knit_schemas::export::{self, redactions_ahead};

use crate::command::with_causes;
use crate::sent::{Broken, piece};

/// What is told ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// What remains of emptied events.
    pub(super) remaining: Remaining,
    /// The redactions that say so, by position and leaf; none if they were not told.
    pub(super) redactions: Option<Vec<(Position, Hash)>>,
}

impl Ahead {
    /// Takes it from the front of `body`, `bytes` of it; answers the rest as well.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) async fn of(body: Body, bytes: usize) -> Result<(Self, Body), String> {
        let (front, rest) = split(body, bytes).await.map_err(|broken| broken.to_string())?;
        let told = redactions_ahead(&front).map_err(|why| format!("what was told ahead cannot be read: {why}"))?;
        let (mut remaining, redactions) = (Remaining::default(), told.iter().map(place).collect());
        for event in told {
            remaining.take(StoredEvent::from(event).decode().map_err(|error| with_causes(&error))?);
        }
        Ok((Self { remaining, redactions: Some(redactions) }, rest))
    }
}

async fn split(mut body: Body, bytes: usize) -> Result<(Vec<u8>, Body), Broken> {
    let mut front = Vec::new();
    while front.len() < bytes {
        let Some(piece) = piece(&mut body).await? else {
            return Err(Broken::Lost("it ended within what is told ahead".to_owned()));
        };
        front.extend_from_slice(&piece);
    }
    let rest = Bytes::from(front.split_off(bytes));
    let rest = stream::once(future::ready(Ok(rest))).chain(body.into_data_stream());
    Ok((front, Body::from_stream(rest)))
}

fn place(event: &export::Event) -> (Position, Hash) {
    (event.position, event.leaf)
}

/// What the next events say, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) events: Vec<Recorded>,
    /// Those of them that say what was redacted.
    pub(super) redactions: Vec<(Position, Hash)>,
    /// The first event of which it is not known what remains.
    pub(super) unknown: Option<(Position, Timestamp)>,
}

impl Said {
    /// # Errors
    /// Why one of them cannot be read.
    pub(super) fn by(events: Vec<export::Event>, ahead: &Ahead) -> Result<Self, String> {
        let mut said = Self::default();
        for event in events {
            if event.is_redaction() {
                said.redactions.push(place(&event));
            }
            let event = StoredEvent::from(event);
            match ahead.remaining.decode(&event) {
                Ok(recorded) => said.events.push(recorded),
                Err(ReadError::Emptied { position }) => {
                    said.unknown = said.unknown.or(Some((position, event.recorded_at)));
                }
                Err(error) => return Err(with_causes(&error)),
            }
        }
        Ok(said)
    }
}

/// A journal that says nothing but these skips.
pub(super) fn journal_of(skips: &[SkipAhead]) -> Journal {
    let mut journal = Journal::default();
    for SkipAhead { projection, position } in skips {
        let (projection, reason) = (projection.clone(), String::new());
        journal.apply(&JournalEvent::EventSkipped { projection, position: *position, reason });
    }
    journal
}
