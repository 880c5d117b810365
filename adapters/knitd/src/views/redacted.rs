//! What was redacted, and whether it is still in the projections (D15).

use std::time::Duration;

use knit_domain::event::Position;
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;
use tokio::sync::watch;

use super::{Reached, View, Views};

/// Which redactions were met, and which are out of the projections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redactions {
    /// The position of the newest that was met as the log was followed.
    met: Position,
    /// What was redacted up to here is not in the projections: it was known when their folding began.
    out: Position,
}

impl Redactions {
    /// Whether something that was redacted is still in the projections. Nobody may save or keep them then.
    #[must_use]
    pub fn are_in(self) -> bool {
        self.met > self.out
    }

    /// Whether a redaction at `position` makes a difference.
    pub(crate) fn meets(self, position: Position) -> bool {
        position > self.out
    }
}

/// What was live, to be freed.
#[derive(Debug)]
pub(crate) struct Gone {
    _store: [Option<Store>; 2],
    _matcher: [Option<Matcher>; 2],
    _worklists: [Option<Worklists>; 2],
}

impl Views {
    /// How it is with redactions.
    pub fn redactions(&self) -> Redactions {
        *self.redactions.borrow()
    }

    /// The same, and a wake-up whenever it changes.
    pub(crate) fn watch_redactions(&self) -> watch::Receiver<Redactions> {
        self.redactions.subscribe()
    }

    /// Waits until what was redacted up to `position` is out of the projections, at most `limit`; answers whether it is.
    pub async fn are_without(&self, position: Position, limit: Duration) -> bool {
        let mut redactions = self.watch_redactions();
        let out = redactions.wait_for(|redactions| redactions.out >= position);
        tokio::time::timeout(limit, out).await.is_ok()
    }

    /// Says that what a redaction at `position` took out of the log is in the projections.
    pub(crate) fn met_redaction(&self, position: Position) {
        self.redactions.send_modify(|redactions| redactions.met = redactions.met.max(position));
    }

    /// Says that a fold began which knew all redactions up to `position`, and takes the place of all that was before.
    pub(crate) fn knew_redactions(&self, position: Position) {
        self.redactions.send_modify(|redactions| *redactions = Redactions { met: position, out: position });
    }

    /// Says that what was redacted up to `position` is out of the projections.
    pub(crate) fn forgot(&self, position: Position) {
        self.redactions.send_modify(|redactions| redactions.out = redactions.out.max(position));
    }

    /// Puts the projections of `fresh` in the place of the live ones, of which nothing stays: whoever is being answered
    /// from one is cut off. Let them stand still meanwhile.
    pub(crate) fn supplant(&self, fresh: &Self) -> Gone {
        Gone {
            _store: self.store.supplant(&fresh.store),
            _matcher: self.matcher.supplant(&fresh.matcher),
            _worklists: self.worklists.supplant(&fresh.worklists),
        }
    }
}

impl<P: Projection> View<P> {
    fn supplant(&self, fresh: &Self) -> [Option<P>; 2] {
        let Reached { position, stopped, instance: _ } = fresh.reached();
        let other = std::mem::take(&mut *fresh.write());
        let mut before = self.before();
        let mut live = self.write();
        let gone = std::mem::replace(&mut *live, other);
        self.reached.send_modify(|reached| {
            *reached = Reached { position, stopped, instance: reached.instance + 1 };
        });
        drop(live);
        [Some(gone), before.take().map(super::switch::Before::into_projection)]
    }
}
