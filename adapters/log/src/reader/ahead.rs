//! Reading a long log: the pages that will be wanted next are read while somebody is busy with this one.

use std::collections::VecDeque;

use knit_domain::event::{Position, Recorded};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::{Fault, ReadError};
use crate::log::Log;
use crate::reader::Content;

/// Pages that are read at once. The database works on one while another is decoded, and one more is there when
/// either of them comes late. Of each there are as many bytes in memory as a page may have.
const PAGES_MAX: usize = 3;

/// Reads on and on, ahead of whoever asks.
///
/// It answers what [`Log::read`] answers: every page is read and checked by itself, and they are handed out in the
/// order of their positions. Whoever puts them together checks that each continues the chain of the one before.
#[derive(Debug)]
pub struct ReadAhead {
    log: Log,
    limit: usize,
    /// Where they are read.
    on: Handle,
    content: Content,
    /// In the order of their positions.
    pages: VecDeque<Coming>,
    /// Where the page begins that is asked for next.
    next: Position,
}

/// A page that is being read.
#[derive(Debug)]
struct Coming {
    after: Position,
    events: JoinHandle<Result<Vec<Recorded>, ReadError>>,
}

impl ReadAhead {
    pub(crate) fn new(log: Log, limit: usize) -> Self {
        let (on, content) = (Handle::current(), Content::Trusted);
        Self { log, limit, on, content, pages: VecDeque::new(), next: 0 }
    }

    /// The same, on other threads than those of whoever asks.
    #[must_use]
    pub fn on(mut self, on: Handle) -> Self {
        self.on = on;
        self
    }

    /// The same, but an event that is not what was appended ends it with [`ReadError::Changed`].
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.content = Content::Checked;
        self
    }

    /// The events after position `after`, as [`Log::read`] answers them. They are there the sooner if the page
    /// before ended at `after`.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub async fn read(&mut self, after: Position) -> Result<Vec<Recorded>, ReadError> {
        if self.pages.front().is_none_or(|page| page.after != after) {
            self.forget();
            self.next = after;
            self.ask();
        }
        let Some(first) = self.pages.front_mut() else { return Err(Fault::Closed.into()) };
        // It is taken out only when it has come: whoever stops waiting can ask again.
        let read = (&mut first.events).await;
        self.pages.pop_front();
        let events = match read {
            Ok(read) => read.inspect_err(|_| self.forget())?,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_) => return Err(Fault::Closed.into()),
        };
        if events.len() < self.limit {
            // The pages behind it begin elsewhere.
            self.forget();
        } else {
            self.ask_known();
        }
        Ok(events)
    }

    /// Asks for the next page, and for those behind it that are known to be there.
    fn ask(&mut self) {
        let (log, after, limit, content) = (self.log.clone(), self.next, self.limit, self.content);
        let events = self.on.spawn(async move { log.read_with(after, limit, content).await });
        self.pages.push_back(Coming { after, events });
        self.next = after + limit as u64;
        self.ask_known();
    }

    fn ask_known(&mut self) {
        if self.pages.len() < PAGES_MAX && self.next < self.log.position() {
            self.ask();
        }
    }

    fn forget(&mut self) {
        for page in self.pages.drain(..) {
            page.events.abort();
        }
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.forget();
    }
}
