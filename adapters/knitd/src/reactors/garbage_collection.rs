//! Destroys the volumes of discarded Data, and records that they are gone.

use std::fmt;
use std::sync::Arc;

use knit_domain::data::{Standing, reclaim_volume};
use knit_domain::id::{KnitId, VolumeRef};
use knit_failpoint::failpoint;

use super::{Due, NotDone, Reactor};
use crate::app::App;
use crate::command::{Cause, CommandError};
use crate::streams;

/// See the head of the module.
pub struct GarbageCollection {
    app: App,
}

impl GarbageCollection {
    /// The name of the role and of whoever acts in it.
    pub(crate) const NAME: &'static str = "garbage-collection";

    /// The reactor of the role `garbage-collection`.
    #[must_use]
    pub fn new(app: App) -> Arc<Self> {
        Arc::new(Self { app })
    }
}

/// A volume that nobody may use any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Waste {
    knit_id: KnitId,
    volume: VolumeRef,
}

impl fmt::Display for Waste {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.volume.fmt(f)
    }
}

impl Reactor for GarbageCollection {
    type Item = Waste;

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn due(&self, after: u64) -> Due<Waste> {
        let worklists = self.app.views().worklists.read();
        let waste = worklists.garbage(after);
        let items =
            waste.map(|garbage| Waste { knit_id: garbage.knit_id, volume: garbage.volume_ref.clone() }).collect();
        Due { items, seen: super::position(&worklists) }
    }

    async fn act(&self, waste: Waste) -> Result<(), NotDone> {
        failpoint("garbage.begun");
        let data = streams::data(self.app.log(), waste.knit_id).await.map_err(CommandError::from)?;
        // The stream is asked, because nothing brings a volume back: the worklist of a log that was restored
        // to an older state may not know yet that this Data lives again.
        let discarded = data.state.record.filter(|record| record.standing == Standing::Discarded);
        let Some(record) = discarded else { return Ok(()) };
        // Whoever still makes the volume ends first. Whoever comes later reads that it is not wanted, so the
        // turn need not be kept: destroying takes long, and the Run may have been retried.
        drop(self.app.turn(record.run_id).await);
        self.app.runtime().destroy_volume(&waste.volume).await.map_err(CommandError::from)?;
        failpoint("garbage.destroyed");
        let cause = Cause::reactor(self.name());
        let decide = |source| async move { Ok(reclaim_volume(&streams::data(source, waste.knit_id).await?)?) };
        self.app.execute(&cause, decide).await?;
        Ok(())
    }
}
