//! Switching from one instance of a projection to another, and back (D8).

use std::sync::{PoisonError, RwLockWriteGuard};

use knit_domain::event::Position;
use knit_projections::projection::Projection;

use super::{Reached, View};

/// What was live before the last switch. It does not follow the log.
#[derive(Debug)]
pub(super) struct Before<P> {
    projection: P,
    /// Its number among the instances that were live; none if it was not the last.
    instance: Option<u64>,
    /// Whether it is to stay, so that it can be switched back to.
    kept: bool,
}

impl<P> Before<P> {
    pub(super) fn into_projection(self) -> P {
        self.projection
    }
}

/// A switch that has happened.
#[derive(Debug)]
pub(crate) struct Switched<P> {
    /// The number of the instance that was live, for [`View::let_go`].
    pub(crate) instance: u64,
    /// What had been live before that one; freeing it takes a while.
    pub(crate) freed: Option<P>,
}

impl<P: Projection> View<P> {
    pub(super) fn before(&self) -> RwLockWriteGuard<'_, Option<Before<P>>> {
        self.before.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the instance of this number, if it is live, or was before the last switch and is still there.
    pub fn look<T>(&self, instance: u64, question: impl FnOnce(&P) -> T) -> Option<T> {
        let live = self.read();
        if self.reached.borrow().instance == instance {
            return Some(question(&live));
        }
        drop(live);
        let before = self.before.read().unwrap_or_else(PoisonError::into_inner);
        before.as_ref().filter(|before| before.instance == Some(instance)).map(|before| question(&before.projection))
    }

    /// Puts `other` in the place of the live instance. That one stays for those who are looking at it, and for longer
    /// if it is to be kept. The lock is held for no longer than it takes to exchange two instances, which are small:
    /// nothing is copied or freed under it.
    pub(crate) fn switch(&self, other: P, kept: bool) -> Switched<P> {
        let position = other.position();
        let mut before = self.before();
        let mut live = self.write();
        let projection = std::mem::replace(&mut *live, other);
        let instance = self.reached.borrow().instance;
        self.reached.send_modify(|reached| {
            *reached = Reached { position, stopped: None, instance: instance + 1 };
        });
        drop(live);
        let freed = before.replace(Before { projection, instance: Some(instance), kept });
        Switched { instance, freed: freed.map(|before| before.projection) }
    }

    /// Lets go of what was live before the last switch, if it is this instance and not to be kept. Freeing what is
    /// answered takes a while.
    pub(crate) fn let_go(&self, instance: u64) -> Option<P> {
        let mut before = self.before();
        let goes = before.as_ref().is_some_and(|before| before.instance == Some(instance) && !before.kept);
        if goes { before.take().map(|before| before.projection) } else { None }
    }

    /// What was kept at the last switch.
    pub(crate) fn take_kept(&self) -> Option<P> {
        let mut before = self.before();
        if before.as_ref().is_some_and(|before| before.kept) {
            before.take().map(|before| before.projection)
        } else {
            None
        }
    }

    /// Keeps again what [`Self::take_kept`] has answered.
    pub(crate) fn keep(&self, projection: P) {
        *self.before() = Some(Before { projection, instance: None, kept: true });
    }

    /// Up to where the instance was folded that was kept at the last switch, if one was.
    pub fn kept_position(&self) -> Option<Position> {
        let before = self.before.read().unwrap_or_else(PoisonError::into_inner);
        before.as_ref().filter(|before| before.kept).map(|before| before.projection.position())
    }
}
