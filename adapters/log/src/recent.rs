//! What this process appended or loaded lately, kept in memory.
//!
//! Nearly everything that is decided concerns a stream that was written a moment ago, and nearly
//! everything that is followed was appended by the process that follows. Neither needs the database. Two
//! things are kept, within bounds: the newest events in their order, as long as no other process
//! came in between, and whole streams, the short ones.
//!
//! Nothing here is trusted further than it is checked. A decision that rests on a remembered stream names its
//! version, which the database compares as it appends; the newest events continue the chain, which the
//! follower computes. What comes from other processes is heeded when it is read.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use knit_domain::event::{Position, Recorded, StreamId};

/// Newest events that are kept: a follower that falls further behind than this reads from the database.
const NEWEST_EVENTS_MAX: usize = 4_096;
/// Events of remembered streams in each of two generations; a few megabytes in all.
const STREAM_EVENTS_MAX: usize = 8_192;
/// Longest stream that is remembered. A Run with some retries has fewer; the catalog of many Plans is
/// rarely asked for.
const STREAM_LENGTH_MAX: usize = 64;
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
}

/// Whole streams, and the number of their events.
#[derive(Debug, Default)]
struct Generation {
    streams: HashMap<StreamId, Vec<Arc<Recorded>>>,
    events: usize,
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

    /// Remembers a whole stream as it was read; its largest event has so many bytes.
    pub(crate) fn loaded(&self, stream: &StreamId, events: &[Recorded], largest_bytes: usize) {
        if events.is_empty() || events.len() > STREAM_LENGTH_MAX || largest_bytes > EVENT_BYTES_MAX {
            return;
        }
        let mut inner = self.lock();
        let known = inner.forget_stream(stream).unwrap_or_default();
        // Something was appended while the stream was being read.
        let is_newer = known.len() > events.len();
        let events = if is_newer { known } else { events.iter().cloned().map(Arc::new).collect() };
        inner.remember(stream.clone(), events);
    }

    /// A whole stream, if it is remembered.
    pub(crate) fn stream(&self, stream: &StreamId) -> Option<Vec<Arc<Recorded>>> {
        let mut inner = self.lock();
        if let Some(events) = inner.young.streams.get(stream) {
            return Some(events.clone());
        }
        let events = inner.old.take(stream)?;
        inner.remember(stream.clone(), events.clone());
        Some(events)
    }

    /// Up to `limit` events after `after`, if the very next one is kept.
    pub(crate) fn after(&self, after: Position, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        let inner = self.lock();
        let first = inner.newest.front()?.position;
        let skipped = usize::try_from((after + 1).checked_sub(first)?).ok()?;
        let events: Vec<_> = inner.newest.iter().skip(skipped).take(limit).cloned().collect();
        (!events.is_empty()).then_some(events)
    }

    /// Forgets everything: the database may not be what it was.
    pub(crate) fn forget(&self) {
        *self.lock() = Inner::default();
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
        let mut events = self.forget_stream(&event.stream).unwrap_or_default();
        if event.sequence == events.len() as u64 + 1 && events.len() < STREAM_LENGTH_MAX {
            events.push(Arc::clone(event));
            self.remember(event.stream.clone(), events);
        }
    }

    /// Forgets a remembered stream that goes on otherwise than it is remembered.
    fn heed(&mut self, event: &Recorded) {
        let known = self.young.streams.get(&event.stream).or_else(|| self.old.streams.get(&event.stream));
        if known.is_some_and(|known| (known.len() as u64) < event.sequence) {
            self.forget_stream(&event.stream);
        }
    }

    fn remember(&mut self, stream: StreamId, events: Vec<Arc<Recorded>>) {
        if self.young.events + events.len() > STREAM_EVENTS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.events += events.len();
        self.young.streams.insert(stream, events);
    }

    fn forget_stream(&mut self, stream: &StreamId) -> Option<Vec<Arc<Recorded>>> {
        let old = self.old.take(stream);
        self.young.take(stream).or(old)
    }
}

impl Generation {
    fn take(&mut self, stream: &StreamId) -> Option<Vec<Arc<Recorded>>> {
        let events = self.streams.remove(stream)?;
        self.events -= events.len();
        Some(events)
    }
}

#[cfg(test)]
mod tests;
