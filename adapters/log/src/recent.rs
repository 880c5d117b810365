//! What this process appended or loaded lately, kept in memory.
//!
//! Nearly everything that is decided concerns a stream that was written a moment ago, and nearly
//! everything that is followed was appended by the process that follows. Neither needs the database. Two
//! things are kept, within bounds: the newest events in their order, as long as no other process
//! came in between, and streams: the short ones whole, and of the long ones what somebody has made of them
//! ([`Made`]) with the events behind that.
//!
//! Nothing here is trusted further than it is checked. A decision that rests on a remembered stream names its
//! version, which the database compares as it appends; the newest events continue the chain, which the
//! follower computes. What comes from other processes is heeded when it is read.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use knit_domain::event::{Position, Recorded, Sequence, StreamId};

/// Newest events that are kept: a follower that falls further behind than this reads from the database.
const NEWEST_EVENTS_MAX: usize = 4_096;
/// Events of remembered streams in each of two generations; a few megabytes in all.
const STREAM_EVENTS_MAX: usize = 8_192;
/// Longest stream that is remembered event by event. A Run with some retries has fewer.
const STREAM_LENGTH_MAX: usize = 64;
/// For at most so many events counts what somebody has made of a stream: it is as large as they are if each added
/// something, and smaller if they changed the same again and again. So a few of the longest fit in beside each other.
const MADE_COUNTS_MAX: usize = STREAM_EVENTS_MAX / 8;
/// Largest event that is kept, as it is stored. Nearly all are far smaller; with some larger ones among them,
/// numbers of events would bound nothing.
const EVENT_BYTES_MAX: usize = 8 << 10;

/// Newest events and short streams.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// In the order of their positions, without gaps.
    newest: VecDeque<Arc<Recorded>>,
    young: Generation,
    /// Moves to the young when it is asked for; what is still here when the young are full is forgotten.
    old: Generation,
    /// Counts how often everything was forgotten.
    forgotten: u64,
}

/// Streams, and how many events they count for.
#[derive(Debug, Default)]
struct Generation {
    streams: HashMap<StreamId, Remembered>,
    events: usize,
}

/// What somebody has made of the events of a stream. The log only keeps it, and does not know what it is.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    /// Sequence of the last event in it.
    pub(crate) version: Sequence,
    pub(crate) of: Arc<dyn Any + Send + Sync>,
}

/// A stream, or the end of one and what was made of all before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remembered {
    pub(crate) made: Option<Made>,
    /// One after another up to the last, from the first or from one that is in `made`, or the very next.
    events: Vec<Arc<Recorded>>,
}

/// A stream as it is remembered.
#[derive(Debug, Clone)]
pub struct Recalled<T> {
    /// What was made of it up to an event, and the sequence of that; none if nothing was.
    pub made: Option<(Arc<T>, Sequence)>,
    /// The events behind that, or all.
    pub events: Vec<Arc<Recorded>>,
    /// How often everything had been forgotten before it was recalled, for [`crate::Log::keep`].
    pub forgotten: u64,
}

impl Recent {
    /// Takes what this process has appended, in order, each with its stored size in bytes.
    pub(crate) fn appended(&self, events: impl IntoIterator<Item = (Recorded, usize)>) {
        let mut inner = self.lock();
        for (event, bytes) in events {
            if bytes > EVENT_BYTES_MAX {
                inner.forget_stream(&event.stream);
                inner.newest.clear();
                continue;
            }
            let event = Arc::new(event);
            inner.follow(&event);
            inner.keep_newest(event);
        }
    }

    /// Takes note of events that were read, whoever appended them.
    pub(crate) fn heed<'e>(&self, events: impl IntoIterator<Item = &'e Recorded>) {
        let mut inner = self.lock();
        for event in events {
            inner.heed(event);
        }
    }

    /// How often everything was forgotten, for [`Self::loaded`] and [`Self::made`].
    pub(crate) fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// Remembers a whole stream as it was read; its largest event has so many bytes. Not if everything was forgotten
    /// since the reading began, when that had happened `forgotten` times: what was read may be what is to be forgotten.
    pub(crate) fn loaded(&self, forgotten: u64, stream: &StreamId, events: &[Recorded], largest_bytes: usize) {
        if events.is_empty() || events.len() > STREAM_LENGTH_MAX || largest_bytes > EVENT_BYTES_MAX {
            return;
        }
        let mut inner = self.lock();
        if inner.forgotten != forgotten {
            return;
        }
        let known = inner.forget_stream(stream).unwrap_or_default();
        // Something was appended while the stream was being read.
        let is_newer = known.version() > events.len() as u64;
        let read = || Remembered { made: None, events: events.iter().cloned().map(Arc::new).collect() };
        inner.remember(stream.clone(), if is_newer { known } else { read() });
    }

    /// Keeps what somebody has made of a whole stream up to an event, which is `newest`. The events before are not
    /// needed any more. As with [`Self::loaded`], not if everything was forgotten since it was recalled.
    pub(crate) fn made(&self, forgotten: u64, stream: &StreamId, made: Made, newest: Arc<Recorded>) {
        let mut inner = self.lock();
        if inner.forgotten != forgotten {
            return;
        }
        let mut known = inner.forget_stream(stream).unwrap_or_default();
        if known.made.as_ref().is_some_and(|newer| newer.version >= made.version) {
            inner.remember(stream.clone(), known);
            return;
        }
        if known.version() < made.version {
            // It was not remembered, or it went on by what another process appended.
            known.events = vec![newest];
        } else {
            // The last one stays also if it is in it: what comes next follows from it.
            let behind = known.events.len() - known.events.iter().filter(|event| event.sequence > made.version).count();
            known.events.drain(..behind.min(known.events.len().saturating_sub(1)));
        }
        known.made = Some(made);
        inner.remember(stream.clone(), known);
    }

    /// A stream, if it is remembered.
    pub(crate) fn remembered(&self, stream: &StreamId) -> Option<Remembered> {
        let mut inner = self.lock();
        if let Some(known) = inner.young.streams.get(stream) {
            return Some(known.clone());
        }
        let known = inner.old.take(stream)?;
        inner.remember(stream.clone(), known.clone());
        Some(known)
    }

    /// All events of a stream, if they are remembered.
    pub(crate) fn stream(&self, stream: &StreamId) -> Option<Vec<Arc<Recorded>>> {
        let Remembered { events, .. } = self.remembered(stream)?;
        events.first().is_some_and(|first| first.sequence == 1).then_some(events)
    }

    /// Up to `limit` events after `after`, if the very next one is kept.
    pub(crate) fn after(&self, after: Position, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        let inner = self.lock();
        let first = inner.newest.front()?.position;
        let skipped = usize::try_from((after + 1).checked_sub(first)?).ok()?;
        let events: Vec<_> = inner.newest.iter().skip(skipped).take(limit).cloned().collect();
        (!events.is_empty()).then_some(events)
    }

    /// Forgets everything: the database may not be what it was, or something in it was redacted.
    pub(crate) fn forget(&self) {
        let mut inner = self.lock();
        *inner = Inner { forgotten: inner.forgotten + 1, ..Inner::default() };
    }

    /// Nobody panics while holding the lock half-way through a change that matters: what is wrong here is
    /// noticed by whoever relies on it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn keep_newest(&mut self, event: Arc<Recorded>) {
        if self.newest.back().is_some_and(|last| last.position + 1 != event.position) {
            self.newest.clear();
        }
        if self.newest.len() >= NEWEST_EVENTS_MAX {
            self.newest.pop_front();
        }
        self.newest.push_back(event);
    }

    /// Lets a remembered stream grow by `event`; the first of a stream makes it remembered.
    fn follow(&mut self, event: &Arc<Recorded>) {
        let mut known = self.forget_stream(&event.stream).unwrap_or_default();
        if event.sequence == known.version() + 1 && known.events.len() < STREAM_LENGTH_MAX {
            known.events.push(Arc::clone(event));
            self.remember(event.stream.clone(), known);
        }
    }

    /// Forgets a remembered stream that goes on otherwise than it is remembered.
    fn heed(&mut self, event: &Recorded) {
        let known = self.young.streams.get(&event.stream).or_else(|| self.old.streams.get(&event.stream));
        if known.is_some_and(|known| known.version() < event.sequence) {
            self.forget_stream(&event.stream);
        }
    }

    fn remember(&mut self, stream: StreamId, known: Remembered) {
        if self.young.events + known.counts() > STREAM_EVENTS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.events += known.counts();
        self.young.streams.insert(stream, known);
    }

    fn forget_stream(&mut self, stream: &StreamId) -> Option<Remembered> {
        let old = self.old.take(stream);
        self.young.take(stream).or(old)
    }
}

impl Generation {
    fn take(&mut self, stream: &StreamId) -> Option<Remembered> {
        let known = self.streams.remove(stream)?;
        self.events -= known.counts();
        Some(known)
    }
}

impl Remembered {
    /// Sequence of the last event.
    fn version(&self) -> Sequence {
        let made = self.made.as_ref().map_or(0, |made| made.version);
        self.events.last().map_or(made, |last| last.sequence)
    }

    /// The events that are not in what was made, in order.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &Arc<Recorded>> {
        let made = self.made.as_ref().map_or(0, |made| made.version);
        self.events.iter().filter(move |event| event.sequence > made)
    }

    /// The event with this sequence, if it is remembered.
    pub(crate) fn event(&self, sequence: Sequence) -> Option<&Arc<Recorded>> {
        self.events.iter().find(|event| event.sequence == sequence)
    }

    /// For how many events it counts.
    fn counts(&self) -> usize {
        let made = self.made.as_ref().map_or(0, |made| usize::try_from(made.version).unwrap_or(usize::MAX));
        made.min(MADE_COUNTS_MAX) + self.events.len()
    }
}

#[cfg(test)]
mod tests;
