//! Taking something out of the history (D15).

use std::time::Duration;

use knit_domain::data::Standing;
use knit_domain::decision::Decision;
use knit_domain::event::Position;
use knit_domain::id::{KnitId, RunId};
use knit_domain::redaction::{self, Content, RedactionRefused, Search, word_at};
use knit_domain::run::log_redaction::{self, LogRedactionRefused};
use knit_failpoint::failpoint;
use knit_log::ReadError;
use knit_schemas::api::{EventStream, RedactedEvent};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::App;
use crate::command::{Cause, CommandError, Done, Refusal, with_causes};
use crate::streams;

/// Events read at once: looking through so many holds up the tasks that serve requests for a few milliseconds.
const PAGE_EVENTS_MAX: usize = 1_000;
/// How often it is looked for what was said again while it was being forgotten. Whoever says it all the time will not stop.
const SAID_AGAIN_MAX: u32 = 3;
/// How long it may take to fold the log again. A log of many million events takes a minute.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(600);
/// How long a volume may take to be destroyed; after a fault the reactor waits up to half a minute before it tries again.
const DESTROYED_WITHIN: Duration = Duration::from_secs(60);

/// What came of a redaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The events that said it.
    pub events: Vec<RedactedEvent>,
    /// The word in its place, where it was a word.
    pub word: Option<String>,
    /// The last event that records it.
    pub recorded_at: Position,
    /// Whether nothing here shows it any more.
    pub is_out: bool,
    /// Whether nothing of it is left in the files of the database.
    pub is_overwritten: bool,
    /// Whether it was said again meanwhile.
    pub is_said_again: bool,
}

impl App {
    /// The one thing that the event at `position` says.
    ///
    /// # Errors
    /// Refused when it says nothing or several things, or is not there.
    pub async fn said_by(&self, position: Position) -> Result<Content, CommandError> {
        let event = self.log().event_at(position).await?.ok_or(RedactionRefused::NoEvent { position })?;
        Ok(redaction::said_by(position, &event.event)?)
    }

    /// The events that say `content`, all of which a redaction would empty.
    ///
    /// # Errors
    /// Refused as the redaction would be.
    pub async fn would_redact(&self, content: Content, reason: &str) -> Result<Vec<RedactedEvent>, CommandError> {
        let mut search = Search::new(content, reason)?;
        self.search_on(&mut search).await?;
        search.decide().map(drop)?;
        Ok(found(&search))
    }

    /// Forgets `content` for ever, wherever the history says it, and waits until it is gone from here.
    ///
    /// # Errors
    /// Refused as the rules of redaction say, a conflict that does not end, or a fault.
    pub async fn redact(&self, cause: &Cause, content: Content, reason: &str) -> Result<Forgotten, CommandError> {
        self.may_change()?;
        let search = Mutex::new(Search::new(content, reason)?);
        let decide = |_| async {
            let mut search = search.lock().await;
            self.search_on(&mut search).await?;
            Ok::<_, CommandError>(search.decide()?)
        };
        let (mut events, mut word, mut recorded_at) = (Vec::new(), None, 0);
        let (mut is_out, mut is_said_again) = (true, true);
        // What was being decided when it was taken out may have said it once more.
        for _ in 0..SAID_AGAIN_MAX {
            match crate::command::execute(self.log(), cause, decide).await {
                Ok(done) => {
                    let mut search = search.lock().await;
                    events.extend(found(&search));
                    word.get_or_insert_with(|| word_at(search.position()));
                    recorded_at = done.position;
                    search.go_on();
                }
                Err(CommandError::Refused(Refusal::Redaction(RedactionRefused::Absent))) if recorded_at > 0 => {
                    is_said_again = false;
                    break;
                }
                Err(_) if recorded_at > 0 => break,
                Err(error) => return Err(error),
            }
            is_out = self.views().are_without(recorded_at, FORGOTTEN_WITHIN).await;
        }
        failpoint("redact.forgotten");
        let is_overwritten = self.wipe().await;
        Ok(Forgotten { events, word, recorded_at, is_out, is_overwritten, is_said_again })
    }

    /// Lets nothing remain in the files of the database; answers whether that is so. A snapshot that is being saved may
    /// have been taken before, and is removed only when it is written: that is waited for. Where the database cannot, on
    /// a full disk for example, it is redacted all the same, and the next start makes up for it.
    async fn wipe(&self) -> bool {
        let _turn = self.views().turn_to_save().await;
        self.log().wipe().await.unwrap_or_else(|why| {
            let why = with_causes(&why);
            tracing::warn!("the files of the database may hold what was redacted until the next start: {why}");
            false
        })
    }

    /// Whether the log of a Run could be forgotten.
    ///
    /// # Errors
    /// Refused as the redaction would be.
    pub async fn would_redact_log(&self, id: RunId, reason: &str) -> Result<(), CommandError> {
        self.decide_on_log(id, reason).await.map(drop)
    }

    /// Forgets the text of the log of a Run for ever, and waits until its volume is destroyed.
    ///
    /// # Errors
    /// Refused while the Run goes on or somebody uses the log, or when there is none.
    pub async fn redact_log(&self, cause: &Cause, id: RunId, reason: &str) -> Result<Forgotten, CommandError> {
        let run = streams::run(self.log(), id).await?;
        let log = run.state.record.as_ref().and_then(|record| record.log()).map(|log| log.knit_id);
        // Several things are read one after another, and it matters in which order: nothing is taken from memory.
        let Done { position } = self.execute(cause, |_| self.decide_on_log(id, reason)).await?;
        let is_out = match log {
            Some(log) => self.is_destroyed(log).await?,
            None => true,
        };
        failpoint("redact.destroyed");
        let is_overwritten = self.wipe().await;
        let (events, word, recorded_at) = (Vec::new(), None, position);
        Ok(Forgotten { events, word, recorded_at, is_out, is_overwritten, is_said_again: false })
    }

    async fn decide_on_log(&self, id: RunId, reason: &str) -> Result<Decision, CommandError> {
        let run = streams::run(self.log(), id).await?;
        let record = run.state.existing().map_err(LogRedactionRefused::from)?;
        let outputs: Vec<_> = record.log().cloned().into_iter().collect();
        let uses = self.uses(&outputs).await?;
        Ok(log_redaction::redact_log(&run, uses.first(), reason)?)
    }

    /// Waits until the volume of a Data that is gone was destroyed; answers whether it was in time.
    async fn is_destroyed(&self, data: KnitId) -> Result<bool, CommandError> {
        let deadline = Instant::now() + DESTROYED_WITHIN;
        let mut reached = self.views().worklists.watch();
        loop {
            let state = streams::data(self.log(), data).await?.state;
            if state.record.is_none_or(|record| record.standing == Standing::Reclaimed) {
                return Ok(true);
            }
            if tokio::time::timeout_at(deadline, reached.changed()).await.is_err() {
                return Ok(false);
            }
        }
    }

    /// Looks through everything that was appended since the last look, and at the envelopes of what it finds: what is not
    /// as it was recorded is not redacted.
    async fn search_on(&self, search: &mut Search) -> Result<(), CommandError> {
        loop {
            let events = self.log().read(search.position(), PAGE_EVENTS_MAX).await.map_err(not_redacted)?;
            if events.is_empty() {
                return self.log().note_envelopes(search).await.map_err(not_redacted);
            }
            events.iter().for_each(|event| search.take(event));
            tokio::task::yield_now().await;
        }
    }
}

/// Why nothing is redacted: the history itself may be to blame.
fn not_redacted(error: ReadError) -> CommandError {
    if let ReadError::Changed { position } = error {
        return RedactionRefused::NotAsRecorded { position }.into();
    }
    error.into()
}

fn found(search: &Search) -> Vec<RedactedEvent> {
    let found = search.found().map(|(position, stream, event)| RedactedEvent {
        position,
        stream: EventStream { kind: stream.kind.as_str().to_owned(), id: stream.id.clone() },
        event_type: event.type_name().to_owned(),
    });
    found.collect()
}
